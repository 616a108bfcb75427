//! The short spelling of a payload, in which it is packed with dictionary 2: what one item says,
//! the next ones need not say again. The items that come out are the ones that went in, and each of
//! them stands alone: it is they that the author signs for, not their spelling.
//!
//! ```text
//! origin   00, or 01 and the 32 bytes of the log
//! first uleb | n uleb, n items
//!
//! item     record | change (crdt/src/record/short.rs) | card
//! record   uleb 0: that of the item before;  1: 16 bytes;
//!          2 + d: the one that the change began which is d changes before this one in its log
//! card     2 * length uleb, bytes (none: 00);  plus 1: behind the first byte, the ids of the
//!          record and of the visit that the change begins are left out
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::{Item, Payload};
use crate::codec::{self, DecodeError};
use crate::id::{LogId, Origin, RecordId};
use crate::limits::{ENVELOPE_ITEMS_MAX, PLAINTEXT_BYTES_MAX};
use crate::record::{Before, Reader, put_uleb};

const SAME: u64 = 0;
const NAMED: u64 = 1;
const BEGUN: u64 = 2;

/// How many changes back a writer looks for the one that began a record; further back the record
/// is named. Counters leap at each start, so what was begun before that is never found. // guess: a
/// phone writes 4 000 in a year, and each costs a hash with every payload that is sealed
const BEGUN_MAX: u64 = 4_096;

impl Payload {
    /// The short spelling, for a payload in `log`.
    #[must_use]
    pub fn to_short(&self, log: LogId) -> Vec<u8> {
        let mut out = vec![u8::from(self.origin.is_some())];
        out.extend(self.origin.iter().flat_map(|log| log.0));
        put_uleb(&mut out, self.first);
        put_uleb(&mut out, self.items.len() as u64);
        let log = self.origin.unwrap_or(log);
        let begun = self.begun(log);
        let mut before = Before::default();
        let mut last = None;
        for (counter, item) in (self.first..).zip(&self.items) {
            let back = begun.get(&item.record).and_then(|began| counter.checked_sub(*began));
            match back {
                _ if last == Some(item.record) => put_uleb(&mut out, SAME),
                Some(back) => put_uleb(&mut out, BEGUN + back),
                None => {
                    put_uleb(&mut out, NAMED);
                    out.extend(item.record.0);
                }
            }
            last = Some(item.record);
            before.put(&mut out, Origin { log, counter }, &item.change);
            let ids = card_ids(item.record, Origin { log, counter });
            match cut_card(&item.card, &ids) {
                Some((version, rest)) => {
                    put_uleb(&mut out, 2 * (1 + rest.len() as u64) + 1);
                    out.push(*version);
                    out.extend(rest);
                }
                None => {
                    put_uleb(&mut out, 2 * item.card.len() as u64);
                    out.extend(&item.card);
                }
            }
        }
        out
    }

    /// Reads the short spelling of a payload in `log`.
    ///
    /// # Errors
    /// If the bytes are malformed or are not what a writer spells, or if the items are over
    /// [`PLAINTEXT_BYTES_MAX`] together.
    pub fn from_short(log: LogId, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let payload = read(log, &mut reader)?;
        match reader.rest().len() {
            0 => Ok(payload),
            more => Err(DecodeError::Trailing(more)),
        }
    }

    /// The changes of `log` that began the records of its items, as far as they are found.
    fn begun(&self, log: LogId) -> BTreeMap<RecordId, u64> {
        let mut sought: BTreeSet<RecordId> =
            self.items.iter().map(|item| item.record).filter(RecordId::is_derived).collect();
        let mut found = BTreeMap::new();
        let end = self.first.saturating_add(self.items.len() as u64);
        let mut counters = (end.saturating_sub(BEGUN_MAX)..end).rev();
        while !sought.is_empty()
            && let Some(counter) = counters.next()
        {
            let record = Origin { log, counter }.record();
            if sought.remove(&record) {
                found.insert(record, counter);
            }
        }
        found
    }
}

