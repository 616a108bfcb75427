//! What is said of visits.

use clap::{Args, Subcommand};
use huza_crdt::debug_shows;
use huza_crdt::id::VisitId;
use huza_crdt::time::Stamp;

use super::values::{RecordRef, pair, record, stamp};

/// `huza visit ...`
#[derive(Debug, Subcommand)]
pub(crate) enum VisitCommand {
    /// Record a visit by a form
    #[command(
        after_help = "Example:\n  huza visit add 0192f1d4-... --form anc --set round=1 --set lmp=2026-05-30 --set weight=62.5 --set systolic=118 --set diastolic=76\n\n\
        `huza forms show anc` lists the fields. A danger sign makes the visit urgent: it travels first."
    )]
    Add(VisitAddArgs),
    /// Mark a visit as entered in error; what it says stays in the record's history
    #[command(
        after_help = "Example:\n  huza visit void 0192f1d4 7b1e6a0c-52d4-4f0e-9c27-3a58e1d904b6 --reason \"wrong person\""
    )]
    Void(VisitVoidArgs),
}

/// `huza visit void`
#[derive(Args)]
pub(crate) struct VisitVoidArgs {
    /// The id of the person's record, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) record: RecordRef,
    /// The visit's id, as `huza person show` prints it
    pub(crate) visit: VisitId,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
}

debug_shows!(
    struct VisitVoidArgs {}
);

/// `huza visit add`
#[derive(Args)]
pub(crate) struct VisitAddArgs {
    /// The id of the person's record, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) record: RecordRef,
    /// The form that was filled
    #[arg(long)]
    pub(crate) form: String,
    /// An answer; repeat it for each
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// When it took place, such as 2026-11-23T10:15:00+02:00 or 2026-11-23 [default: now]
    #[arg(long, value_name = "TIME", value_parser = stamp)]
    pub(crate) occurred: Option<Stamp>,
}

debug_shows!(
    struct VisitAddArgs {}
);
