//! A visit: its Encounter, and what it means as a whole.

use super::answer::Answer;
use super::node::{Node, coding, concept, display, hl7, reference, resource};
use super::patient::Patient;
use super::{Projected, danger, made_id, message, provenance, referral};
use crate::record::form::Form;
use crate::record::forms::Forms;
use crate::record::view::{Shown, Value, VisitView};

/// The form whose visits also become Consent resources.
const CONSENT_FORM: &str = "consent";

/// The form whose visits also say that somebody is pregnant.
const PREGNANCY_FORM: &str = "pregnancy";

/// A visit, and what its resources have in common.
pub(super) struct Visit<'a> {
    pub(super) patient: &'a Patient,
    pub(super) id: &'a str,
    pub(super) view: &'a VisitView,
    pub(super) form: Option<&'a Form>,
    /// What the visit calls its form, known or not.
    pub(super) form_id: &'a str,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        forms: &'a Forms,
        patient: &'a Patient,
        id: &'a str,
        view: &'a VisitView,
    ) -> Self {
        let form = view.form().and_then(|name| forms.get(&name));
        Self { patient, id, view, form, form_id: view.field("form").unwrap_or_default() }
    }

    /// Everything that becomes of it.
    pub(super) fn projected(&self) -> Vec<Projected> {
        if let Some(message) = message::communication_request(self) {
            let provenance = provenance::of(self, core::slice::from_ref(&message));
            return [message].into_iter().chain(provenance).collect();
        }
        let mut all = vec![self.encounter()];
        for (field, shown) in &self.view.answers {
            all.extend(self.answers(field, shown).filter_map(|answer| answer.projected()));
        }
        all.extend(danger::flags(self));
        all.extend(referral::service_request(self));
        match self.form_id {
            CONSENT_FORM => all.push(self.consent()),
            PREGNANCY_FORM => all.push(self.pregnancy()),
            _ => {}
        }
        all.extend(provenance::of(self, &all));
        all
    }

    /// Every value of it.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let view = self.view;
        view.fields.values().chain(view.answers.values()).flat_map(Shown::all)
    }

    /// Each value of an answer, the shown one first.
    pub(super) fn answers(
        &self,
        field: &'a str,
        shown: &'a Shown,
    ) -> impl Iterator<Item = Answer<'_>> {
        shown.all().enumerate().map(move |(n, value)| Answer {
            visit: self,
            field: self.form.and_then(|form| form.field(field)),
            field_id: field,
            value,
            is_shown: n == 0,
        })
    }

    /// The status of a resource whose word for an error is `entered-in-error`.
    pub(super) fn status(&self, status: &str) -> Option<Node> {
        Some(Node::text(if self.view.is_void() { "entered-in-error" } else { status }))
    }

    pub(super) fn subject(&self) -> Option<Node> {
        Some(reference(&self.patient.reference))
    }

    /// Whom it is about, if that is somebody: a message to a village is about nobody.
    pub(super) fn person(&self) -> Option<Node> {
        self.subject().filter(|_| self.patient.is_known())
    }

    pub(super) fn encounter_reference(&self) -> Option<Node> {
        Some(reference(&format!("Encounter/{}", self.id)))
    }

    pub(super) fn occurred(&self) -> Option<Node> {
        Node::instant(self.view.occurred()?)
    }

    /// Who visited.
    pub(super) fn worker(&self) -> Option<Node> {
        self.view.field("worker").map(display)
    }

    fn encounter(&self) -> Projected {
        let kind = Node::object([
            ("system", Some(Node::text("urn:huza:form"))),
            ("version", self.view.field("version").map(Node::text)),
            ("code", Some(Node::text(self.form_id))),
            ("display", self.form.map(|form| Node::text(&form.title.en))),
        ]);
        let home = coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HH", None);
        let worker = self.worker().map(|worker| Node::object([("individual", Some(worker))]));
        resource(
            "Encounter",
            self.id,
            [
                ("status", self.status("finished")),
                ("class", Some(home)),
                ("type", Node::list([concept([kind], None)])),
                ("subject", self.subject()),
                ("participant", Node::list(worker)),
                ("period", Some(Node::object([("start", self.occurred())]))),
            ],
        )
    }

    /// The decision of a consent visit.
    fn consent(&self) -> Projected {
        let decision = self.view.answers.get("decision").map(Shown::text);
        let (status, permission) = match decision {
            _ if self.view.is_void() => ("entered-in-error", None),
            Some("given") => ("active", Some("permit")),
            Some("refused") => ("rejected", Some("deny")),
            Some("withdrawn") => ("inactive", Some("deny")),
            _ => ("proposed", None),
        };
        let policy = Node::object([("text", Some(Node::text("Law 058/2021 (Rwanda)")))]);
        let provision = permission.map(|code| Node::object([("type", Some(Node::text(code)))]));
        let category = concept([coding("http://loinc.org", "59284-0", None)], None);
        resource(
            "Consent",
            &made_id(&[self.id, "consent"]),
            [
                ("status", Some(Node::text(status))),
                ("scope", Some(hl7("consentscope", "patient-privacy"))),
                ("category", Node::list([category])),
                ("patient", self.subject()),
                ("dateTime", self.occurred()),
                ("policyRule", Some(policy)),
                ("provision", provision),
            ],
        )
    }

    /// What a pregnancy visit says: she is pregnant.
    fn pregnancy(&self) -> Projected {
        // The code as in the value set of pregnancy status of the International Patient Summary.
        let codings = [
            coding("urn:huza:form", PREGNANCY_FORM, self.form.map(|form| form.title.en.as_str())),
            coding("http://snomed.info/sct", "77386006", Some("Pregnant")),
        ];
        let code = concept(codings, Some("Pregnant"));
        let recorded = (self.worker(), self.occurred());
        self.condition("confirmed", &made_id(&[self.id, "condition"]), code, recorded)
    }

    /// Something that a person has, and who says so since when.
    pub(super) fn condition(
        &self,
        certainty: &str,
        id: &str,
        code: Node,
        (by, at): (Option<Node>, Option<Node>),
    ) -> Projected {
        let is_void = self.view.is_void();
        let verification = if is_void { "entered-in-error" } else { certainty };
        resource(
            "Condition",
            id,
            [
                ("clinicalStatus", (!is_void).then(|| hl7("condition-clinical", "active"))),
                ("verificationStatus", Some(hl7("condition-ver-status", verification))),
                ("category", Node::list([hl7("condition-category", "encounter-diagnosis")])),
                ("code", Some(code)),
                ("subject", self.subject()),
                ("encounter", self.encounter_reference()),
                ("recordedDate", at),
                ("recorder", by),
            ],
        )
    }
}
