//! The simulator beside the real thing: daemons with files and sockets meet in the order of a plan,
//! and at the end each holds what the simulator says.
//!
//! The daemons meet two by two, or many at a hub; what they exchange takes the time it takes. Not all
//! meet all, not even by way of others, so that the sets differ and the comparison can fail.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use huza_crdt::crypto::Entropy;
use huza_crdt::id::RecordId as Record;
use huza_crdt::node::{AreaRef, Command, Event, Reply};
use huza_crdt::store::{Range, StoreKind, Table};
use huza_crdt::time::Stamp;
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::Approval;
use huza_crdt::trust::paper::{Centre, Programme};
use huza_daemon::store::Store;
use huza_daemon::{Client, Home, InitOptions, RunError, RunOptions, ShellEvent};
use huza_simulations::movement::{self, Contact, DAY_MS, Kind};
use huza_simulations::network::plan::{self, Day, Home as Belongs, Place, Plan, Watch, Written};
use huza_simulations::network::{Strategy, full, sized};
use huza_simulations::scenario::LinkKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Health centres, villages of each, phones of each village.
const CENTRES: usize = 2;
const VILLAGES: usize = 3;
const PHONES_OF_VILLAGE: usize = 4;
const PHONES: usize = CENTRES * VILLAGES * PHONES_OF_VILLAGE;

/// A device of this quota says that it has room for 2 MB, and after that for none.
const CARRY_MB: u64 = 3;
/// So of these it takes two.
const PHOTO_BYTES: u64 = 700_000;

const STEP_MS: u64 = 600_000;

/// Node -> the records that it holds at the end, each by its author and its number.
type Holdings = BTreeMap<usize, BTreeSet<(usize, usize)>>;

/// A record or a contact in the plan; contacts that overlap are one meeting.
fn script() -> Written {
    let hub = |centre: usize| PHONES + centre;
    let of_centre = |centre: usize| {
        let phones = VILLAGES * PHONES_OF_VILLAGE;
        centre * phones..(centre + 1) * phones
    };
    let mut all = Day::default();
    let mut at_ms = 0;
    let mut write = |at_ms: &mut u64, phone, danger, bytes| {
        *at_ms += STEP_MS;
        all.records.push(movement::Record { at_ms: *at_ms, phone, danger, bytes });
    };
    let mut contacts = Vec::new();
    let mut meet = |at_ms: &mut u64, pairs: &[(usize, usize)]| {
        *at_ms += STEP_MS;
        let (from_ms, to_ms) = (*at_ms, *at_ms + STEP_MS / 2);
        for (one, other) in pairs {
            let nodes = (*one.min(other), *one.max(other));
            let (kind, link) = (Kind::VillagePair, LinkKind::Hotspot);
            contacts.push(Contact { from_ms, to_ms, nodes, kind, link });
        }
    };
    // A phone of the other health centre carries what is urgent and what it has room for; another
    // one that was full already carries only what is urgent.
    let (author, courier, late) = (0, of_centre(1).start, of_centre(1).start + 1);
    for _ in 0..4 {
        write(&mut at_ms, author, false, PHOTO_BYTES);
    }
    write(&mut at_ms, author, true, 600);
    meet(&mut at_ms, &[(author, courier)]);
    write(&mut at_ms, author, false, 600);
    write(&mut at_ms, author, true, 600);
    meet(&mut at_ms, &[(author, courier)]);
    meet(&mut at_ms, &[(courier, late)]);
    meet(&mut at_ms, &[(late, hub(0))]);
    meet(&mut at_ms, &[(courier, hub(0))]);
    // Everybody but the last of each village writes something, and they meet by chance.
    let mut chance = 1_u64;
    let mut below = |bound: usize| {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(chance >> 33).unwrap_or_default() % bound
    };
    let stays_away = |phone: usize| phone % PHONES_OF_VILLAGE == PHONES_OF_VILLAGE - 1;
    for phone in (0..PHONES).filter(|phone| !stays_away(*phone)) {
        write(&mut at_ms, phone, below(4) == 0, 500 + 10 * phone as u64);
        let other = loop {
            let other = if below(4) == 0 { below(PHONES) } else { phone - phone % 12 + below(12) };
            if other != phone && !stays_away(other) {
                break other;
            }
        };
        meet(&mut at_ms, &[(phone, other)]);
    }
    // Half of a health centre's phones come to the hub.
    let come = of_centre(1).filter(|phone| phone % 2 == 0);
    meet(&mut at_ms, &come.map(|phone| (phone, hub(1))).collect::<Vec<_>>());
    write(&mut at_ms, of_centre(1).start + 2, true, 800);
    meet(&mut at_ms, &[(of_centre(1).start + 2, of_centre(1).start + 5)]);
    // Who stays away writes all the same, and one of them meets a colleague.
    write(&mut at_ms, 3, false, 700);
    write(&mut at_ms, 7, true, 700);
    meet(&mut at_ms, &[(3, 1)]);
    all.contacts = contacts;
    let phones = (0..PHONES).map(|phone| {
        let village = phone / PHONES_OF_VILLAGE;
        Belongs { hub: village / VILLAGES, village }
    });
    let place = Place {
        phones: phones.collect(),
        hubs: CENTRES,
        days: at_ms / DAY_MS + 1,
        rates: [Some(100_000), Some(100_000), Some(1_000_000)],
        carry_bytes: CARRY_MB << 20,
        carry_ms: 60 * DAY_MS,
    };
    Written { place, all }
}

