//! A monthly meeting in virtual time: many phones in contact with one hub over one radio.
//!
//! The radio carries one packet at a time. The hub's packets leave in the order in which its node
//! sent them, and take turns with those of the phones, of which each has its turn. A phone that is
//! far away needs more of the radio's time for each byte; one that walks away takes and says nothing
//! more, and nobody is told. Disks are ideal: what is simulated is the queue before the radio.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use huza_crdt::node::{AreaRef, Command, Event, Input, PipeId, Reply};
use huza_crdt::store::{Range, Table};
use huza_crdt::trust::Role;

use crate::draw::Draw;
use crate::field::Field;
use crate::stats::reached;

/// Bytes of a packet of the radio. // Ethernet's
const PACKET_BYTES: usize = 1_500;

/// Milliseconds from one arrival to the next at the beginning.
const ARRIVAL_MS: u64 = 10;

/// Nothing takes longer than this.
const END_MS: u64 = 600_000;

/// Who is there, and how the radio is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Phones.
    pub phones: usize,
    /// Of them, those that are far away: the last ones.
    pub far: usize,
    /// Of them, those that walk away after a while: the ones before.
    pub leaving: usize,
    /// Villages.
    pub villages: usize,
    /// Visits of 2,000 letters that the hub holds already.
    pub backlog: usize,
    /// Bytes that the radio carries in a millisecond.
    pub bytes_per_ms: u64,
    /// How many times as long a byte to or from a far phone takes.
    pub far_factor: u64,
    /// When those who leave do so, in milliseconds.
    pub leave_ms: u64,
    /// When a phone writes a visit, in milliseconds.
    pub visit_ms: u64,
    /// When another one writes an urgent visit.
    pub urgent_ms: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            phones: 100,
            far: 5,
            leaving: 5,
            villages: 25,
            backlog: 160,
            bytes_per_ms: 2_000,
            far_factor: 8,
            leave_ms: 3_000,
            visit_ms: 6_000,
            urgent_ms: 8_000,
        }
    }
}

/// Milliseconds of those who stayed: half of them, and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Half of them.
    pub median: u64,
    /// The last.
    pub slowest: u64,
}

/// What came of it. Times are none where somebody was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// From arrival to the first envelope, of all who stayed.
    pub first: Option<Times>,
    /// From the beginning until each near phone held everything that was written before.
    pub near: Option<Times>,
    /// The same of far ones.
    pub far: Option<Times>,
    /// From the visit until each phone that stayed held it.
    pub visit: Option<Times>,
    /// The same, colleagues of the village alone.
    pub visit_colleagues: Option<Times>,
    /// The same of the urgent visit.
    pub urgent: Option<Times>,
    /// Bytes that the radio carried.
    pub carried: u64,
    /// When the last one held everything.
    pub done_ms: u64,
}

/// A station's packets: those of the hub, or of one phone.
type Station = Option<usize>;

/// An envelope, by its key in the store.
type Place = Vec<u8>;

struct Radio {
    /// Microseconds.
    now: u64,
    queues: BTreeMap<Station, VecDeque<(usize, Vec<u8>)>>,
    /// Whose turn it is next: phones in rotation, the hub between them.
    turn: VecDeque<usize>,
    hub_next: bool,
    carried: u64,
}

struct Scene<'a> {
    plan: &'a Plan,
    field: Field,
    hub: usize,
    phones: Vec<usize>,
    radio: Radio,
    gone: BTreeSet<usize>,
    deadlines: BTreeMap<usize, u64>,
    /// What is awaited, and when each phone held it first.
    awaited: Vec<(Place, BTreeMap<usize, u64>)>,
    first: BTreeMap<usize, u64>,
}

/// Runs a seed. None if the meeting cannot be set up: a bug.
#[must_use]
pub fn run(plan: &Plan, seed: u64) -> Option<Outcome> {
    let mut scene = Scene::set(plan, seed)?;
    for phone in 0..plan.phones {
        scene.until(ARRIVAL_MS * phone as u64);
        scene.arrive(phone);
    }
    let mut written = scene.everything();
    scene.await_all(&written);
    let (visitor, urgent_visitor) = (1, 2);
    for (at, what) in deeds(plan) {
        scene.until(at);
        match what {
            Deed::Leave => {
                let stay = plan.phones - plan.far;
                scene.gone.extend(stay - plan.leaving..stay);
            }
            Deed::Visit => written.push(scene.write(visitor, false)?),
            Deed::Urgent => written.push(scene.write(urgent_visitor, true)?),
        }
    }
    while !scene.is_over() && scene.step(END_MS) {}
    Some(scene.outcome(&written, visitor, urgent_visitor))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Leave,
    Visit,
    Urgent,
}

