//! `huza simulate`: networks before they are bought.

mod replay;

use crate::args::SimulateCommand;
use crate::commands::Context;
use crate::error::Failure;

/// Simulates.
pub(crate) fn run(context: &Context, command: &SimulateCommand) -> Result<(), Failure> {
    match command {
        SimulateCommand::Replay(args) => replay::run(context, args),
    }
}
