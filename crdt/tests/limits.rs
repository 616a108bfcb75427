//! Each limit of `limits` that a peer can hit by what it sends holds, to the byte. Those of a
//! session's course are in `hostile_peer.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail loudly"
)]

use huza_crdt::codec::{self, DecodeError};
use huza_crdt::control::{
    Body, Lane, LaneError, Opening, PublishedKey, Receipt, ReceiptKind, ReceiptRange, Scope,
    Statement, StatementError, kind, programme_id,
};
use huza_crdt::crypto::{SealingPublic, Signature, SigningKey, SymmetricKey};
use huza_crdt::envelope::{Content, Header, Item, OpenError, Payload, Seal, Urgency, Wire};
use huza_crdt::holdings::Span;
use huza_crdt::id::{
    AreaTag, EpochId, Hash, Incarnation, LogId, Origin, RecordId, StatementId, StoreId,
};
use huza_crdt::limits;
use huza_crdt::limits::{
    BATCH_ENVELOPES_MAX, BATCH_STATEMENTS_MAX, CARD_BYTES_MAX, CERT_AREAS_MAX, CHAIN_MAX,
    ENVELOPE_ITEMS_MAX, FRAME_BYTES_MAX, GROUNDS_MAX, PAYLOAD_BYTES_MAX, PLAINTEXT_BYTES_MAX,
    RANGES_MAX, RESOURCE_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_PER_ISSUER_MAX,
    SUMMARY_ENTRIES_PER_FRAME,
};
use huza_crdt::pack;
use huza_crdt::record::{Card, Document, Edit};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Run, take_frame};
use huza_crdt::time::Stamp;
use huza_crdt::trust::{AreaScope, Certificate, Issuer, Role};

fn limit<T: core::fmt::Debug>(answer: Result<T, DecodeError>) -> bool {
    matches!(answer, Err(DecodeError::Limit(_)))
}

fn plain_wire() -> Wire {
    Wire {
        epoch: EpochId([0; 16]),
        urgency: Urgency::Routine,
        items_root: [0; 16],
        content: Content::Sealed(Vec::new()),
        signature: Signature::from_slice(&[0; 64]).unwrap(),
    }
}

#[test]
fn frame_bytes_max() {
    let hello = |bytes| codec::encode(&Frame::Hello(Bytes(vec![0; bytes])));
    // One byte says which frame, three how long.
    assert!(Frame::from_bytes(&hello(FRAME_BYTES_MAX - 4)).is_ok());
    assert!(limit(Frame::from_bytes(&hello(FRAME_BYTES_MAX - 3))));
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes().to_vec();
    assert_eq!(take_frame(&mut length(FRAME_BYTES_MAX)), Ok(None));
    assert!(limit(take_frame(&mut length(FRAME_BYTES_MAX + 1))));
}

#[test]
fn batch_envelopes_max() {
    let batch = |runs: usize, each: usize| {
        let run = Run {
            log: LogId([0; 32]),
            first: 0,
            previous: Hash([0; 32]),
            envelopes: vec![plain_wire(); each],
        };
        Frame::Batch { number: 0, statements: vec![], runs: vec![run; runs] }
    };
    let read = |frame: Frame| Frame::from_bytes(&codec::encode(&frame));
    assert!(read(batch(1, BATCH_ENVELOPES_MAX)).is_ok());
    assert!(limit(read(batch(1, BATCH_ENVELOPES_MAX + 1))));
    assert!(limit(read(batch(BATCH_ENVELOPES_MAX + 1, 1))));
    assert!(limit(read(batch(1, 0))), "a run without envelopes");
}

#[test]
fn batch_statements_max() {
    let batch = |statements| {
        let statements = vec![Bytes(Vec::new()); statements];
        Frame::from_bytes(&codec::encode(&Frame::Batch { number: 0, statements, runs: vec![] }))
    };
    assert!(batch(BATCH_STATEMENTS_MAX).is_ok());
    assert!(limit(batch(BATCH_STATEMENTS_MAX + 1)));
}

#[test]
fn summary_entries_per_frame() {
    let summary = |statements, logs| {
        let statements = vec![StatementId([0; 16]); statements];
        let logs = vec![(LogId([0; 32]), Vec::new()); logs];
        Frame::from_bytes(&codec::encode(&Frame::Summary { statements, logs, last: true }))
    };
    assert!(summary(SUMMARY_ENTRIES_PER_FRAME, 0).is_ok());
    assert!(summary(1, SUMMARY_ENTRIES_PER_FRAME - 1).is_ok());
    assert!(limit(summary(1, SUMMARY_ENTRIES_PER_FRAME)));
}