fn deeds(plan: &Plan) -> Vec<(u64, Deed)> {
    let mut deeds = vec![
        (plan.leave_ms, Deed::Leave),
        (plan.visit_ms, Deed::Visit),
        (plan.urgent_ms, Deed::Urgent),
    ];
    deeds.sort_unstable();
    deeds
}

impl<'a> Scene<'a> {
    /// The hub holds the backlog, and each phone has written something.
    fn set(plan: &'a Plan, seed: u64) -> Option<Self> {
        let mut field = Field::new(seed, plan.villages)?;
        let hub = field.add(Role::Hub, &[])?;
        let mut phones = Vec::new();
        for phone in 0..plan.phones {
            phones.push(field.add(Role::Worker, &[Field::village(phone % plan.villages)])?);
        }
        let author = field.add(Role::Worker, &[Field::village(0)])?;
        let mut draw = Draw::new(seed, "meeting");
        enter(&mut field, author, plan.backlog, &mut draw)?;
        field.meet(author, hub);
        // Who leaves may take along what it wrote.
        let stay = plan.phones - plan.far;
        for (phone, device) in phones.iter().enumerate() {
            if !(stay - plan.leaving..stay).contains(&phone) {
                enter(&mut field, *device, 2, &mut draw)?;
            }
        }
        for device in &mut field.devices {
            device.events.clear();
        }
        let radio = Radio {
            now: 0,
            queues: BTreeMap::new(),
            turn: (0..plan.phones).collect(),
            hub_next: true,
            carried: 0,
        };
        let (gone, deadlines) = (BTreeSet::new(), BTreeMap::new());
        let (awaited, first) = (Vec::new(), BTreeMap::new());
        Some(Self { plan, field, hub, phones, radio, gone, deadlines, awaited, first })
    }

    /// A phone opens its pipe.
    fn arrive(&mut self, phone: usize) {
        let (pipe, binding) = (PipeId(phone as u64), self.field.draw.bytes());
        for (end, dialer) in [(Some(phone), true), (None, false)] {
            self.feed(end, Input::PipeOpened { pipe, dialer, binding });
        }
    }

    const fn now_ms(&self) -> u64 {
        self.radio.now / 1_000
    }

    /// Gives an input to a phone, or to the hub, and puts what it says in line for the radio.
    fn feed(&mut self, station: Station, input: Input) {
        self.field.at = self.now_ms();
        let now = self.field.now();
        let index = station.and_then(|phone| self.phones.get(phone).copied()).unwrap_or(self.hub);
        let Some(device) = self.field.devices.get_mut(index) else { return };
        device.handle(now, input);
        let said: Vec<_> = device.take_all_sent();
        let deadline = device.deadline();
        let events: Vec<Event> = device.events.drain(..).collect();
        for (pipe, bytes) in said {
            let other = usize::try_from(pipe.0).unwrap_or_default();
            self.radio.queues.entry(station).or_default().push_back((other, bytes));
        }
        match deadline {
            Some(at) => self.deadlines.insert(index, at.max(self.now_ms())),
            None => self.deadlines.remove(&index),
        };
        let took = events.iter().any(|event| matches!(event, Event::Took { .. }));
        if let (Some(phone), true) = (station, took) {
            self.look(phone);
        }
    }

    /// Something new is on a phone.
    fn look(&mut self, phone: usize) {
        let now = self.now_ms();
        self.first.entry(phone).or_insert(now);
        let Some(device) = self.phones.get(phone).and_then(|at| self.field.devices.get(*at)) else {
            return;
        };
        for (place, times) in &mut self.awaited {
            if !times.contains_key(&phone) && holds(&device.store, place) {
                times.insert(phone, now);
            }
        }
    }

