//! What lists and search need of a record.

use serde::{Deserialize, Serialize};

use super::Document;
use super::fhir::json::{self, Json};
use super::forms::Forms;
use super::link::Link;
use super::message::messages;
use super::reminder::{Reminder, reminders};
use super::validate;
use super::view::{RecordView, VisitView};
use crate::id::RecordId;
use crate::time::Stamp;

/// A record in a list. Names, sex, birth date and identifiers come from the person's fields, else
/// from the Patient resource that an app brought in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The record.
    pub record: RecordId,
    /// Display names, the shown one first; conflicting ones follow. Of a record without a person,
    /// what its resource calls itself.
    pub names: Vec<String>,
    /// `female`, `male`, `other` or `unknown`.
    pub sex: Option<String>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub birth_date: Option<String>,
    /// Village, as the person's field says.
    pub village: Option<String>,
    /// `<system>|<value>`, sorted.
    pub identifiers: Vec<String>,
    /// Number of visits, those entered in error not counted.
    pub visits: u32,
    /// Number of FHIR resources.
    pub resources: u32,
    /// Whether any key has more than one value.
    pub has_conflict: bool,
    /// Whether the latest visit shows a danger sign, in any of its conflicting answers.
    pub urgent: bool,
    /// When the latest visit took place, as its worker says.
    pub latest: Option<Stamp>,
    /// What is due for the person, or was, the earliest first.
    pub reminders: Vec<Reminder>,
    /// The other records of which it says whether they are about the same person.
    pub links: Vec<Link>,
}

crate::debug_shows!(struct Summary { visits, resources, has_conflict, urgent });

impl Summary {
    /// The name to show; the record's id where there is none.
    #[must_use]
    pub fn name(&self) -> String {
        self.names.first().cloned().unwrap_or_else(|| self.record.to_string())
    }

    /// Whether every word of `query` occurs in the names, the identifiers, the village or the
    /// birth date; case, accents and the order of words do not matter. An empty query matches.
    #[must_use]
    pub fn matches(&self, query: &str) -> bool {
        let place = [&self.village, &self.birth_date].into_iter().flatten();
        let texts = self.names.iter().chain(&self.identifiers).chain(place).map(String::as_str);
        Query::new(query).finds(texts)
    }
}

/// Words that are looked for.
pub(crate) struct Query(Vec<String>);

crate::debug_shows!(
    struct Query {}
);

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self(fold(text).split_whitespace().map(str::to_owned).collect())
    }

    /// Whether every word occurs in one of these texts.
    pub(crate) fn finds<'a>(&self, texts: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.0.iter().all(|word| texts.clone().any(|text| contains(text, word)))
    }
}

/// The beginning of a stored [`Summary`], read without copying its texts.
#[derive(Deserialize)]
pub(crate) struct Texts<'a> {
    _record: RecordId,
    #[serde(borrow)]
    pub(super) names: Vec<&'a str>,
    sex: Option<&'a str>,
    birth_date: Option<&'a str>,
    village: Option<&'a str>,
    pub(super) identifiers: Vec<&'a str>,
}

crate::debug_shows!(
    struct Texts<'_> {}
);

impl Texts<'_> {
    /// What [`Summary::matches`] looks at.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> + Clone {
        let place = [self.village, self.birth_date].into_iter().flatten();
        self.names.iter().chain(&self.identifiers).copied().chain(place)
    }

    pub(super) fn demographics(&self) -> Demographics {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Demographics { sex: owned(self.sex), birth_date: owned(self.birth_date) }
    }
}

/// Whether a folded word occurs in a text, once that is folded too.
fn contains(text: &str, word: &str) -> bool {
    if !text.is_ascii() {
        return fold(text).contains(word);
    }
    // Most names: nothing is copied.
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word))
}

/// What tells two people under one id apart.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Demographics {
    /// `female`, `male`, `other` or `unknown`.
    pub sex: Option<String>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub birth_date: Option<String>,
}

crate::debug_shows!(
    struct Demographics {}
);

