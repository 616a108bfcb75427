//! The reader follows the carrier: it has envelopes opened, and files their changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Node;
use super::api::Event;
use super::open::{Filed, Incoming, Opened, Unfit, open};
use super::state::{
    ChangeRow, DeliverRow, IngestRow, PendingRow, Reader, SummaryRow, change_key, key, log_key,
};
use super::transfer::range_of;
use super::write::stored_changes;
use crate::codec;
use crate::control::{Lane, Quarantine};
use crate::envelope::{Content, Stored};
use crate::id::{AreaTag, DeviceKey, EpochId, LogId, Origin, RecordId};
use crate::limits::LOAD_ROWS_MAX;
use crate::record::{Card, Summary, view_of};
use crate::session::Session;
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::time::Millis;
use crate::trust::Role;

/// Envelopes filed in one write. // measured (`huza bench first-sync`): a write costs a sync of the
/// disk; more keep more in memory and gain little
const FILED_AT_ONCE: usize = 128;

/// While a peer is sending what it announced, the reader lets the carrier have cores and disk until
/// all that came is durable and nothing has come for so many milliseconds. // guess: a link that is
/// idle for longer is slower than the reader
const FILING_YIELDS_MS: u64 = 20;

/// But it files something in so many milliseconds, so that a user sees what has come; something urgent
/// at once, unless it filed just before. // guess: a person takes it for at once
const FILING_YIELDS_MS_MAX: u64 = 500;

/// Envelopes filed in one write meanwhile. // guess: a few hundredths of a second of one core
const FILED_WHILE_SENDING: usize = 32;

/// Instead of a key epoch, for envelopes that no key will help.
const HOPELESS: EpochId = EpochId([u8::MAX; 16]);

/// Instead of a key epoch, for envelopes that are quarantined.
const QUARANTINED: EpochId = EpochId([u8::MAX - 1; 16]);

/// Instead of a key epoch, for envelopes that hold something of an erased record and that no order
/// names: an authority device has still to see to it.
pub(super) const REMAINS: EpochId = EpochId([u8::MAX - 2; 16]);

/// Instead of a key epoch, for envelopes that speak of a log whose opening has not come: whose they
/// are is not known until then.
const UNOPENED: EpochId = EpochId([u8::MAX - 3; 16]);

/// How far the reader is once a filing is durable, unless everything is to be filed again since.
#[derive(Clone, Copy)]
struct Cursor {
    to: u64,
    rolls: u64,
}

/// Envelopes for which there is no key, as of one state of the keyring.
#[derive(Default)]
struct Missing {
    rows: Vec<(u64, EpochId)>,
    /// Envelopes whose payloads are gone: nothing waits for them any more.
    gone: Vec<(u64, EpochId)>,
    keyrings: u64,
    /// Openings that were known then.
    openings: usize,
}

/// A record with all its changes.
type Filable = (RecordId, AreaTag, Vec<(Origin, ChangeRow)>);

/// One write of the reader, in the making.
#[derive(Default)]
struct Filing {
    batch: Batch,
    /// Whether what is filed has to be delivered.
    gateway: bool,
    /// Records with new changes, and their areas.
    dirty: BTreeMap<RecordId, AreaTag>,
    /// Changes that are pending again.
    again: Vec<((LogId, u64), PendingRow)>,
    /// Pending changes that have a place now.
    settled: Vec<(LogId, u64)>,
    /// Ingest numbers that wait from now on, wait no longer, have to be delivered.
    waiting: Vec<(u64, EpochId)>,
    freed: Vec<u64>,
    deliveries: Vec<u64>,
    /// Of those that had to be, those that are quarantined since.
    recalled: Vec<u64>,
    /// The state of the keyring with which keys were looked for, and the openings known then.
    keyrings: u64,
    openings: usize,
    /// Records of which nothing is left.
    emptied: Vec<RecordId>,
    /// Whether something of it was written as an outsider and erased since.
    look_outside: bool,
    /// Envelopes that hold something of an erased record.
    remains: BTreeMap<RecordId, BTreeSet<(LogId, u64)>>,
}

