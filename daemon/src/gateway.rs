//! What a gateway's facility receives, and where: a directory ([`Directory`]) or a FHIR R4 server
//! ([`Server`]).
//!
//! A facility is used by one thread, which may wait for it. What holds for both:
//!
//! - When [`Facility::deliver`] returns `Ok`, the facility durably has all of it but what the
//!   answers say.
//! - Delivering again what was delivered changes nothing, whatever moment a process ended at.
//!
//! It deliberately does not look into what resources mean: what is valid was decided when they were
//! recorded.

mod directory;
mod server;
mod setting;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use huza_crdt::{
    id::{Head, RecordId},
    node::{Answer, Outgoing},
};

pub use directory::{Directory, RESOURCES_FILE};
pub use server::Server;
pub use setting::{FacilitySetting, ServerSetting};

/// Code with which a resource is refused here that is over the limit or has no usable key (as HTTP's
/// "Unprocessable Content").
pub const REFUSED_UNUSABLE: u16 = 422;

/// Key of a resource -> what became of it, if it was not simply taken.
pub type Answers = BTreeMap<String, Answer>;

/// Record -> changes that count here.
pub type Known = BTreeMap<RecordId, BTreeSet<Head>>;

/// Why a facility could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacilityError {
    /// Another gateway writes there.
    #[error("{} is in use by another gateway; give each its own directory", .0.display())]
    InUse(PathBuf),
    /// The disk is full.
    #[error("the disk of {} is full; free some space there", path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be read or written otherwise.
    #[error("cannot use {}; see that it exists and is yours to write", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file with a secret or a certificate says nothing that can be used.
    #[error("{} holds no {what}; put one there", path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Nobody answers, or not as HTTP.
    #[error("the server does not answer; see that it runs, and that this machine reaches it")]
    Unreachable(#[source] Box<ureq::Error>),
    /// It does not let us in.
    #[error(
        "the server answers {0}, so the token, password or certificate is wrong or expired, or may not write; mend what `[facility]` in huza.toml names"
    )]
    Denied(u16),
    /// It cannot serve now.
    #[error("the server answers {status} and is given time; if it stays so, see its log")]
    Busy {
        /// Its code, as HTTP has them.
        status: u16,
        /// Seconds for which it wants to be left alone.
        retry_after: Option<u64>,
    },
    /// It answers something else than FHIR.
    #[error("the server's answer is none of a FHIR R4 server ({0}); see that `url` is its base")]
    Odd(&'static str),
}

impl FacilityError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// A facility, open for this process.
#[derive(Debug)]
pub enum Facility {
    /// A directory.
    Directory(Directory),
    /// A FHIR server.
    Server(Box<Server>),
}

impl Facility {
    /// Opens it.
    ///
    /// # Errors
    /// If a directory is in use or cannot be written, or a file that the setting names cannot be read.
    pub fn open(setting: &FacilitySetting) -> Result<Self, FacilityError> {
        Ok(match setting {
            FacilitySetting::Directory(path) => Self::Directory(Directory::open(path)?),
            FacilitySetting::Server(setting) => Self::Server(Box::new(Server::open(setting)?)),
        })
    }

    /// Gives it `resources`, durably; `known`: the changes of their records that count here.
    ///
    /// # Errors
    /// If something could not be done now. Nothing is lost; deliver the same again.
    pub fn deliver(
        &mut self,
        resources: &[Outgoing],
        known: &Known,
    ) -> Result<Answers, FacilityError> {
        match self {
            Self::Directory(directory) => directory.deliver(resources),
            Self::Server(server) => server.deliver(resources, known),
        }
    }
}

/// A resource that no facility is asked about.
fn unusable() -> Answer {
    let why = "it is too long, or its key or text cannot be sent".to_owned();
    Answer::Refused { code: REFUSED_UNUSABLE, why }
}
