//! The vault as bytes.
//!
//! ```text
//! "huza vault 1\n"      13 bytes
//! content               postcard (`huza_crdt::codec`): id, slots, recovery, one-time key
//! checksum              SHA-256 over everything before it: tells damage from a wrong secret, and
//!                       is no protection against somebody who changes the file on purpose
//! ```

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use huza_crdt::{codec, crypto::SealingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{VaultError, WORKERS_MAX, recovery::Recovery, slot::Slot};
use crate::home::files;

const MAGIC: &[u8] = b"huza vault 1\n";
const FAMILY: &[u8] = b"huza vault ";
const CHECKSUM_BYTES: usize = 32;

/// Longest vault that is read. // sixteen slots and eight recoveries take about 4 kB
const VAULT_BYTES_MAX: u64 = 65_536;

/// Everything in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    /// Random; bound to every slot, so that slots of two vaults cannot be exchanged.
    pub(super) id: [u8; 16],
    pub(super) slots: Vec<Slot>,
    pub(super) recovery: Option<Recovery>,
    /// The one-time key of a recovery that was asked for.
    pub(super) asked: Option<SealingKey>,
}

pub(super) fn load(path: &Path) -> Result<Content, VaultError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => VaultError::Missing,
        _ => VaultError::Io(error),
    })?;
    // An open slot is in the clear.
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(VAULT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Content, VaultError> {
    let other_version = bytes.starts_with(FAMILY) && !bytes.starts_with(MAGIC);
    if other_version {
        return Err(VaultError::Version);
    }
    let content = bytes.len().checked_sub(CHECKSUM_BYTES).and_then(|at| {
        let (signed, checksum) = bytes.split_at_checked(at)?;
        let same = Sha256::digest(signed).as_slice() == checksum;
        let body = signed.strip_prefix(MAGIC).filter(|_| same)?;
        codec::decode::<Content>(body).ok()
    });
    let fair = |content: &Content| {
        !content.slots.is_empty()
            && content.slots.len() <= WORKERS_MAX
            && content.slots.iter().all(Slot::is_fair)
    };
    content.filter(fair).ok_or(VaultError::Damaged)
}

pub(super) fn save(path: &Path, content: &Content) -> Result<(), VaultError> {
    let body = Zeroizing::new(codec::encode(content));
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + body.len() + CHECKSUM_BYTES));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&body);
    let checksum = Sha256::digest(&*bytes);
    bytes.extend_from_slice(&checksum);
    Ok(files::replace(path, &bytes)?)
}
