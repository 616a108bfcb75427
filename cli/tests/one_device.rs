//! What one health worker does with one phone, with no network and no daemon.

mod support;

use serde_json::json;
use support::{Lab, fixture, huza};

#[test]
fn a_visit_is_recorded_found_and_shown() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let record = lab.person("phone", "Immaculee Uwase");
    let visit = lab.visit("phone", &record, "ameze neza");
    assert_eq!((&visit["urgent"], &visit["dangers"]), (&json!(false), &json!([])));
    let found = lab.ask("phone", &["person", "find", "uwase"]);
    assert_eq!(found["records"][0]["record"], json!(record));
    assert_eq!(found["records"][0]["visits"], 1);
    assert_eq!(found["records"][0]["area"], "0512/01");
    let shown = lab.on("phone", &["person", "show", &record]).done().stdout;
    assert!(shown.contains("62.5") && shown.contains("ameze neza") && shown.contains("tester"));
    // The beginning of an id is enough, and a field can be corrected.
    let digits = &record[..8];
    let set = ["person", "set", digits, "birth-date=1998-04", "name=Immaculee Keza"];
    assert_eq!(lab.ask("phone", &set)["record"], json!(record));
    let shown = lab.on("phone", &["person", "show", digits]).done().stdout;
    assert!(shown.contains("birth-date: 1998-04") && shown.contains("Keza"), "{shown}");
    let found = lab.ask("phone", &["person", "find", digits]);
    assert_eq!(found["records"][0]["name"], "Immaculee Keza");
    let status = lab.ask("phone", &["status"]);
    assert_eq!((&status["role"], &status["records_count"]), (&json!("worker"), &json!(1)));
    assert_eq!(status["records"][0]["stored"], false);
    assert_eq!(status["records"][0]["receipts"], json!([]));
}

#[test]
fn a_danger_sign_is_told_at_once() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let record = lab.person("phone", "Esperance Mukamana");
    let mut args = vec!["visit", "add", &record, "--form", "anc"];
    for set in ["round=1", "lmp=2026-05-30", "weight=62", "systolic=165", "diastolic=92"] {
        args.extend(["--set", set]);
    }
    args.extend(["--occurred", "2026-11-20T09:30:00+02:00"]);
    let answer = lab.on("phone", &args).done();
    assert!(answer.stdout.contains("DANGER") && answer.stdout.contains("Severe hypertension"));
    assert!(answer.stdout.contains("Look again"), "92 is unusual");
    let found = lab.ask("phone", &["person", "find", "mukamana"]);
    assert_eq!(found["records"][0]["urgent"], true);
    let shown = lab.on("phone", &["person", "show", &record]).done().stdout;
    assert!(shown.contains("2026-11-20T07:30:00Z"));
}

#[test]
fn what_is_due_is_listed_until_it_is_done() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let record = lab.person("phone", "Esperance Mukamana");
    let add = |form: &str, occurred: &str, sets: &[&str]| {
        let mut args = vec!["visit", "add", &record, "--form", form, "--occurred", occurred];
        for set in sets {
            args.extend(["--set", set]);
        }
        lab.on("phone", &args).done().stdout
    };
    let reminders = |more: &[&str]| {
        let list = lab.ask("phone", &[&["reminders"], more].concat());
        let list = list["reminders"].as_array().unwrap().clone();
        list.into_iter()
            .map(|one| (one["state"].clone(), one["awaits"].clone()))
            .collect::<Vec<_>>()
    };
    assert!(lab.on("phone", &["reminders"]).done().stdout.contains("Nothing is due"));
    let told = add(
        "red-alert",
        "2026-11-01T08:00:00Z",
        &["reason=pregnancy", "place=home", "bleeding=yes"],
    );
    assert!(told.contains("DANGER: Kuva amaraso (Bleeding)"), "{told}");
    assert!(told.contains("Go to the health centre now"), "{told}");
    assert_eq!(reminders(&[]), [(json!("overdue"), json!("red-alert-result"))]);
    let text = lab.on("phone", &["reminders", "--lang", "en"]).done().stdout;
    assert!(text.contains("OVERDUE") && text.contains("Result of the alert"), "{text}");
    add("red-alert-result", "2026-11-01T17:00:00Z", &["intervention=referred", "mother=well"]);
    assert_eq!(reminders(&[]), []);
    assert_eq!(reminders(&["--all"]), [(json!("done"), json!("red-alert-result"))]);
    assert_eq!(reminders(&["--all", "--by", "nobody"]), []);
    let form = lab.on("phone", &["forms", "show", "red-alert", "--lang", "en"]).done().stdout;
    assert!(form.contains("0 days to 1 day after the visit"), "{form}");
    assert!(lab.on("phone", &["forms", "review"]).done().stdout.contains("native speaker"));
}

