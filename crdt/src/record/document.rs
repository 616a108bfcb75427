//! One record as one Automerge document.
//!
//! [`Document::apply`] takes changes from outside in any order. The result depends on the set of
//! changes only, not on their order: of two changes that claim one origin the one with the lower
//! hash counts, and what a change may replace is judged by its own dependencies.

use core::num::NonZeroU64;
use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Key as OpKey, ObjectId, Op, OpId, OpType};
use automerge::{
    ActorId, Automerge, AutomergeError, Change, ChangeHash, ExpandedChange, ObjId, ReadDoc as _,
    ScalarValue,
};

use super::edit::{self, Edit, EditError, Root};
use super::genesis::{GENESIS_ACTOR, GENESIS_HASH, GENESIS_MAX_OP, map_id, with_genesis};
use super::screen::{OpRef, Screened, SetAsideReason, screen};
use super::view::Value;
use super::{CHANGE_BYTES_MAX, WORKER_BYTES_MAX};
use crate::id::{Hash, Head, Origin, RecordId};
use crate::time::Stamp;

/// A change that was not applied, and why. The rest of the record goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetAside {
    /// Where it came from.
    pub origin: Origin,
    /// BLAKE3 hash of its bytes.
    pub bytes: Hash,
    /// Why.
    pub reason: SetAsideReason,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An edit is over a limit.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The worker's name is empty or longer than [`WORKER_BYTES_MAX`].
    #[error("name of worker has {0} bytes; 1 to {WORKER_BYTES_MAX} are allowed")]
    Worker(usize),
    /// The edits together exceed [`CHANGE_BYTES_MAX`]; split them (see [`super::batches`]).
    #[error("change of {0} bytes; {CHANGE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A change of this origin exists already.
    #[error("this origin has written a change already")]
    OriginUsed,
    /// The change would not be accepted by others.
    #[error("change breaks a rule of records")]
    Rule(#[source] SetAsideReason),
    /// Automerge failed.
    #[error("automerge failed")]
    Automerge(#[from] AutomergeError),
}

#[derive(Clone)]
struct Applied {
    origin: Origin,
    worker: String,
    at: Stamp,
    actor: [u8; 16],
    deps: Vec<ChangeHash>,
    max_op: u64,
}

crate::debug_shows!(struct Applied { origin, at });

/// One record. See the module for its rules.
#[derive(Clone)]
pub struct Document {
    record: RecordId,
    doc: Automerge,
    applied: BTreeMap<ChangeHash, Applied>,
    /// The change that counts for each actor: applied, waiting, or refused for good.
    claims: BTreeMap<[u8; 16], ChangeHash>,
    waiting: BTreeMap<ChangeHash, Screened>,
    set_aside: BTreeSet<SetAside>,
}

crate::debug_shows!(struct Document { set_aside });

impl Document {
    /// An empty record: genesis alone.
    #[must_use]
    pub fn new(record: RecordId) -> Self {
        Self {
            record,
            doc: with_genesis(ActorId::from(GENESIS_ACTOR)),
            applied: BTreeMap::new(),
            claims: BTreeMap::new(),
            waiting: BTreeMap::new(),
            set_aside: BTreeSet::new(),
        }
    }

    /// A record from its changes, in any order; see [`Self::apply`].
    #[must_use]
    pub fn from_changes<B: AsRef<[u8]>>(
        record: RecordId,
        changes: impl IntoIterator<Item = (Origin, B)>,
    ) -> Self {
        let mut document = Self::new(record);
        document.apply(changes);
        document
    }

    /// Applies raw changes. Those that break a rule are set aside; those whose dependencies are
    /// missing wait. Applying a change twice is harmless.
    pub fn apply<B: AsRef<[u8]>>(&mut self, changes: impl IntoIterator<Item = (Origin, B)>) {
        let mut rebuild = false;
        for (origin, raw) in changes {
            match screen(origin, raw.as_ref()) {
                Ok(screened) => rebuild |= self.claim(screened, raw.as_ref()),
                Err(reason) => self.put_aside(origin, raw.as_ref(), reason),
            }
        }
        if rebuild {
            self.rebuild();
        }
        self.settle();
    }

    /// Its id.
    #[must_use]
    pub const fn record(&self) -> RecordId {
        self.record
    }

    /// Whether the change of `origin` that counts shows in this record.
    #[must_use]
    pub fn is_applied(&self, origin: Origin) -> bool {
        self.claims.get(&origin.actor()).is_some_and(|hash| self.applied.contains_key(hash))
    }

    /// Whether the change of `origin` waits for others, and may show when they come.
    #[must_use]
    pub fn is_waiting(&self, origin: Origin) -> bool {
        self.claims.get(&origin.actor()).is_some_and(|hash| self.waiting.contains_key(hash))
    }

    /// How many changes wait for others.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many changes are applied, genesis not counted.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.applied.len()
    }

    /// The changes that were set aside, in order of origin.
    #[must_use]
    pub fn set_aside(&self) -> Vec<SetAside> {
        self.set_aside.iter().copied().collect()
    }

    /// Hashes of the latest changes, sorted: equal heads, equal content.
    #[must_use]
    pub fn heads(&self) -> Vec<[u8; 32]> {
        let mut heads: Vec<_> = self.doc.get_heads().into_iter().map(|hash| hash.0).collect();
        heads.sort_unstable();
        heads
    }

    /// What a facility calls the change of `origin`, if it shows in this record.
    #[must_use]
    pub fn head(&self, origin: Origin) -> Option<Head> {
        let hash = self.claims.get(&origin.actor())?;
        self.applied.contains_key(hash).then(|| short(*hash))
    }

    /// All changes that show in this record.
    #[must_use]
    pub fn known(&self) -> BTreeSet<Head> {
        self.applied.keys().copied().map(short).collect()
    }

    /// The changes that were made with knowledge of one of `heads`.
    #[must_use]
    pub fn after(&self, heads: &BTreeSet<Head>) -> BTreeSet<Head> {
        let knows = |(hash, applied): &(&ChangeHash, &Applied)| {
            let past = self.ancestors(&applied.deps);
            past.iter().any(|one| one != *hash && heads.contains(&short(*one)))
        };
        self.applied.iter().filter(knows).map(|(hash, _)| short(*hash)).collect()
    }

    /// Writes `edits` as one change of `origin`, claimed to be made by `worker` at `at`, and
    /// applies it. Gives its raw bytes, or `None` if everything already is as the edits say.
    ///
    /// The change depends on genesis alone if it only adds keys; where it edits, it depends on the
    /// changes that wrote the present values, and so resolves their conflict.
    ///
    /// # Errors
    /// If a limit is exceeded or the origin was used before. Nothing is applied then.
    pub fn write(
        &mut self,
        origin: Origin,
        at: Stamp,
        worker: &str,
        edits: &[Edit],
    ) -> Result<Option<Vec<u8>>, WriteError> {
        if !(1..=WORKER_BYTES_MAX).contains(&worker.len()) {
            return Err(WriteError::Worker(worker.len()));
        }
        if self.claims.contains_key(&origin.actor()) {
            return Err(WriteError::OriginUsed);
        }
        let mut deps = BTreeSet::new();
        let mut ops = Vec::new();
        for ((root, key), value) in edit::puts(edits)? {
            let current = self.doc.get_all(map_id(root), key.as_str())?;
            if !shows(&current, &value) {
                let preds: Vec<OpRef> = current.iter().filter_map(|(_, id)| op_of(id)).collect();
                deps.extend(preds.iter().filter_map(|(_, actor)| self.claims.get(actor)));
                ops.push(put_op(root, &key, value, preds));
            }
        }
        if ops.is_empty() {
            return Ok(None);
        }
        let change = self.change(origin, at, worker, &deps, ops);
        let raw = change.raw_bytes().to_vec();
        if raw.len() > CHANGE_BYTES_MAX {
            return Err(WriteError::TooLong(raw.len()));
        }
        let screened = screen(origin, &raw).map_err(WriteError::Rule)?;
        self.check(&screened).map_err(WriteError::Rule)?;
        self.apply([(origin, &raw)]);
        Ok(Some(raw))
    }

    /// Whether everything already is as an edit says.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub fn shows(&self, edit: &Edit) -> Result<bool, WriteError> {
        for ((root, key), value) in edit::puts(core::slice::from_ref(edit))? {
            if !shows(&self.doc.get_all(map_id(root), key.as_str())?, &value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The change that holds `ops` and depends on `writers`, of which those that others of them
    /// depend on are left out; on genesis if there are none.
    ///
    /// It is built by hand and not by a transaction: a transaction numbers after everything the
    /// replica happens to hold, and where a conflict is resolved for the shown value it deletes
    /// the other values instead of saying who chose.
    fn change(
        &self,
        origin: Origin,
        at: Stamp,
        worker: &str,
        writers: &BTreeSet<ChangeHash>,
        operations: Vec<Op>,
    ) -> Change {
        let past = writers.iter().filter_map(|writer| self.applied.get(writer));
        let max_op = past.clone().map(|applied| applied.max_op).max().unwrap_or(GENESIS_MAX_OP);
        let older = self.ancestors(past.flat_map(|applied| &applied.deps));
        let mut deps: Vec<_> = writers.difference(&older).copied().collect();
        if deps.is_empty() {
            deps.push(ChangeHash(GENESIS_HASH));
        }
        Change::from(ExpandedChange {
            operations,
            actor_id: ActorId::from(origin.actor()),
            hash: None,
            seq: 1,
            start_op: NonZeroU64::MIN.saturating_add(max_op),
            time: at.0,
            message: Some(worker.to_owned()),
            deps,
            extra_bytes: Vec::new(),
            author: None,
        })
    }

    /// Present values of every key of a map: the shown one first, then those in conflict with it,
    /// each value once.
    pub(super) fn entries(&self, root: Root) -> Vec<(String, Vec<Value>)> {
        let map = map_id(root);
        self.doc
            .map_range(&map, ..)
            .map(|item| {
                let key = item.key.to_string();
                let mut values = Vec::new();
                if item.conflict {
                    let all = self.doc.get_all(&map, key.as_str()).unwrap_or_default();
                    for (value, id) in all.into_iter().rev() {
                        push_distinct(&mut values, self.value_of(value, &id));
                    }
                } else {
                    let id = item.id();
                    push_distinct(&mut values, self.value_of(item.value.into_value(), &id));
                }
                (key, values)
            })
            .filter(|(_, values)| !values.is_empty())
            .collect()
    }

    fn value_of(&self, value: automerge::Value<'_>, id: &ObjId) -> Option<Value> {
        let applied = self.applied.get(&self.writer_of(id)?)?;
        Some(Value {
            value: value.into_string().ok()?,
            worker: applied.worker.clone(),
            at: applied.at,
            origin: applied.origin,
        })
    }

    fn writer_of(&self, id: &ObjId) -> Option<ChangeHash> {
        self.claims.get(&actor_of(id)?).copied()
    }

    /// `hashes` and everything they depend on, genesis excepted.
    fn ancestors<'a>(
        &self,
        hashes: impl IntoIterator<Item = &'a ChangeHash>,
    ) -> BTreeSet<ChangeHash> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<_> = hashes.into_iter().copied().collect();
        while let Some(hash) = todo.pop() {
            if let Some(applied) = self.applied.get(&hash)
                && seen.insert(hash)
            {
                todo.extend(&applied.deps);
            }
        }
        seen
    }

    /// Notes a change as the one that counts for its actor. Gives whether a change that was
    /// applied has lost its claim, so that the document must be built anew.
    fn claim(&mut self, screened: Screened, raw: &[u8]) -> bool {
        let hash = screened.change.hash();
        let actor = screened.origin.actor();
        match self.claims.get(&actor).copied() {
            Some(other) if other == hash => return false,
            Some(other) if other < hash => {
                self.put_aside(screened.origin, raw, SetAsideReason::Duplicate);
                return false;
            }
            Some(other) => {
                let loser = self.doc.get_change_by_hash(&other);
                let loser = loser.or_else(|| self.waiting.remove(&other).map(|old| old.change));
                if let Some(loser) = loser {
                    let reason = SetAsideReason::Duplicate;
                    self.put_aside(screened.origin, loser.raw_bytes(), reason);
                }
            }
            None => {}
        }
        let lost = self.claims.insert(actor, hash);
        self.waiting.insert(hash, screened);
        lost.is_some_and(|lost| self.applied.contains_key(&lost))
    }

    /// Puts every applied change that still counts back among the waiting ones.
    fn rebuild(&mut self) {
        for (hash, applied) in core::mem::take(&mut self.applied) {
            if self.claims.get(&applied.actor) == Some(&hash)
                && let Some(change) = self.doc.get_change_by_hash(&hash)
                && let Ok(screened) = screen(applied.origin, change.raw_bytes())
            {
                self.waiting.insert(hash, screened);
            }
        }
        self.doc = with_genesis(ActorId::from(GENESIS_ACTOR));
    }

    /// Applies what waits and has its dependencies, layer by layer.
    fn settle(&mut self) {
        loop {
            let ready: Vec<_> = self
                .waiting
                .iter()
                .filter(|(_, screened)| self.has_deps(&screened.change))
                .map(|(hash, _)| *hash)
                .collect();
            if ready.is_empty() {
                return;
            }
            let mut good = Vec::new();
            for hash in ready {
                let Some(screened) = self.waiting.remove(&hash) else { continue };
                match self.check(&screened) {
                    Ok(()) => good.push(screened),
                    Err(reason) => {
                        self.put_aside(screened.origin, screened.change.raw_bytes(), reason);
                    }
                }
            }
            self.apply_checked(good);
        }
    }

    fn has_deps(&self, change: &Change) -> bool {
        change.deps().iter().all(|dep| dep.0 == GENESIS_HASH || self.applied.contains_key(dep))
    }

    fn apply_checked(&mut self, good: Vec<Screened>) {
        let changes: Vec<_> = good.iter().map(|screened| screened.change.clone()).collect();
        let all_at_once = self.doc.apply_changes(changes).is_ok();
        for screened in good {
            let change = screened.change;
            if !all_at_once && self.doc.apply_changes([change.clone()]).is_err() {
                self.put_aside(screened.origin, change.raw_bytes(), SetAsideReason::Refused);
                continue;
            }
            let applied = Applied {
                origin: screened.origin,
                worker: screened.worker,
                at: Stamp(change.timestamp()),
                actor: screened.origin.actor(),
                deps: change.deps().to_vec(),
                max_op: change.max_op(),
            };
            self.applied.insert(change.hash(), applied);
        }
    }

    /// The checks that need the dependencies. They look at nothing else, so that every replica
    /// judges alike.
    fn check(&self, screened: &Screened) -> Result<(), SetAsideReason> {
        let change = &screened.change;
        let past = change.deps().iter().filter_map(|dep| self.applied.get(dep));
        let max_op = past.map(|dep| dep.max_op).max().unwrap_or(GENESIS_MAX_OP);
        if change.start_op().get() != max_op + 1 {
            return Err(SetAsideReason::Numbering);
        }
        for ((root, key), replaces) in &screened.replaces {
            let shown = self
                .doc
                .get_all_at(map_id(*root), key.as_str(), change.deps())
                .map_err(|_| SetAsideReason::Refused)?;
            let shown: BTreeSet<_> = shown.iter().filter_map(|(_, id)| op_of(id)).collect();
            if shown != *replaces {
                return Err(SetAsideReason::Replaces);
            }
        }
        Ok(())
    }

    fn put_aside(&mut self, origin: Origin, raw: &[u8], reason: SetAsideReason) {
        let bytes = Hash(*blake3::hash(raw).as_bytes());
        self.set_aside.insert(SetAside { origin, bytes, reason });
    }
}

