//! `huza`: the one binary. Everything is reached through it: a phone, a hub, a gateway, an
//! authority device, the keys on paper, and the demonstration.
//!
//! This crate parses arguments ([`args`]), asks people for secrets ([`secrets`]), asks
//! `huza_daemon` ([`shell`]), and prints ([`output`]).
//! It holds no protocol and opens no database itself.

mod args;
mod commands;
mod error;
mod files;
mod output;
mod panics;
mod secrets;
mod shell;

use std::process::ExitCode;

use error::{Failure, Kind};

fn main() -> ExitCode {
    panics::hide_messages();
    let (context, command) = match args::parse() {
        Ok(parsed) => parsed,
        Err(early) => return early,
    };
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Storage, "runtime", error.to_string()))
        .and_then(|runtime| runtime.block_on(commands::run(&context, command)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.output.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
