//! Encounters of people, kind by kind.
//!
//! In each stream everything is drawn for every worker, also for those who have no phone or do not
//! come, so that a draw means the same whatever the scenario says of others.

use super::radio::{Encounter, Radio};
use super::{Group, HOUR_MS, Home, Kind, MINUTE_MS, Movement, usize_of};
use crate::draw::Draw;
use crate::scenario::Meeting;

/// Somebody who is at a place from a moment to another, in milliseconds of the day.
#[derive(Debug, Clone, Copy)]
struct Presence {
    worker: usize,
    from_ms: u64,
    to_ms: u64,
}

impl Movement {
    /// All encounters of one kind on one day, given to the radio.
    pub(super) fn encounters(&self, kind: Kind, day: u64, radio: &mut Radio<'_>) {
        match kind {
            Kind::VillagePair => self.each_village(day, radio, kind, Self::pairs),
            Kind::Neighbour => self.each_village(day, radio, kind, Self::neighbours),
            Kind::SupplyVisit => self.supplies(day, radio),
            Kind::Market => self.markets(day, radio),
            Kind::CellMeeting => {
                let meeting = &self.scenario.cell_meeting;
                for cell in &self.cells {
                    if self.meets("cell meeting day", cell, meeting.every_days, day) {
                        let mut present = self.attend("cell meeting", cell, meeting, day);
                        let host = self.host(cell, &mut present, day);
                        radio.tune(kind, &cell.id);
                        self.star(kind, host, &present, radio);
                    }
                }
            }
            Kind::CentreMeeting => {
                let meeting = &self.scenario.centre_meeting;
                for (place, centre) in self.centres.iter().enumerate() {
                    if self.meets("centre meeting day", centre, meeting.every_days, day) {
                        radio.tune(kind, &centre.id);
                        for one in self.attend("centre meeting", centre, meeting, day) {
                            self.at_hub(kind, place, one, radio);
                        }
                    }
                }
            }
        }
    }

