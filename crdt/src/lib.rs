//! The pure core of huza (work in progress).

pub mod codec;
pub mod control;
pub mod crypto;
pub mod id;
pub mod limits;
pub mod store;
pub mod time;
pub mod trust;
