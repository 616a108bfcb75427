//! Envelopes: the sealed, signed items of a log.
//!
//! Sealing and numbering are two steps. A reader seals a [`Payload`] (it has the key); later its
//! carrier gives it a seq, chains it to the header before it and signs the [`Header`] (it has
//! the device key). What the context gives is not sent: see [`Wire`].

mod reissue;
mod short;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use reissue::{Leaf, Reissue, seal_reissues};

use crate::codec::{self, DecodeError};
use crate::crypto::{
    Purpose, SealingKey, SealingPublic, Signature, Signed, SigningKey, SymmetricKey, Unopened,
};
use crate::id::{DeviceKey, EpochId, Hash, LogId, RecordId, hash_parts, truncated};
use crate::limits::{CARD_BYTES_MAX, ENVELOPE_ITEMS_MAX, PAYLOAD_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use crate::pack;

/// How soon an envelope must travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Urgency {
    /// In its turn.
    Routine,
    /// Before everything else: red alert, danger sign, referral.
    Urgent,
}

/// What the author signs, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The log: hash of its opening.
    pub log: LogId,
    /// Position in the log, from 0.
    pub seq: u64,
    /// Hash of the header before, zeros at seq 0.
    pub previous: Hash,
    /// The area key that seals the payload.
    pub epoch: EpochId,
    /// How soon it must travel.
    pub urgency: Urgency,
    /// Bytes of the sealed payload.
    pub payload_bytes: u32,
    /// BLAKE3 of the sealed payload.
    pub payload_hash: Hash,
    /// Root over the items, see [`items_root`].
    pub items_root: [u8; 16],
}

impl Header {
    /// Its hash, to which the next header and every receipt refer.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(hash_parts("huza 2026 envelope header", &[&codec::encode(self)]))
    }

    /// The signature that must hold.
    #[must_use]
    pub fn signed(&self, key: DeviceKey, signature: Signature) -> Signed {
        Signed { key, purpose: Purpose::Envelope, bytes: codec::encode(self), signature }
    }
}

/// The sealed payload of an envelope, or what is left of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// The sealed payload.
    Sealed(#[serde(with = "codec::bytes")] Vec<u8>),
    /// Erased; length and hash remain, so that the signature still verifies.
    Erased {
        /// Bytes that it had.
        bytes: u32,
        /// Its hash.
        hash: Hash,
    },
}

crate::debug_shows!(enum Content { Sealed, Erased { bytes, hash } });

/// An envelope as it travels and is stored: without log id, seq, previous hash and payload hash,
/// which its place gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// The area key that seals the payload.
    pub epoch: EpochId,
    /// How soon it must travel.
    pub urgency: Urgency,
    /// Root over the items.
    pub items_root: [u8; 16],
    /// The payload.
    pub content: Content,
    /// Over the header.
    pub signature: Signature,
}

impl Wire {
    /// Restores the header for a place in a log.
    #[must_use]
    pub fn header(&self, log: LogId, seq: u64, previous: Hash) -> Header {
        let (payload_bytes, payload_hash) = match &self.content {
            Content::Sealed(payload) => {
                (u32::try_from(payload.len()).unwrap_or(u32::MAX), payload_hash(payload))
            }
            Content::Erased { bytes, hash } => (*bytes, *hash),
        };
        Header {
            log,
            seq,
            previous,
            epoch: self.epoch,
            urgency: self.urgency,
            payload_bytes,
            payload_hash,
            items_root: self.items_root,
        }
    }

    /// Bytes it takes on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        codec::encoded_bytes(self)
    }
}

fn payload_hash(payload: &[u8]) -> Hash {
    Hash(hash_parts("huza 2026 payload", &[payload]))
}

/// An envelope in the store: its wire form and the link that its place gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Hash of the header before.
    pub previous: Hash,
    /// The rest.
    pub wire: Wire,
}

/// A sealed payload that waits for its number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unnumbered {
    /// Changes of the author in it.
    pub changes: u64,
    /// The area key that seals it.
    pub epoch: EpochId,
    /// How soon it must travel.
    pub urgency: Urgency,
    /// Root over its items.
    pub items_root: [u8; 16],
    /// The sealed payload.
    #[serde(with = "codec::bytes")]
    pub payload: Vec<u8>,
}

