//! One slot: the reader's key, wrapped for one worker.
//!
//! ```text
//! passphrase   Argon2id(passphrase, salt)                       -> 32 bytes
//! PIN          Argon2id(PIN, salt, secret value K = factor)     -> 32 bytes, factor from Keystore
//!              XChaCha20-Poly1305 under these over the 64 bytes of the key; the vault's id, the
//!              worker's name, method, salt and cost are bound to it
//! open         the 64 bytes of the key
//! ```

use argon2::{Algorithm, Argon2, Params, Version};
use huza_crdt::{codec, crypto::SymmetricKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Keystore, NewSecret, Secret, VaultError, WorkerStatus, attempts, random};
use crate::store::{FILE_KEY_BYTES, FileKey};

/// Bytes of a salt. // RFC 9106, 4: 128 bits
pub(super) const SALT_BYTES: usize = 16;

const CONTEXT: &[u8] = b"huza vault slot 1";

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A passphrase.
    Passphrase,
    /// A PIN and the keystore's factor.
    Pin,
    /// Nothing.
    Open,
}

/// What one guess at a secret costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory of Argon2id, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106, section 4, second recommendation (64 MiB, three passes), for phones with 2 GB of
    /// memory; with one lane instead of four, because one core computes them. Above what OWASP's
    /// "Password Storage Cheat Sheet" asks for (19 MiB, two passes, one lane).
    pub const DEFAULT: Self = Self { memory_kib: 65_536, passes: 3, lanes: 1 };

    /// What a vault may ask of a device at most, so that a changed file cannot fill its memory or
    /// take hours.
    pub const MAX: Self = Self { memory_kib: 1_048_576, passes: 16, lanes: 16 };

    pub(super) const fn is_fair(&self) -> bool {
        self.memory_kib <= Self::MAX.memory_kib
            && self.passes <= Self::MAX.passes
            && self.lanes <= Self::MAX.lanes
    }
}

/// The key as it lies in a slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Lock {
    Passphrase(Wrapped),
    Pin(Wrapped),
    /// Both halves of the key, in the clear.
    Open(SymmetricKey, SymmetricKey),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wrapped {
    salt: [u8; SALT_BYTES],
    cost: Cost,
    sealed: Vec<u8>,
}

/// One worker's slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) worker: String,
    /// Attempts begun since the last that succeeded.
    pub(super) failures: u32,
    lock: Lock,
}

impl Slot {
    /// Wraps `key` for `worker`.
    pub(super) fn seal(
        vault: &[u8; 16],
        worker: &str,
        new: &NewSecret,
        key: &FileKey,
        keystore: &dyn Keystore,
    ) -> Result<Self, VaultError> {
        new.check()?;
        let salt = *random()?;
        let cost = Cost::DEFAULT;
        let wrap = |secret: &Secret, factor: Option<&[u8; 32]>, method| {
            let kek = stretch(secret, &salt, cost, factor)?;
            let context = context(vault, worker, method, &salt, cost);
            let sealed = kek.seal(&context, key.expose(), *random()?);
            Ok::<_, VaultError>(Wrapped { salt, cost, sealed })
        };
        let lock = match new {
            NewSecret::Passphrase(secret) => {
                Lock::Passphrase(wrap(secret, None, Method::Passphrase)?)
            }
            NewSecret::Pin(secret) => {
                keystore.enrol()?;
                let factor = keystore.factor(&salt)?;
                Lock::Pin(wrap(secret, Some(&factor), Method::Pin)?)
            }
            NewSecret::Open => {
                let (first, second) = halves(key);
                Lock::Open(first, second)
            }
        };
        Ok(Self { worker: worker.to_owned(), failures: 0, lock })
    }

    /// The key, if `secret` is right.
    pub(super) fn unseal(
        &self,
        vault: &[u8; 16],
        secret: &Secret,
        keystore: &dyn Keystore,
    ) -> Result<Option<FileKey>, VaultError> {
        let (wrapped, factor) = match &self.lock {
            Lock::Open(..) => return Ok(self.open_key()),
            Lock::Passphrase(wrapped) => (wrapped, None),
            Lock::Pin(wrapped) => (wrapped, Some(keystore.factor(&wrapped.salt)?)),
        };
        let kek = stretch(secret, &wrapped.salt, wrapped.cost, factor.as_deref())?;
        let context = context(vault, &self.worker, self.method(), &wrapped.salt, wrapped.cost);
        Ok(kek.open(&context, &wrapped.sealed).ok().and_then(key_of))
    }

    pub(super) fn open_key(&self) -> Option<FileKey> {
        let Lock::Open(first, second) = &self.lock else { return None };
        key_of(Zeroizing::new([first.expose().as_slice(), second.expose()].concat()))
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.lock, Lock::Open(..))
    }

    pub(super) const fn method(&self) -> Method {
        match self.lock {
            Lock::Passphrase(_) => Method::Passphrase,
            Lock::Pin(_) => Method::Pin,
            Lock::Open(..) => Method::Open,
        }
    }

    /// Whether what it asks for is within bounds.
    pub(super) const fn is_fair(&self) -> bool {
        match &self.lock {
            Lock::Passphrase(wrapped) | Lock::Pin(wrapped) => wrapped.cost.is_fair(),
            Lock::Open(..) => true,
        }
    }

    pub(super) fn status(&self) -> WorkerStatus {
        let wait = attempts::wait(self.failures).as_millis();
        WorkerStatus {
            worker: self.worker.clone(),
            method: self.method(),
            failures: self.failures,
            wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
        }
    }
}

/// The key that a secret gives.
fn stretch(
    secret: &Secret,
    salt: &[u8; SALT_BYTES],
    cost: Cost,
    factor: Option<&[u8; 32]>,
) -> Result<SymmetricKey, VaultError> {
    let mut out = Zeroizing::new([0; 32]);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(out.len()))
        .map_err(|_beyond| VaultError::Damaged)?;
    let (kind, version) = (Algorithm::Argon2id, Version::V0x13);
    let argon = match factor {
        None => Argon2::new(kind, version, params),
        Some(factor) => Argon2::new_with_secret(factor, kind, version, params)
            .map_err(|_long| VaultError::Damaged)?,
    };
    argon
        .hash_password_into(secret.as_bytes(), salt, out.as_mut_slice())
        .map_err(|_memory| VaultError::Memory)?;
    Ok(SymmetricKey::from_bytes(*out))
}

fn context(
    vault: &[u8; 16],
    worker: &str,
    method: Method,
    salt: &[u8; SALT_BYTES],
    cost: Cost,
) -> Vec<u8> {
    [CONTEXT, &codec::encode(&(vault, worker, method, salt, cost))].concat()
}

/// The key in these bytes, which are wiped.
pub(super) fn key_of(bytes: Zeroizing<Vec<u8>>) -> Option<FileKey> {
    let key: [u8; FILE_KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    Some(FileKey::from_bytes(&Zeroizing::new(key)))
}

fn halves(key: &FileKey) -> (SymmetricKey, SymmetricKey) {
    let (first, second) = key.expose().split_at(FILE_KEY_BYTES / 2);
    let half = |bytes: &[u8]| {
        SymmetricKey::from_bytes(core::array::from_fn(|i| {
            bytes.get(i).copied().unwrap_or_default()
        }))
    };
    (half(first), half(second))
}
