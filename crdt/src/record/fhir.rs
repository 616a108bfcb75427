//! Import of FHIR R4: from a Bundle's text to edits of records.
//!
//! Enter at [`read_bundle`], then [`ImportRun::settle`], then [`edits_by_record`].
//!
//! **Text.** A resource is kept as written; only space between tokens is taken out, so that it is
//! one line. `1.0`, `1.50`, `1e2` and twenty digits stay as they are. Where a resource has no id,
//! one is put behind its opening brace.
//!
//! **Ids.** A resource's key is `Type/<uuid>`. The uuid is the resource's id if that is a UUID,
//! else that of a `urn:uuid:` fullUrl, else a UUIDv5 of source and `Type/id`. The source is the
//! one the caller names, else the base of an absolute fullUrl, else `meta.source`, else the
//! Bundle's identifier. With no source at all, what a person owns is named within that person's
//! record, and the rest by `Type/id` and name. A person's record is a UUIDv5 of an identifier that
//! is unique in the country, else the uuid of the Patient resource.
//!
//! **Owner.** The person whose compartment a resource is in, subject first; else the one owner of
//! everything the resource is about. Types of the directory without an owner go to the directory,
//! all else without (or with several) owners stays unowned with the importer.
//!
//! **Problems.** A text that is no bundle imports nothing. An entry with a problem is left out and
//! listed, and the others are imported.

mod identity;
pub(crate) mod json;
mod owner;
mod run;
mod tables;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use identity::separate_record;
pub use json::JsonError;
pub use run::{ImportRun, SUGGESTED_SAME_PERSON, disambiguate, edits_by_record};

use self::json::Json;
use super::summary::{Demographics, PatientText};
use crate::id::RecordId;
use crate::limits::{IMPORT_BYTES_MAX, RESOURCE_BYTES_MAX};
use crate::redacted::Redacted;

/// Longest id that FHIR allows, in characters.
const ID_CHARS_MAX: usize = 64;

/// Where a resource goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The record of the person it is about, in the importer's area.
    Person,
    /// A record of its own in the programme-wide directory.
    Directory,
    /// A record of its own in the importer's area.
    Unowned,
}

/// One resource to be imported.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Index of its entry in the bundle, from 0.
    pub entry: usize,
    /// `Type/<uuid>`: its key in the record.
    pub key: String,
    /// The record it goes into.
    pub record: RecordId,
    /// The area that record is in.
    pub place: Place,
    /// Key of the Patient resource it belongs to, if any (its own, for a Patient). Where the
    /// caller knows another record that holds this key, that one is the owner.
    pub owner: Option<String>,
    /// `Type/id` as the source names it.
    pub local: String,
    /// Sex and birth date, for a Patient.
    pub person: Option<Demographics>,
    /// The JSON text, one line.
    pub text: String,
}

crate::debug_shows!(struct Incoming { entry, place });

/// What a bundle brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// Its good resources, in the order of the bundle.
    pub incoming: Vec<Incoming>,
    /// Suggested links: from, to, kind.
    pub links: Vec<(RecordId, RecordId, &'static str)>,
    /// Entries that were left out.
    pub problems: Vec<ImportProblem>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry}: {why}")]
pub struct ImportProblem {
    /// Index of the entry, from 0.
    pub entry: usize,
    /// Why.
    #[source]
    pub why: ProblemReason,
}

/// Why an entry was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemReason {
    /// It is no entry of a bundle.
    #[error("not an entry")]
    Entry,
    /// It has no resource, such as a DELETE request.
    #[error("it has no resource{}", request_note(.method.as_ref()))]
    NoResource {
        /// Method of its request.
        method: Option<Redacted<String>>,
    },
    /// The resource is not JSON that we take.
    #[error("its resource is {0}")]
    Json(#[from] JsonError),
    /// `resourceType` is missing or none of R4.
    #[error("unknown resource type {:?}", .0.reveal())]
    Type(Redacted<String>),
    /// The id is none that FHIR allows.
    #[error("the id {:?} is not allowed", .0.reveal())]
    Id(Redacted<String>),
    /// The resource is longer than [`RESOURCE_BYTES_MAX`].
    #[error("resource of {0} bytes; {RESOURCE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// An earlier entry has another content under the same key.
    #[error("entry {first} has other content under the same id {}", .key.reveal())]
    DuplicateKey {
        /// The earlier entry.
        first: usize,
        /// The key.
        key: Redacted<String>,
    },
}

fn request_note(method: Option<&Redacted<String>>) -> String {
    method.map(|method| format!(" (a {} request)", method.reveal())).unwrap_or_default()
}

