//! `huza bench ...`: measuring, on one's own machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use huza_simulations::standard::{CHANGES, LOGS, RECORDS};

/// `huza bench ...`
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// How long an empty device takes to get a whole health centre's records from another
    FirstSync(FirstSyncArgs),
    /// Bytes and round trips of a contact, between two devices that hold nearly the same
    Contact(ContactArgs),
    /// How long many phones take to exchange everything by one hub, all at once
    Meeting(MeetingArgs),
    /// Bytes of a visit on the way, alone and together with others
    VisitSize(VisitSizeArgs),
}

/// `huza bench first-sync`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza bench first-sync\n  \
    huza bench first-sync --records 2500 --changes 5000 --logs 13 --json\n\n\
    Phones write the workload and give it to a hub. Then the daemons of that hub and of an empty\n\
    one meet over loopback: two processes, with real files. Beside the times stands the floor: in\n\
    the same run, only checking every signature, on two cores, and writing the same bytes.")]
pub(crate) struct FirstSyncArgs {
    #[command(flatten)]
    pub(crate) sizes: Sizes,
    /// Where to keep everything; must be empty or not exist [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza bench contact`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza bench contact\n  huza bench contact --new 130\n  \
    huza bench contact --new 2000 --scattered --json\n\n\
    Bytes and round trips are exact, and the same on every machine: two carriers meet in memory, on\n\
    a link on which what both say at once passes each other. What the transport adds is not in them.")]
pub(crate) struct ContactArgs {
    /// Changes that only one of the two holds
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) new: u64,
    /// The new changes are the last ones of all logs; else of as few logs as possible
    #[arg(long)]
    pub(crate) scattered: bool,
    #[command(flatten)]
    pub(crate) sizes: Sizes,
}

/// `huza bench meeting`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza bench meeting\n  \
    huza bench meeting --phones 20 --visits 100 --json\n\n\
    The hub holds the workload and is a process of its own; the phones are daemons in this one,\n\
    with files and sockets. All start at once. Then, when nothing is left to say, phones write visits.")]
pub(crate) struct MeetingArgs {
    /// Phones
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=130))]
    pub(crate) phones: u64,
    /// Visits that each phone has written before
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) visits: u64,
    /// Visits that are written when all hold the same
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: u64,
    /// People of whom the hub knows already
    #[arg(long, value_name = "N", default_value_t = 1_300)]
    pub(crate) records: u64,
    /// Changes that the hub holds, with these people
    #[arg(long, value_name = "N", default_value_t = 2_600)]
    pub(crate) changes: u64,
    /// Phones that wrote them, which are not at the meeting
    #[arg(long, value_name = "N", default_value_t = LOGS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) logs: u64,
    /// Another workload of the same size
    #[arg(long, value_name = "N", default_value_t = 2_026)]
    pub(crate) seed: u64,
    /// Where to keep everything; must be empty or not exist [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza bench visit-size`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza bench visit-size\n  huza bench visit-size --seed 7 --json"
)]
pub(crate) struct VisitSizeArgs {
    #[command(flatten)]
    pub(crate) sizes: Sizes,
}

/// The workload.
#[derive(Debug, Args)]
pub(crate) struct Sizes {
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
}

fn per_envelope(text: &str) -> Result<u64, String> {
    match text {
        "1" => Ok(1),
        "8" => Ok(8),
        _ => Err("phones put 8 together, or 1 when they meet somebody at once".to_owned()),
    }
}
