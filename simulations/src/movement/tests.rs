//! Small places, in which everything can be computed by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::geography::Geography;

/// Nobody meets anybody, every phone is on, and every link is there at once.
const STILL: &str = "
[people]
equipped = 1
workdays = 7
[village_pair]
per_day = 0
[cell_meeting]
every_days = 0
[centre_meeting]
every_days = 0
[supply_visit]
every_workdays = 0
[market]
days_per_week = 0
[neighbour]
per_day = 0
[phone]
night_off = 0
shop = 0
[travel]
bicycle = 0
[links.ble]
missed = 0
setup_s = 0
scan_moving_s = 0
scan_rest_s = 0
[links.hotspot]
missed = 0
setup_s = 0
scan_moving_s = 0
scan_rest_s = 0
";

const VILLAGES: &str = "\
village_id,village,cell_id,cell,sector_id,sector,district_id,district,lat,lon,population,households
v1,One,c1,Cell,s1,Sector,d,District,0,30.000,500,100
v2,Two,c1,Cell,s1,Sector,d,District,0,30.018,500,100
";

const FACILITIES: &str = "facility_id,name,type,lat,lon\nh,Health Centre,Health Centre,0,30.000\n";

fn scenario(text: &str, sets: &[&str]) -> Scenario {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Scenario::read(text, &sets).unwrap().0
}

/// Two villages 2,004 metres apart, the first at the health centre.
fn two(sets: &[&str]) -> Movement {
    Movement::new(&Geography::read(VILLAGES, FACILITIES).unwrap(), scenario(STILL, sets))
}

/// Three catchments of twelve villages, by the defaults.
fn country(sets: &[&str]) -> Movement {
    Movement::new(&Geography::synthetic(5, 3, [12, 12]), scenario("", sets))
}

const fn at(hours: u64, minutes: u64, seconds: u64) -> u64 {
    ((hours * 60 + minutes) * 60 + seconds) * 1_000
}

fn times(day: &Day) -> Vec<(u64, u64, (usize, usize))> {
    day.contacts.iter().map(|one| (one.from_ms, one.to_ms, one.nodes)).collect()
}

#[test]
fn a_pair_of_a_village_meets_and_the_link_takes_its_time() {
    let sets = [
        "people.workers=2",
        "village_pair.per_day=1",
        "village_pair.from=10:00",
        "village_pair.until=10:00",
        "village_pair.minutes=10",
        "links.ble.setup_s=5",
    ];
    let village = two(&sets);
    assert_eq!((village.phones(), village.hubs()), (4, 1));
    assert_eq!((village.village(3), village.village(4)), (Some(1), None));
    assert_eq!((village.facility(3), village.facility(4)), (None, Some(0)));
    let expected = |day: u64| {
        let (from, to) = (day * DAY_MS + at(10, 0, 5), day * DAY_MS + at(10, 10, 0));
        vec![(from, to, (0, 1)), (from, to, (2, 3))]
    };
    assert_eq!(times(&village.day(0)), expected(0));
    assert_eq!(times(&village.day(6)), expected(6));
    let day = two(&[&sets[..], &["links.ble.setup_s=600"]].concat()).day(0);
    assert_eq!(
        (times(&day), day.tallies[0]),
        (Vec::new(), Tally { met: 2, short: 2, ..Tally::default() })
    );
    let day = two(&[&sets[..], &["links.ble.missed=1"]].concat()).day(0);
    assert_eq!(day.tallies[0], Tally { met: 2, missed: 2, ..Tally::default() });
}

