//! What can go wrong when the network is asked for something.

use std::io;

/// Why the network could not start or do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Not an address, or not of a kind that is spoken here.
    #[error(
        "{0:?} is not an address; write it as 192.168.1.5:4001, \
         /ip4/192.168.1.5/udp/4001/quic-v1 or /ip4/192.168.1.5/tcp/4001"
    )]
    Address(String),
    /// An address of our own cannot be listened on.
    #[error(
        "cannot listen on {address}; another program may use the port, `--listen` names another"
    )]
    Listen {
        /// Which.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The transports could not be set up.
    #[error("cannot set up the network")]
    Setup(#[source] io::Error),
    /// More addresses to dial than [`super::NetConfig`] may name.
    #[error("more than {0} addresses to dial; remove some")]
    TooManyAddresses(usize),
    /// A `News` frame is over its limit.
    #[error("news of {0} bytes are too long")]
    NewsTooLong(usize),
    /// Too many commands are waiting.
    #[error("the network is busy; try again")]
    Busy,
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// Why bytes were not queued on a pipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Enough is waiting already. The bytes come back.
    #[error("the pipe has no room for {} bytes now", .0.len())]
    Full(Vec<u8>),
    /// There is no such pipe any more.
    #[error("the pipe is closed")]
    Closed,
}
