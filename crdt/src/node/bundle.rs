//! Bundles: pages for a file that somebody carries, and pages from one. See [`crate::bundle`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Node;
use super::api::{BundleScope, CommandId, Reply, Taken};
use super::check::Parcel;
use super::state::{Source, Task};
use super::transfer::{Filled, fill_batch, range_of, take_runs};
use crate::bundle::{self, CONTEXT};
use crate::control::{Body, Home, Lane, ReceiptKind, Statement, kind};
use crate::holdings::{Claims, Spans};
use crate::id::{AreaTag, CertId, LogId, StatementId};
use crate::limits::{BATCH_BYTES_TARGET, BATCH_STATEMENTS_MAX};
use crate::session::Session;
use crate::session::frame::{Bytes, Channel, Frame, Run};
use crate::trust::Issuer;

/// A bundle that is being filled.
#[derive(Debug)]
pub(super) struct Bundle {
    /// The command that began it.
    number: CommandId,
    statements: VecDeque<StatementId>,
    runs: VecDeque<(LogId, u64, u64)>,
    next_batch: u32,
    /// Statements and envelopes that were put in.
    filled: (u64, u64),
    closed: bool,
}

impl Node {
    /// Begins a bundle, with all that this device has to say: what waits for a number gets it, and
    /// a hub signs for what has come.
    pub(super) fn begin_bundle(&mut self, id: CommandId, scope: BundleScope) {
        if self.carrier.membership.is_none() {
            return self.refuse_stranger(id);
        }
        let waits = self.carrier.own.values().any(|own| !own.outbox.is_empty());
        if waits && !self.in_doubt() && !self.must_roll {
            self.carrier.tasks.push_back(Task::Number);
        }
        if self.carrier.receipts_at.take().is_some() {
            self.carrier.tasks.push_back(Task::Receipts { of: None });
        }
        self.carrier.tasks.push_back(Task::Bundle { id, scope });
    }

    fn refuse_stranger(&mut self, id: CommandId) {
        let hint = "send its request to the authority and `huza join` the answer";
        self.refuse(id, "not_joined", "this device has not joined a programme", hint);
    }

    /// Plans what goes in, in the order in which a session would send it.
    pub(super) fn plan_bundle(&mut self, id: CommandId, scope: &BundleScope) {
        self.carrier.busy = false;
        let claims = self.claims();
        let Some(lane) = &self.carrier.lane else { return self.refuse_stranger(id) };
        let selected = match scope {
            BundleScope::Everything => Selection::default(),
            BundleScope::Area(area) => Selection::of_area(lane, &claims, *area),
            BundleScope::MissingAt(hub) if lane.certificate(hub).is_none() => {
                let hint = "`huza devices` lists those that are known here";
                return self.refuse(id, "unknown_device", "no such device is known here", hint);
            }
            BundleScope::MissingAt(hub) => Selection::missing_at(lane, *hub),
        };
        let mut statements: Vec<StatementId> =
            claims.statements.difference(&selected.statements_left_out).copied().collect();
        lane.sort_for_sending(&mut statements);
        // The same plan as for a peer who holds just what is left out.
        let channel = Channel { binding: [0; 32], dialer: true };
        let mut session = Session::new(channel, self.now.millis, Arc::default());
        session.home = Home::everything();
        for (log, spans) in selected.envelopes_left_out {
            session.theirs.has_of(log, spans);
        }
        session.plan(&claims, &self.carrier.holdings, lane);
        let mut runs = session.todo.urgent;
        runs.append(&mut session.todo.routine);
        let envelopes = runs.iter().map(|(_, from, to)| to - from + 1).sum();
        let count = statements.len() as u64;
        self.bundle = Some(Bundle {
            number: id,
            statements: statements.into(),
            runs,
            next_batch: 0,
            filled: (0, 0),
            closed: false,
        });
        self.reply(id, Reply::BundleBegun { bundle: id.0, statements: count, envelopes });
    }

