//! `huza bench`: figures of this machine, each beside what cannot be avoided.

mod first_sync;
mod floor;
mod memory;
mod prepare;

use crate::args::BenchCommand;
use crate::commands::Context;
use crate::error::{Failure, Kind};

/// Measures.
pub(crate) async fn run(context: &Context, command: BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::FirstSync(args) => first_sync::run(context, &args).await,
    }
}

/// Something here went otherwise than it can.
fn odd(what: &str) -> Failure {
    Failure::new(Kind::Unexpected, "bench", format!("The measurement failed: {what}"))
        .hint("Please report it")
}