impl Filing {
    /// Notes that the facility has to be given these records, because of this envelope.
    fn deliver(&mut self, number: u64, row: &IngestRow, records: BTreeSet<RecordId>) {
        if !self.gateway {
            return;
        }
        let records = records.into_iter().collect();
        let due = DeliverRow { log: row.log, seq: row.seq, hash: row.hash, records };
        self.batch.put(Table::Deliver, number.to_be_bytes(), codec::encode(&due));
        self.deliveries.push(number);
    }
}

impl Node {
    pub(super) fn must_file(&self) -> bool {
        let next = self.carrier.next_ingest;
        !self.carrier.marking
            && self
                .reader
                .as_ref()
                .is_some_and(|reader| reader.cursor < next || !reader.refile.is_empty())
    }

    /// Whether a peer is sending what it announced.
    fn is_receiving(&self) -> bool {
        self.sessions.values().any(Session::is_receiving)
    }

    /// Until when the reader leaves cores and disk to the carrier, if it does.
    pub(super) fn filing_yields_until(&self) -> Option<Millis> {
        let asked = |reader: &&Reader| !reader.locking.is_empty() || !reader.seal_all.is_empty();
        let reader = self.reader.as_ref().filter(|reader| !asked(reader))?;
        let since = if reader.alarmed { reader.filed_at? } else { self.carrier.unfiled_since };
        let most = since.plus(FILING_YIELDS_MS_MAX);
        let idle = self.carrier.ingested_at.plus(FILING_YIELDS_MS);
        let owes = self.sessions.values().any(|session| session.owed_acks > 0);
        let until = if owes { most } else { most.min(idle) };
        Some(until).filter(|until| *until > self.now.millis && self.is_receiving())
    }

    /// When the reader stops yielding, if that is what it does.
    pub(super) fn filing_deadline(&self) -> Option<Millis> {
        let waits = self.reader.as_ref().is_some_and(|reader| !reader.busy) && self.must_file();
        self.filing_yields_until().filter(|_| waits)
    }

    /// Envelopes that waited for a key may have one now.
    pub(super) fn refile_waiting(&mut self) {
        if self.reader.as_ref().is_none_or(|reader| reader.waiting.is_empty()) {
            return;
        }
        self.gather(vec![Range::all(Table::Waiting)], |node, rows| {
            let Some(reader) = &mut node.reader else { return };
            for (row_key, _) in rows.into_iter().flatten() {
                let number = row_key.get(EpochId::LEN..).and_then(|n| n.try_into().ok());
                reader.refile.extend(number.map(u64::from_be_bytes));
            }
        });
    }

    /// Openings have come: envelopes that waited for one may be filed now.
    pub(super) fn refile_unopened(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let unopened = reader.waiting.iter().filter(|(_, epoch)| **epoch == UNOPENED);
        reader.refile.extend(unopened.map(|(number, _)| number));
    }

