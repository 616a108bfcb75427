//! Who a record is about.

use super::Projected;
use super::made_id;
use super::node::{Node, reference, resource};
use crate::record::fhir::json;
use crate::record::number;
use crate::record::view::{RecordView, Shown};

/// The Patient that visits refer to.
pub(super) struct Patient {
    pub(super) reference: String,
    /// Whether there is one, here.
    pub(super) is_known: bool,
    /// Id of a Patient to be made, and reference to an imported one.
    made: Option<(String, Option<String>)>,
}

impl Patient {
    pub(super) fn of(view: &RecordView) -> Self {
        let imported = imported(view).map(|(key, shown)| {
            let id = json::parse(shown.text()).ok();
            let id = id.as_ref().and_then(|patient| patient.get("id")?.as_str());
            (key, id.map_or_else(|| key.clone(), |id| format!("Patient/{id}")))
        });
        let record = view.record.to_string();
        match imported {
            Some((_, reference)) if view.person.is_empty() => {
                Self { reference, is_known: true, made: None }
            }
            Some((key, reference)) => {
                let taken = *key == format!("Patient/{record}");
                let id = if taken { made_id(&[&record, "person"]) } else { record };
                Self {
                    reference: reference.clone(),
                    is_known: true,
                    made: Some((id, Some(reference))),
                }
            }
            // A visit may come before the person: nobody is made up who would stay at the facility.
            None if view.person.is_empty() => {
                Self { reference: format!("Patient/{record}"), is_known: false, made: None }
            }
            None => Self {
                reference: format!("Patient/{record}"),
                is_known: true,
                made: Some((record, None)),
            },
        }
    }

    pub(super) fn projected(&self, view: &RecordView) -> Option<Projected> {
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
        let links = imported.iter().map(|other| {
            Node::object([("other", Some(reference(other))), ("type", Some(Node::text("seealso")))])
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
                ("link", Node::list(links)),
            ],
        ))
        .map(|one| one.of(view.person.values().flat_map(Shown::all)))
    }
}

/// The imported Patient that visits refer to.
pub(super) fn imported(view: &RecordView) -> Option<(&String, &Shown)> {
    view.resources.iter().find(|(key, _)| key.starts_with("Patient/"))
}
