//! A gateway gives the facility what its reader has filed, and remembers the answer.
//!
//! Envelopes wait in `deliver` until the facility has answered for every record in them. What
//! becomes of a resource:
//!
//! | answer | what follows |
//! |---|---|
//! | taken | its hash is kept, so that it is not given again unchanged |
//! | refused | it is set aside in `failed`, and its envelopes are signed for as refused, until it is given again on command, or has changed, and is taken |
//! | the facility is ahead | its envelopes wait until more of the record comes |
//! | incomplete | its record is looked at again once what it refers to has been delivered |
//!
//! What the facility was given and the record no longer shows is withdrawn.

mod answer;
mod failed;
mod prepare;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::prepare::table;
use self::prepare::{Delivery, prepare};
use super::Node;
use super::api::{Answer, Event, Outgoing};
use super::state::{DeliverRow, Reader, ToldRow, key};
use crate::audit::Action;
use crate::codec;
use crate::id::{RecordId, hash_parts, truncated};
use crate::record::Forms;
use crate::store::{Range, Row, StoreKind, Table};

/// Envelopes whose records are delivered together. // guess: bounds memory and a facility's wait
const DELIVERED_AT_ONCE: usize = 256;

/// Stands for a name that has come: who waits for it waits no longer.
pub(super) const NOW: [u8; 16] = [0; 16];

/// Key of a resource -> what the facility has of it.
type Told = BTreeMap<String, ToldRow>;

/// Hash of a name by which references mean a resource.
fn name_hash(name: &str) -> [u8; 16] {
    truncated(hash_parts("huza 2026 name of a resource", &[name.as_bytes()]))
}

/// Key of something about a resource of a record.
fn failed_key(record: RecordId, key: &str) -> Vec<u8> {
    [record.0, name_hash(key)].concat()
}

/// Key of something about a name and a record.
pub(super) fn name_key(name: [u8; 16], record: RecordId) -> Vec<u8> {
    [name, record.0].concat()
}

impl Reader {
    /// Records that are to be looked at again without a new envelope.
    fn again(&self) -> impl Iterator<Item = RecordId> {
        let now = self.awaited.get(&NOW).into_iter().flatten();
        now.filter(|record| !self.gone.contains(record)).copied()
    }
}

