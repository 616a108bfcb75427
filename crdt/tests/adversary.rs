//! Attacks on who is trusted and with what: a thief, a member that lies, an authority that was
//! stolen or belongs to another health centre. Each is refused, or made not to count, or bounded.
//! What a member may say in a session is in `hostile_peer.rs`; over real sockets, in the daemon's
//! `adversary.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod common;
#[path = "../fuzz/src/lane.rs"]
mod lane;
mod raw_peer;

use common::{Host, TODAY, World, complete};
use huza_crdt::codec;
use huza_crdt::control::{
    Admission, Admitted, CutOff, EnvelopePlace, Erasure, Grant, Lane, LaneError, ProgrammeTime,
    PublishedKey, Quarantine, Reason, Revocation, Rung, Scope, Standing, Statement, kind,
};
use huza_crdt::crypto::{Entropy, SealingKey, SealingPublic, SigningKey, SymmetricKey};
use huza_crdt::id::{CertId, EpochId, Hash, LogId, StatementId};
use huza_crdt::limits::{EARLY_BYTES_MAX, FRAME_BYTES_MAX, GROUNDS_MAX};
use huza_crdt::node::{Command, Event, Input, Order, PipeId, Reply};
use huza_crdt::session::Fault;
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello};
use huza_crdt::store::{Range, Table};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_crdt::trust::paper::Programme;
use huza_crdt::trust::{
    AreaKey, AreaName, AreaScope, Certificate, GrantContent, Issuer, Keyring, Role,
};
use lane::{AREAS, Choice, Play, admit_all, held, who};
use proptest::prelude::*;
use raw_peer::{RawPeer, batch};

// Statements, without a node.

fn everything(play: &Play, more: &[Statement]) -> Lane {
    let all: Vec<&Statement> = play.first.iter().chain(more).collect();
    admit_all(play.root(), &all)
}

fn revocation(play: &Play, by: usize, about: usize, kept: &[&Statement]) -> Statement {
    let mut statements: Vec<StatementId> = kept.iter().map(|one| one.id()).collect();
    statements.sort_unstable();
    let certificate = play.certificate(about);
    let body = Revocation { certificate, reason: Reason::Stolen, logs: Vec::new(), statements };
    play.say(by, 50, kind::REVOCATION, None, codec::encode(&body))
}

fn granted(play: &Play, by: usize, number: u64, to: usize, epoch: EpochId) -> Statement {
    let sealed = vec![number as u8];
    let grant = Grant { to: play.certificate(to), opens: AreaScope::Area(AREAS[0]), epoch, sealed };
    play.say(by, number, kind::GRANT, Some(AREAS[0].catchment()), codec::encode(&grant))
}

fn key_of(epoch: u8, generation: u32, rotation: u32) -> PublishedKey {
    PublishedKey {
        area: AREAS[0],
        epoch: EpochId([epoch; 16]),
        catchment_epoch: EpochId([99; 16]),
        generation,
        rotation,
        public: SealingPublic([epoch; 32]),
    }
}

fn published(play: &Play, by: usize, number: u64, key: &PublishedKey) -> Statement {
    let scope = Some(key.area.catchment());
    play.say(by, number, kind::PUBLISHED_KEY, scope, codec::encode(key))
}

fn choice() -> impl Strategy<Value = Choice> {
    // Authorities of one centre and the paper above them make most of the trouble.
    let by = prop_oneof![3 => 2_u8..8, 1 => 0_u8..12];
    // Revocations and certificates said once more are what order could change.
    let kind = prop_oneof![2 => 0_u8..4, 2 => 0_u8..13];
    (kind, by, 0_u8..12, 0_u8..4, 0_u8..24, any::<u8>())
        .prop_map(|(kind, by, about, log, seq, more)| Choice { kind, by, about, log, seq, more })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    /// Same statements, same standing, same quarantine, same keys, whatever came first.
    #[test]
    fn every_order_of_arrival_comes_to_the_same(
        choices in prop::collection::vec(choice(), 0..14),
        seed in any::<u64>(),
    ) {
        lane::check(&Play::new(), &choices, seed);
    }
}

#[test]
fn a_thief_undoes_neither_the_grants_nor_the_keys_that_stay() {
    let play = Play::new();
    let grant = granted(&play, who::ONE, 0, who::WORKER, EpochId([1; 16]));
    let key = published(&play, who::ONE, 1, &key_of(1, 0, 0));
    let revoked = revocation(&play, who::CENTRE, who::ONE, &[&grant, &key]);
    // The same grant and the same key once more, by the stolen device.
    let again = granted(&play, who::ONE, 2, who::WORKER, EpochId([1; 16]));
    let mut poisoned = key_of(1, 0, 0);
    poisoned.public = SealingPublic([66; 32]);
    let poisoned = published(&play, who::ONE, 3, &poisoned);
    for order in [[&again, &poisoned, &grant, &key], [&grant, &key, &again, &poisoned]] {
        let mut all: Vec<&Statement> = play.first.iter().collect();
        all.extend(order);
        all.push(&revoked);
        let lane = admit_all(play.root(), &all);
        let worker = play.certificate(who::WORKER);
        let grants: Vec<StatementId> = lane.grants_to(worker).map(|(one, _)| one.id()).collect();
        assert_eq!(grants, [grant.id()]);
        assert_eq!(lane.writing_keys(AREAS[0]), [key_of(1, 0, 0)]);
    }
}

