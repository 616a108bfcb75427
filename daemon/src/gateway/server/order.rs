//! In which order resources go to a server: what others refer to first, and what refers to each
//! other in a circle together.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::Outgoing;

/// Most resources in one transaction, but for a circle. // guess: small enough to be answered in time
const ENTRIES_MAX: usize = 50;

/// Most bytes of text in one transaction, but for a single resource. // guess
const BYTES_MAX: usize = 1_048_576;

/// Groups of indices into `resources`, each for one transaction.
pub(super) fn transactions(resources: &[Outgoing]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for circle in circles(resources) {
        let length = |at: &usize| {
            let text = resources.get(*at).and_then(|one| one.text.as_ref());
            text.map_or(0, String::len)
        };
        let more: usize = circle.iter().map(length).sum();
        match groups.last_mut() {
            Some(group)
                if group.len() + circle.len() <= ENTRIES_MAX && bytes + more <= BYTES_MAX =>
            {
                bytes += more;
                group.extend(circle);
            }
            _ => {
                bytes = more;
                groups.push(circle);
            }
        }
    }
    groups
}

/// Strongly connected components, each behind those that it refers to: Tarjan's algorithm, without
/// recursion.
fn circles(resources: &[Outgoing]) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> =
        resources.iter().enumerate().map(|(at, one)| (one.place.as_str(), at)).collect();
    let targets = |at: usize| -> Vec<usize> {
        let one = resources.get(at).into_iter();
        let all = one.flat_map(|one| one.references.values());
        all.filter_map(|place| places.get(place.as_str()).copied()).collect()
    };
    let mut walk = Walk::default();
    for root in 0..resources.len() {
        if walk.found.contains_key(&root) {
            continue;
        }
        let mut path = vec![(root, targets(root))];
        walk.enter(root);
        while let Some((at, left)) = path.last_mut() {
            let at = *at;
            match left.pop() {
                Some(target) if !walk.found.contains_key(&target) => {
                    walk.enter(target);
                    path.push((target, targets(target)));
                }
                Some(target) => walk.sees(at, target),
                None => {
                    path.pop();
                    walk.leave(at, path.last().map(|(above, _)| *above));
                }
            }
        }
    }
    walk.circles
}

#[derive(Debug, Default)]
struct Walk {
    /// Index -> when it was found.
    found: BTreeMap<usize, usize>,
    /// Index -> the earliest found that is reached from it.
    low: BTreeMap<usize, usize>,
    open: Vec<usize>,
    is_open: BTreeSet<usize>,
    circles: Vec<Vec<usize>>,
}

impl Walk {
    fn enter(&mut self, at: usize) {
        let number = self.found.len();
        self.found.insert(at, number);
        self.low.insert(at, number);
        self.open.push(at);
        self.is_open.insert(at);
    }

    fn sees(&mut self, at: usize, target: usize) {
        if self.is_open.contains(&target)
            && let Some(number) = self.found.get(&target).copied()
            && let Some(low) = self.low.get_mut(&at)
        {
            *low = (*low).min(number);
        }
    }

    fn leave(&mut self, at: usize, above: Option<usize>) {
        let low = self.low.get(&at).copied().unwrap_or_default();
        if let Some(of_above) = above.and_then(|above| self.low.get_mut(&above)) {
            *of_above = (*of_above).min(low);
        }
        if self.found.get(&at) == Some(&low)
            && let Some(first) = self.open.iter().position(|one| *one == at)
        {
            let circle = self.open.split_off(first);
            for one in &circle {
                self.is_open.remove(one);
            }
            self.circles.push(circle);
        }
    }
}

#[cfg(test)]
mod tests {
    use huza_crdt::id::RecordId;

    use super::*;

    fn resource(place: &str, targets: &[&str]) -> Outgoing {
        Outgoing {
            key: place.to_owned(),
            text: Some("{}".to_owned()),
            place: place.to_owned(),
            record: RecordId([0; 16]),
            heads: BTreeSet::new(),
            references: targets.iter().map(|to| ((*to).to_owned(), (*to).to_owned())).collect(),
        }
    }

    #[test]
    fn targets_come_first_and_circles_stay_together() {
        let all = [
            resource("Provenance/1", &["Encounter/1", "Condition/1", "Patient/1"]),
            resource("Encounter/1", &["Patient/1", "Condition/1"]),
            resource("Condition/1", &["Encounter/1", "Patient/9"]),
            resource("Patient/1", &["Patient/1"]),
        ];
        assert_eq!(circles(&all), [vec![3], vec![1, 2], vec![0]]);
        assert_eq!(transactions(&all), [vec![3, 1, 2, 0]]);
    }

    #[test]
    fn a_transaction_has_a_limit_and_a_circle_is_never_cut() {
        let place = |n: usize| format!("Basic/{n:03}");
        let chain: Vec<Outgoing> =
            (0..120).map(|n| resource(&place(n), &[&place(n + 1)])).collect();
        let groups = transactions(&chain);
        assert!(groups.iter().all(|group| group.len() <= ENTRIES_MAX));
        assert_eq!(groups.concat(), (0..120).rev().collect::<Vec<_>>());
        let ring: Vec<Outgoing> =
            (0..60).map(|n| resource(&place(n), &[&place((n + 1) % 60)])).collect();
        assert_eq!(transactions(&ring).len(), 1);
    }
}
