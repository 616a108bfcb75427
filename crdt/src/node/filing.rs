//! The reader follows the carrier: opening envelopes, filing their changes; and the other way,
//! sealing what was written here.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{Event, Reply};
use super::state::{
    ChangeRow, DeliverRow, IngestRow, OutboxRow, PendingRow, SummaryRow, Task, change_key, key,
    log_key,
};
use super::write::stored_changes;
use crate::codec;
use crate::crypto::SymmetricKey;
use crate::envelope::{Content, Header, Item, Payload, Seal, Stored, Urgency};
use crate::id::{AreaTag, EpochId, LogId, Origin, RecordId};
use crate::limits::{ENVELOPE_BYTES_TARGET, ENVELOPE_ITEMS_TARGET, PENDING_MS_MAX};
use crate::record::{Card, Document, pack, unpack};
use crate::session::Phase;
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::trust::Role;

/// Envelopes filed in one write. // guess: a few contacts' worth, a few MB at most
const FILED_AT_ONCE: usize = 64;

/// Instead of a key epoch, for envelopes that no key will help.
const HOPELESS: EpochId = EpochId([u8::MAX; 16]);

/// An envelope on its way to be filed.
struct Incoming {
    number: u64,
    row: IngestRow,
    area: AreaTag,
    header: Header,
    sealed: Vec<u8>,
    key: SymmetricKey,
    /// Logs of the same device, from which it may publish changes again.
    origins: BTreeSet<LogId>,
}

/// How far the reader is once a filing is durable, unless everything is to be filed again since.
#[derive(Clone, Copy)]
struct Cursor {
    to: u64,
    rolls: u64,
}

/// A change taken out of an envelope.
pub(super) struct Filed {
    pub(super) record: RecordId,
    pub(super) origin: Origin,
    pub(super) raw: Vec<u8>,
    pub(super) card: Vec<u8>,
}

/// An envelope opened, or why not.
struct Opened {
    number: u64,
    row: IngestRow,
    area: AreaTag,
    epoch: EpochId,
    changes: Result<Vec<Filed>, String>,
}

/// One write of the reader, in the making.
#[derive(Default)]
struct Filing {
    batch: Batch,
    /// Whether what is filed has to be delivered.
    gateway: bool,
    /// Records with new changes, and their areas.
    dirty: BTreeMap<RecordId, AreaTag>,
    /// Pending changes that have a place now.
    settled: Vec<(LogId, u64)>,
    /// Ingest numbers that wait from now on, wait no longer, have to be delivered.
    waiting: Vec<u64>,
    freed: Vec<u64>,
    deliveries: Vec<u64>,
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
        self.reader.as_ref().is_some_and(|reader| reader.cursor < next || !reader.refile.is_empty())
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

