//! What a facility receives of every form, filled in every way that matters: with what must be
//! answered and no more, with every choice, with every danger sign, voided, and in conflict.
//!
//! `HUZA_FHIR_OUT` names a directory to which each form's resources are written as NDJSON;
//! `.ci/fhir/validate.mjs` gives them to two validators that others wrote.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use huza_crdt::id::{LogId, Origin, RecordId, VisitId};
use huza_crdt::record::{
    Comparison, Condition, Document, Edit, Field, FieldType, Form, Forms, Projected, check, form,
    project,
};
use huza_crdt::time::Stamp;
use serde_json::{Value, json};

type Answers = BTreeMap<String, String>;

const VISIT: VisitId = VisitId([3; 16]);
const OCCURRED: Stamp = Stamp(1_795_421_700);

/// An answer of this field; of its choices the one of this number, from the first again after the
/// last.
fn answer(field: &Field, choice: usize, yes: bool) -> String {
    match field.kind {
        FieldType::Integer | FieldType::Decimal => {
            let range = field.soft.as_ref().or(field.hard.as_ref());
            range.map_or("2", |range| &range.max).to_owned()
        }
        FieldType::Date => "2026-03-01".to_owned(),
        FieldType::Choice => field.choices[choice % field.choices.len()].id.clone(),
        FieldType::YesNo => if yes { "yes" } else { "no" }.to_owned(),
        FieldType::Text => "umuriro, \"38.9\"\nn'inkorora".to_owned(),
    }
}

fn fill(form: &Form, wanted: impl Fn(&Field) -> bool, choice: usize, yes: bool) -> Answers {
    let fields = form.fields.iter().filter(|field| wanted(field));
    fields.map(|field| (field.id.clone(), answer(field, choice, yes))).collect()
}

/// An answer that fulfils a condition.
fn fulfils(form: &Form, on: &Condition) -> String {
    let hard = form.field(&on.field).unwrap().hard.as_ref();
    match on.op {
        Comparison::Equal | Comparison::AtMost | Comparison::AtLeast => on.value.clone(),
        Comparison::Below => hard.unwrap().min.clone(),
        Comparison::Above => hard.unwrap().max.clone(),
    }
}

/// Every filling of a form, by name.
fn fillings(form: &Form) -> BTreeMap<String, Answers> {
    let mut all = BTreeMap::from([
        ("least".to_owned(), fill(form, |field| field.required, 0, true)),
        ("no".to_owned(), fill(form, |_| true, 0, false)),
    ]);
    let choices = form.fields.iter().map(|field| field.choices.len()).max().unwrap().max(1);
    for choice in 0..choices {
        all.insert(format!("choice-{choice}"), fill(form, |_| true, choice, true));
    }
    for rule in &form.dangers {
        let mut answers = fill(form, |field| field.required, 0, false);
        answers.extend(rule.when.iter().map(|on| (on.field.clone(), fulfils(form, on))));
        all.insert(format!("danger-{}", rule.sign), answers);
    }
    all
}

fn visit(form: &Form, answers: &Answers) -> Edit {
    Edit::Visit {
        visit: VISIT,
        form: form.name(),
        occurred: OCCURRED,
        worker: "Claudine".to_owned(),
        answers: check(form, answers).unwrap().answers,
    }
}

fn void() -> Edit {
    Edit::Void { visit: VISIT, reason: "wrong person".to_owned() }
}

/// A record of a person, on one phone.
fn record(of: &str) -> Document {
    let mut id = [0; 16];
    id.iter_mut().zip(of.bytes().rev()).for_each(|(to, from)| *to = from);
    let mut document = Document::new(RecordId(id));
    let person = [
        ("name/given", "Immaculee"),
        ("name/family", "Uwase"),
        ("sex", "female"),
        ("birth-date", "1998"),
        ("village", "0512/01"),
        ("phone", "+250788000000"),
        ("identifier/NID|1199870012345678", "yes"),
    ]
    .map(|(field, value)| Edit::Person { field: field.to_owned(), value: value.to_owned() });
    write(&mut document, 1, "Claudine", &person);
    document
}

/// Writes as the device with this log, and returns the change.
fn write(document: &mut Document, log: u8, worker: &str, edits: &[Edit]) -> (Origin, Vec<u8>) {
    let counter = document.changes() as u64;
    let origin = Origin { log: LogId([log; 32]), counter };
    let at = Stamp(OCCURRED.0 + i64::try_from(counter).unwrap());
    (origin, document.write(origin, at, worker, edits).unwrap().unwrap())
}

fn filled(form: &Form, name: &str, answers: &Answers) -> Document {
    let mut document = record(&format!("{name} {}", form.id));
    write(&mut document, 1, "Claudine", &[visit(form, answers)]);
    document
}

