//! How fast a revocation reaches the devices of a health centre, beside how fast records reach its
//! hub.
//!
//! The pattern of contacts, all of it open to change in [`Pattern`]: phones are spread evenly over
//! villages on a grid; colleagues of one village meet now and then, seldom those of neighbouring
//! villages (left, right, above, below); each phone comes to the hub about monthly, some weekly;
//! the first authority device is at the hub each working day, the second weekly. Contacts take
//! place between 7 and 18 o'clock. A trace of measured contacts may take the place of meetings
//! between phones.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::control::Reason;
use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Event, Order, Reply};
use huza_crdt::trust::Role;

use crate::draw::Draw;
use crate::field::Field;
use crate::host::BEGIN;
use crate::stats::reached;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Everybody has met everybody else's envelopes by then.
const WARM_UP_DAYS: u64 = 2;

/// Who meets whom, how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Workers' phones.
    pub phones: usize,
    /// Villages, on a grid six wide.
    pub villages: usize,
    /// Meetings in 1000 days of two phones of one village. // reference: 0.5 a day
    pub colleagues_per_mille: u64,
    /// Meetings in 1000 days of a phone with one of a neighbouring village. // reference: 0.03
    pub neighbours_per_mille: u64,
    /// Days between a phone's visits to the hub, on average.
    pub visit_days: u64,
    /// Phones in 1000 that come every seven days instead.
    pub weekly_per_mille: u64,
    /// After how many days it is given up.
    pub days: u64,
    /// Measured contacts between phones instead: second, phone, phone; repeated when at its end.
    pub trace: Vec<(u64, usize, usize)>,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            phones: 100,
            villages: 30,
            colleagues_per_mille: 500,
            neighbours_per_mille: 30,
            visit_days: 30,
            weekly_per_mille: 100,
            days: 90,
            trace: Vec::new(),
        }
    }
}

/// What one seed gave, in hours; none where it was not reached in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Until 50, 90, 99 % of devices knew the revocation.
    pub known: [Option<u64>; 3],
    /// Until 50, 90, 99 % of the routine records of that day were at the hub.
    pub routine: [Option<u64>; 3],
    /// The same of urgent ones.
    pub urgent: [Option<u64>; 3],
    /// Contacts after the revocation.
    pub contacts: u64,
    /// Bytes exchanged in them.
    pub bytes: u64,
}

/// The shares that are told, in per cent.
pub const SHARES: [usize; 3] = [50, 90, 99];

/// One contact.
type Meeting = (u64, usize, usize);

/// Runs a seed. None if the world cannot be set up.
#[must_use]
pub fn run(pattern: &Pattern, seed: u64) -> Option<Outcome> {
    let mut field = Field::new(seed, pattern.villages)?;
    let hub = field.add(Role::Hub, &[])?;
    let authorities = [field.add(Role::Authority, &[])?, field.add(Role::Authority, &[])?];
    let first = field.devices.len();
    for phone in 0..pattern.phones {
        field.add(Role::Worker, &[Field::village(phone % pattern.villages)])?;
    }
    let meetings = plan(pattern, (hub, authorities, first), seed);
    // All have been enrolled at the centre, in its network.
    for _ in 0..2 {
        for device in 0..field.devices.len() {
            if device != hub {
                field.meet(device, hub);
            }
        }
    }
    let mut story = Story::new(&mut field, pattern, first, seed);
    let begin = WARM_UP_DAYS * DAY_MS + 9 * HOUR_MS;
    let end = begin + pattern.days * DAY_MS;
    let mut writes: BTreeSet<(u64, usize, bool)> = story.writes(&mut field, begin);
    let mut ordered = false;
    for (at, one, other) in meetings.into_iter().filter(|(at, ..)| *at < end) {
        if at >= begin && !ordered {
            field.at = begin;
            ordered = true;
            story.revoke(&mut field, authorities[0])?;
        }
        while writes.first().is_some_and(|(due, ..)| *due <= at) {
            let Some((due, phone, urgent)) = writes.pop_first() else { break };
            field.at = due;
            story.write(&mut field, phone, urgent)?;
        }
        field.at = at;
        let bytes = field.meet(one, other);
        if ordered {
            story.contacts += 1;
            story.bytes += bytes;
            story.look(&mut field, &[one, other], hub);
            if story.is_over() {
                break;
            }
        }
    }
    Some(story.outcome(begin))
}

