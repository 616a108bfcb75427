//! `huza devices`: who is known here, and who is shut out.

use core::fmt::{self, Display};

use huza_crdt::node::{Command, KnownDevice, Reply};
use serde_json::{Value, json};

use crate::commands::Context;
use crate::error::Failure;
use crate::output;
use crate::shell::{self, Device};

/// Lists them.
pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let (devices, own) = context
        .with_reader_if_offered(async |device| {
            // Names of places are known only while the reader is open; ids serve as well.
            let own = device.status(false).await?.certificate;
            Ok((known(device).await?, own))
        })
        .await?;
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|one| {
            let mine = if Some(one.certificate) == own { " (this device)" } else { "" };
            vec![
                one.certificate.short(),
                one.device.short(),
                role(one).to_owned(),
                one.areas.iter().map(|area| shortened(area)).collect::<Vec<_>>().join(", "),
                day(one.issued),
                one.envelopes.to_string(),
                format!("{}{mine}", standing(one)),
            ]
        })
        .collect();
    let head = ["certificate", "key", "role", "where", "since", "envelopes", ""];
    let text = if rows.is_empty() {
        "None: this device has not joined a programme.".to_owned()
    } else {
        output::table(&head, &rows)
    };
    let value: Vec<Value> = devices.iter().map(of_device).collect();
    context.output.answer(&json!({ "devices": value }), &text)
}

async fn known(device: &mut Device) -> Result<Vec<KnownDevice>, Failure> {
    match device.call(Command::Devices).await? {
        Reply::Devices { devices } => Ok(devices),
        _ => Err(Failure::answer("devices")),
    }
}

/// The one device whose certificate or key begins so. Of several certificates of one device the
/// one that is good is meant.
pub(super) async fn find(device: &mut Device, prefix: &str) -> Result<KnownDevice, Failure> {
    choose(known(device).await?, prefix)
}

fn choose(devices: Vec<KnownDevice>, prefix: &str) -> Result<KnownDevice, Failure> {
    let prefix = prefix.to_ascii_lowercase();
    let begins = |one: &KnownDevice| {
        [one.certificate.to_string(), one.device.to_string()]
            .iter()
            .any(|id| !prefix.is_empty() && id.starts_with(&prefix))
    };
    let mut found: Vec<KnownDevice> = devices.into_iter().filter(begins).collect();
    let one_device = found.iter().all(|one| Some(one.device) == found.first().map(|f| f.device));
    if found.len() > 1 && one_device {
        // The device is meant; of its certificates the newest that is good comes last.
        found.sort_by_key(|one| (one.good, one.issued));
        found.drain(..found.len() - 1);
    }
    let found = found.into_iter().map(Candidate).collect();
    shell::one_of("device", &prefix, found, "`huza devices` lists them").map(|Candidate(one)| one)
}

/// A device as an error lists it.
struct Candidate(KnownDevice);

impl Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(one) = self;
        write!(f, "{} ({}, key {})", one.certificate.short(), role(one), one.device.short())
    }
}

fn role(one: &KnownDevice) -> &'static str {
    if one.paper { "paper key" } else { one.role.name() }
}

fn standing(one: &KnownDevice) -> String {
    match (one.good, one.revoked) {
        (true, _) => "good".to_owned(),
        (false, Some(reason)) => format!("SHUT OUT: {}", format!("{reason:?}").to_lowercase()),
        (false, None) => "void: who approved it was shut out".to_owned(),
    }
}

/// A tag is too long for a table; a name is not.
fn shortened(area: &str) -> String {
    let is_tag = area.len() >= 16 && area.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_tag { area.chars().take(8).collect() } else { area.to_owned() }
}

fn day(stamp: huza_crdt::time::Stamp) -> String {
    stamp.to_string().chars().take(10).collect()
}

fn of_device(one: &KnownDevice) -> Value {
    json!({
        "certificate": one.certificate.to_string(),
        "device": one.device.to_string(),
        "role": one.role.name(),
        "areas": one.areas,
        "issued": one.issued.to_string(),
        "expires": one.expires.to_string(),
        "good": one.good,
        "revoked": one.revoked.map(|reason| format!("{reason:?}").to_lowercase()),
        "envelopes": one.envelopes,
    })
}

#[cfg(test)]
mod tests {
    use huza_crdt::crypto::SealingPublic;
    use huza_crdt::id::{CertId, DeviceKey};
    use huza_crdt::time::Stamp;
    use huza_crdt::trust::Role;

    use super::*;

    fn device(certificate: u8, key: u8, good: bool) -> KnownDevice {
        KnownDevice {
            certificate: CertId([certificate; 16]),
            device: DeviceKey([key; 32]),
            sealing: SealingPublic([0; 32]),
            paper: false,
            role: Role::Worker,
            areas: Vec::new(),
            issued: Stamp(0),
            expires: Stamp(1),
            good,
            revoked: None,
            envelopes: 0,
        }
    }

    #[test]
    fn a_prefix_means_one_device_or_none() {
        let all = || vec![device(0x11, 0xaa, true), device(0x12, 0xbb, true)];
        assert_eq!(choose(all(), "11").unwrap().certificate, CertId([0x11; 16]));
        assert_eq!(choose(all(), "BB").unwrap().certificate, CertId([0x12; 16]));
        assert_eq!(choose(all(), "1").unwrap_err().code, "ambiguous");
        assert_eq!(choose(all(), "").unwrap_err().code, "unknown_device");
        let renewed = vec![device(0x11, 0xaa, false), device(0x12, 0xaa, true)];
        assert_eq!(choose(renewed, "aa").unwrap().certificate, CertId([0x12; 16]));
    }
}
