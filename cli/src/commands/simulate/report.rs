//! `huza simulate report`: a run that was kept in, a page out.

use huza_simulations::network::{Figure, report};
use serde_json::{Map, Value, json};

use super::stored;
use crate::args::SimulatedReportArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output::{self, bytes};

/// Writes the report, and tells its figures.
pub(super) fn run(context: &Context, args: &SimulatedReportArgs) -> Result<(), Failure> {
    let files = stored::files(&args.run)?;
    let [file] = files.as_slice() else {
        let message = format!("{} holds {} runs", args.run.display(), files.len());
        let hint = "Name one of them, or put them side by side with `huza simulate compare`";
        return Err(Failure::new(Kind::Input, "runs", message).hint(hint));
    };
    let outcome = stored::read(file)?;
    let outlines = stored::outlines(args.outlines.as_deref())?;
    let page = report::html(&outcome, outlines.as_ref());
    let out = args.out.clone().unwrap_or_else(|| file.with_file_name(stored::REPORT));
    stored::page(&out, &page)?;
    let figures = outcome.figures();
    let values: Map<String, Value> =
        figures.iter().map(|one| (one.key.clone(), json!(one.value))).collect();
    let value =
        json!({ "report": out.display().to_string(), "bytes": page.len(), "figures": values });
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    let text = format!(
        "{}\n\n{}, {}",
        output::table(&[outcome.name.as_str(), "", ""], &rows),
        out.display(),
        bytes(page.len() as u64)
    );
    context.output.answer(&value, &text)
}

fn row(figure: &Figure) -> Vec<String> {
    vec![figure.group.to_owned(), figure.what.clone(), figure.show()]
}
