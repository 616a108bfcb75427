//! The only place that prints.
//!
//! Answers go to stdout: text for people, or with `--json` exactly one JSON object (`run`: one per
//! event; `export` without `--out`: the resources themselves). Failures and progress go to stderr;
//! a failure with `--json` is `{"error":{"code","message","hint"}}`, so that stdout holds answers
//! only.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::error::{Failure, Kind};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// For machines.
    pub(crate) json: bool,
}

impl Output {
    /// The answer of a command: `value` for machines, `text` for people.
    pub(crate) fn answer(self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.json { self.object(value) } else { self.line(text) }
    }

    /// One JSON object on a line of its own, at once.
    pub(crate) fn object(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Kind::Unexpected, "json", error.to_string()))?;
        self.line(&text)
    }

    /// Lines on stdout, at once. A newline is put behind.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(text.trim_end_matches('\n').as_bytes()))?;
        written(stdout.write_all(b"\n"))?;
        written(stdout.flush())
    }

    /// Lines of a story, for people only.
    pub(crate) fn tell(self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// Bytes on stdout as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(bytes))?;
        written(stdout.flush())
    }

    /// A note on stderr that is no failure, such as one entry that was left out.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            complain(&format!("{text}\n"));
        }
    }

    /// How far long work has come, on one line of the terminal; nothing where there is none.
    pub(crate) fn progress(self, text: &str) {
        if !self.json && io::stderr().is_terminal() {
            complain(&format!("\r\x1b[2K{text}"));
        }
    }

    /// The failure that ends the command: what failed, what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.code == CLOSED {
            return;
        }
        let text = if self.json {
            format!("{}\n", serde_json::json!({ "error": failure }))
        } else {
            format!("error: {}\n", sentences(failure))
        };
        complain(&text);
    }
}

/// Code of the failure that whoever reads our stdout has gone, as `head` does.
const CLOSED: &str = "output_closed";

/// Message and hint as two sentences.
fn sentences(failure: &Failure) -> String {
    let mut text = sentence(&failure.message);
    if !failure.hint.is_empty() {
        text.push(' ');
        text.push_str(&sentence(&failure.hint));
    }
    text
}

/// Begins with a capital, unless the first word is a name that must stay as it is spelled: of a
/// field, as in `weight: ..`. A message never begins with a path, which may look like any word.
pub(crate) fn sentence(text: &str) -> String {
    let named = |word: &str| word.chars().any(|c| !c.is_alphabetic() && c != '\'');
    if text.split_whitespace().next().is_some_and(named) {
        return format!("{}.", text.trim_end_matches('.'));
    }
    let mut chars = text.trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

/// Text on stderr.
pub(crate) fn complain(text: &str) {
    // Where stderr is closed there is nobody left to tell.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Kind::Storage, CLOSED, "nobody reads"),
        _ => Failure::new(Kind::Storage, "output", format!("Cannot print: {error}"))
            .hint("Check where the output goes"),
    })
}

/// Rows under headings, each column as wide as its widest cell. The last column is not padded.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || core::iter::once(&head).chain(rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

/// `1 record`, `2 records`, `2 addresses`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    let ending = if noun.ends_with('s') { "es" } else { "s" };
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}{ending}") }
}

/// The same of a number that is kept wide.
pub(crate) fn count_wide(n: u64, noun: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), noun)
}

/// Bytes in the unit that a person would choose.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{}.{} kB", n / 1_000, n % 1_000 / 100),
        _ => format!("{}.{} MB", n / 1_000_000, n % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_two_sentences() {
        let failure = Failure::new(Kind::Home, "x", "there is no home").hint("Make one.");
        assert_eq!(sentences(&failure), "There is no home. Make one.");
        assert_eq!(sentences(&Failure::new(Kind::Home, "x", "gone")), "Gone.");
        let field = Failure::new(Kind::Input, "x", "weight: 620 kg is too much");
        assert_eq!(sentences(&field), "weight: 620 kg is too much.");
    }

    #[test]
    fn tables_align_and_do_not_trail() {
        let rows =
            vec![vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), "d".to_owned()]];
        assert_eq!(table(&["x", "y"], &rows), "x    y\na    bb\nccc  d");
    }

    #[test]
    fn things_are_counted_in_english() {
        let all = [count(1, "address"), count(2, "address"), count(0, "record")];
        assert_eq!(all, ["1 address", "2 addresses", "0 records"]);
    }

    #[test]
    fn bytes_are_shown_in_a_unit_that_fits() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_250), "1.2 kB");
        assert_eq!(bytes(3_450_000), "3.4 MB");
    }
}
