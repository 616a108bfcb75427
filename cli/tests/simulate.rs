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

fn contacts(folder: &Path, more: &[&str]) -> Answer {
    let scenario = folder.join("scenario.toml");
    let args = ["simulate", "contacts", scenario.to_str().unwrap()];
    huza(args.iter().chain(more).copied())
}

#[test]
fn a_scenario_becomes_contacts_that_a_replay_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let defaults = huza(["simulate", "scenario"]).done().stdout;
    assert!(defaults.contains("# equipped = 0.5") && defaults.contains("assumption"), "{defaults}");
    std::fs::write(path("scenario.toml"), &defaults).unwrap();
    let out = path("contacts.csv");
    let sets = ["--set", "days=14", "--set", "people.equipped=1", "--set", "seed=7"];
    let more = [&sets[..], &["--json", "--out", out.to_str().unwrap()]].concat();
    let answer = contacts(folder.path(), &more).done().json();
    assert_eq!(
        (&answer["hubs"], &answer["days"], &answer["seed"]),
        (&3.into(), &14.into(), &7.into())
    );
    assert_eq!(answer["settings"]["people.equipped"], "1");
    let written = std::fs::read_to_string(&out).unwrap();
    let kinds = answer["kinds"].as_array().unwrap();
    let told: u64 = kinds.iter().map(|kind| kind["contacts"].as_u64().unwrap()).sum();
    assert_eq!(written.lines().count() as u64, told + 1);
    assert!(written.lines().nth(1).unwrap().split(',').count() == 6, "{written}");

    // Somebody writes on the first day, and a hub has it before the end.
    std::fs::write(path("messages"), format!("0 C m 0 {} 1000\n", answer["phones"])).unwrap();
    let nodes = answer["nodes"].to_string();
    let (trace, messages) = (out.to_str().unwrap(), path("messages"));
    let args = [
        "simulate",
        "replay",
        "--trace",
        trace,
        "--messages",
        messages.to_str().unwrap(),
        "--nodes",
        &nodes,
        "--end",
        "1209600",
        "--json",
    ];
    assert!(huza(args).done().json()["arrivals"].as_u64().unwrap() > 10);

    // Again, and for people.
    contacts(folder.path(), &more).done();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), written);
    let text = contacts(folder.path(), &sets).done().stdout;
    assert!(
        text.contains("centre_meeting  hotspot") && text.contains("none of which met"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_a_scenario_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "villages.csv",
        "village_id,village,cell_id,cell,sector_id,sector,district_id,district,lat,\
        lon,population,households\nv,One,c,Cell,s,Remera,d,Kirehe,-2,30,500,100\n",
    );
    write("facilities.csv", "facility_id,name,type,lat,lon\nf,Far,Health Centre,-2,30.01\n");
    write(
        "scenario.toml",
        "[place]\nvillages = \"villages.csv\"\nfacilities = \"facilities.csv\"\n",
    );
    // Paths begin at the scenario; options where the command runs.
    assert_eq!(contacts(folder.path(), &["--json"]).done().json()["villages"], 1);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (villages, facilities) = (path("villages.csv"), path("facilities.csv"));
    let more = ["--villages", &villages, "--facilities", &facilities, "--set", "place.pick=kirehe"];
    contacts(folder.path(), &more).done();
    let set = |set: &str| contacts(folder.path(), &["--set", set]);
    set("place.pick=Kirere").failed(INPUT, &["`Kirere`", "perhaps Kirehe"]);
    set("people.equiped=1")
        .failed(INPUT, &["people.equiped", "perhaps equipped", "simulate scenario"]);
    set("people.equipped=2").failed(INPUT, &["should be a number from 0 to 1"]);
    set("place.villages=none.csv").failed(INPUT, &["none.csv"]);
    set("place.villages=facilities.csv").failed(INPUT, &["no column `village_id`", "--help"]);
}

#[test]
fn chaos_tells_how_often_each_law_was_looked_at_and_gives_one_log() {
    let chaos = |more: &[&str]| huza(["simulate", "chaos"].iter().chain(more).copied());
    let answer = chaos(&["--start", "2", "--seeds", "2", "--json"]).done().json();
    assert_eq!((&answer["start"], &answer["runs"]), (&2.into(), &2.into()), "{answer}");
    assert_eq!(answer["violations"].as_array().map(Vec::len), Some(0), "{answer}");
    let laws = answer["laws"].as_object().unwrap();
    assert!(laws["nobody without the key reads"].as_u64() > Some(100), "{answer}");
    assert!(laws.len() > 20, "{answer}");

    let one = chaos(&["--seed", "2", "--json"]).done().json();
    assert_eq!(one["laws"]["one seed, one log"], 1, "{one}");
    assert!(one["log"].is_null());
    let hash = one["log_hash"].as_str().unwrap();
    let told = chaos(&["--seed", "2", "--trace"]).done().stdout;
    assert!(
        told.contains("persist_ms_max") && told.contains(" starts\n"),
        "what was drawn, the log"
    );
    assert!(told.contains(&format!("log {hash}")));
    let answer = chaos(&["--trace"]);
    assert!(answer.code == 2 && answer.stderr.contains("--seed <SEED>"), "{answer:?}");
}

