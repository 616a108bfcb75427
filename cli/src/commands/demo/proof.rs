//! What the demonstration proves, from files of devices that have all ended.
//!
//! - The facility holds each resource of both phones exactly once, text for text.
//! - A process of its own (`huza status`) finds, in each phone's home, verified receipts of the
//!   hub and of the gateway for every record.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use super::process::huza;
use super::programme::{Member, Members};
use super::story::Told;
use crate::error::{Failure, Kind};
use crate::shell::Device;

/// What `huza status --json` says.
#[derive(Debug, Deserialize)]
struct StatusLine {
    records: Vec<RecordLine>,
}

/// What it says of a record.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RecordLine {
    pub(super) record: String,
    pub(super) name: String,
    pub(super) taken: usize,
    pub(super) stored: bool,
    pub(super) accepted: bool,
    refused: bool,
    receipts: Vec<ReceiptLine>,
}

#[derive(Debug, Clone, Deserialize)]
struct ReceiptLine {
    kind: String,
    issuer: String,
    verified: bool,
}

impl RecordLine {
    /// Whether the hub and the gateway vouch for all of it, by signatures that hold.
    fn is_complete(&self, hub: &str, gateway: &str) -> bool {
        let holds = |kind: &str, issuer: &str| {
            self.receipts.iter().any(|r| r.kind == kind && r.issuer == issuer && r.verified)
        };
        let all_hold = self.receipts.iter().all(|receipt| receipt.verified);
        self.stored
            && self.accepted
            && !self.refused
            && all_hold
            && holds("stored", hub)
            && holds("accepted", gateway)
    }
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Proof {
    /// Distinct resources that were written or brought in.
    pub(super) resources_in: usize,
    /// Lines that the facility has.
    pub(super) resources_delivered: usize,
    /// Of the phones, with where each record has arrived.
    pub(super) records: Vec<(&'static str, RecordLine)>,
    /// Whether the receipts of all of them came home and hold.
    pub(super) receipts_complete: bool,
    /// Texts that the facility lacks.
    pub(super) missing: usize,
    /// Lines that the facility has too often, or that nobody wrote.
    pub(super) surplus: usize,
    /// Entries that were left out on the way in.
    pub(super) problems: Vec<String>,
}

/// Looks at the homes and at what the facility received.
pub(super) async fn gather(all: &Members, told: Told) -> Result<Proof, Failure> {
    let mut written: BTreeMap<String, String> = BTreeMap::new();
    for phone in [&all.phone_a, &all.phone_b] {
        let mut device = phone.open().await?;
        let take = |resources: &[huza_crdt::node::Resource]| {
            written.extend(resources.iter().map(|r| (r.key.clone(), r.text.clone())));
            Ok(())
        };
        device.export(take).await?;
        device.close().await?;
    }
    let received = std::fs::read_to_string(&all.delivered)
        .map_err(|error| Failure::file("read", &all.delivered, &error))?;
    let (missing, surplus) = compare(&written, &received);
    let unexported = told.keys.iter().filter(|key| !written.contains_key(*key)).count();
    let (hub, gateway) = (certificate(&all.hub).await?, certificate(&all.gateway).await?);
    let mut records = Vec::new();
    for phone in [&all.phone_a, &all.phone_b] {
        let of_phone = status_of(&all.machine.program, phone).await?;
        records.extend(of_phone.into_iter().map(|record| (phone.title, record)));
    }
    let receipts_complete =
        !records.is_empty() && records.iter().all(|(_, record)| record.is_complete(&hub, &gateway));
    Ok(Proof {
        resources_in: if told.only_keys { told.keys.len() } else { written.len() },
        resources_delivered: received.lines().count(),
        records,
        receipts_complete,
        missing: missing + unexported,
        surplus,
        problems: told.problems,
    })
}

/// How many texts the facility lacks, and how many of its lines are too many.
fn compare(written: &BTreeMap<String, String>, received: &str) -> (usize, usize) {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    for text in written.values() {
        *balance.entry(text.as_str()).or_default() += 1;
    }
    for line in received.lines() {
        *balance.entry(line).or_default() -= 1;
    }
    let sum = |wanted: fn(&i64) -> bool| {
        let off = balance.values().filter(|n| wanted(n)).map(|n| n.unsigned_abs()).sum::<u64>();
        usize::try_from(off).unwrap_or(usize::MAX)
    };
    (sum(|n| *n > 0), sum(|n| *n < 0))
}

async fn certificate(member: &Member) -> Result<String, Failure> {
    let mut device = Device::open(&member.home).await?;
    let status = device.status(false).await?;
    device.close().await?;
    Ok(status.certificate.map(|id| id.to_string()).unwrap_or_default())
}

/// What a process of its own says of the records in a home.
async fn status_of(program: &Path, member: &Member) -> Result<Vec<RecordLine>, Failure> {
    let failed = |why: String| {
        let message = format!("`huza status` on {}: {why}", member.title);
        Failure::new(Kind::Unexpected, "demo_status", message)
    };
    let mut command = huza(program);
    command.args(["status", "--records", "--json", "--home"]).arg(&member.home);
    if let Some(passphrase) = &member.passphrase {
        command.arg("--passphrase-file").arg(passphrase);
    }
    let run = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !run.status.success() {
        return Err(failed(String::from_utf8_lossy(&run.stderr).trim().to_owned()));
    }
    let status: StatusLine =
        serde_json::from_slice(&run.stdout).map_err(|error| failed(error.to_string()))?;
    Ok(status.records)
}

impl Proof {
    /// Distinct records.
    pub(super) fn record_count(&self) -> usize {
        let ids = self.records.iter().map(|(_, record)| record.record.as_str());
        ids.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Whether everything arrived exactly once.
    pub(super) fn is_delivered(&self) -> bool {
        self.missing == 0 && self.surplus == 0 && self.resources_in == self.resources_delivered
    }

    /// Fails unless it did, every receipt came home, and nothing was left out.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: String| {
            Err(Failure::new(Kind::Incomplete, code, message)
                .hint("Run it again with --out DIR, and read what is in DIR/logs"))
        };
        if !self.is_delivered() {
            return fail(
                "demo_delivery",
                format!(
                    "Of {} resources {} are missing at the facility, and {} of its {} lines are too \
                 many",
                    self.resources_in, self.missing, self.surplus, self.resources_delivered,
                ),
            );
        }
        if !self.receipts_complete {
            return fail("demo_receipts", "Not every record has its receipts".to_owned());
        }
        if !self.problems.is_empty() {
            let message = format!(
                "{} of the files were left out",
                crate::output::count(self.problems.len(), "entry")
            );
            return fail("demo_entries", message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_surplus_lines_are_counted() {
        let written = |texts: &[&str]| {
            texts.iter().enumerate().map(|(i, t)| (i.to_string(), (*t).to_owned())).collect()
        };
        assert_eq!(compare(&written(&["a", "b"]), "b\na\n"), (0, 0));
        assert_eq!(compare(&written(&["a", "a"]), "a\na\n"), (0, 0), "two keys, one text");
        assert_eq!(compare(&written(&["a", "b"]), "a\na\nc\n"), (1, 2));
        assert_eq!(compare(&written(&["1.50"]), "1.5\n"), (1, 1));
    }
}