    /// Files the next envelopes.
    pub(super) fn file(&mut self) {
        let at_once = if self.is_receiving() { FILED_WHILE_SENDING } else { FILED_AT_ONCE };
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        reader.alarmed = false;
        reader.filed_at = Some(self.now.millis);
        self.carrier.unfiled_since = self.now.millis;
        let range = |number: u64| Range {
            table: Table::Ingest,
            from: number.to_be_bytes().to_vec(),
            to: Some((number + 1).to_be_bytes().to_vec()),
            rows_max: 1,
        };
        let again: Vec<u64> = reader.refile.iter().copied().take(at_once).collect();
        for number in &again {
            reader.refile.remove(number);
        }
        let ranges = if again.is_empty() {
            let from = reader.cursor.to_be_bytes().to_vec();
            vec![Range { table: Table::Ingest, from, to: None, rows_max: at_once }]
        } else {
            again.iter().copied().map(range).collect()
        };
        let moves_cursor = again.is_empty();
        let rolls = reader.rolls;
        self.pages(ranges, move |node, rows| {
            let rows: Vec<(u64, IngestRow)> = rows
                .into_iter()
                .flatten()
                .filter_map(|(row_key, value)| {
                    let number = u64::from_be_bytes(row_key.try_into().ok()?);
                    Some((number, codec::decode(&value).ok()?))
                })
                .collect();
            let last = rows.last().map(|(number, _)| number + 1);
            // A number without a row would stop the cursor for ever; there is none behind it.
            let cursor = moves_cursor.then(|| last.unwrap_or(node.carrier.next_ingest));
            node.file_rows(cursor.map(|to| Cursor { to, rolls }), rows);
        });
    }

    fn file_rows(&mut self, cursor: Option<Cursor>, rows: Vec<(u64, IngestRow)>) {
        if self.carrier.marking {
            return self.file_later(cursor, rows.into_iter().map(|(number, _)| number));
        }
        let counts = |row: &IngestRow| !self.is_quarantined((row.log, row.seq));
        let (own, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(_, row)| self.is_pending(row) && counts(row));
        let mut ranges = stretches(others.iter().map(|(_, row)| (row.log, row.seq)));
        // What the true history of its log has displaced since.
        let forked = |log| self.carrier.lane.as_ref().is_some_and(|lane| lane.is_forked(log));
        ranges.extend(others.iter().filter(|(_, row)| forked(&row.log)).map(|(_, row)| Range {
            rows_max: 1,
            ..Range::prefix(Table::Forked, forked_key(row))
        }));
        self.gather(ranges, move |node, envelopes| {
            let (incoming, missing) = node.match_keys(others, envelopes);
            node.work_each("open", incoming, open, move |node, opened| {
                node.file_opened(cursor, own, missing, opened);
            });
        });
    }

    /// Whether an envelope of this device holds changes that are pending in the reader.
    fn is_pending(&self, row: &IngestRow) -> bool {
        let Some((log, first, changes)) = row.own else { return false };
        if self.carrier.lane.as_ref().is_some_and(|lane| lane.is_forked(&row.log)) {
            // Others may hold another history: what it holds is published again.
            return false;
        }
        // Not only the first: an erasure may have taken that.
        let all = (log, first)..(log, first.saturating_add(changes));
        self.reader.as_ref().is_some_and(|reader| reader.pending.range(all).next().is_some())
    }

