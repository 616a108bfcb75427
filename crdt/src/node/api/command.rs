//! What a user can want of a node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::{Reason, Statement};
use crate::crypto::SealingPublic;
use crate::id::{AreaTag, CertId, Incarnation, LogId, RecordId, VisitId, hex};
use crate::record::Said;
use crate::time::Stamp;
use crate::trust::AreaName;
use crate::trust::approval::{Approval, JoinRequest, Welcome};
use crate::trust::recovery::{RecoveryRequest, RecoverySlot};

/// An area as a user names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AreaRef {
    /// The only village this device writes in.
    Own,
    /// By its codes.
    Name(AreaName),
    /// By its opaque tag: any area of the programme, as an outsider.
    Tag(AreaTag),
}

impl core::str::FromStr for AreaRef {
    type Err = ();

    /// Reads an area by its tag, or as `catchment/village`.
    fn from_str(text: &str) -> Result<Self, ()> {
        AreaTag::from_hex(text)
            .map_or_else(|| text.parse().map(Self::Name), |tag| Ok(Self::Tag(tag)))
    }
}

/// What a bundle is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleScope {
    /// Everything held here.
    Everything,
    /// The envelopes of one area, with what is needed to use them.
    Area(AreaTag),
    /// Whatever the device with this certificate has not signed that it stores.
    MissingAt(CertId),
}

/// Whose FHIR resources are wanted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceScope {
    /// Those of this record.
    Record(RecordId),
    /// Those of the record in which one has this place, `Type/<uuid>`.
    Place(String),
}

/// A place in the list of what changed on this device: behind it is what its holder has not heard. As
/// text `<incarnation>-<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCursor {
    /// The life of the installation that made the list.
    pub incarnation: Incarnation,
    /// The first entry that was not heard.
    pub number: u64,
}

impl core::fmt::Display for ChangeCursor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}", hex(&self.incarnation.0), self.number)
    }
}

impl core::str::FromStr for ChangeCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (incarnation, number) = text.split_once('-').ok_or(())?;
        let incarnation = Incarnation::from_hex(incarnation).ok_or(())?;
        Ok(Self { incarnation, number: number.parse().map_err(|_error| ())? })
    }
}

/// What a user can want.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Make this device's keys. Once.
    Init {
        /// What people call the device; not a person's name.
        label: String,
    },
    /// The request with which an authority approves this device.
    Request,
    /// Take the authority's answer.
    Join {
        /// The answer.
        welcome: Welcome,
    },
    /// Record a new person.
    AddPerson {
        /// Where.
        area: AreaRef,
        /// Field -> value.
        fields: BTreeMap<String, String>,
    },
    /// Set fields of a person. What workers disagreed about in them is settled by that.
    SetPerson {
        /// Of whom.
        record: RecordId,
        /// Field -> value.
        fields: BTreeMap<String, String>,
    },
    /// Say of two records whether they are about one person. They stay two.
    Link {
        /// The one.
        one: RecordId,
        /// The other.
        other: RecordId,
        /// What is said.
        said: Said,
        /// Why; only where both are of one area.
        reason: Option<String>,
    },
    /// Record a visit.
    AddVisit {
        /// Of whom.
        record: RecordId,
        /// Which form.
        form: String,
        /// When it happened.
        occurred: Stamp,
        /// Field -> value.
        answers: BTreeMap<String, String>,
    },
    /// Write a message to the workers of an area, about nobody: form `message`, in a record of its own.
    AddNotice {
        /// Where.
        area: AreaRef,
        /// When it was written.
        occurred: Stamp,
        /// Field -> value.
        answers: BTreeMap<String, String>,
    },
    /// Mark a visit as entered in error. Nothing is deleted.
    VoidVisit {
        /// Of whom.
        record: RecordId,
        /// Which.
        visit: VisitId,
        /// Why.
        reason: String,
    },
    /// Keep a FHIR resource in a record that is here, new or instead of the one with its id.
    PutResource {
        /// In which.
        record: RecordId,
        /// JSON, with a UUID as id.
        text: String,
    },
    /// Bring in FHIR bundles. All good entries of one bundle, or none.
    Import {
        /// Where records of persons go.
        area: AreaRef,
        /// The bundle's text.
        text: String,
        /// Which system it comes from, if the user knows.
        source: Option<String>,
    },
    /// Find persons by parts of names, village, identifiers, or by the beginning of the record's id
    /// ([`RecordId::beginning`]): that one first.
    Find {
        /// Words.
        query: String,
        /// Most answers.
        limit: usize,
    },
    /// What is due for the people of the areas that this device reads.
    Reminders,
    /// Every message that this device reads.
    Inbox,
    /// A worker was shown the messages in these envelopes: it is signed for.
    Seen {
        /// Log and seq, as in [`super::InboxMessage::places`].
        places: Vec<(LogId, u64)>,
    },
    /// The forms that were published.
    Forms,
    /// Who may be registered twice among the people of the areas that this device reads.
    Duplicates {
        /// Only whom this record may be, with what was said of it; none: of everybody those about
        /// whom somebody has still to decide.
        record: Option<RecordId>,
        /// Most answers.
        limit: usize,
    },
    /// Everything about one record.
    Show {
        /// Which.
        record: RecordId,
    },
    /// How this device stands, with receipts verified again.
    Status {
        /// Whether to tell of each record.
        records: bool,
    },
    /// Sessions open now.
    Peers,
    /// Every resource this reader can read, as the gateway would deliver it.
    Export {
        /// The record after which to go on.
        after: Option<RecordId>,
    },
    /// FHIR resources of a record, as a server would get them.
    Resources {
        /// Of which.
        of: ResourceScope,
    },
    /// Which records changed on this device, in the order in which they did.
    Changes {
        /// Behind what; none: nothing, only where the list ends now.
        after: Option<ChangeCursor>,
        /// Most entries.
        limit: usize,
    },
    /// How the facility is served.
    Gateway,
    /// Give the facility again what it refused.
    GatewayRetry {
        /// Keys of resources; none means all.
        keys: Vec<String>,
    },
    /// Seal what is pending and give it numbers, without waiting for a contact.
    Seal,
    /// Seal what is pending, then close the reader.
    Lock,
    /// Take in signed statements that came another way than by a contact: a revocation made with a
    /// paper key.
    Take {
        /// Statements, each after those it depends on.
        statements: Vec<Statement>,
    },
    /// Begin a bundle, to be carried as a file. What is still open of an earlier one is forgotten.
    BundleBegin {
        /// What it is to hold.
        scope: BundleScope,
    },
    /// The next page of a bundle.
    BundlePage {
        /// Which: from [`Reply::BundleBegun`](super::Reply::BundleBegun).
        bundle: u64,
    },
    /// Take in what is sealed in one page of a bundle.
    PageTake {
        /// From [`crate::bundle::Pages`].
        page: Vec<u8>,
    },
    /// What only an authority device can do.
    Order(Box<Order>),
    /// Sign a request for recovery with the device's key.
    SignRecovery {
        /// The one-time key to which the answer is to be sealed.
        reply_to: SealingPublic,
        /// What the device has left with authorities.
        slots: Vec<RecoverySlot>,
    },
    /// Look at this device's health.
    Check,
    /// Every certificate known here.
    Devices,
    /// What this device's audit trail holds.
    Audit {
        /// The number of the entry after which to go on.
        after: Option<u64>,
    },
}

