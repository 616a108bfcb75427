//! What one dishonest member can make others hold and send: measured with real nodes whose shells
//! misbehave. Each scenario tells figures; `tests/bounds.rs` says what they must be.

use std::collections::BTreeMap;

use huza_crdt::codec;
use huza_crdt::control::{
    Lane, Opening, Receipt, ReceiptKind, ReceiptRange, Scope, Statement, kind,
};
use huza_crdt::crypto::{Entropy, SealingKey, SigningKey};
use huza_crdt::id::{AreaTag, Hash, Incarnation, LogId, StoreId};
use huza_crdt::limits::RANGES_MAX;
use huza_crdt::node::{AreaRef, Command, Event, Reply};
use huza_crdt::session::Fault;
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_crdt::trust::paper::Programme;
use huza_crdt::trust::{CatchmentSecret, Issuer, Role};

use crate::field::{Field, Habit};
use crate::host::BEGIN;

/// What a member that writes without end makes a bystander carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood {
    /// Writes by the flooder, half of them into a village that is not its own.
    pub writes: u64,
    /// Bytes that the bystander's carrier holds more than before.
    pub bytes_held: u64,
    /// The same after twice as many writes.
    pub bytes_held_twice: u64,
    /// Bytes exchanged for the first half.
    pub bytes_exchanged: u64,
    /// Whether a colleague's record still came through after it.
    pub others_served: bool,
}

/// What one issuer's statements can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statements {
    /// Statements tried.
    pub tried: u64,
    /// Statements taken.
    pub taken: u64,
    /// Bytes of those taken.
    pub bytes: u64,
}

/// What came of a contact with somebody dishonest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encounter {
    /// Bytes that the honest side sent in it.
    pub bytes_sent: u64,
    /// What the honest side found wrong.
    pub fault: Option<Fault>,
    /// Whether the honest side took the contact for complete.
    pub complete: bool,
    /// Whether a record that went past, or through, the dishonest device came to where it should,
    /// in the end.
    pub came_through: bool,
}

/// Two villages: a hub, and a worker's phone in each.
struct Scene {
    field: Field,
    hub: usize,
    one: usize,
    other: usize,
}

impl Scene {
    fn new(seed: u64) -> Option<Self> {
        let mut field = Field::new(seed, 2)?;
        let hub = field.add(Role::Hub, &[])?;
        let one = field.add(Role::Worker, &[Field::village(0)])?;
        let other = field.add(Role::Worker, &[Field::village(1)])?;
        for _ in 0..2 {
            field.meet(one, hub);
            field.meet(other, hub);
        }
        Some(Self { field, hub, one, other })
    }

    fn write(&mut self, device: usize, area: AreaRef, name: &str) -> bool {
        let fields = BTreeMap::from([("name/given".to_owned(), name.to_owned())]);
        let reply = self.field.call(device, Command::AddPerson { area, fields });
        matches!(reply, Some(Reply::Written { .. }))
    }

    fn finds(&mut self, device: usize, name: &str) -> bool {
        let find = Command::Find { query: name.to_owned(), limit: 1 };
        matches!(self.field.call(device, find), Some(Reply::Found { records }) if !records.is_empty())
    }

    fn carried(&self, device: usize) -> u64 {
        self.field.devices.get(device).map_or(0, super::field::Device::bytes_carried)
    }

    fn set(&mut self, device: usize, habit: Habit) {
        if let Some(device) = self.field.devices.get_mut(device) {
            device.habit = habit;
        }
    }

