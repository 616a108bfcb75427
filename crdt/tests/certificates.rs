//! Certificates stand before another implementation: `certificates.py` checks them with `pycose`.
//! Where Python or its modules are missing, this says that it was skipped; `.ci/run` has them.

use std::io::Write as _;
use std::process::{Command, Stdio};

#[path = "../examples/certificates.rs"]
#[allow(dead_code, clippy::allow_attributes, reason = "an example has a main of its own")]
mod example;

/// Names the Python that has the modules. Where it is set, nothing is skipped.
const PYTHON: &str = "HUZA_PYTHON";

#[test]
fn certificates_stand_before_another_implementation() {
    let named = std::env::var(PYTHON);
    let python = named.clone().unwrap_or_else(|_| "python3".to_owned());
    let modules = Command::new(&python).args(["-c", "import pycose, cbor2, blake3"]).output();
    if !modules.is_ok_and(|tried| tried.status.success()) {
        assert!(named.is_err(), "{python} has no pycose, cbor2 or blake3");
        println!("SKIPPED: {python} has no pycose, cbor2 and blake3; set {PYTHON} to one that has");
        return;
    }
    let checker = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates.py");
    let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
    let mut check = Command::new(python).arg(checker).stdin(stdin).stdout(stdout).spawn().unwrap();
    check.stdin.take().unwrap().write_all(example::lines().unwrap().as_bytes()).unwrap();
    let answer = check.wait_with_output().unwrap();
    let said = String::from_utf8(answer.stdout).unwrap();
    println!("{said}");
    assert!(answer.status.success() && said.contains("chains verified"));
}
