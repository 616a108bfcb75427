//! The local door: commands of this device's user to the daemon that runs on a home.
//!
//! A connection carries any number of exchanges, one after the other: a command in, its reply out.
//!
//! ```text
//! frame = length (4 bytes, big endian), then that many bytes of JSON
//! in    = huza_crdt::node::Command, or {"command": "join_sealed", "welcome": hex of its encoding},
//!         or crate::vault::VaultCommand, which has a key "vault" instead of "command"
//! out   = huza_crdt::node::Reply, or crate::vault::VaultReply; both spell an error alike
//!
//! pipe  = in {"pipe": 1}; from then on frames hold the bytes of a pipe, both ways, until an empty
//!         one; behind the last one out comes crate::pipe::PipeReport, and the connection ends
//! ```
//!
//! Whoever can connect is trusted like the owner of the home: the socket is the owner's alone. The
//! API knows nothing of what commands mean and keeps no state.

pub(crate) mod frame;
mod server;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
#[path = "api/loopback.rs"]
mod socket;

use std::{io, path::PathBuf};

use huza_crdt::node::{Command, Reply};
use tokio::{io::DuplexStream, sync::oneshot};

use crate::{
    pipe::PipeReport,
    vault::{VaultCommand, VaultReply},
};

pub(crate) use server::Server;
pub(crate) use socket::{Stream, connect};

/// Connections served at once; more wait. // guess: an app, a few terminals
pub const CONNECTIONS_MAX: usize = 16;

/// Of them, most that carry a pipe at once. // Bluetooth links that one radio holds
pub const PIPES_MAX: usize = 7;

/// Why the local door could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No place for the socket.
    #[error(
        "cannot open the local socket {}; see that its directory is yours to write",
        path.display()
    )]
    Bind {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// All places have too long a name.
    #[error(
        "the paths {} and {} are too long for a socket; use a home with a shorter path, or set \
         TMPDIR to a short one", home.display(), temporary.display()
    )]
    PathTooLong {
        /// In the home.
        home: PathBuf,
        /// In the directory for temporary files.
        temporary: PathBuf,
    },
}

/// Something wanted, and where its reply is awaited.
#[derive(Debug)]
pub(crate) enum Request {
    /// Of the node.
    Node { command: Box<Command>, reply: oneshot::Sender<Reply> },
    /// Of the vault.
    Vault { command: Box<VaultCommand>, reply: oneshot::Sender<VaultReply> },
    /// A session over a stream whose handshake is done.
    Pipe {
        stream: DuplexStream,
        dialer: bool,
        binding: [u8; 32],
        report: oneshot::Sender<PipeReport>,
    },
}