fn not_json(error: serde_json::Error) -> ImportError {
    ImportError::Json { line: error.line(), column: error.column() }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not JSON, or not shaped as a bundle.
    #[error("not a FHIR bundle in JSON; see line {line}, column {column}")]
    Json {
        /// Where it is wrong. What the parser says of it is left out: it quotes the text.
        line: usize,
        /// Column in that line.
        column: usize,
    },
    /// Longer than [`IMPORT_BYTES_MAX`].
    #[error("text of {0} bytes; {IMPORT_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// `resourceType` is missing or none of R4.
    #[error("resource type {:?} is neither Bundle nor a resource of FHIR R4", .0.reveal())]
    Type(Redacted<String>),
    /// A bundle of another type than transaction, batch or collection.
    #[error("bundle of type {:?}; transaction, batch and collection can be imported", .0.reveal())]
    BundleType(Redacted<String>),
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "resourceType", borrow)]
    resource_type: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    identifier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    entry: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "fullUrl")]
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    method: Option<String>,
}

/// A resource on its way in: read, not yet placed.
struct Draft<'a> {
    entry: usize,
    full_url: Option<String>,
    kind: String,
    /// The resource's id, given or made.
    id: String,
    /// The uuid that names it everywhere, if it has one.
    global: Option<uuid::Uuid>,
    /// Where it comes from; empty if unknown.
    source: String,
    json: Json<'a>,
    canonical: String,
    text: String,
}

crate::debug_shows!(struct Draft<'_> { entry });

/// Reads a FHIR R4 Bundle (transaction, batch or collection) or one bare resource. `source` names
/// where it comes from (a server, a clinic's system); without it the text must tell.
///
/// # Errors
/// If the text as a whole cannot be read. Entries that cannot are listed in [`Import::problems`].
pub fn read_bundle(text: &str, source: Option<&str>) -> Result<Import, ImportError> {
    if text.len() > IMPORT_BYTES_MAX {
        return Err(ImportError::TooLong(text.len()));
    }
    let text = text.trim_start_matches('\u{feff}');
    let head: Head<'_> = serde_json::from_str(text).map_err(not_json)?;
    let kind = head.resource_type.unwrap_or_default();
    let mut import = Import::default();
    let mut drafts = Vec::new();
    if kind == "Bundle" {
        let bundle: Bundle<'_> = serde_json::from_str(text).map_err(not_json)?;
        let bundle_type = bundle.kind.unwrap_or_default();
        if !["transaction", "batch", "collection"].contains(&bundle_type.as_str()) {
            return Err(ImportError::BundleType(bundle_type.into()));
        }
        let fallback = bundle.identifier.and_then(bundle_source);
        for (entry, raw) in bundle.entry.iter().enumerate() {
            match read_entry(raw.get(), entry, source, fallback.as_deref()) {
                Ok(draft) => drafts.push(draft),
                Err(why) => import.problems.push(ImportProblem { entry, why }),
            }
        }
    } else if tables::is_type(&kind) {
        match read_resource(text, 0, None, source, None) {
            Ok(draft) => drafts.push(draft),
            Err(why) => import.problems.push(ImportProblem { entry: 0, why }),
        }
    } else {
        return Err(ImportError::Type(kind.into_owned().into()));
    }
    let owners = owner::owners(&drafts);
    let mut seen: BTreeMap<(RecordId, String), (usize, String)> = BTreeMap::new();
    for (draft, owner) in drafts.into_iter().zip(owners) {
        let (entry, canonical) = (draft.entry, draft.canonical.clone());
        let incoming = place(draft, owner);
        match seen.get(&(incoming.record, incoming.key.clone())) {
            None => {
                seen.insert((incoming.record, incoming.key.clone()), (entry, canonical));
                import.incoming.push(incoming);
            }
            Some((_, same)) if *same == canonical => {}
            Some((first, _)) => {
                let why = ProblemReason::DuplicateKey { first: *first, key: incoming.key.into() };
                import.problems.push(ImportProblem { entry, why });
            }
        }
    }
    import.problems.sort_by_key(|problem| problem.entry);
    Ok(import)
}

/// `system|value` of a Bundle's identifier.
fn bundle_source(identifier: &RawValue) -> Option<String> {
    let identifier = json::parse(identifier.get()).ok()?;
    let text = |name| identifier.get(name).and_then(Json::as_str);
    Some(format!("{}|{}", text("system").unwrap_or_default(), text("value")?))
}

fn read_entry<'a>(
    raw: &'a str,
    index: usize,
    source: Option<&str>,
    fallback: Option<&str>,
) -> Result<Draft<'a>, ProblemReason> {
    let entry: Entry<'a> = serde_json::from_str(raw).map_err(|_| ProblemReason::Entry)?;
    let method = entry.request.and_then(|request| request.method).map(Redacted::from);
    let resource = entry.resource.ok_or(ProblemReason::NoResource { method })?;
    read_resource(resource.get(), index, entry.full_url, source, fallback)
}

