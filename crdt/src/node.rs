//! One node: carrier, reader and sessions behind one door.
//!
//! ```text
//! loop {
//!     node.handle(now, input);                 // one mutation
//!     while let Some(output) = node.poll() {}  // then drain, before the next
//!     // wait for an input, at most until node.deadline()
//! }
//! ```
//!
//! Same inputs, same outputs, bit for bit. Inside, each half does one thing that writes at a
//! time, so that no two of its writes can cross: the carrier its tasks, the reader its
//! commands, sealing, filing and delivering. Sessions run side by side and only ask the carrier.
//!
//! | file | what it does |
//! |---|---|
//! | `api` | the door: inputs, outputs, commands, replies |
//! | `state` | what is remembered, and how it is stored |
//! | `effects` | requests to the shell, and what happens with the answer |
//! | `boot` | start-up, joining |
//! | `lock` | opening the reader's half, and closing it |
//! | `contact`, `compare`, `transfer` | sessions: proving, comparing, sending |
//! | `links`, `news` | how many peers to seek; hints by gossip |
//! | `turns` | which of many sessions is served next |
//! | `check` | checking the signatures of what a peer sent |
//! | `ingest` | the carrier's writes; accepting what a peer sent |
//! | `fork` | two histories of one log |
//! | `own` | own logs: opening, sealing, numbering, new incarnations |
//! | `carry` | what is taken of others' and when it is let go |
//! | `receipts` | signing receipts |
//! | `bundle` | pages for a file, and from one |
//! | `write`, `ask` | commands that write, commands that read |
//! | `open`, `filing` | opening envelopes, filing their changes |
//! | `listing`, `duplicates` | the records in lists; who may be the same person |
//! | `seal` | sealing what was written here |
//! | `gateway` | feeding the facility |
//! | `order`, `rotate` | what an authority device signs |
//! | `health` | what a device can say of its own health |
//! | `judge` | what follows from revocations and admissions |
//! | `erase`, `grace` | what follows from erasures, and when |
//!
//! What it deliberately does not do: read a clock, draw entropy, open files, spawn threads.

mod api;
mod ask;
mod boot;
mod bundle;
mod carry;
mod check;
mod compare;
mod contact;
mod duplicates;
mod effects;
mod erase;
mod feed;
mod filing;
mod fork;
mod forms;
mod gateway;
mod grace;
mod health;
mod inbox;
mod ingest;
mod judge;
mod links;
mod listing;
mod lock;
mod news;
mod open;
mod order;
mod own;
mod receipts;
mod resources;
mod rotate;
mod seal;
mod state;
mod transfer;
mod turns;
mod write;

use std::collections::{BTreeMap, BTreeSet};

pub use api::{
    Answer, AreaRef, BundleScope, Carry, ChangeCursor, ChangedRecord, Command, CommandError,
    CommandId, Config, DueVisit, Duplicate, Event, FacilityState, FailedResource, Finding,
    FoundRecord, GatewayStatus, InboxMessage, Input, Job, KnownDevice, Level, Now, Order, Outgoing,
    Output, PipeId, PlacedResource, Product, PublishedForm, QuarantinedLog, ReaderState,
    ReceiptStatus, RecordStatus, Reply, Resource, ResourceScope, SessionStatus, Status, Taken,
    TakenPart, Token,
};

use crate::control::Statement;
use crate::crypto::{Entropy, SealingKey};
use crate::id::LogId;
use crate::session::Session;
use crate::store::StoreKind;
use crate::time::Millis;

