//! `huza authority`: what a person with an authority device decides. Each decision is an order to
//! its node, which signs it, keeps it and brings it to all who are met.

pub(crate) mod paper;

use std::path::Path;

use huza_crdt::id::{CertId, LogId, RecordId};
use huza_crdt::node::{Command, Order, QuarantinedLog, Reply, Status};
use huza_crdt::record::Form;
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_crdt::trust::recovery::RecoveryRequest;
use serde_json::json;

use crate::args::{
    ApproveArgs, AuthorityCommand, EraseArgs, GrantArgs, IssueArgs, JudgeArgs, PublishArgs,
    RecoverArgs, RevokeArgs, RotateArgs,
};
use crate::commands::{Context, devices};
use crate::error::{Failure, Kind};
use crate::files::{self, Content, Pending};
use crate::{output, secrets, shell};

/// Decides.
pub(crate) async fn run(context: &Context, command: AuthorityCommand) -> Result<(), Failure> {
    match command {
        AuthorityCommand::Create(args) => paper::create(context, &args).await,
        AuthorityCommand::Paper(command) => paper::run(context, command),
        AuthorityCommand::Issue(args) => issue(context, &args).await,
        AuthorityCommand::Revoke(args) => revoke(context, &args).await,
        AuthorityCommand::Rotate(args) => rotate(context, &args).await,
        AuthorityCommand::Quarantine => quarantine(context).await,
        AuthorityCommand::Admit(args) => judge(context, &args, true).await,
        AuthorityCommand::Reject(args) => judge(context, &args, false).await,
        AuthorityCommand::Erase(args) => erase(context, &args).await,
        AuthorityCommand::Grant(args) => grant(context, &args).await,
        AuthorityCommand::Recover(args) => recover(context, &args).await,
        AuthorityCommand::Publish(args) => publish(context, &args).await,
        AuthorityCommand::Time => {
            let reply = order(context, Order::Time).await?;
            issued(context, &reply, "")
        }
    }
}

async fn order(context: &Context, order: Order) -> Result<Reply, Failure> {
    context.ask(Command::Order(Box::new(order))).await
}

async fn publish(context: &Context, args: &PublishArgs) -> Result<(), Failure> {
    let text = form_text(args)?;
    let reply = order(context, Order::Publish { text }).await?;
    let next =
        "Every device of the health centre fills and reads it once it has met one that has it.";
    issued(context, &reply, next)
}

/// The text of a form that holds together.
fn form_text(args: &PublishArgs) -> Result<String, Failure> {
    let text = files::text(&args.form)?;
    let form = Form::read(&text).map_err(|error| {
        let message = sentence(&error.to_string());
        Failure::new(Kind::Input, "bad_form", message.trim_end_matches('.'))
            .hint("Correct the file and publish it again; nothing was published")
    })?;
    drop(form);
    Ok(text)
}

