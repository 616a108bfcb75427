//! What is to be given to the facility, and why. Pure, on another thread.

use std::collections::{BTreeMap, BTreeSet};

use super::{Told, failed_key};
use crate::codec;
use crate::id::{Head, LogId, Origin, RecordId, hash_parts, truncated};
use crate::node::api::Outgoing;
use crate::node::state::{ChangeRow, DeliverRow, FailedRow};
use crate::node::write::stored_changes;
use crate::record::{Document, Forms, Projected, RecordView, patient_key, project, server};
use crate::store::{Batch, Row, Table};

/// What is to be delivered, and what has to be known when the facility has answered.
#[derive(Default)]
pub(super) struct Delivery {
    /// Envelopes, with their ingest numbers.
    pub(super) due: Vec<(u64, DeliverRow)>,
    /// Records that are looked at without an envelope.
    pub(super) again: BTreeSet<RecordId>,
    /// Filings done when this was prepared.
    pub(super) filings: u64,
    /// Of those due: envelopes with a change that waits for another.
    pub(super) waiting: BTreeSet<(LogId, u64)>,
    /// Envelopes with a change that can never show.
    pub(super) unfit: BTreeSet<(LogId, u64)>,
    /// Records of which nothing is given, for now.
    pub(super) hidden: BTreeSet<RecordId>,
    /// What the facility has of each record.
    pub(super) told: BTreeMap<RecordId, Told>,
    /// What it refused of each record: key -> row.
    pub(super) failed: BTreeMap<RecordId, BTreeMap<String, FailedRow>>,
    /// Of those, what it has taken since, or needs no more.
    pub(super) healed: BTreeSet<(RecordId, String)>,
    /// Everything that the records show, and what is to be withdrawn.
    all: Vec<Outgoing>,
    /// Record -> changes that count here.
    pub(super) known: BTreeMap<RecordId, BTreeSet<Head>>,
    /// Key -> hash, of what is given.
    pub(super) hashes: BTreeMap<String, [u8; 16]>,
    /// Key -> names by which references mean it.
    pub(super) names: BTreeMap<String, BTreeSet<String>>,
    /// Names that mean nothing in their own record.
    pub(super) unresolved: BTreeSet<String>,
    /// Names that mean nothing here, and the records that use them.
    pub(super) unknown: BTreeSet<(String, RecordId)>,
    /// Places in other records that may be another name for one, and the records that use them.
    linked: BTreeSet<(String, RecordId)>,
}

/// What the names mean by which resources of a record refer to each other, and all names of each. A
/// name that means two things means nothing.
pub(in crate::node) fn table(record: RecordId, view: &RecordView, shown: &[Projected]) -> Names {
    let (mut table, mut all) = Names::default();
    let patient = patient_key(view);
    for one in shown.iter().filter(|one| server::place(record, &one.key) == one.key) {
        let mut names = match one.is_imported(view) {
            true => server::names(&one.key, &one.text),
            false => BTreeSet::from([one.key.clone()]),
        };
        // What other records know of this one is its id.
        let stands = patient.as_ref() == Some(&one.key);
        names.extend(stands.then(|| format!("Patient/{record}")));
        for name in &names {
            let place = table.entry(name.clone()).or_insert_with(|| Some(one.key.clone()));
            *place = place.take().filter(|place| *place == one.key);
        }
        all.insert(one.key.clone(), names);
    }
    (table, all)
}

/// Name -> place, and key -> names.
type Names = (BTreeMap<String, Option<String>>, BTreeMap<String, BTreeSet<String>>);

/// Projects the records.
pub(super) fn prepare(
    (due, again): (Vec<(u64, DeliverRow)>, BTreeSet<RecordId>),
    filings: u64,
    (records, hidden): (&BTreeMap<RecordId, Forms>, &BTreeSet<RecordId>),
    rows: &[Vec<Row>],
) -> Delivery {
    let hidden = hidden.clone();
    let mut delivery = Delivery { due, again, filings, hidden, ..Delivery::default() };
    let (changes, rest) = rows.split_at(records.len().min(rows.len()));
    let (told, failed) = rest.split_at(records.len().min(rest.len()));
    for (row_key, value) in told.iter().flatten() {
        if let (Some(record), Ok(told)) = (RecordId::from_slice(row_key), codec::decode(value)) {
            delivery.told.insert(record, told);
        }
    }
    for (row_key, value) in failed.iter().flatten() {
        let record = row_key.first_chunk().map(|id| RecordId(*id));
        if let (Some(record), Ok(row)) = (record, codec::decode::<FailedRow>(value)) {
            delivery.failed.entry(record).or_default().insert(row.key.clone(), row);
        }
    }
    let stored = stored_changes(changes);
    for (record, forms) in records {
        let changes = stored.get(record).map(Vec::as_slice).unwrap_or_default();
        delivery.add(*record, changes, forms);
    }
    delivery
}