    /// Every envelope that is held by anybody.
    fn everything(&self) -> Vec<Place> {
        let all = self.field.devices.iter().flat_map(|device| envelopes(&device.store));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn await_all(&mut self, places: &[Place]) {
        for place in places {
            self.awaited.push((place.clone(), BTreeMap::new()));
        }
        (0..self.phones.len()).for_each(|phone| self.look_only(phone));
    }

    /// Notes what a phone holds already, without counting it as taken.
    fn look_only(&mut self, phone: usize) {
        let first = self.first.clone();
        self.look(phone);
        self.first = first;
    }

    /// A phone writes a visit, and seals it.
    fn write(&mut self, phone: usize, urgent: bool) -> Option<Place> {
        let index = *self.phones.get(phone)?;
        let before: BTreeSet<Place> = envelopes(&self.field.devices.get(index)?.store).collect();
        self.field.at = self.now_ms();
        let record = person(&mut self.field, index, "Meeting")?;
        visit(&mut self.field, index, (record, urgent), "here".to_owned())?;
        self.field.call(index, Command::Seal)?;
        let after = envelopes(&self.field.devices.get(index)?.store);
        let place = after.filter(|place| !before.contains(place)).last()?;
        self.await_all(core::slice::from_ref(&place));
        // What it said meanwhile is still with it.
        self.feed(Some(phone), Input::Tick);
        Some(place)
    }

    /// Lets everything happen until a time.
    fn until(&mut self, at_ms: u64) {
        while self.step(at_ms) {}
        self.radio.now = self.radio.now.max(at_ms * 1_000);
    }

    /// Lets the next thing happen, if it does not come after this time.
    fn step(&mut self, until_ms: u64) -> bool {
        let due = self.deadlines.iter().map(|(device, at)| (*at, *device)).min();
        if let Some((_, device)) = due.filter(|(at, _)| *at <= self.now_ms()) {
            let phone = self.phones.iter().position(|one| *one == device);
            self.feed(phone, Input::Tick);
            return true;
        }
        if self.now_ms() >= until_ms {
            return false;
        }
        let Some((station, phone, bytes)) = self.radio.next_packet() else {
            let at = due.map_or(until_ms, |(at, _)| at.min(until_ms));
            self.radio.now = self.radio.now.max(at * 1_000);
            return at < until_ms;
        };
        if self.gone.contains(&phone) {
            return true;
        }
        let far = phone >= self.plan.phones - self.plan.far;
        let factor = if far { self.plan.far_factor } else { 1 };
        self.radio.now += bytes.len() as u64 * 1_000 * factor / self.plan.bytes_per_ms.max(1);
        self.radio.carried += bytes.len() as u64;
        let to = if station.is_none() { Some(phone) } else { None };
        self.feed(to, Input::Received { pipe: PipeId(phone as u64), bytes });
        true
    }

    fn stays(&self, phone: &usize) -> bool {
        !self.gone.contains(phone)
    }

    /// Whether everybody who stayed holds everything.
    fn is_over(&self) -> bool {
        self.awaited.iter().all(|(_, times)| {
            (0..self.phones.len())
                .all(|phone| self.gone.contains(&phone) || times.contains_key(&phone))
        })
    }

    fn outcome(self, written: &[Place], visitor: usize, urgent_visitor: usize) -> Outcome {
        let staying: Vec<usize> =
            (0..self.phones.len()).filter(|phone| self.stays(phone)).collect();
        let far = self.plan.phones - self.plan.far;
        let old = written.len().saturating_sub(2);
        let all_held = |phone: &usize| {
            let old = self.awaited.iter().take(old);
            old.map(|(_, times)| times.get(phone).copied())
                .collect::<Option<Vec<u64>>>()?
                .into_iter()
                .max()
        };
        let of = |phones: &[usize], time: &dyn Fn(&usize) -> Option<u64>| {
            let all: Option<Vec<u64>> = phones.iter().map(time).collect();
            times(&all?)
        };
        let held = |place: Option<&Place>, since: u64| {
            let awaited = self.awaited.iter().find(|(one, _)| Some(one) == place);
            move |phone: &usize| awaited?.1.get(phone).map(|at| at.saturating_sub(since))
        };
        let (near, far): (Vec<usize>, Vec<usize>) = staying.iter().partition(|one| **one < far);
        let mut late = written.iter().skip(old);
        let (mut visit, mut urgent) = (late.next(), late.next());
        if self.plan.urgent_ms < self.plan.visit_ms {
            core::mem::swap(&mut visit, &mut urgent);
        }
        let others = |but: usize| staying.iter().copied().filter(move |one| *one != but);
        let near_village = |one: &usize| one % self.plan.villages == visitor % self.plan.villages;
        let colleagues: Vec<usize> = others(visitor).filter(near_village).collect();
        let arrived =
            |phone: &usize| Some(self.first.get(phone)?.saturating_sub(ARRIVAL_MS * *phone as u64));
        Outcome {
            first: of(&staying, &arrived),
            near: of(&near, &all_held),
            far: of(&far, &all_held),
            visit: of(&others(visitor).collect::<Vec<_>>(), &held(visit, self.plan.visit_ms)),
            visit_colleagues: of(&colleagues, &held(visit, self.plan.visit_ms)),
            urgent: of(
                &others(urgent_visitor).collect::<Vec<_>>(),
                &held(urgent, self.plan.urgent_ms),
            ),
            carried: self.radio.carried,
            done_ms: self.now_ms(),
        }
    }
}

impl Radio {
    /// The next packet: from which station, of which phone's pipe.
    fn next_packet(&mut self) -> Option<(Station, usize, Vec<u8>)> {
        let hub = core::mem::replace(&mut self.hub_next, false);
        if hub && let Some((phone, bytes)) = self.take(None) {
            return Some((None, phone, bytes));
        }
        self.hub_next = true;
        let busy =
            |phone: &usize| self.queues.get(&Some(*phone)).is_some_and(|one| !one.is_empty());
        if let Some(place) = self.turn.iter().position(busy) {
            let phone = self.turn.remove(place)?;
            self.turn.push_back(phone);
            let (pipe, bytes) = self.take(Some(phone))?;
            return Some((Some(phone), pipe, bytes));
        }
        let (phone, bytes) = self.take(None)?;
        Some((None, phone, bytes))
    }

