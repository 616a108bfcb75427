//! The facility behind a gateway: a server that keeps the latest text of each resource, in a
//! place that no crash of the gateway reaches, and refuses some.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::{Answer, Outgoing};

use crate::token::{Token, Tokens};

/// The code with which it refuses.
pub(crate) const REFUSAL: u16 = 422;

fn refusal() -> Answer {
    Answer::Refused { code: REFUSAL, why: "it is one of those that are refused".to_owned() }
}

/// A facility.
#[derive(Debug, Default)]
pub(crate) struct Facility {
    /// Key -> latest text that it took.
    pub(crate) resources: BTreeMap<String, String>,
    /// Keys that it refuses, whatever the text.
    pub(crate) refused: BTreeSet<String>,
    /// Every token it has seen, refused or not.
    pub(crate) seen: BTreeSet<Token>,
    /// Deliveries that changed something.
    pub(crate) effects: u64,
    /// Deliveries of a text that it had already.
    pub(crate) repeats: u64,
    refused_per_mille: u64,
}

impl Facility {
    /// An empty one.
    pub(crate) fn new(refused_per_mille: u64) -> Self {
        Self { refused_per_mille, ..Self::default() }
    }

    /// Takes resources; the result is what it refuses.
    pub(crate) fn take(
        &mut self,
        resources: &[Outgoing],
        tokens: &Tokens,
    ) -> BTreeMap<String, Answer> {
        let mut refused = BTreeMap::new();
        for Outgoing { key, text, .. } in resources {
            let Some(text) = text else {
                self.resources.remove(key);
                continue;
            };
            self.seen.extend(tokens.find(text.as_bytes()));
            if self.refuses(key) {
                self.refused.insert(key.clone());
                refused.insert(key.clone(), refusal());
                continue;
            }
            let before = self.resources.insert(key.clone(), text.clone());
            if before.as_ref() == Some(text) {
                self.repeats += 1;
            } else {
                self.effects += 1;
            }
        }
        refused
    }

    /// A property of the key, so that a repeated delivery gets the same answer.
    fn refuses(&self, key: &str) -> bool {
        let hash = blake3::hash(key.as_bytes());
        let number = hash.as_bytes().first_chunk::<4>().map_or(0, |head| u32::from_le_bytes(*head));
        u64::from(number) % 1_000 < self.refused_per_mille
    }
}

#[cfg(test)]
mod tests {
    use huza_crdt::id::RecordId;

    use super::*;

    fn outgoing(text: &str) -> Outgoing {
        Outgoing {
            key: "Patient/1".into(),
            text: Some(text.into()),
            place: "Patient/1".into(),
            record: RecordId([0; 16]),
            heads: BTreeSet::new(),
            references: BTreeMap::new(),
        }
    }

    #[test]
    fn a_repeated_delivery_has_no_second_effect() {
        let mut facility = Facility::new(0);
        let one = |text: &str| [outgoing(text)];
        assert!(facility.take(&one("a"), &Tokens::default()).is_empty());
        assert!(facility.take(&one("a"), &Tokens::default()).is_empty());
        assert!(facility.take(&one("b"), &Tokens::default()).is_empty());
        assert_eq!((facility.effects, facility.repeats), (2, 1));
        assert_eq!(facility.resources["Patient/1"], "b");
    }

    #[test]
    fn what_is_refused_is_not_kept() {
        let mut facility = Facility::new(1_000);
        let resources = [outgoing("a")];
        assert_eq!(facility.take(&resources, &Tokens::default())["Patient/1"], refusal());
        assert!(facility.resources.is_empty());
    }
}
