//! `huza visit`.

use std::collections::BTreeMap;

use huza_crdt::node::{Command, Reply};
use huza_crdt::record::{self, Form};
use serde_json::json;

use crate::args::{VisitAddArgs, VisitCommand};
use crate::commands::{Context, forms};
use crate::error::{Failure, Kind};
use crate::time;

/// Records a visit.
pub(crate) async fn run(context: &Context, command: VisitCommand) -> Result<(), Failure> {
    let VisitCommand::Add(args) = command;
    let form = forms::latest(&args.form)?;
    let occurred = args.occurred.unwrap_or_else(time::now);
    let answers = fields(&args)?;
    // What the device takes passed the same check.
    let checked = record::check(form, &answers).ok();
    let reply = context
        .with_reader(async |device| {
            let record = device.record(&args.record).await?;
            let form = args.form.clone();
            device.call(Command::AddVisit { record, form, occurred, answers }).await
        })
        .await?;
    let Reply::Written { record, visit, dangers, mut warnings, .. } = reply else {
        return Err(Failure::answer("visit add"));
    };
    warnings.extend(time::not_yet("--occurred", occurred));
    let id = visit.map(|visit| visit.to_string());
    let mut text = format!("Recorded on this device: visit {}.", id.clone().unwrap_or_default());
    for sign in &dangers {
        text.push_str(&format!("\nDANGER: {}. It travels first.", sign_label(form, sign)));
    }
    for warning in &warnings {
        text.push_str(&format!("\nLook again: {warning}."));
    }
    let advice = checked.map(|checked| record::advice(form, &checked.answers)).unwrap_or_default();
    for one in &advice {
        text.push_str(&format!("\nDo: {} ({}).", one.label.rw, one.label.en));
    }
    let value = json!({
        "record": record.to_string(),
        "visit": id,
        "dangers": dangers,
        "warnings": warnings,
        "urgent": !dangers.is_empty(),
        "advice": advice.iter().map(|one| &one.id).collect::<Vec<_>>(),
    });
    context.output.answer(&value, &text)
}

/// A sign as people read it: in Kinyarwanda and English.
pub(crate) fn sign_label(form: &Form, sign: &str) -> String {
    match form.danger(sign) {
        Some(rule) => format!("{} ({})", rule.label.rw, rule.label.en),
        None => sign.to_owned(),
    }
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
