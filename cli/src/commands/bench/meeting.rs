//! `huza bench meeting`: many phones meet one hub at once, as at the monthly meeting.
//!
//! The hub is a process of its own, which is what is measured. The phones are daemons in this one,
//! each with its own home, files and sockets; they know the hub's address and nobody else's.

use std::path::Path;
use std::time::{Duration, Instant};

use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Event, Reply};
use huza_daemon::time;
use huza_daemon::{Client, Home, InitOptions, RunError, RunOptions, ShellEvent};
use huza_simulations::standard::Phones;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant as Moment, sleep, timeout};

use super::memory::{self, Memory};
use super::prepare::{fill, hub};
use super::{described, odd, workload};
use crate::args::{MeetingArgs, Sizes};
use crate::commands::Context;
use crate::commands::demo::Place;
use crate::commands::demo::process::{Machine, Running};
use crate::error::Failure;
use crate::output;

/// How long all of it may take. // guess: far above what is measured
const PATIENCE: Duration = Duration::from_secs(900);

/// Nothing happens for so long: everybody has everything.
const REST: Duration = Duration::from_millis(1_500);

/// Between two looks for a person.
const LOOK: Duration = Duration::from_millis(25);

/// Events of all phones that may wait to be read.
const EVENTS_QUEUED_MAX: usize = 4_096;

/// A free port of this machine.
const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// One phone of the meeting.
struct Phone {
    village: u64,
    home: std::path::PathBuf,
    /// Somebody whom it registered before the meeting.
    person: RecordId,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
    seen: Seen,
}

/// When something first happened on a phone.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    met: Option<Instant>,
    /// The first envelope of others was durable.
    first: Option<Instant>,
    /// The last one so far.
    last: Option<Instant>,
    complete: Option<Instant>,
    envelopes: u64,
    bytes: (u64, u64),
}

/// Milliseconds: of the first half, of all.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: u64,
    slowest: u64,
}

/// The meeting.
struct Meeting {
    phones: Vec<Phone>,
    events: mpsc::Receiver<(usize, Instant, ShellEvent)>,
    begun: Instant,
}

/// Prepares, measures, reports.
pub(super) async fn run(context: &Context, args: &MeetingArgs) -> Result<(), Failure> {
    let MeetingArgs { records, changes, logs, seed, .. } = *args;
    let size = workload(&Sizes { records, changes, logs, per_envelope: 8, seed })?;
    let place = Place::choose(args.out.as_deref(), false)?;
    let mut centre = Phones::new(size, false).ok_or_else(|| odd("no health centre"))?;
    let hub = hub(&place.folder, &mut centre, "hub").await?;
    fill(context.output, &hub, &mut centre, size).await?;
    let mut homes = Vec::new();
    for index in 0..args.phones {
        if index % 10 == 0 {
            context.output.note(&format!("phone {} of {} writes", index + 1, args.phones));
        }
        // Four to a village, as far as there are villages.
        let village = index % args.phones.div_ceil(4).min(size.villages());
        homes.push(enrol(&place.folder, &mut centre, index, village, args.visits).await?);
    }
    context.output.note("they meet");
    let machine = Machine::new(place.folder.join("logs"))?;
    let mut process = Running::start(&machine, &hub, None)?;
    let address = process.address(Moment::now() + PATIENCE).await?;
    let id = process.id();
    let mut meeting = Meeting::begin(homes, &address)?;
    meeting.until(|seen| seen.met.is_some()).await?;
    let urgent = meeting.urgent().await?;
    meeting.until(|seen| seen.complete.is_some()).await?;
    meeting.rest().await?;
    let gathered = meeting.gathered();
    let cpu = cpu_millis(id);
    let mut visits = Vec::new();
    for round in 0..args.rounds {
        visits.push(meeting.visit(round).await?);
    }
    let after = cpu_millis(id);
    let memory = memory::of(id);
    meeting.all_hold_the_same(&hub.home).await?;
    meeting.stop().await?;
    process.stop(&hub).await?;
    let measured = Measured { urgent, gathered, visits, cpu: [cpu, after], memory };
    let value = measured.json(args, described(size, 8));
    context.output.answer(&value, &measured.told(args))
}

