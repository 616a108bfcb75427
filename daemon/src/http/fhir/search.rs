//! Searches: patients by who they are, everything else by whom it is about.

use huza_crdt::{
    node::{Command, PlacedResource, Reply, ResourceScope},
    record::Summary,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::super::{
    call::{Answer, Call},
    problem::Problem,
};
use super::{FHIR_JSON, Kind, PATIENT, accepts, is_id, kind_of, patient, resources};

/// Entries of a page, if nothing else is wanted, and at most.
const COUNT: usize = 50;
const COUNT_MAX: usize = 200;

/// How far pages go.
const OFFSET_MAX: usize = 100_000;

/// Names and types of parameters; without a type it is none of FHIR's.
type Params = &'static [(&'static str, &'static str)];

const OF_PATIENT: Params = &[
    ("_id", "token"),
    ("name", "string"),
    ("identifier", "token"),
    ("birthdate", "date"),
    ("gender", "token"),
    ("_count", ""),
    ("_offset", ""),
    ("_format", ""),
];
const OF_OTHERS: Params = &[
    ("_id", "token"),
    ("patient", "reference"),
    ("subject", "reference"),
    ("code", "token"),
    ("_count", ""),
    ("_offset", ""),
    ("_format", ""),
];

pub(super) fn params(kind: &Kind) -> Params {
    if kind.name == "Patient" { OF_PATIENT } else { OF_OTHERS }
}

/// Which part of a search's answer is wanted.
struct Part {
    offset: usize,
    count: usize,
}

impl Part {
    fn of(call: &Call, kind: &Kind) -> Result<Self, Problem> {
        let known: Vec<&str> = params(kind).iter().map(|(name, _)| *name).collect();
        call.only(&known)?;
        accepts(call)?;
        let count = call.number("_count", COUNT, COUNT_MAX)?;
        Ok(Self { count, offset: call.number("_offset", 0, OFFSET_MAX)? })
    }

    /// Where the next one begins, if there are so many in all.
    const fn next(&self, all: usize) -> Option<usize> {
        let end = self.offset + self.count;
        if all > end && self.count > 0 { Some(end) } else { None }
    }
}

pub(in crate::http) async fn people(call: Call) -> Result<Answer, Problem> {
    let part = Part::of(&call, PATIENT)?;
    let wanted = Wanted::of(&call)?;
    let (page, next) = match call.text("_id") {
        Some(_) => one_by_one(&call, PATIENT, &part, |one| wanted.fits(one)).await?,
        None => page_of_people(&call, &wanted, &part).await?,
    };
    bundle(&call, PATIENT, &page, next)
}

pub(in crate::http) async fn search(call: Call) -> Result<Answer, Problem> {
    let kind = kind_of(&call)?;
    let part = Part::of(&call, kind)?;
    let code = call.text("code");
    let fits = |one: &PlacedResource| code.is_none_or(|code| has_code(&one.text, code));
    let (page, next) = one_by_one(&call, kind, &part, fits).await?;
    bundle(&call, kind, &page, next)
}

/// A page, and where the next one begins.
type Page = (Vec<PlacedResource>, Option<usize>);

async fn one_by_one(
    call: &Call,
    kind: &Kind,
    part: &Part,
    fits: impl Fn(&PlacedResource) -> bool,
) -> Result<Page, Problem> {
    let mut all = about(call, kind).await?;
    all.retain(fits);
    let next = part.next(all.len());
    Ok((all.into_iter().skip(part.offset).take(part.count).collect(), next))
}

/// A page of people; a page has so many records, of which some may not fit what is asked.
async fn page_of_people(call: &Call, wanted: &Wanted<'_>, part: &Part) -> Result<Page, Problem> {
    let command = Command::Find { query: wanted.query(), limit: part.offset + part.count + 1 };
    let Reply::Found { records } = call.ask(command).await? else { return Err(Problem::odd()) };
    let mut page = Vec::new();
    for one in records.iter().skip(part.offset).take(part.count) {
        let all = match resources(&call.shared, ResourceScope::Record(one.record)).await {
            Ok((_, all)) => all,
            // It was erased meanwhile.
            Err(problem) if problem.code == "unknown_record" => continue,
            Err(problem) => return Err(problem),
        };
        let fits = |one: &PlacedResource| one.place.starts_with("Patient/") && wanted.fits(one);
        page.extend(all.into_iter().filter(fits));
    }
    Ok((page, part.next(records.len())))
}

/// Who is looked for.
struct Wanted<'a> {
    name: Option<&'a str>,
    identifier: Option<&'a str>,
    birthdate: Option<&'a str>,
    gender: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(call: &'a Call) -> Result<Self, Problem> {
        let birthdate = call.text("birthdate").map(|date| date.strip_prefix("eq").unwrap_or(date));
        let plain = |date: &&str| crate::time::birth_date(date).is_some();
        if birthdate.as_ref().is_some_and(|date| !plain(date)) {
            let hint = "YYYY, YYYY-MM or YYYY-MM-DD; only equality is known";
            return Err(Problem::parameter("birthdate", hint));
        }
        let [name, identifier, gender] =
            ["name", "identifier", "gender"].map(|name| call.text(name));
        Ok(Self { name, identifier, birthdate, gender })
    }

    /// Words that every one who fits has.
    fn query(&self) -> String {
        let identifier = self.identifier.map(|one| one.rsplit('|').next().unwrap_or_default());
        let all = [self.name, identifier, self.birthdate];
        all.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn fits(&self, one: &PlacedResource) -> bool {
        let Ok(patient) = serde_json::from_str::<Value>(&one.text) else { return false };
        let text = |name: &str| patient.get(name).and_then(Value::as_str).unwrap_or_default();
        self.name.is_none_or(|name| has_name(&patient, name))
            && self
                .identifier
                .is_none_or(|wanted| has_token(patient.get("identifier"), wanted, "value"))
            && self.birthdate.is_none_or(|date| text("birthDate").starts_with(date))
            && self.gender.is_none_or(|gender| text("gender") == gender)
    }
}

/// Whether every word occurs in the names, as people search for them.
fn has_name(patient: &Value, wanted: &str) -> bool {
    let mut names = Vec::new();
    for name in patient.get("name").and_then(Value::as_array).into_iter().flatten() {
        let given = name.get("given").and_then(Value::as_array).into_iter().flatten();
        let parts = [name.get("text"), name.get("family")].into_iter().flatten().chain(given);
        names.extend(parts.filter_map(Value::as_str).map(str::to_owned));
    }
    Summary { names, ..nobody() }.matches(wanted)
}

const fn nobody() -> Summary {
    Summary {
        record: huza_crdt::id::RecordId([0; 16]),
        names: Vec::new(),
        sex: None,
        birth_date: None,
        village: None,
        identifiers: Vec::new(),
        visits: 0,
        resources: 0,
        has_conflict: false,
        urgent: false,
        latest: None,
        reminders: Vec::new(),
        links: Vec::new(),
    }
}

/// Whether one of these has the value, and the system if one is named: `value`, `system|value`, `|value`.
fn has_token(items: Option<&Value>, wanted: &str, member: &str) -> bool {
    let (system, value) = match wanted.rsplit_once('|') {
        Some((system, value)) => (Some(system), value),
        None => (None, wanted),
    };
    let fits = |item: &Value| {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        text(member) == value && system.is_none_or(|system| text("system") == system)
    };
    items.and_then(Value::as_array).is_some_and(|items| items.iter().any(fits))
}

/// Everything of a type about one patient, or the one with an id.
async fn about(call: &Call, kind: &Kind) -> Result<Vec<PlacedResource>, Problem> {
    let wanted = call.text("patient").or_else(|| call.text("subject"));
    let id = call.text("_id");
    let found = match (wanted, id) {
        (Some(wanted), _) => {
            let id = wanted.strip_prefix("Patient/").unwrap_or(wanted);
            patient(&call.shared, id).await?
        }
        (None, Some(id)) if is_id(id) => {
            let place = ResourceScope::Place(format!("{}/{id}", kind.name));
            match resources(&call.shared, place).await {
                Ok(found) => Some(found),
                Err(problem) if problem.code == "unknown_resource" => None,
                Err(problem) => return Err(problem),
            }
        }
        (None, Some(_)) => None,
        (None, None) => {
            let hint = "say it: patient=Patient/ID";
            return Err(Problem::new("needs_patient", "the search does not say of whom", hint));
        }
    };
    let all = found.map(|(_, all)| all).unwrap_or_default();
    let of_kind = |one: &PlacedResource| {
        one.place
            .split_once('/')
            .is_some_and(|(name, own)| name == kind.name && id.is_none_or(|id| id == own))
    };
    Ok(all.into_iter().filter(of_kind).collect())
}

fn has_code(text: &str, wanted: &str) -> bool {
    let resource = serde_json::from_str::<Value>(text).unwrap_or_default();
    has_token(resource.pointer("/code/coding"), wanted, "code")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    resource_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    link: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Link {
    relation: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    full_url: String,
    /// As it is, digit by digit.
    resource: &'a RawValue,
    search: Search,
}

#[derive(Serialize)]
struct Search {
    mode: &'static str,
}

fn bundle(
    call: &Call,
    kind: &Kind,
    page: &[PlacedResource],
    next: Option<usize>,
) -> Result<Answer, Problem> {
    let base = call.base();
    let url = |offset: Option<usize>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let moved = |name: &str| offset.is_some() && name == "_offset";
        query.extend_pairs(call.query.iter().filter(|(name, _)| !moved(name)));
        query.extend_pairs(offset.map(|offset| ("_offset", offset.to_string())));
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{base}/{}{mark}{query}", kind.name)
    };
    let mut link = vec![Link { relation: "self", url: url(None) }];
    link.extend(next.map(|next| Link { relation: "next", url: url(Some(next)) }));
    let entry = |one: &'_ PlacedResource| -> Option<(String, Box<RawValue>)> {
        Some((format!("{base}/{}", one.place), RawValue::from_string(one.text.clone()).ok()?))
    };
    let read: Vec<(String, Box<RawValue>)> = page.iter().filter_map(entry).collect();
    let entry = read
        .iter()
        .map(|(full_url, resource)| Entry {
            full_url: full_url.clone(),
            resource,
            search: Search { mode: "match" },
        })
        .collect();
    let bundle = Bundle { resource_type: "Bundle", kind: "searchset", link, entry };
    let text = serde_json::to_vec(&bundle).map_err(|_error| Problem::odd())?;
    Ok(Answer::json(200, FHIR_JSON, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_values_with_or_without_their_system() {
        let items = json!([{ "system": "NID", "value": "12" }, { "value": "13" }]);
        let has = |wanted| has_token(Some(&items), wanted, "value");
        for good in ["12", "NID|12", "13", "|13"] {
            assert!(has(good), "{good}");
        }
        for bad in ["1", "UPI|12", "|12", "NID|13", ""] {
            assert!(!has(bad), "{bad}");
        }
    }

    #[test]
    fn people_fit_by_name_identifier_and_the_beginning_of_the_birth_date() {
        let text = json!({
            "resourceType": "Patient",
            "name": [{ "family": "Uwase", "given": ["Immacul\u{e9}e"] }],
            "identifier": [{ "system": "NID", "value": "12" }],
            "birthDate": "1998-04-12",
            "gender": "female",
        });
        let (place, text) = ("Patient/1".to_owned(), text.to_string());
        let one = PlacedResource { place, text, imported: false };
        let nothing = Wanted { name: None, identifier: None, birthdate: None, gender: None };
        assert!(nothing.fits(&one));
        assert!(Wanted { name: Some("immaculee uwa"), ..nothing }.fits(&one));
        assert!(!Wanted { name: Some("12"), ..nothing }.fits(&one), "a number is no name");
        assert!(Wanted { identifier: Some("NID|12"), ..nothing }.fits(&one));
        assert!(Wanted { birthdate: Some("1998-04"), ..nothing }.fits(&one));
        assert!(!Wanted { birthdate: Some("1999"), ..nothing }.fits(&one));
        assert!(!Wanted { gender: Some("male"), ..nothing }.fits(&one));
    }
}
