//! What a facility receives of two records that somebody linked: Patients that name each other, and
//! stay two. `HUZA_FHIR_OUT` names a directory to which they are written for the validators.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Host, World};
use huza_crdt::id::{LogId, Origin, RecordId};
use huza_crdt::node::{Answer, AreaRef, Command, Outgoing, Reply};
use huza_crdt::record::{Document, Edit, Forms, Projected, SUGGESTED_SAME_PERSON, Said, project};
use huza_crdt::time::Stamp;
use huza_crdt::trust::Role;
use serde_json::{Value, json};

const OTHER: RecordId = RecordId([2; 16]);

/// A Patient as a clinic wrote it: every digit and every escape counts.
const IMPORTED: &str = concat!(
    r#"{"resourceType":"Patient","id":"0a0b0c0d-0000-4000-8000-000000000001","name":[{"text":"Aline"}],"#,
    r#""extension":[{"url":"urn:clinic:weight","valueDecimal":62.50}],"#,
    r#""link":[{"other":{"reference":"Patient/old"},"type":"replaces"}]}"#,
);

struct Record {
    document: Document,
    written: u8,
}

impl Record {
    fn new(edits: &[Edit]) -> Self {
        let mut record = Self { document: Document::new(RecordId([1; 16])), written: 0 };
        record.write(edits);
        record
    }

    fn write(&mut self, edits: &[Edit]) -> (Origin, Vec<u8>) {
        self.written += 1;
        let origin = Origin { log: LogId([self.written; 32]), counter: 0 };
        let raw = self.document.write(origin, Stamp(1_795_000_000), "Claudine", edits);
        (origin, raw.unwrap().unwrap())
    }

    fn say(&mut self, said: &str) -> (Origin, Vec<u8>) {
        self.write(&[Edit::Link { to: OTHER, kind: said.to_owned() }])
    }

    fn all(&self) -> Vec<Projected> {
        project(&self.document.view(), &Forms::built_in())
    }

    /// The one Patient, and of which codes the issues are.
    fn patient(&self) -> (Projected, Vec<String>) {
        let all = self.all();
        let patients: Vec<_> = all.iter().filter(|one| one.key.starts_with("Patient/")).collect();
        assert_eq!(patients.len(), 1);
        let issues = all.iter().filter(|one| one.key.starts_with("DetectedIssue/"));
        let code =
            |one: &Projected| parsed(one)["code"]["coding"][0]["code"].as_str().unwrap().to_owned();
        (patients[0].clone(), issues.map(code).collect())
    }
}

fn parsed(one: &Projected) -> Value {
    serde_json::from_str(&one.text).unwrap()
}

fn person() -> Edit {
    Edit::Person { field: "name/text".to_owned(), value: "Aline Uwase".to_owned() }
}

fn see_also() -> Value {
    json!({ "other": { "reference": format!("Patient/{OTHER}") }, "type": "seealso" })
}

#[test]
fn a_patient_says_who_else_it_is_while_nobody_disagrees() {
    let mut record = Record::new(&[person()]);
    let before = record.patient().0;
    record.say(SUGGESTED_SAME_PERSON);
    let (suggested, issues) = record.patient();
    assert_eq!((suggested.text, issues), (before.text.clone(), vec!["duplicate".to_owned()]));
    let suggested = record.document.clone();
    record.say(&Said::SamePerson.because(Some("both cards seen")));
    let (linked, issues) = record.patient();
    assert_eq!((&parsed(&linked)["link"], issues), (&json!([see_also()]), vec![]));
    assert_eq!(linked.sources.len(), 2, "what says so is one of its heads");
    // Somebody else, who knew of the suggestion only, says that they are two.
    let mut other = Record { document: suggested, written: 100 };
    let change = other.say(Said::DifferentPeople.text());
    record.document.apply([change]);
    let (disputed, issues) = record.patient();
    assert_eq!((disputed.text, issues), (before.text.clone(), vec!["conflict".to_owned()]));
    record.say(&Said::Unlinked.because(None));
    let (unlinked, issues) = record.patient();
    assert_eq!((unlinked.text, issues), (before.text, vec![]));
}

