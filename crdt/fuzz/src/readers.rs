//! Every reader of bytes that a peer, a file or a disk can hand over, one at a time.

use huza_crdt::audit::AuditEntry;
use huza_crdt::codec;
use huza_crdt::control::{Body, Statement, form_text, kind};
use huza_crdt::envelope::{Payload, Reissue, Stored};
use huza_crdt::holdings::{Held, Span, Spans};
use huza_crdt::record::{Card, Form, Summary, read_bundle};
use huza_crdt::session::frame::{Frame, take_frame_within};
use huza_crdt::trust::approval::{Approval, JoinRequest, Membership, Welcome};
use huza_crdt::trust::paper::{Centre, District, Programme};
use huza_crdt::trust::recovery::{RecoveryAnswer, RecoveryRequest};
use huza_crdt::trust::{CatchmentSecret, Certificate, GrantContent};

/// How many readers [`read`] tells apart.
pub const READERS: u8 = 32;

/// The first byte says which reader, the others are what it reads.
pub fn read(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % READERS {
        number @ 0..=15 => body(number, bytes),
        16 => statement(bytes),
        17 => drop(Certificate::read(bytes, |_| None)),
        18 => frame(bytes),
        19 => pipe(bytes),
        20 => drop(codec::decode::<Stored>(bytes)),
        21 => {
            if let Ok(request) = codec::decode::<JoinRequest>(bytes) {
                let _valid = request.verify();
                let _id = request.id();
            }
        }
        22 => {
            if let Ok(welcome) = codec::decode::<Welcome>(bytes) {
                let key = huza_crdt::crypto::SealingKey::from_seed([1; 32]);
                drop(welcome.open(&key));
            }
        }
        23 => {
            drop(codec::decode::<Membership>(bytes));
            drop(codec::decode::<Approval>(bytes));
        }
        24 => {
            drop(codec::decode::<RecoveryRequest>(bytes).map(|request| request.verify()));
            drop(codec::decode::<RecoveryAnswer>(bytes));
        }
        25 => drop(codec::decode::<Vec<Reissue>>(bytes)),
        26 => drop(codec::decode::<Payload>(bytes)),
        27 => audit(bytes),
        28 => {
            drop(codec::decode::<GrantContent>(bytes));
            drop(codec::decode::<CatchmentSecret>(bytes));
        }
        29 => {
            drop(codec::decode::<Programme>(bytes));
            drop(codec::decode::<District>(bytes));
            drop(codec::decode::<Centre>(bytes));
        }
        30 => holdings(bytes),
        _ => {
            drop(codec::decode::<Summary>(bytes));
            if let Ok(card) = Card::decode(bytes) {
                assert_eq!(card.encode(), bytes);
            }
            if let Ok(text) = core::str::from_utf8(bytes) {
                drop(Form::read(text));
                drop(read_bundle(text, Some("fuzz")));
            }
        }
    }
}

/// Bytes as the body of a kind; what is read must be what would be written.
fn body(number: u8, bytes: &[u8]) {
    let Ok(body) = Body::read(number, bytes) else { return };
    let written = match &body {
        Body::Opening(one) => codec::encode(one),
        Body::Grant(one) => codec::encode(one),
        Body::Receipt(one) => codec::encode(one),
        Body::PublishedKey(one) => codec::encode(one),
        Body::ForkProof(one) => {
            let _holds = one.holds(huza_crdt::id::DeviceKey([1; 32]));
            codec::encode(&**one)
        }
        Body::Revocation(one) => codec::encode(one),
        Body::Admission(one) => codec::encode(one),
        Body::Erasure(one) => codec::encode(one),
        Body::Rung(one) => codec::encode(one),
        Body::ProgrammeTime(one) => codec::encode(one),
        Body::Certificate(_) | Body::Form | Body::Unread => bytes.to_vec(),
    };
    assert_eq!(written, bytes, "two spellings of one body");
    assert_eq!(body == Body::Unread, !(kind::OPENING..=kind::FORM).contains(&number));
}

fn statement(bytes: &[u8]) {
    if let Ok(statement) = Statement::from_bytes(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
        drop(Body::read(statement.kind(), statement.body()));
        drop(form_text(&statement).map(|text| Form::read(&text)));
    }
}

pub fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::from_bytes(bytes) else { return };
    assert_eq!(codec::encode(&frame), bytes);
    match frame {
        Frame::Summary { logs, .. } => {
            for (_, spans) in logs {
                if let Some(spans) = Spans::from_received(spans) {
                    assert!(spans.without(&spans).is_empty());
                    let _all = spans.without(&Spans::default());
                }
            }
        }
        Frame::Batch { statements, runs, .. } => {
            for one in statements {
                statement(&one.0);
            }
            for run in runs {
                let header = |wire: &huza_crdt::envelope::Wire| {
                    wire.header(run.log, run.first, run.previous).hash()
                };
                let _hashes: Vec<_> = run.envelopes.iter().map(header).collect();
            }
        }
        _ => {}
    }
}

fn pipe(bytes: &[u8]) {
    let mut pipe = std::collections::VecDeque::from(bytes.to_vec());
    while let Ok(Some(taken)) = take_frame_within(&mut pipe, 4_096) {
        frame(&taken);
    }
    assert!(pipe.len() <= bytes.len());
}

fn audit(bytes: &[u8]) {
    let Ok(entry) = codec::decode::<AuditEntry>(bytes) else { return };
    let _hash = entry.hash();
    let told = entry.to_fhir("device");
    let _read: serde_json::Value = serde_json::from_str(&told).expect("JSON");
}

/// Spans as a store or a peer gives them, and envelopes put between them.
fn holdings(bytes: &[u8]) {
    drop(codec::decode::<Held>(bytes));
    let mut held = Held::default();
    for [place, link, hash] in bytes.as_chunks::<3>().0.iter().take(64) {
        // No session takes the last seq there is (see `hear_batch`).
        let seq = u64::from(*place).wrapping_sub(4).min(u64::MAX - 1);
        let hash = huza_crdt::id::Hash([*hash % 4; 32]);
        let previous = huza_crdt::id::Hash([*link % 4; 32]);
        if held.fit(seq, previous, hash) == huza_crdt::holdings::Fit::New {
            held.insert(seq, previous, hash, *link > 200);
            assert!(held.spans.contains(seq));
        }
    }
    let all: Vec<Span> = held.spans.as_slice().to_vec();
    assert!(all.is_sorted_by(|one, next| one.to + 1 < next.from));
    assert_eq!(Spans::from_received(all).as_ref(), Some(&held.spans));
    assert!(held.spans.without(&held.spans).is_empty());
    let _digest = huza_crdt::holdings::Claims::default()
        .digests(|_| huza_crdt::id::CatchmentTag([0; 8]))
        .all();
}
