//! The operations of a change, read strictly: only "put a string under a key of one of the four
//! maps" exists here. Anything else is an error, so that Automerge never sees an operation of a
//! kind that huza does not write, nor a run-length that unfolds without bound.
//!
//! Columns are those of automerge 0.12 (`storage/change/change_op_columns.rs`): obj (0), key (1),
//! insert (3), action (4), value (5), pred (7), expand (9), mark name (10).

use super::chunk::{Reader, put_prefixed, put_sleb, put_uleb};
use super::{CHANGE_OPS_MAX, Root};

const OBJ_ACTOR: u64 = 0x01;
const OBJ_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const KEY_COUNTER: u64 = 0x13;
const KEY_STRING: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_META: u64 = 0x56;
const VALUE: u64 = 0x57;
const PRED_COUNT: u64 = 0x70;
const PRED_ACTOR: u64 = 0x71;
const PRED_COUNTER: u64 = 0x73;
const EXPAND: u64 = 0x94;
const MARK_NAME: u64 = 0xa5;

const ACTION_PUT: u64 = 1;
const VALUE_TYPE_STRING: u64 = 6;

/// One put. `preds` are the operations it replaces: number, and index of the actor in the change
/// (0 the author, then the others).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Put<'a> {
    pub(crate) root: Root,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    pub(crate) preds: Vec<(u64, usize)>,
}

crate::debug_shows!(struct Put<'_> { root, preds });

/// Reads the operations behind the header of a change. `genesis_actor` is the index of genesis'
/// actor among the change's actors. `None` if anything but string puts into the four maps is
/// there, or more than [`CHANGE_OPS_MAX`] of anything.
pub(crate) fn read(tail: &[u8], genesis_actor: usize) -> Option<Vec<Put<'_>>> {
    let columns = Columns::read(tail)?;
    let actions = numbers(columns.get(ACTION))?;
    let count = actions.len();
    let all = |column: &[Option<u64>], wanted: u64| {
        column.len() == count && column.iter().all(|value| *value == Some(wanted))
    };
    let genesis_actor = u64::try_from(genesis_actor).ok()?;
    let ok = count > 0
        && all(&actions, ACTION_PUT)
        && all(&numbers(columns.get(OBJ_ACTOR))?, genesis_actor)
        && numbers(columns.get(KEY_ACTOR))?.iter().all(Option::is_none)
        && deltas(columns.get(KEY_COUNTER))?.iter().all(Option::is_none)
        && strings(columns.get(MARK_NAME))?.iter().all(Option::is_none)
        && !any_true(columns.get(INSERT))?
        && !any_true(columns.get(EXPAND))?;
    if !ok {
        return None;
    }
    let roots = numbers(columns.get(OBJ_COUNTER))?;
    let keys = strings(columns.get(KEY_STRING))?;
    let values = values(columns.get(VALUE_META), columns.get(VALUE))?;
    let preds = preds(&columns, count)?;
    if roots.len() != count || keys.len() != count || values.len() != count {
        return None;
    }
    roots
        .into_iter()
        .zip(keys)
        .zip(values)
        .zip(preds)
        .map(|(((root, key), value), preds)| {
            Some(Put { root: Root::from_op(root?)?, key: key?, value, preds })
        })
        .collect()
}

