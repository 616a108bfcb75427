//! The audit trail of one device: who looked at what, took out what, decided what.
//!
//! Entries are numbered and hash-chained, and durable before the answer they are about is given.
//! The last number and hash are in both stores of the device, so that whoever edits or shortens the
//! reader's file alone is noticed. Who can unlock the reader *and* rewrite both files can rewrite
//! the trail: an export of it, kept elsewhere, shows that.
//!
//! It names records and devices by id, never by a person's name.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{Hash, hash_parts};
use crate::time::Stamp;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The reader was unlocked.
    Unlocked,
    /// The reader was locked.
    Locked,
    /// Persons were looked for.
    Searched,
    /// A record was shown.
    Read,
    /// Records left the device in the clear.
    Exported,
    /// A device was approved.
    Approved,
    /// A device was let read something.
    Granted,
    /// A device was shut out.
    Revoked,
    /// Keys were made anew.
    Rotated,
    /// Quarantined envelopes were admitted or rejected.
    Judged,
    /// What was left here of a record that an order names was erased.
    Erased,
    /// A worker who forgot the secret was helped.
    Recovered,
    /// A record was ordered to be erased.
    Ordered,
    /// A form was published.
    Published,
}

impl Action {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked",
            Self::Locked => "locked",
            Self::Searched => "searched",
            Self::Read => "read",
            Self::Exported => "exported",
            Self::Approved => "approved",
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
            Self::Judged => "judged",
            Self::Erased => "erased",
            Self::Recovered => "recovered",
            Self::Ordered => "ordered",
            Self::Published => "published",
        }
    }
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 0.
    pub number: u64,
    /// When, by the device's clock.
    pub at: Stamp,
    /// The worker who had unlocked the device.
    pub worker: String,
    /// What was done.
    pub action: Action,
    /// To what: ids of a record, a certificate, a log, an area; or how many.
    pub subject: String,
    /// Hash of the entry before; zeros for the first.
    pub previous: Hash,
}

crate::debug_shows!(struct AuditEntry { number, at, action });

impl AuditEntry {
    /// Its hash, which the next entry names.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(hash_parts("huza 2026 audit entry", &[&codec::encode(self)]))
    }
}

impl AuditEntry {
    /// As a FHIR R4 AuditEvent, in JSON, told by the device with this id. Its id is made of the
    /// device's and the entry's number, so that sending it twice gives one resource.
    #[must_use]
    pub fn to_fhir(&self, device: &str) -> String {
        use serde_json::json;
        let name = format!("{device}/{}", self.number);
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
        let what = match self.action {
            Action::Exported => "110106",
            Action::Unlocked => "110122",
            Action::Locked => "110123",
            Action::Searched => "110112",
            Action::Read => "110110",
            Action::Approved
            | Action::Granted
            | Action::Revoked
            | Action::Rotated
            | Action::Judged
            | Action::Recovered
            | Action::Ordered
            | Action::Published => "110129",
            Action::Erased => "110105",
        };
        let verb = match self.action {
            Action::Read | Action::Searched | Action::Exported => "R",
            Action::Erased => "D",
            _ => "E",
        };
        json!({
            "resourceType": "AuditEvent",
            "id": id.to_string(),
            "type": { "system": "http://dicom.nema.org/resources/ontology/DCM", "code": what },
            "subtype": [{ "system": "urn:huza:audit", "code": self.action.name() }],
            "action": verb,
            "recorded": self.at.to_string(),
            "outcome": "0",
            "agent": [{ "name": self.worker, "requestor": true }],
            "source": { "observer": { "identifier": {
                "system": "urn:huza:device", "value": device } } },
            "entity": [{
                "what": { "identifier": { "system": "urn:huza:subject", "value": self.subject } },
                "description": format!("entry {}, after {}", self.number, self.previous),
            }],
        })
        .to_string()
    }
}

/// Where a trail ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many entries there are.
    pub count: u64,
    /// Hash of the last; zeros if there is none.
    pub hash: Hash,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { count: 0, hash: Hash([0; 32]) }
    }
}

impl AuditHead {
    /// The head behind one more entry.
    #[must_use]
    pub fn behind(entry: &AuditEntry) -> Self {
        Self { count: entry.number.saturating_add(1), hash: entry.hash() }
    }
}

/// Whether `entries` are a whole trail from its beginning that passes through every one of `heads`.
#[must_use]
pub fn is_whole(entries: &[AuditEntry], heads: &[AuditHead]) -> bool {
    let mut head = AuditHead::default();
    let mut passed: Vec<AuditHead> = vec![head];
    for entry in entries {
        if entry.number != head.count || entry.previous != head.hash {
            return false;
        }
        head = AuditHead::behind(entry);
        passed.push(head);
    }
    heads.iter().all(|wanted| passed.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(length: u64) -> Vec<AuditEntry> {
        let mut head = AuditHead::default();
        (0..length)
            .map(|number| {
                let entry = AuditEntry {
                    number,
                    at: Stamp(7),
                    worker: "Claudine".to_owned(),
                    action: Action::Read,
                    subject: format!("record {number}"),
                    previous: head.hash,
                };
                head = AuditHead::behind(&entry);
                entry
            })
            .collect()
    }

    #[test]
    fn an_entry_becomes_an_audit_event_with_a_lasting_id() {
        let entry = &trail(3)[2];
        let event: serde_json::Value = serde_json::from_str(&entry.to_fhir("abc")).unwrap();
        assert_eq!(event["resourceType"], "AuditEvent");
        assert_eq!(event["agent"][0]["name"], "Claudine");
        assert_eq!(event["recorded"], "1970-01-01T00:00:07Z");
        assert_eq!(event["entity"][0]["what"]["identifier"]["value"], "record 2");
        assert_eq!(entry.to_fhir("abc"), entry.to_fhir("abc"));
        assert_ne!(entry.to_fhir("abc"), entry.to_fhir("abd"));
    }

    #[test]
    fn an_edited_shortened_or_reordered_trail_is_noticed() {
        let good = trail(5);
        let heads = [AuditHead::behind(&good[4]), AuditHead::behind(&good[2])];
        assert!(is_whole(&good, &heads));
        assert!(!is_whole(&good[..4], &heads), "shortened");
        let mut edited = good.clone();
        edited[1].subject = "nobody".to_owned();
        assert!(!is_whole(&edited, &heads));
        let mut last = good.clone();
        last[4].worker = "somebody else".to_owned();
        assert!(!is_whole(&last, &heads), "the last entry, which no other names");
        let mut missing = good.clone();
        missing.remove(3);
        assert!(!is_whole(&missing, &heads));
        assert!(is_whole(&[], &[AuditHead::default()]));
    }
}
