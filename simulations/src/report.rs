//! What a run, or many, came to.

use core::fmt;
use std::collections::BTreeMap;

use crate::violation::{Law, Violation};

/// How a run without a violation went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// From which it was drawn.
    pub seed: u64,
    /// The drawn options, one per line.
    pub options: String,
    /// Virtual time at its end.
    pub virtual_ms: u64,
    /// Lines of its log.
    pub log_lines: u64,
    /// Hash of its log, hexadecimal.
    pub log_hash: String,
    /// The log, if it was kept.
    pub log: Option<String>,
    /// How often each law had something to look at.
    pub checked: BTreeMap<Law, u64>,
    /// How often each thing was seen.
    pub seen: BTreeMap<&'static str, u64>,
    /// Commands that were answered with an error: code -> how many.
    pub errors: BTreeMap<String, u64>,
}

/// How many runs went.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Runs.
    pub runs: u64,
    /// Those that broke a law, in the order of their seeds.
    pub violations: Vec<Violation>,
    /// How often each law had something to look at, over all runs without a violation.
    pub checked: BTreeMap<Law, u64>,
    /// How often each thing was seen, over the same.
    pub seen: BTreeMap<&'static str, u64>,
    /// Commands that were answered with an error: code -> how many.
    pub errors: BTreeMap<String, u64>,
}

impl Summary {
    /// The summary of one run.
    #[must_use]
    pub fn of(result: Result<Report, Violation>) -> Self {
        let mut one = Self::default();
        one.add(result);
        one
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, result: Result<Report, Violation>) {
        self.runs += 1;
        match result {
            Ok(report) => {
                for (law, count) in report.checked {
                    *self.checked.entry(law).or_default() += count;
                }
                for (what, count) in report.seen {
                    *self.seen.entry(what).or_default() += count;
                }
                for (code, count) in report.errors {
                    *self.errors.entry(code).or_default() += count;
                }
            }
            Err(violation) => {
                self.violations.push(violation);
                self.violations.sort_by_key(|violation| violation.seed);
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs, {} broke a law", self.runs, self.violations.len())?;
        for law in Law::ALL {
            let count = self.checked.get(law).copied().unwrap_or_default();
            writeln!(f, "{count:>10} times looked at: {law}")?;
        }
        for (what, count) in &self.seen {
            writeln!(f, "{count:>10} {what}")?;
        }
        for (code, count) in &self.errors {
            writeln!(f, "{count:>10} commands answered with {code}")?;
        }
        Ok(())
    }
}
