//! Who meets whom: the contacts of one day after another, drawn from a geography, a scenario and
//! its seed.
//!
//! People move, and phones are with people. For each purpose, place and day there is a random
//! stream of its own (`Draw::of`), named by the ids of the tables. So any day can be had without
//! the days before it; to switch one kind of meeting off changes no other; to pick a larger area
//! changes nothing but what crosses the border; and a worker without a phone walks as she would
//! with one. Two runs of a sweep differ by what was swept and by nothing else. The price: the
//! calendars do not know of each other, so on some days somebody is at two places at once, as on
//! the market and on the way to the centre.
//!
//! Encounters of people (`encounters`) become contacts of phones by the `radio`: it may miss them,
//! it has to notice and to set up first, and phones are off at times. What remains is what a link
//! can be used for.
//!
//! Of meetings of many there are not all pairs. At a health centre each phone is in contact with
//! the hub, which is always on. At a cell meeting each is in contact with the phone of the
//! coordinator, who gives a hotspot (if she has no phone, anybody drawn); on a market, of a group
//! in range, each with one phone of it, drawn anew for each group. By way of this middle everybody
//! has what anybody has: what a group radio gives.
//!
//! Not modelled: that Wi-Fi Direct wants a tap when two phones first meet (its share of missed
//! contacts stands for that), phones of households, and days on which a hub has no power.

mod calendar;
mod encounters;
mod radio;
mod survey;
mod workday;

use std::collections::BTreeMap;
use std::ops::Range;

pub use survey::{Row, Survey};
pub use workday::Record;

use crate::draw::Draw;
use crate::geography::Geography;
use crate::scenario::{LinkKind, Scenario};

/// A day.
pub const DAY_MS: u64 = 86_400_000;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// Why two devices are near each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two workers of one village.
    VillagePair,
    /// The workers of a cell.
    CellMeeting,
    /// The workers of a health centre, at its hub.
    CentreMeeting,
    /// A worker at the hub, for supplies and reports.
    SupplyVisit,
    /// Workers of a sector on its market.
    Market,
    /// A worker and one of a neighbouring village.
    Neighbour,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::VillagePair,
        Self::CellMeeting,
        Self::CentreMeeting,
        Self::SupplyVisit,
        Self::Market,
        Self::Neighbour,
    ];

    /// As it is written in scenarios and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VillagePair => "village_pair",
            Self::CellMeeting => "cell_meeting",
            Self::CentreMeeting => "centre_meeting",
            Self::SupplyVisit => "supply_visit",
            Self::Market => "market",
            Self::Neighbour => "neighbour",
        }
    }

    /// What phones talk over when they meet like this.
    #[must_use]
    pub const fn link(self, scenario: &Scenario) -> LinkKind {
        match self {
            Self::VillagePair => scenario.village_pair.link,
            Self::CellMeeting => scenario.cell_meeting.link,
            Self::CentreMeeting => scenario.centre_meeting.link,
            Self::SupplyVisit => scenario.supply_visit.link,
            Self::Market => scenario.market.link,
            Self::Neighbour => scenario.neighbour.link,
        }
    }

    /// Whether the phones are scanning as on the move.
    const fn moving(self) -> bool {
        !matches!(self, Self::CellMeeting | Self::CentreMeeting)
    }
}

/// While two devices can exchange something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// From then on, set-up done; milliseconds from the beginning of day 0.
    pub from_ms: u64,
    /// Until then.
    pub to_ms: u64,
    /// The nodes, the lower number first: phones are before hubs.
    pub nodes: (usize, usize),
    /// Why they met.
    pub kind: Kind,
    /// Over what.
    pub link: LinkKind,
}

/// What became of the encounters of one kind between two devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub met: u64,
    /// In which a phone was off, or away to be charged.
    pub off: u64,
    /// That the radio did not notice.
    pub missed: u64,
    /// That were over before the link was set up.
    pub short: u64,
}

/// One day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// Sorted.
    pub contacts: Vec<Contact>,
    /// By kind, in the order of [`Kind::ALL`]; of those met, what was not lost are contacts.
    pub tallies: [Tally; 6],
}

/// A place with its people, ready to move.
#[derive(Debug, Clone)]
pub struct Movement {
    scenario: Scenario,
    villages: Vec<Home>,
    workers: Vec<Worker>,
    /// Node of a phone -> its worker.
    phones: Vec<usize>,
    cells: Vec<Group>,
    sectors: Vec<Group>,
    centres: Vec<Group>,
    /// The facility of each centre.
    facilities: Vec<usize>,
}

/// A village.
#[derive(Debug, Clone)]
struct Home {
    id: String,
    workers: Range<usize>,
    /// Its place among the centres.
    centre: usize,
    /// Along the path.
    centre_m: u64,
    near: Vec<usize>,
}

/// A worker, with or without a phone.
#[derive(Debug, Clone)]
struct Worker {
    village: usize,
    /// Her number in the village.
    number: usize,
    /// The node, if there is a phone.
    phone: Option<usize>,
    bicycle: bool,
    off_at_night: bool,
    /// Charged at a shop on the days that leave this, divided by those between two times.
    shop: Option<u64>,
}

