//! Enrolling a phone, with real processes on both sides: what is typed is what the programs say to
//! type. And what is refused: the wrong place, the wrong role, stale requests, replayed ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use data_encoding::BASE32_NOPAD;
use huza_crdt::codec;
use huza_crdt::crypto::{SealingKey, SigningKey};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::JoinRequest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Lab, PASSPHRASE, pasted};

const INPUT: i32 = 3;

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

/// The line that begins with a word of ours.
fn line(said: &str, word: &str) -> String {
    let found = said.lines().find(|line| line.starts_with(word));
    found.unwrap_or_else(|| panic!("no {word} in {said}")).to_owned()
}

/// An answer to the authority's folder for a pasted request.
fn issue(lab: &Lab, request: &str, more: &[&str]) -> support::Answer {
    let home = lab.path("authority");
    let mut args = vec!["authority", "issue", "--request", "-", "--home", text(&home)];
    args.extend(more);
    pasted(&args, request)
}

#[test]
fn a_phone_is_enrolled_in_three_steps_and_finds_its_hub() {
    let lab = Lab::new();
    lab.member("hub", "hub", &[]);
    let mut hub = lab.run("hub", None);
    let address = loop {
        let event = hub.wait("listening");
        let parts: Vec<&str> = event["address"].as_str().unwrap().split('/').collect();
        if parts[3] == "tcp" {
            break format!("{}:{}", parts[2], parts[4]);
        }
    };
    let secret = lab.secret("phone", PASSPHRASE);
    // On the phone.
    let init = ["init", "--label", "phone 1", "--worker", "Claudine", "--passphrase-file"];
    let said = lab.on("phone", &[&init[..], &[text(&secret)]].concat()).done().stdout;
    for step in ["1 of 3", "2 of 3", "huza authority issue --request -", "3 of 3", "huza join"] {
        assert!(said.contains(step), "no {step} in {said}");
    }
    let request = line(&said, "HUZA-REQUEST-1:");
    assert!(request.len() < 300, "short enough for a message: {}", request.len());
    // On the authority device, pasted out of a chat.
    let welcome = lab.path("welcome.txt");
    let more = ["--role", "worker", "--village", "01", "--for", "Claudine", "--hub", &address];
    let chat = format!("Muraho, here it is:\n> {}\nMurakoze", request.to_lowercase());
    let said = issue(&lab, &chat, &[&more[..], &["--out", text(&welcome)]].concat()).done().stdout;
    assert!(said.contains("phone 1") && said.contains("huza join"), "{said}");
    // On the phone again.
    let join = ["join", text(&welcome), "--passphrase-file", text(&secret)];
    let said = lab.on("phone", &join).done().stdout;
    for part in ["0512/01", "Claudine", &address, "recovery", "huza run"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let status = lab.ask("phone", &["status", "--passphrase-file", text(&secret)]);
    assert_eq!((&status["role"], &status["reader"]), (&json!("worker"), &json!("open")));
    assert_eq!((&status["worker"], &status["revoked"]), (&json!("Claudine"), &Value::Null));
    // It starts locked, and finds the hub whose address came with the welcome.
    let mut phone = lab.run("phone", None);
    phone.wait("contact_complete");
    hub.wait("contact_complete");
    assert_eq!(lab.ask("phone", &["status"])["reader"], "locked");
    phone.stop();
    hub.stop();
}

#[test]
fn wrong_places_roles_and_used_requests_are_refused() {
    let lab = Lab::new();
    lab.init("phone");
    let request = std::fs::read_to_string(lab.path("phone.request")).unwrap();
    issue(&lab, &request, &["--role", "worker", "--village", "77"])
        .failed(INPUT, &["77", "catchment"]);
    issue(&lab, &request, &["--role", "worker"]).failed(INPUT, &["at least one village"]);
    issue(&lab, &request, &["--role", "authority", "--village", "01"])
        .failed(INPUT, &["whole catchment", "--village"]);
    issue(&lab, &request, &["--role", "hub", "--village", "01"])
        .failed(INPUT, &["whole catchment", "--village"]);
    let carries = lab.on("relay", &["init", "--relay"]).done().stdout;
    let carries = line(&carries, "HUZA-REQUEST-1:");
    issue(&lab, &carries, &["--role", "worker", "--village", "01"])
        .failed(INPUT, &["only carries"]);
    let mut altered = request.clone();
    altered.replace_range(40..41, if &request[40..41] == "A" { "B" } else { "A" });
    issue(&lab, &altered, &["--role", "hub"]).failed(INPUT, &["damaged"]);
    // Nothing was spent by all that.
    issue(&lab, &request, &["--role", "worker", "--village", "01"]).done();
    issue(&lab, &request, &["--role", "worker", "--village", "02"])
        .failed(INPUT, &["answered before", "huza request"]);
    lab.on("phone", &["authority", "time"]).failed(INPUT, &["join"]);
}

/// A request as a device with a wrong clock makes it.
fn dated(made: Stamp) -> String {
    let (key, sealing) = (SigningKey::from_seed([5; 32]), SealingKey::from_seed([6; 32]));
    let request = JoinRequest::new(&key, sealing.public(), ("old", false), made, [7; 8]);
    let mut bytes = codec::encode(&request);
    let check = Sha256::new().chain_update("HUZA-REQUEST-1:").chain_update([0]);
    let check = check.chain_update(&bytes).finalize();
    bytes.extend(&check[..4]);
    format!("HUZA-REQUEST-1:{}", BASE32_NOPAD.encode(&bytes))
}

#[test]
fn a_stale_request_is_refused_unless_its_device_has_no_clock() {
    let lab = Lab::new();
    let role = ["--role", "worker", "--village", "01"];
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    );
    let now = now.unwrap();
    for made in [Stamp(0), Stamp(now - 3 * 86_400), Stamp(now + 3 * 86_400)] {
        issue(&lab, &dated(made), &role).failed(INPUT, &["stale", "clock"]);
    }
    issue(&lab, &dated(Stamp(0)), &[&role[..], &["--any-date"]].concat()).done();
    // Whatever the date, not twice.
    issue(&lab, &dated(Stamp(0)), &[&role[..], &["--any-date"]].concat())
        .failed(INPUT, &["answered before"]);
}

