//! What the command line says about one run, over the settings of the home.

use std::path::PathBuf;

use crate::{
    gateway::FacilitySetting,
    home::{Home, Remembered},
    http::{HttpSetting, HttpTable},
    net::{self, NetConfig, NetError},
    vault::Unlock,
};

/// Where Linux lists its routes. Elsewhere there is no such file, and no gateway is dialled.
const ROUTES: &str = "/proc/net/route";

/// Wishes for one run. What is left at its default stays as the home's settings say.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Who unlocks the reader at the start; nobody: it stays locked, and the daemon carries.
    pub unlock: Option<Unlock>,
    /// Multiaddresses to listen on; none: as configured.
    pub listen: Vec<String>,
    /// Peers to dial instead of the configured ones; none: as configured.
    pub dial: Vec<String>,
    /// Whether to find peers near by: by mDNS, and as the gateway of a network.
    pub mdns: Option<bool>,
    /// Whether to spread and hear news by gossip.
    pub gossip: Option<bool>,
    /// Whether to keep addresses of peers that were met, and to dial them.
    pub remember: Option<bool>,
    /// Where a gateway's facility is.
    pub facility: Option<FacilitySetting>,
    /// Where other programs reach the daemon.
    pub http: Option<HttpSetting>,
    /// No network at all, whatever the settings say: what comes, comes through the local door.
    pub alone: bool,
    /// Longest pause before an address is dialled again, in milliseconds.
    pub redial_ms_max: Option<u64>,
}

/// What a run does.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) net: NetConfig,
    pub(super) facility: FacilitySetting,
    pub(super) remember: bool,
    pub(super) http: Option<HttpTable>,
}

impl RunOptions {
    /// Lays these options over the settings of `home`.
    pub(super) fn over(self, home: &Home, peers: &Remembered) -> Result<Settings, NetError> {
        self.dial.iter().try_for_each(|address| net::check_address(address))?;
        let config = home.config().clone();
        let remember = self.remember.unwrap_or(config.remember);
        let or = |wish: Vec<String>, setting| if wish.is_empty() { setting } else { wish };
        let defaults = NetConfig::default();
        let redial_ms_max = self.redial_ms_max.unwrap_or(defaults.redial_ms_max);
        let mdns = self.mdns.unwrap_or(config.mdns);
        let net = NetConfig {
            redial_ms_min: defaults.redial_ms_min.min(redial_ms_max),
            redial_ms_max,
            ..defaults
        };
        let alone = self.alone;
        let net = if alone {
            net
        } else {
            NetConfig {
                listen: or(self.listen, config.listen),
                dial: or(self.dial, config.dial),
                remembered: if remember { peers.addresses() } else { Vec::new() },
                mdns,
                routes: mdns.then(|| PathBuf::from(ROUTES)),
                gossip: self.gossip.unwrap_or(config.gossip),
                ..net
            }
        };
        let facility = self.facility.unwrap_or_else(|| config.facility.at(home.path()));
        let http = self.http.unwrap_or(config.http).table().filter(|_| !alone);
        Ok(Settings { net, facility, remember, http })
    }
}
