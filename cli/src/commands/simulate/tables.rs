//! What came of a run as files: `run.json`, and tables.

use std::fmt::Write as _;
use std::path::Path;

use huza_simulations::network::outcome::{Outcome, Waits};

use crate::error::{Failure, Kind};
use crate::files::Pending;

/// Writes `run.json`, `villages.csv`, `hubs.csv`, `phones.csv` and `waits.csv` into a directory, which
/// is made if it is not there. What is there is replaced.
pub(super) fn write(folder: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let failure = |error: &std::io::Error| Failure::file("create", folder, error);
    std::fs::create_dir_all(folder).map_err(|error| failure(&error))?;
    let json = serde_json::to_string(outcome)
        .map_err(|error| Failure::new(Kind::Unexpected, "json", error.to_string()))?;
    let files = [
        ("run.json", json + "\n"),
        ("villages.csv", villages(outcome)),
        ("hubs.csv", hubs(outcome)),
        ("phones.csv", phones(outcome)),
        ("waits.csv", waits(outcome)),
    ];
    for (name, text) in files {
        let mut pending = Pending::begin(&folder.join(name), false, true)?;
        pending.append(text.as_bytes())?;
        pending.publish()?;
    }
    Ok(())
}

fn villages(outcome: &Outcome) -> String {
    let mut text = "village_id,village,sector,district,lat,lon,hub,phones,written,at_hub,\
                    behind_s,last_heard_s\n"
        .to_owned();
    for one in &outcome.villages {
        let hub = outcome.hubs.get(one.hub).map_or("", |hub| &hub.id);
        let [lat, lon] = degrees(one.position);
        let _written = writeln!(
            text,
            "{},{},{},{},{lat},{lon},{},{},{},{},{},{}",
            cell(&one.id),
            cell(&one.name),
            cell(&one.sector),
            cell(&one.district),
            cell(hub),
            one.phones,
            one.written,
            one.at_hub,
            optional(one.behind_seconds),
            optional(one.last_heard_seconds),
        );
    }
    text
}

fn hubs(outcome: &Outcome) -> String {
    let mut text = "facility_id,name,lat,lon,internet,contacts,contacts_at_once,received_bytes,\
                    sent_bytes,stored_peak_bytes\n"
        .to_owned();
    for one in &outcome.hubs {
        let [lat, lon] = degrees(one.position);
        let _written = writeln!(
            text,
            "{},{},{lat},{lon},{},{},{},{},{},{}",
            cell(&one.id),
            cell(&one.name),
            one.internet,
            one.contacts,
            one.contacts_at_once,
            one.received,
            one.sent,
            one.stored_peak,
        );
    }
    text
}

fn phones(outcome: &Outcome) -> String {
    let mut text = "phone,village_id,contacts,received_bytes,sent_bytes,carried_bytes,\
                    stored_peak_bytes,discovery_j,link_j,host_j,verify_j\n"
        .to_owned();
    for (number, one) in outcome.phones.iter().enumerate() {
        let village = outcome.villages.get(one.village).map_or("", |village| &village.id);
        let energy = &one.energy;
        let _written = writeln!(
            text,
            "{number},{},{},{},{},{},{},{},{},{},{}",
            cell(village),
            one.contacts,
            one.received,
            one.sent,
            one.carried,
            one.stored_peak,
            energy.discovery,
            energy.link,
            energy.host,
            energy.verify,
        );
    }
    text
}

fn waits(outcome: &Outcome) -> String {
    let mut text = "records,to,seconds,happened,censored\n".to_owned();
    for (kind, delivery) in [("urgent", &outcome.urgent), ("routine", &outcome.routine)] {
        for (to, Waits { after }) in
            [("hub", &delivery.to_hub), ("facility", &delivery.to_facility)]
        {
            for one in after {
                let _written =
                    writeln!(text, "{kind},{to},{},{},{}", one.seconds, one.happened, one.censored);
            }
        }
    }
    text
}

fn optional(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Millionths of a degree as degrees.
fn degrees(position: [i64; 2]) -> [String; 2] {
    position.map(|one| {
        let (sign, size) = (if one < 0 { "-" } else { "" }, one.unsigned_abs());
        format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
    })
}

/// A text as a cell (RFC 4180).
fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
