//! The task that drives the swarm: it alone touches libp2p, and never waits for the consumer.
//!
//! If the consumer is slow, events wait in a short line, and when that is full the swarm is no
//! longer polled; commands are still taken, so a consumer that gives one while we wait for it to
//! read cannot block both.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub::{self, MessageAcceptance, MessageId},
    mdns,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Command, NetConfig, NetError, NetEvent, NewsToken, PipeEnd, PipeId, address,
    dialer::{Backoff, Dialer, Failure, Origin, TARGETS_MAX},
    gateway::Gateways,
    guest::{self, Guest},
    handler::Opening,
    links::Links,
    news,
    pipe::{self, CLOSE_WAIT, Pipe},
    registry::Registry,
    session::{self, AlreadyConnected},
    swarm::{self, Behaviour, Event},
};
use crate::error_chain;

/// Events that may wait in line before the swarm is left alone. // guess
const WAITING_MAX: usize = 64;

/// Head start that the peer with the lower id has when two find each other, so that mostly only
/// one dials. // guess
const YIELD: Duration = Duration::from_secs(2);

/// How long to wait, after an address of ours ended, for another to dial from. // guess: DHCP
const UPROOTED: Duration = Duration::from_secs(1);

pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NetEvent>,
    registry: Arc<Registry>,
    /// Each with its connection, if it has one of ours.
    pipes: JoinSet<Option<ConnectionId>>,
    dialer: Dialer,
    gateways: Gateways,
    /// The port at which a gateway is dialled: our own.
    port: Option<u16>,
    links: Links,
    waiting: VecDeque<NetEvent>,
    stall: Duration,
    stopping: Option<Instant>,
}

/// Runs `task`; if it ends by a bug, says so.
pub(super) async fn supervise(task: Task, events: mpsc::Sender<NetEvent>) {
    if let Err(error) = tokio::spawn(task.run()).await {
        tracing::error!(%error, "the network task has ended");
        // Nobody to tell if the consumer is gone.
        drop(events.send(NetEvent::Stopped { why: error.to_string() }).await);
    }
}

impl Task {
    pub(super) fn new(
        config: NetConfig,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<NetEvent>,
        registry: Arc<Registry>,
    ) -> Result<Self, NetError> {
        let (mut swarm, mdns_failed) = swarm::build(&config)?;
        for text in &config.listen {
            let listen = swarm.listen_on(address::parse_local(text)?);
            listen.map_err(|source| NetError::Listen {
                address: text.clone(),
                source: std::io::Error::other(source),
            })?;
        }
        let failed = mdns_failed.map(|error| NetEvent::DiscoveryFailed { why: error.to_string() });
        Ok(Self {
            links: Links::new(*swarm.local_peer_id()),
            swarm,
            commands,
            events,
            registry,
            pipes: JoinSet::new(),
            dialer: dialer(&config)?,
            port: listening_port(&config),
            gateways: Gateways::new(config.routes),
            waiting: failed.into_iter().collect(),
            stall: Duration::from_millis(config.stall_ms_max),
            stopping: None,
        })
    }

