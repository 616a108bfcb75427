//! `huza unlock`, `huza lock`, `huza secret`, `huza worker`: who may open this device.

use huza_daemon::vault::{Method, VaultCommand, VaultReply, VaultStatus};
use serde_json::{Value, json};

use crate::args::{NewSecretArgs, SecretCommand, WorkerAddArgs, WorkerCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;
use crate::shell::Device;

/// Opens the reader of the running daemon.
pub(crate) async fn unlock(context: &Context) -> Result<(), Failure> {
    let worker = context
        .with_device(async |device| {
            let (status, _) = vault(device).await?;
            let by = context.secrets.unlock(&status)?;
            device.unlock_by(by.clone()).await?;
            device.stay_open();
            Ok((by.worker.unwrap_or_default(), device.is_daemon()))
        })
        .await?;
    let (worker, daemon) = worker;
    let text = if daemon {
        format!("Open: {worker} works with it until `huza lock`.")
    } else {
        "The secret is right. No daemon runs on this device, so nothing stays open: each command \
         asks for the secret."
            .to_owned()
    };
    context.output.answer(&json!({ "worker": worker, "open": daemon }), &text)
}

/// Closes it.
pub(crate) async fn lock(context: &Context) -> Result<(), Failure> {
    let (daemon, protected) = context
        .with_device(async |device| {
            let (status, _) = vault(device).await?;
            device.vault(VaultCommand::Lock).await?;
            Ok((device.is_daemon(), status.protected))
        })
        .await?;
    let text = match (daemon, protected) {
        (true, true) => {
            "Locked. It goes on carrying; `huza unlock` opens it. What was written is sealed and \
             leaves with the next contact."
        }
        (true, false) => {
            "Closed, BUT UNPROTECTED: whoever has its files opens it without a secret. `huza secret \
             change` gives it one."
        }
        (false, _) => "Locked. No daemon runs on this device, so nothing was open.",
    };
    context.output.answer(&json!({ "locked": true, "protected": protected }), text)
}

/// The vault's status, of a device that has one.
async fn vault(device: &mut Device) -> Result<(VaultStatus, Option<String>), Failure> {
    device.vault_status().await?.ok_or_else(|| {
        Failure::new(Kind::Input, "no_reader", "This device only carries; nothing on it is locked")
            .hint("Nothing needs to be opened")
    })
}

/// Changes a secret.
pub(crate) async fn secret(context: &Context, command: SecretCommand) -> Result<(), Failure> {
    let SecretCommand::Change(args) = command;
    let (worker, status) = context
        .with_device(async |device| {
            let (status, _) = vault(device).await?;
            let by = context.secrets.unlock(&status)?;
            let new = context.secrets.new_secret(&args, false)?;
            let worker = by.worker.clone().unwrap_or_default();
            let status = changed(device, VaultCommand::ChangeSecret { by, new }).await?;
            Ok((worker, status))
        })
        .await?;
    let text =
        format!("{worker} opens this device with the new secret from now on.{}", loud(&args));
    context.output.answer(&of_vault(&status, None), &text)
}

/// Adds, removes or lists workers.
pub(crate) async fn worker(context: &Context, command: WorkerCommand) -> Result<(), Failure> {
    match command {
        WorkerCommand::Add(args) => add(context, &args).await,
        WorkerCommand::Remove { name } => remove(context, name).await,
        WorkerCommand::List => list(context).await,
    }
}

async fn add(context: &Context, args: &WorkerAddArgs) -> Result<(), Failure> {
    let status = context
        .with_device(async |device| {
            let (status, _) = vault(device).await?;
            let by = context.secrets.unlock(&status)?;
            let new = context.secrets.new_secret(&args.secret, false)?;
            changed(device, VaultCommand::AddWorker { by, worker: args.name.clone(), new }).await
        })
        .await?;
    let text = format!(
        "{} may open this device too, with `--worker`, and is named by what is recorded then.{}",
        args.name,
        loud(&args.secret)
    );
    context.output.answer(&of_vault(&status, None), &text)
}

async fn remove(context: &Context, worker: String) -> Result<(), Failure> {
    let name = worker.clone();
    let status = context
        .with_device(async |device| {
            let (status, _) = vault(device).await?;
            let by = context.secrets.unlock(&status)?;
            changed(device, VaultCommand::RemoveWorker { by, worker }).await
        })
        .await?;
    let text = format!(
        "{name} opens this device no more. Whoever copied its files before, and knows the secret, \
         still reads that copy."
    );
    context.output.answer(&of_vault(&status, None), &text)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let (status, open) = context.with_device(vault).await?;
    let rows: Vec<Vec<String>> = status
        .workers
        .iter()
        .map(|one| {
            vec![
                one.worker.clone(),
                method(one.method).to_owned(),
                one.failures.to_string(),
                if open.as_ref() == Some(&one.worker) { "has it open now" } else { "" }.to_owned(),
            ]
        })
        .collect();
    let table = output::table(&["worker", "opens it by", "failed attempts", ""], &rows);
    let text = format!("{table}\n\n{}.", capital(&status.description));
    context.output.answer(&of_vault(&status, open.as_deref()), &text)
}

async fn changed(device: &mut Device, command: VaultCommand) -> Result<VaultStatus, Failure> {
    match device.vault(command).await? {
        VaultReply::Vault { status, .. } => Ok(status),
        _ => Err(Failure::answer("the vault")),
    }
}

fn loud(args: &NewSecretArgs) -> String {
    if args.unprotected {
        "\nUNPROTECTED: whoever has its files reads every record on it.".to_owned()
    } else {
        String::new()
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Passphrase => "a passphrase",
        Method::Pin => "a PIN",
        Method::Open => "nothing",
    }
}

/// For machines.
pub(crate) fn of_vault(status: &VaultStatus, open: Option<&str>) -> Value {
    let workers: Vec<Value> = status
        .workers
        .iter()
        .map(|one| {
            json!({
                "worker": one.worker,
                "method": one.method,
                "failures": one.failures,
                "wait_ms": one.wait_ms,
            })
        })
        .collect();
    json!({
        "protected": status.protected,
        "description": status.description,
        "workers": workers,
        "open": open,
        "recovery": status.recovery.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "recovery_asked": status.recovery_asked,
    })
}
