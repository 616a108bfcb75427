//! Checking the answers of a filled form.

use core::cmp::Ordering;
use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::form::{
    Advice, Comparison, Condition, DangerRule, Field, FieldType, Form, Label, Range,
};
use super::number;
use super::view::{Shown, VisitView};
use crate::limits::TEXT_CHARS_MAX;
use crate::redacted::Redacted;

/// Answers that may be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Checked {
    /// Field -> answer in normal form; empty answers are left out.
    pub answers: BTreeMap<String, String>,
    /// What the user should look at again.
    pub warnings: Vec<FieldWarning>,
    /// Danger signs; any makes the visit urgent.
    pub dangers: Vec<Danger>,
    /// What the worker is advised to do.
    pub advice: Vec<Advice>,
    /// Whether the visit is a message to workers.
    pub message: bool,
}

crate::debug_shows!(
    struct Checked {
        warnings: Vec::len,
        dangers: Vec::len,
        advice: Vec::len,
        message,
    }
);

impl Checked {
    /// Whether the visit goes at once, with a card.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.message || !self.dangers.is_empty()
    }
}

/// A danger sign that is present.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Danger {
    /// Its code.
    pub sign: String,
    /// What the user reads.
    pub label: Label,
}

crate::debug_shows!(
    struct Danger {}
);

/// An answer outside its usual range.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {}{} is unusual; {}{} to {}{} is usual",
    .value.reveal(), Unit(.unit), .usual.min, Unit(.unit), .usual.max, Unit(.unit))]
pub struct FieldWarning {
    /// Id of the field.
    pub field: String,
    /// The answer.
    pub value: Redacted<String>,
    /// The usual range.
    pub usual: Range,
    /// Unit of both.
    pub unit: Option<String>,
}

crate::debug_shows!(struct FieldWarning { usual, unit });

/// An answer that cannot be stored. Its text names field, value, rule and unit.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Id of the field.
    pub field: String,
    /// What is wrong with it.
    #[source]
    pub problem: FieldProblem,
}

// The field may be anything that somebody typed.
crate::debug_shows!(struct FieldError { problem });

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldProblem {
    /// The form has no such field.
    #[error("form {form} version {version} has no such field")]
    Unknown {
        /// Id of the form.
        form: String,
        /// Its version.
        version: u32,
    },
    /// It must be answered.
    #[error("an answer is required ({expected})")]
    Missing {
        /// Which kind of answer.
        expected: &'static str,
    },
    /// Not of the field's type.
    #[error("{} is not {expected}", .value.reveal())]
    Type {
        /// The answer.
        value: Redacted<String>,
        /// Which kind of answer.
        expected: &'static str,
    },
    /// Below the hard range.
    #[error("{}{unit} is below the smallest allowed value {limit}{unit}", .value.reveal(), unit = Unit(.unit))]
    Below {
        /// The answer.
        value: Redacted<String>,
        /// The smallest value.
        limit: String,
        /// Unit of both.
        unit: Option<String>,
    },
    /// Above the hard range.
    #[error("{}{unit} is above the largest allowed value {limit}{unit}", .value.reveal(), unit = Unit(.unit))]
    Above {
        /// The answer.
        value: Redacted<String>,
        /// The largest value.
        limit: String,
        /// Unit of both.
        unit: Option<String>,
    },
    /// Not one of the choices.
    #[error("{} is not one of: {}", .value.reveal(), .allowed.join(", "))]
    Choice {
        /// The answer.
        value: Redacted<String>,
        /// Ids of the choices.
        allowed: Vec<String>,
    },
    /// More than [`TEXT_CHARS_MAX`] characters.
    #[error("text of {0} characters; {TEXT_CHARS_MAX} are allowed")]
    TooLong(usize),
}

struct Unit<'a>(&'a Option<String>);

impl fmt::Display for Unit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |unit| write!(f, " {unit}"))
    }
}

