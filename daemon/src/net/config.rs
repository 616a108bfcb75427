//! What the network is told when it starts.

use std::path::PathBuf;

use huza_crdt::limits::{SESSIONS_MAX, SILENCE_MS_MAX};

/// How to listen, whom to dial, and the limits. [`NetConfig::default`] listens nowhere, dials
/// nobody and neither announces itself nor gossips.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Multiaddresses to listen on, such as `/ip4/0.0.0.0/udp/4001/quic-v1` and
    /// `/ip4/0.0.0.0/tcp/4001`. Use one port number for both, because a dialler that knows one
    /// derives the other.
    pub listen: Vec<String>,
    /// Configured peers: `host:port` or a multiaddress, with or without `/p2p/...`. Dialled until
    /// connected, and again when lost.
    pub dial: Vec<String>,
    /// Addresses at which peers were met before. Dialled likewise, but less often. Those that
    /// cannot be dialled are skipped.
    pub remembered: Vec<String>,
    /// Whether to look for peers by mDNS and to be found by it. IPv4 only.
    pub mdns: bool,
    /// Linux's table of IPv4 routes, mostly `/proc/net/route`. With it, the gateway of each network
    /// that we join is dialled at the port we listen on: the owner of a hotspot is invisible to
    /// mDNS.
    pub routes: Option<PathBuf>,
    /// Whether to exchange `News` by gossip.
    pub gossip: bool,
    /// The secret of a lasting transport key, for a fixed hub. Without it the key is random and
    /// tells nothing about who we were before.
    pub key: Option<[u8; 32]>,
    /// Most pipes at once.
    pub pipes_max: usize,
    /// New connections are refused while the process uses more than this.
    pub memory_bytes_max: usize,
    /// First delay before a lost or failed address is dialled again.
    pub redial_ms_min: u64,
    /// Greatest delay between two attempts at a configured address. Found and remembered ones
    /// wait up to [`Self::REDIAL_UNSURE_FACTOR`] times as long.
    pub redial_ms_max: u64,
    /// Milliseconds without progress in sending after which a pipe is given up.
    pub stall_ms_max: u64,
}

impl NetConfig {
    /// See [`Self::redial_ms_max`]. // guess
    pub const REDIAL_UNSURE_FACTOR: u64 = 4;
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            dial: Vec::new(),
            remembered: Vec::new(),
            mdns: false,
            routes: None,
            gossip: false,
            key: None,
            pipes_max: SESSIONS_MAX,
            // guess: half of what an app may use on a phone of 2 GB
            memory_bytes_max: 512 * 1_024 * 1_024,
            redial_ms_min: 1_000, // guess
            // guess: a contact may last 20 seconds only, and a refused dial is cheap
            redial_ms_max: 10_000,
            stall_ms_max: SILENCE_MS_MAX,
        }
    }
}
