//! The command line: what can be said, and the help that teaches it.

mod authority;
mod bench;
mod bundle;
mod device;
mod help;
mod import;
mod message;
mod person;
mod simulate;
mod values;
mod visit;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use huza_crdt::debug_shows;
use huza_crdt::node::AreaRef;

pub(crate) use authority::{
    ApproveArgs, AuthorityCommand, CreateArgs, EraseArgs, GrantArgs, IssueArgs, JudgeArgs,
    PaperApproveArgs, PaperArgs, PaperCentreArgs, PaperCommand, PaperPublishArgs, PaperRevokeArgs,
    PublishArgs, RecoverArgs, RevokeArgs, RotateArgs,
};
pub(crate) use bench::{
    BenchCommand, ContactArgs, FirstSyncArgs, MeetingArgs, Sizes, VisitSizeArgs,
};
pub(crate) use bundle::{BundleCommand, BundleExportArgs, BundleImportArgs};
pub(crate) use device::{
    AppCommand, AuditArgs, InitArgs, JoinArgs, NewSecretArgs, RecoveryApplyArgs, RecoveryCommand,
    RequestArgs, RunArgs, SecretCommand, TakeArgs, WorkerAddArgs, WorkerCommand,
};
pub(crate) use import::{ImportArgs, System};
pub(crate) use message::{InboxArgs, MessageCommand, MessageListArgs, MessageSendArgs};
pub(crate) use person::{
    DuplicatesArgs, PairArgs, PersonAddArgs, PersonCommand, PersonFindArgs, PersonSetArgs,
    PersonShowArgs,
};
pub(crate) use simulate::{
    ChaosArgs, CompareArgs, ContactsArgs, Fidelity, ReplayArgs, ScenarioArgs, SimulateCommand,
    SimulateRunArgs, SimulatedReportArgs,
};
use values::area;
pub(crate) use values::{LangArgs, RecordRef};
pub(crate) use visit::{VisitAddArgs, VisitCommand, VisitVoidArgs};

use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::secrets::Secrets;

/// Brings community-health records together, phone to phone, where there is no network.
#[derive(Debug, Parser)]
#[command(name = "huza", version, after_help = help::EXAMPLES, after_long_help = help::long())]
struct Line {
    /// Folder of the device's files [default: $HUZA_HOME, else ~/.huza]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Who is using this device [default: $HUZA_WORKER, else its only worker]
    #[arg(long, global = true, value_name = "NAME")]
    worker: Option<String>,
    /// File with the worker's passphrase or PIN, where nobody can be asked
    /// [default: $HUZA_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Answer with one JSON object on stdout; failures are one JSON object on stderr
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What a user can ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make this device: its keys and its empty stores
    Init(InitArgs),
    /// Make a join request for the health centre, as a line of text or as a QR code
    Request(RequestArgs),
    /// Take the authority's welcome and become a member
    Join(JoinArgs),
    /// Open the reader of the running daemon: records can be written and read
    Unlock,
    /// Close the reader of the running daemon: it carries for others and shows nothing
    Lock,
    /// Change the passphrase or PIN
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Who may open this device
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Get back into a device whose secret is forgotten, through the health centre
    #[command(subcommand)]
    Recovery(RecoveryCommand),
    /// Decide, on an authority device: approve devices, shut them out, erase, judge, help
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Take in signed statements from a file, such as a revocation made with a paper key
    Take(TakeArgs),
    /// Devices of the programme that are known here, and which are shut out
    Devices,
    /// Run the daemon in the foreground, until Ctrl-C
    Run(RunArgs),
    /// Programs on this device that may ask its daemon over HTTP
    #[command(subcommand)]
    App(AppCommand),
    /// Exchange with one device over stdin and stdout, whether or not the daemon runs
    #[command(
        after_help = "Example, over a serial line that is set up already:\n  huza pipe < /dev/ttyUSB0 > /dev/ttyUSB0\n\n\
        Both ends run it, over any pair of byte streams: a serial line, a Bluetooth channel, ssh. It\n\
        ends when both hold the same. What was given and taken is told on stderr, with --json as one\n\
        object on its first line. Exit code 0: complete; 7: cut, run it again and it goes on; 3: what\n\
        came is not from a device of this programme."
    )]
    Pipe,
    /// Carry what this device holds to others as a file, where no link can be made
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Bring in FHIR R4 bundles (transaction, batch, collection) or single resources
    Import(ImportArgs),
    /// Add, find, show and link people
    #[command(subcommand)]
    Person(PersonCommand),
    /// Who may be registered twice, and why
    Duplicates(DuplicatesArgs),
    /// Record visits
    #[command(subcommand)]
    Visit(VisitCommand),
    /// Tell workers something: an instruction, a result, a correction, guidance
    #[command(subcommand)]
    Message(MessageCommand),
    /// What the facility tells the worker of this device
    Inbox(InboxArgs),
    /// List the forms, or show one with its labels and limits
    Forms(FormsArgs),
    /// Visits that are due: overdue ones first
    Reminders(RemindersArgs),
    /// How this device stands, and where its records have arrived
    Status(StatusArgs),
    /// How a gateway's facility is served, what it refused, and giving that again
    Gateway(GatewayArgs),
    /// Devices that this one is exchanging with now
    Peers,
    /// Look at this device's health: what is good, doubtful, bad, and what to do
    Doctor,
    /// Who looked at what on this device, and whether that trail is whole
    Audit(AuditArgs),
    /// Write every resource this device can read, one per line
    Export(ExportArgs),
    /// Watch records travel phone to phone to hub to facility, and the receipts come home
    Demo(DemoArgs),
    /// Measure this machine: real processes, beside what cannot be avoided
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Look at a network before it is there: what would arrive, and when
    #[command(subcommand)]
    Simulate(SimulateCommand),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
}

