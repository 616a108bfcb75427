//! The short spelling of packed changes inside a payload: what the changes before it and the forms
//! say is left out, and restored bit by bit.
//!
//! A packed change ([`super::pack`]) stands alone, which is why the author signs for it. Here the
//! columns of Automerge are puts again; a new visit of a form in [`FORMS`] is one number for each
//! field; and the time and the worker follow on those of the change before.
//!
//! ```text
//! head uleb        4 * shape + flags: 1 it only adds, 2 its worker is that of the change before
//!                  shape 0: any packed change, with its length; nothing else follows
//!                  shape 1: puts;  shape 2 + n: a new visit of form n, which only adds
//! [not 1]          n uleb, n * 32 bytes dependencies | start op uleb
//!                  | n uleb, n * 16 bytes actors other than author and genesis
//! time sleb        seconds after the change before
//! [not 2]          worker: length uleb, bytes
//! shape 1          n uleb, n * put
//!                  put = 5 * preds + map uleb | key | value | preds * (op uleb, actor uleb)
//!                  key, value = length uleb, bytes
//!                  map 0..3, or 4: visits, and "<uuid of the visit that this change begins>/"
//!                  stands before the key
//! shape 2 + n      seconds from visit to change sleb | one slot for each field of the form
//! slot uleb        0: no answer;  1: length uleb, text;  2 + v: the answer with the value v
//! ```
//!
//! | field | value |
//! |---|---|
//! | integer | how much it is above the whole part of the smallest allowed |
//! | decimal | 11 times as much of the whole part; plus 1 + d with one digit d behind the point |
//! | date | days before the day of the visit |
//! | choice | index of the choice |
//! | yes-no | 0 no, 1 yes |

use std::collections::BTreeMap;

use super::chunk::{Body, Reader, put_prefixed, put_sleb, put_uleb};
use super::edit::{self, Edit, Key, Root};
use super::form::{Field, FieldType, Form};
use super::forms::form;
use super::genesis::{GENESIS_ACTOR, GENESIS_HASH, GENESIS_MAX_OP};
use super::number::parse_stamp;
use super::ops::{self, Put};
use super::packed;
use crate::id::Origin;
use crate::time::Stamp;

/// The forms that are spelled by number, id and version. Part of dictionary 2: another form comes
/// to the end, together with the next dictionary, and the fields of these never change.
const FORMS: [(&str, u32); 3] = [("anc", 1), ("consent", 1), ("sick-child", 1)];

/// 2026-01-01T00:00:00Z, which the first time of a payload is counted from: one byte less.
const FIRST_TIME: i64 = 1_767_225_600;

const ADDS: u64 = 1;
const SAME_WORKER: u64 = 2;
const FLAGS: u64 = 4;

const SHAPE_PACKED: u64 = 0;
const SHAPE_PUTS: u64 = 1;
const SHAPE_VISIT: u64 = 2;

/// Codes of maps: the four roots, and one for the visit that the change begins.
const MAPS: usize = 5;
const OWN_VISIT: usize = 4;

const NO_ANSWER: u64 = 0;
const TEXT: u64 = 1;
const VALUE: u64 = 2;

const YES_NO: [&str; 2] = ["no", "yes"];

/// Above, an answer is spelled as text.
const VALUES_MAX: u64 = 1 << 32;

const SECONDS_OF_DAY: i64 = 86_400;

/// What the changes before have said.
#[derive(Clone)]
pub(crate) struct Before {
    time: i64,
    worker: Vec<u8>,
}

crate::debug_shows!(struct Before { time });

impl Default for Before {
    fn default() -> Self {
        Self { time: FIRST_TIME, worker: Vec::new() }
    }
}

