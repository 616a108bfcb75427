//! The door of a node: what goes in and what comes out.

use core::any::Any;
use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audit::AuditEntry;
use crate::control::{Reason, ReceiptKind, Statement};
use crate::crypto::SealingPublic;
use crate::id::{
    AreaTag, CertId, DeviceKey, Incarnation, LogId, ProgrammeId, RecordId, StatementId, StoreId,
    VisitId,
};
use crate::session::{Fault, Peer, Stats};
use crate::store::{Batch, Range, Row, StoreKind};
use crate::time::{Millis, Stamp};
use crate::trust::approval::{Approval, JoinRequest, Welcome};
use crate::trust::recovery::{RecoveryAnswer, RecoveryRequest, RecoverySlot};
use crate::trust::{AreaName, Role};

/// What a node is told at its birth, by the shell.
#[derive(Clone)]
pub struct Config {
    /// 32 bytes from the operating system's generator, never used twice.
    pub entropy: [u8; 32],
    /// A token that a copy or a restored backup of the stores would not bring along. When it
    /// differs from the one the store was last opened with, the node begins a new incarnation.
    pub life: [u8; 16],
    /// Whether there is a reader, and whether its store is open.
    pub reader: ReaderState,
}

/// The reader, as the shell has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderState {
    /// The device only carries.
    Absent,
    /// It has a reader, whose store nobody has unlocked.
    Locked,
    /// Its store is open.
    Open {
        /// Who unlocked it: every change names its worker.
        worker: String,
    },
}

crate::debug_shows!(
    enum ReaderState {
        Absent,
        Locked,
        Open,
    }
);

crate::debug_shows!(struct Config { reader });

/// An open pipe, numbered by the shell; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PipeId(pub u64);

/// A request of the node to its shell, to be named in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u64);

/// A command of a user, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// The time of an input, on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic.
    pub millis: Millis,
    /// As the device's wall clock claims.
    pub stamp: Stamp,
}

