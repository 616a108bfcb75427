//! What a member with a valid certificate and bad intentions may send, and what becomes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail loudly"
)]

mod common;
mod raw_peer;

use common::{Host, World, complete};
use huza_crdt::control::{Receipt, ReceiptKind, ReceiptRange, Scope, Statement};
use huza_crdt::envelope::{Content, Unnumbered, Urgency};
use huza_crdt::holdings::Span;
use huza_crdt::id::{CatchmentTag, EpochId, Hash, LogId, StatementId, StoreId};
use huza_crdt::limits::{
    BATCHES_IN_FLIGHT_MAX, EARLY_BYTES_MAX, FLIGHT_BYTES_MAX, FRAME_BYTES_MAX, HELLO_MS_MAX,
    PAYLOAD_BYTES_MAX, SESSIONS_MAX, SILENCE_MS_MAX, SUMMARY_LOGS_MAX, SUMMARY_SPANS_MAX,
    SUMMARY_STATEMENTS_MAX,
};
use huza_crdt::node::{Event, Input, PipeId};
use huza_crdt::session::Fault;
use huza_crdt::session::frame::Frame;
use huza_crdt::trust::Role;
use raw_peer::{RawPeer, batch};

fn fault(host: &Host, wanted: PipeId) -> Option<Fault> {
    host.events.iter().find_map(|event| match event {
        Event::ContactEnded { pipe, fault, .. } if *pipe == wanted => fault.clone(),
        _ => None,
    })
}

fn refused(host: &Host) -> bool {
    host.events.iter().any(|event| matches!(event, Event::Refused { .. }))
}

fn world() -> (World, RawPeer, Host) {
    let mut world = World::new();
    let raw = RawPeer::join(&mut world, 50, Role::Worker, "01");
    let hub = world.device(3, Role::Hub, &[]);
    (world, raw, hub)
}

/// A payload of so many bytes that nobody can open.
fn unnumbered(bytes: usize) -> Unnumbered {
    let (epoch, urgency) = (EpochId([0; 16]), Urgency::Routine);
    Unnumbered { changes: 1, epoch, urgency, items_root: [0; 16], payload: vec![0; bytes] }
}

#[test]
fn a_member_that_says_the_truth_is_heard() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let envelope = raw.envelope(log, 0, Hash([0; 32]));
    let before = hub.status().envelopes;
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &[(log, 0, &envelope)]));
    assert_eq!(hub.status().envelopes, before + 1);
    assert!(RawPeer::heard(&mut hub, pipe).contains(&Frame::Ack { number: 0 }));
    assert_eq!(fault(&hub, pipe), None);
}

/// A carrier that strips payloads would make a hub vouch for what nobody can ever read.
#[test]
fn a_stub_is_not_taken_for_an_envelope() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let whole = raw.envelope(log, 0, Hash([0; 32]));
    let header = whole.wire.header(log, 0, whole.previous);
    let mut stub = whole.clone();
    stub.wire.content = Content::Erased { bytes: header.payload_bytes, hash: header.payload_hash };
    let before = hub.status().envelopes;
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &[(log, 0, &stub)]));
    assert_eq!(fault(&hub, pipe), None, "it may have heard of another order");
    hub.pass(1_000);
    assert_eq!(hub.status().envelopes, before);
    assert!(!hub.events.iter().any(|event| matches!(event, Event::Receipts { .. })));
}

/// Otherwise an honest carrier offers envelopes without their opening, and every honest peer
/// closes the pipe on it.
#[test]
fn envelopes_whose_opening_is_refused_are_not_kept() {
    let (mut world, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let foreign = Scope::Catchment(CatchmentTag([9; 8]));
    let body = raw.opening(raw.area, 1).body().to_vec();
    let opening = raw.statement(foreign, huza_crdt::control::kind::OPENING, body);
    let log = opening.log();
    let envelope = raw.envelope(log, 0, Hash([0; 32]));
    let before = hub.status().envelopes;
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &[(log, 0, &envelope)]));
    assert!(refused(&hub), "the opening names another scope than its area's");
    assert_eq!(hub.status().envelopes, before, "its envelope is held without an opening");
    hub.handle(Input::PipeClosed { pipe });
    let mut other = world.device(4, Role::Worker, &["02"]);
    let met = world.meet(&mut hub, &mut other);
    assert_eq!(fault(&other, met), None, "an honest hub is taken for a bad one");
    assert!(complete(&other, met));
}

