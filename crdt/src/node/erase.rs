//! Erasure: an authority orders it, carriers drop the payloads, readers forget the record.
//!
//! The order is given only by an authority device that opened every envelope concerned. It first
//! re-issues what else is in them, with the authors' proofs; carriers drop a payload only once they
//! hold that, and have held the order for a while (see `grace`). Headers and signatures stay, so that
//! logs remain whole.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandId, Event, Reply};
use super::filing::{REMAINS, waiting_key};
use super::ingest::Change;
use super::state::{
    ChangeRow, IngestRow, PendingRow, SummaryRow, Task, change_key, key, log_key, read_log_key,
};
use super::write::stored_changes;
use crate::audit::Action;
use crate::codec;
use crate::control::{EnvelopePlace, Erasure, Scope, kind};
use crate::crypto::SymmetricKey;
use crate::envelope::{
    Content, Contents, Header, Reissue, Stored, Unnumbered, Wire, seal_reissues,
};
use crate::id::{AreaTag, EpochId, Hash, LogId, Origin, RecordId, StatementId};
use crate::limits::ENVELOPE_BYTES_TARGET;
use crate::record::view_of;
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::time::Stamp;
use crate::trust::{Keyring, Role, epoch_of};

/// Envelopes that one erasure names at most, so that it fits a statement.
const GONE_MAX: usize = 64;

/// An envelope that has to go.
struct Doomed {
    place: (LogId, u64),
    header: Header,
    stored: Stored,
    key: SymmetricKey,
}

/// Envelopes that go together, and what is left of them.
struct Portion {
    gone: BTreeMap<LogId, Vec<u64>>,
    left: Option<Unnumbered>,
}

/// An erasure being prepared.
struct Order {
    id: Option<CommandId>,
    record: RecordId,
    /// An earlier order, of which more envelopes have come.
    extends: Option<StatementId>,
    area: AreaTag,
    /// The log in which this device re-issues what stays.
    log: LogId,
    key: SymmetricKey,
}

impl Node {
    /// Erases a record: finds every envelope that holds something of it.
    pub(super) fn erase(&mut self, id: CommandId, record: RecordId) {
        let row = self.reader.as_ref().and_then(|reader| reader.visible(record));
        let Some(area) = row.map(|row| row.area) else {
            let message = format!("no record {record} on this device");
            return self.decline_order(
                id,
                "unknown_record",
                &message,
                "`huza person find` finds its id; let the device catch up first",
            );
        };
        let changes = Range::prefix(Table::Changes, record.0);
        self.gather(vec![changes], move |node, rows| {
            let changes = rows.iter().flatten();
            let changes = changes.filter_map(|(_, value)| codec::decode::<ChangeRow>(value).ok());
            let places = changes.flat_map(|change| change.places().collect::<Vec<_>>()).collect();
            node.erase_places(Some(id), record, area, places);
        });
    }

    /// Envelopes came that hold something of an erased record and that no order names; or one does,
    /// and what it re-issues never came.
    pub(super) fn erase_more(&mut self, record: RecordId, mut places: BTreeSet<(LogId, u64)>) {
        places.retain(|place| !self.is_seen_to(*place));
        match self.area_of(&places) {
            Some(area) => self.erase_places(None, record, area, places),
            None => self.carrier.busy = false,
        }
    }

