//! What a run is of, and what it tells: the seam between who meets whom and what passes when they do.
//!
//! A [`Plan`] says which devices there are, what they write and when they can talk. A run carries
//! that out, by whatever means, and tells a [`Watch`] what arrived and what passed. So the sized
//! run and the run of real nodes take the same plan, and their answers can be laid side by side.
//!
//! Nodes are numbered as in [`crate::movement::Movement`]: the phones from 0, then the hubs. A phone
//! writes one log, in its own village. One record is one envelope, of the bytes that the plan says,
//! all in: what it takes up in a batch. A device takes part in one transfer at a time, with those that it
//! is in contact with by turns: so who gives a hotspot, or the hub of a meeting, shares its rate among
//! all that are there. What passes the other way in the same contact shares it too.

use std::collections::BTreeMap;

use crate::geography::Geography;
use crate::movement::{self, Contact, DAY_MS, Movement, Record, Tally};
use crate::scenario::LinkKind;

/// Which devices, what they write, and when they can talk. Any day can be had at any time.
pub trait Plan {
    /// The devices and their links.
    fn place(&self) -> &Place;

    /// What is written, who can talk and which hubs have internet from the beginning of a day on.
    fn day(&self, day: u64) -> Day;
}

/// Devices and links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Node -> where the phone belongs.
    pub phones: Vec<Home>,
    /// How many hubs there are, each of a health centre of its own: hub `n` is the node
    /// `phones.len() + n`.
    pub hubs: usize,
    /// Days that the run lasts: it ends at the last one's midnight.
    pub days: u64,
    /// Bytes a second that links of each kind carry, in the order of [`LinkKind::ALL`]; none: all in
    /// no time, also what devices say to find out what they lack.
    pub rates: [Option<u64>; 3],
    /// Most bytes that a device carries for other health centres, but for what is urgent.
    pub carry_bytes: u64,
    /// Milliseconds after which it lets go of them in any case.
    pub carry_ms: u64,
}

/// Where a phone belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home {
    /// The hub of its health centre, from 0.
    pub hub: usize,
    /// Its village: phones with the same number read each other's records.
    pub village: usize,
}

/// One day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// Sorted.
    pub records: Vec<Record>,
    /// Those that begin on that day, sorted. They may end later.
    pub contacts: Vec<Contact>,
    /// Node of a hub, and from when to when it has internet.
    pub internet: Vec<(usize, (u64, u64))>,
    /// What became of the encounters of that day, by kind.
    pub tallies: [Tally; 6],
}

/// A record by its author and its number among all that she writes, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Node of the phone.
    pub phone: usize,
    /// Of its records of all kinds, in the order of their writing.
    pub number: usize,
}

/// Something that came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A record was written: records of a phone are numbered in this order.
    Written {
        /// Its name.
        id: RecordId,
        /// When, where and what.
        record: Record,
    },
    /// A record is durable at a node for the first time, its author apart.
    Arrived {
        /// Milliseconds from the beginning of day 0.
        at_ms: u64,
        /// Which record.
        record: RecordId,
        /// Where.
        node: usize,
    },
    /// A hub gave a record on over the internet, for the first time.
    Delivered {
        /// Milliseconds from the beginning of day 0.
        at_ms: u64,
        /// Which record.
        record: RecordId,
    },
    /// A contact is over.
    Parted(Passed),
}

/// What passed in a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The contact.
    pub contact: Contact,
    /// Which of its nodes is the middle, the first (0) or the second (1): who has more contacts at
    /// once.
    pub host: usize,
    /// Bytes that each of its nodes said, in the order of [`Contact::nodes`].
    pub bytes: [u64; 2],
    /// Of these, bytes of records that others had written.
    pub carried: [u64; 2],
    /// Records that were new to each of its nodes.
    pub new: [u64; 2],
    /// Whether it ended before all was exchanged.
    pub cut: bool,
}

/// Who is told what comes of a run, as it happens.
pub trait Watch {
    /// Whether it wants to know of each arrival at each node. Else it is told only of those at the
    /// hub of the author's health centre: a country has too many others.
    fn wants_all(&self) -> bool {
        false
    }

    /// A day begins on which people meet so often, and fail to notice it.
    fn met(&mut self, _tallies: &[Tally; 6]) {}

    /// Something came of it. Times may go back by as much as one transfer takes.
    fn see(&mut self, event: Event);
}

/// A plan that is drawn from a scenario.
#[derive(Debug, Clone)]
pub struct Drawn {
    movement: Movement,
    place: Place,
}

impl Drawn {
    /// The devices of a geography, that meet as in its movement.
    #[must_use]
    pub fn new(geography: &Geography, movement: Movement) -> Self {
        let hubs: BTreeMap<usize, usize> = geography.centres().into_iter().zip(0..).collect();
        let home = |node: usize| {
            let village = movement.village(node).unwrap_or_default();
            let centre = geography.villages.get(village).map(|village| village.centre);
            let hub = centre.and_then(|centre| hubs.get(&centre)).copied().unwrap_or_default();
            Home { hub, village }
        };
        let scenario = movement.scenario();
        let place = Place {
            phones: (0..movement.phones()).map(home).collect(),
            hubs: movement.hubs(),
            days: scenario.days,
            rates: LinkKind::ALL.map(|kind| Some(scenario.links.of(kind).bytes_per_s)),
            carry_bytes: scenario.carry.mb << 20,
            carry_ms: scenario.carry.days * DAY_MS,
        };
        Self { movement, place }
    }

    /// The same with links that carry everything in no time.
    #[must_use]
    pub const fn ideal(mut self) -> Self {
        self.place.rates = [None; 3];
        self
    }

    /// How people move.
    #[must_use]
    pub const fn movement(&self) -> &Movement {
        &self.movement
    }
}

impl Plan for Drawn {
    fn place(&self) -> &Place {
        &self.place
    }

    fn day(&self, day: u64) -> Day {
        let hubs = self.place.phones.len()..self.place.phones.len() + self.place.hubs;
        let internet = hubs.flat_map(|hub| {
            self.movement.internet(hub, day).into_iter().map(move |time| (hub, time))
        });
        let internet = internet.collect();
        let movement::Day { contacts, tallies } = self.movement.day(day);
        Day { records: self.movement.records(day), contacts, internet, tallies }
    }
}

/// A plan that is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its devices and links.
    pub place: Place,
    /// All that happens.
    pub all: Day,
}

impl Plan for Written {
    fn place(&self) -> &Place {
        &self.place
    }

    fn day(&self, day: u64) -> Day {
        let on = |at_ms: u64| at_ms / DAY_MS == day;
        let mut of = Day {
            records: self.all.records.iter().filter(|one| on(one.at_ms)).copied().collect(),
            contacts: self.all.contacts.iter().filter(|one| on(one.from_ms)).copied().collect(),
            internet: self.all.internet.iter().filter(|(_, time)| on(time.0)).copied().collect(),
            tallies: [Tally::default(); 6],
        };
        of.records.sort_unstable();
        of.contacts.sort_unstable();
        of
    }
}
