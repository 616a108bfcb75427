//! `huza forms`: what can be asked at a visit, in three languages.

use std::sync::Arc;

use huza_crdt::node::{Command, PublishedForm, Reply};
use huza_crdt::record::{
    self, Comparison, Condition, DangerRule, Field, FieldType, Form, Forms, Language, Range,
};
use serde_json::{Value, json};

use crate::args::{FormsArgs, FormsCommand};
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output;

/// The forms that this device fills, and those that were published.
struct Known {
    forms: Forms,
    /// Also those that count no more.
    published: Vec<(Form, PublishedForm)>,
    /// Published forms that only a later version of this program can read.
    unreadable: usize,
}

impl Known {
    /// As the device knows them; without a device those that are compiled in.
    async fn ask(context: &Context) -> Result<Self, Failure> {
        let asked = context.with_device(async |device| device.call(Command::Forms).await).await;
        let all = match asked {
            Ok(Reply::Forms { forms }) => forms,
            Ok(_) => return Err(Failure::answer("forms")),
            Err(failure) if failure.kind == Kind::Home => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let count = all.len();
        let read = |one: PublishedForm| Some((Form::read(&one.text).ok()?, one));
        let mut published: Vec<(Form, PublishedForm)> = all.into_iter().filter_map(read).collect();
        // The programme's behind those of a health centre, as the device has them.
        published.sort_by_key(|(_, one)| one.centre.is_none());
        let counted = published.iter().filter(|(_, one)| one.counts);
        let others = counted.map(|(form, _)| Arc::new(form.clone()));
        let forms = Forms::built_in().with(others);
        let unreadable = count - published.len();
        Ok(Self { forms, published, unreadable })
    }

    /// The form of this id that is filled, or the published one of this whole name.
    fn find(&self, id: &str) -> Result<&Form, Failure> {
        let named = self.published.iter().find(|(form, _)| form.name().to_string() == id);
        named.map(|(form, _)| form).or_else(|| self.forms.latest(id)).ok_or_else(|| {
            let known: Vec<_> = self.forms.filled().map(|form| form.id.as_str()).collect();
            Failure::new(Kind::Input, "unknown_form", format!("There is no form {id}"))
                .hint(format!("The forms are {}", known.join(", ")))
        })
    }

    /// Who gave it, and its text.
    fn source(&self, form: &Form) -> (String, &str) {
        match self.published.iter().find(|(known, _)| known == form) {
            None => ("huza".to_owned(), record::form_text(&form.id).unwrap_or_default()),
            Some((_, one)) => {
                let by = one.centre.as_ref();
                (by.map_or("programme".to_owned(), |code| format!("centre {code}")), &one.text)
            }
        }
    }
}

/// Lists, or shows one.
pub(crate) async fn run(context: &Context, args: &FormsArgs) -> Result<(), Failure> {
    let known = Known::ask(context).await?;
    match &args.command {
        None => list(context, &known, args.lang.lang.into()),
        Some(FormsCommand::Show(show)) => {
            let form = known.find(&show.form)?;
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

fn list(context: &Context, known: &Known, language: Language) -> Result<(), Failure> {
    let row = |form: &Form| {
        let title = form.title.text(language).to_owned();
        vec![form.id.clone(), form.version.to_string(), known.source(form).0, title]
    };
    let rows: Vec<Vec<String>> = known.forms.filled().map(row).collect();
    let value = |form: &Form| {
        json!({
            "id": form.id,
            "version": form.version,
            "from": known.source(form).0,
            "title": form.title.text(language),
            "fields": form.fields.len(),
        })
    };
    let value: Vec<Value> = known.forms.filled().map(value).collect();
    let mut text = output::table(&["form", "version", "from", "title"], &rows);
    if known.unreadable > 0 {
        text.push_str(&format!(
            "\n\n{} published forms need a later version of huza.",
            known.unreadable
        ));
    }
    let void = known.published.iter().filter(|(_, one)| !one.counts);
    let void: Vec<String> = void.map(|(form, _)| form.name().to_string()).collect();
    if !void.is_empty() {
        text.push_str(&format!(
            "\n\nWho published these is shut out, so they count no more: {}.\nWhat is right in them can \
             be published again: huza forms show NAME --toml",
            void.join(", ")
        ));
    }
    let value = json!({ "forms": value, "unreadable": known.unreadable, "void": void });
    context.output.answer(&value, &text)
}

fn one(context: &Context, form: &Form, source: &str, language: Language) -> Result<(), Failure> {
    let value = json!({
        "id": form.id,
        "version": form.version,
        "digest": form.digest,
        "from": source,
        "title": form.title.text(language),
        "fields": form.fields.iter().map(|f| field_json(f, language)).collect::<Vec<_>>(),
        "dangers": form.dangers.iter().map(|d| danger_json(d, language)).collect::<Vec<_>>(),
        "advice": form.advice.iter().map(|one| json!({
            "id": one.id,
            "when": conditions(&one.when),
            "label": one.label.text(language),
            "label_to_review": one.label.review,
            "source": one.source,
            "confirmed": one.verified,
        })).collect::<Vec<_>>(),
        "due_after": form.follow_ups.iter().map(|one| json!({
            "id": one.id,
            "when": conditions(&one.when),
            "form": one.form,
            "answers": one.answers,
            "from": one.from,
            "due_hours": one.due_hours,
            "late_hours": one.late_hours,
            "label": one.label.text(language),
            "label_to_review": one.label.review,
            "source": one.source,
            "confirmed": one.verified,
        })).collect::<Vec<_>>(),
    });
    context.output.answer(&value, &text(form, language))
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

const fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Integer => "whole number",
        FieldType::Decimal => "number",
        FieldType::Date => "YYYY-MM-DD",
        FieldType::Choice => "choice",
        FieldType::YesNo => "yes|no",
        FieldType::Text => "text",
    }
}

fn conditions(when: &[Condition]) -> String {
    let each = when.iter().map(|on| {
        let op = match on.op {
            Comparison::Equal => "=",
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        };
        format!("{} {op} {}", on.field, on.value)
    });
    each.collect::<Vec<_>>().join(" and ")
}

fn field_json(field: &Field, language: Language) -> Value {
    let bounds = |range: Option<&Range>| range.map(|r| json!({ "min": r.min, "max": r.max }));
    let choices: Vec<Value> = field
        .choices
        .iter()
        .map(|choice| json!({ "id": choice.id, "label": choice.label.text(language) }))
        .collect();
    json!({
        "id": field.id,
        "label": field.label.text(language),
        "label_to_review": field.label.review,
        "type": type_name(field.kind),
        "unit": field.unit,
        "required": field.required,
        "hard": bounds(field.hard.as_ref()),
        "soft": bounds(field.soft.as_ref()),
        "choices": choices,
    })
}

fn danger_json(rule: &DangerRule, language: Language) -> Value {
    json!({
        "sign": rule.sign,
        "label": rule.label.text(language),
        "when": conditions(&rule.when),
    })
}
