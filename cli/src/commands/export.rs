//! `huza export`: every resource this device can read, verbatim, one per line.

use huza_crdt::node::Resource;
use serde_json::json;

use crate::args::ExportArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::files::Pending;
use crate::output;

/// Writes them to a file, whole or not at all, or to stdout.
pub(crate) async fn run(context: &Context, args: &ExportArgs) -> Result<(), Failure> {
    let Some(path) = &args.out else {
        let print = |resources: &[Resource]| context.output.raw(lines(resources).as_bytes());
        context.with_reader(async |device| device.export(print).await).await?;
        return Ok(());
    };
    let mut file = Pending::begin(path, true, false)?;
    let append = |resources: &[Resource]| file.append(lines(resources).as_bytes());
    let count = context.with_reader(async |device| device.export(append).await).await?;
    file.publish()?;
    let text = format!("Wrote {} to {}.", output::count(count, "resource"), path.display());
    context.output.answer(&json!({ "resources": count, "out": path }), &text)
}

fn lines(resources: &[Resource]) -> String {
    resources.iter().flat_map(|resource| [resource.text.as_str(), "\n"]).collect()
}
