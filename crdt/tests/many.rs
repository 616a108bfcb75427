//! Many peers at once: whose turn it is, hints by gossip, and how many peers are sought.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;
mod raw_peer;

use std::collections::{BTreeMap, BTreeSet};

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::control::Statement;
use huza_crdt::crypto::{Entropy, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Stored, Urgency};
use huza_crdt::id::{Hash, LogId, RecordId};
use huza_crdt::limits::{
    BATCH_BYTES_TARGET, BATCHES_IN_FLIGHT_MAX, BATCHES_ON_ANY_LINK, LINKS_BESIDE_HUB_MAX,
    LINKS_WANTED, NEWS_AT_ONCE_MAX, NEWS_KEPT_MS, NEWS_PAUSE_MS, NEWS_WAIT_MS, SESSIONS_MAX,
    SILENCE_MS_MAX, TURN_BYTES_MAX, TURN_LOADS_MAX, TURN_MS,
};
use huza_crdt::node::{Event, Input, PipeId, Token};
use huza_crdt::session::frame::Frame;
use huza_crdt::trust::Role;
use huza_crdt::trust::paper::Programme;
use raw_peer::{RawPeer, batch};

/// A writer whose log a hub holds.
struct Author {
    raw: RawPeer,
    pipe: PipeId,
    opening: Statement,
    log: LogId,
    previous: Hash,
    seq: u64,
}

impl Author {
    fn meet(world: &mut World, hub: &mut Host, seed: u8) -> Self {
        let mut raw = RawPeer::join(world, seed, Role::Worker, "01");
        let pipe = raw.meet(hub);
        let opening = raw.opening(raw.area, 1);
        let log = opening.log();
        Self { raw, pipe, opening, log, previous: Hash([0; 32]), seq: 0 }
    }

    /// The batch with its next envelope, of so many bytes.
    fn next(&mut self, bytes: usize, urgency: Urgency) -> Frame {
        let stored = envelope(&self.raw, self.log, (self.seq, self.previous), bytes, urgency);
        let number = u32::try_from(self.seq).unwrap();
        let statements: &[&Statement] = if self.seq == 0 { &[&self.opening] } else { &[] };
        let frame = batch(number, statements, &[(self.log, self.seq, &stored)]);
        self.previous = stored.wire.header(self.log, self.seq, self.previous).hash();
        self.seq += 1;
        frame
    }

    fn give(&mut self, hub: &mut Host, bytes: usize, urgency: Urgency) {
        let frame = self.next(bytes, urgency);
        self.raw.say(hub, self.pipe, &frame);
    }
}

fn envelope(
    raw: &RawPeer,
    log: LogId,
    (seq, previous): (u64, Hash),
    bytes: usize,
    urgency: Urgency,
) -> Stored {
    // Bytes that do not compress.
    let mut state = seq + 1;
    let noise = core::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    });
    let item =
        Item { record: RecordId([1; 16]), change: noise.take(bytes).collect(), card: vec![] };
    let payload = Payload { origin: None, first: seq, items: vec![item] };
    let seal = Seal::Member(SymmetricKey::from_bytes([9; 32]));
    payload.seal(log, &seal, urgency, [3; 32]).unwrap().number(&raw.key, log, seq, previous)
}

fn hub_with(envelopes: usize, bytes: usize) -> (World, Host, Author) {
    let mut world = World::new();
    let mut hub = world.device(1, Role::Hub, &[]);
    let mut author = Author::meet(&mut world, &mut hub, 99);
    for _ in 0..envelopes {
        author.give(&mut hub, bytes, Urgency::Routine);
    }
    // It has signed what it vouches for.
    hub.pass(1_000);
    hub.sent.clear();
    (world, hub, author)
}

fn phones(world: &mut World, hub: &mut Host, count: u8) -> Vec<(RawPeer, PipeId)> {
    let join = |seed| {
        let mut raw = RawPeer::join(world, seed, Role::Worker, "02");
        let pipe = raw.meet(hub);
        (raw, pipe)
    };
    (100..100 + count).map(join).collect()
}

/// Batches that the hub has sent, in their order.
fn batches(hub: &mut Host) -> Vec<(PipeId, u32, usize, usize)> {
    let frames = hub.sent.drain(..).map(|(pipe, bytes)| {
        let length = bytes.len();
        (pipe, length, Frame::from_bytes(&bytes[4..]).unwrap())
    });
    let batch = |(pipe, length, frame)| match frame {
        Frame::Batch { number, runs, .. } => {
            let envelopes = runs.iter().map(|run| run.envelopes.len()).sum();
            Some((pipe, number, length, envelopes))
        }
        _ => None,
    };
    frames.filter_map(batch).collect()
}

