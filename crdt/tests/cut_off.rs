//! What a thief with a device's signing key does against the history that a cut-off names.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;
mod raw_peer;

use common::{Host, World};
use huza_crdt::codec;
use huza_crdt::control::{Erasure, Reason, Scope, Statement, kind};
use huza_crdt::envelope::{Content, Stored};
use huza_crdt::id::{EpochId, Hash, LogId};
use huza_crdt::limits::{BYTES_PER_AUTHOR_MAX, HELD_SPANS_MAX};
use huza_crdt::node::{Command, Event, Input, Order, Reply};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;
use raw_peer::{RawPeer, batch};

/// An authority device, a member whose key a thief has, and somebody who meets them.
struct Story {
    world: World,
    authority: Host,
    victim: Host,
    raw: RawPeer,
    opening: Statement,
    log: LogId,
}

fn story() -> Story {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let victim = world.device(2, Role::Hub, &[]);
    let mut raw = RawPeer::join(&mut world, 9, Role::Worker, "01");
    let opening = raw.opening(raw.area, 1);
    let log = opening.log();
    let honest = history(&raw, log, Hash([0; 32]), 0..6);
    give(&mut raw, &mut authority, &opening, log, &honest);
    assert_eq!(held(&authority, log), honest);
    Story { world, authority, victim, raw, opening, log }
}

/// Envelopes that follow one another.
fn history(
    raw: &RawPeer,
    log: LogId,
    mut previous: Hash,
    seqs: core::ops::Range<u64>,
) -> Vec<(u64, Stored)> {
    let mut all = Vec::new();
    for seq in seqs {
        let stored = raw.envelope(log, seq, previous);
        previous = stored.wire.header(log, seq, previous).hash();
        all.push((seq, stored));
    }
    all
}

/// The thief's: it differs from the first envelope on.
fn forged(story: &Story, to: u64) -> Vec<(u64, Stored)> {
    history(&story.raw, story.log, Hash([7; 32]), 0..to)
}

fn give(
    raw: &mut RawPeer,
    host: &mut Host,
    opening: &Statement,
    log: LogId,
    all: &[(u64, Stored)],
) {
    let pipe = raw.meet(host);
    raw.say(host, pipe, &batch(0, &[opening], &[]));
    for (number, some) in (1..).zip(all.chunks(1_000)) {
        let runs: Vec<_> = some.iter().map(|(seq, stored)| (log, *seq, stored)).collect();
        raw.say(host, pipe, &batch(number, &[], &runs));
    }
    host.handle(Input::PipeClosed { pipe });
    host.sent.clear();
}

/// What is held of a log, in its place.
fn held(host: &Host, log: LogId) -> Vec<(u64, Stored)> {
    let rows = host.store.load(&Range::prefix(Table::Envelopes, log.0)).into_iter();
    let seq = |key: &[u8]| u64::from_be_bytes(key[LogId::LEN..].try_into().unwrap());
    rows.map(|(key, value)| (seq(&key), codec::decode(&value).unwrap())).collect()
}

impl Story {
    fn honest(&self) -> Vec<(u64, Stored)> {
        history(&self.raw, self.log, Hash([0; 32]), 0..6)
    }

    fn forge(&mut self, host: Option<&mut Host>, all: &[(u64, Stored)]) {
        let host = host.unwrap_or(&mut self.victim);
        give(&mut self.raw, host, &self.opening, self.log, all);
    }
}

/// The authority shuts the member out, and trusts what it holds of it.
fn revoke(raw: &RawPeer, authority: &mut Host) {
    let (certificate, reason) = (raw.membership.certificate, Reason::Stolen);
    issued(&authority.order(Order::Revoke { certificate, reason, trust: true, rotate: false }));
}

fn issued(reply: &Reply) {
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
}

/// How many envelopes below `end` are quarantined.
fn held_back(host: &mut Host, end: u64) -> u64 {
    let logs = host.status().quarantined;
    let runs = logs.into_iter().flat_map(|log| log.runs);
    runs.map(|(from, to, _)| (from..=to).filter(|seq| *seq < end).count() as u64).sum()
}

fn revocations(host: &Host) -> Vec<Statement> {
    let all = host.store.load(&Range::all(Table::Statements)).into_iter();
    let all = all.map(|(_, value)| Statement::from_bytes(&value).unwrap());
    all.filter(|one| one.kind() == kind::REVOCATION).collect()
}

#[test]
fn forged_holes_do_not_keep_the_true_history_out() {
    let mut story = story();
    let holes: Vec<(u64, Stored)> = (0..HELD_SPANS_MAX as u64)
        .map(|at| 100 + 2 * at)
        .map(|seq| (seq, story.raw.envelope(story.log, seq, Hash([7; 32]))))
        .collect();
    story.forge(None, &holes);
    assert_eq!(held(&story.victim, story.log).len(), HELD_SPANS_MAX);
    revoke(&story.raw, &mut story.authority);
    for _ in 0..3 {
        story.world.meet(&mut story.authority, &mut story.victim);
    }
    assert_eq!(held(&story.victim, story.log)[..6], story.honest());
}

#[test]
fn a_full_share_does_not_keep_the_true_history_out() {
    let mut story = story();
    let certificate = story.raw.membership.certificate;
    let mut full = Batch::default();
    let row_key = [b"bytes/".as_slice(), &certificate.0].concat();
    full.put(Table::CarrierMeta, row_key, codec::encode(&BYTES_PER_AUTHOR_MAX));
    story.victim.store.apply(&full);
    story.victim.restart(false);
    revoke(&story.raw, &mut story.authority);
    for _ in 0..3 {
        story.world.meet(&mut story.authority, &mut story.victim);
    }
    assert_eq!(held(&story.victim, story.log), story.honest());
}

