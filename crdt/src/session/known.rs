//! What a session knows of its peer's holdings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::frame::Bytes;
use crate::control::Lane;
use crate::holdings::{Claims, Span, Spans};
use crate::id::{LogId, StatementId};

/// What the peer holds, as far as it said or we sent it: what we held when we said hello, except
/// where they differ. A hundred sessions share one copy of the former.
#[derive(Debug, Default)]
pub(crate) struct Known {
    base: Arc<Claims>,
    /// Of `base`, what the peer lacks.
    lacks: BTreeSet<StatementId>,
    /// Besides `base`, what it has.
    statements: BTreeSet<StatementId>,
    /// Instead of those in `base`.
    logs: BTreeMap<LogId, Spans>,
}

impl Known {
    /// A peer that holds all of this.
    pub(crate) fn same(base: Arc<Claims>) -> Self {
        Self { base, ..Self::default() }
    }

    /// Whether it has a statement.
    pub(crate) fn has(&self, id: &StatementId) -> bool {
        self.statements.contains(id)
            || (self.base.statements.contains(id) && !self.lacks.contains(id))
    }

    /// What it has of a log.
    pub(crate) fn spans(&self, log: &LogId) -> Option<&Spans> {
        self.logs.get(log).or_else(|| self.base.logs.get(log))
    }

    /// It has these too.
    pub(crate) fn add_statements<'a>(&mut self, ids: impl IntoIterator<Item = &'a StatementId>) {
        for id in ids {
            self.lacks.remove(id);
            if !self.base.statements.contains(id) {
                self.statements.insert(*id);
            }
        }
    }

    /// It has this too.
    pub(crate) fn add_span(&mut self, log: LogId, span: Span) {
        let base = &self.base;
        let spans = self.logs.entry(log);
        spans.or_insert_with(|| base.logs.get(&log).cloned().unwrap_or_default()).insert(span);
    }

    /// A statement of ours to send, unless it has it; then it does.
    pub(crate) fn tell(&mut self, lane: &Lane, id: &StatementId) -> Option<Bytes> {
        if self.has(id) {
            return None;
        }
        self.add_statements([id]);
        // One that a later receipt has replaced is not here any more; it gets that one.
        lane.statement(id).map(|statement| Bytes(statement.to_bytes()))
    }

    /// It lacks this statement of ours.
    pub(crate) fn lacks(&mut self, id: StatementId) {
        self.lacks.insert(id);
    }

    /// It has this of a log, and no more.
    pub(crate) fn has_of(&mut self, log: LogId, spans: Spans) {
        self.logs.insert(log, spans);
    }

    /// The statements that it has named by itself.
    pub(crate) fn named_statements(&self) -> impl ExactSizeIterator<Item = &StatementId> {
        self.statements.iter()
    }

    /// The logs that it has named by itself.
    pub(crate) fn named_logs(&self) -> impl ExactSizeIterator<Item = (&LogId, &Spans)> {
        self.logs.iter()
    }

    /// Of `mine`, the statements that it lacks.
    pub(crate) fn missing_statements(&self, mine: &Arc<Claims>) -> Vec<StatementId> {
        if Arc::ptr_eq(mine, &self.base) {
            return self.lacks.iter().copied().collect();
        }
        mine.statements.iter().filter(|id| !self.has(id)).copied().collect()
    }

    /// Of `mine`, the logs of which it may lack something.
    pub(crate) fn differing_logs<'a>(
        &'a self,
        mine: &'a Arc<Claims>,
    ) -> Box<dyn Iterator<Item = (&'a LogId, &'a Spans)> + 'a> {
        if Arc::ptr_eq(mine, &self.base) {
            return Box::new(self.logs.keys().filter_map(|log| mine.logs.get_key_value(log)));
        }
        Box::new(mine.logs.iter())
    }
}