/// Checks the answers of a form and brings them into normal form.
///
/// # Errors
/// Every problem that was found, in the order of the form's fields, unknown fields last.
pub fn check(form: &Form, answers: &BTreeMap<String, String>) -> Result<Checked, Vec<FieldError>> {
    let mut checked = Checked {
        answers: BTreeMap::new(),
        warnings: vec![],
        dangers: vec![],
        advice: vec![],
        message: form.inbox,
    };
    let mut errors = Vec::new();
    for field in &form.fields {
        let given = answers.get(&field.id).map(|value| value.trim()).filter(|v| !v.is_empty());
        let result = match given {
            Some(value) => normal(field, value).map(Some),
            None if field.required => Err(FieldProblem::Missing { expected: expected(field.kind) }),
            None => Ok(None),
        };
        match result {
            Ok(Some(value)) => {
                checked.warnings.extend(warning(field, &value));
                checked.answers.insert(field.id.clone(), value);
            }
            Ok(None) => {}
            Err(problem) => errors.push(FieldError { field: field.id.clone(), problem }),
        }
    }
    for unknown in answers.keys().filter(|id| form.field(id).is_none()) {
        let problem = FieldProblem::Unknown { form: form.id.clone(), version: form.version };
        errors.push(FieldError { field: unknown.clone(), problem });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    checked.dangers = dangers(form, &checked.answers);
    checked.advice = advice(form, &checked.answers);
    Ok(checked)
}

/// The danger signs that normalised answers show.
fn dangers(form: &Form, answers: &BTreeMap<String, String>) -> Vec<Danger> {
    form.dangers
        .iter()
        .filter(|rule| holds(form, &rule.when, |field| answers.get(field).map(String::as_str)))
        .map(|rule| Danger { sign: rule.sign.clone(), label: rule.label.clone() })
        .collect()
}

/// The danger signs that a visit shows, in any of its conflicting answers.
pub(super) fn signs<'a>(
    form: &'a Form,
    visit: &'a VisitView,
) -> impl Iterator<Item = &'a DangerRule> {
    let shown = |field: &str| visit.answers.get(field).map(Shown::text);
    form.dangers.iter().filter(move |rule| {
        let mut others = visit.answers.iter().flat_map(|(id, at)| {
            at.conflict.iter().map(move |other| (id.as_str(), other.value.as_str()))
        });
        holds(form, &rule.when, shown)
            || others.any(|(id, other)| {
                let instead = |field: &str| if field == id { Some(other) } else { shown(field) };
                holds(form, &rule.when, instead)
            })
    })
}

/// What normalised answers advise.
fn advice(form: &Form, answers: &BTreeMap<String, String>) -> Vec<Advice> {
    let answer = |field: &str| answers.get(field).map(String::as_str);
    form.advice.iter().filter(|one| holds(form, &one.when, answer)).cloned().collect()
}

/// Whether normalised answers fulfil all of these conditions.
pub(super) fn holds<'a>(
    form: &Form,
    when: &[Condition],
    answer: impl Fn(&str) -> Option<&'a str>,
) -> bool {
    when.iter().all(|on| {
        let field = form.field(&on.field);
        field.zip(answer(&on.field)).is_some_and(|(field, answer)| {
            compare(field.kind, answer, &on.value).is_some_and(|order| match on.op {
                Comparison::Equal => order.is_eq(),
                Comparison::Below => order.is_lt(),
                Comparison::AtMost => order.is_le(),
                Comparison::Above => order.is_gt(),
                Comparison::AtLeast => order.is_ge(),
            })
        })
    })
}

fn normal(field: &Field, value: &str) -> Result<String, FieldProblem> {
    let wrong =
        || FieldProblem::Type { value: value.to_owned().into(), expected: expected(field.kind) };
    let normal = match field.kind {
        FieldType::Integer => number::normal_integer(value).ok_or_else(wrong)?,
        FieldType::Decimal => number::normal_decimal(value).ok_or_else(wrong)?,
        FieldType::Date => {
            Some(value.to_owned()).filter(|v| number::is_date(v)).ok_or_else(wrong)?
        }
        FieldType::YesNo => yes_no(value).ok_or_else(wrong)?.to_owned(),
        FieldType::Choice => {
            let chosen = field.choices.iter().find(|c| c.id.eq_ignore_ascii_case(value));
            let chosen = chosen.ok_or_else(|| FieldProblem::Choice {
                value: value.to_owned().into(),
                allowed: field.choices.iter().map(|choice| choice.id.clone()).collect(),
            })?;
            chosen.id.clone()
        }
        FieldType::Text => match value.chars().count() {
            chars if chars > TEXT_CHARS_MAX => return Err(FieldProblem::TooLong(chars)),
            _ => value.to_owned(),
        },
    };
    in_range(field, normal)
}

fn in_range(field: &Field, value: String) -> Result<String, FieldProblem> {
    let Some(hard) = &field.hard else { return Ok(value) };
    let unit = field.unit.clone();
    if compare(field.kind, &value, &hard.min).is_some_and(Ordering::is_lt) {
        return Err(FieldProblem::Below { value: value.into(), limit: hard.min.clone(), unit });
    }
    if compare(field.kind, &value, &hard.max).is_some_and(Ordering::is_gt) {
        return Err(FieldProblem::Above { value: value.into(), limit: hard.max.clone(), unit });
    }
    Ok(value)
}

fn warning(field: &Field, value: &str) -> Option<FieldWarning> {
    let soft = field.soft.as_ref()?;
    let low = compare(field.kind, value, &soft.min).is_some_and(Ordering::is_lt);
    let high = compare(field.kind, value, &soft.max).is_some_and(Ordering::is_gt);
    (low || high).then(|| FieldWarning {
        field: field.id.clone(),
        value: value.to_owned().into(),
        usual: soft.clone(),
        unit: field.unit.clone(),
    })
}

fn compare(kind: FieldType, left: &str, right: &str) -> Option<Ordering> {
    match kind {
        FieldType::Integer | FieldType::Decimal => number::compare(left, right),
        // Dates in normal form sort like their text.
        FieldType::Date | FieldType::Choice | FieldType::YesNo | FieldType::Text => {
            Some(left.cmp(right))
        }
    }
}