/// Two workers correct a visit while they are apart.
fn in_conflict(form: &Form) -> Document {
    let mut one = record(&format!("conflict {}", form.id));
    let mut bare = visit(form, &fill(form, |field| field.required, 0, true));
    if let Edit::Visit { answers, .. } = &mut bare {
        answers.clear();
    }
    write(&mut one, 1, "Claudine", &[bare]);
    let mut other = one.clone();
    write(&mut one, 1, "Claudine", &[visit(form, &fill(form, |_| true, 0, true))]);
    let last = form.fields.iter().map(|field| field.choices.len()).max().unwrap().max(1) - 1;
    let mut answers = fill(form, |_| true, last, false);
    for field in &form.fields {
        match (field.kind, &field.hard) {
            (FieldType::Date, _) => answers.insert(field.id.clone(), "2026-04-01".to_owned()),
            (FieldType::Text, _) => answers.insert(field.id.clone(), "malariya".to_owned()),
            (_, Some(hard)) => answers.insert(field.id.clone(), hard.min.clone()),
            _ => None,
        };
    }
    let (origin, raw) = write(&mut other, 2, "Jean Bosco", &[visit(form, &answers)]);
    one.apply([(origin, &raw)]);
    one
}

fn texts(all: &[Projected]) -> BTreeMap<String, Value> {
    let parsed: BTreeMap<String, Value> =
        all.iter().map(|one| (one.key.clone(), serde_json::from_str(&one.text).unwrap())).collect();
    assert_eq!(parsed.len(), all.len(), "a key twice");
    parsed
}

fn of_kind<'a>(all: &'a BTreeMap<String, Value>, kind: &str) -> Vec<&'a Value> {
    all.values().filter(|one| one["resourceType"] == kind).collect()
}

/// Every `reference` in a resource.
fn references(of: &Value, to: &mut BTreeSet<String>) {
    match of {
        Value::Object(members) => {
            to.extend(members.get("reference").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, to));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, to)),
        _ => {}
    }
}

/// What holds of every export.
fn holds_together(document: &Document) -> BTreeMap<String, Value> {
    let view = document.view();
    let all = texts(&project(&view, &Forms::built_in()));
    let mut named = BTreeSet::new();
    for (key, one) in &all {
        assert_eq!(
            *key,
            format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap())
        );
        references(one, &mut named);
    }
    let lost: Vec<_> = named.iter().filter(|key| !all.contains_key(*key)).collect();
    assert!(lost.is_empty(), "nothing is behind {lost:?}");
    let targets = of_kind(&all, "Provenance")[0]["target"].as_array().unwrap().len();
    let besides = ["Patient", "Provenance", "DetectedIssue"];
    let besides = besides.map(|kind| of_kind(&all, kind).len()).iter().sum::<usize>();
    assert_eq!(targets + besides, all.len(), "the Provenance names all that came of a visit");
    all
}

/// Number of values that are said, each in one resource.
fn values(document: &Document) -> usize {
    let view = document.view();
    let values = view.visits.values().flat_map(|visit| visit.answers.values());
    values.map(|shown| shown.all().count()).sum()
}

/// Number of resources that say one value each, and of values that a ServiceRequest or a
/// CommunicationRequest says.
fn said(all: &BTreeMap<String, Value>) -> usize {
    let alone = ["Observation", "Immunization"].map(|kind| of_kind(all, kind).len());
    let findings = of_kind(all, "Condition");
    let pregnant = |one: &&&Value| one["code"]["text"] == "Pregnant";
    let findings = findings.iter().filter(|one| !pregnant(one)).count();
    let requests = of_kind(all, "ServiceRequest");
    let parts = requests.iter().map(|one| {
        let list = |name: &str| one[name].as_array().map_or(0, Vec::len);
        list("locationCode") + list("reasonCode") + usize::from(one["priority"].is_string())
    });
    let messages = of_kind(all, "CommunicationRequest");
    let said = messages.iter().map(|one| {
        ["category", "payload", "recipient"].map(|name| one[name].as_array().map_or(0, Vec::len))
    });
    let said = said.flatten().sum::<usize>();
    alone.iter().sum::<usize>() + findings + parts.sum::<usize>() + said
}