    /// Files the next envelopes.
    pub(super) fn file(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let range = |number: u64| Range {
            table: Table::Ingest,
            from: number.to_be_bytes().to_vec(),
            to: Some((number + 1).to_be_bytes().to_vec()),
            rows_max: 1,
        };
        let again: Vec<u64> = reader.refile.iter().copied().take(FILED_AT_ONCE).collect();
        for number in &again {
            reader.refile.remove(number);
        }
        let ranges = if again.is_empty() {
            let from = reader.cursor.to_be_bytes().to_vec();
            vec![Range { table: Table::Ingest, from, to: None, rows_max: FILED_AT_ONCE }]
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
        let (own, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(_, row)| self.is_pending(row));
        let exact =
            |log, seq| Range { rows_max: 1, ..Range::prefix(Table::Envelopes, log_key(log, seq)) };
        let ranges = others.iter().map(|(_, row)| exact(row.log, row.seq)).collect();
        self.pages(ranges, move |node, envelopes| {
            let (incoming, missing) = node.match_keys(others, envelopes);
            node.work(
                "open",
                move || incoming.into_iter().map(open).collect::<Vec<_>>(),
                move |node, opened| node.file_opened(cursor, own, missing, opened),
            );
        });
    }

    /// Whether an envelope of this device holds changes that are pending in the reader.
    fn is_pending(&self, row: &IngestRow) -> bool {
        let Some((log, first, _)) = row.own else { return false };
        let fork = self.carrier.lane.as_ref().and_then(|lane| lane.forked_at(&row.log));
        if fork.is_some_and(|fork| row.seq >= fork) {
            // Others take nothing beyond a fork: what it holds is published again.
            return false;
        }
        self.reader.as_ref().is_some_and(|reader| reader.pending.contains_key(&(log, first)))
    }

    /// Finds the key of each envelope; those without one wait.
    fn match_keys(
        &self,
        rows: Vec<(u64, IngestRow)>,
        envelopes: Vec<Vec<Row>>,
    ) -> (Vec<Incoming>, Vec<(u64, EpochId)>) {
        let (mut incoming, mut missing) = (Vec::new(), Vec::new());
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &self.reader) else {
            return (incoming, missing);
        };
        for ((number, row), stored) in rows.into_iter().zip(envelopes) {
            let stored = stored.into_iter().next();
            let stored = stored.and_then(|(_, value)| codec::decode::<Stored>(&value).ok());
            let opening = lane.opening(&row.log);
            let (Some(stored), Some(opening)) = (stored, opening) else {
                missing.push((number, HOPELESS));
                continue;
            };
            let header = stored.wire.header(row.log, row.seq, stored.previous);
            let Content::Sealed(sealed) = stored.wire.content else {
                continue;
            };
            let Some(key) = reader.keyring.key(opening.area, header.epoch) else {
                missing.push((number, header.epoch));
                continue;
            };
            let same_device =
                |(_, other): &(&LogId, &crate::control::Opening)| other.device == opening.device;
            let origins = lane.openings().filter(same_device).map(|(log, _)| *log).collect();
            let area = opening.area;
            incoming.push(Incoming { number, row, area, header, sealed, key, origins });
        }
        (incoming, missing)
    }

    fn file_opened(
        &mut self,
        cursor: Option<Cursor>,
        own: Vec<(u64, IngestRow)>,
        missing: Vec<(u64, EpochId)>,
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
        let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
        let ranges: Vec<Range> = records.iter().map(prefix).collect();
        self.gather(ranges, move |node, rows| {
            let stored = stored_changes(&rows);
            node.file_batch(cursor, &own, &missing, opened, stored);
        });
    }

