//! `huza export`: every resource this device can read, verbatim, one per line.

use serde_json::json;

use crate::args::ExportArgs;
use crate::commands::Context;
use crate::error::Failure;
use crate::files::Pending;
use crate::output;

/// Writes them to a file, whole or not at all, or to stdout.
pub(crate) async fn run(context: &Context, args: &ExportArgs) -> Result<(), Failure> {
    let mut device = context.device().await?;
    let Some(path) = &args.out else {
        device.export(|resources| context.output.raw(lines(resources).as_bytes())).await?;
        return Ok(());
    };
    let mut file = Pending::begin(path, true, false)?;
    let count = device.export(|resources| file.append(lines(resources).as_bytes())).await?;
    file.publish()?;
    let text = format!("Wrote {} to {}.", output::count(count, "resource"), path.display());
    context.output.answer(&json!({ "resources": count, "out": path }), &text)
}

fn lines(resources: &[huza_crdt::node::Resource]) -> String {
    resources.iter().flat_map(|resource| [resource.text.as_str(), "\n"]).collect()
}
