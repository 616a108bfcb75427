//! `huza visit`.

use std::collections::BTreeMap;

use huza_crdt::node::{Command, Reply};
use huza_crdt::record::Label;
use huza_daemon::{shape, time};
use serde_json::json;

use crate::args::{VisitAddArgs, VisitCommand, VisitVoidArgs};
use crate::commands::Context;
use crate::error::{Failure, Kind};

/// Records a visit, or marks one as entered in error.
pub(crate) async fn run(context: &Context, command: VisitCommand) -> Result<(), Failure> {
    match command {
        VisitCommand::Add(args) => add(context, &args).await,
        VisitCommand::Void(args) => void(context, &args).await,
    }
}

async fn void(context: &Context, args: &VisitVoidArgs) -> Result<(), Failure> {
    let (visit, reason) = (args.visit, args.reason.clone());
    let reply = context
        .with_reader(async |device| {
            let record = device.record(&args.record).await?;
            device.call(Command::VoidVisit { record, visit, reason }).await
        })
        .await?;
    let Reply::Written { record, .. } = reply else {
        return Err(Failure::answer("visit void"));
    };
    let text = format!("Recorded on this device: visit {visit} was entered in error.");
    let value = json!({ "record": record.to_string(), "visit": visit.to_string() });
    context.output.answer(&value, &text)
}

async fn add(context: &Context, args: &VisitAddArgs) -> Result<(), Failure> {
    let occurred = args.occurred.unwrap_or_else(time::now);
    let answers = fields(args)?;
    let reply = context
        .with_reader(async |device| {
            let record = device.record(&args.record).await?;
            let form = args.form.clone();
            device.call(Command::AddVisit { record, form, occurred, answers }).await
        })
        .await?;
    let Reply::Written { record, visit, dangers, advice, mut warnings, .. } = reply else {
        return Err(Failure::answer("visit add"));
    };
    warnings.extend(time::not_yet("--occurred", occurred));
    let id = visit.map(|visit| visit.to_string());
    let mut text = format!("Recorded on this device: visit {}.", id.clone().unwrap_or_default());
    for danger in &dangers {
        text.push_str(&format!("\nDANGER: {}. It travels first.", both(&danger.label)));
    }
    for warning in &warnings {
        text.push_str(&format!("\nLook again: {warning}."));
    }
    for one in &advice {
        text.push_str(&format!("\nDo: {}.", both(&one.label)));
    }
    let value = shape::visit_written(record, visit, &dangers, &warnings, &advice);
    context.output.answer(&value, &text)
}

/// A label as people read it: in Kinyarwanda and English.
pub(crate) fn both(label: &Label) -> String {
    format!("{} ({})", label.rw, label.en)
}

fn fields(args: &VisitAddArgs) -> Result<BTreeMap<String, String>, Failure> {
    unique(&args.set)
}

/// Fields and values; a field given twice is a mistake, not a choice.
pub(crate) fn unique(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut fields = BTreeMap::new();
    for (field, value) in pairs {
        if fields.insert(field.clone(), value.clone()).is_some() {
            return Err(Failure::new(
                Kind::Usage,
                "field_twice",
                format!("{field} is given twice"),
            )
            .hint("Give each field once; nothing was changed"));
        }
    }
    Ok(fields)
}