#[test]
fn real_nodes_deliver_what_the_sized_run_delivers() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.toml");
    let text = "days = 2\n[synthetic]\ncatchments = 1\nvillages = [2, 2]\n[people]\nequipped = 1\n\
        [supply_visit]\nevery_workdays = 2\n[records]\nphoto = 0\n";
    std::fs::write(&scenario, text).unwrap();
    let run = |more: &[&str]| {
        let args = ["simulate", "run", scenario.to_str().unwrap(), "--json"];
        huza(args.iter().chain(more).copied())
    };
    let [sized, full] = ["sized", "full"].map(|fidelity| {
        let answer = run(&["--fidelity", fidelity]).done().json();
        assert_eq!(answer["runs"][0]["fidelity"], fidelity);
        answer["runs"][0].clone()
    });
    let delivered = |run: &serde_json::Value| {
        let mut figures = run["figures"].as_object().unwrap().clone();
        figures.retain(|key, _| key.starts_with("routine.") || key.starts_with("urgent."));
        figures
    };
    assert!(delivered(&sized)["routine.hub.records"].as_u64().unwrap() > 20, "{sized}");
    assert_eq!(delivered(&sized), delivered(&full));
    let strategy = ["--fidelity", "full", "--strategy", "epidemic"];
    run(&strategy).failed_in_json(INPUT, "strategy");
}

/// Runs on a small synthetic place, and keeps what came of it.
fn keep(folder: &Path, name: &str, more: &[&str]) -> String {
    let scenario = folder.join("synthetic.toml");
    std::fs::write(&scenario, "days = 10\n[synthetic]\ncatchments = 2\nvillages = [5, 8]\n")
        .unwrap();
    let out = folder.join(name).to_str().unwrap().to_owned();
    let args = ["simulate", "run", scenario.to_str().unwrap(), "--out", &out];
    huza(args.iter().chain(more).copied()).done();
    out
}

#[test]
fn a_run_that_was_kept_becomes_a_page_and_runs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(folder.path().join("districts"), "{\"features\":[]}").unwrap();
    keep(folder.path(), "half", &["--outlines", &path("districts")]);
    assert!(folder.path().join("half/report.html").is_file(), "a run has its report beside it");
    let report = huza(["simulate", "report", &path("half"), "--json"]).done().json();
    let page = std::fs::read_to_string(folder.path().join("half/report.html")).unwrap();
    assert_eq!(report["bytes"], page.len());
    assert!(report["figures"]["routine.facility.p50"].as_u64().unwrap() > 0, "{report}");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("A red alert"));
    let elsewhere = ["--out", &path("page.html"), "--outlines", &path("districts")];
    let run = path("half/run.json");
    let text = huza([&["simulate", "report", &run][..], &elsewhere].concat()).done().stdout;
    assert!(text.contains("routine record at its hub") && text.contains("page.html"), "{text}");

    keep(folder.path(), "sweep", &["--set", "people.equipped=1", "--seeds", "2"]);
    let runs = [path("half"), path("sweep"), "--out".to_owned(), path("compared.html")];
    let compare = |more: &[&str]| {
        let runs = runs.iter().map(String::as_str);
        huza(["simulate", "compare"].into_iter().chain(runs).chain(more.iter().copied()))
    };
    let answer = compare(&["--json"]).done().json();
    assert_eq!(answer["columns"][1]["seeds"], serde_json::json!([1, 2]), "{answer}");
    assert_eq!(answer["settings"][0]["values"], serde_json::json!(["0.5", "1"]), "{answer}");
    let text = compare(&[]).done().stdout;
    assert!(text.contains("people.equipped=1 (2 seeds)") && text.contains(" to "), "{text}");
    assert!(
        std::fs::read_to_string(path("compared.html")).unwrap().contains("3 runs side by side")
    );
}

#[test]
fn what_is_no_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let report = |run: &str| huza(["simulate", "report", run]);
    report(&path("none")).failed(INPUT, &["none"]);
    report(&path("")).failed(INPUT, &["no run.json", "simulate run --out"]);
    std::fs::write(folder.path().join("text"), "{}").unwrap();
    report(&path("text")).failed(INPUT, &["no run of a network"]);
    std::fs::write(folder.path().join("text"), "{\"format\":99}").unwrap();
    report(&path("text")).failed(INPUT, &["form 99", "this version"]);
    let run = keep(folder.path(), "a", &["--set", "days=1"]);
    huza(["simulate", "compare", &run]).failed(INPUT, &["only one run"]);
    keep(folder.path(), "b", &["--set", "days=1"]);
    report(&path("")).failed(INPUT, &["2 runs", "simulate compare"]);
    huza(["simulate", "report", &path("a"), "--outlines", &path("text")])
        .failed(INPUT, &["geojson"]);
}
