//! What came of a run: all that a report shows, and nothing that it does not.
//!
//! Times are integer seconds, so that a run has the same bytes everywhere. What has not arrived
//! when the run ends is censored: it is counted with the time for which it was watched, and never
//! left out.

use serde::{Deserialize, Serialize};

/// Version of the form in which outcomes are written as JSON.
pub const FORMAT: u32 = 1;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// What the run is called: the scenario's file, or what was swept.
    pub name: String,
    /// How nodes pass things on, as it is written on the command line.
    pub strategy: String,
    /// `sized` or `full`.
    pub fidelity: String,
    /// From which everything is drawn.
    pub seed: u64,
    /// How long it went on.
    pub days: u64,
    /// Of all that happened, in its order: two runs with the same hash are the same run.
    pub log_hash: String,
    /// Everything that decided the run, in the order of the table of defaults.
    pub options: Vec<Chosen>,
    /// Records with a danger sign.
    pub urgent: Delivery,
    /// All others.
    pub routine: Delivery,
    /// Every village of the place, also those without a phone.
    pub villages: Vec<Village>,
    /// Every hub.
    pub hubs: Vec<Hub>,
    /// Every phone.
    pub phones: Vec<Phone>,
    /// By kind of meeting, in the order of [`crate::movement::Kind::ALL`].
    pub meetings: Vec<Meetings>,
}

/// A key of the scenario and what it was set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// `section.key`.
    pub key: String,
    /// As TOML.
    pub value: String,
    /// Of the value; empty for names.
    pub unit: String,
    /// What it is.
    pub what: String,
    /// Where the default is from.
    pub basis: String,
    /// Whether the value is another than the default.
    pub changed: bool,
}

/// How records of one kind fared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Records written.
    pub written: u64,
    /// From the writing until it is at the hub of its health centre.
    pub to_hub: Waits,
    /// From the writing until it is at the facility: a hub gave it on over the internet.
    pub to_facility: Waits,
}

/// How long records waited for something. Those that it did not happen to by the end of the run
/// waited at least as long as they were watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Seconds waited -> records to which it happened and records whose watch ended; ascending.
    pub after: Vec<Waited>,
}

/// Records that waited equally long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Since they were written, in steps of a minute, rounded up.
    pub seconds: u64,
    /// Records to which it happened then.
    pub happened: u64,
    /// Records to which it had not happened when the run ended, then.
    pub censored: u64,
}

/// A village.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Village {
    /// As in the table.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The sector and the district.
    pub sector: String,
    /// The district.
    pub district: String,
    /// Millionths of a degree, north and east.
    pub position: [i64; 2],
    /// The place of its hub in `Outcome::hubs`.
    pub hub: usize,
    /// People in it, a weight rather than a census.
    pub population: u32,
    /// Phones in it.
    pub phones: u64,
    /// Records written in it.
    pub written: u64,
    /// Of these, how many are at the hub at the end.
    pub at_hub: u64,
    /// How long the hub lacked a record of the village, the mean over all records and the time
    /// each was watched: what a clinician at the centre is behind. None if nothing was written.
    pub behind_seconds: Option<u64>,
    /// From the beginning of the run until the last record of the village reached the hub; none
    /// if none did.
    pub last_heard_seconds: Option<u64>,
}

/// The hub of a health centre.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hub {
    /// Its facility, as in the table.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Millionths of a degree, north and east.
    pub position: [i64; 2],
    /// Whether it ever has internet.
    pub internet: bool,
    /// Contacts with phones.
    pub contacts: u64,
    /// Most phones in contact at once.
    pub contacts_at_once: u64,
    /// Bytes from phones.
    pub received: u64,
    /// Bytes to phones.
    pub sent: u64,
    /// Most bytes stored at once.
    pub stored_peak: u64,
}

/// A phone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// The place of its village in `Outcome::villages`.
    pub village: usize,
    /// Contacts in which something could be exchanged.
    pub contacts: u64,
    /// Bytes from others.
    pub received: u64,
    /// Bytes to others.
    pub sent: u64,
    /// Of what was sent, bytes written on other phones: what it carried for others.
    pub carried: u64,
    /// Most bytes stored at once.
    pub stored_peak: u64,
    /// Joules by what they were spent on.
    pub energy: Energy,
}

/// Joules that a phone spent for huza in the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Energy {
    /// Looking for others.
    pub discovery: u64,
    /// Being linked and exchanging, as guest.
    pub link: u64,
    /// Giving a hotspot.
    pub host: u64,
    /// Checking signatures.
    pub verify: u64,
}

/// Meetings of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meetings {
    /// As in scenarios.
    pub kind: String,
    /// Encounters of two people with phones, or of one with a hub.
    pub met: u64,
    /// In which a phone was off, or away to be charged.
    pub off: u64,
    /// That the radio did not notice.
    pub missed: u64,
    /// Over before the link was set up.
    pub short: u64,
    /// Contacts: what remains.
    pub contacts: u64,
    /// Of these, how many ended before all was exchanged.
    pub cut: u64,
    /// Of these, how many brought nobody anything new.
    pub idle: u64,
    /// Bytes exchanged.
    pub bytes: u64,
    /// Seconds in contact.
    pub seconds: u64,
}

impl Village {
    /// Whether something was written in it and nothing of that reached its hub.
    #[must_use]
    pub const fn never_heard(&self) -> bool {
        self.written > 0 && self.at_hub == 0
    }
}
