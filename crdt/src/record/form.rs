//! Forms as data: which fields a visit has, their ranges, labels and codes, what makes it urgent, what
//! is advised, and what is due after it.
//!
//! A form is written as TOML. Those of `crdt/forms` are compiled in; others are published by an
//! authority and travel (see [`super::Forms`]). A form's name is for ever: what changes its meaning
//! gets a new version, old versions stay readable. An unknown form is an error when entering and
//! never when viewing.

mod check;

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::check::FormError;
pub(super) use self::check::parse;
use crate::id::{FormDigest, hash_parts, truncated};

/// Names one form for ever. A published one is named by its text too, so that nobody can publish
/// another under the same id and version and change what visits mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FormName {
    /// Its id, such as `anc`.
    pub id: String,
    /// Its version, from 1.
    pub version: u32,
    /// The digest of its text; none of a form that is compiled in.
    pub digest: Option<FormDigest>,
}

impl FormName {
    /// Reads what a visit says: the form's id, and `2` or `2+<digest>`.
    #[must_use]
    pub fn read(id: &str, version: &str) -> Option<Self> {
        let (number, digest) = match version.split_once('+') {
            None => (version, None),
            Some((number, digest)) => (number, Some(FormDigest::from_hex(digest)?)),
        };
        Some(Self { id: id.to_owned(), version: number.parse().ok()?, digest })
    }

    /// Its version as a visit says it.
    #[must_use]
    pub fn version(&self) -> String {
        match self.digest {
            None => self.version.to_string(),
            Some(digest) => format!("{}+{digest}", self.version),
        }
    }
}

impl fmt::Display for FormName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.version())
    }
}

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
    /// Whether its visits are messages: laid before the workers of the area, and sent at once.
    #[serde(default)]
    pub inbox: bool,
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
    /// The digest of its text, if it was published.
    #[serde(skip)]
    pub digest: Option<FormDigest>,
}

impl Form {
    /// Reads a form that is published, and checks that it holds together.
    ///
    /// # Errors
    /// If it is too long, not TOML of a form, or contradicts itself: with everything that is wrong.
    pub fn read(text: &str) -> Result<Self, FormError> {
        let digest = truncated(hash_parts("huza 2026 form", &[text.as_bytes()]));
        Ok(Self { digest: Some(FormDigest(digest)), ..check::parse(text)? })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> FormName {
        FormName { id: self.id.clone(), version: self.version, digest: self.digest }
    }

    /// The field with this id.
    #[must_use]
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// Gives each field without a code the one of this form.
    pub(super) fn with_codes(mut self) -> Self {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
