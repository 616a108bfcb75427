//! Laws of every format: what is written reads back, one value has one spelling, a tail or a cut
//! is refused, junk never panics, and each limit of `limits` that a peer can hit holds.

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
    Body, Grant, Lane, LaneError, Opening, PublishedKey, Receipt, ReceiptKind, ReceiptRange, Scope,
    Statement, StatementError, kind, programme_id,
};
use huza_crdt::crypto::{SealingKey, SealingPublic, Signature, SigningKey, SymmetricKey};
use huza_crdt::envelope::{
    Content, ForkProof, Header, Item, OpenError, Payload, Seal, Stored, Unnumbered, Urgency, Wire,
};
use huza_crdt::holdings::Span;
use huza_crdt::id::{
    AreaTag, CatchmentTag, CertId, DeviceKey, EpochId, Hash, Incarnation, LogId, Origin, RecordId,
    StatementId, StoreId, VisitId,
};
use huza_crdt::limits;
use huza_crdt::limits::{
    BATCH_ENVELOPES_MAX, BATCH_STATEMENTS_MAX, CARD_BYTES_MAX, CERT_AREAS_MAX, CHAIN_MAX,
    ENVELOPE_ITEMS_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PLAINTEXT_BYTES_MAX, RANGES_MAX,
    RESOURCE_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_PER_ISSUER_MAX, SUMMARY_ENTRIES_PER_FRAME,
};
use huza_crdt::pack;
use huza_crdt::record::{Card, Document, Edit, read_bundle, unpack};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, take_frame};
use huza_crdt::time::Stamp;
use huza_crdt::trust::authority::{JoinRequest, Membership, Programme, Welcome};
use huza_crdt::trust::{
    AreaKey, AreaName, AreaScope, CatchmentSecret, Certificate, GrantContent, Issuer, Role,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// One value, one spelling: it reads back, and no cut and no tail of it is read.
fn spelled_once<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug,
{
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value));
    for cut in 0..bytes.len() {
        assert!(codec::decode::<T>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes;
    for tail in [0, 1, 0x80, 0xff] {
        longer.push(tail);
        assert!(matches!(codec::decode::<T>(&longer), Err(DecodeError::Trailing(1))));
        longer.pop();
    }
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| Signature::from_slice(&bytes).unwrap())
}

/// Numbers whose encodings have every length, the ends above all.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(127), Just(128), Just(u64::MAX), any::<u64>(), 0..10_000_u64]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 1..200)]
}

fn urgency() -> impl Strategy<Value = Urgency> {
    prop_oneof![Just(Urgency::Routine), Just(Urgency::Urgent)]
}

prop_compose! {
    fn header()(
        (log, previous, payload_hash) in (any::<[u8; 32]>(), hash(), hash()),
        (seq, payload_bytes, urgency) in (number(), any::<u32>(), urgency()),
        (epoch, items_root) in any::<([u8; 16], [u8; 16])>(),
    ) -> Header {
        let (log, epoch) = (LogId(log), EpochId(epoch));
        Header { log, seq, previous, epoch, urgency, payload_bytes, payload_hash, items_root }
    }
}

prop_compose! {
    fn wire()(
        (epoch, items_root) in any::<([u8; 16], [u8; 16])>(),
        urgency in urgency(),
        // Stubs have their own test: no frame may hold one yet.
        content in bytes().prop_map(Content::Sealed),
        signature in signature(),
    ) -> Wire {
        Wire { epoch: EpochId(epoch), urgency, items_root, content, signature }
    }
}

prop_compose! {
    fn unnumbered()(
        (changes, payload) in (number(), bytes()),
        (epoch, items_root) in any::<([u8; 16], [u8; 16])>(),
        urgency in urgency(),
    ) -> Unnumbered {
        Unnumbered { changes, epoch: EpochId(epoch), urgency, items_root, payload }
    }
}

prop_compose! {
    fn payload()(
        origin in any::<Option<[u8; 32]>>(),
        first in number(),
        items in vec((any::<[u8; 16]>(), bytes(), bytes()), 1..5),
    ) -> Payload {
        let item = |(record, change, card)| Item { record: RecordId(record), change, card };
        Payload { origin: origin.map(LogId), first, items: items.into_iter().map(item).collect() }
    }
}

