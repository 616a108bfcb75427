//! FHIR R4 over what is here: the projection that a facility's server would get (`docs/fhir.md`), read
//! and searched, and resources of existing patients written. It keeps nothing of its own.
//!
//! A resource's id is the one that it has at every FHIR server which huza delivers to. Its version
//! (ETag) is a hash of its text, which is the same on every device that holds the same.

mod capability;
mod search;
mod write;

use huza_crdt::node::{Command, PlacedResource, Reply, ResourceScope};
use huza_crdt::{id::RecordId, id::hex};
use hyper::header;
use sha2::{Digest as _, Sha256};

use super::{
    call::{Answer, Call},
    problem::Problem,
    server::Shared,
};

pub(super) use search::{people, search};
pub(super) use write::{create, create_patient, update};

/// The media type of FHIR.
pub(super) const FHIR_JSON: &str = "application/fhir+json";

/// A type that is served.
struct Kind {
    name: &'static str,
    /// Whether an app may bring in such resources.
    writes: bool,
    /// The member that names the patient.
    patient: &'static str,
}

const fn kind(name: &'static str, writes: bool, patient: &'static str) -> Kind {
    Kind { name, writes, patient }
}

/// Every type: what forms become, and what clinics bring in beside that.
const KINDS: [Kind; 17] = [
    kind("AllergyIntolerance", true, "patient"),
    kind("CarePlan", true, "subject"),
    kind("Condition", true, "subject"),
    kind("Consent", true, "patient"),
    kind("DetectedIssue", false, "patient"),
    kind("DiagnosticReport", true, "subject"),
    kind("Encounter", true, "subject"),
    kind("Flag", true, "subject"),
    kind("Immunization", true, "patient"),
    kind("MedicationRequest", true, "subject"),
    kind("MedicationStatement", true, "subject"),
    kind("Observation", true, "subject"),
    kind("Patient", true, ""),
    kind("Procedure", true, "subject"),
    kind("Provenance", false, ""),
    kind("QuestionnaireResponse", true, "subject"),
    kind("ServiceRequest", true, "subject"),
];

/// Names of the types that are served, or of those that may be brought in.
#[cfg(test)]
pub(super) fn names(written: bool) -> std::collections::BTreeSet<String> {
    let all = KINDS.iter().filter(|kind| kind.writes || !written);
    all.map(|kind| kind.name.to_owned()).collect()
}

/// The type of people.
const PATIENT: &Kind = &kind("Patient", true, "");

/// The type that a path names.
fn kind_of(call: &Call) -> Result<&'static Kind, Problem> {
    let name: String = call.path(0, "type")?;
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let hint = "`/fhir/metadata` lists those that are";
        Problem::new("unknown_type", "resources of this type are not served", hint)
    })
}

pub(super) async fn metadata(call: Call) -> Result<Answer, Problem> {
    call.only(&["_format", "mode"])?;
    accepts(&call)?;
    Ok(Answer::json(200, FHIR_JSON, capability::statement().to_string().into_bytes()))
}

pub(super) async fn read(call: Call) -> Result<Answer, Problem> {
    call.only(&["_format"])?;
    accepts(&call)?;
    let kind = kind_of(&call)?;
    let (_, one) = found(&call.shared, kind, &call.path::<String>(1, "id")?).await?;
    Ok(shown(200, one))
}

/// A resource as an answer.
fn shown(status: u16, one: PlacedResource) -> Answer {
    let version = version(&one.text);
    Answer::json(status, FHIR_JSON, one.text.into_bytes()).with("etag", version)
}

/// The version of a text, as a weak entity tag.
fn version(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("W/\"{}\"", hex(digest.get(..8).unwrap_or_default()))
}

/// A resource by its place, and its record.
async fn found(
    shared: &Shared,
    kind: &Kind,
    id: &str,
) -> Result<(RecordId, PlacedResource), Problem> {
    let unknown = || {
        let hint = "a search lists what is here";
        Problem::new("unknown_resource", "there is no such resource here", hint)
    };
    let place = format!("{}/{id}", kind.name);
    // Nothing is looked for that cannot be.
    if !is_id(id) {
        return Err(unknown());
    }
    let (record, all) = resources(shared, ResourceScope::Place(place.clone())).await?;
    let one = all.into_iter().find(|one| one.place == place).ok_or_else(unknown)?;
    Ok((record, one))
}

async fn resources(
    shared: &Shared,
    of: ResourceScope,
) -> Result<(RecordId, Vec<PlacedResource>), Problem> {
    match shared.ask(Command::Resources { of }).await? {
        Reply::Resources { record, resources } => Ok((record, resources)),
        _ => Err(Problem::odd()),
    }
}

/// The record of a patient by id; none if there is no such patient here.
async fn patient(
    shared: &Shared,
    id: &str,
) -> Result<Option<(RecordId, Vec<PlacedResource>)>, Problem> {
    if !is_id(id) {
        return Ok(None);
    }
    match resources(shared, ResourceScope::Place(format!("Patient/{id}"))).await {
        Ok(found) => Ok(Some(found)),
        Err(problem) if problem.code == "unknown_resource" => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Every id here is a UUID.
fn is_id(id: &str) -> bool {
    id.len() == 36 && id.parse::<RecordId>().is_ok()
}

/// Refuses to answer in anything but JSON.
fn accepts(call: &Call) -> Result<(), Problem> {
    let refused = || Problem::new("not_acceptable", "only JSON is served", "ask for it");
    let json = |kind: &str| ["json", "application/json", FHIR_JSON].contains(&kind);
    if call.text("_format").is_some_and(|format| !json(format)) {
        return Err(refused());
    }
    let Some(accept) = call.header(&header::ACCEPT) else { return Ok(()) };
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let fits = |kind: &str| json(kind) || ["*/*", "application/*", ""].contains(&kind);
    if kinds.any(fits) { Ok(()) } else { Err(refused()) }
}
