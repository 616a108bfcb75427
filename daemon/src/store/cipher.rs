//! Encryption of a store's file, below redb: AES-256-XTS, page by page, in place.
//!
//! Enter at [`Encrypted::new`], over any other [`StorageBackend`]. What holds:
//!
//! - The file is as long as a plain one, and byte `n` of the one is byte `n` of the other: a torn
//!   write leaves what it would leave of a plain file, which is what redb recovers from. XTS is
//!   deterministic, so a block that is written again with the same content does not change; a
//!   cipher with a fresh nonce for each page would lose the untouched half of a torn header.
//! - The tweak is the number of the 4,096-byte page, and within it the number of the 16-byte
//!   block (IEEE 1619-2018 with data units of 4,096 bytes). Writes that do not begin or end at a
//!   block are read, changed and written back.
//! - A block of zeros on the disk reads as zeros, because redb relies on that after growing. No
//!   other block can be taken for one: if a block should ever encrypt to zeros (once in 2^128),
//!   the write fails instead.
//! - Lengths, syncs and all locks go to the backend below untouched.
//!
//! What it deliberately does not do: notice a change. XTS has no tags, so whoever can write the
//! file can put old blocks back or turn a block into noise; records inside carry signatures of
//! their own. And it knows no wrong key: whoever opens checks that first (`crate::vault`).

use std::{fmt, io, ops::Bound};

use redb::{BackendError, StorageBackend};
use zeroize::{Zeroize as _, Zeroizing};

use super::xts::{BLOCK_BYTES, Direction, PAGE_BYTES, Xts};

/// Bytes of a [`FileKey`]: two keys of AES-256, for the data and for the tweak.
pub const FILE_KEY_BYTES: usize = 64;

/// What the first bytes of a redb file are. // redb: docs/design.md, "magic number"
const REDB_MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// The key of one file. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

impl FileKey {
    /// The key with these bytes, which must be random.
    #[must_use]
    pub fn from_bytes(bytes: &Zeroizing<[u8; FILE_KEY_BYTES]>) -> Self {
        Self(bytes.clone())
    }

    /// Its bytes, for wrapping.
    #[must_use]
    pub fn expose(&self) -> &[u8; FILE_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

/// A backend whose bytes are encrypted on `B`.
pub struct Encrypted<B> {
    below: B,
    xts: Xts,
}

impl<B: fmt::Debug> fmt::Debug for Encrypted<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("below", &self.below).finish_non_exhaustive()
    }
}

impl<B: StorageBackend> Encrypted<B> {
    /// Encrypts on `below` with `key`.
    #[must_use]
    pub fn new(below: B, key: &FileKey) -> Self {
        Self { below, xts: Xts::new(key.expose()) }
    }

    /// Whether what `below` holds begins as a store does under this key. `false` means another
    /// key or no store; an empty backend has nothing to say and is `true`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn opens(&self) -> io::Result<bool> {
        if self.below.len()? == 0 {
            return Ok(true);
        }
        let mut found = [0; REDB_MAGIC.len()];
        match self.read(0, &mut found) {
            Ok(()) => Ok(found == REDB_MAGIC),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads whole blocks from `offset`, which begins one, and decrypts them.
    fn read_blocks(&self, offset: u64, blocks: &mut [u8]) -> io::Result<()> {
        self.below.read(offset, blocks)?;
        for (page, first, part) in pages(offset, blocks) {
            // Decrypting cannot fail.
            let _fine = self.xts.apply(Direction::Decrypt, page, first, part);
        }
        Ok(())
    }

    /// Encrypts whole blocks in place and writes them at `offset`, which begins one.
    fn write_blocks(&self, offset: u64, blocks: &mut [u8]) -> io::Result<()> {
        for (page, first, part) in pages(offset, blocks) {
            if !self.xts.apply(Direction::Encrypt, page, first, part) {
                return Err(io::Error::other("a block would read as empty; write it differently"));
            }
        }
        self.below.write(offset, blocks)
    }

    /// The blocks that cover `len` bytes from `offset`: where they begin, and how many bytes of
    /// them lie before and behind.
    fn cover(offset: u64, len: usize) -> io::Result<Cover> {
        let block = BLOCK_BYTES as u64;
        let before = offset % block;
        let end = offset.checked_add(len as u64).ok_or(io::ErrorKind::InvalidInput)?;
        let behind = end.next_multiple_of(block) - end;
        let total = before + len as u64 + behind;
        let size = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
        Ok(Cover { start: offset - before, before: size(before)?, total: size(total)? })
    }

    /// Reads the block at `start` into `into`; zeros if the file ends before it.
    fn fill_block(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        if start.saturating_add(BLOCK_BYTES as u64) <= self.below.len()? {
            self.read_blocks(start, into)?;
        }
        Ok(())
    }
}

/// Some blocks, and where in them something begins.
struct Cover {
    start: u64,
    before: usize,
    total: usize,
}

/// Cuts whole blocks from `offset` into pages: number, first block within it, bytes.
fn pages(offset: u64, blocks: &mut [u8]) -> impl Iterator<Item = (u64, usize, &mut [u8])> {
    let page_bytes = PAGE_BYTES as u64;
    let (mut at, mut rest) = (offset, blocks);
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let within = usize::try_from(at % page_bytes).unwrap_or_default();
        let here = (PAGE_BYTES - within).min(rest.len());
        let (part, behind) = core::mem::take(&mut rest).split_at_mut(here);
        let page = at / page_bytes;
        (at, rest) = (at.saturating_add(here as u64), behind);
        Some((page, within / BLOCK_BYTES, part))
    })
}

