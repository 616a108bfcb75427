//! `huza simulate run`: a scenario in, what came of it out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use support::{Answer, huza};

const INPUT: i32 = 3;

/// A week in a small synthetic place.
const SMALL: &str =
    "days = 7\n[synthetic]\ncatchments = 2\nvillages = [3, 4]\n[people]\nequipped = 1\n";

fn run(folder: &Path, more: &[&str]) -> Answer {
    let scenario = folder.join("small.toml");
    std::fs::write(&scenario, SMALL).unwrap();
    huza(["simulate", "run", scenario.to_str().unwrap()].iter().chain(more).copied())
}

#[test]
fn a_run_tells_what_arrived_and_writes_it_down() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let text = run(folder.path(), &["--out", out.to_str().unwrap()]).done().stdout;
    for told in ["urgent record at a facility", "stored at most", "strategy huza"] {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    let json = std::fs::read_to_string(out.join("run.json")).unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(text.contains(outcome["log_hash"].as_str().unwrap()), "{text}");
    for (table, rows) in [("villages", "villages"), ("hubs", "hubs"), ("phones", "phones")] {
        let text = std::fs::read_to_string(out.join(format!("{table}.csv"))).unwrap();
        assert_eq!(text.lines().count(), 1 + outcome[rows].as_array().unwrap().len(), "{text}");
        let columns = text.lines().map(|line| line.split(',').count());
        assert_eq!(columns.collect::<std::collections::BTreeSet<_>>().len(), 1, "{text}");
    }
    assert!(out.join("waits.csv").is_file());
    // It is told as a report and a comparison tell it.
    let told = run(folder.path(), &["--json"]).done().json()["runs"][0]["figures"].clone();
    let report = ["simulate", "report", out.to_str().unwrap(), "--json"];
    assert_eq!(told, huza(report).done().json()["figures"]);
    assert!(told["routine.hub.mean"].as_u64().is_some_and(|mean| mean > 0), "{told}");
}

#[test]
fn runs_side_by_side_are_told_as_a_comparison_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let sweep = ["--sweep", "people.workers=1,3", "--seeds", "2", "--out", out.to_str().unwrap()];
    let text = run(folder.path(), &sweep).done().stdout;
    let compared = huza(["simulate", "compare", out.to_str().unwrap()]).done().stdout;
    assert!(text.starts_with(compared.trim_end()), "{text}\n{compared}");
    assert!(compared.contains("people.workers=3 (2 seeds)"), "{compared}");
}

#[test]
fn sweeps_seeds_and_strategies_are_runs_of_their_own_and_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let sweep = ["--sweep", "records.per_day=[1,2],[3,4]", "--seeds", "2", "--json"];
    let more = [&sweep[..], &["--strategy", "huza", "--strategy", "direct", "--out"]].concat();
    let more = [&more[..], &[out.to_str().unwrap()]].concat();
    let answer = run(folder.path(), &more).done().json();
    let runs = answer["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 8, "{answer}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 8);
    let hash = |number: usize| runs.get(number).unwrap()["log_hash"].clone();
    let alone =
        run(folder.path(), &["--json", "--set", "records.per_day=[3,4]", "--set", "seed=2"]);
    assert_eq!(alone.done().json()["runs"][0]["log_hash"], hash(3));
    assert_ne!(hash(3), hash(2));
}

#[test]
fn what_does_not_fit_is_told() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--sweep", "days"]).failed(INPUT, &["`days`", "--sweep"]);
    run(folder.path(), &["--set", "dayz=3"]).failed(INPUT, &["dayz"]);
    let answer = run(folder.path(), &["--strategy", "pigeons"]);
    assert!(answer.stderr.contains("spray-and-wait"), "{}", answer.stderr);
}