/// "At the health centre" is the word of that centre's hub, and of nobody else.
#[test]
fn a_workers_word_is_not_the_hubs() {
    let (mut world, mut raw, mut hub) = world();
    let mut author = world.device(5, Role::Worker, &["01"]);
    author.person("Uwase");
    author.call(huza_crdt::node::Command::Seal);
    raw.count = u64::MAX;
    let pipe = raw.hello(&mut author);
    let logs = RawPeer::heard(&mut author, pipe).into_iter().find_map(|frame| match frame {
        Frame::Summary { logs, .. } => logs.into_iter().next(),
        _ => None,
    });
    let (log, spans) = logs.expect("the author's log");
    raw.say(&mut author, pipe, &Frame::Differ { logs: vec![], wanted: vec![], last: true });
    let ranges =
        spans.iter().map(|span| ReceiptRange { from: span.from, to: span.to, end: span.end });
    let receipt = Receipt {
        store: StoreId([1; 16]),
        log,
        kind: ReceiptKind::Stored,
        reason: 0,
        ranges: ranges.collect(),
    };
    let scope = Scope::Catchment(raw.area.catchment());
    let body = huza_crdt::codec::encode(&receipt);
    let statement = raw.statement(scope, huza_crdt::control::kind::RECEIPT, body);
    raw.say(&mut author, pipe, &batch(0, &[&statement], &[]));
    assert!(author.status().records.iter().all(|record| !record.stored));
    author.handle(Input::PipeClosed { pipe });
    world.meet(&mut author, &mut hub);
    hub.pass(1_000);
    world.meet(&mut author, &mut hub);
    assert!(author.status().records.iter().all(|record| record.stored));
}

/// Carriers pass on what they hold, so what does not fit every later frame must not be taken.
#[test]
fn a_payload_over_the_limit_is_refused() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let before = hub.status().envelopes;
    let fits = unnumbered(PAYLOAD_BYTES_MAX).number(&raw.key, log, 0, Hash([0; 32]));
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &[(log, 0, &fits)]));
    assert_eq!(hub.status().envelopes, before + 1);
    let too_long = unnumbered(PAYLOAD_BYTES_MAX + 1).number(&raw.key, log, 2, Hash([1; 32]));
    raw.say(&mut hub, pipe, &batch(1, &[], &[(log, 2, &too_long)]));
    assert_eq!(hub.status().envelopes, before + 1);
    assert!(matches!(fault(&hub, pipe), Some(Fault::Malformed(_))));
}

#[test]
fn an_envelope_of_an_unknown_log_is_refused_and_the_rest_of_its_batch_taken() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let log = raw.opening(raw.area, 1).log();
    let envelope = raw.envelope(log, 0, Hash([0; 32]));
    let opening = raw.opening(raw.area, 2);
    let known = raw.envelope(opening.log(), 0, Hash([0; 32]));
    let before = hub.status().envelopes;
    let runs = [(log, 0, &envelope), (opening.log(), 0, &known)];
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &runs));
    assert_eq!(fault(&hub, pipe), None);
    assert_eq!(hub.status().envelopes, before + 1);
    let heard = RawPeer::heard(&mut hub, pipe);
    let told = Frame::Refused { number: 0, full: false, logs: [log].into() };
    let at = |frame: &Frame| heard.iter().position(|one| one == frame).unwrap();
    assert!(at(&told) < at(&Frame::Ack { number: 0 }));
}

#[test]
fn a_bad_signature_ends_the_session_and_nothing_of_its_batch_is_kept() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let good = raw.envelope(log, 0, Hash([0; 32]));
    let mut bad = raw.envelope(log, 1, good.wire.header(log, 0, good.previous).hash());
    bad.wire.items_root[0] ^= 1;
    let before = hub.status();
    let runs = [(log, 0, &good), (log, 1, &bad)];
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &runs));
    assert_eq!(fault(&hub, pipe), Some(Fault::BadSignature));
    let after = hub.status();
    assert_eq!((after.envelopes, after.statements), (before.envelopes, before.statements));
}

