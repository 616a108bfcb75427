//! Devices whose reader is locked and unlocked: what the carrier does meanwhile, and what comes of
//! what was recorded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod driver_support;

use std::{fs, path::Path, time::Duration};

use driver_support::{
    Authority, Daemon, PASSPHRASE, call, eventually, found, offline, options, person, unlocked,
    written,
};
use huza_crdt::{
    crypto::SealingKey,
    id::CertId,
    node::{Command, Event, Reply, Status},
    trust::{Role, recovery},
};
use huza_daemon::{
    Client, RunError, RunOptions, ShellEvent,
    vault::{NewSecret, Secret, Unlock, VaultCommand, VaultError, VaultReply},
};

fn find(query: &str) -> Command {
    Command::Find { query: query.to_owned(), limit: 10 }
}

fn pin(digits: &str) -> NewSecret {
    NewSecret::Pin(Secret::new(digits.to_owned()))
}

fn of(worker: &str, secret: &str) -> Unlock {
    Unlock { worker: Some(worker.to_owned()), ..Unlock::with(secret) }
}

fn is_complete(event: &ShellEvent) -> bool {
    matches!(event, ShellEvent::Node(Event::ContactComplete { .. }))
}

async fn vault(home: &Path, command: VaultCommand) -> VaultReply {
    let mut client = Client::open(home).await.unwrap();
    let reply = client.vault(command).await.unwrap();
    client.close().await;
    reply
}

