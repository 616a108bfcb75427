//! Whatever is given wrongly gets a clear answer, an exit code, and changes nothing.

#![expect(clippy::indexing_slicing, reason = "a test's own helpers fail as tests do")]

mod support;

use serde_json::{Value, json};
use support::{Lab, files, fixture, huza};

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const INCOMPLETE: i32 = 7;
const HOME: i32 = 4;
const BUSY: i32 = 5;

/// What a user sees of a device: if this is the same, nothing was changed.
fn state(lab: &Lab, name: &str) -> Value {
    let status = lab.ask(name, &["status", "--records"]);
    let found = lab.ask(name, &["person", "find", "--limit", "1000"]);
    let export = lab.on(name, &["export"]).done().stdout;
    let keep = ["device", "records", "records_count", "pending", "envelopes", "areas"];
    let status: Vec<Value> = keep.iter().map(|key| status[*key].clone()).collect();
    json!([status, found, export])
}

#[test]
fn a_missing_home_is_told_with_the_way_out() {
    let lab = Lab::new();
    for args in [vec!["status"], vec!["run"], vec!["person", "find", "x"], vec!["export"]] {
        lab.on("nowhere", &args).failed(HOME, &["no huza home", "nowhere", "huza init"]);
    }
    assert!(!lab.path("nowhere").exists(), "asking makes nothing");
}

#[test]
fn a_second_init_leaves_the_first_device() {
    let lab = Lab::new();
    lab.init("phone");
    let device = lab.ask("phone", &["status"])["device"].clone();
    lab.on("phone", &["init", "--unprotected", "--label", "other"]).failed(HOME, &["already"]);
    assert_eq!(lab.ask("phone", &["status"])["device"], device);
}

#[test]
fn init_refuses_a_folder_that_holds_other_files() {
    let lab = Lab::new();
    lab.on("paper", &["init", "--unprotected"]).failed(HOME, &["holds other files"]);
    assert!(lab.path("paper/programme.txt").exists());
}

#[test]
fn init_without_a_secret_or_with_a_weak_one_makes_nothing() {
    let lab = Lab::new();
    lab.on("phone", &["init"]).failed(INPUT, &["no terminal", "--passphrase-file"]);
    let weak = lab.secret("weak", "short");
    let weak = weak.to_str().unwrap();
    lab.on("phone", &["init", "--passphrase-file", weak]).failed(INPUT, &["at least 8"]);
    lab.on("phone", &["init", "--pin", "--passphrase-file", weak]).failed(INPUT, &["digits"]);
    assert!(!lab.path("phone").exists());
}

#[test]
fn a_request_file_is_not_overwritten() {
    let lab = Lab::new();
    lab.init("phone");
    let request = lab.path("phone.request");
    let before = std::fs::read(&request).unwrap();
    let args = ["init", "--unprotected", "--request", request.to_str().unwrap()];
    lab.on("other", &args).failed(INPUT, &["exists already"]);
    assert!(!lab.path("other").exists(), "no device without its request");
    assert_eq!(std::fs::read(&request).unwrap(), before);
}

#[test]
fn a_second_authority_leaves_the_first() {
    let lab = Lab::new();
    let before = (files(&lab.path("authority")), files(&lab.path("paper")));
    let secret = lab.path("paper.secret");
    let create = |paper: &str| {
        let paper = lab.path(paper);
        let mut args = vec!["authority", "create", "--programme", "X", "--catchment", "1"];
        args.extend(["--village", "1", "--unprotected", "--paper", paper.to_str().unwrap()]);
        args.extend(["--paper-passphrase-file", secret.to_str().unwrap()]);
        lab.on("authority", &args)
    };
    create("paper").failed(INPUT, &["programme.txt", "exists already"]);
    create("other").failed(HOME, &["already"]);
    assert_eq!(files(&lab.path("other")), [], "no key of what was not founded");
    assert_eq!((files(&lab.path("authority")), files(&lab.path("paper"))), before);
}

