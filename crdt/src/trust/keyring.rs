//! Reading keys: what a grant carries, and what a reader can open with the grants it holds.
//!
//! ```text
//! catchment secret (random, one per key epoch)
//!   +-- village key = HKDF(secret, "huza area key 1", area tag, rotation)
//!         +-- epoch id   = BLAKE3("huza 2026 key epoch", key), 16 bytes
//!         +-- HPKE key   = HKDF(key, "huza area sealing 1"), for outsiders who write in
//! member key
//!   +-- directory key   = HKDF(member key, "huza directory 1")
//! ```

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AreaScope;
use crate::crypto::{SealingKey, SymmetricKey};
use crate::id::{AreaTag, CatchmentTag, EpochId, ProgrammeId, hash_parts, truncated};

/// An area by its official codes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AreaName {
    /// Facility id of the health centre.
    pub catchment: String,
    /// Village code; empty for the directory.
    pub village: String,
}

crate::debug_shows!(
    struct AreaName {}
);

impl fmt::Display for AreaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.catchment, self.village)
    }
}

impl core::str::FromStr for AreaName {
    type Err = ();

    /// Reads `catchment/village`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (catchment, village) = text.split_once('/').ok_or(())?;
        if catchment.is_empty() || village.is_empty() || village.contains('/') {
            return Err(());
        }
        Ok(Self { catchment: catchment.to_owned(), village: village.to_owned() })
    }
}

/// The key of one village in one epoch and rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaKey {
    /// The area as carriers see it.
    pub area: AreaTag,
    /// The area as people see it.
    pub name: AreaName,
    /// The key.
    pub key: SymmetricKey,
}

/// What opens and names all villages of one catchment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchmentSecret {
    /// The catchment as carriers see it.
    pub catchment: CatchmentTag,
    /// Facility id of the health centre.
    pub code: String,
    /// This epoch's secret.
    pub epoch: SymmetricKey,
    /// Keys the hashes of village codes in area tags; outlasts epochs.
    pub tags: SymmetricKey,
    /// Village codes known when it was granted.
    pub villages: Vec<String>,
}

crate::debug_shows!(struct CatchmentSecret { catchment });

impl CatchmentSecret {
    /// The opaque tag of a catchment.
    #[must_use]
    pub fn tag_of(programme: ProgrammeId, code: &str) -> CatchmentTag {
        CatchmentTag(truncated(hash_parts(
            "huza 2026 catchment tag",
            &[&programme.0, code.as_bytes()],
        )))
    }

    /// The opaque tag of a village of this catchment.
    #[must_use]
    pub fn area(&self, village: &str) -> AreaTag {
        let hash = self.tags.mac(&[b"huza area tag 1", village.as_bytes()]);
        let village: [u8; 8] = truncated(hash);
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&self.catchment.0);
        tag[8..].copy_from_slice(&village);
        AreaTag(tag)
    }

    /// The key of a village of this catchment.
    #[must_use]
    pub fn key(&self, area: AreaTag) -> SymmetricKey {
        let rotation = 0_u32;
        self.epoch.derive("huza area key 1", &[&area.0[..], &rotation.to_le_bytes()].concat())
    }
}

/// What is sealed in a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantContent {
    /// One village.
    Area(AreaKey),
    /// A whole catchment.
    Catchment(CatchmentSecret),
}

impl GrantContent {
    /// The id of the key it carries.
    #[must_use]
    pub fn epoch(&self) -> EpochId {
        match self {
            Self::Area(granted) => epoch_of(&granted.key),
            Self::Catchment(secret) => epoch_of(&secret.epoch),
        }
    }
}

impl From<&GrantContent> for AreaScope {
    /// What it opens.
    fn from(content: &GrantContent) -> Self {
        match content {
            GrantContent::Area(granted) => Self::Area(granted.area),
            GrantContent::Catchment(secret) => Self::Catchment(secret.catchment),
        }
    }
}

/// The id of an area key.
#[must_use]
pub fn epoch_of(key: &SymmetricKey) -> EpochId {
    EpochId(truncated(hash_parts("huza 2026 key epoch", &[key.expose()])))
}

/// The secret half of an area's published key.
#[must_use]
pub fn sealing_of(key: &SymmetricKey) -> SealingKey {
    SealingKey::from_seed(*key.derive("huza area sealing 1", b"").expose())
}

/// The area that every member reads: organizations, places, practitioners.
#[must_use]
pub const fn directory_area() -> AreaTag {
    AreaTag([0; 16])
}

/// The key of the directory, from the key that every member holds.
#[must_use]
pub fn directory_key(member: &SymmetricKey) -> SymmetricKey {
    member.derive("huza directory 1", b"")
}

/// The keys a reader holds.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<(AreaTag, EpochId), SymmetricKey>,
    writing: BTreeMap<AreaTag, EpochId>,
    names: BTreeMap<AreaTag, AreaName>,
    catchments: BTreeMap<CatchmentTag, CatchmentSecret>,
}

impl Keyring {
    /// A keyring with nothing but the directory.
    #[must_use]
    pub fn new(member: &SymmetricKey) -> Self {
        let mut keyring = Self::default();
        let name = AreaName { catchment: "directory".to_owned(), village: String::new() };
        keyring.add_area(AreaKey { area: directory_area(), name, key: directory_key(member) });
        keyring
    }

    /// Adds what a grant carries.
    pub fn add(&mut self, content: GrantContent) {
        match content {
            GrantContent::Area(key) => self.add_area(key),
            GrantContent::Catchment(secret) => {
                for village in &secret.villages {
                    let area = secret.area(village);
                    let name =
                        AreaName { catchment: secret.code.clone(), village: village.clone() };
                    self.add_area(AreaKey { area, name, key: secret.key(area) });
                }
                self.catchments.insert(secret.catchment, secret);
            }
        }
    }

    fn add_area(&mut self, granted: AreaKey) {
        let epoch = epoch_of(&granted.key);
        self.names.insert(granted.area, granted.name);
        self.writing.insert(granted.area, epoch);
        self.keys.insert((granted.area, epoch), granted.key);
    }

    /// The key of `area` in `epoch`, if this reader holds it.
    #[must_use]
    pub fn key(&self, area: AreaTag, epoch: EpochId) -> Option<SymmetricKey> {
        if let Some(key) = self.keys.get(&(area, epoch)) {
            return Some(key.clone());
        }
        let key = self.catchments.get(&area.catchment())?.key(area);
        (epoch_of(&key) == epoch).then_some(key)
    }

    /// The key with which to write into `area`, if this reader is a member of it.
    #[must_use]
    pub fn writing_key(&self, area: AreaTag) -> Option<(EpochId, SymmetricKey)> {
        let epoch = *self.writing.get(&area)?;
        Some((epoch, self.keys.get(&(area, epoch))?.clone()))
    }

    /// The name of an area, if this reader may know it.
    #[must_use]
    pub fn name(&self, area: AreaTag) -> Option<&AreaName> {
        self.names.get(&area)
    }

    /// The areas this reader is a member of, the directory left out.
    pub fn areas(&self) -> impl Iterator<Item = (AreaTag, &AreaName)> {
        let known = self.names.iter().map(|(area, name)| (*area, name));
        known.filter(|(area, _)| *area != directory_area())
    }

    /// The area of this name.
    #[must_use]
    pub fn find(&self, wanted: &AreaName) -> Option<AreaTag> {
        self.areas().find(|(_, name)| *name == wanted).map(|(area, _)| area)
    }
}
