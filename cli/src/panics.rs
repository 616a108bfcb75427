//! What a panic prints. Its message may quote a record, so it is told only where it is a constant of
//! the program; the place always is.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use crate::output;

/// From now on panics of every thread print so.
pub(crate) fn hide_messages() {
    std::panic::set_hook(Box::new(|panic| output::complain(&text(panic))));
}

fn text(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let constant = panic.payload().downcast_ref::<&'static str>().copied();
    let said = constant.unwrap_or("what it says is not shown, because it may quote a record");
    let mut text = format!("A fault of huza itself at {place}: {said}. Please report it.\n");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text.push_str(&trace.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that panics, to what it quotes.
    const QUOTED: &str = "HUZA_TEST_PANIC_QUOTES";

    #[test]
    fn a_panic_tells_its_place_and_not_what_it_quotes() {
        if let Ok(quoted) = std::env::var(QUOTED) {
            hide_messages();
            let thread = std::thread::spawn(|| panic!("a constant text"));
            assert!(thread.join().is_err());
            panic!("no record of {quoted}");
        }
        let name = "panics::tests::a_panic_tells_its_place_and_not_what_it_quotes";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(QUOTED, "Kanariyaimwe")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
        assert!(!child.status.success(), "{said}");
        assert_eq!(
            said.matches("A fault of huza itself at cli/src/panics.rs:").count(),
            2,
            "{said}"
        );
        assert!(said.contains("a constant text. Please report it."), "{said}");
        assert!(!said.contains("Kanariya"), "{said}");
    }
}
