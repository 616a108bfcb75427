//! Import of FHIR bundles, and what a facility receives of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use huza_crdt::id::{LogId, Origin, RecordId, VisitId};
use huza_crdt::record::{
    Document, Edit, Forms, Import, ImportError, ImportRun, Incoming, Place, ProblemReason,
    Projected, RecordView, SUGGESTED_SAME_PERSON, batches, disambiguate, edits_by_record, project,
    read_bundle,
};
use huza_crdt::time::Stamp;
use serde_json::Value;

const PATIENT: &str = concat!(
    r#"{"resourceType":"Patient","id":"1","name":[{"family":"Uwimana","#,
    r#""given":["Aline"]}],"gender":"female","birthDate":"1990-05-01"}"#,
);

fn bundle(entries: &[&str]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|resource| format!("{{\"resource\":{resource}}}")).collect();
    format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{}]}}",
        entries.join(",")
    )
}

fn read(text: &str) -> Import {
    let import = read_bundle(text, None).unwrap();
    assert!(import.problems.is_empty(), "{:?}", import.problems);
    import
}

fn kinds(import: &Import) -> BTreeMap<String, &Incoming> {
    import.incoming.iter().map(|one| (one.local.clone(), one)).collect()
}

/// Writes edits the way a reader would: one document per record.
#[derive(Default)]
struct Phone {
    log: u8,
    counter: u64,
    records: BTreeMap<RecordId, Document>,
    written: Vec<(RecordId, Origin, Vec<u8>)>,
}

impl Phone {
    fn new(log: u8) -> Self {
        Self { log, ..Self::default() }
    }

    fn write(&mut self, record: RecordId, edits: &[Edit]) {
        let origin = Origin { log: LogId([self.log; 32]), counter: self.counter };
        let doc = self.records.entry(record).or_insert_with(|| Document::new(record));
        if let Some(raw) = doc.write(origin, Stamp(5), "Uwase", edits).unwrap() {
            self.counter += 1;
            self.written.push((record, origin, raw));
        }
    }

    fn import(&mut self, import: Import) {
        for ((_, record), edits) in edits_by_record(import) {
            for batch in batches(edits, 100_000) {
                self.write(record, &batch);
            }
        }
    }

    fn hear(&mut self, changes: &[(RecordId, Origin, Vec<u8>)]) {
        for (record, origin, raw) in changes {
            let doc = self.records.entry(*record).or_insert_with(|| Document::new(*record));
            doc.apply([(*origin, raw)]);
        }
    }

    fn views(&self) -> Vec<RecordView> {
        self.records.values().map(Document::view).collect()
    }

    fn projected(&self) -> Vec<Projected> {
        self.views().iter().flat_map(|view| project(view, &Forms::built_in())).collect()
    }
}

#[test]
fn values_survive_byte_for_byte() {
    let observation = concat!(
        r#"{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/1"},"#,
        r#""a":1.0,"b":1.50,"c":1e2,"d":12345678901234567890,"e":"\u00e9 \/ \" x  y","f":-0.0}"#
    );
    let pretty = observation.replace(",\"", ",\n   \"");
    let import = read(&bundle(&[PATIENT, &pretty]));
    assert_eq!(kinds(&import)["Observation/o"].text, observation);
    let mut phone = Phone::new(1);
    phone.import(import);
    assert!(phone.projected().iter().any(|one| one.text == observation));
}

