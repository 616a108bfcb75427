//! The connections there are, and which of two with one peer stays.
//!
//! Only the peer with the lower id decides; the other one does as it sees. So there is never a
//! disagreement in which each side closes what the other keeps:
//!
//! - Both dialled at about the same time: the one dialled by the decider stays.
//! - Otherwise the newer one stays, because the dialler of a second connection has lost the first
//!   without our noticing. That waits a moment: a dialler that connected by two transports closes
//!   the second one itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::{sync::watch, time::Instant};

use super::{PipeEnd, PipeId, handler::OPEN_WAIT};

/// Two connections this close together were dialled at once. // guess: a handshake on a bad link
const SIMULTANEOUS: Duration = Duration::from_secs(10);

/// How old a newer connection must be to replace an older one. // guess
const SETTLED: Duration = Duration::from_secs(2);

/// News that one peer may bring in [`NEWS_WINDOW`]. // guess: what a hub passes on at the beginning of
/// a meeting, and some
const NEWS_MAX: u32 = 128;

/// See [`NEWS_MAX`].
const NEWS_WINDOW: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: PeerId,
    pub(super) dialer: bool,
    pub(super) address: String,
    since: Instant,
    /// Tells the pipe of its end; dropped with the connection.
    pipe: Option<(PipeId, watch::Sender<Option<PipeEnd>>)>,
    /// Its peer is a member: when we began to count its news, and how many there were since.
    news: Option<(Instant, u32)>,
    closing: bool,
    /// The network has changed since, so it may be dead without knowing it.
    doubtful: bool,
}

#[derive(Debug)]
pub(super) struct Links {
    local: PeerId,
    links: BTreeMap<ConnectionId, Link>,
}

impl Links {
    pub(super) const fn new(local: PeerId) -> Self {
        Self { local, links: BTreeMap::new() }
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.links.values().any(|link| link.peer == *peer && !link.closing && !link.doubtful)
    }

    /// The network has changed: whoever is connected may be so no longer.
    pub(super) fn doubt(&mut self) {
        for link in self.links.values_mut() {
            link.doubtful = true;
        }
    }

    /// A connection that may still get its pipe.
    pub(super) fn without_pipe(&self, connection: ConnectionId) -> Option<&Link> {
        self.links.get(&connection).filter(|link| link.pipe.is_none() && !link.closing)
    }

    pub(super) fn established(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        dialer: bool,
        address: String,
        now: Instant,
    ) {
        let (closing, doubtful) = (false, false);
        let link =
            Link { peer, dialer, address, since: now, pipe: None, news: None, closing, doubtful };
        self.links.insert(connection, link);
    }

