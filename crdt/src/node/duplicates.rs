//! The same person twice: who may be, who says so, and who does not. See [`crate::record::Traits`].
//!
//! Nothing is kept for it but what people said, in the records themselves: who may be the same is
//! found anew each time it is asked, of the rows of the listing.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandError, CommandId, Duplicate, FoundRecord, Reply};
use super::state::{Reader, SummaryRow};
use super::write::Draft;
use crate::audit::Action;
use crate::id::{AreaTag, RecordId};
use crate::limits::TEXT_CHARS_MAX;
use crate::record::{Edit, Likeness, Said, Standing, Traits, alike};
use crate::store::Batch;
use crate::trust::directory_area;

/// Of those that a new person may be, so many are told at once. // guess: a screen
const ON_ENTRY_MAX: usize = 5;

/// Two records, the lower id first.
type Pair = (RecordId, RecordId);

impl Node {
    /// Everybody who may be the same person, or only whom `record` may be and what was said of it.
    pub(super) fn duplicates(&mut self, id: CommandId, record: Option<RecordId>, limit: usize) {
        let Some(reader) = &self.reader else { return };
        if let Some(record) = record {
            let Some(row) = reader.visible(record) else {
                let message = format!("no record {record} on this device");
                return self.refuse(
                    id,
                    "unknown_record",
                    &message,
                    "`huza person find` finds its id",
                );
            };
            let mut pairs = reader.said(Some(record));
            pairs.extend(reader.alike(&row));
            return self.tell_duplicates(id, pairs, Some(record), limit);
        }
        let (ids, traits): (Vec<RecordId>, Vec<Traits>) = reader.people(None).unzip();
        self.work(
            "compare people",
            move || alike(&traits),
            move |node, found| {
                let Some(reader) = &node.reader else { return };
                let mut pairs = reader.said(None);
                for ((one, two), likeness) in found {
                    let pair = ids.get(one).zip(ids.get(two));
                    pairs.extend(pair.map(|(one, two)| (ordered(*one, *two), Some(likeness))));
                }
                node.tell_duplicates(id, pairs, None, limit);
            },
        );
    }

    fn tell_duplicates(
        &mut self,
        id: CommandId,
        pairs: BTreeMap<Pair, Option<Likeness>>,
        of: Option<RecordId>,
        limit: usize,
    ) {
        let Some(reader) = &self.reader else { return };
        let mut pairs = reader.described(pairs, of);
        let more = pairs.len().saturating_sub(limit);
        pairs.truncate(limit);
        self.reply(id, Reply::Duplicates { pairs, more });
    }

    /// Whom a person may be who is being written: the worker is told, and that is noted.
    pub(super) fn note_alike(&mut self, row: &SummaryRow, batch: &mut Batch) -> Vec<Duplicate> {
        let Some(reader) = &self.reader else { return Vec::new() };
        let new = row.summary.record;
        let mut all: Vec<Duplicate> = reader
            .alike(row)
            .into_iter()
            .map(|((one, two), likeness)| Duplicate {
                one: reader.describe(row.clone()),
                other: reader.found(if one == new { two } else { one }),
                likeness,
                standing: Standing::Open,
            })
            .collect();
        all.sort_by_key(Duplicate::order);
        all.truncate(ON_ENTRY_MAX);
        if !all.is_empty() {
            self.audit(batch, Action::Searched, "who may be the person that is added".to_owned());
        }
        all
    }

    /// What is written where somebody says something of two records.
    pub(super) fn plan_link(
        &self,
        (one, other): Pair,
        said: Said,
        reason: Option<&str>,
    ) -> Result<Vec<Draft>, CommandError> {
        let Some(reader) = &self.reader else { return Ok(Vec::new()) };
        if one == other {
            return Err(refused(
                "one_record",
                "both are one record",
                "name two; `huza duplicates` lists some",
            ));
        }
        let side = |from, to| Some((from, reader.visible(from)?.area, to));
        let sides: Vec<_> = [side(one, other), side(other, one)].into_iter().flatten().collect();
        // Who says that two are one has seen both.
        if sides.len() < if said == Said::SamePerson { 2 } else { 1 } {
            let missing = if sides.iter().any(|(from, ..)| *from == one) { other } else { one };
            let message = format!("no record {missing} on this device");
            return Err(refused("unknown_record", &message, "`huza person find` finds its id"));
        }
        if sides.iter().any(|(_, area, _)| *area == directory_area()) {
            let message = "one of them is of the directory";
            return Err(refused("no_person", message, "only records of people are linked"));
        }
        if said == Said::Unlinked && reader.standing((one, other)) == Standing::Open {
            let hint = "if they are two people, say --different: they are offered no more";
            return Err(refused("not_linked", "nothing was said of these two", hint));
        }
        let areas: BTreeSet<AreaTag> = sides.iter().map(|(_, area, _)| *area).collect();
        if reason.is_some() && (sides.len(), areas.len()) != (2, 1) {
            let hint =
                "say it without --reason: who reads one of them only learns an id of the other";
            return Err(refused(
                "reason_across_areas",
                "the reason would be read in both villages",
                hint,
            ));
        }
        let fits =
            |reason: &str| !reason.trim().is_empty() && reason.chars().count() <= TEXT_CHARS_MAX;
        if !reason.is_none_or(fits) {
            let message = format!("a reason has 1 to {TEXT_CHARS_MAX} characters");
            return Err(refused("reason", &message, "write another, or none"));
        }
        let kind = said.because(reason);
        let edit = |to| vec![Edit::Link { to, kind: kind.clone() }];
        Ok(sides.into_iter().map(|(from, area, to)| Draft::of(area, from, edit(to))).collect())
    }
}

