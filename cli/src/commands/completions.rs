//! `huza completions`.

use crate::args::{self, CompletionsArgs};
use crate::commands::Context;
use crate::error::Failure;

/// Prints what the shell reads.
pub(crate) fn run(context: &Context, args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "huza", &mut script);
    context.output.raw(&script)
}