#[test]
fn a_way_to_the_centre_takes_as_long_as_it_is() {
    let sets = [
        "people.workers=1",
        "supply_visit.every_workdays=1",
        "supply_visit.from=08:00",
        "supply_visit.until=08:00",
        "supply_visit.minutes=30",
    ];
    // 0.018 degrees of the equator are 2,004 m (rounded on each side), with the detour 2,605 m: at 4 km/h 39 min 4.5 s.
    let from = 2_605 * 900;
    assert_eq!(from, at(0, 39, 4) + 500);
    let visits =
        [(at(8, 0, 0), at(8, 30, 0), (0, 2)), (at(8, 0, 0) + from, at(8, 30, 0) + from, (1, 2))];
    assert_eq!(times(&two(&sets).day(0)), visits);
    let riding = two(&[&sets[..], &["travel.bicycle=1"]].concat()).day(0);
    assert_eq!(riding.contacts[1].from_ms, at(8, 0, 0) + 2_605 * 360);
    let working = two(&[&sets[..], &["people.workdays=5"]].concat());
    let counts: Vec<usize> = (0..8).map(|day| working.day(day).contacts.len()).collect();
    assert_eq!(counts, [2, 2, 2, 2, 2, 0, 0, 2]);
}

#[test]
fn a_coordinator_goes_every_so_many_workdays() {
    let sets = ["supply_visit.coordinator_every_workdays=5", "people.workdays=5"];
    let place = two(&sets);
    let coordinator = place.cells[0].coordinator.unwrap();
    let went: Vec<u64> = (0..28).filter(|day| !place.day(*day).contacts.is_empty()).collect();
    assert_eq!(went, [0, 7, 14, 21].map(|week| week + went[0]));
    assert_eq!(place.day(went[0]).contacts[0].nodes, (coordinator, 6));
}

#[test]
fn who_passes_a_neighbour_is_in_range_for_seconds() {
    let sets = ["people.workers=1", "neighbour.per_day=1", "neighbour.stop=0"];
    // 40 m at 8 km/h: 18 s. Both workers meet their only neighbour.
    let day = two(&sets).day(0);
    let lengths: Vec<u64> = day.contacts.iter().map(|one| one.to_ms - one.from_ms).collect();
    assert_eq!(lengths, [18_000, 18_000]);
    assert!(day.contacts.iter().all(|one| one.nodes == (0, 1) && one.kind == Kind::Neighbour));
    let stops = [&sets[..], &["neighbour.stop=1", "neighbour.minutes=7"]].concat();
    let day = two(&stops).day(0);
    assert!(day.contacts.iter().all(|one| one.to_ms - one.from_ms == 7 * MINUTE_MS));
}

#[test]
fn a_phone_that_is_off_is_in_contact_with_nobody() {
    let sets = [
        "people.workers=2",
        "village_pair.per_day=1",
        "village_pair.from=20:50",
        "village_pair.until=20:50",
        "village_pair.minutes=30",
        "phone.night_off=1",
    ];
    assert_eq!(two(&sets).day(0).contacts[0].to_ms, at(21, 0, 0));
    let early = ["village_pair.from=05:00", "village_pair.until=05:00"];
    let day = two(&[&sets[..], &early, &["village_pair.minutes=40"]].concat()).day(0);
    assert_eq!((day.contacts[0].from_ms, day.contacts[0].to_ms), (at(5, 30, 0), at(5, 40, 0)));
    let day = two(&[&sets[..], &early].concat()).day(0);
    assert_eq!(day.tallies[0], Tally { met: 2, off: 2, ..Tally::default() });
    // Away every second day, each phone on its own.
    let shop = [
        "phone.night_off=0",
        "phone.shop=1",
        "phone.shop_from=20:00",
        "phone.shop_until=20:00",
        "phone.shop_minutes=120",
    ];
    let away = two(&[&sets[..], &shop].concat());
    let off: Vec<u64> = (0..4).map(|day| away.day(day).tallies[0].off).collect();
    assert_eq!((off[0], off[1]), (off[2], off[3]));
    let same = away.workers[0].shop == away.workers[1].shop;
    let days = if same { 1 } else { 2 };
    let second = away.workers[2].shop == away.workers[3].shop;
    assert_eq!(off[0] + off[1], days + if second { 1 } else { 2 });
}