#[test]
fn every_form_reaches_a_facility_whole() {
    let out = std::env::var_os("HUZA_FHIR_OUT");
    for form in Forms::built_in().filled() {
        let mut lines = String::new();
        let mut export = |document: &Document| {
            for one in project(&document.view(), &Forms::built_in()) {
                writeln!(lines, "{}", one.text).unwrap();
            }
        };
        for (name, answers) in fillings(form) {
            let document = filled(form, &name, &answers);
            let all = holds_together(&document);
            assert_eq!(said(&all), values(&document), "{}, {name}", form.id);
            let dangers = check(form, &answers).unwrap().dangers;
            let flags = of_kind(&all, "Flag");
            assert_eq!(flags.len(), dangers.len(), "{}, {name}", form.id);
            for danger in dangers {
                assert!(flags.iter().any(|one| one["code"]["coding"][0]["code"] == danger.sign));
            }
            if let Some(sign) = name.strip_prefix("danger-") {
                assert!(flags.iter().any(|one| one["code"]["coding"][0]["code"] == sign));
            }
            export(&document);
            let mut voided = filled(form, &format!("void {name}"), &answers);
            write(&mut voided, 1, "Claudine", &[void()]);
            assert_in_error(&voided);
            export(&voided);
        }
        let document = in_conflict(form);
        let all = holds_together(&document);
        let conflicts = document.view().conflicts().len();
        assert!(conflicts > 0);
        assert_eq!(of_kind(&all, "DetectedIssue").len(), conflicts);
        for issue in of_kind(&all, "DetectedIssue") {
            assert!(!issue["implicated"].as_array().unwrap().is_empty(), "{issue}");
        }
        // The less urgent of two priorities is in the DetectedIssue alone.
        assert_eq!(said(&all) + usize::from(form.id == "referral"), values(&document));
        export(&document);
        let mut voided = document.clone();
        write(&mut voided, 1, "Claudine", &[void()]);
        assert_in_error(&voided);
        export(&voided);
        if let Some(out) = &out {
            std::fs::write(Path::new(out).join(format!("{}.ndjson", form.id)), lines).unwrap();
        }
    }
}

/// Nothing of a voided visit is said to be so.
fn assert_in_error(document: &Document) {
    for (key, one) in holds_together(document) {
        let status = match one["resourceType"].as_str().unwrap() {
            "Patient" => continue,
            "Provenance" => {
                assert_eq!(one["reason"], json!([{ "text": "wrong person" }]));
                continue;
            }
            "Condition" => {
                assert!(one["clinicalStatus"].is_null(), "FHIR forbids it: {key}");
                &one["verificationStatus"]["coding"][0]["code"]
            }
            _ => &one["status"],
        };
        assert_eq!(status, "entered-in-error", "{key}");
    }
}

/// What becomes of these answers, by type of resource.
fn exported(id: &str, answers: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let answers = answers.iter().map(|(field, value)| ((*field).into(), (*value).into())).collect();
    texts(&project(&filled(form(id, 1).unwrap(), "one", &answers).view(), &Forms::built_in()))
}

#[test]
fn a_vaccine_is_an_immunization_with_its_dose() {
    let all = exported(
        "child-health",
        &[
            ("vaccination", "incomplete"),
            ("bcg", "2026-01-05"),
            ("opv-0", "2026-01-05"),
            ("measles-rubella-2", "2026-10-30"),
        ],
    );
    let given = of_kind(&all, "Immunization");
    let dose = |text: &str| {
        let one = given.iter().find(|one| one["vaccineCode"]["text"] == text).unwrap();
        assert_eq!(one["status"], "completed");
        (&one["occurrenceDateTime"], &one["protocolApplied"])
    };
    assert_eq!(dose("Vaccine BCG"), (&json!("2026-01-05"), &Value::Null));
    assert_eq!(dose("Vaccine OPV 0").1, &json!([{ "doseNumberString": "0" }]));
    let (date, second) = dose("Vaccine MR 2");
    assert_eq!((date, second), (&json!("2026-10-30"), &json!([{ "doseNumberPositiveInt": 2 }])));
    assert_eq!(of_kind(&all, "Observation").len(), 1);
}

#[test]
fn what_is_there_is_a_condition_and_what_is_not_an_observation() {
    let all = exported("case", &[("malaria", "yes"), ("diarrhoea", "no")]);
    let conditions = of_kind(&all, "Condition");
    assert_eq!(conditions.len(), 1);
    assert_eq!(conditions[0]["code"]["coding"][0]["code"], "malaria");
    assert_eq!(conditions[0]["clinicalStatus"]["coding"][0]["code"], "active");
    assert_eq!(conditions[0]["verificationStatus"]["coding"][0]["code"], "provisional");
    assert_eq!(conditions[0]["recordedDate"], "2026-11-23T08:15:01Z", "when it was written");
    let observations = of_kind(&all, "Observation");
    assert_eq!(observations[0]["code"]["text"], "Diarrhoea");
    assert_eq!(observations[0]["valueBoolean"], false);
}

