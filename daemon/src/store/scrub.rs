//! Leaving nothing of deleted rows in a store's file.
//!
//! redb keeps the content of deleted rows in pages that are free until something new is written
//! there, and cannot clear them. So [`Store::scrub`] writes the file anew:
//!
//! ```text
//! NAME           the store
//! NAME.next.new  a fresh store with the same rows, being filled
//! NAME.next      the same, complete and durable: from here on it is what counts
//! NAME           overwritten with the bytes of NAME.next, its old tail with zeros, then cut off
//!                NAME.next is removed, and only then NAME opened again
//! ```
//!
//! The file itself stays the same one (its inode is part of the life token, see `crate::home`).
//! A cut at any moment leaves either no `.next`, and the store untouched, or a complete one, which
//! [`finish`] copies again before the store is opened.
//!
//! What it cannot do: reach copies that flash memory or a journaling file system keep of
//! overwritten blocks. There only the key helps, which is why the reader's file is encrypted.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use huza_crdt::store::Table;
use redb::{ReadableDatabase as _, ReadableTable as _, StorageBackend, backends::InMemoryBackend};

use super::{Store, StoreError, StoreFile, backend, definition};

/// Bytes of rows after which the copy is committed. // measured (storage reference): 1 MB
/// transactions write five times less than 64 kB ones
const COMMIT_BYTES: usize = 1_024 * 1_024;

/// Bytes that are overwritten at once.
const CHUNK_BYTES: u64 = 256 * 1_024;

impl Store {
    /// Writes the file anew with what the store holds, so that nothing of deleted rows is left in
    /// it. Takes as long as copying the store, and room for a second one.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] if it is not in a file, else what the disk says. The rows are safe
    /// in any case: the store is poisoned, and opening it again finishes what was begun.
    pub fn scrub(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        let done = self.rewrite();
        if done.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        done
    }

    fn rewrite(&mut self) -> Result<(), StoreError> {
        let StoreFile { path, key } = self.file.clone().ok_or(StoreError::NoFile)?;
        let kind = self.kind;
        let next = beside(&path, ".next");
        backend::remove_file(&next)?;
        let temporary = backend::begin_file(&next)?;
        let fresh = Self::fill_file(kind, &temporary, key.as_ref())?;
        self.copy_rows(&fresh)?;
        fresh.close();
        // The file must be closed before it is overwritten; something must stand in its place.
        let nothing = Self::attach(kind, InMemoryBackend::new())?;
        drop(core::mem::replace(self, nothing));
        backend::publish_file(&temporary, &next)?;
        finish(&path)?;
        *self = Self::open_with(kind, &path, key.as_ref())?;
        Ok(())
    }

    /// Copies every row into `fresh`, an empty store of the same half, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn copy_rows(&self, fresh: &Self) -> Result<(), StoreError> {
        self.try_copy(fresh).map_err(StoreError::of)
    }

    fn try_copy(&self, fresh: &Self) -> Result<(), redb::Error> {
        let reading = self.database.begin_read()?;
        for table in Table::ALL.iter().filter(|table| table.store() == self.kind) {
            let from = reading.open_table(definition(*table))?;
            let mut rows = from.iter()?;
            let mut more = true;
            while core::mem::take(&mut more) {
                let writing = fresh.begin()?;
                let mut to = writing.open_table(definition(*table))?;
                let mut bytes = 0;
                for row in rows.by_ref() {
                    let (key, value) = row?;
                    to.insert(key.value(), value.value())?;
                    bytes += key.value().len() + value.value().len();
                    if bytes >= COMMIT_BYTES {
                        more = true;
                        break;
                    }
                }
                drop(to);
                writing.commit()?;
            }
        }
        Ok(())
    }
}

/// Finishes a scrub of the store at `path` that was cut: if there is a complete copy, it is put
/// in place. To be called before the file is opened.
///
/// # Errors
/// What the disk says; the copy is kept then.
pub fn finish(path: &Path) -> Result<(), StoreError> {
    let next = beside(path, ".next");
    if !next.exists() {
        return Ok(());
    }
    let (from, to) = (backend::open_file(&next)?, backend::open_file(path)?);
    overwrite(&from, &to)?;
    // A backend that redb does not use holds no lock that would have to be let go.
    drop((from, to));
    backend::remove_file(&next)
}

/// Makes `to` hold the bytes of `from`, durably, with zeros written over what was longer before
/// it is cut off. Doing it again after a cut gives the same.
///
/// # Errors
/// What the disk says.
pub fn overwrite(from: &impl StorageBackend, to: &impl StorageBackend) -> Result<(), StoreError> {
    try_overwrite(from, to).map_err(StoreError::of_io)
}

fn try_overwrite(from: &impl StorageBackend, to: &impl StorageBackend) -> std::io::Result<()> {
    let (len, before) = (from.len()?, to.len()?);
    let mut chunk = Vec::new();
    let mut at = 0;
    while at < len.max(before) {
        let end = if at < len { len } else { before };
        let here = CHUNK_BYTES.min(end - at);
        chunk.clear();
        chunk.resize(usize::try_from(here).map_err(std::io::Error::other)?, 0);
        if at < len {
            from.read(at, &mut chunk)?;
        }
        to.write(at, &chunk)?;
        at += here;
    }
    to.sync_data()?;
    if before > len {
        to.set_len(len)?;
        to.sync_data()?;
    }
    Ok(())
}

/// The file beside `path` whose name is longer by `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}
