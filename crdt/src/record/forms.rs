//! The forms that can be filled and read: those that are compiled in, and those that were published.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::form::{self, Form, FormName, Label};

macro_rules! texts {
    ($($id:literal,)*) => {
        &[$(($id, include_str!(concat!("../../forms/", $id, ".toml"))),)*]
    };
}

/// Id and text of every form that is compiled in.
const TEXTS: &[(&str, &str)] = texts![
    "anc",
    "birth",
    "case",
    "case-follow-up",
    "child-health",
    "consent",
    "death",
    "departure",
    "message",
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

static BUILT_IN: LazyLock<Forms> = LazyLock::new(|| {
    let form = |(_, text): &(&str, &str)| {
        #[expect(clippy::expect_used, reason = "compiled in, and a test parses them")]
        let form = form::parse(text).expect("a form of ours holds together");
        Arc::new(form)
    };
    Forms(Arc::default()).with(TEXTS.iter().map(form))
});

/// A form that is compiled in; `None` if there is none of this id and version.
#[must_use]
pub fn form(id: &str, version: u32) -> Option<&'static Form> {
    BUILT_IN.get(&FormName { id: id.to_owned(), version, digest: None })
}

/// The text of a form that is compiled in: a beginning for a changed one.
#[must_use]
pub fn form_text(id: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == id).map(|(_, text)| *text)
}

/// Some forms. A copy costs nothing.
#[derive(Debug, Clone)]
pub struct Forms(Arc<Known>);

#[derive(Debug, Clone, Default)]
struct Known {
    all: BTreeMap<FormName, Arc<Form>>,
    /// Id -> the one that is filled.
    latest: BTreeMap<String, FormName>,
}

impl Default for Forms {
    /// Those that are compiled in.
    fn default() -> Self {
        Self::built_in()
    }
}

impl Forms {
    /// Those that are compiled in.
    #[must_use]
    pub fn built_in() -> Self {
        BUILT_IN.clone()
    }

    /// These and others. Of one id the highest version is filled; of two forms with one version, the
    /// later one here.
    #[must_use]
    pub fn with(mut self, others: impl IntoIterator<Item = Arc<Form>>) -> Self {
        for form in others {
            let known = Arc::make_mut(&mut self.0);
            let name = form.name();
            let filled = known.latest.entry(form.id.clone()).or_insert_with(|| name.clone());
            if filled.version <= form.version {
                *filled = name.clone();
            }
            known.all.insert(name, form);
        }
        self
    }

    /// A form by its name.
    #[must_use]
    pub fn get(&self, name: &FormName) -> Option<&Form> {
        self.0.all.get(name).map(AsRef::as_ref)
    }

    /// The form of this id that is filled.
    #[must_use]
    pub fn latest(&self, id: &str) -> Option<&Form> {
        self.get(self.0.latest.get(id)?)
    }

    /// The forms that are filled, in the order of their ids.
    pub fn filled(&self) -> impl Iterator<Item = &Form> {
        self.0.latest.values().filter_map(|name| self.get(name))
    }

    /// Every label of [`Self::filled`] whose Kinyarwanda still needs a native reviewer, with its
    /// place in its form (`anc/field/weight`).
    #[must_use]
    pub fn labels_to_review(&self) -> Vec<(String, &Label)> {
        self.filled().flat_map(labels).filter(|(_, label)| label.review).collect()
    }
}

/// Every label of a form, with its place.
fn labels(form: &Form) -> impl Iterator<Item = (String, &Label)> {
    let id = &form.id;
    let title = core::iter::once((format!("{id}/title"), &form.title));
    let fields = form.fields.iter().flat_map(move |field| {
        let at = format!("{id}/field/{}", field.id);
        let choice_at = at.clone();
        let choices = field.choices.iter();
        let choices =
            choices.map(move |choice| (format!("{choice_at}/{}", choice.id), &choice.label));
        core::iter::once((at, &field.label)).chain(choices)
    });
    let dangers = form.dangers.iter();
    let dangers = dangers.map(move |rule| (format!("{id}/danger/{}", rule.sign), &rule.label));
    let advice = form.advice.iter();
    let advice = advice.map(move |one| (format!("{id}/advice/{}", one.id), &one.label));
    let due = form.follow_ups.iter();
    let due = due.map(move |one| (format!("{id}/follow-up/{}", one.id), &one.label));
    title.chain(fields).chain(dangers).chain(advice).chain(due)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_forms_that_are_compiled_in_hold_together() {
        let forms = Forms::built_in();
        assert!(form("anc", 99).is_none());
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("forms");
        let files = std::fs::read_dir(here).unwrap().count();
        assert_eq!(forms.filled().count(), files, "a file is left out");
        for form in forms.filled() {
            assert_eq!(form.strangers(&forms), Vec::<String>::new(), "{}", form.id);
            assert!(form.fields.iter().all(|field| !field.codes.is_empty()), "{}", form.id);
        }
    }

    #[test]
    fn unconfirmed_labels_and_codes_are_listed() {
        let labels = Forms::built_in();
        let labels = labels.labels_to_review();
        assert!(labels.iter().any(|(at, _)| at == "sick-child/field/drink-unable"));
        assert!(!labels.iter().any(|(at, _)| at == "anc/field/weight"));
        let malaria = form("sick-child", 1).unwrap().field("malaria-rdt").unwrap();
        assert!(malaria.codes.iter().any(|code| code.code == "70569-9" && !code.verified));
    }

    #[test]
    fn the_highest_version_is_filled_and_every_one_is_read() {
        let text = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("forms/consent.toml"),
        );
        let text = text.unwrap();
        let later = |version: &str, note: &str| {
            let text = text.replace("version = 1", &format!("version = {version}"));
            Arc::new(Form::read(&format!("{text}# {note}\n")).unwrap())
        };
        let [old, second, same, copy] =
            [later("1", "a"), later("2", "a"), later("2", "b"), later("1", "c")];
        let all = [&second, &same, &old, &copy].map(Arc::clone);
        let forms = Forms::built_in().with(all);
        assert_eq!(forms.latest("consent").unwrap().name(), same.name());
        for one in [&old, &second, &same, &copy] {
            assert_eq!(forms.get(&one.name()), Some(&**one));
        }
        assert_eq!(forms.get(&form("consent", 1).unwrap().name()), form("consent", 1));
        assert_eq!(forms.filled().count(), Forms::built_in().filled().count());
    }
}
