//! Golden vectors: the bytes of every format, from fixed seeds, in `golden/<name>.hex`.
//!
//! A difference means that devices in the field would no longer understand each other. Where that
//! is intended (a new version of a format), write the files anew with
//!
//! ```text
//! HUZA_BLESS=1 cargo test -p huza-crdt --test golden
//! ```
//!
//! and say so in the commit. `docs/wire.md` says what is in each file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail loudly"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use huza_crdt::bundle;
use huza_crdt::codec;
use huza_crdt::control::{
    Admission, Body, CutOff, EnvelopePlace, Erasure, Grant, Opening, ProgrammeTime, PublishedKey,
    Reason, Receipt, ReceiptKind, ReceiptRange, Revocation, Scope, Statement, form_body, form_text,
    kind,
};
use huza_crdt::crypto::{Purpose, SealingKey, SigningKey, SymmetricKey};
use huza_crdt::envelope::{
    Content, ForkProof, Header, Item, Payload, Seal, Stored, Unnumbered, Urgency, Wire,
};
use huza_crdt::holdings::{Claims, Span, Spans};
use huza_crdt::id::{
    AreaTag, CatchmentTag, CertId, Hash, Incarnation, LogId, Origin, RecordId, StatementId,
    StoreId, hex, unhex,
};
use huza_crdt::record::{Card, Document, Edit, Form, card, check, form, genesis, pack, unpack};
use huza_crdt::session::difference::{ShortId, encode};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, ShortSpan, ToldLog, VERSION};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{JoinRequest, Membership, open_grant};
use huza_crdt::trust::{
    AreaKey, AreaName, AreaScope, CatchmentSecret, Certificate, GrantContent, Issuer, Predecessor,
    Role, directory_key, epoch_of, seal_rung, sealing_of,
};

const ENTROPY: [u8; 32] = [0x5e; 32];

/// Compares `bytes` with the file, or writes it.
fn golden(name: &str, bytes: &[u8]) {
    let mut text = String::new();
    for line in bytes.chunks(40) {
        text.push_str(&hex(line));
        text.push('\n');
    }
    let path = path(name);
    if blessing() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected, text, "{name} is not what golden/{name}.hex holds");
}

fn blessing() -> bool {
    std::env::var_os("HUZA_BLESS").is_some()
}

/// What the file holds.
fn stored(name: &str) -> Vec<u8> {
    let text: String = std::fs::read_to_string(path(name)).unwrap().split_whitespace().collect();
    unhex(&text).unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"))
}

fn programme_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn device() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

fn device_sealing() -> SealingKey {
    SealingKey::from_seed([3; 32])
}

fn member() -> SymmetricKey {
    SymmetricKey::from_bytes([4; 32])
}

fn secret() -> CatchmentSecret {
    let programme = huza_crdt::control::programme_id(&programme_key().public());
    CatchmentSecret {
        catchment: CatchmentSecret::tag_of(programme, "HC-042"),
        code: "HC-042".to_owned(),
        generation: 0,
        epoch: SymmetricKey::from_bytes([5; 32]),
        tags: SymmetricKey::from_bytes([6; 32]),
        villages: vec!["01".to_owned(), "02".to_owned()],
    }
}

fn area() -> AreaTag {
    secret().area("01")
}

fn area_key() -> SymmetricKey {
    secret().key(area(), 0)
}

fn certificate() -> Certificate {
    Certificate {
        programme: huza_crdt::control::programme_id(&programme_key().public()),
        issuer: Issuer::Programme,
        device: device().public(),
        sealing: device_sealing().public(),
        role: Role::Worker,
        areas: vec![AreaScope::Area(area()), AreaScope::Catchment(CatchmentTag([7; 8]))],
        request: [0x50; 16],
        issued: Stamp(1_795_421_700),
        expires: Stamp(1_858_493_700),
    }
}

fn cose() -> Vec<u8> {
    certificate().sign(&programme_key()).unwrap()
}

fn cert_id() -> CertId {
    Certificate::id(&cose())
}

fn statement(number: u64, previous: Hash, kind: u8, body: Vec<u8>) -> Statement {
    let scope = Scope::Catchment(area().catchment());
    let issuer = Issuer::Certified(cert_id());
    Statement::sign(&device(), issuer, (number, previous), scope, (kind, body))
}

fn opening() -> Statement {
    let opening = Opening {
        device: device().public(),
        certificate: cert_id(),
        area: area(),
        incarnation: Incarnation([8; 16]),
    };
    statement(0, Hash([0; 32]), kind::OPENING, codec::encode(&opening))
}

