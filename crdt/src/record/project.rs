//! What a facility receives of a record: FHIR R4 resources as text. A function of the view alone,
//! so that equal heads give equal bytes.
//!
//! - Imported resources go as they are. Where one has conflicting versions, the shown one has the
//!   plain key and each other one the key with `#conflict-<n>` (from 1) behind it.
//! - A person entered in the app becomes a Patient whose id is the record's.
//! - A visit becomes an Encounter with the visit's id, and each answer an Observation. What was
//!   entered in error keeps its resources with that status.
//! - A conflicting answer becomes one Observation per value. Every conflict outside resources also
//!   becomes a DetectedIssue that names each value, who wrote it and when, so none is dropped.
//!
//! References inside imported texts are not rewritten here; delivery to a FHIR server does that.

use uuid::Uuid;

use super::fhir::SUGGESTED_SAME_PERSON;
use super::fhir::json::{self, quote};
use super::form::{self, Field, FieldType, Form};
use super::number;
use super::view::{RecordView, Shown, Value, VisitView};

/// Namespace of ids made here. Arbitrary, and fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f0c_93d1_7ab8_4c55_8e13_90d4_66fb_a72c);

/// One resource for a facility.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Projected {
    /// `Type/<uuid>`, with `#conflict-<n>` behind it for a version that is not the shown one.
    pub key: String,
    /// One line of JSON.
    pub text: String,
}

crate::debug_shows!(
    struct Projected {
        text: String::len,
    }
);

/// Everything a facility receives of a record, sorted by key.
#[must_use]
pub fn project(view: &RecordView) -> Vec<Projected> {
    let patient = Patient::of(view);
    let mut all: Vec<Projected> = view.resources.iter().flat_map(versions).collect();
    all.extend(patient.projected(view));
    for (id, visit) in &view.visits {
        all.extend(visit_resources(&patient.reference, id, visit));
    }
    let conflicts = view.conflicts();
    let issues = conflicts.iter().filter(|(key, _)| !key.starts_with("resources/"));
    all.extend(issues.map(|(key, shown)| conflict_issue(view, &patient.reference, key, shown)));
    all.extend(suggested_links(view, &patient.reference));
    all.sort();
    all
}

fn versions((key, shown): (&String, &Shown)) -> Vec<Projected> {
    shown
        .all()
        .enumerate()
        .map(|(n, value)| Projected {
            key: if n == 0 { key.clone() } else { format!("{key}#conflict-{n}") },
            text: value.value.clone(),
        })
        .collect()
}

/// The Patient that visits refer to.
struct Patient {
    reference: String,
    /// Id of a Patient to be made, and reference to an imported one.
    made: Option<(String, Option<String>)>,
}

impl Patient {
    fn of(view: &RecordView) -> Self {
        let imported = view.resources.iter().find(|(key, _)| key.starts_with("Patient/"));
        let imported = imported.map(|(key, shown)| {
            let id = json::parse(shown.text()).ok();
            let id = id.as_ref().and_then(|patient| patient.get("id")?.as_str());
            (key, id.map_or_else(|| key.clone(), |id| format!("Patient/{id}")))
        });
        let record = view.record.to_string();
        match imported {
            Some((_, reference)) if view.person.is_empty() => Self { reference, made: None },
            Some((key, reference)) => {
                let taken = *key == format!("Patient/{record}");
                let id = if taken { made_id(&[&record, "person"]) } else { record };
                Self { reference: reference.clone(), made: Some((id, Some(reference))) }
            }
            // A visit may come before the person: nobody is made up who would stay at the facility.
            None if view.person.is_empty() => {
                Self { reference: format!("Patient/{record}"), made: None }
            }
            None => Self { reference: format!("Patient/{record}"), made: Some((record, None)) },
        }
    }

    fn projected(&self, view: &RecordView) -> Option<Projected> {
        let (id, imported) = self.made.as_ref()?;
        let field = |name| view.person(name);
        let name = Node::object([
            ("text", field("name/text").map(Node::text)),
            ("family", field("name/family").map(Node::text)),
            ("given", field("name/given").map(|given| Node::Array(vec![Node::text(given)]))),
        ]);
        let sexes = ["female", "male", "other", "unknown"];
        let identifiers = view.person.keys().filter_map(|field| {
            let (system, value) = field.strip_prefix("identifier/")?.split_once('|')?;
            Some(Node::object([
                ("system", Some(system).filter(|s| !s.is_empty()).map(Node::text)),
                ("value", Some(Node::text(value))),
            ]))
        });
        let links = imported.iter().map(|other| {
            Node::object([("other", Some(reference(other))), ("type", Some(Node::text("seealso")))])
        });
        let village = field("village").map(|village| {
            Node::Array(vec![Node::object([
                ("use", Some(Node::text("home"))),
                ("line", Some(Node::Array(vec![Node::text(village)]))),
            ])])
        });
        let phone = field("phone").map(|phone| {
            Node::Array(vec![Node::object([
                ("system", Some(Node::text("phone"))),
                ("value", Some(Node::text(phone))),
            ])])
        });
        Some(resource(
            "Patient",
            id,
            [
                ("identifier", Node::list(identifiers)),
                ("name", Node::list((!name.is_empty()).then_some(name))),
                ("telecom", phone),
                ("gender", field("sex").filter(|sex| sexes.contains(sex)).map(Node::text)),
                (
                    "birthDate",
                    field("birth-date").filter(|d| number::is_partial_date(d)).map(Node::text),
                ),
                ("address", village),
                ("link", Node::list(links)),
            ],
        ))
    }
}

