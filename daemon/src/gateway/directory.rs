//! A facility that is a directory with one file, `resources.ndjson`, that holds
//! the latest version of each FHIR resource, one on each line, in the order of their keys.
//!
//! A key is not always the resource's own id (`Patient/1` of two clinics are two resources), so
//! it cannot be read back from a line. What was received is therefore first written, with its key,
//! to `resources.journal`, and the file is made from that. What holds:
//!
//! - When [`Directory::deliver`] returns `Ok`, all of it is durable in both files.
//! - `resources.ndjson` is replaced whole: whoever reads it finds the old version or the new.
//! - Delivering again what was delivered changes nothing.
//! - Whatever moment the process ends at, opening again makes both files agree, with everything
//!   that was acknowledged, and perhaps what was under way.
//!
//! Each delivery writes the whole file anew, and all resources are kept in memory. That bounds it
//! to some hundred thousand resources; beyond, a FHIR server takes its place.
//!
//! It deliberately does not look into the resources: what is valid was decided when they were
//! recorded.

mod journal;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use huza_crdt::{limits::RESOURCE_BYTES_MAX, node::Outgoing, record::server};

use super::{Answers, FacilityError, unusable};
use crate::home::files;
use journal::Journal;

/// Longest key. // `Type/id`: FHIR's ids have 64 characters, its longest type names 40
const KEY_BYTES_MAX: usize = 256;

/// Name of the file for the facility.
pub const RESOURCES_FILE: &str = "resources.ndjson";

/// The facility's directory, open for this process alone.
pub struct Directory {
    dir: PathBuf,
    journal: Journal,
    /// Key -> one line of text.
    resources: BTreeMap<String, String>,
    /// Whether the file may not hold all of `resources`.
    behind: bool,
}

huza_crdt::debug_shows!(struct Directory { dir, journal, resources: BTreeMap::len, behind });

impl Directory {
    /// Opens `dir`, makes it if need be, and brings `resources.ndjson` up to date.
    ///
    /// # Errors
    /// If it is in use, or cannot be read and written.
    pub fn open(dir: &Path) -> Result<Self, FacilityError> {
        fs::create_dir_all(dir).map_err(FacilityError::of(dir))?;
        let (journal, resources) = Journal::open(dir)?;
        let mut facility = Self { dir: dir.to_owned(), journal, resources, behind: true };
        facility.publish()?;
        Ok(facility)
    }

    /// Takes `resources`, durably, and returns those it refuses. What is withdrawn stays, entered in
    /// error.
    ///
    /// # Errors
    /// If something could not be written. Nothing is lost; deliver the same again.
    pub fn deliver<'a>(
        &mut self,
        resources: impl IntoIterator<Item = &'a Outgoing>,
    ) -> Result<Answers, FacilityError> {
        let mut refused = Answers::new();
        let mut news = BTreeMap::new();
        for resource in resources {
            let key = &resource.key;
            let Some(text) = &resource.text else {
                let held = self.resources.get(key);
                let withdrawn = held.and_then(|held| server::withdrawn(held, None));
                news.extend(withdrawn.map(|text| (key.clone(), text)));
                continue;
            };
            if !is_usable(key, text) {
                refused.insert(key.clone(), unusable());
                continue;
            }
            news.insert(key.clone(), on_one_line(text));
        }
        news.retain(|key, line| self.resources.get(key) != Some(line));
        if !news.is_empty() {
            self.journal.append(&news)?;
            self.resources.extend(news);
            self.behind = true;
        }
        self.publish()?;
        Ok(refused)
    }

    /// How many resources there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The file that the facility reads.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join(RESOURCES_FILE)
    }

    fn publish(&mut self) -> Result<(), FacilityError> {
        if !self.behind {
            return Ok(());
        }
        let path = self.file();
        let write = |file: &mut File| {
            let mut file = BufWriter::new(file);
            for line in self.resources.values() {
                file.write_all(line.as_bytes())?;
                file.write_all(b"\n")?;
            }
            file.flush()
        };
        files::replace_with(&path, write).map_err(FacilityError::of(&path))?;
        self.behind = false;
        Ok(())
    }
}

fn is_usable(key: &str, text: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_graphic();
    !key.is_empty()
        && key.len() <= KEY_BYTES_MAX
        && key.bytes().all(printable)
        && text.len() <= RESOURCE_BYTES_MAX
}

/// JSON allows line ends only between tokens, never inside strings, and no two tokens are
/// separated by white space alone: they can go without changing any value's spelling.
fn on_one_line(text: &str) -> String {
    text.trim().chars().filter(|c| !matches!(c, '\n' | '\r')).collect()
}
