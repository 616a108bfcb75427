//! `huza person`: add, set, find, show, link.

use std::collections::BTreeMap;

use huza_crdt::node::{AreaRef, Command, FoundRecord, Reply};
use huza_crdt::record::Said;
use huza_daemon::{shape, time};
use serde_json::{Value, json};

use crate::args::{PersonAddArgs, PersonCommand, PersonFindArgs, PersonSetArgs, PersonShowArgs};
use crate::commands::{Context, duplicates, visit};
use crate::error::{Failure, Kind};
use crate::output;

/// Adds, sets, finds, shows or links.
pub(crate) async fn run(context: &Context, command: PersonCommand) -> Result<(), Failure> {
    match command {
        PersonCommand::Add(args) => add(context, &args).await,
        PersonCommand::Set(args) => set(context, &args).await,
        PersonCommand::Find(args) => find(context, &args).await,
        PersonCommand::Show(args) => show(context, &args).await,
        PersonCommand::Link(args) => duplicates::say(context, &args.pair, Said::SamePerson).await,
        PersonCommand::Unlink(args) => {
            let said = if args.different { Said::DifferentPeople } else { Said::Unlinked };
            duplicates::say(context, &args.pair, said).await
        }
    }
}

async fn add(context: &Context, args: &PersonAddArgs) -> Result<(), Failure> {
    let mut pairs = args.field.clone();
    pairs.extend(args.name.as_deref().map(names).unwrap_or_default());
    let field = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| (name.to_owned(), value.clone()))
    };
    pairs.extend(field("sex", &args.sex));
    pairs.extend(field("birth-date", &args.birth_date));
    if pairs.is_empty() {
        return Err(Failure::new(Kind::Usage, "nothing", "Nothing is said about the person")
            .hint("Say at least --name"));
    }
    let fields = checked(&pairs)?;
    let born = fields.get("birth-date").and_then(|date| time::birth_date(date));
    let command =
        Command::AddPerson { area: args.write.area.clone().unwrap_or(AreaRef::Own), fields };
    let reply = context.ask(command).await?;
    let Reply::Written { record, mut warnings, alike, .. } = reply else {
        return Err(Failure::answer("person add"));
    };
    warnings.extend(born.and_then(|born| time::not_yet("birth-date", born)));
    let mut text = format!("Recorded on this device: {record}.");
    for warning in &warnings {
        text.push_str(&format!("\nLook again: {warning}."));
    }
    text.push_str(&duplicates::on_entry(&alike));
    let alike: Vec<Value> = alike.iter().map(duplicates::of_other).collect();
    let value = json!({ "record": record.to_string(), "warnings": warnings, "duplicates": alike });
    context.output.answer(&value, &text)
}

/// Fields that may be recorded: a birth date is one that can be.
fn checked(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let fields = visit::unique(pairs)?;
    let Some(date) = fields.get("birth-date") else { return Ok(fields) };
    if time::birth_date(date).is_none() {
        let message = format!("birth-date: there is no date {date}");
        return Err(Failure::new(Kind::Input, "birth_date", message)
            .hint("Write it as YYYY-MM-DD, YYYY-MM or YYYY; nothing was recorded"));
    }
    Ok(fields)
}

async fn set(context: &Context, args: &PersonSetArgs) -> Result<(), Failure> {
    let expanded = args.fields.iter().flat_map(|(field, value)| match field.as_str() {
        "name" => names(value),
        _ => vec![(field.clone(), value.clone())],
    });
    let fields = checked(&expanded.collect::<Vec<_>>())?;
    let reply = context
        .with_reader(async |device| {
            let record = device.record(&args.record).await?;
            device.call(Command::SetPerson { record, fields }).await
        })
        .await?;
    let Reply::Written { record, .. } = reply else {
        return Err(Failure::answer("person set"));
    };
    let text = format!("Recorded on this device: {record}.");
    context.output.answer(&json!({ "record": record.to_string() }), &text)
}