#[test]
fn ranges_max() {
    let spans = |count: u64| {
        let span = |n| Span { from: 2 * n, to: 2 * n, end: Hash([0; 32]) };
        let logs = vec![(LogId([0; 32]), (0..count).map(span).collect())];
        Frame::from_bytes(&codec::encode(&Frame::Summary { statements: vec![], logs, last: true }))
    };
    assert!(spans(RANGES_MAX as u64).is_ok());
    assert!(limit(spans(RANGES_MAX as u64 + 1)));
    let receipt = |count: u64| {
        let range = |n| ReceiptRange { from: 2 * n, to: 2 * n, end: Hash([0; 32]) };
        let (store, log) = (StoreId([0; 16]), LogId([0; 32]));
        let ranges = (0..count).map(range).collect();
        let receipt = Receipt { store, log, kind: ReceiptKind::Stored, reason: 0, ranges };
        Body::read(kind::RECEIPT, &codec::encode(&receipt))
    };
    assert!(receipt(RANGES_MAX as u64).is_ok());
    assert!(limit(receipt(RANGES_MAX as u64 + 1)));
}

#[test]
fn ranges_of_a_receipt_are_ascending_and_apart() {
    let read = |pairs: &[(u64, u64)]| {
        let range = |&(from, to): &(u64, u64)| ReceiptRange { from, to, end: Hash([0; 32]) };
        let (store, log) = (StoreId([0; 16]), LogId([0; 32]));
        let ranges = pairs.iter().map(range).collect();
        let receipt = Receipt { store, log, kind: ReceiptKind::Stored, reason: 0, ranges };
        Body::read(kind::RECEIPT, &codec::encode(&receipt)).is_ok()
    };
    assert!(read(&[(0, 1), (3, 4)]));
    assert!(!read(&[(3, 4), (0, 1)]));
    assert!(!read(&[(0, 3), (3, 4)]));
    assert!(!read(&[(1, 0)]));
}

#[test]
fn statement_bytes_max() {
    let key = SigningKey::from_seed([1; 32]);
    let sign = |bytes: usize| {
        let body = vec![0; bytes];
        let place = (0, Hash([0; 32]));
        Statement::sign(&key, Issuer::Programme, place, Scope::Programme, (200, body)).to_bytes()
    };
    let around = sign(1_000).len() - 1_000;
    let limited = |bytes: &[u8]| {
        matches!(Statement::from_bytes(bytes), Err(StatementError::Decode(DecodeError::Limit(_))))
    };
    assert!(Statement::from_bytes(&sign(STATEMENT_BYTES_MAX - around)).is_ok());
    assert!(limited(&sign(STATEMENT_BYTES_MAX - around + 1)));
    assert!(Certificate::read(&vec![0x80; STATEMENT_BYTES_MAX + 1], |_| None).is_err());
}

#[test]
fn cert_areas_max() {
    let key = SigningKey::from_seed([1; 32]);
    let read = |areas: usize| {
        let certificate = Certificate {
            programme: programme_id(&key.public()),
            issuer: Issuer::Programme,
            device: key.public(),
            sealing: SealingPublic([2; 32]),
            role: Role::Worker,
            areas: vec![AreaScope::Area(AreaTag([3; 16])); areas],
            request: [0; 16],
            issued: Stamp(0),
            expires: Stamp(0),
        };
        let cose = certificate.sign(&key).unwrap_or_default();
        Certificate::read(&cose, |_| Some(key.public())).is_ok()
    };
    assert!(read(CERT_AREAS_MAX));
    assert!(!read(CERT_AREAS_MAX + 1));
}

