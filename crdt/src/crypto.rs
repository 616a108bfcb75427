//! The four primitives everything else is made of: signatures, symmetric sealing, sealing to a
//! public key, derivation. Each comes from a reviewed crate; nothing here is our own algorithm.
//!
//! - Ed25519 by ZIP-215 rules (`ed25519-zebra`), so that single and batch verification agree on
//!   every input, torsion included: replicas that verify differently would diverge for ever.
//! - XChaCha20-Poly1305 (`chacha20poly1305`).
//! - HPKE, RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 (`hpke`).
//! - HKDF-SHA256 (`hkdf`) and BLAKE3.

use core::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use ed25519_zebra as zebra;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::id::{DeviceKey, hex};

/// What a signature is for. Goes in front of the signed bytes, so that no signature made for one
/// purpose is valid for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Header of an envelope.
    Envelope,
    /// Statement of the control lane.
    Statement,
    /// Proof inside a session's hello.
    Hello,
    /// A device's request for a certificate.
    JoinRequest,
    /// A device's request to be opened again by its health centre.
    Recovery,
    /// COSE builds its own context (`Sig_structure`), so nothing goes in front.
    Cose,
}

impl Purpose {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Envelope => b"huza envelope 1\n",
            Self::Statement => b"huza statement 1\n",
            Self::Hello => b"huza hello 1\n",
            Self::JoinRequest => b"huza join request 1\n",
            Self::Recovery => b"huza recovery 1\n",
            Self::Cose => b"",
        }
    }

    fn message(self, bytes: &[u8]) -> Vec<u8> {
        [self.prefix(), bytes].concat()
    }
}

/// An Ed25519 signature: R and s, 32 bytes each.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature([u8; 32], [u8; 32]);

impl Signature {
    /// The 64 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 64] {
        zebra::Signature::from_components(self.0, self.1).to_bytes()
    }

    /// Reads one from 64 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (r, s) = bytes.split_at_checked(32)?;
        Some(Self(r.try_into().ok()?, s.try_into().ok()?))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex(self.0.get(..4).unwrap_or_default()))
    }
}

/// A device's or authority's secret signing key.
#[derive(Clone)]
pub struct SigningKey(zebra::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public().short())
    }
}

impl SigningKey {
    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(zebra::SigningKey::from(seed))
    }

    /// Its seed, for the key store.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> DeviceKey {
        DeviceKey(self.0.verification_key().into())
    }

    /// Signs `bytes` for `purpose`.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, bytes: &[u8]) -> Signature {
        let signature = self.0.sign(&purpose.message(bytes));
        Signature(*signature.r_bytes(), *signature.s_bytes())
    }
}

/// One signature to check: what was signed, by whom, for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The claimed signer.
    pub key: DeviceKey,
    /// What for.
    pub purpose: Purpose,
    /// The signed bytes, without the purpose's prefix.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

impl Signed {
    /// Whether the signature is valid by ZIP-215 rules.
    #[must_use]
    pub fn verify(&self) -> bool {
        let signature = zebra::Signature::from_components(self.signature.0, self.signature.1);
        zebra::VerificationKey::try_from(self.key.0)
            .and_then(|key| key.verify(&signature, &self.purpose.message(&self.bytes)))
            .is_ok()
    }
}

/// Checks many signatures at once; the answers are those of [`Signed::verify`], one for each.
/// `entropy` blinds the batch equation and must be unpredictable to whoever made the signatures.
#[must_use]
pub fn verify_all(signed: &[Signed], entropy: [u8; 32]) -> Vec<bool> {
    let mut batch = zebra::batch::Verifier::new();
    for one in signed {
        let key = zebra::VerificationKeyBytes::from(one.key.0);
        let signature = zebra::Signature::from_components(one.signature.0, one.signature.1);
        batch.queue((key, signature, &one.purpose.message(&one.bytes)));
    }
    if batch.verify(ChaCha20Rng::from_seed(entropy)).is_ok() {
        return vec![true; signed.len()];
    }
    signed.iter().map(Signed::verify).collect()
}

/// A symmetric key: of an area, of a programme's members.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SymmetricKey([u8; 32]);

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(..)")
    }
}

/// Bytes that could not be opened: wrong key, or changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened with this key, or was altered")]
pub struct Unopened;

/// Bytes that a symmetric seal adds: nonce and tag.
pub const SEAL_OVERHEAD: usize = 24 + 16;