/// Hears of all arrivals.
struct Arrivals(Holdings);

impl Watch for Arrivals {
    fn wants_all(&self) -> bool {
        true
    }

    fn see(&mut self, event: plan::Event) {
        if let plan::Event::Arrived { record, node, .. } = event {
            self.0.entry(node).or_default().insert((record.phone, record.number));
        }
    }
}

/// What a node holds without having met anybody: what was written on it.
fn own(plan: &Written) -> Holdings {
    let nodes = plan.place.phones.len() + plan.place.hubs;
    let mut own: Holdings = (0..nodes).map(|node| (node, BTreeSet::new())).collect();
    for record in &plan.all.records {
        let written = own.entry(record.phone).or_default();
        written.insert((record.phone, written.len()));
    }
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_daemons_end_with_what_the_simulator_says() {
    let plan = script();
    let mut arrivals = Arrivals(own(&plan));
    full::run(&plan, 1, &mut arrivals, &mut |_| ()).unwrap();
    let simulated = arrivals.0;
    let mut arrivals = Arrivals(own(&plan));
    sized::run(&plan, Strategy::Huza, &mut arrivals, &mut |_| ());
    for (node, records) in arrivals.0 {
        assert_eq!(records, simulated[&node], "node {node} of the sized run");
    }
    // The comparison can fail: hardly two hold the same.
    let different: BTreeSet<_> = simulated.values().collect();
    assert!(different.len() > simulated.len() / 2, "{} different sets", different.len());
    let carried = &simulated[&(PHONES / 2)];
    let photos = (0..4).filter(|number| carried.contains(&(0, *number)));
    assert_eq!(photos.count(), 2, "as many as there is room for");
    assert!(carried.contains(&(0, 6)), "what is urgent all the same");

    let dir = tempfile::tempdir().unwrap();
    let real = Devices::enrol(&plan, dir.path()).await;
    for moment in moments(&plan) {
        match moment {
            Moment::Write(record) => real.write(record).await,
            Moment::Meet(contacts) => real.meet(&contacts).await,
        }
    }
    for (node, records) in real.holdings() {
        assert_eq!(records, simulated[&node], "node {node}");
    }
}

/// What happens, in its order.
enum Moment {
    Write(movement::Record),
    /// Contacts that begin together.
    Meet(Vec<(usize, usize)>),
}

fn moments(plan: &Written) -> Vec<Moment> {
    let mut all: BTreeMap<u64, Moment> = BTreeMap::new();
    for day in 0..plan.place.days {
        let Day { records, contacts, .. } = plan.day(day);
        for record in records {
            assert!(all.insert(record.at_ms, Moment::Write(record)).is_none());
        }
        for contact in contacts {
            let moment = all.entry(contact.from_ms).or_insert_with(|| Moment::Meet(Vec::new()));
            let Moment::Meet(pairs) = moment else { panic!("a record at the same time") };
            pairs.push(contact.nodes);
        }
    }
    all.into_values().collect()
}

/// Real homes.
struct Devices {
    homes: Vec<PathBuf>,
    people: Vec<Option<Record>>,
    /// Log -> its author.
    authors: BTreeMap<Vec<u8>, usize>,
}

impl Devices {
    async fn enrol(plan: &Written, dir: &Path) -> Self {
        let mut entropy = Entropy::new([7; 32]);
        let mut programme = Programme::found("test", &mut entropy);
        let code = |village: usize| format!("{village:02}");
        let mut centres: Vec<Centre> = (0..plan.place.hubs)
            .map(|hub| {
                let here = plan.place.phones.iter().filter(|one| one.hub == hub);
                let villages: BTreeSet<usize> = here.map(|one| one.village).collect();
                let villages: Vec<String> = villages.into_iter().map(code).collect();
                let name = format!("HC{hub}");
                programme.certify_centre(&name, &villages, Stamp(1), &mut entropy).unwrap()
            })
            .collect();
        let phones = plan.place.phones.iter().map(|one| (one.hub, Some(code(one.village))));
        let nodes = phones.chain((0..plan.place.hubs).map(|hub| (hub, None)));
        let (mut homes, mut people) = (Vec::new(), Vec::new());
        let mut authors = BTreeMap::new();
        for (node, (centre, village)) in nodes.enumerate() {
            let home = dir.join(format!("node-{node:02}"));
            let request = Home::init(&home, &InitOptions::unprotected("device", true)).unwrap();
            std::fs::write(home.join("huza.toml"), format!("carry_mb = {CARRY_MB}\n")).unwrap();
            let role = if village.is_some() { Role::Worker } else { Role::Hub };
            let mut approval = Approval::of(role, &Vec::from_iter(village.clone()));
            // The devices have real clocks.
            approval.any_date = true;
            let centre = &mut centres[centre];
            let welcome = centre.approve(&request, &approval, Stamp(2), &mut entropy).unwrap();
            let mut client = Client::open(&home).await.unwrap();
            let joined = client.call(Command::Join { welcome }).await.unwrap();
            assert!(matches!(joined, Reply::Joined { .. }), "{joined:?}");
            let mut person = None;
            if village.is_some() {
                person = Some(register(&mut client).await);
            }
            client.close().await;
            people.push(person);
            for (log, _) in envelopes(&home) {
                authors.insert(log, node);
            }
            homes.push(home);
        }
        Self { homes, people, authors }
    }

    /// Writes a record and seals it: it is the next envelope of its author's log.
    async fn write(&self, record: movement::Record) {
        let mut client = Client::open(&self.homes[record.phone]).await.unwrap();
        let reply = if record.bytes == PHOTO_BYTES {
            client.call(photo(record)).await.unwrap()
        } else {
            client.call(visit(self.people[record.phone].unwrap(), record)).await.unwrap()
        };
        assert!(matches!(reply, Reply::Written { .. } | Reply::Imported { .. }), "{reply:?}");
        let sealed = client.call(Command::Seal).await.unwrap();
        assert!(matches!(sealed, Reply::Sealed { .. }), "{sealed:?}");
        client.close().await;
    }

    /// Daemons run until all have exchanged what they have. All contacts are with one of them.
    async fn meet(&self, contacts: &[(usize, usize)]) {
        let host = contacts[0].1;
        assert!(contacts.iter().all(|(_, other)| *other == host));
        let (mut hosting, address) = Daemon::start(&self.homes[host], None).await;
        let mut guests = Vec::new();
        for (guest, _) in contacts {
            guests.push(Daemon::start(&self.homes[*guest], address.as_deref()).await.0);
        }
        for guest in &mut guests {
            guest.complete(1).await;
        }
        hosting.complete(guests.len()).await;
        // The host holds all that any of them brought. Some were done before others came.
        if guests.len() > 1 {
            let all = count(&self.homes[host]).await;
            let until = std::time::Instant::now() + PATIENCE;
            for (guest, _) in contacts {
                while count(&self.homes[*guest]).await < all {
                    assert!(std::time::Instant::now() < until, "not in time");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        for daemon in guests.into_iter().chain([hosting]) {
            daemon.stop().await;
        }
    }

    /// What is in their files.
    fn holdings(&self) -> Holdings {
        let of = |home: &PathBuf| {
            let mut records = BTreeSet::new();
            for (log, seq) in envelopes(home) {
                // The first is of the person whom the records are about.
                if let Some(number) = seq.checked_sub(1) {
                    records.insert((self.authors[&log], number));
                }
            }
            records
        };
        self.homes.iter().map(of).enumerate().collect()
    }
}

async fn register(client: &mut Client) -> Record {
    let fields = [("name/given", "Aline"), ("name/family", "Uwase")];
    let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    let add = Command::AddPerson { area: AreaRef::Own, fields: fields.collect() };
    let Reply::Written { record, .. } = client.call(add).await.unwrap() else { panic!() };
    assert_eq!(client.call(Command::Seal).await.unwrap(), Reply::Sealed { envelopes: 1 });
    record
}

fn visit(record: Record, plan: movement::Record) -> Command {
    let mut answers = vec![("age-months", "29"), ("temperature", "37.1")];
    answers.extend(plan.danger.then_some(("convulsions", "yes")));
    let answers = answers.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    Command::AddVisit {
        record,
        form: "sick-child".to_owned(),
        occurred: Stamp(1_793_599_200),
        answers: answers.collect(),
    }
}

/// A photo whose envelope has about the bytes of the plan: of each letter compression leaves six
/// bits.
fn photo(plan: movement::Record) -> Command {
    let mut data = String::new();
    let mut state = plan.at_ms | 1;
    for _ in 0..plan.bytes * 4 / 3 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        data.push(char::from(letter[usize::from(state.to_le_bytes()[3] % 64)]));
    }
    let mut text = String::new();
    write!(
        text,
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Media","id":"m{}","status":"completed","content":{{"data":"{data}"}}}}}}]}}"#,
        plan.at_ms
    )
    .unwrap();
    Command::Import { area: AreaRef::Own, text, source: Some("camera".to_owned()) }
}

/// Log and number of every envelope in a home.
fn envelopes(home: &Path) -> Vec<(Vec<u8>, usize)> {
    let store = Store::open(StoreKind::Carrier, &home.join("carrier.redb")).unwrap();
    let mut all = Vec::new();
    let mut range = Some(Range::all(Table::Envelopes));
    while let Some(next) = range {
        let rows = store.load(&next).unwrap();
        range = next.rest(&rows);
        for (mut key, _) in rows {
            let seq = key.split_off(key.len() - 8);
            let seq = u64::from_be_bytes(seq.try_into().unwrap());
            all.push((key, usize::try_from(seq).unwrap()));
        }
    }
    store.close();
    all
}

async fn count(home: &Path) -> u64 {
    let mut client = Client::open(home).await.unwrap();
    let reply = client.call(Command::Status { records: false }).await.unwrap();
    client.close().await;
    let Reply::Status(status) = reply else { panic!("{reply:?}") };
    status.envelopes
}

/// A daemon in this process.
struct Daemon {
    events: mpsc::Receiver<ShellEvent>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Daemon {
    /// Runs one that listens on loopback, and dials if there is somebody to dial. Returns once it
    /// is ready, with its address.
    async fn start(home: &Path, dial: Option<&str>) -> (Self, Option<String>) {
        let options = RunOptions {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            dial: dial.map(str::to_owned).into_iter().collect(),
            mdns: Some(false),
            remember: Some(false),
            redial_ms_max: Some(500),
            ..RunOptions::default()
        };
        let (told, events) = mpsc::channel(1_024);
        let (stop, stopped) = oneshot::channel::<()>();
        let task =
            tokio::spawn(huza_daemon::run(Home::open(home).unwrap(), options, told, stopped));
        let mut daemon = Self { events, stop, task };
        let (mut ready, mut address) = (false, None);
        while !ready || address.is_none() {
            match daemon.next().await {
                ShellEvent::Node(Event::Ready) => ready = true,
                ShellEvent::Listening { address: at } => address = Some(at),
                _ => {}
            }
        }
        (daemon, address)
    }

    async fn next(&mut self) -> ShellEvent {
        match tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap() {
            Some(event) => event,
            None => panic!("the daemon has ended: {:?}", (&mut self.task).await),
        }
    }

    /// Waits until it has held the same as each of so many peers.
    async fn complete(&mut self, peers: usize) {
        let mut complete = BTreeSet::new();
        while complete.len() < peers {
            if let ShellEvent::Node(Event::ContactComplete { pipe, .. }) = self.next().await {
                complete.insert(pipe);
            }
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.events);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}
