//! What a handler gets of a request, and what it gives.

use std::sync::Arc;

use futures::{future::BoxFuture, stream::BoxStream};
use huza_crdt::node::{Command, Reply};
use hyper::{HeaderMap, body::Bytes, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{apps::App, problem::Problem, server::Shared};
use crate::api::Request;

/// A request that passed the door.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) app: App,
    /// What stands for the braces of the route's path.
    pub(super) path: Vec<String>,
    /// Name and value of each parameter.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What a handler answers.
pub(super) type Answered = BoxFuture<'static, Result<Answer, Problem>>;

/// An answer that is no refusal.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
}

/// What is in it.
pub(super) enum Content {
    /// JSON, of this media type.
    Json(&'static str, Vec<u8>),
    /// Server-sent events, until the other end goes away.
    Events(BoxStream<'static, String>),
    /// Nothing.
    Empty,
}

/// The media type of everything but FHIR.
pub(super) const JSON: &str = "application/json";

impl Answer {
    /// 200, with this value.
    pub(super) fn ok(value: &Value) -> Self {
        Self::json(200, JSON, value.to_string().into_bytes())
    }

    /// 201, with this value, which is at `location` from now on.
    pub(super) fn created(value: &Value, location: String) -> Self {
        let answer = Self::json(201, JSON, value.to_string().into_bytes());
        answer.with("location", location)
    }

    pub(super) const fn json(status: u16, kind: &'static str, text: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), content: Content::Json(kind, text) }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Call {
    /// Asks the node. A refusal is a problem.
    pub(super) async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        self.shared.ask(command).await
    }

    /// What stands for the first, second, ... braces, read as what it has to be.
    pub(super) fn path<T: core::str::FromStr>(&self, at: usize, name: &str) -> Result<T, Problem> {
        let read = self.path.get(at).and_then(|text| text.parse().ok());
        read.ok_or_else(|| Problem::parameter(name, "write it as it was given by an answer"))
    }

    /// Refuses parameters that nobody reads, and those that are given twice.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = match known {
                    [] => "it takes none".to_owned(),
                    known => format!("the parameters are {}", known.join(", ")),
                };
                return Err(Problem::parameter(name, &known));
            }
            if self.query.iter().take(at).any(|(other, _)| other == name) {
                return Err(Problem::parameter(name, "give it once"));
            }
        }
        Ok(())
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A number within bounds.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number <= most);
        number.ok_or_else(|| Problem::parameter(name, &format!("a whole number up to {most}")))
    }

    /// `true` or `false`.
    pub(super) fn yes(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "true or false")),
        }
    }

    /// The body, read as JSON of this shape.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.json_body()?;
        serde_json::from_slice(&self.body).map_err(|error| malformed(&error))
    }

    /// The body as text, which has to be said to be JSON.
    pub(super) fn json_body(&self) -> Result<&str, Problem> {
        let kind = self.header(&header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if ![JSON, super::fhir::FHIR_JSON].contains(&kind.as_str()) {
            let hint = "send JSON, and `content-type: application/json`";
            return Err(Problem::new("unsupported_media_type", "the body is not JSON", hint));
        }
        core::str::from_utf8(&self.body)
            .map_err(|_error| Problem::new("malformed", "the body is not UTF-8", "send JSON"))
    }

    /// Where FHIR is, by the name by which it was asked.
    pub(super) fn base(&self) -> String {
        format!("http://{}/fhir", self.header(&header::HOST).unwrap_or_default())
    }

    pub(super) fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Says where, and not what: serde quotes the text.
fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Data => "the body has not the shape that is wanted",
        _ => "the body is not JSON",
    };
    Problem::new(
        "malformed",
        format!("{what} (line {line}, column {column})"),
        "`/v1/openapi.json` describes it",
    )
}

impl Shared {
    pub(super) async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        let (reply, answered) = oneshot::channel();
        let command = Box::new(command);
        // If nobody takes the request, nobody answers it either.
        let _sent = self.requests.send(Request::Node { command, reply }).await;
        match answered.await {
            Ok(Reply::Error(error)) => Err(error.into()),
            Ok(reply) => Ok(reply),
            Err(_gone) => {
                Err(Problem::new("stopping", "the daemon is stopping", "ask again when it runs"))
            }
        }
    }
}