/// Names as fields: the last word is the family name, a single one the given name.
pub(crate) fn names(text: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pair = |field: &str, value: String| (field.to_owned(), value);
    match words.as_slice() {
        [] => Vec::new(),
        [given] => vec![pair("name/given", (*given).to_owned())],
        [given @ .., family] => {
            vec![pair("name/given", given.join(" ")), pair("name/family", (*family).to_owned())]
        }
    }
}

async fn find(context: &Context, args: &PersonFindArgs) -> Result<(), Failure> {
    let command = Command::Find { query: args.words.join(" "), limit: args.limit };
    let Reply::Found { records } = context.ask(command).await? else {
        return Err(Failure::answer("person find"));
    };
    let text = if records.is_empty() {
        "Nobody was found. This device knows only the people of the villages it reads.".to_owned()
    } else {
        let rows: Vec<Vec<String>> = records.iter().map(row).collect();
        output::table(&["record", "name", "sex", "born", "area", "visits", ""], &rows)
    };
    let value: Vec<Value> = records.iter().map(shape::found).collect();
    context.output.answer(&json!({ "records": value }), &text)
}

fn row(found: &FoundRecord) -> Vec<String> {
    let marks = [(found.urgent, "URGENT"), (found.conflict, "disagreement")];
    let marks: Vec<&str> = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
    vec![
        found.record.to_string(),
        found.name.clone(),
        found.sex.clone(),
        found.birth_date.clone(),
        found.area.clone(),
        found.visits.to_string(),
        marks.join(", "),
    ]
}

async fn show(context: &Context, args: &PersonShowArgs) -> Result<(), Failure> {
    let reply = context
        .with_reader(async |device| {
            let record = device.record(&args.record).await?;
            device.call(Command::Show { record }).await
        })
        .await?;
    let Reply::Shown { record } = reply else {
        return Err(Failure::answer("person show"));
    };
    let value: Value = serde_json::from_str(&record)
        .map_err(|error| Failure::new(Kind::Unexpected, "json", error.to_string()))?;
    let mut lines = Vec::new();
    flatten(&value, "", &mut lines);
    if lines.iter().any(|line| line.starts_with("person/") && line.contains(ANOTHER)) {
        lines.push("\nWhich is true is said with `huza person set RECORD FIELD=VALUE`.".to_owned());
    }
    context.output.answer(&value, &lines.join("\n"))
}

/// Behind the path of a value that somebody else wrote without knowing of the shown one.
const ANOTHER: &str = " (another says)";

/// A record as lines `path: value (who, when)`. What two workers disagree about has one line each.
fn flatten(value: &Value, path: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(text) = map.get("value").and_then(Value::as_str) {
                lines.push(format!("{path}: {}", said(text, map)));
                for other in map.get("conflict").and_then(Value::as_array).into_iter().flatten() {
                    flatten(other, &format!("{path}{ANOTHER}"), lines);
                }
                return;
            }
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
                flatten(inner, &path, lines);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &format!("{path}/{}", index + 1), lines);
            }
        }
        Value::String(text) => lines.push(format!("{path}: {text}")),
        other => lines.push(format!("{path}: {other}")),
    }
}

fn said(text: &str, map: &serde_json::Map<String, Value>) -> String {
    let part = |name: &str| map.get(name).and_then(Value::as_str);
    match (part("worker"), part("at")) {
        (Some(worker), Some(at)) => format!("{text}  ({worker}, {at})"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_family_name() {
        let fields = |text| names(text).into_iter().map(|(_, v)| v).collect::<Vec<_>>();
        assert_eq!(fields("Marie Claire Uwase"), ["Marie Claire", "Uwase"]);
        assert_eq!(fields(" Uwase "), ["Uwase"]);
        assert!(fields("").is_empty());
    }

    #[test]
    fn disagreement_is_shown_with_both_values() {
        let value = json!({ "person": { "sex": { "value": "female", "worker": "A", "at": "T",
            "conflict": [{ "value": "male", "worker": "B", "at": "U" }] } } });
        let mut lines = Vec::new();
        flatten(&value, "", &mut lines);
        let want = ["person/sex: female  (A, T)", "person/sex (another says): male  (B, U)"];
        assert_eq!(lines, want);
    }
}