#[test]
fn what_a_revoked_authority_back_dates_is_carried_and_counts_for_nothing() {
    let play = Play::new();
    let thief = who::ONE;
    let scope = Some(AREAS[0].catchment());
    let certificate = Certificate {
        programme: huza_crdt::control::programme_id(&play.root()),
        issuer: play.issuers[thief],
        device: SigningKey::from_seed([77; 32]).public(),
        sealing: SealingPublic([9; 32]),
        role: Role::Authority,
        areas: vec![AreaScope::Catchment(AREAS[0].catchment())],
        request: [7; 16],
        issued: Stamp(1),
        expires: Stamp(90_000_000),
    };
    let cose = certificate.sign(&play.keys[thief]).unwrap();
    let forged = Certificate::id(&cose);
    let log = play.logs[0];
    let admission = Admission { log, from: 0, to: 9, end: Hash([1; 32]), admit: false };
    let epoch = EpochId([5; 16]);
    let gone = vec![(log, vec![1, 2])];
    let erasure =
        Erasure { area: AREAS[0], gone, extends: None, reissue: None, epoch, record: vec![1] };
    let rung = Rung { opens: AreaScope::Area(AREAS[0]), epoch, sealed: vec![1] };
    let hub = revocation(&play, thief, who::HUB, &[]);
    // Numbers that were never used before, and others that were: twins.
    let late = [
        play.say(thief, 0, kind::CERTIFICATE, None, cose),
        granted(&play, thief, 1, who::COLLEAGUE, epoch),
        published(&play, thief, 2, &key_of(5, u32::MAX, u32::MAX)),
        play.say(thief, 3, kind::ADMISSION, scope, codec::encode(&admission)),
        play.say(thief, 4, kind::ERASURE, scope, codec::encode(&erasure)),
        play.say(thief, 5, kind::RUNG, scope, codec::encode(&rung)),
        play.say(
            thief,
            6,
            kind::PROGRAMME_TIME,
            None,
            codec::encode(&ProgrammeTime { time: Stamp(1_900_000) }),
        ),
        hub,
    ];
    // Of what it said before, one statement stays: it bears the number of one of the late ones.
    let kept = granted(&play, thief, 1, who::HUB, EpochId([4; 16]));
    let revoked = revocation(&play, who::CENTRE, thief, &[&kept]);
    let mut more = vec![revoked, kept.clone()];
    more.extend(late.clone());
    let lane = everything(&play, &more);
    for one in &late {
        assert!(lane.statement(&one.id()).is_some(), "carried: kind {}", one.kind());
        assert!(!lane.is_in_force(one), "kind {}", one.kind());
    }
    assert!(lane.is_in_force(&kept));
    assert_eq!(lane.standing(&forged), Standing::Void);
    assert!(lane.is_good(&play.certificate(who::HUB)));
    assert!(lane.writing_keys(AREAS[0]).is_empty() && lane.rungs().next().is_none());
    assert!(lane.erasure_ids().is_empty());
    assert_ne!(lane.quarantine(&log, 3, &held()), Some(Quarantine::Rejected));
    assert_eq!(lane.programme_time(), Some(Stamp(1_000_000)));
    // Nor does what the forged authority says.
    let forger = SigningKey::from_seed([77; 32]);
    let body = (kind::RUNG, codec::encode(&rung));
    let issuer = Issuer::Certified(forged);
    let place = (0, Hash([0; 32]));
    let said =
        Statement::sign(&forger, issuer, place, Scope::Catchment(AREAS[0].catchment()), body);
    let mut lane = lane;
    lane.admit(said.clone()).unwrap();
    assert!(!lane.is_in_force(&said));
}

#[test]
fn nobody_revokes_above_themselves_or_beyond_their_areas() {
    let play = Play::new();
    let mut lane = everything(&play, &[]);
    for (by, about) in [
        // A device its own centre's paper key; a centre its district; a member anybody.
        (who::ONE, who::CENTRE),
        (who::THIRD, who::CENTRE),
        (who::CENTRE, who::DISTRICT),
        (who::ONE, who::DISTRICT),
        (who::WORKER, who::COLLEAGUE),
        (who::WORKER, who::WORKER),
        (who::HUB, who::WORKER),
        (who::RELAY, who::WORKER),
        // Across catchments, whatever the rank.
        (who::STRANGE, who::WORKER),
        (who::FOREIGN, who::WORKER),
        (who::FOREIGN, who::ONE),
        (who::CENTRE, who::STRANGE),
        (who::ONE, who::FOREIGN),
        (who::FOREIGN, who::DISTRICT),
    ] {
        let answer = lane.admit(revocation(&play, by, about, &[]));
        assert_eq!(answer, Err(LaneError::NotEntitled), "{by} revokes {about}");
    }
    // Within a centre, devices are of one rank; what is above reaches down.
    for (by, about) in [
        (who::ONE, who::OTHER),
        (who::THIRD, who::ONE),
        (who::CENTRE, who::THIRD),
        (who::DISTRICT, who::ONE),
        (who::PROGRAMME, who::DISTRICT),
    ] {
        let answer = lane.admit(revocation(&play, by, about, &[]));
        assert!(matches!(answer, Ok(Admitted::New { .. })), "{by} revokes {about}: {answer:?}");
    }
}

