//! What stands below the help: examples, exit codes.

use crate::error::EXIT_CODES;

/// First steps.
pub(super) const EXAMPLES: &str = "\
Try it, with nothing set up:
  huza demo

A first phone:
  huza init --label \"Phone of Claudine\" --request phone.txt
  huza authority create --home ~/authority --programme Bugesera --catchment 0512 --village 01
  huza authority issue --home ~/authority --request phone.txt --role worker --village 01 --out phone-welcome.txt
  huza join phone-welcome.txt
  huza person add --name \"Immaculee Uwase\" --sex female --birth-date 1998-04-12
  huza forms show anc --lang rw
  huza run";

/// The same, with the exit codes.
pub(super) fn long() -> String {
    let codes = EXIT_CODES.iter().map(|(_, code, meaning)| format!("  {code}  {meaning}\n"));
    format!("{EXAMPLES}\n\nExit codes:\n  0  done\n{}", codes.collect::<String>())
}
