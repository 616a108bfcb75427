//! What a facility receives survives whatever happens to the gateway.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::{
    id::RecordId,
    node::{Answer, Outgoing},
};
use huza_daemon::gateway::{Directory, FacilityError, REFUSED_UNUSABLE, RESOURCES_FILE};

fn resource(key: &str, text: &str) -> Outgoing {
    Outgoing {
        key: key.to_owned(),
        text: Some(text.to_owned()),
        place: key.to_owned(),
        record: RecordId([0; 16]),
        heads: BTreeSet::new(),
        references: BTreeMap::new(),
    }
}

fn lines(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join(RESOURCES_FILE)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_latest_version_of_each_is_there_once_in_the_order_of_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    assert_eq!(lines(dir.path()), [""; 0]);
    let first = [resource("Patient/b", r#"{"b":1}"#), resource("Condition/a", r#"{"a":1}"#)];
    assert!(facility.deliver(&first).unwrap().is_empty());
    let second = [resource("Patient/b", r#"{"b":2}"#)];
    assert!(facility.deliver(&second).unwrap().is_empty());
    assert_eq!(lines(dir.path()), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(facility.len(), 2);
}

#[test]
fn values_keep_their_spelling_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    let text =
        "{\n\t\"a\": 1.50,\r\n  \"b\": [1e2,\n 12345678901234567890],\"c\":\"x\\ny\u{2028}\"}\n";
    facility.deliver(&[resource("Basic/1", text)]).unwrap();
    let expected = "{\t\"a\": 1.50,  \"b\": [1e2, 12345678901234567890],\"c\":\"x\\ny\u{2028}\"}";
    assert_eq!(lines(dir.path()), [expected]);
    let before: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(expected).unwrap(), before);
    drop(facility);
    Directory::open(dir.path()).unwrap();
    assert_eq!(lines(dir.path()), [expected]);
}

#[cfg(unix)]
#[test]
fn delivering_again_has_no_second_effect() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    let both = [resource("Basic/1", "{}"), resource("Basic/2", "{}")];
    facility.deliver(&both).unwrap();
    let inode = || fs::metadata(dir.path().join(RESOURCES_FILE)).unwrap().ino();
    let before = inode();
    facility.deliver(&both).unwrap();
    assert_eq!(inode(), before, "the file is not even written again");
    assert_eq!(lines(dir.path()).len(), 2);
}

#[test]
fn what_cannot_be_a_line_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    let long = "x".repeat(2_000_000);
    let all = [resource("Basic/1", "{}"), resource("a\tb", "{}"), resource("Basic/2", &long)];
    let refused = facility.deliver(&all).unwrap();
    assert_eq!(refused.len(), 2);
    let unusable = |answer: &Answer| matches!(answer, Answer::Refused { code, .. } if *code == REFUSED_UNUSABLE);
    assert!(unusable(&refused["a\tb"]));
    assert_eq!(lines(dir.path()), ["{}"]);
}

#[test]
fn what_is_withdrawn_stays_entered_in_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    let flag = r#"{"resourceType":"Flag","id":"1","status":"active","code":{"text":"x"}}"#;
    facility.deliver(&[resource("Flag/1", flag)]).unwrap();
    let withdrawn = Outgoing { text: None, ..resource("Flag/1", "") };
    let never_given = Outgoing { text: None, ..resource("Flag/2", "") };
    assert!(facility.deliver(&[withdrawn, never_given]).unwrap().is_empty());
    assert_eq!(lines(dir.path()), [flag.replace("active", "entered-in-error")]);
}

#[test]
fn two_gateways_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let facility = Directory::open(dir.path()).unwrap();
    assert!(matches!(Directory::open(dir.path()), Err(FacilityError::InUse(_))));
    drop(facility);
    // A process that another test begins holds our files until it is the program that it becomes.
    let free = |_| Directory::open(dir.path()).is_ok();
    let wait = || std::thread::sleep(std::time::Duration::from_millis(10));
    assert!((0..500).any(|turn| free(turn) || {
        wait();
        false
    }));
}

#[test]
fn a_lost_file_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut facility = Directory::open(dir.path()).unwrap();
    facility.deliver(&[resource("Basic/1", "{}")]).unwrap();
    drop(facility);
    fs::remove_file(dir.path().join(RESOURCES_FILE)).unwrap();
    fs::write(dir.path().join("resources.ndjson.new"), b"half a li").unwrap();
    Directory::open(dir.path()).unwrap();
    assert_eq!(lines(dir.path()), ["{}"]);
}

const CHILD_DIR: &str = "HUZA_TEST_FACILITY";

/// Not a test: the process that is killed by the next one.
#[test]
#[ignore = "run by a_killed_gateway_has_all_it_acknowledged"]
fn child_that_delivers_for_ever() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let mut facility = Directory::open(Path::new(&dir)).unwrap();
    let begin = facility.len();
    for number in begin.. {
        let text = format!("{{\"number\":{number},\"pad\":\"{}\"}}", "x".repeat(300));
        facility.deliver(&[resource(&format!("Basic/{number:09}"), &text)]).unwrap();
        println!("\nacknowledged {number}");
    }
}

#[test]
fn a_killed_gateway_has_all_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_delivers_for_ever", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        let mut acknowledged = 0;
        while acknowledged < round * 7 {
            let line = output.next().unwrap().unwrap();
            if let Some(number) = line.strip_prefix("acknowledged ") {
                last = Some(number.parse::<usize>().unwrap());
                acknowledged += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in output.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                last = number.parse().ok().or(last);
            }
        }
        let published = lines(dir.path());
        assert!(published.len() > last.unwrap(), "before anybody repairs anything");
        let facility = Directory::open(dir.path()).unwrap();
        assert!(facility.len() >= published.len());
        for (number, line) in lines(dir.path()).iter().enumerate() {
            assert!(line.starts_with(&format!("{{\"number\":{number},")), "{line}");
        }
    }
}