/// A phone that has written something, before the meeting.
async fn enrol(
    folder: &Path,
    centre: &mut Phones,
    index: u64,
    village: u64,
    visits: u64,
) -> Result<(u64, std::path::PathBuf, RecordId), Failure> {
    let home = folder.join(format!("phone-{index:03}"));
    let request = Home::init(&home, &InitOptions::unprotected("phone", true))?;
    let welcome = centre.approve_phone(&request, village);
    let welcome = welcome.ok_or_else(|| odd("a phone was not approved"))?;
    let mut client = Client::open(&home).await?;
    if !matches!(client.call(Command::Join { welcome }).await?, Reply::Joined { .. }) {
        return Err(odd("a phone could not join"));
    }
    let person = written(client.call(person(&format!("Uwase{index}"))).await?)?;
    for _ in 0..visits {
        written(client.call(visit(person, false)).await?)?;
    }
    client.close().await;
    Ok((village, home, person))
}

fn person(family: &str) -> Command {
    let fields = [("name/given", "Aline"), ("name/family", family), ("sex", "female")];
    let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    Command::AddPerson { area: AreaRef::Own, fields: fields.collect() }
}

fn visit(record: RecordId, urgent: bool) -> Command {
    let mut answers = vec![("age-months", "29"), ("temperature", "37.1"), ("weight", "11.40")];
    answers.extend(urgent.then_some(("convulsions", "yes")));
    let answers = answers.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    Command::AddVisit {
        record,
        form: "sick-child".to_owned(),
        occurred: time::now(),
        answers: answers.collect(),
    }
}

fn written(reply: Reply) -> Result<RecordId, Failure> {
    match reply {
        Reply::Written { record, .. } => Ok(record),
        _ => Err(Failure::answer("visit add")),
    }
}

impl Meeting {
    /// Starts every phone at once.
    fn begin(homes: Vec<(u64, std::path::PathBuf, RecordId)>, hub: &str) -> Result<Self, Failure> {
        let (told, events) = mpsc::channel(EVENTS_QUEUED_MAX);
        let begun = Instant::now();
        let mut phones = Vec::new();
        for (index, (village, home, person)) in homes.into_iter().enumerate() {
            let options = RunOptions {
                dial: vec![hub.to_owned()],
                listen: vec![LISTEN.to_owned()],
                mdns: Some(false),
                remember: Some(false),
                ..RunOptions::default()
            };
            let (sender, mut own) = mpsc::channel(256);
            let (stop, stopped) = oneshot::channel::<()>();
            let task = tokio::spawn(huza_daemon::run(Home::open(&home)?, options, sender, stopped));
            let told = told.clone();
            tokio::spawn(async move {
                while let Some(event) = own.recv().await {
                    if told.send((index, Instant::now(), event)).await.is_err() {
                        return;
                    }
                }
            });
            phones.push(Phone { village, home, person, stop, task, seen: Seen::default() });
        }
        Ok(Self { phones, events, begun })
    }

    /// Hears one event, if one comes within `wait`.
    async fn hear(&mut self, wait: Duration) -> Option<()> {
        let (index, at, event) = timeout(wait, self.events.recv()).await.ok()??;
        let seen = &mut self.phones.get_mut(index)?.seen;
        match event {
            ShellEvent::Node(Event::Met { .. }) => {
                seen.met.get_or_insert(at);
            }
            ShellEvent::Node(Event::Took { envelopes, .. }) => {
                seen.first.get_or_insert(at);
                seen.last = Some(at);
                seen.envelopes += envelopes;
            }
            ShellEvent::Node(Event::ContactComplete { stats, .. }) => {
                seen.complete.get_or_insert(at);
                seen.bytes = (stats.bytes_sent, stats.bytes_received);
            }
            ShellEvent::Node(Event::ContactEnded { fault, complete, .. }) => {
                tracing::warn!(index, ?fault, complete, "a contact has ended");
            }
            _ => {}
        }
        Some(())
    }

    async fn until(&mut self, done: impl Fn(&Seen) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !self.phones.iter().all(|phone| done(&phone.seen)) {
            let left = deadline.saturating_duration_since(Instant::now());
            self.hear(left).await.ok_or_else(|| odd("the phones do not come to an end"))?;
        }
        Ok(())
    }