/// A node. See the module's documentation for how to drive it.
pub struct Node {
    now: Now,
    entropy: Entropy,
    life: [u8; 16],
    erasure_delay_ms: u64,
    carry: Carry,
    ready: bool,
    /// Why nothing is done any more.
    stopped: Option<String>,
    /// What came before the stores were read.
    backlog: Vec<(Now, Input)>,
    open_commands: BTreeSet<CommandId>,
    fx: effects::Effects,
    carrier: state::Carrier,
    /// Whether there is a reader to unlock.
    has_reader: bool,
    /// While it is open.
    reader: Option<state::Reader>,
    sessions: BTreeMap<PipeId, Session>,
    /// The next place in the line of those who wait for a turn.
    next_ticket: u64,
    /// How many peers the shell was last told to seek.
    links_told: Option<usize>,
    /// What was heard by gossip.
    rumours: news::Rumours,
    /// A bundle that is being filled.
    bundle: Option<bundle::Bundle>,
    /// Of a node without a reader: the key to which its welcome is sealed.
    carrier_sealing: Option<SealingKey>,
    /// While starting: marks of the last boot in carrier and reader.
    boots: (state::Boot, state::Boot),
    must_recover: bool,
    /// A new incarnation has to begin, as soon as the reader is open; until then nothing is
    /// numbered.
    must_roll: bool,
    boot_statements: Vec<Statement>,
    boot_outbox: Vec<(LogId, u64, state::OutboxRow)>,
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node")
            .field("ready", &self.ready)
            .field("stopped", &self.stopped)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A node over the stores that the shell has opened. It asks for their content at once.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let mut node = Self {
            now,
            entropy: Entropy::new(config.entropy),
            life: config.life,
            erasure_delay_ms: config.erasure_delay_ms,
            carry: config.carry,
            ready: false,
            stopped: None,
            backlog: Vec::new(),
            open_commands: BTreeSet::new(),
            fx: effects::Effects::default(),
            carrier: state::Carrier {
                counted: state::Counted { at: now, ..state::Counted::default() },
                ..state::Carrier::default()
            },
            has_reader: config.reader != ReaderState::Absent,
            reader: None,
            sessions: BTreeMap::new(),
            next_ticket: 0,
            links_told: None,
            rumours: news::Rumours::default(),
            bundle: None,
            carrier_sealing: None,
            boots: (state::Boot::default(), state::Boot::default()),
            must_recover: false,
            must_roll: false,
            boot_statements: Vec::new(),
            boot_outbox: Vec::new(),
        };
        node.boot(config.reader);
        node
    }

    /// When to call [`Node::handle`] with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        if !self.ready || self.stopped.is_some() {
            return None;
        }
        let sessions = self.sessions.values().filter_map(Session::deadline);
        let doubts = self.sessions.values().filter_map(|session| session.doubt_until);
        let doubts = doubts.filter(|until| *until > self.now.millis);
        sessions
            .chain(doubts)
            .chain(self.carrier.receipts_at.filter(|_| !self.carrier.busy))
            .chain(self.carrier.erasures_at.filter(|_| !self.carrier.busy))
            .chain(self.carrier.release_at.filter(|_| !self.carrier.busy))
            .chain(self.pending_deadline())
            .chain(self.filing_deadline())
            .chain(self.turns_deadline())
            .chain(self.news_deadline())
            .min()
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Loaded { token, rows } => self.answered_rows(token, rows),
            Input::Persisted { token } => self.answered_persisted(token),
            Input::Done { token, product } => self.answered_done(token, product),
            Input::Delivered { token, answers } => self.answered_delivered(token, answers),
            Input::Scrubbed { token } => self.answered_scrubbed(token),
            Input::StoreFailed { store, why } => self.stop(store, why),
            input if self.ready || self.stopped.is_some() => self.dispatch(input),
            input => self.backlog.push((now, input)),
        }
        self.advance();
    }

    /// The next thing the node wants, if any.
    pub fn poll(&mut self) -> Option<Output> {
        self.fx.outputs.pop_front()
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            // Nothing would ever end it: a stopped node wants no time.
            Input::PipeOpened { pipe, .. } if self.stopped.is_some() => {
                self.fx.outputs.push_back(Output::Close { pipe });
            }
            Input::PipeOpened { pipe, dialer, binding } => self.pipe_opened(pipe, dialer, binding),
            Input::Received { pipe, bytes } => self.received(pipe, &bytes),
            Input::PipeClosed { pipe } => self.pipe_closed(pipe),
            Input::Command { id, command } => self.command(id, *command),
            Input::News { token, bytes } => self.news(token, &bytes),
            Input::ReaderOpened { worker } => self.open_reader(worker),
            Input::Tick
            | Input::Loaded { .. }
            | Input::Persisted { .. }
            | Input::Done { .. }
            | Input::Delivered { .. }
            | Input::Scrubbed { .. }
            | Input::StoreFailed { .. } => {}
        }
    }

    /// Starts whatever can be started now.
    fn advance(&mut self) {
        if !self.ready || self.stopped.is_some() {
            return;
        }
        self.expire_sessions();
        loop {
            self.run_carrier();
            while self.run_reader() {
                self.run_carrier();
            }
            let pipes: Vec<PipeId> = self.sessions.keys().copied().collect();
            pipes.iter().for_each(|pipe| self.pump(*pipe));
            self.serve();
            pipes.iter().for_each(|pipe| self.maybe_end(*pipe));
            // Ending a session may ask for receipts, which may turn out to be signed already;
            // then no answer of the shell would wake us, and the session could go on now.
            if self.carrier.busy || self.carrier.tasks.is_empty() {
                break;
            }
        }
        self.tend_links();
    }

    /// A store failed: nothing that follows could be made durable, so nothing is promised.
    fn stop(&mut self, store: StoreKind, why: String) {
        self.abandon();
        for pipe in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.fault(pipe, crate::session::Fault::Unavailable);
        }
        self.stopped = Some(why.clone());
        for id in self.open_commands.clone() {
            let hint = "mend what the message names and restart huza on this home";
            self.refuse(id, "store_failed", &why, hint);
        }
        self.event(Event::Stopped { store, why });
        // What waited for the stores to be read is answered too.
        for (_, input) in core::mem::take(&mut self.backlog) {
            self.dispatch(input);
        }
    }

    fn event(&mut self, event: Event) {
        self.fx.outputs.push_back(Output::Event(event));
    }

    fn reply(&mut self, id: CommandId, reply: Reply) {
        self.open_commands.remove(&id);
        self.fx.outputs.push_back(Output::Reply { id, reply: Box::new(reply) });
    }
}
