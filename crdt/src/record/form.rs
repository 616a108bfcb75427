//! Forms as data: which fields a visit has, their ranges, labels and codes, what makes it urgent, what
//! is advised, and what is due after it.
//!
//! The forms are TOML files of `crdt/forms`, compiled in. A form's id and version name it for
//! ever: what changes its meaning gets a new version, old versions stay readable. An unknown form
//! is an error when entering and never when viewing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// One version of one form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Its id, such as `anc`.
    pub id: String,
    /// Its version, from 1.
    pub version: u32,
    /// Its title.
    pub title: Label,
    /// Its fields, in the order in which they are asked.
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
    /// What makes a visit urgent.
    #[serde(rename = "danger", default)]
    pub dangers: Vec<DangerRule>,
    /// What to do.
    #[serde(default)]
    pub advice: Vec<Advice>,
    /// What is due after a visit.
    #[serde(rename = "follow-up", default)]
    pub follow_ups: Vec<FollowUp>,
    /// What is due no more after such a visit.
    #[serde(default)]
    pub ends: Vec<End>,
}

impl Form {
    /// The field with this id.
    #[must_use]
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// Gives each field without a code the one of this form.
    fn with_codes(mut self) -> Self {
        for field in self.fields.iter_mut().filter(|field| field.codes.is_empty()) {
            field.codes.push(Code {
                system: format!("urn:huza:form:{}", self.id),
                code: field.id.clone(),
                display: field.label.en.clone(),
                source: "local code of this form".to_owned(),
                verified: true,
            });
        }
        self
    }

    /// The rule with this sign.
    #[must_use]
    pub fn danger(&self, sign: &str) -> Option<&DangerRule> {
        self.dangers.iter().find(|rule| rule.sign == sign)
    }
}

/// A language of labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Kinyarwanda.
    #[default]
    Rw,
    /// French.
    Fr,
    /// English.
    En,
}

/// A text in three languages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Kinyarwanda.
    pub rw: String,
    /// French.
    pub fr: String,
    /// English.
    pub en: String,
    /// Whether the Kinyarwanda is not yet confirmed by a native reviewer or a published source.
    #[serde(default)]
    pub review: bool,
}

impl Label {
    /// The text in one language.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Rw => &self.rw,
            Language::Fr => &self.fr,
            Language::En => &self.en,
        }
    }
}

/// One question of a form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Field {
    /// Its id; the answer's key is `answer/<id>`.
    pub id: String,
    /// What the user reads.
    pub label: Label,
    /// Type of the answer.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Unit as shown to users, such as `kg`.
    pub unit: Option<String>,
    /// Outside of it an answer is refused.
    pub hard: Option<Range>,
    /// Outside of it the user is asked to look again.
    pub soft: Option<Range>,
    /// Whether it must be answered.
    #[serde(default)]
    pub required: bool,
    /// The answers of a [`FieldType::Choice`].
    #[serde(rename = "choice", default)]
    pub choices: Vec<Choice>,
    /// FHIR R4 resource that carries the answer.
    pub resource: String,
    /// UCUM unit of a quantity.
    pub ucum: Option<String>,
    /// Codes of the question, the preferred one first; never none.
    #[serde(rename = "code", default)]
    pub codes: Vec<Code>,
}

/// Type of an answer. Answers are kept as text in the normal form that [`super::check`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldType {
    /// A whole number.
    Integer,
    /// A decimal number; its digits are kept.
    Decimal,
    /// `YYYY-MM-DD`.
    Date,
    /// One of the choices, by id.
    Choice,
    /// `yes` or `no`.
    YesNo,
    /// Free text.
    Text,
}

/// Smallest and largest value, both allowed; numbers as decimals, dates as `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Smallest value.
    pub min: String,
    /// Largest value.
    pub max: String,
}

/// One answer of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its id, which is what is stored.
    pub id: String,
    /// What the user reads.
    pub label: Label,
}

/// A code of a terminology, with where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Code system, a URI.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its display name.
    pub display: String,
    /// Where the code was found.
    pub source: String,
    /// Whether it was seen in the named source; false: from general knowledge, to be checked.
    pub verified: bool,
}

