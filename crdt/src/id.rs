//! Identifiers: fixed-size, ordered, and never mixed up with one another.
//!
//! Each is a newtype over bytes. All print as lower-case hexadecimal; [`RecordId`] prints as a
//! UUID, because that is what users and FHIR servers see.
//!
//! `Debug` is for logs, so it shows the first bytes only, and nothing of a record or visit: these
//! stand for a person, and the id of an imported person is derived from his national number, so
//! that whoever reads it could test guesses.

use core::fmt;
use core::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Hashes `parts` under a context string with BLAKE3's key-derivation mode, each part preceded by
/// its length, so that no two lists of parts collide by concatenation.
pub(crate) fn hash_parts(context: &'static str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The first `N` bytes of a 32-byte hash.
pub(crate) fn truncated<const N: usize>(hash: [u8; 32]) -> [u8; N] {
    core::array::from_fn(|i| hash.get(i).copied().unwrap_or_default())
}

macro_rules! bytes_id {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl Serialize for $name {
            /// As people see it in JSON, as bytes everywhere else.
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if !from.is_human_readable() {
                    return <[u8; $len]>::deserialize(from).map(Self);
                }
                let text = String::deserialize(from)?;
                let digits = text.replace('-', "");
                Self::from_hex(&digits).ok_or_else(|| D::Error::custom("not an id of this kind"))
            }
        }

        impl $name {
            /// Number of bytes.
            pub const LEN: usize = $len;

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads one from a slice of exactly [`Self::LEN`] bytes.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The first four bytes in hexadecimal, for logs and tables.
            #[must_use]
            pub fn short(&self) -> String {
                hex(self.0.get(..4).unwrap_or(&self.0))
            }

            /// Reads the hexadecimal form.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                unhex(text).and_then(|bytes| Self::from_slice(&bytes))
            }
        }

    };
}

macro_rules! debug_short {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }
    )*};
}

macro_rules! display_hex {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }
    )*};
}

bytes_id!(
    /// A BLAKE3 hash of 32 bytes.
    Hash, 32
);
bytes_id!(
    /// A log: the hash of its opening statement.
    LogId, 32
);
bytes_id!(
    /// A device: its Ed25519 public key.
    DeviceKey, 32
);
bytes_id!(
    /// A certificate: the first 16 bytes of the hash of its COSE bytes.
    CertId, 16
);
bytes_id!(
    /// A statement of the control lane: the first 16 bytes of the hash of its bytes.
    StatementId, 16
);
bytes_id!(
    /// A catchment as carriers see it: an opaque prefix of area tags.
    CatchmentTag, 8
);
bytes_id!(
    /// An area (catchment and village) as carriers see it: 8 bytes of catchment, 8 of village.
    AreaTag, 16
);
bytes_id!(
    /// One generation of an area's reading key: a hash of the key, which tells nothing about it.
    EpochId, 16
);
bytes_id!(
    /// One life of a store file; a restored copy gets a new one.
    StoreId, 16
);
bytes_id!(
    /// One life of an installation: random, part of every opening.
    Incarnation, 16
);
bytes_id!(
    /// A record: one person, household, notice or directory entry. A UUID.
    RecordId, 16
);
bytes_id!(
    /// A visit within a record. A UUID.
    VisitId, 16
);
bytes_id!(
    /// A programme: the first 16 bytes of the hash of its root key.
    ProgrammeId, 16
);

bytes_id!(
    /// A change as a facility sees it: the first 8 bytes of its Automerge hash.
    Head, 8
);

bytes_id!(
    /// A published form: the first 8 bytes of the hash of its text.
    FormDigest, 8
);

debug_short!(
    Hash,
    Head,
    FormDigest,
    LogId,
    DeviceKey,
    CertId,
    StatementId,
    CatchmentTag,
    AreaTag,
    EpochId,
    StoreId,
    Incarnation,
    ProgrammeId
);

crate::debug_shows!(
    struct RecordId {}
);
crate::debug_shows!(
    struct VisitId {}
);

display_hex!(
    Hash,
    Head,
    FormDigest,
    LogId,
    DeviceKey,
    CertId,
    StatementId,
    CatchmentTag,
    AreaTag,
    EpochId,
    StoreId,
    Incarnation,
    ProgrammeId
);

