//! Carrying for others: what is taken of health centres to which this device does not belong, and
//! when it is let go.
//!
//! What a device keeps for ever follows from its certificate and its grants: [`Home`]. Of all else
//! it takes what is urgent, and the rest while there is room. It lets go of an envelope once two
//! devices of that health centre have signed that they hold it, or when it has carried it for long.
//! What was let go counts as held, so that nobody brings it again, and is offered to nobody. The
//! newest envelope of each log stays: it shows a copy of its author that it is one.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::Event;
use super::ingest::Change;
use super::state::{IngestRow, Task, key, log_key, read_log_key};
use super::transfer::range_of;
use crate::codec;
use crate::control::{Home, Lane, Receipt, ReceiptKind};
use crate::envelope::Stored;
use crate::holdings::Held;
use crate::id::{CertId, LogId};
use crate::limits::{
    CARRY_LOOKS, CARRY_MARKS, CARRY_RECEIPT_MS, RELEASED_AT_ONCE, ROOM_UNIT_BYTES, WITNESSED_MAX,
};
use crate::session::Phase;
use crate::store::{Range, Table};
use crate::time::Millis;
use crate::trust::{Issuer, Role};

/// Milliseconds between two looks at what may be let go, at least and at most. // guess
const LOOK_MS_MIN: u64 = 1_000;
const LOOK_MS_MAX: u64 = 3_600_000;

/// When envelopes came, as far as it matters for letting them go.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    /// The time counted at the end of a day, and the first ingest number after it. Ascending.
    pub(super) marks: Vec<(Millis, u64)>,
    /// Ingest numbers below this have been let go, where they may be.
    pub(super) done: u64,
}

impl Node {
    /// Bytes that are left for envelopes that are only carried.
    pub(super) fn room(&self) -> u64 {
        self.carry.bytes.saturating_sub(self.carrier.borrowed)
    }

    /// The same, as it is told to peers.
    pub(super) fn room_told(&self) -> u32 {
        u32::try_from(self.room() / ROOM_UNIT_BYTES).unwrap_or(u32::MAX)
    }

    /// Whether this device keeps a log for ever.
    pub(super) fn keeps(&self, log: &LogId) -> bool {
        let opening = self.carrier.lane.as_ref().and_then(|lane| lane.opening(log));
        opening.is_none_or(|opening| self.carrier.home.keeps(opening))
    }

    /// At start: what this device keeps, and what everything weighs.
    pub(super) fn boot_home(&mut self) {
        self.carrier.home = self.home();
        self.weigh_all();
    }

