//! Full fidelity: a `huza_crdt::Node` for every phone and hub of a [`Plan`], with real seals,
//! signatures and merges, in virtual time.
//!
//! Enter at [`run`]. What a contact carries are the frames that nodes say, at the rate of its link;
//! what arrives is what became durable. Nothing here knows how the protocol works. Each hub has a
//! gateway of its own, also a node, with which it is in contact while it has internet: a record is
//! delivered when it is durable at a gateway, also at one of another health centre.
//!
//! Before the plan begins everybody is enrolled and has met the hub, and people are registered whom
//! the records are about. Records are sealed one by one: see `full/body.rs`.
//!
//! What is left out: disks and processors take no time, and what was sent arrives. Hints by gossip
//! are not passed on: they only hurry what open contacts bring anyway.

mod air;
mod body;

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::{Carry, Event as NodeEvent, Input, PipeId};
use huza_crdt::trust::Role;

use self::air::Air;
use self::body::{Lengths, Person};
use super::plan::{Day, Event, Passed, Plan, RecordId, Watch};
use super::sized::Load;
use crate::draw::Draw;
use crate::field::{Field, Place};
use crate::movement::{Contact, DAY_MS, Record};

/// Microseconds, of which the clock here counts.
const MS: u64 = 1_000;

/// Milliseconds until a contact whose pipe was closed by a node is tried again.
const REDIAL_MS: u64 = 1_000;

/// Records that are about one person.
const RECORDS_OF_PERSON: usize = 8;

/// Carries out a plan, and returns what each node went through; none if a node did not do what it
/// was told, which is a bug. Keys, and what is in the records, are drawn from `seed`. `progress` hears
/// of each day that is over.
#[must_use]
pub fn run(
    plan: &dyn Plan,
    seed: u64,
    watch: &mut dyn Watch,
    progress: &mut dyn FnMut(u64),
) -> Option<Vec<Load>> {
    let mut run = Run::new(plan, seed, watch)?;
    for day in 0..plan.place().days {
        run.begin_day(plan.day(day));
        while run.step((day + 1) * DAY_MS * MS)? {}
        progress(day);
    }
    for meeting in run.meetings.keys().copied().collect::<Vec<_>>() {
        run.end(plan.place().days * DAY_MS * MS, meeting)?;
    }
    run.loads.truncate(plan.place().phones.len() + plan.place().hubs);
    Some(run.loads)
}

/// What can happen, in the order in which it does if it is at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A meeting ends.
    End(usize),
    /// A record is written.
    Write(usize),
    /// A meeting begins, or is tried again.
    Begin(usize),
    /// A node wants to be woken.
    Wake(usize),
}

/// A contact, or a time in which a hub is in contact with its gateway.
#[derive(Debug, Clone, Copy)]
struct Meeting {
    nodes: (usize, usize),
    to_ms: u64,
    bytes_per_s: Option<u64>,
    /// If it is one that is watched.
    passed: Option<Passed>,
}

/// A record that was written, or will be today.
#[derive(Debug, Clone, Copy)]
struct Written {
    id: RecordId,
    record: Record,
    /// Its envelopes; 0 before it is written.
    envelopes: usize,
    /// Whether a gateway has it.
    delivered: bool,
}

/// Contacts in which a node is, and the most in which it was at once since it was in none.
#[derive(Debug, Clone, Copy, Default)]
struct Crowd {
    now: u64,
    most: u64,
}

struct Run<'a> {
    watch: &'a mut dyn Watch,
    place: super::plan::Place,
    field: Field,
    draw: Draw,
    lengths: Lengths,
    people: Vec<Vec<Person>>,
    due: BTreeSet<(u64, Happening)>,
    wakes: Vec<Option<u64>>,
    air: Air,
    /// Open pipes, and the meeting in which each is.
    pipes: BTreeMap<PipeId, usize>,
    next_pipe: u64,
    /// Those that are to come today and those that are not over.
    meetings: BTreeMap<usize, Meeting>,
    next_meeting: usize,
    /// Meetings that are on, by their nodes, and the pipe if one is open.
    on: BTreeMap<(usize, usize), (BTreeSet<usize>, Option<PipeId>)>,
    records: Vec<Written>,
    /// Records of each phone.
    counts: Vec<usize>,
    /// Key of an envelope -> the record that it belongs to, and its length.
    envelopes: BTreeMap<Vec<u8>, (usize, u64)>,
    /// Record, node -> envelopes of the record that are there.
    held: BTreeMap<(usize, usize), usize>,
    /// Records that have come just now.
    fresh: Vec<usize>,
    /// Pipes that were closed before both ends held the same.
    cut: BTreeSet<PipeId>,
    /// By node; and bytes of envelopes that it holds.
    loads: Vec<Load>,
    stored: Vec<u64>,
    crowds: Vec<Crowd>,
}

