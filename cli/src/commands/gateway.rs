//! `huza gateway`: how the facility is served, what it refused, and giving that again.

use huza_crdt::node::{Command, FacilityState, FailedResource, GatewayStatus, Reply};
use serde_json::{Value, json};

use crate::args::{GatewayArgs, GatewayCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;

/// Does what was asked.
pub(crate) async fn run(context: &Context, args: GatewayArgs) -> Result<(), Failure> {
    match args.command.unwrap_or(GatewayCommand::Status) {
        GatewayCommand::Status => status(context).await,
        GatewayCommand::Failed => failed(context).await,
        GatewayCommand::Retry(args) => retry(context, args.keys).await,
    }
}

async fn ask(context: &Context) -> Result<GatewayStatus, Failure> {
    match context.ask(Command::Gateway).await? {
        Reply::Gateway(status) => Ok(*status),
        _ => Err(Failure::answer("gateway")),
    }
}

async fn status(context: &Context) -> Result<(), Failure> {
    let status = ask(context).await?;
    let mut text = link(status.facility.as_ref());
    text.push_str(&format!(
        "\nGiven: {}. Waiting to be given: {}. Refused: {}.",
        output::count(usize::try_from(status.delivered).unwrap_or(usize::MAX), "resource"),
        output::count(status.queued, "envelope"),
        output::count(status.failed.len(), "resource"),
    ));
    if status.ahead > 0 {
        text.push_str(&format!(
            "\n{} of another gateway are newer there than here; they wait until the mesh brings that.",
            output::count(status.ahead, "resource"),
        ));
    }
    if !status.failed.is_empty() {
        text.push_str("\n`huza gateway failed` lists what was refused, and why.");
    }
    context.output.answer(&of_status(&status), &text)
}

/// Where the facility is, and how it goes.
fn link(state: Option<&FacilityState>) -> String {
    let Some(state) = state else {
        return "No daemon runs here, so nothing is given to the facility: `huza run`.".to_owned();
    };
    let since = state.since.map(|at| format!(" since {at}")).unwrap_or_default();
    match state.reachable {
        None => format!("{}: nothing was to be given yet.", state.place),
        Some(true) => format!("{}: answers{since}.", state.place),
        Some(false) => format!("{}: NOT SERVED{since}: {}.", state.place, state.why),
    }
}

fn of_status(status: &GatewayStatus) -> Value {
    let facility = status.facility.as_ref().map(|state| {
        json!({
            "place": state.place,
            "reachable": state.reachable,
            "since": state.since.map(|at| at.to_string()),
            "why": state.why,
        })
    });
    json!({
        "facility": facility,
        "queued": status.queued,
        "delivered": status.delivered,
        "waiting": status.ahead,
        "failed": status.failed.len(),
    })
}

async fn failed(context: &Context) -> Result<(), Failure> {
    let failed = ask(context).await?.failed;
    let text = if failed.is_empty() {
        "The facility refused nothing that is still so.".to_owned()
    } else {
        let row = |one: &FailedResource| {
            vec![one.key.clone(), one.code.to_string(), one.at.to_string(), one.why.clone()]
        };
        let rows: Vec<Vec<String>> = failed.iter().map(row).collect();
        let table = output::table(&["resource", "code", "when", "what it says"], &rows);
        format!("{table}\nWhat is mended there: `huza gateway retry KEY`, or --all.")
    };
    let of = |one: &FailedResource| {
        json!({
            "key": one.key,
            "record": one.record.to_string(),
            "code": one.code,
            "why": one.why,
            "at": one.at.to_string(),
        })
    };
    let value: Vec<Value> = failed.iter().map(of).collect();
    context.output.answer(&json!({ "failed": value }), &text)
}

async fn retry(context: &Context, keys: Vec<String>) -> Result<(), Failure> {
    let named = !keys.is_empty();
    let Reply::Retried { resources } = context.ask(Command::GatewayRetry { keys }).await? else {
        return Err(Failure::answer("gateway retry"));
    };
    if named && resources == 0 {
        let message = "The facility refused no resource with that key";
        return Err(Failure::new(Kind::Input, "unknown_resource", message)
            .hint("`huza gateway failed` lists them"));
    }
    let text = format!("{} will be given again.", output::count(resources, "resource"));
    context.output.answer(&json!({ "retried": resources }), &text)
}
