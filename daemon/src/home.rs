//! A home: the directory of one device.
//!
//! ```text
//! HOME/carrier.redb   sealed envelopes, the control lane, the device's key
//! HOME/reader.redb    reading keys and opened records, encrypted; a device that only carries has none
//! HOME/vault          who may open the reader's file, see `crate::vault`
//! HOME/relay          empty; says that this device only carries
//! HOME/huza.toml      settings
//! HOME/lock           locked while a process uses the home; holds its number
//! HOME/huza.sock      where a running daemon takes commands
//! HOME/peers.json     addresses at which peers were met
//! HOME/facility/      of a gateway: what the facility receives
//! HOME/keystore.stand-in  the factor that goes with PINs, where no hardware keeps it
//! ```
//!
//! A home is made whole beside its place and then renamed, so there is never half of one. The
//! directory is its owner's alone.

pub(crate) mod files;
pub(crate) mod life;
mod lock;
mod peers;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use huza_crdt::{
    node::{self, Command, CommandError, ReaderState, Reply},
    store::StoreKind,
    trust::approval::JoinRequest,
};

pub use lock::HomeLock;
pub use peers::REMEMBERED_MAX;
pub(crate) use peers::Remembered;

use crate::{
    config::{self, Config, ConfigError},
    driver::offline::{Offline, OfflineError},
    store::{Store, StoreError},
    vault::{FileKeystore, Keystore, NewSecret, Unlocked, Vault, VaultError},
};

/// What a new home is to be.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// What people call the device; not a person's name.
    pub label: String,
    /// Whether it reads. A relay only carries, and needs neither worker nor secret.
    pub reader: bool,
    /// The first worker: who unlocks it, and is named by what is recorded then.
    pub worker: String,
    /// What unlocks it.
    pub secret: NewSecret,
}

impl InitOptions {
    /// A device that is open to whoever has its files: for demonstrations and tests.
    #[must_use]
    pub fn unprotected(label: &str, reader: bool) -> Self {
        let (label, worker) = (label.to_owned(), "worker".to_owned());
        Self { label, reader, worker, secret: NewSecret::Open }
    }
}

