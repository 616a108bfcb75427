//! The door of a node: what goes in and what comes out. What users want, and what they are
//! answered, is in `command` and `reply`.

mod command;
mod reply;

use core::any::Any;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use command::{AreaRef, BundleScope, ChangeCursor, Command, Order, ResourceScope};
pub use reply::{
    ChangedRecord, CommandError, DueVisit, Duplicate, FacilityState, FailedResource, Finding,
    FoundRecord, GatewayStatus, InboxMessage, KnownDevice, Level, PlacedResource, PublishedForm,
    QuarantinedLog, ReceiptStatus, RecordStatus, Reply, SessionStatus, Status, Taken, TakenPart,
};

use crate::control::Reason;
use crate::id::{CertId, Head, Incarnation, LogId, RecordId};
use crate::limits::{CARRY_BYTES, CARRY_MS};
use crate::session::{Fault, Peer, Stats};
use crate::store::{Batch, Range, Row, StoreKind};
use crate::time::{Millis, Stamp};

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
    /// For how long an order to erase is held before it is carried out: see
    /// [`crate::limits::ERASURE_DELAY_MS`].
    pub erasure_delay_ms: u64,
    /// How much is carried for others.
    pub carry: Carry,
}

/// How much a device carries for health centres to which it does not belong, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carry {
    /// Bytes of envelopes; urgent ones are taken beyond it.
    pub bytes: u64,
    /// Milliseconds, counted by this device, after which an envelope is let go in any case.
    pub millis: u64,
}

impl Default for Carry {
    fn default() -> Self {
        Self { bytes: CARRY_BYTES, millis: CARRY_MS }
    }
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
    /// The answer to [`Output::Deliver`]: the facility has durably taken all but what is said here.
    Delivered {
        /// Which.
        token: Token,
        /// Key of a resource -> what else became of it.
        answers: BTreeMap<String, Answer>,
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
    Delivered { token, answers: BTreeMap::len },
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
        /// The resources that are new or have changed, and those that are to be withdrawn.
        resources: Vec<Outgoing>,
        /// Of each record that they are of: all changes that count here.
        known: BTreeMap<RecordId, BTreeSet<Head>>,
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
    /// Of the peers that are found near, seek out so many; of those that come or were named, as many
    /// as there are. Until this is said: few.
    Links {
        /// How many.
        wanted: usize,
    },
    /// Whether a hint may be forwarded.
    NewsValid {
        /// From [`Input::News`].
        token: Token,
        /// Whether it is from a member, well formed, and news.
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
    Links { wanted },
    Event(event),
});

/// One FHIR resource.
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

/// One FHIR resource on its way to the facility.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// `Type/id`, unique among all resources.
    pub key: String,
    /// JSON, verbatim where it was imported. None: the record no longer says so, and what the
    /// facility has of it is entered in error.
    pub text: Option<String>,
    /// `Type/<uuid>`: where it is at a FHIR server.
    pub place: String,
    /// The record it is of.
    pub record: RecordId,
    /// The changes that it is made of, or withdrawn for.
    pub heads: BTreeSet<Head>,
    /// What it refers to: name, as it is written in the text, -> place at a FHIR server.
    pub references: BTreeMap<String, String>,
}

crate::debug_shows!(
    struct Outgoing {
        text: Option::is_some,
        heads: BTreeSet::len,
    }
);

/// What became of a resource that was given to the facility and not simply taken.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The facility refuses it.
    Refused {
        /// The facility's code, as HTTP has them.
        code: u16,
        /// What it says.
        why: String,
    },
    /// Nothing was done: the facility shows changes of the record that are not here yet.
    Ahead,
    /// It was taken, and refers to these places by identifier only, since nothing is there.
    Incomplete {
        /// Places at the facility.
        missing: BTreeSet<String>,
    },
}

crate::debug_shows!(enum Answer { Refused { code }, Ahead, Incomplete { missing: BTreeSet::len } });

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
    /// The device has joined no programme yet: it exchanges with nobody until it has.
    NotJoined,
    /// The reader is unlocked and has caught up with what its store holds.
    ReaderOpened,
    /// The reader is locked.
    ReaderClosed,
    /// Records changed here, by whomever: [`Command::Changes`] says which.
    Changed {
        /// How many.
        records: usize,
    },
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
    /// Envelopes that were carried for others were let go.
    Released {
        /// How many.
        envelopes: usize,
        /// Their size.
        bytes: u64,
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
    /// Envelopes that this device lacked have come from a peer, and are durable.
    Took {
        /// On which pipe.
        pipe: PipeId,
        /// How many.
        envelopes: u64,
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
        /// How many of them wait, since it shows changes of their records that are not here.
        ahead: usize,
    },
    /// A store failed, and the node stopped.
    Stopped {
        /// Which.
        store: StoreKind,
        /// What the store said.
        why: String,
    },
}
