//! A FHIR server that others wrote, as a process: `.ci/fhir/server.mjs`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running server. Dropping it is SIGKILL.
pub(crate) struct FhirServer {
    child: Child,
    pub(crate) port: u16,
}

impl FhirServer {
    /// Starts one with these options; nothing if its modules are not installed, which only `.ci/run`
    /// insists on.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/fhir");
        if !folder.join("node_modules/@medplum/fhir-router").exists() {
            let required = std::env::var_os("HUZA_FHIR_OUT").is_some();
            assert!(!required, "no FHIR server: run `npm ci` in .ci/fhir");
            println!("skipped: no FHIR server; `npm ci` in .ci/fhir installs one");
            return None;
        }
        let mut child = Command::new("node")
            .args(["--experimental-websocket", "server.mjs"])
            .args(options)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, port: line.trim().parse().expect("the server prints its port") })
    }

    /// The base of its interface.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/fhir", self.port)
    }

    /// Everything it has: `Type/id` -> `versions`, `resource`.
    pub(crate) fn resources(&self) -> Value {
        self.ask("GET", "/resources", "")
    }

    /// Counts of requests.
    pub(crate) fn log(&self) -> Value {
        self.ask("GET", "/log", "")
    }

    /// Changes how it misbehaves.
    pub(crate) fn rules(&self, rules: &str) {
        self.ask("POST", "/rules", rules);
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        ask(self.port, method, path, body).expect("the server answers")
    }
}

impl Drop for FhirServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request; nothing if nobody answers.
fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// `helios-hfs`, which keeps what it has in a folder, as a process. Dropping it is SIGKILL.
pub(crate) struct Helios {
    child: Child,
    pub(crate) port: u16,
}

impl Helios {
    /// Starts the one that `.ci/fhir/helios` found, and waits until it answers.
    pub(crate) fn start(folder: &Path, port: u16) -> Self {
        let program = std::env::var_os("HUZA_HFS").expect("run .ci/fhir/helios");
        let parameters = std::env::var_os("HUZA_HFS_PARAMETERS").expect("run .ci/fhir/helios");
        std::fs::create_dir_all(folder).unwrap();
        let place = folder.join("search-parameters-r4.json");
        if !place.exists() {
            std::fs::copy(parameters, place).unwrap();
        }
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--database-url"])
            .arg(folder.join("fhir.db"))
            .env("HFS_DATA_DIR", folder)
            .env("HFS_VALIDATION_MODE", "enforce")
            .env("HFS_UI_ENABLED", "false")
            .env("HFS_BASE_URL", format!("http://127.0.0.1:{port}"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, port };
        for _ in 0..600 {
            if server.get("metadata").is_some() {
                return server;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("it does not answer; its log is {}", folder.join("log").display());
    }

    /// What it answers for a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        ask(self.port, "GET", &format!("/{path}"), "")
    }
}

impl Drop for Helios {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file of the certificates that tests use.
pub(crate) fn certificate(name: &str) -> PathBuf {
    super::fixture("tls").join(name)
}
