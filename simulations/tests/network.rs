//! The sized run on plans so small that what comes of them is known, on ideal links beside the exact
//! earliest arrivals, and on a drawn place: nothing is lost or invented, and a seed is one run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use huza_simulations::geography::Geography;
use huza_simulations::movement::{Contact, DAY_MS, Kind, Movement, Record};
use huza_simulations::network::outcome::Outcome;
use huza_simulations::network::plan::{
    Day, Drawn, Event, Home, Passed, Place, Plan, RecordId, Watch, Written,
};
use huza_simulations::network::{Account, Made, Strategy, sized};
use huza_simulations::replay;
use huza_simulations::scenario::{LinkKind, Scenario};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

/// Bytes a second of the links here.
const RATE: u64 = 1_000;

/// Phones of one village each, all of the first of so many hubs, but for those in `away`.
fn place(phones: usize, hubs: usize, away: &[(usize, usize)]) -> Place {
    let mut homes: Vec<Home> = (0..phones).map(|village| Home { hub: 0, village }).collect();
    for (phone, hub) in away {
        homes[*phone].hub = *hub;
    }
    Place {
        phones: homes,
        hubs,
        days: 3,
        rates: [Some(RATE); 3],
        carry_bytes: 10_000_000,
        carry_ms: 60 * DAY_MS,
    }
}

fn record(at_s: u64, phone: usize, bytes: u64) -> Record {
    Record { at_ms: at_s * SECOND, phone, danger: false, bytes }
}

fn danger(at_s: u64, phone: usize, bytes: u64) -> Record {
    Record { danger: true, ..record(at_s, phone, bytes) }
}

fn contact(from_s: u64, to_s: u64, a: usize, b: usize) -> Contact {
    let (from_ms, to_ms) = (from_s * SECOND, to_s * SECOND);
    Contact { from_ms, to_ms, nodes: (a, b), kind: Kind::VillagePair, link: LinkKind::Ble }
}

fn written(place: Place, records: &[Record], contacts: &[Contact]) -> Written {
    let days = place.days * DAY_MS;
    let hubs = place.phones.len()..place.phones.len() + place.hubs;
    let all = Day {
        records: records.to_vec(),
        contacts: contacts.to_vec(),
        internet: hubs.map(|hub| (hub, (0, days))).collect(),
        ..Day::default()
    };
    Written { place, all }
}

/// All that is told.
#[derive(Default)]
struct Seen(Vec<Event>);

impl Watch for Seen {
    fn wants_all(&self) -> bool {
        true
    }

    fn see(&mut self, event: Event) {
        self.0.push(event);
    }
}

impl Seen {
    /// (Phone, number of the record, node) -> seconds, rounded down.
    fn arrivals(&self) -> BTreeMap<(usize, usize, usize), u64> {
        let mut all = BTreeMap::new();
        for event in &self.0 {
            if let Event::Arrived { at_ms, record, node } = event {
                let RecordId { phone, number } = record;
                let twice = all.insert((*phone, *number, *node), at_ms / SECOND);
                assert_eq!(twice, None, "arrived twice: {event:?}");
            }
        }
        all
    }

    fn delivered(&self) -> BTreeMap<(usize, usize), u64> {
        let mut all = BTreeMap::new();
        for event in &self.0 {
            if let Event::Delivered { at_ms, record: RecordId { phone, number } } = event {
                assert_eq!(all.insert((*phone, *number), at_ms / SECOND), None, "{event:?}");
            }
        }
        all
    }

    fn parted(&self) -> Vec<Passed> {
        let parted = |event: &Event| match event {
            Event::Parted(passed) => Some(*passed),
            _ => None,
        };
        self.0.iter().filter_map(parted).collect()
    }
}

fn run(plan: &dyn Plan, strategy: Strategy) -> Seen {
    let mut seen = Seen::default();
    sized::run(plan, strategy, &mut seen, &mut |_| {});
    seen
}

/// Seconds until it has come; the seconds in which both find out what differs are added.
fn near(at: u64, expected: u64) -> bool {
    (expected..=expected + 4).contains(&at)
}