#[test]
fn a_resource_without_id_gets_one_that_repeats() {
    let bare = r#"{"resourceType":"Condition","subject":{"reference":"Patient/1"},"v":1.50}"#;
    let first = read(&bundle(&[PATIENT, bare]));
    let again = read(&bundle(&[PATIENT, &bare.replace(":{", " : { ").replace(",", " , ")]));
    assert_eq!(first.incoming, again.incoming);
    let condition = first.incoming.last().unwrap();
    let id = condition.local.strip_prefix("Condition/").unwrap();
    assert_eq!(condition.text, bare.replacen('{', &format!("{{\"id\":\"{id}\","), 1));
    // A urn:uuid fullUrl counts as the id.
    let uuid = "d78af07c-9cb9-4f31-9b11-c45a28f2eec8";
    let text = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[\
         {{\"fullUrl\":\"urn:uuid:{uuid}\",\"resource\":{bare}}}]}}"
    );
    let import = read(&text);
    assert_eq!(import.incoming[0].key, format!("Condition/{uuid}"));
    assert!(import.incoming[0].text.starts_with(&format!("{{\"id\":\"{uuid}\",")));
}

#[test]
fn two_patients_in_a_bundle_keep_what_is_theirs() {
    let entry =
        |url: &str, resource: &str| format!("{{\"fullUrl\":\"{url}\",\"resource\":{resource}}}");
    let (a, b) = ("urn:uuid:00000000-0000-4000-8000-00000000000a", "http://x.rw/fhir/Patient/b");
    let text = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{}]}}",
        [
            entry(
                "urn:x:1",
                &format!(
                    "{{\"resourceType\":\"Observation\",\"id\":\"1\",\
                    \"subject\":{{\"reference\":\"{a}\"}},\
                    \"performer\":[{{\"reference\":\"{b}\"}}]}}"
                )
            ),
            entry(
                "urn:x:2",
                &format!(
                    "{{\"resourceType\":\"Observation\",\"id\":\"2\",\
                    \"subject\":{{\"reference\":\"{b}\"}}}}"
                )
            ),
            entry(
                "http://x.rw/fhir/Encounter/e",
                "{\"resourceType\":\"Encounter\",\
                    \"id\":\"e\",\"subject\":{\"reference\":\"Patient/b/_history/3\"}}"
            ),
            entry(
                "urn:x:3",
                "{\"resourceType\":\"Provenance\",\"id\":\"p\",\
                    \"target\":[{\"reference\":\"http://x.rw/fhir/Encounter/e\"}]}"
            ),
            entry(
                "urn:x:4",
                &format!(
                    "{{\"resourceType\":\"Provenance\",\"id\":\"q\",\
                    \"target\":[{{\"reference\":\"{a}\"}},{{\"reference\":\"{b}\"}}]}}"
                )
            ),
            entry(a, "{\"resourceType\":\"Patient\",\"id\":\"a\"}"),
            entry(b, "{\"resourceType\":\"Patient\",\"id\":\"b\"}"),
            entry(
                "urn:x:5",
                "{\"resourceType\":\"Coverage\",\"id\":\"c\",\
                    \"beneficiary\":{\"reference\":\"Patient/a\"}}"
            ),
        ]
        .join(",")
    );
    let import = read(&text);
    let by = kinds(&import);
    let record = |local: &str| by[local].record;
    assert_ne!(record("Patient/a"), record("Patient/b"));
    assert_eq!(record("Patient/a").to_string(), a.trim_start_matches("urn:uuid:"));
    assert_eq!(record("Observation/1"), record("Patient/a"));
    assert_eq!(record("Coverage/c"), record("Patient/a"));
    for local in ["Observation/2", "Encounter/e", "Provenance/p"] {
        assert_eq!(record(local), record("Patient/b"), "{local}");
        assert_eq!(by[local].owner.as_deref(), Some(by["Patient/b"].key.as_str()));
    }
    assert_eq!(by["Provenance/q"].place, Place::Unowned);
}

#[test]
fn an_organization_in_two_bundles_is_there_once() {
    let org = r#"{"resourceType":"Organization","id":"org","name":"CS Kacyiru"}"#;
    let other = r#"{"resourceType":"Organization","id":"org","name":"CS Gisenyi"}"#;
    let one = read(&bundle(&[PATIENT, org]));
    let two = read(&bundle(&[&PATIENT.replace("\"1\"", "\"2\""), &org.replace(',', ", ")]));
    let of = |import: &Import| kinds(import)["Organization/org"].clone();
    assert_eq!((of(&one).key, of(&one).record), (of(&two).key, of(&two).record));
    assert_eq!(of(&one).place, Place::Directory);
    // An id means nothing without a source: another name, another organization.
    assert_ne!(of(&one).key, of(&read(&bundle(&[other]))).key);
    let mut phone = Phone::new(1);
    phone.import(one);
    phone.import(two);
    let organizations = phone.projected();
    assert_eq!(organizations.iter().filter(|o| o.key.starts_with("Organization/")).count(), 1);
}

