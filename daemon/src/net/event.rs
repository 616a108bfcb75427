//! What the network reports.

use std::time::Duration;

use libp2p::{PeerId, gossipsub::MessageId};
use tokio::sync::OwnedSemaphorePermit;

/// One pipe. Never used twice by one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(pub u64);

/// The right to read one more chunk from a pipe. Drop it when the chunk has been dealt with. A
/// consumer that holds all of a pipe's credits stops the peer, and does not learn of the pipe's end
/// before it lets go of one.
#[derive(Debug)]
pub struct Credit {
    _permit: OwnedSemaphorePermit,
}

impl Credit {
    pub(super) const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// Which news an answer of [`super::Net::validate`] is about.
#[derive(Debug, Clone)]
pub struct NewsToken {
    pub(super) message: MessageId,
    pub(super) source: PeerId,
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetEvent {
    /// We can be reached at this address, at least by some.
    Listening {
        /// A multiaddress with its real port.
        address: String,
    },
    /// An address is ours no longer.
    ListeningEnded {
        /// A multiaddress.
        address: String,
    },
    /// There is a pipe.
    PipeOpened {
        /// Its name from here on.
        pipe: PipeId,
        /// Whether we dialled the connection.
        dialer: bool,
        /// The same on both ends, and different for any other pair of transport keys.
        binding: [u8; 32],
        /// Where the peer is; an address worth remembering only if we dialled.
        remote_address: String,
    },
    /// Bytes came in.
    Received {
        /// Over which pipe.
        pipe: PipeId,
        /// The next ones in order, never none.
        bytes: Vec<u8>,
        /// To be dropped when the bytes have been dealt with.
        credit: Credit,
    },
    /// Bytes went out: the operating system or the transport has them, the peer perhaps not yet.
    Sent {
        /// Over which pipe.
        pipe: PipeId,
        /// How many since the last such event.
        bytes: usize,
    },
    /// The pipe is gone. Nothing more comes of it.
    PipeClosed {
        /// Which.
        pipe: PipeId,
        /// Why.
        why: PipeEnd,
    },
    /// A `News` frame by gossip, from anybody: it may be forged, and is not forwarded before
    /// [`super::Net::validate`].
    News {
        /// The frame.
        bytes: Vec<u8>,
        /// For the answer.
        token: NewsToken,
    },
    /// An address could not be reached, by any transport.
    DialFailed {
        /// As it was given.
        address: String,
        /// What each attempt met.
        why: String,
        /// When it is tried again, if it is.
        retry: Option<Duration>,
    },
    /// Peers cannot be found by mDNS here. Everything else works.
    DiscoveryFailed {
        /// What the system says.
        why: String,
    },
    /// A bug has ended the network task. Start another.
    Stopped {
        /// What it said.
        why: String,
    },
}

/// Why a pipe closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PipeEnd {
    /// We closed it.
    Local,
    /// The peer closed it, or its process ended and the system closed it.
    Remote,
    /// The connection broke.
    Lost(String),
    /// The peer took nothing for too long.
    Stalled,
    /// Another connection with the same peer replaces this one.
    Replaced,
    /// The network stops.
    Stopped,
}

impl core::fmt::Display for PipeEnd {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Local => f.write_str("closed here"),
            Self::Remote => f.write_str("closed by the peer"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Stalled => f.write_str("the peer takes nothing"),
            Self::Replaced => f.write_str("replaced by another connection"),
            Self::Stopped => f.write_str("the network stops"),
        }
    }
}