impl SymmetricKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for sealing it to somebody or storing it.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another key for another use: HKDF-SHA256 without salt, `info` = `context` 0x00 `data`.
    #[must_use]
    pub fn derive(&self, context: &str, data: &[u8]) -> Self {
        let info = [context.as_bytes(), &[0], data].concat();
        let mut out = [0; 32];
        #[expect(clippy::expect_used, reason = "32 bytes are fewer than 255 hash lengths")]
        hkdf::Hkdf::<sha2::Sha256>::new(None, &self.0)
            .expand(&info, &mut out)
            .expect("length is allowed");
        Self(out)
    }

    /// BLAKE3 keyed with this key, over length-prefixed parts.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// Seals `plaintext`; `context` is bound but not contained. The result is 24 bytes of nonce,
    /// ciphertext, 16 bytes of tag. The nonce is a keyed hash of entropy, context and plaintext,
    /// so that repeated entropy repeats a nonce only for identical input.
    #[must_use]
    pub fn seal(&self, context: &[u8], plaintext: &[u8], entropy: [u8; 32]) -> Vec<u8> {
        let hash = self.derive("huza nonce", b"").mac(&[&entropy, context, plaintext]);
        let nonce: [u8; 24] = crate::id::truncated(hash);
        #[expect(clippy::expect_used, reason = "in memory, below the cipher's 256 GiB")]
        let sealed = XChaCha20Poly1305::new(&self.0.into())
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: context })
            .expect("sealing in memory");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`SymmetricKey::seal`] made under the same context.
    ///
    /// # Errors
    /// If the key or context is another, or the bytes were altered.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or(Unopened)?;
        XChaCha20Poly1305::new(&self.0.into())
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: context })
            .map_err(|_refused| Unopened)
    }
}

/// Public half of a [`SealingKey`]: an X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SealingPublic(pub [u8; 32]);

impl fmt::Debug for SealingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublic({})", hex(self.0.get(..4).unwrap_or_default()))
    }
}

/// Bytes that sealing to a public key adds: encapsulated key and tag.
pub const HPKE_OVERHEAD: usize = 32 + 16;

impl SealingPublic {
    /// Seals `plaintext` so that only the holder of the secret half opens it: HPKE base mode,
    /// `info` = `context`, no additional data. The result is 32 bytes of encapsulated key,
    /// ciphertext, 16 bytes of tag.
    ///
    /// # Errors
    /// If this is not a usable public key (a point of low order).
    pub fn seal(
        &self,
        context: &[u8],
        plaintext: &[u8],
        entropy: [u8; 32],
    ) -> Result<Vec<u8>, Unopened> {
        let public = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&self.0)
            .map_err(|_refused| Unopened)?;
        // Repeated entropy must not repeat a key for another plaintext.
        let parts: [&[u8]; 4] = [&entropy, &self.0, context, plaintext];
        let seed = crate::id::hash_parts("huza 2026 hpke entropy", &parts);
        let (encapsulated, sealed) =
            hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                context,
                plaintext,
                b"",
                &mut ChaCha20Rng::from_seed(seed),
            )
            .map_err(|_refused| Unopened)?;
        Ok([encapsulated.to_bytes().as_slice(), &sealed].concat())
    }
}

/// A secret key to which others seal: of a device (grants), of an area (records by outsiders).
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SealingKey([u8; 32]);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// The key derived from this seed (RFC 9180, DeriveKeyPair).
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// Its seed, for the key store.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> SealingPublic {
        let (_, public) = X25519HkdfSha256::derive_keypair(&self.0);
        let bytes = public.to_bytes();
        SealingPublic(core::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default()))
    }

    /// Opens what [`SealingPublic::seal`] made under the same context.
    ///
    /// # Errors
    /// If it was sealed to another key or context, or altered.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (encapsulated, sealed) = sealed.split_first_chunk::<32>().ok_or(Unopened)?;
        let (secret, _) = X25519HkdfSha256::derive_keypair(&self.0);
        let encapsulated = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_refused| Unopened)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            context,
            sealed,
            b"",
        )
        .map_err(|_refused| Unopened)
    }
}

/// A stream of unpredictable bytes from one seed that the shell supplies. The same seed gives the
/// same stream, so that a simulation repeats.
#[derive(Clone)]
pub struct Entropy(ChaCha20Rng);

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