/// A certificate without areas is within everybody's, and still only an authority revokes it.
#[test]
fn a_member_does_not_revoke_a_certificate_without_areas() {
    let play = Play::new();
    let certificate = Certificate {
        programme: huza_crdt::control::programme_id(&play.root()),
        issuer: play.issuers[who::ONE],
        device: SigningKey::from_seed([77; 32]).public(),
        sealing: SealingPublic([9; 32]),
        role: Role::Relay,
        areas: Vec::new(),
        request: [7; 16],
        issued: Stamp(1),
        expires: Stamp(2),
    };
    let cose = certificate.sign(&play.keys[who::ONE]).unwrap();
    let id = Certificate::id(&cose);
    let mut lane = everything(&play, &[play.say(who::ONE, 0, kind::CERTIFICATE, None, cose)]);
    let (logs, statements) = (Vec::new(), Vec::new());
    let body = Revocation { certificate: id, reason: Reason::Lost, logs, statements };
    let said = play.say(who::WORKER, 0, kind::REVOCATION, None, codec::encode(&body));
    assert_eq!(lane.admit(said), Err(LaneError::NotEntitled));
}

/// A district of one health centre has that centre's areas; its devices are still below its paper.
#[test]
fn a_device_does_not_revoke_the_paper_of_a_district_with_one_centre() {
    let mut entropy = Entropy::new([1; 32]);
    let mut programme = Programme::found("test", &mut entropy);
    let mut district =
        programme.certify_district(&["HC1".to_owned()], TODAY, &mut entropy).unwrap();
    let villages = ["01".to_owned()];
    let mut centre = district.certify_centre("HC1", &villages, TODAY, &mut entropy).unwrap();
    let (key, sealing) = (SigningKey::from_seed([3; 32]), SealingKey::from_seed([4; 32]));
    let request = JoinRequest::new(&key, sealing.public(), ("a", false), TODAY, [5; 8]);
    let approval = Approval::of(Role::Authority, &[]);
    let welcome = centre.approve(&request, &approval, TODAY, &mut entropy).unwrap();
    let own = welcome.open(&sealing).unwrap();
    let mut lane = Lane::new(own.root);
    for statement in welcome.statements {
        lane.admit(statement).unwrap();
    }
    let Issuer::Certified(paper) = lane.certificate(&own.certificate).unwrap().issuer else {
        panic!("the centre issued it")
    };
    let (logs, statements) = (Vec::new(), Vec::new());
    let body = Revocation { certificate: paper, reason: Reason::Lost, logs, statements };
    let issuer = Issuer::Certified(own.certificate);
    let body = (kind::REVOCATION, codec::encode(&body));
    let said = Statement::sign(&key, issuer, (0, Hash([0; 32])), Scope::Programme, body);
    assert_eq!(lane.admit(said), Err(LaneError::NotEntitled));
}

#[test]
fn absurd_keys_come_from_the_areas_authority_only_and_go_with_it() {
    let play = Play::new();
    let mut lane = everything(&play, &[published(&play, who::OTHER, 0, &key_of(1, 0, 0))]);
    let absurd = key_of(6, u32::MAX, u32::MAX);
    for by in [who::WORKER, who::HUB, who::RELAY, who::STRANGE, who::FOREIGN] {
        let answer = lane.admit(published(&play, by, 0, &absurd));
        assert_eq!(answer, Err(LaneError::NotEntitled), "{by}");
    }
    // An authority device of the centre may; while it does, whoever holds no such key goes on
    // with the one it holds.
    lane.admit(published(&play, who::ONE, 0, &absurd)).unwrap();
    assert_eq!(lane.writing_keys(AREAS[0]), [absurd, key_of(1, 0, 0)]);
    let mut keyring = Keyring::default();
    let key = SymmetricKey::from_bytes([8; 32]);
    let name = AreaName { catchment: "HC1".to_owned(), village: "01".to_owned() };
    keyring.add(GrantContent::Area(AreaKey { area: AREAS[0], name, key: key.clone() }));
    assert!(keyring.writing_key(&lane, AREAS[0]) == Some(key));
    lane.admit(revocation(&play, who::CENTRE, who::ONE, &[])).unwrap();
    assert_eq!(lane.writing_keys(AREAS[0]), [key_of(1, 0, 0)]);
}