/// Everything that can happen to a node.
pub enum Input {
    /// Nothing but time: see [`crate::node::Node::deadline`].
    Tick,
    /// A pipe is open. `binding` is a hash over both authenticated ends, the same at both.
    PipeOpened {
        /// Which.
        pipe: PipeId,
        /// Whether this side opened it.
        dialer: bool,
        /// Channel binding.
        binding: [u8; 32],
    },
    /// Bytes came out of a pipe, in order, in any chunks.
    Received {
        /// Which.
        pipe: PipeId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A pipe is closed, by whomever.
    PipeClosed {
        /// Which.
        pipe: PipeId,
    },
    /// The answer to [`Output::Load`].
    Loaded {
        /// Which.
        token: Token,
        /// The rows, in the order of their keys.
        rows: Vec<Row>,
    },
    /// The answer to [`Output::Persist`]: the batch is durable.
    Persisted {
        /// Which.
        token: Token,
    },
    /// A store failed. The node does nothing more; restart it.
    StoreFailed {
        /// Which.
        store: StoreKind,
        /// What the store said.
        why: String,
    },
    /// The answer to [`Output::Work`].
    Done {
        /// Which.
        token: Token,
        /// What the job gave.
        product: Product,
    },
    /// The answer to [`Output::Deliver`]: the facility has durably taken all but those refused.
    Delivered {
        /// Which.
        token: Token,
        /// Keys of resources it refused, each with a code.
        refused: BTreeMap<String, u16>,
    },
    /// A worker has unlocked the reader: its store is open. If it was open, the worker changes.
    ReaderOpened {
        /// Who.
        worker: String,
    },
    /// The answer to [`Output::Scrub`].
    Scrubbed {
        /// Which.
        token: Token,
    },
    /// A user wants something.
    Command {
        /// For the reply.
        id: CommandId,
        /// What.
        command: Box<Command>,
    },
    /// A sealed hint came by gossip. Answered by [`Output::NewsValid`].
    News {
        /// For the answer.
        token: Token,
        /// As received.
        bytes: Vec<u8>,
    },
}

crate::debug_shows!(enum Input {
    Tick,
    ReaderOpened,
    Scrubbed { token },
    PipeOpened { pipe, dialer },
    Received { pipe, bytes: Vec::len },
    PipeClosed { pipe },
    Loaded { token, rows: Vec::len },
    Persisted { token },
    StoreFailed { store, why },
    Done { token, product },
    Delivered { token, refused: BTreeMap::len },
    Command { id, command },
    News { token, bytes: Vec::len },
});

/// Everything a node can want.
pub enum Output {
    /// Read `range` and answer with [`Input::Loaded`].
    Load {
        /// For the answer.
        token: Token,
        /// What.
        range: Range,
    },
    /// Write `batch` to one store, durably, and answer with [`Input::Persisted`]. Batches of one
    /// store are written in the order of these outputs.
    Persist {
        /// For the answer.
        token: Token,
        /// Which.
        store: StoreKind,
        /// What.
        batch: Batch,
    },
    /// Run `job` on any thread and answer with [`Input::Done`].
    Work {
        /// For the answer.
        token: Token,
        /// What.
        job: Job,
    },
    /// Give these resources to the facility, durably and without a second effect if repeated, and
    /// answer with [`Input::Delivered`].
    Deliver {
        /// For the answer.
        token: Token,
        /// The resources that are new or have changed.
        resources: Vec<Resource>,
    },
    /// Close the reader's store and forget its key: nothing is asked of it until
    /// [`Input::ReaderOpened`].
    CloseReader,
    /// Make sure that nothing which was deleted from a store can be found in its file, and answer
    /// with [`Input::Scrubbed`].
    Scrub {
        /// For the answer.
        token: Token,
        /// Which.
        store: StoreKind,
    },
    /// Send bytes into a pipe.
    Send {
        /// Which.
        pipe: PipeId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Close a pipe.
    Close {
        /// Which.
        pipe: PipeId,
    },
    /// Answer a user.
    Reply {
        /// The command's id.
        id: CommandId,
        /// The answer.
        reply: Box<Reply>,
    },
    /// Spread a sealed hint by gossip.
    Publish {
        /// The hint.
        bytes: Vec<u8>,
    },
    /// Whether a hint may be forwarded.
    NewsValid {
        /// From [`Input::News`].
        token: Token,
        /// Whether it is from a member, and well formed.
        valid: bool,
    },
    /// Something an operator may want to know.
    Event(Event),
}

crate::debug_shows!(enum Output {
    Load { token, range },
    CloseReader,
    Scrub { token, store },
    Persist { token, store, batch },
    Work { token, job },
    Deliver { token, resources: Vec::len },
    Send { pipe, bytes: Vec::len },
    Close { pipe },
    Reply { id, reply },
    Publish { bytes: Vec::len },
    NewsValid { token, valid },
    Event(event),
});

/// One FHIR resource for the facility.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `Type/id`, unique among all resources.
    pub key: String,
    /// JSON, verbatim where it was imported.
    pub text: String,
}

crate::debug_shows!(
    struct Resource {
        text: String::len,
    }
);

/// Heavy, pure work.
pub struct Job {
    name: &'static str,
    run: Box<dyn FnOnce() -> Product + Send>,
}

impl Job {
    pub(crate) fn new<T: Send + 'static>(
        name: &'static str,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        Self { name, run: Box::new(move || Product(Box::new(run()))) }
    }

    /// What it does, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Does it.
    #[must_use]
    pub fn run(self) -> Product {
        (self.run)()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.name)
    }
}

/// What a [`Job`] gave. Only the node that wanted it knows what it is.
pub struct Product(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Product(..)")
    }
}