    /// Waits until nothing happens any more.
    async fn rest(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.hear(REST).await.is_some() {
            if Instant::now() > deadline {
                return Err(odd("the meeting does not come to rest"));
            }
        }
        Ok(())
    }

    /// An urgent visit while everybody transfers: milliseconds until each colleague of the village
    /// shows it.
    async fn urgent(&mut self) -> Result<Vec<u64>, Failure> {
        let Some(writer) = self.phones.first() else { return Ok(Vec::new()) };
        let village = writer.village;
        let mut device = Client::open(&writer.home).await?;
        let begun = Instant::now();
        let record = written(device.call(person("Ikirezi")).await?)?;
        written(device.call(visit(record, true)).await?)?;
        let others = self.phones.iter().skip(1).filter(|phone| phone.village == village);
        let looks = others.map(|phone| {
            let home = phone.home.clone();
            tokio::spawn(async move {
                let mut device = Client::open(&home).await?;
                let find = || Command::Find { query: "Ikirezi".to_owned(), limit: 1 };
                loop {
                    if let Reply::Found { records } = device.call(find()).await?
                        && records.iter().any(|one| one.urgent)
                    {
                        return Ok::<_, huza_daemon::ClientError>(begun.elapsed());
                    }
                    sleep(LOOK).await;
                }
            })
        });
        let looks: Vec<_> = looks.collect();
        let mut times = Vec::new();
        for look in looks {
            // Events must not pile up meanwhile.
            while !look.is_finished() {
                self.hear(LOOK).await;
            }
            times.push(millis(look.await.map_err(|_panic| odd("a look failed"))??));
        }
        Ok(times)
    }

    /// A visit when everybody is at rest: until it is durable on each other phone, those of the
    /// village first.
    async fn visit(&mut self, round: u64) -> Result<[Spread; 2], Failure> {
        let count = self.phones.len();
        // A prime number of steps apart, so that every village has its turn.
        let index = usize::try_from(round * 37).unwrap_or_default() % count.max(1);
        let Some(writer) = self.phones.get(index) else { return Err(odd("nobody to write")) };
        let (village, person) = (writer.village, writer.person);
        let mut device = Client::open(&writer.home).await?;
        for phone in &mut self.phones {
            phone.seen.first = None;
        }
        let begun = Instant::now();
        written(device.call(visit(person, false)).await?)?;
        if let Some(writer) = self.phones.get_mut(index) {
            writer.seen.first = Some(begun);
        }
        self.until(|seen| seen.first.is_some()).await?;
        let times = |own: bool| {
            let others = self.phones.iter().enumerate().filter(|(at, _)| *at != index);
            let of = others.filter(|(_, phone)| !own || phone.village == village);
            spread(of.filter_map(|(_, phone)| phone.seen.first), begun)
        };
        let spreads = [times(true), times(false)];
        self.rest().await?;
        Ok(spreads)
    }

    /// What happened until everybody held the same.
    fn gathered(&self) -> Gathered {
        let of = |when: fn(&Seen) -> Option<Instant>| {
            spread(self.phones.iter().filter_map(|phone| when(&phone.seen)), self.begun)
        };
        let add = |sum: [u64; 2], phone: &Phone| {
            [sum[0] + phone.seen.bytes.0, sum[1] + phone.seen.bytes.1]
        };
        Gathered {
            met: of(|seen| seen.met),
            first: of(|seen| seen.first),
            last: of(|seen| seen.last),
            complete: of(|seen| seen.complete),
            envelopes: self.phones.iter().map(|phone| phone.seen.envelopes).sum(),
            bytes: self.phones.iter().fold([0, 0], add),
        }
    }

    /// Fails unless each phone holds as many envelopes as the hub.
    async fn all_hold_the_same(&self, hub: &Path) -> Result<(), Failure> {
        let wanted = envelopes(hub).await?;
        for phone in &self.phones {
            let held = envelopes(&phone.home).await?;
            if held != wanted {
                return Err(odd(&format!("a phone holds {held} of {wanted} envelopes")));
            }
        }
        Ok(())
    }

