//! Visits of a person.

use std::collections::BTreeMap;

use huza_crdt::node::{Command, Reply};
use serde::Deserialize;
use serde_json::json;

use super::{
    call::{Answer, Call},
    persons,
    problem::Problem,
};
use crate::{shape, time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    form: String,
    answers: BTreeMap<String, String>,
    occurred: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Void {
    reason: String,
}

pub(super) async fn list(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let shown = persons::shown(&call).await?;
    Ok(Answer::ok(&json!({ "record": shown.get("record"), "visits": shown.get("visits") })))
}

pub(super) async fn add(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let record = call.path(0, "record")?;
    let New { form, answers, occurred } = call.body()?;
    let occurred = match occurred {
        None => time::now(),
        Some(text) => time::parse(&text).ok_or_else(|| {
            let hint = "write `occurred` as 2026-11-23T10:15:00+02:00 or 2026-11-23";
            Problem::new("invalid", "there is no such time", hint)
        })?,
    };
    let command = Command::AddVisit { record, form, occurred, answers };
    let reply = call.ask(command).await.map_err(|problem| match problem.code {
        // The address is there; what it was sent is wrong.
        "unknown_form" => Problem { code: "invalid_form", ..problem },
        _ => problem,
    })?;
    let Reply::Written { record, visit, dangers, advice, mut warnings, .. } = reply else {
        return Err(Problem::odd());
    };
    warnings.extend(time::not_yet("occurred", occurred));
    let value = shape::visit_written(record, visit, &dangers, &warnings, &advice);
    Ok(Answer::created(&value, format!("/v1/persons/{record}/visits")))
}

pub(super) async fn void(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let (record, visit) = (call.path(0, "record")?, call.path(1, "visit")?);
    let Void { reason } = call.body()?;
    let Reply::Written { record, .. } =
        call.ask(Command::VoidVisit { record, visit, reason }).await?
    else {
        return Err(Problem::odd());
    };
    Ok(Answer::ok(&json!({ "record": record.to_string(), "visit": visit.to_string() })))
}
