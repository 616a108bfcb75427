//! `huza bench`: figures of this machine, each beside what cannot be avoided.

mod contact;
mod first_sync;
mod floor;
mod meeting;
pub(crate) mod memory;
mod prepare;
mod visit_size;

use huza_simulations::standard::Workload;
use serde_json::{Value, json};

use crate::args::{BenchCommand, Sizes};
use crate::commands::Context;
use crate::error::{Failure, Kind};

/// Measures.
pub(crate) async fn run(context: &Context, command: BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::FirstSync(args) => first_sync::run(context, &args).await,
        BenchCommand::Contact(args) => contact::run(context, &args),
        BenchCommand::Meeting(args) => meeting::run(context, &args).await,
        BenchCommand::VisitSize(args) => visit_size::run(context, &args),
    }
}

/// The workload of these sizes, if there is one.
fn workload(sizes: &Sizes) -> Result<Workload, Failure> {
    let Sizes { seed, records, changes, logs, .. } = *sizes;
    if records < logs || changes < records {
        let message = "each log needs a person, and people are changes";
        return Err(Failure::new(Kind::Input, "workload", message)
            .hint("Give --changes as many as --records, and --records as many as --logs"));
    }
    Ok(Workload { seed, records, changes, logs })
}

/// The workload, for machines.
fn described(workload: Workload, per_envelope: u64) -> Value {
    json!({
        "seed": workload.seed,
        "records": workload.records,
        "changes": workload.changes,
        "logs": workload.logs,
        "villages": workload.villages(),
        "per_envelope": per_envelope,
    })
}

/// Something here went otherwise than it can.
fn odd(what: &str) -> Failure {
    Failure::new(Kind::Unexpected, "bench", format!("The measurement failed: {what}"))
        .hint("Please report it")
}
