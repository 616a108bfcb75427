//! The phones that write the standard workload, each a real node, and the health centre that
//! approves them. One village writes at a time, so that few are in memory.

use std::collections::BTreeMap;

use huza_crdt::control::Lane;
use huza_crdt::crypto::{SealingKey, SigningKey};
use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Input, Now, PipeId, Reply};
use huza_crdt::trust::approval::{JoinRequest, Membership, Welcome};
use huza_crdt::trust::{Keyring, Role};

use super::{Entry, Workload};
use crate::field::{Device, Field};

/// The pipe of a phone to a device outside.
const OUT: PipeId = PipeId(u64::MAX);

/// The phones of a workload. What cannot be done answers `None`: a bug.
#[derive(Debug)]
pub struct Phones {
    workload: Workload,
    /// Whether each change has an envelope of its own; else they go together as on any phone.
    alone: bool,
    field: Field,
    /// The phones of the village that writes now, by log.
    here: BTreeMap<u64, usize>,
    /// The people of that village.
    people: BTreeMap<u64, RecordId>,
}

impl Phones {
    /// Founds the health centre. `alone`: each change is sealed before the next is written.
    #[must_use]
    pub fn new(workload: Workload, alone: bool) -> Option<Self> {
        let villages = usize::try_from(workload.villages()).ok()?;
        let field = Field::new(workload.seed, villages)?;
        Some(Self { workload, alone, field, here: BTreeMap::new(), people: BTreeMap::new() })
    }

    /// Approves a hub of the health centre.
    pub fn approve_hub(&mut self, request: &JoinRequest) -> Option<Welcome> {
        self.field.approve(request, Role::Hub, &[])
    }

    /// Approves a phone of a village.
    pub fn approve_phone(&mut self, request: &JoinRequest, village: u64) -> Option<Welcome> {
        let code = Field::village(usize::try_from(village).ok()?);
        self.field.approve(request, Role::Worker, &[code])
    }

    /// What opens everything of the health centre, for measuring: the keys of a gateway that is on
    /// paper only.
    pub fn keys(&mut self) -> Option<Keyring> {
        let (key, sealing) = (SigningKey::from_seed([1; 32]), SealingKey::from_seed([2; 32]));
        let stamp = self.field.now().stamp;
        let request = JoinRequest::new(&key, sealing.public(), ("auditor", false), stamp, [3; 8]);
        let welcome = self.field.approve(&request, Role::Gateway, &[])?;
        let membership = welcome.open(&sealing).ok()?;
        let mut lane = Lane::new(membership.root);
        for statement in welcome.statements {
            lane.admit(statement).ok()?;
        }
        let Membership { member, certificate, .. } = membership;
        Some(Keyring::open(&member, &lane, certificate, &sealing))
    }

    /// A village's phones write all that is theirs, and have met one another. The result is how many
    /// phones there are.
    pub fn write(&mut self, village: u64) -> Option<usize> {
        let phones = self.begin(village)?;
        self.visits(|_| true)?;
        Some(phones)
    }

    /// A village's phones register its people, and meet one another. The result is how many phones
    /// there are.
    pub(super) fn begin(&mut self, village: u64) -> Option<usize> {
        self.field.devices.clear();
        self.here.clear();
        self.people.clear();
        let Workload { records, logs, .. } = self.workload;
        let villages = usize::try_from(self.workload.villages()).ok()?;
        let code = Field::village(usize::try_from(village).ok()?);
        for log in (village..logs).step_by(villages) {
            let (worker, _) = self.workload.worker(log);
            let villages = std::slice::from_ref(&code);
            let phone = self.field.add_for(&worker, Role::Worker, villages)?;
            self.here.insert(log, phone);
        }
        for index in 0..records {
            if self.here.contains_key(&(index % logs)) {
                let record = self.enter(index)?;
                self.people.insert(index, record);
            }
        }
        self.meet_all();
        Some(self.here.len())
    }

    /// They write those of their visits.
    pub(super) fn visits(&mut self, which: impl Fn(u64) -> bool) -> Option<()> {
        let Workload { records, changes, .. } = self.workload;
        for index in records..changes {
            if self.here.contains_key(&self.workload.place(index).0) && which(index) {
                self.enter(index)?;
            }
        }
        Some(())
    }

    /// One of them.
    pub(super) fn phone(&mut self, phone: usize) -> Option<&mut Device> {
        self.field.devices.get_mut(phone)
    }

    /// A device that is not one of them, approved.
    pub(super) fn outside(&mut self, role: Role) -> Option<Device> {
        let device = self.field.add(role, &[])?;
        (device + 1 == self.field.devices.len()).then(|| self.field.devices.pop())?
    }

    /// The time of the health centre.
    pub(super) fn now(&self) -> Now {
        self.field.now()
    }

    /// The first phone hears from all, then all hear from the first.
    fn meet_all(&mut self) {
        for _ in 0..2 {
            for other in 1..self.field.devices.len() {
                self.field.meet(0, other);
            }
        }
    }

    /// Enters one change on the phone of its log.
    fn enter(&mut self, index: u64) -> Option<RecordId> {
        let (change, millis) = (self.workload.change(index), self.field.now().millis);
        let phone = self.field.devices.get_mut(*self.here.get(&change.log)?)?;
        let command = match change.entry {
            Entry::Person { fields } => Command::AddPerson { area: AreaRef::Own, fields },
            Entry::Visit { person, form, occurred, answers } => {
                let (record, form) = (*self.people.get(&person)?, form.to_owned());
                Command::AddVisit { record, form, occurred, answers }
            }
        };
        let now = Now { millis, stamp: change.at };
        let Some(Reply::Written { record, .. }) = phone.call(now, command) else { return None };
        if self.alone {
            phone.call(now, Command::Seal)?;
        }
        Some(record)
    }

    /// Opens a pipe from a phone to a device outside. The result is what the phone says first.
    pub fn dial(&mut self, phone: usize, binding: [u8; 32]) -> Vec<Vec<u8>> {
        self.tell(phone, Input::PipeOpened { pipe: OUT, dialer: true, binding })
    }

    /// Gives a phone what the device outside says. The result is what it answers.
    pub fn hear(&mut self, phone: usize, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        self.tell(phone, Input::Received { pipe: OUT, bytes })
    }

    fn tell(&mut self, phone: usize, input: Input) -> Vec<Vec<u8>> {
        let now = self.field.now();
        let Some(phone) = self.field.devices.get_mut(phone) else { return Vec::new() };
        phone.handle(now, input);
        phone.take_sent(OUT)
    }
}
