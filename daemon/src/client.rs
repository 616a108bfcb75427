//! Commands on a home, whether or not a daemon runs on it.
//!
//! With a daemon, commands go to it through the local door. Without, the client locks the home and
//! drives a node itself, without a network; when [`Client::call`] returns, what the command wrote
//! is durable. Either way the answers are the same.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use huza_crdt::node::{Command, Input, Output, Reply};

use crate::{
    api::{
        self,
        frame::{self, FrameError},
    },
    driver::{
        keeper, locking,
        offline::{Offline, OfflineError},
    },
    home::{Home, HomeError, HomeLock},
    vault::{
        VaultCommand, VaultReply,
        service::{self, Outcome},
    },
};

/// How long to wait for another command that has the home, or for a daemon that is starting.
/// // guess: longer than most commands, shorter than a person's patience
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Why a command could not be asked or answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The daemon's socket is there, but refuses.
    #[error("cannot reach the daemon on {}; run this as the user it runs as", home.display())]
    Connect {
        /// Whose.
        home: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The daemon went away in the middle.
    #[error(
        "the daemon stopped before it answered; look whether the command was done before you run \
         it again"
    )]
    Gone,
    /// Something on the connection was wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The node in this process failed.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// An earlier call was given up, or failed.
    #[error("an earlier command did not end; open the home again")]
    Lost,
}

/// A way to give commands to one home.
#[derive(Debug)]
pub struct Client {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Daemon(api::Stream),
    Here(Box<Here>),
    Lost,
}

/// A home in this process.
#[derive(Debug)]
struct Here {
    /// Before the lock: the stores close before the home is free.
    node: Offline,
    home: Home,
    /// Who has the reader open.
    worker: Option<String>,
    /// Whether the reader was locked, and is to be locked again at the end.
    relocks: bool,
    _lock: HomeLock,
}