    /// A contact, as the honest one sees it. Whoever waits for an answer waits long enough.
    fn encounter(&mut self, honest: usize, dishonest: usize) -> Encounter {
        let sent = |scene: &Self| scene.field.devices.get(honest).map_or(0, |one| one.bytes_sent);
        if let Some(device) = self.field.devices.get_mut(honest) {
            device.events.clear();
        }
        let before = sent(self);
        self.field.meet(honest, dishonest);
        let bytes_sent = sent(self) - before;
        let (mut fault, mut complete) = (None, false);
        for event in self.field.devices.get(honest).into_iter().flat_map(|one| &one.events) {
            if let Event::ContactEnded { fault: found, complete: whole, .. } = event {
                fault.clone_from(found);
                complete |= whole;
            }
        }
        Encounter { bytes_sent, fault, complete, came_through: false }
    }
}

/// A member writes as fast as it can, into its own and into a foreign village.
#[must_use]
pub fn flood(seed: u64, writes: u64) -> Option<Flood> {
    let mut scene = Scene::new(seed)?;
    let (flooder, bystander) = (scene.one, scene.other);
    let Some(Reply::Status(status)) =
        scene.field.call(bystander, Command::Status { records: false })
    else {
        return None;
    };
    let foreign = status.areas.first()?.1;
    let before = scene.carried(bystander);
    let mut held = [0; 2];
    let mut bytes_exchanged = 0;
    for (round, held) in held.iter_mut().enumerate() {
        for write in 0..writes {
            let area = if write % 2 == 0 { AreaRef::Own } else { AreaRef::Tag(foreign) };
            if !scene.write(flooder, area, &format!("flood {round} {write}")) {
                return None;
            }
        }
        let bytes = scene.field.meet(flooder, bystander);
        if round == 0 {
            bytes_exchanged = bytes;
        }
        *held = scene.carried(bystander) - before;
    }
    let written = scene.write(bystander, AreaRef::Own, "colleague");
    scene.field.meet(bystander, scene.hub);
    let hub = scene.hub;
    let others_served = written && scene.finds(hub, "colleague");
    let [bytes_held, bytes_held_twice] = held;
    Some(Flood { writes, bytes_held, bytes_held_twice, bytes_exchanged, others_served })
}

/// A member signs statements without end. `unread`: of a kind that nobody reads; else openings of
/// logs and, of each log, the largest receipts.
#[must_use]
pub fn statements(tries: u64, unread: bool) -> Option<Statements> {
    let mut entropy = Entropy::new([7; 32]);
    let (key, sealing) =
        (SigningKey::from_seed(entropy.draw()), SealingKey::from_seed(entropy.draw()));
    let mut programme = Programme::found("flooded", &mut entropy);
    let now = Stamp(BEGIN);
    let mut centre = programme.certify_centre("HC", &["01".to_owned()], now, &mut entropy).ok()?;
    let request = JoinRequest::new(&key, sealing.public(), ("flooder", false), now, [1; 8]);
    let approval = Approval::of(Role::Worker, &["01".to_owned()]);
    let welcome = centre.approve(&request, &approval, now, &mut entropy).ok()?;
    let membership = welcome.open(&sealing).ok()?;
    let mut lane = Lane::new(membership.root);
    for statement in welcome.statements {
        lane.admit(statement).ok()?;
    }
    let issuer = Issuer::Certified(membership.certificate);
    let catchment = CatchmentSecret::tag_of(programme.id(), "HC");
    let mut area = [1; 16];
    area.iter_mut().zip(catchment.0).for_each(|(byte, of)| *byte = of);
    let mut told = Statements { tried: 0, taken: 0, bytes: 0 };
    let mut log: Option<LogId> = None;
    for number in 0..tries {
        let body = match (unread, log) {
            (true, _) => (200, vec![0; 8_000]),
            (false, None) => {
                let incarnation = Incarnation(entropy.draw());
                let (device, certificate) = (key.public(), membership.certificate);
                let opening = Opening { device, certificate, area: AreaTag(area), incarnation };
                (kind::OPENING, codec::encode(&opening))
            }
            (false, Some(log)) => {
                let end = Hash([u8::MAX; 32]);
                let range = |from: u64| ReceiptRange { from: from * 2, to: from * 2, end };
                let ranges = (0..RANGES_MAX as u64).map(range).collect();
                let store = StoreId(entropy.draw());
                let kind_of = ReceiptKind::Stored;
                let receipt = Receipt { store, log, kind: kind_of, reason: 0, ranges };
                (kind::RECEIPT, codec::encode(&receipt))
            }
        };
        let place = (number, Hash([0; 32]));
        let statement = Statement::sign(&key, issuer, place, Scope::Catchment(catchment), body);
        let bytes = statement.to_bytes().len() as u64;
        told.tried += 1;
        let opened = statement.log();
        if lane.admit(statement).is_ok() {
            told.taken += 1;
            told.bytes += bytes;
            if !unread {
                log = Some(opened).filter(|_| log.is_none()).or(log);
            }
        }
    }
    Some(told)
}

