//! Whom to dial, when, and by which transport. Pure: time comes in, addresses to dial come out.
//!
//! A *target* is one place, known by one or more addresses that are tried in order, the next one
//! as soon as the one before fails or has had a head start. Connected to whoever answers there, it
//! rests until that peer is lost; failed by all its addresses, it waits, longer each time.
//!
//! Of the peers that are announced near by, only as many as are wanted are *picked*, in an order
//! that is drawn anew for each, and another in the place of one that fails: where a hundred phones
//! meet, each keeps a few of the others, and never the same few as all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use huza_crdt::limits::LINKS_WANTED;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use tokio::time::Instant;

/// Most targets of all origins. // guess
pub(super) const TARGETS_MAX: usize = 256;

/// Most addresses of one target: mDNS lets a stranger claim any number. // guess
const ADDRESSES_MAX: usize = 8;

/// Head start of an address over the next. // guess: longer than a handshake on a good link
const HEAD_START: Duration = Duration::from_millis(500);

/// A connection that held this long forgives earlier failures. // guess
const STABLE: Duration = Duration::from_secs(30);

/// How a target became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Named in the configuration.
    Configured,
    /// A peer was met there before.
    Remembered,
    /// Asked for once.
    Once,
    /// Announced by mDNS.
    Found,
    /// The gateway of a network that we are in.
    Gateway,
}

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) min: Duration,
    pub(super) max: Duration,
    pub(super) unsure_factor: u32,
}

impl Backoff {
    /// The delay after `failures`, between half of it and all of it as `jitter` draws.
    fn delay(&self, origin: Origin, failures: u32, jitter: u32) -> Duration {
        let sure = matches!(origin, Origin::Configured | Origin::Once);
        let max = if sure { self.max } else { self.max.saturating_mul(self.unsure_factor) };
        let whole = self.min.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(max);
        let half = whole / 2;
        half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
    }
}

/// A round of attempts that reached nobody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) address: String,
    pub(super) why: String,
    pub(super) retry: Option<Duration>,
}

#[derive(Debug)]
struct Target {
    origin: Origin,
    addresses: Vec<Multiaddr>,
    /// Who is there, as far as we know: random keys change with every boot.
    peer: Option<PeerId>,
    failures: u32,
    /// Of those that were found, the lowest are picked.
    rank: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting { due: Instant },
    Dialing { next: usize, due: Instant, pending: Vec<ConnectionId>, why: Vec<String> },
    Connected { since: Instant },
}

/// Names a target.
pub(super) type TargetId = u64;

#[derive(Debug)]
pub(super) struct Dialer {
    backoff: Backoff,
    targets: BTreeMap<TargetId, Target>,
    next: TargetId,
    /// How many of those that are found are picked.
    wanted: usize,
    jitter: fn() -> u32,
}

impl Dialer {
    /// `jitter` draws a number of any size.
    pub(super) const fn new(backoff: Backoff, jitter: fn() -> u32) -> Self {
        Self { backoff, targets: BTreeMap::new(), next: 0, wanted: LINKS_WANTED, jitter }
    }

    /// How many of the peers that are found near to be connected with.
    pub(super) const fn want(&mut self, wanted: usize) {
        self.wanted = wanted;
    }

