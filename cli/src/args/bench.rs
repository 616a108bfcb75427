//! `huza bench ...`: measuring, on one's own machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use huza_simulations::standard::{CHANGES, LOGS, RECORDS};

/// `huza bench ...`
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// How long an empty device takes to get a whole health centre's records from another
    FirstSync(FirstSyncArgs),
}

/// `huza bench first-sync`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza bench first-sync\n  \
    huza bench first-sync --records 2500 --changes 5000 --logs 13 --json\n\n\
    Phones write the workload and give it to a hub. Then the daemons of that hub and of an empty\n\
    one meet over loopback: two processes, with real files. Beside the times stands the floor: in\n\
    the same run, only checking every signature, on two cores, and writing the same bytes."
)]
pub(crate) struct FirstSyncArgs {
    /// People
    #[arg(long, value_name = "N", default_value_t = RECORDS)]
    pub(crate) records: u64,
    /// Changes in all: the people, then visits to them
    #[arg(long, value_name = "N", default_value_t = CHANGES)]
    pub(crate) changes: u64,
    /// Phones that write, each one log
    #[arg(long, value_name = "N", default_value_t = LOGS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) logs: u64,
    /// Changes of an envelope: 1, or as many as phones put together
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = per_envelope)]
    pub(crate) per_envelope: u64,
    /// Another workload of the same size
    #[arg(long, value_name = "N", default_value_t = 2_026)]
    pub(crate) seed: u64,
    /// Where to keep everything; must be empty or not exist [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

fn per_envelope(text: &str) -> Result<u64, String> {
    match text {
        "1" => Ok(1),
        "8" => Ok(8),
        _ => Err("phones put 8 together, or 1 when they meet somebody at once".to_owned()),
    }
}
