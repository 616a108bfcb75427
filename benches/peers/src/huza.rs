//! huza's nodes, two or three in one process, every byte of every frame between them counted. They
//! carry and read nothing, as a phone in a pocket, but for one that opens and files all it takes; what
//! the transport adds is not in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use huza_crdt::codec;
use huza_crdt::control::{Opening, Scope, Statement, kind};
use huza_crdt::crypto::{Entropy, SealingKey, SigningKey, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Stored, Urgency};
use huza_crdt::id::{AreaTag, Hash, Incarnation, LogId, Origin};
use huza_crdt::limits::{ENVELOPE_ITEMS_TARGET, ERASURE_DELAY_MS};
use huza_crdt::node::{
    Carry, Command, CommandId, Config, Input, Node, Now, Output, PipeId, ReaderState, Reply,
};
use huza_crdt::record::{Document, Edit, card, check, form, pack};
use huza_crdt::session::frame::{Bytes, Channel, Frame, Hello, Run, VERSION, take_frame};
use huza_crdt::store::{MemoryStore, Range, Row, Table};
use huza_crdt::time::{Millis, Stamp};
use huza_crdt::trust::approval::{Approval, JoinRequest, Membership, open_grant};
use huza_crdt::trust::paper::{Centre, Programme};
use huza_crdt::trust::{CatchmentSecret, GrantContent, Issuer, Role};
use huza_simulations::standard::{self, Entry};

use crate::workload::{Cost, DIFFERENCES, Workload, tell};

/// 2026-12-10, when all is written.
const NOW: Now = Now { millis: Millis(0), stamp: Stamp(1_796_900_000) };

/// Envelopes in a batch of the donor.
const BATCH: usize = 256;

pub fn run(work: &Workload) {
    let world = World::new(work);
    let none = BTreeSet::new();
    let all: BTreeSet<usize> = (0..work.changes.len()).collect();
    {
        let [mut a, mut b] = world.nodes(work, &none, [&none, &none]);
        tell("huza", work, "identical", &none, meet(&mut a, &mut b, None));
        tell("huza", work, "repeat", &none, meet(&mut a, &mut b, None));
    }
    for count in DIFFERENCES {
        for (kind, missing) in
            [("newest", work.newest(count)), ("scattered", work.scattered(count))]
        {
            let [mut a, mut b] = world.nodes(work, &missing, [&none, &missing]);
            let cost = meet(&mut a, &mut b, None);
            tell("huza", work, &format!("{kind}-{count}"), &missing, cost);
        }
    }
    {
        let [mut a, mut b] = world.nodes(work, &none, [&none, &all]);
        let first = meet(&mut a, &mut b, None);
        tell("huza", work, "first", &all, first);
        let [mut a, mut b] = world.nodes(work, &none, [&none, &all]);
        let before = meet(&mut a, &mut b, Some(first.all() / 2));
        tell("huza", work, "cut", &all, before.and(meet(&mut a, &mut b, None)));
    }
    {
        let [mut a] = world.nodes(work, &none, [&none]);
        let mut hub = Host::new(world.hub.clone(), [9; 32], open());
        let cost = meet(&mut a, &mut hub, None);
        assert_eq!(hub.rows(Table::Changes).len(), work.changes.len(), "not all is filed");
        assert_eq!(hub.rows(Table::Summaries).len() as u64, work.size.records);
        tell("huza", work, "first-read", &all, cost);
    }
    {
        let missing = work.newest(200);
        let [mut a, mut b, mut c] = world.nodes(work, &missing, [&none, &missing, &missing]);
        let cost = meet(&mut a, &mut b, None).and(meet(&mut b, &mut c, None));
        assert_same(&a, &c);
        tell("huza", work, "ferry-200", &missing, cost);
    }
    let (mut known, steps) = work.steps();
    for step in steps {
        let rest = all.difference(&known).copied().collect::<BTreeSet<_>>();
        known.extend(&step);
        let later = all.difference(&known).copied().collect();
        let [mut a, mut b] = world.nodes(work, &step, [&later, &rest]);
        let cost = meet(&mut a, &mut b, None);
        tell("huza", work, &format!("since-{}", step.len()), &step, cost);
    }
}

