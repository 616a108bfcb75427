//! `huza status` and `huza peers`.

use huza_crdt::control::ReceiptKind;
use huza_crdt::limits::ROOM_UNIT_BYTES;
use huza_crdt::node::{Command, ReaderState, RecordStatus, Reply, SessionStatus, Status};
use huza_daemon::shape;
use serde_json::{Value, json};

use crate::args::StatusArgs;
use crate::commands::Context;
use crate::commands::run::telling;
use crate::error::Failure;
use crate::output;
use crate::shell::Device;

/// What the user of a device must know whose authority was shut out.
const VOID: &str = "THIS DEVICE COUNTS NO MORE: the authority that approved it was shut out. Others \
                    exchange nothing with it. What is on it is kept. Have it approved anew: \
                    `huza request`.";

/// How the device stands.
pub(crate) async fn status(context: &Context, args: &StatusArgs) -> Result<(), Failure> {
    // Machines get the records always: that is what they ask for.
    let records = args.records || context.output.json;
    let status = if args.records {
        context.with_reader(async |device| device.status(true).await).await?
    } else {
        context.with_reader_if_offered(async |device| device.status(records).await).await?
    };
    let mut text = summary(&status);
    if args.records {
        text.push_str("\n\n");
        text.push_str(&record_table(&status.records));
    }
    context.output.answer(&shape::status(&status), &text)
}

fn summary(status: &Status) -> String {
    let key = status.device.map_or_else(|| "none".to_owned(), |key| key.short());
    let Some(role) = status.role else {
        return format!(
            "{} (key {key}) is no member of a programme yet. \
             Give its request to the authority, then `huza join` the answer.\n{}",
            status.label,
            reader(&status.reader),
        );
    };
    let void = status.void.then(|| VOID.to_owned());
    let mut loud = status.revoked.map(telling::shut_out).or(void).unwrap_or_default();
    if !loud.is_empty() {
        loud.push_str("\n\n");
    }
    let areas: Vec<&str> = status.areas.iter().map(|(name, _)| name.as_str()).collect();
    let reads = if areas.is_empty() { "nothing".to_owned() } else { areas.join(", ") };
    let reads = match &status.reader {
        ReaderState::Locked => "its villages, when it is open".to_owned(),
        _ => reads,
    };
    let mut text = format!(
        "{loud}{} (key {key}) is a {} of {}.\n{}\nReads: {reads}.\nHolds {} in {}, {}, {}.",
        status.label,
        role.name(),
        status.programme_name,
        reader(&status.reader),
        output::count(usize::try_from(status.envelopes).unwrap_or(usize::MAX), "envelope"),
        output::count(status.logs, "log"),
        output::count(status.statements, "statement"),
        output::count(status.records_count, "record"),
    );
    if status.pending > 0 {
        let changes = output::count(status.pending, "change");
        text.push_str(&format!("\n{changes} written here wait for the next contact."));
    }
    if status.unfiled > 0 {
        let envelopes = output::count(status.unfiled, "envelope");
        text.push_str(&format!("\n{envelopes} are here and still to be opened."));
    }
    if status.waiting > 0 {
        let envelopes = output::count(status.waiting, "envelope");
        text.push_str(&format!("\nCarries {envelopes} of others that it cannot read."));
    }
    if status.borrowed_bytes > 0 || status.released > 0 || is_full(status) {
        text.push_str(&format!(
            "\nCarries {} of {} for other health centres; let go of {} that arrived there.",
            output::bytes(status.borrowed_bytes),
            output::bytes(status.carry_bytes),
            output::count_wide(status.released, "envelope"),
        ));
    }
    if is_full(status) {
        text.push_str(&format!("\n{}", output::sentence(FULL)));
    }
    if !status.quarantined.is_empty() {
        let logs = output::count(status.quarantined.len(), "shut-out log");
        text.push_str(&format!("\nHolds back envelopes of {logs}: `huza authority quarantine`."));
    }
    if let Some(expires) = status.expires {
        let time = status.programme_time.map(|time| format!("; programme time is {time}"));
        text.push_str(&format!("\nIts certificate ends on {expires}{}.", time.unwrap_or_default()));
    }
    text
}

