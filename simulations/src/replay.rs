//! Replays recorded contacts: which node holds which message when.
//!
//! What is moved are messages of a given length, as simulators of delay-tolerant networks know them, so
//! that an answer can be checked to the millisecond: by the exact earliest arrival ([`Link::Ideal`]),
//! and by the ONE simulator ([`Link::One`], Keränen, Ott and Kärkkäinen, 2009). [`Link::Resumed`]
//! transfers as huza does: in batches, each of which is kept once it has arrived.
//!
//! Every node gives every message on to whomever it meets (epidemic routing), and keeps all.

mod held;
mod ideal;
mod one;
mod read;
mod resumed;

pub use read::{ReadError, contacts, messages};

use std::collections::BTreeMap;

/// While two nodes can talk. Times are milliseconds from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// From then on.
    pub from_ms: u64,
    /// Until then: who holds a message before that can pass it.
    pub to_ms: u64,
    /// The nodes, the lower number first.
    pub nodes: (usize, usize),
}

/// Something to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// Who has it first.
    pub from: usize,
    /// Who it is for; nobody, if there is no such node.
    pub to: usize,
    /// Since when, in milliseconds.
    pub at_ms: u64,
    /// How long it is.
    pub bytes: u64,
}

/// What a contact can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Everything, in no time.
    Ideal,
    /// As the ONE does: a node takes part in one transfer at a time, a message moves whole or not at
    /// all, and the next one begins with the next step.
    One {
        /// Bytes a second.
        rate: u64,
        /// Milliseconds between two steps.
        step_ms: u64,
    },
    /// As huza does: a node takes part in one batch at a time, and what has arrived of a message is
    /// not sent again.
    Resumed {
        /// Bytes a second.
        rate: u64,
    },
}

/// A recorded time, and what is to be carried in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes, numbered from 0.
    pub nodes: usize,
    /// When it ends.
    pub end_ms: u64,
    /// Who meets whom.
    pub contacts: Vec<Contact>,
    /// What is carried.
    pub messages: Vec<Message>,
}

/// The first time that a node other than its source holds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// Milliseconds from the beginning.
    pub at_ms: u64,
    /// Which message: its place in the plan.
    pub message: usize,
    /// Which node.
    pub node: usize,
}

/// Transfers; of [`Link::Resumed`] they are batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Begun.
    pub started: u64,
    /// Arrived.
    pub done: u64,
    /// Cut by the end of a contact.
    pub aborted: u64,
}

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In the order of their times.
    pub arrivals: Vec<Arrival>,
    /// None are counted where they take no time.
    pub transfers: Transfers,
}

impl Outcome {
    /// How long each message took to whom it was for; none of those that never came there.
    pub fn latencies(&self, plan: &Plan) -> Vec<Option<u64>> {
        let come: BTreeMap<(usize, usize), u64> =
            self.arrivals.iter().map(|one| ((one.message, one.node), one.at_ms)).collect();
        let of = |(index, message): (usize, &Message)| {
            come.get(&(index, message.to)).map(|at| at.saturating_sub(message.at_ms))
        };
        plan.messages.iter().enumerate().map(of).collect()
    }
}

/// Replays a plan. `seed`: of the order in which the ONE's nodes are looked at.
#[must_use]
pub fn run(plan: &Plan, link: Link, seed: u64) -> Outcome {
    match link {
        Link::Ideal => ideal::run(plan),
        Link::One { rate, step_ms } => one::run(plan, rate.max(1), step_ms.max(1), seed),
        Link::Resumed { rate } => resumed::run(plan, rate.max(1)),
    }
}

/// What happens in a plan, in the order in which it counts at one time: who parts cannot pass on what
/// comes at that very time, who meets can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Down(usize, usize),
    Up(usize, usize),
    Write(usize),
}