/// Those who meet: of a cell, a sector or a health centre.
#[derive(Debug, Clone, Default)]
struct Group {
    id: String,
    workers: Vec<usize>,
    /// Who coordinates, of the workers.
    coordinator: Option<usize>,
}

impl Movement {
    /// Settles the villages of `geography` by the rules of `scenario`.
    #[must_use]
    pub fn new(geography: &Geography, scenario: Scenario) -> Self {
        let facilities = geography.centres();
        let near = geography.neighbours(usize_of(scenario.neighbour.villages));
        let mut all = Self {
            villages: Vec::with_capacity(geography.villages.len()),
            workers: Vec::new(),
            phones: Vec::new(),
            cells: Vec::new(),
            sectors: Vec::new(),
            centres: Vec::new(),
            facilities,
            scenario,
        };
        let mut cells: BTreeMap<usize, Group> = BTreeMap::new();
        let mut sectors: BTreeMap<usize, Group> = BTreeMap::new();
        let mut centres: BTreeMap<usize, Group> = BTreeMap::new();
        for ((index, village), near) in geography.villages.iter().enumerate().zip(near) {
            let first = all.workers.len();
            all.settle(&village.id, index);
            let workers = first..all.workers.len();
            let of_cell = cells.entry(village.cell).or_default();
            let of_sector = sectors.entry(village.sector).or_default();
            for group in [of_cell, of_sector, centres.entry(village.centre).or_default()] {
                group.workers.extend(workers.clone());
            }
            let facility = geography.facilities.get(village.centre);
            let straight = facility.map_or(0, |facility| facility.at.distance_m(village.at));
            all.villages.push(Home {
                id: village.id.clone(),
                workers,
                centre: all.facilities.binary_search(&village.centre).unwrap_or_default(),
                centre_m: all.scenario.travel.detour.of(straight),
                near,
            });
        }
        let named = |groups: BTreeMap<usize, Group>, name: &dyn Fn(usize) -> Option<String>| {
            let named = groups.into_iter().map(|(index, mut group)| {
                group.id = name(index).unwrap_or_default();
                group
            });
            named.collect::<Vec<Group>>()
        };
        all.cells = named(cells, &|index| Some(geography.cells.get(index)?.id.clone()));
        all.sectors = named(sectors, &|index| Some(geography.sectors.get(index)?.id.clone()));
        all.centres = named(centres, &|index| Some(geography.facilities.get(index)?.id.clone()));
        for cell in &mut all.cells {
            let mut draw = Draw::of(all.scenario.seed, "coordinator", &cell.id, 0);
            cell.coordinator = draw.pick(&cell.workers).copied();
        }
        all
    }

    /// The workers of a village, and who of them has a phone.
    fn settle(&mut self, id: &str, village: usize) {
        let (people, phone, travel) =
            (&self.scenario.people, &self.scenario.phone, &self.scenario.travel);
        let mut draw = Draw::of(self.scenario.seed, "workers", id, 0);
        for number in 0..usize_of(people.workers) {
            let equipped = draw.happens(people.equipped);
            let bicycle = draw.happens(travel.bicycle);
            let off_at_night = draw.happens(phone.night_off);
            let (shop, turn) = (draw.happens(phone.shop), draw.below(phone.shop_every_days));
            let node = self.phones.len();
            if equipped {
                self.phones.push(self.workers.len());
            }
            self.workers.push(Worker {
                village,
                number,
                phone: equipped.then_some(node),
                bicycle,
                off_at_night,
                shop: shop.then_some(turn),
            });
        }
    }

    /// The scenario.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How many phones there are: they are the nodes from 0 on.
    #[must_use]
    pub const fn phones(&self) -> usize {
        self.phones.len()
    }

    /// How many hubs there are, one at each health centre: they are the nodes behind the phones.
    #[must_use]
    pub const fn hubs(&self) -> usize {
        self.centres.len()
    }

    /// The village in which the phone `node` lives: its place in the geography; none for hubs.
    #[must_use]
    pub fn village(&self, node: usize) -> Option<usize> {
        self.phones.get(node).and_then(|worker| self.workers.get(*worker)).map(|one| one.village)
    }

    /// The facility at which the hub `node` stands: its place in the geography; none for phones.
    #[must_use]
    pub fn facility(&self, node: usize) -> Option<usize> {
        self.facilities.get(node.checked_sub(self.phones())?).copied()
    }

    /// The node of the hub of a centre.
    const fn hub(&self, centre: usize) -> usize {
        self.phones.len() + centre
    }

    /// The contacts that begin on a day, counted from 0. All end on that day.
    #[must_use]
    pub fn day(&self, day: u64) -> Day {
        let mut radio = radio::Radio::new(self, day);
        for kind in Kind::ALL {
            self.encounters(kind, day, &mut radio);
        }
        radio.done()
    }

    fn draw(&self, purpose: &str, place: &str, day: u64) -> Draw {
        Draw::of(self.scenario.seed, purpose, place, day)
    }
}

/// A count in memory, which is never larger than that.
fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
