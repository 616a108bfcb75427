//! A field of many devices, with ideal disks and pipes: for questions of days and bytes rather
//! than of faults. The nodes are the real ones and so are the bytes between them; a contact takes
//! place at one moment.

use std::collections::{BTreeMap, VecDeque};

use huza_crdt::codec;
use huza_crdt::crypto::Entropy;
use huza_crdt::envelope::Stored;
use huza_crdt::limits::ERASURE_DELAY_MS;
use huza_crdt::node::{
    Carry, Command, CommandId, Config, Event, Input, Node, Now, Output, PipeId, ReaderState, Reply,
};
use huza_crdt::session::frame::Frame;
use huza_crdt::store::{Batch, MemoryStore, Op, Range, Row, StoreKind, Table};
use huza_crdt::time::{Millis, Stamp};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, JoinRequest, Welcome};
use huza_crdt::trust::paper::{Centre, Programme};

use crate::draw::Draw;
use crate::host::BEGIN;

/// Most parcels that one contact exchanges. // guess: far above what is measured
const PARCELS_MAX: usize = 200_000;

/// What the shell of a device does with what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Habit {
    /// What it should.
    #[default]
    Honest,
    /// Gives nothing of what it holds.
    Hoards,
    /// Forgets the envelopes that it acknowledges and vouches for.
    Forgets,
    /// Changes the signed fields of what it carries for others.
    Edits,
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    node: Node,
    pub(crate) store: MemoryStore,
    pub(crate) events: Vec<Event>,
    replies: BTreeMap<CommandId, Reply>,
    sent: VecDeque<(PipeId, Vec<u8>)>,
    closed: Vec<PipeId>,
    /// Keys of the envelopes that have become durable here and were not looked at.
    stored: Vec<Vec<u8>>,
    pub(crate) bytes_sent: u64,
    pub(crate) habit: Habit,
    commands: u64,
    now: Now,
}

impl Device {
    fn new((reads, carry): (bool, Carry), worker: &str, draw: &mut Draw, now: Now) -> Self {
        let open = ReaderState::Open { worker: worker.to_owned() };
        let reader = if reads { open } else { ReaderState::Absent };
        let (entropy, life) = (draw.bytes(), draw.bytes());
        let config = Config { entropy, life, reader, erasure_delay_ms: ERASURE_DELAY_MS, carry };
        let mut device = Self {
            node: Node::new(config, now),
            store: MemoryStore::default(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            sent: VecDeque::new(),
            closed: Vec::new(),
            stored: Vec::new(),
            bytes_sent: 0,
            habit: Habit::default(),
            commands: 0,
            now,
        };
        device.settle();
        device
    }

    pub(crate) fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        self.node.handle(now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.node.poll() {
            let input = match output {
                Output::Load { token, range } => {
                    let rows = self.store.load(&range);
                    Input::Loaded { token, rows: self.read(rows, &range) }
                }
                Output::Persist { token, batch, .. } => {
                    let batch = self.write(batch);
                    self.store.apply(&batch);
                    self.stored.extend(batch.0.into_iter().filter_map(envelope));
                    Input::Persisted { token }
                }
                Output::Work { token, job } => Input::Done { token, product: job.run() },
                Output::Deliver { token, .. } => {
                    Input::Delivered { token, answers: BTreeMap::new() }
                }
                Output::Scrub { token, .. } => Input::Scrubbed { token },
                Output::Send { pipe, bytes } => {
                    self.send(pipe, bytes);
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
                Output::Close { pipe } => {
                    self.closed.push(pipe);
                    continue;
                }
                Output::CloseReader
                | Output::Publish { .. }
                | Output::Links { .. }
                | Output::NewsValid { .. } => continue,
            };
            self.node.handle(self.now, input);
        }
    }

    /// What it makes of envelopes that it reads.
    fn read(&self, rows: Vec<Row>, range: &Range) -> Vec<Row> {
        if self.habit != Habit::Edits || range.table != Table::Envelopes {
            return rows;
        }
        let edit = |(key, value): Row| match codec::decode::<Stored>(&value) {
            Ok(mut stored) => {
                stored.wire.items_root = stored.wire.items_root.map(|byte| !byte);
                (key, codec::encode(&stored))
            }
            Err(_) => (key, value),
        };
        rows.into_iter().map(edit).collect()
    }

    /// What it makes of what it should write.
    fn write(&self, mut batch: Batch) -> Batch {
        if self.habit == Habit::Forgets {
            batch.0.retain(|op| op.table() != Table::Envelopes);
        }
        batch
    }

    /// What it makes of what it should send.
    fn send(&mut self, pipe: PipeId, bytes: Vec<u8>) {
        let body = bytes.get(4..).unwrap_or_default();
        let batch = matches!(Frame::from_bytes(body), Ok(Frame::Batch { .. }));
        if self.habit == Habit::Hoards && batch {
            return;
        }
        self.bytes_sent += bytes.len() as u64;
        self.sent.push_back((pipe, bytes));
    }

    /// What it has said on one pipe, and on others, which are closed.
    pub(crate) fn take_sent(&mut self, pipe: PipeId) -> Vec<Vec<u8>> {
        let sent = self.sent.drain(..).filter(|(on, _)| *on == pipe);
        sent.map(|(_, bytes)| bytes).collect()
    }

    /// What it has said, on whichever pipes.
    pub(crate) fn take_all_sent(&mut self) -> Vec<(PipeId, Vec<u8>)> {
        self.sent.drain(..).collect()
    }

    /// The pipes that it has closed.
    pub(crate) fn take_closed(&mut self) -> Vec<PipeId> {
        core::mem::take(&mut self.closed)
    }

    /// Keys of the envelopes that have become durable here since this was asked last.
    pub(crate) fn take_stored(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.stored)
    }

    /// When it wants to be woken.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.node.deadline().map(|at| at.0)
    }

