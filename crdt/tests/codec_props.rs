//! Laws of every format: what is written reads back, one value has one spelling, a tail or a cut
//! is refused, and junk never panics.

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
    Admission, Body, CutOff, EnvelopePlace, Erasure, Grant, Opening, ProgrammeTime, PublishedKey,
    Reason, Receipt, ReceiptKind, ReceiptRange, Revocation, Rung, Scope, Statement, kind,
};
use huza_crdt::crypto::{SealingKey, SealingPublic, Signature, SigningKey, SymmetricKey};
use huza_crdt::envelope::{
    Content, ForkProof, Header, Item, Payload, Stored, Unnumbered, Urgency, Wire,
};
use huza_crdt::holdings::Span;
use huza_crdt::id::{
    AreaTag, CatchmentTag, CertId, DeviceKey, EpochId, Hash, Incarnation, LogId, Origin, RecordId,
    StatementId, StoreId, VisitId,
};
use huza_crdt::limits::CARD_BYTES_MAX;
use huza_crdt::pack;
use huza_crdt::record::{Card, read_bundle, unpack};
use huza_crdt::session::difference::{ShortId, Symbol};
use huza_crdt::session::frame::{Bytes, Frame, Hello, Run, ShortSpan, ToldLog, take_frame};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest, Membership, Welcome};
use huza_crdt::trust::paper::Programme;
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
    let short = || any::<[u8; 8]>().prop_map(ShortId);
    let span =
        (number(), number(), short()).prop_map(|(from, to, end)| ShortSpan { from, to, end });
    let told = (short(), vec(span, 0..4)).prop_map(|(log, spans)| ToldLog { log, spans });
    let differ = (vec(told, 0..4), vec(short(), 0..4), any::<bool>())
        .prop_map(|(logs, wanted, last)| Frame::Differ { logs, wanted, last });
    let batch = (any::<u32>(), vec(bytes().prop_map(Bytes), 0..4), vec(run(), 0..4))
        .prop_map(|(number, statements, runs)| Frame::Batch { number, statements, runs });
    prop_oneof![
        bytes().prop_map(|sealed| Frame::Hello(Bytes(sealed))),
        vec(any::<[u8; 16]>().prop_map(CertId), 0..4).prop_map(|known| Frame::WantChain { known }),
        (any::<[u8; 16]>(), number()).prop_map(|(digest, count)| Frame::Now { digest, count }),
        bytes().prop_map(|sealed| Frame::Chain(Bytes(sealed))),
        summary,
        vec(any::<[u8; 12]>().prop_map(Symbol), 0..4).prop_map(Frame::Symbols),
        any::<u32>().prop_map(|to| Frame::WantSymbols { to }),
        differ,
        (number(), number())
            .prop_map(|(statements, envelopes)| Frame::Totals { statements, envelopes }),
        batch,
        any::<u32>().prop_map(|number| Frame::Ack { number }),
        (any::<u32>(), hash()).prop_map(|(number, log)| Frame::Refused {
            number,
            full: false,
            logs: [LogId(log.0)].into()
        }),
        any::<([u8; 16], [u8; 16])>().prop_map(|(digest, all)| Frame::End { digest, all }),
        Just(Frame::Same),
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
            request: [7; 16],
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
            GrantContent::Catchment(CatchmentSecret {
                catchment,
                code,
                generation: 300,
                epoch,
                tags,
                villages,
            })
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
        let opens = AreaScope::Area(area);
        spelled_once(&Grant { to, opens, epoch, sealed: sealed.clone() });
        spelled_once(&Rung { opens, epoch, sealed: sealed.clone() });
        spelled_once(&PublishedKey {
            area, epoch, catchment_epoch: epoch, generation: 7, rotation: 300,
            public: SealingPublic(public),
        });
        let (log, end) = (LogId(device), Hash(public));
        spelled_once(&Revocation {
            certificate: to, reason: Reason::Lost, logs: vec![CutOff { log, to: 300, end }],
            statements: vec![StatementId(epoch.0)],
        });
        spelled_once(&Admission { log, from: 2, to: 300, end, admit: true });
        let place = EnvelopePlace { log, seq: 300, hash: end };
        spelled_once(&Erasure {
            area, gone: vec![(log, vec![1, 300])], extends: Some(StatementId(epoch.0)), reissue: Some(place), epoch, record: sealed,
        });
        spelled_once(&ProgrammeTime { time: Stamp(1_795_000_000) });
        let device = DeviceKey(device);
        let incarnation = Incarnation(epoch.0);
        spelled_once(&Opening { device, certificate: to, area, incarnation });
        spelled_once(&ForkProof { one, other });
        spelled_once(&content);
    }

    #[test]
    fn frames_are_spelled_once(
        frame in frame(), (certificate, digest) in any::<([u8; 16], [u8; 16])>(), version: u8, count: u64,
        room: u32,
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
        spelled_once(&Hello { version, certificate: CertId(certificate), digest, count, room, more: false });
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
        let request = JoinRequest::new(&key, sealing.public(), (&label, false), Stamp(1), [0; 8]);
        spelled_once(&request);
        prop_assert!(request.verify());
        let mut programme = Programme::found(&label, &mut entropy);
        let villages = ["01".to_owned()];
        let mut centre =
            programme.certify_centre("HC", &villages, Stamp(1), &mut entropy).unwrap();
        let welcome =
            centre.approve(&request, &Approval::of(Role::Worker, &villages), Stamp(1), &mut entropy).unwrap();
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