impl Before {
    /// Appends the packed change of `origin`, whatever it is.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, origin: Origin, packed: &[u8]) {
        let actor = origin.actor();
        let body = packed::read(packed, &actor);
        let short = body.and_then(|body| Some((self.spell(origin, &body)?, body)));
        match short {
            Some((short, body)) => {
                out.extend(short);
                self.time = body.time;
                self.worker = body.message.to_vec();
            }
            None => {
                put_uleb(out, SHAPE_PACKED);
                put_prefixed(out, packed);
            }
        }
    }

    /// Reads what [`Self::put`] appended, and nothing else: `None` for another spelling.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, origin: Origin) -> Option<Vec<u8>> {
        let start = reader.0;
        let packed = self.restore(reader, origin)?;
        let taken = start.get(..start.len().checked_sub(reader.0.len())?)?;
        let mut again = Vec::with_capacity(taken.len());
        self.put(&mut again, origin, &packed);
        (again == taken).then_some(packed)
    }

    /// The short form, if there is one.
    fn spell(&self, origin: Origin, body: &Body<'_>) -> Option<Vec<u8>> {
        let genesis = body.others.iter().position(|actor| *actor == GENESIS_ACTOR)?;
        let puts = ops::read(body.tail, genesis + 1)?;
        if ops::write(&puts, genesis + 1) != body.tail {
            return None;
        }
        let adds = body.deps == [GENESIS_HASH]
            && body.others.len() == 1
            && body.start_op == GENESIS_MAX_OP + 1;
        let visit = if adds { visit(origin, body, &puts) } else { None };
        let shape = visit.as_ref().map_or(SHAPE_PUTS, |(form, _)| SHAPE_VISIT + *form);
        let same = body.message == self.worker;
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let mut out = Vec::new();
        put_uleb(&mut out, shape * FLAGS + flag(adds, ADDS) + flag(same, SAME_WORKER));
        if !adds {
            put_uleb(&mut out, body.deps.len() as u64);
            body.deps.iter().for_each(|dep| out.extend(dep));
            put_uleb(&mut out, body.start_op);
            put_uleb(&mut out, body.others.len() as u64 - 1);
            for actor in body.others.iter().filter(|actor| **actor != GENESIS_ACTOR) {
                out.extend(<[u8; 16]>::try_from(*actor).ok()?);
            }
        }
        put_sleb(&mut out, body.time.checked_sub(self.time)?);
        if !same {
            put_prefixed(&mut out, body.message);
        }
        match visit {
            Some((_, slots)) => out.extend(slots),
            None => put_puts(&mut out, origin, &puts),
        }
        Some(out)
    }

    fn restore(&self, reader: &mut Reader<'_>, origin: Origin) -> Option<Vec<u8>> {
        let head = reader.uleb()?;
        let shape = head / FLAGS;
        if head == SHAPE_PACKED {
            return reader.prefixed().map(<[u8]>::to_vec);
        }
        let mut deps = vec![GENESIS_HASH];
        let mut start_op = GENESIS_MAX_OP + 1;
        let mut actors = Vec::new();
        if head & ADDS == 0 {
            deps = reader.list(|reader| reader.array::<32>())?;
            start_op = reader.uleb()?;
            actors = reader.list(|reader| reader.array::<16>())?;
        }
        actors.push(GENESIS_ACTOR);
        actors.sort_unstable();
        let time = self.time.checked_add(reader.sleb()?)?;
        let message = match head & SAME_WORKER {
            0 => reader.prefixed()?,
            _ => self.worker.as_slice(),
        };
        let genesis = actors.iter().position(|actor| *actor == GENESIS_ACTOR)? + 1;
        let tail = match shape.checked_sub(SHAPE_VISIT) {
            Some(number) => {
                let edit = take_visit(reader, number, origin, time, message)?;
                ops::write(&puts_of(&edit::puts(&[edit]).ok()?), genesis)
            }
            None => take_puts(reader, origin, genesis)?,
        };
        let others = actors.iter().map(<[u8; 16]>::as_slice).collect();
        let actor = origin.actor();
        let body =
            Body { deps, actor: &actor, seq: 1, start_op, time, message, others, tail: &tail };
        Some(packed::write(&body))
    }
}

