//! A run in which ranges of records move, not records: whole countries.
//!
//! What is here is a model of the node's rules, not the node: what a device keeps, borrows and lets
//! go ([`huza_crdt::node`]'s `carry`), and in which order it is sent (`transfer`). A record is its
//! length. What a node holds of a log is a few spans; urgent records, which overtake, are a row of
//! bits; receipts are how many statements of each hub a node knows, since a hub numbers them and a
//! contact passes all. So a contact costs what differs, and single records are looked at where they
//! come to a hub, once.
//!
//! Where it is coarser than nodes are: a turn of the radio is a megabyte, and what has come in it goes
//! on to others when it is over; round trips take no time; hubs sign for their own health centre only,
//! and the facility's receipts come back at the centre's own hub; of a log that is borrowed also the
//! newest record may be let go; days of carrying are counted in eighths of their number, and those of
//! urgent records from their writing.
//!
//! Events happen in the order of their times, and at one time in the order of `Due`; everything else is
//! in the order of numbers. Nothing is drawn.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hubs, logs, links and urgent records have numbers that the run gave itself"
)]

mod link;
mod node;
mod offer;
mod receipts;
mod records;
mod spans;

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use huza_crdt::limits::TURN_BYTES_MAX;

use super::cost;
use super::plan::{Event, Home, Passed, Place, Plan, RecordId, Watch};
use super::strategy::Strategy;
use crate::movement::{Contact, DAY_MS, Record};
use link::{Class, Link, Piece, Turn};
use node::Node;
use receipts::Hub;
use records::{Log, Urgent, small};
use spans::{KEPT, Span};

/// Bytes of a turn in which nobody else waits. // guess: enough to see what is urgent in time is what
/// cuts a turn, not this
const ALONE_BYTES: u64 = 4 * TURN_BYTES_MAX as u64;

/// What a device went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Most bytes that it held.
    pub stored_peak: u64,
    /// Most contacts that it was in at once.
    pub at_once: u64,
}

/// Something that is to happen; in the order in which it does at one time. Who parts cannot pass on
/// what comes then; who meets can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Through { link: usize, turn: u64 },
    Down { link: usize },
    Internet { hub: usize, on: bool },
}

struct Run<'a> {
    place: &'a Place,
    homes: &'a [Home],
    strategy: Strategy,
    watch: &'a mut dyn Watch,
    wants_all: bool,
    now: u64,
    nodes: Vec<Node>,
    hubs: Vec<Hub>,
    logs: Vec<Log>,
    urgent: Vec<Urgent>,
    links: Vec<Option<Link>>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    turns: u64,
}

/// Carries out a plan, and returns what each node went through. `progress` hears of each day that is
/// over.
pub fn run(
    plan: &dyn Plan,
    strategy: Strategy,
    watch: &mut dyn Watch,
    progress: &mut dyn FnMut(u64),
) -> Vec<Load> {
    let place = plan.place();
    let phones = place.phones.iter().map(|home| Node {
        home: home.hub,
        village: Some(home.village),
        ..Node::default()
    });
    let hubs = (0..place.hubs).map(|home| Node { home, ..Node::default() });
    let mut nodes: Vec<Node> = phones.chain(hubs).collect();
    if strategy == Strategy::Huza {
        for node in &mut nodes {
            (node.known, node.followed) = (vec![0; place.hubs], vec![0; place.hubs]);
            if let Some(own) = node.known.get_mut(node.home) {
                *own = receipts::ENROLLED;
            }
        }
    }
    let mut run = Run {
        place,
        homes: &place.phones,
        strategy,
        wants_all: watch.wants_all(),
        watch,
        now: 0,
        nodes,
        hubs: Hub::all(place),
        logs: vec![Log::default(); place.phones.len()],
        urgent: Vec::new(),
        links: Vec::new(),
        free: Vec::new(),
        due: BinaryHeap::new(),
        turns: 0,
    };
    for day in 0..place.days {
        run.day(plan.day(day), (day + 1) * DAY_MS);
        progress(day);
    }
    run.now = place.days * DAY_MS;
    for link in 0..run.links.len() {
        run.down(link);
    }
    let load = |node: &Node| Load { stored_peak: node.stored_peak, at_once: node.at_once };
    run.nodes.iter().map(load).collect()
}

