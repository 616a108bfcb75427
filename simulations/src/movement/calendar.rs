//! Which days are what.

use super::{DAY_MS, Group, HOUR_MS, MINUTE_MS, Movement, Worker};
use crate::draw::Draw;
use crate::scenario::{Between, Clock, Ratio};

/// Days of a week; day 0 is its first, a Monday.
const WEEK: u64 = 7;

impl Draw {
    /// True with the chance `ratio`.
    pub(crate) fn happens(&mut self, ratio: Ratio) -> bool {
        self.below(1_000_000) < ratio.millionths()
    }

    /// Something from the least to the most, in units of `unit` milliseconds.
    pub(super) fn lasting(&mut self, [least, most]: Between, unit: u64) -> u64 {
        self.between(least * unit, most * unit)
    }

    /// A moment from one time of day to another.
    pub(super) fn moment(&mut self, from: Clock, until: Clock) -> u64 {
        self.between(from.ms(), until.ms())
    }

    /// True in one of `every` cases; never if that is 0.
    pub(super) fn one_in(&mut self, every: u64) -> bool {
        self.below(every) == 0 && every > 0
    }
}

impl Movement {
    /// Whether it is a day on which people work.
    pub(super) const fn is_workday(&self, day: u64) -> bool {
        day % WEEK < self.scenario.people.workdays
    }

    /// How many workdays there were before that one.
    pub(super) const fn workday_number(&self, day: u64) -> u64 {
        day / WEEK * self.scenario.people.workdays + day % WEEK
    }

    /// Whether a group meets on that day: on one that is drawn for it, the same in each period of
    /// `every` days, or on the next workday.
    pub(super) fn meets(&self, what: &str, group: &Group, every: u64, day: u64) -> bool {
        if !self.is_workday(day) || every == 0 {
            return false;
        }
        let turn = self.draw(what, &group.id, 0).below(every);
        // Days off before this one are made up for on it.
        let off = (1..WEEK).take_while(|back| day >= *back && !self.is_workday(day - back));
        (0..=off.count() as u64).any(|back| (day - back) % every == turn)
    }

    /// Whether a sector has its market on that day.
    pub(super) fn is_market_day(&self, sector: &Group, day: u64) -> bool {
        let mut week: Vec<u64> = (0..WEEK).collect();
        self.draw("market days", &sector.id, 0).shuffle(&mut week);
        let count = super::usize_of(self.scenario.market.days_per_week);
        week.iter().take(count).any(|one| *one == day % WEEK)
    }

    /// When a phone is off on that day: at night, or away to be charged. From when to when, in
    /// milliseconds of the day.
    pub(super) fn off(&self, worker: &Worker, day: u64) -> Vec<(u64, u64)> {
        let phone = &self.scenario.phone;
        let mut off = Vec::new();
        if worker.off_at_night {
            match (phone.off_from.ms(), phone.off_until.ms()) {
                (from, until) if from <= until => off.push((from, until)),
                (from, until) => off.extend([(0, until), (from, DAY_MS)]),
            }
        }
        let turn = day.checked_rem(phone.shop_every_days);
        if let Some(village) = self.villages.get(worker.village).filter(|_| worker.shop == turn) {
            let mut draw = self.draw("shop", &village.id, day);
            // Each worker of the village has draws of her own in its stream.
            let mut away = (0, 0);
            for _ in 0..=worker.number {
                let from = draw.moment(phone.shop_from, phone.shop_until.max(phone.shop_from));
                away = (from, from + draw.lasting(phone.shop_minutes, MINUTE_MS));
            }
            off.push(away);
        }
        off
    }

    /// When a hub has internet on that day: from when to when, in milliseconds from the beginning
    /// of day 0. `node` is that of the hub; phones have none.
    #[must_use]
    pub fn internet(&self, node: usize, day: u64) -> Vec<(u64, u64)> {
        let hub = &self.scenario.hub;
        let centre = node.checked_sub(self.phones()).and_then(|place| self.centres.get(place));
        let Some(centre) = centre else { return Vec::new() };
        if !self.draw("internet", &centre.id, 0).happens(hub.internet) {
            return Vec::new();
        }
        let [_, most_hours] = hub.outage_hours;
        let before = (most_hours * HOUR_MS).div_ceil(DAY_MS);
        let (mut from, end) = (day * DAY_MS, (day + 1) * DAY_MS);
        let mut outages = Vec::new();
        for began in day.saturating_sub(before)..=day {
            let mut draw = self.draw("outage", &centre.id, began);
            if draw.one_in(hub.outage_every_days) {
                let out = began * DAY_MS + draw.below(DAY_MS);
                outages.push((out, out + draw.lasting(hub.outage_hours, HOUR_MS)));
            }
        }
        outages.sort_unstable();
        let mut there = Vec::new();
        for (out, again) in outages {
            if from < out.min(end) {
                there.push((from, out.min(end)));
            }
            from = from.max(again);
        }
        if from < end {
            there.push((from, end));
        }
        there
    }
}
