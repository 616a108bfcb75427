//! What a contact costs, exactly: bytes of frames each way, and round trips, of a link on which what
//! both sides say at once passes each other; and what leaves first in it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::print_stdout, reason = "the figures are what a reader of this test wants")]

mod common;
mod raw_peer;

use std::collections::VecDeque;

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::control::{Reason, Statement};
use huza_crdt::holdings::Held;
use huza_crdt::id::{AreaTag, Hash, LogId};
use huza_crdt::node::{Input, Order, PipeId, Reply};
use huza_crdt::session::frame::{Frame, take_frame};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;
use raw_peer::RawPeer;

/// Logs of each author in [`nation`].
const LOGS_EACH: usize = 100;

/// Rows of a carrier that holds one envelope of each of so many logs, and everything they need.
/// Nobody here reads them, so the payloads are noise; each log's is its own.
fn nation(world: &mut World, logs: usize) -> (Batch, Vec<(RawPeer, Vec<LogId>)>) {
    let mut rows = Batch::default();
    let mut peers = Vec::new();
    for author in 0..logs.div_ceil(LOGS_EACH) {
        let seed = u8::try_from(author % 200).unwrap();
        let mut peer = RawPeer::join(world, seed, Role::Worker, "01");
        for statement in &peer.chain {
            let statement = huza_crdt::control::Statement::from_bytes(statement).unwrap();
            rows.put(Table::Statements, statement.id().0, statement.to_bytes());
        }
        let mut written = Vec::new();
        for number in 0..LOGS_EACH.min(logs - author * LOGS_EACH) {
            let life = u8::try_from(number).unwrap();
            let area: AreaTag = peer.area;
            let opening = peer.opening(area, life);
            let log = opening.log();
            let stored = peer.envelope(log, 0, Hash([0; 32]));
            let header = stored.wire.header(log, 0, stored.previous);
            let mut held = Held::default();
            written.push(log);
            held.insert(0, header.previous, header.hash(), false);
            held.bytes = stored.wire.bytes() as u64;
            rows.put(Table::Statements, opening.id().0, opening.to_bytes());
            rows.put(Table::Frontiers, log.0, codec::encode(&held));
            rows.put(
                Table::Envelopes,
                [log.0.as_slice(), &0_u64.to_be_bytes()].concat(),
                codec::encode(&stored),
            );
        }
        peers.push((peer, written));
    }
    (rows, peers)
}

/// Two carriers with the same rows that never met.
fn strangers(logs: usize) -> (World, Host, Host, Vec<(RawPeer, Vec<LogId>)>) {
    let mut world = World::new();
    let (rows, peers) = nation(&mut world, logs);
    let [a, b] = [2, 3].map(|seed| {
        let mut host = world.device(seed, Role::Relay, &[]);
        host.store.apply(&rows);
        host.restart(false);
        host
    });
    (world, a, b, peers)
}

/// Two carriers with the same rows that have met.
fn neighbours(logs: usize) -> (World, Host, Host, Vec<(RawPeer, Vec<LogId>)>) {
    let (mut world, mut a, mut b, peers) = strangers(logs);
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&a, pipe) && complete(&b, pipe));
    (world, a, b, peers)
}

/// What a contact cost.
#[derive(Debug, Default)]
struct Cost {
    /// Bytes of frames that the dialer and the other side said, batches apart.
    beside: [usize; 2],
    /// Bytes of batches.
    batches: usize,
    /// Times that something passed the link, one way or both at once, until both were done.
    trips: u32,
    /// The same, before the first batch left.
    before: Option<u32>,
}

impl Cost {
    /// Carries everything that two hosts have to say to each other, all of it one way at a time.
    fn of(a: &mut Host, b: &mut Host, pipe: PipeId) -> Self {
        let mut cost = Self::default();
        while !(complete(a, pipe) && complete(b, pipe)) {
            let said = [&mut *a, &mut *b].map(|host| {
                let frames = host.sent.drain(..).filter(|(to, _)| *to == pipe);
                frames.flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>()
            });
            assert!(said.iter().any(|said| !said.is_empty()), "{cost:?}");
            for (beside, said) in cost.beside.iter_mut().zip(&said) {
                let mut buffer = said.clone();
                while let Some(bytes) = take_frame(&mut buffer).unwrap() {
                    if matches!(Frame::from_bytes(&bytes), Ok(Frame::Batch { .. })) {
                        cost.batches += bytes.len();
                        cost.before.get_or_insert(cost.trips);
                    } else {
                        *beside += 4 + bytes.len();
                    }
                }
            }
            cost.trips += 1;
            let [from_a, from_b] = said;
            b.handle(Input::Received { pipe, bytes: from_a });
            a.handle(Input::Received { pipe, bytes: from_b });
        }
        a.handle(Input::PipeClosed { pipe });
        b.handle(Input::PipeClosed { pipe });
        cost
    }

