//! `huza doctor` finds what is wrong, says what to do, and succeeds if nothing is bad.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use support::Lab;

const INCOMPLETE: i32 = 7;

/// What it says of one thing.
fn level(report: &Value, code: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter();
    let of = all.filter(|one| one["code"] == code);
    of.map(|one| one["level"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_healthy_phone_is_well_and_each_finding_says_what_to_do() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    let report = lab.ask("phone", &["doctor", "--passphrase-file", &secret]);
    assert_ne!(report["worst"], "bad", "{report}");
    let healthy =
        ["permissions", "disk", "date", "clock", "vault", "recovery", "certificate", "keys"];
    for code in healthy.into_iter().chain(["quota"]) {
        assert_eq!(level(&report, code), ["good"], "{code} in {report}");
    }
    assert_eq!(level(&report, "store"), ["good", "good"], "{report}");
    for one in report["findings"].as_array().unwrap() {
        let told = !one["advice"].as_str().unwrap().is_empty();
        assert!(one["level"] == "good" || told, "no advice in {one}");
    }
    // Without the secret it says what it could not see.
    let report = lab.ask("phone", &["doctor"]);
    assert_eq!(level(&report, "locked"), ["doubtful"], "{report}");
    let text = lab.on("phone", &["doctor"]).done().stdout;
    assert!(text.contains("not read") && text.contains("0 bad"), "{text}");
    // And while a daemon runs.
    let mut daemon = lab.run("phone", None);
    daemon.wait("listening");
    let report = lab.ask("phone", &["doctor"]);
    assert_eq!(level(&report, "stores"), ["good"], "{report}");
    daemon.stop();
}

#[test]
fn what_is_wrong_is_found_and_the_exit_code_says_so() {
    let lab = Lab::new();
    lab.init("new");
    let report = lab.on("new", &["doctor", "--json"]);
    assert_eq!(report.code, INCOMPLETE, "{report:?}");
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(level(&report, "not_joined"), ["bad"], "{report}");
    assert_eq!(level(&report, "vault"), ["doubtful"], "unprotected: {report}");

    lab.member("phone", "worker", &["01"]);
    let home = lab.path("phone");
    let mode = |mode| {
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o755);
    let answer = lab.on("phone", &["doctor"]);
    assert_eq!(answer.code, INCOMPLETE, "{answer:?}");
    assert!(answer.stdout.contains("chmod -R go="), "{answer:?}");
    mode(0o700);
    lab.on("phone", &["doctor"]).done();

    // A damaged store: a page in the middle of the file is overwritten.
    let path = home.join("reader.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    for byte in &mut bytes[4_096..length] {
        *byte ^= 0xff;
    }
    std::fs::write(&path, bytes).unwrap();
    let answer = lab.on("phone", &["doctor"]);
    assert_eq!(answer.code, INCOMPLETE, "{answer:?}");
    assert!(answer.stdout.contains("BAD") && answer.stdout.contains("damaged"), "{answer:?}");
}

#[test]
fn it_says_whether_a_hub_answers_and_who_tried_to_get_in() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let settings = lab.path("phone/huza.toml");
    std::fs::write(&settings, format!("dial = [\"{address}\"]\nmdns = false\n")).unwrap();
    let report = lab.ask("phone", &["doctor", "--passphrase-file", &secret]);
    assert_eq!((level(&report, "dial"), level(&report, "silent")), (vec!["good".into()], vec![]));
    drop(nobody);
    let wrong = lab.secret("wrong", "ibijumba bine");
    let unlock = ["unlock", "--passphrase-file", wrong.to_str().unwrap()];
    lab.on("phone", &unlock).failed(3, &["wrong secret"]);
    let report = lab.ask("phone", &["doctor"]);
    assert_eq!(level(&report, "silent"), ["doubtful"], "{report}");
    assert_eq!(level(&report, "attempts"), ["doubtful"], "{report}");
    lab.member("pins", "worker", &["01"]);
    let pin = lab.secret("pin", "0471");
    let add = ["worker", "add", "Bosco", "--pin", "--new-passphrase-file", pin.to_str().unwrap()];
    lab.on("pins", &add).done();
    assert_eq!(level(&lab.ask("pins", &["doctor"]), "keystore"), ["doubtful"], "a stand-in");
}
