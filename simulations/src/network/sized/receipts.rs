//! What hubs sign, what of it others know, and what they let go because of it.
//!
//! A hub numbers what it signs, and a contact passes all of it; so what a node knows of a hub's
//! receipts is up to which number. When a record is at its hub and the facility has answered for it,
//! two devices vouch for it: the number of that statement is noted with the record.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hubs, logs, links and urgent records have numbers that the run gave itself"
)]

use std::collections::BTreeSet;

use super::link::Link;
use super::spans::{KEPT, RELEASED, Span};
use super::{Run, cost, small};
use crate::network::plan::{Event, Place};
use crate::network::strategy::Strategy;

/// Parts of the time of carrying in which it is counted.
const PARTS: u64 = 8;

/// The first statement of a hub stands for those with which the devices of its health centre were
/// enrolled: whoever knows any knows these.
pub(super) const ENROLLED: u32 = 1;

/// The hub of a health centre.
#[derive(Debug, Clone, Default)]
pub(super) struct Hub {
    online: bool,
    /// Logs of its health centre.
    logs: u32,
    /// Statements that it signed, or the facility about what it gave on.
    issued: u32,
    /// What waits for the internet.
    waiting: Vec<Span>,
    waiting_urgent: Vec<u32>,
    /// Urgent records that two devices vouch for, by the number of the statement.
    vouched: Vec<(u32, u32)>,
}

impl Hub {
    pub(super) fn all(place: &Place) -> Vec<Self> {
        let mut hubs = vec![Self { issued: ENROLLED, ..Self::default() }; place.hubs];
        for home in &place.phones {
            if let Some(hub) = hubs.get_mut(home.hub) {
                hub.logs += 1;
            }
        }
        hubs
    }
}