    fn erase_places(
        &mut self,
        id: Option<CommandId>,
        record: RecordId,
        area: AreaTag,
        places: BTreeSet<(LogId, u64)>,
    ) {
        let own = self.carrier.own.get(&area).map(|own| own.row.log);
        let lane = self.carrier.lane.as_ref();
        let key = lane.zip(self.reader.as_ref());
        let key = key.and_then(|(lane, reader)| reader.keyring.writing_key(lane, area));
        let Some((log, key)) = own.zip(key) else {
            let hint = "try again; if it stays so, this device may not write there";
            return self.decline_order_of(id, "not_ready", "the area's log is not open yet", hint);
        };
        let extends = if id.is_none() { self.order_about(record) } else { None };
        let order = Order { id, record, extends, area, log, key };
        let places: Vec<(LogId, u64)> = places.into_iter().collect();
        let exact = |(log, seq): &(LogId, u64)| Range {
            rows_max: 1,
            ..Range::prefix(Table::Envelopes, log_key(*log, *seq))
        };
        let ranges = places.iter().map(exact).collect();
        self.pages(ranges, move |node, rows| {
            let Some(doomed) = node.doomed(area, &places, rows) else {
                let hint = "let the device catch up and try again";
                let message = "an envelope with something of this record cannot be opened here";
                return node.decline_order_of(id, "not_opened", message, hint);
            };
            let mut entropy = crate::crypto::Entropy::new(node.entropy.draw());
            let (log, key) = (order.log, order.key.clone());
            let divide = move || divide(record, doomed, log, &key, &mut entropy);
            node.work("erase", divide, move |node, portions| match portions {
                Ok(portions) => node.issue_erasure(order, portions),
                Err(why) => {
                    node.decline_order_of(id, "not_opened", &why, "let it catch up and try again");
                }
            });
        });
    }

    /// The envelopes, each with its key; those that are erased already are left out. None if one
    /// has no key here.
    fn doomed(
        &self,
        area: AreaTag,
        places: &[(LogId, u64)],
        rows: Vec<Vec<Row>>,
    ) -> Option<Vec<Doomed>> {
        let reader = self.reader.as_ref()?;
        let mut doomed = Vec::new();
        for (place, row) in places.iter().zip(rows) {
            let Some((_, value)) = row.into_iter().next() else { continue };
            let stored: Stored = codec::decode(&value).ok()?;
            if matches!(stored.wire.content, Content::Erased { .. }) {
                continue;
            }
            let header = stored.wire.header(place.0, place.1, stored.previous);
            let key = reader.keyring.key(area, header.epoch)?;
            doomed.push(Doomed { place: *place, header, stored, key });
        }
        Some(doomed)
    }

    /// Writes the re-issuing envelopes and the orders, in one step; first of all the trail.
    fn issue_erasure(&mut self, order: Order, portions: Vec<Portion>) {
        let subject = order.record.to_string();
        self.audit_alone(Action::Ordered, subject, move |node| {
            let Some(key) = node.carrier.identity.as_ref().map(super::state::Identity::key) else {
                node.carrier.busy = false;
                return;
            };
            let log = order.log;
            let mut change = node.change();
            let (mut envelopes, mut statements) = (0, 0);
            for portion in portions {
                envelopes += portion.gone.values().map(Vec::len).sum::<usize>();
                let reissue = portion.left.map(|left| {
                    let last = node.held_in(&change, &log).and_then(|held| held.spans.end());
                    let seq = last.map_or(0, |span| span.to + 1);
                    let previous = last.map_or(Hash([0; 32]), |span| span.end);
                    let stored = left.number(&key, log, seq, previous);
                    let header = stored.wire.header(log, seq, previous);
                    let hash = header.hash();
                    node.add_envelope(&mut change, (&header, hash), &stored, None);
                    EnvelopePlace { log, seq, hash }
                });
                let body = node.erasure(&order, portion.gone, reissue);
                let scope = Scope::Catchment(order.area.catchment());
                let issued = node.issue(&mut change, scope, kind::ERASURE, codec::encode(&body));
                statements += usize::from(issued.is_some());
            }
            node.commit(change, move |node| {
                let Some(id) = order.id else { return };
                let hours = node.erasure_delay_ms / 3_600_000;
                let seconds = i64::try_from(node.erasure_delay_ms / 1_000).unwrap_or(i64::MAX);
                let at = Stamp(node.now.stamp.0.saturating_add(seconds));
                let done = vec![
                    format!("ordered: {envelopes} envelopes go from every device that hears of it"),
                    format!(
                        "nothing of the person is shown any more; it is destroyed here on {at}, \
                         and elsewhere some time after a device has heard of it, as its own \
                         settings say (here {hours} hours)"
                    ),
                ];
                node.reply(id, Reply::Issued { statements, done });
            });
        });
    }

