//! A host: a node, its disk, its clocks. What an operating system and a device would be.

use std::collections::BTreeSet;

use huza_crdt::id::CertId;
use huza_crdt::node::{Carry, Config, Input, Node, Now, Output, ReaderState};
use huza_crdt::store::Table;
use huza_crdt::time::{Millis, Stamp};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::Membership;

use crate::disk::{Disk, Durable};
use crate::draw::Draw;

/// A host of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u32);

/// Where a host belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// A member of the programme under test.
    Member,
    /// A member of another programme.
    Foreign,
    /// It never joined any.
    Nobody,
}

/// What a host is, whatever happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) label: String,
    pub(crate) belonging: Belonging,
    pub(crate) role: Role,
    /// Index of its health centre.
    pub(crate) catchment: u64,
    /// Numbers of the villages it may read.
    pub(crate) covers: BTreeSet<u64>,
}

impl Nature {
    /// Whether it has a reader.
    pub(crate) fn reads(&self) -> bool {
        self.role != Role::Relay
    }

    /// Whether it is carried about.
    pub(crate) const fn is_phone(&self) -> bool {
        matches!(self.role, Role::Worker | Role::Relay)
    }
}

/// A copy of a host's stores.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) durable: Durable,
}

/// Wall time when the simulated world begins: 2026-11-23T08:15:00Z.
pub(crate) const BEGIN: i64 = 1_795_421_700;

/// The reader's store, as the shell has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Its key is there.
    Open,
    /// Nobody has unlocked it: whatever is asked of it is refused.
    Locked,
}

/// A host.
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) nature: Nature,
    pub(crate) disk: Disk,
    pub(crate) snapshot: Option<Snapshot>,
    /// Its certificate, once issued.
    pub(crate) certificate: Option<CertId>,
    /// A token that a copy of the stores does not bring along.
    pub(crate) life: [u8; 16],
    /// False once it is destroyed.
    pub(crate) exists: bool,
    /// Whether the node said that it serves.
    pub(crate) ready: bool,
    /// Whether the node gave up because a store failed.
    pub(crate) stopped: bool,
    /// Whether its disk has no room for another write.
    pub(crate) full: bool,
    /// Counts its starts.
    pub(crate) run: u32,
    /// When the node is to be woken next.
    pub(crate) wake: Option<u64>,
    /// When each store told of a batch last: answers keep their order.
    pub(crate) told: [u64; 2],
    /// Whether an older copy of the carrier's store, alone, took its place.
    pub(crate) reader_is_ahead: bool,
    /// How the shell has the reader.
    pub(crate) reader: Reader,
    /// Ticks without time going on.
    pub(crate) idle_ticks: u32,
    /// Seconds by which its wall clock is wrong.
    pub(crate) skew_seconds: i64,
    /// For how long it holds an order to erase before it carries it out.
    pub(crate) erasure_delay_ms: u64,
    /// How much it carries for others.
    pub(crate) carry: Carry,
    node: Option<Node>,
    /// See [`Self::name`].
    name: String,
    started: u64,
    /// What its monotonic clock showed when it started.
    clock: u64,
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Host({})", self.name())
    }
}

impl Host {
    pub(crate) fn new(
        id: HostId,
        nature: Nature,
        (erasure_delay_ms, carry): (u64, Carry),
        draw: &mut Draw,
    ) -> Self {
        Self {
            id,
            name: format!("{}.0", nature.label),
            nature,
            disk: Disk::default(),
            snapshot: None,
            certificate: None,
            life: draw.bytes(),
            exists: true,
            ready: false,
            stopped: false,
            full: false,
            run: 0,
            wake: None,
            told: [0; 2],
            reader_is_ahead: false,
            reader: Reader::Open,
            idle_ticks: 0,
            skew_seconds: 0,
            erasure_delay_ms,
            carry,
            node: None,
            started: 0,
            clock: 0,
        }
    }

    /// Its label and run, for logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.node.is_some()
    }

    /// Its certificate, as its disk says.
    pub(crate) fn read_certificate(&mut self) {
        let row = self.disk.durable.value(Table::CarrierMeta, b"membership");
        let membership = row.and_then(|row| huza_crdt::codec::decode::<Membership>(row).ok());
        self.certificate = membership.map(|membership| membership.certificate);
    }

    pub(crate) fn is_member(&self) -> bool {
        self.nature.belonging == Belonging::Member
    }

    /// Begins a run. The node has outputs to be drained.
    pub(crate) fn start(&mut self, now: u64, draw: &mut Draw) {
        self.run += 1;
        self.name = format!("{}.{}", self.nature.label, self.run);
        self.ready = false;
        self.stopped = false;
        self.wake = None;
        self.told = [now; 2];
        self.started = now;
        self.clock = draw.below(1 << 32);
        self.read_certificate();
        let config = Config {
            entropy: draw.bytes(),
            life: self.life,
            reader: self.reader_state(),
            erasure_delay_ms: self.erasure_delay_ms,
            carry: self.carry,
        };
        self.node = Some(Node::new(config, self.now(now)));
    }

    /// What a node of this host is told of its reader.
    pub(crate) fn reader_state(&self) -> ReaderState {
        match self.reader {
            _ if !self.nature.reads() => ReaderState::Absent,
            Reader::Open => ReaderState::Open { worker: self.worker() },
            Reader::Locked => ReaderState::Locked,
        }
    }

    /// Who unlocks it.
    pub(crate) fn worker(&self) -> String {
        format!("worker-{}", self.id.0)
    }

    /// Ends the run at once. The disk is the caller's to crash.
    pub(crate) fn stop(&mut self) {
        self.node = None;
        self.ready = false;
        self.wake = None;
    }

    /// Both clocks of the host at a time of the world.
    pub(crate) fn now(&self, now: u64) -> Now {
        let millis = Millis(self.clock.saturating_add(now.saturating_sub(self.started)));
        let seconds = i64::try_from(now / 1_000).unwrap_or_default();
        Now {
            millis,
            stamp: Stamp(BEGIN.saturating_add(seconds).saturating_add(self.skew_seconds)),
        }
    }

    /// Gives the node an input and takes all its outputs.
    pub(crate) fn handle(&mut self, now: u64, input: Input) -> Vec<Output> {
        let time = self.now(now);
        let Some(node) = &mut self.node else { return Vec::new() };
        node.handle(time, input);
        self.drain()
    }

    /// Takes all outputs.
    pub(crate) fn drain(&mut self) -> Vec<Output> {
        let Some(node) = &mut self.node else { return Vec::new() };
        core::iter::from_fn(|| node.poll()).collect()
    }

    /// When the node wants to be woken, in the time of the world.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let deadline = self.node.as_ref()?.deadline()?;
        Some(self.started.saturating_add(deadline.0.saturating_sub(self.clock)))
    }
}