async fn status(home: &Path) -> Status {
    match call(home, Command::Status { records: false }).await {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

/// The code of the error that a reply is.
fn code(reply: &Reply) -> &str {
    match reply {
        Reply::Error(error) => &error.code,
        other => panic!("{other:?}"),
    }
}

fn refused(reply: VaultReply) -> (String, String) {
    match reply {
        VaultReply::Error(error) => (error.code, error.message),
        other => panic!("{other:?}"),
    }
}

/// A phone whose daemon listens, for others to meet.
async fn neighbour(authority: &mut Authority, dir: &Path) -> (Daemon, std::path::PathBuf) {
    let home = authority.enrol(dir, "neighbour", Role::Worker).await;
    (Daemon::start(&home, &[]).await, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_daemon_carries_between_two_others_and_files_it_when_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let one = authority.enrol(dir.path(), "one", Role::Worker).await;
    let two = authority.enrol(dir.path(), "two", Role::Worker).await;
    let locked = authority.enrol_protected(dir.path(), "locked").await;
    written(offline(&one, person("Aline")).await);

    let giving = Daemon::start(&one, &[]).await;
    let mut carrying = Daemon::start(&locked, &giving.addresses[..1]).await;
    carrying.until(is_complete).await;
    eventually("the envelope is carried", async || status(&locked).await.envelopes == 1).await;
    giving.stop().await;
    assert_eq!(code(&call(&locked, find("Aline")).await), "locked");
    let mut taking = Daemon::start(&two, &carrying.addresses[..1]).await;
    taking.until(is_complete).await;
    eventually("the record came by the locked phone", async || {
        found(&two, "Aline").await.len() == 1
    })
    .await;
    taking.stop().await;

    unlocked(&locked).await.close().await;
    eventually("it is filed", async || found(&locked, "Aline").await.len() == 1).await;
    assert_eq!(vault(&locked, VaultCommand::Lock).await, VaultReply::Locked);
    assert_eq!(code(&call(&locked, find("Aline")).await), "locked");
    // And again, in one life of the daemon.
    unlocked(&locked).await.close().await;
    assert_eq!(found(&locked, "Aline").await.len(), 1);
    assert!(
        !carrying.seen.iter().any(|event| matches!(event, ShellEvent::Node(Event::Rolled { .. })))
    );
    carrying.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_seals_what_is_pending_and_the_next_contact_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let phone = authority.enrol_protected(dir.path(), "phone").await;
    let daemon = Daemon::start(&phone, &[]).await;
    unlocked(&phone).await.close().await;
    written(call(&phone, person("Aline")).await);
    written(call(&phone, person("Bosco")).await);
    assert_eq!(vault(&phone, VaultCommand::Lock).await, VaultReply::Locked);
    assert_eq!(status(&phone).await.envelopes, 0, "numbered only when somebody is met");
    daemon.stop().await;

    let (hub, other) = neighbour(&mut authority, dir.path()).await;
    let mut daemon = Daemon::start(&phone, &hub.addresses[..1]).await;
    daemon.until(is_complete).await;
    eventually("both came, though the phone is locked", async || {
        found(&other, "Uwase").await.len() == 2
    })
    .await;
    // What came back and forth fits together when it is unlocked.
    unlocked(&phone).await.close().await;
    assert_eq!(found(&phone, "Uwase").await.len(), 2);
    eventually("nothing is pending", async || status(&phone).await.pending == 0).await;
    daemon.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_locks_and_status_and_lock_wait_for_no_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let phone = authority.enrol_protected(dir.path(), "phone").await;
    let daemon = Daemon::start(&phone, &[]).await;
    unlocked(&phone).await.close().await;
    written(call(&phone, person("Aline")).await);
    // Enough failures that the next attempt waits for two seconds, and one more.
    let wrong = || VaultCommand::Unlock(Unlock::with("ibijumba bine"));
    for _ in 0..4 {
        refused(vault(&phone, wrong()).await);
    }
    let home = phone.clone();
    let waiting = tokio::spawn(async move {
        let mut client = Client::open(&home).await.unwrap();
        client.vault(wrong()).await
    });
    eventually("the attempt is counted", async || {
        let VaultReply::Vault { status, open } = vault(&phone, VaultCommand::Status).await else {
            panic!("no status")
        };
        assert_eq!(open.as_deref(), Some("Aline"));
        status.workers[0].failures == 5
    })
    .await;
    daemon.stop().await;
    // The attempt that waited was not made, and stays counted.
    let _cut = waiting.await.unwrap();
    let (hub, other) = neighbour(&mut authority, dir.path()).await;
    let daemon = Daemon::start(&phone, &hub.addresses[..1]).await;
    eventually("it was sealed", async || found(&other, "Aline").await.len() == 1).await;
    assert_eq!(vault(&phone, VaultCommand::Lock).await, VaultReply::Locked);
    daemon.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_while_it_locks_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let phone = authority.enrol_protected(dir.path(), "phone").await;
    for (round, micros) in [0_u64, 300, 1_000, 3_000, 10_000, 40_000].into_iter().enumerate() {
        let daemon = Daemon::start(&phone, &[]).await;
        unlocked(&phone).await.close().await;
        written(call(&phone, person(&format!("Keza{round}"))).await);
        let home = phone.clone();
        let locking = tokio::spawn(async move {
            let mut client = Client::open(&home).await.unwrap();
            let _answered = client.vault(VaultCommand::Lock).await;
        });
        tokio::time::sleep(Duration::from_micros(micros)).await;
        daemon.kill().await;
        locking.await.unwrap();
    }
    let (hub, other) = neighbour(&mut authority, dir.path()).await;
    let daemon = Daemon::start(&phone, &hub.addresses[..1]).await;
    unlocked(&phone).await.close().await;
    assert_eq!(found(&phone, "Keza").await.len(), 6);
    eventually("the other has all of them", async || found(&other, "Keza").await.len() == 6).await;
    daemon.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_says_how_many_there_were_and_what_the_next_waits() {
    let dir = tempfile::tempdir().unwrap();
    let phone = Authority::found().enrol_protected(dir.path(), "phone").await;
    let wrong = || VaultCommand::Unlock(Unlock::with("ibijumba bine"));
    let daemon = Daemon::start(&phone, &[]).await;
    let (kind, message) = refused(vault(&phone, wrong()).await);
    assert_eq!(kind, "wrong_secret");
    assert!(message.contains("1 failed attempt so far"), "{message}");
    daemon.stop().await;
    // The count goes on without a daemon, and at the start of one.
    let (_, message) = refused(vault(&phone, wrong()).await);
    assert!(message.contains("2 failed attempts"), "{message}");
    let opened = huza_daemon::Home::open(&phone).unwrap();
    let with = RunOptions { unlock: Some(Unlock::with("ibijumba bine")), ..options() };
    let (events, _events) = tokio::sync::mpsc::channel(16);
    let error = huza_daemon::run(opened, with, events, std::future::pending::<()>()).await;
    match error.unwrap_err() {
        RunError::Vault(error @ VaultError::WrongSecret { failures: 3, .. }) => {
            assert!(error.to_string().contains("the next one waits 1 s"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Then the right one, after its wait, at the start.
    let with = RunOptions { unlock: Some(Unlock::with(PASSPHRASE)), ..options() };
    let daemon = Daemon::start_with(&phone, with).await;
    written(call(&phone, person("Aline")).await);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_and_take_turns_while_the_daemon_runs() {
    let dir = tempfile::tempdir().unwrap();
    let phone = Authority::found().enrol_protected(dir.path(), "phone").await;
    let daemon = Daemon::start(&phone, &[]).await;
    let by = || of("Aline", PASSPHRASE);
    let add = VaultCommand::AddWorker { by: by(), worker: "Bosco".to_owned(), new: pin("0471") };
    match vault(&phone, add).await {
        VaultReply::Vault { status, open: None } => assert_eq!(status.workers.len(), 2),
        other => panic!("{other:?}"),
    }
    let open = async || match vault(&phone, VaultCommand::Status).await {
        VaultReply::Vault { open, .. } => open,
        other => panic!("{other:?}"),
    };
    for (worker, secret) in [("Aline", PASSPHRASE), ("Bosco", "0471"), ("Aline", PASSPHRASE)] {
        let reply = vault(&phone, VaultCommand::Unlock(of(worker, secret))).await;
        assert_eq!(reply, VaultReply::Unlocked { worker: worker.to_owned() });
        assert_eq!(open().await.as_deref(), Some(worker));
    }
    let change = VaultCommand::ChangeSecret { by: of("Bosco", "0471"), new: pin("1740") };
    assert!(matches!(vault(&phone, change).await, VaultReply::Vault { .. }));
    let old = vault(&phone, VaultCommand::Unlock(of("Bosco", "0471"))).await;
    assert_eq!(refused(old).0, "wrong_secret");
    let remove = VaultCommand::RemoveWorker { by: by(), worker: "Bosco".to_owned() };
    assert!(matches!(vault(&phone, remove).await, VaultReply::Vault { .. }));
    let gone = vault(&phone, VaultCommand::Unlock(of("Bosco", "1740"))).await;
    assert_eq!(refused(gone).0, "unknown_worker");
    assert_eq!(vault(&phone, VaultCommand::Lock).await, VaultReply::Locked);
    assert_eq!(open().await, None);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_a_client_unlocks_for_itself_and_seals_what_it_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let phone = authority.enrol_protected(dir.path(), "phone").await;
    assert_eq!(code(&offline(&phone, person("Aline")).await), "locked");
    assert!(matches!(offline(&phone, Command::Peers).await, Reply::Peers { .. }));
    let mut client = unlocked(&phone).await;
    written(client.call(person("Aline")).await.unwrap());
    client.close().await;
    assert_eq!(code(&offline(&phone, find("Aline")).await), "locked");
    let (hub, other) = neighbour(&mut authority, dir.path()).await;
    let daemon = Daemon::start(&phone, &hub.addresses[..1]).await;
    eventually("it leaves a locked phone", async || found(&other, "Aline").await.len() == 1).await;
    daemon.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_protected_home_tell_nothing_of_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let protected = authority.enrol_protected(dir.path(), "protected").await;
    let open = authority.enrol(dir.path(), "open", Role::Worker).await;
    let mut client = unlocked(&protected).await;
    written(client.call(person("Ntakirutimana")).await.unwrap());
    client.close().await;
    let clear = |home: &Path| {
        fs::read_dir(home).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            let bytes = if path.is_file() { fs::read(path).unwrap() } else { Vec::new() };
            bytes.windows(13).any(|window| window == b"Ntakirutimana")
        })
    };
    assert!(!clear(&protected));
    // Only the key is open there: the file itself is encrypted all the same.
    written(offline(&open, person("Ntakirutimana")).await);
    assert!(!clear(&open));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_centre_opens_a_phone_whose_worker_forgot_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let phone = Authority::found().enrol_protected(dir.path(), "phone").await;
    let (authority, sealing) = (CertId([7; 16]), SealingKey::from_seed([8; 32]));
    let device = status(&phone).await.device.unwrap();
    let (by, to) = (Unlock::with(PASSPHRASE), vec![(authority, sealing.public())]);
    let left = vault(&phone, VaultCommand::SetRecovery { by, device, to }).await;
    assert!(matches!(left, VaultReply::Vault { .. }), "{left:?}");
    let mut client = unlocked(&phone).await;
    written(client.call(person("Aline")).await.unwrap());
    client.close().await;

    let daemon = Daemon::start(&phone, &[]).await;
    let VaultReply::RecoveryRequest { request } =
        vault(&phone, VaultCommand::RecoveryRequest).await
    else {
        panic!("no request")
    };
    assert_eq!(request.device, device);
    let answer = recovery::answer(&request, authority, &sealing, [9; 32]).unwrap();
    let recover =
        |new| VaultCommand::Recover { answer: answer.clone(), worker: "Aline".to_owned(), new };
    let reply = vault(&phone, recover(pin("0471"))).await;
    assert_eq!(reply, VaultReply::Unlocked { worker: "Aline".to_owned() });
    assert_eq!(found(&phone, "Aline").await.len(), 1);
    assert_eq!(refused(vault(&phone, recover(pin("1111"))).await).0, "not_asked");
    daemon.stop().await;
    let mut client = Client::open(&phone).await.unwrap();
    let with_new = client.vault(VaultCommand::Unlock(Unlock::with("0471"))).await.unwrap();
    assert!(matches!(with_new, VaultReply::Unlocked { .. }));
    client.close().await;
}