#[test]
fn a_hello_without_the_certificates_key_proves_nothing() {
    let (_, mut raw, mut hub) = world();
    raw.key = huza_crdt::crypto::SigningKey::from_seed([51; 32]);
    let pipe = raw.hello(&mut hub);
    assert_eq!(fault(&hub, pipe), Some(Fault::BadProof));
    assert!(!hub.events.iter().any(|event| matches!(event, Event::Met { .. })));
}

#[test]
fn another_version_is_refused_by_name() {
    let (_, mut raw, mut hub) = world();
    raw.version = 0;
    let pipe = raw.hello(&mut hub);
    assert_eq!(fault(&hub, pipe), Some(Fault::Version(0)));
}

#[test]
fn frames_out_of_turn_end_the_session() {
    let turns = [
        Frame::Ack { number: 0 },
        Frame::Summary { statements: vec![], logs: vec![], last: true },
        Frame::WantChain { known: vec![] },
        Frame::Now { digest: [0; 16], count: 0 },
        batch(1, &[], &[]),
    ];
    for frame in turns {
        let (_, mut raw, mut hub) = world();
        let pipe = raw.meet(&mut hub);
        RawPeer::heard(&mut hub, pipe);
        raw.say(&mut hub, pipe, &frame);
        // The chain may be asked for once.
        raw.say(&mut hub, pipe, &frame);
        assert!(matches!(fault(&hub, pipe), Some(Fault::OutOfTurn(_))), "{frame:?}");
    }
}

#[test]
fn a_summary_over_the_limits_ends_the_session() {
    let frame = |logs: Vec<(LogId, Vec<Span>)>, statements: Vec<StatementId>| Frame::Summary {
        statements,
        logs,
        last: false,
    };
    let id = |n: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        bytes
    };
    let span = |from: u64| Span { from: 2 * from, to: 2 * from, end: Hash([0; 32]) };
    let (many, few) = (4_096, 4_096);
    for kind in 0..3 {
        let (_, mut raw, mut hub) = world();
        let pipe = raw.hello(&mut hub);
        let most = [SUMMARY_STATEMENTS_MAX, SUMMARY_LOGS_MAX, SUMMARY_SPANS_MAX][kind];
        let mut told = 0;
        while fault(&hub, pipe).is_none() {
            assert!(told <= most, "limit {kind} is passed");
            let part = match kind {
                0 => frame(
                    vec![],
                    (told..told + many)
                        .map(|n| StatementId::from_slice(&id(n)[..16]).unwrap())
                        .collect(),
                ),
                1 => frame((told..told + many).map(|n| (LogId(id(n)), vec![])).collect(), vec![]),
                _ => frame(
                    (told..told + few / 64)
                        .map(|n| (LogId(id(n)), (0..64).map(span).collect()))
                        .collect(),
                    vec![],
                ),
            };
            raw.say(&mut hub, pipe, &part);
            told += if kind == 2 { few } else { many };
        }
        assert!(told > most && matches!(fault(&hub, pipe), Some(Fault::Malformed(_))));
    }
}

#[test]
fn a_summary_that_comes_before_the_proof_is_kept_within_a_limit() {
    let (_, mut raw, mut hub) = world();
    raw.hides_chain = true;
    let pipe = raw.hello(&mut hub);
    let span = |n: u64| Span { from: 2 * n, to: 2 * n, end: Hash([0; 32]) };
    let logs = vec![(LogId([0; 32]), (0..64).map(span).collect()); 500];
    let frame = Frame::Summary { statements: vec![], logs, last: false };
    let length = frame.to_pipe().len();
    for told in 1..=EARLY_BYTES_MAX / length {
        raw.say(&mut hub, pipe, &frame);
        assert_eq!(fault(&hub, pipe), None, "{told}");
    }
    raw.say(&mut hub, pipe, &frame);
    assert_eq!(fault(&hub, pipe), Some(Fault::OutOfTurn("bytes before a proof".to_owned())));
}

