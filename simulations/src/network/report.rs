//! Reports: from what a run came to, one page that a browser shows without a network.
//!
//! Enter at [`html`] for one run, at [`compare`] for several. Pages are well-formed XML too, so that
//! a test can hold them to it; they refer to nothing outside themselves, are complete without
//! JavaScript, and are printed as they are shown. Every text that comes from a table is escaped in
//! one place (`page`). No figure is computed here that [`Outcome::figures`] has.

mod answers;
mod curves;
mod difference;
mod map;
mod meetings;
mod page;
mod phones;
mod places;
mod settings;

pub use difference::compare;

use super::outcome::Outcome;
use super::outlines::Outlines;

/// The report of one run; on a map with outlines, if there are any.
#[must_use]
pub fn html(outcome: &Outcome, outlines: Option<&Outlines>) -> String {
    let sections = [
        answers::section(outcome),
        curves::section(outcome),
        map::section(outcome, outlines),
        places::villages(outcome),
        places::hubs(outcome),
        phones::section(outcome),
        meetings::section(outcome),
        settings::section(outcome),
        settings::reading(outcome, outlines),
    ];
    page::document(&format!("{}: would records arrive?", outcome.name), &sections.concat())
}
