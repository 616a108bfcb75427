//! What statements say, kind by kind. Numbers that are not here are carried unread.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::codec::{self, DecodeError};
use crate::crypto::SealingPublic;
use crate::envelope::ForkProof;
use crate::id::{
    AreaTag, CertId, DeviceKey, EpochId, Hash, Incarnation, LogId, StatementId, StoreId,
};
use crate::limits::{FORM_BODY_BYTES_MAX, FORM_BYTES_MAX, RANGES_MAX};
use crate::pack;
use crate::time::Stamp;
use crate::trust::AreaScope;

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
    /// Shuts a certificate out: [`super::Revocation`].
    pub const REVOCATION: u8 = 6;
    /// A range of envelopes, admitted or rejected: [`super::Admission`].
    pub const ADMISSION: u8 = 7;
    /// Payloads that must go: [`super::Erasure`].
    pub const ERASURE: u8 = 8;
    /// Two headers under one (log, seq): [`super::Body::ForkProof`].
    pub const FORK_PROOF: u8 = 9;
    /// Predecessors of a key epoch, sealed under it: [`super::Rung`].
    pub const RUNG: u8 = 10;
    /// Authority-signed time: [`super::ProgrammeTime`].
    pub const PROGRAMME_TIME: u8 = 11;
    /// A form: its text as [`crate::record::Form::read`] takes it, packed ([`crate::pack`]).
    pub const FORM: u8 = 12;
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
    /// What the key opens. The issuer must have authority over it, and what is sealed must be of
    /// just this.
    pub opens: AreaScope,
    /// The id of the village key, or of the catchment secret.
    pub epoch: EpochId,
    /// [`crate::trust::GrantContent`], sealed to the certificate's sealing key with the context
    /// `huza grant 1` 0x00 `to` `epoch`.
    #[serde(with = "codec::bytes")]
    pub sealed: Vec<u8>,
}

/// A key epoch of an area, and the public key to which a member without the area's key seals what
/// it writes into that area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// The area.
    pub area: AreaTag,
    /// The area key.
    pub epoch: EpochId,
    /// The catchment secret from which it derives.
    pub catchment_epoch: EpochId,
    /// How often the catchment secret was made anew before.
    pub generation: u32,
    /// How often, in this generation, the area's key was made anew before.
    pub rotation: u32,
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

impl ReceiptRange {
    /// The same as a span.
    #[must_use]
    pub const fn span(&self) -> crate::holdings::Span {
        crate::holdings::Span { from: self.from, to: self.to, end: self.end }
    }
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

/// Why a certificate is revoked. For people; it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The device is lost.
    Lost,
    /// The device was stolen.
    Stolen,
    /// Its worker has left, or works elsewhere now.
    Left,
    /// Another certificate takes its place.
    Replaced,
    /// The device or its holder did what they must not.
    Misused,
}

/// Up to where a revoked device's log is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// The log.
    pub log: LogId,
    /// The last seq that is trusted.
    pub to: u64,
    /// Hash of that header.
    pub end: Hash,
}

/// Shuts a certificate out. What its device signed counts up to the cut-offs; logs that are not
/// named count for nothing, nor do statements that are not named. Of two revocations by different
/// issuers, the one that trusts less counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The certificate.
    pub certificate: CertId,
    /// Why.
    pub reason: Reason,
    /// Cut-offs, ascending by log.
    pub logs: Vec<CutOff>,
    /// Of an authority: which of its statements stay in force, ascending.
    pub statements: Vec<StatementId>,
}

/// What becomes of envelopes that are quarantined: an authority has looked at them. Of several by
/// one issuer the one with the greatest number counts; of several issuers, a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The log.
    pub log: LogId,
    /// First seq.
    pub from: u64,
    /// Last seq, inclusive.
    pub to: u64,
    /// Hash of the header of `to`.
    pub end: Hash,
    /// Whether they count from now on, or are rejected.
    pub admit: bool,
}

