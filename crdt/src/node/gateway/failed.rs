//! What the facility refused: telling it, and giving it again.

use std::collections::BTreeSet;

use super::{NOW, failed_key, name_key};
use crate::codec;
use crate::id::RecordId;
use crate::node::Node;
use crate::node::api::{CommandId, FailedResource, GatewayStatus, Reply};
use crate::node::state::FailedRow;
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::trust::Role;

/// Most resources that were refused and are told of at once. // guess: what a person looks through
const FAILED_LISTED_MAX: usize = 1_000;

fn read((row_key, value): &Row) -> Option<(RecordId, FailedRow)> {
    Some((RecordId(*row_key.first_chunk()?), codec::decode(value).ok()?))
}

impl Node {
    pub(crate) fn gateway_status(&mut self, id: CommandId) {
        if self.role() != Some(Role::Gateway) {
            let hint = "ask on the device with the role of a gateway";
            return self.refuse(id, "no_gateway", "this device feeds no facility", hint);
        }
        self.gather(vec![Range::all(Table::Failed)], move |node, rows| {
            let Some(reader) = &node.reader else { return };
            let failed = rows.iter().flatten().filter_map(read);
            let failed = failed.filter(|(record, _)| !reader.gone.contains(record));
            let failed = failed.take(FAILED_LISTED_MAX).map(|(record, row)| FailedResource {
                key: row.key,
                record,
                code: row.code,
                why: row.why,
                at: row.at,
            });
            let status = GatewayStatus {
                facility: None,
                queued: reader.due.len(),
                delivered: reader.delivered,
                ahead: reader.ahead.values().map(BTreeSet::len).sum(),
                failed: failed.collect(),
            };
            node.reply(id, Reply::Gateway(Box::new(status)));
        });
    }

    /// Has resources that were refused given again: those with these keys, or all.
    pub(crate) fn retry_failed(&mut self, id: CommandId, keys: Vec<String>) {
        self.gather(vec![Range::all(Table::Failed)], move |node, rows| {
            let failed = rows.iter().flatten().filter_map(read);
            let wanted =
                |(_, row): &(RecordId, FailedRow)| keys.is_empty() || keys.contains(&row.key);
            let mut batch = Batch::default();
            let (mut due, mut again, mut resources) = (BTreeSet::new(), BTreeSet::new(), 0);
            for (record, row) in failed.filter(wanted) {
                resources += 1;
                batch.delete(Table::Failed, failed_key(record, &row.key));
                batch.put(Table::Awaited, name_key(NOW, record), []);
                again.insert(record);
                for (number, envelope) in &row.envelopes {
                    batch.put(Table::Deliver, number.to_be_bytes(), codec::encode(envelope));
                    due.insert(*number);
                }
            }
            node.persist(StoreKind::Reader, batch, move |node| {
                if let Some(reader) = &mut node.reader {
                    reader.due.extend(due);
                    reader.awaited.entry(NOW).or_default().extend(again);
                }
                node.reply(id, Reply::Retried { resources });
                node.reader_idle();
            });
        });
    }
}
