//! Links that carry everything in no time: each message is everywhere as early as it can be.

use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::{Arrival, Happening, Outcome, Plan, happenings};

struct Ideal<'a> {
    plan: &'a Plan,
    held: Held,
    /// Node -> those it is in contact with, and by how many contacts.
    links: Vec<BTreeMap<usize, usize>>,
    arrivals: Vec<Arrival>,
}

pub(super) fn run(plan: &Plan) -> Outcome {
    let held = Held::new(plan.nodes, plan.messages.len());
    let links = vec![BTreeMap::new(); plan.nodes];
    let mut ideal = Ideal { plan, held, links, arrivals: Vec::new() };
    let mut moments: BTreeMap<u64, Vec<Happening>> = BTreeMap::new();
    for (at, happening) in happenings(plan) {
        moments.entry(at).or_default().push(happening);
    }
    // Contacts that end as they begin: what was held before passes, once.
    let mut glances: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
    for one in plan.contacts.iter().filter(|one| one.from_ms == one.to_ms) {
        if one.nodes.0 < plan.nodes && one.nodes.1 < plan.nodes && one.from_ms <= plan.end_ms {
            glances.entry(one.from_ms).or_default().push(one.nodes);
            moments.entry(one.from_ms).or_default();
        }
    }
    for (at, happenings) in moments {
        let glances = glances.get(&at).map(Vec::as_slice).unwrap_or_default();
        let passing: Vec<(usize, Vec<usize>)> = glances
            .iter()
            .flat_map(|(a, b)| [(*a, *b), (*b, *a)])
            .map(|(from, to)| (to, ideal.held.lacking(from, to).collect()))
            .collect();
        let mut changed = BTreeSet::new();
        for happening in happenings {
            ideal.happen(happening, &mut changed);
        }
        for (node, messages) in passing {
            ideal.take(node, &messages, at);
            changed.insert(node);
        }
        ideal.spread(changed, at);
    }
    Outcome { arrivals: ideal.arrivals, ..Outcome::default() }
}

impl Ideal<'_> {
    fn happen(&mut self, happening: Happening, changed: &mut BTreeSet<usize>) {
        match happening {
            Happening::Up(a, b) => {
                for (one, other) in [(a, b), (b, a)] {
                    if let Some(links) = self.links.get_mut(one) {
                        *links.entry(other).or_default() += 1;
                    }
                    changed.insert(one);
                }
            }
            Happening::Down(a, b) => {
                for (one, other) in [(a, b), (b, a)] {
                    let Some(links) = self.links.get_mut(one) else { continue };
                    let left = links.get_mut(&other).map(|count| {
                        *count = count.saturating_sub(1);
                        *count
                    });
                    if left == Some(0) {
                        links.remove(&other);
                    }
                }
            }
            Happening::Write(message) => {
                if let Some(from) = self.plan.messages.get(message).map(|one| one.from) {
                    self.held.put(from, message);
                    changed.insert(from);
                }
            }
        }
    }

    fn take(&mut self, node: usize, messages: &[usize], at_ms: u64) {
        for message in messages.iter().copied() {
            if !self.held.has(node, message) {
                self.held.put(node, message);
                self.arrivals.push(Arrival { at_ms, message, node });
            }
        }
    }

    /// Gives what some nodes have to all that they are in contact with, and so on.
    fn spread(&mut self, mut changed: BTreeSet<usize>, at: u64) {
        while let Some(node) = changed.pop_first() {
            let others = self.links.get(node).into_iter().flat_map(BTreeMap::keys);
            for other in others.copied().collect::<Vec<_>>() {
                let messages: Vec<usize> = self.held.lacking(node, other).collect();
                if !messages.is_empty() {
                    self.take(other, &messages, at);
                    changed.insert(other);
                }
            }
        }
    }
}
