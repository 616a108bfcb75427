//! Every default, with its unit and its source.

/// Where a default is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A publication says so.
    Published(&'static str),
    /// Measured on public data.
    Measured(&'static str),
    /// Nobody has measured it: sweep it before you lean on it.
    Assumption,
    /// The operator's choice; nothing to be right or wrong about.
    Choice,
}

/// One key of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// `section.key`.
    pub key: &'static str,
    /// The default, as TOML. Lists of two numbers are the least and the most of what is drawn evenly.
    pub value: &'static str,
    /// Of the value; empty for names.
    pub unit: &'static str,
    /// The least and the greatest number that make sense.
    pub bounds: (f64, f64),
    /// Where the default is from.
    pub basis: Basis,
    /// What it is.
    pub what: &'static str,
}

use Basis::{Assumption, Choice, Measured, Published};

const fn set(
    key: &'static str,
    value: &'static str,
    unit: &'static str,
    bounds: (f64, f64),
    basis: Basis,
    what: &'static str,
) -> Setting {
    Setting { key, value, unit, bounds, basis, what }
}

const SHARE: (f64, f64) = (0.0, 1.0);
const TEXT: (f64, f64) = (0.0, 0.0);
const DAYS: (f64, f64) = (0.0, 3_650.0);
const DAY_MINUTES: (f64, f64) = (0.0, 1_440.0);
const BYTES: (f64, f64) = (0.0, 1e9);
const MILLIWATTS: (f64, f64) = (0.0, 100_000.0);
const SECONDS: (f64, f64) = (0.0, 86_400.0);

const CHWCENTRAL: Basis =
    Published("chwcentral.org, Rwanda's community health programme: 3 workers a village");
const VILLAGES: Basis = Measured(
    "WASAC village polygons (CC BY 4.0) and Maina et al. 2019: median 30 villages a centre",
);
const SPEED: Basis = Published(
    "Huerta Munoz and Kallestal 2012 (Rwanda 1.5-5 km/h on foot); Malaria J 2017 (bicycle 11 km/h)",
);
const BLE_RATE: Basis = Published(
    "neuro.devsflow.ca: Android's BLE carries 10-140 kB/s, 20-80 with data length extension",
);
const WIFI_RATE: Basis = Published(
    "bit rates of device-to-device Wi-Fi: 320 Mbit/s within 20 m to 0.1 at 300 m, two-ray ground",
);
const MONTHLY: Basis = Published(
    "malariamatters.org 2018: one co-operative a health centre, monthly reports drive pay",
);
const COORDINATOR: Basis = Published(
    "Ministry of Health slides: one coordinator a cell, elected; how often they meet is assumed",
);
const HOST: Basis = Published(
    "Trifunovic, ETH: a Wi-Fi Direct host spends 2-5 times a client; the watts are assumed",
);

