//! Simulated worlds: nodes on virtual links, in virtual time, on disks and devices that fail.
//!
//! Enter at [`chaos::run`]: one seed, one world, one report or the first broken [`Law`]; or at
//! [`revocation::run`]: a health centre's devices over weeks, without faults; or at
//! [`meeting::run`]: many phones and a hub on one radio. Who meets whom in a whole country is drawn
//! by [`movement::Movement`], from a [`geography`] and a [`scenario`]; recorded contacts are read
//! by [`replay`].
//!
//! The nodes are `huza_crdt::node::Node`, the very type that the daemon drives; what is simulated
//! is all around it: disks ([`Planted`] bugs sit there), links, clocks, users, facilities, forged
//! peers. Everything is drawn from the seed, so a run repeats itself byte for byte, and a failing
//! seed is a test.
//!
//! What this crate deliberately does not do: open a socket or a file, read a clock, start a
//! thread within a run, or reach into a node by any door that production lacks.

pub mod bounds;
pub mod chaos;
pub mod geography;
pub mod meeting;
pub mod movement;
pub mod network;
pub mod replay;
pub mod revocation;
pub mod scenario;
pub mod standard;
pub mod stats;

mod audit;
mod check;
mod disk;
mod draw;
mod facility;
mod field;
mod forger;
mod host;
mod ledger;
mod link;
mod options;
mod programme;
mod report;
mod shadow;
mod token;
mod trace;
mod violation;
mod workload;
mod world;

pub use options::{Options, Planted};
pub use report::{Report, Summary};
pub use violation::{Law, Violation};
