//! What a node holds: the ids of statements, and for each log the spans of envelopes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::control::Lane;
use crate::id::{CatchmentTag, Hash, LogId, StatementId, hash_parts, truncated};
use crate::limits::RANGES_MAX;

/// Consecutive envelopes of a log, `from` to `to` inclusive, with the hash of the last header,
/// which fixes all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First seq.
    pub from: u64,
    /// Last seq, inclusive.
    pub to: u64,
    /// Hash of the header of `to`.
    pub end: Hash,
}

impl Span {
    /// Whether `seq` is in it.
    #[must_use]
    pub const fn contains(&self, seq: u64) -> bool {
        self.from <= seq && seq <= self.to
    }
}

/// Spans of one log: ascending, apart, never adjacent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Reads received spans.
    #[must_use]
    pub fn from_received(spans: Vec<Span>) -> Option<Self> {
        let spans = Self(spans);
        spans.is_sound().then_some(spans)
    }

    /// Whether they are ascending and apart, as those of a peer or of a damaged disk may not be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let apart = |pair: &[Span]| match pair {
            [a, b] => a.to.checked_add(1).is_some_and(|next| next < b.from),
            _ => true,
        };
        self.0.windows(2).all(apart) && self.0.iter().all(|span| span.from <= span.to)
    }

    /// The spans.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// The newest of them, as many as a summary may name; what is left out counts as not held,
    /// and is at worst sent again.
    #[must_use]
    pub fn newest(&self) -> &[Span] {
        self.0.get(self.0.len().saturating_sub(RANGES_MAX)..).unwrap_or_default()
    }

    /// Whether `seq` is in one of them.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let at = self.0.partition_point(|span| span.to < seq);
        self.0.get(at).is_some_and(|span| span.from <= seq)
    }

    /// The span that begins with `seq`.
    fn starts(&self, seq: u64) -> Option<&Span> {
        let at = self.0.binary_search_by_key(&seq, |span| span.from).ok()?;
        self.0.get(at)
    }

    /// Whether `seq` is next to one of them.
    #[must_use]
    pub fn touches(&self, seq: u64) -> bool {
        let beside =
            |one: &Span| one.to.checked_add(1) == Some(seq) || seq.checked_add(1) == Some(one.from);
        self.0.iter().any(beside)
    }

    /// The greatest seq.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|span| span.to)
    }

    /// The newest of them.
    #[must_use]
    pub fn end(&self) -> Option<Span> {
        self.0.last().copied()
    }

    /// How many envelopes.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.0.iter().map(|span| span.to.abs_diff(span.from).saturating_add(1));
        counts.fold(0, u64::saturating_add)
    }

    /// Adds a span, joining it with what it touches.
    pub fn insert(&mut self, new: Span) {
        let at = self.0.partition_point(|span| span.to.saturating_add(1) < new.from);
        let mut merged = new;
        let mut end = at;
        while let Some(span) = self.0.get(end)
            && span.from <= merged.to.saturating_add(1)
        {
            merged.from = merged.from.min(span.from);
            if span.to > merged.to {
                (merged.to, merged.end) = (span.to, span.end);
            }
            end += 1;
        }
        self.0.splice(at..end, [merged]);
    }

    /// All of it, as inclusive pairs.
    #[must_use]
    pub fn whole(&self) -> Vec<(u64, u64)> {
        self.0.iter().map(|span| (span.from, span.to)).collect()
    }

    /// Which seqs of them are in front of this one; not which headers. In front of a proven fork
    /// further ones may be, so that two who hold different histories there claim the same.
    fn in_front_of(&self, seq: u64) -> Self {
        let part = |span: &Span| {
            let to = span.to.min(seq.checked_sub(1)?);
            (span.from <= to).then_some(Span { from: span.from, to, end: Hash([0; 32]) })
        };
        Self(self.0.iter().filter_map(part).collect())
    }

    /// What of them is in a span that is held whole.
    fn within(&self, whole: &Span) -> Vec<Span> {
        let parts = self.0.iter().filter(|span| whole.from <= span.to && span.from <= whole.to);
        let part = |span: &Span| {
            let (to, end) = (span.to, span.end).min((whole.to, whole.end));
            Span { from: span.from.max(whole.from), to, end }
        };
        parts.map(part).collect()
    }

    /// What is here and not in `other`, as inclusive pairs. Where both end a span at one seq
    /// with different hashes, that seq counts as missing: to send it is to prove the fork.
    #[must_use]
    pub fn without(&self, other: &Self) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        for span in &self.0 {
            // None behind the last seq there is.
            let mut next = Some(span.from);
            for theirs in &other.0 {
                let Some(from) = next else { break };
                if theirs.to < from || theirs.from > span.to {
                    continue;
                }
                if theirs.from > from {
                    missing.push((from, theirs.from - 1));
                }
                if theirs.to == span.to && theirs.end != span.end {
                    missing.push((span.to, span.to));
                }
                next = theirs.to.checked_add(1);
            }
            if let Some(from) = next.filter(|from| *from <= span.to) {
                missing.push((from, span.to));
            }
        }
        missing
    }
}

