//! The sending ends of all pipes and their numbers, shared between the handle and the tasks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{PipeId, SendError};

/// Bytes that may wait on one pipe; a single longer message may wait alone. // guess: two batches
/// in flight, twice
pub(super) const QUEUE_BYTES_MAX: usize = 262_144;

/// Messages that may wait on one pipe.
const QUEUE_MESSAGES_MAX: usize = 256;

/// Bytes on their way out, and the room they take.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) bytes: Vec<u8>,
    pub(super) room: OwnedSemaphorePermit,
}

#[derive(Debug, Clone)]
struct Outlet {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    outlets: Mutex<BTreeMap<PipeId, Outlet>>,
    pipes_begun: AtomicU64,
}

impl Registry {
    /// A number for the next pipe.
    pub(super) fn next_pipe(&self) -> PipeId {
        PipeId(self.pipes_begun.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes an outlet for `pipe`; gives the end that its task drains.
    pub(super) fn open(&self, pipe: PipeId) -> mpsc::Receiver<Queued> {
        let (queue, drain) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        self.outlets().insert(pipe, Outlet { queue, room });
        drain
    }

    /// Takes no more for `pipe`; its task sends what is queued and then ends.
    pub(super) fn close(&self, pipe: PipeId) {
        self.outlets().remove(&pipe);
    }

    pub(super) fn close_all(&self) {
        self.outlets().clear();
    }

    pub(super) fn try_send(&self, pipe: PipeId, bytes: Vec<u8>) -> Result<(), SendError> {
        let outlet = self.outlet(pipe)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let Ok(room) = outlet.room.try_acquire_many_owned(share(&bytes)) else {
            return Err(SendError::Full(bytes));
        };
        outlet.queue.try_send(Queued { bytes, room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(queued) => SendError::Full(queued.bytes),
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }

    pub(super) async fn send(&self, pipe: PipeId, bytes: Vec<u8>) -> Result<(), SendError> {
        if bytes.is_empty() {
            return self.outlet(pipe).map(|_outlet| ());
        }
        // No sender is kept while waiting for room, or closing the pipe would go unnoticed.
        let (queue, room) = {
            let outlet = self.outlet(pipe)?;
            (outlet.queue.downgrade(), outlet.room)
        };
        let room = room.acquire_many_owned(share(&bytes)).await;
        let room = room.map_err(|_closed| SendError::Closed)?;
        let queue = queue.upgrade().ok_or(SendError::Closed)?;
        queue.send(Queued { bytes, room }).await.map_err(|_closed| SendError::Closed)
    }

    fn outlet(&self, pipe: PipeId) -> Result<Outlet, SendError> {
        self.outlets().get(&pipe).cloned().ok_or(SendError::Closed)
    }

    fn outlets(&self) -> MutexGuard<'_, BTreeMap<PipeId, Outlet>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that `bytes` take. One longer than the whole queue takes all of it.
fn share(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len().min(QUEUE_BYTES_MAX)).unwrap_or(u32::MAX)
}