impl Client {
    /// Opens a way to the home at `path`. If another command is using the home, waits for it for
    /// some seconds.
    ///
    /// # Errors
    /// If there is no home, or it stays in use by a process that takes no commands.
    pub async fn open(path: &Path) -> Result<Self, ClientError> {
        let home = Home::open(path)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let connected = api::connect(home.path()).await;
            let connected = connected
                .map_err(|source| ClientError::Connect { home: home.path().to_owned(), source })?;
            if let Some(stream) = connected {
                return Ok(Self { way: Way::Daemon(stream) });
            }
            match home.lock() {
                Ok(lock) => return Self::here(home, lock).await,
                Err(HomeError::InUse { .. }) if Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The reader is open if its vault needs no secret; else it is locked, and [`Self::vault`]
    /// unlocks it for this client.
    async fn here(home: Home, lock: HomeLock) -> Result<Self, ClientError> {
        let open = move || {
            let unlocked = home.unlock_open()?;
            let stores = home.open_stores(unlocked.as_ref())?;
            let node = Offline::start(home.node_config(unlocked.as_ref())?, stores);
            let worker = unlocked.as_ref().map(|unlocked| unlocked.worker().to_owned());
            let relocks = home.has_reader() && unlocked.is_none();
            Ok::<_, HomeError>(Here { node, home, worker, relocks, _lock: lock })
        };
        let opened =
            tokio::task::spawn_blocking(open).await.map_err(|_panic| ClientError::Lost)??;
        Ok(Self { way: Way::Here(Box::new(opened)) })
    }

    /// Whether a daemon answers, or this process by itself.
    #[must_use]
    pub const fn is_daemon(&self) -> bool {
        matches!(self.way, Way::Daemon(_))
    }

    /// Has `command` carried out.
    ///
    /// # Errors
    /// If it could not be asked or answered. A command that the node refuses is no error here:
    /// it answers [`Reply::Error`].
    pub async fn call(&mut self, command: Command) -> Result<Reply, ClientError> {
        // If this future is dropped in the middle, the way is lost: the next reply would be the
        // answer to another question.
        match core::mem::replace(&mut self.way, Way::Lost) {
            Way::Daemon(mut stream) => {
                let reply = ask(&mut stream, command).await?;
                self.way = Way::Daemon(stream);
                Ok(reply)
            }
            Way::Here(mut node) => {
                let run = move || (node.node.call(command), node);
                let ran = tokio::task::spawn_blocking(run).await;
                let (reply, node) = ran.map_err(|_panic| ClientError::Lost)?;
                self.way = Way::Here(node);
                Ok(reply?)
            }
            Way::Lost => Err(ClientError::Lost),
        }
    }

    /// Has the vault do something. Without a daemon, a reader that is unlocked this way is open
    /// for this client alone, and is locked again when it is closed.
    ///
    /// # Errors
    /// If it could not be asked or answered. What the vault refuses is no error here: it answers
    /// [`VaultReply::Error`].
    pub async fn vault(&mut self, command: VaultCommand) -> Result<VaultReply, ClientError> {
        match core::mem::replace(&mut self.way, Way::Lost) {
            Way::Daemon(mut stream) => {
                let bytes = frame::of_vault_command(&command)?;
                frame::write(&mut stream, &bytes).await.map_err(gone)?;
                let reply = frame::read(&mut stream).await.map_err(gone)?;
                let reply = frame::to_vault_reply(&reply.ok_or(ClientError::Gone)?)?;
                self.way = Way::Daemon(stream);
                Ok(reply)
            }
            Way::Here(here) => {
                let (reply, here) = here.vault(command).await?;
                self.way = Way::Here(here);
                Ok(reply)
            }
            Way::Lost => Err(ClientError::Lost),
        }
    }

    /// Has a session go on over a pipe that the caller carries: tells the node that it was opened,
    /// what came over it, or that it is closed. The results are what is to be sent over it, and
    /// whether to close it; when they are there, what was acknowledged is durable.
    ///
    /// # Errors
    /// If a store failed, or a daemon runs on this home, which has pipes of its own.
    pub async fn carry(&mut self, input: Input) -> Result<Vec<Output>, ClientError> {
        match core::mem::replace(&mut self.way, Way::Lost) {
            Way::Here(mut here) => {
                let run = move || (here.node.carry(input), here);
                let ran = tokio::task::spawn_blocking(run).await;
                let (outputs, here) = ran.map_err(|_panic| ClientError::Lost)?;
                self.way = Way::Here(here);
                Ok(outputs?)
            }
            way @ (Way::Daemon(_) | Way::Lost) => {
                self.way = way;
                Err(ClientError::Lost)
            }
        }
    }

    /// Closes the stores, or the connection. A reader that this client unlocked is locked before:
    /// what it recorded is sealed, so that the carrier can take it along.
    pub async fn close(self) {
        // Closing a store writes, so not on a thread that others wait for. A panic there has
        // nobody left to tell.
        let close = move || {
            if let Way::Here(mut here) = self.way
                && here.relocks
                && here.node.is_open()
                && let Err(error) = here.node.call(Command::Lock)
            {
                tracing::warn!(%error, "what is pending was not sealed; it is at the next unlock");
            }
        };
        let _closed = tokio::task::spawn_blocking(close).await;
    }
}

impl Here {
    async fn vault(
        mut self: Box<Self>,
        command: VaultCommand,
    ) -> Result<(VaultReply, Box<Self>), ClientError> {
        if !self.home.has_reader() {
            return Ok((locking::no_reader(), self));
        }
        let outcome = match service::perform(keeper::place(&self.home), command).await {
            Ok(outcome) => outcome,
            Err(error) => return Ok((VaultReply::failed(&error), self)),
        };
        let run = move || {
            let reply = self.carry_out(outcome);
            (reply, self)
        };
        let ran = tokio::task::spawn_blocking(run).await;
        let (reply, here) = ran.map_err(|_panic| ClientError::Lost)?;
        Ok((reply?, here))
    }

    fn carry_out(&mut self, outcome: Outcome) -> Result<VaultReply, ClientError> {
        let asked = match outcome {
            Outcome::Unlocked(unlocked) => {
                let worker = unlocked.worker().to_owned();
                if self.node.is_open() {
                    self.node.become_worker(worker.clone())?;
                } else {
                    let store = self.home.open_reader(&unlocked)?;
                    self.node.open_reader(store, worker.clone())?;
                }
                self.worker = Some(worker.clone());
                return Ok(VaultReply::Unlocked { worker });
            }
            Outcome::Status(status) => {
                let open = self.worker.clone();
                return Ok(VaultReply::Vault { status, open });
            }
            Outcome::Lock => self.node.call(Command::Lock)?,
            Outcome::Ask(reply_to, slots) => {
                self.node.call(Command::SignRecovery { reply_to, slots })?
            }
        };
        if !self.node.is_open() {
            self.worker = None;
        }
        Ok(locking::spelled(asked))
    }
}

async fn ask(stream: &mut api::Stream, command: Command) -> Result<Reply, ClientError> {
    let spelled = tokio::task::spawn_blocking(move || frame::of_command(command));
    let bytes = spelled.await.map_err(|_panic| ClientError::Lost)??;
    frame::write(stream, &bytes).await.map_err(gone)?;
    let reply = frame::read(stream).await.map_err(gone)?.ok_or(ClientError::Gone)?;
    let read = tokio::task::spawn_blocking(move || frame::to_reply(&reply));
    Ok(read.await.map_err(|_panic| ClientError::Lost)??)
}

fn gone(error: FrameError) -> ClientError {
    match error {
        FrameError::Io(_) => ClientError::Gone,
        error => ClientError::Frame(error),
    }
}
