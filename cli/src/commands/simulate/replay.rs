//! `huza simulate replay`: recorded contacts and messages in, arrivals out.

use std::fmt::Write as _;
use std::path::Path;

use huza_simulations::replay::{self, Outcome, Plan, ReadError};
use huza_simulations::stats::reached;
use serde_json::json;

use super::text;
use crate::args::ReplayArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::files::Pending;
use crate::output;

/// Replays and reports.
pub(super) fn run(context: &Context, args: &ReplayArgs) -> Result<(), Failure> {
    let end_ms = args.end.saturating_mul(1_000);
    let contacts = parsed(&args.trace, |text| replay::contacts(text, end_ms))?;
    let messages = parsed(&args.messages, replay::messages)?;
    let plan = Plan { nodes: args.nodes, end_ms, contacts, messages };
    check(&plan)?;
    let began = std::time::Instant::now();
    let outcome = replay::run(&plan, args.link(), args.seed);
    let millis = began.elapsed().as_millis();
    if let Some(path) = &args.arrivals {
        let mut pending = Pending::begin(path, false, true)?;
        pending.append(table(&plan, &outcome).as_bytes())?;
        pending.publish()?;
    }
    report(context, &plan, &outcome, millis)
}

fn parsed<T>(path: &Path, parse: impl Fn(&str) -> Result<T, ReadError>) -> Result<T, Failure> {
    parse(&text(path)?).map_err(|error| {
        Failure::new(Kind::Input, "unreadable", format!("Cannot use {}, {error}", path.display()))
            .hint("`huza simulate replay --help` shows what the lines look like")
    })
}

/// Whether the plan speaks of nodes that there are: a contact of one beyond them would be left out.
fn check(plan: &Plan) -> Result<(), Failure> {
    let highest = plan.contacts.iter().map(|one| one.nodes.1);
    let highest = highest.chain(plan.messages.iter().map(|one| one.from)).max();
    match highest.filter(|node| *node >= plan.nodes) {
        None => Ok(()),
        Some(node) => {
            let message = format!("There is a node {node}, and only {} nodes", plan.nodes);
            let hint = format!("Say --nodes {} or more; they are numbered from 0", node + 1);
            Err(Failure::new(Kind::Input, "nodes", message).hint(hint))
        }
    }
}

fn table(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = "message,node,arrival_ms\n".to_owned();
    for arrival in &outcome.arrivals {
        let id = plan.messages.get(arrival.message).map_or("", |message| &message.id);
        let _written = writeln!(text, "{id},{},{}", arrival.node, arrival.at_ms);
    }
    text
}

fn report(context: &Context, plan: &Plan, outcome: &Outcome, millis: u128) -> Result<(), Failure> {
    let latencies = outcome.latencies(plan);
    let come: Vec<u64> = latencies.iter().copied().flatten().collect();
    let mean = come.iter().sum::<u64>().checked_div(come.len() as u64);
    let by = |per_cent| reached(&come, latencies.len(), per_cent);
    let value = json!({
        "contacts": plan.contacts.len(),
        "messages": latencies.len(),
        "arrived": come.len(),
        "never": latencies.len() - come.len(),
        "mean_ms_of_arrived": mean,
        "median_ms": by(50),
        "p90_ms": by(90),
        "p99_ms": by(99),
        "arrivals": outcome.arrivals.len(),
        "transfers": {
            "started": outcome.transfers.started,
            "done": outcome.transfers.done,
            "aborted": outcome.transfers.aborted,
        },
        "millis": millis,
    });
    let seconds = |ms: Option<u64>| {
        ms.map_or_else(|| "never".to_owned(), |ms| format!("{}.{:03} s", ms / 1_000, ms % 1_000))
    };
    let rows = vec![
        vec!["contacts".to_owned(), plan.contacts.len().to_string()],
        vec!["messages".to_owned(), latencies.len().to_string()],
        vec!["of them came to whom they are for".to_owned(), come.len().to_string()],
        vec!["half of all after".to_owned(), seconds(by(50))],
        vec!["90 % of all after".to_owned(), seconds(by(90))],
        vec!["99 % of all after".to_owned(), seconds(by(99))],
        vec!["mean of those that came".to_owned(), seconds(mean)],
        vec!["arrivals at any node".to_owned(), outcome.arrivals.len().to_string()],
        vec![
            "transfers, or batches, that take time".to_owned(),
            outcome.transfers.started.to_string(),
        ],
        vec!["cut by the end of a contact".to_owned(), outcome.transfers.aborted.to_string()],
    ];
    context.output.answer(&value, &output::table(&["replay", ""], &rows))
}