#[test]
fn more_batches_than_may_be_in_flight_end_the_session() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    // Fed in one input, before any of them can be durable.
    let burst: Vec<u8> = (0..=u32::try_from(BATCHES_IN_FLIGHT_MAX).unwrap())
        .flat_map(|number| {
            let opening = raw.opening(raw.area, u8::try_from(number).unwrap());
            batch(number, &[&opening], &[]).to_pipe()
        })
        .collect();
    hub.handle(Input::Received { pipe, bytes: burst });
    assert_eq!(fault(&hub, pipe), Some(Fault::OutOfTurn("batch".to_owned())));
}

#[test]
fn more_bytes_than_may_be_in_flight_end_the_session() {
    for (bytes, batches, ends) in [
        (FLIGHT_BYTES_MAX / 5, 5, false),
        (FLIGHT_BYTES_MAX / 5, 6, true),
        // Two of any size may be under way.
        (PAYLOAD_BYTES_MAX, 2, false),
        (PAYLOAD_BYTES_MAX, 3, true),
    ] {
        let (_, mut raw, mut hub) = world();
        let pipe = raw.meet(&mut hub);
        let opening = raw.opening(raw.area, 1);
        let log = opening.log();
        let burst: Vec<u8> = (0..batches)
            .flat_map(|number| {
                let seq = 2 * u64::from(number);
                let envelope = unnumbered(bytes).number(&raw.key, log, seq, Hash([0; 32]));
                let statements = if number == 0 { vec![&opening] } else { Vec::new() };
                batch(number, &statements, &[(log, seq, &envelope)]).to_pipe()
            })
            .collect();
        hub.handle(Input::Received { pipe, bytes: burst });
        let out_of_turn = Some(Fault::OutOfTurn("batch".to_owned()));
        assert_eq!(fault(&hub, pipe), out_of_turn.filter(|_| ends), "{batches} of {bytes}");
    }
}

#[test]
fn sessions_beyond_the_limit_are_not_opened() {
    let (_, _, mut hub) = world();
    for n in 0..SESSIONS_MAX as u64 {
        hub.handle(Input::PipeOpened { pipe: PipeId(n), dialer: false, binding: [1; 32] });
    }
    assert!(hub.closed.is_empty());
    let one_more = PipeId(SESSIONS_MAX as u64);
    hub.handle(Input::PipeOpened { pipe: one_more, dialer: false, binding: [1; 32] });
    assert_eq!(hub.closed, [one_more]);
}

#[test]
fn a_stranger_holds_a_session_no_longer_than_the_hello_may_take() {
    let (_, _, mut hub) = world();
    let pipe = PipeId(1);
    hub.handle(Input::PipeOpened { pipe, dialer: false, binding: [1; 32] });
    hub.pass(HELLO_MS_MAX / 2);
    hub.handle(Input::Received { pipe, bytes: vec![9] });
    hub.pass(HELLO_MS_MAX / 2);
    assert_eq!(fault(&hub, pipe), Some(Fault::Silent));
}

#[test]
fn a_member_that_falls_silent_is_given_up() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    hub.pass(SILENCE_MS_MAX - 1);
    assert_eq!(fault(&hub, pipe), None);
    hub.pass(1);
    assert_eq!(fault(&hub, pipe), Some(Fault::Silent));
}

#[test]
fn a_frame_longer_than_the_limit_is_refused_by_its_length_alone() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let length = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    hub.handle(Input::Received { pipe, bytes: length.to_le_bytes().to_vec() });
    assert!(matches!(fault(&hub, pipe), Some(Fault::Malformed(_))));
}

#[test]
fn a_liar_who_comes_again_and_again_does_not_silence_us() {
    let (mut world, mut raw, _) = world();
    let mut a = world.device(21, Role::Worker, &["01"]);
    let record = a.person("Uwase");
    let convulsions = [("age-months", "14"), ("convulsions", "yes")];
    a.visit(record, &convulsions);
    raw.count = u64::MAX;
    let pipe = raw.hello(&mut a);
    let log = RawPeer::heard(&mut a, pipe).into_iter().find_map(|frame| match frame {
        Frame::Summary { logs, .. } => logs.first().map(|(log, _)| *log),
        _ => None,
    });
    let log = log.expect("it tells of its log");
    raw.count = 0;
    let claim = vec![(log, vec![Span { from: 0, to: 1_000, end: Hash([9; 32]) }])];
    for _ in 0..4 {
        let pipe = raw.hello(&mut a);
        let summary = Frame::Summary { statements: vec![], logs: claim.clone(), last: true };
        raw.say(&mut a, pipe, &summary);
        a.visit(record, &convulsions);
        a.pass(30_000);
    }
    assert_eq!(a.status().pending, 0, "it goes on after a minute");
}

