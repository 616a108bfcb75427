//! Programs that may ask, and how each proves that it is one: by a token of 32 random bytes, which is
//! told once. `HOME/apps.json` (mode 0600) keeps a hash of each, and is read at every request, so that
//! what was removed is gone at once.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use huza_crdt::{id::hex, time::Stamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{home::files, time};

/// Programs at most.
pub const APPS_MAX: usize = 64;

/// Longest name of a program, in characters.
pub const NAME_CHARS_MAX: usize = 40;

/// What every token begins with, so that people and scanners of leaks know what it is.
const PREFIX: &str = "huza_";

const FILE: &str = "apps.json";

/// Held while the file is changed.
const LOCK: &str = "apps.lock";

/// Why the list of programs cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The name is none.
    #[error("{name:?} is no name of an app; use 1 to 40 letters, digits, `.`, `-` and `_`")]
    Name {
        /// As given.
        name: String,
    },
    /// It is there already.
    #[error("there is an app {name} already; remove it first, or choose another name")]
    Exists {
        /// Whose.
        name: String,
    },
    /// It is not there.
    #[error("there is no app {name}; `huza app list` lists them")]
    Unknown {
        /// As given.
        name: String,
    },
    /// There are too many.
    #[error("there are {APPS_MAX} apps; remove one that is not used any more")]
    TooMany,
    /// The file cannot be read or written.
    #[error("cannot use {}; see that the disk has room and is yours", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{} is damaged; remove it, and add the apps again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The operating system gives no random numbers.
    #[error("the system gives no random numbers; without them no token is safe")]
    Entropy(#[source] getrandom::Error),
}

/// A program that may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// What people call it; stands in logs.
    pub name: String,
    /// Whether it may only read.
    pub read_only: bool,
    /// When it was added, by this device's clock.
    pub added: Stamp,
    /// SHA-256 of its token, in hexadecimal.
    hash: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    apps: Vec<App>,
}

/// The list of a home.
#[derive(Debug, Clone)]
pub struct Apps {
    home: PathBuf,
}

impl Apps {
    /// That of the home at `home`.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// Lets a program in; gives its token, which is kept nowhere.
    ///
    /// # Errors
    /// If the name is none or taken, or the list cannot be used.
    pub fn add(&self, name: &str, read_only: bool) -> Result<String, AppError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.chars().all(plain) {
            return Err(AppError::Name { name: name.to_owned() });
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(AppError::Entropy)?;
        let token = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&random));
        self.change(|apps| {
            if apps.iter().any(|app| app.name == name) {
                return Err(AppError::Exists { name: name.to_owned() });
            }
            if apps.len() >= APPS_MAX {
                return Err(AppError::TooMany);
            }
            let (name, hash) = (name.to_owned(), hash(&token));
            apps.push(App { name, read_only, added: time::now(), hash });
            Ok(())
        })?;
        Ok(token)
    }

    /// Lets a program in no more.
    ///
    /// # Errors
    /// If there is none of this name, or the list cannot be used.
    pub fn remove(&self, name: &str) -> Result<(), AppError> {
        self.change(|apps| {
            let before = apps.len();
            apps.retain(|app| app.name != name);
            if apps.len() == before {
                return Err(AppError::Unknown { name: name.to_owned() });
            }
            Ok(())
        })
    }

    /// Every program, in the order in which they were added.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn list(&self) -> Result<Vec<App>, AppError> {
        let path = self.home.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Content>(&bytes) {
                Ok(content) => Ok(content.apps),
                Err(_not_ours) => Err(AppError::Damaged { path }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(AppError::Io { path, source }),
        }
    }

    /// Whose token this is. Tokens are compared by their hashes, so that the time it takes tells
    /// nothing of them.
    pub(super) fn who(&self, token: &str) -> Result<Option<App>, AppError> {
        let hash = hash(token);
        Ok(self.list()?.into_iter().find(|app| app.hash == hash))
    }

    /// Whether a program is still let in.
    pub(super) fn has(&self, app: &App) -> bool {
        self.list().is_ok_and(|apps| apps.contains(app))
    }

    fn change(
        &self,
        with: impl FnOnce(&mut Vec<App>) -> Result<(), AppError>,
    ) -> Result<(), AppError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AppError::Io { path, source }
        };
        let path = self.home.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = files::private(options.write(true).create(true).truncate(false));
        let lock = lock.open(&path).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        let mut apps = self.list()?;
        with(&mut apps)?;
        let path = self.home.join(FILE);
        let content = serde_json::to_vec(&Content { apps })
            .map_err(|error| AppError::Io { path: path.clone(), source: error.into() })?;
        files::replace(&path, &content).map_err(failed(&path))
    }
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_once_kept_as_a_hash_and_good_until_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let apps = Apps::of(home.path());
        assert!(apps.list().unwrap().is_empty());
        let token = apps.add("clinic", false).unwrap();
        let other = apps.add("reports", true).unwrap();
        assert_ne!(token, other);
        assert_eq!(apps.who(&token).unwrap().map(|app| app.read_only), Some(false));
        assert_eq!(apps.who(&other).unwrap().map(|app| app.name), Some("reports".to_owned()));
        assert_eq!(apps.who("huza_guess").unwrap(), None);
        let kept = fs::read_to_string(home.path().join(FILE)).unwrap();
        assert!(!kept.contains(&token) && !kept.contains(token.trim_start_matches(PREFIX)));
        assert!(matches!(apps.add("clinic", true), Err(AppError::Exists { .. })));
        let app = apps.who(&token).unwrap().unwrap();
        apps.remove("clinic").unwrap();
        assert!(!apps.has(&app));
        assert_eq!(apps.who(&token).unwrap(), None);
        assert!(matches!(apps.remove("clinic"), Err(AppError::Unknown { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_who_may_ask() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        Apps::of(home.path()).add("clinic", false).unwrap();
        let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn names_that_would_break_a_log_and_too_many_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let apps = Apps::of(home.path());
        for name in ["", "a b", "a\nb", "é", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(matches!(apps.add(name, false), Err(AppError::Name { .. })), "{name:?}");
        }
        for number in 0..APPS_MAX {
            apps.add(&format!("app-{number}"), false).unwrap();
        }
        assert!(matches!(apps.add("one-more", false), Err(AppError::TooMany)));
    }

    #[test]
    fn a_damaged_list_lets_nobody_in() {
        let home = tempfile::tempdir().unwrap();
        let apps = Apps::of(home.path());
        let token = apps.add("clinic", false).unwrap();
        fs::write(home.path().join(FILE), b"{").unwrap();
        assert!(matches!(apps.who(&token), Err(AppError::Damaged { .. })));
    }
}
