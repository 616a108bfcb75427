//! `huza bench first-sync`: two processes meet over loopback, one with the workload, one without.

use std::path::Path;
use std::time::{Duration, Instant};

use huza_crdt::node::{Command, Reply, Status};
use huza_simulations::standard::Workload;
use serde_json::{Value, json};
use tokio::time::{Instant as Moment, sleep};

use super::floor::{self, Floor};
use super::memory::{self, Memory};
use super::prepare::{Prepared, prepare};
use super::{described, odd, workload};
use crate::args::FirstSyncArgs;
use crate::commands::Context;
use crate::commands::demo::Place;
use crate::commands::demo::happening::Stats;
use crate::commands::demo::process::{Machine, Running, huza};
use crate::commands::demo::programme::Member;
use crate::error::Failure;
use crate::output;
use crate::shell::Device;

/// Between two looks at the receiving device.
const LOOK: Duration = Duration::from_millis(5);

/// How long a daemon has to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// How long all of it may take. // guess: hundreds of times what is measured
const PATIENCE: Duration = Duration::from_secs(900);

/// Times that one question is asked; the median counts.
const ASKED: usize = 5;

/// Milliseconds from the connection on.
#[derive(Debug, Clone, Copy, Default)]
struct Milestones {
    /// Every envelope is on the receiver's disk.
    durable: Option<u64>,
    /// Every person stands in its list.
    listable: Option<u64>,
    /// Every envelope is opened, and a search answers.
    searchable: Option<u64>,
}

/// What the two processes told.
struct Synced {
    milestones: Milestones,
    stats: Stats,
    sender: Memory,
    receiver: Memory,
    find_micros: u64,
}

/// Prepares, measures, reports.
pub(super) async fn run(context: &Context, args: &FirstSyncArgs) -> Result<(), Failure> {
    let (workload, per_envelope) = (workload(&args.sizes)?, args.sizes.per_envelope);
    let place = Place::choose(args.out.as_deref(), false)?;
    let prepared = prepare(context.output, &place.folder, workload, per_envelope == 1).await?;
    context.output.note("two daemons meet");
    let machine = Machine::new(place.folder.join("logs"))?;
    let synced = sync(&machine, &prepared, workload).await?;
    let status_ms = status_ms(&machine, &prepared.empty).await?;
    context.output.note("the floor");
    let floor = floor(&prepared, &place.folder).await?;
    let value = report(workload, per_envelope, &synced, status_ms, &floor);
    context.output.answer(&value, &told(workload, &synced, status_ms, &floor))
}

async fn sync(
    machine: &Machine,
    Prepared { full, empty, .. }: &Prepared,
    workload: Workload,
) -> Result<Synced, Failure> {
    let deadline = Moment::now() + PATIENCE;
    let mut sender = Running::start(machine, full, None)?;
    let address = sender.address(deadline).await?;
    let whole = rested(full, deadline).await?;
    sleep(REST).await;
    let idle = memory::of(sender.id()).idle;
    let mut receiver = Running::start(machine, empty, Some(&address))?;
    receiver.connected(deadline).await?;
    let begun = Instant::now();
    let mut device = Device::open(&empty.home).await?;
    let milestones = follow(&mut device, begun, deadline, (&whole, workload)).await?;
    receiver.complete_with(full, deadline).await?;
    sleep(REST).await;
    let find_micros = find_micros(&mut device).await?;
    let receiver_memory = memory::of(receiver.id());
    let sender_memory = Memory { idle, ..memory::of(sender.id()) };
    device.close().await?;
    let stats = receiver.stop(full).await?;
    sender.stop(empty).await?;
    Ok(Synced { milestones, stats, sender: sender_memory, receiver: receiver_memory, find_micros })
}

/// Waits until a device has opened all that it holds.
async fn rested(member: &Member, deadline: Moment) -> Result<Status, Failure> {
    let mut device = member.open().await?;
    loop {
        let status = device.status(false).await?;
        if status.unfiled == 0 && status.envelopes > 0 {
            device.close().await?;
            return Ok(status);
        }
        if Moment::now() >= deadline {
            return Err(odd("the full device does not come to rest"));
        }
        sleep(LOOK).await;
    }
}

/// Looks at the receiver until it has everything.
async fn follow(
    device: &mut Device,
    begun: Instant,
    deadline: Moment,
    (whole, workload): (&Status, Workload),
) -> Result<Milestones, Failure> {
    let mut milestones = Milestones::default();
    while milestones.searchable.is_none() {
        let status = device.status(false).await?;
        let durable = status.envelopes >= whole.envelopes;
        let listable = status.records_count as u64 >= workload.records;
        let opened = durable && status.unfiled == 0;
        let searchable = opened && !find(device, "a").await?.is_empty();
        let now = millis(begun.elapsed());
        for (reached, milestone) in [
            (durable, &mut milestones.durable),
            (listable, &mut milestones.listable),
            (searchable, &mut milestones.searchable),
        ] {
            if reached {
                milestone.get_or_insert(now);
            }
        }
        if Moment::now() >= deadline {
            return Err(odd("the empty device did not get everything"));
        }
        sleep(LOOK).await;
    }
    Ok(milestones)
}