/// Why a home could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is none.
    #[error(
        "no huza home at {path}; check the path, or make a new device there with `huza init --home \
         {path}`",
        path = .0.display()
    )]
    Missing(PathBuf),
    /// There is one already.
    #[error(
        "there is a huza home at {} already, and it was left as it is; choose another directory",
        .0.display()
    )]
    Exists(PathBuf),
    /// There is something else.
    #[error("{} holds other files; choose an empty or a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// No directory can have this name.
    #[error("{} cannot be a home; name a directory", .0.display())]
    Name(PathBuf),
    /// It had a reader, and the file is gone.
    #[error(
        "the reader store of the home at {} is missing; put reader.redb back from a backup, or make \
         a new home",
        .0.display()
    )]
    MissingReader(PathBuf),
    /// It has a reader, and what opens it is gone.
    #[error(
        "the vault of the home at {} is missing; put `vault` back from a backup, or make a new \
         home",
        .0.display()
    )]
    MissingVault(PathBuf),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Another process uses it.
    #[error(
        "home in use by {}: {}; stop it, or wait until it is done",
        process_name(*process),
        path.display()
    )]
    InUse {
        /// Which home.
        path: PathBuf,
        /// The process, if it has said so.
        process: Option<u32>,
    },
    /// Its settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store cannot be used.
    #[error("cannot use the {} of the home", store_name(*store))]
    Store {
        /// Which.
        store: StoreKind,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The file system refused.
    #[error("cannot {what} {}; see that the disk has room and is yours to write", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The operating system gives no random numbers.
    #[error("the system gives no random numbers; without them no key is safe")]
    Entropy(#[source] getrandom::Error),
    /// The device's keys could not be made.
    #[error("the device's keys could not be made; nothing was left behind")]
    Keys(#[source] Box<OfflineError>),
    /// The device refused to make its keys.
    #[error(transparent)]
    Refused(#[from] CommandError),
}

fn process_name(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".to_owned(), |number| format!("process {number}"))
}

/// What people call a store.
pub(crate) const fn store_name(store: StoreKind) -> &'static str {
    match store {
        StoreKind::Carrier => "carrier store (carrier.redb)",
        StoreKind::Reader => "reader store (reader.redb)",
    }
}

/// A home that exists, with its settings. Not locked: see [`Home::lock`].
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
    config: Config,
    reader: bool,
    keystore: Arc<dyn Keystore>,
}

/// A store, and whether it was whole, had to be mended, or is damaged.
pub type CheckedStore = (StoreKind, Result<bool, StoreError>);

/// The two stores of a home, open.
#[derive(Debug)]
pub(crate) struct OpenStores {
    pub(crate) carrier: Store,
    pub(crate) reader: Option<Store>,
}

impl Home {
    /// Makes a new home at `path` with keys of its own, and returns the request with which an
    /// authority approves it.
    ///
    /// # Errors
    /// [`HomeError::Exists`] if there is one, which stays as it is; otherwise what went wrong,
    /// with nothing left at `path`.
    pub fn init(path: &Path, options: &InitOptions) -> Result<JoinRequest, HomeError> {
        let path = absolute(path)?;
        refuse_occupied(&path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(HomeError::Name(path));
        };
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
        let mut building = std::ffi::OsString::from(".");
        building.push(name);
        building.push(".new");
        let building = parent.join(building);
        let lock = claim(&building)?;
        let built = build(&building, options).and_then(|request| {
            publish(&building, &path)?;
            Ok(request)
        });
        if built.is_err() {
            // What could not be finished is of no use; if it cannot go either, the next `init`
            // clears it.
            let _cleared = fs::remove_dir_all(&building);
        }
        drop(lock);
        built
    }

    /// Opens the home at `path`.
    ///
    /// # Errors
    /// If there is none, or its settings are wrong.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let path = absolute(path)?;
        if !carrier_file(&path).is_file() {
            return Err(HomeError::Missing(path));
        }
        let config = Config::load(&path)?;
        let reader = !relay_file(&path).exists();
        if reader && !reader_file(&path).is_file() {
            return Err(HomeError::MissingReader(path));
        }
        if reader && !vault_file(&path).is_file() {
            return Err(HomeError::MissingVault(path));
        }
        let keystore = Arc::new(FileKeystore::stand_in(&path.join(&config.keystore)));
        Ok(Self { path, config, reader, keystore })
    }

    /// Uses `keystore` for PINs, instead of the stand-in that the settings name.
    #[must_use]
    pub fn with_keystore(self, keystore: Arc<dyn Keystore>) -> Self {
        Self { keystore, ..self }
    }

    /// What keeps the factor that goes with PINs.
    #[must_use]
    pub fn keystore(&self) -> Arc<dyn Keystore> {
        Arc::clone(&self.keystore)
    }

    /// Where the vault is.
    #[must_use]
    pub fn vault_path(&self) -> PathBuf {
        vault_file(&self.path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its settings, with the environment over them.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether it reads, or only carries.
    #[must_use]
    pub const fn has_reader(&self) -> bool {
        self.reader
    }

    /// Claims it for this process.
    ///
    /// # Errors
    /// [`HomeError::InUse`] with the process that has it.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        HomeLock::take(&self.path)
    }

    /// Opens each store, reads all of it and verifies it: `true` if it is whole, `false` if it had
    /// to be mended. The reader's only if it is unlocked. Claims the home while it looks.
    ///
    /// # Errors
    /// [`HomeError::InUse`] if a process uses the home.
    pub fn check_stores(
        &self,
        unlocked: Option<&Unlocked>,
    ) -> Result<Vec<CheckedStore>, HomeError> {
        let _lock = self.lock()?;
        let check = |opened: Result<Store, StoreError>| opened.and_then(|mut store| store.check());
        let carrier = Store::open(StoreKind::Carrier, &carrier_file(&self.path));
        let mut checked = vec![(StoreKind::Carrier, check(carrier))];
        if let Some(unlocked) = unlocked.filter(|_| self.reader) {
            let key = Some(unlocked.key());
            let reader = Store::open_with(StoreKind::Reader, &reader_file(&self.path), key);
            checked.push((StoreKind::Reader, check(reader)));
        }
        Ok(checked)
    }

    /// The reader's key, if its vault needs no secret.
    ///
    /// # Errors
    /// If the vault cannot be read.
    pub fn unlock_open(&self) -> Result<Option<Unlocked>, HomeError> {
        if !self.reader {
            return Ok(None);
        }
        Ok(Vault::open(&self.vault_path())?.unlock_open())
    }

    /// Addresses at which peers were met, the latest first.
    #[must_use]
    pub fn remembered(&self) -> Vec<String> {
        Remembered::load(&self.path).addresses()
    }

    /// Adds addresses to those that its settings say to dial; gives how many were new.
    ///
    /// # Errors
    /// If one is no address, or the settings cannot be read or written.
    pub fn add_dial(&self, addresses: &[String]) -> Result<usize, HomeError> {
        Ok(config::add_dial(&self.path, addresses)?)
    }

    /// Opens its stores, the reader's if it is unlocked. Whoever calls holds the lock.
    pub(crate) fn open_stores(&self, unlocked: Option<&Unlocked>) -> Result<OpenStores, HomeError> {
        let store = StoreKind::Carrier;
        let carrier = Store::open(store, &carrier_file(&self.path))
            .map_err(|source| HomeError::Store { store, source })?;
        let reader = unlocked.filter(|_| self.reader);
        let reader = reader.map(|unlocked| self.open_reader(unlocked)).transpose()?;
        Ok(OpenStores { carrier, reader })
    }

    /// Opens the reader's store. Whoever calls holds the lock.
    pub(crate) fn open_reader(&self, unlocked: &Unlocked) -> Result<Store, HomeError> {
        let store = StoreKind::Reader;
        Store::open_with(store, &reader_file(&self.path), Some(unlocked.key()))
            .map_err(|source| HomeError::Store { store, source })
    }

    /// What a node on this home is told at its birth, if `unlocked` is what its stores were opened
    /// with.
    pub(crate) fn node_config(
        &self,
        unlocked: Option<&Unlocked>,
    ) -> Result<node::Config, HomeError> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(HomeError::Entropy)?;
        let carrier = carrier_file(&self.path);
        let life = life::token(&carrier).map_err(failed("examine", &carrier))?;
        let reader = match unlocked {
            _ if !self.reader => ReaderState::Absent,
            None => ReaderState::Locked,
            Some(unlocked) => ReaderState::Open { worker: unlocked.worker().to_owned() },
        };
        let erasure_delay_ms = u64::from(self.config.erasure_hours) * 3_600_000;
        let carry = self.config.carry();
        Ok(node::Config { entropy, life, reader, erasure_delay_ms, carry })
    }
}

