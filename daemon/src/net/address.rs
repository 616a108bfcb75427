//! Addresses: a host and a port, by QUIC or TCP.
//!
//! Names are not resolved: there is no DNS where phones meet, and a wrong answer would send a
//! phone's traffic to a stranger.

use std::net::{Ipv4Addr, SocketAddr};

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::NetError;

/// Whether `text` can be dialled: `192.168.1.5:4001`, `/ip4/192.168.1.5/udp/4001/quic-v1` or
/// `/ip4/192.168.1.5/tcp/4001`, the last two also with `/p2p/...` behind.
///
/// # Errors
/// [`NetError::Address`], which says how an address looks.
pub fn check_address(text: &str) -> Result<(), NetError> {
    parse_remote(text).map(|_address| ())
}

/// Reads an address to dial.
pub(super) fn parse_remote(text: &str) -> Result<Multiaddr, NetError> {
    let wrong = || NetError::Address(text.to_owned());
    let address = match text.trim().parse::<SocketAddr>() {
        Ok(socket) => quic(socket),
        Err(_other) => text.trim().parse().map_err(|_malformed| wrong())?,
    };
    let parts = Parts::of(&address).filter(|parts| parts.port > 0).ok_or_else(wrong)?;
    if parts.unspecified() { Err(wrong()) } else { Ok(address) }
}

/// Reads an address to listen on.
pub(super) fn parse_local(text: &str) -> Result<Multiaddr, NetError> {
    let wrong = || NetError::Address(text.to_owned());
    let address = text.trim().parse().map_err(|_malformed| wrong())?;
    Parts::of(&address).filter(|parts| parts.peer.is_none()).ok_or_else(wrong)?;
    Ok(address)
}

/// `address`, then the same place by the other transport: some access points drop UDP, and a slow
/// link is quicker by QUIC.
pub(super) fn candidates(address: &Multiaddr) -> Vec<Multiaddr> {
    let mut all = vec![address.clone()];
    if let Some(parts) = Parts::of(address) {
        let mut other = Multiaddr::from(parts.host);
        if parts.quic {
            other.push(Protocol::Tcp(parts.port));
        } else {
            other.push(Protocol::Udp(parts.port));
            other.push(Protocol::QuicV1);
        }
        if let Some(peer) = parts.peer {
            other.push(peer);
        }
        all.push(other);
    }
    all
}

/// The host of an address on IPv4, and its port.
pub(super) fn ipv4(address: &Multiaddr) -> Option<(Ipv4Addr, u16)> {
    match Parts::of(address)? {
        Parts { host: Protocol::Ip4(host), port, .. } => Some((host, port)),
        _ => None,
    }
}

/// Where to dial a host, by QUIC and then by TCP.
pub(super) fn places(host: Ipv4Addr, port: u16) -> Vec<Multiaddr> {
    candidates(&quic(SocketAddr::from((host, port))))
}

/// Whether it is one we speak.
pub(super) fn is_spoken(address: &Multiaddr) -> bool {
    Parts::of(address).is_some_and(|parts| parts.port > 0)
}

/// Whether it is by QUIC.
pub(super) fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::QuicV1)
}

fn quic(socket: SocketAddr) -> Multiaddr {
    let mut address = Multiaddr::from(socket.ip());
    address.push(Protocol::Udp(socket.port()));
    address.push(Protocol::QuicV1);
    address
}

struct Parts<'a> {
    host: Protocol<'a>,
    port: u16,
    quic: bool,
    peer: Option<Protocol<'a>>,
}

impl<'a> Parts<'a> {
    fn of(address: &'a Multiaddr) -> Option<Self> {
        let mut rest = address.iter();
        let host = rest.next().filter(|p| matches!(p, Protocol::Ip4(_) | Protocol::Ip6(_)))?;
        let (port, quic) = match rest.next()? {
            Protocol::Tcp(port) => (port, false),
            Protocol::Udp(port) if rest.next()? == Protocol::QuicV1 => (port, true),
            _ => return None,
        };
        let peer = match rest.next() {
            None => None,
            Some(peer @ Protocol::P2p(_)) => Some(peer),
            Some(_) => return None,
        };
        rest.next().is_none().then_some(Self { host, port, quic, peer })
    }

    const fn unspecified(&self) -> bool {
        match &self.host {
            Protocol::Ip4(ip) => ip.is_unspecified(),
            Protocol::Ip6(ip) => ip.is_unspecified(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::multiaddr::multiaddr;

    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_by_quic_or_tcp() {
        let peer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
        for good in [
            "192.168.1.5:4001",
            "[fe80::1]:4001",
            "/ip4/192.168.1.5/tcp/4001",
            "/ip6/::1/udp/4001/quic-v1",
            &format!("/ip4/10.0.0.1/udp/1/quic-v1/p2p/{peer}"),
        ] {
            check_address(good).unwrap();
        }
        for bad in [
            "",
            "hub.local:4001",
            "/dns4/hub/tcp/1",
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/udp/4001",
            "/ip4/1.2.3.4/tcp/0",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/1.2.3.4/tcp/4001/ws",
            &format!("/ip4/1.2.3.4/tcp/1/p2p/{peer}/p2p-circuit"),
        ] {
            assert!(matches!(check_address(bad), Err(NetError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn the_other_transport_is_derived_with_the_same_peer() {
        let quic = parse_remote("10.0.0.1:7").unwrap();
        let both = candidates(&quic);
        assert_eq!(both, [quic, multiaddr!(Ip4([10, 0, 0, 1]), Tcp(7_u16))]);
        assert_eq!(candidates(&both[1]), [both[1].clone(), both[0].clone()]);
    }

    #[test]
    fn any_port_is_fine_for_listening() {
        parse_local("/ip4/0.0.0.0/tcp/0").unwrap();
        parse_local("127.0.0.1:80").unwrap_err();
    }
}