fn put_puts(out: &mut Vec<u8>, origin: Origin, puts: &[Put<'_>]) {
    let own = own_prefix(origin);
    put_uleb(out, puts.len() as u64);
    for put in puts {
        let rest = put.key.strip_prefix(&own).filter(|_| put.root == Root::Visits);
        let map = if rest.is_some() { OWN_VISIT } else { index_of(put.root) };
        put_uleb(out, (MAPS * put.preds.len() + map) as u64);
        put_prefixed(out, rest.unwrap_or(put.key).as_bytes());
        put_prefixed(out, put.value.as_bytes());
        for (number, actor) in &put.preds {
            put_uleb(out, *number);
            put_uleb(out, *actor as u64);
        }
    }
}

/// Reads puts and gives the columns that hold them.
fn take_puts(reader: &mut Reader<'_>, origin: Origin, genesis: usize) -> Option<Vec<u8>> {
    let own = own_prefix(origin);
    let text =
        |reader: &mut Reader<'_>| Some(core::str::from_utf8(reader.prefixed()?).ok()?.to_owned());
    let puts = reader.list(|reader| {
        let head = reader.length()?;
        let key = text(reader)?;
        let (root, key) = match head % MAPS {
            OWN_VISIT => (Root::Visits, format!("{own}{key}")),
            map => (*Root::ALL.get(map)?, key),
        };
        let value = text(reader)?;
        let pred = |_| Some((reader.uleb()?, reader.length()?));
        let preds: Option<Vec<_>> = (0..head / MAPS).map(pred).collect();
        Some((root, key, value, preds?))
    })?;
    let puts: Vec<Put<'_>> = puts
        .iter()
        .map(|(root, key, value, preds)| Put { root: *root, key, value, preds: preds.clone() })
        .collect();
    Some(ops::write(&puts, genesis))
}

/// What the keys of the visit begin with that a change of `origin` begins.
fn own_prefix(origin: Origin) -> String {
    format!("{}/", origin.visit())
}

/// The number of the form and the slots of a change that is a new visit and nothing else.
fn visit(origin: Origin, body: &Body<'_>, puts: &[Put<'_>]) -> Option<(u64, Vec<u8>)> {
    let own = own_prefix(origin);
    let keys = puts.iter().map(|put| Some((put.key.strip_prefix(&own)?, put.value)));
    let values: BTreeMap<&str, &str> = keys.collect::<Option<_>>()?;
    let known = |(id, version): &(&str, u32)| {
        values.get("form") == Some(id)
            && values.get("version") == Some(&version.to_string().as_str())
    };
    let number = FORMS.iter().position(known)?;
    let form = form_of(number)?;
    let occurred = parse_stamp(values.get("occurred")?)?;
    let answer = |field: &Field| values.get(format!("answer/{}", field.id).as_str()).copied();
    let answers =
        form.fields.iter().filter_map(|field| Some((field.id.clone(), answer(field)?.to_owned())));
    let worker = core::str::from_utf8(body.message).ok()?;
    let edit = new_visit(form, origin, occurred, worker, answers.collect());
    if puts_of(&edit::puts(&[edit]).ok()?) != puts {
        return None;
    }
    let mut slots = Vec::new();
    put_sleb(&mut slots, body.time.checked_sub(occurred.0)?);
    for field in &form.fields {
        match answer(field).map(|text| (text, value_of(field, occurred, text))) {
            None => put_uleb(&mut slots, NO_ANSWER),
            Some((_, Some(value))) => put_uleb(&mut slots, VALUE + value),
            Some((text, None)) => {
                put_uleb(&mut slots, TEXT);
                put_prefixed(&mut slots, text.as_bytes());
            }
        }
    }
    Some((u64::try_from(number).ok()?, slots))
}

