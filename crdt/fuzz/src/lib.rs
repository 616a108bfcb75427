//! What the fuzz targets do, in a form that a test of the stable compiler can run too
//! (`crdt/tests/fuzz_smoke.rs`).
//!
//! [`frames`] feeds bytes to every reader of bytes at once, [`readers`] to one of them, [`sealed`]
//! to those behind a seal, [`rows`] to a node as what its disk holds. [`lane`] admits statements in
//! several orders, [`cards`] takes in bundles. [`orders`] plays a health centre with orders and a lying member. [`Phones::run`] interprets a list of
//! operations between two phones of one village, and checks that nothing written is lost, that no
//! input makes a node say more than it could have to say, and that a contact without disturbance
//! ends afterwards with both holding the same.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test harness: it must fail loudly"
)]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/raw_peer/mod.rs"]
mod raw_peer;

pub mod cards;
pub mod lane;
pub mod orders;
pub mod readers;
pub mod rows;
pub mod sealed;

use std::collections::VecDeque;

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::control::{Body, Statement};
use huza_crdt::envelope::{Payload, Stored};
use huza_crdt::holdings::Spans;
use huza_crdt::id::{LogId, Origin, RecordId};
use huza_crdt::node::{Input, PipeId};
use huza_crdt::record::{Card, Document, Forms, pack, read_bundle, unpack, view_of};
use huza_crdt::session::difference::{ShortId, Symbol};
use huza_crdt::session::frame::{Frame, take_frame};
use huza_crdt::store::MemoryStore;
use huza_crdt::trust::approval::{JoinRequest, Welcome};
use huza_crdt::trust::{Certificate, GrantContent, Role};

/// Bytes into every reader of bytes. What is accepted must be what would be written.
pub fn frames(bytes: &[u8]) {
    if let Ok(frame) = Frame::from_bytes(bytes) {
        assert_eq!(codec::encode(&frame), bytes);
        if let Frame::Summary { logs, .. } = frame {
            for (_, spans) in logs {
                if let Some(spans) = Spans::from_received(spans) {
                    assert!(spans.without(&spans).is_empty());
                    let _all = spans.without(&Spans::default());
                }
            }
        }
    }
    let mut pipe = bytes.to_vec();
    while let Ok(Some(frame)) = take_frame(&mut pipe) {
        drop(Frame::from_bytes(&frame));
    }
    if let Ok(statement) = Statement::from_bytes(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
        drop(Body::read(statement.kind(), statement.body()));
    }
    if let Some((kind, body)) = bytes.split_first() {
        drop(Body::read(*kind, body));
    }
    drop(Certificate::read(bytes, |_| None));
    drop(codec::decode::<Payload>(bytes));
    if let Ok(payload) = Payload::from_short(LogId([1; 32]), bytes) {
        assert!(payload.to_short(LogId([1; 32])).len() <= bytes.len());
    }
    drop(codec::decode::<Stored>(bytes));
    drop(codec::decode::<Welcome>(bytes));
    drop(codec::decode::<GrantContent>(bytes));
    drop(codec::decode::<JoinRequest>(bytes));
    drop(huza_crdt::pack::unpack(bytes, 100_000));
    if let Ok(card) = Card::decode(bytes) {
        assert_eq!(card.encode(), bytes);
    }
    changes(bytes);
    if let Ok(text) = core::str::from_utf8(bytes) {
        drop(read_bundle(text, Some("fuzz")));
    }
}

/// Bytes as a packed change, which is then applied to a record.
fn changes(bytes: &[u8]) {
    let origin = Origin { log: LogId([1; 32]), counter: 0 };
    let Ok(raw) = unpack(origin, bytes) else { return };
    if let Ok(packed) = pack(origin, &raw) {
        assert_eq!(packed, bytes, "two spellings of one change");
    }
    let mut document = Document::new(RecordId([2; 16]));
    document.apply([(origin, &raw)]);
    assert!(document.changes() + document.waiting() + document.set_aside().len() == 1);
    let _summary = document.summary(&Forms::built_in());
    let view = view_of(document.record(), core::iter::once((origin, raw.as_slice())));
    assert!(view == document.view(), "two readings of one change");
    for one in huza_crdt::record::project(&document.view(), &Forms::built_in()) {
        assert!(!one.key.is_empty());
    }
}