fn origin() -> Origin {
    Origin { log: opening().log(), counter: 3 }
}

fn visit() -> (Edit, Vec<u8>) {
    let form = form("sick-child", 1).unwrap();
    let answers =
        [("age-months", "14"), ("temperature", "38.9"), ("convulsions", "yes"), ("cough", "no")];
    let answers: BTreeMap<String, String> =
        answers.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    let checked = check(form, &answers).unwrap();
    let visit = origin().visit();
    let ids = (RecordId([9; 16]), visit);
    let card = card(&form.name(), Some("Keza Uwimana"), &checked, ids, Stamp(1_795_421_700));
    let edit = Edit::Visit {
        visit,
        form: form.name(),
        occurred: Stamp(1_795_421_700),
        worker: "CHW-0142".to_owned(),
        answers: checked.answers,
    };
    (edit, card)
}

/// An urgent visit, and an edit that leans on an earlier change of another log.
fn changes() -> Vec<(Origin, Vec<u8>)> {
    let mut document = Document::new(RecordId([9; 16]));
    let write = |document: &mut Document, origin: Origin, edits: &[Edit]| {
        let at = Stamp(1_795_421_760);
        (origin, document.write(origin, at, "CHW-0142", edits).unwrap().unwrap())
    };
    let name = |value: &str| Edit::Person { field: "name/given".into(), value: value.into() };
    let elsewhere = Origin { log: LogId([0x11; 32]), counter: 0 };
    let visit = write(&mut document, origin(), &[visit().0]);
    write(&mut document, elsewhere, &[name("Keza")]);
    let next = Origin { counter: 4, ..origin() };
    let edit = write(&mut document, next, &[name("Kezia")]);
    vec![visit, edit]
}

fn payload() -> Payload {
    let items: Vec<Item> = changes()
        .iter()
        .zip([visit().1, Vec::new()])
        .map(|((origin, raw), card)| Item {
            record: RecordId([9; 16]),
            change: pack(*origin, raw).unwrap(),
            card,
        })
        .collect();
    Payload { origin: None, first: 3, items }
}

fn sealed(seal: &Seal) -> Unnumbered {
    payload().seal(origin().log, seal, Urgency::Urgent, ENTROPY).unwrap()
}

fn member_seal() -> Seal {
    Seal::Member(area_key())
}

fn outsider_seal() -> Seal {
    Seal::Outsider(epoch_of(&area_key()), sealing_of(&area_key()).public())
}

fn envelope() -> (Header, Stored) {
    let (log, seq, previous) = (origin().log, 5, Hash([0x22; 32]));
    let stored = sealed(&member_seal()).number(&device(), log, seq, previous);
    (stored.wire.header(log, seq, previous), stored)
}

/// A form as it is published.
const FORM: &str = r#"id = "shoes"
version = 1
title = { rw = "Inkweto", fr = "Chaussures", en = "Shoes" }
[[field]]
id = "size"
label = { rw = "Ingano", fr = "Pointure", en = "Size" }
type = "integer"
resource = "Observation"
"#;

fn span() -> Span {
    Span { from: 0, to: 300, end: Hash([0x33; 32]) }
}

#[test]
fn ids_and_keys_are_derived_as_ever() {
    let programme = huza_crdt::control::programme_id(&programme_key().public());
    golden("id-programme", &programme.0);
    golden("id-catchment-tag", &secret().catchment.0);
    golden("id-area-tag", &area().0);
    golden("id-certificate", &cert_id().0);
    golden("id-log", &origin().log.0);
    golden("id-actor", &origin().actor());
    golden("id-record", &origin().record().0);
    golden("id-visit", &origin().visit().0);
    golden("key-device", &device().public().0);
    golden("key-device-sealing", &device_sealing().public().0);
    golden("key-area", area_key().expose());
    golden("key-area-epoch", &epoch_of(&area_key()).0);
    golden("key-area-sealing", &sealing_of(&area_key()).public().0);
    golden("key-directory", directory_key(&member()).expose());
}

#[test]
fn certificates_keep_their_bytes() {
    golden("certificate", &cose());
    let key = programme_key().public();
    let (read, signed) = Certificate::read(&stored("certificate"), |_| Some(key)).unwrap();
    assert_eq!(read, certificate());
    assert!(signed.verify());
    golden("certificate-tbs", &signed.bytes);
}