/// What it means that there is no room.
pub(super) const FULL: &str =
    "no room is left for more of them: what others offer is left out, but for what is urgent";

/// What to do about it.
pub(super) const FULL_ADVICE: &str =
    "meet hubs of these health centres, whose receipts let it go, or raise `carry_mb` in huza.toml";

/// Whether so little room is left for other health centres' envelopes that peers offer none.
pub(super) const fn is_full(status: &Status) -> bool {
    status.carry_bytes.saturating_sub(status.borrowed_bytes) < ROOM_UNIT_BYTES
}

fn reader(state: &ReaderState) -> String {
    match state {
        ReaderState::Absent => "It only carries: there is nothing to open.".to_owned(),
        ReaderState::Locked => "Locked: `huza unlock` opens it.".to_owned(),
        ReaderState::Open { worker } => format!("Open: {worker} works with it."),
    }
}

/// Where each record has arrived.
pub(crate) fn record_table(records: &[RecordStatus]) -> String {
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let accepted = match refusal(record) {
                Some(code) => format!("REFUSED ({code})"),
                None => mark(record.accepted).to_owned(),
            };
            vec![
                record.record.to_string(),
                record.changes.to_string(),
                record.taken.to_string(),
                mark(record.stored).to_owned(),
                accepted,
                record.name.clone(),
            ]
        })
        .collect();
    output::table(&["record", "changes", "taken by", "stored", "accepted", "name"], &rows)
}

/// The code with which the facility refused something of a record.
fn refusal(record: &RecordStatus) -> Option<u16> {
    let refusals = record.receipts.iter().filter(|one| one.kind == ReceiptKind::Refused);
    record.refused.then(|| refusals.map(|one| one.reason).max().unwrap_or_default())
}

const fn mark(yes: bool) -> &'static str {
    if yes { "yes" } else { "-" }
}

/// Who is being met now.
pub(crate) async fn peers(context: &Context) -> Result<(), Failure> {
    let ask = async |device: &mut Device| device.call(Command::Peers).await;
    let Reply::Peers { sessions } = context.with_device(ask).await? else {
        return Err(Failure::answer("peers"));
    };
    let text = if sessions.is_empty() {
        "Nobody is near. `huza run` looks for devices on the local network.".to_owned()
    } else {
        let rows: Vec<Vec<String>> = sessions.iter().map(session_row).collect();
        output::table(
            &["device", "role", "received", "sent", "bytes in", "bytes out", "equal"],
            &rows,
        )
    };
    let value: Vec<Value> = sessions.iter().map(of_session).collect();
    context.output.answer(&json!({ "peers": value }), &text)
}

fn session_row(session: &SessionStatus) -> Vec<String> {
    let (device, role) = match &session.peer {
        Some(peer) => (peer.device.short(), peer.role.name()),
        None => ("not proven yet".to_owned(), ""),
    };
    let of = |(total, done): (u64, u64)| format!("{done} of {total}");
    vec![
        device,
        role.to_owned(),
        of(session.receiving),
        of(session.sending),
        output::bytes(session.stats.bytes_received),
        output::bytes(session.stats.bytes_sent),
        mark(session.complete).to_owned(),
    ]
}

fn of_session(session: &SessionStatus) -> Value {
    let peer = session.peer.map(|peer| {
        json!({
            "device": peer.device.to_string(),
            "certificate": peer.certificate.to_string(),
            "role": peer.role.name(),
        })
    });
    json!({
        "pipe": session.pipe.0,
        "peer": peer,
        "complete": session.complete,
        "stats": session.stats,
        "receiving": { "total": session.receiving.0, "done": session.receiving.1 },
        "sending": { "total": session.sending.0, "done": session.sending.1 },
    })
}
