//! Messages: what is laid before workers, and the receipts that say so.
//!
//! A message is alone in its envelope, so a receipt `Shown` for that says which message was shown, and on
//! which device.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandId, InboxMessage, Reply};
use super::state::{ChangeRow, Task};
use super::write::stored_changes;
use crate::audit::Action;
use crate::codec;
use crate::control::ReceiptKind;
use crate::holdings::{Span, Spans};
use crate::id::{CertId, LogId, Origin, RecordId};
use crate::record::{Message, messages, view_of};
use crate::store::{Batch, Range, Row, StoreKind, Table};

impl Node {
    /// Answers with every message that this device reads.
    pub(super) fn inbox(&mut self, id: CommandId) {
        let subject = "messages".to_owned();
        self.audit_alone(Action::Searched, subject, move |node| {
            let Some(reader) = &node.reader else { return };
            let records: Vec<RecordId> =
                reader.listing.with_messages().filter(|one| !reader.gone.contains(one)).collect();
            let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
            let ranges = records.iter().map(prefix).collect();
            node.gather(ranges, move |node, rows| node.tell_messages(id, &rows));
        });
    }

    fn tell_messages(&mut self, id: CommandId, rows: &[Vec<Row>]) {
        let mut found: Vec<InboxMessage> = Vec::new();
        let mut ends: BTreeSet<(LogId, u64)> = BTreeSet::new();
        for (record, changes) in stored_changes(rows) {
            let forms = self.forms_of(record);
            let raw = changes.iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
            for message in messages(&view_of(record, raw), &forms) {
                let places = places_of(&changes, message.origin);
                ends.extend(places.iter().flat_map(|place| self.shown_ends(place)));
                found.extend(self.inbox_message(record, message, places));
            }
        }
        found.sort_by_key(|one| one.message.at);
        let ends: Vec<(LogId, u64)> = ends.into_iter().collect();
        self.hashes(ends, move |node, hashes| {
            let receipts = node.verified_receipts(&hashes);
            let shown = |one: &InboxMessage| -> BTreeSet<CertId> {
                let of_one = receipts.iter().filter(|(receipt, status)| {
                    let covers = one.places.iter().any(|place| node.covers(receipt, *place));
                    receipt.kind == ReceiptKind::Shown && status.verified && covers
                });
                of_one.map(|(_, status)| status.issuer).collect()
            };
            for one in &mut found {
                one.shown_by = shown(one);
            }
            if let Some(reader) = &mut node.reader {
                reader.told.extend(found.iter().flat_map(|one| &one.places));
            }
            node.reply(id, Reply::Inbox { messages: found });
        });
    }

    /// The ends of receipts that say that an envelope was shown.
    fn shown_ends(&self, (log, seq): &(LogId, u64)) -> Vec<(LogId, u64)> {
        let receipts = self.carrier.lane.iter().flat_map(|lane| lane.receipts());
        let shown = receipts
            .filter(|(_, _, receipt)| receipt.kind == ReceiptKind::Shown && receipt.log == *log);
        let ranges = shown.flat_map(|(_, _, receipt)| &receipt.ranges);
        ranges.filter(|one| (one.from..=one.to).contains(seq)).map(|one| (*log, one.to)).collect()
    }

    fn inbox_message(
        &self,
        record: RecordId,
        message: Message,
        places: Vec<(LogId, u64)>,
    ) -> Option<InboxMessage> {
        let reader = self.reader.as_ref()?;
        let row = reader.visible(record)?;
        let own = self.carrier.identity.as_ref().map(|identity| identity.key().public());
        let by = self.carrier.lane.as_ref().and_then(|lane| lane.opening(&message.origin.log));
        let shown = |(log, seq): &(LogId, u64)| {
            reader.shown.get(log).is_some_and(|shown| shown.contains(*seq))
        };
        Some(InboxMessage {
            record,
            name: row.summary.name(),
            area: reader.keyring.name(row.area).map(ToString::to_string).unwrap_or_default(),
            written_here: by.is_none_or(|opening| Some(opening.device) == own),
            for_worker: message.to.as_ref().is_none_or(|to| same_worker(to, &reader.worker)),
            shown_here: places.iter().any(shown),
            shown_by: BTreeSet::new(),
            message,
            places,
        })
    }

    /// The worker has been shown messages: these envelopes. It is durable, then signed for, then answered.
    pub(super) fn was_shown(&mut self, id: CommandId, mut places: Vec<(LogId, u64)>) {
        let told = self.reader.as_ref().map(|reader| &reader.told);
        places.retain(|place| told.is_some_and(|told| told.contains(place)));
        self.hashes(places, move |node, hashes| {
            let Some(reader) = &node.reader else { return };
            let mut of_logs: BTreeMap<LogId, Spans> = BTreeMap::new();
            for ((log, seq), end) in hashes {
                let known = || reader.shown.get(&log).cloned().unwrap_or_default();
                let shown = of_logs.entry(log).or_insert_with(known);
                shown.insert(Span { from: seq, to: seq, end });
            }
            let mut batch = Batch::default();
            for (log, shown) in &of_logs {
                batch.put(Table::Shown, log.0, codec::encode(shown));
            }
            node.persist(StoreKind::Reader, batch, move |node| {
                if let Some(reader) = &mut node.reader {
                    reader.shown.extend(of_logs);
                }
                // Now, while the reader is open: a phone that is locked signs nothing for its worker.
                node.carrier.tasks.push_back(Task::Receipts { of: Some(id) });
                node.reader_idle();
            });
        });
    }
}

/// The envelopes that carry a change.
fn places_of(changes: &[(Origin, ChangeRow)], origin: Origin) -> Vec<(LogId, u64)> {
    let row = changes.iter().find(|(other, _)| *other == origin);
    row.into_iter().flat_map(|(_, row)| row.places()).collect()
}

/// Whether two names mean one worker: letters and spaces aside.
fn same_worker(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim().to_lowercase();
    plain(one) == plain(other)
}
