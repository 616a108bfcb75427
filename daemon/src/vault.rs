//! The vault of a home: who may open the reader's file, and how.
//!
//! `HOME/vault` holds the random key of `reader.redb`, wrapped once for each worker, in a *slot*
//! under that worker's own secret, and once for recovery by a health centre. Enter at
//! [`Vault::create`], [`Vault::open`] and [`Vault::unlock`]. What holds:
//!
//! - Without a secret, or a recovery's answer, the file tells nothing of the key; unless a slot is
//!   [`NewSecret::Open`], and then [`VaultStatus::protected`] says so.
//! - Changing a secret, adding and removing workers change this file only; the reader's file keeps
//!   its key.
//! - An attempt is counted durably *before* its secret is tried, so switching the device off does
//!   not win one. From the third failure on an attempt waits first, and the wait follows from the
//!   count, not from a clock. See [`attempts`].
//! - A wrong secret is told from a damaged vault and from a vault of another device's reader.
//! - The file is replaced whole: after a cut it is the old one or the new one.
//!
//! What it deliberately does not do: hold keys between two calls; wait (the caller does, see
//! [`Attempt`]); or stop somebody who copies the file and counts for himself. Against that stand
//! the cost of each guess ([`Cost`]), the passphrase's length, and the factor that goes with a
//! PIN and stays on the device ([`Keystore`]). An old slot that somebody copied still opens the
//! file after the secret was changed.

pub mod attempts;
mod error;
mod file;
pub mod keystore;
mod recovery;
mod secret;
pub(crate) mod service;
mod slot;

use std::path::{Path, PathBuf};

use huza_crdt::id::CertId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use attempts::Attempt;
pub use error::VaultError;
pub use keystore::{FileKeystore, Keystore, KeystoreError};
pub use secret::{
    NewSecret, PASSPHRASE_CHARS_MIN, PIN_DIGITS_MIN, SECRET_BYTES_MAX, Secret, SecretError, Unlock,
};
pub use service::{VaultCommand, VaultReply};
pub use slot::{Cost, Method};

use crate::store::FileKey;
use file::Content;
use slot::Slot;

/// Workers of one device at most. // guess: a hub's nurses, in shifts
pub const WORKERS_MAX: usize = 16;

/// Longest name of a worker, in bytes. // guess
pub const WORKER_BYTES_MAX: usize = 64;

/// A vault, as last read or written. Whoever holds one must hold the home's lock.
#[derive(Debug)]
pub struct Vault {
    path: PathBuf,
    content: Content,
}

/// What an unlocked vault gives: the reader's key, and who unlocked it.
#[derive(Debug, Clone)]
pub struct Unlocked {
    worker: String,
    key: FileKey,
}

impl Unlocked {
    /// Who unlocked it.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// The key of the reader's file.
    #[must_use]
    pub const fn key(&self) -> &FileKey {
        &self.key
    }
}

/// How a vault stands. Says nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// Whether a secret is needed; `false` if a slot is open, and then anybody can read.
    pub protected: bool,
    /// That, in words for people.
    pub description: String,
    /// Who may unlock it.
    pub workers: Vec<WorkerStatus>,
    /// Authorities with whom a recovery was left.
    pub recovery: Vec<CertId>,
    /// Whether a recovery was asked for and is not answered yet.
    pub recovery_asked: bool,
}

/// One worker's slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The worker's name.
    pub worker: String,
    /// What opens it.
    pub method: Method,
    /// Attempts that failed since the last that succeeded.
    pub failures: u32,
    /// Milliseconds that the next attempt waits before it is made.
    pub wait_ms: u64,
}

impl Vault {
    /// Makes a vault with a new random key at `path`, with one worker's slot.
    ///
    /// # Errors
    /// If the name or secret cannot be used, there is a vault already, or the disk refuses.
    pub fn create(
        path: &Path,
        worker: &str,
        secret: &NewSecret,
        keystore: &dyn Keystore,
    ) -> Result<(Self, Unlocked), VaultError> {
        if path.exists() {
            return Err(VaultError::Exists);
        }
        check_worker(worker)?;
        let key = FileKey::from_bytes(&random()?);
        let id = *random()?;
        let slot = Slot::seal(&id, worker, secret, &key, keystore)?;
        let content = Content { id, slots: vec![slot], recovery: None, asked: None };
        let vault = Self { path: path.to_owned(), content };
        vault.save()?;
        Ok((vault, Unlocked { worker: worker.to_owned(), key }))
    }