#[test]
fn importing_twice_changes_nothing() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    for name in ["numbers.json", "two-patients.json", "no-id.json"] {
        let path = fixture(name);
        let first = lab.ask("phone", &["import", path.to_str().unwrap()]);
        let export = lab.on("phone", &["export"]).done().stdout;
        let second = lab.ask("phone", &["import", path.to_str().unwrap()]);
        assert_eq!(first["resources"], second["resources"], "{name}");
        assert_eq!(second["files"][0]["unchanged"], second["resources"], "{name}");
        assert_eq!(lab.on("phone", &["export"]).done().stdout, export, "{name}");
    }
}

#[test]
fn two_patients_in_a_bundle_keep_what_is_theirs() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let path = fixture("two-patients.json");
    let answer = lab.ask("phone", &["import", path.to_str().unwrap()]);
    assert_eq!((&answer["resources"], &answer["files"][0]["records"]), (&json!(5), &json!(3)));
    for (name, own, other) in
        [("Odette", "of Odette", "of Patrice"), ("Patrice", "of Patrice", "of Odette")]
    {
        let found = lab.ask("phone", &["person", "find", name]);
        let record = found["records"][0]["record"].as_str().unwrap();
        let shown = lab.on("phone", &["person", "show", record]).done().stdout;
        assert!(shown.contains(own) && !shown.contains(other), "{name}: {shown}");
    }
}

#[test]
fn an_export_to_a_file_is_whole_and_is_not_overwritten() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let path = fixture("numbers.json");
    lab.on("phone", &["import", path.to_str().unwrap()]).done();
    let out = lab.path("out.ndjson");
    let args = ["export", "--out", out.to_str().unwrap()];
    assert_eq!(lab.ask("phone", &args)["resources"], 6);
    let text = std::fs::read_to_string(&out).unwrap();
    for number in ["1.0}", "1.50}", "1e2}", "12345678901234567890}"] {
        assert!(text.contains(number), "{number}");
    }
    assert_eq!(lab.on("phone", &args).failed(3, &["exists already"]).code, 3);
}

#[test]
fn forms_speak_three_languages() {
    let rw = huza(["forms", "show", "anc", "--lang", "rw"]).done().stdout;
    assert!(rw.contains("Ibiro") && rw.contains("weight*") && rw.contains("20 to 200"));
    let fr = huza(["forms", "--lang", "fr"]).done().stdout;
    assert!(fr.contains("Enfant malade"));
    let json = huza(["forms", "show", "sick-child", "--json"]).done().json();
    assert_eq!(json["fields"][0]["id"], "age-months");
}

#[test]
fn a_relay_reads_nothing() {
    let lab = Lab::new();
    let request = lab.path("relay.request");
    lab.on("relay", &["init", "--relay", "--request", request.to_str().unwrap()]).done();
    lab.issue("relay", "relay", &[]);
    let welcome = lab.path("relay.welcome");
    let joined = lab.on("relay", &["join", welcome.to_str().unwrap()]).done();
    assert!(joined.stdout.contains("reads nothing"), "{joined:?}");
    let answer = lab.on("relay", &["person", "add", "--name", "X"]);
    assert_ne!(answer.code, 0);
}

#[test]
fn each_request_is_another_one_of_the_same_device() {
    let lab = Lab::new();
    lab.init("phone");
    let first = std::fs::read_to_string(lab.path("phone.request")).unwrap();
    let again = lab.ask("phone", &["request"]);
    assert_ne!(again["request"], json!(first.trim_end()), "so that none is good twice");
    assert_eq!(again["device"], lab.ask("phone", &["status"])["device"]);
    let shown = lab.on("phone", &["request", "--qr"]).done().stdout;
    let widest = shown.lines().filter(|line| line.contains('\u{2588}'));
    let widest = widest.map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest} columns");
    assert_eq!(shown.matches("HUZA-REQUEST-1:").count(), 1, "and as text");
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(huza(["completions", shell]).done().stdout.contains("huza"));
    }
}