fn take_visit(
    reader: &mut Reader<'_>,
    number: u64,
    origin: Origin,
    time: i64,
    worker: &[u8],
) -> Option<Edit> {
    let form = form_of(usize::try_from(number).ok()?)?;
    let occurred = Stamp(time.checked_sub(reader.sleb()?)?);
    let mut answers = BTreeMap::new();
    for field in &form.fields {
        let text = match reader.uleb()? {
            NO_ANSWER => continue,
            TEXT => core::str::from_utf8(reader.prefixed()?).ok()?.to_owned(),
            slot => text_of(field, occurred, slot - VALUE)?,
        };
        answers.insert(field.id.clone(), text);
    }
    Some(new_visit(form, origin, occurred, core::str::from_utf8(worker).ok()?, answers))
}

fn form_of(number: usize) -> Option<&'static Form> {
    let (id, version) = FORMS.get(number)?;
    form(id, *version)
}

fn new_visit(
    form: &Form,
    origin: Origin,
    occurred: Stamp,
    worker: &str,
    answers: BTreeMap<String, String>,
) -> Edit {
    Edit::Visit {
        visit: origin.visit(),
        form: form.name(),
        occurred,
        worker: worker.to_owned(),
        answers,
    }
}

fn puts_of(puts: &BTreeMap<Key, String>) -> Vec<Put<'_>> {
    puts.iter()
        .map(|((root, key), value)| Put { root: *root, key, value, preds: Vec::new() })
        .collect()
}

/// The number that stands for an answer, if one does.
fn value_of(field: &Field, occurred: Stamp, text: &str) -> Option<u64> {
    let value = match field.kind {
        FieldType::Integer => text.parse::<u64>().ok()?.checked_sub(smallest(field))?,
        FieldType::Decimal => {
            let (whole, digit) = match text.split_once('.') {
                Some((whole, digit)) => (whole, 1 + u64::from(one_digit(digit)?)),
                None => (text, 0),
            };
            whole.parse::<u64>().ok()?.checked_sub(smallest(field))?.checked_mul(11)? + digit
        }
        FieldType::Date => {
            let date = parse_stamp(&format!("{text}T00:00:00Z"))?;
            u64::try_from(day(occurred).checked_sub(day(date))?).ok()?
        }
        FieldType::Choice => field.choices.iter().position(|choice| choice.id == text)? as u64,
        FieldType::YesNo => YES_NO.iter().position(|answer| *answer == text)? as u64,
        FieldType::Text => return None,
    };
    // "007" and the like have no number.
    (value < VALUES_MAX && text_of(field, occurred, value).as_deref() == Some(text))
        .then_some(value)
}

/// The inverse of [`value_of`].
fn text_of(field: &Field, occurred: Stamp, value: u64) -> Option<String> {
    let index = usize::try_from(value).ok()?;
    Some(match field.kind {
        FieldType::Integer => value.checked_add(smallest(field))?.to_string(),
        FieldType::Decimal => {
            let whole = (value / 11).checked_add(smallest(field))?;
            match (value % 11).checked_sub(1) {
                Some(digit) => format!("{whole}.{digit}"),
                None => whole.to_string(),
            }
        }
        FieldType::Date => {
            let days = day(occurred).checked_sub(i64::try_from(value).ok()?)?;
            let midnight = Stamp(days.checked_mul(SECONDS_OF_DAY)?).to_string();
            midnight.strip_suffix("T00:00:00Z")?.to_owned()
        }
        FieldType::Choice => field.choices.get(index)?.id.clone(),
        FieldType::YesNo => (*YES_NO.get(index)?).to_owned(),
        FieldType::Text => return None,
    })
}

/// The whole part of the smallest value that a field allows.
fn smallest(field: &Field) -> u64 {
    let whole = field.hard.as_ref().and_then(|range| range.min.split('.').next()?.parse().ok());
    whole.unwrap_or_default()
}

fn one_digit(text: &str) -> Option<u8> {
    text.parse().ok().filter(|digit| *digit < 10)
}

const fn day(at: Stamp) -> i64 {
    at.0.div_euclid(SECONDS_OF_DAY)
}

const fn index_of(root: Root) -> usize {
    match root {
        Root::Person => 0,
        Root::Visits => 1,
        Root::Resources => 2,
        Root::Links => 3,
    }
}