    /// Answers the next page of the bundle that is being filled.
    pub(super) fn next_page(&mut self, id: CommandId, number: u64) {
        let Some(bundle) = self.bundle.take_if(|bundle| bundle.number.0 == number) else {
            let message = "this bundle is not being filled any more";
            return self.refuse(id, "unknown_bundle", message, "begin again");
        };
        self.fill_page(id, bundle);
    }

    fn fill_page(&mut self, id: CommandId, mut bundle: Bundle) {
        if !bundle.statements.is_empty() {
            let statements = self.next_statements(&mut bundle.statements);
            if !statements.is_empty() {
                return self.finish_batch(id, bundle, statements, Vec::new());
            }
        }
        let wanted = take_runs(&mut bundle.runs);
        if !wanted.is_empty() {
            let ranges = wanted.iter().map(range_of).collect();
            return self.pages(ranges, move |node, rows| {
                let Filled { runs, later, .. } = fill_batch(BATCH_BYTES_TARGET, wanted, rows);
                for run in later.into_iter().rev() {
                    bundle.runs.push_front(run);
                }
                if runs.is_empty() {
                    // What was held is held no more.
                    return node.fill_page(id, bundle);
                }
                let statements = node.needed_by(&runs);
                node.finish_batch(id, bundle, statements, runs);
            });
        }
        if core::mem::replace(&mut bundle.closed, true) {
            return self.reply(id, Reply::BundlePage { page: None });
        }
        let (statements, envelopes) = bundle.filled;
        self.finish_page(id, bundle, &Frame::Totals { statements, envelopes });
    }

    fn next_statements(&self, queue: &mut VecDeque<StatementId>) -> Vec<Bytes> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES_TARGET
            && batch.len() < BATCH_STATEMENTS_MAX
            && let Some(id) = queue.pop_front()
        {
            let statement = self.carrier.lane.as_ref().and_then(|lane| lane.statement(&id));
            if let Some(statement) = statement.map(Statement::to_bytes) {
                bytes += statement.len();
                batch.push(Bytes(statement));
            }
        }
        batch
    }

    /// Certificates and openings of these logs: they travel with every batch, so that each can be
    /// used although another is lost.
    fn needed_by(&self, runs: &[Run]) -> Vec<Bytes> {
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        let mut ids: Vec<StatementId> =
            runs.iter().flat_map(|run| lane.needed_by_log(&run.log)).collect();
        let mut told = BTreeSet::new();
        ids.retain(|id| told.insert(*id));
        let statements = ids.iter().filter_map(|id| lane.statement(id));
        statements.map(|statement| Bytes(statement.to_bytes())).collect()
    }

    fn finish_batch(
        &mut self,
        id: CommandId,
        mut bundle: Bundle,
        statements: Vec<Bytes>,
        runs: Vec<Run>,
    ) {
        let number = bundle.next_batch;
        bundle.next_batch += 1;
        bundle.filled.0 += statements.len() as u64;
        bundle.filled.1 += runs.iter().map(|run| run.envelopes.len() as u64).sum::<u64>();
        self.finish_page(id, bundle, &Frame::Batch { number, statements, runs });
    }

    fn finish_page(&mut self, id: CommandId, bundle: Bundle, frame: &Frame) {
        let entropy = self.entropy.draw();
        let Some(membership) = &self.carrier.membership else { return self.refuse_stranger(id) };
        let sealed = membership.member.seal(CONTEXT, &crate::codec::encode(frame), entropy);
        // If another was begun meanwhile, that one is filled.
        self.bundle.get_or_insert(bundle);
        self.reply(id, Reply::BundlePage { page: Some(bundle::page(&sealed)) });
    }

    /// Takes in what is sealed in one page: checked like any batch of a session, and answered when
    /// it is durable.
    pub(super) fn take_page(&mut self, id: CommandId, sealed: &[u8]) {
        let Some(membership) = &self.carrier.membership else { return self.refuse_stranger(id) };
        let Ok(plain) = membership.member.open(CONTEXT, sealed) else {
            let message = "it was not sealed by a member of this programme";
            let hint = "nothing of it was taken; bring a bundle of this programme";
            return self.refuse(id, "foreign_page", message, hint);
        };
        let (number, statements, runs) = match Frame::from_bytes(&plain) {
            Ok(Frame::Batch { number, statements, runs }) => (number, statements, runs),
            Ok(Frame::Totals { statements, envelopes }) => {
                let totals = Some((statements, envelopes));
                let taken = Taken { totals, ..Taken::default() };
                return self.reply(id, Reply::PageTaken(Box::new(taken)));
            }
            _ => return self.refuse_page(id),
        };
        let statements = statements.iter().map(|bytes| Statement::from_bytes(&bytes.0)).collect();
        let Ok(statements) = statements else { return self.refuse_page(id) };
        if runs.iter().any(|run| run.first.checked_add(run.envelopes.len() as u64).is_none()) {
            return self.refuse_page(id);
        }
        let from = Source::Bundle(id);
        self.take_in(Parcel { from, number, bytes: 0, statements, runs });
    }

    fn refuse_page(&mut self, id: CommandId) {
        let hint = "nothing of it was taken; have the bundle made again";
        self.refuse(id, "malformed_page", "a part of it does not hold what it should", hint);
    }
}