/// One author with many holes must not make honest summaries too long to be read.
#[test]
fn a_summary_of_many_holes_still_fits_its_frames() {
    let (_, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    for life in 0..26_u8 {
        let openings: Vec<Statement> = (0..16_u8)
            .map(|n| {
                raw.area.0[15] = n;
                raw.opening(raw.area, life)
            })
            .collect();
        let statements: Vec<&Statement> = openings.iter().collect();
        let stored: Vec<(LogId, u64, _)> = openings
            .iter()
            .flat_map(|one| {
                let one = one.log();
                // Great numbers take the most bytes.
                (0..64_u64).map(move |n| (one, u64::MAX / 2 + 2 * n))
            })
            .map(|(log, seq)| (log, seq, raw.envelope(log, seq, Hash([0; 32]))))
            .collect();
        let runs: Vec<_> = stored.iter().map(|(log, seq, one)| (*log, *seq, one)).collect();
        raw.say(&mut hub, pipe, &batch(u32::from(life), &statements, &runs));
        assert_eq!(fault(&hub, pipe), None);
    }
    hub.handle(Input::PipeClosed { pipe });
    RawPeer::heard(&mut hub, pipe);
    let again = raw.hello(&mut hub);
    let summaries: Vec<_> = hub.sent.iter().filter(|(to, _)| *to == again).collect();
    assert!(!summaries.is_empty(), "{:?}", hub.events.iter().rev().take(3).collect::<Vec<_>>());
    for (_, bytes) in summaries {
        assert!(bytes.len() <= FRAME_BYTES_MAX, "a summary frame of {} bytes", bytes.len());
    }
}

/// Whoever writes without end fills what is his, and nobody else's.
#[test]
fn a_flooding_member_fills_its_own_share_and_no_more() {
    let (mut world, mut raw, mut hub) = world();
    let pipe = raw.meet(&mut hub);
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let first = raw.envelope(log, 0, Hash([0; 32]));
    let header = first.wire.header(log, 0, first.previous);
    let before = hub.status().envelopes;
    raw.say(&mut hub, pipe, &batch(0, &[&opening], &[(log, 0, &first)]));
    assert_eq!(hub.status().envelopes, before + 1);
    hub.handle(Input::PipeClosed { pipe });
    // As if it had gone on like this for a long time.
    let frontiers = huza_crdt::store::Table::Frontiers;
    let rows = hub.store.load(&huza_crdt::store::Range::prefix(frontiers, log.0));
    let mut held: huza_crdt::holdings::Held = huza_crdt::codec::decode(&rows[0].1).unwrap();
    assert_eq!(held.bytes, first.wire.bytes() as u64, "every byte is counted");
    held.bytes = huza_crdt::limits::BYTES_PER_AUTHOR_MAX;
    let mut batch_of_store = huza_crdt::store::Batch::default();
    batch_of_store.put(frontiers, log.0, huza_crdt::codec::encode(&held));
    hub.store.apply(&batch_of_store);
    hub.restart(false);
    let pipe = raw.meet(&mut hub);
    let second = raw.envelope(log, 1, header.hash());
    raw.say(&mut hub, pipe, &batch(0, &[], &[(log, 1, &second)]));
    assert_eq!(hub.status().envelopes, before + 1, "not kept");
    assert!(refused(&hub), "and the operator is told");
    // Others are served as ever.
    let mut other = world.device(4, Role::Worker, &["01"]);
    other.person("Uwase");
    let met = world.meet(&mut other, &mut hub);
    assert!(complete(&other, met));
    assert_eq!(hub.found("uwase"), 1);
}