    async fn stop(self) -> Result<(), Failure> {
        let mut tasks = Vec::new();
        for phone in self.phones {
            // One that has ended has nobody to tell.
            let _told = phone.stop.send(());
            tasks.push(phone.task);
        }
        drop(self.events);
        for task in tasks {
            task.await.map_err(|_panic| odd("a phone failed"))??;
        }
        Ok(())
    }
}

async fn envelopes(home: &Path) -> Result<u64, Failure> {
    let mut device = Client::open(home).await?;
    match device.call(Command::Status { records: false }).await? {
        Reply::Status(status) => Ok(status.envelopes),
        _ => Err(Failure::answer("status")),
    }
}

/// Milliseconds from `begun`.
fn spread(times: impl Iterator<Item = Instant>, begun: Instant) -> Spread {
    let mut times: Vec<u64> = times.map(|at| millis(at.saturating_duration_since(begun))).collect();
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    Spread { median: at(times.len() / 2), slowest: at(times.len().saturating_sub(1)) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a process has calculated so far, in milliseconds of one core; nothing where the system does
/// not tell.
fn cpu_millis(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything, come state and 10 numbers, then user and system.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let spent = ticks()? + ticks()?;
    Some(spent * 1_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Until everybody held the same for the first time.
struct Gathered {
    met: Spread,
    first: Spread,
    last: Spread,
    complete: Spread,
    envelopes: u64,
    bytes: [u64; 2],
}

struct Measured {
    urgent: Vec<u64>,
    gathered: Gathered,
    /// Of each: colleagues of the village, all.
    visits: Vec<[Spread; 2]>,
    /// Of the hub: when all had gathered, and at the end.
    cpu: [Option<u64>; 2],
    memory: Memory,
}

impl Measured {
    fn json(&self, args: &MeetingArgs, workload: Value) -> Value {
        let Gathered { met, first, last, complete, envelopes, bytes } = &self.gathered;
        let spread = |one: &Spread| json!({ "median": one.median, "slowest": one.slowest });
        let all = |which: usize| {
            self.visits.iter().filter_map(|both| both.get(which)).map(spread).collect::<Value>()
        };
        json!({
            "bench": "meeting",
            "workload": workload,
            "phones": args.phones,
            "visits_each": args.visits,
            "millis": {
                "met": spread(met),
                "first_envelope": spread(first),
                "last_envelope": spread(last),
                "complete": spread(complete),
                "urgent_shown": self.urgent,
            },
            "envelopes_taken": envelopes,
            "bytes_each_way": bytes,
            "visit_millis": { "village": all(0), "all": all(1) },
            "hub": { "cpu_millis": self.cpu, "rss_bytes": self.memory },
        })
    }

    fn told(&self, args: &MeetingArgs) -> String {
        let Gathered { met, first, last, complete, envelopes, bytes } = &self.gathered;
        let row = |name: &str, one: &Spread| {
            vec![name.to_owned(), format!("{} ms", one.median), format!("{} ms", one.slowest)]
        };
        let mut rows = vec![
            row("proven to each other", met),
            row("first envelope durable", first),
            row("last envelope durable", last),
            row("holds the same as the hub", complete),
        ];
        for (round, [village, all]) in self.visits.iter().enumerate() {
            rows.push(row(&format!("visit {} on colleagues' phones", round + 1), village));
            rows.push(row(&format!("visit {} on all phones", round + 1), all));
        }
        let table = output::table(&["until", "median", "slowest"], &rows);
        let size = |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), output::bytes);
        let cpu = |cpu: Option<u64>| cpu.map_or_else(|| "?".to_owned(), |ms| format!("{ms} ms"));
        let [gathered, end] = self.cpu;
        format!(
            "{} phones meet a hub at once; each has written {} visits.\n\n{table}\n\n\
             They took {envelopes} envelopes: {} to the hub, {} to the phones.\n\
             An urgent visit, written while all of them were transferring, was shown on colleagues'\n\
             phones after {:?} ms.\n\n\
             The hub calculated {} until all held the same, {} to the end; resident {}, at most {}.",
            args.phones,
            args.visits,
            output::bytes(bytes[0]),
            output::bytes(bytes[1]),
            self.urgent,
            cpu(gathered),
            cpu(end),
            size(self.memory.idle),
            size(self.memory.peak),
        )
    }
}