#[test]
fn an_authority_of_another_area_soils_no_key_and_shares_none() {
    let play = Play::new();
    let theirs = AREAS[2];
    // A stolen device, and a key made anew after it.
    let stolen = revocation(&play, who::CENTRE, who::COLLEAGUE, &[]);
    let (old, new) = (key_of(1, 0, 0), key_of(2, 0, 1));
    let known = granted(&play, who::OTHER, 3, who::COLLEAGUE, old.epoch);
    let hub = granted(&play, who::OTHER, 4, who::HUB, new.epoch);
    let keys = [published(&play, who::OTHER, 0, &old), published(&play, who::OTHER, 1, &new)];
    let mut lane = everything(&play, &[stolen, known, hub]);
    for key in keys {
        lane.admit(key).unwrap();
    }
    assert!(lane.is_clean(&new) && !lane.is_clean(&old));
    // Ids of keys are public. Another centre says it gave the new one to the stolen device too.
    for (number, epoch) in [(0, new.epoch), (1, new.catchment_epoch)] {
        let to = play.certificate(who::COLLEAGUE);
        let grant = Grant { to, opens: AreaScope::Area(theirs), epoch, sealed: Vec::new() };
        let scope = Some(theirs.catchment());
        let said = play.say(who::STRANGE, number, kind::GRANT, scope, codec::encode(&grant));
        lane.admit(said).unwrap();
    }
    assert!(lane.is_clean(&new), "only the area's own authorities say who holds its keys");
    assert_eq!(lane.writing_keys(AREAS[0]).first(), Some(&new));
}

#[test]
fn rungs_grants_and_keys_open_only_their_issuers_areas() {
    let play = Play::new();
    let mut lane = everything(&play, &[]);
    let epoch = EpochId([5; 16]);
    let opens = AreaScope::Area(AREAS[0]);
    let scope = Some(AREAS[0].catchment());
    for by in [who::STRANGE, who::FOREIGN, who::WORKER, who::HUB] {
        let rung = Rung { opens, epoch, sealed: vec![1] };
        let said = play.say(by, 0, kind::RUNG, scope, codec::encode(&rung));
        assert_eq!(lane.admit(said), Err(LaneError::NotEntitled), "{by}");
        assert_eq!(
            lane.admit(granted(&play, by, 1, who::COLLEAGUE, epoch)),
            Err(LaneError::NotEntitled),
            "{by}"
        );
    }
}

/// An authority that says one thing and seals another gives nobody a key of another's area, nor
/// its own village another's name.
#[test]
fn what_a_grant_holds_is_what_it_says_and_named_as_what_it_is() {
    let mut world = World::new();
    let villages = ["01".to_owned()];
    let mut thief =
        world.programme.certify_centre("HC9", &villages, TODAY, &mut world.entropy).unwrap();
    let mut victim = world.device(1, Role::Worker, &["01"]);
    // The thief's centre approves a device of its own, whose key says what the thief wants.
    let (key, sealing) = (SigningKey::from_seed([3; 32]), SealingKey::from_seed([4; 32]));
    let request = JoinRequest::new(&key, sealing.public(), ("a", false), TODAY, [5; 8]);
    let approval = Approval::of(Role::Authority, &[]);
    let welcome = thief.approve(&request, &approval, TODAY, &mut world.entropy).unwrap();
    let own = welcome.open(&sealing).unwrap();
    let mut lane = Lane::new(own.root);
    for statement in &welcome.statements {
        lane.admit(statement.clone()).unwrap();
    }
    let [AreaScope::Catchment(catchment)] = lane.certificate(&own.certificate).unwrap().areas[..]
    else {
        panic!("a catchment")
    };
    let mut area = huza_crdt::id::AreaTag([0; 16]);
    area.0[..8].copy_from_slice(&catchment.0);
    let mine = certificate_of(&mut victim);
    let theirs = victim.status().areas;
    let store = victim.backup();
    for row in store.load(&Range::all(Table::Statements)) {
        drop(lane.admit(Statement::from_bytes(&row.1).unwrap()));
    }
    let to_sealing = lane.certificate(&mine).unwrap().sealing;
    let lure = |area, seed: u8| AreaKey {
        area,
        name: AreaName { catchment: "HC1".to_owned(), village: "01".to_owned() },
        key: SymmetricKey::from_bytes([seed; 32]),
    };
    let foreign = *lane.openings().next().map(|(_, one)| &one.area).unwrap_or(&AREAS[0]);
    let contents = [
        // Its own area under the name of the victim's village.
        GrantContent::Area(lure(area, 6)),
        // Another's area inside, its own outside.
        GrantContent::Area(lure(foreign, 7)),
    ];
    let mut statements = welcome.statements.clone();
    for (number, content) in contents.iter().enumerate() {
        let epoch = content.epoch();
        let context = [b"huza grant 1\0".as_slice(), &mine.0, &epoch.0].concat();
        let sealed = to_sealing.seal(&context, &codec::encode(content), [7; 32]).unwrap();
        let grant = Grant { to: mine, opens: AreaScope::Area(area), epoch, sealed };
        let body = (kind::GRANT, codec::encode(&grant));
        let place = (number as u64, Hash([0; 32]));
        let issuer = Issuer::Certified(own.certificate);
        statements.push(Statement::sign(&key, issuer, place, Scope::Catchment(catchment), body));
    }
    let reply = victim.call(Command::Take { statements });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    assert_eq!(victim.status().areas, theirs, "no new area, and none by another's name");
}

