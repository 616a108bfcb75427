//! People of the standard workload of whom some are registered twice, and some are twins: what a search
//! for the same person has to find, and what it must not.
//!
//! How a second registration differs from the first is assumed, and each share stands beside its draw.
//! The names are harder than life: 32 given and 32 family names among everybody.

use std::collections::BTreeMap;

use super::words::GIVEN;
use super::{Entry, Workload};
use crate::draw::Draw;

/// Of this many people one is registered twice. // assumption
const TWICE_ONE_IN: u64 = 50;

/// Of this many people one has a twin. // of births in Africa one in 27; of the living fewer
const TWIN_ONE_IN: u64 = 60;

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Who it is about: two of one number are one person.
    pub who: u64,
    /// In which village it was written.
    pub village: u64,
    /// Field -> value, as in [`Entry::Person`].
    pub fields: BTreeMap<String, String>,
}

/// Everybody, then the second registrations, then the twins. Twins are people of their own.
#[must_use]
pub fn registered(workload: Workload) -> Vec<Registered> {
    let mut all: Vec<Registered> =
        (0..workload.records).filter_map(|who| first(workload, who)).collect();
    let mut draw = Draw::new(workload.seed, "registered twice");
    let again = all.iter().filter(|one| one.who.is_multiple_of(TWICE_ONE_IN));
    let again: Vec<Registered> =
        again.map(|one| second(&mut draw, one, workload.villages())).collect();
    let twins = all.iter().filter(|one| one.who % TWIN_ONE_IN == 1);
    let twins: Vec<Registered> = twins.map(|one| twin(&mut draw, one, workload.records)).collect();
    all.extend(again);
    all.extend(twins);
    all
}

fn first(workload: Workload, who: u64) -> Option<Registered> {
    let change = workload.change(who);
    let Entry::Person { fields } = change.entry else { return None };
    Some(Registered { who, village: change.log % workload.villages(), fields })
}

/// The same person, by somebody who did not find the first record.
fn second(draw: &mut Draw, one: &Registered, villages: u64) -> Registered {
    let mut fields = one.fields.clone();
    fields.remove("phone");
    for name in ["name/given", "name/family"] {
        if let Some(name) = fields.get_mut(name) {
            if draw.chance(500) {
                *name = spelled(draw, name);
            }
            if draw.chance(50) {
                *name = slipped(draw, name);
            }
        }
    }
    if draw.chance(200) {
        let given = fields.remove("name/given");
        let family = fields.remove("name/family");
        fields.extend(family.map(|name| ("name/given".to_owned(), name)));
        fields.extend(given.map(|name| ("name/family".to_owned(), name)));
    }
    if draw.chance(50) {
        fields.remove("name/given");
    }
    if let Some(born) = fields.get_mut("birth-date") {
        match draw.below(100) {
            // Asked for the age, not for the date.
            0..30 => *born = born.chars().take(4).collect(),
            // Wrong by a year: contradicts the first.
            30..35 => *born = format!("{}{}", 1 + year(born), born.get(4..).unwrap_or_default()),
            _ => {}
        }
    }
    if draw.chance(50) {
        fields.remove("birth-date");
    }
    // Moved, or registered where they were visiting.
    let village = if draw.chance(100) { draw.below(villages) } else { one.village };
    Registered { who: one.who, village, fields }
}

fn year(born: &str) -> u64 {
    born.get(..4).and_then(|year| year.parse().ok()).unwrap_or_default()
}

/// Born with somebody: all the same but the given name.
fn twin(draw: &mut Draw, one: &Registered, people: u64) -> Registered {
    let mut fields = one.fields.clone();
    let name = fields.get("name/given").cloned().unwrap_or_default();
    let others: Vec<&&str> = GIVEN.iter().filter(|other| **other != name).collect();
    let other = draw.pick(&others).map(|other| (**other).to_owned());
    fields.extend(other.map(|other| ("name/given".to_owned(), other)));
    Registered { who: people + one.who, village: one.village, fields }
}

/// Another spelling of one sound, if the name has a place for one.
fn spelled(draw: &mut Draw, name: &str) -> String {
    let ways = [
        ("r", "l"),
        ("l", "r"),
        ("z", "s"),
        ("a", "aa"),
        ("ph", "f"),
        ("c", "k"),
        ("Nk", "K"),
        ("Mb", "B"),
        ("Nd", "D"),
        ("Mu", "Umu"),
        ("th", "t"),
        ("yi", "i"),
        ("ll", "l"),
        ("nn", "n"),
        ("ine", "in"),
    ];
    let fitting: Vec<&(&str, &str)> = ways.iter().filter(|(from, _)| name.contains(from)).collect();
    match draw.pick(&fitting) {
        Some((from, to)) => name.replacen(from, to, 1),
        None => name.to_owned(),
    }
}

/// A letter left out.
fn slipped(draw: &mut Draw, name: &str) -> String {
    let at = usize::try_from(draw.between(1, 6)).unwrap_or(1);
    name.chars().enumerate().filter(|(index, _)| *index != at).map(|(_, letter)| letter).collect()
}