/// A phone that writes.
struct Author {
    key: SigningKey,
    log: LogId,
    seal: SymmetricKey,
}

/// A programme, its phones, and what each has written.
struct World {
    statements: Vec<Statement>,
    authors: Vec<Author>,
    items: Vec<Item>,
    donor: (SigningKey, Membership, Vec<Vec<u8>>),
    /// What is on the disks of three devices that joined and met nobody.
    joins: Vec<MemoryStore>,
    /// The same of one that reads all villages.
    hub: MemoryStore,
}

/// A reader that somebody has unlocked.
fn open() -> ReaderState {
    ReaderState::Open { worker: "nurse".to_owned() }
}

impl World {
    fn new(work: &Workload) -> Self {
        let mut entropy = Entropy::new([1; 32]);
        let mut programme = Programme::found("peers", &mut entropy);
        let codes: Vec<String> =
            (0..standard::VILLAGES).map(|village| format!("{village:02}")).collect();
        let mut centre = programme.certify_centre("0512", &codes, NOW.stamp, &mut entropy).unwrap();
        let mut statements = Vec::new();
        let (key, membership, chain, secret) = donor(&mut centre, &mut entropy, &mut statements);
        let mut authors = Vec::new();
        for log in 0..standard::LOGS {
            let village = codes[(log % standard::VILLAGES) as usize].clone();
            let area = secret.area(&village);
            let (author, mut told) = author(&mut centre, &mut entropy, village, area);
            statements.append(&mut told);
            authors.push(Author { seal: secret.key(area, 0), ..author });
        }
        let mut join = |role, reader| {
            let mut node = Host::new(MemoryStore::default(), entropy.draw(), reader);
            let init = Command::Init { label: "device".to_owned() };
            let Some(Reply::Request { request }) = node.call(init) else { panic!("a request") };
            let approval = Approval::of(role, &[]);
            let welcome = centre.approve(&request, &approval, NOW.stamp, &mut entropy).unwrap();
            statements.extend(welcome.statements.iter().cloned());
            assert!(matches!(node.call(Command::Join { welcome }), Some(Reply::Joined { .. })));
            node.store
        };
        let joins = (0..3).map(|_| join(Role::Relay, ReaderState::Absent)).collect();
        let hub = join(Role::Hub, open());
        let mut seen = BTreeSet::new();
        statements.retain(|statement| seen.insert(statement.id()));
        let mut world = Self {
            statements,
            authors,
            items: Vec::new(),
            donor: (key, membership, chain),
            joins,
            hub,
        };
        world.items = (0..work.changes.len()).map(|at| world.item(work, at)).collect();
        world
    }

    /// A change as `AddPerson` and `AddVisit` make it.
    fn item(&self, work: &Workload, at: usize) -> Item {
        let used = &work.changes[at];
        let origin = |at: usize| {
            let used = &work.changes[at];
            let log = usize::try_from(used.change.log).unwrap();
            Origin { log: self.authors[log].log, counter: used.counter }
        };
        let record = origin(work.record(at)).record();
        let worker = work.worker(&used.change);
        let (edits, card) = match &used.change.entry {
            Entry::Person { fields } => {
                let set = |(field, value): (&String, &String)| Edit::Person {
                    field: field.clone(),
                    value: value.clone(),
                };
                (fields.iter().map(set).collect::<Vec<_>>(), Vec::new())
            }
            Entry::Visit { form: id, occurred, answers, .. } => {
                let form = form(id, 1).unwrap();
                let checked = check(form, answers).unwrap();
                let Entry::Person { fields } = &work.changes[work.record(at)].change.entry else {
                    panic!("a person")
                };
                let name = format!("{} {}", fields["name/given"], fields["name/family"]);
                let visit = origin(at).visit();
                let card = card(&form.name(), Some(&name), &checked, (record, visit), *occurred);
                let visit = Edit::Visit {
                    visit,
                    form: form.name(),
                    occurred: *occurred,
                    worker: worker.clone(),
                    answers: checked.answers,
                };
                (vec![visit], card)
            }
        };
        let mut document = Document::new(record);
        let raw = document.write(origin(at), used.change.at, &worker, &edits).unwrap().unwrap();
        Item { record, change: pack(origin(at), &raw).unwrap(), card }
    }

