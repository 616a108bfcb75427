//! Resources that an app brings in: of a patient who is here, or a new patient.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::{
    id::RecordId,
    node::{AreaRef, Command, PlacedResource, Reply, ResourceScope},
    record::server,
};
use hyper::header;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::{
    call::{Answer, Call},
    problem::Problem,
    server::Shared,
};
use super::{Kind, accepts, found, kind_of, patient, resources, shown, version};

pub(in crate::http) async fn create(call: Call) -> Result<Answer, Problem> {
    call.only(&["_format"])?;
    accepts(&call)?;
    let kind = writable(&call)?;
    let place = format!("{}/{}", kind.name, new_id()?);
    let text = placed(&call, &place)?;
    let record = owner(&call.shared, kind, &text).await?;
    put(&call.shared, record, text).await?;
    created(&call, ResourceScope::Record(record), &place).await
}

pub(in crate::http) async fn create_patient(call: Call) -> Result<Answer, Problem> {
    call.only(&["_format"])?;
    accepts(&call)?;
    let text = placed(&call, &format!("Patient/{}", new_id()?))?;
    check_person(&text)?;
    let place = import(&call.shared, text).await?;
    created(&call, ResourceScope::Place(place.clone()), &place).await
}

async fn created(call: &Call, of: ResourceScope, place: &str) -> Result<Answer, Problem> {
    let one = written(&call.shared, of, place).await?;
    Ok(shown(201, one).with("location", format!("{}/{place}", call.base())))
}

/// A resource as it is now, where its record is known.
async fn written(
    shared: &Shared,
    of: ResourceScope,
    place: &str,
) -> Result<PlacedResource, Problem> {
    let (_, all) = resources(shared, of).await?;
    all.into_iter().find(|one| one.place == place).ok_or_else(Problem::odd)
}

pub(in crate::http) async fn update(call: Call) -> Result<Answer, Problem> {
    call.only(&["_format"])?;
    accepts(&call)?;
    let kind = writable(&call)?;
    let id: String = call.path(1, "id")?;
    let place = format!("{}/{id}", kind.name);
    let text = placed(&call, &place)?;
    if own_id(call.json_body()?).as_deref() != Some(&id) {
        let hint = "write the id of the address into the resource";
        return Err(Problem::new("malformed", "the resource has another id, or none", hint));
    }
    let (record, before) = found(&call.shared, kind, &id).await?;
    if let Some(wanted) = call.header(&header::IF_MATCH)
        && ![version(&before.text).as_str(), "*"].contains(&wanted.trim())
    {
        let hint = "read it again, and put what was meant over that";
        return Err(Problem::new("precondition_failed", "the resource has changed since", hint));
    }
    if !before.imported {
        let hint = "correct the person or the visit over /v1";
        return Err(Problem::new("made_here", "it is made of a person or a visit", hint));
    }
    if kind.name == "Patient" {
        check_person(&text)?;
    } else if owner(&call.shared, kind, &text).await? != record {
        let hint = "a resource stays with its patient; bring it in anew for the other";
        return Err(Problem::new("bad_resource", "it names another patient than before", hint));
    }
    put(&call.shared, record, text).await?;
    Ok(shown(200, written(&call.shared, ResourceScope::Record(record), &place).await?))
}

fn writable(call: &Call) -> Result<&'static Kind, Problem> {
    let kind = kind_of(call)?;
    if kind.writes {
        return Ok(kind);
    }
    let problem = Problem::new("method_not_allowed", "this type is only read", "read it");
    Err(problem.with("allow", "GET"))
}

/// A random UUID (version 4).
fn new_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_error| Problem::new("failed", "the system gives no random numbers", ""))?;
    let version = 0xffff_ffff_ffff_0fff_3fff_ffff_ffff_ffff;
    let marked = (u128::from_be_bytes(bytes) & version) | 0x4000_8000_0000_0000_0000;
    Ok(RecordId(marked.to_be_bytes()).to_string())
}

/// The body with the id of this place, and without what only a server says of it; else as it is, digit
/// by digit.
fn placed(call: &Call, place: &str) -> Result<String, Problem> {
    let body = call.json_body()?;
    let names: BTreeMap<String, String> =
        server::references(body).into_iter().map(|name| (name.clone(), name)).collect();
    server::addressed(body, place, &BTreeSet::new(), &names, |_| true).map_err(|error| {
        let is_json = serde_json::from_str::<IgnoredAny>(body).is_ok();
        let code = if is_json { "bad_resource" } else { "malformed" };
        let hint = "send one resource of the type that the address names";
        Problem::new(code, format!("the body is {error}"), hint)
    })
}

fn own_id(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some(body.get("id")?.as_str()?.to_owned())
}

/// The record of the patient whom a resource names.
async fn owner(shared: &Shared, kind: &Kind, text: &str) -> Result<RecordId, Problem> {
    let resource: Value = serde_json::from_str(text).unwrap_or_default();
    let reference = resource.get(kind.patient).and_then(|named| named.get("reference"));
    let id = reference.and_then(Value::as_str).and_then(|name| name.strip_prefix("Patient/"));
    let known = match id {
        Some(id) => patient(shared, id).await?,
        None => None,
    };
    known.map(|(record, _)| record).ok_or_else(|| {
        let hint = format!("name one as `{}.reference`: \"Patient/ID\"", kind.patient);
        Problem::new("unknown_patient", "the resource names no patient who is here", &hint)
    })
}

async fn put(shared: &Shared, record: RecordId, text: String) -> Result<(), Problem> {
    match shared.ask(Command::PutResource { record, text }).await? {
        Reply::Written { .. } => Ok(()),
        _ => Err(Problem::odd()),
    }
}

/// Refuses what no list could show and no reader could compare.
fn check_person(text: &str) -> Result<(), Problem> {
    let patient: Value = serde_json::from_str(text).unwrap_or_default();
    let wrong = |name: &str, fits: fn(&str) -> bool| match patient.get(name) {
        None => false,
        Some(value) => !value.as_str().is_some_and(fits),
    };
    let is_date = |date: &str| crate::time::birth_date(date).is_some();
    let is_gender = |code: &str| ["female", "male", "other", "unknown"].contains(&code);
    let (what, hint) = match (wrong("birthDate", is_date), wrong("gender", is_gender)) {
        (true, _) => ("birthDate", "write it as YYYY-MM-DD, YYYY-MM or YYYY"),
        (_, true) => ("gender", "write female, male, other or unknown"),
        (false, false) => return Ok(()),
    };
    Err(Problem::new("bad_resource", format!("the {what} is none"), hint))
}

/// Brings in a patient; gives where it is.
async fn import(shared: &Shared, text: String) -> Result<String, Problem> {
    let command = Command::Import { area: AreaRef::Own, text, source: None };
    let Reply::Imported { keys, problems, .. } = shared.ask(command).await? else {
        return Err(Problem::odd());
    };
    if let Some(problem) = problems.into_iter().next() {
        return Err(Problem::new("bad_resource", problem, "nothing was recorded"));
    }
    keys.into_iter().next().ok_or_else(Problem::odd)
}