impl Node {
    pub(super) fn must_deliver(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| {
            let due = reader.due.len() > reader.held.len() || reader.again().next().is_some();
            due && !reader.delivering
        })
    }

    /// Delivers the records of the next envelopes, and those to be looked at again.
    pub(super) fn deliver_next(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let filings = reader.filings;
        let ready = reader.due.iter().filter(|number| !reader.held.contains_key(number));
        let numbers: Vec<u64> = ready.copied().take(DELIVERED_AT_ONCE).collect();
        let again: BTreeSet<RecordId> = reader.again().take(DELIVERED_AT_ONCE).collect();
        let exact = |number: &u64| Range {
            rows_max: 1,
            ..Range::prefix(Table::Deliver, number.to_be_bytes())
        };
        self.pages(numbers.iter().map(exact).collect(), move |node, rows| {
            let row = |(number, rows): (u64, Vec<Row>)| {
                let (_, value) = rows.into_iter().next()?;
                Some((number, codec::decode(&value).ok()?))
            };
            let due: Vec<(u64, DeliverRow)> =
                numbers.into_iter().zip(rows).filter_map(row).collect();
            let Some(reader) = &node.reader else { return };
            let named = due.iter().flat_map(|(_, row)| row.records.iter().copied());
            let (gone, records): (BTreeSet<RecordId>, BTreeSet<RecordId>) =
                named.chain(again.iter().copied()).partition(|one| reader.gone.contains(one));
            // Who is only hidden may come back.
            let hidden = gone.difference(&reader.forgotten).copied().collect();
            let of = |table| records.iter().map(move |record| Range::prefix(table, record.0));
            let ranges = of(Table::Changes).chain(of(Table::Delivered)).chain(of(Table::Failed));
            let ranges = ranges.collect();
            let with_forms = |record: &RecordId| (*record, node.forms_of(*record));
            let records: BTreeMap<RecordId, Forms> = records.iter().map(with_forms).collect();
            node.gather(ranges, move |node, rows| {
                node.work(
                    "project",
                    move || prepare((due, again), filings, (&records, &hidden), &rows),
                    Self::look_up,
                );
            });
        });
    }

    /// Looks up what references to other records mean.
    fn look_up(&mut self, mut delivery: Delivery) {
        let names: Vec<String> = delivery.unresolved.iter().cloned().collect();
        let of = |name: &String| Range::prefix(Table::Named, name_hash(name));
        self.gather(names.iter().map(of).collect(), move |node, rows| {
            for (name, rows) in names.into_iter().zip(rows) {
                // Where two sources use one name, nobody can tell which is meant.
                let [(_, place)] = rows.as_slice() else { continue };
                let Ok(place) = String::from_utf8(place.clone()) else { continue };
                delivery.resolve(&name, &place);
            }
            node.hand_over(delivery);
        });
    }

    fn hand_over(&mut self, mut delivery: Delivery) {
        let resources = delivery.news();
        if resources.is_empty() {
            return self.delivered(delivery, &[], &BTreeMap::new());
        }
        // A facility may take its time, or be away for days: the reader goes on meanwhile.
        if let Some(reader) = &mut self.reader {
            reader.delivering = true;
        }
        self.reader_idle();
        let known = core::mem::take(&mut delivery.known);
        let sent = resources.clone();
        self.deliver(resources, known, move |node, answers| {
            node.delivered(delivery, &sent, &answers);
        });
    }

    /// The facility has answered: remember it, then sign for it.
    fn delivered(
        &mut self,
        mut delivery: Delivery,
        sent: &[Outgoing],
        answers: &BTreeMap<String, Answer>,
    ) {
        let at = self.now.stamp;
        let Some(reader) = &mut self.reader else { return };
        let mut outcome = delivery.settle(sent, answers, at);
        for name in &outcome.came {
            let waiting = reader.awaited.remove(name).into_iter().flatten();
            outcome.awaited.extend(waiting.map(|record| (*name, record)));
        }
        let awaited = outcome.write_awaited(&delivery.again);
        let judged = delivery.judge(&outcome.ahead, &reader.answered, &mut outcome.batch);
        let waits: usize = outcome.ahead.values().map(BTreeSet::len).sum();
        let (count, refused, ahead) = (sent.len(), outcome.refused, outcome.ahead);
        let total = reader.delivered + (count - refused - waits) as u64;
        let mut batch = outcome.batch;
        batch.put(Table::ReaderMeta, key::DELIVERED, codec::encode(&total));
        if count > 0 {
            self.audit(&mut batch, Action::Exported, format!("{count} resources to the facility"));
        }
        let Some(reader) = &mut self.reader else { return };
        reader.delivering = true;
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                reader.delivering = false;
                reader.delivered = total;
                for number in judged.done {
                    reader.due.remove(&number);
                }
                reader.due.extend(judged.again);
                let now = reader.awaited.entry(NOW).or_default();
                now.retain(|record| !delivery.again.contains(record));
                for (name, record) in awaited {
                    reader.awaited.entry(name).or_default().insert(record);
                }
                for record in delivery.told.keys() {
                    reader.ahead.remove(record);
                }
                reader.ahead.extend(ahead);
                // If something was filed since, what they wait for may have come.
                if reader.filings == delivery.filings {
                    reader.held.extend(judged.early);
                }
                reader.answered.extend(judged.answered);
            }
            if count > 0 {
                node.event(Event::Delivered { resources: count, refused, ahead: waits });
            }
            node.touch_receipts();
            if count == 0 {
                node.reader_idle();
            }
        });
    }
}