    /// Nodes that hold everything but what each lacks. The changes of `apart` are in envelopes of
    /// their own; eight go into an envelope where so many follow one another.
    fn nodes<const N: usize>(
        &self,
        work: &Workload,
        apart: &BTreeSet<usize>,
        lacking: [&BTreeSet<usize>; N],
    ) -> [Host; N] {
        let mut logs: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
        let groups = |at: usize| lacking.map(|lacks| lacks.contains(&at));
        for (at, used) in work.changes.iter().enumerate() {
            let log = logs.entry(usize::try_from(used.change.log).unwrap()).or_default();
            match log.last_mut() {
                Some(last)
                    if last.len() < ENVELOPE_ITEMS_TARGET
                        && apart.contains(&last[0]) == apart.contains(&at)
                        && groups(last[0]) == groups(at) =>
                {
                    last.push(at);
                }
                _ => log.push(vec![at]),
            }
        }
        let mut envelopes = Vec::new();
        for (log, groups) in logs {
            let author = &self.authors[log];
            let mut previous = Hash([0; 32]);
            for (seq, group) in groups.into_iter().enumerate() {
                let items: Vec<Item> = group.iter().map(|at| self.items[*at].clone()).collect();
                let urgent = items.iter().any(|item| !item.card.is_empty());
                let urgency = if urgent { Urgency::Urgent } else { Urgency::Routine };
                let first = work.changes[group[0]].counter;
                let entropy =
                    *blake3::hash(&[author.log.0.as_slice(), &first.to_le_bytes()].concat())
                        .as_bytes();
                let payload = Payload { origin: None, first, items };
                let seal = Seal::Member(author.seal.clone());
                let sealed = payload.seal(author.log, &seal, urgency, entropy).unwrap();
                let stored = sealed.number(&author.key, author.log, seq as u64, previous);
                previous = stored.wire.header(author.log, seq as u64, previous).hash();
                envelopes.push((author.log, seq as u64, stored, group[0]));
            }
        }
        let mut index = 0;
        lacking.map(|lacks| {
            let mut host = Host::new(
                self.joins[index].clone(),
                [u8::try_from(index).unwrap(); 32],
                ReaderState::Absent,
            );
            index += 1;
            // Who lacks everything is new, and has heard of nobody either.
            if lacks.len() < work.changes.len() {
                let given = envelopes.iter().filter(|(_, _, _, at)| !lacks.contains(at));
                self.give(&mut host, &given.collect::<Vec<_>>());
            }
            host
        })
    }

    /// A member gives a node statements and envelopes, in a session like any other.
    fn give(&self, host: &mut Host, envelopes: &[&(LogId, u64, Stored, usize)]) {
        let (key, membership, chain) = &self.donor;
        let (pipe, binding) = (PipeId(1_000_000), [7; 32]);
        host.handle(Input::PipeOpened { pipe, dialer: false, binding });
        let channel = Channel { binding, dialer: true };
        let certificate = membership.certificate;
        let hello = Hello { version: VERSION, certificate, digest: [0; 16], count: 0, room: 0 };
        let say = |host: &mut Host, frame: &Frame| {
            host.handle(Input::Received { pipe, bytes: frame.to_pipe() });
        };
        say(host, &Frame::Hello(channel.seal_hello(&hello, key, &membership.member, [1; 32])));
        let chain = channel.seal_chain(chain, &membership.member, [2; 32]);
        say(host, &Frame::Chain(chain));
        say(host, &Frame::Summary { statements: vec![], logs: vec![], last: true });
        let mut number = 0;
        for some in self.statements.chunks(BATCH) {
            let statements = some.iter().map(|one| Bytes(one.to_bytes())).collect();
            say(host, &Frame::Batch { number, statements, runs: vec![] });
            number += 1;
        }
        for some in envelopes.chunks(BATCH) {
            let run = |(log, seq, stored, _): &&(LogId, u64, Stored, usize)| Run {
                log: *log,
                first: *seq,
                previous: stored.previous,
                envelopes: vec![stored.wire.clone()],
            };
            let runs = some.iter().map(run).collect();
            say(host, &Frame::Batch { number, statements: vec![], runs });
            number += 1;
        }
        host.handle(Input::PipeClosed { pipe });
        host.sent.clear();
        assert_eq!(host.rows(Table::Envelopes).len(), envelopes.len());
        assert_eq!(host.rows(Table::Statements).len(), self.statements.len());
    }
}

