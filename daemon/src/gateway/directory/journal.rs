//! What a facility was given, in the order of its coming.
//!
//! ```text
//! line = sum TAB key TAB text LF     sum: first 8 bytes of SHA-256 over (key TAB text), in hex
//! ```
//!
//! Lines are appended and made durable before they are acknowledged. The first line that is not
//! whole was never acknowledged, nor was anything behind it: opening cuts the file there. When
//! most lines are out of date, the file is written anew.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use huza_crdt::{id::hex, limits::RESOURCE_BYTES_MAX};
use sha2::{Digest as _, Sha256};

use super::{super::FacilityError, KEY_BYTES_MAX};
use crate::home::files;

const FILE: &str = "resources.journal";
const LOCK: &str = "resources.lock";

/// Longest line. // sum, key, text and what separates them
const LINE_BYTES_MAX: u64 = (16 + KEY_BYTES_MAX + RESOURCE_BYTES_MAX + 3) as u64;

/// The file is written anew at opening when it is this many times as long as what it holds.
const SLACK_FACTOR: u64 = 2;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last durable line ends.
    end: u64,
    _lock: File,
}

type Lines = BTreeMap<String, String>;

impl Journal {
    /// Opens the journal in `dir` for this process alone, with the latest line of each key.
    pub(super) fn open(dir: &Path) -> Result<(Self, Lines), FacilityError> {
        let lock = take_lock(dir)?;
        let path = dir.join(FILE);
        let (lines, end, live) = match File::open(&path) {
            Ok(file) => read(&file).map_err(FacilityError::of(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Lines::new(), 0, 0),
            Err(error) => return Err(FacilityError::of(&path)(error)),
        };
        let end = if live.saturating_mul(SLACK_FACTOR) < end || !path.exists() {
            rewrite(&path, &lines).map_err(FacilityError::of(&path))?;
            live
        } else {
            end
        };
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.map_err(FacilityError::of(&path))?;
        let journal = Self { path, file, end, _lock: lock };
        journal.cut().map_err(FacilityError::of(&journal.path))?;
        Ok((journal, lines))
    }

    /// Adds `lines`, durably, or none of them.
    pub(super) fn append(&mut self, lines: &Lines) -> Result<(), FacilityError> {
        let written = self.write(lines);
        match written {
            Ok(bytes) => self.end += bytes,
            Err(error) => {
                // Best effort: what is left behind the end is cut at the next opening, or
                // written over by the next attempt.
                let _cut = self.cut();
                return Err(FacilityError::of(&self.path)(error));
            }
        }
        Ok(())
    }

    fn write(&mut self, lines: &Lines) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let mut bytes = 0;
        let mut file = BufWriter::new(&mut self.file);
        for (key, text) in lines {
            let line = render(key, text);
            file.write_all(line.as_bytes())?;
            bytes += line.len() as u64;
        }
        file.flush()?;
        drop(file);
        self.file.sync_data()?;
        Ok(bytes)
    }

    /// Removes what is behind the last durable line.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_all()
    }
}

fn take_lock(dir: &Path) -> Result<File, FacilityError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(FacilityError::of(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FacilityError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(FacilityError::of(&path)(error)),
    }
}

/// The latest line of each key, where the last whole line ends, and how many bytes the latest
/// lines take.
fn read(file: &File) -> io::Result<(Lines, u64, u64)> {
    let mut file = BufReader::new(file);
    let mut lines = Lines::new();
    let (mut end, mut live) = (0, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let length = file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? as u64;
        let Some((key, text)) = parse(&bytes) else { break };
        end += length;
        live += length;
        let shadowed = lines.insert(key.clone(), text);
        live -= shadowed.map_or(0, |old| render(&key, &old).len() as u64);
    }
    Ok((lines, end, live))
}

fn rewrite(path: &Path, lines: &Lines) -> io::Result<()> {
    files::replace_with(path, |file| {
        let mut file = BufWriter::new(file);
        for (key, text) in lines {
            file.write_all(render(key, text).as_bytes())?;
        }
        file.flush()
    })
}

fn render(key: &str, text: &str) -> String {
    let content = format!("{key}\t{text}");
    format!("{}\t{content}\n", sum(&content))
}

fn parse(line: &[u8]) -> Option<(String, String)> {
    let line = core::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (stated, content) = line.split_once('\t')?;
    let (key, text) = content.split_once('\t')?;
    (stated == sum(content)).then(|| (key.to_owned(), text.to_owned()))
}

fn sum(content: &str) -> String {
    hex(Sha256::digest(content).get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pairs: &[(&str, &str)]) -> Lines {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_line_before() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        journal.append(&lines(&[("A/1", "{\"a\":1}"), ("B/1", "{\"b\":1}")])).unwrap();
        let first_end = journal.end;
        journal.append(&lines(&[("A/1", "{\"a\":2.50}")])).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, read) = Journal::open(dir.path()).unwrap();
            if length as u64 >= first_end {
                assert!(read.contains_key("B/1"));
            }
            let a = read.get("A/1").map(String::as_str);
            if length == whole.len() {
                assert_eq!(a, Some("{\"a\":2.50}"));
            } else if length as u64 >= first_end {
                assert_eq!(a, Some("{\"a\":1}"));
            }
            journal.append(&lines(&[("C/1", "{}")])).unwrap();
            drop(journal);
            let (_, read) = Journal::open(dir.path()).unwrap();
            assert!(read.contains_key("C/1"), "a torn tail hides nothing that follows");
        }
    }

    #[test]
    fn bytes_that_were_never_written_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        journal.append(&lines(&[("A/1", "{}")])).unwrap();
        drop(journal);
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0; 4_096]);
        std::fs::write(&path, &bytes).unwrap();
        let (journal, read) = Journal::open(dir.path()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), journal.end);
    }

    #[test]
    fn a_journal_of_old_versions_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        for version in 0..20 {
            journal.append(&lines(&[("A/1", &format!("{{\"v\":{version}}}"))])).unwrap();
        }
        let long = journal.end;
        drop(journal);
        let (journal, read) = Journal::open(dir.path()).unwrap();
        assert!(journal.end * 10 < long);
        assert_eq!(read, lines(&[("A/1", "{\"v\":19}")]));
    }
}