    fn erasure(
        &mut self,
        order: &Order,
        gone: BTreeMap<LogId, Vec<u64>>,
        reissue: Option<EnvelopePlace>,
    ) -> Erasure {
        let epoch = epoch_of(&order.key);
        let context = record_context(order.area, epoch);
        let record = order.key.seal(&context, &order.record.0, self.entropy.draw());
        let (area, extends) = (order.area, order.extends);
        Erasure { area, gone: gone.into_iter().collect(), extends, reissue, epoch, record }
    }

    /// Removes the payloads that erasures name and that may go by now.
    pub(super) fn stub(&mut self, erasures: &[StatementId]) {
        let Some(lane) = &self.carrier.lane else {
            self.carrier.busy = false;
            return;
        };
        let logs = &self.carrier.holdings.logs;
        let mut places = BTreeSet::new();
        let ripe = erasures.iter().filter(|id| self.carrier.ripe.contains(*id));
        for erasure in ripe.filter_map(|id| lane.erasure(id)) {
            if self.carrier.has_reissue(erasure) {
                let all = erasure.gone.iter();
                let all = all.flat_map(|(log, seqs)| seqs.iter().map(|seq| (*log, *seq)));
                // What is held in a place may stand beside it, in another branch of a forked log.
                places.extend(all.filter(|(log, _)| logs.contains_key(log)));
            }
        }
        let of =
            |table| places.iter().map(move |(log, seq)| Range::prefix(table, log_key(*log, *seq)));
        let ranges = of(Table::Envelopes).chain(of(Table::Forked)).collect();
        self.gather(ranges, move |node, rows| {
            let mut change = node.change();
            let (held, forked) = rows.split_at(places.len().min(rows.len()));
            let mut envelopes = 0;
            for ((log, seq), row) in places.iter().zip(held) {
                let stored = row.first().and_then(|(_, value)| codec::decode(value).ok());
                let whole = stored.as_ref().map_or(0, |stored: &Stored| stored.wire.bytes());
                if let Some(stub) = stored.and_then(|stored| stub_of(stored, *log, *seq)) {
                    let row_key = log_key(*log, *seq);
                    change.batch.put(Table::Envelopes, row_key, codec::encode(&stub));
                    node.strip(&mut change, (*log, *seq), &stub, whole);
                    envelopes += 1;
                }
            }
            for (row_key, value) in forked.iter().flatten() {
                // Its header stays: others may lead to it.
                let place = row_key.get(..row_key.len().saturating_sub(Hash::LEN));
                let stored = codec::decode::<Stored>(value).ok();
                let stub = place.and_then(read_log_key).zip(stored);
                if let Some(stub) = stub.and_then(|((log, seq), one)| stub_of(one, log, seq)) {
                    change.batch.put(Table::Forked, row_key.clone(), codec::encode(&stub));
                    envelopes += 1;
                }
            }
            node.commit(change, move |node| {
                if envelopes > 0 {
                    node.carrier.busy = true;
                    node.scrub(StoreKind::Carrier, move |node| {
                        node.carrier.busy = false;
                        node.event(Event::Erased { envelopes, records: 0 });
                    });
                }
            });
        });
    }

    /// Notes in a change that of an envelope of `whole` bytes the stub is left.
    fn strip(&self, change: &mut Change, (log, seq): (LogId, u64), stub: &Stored, whole: usize) {
        let carrier = &self.carrier;
        let header = stub.wire.header(log, seq, stub.previous);
        let held = carrier.holdings.logs.get(&log).cloned().unwrap_or_default();
        let held = change.logs.entry(log).or_insert(held);
        held.strip(seq, header.previous, header.hash());
        let gone = whole.saturating_sub(stub.wire.bytes()) as u64;
        held.bytes = held.bytes.saturating_sub(gone);
        self.weigh(change, &log, 0_i64.saturating_sub_unsigned(gone));
    }

