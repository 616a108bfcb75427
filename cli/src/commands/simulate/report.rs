//! `huza simulate report`: a run that was kept in, a page out.

use huza_simulations::network::report;
use serde_json::json;

use super::{figures, stored};
use crate::args::SimulatedReportArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output::bytes;

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
    let (name, length) = (out.display().to_string(), page.len());
    let value = json!({ "report": name, "bytes": length, "figures": figures::values(&outcome) });
    let text = format!("{}\n\n{name}, {}", figures::of_one(&outcome), bytes(length as u64));
    context.output.answer(&value, &text)
}