/// Says what was done, and what must happen now.
fn issued(context: &Context, reply: &Reply, next: &str) -> Result<(), Failure> {
    let Reply::Issued { statements, done } = reply else {
        return Err(Failure::answer("the order"));
    };
    let mut text: Vec<String> = done.iter().map(|line| sentence(line)).collect();
    if !next.is_empty() {
        text.push(next.to_owned());
    }
    context.output.answer(&json!({ "statements": statements, "done": done }), &text.join("\n"))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl ApproveArgs {
    fn approval(&self) -> Approval {
        Approval {
            role: Role::from(self.role),
            villages: self.village.clone(),
            workers: self.workers.clone(),
            hubs: self.hub.clone(),
            any_date: self.any_date,
            again: self.again,
        }
    }

    /// Wrong addresses are told before anything is signed.
    fn check(&self) -> Result<(), Failure> {
        self.hub.iter().try_for_each(|address| {
            huza_daemon::net::check_address(address).map_err(|error| {
                Failure::new(Kind::Input, "address", error.to_string())
                    .hint("Write it as 192.168.1.5:4001")
            })
        })
    }
}

async fn issue(context: &Context, args: &IssueArgs) -> Result<(), Failure> {
    args.approve.check()?;
    let request: JoinRequest = files::read(Content::Request, &args.approve.request)?;
    // The welcome's place first: a request is answered once, so the answer must not get lost.
    let file = args.out.as_ref().map(|path| Pending::begin(path, false, false)).transpose()?;
    let approval = args.approve.approval();
    let approve = Order::Approve { request: request.clone(), approval: approval.clone() };
    let Reply::Approved { certificate, welcome } = order(context, approve).await? else {
        return Err(Failure::answer("issue"));
    };
    let line = files::line(Content::Welcome, &welcome);
    let path = args.out.as_deref();
    answer(context, (&request, &approval, certificate), (file, path), &line)
}

/// Gives out a welcome: to its file, or on stdout.
fn answer(
    context: &Context,
    (request, approval, certificate): (&JoinRequest, &Approval, CertId),
    (file, path): (Option<Pending>, Option<&Path>),
    line: &str,
) -> Result<(), Failure> {
    let (label, role) = (&request.label, approval.role.name());
    let mut text = String::new();
    if let (Some(mut file), Some(path)) = (file, path) {
        file.append(line.as_bytes())?;
        file.publish()?;
        let path = path.display();
        let wher = match approval.villages.as_slice() {
            [] if approval.role == Role::Relay => String::new(),
            [] => " of the whole catchment".to_owned(),
            villages => format!(" in {}", villages.join(", ")),
        };
        text.push_str(&format!(
            "Approved {label} as {role}{wher}. Its certificate is {}; only that device can use the \
             answer.\nNext, 3 of 3: bring {path} to it (send it as a message), and there: huza join \
             {path}",
            certificate.short(),
        ));
    } else {
        text.push_str(line);
    }
    let value = json!({
        "device": request.device.to_string(),
        "certificate": certificate.to_string(),
        "label": label,
        "role": role,
        "villages": approval.villages,
        "workers": approval.workers,
        "hubs": approval.hubs,
        "welcome": line.trim_end(),
    });
    context.output.answer(&value, &text)
}

async fn revoke(context: &Context, args: &RevokeArgs) -> Result<(), Failure> {
    let reply = context
        .with_reader(async |device| {
            let certificate = devices::find(device, &args.device).await?.certificate;
            let revoke = Order::Revoke {
                certificate,
                reason: args.reason.into(),
                trust: !args.trust_nothing,
                rotate: !args.keep_keys,
            };
            device.call(Command::Order(Box::new(revoke))).await
        })
        .await?;
    let keys = if args.keep_keys {
        "The keys that it held were not made anew: with them it still opens what is written now, if \
         it gets hold of it. `huza authority rotate` makes them anew."
    } else {
        "It cannot read what is written from now on, once the writer has heard of it."
    };
    let next = format!(
        "{keys}\nNext: let this device meet the hub and others (`huza run`); they shut it out as \
         soon as they hear. A device that takes its place is enrolled like any other, and gets the \
         history."
    );
    issued(context, &reply, &next)
}

async fn rotate(context: &Context, args: &RotateArgs) -> Result<(), Failure> {
    let reply = order(context, Order::Rotate { village: args.village.clone() }).await?;
    issued(context, &reply, "It is on its way to all who may read; let this device meet the hub.")
}

async fn grant(context: &Context, args: &GrantArgs) -> Result<(), Failure> {
    let reply = context
        .with_reader(async |device| {
            let certificate = devices::find(device, &args.device).await?.certificate;
            let grant = Order::Grant { certificate, villages: args.village.clone() };
            device.call(Command::Order(Box::new(grant))).await
        })
        .await?;
    issued(context, &reply, "It reads them as soon as this has come to it.")
}

async fn quarantine(context: &Context) -> Result<(), Failure> {
    let status = context.with_device(async |device| device.status(false).await).await?;
    let text = if status.quarantined.is_empty() {
        "Nothing is held back here.".to_owned()
    } else {
        let table = output::table(&["log", "device", "envelopes", ""], &rows(&status));
        format!(
            "{table}\n\nThese came from devices that were shut out, beyond what was trusted then. \
             Nobody reads them.\nLook who really wrote them; then `huza authority admit LOG` or \
             `huza authority reject LOG`."
        )
    };
    context.output.answer(
        &json!({ "quarantined": huza_daemon::shape::quarantined(&status.quarantined) }),
        &text,
    )
}

fn rows(status: &Status) -> Vec<Vec<String>> {
    let logs = status.quarantined.iter();
    let runs = logs.flat_map(|log| log.runs.iter().map(move |run| (log, run)));
    runs.map(|(log, (from, to, rejected))| {
        vec![
            log.log.short(),
            log.certificate.short(),
            format!("{from} to {to}"),
            if *rejected { "rejected" } else { "not judged yet" }.to_owned(),
        ]
    })
    .collect()
}

async fn judge(context: &Context, args: &JudgeArgs, admit: bool) -> Result<(), Failure> {
    let reply = context
        .with_reader(async |device| {
            let status = device.status(false).await?;
            let held = find_log(&status, &args.log)?;
            let log: LogId = held.log;
            let first = held.runs.iter().map(|(from, _, _)| *from).min();
            let from = args.from.or(first).unwrap_or_default();
            let judge = Order::Judge { log, from, to: args.to, admit };
            device.call(Command::Order(Box::new(judge))).await
        })
        .await?;
    issued(context, &reply, "Every device follows when this has come to it.")
}

/// Where a log to be judged is found.
const QUARANTINE: &str = "`huza authority quarantine` lists what is held back";

fn find_log<'a>(status: &'a Status, prefix: &str) -> Result<&'a QuarantinedLog, Failure> {
    let prefix = prefix.to_ascii_lowercase();
    let begins = |one: &&QuarantinedLog| one.log.to_string().starts_with(&prefix);
    let found: Vec<&QuarantinedLog> = status.quarantined.iter().filter(begins).collect();
    let ids = found.iter().map(|one| one.log).collect();
    let log = shell::one_of("log", &prefix, ids, QUARANTINE)?;
    found.into_iter().find(|one| one.log == log).ok_or_else(|| Failure::answer("the quarantine"))
}

