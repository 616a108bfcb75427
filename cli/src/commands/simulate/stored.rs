//! Runs that were kept: `run.json` of a directory, read again.

use std::path::{Path, PathBuf};

use huza_simulations::network::Outlines;
use huza_simulations::network::outcome::{FORMAT, Outcome};
use serde::Deserialize;

use super::text;
use crate::error::{Failure, Kind};
use crate::files::Pending;

/// What a run is kept as, in its directory.
const RUN: &str = "run.json";

/// What a page about a run is called beside it.
pub(super) const REPORT: &str = "report.html";

/// Which form a file has, before all of it is read.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// The files of runs that a path names: itself, `run.json` in it, or those in its directories, which
/// is what a sweep leaves.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join(RUN);
    if own.is_file() {
        return Ok(vec![own]);
    }
    let failure = |error: std::io::Error| Failure::file("read", path, &error);
    let mut below = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failure)? {
        let file = entry.map_err(failure)?.path().join(RUN);
        if file.is_file() {
            below.push(file);
        }
    }
    below.sort();
    if below.is_empty() {
        let message = format!("There is no {RUN} in {} or in a directory of it", path.display());
        let hint = "Name what `huza simulate run --out` wrote";
        return Err(Failure::new(Kind::Input, "run", message).hint(hint));
    }
    Ok(below)
}

/// Reads a run.
pub(super) fn read(file: &Path) -> Result<Outcome, Failure> {
    let text = text(file)?;
    let failure = |error: &serde_json::Error| {
        let message = format!("{} is no run of a network: {error}", file.display());
        let hint = "Name what `huza simulate run --out` wrote, or its `run.json`";
        Failure::new(Kind::Input, "run", message).hint(hint)
    };
    let form: Form = serde_json::from_str(&text).map_err(|error| failure(&error))?;
    if form.format != FORMAT {
        let what = format!("{} has form {}, not {FORMAT}", file.display(), form.format);
        let hint = "Run it again with this version of huza";
        return Err(Failure::new(Kind::Input, "run", what).hint(hint));
    }
    serde_json::from_str(&text).map_err(|error| failure(&error))
}

/// Reads outlines of districts.
pub(super) fn outlines(file: Option<&Path>) -> Result<Option<Outlines>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let read = Outlines::read(&text(file)?).map_err(|error| {
        Failure::new(Kind::Input, "outlines", format!("{}: {error}", file.display()))
            .hint("Name a GeoJSON feature collection of districts, in degrees")
    })?;
    Ok(Some(read))
}

/// Writes a page; what is there is replaced.
pub(super) fn page(file: &Path, html: &str) -> Result<(), Failure> {
    let mut pending = Pending::begin(file, false, true)?;
    pending.append(html.as_bytes())?;
    pending.publish()
}