/// How a new header fits to what is held of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It belongs there.
    New,
    /// Something is held at its seq already; whether the same, only the store can tell.
    Held,
    /// It does not link with the header held at this seq.
    Unlinked(u64),
}

/// What is held of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The spans.
    pub spans: Spans,
    /// First seq of each span -> hash of the header before it, to check the link when the gap
    /// closes.
    before: BTreeMap<u64, Hash>,
    /// Which of the envelopes are urgent.
    pub urgent: BTreeSet<u64>,
    /// Hashes of the headers at seqs that judgements name, inside of spans. Looked up when a
    /// judgement comes or the node starts.
    #[serde(skip)]
    pub marks: BTreeMap<u64, Hash>,
    /// Of which only the header is held, since an order to erase named it.
    stubs: BTreeMap<u64, Stub>,
    /// First seq -> what was released: it counts as held, so that nobody brings it again, and is
    /// not here any more.
    released: BTreeMap<u64, Released>,
    /// Bytes of the envelopes that are here.
    pub bytes: u64,
}

/// Consecutive envelopes that were held, and were let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Released {
    /// Last seq, inclusive.
    to: u64,
    /// Hash of the header before the first.
    previous: Hash,
    /// Hash of the header of the last.
    end: Hash,
}

/// An envelope without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stub {
    /// Hash of the header before.
    previous: Hash,
    /// Hash of its own.
    hash: Hash,
}

impl Held {
    /// Whether a header with this seq, link and hash would fit.
    #[must_use]
    pub fn fit(&self, seq: u64, previous: Hash, hash: Hash) -> Fit {
        if self.spans.contains(seq) {
            return Fit::Held;
        }
        for span in self.spans.as_slice() {
            if span.to.checked_add(1) == Some(seq) && span.end != previous {
                return Fit::Unlinked(span.to);
            }
            if seq.checked_add(1) == Some(span.from) && self.before.get(&span.from) != Some(&hash) {
                return Fit::Unlinked(span.from);
            }
        }
        Fit::New
    }

    /// The hash of the header at `seq`, as far as it is in memory.
    #[must_use]
    pub fn hash_at(&self, seq: u64) -> Option<Hash> {
        let ends = self.spans.as_slice().iter().find(|span| span.to == seq).map(|span| span.end);
        ends.or_else(|| self.marks.get(&seq).copied())
    }

    /// The span that leads to the header with this seq and hash, cut off behind it: what is in it
    /// is what its author had signed when it signed that header.
    #[must_use]
    pub fn branch(&self, (to, end): (u64, Hash)) -> Option<Span> {
        let span = self.spans.as_slice().iter().find(|span| span.contains(to))?;
        (self.hash_at(to) == Some(end)).then_some(Span { from: span.from, to, end })
    }

    /// Whether a header is the one at the end of a branch, or the next before what is held of it.
    #[must_use]
    pub fn leads_to(&self, end: (u64, Hash), seq: u64, hash: Hash) -> bool {
        self.next_of(end) == Some((seq, hash))
    }