#[test]
fn an_erasure_names_its_own_area_and_re_issues_in_its_own_log() {
    let play = Play::new();
    let mut lane = everything(&play, &[]);
    let scope = Some(AREAS[0].catchment());
    let epoch = EpochId([5; 16]);
    let mut number = 0;
    let mut said = |by: usize, gone: LogId, reissue: Option<LogId>| {
        number += 1;
        let reissue = reissue.map(|log| EnvelopePlace { log, seq: 0, hash: Hash([1; 32]) });
        let gone = vec![(gone, vec![0])];
        let erasure =
            Erasure { area: AREAS[0], gone, extends: None, reissue, epoch, record: vec![1] };
        lane.admit(play.say(by, number, kind::ERASURE, scope, codec::encode(&erasure)))
    };
    let [first, second, own, foreign] = play.logs[..] else { panic!("four logs") };
    let not_entitled = Err(LaneError::NotEntitled);
    assert_eq!(said(who::ONE, second, None), not_entitled, "a log of another area");
    assert_eq!(said(who::ONE, foreign, None), not_entitled, "a log of another catchment");
    assert_eq!(said(who::ONE, first, Some(first)), not_entitled, "in another's log");
    assert_eq!(said(who::ONE, first, Some(foreign)), not_entitled, "in another area");
    assert_eq!(said(who::OTHER, first, Some(own)), not_entitled, "in a colleague's log");
    assert_eq!(said(who::WORKER, first, None), not_entitled, "a member");
    assert_eq!(said(who::STRANGE, first, None), not_entitled, "another centre");
    assert_eq!(said(who::ONE, LogId([9; 32]), None), Err(LaneError::UnknownLog));
    assert!(said(who::ONE, first, Some(own)).is_ok());
}

/// Many revocations cost one merge, when somebody asks, and not one each: so that a stolen
/// authority cannot stop every device of the nation with them. (One merge of 20,000 took 16 ms here;
/// with a merge each they took minutes, at every start.)
#[test]
fn a_flood_of_revocations_costs_one_merge() {
    let play = Play::new();
    let mut lane = everything(&play, &[]);
    let template = |number: u64| {
        let certificate = play.certificate(who::WORKER);
        let logs = vec![CutOff { log: play.logs[0], to: number, end: Hash([1; 32]) }];
        let body = Revocation { certificate, reason: Reason::Lost, logs, statements: Vec::new() };
        play.say(who::ONE, number, kind::REVOCATION, None, codec::encode(&body))
    };
    for number in 0..20_000 {
        lane.admit(template(number)).unwrap();
    }
    assert_eq!(lane.standing(&play.certificate(who::WORKER)), Standing::Revoked);
    assert_eq!(lane.revoked(&play.certificate(who::WORKER)).unwrap().by.len(), 20_000);
    let of = |seq| lane.quarantine(&play.logs[0], seq, &held());
    assert_eq!((of(0), of(1)), (None, Some(Quarantine::Beyond)), "the lowest counts");
}

/// One device key may have several certificates; each is revoked by itself.
#[test]
fn each_certificate_of_a_device_is_revoked_by_itself() {
    let play = Play::new();
    let certificate = Certificate {
        programme: huza_crdt::control::programme_id(&play.root()),
        issuer: play.issuers[who::OTHER],
        device: play.keys[who::WORKER].public(),
        sealing: SealingPublic([9; 32]),
        role: Role::Hub,
        areas: vec![AreaScope::Catchment(AREAS[0].catchment())],
        request: [7; 16],
        issued: Stamp(1),
        expires: Stamp(2),
    };
    let cose = certificate.sign(&play.keys[who::OTHER]).unwrap();
    let second = Certificate::id(&cose);
    let said = play.say(who::OTHER, 0, kind::CERTIFICATE, None, cose);
    let mut lane = everything(&play, &[said, revocation(&play, who::ONE, who::WORKER, &[])]);
    assert!(!lane.is_good(&play.certificate(who::WORKER)));
    assert!(lane.is_good(&second), "whoever revokes a device must revoke them all");
    let (logs, statements) = (Vec::new(), Vec::new());
    let body = Revocation { certificate: second, reason: Reason::Lost, logs, statements };
    lane.admit(play.say(who::ONE, 51, kind::REVOCATION, None, codec::encode(&body))).unwrap();
    assert!(!lane.is_good(&second));
}

/// A copy of a device's key has used the last number there is.
#[test]
fn a_statement_with_the_last_number_stops_nobody() {
    let play = Play::new();
    let mut lane = everything(&play, &[]);
    lane.admit(published(&play, who::ONE, u64::MAX, &key_of(1, 0, 0))).unwrap();
    let issuer = play.issuers[who::ONE];
    let (number, _) = lane.next_number(issuer);
    lane.admit(published(&play, who::ONE, number, &key_of(2, 0, 1))).unwrap();
    assert_eq!(lane.writing_keys(AREAS[0]).len(), 2, "twins both count");
}

// Nodes.

fn certificate_of(host: &mut Host) -> CertId {
    host.status().certificate.unwrap()
}

fn fault(host: &Host, wanted: PipeId) -> Option<Fault> {
    host.events.iter().rev().find_map(|event| match event {
        Event::ContactEnded { pipe, fault, .. } if *pipe == wanted => fault.clone(),
        _ => None,
    })
}

