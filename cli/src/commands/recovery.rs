//! `huza recovery`: the way back in when the secret is forgotten, through the health centre.

use huza_crdt::crypto::SealingPublic;
use huza_crdt::id::CertId;
use huza_crdt::node::{Command, KnownDevice, Reply};
use huza_crdt::trust::Role;
use huza_crdt::trust::recovery::{RECOVERY_SLOTS_MAX, RecoveryAnswer};
use huza_daemon::vault::{Unlock, VaultCommand, VaultReply};
use serde_json::json;

use crate::args::{RecoveryApplyArgs, RecoveryCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::files::{self, Content};
use crate::shell::Device;

/// Leaves, asks, or applies.
pub(crate) async fn run(context: &Context, command: RecoveryCommand) -> Result<(), Failure> {
    match command {
        RecoveryCommand::Leave => leave_again(context).await,
        RecoveryCommand::Request { out } => request(context, out.as_deref()).await,
        RecoveryCommand::Apply(args) => apply(context, &args).await,
    }
}

/// Leaves a recovery with the authorities known here, instead of the one before; gives with how
/// many.
pub(super) async fn leave(device: &mut Device, by: Unlock) -> Result<usize, Failure> {
    let status = device.status(false).await?;
    let Some(key) = status.device else { return Ok(0) };
    let Reply::Devices { devices } = device.call(Command::Devices).await? else {
        return Err(Failure::answer("devices"));
    };
    let to = helpers(devices, status.certificate);
    let count = to.len();
    if count > 0 {
        device.vault(VaultCommand::SetRecovery { by, device: key, to }).await?;
    }
    Ok(count)
}

/// Good authorities, the newest first: devices come after the paper keys that approved them.
fn helpers(mut devices: Vec<KnownDevice>, own: Option<CertId>) -> Vec<(CertId, SealingPublic)> {
    devices.retain(|one| {
        one.good && !one.paper && one.role == Role::Authority && Some(one.certificate) != own
    });
    devices.sort_by_key(|one| core::cmp::Reverse((one.issued, one.certificate)));
    devices.truncate(RECOVERY_SLOTS_MAX);
    devices.iter().map(|one| (one.certificate, one.sealing)).collect()
}

async fn leave_again(context: &Context) -> Result<(), Failure> {
    let count = context
        .with_device(async |device| {
            let Some((status, _)) = device.vault_status().await? else {
                let message = "This device only carries; nothing on it is locked";
                return Err(Failure::new(Kind::Input, "no_reader", message)
                    .hint("Nothing needs to be recovered"));
            };
            let by = context.secrets.unlock(&status)?;
            leave(device, by).await
        })
        .await?;
    if count == 0 {
        return Err(Failure::new(Kind::Input, "no_authority", "No other authority is known here")
            .hint("Let this device meet the hub or an authority device first"));
    }
    let text = "Left. Who forgets the secret can be helped by the authority devices known here.";
    context.output.answer(&json!({ "recovery": count }), text)
}

async fn request(context: &Context, out: Option<&std::path::Path>) -> Result<(), Failure> {
    let wish = VaultCommand::RecoveryRequest;
    let reply = context.with_device(async |device| device.vault(wish).await).await?;
    let VaultReply::RecoveryRequest { request } = reply else {
        return Err(Failure::answer("recovery request"));
    };
    let line = files::line(Content::RecoveryRequest, &request);
    let mut text = line.clone();
    if let Some(path) = out {
        files::write(Content::RecoveryRequest, path, &request)?;
        text = format!(
            "Next: go to the health centre with {}. There: huza authority recover --request {} \
             --out answer.txt\nThen here: huza recovery apply{} answer.txt",
            path.display(),
            path.display(),
            context.same_home(),
        );
    }
    let device = request.device.to_string();
    context.output.answer(&json!({ "device": device, "request": line.trim_end() }), &text)
}

async fn apply(context: &Context, args: &RecoveryApplyArgs) -> Result<(), Failure> {
    let answer: RecoveryAnswer = files::read(Content::RecoveryAnswer, &args.file)?;
    let worker = context
        .with_device(async |device| {
            let Some((status, _)) = device.vault_status().await? else {
                return Err(Failure::answer("recovery apply"));
            };
            let worker = match (context.secrets.worker(&status), status.workers.as_slice()) {
                (Some(worker), _) => worker,
                (None, [only]) => only.worker.clone(),
                (None, _) => {
                    let message = "Several workers use this device";
                    return Err(Failure::new(Kind::Input, "which_worker", message)
                        .hint("Say --worker NAME"));
                }
            };
            let new = context.secrets.new_secret(&args.secret, true)?;
            device.vault(VaultCommand::Recover { answer, worker: worker.clone(), new }).await?;
            Ok(worker)
        })
        .await?;
    let text = format!("{worker} opens this device with the new secret from now on.");
    context.output.answer(&json!({ "worker": worker }), &text)
}
