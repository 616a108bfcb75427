//! `huza simulate run`: a scenario in, what came of it out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use huza_simulations::geography::Geography;
use huza_simulations::movement::Movement;
use huza_simulations::network::outcome::{Delivery, Outcome, Waits};
use huza_simulations::network::plan::Drawn;
use huza_simulations::network::{Account, Estimate, Made, Strategy, full, report as page, sized};
use huza_simulations::stats::{Distribution, Survival};
use serde_json::{Value, json};

use super::{place, stored, tables};
use crate::args::{Fidelity, SimulateRunArgs};
use crate::commands::Context;
use crate::commands::bench::memory;
use crate::error::{Failure, Kind};
use crate::output::{self, count};

/// One run of several.
#[derive(Debug, Clone)]
struct Job {
    /// What tells it from the others; empty if there is one.
    name: String,
    strategy: Strategy,
    sets: Vec<String>,
}

/// A job with its place, ready to run.
struct Ready {
    made: Made,
    strategy: Strategy,
    fidelity: Fidelity,
    place: Geography,
    drawn: Drawn,
    estimate: Estimate,
}

/// What came of a job.
struct Done {
    outcome: Outcome,
    millis: u128,
}

/// Runs every job, and reports.
pub(super) fn run(context: &Context, args: &SimulateRunArgs) -> Result<(), Failure> {
    let jobs = jobs(args)?;
    let ready = jobs.iter().map(|job| prepare(args, job)).collect::<Result<Vec<Ready>, _>>()?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(ready.len());
    foretell(context, &ready, cores);
    let outlines = stored::outlines(args.outlines.as_deref())?;
    let done = all(context, &ready, cores)?;
    if let Some(out) = &args.out {
        for (job, one) in jobs.iter().zip(&done) {
            let folder =
                if job.name.is_empty() { out.clone() } else { out.join(folder(&job.name)) };
            tables::write(&folder, &one.outcome)?;
            let page = page::html(&one.outcome, outlines.as_ref());
            stored::page(&folder.join(stored::REPORT), &page)?;
        }
    }
    report(context, &jobs, &done, args.out.as_deref())
}

/// Every strategy with every value with every seed.
fn jobs(args: &SimulateRunArgs) -> Result<Vec<Job>, Failure> {
    let first = place::scenario(&args.scenario, &[])?.0.seed;
    let swept = match &args.sweep {
        None => vec![None],
        Some(sweep) => {
            let (key, values) = sweep.split_once('=').ok_or_else(|| {
                Failure::new(Kind::Input, "sweep", format!("`{sweep}` is no KEY=A,B,C"))
                    .hint("For example --sweep people.equipped=0.3,0.5,1")
            })?;
            values_of(values).into_iter().map(|value| Some(format!("{key}={value}"))).collect()
        }
    };
    let mut jobs = Vec::new();
    for strategy in &args.strategy {
        for set in &swept {
            for seed in first..first.saturating_add(args.seeds) {
                let mut name = Vec::new();
                if args.strategy.len() > 1 {
                    name.push(strategy.to_string());
                }
                name.extend(set.clone());
                let mut sets: Vec<String> = set.iter().cloned().collect();
                if args.seeds > 1 {
                    name.push(format!("seed={seed}"));
                    sets.push(format!("seed={seed}"));
                }
                jobs.push(Job { name: name.join(" "), strategy: *strategy, sets });
            }
        }
    }
    let mut folders = BTreeSet::new();
    match jobs.iter().find(|job| !folders.insert(folder(&job.name))) {
        None => Ok(jobs),
        Some(twice) => {
            let message = format!("two runs would be called `{}`", folder(&twice.name));
            Err(Failure::new(Kind::Input, "twice", message)
                .hint("Name each strategy and each value of a sweep once"))
        }
    }
}

