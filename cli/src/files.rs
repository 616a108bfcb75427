//! Files that pass between people and devices, and the authority's own.
//!
//! Each is text, one line: a name with its version, a space, the bytes of
//! [`huza_crdt::codec::encode`] in hexadecimal. So it survives a chat message, a printout, an SD
//! card. Writing is atomic: a file is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use huza_crdt::codec;
use huza_crdt::id::{hex, unhex};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, Kind};

/// Longest file of this shape, in bytes. // guess: hundreds of villages
const LINE_FILE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// What a line file holds: the word in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A device asks to join.
    Request,
    /// The authority's answer.
    Welcome,
    /// The root of a programme. Secret.
    Root,
    /// The authority of a health centre. Secret.
    Centre,
}

impl Content {
    const ALL: [Self; 4] = [Self::Request, Self::Welcome, Self::Root, Self::Centre];

    const fn word(self) -> &'static str {
        match self {
            Self::Request => "huza-request-1",
            Self::Welcome => "huza-welcome-1",
            Self::Root => "huza-root-1",
            Self::Centre => "huza-centre-1",
        }
    }

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "a join request",
            Self::Welcome => "an authority's welcome",
            Self::Root => "the root of a programme",
            Self::Centre => "the authority of a health centre",
        }
    }

    const fn is_secret(self) -> bool {
        matches!(self, Self::Root | Self::Centre)
    }
}

/// `value` as a line.
pub(crate) fn line<T: Serialize>(content: Content, value: &T) -> String {
    format!("{} {}\n", content.word(), hex(&codec::encode(value)))
}

/// Reads the line in `path`.
pub(crate) fn read<T>(content: Content, path: &Path) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned,
{
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LINE_FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Failure::file("read", path, &error))?;
    parse(content, &text).map_err(|why| {
        Failure::new(Kind::Input, "line_file", format!("{} {why}", path.display()))
            .hint(format!("Give the file that holds {}", content.name()))
    })
}

/// Reads the first line of `text` that begins with a word of ours.
fn parse<T>(content: Content, text: &str) -> Result<T, String>
where
    T: Serialize + DeserializeOwned,
{
    let found = text.lines().find_map(|line| {
        let (word, rest) = line.trim().split_once(' ')?;
        Content::ALL.into_iter().find(|known| known.word() == word).map(|known| (known, rest))
    });
    match found {
        None => Err(format!("does not hold {}", content.name())),
        Some((other, _)) if other != content => {
            Err(format!("holds {}, not {}", other.name(), content.name()))
        }
        Some((_, rest)) => unhex(rest.trim())
            .and_then(|bytes| codec::decode(&bytes).ok())
            .ok_or_else(|| format!("holds {}, but damaged", content.name())),
    }
}

/// Writes `value` to `path`, which must not exist unless `replace`.
pub(crate) fn write<T: Serialize>(
    content: Content,
    path: &Path,
    value: &T,
    replace: bool,
) -> Result<(), Failure> {
    let mut file = Pending::begin(path, content.is_secret(), replace)?;
    file.append(line(content, value).as_bytes())?;
    file.publish()
}

/// A file that is not there yet: written beside its place, then renamed.
#[derive(Debug)]
pub(crate) struct Pending {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    replace: bool,
}

impl Pending {
    /// Begins a file that will be at `path`. What is there is replaced only if so wished.
    pub(crate) fn begin(path: &Path, secret: bool, replace: bool) -> Result<Self, Failure> {
        refuse_existing(path, replace)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| {
            Failure::new(Kind::Input, "file", format!("{} names no file", path.display()))
                .hint("Name a file")
        })?;
        let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        restrict(&mut options, secret);
        let file =
            options.open(&temporary).map_err(|error| Failure::file("write", path, &error))?;
        Ok(Self { path: path.to_owned(), temporary, file: Some(file), replace })
    }

    /// Adds bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let path = &self.path;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|error| Failure::file("write", path, &error))
    }

    /// Puts it in its place, durably.
    pub(crate) fn publish(mut self) -> Result<(), Failure> {
        refuse_existing(&self.path, self.replace)?;
        let failed = |error: std::io::Error| Failure::file("write", &self.path, &error);
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(failed)?;
        }
        fs::rename(&self.temporary, &self.path).map_err(failed)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Not every system can open a folder; where it can, the name is durable too.
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            folder.sync_all().map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Nothing may depend on it: it has not got its name yet.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

fn refuse_existing(path: &Path, replace: bool) -> Result<(), Failure> {
    if replace || !path.exists() {
        return Ok(());
    }
    Err(Failure::new(Kind::Input, "file_exists", format!("{} exists already", path.display()))
        .hint("Name a file that does not exist yet, or move this one away"))
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, secret: bool) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(if secret { 0o600 } else { 0o644 });
}

#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions, _secret: bool) {}

/// Makes a folder that only its owner may look into; fine if it is there.
pub(crate) fn private_folder(path: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| Failure::file("make", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_again_and_wrong_ones_named() {
        let text = line(Content::Request, &"phone".to_owned());
        assert_eq!(parse::<String>(Content::Request, &text), Ok("phone".to_owned()));
        let chat = format!("hello,\n  {text}\nbye");
        assert_eq!(parse::<String>(Content::Request, &chat), Ok("phone".to_owned()));
        let wrong = parse::<String>(Content::Welcome, &text);
        assert_eq!(wrong, Err("holds a join request, not an authority's welcome".to_owned()));
        let cut = text.trim_end().strip_suffix('6').unwrap_or(text.trim_end());
        assert!(parse::<String>(Content::Request, &cut[..cut.len() - 1]).is_err());
        assert!(parse::<String>(Content::Request, "").is_err());
    }

    #[test]
    fn a_file_that_is_not_published_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = Pending::begin(&path, false, false).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write(Content::Request, &path, &1_u8, false).unwrap();
        assert!(write(Content::Request, &path, &2_u8, false).is_err());
        assert_eq!(read::<u8>(Content::Request, &path), Ok(1));
    }
}
