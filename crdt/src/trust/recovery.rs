//! Recovery of a device whose worker has lost the secret: by a health centre, not by a thief.
//!
//! ```text
//! device, while its reader is open    random secret, wraps the reader's key (the shell's vault)
//!                                     sealed to each authority that may help: RecoverySlot
//! device, secret lost                 one-time key; slots + one-time key, signed: RecoveryRequest
//! authority, who knows the person     opens its slot, seals the secret to the one-time key:
//!                                     RecoveryAnswer
//! device                              opens the answer, and with the secret the vault
//! ```
//!
//! Plain values without I/O; enter at [`RecoverySlot::seal`], [`request`], [`answer`], [`open`].
//! What holds:
//!
//! - A slot opens only with the authority's sealing key, and only for the device that made it:
//!   the device's key is part of what it is sealed under. A device cannot send another's slots.
//! - An answer opens only with the one-time key of the request that it answers.
//! - The secret is no part of the reader's key. A recovery is taken back by making a new secret.
//!
//! What it deliberately does not do: judge who asks. The signature says that the *device* asks,
//! and a thief has the device; a person at the health centre must see the person. Nor does it
//! know whether the device is revoked: the authority's program looks that up before it answers.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::crypto::{
    Purpose, SealingKey, SealingPublic, Signature, Signed, SigningKey, SymmetricKey, Unopened,
};
use crate::id::{CertId, DeviceKey};
use crate::time::Stamp;

/// Authorities with whom one device leaves a recovery at most. // guess: its health centre's, the
/// district's, and their replacements
pub const RECOVERY_SLOTS_MAX: usize = 8;

const SLOT: &[u8] = b"huza recovery slot 1";
const ANSWER: &[u8] = b"huza recovery answer 1";

/// Why a recovery was not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The request is not signed by the device it names, or was altered.
    #[error("the request is not signed by the device it names, or was altered")]
    BadRequest,
    /// The request holds no secret for this authority.
    #[error("the device has left no recovery with this authority; ask the one it was left with")]
    NotForMe,
    /// The slot is for this authority, and cannot be opened for this device.
    #[error("the recovery in the request was left by another device, or was altered")]
    OtherDevice,
    /// The answer is for another request, or was altered.
    #[error("the answer is for another request, or was altered; ask again with a new one")]
    OtherRequest,
    /// A key to which something must be sealed cannot be used.
    #[error("the request holds an unusable key")]
    UnusableKey,
}

/// A device's recovery secret, sealed to one authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverySlot {
    /// The authority's certificate.
    pub to: CertId,
    /// The secret, sealed to the authority.
    #[serde(with = "codec::bytes")]
    sealed: Vec<u8>,
}

impl RecoverySlot {
    /// Leaves `secret` of `device` with the authority `to`, whose sealing key is `public`.
    ///
    /// # Errors
    /// [`RecoveryError::UnusableKey`] if nothing can be sealed to `public`.
    pub fn seal(
        secret: &SymmetricKey,
        device: &DeviceKey,
        (to, public): (CertId, &SealingPublic),
        entropy: [u8; 32],
    ) -> Result<Self, RecoveryError> {
        let context = slot_context(device, to);
        let sealed = public.seal(&context, secret.expose(), entropy);
        Ok(Self { to, sealed: sealed.map_err(|Unopened| RecoveryError::UnusableKey)? })
    }
}

/// A device's wish to be opened again. It travels by any way, for example as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRequest {
    /// Which device.
    pub device: DeviceKey,
    /// The one-time key to which the answer is sealed.
    pub reply_to: SealingPublic,
    /// What the device has left with authorities.
    pub slots: Vec<RecoverySlot>,
    /// When it asked, by its own clock; for the person who answers.
    pub at: Stamp,
    signature: Signature,
}

impl RecoveryRequest {
    /// Whether the named device made exactly this request, and it is within the limits.
    #[must_use]
    pub fn verify(&self) -> bool {
        let bytes = signable(&self.reply_to, &self.slots, self.at);
        let signature = self.signature;
        self.slots.len() <= RECOVERY_SLOTS_MAX
            && Signed { key: self.device, purpose: Purpose::Recovery, bytes, signature }.verify()
    }
}

/// The answer to a [`RecoveryRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryAnswer {
    /// The device that asked.
    pub device: DeviceKey,
    /// The secret, sealed to the request's one-time key.
    #[serde(with = "codec::bytes")]
    sealed: Vec<u8>,
}

/// Asks the authorities of `slots` for the secret. `key` is the device's own; the secret half of
/// `reply_to` must be used for this request only.
#[must_use]
pub fn request(
    key: &SigningKey,
    reply_to: SealingPublic,
    slots: Vec<RecoverySlot>,
    at: Stamp,
) -> RecoveryRequest {
    let signature = key.sign(Purpose::Recovery, &signable(&reply_to, &slots, at));
    RecoveryRequest { device: key.public(), reply_to, slots, at, signature }
}

/// Answers a request, as the authority with certificate `own` and sealing key `key`. To be called
/// only after a person has made sure who asks.
///
/// # Errors
/// If the request is not the device's own, or nothing in it is for this authority.
pub fn answer(
    request: &RecoveryRequest,
    own: CertId,
    key: &SealingKey,
    entropy: [u8; 32],
) -> Result<RecoveryAnswer, RecoveryError> {
    if !request.verify() {
        return Err(RecoveryError::BadRequest);
    }
    let slot = request.slots.iter().find(|slot| slot.to == own).ok_or(RecoveryError::NotForMe)?;
    let secret = key
        .open(&slot_context(&request.device, own), &slot.sealed)
        .map_err(|Unopened| RecoveryError::OtherDevice)?;
    let secret = secret_of(secret).ok_or(RecoveryError::OtherDevice)?;
    let context = answer_context(&request.device);
    let sealed = request.reply_to.seal(&context, secret.expose(), entropy);
    let sealed = sealed.map_err(|Unopened| RecoveryError::UnusableKey)?;
    Ok(RecoveryAnswer { device: request.device, sealed })
}