/// Values between commas, of which those in brackets belong to one.
fn values_of(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let at_comma = |c: char| {
        depth = match c {
            '[' => depth + 1,
            ']' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    };
    text.split(at_comma).collect()
}

fn prepare(args: &SimulateRunArgs, job: &Job) -> Result<Ready, Failure> {
    let (scenario, settings) = place::scenario(&args.scenario, &job.sets)?;
    let place = place::geography(&scenario, &args.scenario)?;
    let drawn = Drawn::new(&place, Movement::new(&place, scenario));
    let fidelity = args.fidelity;
    let estimate = match fidelity {
        Fidelity::Sized => Estimate::of(&drawn, job.strategy),
        Fidelity::Full if job.strategy == Strategy::Huza => Estimate::of_nodes(&drawn),
        Fidelity::Full => {
            let what = format!("Real nodes do not know the strategy {}", job.strategy);
            return Err(Failure::new(Kind::Input, "strategy", what)
                .hint("Leave --fidelity full out, or say --strategy huza"));
        }
    };
    let file = args.scenario.file.file_stem().unwrap_or_default().to_string_lossy();
    let name = if job.name.is_empty() { file.into_owned() } else { job.name.clone() };
    let strategy = job.strategy.to_string();
    let made = Made { name, strategy, fidelity: fidelity.name().to_owned(), settings };
    Ok(Ready { made, strategy: job.strategy, fidelity, place, drawn, estimate })
}

/// Says before it begins what it will take.
fn foretell(context: &Context, ready: &[Ready], cores: usize) {
    let sum = |of: fn(&Estimate) -> u64| ready.iter().map(|one| of(&one.estimate)).sum::<u64>();
    let seconds = sum(|one| one.seconds).div_ceil(cores as u64);
    let mut bytes: Vec<u64> = ready.iter().map(|one| one.estimate.bytes).collect();
    bytes.sort_unstable();
    let bytes: u64 = bytes.iter().rev().take(cores).sum();
    context.output.note(&format!(
        "{}: some {} contacts, {} records; about {}, {} of memory",
        count(ready.len(), "run"),
        sum(|one| one.contacts),
        sum(|one| one.records),
        duration(Some(seconds)),
        output::bytes(bytes),
    ));
}

/// Runs all, as many at once as there are cores; none on more than one.
fn all(context: &Context, ready: &[Ready], cores: usize) -> Result<Vec<Done>, Failure> {
    let next = Mutex::new(ready.iter().enumerate());
    let (told, hear) = mpsc::channel();
    let began = Instant::now();
    let mut done: BTreeMap<usize, Option<Done>> = BTreeMap::new();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            let (next, told) = (&next, told.clone());
            scope.spawn(move || {
                while let Some((number, job)) = take(next) {
                    let one = one(job, &told);
                    // Nobody hears it if the command has failed.
                    drop(told.send(Told::Done(number, Box::new(one))));
                }
            });
        }
        drop(told);
        let all: u64 = ready.iter().map(|one| one.drawn.movement().scenario().days).sum();
        let mut days = 0;
        for told in hear {
            match told {
                Told::Day => days += 1,
                Told::Done(number, one) => drop(done.insert(number, *one)),
            }
            let left = began.elapsed().as_secs() * (all - days) / days.max(1);
            let left = duration(Some(left));
            context.output.progress(&format!("day {days} of {all}, {left} left"));
        }
    });
    context.output.progress("");
    let done: Option<Vec<Done>> = done.into_values().collect();
    done.ok_or_else(|| {
        Failure::new(Kind::Unexpected, "node", "A node did not do what it was told")
            .hint("Please report it, with the scenario")
    })
}

/// What a thread tells.
enum Told {
    Day,
    Done(usize, Box<Option<Done>>),
}

fn take<T>(from: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    from.lock().ok()?.next()
}

fn one(job: &Ready, told: &Sender<Told>) -> Option<Done> {
    let began = Instant::now();
    let mut account = Account::new(&job.drawn, &job.place);
    let mut day = |_| drop(told.send(Told::Day));
    let loads = match job.fidelity {
        Fidelity::Sized => sized::run(&job.drawn, job.strategy, &mut account, &mut day),
        Fidelity::Full => {
            let seed = job.drawn.movement().scenario().seed;
            full::run(&job.drawn, seed, &mut account, &mut day)?
        }
    };
    let outcome = account.finish(job.made.clone(), &loads);
    Some(Done { outcome, millis: began.elapsed().as_millis() })
}

