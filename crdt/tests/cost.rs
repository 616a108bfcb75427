//! What a contact costs, exactly: bytes of frames each way, and times that a side waited for the
//! other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::print_stdout, reason = "the figures are what a reader of this test wants")]

mod common;
mod raw_peer;

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::holdings::Held;
use huza_crdt::id::{AreaTag, Hash, LogId};
use huza_crdt::node::{Event, Input, PipeId};
use huza_crdt::session::Stats;
use huza_crdt::store::{Batch, Table};
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

/// Two carriers with the same rows that have met.
fn neighbours(logs: usize) -> (World, Host, Host, Vec<(RawPeer, Vec<LogId>)>) {
    let mut world = World::new();
    let (rows, peers) = nation(&mut world, logs);
    let mut hosts = [2, 3].map(|seed| {
        let mut host = world.device(seed, Role::Relay, &[]);
        host.store.apply(&rows);
        host.restart(false);
        host
    });
    let [a, b] = &mut hosts;
    world.meet(a, b);
    let pipe = world.meet(a, b);
    assert!(complete(a, pipe) && complete(b, pipe));
    let [a, b] = hosts;
    (world, a, b, peers)
}

/// What the last contact cost the dialer.
fn stats(host: &Host, pipe: PipeId) -> Stats {
    let ended = host.events.iter().find_map(|event| match event {
        Event::ContactEnded { pipe: ended, stats, .. } if *ended == pipe => Some(*stats),
        _ => None,
    });
    ended.unwrap()
}

fn no_more_than(what: &str, stats: Stats, (bytes, round_trips): (u64, u32)) {
    let each = (stats.bytes_sent, stats.bytes_received);
    println!("{what}: {each:?} bytes, {} round trips", stats.round_trips);
    assert!(each.0.max(each.1) <= bytes && stats.round_trips <= round_trips, "{what}: {stats:?}");
}

#[test]
fn to_learn_that_there_is_nothing_new_costs_one_round_trip() {
    for logs in [130, 5_800] {
        let (mut world, mut a, mut b, _) = neighbours(logs);
        let pipe = world.meet(&mut a, &mut b);
        no_more_than(&format!("nothing new of {logs} logs"), stats(&a, pipe), (200, 1));
    }
}

#[test]
fn one_log_that_changed_is_found_in_a_kilobyte() {
    for logs in [130, 5_800] {
        let (mut world, mut a, mut b, mut peers) = neighbours(logs);
        let (peer, written) = &mut peers[0];
        let log = written[0];
        // Somebody gives it to one of them.
        let first = peer.envelope(log, 0, Hash([0; 32]));
        let next = peer.envelope(log, 1, first.wire.header(log, 0, first.previous).hash());
        let given = peer.meet(&mut b);
        peer.say(&mut b, given, &raw_peer::batch(0, &[], &[(log, 1, &next)]));
        b.handle(Input::PipeClosed { pipe: given });
        b.sent.clear();
        let pipe = world.meet(&mut a, &mut b);
        let mut cost = stats(&a, pipe);
        assert!(complete(&a, pipe) && cost.envelopes_received == 1, "{cost:?}");
        cost.bytes_received -= next.wire.bytes() as u64;
        no_more_than(&format!("one of {logs} logs"), cost, (1_024, 4));
    }
}
