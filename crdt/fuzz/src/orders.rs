//! Operation lists over an authority device, a hub, two phones and a member that lies: orders,
//! locked readers, restarts, cut contacts. Whatever happens, no node panics or talks without end,
//! nobody loses what was acknowledged and neither erased nor set apart, and those who remain
//! members agree in the end.

use huza_crdt::codec;
use huza_crdt::control::{Admission, CutOff, Reason, Revocation, Scope, kind};
use huza_crdt::id::{Hash, LogId};
use huza_crdt::node::{Command, CommandId, Event, Input, Order, Reply};
use huza_crdt::session::frame::{Bytes, Frame};
use huza_crdt::store::MemoryStore;
use huza_crdt::trust::Role;

use super::common::{Host, World, complete};
use super::raw_peer::{RawPeer, batch};

const AUTHORITY: usize = 0;
const HUB: usize = 1;
const ANN: usize = 2;
const BEN: usize = 3;

/// Most operations of one run.
const OPERATIONS_MAX: usize = 40;

/// Most bytes said in one contact.
const SAID_MAX: usize = 1_000_000;

/// The cast, and where a run starts from.
pub struct Cast {
    hosts: Vec<Host>,
    stores: Vec<MemoryStore>,
    liar: RawPeer,
}

impl Default for Cast {
    fn default() -> Self {
        Self::new()
    }
}

struct Run {
    world: World,
    hosts: Vec<Host>,
    liar: RawPeer,
    liars_log: Option<LogId>,
    locked: Vec<bool>,
    /// Whose, name.
    written: Vec<(usize, String)>,
    /// Whether anybody was revoked, anything rejected or erased.
    disturbed: bool,
    next_id: u64,
}

impl Cast {
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        let mut hosts = vec![
            world.device(1, Role::Authority, &[]),
            world.device(2, Role::Hub, &[]),
            world.device(3, Role::Worker, &["01"]),
            world.device(4, Role::Worker, &["01"]),
        ];
        let liar = RawPeer::join(&mut world, 5, Role::Worker, "01");
        hosts[ANN].person("zza");
        hosts[BEN].person("zzb");
        let mut cast = Run::over(world, hosts, liar);
        cast.gather();
        let stores = cast.hosts.iter().map(Host::backup).collect();
        Self { hosts: cast.hosts, stores, liar: cast.liar }
    }

    /// Interprets `operations` (what, who, number), then checks everything.
    pub fn run(&self, operations: &[(u8, u8, u8)]) {
        let over = self.hosts.iter().zip(&self.stores);
        let hosts = over.map(|(host, store)| host.over(store.clone())).collect();
        let mut run = Run::over(World::pipes_from(1_000_000), hosts, self.liar.again());
        run.written = vec![(ANN, "zza".to_owned()), (BEN, "zzb".to_owned())];
        for (what, who, number) in operations.iter().take(OPERATIONS_MAX) {
            run.step(*what, usize::from(*who), *number);
        }
        run.finish();
    }

    /// Bytes as operations.
    pub fn fuzz(&self, bytes: &[u8]) {
        let all: Vec<(u8, u8, u8)> = bytes
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[what, who, number]| (*what, *who, *number))
            .collect();
        self.run(&all);
    }
}

impl Run {
    fn over(world: World, hosts: Vec<Host>, liar: RawPeer) -> Self {
        let locked = vec![false; hosts.len()];
        let (written, disturbed) = (Vec::new(), false);
        Self { world, hosts, liar, liars_log: None, locked, written, disturbed, next_id: 1 << 32 }
    }

    fn step(&mut self, what: u8, who: usize, number: u8) {
        let host = who % self.hosts.len();
        let other = usize::from(number) % self.hosts.len();
        match what % 16 {
            0..=3 if host != other => self.meet(host, other, usize::MAX),
            4 if host != other => self.meet(host, other, usize::from(number) * 40),
            5 | 6 => self.write(host, number),
            7 => self.restart(host),
            8 => self.lock(host, number & 1 == 0),
            9 => self.order(Order::Rotate { village: (number & 1 == 0).then(|| "01".to_owned()) }),
            10 => self.revoke(other, number),
            11 => self.judge(number),
            12 => self.erase(number),
            13 => self.hosts[host].pass(u64::from(number) * 300),
            14 | 15 => self.lie(host, who as u8, number),
            _ => {}
        }
    }

