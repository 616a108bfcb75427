//! What is said to an authority device, and to the keys on paper.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use huza_crdt::debug_shows;

use super::device::NewSecretArgs;
use super::values::{ReasonName, RecordRef, RoleName, record};

/// `huza authority ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Found a programme: its keys for paper, and the first authority device of a health centre
    #[command(
        after_help = "Example:\n  huza authority create --home authority --worker Odette \\\n      \
        --programme Bugesera --catchment 0512 --village 01 --village 02 --paper paper\n\n\
        --home becomes an authority device. --paper receives the keys of the programme and of the\n\
        health centre, each sealed under a passphrase and printable: print them, lock the paper\n\
        away, and take the files off this device."
    )]
    Create(CreateArgs),
    /// Approve a device: answer its join request with a welcome
    #[command(
        after_help = "Examples:\n  huza authority issue --request phone.txt --role worker --village 01 --for Claudine --hub 192.168.1.5:4001 --out welcome.txt\n  \
        huza authority issue --request hub.txt --role hub --out welcome.txt\n  \
        huza authority issue --request - --role worker --village 01     (paste the line, then Ctrl-D)"
    )]
    Issue(IssueArgs),
    /// Shut a device out: lost, stolen, or given back
    #[command(after_help = "Example:\n  huza authority revoke 3f2a91c0 --reason stolen\n\n\
        `huza devices` lists the devices. What this device holds of it stays trusted, unless\n\
        --trust-nothing; the keys it held are made anew, unless --keep-keys.")]
    Revoke(RevokeArgs),
    /// Make a village's key anew, or the whole catchment's
    Rotate(RotateArgs),
    /// What is held back: envelopes of shut-out devices that no authority has judged yet
    Quarantine,
    /// Admit what is held back of a log
    Admit(JudgeArgs),
    /// Reject what is held back of a log
    Reject(JudgeArgs),
    /// Remove a person's record from every device: hidden at once, destroyed after a delay, for good
    Erase(EraseArgs),
    /// Let a device read villages, or the whole catchment
    Grant(GrantArgs),
    /// Help a worker who forgot the secret; make sure who asks
    Recover(RecoverArgs),
    /// Publish a form, new or changed: every device of the health centre fills and reads it
    #[command(
        after_help = "Example:\n  huza forms show anc --toml > anc.toml    (then change it, and its version to 2)\n  \
        huza authority publish anc.toml\n\n\
        Visits keep the version by which they were written. Nothing is withdrawn: publish a corrected\n\
        version."
    )]
    Publish(PublishArgs),
    /// Sign what time it is, for devices without a clock
    Time,
    /// What the keys on paper do, when there is no authority device
    #[command(subcommand)]
    Paper(PaperCommand),
}

/// `huza authority create`
#[derive(Args)]
pub(crate) struct CreateArgs {
    /// What people call the programme
    #[arg(long, value_name = "NAME")]
    pub(crate) programme: String,
    /// Facility id of the health centre
    #[arg(long, value_name = "CODE")]
    pub(crate) catchment: String,
    /// Official code of a village of the catchment; repeat it for each
    #[arg(long, value_name = "CODE", required = true)]
    pub(crate) village: Vec<String>,
    /// Also make a district's key, of this name
    #[arg(long, value_name = "NAME", requires = "district_catchment")]
    pub(crate) district: Option<String>,
    /// Facility id of a health centre of the district; repeat it for each
    #[arg(long, value_name = "CODE", requires = "district")]
    pub(crate) district_catchment: Vec<String>,
    /// Folder for the keys that belong on paper
    #[arg(long, value_name = "DIR")]
    pub(crate) paper: PathBuf,
    /// File with the passphrase that seals the paper keys, where nobody can be asked
    #[arg(long, value_name = "FILE")]
    pub(crate) paper_passphrase_file: Option<PathBuf>,
    /// What people call the authority device; not a person's name
    #[arg(long, value_name = "NAME", default_value = "authority")]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) secret: NewSecretArgs,
}

debug_shows!(struct CreateArgs { paper });

/// What is decided when a device is approved.
#[derive(Args)]
pub(crate) struct ApproveArgs {
    /// The device's join request; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// What the device is for
    #[arg(long)]
    pub(crate) role: RoleName,
    /// A village it works in; repeat it for each. For workers and relays only: others have the whole
    /// catchment
    #[arg(long, value_name = "CODE")]
    pub(crate) village: Vec<String>,
    /// A worker for whom it is approved; repeat it for each
    #[arg(long = "for", value_name = "NAME")]
    pub(crate) workers: Vec<String>,
    /// Address of a hub that it is to meet, such as 192.168.1.5:4001; repeat it for each
    #[arg(long, value_name = "ADDR")]
    pub(crate) hub: Vec<String>,
    /// Take the request whatever its date: the device has no clock. See the person yourself
    #[arg(long)]
    pub(crate) any_date: bool,
    /// Let a device come back that was shut out. See the device and the person yourself
    #[arg(long)]
    pub(crate) again: bool,
}