impl Run<'_> {
    /// Records are durable at a hub: it signs for those of its health centre, and gives all on.
    pub(super) fn at_hub(&mut self, hub: usize, pieces: &[Span], urgent: &[u32]) {
        if pieces.is_empty() && urgent.is_empty() {
            return;
        }
        self.sign(hub, pieces, urgent);
        if self.hubs[hub].online {
            self.give_on(hub, pieces, urgent);
        } else {
            self.hubs[hub].waiting.extend(pieces);
            self.hubs[hub].waiting_urgent.extend(urgent);
        }
    }

    pub(super) fn internet(&mut self, hub: usize, on: bool) {
        self.hubs[hub].online = on;
        if on {
            let pieces = core::mem::take(&mut self.hubs[hub].waiting);
            let urgent = core::mem::take(&mut self.hubs[hub].waiting_urgent);
            self.give_on(hub, &pieces, &urgent);
        }
    }

    /// One more receipt for each log of the health centre.
    fn sign(&mut self, hub: usize, pieces: &[Span], urgent: &[u32]) {
        if self.strategy != Strategy::Huza {
            return;
        }
        let own = |phone: &u32| self.homes[*phone as usize].hub == hub;
        let logs = pieces.iter().map(|span| span.log);
        let urgent = urgent.iter().map(|number| self.urgent[*number as usize].phone);
        let logs: BTreeSet<u32> = logs.chain(urgent).filter(own).collect();
        self.hubs[hub].issued += small(logs.len());
        let node = self.homes.len() + hub;
        self.nodes[node].known[hub] = self.hubs[hub].issued;
        if !logs.is_empty() {
            self.news(node);
        }
    }

    fn give_on(&mut self, hub: usize, pieces: &[Span], urgent: &[u32]) {
        self.sign(hub, pieces, urgent);
        let at_ms = self.now;
        let own = |run: &Self, phone: u32| run.homes[phone as usize].hub == hub;
        let issued = self.hubs[hub].issued;
        for span in pieces {
            let own = own(self, span.log);
            for place in span.from..span.to {
                let log = &mut self.logs[span.log as usize];
                let id = log.id(span.log, place);
                let record = &mut log.records[place as usize];
                if own {
                    record.witnessed = issued;
                }
                if !core::mem::replace(&mut record.delivered, true) {
                    self.watch.see(Event::Delivered { at_ms, record: id });
                }
            }
        }
        for number in urgent {
            let phone = self.urgent[*number as usize].phone;
            if own(self, phone) {
                self.urgent[*number as usize].witnessed = issued;
                self.hubs[hub].vouched.push((issued, *number));
            }
            let record = &mut self.urgent[*number as usize];
            if !core::mem::replace(&mut record.delivered, true) {
                let record = record.id();
                self.watch.see(Event::Delivered { at_ms, record });
            }
        }
    }

    /// A node knows new statements: those it is in contact with may not.
    fn news(&mut self, node: usize) {
        for number in self.nodes[node].links.clone() {
            if let Some(link) = &mut self.links[number] {
                let way = link.way(node);
                link.todo[way].statements = true;
            }
        }
    }

    /// How many statements one node knows and another does not, and their bytes: of receipts for each
    /// log only the last two are in force; and of a health centre of which the other knows nothing
    /// yet the certificates and grants of all its devices.
    pub(super) fn statements(&self, from: usize, to: usize) -> (u64, u64) {
        let (mut count, mut bytes) = (0, 0);
        let known = self.nodes[from].known.iter().zip(&self.nodes[to].known).zip(&self.hubs);
        for ((one, other), hub) in known {
            let receipts = u64::from(one.saturating_sub((*other).max(ENROLLED)).min(2 * hub.logs));
            count += receipts;
            bytes += receipts * cost::RECEIPT;
            if *one > 0 && *other == 0 {
                // The hub and the gateway too.
                let devices = u64::from(hub.logs) + 2;
                count += 2 * devices;
                bytes += devices * cost::ENROLMENT;
            }
        }
        (count, bytes)
    }

    /// One side of a contact has said what it knows.
    pub(super) fn tell(&mut self, link: &Link, way: usize) {
        let (from, to) = (link.nodes[way], link.nodes[1 - way]);
        let told = self.nodes[from].known.clone();
        for (known, told) in self.nodes[to].known.iter_mut().zip(told) {
            *known = told.max(*known);
        }
        self.news(to);
    }

    /// The mark of what a node takes.
    pub(super) fn mark(&self, span: &Span, to: usize, keeps: bool) -> u32 {
        match self.strategy {
            Strategy::Huza if !keeps => small_ms(self.now / self.part_ms()) + 1,
            Strategy::SprayAndWait { .. }
                if self.homes.len() + self.homes[span.log as usize].hub == to =>
            {
                1
            }
            Strategy::SprayAndWait { .. } => (span.mark / 2).max(1),
            _ => KEPT,
        }
    }

    fn part_ms(&self) -> u64 {
        (self.place.carry_ms / PARTS).max(1)
    }

    /// A node lets go of what it carries for others and two devices vouch for, as far as it knows,
    /// and of what it has carried for long.
    pub(super) fn let_go(&mut self, at: usize) {
        let old = self.now.checked_sub(self.place.carry_ms);
        // Borrowed in this part of the time or before it.
        let old_mark = old.map_or(0, |old| small_ms(old / self.part_ms()));
        let node = &mut self.nodes[at];
        let (mut bytes, mut released) = (0, Vec::new());
        let home = node.home;
        for shelf in node.shelves.iter_mut().filter(|shelf| shelf.hub as usize != home) {
            let known = node.known[shelf.hub as usize];
            let followed = shelf.looked > known;
            if followed && old_mark == 0 {
                continue;
            }
            for span in shelf.spans.iter().filter(|span| span.mark != RELEASED) {
                let log = &self.logs[span.log as usize];
                let mut goes = |from: u32, to: u32| {
                    bytes += log.bytes(from, to);
                    released.push((span.log, from, to));
                };
                if span.mark <= old_mark {
                    goes(span.from, span.to);
                }
                if span.mark <= old_mark || followed {
                    continue;
                }
                let mut begun = None;
                for record in span.from..span.to {
                    let vouched = log.records[record as usize].witnessed <= known;
                    match (vouched, begun) {
                        (true, None) => begun = Some(record),
                        (false, Some(from)) => {
                            goes(from, record);
                            begun = None;
                        }
                        _ => {}
                    }
                }
                if let Some(from) = begun {
                    goes(from, span.to);
                }
            }
            shelf.looked = known.saturating_add(1);
            for (log, from, to) in released.drain(..) {
                shelf.mark(log, from, to, RELEASED);
            }
        }
        node.let_go(bytes);
        self.let_go_urgent(at, old);
    }

    fn let_go_urgent(&mut self, at: usize, old: Option<u64>) {
        let node = &mut self.nodes[at];
        let mut gone = Vec::new();
        for (hub, state) in self.hubs.iter().enumerate().filter(|(hub, _)| *hub != node.home) {
            let (known, followed) = (node.known[hub], node.followed[hub]);
            if known > followed {
                let from = state.vouched.partition_point(|(number, _)| *number <= followed);
                let new = state.vouched.get(from..).unwrap_or_default().iter();
                let new = new.take_while(|(number, _)| *number <= known);
                gone.extend(new.map(|(_, record)| *record));
                node.followed[hub] = known;
            }
        }
        if let Some(old) = old {
            let of_age = self.urgent.iter().take_while(|record| record.at_ms <= old).count();
            let others = |number: &u32| {
                let phone = self.urgent[*number as usize].phone as usize;
                self.homes[phone].hub != node.home
            };
            gone.extend((small(node.aged)..small(of_age)).filter(others));
            node.aged = of_age;
        }
        for number in gone {
            if node.offered.has(number) {
                node.offered.flip(number);
                node.let_go(self.urgent[number as usize].bytes);
            }
        }
    }
}

fn small_ms(parts: u64) -> u32 {
    u32::try_from(parts).unwrap_or(RELEASED - 2)
}