    /// The envelopes of this device that erasures name, in areas of which it has no key.
    pub(super) fn erased_outside(&self) -> BTreeSet<(LogId, u64)> {
        let known = (&self.carrier.lane, &self.carrier.identity, &self.reader);
        let (Some(lane), Some(identity), Some(reader)) = known else { return BTreeSet::new() };
        let device = identity.key().public();
        let mine = |log: &LogId| lane.opening(log).is_some_and(|one| one.device == device);
        let erasures = self.carrier.ripe.iter().filter_map(|id| lane.erasure(id));
        erasures
            .filter(|erasure| reader.keyring.keys_of(erasure.area).next().is_none())
            .flat_map(|erasure| &erasure.gone)
            .filter(|(log, _)| mine(log))
            .flat_map(|(log, seqs)| seqs.iter().map(|seq| (*log, *seq)))
            .collect()
    }

    /// Deletes what this device holds of the envelopes that it wrote as an outsider and that were
    /// erased. It cannot read which of the records in them is meant, and so keeps none; whoever
    /// reads there holds the others.
    pub(super) fn forget_outside(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        reader.look_outside = false;
        let ranges = vec![Range::all(Table::Changes), Range::all(Table::Cards)];
        self.gather(ranges, |node, rows| {
            let Some(reader) = &node.reader else { return };
            let (changes, cards) = rows.split_at(1);
            let goes = |row: &ChangeRow| {
                row.place.is_some() && row.places().all(|at| reader.erased_outside.contains(&at))
            };
            let mut batch = Batch::default();
            let (mut emptied, mut summaries) = (Vec::new(), Vec::new());
            for (record, all) in stored_changes(changes) {
                let (gone, left): (Vec<_>, Vec<_>) = all.iter().partition(|(_, row)| goes(row));
                if gone.is_empty() {
                    continue;
                }
                for (Origin { log, counter }, _) in gone {
                    batch.delete(Table::Changes, change_key(record, *log, *counter));
                }
                for (row_key, _) in cards.iter().flatten() {
                    if row_key.starts_with(&record.0) {
                        batch.delete(Table::Cards, row_key.clone());
                    }
                }
                let known = reader.listing.area(&record).filter(|_| !left.is_empty());
                let Some(area) = known else {
                    batch.delete(Table::Summaries, record.0);
                    emptied.push(record);
                    continue;
                };
                let left = left.into_iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
                let row = SummaryRow::of(area, &view_of(record, left), &node.forms(area));
                batch.put(Table::Summaries, record.0, codec::encode(&row));
                summaries.push(row);
            }
            let records = emptied.len() + summaries.len();
            if records == 0 {
                return node.reader_idle();
            }
            node.persist(StoreKind::Reader, batch, move |node| {
                if let Some(reader) = &mut node.reader {
                    emptied.iter().for_each(|record| reader.listing.remove(record));
                    summaries.iter().for_each(|row| reader.listing.insert(row));
                }
                node.scrub(StoreKind::Reader, move |node| {
                    node.event(Event::Erased { envelopes: 0, records });
                    node.reader_idle();
                });
            });
        });
    }

