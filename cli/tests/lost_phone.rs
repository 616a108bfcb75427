//! A phone is stolen, and a person asks to be forgotten: with real daemons that tell each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::fs::{self, File};
use std::time::{Duration, Instant};

use huza_daemon::Home;
use huza_daemon::store::Encrypted;
use huza_daemon::store::faulty::{Disk, Faults};
use redb::StorageBackend as _;
use serde_json::Value;
use support::hidden::{canary, holds, unpacked};
use support::{Lab, command};

const INPUT: i32 = 3;

fn certificate(lab: &Lab, name: &str) -> String {
    lab.ask(name, &["status"])["certificate"].as_str().unwrap().to_owned()
}

fn found(lab: &Lab, name: &str, who: &str) -> usize {
    let found = lab.ask(name, &["person", "find", who]);
    found["records"].as_array().unwrap().len()
}

/// `from` dials the hub; both say what they must before they end.
fn visits_hub(lab: &Lab, from: &str) {
    lab.meet(from, "hub");
}

#[test]
fn a_stolen_phone_is_shut_out_and_its_successor_has_the_history() {
    let lab = Lab::new();
    lab.member("hub", "hub", &[]);
    lab.member("a", "worker", &["01"]);
    lab.member("b", "worker", &["01"]);
    lab.person("a", "Uwase Aline");
    for name in ["a", "b", "authority"] {
        visits_hub(&lab, name);
    }
    // After that it writes what no authority has seen yet, and gives it to a colleague.
    lab.person("a", "Ingabire Late");
    lab.meet("b", "a");
    assert_eq!(found(&lab, "b", "Late"), 1);
    let stolen = certificate(&lab, "a");
    let revoke = ["authority", "revoke", &stolen[..8], "--reason", "stolen"];
    lab.on("b", &revoke).failed(INPUT, &["no authority device"]);
    lab.on("authority", &["authority", "revoke", "ffff0000", "--reason", "lost"])
        .failed(INPUT, &["no device", "huza devices"]);
    let said = lab.on("authority", &revoke).done().stdout;
    assert!(said.contains("Revoked") && said.contains("meet the hub"), "{said}");
    let devices = lab.on("authority", &["devices"]).done().stdout;
    assert!(devices.contains("SHUT OUT: stolen"), "{devices}");
    visits_hub(&lab, "authority");

    // The thief's: it learns its lot from the hub, by a daemon that people read.
    let mut hub = lab.run("hub", None);
    let address = hub.wait("listening")["address"].as_str().unwrap().to_owned();
    let out = lab.path("a.out");
    let mut thief = command();
    thief.args([
        "run",
        "--no-mdns",
        "--no-remember",
        "--listen",
        "127.0.0.1:0",
        "--dial",
        &address,
    ]);
    thief.arg("--home").arg(lab.path("a")).stdout(File::create(&out).unwrap());
    let mut thief = thief.env("HUZA_LOG", "warn").spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(&out).unwrap().contains("SHUT OUT") {
        assert!(Instant::now() < until, "{}", fs::read_to_string(&out).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let ended = hub.wait("contact_ended");
    assert!(ended["fault"].as_str().unwrap().contains("revoked"), "{ended}");
    let id = rustix::process::Pid::from_raw(i32::try_from(thief.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(thief.wait().unwrap().success());
    hub.stop();
    let said = lab.on("a", &["status"]).done().stdout;
    assert!(said.starts_with("THIS DEVICE IS SHUT OUT (stolen)"), "{said}");
    assert_eq!(lab.ask("a", &["status"])["revoked"], "stolen");
    lab.on("a", &["person", "add", "--name", "X"]).failed(INPUT, &["revoked", "health centre"]);

    // The colleague hears it; what came too late is held back, until somebody has looked.
    visits_hub(&lab, "b");
    assert_eq!((found(&lab, "b", "Late"), found(&lab, "b", "Aline")), (0, 1));
    lab.on("b", &["person", "add", "--name", "Mutesi After"]).done();
    visits_hub(&lab, "b");
    visits_hub(&lab, "authority");
    let held = lab.ask("authority", &["authority", "quarantine"]);
    assert_eq!(held["quarantined"][0]["certificate"], stolen.as_str(), "{held}");
    let log = held["quarantined"][0]["log"].as_str().unwrap().to_owned();
    lab.on("authority", &["authority", "admit", "ffff"]).failed(INPUT, &["held back"]);
    lab.on("authority", &["authority", "admit", &log[..10]]).done();
    assert_eq!(found(&lab, "authority", "Late"), 1);

    // Who takes its place.
    lab.member("heir", "worker", &["01"]);
    visits_hub(&lab, "authority");
    visits_hub(&lab, "heir");
    for who in ["Aline", "Late", "After"] {
        assert_eq!(found(&lab, "heir", who), 1, "{who}");
    }
    // And by hand: another grant, another key, the time.
    let heir = certificate(&lab, "heir");
    lab.on("authority", &["authority", "grant", &heir, "--village", "02"]).done();
    lab.on("authority", &["authority", "grant", &heir, "--village", "77"]).failed(INPUT, &["77"]);
    lab.on("authority", &["authority", "rotate", "--village", "02"]).done();
    lab.on("authority", &["authority", "time"]).done();
    visits_hub(&lab, "authority");
    visits_hub(&lab, "heir");
    let areas = lab.ask("heir", &["status"])["areas"].clone();
    assert!(areas.to_string().contains("0512/02"), "{areas}");
}

/// Every store of a device as bytes, the reader's as a program with its key sees it.
fn stores(lab: &Lab, name: &str) -> Vec<Vec<u8>> {
    let home = Home::open(&lab.path(name)).unwrap();
    let carrier = fs::read(lab.path(name).join("carrier.redb")).unwrap();
    let mut all = vec![carrier];
    if let Some(unlocked) = home.unlock_open().unwrap() {
        let image = fs::read(lab.path(name).join("reader.redb")).unwrap();
        let mut plain = vec![0; image.len()];
        let disk = Disk::holding(image, Faults::default());
        Encrypted::new(disk, unlocked.key()).read(0, &mut plain).unwrap();
        all.push(plain);
    }
    all
}

fn is_anywhere(lab: &Lab, name: &str, canary: &str) -> bool {
    stores(lab, name).iter().any(|bytes| {
        holds(bytes, canary) || unpacked(bytes).iter().any(|plain| holds(plain, canary))
    })
}

#[test]
fn an_erased_person_is_in_no_file_of_any_device() {
    let lab = Lab::new();
    lab.member("hub", "hub", &[]);
    lab.member("a", "worker", &["01"]);
    lab.member("b", "worker", &["01"]);
    let canary = canary();
    let gone = lab.person("a", "Ingabire Gone");
    let stays = lab.person("a", "Uwase Stays");
    lab.visit("a", &gone, &canary);
    lab.visit("a", &stays, "a note that stays");
    for name in ["a", "b", "authority"] {
        visits_hub(&lab, name);
    }
    let all = ["a", "b", "hub", "authority"];
    for name in all {
        assert!(is_anywhere(&lab, name, &canary), "the search finds it on {name}");
    }
    // It is not done by accident.
    let erase = ["authority", "erase", gone.as_str()];
    let refused = lab.on("authority", &erase);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("every device") && refused.stderr.contains("--yes"));
    let part = lab.on("authority", &["authority", "erase", &gone[..8], "--yes"]);
    assert!(part.code == 2 && part.stderr.contains("whole id"), "{part:?}");
    assert_eq!(found(&lab, "authority", "Gone"), 1);
    let said = lab.on("authority", &[&erase[..], &["--yes"]].concat()).done().stdout;
    assert!(said.contains("72 hours"), "{said}");
    for name in ["authority", "a", "b"] {
        visits_hub(&lab, name);
    }
    for name in all {
        // Hidden at once; destroyed when the delay is over, which is made short now.
        assert_eq!((found(&lab, name, "Gone"), found(&lab, name, "Stays")), (0, 1), "{name}");
        lab.on(name, &["person", "show", &gone]).failed(INPUT, &["no record"]);
        assert!(is_anywhere(&lab, name, &canary), "nothing of it is destroyed on {name} yet");
        let settings = lab.path(name).join("huza.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, format!("{text}\nerasure_hours = 0\n")).unwrap();
    }
    for name in all {
        // A command on the home waits until its stores are wiped, if they were cut.
        assert_eq!((found(&lab, name, "Gone"), found(&lab, name, "Stays")), (0, 1), "{name}");
        assert!(!is_anywhere(&lab, name, &canary), "it is still in a file of {name}");
        let shown = lab.on(name, &["person", "show", &stays]).done().stdout;
        assert!(shown.contains("a note that stays"), "{shown}");
    }
    let audit: Value = lab.ask("authority", &["audit"]);
    for action in ["ordered", "erased"] {
        let entries = audit["entries"].as_array().unwrap().iter();
        assert_eq!(entries.filter(|one| one["action"] == action).count(), 1, "{action}");
    }
}
