//! `huza app`: programs on this device that may ask its daemon over HTTP.

use huza_daemon::Home;
use huza_daemon::http::{App, Apps};
use serde_json::{Value, json};

use crate::args::AppCommand;
use crate::commands::Context;
use crate::error::Failure;
use crate::output;

/// Adds, lists or removes. A running daemon hears of it at the next request.
pub(crate) fn run(context: &Context, command: &AppCommand) -> Result<(), Failure> {
    let home = Home::open(&context.home()?)?;
    let apps = Apps::of(home.path());
    match command {
        AppCommand::Add { name, read_only } => add(context, &apps, name, *read_only),
        AppCommand::List => list(context, &apps.list()?),
        AppCommand::Remove { name } => {
            apps.remove(name)?;
            context.output.answer(&json!({ "removed": name }), &format!("Removed: {name}."))
        }
    }
}

fn add(context: &Context, apps: &Apps, name: &str, read_only: bool) -> Result<(), Failure> {
    let token = apps.add(name, read_only)?;
    let may = if read_only { "read" } else { "read and write" };
    let text = format!(
        "{token}\n\nThis is the token of {name}, and is shown only now. Whoever has it may {may} whatever \
         this device may,\nwhile the device is open. `huza app remove {name}` ends that."
    );
    let value = json!({ "name": name, "read_only": read_only, "token": token });
    context.output.answer(&value, &text)
}

fn list(context: &Context, apps: &[App]) -> Result<(), Failure> {
    let may = |app: &App| if app.read_only { "read" } else { "read and write" };
    let rows: Vec<Vec<String>> = apps
        .iter()
        .map(|app| vec![app.name.clone(), may(app).to_owned(), app.added.to_string()])
        .collect();
    let text = if rows.is_empty() {
        "No app is let in. `huza app add NAME` lets one in.".to_owned()
    } else {
        output::table(&["app", "may", "since"], &rows)
    };
    let value = |app: &App| {
        let App { name, read_only, added, .. } = app;
        json!({ "name": name, "read_only": read_only, "added": added.to_string() })
    };
    let value: Vec<Value> = apps.iter().map(value).collect();
    context.output.answer(&json!({ "apps": value }), &text)
}
