//! Opening the reader's half and closing it, while the carrier goes on; and the audit trail, which
//! is the reader's.

use std::collections::BTreeSet;

use super::Node;
use super::api::{CommandId, Event, Output, Reply};
use super::state::{Boot, Reader, Task, key};
use crate::audit::{Action, AuditEntry, AuditHead, is_whole};
use crate::codec;
use crate::store::{Batch, Range, Row, StoreKind, Table};

/// Entries that one [`super::Command::Audit`] answers. // guess: a screen or two of a day
const AUDITED_AT_ONCE: usize = 256;

impl Node {
    /// A worker has unlocked the reader: reads its store, and marks both stores as belonging
    /// together. If it is open already, the worker changes.
    pub(super) fn open_reader(&mut self, worker: String) {
        if let Some(reader) = &mut self.reader {
            if reader.worker != worker {
                reader.worker = worker;
                self.audit_alone(Action::Unlocked, String::new(), |_| {});
            }
            return;
        }
        let reader = Reader { worker, opening: true, busy: true, ..Reader::default() };
        self.reader = Some(reader);
        self.read_reader(|node| {
            // The entry at which the trail ended when the carrier last heard of it.
            let last = node.carrier.audited.count.checked_sub(1);
            let exact = |number: u64| Range {
                rows_max: 1,
                ..Range::prefix(Table::Audit, number.to_be_bytes())
            };
            node.gather(last.into_iter().map(exact).collect(), |node, rows| {
                node.mark_pair(rows.first().map(Vec::as_slice).unwrap_or_default());
            });
        });
    }

    /// Notices that one of the two stores was put back alone, and marks both anew: the reader with
    /// a new token, then the carrier, then the reader as done. Work begins after that. So the
    /// carrier may be one token behind only if the reader is not done, and then nothing was
    /// written in between.
    fn mark_pair(&mut self, trail: &[Row]) {
        let head = self.carrier.audited;
        let entry = trail.first().and_then(|(_, value)| codec::decode::<AuditEntry>(value).ok());
        let passed = entry.map_or_else(AuditHead::default, |entry| AuditHead::behind(&entry));
        if let Some(reader) = &mut self.reader {
            reader.audit_broken = passed != head;
        }
        let (in_carrier, in_reader) = self.boots;
        let paired = in_carrier.this == in_reader.this
            || !in_reader.done && in_carrier.this == in_reader.before;
        if self.carrier.membership.is_some() && !paired {
            self.must_roll = true;
        }
        let this = self.entropy.draw();
        let before = if in_reader.done { in_reader.this } else { in_carrier.this };
        let mark = move |table, done| {
            let mut batch = Batch::default();
            batch.put(table, key::BOOT, codec::encode(&Boot { this, before, done }));
            batch
        };
        self.boots.0 = Boot { this, before, done: true };
        self.persist(StoreKind::Reader, mark(Table::ReaderMeta, false), move |node| {
            node.persist(StoreKind::Carrier, mark(Table::CarrierMeta, true), move |node| {
                let mut batch = mark(Table::ReaderMeta, true);
                node.audit(&mut batch, Action::Unlocked, String::new());
                node.persist(StoreKind::Reader, batch, Self::reader_opened);
            });
        });
    }

    fn reader_opened(&mut self) {
        let now = self.now.millis;
        let Some(reader) = &mut self.reader else { return };
        reader.opening = false;
        reader.busy = false;
        reader.pending_since = (!reader.pending.is_empty()).then_some(now);
        self.open_grants();
        self.list_unread();
        if self.must_roll {
            self.begin_anew();
        } else if core::mem::take(&mut self.must_recover) {
            self.carrier.tasks.push_front(Task::Recover);
        }
        self.must_catch_up();
        self.refile_waiting();
        self.review();
        self.follow_erasures(&BTreeSet::new());
        if self.ready {
            self.touch_receipts();
            self.event(Event::ReaderOpened);
            for (now, input) in core::mem::take(&mut self.backlog) {
                self.now = now;
                self.dispatch(input);
            }
        } else {
            self.booted();
            self.event(Event::ReaderOpened);
        }
    }

