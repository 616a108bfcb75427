//! What statements say, kind by kind. Kinds that come later have their number here already, so
//! that today's nodes carry them unread.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::crypto::SealingPublic;
use crate::envelope::ForkProof;
use crate::id::{AreaTag, CertId, DeviceKey, EpochId, Hash, Incarnation, LogId, StoreId};
use crate::limits::RANGES_MAX;

/// Numbers of the kinds of statement.
pub mod kind {
    /// Begins a log: [`super::Opening`].
    pub const OPENING: u8 = 1;
    /// A certificate: its COSE_Sign1 bytes.
    pub const CERTIFICATE: u8 = 2;
    /// A reading key for one device: [`super::Grant`].
    pub const GRANT: u8 = 3;
    /// A fact about envelopes: [`super::Receipt`].
    pub const RECEIPT: u8 = 4;
    /// The public key of an area: [`super::PublishedKey`].
    pub const PUBLISHED_KEY: u8 = 5;
    /// Reserved: certificate, cut-offs per log. Carried unread by this version.
    pub const REVOCATION: u8 = 6;
    /// Reserved: ranges of quarantined envelopes, admitted or rejected.
    pub const ADMISSION: u8 = 7;
    /// Reserved: (log, seq) to erase and the envelope that re-issues the rest.
    pub const ERASURE: u8 = 8;
    /// Two headers under one (log, seq): [`super::Body::ForkProof`].
    pub const FORK_PROOF: u8 = 9;
    /// Reserved: predecessors of a key epoch, sealed under it.
    pub const RUNG: u8 = 10;
    /// Reserved: authority-signed time.
    pub const PROGRAMME_TIME: u8 = 11;
}

/// Begins a log. The log's id is the hash of the statement that holds this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The author's key, which signs every envelope of the log.
    pub device: DeviceKey,
    /// The author's certificate.
    pub certificate: CertId,
    /// The area the log is about.
    pub area: AreaTag,
    /// The life of the installation that writes it.
    pub incarnation: Incarnation,
}

/// A reading key, sealed to one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The certificate of the device.
    pub to: CertId,
    /// What its holder may read: the id of a village key, or of a catchment secret.
    pub epoch: EpochId,
    /// [`crate::trust::GrantContent`], sealed to the certificate's sealing key with the context
    /// `huza grant 1` 0x00 `to` `epoch`.
    #[serde(with = "codec::bytes")]
    pub sealed: Vec<u8>,
}

/// The public key to which a member without an area's key seals what it writes into that area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// The area.
    pub area: AreaTag,
    /// The area key it derives from.
    pub epoch: EpochId,
    /// The key.
    pub public: SealingPublic,
}

/// What a receipt says of the envelopes it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    /// Durable in this store, and will be served.
    Stored,
    /// The facility accepted everything in them.
    Accepted,
    /// The facility refused something in them.
    Refused,
    /// A worker has seen them.
    Shown,
}

/// Consecutive envelopes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReceiptRange {
    /// First seq.
    pub from: u64,
    /// Last seq, inclusive.
    pub to: u64,
    /// Hash of the header of `to`, which fixes all headers before it.
    pub end: Hash,
}

/// A signed fact about envelopes of one log. The next one of the same (issuer, store, log, kind,
/// reason) replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The store that vouches.
    pub store: StoreId,
    /// The log.
    pub log: LogId,
    /// What is said.
    pub kind: ReceiptKind,
    /// With [`ReceiptKind::Refused`] a code of the facility's answer, else 0.
    pub reason: u16,
    /// Of which envelopes, ascending, apart.
    pub ranges: Vec<ReceiptRange>,
}

/// The body of a statement whose kind this version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// [`kind::OPENING`].
    Opening(Opening),
    /// [`kind::CERTIFICATE`].
    Certificate(Vec<u8>),
    /// [`kind::GRANT`].
    Grant(Grant),
    /// [`kind::RECEIPT`].
    Receipt(Receipt),
    /// [`kind::PUBLISHED_KEY`].
    PublishedKey(PublishedKey),
    /// [`kind::FORK_PROOF`]: two signed headers, see [`crate::envelope::ForkProof`].
    ForkProof(Box<ForkProof>),
    /// Any other kind: carried, not read.
    Unread,
}

impl Body {
    /// Reads the body of kind `number`.
    ///
    /// # Errors
    /// If a known kind's bytes are not in its format or exceed a limit.
    pub fn read(number: u8, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match number {
            kind::OPENING => Self::Opening(codec::decode(bytes)?),
            kind::CERTIFICATE => Self::Certificate(bytes.to_vec()),
            kind::GRANT => Self::Grant(codec::decode(bytes)?),
            kind::RECEIPT => Self::Receipt(receipt(bytes)?),
            kind::PUBLISHED_KEY => Self::PublishedKey(codec::decode(bytes)?),
            kind::FORK_PROOF => Self::ForkProof(Box::new(codec::decode(bytes)?)),
            _ => Self::Unread,
        })
    }
}

fn receipt(bytes: &[u8]) -> Result<Receipt, DecodeError> {
    let receipt: Receipt = codec::decode(bytes)?;
    if receipt.ranges.len() > RANGES_MAX {
        return Err(DecodeError::Limit("ranges of a receipt"));
    }
    if receipt.reason != 0 && receipt.kind != ReceiptKind::Refused {
        return Err(DecodeError::NotCanonical);
    }
    let mut after: Option<u64> = None;
    for range in &receipt.ranges {
        let joins = |last: u64| range.from <= last.saturating_add(1);
        if range.from > range.to || after.is_some_and(joins) {
            return Err(DecodeError::NotCanonical);
        }
        after = Some(range.to);
    }
    Ok(receipt)
}