/// The happenings of a plan until its end, with their times.
fn happenings(plan: &Plan) -> Vec<(u64, Happening)> {
    let known = |one: &&Contact| one.nodes.0 < plan.nodes && one.nodes.1 < plan.nodes;
    let contacts = plan.contacts.iter().filter(known);
    let contacts = contacts.filter(|one| one.from_ms < one.to_ms).flat_map(|one| {
        let (a, b) = one.nodes;
        [(one.from_ms, Happening::Up(a, b)), (one.to_ms, Happening::Down(a, b))]
    });
    let messages = plan.messages.iter().enumerate().filter(|(_, one)| one.from < plan.nodes);
    let messages = messages.map(|(index, one)| (one.at_ms, Happening::Write(index)));
    let mut all: Vec<(u64, Happening)> = contacts.chain(messages).collect();
    all.retain(|(at, _)| *at <= plan.end_ms);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(from: u64, to: u64, a: usize, b: usize) -> Contact {
        Contact { from_ms: from * 1_000, to_ms: to * 1_000, nodes: (a, b) }
    }

    fn message(at: u64, from: usize, to: usize, bytes: u64) -> Message {
        Message { id: format!("{at}-{from}"), from, to, at_ms: at * 1_000, bytes }
    }

    fn plan(contacts: Vec<Contact>, messages: Vec<Message>) -> Plan {
        Plan { nodes: 4, end_ms: 100_000, contacts, messages }
    }

    fn arrivals(plan: &Plan, link: Link) -> Vec<(u64, usize, usize)> {
        let arrivals = run(plan, link, 1).arrivals;
        arrivals.iter().map(|one| (one.at_ms, one.message, one.node)).collect()
    }

    #[test]
    fn a_message_goes_on_by_contacts_that_are_open_when_it_comes_and_by_later_ones() {
        let contacts = vec![
            contact(1, 5, 0, 1),
            contact(0, 9, 1, 2),
            contact(3, 4, 2, 3),
            contact(20, 21, 0, 3),
        ];
        let plan = plan(contacts, vec![message(2, 0, 3, 10)]);
        let ideal = arrivals(&plan, Link::Ideal);
        assert_eq!(ideal, [(2_000, 0, 1), (2_000, 0, 2), (3_000, 0, 3)]);
    }

    #[test]
    fn who_parts_when_a_message_comes_does_not_get_it() {
        let contacts = vec![contact(1, 5, 0, 1), contact(5, 9, 1, 2)];
        assert_eq!(arrivals(&plan(contacts.clone(), vec![message(5, 0, 2, 1)]), Link::Ideal), []);
        let before = plan(contacts, vec![message(4, 0, 2, 1)]);
        assert_eq!(arrivals(&before, Link::Ideal), [(4_000, 0, 1), (5_000, 0, 2)]);
    }

    #[test]
    fn what_the_end_of_a_contact_cuts_is_lost_to_the_one_and_resumed_by_huza() {
        // Ten seconds of a link for each of two halves.
        let contacts = vec![contact(0, 8, 0, 1), contact(20, 28, 0, 1)];
        let plan = plan(contacts, vec![message(0, 0, 1, 10_000)]);
        let one = run(&plan, Link::One { rate: 1_000, step_ms: 100 }, 1);
        assert_eq!((one.arrivals.len(), one.transfers.aborted), (0, 2));
        assert_eq!(arrivals(&plan, Link::Resumed { rate: 1_000 }), [(22_000, 0, 1)]);
    }

    #[test]
    fn a_node_takes_part_in_one_transfer_at_a_time() {
        let contacts = vec![contact(0, 50, 0, 1), contact(0, 50, 0, 2)];
        let plan = plan(contacts, vec![message(0, 0, 9, 10_000)]);
        for link in [Link::One { rate: 1_000, step_ms: 100 }, Link::Resumed { rate: 1_000 }] {
            let times: Vec<u64> = arrivals(&plan, link).iter().map(|(at, ..)| *at).collect();
            let [first, second] = times.as_slice() else { panic!("{times:?}") };
            assert!(
                *first >= 10_000 && *second >= 20_000 && *second <= 21_000,
                "{link:?} {times:?}"
            );
        }
    }

    #[test]
    fn what_never_came_is_told_as_such() {
        let plan = plan(vec![contact(0, 9, 0, 1)], vec![message(0, 0, 1, 1), message(0, 0, 3, 1)]);
        let outcome = run(&plan, Link::Ideal, 1);
        assert_eq!(outcome.latencies(&plan), [Some(0), None]);
    }
}
