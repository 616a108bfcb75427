//! A message to workers, as a CommunicationRequest.

use super::made_id;
use super::node::{Node, concept, display, resource};
use super::visit::Visit;
use super::{Projected, answer::chosen};
use crate::record::view::Shown;

/// The type of resource that the fields of a message name.
pub(super) const COMMUNICATION_REQUEST: &str = "CommunicationRequest";

/// The id of a visit's CommunicationRequest.
pub(super) fn id(visit: &Visit<'_>) -> String {
    made_id(&[visit.id, "communication-request"])
}

/// The one of a visit whose form is of messages and nothing else. Of conflicting answers it says all.
pub(super) fn communication_request(visit: &Visit<'_>) -> Option<Projected> {
    let form = visit.form?;
    form.fields.iter().all(|field| field.resource == COMMUNICATION_REQUEST).then_some(())?;
    let values = |id: &str| {
        let shown = visit.view.answers.get(id).into_iter().flat_map(Shown::all);
        shown.map(|value| value.value.as_str())
    };
    let category = |value| {
        let field = form.field("about")?;
        let choice = field.choices.iter().find(|choice| choice.id == value);
        Some(choice.map_or_else(
            || concept([], Some(value)),
            |choice| chosen(&form.id, field, choice, Some(&choice.label.en)),
        ))
    };
    let content = |text| Node::object([("contentString", Some(Node::text(text)))]);
    Some(resource(
        COMMUNICATION_REQUEST,
        &id(visit),
        [
            ("status", visit.status("active")),
            ("category", Node::list(values("about").filter_map(category))),
            ("subject", visit.person()),
            ("payload", Node::list(values("text").map(content))),
            ("authoredOn", visit.occurred()),
            ("recipient", Node::list(values("to").map(display))),
            ("sender", visit.worker()),
        ],
    ))
}
