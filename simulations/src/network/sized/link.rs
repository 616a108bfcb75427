//! One contact that is open: what is still to be said in it, and what is being said.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hubs, logs, links and urgent records have numbers that the run gave itself"
)]

use std::collections::VecDeque;

use crate::movement::Contact;

use super::records::Log;
use super::spans::Span;

/// What goes first, in the order of `crdt/src/session/state.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Both find out what the other lacks.
    Compare,
    Urgent,
    /// New since the contact began, and of an area that the other reads.
    Fresh,
    Statements,
    /// Of the other's own health centre.
    Kept,
    /// Carried for others.
    Borrowed,
}

/// A part of a log: the log, the first record, behind the last.
pub(super) type Piece = (u32, u32, u32);

/// What one side has to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Todo {
    pub(super) urgent: VecDeque<u32>,
    pub(super) fresh: VecDeque<Piece>,
    /// Whether there may be statements that the other does not know.
    pub(super) statements: bool,
    pub(super) kept: VecDeque<Piece>,
    pub(super) borrowed: VecDeque<Piece>,
}

impl Todo {
    /// What comes next.
    pub(super) fn class(&self) -> Option<Class> {
        let first = |some: bool, class| some.then_some(class);
        first(!self.urgent.is_empty(), Class::Urgent)
            .or_else(|| first(!self.fresh.is_empty(), Class::Fresh))
            .or_else(|| first(self.statements, Class::Statements))
            .or_else(|| first(!self.kept.is_empty(), Class::Kept))
            .or_else(|| first(!self.borrowed.is_empty(), Class::Borrowed))
    }

    pub(super) const fn pieces(&mut self, class: Class) -> &mut VecDeque<Piece> {
        match class {
            Class::Fresh => &mut self.fresh,
            Class::Borrowed => &mut self.borrowed,
            Class::Compare | Class::Urgent | Class::Statements | Class::Kept => &mut self.kept,
        }
    }
}

/// A contact.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) contact: Contact,
    pub(super) nodes: [usize; 2],
    pub(super) rate: Option<u64>,
    /// By who says it.
    pub(super) todo: [Todo; 2],
    /// Bytes that both say before anything else.
    pub(super) beside: Option<[u64; 2]>,
    pub(super) said: [u64; 2],
    pub(super) carried: [u64; 2],
    pub(super) new: [u64; 2],
    /// Since when it waits, counted in turns that were given.
    pub(super) waits: u64,
    /// Who said something last.
    pub(super) last: usize,
    pub(super) turn: Option<Turn>,
}

impl Link {
    /// What comes next, by urgency, and who says it: both by turns.
    pub(super) fn next(&self) -> Option<(Class, usize)> {
        if self.beside.is_some() {
            return Some((Class::Compare, 0));
        }
        let ways = [1 - self.last, self.last];
        let next = ways.map(|way| self.todo[way].class().map(|class| (class, way)));
        match next {
            // What is not pressing has equal rights both ways.
            [Some((one, way)), Some((other, _))] if one.max(other) <= Class::Statements => {
                if other < one { next[1] } else { Some((one, way)) }
            }
            [Some((one, _)), Some((other, _))] if other < one && other <= Class::Statements => {
                next[1]
            }
            [first, second] => first.or(second),
        }
    }

    /// Milliseconds in which so many bytes pass.
    pub(super) fn takes_ms(&self, bytes: u64) -> u64 {
        self.rate.map_or(0, |rate| (bytes * 1_000).div_ceil(rate.max(1)))
    }

    /// Bytes that pass in so many milliseconds.
    pub(super) fn passes(&self, ms: u64) -> u64 {
        self.rate.map_or(u64::MAX, |rate| rate.saturating_mul(ms) / 1_000)
    }

    pub(super) fn way(&self, from: usize) -> usize {
        usize::from(self.nodes[0] != from)
    }
}

/// Something that is being said.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// Its number among all.
    pub(super) number: u64,
    pub(super) way: usize,
    pub(super) class: Class,
    pub(super) began_ms: u64,
    /// Bytes in front of the records.
    pub(super) front: u64,
    pub(super) urgent: Vec<(u32, u64)>,
    /// With the marks that they have where they come from.
    pub(super) pieces: Vec<Span>,
    /// Of all of it.
    pub(super) bytes: u64,
}

impl Turn {
    /// Leaves of it what is through after so many bytes: whole records; also the one that is under
    /// way, if it shall be `finished`. Returns the rest.
    pub(super) fn cut(&mut self, logs: &[Log], passed: u64, finished: bool) -> Vec<Piece> {
        let mut through = self.front;
        let mut rest = Vec::new();
        let mut over = through > passed;
        self.urgent.retain(|(_, bytes)| {
            over |= through >= passed || !finished && through + bytes > passed;
            through += if over { 0 } else { *bytes };
            !over
        });
        let mut left = Vec::with_capacity(self.pieces.len());
        for span in self.pieces.drain(..) {
            let log = &logs[span.log as usize];
            let mut end = span.from;
            if !over && through < passed {
                end = log.end_within(span.from, passed - through).min(span.to);
                let more =
                    finished && end < span.to && through + log.bytes(span.from, end) < passed;
                end += u32::from(more);
            }
            through += log.bytes(span.from, end);
            if span.from < end {
                left.push(Span { to: end, ..span });
            }
            if end < span.to {
                over = true;
                rest.push((span.log, end, span.to));
            }
        }
        self.pieces = left;
        self.bytes = through;
        rest
    }
}
