//! Placeholder: locking and opening the reader.

use super::Node;
use super::api::{Command, CommandId, Output, Reply};
use super::boot::READER_TABLES;
use super::state::{Boot, Identity, Reader, Task, key};
use crate::codec;
use crate::control::Statement;
use crate::crypto::SealingPublic;
use crate::store::{Batch, Range, StoreKind, Table};
use crate::trust::recovery::{self, RecoverySlot};

impl Node {
    pub(super) fn refuse_locked(&mut self, id: CommandId, command: &Command) -> bool {
        let needs = matches!(
            command,
            Command::Init { .. }
                | Command::Request
                | Command::Join { .. }
                | Command::AddPerson { .. }
                | Command::AddVisit { .. }
                | Command::Import { .. }
                | Command::Find { .. }
                | Command::Show { .. }
                | Command::Export { .. }
                | Command::Seal
        );
        if needs && let Some(waiting) = &mut self.opening {
            waiting.push((id, command.clone()));
            return true;
        }
        let locked = self.reads && (self.reader.is_none() || !self.locking.is_empty());
        if needs && locked {
            self.refuse(id, "locked", "the reader is locked", "unlock it with `huza unlock`");
        }
        needs && locked
    }

    pub(super) fn lock(&mut self, id: CommandId) {
        if !self.reads {
            return self.refuse(id, "no_reader", "this device only carries", "nothing to lock");
        }
        if self.reader.is_none() {
            return self.reply(id, Reply::Locked);
        }
        self.locking.push(id);
    }

    pub(super) fn maybe_lock(&mut self) {
        let Some(reader) = &self.reader else { return };
        let asked = self.open_commands.iter().any(|id| !self.locking.contains(id));
        let tasks = self.carrier.tasks.iter();
        let handing =
            tasks.clone().any(|task| matches!(task, Task::Outbox { .. } | Task::Open { .. }));
        let idle = !reader.busy && !reader.delivering && reader.planned.is_none();
        if self.locking.is_empty() || asked || handing || !idle || self.carrier.busy {
            return;
        }
        if !self.all_sealed() {
            return;
        }
        self.reader = None;
        for id in core::mem::take(&mut self.locking) {
            self.reply(id, Reply::Locked);
        }
        self.fx.outputs.push_back(Output::CloseReader);
    }

    pub(super) fn reader_opened(&mut self) {
        if self.reader.is_some() || !self.reads {
            return;
        }
        self.opening = Some(Vec::new());
        self.reader = Some(Reader { busy: true, ..Reader::default() });
        let ranges = READER_TABLES.iter().map(|table| Range::all(*table)).collect();
        self.gather(ranges, |node, tables| {
            for (table, rows) in READER_TABLES.iter().zip(tables) {
                for row in rows {
                    node.boot_row(*table, row);
                }
            }
            let openings: Vec<Statement> = core::mem::take(&mut node.boot_statements);
            if let Some(lane) = &mut node.carrier.lane {
                for statement in openings {
                    if lane.admit(statement.clone()).is_ok() {
                        node.carrier.holdings.statements.insert(statement.id());
                        node.carrier.digest = None;
                    }
                }
            }
            node.open_grants();
            let (in_carrier, in_reader) = node.boots;
            let paired = in_carrier.this == in_reader.this
                || !in_reader.done && in_carrier.this == in_reader.before;
            if !paired && node.carrier.membership.is_some() {
                node.carrier.tasks.push_back(Task::Roll);
            }
            node.mark_boot(if in_reader.done { in_reader.this } else { in_carrier.this });
        });
    }

    fn mark_boot(&mut self, before: [u8; 16]) {
        let this = self.entropy.draw();
        let mark = move |table, done| {
            let mut batch = Batch::default();
            batch.put(table, key::BOOT, codec::encode(&Boot { this, before, done }));
            batch
        };
        self.persist(StoreKind::Reader, mark(Table::ReaderMeta, false), move |node| {
            node.persist(StoreKind::Carrier, mark(Table::CarrierMeta, true), move |node| {
                node.persist(StoreKind::Reader, mark(Table::ReaderMeta, true), move |node| {
                    let made = Boot { this, before, done: true };
                    node.boots = (made, made);
                    node.reader_idle();
                    if core::mem::take(&mut node.must_recover) && node.carrier.tasks.is_empty() {
                        node.recover();
                    }
                    node.refile_waiting();
                    for (id, command) in node.opening.take().into_iter().flatten() {
                        node.command(id, command);
                    }
                });
            });
        });
    }

    pub(super) fn sign_recovery(
        &mut self,
        id: CommandId,
        reply_to: SealingPublic,
        slots: Vec<RecoverySlot>,
    ) {
        let Some(key) = self.carrier.identity.as_ref().map(Identity::key) else {
            let hint = "make them with `huza init`";
            return self.refuse(id, "no_identity", "this home has no keys", hint);
        };
        let request = recovery::request(&key, reply_to, slots, self.now.stamp);
        self.reply(id, Reply::RecoverySigned { request });
    }
}
