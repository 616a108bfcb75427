//! The same person twice: who may be, who says so, and who does not. See [`crate::record::Traits`].
//!
//! Nothing is kept for it but what people said, in the records themselves: who may be the same is
//! found anew each time it is asked, of the rows of the listing.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandError, CommandId, Duplicate, FoundRecord, Reply};
use super::state::{Reader, SummaryRow};
use super::write::Draft;
use crate::audit::Action;
use crate::id::{AreaTag, RecordId};
use crate::limits::TEXT_CHARS_MAX;
use crate::record::{Edit, Likeness, Said, Standing, Texts, Traits, alike};
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
                let hint = "`huza person find` finds its id";
                return self.refuse(id, "unknown_record", &message, hint);
            };
            let found = reader.alike(&row).collect();
            return self.tell_duplicates(id, found, Some(record), limit);
        }
        let all = reader.people().map(|(one, area, texts)| (one, Traits::of_texts(&texts, area)));
        let (ids, traits): (Vec<RecordId>, Vec<Traits>) = all.unzip();
        let compare = move || -> Vec<(Pair, Likeness)> {
            let named = |((one, two), likeness): ((usize, usize), Likeness)| {
                Some((ordered(*ids.get(one)?, *ids.get(two)?), likeness))
            };
            alike(&traits).into_iter().filter_map(named).collect()
        };
        self.work("compare people", compare, move |node, found| {
            node.tell_duplicates(id, found, None, limit);
        });
    }

    /// Answers with who was found alike, and those of whom something was said; of everybody only those
    /// about whom somebody has still to decide.
    fn tell_duplicates(
        &mut self,
        id: CommandId,
        found: Vec<(Pair, Likeness)>,
        of: Option<RecordId>,
        limit: usize,
    ) {
        let Some(reader) = &self.reader else { return };
        let mut said = reader.said(of);
        let mut all: Vec<Candidate> = Vec::new();
        for (pair, likeness) in found {
            let standing = said.remove(&pair).unwrap_or(Standing::Open);
            all.push(Candidate { pair, likeness: Some(likeness), standing });
        }
        let rest = said.into_iter();
        all.extend(rest.map(|(pair, standing)| Candidate { pair, likeness: None, standing }));
        all.retain(|one| of.is_some() || one.is_to_decide());
        all.sort_by_key(Candidate::order);
        let more = all.len().saturating_sub(limit);
        all.truncate(limit);
        let pairs = all.into_iter().map(|one| reader.describe_pair(one, of)).collect();
        self.reply(id, Reply::Duplicates { pairs, more });
    }

    /// Whom a person may be who is being written: the worker is told, and that is noted.
    pub(super) fn note_alike(&mut self, row: &SummaryRow, batch: &mut Batch) -> Vec<Duplicate> {
        let Some(reader) = &self.reader else { return Vec::new() };
        let alike = reader.alike(row).map(|(pair, likeness)| Candidate {
            pair,
            likeness: Some(likeness),
            standing: Standing::Open,
        });
        let mut alike: Vec<Candidate> = alike.collect();
        alike.sort_by_key(Candidate::order);
        alike.truncate(ON_ENTRY_MAX);
        let new = row.summary.record;
        let described = alike.into_iter().map(|one| {
            // The new one is not in the lists yet.
            let pair = reader.describe_pair(one, Some(new));
            Duplicate { one: reader.describe(row.clone()), ..pair }
        });
        let all: Vec<Duplicate> = described.collect();
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

/// Two records, before they are described.
struct Candidate {
    pair: Pair,
    likeness: Option<Likeness>,
    standing: Standing,
}

impl Candidate {
    /// Whether somebody has still to decide. What was taken back is offered again if they are alike.
    fn is_to_decide(&self) -> bool {
        let alike = self.likeness.is_some();
        self.standing.is_open() && (alike || self.standing != Standing::Said(Said::Unlinked))
    }

    /// What is disputed first, then the likeliest.
    fn order(&self) -> (bool, Reverse<i32>, Pair) {
        let score = self.likeness.as_ref().map_or(0, |likeness| likeness.score);
        (self.standing != Standing::Disputed, Reverse(score), self.pair)
    }
}

fn refused(code: &str, message: &str, hint: &str) -> CommandError {
    CommandError { code: code.to_owned(), message: message.to_owned(), hint: hint.to_owned() }
}

impl Reader {
    /// Everybody who may be shown.
    fn people(&self) -> impl Iterator<Item = (RecordId, AreaTag, Texts<'_>)> {
        self.listing
            .texts()
            .filter(|(record, area, _)| *area != directory_area() && !self.gone.contains(record))
    }

    /// Whom somebody may be.
    fn alike<'a>(&'a self, row: &SummaryRow) -> impl Iterator<Item = (Pair, Likeness)> + use<'a> {
        let (record, area) = (row.summary.record, row.area);
        let traits = Traits::of(&row.summary, area);
        let people = self.people().filter(move |(other, ..)| *other != record);
        people.filter_map(move |(other, at, texts)| {
            let worth = area != directory_area() && traits.may_be(&texts);
            let two = worth.then(|| Traits::of_texts(&texts, at))?;
            Some((ordered(record, other), traits.compare(&two)?))
        })
    }

    /// What was said of pairs of records, by somebody or by an import.
    fn said(&self, of: Option<RecordId>) -> BTreeMap<Pair, Standing> {
        let mut said = BTreeMap::new();
        let linked = self.listing.linked().filter(|(record, _)| !self.gone.contains(record));
        for (record, link) in
            linked.flat_map(|(one, links)| links.into_iter().map(move |link| (one, link)))
        {
            if of.is_none_or(|of| of == record || of == link.to) {
                let standing = said.entry(ordered(record, link.to)).or_insert(Standing::Open);
                *standing = standing.and(link.standing);
            }
        }
        said
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

    /// All that is to be told of a pair, the record that was asked about first.
    fn describe_pair(&self, one: Candidate, of: Option<RecordId>) -> Duplicate {
        let Candidate { pair: (low, high), likeness, standing } = one;
        let (one, other) = if of == Some(high) { (high, low) } else { (low, high) };
        Duplicate { one: self.found(one), other: self.found(other), likeness, standing }
    }

    /// A record as lists have it; of one that is not here, its id alone.
    fn found(&self, record: RecordId) -> FoundRecord {
        match self.visible(record) {
            Some(row) => self.describe(row),
            None => FoundRecord::unknown(record),
        }
    }

    /// The same, of its row.
    pub(super) fn describe(&self, SummaryRow { area, summary, .. }: SummaryRow) -> FoundRecord {
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
