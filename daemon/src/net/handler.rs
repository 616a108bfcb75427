//! The stream of one connection: the dialler opens it, the listener accepts it, and there is never
//! a second one.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    StreamProtocol,
    core::upgrade::ReadyUpgrade,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, Stream, SubstreamProtocol,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/huza/session/1");

/// How long opening the stream may take. // guess: 2G-like links
pub(super) const OPEN_WAIT: Duration = Duration::from_secs(15);

/// What became of the stream.
#[derive(Debug)]
pub(super) enum Opening {
    /// It is open.
    Opened(Stream),
    /// The peer does not speak our protocol, or not in time.
    Refused,
}

#[derive(Debug)]
pub(super) struct Handler {
    dialer: bool,
    /// The dialler has asked for the stream, or the listener has taken it.
    begun: bool,
    result: Option<Opening>,
}

impl Handler {
    pub(super) const fn new(dialer: bool) -> Self {
        Self { dialer, begun: false, result: None }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Opening;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ()).with_timeout(OPEN_WAIT)
    }

    fn poll(
        &mut self,
        _context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(result) = self.result.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result));
        }
        if self.dialer && !self.begun {
            self.begun = true;
            let protocol = self.listen_protocol();
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // Woken by the connection, which polls again after each of its events.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol, ..
            }) => {
                self.result = Some(Opening::Opened(protocol));
            }
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol, ..
            }) if !self.dialer && !self.begun => {
                self.begun = true;
                self.result = Some(Opening::Opened(protocol));
            }
            ConnectionEvent::DialUpgradeError(_) => self.result = Some(Opening::Refused),
            // A second stream, or one that the listener opens, is dropped and thereby reset.
            _ => {}
        }
    }
}