#[test]
fn secrets_open_and_close_a_phone_and_every_attempt_counts() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    let with =
        |args: &[&str], file: &str| lab.on("phone", &[args, &["--passphrase-file", file]].concat());
    lab.on("phone", &["person", "find"]).failed(INPUT, &["locked", "--passphrase-file"]);
    let wrong = lab.secret("wrong", "ibijumba bine");
    with(&["person", "find"], text(&wrong)).failed(INPUT, &["wrong secret", "1 failed attempt"]);
    with(&["person", "add", "--name", "Aline Uwase"], &secret).done();
    // A daemon starts locked; a command that brings the secret opens it for itself alone.
    let mut daemon = lab.run("phone", None);
    daemon.wait("listening");
    with(&["person", "find", "Aline"], &secret).done();
    lab.on("phone", &["person", "find"]).failed(INPUT, &["locked"]);
    let opened = with(&["unlock"], &secret).done().stdout;
    assert!(opened.contains("tester"), "{opened}");
    let found = lab.ask("phone", &["person", "find", "Aline"]);
    assert_eq!(found["records"].as_array().unwrap().len(), 1);
    lab.on("phone", &["lock"]).done();
    lab.on("phone", &["person", "find"]).failed(INPUT, &["locked"]);
    // A second worker, with a PIN.
    let pin = lab.secret("pin", "0471");
    let add = ["worker", "add", "Bosco", "--pin", "--new-passphrase-file", text(&pin)];
    with(&add, &secret).done();
    with(&["person", "find", "--worker", "Nobody"], &secret).failed(INPUT, &["no worker"]);
    with(&["person", "find", "--worker", "Bosco"], text(&pin)).done();
    let list = lab.on("phone", &["worker", "list"]).done().stdout;
    assert!(list.contains("Bosco") && list.contains("a PIN"), "{list}");
    let change = ["secret", "change", "--worker", "Bosco", "--pin", "--new-passphrase-file"];
    let next = lab.secret("next", "1740");
    with(&[&change[..], &[text(&next)]].concat(), text(&pin)).done();
    with(&["unlock", "--worker", "Bosco"], text(&pin)).failed(INPUT, &["wrong secret"]);
    with(&["worker", "remove", "Bosco", "--worker", "tester"], &secret).done();
    with(&["worker", "remove", "tester"], &secret).failed(INPUT, &["last worker"]);
    daemon.stop();
    // The trail names who opened it.
    let audit = with(&["audit", "--json"], &secret).done().json();
    assert_eq!(audit["whole"], true);
    let entries = audit["entries"].as_array().unwrap();
    let who: Vec<&Value> = entries
        .iter()
        .filter(|one| one["action"] == "searched")
        .map(|one| &one["worker"])
        .collect();
    assert_eq!(who, ["tester", "tester", "Bosco"], "{audit}");
    let fhir = with(&["audit", "--fhir"], &secret).done().stdout;
    for line in fhir.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["resourceType"], "AuditEvent");
    }
    assert!(fhir.lines().count() >= entries.len());
}