/// Has the phones acknowledge statements, until each is sent envelopes or has to wait for them. The
/// results are those that were sent some.
fn served(hub: &mut Host, phones: &[(RawPeer, PipeId)]) -> BTreeSet<PipeId> {
    let mut served = BTreeSet::new();
    loop {
        let sent = batches(hub);
        if sent.is_empty() {
            return served;
        }
        for (pipe, number, _, envelopes) in sent {
            if envelopes > 0 {
                served.insert(pipe);
            } else if let Some((raw, _)) = phones.iter().find(|(_, one)| *one == pipe) {
                raw.say(hub, pipe, &Frame::Ack { number });
            }
        }
    }
}

/// What is known from outside about one phone.
#[derive(Debug, Default)]
struct Service {
    unacknowledged: Vec<(u32, usize)>,
    envelopes: usize,
    /// The service after which it could have been served again.
    free_since: usize,
    last: Option<usize>,
}

/// Goal: nobody is served twice before everybody who waits was served once, and what is under way
/// stays within its bound, whoever acknowledges when, and although some never do.
#[test]
fn nobody_is_served_twice_before_each_who_waits_was_served_once() {
    const ENVELOPES: usize = 24;
    let (mut world, mut hub, _) = hub_with(ENVELOPES, 30_000);
    let phones = phones(&mut world, &mut hub, 40);
    let silent = |pipe: &PipeId| phones[..4].iter().any(|(_, one)| one == pipe);
    let mut seen: BTreeMap<PipeId, Service> =
        phones.iter().map(|(_, pipe)| (*pipe, Service::default())).collect();
    let (mut services, mut draw) = (0, 7_usize);
    loop {
        for (pipe, number, bytes, envelopes) in batches(&mut hub) {
            services += 1;
            let before = seen[&pipe].last;
            let passed_over = seen.iter().find(|(other, one)| {
                let free = one.unacknowledged.len() < BATCHES_ON_ANY_LINK;
                let wants = one.last.is_some() && one.envelopes < ENVELOPES && **other != pipe;
                let waited = before.is_some_and(|before| one.free_since < before);
                free && wants && waited && one.last < before
            });
            assert_eq!(passed_over.map(|(other, _)| other), None, "{services}: {pipe:?}");
            let one = seen.get_mut(&pipe).unwrap();
            one.unacknowledged.push((number, bytes));
            assert!(one.unacknowledged.len() <= BATCHES_IN_FLIGHT_MAX);
            one.envelopes += envelopes;
            (one.last, one.free_since) = (Some(services), services);
            let under_way: usize =
                seen.values().flat_map(|one| &one.unacknowledged).map(|(_, bytes)| bytes).sum();
            let own = BATCHES_IN_FLIGHT_MAX * (BATCH_BYTES_TARGET + 40_000);
            assert!(under_way <= TURN_BYTES_MAX + own, "{under_way} bytes under way");
        }
        // Somebody acknowledges, drawn among those who ever do.
        let owing =
            |(_, pipe): &&(RawPeer, PipeId)| !silent(pipe) && !seen[pipe].unacknowledged.is_empty();
        let owing: Vec<_> = phones.iter().filter(owing).collect();
        if owing.is_empty() {
            break;
        }
        draw = draw.wrapping_mul(48_271) % 2_147_483_647;
        let (raw, pipe) = owing[draw % owing.len()];
        let one = seen.get_mut(pipe).unwrap();
        let (number, _) = one.unacknowledged.remove(0);
        if one.unacknowledged.len() + 1 == BATCHES_ON_ANY_LINK {
            one.free_since = services;
        }
        raw.say(&mut hub, *pipe, &Frame::Ack { number });
    }
    for (_, pipe) in phones.iter().filter(|(_, pipe)| !silent(pipe)) {
        assert_eq!(seen[pipe].envelopes, ENVELOPES, "{pipe:?} has everything");
    }
    assert!(services > 40 * 3, "{services}");
}

#[test]
fn phones_that_walk_away_hold_up_the_others_for_a_second() {
    let (mut world, mut hub, _) = hub_with(4, 60_000);
    let phones = phones(&mut world, &mut hub, 40);
    let mut all = served(&mut hub, &phones);
    let first = all.len();
    assert!(first > 0 && first < phones.len(), "the radio is full: {first} were served");
    hub.pass(TURN_MS - 1);
    assert!(served(&mut hub, &phones).is_empty());
    assert!(hub.node.deadline().is_some());
    for _ in 0..4 {
        hub.pass(TURN_MS);
        all.extend(served(&mut hub, &phones));
    }
    assert_eq!(all.len(), phones.len(), "each was served, though nobody has acknowledged");
}

