//! The daemon's loop: the only `select!`, which feeds a [`Node`] and carries out what it wants.
//!
//! ```text
//!            answers             events, bytes (with credits)
//!   stores ----------+    +------------- network
//!                    v    v
//!   crew ---------> Driver <------------ local door (commands)
//!   (jobs, files)    |  ^                                      clocks, entropy: from here only
//!                    v  |
//!                    Node      one input, then every output, then the next input
//! ```
//!
//! Invariants:
//! - After each input the node's outputs are drained and carried out before the next.
//! - The driver never waits for anything but its next wake-up: whatever may take time is queued
//!   for a thread or a task, and every such queue is bounded, or bounded by what the node has under
//!   way. When the stores or the crew have too much to do, nothing more is taken from the network
//!   and from users until they have caught up.
//! - Wake-ups are served in a fixed order of urgency. Those that others wait for (what is durable,
//!   what is computed, what is due) come before those that bring new work, so that a flooding peer
//!   delays others and nothing else.
//!
//! It deliberately knows nothing of records, envelopes or sessions.

mod act;
mod clock;
mod crew;
mod facility;
mod guests;
pub(crate) mod keeper;
pub(crate) mod locking;
mod names;
pub(crate) mod offline;
mod options;
mod pipes;
mod stop;
mod stores;
mod teller;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, future::Future, io, path::PathBuf, pin::pin};

use huza_crdt::{
    node::{CommandId, Node, Token},
    store::StoreKind,
    time::Millis,
};
use tokio::{
    sync::mpsc,
    task::JoinError,
    time::{Duration, Instant, sleep_until},
};

pub use options::RunOptions;
pub use teller::ShellEvent;

use crate::{
    api::{ApiError, CONNECTIONS_MAX, Request, Server},
    home::{Home, HomeError, HomeLock, Remembered, store_name},
    http::HttpServer,
    net::{Net, NetError, NetEvent, NewsToken},
    store::StoreError,
    vault::{Unlock, Unlocked, VaultError, service},
};
use clock::Clock;
use crew::{Crew, Done};
use facility::Counter;
use guests::Guests;
use keeper::{Keeper, Kept};
use locking::Waiting;
use pipes::Pipes;
use stores::{Answer, Stores};
use teller::Teller;

/// Milliseconds in which a stop has to be done: sessions closed, writes durable. // guess: less
/// than what service managers grant
const STOP_MS_MAX: u64 = 8_000;

/// Milliseconds between two ticks at least, so that a deadline in the past cannot spin.
const TICK_MS_MIN: u64 = 2;