debug_shows!(struct ApproveArgs { role, any_date, again });

/// `huza authority issue`
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    #[command(flatten)]
    pub(crate) approve: ApproveArgs,
    /// Where to write the welcome [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza authority revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The beginning of its certificate's or its key's id
    pub(crate) device: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: ReasonName,
    /// Trust nothing that it ever wrote, not even what is held here
    #[arg(long)]
    pub(crate) trust_nothing: bool,
    /// Do not make the keys anew that it held
    #[arg(long)]
    pub(crate) keep_keys: bool,
}

/// `huza authority rotate`
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The village [default: the whole catchment]
    #[arg(long, value_name = "CODE")]
    pub(crate) village: Option<String>,
}

/// `huza authority admit` and `reject`
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The beginning of the log's id, as `huza authority quarantine` lists it
    pub(crate) log: String,
    /// First envelope [default: the first that is held back]
    #[arg(long, value_name = "N")]
    pub(crate) from: Option<u64>,
    /// Last envelope [default: the last that is here]
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
}

/// `huza authority erase`
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The record's id, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) record: RecordRef,
    /// Do not ask again
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `huza authority grant`
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The beginning of its certificate's or its key's id
    pub(crate) device: String,
    /// A village; repeat it for each [default: the whole catchment]
    #[arg(long, value_name = "CODE")]
    pub(crate) village: Vec<String>,
}

/// `huza authority publish`
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The form, as TOML; - reads it from stdin
    #[arg(value_name = "FILE")]
    pub(crate) form: PathBuf,
}

/// `huza authority recover`
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The device's request for a recovery; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// Where to write the answer [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `huza authority paper ...`
#[derive(Debug, Subcommand)]
pub(crate) enum PaperCommand {
    /// Approve a device with a health centre's key: another authority device, say
    #[command(
        after_help = "Example:\n  huza authority paper approve --paper centre-0512.txt --request new.txt --role authority --out welcome.txt\n\n\
        The paper counts what it signs, so its file changes: print it again."
    )]
    Approve(PaperApproveArgs),
    /// Shut a certificate out with a key on paper; `huza take` brings it to a device
    Revoke(PaperRevokeArgs),
    /// Make the key of another health centre, with a programme's or district's key
    Centre(PaperCentreArgs),
    /// Publish a form with a key on paper: for the whole programme, say; `huza take` brings it to a
    /// device
    Publish(PaperPublishArgs),
}

/// A key on paper.
#[derive(Debug, Args)]
pub(crate) struct PaperArgs {
    /// The file with the paper's text
    #[arg(long, value_name = "FILE")]
    pub(crate) paper: PathBuf,
    /// File with the paper's passphrase, where nobody can be asked
    #[arg(long, value_name = "FILE")]
    pub(crate) paper_passphrase_file: Option<PathBuf>,
}

/// `huza authority paper approve`
#[derive(Debug, Args)]
pub(crate) struct PaperApproveArgs {
    #[command(flatten)]
    pub(crate) paper: PaperArgs,
    #[command(flatten)]
    pub(crate) approve: ApproveArgs,
    /// Where to write the welcome
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `huza authority paper revoke`
#[derive(Debug, Args)]
pub(crate) struct PaperRevokeArgs {
    #[command(flatten)]
    pub(crate) paper: PaperArgs,
    /// The whole id of the certificate, as `huza devices` lists it
    pub(crate) certificate: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: ReasonName,
    /// Where to write the statement
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `huza authority paper publish`
#[derive(Debug, Args)]
pub(crate) struct PaperPublishArgs {
    #[command(flatten)]
    pub(crate) paper: PaperArgs,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
    /// Where to write the statements
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `huza authority paper centre`
#[derive(Args)]
pub(crate) struct PaperCentreArgs {
    #[command(flatten)]
    pub(crate) paper: PaperArgs,
    /// Facility id of the new health centre
    #[arg(long, value_name = "CODE")]
    pub(crate) catchment: String,
    /// Official code of a village of it; repeat it for each
    #[arg(long, value_name = "CODE", required = true)]
    pub(crate) village: Vec<String>,
    /// Where to write the new key, sealed under the same passphrase
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

debug_shows!(struct PaperCentreArgs { paper });