    pub(super) fn opened(
        &mut self,
        connection: ConnectionId,
        pipe: PipeId,
        verdict: watch::Sender<Option<PipeEnd>>,
    ) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.pipe = Some((pipe, verdict));
        }
    }

    /// The peer of this pipe is a member.
    pub(super) fn admit(&mut self, pipe: PipeId, now: Instant) {
        let is_it = |link: &&mut Link| link.pipe.as_ref().is_some_and(|(id, _)| *id == pipe);
        if let Some(link) = self.links.values_mut().find(is_it) {
            link.news = Some((now, 0));
        }
    }

    /// Whether news of this peer are heard: it is a member, and has not brought too many.
    pub(super) fn hears(&mut self, peer: &PeerId, now: Instant) -> bool {
        let of_peer = self.links.values_mut().filter(|link| link.peer == *peer);
        let Some((since, count)) = of_peer.filter_map(|link| link.news.as_mut()).next() else {
            return false;
        };
        if now >= *since + NEWS_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= NEWS_MAX
    }

    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.links.remove(&connection);
    }

    /// It is being closed; it counts no longer.
    pub(super) fn closing(&mut self, connection: ConnectionId) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.closing = true;
        }
    }

    /// The connections to close now: those that lost against another one, and those that never
    /// got a pipe.
    pub(super) fn take_closable(&mut self, now: Instant) -> Vec<ConnectionId> {
        let losers = self.losers(now);
        let mut close = Vec::new();
        for (connection, link) in &mut self.links {
            let barren = link.pipe.is_none() && now >= link.since + OPEN_WAIT;
            let lost = losers.contains(connection);
            if !link.closing && (barren || lost) {
                link.closing = true;
                if let Some((_, verdict)) = link.pipe.as_ref().filter(|_| lost) {
                    verdict.send_replace(Some(PipeEnd::Replaced));
                }
                close.push(*connection);
            }
        }
        close
    }

    /// When to ask again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let open = self.links.values().filter(|link| !link.closing);
        let barren = open.filter(|link| link.pipe.is_none()).map(|link| link.since + OPEN_WAIT);
        let settled = self.rivals().map(|(_, newer)| newer.1.since + SETTLED);
        barren.chain(settled).min()
    }

    fn losers(&self, now: Instant) -> BTreeSet<ConnectionId> {
        let mut losers = BTreeSet::new();
        for (older, newer) in self.rivals() {
            let crossed = older.1.dialer != newer.1.dialer;
            if crossed && !older.1.doubtful && newer.1.since - older.1.since <= SIMULTANEOUS {
                losers.insert(if older.1.dialer { newer.0 } else { older.0 });
            } else if now >= newer.1.since + SETTLED {
                losers.insert(older.0);
            }
        }
        losers
    }

    /// Pairs of connections with one peer about which we decide, each older one first.
    fn rivals(&self) -> impl Iterator<Item = ((ConnectionId, &Link), (ConnectionId, &Link))> {
        let ours = |link: &Link| !link.closing && self.local < link.peer;
        self.links.iter().filter(move |(_, link)| ours(link)).flat_map(move |(id, link)| {
            self.links
                .iter()
                .filter(move |(_, other)| ours(other) && other.peer == link.peer)
                .filter(move |(other_id, other)| (link.since, id) < (other.since, *other_id))
                .map(move |(other_id, other)| ((*id, link), (*other_id, other)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stage {
        links: Links,
        other: PeerId,
        start: Instant,
    }

    impl Stage {
        /// With us as the decider, or the other one.
        fn new(deciding: bool) -> Self {
            let (low, high) = {
                let (a, b) = (PeerId::random(), PeerId::random());
                (a.min(b), a.max(b))
            };
            let (local, other) = if deciding { (low, high) } else { (high, low) };
            Self { links: Links::new(local), other, start: Instant::now() }
        }

        fn connect(&mut self, id: usize, dialer: bool, at_ms: u64) {
            let at = self.at(at_ms);
            let id = ConnectionId::new_unchecked(id);
            self.links.established(id, self.other, dialer, String::new(), at);
            self.links.opened(id, PipeId(0), watch::Sender::default());
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn closes(&mut self, at_ms: u64) -> Vec<ConnectionId> {
            self.links.take_closable(self.at(at_ms))
        }
    }

    fn ids(ids: &[usize]) -> Vec<ConnectionId> {
        ids.iter().copied().map(ConnectionId::new_unchecked).collect()
    }

    #[tokio::test]
    async fn of_two_dialled_at_once_the_deciders_own_stays_whichever_came_first() {
        for own_first in [true, false] {
            let mut stage = Stage::new(true);
            stage.connect(1, own_first, 0);
            stage.connect(2, !own_first, 100);
            assert_eq!(stage.closes(100), ids(&[if own_first { 2 } else { 1 }]));
            assert_eq!(stage.closes(60_000), ids(&[]));
            assert!(stage.links.is_connected(&stage.other));
        }
    }

    #[tokio::test]
    async fn who_does_not_decide_closes_neither() {
        let mut stage = Stage::new(false);
        stage.connect(1, true, 0);
        stage.connect(2, false, 100);
        stage.connect(3, false, 30_000);
        assert_eq!(stage.closes(90_000), ids(&[]));
        assert_eq!(stage.links.deadline(), None);
    }

    #[tokio::test]
    async fn a_later_connection_replaces_the_older_once_it_has_settled() {
        for dialer in [true, false] {
            let mut stage = Stage::new(true);
            stage.connect(1, false, 0);
            stage.connect(2, dialer, 20_000);
            assert_eq!(stage.closes(20_000), ids(&[]));
            assert_eq!(stage.links.deadline(), Some(stage.at(22_000)));
            assert_eq!(stage.closes(22_000), ids(&[1]));
            assert_eq!(stage.closes(90_000), ids(&[]));
        }
    }

    #[tokio::test]
    async fn a_connection_in_doubt_counts_no_longer_and_gives_way_to_a_newer_one() {
        let mut stage = Stage::new(true);
        stage.connect(1, true, 0);
        stage.links.doubt();
        assert!(!stage.links.is_connected(&stage.other));
        assert_eq!(stage.closes(1_000), ids(&[]), "it may live, as long as there is no other");
        stage.connect(2, false, 1_000);
        assert!(stage.links.is_connected(&stage.other));
        assert_eq!(stage.closes(3_000), ids(&[1]));
    }

    #[tokio::test]
    async fn news_are_heard_of_members_and_not_too_many() {
        let mut stage = Stage::new(true);
        stage.connect(1, true, 0);
        let other = stage.other;
        let now = stage.at(0);
        assert!(!stage.links.hears(&other, now), "a stranger's");
        stage.links.admit(PipeId(7), now);
        assert!(!stage.links.hears(&other, now), "another one was admitted");
        stage.links.admit(PipeId(0), now);
        for _ in 0..NEWS_MAX {
            assert!(stage.links.hears(&other, now));
        }
        assert!(!stage.links.hears(&other, stage.at(4_999)));
        assert!(stage.links.hears(&other, stage.at(5_000)), "it may speak again");
        stage.links.closed(ConnectionId::new_unchecked(1));
        assert!(!stage.links.hears(&other, stage.at(5_001)), "it is gone");
    }

    #[tokio::test]
    async fn a_connection_that_gets_no_pipe_is_closed() {
        let mut stage = Stage::new(false);
        let id = ConnectionId::new_unchecked(1);
        let now = stage.at(0);
        stage.links.established(id, stage.other, true, String::new(), now);
        assert_eq!(stage.links.deadline(), Some(now + OPEN_WAIT));
        assert_eq!(stage.links.take_closable(now + OPEN_WAIT), ids(&[1]));
        assert!(!stage.links.is_connected(&stage.other));
    }
}