fn yes_no(value: &str) -> Option<&'static str> {
    match value.to_lowercase().as_str() {
        "yes" | "y" | "true" | "yego" | "oui" => Some("yes"),
        "no" | "n" | "false" | "oya" | "non" => Some("no"),
        _ => None,
    }
}

const fn expected(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Integer => "a whole number",
        FieldType::Decimal => "a decimal number",
        FieldType::Date => "a date YYYY-MM-DD",
        FieldType::Choice => "one of the choices",
        FieldType::YesNo => "yes or no",
        FieldType::Text => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::form;

    fn answers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(field, value)| ((*field).into(), (*value).into())).collect()
    }

    const ANC: [(&str, &str); 5] = [
        ("round", "2"),
        ("lmp", "2026-05-02"),
        ("weight", "62,50"),
        ("systolic", "118"),
        ("diastolic", "76"),
    ];

    fn anc_with(more: &[(&str, &str)]) -> Result<Checked, Vec<FieldError>> {
        let mut all = answers(&ANC);
        all.extend(answers(more));
        check(form("anc", 1).unwrap(), &all)
    }

    fn message(more: &[(&str, &str)]) -> String {
        let errors = anc_with(more).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_ordinary_visit_passes_and_keeps_digits() {
        let checked = anc_with(&[("fundal-height", " ")]).unwrap();
        assert_eq!(checked.answers["weight"], "62.50");
        assert!(!checked.answers.contains_key("fundal-height"));
        assert!(checked.warnings.is_empty() && !checked.is_urgent());
    }

    #[test]
    fn errors_name_field_value_rule_and_unit() {
        assert_eq!(
            message(&[("weight", "900")]),
            "weight: 900 kg is above the largest allowed value 200 kg"
        );
        assert_eq!(
            message(&[("weight", "5")]),
            "weight: 5 kg is below the smallest allowed value 20 kg"
        );
        assert_eq!(message(&[("lmp", "soon")]), "lmp: soon is not a date YYYY-MM-DD");
        assert_eq!(message(&[("systolic", "12.5")]), "systolic: 12.5 is not a whole number");
        assert_eq!(message(&[("weight", "")]), "weight: an answer is required (a decimal number)");
        assert_eq!(message(&[("shoe", "42")]), "shoe: form anc version 1 has no such field");
        assert_eq!(message(&[("fever", "maybe")]), "fever: maybe is not yes or no");
    }

    #[test]
    fn unusual_values_warn_with_the_usual_range() {
        let warnings = anc_with(&[("weight", "130")]).unwrap().warnings;
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].to_string(), "weight: 130 kg is unusual; 35 kg to 120 kg is usual");
    }

    #[test]
    fn danger_signs_make_a_visit_urgent() {
        let signs = |checked: Checked| -> Vec<String> {
            checked.dangers.into_iter().map(|danger| danger.sign).collect()
        };
        assert_eq!(signs(anc_with(&[("bleeding", "yego")]).unwrap()), ["bleeding"]);
        assert_eq!(signs(anc_with(&[("systolic", "165")]).unwrap()), ["severe-hypertension"]);
        let child = |more: &[(&str, &str)]| {
            let mut all = answers(&[("age-months", "14")]);
            all.extend(answers(more));
            signs(check(form("sick-child", 1).unwrap(), &all).unwrap())
        };
        assert!(child(&[("muac", "12.5")]).is_empty());
        assert_eq!(child(&[("muac", "11.4")]), ["sam"]);
        assert!(child(&[("muac", "11.5")]).is_empty());
        assert_eq!(child(&[("unconscious", "yes")]), ["unconscious"]);
        assert_eq!(child(&[("respiratory-rate", "41"), ("cough", "yes")]), ["pneumonia"]);
        assert!(child(&[("respiratory-rate", "41"), ("cough", "no")]).is_empty());
    }

    #[test]
    fn advice_follows_from_the_answers() {
        let case = form("case", 1).unwrap();
        let advised = |pairs: &[(&str, &str)]| -> Vec<String> {
            let checked = check(case, &answers(pairs)).unwrap();
            checked.advice.into_iter().map(|one| one.id).collect()
        };
        assert_eq!(advised(&[("malaria-rdt", "positive"), ("diarrhoea", "no")]), ["malaria"]);
        assert_eq!(
            advised(&[("diarrhoea", "yego"), ("convulsions", "yes")]),
            ["diarrhoea", "refer-convulsions"]
        );
        assert_eq!(advised(&[]), Vec::<String>::new());
    }

    #[test]
    fn choices_are_found_by_id() {
        let sick = form("sick-child", 1).unwrap();
        let ok = check(sick, &answers(&[("age-months", "9"), ("malaria-rdt", "Positive")]));
        assert_eq!(ok.unwrap().answers["malaria-rdt"], "positive");
        let errors =
            check(sick, &answers(&[("age-months", "9"), ("malaria-rdt", "blue")])).unwrap_err();
        assert!(errors[0].to_string().contains("blue is not one of: positive, negative"));
    }
}
