//! Telling what happens, to the log and to whoever runs the daemon. A listener that is slow misses
//! events and is told how many; it never holds up the node.

use std::collections::VecDeque;

use huza_crdt::node::Event;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Duration};

use crate::net::NetEvent;

/// Events that wait for a slow listener. // guess: a monthly meeting's
const WAITING_MAX: usize = 4_096;

/// Something that happened in a running daemon. Says nothing personal. As JSON, one object with a
/// tag `event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShellEvent {
    /// The daemon takes commands from now on.
    Started {
        /// Its process.
        process: u32,
    },
    /// Peers can reach it at this address.
    Listening {
        /// A multiaddress with its real port.
        address: String,
    },
    /// Other programs can ask over HTTP at this address.
    HttpListening {
        /// Address and port.
        address: String,
    },
    /// An address is ours no longer.
    ListeningEnded {
        /// A multiaddress.
        address: String,
    },
    /// A peer is connected. It has proven nothing yet.
    PipeOpened {
        /// The pipe's number.
        pipe: u64,
        /// Whether we dialled.
        dialer: bool,
        /// Where the peer is.
        address: String,
    },
    /// A pipe is gone.
    PipeClosed {
        /// The pipe's number.
        pipe: u64,
        /// Why.
        why: String,
    },
    /// An address could not be reached.
    DialFailed {
        /// Which.
        address: String,
        /// Why.
        why: String,
        /// Milliseconds until it is tried again, if it is.
        retry_ms: Option<u64>,
    },
    /// Peers on the same network are not found by themselves.
    DiscoveryFailed {
        /// Why.
        why: String,
    },
    /// The facility could not be served.
    FacilityFailed {
        /// Why, and what to do.
        why: String,
        /// Milliseconds until it is tried again.
        retry_ms: u64,
    },
    /// The reader's store is open: records can be written and read.
    ReaderOpened,
    /// The reader's store is closed: the daemon only carries.
    ReaderLocked,
    /// The daemon ends its sessions and closes its stores.
    Stopping,
    /// The listener was too slow for this many events, which are lost to it.
    Missed {
        /// How many.
        count: u64,
    },
    /// Something that the node says.
    #[serde(untagged)]
    Node(Event),
}

/// The way to the listener.
#[derive(Debug)]
pub(super) struct Teller {
    to: mpsc::Sender<ShellEvent>,
    waiting: VecDeque<ShellEvent>,
    missed: u64,
}

impl Teller {
    pub(super) const fn new(to: mpsc::Sender<ShellEvent>) -> Self {
        Self { to, waiting: VecDeque::new(), missed: 0 }
    }

    pub(super) fn tell(&mut self, event: ShellEvent) {
        match &event {
            ShellEvent::DialFailed { .. }
            | ShellEvent::Node(Event::Took { .. } | Event::Changed { .. }) => {
                tracing::debug!(?event, "huza");
            }
            ShellEvent::FacilityFailed { .. } | ShellEvent::DiscoveryFailed { .. } => {
                tracing::warn!(?event, "huza");
            }
            _ => tracing::info!(?event, "huza"),
        }
        if self.to.is_closed() {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.missed += 1;
        } else {
            self.waiting.push_back(event);
        }
        self.go_on();
    }

    /// Passes on what the network says of itself.
    pub(super) fn tell_net(&mut self, event: NetEvent) {
        self.tell(match event {
            NetEvent::Listening { address } => ShellEvent::Listening { address },
            NetEvent::ListeningEnded { address } => ShellEvent::ListeningEnded { address },
            NetEvent::DialFailed { address, why, retry } => {
                let millis = |retry: Duration| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
                ShellEvent::DialFailed { address, why, retry_ms: retry.map(millis) }
            }
            NetEvent::DiscoveryFailed { why } => ShellEvent::DiscoveryFailed { why },
            // The others are about pipes, and handled where those are.
            _ => return,
        });
    }

    fn go_on(&mut self) {
        while let Some(event) = self.next_event() {
            if let Err(refused) = self.to.try_send(event) {
                self.put_back(refused.into_inner());
                break;
            }
        }
    }

    fn next_event(&mut self) -> Option<ShellEvent> {
        self.waiting.pop_front().or_else(|| {
            let count = core::mem::take(&mut self.missed);
            (count > 0).then_some(ShellEvent::Missed { count })
        })
    }

    fn put_back(&mut self, event: ShellEvent) {
        match event {
            ShellEvent::Missed { count } => self.missed += count,
            event => self.waiting.push_front(event),
        }
    }

    /// Waits until there is room for more, and uses it; never returns while nothing waits.
    pub(super) async fn make_room(&mut self) {
        if self.is_done() {
            return core::future::pending().await;
        }
        if self.to.reserve().await.is_ok() {
            self.go_on();
        } else {
            self.waiting.clear();
            self.missed = 0;
        }
    }

    /// Whether everything has been told.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.missed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_learns_how_much_it_missed() {
        let (to, mut from) = mpsc::channel(1);
        let mut teller = Teller::new(to);
        for _ in 0..WAITING_MAX + 11 {
            teller.tell(ShellEvent::Stopping);
        }
        let mut last = None;
        while let Some(event) = {
            teller.go_on();
            from.try_recv().ok()
        } {
            last = Some(event);
        }
        assert_eq!(last, Some(ShellEvent::Missed { count: 10 }));
    }

    #[test]
    fn events_are_one_json_object_with_a_tag() {
        for event in [
            ShellEvent::Listening { address: "/ip4/127.0.0.1/tcp/1".to_owned() },
            ShellEvent::Node(Event::Ready),
            ShellEvent::Node(Event::Receipts { count: 2 }),
        ] {
            let text = serde_json::to_string(&event).unwrap();
            assert!(text.contains("\"event\":\""), "{text}");
            assert_eq!(serde_json::from_str::<ShellEvent>(&text).unwrap(), event);
        }
    }
}