/// A danger sign: present if all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DangerRule {
    /// Its code, as it stands on cards.
    pub sign: String,
    /// What the user reads.
    pub label: Label,
    /// Conditions; a condition on a field without answer does not hold.
    pub when: Vec<Condition>,
}

/// What a worker is advised to do, if all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// Its id in the form.
    pub id: String,
    /// What the user reads.
    pub label: Label,
    /// Conditions, as in [`DangerRule`].
    pub when: Vec<Condition>,
    /// Who says so.
    pub source: String,
    /// Whether it was seen in the named source; false: for a clinician to confirm.
    pub verified: bool,
}

/// A visit that is due after another one, if all conditions hold. See [`super::reminders`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FollowUp {
    /// Its id in the form.
    pub id: String,
    /// What the user reads.
    pub label: Label,
    /// The form whose visit is awaited.
    pub form: String,
    /// Answers that it must have to be the one that is awaited.
    #[serde(default)]
    pub answers: BTreeMap<String, String>,
    /// Conditions, as in [`DangerRule`]; none: always.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// It is not due if all of these hold; none: always.
    #[serde(default)]
    pub unless: Vec<Condition>,
    /// Fields in which the awaited visit must not say something else than the one that asks for it:
    /// of two twins, one visit is not the other's.
    #[serde(default)]
    pub same: Vec<String>,
    /// Counted from the beginning of the day in this field; none: from when the visit took place.
    pub from: Option<String>,
    /// From so many hours on it is due.
    pub due_hours: u32,
    /// From so many hours on it is overdue.
    pub late_hours: u32,
    /// Who says so.
    pub source: String,
    /// Whether it was seen in the named source; false: to be confirmed.
    pub verified: bool,
}

/// What is due no more, if all conditions hold: a death ends what was due for whom it names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Conditions, as in [`DangerRule`]; none: always.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// The forms whose visits are awaited no more; none: all.
    #[serde(default)]
    pub forms: Vec<String>,
}

/// `field op value`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Id of the field.
    pub field: String,
    /// How to compare its answer.
    pub op: Comparison,
    /// With what.
    pub value: String,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Comparison {
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Below.
    #[serde(rename = "<")]
    Below,
    /// Below or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Above.
    #[serde(rename = ">")]
    Above,
    /// Above or equal.
    #[serde(rename = ">=")]
    AtLeast,
}

macro_rules! texts {
    ($($id:literal,)*) => {
        [$(include_str!(concat!("../../forms/", $id, ".toml")),)*]
    };
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let texts = texts![
        "anc",
        "birth",
        "case",
        "case-follow-up",
        "child-health",
        "consent",
        "death",
        "departure",
        "newborn",
        "nutrition",
        "postnatal",
        "pregnancy",
        "red-alert",
        "red-alert-result",
        "referral",
        "referral-result",
        "refusal",
        "risk",
        "risk-result",
        "sick-child",
    ];
    let form = |text| {
        #[expect(clippy::expect_used, reason = "compiled in, and a test parses them")]
        let form: Form = toml::from_str(text).expect("a form of ours parses");
        form.with_codes()
    };
    texts.into_iter().map(form).collect()
});

/// All forms that can be filled.
#[must_use]
pub fn forms() -> &'static [Form] {
    &FORMS
}

/// One version of one form; `None` if it is unknown.
#[must_use]
pub fn form(id: &str, version: u32) -> Option<&'static Form> {
    forms().iter().find(|form| form.id == id && form.version == version)
}

