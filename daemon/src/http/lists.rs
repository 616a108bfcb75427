//! What is asked of the device as a whole: forms, reminders, disagreements, how it stands.

use huza_crdt::{
    node::{Command, FoundRecord, ReaderState, Reply, Status},
    record::Language,
    time::Stamp,
};
use serde_json::{Value, json};

use super::{
    OPENAPI,
    call::{Answer, Call, JSON},
    problem::Problem,
    server::Shared,
};
use crate::{forms::KnownForms, shape, time};

/// Days ahead that are looked at for what is due, at most. // ten years
const DAYS_MAX: usize = 3_650;

impl Shared {
    /// Refuses what a status of a locked device would tell as if nothing were there.
    pub(super) fn open(&self, status: &Status) -> Result<(), Problem> {
        match status.reader {
            ReaderState::Open { .. } => Ok(()),
            ReaderState::Locked => {
                let hint = "unlock it with `huza unlock`, and ask again";
                Err(Problem::new("locked", "this device is locked", hint))
            }
            ReaderState::Absent => {
                let hint = "ask a device that reads this area";
                Err(Problem::new("no_reader", "this device only carries", hint))
            }
        }
    }
}

pub(super) async fn openapi(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    Ok(Answer::json(200, JSON, OPENAPI.as_bytes().to_vec()))
}

pub(super) async fn status(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let Reply::Status(status) = call.ask(Command::Status { records: false }).await? else {
        return Err(Problem::odd());
    };
    call.shared.open(&status)?;
    Ok(Answer::ok(&shape::status(&status)))
}

pub(super) async fn conflicts(call: Call) -> Result<Answer, Problem> {
    call.only(&[])?;
    let command = Command::Find { query: String::new(), limit: usize::MAX };
    let Reply::Found { records } = call.ask(command).await? else { return Err(Problem::odd()) };
    let differ = |one: &&FoundRecord| one.conflict;
    let records: Vec<Value> = records.iter().filter(differ).map(shape::found).collect();
    Ok(Answer::ok(&json!({ "records": records })))
}

pub(super) async fn reminders(call: Call) -> Result<Answer, Problem> {
    call.only(&["days", "all", "by", "lang"])?;
    let days = call.number("days", 7, DAYS_MAX)?;
    let (all, language) = (call.yes("all")?, language(&call)?);
    let Reply::Reminders { mut due } = call.ask(Command::Reminders).await? else {
        return Err(Problem::odd());
    };
    let seconds = i64::try_from(days).unwrap_or_default() * 86_400;
    let until = Stamp(time::now().0.saturating_add(seconds));
    due.retain(|one| shape::is_listed(one, until, all, call.text("by")));
    let value: Vec<Value> = due.iter().map(|one| shape::due(one, language)).collect();
    Ok(Answer::ok(&json!({ "reminders": value })))
}

pub(super) async fn forms(call: Call) -> Result<Answer, Problem> {
    call.only(&["lang"])?;
    let language = language(&call)?;
    Ok(Answer::ok(&shape::forms(&known_forms(&call).await?, language)))
}

pub(super) async fn form(call: Call) -> Result<Answer, Problem> {
    call.only(&["lang"])?;
    let id: String = call.path(0, "form")?;
    let language = language(&call)?;
    let known = known_forms(&call).await?;
    let form = known.find(&id).ok_or_else(|| {
        Problem::new("unknown_form", "there is no such form", "`/v1/forms` lists them")
    })?;
    Ok(Answer::ok(&shape::form(form, &known.source(form).0, language)))
}

async fn known_forms(call: &Call) -> Result<KnownForms, Problem> {
    match call.ask(Command::Forms).await? {
        Reply::Forms { forms } => Ok(KnownForms::of(forms)),
        _ => Err(Problem::odd()),
    }
}

fn language(call: &Call) -> Result<Language, Problem> {
    match call.text("lang") {
        None | Some("en") => Ok(Language::En),
        Some("fr") => Ok(Language::Fr),
        Some("rw") => Ok(Language::Rw),
        Some(_) => Err(Problem::parameter("lang", "en, fr or rw")),
    }
}
