//! What a run comes to in figures: one list, of which reports, comparisons and answers to machines
//! are views.

use serde::Serialize;

use super::outcome::{Delivery, Outcome, Phone, Waits};
use super::units::Unit;
use crate::stats::{Distribution, Survival};

/// Shares that delivery is told for, in per cent.
pub const SHARES: [u64; 3] = [50, 90, 99];

const DAY_S: u64 = 86_400;

const WHOLE: u64 = 1_000_000;

/// One figure of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Stable, for machines: `urgent.facility.p50`.
    pub key: String,
    /// What it belongs to, for people.
    pub group: &'static str,
    /// What it is, for people.
    pub what: String,
    /// Of the value.
    pub unit: Unit,
    /// None: never.
    pub value: Option<u64>,
}

impl Figure {
    /// The value for people.
    #[must_use]
    pub fn show(&self) -> String {
        self.value.map_or_else(|| "never".to_owned(), |value| self.unit.show(value))
    }
}

impl Waits {
    /// How the share that waits falls with the time since the writing, in seconds.
    #[must_use]
    pub fn survival(&self) -> Survival {
        let after = self.after.iter();
        Survival::estimate(after.map(|one| (one.seconds, one.happened, one.censored)))
    }
}

impl Delivery {
    /// The two ways to look at it, with their names.
    pub(super) fn ends(&self) -> [(&'static str, &Waits); 2] {
        [("facility", &self.to_facility), ("hub", &self.to_hub)]
    }
}

impl Outcome {
    /// The two kinds of records, with their names.
    pub(super) fn kinds(&self) -> [(&'static str, &Delivery); 2] {
        [("urgent", &self.urgent), ("routine", &self.routine)]
    }

    /// How long it went on.
    pub(super) const fn seconds(&self) -> u64 {
        self.days.saturating_mul(DAY_S)
    }

    /// What a setting was, if it is a number.
    pub(super) fn setting(&self, key: &str) -> Option<u64> {
        self.options.iter().find(|one| one.key == key)?.value.parse().ok()
    }

    /// What a phone sent and received, bytes a day.
    pub(super) fn traffic_a_day(&self, phone: &Phone) -> u64 {
        phone.sent.saturating_add(phone.received) / self.days.max(1)
    }

    /// What a phone spent for huza, millionths of its battery a day; none if the size of the
    /// battery is not told.
    pub(super) fn battery_a_day(&self, phone: &Phone) -> Option<u64> {
        let battery = self.setting("phone.battery_j")?.checked_mul(self.days)?;
        let spent = &phone.energy;
        let joules = [spent.discovery, spent.link, spent.host, spent.verify];
        let joules = joules.into_iter().fold(0, u64::saturating_add);
        joules.saturating_mul(WHOLE).checked_div(battery)
    }

    /// All figures, those that decide first. What there was nothing of is left out.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (kind, delivery) in self.kinds() {
            for (end, waits) in delivery.ends() {
                self.delivery(&mut figures, (kind, end), waits);
            }
        }
        self.reached(&mut figures);
        self.phones(&mut figures);
        self.hubs(&mut figures);
        self.met(&mut figures);
        figures
    }

    fn delivery(&self, figures: &mut Vec<Figure>, of: (&str, &str), waits: &Waits) {
        let survival = waits.survival();
        if survival.subjects() == 0 {
            return;
        }
        let group = match of {
            ("urgent", "facility") => "urgent record at a facility",
            ("urgent", _) => "urgent record at its hub",
            (_, "facility") => "routine record at a facility",
            _ => "routine record at its hub",
        };
        let mut add = |key: &str, what: String, unit, value| {
            let key = format!("{}.{}.{key}", of.0, of.1);
            figures.push(Figure { key, group, what, unit, value });
        };
        add("records", "records".to_owned(), Unit::Count, Some(survival.subjects()));
        for share in SHARES {
            let value = survival.reached(share);
            add(&format!("p{share}"), format!("{share} % within"), Unit::Seconds, value);
        }
        let never = Some(millionths(survival.never()));
        add("never", format!("not within {} days", self.days), Unit::Millionths, never);
        let waiting = survival.subjects() - survival.happened();
        let waiting = part(waiting, survival.subjects());
        add("waiting", "not there when the run ended".to_owned(), Unit::Millionths, waiting);
        let mean = Some(whole(survival.restricted_mean(self.seconds())));
        let what = format!("mean wait, {} days at most", self.days);
        add("mean", what, Unit::Seconds, mean);
    }

    fn reached(&self, figures: &mut Vec<Figure>) {
        let group = "villages";
        let mut add = |key: &str, what: &str, value: usize| {
            let (key, what) = (format!("villages.{key}"), what.to_owned());
            figures.push(Figure { key, group, what, unit: Unit::Count, value: number(value) });
        };
        let count = |is: &dyn Fn(&super::outcome::Village) -> bool| {
            self.villages.iter().filter(|village| is(village)).count()
        };
        add("all", "villages", self.villages.len());
        add("without_phone", "in which nobody has a phone", count(&|one| one.phones == 0));
        add("never", "of which nothing reached the hub", count(&|one| one.never_heard()));
        let behind = self.villages.iter().filter_map(|village| village.behind_seconds);
        let what = "the hub is behind by, in the mean";
        spread(figures, (group, "villages.behind", what), Unit::Seconds, behind);
    }

