//! What follows from the facility's answers: for resources, for those that wait for them, and for the
//! envelopes that brought them.

use std::collections::{BTreeMap, BTreeSet};

use super::prepare::Delivery;
use super::{NOW, name_hash, name_key};
use crate::codec;
use crate::holdings::Span;
use crate::id::{LogId, RecordId};
use crate::limits::FAILURE_BYTES_MAX;
use crate::node::api::{Answer, Outgoing};
use crate::node::state::{Answered, DeliverRow, FailedRow, ToldRow};
use crate::store::{Batch, Table};
use crate::time::Stamp;

/// The code with which an envelope is refused that holds a change which breaks the rules of
/// records, and so never shows: nothing of it was given to the facility.
const REFUSED_SET_ASIDE: u16 = 1;

/// What the answers come to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) batch: Batch,
    /// Resources that wait for the mesh.
    pub(super) ahead: BTreeMap<RecordId, BTreeSet<String>>,
    /// Hash of a name, and a record with a resource that waits for what it means.
    pub(super) awaited: BTreeSet<([u8; 16], RecordId)>,
    /// Hashes of the names of what the facility took.
    pub(super) came: BTreeSet<[u8; 16]>,
    /// How many resources it refused.
    pub(super) refused: usize,
}

/// What becomes of envelopes.
#[derive(Default)]
pub(super) struct Judged {
    /// Ingest numbers of those that are answered.
    pub(super) done: Vec<u64>,
    /// Of those that wait, with the records for which they do.
    pub(super) early: Vec<(u64, Vec<RecordId>)>,
    /// Of those that are to be judged again, since something of them was refused before.
    pub(super) again: Vec<u64>,
    /// What is answered about each of their logs.
    pub(super) answered: BTreeMap<LogId, Answered>,
}

impl Outcome {
    /// Writes who waits for which name; who waits no longer is to be looked at. Gives that.
    pub(super) fn write_awaited(
        &mut self,
        looked_at: &BTreeSet<RecordId>,
    ) -> BTreeSet<([u8; 16], RecordId)> {
        for record in looked_at {
            self.batch.delete(Table::Awaited, name_key(NOW, *record));
        }
        let mut awaited = BTreeSet::new();
        for (name, record) in core::mem::take(&mut self.awaited) {
            let has_come = self.came.contains(&name);
            if has_come {
                self.batch.delete(Table::Awaited, name_key(name, record));
            }
            let name = if has_come { NOW } else { name };
            self.batch.put(Table::Awaited, name_key(name, record), []);
            awaited.insert((name, record));
        }
        awaited
    }
}

impl Delivery {
    /// Notes what became of each resource.
    pub(super) fn settle(
        &mut self,
        sent: &[Outgoing],
        answers: &BTreeMap<String, Answer>,
        at: Stamp,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for one in sent {
            match answers.get(&one.key) {
                Some(Answer::Refused { code, why }) => {
                    outcome.refused += 1;
                    self.fail(one, *code, why, at);
                }
                Some(Answer::Ahead) => {
                    outcome.ahead.entry(one.record).or_default().insert(one.key.clone());
                }
                Some(Answer::Incomplete { missing }) => {
                    let names = missing.iter().map(|place| (name_hash(place), one.record));
                    outcome.awaited.extend(names);
                    self.took(one, false, &mut outcome);
                }
                None => self.took(one, true, &mut outcome),
            }
        }
        let unknown = self.unknown.iter();
        outcome.awaited.extend(unknown.map(|(name, record)| (name_hash(name), *record)));
        for (record, told) in &self.told {
            outcome.batch.put(Table::Delivered, record.0, codec::encode(told));
        }
        outcome
    }

    /// The facility has a resource; `complete`: with all that it refers to.
    fn took(&mut self, one: &Outgoing, complete: bool, outcome: &mut Outcome) {
        let told = self.told.entry(one.record).or_default();
        if one.text.is_some() {
            let hash = self.hashes.get(&one.key).copied().filter(|_| complete);
            told.insert(one.key.clone(), ToldRow { hash, heads: one.heads.clone() });
        } else {
            told.remove(&one.key);
        }
        self.healed.insert((one.record, one.key.clone()));
        for name in self.names.get(&one.key).into_iter().flatten() {
            let hash = name_hash(name);
            outcome.came.insert(hash);
            // A key says by itself where it is.
            if *name != one.key {
                let row_key = name_key(hash, one.record);
                outcome.batch.put(Table::Named, row_key, one.place.as_bytes());
            }
        }
    }

    /// The facility refuses a resource.
    fn fail(&mut self, one: &Outgoing, code: u16, why: &str, at: Stamp) {
        let failed = self.failed.entry(one.record).or_default();
        let before = failed.remove(&one.key).map(|old| old.envelopes).unwrap_or_default();
        let due = self.due.iter().filter(|(_, due)| due.records.contains(&one.record));
        let why = why.get(..why.floor_char_boundary(FAILURE_BYTES_MAX)).unwrap_or_default();
        let row = FailedRow {
            key: one.key.clone(),
            hash: self.hashes.get(&one.key).copied().unwrap_or_default(),
            code,
            why: why.to_owned(),
            at,
            envelopes: due.cloned().chain(before).collect(),
        };
        failed.insert(one.key.clone(), row);
    }

    /// What becomes of the envelopes, written down.
    pub(super) fn judge(
        &mut self,
        ahead: &BTreeMap<RecordId, BTreeSet<String>>,
        answered: &BTreeMap<LogId, Answered>,
        batch: &mut Batch,
    ) -> Judged {
        let due = core::mem::take(&mut self.due);
        let (early, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, row)| {
            let waits = |one: &RecordId| self.hidden.contains(one) || ahead.contains_key(one);
            self.waiting.contains(&(row.log, row.seq)) || row.records.iter().any(waits)
        });
        let again = self.keep_failures(&due, batch);
        let mut judged = Judged::default();
        for (number, row) in &due {
            let of_log = judged
                .answered
                .entry(row.log)
                .or_insert_with(|| answered.get(&row.log).cloned().unwrap_or_default());
            let span = Span { from: row.seq, to: row.seq, end: row.hash };
            let unfit = self.unfit.contains(&(row.log, row.seq)).then_some(REFUSED_SET_ASIDE);
            match self.refusal(*number, row).or(unfit) {
                None => of_log.accepted.insert(span),
                Some(code) => of_log.refused.entry(code).or_default().insert(span),
            }
            batch.delete(Table::Deliver, number.to_be_bytes());
            judged.done.push(*number);
        }
        for (number, row) in again {
            batch.put(Table::Deliver, number.to_be_bytes(), codec::encode(&row));
            judged.again.push(number);
        }
        for (log, of_log) in &judged.answered {
            batch.put(Table::Answered, log.0, codec::encode(of_log));
        }
        judged.early = early.into_iter().map(|(number, row)| (number, row.records)).collect();
        judged
    }

    /// The code with which something of an envelope was refused.
    fn refusal(&self, number: u64, row: &DeliverRow) -> Option<u16> {
        let failed = row.records.iter().filter_map(|record| self.failed.get(record));
        let mut rows = failed.flat_map(BTreeMap::values);
        rows.find(|row| row.envelopes.contains_key(&number)).map(|row| row.code)
    }
}