/// What is being watched.
struct Story {
    /// The phone that is lost.
    lost: usize,
    phones: std::ops::Range<usize>,
    knows: BTreeMap<usize, u64>,
    devices: usize,
    /// Records under way: whether urgent, written when.
    under_way: BTreeMap<RecordId, (bool, u64)>,
    /// Hours from writing to the hub.
    arrived: [Vec<u64>; 2],
    written: [usize; 2],
    to_write: usize,
    contacts: u64,
    bytes: u64,
}

impl Story {
    fn new(field: &mut Field, pattern: &Pattern, first: usize, seed: u64) -> Self {
        let lost = Draw::new(seed, "lost").below(pattern.phones as u64);
        let lost = first + usize::try_from(lost).unwrap_or_default();
        for device in &mut field.devices {
            device.events.clear();
        }
        Self {
            lost,
            phones: first..first + pattern.phones,
            knows: BTreeMap::new(),
            // The lost one is not to be waited for.
            devices: field.devices.len() - 1,
            under_way: BTreeMap::new(),
            arrived: [Vec::new(), Vec::new()],
            written: [0, 0],
            to_write: 0,
            contacts: 0,
            bytes: 0,
        }
    }

    /// On the day of the revocation each phone records one person; every tenth has an urgent
    /// visit.
    fn writes(&mut self, field: &mut Field, begin: u64) -> BTreeSet<(u64, usize, bool)> {
        let mut all = BTreeSet::new();
        for phone in self.phones.clone().filter(|phone| *phone != self.lost) {
            let at = begin + field.draw.below(9 * HOUR_MS);
            all.insert((at, phone, false));
            if phone % 10 == 0 {
                all.insert((at + 1, phone, true));
            }
        }
        self.to_write = all.len();
        all
    }

    fn revoke(&mut self, field: &mut Field, authority: usize) -> Option<()> {
        let status = field.call(self.lost, Command::Status { records: false });
        let Some(Reply::Status(status)) = status else { return None };
        let (certificate, reason) = (status.certificate?, Reason::Stolen);
        let order = Order::Revoke { certificate, reason, trust: true, rotate: true };
        let reply = field.call(authority, Command::Order(Box::new(order)));
        self.look(field, &[authority], authority);
        matches!(reply, Some(Reply::Issued { .. })).then_some(())
    }

    fn write(&mut self, field: &mut Field, phone: usize, urgent: bool) -> Option<()> {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let reply = if urgent {
            // Of somebody new, so that its arrival can be told from the other's.
            let person = Command::AddPerson {
                area: AreaRef::Own,
                fields: text(&[("name/given", "Urgent")]),
            };
            let Some(Reply::Written { record, .. }) = field.call(phone, person) else {
                return None;
            };
            let answers =
                text(&[("age-months", "14"), ("convulsions", "yes"), ("temperature", "39.1")]);
            let occurred = huza_crdt::time::Stamp(BEGIN);
            let form = "sick-child".to_owned();
            field.call(phone, Command::AddVisit { record, form, occurred, answers })
        } else {
            let fields = text(&[("name/given", "Routine"), ("sex", "female")]);
            field.call(phone, Command::AddPerson { area: AreaRef::Own, fields })
        };
        let Some(Reply::Written { record, .. }) = reply else { return None };
        self.under_way.insert(record, (urgent, field.at));
        if let Some(written) = self.written.get_mut(usize::from(urgent)) {
            *written += 1;
        }
        Some(())
    }

    /// Who knows by now, and what is at the hub.
    fn look(&mut self, field: &mut Field, met: &[usize], hub: usize) {
        let at = field.at;
        for id in met.iter().filter(|id| **id != self.lost) {
            let Some(device) = field.devices.get_mut(*id) else { continue };
            let heard = |event: &Event| matches!(event, Event::Revoked { .. });
            if device.events.iter().any(heard) {
                self.knows.entry(*id).or_insert(at);
            }
            device.events.clear();
        }
        if !met.contains(&hub) {
            return;
        }
        for record in self.under_way.keys().copied().collect::<Vec<_>>() {
            let shown = field.call(hub, Command::Show { record });
            if !matches!(shown, Some(Reply::Shown { .. })) {
                continue;
            }
            if let Some((urgent, written)) = self.under_way.remove(&record)
                && let Some(arrived) = self.arrived.get_mut(usize::from(urgent))
            {
                arrived.push((at - written).div_ceil(HOUR_MS));
            }
        }
    }

