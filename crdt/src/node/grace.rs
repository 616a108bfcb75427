//! The time between an order to erase and its execution.
//!
//! An order is followed at once as far as that can be undone: the reader gives nothing of the person
//! any more. What cannot be undone waits until this device has held the order for
//! [`Config::erasure_delay_ms`](super::Config), so that a stolen authority device can be revoked
//! before what it ordered is done. Which orders are in force is asked anew whenever the lane changes;
//! an order that loses force is followed no more, and the person is shown again.
//!
//! The time is counted by this device, over all its starts, and says nothing of the date.

use std::collections::BTreeSet;

use super::Node;
use super::erase::record_of;
use super::ingest::Change;
use super::state::{Counted, Task, key};
use crate::codec;
use crate::id::{LogId, RecordId, StatementId};
use crate::limits::ERASURE_LOOK_MS;
use crate::store::Table;
use crate::time::{Millis, Stamp};

impl Node {
    /// The time counted until now. What passed since the last look is what the wall clock says,
    /// since the other one stands still while a device is off or asleep; but no less than that other
    /// one says, and no more than it and a third of the delay. So a clock that is set back takes
    /// nothing of what was counted, and one that jumps ahead does not end a delay.
    pub(super) fn counted(&self) -> Millis {
        let Counted { total, at } = self.carrier.counted;
        let ran = self.now.millis.since(at.millis);
        let seconds = self.now.stamp.0.saturating_sub(at.stamp.0);
        let wall = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
        total.plus(wall.clamp(ran, ran.saturating_add(self.erasure_delay_ms / 3)))
    }

    /// Reads the time counted by an earlier run.
    pub(super) fn boot_counted(&mut self, value: &[u8]) -> Option<()> {
        let (total, stamp): (Millis, Stamp) = codec::decode(value).ok()?;
        self.carrier.counted = Counted { total, at: super::Now { stamp, ..self.now } };
        Some(())
    }

    /// Notes the time counted in a change.
    pub(super) fn count_time(&mut self, change: &mut Change) -> Millis {
        let total = self.counted();
        self.carrier.counted = Counted { total, at: self.now };
        let row = codec::encode(&(total, self.now.stamp));
        change.batch.put(Table::CarrierMeta, key::COUNTED, row);
        total
    }

    /// Notes the time counted, and which orders are heard from now on; then carries out those whose
    /// time has come.
    pub(super) fn ripen(&mut self) {
        let mut change = self.change();
        let total = self.count_time(&mut change);
        for id in self.carrier.lane.iter().flat_map(crate::control::Lane::erasure_ids) {
            if self.carrier.heard.contains_key(&id) {
                continue;
            }
            self.carrier.heard.insert(id, total);
            let row_key = [key::HEARD, &id.0].concat();
            change.batch.put(Table::CarrierMeta, row_key, codec::encode(&total));
        }
        for (id, _) in self.carrier.lane.iter().flat_map(crate::control::Lane::void_erasures) {
            change.batch.delete(Table::CarrierMeta, [key::HEARD, &id.0].concat());
        }
        self.commit(change, |node| node.follow_erasures(&BTreeSet::new()));
    }