macro_rules! display_uuid {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::parse_str(text).map(|uuid| Self(uuid.into_bytes()))
            }
        }
    )*};
}

display_uuid!(RecordId, VisitId);

impl RecordId {
    /// Fewest hexadecimal digits by which a record may be named. // guess: a tenth of a village's
    /// records share them with another
    pub const DIGITS_MIN: usize = 4;

    /// All ids that begin with these hexadecimal digits, whether or not dashes stand between them;
    /// none if it is something else, or fewer than [`Self::DIGITS_MIN`].
    #[must_use]
    pub fn beginning(digits: &str) -> Option<RangeInclusive<Self>> {
        let digits = digits.replace('-', "");
        if !(Self::DIGITS_MIN..=2 * Self::LEN).contains(&digits.len()) {
            return None;
        }
        let filled = |with: &str| {
            Self::from_hex(&format!("{digits}{}", with.repeat(2 * Self::LEN - digits.len())))
        };
        Some(filled("0")?..=filled("f")?)
    }

    /// Whether it may have been begun by a change ([`Origin::record`]); imported ones are not.
    pub(crate) fn is_derived(&self) -> bool {
        as_uuid(self.0) == self.0
    }
}

impl AreaTag {
    /// The catchment this area belongs to.
    #[must_use]
    pub fn catchment(&self) -> CatchmentTag {
        CatchmentTag(core::array::from_fn(|i| self.0.get(i).copied().unwrap_or_default()))
    }
}

/// Where a change comes from: the `counter`-th change that the author of `log` wrote in it,
/// counted from 0. Everything a device makes derives its id from this pair, so that ids need no
/// coordination and a reader can check who may have made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The author's log in the record's area.
    pub log: LogId,
    /// Position among the changes of that log.
    pub counter: u64,
}

impl Origin {
    /// The Automerge actor of this change: 16 bytes. Each change has an actor of its own.
    #[must_use]
    pub fn actor(&self) -> [u8; 16] {
        self.derive("huza 2026 actor of a change")
    }

    /// The id of a record that begins with this change.
    #[must_use]
    pub fn record(&self) -> RecordId {
        RecordId(as_uuid(self.derive("huza 2026 record begun by a change")))
    }

    /// The id of a visit that this change writes.
    #[must_use]
    pub fn visit(&self) -> VisitId {
        VisitId(as_uuid(self.derive("huza 2026 visit written by a change")))
    }

    fn derive(&self, context: &'static str) -> [u8; 16] {
        truncated(hash_parts(context, &[&self.log.0, &self.counter.to_le_bytes()]))
    }
}

/// Sets the version (8, "custom") and variant bits of RFC 9562, so that the id is a valid UUID.
fn as_uuid(bytes: [u8; 16]) -> [u8; 16] {
    uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads hexadecimal of either case; `None` for anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_and_rejects_odd_lengths() {
        assert_eq!(unhex(&hex(&[0, 1, 254, 255])), Some(vec![0, 1, 254, 255]));
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn debug_shows_the_beginning_of_an_id_and_nothing_of_a_persons() {
        let (log, record) = (LogId([0xab; 32]), RecordId([0xcd; 16]));
        assert_eq!(format!("{log:?} {record:?}"), "LogId(abababab) RecordId { .. }");
    }

    #[test]
    fn ids_are_text_in_json_and_bytes_on_the_wire() {
        let (log, record) = (LogId([0xab; 32]), RecordId([0xcd; 16]));
        let json = serde_json::to_string(&(log, record)).unwrap();
        assert!(json.contains("abab") && json.contains("cdcdcdcd-cdcd-"), "{json}");
        assert_eq!(serde_json::from_str::<(LogId, RecordId)>(&json).unwrap(), (log, record));
        assert_eq!(crate::codec::encode(&(log, record)).len(), 48);
    }

    #[test]
    fn derived_ids_differ_by_kind_and_counter() {
        let origin = Origin { log: LogId([7; 32]), counter: 3 };
        let next = Origin { counter: 4, ..origin };
        assert_ne!(origin.record().0, origin.visit().0);
        assert_ne!(origin.actor(), next.actor());
        assert_eq!(origin.record().to_string().parse::<RecordId>().unwrap(), origin.record());
    }
}