    /// Keeps only what is held of a branch, and what follows it without a gap.
    pub fn keep_branch(&mut self, end: (u64, Hash)) {
        let from = self.branch(end).map(|span| span.from);
        self.spans.0.retain(|span| Some(span.from) == from);
        let spans = &self.spans;
        self.before.retain(|first, _| Some(*first) == from);
        self.urgent.retain(|seq| spans.contains(*seq));
        self.marks.retain(|seq, _| spans.contains(*seq));
        self.stubs.retain(|seq, _| spans.contains(*seq));
        self.released.retain(|seq, _| spans.contains(*seq));
    }

    /// The seq and hash of the header that is wanted next of a branch: its end, then always the
    /// one before what is held of it. None if it is held from its beginning.
    #[must_use]
    pub fn next_of(&self, end: (u64, Hash)) -> Option<(u64, Hash)> {
        let Some(span) = self.branch(end) else { return Some(end) };
        Some((span.from.checked_sub(1)?, *self.before.get(&span.from)?))
    }

    /// Whether anything besides a branch is held.
    #[must_use]
    pub fn holds_besides(&self, end: (u64, Hash)) -> bool {
        let from = self.branch(end).map(|span| span.from);
        self.spans.as_slice().iter().any(|span| Some(span.from) != from)
    }

    /// Whether its spans are such as can be held.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ordered = |(one, next): ((&u64, &Released), &u64)| one.1.to < *next;
        self.spans.is_sound()
            && self.released.iter().all(|(from, run)| *from <= run.to)
            && self.released.iter().zip(self.released.keys().skip(1)).all(ordered)
    }

    /// Adds an envelope that fits.
    pub fn insert(&mut self, seq: u64, previous: Hash, hash: Hash, urgent: bool) {
        self.spans.insert(Span { from: seq, to: seq, end: hash });
        self.before.insert(seq, previous);
        // It may have closed a gap on either side.
        for from in [Some(seq), seq.checked_add(1)].into_iter().flatten() {
            if self.spans.starts(from).is_none() {
                self.before.remove(&from);
            }
        }
        if urgent {
            self.urgent.insert(seq);
        }
    }

    /// Notes that an envelope was let go. `previous` and `hash`: of the header before it, and of its
    /// own.
    pub fn release(&mut self, seq: u64, (previous, hash): (Hash, Hash), bytes: u64) {
        let mut run = (seq, Released { to: seq, previous, end: hash });
        let before = seq.checked_sub(1).and_then(|before| self.released_at(before));
        if let Some((from, before)) = before {
            run = (from, Released { to: seq, end: hash, ..before });
        }
        if let Some(after) = seq.checked_add(1).and_then(|next| self.released.remove(&next)) {
            (run.1.to, run.1.end) = (after.to, after.end);
        }
        self.released.insert(run.0, run.1);
        self.stubs.remove(&seq);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Makes a gap of what was released, to be filled again.
    pub fn reopen(&mut self) {
        for (from, run) in core::mem::take(&mut self.released) {
            let spans = core::mem::take(&mut self.spans.0);
            for span in spans {
                if run.to < span.from || span.to < from {
                    self.spans.0.push(span);
                    continue;
                }
                if span.from < from {
                    self.spans.0.push(Span { to: from - 1, end: run.previous, ..span });
                } else {
                    self.before.remove(&span.from);
                }
                if run.to < span.to {
                    self.spans.0.push(Span { from: run.to + 1, ..span });
                    self.before.insert(run.to + 1, run.end);
                }
            }
        }
        let spans = &self.spans;
        self.urgent.retain(|seq| spans.contains(*seq));
        self.marks.retain(|seq, _| spans.contains(*seq));
        self.stubs.retain(|seq, _| spans.contains(*seq));
    }

    fn released_at(&self, seq: u64) -> Option<(u64, Released)> {
        let run = self.released.range(..=seq).next_back().map(|(from, run)| (*from, *run));
        run.filter(|(_, run)| seq <= run.to)
    }

    /// Whether an envelope is here, perhaps as a stub.
    #[must_use]
    pub fn keeps(&self, seq: u64) -> bool {
        self.spans.contains(seq) && self.released_at(seq).is_none()
    }

    /// How many envelopes are here.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.spans.count() - self.released()
    }

    /// How many envelopes were released.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.released.iter().map(|(from, run)| run.to - from + 1).sum()
    }

    /// Of the envelopes between two, inclusive, those that are here.
    #[must_use]
    pub fn kept_within(&self, (from, to): (u64, u64)) -> Vec<(u64, u64)> {
        let mut kept = Vec::new();
        for span in self.spans.as_slice() {
            let (from, to) = (from.max(span.from), to.min(span.to));
            // None behind the last seq there is.
            let mut next = Some(from);
            for (start, run) in self.released.range(..=to) {
                let Some(first) = next.filter(|first| *first <= run.to) else { continue };
                if first < *start {
                    kept.push((first, start - 1));
                }
                next = run.to.checked_add(1);
            }
            kept.extend(next.filter(|next| *next <= to).map(|next| (next, to)));
        }
        kept
    }

    /// Notes that of an envelope which is held only the header is left.
    pub fn strip(&mut self, seq: u64, previous: Hash, hash: Hash) {
        self.stubs.insert(seq, Stub { previous, hash });
    }

    /// Notes that the payload is held as well.
    pub fn restore(&mut self, seq: u64) {
        self.stubs.remove(&seq);
    }

    /// Whether only the header of an envelope is held.
    #[must_use]
    pub fn is_stub(&self, seq: u64) -> bool {
        self.stubs.contains_key(&seq)
    }

    /// The same, if it is this header.
    #[must_use]
    pub fn is_stub_of(&self, seq: u64, hash: Hash) -> bool {
        self.stubs.get(&seq).is_some_and(|stub| stub.hash == hash)
    }

    /// The spans that count as held: a stub does if it is `erased`, by an order in force. Any other
    /// is a gap that its payload fills again.
    #[must_use]
    pub fn counting(&self, erased: impl Fn(u64) -> bool) -> Spans {
        let mut counting = Vec::new();
        for span in self.spans.as_slice() {
            // None behind the last seq there is.
            let mut next = Some(span.from);
            let void = self.stubs.range(span.from..=span.to).filter(|(seq, _)| !erased(**seq));
            for (seq, stub) in void {
                if let Some(from) = next.filter(|from| from < seq) {
                    counting.push(Span { from, to: seq - 1, end: stub.previous });
                }
                next = seq.checked_add(1);
            }
            if let Some(from) = next.filter(|from| *from <= span.to) {
                counting.push(Span { from, ..*span });
            }
        }
        Spans(counting)
    }
}

