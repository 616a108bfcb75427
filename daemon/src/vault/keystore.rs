//! The factor that goes with a PIN: something that does not leave the device.
//!
//! A PIN has few digits; whoever can try them elsewhere has them all in minutes. So it counts only
//! together with a factor that a keystore keeps: Android's, or a TPM. [`Keystore`] is where one is
//! plugged in. [`FileKeystore`] is a stand-in, and says so wherever it can be seen.

use core::fmt;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use huza_crdt::crypto::SymmetricKey;
use zeroize::Zeroizing;

use super::slot::SALT_BYTES;
use crate::home::files;

/// Why a keystore does not give its factor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// It never had it, or lost it.
    #[error(
        "this device's keystore does not hold the factor that goes with the PIN; the vault belongs \
         to another device, or the keystore was cleared: ask for a recovery"
    )]
    Missing,
    /// It refused or failed otherwise.
    #[error("the keystore failed")]
    Io(#[source] io::Error),
    /// No random numbers.
    #[error("the system gives no random numbers; without them no key is safe")]
    Entropy(#[source] getrandom::Error),
}

/// Keeps a secret that programs can use and not take away.
pub trait Keystore: fmt::Debug + Send + Sync {
    /// What it is, for people, such as "the phone's keystore (hardware)".
    fn describe(&self) -> String;

    /// Whether hardware keeps the secret, so that a copy of all files does not have it.
    fn is_hardware(&self) -> bool;

    /// Sees to it that there is a secret.
    ///
    /// # Errors
    /// If none can be made.
    fn enrol(&self) -> Result<(), KeystoreError>;

    /// 32 bytes that follow from the secret and `salt`, always the same, as from a keyed hash.
    ///
    /// # Errors
    /// [`KeystoreError::Missing`] if there is no secret.
    fn factor(&self, salt: &[u8; SALT_BYTES]) -> Result<Zeroizing<[u8; 32]>, KeystoreError>;
}

/// A stand-in for a keystore: **a file, and no hardware**. Whoever copies the file along with the
/// vault has the factor, and the PIN is then worth what its digits are worth. For development, and
/// until a phone's keystore is plugged in; keep the file where backups and copies of the home do
/// not reach.
pub struct FileKeystore {
    path: PathBuf,
}

impl FileKeystore {
    /// The stand-in whose secret is in the file at `path`.
    #[must_use]
    pub fn stand_in(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn read(&self) -> Result<SymmetricKey, KeystoreError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeystoreError::Missing);
            }
            Err(error) => return Err(KeystoreError::Io(error)),
        };
        let secret = bytes.as_slice().try_into().map_err(|_length| KeystoreError::Missing)?;
        Ok(SymmetricKey::from_bytes(secret))
    }
}

impl fmt::Debug for FileKeystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKeystore(stand-in, not hardware: {})", self.path.display())
    }
}

impl Keystore for FileKeystore {
    fn describe(&self) -> String {
        format!(
            "a stand-in for a keystore, which is the file {} and not hardware: whoever copies it \
             with the vault needs only the PIN",
            self.path.display()
        )
    }

    fn is_hardware(&self) -> bool {
        false
    }

    fn enrol(&self) -> Result<(), KeystoreError> {
        match self.read() {
            Err(KeystoreError::Missing) if !self.path.exists() => {}
            other => return other.map(drop),
        }
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(KeystoreError::Entropy)?;
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = files::private(options.write(true).create_new(true)).open(&self.path)?;
            file.write_all(secret.as_slice())?;
            file.sync_all()?;
            files::sync_parent(&self.path)
        };
        write().map_err(KeystoreError::Io)
    }

    fn factor(&self, salt: &[u8; SALT_BYTES]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        let factor = self.read()?.derive("huza keystore factor 1", salt);
        Ok(Zeroizing::new(*factor.expose()))
    }
}
