//! Sessions: planning and sending what the peer lacks, hearing what it took.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Node;
use super::api::{Output, PipeId};
use super::check::Parcel;
use super::state::{log_key, read_log_key};
use crate::codec;
use crate::control::{Statement, kind};
use crate::envelope::{Content, Stored, Wire};
use crate::holdings::Span;
use crate::id::{LogId, StatementId};
use crate::limits::{
    BATCH_ENVELOPES_MAX, BATCH_STATEMENTS_MAX, BATCHES_IN_FLIGHT_MAX, BATCHES_ON_ANY_LINK,
    FLIGHT_BYTES_MAX,
};
use crate::session::frame::{Bytes, Frame, Run};
use crate::session::{Class, Comparing, Fault, InFlight, Phase};
use crate::store::{Range, Row, Table};

/// Envelopes that are looked up for one batch, in as many runs. // guess: a full batch of small ones;
/// what is urgent is runs of one
const ROWS_PER_BATCH: u64 = 128;

impl Node {
    /// Both summaries are known (or equal): plan, tell totals, go.
    pub(super) fn begin_transfer(&mut self, pipe: PipeId) {
        let mine = self.claims();
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.phase = Phase::Transfer;
        session.comparing = Comparing::Not;
        session.at_hello = Arc::default();
        if let Some(lane) = &self.carrier.lane {
            session.plan(&mine, &self.carrier.holdings, lane);
        }
        let chains = session.told_chain.iter().flatten().chain(&session.heard_chain);
        session.theirs.add_statements(chains);
        let missing = session.theirs.missing_statements(&mine);
        self.plan_restored(pipe, &missing);
        self.plan_statements(pipe, missing);
        self.notice_own_past(pipe);
        if self.sessions.get(&pipe).is_some_and(|session| session.promised != (0, 0)) {
            self.tell_totals(pipe);
        }
    }

    /// If some of the statements that the peer lacks shut somebody out, it may count stubs as held
    /// that will count no more once it has heard them: their payloads follow.
    fn plan_restored(&mut self, pipe: PipeId, missing: &[StatementId]) {
        let (Some(lane), Some(session)) = (&self.carrier.lane, self.sessions.get_mut(&pipe)) else {
            return;
        };
        let kind = |id| lane.statement(id).map(Statement::kind);
        if !missing.iter().any(|id| kind(id) == Some(kind::REVOCATION)) {
            return;
        }
        // Several may name the same.
        let void: BTreeSet<(LogId, u64)> =
            lane.void_erasures().flat_map(|(_, one)| self.carrier.payloads_of(one)).collect();
        for (log, seq) in void.into_iter().filter(|(log, seq)| lane.was_erased(log, *seq)) {
            let claimed = session.theirs.spans(&log).is_some_and(|spans| spans.contains(seq));
            if let Some(held) = self.carrier.holdings.logs.get(&log).filter(|_| claimed) {
                let class = session.class(lane, &log);
                session.plan_run(log, (seq, seq), class, (&held.urgent, &held.urgent));
            }
        }
    }

    /// Queues statements, those that others depend on in front.
    fn plan_statements(&mut self, pipe: PipeId, mut ids: Vec<StatementId>) {
        let Some(lane) = &self.carrier.lane else { return };
        lane.sort_for_sending(&mut ids);
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.promised.0 += ids.len() as u64;
        for id in ids {
            let Some(statement) = lane.statement(&id) else { continue };
            let todo = &mut session.todo;
            match statement.kind() {
                kind::REVOCATION | kind::ADMISSION | kind::ERASURE => {
                    // Also what waits already, behind something urgent.
                    let needed = lane.needed_by_statement(statement).into_iter();
                    todo.first.extend(needed.filter(|id| !session.theirs.has(id)));
                    todo.first.push_back(id);
                }
                kind::CERTIFICATE | kind::OPENING => todo.needed.push_back(id),
                _ => todo.statements.push_back(id),
            }
        }
    }

    /// What envelopes of these logs need and the peer lacks: their openings, and the certificates of
    /// their authors.
    fn tell_needed(&mut self, pipe: PipeId, runs: &[Run]) -> Vec<Bytes> {
        let (Some(lane), Some(session)) = (&self.carrier.lane, self.sessions.get_mut(&pipe)) else {
            return Vec::new();
        };
        let mut needed = Vec::new();
        for run in runs {
            let ids = lane.needed_by_log(&run.log);
            needed.extend(ids.iter().filter_map(|id| session.theirs.tell(lane, id)));
        }
        needed
    }

