//! Adds up what a run tells to what came of it.

#![expect(
    clippy::indexing_slicing,
    reason = "what is counted by phone, hub, village and kind has a place for each of the plan's"
)]

use std::collections::BTreeMap;

use super::cost::VERIFY_US;
use super::outcome::{
    Chosen, Delivery, Energy, FORMAT, Hub, Meetings, Outcome, Phone, Village, Waited, Waits,
};
use super::plan::{Drawn, Event, Passed, Plan as _, RecordId, Watch};
use super::sized::Load;
use crate::geography::{Geography, Position};
use crate::movement::{DAY_MS, Kind, Tally};
use crate::scenario::{Basis, DEFAULTS, Scenario};

const MINUTE_MS: u64 = 60_000;

/// What is noted with the time of a record.
const DANGER: u64 = 1;
const AT_HUB: u64 = 2;
const DELIVERED: u64 = 4;
const NOTES: u32 = 3;

/// What a run is called and how it was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The scenario's file, or what was swept.
    pub name: String,
    /// As it is written on the command line.
    pub strategy: String,
    /// `sized` or `full`.
    pub fidelity: String,
    /// Keys of the scenario -> what they were set to, as TOML.
    pub settings: BTreeMap<String, String>,
}

/// Hears of all that happens in a run.
#[derive(Debug)]
pub struct Account<'a> {
    drawn: &'a Drawn,
    geography: &'a Geography,
    hash: blake3::Hasher,
    heard: Vec<u8>,
    /// Phone -> its records: when they were written, and the notes below.
    records: Vec<Vec<u64>>,
    /// Of routine and of urgent records: minutes -> how often.
    to_hub: [BTreeMap<u64, u64>; 2],
    to_facility: [BTreeMap<u64, u64>; 2],
    villages: Vec<Lag>,
    hubs: Vec<Hub>,
    phones: Vec<Phone>,
    /// Millionths of a joule: as guest, as host; and billionths: checking signatures.
    energy: Vec<[u64; 3]>,
    meetings: [Meetings; 6],
}

#[derive(Debug, Clone, Copy, Default)]
struct Lag {
    written: u64,
    at_hub: u64,
    /// Milliseconds that records were not at the hub, all together.
    behind: u64,
    last: Option<u64>,
}

impl<'a> Account<'a> {
    /// Of a run of that plan in that geography.
    #[must_use]
    pub fn new(drawn: &'a Drawn, geography: &'a Geography) -> Self {
        let place = drawn.place();
        let movement = drawn.movement();
        let hub = |number: usize| {
            let node = place.phones.len() + number;
            let facility = movement.facility(node).and_then(|at| geography.facilities.get(at));
            Hub {
                id: facility.map(|one| one.id.clone()).unwrap_or_default(),
                name: facility.map(|one| one.name.clone()).unwrap_or_default(),
                position: facility.map(|one| position(one.position)).unwrap_or_default(),
                internet: (0..place.days).any(|day| !movement.internet(node, day).is_empty()),
                ..Hub::default()
            }
        };
        let phone = |home: &super::plan::Home| Phone { village: home.village, ..Phone::default() };
        let kind = |kind: Kind| Meetings { kind: kind.name().to_owned(), ..Meetings::default() };
        Self {
            drawn,
            geography,
            hash: blake3::Hasher::new(),
            heard: Vec::new(),
            records: vec![Vec::new(); place.phones.len()],
            to_hub: Default::default(),
            to_facility: Default::default(),
            villages: vec![Lag::default(); geography.villages.len()],
            hubs: (0..place.hubs).map(hub).collect(),
            phones: place.phones.iter().map(phone).collect(),
            energy: vec![[0; 3]; place.phones.len()],
            meetings: Kind::ALL.map(kind),
        }
    }

    /// The hash of all that happened so far.
    fn hash(&mut self) -> String {
        self.hash.update(&self.heard);
        self.heard.clear();
        self.hash.finalize().to_hex().to_string()
    }

    /// Notes something with a record, and returns whether it was not noted before, its village,
    /// whether it is urgent, and the milliseconds since it was written.
    fn note(&mut self, record: RecordId, note: u64, at_ms: u64) -> Option<(usize, usize, u64)> {
        let village = self.phones[record.phone].village;
        let noted = self.records[record.phone].get_mut(record.number)?;
        let new = *noted & note == 0;
        *noted |= note;
        let urgent = usize::from(*noted & DANGER > 0);
        new.then(|| (village, urgent, at_ms.saturating_sub(*noted >> NOTES)))
    }