/// What a node holds, or claims to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Statements.
    pub statements: BTreeSet<StatementId>,
    /// Logs.
    pub logs: BTreeMap<LogId, Held>,
}

/// What a peer holds as far as it said, and what both hold in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Statements.
    pub statements: BTreeSet<StatementId>,
    /// Logs.
    pub logs: BTreeMap<LogId, Spans>,
}

impl Claims {
    /// What is held, as peers are told it. Of a log whose author signed two histories that is only
    /// what leads to the end of the true one, if an authority has named that, else what is in front
    /// of the fork: each side holds what it holds of the rest, and offers none of it.
    #[must_use]
    pub fn of(holdings: &Holdings, lane: &Lane) -> Self {
        let told = |log: &LogId, held: &Held| {
            let counting = held.counting(|seq| lane.is_erased(log, seq));
            let Some(fork) = lane.forked_at(log) else { return counting };
            let Some(end) = lane.cut_off(log) else { return counting.in_front_of(fork) };
            Spans(held.branch(end).map(|branch| counting.within(&branch)).unwrap_or_default())
        };
        let logs = holdings.logs.iter().map(|(log, held)| (*log, told(log, held)));
        Self {
            statements: holdings.statements.clone(),
            logs: logs.filter(|(_, spans)| !spans.0.is_empty()).collect(),
        }
    }

