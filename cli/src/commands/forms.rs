//! `huza forms`: what can be asked at a visit, in three languages.

use huza_crdt::node::{Command, Reply};
use huza_crdt::record::{Field, FieldType, Form, Forms, Language, Range};
use huza_daemon::forms::KnownForms;
use huza_daemon::shape::{self, conditions, type_name};
use serde_json::{Value, json};

use crate::args::{FormsArgs, FormsCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;

/// The forms as the device knows them; without a device those that are compiled in.
async fn ask(context: &Context) -> Result<KnownForms, Failure> {
    let asked = context.with_device(async |device| device.call(Command::Forms).await).await;
    match asked {
        Ok(Reply::Forms { forms }) => Ok(KnownForms::of(forms)),
        Ok(_) => Err(Failure::answer("forms")),
        Err(failure) if failure.kind == Kind::Home => Ok(KnownForms::of(Vec::new())),
        Err(failure) => Err(failure),
    }
}

fn find<'a>(known: &'a KnownForms, id: &str) -> Result<&'a Form, Failure> {
    known.find(id).ok_or_else(|| {
        let known: Vec<_> = known.forms.filled().map(|form| form.id.as_str()).collect();
        Failure::new(Kind::Input, "unknown_form", format!("There is no form {id}"))
            .hint(format!("The forms are {}", known.join(", ")))
    })
}

/// Lists, or shows one.
pub(crate) async fn run(context: &Context, args: &FormsArgs) -> Result<(), Failure> {
    let known = ask(context).await?;
    match &args.command {
        None => list(context, &known, args.lang.lang.into()),
        Some(FormsCommand::Show(show)) => {
            let form = find(&known, &show.form)?;
            let (source, toml) = known.source(form);
            if show.toml {
                return context.output.answer(&json!({ "toml": toml }), toml.trim_end());
            }
            one(context, form, &source, show.lang.lang.into())
        }
        Some(FormsCommand::Review) => review(context, &known.forms),
    }
}

/// What a native speaker has still to confirm.
fn review(context: &Context, forms: &Forms) -> Result<(), Failure> {
    let labels = forms.labels_to_review();
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
        forms.filled().count(),
    );
    context.output.answer(&json!({ "to_review": value }), &text)
}

fn list(context: &Context, known: &KnownForms, language: Language) -> Result<(), Failure> {
    let row = |form: &Form| {
        let title = form.title.text(language).to_owned();
        vec![form.id.clone(), form.version.to_string(), known.source(form).0, title]
    };
    let rows: Vec<Vec<String>> = known.forms.filled().map(row).collect();
    let mut text = output::table(&["form", "version", "from", "title"], &rows);
    if known.unreadable > 0 {
        text.push_str(&format!(
            "\n\n{} published forms need a later version of huza.",
            known.unreadable
        ));
    }
    let void = known.void();
    if !void.is_empty() {
        text.push_str(&format!(
            "\n\nWho published these is shut out, so they count no more: {}.\nWhat is right in them can \
             be published again: huza forms show NAME --toml",
            void.join(", ")
        ));
    }
    context.output.answer(&shape::forms(known, language), &text)
}

fn one(context: &Context, form: &Form, source: &str, language: Language) -> Result<(), Failure> {
    context.output.answer(&shape::form(form, source, language), &text(form, language))
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
