//! What is said to the device in one's hand: making it, joining, opening, running.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use huza_crdt::debug_shows;

/// A new secret, and of what sort.
#[derive(Debug, Clone, Args)]
pub(crate) struct NewSecretArgs {
    /// A PIN of digits instead of a passphrase
    #[arg(long, conflicts_with = "unprotected")]
    pub(crate) pin: bool,
    /// No secret: WHOEVER HAS THE FILES READS EVERY RECORD. For demonstrations, and for servers
    /// whose whole disk is encrypted
    #[arg(long)]
    pub(crate) unprotected: bool,
    /// File with the new secret, where nobody can be asked
    #[arg(long, value_name = "FILE", conflicts_with = "unprotected")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
}

/// `huza init`
#[derive(Args)]
#[command(after_help = "Examples:\n  huza init --worker Claudine --label \"phone 1\"\n  \
    huza init --worker Claudine --pin\n  \
    huza init --label \"Hub of Nyamata\" --unprotected --request hub.txt\n\n\
    The passphrase is asked for twice, or read from --passphrase-file. Without it the records on\n\
    this device cannot be read; the health centre can help a worker who forgot it, once the device\n\
    has joined.")]
pub(crate) struct InitArgs {
    /// What people call the device; not a person's name
    #[arg(long, value_name = "NAME", default_value = "device")]
    pub(crate) label: String,
    /// Only carry for others: this device will read nothing
    #[arg(long, conflicts_with_all = ["pin", "unprotected"])]
    pub(crate) relay: bool,
    #[command(flatten)]
    pub(crate) secret: NewSecretArgs,
    /// Also write the join request to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
}

debug_shows!(struct InitArgs { relay });

/// `huza request`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza request --qr\n  huza request --out phone.txt\n\n\
    A request is good for two days and for one answer. It holds public keys only: it may be sent\n\
    by any way.")]
pub(crate) struct RequestArgs {
    /// Also show it as a QR code
    #[arg(long)]
    pub(crate) qr: bool,
    /// Also write it to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza join`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza join welcome.txt\n  huza join -        (paste the line, then Ctrl-D)"
)]
pub(crate) struct JoinArgs {
    /// The authority's welcome; - reads it from stdin
    pub(crate) file: PathBuf,
}

/// `huza take`
#[derive(Debug, Args)]
pub(crate) struct TakeArgs {
    /// The file with the statements; - reads it from stdin
    pub(crate) file: PathBuf,
}

/// `huza run`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza run\n  huza run --listen 0.0.0.0:4001 --dial 192.168.43.1:4001\n  \
    huza run --facility /srv/facility      (a gateway)\n\n\
    It starts locked, and carries for others all the same; `huza unlock` opens it. With\n\
    --passphrase-file it starts open.\n\n\
    With --json every event is one JSON object on a line of its own."
)]
pub(crate) struct RunArgs {
    /// Where to be reached: 0.0.0.0:4001 or a multiaddress; port 0 lets the system choose
    /// [default: as huza.toml in the home says]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// A device to meet, such as 192.168.1.5:4001; tried again until it is there
    #[arg(long, value_name = "ADDR")]
    pub(crate) dial: Vec<String>,
    /// Do not look for devices on the local network
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// Neither keep addresses of devices that were met, nor dial those kept
    #[arg(long)]
    pub(crate) no_remember: bool,
    /// A gateway's facility: a folder, in which resources.ndjson is kept, or the URL of a FHIR R4
    /// server [default: as huza.toml in the home says]
    #[arg(long, value_name = "DIR")]
    pub(crate) facility: Option<PathBuf>,
    /// Where apps on this device reach it over HTTP, such as 127.0.0.1:7071; `huza app add` lets one in
    /// [default: as huza.toml in the home says]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
}

/// `huza app ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Let an app in: prints its token, once
    #[command(after_help = "Example:\n  huza app add clinic-tablet --read-only")]
    Add {
        /// What people call it: letters, digits, `.`, `-` and `_`
        name: String,
        /// It may read, and write nothing
        #[arg(long)]
        read_only: bool,
    },
    /// Apps that are let in
    List,
    /// Let an app in no more
    Remove {
        /// Its name
        name: String,
    },
}

/// `huza secret ...`
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Give the worker another passphrase or PIN; the old one is asked for first
    #[command(
        after_help = "Examples:\n  huza secret change\n  huza secret change --worker Claudine --pin"
    )]
    Change(NewSecretArgs),
}

/// `huza worker ...`
#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Let another worker open this device, with a secret of their own
    #[command(after_help = "Example:\n  huza worker add \"Jean Bosco\"")]
    Add(WorkerAddArgs),
    /// Take a worker's access away; not the last one's
    Remove {
        /// The worker's name
        name: String,
    },
    /// Who may open this device, by what, and how many attempts failed
    List,
}

/// `huza worker add`
#[derive(Args)]
pub(crate) struct WorkerAddArgs {
    /// The new worker's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) secret: NewSecretArgs,
}

debug_shows!(
    struct WorkerAddArgs {}
);

/// `huza recovery ...`
#[derive(Debug, Subcommand)]
pub(crate) enum RecoveryCommand {
    /// Leave a recovery with the authority devices known here, instead of the one before
    Leave,
    /// Ask the health centre to open this device: makes a request for it
    #[command(after_help = "Example:\n  huza recovery request --out forgotten.txt")]
    Request {
        /// Also write it to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take the health centre's answer, and choose a new secret
    #[command(after_help = "Example:\n  huza recovery apply answer.txt --worker Claudine")]
    Apply(RecoveryApplyArgs),
}

/// `huza recovery apply`
#[derive(Debug, Args)]
pub(crate) struct RecoveryApplyArgs {
    /// The answer; - reads it from stdin
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) secret: NewSecretArgs,
}

/// `huza audit`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  huza audit\n  huza audit --fhir --out audit.ndjson")]
pub(crate) struct AuditArgs {
    /// As FHIR R4 AuditEvent resources, one per line
    #[arg(long)]
    pub(crate) fhir: bool,
    /// File to write, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
