//! `huza message ...` and `huza inbox`: the way back.

use clap::{Args, Subcommand, ValueEnum};
use huza_crdt::debug_shows;
use huza_crdt::node::AreaRef;

use super::LangArgs;
use super::values::{RecordRef, area, record};

/// `huza message ...`
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Write to the workers of a person's village, or to one of them, or to a whole village
    #[command(after_help = "Examples:\n  \
        huza message send \"Bring her on Monday, with her card\" --record 0192f1d4\n  \
        huza message send \"Nets come on Friday\" --area 0512/01 --about guidance\n\n\
        It travels like an urgent visit. `huza message list` says on which devices it was shown.")]
    Send(MessageSendArgs),
    /// Every message that this device reads, and where it was shown
    List(MessageListArgs),
}

/// What a message is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum About {
    /// What to do
    Instruction,
    /// What came of something
    Result,
    /// What was wrong
    Correction,
    /// What is good to know
    Guidance,
}

/// `huza message send`
#[derive(Args)]
pub(crate) struct MessageSendArgs {
    /// What it says
    pub(crate) text: String,
    /// The record of the person whom it is about, or the beginning of its id
    #[arg(long, value_name = "RECORD", value_parser = record, conflicts_with = "area")]
    pub(crate) record: Option<RecordRef>,
    /// The area to whose workers it goes, as CATCHMENT/VILLAGE or an area's tag
    #[arg(long, value_parser = area)]
    pub(crate) area: Option<AreaRef>,
    /// What it is
    #[arg(long, value_enum, default_value = "instruction")]
    pub(crate) about: About,
    /// Only for this worker, by the name under which the worker opens the device
    #[arg(long, value_name = "WORKER")]
    pub(crate) to: Option<String>,
}

debug_shows!(struct MessageSendArgs { about });

/// `huza message list`
#[derive(Debug, Args)]
pub(crate) struct MessageListArgs {
    #[command(flatten)]
    pub(crate) lang: LangArgs,
}

/// `huza inbox`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  huza inbox --lang en\n\n\
    What is printed here was shown: this device signs that, and the sender comes to know it.")]
pub(crate) struct InboxArgs {
    /// Also what was shown before
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) lang: LangArgs,
}
