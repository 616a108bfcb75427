//! One run of imports: people who share an id but cannot be one person are told apart.

use std::collections::BTreeMap;

use super::{Import, Incoming, Place, identity, separate_record};
use crate::id::RecordId;
use crate::record::edit::Edit;
use crate::record::summary::{Demographics, Summary};

/// Kind of the link between two records under one id that contradict each other.
pub const SUGGESTED_SAME_PERSON: &str = "possibly same person";

/// The record that `incoming` should go into instead, if it is a Patient whose sex or birth date
/// contradicts the record that exists under its id.
#[must_use]
pub fn disambiguate(existing: &Summary, incoming: &Incoming) -> Option<RecordId> {
    let person = incoming.person.as_ref()?;
    (existing.record == incoming.record && person.contradicts(&existing.into()))
        .then(|| apart(incoming.record, person))
}

fn apart(record: RecordId, person: &Demographics) -> RecordId {
    separate_record(record, person.sex.as_deref(), person.birth_date.as_deref())
}

/// The people seen in one run over several files, written yet or not.
#[derive(Debug, Clone, Default)]
pub struct ImportRun {
    seen: BTreeMap<RecordId, Vec<Demographics>>,
}

impl ImportRun {
    /// A run that has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves every Patient that contradicts the record under its id (as `existing` gives it, or as
    /// an earlier file of this run brought it) to a record of its own, with all that belongs to
    /// it, and suggests links both ways. A moved resource gets a new key.
    pub fn settle(
        &mut self,
        mut import: Import,
        mut existing: impl FnMut(RecordId) -> Option<Summary>,
    ) -> Import {
        let mut moves: BTreeMap<String, (RecordId, RecordId)> = BTreeMap::new();
        for incoming in &import.incoming {
            let Some(person) = &incoming.person else { continue };
            let record = incoming.record;
            let seen = self
                .seen
                .entry(record)
                .or_insert_with(|| existing(record).iter().map(Demographics::from).collect());
            if seen.iter().any(|other| person.contradicts(other)) {
                moves.insert(incoming.key.clone(), (record, apart(record, person)));
            } else {
                seen.push(person.clone());
            }
        }
        for (from, to) in moves.values() {
            import.links.push((*from, *to, SUGGESTED_SAME_PERSON));
            import.links.push((*to, *from, SUGGESTED_SAME_PERSON));
        }
        for incoming in &mut import.incoming {
            if let Some((_, to)) = incoming.owner.as_ref().and_then(|owner| moves.get(owner)) {
                incoming.key = moved_key(*to, &incoming.key);
                incoming.owner = incoming.owner.as_ref().map(|owner| moved_key(*to, owner));
                incoming.record = *to;
            }
        }
        import
    }
}

/// The key of a resource in a record that was told apart: never that of the record it left.
fn moved_key(to: RecordId, key: &str) -> String {
    let kind = key.split('/').next().unwrap_or_default();
    format!("{kind}/{}", identity::derive(&["moved", &to.to_string(), key]))
}

/// The edits that bring an import into its records.
#[must_use]
pub fn edits_by_record(import: Import) -> BTreeMap<(Place, RecordId), Vec<Edit>> {
    let mut all: BTreeMap<(Place, RecordId), Vec<Edit>> = BTreeMap::new();
    for incoming in import.incoming {
        let edit = Edit::Resource { key: incoming.key, text: incoming.text };
        all.entry((incoming.place, incoming.record)).or_default().push(edit);
    }
    for (from, to, kind) in import.links {
        let edit = Edit::Link { to, kind: kind.to_owned() };
        all.entry((Place::Person, from)).or_default().push(edit);
    }
    all
}