async fn erase(context: &Context, args: &EraseArgs) -> Result<(), Failure> {
    let whole = RecordId::beginning(&args.record.0).is_some_and(|ids| ids.start() == ids.end());
    if args.yes && !whole {
        let message = "A beginning of an id is not enough where nobody is asked";
        return Err(Failure::new(Kind::Usage, "not_whole", message)
            .hint("Give the whole id with --yes; nothing was changed"));
    }
    // While a person thinks, nothing is open.
    let record = context.with_reader(async |device| device.record(&args.record).await).await?;
    confirm_erasure(record, args.yes)?;
    let reply = order(context, Order::Erase { record }).await?;
    let next = "The audit trail of each device says when it has destroyed it. What a facility, an \
                export or a backup holds is not reached. If this device is shut out before then, and \
                this order is not among what stays, nothing is destroyed.";
    issued(context, &reply, next)
}

fn confirm_erasure(record: RecordId, yes: bool) -> Result<(), Failure> {
    let question = format!(
        "This removes record {record} from every device of the programme that hears of it: the \
         person's fields, visits and documents. It is hidden at once, and destroyed once the device \
         has held the order for its delay. Nobody can bring it back then."
    );
    if yes || secrets::confirm(&question) {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, "not_confirmed", question)
        .hint("Say --yes if that is what is wanted; nothing was changed"))
}

async fn recover(context: &Context, args: &RecoverArgs) -> Result<(), Failure> {
    let request: RecoveryRequest = files::read(Content::RecoveryRequest, &args.request)?;
    let reply = order(context, Order::Recover { request: request.clone() }).await?;
    let Reply::Recovered { answer } = reply else {
        return Err(Failure::answer("recover"));
    };
    let line = files::line(Content::RecoveryAnswer, &answer);
    let mut text = line.clone();
    if let Some(path) = &args.out {
        files::write(Content::RecoveryAnswer, path, &answer)?;
        text = format!(
            "Device {} asked on {}. If you have seen its worker, bring {} back; there: huza \
             recovery apply {}",
            request.device.short(),
            request.at,
            path.display(),
            path.display(),
        );
    }
    let device = request.device.to_string();
    context.output.answer(&json!({ "device": device, "answer": line.trim_end() }), &text)
}
