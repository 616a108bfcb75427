//! What one node offers another, and in which order.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hubs, logs, links and urgent records have numbers that the run gave itself"
)]

use std::collections::VecDeque;

use huza_crdt::limits::ROOM_UNIT_BYTES;

use super::link::{Class, Link, Piece, Todo, Turn};
use super::records::{Log, mix};
use super::spans::{self, RELEASED, Span};
use super::{Run, cost};
use crate::network::strategy::Strategy;

/// Records of a log that are sent before older ones. // as `PIECE` in crdt/src/session/state.rs
const PIECE: u32 = 32;

impl Run<'_> {
    /// What two nodes have to say to each other, and the bytes of finding it out; none if they do not
    /// talk.
    pub(super) fn plan(&self, nodes: [usize; 2]) -> ([Todo; 2], Option<[u64; 2]>) {
        let [one, other] = nodes;
        let todo = [self.todo(one, other), self.todo(other, one)];
        if self.strategy == Strategy::OwnPhone {
            let talks = self.class(one, other, one).is_some();
            let news = u64::from(todo.iter().any(|todo| todo.class().is_some()));
            return (todo, talks.then(|| cost::beside(news)));
        }
        (todo, Some(cost::beside(self.differing(one, other))))
    }

    /// Logs and statements that two nodes do not know the same of.
    fn differing(&self, one: usize, other: usize) -> u64 {
        let (a, b) = (&self.nodes[one], &self.nodes[other]);
        let mut count = a.had.differing(&b.had);
        for shelf in &a.shelves {
            let theirs = b.shelf(shelf.hub as usize);
            if theirs.is_none_or(|theirs| theirs.print != shelf.print) {
                count += spans::differing(&shelf.spans, theirs.map_or(&[], |theirs| &theirs.spans));
            }
        }
        let only = b.shelves.iter().filter(|shelf| a.shelf(shelf.hub as usize).is_none());
        count += only.map(|shelf| spans::differing(&shelf.spans, &[])).sum::<u64>();
        count + self.statements(one, other).0 + self.statements(other, one).0
    }

    fn todo(&self, from: usize, to: usize) -> Todo {
        let (ours, theirs) = (&self.nodes[from], &self.nodes[to]);
        let mut todo = Todo::default();
        let mut missing = Vec::new();
        if self.strategy != Strategy::Huza {
            for shelf in &ours.shelves {
                if theirs.shelf(shelf.hub as usize).is_none_or(|theirs| theirs.print != shelf.print)
                {
                    let theirs = theirs.spans(shelf.hub as usize);
                    let offered = |span: &Span| self.offers(span, from, to);
                    spans::missing(&shelf.spans, theirs, offered, &mut missing);
                }
            }
            todo.kept = pieces(missing, &self.logs, false, |log| (false, log));
            return todo;
        }
        todo.urgent = ours.offered.without(&theirs.had).into();
        todo.statements = self.statements(from, to).0 > 0;
        let held = |span: &Span| span.mark != RELEASED;
        spans::missing(ours.spans(theirs.home), theirs.spans(theirs.home), held, &mut missing);
        let village = theirs.village;
        let carried =
            |log: u32| village.is_some_and(|village| self.homes[log as usize].village != village);
        todo.kept =
            pieces(core::mem::take(&mut missing), &self.logs, true, |log| (carried(log), log));
        if self.room(to) > 0 {
            for shelf in ours.shelves.iter().filter(|shelf| shelf.hub as usize != theirs.home) {
                spans::missing(&shelf.spans, theirs.spans(shelf.hub as usize), held, &mut missing);
            }
            // Ids of logs are hashes: no centre's logs are before all others.
            let order = |log: u32| (false, (mix(u64::from(log)) >> 32) as u32);
            todo.borrowed = pieces(missing, &self.logs, true, order);
        }
        todo
    }

    /// Bytes that a node still carries for other health centres, as it tells others.
    fn room(&self, node: usize) -> u64 {
        let room = self.place.carry_bytes.saturating_sub(self.nodes[node].borrowed);
        room / ROOM_UNIT_BYTES * ROOM_UNIT_BYTES
    }

    /// What a record of a phone is to a node, if another offers it.
    pub(super) fn class(&self, from: usize, to: usize, phone: usize) -> Option<Class> {
        let home = self.homes.get(phone).map(|home| self.homes.len() + home.hub)?;
        let offered = match self.strategy {
            Strategy::OwnPhone => from == phone && to == home,
            Strategy::Epidemic | Strategy::SprayAndWait { .. } => true,
            Strategy::Prophet => {
                let likely = |node: usize| self.nodes[node].likely.of(home);
                to == home || from != home && likely(to) > likely(from)
            }
            Strategy::Huza if !self.keeps(to, phone) => return Some(Class::Borrowed),
            Strategy::Huza => true,
        };
        offered.then_some(Class::Kept)
    }

    /// Whether a node offers a span to another.
    fn offers(&self, span: &Span, from: usize, to: usize) -> bool {
        let phone = span.log as usize;
        match self.strategy {
            Strategy::Huza => span.mark != RELEASED,
            // Who has one copy gives it to the hub only, and the hub keeps it.
            Strategy::SprayAndWait { .. } => {
                let hub = self.homes.len() + self.homes[phone].hub;
                to == hub || span.mark > 1
            }
            _ => self.class(from, to, phone).is_some(),
        }
    }

    /// Takes off what one side has to say what is said next, up to so many bytes; none if there is
    /// nothing left.
    pub(super) fn fill(&self, link: &mut Link, way: usize, most: u64) -> Option<Turn> {
        let (from, to) = (link.nodes[way], link.nodes[1 - way]);
        while let Some(class) = link.todo[way].class() {
            let mut turn = self.turn(way, class, 0);
            let todo = &mut link.todo[way];
            match class {
                Class::Compare => {}
                Class::Urgent => self.fill_urgent(todo, &mut turn, (from, to), most),
                Class::Statements => {
                    todo.statements = false;
                    turn.bytes = self.statements(from, to).1;
                    turn.front = turn.bytes;
                }
                Class::Fresh | Class::Kept | Class::Borrowed => {
                    self.fill_pieces(todo.pieces(class), &mut turn, (from, to), most);
                }
            }
            if turn.bytes > 0 || !turn.pieces.is_empty() || !turn.urgent.is_empty() {
                return Some(turn);
            }
        }
        None
    }

    fn fill_urgent(&self, todo: &mut Todo, turn: &mut Turn, (from, to): (usize, usize), most: u64) {
        let (ours, theirs) = (&self.nodes[from], &self.nodes[to]);
        while let Some(number) = todo.urgent.pop_front() {
            if ours.offered.has(number) && !theirs.had.has(number) {
                let bytes = self.urgent[number as usize].bytes;
                turn.urgent.push((number, bytes));
                turn.bytes += bytes;
                if turn.bytes >= most {
                    return;
                }
            }
        }
    }

    fn fill_pieces(
        &self,
        queue: &mut VecDeque<Piece>,
        turn: &mut Turn,
        (from, to): (usize, usize),
        most: u64,
    ) {
        let mut most = most;
        if turn.class == Class::Borrowed {
            most = most.min(self.room(to));
            if most == 0 {
                queue.clear();
                return;
            }
        }
        let (mut parts, mut gaps) = (Vec::new(), Vec::new());
        let mut front = Vec::new();
        while let Some((number, first, end)) = queue.pop_front() {
            let (log, hub) = (&self.logs[number as usize], self.homes[number as usize].hub);
            let (Some(ours), theirs) = (self.nodes[from].shelf(hub), self.nodes[to].shelf(hub))
            else {
                continue;
            };
            let offered =
                ours.within(number, first, end).filter(|span| self.offers(span, from, to));
            for span in offered {
                gaps.clear();
                match theirs {
                    Some(theirs) => theirs.lacking(number, span.from, span.to, &mut gaps),
                    None => gaps.push((span.from, span.to)),
                }
                parts.extend(gaps.iter().map(|(from, to)| Span { from: *from, to: *to, ..span }));
            }
            let is_new =
                || theirs.is_none_or(|one| one.within(number, 0, u32::MAX).next().is_none());
            if !parts.is_empty() && front.last() != Some(&number) && is_new() {
                front.push(number);
                turn.front += cost::OPENING;
                turn.bytes += cost::OPENING;
            }
            for part in parts.drain(..) {
                let mut to =
                    log.end_within(part.from, most.saturating_sub(turn.bytes)).min(part.to);
                if to == part.from && turn.pieces.is_empty() {
                    // At least one, however long it is.
                    to += 1;
                }
                if part.from < to {
                    turn.pieces.push(Span { to, ..part });
                    turn.bytes += log.bytes(part.from, to);
                }
                if to < part.to {
                    queue.push_front((number, to, end));
                    return;
                }
            }
        }
    }

    /// A node has got some records: they are news to those it is in contact with.
    pub(super) fn spread(&mut self, node: usize, pieces: &[Piece]) {
        if pieces.is_empty() {
            return;
        }
        for number in self.nodes[node].links.clone() {
            let Some(mut link) = self.links[number].take() else { continue };
            let way = link.way(node);
            let to = link.nodes[1 - way];
            for piece in pieces.iter().rev() {
                let todo = &mut link.todo[way];
                let phone = piece.0 as usize;
                let village = self.nodes[to].village;
                let reads = village.is_none_or(|village| self.homes[phone].village == village);
                match self.class(node, to, phone) {
                    Some(_) if self.strategy != Strategy::Huza => todo.kept.push_back(*piece),
                    Some(Class::Kept) if reads => todo.fresh.push_front(*piece),
                    Some(Class::Kept) => todo.kept.push_front(*piece),
                    Some(Class::Borrowed) if self.room(to) > 0 => todo.borrowed.push_front(*piece),
                    _ => {}
                }
            }
            self.links[number] = Some(link);
        }
    }

    /// The same for urgent ones: they cut short what is being said.
    pub(super) fn spread_urgent(&mut self, node: usize, numbers: &[u32]) {
        if numbers.is_empty() {
            return;
        }
        for number in self.nodes[node].links.clone() {
            let Some(link) = &mut self.links[number] else { continue };
            let way = link.way(node);
            let to = link.nodes[1 - way];
            let before = link.todo[way].urgent.len();
            let theirs = &self.nodes[to].had;
            link.todo[way].urgent.extend(numbers.iter().filter(|number| !theirs.has(**number)));
            if link.todo[way].urgent.len() > before {
                self.shorten(to);
            }
        }
        self.shorten(node);
    }
}

