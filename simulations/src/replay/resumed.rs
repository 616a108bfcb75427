//! Links on which transfers are resumed: a message goes in batches of half a second of the link, and
//! what has arrived of it is not sent again, whoever sends the rest. What is for the other goes first, then
//! that of which the fewest bytes are left, then the newest. A node takes part in one batch at a time, with
//! those that it is in contact with by turns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::held::Held;
use super::{Arrival, Happening, Outcome, Plan, happenings};

/// Bytes of a batch: half a second of the link, within these. // as in `session/pace.rs` of the node
const BATCH_BYTES: core::ops::RangeInclusive<u64> = 2_000..=64_000;

/// A batch under way: message -> bytes of it that are here when the batch is.
struct Batch {
    from: usize,
    to: usize,
    parts: Vec<(usize, u64)>,
    done_ms: u64,
}

struct Resumed<'a> {
    plan: &'a Plan,
    rate: u64,
    held: Held,
    /// Bytes that a node has of a message that it has not whole.
    parts: BTreeMap<(usize, usize), u64>,
    /// Node -> those it is in contact with, who waited longest first.
    links: Vec<VecDeque<usize>>,
    /// Whom a node exchanges a batch with.
    busy: Vec<Option<usize>>,
    /// By their two nodes, the lower first.
    batches: BTreeMap<(usize, usize), Batch>,
    through: BTreeSet<(u64, (usize, usize))>,
    outcome: Outcome,
}

pub(super) fn run(plan: &Plan, rate: u64) -> Outcome {
    let mut all = Resumed {
        plan,
        rate,
        held: Held::new(plan.nodes, plan.messages.len()),
        parts: BTreeMap::new(),
        links: vec![VecDeque::new(); plan.nodes],
        busy: vec![None; plan.nodes],
        batches: BTreeMap::new(),
        through: BTreeSet::new(),
        outcome: Outcome::default(),
    };
    for (at, happening) in happenings(plan) {
        all.until(at);
        all.happen(happening, at);
    }
    all.until(plan.end_ms);
    all.outcome
}

impl Resumed<'_> {
    /// Ends the batches that are through by then.
    fn until(&mut self, at: u64) {
        while let Some((done, pair)) = self.through.first().copied().filter(|(done, _)| *done <= at)
        {
            self.through.pop_first();
            let Some(Batch { from, to, parts, .. }) = self.batches.remove(&pair) else { continue };
            self.outcome.transfers.done += 1;
            for (message, bytes) in parts {
                let whole = self.plan.messages.get(message).is_some_and(|one| one.bytes <= bytes);
                if whole {
                    self.parts.remove(&(to, message));
                    self.held.put(to, message);
                    self.outcome.arrivals.push(Arrival { at_ms: done, message, node: to });
                } else {
                    self.parts.insert((to, message), bytes);
                }
            }
            self.free(pair);
            // Who got something gives next.
            self.begin(to, done);
            self.begin(from, done);
        }
    }

    fn free(&mut self, (a, b): (usize, usize)) {
        for node in [a, b] {
            if let Some(busy) = self.busy.get_mut(node) {
                *busy = None;
            }
        }
    }

    fn happen(&mut self, happening: Happening, now: u64) {
        match happening {
            Happening::Up(a, b) => {
                for (one, other) in [(a, b), (b, a)] {
                    if let Some(links) = self.links.get_mut(one) {
                        links.push_back(other);
                    }
                }
                self.begin(a, now);
            }
            Happening::Down(a, b) => {
                for (one, other) in [(a, b), (b, a)] {
                    let Some(links) = self.links.get_mut(one) else { continue };
                    if let Some(at) = links.iter().position(|node| *node == other) {
                        links.remove(at);
                    }
                }
                let still = self.links.get(a).is_some_and(|links| links.contains(&b));
                if !still && let Some(batch) = self.batches.remove(&(a, b)) {
                    self.through.remove(&(batch.done_ms, (a, b)));
                    self.outcome.transfers.aborted += 1;
                    self.free((a, b));
                    self.begin(a, now);
                    self.begin(b, now);
                }
            }
            Happening::Write(message) => {
                let Some(from) = self.plan.messages.get(message).map(|one| one.from) else {
                    return;
                };
                self.held.put(from, message);
                self.begin(from, now);
            }
        }
    }

    fn is_free(&self, node: usize) -> bool {
        self.busy.get(node).is_some_and(Option::is_none)
    }

    /// Begins a batch of this node with whoever waited longest, if there is something to say.
    fn begin(&mut self, node: usize, now: u64) {
        if !self.is_free(node) {
            return;
        }
        let links: Vec<usize> = self.links.get(node).into_iter().flatten().copied().collect();
        for other in links.into_iter().filter(|other| self.is_free(*other)) {
            let directions = [(node, other), (other, node)];
            let found = directions.into_iter().find_map(|(from, to)| {
                let parts = self.batch(from, to);
                (!parts.is_empty()).then_some((from, to, parts))
            });
            if let Some((from, to, parts)) = found {
                return self.start(from, to, parts, now);
            }
        }
    }

    /// What goes next from one node to another.
    fn batch(&self, from: usize, to: usize) -> Vec<(usize, u64)> {
        let mut lacking: Vec<usize> = self.held.lacking(from, to).collect();
        let rank = |index: &usize| {
            let message = self.plan.messages.get(*index);
            message.map(|one| (one.to != to, self.left(to, *index), core::cmp::Reverse(one.at_ms)))
        };
        lacking.sort_by_key(rank);
        let mut room = (self.rate / 2).clamp(*BATCH_BYTES.start(), *BATCH_BYTES.end());
        let mut parts = Vec::new();
        for message in lacking {
            let more = self.left(to, message).min(room);
            let known = self.parts.get(&(to, message)).copied().unwrap_or_default();
            parts.push((message, known + more));
            room -= more;
            if room == 0 {
                break;
            }
        }
        parts
    }

    /// Bytes that a node has not of a message.
    fn left(&self, node: usize, message: usize) -> u64 {
        let bytes = self.plan.messages.get(message).map_or(0, |one| one.bytes);
        bytes.saturating_sub(self.parts.get(&(node, message)).copied().unwrap_or_default())
    }

    fn start(&mut self, from: usize, to: usize, parts: Vec<(usize, u64)>, now: u64) {
        let of = |(message, bytes): &(usize, u64)| {
            bytes.saturating_sub(self.parts.get(&(to, *message)).copied().unwrap_or_default())
        };
        let bytes: u64 = parts.iter().map(of).sum();
        let done_ms = now + (bytes * 1_000).div_ceil(self.rate);
        let pair = (from.min(to), from.max(to));
        for (one, other) in [(from, to), (to, from)] {
            if let Some(busy) = self.busy.get_mut(one) {
                *busy = Some(other);
            }
            let Some(links) = self.links.get_mut(one) else { continue };
            if let Some(at) = links.iter().position(|node| *node == other) {
                links.remove(at);
                links.push_back(other);
            }
        }
        self.outcome.transfers.started += 1;
        self.through.insert((done_ms, pair));
        self.batches.insert(pair, Batch { from, to, parts, done_ms });
    }
}
