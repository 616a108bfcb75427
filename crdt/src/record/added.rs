//! A record that was only added to, which most are: read without Automerge, which takes many times
//! as long. Anything else is left to [`Document`], and both show the same.

use std::collections::{BTreeMap, BTreeSet};

use super::chunk;
use super::document::push_distinct;
use super::edit::{self, Root};
use super::genesis::{GENESIS_ACTOR, GENESIS_HASH, GENESIS_MAX_OP};
use super::view::{RecordView, Value};
use super::{Document, WORKER_BYTES_MAX, ops};
use crate::id::{Origin, RecordId};
use crate::time::Stamp;

/// What a record shows that consists of these changes, in any order; as [`Document::view`] does.
#[must_use]
pub fn view_of<'a>(
    record: RecordId,
    changes: impl Iterator<Item = (Origin, &'a [u8])> + Clone,
) -> RecordView {
    let added = Added::read(changes.clone()).map(|added| added.view(record));
    added.unwrap_or_else(|| Document::from_changes(record, changes).view())
}

/// A value, with number and actor of the operation that put it.
type Put = (u64, [u8; 16], Value);

/// What changes put that all depend on genesis alone.
#[derive(Default)]
struct Added<'a>(BTreeMap<(Root, &'a str), Vec<Put>>);

impl<'a> Added<'a> {
    /// None if one of them is another change than [`Document::write`] makes where nothing is replaced.
    fn read(changes: impl Iterator<Item = (Origin, &'a [u8])>) -> Option<Self> {
        let mut all = Self::default();
        let mut origins = BTreeSet::new();
        for (origin, raw) in changes {
            if !origins.insert(origin) {
                return None;
            }
            all.add(origin, raw)?;
        }
        Some(all)
    }

    fn add(&mut self, origin: Origin, raw: &'a [u8]) -> Option<()> {
        let body = chunk::parse(raw).ok()?;
        let actor = origin.actor();
        let only_adds = body.actor == actor
            && body.seq == 1
            && body.deps == [GENESIS_HASH]
            && body.others == [GENESIS_ACTOR.as_slice()]
            && body.start_op == GENESIS_MAX_OP + 1
            && body.message.len() <= WORKER_BYTES_MAX;
        if !only_adds {
            return None;
        }
        let worker = core::str::from_utf8(body.message).ok()?;
        let puts = ops::read(body.tail, 1)?;
        // What is spelled as we do it, Automerge takes.
        let fits = |put: &ops::Put<'_>| {
            put.preds.is_empty() && edit::key_fits(put.key) && edit::value_fits(put.value)
        };
        if !puts.iter().all(fits) || ops::write(&puts, 1) != body.tail {
            return None;
        }
        let keys: BTreeSet<(Root, &str)> = puts.iter().map(|put| (put.root, put.key)).collect();
        if keys.len() != puts.len() {
            return None;
        }
        for (number, put) in (body.start_op..).zip(puts) {
            let value = Value {
                value: put.value.to_owned(),
                worker: worker.to_owned(),
                at: Stamp(body.time),
                origin,
            };
            self.0.entry((put.root, put.key)).or_default().push((number, actor, value));
        }
        Some(())
    }

    fn view(mut self, record: RecordId) -> RecordView {
        // Of what was put apart, the operation with the highest number counts, then the highest actor.
        for puts in self.0.values_mut() {
            puts.sort_unstable_by(|(one, by, _), (other, other_by, _)| {
                (other, other_by).cmp(&(one, by))
            });
        }
        let mut entries: BTreeMap<Root, Vec<(String, Vec<Value>)>> = BTreeMap::new();
        for ((root, key), puts) in self.0 {
            let mut values = Vec::with_capacity(puts.len());
            puts.into_iter().for_each(|(.., value)| push_distinct(&mut values, Some(value)));
            entries.entry(root).or_default().push((key.to_owned(), values));
        }
        RecordView::of(record, |root| entries.remove(&root).unwrap_or_default())
    }
}