fn grant() -> (GrantContent, Grant) {
    let name = AreaName { catchment: "HC-042".to_owned(), village: "01".to_owned() };
    let content = GrantContent::Area(AreaKey { area: area(), name, key: area_key() });
    let epoch = epoch_of(&area_key());
    let context = [b"huza grant 1\0".as_slice(), &cert_id().0, &epoch.0].concat();
    let plain = codec::encode(&content);
    let sealed = device_sealing().public().seal(&context, &plain, ENTROPY).unwrap();
    (content, Grant { to: cert_id(), opens: AreaScope::Area(area()), epoch, sealed })
}

fn receipt() -> Receipt {
    let range = ReceiptRange { from: 2, to: 300, end: Hash([0x44; 32]) };
    Receipt {
        store: StoreId([0x55; 16]),
        log: origin().log,
        kind: ReceiptKind::Refused,
        reason: 422,
        ranges: vec![range, ReceiptRange { from: 302, to: 302, end: Hash([0x45; 32]) }],
    }
}

fn fork_proof() -> ForkProof {
    let (one, stored) = envelope();
    let other = Header { urgency: Urgency::Routine, ..one };
    let signature = device().sign(Purpose::Envelope, &codec::encode(&other));
    ForkProof { one: (one, stored.wire.signature), other: (other, signature) }
}

#[test]
fn statements_keep_their_bytes() {
    let published = PublishedKey {
        area: area(),
        epoch: epoch_of(&area_key()),
        catchment_epoch: huza_crdt::id::EpochId([0x99; 16]),
        generation: 1,
        rotation: 300,
        public: sealing_of(&area_key()).public(),
    };
    let revocation = Revocation {
        certificate: cert_id(),
        reason: Reason::Stolen,
        logs: vec![CutOff { log: origin().log, to: 300, end: Hash([0x44; 32]) }],
        statements: vec![StatementId([0x88; 16])],
    };
    let admission =
        Admission { log: origin().log, from: 301, to: 310, end: Hash([0x45; 32]), admit: true };
    let place = EnvelopePlace { log: origin().log, seq: 9, hash: Hash([0x46; 32]) };
    let erasure = Erasure {
        area: area(),
        gone: vec![(origin().log, vec![3, 300])],
        extends: Some(StatementId([0x88; 16])),
        reissue: Some(place),
        epoch: epoch_of(&area_key()),
        record: vec![0x47; 56],
    };
    let earlier = [Predecessor { key: SymmetricKey::from_bytes([0x48; 32]), generation: 0 }];
    let rung = seal_rung(AreaScope::Area(area()), &area_key(), &earlier, ENTROPY);
    let proof = fork_proof();
    assert!(proof.holds(device().public()));
    let bodies = [
        ("statement-certificate", kind::CERTIFICATE, cose()),
        ("statement-grant", kind::GRANT, codec::encode(&grant().1)),
        ("statement-receipt", kind::RECEIPT, codec::encode(&receipt())),
        ("statement-published-key", kind::PUBLISHED_KEY, codec::encode(&published)),
        ("statement-fork-proof", kind::FORK_PROOF, codec::encode(&proof)),
        ("statement-revocation", kind::REVOCATION, codec::encode(&revocation)),
        ("statement-admission", kind::ADMISSION, codec::encode(&admission)),
        ("statement-erasure", kind::ERASURE, codec::encode(&erasure)),
        ("statement-rung", kind::RUNG, codec::encode(&rung)),
        (
            "statement-programme-time",
            kind::PROGRAMME_TIME,
            codec::encode(&ProgrammeTime { time: Stamp(1_795_000_000) }),
        ),
        ("statement-unread", 200, vec![1, 2, 3]),
        ("statement-form", kind::FORM, form_body(FORM).unwrap()),
    ];
    golden("statement-opening", &opening().to_bytes());
    for ((name, kind, body), number) in bodies.into_iter().zip(1..) {
        let one = statement(number, opening().hash(), kind, body.clone());
        golden(name, &one.to_bytes());
        let read = Statement::from_bytes(&stored(name)).unwrap();
        assert_eq!(read, one);
        assert!(read.signed(device().public()).verify());
        assert!(Body::read(kind, &body).is_ok());
    }
    let form = Statement::from_bytes(&stored("statement-form")).unwrap();
    assert_eq!(form_text(&form).unwrap(), FORM);
    golden("form-version", Form::read(FORM).unwrap().name().version().as_bytes());
    let (content, grant) = grant();
    assert_eq!(open_grant(&grant, &device_sealing()).unwrap(), content);
    golden("grant-content-area", &codec::encode(&content));
    golden("grant-content-catchment", &codec::encode(&GrantContent::Catchment(secret())));
}

