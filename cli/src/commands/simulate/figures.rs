//! What runs came to, as `run`, `report` and `compare` tell it: one list of figures.

use huza_simulations::network::outcome::Outcome;
use huza_simulations::network::{Comparison, Figure};
use serde_json::{Map, Value, json};

use crate::output::{self, count};

/// For machines: key -> value, null where that is never.
pub(super) fn values(outcome: &Outcome) -> Value {
    let figures = outcome.figures().into_iter();
    Value::Object(figures.map(|one| (one.key, json!(one.value))).collect::<Map<_, _>>())
}

/// One run for people.
pub(super) fn of_one(outcome: &Outcome) -> String {
    let row = |one: &Figure| vec![one.group.to_owned(), one.what.clone(), one.show()];
    let rows: Vec<Vec<String>> = outcome.figures().iter().map(row).collect();
    output::table(&[outcome.name.as_str(), "", ""], &rows)
}

/// Several for people: what differs, then every figure.
pub(super) fn side_by_side(comparison: &Comparison) -> String {
    let mut head = vec!["".to_owned()];
    head.extend(comparison.columns.iter().map(|column| match column.seeds.len() {
        1 => column.name.clone(),
        seeds => format!("{} ({})", column.name, count(seeds, "seed")),
    }));
    let mut rows: Vec<Vec<String>> = comparison
        .settings
        .iter()
        .map(|one| {
            let mut row = vec![format!("{} ({})", one.key, one.unit)];
            row.extend(
                one.values.iter().map(|value| value.clone().unwrap_or_else(|| "-".to_owned())),
            );
            row
        })
        .collect();
    for figure in &comparison.figures {
        let mut row = vec![format!("{}: {}", figure.group, figure.what)];
        row.extend(figure.values.iter().map(|value| match value {
            Some(value) => value.show(figure.unit),
            None => "-".to_owned(),
        }));
        rows.push(row);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut text = output::table(&head, &rows);
    if comparison.uneven_days().is_some() {
        text.push_str(
            "\n\nThe runs last differently long: shares that never arrived and mean waits do not compare.",
        );
    }
    text
}