impl Demographics {
    /// Whether the two cannot be one person: both sexes known and different, or birth dates of
    /// which neither is the beginning of the other.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let known = |sex: &Option<String>| {
            sex.as_deref().map(str::to_lowercase).filter(|sex| sex != "unknown" && !sex.is_empty())
        };
        let sexes = known(&self.sex).zip(known(&other.sex)).is_some_and(|(a, b)| a != b);
        let births = self
            .birth_date
            .as_ref()
            .zip(other.birth_date.as_ref())
            .is_some_and(|(a, b)| !a.starts_with(b.as_str()) && !b.starts_with(a.as_str()));
        sexes || births
    }
}

impl From<&Summary> for Demographics {
    fn from(summary: &Summary) -> Self {
        Self { sex: summary.sex.clone(), birth_date: summary.birth_date.clone() }
    }
}

/// What a Patient resource says of a person.
#[derive(Clone, Default)]
pub(crate) struct PatientText {
    pub(crate) names: Vec<String>,
    pub(crate) demographics: Demographics,
    pub(crate) identifiers: Vec<String>,
}

crate::debug_shows!(
    struct PatientText {}
);

impl PatientText {
    pub(crate) fn read(patient: &Json<'_>) -> Self {
        let text = |name| patient.get(name).and_then(Json::as_str).map(str::to_owned);
        Self {
            names: patient.items("name").filter_map(human_name).collect(),
            demographics: Demographics { sex: text("gender"), birth_date: text("birthDate") },
            identifiers: identifiers(patient)
                .map(|(system, value)| format!("{system}|{value}"))
                .collect(),
        }
    }
}

/// System and value of every identifier of a resource that has a value.
pub(crate) fn identifiers<'a>(resource: &'a Json<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    resource.items("identifier").filter_map(|identifier| {
        let system = identifier.get("system").and_then(Json::as_str).unwrap_or_default();
        Some((system, identifier.get("value")?.as_str()?))
    })
}

