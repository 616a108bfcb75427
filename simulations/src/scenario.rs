//! Scenarios: where, how long, who has a phone, who meets whom, over which links.
//!
//! A scenario file is TOML in sections; what it does not say is taken from one table
//! ([`DEFAULTS`]), in which every value has a unit and a source, or says that it is an assumption.
//! A key that nobody knows is an error, because a misspelt one that is quietly ignored costs a
//! wrong decision. Every key can be set on top of the file as `section.key=value`, which is also
//! how sweeps do it.
//!
//! Text comes in, and values go out in the units they are written in; this module opens no file.

mod defaults;
mod read;
mod values;

use serde::Deserialize;

pub use defaults::{Basis, DEFAULTS, Setting};
pub use read::ScenarioError;
pub use values::{Clock, LinkKind, Ratio};

/// Least and most of what is drawn evenly between the two, both possible.
pub type Between = [u64; 2];

/// Everything that decides a run, checked. What a field means, its unit, bounds and source are in
/// [`DEFAULTS`] under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Scenario {
    pub days: u64,
    pub seed: u64,
    pub place: Place,
    pub synthetic: Synthetic,
    pub people: People,
    pub records: Records,
    pub home_visits: HomeVisits,
    pub village_pair: VillagePair,
    pub cell_meeting: Meeting,
    pub centre_meeting: Meeting,
    pub supply_visit: SupplyVisit,
    pub market: Market,
    pub neighbour: Neighbour,
    pub travel: Travel,
    pub phone: Phone,
    pub carry: Carry,
    pub hub: Hub,
    pub links: Links,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Place {
    pub villages: String,
    pub facilities: String,
    pub pick: Vec<String>,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Synthetic {
    pub catchments: u64,
    pub villages: Between,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct People {
    pub workers: u64,
    pub equipped: Ratio,
    pub workdays: u64,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Records {
    pub per_day: Between,
    pub danger: Ratio,
    pub bytes: Between,
    pub photo: Ratio,
    pub photo_bytes: Between,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct HomeVisits {
    pub per_day: u64,
    pub minutes: Between,
    pub from: Clock,
    pub until: Clock,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct VillagePair {
    pub per_day: Ratio,
    pub minutes: Between,
    pub from: Clock,
    pub until: Clock,
    pub link: LinkKind,
}

/// Section of [`Scenario`], for the meetings of a cell and of a health centre.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Meeting {
    pub every_days: u64,
    pub attend: Ratio,
    pub at: Clock,
    pub minutes: u64,
    pub late_minutes: Between,
    pub link: LinkKind,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct SupplyVisit {
    pub every_workdays: u64,
    pub coordinator_every_workdays: u64,
    pub from: Clock,
    pub until: Clock,
    pub minutes: Between,
    pub link: LinkKind,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Market {
    pub days_per_week: u64,
    pub go: Ratio,
    pub from: Clock,
    pub until: Clock,
    pub minutes: Between,
    pub group: u64,
    pub regroup_minutes: u64,
    pub link: LinkKind,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Neighbour {
    pub per_day: Ratio,
    pub villages: u64,
    pub stop: Ratio,
    pub minutes: Between,
    pub from: Clock,
    pub until: Clock,
    pub link: LinkKind,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Travel {
    pub walk_kmh: Ratio,
    pub bicycle_kmh: Ratio,
    pub bicycle: Ratio,
    pub detour: Ratio,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Phone {
    pub night_off: Ratio,
    pub off_from: Clock,
    pub off_until: Clock,
    pub shop: Ratio,
    pub shop_every_days: u64,
    pub shop_minutes: Between,
    pub shop_from: Clock,
    pub shop_until: Clock,
    pub battery_j: u64,
    pub verify_mw: u64,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Carry {
    pub mb: u64,
    pub days: u64,
}

/// Section of [`Scenario`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Hub {
    pub internet: Ratio,
    pub outage_every_days: u64,
    pub outage_hours: Between,
}

/// Section of [`Scenario`]: one for each kind of link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Links {
    pub ble: Link,
    pub wifi_direct: Link,
    pub hotspot: Link,
}

/// Section of [`Links`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of defaults is the documentation of each key")]
pub struct Link {
    pub range_m: u64,
    pub bytes_per_s: u64,
    pub setup_s: Between,
    pub missed: Ratio,
    pub scan_s: u64,
    pub scan_moving_s: u64,
    pub scan_rest_s: u64,
    pub scan_mw: u64,
    pub client_mw: u64,
    pub host_mw: u64,
}

impl Links {
    /// The link of a kind.
    #[must_use]
    pub const fn of(&self, kind: LinkKind) -> &Link {
        match kind {
            LinkKind::Ble => &self.ble,
            LinkKind::WifiDirect => &self.wifi_direct,
            LinkKind::Hotspot => &self.hotspot,
        }
    }
}