#[test]
fn ids_of_two_clinics_do_not_collide_and_two_phones_agree() {
    let text = bundle(&[PATIENT]);
    let of = |source| read_bundle(&text, source).unwrap().incoming[0].clone();
    assert_eq!(of(Some("clinic a")), of(Some("clinic a")));
    assert_ne!(of(Some("clinic a")).record, of(Some("clinic b")).record);
    assert_ne!(of(Some("clinic a")).key, of(Some("clinic b")).key);
    let nid = PATIENT.replace(
        "\"gender\"",
        "\"identifier\":[{\"system\":\"NID\",\"value\":\"1199070012345678\"}],\"gender\"",
    );
    let text = bundle(&[&nid]);
    let of = |source| read_bundle(&text, source).unwrap().incoming[0].clone();
    assert_eq!(of(Some("clinic a")).record, of(Some("clinic b")).record);
    assert_ne!(of(Some("clinic a")).key, of(Some("clinic b")).key);
    // One who refers by that identifier alone finds the same person.
    let logical = concat!(
        r#"{"resourceType":"Flag","id":"f","subject":{"identifier":{"system":"NID","#,
        r#""value":"1199070012345678"}}}"#,
    );
    let conditional = concat!(
        r#"{"resourceType":"Flag","id":"g","#,
        r#""subject":{"reference":"Patient?identifier=NID|1199070012345678"}}"#,
    );
    let import = read(&bundle(&[logical, conditional]));
    assert!(import.incoming.iter().all(|one| one.record == of(None).record));
}

#[test]
fn a_contradicting_person_is_told_apart_with_everything_they_own() {
    let observation =
        r#"{"resourceType":"Observation","id":"9","subject":{"reference":"Patient/1"}}"#;
    let man = PATIENT.replace("female", "male").replace("Aline", "Eric");
    let mut phone = Phone::new(1);
    let mut run = ImportRun::new();
    let first = run.settle(read(&bundle(&[PATIENT, observation])), |_| None);
    let base = first.incoming[0].record;
    // The same run, a second file: nothing written yet.
    let second = run.settle(read(&bundle(&[&man, observation])), |_| None);
    assert!(second.incoming.iter().all(|one| one.record != base));
    let keys: BTreeSet<_> = first.incoming.iter().map(|one| one.key.clone()).collect();
    assert!(second.incoming.iter().all(|one| !keys.contains(&one.key)));
    assert_eq!(second.links.len(), 2);
    phone.import(first);
    // Another run, later: the record that exists tells.
    let summary = phone.records[&base].summary(&Forms::built_in());
    let raw = read(&bundle(&[&man, observation]));
    assert_eq!(disambiguate(&summary, &raw.incoming[0]), Some(second.incoming[0].record));
    let later = ImportRun::new().settle(raw, |record| (record == base).then(|| summary.clone()));
    assert_eq!(later, second);
    phone.import(second);
    let link = &phone.records[&base].view().links;
    assert_eq!(link.values().next().unwrap().text(), SUGGESTED_SAME_PERSON);
    // The same person again is no contradiction, nor is a birth date known less exactly.
    let vague = PATIENT.replace("1990-05-01", "1990");
    let again = ImportRun::new().settle(read(&bundle(&[&vague])), |_| Some(summary.clone()));
    assert_eq!(again.incoming[0].record, base);
}