impl<'a> Run<'a> {
    /// Everybody is enrolled, and has met the hub.
    fn new(plan: &dyn Plan, seed: u64, watch: &'a mut dyn Watch) -> Option<Self> {
        let place = plan.place().clone();
        let field = enrol(&place, seed)?;
        let nodes = field.devices.len();
        let mut run = Self {
            watch,
            place,
            field,
            draw: Draw::new(seed, "full"),
            lengths: Lengths::default(),
            people: Vec::new(),
            due: BTreeSet::new(),
            wakes: vec![None; nodes],
            air: Air::default(),
            pipes: BTreeMap::new(),
            // Behind those of the enrolment.
            next_pipe: 1 << 32,
            meetings: BTreeMap::new(),
            next_meeting: 0,
            on: BTreeMap::new(),
            records: Vec::new(),
            counts: vec![0; nodes],
            envelopes: BTreeMap::new(),
            held: BTreeMap::new(),
            fresh: Vec::new(),
            cut: BTreeSet::new(),
            loads: vec![Load::default(); nodes],
            stored: vec![0; nodes],
            crowds: vec![Crowd::default(); nodes],
        };
        run.register(plan, seed)?;
        let phones = run.place.phones.len();
        for _ in 0..2 {
            for phone in 0..phones {
                let hub = phones + run.place.phones.get(phone)?.hub;
                run.field.meet(phone, hub);
            }
            for hub in phones..phones + run.place.hubs {
                run.field.meet(hub, run.gateway(hub));
            }
        }
        for node in 0..nodes {
            let device = run.field.devices.get_mut(node)?;
            device.take_all_sent();
            device.take_closed();
            device.take_stored();
            run.look(0, node);
        }
        Some(run)
    }

    /// Registers as many people on each phone as its records are about, and finds out how to make
    /// these as long as they shall be.
    fn register(&mut self, plan: &dyn Plan, seed: u64) -> Option<()> {
        let mut counts = vec![0_usize; self.place.phones.len()];
        let mut longest = 0;
        for day in 0..self.place.days {
            for record in plan.day(day).records {
                *counts.get_mut(record.phone)? += 1;
                longest = longest.max(record.bytes);
            }
        }
        self.lengths = Lengths::measured(longest, seed)?;
        let now = self.field.now();
        for (phone, records) in counts.into_iter().enumerate() {
            let (count, source) = (records.div_ceil(RECORDS_OF_PERSON), format!("phone {phone}"));
            let device = self.field.devices.get_mut(phone)?;
            self.people.push(Person::register(count, &source, device, now)?);
        }
        Some(())
    }

    /// The node of the gateway of a hub.
    const fn gateway(&self, hub: usize) -> usize {
        hub + self.place.hubs
    }

    fn begin_day(&mut self, day: Day) {
        self.watch.met(&day.tallies);
        for contact in day.contacts {
            let Contact { from_ms, to_ms, nodes, link, .. } = contact;
            let bytes_per_s = self.place.rates.get(link as usize).copied().flatten();
            let none = [0; 2];
            let passed =
                Passed { contact, host: 0, bytes: none, carried: none, new: none, cut: false };
            let passed = Some(passed);
            self.plan(from_ms, Meeting { nodes, to_ms, bytes_per_s, passed });
        }
        for (hub, (from_ms, to_ms)) in day.internet {
            let nodes = (hub, self.gateway(hub));
            self.plan(from_ms, Meeting { nodes, to_ms, bytes_per_s: None, passed: None });
        }
        for record in day.records {
            let Some(count) = self.counts.get_mut(record.phone) else { continue };
            let id = RecordId { phone: record.phone, number: *count };
            *count += 1;
            self.due.insert((record.at_ms * MS, Happening::Write(self.records.len())));
            self.records.push(Written { id, record, envelopes: 0, delivered: false });
        }
    }

    fn plan(&mut self, from_ms: u64, meeting: Meeting) {
        let number = self.next_meeting;
        self.next_meeting += 1;
        self.due.insert((from_ms * MS, Happening::Begin(number)));
        self.due.insert((meeting.to_ms * MS, Happening::End(number)));
        self.meetings.insert(number, meeting);
    }