/// The name of a run as that of a directory.
fn folder(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".=-_".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}

fn report(
    context: &Context,
    jobs: &[Job],
    done: &[Done],
    out: Option<&Path>,
) -> Result<(), Failure> {
    let values: Vec<Value> = done.iter().map(value).collect();
    let value = json!({ "runs": values, "out": out });
    let mut text = match done {
        [one] => summary(one),
        many => {
            let rows: Vec<Vec<String>> =
                jobs.iter().zip(many).map(|(job, done)| row(job, done)).collect();
            output::table(&SIDE_BY_SIDE, &rows)
        }
    };
    if let Some(out) = out {
        let _written = writeln!(text, "\nwritten to {}", out.display());
    }
    context.output.answer(&value, &text)
}

const SIDE_BY_SIDE: [&str; 9] = [
    "run",
    "routine at hub: half",
    "90 %",
    "99 %",
    "never",
    "urgent at hub: half",
    "90 %",
    "at facility: 90 %",
    "MB a phone",
];

fn row(job: &Job, done: &Done) -> Vec<String> {
    let outcome = &done.outcome;
    let (routine, urgent) = (&outcome.routine, &outcome.urgent);
    let [half, most, nearly_all] = [50, 90, 99].map(|share| reached(&routine.to_hub, share));
    let sent = Distribution::new(outcome.phones.iter().map(|phone| phone.sent + phone.received));
    vec![
        job.name.clone(),
        half,
        most,
        nearly_all,
        never(&routine.to_hub),
        reached(&urgent.to_hub, 50),
        reached(&urgent.to_hub, 90),
        reached(&routine.to_facility, 90),
        format!("{:.1}", sent.quantile(50).unwrap_or_default() as f64 / 1e6),
    ]
}

/// One run for a person.
fn summary(done: &Done) -> String {
    let outcome = &done.outcome;
    let mut text = format!(
        "{}: {}, {}, {}, {}, strategy {}, fidelity {}, seed {}\nlog {}\n\n",
        outcome.name,
        count(outcome.villages.len(), "village"),
        count(outcome.phones.len(), "phone"),
        count(outcome.hubs.len(), "hub"),
        count(usize::try_from(outcome.days).unwrap_or(usize::MAX), "day"),
        outcome.strategy,
        outcome.fidelity,
        outcome.seed,
        outcome.log_hash,
    );
    let line = |what: &str, delivery: &Delivery, waits: &Waits| {
        let [half, most, all] = [50, 90, 99].map(|share| reached(waits, share));
        let written = delivery.written.to_string();
        vec![what.to_owned(), written, half, most, all, never(waits), come(waits)]
    };
    let (urgent, routine) = (&outcome.urgent, &outcome.routine);
    let rows = vec![
        line("urgent, at the health centre", urgent, &urgent.to_hub),
        line("urgent, at the facility", urgent, &urgent.to_facility),
        line("routine, at the health centre", routine, &routine.to_hub),
        line("routine, at the facility", routine, &routine.to_facility),
    ];
    let head = ["records", "written", "half", "90 %", "99 %", "never", "there at the end"];
    text += &output::table(&head, &rows);
    text.push('\n');
    text += &output::table(&["a phone", "median", "90 %", "most"], &phones(outcome));
    text.push('\n');
    let of = |part: u64, whole: u64| percent(part, whole);
    let rows: Vec<Vec<String>> = outcome
        .meetings
        .iter()
        .map(|one| {
            vec![
                one.kind.clone(),
                one.contacts.to_string(),
                of(one.short, one.met),
                of(one.cut, one.contacts),
                of(one.idle, one.contacts),
                output::bytes(one.bytes),
            ]
        })
        .collect();
    let head = ["meetings", "contacts", "too short", "cut", "nothing new", "bytes"];
    text += &output::table(&head, &rows);
    let silent = outcome.villages.iter().filter(|one| one.written > 0 && one.at_hub == 0).count();
    let bare = outcome.villages.iter().filter(|one| one.phones == 0).count();
    let _written = write!(
        text,
        "\n{} of which no record reached the health centre, {} without a phone\nIt took {} ms",
        count(silent, "village"),
        count(bare, "village"),
        done.millis,
    );
    if let Some(peak) = memory::of(std::process::id()).peak {
        let _written = write!(text, " and at most {} of memory", output::bytes(peak));
    }
    text.push('\n');
    text
}

