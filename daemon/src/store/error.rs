//! What can go wrong with a store, in words for the person who must act.

use std::io;

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A process has the file open.
    #[error("the store is in use by another process; stop it first")]
    InUse,
    /// There is no such file.
    #[error("there is no store here; run init or restore first")]
    Missing,
    /// There is a file already.
    #[error("there is a store here already; it is left as it is")]
    Exists,
    /// The file is not a store of the half that was asked for.
    #[error("the file is not a store of this kind or of this version; it is left as it is")]
    Format,
    /// The file was made with another key, or is none of ours.
    #[error(
        "this store does not open with the key in the vault; put the vault and the store of one \
         device back together"
    )]
    Key,
    /// Only a store in a file of its own can be scrubbed: a bug of the caller.
    #[error("the store is not in a file of its own, so it cannot be rewritten")]
    NoFile,
    /// The disk is full.
    #[error("the disk is full; free some space and start again, nothing confirmed is lost")]
    Full(#[source] io::Error),
    /// The file's content contradicts itself.
    #[error("the store is damaged; restore it from a backup or sync again from others")]
    Damaged(#[source] Box<redb::Error>),
    /// The disk failed otherwise.
    #[error("the disk failed; what was not confirmed may be missing")]
    Storage(#[source] Box<redb::Error>),
    /// An earlier failure has closed the store.
    #[error("the store is closed after a failure; open it again")]
    Poisoned,
    /// A batch or range names a table of the other half: a bug of the caller.
    #[error("table {0} is not in this store")]
    Table(&'static str),
}

impl StoreError {
    /// Sorts an error of redb.
    pub(super) fn of(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::UpgradeRequired(_) => Self::Format,
            redb::Error::Io(error) => Self::of_io(error),
            error @ redb::Error::Corrupted(_) => Self::Damaged(Box::new(error)),
            error => Self::Storage(Box::new(error)),
        }
    }

    /// Opening ended in a panic of redb: the file says what it cannot.
    pub(super) fn of_panic() -> Self {
        let what = "reading it ended in a panic".to_owned();
        Self::Damaged(Box::new(redb::Error::Corrupted(what)))
    }

    /// Sorts an error of the file system.
    pub(super) fn of_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full(error),
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::AlreadyExists => Self::Exists,
            // What redb says of a file that does not begin as one of its own.
            io::ErrorKind::InvalidData => Self::Format,
            _ => Self::Storage(Box::new(redb::Error::Io(error))),
        }
    }
}