#[test]
fn a_forgotten_secret_is_recovered_through_the_health_centre() {
    let lab = Lab::new();
    let secret = lab.protected("phone", "worker", &["01"]);
    let with = ["--passphrase-file", &secret];
    lab.on("phone", &[&["person", "add", "--name", "Aline Uwase"][..], &with].concat()).done();
    let (forgotten, answer) = (lab.path("forgotten.txt"), lab.path("answer.txt"));
    let said = lab.on("phone", &["recovery", "request", "--out", text(&forgotten)]).done().stdout;
    assert!(said.contains("huza authority recover") && said.contains("recovery apply"), "{said}");
    let recover = ["authority", "recover", "--request", text(&forgotten), "--out", text(&answer)];
    lab.on("authority", &recover).done();
    let next = lab.secret("next", "amashu atandatu");
    let apply = ["recovery", "apply", text(&answer), "--new-passphrase-file", text(&next)];
    lab.on("phone", &apply).done();
    lab.on("phone", &apply).failed(INPUT, &["asked"]);
    let with = ["--passphrase-file", text(&next)];
    let found = lab.on("phone", &[&["person", "find", "Aline", "--json"][..], &with].concat());
    assert_eq!(found.done().json()["records"].as_array().unwrap().len(), 1);
    let old = ["person", "find", "--passphrase-file", &secret];
    lab.on("phone", &old).failed(INPUT, &["wrong secret"]);
}

