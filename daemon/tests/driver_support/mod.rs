//! Devices of a small programme, with real files and sockets.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use huza_crdt::{
    crypto::Entropy,
    id::RecordId,
    node::{AreaRef, Command, Event, RecordStatus, Reply},
    time::Stamp,
    trust::{
        Role,
        approval::{Approval, JoinRequest, Welcome},
        paper::{Centre, Programme},
    },
};
use huza_daemon::{
    Client, Home, InitOptions, RunError, RunOptions, ShellEvent, run,
    vault::{NewSecret, Secret, Unlock, VaultCommand, VaultReply},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The authority of one health centre with two villages.
pub(crate) struct Authority {
    centre: Centre,
    entropy: Entropy,
}

impl Authority {
    pub(crate) fn found() -> Self {
        Self::with_seed(42)
    }

    pub(crate) fn with_seed(seed: u8) -> Self {
        let mut entropy = Entropy::new([seed; 32]);
        let villages = ["01".to_owned(), "02".to_owned()];
        let centre = Programme::found("test", &mut entropy)
            .certify_centre("HC1", &villages, Stamp(1), &mut entropy)
            .unwrap();
        Self { centre, entropy }
    }

    /// What it keeps.
    pub(crate) const fn centre(&self) -> &Centre {
        &self.centre
    }

    pub(crate) fn approve(&mut self, request: &JoinRequest, role: Role) -> Welcome {
        let villages = if role == Role::Worker { vec!["01".to_owned()] } else { Vec::new() };
        {
            let mut approval = Approval::of(role, &villages);
            // The devices have real clocks.
            approval.any_date = true;
            self.centre.approve(request, &approval, Stamp(2), &mut self.entropy).unwrap()
        }
    }

    /// A home in `dir/name`, joined.
    pub(crate) async fn enrol(&mut self, dir: &Path, name: &str, role: Role) -> PathBuf {
        let home = dir.join(name);
        let request = init(&home, name, role != Role::Relay);
        let welcome = self.approve(&request, role);
        let reply = offline(&home, Command::Join { welcome }).await;
        assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
        home
    }
}

impl Authority {
    /// A home with a passphrase in `dir/name`, joined and closed.
    pub(crate) async fn enrol_protected(&mut self, dir: &Path, name: &str) -> PathBuf {
        let home = dir.join(name);
        let secret = NewSecret::Passphrase(Secret::new(PASSPHRASE.to_owned()));
        let (label, worker) = (name.to_owned(), "Aline".to_owned());
        let options = InitOptions { label, reader: true, worker, secret };
        let request = Home::init(&home, &options).unwrap();
        let welcome = self.approve(&request, Role::Worker);
        let mut client = unlocked(&home).await;
        let reply = client.call(Command::Join { welcome }).await.unwrap();
        assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
        client.close().await;
        home
    }
}

/// What opens a home of [`Authority::enrol_protected`].
pub(crate) const PASSPHRASE: &str = "ibirayi bine";

/// A way to a protected home, unlocked.
pub(crate) async fn unlocked(home: &Path) -> Client {
    let mut client = Client::open(home).await.unwrap();
    let command = VaultCommand::Unlock(Unlock::with(PASSPHRASE));
    let reply = client.vault(command).await.unwrap();
    assert_eq!(reply, VaultReply::Unlocked { worker: "Aline".to_owned() });
    client
}

pub(crate) fn init(home: &Path, label: &str, reader: bool) -> JoinRequest {
    Home::init(home, &InitOptions::unprotected(label, reader)).unwrap()
}

/// One command on a home without a daemon.
pub(crate) async fn offline(home: &Path, command: Command) -> Reply {
    let mut client = Client::open(home).await.unwrap();
    assert!(!client.is_daemon());
    let reply = client.call(command).await.unwrap();
    client.close().await;
    reply
}

/// One command on a home, however.
pub(crate) async fn call(home: &Path, command: Command) -> Reply {
    let mut client = Client::open(home).await.unwrap();
    let reply = client.call(command).await.unwrap();
    client.close().await;
    reply
}

pub(crate) fn person(given: &str) -> Command {
    let fields = [("name/given", given), ("name/family", "Uwase"), ("sex", "female")];
    Command::AddPerson {
        area: AreaRef::Own,
        fields: fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    }
}

pub(crate) fn written(reply: Reply) -> RecordId {
    match reply {
        Reply::Written { record, .. } => record,
        other => panic!("not written: {other:?}"),
    }
}

pub(crate) fn bundle(id: &str, value: &str) -> Command {
    let text = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[
        {{"resource":{{"resourceType":"Patient","id":"{id}","gender":"female",
          "name":[{{"family":"Uwase","given":["Aline"]}}]}}}},
        {{"resource":{{"resourceType":"Observation","id":"o-{id}","status":"final",
          "code":{{"text":"weight"}},"subject":{{"reference":"Patient/{id}"}},
          "valueQuantity":{{"value":{value},"unit":"kg"}}}}}}]}}"#
    );
    Command::Import { area: AreaRef::Own, text, source: Some("clinic".to_owned()) }
}

