//! The reader follows the carrier: it has envelopes opened, and files their changes. Here is which
//! envelopes are filed when; what one of them changes is in [`change`].

mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::change::Filing;
use super::Node;
use super::open::{Incoming, Opened, open};
use super::state::{ChangeRow, IngestRow, Reader, SummaryRow, key, log_key};
use super::transfer::range_of;
use super::write::stored_changes;
use crate::codec;
use crate::control::Lane;
use crate::envelope::{Content, Stored};
use crate::id::{AreaTag, DeviceKey, EpochId, LogId, Origin, RecordId};
use crate::limits::LOAD_ROWS_MAX;
use crate::record::{Forms, view_of};
use crate::session::Session;
use crate::store::{Range, Row, StoreKind, Table};
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

/// A record with all its changes, and the forms of its area.
type Filable = (RecordId, AreaTag, Vec<(Origin, ChangeRow)>, Forms);

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
        filing.published = self.carrier.published.changes;
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
                Some(changes) if !changes.is_empty() => {
                    documents.push((record, area, changes, self.forms(area)));
                }
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
            if filing.published != node.carrier.published.changes {
                // A form did.
                node.list_unread();
            }
            node.reader_idle();
        });
    }
}

/// Key of an envelope that waits: for a key of this epoch, or for another reason.
pub(super) fn waiting_key(epoch: EpochId, number: u64) -> Vec<u8> {
    [epoch.0.as_slice(), &number.to_be_bytes()].concat()
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

fn summarise((record, area, changes, forms): Filable) -> SummaryRow {
    let changes = changes.iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
    SummaryRow::of(area, &view_of(record, changes), &forms)
}