    /// At most so many bytes beside batches each way, and so many round trips before the first
    /// batch, or without one to the end.
    fn no_more_than(&self, what: &str, bytes: usize, round_trips: u32) {
        println!("{what}: {self:?}, at most {bytes} bytes, {round_trips} round trips");
        assert!(self.beside.iter().all(|beside| *beside <= bytes), "{what}: {self:?}");
        assert!(self.before.unwrap_or(self.trips).div_ceil(2) <= round_trips, "{what}: {self:?}");
    }
}

fn contact(world: &mut World, a: &mut Host, b: &mut Host) -> Cost {
    let pipe = world.open(a, b);
    Cost::of(a, b, pipe)
}

/// Somebody gives `host` the next envelope of so many logs, and takes nothing.
fn grow(host: &mut Host, peers: &mut [(RawPeer, Vec<LogId>)], mut logs: usize) {
    for (peer, written) in peers {
        let grown: Vec<_> = written
            .iter()
            .take(logs)
            .map(|log| {
                let first = peer.envelope(*log, 0, Hash([0; 32]));
                let previous = first.wire.header(*log, 0, first.previous).hash();
                (*log, 1, peer.envelope(*log, 1, previous))
            })
            .collect();
        logs -= grown.len();
        let given = peer.meet(host);
        let runs: Vec<_> = grown.iter().map(|(log, seq, next)| (*log, *seq, next)).collect();
        peer.say(host, given, &raw_peer::batch(0, &[], &runs));
        host.handle(Input::PipeClosed { pipe: given });
        host.sent.clear();
        if logs == 0 {
            return;
        }
    }
}

#[test]
fn to_learn_that_there_is_nothing_new_costs_one_round_trip() {
    let (mut world, mut a, mut b, _) = neighbours(130);
    let cost = contact(&mut world, &mut a, &mut b);
    cost.no_more_than("nothing new of 130 logs", 200, 1);
}

/// One of them keeps what the other does not even carry.
#[test]
fn neighbours_with_other_quotas_who_met_before_pay_no_more_to_learn_it() {
    for logs in [130, 5_800] {
        let mut world = World::new();
        let (rows, _) = nation(&mut world, logs);
        let mut a = world.device(2, Role::Relay, &[]);
        a.store.apply(&rows);
        a.restart(false);
        world.other_centre("HC2", &["11"]);
        let mut b = world.device(3, Role::Relay, &[]);
        b.carry.bytes = 0;
        b.restart(false);
        let met = world.meet(&mut a, &mut b);
        assert!(complete(&a, met) && complete(&b, met));
        assert_eq!((a.status().envelopes, b.status().envelopes), (logs as u64, 0));
        let cost = contact(&mut world, &mut a, &mut b);
        cost.no_more_than(&format!("nothing new of {logs} logs, other quotas"), 200, 1);
        assert_eq!((cost.batches, cost.before), (0, None), "{cost:?}");
    }
}

#[test]
fn to_become_acquainted_costs_one_round_trip_more() {
    let (mut world, mut a, mut b, _) = strangers(130);
    let cost = contact(&mut world, &mut a, &mut b);
    cost.no_more_than("nothing new of 130 logs, never met", 1_000, 2);
    assert_eq!((cost.batches, cost.before), (0, None), "{cost:?}");
}

#[test]
fn one_log_that_changed_is_found_in_a_kilobyte() {
    for logs in [130, 5_800] {
        for given_to_dialer in [true, false] {
            let (mut world, mut a, mut b, mut peers) = neighbours(logs);
            grow(if given_to_dialer { &mut a } else { &mut b }, &mut peers, 1);
            let cost = contact(&mut world, &mut a, &mut b);
            let whose = if given_to_dialer { "the dialer's" } else { "the other's" };
            let what = format!("1 of {logs} logs, {whose}");
            cost.no_more_than(&what, 1_024, 2);
        }
    }
}

/// The bounds at a nation's size and at a tenth of it. Takes half a minute, most of it to sign what
/// is compared.
#[test]
fn at_a_nations_size_a_difference_costs_what_differs() {
    for (all, news) in [
        (5_800, vec![(58, 8_000, 5), (580, 64_000, 6)]),
        (58_000, vec![(1, 2_000, 3), (580, 64_000, 6), (5_800, 640_000, 8)]),
    ] {
        let (mut world, mut a, mut b, mut peers) = neighbours(all);
        let cost = contact(&mut world, &mut a, &mut b);
        cost.no_more_than(&format!("nothing new of {all} logs"), 200, 1);
        for (logs, bytes, round_trips) in news {
            grow(&mut a, &mut peers, logs);
            let cost = contact(&mut world, &mut a, &mut b);
            cost.no_more_than(&format!("{logs} of {all} logs"), bytes, round_trips);
            peers.rotate_left(logs.div_ceil(LOGS_EACH));
        }
    }
}

