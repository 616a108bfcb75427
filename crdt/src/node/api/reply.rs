//! What a node answers its user.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ChangeCursor, PipeId, ReaderState, Resource};
#[cfg(doc)]
use super::{Command, Order};
use crate::audit::AuditEntry;
use crate::control::{Reason, ReceiptKind};
use crate::crypto::SealingPublic;
use crate::id::{
    AreaTag, CertId, DeviceKey, LogId, ProgrammeId, RecordId, StatementId, StoreId, VisitId,
};
use crate::record::{Advice, Danger, Due, FollowUp, Likeness, Message, Reminder, Standing};
use crate::session::{Peer, Stats};
use crate::time::Stamp;
use crate::trust::Role;
use crate::trust::approval::{JoinRequest, Welcome};
use crate::trust::recovery::{RecoveryAnswer, RecoveryRequest};

/// The answer to a [`Command`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// It could not be done; nothing was changed.
    Error(CommandError),
    /// To [`Command::Init`] and [`Command::Request`].
    Request {
        /// The request.
        request: JoinRequest,
    },
    /// To [`Command::Join`].
    Joined {
        /// The programme's name.
        programme: String,
        /// What the device is for.
        role: Role,
        /// What it reads.
        areas: Vec<String>,
        /// The workers for whom it was approved.
        workers: Vec<String>,
        /// Where it finds hubs.
        hubs: Vec<String>,
    },
    /// To [`Command::AddPerson`], [`Command::SetPerson`], [`Command::Link`], [`Command::AddVisit`],
    /// [`Command::VoidVisit`] and [`Command::PutResource`]: it is durable on this device.
    Written {
        /// The record.
        record: RecordId,
        /// The visit, if it was one.
        visit: Option<VisitId>,
        /// Danger signs found.
        dangers: Vec<Danger>,
        /// What the worker is advised to do.
        advice: Vec<Advice>,
        /// What the user should look at again.
        warnings: Vec<String>,
        /// Who a person that was added may be, the likeliest first.
        alike: Vec<Duplicate>,
    },
    /// To [`Command::Import`]: all that is counted here is durable on this device.
    Imported {
        /// Distinct resources read.
        resources: usize,
        /// Their keys.
        keys: Vec<String>,
        /// Records they went to.
        records: usize,
        /// Resources that were here already, unchanged.
        unchanged: usize,
        /// Entries that could not be taken, each with the reason.
        problems: Vec<String>,
        /// Persons who share an id with another but contradict its sex or birth date: each got a
        /// record of its own, with a suggested link.
        kept_apart: usize,
    },
    /// To [`Command::Find`].
    Found {
        /// The records.
        records: Vec<FoundRecord>,
    },
    /// To [`Command::Reminders`]: what is overdue first, then by when it is due.
    Reminders {
        /// What is due, was, or will be.
        due: Vec<DueVisit>,
    },
    /// To [`Command::Inbox`], the earliest first.
    Inbox {
        /// The messages.
        messages: Vec<InboxMessage>,
    },
    /// To [`Command::Seen`]: it is durable.
    Noted,
    /// To [`Command::Forms`].
    Forms {
        /// The forms.
        forms: Vec<PublishedForm>,
    },
    /// To [`Command::Duplicates`]: what is disputed first, then the likeliest.
    Duplicates {
        /// Two records each.
        pairs: Vec<Duplicate>,
        /// How many more there are.
        more: usize,
    },
    /// To [`Command::Show`]: the record as JSON text.
    Shown {
        /// [`crate::record::RecordView`] with its receipts, as JSON text.
        record: String,
    },
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Peers`].
    Peers {
        /// Sessions.
        sessions: Vec<SessionStatus>,
    },
    /// To [`Command::Export`].
    Exported {
        /// Resources of some records.
        resources: Vec<Resource>,
        /// The record after which to go on; none if this was the last.
        next: Option<RecordId>,
    },
    /// To [`Command::Resources`].
    Resources {
        /// The record.
        record: RecordId,
        /// Everything that it shows, sorted by place.
        resources: Vec<PlacedResource>,
    },
    /// To [`Command::Changes`].
    Changes {
        /// What changed; of a record only the last change in this answer.
        changes: Vec<ChangedRecord>,
        /// Behind what to go on.
        next: ChangeCursor,
        /// Whether there is more already.
        more: bool,
    },
    /// To [`Command::Gateway`].
    Gateway(Box<GatewayStatus>),
    /// To [`Command::GatewayRetry`]: so many are given again.
    Retried {
        /// How many.
        resources: usize,
    },
    /// To [`Command::BundleBegin`].
    BundleBegun {
        /// Its name in what follows.
        bundle: u64,
        /// Statements that will be in it; some of them several times.
        statements: u64,
        /// Envelopes that will be in it.
        envelopes: u64,
    },
    /// To [`Command::BundlePage`].
    BundlePage {
        /// The bytes that come next in the file; none behind the last.
        page: Option<Vec<u8>>,
    },
    /// To [`Command::PageTake`], once what is new is durable.
    PageTaken(Box<Taken>),
    /// To [`Command::Seal`].
    Sealed {
        /// Envelopes that got their number.
        envelopes: usize,
    },
    /// To [`Command::Lock`].
    Locked,
    /// To [`Order::Approve`].
    Approved {
        /// The device's certificate.
        certificate: CertId,
        /// What to give to the device.
        welcome: Welcome,
    },
    /// To [`Command::SignRecovery`].
    RecoverySigned {
        /// The request.
        request: RecoveryRequest,
    },
    /// To [`Order::Recover`].
    Recovered {
        /// What to give to the device.
        answer: RecoveryAnswer,
    },
    /// To every other [`Order`], and to [`Command::Take`]: signed, durable, and on its way.
    Issued {
        /// How many statements.
        statements: usize,
        /// What was done, for people.
        done: Vec<String>,
    },
    /// To [`Command::Check`].
    Checked {
        /// What was found, good and bad.
        findings: Vec<Finding>,
    },
    /// To [`Command::Devices`].
    Devices {
        /// The devices, by certificate.
        devices: Vec<KnownDevice>,
    },
    /// To [`Command::Audit`].
    Audited {
        /// Entries, ascending.
        entries: Vec<AuditEntry>,
        /// Whether the trail up to the last of them is as it was written.
        whole: bool,
        /// The entry after which to go on; none if this was the last.
        next: Option<u64>,
    },
}

crate::debug_shows!(enum Reply {
    Error(error),
    Request,
    Joined { role },
    Written,
    Imported { resources, records, unchanged, kept_apart },
    Found { records: Vec::len },
    Reminders { due: Vec::len },
    Inbox { messages: Vec::len },
    Noted,
    Forms { forms },
    Duplicates { pairs: Vec::len, more },
    Shown,
    Status(status),
    Peers { sessions },
    Exported { resources: Vec::len },
    Resources { resources: Vec::len },
    Changes { changes: Vec::len, next, more },
    Gateway(status),
    Retried { resources },
    Sealed { envelopes },
    BundleBegun { statements, envelopes },
    BundlePage,
    PageTaken(taken),
    Locked,
    Approved { certificate },
    RecoverySigned,
    Recovered,
    Issued { statements },
    Checked { findings },
    Devices { devices },
    Audited { entries: Vec::len, whole, next },
});

/// What became of one page of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The number of its batch.
    pub batch: Option<u32>,
    /// If it is the last page: statements and envelopes of all pages before it.
    pub totals: Option<(u64, u64)>,
    /// Statements.
    pub statements: TakenPart,
    /// Envelopes.
    pub envelopes: TakenPart,
    /// Why some were refused.
    pub why: BTreeSet<String>,
}

/// How many of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenPart {
    /// Came in, and are durable.
    pub new: u64,
    /// Were here before.
    pub known: u64,
    /// Were not taken.
    pub refused: u64,
}

impl TakenPart {
    /// So many more are not taken.
    pub(crate) const fn refuse(&mut self, count: usize) {
        self.refused += count as u64;
    }
}

/// Why a command could not be done, and what to do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Stable, for machines.
    pub code: String,
    /// What failed.
    pub message: String,
    /// What to do.
    pub hint: String,
}

crate::debug_shows!(struct CommandError { code });

/// One line of a search's answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRecord {
    /// The record.
    pub record: RecordId,
    /// Names, as shown.
    pub name: String,
    /// Sex, if known.
    pub sex: String,
    /// Birth date, if known.
    pub birth_date: String,
    /// Area, if its name is known.
    pub area: String,
    /// Visits recorded.
    pub visits: usize,
    /// Whether two workers disagree about something in it.
    pub conflict: bool,
    /// Whether it holds a danger sign.
    pub urgent: bool,
}

crate::debug_shows!(struct FoundRecord { visits, conflict, urgent });

impl FoundRecord {
    /// One of which only the id is known here.
    pub(crate) const fn unknown(record: RecordId) -> Self {
        Self {
            record,
            name: String::new(),
            sex: String::new(),
            birth_date: String::new(),
            area: String::new(),
            visits: 0,
            conflict: false,
            urgent: false,
        }
    }
}

/// Two records that may be about one person, or of which somebody said whether they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The one: the record that was asked about, or is added.
    pub one: FoundRecord,
    /// The other; of one that this device does not read, only the id.
    pub other: FoundRecord,
    /// How much they are alike, if they are.
    pub likeness: Option<Likeness>,
    /// What was said of them.
    pub standing: Standing,
}

crate::debug_shows!(struct Duplicate { one, other, likeness, standing });

/// A visit that is due for somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueVisit {
    /// How far it is, by the device's clock.
    pub state: Due,
    /// What is due, and when.
    pub reminder: Reminder,
    /// The rule that asks for it.
    pub rule: FollowUp,
    /// For whom.
    pub record: RecordId,
    /// Name, as shown.
    pub name: String,
    /// Area, if its name is known.
    pub area: String,
}

crate::debug_shows!(struct DueVisit { state, reminder });

/// A message, and who was shown it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxMessage {
    /// The record that holds it.
    pub record: RecordId,
    /// Its name, as shown.
    pub name: String,
    /// Area, if its name is known.
    pub area: String,
    /// The message.
    pub message: Message,
    /// The envelopes that carry it; none while it is on this device only.
    pub places: Vec<(LogId, u64)>,
    /// Whether this device wrote it.
    pub written_here: bool,
    /// Whether it is for the worker who has the device open.
    pub for_worker: bool,
    /// Whether it was shown on this device.
    pub shown_here: bool,
    /// The devices that have signed that they showed it, each receipt verified again.
    pub shown_by: BTreeSet<CertId>,
}

crate::debug_shows!(struct InboxMessage { places, written_here, for_worker, shown_here, shown_by });

/// A form that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedForm {
    /// Its text, as [`crate::record::Form::read`] takes it.
    pub text: String,
    /// The health centre for which it was published, by its name if that is known; none: all.
    pub centre: Option<String>,
    /// Whether it counts: not if who published it is shut out.
    pub counts: bool,
}

/// How a device stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The device's key.
    pub device: Option<DeviceKey>,
    /// What people call it.
    pub label: String,
    /// The programme's id, once joined.
    pub programme: Option<ProgrammeId>,
    /// The programme's name.
    pub programme_name: String,
    /// The device's certificate.
    pub certificate: Option<CertId>,
    /// What it is for.
    pub role: Option<Role>,
    /// Whether the certificate was revoked, and why.
    pub revoked: Option<Reason>,
    /// Whether it counts no more because an authority above it was shut out.
    pub void: bool,
    /// When the certificate ends; after it nothing new is granted.
    pub expires: Option<Stamp>,
    /// The greatest time that authorities have signed.
    pub programme_time: Option<Stamp>,
    /// The reader: absent, locked or open.
    pub reader: ReaderState,
    /// The life of its carrier's store.
    pub store: Option<StoreId>,
    /// The areas it reads: name and tag.
    pub areas: Vec<(String, AreaTag)>,
    /// Envelopes held, of all areas.
    pub envelopes: u64,
    /// Logs known.
    pub logs: usize,
    /// Statements held.
    pub statements: usize,
    /// Records this reader holds.
    pub records_count: usize,
    /// Changes written here that no envelope carries yet.
    pub pending: usize,
    /// Envelopes that are held and that the reader has still to open; of a locked one, unknown.
    pub unfiled: usize,
    /// Envelopes that wait for a key.
    pub waiting: usize,
    /// Bytes of envelopes that are carried for health centres to which this device does not belong,
    /// and how many it takes at most, urgent ones apart.
    pub borrowed_bytes: u64,
    /// See above.
    pub carry_bytes: u64,
    /// Envelopes that were carried and let go.
    pub released: u64,
    /// Envelopes that are carried and not read, because their author's device is shut out.
    pub quarantined: Vec<QuarantinedLog>,
    /// Per record, if asked for.
    pub records: Vec<RecordStatus>,
}

/// A FHIR resource as a server would get it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedResource {
    /// `Type/<uuid>`.
    pub place: String,
    /// JSON: its id as in `place`, references within the record as places.
    pub text: String,
    /// Whether it was brought in as a resource, and can be put again; else it is what the person's
    /// fields and the visits come to.
    pub imported: bool,
}

crate::debug_shows!(struct PlacedResource { text: String::len, imported });

/// A record that changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRecord {
    /// Behind this change.
    pub cursor: ChangeCursor,
    /// Which.
    pub record: RecordId,
    /// Whether it is here no more: it was erased, or is hidden until it is.
    pub gone: bool,
}

crate::debug_shows!(struct ChangedRecord { cursor, gone });

/// How a gateway's facility is served.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Where it is and whether it answers: filled in by the shell of a running daemon.
    pub facility: Option<FacilityState>,
    /// Envelopes whose records it has still to be given.
    pub queued: usize,
    /// Resources that it took, all in all; one that changed counts again.
    pub delivered: u64,
    /// Resources that wait because it shows changes of their records that are not here yet.
    pub ahead: usize,
    /// Resources that it refused, in the order of their records.
    pub failed: Vec<FailedResource>,
}

crate::debug_shows!(struct GatewayStatus { queued, delivered, ahead, failed: Vec::len });

/// A resource that the facility refused.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedResource {
    /// Its key.
    pub key: String,
    /// The record it is of.
    pub record: RecordId,
    /// The facility's code, as HTTP has them.
    pub code: u16,
    /// What the facility said.
    pub why: String,
    /// When, by this device's clock.
    pub at: Stamp,
}

crate::debug_shows!(struct FailedResource { code, at });

/// What a shell knows of the facility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacilityState {
    /// A URL, or a directory.
    pub place: String,
    /// Whether the last attempt went well; none if there was none yet.
    pub reachable: Option<bool>,
    /// Since when that is so, by this device's clock.
    pub since: Option<Stamp>,
    /// If it does not go well: why, and what to do.
    pub why: String,
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Doubtful,
    /// Somebody must act.
    Bad,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, for machines.
    pub code: String,
    /// How well it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do; empty if nothing.
    pub advice: String,
}

/// A certificate as an authority sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// The certificate.
    pub certificate: CertId,
    /// The device's key.
    pub device: DeviceKey,
    /// The key to which it is sealed.
    pub sealing: SealingPublic,
    /// What it is for.
    pub role: Role,
    /// Names of its areas, as far as this device may know them; else their tags.
    pub areas: Vec<String>,
    /// Whether it is a key on paper, of a district or a health centre, and no device.
    pub paper: bool,
    /// When it was issued.
    pub issued: Stamp,
    /// When it ends.
    pub expires: Stamp,
    /// Whether it is trusted.
    pub good: bool,
    /// Why it was revoked, if it was itself.
    pub revoked: Option<Reason>,
    /// Envelopes of its logs that are held here.
    pub envelopes: u64,
}

crate::debug_shows!(struct KnownDevice {
    certificate, device, role, paper, issued, expires, good, revoked, envelopes,
});

/// Quarantined envelopes of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedLog {
    /// The log.
    pub log: LogId,
    /// The certificate of its device.
    pub certificate: CertId,
    /// First and last seq of each run, inclusive, and whether an authority rejected it.
    pub runs: Vec<(u64, u64, bool)>,
}
crate::debug_shows!(struct Status {
    device, programme, certificate, role, store, envelopes, logs, statements, records_count,
    pending, waiting, records,
});

/// Where a record's changes have been, as far as this device can prove.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordStatus {
    /// The record.
    pub record: RecordId,
    /// Its name, as shown.
    pub name: String,
    /// Changes in it.
    pub changes: usize,
    /// Of them, on this device only: in no envelope yet.
    pub pending: usize,
    /// Other devices that acknowledged all its envelopes to us.
    pub taken: usize,
    /// Whether a hub vouches for all its envelopes.
    pub stored: bool,
    /// Whether the facility accepted all its envelopes.
    pub accepted: bool,
    /// Whether the facility refused one of them.
    pub refused: bool,
    /// The receipts by which we know, each verified again just now.
    pub receipts: Vec<ReceiptStatus>,
}

crate::debug_shows!(struct RecordStatus { changes, pending, taken, stored, accepted, refused, receipts });

/// A receipt, verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptStatus {
    /// What it says.
    pub kind: ReceiptKind,
    /// With [`ReceiptKind::Refused`] the code of the facility's answer, else 0.
    pub reason: u16,
    /// The issuer's certificate.
    pub issuer: CertId,
    /// The issuer's role.
    pub role: Role,
    /// The statement that holds it.
    pub statement: StatementId,
    /// Whether signature, chain and end hashes hold.
    pub verified: bool,
}

/// A session as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Its pipe.
    pub pipe: PipeId,
    /// Who, once proven.
    pub peer: Option<Peer>,
    /// Whether both sides hold the same.
    pub complete: bool,
    /// What it took so far.
    pub stats: Stats,
    /// Envelopes that the peer will send in all, and that have come.
    pub receiving: (u64, u64),
    /// Envelopes that we will send in all, and that it acknowledged.
    pub sending: (u64, u64),
}
