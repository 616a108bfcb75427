//! Whole networks: who writes what, who meets whom, what of it arrives, when, and at what cost.

pub mod full;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod sized;

mod account;
mod comparison;
mod cost;
mod estimate;
mod figures;
mod outlines;
mod strategy;
mod units;

pub use account::{Account, Made};
pub use comparison::{Column, Comparison, Row, Setting, Value};
pub use estimate::Estimate;
pub use figures::{Figure, SHARES};
pub use outlines::{Outline, Outlines, OutlinesError};
pub use strategy::Strategy;
pub use units::Unit;