/// Another authority device, stolen, names the forged history, at a lower seq. Then it is revoked.
#[test]
fn what_a_void_cut_off_displaced_is_put_back() {
    let mut story = story();
    let mut other = story.world.device(3, Role::Authority, &[]);
    let false_one = forged(&story, 4);
    story.forge(Some(&mut other), &false_one);
    revoke(&story.raw, &mut story.authority);
    revoke(&story.raw, &mut other);
    for _ in 0..3 {
        story.world.meet(&mut story.authority, &mut story.victim);
        story.world.meet(&mut other, &mut story.victim);
    }
    for host in [&story.authority, &story.victim] {
        assert_eq!(held(host, story.log), false_one, "the lower cut-off");
    }
    let certificate = other.status().certificate.unwrap();
    let statement = story.world.centre.revoke(certificate, Reason::Stolen);
    issued(&story.authority.call(Command::Take { statements: vec![statement] }));
    assert_eq!(held(&story.authority, story.log), story.honest());
    assert!(story.authority.status().quarantined.is_empty());
    for _ in 0..3 {
        story.world.meet(&mut story.authority, &mut story.victim);
    }
    assert_eq!(held(&story.victim, story.log), story.honest());
    story.victim.restart(false);
    assert!(story.victim.status().quarantined.is_empty());
}

/// The authority has a gap: what is in front of it, only the victim holds, before forged envelopes.
#[test]
fn what_was_displaced_together_with_forged_envelopes_is_put_back_if_it_is_true() {
    let mut story = story();
    let honest = story.honest();
    let mut authority = story.world.device(4, Role::Authority, &[]);
    story.forge(Some(&mut authority), &honest[2..]);
    // The fork is proven before they meet.
    let other = story.raw.envelope(story.log, 2, Hash([7; 32]));
    story.forge(Some(&mut authority), &[(2, other)]);
    let mut mixed = honest[..2].to_vec();
    mixed.extend(history(&story.raw, story.log, Hash([7; 32]), 2..8).into_iter().skip(1));
    story.forge(None, &mixed);
    revoke(&story.raw, &mut authority);
    for _ in 0..4 {
        story.world.meet(&mut authority, &mut story.victim);
    }
    for host in [&mut authority, &mut story.victim] {
        assert_eq!(held(host, story.log)[..6], honest);
        assert_eq!(held_back(host, 6), 0);
    }
}

/// An authority that holds only the forged history rejects all of it, as it should.
#[test]
fn who_rejects_a_forged_history_does_not_reject_the_true_one() {
    let mut story = story();
    let mut other = story.world.device(3, Role::Authority, &[]);
    let false_one = forged(&story, 9);
    story.forge(Some(&mut other), &false_one);
    revoke(&story.raw, &mut story.authority);
    // It hears of the revocation before anything else.
    let mut statements: Vec<Statement> = story
        .authority
        .store
        .load(&Range::all(Table::Statements))
        .into_iter()
        .map(|(_, value)| Statement::from_bytes(&value).unwrap())
        .filter(|one| one.kind() == kind::CERTIFICATE)
        .collect();
    statements.sort_by_key(|one| one.to_bytes().len());
    let mut admitted = 0;
    for _ in 0..3 {
        for one in &statements {
            let reply = other.call(Command::Take { statements: vec![one.clone()] });
            admitted += usize::from(matches!(reply, Reply::Issued { .. }));
        }
    }
    assert!(admitted > 0);
    issued(&other.call(Command::Take { statements: revocations(&story.authority) }));
    assert!(!other.status().quarantined.is_empty());
    let log = story.log;
    issued(&other.order(Order::Judge { log, from: 0, to: None, admit: false }));
    for _ in 0..3 {
        story.world.meet(&mut story.authority, &mut other);
    }
    let honest = story.honest();
    for host in [&mut story.authority, &mut other] {
        assert_eq!(held(host, log)[..6], honest);
        assert_eq!(held_back(host, 6), 0);
    }
}

#[test]
fn a_payload_that_many_void_orders_name_is_sent_once() {
    let Story { mut world, mut authority, mut victim, raw, log, .. } = story();
    world.meet(&mut authority, &mut victim);
    let mut thief = RawPeer::join(&mut world, 10, Role::Authority, "01");
    let orders: Vec<Statement> = (0..50)
        .map(|at| {
            let order = Erasure {
                area: raw.area,
                gone: vec![(log, vec![0])],
                extends: None,
                reissue: None,
                epoch: EpochId([1; 16]),
                record: vec![at; 40],
            };
            let scope = Scope::Catchment(raw.area.catchment());
            thief.statement(scope, kind::ERASURE, codec::encode(&order))
        })
        .collect();
    for host in [&mut authority, &mut victim] {
        let pipe = thief.meet(host);
        thief.say(host, pipe, &batch(0, &orders.iter().collect::<Vec<_>>(), &[]));
        host.handle(Input::PipeClosed { pipe });
        host.sent.clear();
    }
    victim.wait_for_erasures();
    let stub = |host: &Host| matches!(held(host, log)[0].1.wire.content, Content::Erased { .. });
    assert!(stub(&victim));
    let (certificate, reason) = (thief.membership.certificate, Reason::Stolen);
    issued(&authority.order(Order::Revoke { certificate, reason, trust: false, rotate: false }));
    let pipe = world.meet(&mut authority, &mut victim);
    assert!(!stub(&victim));
    let sent = authority.events.iter().find_map(|event| match event {
        Event::ContactEnded { pipe: at, stats, .. } if *at == pipe => Some(stats.envelopes_sent),
        _ => None,
    });
    assert_eq!(sent, Some(1));
}