/// A gateway on paper, which knows the keys of all villages.
fn donor(
    centre: &mut Centre,
    entropy: &mut Entropy,
    statements: &mut Vec<Statement>,
) -> (SigningKey, Membership, Vec<Vec<u8>>, CatchmentSecret) {
    let key = SigningKey::from_seed(entropy.draw());
    let sealing = SealingKey::from_seed(entropy.draw());
    let nonce = entropy.draw();
    let request = JoinRequest::new(&key, sealing.public(), ("donor", false), NOW.stamp, nonce);
    let approval = Approval::of(Role::Gateway, &[]);
    let welcome = centre.approve(&request, &approval, NOW.stamp, entropy).unwrap();
    let membership = welcome.open(&sealing).unwrap();
    let certificates = welcome.statements.iter().filter(|one| one.kind() == kind::CERTIFICATE);
    let chain = certificates.map(Statement::to_bytes).collect();
    let grants = welcome.statements.iter().filter(|one| one.kind() == kind::GRANT);
    let secret = grants
        .filter_map(|one| open_grant(&codec::decode(one.body()).ok()?, &sealing).ok())
        .find_map(|content| match content {
            GrantContent::Catchment(secret) => Some(secret),
            GrantContent::Area(_) => None,
        });
    statements.extend(welcome.statements);
    (key, membership, chain, secret.expect("a grant of the catchment"))
}

/// A worker's phone, and what it and its authority say of it.
fn author(
    centre: &mut Centre,
    entropy: &mut Entropy,
    village: String,
    area: AreaTag,
) -> (Author, Vec<Statement>) {
    let key = SigningKey::from_seed(entropy.draw());
    let sealing = SealingKey::from_seed(entropy.draw());
    let nonce = entropy.draw();
    let request = JoinRequest::new(&key, sealing.public(), ("phone", false), NOW.stamp, nonce);
    let approval = Approval::of(Role::Worker, &[village]);
    let welcome = centre.approve(&request, &approval, NOW.stamp, entropy).unwrap();
    let certificate = welcome.open(&sealing).unwrap().certificate;
    let incarnation = Incarnation(entropy.draw());
    let opening = Opening { device: key.public(), certificate, area, incarnation };
    let issuer = Issuer::Certified(certificate);
    let scope = Scope::Catchment(area.catchment());
    let body = (kind::OPENING, codec::encode(&opening));
    let opening = Statement::sign(&key, issuer, (0, Hash([0; 32])), scope, body);
    let log = opening.log();
    let mut statements = welcome.statements;
    statements.push(opening);
    (Author { key, log, seal: SymmetricKey::from_bytes([0; 32]) }, statements)
}

/// A node and the shell around it: a store in memory, work done at once.
struct Host {
    node: Node,
    store: MemoryStore,
    replies: BTreeMap<CommandId, Reply>,
    sent: VecDeque<Vec<u8>>,
    pipes: u64,
}