    fn meet(&mut self, one: usize, other: usize, bytes_max: usize) {
        let (low, high) = (one.min(other), one.max(other));
        let (left, right) = self.hosts.split_at_mut(high);
        let (a, b) = (&mut left[low], &mut right[0]);
        let pipe = self.world.open(a, b);
        let carried = World::carry(a, b, bytes_max);
        assert!(carried <= SAID_MAX, "{carried} bytes in one contact");
        for host in [a, b] {
            host.handle(Input::PipeClosed { pipe });
            host.sent.clear();
        }
    }

    fn call(&mut self, host: usize, command: Command) -> Option<Reply> {
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.hosts[host].handle(Input::Command { id, command: Box::new(command) });
        self.hosts[host].replies.remove(&id)
    }

    fn order(&mut self, order: Order) {
        let _reply = self.call(AUTHORITY, Command::Order(Box::new(order)));
    }

    fn write(&mut self, host: usize, number: u8) {
        if host < ANN || self.locked[host] {
            return;
        }
        let name = format!("zz{:03}x", self.written.len());
        let fields = [("name/given", name.as_str()), ("sex", "female")];
        let fields = fields.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let area = huza_crdt::node::AreaRef::Own;
        if let Some(Reply::Written { record, .. }) =
            self.call(host, Command::AddPerson { area, fields })
        {
            self.written.push((host, name));
            if number & 3 == 0 {
                let answers = [("age-months", "14"), ("convulsions", "yes")];
                self.hosts[host].visit(record, &answers);
            }
        }
    }

    fn restart(&mut self, host: usize) {
        if self.locked[host] {
            self.hosts[host].start_locked();
        } else {
            self.hosts[host].restart(false);
        }
    }

    fn lock(&mut self, host: usize, lock: bool) {
        if lock == self.locked[host] {
            return;
        }
        if lock {
            // A reader that has still something to seal is locked a little later.
            self.locked[host] = self.call(host, Command::Lock) == Some(Reply::Locked);
            if !self.locked[host] {
                self.hosts[host].restart(false);
            }
        } else {
            self.hosts[host].unlock("worker 2");
            self.locked[host] = false;
        }
    }

    fn revoke(&mut self, whom: usize, number: u8) {
        if whom == AUTHORITY || self.locked[AUTHORITY] {
            return;
        }
        self.disturbed = true;
        let certificate = match number & 8 {
            0 => self.hosts[whom].status().certificate.expect("joined"),
            _ => self.liar.membership.certificate,
        };
        let (trust, rotate) = (number & 4 == 0, number & 16 == 0);
        self.order(Order::Revoke { certificate, reason: Reason::Lost, trust, rotate });
    }

    fn judge(&mut self, number: u8) {
        if self.locked[AUTHORITY] {
            return;
        }
        let found = self.hosts[AUTHORITY].status().quarantined;
        let Some(one) = found.get(usize::from(number) % found.len().max(1)) else { return };
        let (log, from) = (one.log, one.runs[0].0);
        self.disturbed = true;
        self.order(Order::Judge { log, from, to: None, admit: number & 1 == 0 });
    }

    fn erase(&mut self, number: u8) {
        if self.locked[AUTHORITY] {
            return;
        }
        let found = self.call(AUTHORITY, Command::Find { query: "zz".to_owned(), limit: 50 });
        let Some(Reply::Found { records }) = found else { return };
        if let Some(one) = records.get(usize::from(number) % records.len().max(1)) {
            self.disturbed = true;
            self.order(Order::Erase { record: one.record });
        }
    }

    /// A member says something it may or may not say.
    fn lie(&mut self, host: usize, what: u8, number: u8) {
        let pipe = self.liar.meet(&mut self.hosts[host]);
        let frame = self.lying(what, number);
        self.liar.say(&mut self.hosts[host], pipe, &frame);
        if number & 32 != 0 {
            self.liar.say(&mut self.hosts[host], pipe, &frame);
        }
        let said: usize = self.hosts[host].sent.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(said <= SAID_MAX, "{said} bytes said to a liar");
        self.hosts[host].sent.clear();
        self.hosts[host].handle(Input::PipeClosed { pipe });
    }