    /// Locks the reader as soon as everything pending is sealed and nothing is under way in it.
    pub(super) fn lock(&mut self, id: CommandId) {
        match &mut self.reader {
            Some(reader) => reader.locking.push(id),
            None => self.reply(id, Reply::Locked),
        }
    }

    /// Whether the reader is being locked.
    pub(super) fn is_locking(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.locking.is_empty())
    }

    /// Locks the reader, if it is wanted and nothing holds it any more.
    pub(super) fn finish_lock(&mut self) {
        let idle = !self.carrier.busy && self.carrier.tasks.is_empty();
        if !self.is_locking() || !idle || !self.all_sealed() || self.fx.reads_reader() {
            return;
        }
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        // From here to its end it is a write of the carrier: none other may begin meanwhile.
        self.carrier.busy = true;
        self.audit_alone(Action::Locked, String::new(), |node| {
            // The carrier keeps where the trail ends.
            let mut batch = Batch::default();
            node.note_audit(&mut batch);
            node.persist(StoreKind::Carrier, batch, |node| {
                node.carrier.busy = false;
                let Some(reader) = node.reader.take() else { return };
                node.fx.forget_deliveries();
                node.fx.outputs.push_back(Output::CloseReader);
                for id in &reader.locking {
                    node.reply(*id, Reply::Locked);
                }
                node.event(Event::ReaderClosed);
            });
        });
    }

    /// Adds an entry to the audit trail, in a write of the reader.
    pub(super) fn audit(&mut self, batch: &mut Batch, action: Action, subject: String) {
        let at = self.now.stamp;
        let Some(reader) = &mut self.reader else { return };
        let AuditHead { count: number, hash: previous } = reader.audit;
        let worker = reader.worker.clone();
        let entry = AuditEntry { number, at, worker, action, subject, previous };
        reader.audit = AuditHead::behind(&entry);
        batch.put(Table::Audit, number.to_be_bytes(), codec::encode(&entry));
        batch.put(Table::ReaderMeta, key::AUDIT, codec::encode(&reader.audit));
    }

    /// Makes an entry durable, then goes on.
    pub(super) fn audit_alone(
        &mut self,
        action: Action,
        subject: String,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let mut batch = Batch::default();
        self.audit(&mut batch, action, subject);
        self.persist(StoreKind::Reader, batch, then);
    }

    /// Has the carrier remember where the audit trail ends.
    pub(super) fn note_audit(&mut self, batch: &mut Batch) {
        let sound = self.reader.as_ref().filter(|reader| !reader.audit_broken);
        let head = sound.map(|reader| reader.audit);
        if let Some(head) = head.filter(|head| *head != self.carrier.audited) {
            self.carrier.audited = head;
            batch.put(Table::CarrierMeta, key::AUDIT, codec::encode(&head));
        }
    }

    pub(super) fn show_audit(&mut self, id: CommandId, after: Option<u64>) {
        self.gather(vec![Range::all(Table::Audit)], move |node, rows| {
            let decoded = rows.iter().flatten().map(|(_, value)| codec::decode(value).ok());
            let entries: Option<Vec<AuditEntry>> = decoded.collect();
            let heads = node.reader.iter().map(|reader| reader.audit);
            let heads: Vec<AuditHead> = heads.chain([node.carrier.audited]).collect();
            let whole = entries.as_ref().is_some_and(|entries| is_whole(entries, &heads));
            let wanted = |entry: &AuditEntry| after.is_none_or(|after| entry.number > after);
            let mut entries: Vec<AuditEntry> =
                entries.unwrap_or_default().into_iter().filter(wanted).collect();
            let more = entries.len() > AUDITED_AT_ONCE;
            entries.truncate(AUDITED_AT_ONCE);
            let next = entries.last().filter(|_| more).map(|entry| entry.number);
            node.reply(id, Reply::Audited { entries, whole, next });
        });
    }
}
