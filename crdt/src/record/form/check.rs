//! Whether a form holds together. What is compiled in passes the same, in a test; what is published
//! passes it where it is published and again on every device that fills it.

use std::collections::BTreeSet;

use super::{Condition, Field, FieldType, Form, Label, Range};
use crate::limits::{
    FORM_BYTES_MAX, FORM_FIELDS_MAX, FORM_ID_BYTES_MAX, LABEL_BYTES_MAX, SIGN_BYTES_MAX,
};
use crate::record::forms::Forms;
use crate::record::number;

/// What the answers to a field become: these, or a part of them.
const RESOURCES: [&str; 6] = [
    "CommunicationRequest",
    "Condition",
    "Consent",
    "Immunization",
    "Observation",
    "ServiceRequest",
];

/// The one of them that is a whole visit.
const MESSAGES: &str = "CommunicationRequest";

/// Why a text is not a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// Longer than [`FORM_BYTES_MAX`].
    #[error("a form has at most {FORM_BYTES_MAX} bytes; this one has {0}")]
    TooLong(usize),
    /// Not TOML, or with a key that forms do not have, or without one that they must have.
    #[error("this is not a form: {0}")]
    Toml(String),
    /// It contradicts itself. Everything that was found.
    #[error("this form does not hold together: {}", .0.join("; "))]
    Wrong(Vec<String>),
}

/// Reads a form, as if it were compiled in.
pub(in crate::record) fn parse(text: &str) -> Result<Form, FormError> {
    if text.len() > FORM_BYTES_MAX {
        return Err(FormError::TooLong(text.len()));
    }
    let form: Form =
        toml::from_str(text).map_err(|error| FormError::Toml(error.message().to_owned()))?;
    let mut found = Problems(Vec::new());
    found.form(&form);
    if found.0.is_empty() { Ok(form.with_codes()) } else { Err(FormError::Wrong(found.0)) }
}

impl Form {
    /// What it says of other forms that are not among these: visits that are due by one that nobody
    /// can fill, say.
    #[must_use]
    pub fn strangers(&self, forms: &Forms) -> Vec<String> {
        let mut found = Problems(Vec::new());
        let known = |id: &str| if id == self.id { Some(self) } else { forms.latest(id) };
        for id in self.ends.iter().flat_map(|end| &end.forms) {
            found.unless(known(id).is_some(), || format!("ends: there is no form {id:?}"));
        }
        for one in &self.follow_ups {
            let Some(awaited) = known(&one.form) else {
                found.0.push(format!("follow-up {}: there is no form {:?}", one.id, one.form));
                continue;
            };
            for id in one.answers.keys().chain(&one.same) {
                found.unless(awaited.field(id).is_some(), || {
                    format!("follow-up {}: form {} has no field {id:?}", one.id, one.form)
                });
            }
        }
        found.0
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn unless(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(problem());
        }
    }

    fn form(&mut self, form: &Form) {
        self.id("id", &form.id);
        self.unless(form.version > 0, || "version: the first one is 1".to_owned());
        self.label("title", &form.title);
        let fields = form.fields.len();
        self.unless((1..=FORM_FIELDS_MAX).contains(&fields), || {
            format!("{fields} fields; a form has 1 to {FORM_FIELDS_MAX}")
        });
        self.once("field", form.fields.iter().map(|field| &field.id));
        form.fields.iter().for_each(|field| self.field(field));
        let said = |field: &&Field| field.resource == MESSAGES;
        let messages = form.fields.iter().filter(said).count();
        self.unless(messages == 0 || messages == fields, || {
            format!("either all fields or none are of a {MESSAGES}")
        });
        self.unless(messages == 0 || form.dangers.is_empty(), || {
            format!("a {MESSAGES} has no danger signs")
        });
        self.once("danger", form.dangers.iter().map(|rule| &rule.sign));
        for rule in &form.dangers {
            let at = format!("danger {}", rule.sign);
            self.id(&at, &rule.sign);
            self.unless(rule.sign.len() <= SIGN_BYTES_MAX, || {
                format!("{at}: a sign has at most {SIGN_BYTES_MAX} bytes")
            });
            self.unless(!rule.when.is_empty(), || format!("{at}: it has no condition"));
            self.label(&at, &rule.label);
            self.conditions(&at, form, &rule.when);
        }
        self.once("advice", form.advice.iter().map(|one| &one.id));
        for one in &form.advice {
            let at = format!("advice {}", one.id);
            self.label(&at, &one.label);
            self.text(&at, &one.source);
            self.conditions(&at, form, &one.when);
        }
        form.ends.iter().for_each(|end| self.conditions("ends", form, &end.when));
        self.once("follow-up", form.follow_ups.iter().map(|one| &one.id));
        self.follow_ups(form);
    }

    fn follow_ups(&mut self, form: &Form) {
        for one in &form.follow_ups {
            let at = format!("follow-up {}", one.id);
            self.id(&at, &one.id);
            self.label(&at, &one.label);
            self.text(&at, &one.source);
            self.conditions(&at, form, &one.when);
            self.conditions(&at, form, &one.unless);
            self.unless(one.due_hours < one.late_hours, || {
                format!("{at}: it is late before it is due")
            });
            for id in &one.same {
                self.unless(form.field(id).is_some(), || format!("{at}: no field {id:?} here"));
            }
            if let Some(id) = &one.from {
                let is_date = form.field(id).is_some_and(|field| field.kind == FieldType::Date);
                self.unless(is_date, || format!("{at}: {id:?} is no date of this form"));
            }
        }
    }

