//! What one envelope changes in the reader: which of its changes are filed, set apart, published again
//! or left out, and what it waits for.

use std::collections::{BTreeMap, BTreeSet};

use super::{HOPELESS, QUARANTINED, REMAINS, UNOPENED, waiting_key};
use crate::codec;
use crate::control::{Lane, Quarantine};
use crate::id::{AreaTag, EpochId, LogId, Origin, RecordId};
use crate::node::Node;
use crate::node::api::Event;
use crate::node::open::{Filed, Opened, Unfit};
use crate::node::state::{ChangeRow, DeliverRow, IngestRow, PendingRow, change_key, log_key};
use crate::record::Card;
use crate::store::{Batch, Table};
use crate::trust::Role;

/// One write of the reader, in the making.
#[derive(Default)]
pub(super) struct Filing {
    pub(super) batch: Batch,
    /// Whether what is filed has to be delivered.
    pub(super) gateway: bool,
    /// Records with new changes, and their areas.
    pub(super) dirty: BTreeMap<RecordId, AreaTag>,
    /// Changes that are pending again.
    pub(super) again: Vec<((LogId, u64), PendingRow)>,
    /// Pending changes that have a place now.
    pub(super) settled: Vec<(LogId, u64)>,
    /// Ingest numbers that wait from now on, wait no longer, have to be delivered.
    pub(super) waiting: Vec<(u64, EpochId)>,
    pub(super) freed: Vec<u64>,
    pub(super) deliveries: Vec<u64>,
    /// Of those that had to be, those that are quarantined since.
    pub(super) recalled: Vec<u64>,
    /// The state of the keyring with which keys were looked for, and the openings known then.
    pub(super) keyrings: u64,
    pub(super) openings: usize,
    /// The state of the forms by which records are listed.
    pub(super) published: u64,
    /// Records of which nothing is left.
    pub(super) emptied: Vec<RecordId>,
    /// Whether something of it was written as an outsider and erased since.
    pub(super) look_outside: bool,
    /// Envelopes that hold something of an erased record.
    pub(super) remains: BTreeMap<RecordId, BTreeSet<(LogId, u64)>>,
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

    /// The envelope was opened, or is empty: it waits no longer, unless there is another reason.
    pub(super) fn settle(&mut self, number: u64, epoch: EpochId, waits: Option<EpochId>) {
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

impl Node {
    /// An envelope of this device: its changes are filed already; now they have a place.
    pub(super) fn mark_own(
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

    pub(super) fn file_one(
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
        let card = Vec::new();
        let pending = PendingRow { record, area, bytes, urgent, alone: false, card };
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

/// Automerge's own hash of a change: SHA-256 of its chunk behind magic and checksum.
fn change_hash(raw: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(raw.get(8..).unwrap_or_default()).into()
}