#[test]
fn what_is_urgent_waits_for_no_turn() {
    let (mut world, mut hub, mut author) = hub_with(4, 60_000);
    let phones = phones(&mut world, &mut hub, 40);
    let some = served(&mut hub, &phones);
    let waiting = phones.iter().map(|(_, pipe)| *pipe).filter(|pipe| !some.contains(pipe));
    let waiting: BTreeSet<PipeId> = waiting.collect();
    assert!(!waiting.is_empty());
    author.give(&mut hub, 200, Urgency::Urgent);
    assert!(waiting.is_subset(&served(&mut hub, &phones)), "all who can be sent anything");
}

/// Method: photos, of which each is more than may be under way at once, to as many as there may be,
/// and nobody acknowledges any.
#[test]
fn the_last_in_the_line_is_served_before_it_takes_the_hub_for_silent() {
    let (mut world, mut hub, _) = hub_with(1, 1_100_000);
    let phones = phones(&mut world, &mut hub, 150);
    let mut all = served(&mut hub, &phones);
    assert!(all.len() <= TURN_LOADS_MAX);
    let mut waited = 0;
    while all.len() < phones.len() {
        hub.pass(TURN_MS);
        waited += TURN_MS;
        assert!(waited <= SILENCE_MS_MAX / 2, "{} of {} served", all.len(), phones.len());
        all.extend(served(&mut hub, &phones));
    }
    let ended = |event: &Event| matches!(event, Event::ContactEnded { .. });
    assert!(!hub.events.iter().any(ended));
}

/// Method: batches that come before the first of them is taken in.
#[test]
fn batches_are_taken_in_turns_and_urgent_ones_first() {
    let mut world = World::new();
    let mut hub = world.device(1, Role::Hub, &[]);
    let mut authors: Vec<Author> =
        (101..105).map(|seed| Author::meet(&mut world, &mut hub, seed)).collect();
    hub.sent.clear();
    let plan = [
        (3, Urgency::Routine),
        (0, Urgency::Routine),
        (0, Urgency::Routine),
        (1, Urgency::Routine),
        (1, Urgency::Routine),
        (2, Urgency::Urgent),
    ];
    let inputs = plan.map(|(author, urgency)| {
        let author = &mut authors[author];
        let bytes = author.next(100, urgency).to_pipe();
        Input::Received { pipe: author.pipe, bytes }
    });
    hub.handle_at_once(inputs.into());
    let acks = hub.sent.drain(..).filter_map(|(pipe, bytes)| {
        let Ok(Frame::Ack { number }) = Frame::from_bytes(&bytes[4..]) else { return None };
        Some((authors.iter().position(|one| one.pipe == pipe)?, number))
    });
    assert_eq!(acks.collect::<Vec<_>>(), [(3, 0), (2, 0), (0, 0), (1, 0), (0, 1), (1, 1)]);
}

/// A hint of this member.
fn hint(raw: &RawPeer, log: LogId, seq: u64) -> Vec<u8> {
    raw.membership.member.seal(b"huza news 1", &codec::encode(&(log, seq)), [5; 32])
}

fn tell(host: &mut Host, bytes: Vec<u8>) -> bool {
    host.handle(Input::News { token: Token(1), bytes });
    host.news_valid.pop().unwrap()
}

#[test]
fn a_hint_is_passed_on_once_and_a_strangers_never() {
    let (mut world, mut hub, author) = hub_with(2, 100);
    let mut elsewhere = World::new();
    elsewhere.entropy = Entropy::new([7; 32]);
    let mut programme = Programme::found("Other", &mut elsewhere.entropy);
    let villages = ["01".to_owned()];
    let centre = programme.certify_centre("HC9", &villages, common::TODAY, &mut elsewhere.entropy);
    elsewhere.centre = centre.unwrap();
    let stranger = RawPeer::join(&mut elsewhere, 50, Role::Worker, "01");
    let (log, seq) = (author.log, author.seq);
    assert!(!tell(&mut hub, hint(&stranger, log, seq)), "a stranger's");
    assert!(!tell(&mut hub, b"anything".to_vec()));
    assert!(!tell(&mut hub, hint(&author.raw, LogId([7; 32]), 1)), "of a log that nobody opened");
    let good = hint(&author.raw, log, seq);
    assert!(tell(&mut hub, good.clone()));
    assert!(!tell(&mut hub, good.clone()), "again");
    assert!(!tell(&mut hub, hint(&author.raw, log, seq - 1)), "older");
    assert!(!tell(&mut hub, hint(&author.raw, log, seq + 1)), "too soon");
    hub.pass(NEWS_PAUSE_MS);
    assert!(!tell(&mut hub, good), "recorded, and said again");
    assert!(tell(&mut hub, hint(&author.raw, log, seq + 1)));
    // A member that says all it can of every log there is.
    let mut passed = 0;
    for seed in 110..190 {
        let mut author = Author::meet(&mut world, &mut hub, seed);
        author.give(&mut hub, 100, Urgency::Routine);
        passed += usize::from(tell(&mut hub, hint(&author.raw, author.log, 9)));
    }
    assert_eq!(passed + 1, NEWS_AT_ONCE_MAX);
    hub.pass(NEWS_KEPT_MS);
    assert!(tell(&mut hub, hint(&author.raw, log, 1)), "what was said long ago is forgotten");
}

