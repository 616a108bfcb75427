//! `huza simulate`: networks before they are bought.

mod chaos;
mod compare;
mod contacts;
mod figures;
mod place;
mod replay;
mod report;
mod run;
mod stored;
mod tables;

use std::io::Read as _;
use std::path::Path;

use huza_simulations::scenario::Scenario;

use crate::args::SimulateCommand;
use crate::commands::Context;
use crate::error::Failure;

/// First bytes of a file compressed with gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Simulates.
pub(crate) fn run(context: &Context, command: &SimulateCommand) -> Result<(), Failure> {
    match command {
        SimulateCommand::Run(args) => run::run(context, args),
        SimulateCommand::Replay(args) => replay::run(context, args),
        SimulateCommand::Contacts(args) => contacts::run(context, args),
        SimulateCommand::Chaos(args) => chaos::run(context, args),
        SimulateCommand::Report(args) => report::run(context, args),
        SimulateCommand::Compare(args) => compare::run(context, args),
        SimulateCommand::Scenario => context.output.raw(Scenario::commented().as_bytes()),
    }
}

/// The text of a file, which may be compressed.
fn text(path: &Path) -> Result<String, Failure> {
    let failure = |error: &std::io::Error| Failure::file("read", path, error);
    let bytes = std::fs::read(path).map_err(|error| failure(&error))?;
    let mut text = String::new();
    let read = if bytes.starts_with(&GZIP) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text)
    } else {
        bytes.as_slice().read_to_string(&mut text)
    };
    read.map_err(|error| failure(&error))?;
    Ok(text)
}
