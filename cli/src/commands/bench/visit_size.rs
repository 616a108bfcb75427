//! `huza bench visit-size`: what a visit costs on the way, and the least it could cost.

use huza_simulations::standard::visit_size;
use serde_json::json;

use super::{described, odd, workload};
use crate::args::VisitSizeArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::output;

/// Measures and reports.
pub(super) fn run(context: &Context, args: &VisitSizeArgs) -> Result<(), Failure> {
    let size = workload(&args.sizes)?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for together in [1, 3, 8] {
        let visit = visit_size(size, together).ok_or_else(|| odd("a visit was not written"))?;
        let ratio = visit.bytes / visit.floor;
        rows.push(vec![
            together.to_string(),
            format!("{:.1}", visit.bytes),
            format!("{:.1}", visit.floor),
            format!("{ratio:.2}"),
        ]);
        values.push(json!({
            "per_envelope": together,
            "bytes_per_visit": visit.bytes,
            "floor_bytes_per_visit": visit.floor,
            "ratio": ratio,
        }));
    }
    let asked = visit_size(size, usize::try_from(args.sizes.per_envelope).unwrap_or(8));
    let value = json!({
        "bench": "visit-size",
        "workload": described(size, args.sizes.per_envelope),
        "bytes_per_visit": asked.map(|visit| visit.bytes),
        "sizes": values,
    });
    let table = output::table(&["to an envelope", "bytes a visit", "floor", "ratio"], &rows);
    let text = format!(
        "Visits of the standard workload, signed and sealed, all in; seed {}. The floor is what a code\n\
         that knows the generator could not do without, and signature, nonce and tag.\n\n{table}",
        size.seed,
    );
    context.output.answer(&value, &text)
}
