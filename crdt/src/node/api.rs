//! The door of a node: what goes in and what comes out.

use core::any::Any;
use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::ReceiptKind;
use crate::crypto::SealingPublic;
use crate::id::{
    AreaTag, CertId, DeviceKey, Incarnation, LogId, ProgrammeId, RecordId, StatementId, StoreId,
    VisitId,
};
use crate::session::{Fault, Peer, Stats};
use crate::store::{Batch, Range, Row, StoreKind};
use crate::time::{Millis, Stamp};
use crate::trust::authority::{JoinRequest, Welcome};
use crate::trust::recovery::{RecoveryRequest, RecoverySlot};
use crate::trust::{AreaName, Role};

/// What a node is told at its birth, by the shell.
#[derive(Debug, Clone)]
pub struct Config {
    /// 32 bytes from the operating system's generator, never used twice.
    pub entropy: [u8; 32],
    /// A token that a copy or a restored backup of the stores would not bring along. When it
    /// differs from the one the store was last opened with, the node begins a new incarnation.
    pub life: [u8; 16],
    /// How the reader is at the start.
    pub reader: ReaderState,
}

/// How a device's reader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderState {
    /// There is only a carrier.
    Absent,
    /// There is one, and its store is closed.
    Locked,
    /// Its store is open.
    Open {
        /// Who unlocked it.
        worker: String,
    },
}

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
#[derive(Debug)]
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
    /// A user wants something.
    Command {
        /// For the reply.
        id: CommandId,
        /// What.
        command: Box<Command>,
    },
    /// The shell has opened the reader's store, because a worker unlocked it.
    ReaderOpened {
        /// Who.
        worker: String,
    },
    /// The answer to [`Output::Scrub`].
    Scrubbed {
        /// Which.
        token: Token,
    },
    /// A sealed hint came by gossip. Answered by [`Output::NewsValid`].
    News {
        /// For the answer.
        token: Token,
        /// As received.
        bytes: Vec<u8>,
    },
}

/// Everything a node can want.
#[derive(Debug)]
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
    /// Leave nothing of deleted rows in a store's file, and answer with [`Input::Scrubbed`].
    Scrub {
        /// For the answer.
        token: Token,
        /// Which.
        store: StoreKind,
    },
    /// Close the reader's store and forget its key. Nothing is asked of it until
    /// [`Input::ReaderOpened`].
    CloseReader,
    /// Give these resources to the facility, durably and without a second effect if repeated, and
    /// answer with [`Input::Delivered`].
    Deliver {
        /// For the answer.
        token: Token,
        /// The resources that are new or have changed.
        resources: Vec<Resource>,
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

/// One FHIR resource for the facility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `Type/id`, unique among all resources.
    pub key: String,
    /// JSON, verbatim where it was imported.
    pub text: String,
}

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        /// Who records it.
        worker: String,
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
        /// Who records it.
        worker: String,
    },
    /// Bring in FHIR bundles. All good entries of one bundle, or none.
    Import {
        /// Where records of persons go.
        area: AreaRef,
        /// The bundle's text.
        text: String,
        /// Which system it comes from, if the user knows.
        source: Option<String>,
        /// Who imports it.
        worker: String,
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
    /// Seal what is pending into the outbox and close the reader.
    Lock,
    /// Sign a request for recovery with the device's key.
    SignRecovery {
        /// The one-time key to which the answer is to be sealed.
        reply_to: SealingPublic,
        /// What the device has left with authorities.
        slots: Vec<RecoverySlot>,
    },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// To [`Command::Lock`]: everything is sealed.
    Locked,
    /// To [`Command::SignRecovery`].
    RecoverySigned {
        /// The request.
        request: RecoveryRequest,
    },
}

/// Why a command could not be done, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Stable, for machines.
    pub code: String,
    /// What failed.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// One line of a search's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a device stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Per record, if asked for.
    pub records: Vec<RecordStatus>,
}

/// Where a record's changes have been, as far as this device can prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
