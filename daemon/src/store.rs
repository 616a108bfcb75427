//! The values of `huza_crdt::store` kept in redb, one file for each half of the node.
//!
//! Enter at [`Store::create`] and [`Store::open`]. What holds:
//!
//! - [`Store::apply`] returns `Ok` only when the whole batch is on the disk; after a crash the file
//!   holds all of the batches that were acknowledged, perhaps the one in flight, and never a part
//!   of one.
//! - [`Store::load`] answers exactly as `MemoryStore::load` does.
//! - One process at a time: redb locks the file while it is open.
//! - After any failure of the storage the store is *poisoned* and refuses everything until it is
//!   opened again, because only opening establishes what the disk really holds.
//!
//! - A file with a key is encrypted below redb ([`Encrypted`]), and is otherwise the same file.
//!
//! It deliberately knows nothing of what the tables mean, nor where keys come from
//! (`crate::vault`). Deleted rows stay in redb's free pages until [`Store::scrub`].

mod backend;
mod cipher;
mod error;
pub mod faulty;
pub mod scrub;
mod xts;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use huza_crdt::store::{Batch, Op, Range, Row, StoreKind, Table};
use redb::{
    Builder, Database, Durability, ReadableDatabase as _, StorageBackend, TableDefinition,
    WriteTransaction,
};

pub use cipher::{Encrypted, FILE_KEY_BYTES, FileKey};
pub use error::StoreError;

/// What redb may keep in memory. // measured (storage reference): 8 MB is enough, 1 MB thrashes
pub const CACHE_BYTES: usize = 8 * 1_024 * 1_024;

/// Names the format of the file, so that a file of another half or of another version is told
/// apart from ours. Its only row is [`FORMAT_KEY`].
const FORMAT: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("format");
const FORMAT_KEY: &[u8] = b"format";

/// One store in one file.
#[derive(Debug)]
pub struct Store {
    kind: StoreKind,
    database: Database,
    poisoned: AtomicBool,
    /// Where it was opened, if that is a file.
    file: Option<StoreFile>,
}

/// A store's place on the disk, and its key, if it is encrypted.
#[derive(Debug, Clone)]
struct StoreFile {
    path: PathBuf,
    key: Option<FileKey>,
}

impl Store {
    /// Makes a new, empty store at `path` and opens it.
    ///
    /// It is made under a temporary name and renamed when complete, so a cut leaves no half-made
    /// file under `path`. Two processes must not create one path at once; the lock of the home
    /// sees to that.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is something at `path`, else what the disk says.
    pub fn create(kind: StoreKind, path: &Path) -> Result<Self, StoreError> {
        Self::create_with(kind, path, None)
    }

