//! What decided a run, and how to read what came of it.

use super::super::outcome::{Chosen, Outcome};
use super::super::outlines::Outlines;
use super::super::units::{count, grouped};
use super::page::{Cell, escaped, folded, paragraph, section as part, table};

/// The settings that are not the defaults, for the first page.
pub(super) fn changed(outcome: &Outcome) -> String {
    let changed: Vec<&Chosen> = outcome.options.iter().filter(|one| one.changed).collect();
    let all = grouped(u64::try_from(outcome.options.len()).unwrap_or(u64::MAX));
    let link = format!("<p><a href=\"#settings\">All {all} settings with their sources</a></p>\n");
    if changed.is_empty() {
        return format!("{}{link}", paragraph("Every setting is the default."));
    }
    let rows: Vec<Vec<Cell>> = changed
        .iter()
        .map(|one| vec![Cell::text(&one.key), Cell::text(&value(one)), Cell::text(&one.what)])
        .collect();
    let table = table(&["changed setting", "value", "what it is"], &rows);
    format!("<h3>Chosen for this run</h3>\n{table}{link}")
}

/// All of them.
pub(super) fn section(outcome: &Outcome) -> String {
    let assumed = outcome.options.iter().filter(|one| assumed(one)).count();
    let told = format!(
        "{} of {} are assumptions that nobody has measured: change them with --set before you lean \
        on an answer, and see whether it holds.",
        assumed,
        outcome.options.len()
    );
    let head = ["setting", "value", "unit", "what it is", "where the default is from"];
    let rows: Vec<Vec<Cell>> = outcome
        .options
        .iter()
        .map(|one| {
            let set = if one.changed { " (changed)" } else { "" };
            let value = format!("{}{set}", one.value);
            [&one.key, &value, &one.unit, &one.what, &one.basis].map(|text| Cell::text(text)).into()
        })
        .collect();
    let body = format!(
        "{}{}",
        paragraph(&told),
        folded(&format!("All settings ({})", outcome.options.len()), &table(&head, &rows))
    );
    part("settings", "Settings", &body)
}

fn value(one: &Chosen) -> String {
    if one.unit.is_empty() { one.value.clone() } else { format!("{} {}", one.value, one.unit) }
}

fn assumed(one: &Chosen) -> bool {
    one.basis.to_lowercase().contains("assum")
}

/// What the words mean, and what the model leaves out.
pub(super) fn reading(outcome: &Outcome, outlines: Option<&Outlines>) -> String {
    let days = count(outcome.days, "day");
    let mut told = vec![
        format!(
            "Times run from the writing of a record. A record that had not arrived when the run of \
            {days} ended counts as waiting for as long as it was watched, and is never left out \
            (estimator of Kaplan and Meier). So \"never\" is the share that would not arrive within \
            {days}; records written on the last days are not held against it. The mean wait counts \
            each with {days} at most. At the right end of a curve few were watched for so long, and \
            single records move it."
        ),
        "A record is at the hub when the hub of the writer's own health centre holds it, and at a \
        facility when a hub with internet has passed it on."
            .to_owned(),
        "How far a hub is behind: how long it lacked a record of the village, the mean over all that \
        were written there, up to the end of the run."
            .to_owned(),
        "This is one draw of chance from one seed. Run several seeds before two runs are told apart, \
        and compare them with: huza simulate compare."
            .to_owned(),
    ];
    if outcome.fidelity == "sized" {
        told.push(
            "Sized: phones follow huza's rules of carrying with records that have a length and no \
            content; nothing is sealed, signed or merged in this run."
                .to_owned(),
        );
    }
    told.push(
        "People meet by the rates in the settings; hubs never lose power; a phone's battery is not \
        emptied by anything else. Village positions and people come from the table of villages, and \
        population is a weight, not a census."
            .to_owned(),
    );
    if let Some(outlines) = outlines.filter(|one| !one.attribution.is_empty()) {
        told.push(format!("Outlines of districts: {}.", outlines.attribution));
    }
    let items: String = told.iter().map(|one| format!("<li>{}</li>\n", escaped(one))).collect();
    part("reading", "How to read this, and what was assumed", &format!("<ul>\n{items}</ul>\n"))
}
