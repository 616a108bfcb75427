//! A network under test: its handle, its events in order, and what is awaited of them.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::{collections::VecDeque, time::Duration};

use huza_daemon::net::{Credit, Net, NetConfig, NetEvent, PipeEnd, PipeId};
use tokio::{sync::mpsc, time::timeout};

/// How long anything may take. QUIC alone takes up to 20 seconds to see that a peer is gone: its idle
/// time, and once more the time between two signs of life.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub pipe: PipeId,
    pub dialer: bool,
    pub binding: [u8; 32],
    pub remote_address: String,
}

pub struct Peer {
    pub net: Net,
    pub events: mpsc::Receiver<NetEvent>,
    /// Seen while something else was awaited.
    aside: VecDeque<NetEvent>,
}

pub fn config(listen: &[&str]) -> NetConfig {
    NetConfig {
        listen: listen.iter().map(ToString::to_string).collect(),
        redial_ms_min: 100,
        redial_ms_max: 400,
        ..NetConfig::default()
    }
}

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

impl Peer {
    pub fn start(config: NetConfig) -> Self {
        let (net, events) = Net::start(config).unwrap();
        Self { net, events, aside: VecDeque::new() }
    }

    /// Starts, and waits for the one address that it listens on.
    pub async fn listening(config: NetConfig) -> (Self, String) {
        let mut peer = Self::start(config);
        let address = peer.listens().await;
        (peer, address)
    }

    pub async fn listens(&mut self) -> String {
        self.await_map(|event| match event {
            NetEvent::Listening { address } => Ok(address),
            other => Err(Box::new(other)),
        })
        .await
    }

    /// The next event, in order.
    pub async fn next(&mut self) -> NetEvent {
        if let Some(event) = self.aside.pop_front() {
            return event;
        }
        timeout(PATIENCE, self.events.recv()).await.expect("nothing happens").expect("ended")
    }

    /// The next event within `wait`, if there is one.
    pub async fn next_within(&mut self, wait: Duration) -> Option<NetEvent> {
        if let Some(event) = self.aside.pop_front() {
            return Some(event);
        }
        timeout(wait, self.events.recv()).await.ok().flatten()
    }

    /// The first event, past or to come, that `wanted` takes. The others are kept in order.
    pub async fn await_map<T>(
        &mut self,
        wanted: impl Fn(NetEvent) -> Result<T, Box<NetEvent>>,
    ) -> T {
        let mut kept = VecDeque::new();
        loop {
            let event = match self.aside.pop_front() {
                Some(event) => event,
                None => timeout(PATIENCE, self.events.recv())
                    .await
                    .unwrap_or_else(|_| panic!("awaited in vain behind {} events", kept.len()))
                    .expect("ended"),
            };
            match wanted(event) {
                Ok(found) => {
                    kept.append(&mut self.aside);
                    self.aside = kept;
                    return found;
                }
                Err(other) => kept.push_back(*other),
            }
        }
    }

    pub async fn opened(&mut self) -> Opened {
        self.await_map(|event| match event {
            NetEvent::PipeOpened { pipe, dialer, binding, remote_address } => {
                Ok(Opened { pipe, dialer, binding, remote_address })
            }
            other => Err(Box::new(other)),
        })
        .await
    }

    pub async fn closed(&mut self) -> (PipeId, PipeEnd) {
        self.await_map(|event| match event {
            NetEvent::PipeClosed { pipe, why } => Ok((pipe, why)),
            other => Err(Box::new(other)),
        })
        .await
    }

    pub async fn received(&mut self) -> (PipeId, Vec<u8>, Credit) {
        self.await_map(|event| match event {
            NetEvent::Received { pipe, bytes, credit } => Ok((pipe, bytes, credit)),
            other => Err(Box::new(other)),
        })
        .await
    }

    pub async fn news(&mut self) -> (Vec<u8>, huza_daemon::net::NewsToken) {
        self.await_map(|event| match event {
            NetEvent::News { bytes, token } => Ok((bytes, token)),
            other => Err(Box::new(other)),
        })
        .await
    }

    /// Reads `count` bytes of `pipe`.
    pub async fn read(&mut self, pipe: PipeId, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let (from, bytes, _credit) = self.received().await;
            assert_eq!(from, pipe);
            all.extend(bytes);
        }
        all
    }

    /// The pipes that are open once it is so many of them and nothing happens for `quiet`; or, however
    /// many, once nothing has happened for very long. With how many have been opened.
    pub async fn settle(&mut self, wanted: usize, quiet: Duration) -> (usize, Vec<Opened>) {
        let mut open: Vec<Opened> = Vec::new();
        let mut count = 0;
        let wait = |open: &Vec<Opened>| if open.len() == wanted { quiet } else { PATIENCE };
        while let Some(event) = self.next_within(wait(&open)).await {
            match event {
                NetEvent::PipeOpened { pipe, dialer, binding, remote_address } => {
                    open.push(Opened { pipe, dialer, binding, remote_address });
                    count += 1;
                }
                NetEvent::PipeClosed { pipe, .. } => {
                    let before = open.len();
                    open.retain(|one| one.pipe != pipe);
                    assert_eq!(open.len() + 1, before, "closed what was not open");
                }
                _ => {}
            }
        }
        (count, open)
    }
}

/// Bytes that tell where they are from and where they belong.
pub fn pattern(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}
