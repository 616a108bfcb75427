//! How many of those who are registered twice are offered as possibly one person, and how many others.
//! The figures stand in `docs/duplicates.md`.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::Instant;

use huza_crdt::id::{AreaTag, LogId, Origin, RecordId};
use huza_crdt::record::{Document, Edit, Forms, Traits, alike};
use huza_crdt::time::Stamp;
use huza_simulations::standard::{Registered, Workload, registered};

fn traits((index, one): (usize, &Registered)) -> Traits {
    let fields = one.fields.iter();
    let edits: Vec<Edit> = fields
        .map(|(field, value)| Edit::Person { field: field.clone(), value: value.clone() })
        .collect();
    let mut document = Document::new(RecordId((index as u128).to_be_bytes()));
    let origin = Origin { log: LogId([1; 32]), counter: index as u64 };
    document.write(origin, Stamp(0), "A", &edits).expect("a person").expect("something new");
    Traits::of(
        &document.summary(&Forms::built_in()),
        AreaTag([u8::try_from(one.village).expect("a village"); 16]),
    )
}

#[test]
fn who_is_registered_twice_is_offered_and_few_others_are() {
    let people = registered(Workload::standard(2026));
    let traits: Vec<Traits> = people.iter().enumerate().map(traits).collect();
    let began = Instant::now();
    let offered = alike(&traits);
    let took = began.elapsed();
    let who = |index: usize| people[index].who;
    let (found, others): (Vec<_>, Vec<_>) = offered
        .iter()
        .map(|((one, two), _)| (*one, *two))
        .partition(|(one, two)| who(*one) == who(*two));
    let mut registrations: BTreeMap<u64, usize> = BTreeMap::new();
    for one in &people {
        *registrations.entry(one.who).or_default() += 1;
    }
    let twice = registrations.values().filter(|count| **count == 2).count();
    let base = Workload::standard(2026).records;
    let twins = people.iter().filter(|one| one.who >= base).count();
    let is_twin = |(one, two): &&(usize, usize)| who(*one).abs_diff(who(*two)) == base;
    let offered_twins = others.iter().filter(is_twin).count();
    let recall = found.len() as f64 / twice as f64;
    let alarms = others.len() as f64 * 1000.0 / registrations.len() as f64;
    println!(
        "{} registrations of {} people: of {twice} registered twice {} are offered ({:.1} %); others offered: {} \
         pairs, {alarms:.1} for each thousand people; of {twins} pairs of twins {offered_twins}; {} ms",
        people.len(),
        registrations.len(),
        found.len(),
        recall * 100.0,
        others.len(),
        took.as_millis(),
    );
    assert!(recall > 0.8, "{recall}");
    assert!(alarms < 10.0, "{alarms}");
    assert!(offered_twins * 100 <= twins, "{offered_twins} of {twins}");
}