/// Where; for commands that write.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Area as CATCHMENT/VILLAGE, or an area's tag [default: the device's only village]
    #[arg(long, value_name = "AREA", value_parser = area)]
    pub(crate) area: Option<AreaRef>,
}

/// `huza forms`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:\n  huza forms show sick-child --lang rw")]
pub(crate) struct FormsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<FormsCommand>,
    #[command(flatten)]
    pub(crate) lang: LangArgs,
}

/// `huza forms ...`
#[derive(Debug, Subcommand)]
pub(crate) enum FormsCommand {
    /// The fields of one form, with labels, units, limits, danger signs, advice and what is due after it
    Show(FormsShowArgs),
    /// Every Kinyarwanda text that a native speaker has still to confirm
    Review,
}

/// `huza forms show`
#[derive(Debug, Args)]
pub(crate) struct FormsShowArgs {
    /// The form's id
    pub(crate) form: String,
    /// As TOML, the way it is published: to be changed, say
    #[arg(long)]
    pub(crate) toml: bool,
    #[command(flatten)]
    pub(crate) lang: LangArgs,
}

/// `huza reminders`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  huza reminders --days 14 --lang rw")]
pub(crate) struct RemindersArgs {
    /// Also what becomes due within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub(crate) days: u32,
    /// Also what was done, and what is due later
    #[arg(long)]
    pub(crate) all: bool,
    /// Only what follows visits that this worker made
    #[arg(long, value_name = "WORKER")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) lang: LangArgs,
}

/// `huza status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Also tell, per record, which receipts it holds; each is verified again
    #[arg(long)]
    pub(crate) records: bool,
}

/// `huza gateway`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  huza gateway\n  huza gateway failed\n  huza gateway retry --all\n\n\
    Where the facility is, `facility` in huza.toml says: a directory, or a FHIR R4 server."
)]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    pub(crate) command: Option<GatewayCommand>,
}

/// `huza gateway ...`
#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Whether the facility answers, and what it has still to be given; the same as without a word
    Status,
    /// Resources that the facility refused, and what it said
    Failed,
    /// Give the facility again what it refused
    Retry(GatewayRetryArgs),
}

/// `huza gateway retry`
#[derive(Args)]
pub(crate) struct GatewayRetryArgs {
    /// Keys of resources, as `huza gateway failed` lists them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

debug_shows!(struct GatewayRetryArgs { keys: Vec::len, all });

/// `huza export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to write, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza demo`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza demo\n  huza demo --out /tmp/demo --import bundle-1.json bundle-2.json --json\n\n\
    With --out the folder stays: the homes of phone-a, phone-b, hub, gateway and authority, and\n\
    facility/resources.ndjson with what the facility received."
)]
pub(crate) struct DemoArgs {
    /// Where to keep everything; must be empty or not exist [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// FHIR bundles to bring in on phone A instead of telling the built-in story
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) import: Vec<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `huza completions`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  huza completions bash > /etc/bash_completion.d/huza")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Reads the command line. What ends here (help, version, a mistake) is already told.
pub(crate) fn parse() -> Result<(Context, Command), ExitCode> {
    match Line::try_parse() {
        Ok(line) => {
            let output = Output { json: line.json };
            let secrets = Secrets::of(line.worker, line.passphrase_file);
            Ok((Context { home: line.home, output, secrets }, line.command))
        }
        Err(error) => Err(early(&error)),
    }
}

/// The whole command line, for completions.
pub(crate) fn command() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

fn early(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked || !json {
        // clap writes help to stdout and mistakes to stderr, in colour where that helps.
        drop(error.print());
        return ExitCode::from(if asked { 0 } else { Kind::Usage.exit_code() });
    }
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let failure = Failure::new(Kind::Usage, "usage", message).hint("See huza --help");
    Output { json }.failure(&failure);
    ExitCode::from(Kind::Usage.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }
}
