//! `huza init`, `huza request`, `huza join`: how a device becomes a member.

use huza_crdt::node::{Command, Reply};
use huza_crdt::trust::authority::JoinRequest;
use serde_json::json;

use crate::args::{InitArgs, JoinArgs, RequestArgs};
use crate::commands::Context;
use crate::error::Failure;
use crate::files::{self, Content, Pending};
use crate::shell::Device;

/// Makes the device.
pub(crate) fn init(context: &Context, args: &InitArgs) -> Result<(), Failure> {
    let home = context.home()?;
    // The file first, so that a wrong path is told before there is a device.
    let file = args.request.as_ref().map(|path| Pending::begin(path, false, false)).transpose()?;
    let request = Device::create(&home, &args.label, !args.relay)?;
    let line = files::line(Content::Request, &request);
    if let Some(mut file) = file {
        file.append(line.as_bytes())?;
        file.publish()?;
    }
    let text = format!(
        "This is now a huza device, kept in {}. Its key is {}.\n\
         Give this line to the authority of your health centre, then `huza join` its answer:\n{line}",
        home.display(),
        request.device,
    );
    context.output.answer(&request_json(&request, &line), &text)
}

/// Prints the join request again.
pub(crate) async fn request(context: &Context, args: &RequestArgs) -> Result<(), Failure> {
    let Reply::Request { request } = context.device().await?.call(Command::Request).await? else {
        return Err(Failure::answer("request"));
    };
    let line = files::line(Content::Request, &request);
    if let Some(path) = &args.out {
        files::write(Content::Request, path, &request, false)?;
    }
    context.output.answer(&request_json(&request, &line), &line)
}

fn request_json(request: &JoinRequest, line: &str) -> serde_json::Value {
    json!({
        "device": request.device.to_string(),
        "label": request.label,
        "request": line.trim_end(),
    })
}

/// Takes the authority's answer.
pub(crate) async fn join(context: &Context, args: &JoinArgs) -> Result<(), Failure> {
    let welcome = files::read(Content::Welcome, &args.file)?;
    let reply = context.device().await?.call(Command::Join { welcome }).await?;
    let Reply::Joined { programme, role, areas } = reply else {
        return Err(Failure::answer("join"));
    };
    let reads = match areas.as_slice() {
        [] => "It carries for others and reads nothing".to_owned(),
        areas => format!("It reads {}", areas.join(", ")),
    };
    let text = format!("This device is now a {} of {programme}. {reads}.", role.name());
    let value = json!({ "programme": programme, "role": role.name(), "areas": areas });
    context.output.answer(&value, &text)
}
