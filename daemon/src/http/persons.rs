//! People: found, added, shown, corrected, and what is said of them in different ways.

use std::collections::BTreeMap;

use huza_crdt::{
    id::RecordId,
    node::{AreaRef, Command, Reply},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Answer, Call},
    problem::Problem,
};
use crate::shape;

/// People on one page, if nothing else is wanted, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;

/// How far pages go. // guess: a health centre
const OFFSET_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    fields: BTreeMap<String, String>,
    area: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    fields: BTreeMap<String, String>,
}

pub(super) async fn list(call: Call) -> Result<Answer, Problem> {
    call.only(&["query", "limit", "offset"])?;
    let query = call.text("query").unwrap_or_default().to_owned();
    let limit = call.number("limit", PAGE, PAGE_MAX)?;
    let offset = call.number("offset", 0, OFFSET_MAX)?;
    let command = Command::Find { query, limit: offset + limit + 1 };
    let Reply::Found { records } = call.ask(command).await? else { return Err(Problem::odd()) };
    let more = records.len() > offset + limit;
    let page: Vec<Value> = records.iter().skip(offset).take(limit).map(shape::found).collect();
    let next = (more && limit > 0).then_some(offset + limit);
    Ok(Answer::ok(&json!({ "records": page, "next_offset": next })))
}

pub(super) async fn add(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let New { fields, area } = call.body()?;
    let area = area.map_or(Ok(AreaRef::Own), |area| area.parse().map_err(|()| no_area()))?;
    let Reply::Written { record, warnings, .. } =
        call.ask(Command::AddPerson { area, fields }).await?
    else {
        return Err(Problem::odd());
    };
    let value = json!({ "record": record.to_string(), "warnings": warnings });
    Ok(Answer::created(&value, format!("/v1/persons/{record}")))
}

fn no_area() -> Problem {
    let hint = "write it as CATCHMENT/VILLAGE, such as 0512/01";
    Problem::new("unknown_area", "the area is not written as one", hint)
}

pub(super) async fn show(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    Ok(Answer::ok(&shown(&call).await?))
}

pub(super) async fn set(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let record = call.path(0, "record")?;
    let Fields { fields } = call.body()?;
    let Reply::Written { record, .. } = call.ask(Command::SetPerson { record, fields }).await?
    else {
        return Err(Problem::odd());
    };
    Ok(Answer::ok(&json!({ "record": record.to_string() })))
}

pub(super) async fn conflicts(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let shown = shown(&call).await?;
    let mut found = Vec::new();
    collect(&shown, "", &mut found);
    Ok(Answer::ok(&json!({ "record": shown.get("record"), "conflicts": found })))
}

/// Every value beside which there are others.
fn collect(value: &Value, path: &str, found: &mut Vec<Value>) {
    let Value::Object(members) = value else { return };
    if members.get("conflict").is_some_and(Value::is_array) {
        let mut one = members.clone();
        one.insert("path".to_owned(), path.into());
        found.push(Value::Object(one));
        return;
    }
    for (name, inner) in members {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        collect(inner, &path, found);
    }
}

pub(super) async fn receipts(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let record: RecordId = call.path(0, "record")?;
    let Reply::Status(status) = call.ask(Command::Status { records: true }).await? else {
        return Err(Problem::odd());
    };
    call.shared.open(&status)?;
    let found = status.records.iter().find(|one| one.record == record);
    let found = found.ok_or_else(|| {
        let hint = "`/v1/persons` finds its id";
        Problem::new("unknown_record", "there is no such record on this device", hint)
    })?;
    Ok(Answer::ok(&shape::record_status(found)))
}

/// Everything about the record of the path.
pub(super) async fn shown(call: &Call) -> Result<Value, Problem> {
    let record = call.path(0, "record")?;
    let Reply::Shown { record } = call.ask(Command::Show { record }).await? else {
        return Err(Problem::odd());
    };
    serde_json::from_str(&record).map_err(|_error| Problem::odd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_is_disagreed_about_is_found_with_its_path() {
        let value = json!({ "person": {
            "sex": { "value": "female", "conflict": [{ "value": "male" }] },
            "birth-date": { "value": "1998" },
        } });
        let mut found = Vec::new();
        collect(&value, "", &mut found);
        let want =
            json!({ "path": "person/sex", "value": "female", "conflict": [{ "value": "male" }] });
        assert_eq!(found, [want]);
    }
}
