//! `huza import`: what it takes, and from where.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::WriteArgs;

/// What the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// FHIR R4 in JSON
    Fhir,
    /// Folders of E-Heza's CSV tables
    Eheza,
}

/// `huza import`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  huza import clinic-*.json --source https://clinic.example/fhir\n  \
    huza import --from eheza tables/ --areas areas.csv\n\n\
    A file is taken with all its good entries or not at all; entries that cannot be taken are\n\
    listed with the reason, and then the exit code is 7. Of tables every good row is taken. Taking\n\
    something twice changes nothing, so what was cut off is begun again."
)]
pub(crate) struct ImportArgs {
    /// Files to bring in; of E-Heza a folder
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What they are
    #[arg(long, value_enum, default_value_t = System::Fhir)]
    pub(crate) from: System,
    /// The system they come from, as a URL or a name [default: as the files tell; of E-Heza `eheza`]
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Of E-Heza: table that says which place is which area, with the columns area, province, district,
    /// sector, cell, village; an empty one is any, and the first line that fits counts
    #[arg(long, value_name = "FILE", required_if_eq("from", "eheza"), conflicts_with = "area")]
    pub(crate) areas: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}
