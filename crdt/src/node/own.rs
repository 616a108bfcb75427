//! Logs of this device: opening, keeping what is sealed, numbering, new incarnations.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::Event;
use super::ingest::Change;
use super::open::{Filed, take_out};
use super::state::{
    ChangeRow, OutboxRow, OwnLog, OwnRow, PendingRow, SummaryRow, Task, change_key, key, log_key,
    read_change_key,
};
use super::write::stored_changes;
use crate::codec;
use crate::control::{Lane, Opening, Scope, Statement, kind};
use crate::crypto::SymmetricKey;
use crate::envelope::{Header, Payload, Urgency};
use crate::holdings::Held;
use crate::id::{AreaTag, DeviceKey, Hash, Incarnation, LogId, Origin, RecordId};
use crate::record::view_of;
use crate::session::Phase;
use crate::store::{Batch, Range, Row, StoreKind, Table};

/// Payloads without a seq that are kept until a contact; more are numbered without one.
/// // guess: a few days of one worker
const OUTBOX_MAX: usize = 64;

impl Node {
    /// Signs a statement of this device and adds it to a change.
    pub(super) fn issue(
        &mut self,
        change: &mut Change,
        scope: Scope,
        kind: u8,
        body: Vec<u8>,
    ) -> Option<Statement> {
        let (issuer, _) = self.carrier.issuer()?;
        let key = self.carrier.identity.as_ref()?.key();
        let place = self.carrier.lane.as_ref()?.next_number(issuer);
        let statement = Statement::sign(&key, issuer, place, scope, (kind, body));
        let id = statement.id();
        let _refused = self.admit(change, statement.clone());
        change.added.contains(&id).then_some(statement)
    }

    /// Begins this incarnation's log in an area.
    pub(super) fn open_log(&mut self, area: AreaTag) {
        let (Some(identity), Some((_, certificate))) =
            (&self.carrier.identity, self.carrier.issuer())
        else {
            self.carrier.busy = false;
            return;
        };
        let device = identity.key().public();
        let opening = Opening { device, certificate, area, incarnation: identity.incarnation };
        let scope = Scope::Catchment(area.catchment());
        let mut change = self.change();
        let body = codec::encode(&opening);
        let Some(statement) = self.issue(&mut change, scope, kind::OPENING, body) else {
            self.carrier.busy = false;
            self.carrier.opening.remove(&area);
            self.decline_planned();
            return;
        };
        let log = statement.log();
        let row = OwnRow { log, numbered: 0, again: Vec::new() };
        change.batch.put(Table::CarrierMeta, own_key(area), codec::encode(&row));
        let own = OwnLog { row, outbox: BTreeMap::new() };
        self.commit(change, move |node| {
            // The reader keeps the opening too: if the carrier is lost or restored alone, what
            // was written in this log can still be shown to be this device's.
            let mut batch = Batch::default();
            let row_key = [key::OPENING, &log.0].concat();
            batch.put(Table::ReaderMeta, row_key, statement.to_bytes());
            node.carrier.busy = true;
            node.persist(StoreKind::Reader, batch, move |node| {
                node.carrier.busy = false;
                node.carrier.opening.remove(&area);
                node.carrier.own.insert(area, own);
            });
        });
    }

    pub(super) fn put_outbox(&mut self, area: AreaTag, row: OutboxRow) {
        let Some(own) = self.carrier.own.get(&area) else {
            // A new incarnation began meanwhile: the changes are still pending.
            self.carrier.busy = false;
            self.reader_idle();
            return;
        };
        let index = own.outbox.last_key_value().map_or(0, |(last, _)| last + 1);
        let mut change = self.change();
        change.batch.put(Table::Outbox, log_key(own.row.log, index), codec::encode(&row));
        self.commit(change, move |node| {
            if let Some(own) = node.carrier.own.get_mut(&area) {
                own.outbox.insert(index, row);
            }
            node.reader_idle();
        });
    }

