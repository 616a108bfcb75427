//! `huza bundle`: real devices that never meet, and a file that goes from one to the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use serde_json::Value;

mod support;
use support::{Lab, files};

fn export(lab: &Lab, from: &str, file: &str, more: &[&str]) -> Value {
    let path = lab.path(file);
    lab.ask(from, &[&["bundle", "export", path.to_str().unwrap()], more].concat())
}

fn import(lab: &Lab, on: &str, file: &str) -> Value {
    lab.ask(on, &["bundle", "import", lab.path(file).to_str().unwrap()])
}

fn envelopes(answer: &Value) -> [u64; 3] {
    ["new", "known", "refused"].map(|key| answer["envelopes"][key].as_u64().unwrap())
}

fn certificate(lab: &Lab, name: &str) -> String {
    lab.ask(name, &["status"])["certificate"].as_str().unwrap().to_owned()
}

#[test]
fn records_reach_the_hub_by_file_and_the_receipts_come_back_by_file() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    lab.member("hub", "hub", &[]);
    let record = lab.person("phone", "Immaculee Uwase");
    lab.visit("phone", &record, "by file");
    let made = export(&lab, "phone", "there", &[]);
    assert!(made["envelopes"].as_u64().unwrap() > 0);
    let came = import(&lab, "hub", "there");
    assert_eq!(envelopes(&came), [made["envelopes"].as_u64().unwrap(), 0, 0]);
    assert_eq!(came["whole"], true);
    export(&lab, "hub", "back", &[]);
    assert_eq!(envelopes(&import(&lab, "phone", "back"))[0], 0);
    let status = lab.ask("phone", &["status", "--records"]);
    assert_eq!(status["records"][0]["stored"], true, "{status}");

    // From now on only what is new goes to that hub.
    let hub = certificate(&lab, "hub");
    let nothing = export(&lab, "phone", "nothing", &["--missing-at", &hub[..8]]);
    assert_eq!(nothing["envelopes"], 0);
    lab.person("phone", "Kevin Ishimwe");
    let news = export(&lab, "phone", "news", &["--missing-at", &hub[..8]]);
    assert_eq!(news["envelopes"], 1);
    assert_eq!(envelopes(&import(&lab, "hub", "news")), [1, 0, 0]);
    assert_eq!(envelopes(&import(&lab, "hub", "news")), [0, 1, 0], "twice");
}

#[test]
fn a_running_daemon_gives_and_takes_bundles_and_passes_them_on() {
    let lab = Lab::new();
    for name in ["far", "carrier"] {
        lab.member(name, "worker", &["01"]);
    }
    lab.member("hub", "hub", &[]);
    lab.person("far", "Immaculee Uwase");
    let mut far = lab.run("far", None);
    far.wait("listening");
    export(&lab, "far", "file", &[]);
    far.stop();
    let mut hub = lab.run("hub", None);
    let address = hub.wait("listening")["address"].as_str().unwrap().to_owned();
    let mut carrier = lab.run("carrier", Some(&address));
    carrier.wait("contact_complete");
    assert_eq!(envelopes(&import(&lab, "carrier", "file")), [1, 0, 0]);
    // It was durable when that was told: whoever is killed then has it.
    drop(carrier);
    assert_eq!(lab.ask("carrier", &["status"])["envelopes"], 1);
    let mut carrier = lab.run("carrier", Some(&address));
    carrier.wait("contact_complete");
    carrier.stop();
    hub.stop();
    assert!(lab.on("hub", &["person", "find", "Uwase"]).done().stdout.contains("Immaculee"));
}

#[test]
fn a_locked_device_carries_files_too() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    lab.member("hub", "hub", &[]);
    let add = ["person", "add", "--name", "Immaculee Uwase", "--passphrase-file", &secret];
    lab.on("phone", &add).done();
    assert_eq!(export(&lab, "phone", "file", &[])["envelopes"], 1, "what was written last");
    assert_eq!(envelopes(&import(&lab, "hub", "file")), [1, 0, 0]);
    export(&lab, "hub", "back", &[]);
    let back = import(&lab, "phone", "back");
    assert_eq!(envelopes(&back), [0, 1, 0]);
    assert!(back["statements"]["new"].as_u64().unwrap() > 0, "the hub's receipt");
    let path = lab.path("area");
    let by_name = ["bundle", "export", path.to_str().unwrap(), "--area", "01"];
    lab.on("phone", &by_name).failed(3, &["tags only", "unlock", "--passphrase-file"]);
    assert!(!path.exists());
    // Whoever has the secret at hand needs no daemon for it.
    lab.on("phone", &[&by_name[..], &["--passphrase-file", &secret]].concat()).done();
    let devices = lab.ask("phone", &["devices", "--passphrase-file", &secret]);
    assert!(devices.to_string().contains("0512/01"), "{devices}");
}

#[test]
fn damage_foreign_files_and_wrong_names_are_told() {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    lab.member("other", "worker", &["01"]);
    lab.person("phone", "Immaculee Uwase");
    export(&lab, "phone", "file", &["--area", "01"]);
    let (file, broken) = (lab.path("file"), lab.path("broken"));
    let path = broken.to_str().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&broken, &bytes).unwrap();
    let text = lab.on("other", &["bundle", "import", path]).stdout;
    assert!(text.contains("missing: 1 part of the file"), "{text}");
    let answer = lab.on("other", &["bundle", "import", path, "--json"]);
    assert_eq!(answer.code, 7, "{answer:?}");
    let told = answer.json();
    assert_eq!(envelopes(&told), [0, 1, 0], "the batch behind the damage");
    assert_eq!((&told["whole"], &told["batches_missing"][0]), (&Value::from(false), &0.into()));
    assert_eq!(told["damaged"][0]["from"], 0);
    assert!(answer.stderr.contains("bundle_damaged"));

    // Cut short: what was whole is there, and nobody believes that this is all.
    bytes[200] ^= 1;
    std::fs::write(&broken, &bytes[..bytes.len() - 1]).unwrap();
    let answer = lab.on("other", &["bundle", "import", path]);
    assert_eq!(answer.code, 7, "{answer:?}");
    assert!(answer.stdout.contains("its end is missing"), "{answer:?}");
    assert_eq!(envelopes(&import(&lab, "other", "file")), [0, 1, 0]);

    let before = files(&lab.path("other"));
    std::fs::write(&broken, b"PK\x03\x04 not ours").unwrap();
    lab.on("other", &["bundle", "import", path]).failed(3, &["no bundle"]);
    lab.on("other", &["bundle", "import", "nowhere"]).failed(3, &["nowhere"]);
    let elsewhere = Lab::new();
    elsewhere.member("stranger", "worker", &["01"]);
    let stranger = ["bundle", "import", file.to_str().unwrap()];
    elsewhere.on("stranger", &stranger).failed(3, &["not sealed by a member"]);
    assert_eq!(before.len(), files(&lab.path("other")).len());
    lab.on("phone", &["bundle", "export", file.to_str().unwrap()]).failed(3, &["exists"]);
    let (out, out_path) = (lab.path("out"), lab.path("out"));
    let out = out.to_str().unwrap();
    lab.on("phone", &["bundle", "export", out, "--area", "99"]).failed(3, &["not a member"]);
    lab.on("phone", &["bundle", "export", out, "--missing-at", "ffff"]).failed(3, &["no device"]);
    assert!(!out_path.exists());
}
