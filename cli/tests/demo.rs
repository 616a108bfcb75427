//! The whole path with real processes: phone, phone, hub, gateway, and back.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own helpers fail as tests do"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::{fixture, huza};

/// One spelling of a JSON value: keys in order, no space, strings escaped alike, numbers exactly
/// as they are written.
fn canonical(raw: &str) -> String {
    if raw.starts_with('{') {
        let map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).unwrap();
        let inner = map.iter().map(|(key, value)| format!("{key:?}:{}", canonical(value.get())));
        return format!("{{{}}}", inner.collect::<Vec<_>>().join(","));
    }
    if raw.starts_with('[') {
        let items: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap();
        let inner = items.iter().map(|item| canonical(item.get()));
        return format!("[{}]", inner.collect::<Vec<_>>().join(","));
    }
    match raw.strip_prefix('"') {
        Some(_) => format!("{:?}", serde_json::from_str::<String>(raw).unwrap()),
        None => raw.to_owned(),
    }
}

fn without_id(raw: &str) -> String {
    let mut map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(raw).unwrap();
    map.remove("id");
    canonical(&serde_json::to_string(&map).unwrap())
}

/// Distinct resources of the bundles, canonical; those without an id apart.
fn resources(files: &[PathBuf]) -> (Vec<String>, Vec<String>) {
    #[derive(serde::Deserialize)]
    struct Bundle {
        entry: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        resource: Box<RawValue>,
    }
    let (mut named, mut nameless) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let bundle: Bundle = serde_json::from_str(&text).unwrap();
        for entry in bundle.entry {
            let has_id =
                serde_json::from_str::<Value>(entry.resource.get()).unwrap()["id"].is_string();
            let into = if has_id { &mut named } else { &mut nameless };
            into.push(canonical(entry.resource.get()));
        }
    }
    for list in [&mut named, &mut nameless] {
        list.sort();
        list.dedup();
    }
    (named, nameless)
}

/// Plays the demonstration on `files` and checks everything that it claims.
fn plays(files: &[PathBuf]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut args =
        vec!["demo".into(), "--json".into(), "--out".into(), out.clone().into_os_string()];
    args.push("--import".into());
    args.extend(files.iter().map(|file| file.clone().into_os_string()));
    let answer = huza(args).done();
    let report = answer.json();

    let (named, nameless) = resources(files);
    let all = named.len() + nameless.len();
    let received = std::fs::read_to_string(out.join("facility/resources.ndjson")).unwrap();
    let mut got: Vec<String> = Vec::new();
    let mut given = Vec::new();
    for line in received.lines() {
        let text = canonical(line);
        if named.contains(&text) { got.push(text) } else { given.push(without_id(line)) }
    }
    got.sort();
    given.sort();
    assert_eq!(got, named);
    assert_eq!(given, nameless);
    assert_eq!(
        (&report["resources_in"], &report["resources_delivered"]),
        (&json!(all), &json!(all))
    );
    assert_eq!(report["receipts_complete"], true);
    // Far below the time after which a silent session is given up: nothing may wait for that.
    assert!(report["millis"].as_u64().unwrap() < 30_000, "{report}");
    assert_eq!(report["contacts"].as_array().unwrap().len(), 5);
    for contact in report["contacts"].as_array().unwrap() {
        assert!(contact["bytes_sent"].as_u64().unwrap() > 0, "{contact}");
        assert!(contact["bytes_received"].as_u64().unwrap() > 0, "{contact}");
        for key in ["from", "to", "envelopes", "round_trips", "millis"] {
            assert!(!contact[key].is_null(), "{key} in {contact}");
        }
    }
    compare_with_python(&out.join("facility/resources.ndjson"), files);
    receipts_hold(&out);
    (folder, report)
}

/// A program other than huza says the same.
fn compare_with_python(received: &Path, files: &[PathBuf]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare.py");
    match Command::new("python3").arg(script).arg(received).args(files).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        Err(error) => println!("skipped the comparison by python3: {error}"),
    }
}

/// The stopped homes prove it: on A, both signatures for each record.
fn receipts_hold(out: &Path) {
    let home = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let status = |name: &str, more: &[&str]| {
        let mut args = vec!["status", "--records", "--json", "--home"];
        let home = home(name);
        args.push(&home);
        args.extend(more);
        huza(args)
    };
    let (hub, gateway) = (status("hub", &[]).done().json(), status("gateway", &[]).done().json());
    status("phone-a", &[]).failed_in_json(3, "locked");
    let passphrase = home("phone-a.passphrase");
    let phone = status("phone-a", &["--passphrase-file", &passphrase]).done().json();
    assert!(!phone["records"].as_array().unwrap().is_empty());
    for record in phone["records"].as_array().unwrap() {
        assert!(record["taken"].as_u64().unwrap() >= 1, "{record}");
        assert_eq!((&record["stored"], &record["accepted"]), (&json!(true), &json!(true)));
        let holds = |kind: &str, issuer: &Value| {
            record["receipts"].as_array().unwrap().iter().any(|receipt| {
                receipt["kind"] == kind
                    && receipt["verified"] == true
                    && receipt["issuer"] == issuer["certificate"]
            })
        };
        assert!(holds("stored", &hub) && holds("accepted", &gateway), "{record}");
    }
}

#[test]
fn our_own_bundles_arrive_as_they_were_written() {
    let files = ["numbers.json", "two-patients.json", "no-id.json"].map(fixture);
    let (_folder, report) = plays(&files);
    assert_eq!(report["resources_in"], 12, "the Organization of two bundles counts once");
}

#[test]
fn the_synthea_bundles_arrive_as_they_were_written() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/fhir");
    let Ok(entries) = std::fs::read_dir(&shared) else {
        assert!(std::env::var_os("HUZA_SHARED_REQUIRED").is_none(), "no {}", shared.display());
        // Past the test runner's capture, so that it is seen.
        let told = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: ../shared/data/fhir is not here\n",
        );
        told.unwrap();
        return;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "../shared/data/fhir is empty");
    plays(&files);
}

#[test]
fn the_built_in_story_ends_well_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let output = support::command().arg("demo").env("TMPDIR", temporary.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "DANGER",
        "Isuzuma",
        "phone B",
        "has ended",
        "accepted",
        "exactly once",
        "locks",
        "stolen",
        "phone C",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn the_canonical_form_keeps_what_fhir_keeps() {
    assert_eq!(
        canonical("{ \"b\": 1.0, \"a\": [1e2, \"\\u00e9\"] }"),
        "{\"a\":[1e2,\"\u{e9}\"],\"b\":1.0}"
    );
    assert_ne!(canonical("1.0"), canonical("1.00"));
}
