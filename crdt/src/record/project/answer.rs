//! One value of one answer, as the resource that its field names: Condition for a finding that is
//! there, Immunization for a vaccine with its date, a part of the ServiceRequest for what a referral
//! asks; an Observation for everything else, and for what does not fit its field.

use super::message::COMMUNICATION_REQUEST;
use super::node::{Node, coding, concept, display, resource};
use super::visit::Visit;
use super::{Projected, made_id, message, referral};
use crate::record::form::{Choice, Field, FieldType};
use crate::record::number;
use crate::record::view::Value;

/// Where a value stands.
pub(super) struct Answer<'a> {
    pub(super) visit: &'a Visit<'a>,
    /// `None` where the form or the field is unknown.
    pub(super) field: Option<&'a Field>,
    pub(super) field_id: &'a str,
    pub(super) value: &'a Value,
    pub(super) is_shown: bool,
}

/// The resource that a value becomes.
enum Kind<'a> {
    Observation,
    Condition(&'a Field),
    Immunization(&'a Field),
    /// It is said in the one of the visit.
    ServiceRequest,
    /// The same.
    CommunicationRequest,
}

impl Answer<'_> {
    /// The resource, unless the value is only a part of one.
    pub(super) fn projected(&self) -> Option<Projected> {
        match self.kind() {
            Kind::Observation => Some(self.observation()),
            Kind::Condition(field) => Some(self.condition(field)),
            Kind::Immunization(field) => Some(self.immunization(field)),
            Kind::ServiceRequest | Kind::CommunicationRequest => None,
        }
    }

    /// Key of the resource that says it.
    pub(super) fn key(&self) -> String {
        match self.kind() {
            Kind::Observation => format!("Observation/{}", self.id()),
            Kind::Condition(_) => format!("Condition/{}", self.id()),
            Kind::Immunization(_) => format!("Immunization/{}", self.id()),
            Kind::ServiceRequest => format!("ServiceRequest/{}", referral::id(self.visit)),
            Kind::CommunicationRequest => {
                format!("{COMMUNICATION_REQUEST}/{}", message::id(self.visit))
            }
        }
    }

    fn kind(&self) -> Kind<'_> {
        let value = &self.value.value;
        match self.field.map(|field| (field, field.resource.as_str())) {
            Some((field, "Condition")) if value == "yes" => Kind::Condition(field),
            Some((field, "Immunization")) if number::is_date(value) => Kind::Immunization(field),
            Some((field, "ServiceRequest")) if referral::says(&field.id, value) => {
                Kind::ServiceRequest
            }
            Some((_, COMMUNICATION_REQUEST)) => Kind::CommunicationRequest,
            _ => Kind::Observation,
        }
    }

    /// The shown value keeps one id while it is edited; the others have ids of their own.
    fn id(&self) -> String {
        match self.is_shown {
            true => made_id(&[self.visit.id, "answer", self.field_id]),
            false => made_id(&[self.visit.id, "answer", self.field_id, &self.value.value]),
        }
    }

    fn observation(&self) -> Projected {
        let (name, content) = self
            .field
            .and_then(|field| value_node(self.visit.form_id, field, &self.value.value))
            .unwrap_or_else(|| ("valueString", Node::text(&self.value.value)));
        resource(
            "Observation",
            &self.id(),
            [
                ("status", self.visit.status("final")),
                ("code", Some(self.code())),
                ("subject", self.visit.subject()),
                ("encounter", self.visit.encounter_reference()),
                ("effectiveDateTime", self.visit.occurred()),
                ("issued", Node::instant(self.value.at)),
                ("performer", Node::list([display(&self.value.worker)])),
                (name, Some(content)),
            ],
        )
    }

    fn condition(&self, field: &Field) -> Projected {
        // A worker's finding by the rules of the form, not a clinician's diagnosis.
        let recorded = (Some(display(&self.value.worker)), Node::instant(self.value.at));
        self.visit.condition("provisional", &self.id(), codes(field), recorded)
    }

    fn immunization(&self, field: &Field) -> Projected {
        let dose = dose(&field.id).map(|dose| Node::object([dose]));
        resource(
            "Immunization",
            &self.id(),
            [
                ("status", self.visit.status("completed")),
                ("vaccineCode", Some(codes(field))),
                ("patient", self.visit.subject()),
                ("encounter", self.visit.encounter_reference()),
                ("occurrenceDateTime", Some(Node::text(&self.value.value))),
                ("recorded", Node::instant(self.value.at)),
                ("protocolApplied", Node::list(dose)),
            ],
        )
    }

    fn code(&self) -> Node {
        self.field.map_or_else(
            || {
                let system = format!("urn:huza:form:{}", self.visit.form_id);
                concept([coding(&system, self.field_id, None)], None)
            },
            codes,
        )
    }
}

/// The codes of a field.
fn codes(field: &Field) -> Node {
    let codes = field.codes.iter();
    let codings = codes.map(|code| coding(&code.system, &code.code, Some(&code.display)));
    concept(codings, Some(&field.label.en))
}

/// Which dose a vaccine's field is, where its id ends in a number.
fn dose(field: &str) -> Option<(&'static str, Option<Node>)> {
    let (_, dose) = field.rsplit_once('-')?;
    match dose.parse::<u32>().ok()? {
        // FHIR counts doses from 1; the one at birth is called 0.
        0 => Some(("doseNumberString", Some(Node::text(dose)))),
        _ => Some(("doseNumberPositiveInt", Some(Node::Raw(dose.to_owned())))),
    }
}

/// The value of an answer by the type of its field; `None` if it does not fit that type.
fn value_node(form_id: &str, field: &Field, value: &str) -> Option<(&'static str, Node)> {
    let number = |kind| match kind {
        FieldType::Integer => number::normal_integer(value),
        _ => number::normal_decimal(value),
    };
    Some(match field.kind {
        FieldType::Integer if field.ucum.is_none() => {
            ("valueInteger", Node::Raw(number(field.kind)?))
        }
        FieldType::Integer | FieldType::Decimal => {
            let ucum = field.ucum.as_deref();
            let quantity = Node::object([
                ("value", Some(Node::Raw(number(field.kind)?))),
                ("unit", field.unit.as_deref().map(Node::text)),
                ("system", ucum.map(|_| Node::text("http://unitsofmeasure.org"))),
                ("code", ucum.map(Node::text)),
            ]);
            ("valueQuantity", quantity)
        }
        FieldType::Date => {
            ("valueDateTime", Some(value).filter(|date| number::is_date(date)).map(Node::text)?)
        }
        FieldType::YesNo => match value {
            "yes" => ("valueBoolean", Node::Raw("true".into())),
            "no" => ("valueBoolean", Node::Raw("false".into())),
            _ => return None,
        },
        FieldType::Choice => {
            let choice = field.choices.iter().find(|choice| choice.id == value)?;
            ("valueCodeableConcept", chosen(form_id, field, choice, None))
        }
        FieldType::Text => ("valueString", Node::text(value)),
    })
}

/// One of the choices of a field.
pub(super) fn chosen(form_id: &str, field: &Field, choice: &Choice, text: Option<&str>) -> Node {
    let system = format!("urn:huza:form:{form_id}:{}", field.id);
    concept([coding(&system, &choice.id, Some(&choice.label.en))], text)
}