/// Every label whose Kinyarwanda still needs a native reviewer, with its place in its form
/// (`anc/field/weight`).
#[must_use]
pub fn labels_to_review() -> Vec<(String, &'static Label)> {
    let of_form = |form: &'static Form| {
        let id = &form.id;
        let title = core::iter::once((format!("{id}/title"), &form.title));
        let fields = form.fields.iter().flat_map(move |field| {
            let at = format!("{id}/field/{}", field.id);
            let choice_at = at.clone();
            let choices = field
                .choices
                .iter()
                .map(move |choice| (format!("{choice_at}/{}", choice.id), &choice.label));
            core::iter::once((at, &field.label)).chain(choices)
        });
        let dangers = form
            .dangers
            .iter()
            .map(move |rule| (format!("{id}/danger/{}", rule.sign), &rule.label));
        let advice = form.advice.iter();
        let advice = advice.map(move |one| (format!("{id}/advice/{}", one.id), &one.label));
        let due = form.follow_ups.iter();
        let due = due.map(move |one| (format!("{id}/follow-up/{}", one.id), &one.label));
        title.chain(fields).chain(dangers).chain(advice).chain(due)
    };
    forms().iter().flat_map(of_form).filter(|(_, label)| label.review).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::record::number;

    #[test]
    fn forms_hold_together() {
        assert!(form("anc", 99).is_none());
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("forms");
        assert_eq!(forms().len(), std::fs::read_dir(here).unwrap().count(), "a file is left out");
        for form in forms() {
            let ids: BTreeSet<_> = form.fields.iter().map(|field| &field.id).collect();
            assert_eq!(ids.len(), form.fields.len(), "{}: a field twice", form.id);
            for field in &form.fields {
                assert!(!field.codes.is_empty(), "{}: no code", field.id);
                assert_eq!(field.kind == FieldType::Choice, !field.choices.is_empty());
                for range in field.hard.iter().chain(&field.soft) {
                    assert_range(field, range);
                }
            }
            for rule in &form.dangers {
                assert!(!rule.when.is_empty() && rule.sign.len() <= 24, "{}", rule.sign);
                assert_conditions(form, &rule.when);
            }
            let advised: BTreeSet<_> = form.advice.iter().map(|one| &one.id).collect();
            assert_eq!(advised.len(), form.advice.len(), "{}: an advice twice", form.id);
            for one in &form.advice {
                assert_conditions(form, &one.when);
            }
            for one in &form.ends {
                assert_conditions(form, &one.when);
                let known = |id: &String| forms().iter().any(|other| other.id == *id);
                assert!(one.forms.iter().all(known), "{}", form.id);
            }
            for one in &form.follow_ups {
                assert_conditions(form, &one.when);
                assert_conditions(form, &one.unless);
                assert!(one.due_hours < one.late_hours, "{}", one.id);
                let awaited = forms().iter().find(|other| other.id == one.form).unwrap();
                assert!(one.answers.keys().all(|id| awaited.field(id).is_some()), "{}", one.id);
                let both = |id: &String| awaited.field(id).is_some() && form.field(id).is_some();
                assert!(one.same.iter().all(both), "{}", one.id);
                let from = one.from.as_deref().map(|id| form.field(id).unwrap().kind);
                assert!(from.is_none_or(|kind| kind == FieldType::Date), "{}", one.id);
            }
        }
    }

    fn assert_conditions(form: &Form, when: &[Condition]) {
        for on in when {
            let field =
                form.field(&on.field).unwrap_or_else(|| panic!("{}: {}", form.id, on.field));
            let choices = &field.choices;
            assert!(choices.is_empty() || choices.iter().any(|choice| choice.id == on.value));
        }
    }

    fn assert_range(field: &Field, range: &Range) {
        match field.kind {
            FieldType::Date => assert!(number::is_date(&range.min) && number::is_date(&range.max)),
            FieldType::Integer | FieldType::Decimal => {
                assert!(number::compare(&range.min, &range.max).unwrap().is_lt(), "{}", field.id);
            }
            other => panic!("{}: a range on {other:?}", field.id),
        }
    }

    #[test]
    fn unconfirmed_labels_and_codes_are_listed() {
        assert!(labels_to_review().iter().any(|(at, _)| at == "sick-child/field/drink-unable"));
        assert!(!labels_to_review().iter().any(|(at, _)| at == "anc/field/weight"));
        let malaria = form("sick-child", 1).unwrap().field("malaria-rdt").unwrap();
        assert!(malaria.codes.iter().any(|code| code.code == "70569-9" && !code.verified));
    }
}