#[test]
fn keys_on_paper_step_in_when_authority_devices_are_lost() {
    let lab = Lab::new();
    let (centre, programme) = (lab.path("paper/centre-0512.txt"), lab.path("paper/programme.txt"));
    let secret = lab.path("paper.secret");
    let with = |paper: &std::path::Path, args: &[&str], home: &str| {
        let more = ["--paper", text(paper), "--paper-passphrase-file", text(&secret)];
        lab.on(home, &[&["authority", "paper"][..], args, &more].concat())
    };
    // A second authority device, by the health centre's key.
    lab.init("second");
    let (request, welcome) = (lab.path("second.request"), lab.path("second.welcome"));
    let approve = ["approve", "--request", text(&request), "--role", "authority", "--out"];
    let before = std::fs::read_to_string(&centre).unwrap();
    let said = with(&centre, &[&approve[..], &[text(&welcome)]].concat(), "nowhere").done();
    assert!(said.stderr.contains("print it again"), "{said:?}");
    assert_ne!(std::fs::read_to_string(&centre).unwrap(), before, "it counts");
    lab.on("second", &["join", text(&welcome)]).done();
    lab.init("phone");
    let request = std::fs::read_to_string(lab.path("phone.request")).unwrap();
    let args = ["authority", "issue", "--request", "-", "--role", "worker", "--village", "01"];
    let home = lab.path("second");
    let by_second = pasted(&[&args[..], &["--home", text(&home)]].concat(), &request).done().stdout;
    assert!(by_second.starts_with("HUZA-WELCOME-1:"), "{by_second}");
    let home = lab.path("phone");
    pasted(&["join", "-", "--home", text(&home)], &by_second).done();
    // The second one is stolen: the paper shuts it out, and what it approved with it.
    let certificate = lab.ask("second", &["status"])["certificate"].as_str().unwrap().to_owned();
    let out = lab.path("revoked.txt");
    let revoke = ["revoke", &certificate, "--reason", "stolen", "--out", text(&out)];
    with(&centre, &revoke, "nowhere").done();
    lab.on("phone", &["take", text(&out)]).done();
    let devices = lab.ask("phone", &["devices"]);
    let find = |id: &str| {
        let all = devices["devices"].as_array().unwrap();
        all.iter().find(|one| one["certificate"] == id).unwrap().clone()
    };
    assert_eq!(find(&certificate)["revoked"], "stolen");
    let own = lab.ask("phone", &["status"])["certificate"].as_str().unwrap().to_owned();
    assert_eq!(find(&own)["good"], false, "it is to be approved anew");
    // Another health centre, by the programme's key, under the same passphrase.
    let next = lab.path("centre-0513.txt");
    let args = ["centre", "--catchment", "0513", "--village", "09", "--out", text(&next)];
    with(&programme, &args, "nowhere").done();
    lab.init("third");
    let (request, welcome) = (lab.path("third.request"), lab.path("third.welcome"));
    let approve = ["approve", "--request", text(&request), "--role", "authority", "--out"];
    with(&next, &[&approve[..], &[text(&welcome)]].concat(), "nowhere").done();
    lab.on("third", &["join", text(&welcome)]).done();
    assert_eq!(lab.ask("third", &["status"])["areas"][0]["name"], "0513/09");
    // Only the right key, with the right passphrase.
    let wrong = lab.secret("wrong", "impapuro zindi");
    let out = lab.path("none.txt");
    let args = ["authority", "paper", "revoke", &certificate, "--reason", "lost", "--out"];
    let more = [text(&out), "--paper", text(&next), "--paper-passphrase-file", text(&wrong)];
    lab.on("nowhere", &[&args[..], &more].concat()).failed(INPUT, &["does not open"]);
    let args = ["centre", "--catchment", "0514", "--village", "01", "--out", text(&out)];
    with(&centre, &args, "nowhere").failed(INPUT, &["certifies no other"]);
    assert!(!out.exists());
}

#[test]
fn a_district_certifies_its_own_health_centres() {
    let lab = Lab::new();
    let (paper, secret) = (lab.path("papers"), lab.path("paper.secret"));
    let mut args = vec!["authority", "create", "--programme", "Bugesera", "--unprotected"];
    args.extend(["--catchment", "0601", "--village", "01", "--district", "Nyamata"]);
    args.extend(["--district-catchment", "0601", "--district-catchment", "0602"]);
    args.extend(["--paper", text(&paper), "--paper-passphrase-file", text(&secret)]);
    lab.on("first", &args).done();
    let district = paper.join("district.txt");
    let centre = |code: &str| {
        let out = lab.path(&format!("centre-{code}.txt"));
        let args = ["authority", "paper", "centre", "--catchment", code, "--village", "01"];
        let more = ["--out", text(&out), "--paper", text(&district)];
        let with = ["--paper-passphrase-file", text(&secret)];
        lab.on("nowhere", &[&args[..], &more, &with].concat())
    };
    centre("0602").done();
    centre("0603").failed(INPUT, &["0603", "district"]);
    assert_eq!(lab.ask("first", &["status"])["role"], "authority");
}
