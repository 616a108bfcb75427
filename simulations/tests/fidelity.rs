//! The sized run beside real nodes, on one plan: the same contacts, the same records at the same
//! nodes, at nearly the same times, for nearly the same bytes.
//!
//! The larger comparison: `cargo test --release -p huza-simulations --test fidelity -- --ignored
//! --nocapture`.

#![expect(clippy::print_stdout, reason = "figures that a person asked for")]

use std::collections::{BTreeMap, BTreeSet};

use huza_simulations::geography::Geography;
use huza_simulations::movement::{Contact, Movement};
use huza_simulations::network::plan::{Drawn, Event, Passed, Plan, RecordId, Watch};
use huza_simulations::network::{Strategy, full, sized};
use huza_simulations::scenario::Scenario;

/// Everything that came of a run.
#[derive(Default)]
struct Log {
    written: BTreeSet<RecordId>,
    arrived: BTreeMap<(RecordId, usize), u64>,
    delivered: BTreeMap<RecordId, u64>,
    passed: BTreeMap<Contact, Passed>,
}

impl Watch for Log {
    fn wants_all(&self) -> bool {
        true
    }

    fn see(&mut self, event: Event) {
        let again = match event {
            Event::Written { id, .. } => !self.written.insert(id),
            Event::Arrived { at_ms, record, node } => {
                self.arrived.insert((record, node), at_ms).is_some()
            }
            Event::Delivered { at_ms, record } => self.delivered.insert(record, at_ms).is_some(),
            Event::Parted(passed) => self.passed.insert(passed.contact, passed).is_some(),
        };
        assert!(!again, "{event:?} happened before");
    }
}

fn plan(catchments: u64, villages: u64, sets: &[&str]) -> Drawn {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let scenario = Scenario::read("", &sets).unwrap().0;
    let geography = Geography::synthetic(5, catchments, [villages, villages]);
    let movement = Movement::new(&geography, scenario);
    Drawn::new(&geography, movement)
}

/// What two runs of one plan differ in.
#[derive(Debug)]
struct Difference {
    contacts: usize,
    /// Records at nodes, in both.
    arrivals: usize,
    only_sized: Vec<(RecordId, usize, u64)>,
    only_full: Vec<(RecordId, usize, u64)>,
    /// Milliseconds that an arrival is apart: in the middle, of 99 in 100, at most.
    apart_ms: [u64; 3],
    /// The same of deliveries.
    delivered: usize,
    delivered_apart_ms: [u64; 3],
    bytes: [u64; 2],
}

fn compare(plan: &Drawn) -> Difference {
    let (mut one, mut other) = (Log::default(), Log::default());
    sized::run(plan, Strategy::Huza, &mut one, &mut |_| ());
    full::run(plan, 1, &mut other, &mut |_| ()).unwrap();
    assert_eq!(one.written, other.written);
    assert!(one.passed.keys().eq(other.passed.keys()), "the same contacts");
    assert!(one.delivered.keys().eq(other.delivered.keys()), "the same deliveries");
    let only = |these: &Log, those: &Log| {
        let only = these.arrived.iter().filter(|(what, _)| !those.arrived.contains_key(what));
        only.map(|((record, node), at)| (*record, *node, *at)).collect::<Vec<_>>()
    };
    let both = one.arrived.iter().filter_map(|(what, at)| Some((at, other.arrived.get(what)?)));
    let deliveries = one.delivered.iter().map(|(what, at)| (at, &other.delivered[what]));
    let bytes = |log: &Log| log.passed.values().flat_map(|one| one.bytes).sum();
    Difference {
        contacts: one.passed.len(),
        arrivals: both.clone().count(),
        only_sized: only(&one, &other),
        only_full: only(&other, &one),
        apart_ms: apart(both.collect()),
        delivered: one.delivered.len(),
        delivered_apart_ms: apart(deliveries.collect()),
        bytes: [bytes(&one), bytes(&other)],
    }
}

fn apart(times: Vec<(&u64, &u64)>) -> [u64; 3] {
    let mut apart: Vec<u64> = times.iter().map(|(one, other)| one.abs_diff(**other)).collect();
    apart.sort_unstable();
    [50, 99, 100].map(|share| apart[(apart.len() * share).div_ceil(100) - 1])
}

/// Two health centres with nine phones each, that often meet.
#[test]
fn the_sized_run_gives_what_real_nodes_give() {
    let plan = plan(
        2,
        3,
        &[
            "days=3",
            "people.equipped=1",
            "people.workdays=7",
            "records.per_day=[2, 6]",
            "records.danger=0.1",
            "records.photo=0.02",
            "village_pair.per_day=1",
            "supply_visit.every_workdays=3",
            "neighbour.per_day=0.5",
            "market.days_per_week=4",
        ],
    );
    let found = compare(&plan);
    println!("{found:#?}");
    assert!(plan.place().days == 9);
}

/// A health centre of ninety phones.
#[test]
#[ignore = "takes minutes"]
fn the_same_of_a_whole_health_centre() {
    let plan = plan(1, 30, &["days=7", "people.equipped=1", "cell_meeting.every_days=5"]);
    println!("{:#?}", compare(&plan));
}
