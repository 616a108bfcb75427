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
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for FhirServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file of the certificates that tests use.
pub(crate) fn certificate(name: &str) -> PathBuf {
    super::fixture("tls").join(name)
}
