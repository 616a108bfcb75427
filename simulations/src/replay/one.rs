//! Links as the ONE has them, with its epidemic router; read off `EpidemicRouter`, `ActiveRouter`,
//! `MessageRouter`, `CBRConnection` and `World` of github.com/akeranen/the-one, commit c973bfb8. Queues
//! are first in, first out, and the nodes are looked at in an order that is drawn anew each time.
//!
//! The ONE looks at everybody in each step and after each event. Here a step is left out if in the last
//! one nothing began or ended, no transfer is through, and nothing happened since: it would change
//! nothing. Its clock is a sum of steps in floating point, so that steps and events that should be at one
//! time are not; times here are nanoseconds of that clock.

use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::{Arrival, Happening, Outcome, Plan, Transfers, happenings};
use crate::draw::Draw;

/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;

/// A message on its way over a link.
#[derive(Debug, Clone, Copy)]
struct Flight {
    to: usize,
    message: usize,
    done: u64,
}

/// A contact that is open, or of which the sender has not noticed yet that it is not.
#[derive(Debug, Clone)]
struct Open {
    ends: (usize, usize),
    up: bool,
    flight: Option<Flight>,
}

impl Open {
    const fn other(&self, node: usize) -> usize {
        if self.ends.0 == node { self.ends.1 } else { self.ends.0 }
    }
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Messages to give on, the oldest first.
    queue: Vec<usize>,
    /// Contacts, the oldest first.
    links: Vec<u64>,
    sending: Option<u64>,
}

/// Why a transfer did not begin.
#[derive(PartialEq, Eq)]
enum Refused {
    /// The other has it.
    Known,
    /// One of both is busy.
    Busy,
}

struct One<'a> {
    plan: &'a Plan,
    rate: u64,
    held: Held,
    nodes: Vec<Node>,
    links: BTreeMap<u64, Open>,
    /// Transfers under way: when they are through.
    through: BTreeSet<(u64, u64)>,
    next_link: u64,
    changed: bool,
    outcome: Outcome,
}

pub(super) fn run(plan: &Plan, rate: u64, step_ms: u64, seed: u64) -> Outcome {
    let mut one = One {
        plan,
        rate,
        held: Held::new(plan.nodes, plan.messages.len()),
        nodes: vec![Node::default(); plan.nodes],
        links: BTreeMap::new(),
        through: BTreeSet::new(),
        next_link: 0,
        changed: false,
        outcome: Outcome::default(),
    };
    let mut order: Vec<usize> = (0..plan.nodes).collect();
    let mut draw = Draw::new(seed, "the ONE's order");
    let mut coming = happenings(plan).into_iter().peekable();
    for step in clock(step_ms, plan.end_ms) {
        // Whether something can be different since the last step.
        let event = coming.peek().map(|(at, _)| at * NANOS);
        let through = one.through.first().map(|(at, _)| *at);
        if !one.changed && event.into_iter().chain(through).all(|at| at > step) {
            continue;
        }
        while let Some((at, happening)) = coming.next_if(|(at, _)| at * NANOS <= step) {
            one.happen(happening);
            one.look(&mut order, &mut draw, at * NANOS);
        }
        one.look(&mut order, &mut draw, step);
    }
    one.outcome
}

/// The times of the ONE's steps, in nanoseconds.
fn clock(step_ms: u64, end_ms: u64) -> impl Iterator<Item = u64> {
    #[expect(clippy::cast_precision_loss, reason = "as the ONE does")]
    let (step, end) = (step_ms as f64 / 1e3, end_ms as f64 / 1e3);
    let seconds = core::iter::successors(Some(step), move |now| Some(now + step));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below")]
    seconds.take_while(move |now| *now < end + step / 2.0).map(|now| (now * 1e9).round() as u64)
}