    fn is_over(&self) -> bool {
        let written: usize = self.written.iter().sum();
        self.knows.len() == self.devices && self.under_way.is_empty() && written == self.to_write
    }

    fn outcome(&self, begin: u64) -> Outcome {
        let known: Vec<u64> =
            self.knows.values().map(|at| at.saturating_sub(begin).div_ceil(HOUR_MS)).collect();
        let [routine, urgent] = &self.arrived;
        let [all_routine, all_urgent] = self.written;
        Outcome {
            known: SHARES.map(|share| reached(&known, self.devices, share)),
            routine: SHARES.map(|share| reached(routine, all_routine, share)),
            urgent: SHARES.map(|share| reached(urgent, all_urgent, share)),
            contacts: self.contacts,
            bytes: self.bytes,
        }
    }
}

/// All contacts, in their order.
fn plan(
    pattern: &Pattern,
    (hub, authorities, first): (usize, [usize; 2], usize),
    seed: u64,
) -> Vec<Meeting> {
    let draw = &mut Draw::new(seed, "contacts");
    let mut all: Vec<Meeting> = Vec::new();
    let village = |phone: usize| phone % pattern.villages.max(1);
    let period = |weekly: bool| if weekly { 7 } else { pattern.visit_days.max(1) };
    let weekly: Vec<bool> =
        (0..pattern.phones).map(|_| draw.chance(pattern.weekly_per_mille)).collect();
    let days = WARM_UP_DAYS + pattern.days + 1;
    for day in 0..days {
        let time = |draw: &mut Draw| day * DAY_MS + 7 * HOUR_MS + draw.below(11 * HOUR_MS);
        for one in 0..pattern.phones {
            if pattern.trace.is_empty() {
                for other in one + 1..pattern.phones {
                    if village(one) == village(other) && draw.chance(pattern.colleagues_per_mille) {
                        all.push((time(draw), first + one, first + other));
                    }
                }
                let near: Vec<usize> = (0..pattern.phones)
                    .filter(|other| are_neighbours(village(one), village(*other)))
                    .collect();
                if draw.chance(pattern.neighbours_per_mille)
                    && let Some(other) = draw.pick(&near).copied()
                {
                    all.push((time(draw), first + one, first + other));
                }
            }
            let days = period(weekly.get(one).copied().unwrap_or_default());
            if draw.below(days) == 0 {
                all.push((time(draw), first + one, hub));
            }
        }
        if day % 7 < 5 {
            all.push((day * DAY_MS + 8 * HOUR_MS, authorities[0], hub));
            all.push((day * DAY_MS + 17 * HOUR_MS, authorities[0], hub));
        }
        if draw.below(7) == 0 {
            all.push((time(draw), authorities[1], hub));
        }
    }
    let length = pattern.trace.iter().map(|(at, ..)| at + 1).max().unwrap_or(1) * 1_000;
    let length = length.div_ceil(DAY_MS) * DAY_MS;
    let mut begin = 0;
    while begin < days * DAY_MS && !pattern.trace.is_empty() {
        for (at, one, other) in &pattern.trace {
            if *one < pattern.phones && *other < pattern.phones && one != other {
                all.push((begin + at * 1_000, first + one, first + other));
            }
        }
        begin += length;
    }
    all.sort_unstable();
    all
}

/// Whether two villages of the grid lie side by side.
fn are_neighbours(one: usize, other: usize) -> bool {
    const WIDTH: usize = 6;
    let beside = (one % WIDTH).abs_diff(other % WIDTH);
    let below = (one / WIDTH).abs_diff(other / WIDTH);
    beside + below == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_lie_side_by_side() {
        assert!(are_neighbours(0, 1) && are_neighbours(0, 6) && are_neighbours(7, 8));
        assert!(!are_neighbours(5, 6), "the other end of the next row");
        assert!(!are_neighbours(3, 3) && !are_neighbours(0, 7));
    }

    #[test]
    fn a_small_field_comes_to_know_a_revocation_and_repeats_itself() {
        let pattern =
            Pattern { phones: 6, villages: 3, visit_days: 3, days: 40, ..Pattern::default() };
        let outcome = run(&pattern, 1).unwrap();
        assert!(outcome.known[0].is_some() && outcome.routine[2].is_some(), "{outcome:?}");
        assert!(outcome.known[0] <= outcome.known[2]);
        assert_eq!(run(&pattern, 1), Some(outcome));
    }
}