/// What of all that is held does not go into a bundle.
#[derive(Debug, Default)]
struct Selection {
    statements_left_out: BTreeSet<StatementId>,
    envelopes_left_out: BTreeMap<LogId, Spans>,
}

impl Selection {
    /// Only envelopes of one area, without what speaks of others', but for what its orders need.
    fn of_area(lane: &Lane, claims: &Claims, area: AreaTag) -> Self {
        let elsewhere = |log: &LogId| lane.opening(log).is_none_or(|one| one.area != area);
        let about = |statement: &Statement| log_of(statement).is_some_and(|log| elsewhere(&log));
        let (about, others): (Vec<_>, Vec<_>) =
            lane.statements().partition(|(_, statement)| about(statement));
        let mut left_out: BTreeSet<StatementId> = about.into_iter().map(|(id, _)| *id).collect();
        for (_, statement) in others {
            for needed in lane.needed_by_statement(statement) {
                left_out.remove(&needed);
            }
        }
        let logs = claims.logs.iter().filter(|(log, _)| elsewhere(log));
        Self {
            statements_left_out: left_out,
            envelopes_left_out: logs.map(|(log, spans)| (*log, spans.clone())).collect(),
        }
    }

    /// Without what a hub has signed that it stores, and what it said itself.
    fn missing_at(lane: &Lane, hub: CertId) -> Self {
        let mut vouched: BTreeMap<LogId, Spans> = BTreeMap::new();
        for (issuer, _, receipt) in lane.receipts() {
            let counts = issuer == Issuer::Certified(hub) && lane.is_weighty(hub, receipt);
            if counts && receipt.kind == ReceiptKind::Stored {
                let spans = vouched.entry(receipt.log).or_default();
                receipt.ranges.iter().for_each(|range| spans.insert(range.span()));
            }
        }
        let known = |one: &Statement| {
            let opened = one.kind() == kind::OPENING && vouched.contains_key(&one.log());
            opened || one.issuer() == Issuer::Certified(hub)
        };
        let statements = lane.statements().filter(|(_, one)| known(one)).map(|(id, _)| *id);
        Self { statements_left_out: statements.collect(), envelopes_left_out: vouched }
    }
}

/// The log that a statement speaks of, of those that nothing else leans on.
fn log_of(statement: &Statement) -> Option<LogId> {
    match Body::read(statement.kind(), statement.body()).ok()? {
        Body::Opening(_) => Some(statement.log()),
        Body::Receipt(receipt) => Some(receipt.log),
        Body::ForkProof(proof) => Some(proof.log()),
        _ => None,
    }
}
