//! What a facility receives of a record: FHIR R4 resources as text. A function of the view alone,
//! so that equal heads give equal bytes. `docs/fhir.md` has it as a table.
//!
//! - Imported resources go as they are, but for a Patient whom somebody linked to another record: it
//!   says so in `link`. Where one has conflicting versions, the shown one has the
//!   plain key and each other one the key with `#conflict-<n>` (from 1) behind it.
//! - A person entered in the app becomes a Patient whose id is the record's.
//! - A visit becomes an Encounter with the visit's id, and each answer what its field says (see
//!   `answer`), an Observation if nothing else. What the visit means as a whole comes besides: a
//!   Flag for each danger sign, the Condition of a pregnancy, a Consent, a ServiceRequest; and one
//!   Provenance says who wrote all that, and on which device.
//! - A message to workers becomes a CommunicationRequest instead.
//! - What was entered in error keeps its resources, each in its own word for that.
//! - A conflicting answer becomes one resource per value. Every conflict outside resources also
//!   becomes a DetectedIssue that names each value, who wrote it and when, so none is dropped.
//!
//! References inside imported texts are not rewritten here; delivery to a FHIR server does that
//! (see `server`).

mod answer;
mod danger;
mod issue;
mod message;
mod node;
mod patient;
mod provenance;
mod referral;
pub mod server;
mod visit;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use self::patient::Patient;
pub use self::patient::{linked, patient_key};
use self::visit::Visit;
use super::forms::Forms;
use super::view::{RecordView, Shown, Value};
use crate::id::{Origin, RecordId};

/// Namespace of ids made here. Arbitrary, and fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f0c_93d1_7ab8_4c55_8e13_90d4_66fb_a72c);

/// What stands between the key of a resource and the number of a version that is not the shown one.
const CONFLICT: &str = "#conflict-";

/// One resource for a facility.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Projected {
    /// `Type/<uuid>`, with `#conflict-<n>` behind it for a version that is not the shown one.
    pub key: String,
    /// One line of JSON.
    pub text: String,
    /// The changes whose values it is made of.
    pub sources: BTreeSet<Origin>,
}

impl Projected {
    /// Whether it was imported, as the shown version or another.
    #[must_use]
    pub fn is_imported(&self, view: &RecordView) -> bool {
        self.key.contains(CONFLICT) || view.resources.contains_key(&self.key)
    }

    /// Also made of these values.
    fn of<'a>(mut self, values: impl IntoIterator<Item = &'a Value>) -> Self {
        self.sources.extend(values.into_iter().map(|value| value.origin));
        self
    }
}

crate::debug_shows!(
    struct Projected {
        text: String::len,
    }
);

/// Everything a facility receives of a record, sorted by key. Visits whose forms are not among these
/// are given as they were written.
#[must_use]
pub fn project(view: &RecordView, forms: &Forms) -> Vec<Projected> {
    project_among(view, forms, &BTreeMap::new())
}

/// The same where it is known which Patient stands for other records: those that `linked` gives. Of
/// others it is the one with the record's id.
#[must_use]
pub fn project_among(
    view: &RecordView,
    forms: &Forms,
    patients: &BTreeMap<RecordId, String>,
) -> Vec<Projected> {
    let patient = Patient::of(view, patients);
    let mut all: Vec<Projected> = view.resources.iter().flat_map(versions).collect();
    match patient.made(view) {
        Some(made) => all.push(made),
        None => all.iter_mut().for_each(|one| patient.link(view, one)),
    }
    for (id, visit) in &view.visits {
        let visit = Visit::new(forms, &patient, id, visit);
        all.extend(visit.projected().into_iter().map(|one| one.of(visit.values())));
    }
    all.extend(issue::conflicts(view, forms, &patient));
    all.extend(issue::suggested_links(view, &patient.reference));
    // Whom all that is about: an imported Patient may have come later than the rest.
    let imported = patient::imported(view).into_iter().flat_map(|(_, shown)| shown.all());
    let imported: Vec<Origin> = imported.map(|value| value.origin).collect();
    for one in all.iter_mut().filter(|one| !one.is_imported(view)) {
        one.sources.extend(&imported);
    }
    all.sort();
    all
}

fn versions((key, shown): (&String, &Shown)) -> Vec<Projected> {
    shown
        .all()
        .enumerate()
        .map(|(n, value)| Projected {
            key: if n == 0 { key.clone() } else { format!("{key}{CONFLICT}{n}") },
            text: value.value.clone(),
            // Which of them is shown depends on all.
            sources: shown.all().map(|value| value.origin).collect(),
        })
        .collect()
}

/// The id of a resource that stands for these names.
fn made_id(parts: &[&str]) -> String {
    let name: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}
