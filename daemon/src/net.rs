//! The network as byte pipes: who is near, and an ordered stream of bytes to each of them.
//!
//! Enter at [`Net::start`]. Everything that happens arrives as a [`NetEvent`] in one bounded
//! channel; everything that is wanted goes through the [`Net`] handle. What holds:
//!
//! - A pipe is one long-lived stream under `/huza/session/1` on one connection. For each pipe come
//!   [`NetEvent::PipeOpened`], then its bytes in order, then exactly one
//!   [`NetEvent::PipeClosed`], and nothing behind it.
//! - A pipe may also run over any other ordered stream ([`Net::attach`]), behind a handshake of
//!   its own (`noise`): what this page says of pipes holds for it too.
//! - Both ends of a pipe compute the same `binding` from the two transport identities that the
//!   handshake (Noise or TLS) has proven. Whoever signs it proves that nobody sits in between.
//! - Backpressure is real both ways: a pipe is read only as fast as the consumer gives back its
//!   [`Credit`]s, and what waits to be sent is bounded in bytes and in number ([`Net::try_send`]).
//! - Two peers that dial each other at once keep one connection: the peer with the lower id
//!   decides alone, so the two can never disagree and end with none.
//! - Every queue and every table has a limit, and nothing that comes from outside can end the
//!   task that drives the network; if a bug does, [`NetEvent::Stopped`] says so.
//!
//! What it deliberately does not do: it knows neither devices nor membership (the transport key is
//! random per boot and says nothing), it does not frame, and it delivers no data by gossip. There
//! is no identify protocol: it would cost a round trip and tell our addresses and version to
//! strangers, and nothing here needs it, since addresses come from the configuration, from mDNS and
//! from the dialled end of a pipe. No type of libp2p leaves this module.

mod address;
mod config;
mod dialer;
mod error;
mod event;
mod gateway;
mod guest;
mod handler;
mod links;
mod news;
mod noise;
mod pipe;
mod registry;
mod session;
mod swarm;
mod task;

use std::sync::Arc;

use tokio::{io::DuplexStream, sync::mpsc};

pub use address::check_address;
pub use config::NetConfig;
pub use error::{NetError, SendError};
pub use event::{Credit, NetEvent, NewsToken, PipeEnd, PipeId};
pub(crate) use noise::{Noise, NoiseError};

/// Longest `News` frame, in bytes. // 4 KiB on the wire, less room for gossipsub's own fields
pub const NEWS_BYTES_MAX: usize = 4_096 - 256;

/// Events that may wait for the consumer.
pub const EVENTS_QUEUED_MAX: usize = 256;

/// Commands that may wait for the network task.
pub const COMMANDS_QUEUED_MAX: usize = 256;

/// What a handle asks of the network task.
#[derive(Debug)]
enum Command {
    Admit(PipeId),
    Attach(PipeId, guest::Guest),
    Dial(libp2p::Multiaddr),
    Links(usize),
    Publish(Vec<u8>),
    Validate(NewsToken, bool),
    NetworkChanged,
    Stop,
}

/// A handle on the running network. Clones are the same network; when the last one is dropped,
/// the network stops.
#[derive(Debug, Clone)]
pub struct Net {
    commands: mpsc::Sender<Command>,
    registry: Arc<registry::Registry>,
}

impl Net {
    /// Starts listening and dialling, in a task of its own. Needs a Tokio runtime around it.
    ///
    /// # Errors
    /// If an address is not one, or cannot be listened on.
    pub fn start(config: NetConfig) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let (commands, commands_out) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let (events, events_out) = mpsc::channel(EVENTS_QUEUED_MAX);
        let registry = Arc::new(registry::Registry::default());
        let task = task::Task::new(config, commands_out, events.clone(), Arc::clone(&registry))?;
        tokio::spawn(task::supervise(task, events));
        Ok((Self { commands, registry }, events_out))
    }

    /// Queues `bytes` on `pipe` if there is room. [`NetEvent::Sent`] tells when they left.
    ///
    /// # Errors
    /// [`SendError::Full`] gives the bytes back; try again after the next [`NetEvent::Sent`].
    pub fn try_send(&self, pipe: PipeId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.registry.try_send(pipe, bytes)
    }

    /// Queues `bytes` on `pipe`, waiting for room. Whoever reads the events must not wait here,
    /// and a pipe that is waited for must not be used with [`Self::try_send`] at the same time.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the pipe is or gets closed.
    pub async fn send(&self, pipe: PipeId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.registry.send(pipe, bytes).await
    }

    /// Closes `pipe` once what is queued has been sent. [`NetEvent::PipeClosed`] follows, perhaps
    /// behind a few bytes that were under way; closing an unknown pipe does nothing.
    pub fn close(&self, pipe: PipeId) {
        self.registry.close(pipe);
    }

    /// Runs a pipe over a stream that came another way: what the peer's handshake has let through.
    /// Its number is given before [`NetEvent::PipeOpened`]. Whoever drops the other end of
    /// `stream` ends it.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn attach(
        &self,
        stream: DuplexStream,
        dialer: bool,
        binding: [u8; 32],
    ) -> Result<PipeId, NetError> {
        let id = self.registry.next_pipe();
        self.command(Command::Attach(id, guest::Guest::new(stream, dialer, binding)))?;
        Ok(id)
    }

    /// Dials `address` once, by QUIC and TCP alike: `1.2.3.4:567` or a multiaddress.
    ///
    /// # Errors
    /// If it is no address that can be dialled, or the network is busy or stopped.
    pub fn dial(&self, address: &str) -> Result<(), NetError> {
        self.command(Command::Dial(address::parse_remote(address)?))
    }

    /// Tells the peers that take part in gossip. Without any, this does nothing.
    ///
    /// # Errors
    /// If it is too long, or the network is busy or stopped.
    pub fn publish(&self, bytes: Vec<u8>) -> Result<(), NetError> {
        if bytes.len() > NEWS_BYTES_MAX {
            return Err(NetError::NewsTooLong(bytes.len()));
        }
        self.command(Command::Publish(bytes))
    }

    /// The peer of this pipe has proven that it is a member: its news are heard from now on. What
    /// others say by gossip is neither heard nor forwarded.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn admit(&self, pipe: PipeId) -> Result<(), NetError> {
        self.command(Command::Admit(pipe))
    }

    /// Keeps connected with so many of the peers that are found near, or with all if there are fewer.
    /// Those that were named, and those that dial us, are beside them.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn links(&self, wanted: usize) -> Result<(), NetError> {
        self.command(Command::Links(wanted))
    }

    /// Says whether news may be forwarded to others. News without an answer are not.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn validate(&self, token: NewsToken, accept: bool) -> Result<(), NetError> {
        self.command(Command::Validate(token, accept))
    }

    /// The device has joined another network: dial everything again now, also those who seem to be
    /// connected, because a connection does not notice that the ground under it is gone. Where an
    /// address of ours ends, that happens by itself.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn network_changed(&self) -> Result<(), NetError> {
        self.command(Command::NetworkChanged)
    }

    /// Closes every pipe, sending what is queued, and stops. The event channel ends when it is
    /// done, after a few seconds at most; keep reading it until then.
    ///
    /// # Errors
    /// If the network is busy or stopped.
    pub fn stop(&self) -> Result<(), NetError> {
        self.command(Command::Stop)
    }

    fn command(&self, command: Command) -> Result<(), NetError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NetError::Busy,
            mpsc::error::TrySendError::Closed(_) => NetError::Stopped,
        })
    }
}