    /// Hashes over everything claimed. `catchment`: where a log is.
    #[must_use]
    pub fn digests(&self, catchment: impl Fn(&LogId) -> CatchmentTag) -> Digests {
        let mut catchments: BTreeMap<CatchmentTag, BTreeMap<&LogId, &Spans>> = BTreeMap::new();
        for (log, spans) in self.logs.iter().filter(|(_, spans)| !spans.as_slice().is_empty()) {
            catchments.entry(catchment(log)).or_default().insert(log, spans);
        }
        let digest = |logs| hash_parts("huza 2026 digest of logs", &[&codec::encode(&logs)]);
        Digests {
            statements: hash_parts("huza 2026 digest of ids", &[&codec::encode(&self.statements)]),
            catchments: catchments.into_iter().map(|(tag, logs)| (tag, digest(logs))).collect(),
        }
    }
}

/// Hashes over statements, and over what is held of the logs of each catchment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    statements: [u8; 32],
    catchments: BTreeMap<CatchmentTag, [u8; 32]>,
}

impl Digests {
    /// One for all statements and for the logs of some catchments: equal sets, equal digests.
    #[must_use]
    pub fn of(&self, some: impl Fn(&CatchmentTag) -> bool) -> [u8; 16] {
        let catchments: Vec<_> = self.catchments.iter().filter(|(tag, _)| some(tag)).collect();
        let parts = [self.statements.as_slice(), &codec::encode(&catchments)];
        truncated(hash_parts("huza 2026 digest of holdings", &parts))
    }

