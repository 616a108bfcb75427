//! Replays beside two independent answers: the exact earliest arrivals, searched for each message by
//! Dijkstra's method over contacts as edges, and what the ONE simulator answered for the same contacts and
//! messages. The data are beside the repository, not in it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails; figures are far below what a float holds"
)]

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use huza_simulations::replay::{self, Contact, Link, Message, Outcome, Plan};

/// The ONE's ideal link, bytes a second.
const IDEAL: u64 = 1_000_000_000;

fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/one");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("HUZA_SHARED_REQUIRED").is_none(), "no {}", folder.display());
    use std::io::Write as _;
    let _written = std::io::stderr().write_all(b"skipped: ../shared/data/one is not here\n");
    None
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

struct Scene {
    name: &'static str,
    nodes: usize,
    end_ms: u64,
    /// The ONE's step, in milliseconds.
    step_ms: u64,
}

const RWP100: Scene = Scene { name: "rwp100", nodes: 100, end_ms: 43_200_000, step_ms: 100 };
const VILLAGES160: Scene =
    Scene { name: "villages160", nodes: 160, end_ms: 86_400_000, step_ms: 100 };
const INVS13: Scene = Scene { name: "invs13", nodes: 92, end_ms: 987_710_000, step_ms: 1_000 };

impl Scene {
    fn plan(&self, folder: &Path, messages: &str) -> Plan {
        let trace = folder.join(format!("traces/{}.conn.txt.gz", self.name));
        let messages = folder.join(format!("messages/{}.{messages}.msgs.txt", self.name));
        Plan {
            nodes: self.nodes,
            end_ms: self.end_ms,
            contacts: replay::contacts(&text(&trace), self.end_ms).unwrap(),
            messages: replay::messages(&text(&messages)).unwrap(),
        }
    }
}

/// (message, node) -> milliseconds, of nodes other than the source.
type Arrivals = BTreeMap<(usize, usize), u64>;

fn arrivals(outcome: &Outcome) -> Arrivals {
    let all: Arrivals =
        outcome.arrivals.iter().map(|one| ((one.message, one.node), one.at_ms)).collect();
    assert_eq!(all.len(), outcome.arrivals.len(), "each arrives once");
    all
}

/// The earliest that a message can be anywhere: who holds it before a contact ends passes it as soon as
/// both have met.
fn earliest(plan: &Plan) -> Arrivals {
    let mut of: Vec<Vec<(Contact, usize)>> = vec![Vec::new(); plan.nodes];
    for contact in &plan.contacts {
        let (a, b) = contact.nodes;
        of[a].push((*contact, b));
        of[b].push((*contact, a));
    }
    let mut all = Arrivals::new();
    for (index, Message { from, at_ms, .. }) in plan.messages.iter().enumerate() {
        let mut next = BinaryHeap::from([(core::cmp::Reverse(*at_ms), *from)]);
        let mut done = BTreeSet::new();
        while let Some((core::cmp::Reverse(at), node)) = next.pop() {
            if !done.insert(node) {
                continue;
            }
            if node != *from {
                all.insert((index, node), at);
            }
            for (contact, other) in of[node].iter().filter(|(contact, _)| at < contact.to_ms) {
                next.push((core::cmp::Reverse(at.max(contact.from_ms)), *other));
            }
        }
    }
    all
}

fn seconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time of a table"
    )]
    Some((seconds * 1_000.0).round() as u64)
}

