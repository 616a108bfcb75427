//! The standard workload of `huza-simulations`, whole or a part of it that is whole in itself: the
//! first `records` people, and the visits to them. And what of it one side lacks.

use std::collections::{BTreeMap, BTreeSet};

use huza_simulations::standard::{self, Change, Entry};

/// How much, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub seed: u64,
    pub records: u64,
    pub changes: u64,
}

/// One change, with its place among those that are used.
#[derive(Debug, Clone)]
pub struct Used {
    /// Its index in the whole workload.
    pub index: u64,
    /// Its position in its log.
    pub counter: u64,
    /// What it is.
    pub change: Change,
}

/// All of them, people first.
#[derive(Debug)]
pub struct Workload {
    pub size: Size,
    pub changes: Vec<Used>,
    /// Index -> where in `changes`.
    pub at: BTreeMap<u64, usize>,
}

impl Workload {
    pub fn new(size: Size) -> Self {
        let mut counters: BTreeMap<u64, u64> = BTreeMap::new();
        let mut changes = Vec::new();
        let whole = standard::Workload::standard(size.seed);
        let people = (0..size.records).map(|index| (index, whole.change(index)));
        let visits = (whole.records..whole.changes)
            .map(|index| (index, whole.change(index)))
            .filter(|(_, change)| person(change).is_some_and(|person| person < size.records));
        let visits = visits.take(usize::try_from(size.changes - size.records).unwrap());
        for (index, change) in people.chain(visits) {
            let counter = counters.entry(change.log).or_default();
            changes.push(Used { index, counter: *counter, change });
            *counter += 1;
        }
        let at = changes.iter().enumerate().map(|(at, used)| (used.index, at)).collect();
        let size = Size { changes: changes.len() as u64, ..size };
        Self { size, changes, at }
    }

    /// Who wrote a change.
    pub fn worker(&self, change: &Change) -> String {
        standard::Workload::standard(self.size.seed).worker(change.log).0
    }

    /// The person of change `at`: where in `changes` they are registered.
    pub fn record(&self, at: usize) -> usize {
        person(&self.changes[at].change).map_or(at, |index| self.at[&index])
    }

    /// The last `count` changes.
    pub fn newest(&self, count: usize) -> BTreeSet<usize> {
        (self.changes.len() - count..self.changes.len()).collect()
    }

    /// `count` visits, evenly over the month.
    pub fn scattered(&self, count: usize) -> BTreeSet<usize> {
        let people = usize::try_from(self.size.records).unwrap();
        let visits = self.changes.len() - people;
        (0..count).map(|nth| people + (2 * nth + 1) * visits / (2 * count)).collect()
    }

    /// Changes that two held when they met, and then, again and again, what one wrote since.
    pub fn steps(&self) -> (BTreeSet<usize>, Vec<BTreeSet<usize>>) {
        let mut next = self.changes.len() - DIFFERENCES.iter().sum::<usize>();
        let known = (0..next).collect();
        let step = |count: &usize| {
            next += count;
            (next - count..next).collect()
        };
        (known, DIFFERENCES.iter().map(step).collect())
    }

    /// What a code that knows the generator could not do without, in bytes.
    pub fn floor(&self, missing: &BTreeSet<usize>) -> u64 {
        let bits: f64 = missing.iter().map(|at| self.changes[*at].change.bits).sum();
        (bits / 8.0).ceil() as u64
    }

    /// One line of JSON for each change.
    pub fn print(&self) {
        for used in &self.changes {
            let Used { index, change, .. } = used;
            let worker = self.worker(change);
            let line = match &change.entry {
                Entry::Person { fields } => serde_json::json!({
                    "_id": format!("person-{index:05}"), "type": "person", "log": change.log,
                    "at": change.at.0, "worker": worker, "fields": fields,
                }),
                Entry::Visit { person, form, occurred, answers } => serde_json::json!({
                    "_id": format!("visit-{index:05}"), "type": "visit", "log": change.log,
                    "at": change.at.0, "worker": worker, "person": format!("person-{person:05}"),
                    "form": form, "occurred": occurred.0, "answers": answers,
                }),
            };
            println!("{line}");
        }
    }
}

fn person(change: &Change) -> Option<u64> {
    match &change.entry {
        Entry::Person { .. } => None,
        Entry::Visit { person, .. } => Some(*person),
    }
}

/// Changes that one side lacks.
pub const DIFFERENCES: [usize; 4] = [2, 20, 200, 2_000];

/// What one contact, or several, came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Bytes from A to B and from B to A.
    pub bytes: [u64; 2],
    /// Of them, what only finds out what differs; 0 where the two cannot be told apart.
    pub finding: u64,
    /// How often the direction changed, plus one.
    pub turns: u64,
    pub millis: u128,
}

impl Cost {
    pub fn all(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }

    /// Both, one after the other.
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: [self.bytes[0] + other.bytes[0], self.bytes[1] + other.bytes[1]],
            finding: self.finding + other.finding,
            turns: self.turns + other.turns,
            millis: self.millis + other.millis,
        }
    }
}

/// Tells a result, as one line of JSON.
pub fn tell(peer: &str, work: &Workload, case: &str, missing: &BTreeSet<usize>, cost: Cost) {
    let Size { seed, records, changes } = work.size;
    let line = serde_json::json!({
        "peer": peer, "case": case, "seed": seed, "records": records, "changes": changes,
        "missing": missing.len(), "floor": work.floor(missing),
        "up": cost.bytes[0], "down": cost.bytes[1], "bytes": cost.all(), "finding": cost.finding,
        "turns": cost.turns, "millis": u64::try_from(cost.millis).unwrap(),
    });
    println!("{line}");
    eprintln!(
        "{peer:>10} {case:<16} {:>11} B {:>6} turns {:>7} ms",
        cost.all(),
        cost.turns,
        cost.millis
    );
}