fn human_name(name: &Json<'_>) -> Option<String> {
    if let Some(text) = name.get("text").and_then(Json::as_str) {
        return Some(text.to_owned());
    }
    let family = name.get("family").and_then(Json::as_str);
    let parts: Vec<_> = name.items("given").filter_map(Json::as_str).chain(family).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Characters of a message that stand in a list. // guess: the width of a phone
const NOTICE_CHARS: usize = 40;

impl Document {
    /// Its entry in a list.
    #[must_use]
    pub fn summary(&self, forms: &Forms) -> Summary {
        Summary::of(&self.view(), forms)
    }
}

impl Summary {
    /// A record's entry in a list, as far as these forms can be read.
    #[must_use]
    pub fn of(view: &RecordView, forms: &Forms) -> Self {
        let patient = patient_text(view);
        let mut names = person_names(view);
        if names.is_empty() {
            names = patient.names;
        }
        if names.is_empty() {
            names.extend(thing_name(view).or_else(|| notice_name(view, forms)));
        }
        let mut identifiers: Vec<_> = view
            .person
            .keys()
            .filter_map(|field| field.strip_prefix("identifier/").map(str::to_owned))
            .collect();
        if identifiers.is_empty() {
            identifiers = patient.identifiers;
        }
        identifiers.sort();
        identifiers.dedup();
        let field = |name: &str| view.person(name).map(str::to_owned);
        let valid: Vec<_> = view.visits.values().filter(|v| is_visit(v)).collect();
        // The later of two visits at one moment is the one with the larger id.
        let latest = valid.iter().max_by_key(|visit| visit.occurred());
        Self {
            record: view.record,
            names,
            sex: field("sex").or(patient.demographics.sex),
            birth_date: field("birth-date").or(patient.demographics.birth_date),
            village: field("village"),
            identifiers,
            visits: count(valid.len()),
            resources: count(view.resources.len()),
            has_conflict: !view.conflicts().is_empty(),
            urgent: latest.is_some_and(|visit| is_urgent(visit, forms)),
            latest: latest.and_then(|visit| visit.occurred()),
            reminders: reminders(view, forms),
            links: view.links.iter().filter_map(Link::read).collect(),
        }
    }
}

/// Of a record without a person, such as an organization: what its resource calls itself.
fn thing_name(view: &RecordView) -> Option<String> {
    let (key, shown) = view.resources.iter().next()?;
    let kind = key.split('/').next().unwrap_or_default();
    let resource = json::parse(shown.text()).ok()?;
    match resource.get("name").and_then(Json::as_str) {
        Some(name) => Some(name.to_owned()),
        None => resource.items("name").find_map(human_name).or_else(|| Some(kind.to_owned())),
    }
}

/// Of a record that is a message to an area: what it is, and how it begins.
fn notice_name(view: &RecordView, forms: &Forms) -> Option<String> {
    let message = messages(view, forms).into_iter().next()?;
    let (_, text) = message.says.last()?;
    let beginning: String = text.chars().take(NOTICE_CHARS).collect();
    Some(format!("{}: {beginning}", message.title.rw))
}

fn is_visit(visit: &VisitView) -> bool {
    !visit.is_void() && visit.fields.contains_key("form")
}

fn is_urgent(visit: &VisitView, forms: &Forms) -> bool {
    let name = visit.form();
    let form = name.and_then(|name| forms.get(&name));
    form.is_some_and(|form| validate::signs(form, visit).next().is_some())
}

/// Whether a record has a visit whose form is not among these: it may mean more than is listed.
#[must_use]
pub fn is_unread(view: &RecordView, forms: &Forms) -> bool {
    let mut visits = view.visits.values().filter(|visit| is_visit(visit));
    visits.any(|visit| visit.form().is_none_or(|name| forms.get(&name).is_none()))
}

/// Given and family name in their shown values, then with each conflicting part.
fn person_names(view: &RecordView) -> Vec<String> {
    let values = |field: &str| -> Vec<String> {
        view.person
            .get(field)
            .map(|at| at.all().map(|value| value.value.clone()).collect())
            .unwrap_or_default()
    };
    let mut names = values("name/text");
    let (given, family) = (values("name/given"), values("name/family"));
    let join = |given: Option<&String>, family: Option<&String>| -> Vec<String> {
        let parts: Vec<_> = [given, family].into_iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { vec![] } else { vec![parts.join(" ")] }
    };
    names.extend(join(given.first(), family.first()));
    names.extend(given.iter().skip(1).flat_map(|given| join(Some(given), family.first())));
    names.extend(family.iter().skip(1).flat_map(|family| join(given.first(), Some(family))));
    names
}

/// All Patient resources of a record taken together, in order of their keys.
fn patient_text(view: &RecordView) -> PatientText {
    let mut all = PatientText::default();
    let patients = view.resources.iter().filter(|(key, _)| key.starts_with("Patient/"));
    for value in patients.flat_map(|(_, shown)| shown.all()) {
        let Ok(patient) = json::parse(&value.value) else { continue };
        let one = PatientText::read(&patient);
        all.names.extend(one.names);
        all.identifiers.extend(one.identifiers);
        all.demographics.sex = all.demographics.sex.or(one.demographics.sex);
        all.demographics.birth_date = all.demographics.birth_date.or(one.demographics.birth_date);
    }
    all.names.dedup();
    all
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Lower case without accents. Covers Latin-1 and the letters of names in the region; combining
/// marks are dropped.
pub(super) fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .map(|c| match c {
            '\u{e0}'..='\u{e5}' | '\u{101}' | '\u{103}' | '\u{105}' => 'a',
            '\u{e7}' | '\u{107}' | '\u{10d}' => 'c',
            '\u{e8}'..='\u{eb}' | '\u{113}' | '\u{117}' | '\u{119}' | '\u{11b}' => 'e',
            '\u{ec}'..='\u{ef}' | '\u{12b}' => 'i',
            '\u{f1}' | '\u{144}' => 'n',
            '\u{f2}'..='\u{f6}' | '\u{f8}' | '\u{14d}' => 'o',
            '\u{15b}' | '\u{161}' => 's',
            '\u{f9}'..='\u{fc}' | '\u{16b}' => 'u',
            '\u{fd}' | '\u{ff}' => 'y',
            '\u{17a}' | '\u{17c}' | '\u{17e}' => 'z',
            other => other,
        })
        .collect()
}
