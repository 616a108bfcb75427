//! `huza audit`: who looked at what on this device, and whether that trail is whole.

use huza_crdt::audit::AuditEntry;
use huza_crdt::node::{Command, Reply};
use serde_json::{Value, json};

use crate::args::AuditArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::files::Pending;
use crate::output;
use crate::shell::Device;

/// Shows it, or writes it to a file.
pub(crate) async fn run(context: &Context, args: &AuditArgs) -> Result<(), Failure> {
    let file = args.out.as_ref().map(|path| Pending::begin(path, true, false)).transpose()?;
    let (entries, whole, device) = context
        .with_reader(async |device| {
            let key = device.status(false).await?.device;
            let (entries, whole) = trail(device).await?;
            Ok((entries, whole, key.map(|key| key.to_string()).unwrap_or_default()))
        })
        .await?;
    let lines = || -> String {
        let line = |entry: &AuditEntry| {
            if args.fhir { entry.to_fhir(&device) } else { of_entry(entry).to_string() }
        };
        entries.iter().map(|entry| line(entry) + "\n").collect()
    };
    let told = if whole {
        format!("{}; the trail is whole.", counted(entries.len()))
    } else {
        "THE TRAIL IS NOT WHOLE: entries were changed or taken away.".to_owned()
    };
    if let (Some(mut file), Some(path)) = (file, &args.out) {
        file.append(lines().as_bytes())?;
        file.publish()?;
        let text = format!("Wrote {}: {told}", path.display());
        let value = json!({ "entries": entries.len(), "whole": whole, "out": path });
        context.output.answer(&value, &text)?;
    } else if args.fhir {
        context.output.raw(lines().as_bytes())?;
        context.output.note(&told);
    } else {
        let all: Vec<Value> = entries.iter().map(of_entry).collect();
        let text = format!("{}\n\n{told}", table(&entries));
        context.output.answer(&json!({ "whole": whole, "entries": all }), &text)?;
    }
    if whole {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Incomplete,
        "audit_broken",
        "The audit trail is not the one that was written",
    )
    .hint("Keep this device as it is, and tell the programme"))
}

async fn trail(device: &mut Device) -> Result<(Vec<AuditEntry>, bool), Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let reply = device.call(Command::Audit { after }).await?;
        let Reply::Audited { entries, whole, next } = reply else {
            return Err(Failure::answer("audit"));
        };
        all.extend(entries);
        match next {
            Some(next) if whole => after = Some(next),
            _ => return Ok((all, whole)),
        }
    }
}

fn table(entries: &[AuditEntry]) -> String {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|one| {
            vec![
                one.number.to_string(),
                one.at.to_string(),
                one.worker.clone(),
                one.action.name().to_owned(),
                one.subject.clone(),
            ]
        })
        .collect();
    output::table(&["", "when", "who", "did", "to what"], &rows)
}

fn counted(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

fn of_entry(one: &AuditEntry) -> Value {
    json!({
        "number": one.number,
        "at": one.at.to_string(),
        "worker": one.worker,
        "action": one.action.name(),
        "subject": one.subject,
        "previous": one.previous.to_string(),
    })
}