    fn field(&mut self, field: &Field) {
        let at = format!("field {}", field.id);
        self.id(&at, &field.id);
        self.label(&at, &field.label);
        let chosen = field.kind == FieldType::Choice;
        self.unless(chosen != field.choices.is_empty(), || {
            format!("{at}: a choice, and nothing else, has choices")
        });
        self.once(&format!("{at}: choice"), field.choices.iter().map(|choice| &choice.id));
        for choice in &field.choices {
            self.id(&at, &choice.id);
            self.label(&at, &choice.label);
        }
        self.unless(RESOURCES.contains(&field.resource.as_str()), || {
            format!("{at}: resource is one of {}", RESOURCES.join(", "))
        });
        let words = [&field.unit, &field.ucum].into_iter().flatten();
        let codes = field
            .codes
            .iter()
            .flat_map(|one| [&one.system, &one.code, &one.display, &one.source].into_iter());
        words.chain(codes).for_each(|text| self.text(&at, text));
        for Range { min, max } in field.hard.iter().chain(&field.soft) {
            let sorted = match field.kind {
                FieldType::Date => number::is_date(min) && number::is_date(max) && min <= max,
                FieldType::Integer | FieldType::Decimal => {
                    number::compare(min, max).is_some_and(core::cmp::Ordering::is_le)
                }
                FieldType::Choice | FieldType::YesNo | FieldType::Text => false,
            };
            self.unless(sorted, || format!("{at}: {min} to {max} is no range of its type"));
        }
    }

    fn conditions(&mut self, at: &str, form: &Form, when: &[Condition]) {
        for on in when {
            let Some(field) = form.field(&on.field) else {
                self.0.push(format!("{at}: there is no field {:?}", on.field));
                continue;
            };
            let choices = &field.choices;
            let chosen = choices.is_empty() || choices.iter().any(|one| one.id == on.value);
            self.unless(chosen, || format!("{at}: {} has no choice {:?}", field.id, on.value));
        }
    }

    fn label(&mut self, at: &str, label: &Label) {
        for text in [&label.rw, &label.fr, &label.en] {
            self.unless(!text.is_empty(), || format!("{at}: a label is missing"));
            self.text(at, text);
        }
    }

    /// What users read: no end of it, and nothing that steers a terminal.
    fn text(&mut self, at: &str, text: &str) {
        let plain = text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
        self.unless(plain, || {
            format!("{at}: a text of more than {LABEL_BYTES_MAX} bytes, or on several lines")
        });
    }

    /// What stands in keys and codes.
    fn id(&mut self, at: &str, id: &str) {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=FORM_ID_BYTES_MAX).contains(&id.len()) && id.chars().all(letters);
        self.unless(good, || {
            format!("{at}: an id is made of a to z, 0 to 9 and -, {FORM_ID_BYTES_MAX} at most")
        });
    }

    fn once<'a>(&mut self, what: &str, ids: impl Iterator<Item = &'a String>) {
        let mut seen = BTreeSet::new();
        for id in ids {
            self.unless(seen.insert(id), || format!("{what} {id} is there twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = r#"
id = "shoes"
version = 1
title = { rw = "Inkweto", fr = "Chaussures", en = "Shoes", review = true }
[[field]]
id = "size"
label = { rw = "Ingano", fr = "Pointure", en = "Size", review = true }
type = "integer"
resource = "Observation"
hard = { min = "10", max = "50" }
[[danger]]
sign = "too-big"
label = { rw = "Nini", fr = "Trop grand", en = "Too big", review = true }
when = [{ field = "size", op = ">", value = "48" }]
[[follow-up]]
id = "again"
label = { rw = "Ongera", fr = "Encore", en = "Again", review = true }
form = "shoes"
same = ["size"]
due-hours = 24
late-hours = 48
source = "a test"
verified = false
"#;

    /// The text with one thing changed, and what is said of it.
    fn wrong(from: &str, to: &str) -> String {
        assert!(FORM.contains(from), "{from}");
        Form::read(&FORM.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_form_is_named_by_its_text() {
        let form = Form::read(FORM).unwrap();
        let other = Form::read(&FORM.replace("Too big", "Too large")).unwrap();
        assert_eq!((form.name().id.as_str(), form.name().version), ("shoes", 1));
        assert_ne!(form.name(), other.name());
        let version = form.name().version();
        assert_eq!(FormName::read("shoes", &version), Some(form.name()));
        assert_eq!(version.len(), "1+".len() + 16);
        assert!(form.strangers(&Forms::built_in()).is_empty());
        assert_eq!(FormName::read("shoes", "1+xyz"), None);
    }

    #[test]
    fn what_does_not_hold_together_is_told() {
        assert!(wrong("\"shoes\"", "\"Shoes!\"").contains("an id is made of"));
        assert!(wrong("version = 1", "version = 0").contains("the first one is 1"));
        assert!(wrong("\"10\"", "\"60\"").contains("no range"));
        assert!(wrong("field = \"size\"", "field = \"sise\"").contains("no field \"sise\""));
        assert!(
            wrong("sign = \"too-big\"", "sign = \"too-big-for-a-card-of-200-bytes\"")
                .contains("24")
        );
        assert!(wrong("\"Size\"", "\"\"").contains("a label is missing"));
        assert!(wrong("\"Size\"", "\"\\u001b[2J\"").contains("on several lines"));
        assert!(wrong("due-hours = 24", "due-hours = 72").contains("late before it is due"));
        assert!(wrong("\"integer\"", "\"choice\"").contains("has choices"));
        assert!(wrong("resource", "ressource").contains("not a form"));
        let other = Form::read(&FORM.replace("form = \"shoes\"", "form = \"boots\"")).unwrap();
        assert_eq!(other.strangers(&Forms::built_in()).len(), 1);
        let long = format!("{FORM}# {}", "x".repeat(FORM_BYTES_MAX));
        assert!(matches!(Form::read(&long), Err(FormError::TooLong(_))));
    }

    use super::super::FormName;
}