/// Why a daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The reader cannot be unlocked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The network cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The local door cannot be opened.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The door for other programs cannot be opened.
    #[error(
        "cannot listen for apps on {address}; choose another address for `http`, or stop what is there"
    )]
    Http {
        /// Where.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A store failed while running.
    #[error("the {} failed, and the daemon stopped; nothing confirmed is lost", store_name(*store))]
    Store {
        /// Which.
        store: StoreKind,
        /// Why, and what to do.
        #[source]
        source: StoreError,
    },
    /// No threads for the stores.
    #[error("the system starts no more threads; close other programs and run again")]
    Threads(#[source] io::Error),
    /// The network task ended: a bug.
    #[error("the network stopped by itself ({0}); run again, and please report it")]
    NetStopped(String),
    /// A job panicked: a bug.
    #[error("a part of huza failed; run again, and please report it")]
    Crashed(#[source] JoinError),
    /// The task that serves the local door ended: a bug.
    #[error("the local door closed by itself; run again, and please report it")]
    DoorStopped,
    /// The node wants a store that the home does not have: a bug.
    #[error("the {} is not in this home; please report it", store_name(*.0))]
    NoStore(StoreKind),
}

/// Runs a daemon on `home` until `shutdown` completes, then ends its sessions, makes everything
/// durable and closes the stores. What happens is told through `events`; a slow listener misses
/// some and delays nobody. Needs a multi-threaded Tokio runtime around it.
///
/// # Errors
/// If it cannot start, or a store or the network fails. Whatever was confirmed is durable.
pub async fn run(
    home: Home,
    options: RunOptions,
    events: mpsc::Sender<ShellEvent>,
    shutdown: impl Future,
) -> Result<(), RunError> {
    let driver = Driver::start(home, options, events).await?;
    driver.run(shutdown).await
}

/// Opens the vault of a home that is about to run: with a secret, or without if it needs none.
async fn unlock(home: &Home, with: Option<Unlock>) -> Result<Option<Unlocked>, RunError> {
    let Some(unlock) = with.filter(|_| home.has_reader()) else {
        return Ok(home.unlock_open()?);
    };
    let (_, unlocked) = service::attempt(keeper::place(home), unlock).await?;
    Ok(Some(unlocked))
}

/// Why the loop goes on.
#[derive(Debug)]
enum Wake {
    Shutdown,
    Store(Option<Answer>),
    Done(Result<Done, JoinError>),
    Kept(Result<Kept, JoinError>),
    Due,
    Told,
    Command(Option<Request>),
    Net(Option<NetEvent>),
}

struct Driver {
    node: Node,
    clock: Clock,
    home: PathBuf,
    stores: Stores,
    answers: mpsc::Receiver<Answer>,
    crew: Crew,
    facility: Counter,
    net: Net,
    net_events: mpsc::Receiver<NetEvent>,
    /// Whether the network has taken the order to stop.
    net_ordered: bool,
    net_ended: bool,
    pipes: Pipes,
    guests: Guests,
    news: BTreeMap<Token, NewsToken>,
    server: Server,
    /// The door for other programs, if there is one.
    http: Option<HttpServer>,
    requests: mpsc::Receiver<Request>,
    replies: BTreeMap<CommandId, Waiting>,
    /// Whether there is a reader, locked or not.
    reads: bool,
    /// Whether the reader needs a secret, and is locked at the end.
    relocks: bool,
    /// Who has the reader open.
    worker: Option<String>,
    keeper: Keeper,
    /// The thread of a reader's store that is being closed.
    closing: Option<std::thread::JoinHandle<()>>,
    /// The next number for a command or for news.
    next: u64,
    teller: Teller,
    /// Addresses at which peers were met, if they are to be remembered.
    peers: Option<Remembered>,
    ready: bool,
    ticked: Millis,
    /// Since when it is stopping.
    stopping: Option<Millis>,
    failure: Option<RunError>,
    lock: HomeLock,
}

impl Driver {
    async fn start(
        home: Home,
        options: RunOptions,
        events: mpsc::Sender<ShellEvent>,
    ) -> Result<Self, RunError> {
        let lock = home.lock()?;
        let peers = Remembered::load(home.path());
        let with_secret = options.unlock.is_some();
        let unlocked = unlock(&home, options.unlock.clone()).await?;
        let relocks = with_secret || unlocked.is_none();
        let settings = options.over(&home, &peers)?;
        // The stores last: what fails before leaves nothing to be closed in order.
        let (net, net_events) = Net::start(settings.net)?;
        let (commands, requests) = mpsc::channel(CONNECTIONS_MAX);
        let server = Server::start(home.path(), commands.clone())?;
        let mut teller = Teller::new(events);
        let http = match settings.http {
            Some(setting) => {
                let address = setting.listen.clone();
                let started = HttpServer::start(home.path(), setting, commands).await;
                let started = started.map_err(|source| RunError::Http { address, source })?;
                let address = started.address.to_string();
                teller.tell(ShellEvent::HttpListening { address });
                Some(started)
            }
            None => None,
        };
        let path = home.path().to_owned();
        let (reads, worker) = (home.has_reader(), unlocked.as_ref().map(|u| u.worker().to_owned()));
        let keeper = Keeper::new(home.clone());
        let open = move || {
            let unlocked = unlocked.as_ref();
            Ok::<_, HomeError>((home.node_config(unlocked)?, home.open_stores(unlocked)?))
        };
        let opened = tokio::task::spawn_blocking(open).await.map_err(RunError::Crashed)?;
        let (config, stores) = opened?;
        let (stores, answers) = Stores::start(stores).map_err(RunError::Threads)?;
        let clock = Clock::start();
        Ok(Self {
            node: Node::new(config, clock.now()),
            clock,
            home: path,
            stores,
            answers,
            crew: Crew::default(),
            facility: Counter::new(settings.facility),
            net,
            net_events,
            net_ordered: false,
            net_ended: false,
            pipes: Pipes::default(),
            guests: Guests::default(),
            news: BTreeMap::new(),
            server,
            http,
            requests,
            replies: BTreeMap::new(),
            reads,
            relocks,
            worker,
            keeper,
            closing: None,
            next: 0,
            teller,
            peers: settings.remember.then_some(peers),
            ready: false,
            ticked: Millis(0),
            stopping: None,
            failure: None,
            lock,
        })
    }

    async fn run(mut self, shutdown: impl Future) -> Result<(), RunError> {
        let mut shutdown = pin!(async {
            shutdown.await;
        });
        self.drain();
        while self.failure.is_none() && !self.is_finished() {
            let wake = self.wait(shutdown.as_mut()).await;
            self.act(wake);
            self.order_net_to_stop();
        }
        self.finish().await
    }

    /// Waits for the next wake-up.
    async fn wait(&mut self, shutdown: core::pin::Pin<&mut impl Future<Output = ()>>) -> Wake {
        let idle_enough = !self.stores.are_busy() && !self.crew.is_busy();
        let stopping = self.stopping.is_some();
        let open = self.ready && idle_enough;
        let due = self.due();
        tokio::select! {
            biased;
            () = shutdown, if !stopping => Wake::Shutdown,
            answer = self.answers.recv() => Wake::Store(answer),
            done = self.crew.next() => Wake::Done(done),
            kept = self.keeper.next(), if !stopping => Wake::Kept(kept),
            () = sleep_until(due) => Wake::Due,
            () = self.teller.make_room() => Wake::Told,
            request = self.requests.recv(), if open && !stopping => Wake::Command(request),
            event = self.net_events.recv(), if (open || stopping) && !self.net_ended => {
                Wake::Net(event)
            }
        }
    }

    /// The next moment at which the node or the facility wants to be called, or the stop is over.
    fn due(&self) -> Instant {
        let earliest = self.ticked.plus(TICK_MS_MIN);
        let node = self.node.deadline().map(|due| due.max(earliest));
        let facility = self.facility.deadline().filter(|_| self.stopping.is_none());
        let stop = self.stopping.map(|since| since.plus(STOP_MS_MAX));
        let due = node.into_iter().chain(facility).chain(stop).min();
        let due = due.and_then(|due| self.clock.instant(due));
        due.map_or_else(|| Instant::now() + Duration::from_secs(3_600), Instant::from_std)
    }
}
