//! The shell around `huza_crdt`: files, sockets, clocks and threads for a
//! [`huza_crdt::node::Node`].
//!
//! | module | what it is |
//! |---|---|
//! | [`home`] | the directory of one device: making, opening, locking |
//! | [`config`] | settings: defaults, `huza.toml`, environment |
//! | [`driver`] | the daemon: [`run`] |
//! | [`client`] | commands on a home, with or without a daemon |
//! | [`api`] | the local door between the two |
//! | [`http`] | the door for other programs: HTTP, and FHIR |
//! | [`gateway`] | what a facility receives: a directory or a FHIR server |
//! | [`net`] | the network as byte pipes |
//! | [`mod@pipe`] | a session over any pair of byte streams |
//! | [`shape`] | answers as JSON |
//! | [`store`] | the two redb files |
//! | [`time`] | wall time as people write it |
//! | [`vault`] | who may open the reader's file |
//!
//! A program makes a home with [`Home::init`], has the device approved, and then either runs it
//! ([`run`]) or gives it commands ([`Client`]).
//!
//! What is absent: what records, envelopes and sessions mean is the node's affair alone. Nothing
//! here holds state in statics, so one process can run many daemons.

pub mod api;
pub mod client;
pub mod config;
pub mod driver;
pub mod forms;
pub mod gateway;
pub mod home;
pub mod http;
pub mod net;
pub mod pipe;
pub mod shape;
pub mod store;
pub mod time;
pub mod vault;

pub use client::{Client, ClientError};
pub use config::{Config, ConfigError};
pub use driver::{RunError, RunOptions, ShellEvent, run};
pub use home::{Home, HomeError, HomeLock, InitOptions};
pub use pipe::{PipeError, PipeOutcome, PipeReport, pipe};

/// An error with all its causes, in one line.
#[must_use]
pub fn error_chain(error: &dyn core::error::Error) -> String {
    let (mut text, mut next) = (String::new(), Some(error));
    while let Some(error) = next {
        let said = error.to_string();
        if !text.ends_with(&said) {
            let between = if text.is_empty() { "" } else { ": " };
            text.push_str(between);
            text.push_str(&said);
        }
        next = error.source();
    }
    text
}