#[test]
fn changes_keep_their_bytes() {
    golden("genesis", genesis());
    for ((origin, raw), name) in changes().into_iter().zip(["change-visit", "change-edit"]) {
        golden(name, &raw);
        let packed = format!("{name}-packed");
        golden(&packed, &pack(origin, &raw).unwrap());
        assert_eq!(unpack(origin, &stored(&packed)).unwrap(), raw);
    }
    let (_, card) = visit();
    golden("card", &card);
    assert_eq!(Card::decode(&stored("card")).unwrap().encode(), card);
}

#[test]
fn envelopes_keep_their_bytes() {
    let (header, envelope) = envelope();
    golden("envelope-header", &codec::encode(&header));
    golden("envelope-header-hash", &header.hash().0);
    golden("envelope-signature", &envelope.wire.signature.to_bytes());
    golden("envelope-wire", &codec::encode(&envelope.wire));
    golden("envelope-stored", &codec::encode(&envelope));
    let wire: Wire = codec::decode(&stored("envelope-wire")).unwrap();
    assert_eq!(wire.header(header.log, header.seq, header.previous), header);
    assert!(header.signed(device().public(), wire.signature).verify());
    let (bytes, hash) = (header.payload_bytes, header.payload_hash);
    let stub = Wire { content: Content::Erased { bytes, hash }, ..wire };
    golden("envelope-wire-erased", &codec::encode(&stub));
}

/// What every version must do: open the payloads of the golden envelopes.
#[test]
fn payloads_open_as_ever() {
    golden("payload-plain", &codec::encode(&payload()));
    golden("payload-short", &payload().to_short(origin().log));
    if blessing() {
        return; // Other tests are writing these files just now.
    }
    // No code writes the files of an earlier dictionary any more, so none may be written anew.
    let earlier = ["envelope-wire-dictionary-1", "envelope-wire-outsider-dictionary-1"];
    for name in ["envelope-wire", "envelope-wire-outsider"].into_iter().chain(earlier) {
        let wire: Wire = codec::decode(&stored(name)).unwrap();
        let header = wire.header(origin().log, 5, Hash([0x22; 32]));
        let Content::Sealed(sealed) = &wire.content else { panic!("{name} is whole") };
        assert_eq!(Payload::open(&header, sealed, &area_key()).unwrap(), payload());
        assert_eq!(codec::decode::<Payload>(&stored("payload-plain")).unwrap(), payload());
        let short = Payload::from_short(origin().log, &stored("payload-short"));
        assert_eq!(short.unwrap(), payload());
    }
}

/// The forms that dictionary 2 spells by number, as far as their numbers go.
#[test]
fn forms_that_are_numbered_never_change() {
    let mut text = String::new();
    for (id, version) in [("anc", 1), ("consent", 1), ("sick-child", 1)] {
        for field in &huza_crdt::record::form(id, version).unwrap().fields {
            let least = field.hard.as_ref().map(|range| &range.min);
            let choices: Vec<_> = field.choices.iter().map(|choice| &choice.id).collect();
            text +=
                &format!("{id} {version} {} {:?} {least:?} {choices:?}\n", field.id, field.kind);
        }
    }
    golden("forms-dictionary-2", text.as_bytes());
}

/// Compressed bytes belong to one version of zstd. If this test alone fails, zstd has changed and
/// the files may be written anew; the old ones must open first (see the test above).
#[test]
fn payloads_are_sealed_as_by_this_zstd() {
    golden("payload-member", &sealed(&member_seal()).payload);
    golden("payload-outsider", &sealed(&outsider_seal()).payload);
    let outsider = sealed(&outsider_seal());
    let outsider = outsider.number(&device(), origin().log, 5, Hash([0x22; 32]));
    golden("envelope-wire-outsider", &codec::encode(&outsider.wire));
}

fn channel() -> Channel {
    Channel { binding: [0x66; 32], dialer: true }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        certificate: cert_id(),
        digest: [0x77; 16],
        count: 300,
        room: 204,
        more: false,
    }
}

