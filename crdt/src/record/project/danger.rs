//! Danger signs, as Flags.

use super::node::{Node, coding, concept, hl7, resource};
use super::visit::Visit;
use super::{Projected, made_id};
use crate::record::validate::signs;

/// A Flag for each danger sign that a visit shows, in any of its conflicting answers.
pub(super) fn flags<'a>(visit: &'a Visit<'_>) -> impl Iterator<Item = Projected> + 'a {
    let rules = visit.form.into_iter().flat_map(|form| signs(form, visit.view));
    rules.map(|rule| {
        let system = format!("urn:huza:form:{}:danger", visit.form_id);
        let label = rule.label.en.as_str();
        resource(
            "Flag",
            &made_id(&[visit.id, "danger", &rule.sign]),
            [
                ("status", visit.status("active")),
                ("category", Node::list([hl7("flag-category", "safety")])),
                ("code", Some(concept([coding(&system, &rule.sign, Some(label))], Some(label)))),
                ("subject", visit.subject()),
                ("period", Some(Node::object([("start", visit.occurred())]))),
                ("encounter", visit.encounter_reference()),
                ("author", visit.worker()),
            ],
        )
    })
}
