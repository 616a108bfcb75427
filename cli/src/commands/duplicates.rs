//! `huza duplicates`, `huza person link` and `unlink`: who may be registered twice, and what is said of that.

use huza_crdt::node::{Command, Duplicate, FoundRecord, Reply};
use huza_crdt::record::{Reason, Said, Standing};
use huza_daemon::shape;
use serde_json::{Value, json};

use crate::args::{DuplicatesArgs, PairArgs};
use crate::commands::Context;
use crate::error::Failure;
use crate::output;

/// Lists them, those that workers disagree about first, then the likeliest.
pub(crate) async fn run(context: &Context, args: &DuplicatesArgs) -> Result<(), Failure> {
    let limit = args.limit;
    let reply = context
        .with_reader(async |device| {
            let record = match &args.person {
                Some(person) => Some(device.record(person).await?),
                None => None,
            };
            device.call(Command::Duplicates { record, limit }).await
        })
        .await?;
    let Reply::Duplicates { pairs, more } = reply else {
        return Err(Failure::answer("duplicates"));
    };
    let value = json!({ "pairs": pairs.iter().map(of_pair).collect::<Vec<_>>(), "more": more });
    let mut text: Vec<String> = pairs.iter().map(told).collect();
    if pairs.is_empty() {
        text.push("Nobody seems to be registered twice in what this device reads.".to_owned());
    } else {
        text.push(advice("RECORD", "RECORD"));
    }
    if more > 0 {
        text.push(format!("{more} more; see --limit."));
    }
    context.output.answer(&value, &text.join("\n"))
}

/// Has the device write down what a person says of two records.
pub(crate) async fn say(context: &Context, pair: &PairArgs, said: Said) -> Result<(), Failure> {
    let reason = pair.reason.clone();
    let (one, other) = context
        .with_reader(async |device| {
            let one = device.record(&pair.one).await?;
            let other = device.record(&pair.other).await?;
            match device.call(Command::Link { one, other, said, reason }).await? {
                Reply::Written { .. } => Ok((one.to_string(), other.to_string())),
                _ => Err(Failure::answer("person link")),
            }
        })
        .await?;
    let text = format!("Recorded on this device: {one} and {other}: {}.", said.text());
    context.output.answer(&json!({ "one": one, "other": other, "said": said }), &text)
}

/// What is added to the answer where a new person may be somebody who is there.
pub(crate) fn on_entry(alike: &[Duplicate]) -> String {
    let line = |one: &Duplicate| {
        let (new, other) = (one.one.record, one.other.record);
        let advice = advice(&new.to_string(), &other.to_string());
        format!("\nPossibly the same person: {}\n  {}.\n{advice}", row(&one.other), why(one))
    };
    alike.iter().map(line).collect()
}

fn advice(one: &str, other: &str) -> String {
    format!(
        "One person: huza person link {one} {other}\n\
         Two people: huza person unlink --different {one} {other}"
    )
}

fn told(pair: &Duplicate) -> String {
    format!("{}\n{}\n  {}.\n", row(&pair.one), row(&pair.other), why(pair))
}

fn row(found: &FoundRecord) -> String {
    let unread = if found.name.is_empty() { "not read on this device" } else { &found.name };
    let id = found.record.to_string();
    let cells = [&id, unread, &found.sex, &found.birth_date, &found.area];
    cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  ")
}

fn reasons(pair: &Duplicate) -> &[Reason] {
    pair.likeness.as_ref().map(|likeness| likeness.reasons.as_slice()).unwrap_or_default()
}

/// What speaks for it, what against, and what was said.
fn why(pair: &Duplicate) -> String {
    let mut all: Vec<String> = reasons(pair).iter().map(ToString::to_string).collect();
    if pair.standing != Standing::Open {
        all.push(format!("said: {}", pair.standing));
    }
    output::sentence(&all.join(", ")).trim_end_matches('.').to_owned()
}

fn of_pair(pair: &Duplicate) -> Value {
    let said = (pair.standing != Standing::Open).then(|| pair.standing.to_string());
    json!({
        "one": shape::found(&pair.one),
        "other": shape::found(&pair.other),
        "said": said,
        "likeness": of_likeness(pair),
    })
}

/// Whom a new person may be, for machines.
pub(crate) fn of_other(pair: &Duplicate) -> Value {
    json!({ "other": shape::found(&pair.other), "likeness": of_likeness(pair) })
}

fn of_likeness(pair: &Duplicate) -> Option<Value> {
    let likeness = pair.likeness.as_ref()?;
    let why: Vec<String> = likeness.reasons.iter().map(ToString::to_string).collect();
    let score = f64::from(likeness.score) / 10.0;
    Some(json!({ "score": score, "reasons": likeness.reasons, "why": why }))
}
