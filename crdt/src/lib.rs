//! The pure core of huza (work in progress).

pub mod codec;
pub mod control;
pub mod crypto;
pub mod envelope;
pub mod holdings;
pub mod id;
pub mod limits;
pub mod record;
pub mod node;
pub mod pack;
pub mod session;
pub mod store;
pub mod time;
pub mod trust;