impl Delivery {
    fn add(&mut self, record: RecordId, changes: &[(Origin, ChangeRow)], forms: &Forms) {
        let raw = changes.iter().map(|(origin, row)| (*origin, &row.raw));
        let document = Document::from_changes(record, raw);
        for (origin, row) in changes.iter().filter(|(origin, _)| !document.is_applied(*origin)) {
            let waits = document.is_waiting(*origin);
            let set = if waits { &mut self.waiting } else { &mut self.unfit };
            set.extend(row.place);
        }
        let view = document.view();
        let shown = project(&view, forms);
        let (table, names) = table(record, &view, &shown);
        self.names.extend(names);
        let keys: BTreeSet<&String> = shown.iter().map(|one| &one.key).collect();
        for (key, row) in self.told.entry(record).or_default() {
            if !keys.contains(key) {
                let heads = row.heads.union(&document.after(&row.heads)).copied().collect();
                self.all.push(Outgoing {
                    key: key.clone(),
                    text: None,
                    place: server::place(record, key),
                    record,
                    heads,
                    references: BTreeMap::new(),
                });
            }
        }
        let told = self.told.get(&record);
        for (key, _) in self.failed.get(&record).into_iter().flatten() {
            if !keys.contains(key) && told.is_none_or(|told| !told.contains_key(key)) {
                self.healed.insert((record, key.clone()));
            }
        }
        for one in shown {
            let mut references = BTreeMap::new();
            for name in server::references(&one.text) {
                match table.get(&name) {
                    Some(Some(place)) => drop(references.insert(name, place.clone())),
                    // It says by itself where it is, unless it is a record's that has another Patient.
                    None if server::place(record, &name) == name => {
                        self.unresolved.insert(name.clone());
                        self.linked.insert((name.clone(), record));
                        references.insert(name.clone(), name);
                    }
                    Some(None) | None => {
                        self.unresolved.insert(name.clone());
                        self.unknown.insert((name, record));
                    }
                }
            }
            self.all.push(Outgoing {
                place: server::place(record, &one.key),
                heads: one.sources.iter().filter_map(|origin| document.head(*origin)).collect(),
                key: one.key,
                text: Some(one.text),
                record,
                references,
            });
        }
        self.known.insert(record, document.known());
    }

    /// A name that nothing in its own record has means this place.
    pub(super) fn resolve(&mut self, name: &str, place: &str) {
        let (found, unknown) = core::mem::take(&mut self.unknown)
            .into_iter()
            .partition(|(unknown, _): &(String, RecordId)| unknown == name);
        self.unknown = unknown;
        let linked = self.linked.iter().filter(|(linked, _)| linked == name).cloned();
        let users: BTreeSet<RecordId> =
            BTreeSet::into_iter(found).chain(linked).map(|(_, record)| record).collect();
        for one in self.all.iter_mut().filter(|one| users.contains(&one.record)) {
            let text = one.text.as_deref().filter(|text| text.contains(name));
            if text.is_some_and(|text| server::references(text).contains(name)) {
                one.references.insert(name.to_owned(), place.to_owned());
            }
        }
    }

    /// What the facility does not have yet.
    pub(super) fn news(&mut self) -> Vec<Outgoing> {
        let mut news = core::mem::take(&mut self.all);
        news.retain(|one| {
            let hash = hash(one);
            let told = self.told.get(&one.record).and_then(|told| told.get(&one.key));
            let failed = self.failed.get(&one.record).and_then(|failed| failed.get(&one.key));
            let is_new = told.is_none_or(|told| told.hash != Some(hash))
                && failed.is_none_or(|failed| failed.hash != hash);
            if is_new {
                self.hashes.insert(one.key.clone(), hash);
            }
            is_new
        });
        news
    }

    /// Writes what was refused, and not what is healed. Gives the envelopes that have to be judged
    /// again.
    pub(super) fn keep_failures(
        &mut self,
        due: &[(u64, DeliverRow)],
        batch: &mut Batch,
    ) -> BTreeMap<u64, DeliverRow> {
        let mut rejudged = BTreeMap::new();
        for (record, key) in &self.healed {
            let row = self.failed.get_mut(record).and_then(|failed| failed.remove(key));
            if let Some(row) = row {
                batch.delete(Table::Failed, failed_key(*record, key));
                rejudged.extend(row.envelopes);
            }
        }
        rejudged.retain(|number, _| due.iter().all(|(other, _)| other != number));
        for (record, failed) in &self.failed {
            for (key, row) in failed.iter().filter(|(key, _)| self.hashes.contains_key(*key)) {
                batch.put(Table::Failed, failed_key(*record, key), codec::encode(row));
            }
        }
        rejudged
    }
}

/// Of all that a facility sees of a resource, but for which changes it is made of.
fn hash(one: &Outgoing) -> [u8; 16] {
    let mut parts = vec![one.text.as_deref().unwrap_or_default().as_bytes()];
    for (name, place) in &one.references {
        parts.extend([name.as_bytes(), place.as_bytes()]);
    }
    truncated(hash_parts("huza 2026 delivered resource", &parts))
}