    /// Writes what was opened: changes, summaries, cards, what waits, and the cursor.
    fn file_batch(
        &mut self,
        cursor: Option<Cursor>,
        own: &[(u64, IngestRow)],
        missing: &[(u64, EpochId)],
        opened: Vec<Opened>,
        mut stored: BTreeMap<RecordId, Vec<(Origin, ChangeRow)>>,
    ) {
        let mut filing =
            Filing { gateway: self.role() == Some(Role::Gateway), ..Filing::default() };
        for (number, row) in own {
            self.mark_own(&mut filing, &mut stored, *number, row);
        }
        for one in opened {
            self.file_one(&mut filing, &mut stored, one);
        }
        for (number, epoch) in missing {
            let row_key = [epoch.0.as_slice(), &number.to_be_bytes()].concat();
            filing.batch.put(Table::Waiting, row_key, []);
            filing.waiting.push(*number);
        }
        let rolls = self.reader.as_ref().map_or(0, |reader| reader.rolls);
        let cursor = cursor.filter(|cursor| cursor.rolls == rolls);
        if let Some(cursor) = cursor {
            filing.batch.put(Table::ReaderMeta, key::CURSOR, codec::encode(&cursor.to));
        }
        let dirty = core::mem::take(&mut filing.dirty);
        let documents: Vec<_> = dirty
            .into_iter()
            .filter_map(|(record, area)| Some((record, area, stored.remove(&record)?)))
            .collect();
        let summarise = move || {
            documents
                .into_iter()
                .map(|(record, area, changes)| {
                    let changes = changes.iter().map(|(origin, row)| (*origin, &row.raw));
                    let summary = Document::from_changes(record, changes).summary();
                    SummaryRow { area, summary }
                })
                .collect::<Vec<_>>()
        };
        self.work("summarise", summarise, move |node, summaries| {
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
            if reader.pending.is_empty() {
                reader.pending_since = None;
            }
            reader.filings += 1;
            reader.waiting.extend(filing.waiting);
            for number in filing.freed {
                reader.waiting.remove(&number);
            }
            reader.due.extend(filing.deliveries);
            for row in summaries {
                let record = row.summary.record;
                reader.held.retain(|_, records| !records.contains(&record));
                reader.summaries.insert(record, row);
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
        for ((log, counter), pending) in reader.pending.range((log, first)..(log, first + changes))
        {
            let origin = Origin { log: *log, counter: *counter };
            let changes = stored.entry(pending.record).or_default();
            for (_, change) in changes.iter_mut().filter(|(other, _)| *other == origin) {
                change.place = Some((row.log, row.seq));
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
        let Opened { number, row, area, epoch, changes } = one;
        let changes = match changes {
            Ok(changes) => changes,
            Err(why) => {
                self.event(Event::SetAside { log: row.log, seq: row.seq, why });
                let row_key = [HOPELESS.0.as_slice(), &number.to_be_bytes()].concat();
                filing.batch.put(Table::Waiting, row_key, []);
                filing.waiting.push(number);
                return;
            }
        };
        let mut records = BTreeSet::new();
        for change in changes {
            let Filed { record, origin, raw, card } = change;
            let all = stored.entry(record).or_default();
            let place = Some((row.log, row.seq));
            let known = all.iter_mut().find(|(other, _)| *other == origin);
            let changed = match known {
                Some((_, known)) if known.raw == raw => {
                    known.place = known.place.or(place);
                    known.clone()
                }
                Some((_, known)) => {
                    let why = "two changes under one number".to_owned();
                    self.event(Event::SetAside { log: row.log, seq: row.seq, why });
                    // The one with the lower hash counts, whichever came first (see `Document`).
                    if change_hash(&raw) >= change_hash(&known.raw) {
                        continue;
                    }
                    *known = ChangeRow { place, raw };
                    known.clone()
                }
                None => {
                    let new = ChangeRow { place, raw };
                    all.push((origin, new.clone()));
                    new
                }
            };
            let row_key = change_key(record, origin.log, origin.counter);
            filing.batch.put(Table::Changes, row_key, codec::encode(&changed));
            if let Ok(shown) = Card::decode(&card) {
                filing.batch.put(Table::Cards, [record.0, shown.visit.0].concat(), card);
            }
            let reader = self.reader.as_ref();
            let known = reader.and_then(|reader| reader.summaries.get(&record)).map(|row| row.area);
            filing.dirty.insert(record, known.unwrap_or(area));
            records.insert(record);
        }
        filing.batch.delete(Table::Waiting, [epoch.0.as_slice(), &number.to_be_bytes()].concat());
        filing.freed.push(number);
        filing.deliver(number, &row, records);
    }
}

/// Opens one envelope and takes its changes out.
fn open(one: Incoming) -> Opened {
    let Incoming { number, row, area, header, sealed, key, origins } = one;
    let changes = Payload::open(&header, &sealed, &key)
        .map_err(|error| error.to_string())
        .and_then(|payload| take_out(header.log, payload, &origins));
    Opened { number, row, area, epoch: header.epoch, changes }
}

pub(super) fn take_out(
    log: LogId,
    payload: Payload,
    origins: &BTreeSet<LogId>,
) -> Result<Vec<Filed>, String> {
    let log = payload.origin.unwrap_or(log);
    if !origins.contains(&log) {
        return Err("published again by another device than wrote it".to_owned());
    }
    let counters = payload.first..payload.first.saturating_add(payload.items.len() as u64);
    counters
        .zip(payload.items)
        .map(|(counter, item)| {
            let origin = Origin { log, counter };
            let raw = unpack(origin, &item.change).map_err(|error| error.to_string())?;
            Ok(Filed { record: item.record, origin, raw, card: item.card })
        })
        .collect()
}

/// Automerge's own hash of a change: SHA-256 of its chunk behind magic and checksum.
fn change_hash(raw: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(raw.get(8..).unwrap_or_default()).into()
}

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
            let room = rows.is_empty()
                || rows.len() < ENVELOPE_ITEMS_TARGET
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
        let wanted = urgent || full || met || old || !reader.seal_all.is_empty() || earlier;
        let wanted = wanted || !self.locking.is_empty();
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
        let published = self.carrier.lane.as_ref().and_then(|lane| lane.published_key(area));
        let seal = match (reader.keyring.writing_key(area), published) {
            (Some((_, key)), _) => Seal::Member(key),
            (None, Some((epoch, public))) => Seal::Outsider(epoch, public),
            (None, None) => return false,
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
