//! What workers write, and when.

use super::{DAY_MS, MINUTE_MS, Movement};

/// Something a worker writes on her phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// When, in milliseconds from the beginning of day 0.
    pub at_ms: u64,
    /// The node of her phone.
    pub phone: usize,
    /// Whether there is a danger sign, which makes it urgent.
    pub danger: bool,
    /// How long it is, signed, with its photo if it has one.
    pub bytes: u64,
}

impl Movement {
    /// The records that are written on a day, sorted. Home visits follow one another, each within
    /// an equal part of the time for them; records are written in home visits, as evenly as they
    /// divide.
    #[must_use]
    pub fn records(&self, day: u64) -> Vec<Record> {
        let mut all = Vec::new();
        if self.is_workday(day) {
            for (phone, worker) in self.phones.iter().enumerate() {
                self.workday(phone, *worker, day, &mut all);
            }
        }
        all.sort_unstable();
        all
    }

    fn workday(&self, phone: usize, worker: usize, day: u64, into: &mut Vec<Record>) {
        let (rule, visits) = (&self.scenario.records, &self.scenario.home_visits);
        let Some(worker) = self.workers.get(worker) else { return };
        let Some(village) = self.villages.get(worker.village) else { return };
        let place = format!("{}/{}", village.id, worker.number);
        let mut draw = self.draw("records", &place, day);
        let [least, most] = rule.per_day;
        let count = draw.between(least, most);
        let parts = visits.per_day.max(1);
        let part = (visits.until.ms() - visits.from.ms()) / parts;
        let spans: Vec<(u64, u64)> = (0..parts)
            .map(|number| {
                let length = draw.lasting(visits.minutes, MINUTE_MS).min(part);
                let from = visits.from.ms() + number * part + draw.between(0, part - length);
                (from, from + length)
            })
            .collect();
        for (_, (from, until)) in (0..count).zip(spans.iter().cycle()) {
            let at_ms = day * DAY_MS + draw.between(*from, *until);
            let danger = draw.happens(rule.danger);
            let (photo, [least, most]) = (draw.happens(rule.photo), rule.bytes);
            let [photo_least, photo_most] = rule.photo_bytes;
            let mut bytes = draw.between(least, most);
            let photo_bytes = draw.between(photo_least, photo_most);
            if photo {
                bytes += photo_bytes;
            }
            into.push(Record { at_ms, phone, danger, bytes });
        }
    }
}