    /// Lets the next thing happen, if there is one before `until`. None: a bug.
    fn step(&mut self, until: u64) -> Option<bool> {
        let due = self.due.first().map(|(at, _)| *at);
        let arrival = self.air.next();
        let Some(at) = due.into_iter().chain(arrival).min().filter(|at| *at < until) else {
            return Some(false);
        };
        self.field.at = at / MS;
        if due != Some(at) {
            self.arrive(at);
            return Some(true);
        }
        let (_, what) = self.due.pop_first()?;
        match what {
            Happening::Begin(meeting) => self.begin(at, meeting)?,
            Happening::End(meeting) => self.end(at, meeting)?,
            Happening::Write(record) => self.write(at, record)?,
            Happening::Wake(node) => {
                *self.wakes.get_mut(node)? = None;
                self.feed(at, node, Input::Tick);
            }
        }
        Some(true)
    }

    fn begin(&mut self, at: u64, meeting: usize) -> Option<()> {
        // One that is tried again may be over meanwhile.
        let Some(nodes) = self.meetings.get(&meeting).map(|meeting| meeting.nodes) else {
            return Some(());
        };
        let on = self.on.entry(nodes).or_default();
        let (first, idle) = (on.0.insert(meeting), on.1.is_none());
        if first && self.meetings.get(&meeting)?.passed.is_some() {
            for node in [nodes.0, nodes.1] {
                let Crowd { now, most } = self.crowds.get_mut(node)?;
                *now += 1;
                *most = (*most).max(*now);
                let load = self.loads.get_mut(node)?;
                load.at_once = load.at_once.max(*now);
            }
        }
        if idle {
            self.open(at, nodes)?;
        }
        Some(())
    }

    fn end(&mut self, at: u64, meeting: usize) -> Option<()> {
        let nodes = self.meetings.get(&meeting)?.nodes;
        let began = self.on.get_mut(&nodes).is_some_and(|(on, _)| on.remove(&meeting));
        let pipe = self.on.get(&nodes).and_then(|(_, pipe)| *pipe);
        if let Some(pipe) = pipe.filter(|pipe| self.pipes.get(pipe) == Some(&meeting)) {
            self.close(at, pipe)?;
            self.open(at, nodes)?;
        }
        if let Some(mut passed) = self.meetings.remove(&meeting)?.passed.filter(|_| began) {
            let mut most = [0; 2];
            for (node, most) in [nodes.0, nodes.1].into_iter().zip(&mut most) {
                let crowd = self.crowds.get_mut(node)?;
                *most = crowd.most;
                crowd.now -= 1;
                if crowd.now == 0 {
                    crowd.most = 0;
                }
            }
            passed.host = usize::from(most[1] > most[0]);
            self.watch.see(Event::Parted(passed));
        }
        Some(())
    }

    /// Opens a pipe between two nodes, if they are in contact.
    fn open(&mut self, at: u64, nodes: (usize, usize)) -> Option<()> {
        let (meetings, open) = self.on.get_mut(&nodes)?;
        let Some(meeting) = meetings.first().copied() else {
            self.on.remove(&nodes);
            return Some(());
        };
        let pipe = PipeId(self.next_pipe);
        self.next_pipe += 1;
        *open = Some(pipe);
        self.pipes.insert(pipe, meeting);
        let ends = [nodes.0, nodes.1];
        self.air.open(pipe, ends, self.meetings.get(&meeting)?.bytes_per_s);
        let binding = self.draw.bytes();
        for (node, dialer) in ends.into_iter().zip([true, false]) {
            self.feed(at, node, Input::PipeOpened { pipe, dialer, binding });
        }
        Some(())
    }

    /// A pipe is closed, for both.
    fn close(&mut self, at: u64, pipe: PipeId) -> Option<()> {
        let meeting = self.pipes.remove(&pipe)?;
        let nodes = self.meetings.get(&meeting)?.nodes;
        self.on.get_mut(&nodes)?.1.take_if(|open| *open == pipe);
        let lost = self.air.close(at, pipe);
        for node in [nodes.0, nodes.1] {
            self.feed(at, node, Input::PipeClosed { pipe });
        }
        let cut = self.cut.remove(&pipe) || lost;
        if let Some(passed) = &mut self.meetings.get_mut(&meeting)?.passed {
            passed.cut = cut;
        }
        Some(())
    }

    fn write(&mut self, at: u64, number: usize) -> Option<()> {
        let written = self.records.get_mut(number)?;
        let Record { phone, danger, bytes, .. } = written.record;
        let person = self.people.get(phone)?.get(written.id.number / RECORDS_OF_PERSON)?;
        let content = self.lengths.content(bytes, danger);
        let now = self.field.now();
        let device = self.field.devices.get_mut(phone)?;
        let envelopes = content.write(device, (person, now), &mut self.draw)?;
        written.envelopes = envelopes.len();
        self.watch.see(Event::Written { id: written.id, record: written.record });
        for (key, bytes) in envelopes {
            self.store(phone, bytes);
            self.envelopes.insert(key, (number, bytes));
        }
        self.look(at, phone);
        Some(())
    }

