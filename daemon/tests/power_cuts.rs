//! The power goes at every single write and sync of a contact, on real redb files, the reader's
//! encrypted. What was acknowledged to a user or a peer is there afterwards, and the next contact
//! makes both equal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, VecDeque};

use huza_crdt::crypto::Entropy;
use huza_crdt::node::{
    AreaRef, Carry, Command, CommandId, Config, Event, Input, Node, Now, Output, PipeId,
    ReaderState, Reply, Status,
};
use huza_crdt::store::StoreKind;
use huza_crdt::time::{Millis, Stamp};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::Approval;
use huza_crdt::trust::paper::Programme;
use huza_daemon::store::faulty::{Disk, Faults, Survival};
use huza_daemon::store::{Encrypted, FileKey, Store};
use zeroize::Zeroizing;

/// Both files of a device, as bytes.
#[derive(Clone)]
struct Images {
    carrier: Vec<u8>,
    reader: Vec<u8>,
}

/// The reader's disk, encrypted.
fn encrypted(disk: &Disk) -> Encrypted<Disk> {
    let key = core::array::from_fn(|i| i.to_le_bytes()[0].wrapping_mul(37));
    Encrypted::new(disk.clone(), &FileKey::from_bytes(&Zeroizing::new(key)))
}

/// A node over two redb stores on disks that may lose power.
struct Host {
    node: Node,
    disks: (Disk, Disk),
    stores: Option<(Store, Store)>,
    events: Vec<Event>,
    replies: BTreeMap<CommandId, Reply>,
    sent: VecDeque<Vec<u8>>,
    now: Now,
    commands: u64,
}

impl Host {
    fn create(seed: u8) -> Self {
        let disks = (Disk::default(), Disk::default());
        Store::create_on(StoreKind::Carrier, disks.0.clone()).unwrap().close();
        Store::create_on(StoreKind::Reader, encrypted(&disks.1)).unwrap().close();
        let mut host = Self::over(disks, seed, 0);
        host.call(Command::Init { label: format!("phone {seed}") });
        host
    }

