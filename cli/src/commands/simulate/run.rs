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
use huza_simulations::network::outcome::Outcome;
use huza_simulations::network::plan::Drawn;
use huza_simulations::network::{
    Account, Comparison, Estimate, Made, Strategy, full, report as page, sized,
};
use serde_json::{Value, json};

use super::{figures, place, stored, tables};
use crate::args::{Fidelity, SimulateRunArgs};
use crate::commands::Context;
use crate::commands::bench::memory;
use crate::error::{Failure, Kind};
use crate::output::{self, count, count_wide};

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
    report(context, &done, args.out.as_deref())
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
        duration(seconds),
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
            let left = duration(left);
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

fn report(context: &Context, done: &[Done], out: Option<&Path>) -> Result<(), Failure> {
    let memory = memory::of(std::process::id()).peak;
    let values: Vec<Value> = done.iter().map(value).collect();
    let value = json!({ "runs": values, "memory_peak_bytes": memory, "out": out });
    let mut text = match done {
        [one] => summary(one),
        many => {
            let runs: Vec<Outcome> = many.iter().map(|one| one.outcome.clone()).collect();
            figures::side_by_side(&Comparison::of(&runs))
        }
    };
    let took: u128 = done.iter().map(|one| one.millis).sum();
    let _written = write!(text, "\n\nIt took {took} ms in all");
    if let Some(peak) = memory {
        let _written = write!(text, " and at most {} of memory", output::bytes(peak));
    }
    text.push('\n');
    if let Some(out) = out {
        let _written = writeln!(text, "written to {}", out.display());
    }
    context.output.answer(&value, &text)
}

/// One run for a person.
fn summary(done: &Done) -> String {
    let outcome = &done.outcome;
    format!(
        "{}, strategy {}, fidelity {}, seed {}, log {}\n\n{}",
        count_wide(outcome.days, "day"),
        outcome.strategy,
        outcome.fidelity,
        outcome.seed,
        outcome.log_hash,
        figures::of_one(outcome),
    )
}

fn value(done: &Done) -> Value {
    let outcome = &done.outcome;
    json!({
        "name": outcome.name,
        "strategy": outcome.strategy,
        "fidelity": outcome.fidelity,
        "seed": outcome.seed,
        "days": outcome.days,
        "log_hash": outcome.log_hash,
        "figures": figures::values(outcome),
        "millis": done.millis,
    })
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{}.{} d", seconds / 86_400, seconds % 86_400 / 8_640),
    }
}