fn visit_resources(patient: &str, id: &str, visit: &VisitView) -> Vec<Projected> {
    let named = visit.form();
    let form = named.and_then(|(id, version)| form::form(id, version));
    let form_id = named.map_or_else(
        || visit.field("form").unwrap_or_default().to_owned(),
        |(id, _)| id.to_owned(),
    );
    let status = if visit.is_void() { "entered-in-error" } else { "finished" };
    let occurred = visit.field("occurred").map(Node::text);
    let kind = Node::object([
        ("system", Some(Node::text("urn:huza:form"))),
        ("version", visit.field("version").map(Node::text)),
        ("code", Some(Node::text(&form_id))),
        ("display", form.map(|form| Node::text(&form.title.en))),
    ]);
    let home = Node::object([
        ("system", Some(Node::text("http://terminology.hl7.org/CodeSystem/v3-ActCode"))),
        ("code", Some(Node::text("HH"))),
    ]);
    let worker = visit
        .field("worker")
        .map(|worker| Node::Array(vec![Node::object([("individual", Some(display(worker)))])]));
    let mut all = vec![resource(
        "Encounter",
        id,
        [
            ("status", Some(Node::text(status))),
            ("class", Some(home)),
            ("type", Node::list([concept([kind])])),
            ("subject", Some(reference(patient))),
            ("participant", worker),
            ("period", occurred.clone().map(|at| Node::object([("start", Some(at))]))),
        ],
    )];
    all.extend((form_id == CONSENT_FORM).then(|| consent(patient, id, visit)));
    for (field, shown) in &visit.answers {
        for (n, value) in shown.all().enumerate() {
            let observation = Observation { patient, visit: id, form_id: &form_id, form, field };
            all.push(observation.projected(n == 0, value, visit.is_void(), occurred.clone()));
        }
    }
    all
}

/// The form whose visits also become Consent resources.
const CONSENT_FORM: &str = "consent";

/// The decision of a consent visit, as FHIR R4 Consent.
fn consent(patient: &str, visit_id: &str, visit: &VisitView) -> Projected {
    let decision = visit.answers.get("decision").map(Shown::text);
    let (status, permission) = match decision {
        _ if visit.is_void() => ("entered-in-error", None),
        Some("given") => ("active", Some("permit")),
        Some("refused") => ("rejected", Some("deny")),
        Some("withdrawn") => ("inactive", Some("deny")),
        _ => ("proposed", None),
    };
    let coding = |system: &str, code: &str| {
        let coding = [("system", Some(Node::text(system))), ("code", Some(Node::text(code)))];
        concept([Node::object(coding)])
    };
    let scope = coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy");
    let policy = Node::object([("text", Some(Node::text("Law 058/2021 (Rwanda)")))]);
    let provision = permission.map(|code| Node::object([("type", Some(Node::text(code)))]));
    resource(
        "Consent",
        &made_id(&[visit_id, "consent"]),
        [
            ("status", Some(Node::text(status))),
            ("scope", Some(scope)),
            ("category", Node::list([coding("http://loinc.org", "59284-0")])),
            ("patient", Some(reference(patient))),
            ("dateTime", visit.field("occurred").map(Node::text)),
            ("policyRule", Some(policy)),
            ("provision", provision),
        ],
    )
}

/// Where an answer stands.
struct Observation<'a> {
    patient: &'a str,
    visit: &'a str,
    form_id: &'a str,
    form: Option<&'a Form>,
    field: &'a str,
}