    fn tell_totals(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.complete = false;
        session.told = session.promised;
        let (statements, envelopes) = session.promised;
        self.say(pipe, &Frame::Totals { statements, envelopes });
    }

    /// Something new is durable here: it joins every open transfer whose peer lacks it.
    pub(super) fn spread(&mut self, statements: &[StatementId], envelopes: &[(LogId, u64)]) {
        let frozen = |(log, seq): &(LogId, u64)| {
            self.carrier.lane.as_ref().is_some_and(|lane| lane.is_frozen(log, *seq))
        };
        let mut grown = BTreeMap::new();
        for (log, seq) in envelopes.iter().filter(|place| !frozen(place)) {
            let Some(held) = self.carrier.holdings.logs.get(log) else { continue };
            grown.entry(*log).or_insert_with(|| (held.clone(), Vec::new())).1.push(*seq);
        }
        for pipe in self.sessions.keys().copied().collect::<Vec<_>>() {
            let Some(session) = self.sessions.get_mut(&pipe) else { continue };
            if session.phase != Phase::Transfer {
                continue;
            }
            let classes = [Class::Urgent, Class::Routine, Class::Borrowed];
            let lengths = classes.map(|class| session.todo.runs(class).len());
            let before = session.todo.routine.len();
            session.complete = false;
            let none = BTreeSet::new();
            let refused = |log: &LogId| session.refused.contains(log);
            let grown: Vec<_> = grown.iter().filter(|(log, _)| !refused(log)).collect();
            for (log, (held, seqs)) in grown {
                let known = session.theirs.spans(log);
                let lane = self.carrier.lane.as_ref();
                // What it claims to hold may be a stub that counts no more.
                let restored = |seq: u64| lane.is_some_and(|lane| lane.was_erased(log, seq));
                let lacks = |seq: &&u64| {
                    !known.is_some_and(|known| known.contains(**seq)) || restored(**seq)
                };
                let class = lane.map_or(Class::Routine, |lane| session.class(lane, log));
                let pressing = lane.map(|lane| lane.pressing(log, &held.urgent));
                let pressing = pressing.as_deref().unwrap_or(&held.urgent);
                for seq in seqs.iter().filter(lacks).copied().collect::<Vec<_>>() {
                    let urgent = held.urgent.contains(&seq);
                    let turn = lane.filter(|_| urgent).and_then(|l| session.urgent_turn(l, log));
                    let overtaking = if turn.is_some() { &held.urgent } else { &none };
                    session.plan_run(*log, (seq, seq), class, (overtaking, pressing));
                }
            }
            // What is new goes before what is old, and what its peer reads before the control lane.
            let routine = session.todo.routine.split_off(before);
            let lane = self.carrier.lane.as_ref();
            let reads = |log: &LogId| lane.is_some_and(|lane| session.reads(lane, log));
            let (read, carried): (VecDeque<_>, VecDeque<_>) =
                routine.into_iter().partition(|(log, ..)| reads(log));
            session.todo.routine.extend(carried);
            for (class, length) in classes.into_iter().zip(lengths) {
                let queue = session.todo.runs(class);
                queue.rotate_right(queue.len() - length);
            }
            session.todo.fresh.extend(read);
            let news = statements.iter().filter(|id| !session.theirs.has(id)).copied().collect();
            self.plan_statements(pipe, news);
        }
    }

    /// Sends what waits for no turn, if a batch may leave.
    pub(super) fn pump(&mut self, pipe: PipeId) {
        while self.sessions.get(&pipe).is_some_and(|one| one.may_send() && one.todo.is_pressing()) {
            self.send_next(pipe);
        }
    }

    /// Sends the next batch, or looks it up.
    pub(super) fn send_next(&mut self, pipe: PipeId) {
        while let Some(session) = self.sessions.get_mut(&pipe)
            && session.todo.next_statements().is_some()
        {
            let statements = self.take_statements(pipe);
            if !statements.is_empty() {
                return self.send_batch(pipe, statements, Vec::new());
            }
        }
        if self.sessions.get(&pipe).is_some_and(crate::session::Session::may_send) {
            self.load_runs(pipe);
        }
    }

    /// As many of the next statements as one batch holds.
    fn take_statements(&mut self, pipe: PipeId) -> Vec<Bytes> {
        let (Some(lane), Some(session)) = (&self.carrier.lane, self.sessions.get_mut(&pipe)) else {
            return Vec::new();
        };
        let full = session.pace.batch_bytes();
        let Some(queue) = session.todo.next_statements() else { return Vec::new() };
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < full
            && batch.len() < BATCH_STATEMENTS_MAX
            && let Some(id) = queue.pop_front()
        {
            let statement = session.theirs.tell(lane, &id);
            bytes += statement.as_ref().map_or(0, |statement| statement.0.len());
            batch.extend(statement);
        }
        batch
    }