#[test]
fn chain_max() {
    let member = SymmetricKey::from_bytes([1; 32]);
    let channel = Channel { binding: [2; 32], dialer: true };
    let open = |length| {
        let sealed = channel.seal_chain(&vec![vec![0]; length], &member, [3; 32]);
        channel.open_chain(&sealed, &member).is_some()
    };
    assert!(open(CHAIN_MAX));
    assert!(!open(CHAIN_MAX + 1));
    let sealed = channel.seal_grounds(&vec![vec![0]; GROUNDS_MAX + 1], &member, [3; 32]);
    assert_eq!(channel.open_grounds(&sealed, &member).map(|all| all.len()), Some(GROUNDS_MAX));
    assert_eq!(channel.open_chain(&sealed, &member), None, "sealed under another context");

    // And in the control lane: authorities may certify authorities, so many deep.
    let root = SigningKey::from_seed([9; 32]);
    let mut lane = Lane::new(root.public());
    let mut issuer = (Issuer::Programme, root.clone());
    for depth in 0..=CHAIN_MAX {
        let key = SigningKey::from_seed([u8::try_from(depth).unwrap(); 32]);
        let certificate = Certificate {
            programme: programme_id(&root.public()),
            issuer: issuer.0,
            device: key.public(),
            sealing: SealingPublic([2; 32]),
            role: Role::Authority,
            areas: vec![AreaScope::Programme],
            request: [0; 16],
            issued: Stamp(0),
            expires: Stamp(0),
        };
        let cose = certificate.sign(&issuer.1).unwrap();
        let id = Certificate::id(&cose);
        let place = (0, Hash([0; 32]));
        let what = (kind::CERTIFICATE, cose);
        let statement = Statement::sign(&issuer.1, issuer.0, place, Scope::Programme, what);
        let answer = lane.admit(statement);
        if depth < CHAIN_MAX {
            assert!(answer.is_ok(), "{depth}: {answer:?}");
        } else {
            assert_eq!(answer, Err(LaneError::NotEntitled));
        }
        issuer = (Issuer::Certified(id), key);
    }
}

/// Admits statements of one kind, numbered from 0, until `most` are in; then one more.
fn fill(most: usize, kind: u8, body: Vec<u8>, scope: Scope) -> Result<(), LaneError> {
    let root = SigningKey::from_seed([9; 32]);
    let mut lane = Lane::new(root.public());
    // The lane is given statements whose signatures were checked; so one will do for all.
    let last = (u64::MAX, Hash([0; 32]));
    let template = Statement::sign(&root, Issuer::Programme, last, scope, (kind, body)).to_bytes();
    let numbered = |number: u64| {
        let mut bytes = vec![template[0]];
        bytes.extend(codec::encode(&number));
        bytes.extend(&template[11..]);
        Statement::from_bytes(&bytes).unwrap()
    };
    for number in 0..most as u64 {
        assert!(lane.admit(numbered(number)).is_ok());
    }
    lane.admit(numbered(most as u64)).map(drop)
}

/// A worker's device opens a few logs; one that opens thousands is not followed.
#[test]
fn statements_per_worker_max() {
    let (root, key) = (SigningKey::from_seed([9; 32]), SigningKey::from_seed([8; 32]));
    let mut lane = Lane::new(root.public());
    let area = AreaTag([1; 16]);
    let certificate = Certificate {
        programme: programme_id(&root.public()),
        issuer: Issuer::Programme,
        device: key.public(),
        sealing: SealingPublic([2; 32]),
        role: Role::Worker,
        areas: vec![AreaScope::Area(area)],
        request: [0; 16],
        issued: Stamp(0),
        expires: Stamp(0),
    };
    let cose = certificate.sign(&root).unwrap();
    let id = Certificate::id(&cose);
    let first = (0, Hash([0; 32]));
    let what = (kind::CERTIFICATE, cose);
    lane.admit(Statement::sign(&root, Issuer::Programme, first, Scope::Programme, what)).unwrap();
    let device = key.public();
    let incarnation = Incarnation([3; 16]);
    let opening = Opening { device, certificate: id, area, incarnation };
    let what = (kind::OPENING, codec::encode(&opening));
    let (issuer, scope) = (Issuer::Certified(id), Scope::Catchment(area.catchment()));
    let last = (u64::MAX, Hash([0; 32]));
    let template = Statement::sign(&key, issuer, last, scope, what).to_bytes();
    let mut numbered = |number: u64| {
        // Behind the issuer, 17 bytes, comes the number.
        let bytes = [&template[..17], &codec::encode(&number), &template[27..]].concat();
        lane.admit(Statement::from_bytes(&bytes).unwrap())
    };
    for number in 0..limits::STATEMENTS_PER_WORKER_MAX as u64 {
        assert!(numbered(number).is_ok());
    }
    assert_eq!(numbered(1 << 20), Err(LaneError::TooMany));
}