    /// Follows the orders in force: hides whom they name, carries out those that have been held for
    /// long enough, and looks again when the next one will have been. `more`: orders of which
    /// something has come since.
    pub(super) fn follow_erasures(&mut self, more: &BTreeSet<StatementId>) {
        let Some(lane) = &self.carrier.lane else { return };
        let (now, counted, delay) = (self.now.millis, self.counted(), self.erasure_delay_ms);
        let erasures: BTreeSet<StatementId> = lane.erasure_ids().into_iter().collect();
        let lapsed = self.carrier.erasures.iter().filter(|id| !erasures.contains(*id));
        let lapsed: Vec<StatementId> = lapsed.copied().collect();
        let (mut ripe, mut late, mut looks) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        for id in &erasures {
            let waited = self.carrier.heard.get(id).map(|at| counted.since(*at));
            // When to look again, until it has been held for so long; one not noted yet at once.
            let look = |until: u64| match waited.map(|waited| until.saturating_sub(waited)) {
                None => Some(now),
                Some(0) => None,
                Some(left) => Some(now.plus(left.min(ERASURE_LOOK_MS))),
            };
            if let Some(at) = look(delay) {
                looks.insert(at);
                continue;
            }
            ripe.insert(*id);
            if lane.erasure(id).is_some_and(|one| !self.carrier.has_reissue(one)) {
                // As long again for the rest of it to come.
                match look(delay.saturating_mul(2)) {
                    Some(at) => drop(looks.insert(at)),
                    None => late.push(*id),
                }
            }
        }
        // One that comes back into force waits anew.
        self.carrier.heard.retain(|id, _| erasures.contains(id));
        let next = looks.first().copied();
        self.carrier.erasures_at = if lapsed.is_empty() { next } else { Some(now) };
        self.carrier.erasures = erasures;
        let due = |id: &&StatementId| !self.carrier.ripe.contains(*id) || more.contains(*id);
        let erasures: Vec<StatementId> = ripe.iter().filter(due).copied().collect();
        self.carrier.ripe = ripe;
        if !erasures.is_empty() {
            self.carrier.tasks.push_back(Task::Stub { erasures });
        }
        if !lapsed.is_empty() {
            self.give_back(&lapsed);
        }
        self.hide_erased();
        self.order_again(&late);
    }

    /// Orders have lost force: whoever is met holds their stubs for nothing now.
    fn give_back(&mut self, lapsed: &[StatementId]) {
        let Some(lane) = &self.carrier.lane else { return };
        let void = lane.void_erasures().filter(|(id, _)| lapsed.contains(id));
        // Several may name the same.
        let payloads: BTreeSet<(LogId, u64)> =
            void.flat_map(|(_, one)| self.carrier.payloads_of(one)).collect();
        self.spread(&[], &payloads.into_iter().collect::<Vec<_>>());
    }

    /// Has the reader hide every record that an order in force names, as far as it can open the
    /// names, and forget those whose time has come.
    pub(super) fn hide_erased(&mut self) {
        let outside = self.erased_outside();
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &mut self.reader) else { return };
        if reader.opening {
            return;
        }
        let (mut gone, mut forgetting) = (BTreeSet::new(), BTreeSet::new());
        for id in &self.carrier.erasures {
            let named = lane.erasure(id).and_then(|one| record_of(one, &reader.keyring));
            gone.extend(named);
            let ripe = named.filter(|_| self.carrier.ripe.contains(id));
            forgetting.extend(ripe.filter(|record| !reader.forgotten.contains(record)));
        }
        reader.forgetting = forgetting;
        reader.look_outside |= reader.erased_outside != outside;
        reader.erased_outside = outside;
        if reader.gone != gone {
            let turned = reader.gone.symmetric_difference(&gone).copied();
            let turned = turned.filter(|record| !reader.forgotten.contains(record)).collect();
            reader.gone = gone;
            reader.reconsider();
            self.list_turned(turned);
        }
    }

    /// The order in force by which a record is erased: of several the one with the lowest id.
    pub(super) fn order_about(&self, record: RecordId) -> Option<StatementId> {
        let (lane, reader) = (self.carrier.lane.as_ref()?, self.reader.as_ref()?);
        let about = |id: &&StatementId| {
            let order = lane.erasure(id).filter(|order| order.extends.is_none());
            order.and_then(|order| record_of(order, &reader.keyring)) == Some(record)
        };
        self.carrier.erasures.iter().find(about).copied()
    }

    /// Orders in force that wait, and how long the one that is carried out first still does.
    pub(super) fn waiting_erasures(&self) -> Option<(usize, Millis)> {
        let waiting = self.carrier.erasures.difference(&self.carrier.ripe);
        let counted = self.counted();
        let left = waiting.map(|id| {
            let heard = self.carrier.heard.get(id).copied().unwrap_or(counted);
            Millis(self.erasure_delay_ms.saturating_sub(counted.since(heard)))
        });
        let left: Vec<Millis> = left.collect();
        Some((left.len(), left.into_iter().min()?))
    }
}