impl Observation<'_> {
    fn projected(
        &self,
        shown: bool,
        value: &Value,
        void: bool,
        occurred: Option<Node>,
    ) -> Projected {
        // The shown value keeps one id while it is edited; the others have ids of their own.
        let id = match shown {
            true => made_id(&[self.visit, "answer", self.field]),
            false => made_id(&[self.visit, "answer", self.field, &value.value]),
        };
        let field = self.form.and_then(|form| form.field(self.field));
        let (name, content) = field
            .and_then(|field| value_node(self.form_id, field, &value.value))
            .unwrap_or_else(|| ("valueString", Node::text(&value.value)));
        let status = if void { "entered-in-error" } else { "final" };
        resource(
            "Observation",
            &id,
            [
                ("status", Some(Node::text(status))),
                ("code", Some(self.code(field))),
                ("subject", Some(reference(self.patient))),
                ("encounter", Some(reference(&format!("Encounter/{}", self.visit)))),
                ("effectiveDateTime", occurred),
                ("issued", Some(Node::text(&value.at.to_string()))),
                ("performer", Some(Node::Array(vec![display(&value.worker)]))),
                (name, Some(content)),
            ],
        )
    }

    fn code(&self, field: Option<&Field>) -> Node {
        let local = Node::object([
            ("system", Some(Node::Text(format!("urn:huza:form:{}", self.form_id)))),
            ("code", Some(Node::text(self.field))),
        ]);
        let Some(field) = field else { return concept([local]) };
        let codings = field.codes.iter().map(|code| {
            Node::object([
                ("system", Some(Node::text(&code.system))),
                ("code", Some(Node::text(&code.code))),
                ("display", Some(Node::text(&code.display))),
            ])
        });
        Node::object([("coding", Node::list(codings)), ("text", Some(Node::text(&field.label.en)))])
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
            let coding = Node::object([
                ("system", Some(Node::Text(format!("urn:huza:form:{form_id}:{}", field.id)))),
                ("code", Some(Node::text(value))),
                ("display", Some(Node::text(&choice.label.en))),
            ]);
            ("valueCodeableConcept", Node::object([("coding", Node::list([coding]))]))
        }
        FieldType::Text => ("valueString", Node::text(value)),
    })
}

fn conflict_issue(view: &RecordView, patient: &str, key: &str, shown: &Shown) -> Projected {
    let values: Vec<String> = shown
        .all()
        .map(|value| format!("{} ({}, {})", value.value, value.worker, value.at))
        .collect();
    let mut implicated = Vec::new();
    if let Some((visit, field)) =
        key.strip_prefix("visits/").and_then(|key| key.split_once("/answer/"))
    {
        implicated.push(reference(&format!("Observation/{}", made_id(&[visit, "answer", field]))));
        implicated.extend(shown.conflict.iter().map(|value| {
            let id = made_id(&[visit, "answer", field, &value.value]);
            reference(&format!("Observation/{id}"))
        }));
    }
    let detail = format!("{key}: {}", values.join(" | "));
    issue(
        &made_id(&[&view.record.to_string(), "conflict", key]),
        patient,
        "conflict",
        implicated,
        &detail,
    )
}

fn suggested_links(view: &RecordView, patient: &str) -> Vec<Projected> {
    view.links
        .iter()
        .filter(|(_, shown)| shown.all().any(|value| value.value == SUGGESTED_SAME_PERSON))
        .map(|(other, _)| {
            let id = made_id(&[&view.record.to_string(), "same", other]);
            let detail = format!("{SUGGESTED_SAME_PERSON} as record {other}");
            issue(&id, patient, "duplicate", vec![], &detail)
        })
        .collect()
}

fn issue(id: &str, patient: &str, code: &str, implicated: Vec<Node>, detail: &str) -> Projected {
    let coding = Node::object([
        ("system", Some(Node::text("urn:huza:issue"))),
        ("code", Some(Node::text(code))),
    ]);
    resource(
        "DetectedIssue",
        id,
        [
            ("status", Some(Node::text("preliminary"))),
            ("code", Some(Node::object([("coding", Node::list([coding]))]))),
            ("patient", Some(reference(patient))),
            ("implicated", Node::list(implicated)),
            ("detail", Some(Node::text(detail))),
        ],
    )
}

fn made_id(parts: &[&str]) -> String {
    let name: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

fn concept(codings: impl IntoIterator<Item = Node>) -> Node {
    Node::object([("coding", Node::list(codings))])
}

fn reference(to: &str) -> Node {
    Node::object([("reference", Some(Node::text(to)))])
}

fn display(name: &str) -> Node {
    Node::object([("display", Some(Node::text(name)))])
}

fn resource(
    kind: &'static str,
    id: &str,
    members: impl IntoIterator<Item = (&'static str, Option<Node>)>,
) -> Projected {
    let head = [("resourceType", Some(Node::text(kind))), ("id", Some(Node::text(id)))];
    let mut text = String::new();
    Node::object(head.into_iter().chain(members)).render(&mut text);
    Projected { key: format!("{kind}/{id}"), text }
}

/// JSON to be written, members in the order given.
#[derive(Clone)]
enum Node {
    Raw(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

crate::debug_shows!(
    enum Node {
        Raw,
        Text,
        Array,
        Object,
    }
);

impl Node {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn object(members: impl IntoIterator<Item = (&'static str, Option<Self>)>) -> Self {
        let members = members.into_iter().filter_map(|(name, node)| Some((name, node?)));
        Self::Object(members.collect())
    }

    /// An array; `None` if it would be empty, which FHIR forbids.
    fn list(items: impl IntoIterator<Item = Self>) -> Option<Self> {
        let items: Vec<Self> = items.into_iter().collect();
        (!items.is_empty()).then_some(Self::Array(items))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Object(members) => members.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Raw(_) | Self::Text(_) => false,
        }
    }

    fn render(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Text(text) => quote(out, text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.render(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, node)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    quote(out, name);
                    out.push(':');
                    node.render(out);
                }
                out.push('}');
            }
        }
    }
}