fn frames() -> Vec<(&'static str, Frame)> {
    let (_, stored) = envelope();
    let summary = Frame::Summary {
        statements: vec![StatementId([0x88; 16])],
        logs: vec![(origin().log, vec![span()])],
        last: true,
    };
    let spans = vec![ShortSpan { from: 0, to: 300, end: ShortId([3; 8]) }];
    let differ = Frame::Differ {
        logs: vec![ToldLog { log: ShortId([4; 8]), spans }],
        wanted: vec![ShortId([5; 8])],
        last: true,
    };
    let batch = Frame::Batch {
        number: 130,
        statements: vec![Bytes(opening().to_bytes())],
        runs: vec![Run {
            log: origin().log,
            first: 5,
            previous: stored.previous,
            envelopes: vec![stored.wire],
        }],
    };
    let chain = [opening().to_bytes()];
    vec![
        (
            "frame-hello",
            Frame::Hello(channel().seal_hello(&hello(), &device(), &member(), ENTROPY)),
        ),
        ("frame-want-chain", Frame::WantChain { known: vec![cert_id()] }),
        ("frame-now", Frame::Now { digest: [0x78; 16], count: 300 }),
        ("frame-chain", Frame::Chain(channel().seal_chain(&chain, &member(), ENTROPY))),
        ("frame-summary", summary),
        ("frame-symbols", Frame::Symbols(encode(&[ShortId([1; 8]), ShortId([2; 8])], 0, 3))),
        ("frame-want-symbols", Frame::WantSymbols { to: 128 }),
        ("frame-differ", differ),
        ("frame-totals", Frame::Totals { statements: 3, envelopes: 70_000 }),
        ("frame-batch", batch),
        ("frame-ack", Frame::Ack { number: 130 }),
        (
            "frame-refused",
            Frame::Refused { number: 130, full: true, logs: [LogId([0x79; 32])].into() },
        ),
        ("frame-end", Frame::End { digest: [0x99; 16], all: [0x9a; 16] }),
        ("frame-same", Frame::Same),
    ]
}

#[test]
fn frames_keep_their_bytes() {
    golden("hello", &codec::encode(&hello()));
    for (name, frame) in frames() {
        golden(name, &frame.to_pipe());
        assert_eq!(Frame::from_bytes(&stored(name)[4..]).unwrap(), frame);
    }
    let Frame::Hello(sealed) = Frame::from_bytes(&stored("frame-hello")[4..]).unwrap() else {
        panic!("a hello");
    };
    let (read, signature) = channel().open_hello(&sealed, &member()).unwrap();
    assert_eq!(read, hello());
    assert!(channel().proof(&read, device().public(), signature).verify());
}

#[test]
fn a_page_of_a_bundle_keeps_its_bytes() {
    let (_, batch) = frames().into_iter().find(|(name, _)| *name == "frame-batch").unwrap();
    let sealed = member().seal(bundle::CONTEXT, &codec::encode(&batch), ENTROPY);
    golden("bundle-page", &bundle::page(&sealed));
    let mut pages = bundle::Pages::default();
    pages.push(&stored("bundle-page"));
    let Some(bundle::Found::Page(read)) = pages.find() else { panic!("a page") };
    let plain = member().open(bundle::CONTEXT, &read).unwrap();
    assert_eq!(Frame::from_bytes(&plain).unwrap(), batch);
}

#[test]
fn digests_keep_their_bytes() {
    let mut claims = Claims::default();
    let catchment = |_: &LogId| CatchmentTag([0x66; 8]);
    golden("digest-empty", &claims.digests(catchment).all());
    claims.statements.insert(StatementId([0x88; 16]));
    let mut spans = Spans::default();
    spans.insert(span());
    claims.logs.insert(origin().log, spans);
    golden("digest", &claims.digests(catchment).all());
}

#[test]
fn joining_keeps_its_bytes() {
    let request = JoinRequest::new(
        &device(),
        device_sealing().public(),
        ("phone of village 01", false),
        Stamp(1_795_000_000),
        [0x49; 8],
    );
    golden("join-request", &codec::encode(&request));
    let read: JoinRequest = codec::decode(&stored("join-request")).unwrap();
    assert!(read.verify());
    let membership = Membership {
        root: programme_key().public(),
        member: member(),
        programme: "Example".to_owned(),
        certificate: cert_id(),
        workers: vec!["Claudine".to_owned()],
        hubs: vec!["192.168.1.5:4001".to_owned()],
    };
    golden("membership", &codec::encode(&membership));
    let sealing = device_sealing().public();
    let sealed = sealing.seal(b"huza welcome 1", &codec::encode(&membership), ENTROPY).unwrap();
    // A welcome is its statements and the sealed membership.
    golden("welcome", &codec::encode(&(vec![opening()], Bytes(sealed))));
    let read: huza_crdt::trust::approval::Welcome = codec::decode(&stored("welcome")).unwrap();
    assert_eq!(read.open(&device_sealing()).unwrap(), membership);
    let news = member().seal(b"huza news 1", &codec::encode(&(origin().log, 7_u64)), ENTROPY);
    golden("news", &news);
}
