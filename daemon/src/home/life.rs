//! A token that a copy or a restored backup of a home does not bring along.
//!
//! It is a hash over the machine's id (`/etc/machine-id`, where there is one) and over what the
//! file system says of `carrier.redb` beyond its content: its inode and the moment it was made, or
//! the device it is on where that moment is not recorded. Copying a home, unpacking a backup and
//! moving the card to another machine all change it.
//!
//! What it does **not** notice: a backup written back *into* the same file, an image of the whole
//! disk put back on the same machine, and a virtual machine reset to a snapshot. Then the peers
//! notice: they know more of this device's logs than it does itself (`docs/architecture.md`).
//! What it notices needlessly: a home moved to another file system. That costs a new incarnation,
//! nothing else. The device's number alone would do so at many starts, because some file systems
//! are numbered anew each time they are mounted; hence the moment of making comes first.

use std::{fs, io, path::Path, time::UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

/// The token of the file at `carrier`.
pub(crate) fn token(carrier: &Path) -> io::Result<[u8; 16]> {
    let found = fs::metadata(carrier)?;
    let mut hash = Sha256::new();
    hash.update(b"huza life 1\0");
    for part in [machine(), identity(&found)] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    Ok(core::array::from_fn(|i| hash.get(i).copied().unwrap_or_default()))
}

fn machine() -> Vec<u8> {
    let id = fs::read("/etc/machine-id").unwrap_or_default();
    id.trim_ascii().to_vec()
}

fn identity(found: &fs::Metadata) -> Vec<u8> {
    let made = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let place = match made {
        Some(made) => made.as_nanos().to_le_bytes().to_vec(),
        None => device(found),
    };
    [inode(found), place].concat()
}

#[cfg(unix)]
fn inode(found: &fs::Metadata) -> Vec<u8> {
    std::os::unix::fs::MetadataExt::ino(found).to_le_bytes().to_vec()
}

#[cfg(unix)]
fn device(found: &fs::Metadata) -> Vec<u8> {
    std::os::unix::fs::MetadataExt::dev(found).to_le_bytes().to_vec()
}

#[cfg(not(unix))]
fn inode(_found: &fs::Metadata) -> Vec<u8> {
    Vec::new()
}

#[cfg(not(unix))]
fn device(_found: &fs::Metadata) -> Vec<u8> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_home_keeps_its_token_and_a_copy_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, b"content").unwrap();
        let before = token(&one).unwrap();
        assert_eq!(token(&one).unwrap(), before);
        fs::copy(&one, &two).unwrap();
        assert_ne!(token(&two).unwrap(), before);
        fs::write(&one, b"more content").unwrap();
        let moved = dir.path().join("moved");
        fs::rename(&one, &moved).unwrap();
        assert_eq!(token(&moved).unwrap(), before);
    }
}
