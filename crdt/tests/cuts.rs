//! Transfers of a realistic size that are cut wherever it may be, and go on with whoever comes next:
//! hundreds of envelopes of many logs and all that they need, over links and disks of several speeds.
//! Contacts of a few envelopes, cut after every byte there is, are in `contact.rs`.
//!
//! Of every contact, for both ends and as it goes on: what is acknowledged is in the store; progress
//! only grows and never passes its total; nothing comes again that was durable when the contact
//! began; and of what crossed the link, a cut costs no more than the batch that it cut, or where the
//! disk is slower than the link, those that were to be written.
//!
//! `HUZA_CUTS=N` plays N transfers instead of a few, about forty cuts each:
//! `HUZA_CUTS=500 cargo test --release -p huza-crdt --test cuts -- --nocapture`
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::print_stdout, reason = "the figures are what a reader of this test wants")]

mod common;
mod raw_peer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::control::{Receipt, ReceiptKind, ReceiptRange, Scope, Statement, kind};
use huza_crdt::crypto::Entropy;
use huza_crdt::envelope::{Stored, Urgency};
use huza_crdt::holdings::{Held, Spans};
use huza_crdt::id::{DeviceKey, Hash, LogId, StatementId, StoreId};
use huza_crdt::limits::BATCHES_IN_FLIGHT_MAX;
use huza_crdt::node::{Command, Input, PipeId, Reply, SessionStatus};
use huza_crdt::session::frame::{Frame, LENGTH_BYTES};
use huza_crdt::store::{Batch, MemoryStore, Range, Table};
use huza_crdt::trust::Role;
use raw_peer::RawPeer;

/// Authors, and logs of each.
const AUTHORS: u8 = 10;
const LOGS_EACH: u8 = 8;

/// Transfers that are played unless `HUZA_CUTS` says how many.
const TRANSFERS: u64 = 6;

/// Something that is sent once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Statement(StatementId),
    Envelope(LogId, u64),
}

/// Draws what a case is made of.
struct Draw(Entropy);

