//! What a referral asks of a facility, as one ServiceRequest: where to, how urgently, and why.

use super::answer::chosen;
use super::node::{Node, coding, concept, resource};
use super::visit::Visit;
use super::{Projected, made_id};
use crate::record::view::Value;

/// The type of resource that the fields of a referral name.
const SERVICE_REQUEST: &str = "ServiceRequest";

/// Answer to "how urgently" and the priority that FHIR calls it, the most urgent first.
const PRIORITIES: [(&str, &str); 3] =
    [("now", "stat"), ("today", "urgent"), ("this-week", "routine")];

/// Whether an answer to a field that names ServiceRequest is said in it.
pub(super) fn says(field: &str, value: &str) -> bool {
    match field {
        "to" | "reason" => true,
        "urgency" => PRIORITIES.iter().any(|(answer, _)| *answer == value),
        _ => false,
    }
}

/// The id of a visit's ServiceRequest.
pub(super) fn id(visit: &Visit<'_>) -> String {
    made_id(&[visit.id, "service-request"])
}

/// The one of a visit whose form asks for it. Of conflicting answers it has all: each destination
/// and reason, and the most urgent priority.
pub(super) fn service_request(visit: &Visit<'_>) -> Option<Projected> {
    let form = visit.form?;
    let asks = |id: &str| form.field(id).filter(|field| field.resource == SERVICE_REQUEST);
    form.fields.iter().find(|field| field.resource == SERVICE_REQUEST)?;
    let values = |id: &str| {
        let shown = asks(id).and_then(|_| visit.view.answers.get(id));
        shown.into_iter().flat_map(|shown| shown.all()).map(|Value { value, .. }| value.as_str())
    };
    let place = |value| {
        let field = asks("to")?;
        let choice = field.choices.iter().find(|choice| choice.id == value);
        Some(choice.map_or_else(
            || concept([], Some(value)),
            |choice| chosen(&form.id, field, choice, Some(&choice.label.en)),
        ))
    };
    let priority =
        PRIORITIES.iter().find(|(answer, _)| values("urgency").any(|value| value == *answer));
    let title = form.title.en.as_str();
    let code = concept([coding("urn:huza:form", &form.id, Some(title))], Some(title));
    Some(resource(
        SERVICE_REQUEST,
        &id(visit),
        [
            ("status", visit.status("active")),
            ("intent", Some(Node::text("order"))),
            ("priority", priority.map(|(_, priority)| Node::text(priority))),
            ("code", Some(code)),
            ("subject", visit.subject()),
            ("encounter", visit.encounter_reference()),
            ("authoredOn", visit.occurred()),
            ("requester", visit.worker()),
            ("locationCode", Node::list(values("to").filter_map(place))),
            ("reasonCode", Node::list(values("reason").map(|why| concept([], Some(why))))),
        ],
    ))
}
