//! A small world for tests: nodes over memory stores, joined by pipes that deliver at once.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use huza_crdt::crypto::Entropy;
use huza_crdt::id::{Head, RecordId};
use huza_crdt::limits::ERASURE_DELAY_MS;
use huza_crdt::node::{
    Answer, AreaRef, Carry, Command, CommandId, Config, Event, Input, Node, Now, Order, Outgoing,
    Output, PipeId, ReaderState, Reply, Status,
};
use huza_crdt::store::{MemoryStore, StoreKind};
use huza_crdt::time::{Millis, Stamp};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, Welcome};
use huza_crdt::trust::paper::{Centre, Programme};

/// Changes of each record that count.
pub type Known = BTreeMap<RecordId, BTreeSet<Head>>;

pub struct Host {
    pub node: Node,
    pub store: MemoryStore,
    pub facility: BTreeMap<String, String>,
    /// Whether deliveries are left without an answer.
    pub facility_away: bool,
    /// What the facility answers about the resource with this key.
    pub answers: BTreeMap<String, Answer>,
    /// Every delivery, with what the records know.
    pub delivered: Vec<(Vec<Outgoing>, Known)>,
    pub events: Vec<Event>,
    pub replies: BTreeMap<CommandId, Reply>,
    pub sent: VecDeque<(PipeId, Vec<u8>)>,
    pub closed: Vec<PipeId>,
    /// Whether each hint that came was to be passed on.
    pub news_valid: Vec<bool>,
    /// How many peers it seeks.
    pub links: Option<usize>,
    /// Pipes that were opened, ever.
    pub opened: BTreeSet<PipeId>,
    /// Every input and output as a log could show it, if that is wanted.
    pub printed: Option<String>,
    /// What it carries for others, from its next start on.
    pub carry: Carry,
    /// What is to be written and is not yet, if its disk is slow. See [`Host::write_next`].
    pub unwritten: Option<VecDeque<Output>>,
    reader: bool,
    reader_open: bool,
    seed: u8,
    boots: u8,
    life: [u8; 16],
    next_command: u64,
    now: Now,
}

impl Host {
    pub fn new(seed: u8, reader: bool) -> Self {
        let mut host = Self {
            node: Node::new(
                config((seed, 0), reader, [seed; 16], Carry::default()),
                Now::default(),
            ),
            store: MemoryStore::default(),
            facility: BTreeMap::new(),
            facility_away: false,
            answers: BTreeMap::new(),
            delivered: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            sent: VecDeque::new(),
            closed: Vec::new(),
            news_valid: Vec::new(),
            links: None,
            opened: BTreeSet::new(),
            printed: None,
            carry: Carry::default(),
            unwritten: None,
            reader,
            reader_open: reader,
            seed,
            boots: 0,
            life: [seed; 16],
            next_command: 0,
            now: Now { millis: Millis(0), stamp: Stamp(1_795_000_000) },
        };
        host.settle();
        host.call(Command::Init { label: format!("device {seed}") });
        host
    }

    /// What is durable, to go back to.
    pub fn backup(&self) -> MemoryStore {
        self.store.clone()
    }