async fn find(device: &mut Device, query: &str) -> Result<Vec<String>, Failure> {
    match device.call(Command::Find { query: query.to_owned(), limit: 20 }).await? {
        Reply::Found { records } => Ok(records.into_iter().map(|one| one.name).collect()),
        _ => Err(Failure::answer("find")),
    }
}

/// Microseconds of finding a person by parts of both names, in the other order; the connection
/// stands already.
async fn find_micros(device: &mut Device) -> Result<u64, Failure> {
    let found = find(device, "").await?;
    let name = found.last().cloned().unwrap_or_default();
    let part = |word: &str| word.chars().take(4).collect::<String>();
    let query: Vec<String> = name.split_whitespace().rev().map(part).collect();
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let begun = Instant::now();
        if find(device, &query.join(" ")).await?.is_empty() {
            return Err(odd("a person is not found by parts of the names"));
        }
        times.push(begun.elapsed());
    }
    Ok(u64::try_from(median(times).as_micros()).unwrap_or(u64::MAX))
}

/// `huza status`, from the start of its process to its end, while no daemon runs.
async fn status_ms(machine: &Machine, member: &Member) -> Result<u64, Failure> {
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let begun = Instant::now();
        let mut status = huza(&machine.program);
        let ran = status.args(["status", "--home"]).arg(&member.home).output().await;
        let ran = ran.map_err(|error| odd(&error.to_string()))?;
        if !ran.status.success() {
            return Err(odd(&String::from_utf8_lossy(&ran.stderr)));
        }
        times.push(begun.elapsed());
    }
    Ok(millis(median(times)))
}

async fn floor(prepared: &Prepared, folder: &Path) -> Result<Floor, Failure> {
    let (home, folder) = (prepared.empty.home.clone(), folder.to_owned());
    let keys = prepared.keys.clone();
    let run = move || floor::measure(&home, &folder, &keys);
    tokio::task::spawn_blocking(run).await.map_err(|_panic| odd("the floor"))?
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with a fraction: floors of small workloads are short.
fn exact(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds and bytes are far below 2^52")]
fn ratio(over: u64, under: f64) -> f64 {
    (over as f64 / under * 100.0).round() / 100.0
}

fn report(
    workload: Workload,
    per_envelope: u64,
    synced: &Synced,
    status_ms: u64,
    floor: &Floor,
) -> Value {
    let Synced { milestones, stats, sender, receiver, find_micros } = synced;
    let durable = milestones.durable.unwrap_or_default();
    let searchable = milestones.searchable.unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let changes = workload.changes as f64;
    json!({
        "bench": "first-sync",
        "workload": described(workload, per_envelope),
        "envelopes": floor.envelopes,
        "statements": floor.statements,
        "millis": durable,
        "floor_millis": exact(floor.carrier),
        "ratio": ratio(durable, exact(floor.carrier)),
        "reader_millis": searchable,
        "reader_floor_millis": exact(floor.reader),
        "reader_ratio": ratio(searchable, exact(floor.reader)),
        "floor_parts_millis": { "verify": exact(floor.verify), "write": exact(floor.write) },
        "milestones": {
            "durable": milestones.durable,
            "listable": milestones.listable,
            "searchable": milestones.searchable,
        },
        "bytes_each_way": [stats.bytes_received, stats.bytes_sent],
        "round_trips": stats.round_trips,
        "bytes_per_visit": ratio(stats.bytes_received + stats.bytes_sent, changes),
        "rss_bytes": { "sender": sender, "receiver": receiver },
        "status_millis": status_ms,
        "find_micros": find_micros,
    })
}

fn told(workload: Workload, synced: &Synced, status_ms: u64, floor: &Floor) -> String {
    let Synced { milestones, stats, sender, receiver, find_micros } = synced;
    let at = |milestone: Option<u64>, floor: Duration| {
        let milestone = milestone.unwrap_or_default();
        let floor = exact(floor);
        vec![
            format!("{milestone} ms"),
            format!("{floor} ms"),
            format!("{}", ratio(milestone, floor)),
        ]
    };
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let listable = milestones.listable.unwrap_or_default();
    let times = output::table(
        &["", "took", "floor", "ratio"],
        &[
            row("durable", at(milestones.durable, floor.carrier)),
            row("listable", vec![format!("{listable} ms")]),
            row("searchable", at(milestones.searchable, floor.reader)),
        ],
    );
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), output::bytes);
    let memory =
        |name: &str, memory: &Memory| row(name, vec![size(memory.idle), size(memory.peak)]);
    let resident = output::table(
        &["resident", "idle", "peak"],
        &[memory("sender", sender), memory("receiver", receiver)],
    );
    format!(
        "{} people, {} changes, {} logs, {} envelopes, {} statements; seed {}.\n\n{times}\n\n\
         {} to the receiver, {} back, {} round trips.\n\n{resident}\n\n\
         `huza status` takes {status_ms} ms without a daemon; a search with one {find_micros} us.",
        workload.records,
        workload.changes,
        workload.logs,
        floor.envelopes,
        floor.statements,
        workload.seed,
        output::bytes(stats.bytes_received),
        output::bytes(stats.bytes_sent),
        stats.round_trips,
    )
}
