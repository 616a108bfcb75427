//! FHIR over HTTP at a real daemon: a client that others wrote, what is read, and what may be written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use serde_json::{Value, json};

mod support;
use support::http::{Response, person, story, visit};

#[test]
fn a_fhir_client_that_others_wrote_lists_people_and_adds_an_observation() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/fhir");
    if !folder.join("node_modules/fhir-kit-client").exists() {
        let required = std::env::var_os("HUZA_FHIR_OUT").is_some();
        assert!(!required, "no FHIR client: run `npm ci` in .ci/fhir");
        println!("skipped: no FHIR client; `npm ci` in .ci/fhir installs one");
        return;
    }
    let (lab, daemon, app) = story();
    let mut people = vec![person(&app, "Immaculee"), person(&app, "Esperance")];
    visit(&app, &people[0]);
    let mut client = std::process::Command::new("node");
    client.arg("client.mjs").arg(format!("http://127.0.0.1:{}/fhir", app.port)).arg(&app.token);
    let told = client.current_dir(folder).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let record = people[0].clone();
    people.sort();
    assert_eq!((&told["people"], &told["patient"]), (&json!(people), &json!(record)));
    let shown = lab.ask("phone", &["person", "show", &record]);
    let key = format!("Observation/{}", told["added"].as_str().unwrap());
    let kept = shown["resources"][&key]["value"].as_str().unwrap();
    assert!(kept.contains(r#""value":63"#) && kept.contains("29463-7"), "{kept}");
    let exported = lab.on("phone", &["export"]).done().stdout;
    assert!(exported.lines().any(|line| line == kept), "it goes to the facility as it is");
    daemon.stop();
}

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"mine","meta":{"versionId":"4"},"status":"final","code":{"text":"Weight"},"subject":{"reference":"Patient/RECORD"},"valueQuantity":{"value":62.50}}"#;

#[test]
fn fhir_reads_what_visits_came_to_and_writes_only_what_was_brought_in() {
    let (lab, daemon, app) = story();
    let record = person(&app, "Immaculee");
    visit(&app, &record);
    let of = |path: &str| -> Vec<Value> {
        let bundle = app.get(path).is(200);
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect()
    };
    let encounters = of(&format!("/fhir/Encounter?patient=Patient/{record}"));
    assert_eq!(encounters.len(), 1);
    assert_eq!(encounters[0]["subject"]["reference"], format!("Patient/{record}"));
    let all = of(&format!("/fhir/Observation?patient={record}"));
    let code = all[0]["code"]["coding"][0]["code"].as_str().unwrap();
    assert_eq!(of(&format!("/fhir/Observation?patient={record}&code={code}")).len(), 1);
    assert_eq!(of(&format!("/fhir/Patient?_id={record}")).len(), 1);
    assert!(of("/fhir/Patient?name=nobody").is_empty());
    assert!(of(&format!("/fhir/Patient?_id={record}&name=nobody")).is_empty(), "both have to fit");
    assert_eq!(app.get(&format!("/fhir/Patient?_id={record}&birthdate=soon")).status, 400);
    let mut paged = Vec::new();
    let mut next = Some(format!("/fhir/Observation?patient={record}&_count=2"));
    while let Some(path) = next {
        let bundle = app.get(&path).is(200);
        paged.extend(bundle["entry"].as_array().unwrap().iter().map(|one| one["resource"].clone()));
        let links = bundle["link"].as_array().unwrap();
        let link = links.iter().find(|link| link["relation"] == "next");
        let base = format!("http://127.0.0.1:{}", app.port);
        next =
            link.map(|link| link["url"].as_str().unwrap().strip_prefix(&base).unwrap().to_owned());
    }
    assert_eq!(paged, all);

    let fhir = [("content-type", "application/fhir+json")];
    let code = |response: Response, status: u16| {
        response.is(status)["issue"][0]["details"]["coding"][0]["code"].clone()
    };
    let text = OBSERVATION.replace("RECORD", &record);
    let added = app.ask("POST", "/fhir/Observation", &fhir, &text);
    assert!(added.body.contains(r#""value":62.50"#), "digit by digit: {}", added.body);
    let id = added.is(201)["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "mine");
    let at = format!("/fhir/Observation/{id}");
    assert_eq!(added.header("location"), format!("http://127.0.0.1:{}{at}", app.port));
    let read = app.get(&at);
    assert_eq!((read.header("etag"), &read.body), (added.header("etag"), &added.body));

    let other = text.replace("mine", &id).replace("62.50", "63.0");
    let stale = [fhir[0], ("if-match", "W/\"0\"")];
    assert_eq!(code(app.ask("PUT", &at, &stale, &other), 412), "precondition_failed");
    assert_eq!(code(app.ask("PUT", &at, &fhir, &text), 400), "malformed", "another id");
    let fresh = [fhir[0], ("if-match", read.header("etag"))];
    assert!(app.ask("PUT", &at, &fresh, &other).body.contains("63.0"));
    let made = all[0].to_string();
    let made_at = format!("/fhir/Observation/{}", all[0]["id"].as_str().unwrap());
    assert_eq!(code(app.ask("PUT", &made_at, &fhir, &made), 409), "made_here");
    let nobody = OBSERVATION.replace("RECORD", "1");
    assert_eq!(code(app.ask("POST", "/fhir/Observation", &fhir, &nobody), 422), "unknown_patient");
    assert_eq!(code(app.ask("POST", "/fhir/Encounter", &fhir, &text), 422), "bad_resource");
    assert_eq!(code(app.ask("POST", "/fhir/Observation", &fhir, "{"), 400), "malformed");
    assert_eq!(code(app.get("/fhir/Observation"), 422), "needs_patient");
    assert_eq!(code(app.get("/fhir/Location/1"), 404), "unknown_type");
    assert_eq!(code(app.get("/fhir/Observation/1"), 404), "unknown_resource");
    let xml = [("accept", "application/fhir+xml")];
    assert_eq!(code(app.ask("GET", "/fhir/metadata", &xml, ""), 406), "not_acceptable");

    let born = r#"{"resourceType":"Patient","birthDate":"1998-13"}"#;
    assert_eq!(code(app.ask("POST", "/fhir/Patient", &fhir, born), 422), "bad_resource");
    let patient = r#"{"resourceType":"Patient","name":[{"family":"Mukamana","given":["Aline"]}],"gender":"female","birthDate":"1990-02-03","identifier":[{"system":"NID","value":"1199070012345678"}]}"#;
    let added = app.ask("POST", "/fhir/Patient", &fhir, patient);
    let id = added.is(201)["id"].as_str().unwrap().to_owned();
    for found in ["name=mukam", "identifier=NID|1199070012345678", "birthdate=1990-02"] {
        let found = of(&format!("/fhir/Patient?{}", found.replace('|', "%7C")));
        assert_eq!(found.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(id)]);
    }
    // Its record has another id, since it is known by its number; what is added goes there.
    let text = OBSERVATION.replace("RECORD", &id);
    app.ask("POST", "/fhir/Observation", &fhir, &text).is(201);
    assert_eq!(of(&format!("/fhir/Observation?patient={id}")).len(), 1);
    let records = lab.ask("phone", &["person", "find"])["records"].as_array().unwrap().len();
    assert_eq!(records, 2, "nobody was made up");
    daemon.stop();
}
