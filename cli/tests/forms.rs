//! `huza authority publish`: a form changed at the centre is filled on a phone two hops away, by real
//! daemons.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use serde_json::Value;

mod support;
use support::{Lab, PAPER};

/// `huza forms show refusal --toml`, with one question more, in a file.
fn changed(lab: &Lab, version: u32, question: &str) -> String {
    let text = lab.ask("authority", &["forms", "show", "refusal", "--toml"])["toml"].clone();
    let text = text.as_str().unwrap().to_owned();
    let before = text.lines().find(|line| line.starts_with("version = ")).unwrap();
    let text = text.replacen(before, &format!("version = {version}"), 1);
    let field = format!(
        "\n[[field]]\nid = \"{question}\"\ntype = \"yes-no\"\nresource = \"Observation\"\n\
         label = {{ rw = \"Ikibazo\", fr = \"Question\", en = \"Question\", review = true }}\n\
         [[danger]]\nsign = \"new-sign\"\nwhen = [{{ field = \"{question}\", op = \"=\", value = \"yes\" }}]\n\
         label = {{ rw = \"Akaga\", fr = \"Danger\", en = \"A new danger\", review = true }}\n"
    );
    let file = lab.path(&format!("refusal-{version}.toml"));
    std::fs::write(&file, text + &field).unwrap();
    file.to_str().unwrap().to_owned()
}

fn refusal(lab: &Lab, on: &str) -> Value {
    let all = lab.ask(on, &["forms"]);
    all["forms"].as_array().unwrap().iter().find(|one| one["id"] == "refusal").unwrap().clone()
}

#[test]
fn a_form_changed_at_the_centre_is_filled_on_a_phone_two_hops_away() {
    let lab = Lab::new();
    lab.member("near", "worker", &["01"]);
    lab.member("far", "worker", &["02"]);
    let record = lab.person("far", "Immaculee Uwase");
    let visit = ["visit", "add", &record, "--form", "refusal", "--set", "what=visit"];
    let asked = [&visit[..], &["--set", "asked=yes"]].concat();
    lab.on("far", &visit).done();
    lab.on("far", &asked).failed(3, &["asked", "no such field"]);

    let file = changed(&lab, 2, "asked");
    let told = lab.on("authority", &["authority", "publish", &file]).done();
    assert!(told.stdout.contains("Published: form refusal version 2."), "{}", told.stdout);
    lab.meet("near", "authority");
    lab.meet("far", "near");
    assert_eq!(refusal(&lab, "far")["from"], "centre 0512");
    assert_eq!(refusal(&lab, "far")["version"], 2);
    let told = lab.on("far", &asked).done();
    assert!(told.stdout.contains("DANGER: Akaga (A new danger)."), "{}", told.stdout);
    let shown = lab.ask("far", &["person", "show", &record]);
    let versions: Vec<&str> = shown["visits"]
        .as_object()
        .unwrap()
        .values()
        .map(|visit| visit["fields"]["version"]["value"].as_str().unwrap())
        .collect();
    assert!(
        versions.contains(&"1") && versions.iter().any(|one| one.starts_with("2+")),
        "{versions:?}"
    );
}

#[test]
fn what_cannot_be_published_is_refused_with_every_reason() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let file = changed(&lab, 2, "asked");
    lab.on("phone", &["authority", "publish", &file]).failed(3, &["no authority device"]);
    let same = changed(&lab, 1, "asked");
    lab.on("authority", &["authority", "publish", &same])
        .failed(3, &["at version 1 already", "version 2"]);
    let text = std::fs::read_to_string(&file).unwrap();
    let wrong =
        text.replace("\"A new danger\"", "\"\"").replace("field = \"asked\"", "field = \"aksed\"");
    let wrong_file = lab.path("wrong.toml");
    std::fs::write(&wrong_file, wrong).unwrap();
    let words = ["a label is missing", "there is no field \"aksed\"", "nothing was published"];
    lab.on("authority", &["authority", "publish", wrong_file.to_str().unwrap()]).failed(3, &words);
    assert_eq!(refusal(&lab, "authority")["version"], 1);
}

#[test]
fn the_programmes_key_publishes_for_every_centre() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let (file, out) = (changed(&lab, 2, "asked"), lab.path("form.statements"));
    let (papers, secret) = (lab.path("paper"), lab.secret("paper", PAPER));
    let paper = papers.join("programme.txt");
    let [paper, out, secret] = [paper, out, secret].map(|path| path.to_str().unwrap().to_owned());
    let publish = ["authority", "paper", "publish", &file, "--paper", &paper, "--out", &out];
    lab.on("authority", &[&publish[..], &["--paper-passphrase-file", &secret]].concat()).done();
    lab.on("phone", &["take", &out]).done();
    assert_eq!(
        (refusal(&lab, "phone")["from"].as_str(), refusal(&lab, "phone")["version"].as_u64()),
        (Some("programme"), Some(2))
    );
    // Without a device the forms of the program are listed.
    assert_eq!(refusal(&lab, "nothing-here")["from"], "huza");
}