    fn take(&mut self, station: Station) -> Option<(usize, Vec<u8>)> {
        let queue = self.queues.get_mut(&station)?;
        let (phone, mut bytes) = queue.pop_front()?;
        if bytes.len() > PACKET_BYTES {
            let rest = bytes.split_off(PACKET_BYTES);
            queue.push_front((phone, rest));
        }
        Some((phone, bytes))
    }
}

fn times(all: &[u64]) -> Option<Times> {
    Some(Times { median: reached(all, all.len(), 50)?, slowest: reached(all, all.len(), 100)? })
}

fn envelopes(store: &huza_crdt::store::MemoryStore) -> impl Iterator<Item = Place> {
    let mut places = Vec::new();
    let mut range = Range::all(Table::Envelopes);
    loop {
        let page = store.load(&range);
        let Some((last, _)) = page.last() else { break };
        range = range.behind(last);
        places.extend(page.into_iter().map(|(place, _)| place));
    }
    places.into_iter()
}

fn holds(store: &huza_crdt::store::MemoryStore, place: &Place) -> bool {
    let to = Some([place.as_slice(), &[0]].concat());
    let range = Range { table: Table::Envelopes, from: place.clone(), to, rows_max: 1 };
    !store.load(&range).is_empty()
}

/// One person, and so many visits with long notes.
fn enter(field: &mut Field, device: usize, visits: usize, draw: &mut Draw) -> Option<()> {
    let record = person(field, device, "Uwase")?;
    for _ in 0..visits {
        // Letters that say as much as they can.
        let note = draw.blob(1_000).iter().map(|byte| format!("{byte:02x}")).collect();
        visit(field, device, (record, false), note)?;
    }
    field.call(device, Command::Seal)?;
    Some(())
}

fn person(field: &mut Field, device: usize, name: &str) -> Option<huza_crdt::id::RecordId> {
    let fields = [("name/given", "Aline"), ("name/family", name), ("sex", "female")];
    let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    let add = Command::AddPerson { area: AreaRef::Own, fields: fields.collect() };
    match field.call(device, add)? {
        Reply::Written { record, .. } => Some(record),
        _ => None,
    }
}

fn visit(
    field: &mut Field,
    device: usize,
    (record, urgent): (huza_crdt::id::RecordId, bool),
    note: String,
) -> Option<()> {
    let mut answers = vec![("age-months", "29".to_owned()), ("note", note)];
    answers.extend(urgent.then(|| ("convulsions", "yes".to_owned())));
    let answers = answers.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    let (form, occurred) = ("sick-child".to_owned(), field.now().stamp);
    let add = Command::AddVisit { record, form, occurred, answers };
    matches!(field.call(device, add)?, Reply::Written { .. }).then_some(())
}