#[test]
fn at_a_meeting_everybody_is_in_contact_with_the_middle() {
    let sets = [
        "cell_meeting.every_days=1",
        "cell_meeting.attend=1",
        "cell_meeting.late_minutes=0",
        "centre_meeting.every_days=1",
        "centre_meeting.attend=1",
        "centre_meeting.late_minutes=0",
    ];
    let place = two(&sets);
    let day = place.day(0);
    let of = |kind| {
        times(&Day {
            contacts: day.contacts.iter().filter(|one| one.kind == kind).copied().collect(),
            ..Day::default()
        })
    };
    let centre: Vec<_> = (0..6).map(|phone| (at(9, 0, 0), at(12, 0, 0), (phone, 6))).collect();
    assert_eq!(of(Kind::CentreMeeting), centre);
    let host = place.cells[0].coordinator.unwrap();
    let cell: BTreeSet<_> = (0..6)
        .filter(|phone| *phone != host)
        .map(|phone| (at(14, 0, 0), at(16, 0, 0), (phone.min(host), phone.max(host))))
        .collect();
    assert_eq!(of(Kind::CellMeeting).into_iter().collect::<BTreeSet<_>>(), cell);
    // The coordinator alone is with nobody; if she has no phone, somebody else gives the hotspot.
    let alone = two(&[&sets[..], &["cell_meeting.attend=0"]].concat());
    assert_eq!(alone.day(0).contacts.len(), 6);
    let mut bare = place.clone();
    bare.workers[host].phone = None;
    let cell = bare.day(0).contacts.into_iter().filter(|one| one.kind == Kind::CellMeeting);
    let cell: Vec<Contact> = cell.collect();
    assert_eq!(cell.len(), 4);
    assert!(cell.iter().all(|one| one.nodes.0 != host && one.nodes.1 != host));
}

#[test]
fn a_group_meets_on_the_same_day_of_each_period_or_the_next_workday() {
    let place = country(&["cell_meeting.every_days=30"]);
    for cell in &place.cells {
        let held: Vec<u64> =
            (0..300).filter(|day| place.meets("cell meeting day", cell, 30, *day)).collect();
        assert!((9..=10).contains(&held.len()), "{held:?}");
        assert!(held.iter().all(|day| day % 7 < 5), "{held:?}");
        let first = place.draw("cell meeting day", &cell.id, 0).below(30);
        for (period, day) in (0..).zip(&held) {
            let due = first + period * 30;
            assert_eq!(*day, due + [0, 0, 0, 0, 0, 2, 1][usize_of(due % 7)], "{held:?}");
        }
    }
    let daily = (0..14).filter(|day| place.meets("x", &place.cells[0], 1, *day));
    assert_eq!(daily.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]);
    assert!(!(0..99).any(|day| place.meets("x", &place.cells[0], 0, day)));
}

#[test]
fn on_a_market_groups_are_as_large_as_is_in_range() {
    let place = Movement::new(
        &Geography::synthetic(5, 2, [12, 12]),
        scenario(STILL, &["market.days_per_week=2", "market.go=1", "market.group=4"]),
    );
    let mut market_days = BTreeMap::new();
    for day in 0..14 {
        let contacts = place.day(day).contacts;
        // Until they regroup each is with one middle, and nobody is with more than three.
        for hour in 0..24 {
            let now = day * DAY_MS + hour * HOUR_MS + HOUR_MS / 2;
            let mut with: BTreeMap<usize, usize> = BTreeMap::new();
            for one in contacts.iter().filter(|one| one.from_ms <= now && now < one.to_ms) {
                *with.entry(one.nodes.0).or_default() += 1;
                *with.entry(one.nodes.1).or_default() += 1;
            }
            assert!(with.values().all(|count| *count <= 3), "{with:?}");
        }
        for one in contacts {
            let sector = place.village(one.nodes.0).unwrap() / 12;
            assert_eq!(sector, place.village(one.nodes.1).unwrap() / 12);
            *market_days.entry((sector, day)).or_insert(0) += 1;
        }
    }
    for sector in 0..2 {
        let days: Vec<u64> =
            market_days.keys().filter(|(one, _)| *one == sector).map(|(_, day)| *day).collect();
        assert_eq!((days.len(), days[0] + 7, days[1] + 7), (4, days[2], days[3]));
    }
}