/// What an operator may want to know. Says nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The stores are read; sessions and commands are served from now on.
    Ready,
    /// The reader is unlocked and has caught up with what its store holds.
    ReaderOpened,
    /// The reader is locked.
    ReaderClosed,
    /// A certificate was revoked.
    Revoked {
        /// Which.
        certificate: CertId,
        /// Why.
        reason: Reason,
        /// Whether it is this device's own.
        own: bool,
    },
    /// What an erasure names is gone from this device.
    Erased {
        /// Envelopes whose payloads went.
        envelopes: usize,
        /// Records that went.
        records: usize,
    },
    /// A new incarnation began, because the store is a copy or the peers know more of our logs.
    Rolled {
        /// The new one.
        incarnation: Incarnation,
    },
    /// The peer proved that it is a member.
    Met {
        /// On which pipe.
        pipe: PipeId,
        /// Who.
        peer: Peer,
    },
    /// Both sides hold the same, at least for now.
    ContactComplete {
        /// On which pipe.
        pipe: PipeId,
        /// Who.
        peer: Peer,
        /// What it took.
        stats: Stats,
    },
    /// A session ended.
    ContactEnded {
        /// On which pipe.
        pipe: PipeId,
        /// Who, if it was proven.
        peer: Option<Peer>,
        /// What it took.
        stats: Stats,
        /// Whether both sides held the same at some time.
        complete: bool,
        /// What the peer did wrong, if we closed it for that.
        fault: Option<Fault>,
    },
    /// A statement or envelope was not accepted, though its signature holds.
    Refused {
        /// Who sent it.
        pipe: PipeId,
        /// Why.
        why: String,
    },
    /// A log's author signed two different histories.
    Forked {
        /// The log.
        log: LogId,
        /// Where.
        seq: u64,
    },
    /// An envelope could be opened, but something in it could not be used. It is kept.
    SetAside {
        /// The log.
        log: LogId,
        /// Where.
        seq: u64,
        /// Why.
        why: String,
    },
    /// Receipts were signed.
    Receipts {
        /// How many.
        count: usize,
    },
    /// The facility took resources.
    Delivered {
        /// How many.
        resources: usize,
        /// How many of them it refused.
        refused: usize,
    },
    /// A store failed, and the node stopped.
    Stopped {
        /// Which.
        store: StoreKind,
        /// What the store said.
        why: String,
    },
}

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
    /// Bring in FHIR bundles. All good entries of one bundle, or none.
    Import {
        /// Where records of persons go.
        area: AreaRef,
        /// The bundle's text.
        text: String,
        /// Which system it comes from, if the user knows.
        source: Option<String>,
    },
    /// Find persons by parts of names, village, identifiers.
    Find {
        /// Words.
        query: String,
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
}

crate::debug_shows!(
    enum Command {
        Init,
        Request,
        Join,
        AddPerson,
        AddVisit,
        Import,
        Find,
        Show,
        Status,
        Peers,
        Export,
        Seal,
        Lock,
        Take,
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
});

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
    /// To [`Command::AddPerson`] and [`Command::AddVisit`]: it is durable on this device.
    Written {
        /// The record.
        record: RecordId,
        /// The visit, if it was one.
        visit: Option<VisitId>,
        /// Danger signs found.
        dangers: Vec<String>,
        /// What the user should look at again.
        warnings: Vec<String>,
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
    Shown,
    Status(status),
    Peers { sessions },
    Exported { resources: Vec::len },
    Sealed { envelopes },
    Locked,
    Approved { certificate },
    RecoverySigned,
    Recovered,
    Issued { statements },
    Checked { findings },
    Devices { devices },
    Audited { entries: Vec::len, whole, next },
});

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
    /// Envelopes that wait for a key.
    pub waiting: usize,
    /// Envelopes that are carried and not read, because their author's device is shut out.
    pub quarantined: Vec<QuarantinedLog>,
    /// Per record, if asked for.
    pub records: Vec<RecordStatus>,
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
