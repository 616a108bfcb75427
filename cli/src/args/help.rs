//! What stands below the help: examples, exit codes.

use crate::error::EXIT_CODES;

/// First steps.
pub(super) const EXAMPLES: &str = "\
Try it, with nothing set up:
  huza demo

A first phone, in three steps:
  huza init --worker Claudine --label \"phone 1\"                     (on the phone)
  huza authority issue --request - --role worker --village 01 --out welcome.txt
                                                    (on the authority device)
  huza join welcome.txt                             (on the phone)

Before that, once for each health centre:
  huza authority create --home authority --worker Odette --programme Bugesera --catchment 0512 --village 01 --paper paper

Then, on the phone:
  huza person add --name \"Immaculee Uwase\" --sex female --birth-date 1998-04-12
  huza forms show anc --lang rw
  huza run

A phone is lost:
  huza devices
  huza authority revoke DEVICE --reason lost        (on the authority device)";

/// The same, with the exit codes.
pub(super) fn long() -> String {
    let codes = EXIT_CODES.iter().map(|(_, code, meaning)| format!("  {code}  {meaning}\n"));
    format!("{EXAMPLES}\n\nExit codes:\n  0  done\n{}", codes.collect::<String>())
}