    fn passed(&mut self, passed: &Passed) {
        let Passed { contact, host, bytes, carried, new, cut } = passed;
        let meetings = &mut self.meetings[contact.kind as usize];
        meetings.contacts += 1;
        meetings.cut += u64::from(*cut);
        meetings.idle += u64::from(*new == [0, 0]);
        meetings.bytes += bytes[0] + bytes[1];
        meetings.seconds += (contact.to_ms - contact.from_ms) / 1_000;
        let scenario = self.drawn.movement().scenario();
        let link = scenario.links.of(contact.link);
        let busy_ms = (bytes[0] + bytes[1]) * 1_000 / link.bytes_per_s.max(1);
        for (side, node) in [contact.nodes.0, contact.nodes.1].into_iter().enumerate() {
            let (sent, received) = (bytes[side], bytes[1 - side]);
            if let Some(phone) = self.phones.get_mut(node) {
                phone.contacts += u64::from(bytes[0] + bytes[1] > 0);
                phone.sent += sent;
                phone.received += received;
                phone.carried += carried[side];
                let energy = &mut self.energy[node];
                if side == *host {
                    energy[1] += busy_ms * link.host_mw;
                } else {
                    energy[0] += busy_ms * link.client_mw;
                }
                energy[2] += new[side] * VERIFY_US * scenario.phone.verify_mw;
            } else if let Some(hub) = self.hubs.get_mut(node - self.phones.len()) {
                hub.contacts += 1;
                hub.sent += sent;
                hub.received += received;
            }
        }
    }

    /// What came of it, `loads` being what each node went through.
    #[must_use]
    pub fn finish(mut self, made: Made, loads: &[Load]) -> Outcome {
        let end = self.drawn.place().days * DAY_MS;
        let log_hash = self.hash();
        let mut never: [[BTreeMap<u64, u64>; 2]; 2] = Default::default();
        let mut written = [0; 2];
        for (phone, records) in self.records.iter().enumerate() {
            for record in records {
                let (urgent, watched) = (usize::from(record & DANGER > 0), end - (record >> NOTES));
                written[urgent] += 1;
                for (never, note) in never.iter_mut().zip([AT_HUB, DELIVERED]) {
                    if record & note == 0 {
                        *never[urgent].entry(watched.div_ceil(MINUTE_MS)).or_default() += 1;
                    }
                }
                if record & AT_HUB == 0 {
                    self.villages[self.phones[phone].village].behind += watched;
                }
            }
        }
        let delivery = |urgent: usize| Delivery {
            written: written[urgent],
            to_hub: waits(&self.to_hub[urgent], &never[0][urgent]),
            to_facility: waits(&self.to_facility[urgent], &never[1][urgent]),
        };
        let scenario = self.drawn.movement().scenario();
        let (routine, urgent) = (delivery(0), delivery(1));
        let discovery = discovery_j(scenario);
        for (node, load) in loads.iter().enumerate() {
            if let Some(phone) = self.phones.get_mut(node) {
                let [link, host, verify] = self.energy[node];
                let (link, host, verify) =
                    (link / 1_000_000, host / 1_000_000, verify / 1_000_000_000);
                phone.energy = Energy { discovery, link, host, verify };
                phone.stored_peak = load.stored_peak;
            } else if let Some(hub) = self.hubs.get_mut(node - self.phones.len()) {
                (hub.stored_peak, hub.contacts_at_once) = (load.stored_peak, load.at_once);
            }
        }
        Outcome {
            format: FORMAT,
            name: made.name,
            strategy: made.strategy,
            fidelity: made.fidelity,
            seed: scenario.seed,
            days: scenario.days,
            log_hash,
            options: chosen(&made.settings),
            urgent,
            routine,
            villages: villages(self.drawn, self.geography, &self.villages),
            hubs: self.hubs,
            phones: self.phones,
            meetings: self.meetings.to_vec(),
        }
    }
}