    /// What a certificate keeps may be something else than before, this device's or a peer's: then
    /// everything is weighed again, what was let go and is kept now becomes gaps, and open sessions
    /// end or plan anew.
    pub(super) fn settle_home(&mut self) {
        let home = self.home();
        if home != self.carrier.home {
            self.carrier.home = home;
            // What belongs to others now may have come long ago, and this may be undone.
            self.carrier.ages = Ages::default();
            self.carrier.met_changed.extend(self.carrier.met.keys());
            self.carrier.met.clear();
            self.weigh_all();
            for pipe in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.part(pipe);
            }
            return;
        }
        let Some(lane) = &self.carrier.lane else { return };
        let mut moved = Vec::new();
        for (pipe, session) in &mut self.sessions {
            let Some(peer) =
                session.peer.filter(|peer| lane.certificate(&peer.certificate).is_some())
            else {
                continue;
            };
            let home = lane.home(&peer.certificate);
            if home != session.home {
                session.home = home;
                moved.extend((session.phase == Phase::Transfer).then_some(*pipe));
            }
        }
        for pipe in moved {
            let claims = self.claims();
            let lane = self.carrier.lane.as_ref();
            if let Some((lane, session)) = lane.zip(self.sessions.get_mut(&pipe)) {
                session.replan(&claims, &self.carrier.holdings, lane);
            }
        }
    }

    /// What this device keeps. Everything, while its certificate is not known: nothing is let go then.
    fn home(&self) -> Home {
        let membership = self.carrier.membership.as_ref();
        let lane = self.carrier.lane.as_ref().zip(membership);
        let known = lane.filter(|(lane, me)| lane.certificate(&me.certificate).is_some());
        known.map_or_else(Home::everything, |(lane, me)| lane.home(&me.certificate))
    }

    fn weigh_all(&mut self) {
        let carrier = &mut self.carrier;
        let Some(lane) = &carrier.lane else { return };
        (carrier.borrowed, carrier.bytes) = (0, BTreeMap::new());
        let mut missed = false;
        for (log, held) in &carrier.holdings.logs {
            let Some(opening) = lane.opening(log) else { continue };
            *carrier.bytes.entry(opening.certificate).or_default() += held.bytes;
            if carrier.home.keeps(opening) {
                missed |= held.released() > 0;
            } else {
                carrier.borrowed += held.bytes;
            }
        }
        if missed {
            carrier.tasks.push_back(Task::Reopen);
        }
        if carrier.borrowed > 0 && carrier.release_at.is_none() {
            carrier.release_at = Some(self.now.millis);
        }
    }

    /// Makes gaps of what was let go of logs that this device keeps.
    pub(super) fn reopen(&mut self) {
        let mut change = self.change();
        for (log, held) in &self.carrier.holdings.logs {
            if held.released() > 0 && self.keeps(log) {
                let mut held = held.clone();
                held.reopen();
                change.logs.insert(*log, held);
            }
        }
        // Who was told that this is held is told anew.
        let reopened = !change.logs.is_empty();
        self.commit(change, move |node| {
            for pipe in node.sessions.keys().copied().filter(|_| reopened).collect::<Vec<_>>() {
                node.part(pipe);
            }
        });
    }

    /// Notes in a change that so many more bytes of a log are held, or fewer.
    pub(super) fn weigh(&self, change: &mut Change, log: &LogId, more: i64) {
        let Some(opening) = self.carrier.lane.as_ref().and_then(|lane| lane.opening(log)) else {
            return;
        };
        *change.bytes.entry(opening.certificate).or_default() += more;
        if !self.carrier.home.keeps(opening) {
            change.borrowed += more;
        }
    }

    /// A change with such weights is durable.
    pub(super) fn weighed(&mut self, change: &Change) {
        for (certificate, more) in &change.bytes {
            let bytes = self.carrier.bytes.entry(*certificate).or_default();
            *bytes = bytes.saturating_add_signed(*more);
        }
        self.carrier.borrowed = self.carrier.borrowed.saturating_add_signed(change.borrowed);
        if self.carrier.borrowed == 0 {
            self.carrier.release_at = None;
        } else if change.vouched {
            let soon = self.now.millis.plus(CARRY_RECEIPT_MS);
            let at = self.carrier.release_at.map_or(soon, |at| at.min(soon));
            self.carrier.release_at = Some(at);
        } else {
            let later = self.next_look();
            self.carrier.release_at.get_or_insert(later);
        }
    }

    fn next_look(&self) -> Millis {
        self.now.millis.plus(self.look_ms())
    }

    fn look_ms(&self) -> u64 {
        (self.carry.millis / CARRY_LOOKS).clamp(LOOK_MS_MIN, LOOK_MS_MAX)
    }

    /// Lets go of what was carried for long enough; when that is done, of what others hold.
    pub(super) fn release(&mut self) {
        let mut change = self.change();
        let looked = self.now.millis.since(self.carrier.counted.at.millis);
        let counted =
            if looked < self.look_ms() { self.counted() } else { self.count_time(&mut change) };
        let next = self.carrier.next_ingest;
        let ages = &mut self.carrier.ages;
        let mark = self.carry.millis / CARRY_MARKS;
        if ages.marks.last().is_none_or(|(at, _)| counted.since(*at) >= mark) {
            ages.marks.push((counted, next));
        }
        let old = |(at, _): &(Millis, u64)| counted.since(*at) >= self.carry.millis;
        if let Some(newest) = ages.marks.iter().rposition(old) {
            ages.marks.drain(..newest);
        }
        let end = ages.marks.first().filter(|mark| old(mark)).map_or(0, |(_, number)| *number);
        let from = ages.done;
        self.carrier.release_at = Some(self.next_look());
        if from >= end {
            let vouched = self.vouched_for();
            return self.release_of(change, vouched);
        }
        let range = Range {
            table: Table::Ingest,
            from: from.to_be_bytes().to_vec(),
            to: Some(end.to_be_bytes().to_vec()),
            rows_max: RELEASED_AT_ONCE,
        };
        self.pages(vec![range], move |node, rows| {
            let rows = rows.into_iter().flatten();
            let rows = rows.filter_map(|(row_key, value)| {
                let number = u64::from_be_bytes(row_key.try_into().ok()?);
                Some((number, codec::decode::<IngestRow>(&value).ok()?))
            });
            let rows: Vec<(u64, IngestRow)> = rows.collect();
            node.carrier.ages.done = match rows.last() {
                Some((last, _)) if rows.len() >= RELEASED_AT_ONCE => last + 1,
                _ => end,
            };
            node.carrier.release_at = Some(node.now.millis);
            let old = rows.into_iter().map(|(_, row)| (row.log, row.seq, row.seq)).collect();
            node.release_of(change, old);
        });
    }

    /// Lets go of those of these that are only carried; as many as one write takes.
    fn release_of(&mut self, mut change: Change, runs: Vec<(LogId, u64, u64)>) {
        let ages = &self.carrier.ages;
        change.batch.put(Table::CarrierMeta, key::AGES, codec::encode(&(&ages.marks, ages.done)));
        let mut places: BTreeSet<(LogId, u64)> = BTreeSet::new();
        for (log, from, to) in runs {
            let Some(held) = self.carrier.holdings.logs.get(&log) else { continue };
            let lane = self.carrier.lane.as_ref();
            let fixed = lane.is_none_or(|lane| lane.is_forked(&log) || lane.is_judged(&log));
            if fixed || self.keeps(&log) {
                continue;
            }
            let last = held.spans.last();
            let seqs = held.kept_within((from, to)).into_iter().flat_map(|(from, to)| from..=to);
            let held = seqs.filter(|seq| held.keeps(*seq) && Some(*seq) != last);
            places.extend(held.take(RELEASED_AT_ONCE).map(|seq| (log, seq)));
        }
        if places.len() > RELEASED_AT_ONCE {
            let behind = places.iter().nth(RELEASED_AT_ONCE).copied();
            behind.map(|behind| places.split_off(&behind));
            self.carrier.release_at = Some(self.now.millis);
        }
        if places.is_empty() && core::mem::take(&mut self.carrier.let_go) {
            // Nothing waits any more for a key to them.
            self.refile_waiting();
        }
        let ranges = places.iter().map(|(log, seq)| range_of(&(*log, *seq, *seq))).collect();
        self.pages(ranges, move |node, rows| {
            let mut envelopes = 0;
            let mut all = 0;
            for (row_key, value) in rows.into_iter().flatten() {
                let Some((log, seq)) = read_log_key(&row_key) else { continue };
                let Ok(stored) = codec::decode::<Stored>(&value) else { continue };
                if node.keeps(&log) {
                    continue;
                }
                let header = stored.wire.header(log, seq, stored.previous);
                let bytes = stored.wire.bytes() as u64;
                let held = || node.carrier.holdings.logs.get(&log).cloned().unwrap_or_default();
                let held: &mut Held = change.logs.entry(log).or_insert_with(held);
                held.release(seq, (stored.previous, header.hash()), bytes);
                node.weigh(&mut change, &log, 0_i64.saturating_sub_unsigned(bytes));
                change.batch.delete(Table::Envelopes, log_key(log, seq));
                envelopes += 1;
                all += bytes;
            }
            // Not offered any more from now on.
            node.carrier.holdings.logs.extend(change.logs.clone());
            node.commit(change, move |node| {
                if envelopes > 0 {
                    node.carrier.let_go = true;
                    node.event(Event::Released { envelopes, bytes: all });
                }
            });
        });
    }

    /// What is carried for others and two devices of their health centre have signed that they
    /// hold, one of them its hub.
    fn vouched_for(&self) -> Vec<(LogId, u64, u64)> {
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        let me = self.carrier.issuer().map(|(_, me)| me);
        let mut receipts: BTreeMap<LogId, Vec<(CertId, &Receipt)>> = BTreeMap::new();
        for (issuer, _, receipt) in lane.receipts() {
            let held = self.carrier.holdings.logs.get(&receipt.log);
            if let Issuer::Certified(issuer) = issuer
                && held.is_some_and(|held| held.bytes > 0)
                && !self.keeps(&receipt.log)
                && receipt.kind != ReceiptKind::Shown
                && lane.is_weighty(issuer, receipt)
                && !me.is_some_and(|me| same(lane, &me, &issuer))
            {
                let about = receipts.entry(receipt.log).or_default();
                if about.iter().filter(|(other, _)| *other == issuer).count() < WITNESSED_MAX {
                    about.push((issuer, receipt));
                }
            }
        }
        let mut vouched = Vec::new();
        for (log, receipts) in receipts {
            let Some(held) = self.carrier.holdings.logs.get(&log) else { continue };
            let hubs = receipts.iter().filter(|(issuer, receipt)| {
                receipt.kind == ReceiptKind::Stored && is_hub(lane, issuer)
            });
            for (hub, stored) in hubs {
                for (_, other) in receipts.iter().filter(|(other, _)| !same(lane, hub, other)) {
                    let both = overlaps(held, stored, other);
                    vouched.extend(both.into_iter().map(|(from, to)| (log, from, to)));
                }
            }
        }
        vouched
    }
}