fn vault_file(home: &Path) -> PathBuf {
    home.join("vault")
}

fn carrier_file(home: &Path) -> PathBuf {
    home.join("carrier.redb")
}

/// Its presence says that the device was made without a reader.
fn relay_file(home: &Path) -> PathBuf {
    home.join("relay")
}

fn reader_file(home: &Path) -> PathBuf {
    home.join("reader.redb")
}

fn absolute(path: &Path) -> Result<PathBuf, HomeError> {
    std::path::absolute(path).map_err(failed("find", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { what, path, source }
}

/// Whether `path` is free, or an empty directory.
fn refuse_occupied(path: &Path) -> Result<(), HomeError> {
    if carrier_file(path).exists() {
        return Err(HomeError::Exists(path.to_owned()));
    }
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(HomeError::NotEmpty(path.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(HomeError::Name(path.to_owned()))
        }
        Err(error) => Err(failed("look into", path)(error)),
    }
}

/// Makes the directory in which the home is built, and clears what an earlier attempt left.
fn claim(building: &Path) -> Result<HomeLock, HomeError> {
    match files::private_dir(building) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make", building)(error));
        }
        _ => {}
    }
    let lock = HomeLock::take(building)?;
    let entries = fs::read_dir(building).map_err(failed("look into", building))?;
    for entry in entries {
        let entry = entry.map_err(failed("look into", building))?;
        if entry.file_name() != lock::FILE {
            fs::remove_file(entry.path()).map_err(failed("clear", &entry.path()))?;
        }
    }
    Ok(lock)
}

/// Fills the directory with a home.
fn build(building: &Path, options: &InitOptions) -> Result<JoinRequest, HomeError> {
    let settings = building.join(config::FILE);
    files::replace(&settings, Config::commented().as_bytes())
        .map_err(failed("write", &settings))?;
    let make = |store, path: &Path, key| {
        let made = Store::create_with(store, path, key);
        made.map(Store::close).map_err(|source| HomeError::Store { store, source })
    };
    make(StoreKind::Carrier, &carrier_file(building), None)?;
    let mut unlocked = None;
    if options.reader {
        let keystore = building.join(&Config::load(building)?.keystore);
        let keystore = FileKeystore::stand_in(&keystore);
        let (worker, secret) = (&options.worker, &options.secret);
        let (_, made) = Vault::create(&vault_file(building), worker, secret, &keystore)?;
        make(StoreKind::Reader, &reader_file(building), Some(made.key()))?;
        unlocked = Some(made);
    } else {
        let relay = relay_file(building);
        files::replace(&relay, b"").map_err(failed("write", &relay))?;
    }
    let home = Home::open(building)?;
    let unlocked = unlocked.as_ref();
    let mut offline = Offline::start(home.node_config(unlocked)?, home.open_stores(unlocked)?);
    let command = Command::Init { label: options.label.clone() };
    let reply = offline.call(command).map_err(|error| HomeError::Keys(Box::new(error)))?;
    match reply {
        Reply::Request { request } => Ok(request),
        Reply::Error(error) => Err(error.into()),
        _ => Err(HomeError::Keys(Box::new(OfflineError::NoReply))),
    }
}

/// Gives the finished home its place.
fn publish(building: &Path, path: &Path) -> Result<(), HomeError> {
    refuse_occupied(path)?;
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", path)(error));
        }
        _ => {}
    }
    files::sync_parent(&carrier_file(building)).map_err(failed("write", building))?;
    fs::rename(building, path).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            HomeError::Exists(path.to_owned())
        }
        _ => failed("make", path)(error),
    })?;
    files::sync_parent(path).map_err(failed("make", path))
}