    fn lying(&mut self, what: u8, number: u8) -> Frame {
        let area = self.liar.area;
        let scope = Scope::Catchment(area.catchment());
        let own = self.liar.membership.certificate;
        match what % 9 {
            0 => {
                let opening = self.liar.opening(area, number);
                self.liars_log = Some(opening.log());
                let one = self.liar.envelope(opening.log(), 0, Hash([0; 32]));
                batch(0, &[&opening], &[(opening.log(), 0, &one)])
            }
            1 => {
                let log = self.liars_log.unwrap_or(LogId([number; 32]));
                let one = self.liar.envelope(log, u64::from(number % 4), Hash([number; 32]));
                batch(0, &[], &[(log, u64::from(number % 4), &one)])
            }
            2 => {
                let log = self.liars_log.unwrap_or(LogId([number; 32]));
                let logs = vec![CutOff { log, to: u64::from(number), end: Hash([1; 32]) }];
                let (reason, statements) = (Reason::Misused, Vec::new());
                let body = Revocation { certificate: own, reason, logs, statements };
                let body = codec::encode(&body);
                batch(0, &[&self.liar.statement(Scope::Programme, kind::REVOCATION, body)], &[])
            }
            3 => {
                let log = self.liars_log.unwrap_or(LogId([number; 32]));
                let body =
                    Admission { log, from: 0, to: u64::MAX, end: Hash([1; 32]), admit: true };
                let body = codec::encode(&body);
                batch(0, &[&self.liar.statement(scope, kind::ADMISSION, body)], &[])
            }
            4 => {
                let statement = self.liar.statement(scope, number, vec![what; usize::from(number)]);
                batch(0, &[&statement], &[])
            }
            5 => Frame::Revoked(Bytes(vec![what; usize::from(number)])),
            6 => Frame::Totals { statements: u64::MAX, envelopes: u64::from(number) },
            7 => Frame::End { digest: [number; 16], all: [number; 16] },
            _ => Frame::Ack { number: u32::from(number) },
        }
    }

    /// Everybody meets the hub, often enough.
    fn gather(&mut self) {
        for _ in 0..3 {
            for host in [AUTHORITY, ANN, BEN] {
                self.meet(host, HUB, usize::MAX);
                self.hosts[host].pass(300);
                self.hosts[HUB].pass(300);
            }
        }
    }

    fn finish(&mut self) {
        for host in 0..self.hosts.len() {
            self.lock(host, false);
        }
        self.gather();
        self.gather();
        for host in 0..self.hosts.len() {
            for event in &self.hosts[host].events {
                assert!(!matches!(event, Event::Stopped { .. }), "{event:?}");
            }
        }
        let remaining: Vec<usize> = (0..self.hosts.len())
            .filter(|host| self.hosts[*host].status().revoked.is_none())
            .collect();
        assert!(remaining.contains(&AUTHORITY));
        if !remaining.contains(&HUB) {
            return;
        }
        let said = |host: &mut Host| {
            let status = host.status();
            (status.statements, status.envelopes)
        };
        let expected = said(&mut self.hosts[AUTHORITY]);
        for host in remaining.iter().copied().filter(|host| *host != HUB) {
            let (left, right) = self.hosts.split_at_mut(HUB.max(host));
            let (a, b) = (&mut left[HUB.min(host)], &mut right[0]);
            let pipe = self.world.open(a, b);
            World::carry(a, b, usize::MAX);
            for _ in 0..4 {
                for one in [&mut *a, &mut *b] {
                    one.pass(300);
                }
                World::carry(a, b, usize::MAX);
            }
            assert!(complete(a, pipe) && complete(b, pipe), "those who remain agree");
            for one in [a, b] {
                one.handle(Input::PipeClosed { pipe });
                one.sent.clear();
            }
            assert_eq!(said(&mut self.hosts[host]).1, expected.1);
        }
        if !self.disturbed {
            for (_, name) in self.written.clone() {
                for host in remaining.iter().copied() {
                    assert_eq!(self.hosts[host].found(&name), 1, "{name} at {host}");
                }
            }
        }
    }
}
