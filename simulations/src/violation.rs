//! What a run finds: which law was broken, by whom, when, and the evidence.

use core::fmt;

macro_rules! laws {
    ($($(#[$meta:meta])* $law:ident = $text:literal;)*) => {
        /// The laws.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Law { $($(#[$meta])* $law,)* }

        impl Law {
            /// Every law, in a fixed order.
            pub const ALL: &[Self] = &[$(Self::$law),*];
        }

        impl fmt::Display for Law {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$law => $text,)* })
            }
        }
    };
}

laws! {
    /// An acknowledged write is on the writer's disk: it survives a power cut right after.
    WrittenIsDurable = "an acknowledged write survives a power cut";
    /// An acknowledged write is visible in the end, as value, conflict or set aside.
    WrittenIsVisible = "an acknowledged write is visible in the end";
    /// What a reader shows is what the envelopes it holds say.
    ShownIsTrue = "what a reader shows is what its envelopes say";
    /// Readers that hold the same envelopes, control lane and keys show the same records.
    SameShowsSame = "who holds the same shows the same";
    /// What a node says of progress is true: of a contact, what came and was taken, never more than
    /// in all; of a record, that it is at the health centre.
    ToldIsTrue = "what is told of progress is true";
    /// Nobody without the key reads: no canary on a link, in a carrier, in a foreign reader.
    Secrecy = "nobody without the key reads";
    /// Every contact completes or is closed within a bound.
    ContactEnds = "every contact ends";
    /// What a node acknowledges, or offers, is durable there.
    AckedIsDurable = "what is acknowledged or offered is durable";
    /// What a receipt says is true when it leaves its issuer.
    ReceiptIsTrue = "a receipt is true when it leaves";
    /// An envelope once held is held for ever, unless it is only carried for others.
    HeldForEver = "what is held stays held";
    /// What is carried for others is let go when its hub and a second device there have signed that
    /// they hold it, or when it was carried for as long as the device is set to.
    ReleasedIsVouched = "what is let go had two witnesses, or its time";
    /// No device carries more for others than it is set to.
    WithinQuota = "a device carries no more for others than it is set to";
    /// The facility gets each resource once in effect, in its latest version.
    FacilityExact = "the facility gets each resource once, in its latest version";
    /// Nothing but hello and chain is said to a peer that is not proven; strangers get no data.
    StrangersLearnNothing = "strangers learn nothing";
    /// A member is never accused of a fault it did not commit.
    HonestNotAccused = "an honest member is not accused";
    /// Honest devices do not fork their logs.
    NoForks = "honest devices do not fork";
    /// Nothing that an honest device wrote is set aside.
    NothingSetAside = "nothing honest is set aside";
    /// After the faults end, all members come to hold the same, and receipts come home.
    Converges = "after the faults, all hold the same";
    /// Time goes on: no endless chatter, no deadline that stands still, every command answered.
    Progress = "time goes on";
    /// A batch concerns the store it names.
    BatchesKeepToTheirStore = "a batch keeps to its store";
    /// A node does not panic.
    NoPanic = "a node does not panic";
    /// Who knows of a revocation gives the revoked nothing but its grounds.
    RevokedGetNothing = "the revoked get nothing but the grounds";
    /// Who knows of a revocation and of a key that the revoked lacks writes with no other.
    CleanKeys = "nothing new under a key that a revoked device holds";
    /// All agree on what is quarantined, and it is what revocations and admissions say.
    QuarantineAgreed = "all agree on what is quarantined";
    /// An erased record is on no disk, in clear or sealed.
    ErasedIsGone = "an erased record is on no disk";
    /// The store of a locked reader is not touched, and locking seals what is pending.
    LockedIsShut = "a locked reader is left alone";
    /// One seed, one log.
    Deterministic = "one seed, one log";
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

impl Violation {
    /// The command that runs its seed again.
    #[must_use]
    pub fn replay(&self) -> String {
        format!("huza simulate chaos --seed {} --trace", self.seed)
    }
}