#[test]
fn a_record_goes_from_phone_to_phone_to_the_hub_and_the_facility() {
    let contacts = [contact(100, 200, 0, 1), contact(500, 600, 1, 2)];
    let seen = run(&written(place(2, 1, &[]), &[record(10, 0, 5_000)], &contacts), Strategy::Huza);
    let arrivals = seen.arrivals();
    assert_eq!(arrivals.len(), 2);
    assert!(near(arrivals[&(0, 0, 1)], 105) && near(arrivals[&(0, 0, 2)], 505), "{arrivals:?}");
    assert!(near(seen.delivered()[&(0, 0)], 505));
    let parted = seen.parted();
    assert_eq!(
        parted.iter().map(|one| (one.new, one.cut)).collect::<Vec<_>>(),
        [([0, 1], false), ([0, 1], false)]
    );
    assert_eq!((parted[0].carried, parted[1].carried), ([0, 0], [5_000, 0]));

    // Who carries only what she wrote carries nothing here, and the other never meets the hub.
    let own =
        run(&written(place(2, 1, &[]), &[record(10, 0, 5_000)], &contacts), Strategy::OwnPhone);
    assert_eq!((own.arrivals().len(), own.delivered().len()), (0, 0));
    assert_eq!(own.parted()[0].bytes, [0, 0]);
}

#[test]
fn those_at_one_radio_share_it() {
    // Four phones bring ten seconds of the hub's radio each.
    let contacts: Vec<Contact> = (0..4).map(|phone| contact(100, 1_000, phone, 4)).collect();
    let records: Vec<Record> = (0..4).map(|phone| record(10, phone, 10_000)).collect();
    let alone = run(&written(place(4, 1, &[]), &records, &contacts), Strategy::OwnPhone).arrivals();
    let times: BTreeSet<u64> = alone.values().copied().collect();
    let times: Vec<u64> = times.into_iter().collect();
    assert_eq!(times.len(), 4, "{times:?}");
    for (at, turns) in times.iter().zip(1..) {
        assert!(near(*at, 100 + 10 * turns), "{times:?}");
    }
    // The same flows on to all others while they are there: three more of ten seconds for each.
    let all = run(&written(place(4, 1, &[]), &records, &contacts), Strategy::Huza).arrivals();
    assert_eq!(all.len(), 4 + 4 * 3);
    let last = all.values().max().unwrap();
    assert!((260..=275).contains(last), "{last}");
}