/// A link of so many bytes in ten milliseconds each way, which take so many steps of ten
/// milliseconds to pass.
struct Link {
    bytes: usize,
    steps: usize,
    /// What waits to be put on it, from the dialer and from the other.
    waiting: [Vec<u8>; 2],
    /// What is on it, a step each.
    under_way: [VecDeque<Vec<u8>>; 2],
}

impl Link {
    fn new(bytes: usize, steps: usize) -> Self {
        let empty = || VecDeque::from(vec![Vec::new(); steps]);
        Self { bytes, steps, waiting: Default::default(), under_way: [empty(), empty()] }
    }

    /// Ten milliseconds pass.
    fn step(&mut self, hosts: [&mut Host; 2], pipe: PipeId) {
        let arrived = [0, 1].map(|way: usize| {
            let sent = hosts[way].sent.drain(..).filter(|(to, _)| *to == pipe);
            self.waiting[way].extend(sent.flat_map(|(_, bytes)| bytes));
            let leaves = self.bytes.min(self.waiting[way].len());
            let leaving = self.waiting[way].drain(..leaves).collect();
            self.under_way[way].push_back(leaving);
            assert_eq!(self.under_way[way].len(), self.steps + 1);
            self.under_way[way].pop_front().unwrap()
        });
        let [from_a, from_b] = arrived;
        for (host, bytes) in hosts.into_iter().zip([from_b, from_a]) {
            host.pass(10);
            if !bytes.is_empty() {
                host.handle(Input::Received { pipe, bytes });
            }
        }
    }
}

/// Seconds, by the clock of a link of 20 kB/s and 50 ms each way, until a red alert that is written
/// in the middle of a first sync is shown at the other end.
#[test]
fn a_red_alert_overtakes_a_first_sync() {
    let mut world = World::new();
    let (rows, _) = nation(&mut world, 3_000);
    let mut phone = world.device(2, Role::Worker, &["02"]);
    phone.store.apply(&rows);
    phone.restart(false);
    let mut hub = world.device(3, Role::Hub, &[]);
    let pipe = world.open(&mut phone, &mut hub);
    let mut link = Link::new(200, 5);
    for _ in 0..2_000 {
        link.step([&mut phone, &mut hub], pipe);
    }
    let record = phone.person("Uwase");
    phone.visit(record, &[("age-months", "14"), ("convulsions", "yes")]);
    let mut steps = 0;
    while hub.show(record).is_none() {
        for _ in 0..10 {
            link.step([&mut phone, &mut hub], pipe);
        }
        steps += 10;
        assert!(steps < 300, "more than three seconds");
    }
    println!("a red alert passed a first sync in {} ms", steps * 10);
    assert!(!complete(&phone, pipe), "the first sync was over");
}

/// Somebody is shut out in the middle of a first sync, whose certificate has not left yet.
#[test]
fn a_revocation_in_mid_contact_takes_along_what_it_needs() {
    let mut world = World::new();
    let (rows, peers) = nation(&mut world, 10_000);
    let [mut authority, mut carrier] =
        [(4, Role::Authority), (5, Role::Relay)].map(|(seed, role)| {
            let mut host = world.device(seed, role, &[]);
            host.store.apply(&rows);
            host.restart(false);
            host
        });
    world.meet(&mut authority, &mut carrier);
    let mut phone = world.device(3, Role::Relay, &[]);
    let pipe = world.open(&mut carrier, &mut phone);
    let mut link = Link::new(200, 5);
    for _ in 0..40 {
        link.step([&mut carrier, &mut phone], pipe);
    }
    // Certificates leave in the order of their ids.
    let statement =
        |peer: &RawPeer| Statement::from_bytes(peer.chain.last().unwrap()).unwrap().id();
    let (peer, _) = peers.iter().max_by_key(|(peer, _)| statement(peer)).unwrap();
    let held = phone.store.load(&Range::prefix(Table::Statements, statement(peer).0));
    assert!(held.is_empty(), "it has left already");
    let certificate = peer.membership.certificate;
    let order = Order::Revoke { certificate, reason: Reason::Stolen, trust: true, rotate: false };
    assert!(matches!(authority.order(order), Reply::Issued { .. }));
    world.meet(&mut authority, &mut carrier);
    let mut steps = 0;
    while !(complete(&carrier, pipe) && complete(&phone, pipe)) {
        link.step([&mut carrier, &mut phone], pipe);
        steps += 1;
        assert!(steps < 60_000, "ten minutes");
    }
}