crate::debug_shows!(struct Unnumbered { changes, epoch, urgency, payload: Vec::len });

impl Unnumbered {
    /// Numbers and signs it.
    #[must_use]
    pub fn number(self, key: &SigningKey, log: LogId, seq: u64, previous: Hash) -> Stored {
        let mut wire = Wire {
            epoch: self.epoch,
            urgency: self.urgency,
            items_root: self.items_root,
            content: Content::Sealed(self.payload),
            signature: key.sign(Purpose::Envelope, b""),
        };
        let header = wire.header(log, seq, previous);
        wire.signature = key.sign(Purpose::Envelope, &codec::encode(&header));
        Stored { previous, wire }
    }
}

/// One change in an envelope.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The record it changes.
    pub record: RecordId,
    /// The change, packed: see [`crate::record`].
    #[serde(with = "codec::bytes")]
    pub change: Vec<u8>,
    /// With an urgent change, its card; else empty.
    #[serde(with = "codec::bytes")]
    pub card: Vec<u8>,
}

crate::debug_shows!(
    struct Item {
        change: Vec::len,
        card: Vec::len,
    }
);

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The log whose changes these are, if not the one it travels in: changes of an earlier
    /// incarnation of the same device, published again.
    pub origin: Option<LogId>,
    /// Counter of the first change; the others follow it.
    pub first: u64,
    /// The changes.
    pub items: Vec<Item>,
}

/// Who can open a payload.
#[derive(Debug, Clone)]
pub enum Seal {
    /// The members of an area, by its key.
    Member(SymmetricKey),
    /// The members of an area, from outside, by its published key of this epoch.
    Outsider(EpochId, SealingPublic),
}

/// Why a payload gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not sealed with this key, or altered.
    #[error(transparent)]
    Unopened(#[from] Unopened),
    /// Sealed in a way this version does not know.
    #[error("sealed in an unknown way")]
    UnknownSeal,
    /// Compressed with a dictionary this version does not have.
    #[error(transparent)]
    Pack(#[from] pack::PackError),
    /// Its content is malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The signed root is not that of its items.
    #[error("its items are not the ones its author signed for")]
    WrongItems,
}

const SEAL_MEMBER: u8 = 0;
const SEAL_OUTSIDER: u8 = 1;
const SEAL_REISSUE: u8 = 2;

impl Payload {
    /// Packs and seals it for `log`.
    ///
    /// # Errors
    /// If it exceeds a limit, or the outsider's key is unusable.
    pub fn seal(
        &self,
        log: LogId,
        seal: &Seal,
        urgency: Urgency,
        entropy: [u8; 32],
    ) -> Result<Unnumbered, OpenError> {
        self.check()?;
        let plain = Zeroizing::new(self.to_short(log));
        let plain = Zeroizing::new(pack::pack(&plain)?);
        let (epoch, payload, salt) = match seal {
            Seal::Member(key) => {
                let epoch = crate::trust::epoch_of(key);
                let sealed = key.seal(&context(log, epoch), &plain, entropy);
                let salt = member_salt(key, &sealed);
                (epoch, [&[SEAL_MEMBER], sealed.as_slice()].concat(), salt)
            }
            Seal::Outsider(epoch, public) => {
                let salt = hash_parts("huza 2026 outsider salt", &[&entropy]);
                let salted = Zeroizing::new([salt.as_slice(), &plain].concat());
                let sealed = public.seal(&context(log, *epoch), &salted, entropy)?;
                (*epoch, [&[SEAL_OUTSIDER], sealed.as_slice()].concat(), salt)
            }
        };
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::Limit("payload bytes").into());
        }
        Ok(Unnumbered {
            changes: self.items.len() as u64,
            epoch,
            urgency,
            items_root: items_root(&salt, &self.items),
            payload,
        })
    }

    /// Opens a sealed payload with an area's key, and checks it against the signed header.
    ///
    /// # Errors
    /// If the key is another, or what is inside is not what was signed.
    pub fn open(header: &Header, sealed: &[u8], key: &SymmetricKey) -> Result<Self, OpenError> {
        match Contents::open(header, sealed, key)? {
            Contents::Changes { payload, .. } => Ok(payload),
            Contents::Reissued(_) => Err(OpenError::UnknownSeal),
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        if self.items.is_empty() || self.items.len() > ENVELOPE_ITEMS_MAX {
            return Err(DecodeError::Limit("items of an envelope"));
        }
        if self.first.checked_add(self.items.len() as u64).is_none() {
            return Err(DecodeError::Limit("counters"));
        }
        if self.items.iter().any(|item| item.card.len() > CARD_BYTES_MAX) {
            return Err(DecodeError::Limit("card bytes"));
        }
        let bytes = |item: &Item| RecordId::LEN + item.change.len() + item.card.len();
        if self.items.iter().map(bytes).sum::<usize>() > PLAINTEXT_BYTES_MAX {
            return Err(DecodeError::Limit("plaintext bytes"));
        }
        Ok(())
    }
}

