//! `huza simulate compare`: runs that were kept, side by side.

use huza_simulations::network::outcome::Outcome;
use huza_simulations::network::{Comparison, report};

use super::{figures, stored};
use crate::args::CompareArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};

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
    context.output.answer(&comparison, &figures::side_by_side(&comparison))
}
