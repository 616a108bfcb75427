//! What somebody has to look into, as DetectedIssues.

use super::node::{Node, coding, concept, reference, resource};
use super::patient::Patient;
use super::visit::Visit;
use super::{Projected, made_id};
use crate::record::Standing;
use crate::record::fhir::SUGGESTED_SAME_PERSON;
use crate::record::forms::Forms;
use crate::record::view::{RecordView, Shown};

/// One for each conflict outside imported resources.
pub(super) fn conflicts(view: &RecordView, forms: &Forms, patient: &Patient) -> Vec<Projected> {
    let all = view.conflicts().into_iter().filter(|(key, _)| !key.starts_with("resources/"));
    all.map(|(key, shown)| conflict((view, forms), patient, &key, shown)).collect()
}

/// One for each record that may be about the same person.
pub(super) fn suggested_links(view: &RecordView, patient: &str) -> Vec<Projected> {
    view.links
        .iter()
        .filter(|(_, shown)| Standing::of(shown) == Standing::Suggested)
        .map(|(other, shown)| {
            let id = made_id(&[&view.record.to_string(), "same", other]);
            let detail = format!("{SUGGESTED_SAME_PERSON} as record {other}");
            let status = Some(Node::text(PRELIMINARY));
            issue((&id, status), patient, "duplicate", &[], &detail).of(shown.all())
        })
        .collect()
}

/// Nobody has looked into it.
const PRELIMINARY: &str = "preliminary";

fn conflict(
    (view, forms): (&RecordView, &Forms),
    patient: &Patient,
    key: &str,
    shown: &Shown,
) -> Projected {
    let values: Vec<String> = shown
        .all()
        .map(|value| format!("{} ({}, {})", value.value, value.worker, value.at))
        .collect();
    let of_visit = key.strip_prefix("visits/").and_then(|key| key.split_once('/'));
    let visit = of_visit.and_then(|(id, name)| {
        Some((Visit::new(forms, patient, id, view.visits.get(id)?), name.strip_prefix("answer/")))
    });
    let mut status = Some(Node::text(PRELIMINARY));
    let mut implicated = Vec::new();
    if let Some((visit, field)) = &visit {
        status = visit.status(PRELIMINARY);
        let answers = field.iter().flat_map(|field| visit.answers(field, shown));
        implicated = answers.map(|answer| answer.key()).collect();
        // A referral says all of its values in one.
        implicated.dedup();
    }
    let detail = format!("{key}: {}", values.join(" | "));
    let id = made_id(&[&view.record.to_string(), "conflict", key]);
    let one =
        issue((&id, status), &patient.reference, "conflict", &implicated, &detail).of(shown.all());
    match &visit {
        Some((visit, _)) => one.of(visit.values()),
        None => one,
    }
}

fn issue(
    (id, status): (&str, Option<Node>),
    patient: &str,
    code: &str,
    implicated: &[String],
    detail: &str,
) -> Projected {
    resource(
        "DetectedIssue",
        id,
        [
            ("status", status),
            ("code", Some(concept([coding("urn:huza:issue", code, None)], None))),
            ("patient", Some(reference(patient))),
            ("implicated", Node::list(implicated.iter().map(|key| reference(key)))),
            ("detail", Some(Node::text(detail))),
        ],
    )
}