    async fn run(mut self) {
        let events = self.events.clone();
        loop {
            self.advance();
            if self.stopping.is_some_and(|end| self.pipes.is_empty() || Instant::now() >= end) {
                return;
            }
            let deadline = self.deadline();
            tokio::select! {
                permit = events.reserve(), if !self.waiting.is_empty() => {
                    let (Ok(permit), Some(event)) = (permit, self.waiting.pop_front()) else {
                        return;
                    };
                    permit.send(event);
                }
                () = events.closed() => return,
                command = self.commands.recv(), if self.stopping.is_none() => {
                    self.obey(command.unwrap_or(Command::Stop));
                }
                event = self.swarm.select_next_some(), if self.waiting.len() < WAITING_MAX => {
                    self.notice(event);
                }
                Some(ended) = self.pipes.join_next(), if !self.pipes.is_empty() => {
                    self.pipe_ended(ended);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let parts =
            [self.dialer.deadline(Instant::now()), self.gateways.deadline(), self.links.deadline()];
        parts.into_iter().chain([self.stopping]).flatten().min()
    }

    /// Does what is due: dials, and closes connections that lost or never got their pipe.
    fn advance(&mut self) {
        let now = Instant::now();
        for connection in self.links.take_closable(now) {
            self.swarm.close_connection(connection);
        }
        if self.stopping.is_some() {
            return;
        }
        for gateway in self.gateways.poll(now) {
            if let Some(port) = self.port {
                self.dialer.add(Origin::Gateway, address::places(gateway, port), None, now);
            }
        }
        for (target, address) in self.dialer.poll(now, |peer| self.links.is_connected(peer)) {
            tracing::debug!(%address, "dialling");
            // From a port of its own. Two peers that dial each other by TCP from the ports they
            // listen on would open one connection on which both are the dialler; and libp2p would
            // send by any QUIC socket that listens, even one that is bound to another interface.
            let options = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
            let connection = options.connection_id();
            self.dialer.dialing(target, connection);
            if let Err(error) = self.swarm.dial(options) {
                self.dial_failed(connection, error);
            }
        }
    }

    /// Puts an event in line. Only a consumer that commands without ever reading can fill it.
    fn report(&mut self, event: NetEvent) {
        if self.waiting.len() < WAITING_MAX * 2 {
            self.waiting.push_back(event);
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Admit(pipe) => self.links.admit(pipe, now),
            Command::Attach(id, guest) => self.attach(id, guest),
            Command::Dial(address) => {
                let addresses = address::candidates(&address);
                if !self.dialer.add(Origin::Once, addresses, None, now) {
                    let (address, why) = (address.to_string(), "too many at once".to_owned());
                    self.report(NetEvent::DialFailed { address, why, retry: None });
                }
            }
            Command::Links(wanted) => self.dialer.want(wanted),
            Command::Publish(bytes) => {
                if let Some(news) = self.swarm.behaviour_mut().news.as_mut() {
                    news::publish(news, bytes);
                }
            }
            Command::Validate(NewsToken { message, source }, true) => {
                if let Some(news) = self.swarm.behaviour_mut().news.as_mut() {
                    let accept = MessageAcceptance::Accept;
                    news.report_message_validation_result(&message, &source, accept);
                }
            }
            Command::Validate(NewsToken { message, source }, false) => {
                self.ignore(&message, &source);
            }
            Command::NetworkChanged => self.doubt(now),
            Command::Stop => {
                self.registry.close_all();
                self.stopping = Some(now + CLOSE_WAIT + CLOSE_WAIT);
            }
        }
    }

    fn notice(&mut self, event: SwarmEvent<Event>) {
        let now = Instant::now();
        match event {
            SwarmEvent::Behaviour(Event::Session(event)) => self.stream_ready(event),
            SwarmEvent::Behaviour(Event::Mdns(event)) => self.discovered(event, now),
            SwarmEvent::Behaviour(Event::News(event)) => self.heard(*event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let (dialer, address) = far_end(&endpoint);
                self.links.established(connection_id, peer_id, dialer, address, now);
                self.dialer.connected(connection_id, peer_id, now);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.links.closed(connection_id);
                if num_established == 0 {
                    self.dialer.lost(peer_id, now);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.dial_failed(connection_id, error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.dialer.restart(now);
                if let Some((own, _)) = address::ipv4(&address) {
                    self.gateways.joined(own, now);
                }
                self.report(NetEvent::Listening { address: address.to_string() });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.doubt(now + UPROOTED);
                let own = address::ipv4(&address).map(|(own, _)| own);
                let gateway = own.and_then(|own| self.gateways.left(own));
                if let Some((gateway, port)) = gateway.zip(self.port) {
                    let places = address::places(gateway, port);
                    places.iter().for_each(|place| self.dialer.forget_gateway(place));
                }
                self.report(NetEvent::ListeningEnded { address: address.to_string() });
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener has closed");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::debug!(%error, "listener"),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "a connection from outside failed");
            }
            _ => {}
        }
    }

    /// Dials everybody again at `due`: connections may be dead without knowing it.
    fn doubt(&mut self, due: Instant) {
        self.links.doubt();
        self.swarm.behaviour_mut().session.doubt();
        self.dialer.doubt(due);
    }

    fn stream_ready(&mut self, event: session::Event) {
        let session::Event { connection, opening } = event;
        let Some(link) = self.links.without_pipe(connection).filter(|_| self.stopping.is_none())
        else {
            return;
        };
        let stream = match opening {
            Opening::Opened(stream) => stream,
            Opening::Refused => {
                tracing::debug!("a peer does not speak our protocol");
                self.links.closing(connection);
                self.swarm.close_connection(connection);
                return;
            }
        };
        let id = self.registry.next_pipe();
        let local = *self.swarm.local_peer_id();
        let (from, to) = if link.dialer { (local, link.peer) } else { (link.peer, local) };
        let opened = NetEvent::PipeOpened {
            pipe: id,
            dialer: link.dialer,
            binding: pipe::binding(from, to),
            remote_address: link.address.clone(),
        };
        let (verdict, told) = watch::channel(None);
        self.links.opened(connection, id, verdict);
        let pipe = self.pipe(id, stream, opened, told);
        self.pipes.spawn(async move {
            pipe.run().await;
            Some(connection)
        });
    }

    /// Runs a pipe over a stream that somebody else brought.
    fn attach(&mut self, id: PipeId, guest: Guest) {
        let (dialer, binding) = (guest.dialer, guest.binding);
        let remote_address = guest::ADDRESS.to_owned();
        let opened = NetEvent::PipeOpened { pipe: id, dialer, binding, remote_address };
        let (verdict, told) = watch::channel(None);
        let pipe = self.pipe(id, guest.stream, opened, told);
        self.pipes.spawn(async move {
            pipe.run().await;
            // Until here nothing but its own stream ends it.
            drop(verdict);
            None
        });
    }

    fn pipe<S>(
        &self,
        id: PipeId,
        stream: S,
        opened: NetEvent,
        verdict: watch::Receiver<Option<PipeEnd>>,
    ) -> Pipe<S> {
        Pipe {
            id,
            stream,
            opened,
            queue: self.registry.open(id),
            events: self.events.clone(),
            registry: Arc::clone(&self.registry),
            verdict,
            stall: self.stall,
        }
    }

    fn pipe_ended(&mut self, ended: Result<Option<ConnectionId>, tokio::task::JoinError>) {
        match ended {
            Ok(Some(connection)) => {
                self.links.closing(connection);
                self.swarm.close_connection(connection);
            }
            Ok(None) => {}
            // The pipe's connection ends by itself, as its stream is gone.
            Err(error) => tracing::error!(%error, "the task of a pipe has failed"),
        }
    }

    fn discovered(&mut self, event: mdns::Event, now: Instant) {
        match event {
            mdns::Event::Discovered(mut found) => {
                found.retain(|(_, address)| address::is_spoken(address));
                found.sort_by_key(|(_, address)| !address::is_quic(address));
                for (peer, address) in found {
                    let first = *self.swarm.local_peer_id() < peer;
                    let due = if first { now } else { now + YIELD };
                    self.dialer.add(Origin::Found, vec![with_peer(address, peer)], Some(peer), due);
                }
            }
            mdns::Event::Expired(gone) => {
                for (peer, _) in gone {
                    let mdns = self.swarm.behaviour().mdns.as_ref();
                    if !mdns.is_some_and(|mdns| mdns.discovered_nodes().any(|known| *known == peer))
                    {
                        self.dialer.forget(&peer);
                    }
                }
            }
        }
    }

    fn heard(&mut self, event: gossipsub::Event) {
        if let gossipsub::Event::Message { propagation_source, message_id, message } = event {
            if !self.links.hears(&propagation_source, Instant::now()) {
                self.ignore(&message_id, &propagation_source);
                return;
            }
            let token = NewsToken { message: message_id, source: propagation_source };
            self.report(NetEvent::News { bytes: message.data, token });
        }
    }

    /// Has news not be forwarded. Rejecting them would lower the score of whoever forwarded them in
    /// good faith.
    fn ignore(&mut self, message: &MessageId, source: &PeerId) {
        if let Some(news) = self.swarm.behaviour_mut().news.as_mut() {
            let ignore = MessageAcceptance::Ignore;
            news.report_message_validation_result(message, source, ignore);
        }
    }

    fn dial_failed(&mut self, connection: ConnectionId, error: DialError) {
        let now = Instant::now();
        let why = match error {
            DialError::LocalPeerId { .. } => {
                self.dialer.is_self(connection);
                return;
            }
            DialError::Denied { cause } => match cause.downcast::<AlreadyConnected>() {
                Ok(AlreadyConnected(peer)) => {
                    self.dialer.connected(connection, peer, now);
                    return;
                }
                Err(cause) => error_chain(&cause),
            },
            DialError::Transport(attempts) => {
                let all: Vec<String> =
                    attempts.iter().map(|(_, error)| error_chain(error)).collect();
                all.join("; ")
            }
            other => other.to_string(),
        };
        if let Some(Failure { address, why, retry }) = self.dialer.failed(connection, why, now) {
            self.report(NetEvent::DialFailed { address, why, retry });
        }
    }
}

fn dialer(config: &NetConfig) -> Result<Dialer, NetError> {
    let backoff = Backoff {
        min: Duration::from_millis(config.redial_ms_min),
        max: Duration::from_millis(config.redial_ms_max),
        unsure_factor: u32::try_from(NetConfig::REDIAL_UNSURE_FACTOR).unwrap_or(u32::MAX),
    };
    // Without randomness everybody waits equally long, which is no reason to stop.
    let mut dialer = Dialer::new(backoff, || getrandom::u32().unwrap_or(u32::MAX));
    let now = Instant::now();
    for text in &config.dial {
        let addresses = address::candidates(&address::parse_remote(text)?);
        if !dialer.add(Origin::Configured, addresses, None, now) {
            return Err(NetError::TooManyAddresses(TARGETS_MAX));
        }
    }
    // Those were written by us, perhaps by an older version: what cannot be used is left out.
    for address in config.remembered.iter().filter_map(|text| address::parse_remote(text).ok()) {
        dialer.add(Origin::Remembered, address::candidates(&address), None, now);
    }
    Ok(dialer)
}

/// The port of our own that others most likely use too.
fn listening_port(config: &NetConfig) -> Option<u16> {
    let listened = config.listen.iter().filter_map(|text| address::parse_local(text).ok());
    listened.filter_map(|address| Some(address::ipv4(&address)?.1)).find(|port| *port > 0)
}

fn far_end(endpoint: &ConnectedPoint) -> (bool, String) {
    match endpoint {
        ConnectedPoint::Dialer { address, .. } => (true, address.to_string()),
        ConnectedPoint::Listener { send_back_addr, .. } => (false, send_back_addr.to_string()),
    }
}

/// mDNS mostly gives it already.
fn with_peer(address: Multiaddr, peer: PeerId) -> Multiaddr {
    let bare = address.clone();
    address.with_p2p(peer).unwrap_or(bare)
}