/// Most operations of one run.
const OPERATIONS_MAX: usize = 96;

/// Most bytes that one operation may make the two nodes say: all they hold, and some.
const SAID_MAX: usize = 400_000;

/// Two phones of one village, and how often a run starts from there.
pub struct Phones {
    devices: [Host; 2],
    stores: [MemoryStore; 2],
}

/// One run.
struct Run {
    hosts: [Host; 2],
    /// Bytes on their way to each host, in chunks.
    on_the_way: [VecDeque<Vec<u8>>; 2],
    pipe: Option<PipeId>,
    next_pipe: u64,
    /// Names of persons, and whose.
    written: Vec<(usize, String)>,
    said: usize,
}

impl Phones {
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        let mut a = world.device(1, Role::Worker, &["01"]);
        let mut b = world.device(2, Role::Worker, &["01"]);
        a.person("zza");
        b.person("zzb");
        let stores = [a.backup(), b.backup()];
        Self { devices: [a, b], stores }
    }

    /// Interprets `operations` (what, two numbers), then checks everything.
    pub fn run(&self, operations: &[(u8, u16, u8)]) {
        let [a, b] = &self.stores;
        let hosts = [self.devices[0].over(a.clone()), self.devices[1].over(b.clone())];
        let written = vec![(0, "zza".to_owned()), (1, "zzb".to_owned())];
        let mut run = Run {
            hosts,
            on_the_way: [VecDeque::new(), VecDeque::new()],
            pipe: None,
            next_pipe: 1,
            written,
            said: 0,
        };
        run.open();
        for (what, wide, narrow) in operations.iter().take(OPERATIONS_MAX) {
            run.said = 0;
            run.step(*what, usize::from(*wide), *narrow);
            assert!(run.said <= SAID_MAX, "{} bytes said at once", run.said);
        }
        run.finish();
    }
}

impl Default for Phones {
    fn default() -> Self {
        Self::new()
    }
}

impl Run {
    fn step(&mut self, what: u8, wide: usize, narrow: u8) {
        let side = usize::from(narrow & 1);
        let chunks = self.on_the_way[side].len();
        if (8..=12).contains(&(what % 16)) && self.pipe.is_none() {
            return;
        }
        match what % 16 {
            0 => self.open(),
            // Delivery is what makes progress, so it is the most common.
            1..=4 => self.deliver(side, usize::MAX),
            5 => self.deliver(side, wide % 512),
            6 => {
                self.deliver_all();
            }
            7 => self.cut(),
            8 if chunks > 1 => self.on_the_way[side].swap(0, wide % chunks),
            9 => {
                if let Some(chunk) = self.on_the_way[side].front_mut().filter(|c| !c.is_empty()) {
                    let at = wide % chunk.len();
                    chunk[at] ^= narrow | 1;
                }
            }
            10 => self.on_the_way[side].push_front(vec![narrow; wide % 300]),
            11 => self.on_the_way[side].push_front(injected(wide, narrow).to_pipe()),
            12 if chunks > 0 => {
                let again = self.on_the_way[side][wide % chunks].clone();
                self.on_the_way[side].push_back(again);
            }
            13 => self.write(side, wide.is_multiple_of(3)),
            14 => {
                let ms = wide as u64 * 4;
                self.hosts[side].pass(ms);
                self.collect();
            }
            15 => self.crash(side),
            _ => {}
        }
    }

    fn open(&mut self) {
        self.cut();
        let pipe = PipeId(self.next_pipe);
        self.next_pipe += 1;
        self.pipe = Some(pipe);
        let binding = [self.next_pipe as u8; 32];
        for (host, dialer) in self.hosts.iter_mut().zip([true, false]) {
            host.handle(Input::PipeOpened { pipe, dialer, binding });
        }
        self.collect();
    }

    fn cut(&mut self) {
        self.on_the_way = [VecDeque::new(), VecDeque::new()];
        let Some(pipe) = self.pipe.take() else { return };
        for host in &mut self.hosts {
            host.handle(Input::PipeClosed { pipe });
            host.sent.clear();
        }
    }