    /// Deletes everything the reader holds of the erased records, then what is left of it in the
    /// file.
    pub(super) fn forget(&mut self) {
        let role = self.role();
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let records = reader.forgetting.clone();
        let of = |table| records.iter().map(move |record| Range::prefix(table, record.0));
        // What other envelopes hold of them is to be ordered gone too: their numbers are in there.
        let ingest = [Range::all(Table::Ingest)].into_iter();
        let ingest = ingest.filter(|_| role == Some(Role::Authority));
        let ranges = of(Table::Changes).chain(of(Table::Cards)).chain(of(Table::Failed));
        let ranges = ranges.chain(ingest).collect();
        let pending = |(_, row): &(&(LogId, u64), &PendingRow)| records.contains(&row.record);
        let pending: Vec<(LogId, u64)> =
            reader.pending.iter().filter(pending).map(|(place, _)| *place).collect();
        self.gather(ranges, move |node, rows| {
            let mut batch = Batch::default();
            let (changes, rest) = rows.split_at(records.len().min(rows.len()));
            let (cards, rest) = rest.split_at(records.len().min(rest.len()));
            let (failed, ingest) = rest.split_at(records.len().min(rest.len()));
            let remains = node.remains(changes, ingest);
            for number in &remains {
                batch.put(Table::Waiting, waiting_key(REMAINS, *number), []);
            }
            for (row_key, _) in changes.iter().flatten() {
                batch.delete(Table::Changes, row_key.clone());
            }
            for (row_key, _) in cards.iter().flatten() {
                batch.delete(Table::Cards, row_key.clone());
            }
            for (row_key, _) in failed.iter().flatten() {
                batch.delete(Table::Failed, row_key.clone());
            }
            for (log, counter) in &pending {
                batch.delete(Table::Pending, log_key(*log, *counter));
            }
            for record in &records {
                batch.delete(Table::Summaries, record.0);
                batch.delete(Table::Delivered, record.0);
                batch.put(Table::ReaderMeta, [key::GONE, &record.0].concat(), []);
                node.audit(&mut batch, Action::Erased, record.to_string());
            }
            node.persist(StoreKind::Reader, batch, move |node| {
                let Some(reader) = &mut node.reader else { return };
                for place in &pending {
                    reader.pending.remove(place);
                }
                for record in &records {
                    reader.listing.remove(record);
                    reader.forgetting.remove(record);
                }
                let count = records.len();
                reader.forgotten.extend(records);
                reader.waiting.extend(remains.into_iter().map(|number| (number, REMAINS)));
                reader.reconsider();
                // What is quarantined may hold more of them.
                node.refile_waiting();
                node.scrub(StoreKind::Reader, move |node| {
                    node.event(Event::Erased { envelopes: 0, records: count });
                    node.reader_idle();
                });
            });
        });
    }

    /// Ingest numbers of envelopes with changes that are about to be forgotten and that no order
    /// names.
    fn remains(&self, changes: &[Vec<Row>], ingest: &[Vec<Row>]) -> BTreeSet<u64> {
        let unnamed = |place: &(LogId, u64)| !self.carrier.is_erased(&place.0, place.1);
        let changes = changes.iter().flatten();
        let changes = changes.filter_map(|(_, value)| codec::decode::<ChangeRow>(value).ok());
        let places: BTreeSet<(LogId, u64)> =
            changes.flat_map(|one| one.places().collect::<Vec<_>>()).filter(unnamed).collect();
        let rows = ingest.iter().flatten().filter_map(|(row_key, value)| {
            let row: IngestRow = codec::decode(value).ok()?;
            let number = u64::from_be_bytes(row_key.as_slice().try_into().ok()?);
            places.contains(&(row.log, row.seq)).then_some(number)
        });
        rows.collect()
    }

    /// Records come back that were forgotten by orders which have lost force since: everything the
    /// carrier holds is filed again.
    pub(super) fn take_back(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let back: Vec<RecordId> = reader.forgotten.difference(&reader.gone).copied().collect();
        let mut batch = Batch::default();
        for record in &back {
            batch.delete(Table::ReaderMeta, [key::GONE, &record.0].concat());
        }
        batch.put(Table::ReaderMeta, key::CURSOR, codec::encode(&0_u64));
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                for record in &back {
                    reader.forgotten.remove(record);
                }
                reader.cursor = 0;
            }
            // The order may be in force again by now.
            node.hide_erased();
            node.reader_idle();
        });
    }

    /// Plans that what came of an erased record goes too, once this device may number; the log in
    /// which the rest is re-issued may have to be opened first. Whether there was something.
    pub(super) fn plan_erase_more(&mut self) -> bool {
        if self.must_roll || self.in_doubt() {
            return false;
        }
        let next = self.reader.as_mut().and_then(|reader| reader.remains.pop_first());
        let Some((record, places)) = next else { return false };
        let areas = self.area_of(&places).into_iter().collect();
        self.open_logs(&areas);
        self.carrier.tasks.push_back(Task::EraseMore { record, places });
        true
    }

    /// The authority device that gave these orders was lost, or put back, before anybody had the
    /// envelopes that re-issue what stays: without them no carrier drops anything. An authority
    /// device that holds the payloads orders again that they go.
    pub(super) fn order_again(&mut self, late: &[StatementId]) {
        let authority = self.role() == Some(Role::Authority) && !self.is_shut_out();
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &self.reader) else { return };
        let mut again: BTreeMap<RecordId, BTreeSet<(LogId, u64)>> = BTreeMap::new();
        for erasure in late.iter().filter(|_| authority).filter_map(|id| lane.erasure(id)) {
            let places = self.carrier.payloads_of(erasure).into_iter();
            let places = places.filter(|place| !self.is_seen_to(*place));
            if let Some(record) = record_of(erasure, &reader.keyring) {
                again.entry(record).or_default().extend(places);
            }
        }
        again.retain(|_, places| !places.is_empty());
        let Some(reader) = &mut self.reader else { return };
        for (record, places) in again {
            reader.remains.entry(record).or_default().extend(places);
        }
    }

    /// Whether an order in force names this envelope, of which the re-issue has come.
    fn is_seen_to(&self, (log, seq): (LogId, u64)) -> bool {
        let lane = self.carrier.lane.as_ref();
        lane.is_some_and(|lane| {
            lane.erasures_of(&log, seq).any(|one| self.carrier.has_reissue(one))
        })
    }

    fn area_of(&self, places: &BTreeSet<(LogId, u64)>) -> Option<AreaTag> {
        let (log, _) = places.first()?;
        Some(self.carrier.lane.as_ref()?.opening(log)?.area)
    }
}

