//! A contact: what two nodes say to each other over any ordered pipe of bytes.
//!
//! [`frame`] is the language; [`Session`] is the state of one side. The session knows nothing of
//! storage: the node feeds it frames and asks it what to send next.

pub mod difference;
pub mod frame;
mod known;
mod pace;
mod state;

pub(crate) use known::Known;
pub(crate) use pace::{Departure, Pace};
pub(crate) use state::{Class, Comparing, InFlight};
pub use state::{Fault, Peer, Phase, Session, Stats};