/// Writes operations as Automerge does, behind the header of a change: the inverse of [`read`].
pub(crate) fn write(puts: &[Put<'_>], genesis_actor: usize) -> Vec<u8> {
    let all = |value: u64| fold(puts.iter().map(|_| value), put_uleb);
    let mut puts_false = Vec::new();
    put_uleb(&mut puts_false, puts.len() as u64);
    let meta = |put: &Put<'_>| (put.value.len() as u64) << 4 | VALUE_TYPE_STRING;
    let preds = || puts.iter().flat_map(|put| &put.preds);
    let mut before = 0;
    let steps = preds().map(|(number, _)| {
        let number = number.cast_signed();
        number.wrapping_sub(core::mem::replace(&mut before, number))
    });
    let columns = [
        (OBJ_ACTOR, all(genesis_actor as u64)),
        (OBJ_COUNTER, fold(puts.iter().map(|put| put.root.op()), put_uleb)),
        (KEY_STRING, fold(puts.iter().map(|put| put.key.as_bytes()), put_prefixed)),
        (INSERT, puts_false),
        (ACTION, all(ACTION_PUT)),
        (VALUE_META, fold(puts.iter().map(meta), put_uleb)),
        (VALUE, puts.iter().flat_map(|put| put.value.bytes()).collect()),
        (PRED_COUNT, fold(puts.iter().map(|put| put.preds.len() as u64), put_uleb)),
        (PRED_ACTOR, fold(preds().map(|(_, actor)| *actor as u64), put_uleb)),
        (PRED_COUNTER, fold(steps, put_sleb)),
    ];
    let columns: Vec<_> = columns.iter().filter(|(_, data)| !data.is_empty()).collect();
    let mut out = Vec::new();
    put_uleb(&mut out, columns.len() as u64);
    for (spec, data) in &columns {
        put_uleb(&mut out, *spec);
        put_uleb(&mut out, data.len() as u64);
    }
    columns.iter().for_each(|(_, data)| out.extend(data));
    out
}

/// Writes a run-length column: values that are repeated as number and value, the others as minus
/// their number and the values.
fn fold<T: Copy + PartialEq>(
    values: impl Iterator<Item = T>,
    one: impl Fn(&mut Vec<u8>, T),
) -> Vec<u8> {
    let values: Vec<T> = values.collect();
    let length = |run: &[T]| i64::try_from(run.len()).unwrap_or(i64::MAX);
    let mut out = Vec::new();
    let mut lone: Vec<T> = Vec::new();
    let mut runs = values.chunk_by(|a, b| a == b).peekable();
    while let Some(run) = runs.next() {
        if run.len() == 1 {
            lone.extend(run);
        }
        if !lone.is_empty() && runs.peek().is_none_or(|next| next.len() > 1) {
            put_sleb(&mut out, -length(&lone));
            lone.drain(..).for_each(|value| one(&mut out, value));
        }
        if let [value, _, ..] = run {
            put_sleb(&mut out, length(run));
            one(&mut out, *value);
        }
    }
    out
}

#[derive(Debug)]
struct Columns<'a>(Vec<(u64, &'a [u8])>);

impl<'a> Columns<'a> {
    fn read(tail: &'a [u8]) -> Option<Self> {
        const KNOWN: [u64; 14] = [
            OBJ_ACTOR,
            OBJ_COUNTER,
            KEY_ACTOR,
            KEY_COUNTER,
            KEY_STRING,
            INSERT,
            ACTION,
            VALUE_META,
            VALUE,
            PRED_COUNT,
            PRED_ACTOR,
            PRED_COUNTER,
            EXPAND,
            MARK_NAME,
        ];
        let mut reader = Reader(tail);
        let count = reader.length()?;
        if count > KNOWN.len() {
            return None;
        }
        let mut heads = Vec::with_capacity(count);
        for _ in 0..count {
            heads.push((reader.uleb()?, reader.length()?));
        }
        let known = heads.iter().all(|(spec, _)| KNOWN.contains(spec));
        let ascending = heads.is_sorted_by(|(a, _), (b, _)| a < b);
        let columns: Option<Vec<_>> =
            heads.into_iter().map(|(spec, len)| Some((spec, reader.take(len)?))).collect();
        // Nothing may follow: Automerge would keep unknown extra bytes.
        (known && ascending && reader.is_empty()).then(|| columns.map(Self)).flatten()
    }

    fn get(&self, spec: u64) -> &'a [u8] {
        self.0.iter().find(|(other, _)| *other == spec).map_or(&[], |(_, data)| data)
    }
}

