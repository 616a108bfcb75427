//! A statement of the control lane: issuer, number, scope, kind, body, signature.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::crypto::{Purpose, Signature, Signed, SigningKey};
use crate::id::{CatchmentTag, DeviceKey, Hash, LogId, StatementId, hash_parts, truncated};
use crate::limits::STATEMENT_BYTES_MAX;
use crate::trust::Issuer;

/// Which members a statement concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody: authorities, revocations, programme time.
    Programme,
    /// One catchment: openings, device certificates, grants, receipts.
    Catchment(CatchmentTag),
}

/// What the signature covers, in this order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signable {
    issuer: Issuer,
    number: u64,
    previous: Hash,
    scope: Scope,
    kind: u8,
    #[serde(with = "codec::bytes")]
    body: Vec<u8>,
}

crate::debug_shows!(struct Signable { issuer, number, scope, kind, body: Vec::len });

/// A signed statement. Its body is kept as bytes, so that a node carries kinds it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    signable: Signable,
    signature: Signature,
}

/// Why bytes are not a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not in the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Statement {
    /// Signs a statement. `previous` is the hash of the issuer's statement `number` - 1, or zeros
    /// for number 0.
    #[must_use]
    pub fn sign(
        key: &SigningKey,
        issuer: Issuer,
        (number, previous): (u64, Hash),
        scope: Scope,
        (kind, body): (u8, Vec<u8>),
    ) -> Self {
        let signable = Signable { issuer, number, previous, scope, kind, body };
        let signature = key.sign(Purpose::Statement, &codec::encode(&signable));
        Self { signable, signature }
    }

    /// Its bytes on the wire and in the store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a statement, without any trust in it.
    ///
    /// # Errors
    /// If the bytes are not exactly a statement, or exceed [`STATEMENT_BYTES_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(DecodeError::Limit("statement bytes").into());
        }
        Ok(codec::decode(bytes)?)
    }

    /// Hash of all that is signed. The signature is left out, so that a statement has one
    /// identity even if its signer signs it twice.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(hash_parts("huza 2026 statement", &[&codec::encode(&self.signable)]))
    }

    /// Its id: the first 16 bytes of its hash.
    #[must_use]
    pub fn id(&self) -> StatementId {
        StatementId(truncated(self.hash().0))
    }

    /// The log that this statement begins, if it is an opening: its hash.
    #[must_use]
    pub fn log(&self) -> LogId {
        LogId(self.hash().0)
    }

    /// Who issued it.
    #[must_use]
    pub const fn issuer(&self) -> Issuer {
        self.signable.issuer
    }

    /// Its number among the issuer's statements.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.signable.number
    }

    /// Whom it concerns.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.signable.scope
    }

    /// Its kind, see [`super::kind`].
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.signable.kind
    }

    /// Its body, in the encoding of its kind.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.signable.body
    }

    /// The signature to check, if `key` is the issuer's.
    #[must_use]
    pub fn signed(&self, key: DeviceKey) -> Signed {
        Signed {
            key,
            purpose: Purpose::Statement,
            bytes: codec::encode(&self.signable),
            signature: self.signature,
        }
    }
}