    /// As [`Self::create`], encrypted if there is a key.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_with(
        kind: StoreKind,
        path: &Path,
        key: Option<&FileKey>,
    ) -> Result<Self, StoreError> {
        let temporary = backend::begin_file(path)?;
        Self::fill_file(kind, &temporary, key)?.close();
        backend::publish_file(&temporary, path)?;
        Self::open_with(kind, path, key)
    }

    /// Makes an empty store in the empty file at `path`.
    fn fill_file(kind: StoreKind, path: &Path, key: Option<&FileKey>) -> Result<Self, StoreError> {
        let file = backend::open_file(path)?;
        match key {
            Some(key) => Self::create_on(kind, Encrypted::new(file, key)),
            None => Self::create_on(kind, file),
        }
    }

    /// Opens the store at `path`, repairing it first if it was not closed.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if a process has it open, [`StoreError::Missing`] if there is none,
    /// [`StoreError::Format`] if it is something else.
    pub fn open(kind: StoreKind, path: &Path) -> Result<Self, StoreError> {
        Self::open_with(kind, path, None)
    }

    /// As [`Self::open`], with the key with which it was made.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Key`] if the file was not made with this key.
    pub fn open_with(
        kind: StoreKind,
        path: &Path,
        key: Option<&FileKey>,
    ) -> Result<Self, StoreError> {
        scrub::finish(path)?;
        let file = backend::open_file(path)?;
        let mut store = match key {
            None => Self::open_on(kind, file)?,
            Some(key) => {
                let file = Encrypted::new(file, key);
                // Told apart here, because redb would see a torn file and try to mend it.
                if !file.opens().map_err(StoreError::of_io)? {
                    return Err(StoreError::Key);
                }
                Self::open_on(kind, file)?
            }
        };
        store.file = Some(StoreFile { path: path.to_owned(), key: key.cloned() });
        Ok(store)
    }

    /// Makes an empty store on `backend`, which must be empty.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_on(kind: StoreKind, backend: impl StorageBackend) -> Result<Self, StoreError> {
        if backend.len().map_err(StoreError::of_io)? > 0 {
            return Err(StoreError::Exists);
        }
        let store = Self::attach(kind, backend)?;
        store.make_tables().map_err(StoreError::of)?;
        Ok(store)
    }

    /// Opens the store that `backend` holds.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Damaged`] if what it holds contradicts itself.
    pub fn open_on(kind: StoreKind, backend: impl StorageBackend) -> Result<Self, StoreError> {
        // redb would quietly begin an empty database in an empty file.
        if backend.len().map_err(StoreError::of_io)? == 0 {
            return Err(StoreError::Format);
        }
        // Of some damaged files redb does not say so, but panics. Nothing is shared with what it
        // leaves behind: both the backend and the database are gone with it.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let store = Self::attach(kind, backend)?;
            let found = store.read_format().map_err(StoreError::of)?;
            Ok((store, found))
        }));
        let (store, found) = opened.unwrap_or_else(|_| Err(StoreError::of_panic()))?;
        if found.as_deref() == Some(format_name(kind)) {
            Ok(store)
        } else {
            Err(StoreError::Format)
        }
    }

    /// Which half it belongs to.
    #[must_use]
    pub const fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Whether a failure has made it refuse everything.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Applies all of `batch` and returns when it is durable. Waits for the disk: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError::Table`] if the batch names a table of the other half (nothing is written),
    /// else what the disk says, after which the store is poisoned and the batch is on the disk
    /// either whole or not at all.
    pub fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.usable()?;
        for op in &batch.0 {
            self.own(op.table())?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch).map_err(|error| self.poison(error))
    }

    /// Reads `range`, in key order, under the limits that [`Range`] states.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn load(&self, range: &Range) -> Result<Vec<Row>, StoreError> {
        self.usable()?;
        self.own(range.table)?;
        self.read(range).map_err(|error| self.poison(error))
    }

    /// Reads the whole file and verifies its checksums; mends what can be mended. `false` if there
    /// was something to mend.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged beyond mending.
    pub fn check(&mut self) -> Result<bool, StoreError> {
        self.usable()?;
        let checked = self.database.check_integrity();
        checked.map_err(|error| self.poison(error.into()))
    }

    /// Closes the file and lets go of its lock, as dropping the store does.
    pub fn close(self) {
        drop(self);
    }

    fn attach(kind: StoreKind, backend: impl StorageBackend) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create_with_backend(backend).map_err(StoreError::of)?;
        Ok(Self { kind, database, poisoned: AtomicBool::new(false), file: None })
    }

    fn make_tables(&self) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        for table in Table::ALL.iter().filter(|table| table.store() == self.kind) {
            transaction.open_table(definition(*table))?;
        }
        transaction.open_table(FORMAT)?.insert(FORMAT_KEY, format_name(self.kind))?;
        Ok(transaction.commit()?)
    }

    fn read_format(&self) -> Result<Option<Vec<u8>>, redb::Error> {
        match self.database.begin_read()?.open_table(FORMAT) {
            Ok(table) => Ok(table.get(FORMAT_KEY)?.map(|name| name.value().to_vec())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction)
    }

    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        // Each table is opened once, and written in the order of its keys; of writes to one key the
        // last still counts.
        let mut ops: Vec<&Op> = batch.0.iter().collect();
        ops.sort_by(|one, other| place(one).cmp(&place(other)));
        for run in ops.chunk_by(|one, next| one.table() == next.table()) {
            let Some(first) = run.first() else { continue };
            let mut table = transaction.open_table(definition(first.table()))?;
            for op in run {
                match op {
                    Op::Put { key, value, .. } => {
                        table.insert(key.as_slice(), value.as_slice())?;
                    }
                    Op::Delete { key, .. } => {
                        table.remove(key.as_slice())?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn read(&self, range: &Range) -> Result<Vec<Row>, redb::Error> {
        let table = self.database.begin_read()?.open_table(definition(range.table))?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        for row in table.range(range.from.as_slice()..)? {
            let (key, value) = row?;
            let (key, value) = (key.value(), value.value());
            let end = range.to.as_ref().is_some_and(|to| key >= to.as_slice());
            if end || range.is_full(rows.len(), bytes) {
                break;
            }
            bytes += key.len() + value.len();
            rows.push((key.to_vec(), value.to_vec()));
        }
        Ok(rows)
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.is_poisoned() { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    fn own(&self, table: Table) -> Result<(), StoreError> {
        if table.store() == self.kind { Ok(()) } else { Err(StoreError::Table(table.name())) }
    }

    fn poison(&self, error: redb::Error) -> StoreError {
        self.poisoned.store(true, Ordering::Release);
        StoreError::of(error)
    }
}

/// Where a write goes.
const fn place(op: &Op) -> (Table, &[u8]) {
    match op {
        Op::Put { table, key, .. } | Op::Delete { table, key } => (*table, key.as_slice()),
    }
}

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

const fn format_name(kind: StoreKind) -> &'static [u8] {
    match kind {
        StoreKind::Carrier => b"huza carrier 1",
        StoreKind::Reader => b"huza reader 3",
    }
}