fn issued(reply: &Reply) {
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
}

fn rows(host: &Host, table: Table) -> usize {
    host.store.load(&Range::all(table)).len()
}

struct Story {
    authority: Host,
    host: Host,
    peer: RawPeer,
}

/// An authority device, a phone that knows it, and a member that lies.
fn story() -> Story {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut host = world.device(2, Role::Worker, &["01"]);
    let mut peer = RawPeer::join(&mut world, 9, Role::Worker, "01");
    let pipe = peer.meet(&mut authority);
    authority.handle(Input::PipeClosed { pipe });
    authority.sent.clear();
    world.meet(&mut authority, &mut host);
    Story { authority, host, peer }
}

impl Story {
    fn revoke(&mut self) {
        let certificate = self.peer.membership.certificate;
        let order =
            Order::Revoke { certificate, reason: Reason::Stolen, trust: false, rotate: false };
        issued(&self.authority.order(order));
    }

    fn revocation(&self) -> Statement {
        let store = &self.authority.store;
        let all = store.load(&Range::all(Table::Statements)).into_iter();
        let mut all = all.map(|(_, bytes)| Statement::from_bytes(&bytes).unwrap());
        all.find(|one| one.kind() == kind::REVOCATION).unwrap()
    }
}

fn grounds(peer: &RawPeer, shown: &[Vec<u8>]) -> Frame {
    let channel = Channel { binding: [7; 32], dialer: true };
    Frame::Revoked(channel.seal_grounds(shown, &peer.membership.member, [3; 32]))
}

#[test]
fn grounds_that_are_forged_or_beside_the_point_shut_nobody_out() {
    let mut story = story();
    story.revoke();
    let good = story.revocation();
    let Story { host, peer, .. } = &mut story;
    let own = certificate_of(host);
    // Signed by nobody who may: a member says it of us.
    let (logs, statements) = (Vec::new(), Vec::new());
    let body = Revocation { certificate: own, reason: Reason::Lost, logs, statements };
    let forged = peer.statement(Scope::Programme, kind::REVOCATION, codec::encode(&body));
    let pipe = peer.hello(host);
    peer.say(host, pipe, &grounds(peer, &[forged.to_bytes()]));
    assert_eq!(host.status().revoked, None);
    // The right words under another's signature.
    let mut bytes = good.to_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let pipe = peer.hello(host);
    peer.say(host, pipe, &grounds(peer, &[bytes]));
    assert_eq!(fault(host, pipe), Some(Fault::BadSignature));
    // A statement that is neither a certificate nor a revocation.
    let other = peer.statement(Scope::Programme, 200, vec![1]);
    let pipe = peer.hello(host);
    peer.say(host, pipe, &grounds(peer, &[other.to_bytes()]));
    assert_eq!(fault(host, pipe), Some(Fault::BadSignature));
    // Somebody who does not know the members' key.
    let pipe = peer.hello(host);
    peer.say(host, pipe, &Frame::Revoked(Bytes(vec![1; 200])));
    assert_eq!(fault(host, pipe), Some(Fault::NotAMember));
    // More than there are: what is sealed is cut, what is shown is refused.
    let channel = Channel { binding: [7; 32], dialer: true };
    let context = [b"huza hello 1\0".as_slice(), &[7; 32], &[1]].concat();
    let context = [b"huza grounds 1\0".as_slice(), &context].concat();
    let many = codec::encode(&vec![Bytes(good.to_bytes()); GROUNDS_MAX + 1]);
    let sealed = Bytes(peer.membership.member.seal(&context, &many, [3; 32]));
    assert!(channel.open_grounds(&sealed, &peer.membership.member).is_none());
    // True, and about another: it is learnt, and we stay. It is the liar's own.
    let pipe = peer.hello(host);
    peer.say(host, pipe, &grounds(peer, &[good.to_bytes()]));
    assert_eq!(host.status().revoked, None);
    peer.hello(host);
    assert!(host.events.iter().any(|event| matches!(event, Event::Revoked { own: false, .. })));
}

#[test]
fn grounds_are_heard_once_in_a_session() {
    let mut story = story();
    story.revoke();
    let Story { host, peer, .. } = &mut story;
    // Before it is proven who speaks, and so even by one that has not joined but knows the key.
    let pipe = peer.hello(host);
    let chain = peer.chain.clone();
    peer.say(host, pipe, &grounds(peer, &chain));
    assert_eq!(fault(host, pipe), None);
    peer.say(host, pipe, &grounds(peer, &chain));
    assert_eq!(fault(host, pipe), Some(Fault::OutOfTurn("revoked".to_owned())));
}

