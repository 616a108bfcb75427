//! A resource as a FHIR server gets it, and what a server's copy tells.
//!
//! - **Id.** `Type/<uuid>`: the key's own where that holds a UUID, which it does for all that is
//!   made here or imported; else one derived from record and key.
//! - **Heads.** `meta.tag` names the changes whose values it is made of, under [`HEADS_SYSTEM`]. Who
//!   does not know one of them knows less than the copy says.
//! - **References.** Written as the source named things, they mean what a table says. What is not
//!   there is named by its identifier instead, which FHIR calls a logical reference.
//! - **Withdrawn.** What turned out untrue keeps its content, with its type's word for that.
//!
//! Everything else stays as it was written, digit by digit. Pure: same input, same bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{CONFLICT, made_id};
use crate::id::{Head, RecordId};
use crate::record::fhir::json::{self, Json, JsonError};

/// System of the tags that name the changes which a resource is made of.
pub const HEADS_SYSTEM: &str = "urn:huza:heads";

/// System of an identifier that is the name by which a source refers to something unknown here.
const REFERENCE_SYSTEM: &str = "urn:huza:reference";

/// System of identifiers that are URIs, as FHIR has it.
const URI_SYSTEM: &str = "urn:ietf:rfc:3986";

/// How a type says that a resource was entered in error, where not in `status`.
const IN_ERROR: &str = "entered-in-error";

/// `Type/<uuid>` of a resource at a server.
#[must_use]
pub fn place(record: RecordId, key: &str) -> String {
    let (kind, id) = key.split_once('/').unwrap_or((key, ""));
    if !key.contains(CONFLICT) && is_uuid(id) {
        return key.to_owned();
    }
    format!("{kind}/{}", made_id(&[&record.to_string(), key]))
}

/// Every name by which references may mean a resource: its key, its UUID as a URN, and `Type/id`
/// as its source has it.
#[must_use]
pub fn names(key: &str, text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from([key.to_owned()]);
    let Some((kind, id)) = key.split_once('/') else { return names };
    names.insert(format!("urn:uuid:{id}"));
    let json = json::parse(text).ok();
    if let Some(own) = json.as_ref().and_then(|json| json.get("id")?.as_str()) {
        names.insert(format!("{kind}/{own}"));
    }
    names
}

/// Names that a resource refers to, as they are written. Parts of it, absolute URLs and searches are
/// left out.
#[must_use]
pub fn references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(mut json) = json::parse(text) {
        each_reference(&mut json, &mut |members| {
            found.extend(written(members).filter(|name| !is_search(name)).map(str::to_owned));
        });
    }
    found
}

/// The text for a server: `place` as its id, tags for `heads`, and each reference as the place
/// that `table` gives for its name if that `is_there`, else by identifier.
///
/// # Errors
/// If the text is not JSON, or no resource of the type that `place` says.
pub fn addressed(
    text: &str,
    place: &str,
    heads: &BTreeSet<Head>,
    table: &BTreeMap<String, String>,
    is_there: impl Fn(&str) -> bool,
) -> Result<String, JsonError> {
    let mut json = json::parse(text)?;
    each_reference(&mut json, &mut |members| {
        let Some(name) = written(members).map(str::to_owned) else { return };
        let known = table.get(&name);
        match known.filter(|place| is_there(place)) {
            Some(place) => set(members, "reference", Json::String(place.clone())),
            None => by_identifier(members, &name, known.map(String::as_str)),
        }
    });
    let (kind, id) = place.split_once('/').ok_or(JsonError::Malformed)?;
    if json.get("resourceType").and_then(Json::as_str) != Some(kind) {
        return Err(JsonError::Malformed);
    }
    tagged(json, id, heads)
}

/// The changes that a server's copy says it is made of; none if it is nobody's of huza.
#[must_use]
pub fn heads(copy: &str) -> BTreeSet<Head> {
    let Ok(json) = json::parse(copy) else { return BTreeSet::new() };
    let tags = json.at("meta.tag");
    let ours = tags.into_iter().filter(|tag| is_head(tag));
    ours.filter_map(|tag| Head::from_hex(tag.get("code")?.as_str()?)).collect()
}

