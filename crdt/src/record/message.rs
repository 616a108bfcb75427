//! What is laid before the workers of an area: visits of forms that say so, such as messages of a
//! health centre and results of referrals.

use serde::{Deserialize, Serialize};

use super::form::{Field, FieldType, Form, Label};
use super::forms::Forms;
use super::view::{RecordView, Shown, VisitView};
use crate::id::Origin;
use crate::time::Stamp;

/// The field whose answer names the one worker whom a message is for.
const TO: &str = "to";

/// One message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The visit that holds it.
    pub visit: String,
    /// Its form's title.
    pub title: Label,
    /// When it was written, as its author says.
    pub at: Stamp,
    /// Who wrote it.
    pub from: String,
    /// The one worker whom it is for; none: all of the area.
    pub to: Option<String>,
    /// What it says: each answered question, with the answer as people read it.
    pub says: Vec<(Label, String)>,
    /// The change that began it.
    pub origin: Origin,
}

crate::debug_shows!(struct Message { at, origin });

/// The messages of a record, as these forms read them; those entered in error are left out.
#[must_use]
pub fn messages(view: &RecordView, forms: &Forms) -> Vec<Message> {
    let all = view.visits.iter().filter_map(|(id, visit)| message(id, visit, forms));
    let mut all: Vec<Message> = all.collect();
    all.sort_by(|a, b| (a.at, &a.visit).cmp(&(b.at, &b.visit)));
    all
}

/// Whether a record has one.
#[must_use]
pub fn has_message(view: &RecordView, forms: &Forms) -> bool {
    view.visits.values().any(|visit| form_of(visit, forms).is_some())
}

fn form_of<'a>(visit: &VisitView, forms: &'a Forms) -> Option<&'a Form> {
    let name = visit.form().filter(|_| !visit.is_void())?;
    forms.get(&name).filter(|form| form.inbox)
}

fn message(id: &str, visit: &VisitView, forms: &Forms) -> Option<Message> {
    let form = form_of(visit, forms)?;
    let answered = |field: &'_ Field| {
        let shown = visit.answers.get(&field.id)?;
        // Where workers disagree, all that was said.
        let said: Vec<String> = shown.all().map(|value| as_read(field, &value.value)).collect();
        Some((field.label.clone(), said.join(" / ")))
    };
    let fields = form.fields.iter().filter(|field| field.id != TO);
    Some(Message {
        visit: id.to_owned(),
        title: form.title.clone(),
        at: visit.occurred()?,
        from: visit.field("worker").unwrap_or_default().to_owned(),
        to: visit.answers.get(TO).map(|to| to.text().to_owned()),
        says: fields.filter_map(answered).collect(),
        origin: visit.fields.get("form").map(|form: &Shown| form.shown.origin)?,
    })
}

/// An answer as people read it: a choice by its label.
fn as_read(field: &Field, answer: &str) -> String {
    let choice = field.choices.iter().find(|choice| choice.id == answer);
    match (field.kind, choice) {
        (FieldType::Choice, Some(choice)) => {
            format!("{} ({})", choice.label.rw, choice.label.en)
        }
        _ => answer.to_owned(),
    }
}
