//! What a gateway's facility receives: a directory with one file, `resources.ndjson`, that holds
//! the latest version of each FHIR resource, one on each line, in the order of their keys.
//!
//! A key is not always the resource's own id (`Patient/1` of two clinics are two resources), so
//! it cannot be read back from a line. What was received is therefore first written, with its key,
//! to `resources.journal`, and the file is made from that. What holds:
//!
//! - When [`Facility::deliver`] returns `Ok`, all of it is durable in both files.
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
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use huza_crdt::{limits::RESOURCE_BYTES_MAX, node::Resource};

use crate::home::files;
use journal::Journal;

/// Code with which a resource is refused that is over the limit or has no usable key (as HTTP's
/// "Unprocessable Content").
pub const REFUSED_UNUSABLE: u16 = 422;

/// Longest key. // `Type/id`: FHIR's ids have 64 characters, its longest type names 40
const KEY_BYTES_MAX: usize = 256;

/// Name of the file for the facility.
pub const RESOURCES_FILE: &str = "resources.ndjson";

/// Why the facility's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacilityError {
    /// Another gateway writes there.
    #[error("{} is in use by another gateway; give each its own directory", .0.display())]
    InUse(PathBuf),
    /// The disk is full.
    #[error("the disk of {} is full; free some space there", path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be read or written otherwise.
    #[error("cannot use {}; see that it exists and is yours to write", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl FacilityError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// The facility's directory, open for this process alone.
pub struct Facility {
    dir: PathBuf,
    journal: Journal,
    /// Key -> one line of text.
    resources: BTreeMap<String, String>,
    /// Whether the file may not hold all of `resources`.
    behind: bool,
}

huza_crdt::debug_shows!(struct Facility { dir, journal, resources: BTreeMap::len, behind });

impl Facility {
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

    /// Takes `resources`, durably, and returns those it refuses, with a code.
    ///
    /// # Errors
    /// If something could not be written. Nothing is lost; deliver the same again.
    pub fn deliver<'a>(
        &mut self,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Result<BTreeMap<String, u16>, FacilityError> {
        let mut refused = BTreeMap::new();
        let mut news = BTreeMap::new();
        for resource in resources {
            if !is_usable(resource) {
                refused.insert(resource.key.clone(), REFUSED_UNUSABLE);
                continue;
            }
            news.insert(resource.key.clone(), on_one_line(&resource.text));
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

fn is_usable(resource: &Resource) -> bool {
    let key = &resource.key;
    let printable = |byte: u8| byte.is_ascii_graphic();
    !key.is_empty()
        && key.len() <= KEY_BYTES_MAX
        && key.bytes().all(printable)
        && resource.text.len() <= RESOURCE_BYTES_MAX
}

/// JSON allows line ends only between tokens, never inside strings, and no two tokens are
/// separated by white space alone: they can go without changing any value's spelling.
fn on_one_line(text: &str) -> String {
    text.trim().chars().filter(|c| !matches!(c, '\n' | '\r')).collect()
}
