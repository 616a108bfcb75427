//! What passes between people and devices as text, and the keys on paper.
//!
//! ```text
//! HUZA-REQUEST-1:  base32 (RFC 4648, no padding) of codec::encode(value) and four bytes of check
//! check = the first four bytes of SHA-256(word, 0, encoding)
//! ```
//!
//! One line, in capitals and digits only: it survives a chat message, an SD card, a printout, being
//! read aloud, and it is what a QR code holds most cheaply. Case does not matter, nor do spaces and
//! line ends within it, nor text around it. Writing is atomic: a file is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use huza_crdt::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::error::{Failure, Kind};

/// Longest text of this shape, in bytes. // guess: a welcome with hundreds of villages
const TEXT_BYTES_MAX: u64 = 4 * 1_024 * 1_024;

/// Pieces into which a text may have been broken on its way. // guess: a welcome in short lines
const PIECES_MAX: usize = 512;

/// Characters on a line of a printed key.
const PRINTED_LINE: usize = 64;

const CHECK_BYTES: usize = 4;

/// What a text holds: the word in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A device asks to join.
    Request,
    /// The authority's answer.
    Welcome,
    /// A key for paper, sealed. See `commands::authority::paper`.
    Paper,
    /// Signed statements to bring to a device.
    Statements,
    /// A device asks to be opened.
    RecoveryRequest,
    /// The authority's answer to that.
    RecoveryAnswer,
}

impl Content {
    const ALL: [Self; 6] = [
        Self::Request,
        Self::Welcome,
        Self::Paper,
        Self::Statements,
        Self::RecoveryRequest,
        Self::RecoveryAnswer,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Request => "HUZA-REQUEST-1:",
            Self::Welcome => "HUZA-WELCOME-1:",
            Self::Paper => "HUZA-PAPER-1:",
            Self::Statements => "HUZA-STATEMENTS-1:",
            Self::RecoveryRequest => "HUZA-FORGOTTEN-1:",
            Self::RecoveryAnswer => "HUZA-RECOVERY-1:",
        }
    }

    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "a join request",
            Self::Welcome => "an authority's welcome",
            Self::Paper => "a key for paper",
            Self::Statements => "signed statements",
            Self::RecoveryRequest => "a request for a recovery",
            Self::RecoveryAnswer => "an answer to a request for a recovery",
        }
    }
}

/// `value` as a line.
pub(crate) fn line<T: Serialize>(content: Content, value: &T) -> String {
    let mut bytes = codec::encode(value);
    let check = check(content, &bytes);
    bytes.extend(check);
    format!("{}{}\n", content.word(), BASE32_NOPAD.encode(&bytes))
}

/// `value` as several short lines, for a printer.
pub(crate) fn lines<T: Serialize>(content: Content, value: &T) -> String {
    let line = line(content, value);
    let rest = line.trim_end().strip_prefix(content.word()).unwrap_or_default();
    let rest: Vec<char> = rest.chars().collect();
    let rows = rest.chunks(PRINTED_LINE).map(|row| row.iter().collect::<String>() + "\n");
    format!("{}\n{}", content.word(), rows.collect::<String>())
}

fn check(content: Content, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::new().chain_update(content.word()).chain_update([0]).chain_update(bytes);
    let hash = hash.finalize();
    core::array::from_fn(|i| hash.get(i).copied().unwrap_or_default())
}

/// Reads the text in `path`, or on stdin for `-`.
pub(crate) fn read<T>(content: Content, path: &Path) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned,
{
    let text = bytes(path)?;
    parse(content, &String::from_utf8_lossy(&text)).map_err(|why| {
        Failure::new(Kind::Input, "text", format!("{} {why}", named(path)))
            .hint(format!("Give the whole line that holds {}", content.name()))
    })
}

/// The text in `path`, or on stdin for `-`, as it is.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes(path)?).map_err(|_other| {
        Failure::new(Kind::Input, "text", format!("{} is not text in UTF-8", named(path)))
            .hint("Save it as UTF-8 and try again")
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(TEXT_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::file("read", path, &error))?;
    Ok(bytes)
}