/// Payloads that must go, because they hold something of a person who is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The area of the logs.
    pub area: AreaTag,
    /// Envelopes, ascending by log and seq.
    pub gone: Vec<(LogId, Vec<u64>)>,
    /// The order that this one extends by envelopes which its issuer did not know: it counts only
    /// with that one, so that no honest authority confirms the order of a thief.
    pub extends: Option<StatementId>,
    /// The envelope that holds what else was in them, with its authors' proof. Payloads go only
    /// where it is held.
    pub reissue: Option<EnvelopePlace>,
    /// The area key under which `record` is sealed.
    pub epoch: EpochId,
    /// For readers: the record's id, sealed with the area key under the context
    /// `huza erasure 1` 0x00 `area` `epoch`.
    #[serde(with = "codec::bytes")]
    pub record: Vec<u8>,
}

/// One envelope by place and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopePlace {
    /// The log.
    pub log: LogId,
    /// Its seq.
    pub seq: u64,
    /// Hash of its header.
    pub hash: Hash,
}

/// What one grant needs to open the history: earlier keys, sealed under a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// A catchment (then the keys are catchment secrets), or one area.
    pub opens: AreaScope,
    /// The key that opens it.
    pub epoch: EpochId,
    /// [`crate::trust::Predecessor`]s, sealed.
    #[serde(with = "codec::bytes")]
    pub sealed: Vec<u8>,
}

/// The time by an authority's clock. The next one of an issuer replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgrammeTime {
    /// Seconds since 1970.
    pub time: Stamp,
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
    /// [`kind::REVOCATION`].
    Revocation(Revocation),
    /// [`kind::ADMISSION`].
    Admission(Admission),
    /// [`kind::ERASURE`].
    Erasure(Box<Erasure>),
    /// [`kind::RUNG`].
    Rung(Rung),
    /// [`kind::PROGRAMME_TIME`].
    ProgrammeTime(ProgrammeTime),
    /// [`kind::FORM`]: carried by all, read by those who fill it, see [`form_text`].
    Form,
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
            kind::REVOCATION => Self::Revocation(revocation(bytes)?),
            kind::ADMISSION => Self::Admission(admission(bytes)?),
            kind::ERASURE => Self::Erasure(Box::new(erasure(bytes)?)),
            kind::RUNG => Self::Rung(codec::decode(bytes)?),
            kind::PROGRAMME_TIME => Self::ProgrammeTime(codec::decode(bytes)?),
            kind::FORM => Self::Form,
            _ => Self::Unread,
        })
    }
}

/// The body of a statement that publishes a form; none if it is too long for a statement.
#[must_use]
pub fn form_body(text: &str) -> Option<Vec<u8>> {
    let body = pack::pack(text.as_bytes()).ok()?;
    Some(body).filter(|body| body.len() <= FORM_BODY_BYTES_MAX)
}

/// The text of the form that a statement publishes, if it is one and can be unpacked.
#[must_use]
pub fn form_text(statement: &Statement) -> Option<String> {
    let body = Some(statement.body()).filter(|_| statement.kind() == kind::FORM)?;
    String::from_utf8(pack::unpack(body, FORM_BYTES_MAX).ok()?).ok()
}

fn revocation(bytes: &[u8]) -> Result<Revocation, DecodeError> {
    let revocation: Revocation = codec::decode(bytes)?;
    let logs = revocation.logs.is_sorted_by(|one, next| one.log < next.log);
    let statements = revocation.statements.is_sorted_by(|one, next| one < next);
    if logs && statements { Ok(revocation) } else { Err(DecodeError::NotCanonical) }
}

fn admission(bytes: &[u8]) -> Result<Admission, DecodeError> {
    let admission: Admission = codec::decode(bytes)?;
    if admission.from <= admission.to { Ok(admission) } else { Err(DecodeError::NotCanonical) }
}

fn erasure(bytes: &[u8]) -> Result<Erasure, DecodeError> {
    let erasure: Erasure = codec::decode(bytes)?;
    let rising = |(_, seqs): &(LogId, Vec<u64>)| {
        !seqs.is_empty() && seqs.is_sorted_by(|one, next| one < next)
    };
    let logs = erasure.gone.is_sorted_by(|one, next| one.0 < next.0);
    if logs && erasure.gone.iter().all(rising) {
        Ok(erasure)
    } else {
        Err(DecodeError::NotCanonical)
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