#[test]
fn a_member_revoked_between_its_batches_is_told_and_the_rest_is_not_kept() {
    let mut story = story();
    story.revoke();
    let revocation = story.revocation();
    let Story { host, peer, .. } = &mut story;
    let pipe = peer.meet(host);
    let opening = peer.opening(peer.area, 1);
    let log = opening.log();
    let one = peer.envelope(log, 0, Hash([0; 32]));
    let hash = one.wire.header(log, 0, one.previous).hash();
    let two = peer.envelope(log, 1, hash);
    // Its own revocation comes with what it sends, from somebody in between: what came with it is
    // carried, and quarantined; what comes behind it is refused.
    peer.say(host, pipe, &batch(0, &[&revocation, &opening], &[(log, 0, &one)]));
    peer.say(host, pipe, &batch(1, &[], &[(log, 1, &two)]));
    assert_eq!(fault(host, pipe), Some(Fault::Revoked));
    assert!(RawPeer::heard(host, pipe).iter().any(|frame| matches!(frame, Frame::Revoked(_))));
    assert_eq!(rows(host, Table::Envelopes), 1);
    assert_eq!(host.status().quarantined[0].runs, [(0, 0, false)]);
    // And when it comes again, it is told at once, and nothing else.
    let pipe = peer.hello(host);
    let said = RawPeer::heard(host, pipe);
    assert!(matches!(said.as_slice(), [Frame::Hello(_), Frame::Revoked(_)]), "{said:?}");
    assert_eq!(fault(host, pipe), Some(Fault::Revoked));
}

#[test]
fn a_recorded_hello_opens_no_other_pipe() {
    let mut story = story();
    let Story { host, peer, .. } = &mut story;
    let certificate = peer.membership.certificate;
    let hello = Hello { version: 1, certificate, digest: [0; 16], count: 0, room: 0, more: false };
    let recorded = Channel { binding: [7; 32], dialer: true };
    let sealed = recorded.seal_hello(&hello, &peer.key, &peer.membership.member, [1; 32]);
    let pipe = PipeId(77);
    host.handle(Input::PipeOpened { pipe, dialer: false, binding: [8; 32] });
    peer.say(host, pipe, &Frame::Hello(sealed.clone()));
    assert_eq!(fault(host, pipe), Some(Fault::NotAMember), "another pipe");
    // Nor the same pipe from its other end.
    let pipe = PipeId(78);
    host.handle(Input::PipeOpened { pipe, dialer: true, binding: [7; 32] });
    peer.say(host, pipe, &Frame::Hello(sealed));
    assert_eq!(fault(host, pipe), Some(Fault::NotAMember), "the other end");
}

#[test]
fn an_erasure_whose_reissue_never_comes_removes_nothing() {
    let mut world = World::new();
    let mut host = world.device(2, Role::Worker, &["01"]);
    let mut reader = world.device(3, Role::Worker, &["01"]);
    let person = host.person("Uwase");
    host.visit(person, &[("age-months", "14"), ("convulsions", "yes")]);
    world.meet(&mut host, &mut reader);
    world.meet(&mut host, &mut reader);
    let sealed = |host: &Host| -> usize {
        let all = host.store.load(&Range::all(Table::Envelopes));
        all.iter().map(|(_, value)| value.len()).sum()
    };
    let before = sealed(&host);
    let openings = host.store.load(&Range::all(Table::Statements)).into_iter();
    let mut openings = openings.map(|(_, bytes)| Statement::from_bytes(&bytes).unwrap());
    let opening = openings.find(|one| one.kind() == kind::OPENING).unwrap();
    let body = codec::decode::<huza_crdt::control::Opening>(opening.body()).unwrap();
    let mut stolen = RawPeer::join(&mut world, 9, Role::Authority, "01");
    let area = body.area;
    let own = stolen.opening(area, 1);
    let (log, epoch) = (opening.log(), EpochId([5; 16]));
    let mut erasure = |seqs: Vec<u64>, reissue: Option<u64>| {
        let reissue = reissue.map(|seq| EnvelopePlace { log: own.log(), seq, hash: Hash([1; 32]) });
        let gone = vec![(log, seqs)];
        let body = codec::encode(&Erasure {
            area,
            gone,
            extends: None,
            reissue,
            epoch,
            record: vec![1; 60],
        });
        stolen.statement(Scope::Catchment(area.catchment()), kind::ERASURE, body)
    };
    let waits = erasure(vec![0, 1, 2, 3], Some(7));
    let future: Vec<u64> = (1 << 40..(1 << 40) + 200).chain([u64::MAX]).collect();
    let future = erasure(future, None);
    let pipe = stolen.meet(&mut reader);
    stolen.say(&mut reader, pipe, &batch(0, &[&own, &waits, &future], &[]));
    let heard = RawPeer::heard(&mut reader, pipe);
    assert!(heard.contains(&Frame::Ack { number: 0 }), "{heard:?}");
    reader.handle(Input::PipeClosed { pipe });
    let pipe = world.meet(&mut reader, &mut host);
    assert!(complete(&host, pipe));
    assert_eq!(sealed(&host), before, "its payloads are all there");
    assert_eq!((host.found("uwase"), reader.found("uwase")), (1, 1));
    // What a stub may stand for is only what was named; a stub of anything else is no envelope
    // (`a_stub_is_not_taken_for_an_envelope`).
    host.restart(false);
    assert_eq!(host.found("uwase"), 1);
}

