//! What a user changes in a record, and the flat keys it becomes.

use std::collections::BTreeMap;

use super::{CHANGE_OPS_MAX, FormName, KEY_BYTES_MAX};
use crate::id::{RecordId, VisitId};
use crate::limits::RESOURCE_BYTES_MAX;
use crate::redacted::Redacted;
use crate::time::Stamp;

/// One of the four root maps of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// Names, sex, birth date, identifiers, village.
    Person,
    /// Filled forms.
    Visits,
    /// FHIR resources an app brought in.
    Resources,
    /// Links to other records.
    Links,
}

impl Root {
    /// All four, in the order in which genesis makes them.
    pub const ALL: [Self; 4] = [Self::Person, Self::Visits, Self::Resources, Self::Links];

    /// Its key in the root of the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Visits => "visits",
            Self::Resources => "resources",
            Self::Links => "links",
        }
    }

    /// Number of genesis' operation that made the map.
    pub(crate) const fn op(self) -> u64 {
        match self {
            Self::Person => 1,
            Self::Visits => 2,
            Self::Resources => 3,
            Self::Links => 4,
        }
    }

    /// The map that genesis' operation number `counter` made.
    pub(crate) fn from_op(counter: u64) -> Option<Self> {
        let index = usize::try_from(counter).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

/// One edit of a record.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets a field of the person, such as `name/given`, `sex` (`female`, `male`, `other`,
    /// `unknown`), `birth-date` (`YYYY`, `YYYY-MM` or `YYYY-MM-DD`) or
    /// `identifier/<system>|<value>`.
    Person {
        /// The field.
        field: String,
        /// Its value.
        value: String,
    },
    /// Adds a visit, or changes what differs of one that exists.
    Visit {
        /// Its id; a new one is [`crate::id::Origin::visit`].
        visit: VisitId,
        /// The form that was filled.
        form: FormName,
        /// When it took place, as the worker says.
        occurred: Stamp,
        /// Who visited; may differ from who writes it down.
        worker: String,
        /// Field -> normalised answer (see [`super::check`]).
        answers: BTreeMap<String, String>,
    },
    /// Marks a visit as entered in error. Nothing is deleted.
    Void {
        /// The visit.
        visit: VisitId,
        /// Why.
        reason: String,
    },
    /// Stores a FHIR resource.
    Resource {
        /// `<Type>/<uuid>`.
        key: String,
        /// Its JSON text.
        text: String,
    },
    /// Links this record to another.
    Link {
        /// The other record.
        to: RecordId,
        /// `same person`, `mother of`, `moved to`, ...
        kind: String,
    },
}

crate::debug_shows!(
    enum Edit {
        Person,
        Visit,
        Void,
        Resource,
        Link,
    }
);

/// Why an edit cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A key is empty or longer than [`KEY_BYTES_MAX`].
    #[error("key of {bytes} bytes in {root:?}; 1 to {KEY_BYTES_MAX} are allowed")]
    Key {
        /// The map.
        root: Root,
        /// Length of the key.
        bytes: usize,
    },
    /// A value is longer than [`RESOURCE_BYTES_MAX`].
    #[error("value of {bytes} bytes under {}; {RESOURCE_BYTES_MAX} are allowed", .key.reveal())]
    Value {
        /// The key, which may hold an identifier.
        key: Redacted<String>,
        /// Length of the value.
        bytes: usize,
    },
    /// More than [`CHANGE_OPS_MAX`] keys at once.
    #[error("{0} keys in one change; {CHANGE_OPS_MAX} are allowed")]
    TooMany(usize),
}

/// A flat key in one of the maps.
pub(crate) type Key = (Root, String);

/// The puts that `edits` ask for; where two edits put the same key, the later one counts.
pub(crate) fn puts(edits: &[Edit]) -> Result<BTreeMap<Key, String>, EditError> {
    let all: BTreeMap<Key, String> = edits.iter().flat_map(Edit::puts).collect();
    if all.len() > CHANGE_OPS_MAX {
        return Err(EditError::TooMany(all.len()));
    }
    for ((root, key), value) in &all {
        if !key_fits(key) {
            return Err(EditError::Key { root: *root, bytes: key.len() });
        }
        if !value_fits(value) {
            return Err(EditError::Value { key: key.clone().into(), bytes: value.len() });
        }
    }
    Ok(all)
}

/// Whether a key may be written or accepted.
pub(crate) fn key_fits(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
}

/// Whether a value may be written or accepted.
pub(crate) fn value_fits(value: &str) -> bool {
    value.len() <= RESOURCE_BYTES_MAX
}

/// Splits edits into batches of at most about `bytes` bytes of keys and values each (one edit that
/// alone is larger makes a batch of its own), so that each batch fits one change.
#[must_use]
pub fn batches(edits: Vec<Edit>, bytes: usize) -> Vec<Vec<Edit>> {
    let mut all: Vec<Vec<Edit>> = Vec::new();
    let mut room = 0_usize;
    let mut keys = 0_usize;
    for edit in edits {
        let puts = edit.puts();
        let size: usize = puts.iter().map(|((_, key), value)| key.len() + value.len()).sum();
        keys += puts.len();
        match all.last_mut().filter(|_| size <= room && keys <= CHANGE_OPS_MAX) {
            Some(last) => {
                last.push(edit);
                room -= size;
            }
            None => {
                keys = puts.len();
                room = bytes.saturating_sub(size);
                all.push(vec![edit]);
            }
        }
    }
    all
}

impl Edit {
    fn puts(&self) -> Vec<(Key, String)> {
        match self {
            Self::Person { field, value } => {
                vec![((Root::Person, field.clone()), value.clone())]
            }
            Self::Visit { visit, form, occurred, worker, answers } => {
                let key = |name: &str| (Root::Visits, format!("{visit}/{name}"));
                let mut puts = vec![
                    (key("form"), form.id.clone()),
                    (key("version"), form.version()),
                    (key("occurred"), occurred.to_string()),
                    (key("worker"), worker.clone()),
                ];
                puts.extend(
                    answers
                        .iter()
                        .map(|(field, value)| (key(&format!("answer/{field}")), value.clone())),
                );
                puts
            }
            Self::Void { visit, reason } => {
                vec![((Root::Visits, format!("{visit}/void")), reason.clone())]
            }
            Self::Resource { key, text } => {
                vec![((Root::Resources, key.clone()), text.clone())]
            }
            Self::Link { to, kind } => vec![((Root::Links, to.to_string()), kind.clone())],
        }
    }
}