    /// Finds the key of each envelope; those without one wait.
    fn match_keys(
        &self,
        rows: Vec<(u64, IngestRow)>,
        envelopes: Vec<Vec<Row>>,
    ) -> (Vec<Incoming>, Missing) {
        let (mut incoming, mut missing) = (Vec::new(), Missing::default());
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &self.reader) else {
            return (incoming, missing);
        };
        missing.keyrings = reader.keyrings;
        let devices: BTreeMap<LogId, DeviceKey> =
            lane.openings().map(|(log, opening)| (*log, opening.device)).collect();
        missing.openings = devices.len();
        let devices = Arc::new(devices);
        let found: BTreeMap<Vec<u8>, Vec<u8>> = envelopes.into_iter().flatten().collect();
        for (number, row) in rows {
            let places = [(log_key(row.log, row.seq), false), (forked_key(&row), true)];
            let found = places.into_iter().find_map(|(place, displaced)| {
                let stored: Stored = codec::decode(found.get(&place)?).ok()?;
                let header = stored.wire.header(row.log, row.seq, stored.previous);
                (header.hash() == row.hash).then_some((stored, header, displaced))
            });
            let opening = lane.opening(&row.log);
            let held = self.carrier.holdings.logs.get(&row.log);
            if held.is_some_and(|held| held.spans.contains(row.seq) && !held.keeps(row.seq)) {
                // It was only carried, and let go since.
                let epoch = reader.waiting.get(&number).copied().unwrap_or(HOPELESS);
                missing.gone.push((number, epoch));
                continue;
            }
            let (Some((stored, header, displaced)), Some(opening)) = (found, opening) else {
                missing.rows.push((number, HOPELESS));
                continue;
            };
            let Content::Sealed(sealed) = stored.wire.content else {
                missing.gone.push((number, header.epoch));
                continue;
            };
            let Some(key) = reader.keyring.key(opening.area, header.epoch) else {
                missing.rows.push((number, header.epoch));
                continue;
            };
            let (area, devices) = (opening.area, Arc::clone(&devices));
            let sealed = Incoming { number, row, displaced, area, header, sealed, key, devices };
            incoming.push(sealed);
        }
        (incoming, missing)
    }

    fn file_opened(
        &mut self,
        cursor: Option<Cursor>,
        own: Vec<(u64, IngestRow)>,
        missing: Missing,
        opened: Vec<Opened>,
    ) {
        let filed = opened.iter().filter_map(|one| one.changes.as_ref().ok()).flatten();
        let mut records: BTreeSet<RecordId> = filed.map(|change| change.record).collect();
        let pending = self.reader.iter().flat_map(|reader| {
            own.iter().filter_map(|(_, row)| row.own).flat_map(|(log, first, changes)| {
                reader
                    .pending
                    .range((log, first)..(log, first + changes))
                    .map(|(_, row)| row.record)
            })
        });
        records.extend(pending);
        // Of a record that is in no list nothing is filed.
        let listed = |record: &&RecordId| {
            self.reader.as_ref().is_some_and(|reader| reader.listing.contains(record))
        };
        let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
        let ranges: Vec<Range> = records.iter().filter(listed).map(prefix).collect();
        self.gather(ranges, move |node, rows| {
            let stored = stored_changes(&rows);
            node.file_batch(cursor, &own, &missing, opened, stored);
        });
    }

    /// Which history a judgement means is being looked up: what is quarantined is known after that,
    /// and these are filed then.
    fn file_later(&mut self, cursor: Option<Cursor>, numbers: impl Iterator<Item = u64>) {
        if let Some(reader) = self.reader.as_mut().filter(|_| cursor.is_none()) {
            reader.refile.extend(numbers);
        }
        self.reader_idle();
    }

    /// Writes what was opened: changes, summaries, cards, what waits, and the cursor.
    fn file_batch(
        &mut self,
        cursor: Option<Cursor>,
        own: &[(u64, IngestRow)],
        missing: &Missing,
        opened: Vec<Opened>,
        mut stored: BTreeMap<RecordId, Vec<(Origin, ChangeRow)>>,
    ) {
        if self.carrier.marking {
            let numbers = own.iter().map(|(number, _)| *number);
            let numbers = numbers.chain(opened.iter().map(|one| one.number));
            let numbers = numbers.chain(missing.rows.iter().chain(&missing.gone).map(|one| one.0));
            return self.file_later(cursor, numbers);
        }
        let mut filing =
            Filing { gateway: self.role() == Some(Role::Gateway), ..Filing::default() };
        for (number, row) in own {
            self.mark_own(&mut filing, &mut stored, *number, row);
        }
        for one in opened {
            self.file_one(&mut filing, &mut stored, one);
        }
        (filing.keyrings, filing.openings) = (missing.keyrings, missing.openings);
        for (number, epoch) in &missing.rows {
            filing.batch.put(Table::Waiting, waiting_key(*epoch, *number), []);
            filing.waiting.push((*number, *epoch));
        }
        for (number, epoch) in &missing.gone {
            filing.settle(*number, *epoch, None);
        }
        let rolls = self.reader.as_ref().map_or(0, |reader| reader.rolls);
        let cursor = cursor.filter(|cursor| cursor.rolls == rolls);
        if let Some(cursor) = cursor {
            filing.batch.put(Table::ReaderMeta, key::CURSOR, codec::encode(&cursor.to));
        }
        let dirty = core::mem::take(&mut filing.dirty);
        let mut documents = Vec::new();
        for (record, area) in dirty {
            match stored.remove(&record) {
                Some(changes) if !changes.is_empty() => documents.push((record, area, changes)),
                _ => {
                    filing.batch.delete(Table::Summaries, record.0);
                    filing.emptied.push(record);
                }
            }
        }
        self.work_each("summarise", documents, summarise, move |node, summaries| {
            node.commit_filing(filing, cursor, summaries);
        });
    }

    fn commit_filing(
        &mut self,
        mut filing: Filing,
        cursor: Option<Cursor>,
        summaries: Vec<SummaryRow>,
    ) {
        for row in &summaries {
            filing.batch.put(Table::Summaries, row.summary.record.0, codec::encode(row));
        }
        self.persist(StoreKind::Reader, filing.batch, move |node| {
            let Some(reader) = &mut node.reader else { return };
            if let Some(cursor) = cursor.filter(|cursor| cursor.rolls == reader.rolls) {
                reader.cursor = cursor.to;
            }
            for place in filing.settled {
                reader.pending.remove(&place);
            }
            if !filing.again.is_empty() {
                reader.pending.extend(filing.again);
                reader.pending_since.get_or_insert(node.now.millis);
            }
            if reader.pending.is_empty() {
                reader.pending_since = None;
            }
            reader.filings += 1;
            let late = !filing.waiting.is_empty() && reader.keyrings != filing.keyrings;
            let unopened = filing.waiting.iter().any(|(_, epoch)| *epoch == UNOPENED);
            reader.waiting.extend(filing.waiting);
            for number in filing.freed {
                reader.waiting.remove(&number);
            }
            reader.due.extend(filing.deliveries);
            for number in filing.recalled {
                reader.due.remove(&number);
                reader.held.remove(&number);
            }
            for record in filing.emptied {
                reader.listing.remove(&record);
            }
            for row in summaries {
                let record = row.summary.record;
                reader.held.retain(|_, records| !records.contains(&record));
                reader.listing.insert(&row);
            }
            for (record, places) in filing.remains {
                reader.remains.entry(record).or_default().extend(places);
            }
            reader.look_outside |= filing.look_outside;
            if late {
                // A key came while this was being filed.
                node.refile_waiting();
            }
            let openings = |lane: &Option<Lane>| lane.iter().flat_map(Lane::openings).count();
            if unopened && openings(&node.carrier.lane) != filing.openings {
                // An opening did.
                node.refile_unopened();
            }
            node.reader_idle();
        });
    }

    /// An envelope of this device: its changes are filed already; now they have a place.
    fn mark_own(
        &self,
        filing: &mut Filing,
        stored: &mut BTreeMap<RecordId, Vec<(Origin, ChangeRow)>>,
        number: u64,
        row: &IngestRow,
    ) {
        let (Some(reader), Some((log, first, changes))) = (&self.reader, row.own) else { return };
        let mut records = BTreeSet::new();
        filing.look_outside |= reader.erased_outside.contains(&(row.log, row.seq));
        for ((log, counter), pending) in reader.pending.range((log, first)..(log, first + changes))
        {
            let origin = Origin { log: *log, counter: *counter };
            let changes = stored.entry(pending.record).or_default();
            for (_, change) in changes.iter_mut().filter(|(other, _)| *other == origin) {
                change.also_in((row.log, row.seq), true);
                let row_key = change_key(pending.record, *log, *counter);
                filing.batch.put(Table::Changes, row_key, codec::encode(change));
            }
            filing.batch.delete(Table::Pending, log_key(*log, *counter));
            filing.settled.push((*log, *counter));
            records.insert(pending.record);
        }
        filing.deliver(number, row, records);
    }

    fn file_one(
        &mut self,
        filing: &mut Filing,
        stored: &mut BTreeMap<RecordId, Vec<(Origin, ChangeRow)>>,
        one: Opened,
    ) {
        let Opened { number, row, displaced, area, epoch, changes } = one;
        let changes = match changes {
            Ok(changes) => changes,
            Err(Unfit::Unopened) => return filing.settle(number, epoch, Some(UNOPENED)),
            Err(Unfit::Broken(why)) => {
                self.event(Event::SetAside { log: row.log, seq: row.seq, why });
                let row_key = [HOPELESS.0.as_slice(), &number.to_be_bytes()].concat();
                filing.batch.put(Table::Waiting, row_key, []);
                filing.waiting.push((number, HOPELESS));
                return;
            }
        };
        let mut records = BTreeSet::new();
        let (mut apart, mut remains) = (false, false);
        for change in changes {
            let record = change.record;
            if self.reader.as_ref().is_some_and(|reader| reader.is_forgotten(record)) {
                remains |= self.leave_out(filing, &row, &change);
                continue;
            }
            let all = stored.entry(record).or_default();
            let held_back = self.is_quarantined(change.signed);
            let changed = if displaced || held_back {
                apart = true;
                if self.comes_again(&row) {
                    self.publish_again(filing, all, (&row, area), change)
                } else {
                    self.settle_apart(filing, all, &row, change.origin);
                    // Where it is re-issued, an order may have taken what was signed before that was
                    // looked at again.
                    let signed = held_back.then_some(change.signed);
                    let places = signed.into_iter().chain([(row.log, row.seq)]);
                    set_apart(filing, all, &places.collect(), &change)
                }
            } else {
                self.file_change(filing, all, &row, change)
            };
            if changed {
                let reader = self.reader.as_ref();
                let known = reader.and_then(|reader| reader.listing.area(&record));
                filing.dirty.insert(record, known.unwrap_or(area));
                records.insert(record);
            }
        }
        let remains = remains.then_some(REMAINS);
        filing.settle(number, epoch, if apart { Some(QUARANTINED) } else { remains });
        if !apart {
            filing.deliver(number, &row, records);
        }
    }

    /// Whether an envelope that does not count was written by this installation in a forked log, of
    /// which others may hold another history, and which is an earlier one: then it is published again, as [`Self::lost`] does with
    /// what is filed still. Unless an authority has rejected it.
    fn comes_again(&self, row: &IngestRow) -> bool {
        let Some(lane) = &self.carrier.lane else { return false };
        let forked = lane.is_forked(&row.log);
        let held = self.carrier.holdings.logs.get(&row.log);
        let why = held.and_then(|held| lane.quarantine(&row.log, row.seq, held));
        let earlier = self.carrier.own_area(row.log).is_none() && !self.is_shut_out();
        row.own.is_some() && forked && earlier && why != Some(Quarantine::Rejected)
    }

    /// A pending change was given its place in a log that is shut out. While this installation goes
    /// on in that log it is pending no longer, or it would be given a place there again; else it
    /// stays so, and is published in a log that counts.
    fn settle_apart(
        &self,
        filing: &mut Filing,
        all: &mut [(Origin, ChangeRow)],
        row: &IngestRow,
        origin: Origin,
    ) {
        let pending = (origin.log, origin.counter);
        let known = self.reader.as_ref().is_some_and(|one| one.pending.contains_key(&pending));
        if known && self.is_pending(row) && self.carrier.own_area(row.log).is_some() {
            filing.batch.delete(Table::Pending, log_key(pending.0, pending.1));
            filing.settled.push(pending);
            for (_, change) in all.iter_mut().filter(|(other, _)| *other == origin) {
                change.also_in((row.log, row.seq), true);
            }
        }
    }

    /// Puts a change back to pending, unless it is, or has come again already. Whether that changed
    /// anything.
    fn publish_again(
        &self,
        filing: &mut Filing,
        all: &mut Vec<(Origin, ChangeRow)>,
        (row, area): (&IngestRow, AreaTag),
        change: Filed,
    ) -> bool {
        let Filed { record, origin, raw, card, .. } = change;
        let Some(reader) = &self.reader else { return false };
        let place = (origin.log, origin.counter);
        let here = Some((row.log, row.seq));
        let again = all.iter().any(|(other, known)| *other == origin && known.place != here);
        if again || reader.pending.contains_key(&place) {
            return false;
        }
        let area = reader.listing.area(&record).unwrap_or(area);
        let bytes = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        let urgent = false;
        if let Ok(shown) = Card::decode(&card) {
            filing.batch.put(Table::Cards, [record.0, shown.visit.0].concat(), card);
        }
        let pending = PendingRow { record, area, bytes, urgent, card: Vec::new() };
        let change = ChangeRow::new(None, raw);
        let row_key = change_key(record, origin.log, origin.counter);
        filing.batch.put(Table::Changes, row_key, codec::encode(&change));
        filing.batch.put(Table::Pending, log_key(place.0, place.1), codec::encode(&pending));
        all.retain(|(other, _)| *other != origin);
        all.push((origin, change));
        filing.again.push((place, pending));
        true
    }

    /// Files one change. Whether that changed anything.
    fn file_change(
        &mut self,
        filing: &mut Filing,
        all: &mut Vec<(Origin, ChangeRow)>,
        row: &IngestRow,
        change: Filed,
    ) -> bool {
        let Filed { record, signed, origin, raw, card } = change;
        let here = (row.log, row.seq);
        let place = Some(here);
        let changed = match all.iter_mut().find(|(other, _)| *other == origin) {
            Some((_, known)) if known.raw == raw => {
                // Where it is re-issued, or not quarantined, is the better place to name.
                let worse = |at| signed != here || self.is_quarantined(at);
                known.also_in(here, known.place.is_none_or(worse));
                if signed != here {
                    // Of that one a stub is left, or will be.
                    known.others.remove(&signed);
                }
                known.clone()
            }
            Some((_, known)) => {
                let why = "two changes under one number".to_owned();
                self.event(Event::SetAside { log: row.log, seq: row.seq, why });
                // One that is quarantined does not count. Else the one with the lower hash does,
                // whichever came first (see `Document`).
                let void = known.place.is_some_and(|at| self.is_void(at));
                if !void && change_hash(&raw) >= change_hash(&known.raw) {
                    return false;
                }
                *known = ChangeRow::new(place, raw);
                known.clone()
            }
            None => {
                let new = ChangeRow::new(place, raw);
                all.push((origin, new.clone()));
                new
            }
        };
        let row_key = change_key(record, origin.log, origin.counter);
        filing.batch.put(Table::Changes, row_key, codec::encode(&changed));
        if let Ok(shown) = Card::decode(&card) {
            filing.batch.put(Table::Cards, [record.0, shown.visit.0].concat(), card);
        }
        true
    }

    /// Whether a change that was filed from this place counts for nothing beside one that is filed
    /// now: it is quarantined, or the log's true history has displaced it.
    fn is_void(&self, place: (LogId, u64)) -> bool {
        let lane = self.carrier.lane.as_ref();
        let cut_off = |lane: &Lane| lane.is_forked(&place.0) && lane.cut_off(&place.0).is_some();
        self.is_quarantined(place) || lane.is_some_and(cut_off)
    }

    /// A change of an erased record: it is not filed, and if it is here only, forgotten. Whether
    /// this device has to order that its envelope goes too.
    fn leave_out(&self, filing: &mut Filing, row: &IngestRow, change: &Filed) -> bool {
        let place = (row.log, row.seq);
        let lane = self.carrier.lane.as_ref();
        let remains = self.role() == Some(Role::Authority)
            && !self.is_shut_out()
            && lane.is_some_and(|lane| !lane.is_erased(&place.0, place.1));
        if remains {
            filing.remains.entry(change.record).or_default().insert(place);
        }
        let pending = (change.origin.log, change.origin.counter);
        if self.reader.as_ref().is_some_and(|reader| reader.pending.contains_key(&pending)) {
            filing.batch.delete(Table::Pending, log_key(pending.0, pending.1));
            filing.settled.push(pending);
        }
        remains
    }
}

