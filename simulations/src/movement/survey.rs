//! What the contacts of many days come to.

use std::collections::BTreeMap;

use super::{Day, Kind, Movement, Tally};
use crate::scenario::LinkKind;

/// Figures of one kind of meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which kind.
    pub kind: Kind,
    /// Over what.
    pub link: LinkKind,
    /// Contacts that could be used.
    pub contacts: u64,
    /// Their ends at phones: a contact of two phones has two.
    pub ends: u64,
    /// Whole seconds of the contacts, and how many lasted that long.
    pub seconds: BTreeMap<u64, u64>,
    /// What became of all encounters.
    pub tally: Tally,
}

impl Row {
    /// The seconds that a share of the contacts (in per cent) does not exceed; none if there are
    /// none.
    #[must_use]
    pub fn quantile_s(&self, per_cent: u64) -> Option<u64> {
        let needed = (self.contacts * per_cent).div_ceil(100).max(1);
        let mut passed = 0;
        self.seconds.iter().find_map(|(seconds, count)| {
            passed += count;
            (passed >= needed).then_some(*seconds)
        })
    }
}

/// Adds up days.
#[derive(Debug, Clone)]
pub struct Survey {
    rows: Vec<Row>,
    /// Villages of which some phone was in contact with a hub.
    reached: Vec<bool>,
    days: u64,
}

impl Survey {
    /// Nothing yet.
    #[must_use]
    pub fn new(movement: &Movement) -> Self {
        let row = |kind: Kind| Row {
            kind,
            link: kind.link(&movement.scenario),
            contacts: 0,
            ends: 0,
            seconds: BTreeMap::new(),
            tally: Tally::default(),
        };
        Self {
            rows: Kind::ALL.into_iter().map(row).collect(),
            reached: vec![false; movement.villages.len()],
            days: 0,
        }
    }

    /// Adds a day.
    pub fn add(&mut self, movement: &Movement, day: &Day) {
        self.days += 1;
        for (row, tally) in self.rows.iter_mut().zip(day.tallies) {
            row.tally.met += tally.met;
            row.tally.off += tally.off;
            row.tally.missed += tally.missed;
            row.tally.short += tally.short;
        }
        for contact in &day.contacts {
            let at_hub = contact.nodes.1 >= movement.phones();
            if let Some(row) = self.rows.get_mut(contact.kind as usize) {
                row.contacts += 1;
                row.ends += if at_hub { 1 } else { 2 };
                *row.seconds.entry((contact.to_ms - contact.from_ms) / 1_000).or_default() += 1;
            }
            let village = movement.village(contact.nodes.0).filter(|_| at_hub);
            if let Some(reached) = village.and_then(|village| self.reached.get_mut(village)) {
                *reached = true;
            }
        }
    }

    /// How many days it has seen.
    #[must_use]
    pub const fn days(&self) -> u64 {
        self.days
    }

    /// One row for each kind, in the order of [`Kind::ALL`].
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Villages in which nobody has a phone: their places in the geography.
    #[must_use]
    pub fn without_phone(&self, movement: &Movement) -> Vec<usize> {
        let equipped =
            |worker: usize| movement.workers.get(worker).is_some_and(|one| one.phone.is_some());
        let without =
            movement.villages.iter().map(|village| !village.workers.clone().any(equipped));
        places(without)
    }

    /// Villages with a phone, none of whose phones was ever in contact with a hub: their places in
    /// the geography. What others carry for them is not counted.
    #[must_use]
    pub fn without_hub(&self, movement: &Movement) -> Vec<usize> {
        let mut without: Vec<bool> = self.reached.iter().map(|reached| !reached).collect();
        for village in self.without_phone(movement) {
            if let Some(one) = without.get_mut(village) {
                *one = false;
            }
        }
        places(without.into_iter())
    }
}

fn places(all: impl Iterator<Item = bool>) -> Vec<usize> {
    all.enumerate().filter(|(_, is)| *is).map(|(place, _)| place).collect()
}