#[test]
fn broken_bundles_import_nothing_and_broken_entries_leave_the_rest() {
    assert!(matches!(read_bundle("{\"resourceType\":", None), Err(ImportError::Json { .. })));
    assert!(matches!(read_bundle("[]", None), Err(ImportError::Json { .. })));
    assert!(matches!(read_bundle("{\"resourceType\":\"Foo\"}", None), Err(ImportError::Type(_))));
    let history = "{\"resourceType\":\"Bundle\",\"type\":\"history\"}";
    assert!(matches!(read_bundle(history, None), Err(ImportError::BundleType(_))));
    let deep =
        format!("{{\"resourceType\":\"Basic\",\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let huge = format!("{{\"resourceType\":\"Basic\",\"x\":\"{}\"}}", "x".repeat(1_048_577));
    let text = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[\
         {{\"request\":{{\"method\":\"DELETE\",\"url\":\"Patient/1\"}}}},\
         {{\"resource\":{deep}}},{{\"resource\":{huge}}},{{\"resource\":\
                    {{\"resourceType\":\"Foo\"}}}},\
         {{\"resource\":{{\"resourceType\":\"Basic\",\"id\":\"a b\"}}}},7,\
         {{\"resource\":{PATIENT}}},{{\"resource\":{PATIENT}}},\
         {{\"resource\":{}}}]}}",
        PATIENT.replace("Aline", "Alice")
    );
    let import = read_bundle(&text, None).unwrap();
    let why: Vec<_> = import.problems.iter().map(|problem| (problem.entry, &problem.why)).collect();
    assert_eq!(why.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 8]);
    assert_eq!(import.problems[0].to_string(), "entry 0: it has no resource (a DELETE request)");
    assert!(matches!(why[1].1, ProblemReason::Json(_)));
    assert!(matches!(why[2].1, ProblemReason::TooLong(_)));
    assert!(matches!(why[6].1, ProblemReason::DuplicateKey { first: 6, .. }));
    assert_eq!(import.incoming.len(), 1);
    let bare = read_bundle(PATIENT, None).unwrap();
    assert_eq!((bare.incoming.len(), bare.incoming[0].place), (1, Place::Person));
}

fn visit(id: u8, weight: &str) -> Edit {
    Edit::Visit {
        visit: VisitId([id; 16]),
        form: huza_crdt::record::form("anc", 1).unwrap().name(),
        occurred: Stamp(1_795_421_700),
        worker: "Uwase".into(),
        answers: BTreeMap::from([
            ("weight".into(), weight.into()),
            ("bleeding".into(), "yes".into()),
            ("later-field".into(), "raw".into()),
        ]),
    }
}

#[test]
fn two_phones_that_import_the_same_and_both_add_lose_and_hide_nothing() {
    let text = bundle(&[
        PATIENT,
        r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/1"}}"#,
    ]);
    let (mut a, mut b) = (Phone::new(1), Phone::new(2));
    a.import(read(&text));
    b.import(read(&text));
    let record = *a.records.keys().next().unwrap();
    a.write(record, &[visit(1, "60.5")]);
    b.write(record, &[visit(2, "61.0")]);
    b.write(record, &[Edit::Person { field: "phone".into(), value: "0780".into() }]);
    let (from_a, from_b) = (a.written.clone(), b.written.clone());
    a.hear(&from_b);
    b.hear(&from_a);
    assert_eq!(a.views(), b.views());
    let view = a.records[&record].view();
    assert_eq!((view.visits.len(), view.resources.len()), (2, 2));
    assert!(view.conflicts().is_empty(), "equal imports are no conflict");
    let summary = a.records[&record].summary(&Forms::built_in());
    assert_eq!((summary.name(), summary.visits, summary.urgent), ("Aline Uwimana".into(), 2, true));
    assert!(summary.matches("UWIMANA al\u{ed}ne") && !summary.matches("aline kagabo"));
    assert_eq!(a.projected(), b.projected());
    // Importing once more changes nothing.
    let before = a.counter;
    a.import(read(&text));
    assert_eq!(a.counter, before);
}

#[test]
fn projection_is_fhir_with_every_conflicting_value() {
    let record = RecordId([7; 16]);
    let (mut a, mut b) = (Phone::new(1), Phone::new(2));
    let text = |field: &str, value: &str| Edit::Person { field: field.into(), value: value.into() };
    a.write(record, &[text("name/given", "Aline"), text("identifier/NID|119", "official")]);
    a.write(record, &[visit(1, "60.50")]);
    b.hear(&a.written);
    let resource = |text: &str| Edit::Resource { key: "Condition/x".into(), text: text.into() };
    a.write(record, &[visit(1, "62"), resource("{\"v\":1.0}"), text("sex", "female")]);
    b.write(record, &[visit(1, "63"), resource("{\"v\":1.00}"), text("sex", "male")]);
    let from_b = b.written.clone();
    b.hear(&a.written);
    a.hear(&from_b);
    let all = a.projected();
    assert_eq!(all, b.projected());
    let keys: BTreeSet<&str> = all.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys.len(), all.len(), "each key once");
    assert!(keys.contains("Condition/x") && keys.contains("Condition/x#conflict-1"));
    let of = |kind: &str| -> Vec<Value> {
        let all = all.iter().filter(|one| one.key.starts_with(kind));
        all.map(|one| serde_json::from_str(&one.text).unwrap()).collect()
    };
    let patient = &of("Patient/")[0];
    assert_eq!(patient["id"], record.to_string());
    assert_eq!(patient["identifier"][0]["system"], "NID");
    let encounter = &of("Encounter/")[0];
    assert_eq!(encounter["status"], "finished");
    assert_eq!(encounter["period"]["start"], "2026-11-23T08:15:00Z");
    let observations = of("Observation/");
    let mut weights: Vec<_> = observations
        .iter()
        .filter(|one| one["code"]["coding"][0]["code"] == "29463-7")
        .map(|one| one["valueQuantity"]["value"].to_string())
        .collect();
    weights.sort();
    assert_eq!(weights, ["62", "63"]);
    assert!(observations.iter().any(|one| one["valueBoolean"] == true));
    assert!(observations.iter().any(|one| one["valueString"] == "raw"));
    let issues = of("DetectedIssue/");
    assert_eq!(issues.len(), 2);
    assert!(issues.iter().any(|one| one["implicated"].as_array().is_some_and(|i| i.len() == 2)));
    assert!(issues.iter().all(|one| one["patient"]["reference"] == format!("Patient/{record}")));
}

#[test]
fn decimals_keep_their_digits_on_the_way_to_a_facility() {
    let mut phone = Phone::new(1);
    phone.write(RecordId([7; 16]), &[visit(1, "60.50")]);
    let weight = phone.projected().into_iter().find(|one| one.text.contains("29463-7")).unwrap();
    assert!(weight.text.contains("\"valueQuantity\":{\"value\":60.50,\"unit\":\"kg\""));
}

#[test]
fn the_synthea_bundles_go_in_and_come_out_whole() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/fhir");
    if !dir.is_dir() {
        assert!(std::env::var_os("HUZA_SHARED_REQUIRED").is_none(), "no {}", dir.display());
        // Past the test runner's capture, so that it is seen.
        let told = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: ../shared/data/fhir is not here\n",
        );
        told.unwrap();
        return;
    }
    let mut phone = Phone::new(1);
    let mut sent: BTreeMap<String, String> = BTreeMap::new();
    for n in 1..=5 {
        let text = std::fs::read_to_string(dir.join(format!("synthea-{n}.json"))).unwrap();
        let import = ImportRun::new().settle(read(&text), |_| None);
        let whole: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(import.incoming.len(), whole["entry"].as_array().unwrap().len());
        let unowned: Vec<_> =
            import.incoming.iter().filter(|one| one.place == Place::Unowned).collect();
        assert!(unowned.is_empty(), "{unowned:?}");
        let people: BTreeSet<_> = import
            .incoming
            .iter()
            .filter(|one| one.place == Place::Person)
            .map(|one| one.record)
            .collect();
        assert_eq!(people.len(), 1);
        for one in &import.incoming {
            sent.insert(one.key.clone(), one.text.clone());
            assert_eq!(one.key, one.local, "these ids are UUIDs");
        }
        phone.import(import);
    }
    let received: BTreeMap<String, String> =
        phone.projected().into_iter().map(|one| (one.key, one.text)).collect();
    assert_eq!(received, sent);
    println!("{} resources in {} records", sent.len(), phone.records.len());
}

#[test]
fn nothing_about_a_person_goes_to_the_directory() {
    let patients = [
        r#"{"display":"Uwase Marie","identifier":{"system":"TEMPID","value":"12345"}}"#,
        r#"{"reference":"Patient?identifier=TEMPID|12345"}"#,
        r##"{"reference":"#p"}"##,
    ];
    for patient in patients {
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":
            {{"resourceType":"Device","id":"d1","patient":{patient}}}}}]}}"#
        );
        let import = read(&text);
        assert_eq!(import.incoming[0].place, Place::Unowned, "{patient}");
    }
}