fn is_hub(lane: &Lane, certificate: &CertId) -> bool {
    lane.certificate(certificate).is_some_and(|known| known.role == Role::Hub)
}

/// Whether two certificates are of one device.
fn same(lane: &Lane, one: &CertId, other: &CertId) -> bool {
    let device = |id| lane.certificate(id).map(|known| known.device);
    device(one) == device(other)
}

/// What two receipts both name. One that ends in another header than is held here speaks of another
/// history.
fn overlaps(held: &Held, one: &Receipt, other: &Receipt) -> Vec<(u64, u64)> {
    let named = |receipt: &Receipt| {
        let ranges = receipt.ranges.iter();
        let agreed =
            ranges.filter(|range| held.hash_at(range.to).is_none_or(|hash| hash == range.end));
        agreed.map(|range| (range.from, range.to)).collect::<Vec<_>>()
    };
    let (one, other) = (named(one), named(other));
    let mut both = Vec::new();
    for (from, to) in one {
        let cut = |(a, b): &(u64, u64)| (from.max(*a), to.min(*b));
        both.extend(other.iter().map(cut).filter(|(from, to)| from <= to));
    }
    both
}

/// How an envelope that is new here is weighed against the room for it.
pub(super) const fn fits(room: u64, change: &Change, bytes: u64) -> bool {
    match room.checked_add_signed(change.borrowed.saturating_neg()) {
        Some(left) => bytes <= left,
        None => false,
    }
}
