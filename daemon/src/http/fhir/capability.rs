//! What the FHIR interface can do, in FHIR's own words.

use serde_json::{Value, json};

use super::{KINDS, Kind, search};

pub(super) fn statement() -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        // Of the last change of what is said here.
        "date": "2026-11-24",
        "kind": "instance",
        "software": { "name": "huza", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "The records of one huza device" },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "documentation": "Resources are what a facility would be given of each record. What forms \
                became is read only; what was brought in can be put again.",
            "security": { "description": "Authorization: Bearer, with a token of `huza app add`" },
            "resource": KINDS.iter().map(resource).collect::<Vec<_>>(),
        }],
    })
}

fn resource(kind: &Kind) -> Value {
    let writes = kind.writes.then_some(["create", "update"]).into_iter().flatten();
    let codes = ["read", "search-type"].into_iter().chain(writes);
    let params = search::params(kind).iter().filter(|(_, kind)| !kind.is_empty());
    let params = params.map(|(name, kind)| json!({ "name": name, "type": kind }));
    json!({
        "type": kind.name,
        "interaction": codes.map(|code| json!({ "code": code })).collect::<Vec<_>>(),
        "versioning": "versioned-update",
        "readHistory": false,
        "updateCreate": false,
        "searchParam": params.collect::<Vec<_>>(),
    })
}