fn issuer() -> impl Strategy<Value = Issuer> {
    let certified = any::<[u8; 16]>().prop_map(|id| Issuer::Certified(CertId(id)));
    prop_oneof![Just(Issuer::Programme), certified]
}

fn scope() -> impl Strategy<Value = Scope> {
    let catchment = any::<[u8; 8]>().prop_map(|tag| Scope::Catchment(CatchmentTag(tag)));
    prop_oneof![Just(Scope::Programme), catchment]
}

prop_compose! {
    fn statement()(
        (issuer, scope) in (issuer(), scope()),
        (number, previous) in (number(), hash()),
        (kind, body) in (any::<u8>(), bytes()),
        seed in any::<[u8; 32]>(),
    ) -> Statement {
        let key = SigningKey::from_seed(seed);
        Statement::sign(&key, issuer, (number, previous), scope, (kind, body))
    }
}

fn receipt_kind() -> impl Strategy<Value = ReceiptKind> {
    prop::sample::select(vec![
        ReceiptKind::Stored,
        ReceiptKind::Accepted,
        ReceiptKind::Refused,
        ReceiptKind::Shown,
    ])
}

prop_compose! {
    /// A receipt whose ranges are ascending and apart.
    fn receipt()(
        (store, log) in any::<([u8; 16], [u8; 32])>(),
        (kind, reason) in (receipt_kind(), any::<u16>()),
        steps in vec((2..300_u64, 0..300_u64, hash()), 0..6),
    ) -> Receipt {
        let reason = if kind == ReceiptKind::Refused { reason } else { 0 };
        let mut next = 0;
        let ranges = steps
            .into_iter()
            .map(|(gap, length, end)| {
                let from = next + gap;
                next = from + length;
                ReceiptRange { from, to: next, end }
            })
            .collect();
        Receipt { store: StoreId(store), log: LogId(log), kind, reason, ranges }
    }
}

fn span() -> impl Strategy<Value = Span> {
    (number(), number(), hash()).prop_map(|(from, to, end)| Span { from, to, end })
}

