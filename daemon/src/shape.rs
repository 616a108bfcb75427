//! Answers of a device as JSON: what the command line prints with `--json`, and what other programs
//! get over HTTP. Ids are text, in the form in which people see them.

use huza_crdt::{
    control::ReceiptKind,
    id::{RecordId, VisitId},
    node::{DueVisit, FoundRecord, QuarantinedLog, ReaderState, RecordStatus, Status},
    record::{
        Advice, Comparison, Condition, Danger, DangerRule, Due, Field, FieldType, Form, Language,
        Range,
    },
    time::Stamp,
};
use serde_json::{Value, json};

use crate::forms::KnownForms;

/// One line of a search's answer.
#[must_use]
pub fn found(found: &FoundRecord) -> Value {
    json!({
        "record": found.record.to_string(),
        "name": found.name,
        "sex": found.sex,
        "birth_date": found.birth_date,
        "area": found.area,
        "visits": found.visits,
        "conflict": found.conflict,
        "urgent": found.urgent,
    })
}

/// A visit that was written, and what it says to do.
#[must_use]
pub fn visit_written(
    record: RecordId,
    visit: Option<VisitId>,
    dangers: &[Danger],
    warnings: &[String],
    advice: &[Advice],
) -> Value {
    json!({
        "record": record.to_string(),
        "visit": visit.map(|visit| visit.to_string()),
        "dangers": dangers.iter().map(|one| &one.sign).collect::<Vec<_>>(),
        "warnings": warnings,
        "urgent": !dangers.is_empty(),
        "advice": advice.iter().map(|one| &one.id).collect::<Vec<_>>(),
    })
}

/// Whether a visit is among those that are listed: due by `until`, or `all`, and after visits of `by`.
#[must_use]
pub fn is_listed(one: &DueVisit, until: Stamp, all: bool, by: Option<&str>) -> bool {
    let wanted = match one.state {
        Due::Overdue | Due::Now => true,
        Due::Later => all || one.reminder.due <= until,
        Due::Done => all,
    };
    wanted && by.is_none_or(|name| name == one.reminder.worker)
}

/// A visit that is due.
#[must_use]
pub fn due(one: &DueVisit, language: Language) -> Value {
    json!({
        "state": one.state,
        "due": one.reminder.due.to_string(),
        "late": one.reminder.late.to_string(),
        "done": one.reminder.done.map(|at| at.to_string()),
        "what": one.rule.label.text(language),
        "awaits": one.rule.form,
        "awaits_answers": one.rule.answers,
        "source": one.rule.source,
        "confirmed": one.rule.verified,
        "after_visit": one.reminder.visit,
        "after_form": one.reminder.form.id,
        "worker": one.reminder.worker,
        "record": one.record.to_string(),
        "name": one.name,
        "area": one.area,
    })
}

/// A status for machines: ids as text.
#[must_use]
pub fn status(status: &Status) -> Value {
    let areas: Vec<Value> = status
        .areas
        .iter()
        .map(|(name, tag)| json!({ "name": name, "tag": tag.to_string() }))
        .collect();
    let (reader, worker) = match &status.reader {
        ReaderState::Absent => ("absent", None),
        ReaderState::Locked => ("locked", None),
        ReaderState::Open { worker } => ("open", Some(worker)),
    };
    json!({
        "device": status.device.map(|key| key.to_string()),
        "label": status.label,
        "programme": status.programme.map(|id| id.to_string()),
        "programme_name": status.programme_name,
        "certificate": status.certificate.map(|id| id.to_string()),
        "role": status.role.map(|role| role.name()),
        "void": status.void,
        "revoked": status.revoked.map(|reason| format!("{reason:?}").to_lowercase()),
        "expires": status.expires.map(|stamp| stamp.to_string()),
        "programme_time": status.programme_time.map(|stamp| stamp.to_string()),
        "reader": reader,
        "worker": worker,
        "quarantined": quarantined(&status.quarantined),
        "store": status.store.map(|id| id.to_string()),
        "areas": areas,
        "envelopes": status.envelopes,
        "logs": status.logs,
        "statements": status.statements,
        "records_count": status.records_count,
        "pending": status.pending,
        "unfiled": status.unfiled,
        "waiting": status.waiting,
        "borrowed_bytes": status.borrowed_bytes,
        "carry_bytes": status.carry_bytes,
        "released": status.released,
        "records": status.records.iter().map(record_status).collect::<Vec<_>>(),
    })
}

/// Where a record has been.
#[must_use]
pub fn record_status(record: &RecordStatus) -> Value {
    let receipts: Vec<Value> = record
        .receipts
        .iter()
        .map(|receipt| {
            json!({
                "kind": kind_name(receipt.kind),
                "reason": receipt.reason,
                "issuer": receipt.issuer.to_string(),
                "role": receipt.role.name(),
                "statement": receipt.statement.to_string(),
                "verified": receipt.verified,
            })
        })
        .collect();
    json!({
        "record": record.record.to_string(),
        "name": record.name,
        "changes": record.changes,
        "pending": record.pending,
        "taken": record.taken,
        "stored": record.stored,
        "accepted": record.accepted,
        "refused": record.refused,
        "receipts": receipts,
    })
}

const fn kind_name(kind: ReceiptKind) -> &'static str {
    match kind {
        ReceiptKind::Stored => "stored",
        ReceiptKind::Accepted => "accepted",
        ReceiptKind::Refused => "refused",
        ReceiptKind::Shown => "shown",
    }
}

/// Logs of which something is held back.
#[must_use]
pub fn quarantined(logs: &[QuarantinedLog]) -> Vec<Value> {
    let run = |(from, to, rejected): &(u64, u64, bool)| json!({ "from": from, "to": to, "rejected": rejected });
    let one = |log: &QuarantinedLog| {
        json!({
            "log": log.log.to_string(),
            "certificate": log.certificate.to_string(),
            "runs": log.runs.iter().map(run).collect::<Vec<_>>(),
        })
    };
    logs.iter().map(one).collect()
}

/// Every form, in short.
#[must_use]
pub fn forms(known: &KnownForms, language: Language) -> Value {
    let value: Vec<Value> = known
        .forms
        .filled()
        .map(|form| {
            json!({
                "id": form.id,
                "version": form.version,
                "from": known.source(form).0,
                "title": form.title.text(language),
                "fields": form.fields.len(),
            })
        })
        .collect();
    json!({ "forms": value, "unreadable": known.unreadable, "void": known.void() })
}

/// A form with its fields, danger signs, advice and what is due after it.
#[must_use]
pub fn form(form: &Form, source: &str, language: Language) -> Value {
    json!({
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
    })
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

/// How a field is answered.
#[must_use]
pub const fn type_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Integer => "whole number",
        FieldType::Decimal => "number",
        FieldType::Date => "YYYY-MM-DD",
        FieldType::Choice => "choice",
        FieldType::YesNo => "yes|no",
        FieldType::Text => "text",
    }
}

fn danger_json(rule: &DangerRule, language: Language) -> Value {
    json!({
        "sign": rule.sign,
        "label": rule.label.text(language),
        "when": conditions(&rule.when),
    })
}

/// Conditions as people read them.
#[must_use]
pub fn conditions(when: &[Condition]) -> String {
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
