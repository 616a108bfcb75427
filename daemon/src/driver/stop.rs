//! How a daemon ends: sessions first, then what they left to write, then the stores.

use tokio::time::{Duration, Instant, timeout};

use super::{Driver, RunError, STOP_MS_MAX, teller::ShellEvent};
use crate::net::NetError;

/// Milliseconds that the listener of events gets for the last ones.
const LAST_WORDS_MS_MAX: u64 = 1_000;

/// Milliseconds that the network gets to take the order to stop.
const ORDER_MS_MAX: u64 = 1_000;

impl Driver {
    /// Takes nothing new from now on.
    pub(super) fn begin_stop(&mut self) {
        self.stopping = Some(self.clock.now().millis);
        self.teller.tell(ShellEvent::Stopping);
        self.requests.close();
        self.relock();
        self.order_net_to_stop();
    }

    /// Asks the network to end. While it is busy, every wake-up asks again.
    pub(super) fn order_net_to_stop(&mut self) {
        if self.net_ordered || self.stopping.is_none() {
            return;
        }
        match self.net.stop() {
            Err(NetError::Busy) => {}
            Ok(()) => self.net_ordered = true,
            Err(_) => (self.net_ordered, self.net_ended) = (true, true),
        }
    }

    /// Whether a stop was wanted and there is nothing left to wait for, or no more time.
    pub(super) fn is_finished(&self) -> bool {
        let Some(since) = self.stopping else { return false };
        let late = self.clock.now().millis >= since.plus(STOP_MS_MAX);
        if late {
            tracing::warn!("the daemon stops with work left, which it takes up when it runs again");
        }
        let idle = self.stores.are_idle() && self.crew.is_idle() && self.replies.is_empty();
        late || self.net_ended && idle
    }

    /// Closes everything.
    pub(super) async fn finish(self) -> Result<(), RunError> {
        let Self { stores, answers, net, mut net_events, server, replies, requests, .. } = self;
        let (mut teller, facility, crew, lock) = (self.teller, self.facility, self.crew, self.lock);
        // Who still waits for a reply is told that the daemon stops.
        drop((replies, requests));
        drop(self.keeper);
        if let Some(http) = self.http {
            http.stop().await;
        }
        server.stop().await;
        // After a failure, the network has not been ended yet.
        let until = Instant::now() + Duration::from_millis(ORDER_MS_MAX);
        while !self.net_ended && matches!(net.stop(), Err(NetError::Busy)) && Instant::now() < until
        {
            let _event = timeout(Duration::from_millis(10), net_events.recv()).await;
        }
        drop((net, net_events));
        let told = async {
            while !teller.is_done() {
                teller.make_room().await;
            }
        };
        // A listener that does not listen even now misses the rest.
        let _late = timeout(Duration::from_millis(LAST_WORDS_MS_MAX), told).await;
        // A thread that waits to give its answer must not wait for ever.
        drop(answers);
        let closing = self.closing;
        let close = move || {
            stores.close();
            if closing.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the thread of the reader's store panicked");
            }
            drop((facility, crew));
            drop(lock);
        };
        if let Err(error) = tokio::task::spawn_blocking(close).await {
            tracing::error!(%error, "the stores could not be closed in order");
        }
        self.failure.map_or(Ok(()), Err)
    }
}