    /// The same device over other durable content, started again.
    pub fn over(&self, store: MemoryStore) -> Self {
        let mut host = Self {
            node: Node::new(self.config(), self.now),
            store,
            facility: self.facility.clone(),
            facility_away: self.facility_away,
            answers: self.answers.clone(),
            delivered: self.delivered.clone(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            sent: VecDeque::new(),
            closed: Vec::new(),
            news_valid: Vec::new(),
            links: None,
            opened: BTreeSet::new(),
            printed: self.printed.clone(),
            unwritten: None,
            ..*self
        };
        host.restart(false);
        host
    }

    fn config(&self) -> Config {
        config((self.seed, self.boots), self.reader, self.life, self.carry)
    }

    /// Starts again over what is durable, perhaps as a copy.
    pub fn restart(&mut self, copy: bool) {
        self.boots += 1;
        if copy {
            self.life = [self.boots ^ 0x80; 16];
        }
        self.reader_open = self.reader;
        self.node = Node::new(self.config(), self.now);
        self.sent.clear();
        self.settle();
    }

    pub fn handle(&mut self, input: Input) {
        if let Input::PipeOpened { pipe, .. } = &input {
            self.opened.insert(*pipe);
        }
        self.print(&input);
        self.node.handle(self.now, input);
        self.settle();
    }

    /// Several inputs, before anything that the node wants of the first is done.
    pub fn handle_at_once(&mut self, inputs: Vec<Input>) {
        for input in inputs {
            self.node.handle(self.now, input);
        }
        self.settle();
    }

    /// What has waited longest to be written is durable now.
    pub fn write_next(&mut self) {
        let next = self.unwritten.as_mut().and_then(VecDeque::pop_front);
        if let Some(Output::Persist { token, batch, .. }) = next {
            self.store.apply(&batch);
            self.handle(Input::Persisted { token });
        }
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.millis = self.now.millis.plus(ms);
        self.handle(Input::Tick);
    }

    fn settle(&mut self) {
        while let Some(output) = self.node.poll() {
            self.print(&output);
            let input = match output {
                Output::CloseReader => {
                    self.reader_open = false;
                    continue;
                }
                Output::Load { token, range } => {
                    let reads = range.table.store() == StoreKind::Reader;
                    assert!(self.reader_open || !reads, "it is closed: {range:?}");
                    Input::Loaded { token, rows: self.store.load(&range) }
                }
                Output::Persist { .. } if self.unwritten.is_some() => {
                    self.unwritten.as_mut().unwrap().push_back(output);
                    continue;
                }
                Output::Persist { token, batch, store } => {
                    assert!(batch.0.iter().all(|op| op.table().store() == store), "{batch:?}");
                    assert!(self.reader_open || store == StoreKind::Carrier);
                    self.store.apply(&batch);
                    Input::Persisted { token }
                }
                Output::Work { token, job } => Input::Done { token, product: job.run() },
                Output::Deliver { .. } if self.facility_away => continue,
                Output::Deliver { token, resources, known } => {
                    for one in &resources {
                        match &one.text {
                            Some(text) => self.facility.insert(one.key.clone(), text.clone()),
                            None => self.facility.remove(&one.key),
                        };
                    }
                    let answer = |one: &Outgoing| {
                        Some((one.key.clone(), self.answers.get(&one.key)?.clone()))
                    };
                    let answers = resources.iter().filter_map(answer).collect();
                    self.delivered.push((resources, known));
                    Input::Delivered { token, answers }
                }
                Output::Scrub { token, .. } => Input::Scrubbed { token },
                Output::Send { pipe, bytes } => {
                    self.sent.push_back((pipe, bytes));
                    continue;
                }
                Output::Close { pipe } => {
                    self.closed.push(pipe);
                    continue;
                }
                Output::NewsValid { valid, .. } => {
                    self.news_valid.push(valid);
                    continue;
                }
                Output::Links { wanted } => {
                    self.links = Some(wanted);
                    continue;
                }
                Output::Reply { id, reply } => {
                    self.replies.insert(id, *reply);
                    continue;
                }
                Output::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                _ => continue,
            };
            self.print(&input);
            self.node.handle(self.now, input);
        }
    }

    fn print(&mut self, it: &impl std::fmt::Debug) {
        if let Some(printed) = &mut self.printed {
            *printed += &format!("{it:?}\n");
        }
    }

    pub fn call(&mut self, command: Command) -> Reply {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.handle(Input::Command { id, command: Box::new(command) });
        self.replies.remove(&id).expect("an answer")
    }

    /// Gives several commands before anything that the node wants of the first is done.
    pub fn call_at_once(&mut self, commands: Vec<Command>) {
        for command in commands {
            let id = CommandId(self.next_command);
            self.next_command += 1;
            self.node.handle(self.now, Input::Command { id, command: Box::new(command) });
        }
        self.settle();
    }

    pub fn status(&mut self) -> Status {
        match self.call(Command::Status { records: true }) {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub fn person(&mut self, name: &str) -> huza_crdt::id::RecordId {
        let fields = BTreeMap::from([
            ("name/given".to_owned(), name.to_owned()),
            ("sex".to_owned(), "female".to_owned()),
        ]);
        match self.call(Command::AddPerson { area: AreaRef::Own, fields }) {
            Reply::Written { record, .. } => record,
            other => panic!("{other:?}"),
        }
    }

    pub fn visit(&mut self, record: huza_crdt::id::RecordId, answers: &[(&str, &str)]) -> Reply {
        let answers = answers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.call(Command::AddVisit {
            record,
            form: "sick-child".to_owned(),
            occurred: Stamp(1_795_000_000),
            answers,
        })
    }

    pub fn show(&mut self, record: huza_crdt::id::RecordId) -> Option<String> {
        match self.call(Command::Show { record }) {
            Reply::Shown { record } => Some(record),
            Reply::Error(_) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Gives an order to an authority device.
    pub fn order(&mut self, order: Order) -> Reply {
        self.call(Command::Order(Box::new(order)))
    }

    pub fn lock(&mut self) {
        assert_eq!(self.call(Command::Lock), Reply::Locked);
        assert!(!self.reader_open, "the shell was told to close it");
    }

    pub fn unlock(&mut self, worker: &str) {
        self.reader_open = true;
        self.handle(Input::ReaderOpened { worker: worker.to_owned() });
    }

    /// Starts again with the reader locked.
    pub fn start_locked(&mut self) {
        self.boots += 1;
        let mut config = self.config();
        config.reader = ReaderState::Locked;
        self.reader_open = false;
        self.node = Node::new(config, self.now);
        self.sent.clear();
        self.settle();
    }

    /// The same, of a copy.
    pub fn start_locked_as_copy(&mut self) {
        self.life = [self.seed ^ 0x80; 16];
        self.start_locked();
    }

    /// A row of the carrier's single values.
    pub fn row(&self, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
        use huza_crdt::store::{Range, Table};
        let rows = self.store.load(&Range::all(Table::CarrierMeta));
        rows.into_iter().find(|(at, _)| at == key).unwrap()
    }

    /// Both clocks go on for as long as an order to erase is held before it is carried out.
    pub fn wait_for_erasures(&mut self) {
        self.days_pass(i64::try_from(ERASURE_DELAY_MS / 86_400_000).unwrap());
        self.pass(ERASURE_DELAY_MS);
    }

    /// The wall clock goes on.
    pub fn days_pass(&mut self, days: i64) {
        self.now.stamp.0 += days * 86_400;
    }

    /// Puts everything that another device carries into this one's store, as a thief with both
    /// files could, and starts again.
    pub fn steal_envelopes(&mut self, other: &MemoryStore) {
        use huza_crdt::store::{Batch, Range, Table};
        let mut batch = Batch::default();
        for table in [Table::Envelopes, Table::Ingest, Table::Frontiers, Table::Statements] {
            for (key, value) in other.load(&Range::all(table)) {
                batch.put(table, key, value);
            }
        }
        for (key, value) in other.load(&Range::all(Table::CarrierMeta)) {
            if key == b"next-ingest" {
                batch.put(Table::CarrierMeta, key, value);
            }
        }
        batch.delete(Table::ReaderMeta, *b"cursor");
        self.store.apply(&batch);
        self.restart(false);
    }

    /// The first record found, as JSON.
    pub fn first_record(&mut self, query: &str) -> String {
        let Reply::Found { records } =
            self.call(Command::Find { query: query.to_owned(), limit: 1 })
        else {
            panic!()
        };
        self.show(records[0].record).unwrap()
    }

    pub fn rolled(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Rolled { .. }))
    }

    pub fn found(&mut self, query: &str) -> usize {
        match self.call(Command::Find { query: query.to_owned(), limit: 100 }) {
            Reply::Found { records } => records.len(),
            other => panic!("{other:?}"),
        }
    }
}

/// The date on which the tests take place.
pub const TODAY: Stamp = Stamp(1_795_000_000);

fn config((seed, boots): (u8, u8), reader: bool, life: [u8; 16], carry: Carry) -> Config {
    let mut entropy = [seed; 32];
    entropy[0] = boots;
    let worker = "worker 1".to_owned();
    let reader = if reader { ReaderState::Open { worker } } else { ReaderState::Absent };
    Config { entropy, life, reader, erasure_delay_ms: ERASURE_DELAY_MS, carry }
}

pub struct World {
    pub centre: Centre,
    pub entropy: Entropy,
    pub programme: Programme,
    next_pipe: u64,
}

impl World {
    pub fn new() -> Self {
        Self::of("HC1", &["01", "02"])
    }

    pub fn of(catchment: &str, villages: &[&str]) -> Self {
        let mut entropy = Entropy::new([42; 32]);
        let mut programme = Programme::found("Test", &mut entropy);
        let villages: Vec<String> = villages.iter().map(|v| (*v).to_owned()).collect();
        let centre = programme.certify_centre(catchment, &villages, TODAY, &mut entropy).unwrap();
        Self { centre, entropy, programme, next_pipe: 0 }
    }

    /// Another health centre of the programme approves devices from now on; this one is returned.
    pub fn other_centre(&mut self, code: &str, villages: &[&str]) -> Centre {
        let villages: Vec<String> = villages.iter().map(|v| (*v).to_owned()).collect();
        let centre = self.programme.certify_centre(code, &villages, TODAY, &mut self.entropy);
        std::mem::replace(&mut self.centre, centre.unwrap())
    }

    /// A world whose pipes have numbers from `next_pipe`.
    pub fn pipes_from(next_pipe: u64) -> Self {
        Self { next_pipe, ..Self::new() }
    }

    pub fn device(&mut self, seed: u8, role: Role, villages: &[&str]) -> Host {
        let mut host = Host::new(seed, role != Role::Relay);
        self.join(&mut host, role, villages);
        host
    }

    pub fn join(&mut self, host: &mut Host, role: Role, villages: &[&str]) {
        let welcome = self.welcome(host, role, villages);
        let reply = host.call(Command::Join { welcome });
        assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
    }

    /// The answer to a host's request.
    pub fn welcome(&mut self, host: &mut Host, role: Role, villages: &[&str]) -> Welcome {
        let Reply::Request { request } = host.call(Command::Request) else { panic!() };
        let villages: Vec<String> = villages.iter().map(|v| (*v).to_owned()).collect();
        let approval = Approval::of(role, &villages);
        self.centre.approve(&request, &approval, TODAY, &mut self.entropy).unwrap()
    }

    /// Opens a pipe between two hosts.
    pub fn open(&mut self, a: &mut Host, b: &mut Host) -> PipeId {
        let pipe = PipeId(self.next_pipe);
        self.next_pipe += 1;
        let binding = [u8::try_from(pipe.0).unwrap_or(255); 32];
        a.handle(Input::PipeOpened { pipe, dialer: true, binding });
        b.handle(Input::PipeOpened { pipe, dialer: false, binding });
        pipe
    }

    /// Carries bytes both ways until nothing moves or `bytes_max` have been carried.
    pub fn carry(a: &mut Host, b: &mut Host, mut bytes_max: usize) -> usize {
        let mut carried = 0;
        loop {
            let mut moved = false;
            for (from, to) in [(0, 1), (1, 0)] {
                let hosts: [&mut Host; 2] = [&mut *a, &mut *b];
                let known = hosts[to].opened.clone();
                let (taken, kept) =
                    hosts[from].sent.drain(..).partition(|(pipe, _)| known.contains(pipe));
                let taken: VecDeque<_> = taken;
                hosts[from].sent = kept;
                for (pipe, mut bytes) in taken {
                    bytes.truncate(bytes_max);
                    if bytes.is_empty() {
                        return carried;
                    }
                    bytes_max -= bytes.len();
                    carried += bytes.len();
                    moved = true;
                    let hosts: [&mut Host; 2] = [&mut *a, &mut *b];
                    let [x, y] = hosts;
                    let target = if to == 0 { x } else { y };
                    target.handle(Input::Received { pipe, bytes });
                }
            }
            if !moved {
                return carried;
            }
        }
    }

    /// A whole contact.
    pub fn meet(&mut self, a: &mut Host, b: &mut Host) -> PipeId {
        let pipe = self.open(a, b);
        Self::carry(a, b, usize::MAX);
        a.handle(Input::PipeClosed { pipe });
        b.handle(Input::PipeClosed { pipe });
        pipe
    }
}

pub fn complete(host: &Host, wanted: PipeId) -> bool {
    host.events
        .iter()
        .any(|event| matches!(event, Event::ContactComplete { pipe, .. } if *pipe == wanted))
}