    /// Whether the outbox must get its seqs now: something is urgent, somebody is there, a user
    /// wants it, or it grows.
    pub(super) fn must_number(&self) -> bool {
        if self.in_doubt() || self.must_roll {
            return false;
        }
        let met = self.sessions.values().any(|session| session.phase == Phase::Transfer);
        self.carrier.own.values().any(|own| {
            let urgent = |row: &OutboxRow| row.sealed.urgency == Urgency::Urgent;
            !own.outbox.is_empty()
                && (met
                    || self.carrier.number_all
                    || own.outbox.len() > OUTBOX_MAX
                    || own.outbox.values().any(urgent))
        })
    }

    /// Gives every payload of the outbox its seq.
    pub(super) fn number(&mut self) {
        let Some(key) = self.carrier.identity.as_ref().map(super::state::Identity::key) else {
            self.carrier.busy = false;
            return;
        };
        let mut change = self.change();
        let mut rows = Vec::new();
        let mut grown = Vec::new();
        for (area, own) in self.carrier.own.clone() {
            if own.outbox.is_empty() {
                continue;
            }
            let log = own.row.log;
            let mut row = own.row;
            for (index, sealed) in own.outbox {
                let last = self.held_in(&change, &log).and_then(|held| held.spans.end());
                let seq = last.map_or(0, |span| span.to + 1);
                let previous = last.map_or(Hash([0; 32]), |span| span.end);
                let changes = sealed.sealed.changes;
                let own = (sealed.origin.unwrap_or(log), sealed.first, changes);
                match sealed.origin {
                    None => row.numbered = row.numbered.max(sealed.first + changes),
                    Some(_) => row.again.push(own),
                }
                let stored = sealed.sealed.number(&key, log, seq, previous);
                let header = stored.wire.header(log, seq, previous);
                self.add_envelope(&mut change, (&header, header.hash()), &stored, Some(own));
                change.batch.delete(Table::Outbox, log_key(log, index));
                grown.push((log, seq));
            }
            change.batch.put(Table::CarrierMeta, own_key(area), codec::encode(&row));
            rows.push((area, row));
        }
        self.commit(change, move |node| {
            for (area, row) in rows {
                if let Some(own) = node.carrier.own.get_mut(&area) {
                    own.row = row;
                    own.outbox.clear();
                }
            }
            let newest: BTreeMap<LogId, u64> = grown.into_iter().collect();
            for (log, seq) in newest {
                node.tell_news(log, seq);
            }
        });
    }

    /// Begins a new incarnation: from now on this device writes new logs. What the old ones had
    /// no seq for is pending in the reader, and is published again in the new ones. A reader that
    /// was restored alone may lack some of it, so what the outbox holds is filed back first.
    pub(super) fn roll(&mut self) {
        let Some(reader) = &self.reader else { return self.roll_now() };
        let mut sealed = Vec::new();
        for (area, own) in &self.carrier.own {
            for row in own.outbox.values() {
                if let Some(key) = reader.keyring.key(*area, row.sealed.epoch) {
                    sealed.push((*area, own.row.log, row.clone(), key));
                }
            }
        }
        let salvage = move || sealed.into_iter().flat_map(salvage).collect::<Vec<_>>();
        self.work("salvage", salvage, |node, found| {
            let records: BTreeSet<RecordId> = found.iter().map(|(_, one)| one.record).collect();
            let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
            node.gather(records.iter().map(prefix).collect(), move |node, rows| {
                node.file_back(found, &rows);
            });
        });
    }

