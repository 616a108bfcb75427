//! A member whose device writes without end: more logs than are kept of one author, more holes than
//! are held of one log, alerts that would always go first. What others wrote comes through.
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
use huza_crdt::codec;
use huza_crdt::control::Statement;
use huza_crdt::envelope::{Stored, Urgency};
use huza_crdt::holdings::{Held, Spans};
use huza_crdt::id::{Hash, LogId};
use huza_crdt::limits::{HELD_SPANS_MAX, STATEMENTS_PER_WORKER_MAX};
use huza_crdt::node::{Event, Input, PipeId};
use huza_crdt::session::frame::{Frame, LENGTH_BYTES};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;
use raw_peer::{RawPeer, batch};

/// A relay that holds nothing yet.
fn relay(world: &mut World, seed: u8) -> Host {
    world.device(seed, Role::Relay, &[])
}

/// So many envelopes of a log, of which those are urgent that `is_urgent` says.
fn history(
    peer: &RawPeer,
    log: LogId,
    count: u64,
    is_urgent: impl Fn(u64) -> bool,
) -> Vec<(u64, Stored)> {
    let mut previous = Hash([0; 32]);
    (0..count)
        .map(|seq| {
            let urgency = if is_urgent(seq) { Urgency::Urgent } else { Urgency::Routine };
            let stored = peer.envelope_of(log, seq, previous, (urgency, vec![0; 8]));
            previous = stored.wire.header(log, seq, previous).hash();
            (seq, stored)
        })
        .collect()
}

/// Puts these envelopes of a log, and what they need, into a carrier's rows.
fn put(rows: &mut Batch, peer: &RawPeer, opening: &Statement, envelopes: &[(u64, Stored)]) {
    let chain = peer.chain.iter().map(|bytes| Statement::from_bytes(bytes).unwrap());
    for statement in chain.chain([opening.clone()]) {
        rows.put(Table::Statements, statement.id().0, statement.to_bytes());
    }
    let log = opening.log();
    let mut held = Held::default();
    for (seq, stored) in envelopes {
        let header = stored.wire.header(log, *seq, stored.previous);
        held.insert(*seq, header.previous, header.hash(), header.urgency == Urgency::Urgent);
        let key = [log.0.as_slice(), &seq.to_be_bytes()].concat();
        rows.put(Table::Envelopes, key, codec::encode(stored));
    }
    if !envelopes.is_empty() {
        rows.put(Table::Frontiers, log.0, codec::encode(&held));
    }
}

fn started_over(mut host: Host, rows: &Batch) -> Host {
    host.store.apply(rows);
    host.restart(false);
    host
}

fn held(host: &Host, log: LogId) -> usize {
    let range = Range { rows_max: usize::MAX, ..Range::prefix(Table::Envelopes, log.0) };
    host.store.load(&range).len()
}

/// How the session on a pipe ended by a fault, if it did.
fn fault(host: &Host, wanted: PipeId) -> Option<String> {
    host.events.iter().find_map(|event| match event {
        Event::ContactEnded { pipe, fault, .. } if *pipe == wanted => {
            fault.as_ref().map(ToString::to_string)
        }
        _ => None,
    })
}

/// Carries all that two hosts have to say on a pipe, and gives what `from` said in its order.
fn overheard(from: &mut Host, to: &mut Host, pipe: PipeId) -> Vec<Frame> {
    let mut said = Vec::new();
    loop {
        let (there, back) = (core::mem::take(&mut from.sent), core::mem::take(&mut to.sent));
        if there.is_empty() && back.is_empty() {
            return said;
        }
        for (_, bytes) in there {
            said.push(Frame::from_bytes(&bytes[LENGTH_BYTES..]).unwrap());
            to.handle(Input::Received { pipe, bytes });
        }
        for (_, bytes) in back {
            from.handle(Input::Received { pipe, bytes });
        }
    }
}