    fn phones(&self, figures: &mut Vec<Figure>) {
        let group = "phones";
        figures.push(Figure {
            key: "phones.all".to_owned(),
            group,
            what: "phones".to_owned(),
            unit: Unit::Count,
            value: number(self.phones.len()),
        });
        let traffic = self.phones.iter().map(|phone| self.traffic_a_day(phone));
        let what = "sent and received a day";
        spread(figures, (group, "phones.traffic_a_day", what), Unit::Bytes, traffic);
        let stored = self.phones.iter().map(|phone| phone.stored_peak);
        spread(figures, (group, "phones.stored", "stored at most"), Unit::Bytes, stored);
        let battery = self.phones.iter().filter_map(|phone| self.battery_a_day(phone));
        let what = "of the battery a day";
        spread(figures, (group, "phones.battery_a_day", what), Unit::Millionths, battery);
        let carried = Distribution::new(self.phones.iter().map(|phone| phone.carried));
        if let Some(share) = carried.held_by_largest(10) {
            figures.push(Figure {
                key: "phones.carried_by_tenth".to_owned(),
                group,
                what: "of what was carried for others, by the busiest tenth".to_owned(),
                unit: Unit::Millionths,
                value: Some(share * (WHOLE / 100)),
            });
        }
    }

    fn hubs(&self, figures: &mut Vec<Figure>) {
        let group = "hubs";
        let count = |key: &str, what: &str, value: usize| Figure {
            key: format!("hubs.{key}"),
            group,
            what: what.to_owned(),
            unit: Unit::Count,
            value: number(value),
        };
        let without = self.hubs.iter().filter(|hub| !hub.internet).count();
        figures.push(count("all", "hubs", self.hubs.len()));
        figures.push(count("without_internet", "that never have internet", without));
        let at_once = self.hubs.iter().map(|hub| hub.contacts_at_once);
        let what = "phones in contact at once, at most";
        spread(figures, (group, "hubs.contacts_at_once", what), Unit::Count, at_once);
        let received = self.hubs.iter().map(|hub| hub.received / self.days.max(1));
        let what = "received a day";
        spread(figures, (group, "hubs.received_a_day", what), Unit::Bytes, received);
        let stored = self.hubs.iter().map(|hub| hub.stored_peak);
        spread(figures, (group, "hubs.stored", "stored at most"), Unit::Bytes, stored);
    }

    fn met(&self, figures: &mut Vec<Figure>) {
        let sum = |of: fn(&super::outcome::Meetings) -> u64| {
            self.meetings.iter().map(of).fold(0, u64::saturating_add)
        };
        let met = sum(|one| one.met);
        let mut add = |key: &str, what: &str, unit, value: Option<u64>| {
            let (key, what) = (format!("meetings.{key}"), what.to_owned());
            if value.is_some() {
                figures.push(Figure { key, group: "meetings", what, unit, value });
            }
        };
        add("met", "meetings of two devices", Unit::Count, Some(met));
        let of_met = |value| part(value, met);
        add("off", "in which a phone was off", Unit::Millionths, of_met(sum(|one| one.off)));
        let missed = of_met(sum(|one| one.missed));
        add("missed", "that the radio did not notice", Unit::Millionths, missed);
        let short = of_met(sum(|one| one.short));
        add("short", "too short to set up a link", Unit::Millionths, short);
        let contacts = sum(|one| one.contacts);
        add("contacts", "contacts, which remain", Unit::Count, Some(contacts));
        let cut = part(sum(|one| one.cut), contacts);
        add("cut", "contacts that ended before all was exchanged", Unit::Millionths, cut);
        let idle = part(sum(|one| one.idle), contacts);
        add("idle", "contacts with nothing new to exchange", Unit::Millionths, idle);
        add("bytes", "exchanged in all", Unit::Bytes, Some(sum(|one| one.bytes)));
    }
}

/// Median, 90 % and the largest of values, if there are any. `of`: group, key and what it is.
fn spread(
    figures: &mut Vec<Figure>,
    (group, key, what): (&'static str, &str, &str),
    unit: Unit,
    values: impl Iterator<Item = u64>,
) {
    let all = Distribution::new(values);
    let rows = [
        ("median", "half at most", all.quantile(50)),
        ("p90", "90 % at most", all.quantile(90)),
        ("max", "the most", all.max()),
    ];
    for (name, told, value) in rows {
        if value.is_some() {
            let (key, what) = (format!("{key}.{name}"), format!("{what}: {told}"));
            figures.push(Figure { key, group, what, unit, value });
        }
    }
}

fn number(count: usize) -> Option<u64> {
    u64::try_from(count).ok()
}

/// Millionths that `part` is of `whole`; none if that is nothing.
pub(super) fn part(part: u64, whole: u64) -> Option<u64> {
    let share = (u128::from(part) * u128::from(WHOLE)).checked_div(u128::from(whole))?;
    u64::try_from(share).ok()
}

/// Of a share from 0 to 1.
pub(super) fn millionths(share: f64) -> u64 {
    whole(share * 1e6)
}

/// Rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and seconds, never negative and far below the bound"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}
