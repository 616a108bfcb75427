//! The door for other programs on the device: HTTP/1.1 with JSON, `/v1` and a FHIR R4 façade at
//! `/fhir`. Off unless it is configured, and on loopback unless more is allowed by name.
//!
//! | module | what it is |
//! |---|---|
//! | `setting` | `[http]` of `huza.toml` |
//! | [`apps`] | programs that may ask, and their tokens |
//! | `server` | connections |
//! | `door` | what a request passes before its handler: host, origin, token, rate, route, body |
//! | `routes` | every address; `openapi.json` describes the same |
//! | `call` | what a handler gets and gives |
//! | `persons`, `visits`, `lists`, `changes` | handlers of `/v1`, one for each route |
//! | `fhir` | handlers of `/fhir` |
//! | `problem` | refusals, each with a stable code |
//! | `reply` | answers as responses |
//! | `limits` | how much may be asked |
//!
//! Everything is asked of the node as a `Command`, as the local door does; answers have the shapes of
//! [`crate::shape`]. So an app gets what the unlocked device may, never more, and nothing while it is
//! locked. Logs tell which app asked which route, and nothing of what was said.

pub mod apps;
mod call;
mod changes;
mod door;
mod fhir;
mod limits;
mod lists;
mod persons;
mod problem;
mod reply;
mod routes;
mod server;
mod setting;
mod visits;

pub use apps::{App, AppError, Apps};
pub use limits::{BODY_BYTES_MAX, CONNECTIONS_MAX, REQUESTS_PER_SECOND, STREAMS_MAX};
pub use problem::CODES;
pub(crate) use server::HttpServer;
pub use setting::{HttpSetting, HttpTable};

/// What `/v1` and `/fhir` are, for machines.
pub const OPENAPI: &str = include_str!("http/openapi.json");