fn read_resource<'a>(
    raw: &'a str,
    entry: usize,
    full_url: Option<String>,
    source: Option<&str>,
    fallback: Option<&str>,
) -> Result<Draft<'a>, ProblemReason> {
    let mut text = json::compact(raw.trim());
    if text.len() > RESOURCE_BYTES_MAX {
        return Err(ProblemReason::TooLong(text.len()));
    }
    let json = json::parse(raw)?;
    let kind = json.get("resourceType").and_then(Json::as_str).unwrap_or_default().to_owned();
    if !tables::is_type(&kind) {
        return Err(ProblemReason::Type(kind.into()));
    }
    let absolute = full_url.as_deref().and_then(identity::split_absolute);
    let meta_source = json.at("meta.source").first().and_then(|value| value.as_str());
    let source = source
        .or(absolute.map(|(base, _, _)| base))
        // What follows # is the id of one request.
        .or(meta_source.map(|uri| uri.split('#').next().unwrap_or_default()))
        .or(fallback)
        .unwrap_or_default()
        .to_owned();
    let mut canonical = String::new();
    json.canonical(&mut canonical);
    let urn = full_url.as_deref().and_then(identity::urn_uuid);
    let id = match json.get("id") {
        Some(id) => id.as_str().filter(|id| id_fits(id)).map(str::to_owned).ok_or_else(|| {
            let shown: String = id.as_str().unwrap_or("not a string").chars().take(80).collect();
            ProblemReason::Id(shown.into())
        })?,
        None => {
            let made = urn
                .map(|uuid| uuid.to_string())
                .or_else(|| absolute.map(|(_, _, id)| id.to_owned()).filter(|id| id_fits(id)))
                .unwrap_or_else(|| identity::derive(&["content", &source, &canonical]).to_string());
            text.insert_str(1, &format!("\"id\":\"{made}\","));
            made
        }
    };
    if text.len() > RESOURCE_BYTES_MAX {
        return Err(ProblemReason::TooLong(text.len()));
    }
    let global = identity::as_uuid(&id).or(urn);
    Ok(Draft { entry, full_url, kind, id, global, source, json, canonical, text })
}

/// FHIR's rule for ids: letters, digits, `-` and `.`, 1 to 64 of them.
fn id_fits(id: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// The person a resource belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    record: RecordId,
    /// Key of the Patient resource.
    key: String,
}

fn place(draft: Draft<'_>, owner: Option<Owner>) -> Incoming {
    let local = format!("{}/{}", draft.kind, draft.id);
    let person = (draft.kind == "Patient").then(|| PatientText::read(&draft.json).demographics);
    let (uuid, record, place) = match &owner {
        Some(owner) => (own_uuid(&draft, owner.record), owner.record, Place::Person),
        None => {
            let uuid = draft.global.unwrap_or_else(|| unowned_uuid(&draft, &local));
            let directory =
                tables::DIRECTORY.contains(&draft.kind.as_str()) && !names_a_person(&draft);
            let place = if directory { Place::Directory } else { Place::Unowned };
            (uuid, identity::record(uuid), place)
        }
    };
    Incoming {
        entry: draft.entry,
        key: format!("{}/{uuid}", draft.kind),
        record,
        place,
        owner: owner.map(|owner| owner.key),
        local,
        person,
        text: draft.text,
    }
}

/// Whether a resource says that it is about a person, even if it does not say which: everybody
/// reads the directory, so nothing about anybody may go there.
fn names_a_person(draft: &Draft<'_>) -> bool {
    let people = ["Patient", "RelatedPerson", "Person"];
    let contained = draft.json.items("contained").any(|one| {
        one.get("resourceType").and_then(Json::as_str).is_some_and(|kind| people.contains(&kind))
    });
    contained
        || tables::patient_paths(&draft.kind).iter().any(|path| !draft.json.at(path).is_empty())
}

/// The uuid in the key of what a person owns.
fn own_uuid(draft: &Draft<'_>, record: RecordId) -> uuid::Uuid {
    draft.global.unwrap_or_else(|| owned_uuid(&draft.source, record, &draft.kind, &draft.id))
}

fn owned_uuid(source: &str, record: RecordId, kind: &str, id: &str) -> uuid::Uuid {
    let local = format!("{kind}/{id}");
    if source.is_empty() {
        identity::derive(&["owned", &record.to_string(), &local])
    } else {
        identity::derive(&["source", source, &local])
    }
}

/// The uuid of what nobody owns. Without a source the name must tell `Organization/1` of one
/// clinic from that of another.
fn unowned_uuid(draft: &Draft<'_>, local: &str) -> uuid::Uuid {
    if !draft.source.is_empty() {
        return identity::derive(&["source", &draft.source, local]);
    }
    let mut name = String::new();
    if let Some(json) = draft.json.get("name") {
        json.canonical(&mut name);
    }
    identity::derive(&["unowned", local, &name])
}
