//! What the tests share: a folder with a programme, the `huza` binary, running daemons.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail as tests do"
)]

pub(crate) mod fhir;
pub(crate) mod hidden;
pub(crate) mod http;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON object: {error}\n{self:?}"))
    }

    /// Fails the test unless the command succeeded.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Fails the test unless the command failed with this exit code and this error's code.
    pub(crate) fn failed_in_json(self, code: i32, error: &str) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        let told: Value = serde_json::from_str(&self.stderr).unwrap();
        assert_eq!(told["error"]["code"], error, "{self:?}");
        self
    }

    /// Fails the test unless the command failed with this exit code and these words, printed
    /// nothing else, and said what to do.
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "a failure answers nothing");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "one line: {self:?}");
        assert!(self.stderr.matches(". ").count() >= 1, "two sentences: {self:?}");
        for word in words {
            let said = self.stderr.to_lowercase().contains(&word.to_lowercase());
            assert!(said, "no {word:?} in {self:?}");
        }
        self
    }
}

/// The binary, with no settings from the environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huza"));
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("HUZA_")) {
        command.env_remove(name);
    }
    command.env("HUZA_WORKER", "tester").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn huza<I>(args: I) -> Answer
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let output = command().args(args).output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command to its end, with a text pasted on stdin.
pub(crate) fn pasted(args: &[&str], text: &str) -> Answer {
    let mut command = command();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What opens the devices of [`Lab::protected`].
pub(crate) const PASSPHRASE: &str = "ibirayi bine";

/// What opens the keys on paper.
pub(crate) const PAPER: &str = "impapuro zifunze";

/// A programme with one health centre (`0512`) and villages `01` and `02`.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::of("0512", ["01", "02"])
    }

    /// With other codes.
    pub(crate) fn of(catchment: &str, villages: [&str; 2]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let (paper, secret) = (lab.path("paper"), lab.secret("paper", PAPER));
        let mut args = vec!["authority", "create", "--programme", "Tests", "--unprotected"];
        args.extend(["--catchment", catchment, "--paper", paper.to_str().unwrap()]);
        args.extend(["--paper-passphrase-file", secret.to_str().unwrap()]);
        args.extend(villages.into_iter().flat_map(|village| ["--village", village]));
        lab.on("authority", &args).done();
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command on the home `name`.
    pub(crate) fn on(&self, name: &str, args: &[&str]) -> Answer {
        let home = self.path(name);
        huza(args.iter().map(OsStr::new).chain([OsStr::new("--home"), home.as_os_str()]))
    }

    /// The same, answered in JSON.
    pub(crate) fn ask(&self, name: &str, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.on(name, &args).done().json()
    }

    /// Makes an unprotected device and its request, `NAME.request`.
    pub(crate) fn init(&self, name: &str) {
        let request = self.path(&format!("{name}.request"));
        let file = request.to_str().unwrap();
        self.on(name, &["init", "--unprotected", "--label", name, "--request", file]).done();
    }

    /// A file that holds a secret, `NAME.secret`.
    pub(crate) fn secret(&self, name: &str, secret: &str) -> PathBuf {
        let path = self.path(&format!("{name}.secret"));
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        path
    }

    /// Makes a member with a passphrase, [`PASSPHRASE`]; gives the file that holds it.
    pub(crate) fn protected(&self, name: &str, role: &str, villages: &[&str]) -> String {
        self.protected_for(name, "tester", role, villages)
    }

    /// The same, for this worker.
    pub(crate) fn protected_for(
        &self,
        name: &str,
        worker: &str,
        role: &str,
        villages: &[&str],
    ) -> String {
        let secret = self.secret(name, PASSPHRASE).to_str().unwrap().to_owned();
        let request = self.path(&format!("{name}.request"));
        let file = request.to_str().unwrap();
        let init = ["init", "--label", name, "--request", file, "--passphrase-file", &secret];
        self.on(name, &[&init[..], &["--worker", worker]].concat()).done();
        self.issue(name, role, villages);
        let welcome = self.path(&format!("{name}.welcome"));
        let join = ["join", welcome.to_str().unwrap(), "--passphrase-file", &secret];
        self.on(name, &join).done();
        secret
    }

    /// Approves the device; the welcome is `NAME.welcome`.
    pub(crate) fn issue(&self, name: &str, role: &str, villages: &[&str]) {
        let request = self.path(&format!("{name}.request"));
        let welcome = self.path(&format!("{name}.welcome"));
        let mut args = vec!["authority", "issue", "--role", role];
        args.extend(["--request", request.to_str().unwrap(), "--out", welcome.to_str().unwrap()]);
        args.extend(villages.iter().flat_map(|village| ["--village", *village]));
        self.on("authority", &args).done();
    }

    /// Makes a member.
    pub(crate) fn member(&self, name: &str, role: &str, villages: &[&str]) {
        self.init(name);
        self.issue(name, role, villages);
        let welcome = self.path(&format!("{name}.welcome"));
        self.on(name, &["join", welcome.to_str().unwrap()]).done();
    }

    /// Adds a person and gives the record's id.
    pub(crate) fn person(&self, on: &str, name: &str) -> String {
        let args = ["person", "add", "--name", name, "--sex", "female", "--birth-date", "1998"];
        self.ask(on, &args)["record"].as_str().unwrap().to_owned()
    }

    /// Records an antenatal visit with a note.
    pub(crate) fn visit(&self, on: &str, record: &str, note: &str) -> Value {
        let note = format!("note={note}");
        let mut args = vec!["visit", "add", record, "--form", "anc"];
        for set in ["round=1", "lmp=2026-05-30", "weight=62.5", "systolic=118", "diastolic=76"] {
            args.extend(["--set", set]);
        }
        args.extend(["--set", &note]);
        self.ask(on, &args)
    }

    /// Starts the daemon of a home.
    pub(crate) fn run(&self, name: &str, dial: Option<&str>) -> Daemon {
        self.run_with(name, dial, &[])
    }

    /// The same, with more said.
    pub(crate) fn run_with(&self, name: &str, dial: Option<&str>, more: &[&str]) -> Daemon {
        let mut command = command();
        command.args([
            "run",
            "--json",
            "--no-mdns",
            "--no-remember",
            "--listen",
            "127.0.0.1:0",
            "--home",
        ]);
        command.arg(self.path(name)).args(more).env("HUZA_LOG", "warn");
        if let Some(dial) = dial {
            command.args(["--dial", dial]);
        }
        Daemon::start(command)
    }

    /// Lets `from` dial `to`, waits until both hold the same, and ends both.
    pub(crate) fn meet(&self, from: &str, to: &str) {
        let mut listener = self.run(to, None);
        let address = listener.wait("listening")["address"].as_str().unwrap().to_owned();
        let mut dialler = self.run(from, Some(&address));
        dialler.wait("contact_complete");
        listener.wait("contact_complete");
        dialler.stop();
        listener.stop();
    }
}

/// A running `huza run --json`.
pub(crate) struct Daemon {
    child: Child,
    events: mpsc::Receiver<Value>,
    seen: Vec<String>,
}

impl Daemon {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = mpsc::sync_channel(1_024);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("every line is JSON");
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Self { child, events, seen: Vec::new() }
    }

    /// Waits for an event.
    pub(crate) fn wait(&mut self, name: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("no {name} after {:?}", self.seen));
            if event["event"] == name {
                return event;
            }
            self.seen.push(event["event"].to_string());
        }
    }

    /// Ends it and waits for that.
    pub(crate) fn stop(mut self) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status} after {:?}", self.seen);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing to do if it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every file below a folder with its content, sorted, without those that only tell that
/// somebody looked.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}
