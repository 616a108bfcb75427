//! The transports, the behaviours and their limits.

use std::{convert::Infallible, io, time::Duration};

use libp2p::{
    Swarm, SwarmBuilder,
    connection_limits::{self, ConnectionLimits},
    core::upgrade::Version,
    identity::Keypair,
    mdns, memory_connection_limits, noise,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, yamux,
};

use super::{NetConfig, NetError, news, session};

/// Handshakes under way at once, each way. // guess: a meeting of 130 phones begins in seconds
const PENDING_MAX: u32 = 160;

/// Connections with one peer: two when both dial at once.
const PER_PEER_MAX: u32 = 2;

/// Of all pipes, those kept for peers that we dial, so that strangers cannot take every place.
/// // guess
const OWN_PIPES_SHARE: usize = 8;

/// Streams on one connection: ours, gossip both ways, some under negotiation. // guess
const STREAMS_MAX: u16 = 16;

/// QUIC receive windows: for one stream and for a connection. // guess: twice what a link of
/// 2 Mbit/s and 600 ms holds; the defaults are 10 and 15 MB for each of 160 connections
const QUIC_STREAM_WINDOW: u32 = 393_216;
const QUIC_CONNECTION_WINDOW: u32 = 524_288;

/// A QUIC peer that says nothing for so long is gone; it is asked to say something before.
const QUIC_IDLE_MS: u32 = 15_000; // guess: a phone between two access points
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A connection without our stream and without gossip ends after this.
const IDLE: Duration = Duration::from_secs(120);

/// libp2p asks by mDNS at start until the first answer, then this often. Its default of five
/// minutes is longer than most contacts. // guess
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(15);

/// How long a found peer is believed to be there. // guess: several queries
const MDNS_TTL: Duration = Duration::from_secs(90);

/// All behaviours. The limits come first, so that they refuse before anything else is done.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Event")]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) session: session::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) news: Toggle<news::Behaviour>,
}

/// What a behaviour reports.
#[derive(Debug)]
pub(super) enum Event {
    Session(session::Event),
    Mdns(mdns::Event),
    News(Box<libp2p::gossipsub::Event>),
}

impl From<session::Event> for Event {
    fn from(event: session::Event) -> Self {
        Self::Session(event)
    }
}

impl From<mdns::Event> for Event {
    fn from(event: mdns::Event) -> Self {
        Self::Mdns(event)
    }
}

impl From<libp2p::gossipsub::Event> for Event {
    fn from(event: libp2p::gossipsub::Event) -> Self {
        Self::News(Box::new(event))
    }
}

impl From<Infallible> for Event {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Builds the swarm. Where mDNS cannot work, it goes without and says why.
pub(super) fn build(config: &NetConfig) -> Result<(Swarm<Behaviour>, Option<io::Error>), NetError> {
    let key = transport_key(config.key)?;
    let local = key.public().to_peer_id();
    let (mdns, mdns_failed) =
        match config.mdns.then(|| mdns::tokio::Behaviour::new(mdns_config(), local)) {
            None => (None, None),
            Some(Ok(mdns)) => (Some(mdns), None),
            Some(Err(error)) => (None, Some(error)),
        };
    let news = config.gossip.then(news::behaviour).transpose().map_err(NetError::Setup)?;
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits(config.pipes_max)),
        memory: memory_connection_limits::Behaviour::with_max_bytes(config.memory_bytes_max),
        session: session::Behaviour::default(),
        mdns: mdns.into(),
        news: news.into(),
    };
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux_config)
        .map_err(|error| NetError::Setup(io::Error::other(error)))?
        .with_quic_config(quic_config)
        .with_behaviour(|_key| behaviour)
        .map_err(|never: Infallible| match never {})?
        .with_swarm_config(swarm_config)
        .build();
    Ok((swarm, mdns_failed))
}

fn transport_key(secret: Option<[u8; 32]>) -> Result<Keypair, NetError> {
    match secret {
        None => Ok(Keypair::generate_ed25519()),
        Some(mut secret) => Keypair::ed25519_from_bytes(&mut secret)
            .map_err(|error| NetError::Setup(io::Error::other(error))),
    }
}

fn limits(pipes_max: usize) -> ConnectionLimits {
    let count = |pipes: usize| Some(u32::try_from(pipes).unwrap_or(u32::MAX));
    let incoming = pipes_max - pipes_max / OWN_PIPES_SHARE;
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established_incoming(count(incoming))
        .with_max_established(count(pipes_max))
        .with_max_established_per_peer(Some(PER_PEER_MAX))
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(usize::from(STREAMS_MAX));
    config
}

fn quic_config(mut config: libp2p::quic::Config) -> libp2p::quic::Config {
    config.max_concurrent_stream_limit = u32::from(STREAMS_MAX);
    config.max_stream_data = QUIC_STREAM_WINDOW;
    config.max_connection_data = QUIC_CONNECTION_WINDOW;
    config.max_idle_timeout = QUIC_IDLE_MS;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    // Looking for longer packets than 1,200 bytes costs a short contact more than it can win: of 22 kB
    // for a contact with nothing new, 10 to 12 were probes (measured 2026-11).
    config.disable_path_mtu_discovery()
}

fn mdns_config() -> mdns::Config {
    mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6: false }
}

fn swarm_config(config: libp2p::swarm::Config) -> libp2p::swarm::Config {
    config
        .with_idle_connection_timeout(IDLE)
        .with_max_negotiating_inbound_streams(usize::from(STREAMS_MAX))
        // A stream is used before the peer has agreed to its protocol, which saves the dialler a
        // round trip. After a refusal such a stream must not be touched again (multistream-select
        // 0.14 panics): a pipe ends with its first error, and gossip drops what it cannot write.
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
}