    /// Takes what both hosts said, and closes the pipe if one of them did.
    fn collect(&mut self) {
        for side in 0..2 {
            for (pipe, bytes) in core::mem::take(&mut self.hosts[side].sent) {
                self.said += bytes.len();
                if Some(pipe) == self.pipe {
                    self.on_the_way[1 - side].push_back(bytes);
                }
            }
        }
        let closed = |host: &Host, pipe| host.closed.contains(&pipe);
        if let Some(pipe) = self.pipe
            && self.hosts.iter().any(|host| closed(host, pipe))
        {
            self.cut();
        }
    }

    fn deliver(&mut self, side: usize, most: usize) {
        let Some(pipe) = self.pipe else { return };
        let Some(mut chunk) = self.on_the_way[side].pop_front() else { return };
        if chunk.len() > most {
            let rest = chunk.split_off(most);
            self.on_the_way[side].push_front(rest);
        }
        self.hosts[side].handle(Input::Received { pipe, bytes: chunk });
        self.collect();
    }

    fn deliver_all(&mut self) {
        for _ in 0..2_000 {
            let waiting = |side: &usize| self.pipe.is_some() && !self.on_the_way[*side].is_empty();
            let Some(side) = (0..2).find(waiting) else { return };
            self.deliver(side, usize::MAX);
        }
        panic!("two nodes talk without end");
    }

    fn write(&mut self, side: usize, urgent: bool) {
        let name = format!("zz{:03}x", self.written.len());
        let record = self.hosts[side].person(&name);
        self.written.push((side, name));
        if urgent {
            let answers = [("age-months", "14"), ("convulsions", "yes")];
            self.hosts[side].visit(record, &answers);
        }
        self.collect();
    }

    fn crash(&mut self, side: usize) {
        let host = &self.hosts[side];
        let again = host.over(host.backup());
        self.hosts[side] = again;
        self.cut();
        self.check();
    }

    /// Nothing that was acknowledged to its author is lost.
    fn check(&mut self) {
        for (side, name) in self.written.clone() {
            assert_eq!(self.hosts[side].found(&name), 1, "{name} is lost");
        }
    }

    /// Heals, meets once more undisturbed, and compares.
    fn finish(&mut self) {
        self.check();
        self.open();
        let pipe = self.pipe;
        self.said = 0;
        for _ in 0..8 {
            self.deliver_all();
            for host in &mut self.hosts {
                host.pass(300);
            }
            self.collect();
        }
        assert!(self.said <= SAID_MAX, "{} bytes said in one contact", self.said);
        let pipe = pipe.expect("opened");
        for host in &self.hosts {
            let events = &host.events;
            assert!(complete(host, pipe), "an undisturbed contact does not end: {events:?}");
        }
        for (_, name) in self.written.clone() {
            for host in &mut self.hosts {
                assert_eq!(host.found(&name), 1, "{name} did not arrive");
            }
        }
        let [a, b] = &mut self.hosts;
        let (a, b) = (a.status(), b.status());
        assert_eq!((a.envelopes, a.statements), (b.envelopes, b.statements));
    }
}

/// A well-formed frame, in or out of turn.
fn injected(wide: usize, narrow: u8) -> Frame {
    let number = wide as u32 % 4;
    let short = ShortId([narrow; 8]);
    match narrow % 12 {
        0 => Frame::WantChain { known: vec![] },
        10 => Frame::Now { digest: [narrow; 16], count: wide as u64 },
        1 => Frame::Ack { number },
        11 => Frame::Refused { number, full: false, logs: [LogId([narrow; 32])].into() },
        2 => Frame::Totals { statements: wide as u64, envelopes: u64::MAX },
        3 => Frame::End { digest: [narrow; 16], all: [narrow; 16] },
        4 => Frame::Batch { number, statements: vec![], runs: vec![] },
        5 => Frame::Summary { statements: vec![], logs: vec![], last: wide.is_multiple_of(2) },
        6 => Frame::Symbols(vec![Symbol([narrow; 12]); wide % 200]),
        7 => Frame::WantSymbols { to: wide as u32 },
        8 => Frame::Differ {
            logs: vec![],
            wanted: vec![short; wide % 9],
            last: wide.is_multiple_of(2),
        },
        _ => Frame::Hello(huza_crdt::session::frame::Bytes(vec![narrow; wide % 200])),
    }
}