impl Run<'_> {
    fn day(&mut self, day: super::plan::Day, end: u64) {
        self.watch.met(&day.tallies);
        let phones = self.homes.len();
        for (node, (from, to)) in day.internet {
            if let Some(hub) = node.checked_sub(phones).filter(|hub| *hub < self.hubs.len()) {
                self.due.push(Reverse((from, Due::Internet { hub, on: true })));
                self.due.push(Reverse((to, Due::Internet { hub, on: false })));
            }
        }
        let (mut contacts, mut records) =
            (day.contacts.into_iter().peekable(), day.records.into_iter().peekable());
        loop {
            let due = self.due.peek().map(|Reverse((at, _))| *at);
            let meets = contacts.peek().map(|contact| contact.from_ms);
            let writes = records.peek().map(|record| record.at_ms);
            let Some(next) = [due, meets, writes].into_iter().flatten().min() else { break };
            if next >= end && meets.is_none() && writes.is_none() {
                break;
            }
            self.now = next;
            if due == Some(next) {
                if let Some(Reverse((_, due))) = self.due.pop() {
                    self.happen(due);
                }
            } else if meets == Some(next) {
                contacts.next().into_iter().for_each(|contact| self.up(contact));
            } else {
                records.next().into_iter().for_each(|record| self.write(&record));
            }
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Through { link, turn } => self.through(link, turn),
            Due::Down { link } => self.down(link),
            Due::Internet { hub, on } => self.internet(hub, on),
        }
    }

    fn write(&mut self, record: &Record) {
        let Some(home) = self.homes.get(record.phone) else { return };
        let phone = small(record.phone);
        let log = &mut self.logs[record.phone];
        let node = &mut self.nodes[record.phone];
        node.weigh(record.bytes, true);
        if record.danger && self.strategy == Strategy::Huza {
            let urgent = log.urgent(phone, self.now, record.bytes);
            let number = small(self.urgent.len());
            self.watch.see(Event::Written { id: urgent.id(), record: *record });
            self.urgent.push(urgent);
            node.had.flip(number);
            node.offered.flip(number);
            self.spread_urgent(record.phone, &[number]);
        } else {
            let number = log.len();
            log.append(phone, record.bytes);
            self.watch.see(Event::Written { id: log.id(phone, number), record: *record });
            let mark = match self.strategy {
                Strategy::SprayAndWait { copies } => copies,
                _ => KEPT,
            };
            let shelf = node.shelf_mut(home.hub);
            shelf.print = shelf.print.wrapping_add(log.prints(number, number + 1));
            shelf.insert(Span { log: phone, from: number, to: number + 1, mark });
            self.spread(record.phone, &[(phone, number, number + 1)]);
        }
        self.begin(record.phone);
    }

    fn up(&mut self, contact: Contact) {
        let (one, other) = contact.nodes;
        if one == other || one.max(other) >= self.nodes.len() || contact.to_ms <= self.now {
            return;
        }
        let nodes = [one, other];
        for (node, peer) in [(one, other), (other, one)] {
            self.meet(node, peer);
        }
        let rate = self.place.rates[contact.link as usize];
        let (todo, beside) = self.plan(nodes);
        let link = Link {
            contact,
            nodes,
            rate,
            todo,
            beside,
            said: [0; 2],
            carried: [0; 2],
            new: [0; 2],
            waits: self.turns,
            last: 1,
            turn: None,
        };
        let number = self.free.pop().unwrap_or(self.links.len());
        if number == self.links.len() {
            self.links.push(None);
        }
        self.links[number] = Some(link);
        self.due.push(Reverse((contact.to_ms, Due::Down { link: number })));
        for node in nodes {
            self.shorten(node);
            let node = &mut self.nodes[node];
            node.links.push(number);
            node.crowd = node.crowd.max(node.links.len());
            node.at_once = node.at_once.max(node.links.len() as u64);
        }
        nodes.into_iter().for_each(|node| self.begin(node));
    }

    /// Before a contact: what is known is brought up to date.
    fn meet(&mut self, node: usize, peer: usize) {
        match self.strategy {
            Strategy::Huza if self.nodes[node].links.is_empty() => self.let_go(node),
            Strategy::Prophet => {
                let mut theirs = self.nodes[peer].likely.clone();
                theirs.age(self.now);
                let likely = &mut self.nodes[node].likely;
                likely.age(self.now);
                likely.meet(peer, &theirs, self.now);
            }
            _ => {}
        }
    }

    fn down(&mut self, number: usize) {
        let Some(mut link) = self.links[number].take() else { return };
        let crowds = link.nodes.map(|node| self.nodes[node].crowd);
        for node in link.nodes {
            let node = &mut self.nodes[node];
            node.links.retain(|link| *link != number);
            if node.links.is_empty() {
                node.crowd = 0;
            }
            if node.busy == Some(number) {
                node.busy = None;
            }
        }
        let mut cut = link.beside.is_some();
        if let Some(mut turn) = link.turn.take() {
            cut = true;
            let passed = link.passes(self.now - turn.began_ms).min(turn.bytes);
            turn.cut(&self.logs, passed, false);
            link.said[turn.way] += passed;
            self.deliver(&mut link, &turn);
        }
        for way in [0, 1] {
            cut = cut || self.fill(&mut link, way, 1).is_some();
        }
        self.free.push(number);
        let Link { contact, said, carried, new, .. } = link;
        let host = usize::from(crowds[1] > crowds[0]);
        let passed = Passed { contact, host, bytes: said, carried, new, cut };
        self.watch.see(Event::Parted(passed));
        link.nodes.into_iter().for_each(|node| self.begin(node));
    }

    /// A turn is over.
    fn through(&mut self, number: usize, turn: u64) {
        let link = self.links[number].take();
        let Some(mut link) = link else { return };
        let Some(turn) = link.turn.take_if(|one| one.number == turn) else {
            self.links[number] = Some(link);
            return;
        };
        for node in link.nodes {
            self.nodes[node].busy = None;
        }
        (link.last, link.waits) = (turn.way, self.turns);
        match turn.class {
            Class::Compare => {
                let [one, other] = link.beside.take().unwrap_or_default();
                link.said = [link.said[0] + one, link.said[1] + other];
            }
            Class::Statements => self.tell(&link, turn.way),
            _ => {}
        }
        if turn.class != Class::Compare {
            link.said[turn.way] += turn.bytes;
        }
        self.deliver(&mut link, &turn);
        let [from, to] = [link.nodes[turn.way], link.nodes[1 - turn.way]];
        // A hub has signed for it.
        link.todo[1 - turn.way].statements |= self.statements(to, from).0 > 0;
        self.links[number] = Some(link);
        [to, from].into_iter().for_each(|node| self.begin(node));
    }

    /// Begins a turn of a node that has something to say, or is told something: what is urgent first,
    /// else with whom it waited longest.
    fn begin(&mut self, node: usize) {
        while self.nodes[node].busy.is_none() {
            let nodes = &self.nodes;
            let waiting = nodes[node].links.iter().filter_map(|number| {
                let link = self.links[*number].as_ref()?;
                if link.nodes.iter().any(|node| nodes[*node].busy.is_some()) {
                    return None;
                }
                let (class, way) = link.next()?;
                Some((class.min(Class::Kept), link.waits, *number, class, way))
            });
            let Some((_, _, number, class, way)) = waiting.min() else { return };
            let Some(mut link) = self.links[number].take() else { return };
            let others = link.nodes.iter().map(|node| self.nodes[*node].links.len());
            let most = if others.max() == Some(1) { ALONE_BYTES } else { TURN_BYTES_MAX as u64 };
            let turn = if class == Class::Compare {
                let bytes = link.beside.unwrap_or_default().iter().sum();
                Some(self.turn(0, class, bytes))
            } else {
                self.fill(&mut link, way, most)
            };
            if let Some(mut turn) = turn {
                self.turns += 1;
                turn.number = self.turns;
                let done = self.now + link.takes_ms(turn.bytes);
                self.due.push(Reverse((done, Due::Through { link: number, turn: turn.number })));
                for node in link.nodes {
                    self.nodes[node].busy = Some(number);
                }
                link.turn = Some(turn);
            }
            self.links[number] = Some(link);
        }
    }

    const fn turn(&self, way: usize, class: Class, bytes: u64) -> Turn {
        Turn {
            number: 0,
            way,
            class,
            began_ms: self.now,
            front: bytes,
            urgent: Vec::new(),
            pieces: Vec::new(),
            bytes,
        }
    }

    /// Ends the turn that a node is in, if it is not urgent, behind the record that is under way.
    fn shorten(&mut self, node: usize) {
        let Some(number) = self.nodes[node].busy else { return };
        let Some(mut link) = self.links[number].take() else { return };
        if let Some(mut turn) = link.turn.take() {
            if turn.class >= Class::Kept && link.rate.is_some() {
                let passed = link.passes(self.now - turn.began_ms);
                let rest = turn.cut(&self.logs, passed, true);
                let queue = link.todo[turn.way].pieces(turn.class);
                rest.into_iter().rev().for_each(|piece| queue.push_front(piece));
                self.turns += 1;
                turn.number = self.turns;
                let done = (turn.began_ms + link.takes_ms(turn.bytes)).max(self.now);
                self.due.push(Reverse((done, Due::Through { link: number, turn: turn.number })));
            }
            link.turn = Some(turn);
        }
        self.links[number] = Some(link);
    }

    /// What came in a turn is durable where it was told, and news there to all others. The link is
    /// not among those that are open.
    fn deliver(&mut self, link: &mut Link, turn: &Turn) {
        let (from, to) = (link.nodes[turn.way], link.nodes[1 - turn.way]);
        let mut through = turn.front;
        for (number, bytes) in &turn.urgent {
            through += bytes;
            let urgent = self.urgent[*number as usize];
            let id = urgent.id();
            let keeps = self.keeps(to, id.phone);
            let node = &mut self.nodes[to];
            node.had.flip(*number);
            // What two devices vouch for, as is known here, is not carried any further.
            let hub = self.homes[id.phone].hub;
            if keeps || node.known[hub] < urgent.witnessed {
                node.offered.flip(*number);
                node.weigh(*bytes, keeps);
            }
            link.new[1 - turn.way] += 1;
            if id.phone != from {
                link.carried[turn.way] += bytes;
            }
            let at_ms = turn.began_ms + link.takes_ms(through);
            self.arrived(to, id, at_ms);
        }
        for span in &turn.pieces {
            let phone = span.log as usize;
            let log = &self.logs[phone];
            let bytes = log.bytes(span.from, span.to);
            let keeps = self.keeps(to, phone);
            let hub = self.homes[phone].hub;
            let mark = self.mark(span, to, keeps);
            let prints = log.prints(span.from, span.to);
            let node = &mut self.nodes[to];
            node.weigh(bytes, keeps);
            let shelf = node.shelf_mut(hub);
            shelf.print = shelf.print.wrapping_add(prints);
            shelf.insert(Span { mark, ..*span });
            if !keeps {
                shelf.looked = 0;
            }
            if matches!(self.strategy, Strategy::SprayAndWait { .. }) && mark < span.mark {
                let left = span.mark - mark;
                self.nodes[from].shelf_mut(hub).mark(span.log, span.from, span.to, left);
            }
            link.new[1 - turn.way] += u64::from(span.to - span.from);
            if phone != from {
                link.carried[turn.way] += bytes;
            }
            if self.wants_all || to == self.homes.len() + hub {
                for record in span.from..span.to {
                    let log = &self.logs[phone];
                    let at = through + log.bytes(span.from, record + 1);
                    let id = log.id(span.log, record);
                    self.arrived(to, id, turn.began_ms + link.takes_ms(at));
                }
            }
            through += bytes;
        }
        let urgent: Vec<u32> = turn.urgent.iter().map(|(number, _)| *number).collect();
        if let Some(hub) = to.checked_sub(self.homes.len()) {
            self.at_hub(hub, &turn.pieces, &urgent);
        }
        let pieces: Vec<Piece> =
            turn.pieces.iter().map(|span| (span.log, span.from, span.to)).collect();
        self.spread(to, &pieces);
        self.spread_urgent(to, &urgent);
    }

    fn arrived(&mut self, node: usize, record: RecordId, at_ms: u64) {
        let home = self.homes.get(record.phone).map(|home| self.homes.len() + home.hub);
        if self.wants_all || home == Some(node) {
            self.watch.see(Event::Arrived { at_ms, record, node });
        }
    }

    /// Whether a node keeps what a phone writes for ever.
    fn keeps(&self, node: usize, phone: usize) -> bool {
        node == phone || self.homes.get(phone).is_some_and(|home| home.hub == self.nodes[node].home)
    }
}
