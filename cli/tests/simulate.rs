//! `huza simulate`: what goes in, what comes out, and what is said where it does not fit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write as _;
use std::path::Path;

use support::{Answer, huza};

const INPUT: i32 = 3;

fn replay(folder: &Path, more: &[&str]) -> Answer {
    let (trace, messages) = (folder.join("trace"), folder.join("messages"));
    let mut args = vec!["simulate", "replay", "--trace", trace.to_str().unwrap()];
    args.extend(["--messages", messages.to_str().unwrap(), "--end", "100"]);
    huza(args.iter().chain(more).copied())
}

#[test]
fn recorded_contacts_carry_messages_and_what_never_came_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let trace = "1.00 CONN 0 1 up\n5.00 CONN 0 1 down\n20.00 CONN 1 2 up\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(trace.as_bytes()).unwrap();
    std::fs::write(folder.path().join("trace"), gzip.finish().unwrap()).unwrap();
    let messages = "0.5 C early 0 2 1000\n6 C late 0 2 1000\n";
    std::fs::write(folder.path().join("messages"), messages).unwrap();
    let out = folder.path().join("out.csv");
    let arrivals = ["--nodes", "3", "--json", "--arrivals", out.to_str().unwrap()];

    let answer = replay(folder.path(), &arrivals).done().json();
    assert_eq!((&answer["arrived"], &answer["never"]), (&1.into(), &1.into()), "{answer}");
    assert_eq!(answer["median_ms"], 19_500, "{answer}");
    assert!(answer["p90_ms"].is_null(), "{answer}");
    let table = "message,node,arrival_ms\nearly,1,1000\nearly,2,20000\n";
    assert_eq!(std::fs::read_to_string(&out).unwrap(), table);

    // Ten seconds for each message, and only four until they part.
    let slow = replay(folder.path(), &[&arrivals[..], &["--link", "100"]].concat());
    assert_eq!(slow.done().json()["arrivals"], 0);

    replay(folder.path(), &["--nodes", "2"]).failed(INPUT, &["node 2", "--nodes 3"]);
    std::fs::write(folder.path().join("messages"), "0.5 C early 0 2\n").unwrap();
    replay(folder.path(), &["--nodes", "3"]).failed(INPUT, &["messages", "line 1", "--help"]);
}