prop_compose! {
    fn run()(
        (log, previous) in (any::<[u8; 32]>(), hash()),
        first in number(),
        envelopes in vec(wire(), 1..4),
    ) -> Run {
        Run { log: LogId(log), first, previous, envelopes }
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let logs = vec((any::<[u8; 32]>().prop_map(LogId), vec(span(), 0..4)), 0..4);
    let statements = vec(any::<[u8; 16]>().prop_map(StatementId), 0..4);
    let summary = (statements, logs, any::<bool>())
        .prop_map(|(statements, logs, last)| Frame::Summary { statements, logs, last });
    let batch = (any::<u32>(), vec(bytes().prop_map(Bytes), 0..4), vec(run(), 0..4))
        .prop_map(|(number, statements, runs)| Frame::Batch { number, statements, runs });
    prop_oneof![
        bytes().prop_map(|sealed| Frame::Hello(Bytes(sealed))),
        Just(Frame::WantChain),
        bytes().prop_map(|sealed| Frame::Chain(Bytes(sealed))),
        summary,
        (number(), number())
            .prop_map(|(statements, envelopes)| Frame::Totals { statements, envelopes }),
        batch,
        any::<u32>().prop_map(|number| Frame::Ack { number }),
        any::<[u8; 16]>().prop_map(|digest| Frame::End { digest }),
    ]
}

prop_compose! {
    fn card()(
        (record, visit) in any::<([u8; 16], [u8; 16])>(),
        (form_version, more) in any::<(u32, u32)>(),
        occurred in any::<i64>(),
        (form, name) in ("[a-z-]{0,12}", "\\PC{0,8}"),
        dangers in vec("[a-z-]{0,10}", 0..5),
    ) -> Card {
        Card {
            version: 1,
            record: RecordId(record),
            visit: VisitId(visit),
            form,
            form_version,
            occurred: Stamp(occurred),
            name,
            dangers,
            more,
        }
    }
}

fn area_scope() -> impl Strategy<Value = AreaScope> {
    prop_oneof![
        Just(AreaScope::Programme),
        any::<[u8; 8]>().prop_map(|tag| AreaScope::Catchment(CatchmentTag(tag))),
        any::<[u8; 16]>().prop_map(|tag| AreaScope::Area(AreaTag(tag))),
    ]
}

prop_compose! {
    fn certificate()(
        programme in any::<[u8; 16]>(),
        issuer in issuer(),
        (device, sealing) in any::<([u8; 32], [u8; 32])>(),
        role in prop::sample::select(Role::ALL.to_vec()),
        areas in vec(area_scope(), 0..6),
        (issued, expires) in any::<(i64, i64)>(),
    ) -> Certificate {
        Certificate {
            programme: huza_crdt::id::ProgrammeId(programme),
            issuer,
            device: DeviceKey(device),
            sealing: SealingPublic(sealing),
            role,
            areas,
            issued: Stamp(issued),
            expires: Stamp(expires),
        }
    }
}

fn grant_content() -> impl Strategy<Value = GrantContent> {
    let key = || any::<[u8; 32]>().prop_map(SymmetricKey::from_bytes);
    let area = (any::<[u8; 16]>(), "\\PC{0,8}", "\\PC{0,8}", key()).prop_map(
        |(area, catchment, village, key)| {
            let name = AreaName { catchment, village };
            GrantContent::Area(AreaKey { area: AreaTag(area), name, key })
        },
    );
    let catchment = (any::<[u8; 8]>(), "\\PC{0,8}", key(), key(), vec("\\PC{0,8}", 0..5)).prop_map(
        |(catchment, code, epoch, tags, villages)| {
            let catchment = CatchmentTag(catchment);
            GrantContent::Catchment(CatchmentSecret { catchment, code, epoch, tags, villages })
        },
    );
    prop_oneof![area, catchment]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn envelopes_are_spelled_once(
        header in header(), wire in wire(), unnumbered in unnumbered(), payload in payload(),
        previous in hash(),
    ) {
        spelled_once(&header);
        spelled_once(&Stored { previous, wire: wire.clone() });
        spelled_once(&wire);
        spelled_once(&unnumbered);
        spelled_once(&payload);
        spelled_once(&payload.items[0]);
        prop_assert_eq!(wire.bytes(), codec::encode(&wire).len());
    }

    #[test]
    fn statements_are_spelled_once(
        statement in statement(), receipt in receipt(), (to, epoch) in any::<([u8; 16], [u8; 16])>(),
        sealed in bytes(), (device, public) in any::<([u8; 32], [u8; 32])>(), area in any::<[u8; 16]>(),
        (one, other) in ((header(), signature()), (header(), signature())),
        content in grant_content(),
    ) {
        spelled_once(&statement);
        let bytes = statement.to_bytes();
        prop_assert_eq!(Statement::from_bytes(&bytes), Ok(statement));
        spelled_once(&receipt);
        prop_assert!(Body::read(kind::RECEIPT, &codec::encode(&receipt)).is_ok());
        let (to, epoch, area) = (CertId(to), EpochId(epoch), AreaTag(area));
        spelled_once(&Grant { to, epoch, sealed });
        spelled_once(&PublishedKey { area, epoch, public: SealingPublic(public) });
        let device = DeviceKey(device);
        let incarnation = Incarnation(epoch.0);
        spelled_once(&Opening { device, certificate: to, area, incarnation });
        spelled_once(&ForkProof { one, other });
        spelled_once(&content);
    }

    #[test]
    fn frames_are_spelled_once(
        frame in frame(), (certificate, digest) in any::<([u8; 16], [u8; 16])>(), version: u8,
    ) {
        spelled_once(&frame);
        let mut pipe = frame.to_pipe();
        for cut in 0..pipe.len() {
            prop_assert_eq!(take_frame(&mut pipe[..cut].to_vec()), Ok(None));
        }
        pipe.push(7);
        let taken = take_frame(&mut pipe).unwrap().unwrap();
        prop_assert_eq!(Frame::from_bytes(&taken), Ok(frame));
        prop_assert_eq!(pipe, [7]);
        spelled_once(&Hello { version, certificate: CertId(certificate), digest });
    }

    #[test]
    fn cards_are_spelled_once(card in card()) {
        let bytes = card.encode();
        prop_assume!(bytes.len() <= CARD_BYTES_MAX);
        prop_assert_eq!(Card::decode(&bytes), Ok(card.clone()));
        spelled_once(&card);
        for other in [0, 2, u8::MAX] {
            let later = Card { version: other, ..card.clone() };
            prop_assert!(Card::decode(&later.encode()).is_err());
        }
    }

    #[test]
    fn certificates_are_spelled_once(certificate in certificate(), seed: [u8; 32], at: usize) {
        let key = SigningKey::from_seed(seed);
        let cose = certificate.sign(&key).unwrap();
        let read = |bytes: &[u8]| Certificate::read(bytes, |_| Some(key.public()));
        let (again, signed) = read(&cose).unwrap();
        prop_assert_eq!(again, certificate);
        prop_assert!(signed.verify());
        for cut in 0..cose.len() {
            prop_assert!(read(&cose[..cut]).is_err());
        }
        let mut longer = cose.clone();
        longer.push(0);
        prop_assert!(read(&longer).is_err());
        let mut changed = cose;
        let at = at % changed.len();
        changed[at] ^= 0x20;
        prop_assert!(!read(&changed).is_ok_and(|(_, signed)| signed.verify()));
    }

    #[test]
    fn joining_is_spelled_once(seed: [u8; 32], label in "\\PC{0,20}", at: usize) {
        let mut entropy = huza_crdt::crypto::Entropy::new(seed);
        let (key, sealing) = (SigningKey::from_seed(seed), SealingKey::from_seed(seed));
        let request = JoinRequest::new(&key, sealing.public(), &label);
        spelled_once(&request);
        prop_assert!(request.verify());
        let mut programme = Programme::found(&label, &mut entropy);
        let villages = ["01".to_owned()];
        let mut centre =
            programme.certify_centre("HC", &villages, Stamp(1), &mut entropy).unwrap();
        let welcome =
            centre.approve(&request, Role::Worker, &villages, Stamp(1), &mut entropy).unwrap();
        let bytes = codec::encode(&welcome);
        prop_assert_eq!(codec::decode::<Welcome>(&bytes), Ok(welcome.clone()));
        prop_assert!(codec::decode::<Welcome>(&bytes[..at % bytes.len()]).is_err());
        let membership: Membership = welcome.open(&sealing).unwrap();
        spelled_once(&membership);
    }

    /// Whatever comes, every reader answers; and what it accepts, it would write the same way.
    #[test]
    fn junk_is_read_without_panic(bytes in vec(any::<u8>(), 0..400), counter in number()) {
        if let Ok(frame) = Frame::from_bytes(&bytes) {
            prop_assert_eq!(codec::encode(&frame), bytes.as_slice());
        }
        if let Ok(statement) = Statement::from_bytes(&bytes) {
            prop_assert_eq!(statement.to_bytes(), bytes.as_slice());
        }
        for number in 0..=12 {
            drop(Body::read(number, &bytes));
        }
        drop(Certificate::read(&bytes, |_| None));
        drop(Card::decode(&bytes));
        drop(codec::decode::<Payload>(&bytes));
        drop(codec::decode::<Stored>(&bytes));
        drop(codec::decode::<Welcome>(&bytes));
        drop(pack::unpack(&bytes, 1_000));
        drop(unpack(Origin { log: LogId([1; 32]), counter }, &bytes));
        drop(read_bundle(&String::from_utf8_lossy(&bytes), None));
    }

    /// Junk behind a good beginning reaches further into the readers.
    #[test]
    fn mangled_frames_are_read_without_panic(
        frame in frame(), at: usize, with: u8, cut: usize,
    ) {
        let mut bytes = codec::encode(&frame);
        let at = at % bytes.len();
        bytes[at] = with;
        bytes.truncate(1 + cut % bytes.len());
        if let Ok(read) = Frame::from_bytes(&bytes) {
            prop_assert_eq!(codec::encode(&read), bytes);
        }
    }
}

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

#[test]
fn statements_per_issuer_max() {
    let area = AreaTag([1; 16]);
    let key = PublishedKey { area, epoch: EpochId([2; 16]), public: SealingPublic([3; 32]) };
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
    let open = |count| forged(&codec::encode(&items(count, 0)));
    assert_eq!(open(ENVELOPE_ITEMS_MAX), Err(OpenError::WrongItems));
    assert!(over(&open(ENVELOPE_ITEMS_MAX + 1)));
    assert!(over(&open(0)));
}

#[test]
fn card_bytes_max() {
    let open = |bytes| forged(&codec::encode(&items(1, bytes)));
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
