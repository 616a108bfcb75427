//! The pure core of huza: what a community-health record is, how it is sealed, signed, carried
//! from device to device, merged, and proven to have arrived.
//!
//! This crate opens no file and no socket, reads no clock, draws no entropy, and keeps its
//! collections in order. All of that comes in and goes out as values, so that the daemon and the
//! simulator drive the very same [`node::Node`], and the same inputs give the same outputs, bit
//! for bit.
//!
//! # Where to enter
//!
//! | to understand | read |
//! |---|---|
//! | what a node does, and how to drive it | [`node`] |
//! | what a record is, forms, FHIR import | [`record`] |
//! | what travels: sealed, signed envelopes | [`envelope`] |
//! | what two nodes say to each other | [`session`] |
//! | the same as a file, one way | [`bundle`] |
//! | who may do what: certificates, grants | [`trust`] |
//! | the statements every member reads | [`control`] |
//! | who read, exported, granted, revoked, erased | [`audit`] |
//! | every bound on what a peer can send | [`limits`] |
//! | what may be printed, and what is hidden | [`redacted`] |
//!
//! The formats are drawn byte by byte in `docs/wire.md`.
//!
//! # What must not be here
//!
//! `tokio`, `libp2p`, `redb`, files, sockets, `Instant::now`, `SystemTime::now`, random numbers of
//! the operating system, hash maps with a random order, and statics that hold state. The crate's
//! `clippy.toml` refuses what can be refused mechanically.

pub mod audit;
pub mod bundle;
pub mod codec;
pub mod control;
pub mod crypto;
pub mod envelope;
pub mod holdings;
pub mod id;
pub mod limits;
pub mod node;
pub mod pack;
pub mod record;
pub mod redacted;
pub mod session;
pub mod store;
pub mod time;
pub mod trust;