/// A copy of a server or a file, entered in error as of `heads`; `None` if its type has no word for
/// that.
#[must_use]
pub fn withdrawn(copy: &str, heads: Option<&BTreeSet<Head>>) -> Option<String> {
    let mut json = json::parse(copy).ok()?;
    let kind = json.get("resourceType")?.as_str()?.to_owned();
    let id = json.get("id")?.as_str()?.to_owned();
    let Json::Object(members) = &mut json else { return None };
    match kind.as_str() {
        "Condition" | "AllergyIntolerance" => {
            let system = match kind.as_str() {
                "Condition" => "condition-ver-status",
                _ => "allergyintolerance-verification",
            };
            let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
            let coding = object([("system", &system), ("code", IN_ERROR)]);
            let status = Json::Object(vec![("coding".to_owned(), Json::Array(vec![coding]))]);
            // Both types forbid it then.
            members.retain(|(name, _)| name != "clinicalStatus");
            set(members, "verificationStatus", status);
        }
        "Goal" => set(members, "lifecycleStatus", Json::String(IN_ERROR.to_owned())),
        "Location" => set(members, "status", Json::String("inactive".to_owned())),
        kind if HAS_ACTIVE.contains(&kind) => set(members, "active", Json::Scalar("false")),
        kind if HAS_IN_ERROR.contains(&kind) => {
            set(members, "status", Json::String(IN_ERROR.to_owned()));
        }
        _ => return None,
    }
    match heads {
        Some(heads) => tagged(json, &id, heads).ok(),
        None => Some(rendered(&json)),
    }
}

/// Types whose `active` says whether they are still in use. // R4
const HAS_ACTIVE: [&str; 7] = [
    "Group",
    "HealthcareService",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
];

/// Types whose `status` may be `entered-in-error`. // R4, of those that clinics send
const HAS_IN_ERROR: [&str; 38] = [
    "Appointment",
    "CarePlan",
    "CareTeam",
    "ChargeItem",
    "Claim",
    "ClinicalImpression",
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Consent",
    "Coverage",
    "DetectedIssue",
    "Device",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "GuidanceResponse",
    "ImagingStudy",
    "Immunization",
    "List",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
    "Task",
];

/// `text` with its id and its heads, and without what only a server says.
fn tagged(json: Json<'_>, id: &str, heads: &BTreeSet<Head>) -> Result<String, JsonError> {
    let Json::Object(mut members) = json else { return Err(JsonError::Malformed) };
    let mut take = |name: &str| {
        let at = members.iter().position(|(own, _)| own == name)?;
        Some(members.remove(at).1)
    };
    let kind = take("resourceType").ok_or(JsonError::Malformed)?;
    let _old = take("id");
    let mut meta = match take("meta") {
        Some(Json::Object(meta)) => meta,
        _ => Vec::new(),
    };
    meta.retain(|(name, _)| name != "versionId" && name != "lastUpdated");
    let at = meta.iter().position(|(name, _)| name == "tag");
    let mut tags = match at.map(|at| meta.remove(at).1) {
        Some(Json::Array(tags)) => tags,
        _ => Vec::new(),
    };
    tags.retain(|tag| !is_head(tag));
    tags.extend(
        heads
            .iter()
            .map(|head| object([("system", HEADS_SYSTEM), ("code", head.to_string().as_str())])),
    );
    if !tags.is_empty() {
        meta.push(("tag".to_owned(), Json::Array(tags)));
    }
    let mut all =
        vec![("resourceType".to_owned(), kind), ("id".to_owned(), Json::String(id.to_owned()))];
    all.extend((!meta.is_empty()).then(|| ("meta".to_owned(), Json::Object(meta))));
    all.append(&mut members);
    Ok(rendered(&Json::Object(all)))
}

fn is_head(tag: &Json<'_>) -> bool {
    tag.get("system").and_then(Json::as_str) == Some(HEADS_SYSTEM)
}

fn rendered(json: &Json<'_>) -> String {
    let mut out = String::new();
    json.render(&mut out);
    out
}

