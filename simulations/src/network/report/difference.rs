//! Several runs on one page.

use super::super::comparison::{Comparison, Row};
use super::super::outcome::{Outcome, Waits};
use super::super::units::count;
use super::answers::what_was_run;
use super::curves::{Curve, panel_of};
use super::page::{Cell, document, escaped, paragraph, section as part, table};

/// Colours that are told apart by the colour-blind (Okabe and Ito 2008), and dashes for the time
/// when they begin anew.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#a8508a", "#000000", "#b07d00", "#3a93c4"];
const DASHES: [&str; 3] = ["", "7 3", "2 3"];

/// Whose waits are in a panel.
type Whose = fn(&Outcome) -> &Waits;

const PANELS: [(&str, Whose); 4] = [
    ("Urgent records at a facility", |run| &run.urgent.to_facility),
    ("Routine records at a facility", |run| &run.routine.to_facility),
    ("Urgent records at the hub", |run| &run.urgent.to_hub),
    ("Routine records at the hub", |run| &run.routine.to_hub),
];

/// The report of several runs: what differs, curves of all in one picture, every figure.
#[must_use]
pub fn compare(comparison: &Comparison, runs: &[Outcome]) -> String {
    let title = format!("{} side by side", count(number(runs.len()), "run"));
    let items: String = runs
        .iter()
        .map(|run| format!("<li>{}: {}</li>\n", escaped(&run.name), escaped(&what_was_run(run))))
        .collect();
    let mut head =
        format!("<section id=\"answers\"><h1>{}</h1>\n<ul>\n{items}</ul>\n", escaped(&title));
    if comparison.uneven_days().is_some() {
        head.push_str(&paragraph(
            "They last differently long: shares that never arrived and mean waits do not compare.",
        ));
    }
    head.push_str(&settings(comparison));
    head.push_str("</section>\n");
    let body = [head, curves(comparison, runs), figures(comparison)].concat();
    document(&title, &body)
}

fn settings(comparison: &Comparison) -> String {
    if comparison.settings.is_empty() {
        return paragraph("All settings are the same.");
    }
    let mut head = vec!["setting that differs", "what it is"];
    head.extend(comparison.columns.iter().map(|one| one.name.as_str()));
    let rows: Vec<Vec<Cell>> = comparison
        .settings
        .iter()
        .map(|one| {
            let mut row = vec![Cell::text(&one.key), Cell::text(&one.what)];
            let value = |value: &Option<String>| match value {
                Some(value) => Cell::text(&format!("{value} {}", one.unit)),
                None => Cell::text("-"),
            };
            row.extend(one.values.iter().map(value));
            row
        })
        .collect();
    table(&head, &rows)
}

fn curves(comparison: &Comparison, runs: &[Outcome]) -> String {
    let days = comparison.columns.iter().map(|column| column.days).max().unwrap_or(1);
    let panel = |(title, whose): (&str, Whose)| {
        let curves: Vec<Curve> = comparison
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| Curve {
                name: column.name.clone(),
                colour: COLOURS.get(index % COLOURS.len()).copied().unwrap_or("#000000"),
                dashes: DASHES.get(index / COLOURS.len() % DASHES.len()).copied().unwrap_or(""),
                survival: comparison.pooled(index, runs, whose).survival(),
            })
            .collect();
        panel_of(title, &curves, days.saturating_mul(86_400))
    };
    let told = "Each step to the right on the time axis is a multiple, not a sum. What a curve lacks to \
        100 % at its right end never arrived. Seeds of one column are drawn together.";
    let panels = PANELS.map(panel).concat();
    part(
        "delivery",
        "How long records take",
        &format!("{}<div class=\"panels\">{panels}</div>\n", paragraph(told)),
    )
}

fn figures(comparison: &Comparison) -> String {
    let mut head = vec![""];
    head.extend(comparison.columns.iter().map(|one| one.name.as_str()));
    let row = |row: &Row| {
        let mut cells = vec![Cell::text(&row.what)];
        cells.extend(row.values.iter().map(|value| match value {
            Some(value) => Cell::Told(value.median.unwrap_or(u64::MAX), value.show(row.unit)),
            None => Cell::text("-"),
        }));
        cells
    };
    let mut groups: Vec<&str> = Vec::new();
    for one in &comparison.figures {
        if !groups.contains(&one.group) {
            groups.push(one.group);
        }
    }
    let body: String = groups
        .into_iter()
        .map(|group| {
            let rows: Vec<Vec<Cell>> =
                comparison.figures.iter().filter(|one| one.group == group).map(row).collect();
            format!("<h3>{}</h3>\n{}", escaped(group), table(&head, &rows))
        })
        .collect();
    let told = "Of several seeds the median, and in brackets the lowest and the highest.";
    part("figures", "All figures", &format!("{}{body}", paragraph(told)))
}

fn number(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}