    /// Looks up the next envelopes to send.
    fn load_runs(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let Some(class) = session.todo.next_class() else { return };
        let runs = take_runs(session.todo.runs(class));
        session.loading = true;
        let ranges = runs.iter().map(range_of).collect();
        self.pages(ranges, move |node, rows| node.loaded_runs(pipe, class, runs, rows));
    }

    fn loaded_runs(
        &mut self,
        pipe: PipeId,
        class: Class,
        wanted: Vec<(LogId, u64, u64)>,
        rows: Vec<Vec<Row>>,
    ) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.loading = false;
        let urgent = class == Class::Urgent;
        let refused = wanted.iter().any(|(log, ..)| session.refused.contains(log));
        let overtaken =
            !session.todo.first.is_empty() || (!urgent && !session.todo.urgent.is_empty());
        if overtaken || refused {
            // An erasure may have come meanwhile, and emptied what was looked up, or something
            // urgent: it goes first. Or the peer takes no more of a log.
            let queue = session.todo.runs(class);
            wanted.into_iter().rev().for_each(|run| queue.push_front(run));
            if refused {
                self.leave_refused(pipe);
            }
            return;
        }
        // What was let go since it was planned is offered no more.
        let rows = rows.into_iter().map(|rows| {
            let kept = |(row_key, _): &Row| {
                let held = read_log_key(row_key)
                    .and_then(|(log, seq)| Some(self.carrier.holdings.logs.get(&log)?.keeps(seq)));
                held.unwrap_or(false)
            };
            rows.into_iter().filter(kept).collect()
        });
        let rows = rows.collect();
        let Filled { runs, later, gone } = fill_batch(session.pace.batch_bytes(), wanted, rows);
        session.promised.1 = session.promised.1.saturating_sub(gone);
        let queue = session.todo.runs(class);
        for run in later.into_iter().rev() {
            queue.push_front(run);
        }
        if runs.is_empty() {
            return self.tell_totals(pipe);
        }
        let wires = runs.iter().flat_map(|run| &run.envelopes);
        if class == Class::Borrowed {
            let (envelopes, bytes) = wires
                .map(Wire::bytes)
                .fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes as u64));
            if !session.lend(envelopes, bytes) {
                return self.tell_totals(pipe);
            }
        }
        let needed = if urgent { self.tell_needed(pipe, &runs) } else { Vec::new() };
        self.send_batch(pipe, needed, runs);
    }

    fn send_batch(&mut self, pipe: PipeId, statements: Vec<Bytes>, runs: Vec<Run>) {
        if self.sessions.get(&pipe).is_some_and(|session| session.told != session.promised) {
            self.tell_totals(pipe);
        }
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let number = session.next_batch;
        session.next_batch += 1;
        let mut in_flight = InFlight { statements: statements.len() as u64, ..InFlight::default() };
        for run in &runs {
            let to = run.first + run.envelopes.len() as u64 - 1;
            let span = Span { from: run.first, to, end: end_hash(run) };
            in_flight.runs.push((run.log, span));
            session.theirs.add_span(run.log, span);
        }
        let bytes = Frame::Batch { number, statements, runs }.to_pipe();
        in_flight.departure = session.pace.depart(bytes.len(), self.now.millis);
        session.in_flight.insert(number, in_flight);
        session.sent(bytes.len());
        self.fx.outputs.push_back(Output::Send { pipe, bytes });
    }

    pub(super) fn hear_ack(&mut self, pipe: PipeId, number: u32) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let done =
            session.in_flight.remove(&number).ok_or_else(|| Fault::OutOfTurn("ack".to_owned()))?;
        session.pace.arrive(done.departure, self.now.millis);
        let envelopes = done.runs.iter().map(|(_, span)| span.to - span.from + 1);
        session.stats.envelopes_sent += envelopes.sum::<u64>();
        session.stats.statements_sent += done.statements;
        let Some(peer) = session.peer else { return Ok(()) };
        for (log, span) in done.runs {
            self.carrier.taken.entry((log, peer.device)).or_default().insert(span);
            self.carrier.taken_changed.insert((log, peer.device));
        }
        Ok(())
    }

    /// What of a batch was refused counts as neither sent nor taken, and no more of its logs leaves.
    pub(super) fn hear_refused(
        &mut self,
        pipe: PipeId,
        (number, full): (u32, bool),
        logs: &BTreeSet<LogId>,
    ) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let batch = session.in_flight.get_mut(&number);
        let batch = batch.ok_or_else(|| Fault::OutOfTurn("refused".to_owned()))?;
        let refused = batch.runs.extract_if(.., |(log, _)| logs.contains(log));
        let refused: Vec<(LogId, Span)> = refused.collect();
        if refused.is_empty() {
            return Err(Fault::OutOfTurn("refused".to_owned()));
        }
        for (log, span) in refused {
            let envelopes = span.to - span.from + 1;
            session.promised.1 = session.promised.1.saturating_sub(envelopes);
            let class = self.carrier.lane.as_ref().map(|lane| session.class(lane, &log));
            if full && class == Some(Class::Borrowed) {
                // Of what it only carries: it may still take what is urgent.
                session.lend_no_more(envelopes);
            } else {
                session.refused.insert(log);
            }
        }
        self.leave_refused(pipe);
        Ok(())
    }

    /// Leaves out what is still to be sent of logs that the peer refuses.
    fn leave_refused(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let mut left = 0;
        let todo = &mut session.todo;
        for queue in [&mut todo.urgent, &mut todo.fresh, &mut todo.routine, &mut todo.borrowed] {
            queue.retain(|(log, from, to)| {
                let stays = !session.refused.contains(log);
                left += if stays { 0 } else { to - from + 1 };
                stays
            });
        }
        session.promised.1 = session.promised.1.saturating_sub(left);
        self.tell_totals(pipe);
    }

    pub(super) fn hear_batch(
        &mut self,
        pipe: PipeId,
        number: u32,
        statements: &[Bytes],
        runs: Vec<Run>,
    ) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let full = session.owed_acks >= BATCHES_IN_FLIGHT_MAX
            || session.owed_bytes >= FLIGHT_BYTES_MAX && session.owed_acks >= BATCHES_ON_ANY_LINK;
        if number != session.expected_batch || full {
            return Err(Fault::OutOfTurn("batch".to_owned()));
        }
        let bytes = batch_bytes(statements, &runs);
        session.expected_batch += 1;
        session.owed_acks += 1;
        session.owed_bytes += bytes;
        session.complete = false;
        let statements = statements
            .iter()
            .map(|bytes| Statement::from_bytes(&bytes.0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Fault::Malformed(error.to_string()))?;
        let overflow = |run: &Run| run.first.checked_add(run.envelopes.len() as u64).is_none();
        if runs.iter().any(overflow) {
            return Err(Fault::Malformed("seq beyond its range".to_owned()));
        }
        let from = session.peer.ok_or(Fault::Unavailable)?.certificate;
        let from = super::state::Source::Session(pipe, from);
        self.take_in(Parcel { from, number, bytes, statements, runs });
        Ok(())
    }
}