impl Watch for Account<'_> {
    fn met(&mut self, tallies: &[Tally; 6]) {
        for (meetings, tally) in self.meetings.iter_mut().zip(tallies) {
            meetings.met += tally.met;
            meetings.off += tally.off;
            meetings.missed += tally.missed;
            meetings.short += tally.short;
        }
    }

    fn see(&mut self, event: Event) {
        let mut numbers = |kind: u8, numbers: &[u64]| {
            self.heard.push(kind);
            self.heard.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        };
        let id = |record: RecordId| [record.phone as u64, record.number as u64];
        match event {
            Event::Written { id: RecordId { phone, .. }, record } => {
                numbers(0, &[record.at_ms, phone as u64, record.bytes]);
                let danger = if record.danger { DANGER } else { 0 };
                self.records[phone].push(record.at_ms << NOTES | danger);
                self.villages[self.phones[phone].village].written += 1;
            }
            Event::Arrived { at_ms, record, node } => {
                let [phone, number] = id(record);
                numbers(1, &[at_ms, phone, number, node as u64]);
                if self.drawn.place().phones.len() + self.drawn.place().phones[record.phone].hub
                    == node
                    && let Some((village, urgent, waited)) = self.note(record, AT_HUB, at_ms)
                {
                    *self.to_hub[urgent].entry(waited.div_ceil(MINUTE_MS)).or_default() += 1;
                    let village = &mut self.villages[village];
                    village.at_hub += 1;
                    village.behind += waited;
                    village.last = village.last.max(Some(at_ms));
                }
            }
            Event::Delivered { at_ms, record } => {
                let [phone, number] = id(record);
                numbers(2, &[at_ms, phone, number]);
                if let Some((_, urgent, waited)) = self.note(record, DELIVERED, at_ms) {
                    *self.to_facility[urgent].entry(waited.div_ceil(MINUTE_MS)).or_default() += 1;
                }
            }
            Event::Parted(passed) => {
                let Passed { contact, bytes, new, .. } = &passed;
                let (one, other) = contact.nodes;
                numbers(3, &[contact.from_ms, one as u64, other as u64]);
                numbers(3, &[bytes[0], bytes[1], new[0], new[1]]);
                self.passed(&passed);
            }
        }
        if self.heard.len() > 65_536 {
            self.hash.update(&self.heard);
            self.heard.clear();
        }
    }
}

fn waits(happened: &BTreeMap<u64, u64>, censored: &BTreeMap<u64, u64>) -> Waits {
    let mut after: BTreeMap<u64, Waited> = BTreeMap::new();
    for (minutes, count) in happened {
        after.entry(*minutes).or_default().happened = *count;
    }
    for (minutes, count) in censored {
        after.entry(*minutes).or_default().censored = *count;
    }
    let waited = |(minutes, waited)| Waited { seconds: minutes * 60, ..waited };
    Waits { after: after.into_iter().map(waited).collect() }
}

/// Joules that a phone spends in the whole run to look for others: it scans as on the move while home
/// visits are made, else as at rest. Nights on which it is off count too.
fn discovery_j(scenario: &Scenario) -> u64 {
    let link = &scenario.links.ble;
    let moving = scenario.home_visits.until.ms().saturating_sub(scenario.home_visits.from.ms());
    let scanned_ms = |time: u64, every_s: u64| match every_s {
        0 => time,
        every => time * link.scan_s.min(every) / every,
    };
    let workdays = scenario.days / 7 * scenario.people.workdays
        + (scenario.days % 7).min(scenario.people.workdays);
    let all = scenario.days * DAY_MS;
    let moving = workdays * moving;
    let scanned =
        scanned_ms(moving, link.scan_moving_s) + scanned_ms(all - moving, link.scan_rest_s);
    scanned * link.scan_mw / 1_000_000
}

fn chosen(settings: &BTreeMap<String, String>) -> Vec<Chosen> {
    let of = |setting: &crate::scenario::Setting| {
        let value = settings.get(setting.key).cloned().unwrap_or_else(|| setting.value.to_owned());
        let basis = match setting.basis {
            Basis::Published(source) | Basis::Measured(source) => source.to_owned(),
            Basis::Assumption => "assumption".to_owned(),
            Basis::Choice => "chosen".to_owned(),
        };
        Chosen {
            key: setting.key.to_owned(),
            changed: value != setting.value,
            value,
            unit: setting.unit.to_owned(),
            what: setting.what.to_owned(),
            basis,
        }
    };
    DEFAULTS.iter().map(of).collect()
}

fn villages(drawn: &Drawn, geography: &Geography, lags: &[Lag]) -> Vec<Village> {
    let hubs: BTreeMap<usize, usize> = geography.centres().into_iter().zip(0..).collect();
    let mut phones: BTreeMap<usize, u64> = BTreeMap::new();
    for home in &drawn.place().phones {
        *phones.entry(home.village).or_default() += 1;
    }
    let of = |((number, village), lag): ((usize, &crate::geography::Village), &Lag)| Village {
        id: village.id.clone(),
        name: village.name.clone(),
        sector: geography.sectors[village.sector].name.clone(),
        district: geography.districts[village.district].name.clone(),
        position: position(village.position),
        hub: hubs.get(&village.centre).copied().unwrap_or_default(),
        population: village.population,
        phones: phones.get(&number).copied().unwrap_or_default(),
        written: lag.written,
        at_hub: lag.at_hub,
        behind_seconds: (lag.behind / 1_000).checked_div(lag.written),
        last_heard_seconds: lag.last.map(|ms| ms / 1_000),
    };
    geography.villages.iter().enumerate().zip(lags).map(of).collect()
}

/// Millionths of a degree, north and east.
fn position(at: Position) -> [i64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "degrees are below the bound")]
    let millionths = |degrees: f64| (degrees * 1e6).round() as i64;
    [millionths(at.latitude), millionths(at.longitude)]
}