fn refused(code: &str, message: &str, hint: &str) -> CommandError {
    CommandError { code: code.to_owned(), message: message.to_owned(), hint: hint.to_owned() }
}

impl Reader {
    /// Everybody who may be shown, as they are compared; or only who may be alike to one.
    fn people<'a>(
        &'a self,
        to: Option<&'a Traits>,
    ) -> impl Iterator<Item = (RecordId, Traits)> + 'a {
        let rows = self.listing.texts().filter(move |(record, area, texts)| {
            *area != directory_area()
                && !self.gone.contains(record)
                && to.is_none_or(|one| one.may_be(texts))
        });
        rows.map(|(record, area, texts)| (record, Traits::of_texts(&texts, area)))
    }

    /// Whom somebody may be.
    fn alike(&self, row: &SummaryRow) -> BTreeMap<Pair, Option<Likeness>> {
        let (record, traits) = (row.summary.record, Traits::of(&row.summary, row.area));
        if row.area == directory_area() {
            return BTreeMap::new();
        }
        let others = self.people(Some(&traits)).filter(|(other, _)| *other != record);
        let alike = others.map(|(other, two)| (ordered(record, other), traits.compare(&two)));
        alike.filter(|(_, likeness)| likeness.is_some()).collect()
    }

    /// The pairs of which somebody said something, or an import suggests it.
    fn said(&self, of: Option<RecordId>) -> BTreeMap<Pair, Option<Likeness>> {
        let linked = self.listing.linked().filter(|(record, _)| !self.gone.contains(record));
        let pairs = linked.flat_map(|(record, links)| {
            links.into_iter().map(move |link| ordered(record, link.to))
        });
        let wanted = |(one, two): &Pair| of.is_none_or(|of| of == *one || of == *two);
        pairs.filter(wanted).map(|pair| (pair, None)).collect()
    }

    /// What both records say of each other.
    fn standing(&self, (one, two): Pair) -> Standing {
        let says = |from: RecordId, to: RecordId| {
            let row = self.visible(from)?;
            row.summary.links.into_iter().find(|link| link.to == to).map(|link| link.standing)
        };
        let both = [says(one, two), says(two, one)];
        both.into_iter().flatten().fold(Standing::Open, Standing::and)
    }

    /// The pairs with all that is to be told of them: of everybody only those to be decided, the likeliest
    /// first.
    fn described(
        &self,
        pairs: BTreeMap<Pair, Option<Likeness>>,
        of: Option<RecordId>,
    ) -> Vec<Duplicate> {
        let described = pairs.into_iter().map(|((one, two), likeness)| {
            let (one, other) = if of == Some(two) { (two, one) } else { (one, two) };
            let standing = self.standing((one, other));
            Duplicate { one: self.found(one), other: self.found(other), likeness, standing }
        });
        let wanted = |one: &Duplicate| of.is_some() || one.is_to_decide();
        let mut all: Vec<Duplicate> = described.filter(wanted).collect();
        all.sort_by_key(Duplicate::order);
        all
    }

    /// A record as lists have it; of one that is not here, its id alone.
    fn found(&self, record: RecordId) -> FoundRecord {
        match self.visible(record) {
            Some(row) => self.describe(row),
            None => FoundRecord::unknown(record),
        }
    }

    /// The same, of its row.
    pub(super) fn describe(&self, SummaryRow { area, summary }: SummaryRow) -> FoundRecord {
        FoundRecord {
            record: summary.record,
            name: summary.name(),
            sex: summary.sex.unwrap_or_default(),
            birth_date: summary.birth_date.unwrap_or_default(),
            area: self.keyring.name(area).map(ToString::to_string).unwrap_or_default(),
            visits: summary.visits as usize,
            conflict: summary.has_conflict,
            urgent: summary.urgent,
        }
    }
}

fn ordered(one: RecordId, two: RecordId) -> Pair {
    (one.min(two), one.max(two))
}