    /// One for everything.
    #[must_use]
    pub fn all(&self) -> [u8; 16] {
        self.of(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span { from, to, end: hash(to) }
    }

    fn hash(seq: u64) -> Hash {
        Hash([u8::try_from(seq).unwrap(); 32])
    }

    fn spans(pairs: &[(u64, u64)]) -> Spans {
        let mut spans = Spans::default();
        for (from, to) in pairs {
            spans.insert(span(*from, *to));
        }
        spans
    }

    #[test]
    fn spans_join_when_the_gap_closes() {
        assert_eq!(spans(&[(0, 1), (3, 4), (2, 2)]).as_slice(), [span(0, 4)]);
        assert_eq!(spans(&[(5, 9), (0, 1)]).count(), 7);
    }

    #[test]
    fn what_is_missing_is_exactly_what_the_other_lacks() {
        let mine = spans(&[(0, 9), (20, 25)]);
        let theirs = spans(&[(2, 3), (8, 21)]);
        assert_eq!(mine.without(&theirs), [(0, 1), (4, 7), (22, 25)]);
        assert_eq!(mine.without(&mine), []);
        assert_eq!(mine.without(&Spans::default()), [(0, 9), (20, 25)]);
    }

    #[test]
    fn a_difference_behind_equal_numbers_is_seen() {
        let mine = spans(&[(0, 5)]);
        let mut theirs = mine.clone();
        theirs.0[0].end = Hash([99; 32]);
        assert_eq!(mine.without(&theirs), [(5, 5)]);
    }

    #[test]
    fn a_filled_gap_whose_hash_disagrees_is_seen_from_both_sides() {
        let mut held = Held::default();
        held.insert(0, hash(100), hash(0), false);
        held.insert(2, hash(1), hash(2), true);
        assert_eq!(held.fit(1, hash(0), hash(1)), Fit::New);
        assert_eq!(held.fit(1, hash(7), hash(1)), Fit::Unlinked(0));
        assert_eq!(held.fit(1, hash(0), hash(7)), Fit::Unlinked(2));
        assert_eq!(held.fit(2, hash(1), hash(2)), Fit::Held);
        held.insert(1, hash(0), hash(1), false);
        assert_eq!(held.spans.as_slice(), [span(0, 2)]);
    }

    fn filled(count: u64) -> Held {
        let mut held = Held::default();
        for seq in 0..count {
            let previous = if seq == 0 { hash(100) } else { hash(seq - 1) };
            held.insert(seq, previous, hash(seq), seq % 5 == 0);
            held.bytes += 10;
        }
        held
    }

    fn let_go(held: &mut Held, seqs: &[u64]) {
        for seq in seqs {
            let previous = if *seq == 0 { hash(100) } else { hash(seq - 1) };
            held.release(*seq, (previous, hash(*seq)), 10);
        }
    }

    #[test]
    fn what_was_released_counts_as_held_and_is_not_here() {
        let mut held = filled(12);
        let_go(&mut held, &[3, 1, 2, 7, 9, 8]);
        assert_eq!((held.released(), held.bytes), (6, 60));
        assert_eq!(held.spans, spans(&[(0, 11)]));
        assert_eq!(held.kept_within((0, 11)), [(0, 0), (4, 6), (10, 11)]);
        assert_eq!(held.kept_within((2, 8)), [(4, 6)]);
        assert_eq!(held.kept_within((1, 3)), []);
        assert_eq!(held.kept_within((9, u64::MAX)), [(10, 11)]);
        assert!(held.keeps(0) && !held.keeps(1) && !held.keeps(12) && held.is_sound());
        assert_eq!(held.fit(2, hash(1), hash(2)), Fit::Held, "nobody brings it again");
    }

    #[test]
    fn what_is_left_of_an_erased_envelope_is_let_go_like_any_other() {
        let mut held = filled(3);
        held.strip(1, hash(0), hash(1));
        let_go(&mut held, &[1]);
        assert!(!held.is_stub(1) && !held.is_stub_of(1, hash(1)), "its payload does not come back");
        assert_eq!(held.counting(|_| false), spans(&[(0, 2)]));
    }

    #[test]
    fn what_was_released_and_is_wanted_again_is_a_gap_that_only_the_same_fills() {
        let mut held = filled(12);
        let_go(&mut held, &[0, 1, 4, 5, 11]);
        held.reopen();
        assert_eq!(held.spans, spans(&[(2, 3), (6, 10)]));
        assert_eq!(held.released(), 0);
        assert!(held.is_sound());
        assert_eq!(held.fit(4, hash(9), hash(4)), Fit::Unlinked(3));
        assert_eq!(held.fit(5, hash(4), hash(9)), Fit::Unlinked(6));
        assert_eq!(held.fit(1, hash(0), hash(9)), Fit::Unlinked(2));
        assert_eq!(held.urgent, BTreeSet::from([10]));
        for seq in [0, 1, 4, 5, 11] {
            let previous = if seq == 0 { hash(100) } else { hash(seq - 1) };
            assert_eq!(held.fit(seq, previous, hash(seq)), Fit::New);
            held.insert(seq, previous, hash(seq), seq % 5 == 0);
        }
        let mut whole = filled(12);
        whole.bytes = held.bytes;
        assert_eq!(held, whole);
    }

    #[test]
    fn a_stub_that_is_not_erased_is_a_gap_with_true_ends() {
        let mut held = Held::default();
        for seq in 0..6 {
            held.insert(seq, hash(seq + 100), hash(seq), false);
        }
        for seq in [0, 2, 3, 5] {
            held.strip(seq, hash(seq + 100), hash(seq));
        }
        assert_eq!(held.counting(|_| true), spans(&[(0, 5)]));
        let counting = held.counting(|seq| seq == 0);
        let ends = [(0, 1, hash(102)), (4, 4, hash(105))];
        assert_eq!(counting.as_slice(), ends.map(|(from, to, end)| Span { from, to, end }));
        assert!(counting.is_sound());
        assert!(held.is_stub_of(3, hash(3)) && !held.is_stub_of(3, hash(4)));
        held.restore(5);
        assert_eq!(held.counting(|seq| seq < 4), spans(&[(0, 5)]));
        held.insert(u64::MAX, hash(1), hash(7), false);
        held.strip(u64::MAX, hash(1), hash(7));
        assert_eq!(held.counting(|seq| seq < 4), spans(&[(0, 5)]));
    }

    #[test]
    fn received_spans_must_be_ordered_and_apart() {
        assert!(Spans::from_received(vec![span(0, 1), span(3, 4)]).is_some());
        assert!(Spans::from_received(vec![span(0, 1), span(2, 4)]).is_none());
        assert!(Spans::from_received(vec![span(3, 4), span(0, 1)]).is_none());
        assert!(Spans::from_received(vec![span(2, 1)]).is_none());
    }
}
