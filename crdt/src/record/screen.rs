//! The checks of a change from outside that need nothing but the change itself. They come before
//! Automerge sees it.

use std::collections::{BTreeMap, BTreeSet};

use automerge::Change;

use super::chunk::{self, ChunkError};
use super::edit::{self, Key};
use super::genesis::{GENESIS_ACTOR, GENESIS_HASH};
use super::{CHANGE_DEPS_MAX, CHANGE_OPS_MAX, WORKER_BYTES_MAX, ops};
use crate::id::Origin;

/// Why a change was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum SetAsideReason {
    /// Not a raw change.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// Its actor or seq is not the one that follows from its origin.
    #[error("change does not follow from its origin")]
    NotOfOrigin,
    /// Another change of the same origin counts (the one with the lower hash).
    #[error("a second change of one origin")]
    Duplicate,
    /// It has no dependency, or too many, or too many actors.
    #[error("bad number of dependencies or actors")]
    Dependencies,
    /// Something else than strings put under keys of the four maps, or over a limit.
    #[error("content of a kind or size that records do not have")]
    Content,
    /// The worker's name is too long or no text.
    #[error("bad name of worker")]
    Worker,
    /// Its first operation number does not follow its dependencies.
    #[error("operation numbers do not follow the dependencies")]
    Numbering,
    /// It replaces something else than what its dependencies show.
    #[error("replaces something its dependencies do not show")]
    Replaces,
    /// Automerge refused it although all checks passed.
    #[error("refused by automerge")]
    Refused,
}

/// A change that passed all checks that need no other change.
#[derive(Debug, Clone)]
pub(super) struct Screened {
    pub(super) origin: Origin,
    pub(super) worker: String,
    pub(super) change: Change,
    /// What it says it replaces, per key; empty if it depends on genesis alone.
    pub(super) replaces: BTreeMap<Key, BTreeSet<OpRef>>,
}

/// Number and actor of an operation.
pub(super) type OpRef = (u64, [u8; 16]);

/// The checks that need nothing but the change itself.
pub(super) fn screen(origin: Origin, raw: &[u8]) -> Result<Screened, SetAsideReason> {
    let body = chunk::parse(raw)?;
    if body.actor != origin.actor() || body.seq != 1 {
        return Err(SetAsideReason::NotOfOrigin);
    }
    let actors_fit = body.others.iter().all(|actor| actor.len() == GENESIS_ACTOR.len());
    if body.deps.is_empty() || body.deps.len() > CHANGE_DEPS_MAX || !actors_fit {
        return Err(SetAsideReason::Dependencies);
    }
    if body.message.len() > WORKER_BYTES_MAX {
        return Err(SetAsideReason::Worker);
    }
    let worker = core::str::from_utf8(body.message).map_err(|_| SetAsideReason::Worker)?;
    let numbers_fit = (1..=u64::from(u32::MAX) - CHANGE_OPS_MAX as u64).contains(&body.start_op);
    if !numbers_fit {
        return Err(SetAsideReason::Numbering);
    }
    let replaces = read_ops(&body).ok_or(SetAsideReason::Content)?;
    let new_only = body.deps == [GENESIS_HASH];
    if new_only && replaces.values().any(|ops| !ops.is_empty()) {
        return Err(SetAsideReason::Replaces);
    }
    let change = Change::try_from(raw).map_err(|_| ChunkError::Malformed)?;
    Ok(Screened {
        origin,
        worker: worker.to_owned(),
        change,
        replaces: if new_only { BTreeMap::new() } else { replaces },
    })
}

/// What each key's put replaces; `None` if the content is not allowed.
fn read_ops(body: &chunk::Body<'_>) -> Option<BTreeMap<Key, BTreeSet<OpRef>>> {
    let actors: Vec<[u8; 16]> = core::iter::once(body.actor)
        .chain(body.others.iter().copied())
        .map(|actor| actor.try_into().ok())
        .collect::<Option<_>>()?;
    let genesis = actors.iter().position(|actor| *actor == GENESIS_ACTOR)?;
    let mut replaces = BTreeMap::new();
    for put in ops::read(body.tail, genesis)? {
        if !edit::key_fits(put.key) || !edit::value_fits(put.value) {
            return None;
        }
        let ops = put
            .preds
            .iter()
            .map(|(number, actor)| Some((*number, *actors.get(*actor)?)))
            .collect::<Option<BTreeSet<_>>>()?;
        // A key put twice in one change would leave a conflict of a change with itself.
        if ops.len() != put.preds.len()
            || replaces.insert((put.root, put.key.to_owned()), ops).is_some()
        {
            return None;
        }
    }
    Some(replaces)
}
