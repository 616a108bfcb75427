//! Whole networks: who writes what, who meets whom, what of it arrives, when, and at what cost.

mod comparison;
mod figures;
pub mod outcome;
mod outlines;
pub mod report;
mod units;

pub use comparison::{Column, Comparison, Row, Setting, Value};
pub use figures::{Figure, SHARES};
pub use outlines::{Outline, Outlines, OutlinesError};
pub use units::Unit;
