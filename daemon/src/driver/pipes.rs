//! What is to be sent and does not fit into the network yet, per pipe.

use std::collections::{BTreeMap, VecDeque};

use huza_crdt::node::PipeId;

use crate::net::{self, Net, SendError};

/// Bytes that may wait here on one pipe. // the longest summary a node may send, and two batches
const WAITING_BYTES_MAX: usize = 24 * 1_024 * 1_024;

#[derive(Debug)]
struct Pipe {
    /// Where it leads, if we dialled.
    dialled: Option<String>,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    closing: bool,
}

/// The open pipes.
#[derive(Debug, Default)]
pub(super) struct Pipes(BTreeMap<PipeId, Pipe>);

impl Pipes {
    pub(super) fn opened(&mut self, pipe: PipeId, dialled: Option<String>) {
        let fresh = Pipe { dialled, waiting: VecDeque::new(), bytes: 0, closing: false };
        self.0.insert(pipe, fresh);
    }

    /// Forgets a pipe that is gone.
    pub(super) fn closed(&mut self, pipe: PipeId) {
        self.0.remove(&pipe);
    }

    /// The address that was dialled for a pipe.
    pub(super) fn dialled(&self, pipe: PipeId) -> Option<&str> {
        self.0.get(&pipe)?.dialled.as_deref()
    }

    pub(super) fn send(&mut self, net: &Net, pipe: PipeId, bytes: Vec<u8>) {
        let Some(open) = self.0.get_mut(&pipe).filter(|open| !open.closing) else { return };
        open.bytes += bytes.len();
        open.waiting.push_back(bytes);
        if open.bytes > WAITING_BYTES_MAX {
            tracing::warn!(pipe = pipe.0, "a peer takes too little; its pipe is closed");
            open.waiting.clear();
            open.bytes = 0;
            open.closing = true;
        }
        open.go_on(net, pipe);
    }

    /// Closes a pipe once everything has been handed over.
    pub(super) fn close(&mut self, net: &Net, pipe: PipeId) {
        if let Some(open) = self.0.get_mut(&pipe) {
            open.closing = true;
            open.go_on(net, pipe);
        }
    }

    /// There may be room again.
    pub(super) fn sent(&mut self, net: &Net, pipe: PipeId) {
        if let Some(open) = self.0.get_mut(&pipe) {
            open.go_on(net, pipe);
        }
    }
}

impl Pipe {
    fn go_on(&mut self, net: &Net, pipe: PipeId) {
        let id = net::PipeId(pipe.0);
        while let Some(bytes) = self.waiting.pop_front() {
            let length = bytes.len();
            match net.try_send(id, bytes) {
                Ok(()) => self.bytes = self.bytes.saturating_sub(length),
                Err(SendError::Full(bytes)) => {
                    self.waiting.push_front(bytes);
                    return;
                }
                // That it is closed comes as an event of its own.
                Err(_) => {
                    self.waiting.clear();
                    self.bytes = 0;
                }
            }
        }
        if self.closing {
            net.close(id);
        }
    }
}