/// Village keys of the last rotation there is: the next one is another key still.
#[test]
fn rotations_go_on_after_somebody_has_used_the_last_number() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut host = world.device(2, Role::Worker, &["01"]);
    host.person("Uwase");
    world.meet(&mut host, &mut authority);
    let keys = |host: &Host| -> Vec<PublishedKey> {
        let all = host.store.load(&Range::all(Table::Statements)).into_iter();
        let all = all.map(|(_, bytes)| Statement::from_bytes(&bytes).unwrap());
        let all = all.filter(|one| one.kind() == kind::PUBLISHED_KEY);
        all.map(|one| codec::decode(one.body()).unwrap()).collect()
    };
    let mut thief = RawPeer::join(&mut world, 9, Role::Authority, "01");
    for key in keys(&authority) {
        let last = PublishedKey { rotation: u32::MAX, epoch: EpochId([6; 16]), ..key };
        let scope = Scope::Catchment(key.area.catchment());
        let said = thief.statement(scope, kind::PUBLISHED_KEY, codec::encode(&last));
        let pipe = thief.meet(&mut authority);
        thief.say(&mut authority, pipe, &batch(0, &[&said], &[]));
        authority.handle(Input::PipeClosed { pipe });
        authority.sent.clear();
    }
    let before = keys(&authority);
    assert!(before.iter().any(|key| key.rotation == u32::MAX));
    issued(&authority.order(Order::Rotate { village: Some("01".to_owned()) }));
    let after = keys(&authority);
    let new: Vec<&PublishedKey> = after.iter().filter(|key| !before.contains(key)).collect();
    assert_eq!(new.len(), 1);
    assert!(before.iter().all(|key| key.epoch != new[0].epoch), "a key of its own");
    world.meet(&mut authority, &mut host);
    host.person("Keza");
    world.meet(&mut host, &mut authority);
    assert_eq!(authority.found("keza"), 1);
}

/// Half frames of those who know the members' key and prove nothing are part of one allowance.
#[test]
fn what_is_kept_for_the_unproven_is_bounded_with_their_half_frames() {
    let mut story = story();
    let Story { host, peer, .. } = &mut story;
    let mut kept = 0;
    for number in 0..40_u64 {
        let pipe = PipeId(500 + number);
        let binding = [number as u8; 32];
        host.handle(Input::PipeOpened { pipe, dialer: false, binding });
        let hello = Hello {
            version: 1,
            certificate: CertId([number as u8; 16]),
            digest: [0; 16],
            count: 0,
            room: 0,
            more: false,
        };
        let channel = Channel { binding, dialer: true };
        let sealed = channel.seal_hello(&hello, &peer.key, &peer.membership.member, [1; 32]);
        peer.say(host, pipe, &Frame::Hello(sealed));
        let mut half = (FRAME_BYTES_MAX as u32).to_le_bytes().to_vec();
        half.resize(FRAME_BYTES_MAX, 1);
        host.handle(Input::Received { pipe, bytes: half });
        kept += usize::from(fault(host, pipe).is_none());
    }
    assert_eq!(kept, EARLY_BYTES_MAX / FRAME_BYTES_MAX, "and the others are closed");
}

/// Evidence of a fork is kept until the fork is proven, and no more of it then.
#[test]
fn a_flood_of_contradictions_is_kept_until_one_is_proven() {
    let mut story = story();
    let Story { host, peer, .. } = &mut story;
    let pipe = peer.meet(host);
    let opening = peer.opening(peer.area, 1);
    let log = opening.log();
    let one = peer.envelope(log, 0, Hash([0; 32]));
    peer.say(host, pipe, &batch(0, &[&opening], &[(log, 0, &one)]));
    for number in 1..40 {
        let other = peer.envelope(log, 0, Hash([number as u8; 32]));
        peer.say(host, pipe, &batch(number, &[], &[(log, 0, &other)]));
    }
    assert_eq!(fault(host, pipe), None);
    assert_eq!(rows(host, Table::Forked), 1);
    assert_eq!(rows(host, Table::Envelopes), 1);
}

/// A member that says again and again that it is done causes no events without end.
#[test]
fn a_member_that_is_done_again_and_again_is_reported_once() {
    let mut story = story();
    let Story { host, peer, .. } = &mut story;
    let pipe = peer.meet(host);
    let mut digests = Vec::new();
    for _ in 0..4 {
        for frame in RawPeer::heard(host, pipe) {
            match frame {
                Frame::Batch { number, .. } => peer.say(host, pipe, &Frame::Ack { number }),
                Frame::End { digest, .. } => digests.push(digest),
                _ => {}
            }
        }
        host.pass(300);
    }
    let reported = |host: &Host| {
        let done = |event: &&Event| matches!(event, Event::ContactComplete { .. });
        host.events.iter().filter(done).count()
    };
    assert!(!digests.is_empty(), "it has nothing more to say");
    let before = reported(host);
    for digest in digests.iter().cycle().take(200 * digests.len()) {
        peer.say(host, pipe, &Frame::Totals { statements: 0, envelopes: 0 });
        peer.say(host, pipe, &Frame::End { digest: *digest, all: *digest });
    }
    assert!(reported(host) - before <= 2, "{} events", reported(host) - before);
}