    pub(crate) fn call(&mut self, now: Now, command: Command) -> Option<Reply> {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.handle(now, Input::Command { id, command: Box::new(command) });
        self.replies.remove(&id)
    }

    /// Bytes of the rows in its carrier's store.
    pub(crate) fn bytes_carried(&self) -> u64 {
        let carrier = Table::ALL.iter().filter(|table| table.store() == StoreKind::Carrier);
        let mut bytes = 0;
        for table in carrier {
            let mut range = Range::all(*table);
            loop {
                let page = self.store.load(&range);
                let Some((last, _)) = page.last() else { break };
                range = range.behind(last);
                bytes +=
                    page.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            }
        }
        bytes
    }
}

/// The key of an envelope that is written.
fn envelope(op: Op) -> Option<Vec<u8>> {
    match op {
        Op::Put { table: Table::Envelopes, key, .. } => Some(key),
        Op::Put { .. } | Op::Delete { .. } => None,
    }
}

/// Where a device belongs, and how much it carries for others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Which health centre.
    pub(crate) centre: usize,
    /// The codes of its villages; none for those of the whole catchment.
    pub(crate) villages: &'a [String],
    pub(crate) carry: Carry,
}

/// The devices of one programme.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) devices: Vec<Device>,
    centres: Vec<Centre>,
    entropy: Entropy,
    pub(crate) draw: Draw,
    /// Milliseconds since the beginning.
    pub(crate) at: u64,
    pipes: u64,
}

impl Field {
    /// One with a health centre of so many villages, and nobody in it.
    pub(crate) fn new(seed: u64, villages: usize) -> Option<Self> {
        let codes = (0..villages).map(Self::village).collect();
        Self::with_centres(seed, &[("HC".to_owned(), codes)])
    }

    /// One with these health centres, each with the codes of its villages, and nobody in it.
    pub(crate) fn with_centres(seed: u64, centres: &[(String, Vec<String>)]) -> Option<Self> {
        let mut draw = Draw::new(seed, "field");
        let mut entropy = Entropy::new(draw.bytes());
        let mut programme = Programme::found("simulated", &mut entropy);
        let mut certify = |(code, villages): &(String, Vec<String>)| {
            programme.certify_centre(code, villages, Stamp(BEGIN), &mut entropy).ok()
        };
        let centres = centres.iter().map(&mut certify).collect::<Option<Vec<Centre>>>()?;
        Some(Self { devices: Vec::new(), centres, entropy, draw, at: 0, pipes: 0 })
    }