    fn each_village(
        &self,
        day: u64,
        radio: &mut Radio<'_>,
        kind: Kind,
        of: fn(&Self, &Home, &mut Draw, &mut Radio<'_>),
    ) {
        for village in &self.villages {
            let mut draw = self.draw(kind.name(), &village.id, day);
            radio.tune(kind, &village.id);
            of(self, village, &mut draw, radio);
        }
    }

    /// Pairs of a village.
    fn pairs(&self, village: &Home, draw: &mut Draw, radio: &mut Radio<'_>) {
        let rule = &self.scenario.village_pair;
        for one in village.workers.clone() {
            for other in one + 1..village.workers.end {
                let meet = draw.happens(rule.per_day);
                let from_ms = draw.moment(rule.from, rule.until);
                let to_ms = from_ms + draw.lasting(rule.minutes, MINUTE_MS);
                if meet {
                    self.meet(Kind::VillagePair, (one, other), (from_ms, to_ms), radio);
                }
            }
        }
    }

    /// Workers who meet one of a village nearby: they stop for a while, or pass each other on foot
    /// and are in range for the time that both take to walk its length.
    fn neighbours(&self, village: &Home, draw: &mut Draw, radio: &mut Radio<'_>) {
        let rule = &self.scenario.neighbour;
        let range_mm = self.scenario.links.of(rule.link).range_m * 1_000;
        // Towards each other: twice the range at twice the speed.
        let pass_ms = self.scenario.travel.walk_kmh.divide(range_mm * HOUR_MS / 1_000_000);
        for worker in village.workers.clone() {
            let meets = draw.happens(rule.per_day);
            let from_ms = draw.moment(rule.from, rule.until);
            let (stops, stop_ms) = (draw.happens(rule.stop), draw.lasting(rule.minutes, MINUTE_MS));
            let near = draw.pick(&village.near).and_then(|near| self.villages.get(*near));
            let number = draw.below(near.map_or(0, |near| near.workers.len() as u64));
            let Some(near) = near.filter(|_| meets) else { continue };
            let other = near.workers.start + usize_of(number);
            let to_ms = from_ms + if stops { stop_ms } else { pass_ms };
            self.meet(Kind::Neighbour, (worker, other), (from_ms, to_ms), radio);
        }
    }

    /// Ways to the health centre: each worker's own, when she needs something, and those of the
    /// coordinators of cells, as regular as a calendar.
    fn supplies(&self, day: u64, radio: &mut Radio<'_>) {
        if !self.is_workday(day) {
            return;
        }
        let (kind, rule) = (Kind::SupplyVisit, &self.scenario.supply_visit);
        for village in &self.villages {
            let mut draw = self.draw(kind.name(), &village.id, day);
            radio.tune(kind, &village.id);
            for worker in village.workers.clone() {
                let goes = draw.one_in(rule.every_workdays);
                self.supply(worker, goes, &mut draw, radio);
            }
        }
        for cell in &self.cells {
            let every = rule.coordinator_every_workdays;
            let turn = self.draw("coordinator turn", &cell.id, 0).below(every);
            let mut draw = self.draw("coordinator visit", &cell.id, day);
            radio.tune(kind, &cell.id);
            if let Some(worker) = cell.coordinator {
                let goes = self.workday_number(day).checked_rem(every) == Some(turn);
                self.supply(worker, goes, &mut draw, radio);
            }
        }
    }

    fn supply(&self, worker: usize, goes: bool, draw: &mut Draw, radio: &mut Radio<'_>) {
        let rule = &self.scenario.supply_visit;
        let leaves = draw.moment(rule.from, rule.until);
        let stays = draw.lasting(rule.minutes, MINUTE_MS);
        let home = self.workers.get(worker).and_then(|one| self.villages.get(one.village));
        if let Some(home) = home.filter(|_| goes) {
            let from_ms = leaves + self.way_ms(worker, home.centre_m);
            let there = Presence { worker, from_ms, to_ms: from_ms + stays };
            self.at_hub(Kind::SupplyVisit, home.centre, there, radio);
        }
    }

    /// How long a worker takes for that way.
    fn way_ms(&self, worker: usize, metres: u64) -> u64 {
        let travel = &self.scenario.travel;
        let rides = self.workers.get(worker).is_some_and(|worker| worker.bicycle);
        let speed = if rides { travel.bicycle_kmh } else { travel.walk_kmh };
        speed.divide(metres * HOUR_MS / 1_000)
    }

    /// Who comes to a meeting, and when: the coordinator, who holds it, always.
    fn attend(&self, what: &str, group: &Group, meeting: &Meeting, day: u64) -> Vec<Presence> {
        let mut draw = self.draw(what, &group.id, day);
        let end = meeting.at.ms() + meeting.minutes * MINUTE_MS;
        let mut present = Vec::new();
        for worker in group.workers.iter().copied() {
            let comes = draw.happens(meeting.attend);
            let from_ms = meeting.at.ms() + draw.lasting(meeting.late_minutes, MINUTE_MS);
            let comes = comes || Some(worker) == group.coordinator;
            if comes && from_ms < end {
                present.push(Presence { worker, from_ms, to_ms: end });
            }
        }
        present
    }

    /// Takes out of those present who gives the hotspot: the coordinator, or anybody who has a
    /// phone.
    fn host(&self, cell: &Group, present: &mut Vec<Presence>, day: u64) -> Option<Presence> {
        let of_cell = |one: &Presence| Some(one.worker) == cell.coordinator;
        let equipped = |one: &Presence| self.phone(one.worker).is_some();
        let coordinator = present.iter().position(|one| of_cell(one) && equipped(one));
        let place = coordinator.or_else(|| {
            let places: Vec<usize> = (0..)
                .zip(&*present)
                .filter(|(_, one)| equipped(one))
                .map(|(place, _)| place)
                .collect();
            self.draw("cell host", &cell.id, day).pick(&places).copied()
        })?;
        Some(present.swap_remove(place))
    }

    /// Markets: people come, stand in groups, and after a while in others.
    fn markets(&self, day: u64, radio: &mut Radio<'_>) {
        let rule = &self.scenario.market;
        let slot_ms = rule.regroup_minutes * MINUTE_MS;
        for sector in &self.sectors {
            if !self.is_market_day(sector, day) {
                continue;
            }
            let mut draw = self.draw("market", &sector.id, day);
            let mut present = Vec::new();
            for worker in sector.workers.iter().copied() {
                let goes = draw.happens(rule.go);
                let from_ms = draw.moment(rule.from, rule.until);
                let to_ms = from_ms + draw.lasting(rule.minutes, MINUTE_MS);
                if goes {
                    present.push(Presence { worker, from_ms, to_ms });
                }
            }
            let end = present.iter().map(|one| one.to_ms).max().unwrap_or_default();
            let mut groups = self.draw("market groups", &sector.id, day);
            radio.tune(Kind::Market, &sector.id);
            let mut slot = rule.from.ms();
            while slot < end {
                let until = slot + slot_ms;
                let mut here: Vec<Presence> = present
                    .iter()
                    .filter(|one| one.from_ms < until && slot < one.to_ms)
                    .map(|one| Presence {
                        from_ms: one.from_ms.max(slot),
                        to_ms: one.to_ms.min(until),
                        ..*one
                    })
                    .collect();
                groups.shuffle(&mut here);
                for group in here.chunks(usize_of(rule.group).max(1)) {
                    let host = group.iter().position(|one| self.phone(one.worker).is_some());
                    let host = host.and_then(|place| group.get(place)).copied();
                    let others: Vec<Presence> = group
                        .iter()
                        .filter(|one| host.is_some_and(|host| host.worker != one.worker))
                        .copied()
                        .collect();
                    self.star(Kind::Market, host, &others, radio);
                }
                slot = until;
            }
        }
    }

    /// Everybody with the host, while both are there.
    fn star(&self, kind: Kind, host: Option<Presence>, all: &[Presence], radio: &mut Radio<'_>) {
        let Some(host) = host else { return };
        for one in all {
            let time = (one.from_ms.max(host.from_ms), one.to_ms.min(host.to_ms));
            self.meet(kind, (host.worker, one.worker), time, radio);
        }
    }

    fn meet(&self, kind: Kind, workers: (usize, usize), time: (u64, u64), radio: &mut Radio<'_>) {
        if let (Some(one), Some(other)) = (self.phone(workers.0), self.phone(workers.1)) {
            radio.meet(Encounter { kind, nodes: (one, other), time });
        }
    }

    fn at_hub(&self, kind: Kind, centre: usize, one: Presence, radio: &mut Radio<'_>) {
        if let Some(phone) = self.phone(one.worker) {
            let time = (one.from_ms, one.to_ms);
            radio.meet(Encounter { kind, nodes: (phone, self.hub(centre)), time });
        }
    }

    fn phone(&self, worker: usize) -> Option<usize> {
        self.workers.get(worker).and_then(|worker| worker.phone)
    }
}
