//! One `huza run` as a process of its own: started, listened to, ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::happening::{Happening, Stats, contact_with};
use super::programme::Member;
use crate::error::{Failure, Kind};

/// Events of one process that may wait to be read.
const EVENTS_QUEUED_MAX: usize = 1_024;

/// How long a process may take to end after it was asked to. // guess: it has sockets to close
const STOP_SECONDS: u64 = 15;

/// A free port of this machine, by TCP: no firewall between.
const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// Lines of its log that are shown when a process disappoints.
const LOG_LINES_SHOWN: usize = 8;

/// What is common to all processes.
#[derive(Debug)]
pub(in crate::commands) struct Machine {
    /// This very program, where it was when it began: it may be replaced meanwhile.
    pub(in crate::commands) program: PathBuf,
    /// Where each process writes its log.
    pub(in crate::commands) logs: PathBuf,
}

impl Machine {
    /// With logs in this folder, which is made.
    pub(in crate::commands) fn new(logs: PathBuf) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Kind::Storage, "program", format!("Cannot find this program: {error}"))
        })?;
        crate::files::private_folder(&logs)?;
        Ok(Self { program, logs })
    }
}

/// A running process.
#[derive(Debug)]
pub(in crate::commands) struct Running {
    member: Member,
    child: Child,
    events: mpsc::Receiver<Happening>,
    seen: Vec<Happening>,
    log: PathBuf,
}

impl Running {
    /// Starts the daemon of `member`, which dials `dial` and nobody else. If it has a passphrase,
    /// it starts locked.
    pub(in crate::commands) fn start(
        machine: &Machine,
        member: &Member,
        dial: Option<&str>,
    ) -> Result<Self, Failure> {
        Self::start_with(machine, member, dial, None)
    }

    /// The same, opened by whoever works with it.
    pub(in crate::commands) fn start_open(
        machine: &Machine,
        member: &Member,
        dial: &str,
    ) -> Result<Self, Failure> {
        Self::start_with(machine, member, Some(dial), member.passphrase.as_deref())
    }

    fn start_with(
        machine: &Machine,
        member: &Member,
        dial: Option<&str>,
        passphrase: Option<&Path>,
    ) -> Result<Self, Failure> {
        let log = machine.logs.join(format!("{}.log", member.name));
        let stderr = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .map_err(|error| Failure::file("write", &log, &error))?;
        let mut command = huza(&machine.program);
        command
            .arg("run")
            .args(["--json", "--no-mdns", "--no-remember", "--listen", LISTEN, "--home"])
            .arg(&member.home)
            .args(dial.map(|address| ["--dial", address]).into_iter().flatten())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true);
        if let Some(passphrase) = passphrase {
            command.arg("--passphrase-file").arg(passphrase);
        }
        if let Some(facility) = &member.facility {
            command.arg("--facility").arg(facility);
        }
        let mut child = command.spawn().map_err(|error| not_started(member, &error))?;
        let (sender, events) = mpsc::channel(EVENTS_QUEUED_MAX);
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(listen(stdout, sender));
        }
        Ok(Self { member: member.clone(), child, events, seen: Vec::new(), log })
    }

    /// Its process id, while it runs.
    pub(in crate::commands) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Waits until it says where it listens.
    pub(in crate::commands) async fn address(
        &mut self,
        deadline: Instant,
    ) -> Result<String, Failure> {
        let what = format!("{} to listen", self.member.title);
        let found = self.until(deadline, &what, |event| event.listening().is_some()).await?;
        Ok(found.listening().unwrap_or_default().to_owned())
    }

    /// Waits until it is connected to somebody.
    pub(in crate::commands) async fn connected(
        &mut self,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let what = format!("{} to be connected", self.member.title);
        self.until(deadline, &what, Happening::is_connection).await?;
        Ok(())
    }

    /// Waits until it and `other` hold the same.
    pub(in crate::commands) async fn complete_with(
        &mut self,
        other: &Member,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let what = format!("{} and {} to hold the same", self.member.title, other.title);
        self.until(deadline, &what, |event| event.is_complete_with(&other.device)).await?;
        Ok(())
    }

    /// Waits until it has heard that it is shut out itself.
    pub(in crate::commands) async fn shut_out(&mut self, deadline: Instant) -> Result<(), Failure> {
        let what = format!("{} to hear that it is shut out", self.member.title);
        self.until(deadline, &what, Happening::is_own_revocation).await?;
        Ok(())
    }

    async fn until(
        &mut self,
        deadline: Instant,
        what: &str,
        is_it: impl Fn(&Happening) -> bool,
    ) -> Result<Happening, Failure> {
        loop {
            let event = match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) => event,
                Ok(None) => return Err(self.ended_early(what).await),
                Err(_elapsed) => return Err(self.disappointed("waited in vain for", what)),
            };
            self.seen.push(event.clone());
            if is_it(&event) {
                return Ok(event);
            }
        }
    }

    /// Asks it to end, waits for that, and gives what its contact with `other` took.
    pub(in crate::commands) async fn stop(mut self, other: &Member) -> Result<Stats, Failure> {
        ask_to_end(&self.child);
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS);
        while let Ok(Some(event)) = timeout_at(deadline, self.events.recv()).await {
            self.seen.push(event);
        }
        match timeout_at(deadline, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => {
                return Err(self.disappointed(&format!("process ended with {status}"), "success"));
            }
            _ => return Err(self.disappointed("waited in vain for", "the process to end")),
        }
        Ok(contact_with(&other.device, &self.seen))
    }

    async fn ended_early(&mut self, what: &str) -> Failure {
        let status = self.child.wait().await;
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.disappointed(&format!("process ended ({how}) before"), what)
    }

    fn disappointed(&self, how: &str, what: &str) -> Failure {
        let message = format!("{}: {how} {what}", self.member.title);
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        let last = lines.get(from..).unwrap_or_default().join("\n");
        let hint = if last.is_empty() {
            "Run it again with --out DIR, and read what is in DIR/logs".to_owned()
        } else {
            format!("The last it wrote is:\n{last}\n")
        };
        Failure::new(Kind::Incomplete, "demo_stuck", message).hint(hint)
    }
}

/// The program, with no settings from the environment: only the intended pairs may meet.
pub(in crate::commands) fn huza(program: &Path) -> Command {
    let mut command = Command::new(program);
    let is_ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("HUZA_");
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_ours) {
        command.env_remove(name);
    }
    command
}

async fn listen(stdout: ChildStdout, events: mpsc::Sender<Happening>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some(event) = Happening::read(&line) else { continue };
        if events.send(event).await.is_err() {
            // Nobody waits for events any more, but the process must still be able to write.
            while let Ok(Some(_)) = lines.next_line().await {}
            return;
        }
    }
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    let id =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // It may have ended by itself; waiting for it tells.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
}

#[cfg(not(unix))]
fn ask_to_end(_child: &Child) {}

fn not_started(member: &Member, error: &std::io::Error) -> Failure {
    let message = format!("Cannot start the process of {}: {error}", member.title);
    Failure::new(Kind::Storage, "process", message).hint("See that more processes may be started")
}
