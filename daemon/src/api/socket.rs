//! The socket of a home on Unix: `HOME/huza.sock`, its owner's alone.
//!
//! The system takes only about a hundred bytes as the path of a socket. In a home with a longer
//! path the socket is in a private directory among the temporary files, and `HOME/huza.sock` is a
//! symbolic link to it. What a killed daemon left is replaced; whoever binds holds the home's lock,
//! so it belongs to nobody else.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use huza_crdt::id::hex;
use tokio::net::{UnixListener, UnixStream};

use super::ApiError;
use crate::home::files;

pub(crate) type Stream = UnixStream;

/// Longest path, in bytes. // sun_path: 108 on Linux, 104 elsewhere, one of them for the end
const PATH_BYTES_MAX: usize = 100;

const FILE: &str = "huza.sock";

/// Name of the directory among the temporary files, before some random digits.
const DIR_PREFIX: &str = "huza-";

/// The socket, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(crate) fn bind(home: &Path) -> Result<Self, ApiError> {
        let path = home.join(FILE);
        let failed = |source| ApiError::Bind { path: path.clone(), source };
        remove(&path).map_err(failed)?;
        let place = if fits(&path) { path.clone() } else { detour(&path)? };
        let listener = UnixListener::bind(&place).map_err(failed)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "the local socket could not be removed");
        }
    }
}

/// Connects to the daemon of the home at `home`, if one listens.
pub(crate) async fn connect(home: &Path) -> io::Result<Option<Stream>> {
    let path = home.join(FILE);
    let place = fs::read_link(&path).unwrap_or(path);
    match UnixStream::connect(&place).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if is_absence(&error, &place) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Nobody listens: there is no socket, or the process behind it has ended.
fn is_absence(error: &io::Error, place: &Path) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        || !fits(place)
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX
}

/// Makes a short place for the socket, and a link to it at `path`.
fn detour(path: &Path) -> Result<PathBuf, ApiError> {
    let failed = |source| ApiError::Bind { path: path.to_owned(), source };
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|error| failed(error.into()))?;
    let dir = std::env::temp_dir().join(format!("{DIR_PREFIX}{}", hex(&name)));
    let place = dir.join(FILE);
    if !fits(&place) {
        return Err(ApiError::PathTooLong { home: path.to_owned(), temporary: place });
    }
    files::private_dir(&dir).map_err(failed)?;
    std::os::unix::fs::symlink(&place, path).map_err(failed)?;
    Ok(place)
}

/// Removes the socket at `path`, or the link there and the place it leads to.
fn remove(path: &Path) -> io::Result<()> {
    if let Ok(place) = fs::read_link(path)
        && let Some(dir) = place.parent()
        && dir.file_name().is_some_and(|name| name.as_bytes().starts_with(DIR_PREFIX.as_bytes()))
    {
        absent_is_fine(fs::remove_file(&place))?;
        absent_is_fine(fs::remove_dir(dir))?;
    }
    absent_is_fine(fs::remove_file(path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn binds_and_answers(home: &Path) {
        let listener = Listener::bind(home).unwrap();
        let (accepted, connected) = futures::join!(listener.accept(), connect(home));
        assert!(accepted.is_ok());
        assert!(connected.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_long_path_gets_a_detour_that_goes_away_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("x".repeat(120)).join("y".repeat(120));
        fs::create_dir_all(&home).unwrap();
        assert!(connect(&home).await.unwrap().is_none());
        binds_and_answers(&home).await;
        assert!(fs::symlink_metadata(home.join(FILE)).is_err());

        let listener = Listener::bind(&home).unwrap();
        let left = fs::read_link(home.join(FILE)).unwrap();
        std::mem::forget(listener);
        binds_and_answers(&home).await;
        assert!(!left.exists(), "what a killed daemon left is gone");
        assert!(connect(&home).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_nobody_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join(FILE)).unwrap();
        drop(listener);
        assert!(dir.path().join(FILE).exists());
        assert!(connect(dir.path()).await.unwrap().is_none());
        binds_and_answers(dir.path()).await;
    }

    #[tokio::test]
    async fn only_the_owner_may_connect() {
        let dir = tempfile::tempdir().unwrap();
        let _listener = Listener::bind(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
