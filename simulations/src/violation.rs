//! What a run finds: which law was broken, by whom, when, and the evidence.

use core::fmt;

/// The laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Law {
    /// An acknowledged write is on the writer's disk: it survives a power cut right after.
    WrittenIsDurable,
    /// An acknowledged write is visible in the end, as value, conflict or set aside.
    WrittenIsVisible,
    /// What a reader shows is what the envelopes it holds say.
    ShownIsTrue,
    /// Nobody without the key reads: no canary on a link, in a carrier, in a foreign reader.
    Secrecy,
    /// Every contact completes or is closed within a bound.
    ContactEnds,
    /// What a node acknowledges, or offers, is durable there.
    AckedIsDurable,
    /// What a receipt says is true when it leaves its issuer.
    ReceiptIsTrue,
    /// An envelope once held is held for ever, unless it is only carried for others.
    HeldForEver,
    /// No device carries more for others than it is set to.
    WithinQuota,
    /// The facility gets each resource once in effect, in its latest version.
    FacilityExact,
    /// Nothing but hello and chain is said to a peer that is not proven; strangers get no data.
    StrangersLearnNothing,
    /// A member is never accused of a fault it did not commit.
    HonestNotAccused,
    /// Honest devices do not fork their logs.
    NoForks,
    /// Nothing that an honest device wrote is set aside.
    NothingSetAside,
    /// After the faults end, all members come to hold the same, and receipts come home.
    Converges,
    /// Time goes on: no endless chatter, no deadline that stands still, every command answered.
    Progress,
    /// A batch concerns the store it names.
    BatchesKeepToTheirStore,
    /// A node does not panic.
    NoPanic,
    /// Who knows of a revocation gives the revoked nothing but its grounds.
    RevokedGetNothing,
    /// Who knows of a revocation and of a key that the revoked lacks writes with no other.
    CleanKeys,
    /// All agree on what is quarantined, and it is what revocations and admissions say.
    QuarantineAgreed,
    /// An erased record is on no disk, in clear or sealed.
    ErasedIsGone,
    /// The store of a locked reader is not touched, and locking seals what is pending.
    LockedIsShut,
    /// One seed, one log.
    Deterministic,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrittenIsDurable => "an acknowledged write survives a power cut",
            Self::WrittenIsVisible => "an acknowledged write is visible in the end",
            Self::ShownIsTrue => "what a reader shows is what its envelopes say",
            Self::Secrecy => "nobody without the key reads",
            Self::ContactEnds => "every contact ends",
            Self::AckedIsDurable => "what is acknowledged or offered is durable",
            Self::ReceiptIsTrue => "a receipt is true when it leaves",
            Self::HeldForEver => "what is held stays held",
            Self::WithinQuota => "a device carries no more for others than it is set to",
            Self::FacilityExact => "the facility gets each resource once, in its latest version",
            Self::StrangersLearnNothing => "strangers learn nothing",
            Self::HonestNotAccused => "an honest member is not accused",
            Self::NoForks => "honest devices do not fork",
            Self::NothingSetAside => "nothing honest is set aside",
            Self::Converges => "after the faults, all hold the same",
            Self::Progress => "time goes on",
            Self::BatchesKeepToTheirStore => "a batch keeps to its store",
            Self::NoPanic => "a node does not panic",
            Self::RevokedGetNothing => "the revoked get nothing but the grounds",
            Self::CleanKeys => "nothing new under a key that a revoked device holds",
            Self::QuarantineAgreed => "all agree on what is quarantined",
            Self::ErasedIsGone => "an erased record is on no disk",
            Self::LockedIsShut => "a locked reader is left alone",
            Self::Deterministic => "one seed, one log",
        })
    }
}

/// A broken law and the evidence, before it is known where in the run it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) law: Law,
    pub(crate) evidence: String,
}

impl Broken {
    pub(crate) fn new(law: Law, evidence: impl Into<String>) -> Self {
        Self { law, evidence: evidence.into() }
    }
}

/// A broken law: what a run with this seed found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, {at_ms} ms, {host}: broken law \"{law}\": {evidence}")]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// Virtual time.
    pub at_ms: u64,
    /// At whom it was seen; `world` if at nobody in particular.
    pub host: String,
    /// Which law.
    pub law: Law,
    /// What was seen.
    pub evidence: String,
    /// The drawn options and, if it was kept, the log up to there.
    pub log: String,
}
