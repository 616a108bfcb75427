//! A node without a network, driven by one thread: for `init`, for commands while no daemon runs on
//! the home, and for sessions over pipes that the caller carries.
//!
//! It answers every request of the node at once and in order, so that when [`Offline::call`]
//! returns, nothing is under way and all that was told is durable. It gives nothing to the
//! facility: that is the daemon's work, which knows where the facility is, and the node asks again
//! at its next start.

use std::{collections::VecDeque, time::Duration};

use huza_crdt::{
    node::{self, Command, CommandId, Input, Node, Output, Reply},
    store::{Batch, StoreKind},
    time::Millis,
};

use super::clock::Clock;
use crate::{
    home::{OpenStores, store_name},
    store::{Store, StoreError},
};

/// Milliseconds that a command may wait for nothing but time. // guess: the node answers at once
const PATIENCE_MS: u64 = 30_000;

/// Why a command was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// A store failed.
    #[error("the {} failed; what the command did is not certain", store_name(*store))]
    Store {
        /// Which.
        store: StoreKind,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The node wants a store that this home does not have: a bug.
    #[error("the {} is not here; this is a fault of huza, please report it", store_name(*.0))]
    NoStore(StoreKind),
    /// The node did not answer: a bug.
    #[error("the command was not answered; this is a fault of huza, please report it")]
    NoReply,
    /// An earlier failure ended the node.
    #[error("an earlier command failed; run the command again")]
    Ended,
}

/// A node and its stores.
#[derive(Debug)]
pub(crate) struct Offline {
    node: Node,
    stores: OpenStores,
    clock: Clock,
    outputs: VecDeque<Output>,
    commands: u64,
    reply: Option<Reply>,
    /// What the node wants sent over pipes.
    sent: Vec<Output>,
    ended: bool,
}

impl Offline {
    pub(crate) fn start(config: node::Config, stores: OpenStores) -> Self {
        let clock = Clock::start();
        let node = Node::new(config, clock.now());
        let outputs = VecDeque::new();
        let sent = Vec::new();
        Self { node, stores, clock, outputs, commands: 0, reply: None, sent, ended: false }
    }

    /// Carries out `command` and everything that follows from it.
    pub(crate) fn call(&mut self, command: Command) -> Result<Reply, OfflineError> {
        if self.ended {
            return Err(OfflineError::Ended);
        }
        self.drain();
        self.settle()?;
        let id = CommandId(self.commands);
        self.commands += 1;
        self.reply = None;
        self.handle(Input::Command { id, command: Box::new(command) });
        self.settle()?;
        self.wait()
    }

    /// Tells the node what happened on a pipe, and carries out what follows from it. The results are
    /// what it wants sent, and pipes that it wants closed.
    pub(crate) fn carry(&mut self, input: Input) -> Result<Vec<Output>, OfflineError> {
        if self.ended {
            return Err(OfflineError::Ended);
        }
        self.drain();
        self.settle()?;
        self.sent.clear();
        self.handle(input);
        self.settle()?;
        Ok(core::mem::take(&mut self.sent))
    }

    /// Lets time pass until there is a reply.
    fn wait(&mut self) -> Result<Reply, OfflineError> {
        let limit = self.clock.now().millis.plus(PATIENCE_MS);
        loop {
            if let Some(reply) = self.reply.take() {
                return Ok(reply);
            }
            let now = self.clock.now().millis;
            let due = self.node.deadline().filter(|due| *due <= limit && now <= limit);
            let Some(due) = due else { return Err(OfflineError::NoReply) };
            std::thread::sleep(Duration::from_millis(Millis::since(due, now).max(1)));
            self.handle(Input::Tick);
            self.settle()?;
        }
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(self.clock.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll() {
            self.outputs.push_back(output);
        }
    }

    /// Answers the node until it wants nothing more.
    fn settle(&mut self) -> Result<(), OfflineError> {
        while let Some(output) = self.outputs.pop_front() {
            let answer = match self.answer(output) {
                Ok(answer) => answer,
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            };
            answer.into_iter().for_each(|input| self.handle(input));
        }
        Ok(())
    }

    fn answer(&mut self, output: Output) -> Result<Vec<Input>, OfflineError> {
        Ok(match output {
            Output::Load { token, range } => {
                let store = range.table.store();
                let rows = self.store(store)?.load(&range);
                vec![Input::Loaded { token, rows: rows.map_err(broken(store))? }]
            }
            Output::Persist { token, store, batch } => {
                let (tokens, batch) = self.join_batches(token, store, batch);
                self.store(store)?.apply(&batch).map_err(broken(store))?;
                tokens.into_iter().map(|token| Input::Persisted { token }).collect()
            }
            Output::Work { token, job } => vec![Input::Done { token, product: job.run() }],
            Output::Reply { reply, .. } => {
                self.reply = Some(*reply);
                Vec::new()
            }
            Output::Scrub { token, store } => {
                self.store_mut(store)?.scrub().map_err(broken(store))?;
                vec![Input::Scrubbed { token }]
            }
            Output::CloseReader => {
                self.stores.reader = None;
                Vec::new()
            }
            Output::NewsValid { .. }
            | Output::Links { .. }
            | Output::Publish { .. }
            | Output::Deliver { .. } => Vec::new(),
            output @ (Output::Send { .. } | Output::Close { .. }) => {
                self.sent.push(output);
                Vec::new()
            }
            Output::Event(event) => {
                tracing::debug!(?event, "node");
                Vec::new()
            }
        })
    }

    /// The batches for the same store that come right behind share its commit.
    fn join_batches(
        &mut self,
        token: node::Token,
        store: StoreKind,
        mut batch: Batch,
    ) -> (Vec<node::Token>, Batch) {
        let mut tokens = vec![token];
        let same = |next: &mut Output| match next {
            Output::Persist { store: other, .. } => *other == store,
            _ => false,
        };
        while let Some(Output::Persist { token, batch: more, .. }) = self.outputs.pop_front_if(same)
        {
            tokens.push(token);
            batch.0.extend(more.0);
        }
        (tokens, batch)
    }

    /// Has the node read and write in the reader's store from now on.
    pub(crate) fn open_reader(&mut self, store: Store, worker: String) -> Result<(), OfflineError> {
        self.stores.reader = Some(store);
        self.become_worker(worker)
    }

    /// Has the node go on for another worker.
    pub(crate) fn become_worker(&mut self, worker: String) -> Result<(), OfflineError> {
        if self.ended {
            return Err(OfflineError::Ended);
        }
        self.drain();
        self.settle()?;
        self.handle(Input::ReaderOpened { worker });
        self.settle()
    }

    /// Whether the reader's store is open.
    pub(crate) const fn is_open(&self) -> bool {
        self.stores.reader.is_some()
    }

    fn store_mut(&mut self, kind: StoreKind) -> Result<&mut Store, OfflineError> {
        match kind {
            StoreKind::Carrier => Some(&mut self.stores.carrier),
            StoreKind::Reader => self.stores.reader.as_mut(),
        }
        .ok_or(OfflineError::NoStore(kind))
    }

    fn store(&self, kind: StoreKind) -> Result<&Store, OfflineError> {
        match kind {
            StoreKind::Carrier => Some(&self.stores.carrier),
            StoreKind::Reader => self.stores.reader.as_ref(),
        }
        .ok_or(OfflineError::NoStore(kind))
    }
}

fn broken(store: StoreKind) -> impl Fn(StoreError) -> OfflineError {
    move |source| OfflineError::Store { store, source }
}