#[test]
fn a_pregnancy_is_a_condition_beside_what_was_observed() {
    let all = exported("pregnancy", &[("lmp", "2026-05-30"), ("gravidity", "2"), ("parity", "1")]);
    let condition = of_kind(&all, "Condition")[0];
    assert_eq!(condition["code"]["coding"][1]["code"], "77386006");
    assert_eq!(condition["verificationStatus"]["coding"][0]["code"], "confirmed");
    let codes: BTreeSet<_> = of_kind(&all, "Observation")
        .iter()
        .map(|one| one["code"]["coding"][0]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, BTreeSet::from(["8665-2", "11996-6", "11977-6"]));
}

#[test]
fn a_referral_is_one_service_request() {
    for (urgency, priority) in [("now", "stat"), ("today", "urgent"), ("this-week", "routine")] {
        let all = exported(
            "referral",
            &[("to", "hospital"), ("urgency", urgency), ("reason", "breech"), ("note", "alone")],
        );
        let requests = of_kind(&all, "ServiceRequest");
        assert_eq!(requests.len(), 1);
        assert_eq!(
            (&requests[0]["intent"], &requests[0]["priority"]),
            (&json!("order"), &json!(priority))
        );
        assert_eq!(requests[0]["reasonCode"], json!([{ "text": "breech" }]));
        assert_eq!(requests[0]["locationCode"][0]["coding"][0]["code"], "hospital");
        assert_eq!(requests[0]["requester"]["display"], "Claudine");
        assert_eq!(of_kind(&all, "Observation").len(), 1, "the note");
        assert_eq!(of_kind(&all, "Flag").len(), usize::from(urgency == "now"));
    }
    // What cannot be told as a priority is told as it is.
    let mut document = record("soon");
    let mut edit =
        visit(form("referral", 1).unwrap(), &fillings(form("referral", 1).unwrap())["least"]);
    if let Edit::Visit { answers, .. } = &mut edit {
        answers.insert("urgency".to_owned(), "soon".to_owned());
    }
    write(&mut document, 1, "Claudine", &[edit]);
    let all = holds_together(&document);
    assert_eq!(of_kind(&all, "Observation")[0]["valueString"], "soon");
    assert!(of_kind(&all, "ServiceRequest")[0]["priority"].is_null());
    // Of two opinions both destinations stay, and the more urgent priority.
    let all =
        texts(&project(&in_conflict(form("referral", 1).unwrap()).view(), &Forms::built_in()));
    let request = of_kind(&all, "ServiceRequest")[0];
    assert_eq!(request["priority"], "stat");
    assert_eq!(request["locationCode"].as_array().unwrap().len(), 2);
}

#[test]
fn provenance_names_each_worker_and_device() {
    let all = texts(&project(&in_conflict(form("anc", 1).unwrap()).view(), &Forms::built_in()));
    let provenance = of_kind(&all, "Provenance")[0];
    assert_eq!(provenance["recorded"], "2026-11-23T08:15:02Z", "the latest time that was claimed");
    let agents = provenance["agent"].as_array().unwrap();
    let who: Vec<_> = agents.iter().filter_map(|one| one["who"]["display"].as_str()).collect();
    assert_eq!(who, ["Claudine", "Jean Bosco"]);
    let devices: Vec<_> = agents
        .iter()
        .filter_map(|one| {
            Some((one["who"]["identifier"]["value"].as_str()?, &one["onBehalfOf"]["display"]))
        })
        .collect();
    let log = |byte: u8| LogId([byte; 32]).to_string();
    let logs = [log(1), log(2)];
    assert_eq!(devices, [(&*logs[0], &json!("Claudine")), (&*logs[1], &json!("Jean Bosco"))]);
}

#[test]
fn what_came_apart_is_the_same_in_any_order() {
    for form in Forms::built_in().filled() {
        let document = in_conflict(form);
        let (a, b) = (
            project(&document.view(), &Forms::built_in()),
            project(&in_conflict(form).view(), &Forms::built_in()),
        );
        assert!(a == b, "{}", form.id);
    }
}

#[test]
fn nothing_is_empty_and_nothing_is_outside_of_time() {
    let form = form("case", 1).unwrap();
    let mut document = record("odd");
    let origin = Origin { log: LogId([1; 32]), counter: 9 };
    let mut edit = visit(form, &Answers::from([("malaria".to_owned(), "yes".to_owned())]));
    let late = Stamp(253_402_300_800);
    if let Edit::Visit { worker, occurred, answers, .. } = &mut edit {
        worker.clear();
        *occurred = late;
        answers.insert("note".to_owned(), String::new());
        answers.insert("act".to_owned(), String::new());
    }
    document.write(origin, late, "Claudine", &[edit]).unwrap().unwrap();
    let all = project(&document.view(), &Forms::built_in());
    for one in &all {
        for wrong in ["\"\"", "{}", "[]", "null", &late.to_string()] {
            assert!(!one.text.contains(wrong), "{}", one.text);
        }
    }
    assert!(all.iter().any(|one| one.key.starts_with("Condition/")));
}