/// A phone meets one that takes everything and gives nothing, then the hub.
#[must_use]
pub fn hoarder(seed: u64) -> Option<Encounter> {
    let mut scene = Scene::new(seed)?;
    let (one, other, hub) = (scene.one, scene.other, scene.hub);
    scene.write(one, AreaRef::Own, "honest");
    scene.write(other, AreaRef::Own, "hoarded");
    scene.set(other, Habit::Hoards);
    let told = scene.encounter(one, other);
    scene.field.meet(one, hub);
    let came_through = scene.finds(hub, "honest");
    Some(Encounter { came_through, ..told })
}

/// A hub vouches for what it does not keep. The second result is whether the phone believes it.
#[must_use]
pub fn lying_hub(seed: u64) -> Option<(Encounter, bool)> {
    let mut scene = Scene::new(seed)?;
    let (one, hub) = (scene.one, scene.hub);
    scene.set(hub, Habit::Forgets);
    scene.write(one, AreaRef::Own, "vouched");
    let mut told = scene.encounter(one, hub);
    for _ in 0..2 {
        // Its receipts come after a moment.
        scene.field.at += 10_000;
        told = scene.encounter(one, hub);
    }
    let Some(Reply::Status(status)) = scene.field.call(one, Command::Status { records: true })
    else {
        return None;
    };
    let believed = status.records.iter().any(|record| record.stored);
    let honest = scene.field.add(Role::Hub, &[])?;
    scene.field.meet(one, honest);
    let came_through = scene.finds(honest, "vouched");
    Some((Encounter { came_through, ..told }, believed))
}

/// A carrier changes what it carries; then the author comes to the hub itself.
#[must_use]
pub fn editing_carrier(seed: u64) -> Option<Encounter> {
    let mut scene = Scene::new(seed)?;
    let (one, hub) = (scene.one, scene.hub);
    let relay = scene.field.add(Role::Relay, &[])?;
    scene.field.meet(relay, hub);
    scene.write(one, AreaRef::Own, "carried");
    scene.field.meet(one, relay);
    scene.set(relay, Habit::Edits);
    let told = scene.encounter(hub, relay);
    if scene.finds(hub, "carried") {
        return Some(Encounter { came_through: false, ..told });
    }
    scene.field.meet(one, hub);
    let came_through = scene.finds(hub, "carried");
    Some(Encounter { came_through, ..told })
}

/// A carrier keeps to itself what it carries; another carrier brings it.
#[must_use]
pub fn dropping_carrier(seed: u64) -> Option<Encounter> {
    let mut scene = Scene::new(seed)?;
    let (one, hub) = (scene.one, scene.hub);
    let relays = [scene.field.add(Role::Relay, &[])?, scene.field.add(Role::Relay, &[])?];
    scene.write(one, AreaRef::Own, "dropped");
    for relay in relays {
        scene.field.meet(one, relay);
    }
    scene.set(relays[0], Habit::Hoards);
    let told = scene.encounter(hub, relays[0]);
    scene.field.meet(hub, relays[1]);
    let came_through = scene.finds(hub, "dropped");
    Some(Encounter { came_through, ..told })
}