fn read(log: LogId, reader: &mut Reader<'_>) -> Result<Payload, DecodeError> {
    let end = || DecodeError::Malformed;
    let origin = match reader.byte().ok_or_else(end)? {
        0 => None,
        1 => Some(LogId(reader.array().ok_or_else(end)?)),
        _ => return Err(DecodeError::Malformed),
    };
    let first = reader.uleb().ok_or_else(end)?;
    let count = reader.length().ok_or_else(end)?;
    if count > ENVELOPE_ITEMS_MAX || first.checked_add(count as u64).is_none() {
        return Err(DecodeError::Limit("items of an envelope"));
    }
    let log = origin.unwrap_or(log);
    let mut before = Before::default();
    let mut items: Vec<Item> = Vec::new();
    let mut bytes = 0;
    for counter in (first..).take(count) {
        let last = items.last().map(|item| item.record);
        let record = record(reader, last, Origin { log, counter }).ok_or_else(end)?;
        let change = before.take(reader, Origin { log, counter }).ok_or_else(end)?;
        let card = card(reader, &card_ids(record, Origin { log, counter })).ok_or_else(end)?;
        bytes += RecordId::LEN + change.len() + card.len();
        if bytes > PLAINTEXT_BYTES_MAX {
            return Err(DecodeError::Limit("plaintext bytes"));
        }
        items.push(Item { record, change, card });
    }
    Ok(Payload { origin, first, items })
}

fn record(reader: &mut Reader<'_>, last: Option<RecordId>, here: Origin) -> Option<RecordId> {
    match reader.uleb()? {
        SAME => last,
        NAMED => reader.array().map(RecordId).filter(|record| last != Some(*record)),
        begun => {
            let counter = here.counter.checked_sub(begun - BEGUN)?;
            let record = Origin { counter, ..here }.record();
            (last != Some(record)).then_some(record)
        }
    }
}

/// The ids that the card of a new visit begins with, behind its version.
fn card_ids(record: RecordId, here: Origin) -> Vec<u8> {
    codec::encode(&(record, here.visit()))
}

/// The version of a card and what is behind its ids, if they are these.
fn cut_card<'a>(card: &'a [u8], ids: &[u8]) -> Option<(&'a u8, &'a [u8])> {
    let (version, rest) = card.split_first()?;
    Some((version, rest.strip_prefix(ids)?))
}

fn card(reader: &mut Reader<'_>, ids: &[u8]) -> Option<Vec<u8>> {
    let head = reader.length()?;
    let bytes = reader.take(head / 2)?;
    if head % 2 == 0 {
        return cut_card(bytes, ids).is_none().then(|| bytes.to_vec());
    }
    let (version, rest) = bytes.split_first()?;
    Some([&[*version], ids, rest].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: LogId = LogId([3; 32]);

    fn record(n: u8) -> RecordId {
        match n {
            // Begun by the log's own changes, by another log's, imported.
            0..4 => Origin { log: LOG, counter: u64::from(n) }.record(),
            4..6 => Origin { log: LogId([4; 32]), counter: u64::from(n) }.record(),
            _ => RecordId([n; 16]),
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_it_a_payload_comes_back(
            again: bool,
            first in 0..6_u64,
            items in proptest::collection::vec(
                (0..8_u8, any::<Vec<u8>>(), any::<Vec<u8>>(), any::<bool>()), 0..6,
            ),
            flip in any::<(usize, u8)>(),
        ) {
            let items = (first..).zip(items).map(|(counter, (n, change, mut card, of_visit))| {
                if of_visit {
                    let ids = card_ids(record(n), Origin { log: LOG, counter });
                    card.splice(card.len().min(1).., ids);
                }
                Item { record: record(n), change, card }
            });
            let payload = Payload {
                origin: again.then_some(LOG), first, items: items.collect(),
            };
            let log = if again { LogId([9; 32]) } else { LOG };
            let mut short = payload.to_short(log);
            prop_assert_eq!(Payload::from_short(log, &short), Ok(payload));
            for cut in 0..short.len() {
                prop_assert!(Payload::from_short(log, &short[..cut]).is_err());
            }
            let at = flip.0 % short.len();
            short[at] = flip.1;
            // A writer that looked no further back would name a record that can be told shorter.
            if let Ok(read) = Payload::from_short(log, &short) {
                let again = read.to_short(log);
                prop_assert!(again.len() <= short.len());
                prop_assert_eq!(Payload::from_short(log, &again), Ok(read));
            }
        }
    }

    #[test]
    fn records_begun_here_take_a_byte_or_two() {
        let item = |n| Item { record: record(n), change: Vec::new(), card: Vec::new() };
        let bytes =
            |items: Vec<Item>| Payload { origin: None, first: 3, items }.to_short(LOG).len();
        let rest = bytes(Vec::new());
        assert_eq!(bytes(vec![item(3)]), rest + 4, "begun by this change");
        assert_eq!(bytes(vec![item(0)]), rest + 4, "begun before");
        assert_eq!(bytes(vec![item(4)]), rest + 20, "begun elsewhere");
        assert_eq!(bytes(vec![item(4), item(4)]), rest + 24, "twice in a row");
    }
}
