//! The way back, by real daemons: what a hub tells a worker two hops away, and the proof that it was
//! shown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use serde_json::Value;

mod support;
use support::Lab;

fn messages(lab: &Lab, on: &str, args: &[&str]) -> Vec<Value> {
    lab.ask(on, args)["messages"].as_array().unwrap().clone()
}

#[test]
fn what_a_hub_tells_a_worker_is_shown_and_the_proof_comes_back() {
    let lab = Lab::new();
    lab.member("hub", "hub", &[]);
    lab.member("ferry", "worker", &["02"]);
    let secret = lab.protected_for("phone", "Claudine", "worker", &["01"]);
    let open = ["--passphrase-file", secret.as_str()];
    let add = ["person", "add", "--name", "Immaculee Uwase", "--sex", "female", "--json"];
    let added = lab.on("phone", &[&add[..], &open].concat()).done().json();
    let record = added["record"].as_str().unwrap().to_owned();
    lab.meet("phone", "ferry");
    lab.meet("ferry", "hub");

    let about = ["message", "send", "Bring her on Monday", "--record", &record[..8]];
    lab.on("hub", &[&about[..], &["--to", "Claudine"]].concat()).done();
    lab.on("hub", &[&about[..], &["--to", "Odette"]].concat()).done();
    let all =
        ["message", "send", "Nets come on Friday", "--area", "0512/01", "--about", "guidance"];
    lab.on("hub", &all).done();
    lab.on("hub", &["message", "send", "to nobody"]).failed(2, &["--record", "--area"]);
    lab.meet("hub", "ferry");
    assert!(messages(&lab, "ferry", &["inbox", "--all"]).is_empty());
    lab.meet("ferry", "phone");

    let listed = messages(&lab, "hub", &["message", "list"]);
    assert!(listed.len() == 3 && listed.iter().all(|one| one["shown_by"] == Value::Array(vec![])));
    let shown = lab.on("phone", &[&["inbox", "--lang", "en"][..], &open].concat()).done().stdout;
    assert!(
        shown.contains("Bring her on Monday") && shown.contains("Nets come on Friday"),
        "{shown}"
    );
    assert_eq!(shown.matches("Bring her").count(), 1, "the other is for Odette: {shown}");
    let again = lab.on("phone", &[&["inbox"][..], &open].concat()).done().stdout;
    assert!(again.contains("no new messages"), "{again}");

    lab.meet("phone", "ferry");
    lab.meet("ferry", "hub");
    let listed = messages(&lab, "hub", &["message", "list"]);
    let of = |to: &Value| {
        let one = listed.iter().find(|one| one["to"] == *to).unwrap();
        one["shown_by"].as_array().unwrap().len()
    };
    let counts = ["Claudine", "Odette"].map(|to| of(&Value::from(to)));
    assert_eq!((counts, of(&Value::Null)), ([1, 0], 1));
}