#[test]
fn the_keys_on_paper_are_sealed_and_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    for name in ["programme.txt", "centre-0512.txt"] {
        let path = lab.path("paper").join(name);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("HUZA-PAPER-1:") && text.lines().all(|line| line.len() <= 100));
    }
    for name in ["authority", "paper"] {
        assert_eq!(lab.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn an_authority_refuses_what_it_cannot_approve_and_says_nothing_to_others() {
    let lab = Lab::new();
    lab.init("phone");
    let statements = |lab: &Lab| lab.ask("authority", &["status"])["statements"].clone();
    let before = statements(&lab);
    let request = lab.path("phone.request");
    let out = lab.path("out");
    let issue = |request: &str, more: &[&str]| {
        let mut args = vec!["authority", "issue", "--request", request];
        args.extend(["--out", out.to_str().unwrap(), "--role"]);
        args.extend(more);
        lab.on("authority", &args)
    };
    let request = request.to_str().unwrap();
    issue(request, &["worker", "--village", "99"]).failed(INPUT, &["99", "catchment"]);
    issue(request, &["worker"]).failed(INPUT, &["village"]);
    issue(request, &["hub", "--hub", "nowhere"]).failed(INPUT, &["address"]);
    let welcome = fixture("broken.json");
    issue(welcome.to_str().unwrap(), &["hub"]).failed(INPUT, &["a join request"]);
    let cut = lab.path("cut.request");
    let text = std::fs::read_to_string(lab.path("phone.request")).unwrap();
    std::fs::write(&cut, &text[..text.len() / 2]).unwrap();
    issue(cut.to_str().unwrap(), &["hub"]).failed(INPUT, &["damaged"]);
    lab.member("other", "worker", &["01"]);
    lab.on("other", &["authority", "issue", "--role", "hub", "--request", request])
        .failed(INPUT, &["no authority device"]);
    assert!(!out.exists());
    let by_other = lab.ask("authority", &["devices"])["devices"].as_array().unwrap().len();
    assert_eq!((before.as_u64().unwrap() + 2, by_other), (statements(&lab).as_u64().unwrap(), 3));
}

#[test]
fn a_welcome_for_another_device_is_refused() {
    let lab = Lab::new();
    lab.init("phone");
    lab.init("other");
    lab.issue("other", "worker", &["02"]);
    let welcome = lab.path("other.welcome");
    lab.on("phone", &["join", welcome.to_str().unwrap()]).failed(INPUT, &["another device"]);
    let request = lab.path("phone.request");
    lab.on("phone", &["join", request.to_str().unwrap()])
        .failed(INPUT, &["holds a join request, not an authority's welcome"]);
    let none = lab.path("none.welcome");
    lab.on("phone", &["join", none.to_str().unwrap()]).failed(INPUT, &["none.welcome"]);
    assert_eq!(lab.ask("phone", &["status"])["role"], Value::Null);
    lab.issue("phone", "worker", &["01"]);
    let welcome = lab.path("phone.welcome");
    lab.on("phone", &["join", welcome.to_str().unwrap()]).done();
}

#[test]
fn who_has_not_joined_is_told_how() {
    let lab = Lab::new();
    lab.init("phone");
    lab.on("phone", &["person", "add", "--name", "Early"]).failed(INPUT, &["join"]);
}

#[test]
fn a_broken_bundle_imports_nothing() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    lab.person("phone", "Before Import");
    let before = state(&lab, "phone");
    let broken = fixture("broken.json");
    lab.on("phone", &["import", broken.to_str().unwrap()]).failed(INPUT, &["broken.json"]);
    let none = fixture("none.json");
    lab.on("phone", &["import", none.to_str().unwrap()]).failed(INPUT, &["none.json"]);
    let binary = lab.path("binary.json");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    lab.on("phone", &["import", binary.to_str().unwrap()]).failed(INPUT, &["binary.json"]);
    let not_fhir = lab.path("not-fhir.json");
    std::fs::write(&not_fhir, r#"{"resourceType":"Bundle","type":"history","entry":[]}"#).unwrap();
    lab.on("phone", &["import", not_fhir.to_str().unwrap()]).failed(INPUT, &["history"]);
    assert_eq!(state(&lab, "phone"), before);
}

#[test]
fn a_broken_file_does_not_keep_a_good_one_out() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let (broken, good) = (fixture("broken.json"), fixture("numbers.json"));
    let args = ["import", broken.to_str().unwrap(), good.to_str().unwrap(), "--json"];
    let answer = lab.on("phone", &args);
    assert_eq!(answer.code, INCOMPLETE, "{answer:?}");
    assert_eq!(answer.json()["resources"], 6);
    assert!(answer.json()["files"][0]["error"]["message"].as_str().unwrap().contains("broken"));
    assert_eq!(lab.on("phone", &["export"]).done().stdout.lines().count(), 6);
}

#[test]
fn an_entry_that_cannot_be_taken_is_named_and_the_others_are_in() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let bundle = fixture("one-bad-entry.json");
    let answer = lab.on("phone", &["import", bundle.to_str().unwrap()]);
    assert_eq!(answer.code, 7, "{answer:?}");
    assert!(answer.stderr.contains("entry 1") && answer.stderr.contains("Spaceship"));
    assert_eq!(lab.on("phone", &["export"]).done().stdout.lines().count(), 1);
}

