//! A power cut that does not happen: a copy of a host's durable stores is started as a node of
//! its own, with an ideal disk, and asked what it knows.

use huza_crdt::id::RecordId;
use huza_crdt::node::{
    Command, CommandId, Config, Event, Input, Node, Now, Output, Reply, Resource,
};

use crate::disk::Durable;

/// Inputs after which a shadow that has not answered never will. // guess: far above any boot
const INPUTS_MAX: usize = 100_000;

/// A started copy.
pub(crate) struct Shadow {
    node: Node,
    durable: Durable,
    now: Now,
    ready: bool,
    replies: Vec<Reply>,
}

impl Shadow {
    /// Starts a copy; `None` if it does not come up.
    pub(crate) fn start(durable: Durable, config: Config, now: Now) -> Option<Self> {
        let node = Node::new(config, now);
        let mut shadow = Self { node, durable, now, ready: false, replies: Vec::new() };
        shadow.settle(Input::Tick);
        shadow.ready.then_some(shadow)
    }

    /// Its stores, after all that it did by itself.
    pub(crate) const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Asks it.
    pub(crate) fn ask(&mut self, command: Command) -> Option<Reply> {
        self.settle(Input::Command { id: CommandId(1), command: Box::new(command) });
        self.replies.pop()
    }

    /// All that it shows of a record, or what it says instead.
    pub(crate) fn show(&mut self, record: RecordId) -> String {
        match self.ask(Command::Show { record }) {
            Some(Reply::Shown { record }) => record,
            other => format!("{other:?}"),
        }
    }

    /// Every resource it can read.
    pub(crate) fn export(&mut self) -> Vec<Resource> {
        let mut all = Vec::new();
        let mut after = None;
        for _ in 0..INPUTS_MAX {
            let Some(Reply::Exported { resources, next }) = self.ask(Command::Export { after })
            else {
                break;
            };
            all.extend(resources);
            after = next;
            if after.is_none() {
                break;
            }
        }
        all
    }

    /// Gives it an input and answers all it wants, until it wants nothing.
    fn settle(&mut self, first: Input) {
        let mut inputs = std::collections::VecDeque::from([first]);
        for _ in 0..INPUTS_MAX {
            let Some(input) = inputs.pop_front() else { return };
            self.node.handle(self.now, input);
            while let Some(output) = self.node.poll() {
                inputs.extend(self.answer(output));
            }
        }
    }

    fn answer(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Load { token, range } => {
                Some(Input::Loaded { token, rows: self.durable.load(&range) })
            }
            Output::Persist { token, store, batch } => {
                self.durable.apply(store, &batch);
                Some(Input::Persisted { token })
            }
            Output::Work { token, job } => Some(Input::Done { token, product: job.run() }),
            Output::Scrub { token, .. } => Some(Input::Scrubbed { token }),
            // The facility is not there.
            Output::Deliver { .. }
            | Output::CloseReader
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::Publish { .. }
            | Output::Links { .. }
            | Output::NewsValid { .. } => None,
            Output::Reply { reply, .. } => {
                self.replies.push(*reply);
                None
            }
            Output::Event(event) => {
                self.ready |= event == Event::Ready;
                None
            }
        }
    }
}
