//! Whole networks: who writes what, who meets whom, what of it arrives, when, and at what cost.

pub mod full;
pub mod outcome;
pub mod plan;
pub mod sized;

mod account;
mod cost;
mod estimate;
mod strategy;

pub use account::{Account, Made};
pub use estimate::Estimate;
pub use strategy::Strategy;
