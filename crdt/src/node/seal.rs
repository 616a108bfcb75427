//! Sealing what was written here, and handing it to the carrier.

use std::collections::BTreeSet;

use super::Node;
use super::api::{Event, Reply};
use super::state::{ChangeRow, OutboxRow, PendingRow, Task, change_key};
use crate::codec;
use crate::envelope::{Item, Payload, Seal, Urgency};
use crate::id::{AreaTag, LogId, Origin, RecordId};
use crate::limits::{ENVELOPE_BYTES_TARGET, ENVELOPE_ITEMS_TARGET, PENDING_MS_MAX};
use crate::record::pack;
use crate::session::Phase;
use crate::store::{Range, Row, Table};

/// Consecutive changes of one log that go into one payload.
pub(super) struct Unsealed {
    area: AreaTag,
    /// The log whose changes they are.
    log: LogId,
    rows: Vec<(u64, PendingRow)>,
    /// Whether something urgent is among what this log has to seal.
    urgent: bool,
}

impl Node {
    /// Whether every change of this device is in a payload.
    pub(super) fn all_sealed(&self) -> bool {
        self.unsealed().is_empty()
    }

    /// For each log, the first change of this device that is in no payload yet.
    fn unsealed(&self) -> Vec<(AreaTag, LogId, u64)> {
        let mut found = Vec::new();
        let Some(reader) = &self.reader else { return found };
        let may = |area: &AreaTag| !reader.unsealable.contains(area);
        for (area, own) in self.carrier.own.iter().filter(|(area, _)| may(area)) {
            let all = (own.row.log, own.sealed_to())..=(own.row.log, u64::MAX);
            if let Some(((log, counter), _)) = reader.pending.range(all).next() {
                found.push((*area, *log, *counter));
            }
        }
        // Of earlier incarnations, once everything the carrier holds is filed: some of it may
        // turn out to be in an envelope after all.
        let mut from = (LogId([0; LogId::LEN]), 0);
        while let Some(((log, counter), row)) = reader.pending.range(from..).next() {
            if self.carrier.own_area(*log).is_some() {
                from = (*log, u64::MAX);
                continue;
            }
            let own = self.carrier.own.get(&row.area);
            if may(&row.area) && own.is_none_or(|own| !own.has_again(*log, *counter)) {
                found.push((row.area, *log, *counter));
                from = (*log, u64::MAX);
                continue;
            }
            from = (*log, counter.saturating_add(1));
        }
        found
    }

    /// What must be sealed now: because it is urgent, fills an envelope, somebody is there, a
    /// user wants it, or it has waited long enough.
    pub(super) fn must_seal(&mut self) -> Option<Unsealed> {
        let all = self.unsealed().into_iter().filter_map(|place| self.wanted(place));
        // What is urgent in one area does not wait for what is routine in another.
        all.max_by_key(|next| next.urgent)
    }

    /// What of one log must be sealed now, if anything.
    fn wanted(&self, (area, log, first): (AreaTag, LogId, u64)) -> Option<Unsealed> {
        let reader = self.reader.as_ref()?;
        let earlier = self.carrier.own_area(log).is_none();
        if earlier && self.must_file() {
            return None;
        }
        let range = reader.pending.range((log, first)..=(log, u64::MAX));
        let mut rows: Vec<(u64, PendingRow)> = Vec::new();
        let mut bytes = 0;
        let mut urgent = false;
        let mut count = 0;
        for ((_, counter), row) in range {
            urgent |= row.urgent;
            count += 1;
            let follows = rows.last().is_none_or(|(last, _)| last + 1 == *counter);
            let alone = row.alone || rows.iter().any(|(_, before)| before.alone);
            let room = rows.is_empty()
                || !alone
                    && rows.len() < ENVELOPE_ITEMS_TARGET
                    && bytes + row.bytes as usize <= ENVELOPE_BYTES_TARGET;
            if follows && room && row.area == area && count == rows.len() + 1 {
                bytes += row.bytes as usize;
                rows.push((*counter, row.clone()));
            } else if urgent || count > ENVELOPE_ITEMS_TARGET {
                break;
            }
        }
        let met = self.sessions.values().any(|session| session.phase == Phase::Transfer);
        let since = reader.pending_since.unwrap_or(self.now.millis);
        let old = self.now.millis.since(since) >= PENDING_MS_MAX;
        let full = count >= ENVELOPE_ITEMS_TARGET || bytes >= ENVELOPE_BYTES_TARGET;
        let asked = !reader.seal_all.is_empty() || self.is_locking();
        let wanted = urgent || full || met || old || asked || earlier;
        wanted.then_some(Unsealed { area, log, rows, urgent })
    }

