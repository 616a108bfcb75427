//! `huza reminders`: which visits are due.

use huza_crdt::node::{Command, DueVisit, Reply};
use huza_crdt::record::{Due, Language};
use huza_crdt::time::Stamp;
use huza_daemon::{shape, time};
use serde_json::{Value, json};

use crate::args::RemindersArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::output;

/// Lists them, overdue ones first.
pub(crate) async fn run(context: &Context, args: &RemindersArgs) -> Result<(), Failure> {
    let Reply::Reminders { mut due } = context.ask(Command::Reminders).await? else {
        return Err(Failure::answer("reminders"));
    };
    let until = Stamp(time::now().0.saturating_add(i64::from(args.days) * 86_400));
    due.retain(|one| shape::is_listed(one, until, args.all, args.by.as_deref()));
    let language = args.lang.lang.into();
    let text = if due.is_empty() {
        "Nothing is due.".to_owned()
    } else {
        let rows: Vec<Vec<String>> = due.iter().map(|one| row(one, language)).collect();
        output::table(&["", "due", "what", "who", "where", "record"], &rows)
    };
    let value: Vec<Value> = due.iter().map(|one| shape::due(one, language)).collect();
    context.output.answer(&json!({ "reminders": value }), &text)
}

fn row(one: &DueVisit, language: Language) -> Vec<String> {
    let state = match one.state {
        Due::Overdue => "OVERDUE",
        Due::Now => "due",
        Due::Later => "",
        Due::Done => "done",
    };
    vec![
        state.to_owned(),
        day(one.reminder.due),
        one.rule.label.text(language).to_owned(),
        one.name.clone(),
        one.area.clone(),
        one.record.to_string(),
    ]
}

fn day(at: Stamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
}