impl Filing {
    /// The envelope was opened, or is empty: it waits no longer, unless there is another reason.
    fn settle(&mut self, number: u64, epoch: EpochId, waits: Option<EpochId>) {
        for over in [epoch, QUARANTINED, REMAINS, UNOPENED] {
            self.batch.delete(Table::Waiting, waiting_key(over, number));
        }
        match waits {
            Some(reason) => {
                self.batch.put(Table::Waiting, waiting_key(reason, number), []);
                self.waiting.push((number, reason));
            }
            None => self.freed.push(number),
        }
        if waits == Some(QUARANTINED) {
            self.batch.delete(Table::Deliver, number.to_be_bytes());
            self.recalled.push(number);
        }
    }
}

/// Key of an envelope that waits: for a key of this epoch, or for another reason.
pub(super) fn waiting_key(epoch: EpochId, number: u64) -> Vec<u8> {
    [epoch.0.as_slice(), &number.to_be_bytes()].concat()
}

/// A change that is quarantined: what of it was filed from these places is taken out again. Whether
/// something was.
fn set_apart(
    filing: &mut Filing,
    all: &mut Vec<(Origin, ChangeRow)>,
    places: &BTreeSet<(LogId, u64)>,
    change: &Filed,
) -> bool {
    let same = |(origin, known): &(Origin, ChangeRow)| {
        let from = |at| places.contains(&at);
        *origin == change.origin && known.raw == change.raw && known.places().any(from)
    };
    let Some(at) = all.iter().position(same) else { return false };
    let Origin { log, counter } = change.origin;
    let row_key = change_key(change.record, log, counter);
    if let Some((_, known)) = all.get_mut(at)
        && places.iter().fold(true, |_, place| known.not_in(*place))
    {
        filing.batch.put(Table::Changes, row_key, codec::encode(known));
        return true;
    }
    all.remove(at);
    filing.batch.delete(Table::Changes, row_key);
    if let Ok(shown) = Card::decode(&change.card) {
        filing.batch.delete(Table::Cards, [change.record.0, shown.visit.0].concat());
    }
    true
}

/// Ranges in which envelopes are stored, neighbours together.
fn stretches(places: impl Iterator<Item = (LogId, u64)>) -> Vec<Range> {
    let mut runs: Vec<(LogId, u64, u64)> = Vec::new();
    for (log, seq) in places {
        match runs.last_mut() {
            Some((same, _, to)) if *same == log && to.checked_add(1) == Some(seq) => *to = seq,
            _ => runs.push((log, seq, seq)),
        }
    }
    runs.iter().map(|run| Range { rows_max: LOAD_ROWS_MAX, ..range_of(run) }).collect()
}

/// Where an envelope is stored that the true history of its log has displaced.
fn forked_key(row: &IngestRow) -> Vec<u8> {
    [log_key(row.log, row.seq).as_slice(), &row.hash.0].concat()
}

fn summarise((record, area, changes): Filable) -> SummaryRow {
    let changes = changes.iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
    SummaryRow { area, summary: Summary::from(&view_of(record, changes)) }
}

/// Automerge's own hash of a change: SHA-256 of its chunk behind magic and checksum.
fn change_hash(raw: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(raw.get(8..).unwrap_or_default()).into()
}
