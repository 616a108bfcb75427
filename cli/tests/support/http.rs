//! An app that asks a daemon over HTTP, byte by byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Daemon, Lab};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }

    /// Fails the test unless it has this status; gives what was answered.
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// Fails the test unless it is refused with this code.
    pub(crate) fn refused(&self, status: u16, code: &str) {
        let told = self.is(status);
        assert_eq!((&told["code"], &told["status"]), (&code.into(), &status.into()), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(!told["hint"].as_str().unwrap().is_empty(), "what to do: {self:?}");
    }
}

/// An app with its token.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) port: u16,
    pub(crate) token: String,
    pub(crate) host: String,
}

impl App {
    pub(crate) fn new(port: u16, token: &str) -> Self {
        Self { port, token: token.to_owned(), host: format!("127.0.0.1:{port}") }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.ask(method, path, &[("content-type", "application/json")], &body.to_string())
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut stream = BufReader::new(self.open(method, path, headers, body));
        let mut response = head(&mut stream);
        stream.read_to_string(&mut response.body).unwrap();
        response
    }

    /// Sends a request; the answer is still to be read.
    pub(crate) fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if !self.token.is_empty() {
            text.push_str(&format!("authorization: Bearer {}\r\n", self.token));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = body.len();
        text.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
        stream.write_all(text.as_bytes()).unwrap();
        // A body that is too long is not read to its end.
        drop(stream.write_all(body.as_bytes()));
        stream
    }

    /// Follows what changes, from `last` on.
    pub(crate) fn follow(&self, last: Option<&str>) -> Events {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let mut stream = BufReader::new(self.open("GET", "/v1/changes", &headers, ""));
        let response = head(&mut stream);
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("content-type"), "text/event-stream");
        Events { stream }
    }
}

fn head(stream: &mut BufReader<TcpStream>) -> Response {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {line:?}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    Response { status, headers, body: String::new() }
}

/// Server-sent events, as they come.
#[derive(Debug)]
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    /// Waits for the next event; nothing when the stream is over.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // Lines of a chunked body: lengths of chunks among those of events.
            match line.trim_end().split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).unwrap();
                    return Some(event);
                }
                _ => {}
            }
        }
    }
}

/// A phone that serves apps, and its port.
pub(crate) fn serve(lab: &Lab, name: &str, more: &[&str]) -> (Daemon, u16) {
    let mut daemon = lab.run_with(name, None, &[&["--http", "127.0.0.1:0"], more].concat());
    let address = daemon.wait("http_listening")["address"].as_str().unwrap().to_owned();
    daemon.wait("started");
    (daemon, address.rsplit(':').next().unwrap().parse().unwrap())
}

/// Lets an app in; gives its token.
pub(crate) fn token(lab: &Lab, home: &str, args: &[&str]) -> String {
    lab.ask(home, &[&["app", "add"], args].concat())["token"].as_str().unwrap().to_owned()
}

/// A phone, its daemon, and an app that may write.
pub(crate) fn story() -> (Lab, Daemon, App) {
    let lab = Lab::new();
    lab.member("phone", "worker", &["01"]);
    let token = token(&lab, "phone", &["clinic"]);
    let (daemon, port) = serve(&lab, "phone", &[]);
    (lab, daemon, App::new(port, &token))
}

pub(crate) fn person(app: &App, given: &str) -> String {
    let fields = json!({ "name/given": given, "name/family": "Uwase", "sex": "female" });
    let added = app.send("POST", "/v1/persons", &json!({ "fields": fields }));
    let record = added.is(201)["record"].as_str().unwrap().to_owned();
    assert_eq!(added.header("location"), format!("/v1/persons/{record}"));
    record
}

pub(crate) fn visit(app: &App, record: &str) -> Value {
    let answers = json!({ "round": "2", "lmp": "2026-05-30", "weight": "62.50", "systolic": "165",
        "diastolic": "76" });
    let body = json!({ "form": "anc", "answers": answers, "occurred": "2026-11-20" });
    app.send("POST", &format!("/v1/persons/{record}/visits"), &body).is(201)
}
