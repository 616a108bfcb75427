//! Automerge's change chunk, read and written by hand.
//!
//! Needed because packing must restore a change bit by bit, and because a change from outside is
//! looked through before Automerge sees it. Source: Automerge binary format, "change chunks"
//! (<https://alexjg.github.io/automerge-storage-docs/>), as automerge 0.12 writes it.
//!
//! ```text
//! 85 6f 4a 83 | first 4 bytes of sha256(type, length, body) | type 01 | length uleb | body
//! body = n uleb, n * 32 bytes of dependencies (sorted) | actor | seq uleb | start op uleb
//!      | time sleb | message | n uleb, n * actor (others, sorted) | tail
//! actor, message = length uleb, bytes      tail = column specifications, columns, extra bytes
//! ```

use sha2::{Digest as _, Sha256};

use super::{CHANGE_BYTES_MAX, CHANGE_DEPS_MAX};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const TYPE_CHANGE: u8 = 1;

/// Why bytes are no raw change chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The bytes end early or hold a value out of its range.
    #[error("malformed change")]
    Malformed,
    /// The chunk is a document, a bundle, or compressed.
    #[error("not a raw change chunk")]
    NotRaw,
    /// The checksum does not belong to the content.
    #[error("wrong checksum")]
    Checksum,
    /// Longer than [`CHANGE_BYTES_MAX`].
    #[error("change of {0} bytes exceeds the limit")]
    TooLong(usize),
}

/// The parts of a change chunk; borrowed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    pub(crate) deps: Vec<[u8; 32]>,
    pub(crate) actor: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) start_op: u64,
    pub(crate) time: i64,
    pub(crate) message: &'a [u8],
    pub(crate) others: Vec<&'a [u8]>,
    pub(crate) tail: &'a [u8],
}

crate::debug_shows!(struct Body<'_> { seq, start_op, time });

/// Reads a raw change chunk and checks its length and checksum.
pub(crate) fn parse(raw: &[u8]) -> Result<Body<'_>, ChunkError> {
    if raw.len() > CHANGE_BYTES_MAX {
        return Err(ChunkError::TooLong(raw.len()));
    }
    let mut reader = Reader(raw);
    let magic = reader.array::<4>().ok_or(ChunkError::Malformed)?;
    let checksum = reader.array::<4>().ok_or(ChunkError::Malformed)?;
    let kind = reader.byte().ok_or(ChunkError::Malformed)?;
    if magic != MAGIC || kind != TYPE_CHANGE {
        return Err(ChunkError::NotRaw);
    }
    let length = reader.length().ok_or(ChunkError::Malformed)?;
    let data = reader.rest();
    if data.len() != length {
        return Err(ChunkError::Malformed);
    }
    if !hash_body(data).starts_with(&checksum) {
        return Err(ChunkError::Checksum);
    }
    parse_body(data).ok_or(ChunkError::Malformed)
}

fn parse_body(data: &[u8]) -> Option<Body<'_>> {
    let mut reader = Reader(data);
    let deps = reader.list(|reader| reader.array::<32>())?;
    let actor = reader.prefixed()?;
    let seq = reader.uleb()?;
    let start_op = reader.uleb()?;
    let time = reader.sleb()?;
    let message = reader.prefixed()?;
    let others = reader.list(Reader::prefixed)?;
    Some(Body { deps, actor, seq, start_op, time, message, others, tail: reader.rest() })
}

/// Writes the chunk of `body`: the inverse of [`parse`].
pub(crate) fn assemble(body: &Body<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(body.tail.len() + 128);
    put_uleb(&mut data, body.deps.len() as u64);
    body.deps.iter().for_each(|dep| data.extend(dep));
    put_prefixed(&mut data, body.actor);
    put_uleb(&mut data, body.seq);
    put_uleb(&mut data, body.start_op);
    put_sleb(&mut data, body.time);
    put_prefixed(&mut data, body.message);
    put_uleb(&mut data, body.others.len() as u64);
    body.others.iter().for_each(|actor| put_prefixed(&mut data, actor));
    data.extend(body.tail);
    let hash = hash_body(&data);
    let mut raw = Vec::with_capacity(data.len() + 16);
    raw.extend(MAGIC);
    raw.extend(hash.iter().take(4));
    raw.push(TYPE_CHANGE);
    put_uleb(&mut raw, data.len() as u64);
    raw.extend(data);
    raw
}

fn hash_body(data: &[u8]) -> [u8; 32] {
    let mut head = vec![TYPE_CHANGE];
    put_uleb(&mut head, data.len() as u64);
    Sha256::new().chain_update(head).chain_update(data).finalize().into()
}

/// Writes an unsigned LEB128 number.
pub(crate) fn put_uleb(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Writes a signed LEB128 number.
pub(crate) fn put_sleb(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        let done = (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0);
        if done {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Writes bytes with their length in front.
pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uleb(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Reads from the front of a slice; every method gives `None` where the bytes do not suffice or
/// are not in shortest form.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// A number that fits a `usize` and does not exceed what a change may hold.
    pub(crate) fn length(&mut self) -> Option<usize> {
        let value = usize::try_from(self.uleb()?).ok()?;
        (value <= CHANGE_BYTES_MAX).then_some(value)
    }

    pub(crate) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    pub(crate) fn list<T>(&mut self, one: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.length()?;
        if count > CHANGE_DEPS_MAX {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }

    pub(crate) fn uleb(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                let shortest = shift == 0 || byte != 0;
                return shortest.then_some(value);
            }
        }
        None
    }

    pub(crate) fn sleb(&mut self) -> Option<i64> {
        let start = self.0;
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if shift < 57 && byte & 0x40 != 0 {
                    value |= -1 << (shift + 7);
                }
                // Shortest form, checked by writing it again.
                let mut again = Vec::with_capacity(10);
                put_sleb(&mut again, value);
                return start
                    .starts_with(&again)
                    .then_some(value)
                    .filter(|_| again.len() == start.len() - self.0.len());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_uleb(&mut out, unsigned);
            put_sleb(&mut out, signed);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.uleb(), Some(unsigned));
            prop_assert_eq!(reader.sleb(), Some(signed));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn junk_is_an_error(bytes: Vec<u8>) {
            prop_assert!(parse(&bytes).is_err());
            let mut framed = MAGIC.to_vec();
            framed.extend(&hash_body(&bytes)[..4]);
            framed.push(TYPE_CHANGE);
            put_uleb(&mut framed, bytes.len() as u64);
            framed.extend(&bytes);
            if let Ok(body) = parse(&framed) {
                prop_assert_eq!(assemble(&body), framed);
            }
        }
    }

    #[test]
    fn long_spellings_are_refused() {
        assert_eq!(Reader(&[0x80, 0x00]).uleb(), None);
        assert_eq!(Reader(&[0xff, 0x7f]).sleb(), None);
        assert_eq!(Reader(&[0x80; 11]).uleb(), None);
        assert_eq!(Reader(&[0x7f]).sleb(), Some(-1));
    }
}
