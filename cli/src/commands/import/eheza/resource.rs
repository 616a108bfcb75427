//! What a row becomes: a Patient, an Observation or a RelatedPerson of FHIR R4. Numbers keep their digits.

use huza_crdt::time::Stamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::table::Row;
use huza_daemon::time;

/// A kind of table.
pub(super) struct Kind {
    /// Name of the file, without its end.
    pub(super) table: &'static str,
    /// Column of the person it is about.
    pub(super) subject: &'static str,
    /// Column of another person, who has to be here too.
    pub(super) other: Option<&'static str>,
    holds: Holds,
}

enum Holds {
    /// A number, with its LOINC code, name, unit, and what it can be.
    Number {
        column: &'static str,
        code: (&'static str, &'static str),
        unit: &'static str,
        range: (f64, f64),
    },
    /// Signs of a list, `none` if there is none.
    Signs {
        column: &'static str,
        name: &'static str,
    },
    LastPeriod,
    Relation,
}

const fn measured(table: &'static str, holds: Holds) -> Kind {
    Kind { table, subject: "field_person", other: None, holds }
}

/// Every kind but people. Ranges: what no person can have. // assumption, wider than in any form
pub(super) const KINDS: [Kind; 8] = [
    measured(
        "muac",
        Holds::Number {
            column: "field_muac",
            code: ("56072-2", "Mid-upper-arm circumference"),
            unit: "cm",
            range: (5.0, 60.0),
        },
    ),
    measured(
        "height",
        Holds::Number {
            column: "field_height",
            code: ("8302-2", "Body height"),
            unit: "cm",
            range: (20.0, 250.0),
        },
    ),
    measured(
        "weight",
        Holds::Number {
            column: "field_weight",
            code: ("29463-7", "Body weight"),
            unit: "kg",
            range: (0.3, 350.0),
        },
    ),
    measured(
        "nutrition",
        Holds::Signs { column: "field_nutrition_signs", name: "Nutrition signs" },
    ),
    measured("danger_signs", Holds::Signs { column: "field_danger_signs", name: "Danger signs" }),
    measured(
        "family_planning",
        Holds::Signs { column: "field_family_planning_signs", name: "Family planning" },
    ),
    measured("last_menstrual_period", Holds::LastPeriod),
    Kind {
        table: "relationship",
        subject: "field_related_to",
        other: Some("field_person"),
        holds: Holds::Relation,
    },
];

/// Columns of people that FHIR has no place for.
const BESIDE: [&str; 4] = [
    "field_education_level",
    "field_ubudehe",
    "field_mode_of_delivery",
    "field_number_of_children",
];

/// What an answer says where there is no sign.
const NONE: &str = "none";

/// A bundle of resources, each a text.
pub(super) fn bundle(resources: &[String]) -> String {
    let entries: Vec<String> =
        resources.iter().map(|one| format!("{{\"resource\":{one}}}")).collect();
    format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","))
}

/// The Patient of a row, and the birth date.
pub(super) fn patient(row: &Row, source: &str) -> Result<(String, Option<String>), String> {
    let id = row.need("id")?;
    let gender = match row.get("field_gender").map(str::to_lowercase) {
        None => None,
        Some(sex) if ["female", "male"].contains(&sex.as_str()) => Some(sex),
        Some(sex) => return Err(format!("field_gender: {sex} is neither female nor male")),
    };
    let born = row.get("field_birth_date").map(|_| date(row, "field_birth_date")).transpose()?;
    let estimated = born.filter(|_| is_true(row, "field_birth_date_estimated"));
    let (given, family) = (row.get("field_first_name"), row.get("field_second_name"));
    let text = row.get("title").filter(|_| given.or(family).is_none());
    if given.or(family).or(text).is_none() {
        return Err("there is no name".to_owned());
    }
    let numbers = [("person", Some(id)), ("hmis", row.get("field_hmis_number"))];
    let numbers =
        numbers.into_iter().filter_map(|(kind, value)| Some(number(source, kind, value?)));
    let beside = BESIDE.iter().filter_map(|column| Some((*column, row.get(column)?)));
    let beside = beside.map(|(column, value)| json!({ "url": own(column), "valueString": value }));
    let line: Vec<&str> = row.get("field_village").into_iter().collect();
    let levels =
        ["field_village", "field_cell", "field_sector", "field_district", "field_province"];
    let levels: Vec<&str> = levels.into_iter().filter_map(|column| row.get(column)).collect();
    let patient = json!({
        "resourceType": "Patient",
        "id": id,
        "extension": beside.collect::<Vec<_>>(),
        "identifier": numbers.collect::<Vec<_>>(),
        "name": [{ "text": text, "family": family, "given": given.into_iter().collect::<Vec<_>>() }],
        "gender": gender,
        "birthDate": born,
        "_birthDate": estimated.map(|_| {
            json!({ "extension": [{ "url": own("field_birth_date_estimated"), "valueBoolean": true }] })
        }),
        "address": [{
            "use": "home",
            "text": levels.join(", "),
            "line": line,
            "city": row.get("field_sector"),
            "district": row.get("field_district"),
            "state": row.get("field_province"),
        }],
        "maritalStatus": row.get("field_marital_status").map(|text| json!({ "text": text })),
    });
    Ok((full(patient).to_string(), born.map(str::to_owned)))
}

