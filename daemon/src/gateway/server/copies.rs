//! What is known of a server's copies, and what follows from one for a resource that is to go there.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::{id::Head, node::Outgoing, record::server};
use serde_json::Value;

/// Copies read in one request.
pub(super) const READ_AT_ONCE: usize = 50;

/// Places that are remembered; with more, all are forgotten. // guess: some 20 MB
const KNOWN_MAX: usize = 100_000;

/// Place -> its copy; `None`: nothing is there.
pub(super) type Known = BTreeMap<String, Option<Copy>>;

/// What is remembered.
#[derive(Default)]
pub(super) struct Copies(Known);

huza_crdt::debug_shows!(
    struct Copies {}
);

/// The server's copy of a resource.
pub(super) struct Copy {
    version: Option<String>,
    heads: BTreeSet<Head>,
    /// If it was read: what it says.
    content: Option<Value>,
}

/// What is to be done with a resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: it is there.
    Leave,
    /// Nothing: the copy is made of changes that are not here.
    Ahead,
    /// Nothing: the copy is nobody's of huza.
    Foreign,
    /// Write it, over this version if it says so.
    Put(Option<String>),
}

impl Copies {
    /// Whether it is known what is at a place.
    pub(super) fn is_known(&self, place: &str) -> bool {
        self.0.contains_key(place)
    }

    /// Whether something is known to be at a place.
    pub(super) fn is_there(&self, place: &str) -> bool {
        self.0.get(place).is_some_and(Option::is_some)
    }

    /// The copy at a place was read.
    pub(super) fn read(&mut self, place: &str, resource: &Value) {
        let version = resource.pointer("/meta/versionId").and_then(Value::as_str);
        let heads = server::heads(&resource.to_string());
        let copy =
            Copy { version: version.map(str::to_owned), heads, content: Some(resource.clone()) };
        self.know(place, Some(copy));
    }

    /// Nothing is at a place.
    pub(super) fn none(&mut self, place: &str) {
        self.know(place, None);
    }

    /// The entry `text` was written at a place.
    pub(super) fn wrote(&mut self, place: &str, version: Option<String>, text: &str) {
        let entry: Value = serde_json::from_str(text).unwrap_or_default();
        let resource = entry.get("resource").map(Value::to_string).unwrap_or_default();
        let copy = Copy { version, heads: server::heads(&resource), content: None };
        self.know(place, Some(copy));
    }

    fn know(&mut self, place: &str, copy: Option<Copy>) {
        if self.0.len() >= KNOWN_MAX {
            self.0.clear();
        }
        self.0.insert(place.to_owned(), copy);
    }

    /// It is not known any more what is at these places.
    pub(super) fn forget<'a>(&mut self, places: impl Iterator<Item = &'a str>) {
        drop(self.take(places));
    }

    /// The same, to be put back perhaps.
    pub(super) fn take<'a>(&mut self, places: impl Iterator<Item = &'a str>) -> Known {
        places.filter_map(|place| self.0.remove_entry(place)).collect()
    }

    /// What was taken is still so.
    pub(super) fn put_back(&mut self, known: Known) {
        self.0.extend(known);
    }

    /// The copy of a resource that is to be withdrawn, entered in error; `None` if nothing is to be
    /// done.
    pub(super) fn withdrawn(&self, one: &Outgoing) -> Option<String> {
        let copy = self.0.get(&one.place)?.as_ref()?;
        server::withdrawn(&copy.content.as_ref()?.to_string(), Some(&one.heads))
    }

    /// What is to be done with a resource that would be written as `text`; `known`: the changes of its
    /// record that count here; `complete`: whether all that it refers to is there.
    pub(super) fn decide(
        &self,
        one: &Outgoing,
        text: &str,
        known: &BTreeSet<Head>,
        complete: bool,
    ) -> Decision {
        let Some(Some(copy)) = self.0.get(&one.place) else { return Decision::Put(None) };
        let ours: Value = serde_json::from_str(text).unwrap_or_default();
        let same = copy.content.as_ref().is_some_and(|theirs| is_within(&ours, theirs));
        let finished = copy.heads == one.heads && !complete;
        if same || finished {
            Decision::Leave
        } else if !copy.heads.is_subset(known) {
            Decision::Ahead
        } else if copy.heads.is_empty() {
            Decision::Foreign
        } else {
            Decision::Put(copy.version.clone())
        }
    }
}

/// Whether a copy says all that we say. A server may add something, keep its own `meta`, and write
/// numbers in its own way.
fn is_within(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => ours
            .iter()
            .filter(|(name, _)| *name != "meta")
            .all(|(name, value)| theirs.get(name).is_some_and(|other| is_within(value, other))),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| is_within(ours, theirs))
        }
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (ours, theirs) => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use huza_crdt::id::RecordId;
    use serde_json::json;

    use super::*;

    const PLACE: &str = "Patient/3f1c9a52-6f0b-4a86-9d53-8d3f8a4b9c01";

    fn heads(all: &[u8]) -> BTreeSet<Head> {
        all.iter().map(|byte| Head([*byte; 8])).collect()
    }

    fn outgoing(made_of: &[u8]) -> Outgoing {
        Outgoing {
            key: PLACE.to_owned(),
            text: None,
            place: PLACE.to_owned(),
            record: RecordId([0; 16]),
            heads: heads(made_of),
            references: BTreeMap::new(),
        }
    }

    fn decided(copy: Option<(&[u8], f64)>, ours: (&[u8], f64), known: &[u8]) -> Decision {
        let mut copies = Copies::default();
        if let Some((made_of, weight)) = copy {
            let tag = |head: &Head| json!({ "system": "urn:huza:heads", "code": head.to_string() });
            let tags: Vec<Value> = heads(made_of).iter().map(tag).collect();
            let meta = json!({ "versionId": "4", "lastUpdated": "x", "tag": tags });
            copies.read(PLACE, &json!({ "meta": meta, "weight": weight, "added": true }));
        }
        let text = json!({ "meta": {}, "weight": ours.1 }).to_string();
        copies.decide(&outgoing(ours.0), &text, &heads(known), true)
    }

    #[test]
    fn older_never_goes_over_newer() {
        let put = Decision::Put(Some("4".to_owned()));
        assert_eq!(decided(None, (&[1], 1.0), &[1]), Decision::Put(None));
        assert_eq!(decided(Some((&[1], 1.0)), (&[2], 2.0), &[1, 2]), put);
        assert_eq!(decided(Some((&[2], 2.0)), (&[1], 1.0), &[1]), Decision::Ahead);
        assert_eq!(decided(Some((&[1, 3], 2.0)), (&[1, 2], 1.0), &[1, 2]), Decision::Ahead);
        assert_eq!(decided(Some((&[2], 1.0)), (&[1], 1.0), &[1]), Decision::Leave);
        assert_eq!(decided(Some((&[1], 62.5)), (&[1], 62.50), &[1]), Decision::Leave);
        assert_eq!(decided(Some((&[], 1.0)), (&[1], 2.0), &[1]), Decision::Foreign);
    }
}
