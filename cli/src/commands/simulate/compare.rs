//! `huza simulate compare`: runs that were kept, side by side.

use huza_simulations::network::outcome::Outcome;
use huza_simulations::network::{Comparison, report};

use super::stored;
use crate::args::CompareArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output::{self, count};

/// Reads, compares and tells.
pub(super) fn run(context: &Context, args: &CompareArgs) -> Result<(), Failure> {
    let mut runs: Vec<Outcome> = Vec::new();
    for path in &args.runs {
        for file in stored::files(path)? {
            runs.push(stored::read(&file)?);
        }
    }
    if runs.len() < 2 {
        return Err(Failure::new(Kind::Input, "runs", "There is only one run")
            .hint("Name two or more, or the directory of a sweep"));
    }
    let comparison = Comparison::of(&runs);
    if let Some(out) = &args.out {
        stored::page(out, &report::compare(&comparison, &runs))?;
    }
    context.output.answer(&comparison, &text(&comparison))
}

/// For people: what differs, then every figure.
fn text(comparison: &Comparison) -> String {
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
