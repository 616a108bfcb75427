//! Forks: what is done where an author signed two histories of a log. The proof freezes the log from
//! there on; if an authority has named the end of the true one, that comes in and displaces the other.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::Event;
use super::check::Checked;
use super::ingest::Change;
use super::state::{Task, log_key, read_log_key};
use crate::codec;
use crate::crypto::Signature;
use crate::envelope::{ForkProof, Header, Stored};
use crate::holdings::Held;
use crate::id::{Hash, LogId};
use crate::store::{Range, Row, Table};

impl Node {
    /// Frozen logs of which these envelopes bring the true history, while something else is held
    /// in its place.
    pub(super) fn displaced_by<'a>(
        &self,
        envelopes: impl Iterator<Item = &'a Checked>,
    ) -> BTreeSet<LogId> {
        let Some(lane) = &self.carrier.lane else { return BTreeSet::new() };
        let displaces = |Header { log, seq, .. }: &Header, hash: Hash| {
            let end = lane.cut_off(log).filter(|_| lane.is_forked(log))?;
            let held = self.carrier.holdings.logs.get(log)?;
            (held.holds_besides(end) && held.leads_to(end, *seq, hash)).then_some(*log)
        };
        envelopes.filter_map(|one| displaces(&one.header, one.hash)).collect()
    }

    /// Puts aside, as evidence, what is held of frozen logs besides their true history.
    pub(super) fn displace(
        &mut self,
        logs: BTreeSet<LogId>,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let all = |log: &LogId| Range::prefix(Table::Envelopes, log.0);
        self.gather(logs.iter().map(all).collect(), move |node, rows| {
            let mut change = node.change();
            for (log, rows) in logs.into_iter().zip(rows) {
                let held = node.carrier.holdings.logs.get(&log).cloned();
                let end = node.carrier.lane.as_ref().and_then(|lane| lane.cut_off(&log));
                let (Some(held), Some(end)) = (held, end) else { continue };
                node.put_aside(&mut change, (log, end), held, rows);
            }
            node.commit(change, then);
        });
    }

    /// Puts aside what is held of a log besides a branch. `rows`: all that is held of it.
    fn put_aside(
        &self,
        change: &mut Change,
        (log, end): (LogId, (u64, Hash)),
        mut held: Held,
        rows: Vec<Row>,
    ) {
        held.keep_branch(end);
        for (row_key, value) in rows {
            let Some((_, seq)) = read_log_key(&row_key) else { continue };
            let stored = codec::decode::<Stored>(&value).ok();
            let Some(stored) = stored.filter(|_| !held.spans.contains(seq)) else {
                continue;
            };
            let hash = stored.wire.header(log, seq, stored.previous).hash();
            change.batch.delete(Table::Envelopes, row_key.clone());
            change.batch.put(Table::Forked, [row_key.as_slice(), &hash.0].concat(), value);
            let bytes = stored.wire.bytes() as u64;
            held.bytes = held.bytes.saturating_sub(bytes);
            self.weigh(change, &log, 0_i64.saturating_sub_unsigned(bytes));
        }
        change.logs.insert(log, held);
    }

    /// Keeps an envelope of another branch beside what is held in its place. What an order erases in
    /// that place goes from it too.
    pub(super) fn keep_beside(
        &self,
        change: &mut Change,
        (log, seq): (LogId, u64),
        stored: &Stored,
    ) {
        let hash = stored.wire.header(log, seq, stored.previous).hash();
        let row_key = [log_key(log, seq).as_slice(), &hash.0].concat();
        change.batch.put(Table::Forked, row_key, codec::encode(stored));
        let lane = self.carrier.lane.iter();
        change.erasures.extend(lane.flat_map(|lane| lane.erasures_about(&log, seq)));
    }

    /// Of frozen logs whose true history is not held whole, looks whether what is wanted next was
    /// put aside: in front of a gap nobody knew that it is true, or another cut-off was in force.
    pub(super) fn seek_branches(&mut self) {
        let Some(lane) = self.carrier.lane.as_ref().filter(|lane| lane.forks() > 0) else { return };
        let logs = lane.judged_logs().into_iter().filter(|log| lane.is_forked(log));
        let wanted = logs.filter_map(|log| {
            let held = self.carrier.holdings.logs.get(&log)?;
            Some((log, held.next_of(lane.cut_off(&log)?)?))
        });
        let wanted: Vec<(LogId, (u64, Hash))> = wanted.collect();
        if wanted.is_empty() {
            return;
        }
        let ranges = wanted.iter().map(|(log, (seq, hash))| Range {
            rows_max: 1,
            ..Range::prefix(Table::Forked, [log_key(*log, *seq).as_slice(), &hash.0].concat())
        });
        self.pages(ranges.collect(), move |node, rows| {
            for ((log, _), _) in wanted.iter().zip(rows).filter(|(_, row)| !row.is_empty()) {
                node.carrier.tasks.push_back(Task::Reclaim { log: *log });
            }
        });
    }

    /// Puts back into its place what of the true history of a frozen log was put aside.
    pub(super) fn reclaim(&mut self, log: LogId) {
        let ranges = [Table::Envelopes, Table::Forked].map(|table| Range::prefix(table, log.0));
        self.gather(ranges.to_vec(), move |node, mut rows| {
            let mut change = node.change();
            let aside = rows.pop().unwrap_or_default();
            let lane = node.carrier.lane.as_ref().filter(|lane| lane.is_forked(&log));
            let end = lane.and_then(|lane| lane.cut_off(&log));
            let held = node.carrier.holdings.logs.get(&log).cloned();
            let (Some(end), Some(held)) = (end, held) else {
                return node.commit(change, |_| {});
            };
            let mut found: BTreeMap<(u64, Hash), (Vec<u8>, Stored)> = BTreeMap::new();
            for (row_key, value) in aside {
                let place = row_key.get(..row_key.len().saturating_sub(Hash::LEN));
                let Some((_, seq)) = place.and_then(read_log_key) else { continue };
                let Ok(stored) = codec::decode::<Stored>(&value) else { continue };
                let hash = stored.wire.header(log, seq, stored.previous).hash();
                found.insert((seq, hash), (row_key, stored));
            }
            if held.next_of(end).is_none_or(|next| !found.contains_key(&next)) {
                return node.commit(change, |_| {});
            }
            if held.holds_besides(end) {
                let rows = rows.pop().unwrap_or_default();
                node.put_aside(&mut change, (log, end), held.clone(), rows);
            }
            change.logs.entry(log).or_insert(held);
            while let Some((seq, hash)) = change.logs.get(&log).and_then(|held| held.next_of(end))
                && let Some((row_key, stored)) = found.remove(&(seq, hash))
            {
                let header = stored.wire.header(log, seq, stored.previous);
                change.batch.delete(Table::Forked, row_key);
                node.add_envelope(&mut change, (&header, hash), &stored, None);
            }
            node.commit(change, |_| {});
        });
    }

    /// Compares envelopes with those that are held in their places.
    pub(super) fn examine(&mut self, suspects: Vec<Checked>) {
        let exact = |one: &Checked| Range {
            rows_max: 1,
            ..Range::prefix(Table::Envelopes, log_key(one.header.log, one.header.seq))
        };
        let ranges: Vec<Range> = suspects.iter().map(exact).collect();
        if ranges.is_empty() {
            return;
        }
        self.pages(ranges, move |node, rows| {
            for (one, row) in suspects.into_iter().zip(rows) {
                let stored = row.first().and_then(|(_, value)| codec::decode::<Stored>(value).ok());
                let Some(stored) = stored else { continue };
                let Header { log, seq, .. } = one.header;
                if stored.wire.header(log, seq, stored.previous) == one.header {
                    continue;
                }
                node.event(Event::Forked { log, seq });
                let signature = one.wire.signature;
                let kept = Stored { previous: one.header.previous, wire: one.wire };
                node.carrier.tasks.push_back(Task::KeepFork { log, seq, kept: Box::new(kept) });
                node.prove_fork(seq, (one.header, signature));
            }
        });
    }

    /// A log is proven forked. If it is of this device, all that it held is published again, in a new
    /// log: the proof does not say from where on the histories differ, nor how many there are.
    pub(super) fn notice_fork(&mut self, log: LogId) {
        let opening = self.carrier.lane.as_ref().and_then(|lane| lane.opening(&log));
        let mine = self.carrier.identity.as_ref().map(|identity| identity.key().public());
        if opening.map(|opening| opening.device) == mine && mine.is_some() {
            self.begin_anew();
        }
    }

    /// Looks up our envelope that a received one contradicts, and tells everybody.
    pub(super) fn prove_fork(&mut self, ours: u64, theirs: (Header, Signature)) {
        let log = theirs.0.log;
        let exact = Range { rows_max: 1, ..Range::prefix(Table::Envelopes, log_key(log, ours)) };
        self.pages(vec![exact], move |node, rows| {
            let row = rows.into_iter().flatten().next();
            let Some(stored) = row.and_then(|(_, value)| codec::decode::<Stored>(&value).ok())
            else {
                return;
            };
            let header = stored.wire.header(log, ours, stored.previous);
            let mine = (header, stored.wire.signature);
            let earlier_first = mine.0.seq <= theirs.0.seq;
            let (one, other) = if earlier_first { (mine, theirs) } else { (theirs, mine) };
            let proof = Box::new(ForkProof { one, other });
            node.carrier.tasks.push_back(Task::ProveFork { proof });
            node.carrier.digests = None;
        });
    }
}