/// The record that an order names, if its name can be opened.
pub(super) fn record_of(erasure: &Erasure, keyring: &Keyring) -> Option<RecordId> {
    let key = keyring.key(erasure.area, erasure.epoch)?;
    let context = record_context(erasure.area, erasure.epoch);
    RecordId::from_slice(&key.open(&context, &erasure.record).ok()?)
}

/// What the record's id is sealed under in an erasure.
fn record_context(area: AreaTag, epoch: EpochId) -> Vec<u8> {
    [b"huza erasure 1\0".as_slice(), &area.0, &epoch.0].concat()
}

/// The envelope without its payload; none if that is gone already.
fn stub_of(stored: Stored, log: LogId, seq: u64) -> Option<Stored> {
    let header = stored.wire.header(log, seq, stored.previous);
    let Content::Sealed(_) = stored.wire.content else { return None };
    let content = Content::Erased { bytes: header.payload_bytes, hash: header.payload_hash };
    Some(Stored { wire: Wire { content, ..stored.wire }, ..stored })
}

/// Opens the envelopes and seals what is left of them, in portions that fit.
fn divide(
    record: RecordId,
    doomed: Vec<Doomed>,
    log: LogId,
    key: &SymmetricKey,
    entropy: &mut crate::crypto::Entropy,
) -> Result<Vec<Portion>, String> {
    let mut portions = Vec::new();
    let mut gone: BTreeMap<LogId, Vec<u64>> = BTreeMap::new();
    let mut left: Vec<Reissue> = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    let mut close = |gone: &mut BTreeMap<LogId, Vec<u64>>, left: &mut Vec<Reissue>| {
        if gone.is_empty() {
            return Ok(());
        }
        let left = core::mem::take(left);
        let sealed = (!left.is_empty()).then(|| seal_reissues(&left, log, key, entropy.draw()));
        let left = sealed.transpose().map_err(|error| error.to_string())?;
        portions.push(Portion { gone: core::mem::take(gone), left });
        Ok::<(), String>(())
    };
    for one in doomed {
        let Doomed { place: (log, seq), header, stored, key } = one;
        let Content::Sealed(sealed) = &stored.wire.content else { continue };
        let contents = Contents::open(&header, sealed, &key).map_err(|error| error.to_string())?;
        let more = Reissue::without(record, header, stored.wire.signature, contents);
        let size = sealed.len();
        if count >= GONE_MAX || bytes + size > ENVELOPE_BYTES_TARGET && count > 0 {
            close(&mut gone, &mut left)?;
            (bytes, count) = (0, 0);
        }
        (bytes, count) = (bytes + size, count + 1);
        gone.entry(log).or_default().push(seq);
        left.extend(more);
    }
    close(&mut gone, &mut left)?;
    Ok(portions)
}