    /// When [`Self::poll`] has something to do next.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let picked = self.picked(now);
        let due = |(id, target): (&TargetId, &Target)| match &target.state {
            // One that failed may be picked again then.
            State::Waiting { due } => Some(*due).filter(|due| picked.contains(id) || *due > now),
            State::Dialing { next, due, .. } if *next < target.addresses.len() => Some(*due),
            State::Dialing { .. } | State::Connected { .. } => None,
        };
        self.targets.iter().filter_map(due).min()
    }

    /// The targets that may be dialled: those that somebody named, those that are being dialled, and
    /// of those that were found so many as are wanted, without those that have just failed.
    fn picked(&self, now: Instant) -> BTreeSet<TargetId> {
        let is_found = |target: &Target| target.origin == Origin::Found;
        let mut found: Vec<_> =
            self.targets.iter().filter(|(_, one)| is_found(one) && !one.failed_at(now)).collect();
        found.sort_by_key(|(id, target)| (target.rank, **id));
        let picked = found.into_iter().take(self.wanted);
        let begun = |target: &Target| matches!(target.state, State::Dialing { .. });
        let named = self.targets.iter().filter(|(_, one)| !is_found(one) || begun(one));
        named.chain(picked).map(|(id, _)| *id).collect()
    }

    /// Adds a target, to be dialled at `due`; one that shares an address with an older one is
    /// merged into it. False if there are too many.
    pub(super) fn add(
        &mut self,
        origin: Origin,
        addresses: Vec<Multiaddr>,
        peer: Option<PeerId>,
        due: Instant,
    ) -> bool {
        let known = self.targets.values_mut().find(|target| {
            let same_peer = origin == Origin::Found && target.peer.is_some() && target.peer == peer;
            same_peer || addresses.iter().any(|address| target.addresses.contains(address))
        });
        if let Some(target) = known {
            target.adopt(addresses, due);
            return true;
        }
        if self.targets.len() >= TARGETS_MAX {
            return false;
        }
        let (rank, state) = ((self.jitter)(), State::Waiting { due });
        let mut target = Target { origin, addresses: vec![], peer, failures: 0, rank, state };
        target.adopt(addresses, due);
        self.targets.insert(self.next, target);
        self.next += 1;
        true
    }

    /// mDNS has not heard of `peer` for long.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.targets.retain(|_, target| {
            target.origin != Origin::Found
                || target.peer.as_ref() != Some(peer)
                || matches!(target.state, State::Connected { .. })
        });
    }

    /// The network whose gateway has this address is left.
    pub(super) fn forget_gateway(&mut self, address: &Multiaddr) {
        self.targets.retain(|_, target| {
            target.origin != Origin::Gateway || !target.addresses.contains(address)
        });
    }

    /// An attempt for `target` is under way as `connection`.
    pub(super) fn dialing(&mut self, target: TargetId, connection: ConnectionId) {
        if let Some(State::Dialing { pending, .. }) =
            self.targets.get_mut(&target).map(|target| &mut target.state)
        {
            pending.push(connection);
        }
    }

    /// `peer` is connected, by `connection`, whoever dialled.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId, now: Instant) {
        for target in self.targets.values_mut() {
            let ours = target.is_pending(connection);
            if ours {
                target.peer = Some(peer);
            }
            let resting = matches!(target.state, State::Connected { .. });
            if ours || target.peer == Some(peer) && !resting {
                target.state = State::Connected { since: now };
            }
        }
    }

    /// The last connection with `peer` is gone.
    pub(super) fn lost(&mut self, peer: PeerId, now: Instant) {
        let (backoff, jitter) = (self.backoff, self.jitter);
        self.targets.retain(|_, target| {
            let State::Connected { since } = target.state else { return true };
            if target.peer != Some(peer) {
                return true;
            }
            if now >= since + STABLE {
                target.failures = 0;
            }
            let delay = backoff.delay(target.origin, target.failures, jitter());
            target.failures = target.failures.saturating_add(1);
            target.state = State::Waiting { due: now + delay };
            target.origin != Origin::Once
        });
    }

    /// The attempt `connection` has failed. If it was the last of its round, that is a failure to
    /// report.
    pub(super) fn failed(
        &mut self,
        connection: ConnectionId,
        what: String,
        now: Instant,
    ) -> Option<Failure> {
        let (id, target) =
            self.targets.iter_mut().find(|(_, target)| target.is_pending(connection))?;
        let (id, tried) = (*id, target.addresses.len());
        let State::Dialing { next, due, pending, why } = &mut target.state else { return None };
        pending.retain(|one| *one != connection);
        why.push(what);
        if *next < tried {
            *due = now;
            return None;
        }
        if !pending.is_empty() {
            return None;
        }
        let why = why.join("; ");
        let delay = self.backoff.delay(target.origin, target.failures, (self.jitter)());
        target.failures = target.failures.saturating_add(1);
        target.state = State::Waiting { due: now + delay };
        let address = target.addresses.first().map(ToString::to_string).unwrap_or_default();
        let retry = (target.origin != Origin::Once).then_some(delay);
        // Most gateways are routers; that nobody answers there is no news.
        let telling = target.origin != Origin::Gateway;
        if retry.is_none() {
            self.targets.remove(&id);
        }
        telling.then_some(Failure { address, why, retry })
    }

    /// The attempt `connection` met ourselves: never again.
    pub(super) fn is_self(&mut self, connection: ConnectionId) {
        self.targets.retain(|_, target| !target.is_pending(connection));
    }

    /// Everything that waits is due now, and earlier failures mean nothing.
    pub(super) fn restart(&mut self, now: Instant) {
        for target in self.targets.values_mut() {
            target.failures = 0;
            if let State::Waiting { due } = &mut target.state {
                *due = now;
            }
        }
    }

    /// Everything is to be dialled at `due` and earlier failures mean nothing: whoever seems to be
    /// connected, and what is being dialled, too.
    pub(super) fn doubt(&mut self, due: Instant) {
        for target in self.targets.values_mut() {
            target.failures = 0;
            target.state = State::Waiting { due };
        }
    }

    /// What to dial now. Tell [`Self::dialing`] of each.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<(TargetId, Multiaddr)> {
        let mut dial = Vec::new();
        let picked = self.picked(now);
        for (id, target) in self.targets.iter_mut().filter(|(id, _)| picked.contains(id)) {
            let there = target.peer.as_ref().is_some_and(&is_connected);
            match &mut target.state {
                State::Waiting { due } if now >= *due => {
                    target.state = if there {
                        State::Connected { since: now }
                    } else {
                        State::Dialing { next: 0, due: now, pending: vec![], why: vec![] }
                    };
                }
                _ => {}
            }
            if let State::Dialing { next, due, .. } = &mut target.state
                && now >= *due
                && let Some(address) = target.addresses.get(*next)
            {
                dial.push((*id, address.clone()));
                *next += 1;
                *due = now + HEAD_START;
            }
        }
        dial
    }
}

