//! What a user can want of the vault, carried out: the same for a daemon and for a client without
//! one.
//!
//! Every wish that needs a secret is one counted attempt ([`attempt`]), and asks for the secret
//! anew even while the reader is open: a phone left open on a table does not get another owner.
//! Nothing here knows the node; what concerns it comes back as an [`Outcome`].

use std::{path::PathBuf, sync::Arc};

use huza_crdt::{
    crypto::SealingPublic,
    id::{CertId, DeviceKey},
    node::CommandError,
    trust::recovery::{RecoveryAnswer, RecoveryRequest, RecoverySlot},
};
use serde::{Deserialize, Serialize};

use super::{Keystore, NewSecret, Unlock, Unlocked, Vault, VaultError, VaultStatus};

/// A wish.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "vault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VaultCommand {
    /// Open the reader, or go on as another worker if it is open.
    Unlock(Unlock),
    /// Seal what is pending and close the reader.
    Lock,
    /// Give a worker another secret.
    ChangeSecret {
        /// The worker, with the secret as it is.
        by: Unlock,
        /// The secret as it shall be.
        new: NewSecret,
    },
    /// Let another worker unlock this device.
    AddWorker {
        /// A worker of this device.
        by: Unlock,
        /// The new worker's name.
        worker: String,
        /// The new worker's secret.
        new: NewSecret,
    },
    /// Take a worker's slot away.
    RemoveWorker {
        /// A worker of this device.
        by: Unlock,
        /// Whose.
        worker: String,
    },
    /// How the vault stands.
    Status,
    /// Leave a recovery with authorities, instead of what was left before; with none: take it
    /// back.
    SetRecovery {
        /// A worker of this device.
        by: Unlock,
        /// This device.
        device: DeviceKey,
        /// The authorities' certificates and sealing keys.
        to: Vec<(CertId, SealingPublic)>,
    },
    /// Ask for a recovery.
    RecoveryRequest,
    /// Take the answer to that, and open the reader.
    Recover {
        /// The answer.
        answer: RecoveryAnswer,
        /// Whose slot is made or replaced.
        worker: String,
        /// What opens it from now on.
        new: NewSecret,
    },
}

/// The answer to a [`VaultCommand`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VaultReply {
    /// It could not be done.
    Error(CommandError),
    /// The reader is open.
    Unlocked {
        /// For whom.
        worker: String,
    },
    /// The reader is locked, and everything it had pending is sealed.
    Locked,
    /// The vault was changed, or asked.
    Vault {
        /// How it stands now.
        status: VaultStatus,
        /// Who has the reader open, if anybody.
        open: Option<String>,
    },
    /// The request for a recovery, for the authority.
    RecoveryRequest {
        /// The request.
        request: RecoveryRequest,
    },
}

impl VaultReply {
    /// That it failed, and why.
    #[must_use]
    pub fn failed(error: &VaultError) -> Self {
        Self::Error(CommandError {
            code: error.code().to_owned(),
            message: crate::error_chain(error),
            hint: error.hint().to_owned(),
        })
    }
}

/// What came of a wish, as far as the vault can carry it out.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The reader may be opened.
    Unlocked(Unlocked),
    /// The reader is to be locked: the node's affair.
    Lock,
    /// Done.
    Status(VaultStatus),
    /// A request for a recovery is to be signed by the node.
    Ask(SealingPublic, Vec<RecoverySlot>),
}

/// A vault's place, and what keeps its factor.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) keystore: Arc<dyn Keystore>,
}

/// Carries out what can be.
pub(crate) async fn perform(place: Place, command: VaultCommand) -> Result<Outcome, VaultError> {
    let keystore = Arc::clone(&place.keystore);
    match command {
        VaultCommand::Unlock(unlock) => Ok(Outcome::Unlocked(attempt(place, unlock).await?.1)),
        VaultCommand::Lock => Ok(Outcome::Lock),
        VaultCommand::ChangeSecret { by, new } => {
            let change = move |vault: &mut Vault, unlocked: &Unlocked, keystore: &dyn Keystore| {
                vault.change_secret(unlocked, &new, keystore)
            };
            changed(place, by, change).await
        }
        VaultCommand::AddWorker { by, worker, new } => {
            let change = move |vault: &mut Vault, unlocked: &Unlocked, keystore: &dyn Keystore| {
                vault.add_worker(unlocked, &worker, &new, keystore)
            };
            changed(place, by, change).await
        }
        VaultCommand::RemoveWorker { by, worker } => {
            let change = move |vault: &mut Vault, unlocked: &Unlocked, _: &dyn Keystore| {
                vault.remove_worker(unlocked, &worker)
            };
            changed(place, by, change).await
        }
        VaultCommand::SetRecovery { by, device, to } => {
            let change = move |vault: &mut Vault, unlocked: &Unlocked, _: &dyn Keystore| {
                vault.set_recovery(unlocked, device, &to)
            };
            changed(place, by, change).await
        }
        VaultCommand::Status => {
            elsewhere(move || {
                Ok(Outcome::Status(Vault::open(&place.path)?.status(keystore.as_ref())))
            })
            .await
        }
        VaultCommand::RecoveryRequest => {
            elsewhere(move || {
                let (reply_to, slots) = Vault::open(&place.path)?.recovery_request()?;
                Ok(Outcome::Ask(reply_to, slots))
            })
            .await
        }
        VaultCommand::Recover { answer, worker, new } => {
            elsewhere(move || {
                let mut vault = Vault::open(&place.path)?;
                let unlocked = vault.recover(&answer, &worker, &new, keystore.as_ref())?;
                Ok(Outcome::Unlocked(unlocked))
            })
            .await
        }
    }
}

/// One attempt: counted, waited for, made. Dropping it in between leaves it counted.
pub(crate) async fn attempt(place: Place, unlock: Unlock) -> Result<(Vault, Unlocked), VaultError> {
    let Place { path, keystore } = place;
    let Unlock { worker, secret } = unlock;
    let begun = elsewhere(move || {
        let mut vault = Vault::open(&path)?;
        let attempt = vault.begin(worker.as_deref())?;
        Ok((vault, attempt))
    });
    let (mut vault, attempt) = begun.await?;
    tokio::time::sleep(attempt.wait()).await;
    elsewhere(move || {
        let unlocked = vault.finish(attempt, &secret, keystore.as_ref())?;
        Ok((vault, unlocked))
    })
    .await
}

/// An attempt, and then a change by whoever made it.
async fn changed(
    place: Place,
    by: Unlock,
    change: impl FnOnce(&mut Vault, &Unlocked, &dyn Keystore) -> Result<(), VaultError> + Send + 'static,
) -> Result<Outcome, VaultError> {
    let keystore = Arc::clone(&place.keystore);
    let (mut vault, unlocked) = attempt(place, by).await?;
    elsewhere(move || {
        change(&mut vault, &unlocked, keystore.as_ref())?;
        Ok(Outcome::Status(vault.status(keystore.as_ref())))
    })
    .await
}

/// On a thread that may block and compute.
async fn elsewhere<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    tokio::task::spawn_blocking(run).await.map_err(|_panic| VaultError::Crashed)?
}
