//! What a gateway gives its facility, with what it must know to put nothing older over newer, and what
//! follows from each answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::collections::BTreeMap;

use common::{Host, World};
use huza_crdt::id::RecordId;
use huza_crdt::node::{Answer, AreaRef, Command, GatewayStatus, Outgoing, Reply};
use huza_crdt::trust::Role;

/// Answers of a visit.
const CHILD: [(&str, &str); 2] = [("age-months", "21"), ("weight", "11.4")];

/// A phone and a gateway.
fn pair() -> (World, Host, Host) {
    let mut world = World::new();
    let phone = world.device(1, Role::Worker, &["01"]);
    let gateway = world.device(4, Role::Gateway, &[]);
    (world, phone, gateway)
}

fn status(gateway: &mut Host) -> GatewayStatus {
    let Reply::Gateway(status) = gateway.call(Command::Gateway) else { panic!("no answer") };
    *status
}

/// The last delivery.
fn last(gateway: &Host) -> &[Outgoing] {
    &gateway.delivered.last().unwrap().0
}

fn one<'a>(all: &'a [Outgoing], kind: &str) -> &'a Outgoing {
    let found = all.iter().find(|one| one.key.starts_with(kind));
    found.unwrap_or_else(|| {
        panic!("no {kind} in {:?}", all.iter().map(|one| &one.key).collect::<Vec<_>>())
    })
}

fn set(host: &mut Host, record: RecordId, field: &str, value: &str) {
    let fields = BTreeMap::from([(field.to_owned(), value.to_owned())]);
    let reply = host.call(Command::SetPerson { record, fields });
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
}

/// Whether the device that wrote a record can prove that the facility accepted, or refused it.
fn proven(host: &mut Host, record: RecordId) -> (bool, bool) {
    let status = host.status();
    let one = status.records.iter().find(|one| one.record == record).unwrap();
    (one.accepted, one.refused)
}

#[test]
fn a_visit_is_made_of_its_own_change_and_a_correction_of_both() {
    let (mut world, mut phone, mut gateway) = pair();
    let record = phone.person("Keza");
    phone.visit(record, &CHILD);
    world.meet(&mut phone, &mut gateway);
    let (all, known) = gateway.delivered[0].clone();
    assert_eq!(known[&record].len(), 2, "person and visit");
    let (patient, encounter) = (one(&all, "Patient/"), one(&all, "Encounter/"));
    assert_eq!((patient.heads.len(), encounter.heads.len()), (1, 1));
    assert!(patient.heads.is_disjoint(&encounter.heads), "neither depends on the other");
    assert_eq!(one(&all, "Observation/").heads, encounter.heads);
    set(&mut phone, record, "birth-date", "1999-09-09");
    world.meet(&mut phone, &mut gateway);
    let corrected = last(&gateway);
    assert_eq!(corrected.len(), 1, "nothing else is given again");
    assert!(corrected[0].heads.len() > 1 && corrected[0].heads.is_superset(&patient.heads));
    assert_eq!(gateway.delivered.last().unwrap().1[&record].len(), 3);
}

#[test]
fn a_conflict_that_is_settled_is_withdrawn_for_the_change_that_settled_it() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    let record = a.person("Keza");
    world.meet(&mut a, &mut b);
    set(&mut a, record, "birth-date", "1998-01-01");
    set(&mut b, record, "birth-date", "1999-09-09");
    world.meet(&mut a, &mut b);
    world.meet(&mut a, &mut gateway);
    let all: Vec<Outgoing> = gateway.delivered.iter().flat_map(|(all, _)| all).cloned().collect();
    let issue = one(&all, "DetectedIssue/").clone();
    assert!(gateway.facility.contains_key(&issue.key));
    set(&mut a, record, "birth-date", "2000-02-02");
    world.meet(&mut a, &mut gateway);
    let withdrawn = one(last(&gateway), "DetectedIssue/");
    assert_eq!((&withdrawn.key, &withdrawn.text), (&issue.key, &None));
    let settled = one(last(&gateway), "Patient/");
    assert!(withdrawn.heads.is_superset(&issue.heads));
    let after: Vec<_> = withdrawn.heads.difference(&issue.heads).collect();
    assert_eq!(after.len(), 1, "whoever has not heard of it does not take it back");
    assert!(settled.heads.contains(after[0]));
    let count = gateway.delivered.len();
    gateway.restart(false);
    a.visit(record, &CHILD);
    world.meet(&mut a, &mut gateway);
    let again = gateway.delivered[count..].iter().flat_map(|(all, _)| all);
    assert!(again.clone().count() > 0 && again.clone().all(|one| one.key != issue.key), "once");
}