/// What was measured of somebody who was born on this day.
pub(super) fn observed(
    row: &Row,
    kind: &Kind,
    source: &str,
    born: Option<&str>,
) -> Result<String, String> {
    let id = format!("{}-{}", kind.table.replace('_', "-"), row.need("id")?);
    let subject = row.need(kind.subject)?;
    let subject = json!({ "reference": format!("Patient/{subject}") });
    if let Holds::Relation = kind.holds {
        return related(row, &id, &subject, source);
    }
    let day = date(row, "field_date_measured")?;
    if born.is_some_and(|born| day < born) {
        return Err(format!("measured on {day}, before the person was born"));
    }
    let session = ["field_session", "field_prenatal_encounter", "field_nutrition_encounter"];
    let session = session.into_iter().find_map(|column| row.get(column));
    let by = |kind: &str, name: &str, value: &str| json!({ "type": kind, "identifier": number(source, name, value) });
    let mut one = Observation {
        resource_type: "Observation",
        id,
        status: "final",
        code: Value::Null,
        subject,
        encounter: session.map(|value| by("Encounter", "session", value)),
        effective_date_time: day,
        issued: row.get("created").map(instant).transpose()?,
        performer: row
            .get("field_nurse")
            .map(|value| by("Practitioner", "nurse", value))
            .into_iter()
            .collect(),
        value_quantity: None,
        value_date_time: None,
        value_codeable_concept: None,
        component: Vec::new(),
    };
    one.holds(row, kind, day)?;
    serde_json::to_string(&one).map_err(|error| error.to_string())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Observation<'a> {
    resource_type: &'static str,
    id: String,
    status: &'static str,
    code: Value,
    subject: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    encounter: Option<Value>,
    effective_date_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    performer: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_quantity: Option<Quantity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_date_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_codeable_concept: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    component: Vec<Component<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    code: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_quantity: Option<Quantity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_boolean: Option<bool>,
}

#[derive(Serialize)]
struct Quantity<'a> {
    value: &'a RawValue,
    unit: &'static str,
    system: &'static str,
    code: &'static str,
}