    /// The next thing that is on the air has arrived.
    fn arrive(&mut self, at: u64) -> Option<()> {
        let ((pipe, from), bytes) = self.air.take()?;
        let number = *self.pipes.get(&pipe)?;
        let nodes = self.meetings.get(&number)?.nodes;
        let ends = [nodes.0, nodes.1];
        let (from_node, to) = (*ends.get(from)?, *ends.get(1 - from)?);
        let length = bytes.len() as u64;
        self.fresh.clear();
        self.feed(at, to, Input::Received { pipe, bytes });
        let fresh = core::mem::take(&mut self.fresh);
        let passed = self.meetings.get_mut(&number)?.passed.as_mut()?;
        *passed.bytes.get_mut(from)? += length;
        *passed.new.get_mut(1 - from)? += fresh.len() as u64;
        let records = fresh.iter().filter_map(|record| self.records.get(*record));
        let others = records.map(|one| one.record).filter(|record| record.phone != from_node);
        *passed.carried.get_mut(from)? += others.map(|record| record.bytes).sum::<u64>();
        Some(())
    }

    fn feed(&mut self, at: u64, node: usize, input: Input) {
        let now = self.field.now();
        if let Some(device) = self.field.devices.get_mut(node) {
            device.handle(now, input);
            self.look(at, node);
        }
    }

    /// What a node has done.
    fn look(&mut self, at: u64, node: usize) {
        let Some(device) = self.field.devices.get_mut(node) else { return };
        let (said, closed) = (device.take_all_sent(), device.take_closed());
        let (stored, deadline) = (device.take_stored(), device.deadline());
        for event in device.events.drain(..) {
            match event {
                NodeEvent::ContactEnded { pipe, complete: false, .. } => {
                    self.cut.insert(pipe);
                }
                NodeEvent::Released { bytes, .. } => {
                    if let Some(stored) = self.stored.get_mut(node) {
                        *stored = stored.saturating_sub(bytes);
                    }
                }
                _ => {}
            }
        }
        for key in stored {
            self.keep(at, node, &key);
        }
        let due = deadline.map(|due| (due * MS).max(at + 1));
        if let Some(wake) = self.wakes.get_mut(node).filter(|wake| **wake != due) {
            let before = core::mem::replace(wake, due);
            before.map(|at| self.due.remove(&(at, Happening::Wake(node))));
            due.map(|at| self.due.insert((at, Happening::Wake(node))));
        }
        for (pipe, bytes) in said {
            let meeting = self.pipes.get(&pipe).and_then(|meeting| self.meetings.get(meeting));
            let Some(Meeting { nodes, .. }) = meeting else { continue };
            self.air.say(at, (pipe, usize::from(nodes.0 != node)), bytes);
        }
        for pipe in closed {
            if let Some(meeting) = self.pipes.get(&pipe).copied() {
                self.close(at, pipe);
                self.due.insert((at + REDIAL_MS * MS, Happening::Begin(meeting)));
            }
        }
    }

    /// An envelope is durable on a node.
    fn keep(&mut self, at: u64, node: usize, key: &[u8]) {
        let Some((number, bytes)) = self.envelopes.get(key).copied() else { return };
        self.store(node, bytes);
        let held = self.held.entry((number, node)).or_default();
        *held += 1;
        let Some(written) = self.records.get_mut(number).filter(|one| *held == one.envelopes)
        else {
            return;
        };
        self.fresh.push(number);
        let (id, at_ms, phones) = (written.id, at.div_ceil(MS), self.place.phones.len());
        let home = self.place.phones.get(id.phone).map(|home| phones + home.hub);
        if node >= phones + self.place.hubs {
            if !core::mem::replace(&mut written.delivered, true) {
                self.watch.see(Event::Delivered { at_ms, record: id });
            }
        } else if home == Some(node) || self.watch.wants_all() {
            self.watch.see(Event::Arrived { at_ms, record: id, node });
        }
    }

    fn store(&mut self, node: usize, bytes: u64) {
        if let Some((stored, load)) = self.stored.get_mut(node).zip(self.loads.get_mut(node)) {
            *stored += bytes;
            load.stored_peak = load.stored_peak.max(*stored);
        }
    }
}