/// Whether a key's present values are this one and no other.
fn shows(current: &[(automerge::Value<'_>, ObjId)], value: &str) -> bool {
    !current.is_empty() && current.iter().all(|(now, _)| now.as_str() == Some(value))
}

/// A put of `value` in place of `preds`.
fn put_op(root: Root, key: &str, value: String, preds: Vec<OpRef>) -> Op {
    let genesis = ActorId::from(GENESIS_ACTOR);
    let preds = preds.into_iter().map(|(number, actor)| OpId(number, ActorId::from(actor)));
    Op {
        action: OpType::Put(ScalarValue::from(value)),
        obj: ObjectId::Id(OpId(root.op(), genesis)),
        key: OpKey::Map(key.into()),
        pred: preds.collect(),
        insert: false,
    }
}

/// A change as a facility sees it.
fn short(hash: ChangeHash) -> Head {
    Head(crate::id::truncated(hash.0))
}

fn op_of(id: &ObjId) -> Option<OpRef> {
    match id {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some((*counter, actor.to_bytes().try_into().ok()?)),
    }
}

fn actor_of(id: &ObjId) -> Option<[u8; 16]> {
    op_of(id).map(|(_, actor)| actor)
}

pub(super) fn push_distinct(values: &mut Vec<Value>, value: Option<Value>) {
    if let Some(value) = value
        && values.iter().all(|other| other.value != value.value)
    {
        values.push(value);
    }
}