/// How many persons a home finds.
pub(crate) async fn found(home: &Path, query: &str) -> Vec<RecordId> {
    match call(home, Command::Find { query: query.to_owned(), limit: 100 }).await {
        Reply::Found { records } => records.iter().map(|found| found.record).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn records(home: &Path) -> BTreeMap<RecordId, RecordStatus> {
    match call(home, Command::Status { records: true }).await {
        Reply::Status(status) => {
            status.records.into_iter().map(|record| (record.record, record)).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// A daemon in this process.
pub(crate) struct Daemon {
    pub(crate) home: PathBuf,
    pub(crate) events: mpsc::Receiver<ShellEvent>,
    pub(crate) addresses: Vec<String>,
    /// What happened until it was ready.
    pub(crate) seen: Vec<ShellEvent>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Daemon {
    /// Runs a daemon on `home` that listens on loopback and dials `dial`; returns when it is
    /// ready and listens.
    pub(crate) async fn start(home: &Path, dial: &[String]) -> Self {
        Self::start_with(home, RunOptions { dial: dial.to_vec(), ..options() }).await
    }

    pub(crate) async fn start_with(home: &Path, options: RunOptions) -> Self {
        let (events_in, events) = mpsc::channel(1_024);
        let (stop, stopped) = oneshot::channel::<()>();
        let opened = Home::open(home).unwrap();
        let wanted = options.listen.len();
        let task = tokio::spawn(run(opened, options, events_in, stopped));
        let (home, addresses, seen) = (home.to_owned(), Vec::new(), Vec::new());
        let mut daemon = Self { home, events, addresses, seen, stop, task };
        let mut ready = false;
        while !ready || daemon.addresses.len() < wanted {
            let event = daemon.next_event().await;
            match &event {
                ShellEvent::Node(Event::Ready) => ready = true,
                ShellEvent::Listening { address } => daemon.addresses.push(address.clone()),
                _ => {}
            }
            daemon.seen.push(event);
        }
        daemon
    }

    pub(crate) async fn next_event(&mut self) -> ShellEvent {
        match tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap() {
            Some(event) => event,
            None => panic!("the daemon has ended: {:?}", (&mut self.task).await),
        }
    }

    /// Waits for an event.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&ShellEvent) -> bool) -> ShellEvent {
        loop {
            let event = self.next_event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Ends it as a killed process ends: nothing is finished, nothing told.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        // The system would close a killed process's files at once; here its threads still do.
        let open = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = std::fs::read_link(entry.unwrap().path()).unwrap_or_default();
            path.starts_with(&self.home) && path.extension().is_some_and(|end| end == "redb")
        };
        let until = Instant::now() + PATIENCE;
        while std::fs::read_dir("/proc/self/fd").is_ok_and(|mut all| all.any(open)) {
            assert!(Instant::now() < until, "a store stays open");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Loopback only, nobody found by chance.
pub(crate) fn options() -> RunOptions {
    RunOptions {
        listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".to_owned(), "/ip4/127.0.0.1/tcp/0".to_owned()],
        mdns: Some(false),
        redial_ms_max: Some(500),
        ..RunOptions::default()
    }
}

/// Repeats `look` until it says yes.
pub(crate) async fn eventually(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !look().await {
        assert!(Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
