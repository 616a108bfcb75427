//! From encounters of people to contacts of their phones.
//!
//! A phone scans for a moment, then rests, longer where it lies still. The first of two to scan
//! finds the other, and a hub waits to be found; then the link is set up. Both, and whether the
//! contact is noticed at all, are drawn for every encounter, from streams beside those of the
//! people: another link does not send anybody elsewhere.

use super::{Contact, DAY_MS, Day, Kind, Movement};
use crate::draw::Draw;
use crate::scenario::Link;

const SECOND_MS: u64 = 1_000;

/// Two devices near each other, in milliseconds of the day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encounter {
    pub(super) kind: Kind,
    pub(super) nodes: (usize, usize),
    pub(super) time: (u64, u64),
}

/// The radio on one day.
pub(super) struct Radio<'a> {
    movement: &'a Movement,
    number: u64,
    /// Of the place to which it was tuned.
    draw: Draw,
    day: Day,
}

impl<'a> Radio<'a> {
    pub(super) fn new(movement: &'a Movement, number: u64) -> Self {
        let draw = movement.draw("radio", "", number);
        Self { movement, number, draw, day: Day::default() }
    }

    /// What follows is of this kind and happens there.
    pub(super) fn tune(&mut self, kind: Kind, place: &str) {
        let purpose = format!("radio {}", kind.name());
        self.draw = self.movement.draw(&purpose, place, self.number);
    }

    /// Makes a contact of it, or counts why not.
    pub(super) fn meet(&mut self, encounter: Encounter) {
        let Encounter { kind, nodes: (one, other), time } = encounter;
        let name = kind.link(&self.movement.scenario);
        let link = self.movement.scenario.links.of(name);
        let missed = self.draw.happens(link.missed);
        let until = self.noticed_ms(kind, link, one.max(other))
            + self.draw.lasting(link.setup_s, SECOND_MS);
        // Whoever leaves before the other comes has not been met.
        if time.1 <= time.0 {
            return;
        }
        let (from_ms, to_ms) = self.on(one, self.on(other, (time.0, time.1.min(DAY_MS))));
        let Some(tally) = self.day.tallies.get_mut(kind as usize) else { return };
        tally.met += 1;
        if to_ms <= from_ms {
            tally.off += 1;
        } else if missed {
            tally.missed += 1;
        } else if to_ms <= from_ms + until {
            tally.short += 1;
        } else {
            let begin = self.number * DAY_MS;
            self.day.contacts.push(Contact {
                from_ms: begin + from_ms + until,
                to_ms: begin + to_ms,
                nodes: (one.min(other), one.max(other)),
                kind,
                link: name,
            });
        }
    }

    pub(super) fn done(mut self) -> Day {
        self.day.contacts.sort_unstable();
        self.day
    }

    /// How long until the first scan.
    fn noticed_ms(&mut self, kind: Kind, link: &Link, higher: usize) -> u64 {
        let every = if kind.moving() { link.scan_moving_s } else { link.scan_rest_s };
        let (one, other) = (self.draw.below(every * SECOND_MS), self.draw.below(every * SECOND_MS));
        if higher < self.movement.phones() { one.min(other) } else { one }
    }

    /// The part of a time in which a node is on. A contact that ends because a phone is switched
    /// off is not taken up again.
    fn on(&self, node: usize, (mut from, mut to): (u64, u64)) -> (u64, u64) {
        let worker = self.movement.phones.get(node);
        let worker = worker.and_then(|worker| self.movement.workers.get(*worker));
        let Some(worker) = worker else { return (from, to) };
        for (off, on) in self.movement.off(worker, self.number) {
            if off <= from {
                from = from.max(on);
            } else {
                to = to.min(off);
            }
        }
        (from, to)
    }
}