impl One<'_> {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Up(a, b) => {
                let link = self.next_link;
                self.next_link += 1;
                self.links.insert(link, Open { ends: (a, b), up: true, flight: None });
                for node in [a, b] {
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.links.push(link);
                    }
                }
            }
            Happening::Down(a, b) => {
                let open = |(_, open): &(&u64, &Open)| open.ends == (a, b) && open.up;
                let Some(link) = self.links.iter().find(open).map(|(link, _)| *link) else {
                    return;
                };
                for node in [a, b] {
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.links.retain(|one| *one != link);
                    }
                }
                if let Some(open) = self.links.get_mut(&link) {
                    open.up = false;
                    if open.flight.is_none() {
                        self.links.remove(&link);
                    }
                }
            }
            Happening::Write(message) => {
                let Some(from) = self.plan.messages.get(message).map(|one| one.from) else {
                    return;
                };
                self.held.put(from, message);
                if let Some(node) = self.nodes.get_mut(from) {
                    node.queue.push(message);
                }
            }
        }
    }

    /// Looks at every node once.
    fn look(&mut self, order: &mut [usize], draw: &mut Draw, now: u64) {
        self.changed = false;
        draw.shuffle(order);
        for node in order.iter().copied() {
            self.finish(node, now);
            self.begin(node, now);
        }
    }

    /// Ends the transfer that this node sends, if it is through or its contact is over.
    fn finish(&mut self, node: usize, now: u64) {
        let Some(link) = self.nodes.get(node).and_then(|node| node.sending) else { return };
        let Some(open) = self.links.get_mut(&link) else { return };
        let Some(Flight { to, message, done }) = open.flight else { return };
        let is_done = done <= now;
        if !is_done && open.up {
            return;
        }
        open.flight = None;
        if !open.up {
            self.links.remove(&link);
        }
        self.through.remove(&(done, link));
        self.changed = true;
        if let Some(node) = self.nodes.get_mut(node) {
            node.sending = None;
        }
        if !is_done {
            self.outcome.transfers.aborted += 1;
            return;
        }
        self.outcome.transfers.done += 1;
        self.held.put(to, message);
        self.outcome.arrivals.push(Arrival { at_ms: now.div_ceil(NANOS), message, node: to });
        // Who it is for does not give it on.
        if self.plan.messages.get(message).is_some_and(|one| one.to != to)
            && let Some(node) = self.nodes.get_mut(to)
        {
            node.queue.push(message);
        }
    }

    fn is_busy(&self, node: usize) -> bool {
        let flying = |link: &u64| self.links.get(link).is_some_and(|open| open.flight.is_some());
        self.nodes
            .get(node)
            .is_some_and(|one| one.sending.is_some() || one.links.iter().any(flying))
    }

    /// Begins a transfer, if one can: first what is for the other, to or from it; then anything.
    fn begin(&mut self, node: usize, now: u64) {
        let Some(Node { queue, links, .. }) = self.nodes.get(node) else { return };
        if queue.is_empty() || links.is_empty() || self.is_busy(node) {
            return;
        }
        let open = |link: &u64| {
            let other = self.links.get(link).map(|open| open.other(node))?;
            let lacks = |from, to| self.held.lacking(from, to).next().is_some();
            (lacks(node, other) || lacks(other, node)).then_some(*link)
        };
        let links: Vec<u64> = links.iter().filter_map(open).collect();
        if links.is_empty() {
            return;
        }
        let queue = queue.clone();
        let is_for = |one: &Self, message: usize, other| {
            one.plan.messages.get(message).is_some_and(|message| message.to == other)
        };
        for message in queue.iter().copied() {
            for link in links.iter().copied() {
                let other = self.links.get(&link).map(|open| open.other(node));
                let for_other = other.is_some_and(|other| is_for(self, message, other));
                if for_other && self.start(node, link, message, now).is_ok() {
                    return;
                }
            }
        }
        for link in links.iter().copied() {
            let Some(other) = self.links.get(&link).map(|open| open.other(node)) else { continue };
            if self.is_busy(other) {
                continue;
            }
            let theirs = self.nodes.get(other).into_iter().flat_map(|one| &one.queue).copied();
            let for_us: Vec<usize> = theirs.filter(|one| is_for(self, *one, node)).collect();
            if for_us.into_iter().any(|message| self.start(other, link, message, now).is_ok()) {
                return;
            }
        }
        for link in links {
            for message in queue.iter().copied() {
                match self.start(node, link, message, now) {
                    Ok(()) => return,
                    Err(Refused::Busy) => break,
                    Err(Refused::Known) => {}
                }
            }
        }
    }

    fn start(&mut self, from: usize, link: u64, message: usize, now: u64) -> Result<(), Refused> {
        let Some(open) = self.links.get(&link) else { return Err(Refused::Busy) };
        let to = open.other(from);
        if open.flight.is_some() || self.is_busy(to) {
            return Err(Refused::Busy);
        }
        if self.held.has(to, message) {
            return Err(Refused::Known);
        }
        let bytes = self.plan.messages.get(message).map_or(0, |one| one.bytes);
        let done = now + (bytes * 1_000 * NANOS).div_ceil(self.rate);
        if let Some(open) = self.links.get_mut(&link) {
            open.flight = Some(Flight { to, message, done });
        }
        self.through.insert((done, link));
        if let Some(node) = self.nodes.get_mut(from) {
            node.sending = Some(link);
        }
        let Transfers { started, .. } = &mut self.outcome.transfers;
        *started += 1;
        self.changed = true;
        Ok(())
    }
}
