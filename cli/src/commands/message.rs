//! `huza message` and `huza inbox`: what a facility tells workers, and whether they were shown it.

use std::collections::BTreeMap;

use clap::ValueEnum as _;
use huza_crdt::node::{Command, InboxMessage, Reply};
use huza_crdt::record::Language;
use huza_daemon::time;
use serde_json::{Value, json};

use crate::args::{InboxArgs, MessageCommand, MessageListArgs, MessageSendArgs};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;
use crate::shell::Device;

/// Sends, or lists.
pub(crate) async fn run(context: &Context, command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::Send(args) => send(context, &args).await,
        MessageCommand::List(args) => list(context, &args).await,
    }
}

async fn send(context: &Context, args: &MessageSendArgs) -> Result<(), Failure> {
    if args.record.is_none() && args.area.is_none() {
        return Err(Failure::new(
            Kind::Usage,
            "to_nobody",
            "It is not said to whom the message goes",
        )
        .hint("Say --record RECORD, or --area CATCHMENT/VILLAGE; nothing was sent"));
    }
    let about = args.about.to_possible_value();
    let about = about.map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut answers =
        BTreeMap::from([("about".to_owned(), about), ("text".to_owned(), args.text.clone())]);
    answers.extend(args.to.iter().map(|to| ("to".to_owned(), to.clone())));
    let occurred = time::now();
    let reply = context
        .with_reader(async |device| {
            let command = match (&args.record, &args.area) {
                (Some(record), _) => {
                    let record = device.record(record).await?;
                    Command::AddVisit { record, form: "message".to_owned(), occurred, answers }
                }
                (None, Some(area)) => Command::AddNotice { area: area.clone(), occurred, answers },
                (None, None) => return Err(Failure::answer("nobody")),
            };
            device.call(command).await
        })
        .await?;
    let Reply::Written { record, visit, .. } = reply else {
        return Err(Failure::answer("message send"));
    };
    let visit = visit.map(|visit| visit.to_string());
    let text = "The message is on this device and travels first. `huza message list` says where it \
                was shown.";
    context.output.answer(&json!({ "record": record.to_string(), "message": visit }), text)
}

async fn ask(device: &mut Device) -> Result<Vec<InboxMessage>, Failure> {
    match device.call(Command::Inbox).await? {
        Reply::Inbox { messages } => Ok(messages),
        _ => Err(Failure::answer("inbox")),
    }
}

async fn list(context: &Context, args: &MessageListArgs) -> Result<(), Failure> {
    let messages = context.with_reader(async |device| ask(device).await).await?;
    let language = args.lang.lang.into();
    let row = |one: &InboxMessage| {
        vec![
            one.message.at.to_string(),
            one.message.to.clone().unwrap_or_else(|| one.area.clone()),
            one.name.clone(),
            said(one, language),
            match one.shown_by.len() {
                0 => "not yet".to_owned(),
                1 => "on 1 device".to_owned(),
                devices => format!("on {devices} devices"),
            },
        ]
    };
    let text = match messages.as_slice() {
        [] => "There are no messages.".to_owned(),
        all => {
            let rows: Vec<Vec<String>> = all.iter().map(row).collect();
            output::table(&["written", "to", "about", "message", "shown"], &rows)
        }
    };
    let value: Vec<Value> = messages.iter().map(|one| of_message(one, language)).collect();
    context.output.answer(&json!({ "messages": value }), &text)
}

/// Shows a worker's messages, then says so to the device.
pub(crate) async fn inbox(context: &Context, args: &InboxArgs) -> Result<(), Failure> {
    let language = args.lang.lang.into();
    context
        .with_reader(async |device| {
            let mut messages = ask(device).await?;
            messages
                .retain(|one| one.for_worker && !one.written_here && (args.all || !one.shown_here));
            let text: Vec<String> = messages.iter().map(|one| text(one, language)).collect();
            let text = match text.as_slice() {
                [] if args.all => "There are no messages.".to_owned(),
                [] => "There are no new messages. `huza inbox --all` shows all.".to_owned(),
                all => all.join("\n\n"),
            };
            let value: Vec<Value> = messages.iter().map(|one| of_message(one, language)).collect();
            context.output.answer(&json!({ "messages": value }), &text)?;
            let new = messages.iter().filter(|one| !one.shown_here);
            let places: Vec<_> = new.flat_map(|one| one.places.clone()).collect();
            if places.is_empty() {
                return Ok(());
            }
            match device.call(Command::Seen { places }).await? {
                Reply::Noted => Ok(()),
                _ => Err(Failure::answer("what was shown")),
            }
        })
        .await
}

/// A message as a worker reads it.
fn text(one: &InboxMessage, language: Language) -> String {
    let new = if one.shown_here { "" } else { "* " };
    let message = &one.message;
    format!(
        "{new}{}, {}, {} ({})\n  {}",
        message.title.text(language),
        message.at,
        message.from,
        one.name,
        said(one, language)
    )
}

fn said(one: &InboxMessage, language: Language) -> String {
    let each = one.message.says.iter();
    let each = each.map(|(label, answer)| format!("{}: {answer}", label.text(language)));
    each.collect::<Vec<_>>().join("; ")
}

fn of_message(one: &InboxMessage, language: Language) -> Value {
    let message = &one.message;
    let says: Vec<Value> = message
        .says
        .iter()
        .map(|(label, answer)| json!({ "label": label.text(language), "answer": answer }))
        .collect();
    json!({
        "message": message.visit,
        "record": one.record.to_string(),
        "name": one.name,
        "area": one.area,
        "title": message.title.text(language),
        "at": message.at.to_string(),
        "from": message.from,
        "to": message.to,
        "says": says,
        "for_worker": one.for_worker,
        "written_here": one.written_here,
        "shown_here": one.shown_here,
        "shown_by": one.shown_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
