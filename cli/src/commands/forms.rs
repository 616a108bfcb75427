//! `huza forms`: what can be asked at a visit, in three languages.

use huza_crdt::record::{self, Field, FieldType, Form, Language, Range};
use huza_daemon::shape::{self, conditions, type_name};
use serde_json::{Value, json};

use crate::args::{FormsArgs, FormsCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;

/// Lists, or shows one.
pub(crate) fn run(context: &Context, args: &FormsArgs) -> Result<(), Failure> {
    match &args.command {
        None => list(context, args.lang.lang.into()),
        Some(FormsCommand::Show(show)) => one(context, latest(&show.form)?, show.lang.lang.into()),
        Some(FormsCommand::Review) => review(context),
    }
}

/// What a native speaker has still to confirm.
fn review(context: &Context) -> Result<(), Failure> {
    let labels = record::labels_to_review();
    let rows: Vec<Vec<String>> = labels
        .iter()
        .map(|(place, label)| vec![place.clone(), label.rw.clone(), label.en.clone()])
        .collect();
    let value: Vec<Value> = labels
        .iter()
        .map(|(place, label)| json!({ "place": place, "rw": label.rw, "fr": label.fr, "en": label.en }))
        .collect();
    let text = format!(
        "{}\n\n{} texts of {} forms wait for a native speaker.",
        output::table(&["place", "Kinyarwanda", "English"], &rows),
        rows.len(),
        record::forms().len(),
    );
    context.output.answer(&json!({ "to_review": value }), &text)
}

/// The highest version of a form.
pub(crate) fn latest(id: &str) -> Result<&'static Form, Failure> {
    let of_id = record::forms().iter().filter(|form| form.id == id);
    of_id.max_by_key(|form| form.version).ok_or_else(|| {
        let known: Vec<_> = record::forms().iter().map(|form| form.id.as_str()).collect();
        Failure::new(Kind::Input, "unknown_form", format!("There is no form {id}"))
            .hint(format!("The forms are {}", known.join(", ")))
    })
}

fn list(context: &Context, language: Language) -> Result<(), Failure> {
    let forms = record::forms();
    let rows: Vec<Vec<String>> = forms
        .iter()
        .map(|form| {
            vec![form.id.clone(), form.version.to_string(), form.title.text(language).to_owned()]
        })
        .collect();
    let text = output::table(&["form", "version", "title"], &rows);
    context.output.answer(&shape::forms(forms, language), &text)
}

fn one(context: &Context, form: &Form, language: Language) -> Result<(), Failure> {
    context.output.answer(&shape::form(form, language), &text(form, language))
}

fn text(form: &Form, language: Language) -> String {
    let rows: Vec<Vec<String>> = form.fields.iter().map(|field| row(field, language)).collect();
    let dangers: Vec<Vec<String>> = form
        .dangers
        .iter()
        .map(|rule| {
            let label = rule.label.text(language).to_owned();
            vec![rule.sign.clone(), conditions(&rule.when), label]
        })
        .collect();
    let mut text = format!(
        "{} version {}: {}\n\n{}\n\n* must be answered",
        form.id,
        form.version,
        form.title.text(language),
        output::table(&["field", "answer", "allowed", "usual", "question"], &rows),
    );
    let mut part = |title: &str, head: &[&str], rows: &[Vec<String>]| {
        if !rows.is_empty() {
            text.push_str(&format!("\n\n{title}\n{}", output::table(head, rows)));
        }
    };
    let signs = "Danger signs; any of them makes the visit urgent:";
    part(signs, &["sign", "when", "meaning"], &dangers);
    let advice = form.advice.iter().map(|one| {
        vec![
            conditions(&one.when),
            one.label.text(language).to_owned(),
            source(&one.source, one.verified),
        ]
    });
    part("Advice:", &["when", "advice", "source"], &advice.collect::<Vec<_>>());
    let due = form.follow_ups.iter().map(|one| {
        let from = one.from.as_deref().unwrap_or("the visit");
        vec![
            one.label.text(language).to_owned(),
            format!("{} to {} after {from}", span(one.due_hours), span(one.late_hours)),
            conditions(&one.when),
            source(&one.source, one.verified),
        ]
    });
    part("Due afterwards:", &["what", "when", "if", "source"], &due.collect::<Vec<_>>());
    text
}

fn source(source: &str, confirmed: bool) -> String {
    if confirmed { source.to_owned() } else { format!("to be confirmed: {source}") }
}

/// Hours as people say them.
fn span(hours: u32) -> String {
    match (hours / 24, hours % 24) {
        (1, 0) => "1 day".to_owned(),
        (days, 0) => format!("{days} days"),
        _ => format!("{hours} hours"),
    }
}

fn row(field: &Field, language: Language) -> Vec<String> {
    let answer = match field.kind {
        FieldType::Choice => {
            field.choices.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join("|")
        }
        kind => type_name(kind).to_owned(),
    };
    let answer = match &field.unit {
        Some(unit) => format!("{answer}, {unit}"),
        None => answer,
    };
    let required = if field.required { "*" } else { "" };
    vec![
        format!("{}{required}", field.id),
        answer,
        range(field.hard.as_ref()),
        range(field.soft.as_ref()),
        field.label.text(language).to_owned(),
    ]
}

fn range(range: Option<&Range>) -> String {
    range.map_or_else(String::new, |range| format!("{} to {}", range.min, range.max))
}