/// Founds a programme with these health centres, and enrols the phones, the hubs, and a gateway
/// beside each hub, in this order.
fn enrol(place: &super::plan::Place, seed: u64) -> Option<Field> {
    let code = |village: usize| village.to_string();
    let villages_of = |hub: usize| {
        let here = place.phones.iter().filter(move |home| home.hub == hub);
        here.map(|home| home.village).collect::<BTreeSet<usize>>()
    };
    let centres: Vec<(String, Vec<String>)> = (0..place.hubs)
        .map(|hub| (format!("HC{hub}"), villages_of(hub).into_iter().map(code).collect()))
        .collect();
    let mut field = Field::with_centres(seed, &centres)?;
    let carry = Carry { bytes: place.carry_bytes, millis: place.carry_ms };
    for home in &place.phones {
        let villages = [code(home.village)];
        field.add_at(
            "worker",
            Role::Worker,
            Place { centre: home.hub, villages: &villages, carry },
        )?;
    }
    for role in [Role::Hub, Role::Gateway] {
        for centre in 0..place.hubs {
            field.add_at("worker", role, Place { centre, villages: &[], carry })?;
        }
    }
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::movement::Kind;
    use crate::network::plan::{self, Home, Written as WrittenPlan};
    use crate::scenario::LinkKind;

    #[derive(Default)]
    struct Log(Vec<Event>);

    impl Watch for Log {
        fn wants_all(&self) -> bool {
            true
        }

        fn see(&mut self, event: Event) {
            self.0.push(event);
        }
    }

    #[test]
    fn records_travel_along_contacts_and_come_no_earlier() {
        let contact = |from_ms, to_ms, nodes, link| {
            let kind = Kind::VillagePair;
            Contact { from_ms, to_ms, nodes, kind, link }
        };
        let record = |at_ms, phone, danger, bytes| Record { at_ms, phone, danger, bytes };
        let plan = WrittenPlan {
            place: plan::Place {
                phones: (0..3).map(|village| Home { hub: 0, village }).collect(),
                hubs: 1,
                days: 1,
                rates: [Some(20_000), Some(100_000), Some(1_000_000)],
                carry_bytes: 1 << 20,
                carry_ms: 60 * DAY_MS,
            },
            all: Day {
                records: vec![
                    record(1_000, 0, false, 1_200),
                    record(1_100, 0, true, 900),
                    record(120_000, 2, false, 150_000),
                ],
                contacts: vec![
                    contact(2_000, 62_000, (0, 1), LinkKind::Ble),
                    contact(100_000, 160_000, (1, 3), LinkKind::Hotspot),
                    contact(110_000, 150_000, (2, 3), LinkKind::Hotspot),
                ],
                internet: vec![(3, (130_000, 190_000))],
                ..Day::default()
            },
        };
        let mut log = Log::default();
        run(&plan, 1, &mut log, &mut |_| ()).unwrap();
        let mut again = Log::default();
        run(&plan, 1, &mut again, &mut |_| ()).unwrap();
        assert_eq!(log.0, again.0);

        let mut arrived = Vec::new();
        let (mut delivered, mut passed) = (Vec::new(), Vec::new());
        for event in log.0 {
            match event {
                Event::Arrived { at_ms, record, node } => {
                    arrived.push((at_ms, record.phone, record.number, node));
                }
                Event::Delivered { at_ms, record } => {
                    delivered.push((at_ms, record.phone, record.number));
                }
                Event::Parted(one) => passed.push(one),
                Event::Written { .. } => {}
            }
        }
        let places = arrived.iter().map(|(_, phone, number, at)| (*phone, *number, *at));
        let places: Vec<_> = places.collect();
        // What is urgent comes first, and what is new goes on at once.
        let expected = [
            (0, 1, 1),
            (0, 0, 1),
            (0, 1, 3),
            (0, 0, 3),
            (0, 1, 2),
            (0, 0, 2),
            (2, 0, 3),
            (2, 0, 1),
        ];
        assert_eq!(places, expected);
        let soonest = [2_045, 2_105, 100_001, 100_002, 110_001, 110_002, 120_150, 120_300];
        for ((at, ..), soonest) in arrived.iter().zip(soonest) {
            assert!((soonest..soonest + 60).contains(at), "{at}, {soonest} at the earliest");
        }
        assert_eq!(delivered, [(130_000, 0, 1), (130_000, 0, 0), (130_000, 2, 0)]);
        let new: Vec<_> = passed.iter().map(|one| (one.new, one.cut)).collect();
        assert_eq!(new, [([0, 2], false), ([2, 1], false), ([1, 2], false)]);
        for (one, all) in passed.iter().zip([2_100, 152_100, 152_100]) {
            let bytes: u64 = one.bytes.iter().sum();
            assert!((all..all + 4_500).contains(&bytes), "{bytes} for {all}");
        }
    }
}