impl Target {
    fn is_pending(&self, connection: ConnectionId) -> bool {
        matches!(&self.state, State::Dialing { pending, .. } if pending.contains(&connection))
    }

    /// Whether it was tried in vain, or lost, and waits before it is tried again.
    fn failed_at(&self, now: Instant) -> bool {
        self.failures > 0 && matches!(self.state, State::Waiting { due } if due > now)
    }

    /// Takes addresses it did not know, as many as it may, and is due no later than `sooner`.
    fn adopt(&mut self, addresses: Vec<Multiaddr>, sooner: Instant) {
        for address in addresses {
            if self.addresses.len() < ADDRESSES_MAX && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        if let State::Waiting { due } = &mut self.state {
            *due = (*due).min(sooner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> (Dialer, Instant, Vec<Multiaddr>) {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(10));
        let backoff = Backoff { min, max, unsure_factor: 4 };
        let quic = "/ip4/10.0.0.1/udp/7/quic-v1".parse().unwrap();
        let tcp = "/ip4/10.0.0.1/tcp/7".parse().unwrap();
        (Dialer::new(backoff, || u32::MAX), Instant::now(), vec![quic, tcp])
    }

    fn id(id: usize) -> ConnectionId {
        ConnectionId::new_unchecked(id)
    }

    /// Polls and starts what comes out, with ids from `first` on.
    fn dial(dialer: &mut Dialer, now: Instant, first: usize) -> Vec<Multiaddr> {
        let due = dialer.poll(now, |_| false);
        for (index, (target, _)) in due.iter().enumerate() {
            dialer.dialing(*target, id(first + index));
        }
        due.into_iter().map(|(_, address)| address).collect()
    }

    #[tokio::test]
    async fn the_second_transport_follows_after_a_head_start_or_at_once_on_failure() {
        let (mut dialer, now, addresses) = stage();
        assert!(dialer.add(Origin::Configured, addresses.clone(), None, now));
        assert_eq!(dial(&mut dialer, now, 1), addresses[..1]);
        assert_eq!(dial(&mut dialer, now, 2), []);
        assert_eq!(dialer.deadline(now), Some(now + HEAD_START));
        assert_eq!(dial(&mut dialer, now + HEAD_START, 2), addresses[1..]);
        assert_eq!(dialer.failed(id(1), "no answer".into(), now), None);
        let failure = dialer.failed(id(2), "refused".into(), now).unwrap();
        assert_eq!(failure.why, "no answer; refused");
        assert_eq!(failure.retry, Some(Duration::from_secs(1)));

        let later = now + Duration::from_secs(1);
        assert_eq!(dialer.deadline(now), Some(later));
        assert_eq!(dial(&mut dialer, later, 3), addresses[..1]);
        assert_eq!(dialer.failed(id(3), "unreachable".into(), later), None);
        assert_eq!(dial(&mut dialer, later, 4), addresses[1..]);
    }

    #[tokio::test]
    async fn delays_double_up_to_a_cap_and_start_over_after_a_lasting_connection() {
        let (mut dialer, mut now, mut addresses) = stage();
        addresses.truncate(1);
        dialer.add(Origin::Configured, addresses, None, now);
        let mut delays = Vec::new();
        for attempt in 0..6 {
            assert_eq!(dial(&mut dialer, now, attempt).len(), 1);
            let retry = dialer.failed(id(attempt), String::new(), now).unwrap().retry.unwrap();
            delays.push(retry.as_secs());
            now += retry;
        }
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
        dial(&mut dialer, now, 50);
        let peer = PeerId::random();
        dialer.connected(id(50), peer, now);
        assert_eq!(dialer.deadline(now), None);
        now += STABLE;
        dialer.lost(PeerId::random(), now);
        assert_eq!(dialer.deadline(now), None);
        dialer.lost(peer, now);
        assert_eq!(dialer.deadline(now), Some(now + Duration::from_secs(1)));
        // A peer that turns us away at once is not hammered.
        for (attempt, seconds) in [(51, 2), (52, 4), (53, 8)] {
            now = dialer.deadline(now).unwrap();
            dial(&mut dialer, now, attempt);
            dialer.connected(id(attempt), peer, now);
            dialer.lost(peer, now);
            assert_eq!(dialer.deadline(now), Some(now + Duration::from_secs(seconds)));
        }
        dialer.restart(now);
        assert_eq!(dialer.deadline(now), Some(now));
    }

    #[tokio::test]
    async fn when_the_network_has_changed_whoever_is_connected_or_being_dialled_is_dialled_anew() {
        let (mut dialer, now, addresses) = stage();
        dialer.add(Origin::Configured, addresses[..1].to_vec(), None, now);
        dialer.add(Origin::Configured, addresses[1..].to_vec(), None, now);
        assert_eq!(dial(&mut dialer, now, 1).len(), 2);
        dialer.connected(id(1), PeerId::random(), now);
        let due = now + Duration::from_secs(1);
        dialer.doubt(due);
        assert_eq!(dial(&mut dialer, now, 3), []);
        // The attempt that was under way ends on its own and delays nothing.
        assert_eq!(dialer.failed(id(2), "no route".into(), now), None);
        assert_eq!(dial(&mut dialer, due, 3), addresses);
        dialer.doubt(due);
        dialer.restart(now);
        assert_eq!(dial(&mut dialer, now, 5), addresses, "an address has come sooner");
    }

    #[tokio::test]
    async fn who_is_connected_already_is_not_dialled() {
        let (mut dialer, now, addresses) = stage();
        let peer = PeerId::random();
        dialer.add(Origin::Found, addresses, Some(peer), now);
        assert_eq!(dialer.poll(now, |one| *one == peer), []);
        assert_eq!(dialer.deadline(now), None);
        dialer.forget(&peer);
        dialer.lost(peer, now);
        assert!(dialer.deadline(now).is_some(), "found again later, so still known");
        dialer.forget(&peer);
        assert_eq!(dialer.deadline(now), None);
    }

    #[tokio::test]
    async fn asked_once_is_dialled_once_and_ourselves_never_again() {
        let (mut dialer, now, addresses) = stage();
        dialer.add(Origin::Once, addresses[..1].to_vec(), None, now);
        dial(&mut dialer, now, 1);
        assert_eq!(dialer.failed(id(1), String::new(), now).unwrap().retry, None);
        assert_eq!(dialer.deadline(now), None);
        dialer.add(Origin::Configured, addresses, None, now);
        dial(&mut dialer, now, 2);
        dialer.is_self(id(2));
        assert_eq!(dialer.deadline(now), None);
    }

    /// Of ten that are announced, those with which it is connected after everything due was dialled,
    /// and all but the unreachable answered.
    fn connects(dialer: &mut Dialer, now: Instant, unreachable: &[usize]) -> BTreeSet<usize> {
        let mut there = BTreeSet::new();
        for round in 0..10 {
            for (index, address) in dial(dialer, now, round * 100).into_iter().enumerate() {
                let (_, port) = super::super::address::ipv4(&address).unwrap();
                let attempt = id(round * 100 + index);
                if unreachable.contains(&usize::from(port)) {
                    dialer.failed(attempt, "no answer".into(), now);
                } else {
                    dialer.connected(attempt, PeerId::random(), now);
                    there.insert(usize::from(port));
                }
            }
        }
        there
    }

    #[tokio::test]
    async fn of_many_near_a_few_are_picked_and_others_for_those_that_fail_or_when_more_are_wanted()
    {
        let (mut dialer, now, named) = stage();
        let announce = |dialer: &mut Dialer, ports: core::ops::Range<u16>| {
            for port in ports {
                let address = format!("/ip4/10.0.0.2/tcp/{port}").parse().unwrap();
                dialer.add(Origin::Found, vec![address], Some(PeerId::random()), now);
            }
        };
        // All ranks are equal here: the earlier one is picked.
        announce(&mut dialer, 10..20);
        dialer.add(Origin::Configured, named[1..].to_vec(), None, now);
        assert_eq!(connects(&mut dialer, now, &[10]), BTreeSet::from([7, 11, 12]));
        let later = now + Duration::from_secs(30);
        assert_eq!(dialer.deadline(now), Some(now + Duration::from_secs(1)), "10 is tried again");
        assert_eq!(connects(&mut dialer, later, &[]), BTreeSet::from([10]));
        assert_eq!(dialer.deadline(later), None, "and the others are left alone");
        dialer.want(5);
        assert_eq!(connects(&mut dialer, later, &[]), BTreeSet::from([13, 14]));
        dialer.want(0);
        assert_eq!(connects(&mut dialer, later, &[]), BTreeSet::new());
    }

    #[tokio::test]
    async fn the_order_of_those_near_is_drawn() {
        let backoff =
            Backoff { min: Duration::from_secs(1), max: Duration::from_secs(10), unsure_factor: 4 };
        let draw = || getrandom::u32().unwrap();
        let mut picked = BTreeSet::new();
        for _ in 0..64 {
            let (mut dialer, now) = (Dialer::new(backoff, draw), Instant::now());
            for port in 10..20 {
                let address = format!("/ip4/10.0.0.2/tcp/{port}").parse().unwrap();
                dialer.add(Origin::Found, vec![address], Some(PeerId::random()), now);
            }
            picked.extend(connects(&mut dialer, now, &[]));
        }
        assert!(picked.len() > 5, "each of ten in one of 64 lots of two: {picked:?}");
    }

    #[tokio::test]
    async fn one_place_is_one_target_and_there_is_an_end_to_targets() {
        let (mut dialer, now, addresses) = stage();
        dialer.add(Origin::Configured, addresses.clone(), None, now);
        dialer.add(Origin::Remembered, addresses.into_iter().rev().collect(), None, now);
        assert_eq!(dialer.targets.len(), 1);
        for port in 0..2 * TARGETS_MAX {
            let address = format!("/ip4/10.0.0.2/tcp/{}", port + 1).parse().unwrap();
            let added = dialer.add(Origin::Found, vec![address], Some(PeerId::random()), now);
            assert_eq!(added, port + 1 < TARGETS_MAX);
        }
    }
}
