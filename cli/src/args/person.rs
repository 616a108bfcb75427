//! `huza person` and `huza duplicates`: who they are about, and what is said.

use clap::{Args, Subcommand};
use huza_crdt::debug_shows;

use super::WriteArgs;
use super::values::{RecordRef, pair, record};

/// `huza person ...`
#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Record a new person
    #[command(
        after_help = "Example:\n  huza person add --name \"Immaculee Uwase\" --sex female --birth-date 1998-04 --field phone=0780000000"
    )]
    Add(PersonAddArgs),
    /// Correct fields of a person, or settle what two workers disagree about by saying which is true
    #[command(
        after_help = "Examples:\n  huza person set 0192f1d4 birth-date=1998-04-12 phone=0780000000\n  \
        huza person set 0192f1d4 name=\"Immaculee Uwase\"\n\n\
        What was there before stays in the record's history."
    )]
    Set(PersonSetArgs),
    /// Find people by parts of names, village, identifiers, or by the beginning of the id
    Find(PersonFindArgs),
    /// Everything about one record, with conflicts and receipts
    Show(PersonShowArgs),
    /// Say that two records are about one person; they stay two, and each shows the other
    #[command(
        after_help = "Example:\n  huza person link 0192f1d4 4f20947e --reason \"both cards seen\"\n\n\
        `huza duplicates` lists who may be registered twice."
    )]
    Link(PersonLinkArgs),
    /// Take back what was said of two records, or say that they are two people
    #[command(after_help = "Examples:\n  huza person unlink 0192f1d4 4f20947e\n  \
        huza person unlink 0192f1d4 4f20947e --different --reason twins\n\n\
        What was taken back is offered again if the two are alike; who was said to be different is not.")]
    Unlink(PersonUnlinkArgs),
}

/// Two records.
#[derive(Args)]
pub(crate) struct PairArgs {
    /// The id of one record, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) one: RecordRef,
    /// The id of the other, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) other: RecordRef,
    /// Why; kept with both, so only where both are of one area
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

debug_shows!(
    struct PairArgs {}
);

/// `huza person link`
#[derive(Debug, Args)]
pub(crate) struct PersonLinkArgs {
    #[command(flatten)]
    pub(crate) pair: PairArgs,
}

/// `huza person unlink`
#[derive(Debug, Args)]
pub(crate) struct PersonUnlinkArgs {
    #[command(flatten)]
    pub(crate) pair: PairArgs,
    /// They are two people: the pair is offered no more
    #[arg(long)]
    pub(crate) different: bool,
}

/// `huza duplicates`
#[derive(Args)]
#[command(after_help = "Examples:\n  huza duplicates\n  huza duplicates 0192f1d4\n\n\
    Two that are one person: `huza person link`. Two that are not: `huza person unlink --different`.")]
pub(crate) struct DuplicatesArgs {
    /// Only whom this record may be, with what was said of it: its id, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) person: Option<RecordRef>,
    /// Most pairs
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

debug_shows!(struct DuplicatesArgs { limit });

/// `huza person add`
#[derive(Args)]
pub(crate) struct PersonAddArgs {
    /// Names; the last word is the family name
    #[arg(long, value_name = "NAMES")]
    pub(crate) name: Option<String>,
    /// Sex
    #[arg(long, value_parser = ["female", "male", "other", "unknown"])]
    pub(crate) sex: Option<String>,
    /// YYYY-MM-DD, YYYY-MM or YYYY
    #[arg(long, value_name = "DATE")]
    pub(crate) birth_date: Option<String>,
    /// Another field, such as phone=0780000000; repeat it
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) field: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

debug_shows!(
    struct PersonAddArgs {}
);

/// `huza person find`
#[derive(Args)]
pub(crate) struct PersonFindArgs {
    /// Words that all must occur; none finds everyone
    pub(crate) words: Vec<String>,
    /// Most answers
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
}

debug_shows!(struct PersonFindArgs { limit });

/// `huza person show`
#[derive(Debug, Args)]
pub(crate) struct PersonShowArgs {
    /// The record's id, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) record: RecordRef,
}

/// `huza person set`
#[derive(Args)]
pub(crate) struct PersonSetArgs {
    /// The record's id, or the beginning of it
    #[arg(value_parser = record)]
    pub(crate) record: RecordRef,
    /// What is true, such as birth-date=1998-04-12; `name=` takes all names
    #[arg(required = true, value_name = "FIELD=VALUE", value_parser = pair)]
    pub(crate) fields: Vec<(String, String)>,
}

debug_shows!(
    struct PersonSetArgs {}
);