fn phones(outcome: &Outcome) -> Vec<Vec<String>> {
    let of = |what: &str, values: Vec<u64>, show: &dyn Fn(u64) -> String| {
        let all = Distribution::new(values);
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), show);
        vec![what.to_owned(), shown(all.quantile(50)), shown(all.quantile(90)), shown(all.max())]
    };
    let phones = &outcome.phones;
    let days = outcome.days.max(1);
    let joules = |joules: u64| format!("{joules} J");
    vec![
        of("sent", phones.iter().map(|one| one.sent).collect(), &output::bytes),
        of("received", phones.iter().map(|one| one.received).collect(), &output::bytes),
        of("stored, at most", phones.iter().map(|one| one.stored_peak).collect(), &output::bytes),
        of(
            "energy a day",
            phones
                .iter()
                .map(|one| {
                    let energy = &one.energy;
                    (energy.discovery + energy.link + energy.host + energy.verify) / days
                })
                .collect(),
            &joules,
        ),
    ]
}

fn value(done: &Done) -> Value {
    let outcome = &done.outcome;
    let waits = |waits: &Waits| {
        let survival = survival(waits);
        json!({
            "p50_s": survival.reached(50),
            "p90_s": survival.reached(90),
            "p99_s": survival.reached(99),
            "never": survival.never(),
            "happened": waits.after.iter().map(|one| one.happened).sum::<u64>(),
        })
    };
    let delivery = |delivery: &Delivery| {
        json!({
            "written": delivery.written,
            "to_hub": waits(&delivery.to_hub),
            "to_facility": waits(&delivery.to_facility),
        })
    };
    json!({
        "name": outcome.name,
        "strategy": outcome.strategy,
        "fidelity": outcome.fidelity,
        "seed": outcome.seed,
        "days": outcome.days,
        "log_hash": outcome.log_hash,
        "villages": outcome.villages.len(),
        "phones": outcome.phones.len(),
        "hubs": outcome.hubs.len(),
        "urgent": delivery(&outcome.urgent),
        "routine": delivery(&outcome.routine),
        "meetings": outcome.meetings,
        "millis": done.millis,
        "memory_peak_bytes": memory::of(std::process::id()).peak,
    })
}

fn survival(waits: &Waits) -> Survival {
    Survival::estimate(waits.after.iter().map(|one| (one.seconds, one.happened, one.censored)))
}

fn reached(waits: &Waits, per_cent: u64) -> String {
    duration(survival(waits).reached(per_cent))
}

/// The share that still waits after the longest time that any was watched.
fn never(waits: &Waits) -> String {
    format!("{:.2} %", survival(waits).never() * 100.0)
}

fn come(waits: &Waits) -> String {
    let (happened, all) = waits.after.iter().fold((0, 0), |(happened, all), one| {
        (happened + one.happened, all + one.happened + one.censored)
    });
    percent(happened, all)
}

fn percent(part: u64, whole: u64) -> String {
    match part.saturating_mul(1_000).checked_div(whole) {
        None => "-".to_owned(),
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn duration(seconds: Option<u64>) -> String {
    match seconds {
        None => "never".to_owned(),
        Some(seconds @ 0..120) => format!("{seconds} s"),
        Some(seconds @ 120..7_200) => format!("{} min", seconds / 60),
        Some(seconds) => format!("{}.{} d", seconds / 86_400, seconds % 86_400 / 8_640),
    }
}