/// Cuts spans into pieces: those that come first of all logs, then those behind them. `order` gives
/// whether a log waits for others, and its place. What is urgent goes by itself, so that what was
/// written before it and after it is two pieces, if the newest go first.
fn pieces(
    missing: Vec<Span>,
    logs: &[Log],
    newest_first: bool,
    order: impl Fn(u32) -> (bool, u32),
) -> VecDeque<Piece> {
    let mut pieces = Vec::with_capacity(missing.len());
    let (mut log, mut age) = (u32::MAX, 0);
    let mut cut = |span: &Span| {
        if span.log != log {
            (log, age) = (span.log, 0_u32);
        }
        let (waits, place) = order(log);
        let (mut from, mut to) = (span.from, span.to);
        while from < to {
            let piece = if newest_first {
                let start = to.saturating_sub(PIECE).max(from).max(logs[log as usize].begins(to));
                (start, core::mem::replace(&mut to, start))
            } else {
                let end = (from + PIECE).min(to);
                (core::mem::replace(&mut from, end), end)
            };
            pieces.push((waits, age, place, (log, piece.0, piece.1)));
            age += 1;
        }
    };
    if newest_first {
        missing.iter().rev().for_each(&mut cut);
    } else {
        missing.iter().for_each(&mut cut);
    }
    pieces.sort_unstable();
    pieces.into_iter().map(|(_, _, _, piece)| piece).collect()
}