/// What the holder of an authority device decides.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// Approve a device.
    Approve {
        /// Its request.
        request: JoinRequest,
        /// As what.
        approval: Approval,
    },
    /// Shut a device out.
    Revoke {
        /// Its certificate.
        certificate: CertId,
        /// Why.
        reason: Reason,
        /// Whether what this device holds of its logs, and of its statements, is still trusted; if
        /// not, nothing is.
        trust: bool,
        /// Whether the keys that it holds are made anew.
        rotate: bool,
    },
    /// Make a village's key anew, or the whole catchment's.
    Rotate {
        /// Which village; none means all, and the catchment's secret.
        village: Option<String>,
    },
    /// Admit quarantined envelopes, or reject them.
    Judge {
        /// Of which log.
        log: LogId,
        /// First seq.
        from: u64,
        /// Last seq, inclusive; none: to the last that is held.
        to: Option<u64>,
        /// Whether they are admitted.
        admit: bool,
    },
    /// Remove a record from every device.
    Erase {
        /// Which.
        record: RecordId,
    },
    /// Let a device read villages, or the whole catchment.
    Grant {
        /// Its certificate.
        certificate: CertId,
        /// Which villages; none means the whole catchment.
        villages: Vec<String>,
    },
    /// Help a worker who forgot the unlock secret.
    Recover {
        /// The device's request.
        request: RecoveryRequest,
    },
    /// Say what time it is.
    Time,
    /// Publish a form for the health centres of this device.
    Publish {
        /// Its text, as [`crate::record::Form::read`] takes it.
        text: String,
    },
}

crate::debug_shows!(
    enum ResourceScope {
        Record,
        Place,
    }
);

crate::debug_shows!(
    enum Command {
        Init,
        Request,
        Join,
        AddPerson,
        SetPerson,
        Link { said },
        AddVisit,
        AddNotice,
        VoidVisit,
        PutResource,
        Import,
        Find,
        Reminders,
        Inbox,
        Seen { places: Vec::len },
        Forms,
        Duplicates { limit },
        Show,
        Status,
        Peers,
        Export,
        Resources,
        Changes { limit },
        Gateway,
        GatewayRetry { keys: Vec::len },
        Seal,
        Lock,
        Take,
        BundleBegin { scope },
        BundlePage { bundle },
        PageTake { page: Vec::len },
        Order(order),
        SignRecovery,
        Check,
        Devices,
        Audit { after },
    }
);

crate::debug_shows!(enum Order {
    Approve,
    Revoke { certificate, reason, trust, rotate },
    Rotate,
    Judge { log, from, to, admit },
    Erase,
    Grant { certificate },
    Recover,
    Time,
    Publish,
});