/// What is in a payload, once it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Changes of the log's author.
    Changes {
        /// The changes.
        payload: Payload,
        /// The salt of its items.
        salt: [u8; 32],
    },
    /// What is left of other envelopes after an erasure, each with its author's proof.
    Reissued(Vec<Reissue>),
}

impl Contents {
    /// Opens a sealed payload with an area's key, and checks it against the signed header.
    ///
    /// # Errors
    /// If the key is another, or what is inside is not what was signed.
    pub fn open(header: &Header, sealed: &[u8], key: &SymmetricKey) -> Result<Self, OpenError> {
        let context = context(header.log, header.epoch);
        let (method, sealed) = sealed.split_first().ok_or(Unopened)?;
        let (plain, salt) = match *method {
            SEAL_MEMBER => (key.open(&context, sealed)?, member_salt(key, sealed)),
            SEAL_REISSUE => {
                let context = [context.as_slice(), &[SEAL_REISSUE]].concat();
                (key.open(&context, sealed)?, member_salt(key, sealed))
            }
            SEAL_OUTSIDER => {
                let sealing: SealingKey = crate::trust::sealing_of(key);
                let salted = sealing.open(&context, sealed)?;
                let (salt, plain) = salted.split_first_chunk::<32>().ok_or(Unopened)?;
                (Zeroizing::new(plain.to_vec()), *salt)
            }
            _ => return Err(OpenError::UnknownSeal),
        };
        let short = pack::is_short(&plain);
        let plain = Zeroizing::new(pack::unpack(&plain, PLAINTEXT_BYTES_MAX)?);
        if *method == SEAL_REISSUE {
            if reissue::root(&salt, &plain) != header.items_root {
                return Err(OpenError::WrongItems);
            }
            return Ok(Self::Reissued(codec::decode(&plain)?));
        }
        let payload = match short {
            true => Payload::from_short(header.log, &plain)?,
            false => codec::decode(&plain)?,
        };
        payload.check()?;
        if items_root(&salt, &payload.items) != header.items_root {
            return Err(OpenError::WrongItems);
        }
        Ok(Self::Changes { payload, salt })
    }
}

/// What a payload is bound to besides its key.
fn context(log: LogId, epoch: EpochId) -> Vec<u8> {
    [b"huza payload 1\0".as_slice(), &log.0, &epoch.0].concat()
}

/// The salt of the items of a symmetric payload: nobody without the key can test guesses against
/// the signed root.
fn member_salt(key: &SymmetricKey, sealed: &[u8]) -> [u8; 32] {
    let nonce = sealed.get(..24).unwrap_or_default();
    key.derive("huza items salt 1", b"").mac(&[nonce])
}

/// The root over an envelope's items: BLAKE3 over the salted hash of each, 16 bytes. To prove
/// one item, its author's header and the other items' hashes are enough.
#[must_use]
pub fn items_root(salt: &[u8; 32], items: &[Item]) -> [u8; 16] {
    let leaves: Vec<[u8; 32]> = items.iter().map(|item| leaf(salt, item)).collect();
    root_of(&leaves)
}

fn leaf(salt: &[u8; 32], item: &Item) -> [u8; 32] {
    hash_parts("huza 2026 item", &[salt, &codec::encode(item)])
}

fn root_of(leaves: &[[u8; 32]]) -> [u8; 16] {
    let parts: Vec<&[u8]> = leaves.iter().map(<[u8; 32]>::as_slice).collect();
    truncated(hash_parts("huza 2026 items root", &parts))
}