impl<'a> Observation<'a> {
    fn holds(&mut self, row: &'a Row, kind: &Kind, day: &str) -> Result<(), String> {
        match kind.holds {
            Holds::Number { column, code, unit, range } => {
                self.code = loinc(code);
                self.value_quantity = Some(quantity(row, column, unit, range)?);
                let z_score = "field_zscore_age";
                if row.get(z_score).is_some() {
                    let value = quantity(row, z_score, "1", (f64::MIN, f64::MAX))?;
                    let code = concept(&own(z_score), "zscore-age", "z-score for age");
                    self.component.push(Component {
                        code,
                        value_quantity: Some(value),
                        value_boolean: None,
                    });
                }
            }
            Holds::Signs { column, name } => {
                self.code = concept("urn:eheza", column, name);
                let mut signs: Vec<&str> = row.need(column)?.split('|').map(str::trim).collect();
                signs.sort_unstable();
                signs.dedup();
                match signs.as_slice() {
                    [NONE] => self.value_codeable_concept = Some(concept(&own(column), NONE, NONE)),
                    all if all.contains(&NONE) => {
                        return Err(format!("{column} says none, and signs as well"));
                    }
                    all => self.component.extend(all.iter().map(|sign| Component {
                        code: concept(&own(column), sign, sign),
                        value_quantity: None,
                        value_boolean: Some(true),
                    })),
                }
            }
            Holds::LastPeriod => {
                let column = "field_last_menstrual_period";
                let began = date(row, column)?;
                if began > day {
                    return Err(format!("{column}: {began} is after the day it was asked, {day}"));
                }
                self.code = loinc(("8665-2", "Last menstrual period"));
                self.value_date_time = Some(began);
                let confident = "field_confident";
                if row.get(confident).is_some() {
                    self.component.push(Component {
                        code: concept(&own(confident), "confident", "confident of the date"),
                        value_quantity: None,
                        value_boolean: Some(is_true(row, confident)),
                    });
                }
            }
            Holds::Relation => {}
        }
        Ok(())
    }
}

/// Who somebody is to another: known by number only, since the two may live in two areas.
fn related(row: &Row, id: &str, patient: &Value, source: &str) -> Result<String, String> {
    let relation = row.need("field_related_by")?;
    let code = match relation {
        "parent" => json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "PRN",
        }], "text": relation }),
        other => json!({ "text": other }),
    };
    let person = row.need("field_person")?;
    let related = json!({
        "resourceType": "RelatedPerson",
        "id": id,
        "identifier": [number(source, "person", person)],
        "patient": patient,
        "relationship": [code],
    });
    Ok(related.to_string())
}

fn quantity<'a>(
    row: &'a Row,
    column: &str,
    unit: &'static str,
    (min, max): (f64, f64),
) -> Result<Quantity<'a>, String> {
    let text = row.need(column)?;
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let value = serde_json::from_str::<&RawValue>(text).ok().filter(|_| !text.starts_with('"'));
    let (Some(number), Some(value)) = (number, value) else {
        return Err(format!("{column}: {text} is not a number"));
    };
    if !(min..=max).contains(&number) {
        return Err(format!("{column}: {text} {unit} cannot be; it is {min} to {max}"));
    }
    Ok(Quantity { value, unit, system: "http://unitsofmeasure.org", code: unit })
}

fn date<'a>(row: &'a Row, column: &str) -> Result<&'a str, String> {
    let text = row.need(column)?;
    let day = Some(text).filter(|text| text.len() == 10 && time::parse(text).is_some());
    day.ok_or_else(|| format!("{column}: {text} is no date; it is written YYYY-MM-DD"))
}

fn instant(seconds: &str) -> Result<String, String> {
    let stamp = seconds.parse().map(|seconds| Stamp(seconds).to_string());
    stamp.map_err(|_error| format!("created: {seconds} is no time in seconds"))
}

fn is_true(row: &Row, column: &str) -> bool {
    row.get(column).is_some_and(|text| ["1", "true", "yes"].contains(&text.to_lowercase().as_str()))
}

fn loinc((code, name): (&str, &str)) -> Value {
    json!({ "coding": [{ "system": "http://loinc.org", "code": code }], "text": name })
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code, "display": display }], "text": display })
}

/// E-Heza's name for something.
fn own(column: &str) -> String {
    format!("urn:eheza:{column}")
}

/// A number that means something at one source only.
fn number(source: &str, kind: &str, value: &str) -> Value {
    let source: String = source.split_whitespace().collect();
    json!({ "system": format!("urn:huza:import:{source}:{kind}"), "value": value })
}

/// Without what is not there, which FHIR forbids.
fn full(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    match value {
        Value::Object(all) => {
            let all = all.into_iter().map(|(name, value)| (name, full(value)));
            Value::Object(all.filter(|(_, value)| !empty(value)).collect())
        }
        Value::Array(all) => {
            Value::Array(all.into_iter().map(full).filter(|one| !empty(one)).collect())
        }
        other => other,
    }
}