    /// Seals the next payload and hands it to the carrier.
    /// Whether it did; if not, the area's log is not open yet.
    pub(super) fn seal(&mut self, next: Unsealed) -> bool {
        let Unsealed { area, log, rows, .. } = next;
        if !self.open_logs(&BTreeSet::from([area])) {
            return false;
        }
        let (Some(reader), Some(own)) = (&mut self.reader, self.carrier.own.get(&area)) else {
            return false;
        };
        let into = own.row.log;
        let Some(lane) = &self.carrier.lane else { return false };
        let seal = match (reader.keyring.writing_key(lane, area), lane.writing_keys(area).first()) {
            (Some(key), _) => Seal::Member(key),
            (None, Some(key)) => Seal::Outsider(key.epoch, key.public),
            (None, None) => {
                // Its key may still come; until then it stays pending.
                reader.unsealable.insert(area);
                return false;
            }
        };
        reader.busy = true;
        // What an urgent change of the same record leans on is as urgent.
        let alarmed: BTreeSet<RecordId> =
            reader.pending.values().filter(|row| row.urgent).map(|row| row.record).collect();
        let urgent = rows.iter().any(|(_, row)| alarmed.contains(&row.record));
        let urgency = if urgent { Urgency::Urgent } else { Urgency::Routine };
        let entropy = self.entropy.draw();
        let exact = |(counter, row): &(u64, PendingRow)| Range {
            rows_max: 1,
            ..Range::prefix(Table::Changes, change_key(row.record, log, *counter))
        };
        let ranges = rows.iter().map(exact).collect();
        self.pages(ranges, move |node, stored| {
            let job = move || seal_rows(&rows, stored, log, into, &seal, urgency, entropy);
            node.work("seal", job, move |node, sealed| match sealed {
                Some(row) => {
                    node.carrier.tasks.push_back(Task::Outbox { area, row: Box::new(row) });
                }
                None => {
                    // It cannot be sealed; it stays pending, and is seen as such.
                    if let Some(reader) = &mut node.reader {
                        reader.unsealable.insert(area);
                    }
                    node.reader_idle();
                    node.event(Event::SetAside {
                        log,
                        seq: 0,
                        why: "a change of this device could not be sealed".to_owned(),
                    });
                }
            });
        });
        true
    }

    /// Answers those who wanted everything sealed and numbered, once it is.
    pub(super) fn answer_seals(&mut self) {
        let Some(reader) = &self.reader else { return };
        let left = self.carrier.own.values().any(|own| !own.outbox.is_empty());
        if reader.seal_all.is_empty() || left || self.carrier.busy || !self.all_sealed() {
            return;
        }
        let written = self.carrier.written();
        self.carrier.number_all = false;
        let Some(reader) = &mut self.reader else { return };
        for (id, before) in core::mem::take(&mut reader.seal_all) {
            let envelopes = usize::try_from(written.saturating_sub(before)).unwrap_or(usize::MAX);
            self.reply(id, Reply::Sealed { envelopes });
        }
    }
}

fn seal_rows(
    rows: &[(u64, PendingRow)],
    stored: Vec<Vec<Row>>,
    log: LogId,
    into: LogId,
    seal: &Seal,
    urgency: Urgency,
    entropy: [u8; 32],
) -> Option<OutboxRow> {
    let first = rows.first()?.0;
    let mut items = Vec::new();
    for ((counter, row), stored) in rows.iter().zip(stored) {
        let (_, value) = stored.into_iter().next()?;
        let change: ChangeRow = codec::decode(&value).ok()?;
        let origin = Origin { log, counter: *counter };
        let packed = pack(origin, &change.raw).ok()?;
        items.push(Item { record: row.record, change: packed, card: row.card.clone() });
    }
    let origin = (log != into).then_some(log);
    let sealed = Payload { origin, first, items }.seal(into, seal, urgency, entropy).ok()?;
    Some(OutboxRow { origin, first, sealed })
}