/// Every key there is, in the order in which it is shown.
pub const DEFAULTS: &[Setting] = &[
    set("days", "30", "days", (1.0, 3_650.0), Choice, "how long; day 0 is a Monday"),
    set("seed", "1", "", (0.0, 9e15), Choice, "of everything that is drawn"),
    set(
        "place.villages",
        "\"\"",
        "",
        TEXT,
        Choice,
        "table of villages (CSV, may be gzip); a relative path begins at the scenario; none: a synthetic place",
    ),
    set("place.facilities", "\"\"", "", TEXT, Choice, "table of facilities"),
    set(
        "place.pick",
        "[]",
        "",
        TEXT,
        Choice,
        "districts and sectors (`District/Sector` where a name repeats); none: all",
    ),
    set(
        "synthetic.catchments",
        "3",
        "health centres",
        (1.0, 1_000.0),
        Choice,
        "of the synthetic place",
    ),
    set(
        "synthetic.villages",
        "[20, 40]",
        "villages a centre",
        (1.0, 1_000.0),
        VILLAGES,
        "of the synthetic place",
    ),
    set(
        "people.workers",
        "3",
        "workers a village",
        (1.0, 20.0),
        CHWCENTRAL,
        "community health workers, with or without a phone",
    ),
    set(
        "people.equipped",
        "0.5",
        "share of workers",
        SHARE,
        Assumption,
        "who have a phone with the app",
    ),
    set("people.workdays", "5", "days a week", (1.0, 7.0), Assumption, "from Monday on"),
    set(
        "records.per_day",
        "[6, 15]",
        "records a worker and workday",
        (0.0, 1_000.0),
        Assumption,
        "written in home visits",
    ),
    set("records.danger", "0.02", "share of records", SHARE, Assumption, "with a danger sign"),
    set("records.bytes", "[500, 2000]", "bytes", BYTES, Assumption, "of a signed record"),
    set("records.photo", "0.05", "share of records", SHARE, Assumption, "with a photo"),
    set("records.photo_bytes", "[50000, 200000]", "bytes", BYTES, Assumption, "of a photo"),
    set(
        "home_visits.per_day",
        "3",
        "visits a worker and workday",
        (0.0, 24.0),
        Published(
            "Al Jazeera 2019: a maternal worker sees two women a day or more, 1-2 h each; else assumed",
        ),
        "households seen, one after another",
    ),
    set("home_visits.minutes", "[20, 60]", "minutes", DAY_MINUTES, Assumption, "of a home visit"),
    set("home_visits.from", "\"07:30\"", "time of day", TEXT, Assumption, "the first begins"),
    set("home_visits.until", "\"12:00\"", "time of day", TEXT, Assumption, "the last ends"),
    set(
        "village_pair.per_day",
        "0.5",
        "meetings a pair and day",
        SHARE,
        Assumption,
        "chance that two workers of a village meet",
    ),
    set(
        "village_pair.minutes",
        "[5, 30]",
        "minutes",
        DAY_MINUTES,
        Assumption,
        "that they are together",
    ),
    set("village_pair.from", "\"06:30\"", "time of day", TEXT, Assumption, "not before"),
    set("village_pair.until", "\"21:00\"", "time of day", TEXT, Assumption, "they begin until"),
    set("village_pair.link", "\"ble\"", "", TEXT, Assumption, "what they talk over"),
    set(
        "cell_meeting.every_days",
        "30",
        "days",
        DAYS,
        COORDINATOR,
        "from one meeting to the next, moved to a workday; 0: never",
    ),
    set("cell_meeting.attend", "0.85", "share of workers", SHARE, Assumption, "who come"),
    set("cell_meeting.at", "\"14:00\"", "time of day", TEXT, Assumption, "it begins"),
    set("cell_meeting.minutes", "120", "minutes", DAY_MINUTES, Assumption, "it lasts"),
    set(
        "cell_meeting.late_minutes",
        "[0, 20]",
        "minutes",
        DAY_MINUTES,
        Assumption,
        "after the beginning that somebody comes",
    ),
    set("cell_meeting.link", "\"hotspot\"", "", TEXT, Assumption, "of the coordinator's phone"),
    set(
        "centre_meeting.every_days",
        "30",
        "days",
        DAYS,
        MONTHLY,
        "from one meeting to the next, moved to a workday; 0: never",
    ),
    set("centre_meeting.attend", "0.85", "share of workers", SHARE, Assumption, "who come"),
    set("centre_meeting.at", "\"09:00\"", "time of day", TEXT, Assumption, "it begins"),
    set("centre_meeting.minutes", "180", "minutes", DAY_MINUTES, Assumption, "it lasts"),
    set(
        "centre_meeting.late_minutes",
        "[0, 30]",
        "minutes",
        DAY_MINUTES,
        Assumption,
        "after the beginning that somebody comes",
    ),
    set("centre_meeting.link", "\"hotspot\"", "", TEXT, Assumption, "of the hub"),
    set(
        "supply_visit.every_workdays",
        "14",
        "workdays",
        DAYS,
        Assumption,
        "a worker's way to the centre, on each workday with a chance of one in that many; 0: never",
    ),
    set(
        "supply_visit.coordinator_every_workdays",
        "0",
        "workdays",
        DAYS,
        Assumption,
        "further ways of the coordinator of a cell, on every so many workdays; 0: none",
    ),
    set("supply_visit.from", "\"07:30\"", "time of day", TEXT, Assumption, "they leave after"),
    set("supply_visit.until", "\"13:00\"", "time of day", TEXT, Assumption, "they leave before"),
    set("supply_visit.minutes", "[30, 60]", "minutes", DAY_MINUTES, Assumption, "that they stay"),
    set("supply_visit.link", "\"hotspot\"", "", TEXT, Assumption, "of the hub"),
    set(
        "market.days_per_week",
        "2",
        "days a week",
        (0.0, 7.0),
        Assumption,
        "the same days every week, drawn for each sector",
    ),
    set(
        "market.go",
        "0.3",
        "share of workers",
        SHARE,
        Assumption,
        "who go to a market of their sector",
    ),
    set("market.from", "\"08:00\"", "time of day", TEXT, Assumption, "they come after"),
    set("market.until", "\"13:00\"", "time of day", TEXT, Assumption, "they come before"),
    set("market.minutes", "[120, 240]", "minutes", DAY_MINUTES, Assumption, "that they stay"),
    set("market.group", "6", "workers", (1.0, 1_000.0), Assumption, "in range of each other"),
    set(
        "market.regroup_minutes",
        "240",
        "minutes",
        (1.0, 1_440.0),
        Assumption,
        "after which they stand with others",
    ),
    set("market.link", "\"ble\"", "", TEXT, Assumption, "round one phone of the group"),
    set(
        "neighbour.per_day",
        "0.03",
        "encounters a worker and day",
        SHARE,
        Assumption,
        "with somebody of a neighbouring village",
    ),
    set(
        "neighbour.villages",
        "5",
        "villages",
        (1.0, 100.0),
        Measured("WASAC village polygons: the fifth nearest village is at 1.45 km (median)"),
        "the nearest ones are neighbours",
    ),
    set(
        "neighbour.stop",
        "0.5",
        "share of encounters",
        SHARE,
        Assumption,
        "in which they stop; others pass each other on foot",
    ),
    set("neighbour.minutes", "[2, 15]", "minutes", DAY_MINUTES, Assumption, "that they stop for"),
    set("neighbour.from", "\"07:00\"", "time of day", TEXT, Assumption, "not before"),
    set("neighbour.until", "\"18:00\"", "time of day", TEXT, Assumption, "they begin until"),
    set("neighbour.link", "\"ble\"", "", TEXT, Assumption, "what they talk over"),
    set("travel.walk_kmh", "4.0", "km/h", (0.1, 20.0), SPEED, "on paths"),
    set("travel.bicycle_kmh", "10.0", "km/h", (0.1, 50.0), SPEED, "on paths"),
    set("travel.bicycle", "0.3", "share of workers", SHARE, Assumption, "who go by bicycle"),
    set(
        "travel.detour",
        "1.3",
        "times",
        (1.0, 10.0),
        Assumption,
        "that a path is longer than the straight line",
    ),
    set(
        "phone.night_off",
        "0.4",
        "share of phones",
        SHARE,
        Assumption,
        "that are switched off every night",
    ),
    set("phone.off_from", "\"21:00\"", "time of day", TEXT, Assumption, "they are off from"),
    set("phone.off_until", "\"05:30\"", "time of day", TEXT, Assumption, "they are off until"),
    set("phone.shop", "0.3", "share of phones", SHARE, Assumption, "that are charged at a shop"),
    set("phone.shop_every_days", "2", "days", (1.0, 365.0), Assumption, "between two times"),
    set(
        "phone.shop_minutes",
        "[60, 180]",
        "minutes",
        DAY_MINUTES,
        Assumption,
        "that they are away and off",
    ),
    set("phone.shop_from", "\"08:00\"", "time of day", TEXT, Assumption, "they are brought after"),
    set(
        "phone.shop_until",
        "\"16:00\"",
        "time of day",
        TEXT,
        Assumption,
        "they are brought before",
    ),
    set(
        "phone.battery_j",
        "69000",
        "joules",
        (1.0, 1e7),
        Assumption,
        "a full battery: 5,000 mAh at 3.85 V",
    ),
    set(
        "phone.verify_mw",
        "800",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "while signatures are checked",
    ),
    set(
        "carry.mb",
        "256",
        "MB of 2^20 bytes",
        (0.0, 1_048_576.0),
        Assumption,
        "that a device carries for other health centres, but for what is urgent: `carry_mb` of huza.toml",
    ),
    set(
        "carry.days",
        "60",
        "days",
        (1.0, 3_650.0),
        Assumption,
        "after which that is let go in any case: `carry_days` of huza.toml",
    ),
    set(
        "hub.internet",
        "0.8",
        "share of hubs",
        SHARE,
        Assumption,
        "that have internet, when it is not out",
    ),
    set(
        "hub.outage_every_days",
        "5",
        "days",
        DAYS,
        Assumption,
        "an outage begins on each day with a chance of one in that many; 0: never",
    ),
    set(
        "hub.outage_hours",
        "[0, 16]",
        "hours",
        (0.0, 48.0),
        Assumption,
        "of an outage: 8 in the mean",
    ),
    set("links.ble.range_m", "20", "metres", (1.0, 1_000.0), Assumption, "that it reaches"),
    set(
        "links.ble.bytes_per_s",
        "40000",
        "bytes a second",
        (1.0, 1e9),
        BLE_RATE,
        "that it carries",
    ),
    set("links.ble.setup_s", "[2, 8]", "seconds", SECONDS, Assumption, "until the first byte"),
    set(
        "links.ble.missed",
        "0.3",
        "share of contacts",
        SHARE,
        Published("arXiv 2101.09075: near phones are detected with a rate of 0.54-0.65; here 0.7"),
        "that are not noticed, in a pocket",
    ),
    set("links.ble.scan_s", "5", "seconds", SECONDS, Assumption, "of each scan"),
    set(
        "links.ble.scan_moving_s",
        "60",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone on the move; 0: all the time",
    ),
    set(
        "links.ble.scan_rest_s",
        "300",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone at rest; 0: all the time",
    ),
    set("links.ble.scan_mw", "50", "milliwatts", MILLIWATTS, Assumption, "during a scan"),
    set("links.ble.client_mw", "100", "milliwatts", MILLIWATTS, Assumption, "during a transfer"),
    set(
        "links.ble.host_mw",
        "100",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "during a transfer, where it is the middle of a group",
    ),
    set("links.wifi_direct.range_m", "50", "metres", (1.0, 1_000.0), WIFI_RATE, "that it reaches"),
    set(
        "links.wifi_direct.bytes_per_s",
        "2500000",
        "bytes a second",
        (1.0, 1e9),
        WIFI_RATE,
        "that it carries: 20 Mbit/s",
    ),
    set(
        "links.wifi_direct.setup_s",
        "[5, 15]",
        "seconds",
        SECONDS,
        Assumption,
        "until the first byte",
    ),
    set(
        "links.wifi_direct.missed",
        "0.3",
        "share of contacts",
        SHARE,
        Assumption,
        "that are not noticed, or not agreed to: the first time somebody must tap",
    ),
    set("links.wifi_direct.scan_s", "5", "seconds", SECONDS, Assumption, "of each scan"),
    set(
        "links.wifi_direct.scan_moving_s",
        "60",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone on the move; 0: all the time",
    ),
    set(
        "links.wifi_direct.scan_rest_s",
        "300",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone at rest; 0: all the time",
    ),
    set(
        "links.wifi_direct.scan_mw",
        "50",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "during a scan, which is Bluetooth's",
    ),
    set(
        "links.wifi_direct.client_mw",
        "600",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "during a transfer",
    ),
    set(
        "links.wifi_direct.host_mw",
        "1500",
        "milliwatts",
        MILLIWATTS,
        HOST,
        "during a transfer, of the group's owner",
    ),
    set("links.hotspot.range_m", "50", "metres", (1.0, 1_000.0), WIFI_RATE, "that it reaches"),
    set(
        "links.hotspot.bytes_per_s",
        "2500000",
        "bytes a second",
        (1.0, 1e9),
        WIFI_RATE,
        "that it carries: 20 Mbit/s",
    ),
    set("links.hotspot.setup_s", "[5, 15]", "seconds", SECONDS, Assumption, "until the first byte"),
    set(
        "links.hotspot.missed",
        "0.05",
        "share of contacts",
        SHARE,
        Assumption,
        "that are not noticed although people meet for it",
    ),
    set("links.hotspot.scan_s", "5", "seconds", SECONDS, Assumption, "of each scan"),
    set(
        "links.hotspot.scan_moving_s",
        "60",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone on the move; 0: all the time",
    ),
    set(
        "links.hotspot.scan_rest_s",
        "300",
        "seconds",
        SECONDS,
        Assumption,
        "between two scans of a phone at rest; 0: all the time",
    ),
    set(
        "links.hotspot.scan_mw",
        "50",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "during a scan, which is Bluetooth's",
    ),
    set(
        "links.hotspot.client_mw",
        "600",
        "milliwatts",
        MILLIWATTS,
        Assumption,
        "during a transfer",
    ),
    set(
        "links.hotspot.host_mw",
        "1500",
        "milliwatts",
        MILLIWATTS,
        HOST,
        "during a transfer, of whoever gives the hotspot",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_default_is_told_with_what_it_is_its_unit_and_its_source() {
        let mut keys = std::collections::BTreeSet::new();
        for one in DEFAULTS {
            assert!(keys.insert(one.key), "{} is there twice", one.key);
            assert!(!one.what.is_empty(), "{}", one.key);
            let is_number = !one.value.contains('"') && one.value != "[]" && one.key != "seed";
            assert!(!is_number || !one.unit.is_empty(), "{} has no unit", one.key);
            match one.basis {
                Published(source) | Measured(source) => assert!(source.len() > 20, "{}", one.key),
                Assumption => {}
                Choice => assert!(
                    ["days", "seed"].contains(&one.key)
                        || one.key.starts_with("place.")
                        || one.key == "synthetic.catchments",
                    "{} is nothing to choose freely: say where it is from",
                    one.key
                ),
            }
        }
    }
}
