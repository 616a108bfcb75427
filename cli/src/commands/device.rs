//! `huza init`, `huza request`, `huza join`, `huza take`: how a device becomes a member.

use huza_crdt::control::Statement;
use huza_crdt::node::{Command, Reply};
use huza_crdt::trust::approval::{JoinRequest, Welcome};
use huza_daemon::vault::{NewSecret, Unlock};
use huza_daemon::{Home, InitOptions};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::json;

use crate::args::{InitArgs, JoinArgs, RequestArgs, TakeArgs};
use crate::commands::{Context, recovery};
use crate::error::{Failure, Kind};
use crate::files::{self, Content, Pending};
use crate::shell::Device;

/// Makes the device.
pub(crate) fn init(context: &Context, args: &InitArgs) -> Result<(), Failure> {
    let home = context.home()?;
    // The file first, so that a wrong path is told before there is a device.
    let file = args.request.as_ref().map(|path| Pending::begin(path, false, false)).transpose()?;
    let worker = context.secrets.new_worker();
    let secret = if args.relay {
        NewSecret::Open
    } else {
        refuse_existing(&home)?;
        context.secrets.new_secret(&args.secret, true)?
    };
    let options = InitOptions {
        label: args.label.clone(),
        reader: !args.relay,
        worker: worker.clone(),
        secret: secret.clone(),
    };
    let request = Device::create(&home, &options)?;
    let line = files::line(Content::Request, &request);
    if let Some(mut file) = file {
        file.append(line.as_bytes())?;
        file.publish()?;
    }
    let opens = if args.relay {
        "\nIt carries for others and reads nothing, so it has no secret.".to_owned()
    } else if secret_is_open(&secret) {
        protection(&secret)
    } else {
        format!("\n{worker} opens it; without the secret nobody reads what is on it.")
    };
    let same = context.same_home();
    let role = if args.relay { "--role relay" } else { "--role worker --village CODE" };
    let text = format!(
        "This is now a huza device, kept in {}. Its key is {}.{opens}\n\n\
         1 of 3: give this line to the health centre, as a message, or on paper with `huza request \
         --qr{same}`:\n{line}\
         2 of 3: there, on the authority device:\n  \
         huza authority issue --request - {role} --out welcome.txt\n\
         3 of 3: here, with the answer:\n  huza join{same} welcome.txt",
        home.display(),
        request.device.short(),
    );
    context.output.answer(&request_json(&request, &line), &text)
}

/// Nobody is asked for a secret that is of no use.
fn refuse_existing(home: &std::path::Path) -> Result<(), Failure> {
    match Home::open(home) {
        Ok(_) => Err(huza_daemon::HomeError::Exists(home.to_owned()).into()),
        Err(_) => Ok(()),
    }
}

const fn secret_is_open(secret: &NewSecret) -> bool {
    matches!(secret, NewSecret::Open)
}

/// What a device without a secret means, said loudly; else nothing.
pub(super) fn protection(secret: &NewSecret) -> String {
    if !secret_is_open(secret) {
        return String::new();
    }
    "\nUNPROTECTED: whoever has its files reads every record on it. `huza secret change` gives it a \
     secret."
        .to_owned()
}

/// Makes a request.
pub(crate) async fn request(context: &Context, args: &RequestArgs) -> Result<(), Failure> {
    let Reply::Request { request } = context.ask(Command::Request).await? else {
        return Err(Failure::answer("request"));
    };
    let line = files::line(Content::Request, &request);
    if let Some(path) = &args.out {
        files::write(Content::Request, path, &request)?;
    }
    let mut text = line.clone();
    let mut value = request_json(&request, &line);
    if args.qr {
        let picture = picture(line.trim_end())?;
        text = format!("{picture}\n{line}");
        if let Some(object) = value.as_object_mut() {
            object.insert("qr".to_owned(), json!(picture));
        }
    }
    context.output.answer(&value, &text)
}