    /// Files changes of the outbox that the reader does not have, then begins anew.
    fn file_back(&mut self, found: Vec<(AreaTag, Filed)>, rows: &[Vec<Row>]) {
        let mut stored = stored_changes(rows);
        let mut batch = Batch::default();
        let (mut pending, mut dirty) = (Vec::new(), BTreeMap::new());
        let reader = self.reader.as_ref();
        let erased = |record: &RecordId| reader.is_some_and(|reader| reader.is_forgotten(*record));
        for (area, one) in found.into_iter().filter(|(_, one)| !erased(&one.record)) {
            let Origin { log, counter } = one.origin;
            let changes = stored.entry(one.record).or_default();
            if changes.iter().any(|(origin, _)| *origin == one.origin) {
                continue;
            }
            let change = ChangeRow::new(None, one.raw);
            let row = PendingRow {
                record: one.record,
                area,
                bytes: u32::try_from(change.raw.len()).unwrap_or(u32::MAX),
                urgent: !one.card.is_empty(),
                alone: false,
                card: one.card,
            };
            let row_key = change_key(one.record, log, counter);
            batch.put(Table::Changes, row_key, codec::encode(&change));
            batch.put(Table::Pending, log_key(log, counter), codec::encode(&row));
            changes.push((one.origin, change));
            pending.push(((log, counter), row));
            dirty.insert(one.record, area);
        }
        let mut summaries = Vec::new();
        for (record, area) in dirty {
            let changes = stored.get(&record).map(Vec::as_slice).unwrap_or_default();
            let raw = changes.iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
            let row = SummaryRow::of(area, &view_of(record, raw), &self.forms(area));
            batch.put(Table::Summaries, record.0, codec::encode(&row));
            summaries.push(row);
        }
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                reader.pending.extend(pending);
                for row in &summaries {
                    reader.listing.insert(row);
                }
            }
            node.roll_now();
        });
    }

    fn roll_now(&mut self) {
        let incarnation = Incarnation(self.entropy.draw());
        let Some(mut identity) = self.carrier.identity.clone() else {
            self.carrier.busy = false;
            return;
        };
        identity.incarnation = incarnation;
        identity.store = crate::id::StoreId(self.entropy.draw());
        identity.life = self.life;
        let mut change = self.change();
        change.batch.put(Table::CarrierMeta, key::IDENTITY, codec::encode(&identity));
        change.batch.delete(Table::CarrierMeta, key::ROLL);
        if self.reader.is_some() {
            change.batch.put(Table::CarrierMeta, key::RECOVER, []);
        }
        for (area, own) in &self.carrier.own {
            change.batch.delete(Table::CarrierMeta, own_key(*area));
            for index in own.outbox.keys() {
                change.batch.delete(Table::Outbox, log_key(own.row.log, *index));
            }
        }
        self.commit(change, move |node| {
            node.carrier.identity = Some(identity);
            node.carrier.own.clear();
            node.carrier.doubts.clear();
            node.carrier.tasks.retain(|task| !matches!(task, Task::Roll));
            node.must_roll = false;
            for session in node.sessions.values_mut() {
                session.doubt_until = None;
            }
            node.event(Event::Rolled { incarnation });
            node.recover();
        });
    }

    /// After a roll: takes back the openings that only the reader still has, because the carrier
    /// was lost or put back. They come before all else, for they say which changes are this
    /// device's.
    pub(super) fn recover(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.cursor = 0;
        reader.rolls += 1;
        self.carrier.busy = true;
        self.gather(vec![Range::prefix(Table::ReaderMeta, key::OPENING)], |node, rows| {
            let stored = rows.iter().flatten();
            let openings: Vec<Statement> =
                stored.filter_map(|(_, value)| Statement::from_bytes(value).ok()).collect();
            let mut change = node.change();
            for opening in &openings {
                let _refused = node.admit(&mut change, opening.clone());
            }
            let known = |lane: &Lane| openings.iter().all(|one| lane.opening(&one.log()).is_some());
            let whole = node.carrier.lane.as_ref().is_some_and(known);
            node.commit(change, move |node| node.recover_changes(whole));
        });
    }

    /// Files everything the carrier holds again, and puts back to pending every change of this
    /// device that no envelope here carries, or only one beyond a fork, where others take nothing
    /// any more. Unless all openings are known, that is done again when the reader is opened next:
    /// the certificate under which the rest was made may have come by then.
    fn recover_changes(&mut self, whole: bool) {
        self.carrier.busy = true;
        self.gather(vec![Range::all(Table::Changes)], move |node, rows| {
            let mut batch = Batch::default();
            batch.put(Table::ReaderMeta, key::CURSOR, codec::encode(&0_u64));
            let mut again = Vec::new();
            for (row_key, value) in rows.into_iter().flatten() {
                let Some((record, log, counter)) = read_change_key(&row_key) else { continue };
                let Ok(change) = codec::decode::<ChangeRow>(&value) else { continue };
                let pending = node.reader.as_ref().map(|reader| &reader.pending);
                if pending.is_some_and(|pending| pending.contains_key(&(log, counter))) {
                    continue;
                }
                if let Some(row) = node.lost(record, log, &change) {
                    batch.put(Table::Pending, log_key(log, counter), codec::encode(&row));
                    again.push(((log, counter), row));
                }
            }
            node.persist(StoreKind::Reader, batch, move |node| {
                if let Some(reader) = &mut node.reader {
                    for (place, row) in again {
                        reader.pending.entry(place).or_insert(row);
                    }
                    reader.pending_since = Some(node.now.millis);
                }
                node.must_recover = !whole;
                let mut done = Batch::default();
                if whole {
                    done.delete(Table::CarrierMeta, key::RECOVER);
                }
                node.persist(StoreKind::Carrier, done, |node| node.carrier.busy = false);
            });
        });
    }

    /// A change of this device that no envelope held here carries, as a pending row.
    fn lost(&self, record: RecordId, log: LogId, change: &ChangeRow) -> Option<PendingRow> {
        let lane = self.carrier.lane.as_ref()?;
        let opening = lane.opening(&log)?;
        let mine = self.carrier.identity.as_ref()?.key().public();
        let reader = self.reader.as_ref()?;
        let held = change.places().any(|(log, seq)| {
            let held = self.carrier.holdings.logs.get(&log);
            let void = |held: &Held| held.is_stub(seq) && !lane.is_erased(&log, seq);
            held.is_some_and(|held| held.spans.contains(seq) && !void(held))
                && !lane.is_forked(&log)
        });
        if opening.device != mine || held || reader.is_forgotten(record) {
            return None;
        }
        let area = reader.listing.area(&record).unwrap_or(opening.area);
        let bytes = u32::try_from(change.raw.len()).unwrap_or(u32::MAX);
        let card = Vec::new();
        Some(PendingRow { record, area, bytes, urgent: false, alone: false, card })
    }

    /// Areas in which this device is about to write and has no log yet.
    pub(super) fn open_logs(&mut self, areas: &BTreeSet<AreaTag>) -> bool {
        let missing: Vec<AreaTag> =
            areas.iter().filter(|area| !self.carrier.own.contains_key(area)).copied().collect();
        for area in missing.iter().filter(|area| self.carrier.opening.insert(**area)) {
            self.carrier.tasks.push_back(Task::Open { area: *area });
        }
        missing.is_empty()
    }
}

/// The changes in one payload of the outbox.
fn salvage(
    (area, log, row, key): (AreaTag, LogId, OutboxRow, SymmetricKey),
) -> Vec<(AreaTag, Filed)> {
    let sealed = &row.sealed;
    let header = Header {
        log,
        seq: 0,
        previous: Hash([0; 32]),
        epoch: sealed.epoch,
        urgency: sealed.urgency,
        payload_bytes: 0,
        payload_hash: Hash([0; 32]),
        items_root: sealed.items_root,
    };
    // Both logs are this device's.
    let same = DeviceKey([0; 32]);
    let devices = BTreeMap::from([(log, same), (row.origin.unwrap_or(log), same)]);
    let payload = Payload::open(&header, &sealed.payload, &key).ok();
    let changes = payload.and_then(|payload| take_out(&header, payload, &devices).ok());
    changes.into_iter().flatten().map(|one| (area, one)).collect()
}

fn own_key(area: AreaTag) -> Vec<u8> {
    [key::OWN, &area.0].concat()
}
