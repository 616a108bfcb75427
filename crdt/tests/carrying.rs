//! What is carried for health centres to which a device does not belong: how much is taken, when it
//! is let go, and that neither costs anybody anything.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod common;
mod raw_peer;

use common::{Host, World, complete};
use huza_crdt::control::Statement;
use huza_crdt::crypto::SymmetricKey;
use huza_crdt::envelope::{Item, Payload, Seal, Stored, Urgency};
use huza_crdt::id::{Hash, LogId, RecordId};
use huza_crdt::limits::{CARRY_MS, CARRY_RECEIPT_MS, ROOM_UNIT_BYTES};
use huza_crdt::node::{BundleScope, Carry, Command, Event, Reply};
use huza_crdt::session::frame::{Frame, Run};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;
use raw_peer::{RawPeer, batch};

const DAY_MS: u64 = 86_400_000;

/// Devices of two health centres: `there` is where the records are, `courier` belongs to the other.
struct Story {
    world: World,
    worker: Host,
    hub: Host,
    gateway: Host,
    courier: Host,
}

fn story(carry: Carry) -> Story {
    let mut world = World::new();
    let mut courier = world.device(1, Role::Worker, &["01"]);
    courier.carry = carry;
    courier.restart(false);
    world.other_centre("HC2", &["11", "12"]);
    let worker = world.device(2, Role::Worker, &["11"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    world.meet(&mut hub, &mut gateway);
    Story { world, worker, hub, gateway, courier }
}

impl Story {
    /// The worker writes, and has each person in an envelope of its own.
    fn writes(&mut self, people: usize) {
        for number in 0..people {
            self.worker.person(&format!("Routine {number}"));
            let Reply::Sealed { .. } = self.worker.call(Command::Seal) else { panic!() };
        }
    }

    /// What the worker wrote arrives at its facility, and the news of it at the courier.
    fn arrives(&mut self) {
        let Self { world, worker, hub, gateway, courier } = self;
        world.meet(worker, hub);
        world.meet(hub, gateway);
        world.meet(gateway, hub);
        world.meet(hub, courier);
        courier.pass(CARRY_RECEIPT_MS);
    }
}

/// The places of all envelopes on a disk.
fn envelopes(host: &Host) -> Vec<Vec<u8>> {
    let mut next = Some(Range::all(Table::Envelopes));
    let mut keys = Vec::new();
    while let Some(range) = next {
        let rows = host.store.load(&range);
        next = range.rest(&rows);
        keys.extend(rows.into_iter().map(|(key, _)| key));
    }
    keys
}

fn released(host: &Host) -> usize {
    let of = |event: &Event| match event {
        Event::Released { envelopes, .. } => *envelopes,
        _ => 0,
    };
    host.events.iter().map(of).sum()
}

/// What the last complete contact left out, for lack of room at the peer.
fn withheld(host: &Host) -> Option<u64> {
    host.events.iter().rev().find_map(|event| match event {
        Event::ContactComplete { stats, .. } => Some(stats.envelopes_withheld),
        _ => None,
    })
}

/// Meets, and counts the bytes of all frames.
fn cost(world: &mut World, a: &mut Host, b: &mut Host) -> usize {
    let pipe = world.open(a, b);
    let bytes = World::carry(a, b, usize::MAX);
    assert!(complete(a, pipe) && complete(b, pipe));
    a.handle(huza_crdt::node::Input::PipeClosed { pipe });
    b.handle(huza_crdt::node::Input::PipeClosed { pipe });
    bytes
}

#[test]
fn who_has_no_room_takes_what_is_urgent_and_all_of_its_own() {
    let mut story = story(Carry { bytes: 0, ..Carry::default() });
    story.writes(3);
    let record = story.worker.person("Urgent");
    story.worker.visit(record, &[("age-months", "14"), ("convulsions", "yes")]);
    let Story { world, worker, courier, .. } = &mut story;
    world.meet(worker, courier);
    let urgent = envelopes(courier).len();
    let left_out = (envelopes(worker).len() - urgent) as u64;
    assert_eq!((withheld(worker), withheld(courier)), (Some(left_out), Some(0)));
    world.meet(worker, courier);
    assert_eq!(withheld(worker), Some(left_out), "also when both know how they parted");
    assert!(urgent > 0 && urgent < envelopes(worker).len(), "{urgent}");
    let status = worker.status();
    let taken =
        |name: &str| status.records.iter().find(|one| one.name.contains(name)).unwrap().taken;
    assert_eq!((taken("Routine 1"), taken("Urgent")), (0, 1), "nobody is told that it was taken");

    // Its own health centre's it takes without any room.
    let mut own = Story { ..story };
    own.courier.person("Own");
    assert_eq!(envelopes(&own.courier).len(), urgent, "not numbered yet");
    own.courier.call(Command::Seal);
    assert_eq!(envelopes(&own.courier).len(), urgent + 1);
}

#[test]
fn nothing_new_costs_one_round_trip_though_both_hold_other_things() {
    let mut story = story(Carry { bytes: 0, ..Carry::default() });
    story.writes(5);
    let Story { world, worker, courier, .. } = &mut story;
    world.meet(worker, courier);
    assert!(envelopes(worker).len() > envelopes(courier).len());
    let met = cost(world, worker, courier);
    assert!(met <= 400, "{met} bytes both ways");
    // After a restart of either, and whoever dials.
    worker.restart(false);
    courier.restart(false);
    assert_eq!(cost(world, courier, worker), met);

    // One that does not know how they parted has the other compare.
    for (a_forgets, dials) in [(true, true), (true, false), (false, true), (false, false)] {
        let (a, b) = (&mut *worker, &mut *courier);
        let forgetful = if a_forgets { &mut *a } else { &mut *b };
        let mut forget = Batch::default();
        for (key, _) in forgetful.store.load(&Range::all(Table::Met)) {
            forget.delete(Table::Met, key);
        }
        forgetful.store.apply(&forget);
        forgetful.restart(false);
        let (dialer, dialled) = if dials { (a, b) } else { (b, a) };
        let bytes = cost(world, dialer, dialled);
        assert!(bytes > met, "they compared: {bytes}");
        assert_eq!(cost(world, dialer, dialled), met, "and know it again");
    }
    // Something new is not overlooked.
    worker.person("New");
    courier.person("New");
    let bytes = cost(world, worker, courier);
    assert!(bytes > met, "{bytes}");
}

#[test]
fn more_room_is_used_at_the_next_contact() {
    let mut story = story(Carry { bytes: 0, ..Carry::default() });
    story.writes(5);
    let Story { world, worker, courier, .. } = &mut story;
    for _ in 0..3 {
        // Also after contacts in which there was nothing to say.
        world.meet(worker, courier);
        assert_eq!(envelopes(courier).len(), 0);
    }
    courier.carry = Carry::default();
    courier.restart(false);
    world.meet(worker, courier);
    assert_eq!(envelopes(courier), envelopes(worker));
}

#[test]
fn what_arrived_is_let_go_and_never_comes_back() {
    let mut story = story(Carry::default());
    story.writes(6);
    let Story { world, worker, courier, .. } = &mut story;
    world.meet(worker, courier);
    assert_eq!(envelopes(courier).len(), 6);

    // A villager who comes late is served by whoever carries it still.
    let mut late = world.device(5, Role::Worker, &["11"]);
    let before = late.store.clone();
    world.meet(&mut late, courier);
    assert_eq!((late.found("Routine"), envelopes(&late).len()), (6, 6));
    let mut late = late.over(before);

    story.arrives();
    let Story { world, worker, hub, courier, .. } = &mut story;
    assert_eq!(
        released(courier),
        5,
        "all but the newest, which shows a copy of its author that it is one"
    );
    let left = envelopes(courier);
    assert_eq!(left.len(), 1);
    let status = courier.status();
    assert_eq!((status.released, status.envelopes), (5, 1));

    // Nobody brings it again: not the author, not the hub, not a file, not after a restart.
    courier.restart(false);
    for _ in 0..2 {
        for host in [&mut *worker, &mut *hub] {
            world.meet(host, courier);
            world.meet(courier, host);
            assert_eq!(envelopes(courier), left);
        }
    }
    let Reply::BundleBegun { bundle, .. } =
        hub.call(Command::BundleBegin { scope: BundleScope::Everything })
    else {
        panic!()
    };
    while let Reply::BundlePage { page: Some(page) } = hub.call(Command::BundlePage { bundle }) {
        let mut pages = huza_crdt::bundle::Pages::default();
        pages.push(&page);
        let Some(huza_crdt::bundle::Found::Page(sealed)) = pages.find() else { panic!() };
        let Reply::PageTaken(_) = courier.call(Command::PageTake { page: sealed }) else {
            panic!()
        };
    }
    assert_eq!(envelopes(courier), left);

    // It counts as held for nobody but the courier: who comes late gets the rest elsewhere.
    world.meet(&mut late, courier);
    assert_eq!(envelopes(&late), left);
    world.meet(&mut late, hub);
    assert_eq!(late.found("Routine"), 6);
    // What the courier counts as held costs no bytes.
    cost(world, hub, courier);
    let again = cost(world, hub, courier);
    assert!(again <= 400, "{again}");
}

#[test]
fn one_witness_is_not_enough() {
    let mut story = story(Carry::default());
    story.writes(4);
    let Story { world, worker, hub, courier, .. } = &mut story;
    world.meet(worker, courier);
    world.meet(worker, hub);
    world.meet(hub, courier);
    courier.pass(CARRY_RECEIPT_MS);
    courier.pass(DAY_MS);
    assert_eq!((released(courier), envelopes(courier).len()), (0, 4));
}

#[test]
fn after_sixty_days_it_is_let_go_in_any_case() {
    let mut story = story(Carry::default());
    story.writes(4);
    let Story { world, worker, courier, .. } = &mut story;
    world.meet(worker, courier);
    let mut days = 0;
    while released(courier) == 0 && days < 100 {
        courier.pass(DAY_MS);
        days += 1;
    }
    assert_eq!(days, CARRY_MS / DAY_MS + 1, "the day of its coming is counted from its end");
    assert_eq!(envelopes(courier).len(), 1);
    // What this device keeps, it keeps.
    for _ in 0..100 {
        worker.pass(DAY_MS);
    }
    assert_eq!(envelopes(worker).len(), 4);
}

#[test]
fn who_comes_to_belong_there_gets_back_what_it_let_go() {
    let mut story = story(Carry::default());
    story.writes(6);
    let Story { world, worker, courier, .. } = &mut story;
    world.meet(worker, courier);
    story.arrives();
    assert_eq!(envelopes(&story.courier).len(), 1);
    let Story { world, hub, courier, worker, .. } = &mut story;
    world.join(courier, Role::Worker, &["11"]);
    world.meet(courier, hub);
    assert_eq!(courier.found("Routine"), 6);
    world.meet(courier, worker);
    assert_eq!((courier.status().released, courier.status().borrowed_bytes), (0, 0));
}

/// Envelopes of so many random bytes each, of a member of another health centre.
fn flood(peer: &mut RawPeer, count: u64, bytes: usize) -> (Statement, Vec<Stored>) {
    let opening = peer.opening(peer.area, 1);
    let mut previous = Hash([0; 32]);
    let one = |seq: u64, previous| {
        let mut entropy = huza_crdt::crypto::Entropy::new([seq as u8; 32]);
        let change: Vec<u8> = (0..bytes / 32).flat_map(|_| entropy.draw::<32>()).collect();
        let item = Item { record: RecordId([1; 16]), change, card: Vec::new() };
        let payload = Payload { origin: None, first: seq, items: vec![item] };
        let seal = Seal::Member(SymmetricKey::from_bytes([9; 32]));
        let sealed = payload.seal(opening.log(), &seal, Urgency::Routine, [seq as u8; 32]).unwrap();
        sealed.number(&peer.key, opening.log(), seq, previous)
    };
    let all = (0..count).map(|seq| {
        let stored: Stored = one(seq, previous);
        previous = stored.wire.header(opening.log(), seq, previous).hash();
        stored
    });
    let all = all.collect();
    (opening, all)
}

#[test]
fn a_courier_is_filled_to_its_quota_and_no_further() {
    let quota = 3_000_000;
    let mut story = story(Carry { bytes: quota, ..Carry::default() });
    let mut peer = RawPeer::join(&mut story.world, 9, Role::Worker, "11");
    let (opening, all) = flood(&mut peer, 16, 300_000);
    let Story { world, hub, courier, .. } = &mut story;
    let pipe = peer.meet(hub);
    RawPeer::heard(hub, pipe);
    for (seq, stored) in (0..).zip(&all) {
        let needed = [&opening];
        let needed = if seq == 0 { needed.as_slice() } else { &[] };
        peer.say(hub, pipe, &batch(seq as u32, needed, &[(opening.log(), seq, stored)]));
    }
    assert_eq!(envelopes(hub).len(), 16);
    let pipe = world.meet(hub, courier);
    assert!(complete(hub, pipe) && complete(courier, pipe));
    let held = envelopes(courier).len();
    // The newest of those that fit into the room that was told, in whole units.
    assert_eq!(held, (ROOM_UNIT_BYTES / 300_186) as usize);
    let status = courier.status();
    assert!(status.borrowed_bytes <= quota && status.borrowed_bytes > ROOM_UNIT_BYTES - 300_186);
    // There is less than a unit left: nothing is offered.
    let again = cost(world, hub, courier);
    assert!(again <= 400, "{again}");
    assert_eq!(envelopes(courier).len(), held);
}

#[test]
fn who_sends_more_than_there_is_room_for_is_told_what_was_left_out() {
    let mut story = story(Carry { bytes: 100_000, ..Carry::default() });
    let mut peer = RawPeer::join(&mut story.world, 9, Role::Worker, "11");
    let (opening, all) = flood(&mut peer, 3, 60_000);
    let other = RawPeer::join(&mut story.world, 10, Role::Worker, "12");
    let Story { courier, .. } = &mut story;
    let pipe = peer.meet(courier);
    RawPeer::heard(courier, pipe);
    let log: LogId = opening.log();
    let runs: Vec<(LogId, u64, &Stored)> =
        (0..).zip(&all).map(|(seq, one)| (log, seq, one)).collect();
    peer.say(courier, pipe, &batch(0, &[&opening], &runs));
    let heard = RawPeer::heard(courier, pipe);
    let refused = |number| Frame::Refused { number, full: true, logs: [log].into() };
    let said = |heard: &[Frame], number| {
        let about = |one: &&Frame| matches!(one, Frame::Refused { .. } | Frame::Ack { .. });
        let said: Vec<&Frame> = heard.iter().filter(about).collect();
        assert_eq!(said, [&refused(number), &Frame::Ack { number }]);
    };
    said(&heard, 0);
    assert_eq!(envelopes(courier).len(), 1);
    // One run of several: of which one is not kept.
    let run = Run {
        log,
        first: 1,
        previous: all[1].previous,
        envelopes: all[1..].iter().map(|one| one.wire.clone()).collect(),
    };
    peer.say(courier, pipe, &Frame::Batch { number: 1, statements: vec![], runs: vec![run] });
    let heard = RawPeer::heard(courier, pipe);
    said(&heard, 1);
    assert!(courier.status().borrowed_bytes <= 100_000);
    drop(other);
}