#[test]
fn days_come_in_any_order_and_a_seed_gives_one_world() {
    let (one, other) = (country(&[]), country(&[]));
    let forwards: Vec<Day> = (0..10).map(|day| one.day(day)).collect();
    let mut backwards: Vec<Day> = (0..10).rev().map(|day| other.day(day)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(country(&["seed=2"]).day(3), forwards[3]);
    for (number, day) in (0..).zip(&forwards) {
        assert!(day.contacts.is_sorted());
        for one in &day.contacts {
            assert!(number * DAY_MS <= one.from_ms && one.from_ms < one.to_ms);
            assert!(one.to_ms <= (number + 1) * DAY_MS && one.nodes.0 < one.nodes.1);
        }
        for (kind, tally) in Kind::ALL.into_iter().zip(day.tallies) {
            let used = day.contacts.iter().filter(|one| one.kind == kind).count() as u64;
            assert_eq!(tally.met, used + tally.off + tally.missed + tally.short, "{kind:?}");
        }
    }
}

#[test]
fn every_build_draws_the_same() {
    let place = country(&[]);
    let mut hasher = blake3::Hasher::new();
    for day in 0..30 {
        for one in place.day(day).contacts {
            let (a, b) = one.nodes;
            for number in [one.from_ms, one.to_ms, a as u64, b as u64, one.kind as u64] {
                hasher.update(&number.to_le_bytes());
            }
        }
    }
    // Of debug and release; it changes with what is drawn.
    let drawn = "c18a84a0eeb29f3ee528948f3494b7a27ad93fcaebbd57d2ff4f7504621ae167";
    assert_eq!(hasher.finalize().to_hex().as_str(), drawn);
}

fn without(day: &Day, kind: Kind) -> Vec<Contact> {
    day.contacts.iter().filter(|one| one.kind != kind).copied().collect()
}

#[test]
fn to_switch_one_kind_off_changes_no_other() {
    let all = country(&[]);
    let off = [
        (Kind::VillagePair, "village_pair.per_day=0"),
        (Kind::CellMeeting, "cell_meeting.every_days=0"),
        (Kind::CentreMeeting, "centre_meeting.every_days=0"),
        (Kind::SupplyVisit, "supply_visit.every_workdays=0"),
        (Kind::Market, "market.days_per_week=0"),
        (Kind::Neighbour, "neighbour.per_day=0"),
    ];
    let mut seen = BTreeSet::new();
    for (kind, set) in off {
        let less = country(&[set]);
        for day in 0..30 {
            let (with, less) = (all.day(day), less.day(day));
            assert_eq!(without(&with, kind), less.contacts, "{set}");
            if with.contacts.len() > less.contacts.len() {
                seen.insert(kind);
            }
        }
    }
    assert_eq!(seen.len(), Kind::ALL.len());
}

#[test]
fn who_has_a_phone_changes_nothing_in_who_walks_where() {
    let perfect = STILL
        .replace("per_day = 0", "per_day = 0.3")
        .replace("every_workdays = 0", "every_workdays = 3");
    let place = Geography::synthetic(5, 3, [12, 12]);
    let world = |share: &str| Movement::new(&place, scenario(&perfect, &[share]));
    let people = |world: &Movement| {
        let who = |node: usize| world.phones.get(node).copied().unwrap_or(usize::MAX);
        let all = (0..7).flat_map(|day| world.day(day).contacts);
        let all = all.map(|one| (one.from_ms, one.to_ms, who(one.nodes.0), who(one.nodes.1)));
        all.collect::<BTreeSet<_>>()
    };
    let (some, all) = (world("people.equipped=0.4"), world("people.equipped=1"));
    assert!(some.phones() < all.phones() && all.phones() == 108);
    let (some, all) = (people(&some), people(&all));
    assert!(some.len() > 50 && some.len() < all.len());
    assert!(some.is_subset(&all));
}

#[test]
fn records_are_written_in_home_visits_on_workdays() {
    let sets = [
        "people.workers=1",
        "people.workdays=5",
        "records.per_day=4",
        "home_visits.per_day=2",
        "home_visits.from=08:00",
        "home_visits.until=10:00",
        "home_visits.minutes=60",
        "records.danger=1",
        "records.bytes=700",
        "records.photo=0",
    ];
    let place = two(&sets);
    // Two visits of an hour fill two hours; of four records each has two.
    let records = place.records(8);
    assert_eq!(records.len(), 8);
    for (from, to) in [(at(8, 0, 0), at(9, 0, 0)), (at(9, 0, 0), at(10, 0, 0))] {
        for phone in 0..2 {
            let within = records.iter().filter(|one| one.phone == phone);
            let within = within.filter(|one| (from..=to).contains(&(one.at_ms - 8 * DAY_MS)));
            assert!(within.count() >= 2);
        }
    }
    assert!(records.iter().all(|one| one.danger && one.bytes == 700));
    assert!(place.records(5).is_empty() && place.records(6).is_empty());
    let photos = two(&[&sets[..], &["records.photo=1", "records.photo_bytes=1000"]].concat());
    assert!(photos.records(0).iter().all(|one| one.bytes == 1_700));
}

#[test]
fn a_hub_has_internet_but_for_its_outages() {
    let hub = |sets: &[&str]| two(&[&["people.workers=1"], sets].concat());
    let there = hub(&["hub.internet=1", "hub.outage_every_days=0"]);
    assert_eq!(there.internet(2, 3), [(3 * DAY_MS, 4 * DAY_MS)]);
    assert_eq!(there.internet(1, 3), []);
    assert_eq!(hub(&["hub.internet=0"]).internet(2, 3), []);
    // An outage of twelve hours begins on every day.
    let out = hub(&["hub.internet=1", "hub.outage_every_days=1", "hub.outage_hours=12"]);
    let began = |day| out.draw("outage", "h", day);
    let began = |day: u64| {
        let mut draw = began(day);
        assert!(draw.one_in(1));
        day * DAY_MS + draw.below(DAY_MS)
    };
    for day in 1..40 {
        let (before, today) = (began(day - 1) + 12 * HOUR_MS, began(day));
        let from = before.max(day * DAY_MS);
        let mut expected = Vec::new();
        if from < today {
            expected.push((from, today));
        }
        let again = from.max(today + 12 * HOUR_MS);
        if again < (day + 1) * DAY_MS {
            expected.push((again, (day + 1) * DAY_MS));
        }
        assert_eq!(out.internet(2, day), expected, "{day}");
    }
}

#[test]
fn a_survey_counts_what_there_was() {
    // The first village meets the hub, the second has no way to it but its neighbour.
    let sets = [
        "people.workers=2",
        "supply_visit.every_workdays=1",
        "supply_visit.minutes=30",
        "village_pair.per_day=1",
        "village_pair.minutes=10",
    ];
    let place = two(&sets);
    let mut survey = Survey::new(&place);
    let mut day = place.day(0);
    day.contacts.retain(|one| one.kind != Kind::SupplyVisit || one.nodes.0 < 2);
    survey.add(&place, &day);
    let rows = survey.rows();
    assert_eq!((rows[0].contacts, rows[0].ends, rows[0].quantile_s(50)), (2, 4, Some(600)));
    assert_eq!((rows[3].contacts, rows[3].ends, rows[3].quantile_s(90)), (2, 2, Some(1_800)));
    assert_eq!((rows[4].contacts, rows[4].quantile_s(50)), (0, None));
    assert_eq!((survey.without_hub(&place), survey.without_phone(&place)), (vec![1], vec![]));
    let mut row = rows[0].clone();
    row.seconds = BTreeMap::from([(10, 5), (20, 4), (30, 1)]);
    row.contacts = 10;
    assert_eq!([50, 51, 90, 91].map(|share| row.quantile_s(share)), [10, 20, 20, 30].map(Some));
    // Where nobody has a phone there is nothing to reach.
    let bare = two(&["people.equipped=0"]);
    let survey = Survey::new(&bare);
    assert_eq!((survey.without_hub(&bare), survey.without_phone(&bare)), (vec![], vec![0, 1]));
}