#[test]
fn an_unknown_form_is_refused() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let record = lab.person("phone", "Immaculee Uwase");
    let before = state(&lab, "phone");
    lab.on("phone", &["visit", "add", &record, "--form", "horoscope", "--set", "star=lion"])
        .failed(INPUT, &["horoscope", "anc", "sick-child"]);
    huza(["forms", "show", "horoscope"]).failed(INPUT, &["horoscope", "anc"]);
    assert_eq!(state(&lab, "phone"), before);
}

#[test]
fn values_that_cannot_be_are_refused_by_field_value_rule_and_unit() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let record = lab.person("phone", "Immaculee Uwase");
    let before = state(&lab, "phone");
    let visit = |weight: &str, more: &[&str]| {
        let mut args = vec!["visit", "add", &record, "--form", "anc"];
        for set in ["round=1", "lmp=2026-05-30", "systolic=118", "diastolic=76", weight] {
            args.extend(["--set", set]);
        }
        args.extend(more);
        lab.on("phone", &args)
    };
    visit("weight=620", &[]).failed(INPUT, &["weight", "620", "200", "kg"]);
    visit("weight=heavy", &[]).failed(INPUT, &["weight", "heavy", "number"]);
    visit("weight=", &[]).failed(INPUT, &["weight", "required"]);
    visit("weight=62", &["--set", "horns=2"]).failed(INPUT, &["horns", "no such field"]);
    let answer = visit("weight=62", &["--occurred", "2026-02-30"]);
    assert!(answer.code == USAGE && answer.stderr.contains("no such time"), "{answer:?}");
    assert_eq!(state(&lab, "phone"), before);
    // A wrong clock refuses nothing.
    let later = visit("weight=62", &["--occurred", "9998-01-01"]).done().stdout;
    assert!(later.contains("Look again: --occurred") && later.contains("not come yet"), "{later}");
    let nobody = "00000000-0000-8000-8000-000000000000";
    lab.on("phone", &["person", "show", nobody]).failed(INPUT, &[nobody]);
    lab.on("phone", &["person", "show", "0000"]).failed(INPUT, &["0000", "person find"]);
    let answer = lab.on("phone", &["person", "show", "uwase"]);
    assert!(answer.code == USAGE && answer.stderr.contains("4 digits"), "{answer:?}");
    lab.on("phone", &["person", "set", &record, "sex=woman"]).failed(INPUT, &["sex", "female"]);
}

#[test]
fn a_person_with_an_impossible_birth_date_is_refused() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let before = state(&lab, "phone");
    let args = ["person", "add", "--name", "Nobody", "--birth-date", "1998-02-30"];
    lab.on("phone", &args).failed(INPUT, &["birth-date", "1998-02-30", "YYYY-MM-DD"]);
    assert_eq!(state(&lab, "phone"), before);
    let args = ["person", "add", "--name", "Nobody", "--birth-date", "9998"];
    let told = lab.on("phone", &args).done().stdout;
    assert!(told.contains("Look again: birth-date") && told.contains("not come yet"), "{told}");
}

#[test]
fn a_home_in_use_says_by_whom() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let mut daemon = lab.run("phone", None);
    daemon.wait("listening");
    lab.on("phone", &["run", "--no-mdns"]).failed(BUSY, &["in use", "process"]);
    // Commands go through the daemon.
    let record = lab.person("phone", "Through Thedaemon");
    lab.visit("phone", &record, "while it runs");
    assert_eq!(lab.ask("phone", &["peers"])["peers"], json!([]));
    daemon.stop();
    assert_eq!(lab.ask("phone", &["status"])["records_count"], 1);
}

#[test]
fn failures_for_machines_are_one_object_on_stderr() {
    let lab = Lab::new();
    let answer = lab.on("nowhere", &["status", "--json"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (HOME, ""));
    let error: Value = serde_json::from_str(&answer.stderr).unwrap();
    for part in ["code", "message", "hint"] {
        assert!(!error["error"][part].as_str().unwrap().is_empty(), "{part} in {error}");
    }
    let answer = huza(["status", "--jsno", "--json"]);
    assert_eq!(answer.code, 2);
    let error: Value = serde_json::from_str(&answer.stderr).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("--jsno"));
}

#[test]
fn the_demo_refuses_a_folder_that_is_not_empty() {
    let lab = Lab::new();
    let before = files(&lab.path("authority"));
    let out = lab.path("authority");
    huza(["demo", "--out", out.to_str().unwrap()]).failed(INPUT, &["not empty"]);
    assert_eq!(files(&out), before);
    let out = lab.path("out");
    huza(["demo", "--out", out.to_str().unwrap(), "--import", "/no/such/file.json"])
        .failed(INPUT, &["file.json"]);
    assert!(!out.exists());
}