impl Draw {
    fn of(seed: u64) -> Self {
        let mut bytes = [77; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(Entropy::new(bytes))
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        u64::from_le_bytes(self.0.draw()) % end
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// One log of the district: the statements that it needs and the one that vouches for it, and its
/// envelopes.
struct Log {
    id: LogId,
    needed: Vec<Statement>,
    receipt: Statement,
    envelopes: Vec<Stored>,
}

fn district(world: &mut World, draw: &mut Draw) -> Vec<Log> {
    let mut hub = RawPeer::join(world, 200, Role::Hub, "01");
    let chain_of = |peer: &RawPeer| {
        let read = |bytes: &Vec<u8>| Statement::from_bytes(bytes).unwrap();
        peer.chain.iter().map(read).collect::<Vec<_>>()
    };
    let mut logs = Vec::new();
    for author in 0..AUTHORS {
        let mut peer = RawPeer::join(world, 100 + author, Role::Worker, "01");
        for life in 0..LOGS_EACH {
            let opening = peer.opening(peer.area, life);
            let id = opening.log();
            let count = if draw.one_in(10) { 40 } else { 1 + draw.below(10) };
            let (mut previous, mut envelopes) = (Hash([0; 32]), Vec::new());
            for seq in 0..count {
                let urgency = if draw.one_in(8) { Urgency::Urgent } else { Urgency::Routine };
                let bytes = if draw.one_in(40) { 6_000 } else { 40 + draw.below(400) };
                let noise = (0..bytes.div_ceil(32)).flat_map(|_| draw.0.draw::<32>()).collect();
                let stored = peer.envelope_of(id, seq, previous, (urgency, noise));
                previous = stored.wire.header(id, seq, previous).hash();
                envelopes.push(stored);
            }
            let receipt = Receipt {
                store: StoreId([5; 16]),
                log: id,
                kind: ReceiptKind::Stored,
                reason: 0,
                ranges: vec![ReceiptRange { from: 0, to: count - 1, end: previous }],
            };
            let scope = Scope::Catchment(peer.area.catchment());
            let receipt = hub.statement(scope, kind::RECEIPT, codec::encode(&receipt));
            let needed = [chain_of(&peer), chain_of(&hub), vec![opening]].concat();
            logs.push(Log { id, needed, receipt, envelopes });
        }
    }
    logs
}

/// The rows of a carrier that holds of each log what `takes` says.
fn carrying(logs: &[Log], mut takes: impl FnMut(&Log) -> Vec<u64>) -> Batch {
    let mut rows = Batch::default();
    for log in logs {
        let mut held = Held::default();
        for seq in takes(log) {
            let stored = &log.envelopes[usize::try_from(seq).unwrap()];
            let header = stored.wire.header(log.id, seq, stored.previous);
            held.insert(seq, header.previous, header.hash(), header.urgency == Urgency::Urgent);
            rows.put(Table::Envelopes, key_of(log.id, seq), codec::encode(stored));
        }
        if held.spans.count() == 0 {
            continue;
        }
        rows.put(Table::Frontiers, log.id.0, codec::encode(&held));
        for statement in log.needed.iter().chain([&log.receipt]) {
            rows.put(Table::Statements, statement.id().0, statement.to_bytes());
        }
    }
    rows
}

fn key_of(log: LogId, seq: u64) -> Vec<u8> {
    [log.0.as_slice(), &seq.to_be_bytes()].concat()
}

/// What is durable at a host.
fn durable(host: &Host) -> BTreeSet<Item> {
    let all = |table| {
        let mut range = Range::all(table);
        range.rows_max = usize::MAX;
        host.store.load(&range).into_iter().map(|(key, _)| key)
    };
    let statements =
        all(Table::Statements).map(|key| Item::Statement(StatementId(key.try_into().unwrap())));
    let envelopes = all(Table::Envelopes).map(|key| {
        let (log, seq) = key.split_at(32);
        let seq = u64::from_be_bytes(seq.try_into().unwrap());
        Item::Envelope(LogId(log.try_into().unwrap()), seq)
    });
    statements.chain(envelopes).collect()
}

/// Whether something is durable at a host now.
fn is_durable(host: &Host, item: &Item) -> bool {
    let (table, key) = match item {
        Item::Statement(id) => (Table::Statements, id.0.to_vec()),
        Item::Envelope(log, seq) => (Table::Envelopes, key_of(*log, *seq)),
    };
    !host.store.load(&Range { rows_max: 1, ..Range::prefix(table, key) }).is_empty()
}

/// A batch that was said.
struct Said {
    items: Vec<Item>,
    /// Bytes of its frame, and how many of them crossed the link.
    bytes: usize,
    crossed: usize,
}

/// What one end says to the other.
#[derive(Default)]
struct Way {
    frames: VecDeque<(Vec<u8>, Option<usize>)>,
    /// Bytes of the first frame that have crossed.
    at: usize,
    /// By their numbers.
    batches: Vec<Said>,
}

impl Way {
    fn push(&mut self, bytes: Vec<u8>) -> Option<u32> {
        let frame = Frame::from_bytes(&bytes[LENGTH_BYTES..]).unwrap();
        let mut batch = None;
        let mut acknowledged = None;
        match frame {
            Frame::Batch { number, statements, runs } => {
                let statement = |one: &huza_crdt::session::frame::Bytes| {
                    Item::Statement(Statement::from_bytes(&one.0).unwrap().id())
                };
                let envelopes = runs.iter().flat_map(|run| {
                    (run.first..)
                        .zip(&run.envelopes)
                        .map(|(seq, _)| Item::Envelope(run.log, seq))
                        .collect::<Vec<_>>()
                });
                let items = statements.iter().map(statement).chain(envelopes).collect();
                assert_eq!(number as usize, self.batches.len());
                batch = Some(self.batches.len());
                self.batches.push(Said { items, bytes: bytes.len(), crossed: 0 });
            }
            Frame::Ack { number } => acknowledged = Some(number),
            _ => {}
        }
        self.frames.push_back((bytes, batch));
        acknowledged
    }

    /// The next bytes, at most so many.
    fn cross(&mut self, most: usize) -> Vec<u8> {
        let mut crossing = Vec::new();
        while crossing.len() < most
            && let Some((bytes, batch)) = self.frames.front()
        {
            let rest = &bytes[self.at..];
            let taken = rest.len().min(most - crossing.len());
            crossing.extend_from_slice(&rest[..taken]);
            if let Some(batch) = batch {
                self.batches[*batch].crossed += taken;
            }
            self.at += taken;
            if taken == rest.len() {
                self.frames.pop_front();
                self.at = 0;
            }
        }
        crossing
    }
}

/// What all contacts of a transfer came to.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    contacts: u64,
    cuts: u64,
    /// Bytes of batches that crossed a link, and of them, those that will cross one again.
    batch_bytes: usize,
    again_bytes: usize,
    largest_batch: usize,
}

/// One contact, cut after `cut` bytes in all.
struct Contact {
    pipe: PipeId,
    /// From the first host, from the second.
    ways: [Way; 2],
    at_first: [BTreeSet<Item>; 2],
    progress: [[(u64, u64); 2]; 2],
    /// Bytes that pass each way in ten milliseconds.
    rate: usize,
    /// How many tens of milliseconds a disk takes to write.
    disk: u64,
    cut: usize,
}

impl Contact {
    /// Plays it until it is cut, or both ends hold the same. Says whether it was cut.
    fn play(&mut self, hosts: &mut [&mut Host; 2]) -> bool {
        for step in 1.. {
            assert!(step < 100_000, "it does not end");
            let arriving = [0, 1].map(|from| {
                for (pipe, bytes) in core::mem::take(&mut hosts[from].sent) {
                    assert_eq!(pipe, self.pipe);
                    if let Some(number) = self.ways[from].push(bytes) {
                        self.acknowledged(hosts[from], 1 - from, number as usize);
                    }
                }
                let crossing = self.ways[from].cross(self.rate.min(self.cut));
                self.cut -= crossing.len();
                crossing
            });
            let quiet = arriving.iter().all(Vec::is_empty)
                && hosts.iter().all(|host| host.unwritten.as_ref().is_none_or(VecDeque::is_empty));
            let [from_first, from_second] = arriving;
            for (host, bytes) in hosts.iter_mut().zip([from_second, from_first]) {
                host.pass(10);
                if !bytes.is_empty() {
                    host.handle(Input::Received { pipe: self.pipe, bytes });
                }
                if self.disk == 0 || step % self.disk == 0 {
                    host.write_next();
                }
            }
            if !quiet {
                (0..2).for_each(|side| self.watch(side, hosts));
            }
            if self.cut == 0 {
                return true;
            }
            if quiet && hosts.iter().all(|host| host.sent.is_empty()) {
                assert!(hosts.iter().all(|host| complete(host, self.pipe)), "it stands still");
                return false;
            }
        }
        false
    }

    /// `host` says that a batch of the other is durable.
    fn acknowledged(&self, host: &Host, from: usize, number: usize) {
        for item in &self.ways[from].batches[number].items {
            assert!(is_durable(host, item), "{item:?} was acknowledged and is not durable");
        }
    }

    /// Progress as one side tells it: it grows, and stays within its total.
    fn watch(&mut self, side: usize, hosts: &mut [&mut Host; 2]) {
        let Some(told) = session(hosts[side], self.pipe) else { return };
        let sent = self.progress[side][1].1;
        for (before, now) in self.progress[side].iter_mut().zip([told.receiving, told.sending]) {
            assert!(now.1 <= now.0, "beyond its end: {now:?}");
            assert!(now >= *before, "it went back: {now:?} after {before:?}");
            *before = now;
        }
        if told.sending.1 == sent {
            return;
        }
        let said = self.ways[side].batches.iter().flat_map(|batch| &batch.items);
        let durable = said
            .filter(|item| matches!(item, Item::Envelope(..)) && is_durable(hosts[1 - side], item));
        assert!(told.sending.1 <= durable.count() as u64, "told as sent, and not durable");
    }

    /// What was sent again in it, and what will be sent again because it ended as it did.
    fn check(&self, hosts: [&Host; 2], slow: bool, sum: &mut Sum) {
        for (from, way) in self.ways.iter().enumerate() {
            let to = 1 - from;
            let mut once = BTreeSet::new();
            let mut lost = Vec::new();
            for batch in way.batches.iter().filter(|batch| batch.crossed > 0) {
                for item in &batch.items {
                    assert!(!self.at_first[to].contains(item), "{item:?} was there");
                    assert!(once.insert(item), "{item:?} twice in one contact");
                }
                sum.batch_bytes += batch.crossed;
                sum.largest_batch = sum.largest_batch.max(batch.bytes);
                if batch.items.iter().all(|item| is_durable(hosts[to], item)) {
                    assert_eq!(batch.crossed, batch.bytes);
                } else {
                    assert!(!batch.items.iter().any(|item| is_durable(hosts[to], item)));
                    lost.push(batch.crossed);
                }
            }
            let most = if slow { BATCHES_IN_FLIGHT_MAX } else { 1 };
            assert!(lost.len() <= most, "{} batches will be sent again", lost.len());
            sum.again_bytes += lost.iter().sum::<usize>();
        }
    }
}

/// A session as its host tells it.
fn session(host: &mut Host, pipe: PipeId) -> Option<SessionStatus> {
    let Reply::Peers { sessions } = host.call(Command::Peers) else { panic!() };
    sessions.into_iter().find(|session| session.pipe == pipe)
}

/// What a host tells its user that others took, is durable there.
fn check_taken(host: &Host, others: &BTreeMap<DeviceKey, &Host>) {
    for (key, spans) in host.store.load(&Range::all(Table::Taken)) {
        let (log, device) = key.split_at(32);
        let (log, device) = (LogId(log.try_into().unwrap()), DeviceKey(device.try_into().unwrap()));
        let spans: Spans = codec::decode(&spans).unwrap();
        let Some(other) = others.get(&device) else { continue };
        for (from, to) in spans.whole() {
            for seq in from..=to {
                let item = Item::Envelope(log, seq);
                assert!(is_durable(other, &item), "{item:?} was told as taken");
            }
        }
    }
}

/// Devices as every transfer begins with them: somebody who holds nothing, somebody who holds all,
/// and others who hold parts.
struct Start {
    devices: Vec<(Host, MemoryStore)>,
    all: BTreeSet<Item>,
}

impl Start {
    fn new() -> Self {
        let (mut world, mut draw) = (World::new(), Draw::of(0));
        let logs = district(&mut world, &mut draw);
        let envelopes: usize = logs.iter().map(|log| log.envelopes.len()).sum();
        assert!(envelopes > 500, "{envelopes}");
        let whole = |log: &Log| (0..log.envelopes.len() as u64).collect::<Vec<_>>();
        let mut devices = Vec::new();
        for number in 0..5_u8 {
            let mut host = world.device(1 + number, Role::Relay, &[]);
            host.store.apply(&carrying(&logs, |log| match number {
                0 => Vec::new(),
                1 => whole(log),
                // Whole logs, the older or the newer part of each, or some here and there.
                2 => whole(log).into_iter().filter(|_| log.id.0[0] % 2 == 0).collect(),
                3 => whole(log)
                    .into_iter()
                    .filter(|seq| (*seq < 4) == (log.id.0[0] % 2 == 0))
                    .collect(),
                _ => whole(log).into_iter().filter(|_| !draw.one_in(3)).collect(),
            }));
            host.restart(false);
            let store = host.backup();
            devices.push((host, store));
        }
        let all = devices.iter().flat_map(|(host, _)| durable(host)).collect();
        Self { devices, all }
    }

    /// One transfer.
    fn transfer(&self, seed: u64) -> Sum {
        let mut draw = Draw::of(seed + 1);
        let mut hosts: Vec<Host> =
            self.devices.iter().map(|(host, store)| host.over(store.clone())).collect();
        let mut sum = Sum::default();
        let mut next_pipe = 0;
        let mut meet = |hosts: &mut Vec<Host>, draw: &mut Draw, with: usize, cut: usize| {
            let pipe = PipeId(next_pipe);
            next_pipe += 1;
            let slow = draw.one_in(3);
            let (first, rest) = hosts.split_at_mut(1);
            let mut pair = [&mut first[0], &mut rest[with - 1]];
            for host in &mut pair {
                host.unwritten = slow.then(VecDeque::new);
            }
            let mut contact = Contact {
                pipe,
                ways: Default::default(),
                at_first: [durable(pair[0]), durable(pair[1])],
                progress: Default::default(),
                rate: [150, 200, 1_000, 20_000][usize::try_from(draw.below(4)).unwrap()],
                disk: if slow { 1 + draw.below(30) } else { 0 },
                cut,
            };
            let binding = draw.0.draw();
            let dialer = draw.one_in(2);
            for (host, dialer) in pair.iter_mut().zip([dialer, !dialer]) {
                host.handle(Input::PipeOpened { pipe, dialer, binding });
            }
            let was_cut = contact.play(&mut pair);
            sum.contacts += 1;
            sum.cuts += u64::from(was_cut);
            for host in &mut pair {
                if draw.one_in(2) {
                    // It loses power: what is not written is lost.
                    **host = host.over(host.backup());
                    continue;
                }
                host.handle(Input::PipeClosed { pipe });
                host.sent.clear();
                // What has come is written all the same.
                while host.unwritten.as_ref().is_some_and(|waits| !waits.is_empty()) {
                    host.write_next();
                }
                host.unwritten = None;
            }
            contact.check([&*pair[0], &*pair[1]], slow, &mut sum);
            let devices = |host: &mut Host| host.status().device.unwrap();
            let keys = pair.each_mut().map(|host| devices(host));
            for (one, other) in [(0, 1), (1, 0)] {
                let others = BTreeMap::from([(keys[other], &*pair[other])]);
                check_taken(pair[one], &others);
            }
            was_cut
        };
        // Cut after cut until all is there; the same peer again, or another.
        let mut with = 1;
        while !durable(&hosts[0]).is_superset(&self.all) {
            if !draw.one_in(3) {
                with = 1 + usize::try_from(draw.below(4)).unwrap();
            }
            let cut = if draw.one_in(4) { draw.below(3_000) } else { draw.below(80_000) };
            meet(&mut hosts, &mut draw, with, 1 + usize::try_from(cut).unwrap());
        }
        for with in 1..hosts.len() {
            assert!(!meet(&mut hosts, &mut draw, with, usize::MAX));
        }
        for host in &hosts {
            assert!(durable(host).is_superset(&self.all), "not all came over");
        }
        sum
    }
}

#[test]
fn a_transfer_that_is_cut_anywhere_goes_on_with_anybody() {
    let transfers = std::env::var("HUZA_CUTS").map_or(TRANSFERS, |many| many.parse().unwrap());
    let start = Start::new();
    let mut all = Sum::default();
    for seed in 0..transfers {
        println!("transfer {seed}");
        let sum = start.transfer(seed);
        all.contacts += sum.contacts;
        all.cuts += sum.cuts;
        all.batch_bytes += sum.batch_bytes;
        all.again_bytes += sum.again_bytes;
        all.largest_batch = all.largest_batch.max(sum.largest_batch);
    }
    println!("{transfers} transfers: {all:?}");
    assert!(all.cuts >= 5 * transfers, "{all:?}");
}