#[test]
fn statements_per_issuer_max() {
    let area = AreaTag([1; 16]);
    let key = PublishedKey {
        area,
        epoch: EpochId([2; 16]),
        catchment_epoch: EpochId([4; 16]),
        generation: 0,
        rotation: 0,
        public: SealingPublic([3; 32]),
    };
    let scope = Scope::Catchment(area.catchment());
    let body = codec::encode(&key);
    let answer = fill(STATEMENTS_PER_ISSUER_MAX, kind::PUBLISHED_KEY, body, scope);
    assert_eq!(answer, Err(LaneError::TooMany));
}

#[test]
fn unread_per_issuer_max() {
    let answer = fill(limits::UNREAD_PER_ISSUER_MAX, 200, Vec::new(), Scope::Programme);
    assert_eq!(answer, Err(LaneError::TooMany));
}

/// Seals any plaintext as the payload of a header, as a hostile author would.
fn forged(plain: &[u8]) -> Result<Payload, OpenError> {
    let key = SymmetricKey::from_bytes([1; 32]);
    let (log, epoch) = (LogId([2; 32]), huza_crdt::trust::epoch_of(&key));
    let context = [b"huza payload 1\0".as_slice(), &log.0, &epoch.0].concat();
    let packed = pack::pack(plain).unwrap();
    let sealed = [&[0], key.seal(&context, &packed, [3; 32]).as_slice()].concat();
    let header = Header {
        log,
        seq: 0,
        previous: Hash([0; 32]),
        epoch,
        urgency: Urgency::Routine,
        payload_bytes: 0,
        payload_hash: Hash([0; 32]),
        items_root: [0; 16],
    };
    Payload::open(&header, &sealed, &key)
}

fn items(count: usize, card: usize) -> Payload {
    let item = Item { record: RecordId([0; 16]), change: Vec::new(), card: vec![0; card] };
    Payload { origin: None, first: 0, items: vec![item; count] }
}

fn over(answer: &Result<Payload, OpenError>) -> bool {
    matches!(answer, Err(OpenError::Decode(DecodeError::Limit(_))))
}

#[test]
fn plaintext_bytes_max() {
    let bomb = |bytes: usize| forged(&vec![0; bytes]);
    assert!(matches!(bomb(PLAINTEXT_BYTES_MAX), Err(OpenError::Decode(_))));
    assert!(matches!(bomb(PLAINTEXT_BYTES_MAX + 1), Err(OpenError::Pack(_))));
}

#[test]
fn envelope_items_max() {
    let open = |count| forged(&items(count, 0).to_short(LogId([2; 32])));
    assert_eq!(open(ENVELOPE_ITEMS_MAX), Err(OpenError::WrongItems));
    assert!(over(&open(ENVELOPE_ITEMS_MAX + 1)));
    assert!(over(&open(0)));
}

#[test]
fn card_bytes_max() {
    let open = |bytes| forged(&items(1, bytes).to_short(LogId([2; 32])));
    assert_eq!(open(CARD_BYTES_MAX), Err(OpenError::WrongItems));
    assert!(over(&open(CARD_BYTES_MAX + 1)));
    assert!(limit(Card::decode(&[1; CARD_BYTES_MAX + 1])));
}

#[test]
fn payload_bytes_max_is_kept_by_writers() {
    let mut entropy = huza_crdt::crypto::Entropy::new([5; 32]);
    let noise: Vec<u8> =
        (0..PAYLOAD_BYTES_MAX / 1_024).flat_map(|_| entropy.draw::<1_024>()).collect();
    let seal = |bytes: usize| {
        let item =
            Item { record: RecordId([0; 16]), change: noise[..bytes].to_vec(), card: vec![] };
        let payload = Payload { origin: None, first: 0, items: vec![item] };
        let key = SymmetricKey::from_bytes([1; 32]);
        payload.seal(LogId([0; 32]), &Seal::Member(key), Urgency::Routine, [2; 32])
    };
    assert!(seal(PAYLOAD_BYTES_MAX - 1_024).is_ok());
    assert!(seal(PAYLOAD_BYTES_MAX).is_err());
}

#[test]
fn resource_bytes_max() {
    let write = |bytes: usize| {
        let edit = Edit::Resource { key: "Basic/1".to_owned(), text: "x".repeat(bytes) };
        let origin = Origin { log: LogId([0; 32]), counter: 0 };
        Document::new(RecordId([0; 16])).write(origin, Stamp(0), "worker", &[edit]).is_ok()
    };
    assert!(write(RESOURCE_BYTES_MAX));
    assert!(!write(RESOURCE_BYTES_MAX + 1));
}