/// A QR code of half-block characters, light on dark as terminals are.
fn picture(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        Failure::new(Kind::Unexpected, "qr", format!("This fits no QR code: {error}"))
            .hint("Send the line as text")
    })?;
    let (dark, light) = (Dense1x2::Light, Dense1x2::Dark);
    Ok(code.render::<Dense1x2>().dark_color(dark).light_color(light).quiet_zone(true).build())
}

fn request_json(request: &JoinRequest, line: &str) -> serde_json::Value {
    json!({
        "device": request.device.to_string(),
        "label": request.label,
        "made": request.made.to_string(),
        "request": line.trim_end(),
    })
}

/// Takes the authority's answer.
pub(crate) async fn join(context: &Context, args: &JoinArgs) -> Result<(), Failure> {
    let welcome: Welcome = files::read(Content::Welcome, &args.file)?;
    let (reply, left) = context
        .with_device(async |device| {
            let by = open(context, device).await?;
            let reply = device.call(Command::Join { welcome }).await?;
            let left = match by {
                Some(by) => recovery::leave(device, by).await,
                None => Ok(0),
            };
            Ok((reply, left))
        })
        .await?;
    let Reply::Joined { programme, role, areas, workers, hubs } = reply else {
        return Err(Failure::answer("join"));
    };
    let dial = Home::open(&context.home()?)?.add_dial(&hubs);
    let mut text = match areas.as_slice() {
        [] => format!(
            "This device is now a {} of {programme}. It carries for others and reads nothing.",
            role.name()
        ),
        areas => format!(
            "This device is now a {} of {programme}. It reads {}.",
            role.name(),
            areas.join(", ")
        ),
    };
    if !workers.is_empty() {
        text.push_str(&format!("\nIt was approved for {}.", workers.join(", ")));
    }
    match &dial {
        Ok(0) => {}
        Ok(_) => text.push_str(&format!("\nIt will look for the hub at {}.", hubs.join(", "))),
        Err(error) => context.output.note(&format!("The hub's address was not kept: {error}.")),
    }
    let recovery = match &left {
        Ok(count) => *count,
        Err(failure) => {
            context.output.note(&format!("No recovery was left: {failure}."));
            0
        }
    };
    if recovery > 0 {
        text.push_str(
            "\nWho forgets the secret can be helped by the health centre: `huza recovery request`.",
        );
    }
    let same = context.same_home();
    text.push_str(&format!("\nNext: huza run{same}"));
    let value = json!({
        "programme": programme,
        "role": role.name(),
        "areas": areas,
        "workers": workers,
        "hubs": hubs,
        "recovery": recovery,
    });
    context.output.answer(&value, &text)
}

/// Opens the reader, and says by whom, if the secret is known: a recovery needs it anew.
async fn open(context: &Context, device: &mut Device) -> Result<Option<Unlock>, Failure> {
    let Some((status, open)) = device.vault_status().await? else { return Ok(None) };
    let by = match context.secrets.unlock(&status) {
        Ok(by) => by,
        Err(_nobody) if open.is_some() => return Ok(None),
        Err(failure) => return Err(failure),
    };
    if open.is_none() {
        device.unlock_by(by.clone()).await?;
    }
    Ok(Some(by))
}

/// Takes in statements that came as a file.
pub(crate) async fn take(context: &Context, args: &TakeArgs) -> Result<(), Failure> {
    let statements: Vec<Statement> = files::read(Content::Statements, &args.file)?;
    let wish = Command::Take { statements };
    let reply = context.with_device(async |device| device.call(wish).await).await?;
    let Reply::Issued { statements, done } = reply else {
        return Err(Failure::answer("take"));
    };
    let text = if statements == 0 {
        "All of it was known here already.".to_owned()
    } else {
        "Taken in. It goes on to every device that is met.".to_owned()
    };
    context.output.answer(&json!({ "statements": statements, "done": done }), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_fits_a_code_that_fits_a_terminal() {
        let line = format!("HUZA-REQUEST-1:{}", "A7".repeat(140));
        let picture = picture(&line).unwrap();
        let widest = picture.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 78, "{widest} columns");
        assert!(picture.contains('\u{2580}') || picture.contains('\u{2584}'));
    }
}
