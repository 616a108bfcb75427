//! Packing of changes for their place inside an envelope: what the context gives is left out and
//! restored bit by bit.
//!
//! Left out: magic, checksum, chunk type and length; the author's actor (it follows from the
//! [`Origin`]); the seq (always 1); genesis among the dependencies and its actor among the other
//! actors (they are constants).
//!
//! ```text
//! flags      1 byte: 1 genesis is a dependency, 2 genesis' actor is named,
//!                    4 other dependencies follow, 8 other actors follow
//! [4] n uleb, n * 32 bytes      dependencies other than genesis
//! start op uleb | time sleb | message length uleb, message
//! [8] n uleb, n * (length uleb, actor)
//! tail       column specifications and columns, as in the chunk
//! ```

use super::CHANGE_BYTES_MAX;
use super::chunk::{self, Body, ChunkError, Reader, put_prefixed, put_sleb, put_uleb};
use super::genesis::{GENESIS_ACTOR, genesis_hash};
use crate::id::Origin;

const GENESIS_DEP: u8 = 1;
const GENESIS_NAMED: u8 = 2;
const OTHER_DEPS: u8 = 4;
const OTHER_ACTORS: u8 = 8;

/// Why a change could not be packed or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes are no raw change.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The change is not one that this origin may write (actor or seq differ), or is spelled in a
    /// way that cannot be restored.
    #[error("change does not follow from its origin")]
    NotOfOrigin,
    /// The packed bytes end early, have unknown flags, or are another spelling.
    #[error("malformed packed change")]
    Malformed,
}

/// Packs the raw bytes of a change written at `origin`.
///
/// # Errors
/// If `raw` is not a change of this origin that [`unpack`] would restore exactly.
pub fn pack(origin: Origin, raw: &[u8]) -> Result<Vec<u8>, PackError> {
    let out = write(&chunk::parse(raw)?);
    if unpack(origin, &out)? == raw { Ok(out) } else { Err(PackError::NotOfOrigin) }
}

/// Restores the raw bytes of a change that [`pack`] packed at the same origin.
///
/// # Errors
/// If the bytes are malformed or longer than [`CHANGE_BYTES_MAX`]. That the result is a change
/// worth applying is checked by [`super::Document`], not here.
pub fn unpack(origin: Origin, packed: &[u8]) -> Result<Vec<u8>, PackError> {
    if packed.len() > CHANGE_BYTES_MAX {
        return Err(ChunkError::TooLong(packed.len()).into());
    }
    let actor = origin.actor();
    let body = read(packed, &actor).ok_or(PackError::Malformed)?;
    let raw = chunk::assemble(&body);
    if raw.len() > CHANGE_BYTES_MAX {
        return Err(ChunkError::TooLong(raw.len()).into());
    }
    Ok(raw)
}

/// Writes all of `body` but its actor and seq.
pub(super) fn write(body: &Body<'_>) -> Vec<u8> {
    let genesis = genesis_hash();
    let deps: Vec<_> = body.deps.iter().filter(|dep| **dep != genesis).collect();
    let others: Vec<_> = body.others.iter().filter(|actor| **actor != GENESIS_ACTOR).collect();
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let mut out = vec![
        flag(deps.len() != body.deps.len(), GENESIS_DEP)
            | flag(others.len() != body.others.len(), GENESIS_NAMED)
            | flag(!deps.is_empty(), OTHER_DEPS)
            | flag(!others.is_empty(), OTHER_ACTORS),
    ];
    if !deps.is_empty() {
        put_uleb(&mut out, deps.len() as u64);
        deps.iter().for_each(|dep| out.extend(**dep));
    }
    put_uleb(&mut out, body.start_op);
    put_sleb(&mut out, body.time);
    put_prefixed(&mut out, body.message);
    if !others.is_empty() {
        put_uleb(&mut out, others.len() as u64);
        others.iter().for_each(|actor| put_prefixed(&mut out, actor));
    }
    out.extend(body.tail);
    out
}

/// The inverse of [`write`], for the author `actor`.
pub(super) fn read<'a>(packed: &'a [u8], actor: &'a [u8; 16]) -> Option<Body<'a>> {
    let mut reader = Reader(packed);
    let flags = reader.byte()?;
    if flags > GENESIS_DEP | GENESIS_NAMED | OTHER_DEPS | OTHER_ACTORS {
        return None;
    }
    let mut deps = Vec::new();
    if flags & OTHER_DEPS != 0 {
        deps = reader.list(|reader| reader.array::<32>()).filter(|deps| !deps.is_empty())?;
    }
    if deps.contains(&genesis_hash()) || !deps.is_sorted_by(|a, b| a < b) {
        return None;
    }
    if flags & GENESIS_DEP != 0 {
        deps.push(genesis_hash());
        deps.sort_unstable();
    }
    let start_op = reader.uleb()?;
    let time = reader.sleb()?;
    let message = reader.prefixed()?;
    let mut others: Vec<&[u8]> = Vec::new();
    if flags & OTHER_ACTORS != 0 {
        others = reader.list(Reader::prefixed).filter(|others| !others.is_empty())?;
    }
    if others.contains(&GENESIS_ACTOR.as_slice()) || !others.is_sorted_by(|a, b| a < b) {
        return None;
    }
    if flags & GENESIS_NAMED != 0 {
        others.push(&GENESIS_ACTOR);
        others.sort_unstable();
    }
    Some(Body { deps, actor, seq: 1, start_op, time, message, others, tail: reader.rest() })
}