#[test]
fn where_the_facility_is_ahead_the_gateway_waits_for_the_mesh() {
    let (mut world, mut phone, mut gateway) = pair();
    let record = phone.person("Keza");
    phone.person("Uwase");
    gateway.answers.insert(format!("Patient/{record}"), Answer::Ahead);
    world.meet(&mut phone, &mut gateway);
    world.meet(&mut phone, &mut gateway);
    let told = status(&mut gateway);
    assert_eq!((told.ahead, told.queued > 0, told.delivered), (1, true, 1));
    assert_eq!(proven(&mut phone, record), (false, false));
    let deliveries = gateway.delivered.len();
    gateway.pass(1_000_000);
    assert_eq!(gateway.delivered.len(), deliveries, "it does not ask again and again");
    gateway.answers.clear();
    set(&mut phone, record, "birth-date", "1999-09-09");
    world.meet(&mut phone, &mut gateway);
    world.meet(&mut phone, &mut gateway);
    let told = status(&mut gateway);
    assert_eq!((told.ahead, told.queued), (0, 0));
    assert_eq!(proven(&mut phone, record), (true, false));
}

#[test]
fn what_was_refused_is_accepted_once_it_is_given_again_or_corrected() {
    let (mut world, mut phone, mut gateway) = pair();
    let record = phone.person("Keza");
    let key = format!("Patient/{record}");
    let no = Answer::Refused { code: 422, why: "no such village".to_owned() };
    gateway.answers.insert(key.clone(), no);
    world.meet(&mut phone, &mut gateway);
    world.meet(&mut phone, &mut gateway);
    assert_eq!(proven(&mut phone, record), (false, true));
    gateway.restart(false);
    let failed = status(&mut gateway).failed;
    assert_eq!((failed[0].key.as_str(), failed[0].code), (key.as_str(), 422));
    assert_eq!(failed[0].why, "no such village");
    let deliveries = gateway.delivered.len();
    phone.visit(record, &CHILD);
    world.meet(&mut phone, &mut gateway);
    let since = gateway.delivered[deliveries..].iter().flat_map(|(all, _)| all);
    assert!(since.clone().all(|one| one.key != key), "unchanged, it is not given again");

    let Reply::Retried { resources } = gateway.call(Command::GatewayRetry { keys: vec![] }) else {
        panic!("no answer")
    };
    assert_eq!((resources, status(&mut gateway).failed.len()), (1, 1), "refused again");
    gateway.answers.clear();
    set(&mut phone, record, "birth-date", "1999-09-09");
    world.meet(&mut phone, &mut gateway);
    world.meet(&mut phone, &mut gateway);
    assert_eq!(status(&mut gateway).failed, []);
    assert_eq!(proven(&mut phone, record), (true, false));
}

#[test]
fn a_reference_is_completed_when_what_it_means_has_come() {
    let (mut world, mut phone, mut gateway) = pair();
    let import = |phone: &mut Host, text: &str| {
        let (area, text) = (AreaRef::Own, text.to_owned());
        let source = Some("https://clinic.example/fhir".to_owned());
        let reply = phone.call(Command::Import { area, text, source });
        assert!(matches!(reply, Reply::Imported { .. }), "{reply:?}");
    };
    import(
        &mut phone,
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"1"}},{"resource":{"resourceType":"Observation","id":"2","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"},"performer":[{"reference":"Practitioner/7"}]}}]}"#,
    );
    world.meet(&mut phone, &mut gateway);
    let (patient, observation) =
        (one(last(&gateway), "Patient/").clone(), one(last(&gateway), "Observation/").clone());
    assert_eq!(observation.references, BTreeMap::from([("Patient/1".to_owned(), patient.place)]));
    // The server has nothing there yet, whatever the reason.
    import(&mut phone, r#"{"resourceType":"Practitioner","id":"7","name":[{"text":"A"}]}"#);
    world.meet(&mut phone, &mut gateway);
    let practitioner = gateway.delivered.iter().flat_map(|(all, _)| all);
    let practitioner = practitioner.clone().find(|one| one.key.starts_with("Practitioner/"));
    let completed = one(last(&gateway), "Observation/");
    assert_eq!(completed.references["Practitioner/7"], practitioner.unwrap().place);
    assert_eq!(completed.text, observation.text);
    let deliveries = gateway.delivered.len();
    gateway.restart(false);
    gateway.pass(1_000_000);
    assert_eq!(gateway.delivered.len(), deliveries, "once");
}

#[test]
fn what_is_incomplete_at_the_facility_is_given_again_when_its_target_is_taken() {
    let (mut world, mut phone, mut gateway) = pair();
    let record = phone.person("Keza");
    let Reply::Written { visit: Some(visit), .. } = phone.visit(record, &CHILD) else { panic!() };
    let (patient, encounter) = (format!("Patient/{record}"), format!("Encounter/{visit}"));
    let no = Answer::Refused { code: 422, why: String::new() };
    let missing = [patient.clone()].into();
    gateway.answers.insert(patient.clone(), no);
    gateway.answers.insert(encounter.clone(), Answer::Incomplete { missing });
    world.meet(&mut phone, &mut gateway);
    let deliveries = gateway.delivered.len();
    gateway.restart(false);
    gateway.pass(1_000_000);
    assert_eq!(gateway.delivered.len(), deliveries, "it is there, as well as can be");
    gateway.answers.clear();
    gateway.call(Command::GatewayRetry { keys: vec![patient.clone()] });
    let since: Vec<&Outgoing> =
        gateway.delivered[deliveries..].iter().flat_map(|(all, _)| all).collect();
    assert!([&patient, &encounter].iter().all(|key| since.iter().any(|one| one.key == **key)));
    assert_eq!(status(&mut gateway).failed, []);
}