/// Unfolds a run-length column. Sum of all lengths bounded by [`CHANGE_OPS_MAX`].
fn unfold<'a, T: Clone>(
    data: &'a [u8],
    one: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let mut reader = Reader(data);
    let mut all = Vec::new();
    while !reader.is_empty() {
        let head = reader.sleb()?;
        let length = if head == 0 { reader.uleb()? } else { head.unsigned_abs() };
        let length = usize::try_from(length).ok()?;
        if length > CHANGE_OPS_MAX.checked_sub(all.len())? {
            return None;
        }
        match head {
            0 => all.extend(core::iter::repeat_n(None, length)),
            1.. => all.extend(core::iter::repeat_n(Some(one(&mut reader)?), length)),
            _ => {
                for _ in 0..length {
                    all.push(Some(one(&mut reader)?));
                }
            }
        }
    }
    Some(all)
}

fn numbers(data: &[u8]) -> Option<Vec<Option<u64>>> {
    unfold(data, Reader::uleb)
}

fn strings(data: &[u8]) -> Option<Vec<Option<&str>>> {
    unfold(data, |reader| core::str::from_utf8(reader.prefixed()?).ok())
}

fn deltas(data: &[u8]) -> Option<Vec<Option<u64>>> {
    let mut sum = 0_i64;
    unfold(data, Reader::sleb)?
        .into_iter()
        .map(|delta| match delta {
            None => Some(None),
            Some(delta) => {
                sum = sum.checked_add(delta)?;
                u64::try_from(sum).ok().map(Some)
            }
        })
        .collect()
}

/// A boolean column: lengths of runs, false first.
fn any_true(data: &[u8]) -> Option<bool> {
    let mut reader = Reader(data);
    let mut value = false;
    let mut any = false;
    while !reader.is_empty() {
        let length = reader.uleb()?;
        if length > CHANGE_OPS_MAX as u64 {
            return None;
        }
        any |= value && length > 0;
        value = !value;
    }
    Some(any)
}

fn values<'a>(meta: &[u8], data: &'a [u8]) -> Option<Vec<&'a str>> {
    let mut reader = Reader(data);
    let values: Option<Vec<_>> = numbers(meta)?
        .into_iter()
        .map(|meta| {
            let meta = meta?;
            let text = reader.take(usize::try_from(meta >> 4).ok()?)?;
            (meta & 0xf == VALUE_TYPE_STRING).then(|| core::str::from_utf8(text).ok()).flatten()
        })
        .collect();
    reader.is_empty().then_some(values).flatten()
}

fn preds(columns: &Columns<'_>, count: usize) -> Option<Vec<Vec<(u64, usize)>>> {
    let counts = numbers(columns.get(PRED_COUNT))?;
    let mut actors = numbers(columns.get(PRED_ACTOR))?.into_iter();
    let mut counters = deltas(columns.get(PRED_COUNTER))?.into_iter();
    if !counts.is_empty() && counts.len() != count {
        return None;
    }
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        let here = counts.get(index).copied().flatten().unwrap_or_default();
        if here > CHANGE_OPS_MAX as u64 {
            return None;
        }
        let one = |_| Some((counters.next()??, usize::try_from(actors.next()??).ok()?));
        all.push((0..here).map(one).collect::<Option<Vec<_>>>()?);
    }
    (actors.next().is_none() && counters.next().is_none()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_preds_are_read() {
        let tail = crate::id::unhex(
            "0a010202021503340142025602570170027103730\
             37f017f017f016b017f017f167a7f027e02037e0200",
        )
        .unwrap();
        let columns = Columns::read(&tail).unwrap();
        assert_eq!(numbers(columns.get(PRED_COUNT)), Some(vec![Some(2)]));
        assert_eq!(numbers(columns.get(PRED_ACTOR)), Some(vec![Some(2), Some(3)]));
        assert_eq!(deltas(columns.get(PRED_COUNTER)), Some(vec![Some(2), Some(2)]));
        let puts = read(&tail, 1).unwrap();
        assert_eq!(puts[0].preds, [(2, 2), (2, 3)]);
        assert_eq!(write(&puts, 1), tail);
    }
}