/// Two headers that one author signed and that cannot both be of one chain: for one place in a
/// log, or for consecutive places without the link between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// One.
    pub one: (Header, Signature),
    /// The other.
    pub other: (Header, Signature),
}

impl ForkProof {
    /// The log it is about.
    #[must_use]
    pub const fn log(&self) -> LogId {
        self.one.0.log
    }

    /// Whether it proves what it says, given the key of the log's author.
    #[must_use]
    pub fn holds(&self, author: DeviceKey) -> bool {
        let ((one, by_one), (other, by_other)) = (&self.one, &self.other);
        let twins = one.seq == other.seq && one != other;
        let unlinked = one.seq.checked_add(1) == Some(other.seq) && other.previous != one.hash();
        one.log == other.log
            && (twins || unlinked)
            && one.signed(author, *by_one).verify()
            && other.signed(author, *by_other).verify()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        let item = |n: u8| Item {
            record: RecordId([n; 16]),
            change: vec![n; 100],
            card: if n == 1 { vec![7; 20] } else { Vec::new() },
        };
        Payload { origin: None, first: 5, items: vec![item(1), item(2)] }
    }

    fn numbered(seal: &Seal) -> (Header, Stored) {
        let log = LogId([3; 32]);
        let sealed = payload().seal(log, seal, Urgency::Urgent, [4; 32]).unwrap();
        let key = SigningKey::from_seed([1; 32]);
        let stored = sealed.number(&key, log, 9, Hash([8; 32]));
        let header = stored.wire.header(log, 9, stored.previous);
        assert!(header.signed(key.public(), stored.wire.signature).verify());
        (header, stored)
    }

    fn sealed(stored: &Stored) -> &[u8] {
        let Content::Sealed(sealed) = &stored.wire.content else { panic!("not erased") };
        sealed
    }

    #[test]
    fn both_ways_of_sealing_open_with_the_areas_key_only() {
        let key = SymmetricKey::from_bytes([2; 32]);
        let public = crate::trust::sealing_of(&key).public();
        let outsider = Seal::Outsider(crate::trust::epoch_of(&key), public);
        for seal in [Seal::Member(key.clone()), outsider] {
            let (header, stored) = numbered(&seal);
            assert_eq!(Payload::open(&header, sealed(&stored), &key).unwrap(), payload());
            let other = SymmetricKey::from_bytes([5; 32]);
            assert!(Payload::open(&header, sealed(&stored), &other).is_err());
        }
    }

    #[test]
    fn a_stub_keeps_the_signature_valid() {
        let (header, stored) = numbered(&Seal::Member(SymmetricKey::from_bytes([2; 32])));
        let erased = Wire {
            content: Content::Erased { bytes: header.payload_bytes, hash: header.payload_hash },
            ..stored.wire
        };
        assert_eq!(erased.header(header.log, header.seq, header.previous), header);
    }

    #[test]
    fn items_that_were_not_signed_for_are_refused() {
        let key = SymmetricKey::from_bytes([2; 32]);
        let (header, stored) = numbered(&Seal::Member(key.clone()));
        let other = Header { items_root: [0; 16], ..header };
        let answer = Payload::open(&other, sealed(&stored), &key);
        assert_eq!(answer, Err(OpenError::WrongItems));
    }

    #[test]
    fn a_payload_moved_to_another_log_does_not_open() {
        let key = SymmetricKey::from_bytes([2; 32]);
        let (header, stored) = numbered(&Seal::Member(key.clone()));
        let moved = Header { log: LogId([6; 32]), ..header };
        assert!(Payload::open(&moved, sealed(&stored), &key).is_err());
    }

    #[test]
    fn two_headers_in_one_place_prove_a_fork() {
        let key = SigningKey::from_seed([1; 32]);
        let (header, _) = numbered(&Seal::Member(SymmetricKey::from_bytes([2; 32])));
        let other = Header { payload_bytes: 1, ..header };
        let sign = |header: &Header| key.sign(Purpose::Envelope, &codec::encode(header));
        let proof = ForkProof { one: (header, sign(&header)), other: (other, sign(&other)) };
        assert!(proof.holds(key.public()));
        let same = ForkProof { other: proof.one, ..proof };
        assert!(!same.holds(key.public()));
    }
}
