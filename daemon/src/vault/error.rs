//! What can go wrong with a vault, in words for the person who must act.

use core::time::Duration;
use std::io;

use huza_crdt::trust::recovery::RecoveryError;

use super::{KeystoreError, SecretError, WORKER_BYTES_MAX, WORKERS_MAX};

/// Why a vault could not be opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The secret does not open the slot. (Nor would it if somebody had changed the slot.)
    #[error("wrong secret; {}", counted(*failures, *wait))]
    WrongSecret {
        /// Attempts that failed since the last that succeeded.
        failures: u32,
        /// What the next one waits.
        wait: Duration,
    },
    /// Several workers, and no name.
    #[error("several workers use this device; say who you are")]
    WhichWorker,
    /// No slot of this name.
    #[error("{0} is no worker of this device; look at the list of workers")]
    UnknownWorker(String),
    /// A slot of this name.
    #[error("{0} is a worker of this device already; change the secret instead")]
    KnownWorker(String),
    /// The name cannot be used.
    #[error(
        "a worker's name has 1 to {WORKER_BYTES_MAX} bytes, no line ends, and no space at its ends"
    )]
    BadWorker,
    /// No more slots.
    #[error("a device has {WORKERS_MAX} workers at most; remove one first")]
    TooManyWorkers,
    /// Nobody could unlock it any more.
    #[error("the last worker cannot be removed; add another one first")]
    LastWorker,
    /// The secret may not be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The keystore does not give its factor.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// No recovery was left with anybody.
    #[error("no recovery was left with a health centre; only a worker's secret opens this device")]
    NoRecovery,
    /// An answer without a question.
    #[error("no recovery was asked for, or it was answered already; ask again")]
    NotAsked,
    /// The recovery failed.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The answer brings a secret that is no longer good.
    #[error("this recovery was replaced since; ask again with a new request")]
    OldRecovery,
    /// There is a vault already.
    #[error("there is a vault here already; it is left as it is")]
    Exists,
    /// There is none.
    #[error("the vault of this home is missing; put `vault` back from a backup")]
    Missing,
    /// Its bytes are not those that were written.
    #[error("the vault is damaged; put `vault` back from a backup, or ask for a recovery")]
    Damaged,
    /// It is of a later version.
    #[error("the vault was written by another version of huza; use that one")]
    Version,
    /// The disk refused.
    #[error("the vault cannot be read or written; see that the disk has room and is yours")]
    Io(#[from] io::Error),
    /// The operating system gives no random numbers.
    #[error("the system gives no random numbers; without them no key is safe")]
    Entropy(#[source] getrandom::Error),
    /// A thread panicked: a bug.
    #[error("the vault failed; run again, and please report it")]
    Crashed,
    /// Not enough memory to try a secret.
    #[error("there is not enough memory to try the secret; close other programs")]
    Memory,
}

impl VaultError {
    /// A stable name, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongSecret { .. } => "wrong_secret",
            Self::WhichWorker => "which_worker",
            Self::UnknownWorker(_) => "unknown_worker",
            Self::KnownWorker(_) => "known_worker",
            Self::BadWorker => "bad_worker",
            Self::TooManyWorkers => "too_many_workers",
            Self::LastWorker => "last_worker",
            Self::Secret(_) => "weak_secret",
            Self::Keystore(_) => "keystore",
            Self::NoRecovery => "no_recovery",
            Self::NotAsked => "not_asked",
            Self::Recovery(_) => "bad_recovery",
            Self::OldRecovery => "old_recovery",
            Self::Exists => "exists",
            Self::Missing => "no_vault",
            Self::Damaged => "vault_damaged",
            Self::Version => "vault_version",
            Self::Io(_) => "vault_io",
            Self::Entropy(_) => "entropy",
            Self::Crashed => "crashed",
            Self::Memory => "memory",
        }
    }

    /// What to do, as far as the message does not say it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::WrongSecret { .. } => {
                "try again, or have your health centre open it (`huza recovery request`)"
            }
            Self::WhichWorker => "name yourself with --worker",
            _ => "",
        }
    }
}

fn counted(failures: u32, wait: Duration) -> String {
    let attempts = match failures {
        1 => "1 failed attempt so far".to_owned(),
        more => format!("{more} failed attempts so far"),
    };
    match wait.as_secs() {
        0 => format!("{attempts}, the next one may come at once"),
        seconds => format!("{attempts}, the next one waits {seconds} s"),
    }
}