    /// The code of a village.
    pub(crate) fn village(index: usize) -> String {
        format!("{index:02}")
    }

    pub(crate) fn now(&self) -> Now {
        let seconds = i64::try_from(self.at / 1_000).unwrap_or_default();
        Now { millis: Millis(self.at), stamp: Stamp(BEGIN + seconds) }
    }

    /// The answer of the first centre's paper key to a request.
    pub(crate) fn approve(
        &mut self,
        request: &JoinRequest,
        role: Role,
        villages: &[String],
    ) -> Option<Welcome> {
        self.approve_at(0, request, &Approval::of(role, villages))
    }

    fn approve_at(
        &mut self,
        centre: usize,
        request: &JoinRequest,
        approval: &Approval,
    ) -> Option<Welcome> {
        let stamp = self.now().stamp;
        self.centres.get_mut(centre)?.approve(request, approval, stamp, &mut self.entropy).ok()
    }

    /// Adds a device, approved. The result is its index.
    pub(crate) fn add(&mut self, role: Role, villages: &[String]) -> Option<usize> {
        self.add_for("worker", role, villages)
    }

    /// Adds a device with which `worker` works, approved. The result is its index.
    pub(crate) fn add_for(
        &mut self,
        worker: &str,
        role: Role,
        villages: &[String],
    ) -> Option<usize> {
        self.add_at(worker, role, Place { centre: 0, villages, carry: Carry::default() })
    }

    /// Adds a device with which `worker` works, approved at some health centre. The result is its
    /// index.
    pub(crate) fn add_at(&mut self, worker: &str, role: Role, place: Place<'_>) -> Option<usize> {
        let now = self.now();
        let nature = (role != Role::Relay, place.carry);
        let mut device = Device::new(nature, worker, &mut self.draw, now);
        let label = format!("device {}", self.devices.len());
        let Some(Reply::Request { request }) = device.call(now, Command::Init { label }) else {
            return None;
        };
        let approval = Approval::of(role, place.villages);
        let welcome = self.approve_at(place.centre, &request, &approval)?;
        let joined = device.call(now, Command::Join { welcome });
        matches!(joined, Some(Reply::Joined { .. })).then_some(())?;
        self.devices.push(device);
        Some(self.devices.len() - 1)
    }

    pub(crate) fn call(&mut self, device: usize, command: Command) -> Option<Reply> {
        let now = self.now();
        self.devices.get_mut(device)?.call(now, command)
    }

    /// Two devices meet, and exchange all that they have to say. The result is how many bytes that
    /// took.
    pub(crate) fn meet(&mut self, one: usize, other: usize) -> u64 {
        self.pipes += 1;
        let (pipe, binding) = (PipeId(self.pipes), self.draw.bytes());
        let now = self.now();
        for (device, dialer) in [(one, true), (other, false)] {
            if let Some(device) = self.devices.get_mut(device) {
                device.sent.clear();
                device.handle(now, Input::PipeOpened { pipe, dialer, binding });
            }
        }
        let mut carried = 0;
        for _ in 0..PARCELS_MAX {
            let mut moved = false;
            for (from, to) in [(one, other), (other, one)] {
                let Some((pipe, bytes)) =
                    self.devices.get_mut(from).and_then(|d| d.sent.pop_front())
                else {
                    continue;
                };
                moved = true;
                carried += bytes.len() as u64;
                if let Some(device) = self.devices.get_mut(to) {
                    device.handle(now, Input::Received { pipe, bytes });
                }
            }
            if !moved {
                break;
            }
        }
        for device in [one, other] {
            if let Some(device) = self.devices.get_mut(device) {
                device.handle(now, Input::PipeClosed { pipe });
            }
        }
        carried
    }
}