impl<B: StorageBackend> StorageBackend for Encrypted<B> {
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let cover = Self::cover(offset, out.len())?;
        if cover.total == out.len() {
            return self.read_blocks(offset, out);
        }
        let mut blocks = Zeroizing::new(vec![0; cover.total]);
        self.read_blocks(cover.start, &mut blocks)?;
        let found = blocks.get(cover.before..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(found.unwrap_or_default());
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.below.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.below.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let cover = Self::cover(offset, data.len())?;
        let whole = cover.total == data.len();
        let mut blocks = if whole { data.to_vec() } else { vec![0; cover.total] };
        if !whole {
            let (first, rest) = blocks.split_at_mut(BLOCK_BYTES.min(cover.total));
            self.fill_block(cover.start, first)?;
            let last = rest.len().saturating_sub(BLOCK_BYTES);
            if let Some(last_block) = rest.get_mut(last..).filter(|block| !block.is_empty()) {
                let behind = cover.start + (cover.total - BLOCK_BYTES) as u64;
                self.fill_block(behind, last_block)?;
            }
        }
        let place = blocks.get_mut(cover.before..).and_then(|rest| rest.get_mut(..data.len()));
        if let Some(place) = place.filter(|_| !whole) {
            place.copy_from_slice(data);
        }
        let written = self.write_blocks(cover.start, &mut blocks);
        if written.is_err() {
            // It may hold plaintext still.
            blocks.zeroize();
        }
        written
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::faulty::Disk;

    fn key(byte: u8) -> FileKey {
        FileKey::from_bytes(&Zeroizing::new(core::array::from_fn(|i| {
            u8::try_from(i).unwrap().wrapping_mul(7) ^ byte
        })))
    }

    fn dice(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed;
        move |limit| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % limit
        }
    }

    #[test]
    fn writes_and_reads_of_any_place_and_length_are_those_of_a_plain_disk() {
        let (plain, below) = (Disk::default(), Disk::default());
        let encrypted = Encrypted::new(below.clone(), &key(1));
        plain.set_len(40_960).unwrap();
        encrypted.set_len(40_960).unwrap();
        let mut below_limit = dice(5);
        for round in 0..2_000_usize {
            let offset = below_limit(40_000);
            let len = below_limit(if round % 3 == 0 { 700 } else { 40 });
            let len = len.min(40_960 - offset);
            let data: Vec<u8> =
                (0..len).map(|i| u8::try_from((i + round) % 251).unwrap()).collect();
            plain.write(offset as u64, &data).unwrap();
            encrypted.write(offset as u64, &data).unwrap();
            let (from, size) = (below_limit(30_000), below_limit(9_000));
            let (mut one, mut two) = (vec![0; size], vec![1; size]);
            plain.read(from as u64, &mut one).unwrap();
            encrypted.read(from as u64, &mut two).unwrap();
            assert_eq!(one, two, "round {round}");
        }
        assert_ne!(plain.image(), below.image());
        assert_eq!(plain.image().len(), below.image().len());
    }

    #[test]
    fn a_header_of_320_bytes_leaves_the_rest_of_its_page_as_it_was() {
        let below = Disk::default();
        let encrypted = Encrypted::new(below.clone(), &key(1));
        encrypted.write(0, &[7; 4_096]).unwrap();
        let before = below.image();
        encrypted.write(0, &[8; 320]).unwrap();
        let after = below.image();
        assert_eq!(before[320..], after[320..]);
        assert!((0..20).all(|block| before[block * 16..][..16] != after[block * 16..][..16]));
        encrypted.write(0, &[7; 320]).unwrap();
        assert_eq!(below.image(), before, "the same content gives the same bytes");
    }

    #[test]
    fn new_space_reads_as_zeros_and_written_zeros_do_too() {
        let below = Disk::default();
        let encrypted = Encrypted::new(below.clone(), &key(1));
        encrypted.set_len(8_192).unwrap();
        let mut read = vec![1; 8_192];
        encrypted.read(0, &mut read).unwrap();
        assert_eq!(read, vec![0; 8_192]);
        encrypted.write(4_096, &[0; 4_096]).unwrap();
        encrypted.read(0, &mut read).unwrap();
        assert_eq!(read, vec![0; 8_192]);
        let image = below.image();
        assert!(image[4_096..].chunks(16).all(|block| block.iter().any(|byte| *byte != 0)));
        assert!(encrypted.set_len(100).is_err(), "not whole blocks");
    }

    #[test]
    fn a_block_that_would_read_as_empty_is_refused() {
        let below = Disk::default();
        let encrypted = Encrypted::new(below.clone(), &key(1));
        let mut block = [0; 16];
        encrypted.xts.decrypt_even_zeros(3, 2, &mut block);
        assert_ne!(block, [0; 16]);
        assert!(encrypted.write(3 * 4_096 + 2 * 16, &block).is_err());
        assert_eq!(below.image(), Vec::<u8>::new());
        // The same content elsewhere is nothing special.
        encrypted.write(0, &block).unwrap();
    }

    #[test]
    fn pages_with_the_same_content_differ_and_so_do_keys() {
        let page = [9; 4_096];
        let image = |key: &FileKey| {
            let below = Disk::default();
            let encrypted = Encrypted::new(below.clone(), key);
            encrypted.write(0, &page).unwrap();
            encrypted.write(4_096, &page).unwrap();
            below.image()
        };
        let (one, two) = (image(&key(1)), image(&key(2)));
        assert_ne!(one[..4_096], one[4_096..]);
        assert_ne!(one, two);
        let blocks: std::collections::BTreeSet<&[u8]> = one.chunks(16).collect();
        assert_eq!(blocks.len(), 512);
    }

    #[test]
    fn nothing_prints_the_key() {
        let key = FileKey::from_bytes(&Zeroizing::new([0xab; 64]));
        let shown = format!("{key:?} {:?}", Encrypted::new(Disk::default(), &key));
        assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
    }
}