/// (message, node) -> (exact, the ONE's), of a table of broadcasts.
fn broadcast(folder: &Path, scene: &Scene, plan: &Plan) -> BTreeMap<(usize, usize), (u64, u64)> {
    let table = text(&folder.join(format!("results/{}_broadcast_arrivals.csv.gz", scene.name)));
    let index: BTreeMap<&str, usize> =
        plan.messages.iter().enumerate().map(|(index, one)| (one.id.as_str(), index)).collect();
    let row = |line: &str| {
        let columns: Vec<&str> = line.split(',').collect();
        let times = (seconds(columns[4])?, seconds(columns[5])?);
        Some(((index[columns[0]], columns[3].parse().ok()?), times))
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn mean(latencies: &[Option<u64>]) -> (usize, f64) {
    let come: Vec<u64> = latencies.iter().copied().flatten().collect();
    (come.len(), come.iter().sum::<u64>() as f64 / 1_000.0 / come.len() as f64)
}

fn near(value: f64, wanted: f64, share: f64) -> bool {
    (value - wanted).abs() <= wanted * share
}

#[test]
fn on_ideal_links_every_message_is_everywhere_as_early_as_it_can_be() {
    let Some(folder) = data() else { return };
    for (scene, messages, count) in [
        (&RWP100, "broadcast_1kB", 4_950),
        (&VILLAGES160, "broadcast_1kB", 2_015),
        (&INVS13, "broadcast_1kB", 1_215),
        (&RWP100, "unicast_1kB", 19_800),
        (&VILLAGES160, "tohub_1kB", 0),
    ] {
        let plan = scene.plan(&folder, messages);
        let got = arrivals(&replay::run(&plan, Link::Ideal, 1));
        assert_eq!(got, earliest(&plan), "{} {messages}", scene.name);
        assert!(count == 0 || got.len() == count, "{} {messages}: {}", scene.name, got.len());
        if messages == "broadcast_1kB" {
            let told = broadcast(&folder, scene, &plan);
            let exact: Arrivals = told.into_iter().map(|(key, (exact, _))| (key, exact)).collect();
            assert_eq!(got, exact, "{}", scene.name);
        }
    }
}

#[test]
fn with_the_ones_rules_and_ideal_links_arrivals_are_those_of_the_one() {
    let Some(folder) = data() else { return };
    for (scene, most) in [(&RWP100, 2_000), (&VILLAGES160, 2_000), (&INVS13, 15_000)] {
        let plan = scene.plan(&folder, "broadcast_1kB");
        let link = Link::One { rate: IDEAL, step_ms: scene.step_ms };
        let got = arrivals(&replay::run(&plan, link, 1));
        let told = broadcast(&folder, scene, &plan);
        assert!(got.keys().eq(told.keys()), "{}: the same nodes", scene.name);
        for (key, (exact, one)) in told {
            assert!(got[&key] >= exact, "{} {key:?}: before it can be", scene.name);
            assert!(got[&key].abs_diff(one) <= most, "{} {key:?}: {} {one}", scene.name, got[&key]);
        }
    }
}

#[test]
fn with_the_ones_rules_and_slow_links_the_figures_are_those_of_the_one() {
    let Some(folder) = data() else { return };
    let plan = RWP100.plan(&folder, "unicast_500kB-1MB");
    let outcome = replay::run(&plan, Link::One { rate: 250_000, step_ms: 100 }, 1);
    let (come, latency) = mean(&outcome.latencies(&plan));
    assert_eq!(come, 200);
    assert!(near(latency, 2_926.06, 0.02), "{latency}");
    let aborted = outcome.transfers.aborted as f64;
    assert!(near(aborted, 1_141.0, 0.1), "{aborted}");

    let plan = VILLAGES160.plan(&folder, "tohub_20-200kB");
    let outcome = replay::run(&plan, Link::One { rate: 25_000, step_ms: 100 }, 1);
    let (come, _) = mean(&outcome.latencies(&plan));
    assert!(come.abs_diff(26) <= 2, "{come}");
}

#[test]
fn transfers_that_are_resumed_lie_between_the_exact_answer_and_the_ones() {
    let Some(folder) = data() else { return };
    let plan = RWP100.plan(&folder, "unicast_500kB-1MB");
    let (come, latency) =
        mean(&replay::run(&plan, Link::Resumed { rate: 250_000 }, 1).latencies(&plan));
    assert_eq!(come, 200);
    assert!((2_459.78..2_926.06).contains(&latency), "{latency}");

    let plan = VILLAGES160.plan(&folder, "tohub_20-200kB");
    let (come, _) = mean(&replay::run(&plan, Link::Resumed { rate: 25_000 }, 1).latencies(&plan));
    assert!((27..=65).contains(&come), "{come}");
}