#[test]
fn what_a_cut_leaves_is_brought_by_the_next_contact_whoever_it_is_with() {
    // Ten records of ten seconds; the first contact has room for four.
    let records: Vec<Record> = (0..10).map(|at| record(at, 0, 10_000)).collect();
    let contacts = [contact(100, 145, 0, 1), contact(200, 290, 0, 2), contact(1_000, 1_100, 1, 2)];
    let seen = run(&written(place(3, 1, &[]), &records, &contacts), Strategy::Huza);
    let arrivals = seen.arrivals();
    let at = |node: usize| -> BTreeSet<usize> {
        arrivals.keys().filter(|(.., to)| *to == node).map(|(_, number, _)| *number).collect()
    };
    // The third contact brings each what only the other had.
    assert_eq!((at(1), at(2)), ((0..8).collect(), (0..8).collect()));
    let parted = seen.parted();
    let new: Vec<[u64; 2]> = parted.iter().map(|one| one.new).collect();
    assert_eq!(new, [[0, 4], [0, 8], [4, 0]]);
    assert_eq!(parted.iter().map(|one| one.cut).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn an_urgent_record_overtakes_what_waits_and_what_is_under_way() {
    // A hundred seconds of routine are under way when it is written.
    let mut records: Vec<Record> = (0..100).map(|_| record(10, 0, 1_000)).collect();
    records.push(danger(150, 0, 1_000));
    let plan = written(place(2, 1, &[]), &records, &[contact(100, 170, 0, 1)]);
    let seen = run(&plan, Strategy::Huza);
    let arrivals = seen.arrivals();
    let urgent = arrivals[&(0, 100, 1)];
    assert!((151..=152).contains(&urgent), "{urgent}");
    assert!(arrivals.len() < 100, "{}", arrivals.len());
    // Where nothing is urgent it waits for its turn, and that never comes.
    assert!(!run(&plan, Strategy::Epidemic).arrivals().contains_key(&(0, 100, 1)));
}

/// The newest of a log goes first, a piece of 32 at a time.
#[test]
fn the_newest_go_first() {
    let records: Vec<Record> = (0..96).map(|at| record(at, 0, 1_000)).collect();
    let seen =
        run(&written(place(2, 1, &[]), &records, &[contact(100, 140, 0, 1)]), Strategy::Huza);
    let numbers: BTreeSet<usize> = seen.arrivals().keys().map(|(_, number, _)| *number).collect();
    assert!((64..96).all(|number| numbers.contains(&number)), "{numbers:?}");
    let oldest =
        run(&written(place(2, 1, &[]), &records, &[contact(100, 140, 0, 1)]), Strategy::Epidemic);
    let numbers: BTreeSet<usize> = oldest.arrivals().keys().map(|(_, number, _)| *number).collect();
    assert!((0..32).all(|number| numbers.contains(&number)), "{numbers:?}");
}

#[test]
fn others_are_carried_within_a_quota_and_what_is_urgent_beyond_it() {
    // Phone 1 belongs elsewhere and has room for three records of a megabyte.
    let mut place = place(2, 2, &[(1, 1)]);
    (place.carry_bytes, place.rates) = (3_500_000, [Some(1_000_000); 3]);
    let mut records: Vec<Record> = (0..6).map(|at| record(at, 0, 1_000_000)).collect();
    records.push(danger(7, 0, 1_000_000));
    let plan = written(place, &records, &[contact(100, 500, 0, 1)]);
    let arrivals = run(&plan, Strategy::Huza).arrivals();
    assert!(arrivals.contains_key(&(0, 6, 1)));
    // The urgent one takes of the room, which is told in units of two megabytes.
    assert_eq!(arrivals.len(), 1 + 2, "{arrivals:?}");
    assert_eq!(run(&plan, Strategy::Epidemic).arrivals().len(), 7);
}

#[test]
fn what_two_devices_vouch_for_is_let_go_and_never_brought_again() {
    let mut place = place(3, 2, &[(1, 1), (2, 1)]);
    (place.carry_bytes, place.rates) = (2_500_000, [Some(1_000_000); 3]);
    let hour = 3_600;
    let records = [record(1, 0, 2_000_000), danger(2, 0, 100), record(9 * hour, 0, 2_000_000)];
    let contacts = [
        // Carried, and then brought to its hub without the carrier's help.
        contact(hour, hour + 100, 0, 1),
        contact(2 * hour, 2 * hour + 100, 0, 3),
        // She hears of it from its author, and has room again.
        contact(3 * hour, 3 * hour + 100, 0, 1),
        contact(10 * hour, 10 * hour + 100, 0, 1),
        // Not offered by who let it go.
        contact(11 * hour, 11 * hour + 100, 1, 2),
    ];
    let seen = run(&written(place, &records, &contacts), Strategy::Huza);
    let new: Vec<[u64; 2]> = seen.parted().iter().map(|one| one.new).collect();
    assert_eq!(new, [[0, 2], [0, 2], [0, 0], [0, 1], [0, 1]]);
}

#[test]
fn what_is_carried_for_long_is_let_go_in_any_case() {
    let mut place = place(3, 2, &[(1, 1), (2, 1)]);
    place.carry_ms = DAY_MS;
    let day = DAY_MS / SECOND;
    let contacts =
        [contact(100, 200, 0, 1), contact(2 * day + 3 * 3_600, 2 * day + 4 * 3_600, 1, 2)];
    let records = [record(1, 0, 100), danger(2, 0, 100)];
    let seen = run(&written(place, &records, &contacts), Strategy::Huza);
    let new: Vec<[u64; 2]> = seen.parted().iter().map(|one| one.new).collect();
    assert_eq!(new, [[0, 2], [0, 0]]);
}

#[test]
fn without_internet_a_hub_waits_and_gives_on_when_it_is_back() {
    let mut plan = written(place(1, 1, &[]), &[record(1, 0, 100)], &[contact(100, 200, 0, 1)]);
    plan.all.internet = vec![(1, (0, 50 * SECOND)), (1, (5 * HOUR, 6 * HOUR))];
    let seen = run(&plan, Strategy::Huza);
    assert!(near(seen.arrivals()[&(0, 0, 1)], 100));
    assert_eq!(seen.delivered()[&(0, 0)], 5 * 3_600);
}

#[test]
fn half_the_copies_are_sprayed_and_the_last_waits_for_the_hub() {
    // Five phones meet the author one after the other, then each other, then the hub meets all.
    let mut contacts: Vec<Contact> =
        (1..5).zip(1..).map(|(phone, at)| contact(at * 100, at * 100 + 50, 0, phone)).collect();
    contacts.push(contact(1_000, 1_050, 3, 4));
    let plan = |contacts: &[Contact]| written(place(5, 1, &[]), &[record(1, 0, 100)], contacts);
    let strategy: Strategy = "spray-and-wait:4".parse().unwrap();
    let arrivals = run(&plan(&contacts), strategy).arrivals();
    // Of four copies the first gets two, the second one; the author keeps one.
    let nodes: BTreeSet<usize> = arrivals.keys().map(|(.., node)| *node).collect();
    assert_eq!(nodes, BTreeSet::from([1, 2]));
    contacts.push(contact(2_000, 2_050, 2, 5));
    assert!(run(&plan(&contacts), strategy).arrivals().contains_key(&(0, 0, 5)));
}

#[test]
fn prophet_gives_to_whoever_is_likelier_to_meet_the_hub() {
    let meets_hub = contact(10, 20, 1, 3);
    let contacts = [meets_hub, contact(100, 200, 0, 2), contact(300, 400, 0, 1)];
    let plan = written(place(3, 1, &[]), &[record(50, 0, 100)], &contacts);
    let arrivals = run(&plan, Strategy::Prophet).arrivals();
    let nodes: Vec<usize> = arrivals.keys().map(|(.., node)| *node).collect();
    assert_eq!(nodes, [1]);
}

/// A small synthetic place and what people do there.
fn drawn(sets: &[&str]) -> (Geography, Drawn, BTreeMap<String, String>) {
    let mut all = vec!["days=14".to_owned(), "synthetic.villages=[6, 9]".to_owned()];
    all.push("people.equipped=1".to_owned());
    all.extend(sets.iter().map(|set| (*set).to_owned()));
    let (scenario, settings) = Scenario::read("", &all).unwrap();
    let synthetic = &scenario.synthetic;
    let place = Geography::synthetic(scenario.seed, synthetic.catchments, synthetic.villages);
    let drawn = Drawn::new(&place, Movement::new(&place, scenario));
    (place, drawn, settings)
}

const STRATEGIES: [&str; 5] = ["own-phone", "epidemic", "spray-and-wait:4", "prophet", "huza"];

fn outcome(sets: &[&str], strategy: &str) -> Outcome {
    let (place, drawn, settings) = drawn(sets);
    let mut account = Account::new(&drawn, &place);
    let strategy: Strategy = strategy.parse().unwrap();
    let loads = sized::run(&drawn, strategy, &mut account, &mut |_| {});
    let made = Made {
        name: "test".to_owned(),
        strategy: strategy.to_string(),
        fidelity: "sized".to_owned(),
        settings,
    };
    account.finish(made, &loads)
}

#[test]
fn on_ideal_links_everything_is_everywhere_as_early_as_it_can_be() {
    let (_, drawn, _) = drawn(&["days=7"]);
    let drawn = drawn.ideal();
    let nodes = drawn.place().phones.len() + drawn.place().hubs;
    let mut names: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut plan =
        replay::Plan { nodes, end_ms: 7 * DAY_MS, contacts: Vec::new(), messages: Vec::new() };
    for day in 0..7 {
        let Day { records, contacts, .. } = drawn.day(day);
        plan.contacts.extend(contacts.iter().map(|one| replay::Contact {
            from_ms: one.from_ms,
            to_ms: one.to_ms,
            nodes: one.nodes,
        }));
        for record in records {
            let count = counts.entry(record.phone).or_default();
            names.insert((record.phone, *count), plan.messages.len());
            *count += 1;
            plan.messages.push(replay::Message {
                id: String::new(),
                from: record.phone,
                to: nodes,
                at_ms: record.at_ms,
                bytes: record.bytes,
            });
        }
    }
    let exact = replay::run(&plan, replay::Link::Ideal, 1);
    let exact: BTreeSet<(usize, usize, u64)> =
        exact.arrivals.iter().map(|one| (one.message, one.node, one.at_ms)).collect();
    // Ours lets go of what two devices vouch for, so that it does not come to all.
    let mut huza = 0;
    for strategy in [Strategy::Epidemic, Strategy::Huza] {
        let seen = run(&drawn, strategy);
        let came: BTreeSet<(usize, usize, u64)> = seen
            .0
            .iter()
            .filter_map(|event| match event {
                Event::Arrived { at_ms, record, node } => {
                    Some((names[&(record.phone, record.number)], *node, *at_ms))
                }
                _ => None,
            })
            .collect();
        if strategy == Strategy::Epidemic {
            assert!(came == exact, "{} of {}", came.intersection(&exact).count(), exact.len());
            continue;
        }
        let home = |message: usize| {
            let phones = &drawn.place().phones;
            phones.len() + phones[plan.messages[message].from].hub
        };
        let at_home = |all: &BTreeSet<(usize, usize, u64)>| -> BTreeSet<(usize, usize, u64)> {
            all.iter().filter(|(message, node, _)| home(*message) == *node).copied().collect()
        };
        huza = at_home(&came).len();
        assert!(at_home(&came) == at_home(&exact));
    }
    assert!(huza > 1_000, "{huza}");
}

#[test]
fn how_much_is_carried_for_others_and_how_long_is_the_scenarios() {
    // Neighbours of all health centres meet.
    let stored = |sets: &[&str]| -> u64 {
        let sets = [&["neighbour.villages=20", "neighbour.per_day=1"], sets].concat();
        outcome(&sets, "huza").phones.iter().map(|phone| phone.stored_peak).sum()
    };
    let all = stored(&[]);
    for less in ["carry.mb=0", "carry.mb=8", "carry.days=1"] {
        assert!(stored(&[less]) < all, "{less}");
    }
    assert_eq!(stored(&["carry.mb=1024"]), all, "there was room");
}

#[test]
fn nothing_is_lost_or_invented() {
    for strategy in STRATEGIES {
        let out = outcome(&[], strategy);
        let sent = out.phones.iter().map(|one| one.sent).chain(out.hubs.iter().map(|one| one.sent));
        let received = out.phones.iter().map(|one| one.received);
        let received = received.chain(out.hubs.iter().map(|one| one.received));
        let (sent, received) = (sent.sum::<u64>(), received.sum::<u64>());
        let by_kind: u64 = out.meetings.iter().map(|one| one.bytes).sum();
        assert_eq!((sent, received), (by_kind, by_kind), "{strategy}");
        assert!(by_kind > 0);
        let written: u64 = out.villages.iter().map(|one| one.written).sum();
        assert_eq!(written, out.urgent.written + out.routine.written);
        let mut at_hub = 0;
        for delivery in [&out.urgent, &out.routine] {
            for waits in [&delivery.to_hub, &delivery.to_facility] {
                let counted = waits.after.iter().map(|one| one.happened + one.censored);
                assert_eq!(counted.sum::<u64>(), delivery.written, "{strategy}");
                assert!(waits.after.is_sorted_by_key(|one| one.seconds));
            }
            at_hub += delivery.to_hub.after.iter().map(|one| one.happened).sum::<u64>();
        }
        assert_eq!(at_hub, out.villages.iter().map(|one| one.at_hub).sum::<u64>());
        for meetings in &out.meetings {
            let lost = meetings.off + meetings.missed + meetings.short;
            assert_eq!(meetings.met, lost + meetings.contacts, "{strategy} {}", meetings.kind);
            assert!(meetings.cut <= meetings.contacts && meetings.idle <= meetings.contacts);
        }
    }
}

#[test]
fn one_seed_is_one_run() {
    for strategy in STRATEGIES {
        let hash = |seed| outcome(&[seed], strategy).log_hash;
        assert_eq!(hash("seed=7"), hash("seed=7"), "{strategy}");
        assert_ne!(hash("seed=7"), hash("seed=8"), "{strategy}");
    }
}

/// The same in debug and release, on every machine: it changes only when the model does.
#[test]
fn the_log_of_a_run_has_the_same_hash_everywhere() {
    let hashes = STRATEGIES.map(|strategy| outcome(&["seed=7"], strategy).log_hash);
    let begins: Vec<&str> = hashes.iter().map(|hash| &hash[..16]).collect();
    assert_eq!(
        begins,
        [
            "299901313f7ef7ee",
            "0cfe31a494a9a07b",
            "653df044c620b9af",
            "1a740f65dc3e9e8e",
            "035f3c36063a9b04"
        ]
    );
}