/// Opens an answer with the secret half of the request's one-time key.
///
/// # Errors
/// [`RecoveryError::OtherRequest`] if it answers another request or was altered.
pub fn open(answer: &RecoveryAnswer, one_time: &SealingKey) -> Result<SymmetricKey, RecoveryError> {
    let secret = one_time.open(&answer_context(&answer.device), &answer.sealed).ok();
    secret.and_then(secret_of).ok_or(RecoveryError::OtherRequest)
}

fn secret_of(bytes: Vec<u8>) -> Option<SymmetricKey> {
    let bytes = zeroize::Zeroizing::new(bytes);
    bytes.as_slice().try_into().ok().map(SymmetricKey::from_bytes)
}

fn signable(reply_to: &SealingPublic, slots: &[RecoverySlot], at: Stamp) -> Vec<u8> {
    codec::encode(&(reply_to, slots, at))
}

fn slot_context(device: &DeviceKey, to: CertId) -> Vec<u8> {
    [SLOT, &device.0, &to.0].concat()
}

fn answer_context(device: &DeviceKey) -> Vec<u8> {
    [ANSWER, &device.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        device: SigningKey,
        centre: (CertId, SealingKey),
        one_time: SealingKey,
        secret: SymmetricKey,
        slot: RecoverySlot,
    }

    fn story() -> Story {
        let device = SigningKey::from_seed([1; 32]);
        let centre = (CertId([2; 16]), SealingKey::from_seed([3; 32]));
        let secret = SymmetricKey::from_bytes([4; 32]);
        let to = (centre.0, &centre.1.public());
        let slot = RecoverySlot::seal(&secret, &device.public(), to, [5; 32]).unwrap();
        Story { device, centre, one_time: SealingKey::from_seed([6; 32]), secret, slot }
    }

    impl Story {
        fn request(&self) -> RecoveryRequest {
            let slots = vec![self.slot.clone()];
            request(&self.device, self.one_time.public(), slots, Stamp(7))
        }

        fn answer(&self, request: &RecoveryRequest) -> Result<RecoveryAnswer, RecoveryError> {
            answer(request, self.centre.0, &self.centre.1, [8; 32])
        }
    }

    #[test]
    fn the_secret_comes_back_through_the_authority() {
        let story = story();
        let request: RecoveryRequest = codec::decode(&codec::encode(&story.request())).unwrap();
        let answer: RecoveryAnswer =
            codec::decode(&codec::encode(&story.answer(&request).unwrap())).unwrap();
        assert!(open(&answer, &story.one_time).unwrap() == story.secret);
    }

    #[test]
    fn another_device_cannot_send_the_slots_it_found() {
        let story = story();
        let thief = SigningKey::from_seed([9; 32]);
        let slots = vec![story.slot.clone()];
        let request = request(&thief, story.one_time.public(), slots, Stamp(7));
        assert!(request.verify());
        assert_eq!(story.answer(&request), Err(RecoveryError::OtherDevice));
    }

    #[test]
    fn an_altered_request_is_refused() {
        let story = story();
        let good = story.request();
        let thief = SealingKey::from_seed([9; 32]);
        let slots = vec![RecoverySlot { to: story.centre.0, sealed: vec![0; 80] }];
        for bad in [
            RecoveryRequest { reply_to: thief.public(), ..good.clone() },
            RecoveryRequest { slots, ..good.clone() },
            RecoveryRequest { at: Stamp(8), ..good.clone() },
            RecoveryRequest { device: SigningKey::from_seed([9; 32]).public(), ..good.clone() },
        ] {
            assert_eq!(story.answer(&bad), Err(RecoveryError::BadRequest), "{bad:?}");
        }
        let other = (CertId([0; 16]), &story.centre.1);
        let answered = answer(&good, other.0, other.1, [8; 32]);
        assert_eq!(answered, Err(RecoveryError::NotForMe));
        let stranger = answer(&good, story.centre.0, &thief, [8; 32]);
        assert_eq!(stranger, Err(RecoveryError::OtherDevice));
    }

    #[test]
    fn an_answer_opens_only_with_the_one_time_key_of_its_request() {
        let story = story();
        let first = story.answer(&story.request()).unwrap();
        let later = SealingKey::from_seed([10; 32]);
        assert!(open(&first, &later).is_err());
        let mut altered = first.clone();
        altered.sealed[40] ^= 1;
        assert!(open(&altered, &story.one_time).is_err());
        let renamed = RecoveryAnswer { device: DeviceKey([0; 32]), ..first };
        assert!(open(&renamed, &story.one_time).is_err());
    }

    #[test]
    fn recovery_slots_max() {
        let story = story();
        let slots = vec![story.slot.clone(); RECOVERY_SLOTS_MAX + 1];
        let request = request(&story.device, story.one_time.public(), slots, Stamp(7));
        assert_eq!(story.answer(&request), Err(RecoveryError::BadRequest));
    }

    #[test]
    fn a_signature_for_joining_is_none_for_recovery() {
        let story = story();
        let mut request = story.request();
        let bytes = signable(&request.reply_to, &request.slots, request.at);
        request.signature = story.device.sign(Purpose::JoinRequest, &bytes);
        assert!(!request.verify());
    }
}