    fn over(disks: (Disk, Disk), seed: u8, boot: u8) -> Self {
        let stores = Store::open_on(StoreKind::Carrier, disks.0.clone()).and_then(|carrier| {
            Ok((carrier, Store::open_on(StoreKind::Reader, encrypted(&disks.1))?))
        });
        let mut entropy = [seed; 32];
        entropy[1] = boot;
        let now = Now { millis: Millis(0), stamp: Stamp(1_795_000_000) };
        let config = Config {
            entropy,
            life: [seed; 16],
            reader: ReaderState::Open { worker: "worker".to_owned() },
            erasure_delay_ms: 0,
            carry: Carry::default(),
        };
        let mut host = Self {
            node: Node::new(config, now),
            disks,
            stores: stores.ok(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            sent: VecDeque::new(),
            now,
            commands: 0,
        };
        host.settle();
        host
    }

    fn images(self) -> Images {
        if let Some((carrier, reader)) = self.stores {
            carrier.close();
            reader.close();
        }
        Images { carrier: self.disks.0.image(), reader: self.disks.1.image() }
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.node.poll() {
            let input = match output {
                Output::Load { token, range } => {
                    match self.store(range.table.store()).map(|store| store.load(&range)) {
                        Some(Ok(rows)) => Input::Loaded { token, rows },
                        _ => failed(range.table.store()),
                    }
                }
                Output::Persist { token, batch, store } => {
                    match self.store(store).map(|found| found.apply(&batch)) {
                        Some(Ok(())) => Input::Persisted { token },
                        _ => failed(store),
                    }
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
                Output::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                _ => continue,
            };
            self.node.handle(self.now, input);
        }
    }

    fn store(&self, kind: StoreKind) -> Option<&Store> {
        let (carrier, reader) = self.stores.as_ref()?;
        Some(if kind == StoreKind::Carrier { carrier } else { reader })
    }

    fn call(&mut self, command: Command) -> Option<Reply> {
        let id = CommandId(self.commands);
        self.commands += 1;
        self.handle(Input::Command { id, command: Box::new(command) });
        self.replies.remove(&id)
    }

    /// Records a person; whether this was acknowledged.
    fn person(&mut self, name: &str) -> bool {
        let fields = BTreeMap::from([("name/given".to_owned(), name.to_owned())]);
        let reply = self.call(Command::AddPerson { area: AreaRef::Own, fields });
        matches!(reply, Some(Reply::Written { .. }))
    }

    fn found(&mut self, name: &str) -> usize {
        match self.call(Command::Find { query: name.to_owned(), limit: 10 }) {
            Some(Reply::Found { records }) => records.len(),
            other => panic!("{other:?}"),
        }
    }

    fn status(&mut self) -> Status {
        match self.call(Command::Status { records: true }) {
            Some(Reply::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }
}

fn failed(store: StoreKind) -> Input {
    Input::StoreFailed { store, why: "the power went".to_owned() }
}

/// A contact, until nothing moves. Whether both sides say it is complete.
fn meet(a: &mut Host, b: &mut Host, pipe: u64) -> bool {
    let pipe = PipeId(pipe);
    a.handle(Input::PipeOpened { pipe, dialer: true, binding: [1; 32] });
    b.handle(Input::PipeOpened { pipe, dialer: false, binding: [1; 32] });
    loop {
        let (from_a, from_b): (Vec<_>, Vec<_>) =
            (a.sent.drain(..).collect(), b.sent.drain(..).collect());
        if from_a.is_empty() && from_b.is_empty() {
            break;
        }
        for bytes in from_a {
            b.handle(Input::Received { pipe, bytes });
        }
        for bytes in from_b {
            a.handle(Input::Received { pipe, bytes });
        }
    }
    a.handle(Input::PipeClosed { pipe });
    b.handle(Input::PipeClosed { pipe });
    let complete = |host: &Host| {
        let same =
            |event: &&Event| matches!(event, Event::ContactComplete { pipe: p, .. } if *p == pipe);
        host.events.iter().rev().find(same).is_some()
    };
    complete(a) && complete(b)
}

/// Two phones of one village, each with something the other lacks.
fn story() -> (Images, Images) {
    let mut entropy = Entropy::new([3; 32]);
    let mut programme = Programme::found("Test", &mut entropy);
    let villages = ["01".to_owned()];
    let mut centre = programme.certify_centre("HC1", &villages, Stamp(1), &mut entropy).unwrap();
    let mut join = |seed| {
        let mut host = Host::create(seed);
        let Some(Reply::Request { request }) = host.call(Command::Request) else { panic!() };
        let welcome = centre
            .approve(
                &request,
                &Approval::of(Role::Worker, &villages),
                Stamp(1_795_000_000),
                &mut entropy,
            )
            .unwrap();
        assert!(matches!(host.call(Command::Join { welcome }), Some(Reply::Joined { .. })));
        host
    };
    let (mut a, mut b) = (join(1), join(2));
    for name in ["Uwase", "Mutesi", "Ingabire"] {
        assert!(a.person(name));
        a.call(Command::Seal);
    }
    assert!(b.person("Keza"));
    (a.images(), b.images())
}

/// What device B does while the power goes at operation `cut` of one of its disks.
fn run(a: &Images, b: &Images, faults: (Faults, Faults)) -> (Host, Host, bool) {
    let disk = |image: &Vec<u8>, faults| Disk::holding(image.clone(), faults);
    let none = Faults::default();
    let mut a = Host::over((disk(&a.carrier, none), disk(&a.reader, none)), 1, 1);
    let mut b = Host::over((disk(&b.carrier, faults.0), disk(&b.reader, faults.1)), 2, 1);
    meet(&mut a, &mut b, 0);
    let acknowledged = b.person("Mukamana");
    meet(&mut a, &mut b, 1);
    (a, b, acknowledged)
}

fn check(a: &Images, b: &Images, on_carrier: bool, cut: u64, survival: Survival) {
    let at = Faults { cut_at: Some(cut), ..Faults::default() };
    let faults = if on_carrier { (at, Faults::default()) } else { (Faults::default(), at) };
    let (mut a, b, acknowledged) = run(a, b, faults);
    let after = |disk: &Disk| disk.after_cut(survival, 512, cut);
    let disks = (after(&b.disks.0), after(&b.disks.1));
    drop(b);
    let mut b = Host::over(disks, 2, 2);
    assert!(b.stores.is_some(), "the files open after a cut at {cut}");
    assert_eq!(b.found("keza"), 1, "written before, cut at {cut}");
    if acknowledged {
        assert_eq!(b.found("mukamana"), 1, "acknowledged to the user, cut at {cut}");
    }
    let taken = a.status().records.iter().filter(|record| record.taken > 0).count();
    let held: usize = ["uwase", "mutesi", "ingabire"].iter().map(|name| b.found(name)).sum();
    let envelopes = usize::try_from(b.status().envelopes).unwrap();
    assert!(envelopes >= taken, "acknowledged to the peer, cut at {cut}: {envelopes} < {taken}");
    assert!(held <= envelopes);
    assert!(meet(&mut a, &mut b, 9), "cut at {cut}, {survival:?} survived");
    for name in ["uwase", "mutesi", "ingabire", "keza"] {
        assert_eq!((a.found(name), b.found(name)), (1, 1), "{name}, cut at {cut}");
    }
    let (a, b) = (a.status(), b.status());
    assert_eq!((a.envelopes, a.statements), (b.envelopes, b.statements), "cut at {cut}");
}

#[test]
fn a_power_cut_at_every_write_and_sync_of_a_contact_loses_nothing_acknowledged() {
    let (a, b) = story();
    let (_, whole, acknowledged) = run(&a, &b, (Faults::default(), Faults::default()));
    assert!(acknowledged);
    let operations = (whole.disks.0.operations(), whole.disks.1.operations());
    println!("{} cuts on the carrier, {} on the reader", operations.0, operations.1);
    assert!(operations.0 > 50 && operations.1 > 50, "{operations:?}");
    std::thread::scope(|scope| {
        for (on_carrier, operations) in [(true, operations.0), (false, operations.1)] {
            let (a, b) = (&a, &b);
            scope.spawn(move || {
                for cut in 1..=operations {
                    for survival in Survival::ALL {
                        check(a, b, on_carrier, cut, survival);
                    }
                }
            });
        }
    });
}