/// Bytes of the statements and payloads of a batch.
fn batch_bytes(statements: &[Bytes], runs: &[Run]) -> usize {
    let payload = |wire: &Wire| match &wire.content {
        Content::Sealed(payload) => payload.len(),
        Content::Erased { .. } => 0,
    };
    let payloads = runs.iter().flat_map(|run| &run.envelopes).map(payload);
    statements.iter().map(|statement| statement.0.len()).chain(payloads).sum()
}

/// Takes off `queue` what is looked up for one batch.
pub(super) fn take_runs(queue: &mut VecDeque<(LogId, u64, u64)>) -> Vec<(LogId, u64, u64)> {
    let mut runs = Vec::new();
    let mut rows = 0;
    while let Some((log, from, to)) = queue.pop_front() {
        let end = to.min(from.saturating_add(ROWS_PER_BATCH - 1));
        if end < to {
            queue.push_front((log, end + 1, to));
        }
        rows += end - from + 1;
        runs.push((log, from, end));
        if rows >= ROWS_PER_BATCH {
            break;
        }
    }
    runs
}

/// Where the envelopes of a run are stored.
pub(super) fn range_of((log, from, to): &(LogId, u64, u64)) -> Range {
    Range {
        table: Table::Envelopes,
        from: log_key(*log, *from),
        to: Some([log_key(*log, *to).as_slice(), &[0]].concat()),
        rows_max: usize::try_from(to - from + 1).unwrap_or(usize::MAX),
    }
}

