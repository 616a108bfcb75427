//! A gateway gives the facility what its reader has filed, and remembers the answer.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{Event, Resource};
use super::state::{Answered, DeliverRow};
use super::write::stored_changes;
use crate::audit::Action;
use crate::codec;
use crate::holdings::Span;
use crate::id::{LogId, RecordId, hash_parts};
use crate::record::{Document, project};
use crate::store::{Batch, Range, Row, StoreKind, Table};

/// Envelopes whose records are delivered together. // guess: bounds memory and a facility's wait
const DELIVERED_AT_ONCE: usize = 256;

/// The code with which an envelope is refused that holds a change which breaks the rules of
/// records, and so never shows: nothing of it was given to the facility.
const REFUSED_SET_ASIDE: u16 = 1;

/// Record -> key of a resource -> hash of its text: what the facility has.
type Told = BTreeMap<RecordId, BTreeMap<String, [u8; 16]>>;

/// What is to be delivered, and why.
struct Delivery {
    due: Vec<(u64, DeliverRow)>,
    /// Envelopes with a change that waits for another, or of somebody who is hidden: the facility
    /// has not all of them yet.
    early: Vec<(u64, DeliverRow)>,
    /// Of those due: envelopes with a change that can never show.
    unfit: BTreeSet<(LogId, u64)>,
    /// Filings done when this was prepared.
    filings: u64,
    /// What the facility will have been told of each record.
    told: Told,
    /// Resource -> record.
    owners: BTreeMap<String, RecordId>,
}

impl Node {
    pub(super) fn must_deliver(&self) -> bool {
        self.reader
            .as_ref()
            .is_some_and(|reader| !reader.delivering && reader.due.len() > reader.held.len())
    }

    /// Delivers the records of the next envelopes.
    pub(super) fn deliver_next(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let filings = reader.filings;
        let ready = reader.due.iter().filter(|number| !reader.held.contains_key(number));
        let numbers: Vec<u64> = ready.copied().take(DELIVERED_AT_ONCE).collect();
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
                named.partition(|one| reader.gone.contains(one));
            // Who is only hidden may come back.
            let hidden = gone.difference(&reader.forgotten).copied().collect();
            let changes = records.iter().map(|record| Range::prefix(Table::Changes, record.0));
            let told = records.iter().map(|record| Range::prefix(Table::Delivered, record.0));
            let ranges = changes.chain(told).collect();
            node.gather(ranges, move |node, rows| {
                node.work(
                    "project",
                    move || prepare(due, filings, (&records, &hidden), &rows),
                    |node, (delivery, resources)| node.hand_over(delivery, resources),
                );
            });
        });
    }

    fn hand_over(&mut self, delivery: Delivery, resources: Vec<Resource>) {
        let count = resources.len();
        if count == 0 {
            return self.delivered(delivery, 0, &BTreeMap::new());
        }
        // A facility may take its time, or be away for days: the reader goes on meanwhile.
        if let Some(reader) = &mut self.reader {
            reader.delivering = true;
        }
        self.reader_idle();
        self.deliver(resources, move |node, refused| node.delivered(delivery, count, &refused));
    }

    /// The facility has answered: remember it, then sign for it.
    fn delivered(&mut self, delivery: Delivery, count: usize, refused: &BTreeMap<String, u16>) {
        let Some(reader) = &mut self.reader else { return };
        let mut codes: BTreeMap<RecordId, u16> = BTreeMap::new();
        for (resource, code) in refused {
            if let Some(record) = delivery.owners.get(resource) {
                codes.insert(*record, *code);
            }
        }
        let mut batch = Batch::default();
        let mut answered: BTreeMap<LogId, Answered> = BTreeMap::new();
        for (number, row) in &delivery.due {
            let of_log = answered
                .entry(row.log)
                .or_insert_with(|| reader.answered.get(&row.log).cloned().unwrap_or_default());
            let span = Span { from: row.seq, to: row.seq, end: row.hash };
            let unfit = delivery.unfit.contains(&(row.log, row.seq)).then_some(&REFUSED_SET_ASIDE);
            match row.records.iter().find_map(|record| codes.get(record)).or(unfit) {
                None => of_log.accepted.insert(span),
                Some(code) => of_log.refused.entry(*code).or_default().insert(span),
            }
            batch.delete(Table::Deliver, number.to_be_bytes());
        }
        for (log, of_log) in &answered {
            batch.put(Table::Answered, log.0, codec::encode(of_log));
        }
        for (record, resources) in &delivery.told {
            batch.put(Table::Delivered, record.0, codec::encode(resources));
        }
        if count > 0 {
            self.audit(&mut batch, Action::Exported, format!("{count} resources to the facility"));
        }
        let Some(reader) = &mut self.reader else { return };
        let (refused, early, filings) = (refused.len(), delivery.early, delivery.filings);
        let done: Vec<u64> = delivery.due.iter().map(|(number, _)| *number).collect();
        reader.delivering = true;
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                reader.delivering = false;
                for number in done {
                    reader.due.remove(&number);
                }
                // If something was filed since, what they wait for may have come.
                if reader.filings == filings {
                    reader
                        .held
                        .extend(early.into_iter().map(|(number, row)| (number, row.records)));
                }
                reader.answered.append(&mut answered);
            }
            if count > 0 {
                node.event(Event::Delivered { resources: count, refused });
            }
            node.touch_receipts();
            if count == 0 {
                node.reader_idle();
            }
        });
    }
}

/// Projects the records, and leaves out what the facility has already. Envelopes with something of
/// a hidden record stay due.
fn prepare(
    due: Vec<(u64, DeliverRow)>,
    filings: u64,
    (records, hidden): (&BTreeSet<RecordId>, &BTreeSet<RecordId>),
    rows: &[Vec<Row>],
) -> (Delivery, Vec<Resource>) {
    let (changes, before) = rows.split_at(records.len().min(rows.len()));
    let stored = stored_changes(changes);
    let mut told: Told = BTreeMap::new();
    for (row_key, value) in before.iter().flatten() {
        if let (Some(record), Ok(resources)) = (RecordId::from_slice(row_key), codec::decode(value))
        {
            told.insert(record, resources);
        }
    }
    let mut owners = BTreeMap::new();
    let mut resources = Vec::new();
    let mut waiting: BTreeSet<(LogId, u64)> = BTreeSet::new();
    let mut unfit: BTreeSet<(LogId, u64)> = BTreeSet::new();
    for record in records {
        let changes = stored.get(record).map(Vec::as_slice).unwrap_or_default();
        let raw = changes.iter().map(|(origin, row)| (*origin, &row.raw));
        let document = Document::from_changes(*record, raw);
        for (origin, row) in changes.iter().filter(|(origin, _)| !document.is_applied(*origin)) {
            let set = if document.is_waiting(*origin) { &mut waiting } else { &mut unfit };
            set.extend(row.place);
        }
        let view = document.view();
        let known = told.entry(*record).or_default();
        for projected in project(&view) {
            let hash = crate::id::truncated(hash_parts(
                "huza 2026 delivered resource",
                &[projected.text.as_bytes()],
            ));
            if known.insert(projected.key.clone(), hash) != Some(hash) {
                owners.insert(projected.key.clone(), *record);
                resources.push(Resource { key: projected.key, text: projected.text });
            }
        }
    }
    let (early, due) = due.into_iter().partition(|(_, row): &(u64, DeliverRow)| {
        waiting.contains(&(row.log, row.seq)) || row.records.iter().any(|one| hidden.contains(one))
    });
    (Delivery { due, early, unfit, filings, told, owners }, resources)
}
