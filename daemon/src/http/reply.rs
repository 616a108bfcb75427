//! Answers and refusals as responses.

use core::convert::Infallible;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response,
    body::{Bytes, Frame},
    header,
};

use super::{
    call::{Answer, Content},
    door::ALLOWED_HEADERS,
    fhir::FHIR_JSON,
    problem::Problem,
};

/// Of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The media type of RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

pub(super) fn respond(
    answer: Result<Answer, Problem>,
    fhir: bool,
    origin: Option<&str>,
) -> Result<Response<Body>, hyper::http::Error> {
    let answer = answer.unwrap_or_else(|problem| refused(problem, fhir));
    let mut response = Response::builder()
        .status(answer.status)
        // What it says is of a patient, and no page may guess what it is.
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(origin) = origin {
        response = response
            .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .header(header::ACCESS_CONTROL_EXPOSE_HEADERS, "etag, location, retry-after")
            .header(header::VARY, "origin");
    }
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    match answer.content {
        Content::Json(kind, text) => {
            let body = Full::new(Bytes::from(text)).boxed_unsync();
            response.header(header::CONTENT_TYPE, kind).body(body)
        }
        Content::Events(events) => {
            let frames = events.map(|event| Ok(Frame::data(Bytes::from(event))));
            let body = StreamBody::new(frames).boxed_unsync();
            response.header(header::CONTENT_TYPE, "text/event-stream").body(body)
        }
        Content::Empty => response.body(Full::default().boxed_unsync()),
    }
}

fn refused(problem: Problem, fhir: bool) -> Answer {
    let (kind, value) = match fhir {
        true => (FHIR_JSON, problem.outcome()),
        false => (PROBLEM_JSON, problem.details()),
    };
    let status = problem.status();
    let content = Content::Json(kind, value.to_string().into_bytes());
    Answer { status, headers: problem.headers, content }
}

/// What a browser asks before a page may.
pub(super) fn preflight() -> Answer {
    let allowed: Vec<String> = ALLOWED_HEADERS.iter().map(ToString::to_string).collect();
    Answer { status: 204, headers: Vec::new(), content: Content::Empty }
        .with("access-control-allow-methods", "GET, POST, PUT, PATCH".to_owned())
        .with("access-control-allow-headers", allowed.join(", "))
        .with("access-control-max-age", "600".to_owned())
}
