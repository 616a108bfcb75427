//! The behaviour that gives every connection its stream, and refuses to dial a peer twice.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm},
};

use super::handler::{Handler, Opening};

/// Why a connection that we dialled was given up at once: there is one that we dialled before.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("already connected")]
pub(super) struct AlreadyConnected(pub(super) PeerId);

/// The stream of a connection, or the lack of it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) connection: ConnectionId,
    pub(super) opening: Opening,
}

#[derive(Debug, Default)]
pub(super) struct Behaviour {
    dialled: BTreeMap<ConnectionId, PeerId>,
    events: VecDeque<Event>,
}

impl Behaviour {
    /// Peers that we dialled may be dialled again, because those connections are in doubt.
    pub(super) fn doubt(&mut self) {
        self.dialled.clear();
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::new(false))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        peer: PeerId,
        _remote: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        // One place is dialled by QUIC and by TCP; and one peer may be known by two addresses.
        if self.dialled.values().any(|dialled| *dialled == peer) {
            return Err(ConnectionDenied::new(AlreadyConnected(peer)));
        }
        Ok(Handler::new(true))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) if established.endpoint.is_dialer() => {
                self.dialled.insert(established.connection_id, established.peer_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.dialled.remove(&closed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        connection: ConnectionId,
        opening: Opening,
    ) {
        // At most one for each connection, so their number is bounded.
        self.events.push_back(Event { connection, opening });
    }

    fn poll(&mut self, _context: &mut Context<'_>) -> Poll<ToSwarm<Event, Infallible>> {
        self.events
            .pop_front()
            .map_or(Poll::Pending, |event| Poll::Ready(ToSwarm::GenerateEvent(event)))
    }
}
