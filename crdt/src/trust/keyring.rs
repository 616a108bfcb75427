//! Reading keys: what grants and rungs carry, and what a reader can open with them.
//!
//! ```text
//! catchment secret (random, one per generation)
//!   +-- village key = HKDF(secret, "huza area key 1", area tag, rotation)
//!         +-- epoch id   = BLAKE3("huza 2026 key epoch", key), 16 bytes
//!         +-- HPKE key   = HKDF(key, "huza area sealing 1"), for outsiders who write in
//! member key
//!   +-- directory key   = HKDF(member key, "huza directory 1")
//! ```
//!
//! A *rung* seals earlier keys under a later one, for the catchment and for each village, so that
//! one grant of the newest key opens the whole history.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::AreaScope;
use super::approval::open_grant;
use crate::codec;
use crate::control::{Lane, Rung};
use crate::crypto::{SealingKey, SymmetricKey};
use crate::id::{AreaTag, CatchmentTag, CertId, EpochId, ProgrammeId, hash_parts, truncated};

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
    /// How often the secret was made anew before.
    pub generation: u32,
    /// The secret.
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

    /// The key of a village of this catchment after so many rotations.
    #[must_use]
    pub fn key(&self, area: AreaTag, rotation: u32) -> SymmetricKey {
        self.epoch.derive("huza area key 1", &[&area.0[..], &rotation.to_le_bytes()].concat())
    }

    /// The name of a village of this catchment.
    #[must_use]
    pub fn name(&self, village: &str) -> AreaName {
        AreaName { catchment: self.code.clone(), village: village.to_owned() }
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

impl GrantContent {
    /// Whether the name of the health centre is that of the catchment which the key opens.
    fn is_named(&self, programme: ProgrammeId) -> bool {
        let (code, catchment) = match self {
            Self::Area(granted) => (&granted.name.catchment, granted.area.catchment()),
            Self::Catchment(secret) => (&secret.code, secret.catchment),
        };
        CatchmentSecret::tag_of(programme, code) == catchment
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

/// An earlier key, as a rung seals it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// A catchment secret or a village key, as the rung says.
    pub key: SymmetricKey,
    /// Of a catchment secret: its generation; else 0.
    pub generation: u32,
}

/// Seals earlier keys under a later one.
#[must_use]
pub fn seal_rung(
    opens: AreaScope,
    later: &SymmetricKey,
    earlier: &[Predecessor],
    entropy: [u8; 32],
) -> Rung {
    let epoch = epoch_of(later);
    let sealed =
        later.derive(RUNG, b"").seal(&rung_context(opens, epoch), &codec::encode(earlier), entropy);
    Rung { opens, epoch, sealed }
}

fn open_rung(rung: &Rung, later: &SymmetricKey) -> Option<Vec<Predecessor>> {
    let context = rung_context(rung.opens, rung.epoch);
    codec::decode(&later.derive(RUNG, b"").open(&context, &rung.sealed).ok()?).ok()
}

const RUNG: &str = "huza rung 1";

fn rung_context(opens: AreaScope, epoch: EpochId) -> Vec<u8> {
    [RUNG.as_bytes(), &[0], &codec::encode(&(opens, epoch))].concat()
}

/// The keys a reader holds.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<(AreaTag, EpochId), SymmetricKey>,
    names: BTreeMap<AreaTag, AreaName>,
    catchments: BTreeMap<(CatchmentTag, EpochId), CatchmentSecret>,
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

    /// Everything that the grants to a certificate open, with the rungs below them.
    #[must_use]
    pub fn open(member: &SymmetricKey, lane: &Lane, mine: CertId, sealing: &SealingKey) -> Self {
        let mut keyring = Self::new(member);
        for (_, grant) in lane.grants_to(mine) {
            let Ok(content) = open_grant(grant, sealing) else { continue };
            // What is inside must be what the statement says, and so the issuer's to give; and it
            // must be named as what it is, or a worker would write into another's area.
            if content.epoch() == grant.epoch
                && AreaScope::from(&content) == grant.opens
                && content.is_named(lane.programme())
            {
                keyring.add(content);
            }
        }
        keyring.climb_down(lane);
        keyring
    }

    /// Adds what a grant carries.
    pub fn add(&mut self, content: GrantContent) {
        match content {
            GrantContent::Area(key) => self.add_area(key),
            GrantContent::Catchment(secret) => self.add_catchment(secret),
        }
    }

    /// Opens rungs until nothing new comes of it, and derives every published key of the
    /// catchments held.
    pub fn climb_down(&mut self, lane: &Lane) {
        loop {
            let before = (self.keys.len(), self.catchments.len());
            for rung in lane.rungs() {
                self.step_down(rung);
            }
            for published in lane.published() {
                let place = (published.area.catchment(), published.catchment_epoch);
                let Some(secret) = self.catchments.get(&place) else { continue };
                let key = secret.key(published.area, published.rotation);
                if epoch_of(&key) == published.epoch {
                    self.keys.insert((published.area, published.epoch), key);
                }
            }
            if before == (self.keys.len(), self.catchments.len()) {
                break;
            }
        }
    }

    fn step_down(&mut self, rung: &Rung) -> Option<()> {
        match rung.opens {
            AreaScope::Area(area) => {
                let earlier = open_rung(rung, self.keys.get(&(area, rung.epoch))?)?;
                for one in earlier {
                    self.keys.insert((area, epoch_of(&one.key)), one.key);
                }
            }
            AreaScope::Catchment(catchment) => {
                let secret = self.catchments.get(&(catchment, rung.epoch))?.clone();
                for Predecessor { key: epoch, generation } in open_rung(rung, &secret.epoch)? {
                    self.add_catchment(CatchmentSecret { epoch, generation, ..secret.clone() });
                }
            }
            AreaScope::Programme => {}
        }
        Some(())
    }

    fn add_area(&mut self, granted: AreaKey) {
        self.names.insert(granted.area, granted.name);
        self.keys.insert((granted.area, epoch_of(&granted.key)), granted.key);
    }

    fn add_catchment(&mut self, secret: CatchmentSecret) {
        for village in &secret.villages {
            let (area, name) = (secret.area(village), secret.name(village));
            self.add_area(AreaKey { area, name, key: secret.key(area, 0) });
        }
        self.catchments.insert((secret.catchment, epoch_of(&secret.epoch)), secret);
    }

    /// The key of `area` in `epoch`, if this reader holds it.
    #[must_use]
    pub fn key(&self, area: AreaTag, epoch: EpochId) -> Option<SymmetricKey> {
        if let Some(key) = self.keys.get(&(area, epoch)) {
            return Some(key.clone());
        }
        // A village that its hub has not heard of by name.
        let secrets = self.catchments.iter().filter(|((tag, _), _)| *tag == area.catchment());
        secrets.map(|(_, secret)| secret.key(area, 0)).find(|key| epoch_of(key) == epoch)
    }

    /// The key with which to write into `area`, if this reader is a member of it.
    #[must_use]
    pub fn writing_key(&self, lane: &Lane, area: AreaTag) -> Option<SymmetricKey> {
        let published = lane.writing_keys(area);
        let mut held = published.iter().filter_map(|key| self.keys.get(&(area, key.epoch)));
        let of_area = (area, EpochId([0; 16]))..=(area, EpochId([u8::MAX; 16]));
        let any = || self.keys.range(of_area).next_back().map(|(_, key)| key);
        held.next().or_else(any).cloned()
    }

    /// The keys, as far as this reader can see, that rungs open to whoever holds one key only.
    #[must_use]
    pub fn below(&self, lane: &Lane, opens: AreaScope, epoch: EpochId) -> BTreeSet<EpochId> {
        let mut reached = BTreeSet::from([epoch]);
        loop {
            let before = reached.len();
            for rung in lane.rungs().filter(|rung| rung.opens == opens) {
                let key = match opens {
                    AreaScope::Area(area) => self.keys.get(&(area, rung.epoch)),
                    AreaScope::Catchment(catchment) => {
                        let secret = self.catchments.get(&(catchment, rung.epoch));
                        secret.map(|secret| &secret.epoch)
                    }
                    AreaScope::Programme => None,
                };
                if let Some(key) = key.filter(|_| reached.contains(&rung.epoch)) {
                    let earlier = open_rung(rung, key).into_iter().flatten();
                    reached.extend(earlier.map(|one| epoch_of(&one.key)));
                }
            }
            if reached.len() == before {
                return reached;
            }
        }
    }

    /// Every key of an area that this reader holds.
    pub fn keys_of(&self, area: AreaTag) -> impl Iterator<Item = &SymmetricKey> {
        let of_area = (area, EpochId([0; 16]))..=(area, EpochId([u8::MAX; 16]));
        self.keys.range(of_area).map(|(_, key)| key)
    }

    /// The catchment secrets that this reader holds, the best to hand on last: no shut-out device
    /// was granted it, then the newest.
    #[must_use]
    pub fn secrets(&self, lane: &Lane) -> Vec<&CatchmentSecret> {
        let mut secrets: Vec<_> = self.catchments.iter().collect();
        secrets.sort_by_cached_key(|((catchment, epoch), secret)| {
            let mut holders = lane.holders_of(*epoch, AreaScope::Catchment(*catchment));
            let clean = holders.all(|holder| lane.is_good(&holder));
            (clean, secret.generation, *epoch)
        });
        secrets.into_iter().map(|(_, secret)| secret).collect()
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