impl Entropy {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// The next `N` bytes.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(n: u8) -> Signed {
        let key = SigningKey::from_seed([n; 32]);
        let bytes = vec![n; 40];
        let signature = key.sign(Purpose::Envelope, &bytes);
        Signed { key: key.public(), purpose: Purpose::Envelope, bytes, signature }
    }

    #[test]
    fn a_bad_signature_in_a_batch_is_named_alone() {
        let mut all: Vec<_> = (1..6).map(signed).collect();
        all[3].bytes[0] ^= 1;
        assert_eq!(verify_all(&all, [9; 32]), [true, true, true, false, true]);
    }

    #[test]
    fn a_signature_is_valid_for_its_purpose_only() {
        let one = signed(1);
        assert!(one.verify());
        assert!(!Signed { purpose: Purpose::Statement, ..one }.verify());
    }

    /// The eight encodings of small-order points that ZIP-215 names first (canonical ones), from
    /// <https://zips.z.cash/zip-0215> and the test set of ed25519-zebra.
    const TORSION: [&str; 8] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];

    /// Where other rules let single and batch verification disagree, ours must not: with A and R
    /// of small order and s = 0, ZIP-215 accepts every message, alone and in every batch.
    #[test]
    fn torsion_signatures_get_one_answer_alone_and_in_batches() {
        let mut all = Vec::new();
        for a in TORSION {
            for r in TORSION {
                let key = DeviceKey::from_hex(a).unwrap();
                let r: [u8; 32] = crate::id::unhex(r).unwrap().try_into().unwrap();
                all.push(Signed {
                    key,
                    purpose: Purpose::Cose,
                    bytes: b"Zcash".to_vec(),
                    signature: Signature(r, [0; 32]),
                });
            }
        }
        for one in &all {
            assert!(one.verify(), "ZIP-215 accepts {one:?}");
        }
        for seed in 0..32 {
            assert!(verify_all(&all, [seed; 32]).iter().all(|valid| *valid));
        }
        // And s out of range (s = L) is refused by both.
        let l = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let l: [u8; 32] = crate::id::unhex(l).unwrap().try_into().unwrap();
        let one = Signed { signature: Signature(all[0].signature.0, l), ..all[0].clone() };
        assert!(!one.verify());
        assert_eq!(verify_all(&[one], [1; 32]), [false]);
    }

    /// A torsion component on an honest signature (R' = R + T) is the attack that made dalek's
    /// batch accept what it refuses singly. Whatever the answer, it must be one answer.
    #[test]
    fn a_signature_with_a_torsion_component_gets_one_answer() {
        let good: Vec<_> = (1..8).map(signed).collect();
        for r in TORSION {
            let r: [u8; 32] = crate::id::unhex(r).unwrap().try_into().unwrap();
            let mut all = good.clone();
            all[2].signature = Signature(r, all[2].signature.1);
            let alone = all[2].verify();
            for seed in 0..16 {
                assert_eq!(verify_all(&all, [seed; 32])[2], alone);
            }
        }
    }

    #[test]
    fn seals_open_only_with_their_key_and_context() {
        let key = SymmetricKey::from_bytes([1; 32]);
        let sealed = key.seal(b"context", b"a visit", [2; 32]);
        assert_eq!(sealed.len(), b"a visit".len() + SEAL_OVERHEAD);
        assert_eq!(key.open(b"context", &sealed).unwrap(), b"a visit");
        assert_eq!(key.open(b"other", &sealed), Err(Unopened));
        assert_eq!(SymmetricKey::from_bytes([3; 32]).open(b"context", &sealed), Err(Unopened));
        assert_eq!(key.open(b"context", &sealed[..20]), Err(Unopened));
    }

    #[test]
    fn repeated_entropy_repeats_a_nonce_only_for_the_same_plaintext() {
        let key = SymmetricKey::from_bytes([1; 32]);
        let (a, b) = (key.seal(b"", b"a", [2; 32]), key.seal(b"", b"b", [2; 32]));
        assert_ne!(a[..24], b[..24]);
    }

    #[test]
    fn hpke_opens_only_with_the_secret_half() {
        let key = SealingKey::from_seed([1; 32]);
        let sealed = key.public().seal(b"grant", b"a key", [2; 32]).unwrap();
        assert_eq!(sealed.len(), b"a key".len() + HPKE_OVERHEAD);
        assert_eq!(key.open(b"grant", &sealed).unwrap(), b"a key");
        assert_eq!(key.open(b"other", &sealed), Err(Unopened));
        assert_eq!(SealingKey::from_seed([3; 32]).open(b"grant", &sealed), Err(Unopened));
    }
}
