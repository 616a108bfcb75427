//! The way back in when every secret is lost: through a health centre.
//!
//! A random secret wraps the reader's key in a slot of its own, and is itself sealed to the
//! authorities that may help (`huza_crdt::trust::recovery`). The device cannot open that by
//! itself, and neither can a thief who has it. Each secret is good for one recovery: it is
//! replaced in the same write that makes the new worker's slot.

use huza_crdt::{
    codec,
    crypto::{SealingKey, SealingPublic, SymmetricKey},
    id::{CertId, DeviceKey},
    trust::recovery::{self, RECOVERY_SLOTS_MAX, RecoveryAnswer, RecoveryError, RecoverySlot},
};
use serde::{Deserialize, Serialize};

use super::{
    Keystore, NewSecret, Unlocked, Vault, VaultError, WORKERS_MAX, check_worker, random,
    slot::{Slot, key_of},
};
use crate::store::FileKey;

const CONTEXT: &[u8] = b"huza vault recovery 1";

/// What was left with authorities.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Recovery {
    device: DeviceKey,
    /// The authorities' sealing keys, to leave the next secret with them, and what they open.
    left: Vec<(SealingPublic, RecoverySlot)>,
    /// The reader's key under the secret.
    sealed: Vec<u8>,
}

impl Recovery {
    fn make(
        vault: &[u8; 16],
        key: &FileKey,
        device: DeviceKey,
        to: &[(CertId, SealingPublic)],
    ) -> Result<Self, VaultError> {
        let secret = SymmetricKey::from_bytes(*random()?);
        let mut left = Vec::new();
        for (authority, public) in to {
            let slot = RecoverySlot::seal(&secret, &device, (*authority, public), *random()?)?;
            left.push((*public, slot));
        }
        let sealed = secret.seal(&context(vault, &device), key.expose(), *random()?);
        Ok(Self { device, left, sealed })
    }

    fn authorities(&self) -> Vec<(CertId, SealingPublic)> {
        self.left.iter().map(|(public, slot)| (slot.to, *public)).collect()
    }
}

fn context(vault: &[u8; 16], device: &DeviceKey) -> Vec<u8> {
    [CONTEXT, &codec::encode(&(vault, device))].concat()
}

impl Vault {
    /// Authorities with whom a recovery was left.
    #[must_use]
    pub fn recovery_left(&self) -> Vec<CertId> {
        let recovery = self.content.recovery.iter();
        recovery.flat_map(|found| found.left.iter().map(|(_, slot)| slot.to)).collect()
    }

    /// Leaves a recovery of `device` with the authorities in `to`, each with its sealing key,
    /// instead of what was left before, which is good for nothing from then on. With nobody, the
    /// recovery is taken back.
    ///
    /// # Errors
    /// If a key cannot be used or there are too many, or the disk refuses.
    pub fn set_recovery(
        &mut self,
        unlocked: &Unlocked,
        device: DeviceKey,
        to: &[(CertId, SealingPublic)],
    ) -> Result<(), VaultError> {
        if to.len() > RECOVERY_SLOTS_MAX {
            return Err(RecoveryError::UnusableKey.into());
        }
        self.content.recovery = if to.is_empty() {
            None
        } else {
            Some(Recovery::make(&self.content.id, unlocked.key(), device, to)?)
        };
        self.content.asked = None;
        self.save()
    }

    /// Begins a recovery: what `huza_crdt::trust::recovery::request` needs besides the device's
    /// signature. The secret half of the one-time key stays in the vault until the answer comes;
    /// asking again makes a new one.
    ///
    /// # Errors
    /// [`VaultError::NoRecovery`] if none was left with anybody, or what the disk says.
    pub fn recovery_request(&mut self) -> Result<(SealingPublic, Vec<RecoverySlot>), VaultError> {
        let recovery = self.content.recovery.as_ref().ok_or(VaultError::NoRecovery)?;
        let slots = recovery.left.iter().map(|(_, slot)| slot.clone()).collect();
        let one_time = SealingKey::from_seed(*random()?);
        let reply_to = one_time.public();
        self.content.asked = Some(one_time);
        self.save()?;
        Ok((reply_to, slots))
    }

    /// Takes an authority's answer, and makes or replaces the slot of `worker` with a new secret.
    /// The recovery that was used is replaced by another one with the same authorities.
    ///
    /// # Errors
    /// If the answer is for another request, the name or secret cannot be used, or the disk
    /// refuses.
    pub fn recover(
        &mut self,
        answer: &RecoveryAnswer,
        worker: &str,
        new: &NewSecret,
        keystore: &dyn Keystore,
    ) -> Result<Unlocked, VaultError> {
        check_worker(worker)?;
        let one_time = self.content.asked.as_ref().ok_or(VaultError::NotAsked)?;
        let recovery = self.content.recovery.as_ref().ok_or(VaultError::NoRecovery)?;
        let secret = recovery::open(answer, one_time)?;
        let (id, device) = (self.content.id, recovery.device);
        let key = secret.open(&context(&id, &device), &recovery.sealed).ok().and_then(key_of);
        let key = key.ok_or(VaultError::OldRecovery)?;
        let next = Recovery::make(&id, &key, device, &recovery.authorities())?;
        let slot = Slot::seal(&id, worker, new, &key, keystore)?;
        let slots = &mut self.content.slots;
        let full = slots.len() >= WORKERS_MAX;
        match slots.iter_mut().find(|found| found.worker == worker) {
            Some(found) => *found = slot,
            None if full => return Err(VaultError::TooManyWorkers),
            None => slots.push(slot),
        }
        self.content.recovery = Some(next);
        self.content.asked = None;
        self.save()?;
        Ok(Unlocked { worker: worker.to_owned(), key })
    }
}
