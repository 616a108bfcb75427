//! What a request has to pass: the name by which it asks, where a page comes from, the app's token,
//! its rate, the route, what the app may, and how long the body is.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
    header::{self, HeaderName},
};
use tokio::time::timeout;

use super::{
    apps::App,
    call::{Answer, Call},
    limits::{BODY_BYTES_MAX, REQUEST_TIME},
    problem::Problem,
    reply::{self, Body},
    routes::{self, Access},
    server::Shared,
};

/// What is known of a request when it is answered.
#[derive(Default)]
pub(super) struct Passed {
    /// Who asks, once that is known.
    pub(super) app: Option<String>,
    /// The route's path, with its braces.
    pub(super) route: &'static str,
    /// Whether refusals are told as FHIR has them.
    fhir: bool,
    /// The origin of the page that asks, if it may.
    origin: Option<String>,
}

impl Passed {
    pub(super) fn respond(
        self,
        answer: Result<Answer, Problem>,
    ) -> Result<Response<Body>, hyper::http::Error> {
        reply::respond(answer, self.fhir, self.origin.as_deref())
    }
}

/// Lets a request in, and has it answered.
pub(super) async fn pass(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> (Passed, Result<Answer, Problem>) {
    let path = request.uri().path();
    let fhir = path == "/fhir" || path.starts_with("/fhir/");
    let mut passed = Passed { fhir, ..Passed::default() };
    let answer = timeout(REQUEST_TIME, through(request, shared, &mut passed)).await;
    let late = "ask again, or for less";
    let answer = answer
        .unwrap_or_else(|_late| Err(Problem::new("timeout", "the answer took too long", late)));
    (passed, answer)
}

async fn through(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    passed: &mut Passed,
) -> Result<Answer, Problem> {
    let headers = request.headers();
    check_host(headers, &shared.setting.hosts)?;
    passed.origin = check_origin(headers, &shared.setting.origins)?;
    if passed.origin.is_some() && request.method() == Method::OPTIONS {
        return Ok(reply::preflight());
    }
    let app = who(headers, &shared)?;
    passed.app = Some(app.name.clone());
    shared.rates.take(&app.name, Instant::now()).map_err(|seconds| {
        let hint = format!("wait {seconds} s");
        let problem = Problem::new("too_many_requests", "this app asks too often", &hint);
        problem.with("retry-after", seconds.to_string())
    })?;
    let (route, path) = routes::find(&shared.routes, request.method(), request.uri().path())?;
    passed.route = route.path;
    if route.access == Access::Write && app.read_only {
        let hint = "add it again without --read-only, if it is to write";
        return Err(Problem::new("read_only", "this app may only read", hint));
    }
    let query = request.uri().query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let (headers, handle) = (headers.clone(), route.handle);
    let body = read(request.into_body()).await?;
    handle(Call { shared: Arc::clone(&shared), app, path, query, headers, body }).await
}

/// A page of another site whose name an attacker has made to mean this device asks by that name; so
/// names have to be known. An address in the place of a name proves that no such trick was played.
fn check_host(headers: &HeaderMap, known: &[String]) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or_else(|| {
        Problem::new("no_host", "the request has no Host header", "say whom you ask")
    })?;
    let name = host_name(host);
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_address || is_known || name.eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    let hint = "ask 127.0.0.1, or name the host in `hosts` under [http] in huza.toml";
    Err(Problem::new("wrong_host", "this daemon is not asked by that name", hint))
}

/// Without the port.
fn host_name(host: &str) -> &str {
    let after_bracket = host.rfind(']').map_or(0, |at| at + 1);
    match host.get(after_bracket..).and_then(|rest| rest.rfind(':')) {
        Some(colon) => host.get(..after_bracket + colon).unwrap_or(host),
        None => host,
    }
}

/// The origin of the page that asks, if it is one that may; none if no page does.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<Option<String>, Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    let known = allowed.iter().find(|known| origin.as_bytes() == known.as_bytes());
    let known = known.ok_or_else(|| {
        let hint = "name the origin in `origins` under [http] in huza.toml, if it may";
        Problem::new("origin", "pages of this origin may not ask", hint)
    })?;
    Ok(Some(known.clone()))
}

fn who(headers: &HeaderMap, shared: &Shared) -> Result<App, Problem> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let app = match token {
        Some((_, token)) => shared.apps.who(token.trim()).map_err(|error| {
            tracing::warn!(%error, "who may ask cannot be read");
            Problem::new(
                "apps_unreadable",
                "the list of apps cannot be read",
                "see `huza app list`",
            )
        })?,
        None => None,
    };
    app.ok_or_else(|| {
        let hint = "send `authorization: Bearer TOKEN`, with a token of `huza app add`";
        let problem = Problem::new("unauthorized", "the token is missing or not known", hint);
        problem.with("www-authenticate", "Bearer realm=\"huza\"")
    })
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let hint = format!("send at most {BODY_BYTES_MAX} bytes");
            let problem = Problem::new("too_large", "the body is too long", &hint);
            // What is left of it is not read.
            Err(problem.with("connection", "close"))
        }
        Err(_cut) => Err(Problem::new("malformed", "the body was cut", "send it again, whole")),
    }
}

/// Headers that pages may send.
pub(super) const ALLOWED_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("last-event-id"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_addresses_localhost_and_known_names_are_asked() {
        let known = ["phone.clinic".to_owned()];
        let check = |host| check_host(&of(header::HOST, host), &known).map_err(|one| one.code);
        for good in ["127.0.0.1:7071", "[::1]:7071", "[::1]", "LocalHost:1", "phone.clinic:80"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["evil.example:7071", "127.0.0.1.evil.example", "localhost.evil", ""] {
            assert_eq!(check(bad), Err("wrong_host"), "{bad}");
        }
        assert_eq!(check_host(&HeaderMap::new(), &[]).unwrap_err().code, "no_host");
    }

    #[test]
    fn pages_ask_only_from_origins_that_are_named() {
        let allowed = ["https://app.example".to_owned()];
        let check = |origin| check_origin(&of(header::ORIGIN, origin), &allowed);
        assert_eq!(check("https://app.example").unwrap().as_deref(), Some("https://app.example"));
        for other in ["https://evil.example", "null", "https://app.example.evil"] {
            assert_eq!(check(other).unwrap_err().code, "origin", "{other}");
        }
        assert_eq!(check_origin(&HeaderMap::new(), &allowed).unwrap(), None);
    }
}
