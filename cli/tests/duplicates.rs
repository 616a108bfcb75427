//! The same person twice, from the command line.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::Lab;

fn add(lab: &Lab, on: &str, name: &str, area: &str) -> Value {
    let who = ["--sex", "female", "--birth-date", "1998-04-12", "--area", area];
    lab.ask(on, &[&["person", "add", "--name", name][..], &who].concat())
}

fn record(answer: &Value) -> String {
    answer["record"].as_str().unwrap().to_owned()
}

fn phone() -> Lab {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01", "02"]);
    lab
}

#[test]
fn who_is_registered_twice_is_told_linked_and_unlinked() {
    let lab = phone();
    let first = record(&add(&lab, "phone", "Immaculee Uwase", "0512/01"));
    let told = add(&lab, "phone", "Uwaase Imaculee", "0512/01");
    let second = record(&told);
    assert_eq!(told["duplicates"][0]["other"]["record"], first.as_str());
    let reasons = &told["duplicates"][0]["likeness"]["reasons"];
    assert_eq!(*reasons, json!(["names", "birth_day", "village"]));
    let listed = lab.on("phone", &["duplicates"]).done().stdout;
    let words = [
        "Immaculee Uwase",
        "Imaculee",
        "Names sound alike, same birth date, same village",
        "person link",
    ];
    assert!(words.iter().all(|word| listed.contains(word)), "{listed}");
    let link = ["person", "link", &first[..8], &second, "--reason", "both cards seen"];
    let said = lab.ask("phone", &link);
    assert_eq!(said, json!({ "one": first, "other": second, "said": "same_person" }));
    assert_eq!(lab.ask("phone", &["duplicates"])["pairs"], json!([]));
    let shown = lab.on("phone", &["person", "show", &first]).done().stdout;
    assert!(shown.contains(&format!("links/{second}: same person: both cards seen")), "{shown}");
    let export = lab.on("phone", &["export"]).done().stdout;
    for (from, to) in [(&first, &second), (&second, &first)] {
        let line =
            export.lines().find(|line| line.contains(&format!("\"id\":\"{from}\""))).unwrap();
        let patient: Value = serde_json::from_str(line).unwrap();
        let link =
            json!([{ "other": { "reference": format!("Patient/{to}") }, "type": "seealso" }]);
        assert_eq!(patient["link"], link);
    }
    lab.on("phone", &["person", "unlink", &first, &second]).done();
    let open = &lab.ask("phone", &["duplicates"])["pairs"][0];
    assert_eq!((&open["said"], &open["likeness"]["score"]), (&json!("unlinked"), &json!(30.3)));
    lab.on("phone", &["person", "unlink", &first, &second, "--different"]).done();
    assert_eq!(lab.ask("phone", &["duplicates"])["pairs"], json!([]));
    let of_one = lab.ask("phone", &["duplicates", &first]);
    assert_eq!(of_one["pairs"][0]["said"], "different people");
    assert!(!lab.on("phone", &["export"]).done().stdout.contains("seealso"));
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let lab = phone();
    let one = record(&add(&lab, "phone", "Immaculee Uwase", "0512/01"));
    let two = record(&add(&lab, "phone", "Immaculee Uwase", "0512/02"));
    let on = |args: &[&str]| lab.on("phone", &[&["person"][..], args].concat());
    on(&["link", &one, &one]).failed(3, &["one record"]);
    on(&["link", &one, "00000000-0000-4000-8000-000000000000"]).failed(3, &["no record"]);
    on(&["link", &one, &two, "--reason", "her card"]).failed(3, &["both villages", "--reason"]);
    on(&["unlink", &one, &two]).failed(3, &["nothing was said", "--different"]);
    assert_eq!(lab.ask("phone", &["duplicates"])["pairs"].as_array().unwrap().len(), 1);
    lab.on("phone", &["duplicates", &one, "--json"]).done();
}
