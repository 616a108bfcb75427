//! `huza demo`: the whole path on one machine, with real processes, sockets and files.
//!
//! ```text
//! phone A --> phone B --> hub --> gateway --> facility/resources.ndjson
//!    <------------ receipts, by the same feet ------------
//! ```
//!
//! Every arrow is a contact of exactly two processes (`huza run` on a home of its own, found by no
//! discovery, bound to 127.0.0.1); both have ended before the next pair starts. What is told is what
//! the processes report and what a further process, `huza status`, proves from A's files at the end.
//! Then phone B is stolen.

pub(super) mod happening;
mod journey;
pub(super) mod process;
pub(super) mod programme;
mod proof;
mod report;
mod stolen;
mod story;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::args::DemoArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};

/// Where everything is, and whether it goes at the end.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Removes the folder when dropped.
    temporary: Option<tempfile::TempDir>,
}

/// Plays it, and fails unless everything arrived exactly once and every receipt came home.
pub(crate) async fn run(context: &Context, args: &DemoArgs) -> Result<(), Failure> {
    let start = Instant::now();
    check_files(&args.import)?;
    let place = Place::choose(args.out.as_deref(), args.keep)?;
    let output = context.output;
    output.tell(&report::opening(&place.folder, place.temporary.is_some()))?;
    let programme = programme::found(&place.folder).await?;
    output.tell(&report::programme(&programme))?;
    let told = if args.import.is_empty() {
        story::tell(output, &programme, &place.folder).await?
    } else {
        story::import(output, &programme, &args.import).await?
    };
    let contacts = journey::travel(output, &programme).await?;
    let proof = proof::gather(&programme, told).await?;
    output.tell(&report::ending(&proof))?;
    // Files that are brought in travel the whole path; the thief belongs to the story.
    let stolen = if args.import.is_empty() {
        Some(stolen::tell(output, &programme, &place.folder).await?)
    } else {
        None
    };
    if output.json {
        output.object(&report::json(&proof, &contacts, stolen.as_ref(), start.elapsed()))?;
    } else {
        output.tell(&report::took(start.elapsed()))?;
        if place.temporary.is_none() {
            output.tell(&format!("Everything is in {}.", place.folder.display()))?;
        }
    }
    proof.verdict()
}

impl Place {
    /// The folder that was named, which must be free; else a temporary one.
    pub(super) fn choose(named: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        if let Some(folder) = named {
            refuse_occupied(folder)?;
            crate::files::private_folder(folder)?;
            let folder = std::path::absolute(folder)
                .map_err(|error| Failure::file("find", folder, &error))?;
            return Ok(Self { folder, temporary: None });
        }
        let temporary = tempfile::Builder::new()
            .prefix("huza-")
            .tempdir()
            .map_err(|error| Failure::file("make", &std::env::temp_dir(), &error))?;
        Ok(if keep {
            Self { folder: temporary.keep(), temporary: None }
        } else {
            Self { folder: temporary.path().to_owned(), temporary: Some(temporary) }
        })
    }
}

fn refuse_occupied(folder: &Path) -> Result<(), Failure> {
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("look into", folder, &error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let message = format!("{} is not empty, and was left as it is", folder.display());
    Err(Failure::new(Kind::Input, "out_not_empty", message)
        .hint("Name an empty folder, or one that does not exist yet"))
}

/// A wrong path is told before anything is made.
fn check_files(files: &[PathBuf]) -> Result<(), Failure> {
    files.iter().try_for_each(|path| {
        std::fs::File::open(path).map(drop).map_err(|error| Failure::file("read", path, &error))
    })
}