/// What was looked up for a batch.
pub(super) struct Filled {
    /// What it holds.
    pub(super) runs: Vec<Run>,
    /// What is left for later ones.
    pub(super) later: Vec<(LogId, u64, u64)>,
    /// Envelopes that are here no more.
    pub(super) gone: u64,
}

/// Fills a batch of so many bytes with what was looked up.
pub(super) fn fill_batch(
    full_bytes: usize,
    wanted: Vec<(LogId, u64, u64)>,
    rows: Vec<Vec<Row>>,
) -> Filled {
    let mut filled = Filled { runs: Vec::new(), later: Vec::new(), gone: 0 };
    let (mut bytes, mut count) = (0, 0);
    let mut full = false;
    for (run, rows) in wanted.into_iter().zip(rows) {
        let more = range_of(&run).rest(&rows).is_some();
        let (log, from, to) = run;
        // None behind the last seq there is.
        let mut next = Some(from);
        let mut run: Option<Run> = None;
        for (row_key, value) in rows {
            let Some(seq) = read_log_key(&row_key).map(|(_, seq)| seq) else { continue };
            let Ok(stored) = codec::decode::<Stored>(&value) else { continue };
            // In their order: a branch goes downwards, and each envelope leads to the next.
            full |= count >= BATCH_ENVELOPES_MAX || bytes > 0 && bytes + value.len() > full_bytes;
            if full {
                break;
            }
            if let Some(missing) = next.and_then(|next| seq.checked_sub(next)).filter(|n| *n > 0) {
                filled.gone += missing;
                filled.runs.extend(run.take());
            }
            bytes += value.len();
            count += 1;
            let run = run.get_or_insert_with(|| Run {
                log,
                first: seq,
                previous: stored.previous,
                envelopes: Vec::new(),
            });
            run.envelopes.push(stored.wire);
            next = seq.checked_add(1);
        }
        filled.runs.extend(run);
        let Some(next) = next.filter(|next| *next <= to) else { continue };
        if full || more {
            filled.later.push((log, next, to));
        } else {
            filled.gone += to - next + 1;
        }
    }
    filled
}

/// Hash of the last header of a run.
fn end_hash(run: &Run) -> crate::id::Hash {
    let mut previous = run.previous;
    for (seq, wire) in (run.first..).zip(&run.envelopes) {
        previous = wire.header(run.log, seq, previous).hash();
    }
    previous
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Signature, SigningKey};
    use crate::envelope::{Content, Urgency};
    use crate::id::{EpochId, Hash};

    fn row(seq: u64, bytes: usize) -> Row {
        let wire = Wire {
            epoch: EpochId([1; 16]),
            urgency: Urgency::Routine,
            items_root: [2; 16],
            content: Content::Sealed(vec![3; bytes]),
            signature: signature(),
        };
        let stored = Stored { previous: Hash([4; 32]), wire };
        (log_key(LogId([5; 32]), seq), codec::encode(&stored))
    }

    fn signature() -> Signature {
        SigningKey::from_seed([6; 32]).sign(crate::crypto::Purpose::Hello, b"")
    }

    /// First seqs and lengths of the runs, what is left for later, and how many are gone.
    type Seen = (Vec<(u64, usize)>, Vec<(u64, u64)>, u64);

    fn fill(full: usize, from: u64, to: u64, seqs: &[u64]) -> Seen {
        let log = LogId([5; 32]);
        let rows = seqs.iter().map(|seq| row(*seq, 100)).collect();
        let Filled { runs, later, gone } = fill_batch(full, vec![(log, from, to)], vec![rows]);
        let runs = runs.iter().map(|run| (run.first, run.envelopes.len())).collect();
        (runs, later.into_iter().map(|(_, from, to)| (from, to)).collect(), gone)
    }

    #[test]
    fn what_is_here_no_more_is_stepped_over_and_counted() {
        assert_eq!(fill(10_000, 0, 5, &[0, 1, 2, 3, 4, 5]), (vec![(0, 6)], vec![], 0));
        assert_eq!(fill(10_000, 0, 5, &[2, 3, 5]), (vec![(2, 2), (5, 1)], vec![], 3));
        assert_eq!(fill(10_000, 0, 5, &[0, 1]), (vec![(0, 2)], vec![], 4));
        assert_eq!(fill(10_000, 0, 5, &[]), (vec![], vec![], 6));
        // A full batch: what does not fit is for later, and is not gone.
        let (runs, later, gone) = fill(500, 0, 5, &[2, 3, 4, 5]);
        assert_eq!((runs, later, gone), (vec![(2, 2)], vec![(4, 5)], 2));
    }
}
