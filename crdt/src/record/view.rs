//! What a record shows: for every key the shown value and, where workers disagree, the others.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Document, FormName, Root, Standing};
use crate::id::{Origin, RecordId};
use crate::time::Stamp;

/// A value, who wrote it, and when they say they did.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    /// The value.
    pub value: String,
    /// The worker who wrote it, as the change says.
    pub worker: String,
    /// Claimed wall time of writing.
    #[serde(serialize_with = "as_text")]
    pub at: Stamp,
    /// The change that wrote it; serialised as `<log>/<counter>`.
    #[serde(serialize_with = "origin_text")]
    pub origin: Origin,
}

crate::debug_shows!(struct Value { at, origin });

/// The value a key shows, and those it is in conflict with. Which one is shown is the same on
/// every replica; equal values written apart are no conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The shown value.
    #[serde(flatten)]
    pub shown: Value,
    /// Other values written without knowledge of the shown one, none twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<Value>,
}

impl Shown {
    /// The text of the shown value.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.shown.value
    }

    /// The shown value and its alternatives.
    pub fn all(&self) -> impl Iterator<Item = &Value> {
        core::iter::once(&self.shown).chain(&self.conflict)
    }
}

/// One visit.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct VisitView {
    /// `form`, `version`, `occurred`, `worker`, `void`, and whatever later versions add.
    pub fields: BTreeMap<String, Shown>,
    /// Field of the form -> answer.
    pub answers: BTreeMap<String, Shown>,
}

crate::debug_shows!(
    struct VisitView {
        fields: BTreeMap::len,
        answers: BTreeMap::len,
    }
);

impl VisitView {
    /// The shown text of a field that is not an answer.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(Shown::text)
    }

    /// Whether it was entered in error.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.fields.contains_key("void")
    }

    /// When it took place, as the worker says.
    #[must_use]
    pub fn occurred(&self) -> Option<Stamp> {
        self.field("occurred").and_then(super::number::parse_stamp)
    }

    /// The name of its form.
    #[must_use]
    pub fn form(&self) -> Option<FormName> {
        FormName::read(self.field("form")?, self.field("version")?)
    }
}

/// Everything a record shows. Serialises deterministically: equal heads, equal bytes.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RecordView {
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub record: RecordId,
    /// Fields of the person.
    pub person: BTreeMap<String, Shown>,
    /// Visit id (text of a UUID) -> visit.
    pub visits: BTreeMap<String, VisitView>,
    /// `<Type>/<uuid>` -> FHIR resource.
    pub resources: BTreeMap<String, Shown>,
    /// Other record's id (text of a UUID) -> kind of link.
    pub links: BTreeMap<String, Shown>,
}

crate::debug_shows!(
    struct RecordView {
        person: BTreeMap::len,
        visits: BTreeMap::len,
        resources: BTreeMap::len,
        links: BTreeMap::len,
    }
);

impl Document {
    /// What the record shows now.
    #[must_use]
    pub fn view(&self) -> RecordView {
        RecordView::of(self.record(), |root| self.entries(root))
    }
}

impl RecordView {
    /// `entries`: the values of every key of a map, the shown one first.
    pub(super) fn of(
        record: RecordId,
        mut entries: impl FnMut(Root) -> Vec<(String, Vec<Value>)>,
    ) -> Self {
        let mut visits: BTreeMap<String, VisitView> = BTreeMap::new();
        for (key, shown) in entries(Root::Visits).into_iter().filter_map(shown) {
            // A key without a slash is not one of ours; it is kept and shown all the same.
            let (visit, name) = key.split_once('/').unwrap_or((key.as_str(), ""));
            let visit = visits.entry(visit.to_owned()).or_default();
            match name.strip_prefix("answer/") {
                Some(field) => visit.answers.insert(field.to_owned(), shown),
                None => visit.fields.insert(name.to_owned(), shown),
            };
        }
        let mut map = |root| entries(root).into_iter().filter_map(shown).collect();
        Self {
            record,
            person: map(Root::Person),
            visits,
            resources: map(Root::Resources),
            links: map(Root::Links),
        }
    }

    /// The shown text of a field of the person.
    #[must_use]
    pub fn person(&self, field: &str) -> Option<&str> {
        self.person.get(field).map(Shown::text)
    }

    /// Every key with more than one value, with the name of its map in front
    /// (`visits/<uuid>/answer/weight`); of links those whose values do not say the same.
    #[must_use]
    pub fn conflicts(&self) -> BTreeMap<String, &Shown> {
        let flat =
            [("person", &self.person), ("resources", &self.resources), ("links", &self.links)]
                .into_iter()
                .flat_map(|(root, map)| {
                    map.iter().map(move |(key, at)| (format!("{root}/{key}"), at))
                });
        let visits = self.visits.iter().flat_map(|(id, visit)| {
            let fields = visit.fields.iter().map(move |(f, at)| (format!("visits/{id}/{f}"), at));
            let answers =
                visit.answers.iter().map(move |(f, at)| (format!("visits/{id}/answer/{f}"), at));
            fields.chain(answers)
        });
        let agree = |key: &str, shown| key.starts_with("links/") && Standing::agree(shown);
        let all = flat.chain(visits).filter(|(_, shown)| !shown.conflict.is_empty());
        all.filter(|(key, shown)| !agree(key, shown)).collect()
    }
}

fn shown((key, values): (String, Vec<Value>)) -> Option<(String, Shown)> {
    let mut values = values.into_iter();
    let shown = values.next()?;
    Some((key, Shown { shown, conflict: values.collect() }))
}

fn as_text<T: core::fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn origin_text<S: Serializer>(origin: &Origin, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{}/{}", origin.log, origin.counter))
}
