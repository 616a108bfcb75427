//! `huza bundle ...`: what is exchanged, as a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `huza bundle ...`
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write what this device holds to a file, for an SD card or a phone's own file sharing
    #[command(after_help = "Examples:\n  huza bundle export all.huza\n  \
        huza bundle export village.huza --area 0512/01\n  \
        huza bundle export lacking.huza --missing-at 319e4293\n\n\
        It is sealed for the members of the programme, and records in it for their village: who finds\n\
        it learns how long it is.")]
    Export(BundleExportArgs),
    /// Take in what is in such a file; doing it twice changes nothing
    #[command(after_help = "Example:\n  huza bundle import /media/card/all.huza\n\n\
        Of a damaged file whatever is whole is taken, and then the exit code is 7.")]
    Import(BundleImportArgs),
}

/// `huza bundle export`
#[derive(Debug, Args)]
pub(crate) struct BundleExportArgs {
    /// File to write, which must not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only records of one area: CATCHMENT/VILLAGE, the village's code, or an area's tag
    #[arg(long, value_name = "AREA", conflicts_with = "missing_at")]
    pub(crate) area: Option<String>,
    /// Only what this hub has not signed that it stores: its certificate, or the beginning of it
    #[arg(long, value_name = "HUB")]
    pub(crate) missing_at: Option<String>,
}

/// `huza bundle import`
#[derive(Debug, Args)]
pub(crate) struct BundleImportArgs {
    /// File to read
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