impl Host {
    fn new(store: MemoryStore, entropy: [u8; 32], reader: ReaderState) -> Self {
        let config = Config {
            entropy,
            life: [1; 16],
            reader,
            erasure_delay_ms: ERASURE_DELAY_MS,
            carry: Carry::default(),
        };
        let (replies, sent) = (BTreeMap::new(), VecDeque::new());
        let mut host = Self { node: Node::new(config, NOW), store, replies, sent, pipes: 0 };
        host.settle();
        host
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(NOW, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.node.poll() {
            let input = match output {
                Output::Load { token, range } => {
                    Input::Loaded { token, rows: self.store.load(&range) }
                }
                Output::Persist { token, batch, .. } => {
                    self.store.apply(&batch);
                    Input::Persisted { token }
                }
                Output::Work { token, job } => Input::Done { token, product: job.run() },
                Output::Send { bytes, .. } => {
                    self.sent.push_back(bytes);
                    continue;
                }
                Output::Reply { id, reply } => {
                    self.replies.insert(id, *reply);
                    continue;
                }
                _ => continue,
            };
            self.node.handle(NOW, input);
        }
    }

    fn call(&mut self, command: Command) -> Option<Reply> {
        let id = CommandId(self.pipes);
        self.pipes += 1;
        self.handle(Input::Command { id, command: Box::new(command) });
        self.replies.remove(&id)
    }

    fn rows(&self, table: Table) -> Vec<Row> {
        let mut range = Range::all(table);
        let mut all = Vec::new();
        loop {
            let page = self.store.load(&range);
            let Some((last, _)) = page.last() else { return all };
            range = range.behind(last);
            all.extend(page);
        }
    }
}

/// A contact, cut after so many bytes if that is said. In each turn a side says all it can.
fn meet(a: &mut Host, b: &mut Host, cut: Option<u64>) -> Cost {
    let start = Instant::now();
    let mut cost = Cost::default();
    let mut payloads = 0;
    a.pipes += 1;
    let pipe = PipeId(a.pipes + 1_000 * b.pipes);
    let binding = *blake3::hash(&pipe.0.to_le_bytes()).as_bytes();
    let mut sides = [a, b];
    for (side, dialer) in sides.iter_mut().zip([true, false]) {
        side.handle(Input::PipeOpened { pipe, dialer, binding });
    }
    let mut whole = true;
    for turn in 0.. {
        let from = turn % 2;
        if sides[from].sent.is_empty() && sides[1 - from].sent.is_empty() {
            break;
        }
        let said: Vec<Vec<u8>> = sides[from].sent.drain(..).collect();
        cost.turns += u64::from(!said.is_empty());
        for mut bytes in said {
            let left = cut.map_or(u64::MAX, |cut| cut - cost.all());
            if bytes.len() as u64 >= left {
                bytes.truncate(usize::try_from(left).unwrap());
                whole = false;
            }
            cost.bytes[from] += bytes.len() as u64;
            payloads += carried(&bytes);
            sides[1 - from].handle(Input::Received { pipe, bytes });
            if !whole {
                break;
            }
        }
        if !whole {
            break;
        }
    }
    for side in &mut sides {
        side.handle(Input::PipeClosed { pipe });
        side.sent.clear();
    }
    cost.millis = start.elapsed().as_millis();
    cost.finding = cost.all() - payloads;
    let [a, b] = sides;
    if whole {
        assert_same(a, b);
    }
    cost
}

/// Bytes of batches in what was said.
fn carried(bytes: &[u8]) -> u64 {
    let mut buffer = bytes.to_vec();
    let mut carried = 0;
    while let Ok(Some(frame)) = take_frame(&mut buffer) {
        if let Ok(Frame::Batch { .. }) = Frame::from_bytes(&frame) {
            carried += 4 + frame.len() as u64;
        }
    }
    carried
}

fn assert_same(a: &Host, b: &Host) {
    let keys = |host: &Host, table| -> Vec<Vec<u8>> {
        host.rows(table).into_iter().map(|(key, _)| key).collect()
    };
    for table in [Table::Envelopes, Table::Statements] {
        assert!(keys(a, table) == keys(b, table), "{table:?} differ");
    }
}