/// A contact that stays open.
fn stay(world: &mut World, one: &mut Host, other: &mut Host) -> PipeId {
    let pipe = world.open(one, other);
    World::carry(one, other, usize::MAX);
    pipe
}

#[test]
fn a_phone_keeps_few_links_fewer_beside_its_hub_and_one_more_for_what_it_heard_of() {
    let mut world = World::new();
    let mut hub = world.device(1, Role::Hub, &[]);
    let mut phone = world.device(2, Role::Worker, &["01"]);
    let mut friend = world.device(3, Role::Worker, &["02"]);
    assert_eq!((hub.links, phone.links), (Some(SESSIONS_MAX), Some(LINKS_WANTED)));
    let mut elsewhere = World::pipes_from(100);
    let villages = ["01".to_owned()];
    let entropy = &mut elsewhere.entropy;
    let centre = world.programme.certify_centre("HC2", &villages, common::TODAY, entropy);
    elsewhere.centre = centre.unwrap();
    let mut other_hub = elsewhere.device(9, Role::Hub, &[]);
    let with_other = stay(&mut world, &mut phone, &mut other_hub);
    assert!(complete(&phone, with_other));
    assert_eq!(phone.links, Some(LINKS_WANTED), "another health centre's");
    stay(&mut world, &mut phone, &mut friend);
    assert_eq!(phone.links, Some(LINKS_WANTED));
    let with_hub = stay(&mut world, &mut phone, &mut hub);
    assert!(complete(&phone, with_hub));
    assert_eq!(phone.links, Some(0));

    let author = Author::meet(&mut world, &mut hub, 99);
    author.raw.say(&mut hub, author.pipe, &batch(0, &[&author.opening], &[]));
    World::carry(&mut phone, &mut hub, usize::MAX);
    assert!(tell(&mut phone, hint(&author.raw, author.log, 0)));
    assert_eq!(phone.links, Some(0));
    phone.pass(NEWS_WAIT_MS);
    assert_eq!(phone.links, Some(1), "it has not come");
    let mut author = author;
    author.seq = 1;
    let stored = envelope(&author.raw, author.log, (0, Hash([0; 32])), 9, Urgency::Routine);
    author.raw.say(&mut hub, author.pipe, &batch(1, &[], &[(author.log, 0, &stored)]));
    World::carry(&mut phone, &mut hub, usize::MAX);
    assert_eq!(phone.links, Some(0), "here it is");
    phone.handle(Input::PipeClosed { pipe: with_hub });
    assert_eq!(phone.links, Some(LINKS_WANTED), "the hub is gone");
}

#[test]
fn beside_a_hub_few_sessions_stay_open_and_without_one_all() {
    let mut world = World::new();
    let mut hub = world.device(1, Role::Hub, &[]);
    let mut phone = world.device(2, Role::Worker, &["01"]);
    let mut friends: Vec<Host> =
        (10..16).map(|seed| world.device(seed, Role::Worker, &["02"])).collect();
    for friend in &mut friends {
        stay(&mut world, &mut phone, friend);
    }
    let sessions = |phone: &Host| phone.opened.len() - phone.closed.len();
    assert_eq!(sessions(&phone), 6);
    let with_hub = stay(&mut world, &mut phone, &mut hub);
    assert!(complete(&phone, with_hub));
    for friend in &mut friends {
        World::carry(&mut phone, friend, usize::MAX);
    }
    assert_eq!(sessions(&phone), 1 + LINKS_BESIDE_HUB_MAX);
    assert_eq!(phone.closed.len(), 6 - LINKS_BESIDE_HUB_MAX);
}