/// What a text came from, as a sentence begins with it.
fn named(path: &Path) -> String {
    if path == Path::new("-") {
        return "What was pasted".to_owned();
    }
    format!("The file {}", path.display())
}

/// Reads the first thing of ours in `text`.
fn parse<T>(content: Content, text: &str) -> Result<T, String>
where
    T: Serialize + DeserializeOwned,
{
    let text = text.to_ascii_uppercase();
    let places = Content::ALL.into_iter().filter_map(|one| Some((text.find(one.word())?, one)));
    let (at, found) = places
        .min_by_key(|(at, _)| *at)
        .ok_or_else(|| format!("does not hold {}", content.name()))?;
    if found != content {
        return Err(format!("holds {}, not {}", found.name(), content.name()));
    }
    let rest = text.get(at + content.word().len()..).unwrap_or_default();
    let bytes = assemble(content, rest);
    bytes
        .and_then(|bytes| codec::decode(&bytes).ok())
        .ok_or_else(|| format!("holds {}, but damaged or not all of it", content.name()))
}

/// The encoding that begins in `text`: as many pieces as it takes until the check holds.
fn assemble(content: Content, text: &str) -> Option<Vec<u8>> {
    let mut whole = String::new();
    text.split_whitespace().take(PIECES_MAX).find_map(|piece| {
        whole.push_str(piece);
        let mut bytes = BASE32_NOPAD.decode(whole.as_bytes()).ok()?;
        let told = bytes.split_off(bytes.len().checked_sub(CHECK_BYTES)?);
        (told == check(content, &bytes)).then_some(bytes)
    })
}

/// Writes `value` to `path`, which must not exist.
pub(crate) fn write<T: Serialize>(content: Content, path: &Path, value: &T) -> Result<(), Failure> {
    let mut file = Pending::begin(path, false, false)?;
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
            Failure::new(Kind::Input, "file", format!("No file can be named {}", path.display()))
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
    Err(Failure::new(
        Kind::Input,
        "file_exists",
        format!("The file {} exists already", path.display()),
    )
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
    fn lines_are_read_again_whatever_happened_to_them_on_the_way() {
        let value = ("phone".to_owned(), vec![7_u8; 300]);
        let parse = |text: &str| parse::<(String, Vec<u8>)>(Content::Request, text);
        let text = line(Content::Request, &value);
        assert_eq!(parse(&text), Ok(value.clone()));
        assert_eq!(parse(&format!("hello,\n  {text}\nbye")), Ok(value.clone()), "in a chat");
        assert_eq!(parse(&format!("> {} bye", text.trim().to_lowercase())), Ok(value.clone()));
        let chars: Vec<char> = text.chars().collect();
        let broken: Vec<String> = chars.chunks(20).map(|part| part.iter().collect()).collect();
        assert_eq!(parse(&broken.join("\r\n ")), Ok(value.clone()), "broken into lines");
        assert_eq!(parse(&lines(Content::Request, &value)), Ok(value), "as printed");
    }

    #[test]
    fn wrong_and_damaged_lines_are_named() {
        let text = line(Content::Request, &"phone".to_owned());
        let wrong = parse::<String>(Content::Welcome, &text);
        assert_eq!(wrong, Err("holds a join request, not an authority's welcome".to_owned()));
        let damaged = |text: &str| {
            let why = parse::<String>(Content::Request, text).unwrap_err();
            assert!(why.contains("damaged"), "{why}");
        };
        for end in 1..8 {
            damaged(&text[..text.len() - end - 1]);
        }
        let at = text.len() - 6;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        damaged(&format!("{}{other}{}", &text[..at], &text[at + 1..]));
        assert!(parse::<String>(Content::Request, "").is_err());
        assert!(parse::<String>(Content::Request, "huza-request-1: \u{e9}").is_err());
    }

    #[test]
    fn a_file_that_is_not_published_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = Pending::begin(&path, false, false).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write(Content::Request, &path, &1_u8).unwrap();
        assert!(write(Content::Request, &path, &2_u8).is_err());
        assert_eq!(read::<u8>(Content::Request, &path), Ok(1));
    }
}
