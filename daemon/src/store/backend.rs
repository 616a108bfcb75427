//! Files on the disk: how one comes to be, and how it is opened.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use redb::backends::FileBackend;

use super::StoreError;

/// Opens an existing file for redb. [`FileBackend`] brings the file locks along.
pub(super) fn open_file(path: &Path) -> Result<FileBackend, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::of_io)?;
    FileBackend::new(file).map_err(StoreError::of)
}

/// Makes an empty file beside `path`, under a temporary name, which it returns. What an earlier
/// attempt left there was never a store and goes.
pub(super) fn begin_file(path: &Path) -> Result<PathBuf, StoreError> {
    refuse_existing(path)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::of_io(error));
        }
        _ => {}
    }
    private_file(&temporary).map_err(StoreError::of_io)?;
    Ok(temporary)
}

/// Removes the file at `path`, if there is one, durably.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map_err(StoreError::of_io),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::of_io(error)),
    }
}

/// Gives the complete, closed file at `temporary` its real name, durably.
pub(super) fn publish_file(temporary: &Path, path: &Path) -> Result<(), StoreError> {
    refuse_existing(path)?;
    fs::rename(temporary, path).and_then(|()| sync_parent(path)).map_err(StoreError::of_io)
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(StoreError::Exists),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::of_io(error)),
    }
}

/// A new file that only its owner may read.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A rename is durable once its directory is.
fn sync_parent(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
