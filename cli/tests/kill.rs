//! `kill -9` in the middle of a contact between two real processes, once for each side: what was
//! durable stays, what was outstanding comes again, and both end with the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;

use serde_json::Value;

mod support;
use support::Lab;

/// Bytes from the sender that pass before the line freezes: several batches of 64 kB, and only a
/// part of what there is to send.
const FREEZE_AFTER: usize = 400_000;

/// A bundle of one patient with notes that do not compress, drawn from `seed`.
fn bundle(path: &Path, mut seed: u64) {
    let mut text = String::from(r#"{"resourceType":"Bundle","type":"collection","entry":["#);
    let id = |n: u64| format!("00000000-0000-4000-8000-{n:012x}");
    let patient = id(seed * 1_000);
    write!(text, r#"{{"resource":{{"resourceType":"Patient","id":"{patient}"}}}}"#).unwrap();
    for n in 1..=150 {
        let mut note = String::new();
        while note.len() < 2_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            write!(note, "{:08x}", seed >> 32).unwrap();
        }
        let observation = id(u64::from_str_radix(&patient[24..], 16).unwrap() + n);
        write!(
            text,
            r#",{{"resource":{{"resourceType":"Observation","id":"{observation}","status":"final","code":{{"text":"{note}"}},"subject":{{"reference":"Patient/{patient}"}}}}}}"#
        )
        .unwrap();
    }
    text.push_str("]}");
    std::fs::write(path, text).unwrap();
}

/// A line to `target` that lets [`FREEZE_AFTER`] bytes of its answers through, then tells so and
/// carries nothing more. Gives its own address.
fn freezing_line(target: String) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let (frozen, freeze) = mpsc::channel();
    std::thread::spawn(move || {
        for dialler in listener.incoming().map_while(Result::ok) {
            let Ok(answerer) = TcpStream::connect(&target) else { break };
            let (mut up, mut down) = (dialler.try_clone().unwrap(), answerer.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut down));
            let (mut from, mut to, frozen) = (answerer, dialler, frozen.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 16_384];
                let mut passed = 0;
                while let Ok(read) = from.read(&mut buffer)
                    && read > 0
                    && to.write_all(&buffer[..read]).is_ok()
                {
                    passed += read;
                    if passed > FREEZE_AFTER {
                        // The test may have ended.
                        let _ended = frozen.send(());
                        std::thread::park();
                    }
                }
            });
        }
    });
    (address, freeze)
}

/// `/ip4/127.0.0.1/tcp/PORT` as `127.0.0.1:PORT`.
fn tcp(address: &str) -> Option<String> {
    let mut parts = address.split('/').skip(1);
    let (Some("ip4"), Some(ip), Some("tcp"), Some(port)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some(format!("{ip}:{port}"))
}

fn number(status: &Value, key: &str) -> u64 {
    status[key].as_u64().unwrap_or_else(|| panic!("no {key} in {status}"))
}

fn exported(lab: &Lab, name: &str) -> Vec<String> {
    let out = lab.path(&format!("{name}.ndjson"));
    drop(std::fs::remove_file(&out));
    lab.on(name, &["export", "--out", out.to_str().unwrap()]).done();
    let mut lines: Vec<String> =
        std::fs::read_to_string(out).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn killed(victim: &str, role: &str) {
    let lab = Lab::new();
    lab.member("sender", "worker", &["01"]);
    let villages: &[&str] = if role == "worker" { &["01"] } else { &[] };
    lab.member("receiver", role, villages);
    for seed in 1..=8 {
        let path = lab.path(&format!("{seed}.json"));
        bundle(&path, seed);
        lab.on("sender", &["import", path.to_str().unwrap()]).done();
    }
    let before = exported(&lab, "sender");
    assert_eq!(before.len(), 8 * 151);

    let mut sender = lab.run("sender", None);
    let target = loop {
        let event = sender.wait("listening");
        if let Some(target) = tcp(event["address"].as_str().unwrap()) {
            break target;
        }
    };
    let (line, freeze) = freezing_line(target);
    let receiver = lab.run("receiver", Some(&line));
    freeze.recv_timeout(std::time::Duration::from_secs(60)).expect("the line freezes");
    // Dropping a daemon is SIGKILL. The other one is killed after it, so that nothing of this
    // contact is left but what is in the files.
    if victim == "receiver" {
        drop(receiver);
        sender.stop();
    } else {
        drop(sender);
        receiver.stop();
    }
    let (sent, got) = (lab.ask("sender", &["status"]), lab.ask("receiver", &["status"]));
    let (all, durable) = (number(&sent, "envelopes"), number(&got, "envelopes"));
    println!("{victim} killed with {durable} of {all} envelopes durable at the receiver");
    assert!(durable > 0, "at least one batch is durable");
    assert!(durable < all, "at least one batch is outstanding");

    lab.meet("receiver", "sender");
    if role == "gateway" {
        // What it signs once the facility has everything, it brings along next time.
        assert_eq!(delivered(&lab, before.len()), before);
        lab.meet("receiver", "sender");
    }
    let (sent, got) = (lab.ask("sender", &["status"]), lab.ask("receiver", &["status"]));
    for key in ["envelopes", "statements", "records_count"] {
        assert_eq!(number(&sent, key), number(&got, key), "{key}");
    }
    assert_eq!(exported(&lab, "sender"), before);
    assert_eq!(exported(&lab, "receiver"), before);
}

/// What the facility has, once it has `count` resources, sorted.
fn delivered(lab: &Lab, count: usize) -> Vec<String> {
    let path = lab.path("receiver/facility/resources.ndjson");
    let mut gateway = lab.run("receiver", None);
    gateway.wait("started");
    let mut lines: Vec<String> = Vec::new();
    for _ in 0..300 {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        if lines.len() >= count && lab.ask("receiver", &["gateway"])["queued"] == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    gateway.stop();
    lines.sort();
    lines
}

#[test]
fn a_killed_receiver_keeps_what_it_acknowledged_and_gets_the_rest() {
    killed("receiver", "worker");
}

#[test]
fn a_killed_sender_goes_on_where_it_was_cut() {
    killed("sender", "worker");
}

#[test]
fn a_killed_gateway_gives_the_facility_everything_once() {
    killed("receiver", "gateway");
}