type Members<'a> = Vec<(String, Json<'a>)>;

/// Calls `with` for each Reference in a value.
fn each_reference<'a>(json: &mut Json<'a>, with: &mut impl FnMut(&mut Members<'a>)) {
    match json {
        Json::Object(members) => {
            members.iter_mut().for_each(|(_, value)| each_reference(value, with));
            with(members);
        }
        Json::Array(items) => items.iter_mut().for_each(|item| each_reference(item, with)),
        Json::String(_) | Json::Scalar(_) => {}
    }
}

/// The name in a Reference that may mean another resource; a version behind it is left out.
fn written<'s>(members: &'s Members<'_>) -> Option<&'s str> {
    let reference = members.iter().find(|(name, _)| name == "reference");
    let name = reference.and_then(|(_, value)| value.as_str());
    let name = name.map(|name| name.split_once("/_history/").map_or(name, |(name, _)| name));
    let absolute = |name: &&str| ["#", "http://", "https://"].iter().any(|of| name.starts_with(of));
    name.filter(|name| !absolute(name))
}

/// `Type?identifier=...`: a search, which the source's own server would have resolved.
fn is_search(name: &str) -> bool {
    name.contains('?')
}

/// Has a Reference name its target by identifier.
fn by_identifier(members: &mut Members<'_>, name: &str, place: Option<&str>) {
    let kind = place.unwrap_or(name).split(['/', '?']).next().unwrap_or_default();
    let uuid =
        place.and_then(|place| place.split_once('/')).map(|(_, id)| format!("urn:uuid:{id}"));
    let searched = name.split_once("?identifier=").and_then(|(_, pair)| pair.split_once('|'));
    let (system, value) = match (uuid.as_deref(), searched) {
        (Some(uuid), _) => (URI_SYSTEM, uuid),
        (None, Some(searched)) => searched,
        (None, None) if name.starts_with("urn:") => (URI_SYSTEM, name),
        (None, None) => (REFERENCE_SYSTEM, name),
    };
    members.retain(|(member, _)| member != "reference");
    let has = |members: &Members<'_>, name: &str| members.iter().any(|(member, _)| member == name);
    if !has(members, "type") && !kind.contains(':') {
        members.push(("type".to_owned(), Json::String(kind.to_owned())));
    }
    if !has(members, "identifier") {
        members.push(("identifier".to_owned(), object([("system", system), ("value", value)])));
    }
}

fn object<'a, const N: usize>(members: [(&str, &str); N]) -> Json<'a> {
    let member = |(name, value): (&str, &str)| (name.to_owned(), Json::String(value.to_owned()));
    Json::Object(members.into_iter().map(member).collect())
}

