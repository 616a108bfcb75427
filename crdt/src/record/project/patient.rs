//! Who a record is about.

use std::collections::BTreeMap;

use super::Projected;
use super::made_id;
use super::node::{Node, reference, resource};
use crate::id::RecordId;
use crate::record::Link;
use crate::record::fhir::json::{self, Json};
use crate::record::number;
use crate::record::view::{RecordView, Shown};

/// Type of a link between two Patients of whom neither replaces the other.
const SEE_ALSO: &str = "seealso";

/// The Patient that visits refer to.
pub(super) struct Patient {
    pub(super) reference: String,
    /// Id of a Patient to be made, and reference to an imported one.
    made: Option<(String, Option<String>)>,
    /// Key of the imported one, if none is made.
    imported: Option<String>,
    /// References to the Patients of other records of the same person.
    links: Vec<String>,
}

/// The records that somebody linked to this one as the same person's, with what says so.
fn links(view: &RecordView) -> impl Iterator<Item = (RecordId, &Shown)> {
    view.links.iter().filter_map(|entry| {
        let link = Link::read(entry)?;
        link.standing.is_same_person().then_some((link.to, entry.1))
    })
}

/// The records that are the same person's as this one.
pub fn linked(view: &RecordView) -> impl Iterator<Item = RecordId> {
    links(view).map(|(to, _)| to)
}

/// The key of the Patient that stands for a record; `None` if nobody is known in it.
#[must_use]
pub fn patient_key(view: &RecordView) -> Option<String> {
    let patient = Patient::of(view, &BTreeMap::new());
    let made = patient.made.map(|(id, _)| format!("Patient/{id}"));
    made.or(patient.imported)
}

impl Patient {
    pub(super) fn of(view: &RecordView, patients: &BTreeMap<RecordId, String>) -> Self {
        let place = |to| patients.get(&to).cloned().unwrap_or_else(|| format!("Patient/{to}"));
        let links = linked(view).map(place).collect();
        let imported = imported(view).map(|(key, shown)| {
            let id = json::parse(shown.text()).ok();
            let id = id.as_ref().and_then(|patient| patient.get("id")?.as_str());
            (key, id.map_or_else(|| key.clone(), |id| format!("Patient/{id}")))
        });
        let record = view.record.to_string();
        match imported {
            Some((key, reference)) if view.person.is_empty() => {
                Self { reference, made: None, imported: Some(key.clone()), links }
            }
            Some((key, reference)) => {
                let taken = *key == format!("Patient/{record}");
                let id = if taken { made_id(&[&record, "person"]) } else { record };
                let made = Some((id, Some(reference.clone())));
                Self { reference, made, imported: None, links }
            }
            // A visit may come before the person: nobody is made up who would stay at the facility.
            None if view.person.is_empty() => {
                Self { reference: format!("Patient/{record}"), made: None, imported: None, links }
            }
            None => {
                let reference = format!("Patient/{record}");
                Self { reference, made: Some((record, None)), imported: None, links }
            }
        }
    }

    /// Whether there is one, here.
    pub(super) const fn is_known(&self) -> bool {
        self.made.is_some() || self.imported.is_some()
    }

    /// Has the imported Patient say who else it is, beside what it says.
    pub(super) fn link(&self, view: &RecordView, one: &mut Projected) {
        if self.links.is_empty() || self.imported.as_ref() != Some(&one.key) {
            return;
        }
        let Ok(Json::Object(mut members)) = json::parse(&one.text) else { return };
        let known = members.iter().position(|(name, _)| name == "link");
        let mut all = match known.map(|at| members.remove(at).1) {
            Some(Json::Array(all)) => all,
            _ => Vec::new(),
        };
        all.extend(self.links.iter().map(|other| {
            let text = |name: &str, text: &str| (name.to_owned(), Json::String(text.to_owned()));
            let other = Json::Object(vec![text("reference", other)]);
            Json::Object(vec![("other".to_owned(), other), text("type", SEE_ALSO)])
        }));
        members.push(("link".to_owned(), Json::Array(all)));
        let mut text = String::new();
        Json::Object(members).render(&mut text);
        one.text = text;
        one.sources
            .extend(links(view).flat_map(|(_, shown)| shown.all()).map(|value| value.origin));
    }

    pub(super) fn made(&self, view: &RecordView) -> Option<Projected> {
        let (id, imported) = self.made.as_ref()?;
        let field = |name| view.person(name);
        let name = Node::object([
            ("text", field("name/text").map(Node::text)),
            ("family", field("name/family").map(Node::text)),
            ("given", Node::list(field("name/given").map(Node::text))),
        ]);
        let sexes = ["female", "male", "other", "unknown"];
        let identifiers = view.person.keys().filter_map(|field| {
            let (system, value) = field.strip_prefix("identifier/")?.split_once('|')?;
            Some(Node::object([
                ("system", Some(Node::text(system))),
                ("value", Some(Node::text(value))),
            ]))
        });
        let others = imported.iter().chain(&self.links).map(|other| {
            Node::object([("other", Some(reference(other))), ("type", Some(Node::text(SEE_ALSO)))])
        });
        let village = field("village").map(|village| {
            Node::object([
                ("use", Some(Node::text("home"))),
                ("line", Node::list([Node::text(village)])),
            ])
        });
        let phone = field("phone").map(|phone| {
            Node::object([
                ("system", Some(Node::text("phone"))),
                ("value", Some(Node::text(phone))),
            ])
        });
        Some(resource(
            "Patient",
            id,
            [
                ("identifier", Node::list(identifiers)),
                ("name", Node::list([name])),
                ("telecom", Node::list(phone)),
                ("gender", field("sex").filter(|sex| sexes.contains(sex)).map(Node::text)),
                (
                    "birthDate",
                    field("birth-date").filter(|d| number::is_partial_date(d)).map(Node::text),
                ),
                ("address", Node::list(village)),
                ("link", Node::list(others)),
            ],
        ))
        .map(|one| {
            let linked = links(view).map(|(_, shown)| shown);
            one.of(view.person.values().chain(linked).flat_map(Shown::all))
        })
    }
}

/// The imported Patient that visits refer to.
pub(super) fn imported(view: &RecordView) -> Option<(&String, &Shown)> {
    view.resources.iter().find(|(key, _)| key.starts_with("Patient/"))
}