/// The envelopes in these frames, in their order.
fn envelopes(said: &[Frame]) -> Vec<(LogId, u64)> {
    let mut all = Vec::new();
    for frame in said {
        let Frame::Batch { runs, .. } = frame else { continue };
        for run in runs {
            all.extend((run.first..).zip(&run.envelopes).map(|(seq, _)| (run.log, seq)));
        }
    }
    all
}

/// Two hubs keep different logs of a device that has opened twice as many as are kept of one. They
/// refuse each other those, and nothing else.
#[test]
fn more_logs_than_are_kept_of_one_author_do_not_keep_others_out() {
    let mut world = World::new();
    let mut flood = RawPeer::join(&mut world, 60, Role::Worker, "01");
    let mut honest = RawPeer::join(&mut world, 61, Role::Worker, "01");
    let mut logs = Vec::new();
    let mut hubs: Vec<Host> = (0..2_u8)
        .map(|side| {
            let mut rows = Batch::default();
            for number in 0..STATEMENTS_PER_WORKER_MAX {
                let opening = flood.opening(flood.area, side);
                let count = if number < 100 { 3 } else { 0 };
                let history = history(&flood, opening.log(), count, |_| true);
                put(&mut rows, &flood, &opening, &history);
            }
            let opening = honest.opening(honest.area, side);
            put(&mut rows, &honest, &opening, &history(&honest, opening.log(), 50, |_| false));
            logs.push(opening.log());
            started_over(relay(&mut world, 3 + side), &rows)
        })
        .collect();
    let (one, other) = hubs.split_at_mut(1);
    let (one, other) = (&mut one[0], &mut other[0]);
    let pipe = world.open(one, other);
    let said = overheard(one, other, pipe);
    assert_eq!((fault(one, pipe), fault(other, pipe)), (None, None));
    for host in [&*one, &*other] {
        assert_eq!(logs.iter().map(|log| held(host, *log)).collect::<Vec<_>>(), [50, 50]);
    }
    // Each was told so, and sends nothing twice.
    let sent = envelopes(&said);
    let refused: Vec<LogId> = said
        .iter()
        .filter_map(|frame| match frame {
            Frame::Refused { logs, .. } => Some(logs.iter().copied()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(!refused.is_empty());
    assert_eq!(sent.iter().collect::<std::collections::BTreeSet<_>>().len(), sent.len());
    // What is written now still comes over, in the same session.
    let opening = honest.opening(honest.area, 9);
    let alert = history(&honest, opening.log(), 1, |_| true);
    let given = honest.meet(one);
    honest.say(one, given, &batch(0, &[&opening], &[(opening.log(), 0, &alert[0].1)]));
    one.sent.retain(|(to, _)| *to == pipe);
    overheard(one, other, pipe);
    assert_eq!(held(other, opening.log()), 1);
    // Nothing that was refused is told as taken.
    logs.push(opening.log());
    for host in [one, other] {
        host.handle(Input::PipeClosed { pipe });
        let taken = host.store.load(&Range::all(Table::Taken));
        assert!(!taken.is_empty());
        assert!(taken.iter().all(|(key, _)| logs.iter().any(|log| key.starts_with(&log.0))));
    }
}

/// A log with far more scattered alerts than spans are held of one log comes over whole.
#[test]
fn a_log_with_many_alerts_comes_over_whole() {
    let mut world = World::new();
    let mut peer = RawPeer::join(&mut world, 60, Role::Worker, "01");
    let opening = peer.opening(peer.area, 1);
    let log = opening.log();
    let all = history(&peer, log, 3 * HELD_SPANS_MAX as u64, |seq| seq % 2 == 1);
    let mut rows = Batch::default();
    put(&mut rows, &peer, &opening, &all);
    let mut from = started_over(relay(&mut world, 3), &rows);
    // Once to who holds nothing, once to who holds as many spans as it may.
    let mut holes = Batch::default();
    let scattered: Vec<_> =
        all.iter().filter(|(seq, _)| seq % 2 == 1).take(HELD_SPANS_MAX).cloned().collect();
    put(&mut holes, &peer, &opening, &scattered);
    for (seed, rows) in [(4, Batch::default()), (5, holes)] {
        let mut to = started_over(relay(&mut world, seed), &rows);
        let pipe = world.meet(&mut from, &mut to);
        assert!(complete(&from, pipe) && complete(&to, pipe));
        assert_eq!(held(&to, log), all.len());
    }
}

/// What would be one span too many is refused aloud, what closes a gap is let in.
#[test]
fn what_touches_a_span_comes_in_and_what_does_not_is_told_as_refused() {
    let mut world = World::new();
    let mut peer = RawPeer::join(&mut world, 60, Role::Worker, "01");
    let opening = peer.opening(peer.area, 1);
    let log = opening.log();
    let all = history(&peer, log, 2 * HELD_SPANS_MAX as u64 + 60, |_| false);
    let scattered: Vec<_> =
        all.iter().filter(|(seq, _)| seq % 2 == 0).take(HELD_SPANS_MAX).cloned().collect();
    let mut rows = Batch::default();
    put(&mut rows, &peer, &opening, &scattered);
    let mut host = started_over(relay(&mut world, 3), &rows);
    let pipe = peer.meet(&mut host);
    RawPeer::heard(&mut host, pipe);
    let mut give = |number, seqs: &[u64]| {
        let runs: Vec<_> = seqs.iter().map(|seq| (log, *seq, &all[*seq as usize].1)).collect();
        peer.say(&mut host, pipe, &batch(number, &[], &runs));
        let heard = RawPeer::heard(&mut host, pipe);
        assert!(heard.contains(&Frame::Ack { number }), "{heard:?}");
        let refused = heard.contains(&Frame::Refused { number, logs: [log].into() });
        (held(&host, log), refused)
    };
    let last = 2 * HELD_SPANS_MAX as u64;
    assert_eq!(give(0, &[last + 40]), (HELD_SPANS_MAX, true));
    assert_eq!(give(1, &[3]), (HELD_SPANS_MAX + 1, false), "it closes a gap");
    assert_eq!(give(2, &[last + 40]), (HELD_SPANS_MAX + 2, false), "there is room again");
    let run = [last + 36, last + 37, last + 38, last + 39];
    assert_eq!(give(3, &run), (HELD_SPANS_MAX + 6, false), "the last one touches, then the others");
    let spans: Held = codec::decode(&host.store.load(&Range::all(Table::Frontiers))[0].1).unwrap();
    let spans: &Spans = &spans.spans;
    assert_eq!(spans.as_slice().len(), HELD_SPANS_MAX);
}

/// One device's alerts without end do not keep another's alert, or everybody's routine, waiting.
#[test]
fn a_flood_of_alerts_takes_its_turn() {
    let mut world = World::new();
    let mut flood = RawPeer::join(&mut world, 60, Role::Worker, "01");
    let mut honest = RawPeer::join(&mut world, 61, Role::Worker, "01");
    let mut rows = Batch::default();
    let mut openings = Vec::new();
    for life in 0..4 {
        let opening = flood.opening(flood.area, life);
        put(&mut rows, &flood, &opening, &history(&flood, opening.log(), 300, |_| true));
        openings.push(opening);
    }
    let opening = honest.opening(honest.area, 1);
    let log = opening.log();
    put(&mut rows, &honest, &opening, &history(&honest, log, 31, |seq| seq == 7));
    let mut from = started_over(relay(&mut world, 3), &rows);
    let mut to = relay(&mut world, 4);
    let pipe = world.open(&mut from, &mut to);
    let said = overheard(&mut from, &mut to, pipe);
    assert!(complete(&from, pipe) && complete(&to, pipe));
    let sent = envelopes(&said);
    assert_eq!(sent.len(), 4 * 300 + 31);
    let at = |seq: u64| sent.iter().position(|one| *one == (log, seq)).unwrap();
    assert!(at(7) <= 2, "the alert is {}th", at(7));
    let last = (0..31).map(at).max().unwrap();
    // Behind its share of alerts, and two pieces of each of its logs, as of any.
    assert!(last < 32 + 2 * 4 * 32 + 31, "the last routine envelope is {last}th of {}", sent.len());
}