    /// Reads the vault at `path`.
    ///
    /// # Errors
    /// [`VaultError::Missing`] or [`VaultError::Damaged`], or what the disk says.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        Ok(Self { path: path.to_owned(), content: file::load(path)? })
    }

    /// How it stands. `keystore` is asked for its description only.
    #[must_use]
    pub fn status(&self, keystore: &dyn Keystore) -> VaultStatus {
        let protected = !self.content.slots.iter().any(Slot::is_open);
        let pins = self.content.slots.iter().any(|slot| slot.method() == Method::Pin);
        let description = match (protected, pins) {
            (false, _) => {
                "this device is unprotected: its key lies in the vault in the clear, and \
                           whoever has the files reads the records"
                    .to_owned()
            }
            (true, false) => "the records are encrypted; a passphrase opens them".to_owned(),
            (true, true) => {
                format!("the records are encrypted; PINs count with {}", keystore.describe())
            }
        };
        VaultStatus {
            protected,
            description,
            workers: self.content.slots.iter().map(Slot::status).collect(),
            recovery: self.recovery_left(),
            recovery_asked: self.content.asked.is_some(),
        }
    }

    /// The key, if a slot is open and needs no secret.
    #[must_use]
    pub fn unlock_open(&self) -> Option<Unlocked> {
        self.content
            .slots
            .iter()
            .find_map(|slot| Some(Unlocked { worker: slot.worker.clone(), key: slot.open_key()? }))
    }

    /// Counts an attempt to unlock, durably, and says how long to wait before it may be made. The
    /// name may be left out while there is one worker only.
    ///
    /// # Errors
    /// [`VaultError::WhichWorker`], [`VaultError::UnknownWorker`], or what the disk says.
    pub fn begin(&mut self, worker: Option<&str>) -> Result<Attempt, VaultError> {
        let slot = match (worker, self.content.slots.as_mut_slice()) {
            (Some(worker), slots) => slots
                .iter_mut()
                .find(|slot| slot.worker == worker)
                .ok_or_else(|| VaultError::UnknownWorker(worker.to_owned()))?,
            (None, [only]) => only,
            (None, _) => return Err(VaultError::WhichWorker),
        };
        let attempt = Attempt::new(&slot.worker, slot.failures);
        if !slot.is_open() {
            slot.failures = slot.failures.saturating_add(1);
            self.save()?;
        }
        Ok(attempt)
    }

    /// Makes an attempt that was counted and has waited. Takes about a second of one core, and
    /// [`Cost::memory_kib`] of memory: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`VaultError::WrongSecret`], or what the keystore or the disk says.
    pub fn finish(
        &mut self,
        attempt: Attempt,
        secret: &Secret,
        keystore: &dyn Keystore,
    ) -> Result<Unlocked, VaultError> {
        let worker = attempt.worker;
        let unknown = || VaultError::UnknownWorker(worker.clone());
        let slots = &mut self.content.slots;
        let slot = slots.iter_mut().find(|slot| slot.worker == worker).ok_or_else(unknown)?;
        let Some(key) = slot.unseal(&self.content.id, secret, keystore)? else {
            let failures = slot.failures;
            return Err(VaultError::WrongSecret { failures, wait: attempts::wait(failures) });
        };
        if slot.failures > 0 {
            slot.failures = 0;
            self.save()?;
        }
        Ok(Unlocked { worker, key })
    }

    /// An attempt from beginning to end; `wait` lets the time pass.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Self::finish`].
    pub fn unlock(
        &mut self,
        unlock: &Unlock,
        keystore: &dyn Keystore,
        wait: impl FnOnce(core::time::Duration),
    ) -> Result<Unlocked, VaultError> {
        let attempt = self.begin(unlock.worker.as_deref())?;
        wait(attempt.wait());
        self.finish(attempt, &unlock.secret, keystore)
    }

    /// Gives the worker who unlocked it another secret.
    ///
    /// # Errors
    /// If the secret cannot be used, or the disk refuses; the old secret is good then.
    pub fn change_secret(
        &mut self,
        unlocked: &Unlocked,
        new: &NewSecret,
        keystore: &dyn Keystore,
    ) -> Result<(), VaultError> {
        let slot = Slot::seal(&self.content.id, &unlocked.worker, new, &unlocked.key, keystore)?;
        let found = self.content.slots.iter_mut().find(|slot| slot.worker == unlocked.worker);
        *found.ok_or_else(|| VaultError::UnknownWorker(unlocked.worker.clone()))? = slot;
        self.save()
    }

    /// Lets another worker unlock it too.
    ///
    /// # Errors
    /// If the name or secret cannot be used, or the disk refuses.
    pub fn add_worker(
        &mut self,
        unlocked: &Unlocked,
        worker: &str,
        new: &NewSecret,
        keystore: &dyn Keystore,
    ) -> Result<(), VaultError> {
        check_worker(worker)?;
        if self.content.slots.iter().any(|slot| slot.worker == worker) {
            return Err(VaultError::KnownWorker(worker.to_owned()));
        }
        if self.content.slots.len() >= WORKERS_MAX {
            return Err(VaultError::TooManyWorkers);
        }
        let slot = Slot::seal(&self.content.id, worker, new, &unlocked.key, keystore)?;
        self.content.slots.push(slot);
        self.save()
    }

    /// Takes a worker's slot away; not the last one.
    ///
    /// # Errors
    /// If there is no such worker or no other, or the disk refuses.
    pub fn remove_worker(&mut self, _by: &Unlocked, worker: &str) -> Result<(), VaultError> {
        let place = self.content.slots.iter().position(|slot| slot.worker == worker);
        let place = place.ok_or_else(|| VaultError::UnknownWorker(worker.to_owned()))?;
        if self.content.slots.len() == 1 {
            return Err(VaultError::LastWorker);
        }
        self.content.slots.remove(place);
        self.save()
    }

    fn save(&self) -> Result<(), VaultError> {
        file::save(&self.path, &self.content)
    }
}

/// Random bytes from the operating system.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(VaultError::Entropy)?;
    Ok(bytes)
}

fn check_worker(worker: &str) -> Result<(), VaultError> {
    let fine = !worker.is_empty()
        && worker.len() <= WORKER_BYTES_MAX
        && worker.trim() == worker
        && !worker.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(VaultError::BadWorker) }
}
