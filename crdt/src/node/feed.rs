//! The list of what changed: one entry for each record that a write of the reader concerns, numbered in
//! the order of these writes and durable with them. Who follows it by a cursor hears of everything, also
//! over restarts; a reader that was put back from a backup has another incarnation, and cursors of the
//! one before are refused.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{ChangeCursor, ChangedRecord, CommandId, Reply};
use super::state::key;
use crate::codec;
use crate::id::{Incarnation, RecordId};
use crate::limits::{FEED_AT_ONCE, FEED_ROWS_MAX};
use crate::store::{Batch, Op, Range, Row, StoreKind, Table};

impl Node {
    /// Lists the records whose entries in lists this batch sets or removes; gives how many.
    pub(super) fn list_changed(&mut self, batch: &mut Batch) -> usize {
        let summary = |op: &Op| match op {
            Op::Put { table: Table::Summaries, key, .. }
            | Op::Delete { table: Table::Summaries, key } => RecordId::from_slice(key),
            Op::Put { .. } | Op::Delete { .. } => None,
        };
        let changed: BTreeSet<RecordId> = batch.0.iter().filter_map(summary).collect();
        self.list(batch, &changed);
        changed.len()
    }

    /// Lists records that were hidden, or are no longer.
    pub(super) fn list_turned(&mut self, turned: BTreeSet<RecordId>) {
        let mut batch = Batch::default();
        self.list(&mut batch, &turned);
        if !batch.is_empty() {
            let records = turned.len();
            self.persist(StoreKind::Reader, batch, move |node| {
                node.event(super::Event::Changed { records });
            });
        }
    }

    fn list(&mut self, batch: &mut Batch, records: &BTreeSet<RecordId>) {
        let Some(reader) = self.reader.as_mut().filter(|_| !records.is_empty()) else { return };
        for record in records {
            batch.put(Table::Feed, reader.fed.to_be_bytes(), record.0);
            if let Some(old) = reader.fed.checked_sub(FEED_ROWS_MAX) {
                batch.delete(Table::Feed, old.to_be_bytes());
            }
            reader.fed += 1;
        }
        batch.put(Table::ReaderMeta, key::FED, codec::encode(&reader.fed));
    }

    /// What changed behind a cursor.
    pub(super) fn changes(&mut self, id: CommandId, after: Option<ChangeCursor>, limit: usize) {
        let (Some(identity), Some(reader)) = (&self.carrier.identity, &self.reader) else { return };
        let (incarnation, end) = (identity.incarnation, reader.fed);
        let Some(after) = after else {
            let next = ChangeCursor { incarnation, number: end };
            return self.reply(id, Reply::Changes { changes: Vec::new(), next, more: false });
        };
        let kept = end.saturating_sub(FEED_ROWS_MAX)..=end;
        if after.incarnation != incarnation || !kept.contains(&after.number) {
            let message = "what changed since then is not known any more";
            let hint = "look at every record again, and go on from a new cursor";
            return self.refuse(id, "cursor_expired", message, hint);
        }
        let range = Range {
            from: after.number.to_be_bytes().to_vec(),
            rows_max: limit.clamp(1, FEED_AT_ONCE),
            ..Range::all(Table::Feed)
        };
        self.pages(vec![range], move |node, rows| {
            let rows = rows.into_iter().next().unwrap_or_default();
            let Some(reader) = &node.reader else { return };
            let (mut next, mut last) = (after, BTreeMap::new());
            for (number, record) in rows.iter().filter_map(entry) {
                next.number = number + 1;
                last.insert(record, number);
            }
            let mut changes: Vec<ChangedRecord> = last
                .into_iter()
                .map(|(record, number)| {
                    let gone = !reader.listing.contains(&record) || reader.gone.contains(&record);
                    ChangedRecord { cursor: behind(incarnation, number), record, gone }
                })
                .collect();
            changes.sort_by_key(|one| one.cursor.number);
            let more = next.number < reader.fed;
            node.reply(id, Reply::Changes { changes, next, more });
        });
    }
}

const fn behind(incarnation: Incarnation, number: u64) -> ChangeCursor {
    ChangeCursor { incarnation, number: number + 1 }
}

fn entry((number, record): &Row) -> Option<(u64, RecordId)> {
    let number = u64::from_be_bytes(number.as_slice().try_into().ok()?);
    Some((number, RecordId::from_slice(record)?))
}