fn set<'a>(members: &mut Members<'a>, name: &str, value: Json<'a>) {
    match members.iter_mut().find(|(own, _)| own == name) {
        Some((_, old)) => *old = value,
        None => members.push((name.to_owned(), value)),
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: RecordId = RecordId([7; 16]);
    const UUID: &str = "3f1c9a52-6f0b-4a86-9d53-8d3f8a4b9c01";

    fn heads_of(all: &[u8]) -> BTreeSet<Head> {
        all.iter().map(|byte| Head([*byte; 8])).collect()
    }

    #[test]
    fn a_uuid_stays_and_everything_else_gets_one_of_record_and_key() {
        let own = format!("Patient/{UUID}");
        assert_eq!(place(RECORD, &own), own);
        let other = place(RECORD, &format!("{own}#conflict-1"));
        assert!(is_uuid(other.strip_prefix("Patient/").unwrap()) && other != own, "{other}");
        assert_eq!(place(RECORD, "Basic/1"), place(RECORD, "Basic/1"));
        assert_ne!(place(RECORD, "Basic/1"), place(RecordId([8; 16]), "Basic/1"));
    }

    #[test]
    fn references_follow_the_table_and_what_is_not_there_is_named() {
        let text = r##"{"resourceType":"Observation","id":"9","valueQuantity":{"value":62.50},"subject":{"reference":"Patient/1/_history/3"},"performer":[{"reference":"Practitioner/7"},{"reference":"Practitioner?identifier=NID|12","display":"A"},{"reference":"#part"},{"reference":"https://x.example/Patient/1"}],"encounter":{"reference":"urn:uuid:e"},"focus":[{"reference":"Patient/2"}]}"##;
        let names = ["Patient/1", "Practitioner/7", "Patient/2", "urn:uuid:e"];
        assert_eq!(references(text), names.map(str::to_owned).into());
        let table = [("Patient/1", "Patient/a"), ("Patient/2", "Patient/b")];
        let table = table.map(|(name, place)| (name.to_owned(), place.to_owned())).into();
        let place = format!("Observation/{UUID}");
        let got = addressed(text, &place, &heads_of(&[2, 1]), &table, |at| at == "Patient/a");
        let want = format!(
            r##"{{"resourceType":"Observation","id":"{UUID}","meta":{{"tag":[{{"system":"urn:huza:heads","code":"0101010101010101"}},{{"system":"urn:huza:heads","code":"0202020202020202"}}]}},"valueQuantity":{{"value":62.50}},"subject":{{"reference":"Patient/a"}},"performer":[{{"type":"Practitioner","identifier":{{"system":"urn:huza:reference","value":"Practitioner/7"}}}},{{"display":"A","type":"Practitioner","identifier":{{"system":"NID","value":"12"}}}},{{"reference":"#part"}},{{"reference":"https://x.example/Patient/1"}}],"encounter":{{"identifier":{{"system":"urn:ietf:rfc:3986","value":"urn:uuid:e"}}}},"focus":[{{"type":"Patient","identifier":{{"system":"urn:ietf:rfc:3986","value":"urn:uuid:b"}}}}]}}"##
        );
        assert_eq!(got.unwrap(), want);
        assert!(addressed(text, "Patient/x", &heads_of(&[]), &table, |_| true).is_err());
    }

    #[test]
    fn heads_are_read_back_and_replaced_and_other_tags_stay() {
        let text = r#"{"resourceType":"Patient","id":"1","meta":{"versionId":"4","lastUpdated":"2026-01-01T00:00:00Z","profile":["p"],"tag":[{"system":"s","code":"c"},{"system":"urn:huza:heads","code":"0909090909090909"}]}}"#;
        let place = format!("Patient/{UUID}");
        let got = addressed(text, &place, &heads_of(&[3]), &BTreeMap::new(), |_| true).unwrap();
        assert_eq!(heads(text), heads_of(&[9]));
        assert_eq!(heads(&got), heads_of(&[3]));
        assert!(got.contains(r#""profile":["p"],"tag":[{"system":"s","code":"c"},"#), "{got}");
        assert!(!got.contains("versionId") && !got.contains("lastUpdated"), "{got}");
        assert_eq!(heads("{}"), BTreeSet::new());
    }

    #[test]
    fn what_is_withdrawn_keeps_its_content() {
        let flag = r#"{"resourceType":"Flag","id":"1","status":"active","code":{"text":"x"}}"#;
        let want =
            r#"{"resourceType":"Flag","id":"1","status":"entered-in-error","code":{"text":"x"}}"#;
        assert_eq!(withdrawn(flag, None).unwrap(), want);
        let condition = r#"{"resourceType":"Condition","id":"1","clinicalStatus":{"text":"active"},"verificationStatus":{"text":"confirmed"},"subject":{"reference":"Patient/1"}}"#;
        let got = withdrawn(condition, Some(&heads_of(&[5]))).unwrap();
        assert!(got.contains(IN_ERROR) && !got.contains("clinicalStatus"), "{got}");
        assert!(got.contains(r#""subject":{"reference":"Patient/1"}"#), "{got}");
        assert_eq!(heads(&got), heads_of(&[5]));
        let patient = r#"{"resourceType":"Patient","id":"1","active":true}"#;
        assert!(withdrawn(patient, None).unwrap().contains(r#""active":false"#));
        assert_eq!(withdrawn(r#"{"resourceType":"Provenance","id":"1"}"#, None), None);
    }
}
