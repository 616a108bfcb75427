//! The phone that owns a hotspot: mDNS does not show it to those who join, but it is their gateway.
//!
//! For each address that we get, the system's table of routes says which gateway leads out of that
//! network. Mostly that is a router and nobody answers there; the attempt is cheap.

use std::{fs, net::Ipv4Addr, path::PathBuf, time::Duration};

use tokio::time::Instant;

/// First pause before the table is read again: routes follow an address. // guess
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// A network whose gateway is not known after a pause this long has none. // guess: a slow DHCP
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Most networks at once. // guess
const NETWORKS_MAX: usize = 16;

/// A network that we are in, by our address there.
#[derive(Debug)]
struct Network {
    own: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    due: Instant,
    pause: Duration,
}

/// Looks for the gateways of the networks that we join.
#[derive(Debug)]
pub(super) struct Gateways {
    routes: Option<PathBuf>,
    networks: Vec<Network>,
}

impl Gateways {
    /// `routes` is Linux's table of IPv4 routes; without it there is nothing to find.
    pub(super) const fn new(routes: Option<PathBuf>) -> Self {
        Self { routes, networks: Vec::new() }
    }

    /// When [`Self::poll`] has something to do next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.networks.iter().filter(|network| network.is_sought()).map(|network| network.due).min()
    }

    /// `own` is an address of ours.
    pub(super) fn joined(&mut self, own: Ipv4Addr, now: Instant) {
        let known = self.networks.iter().any(|network| network.own == own);
        if self.routes.is_some() && !known && self.networks.len() < NETWORKS_MAX {
            self.networks.push(Network { own, gateway: None, due: now, pause: PAUSE_MIN });
        }
    }

    /// `own` is ours no longer. Gives the gateway that was found by it.
    pub(super) fn left(&mut self, own: Ipv4Addr) -> Option<Ipv4Addr> {
        let place = self.networks.iter().position(|network| network.own == own)?;
        self.networks.swap_remove(place).gateway
    }

    /// The gateways found now.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Ipv4Addr> {
        let mut due = self.networks.iter_mut().filter(|n| n.is_sought() && n.due <= now).peekable();
        if due.peek().is_none() {
            return Vec::new();
        }
        // A few hundred bytes that the system makes up at once: there is no disk to wait for.
        let table = self.routes.as_ref().and_then(|routes| fs::read_to_string(routes).ok());
        let table = table.unwrap_or_default();
        due.filter_map(|network| {
            network.gateway = gateway(&table, network.own);
            network.due = now + network.pause;
            network.pause *= 2;
            network.gateway
        })
        .collect()
    }
}

impl Network {
    fn is_sought(&self) -> bool {
        self.gateway.is_none() && self.pause <= PAUSE_MAX
    }
}

/// One line of the table.
struct Route<'a> {
    interface: &'a str,
    destination: Ipv4Addr,
    gateway: Ipv4Addr,
    mask: Ipv4Addr,
}

impl<'a> Route<'a> {
    /// Reads `eth0 00010A0A 00000000 0001 0 0 0 00FFFFFF ...`; addresses are spelled as the machine
    /// keeps them in memory.
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let mut address = |skip| {
            let bits = u32::from_str_radix(fields.nth(skip)?, 16).ok()?;
            Some(Ipv4Addr::from(bits.to_ne_bytes()))
        };
        let (destination, gateway, mask) = (address(1)?, address(0)?, address(4)?);
        let interface = line.split_whitespace().next()?;
        Some(Self { interface, destination, gateway, mask })
    }
}

/// The gateway by which the interface with our address `own` leads elsewhere.
fn gateway(table: &str, own: Ipv4Addr) -> Option<Ipv4Addr> {
    let all = || table.lines().filter_map(Route::read);
    let near = |route: &Route<'_>| {
        route.gateway.is_unspecified()
            && !route.mask.is_unspecified()
            && own & route.mask == route.destination
    };
    let interface = all().find(near)?.interface;
    let leads_out = |route: &Route<'_>| {
        route.interface == interface && route.mask.is_unspecified() && route.gateway != own
    };
    all().filter(leads_out).map(|route| route.gateway).find(|gateway| !gateway.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a cable and a Wi-Fi, as Linux spells it on a little-endian machine.
    const TABLE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t00000000\t012BA8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
wlan0\t002BA8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
";

    fn table() -> String {
        if cfg!(target_endian = "little") {
            return TABLE.to_owned();
        }
        let swapped = |field: &str| match u32::from_str_radix(field, 16) {
            Ok(bits) if field.len() == 8 => format!("{:08X}", bits.swap_bytes()),
            _ => field.to_owned(),
        };
        let line = |line: &str| line.split('\t').map(swapped).collect::<Vec<_>>().join("\t");
        TABLE.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_gateway_is_that_of_the_interface_with_the_address() {
        let of = |own: [u8; 4]| gateway(&table(), own.into()).map(|found| found.octets());
        assert_eq!(of([192, 168, 43, 7]), Some([192, 168, 43, 1]));
        assert_eq!(of([192, 168, 1, 7]), Some([192, 168, 1, 1]));
        assert_eq!(of([192, 168, 43, 1]), None, "we own the network");
        assert_eq!(of([10, 0, 0, 1]), None);
        assert_eq!(gateway("no table at all\n\n", [10, 0, 0, 1].into()), None);
    }

    #[tokio::test]
    async fn a_route_that_follows_the_address_is_found_and_the_search_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let routes = dir.path().join("route");
        let mut gateways = Gateways::new(Some(routes.clone()));
        let (own, mut now) = (Ipv4Addr::new(192, 168, 43, 7), Instant::now());
        gateways.joined(own, now);
        assert!(gateways.poll(now).is_empty());
        fs::write(&routes, table()).unwrap();
        assert!(gateways.poll(now).is_empty(), "not yet due");
        now = gateways.deadline().unwrap();
        assert_eq!(gateways.poll(now), [Ipv4Addr::new(192, 168, 43, 1)]);
        assert_eq!((gateways.deadline(), gateways.poll(now)), (None, vec![]), "once");
        assert_eq!(gateways.left(own), Some(Ipv4Addr::new(192, 168, 43, 1)));

        gateways.joined([10, 0, 0, 7].into(), now);
        let mut reads = 0;
        while let Some(due) = gateways.deadline() {
            reads += 1;
            assert!(gateways.poll(due).is_empty());
        }
        assert_eq!(reads, 7);
        let mut without = Gateways::new(None);
        without.joined(own, now);
        assert_eq!(without.deadline(), None);
    }
}