#[test]
fn an_imported_patient_says_so_beside_what_it_says_itself() {
    let key = "Patient/0a0b0c0d-0000-4000-8000-000000000001".to_owned();
    let mut record = Record::new(&[Edit::Resource { key: key.clone(), text: IMPORTED.to_owned() }]);
    assert_eq!(record.patient().0.text, IMPORTED);
    record.say(Said::SamePerson.text());
    let linked = record.patient().0;
    assert_eq!(linked.key, key);
    let old = json!({ "other": { "reference": "Patient/old" }, "type": "replaces" });
    assert_eq!(parsed(&linked)["link"], json!([old, see_also()]));
    assert!(linked.text.contains("62.50"), "digits stay: {}", linked.text);
    record.say(Said::Unlinked.text());
    assert_eq!(record.patient().0.text, IMPORTED, "as it was written");
    // Of a record that is both imported and made, the Patient that is made here has the links.
    record.write(&[person()]);
    record.say(Said::SamePerson.text());
    let all = record.all();
    let made = all.iter().find(|one| one.key.starts_with("Patient/") && one.key != key).unwrap();
    assert_eq!(parsed(made)["link"].as_array().unwrap().len(), 2);
    assert_eq!(all.iter().find(|one| one.key == key).unwrap().text, IMPORTED);
    let Some(out) = std::env::var_os("HUZA_FHIR_OUT") else { return };
    record.say(Said::DifferentPeople.text());
    let apart = record.all();
    let lines: Vec<String> =
        all.iter().chain(&apart).chain([&linked]).map(|one| format!("{}\n", one.text)).collect();
    std::fs::write(Path::new(&out).join("linked.ndjson"), lines.concat()).unwrap();
}

fn import(host: &mut Host, id: &str, more: &str) -> RecordId {
    let text = format!(
        r#"{{"resourceType":"Patient","id":"{id}","name":[{{"text":"Aline Uwase"}}],"gender":"female","birthDate":"1998-04-12"{more}}}"#
    );
    let source = Some("clinic".to_owned());
    let before: Vec<RecordId> = found(host);
    let reply = host.call(Command::Import { area: AreaRef::Own, text, source });
    assert!(matches!(reply, Reply::Imported { .. }), "{reply:?}");
    *found(host).iter().find(|record| !before.contains(record)).unwrap()
}

fn found(host: &mut Host) -> Vec<RecordId> {
    let Reply::Found { records } = host.call(Command::Find { query: String::new(), limit: 100 })
    else {
        panic!()
    };
    records.iter().map(|one| one.record).collect()
}

fn link(host: &mut Host, one: RecordId, other: RecordId) {
    let reply = host.call(Command::Link { one, other, said: Said::SamePerson, reason: None });
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
}

/// What was given last of each resource.
fn given(gateway: &Host) -> BTreeMap<String, Outgoing> {
    let all = gateway.delivered.iter().flat_map(|(all, _)| all);
    all.map(|one| (one.key.clone(), one.clone())).collect()
}

#[test]
fn two_patients_that_name_each_other_are_given_together() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    let (one, two) = (phone.person("Aline"), phone.person("Aline"));
    link(&mut phone, one, two);
    world.meet(&mut phone, &mut gateway);
    let (all, _) = gateway.delivered.last().unwrap();
    for (from, to) in [(one, two), (two, one)] {
        let (from, to) = (format!("Patient/{from}"), format!("Patient/{to}"));
        let patient = all.iter().find(|other| other.key == from).unwrap();
        assert_eq!(patient.references.get(&to), Some(&to), "a circle, which goes in one");
    }
}

/// A national number gives a record an id that no source gave to its Patient.
#[test]
fn who_is_known_by_a_national_number_is_found_by_the_other_patient() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    let one = phone.person("Aline");
    let number = r#","identifier":[{"system":"NID","value":"1199070012345678"}]"#;
    let two = import(&mut phone, "7", number);
    link(&mut phone, one, two);
    let Reply::Exported { resources, .. } = phone.call(Command::Export { after: None }) else {
        panic!()
    };
    let keys: Vec<&str> = resources.iter().map(|one| one.key.as_str()).collect();
    let numbered = keys.iter().find(|key| **key != format!("Patient/{one}")).unwrap().to_string();
    assert_ne!(numbered, format!("Patient/{two}"), "or this test tests nothing");
    for one in &resources {
        let text: Value = serde_json::from_str(&one.text).unwrap();
        let to = text["link"][0]["other"]["reference"].as_str().unwrap();
        assert!(keys.contains(&to) && to != one.key, "{to} of {keys:?}");
    }
    // The facility has the one before the other: it hears of the link when that has come.
    let alias = format!("Patient/{two}");
    let missing = Answer::Incomplete { missing: [alias.clone()].into() };
    gateway.answers.insert(format!("Patient/{one}"), missing);
    world.meet(&mut phone, &mut gateway);
    gateway.answers.clear();
    gateway.pass(1_000);
    let given = given(&gateway);
    let patient = &given[&format!("Patient/{one}")];
    assert_eq!(patient.references.get(&alias), Some(&numbered), "{:?}", patient.references);
    let other = &given[&numbered];
    assert_eq!(other.references.get(&format!("Patient/{one}")), Some(&format!("Patient/{one}")));
}
