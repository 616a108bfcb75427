//! Homes, commands with and without a daemon, and daemons that meet.

mod driver_support;

use std::{collections::BTreeMap, path::Path};

use driver_support::{
    Authority, Daemon, PATIENCE, bundle, call, eventually, found, init, offline, options, person,
    records, written,
};
use huza_crdt::{
    node::{Command, Event, Reply},
    time::Stamp,
    trust::Role,
};
use huza_daemon::{
    Client, ClientError, Home, HomeError, InitOptions, RunError, RunOptions, ShellEvent,
    gateway::FacilitySetting, run,
};
use tokio::sync::mpsc;

async fn request_of(home: &Path) -> Reply {
    offline(home, Command::Request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_init_is_refused_and_the_first_home_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("deep/er/home");
    let request = init(&home, "one", true);
    let again = Home::init(&home, &InitOptions::unprotected("two", true));
    let error = again.unwrap_err();
    assert!(matches!(error, HomeError::Exists(_)), "{error}");
    let Reply::Request { request: later } = request_of(&home).await else { panic!("a request") };
    assert_eq!((later.device, later.sealing), (request.device, request.sealing));
    let beside: Vec<_> = std::fs::read_dir(home.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing half-made is left: {beside:?}");
}

#[test]
fn a_home_is_made_only_where_nothing_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions::unprotected("phone", true);
    let occupied = dir.path().join("occupied");
    std::fs::create_dir(&occupied).unwrap();
    std::fs::write(occupied.join("notes.txt"), b"mine").unwrap();
    assert!(matches!(Home::init(&occupied, &options), Err(HomeError::NotEmpty(_))));
    assert_eq!(std::fs::read(occupied.join("notes.txt")).unwrap(), b"mine");
    let file = dir.path().join("file");
    std::fs::write(&file, b"mine").unwrap();
    assert!(matches!(Home::init(&file, &options), Err(HomeError::Name(_))));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    Home::init(&empty, &options).unwrap();
    let missing = Home::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("huza init --home"), "{missing}");
}

#[test]
fn what_an_interrupted_init_left_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let building = dir.path().join(".home.new");
    std::fs::create_dir(&building).unwrap();
    for left in ["carrier.redb", "reader.redb.new", "lock"] {
        std::fs::write(building.join(left), b"half").unwrap();
    }
    init(&dir.path().join("home"), "phone", true);
    assert!(!building.exists());
}

#[cfg(unix)]
#[test]
fn a_home_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    init(&home, "phone", true);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    assert_eq!(mode(&home.join("carrier.redb")), 0o600);
    assert_eq!(mode(&home.join("reader.redb")), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_has_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("relay");
    init(&home, "relay", false);
    assert!(!home.join("reader.redb").exists());
    assert!(!Home::open(&home).unwrap().has_reader());
    assert!(matches!(request_of(&home).await, Reply::Request { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_in_use_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    init(&home, "phone", true);
    let opened = Home::open(&home).unwrap();
    let lock = opened.lock().unwrap();
    let own = std::process::id();
    let (events, _events) = mpsc::channel(16);
    let refused = run(opened.clone(), options(), events, std::future::pending::<()>()).await;
    match refused {
        Err(RunError::Home(error @ HomeError::InUse { process: Some(process), .. })) => {
            assert_eq!(process, own);
            assert!(error.to_string().contains(&format!("in use by process {own}")), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let refused = Client::open(&home).await.unwrap_err();
    assert!(matches!(refused, ClientError::Home(HomeError::InUse { .. })), "{refused}");
    drop(lock);
    assert!(matches!(request_of(&home).await, Reply::Request { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_at_once_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let home = Authority::found().enrol(dir.path(), "phone", Role::Worker).await;
    let adding = ["Aline", "Bosco", "Chantal"].map(|name| {
        let home = home.clone();
        tokio::spawn(async move { written(call(&home, person(name)).await) })
    });
    for adding in adding {
        adding.await.unwrap();
    }
    assert_eq!(found(&home, "Uwase").await.len(), 3);
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    init(&home, "phone", true);
    std::fs::write(home.join("huza.toml"), "dail = [\"10.0.0.1:4001\"]").unwrap();
    let error = Home::open(&home).unwrap_err().to_string();
    assert!(error.contains("`dail`") && error.contains("huza.toml"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_sees_the_same_data_with_and_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let home = Authority::found().enrol(dir.path(), "phone", Role::Worker).await;
    let before = written(offline(&home, person("Aline")).await);
    let daemon = Daemon::start(&home, &[]).await;
    let mut client = Client::open(&home).await.unwrap();
    assert!(client.is_daemon());
    let during = written(client.call(person("Bosco")).await.unwrap());
    client.close().await;
    let mut both = found(&home, "Uwase").await;
    both.sort();
    daemon.stop().await;
    assert!(!home.join("huza.sock").exists(), "the socket goes with the daemon");
    let mut after = found(&home, "Uwase").await;
    after.sort();
    assert_eq!(after, both);
    let mut expected = vec![before, during];
    expected.sort();
    assert_eq!(after, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_through_its_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let request = init(&home, "phone", true);
    let daemon = Daemon::start(&home, &[]).await;
    let reply = call(&home, Command::Request).await;
    assert!(matches!(reply, Reply::Request { request: one } if one.device == request.device));
    let welcome = Authority::found().approve(&request, Role::Worker);
    let reply = call(&home, Command::Join { welcome }).await;
    assert!(matches!(reply, Reply::Joined { .. }), "{reply:?}");
    daemon.stop().await;
    written(offline(&home, person("Aline")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_with_a_long_path_works_with_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(100)).join("y".repeat(100));
    let home = Authority::found().enrol(&deep, "phone", Role::Worker).await;
    let daemon = Daemon::start(&home, &[]).await;
    let mut client = Client::open(&home).await.unwrap();
    assert!(client.is_daemon());
    written(client.call(person("Aline")).await.unwrap());
    client.close().await;
    daemon.stop().await;
    assert_eq!(found(&home, "Aline").await.len(), 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_socket_gets_an_answer_and_hurts_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    init(&home, "phone", true);
    let daemon = Daemon::start(&home, &[]).await;
    let nonsense: [&[u8]; 3] =
        [b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x09not json!", b"\xff\xff\xff\xff"];
    for bytes in nonsense {
        let mut stream = tokio::net::UnixStream::connect(home.join("huza.sock")).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let length = usize::try_from(stream.read_u32().await.unwrap()).unwrap();
        let mut reply = vec![0; length];
        stream.read_exact(&mut reply).await.unwrap();
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.contains("\"reply\":\"error\""), "{reply}");
    }
    // A frame that is cut.
    let mut stream = tokio::net::UnixStream::connect(home.join("huza.sock")).await.unwrap();
    stream.write_all(b"\x00\x00\x00\xff{").await.unwrap();
    drop(stream);
    assert!(matches!(call(&home, Command::Request).await, Reply::Request { .. }));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_exchange_a_visit() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let one = authority.enrol(dir.path(), "one", Role::Worker).await;
    let two = authority.enrol(dir.path(), "two", Role::Worker).await;
    let record = written(offline(&one, person("Aline")).await);
    let answers = [
        ("round", "2"),
        ("lmp", "2026-06-01"),
        ("weight", "61.5"),
        ("systolic", "118"),
        ("diastolic", "76"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()));
    let visit = Command::AddVisit {
        record,
        form: "anc".to_owned(),
        occurred: Stamp(1_795_000_000),
        answers: BTreeMap::from(answers),
    };
    let listening = Daemon::start(&one, &[]).await;
    let reply = call(&one, visit).await;
    let visited = matches!(reply, Reply::Written { visit: Some(_), .. });
    assert!(visited, "{reply:?}");
    let mut dialling = Daemon::start(&two, &listening.addresses[..1]).await;
    dialling.until(|e| matches!(e, ShellEvent::Node(Event::ContactComplete { .. }))).await;
    eventually("the record is found on the other phone", async || {
        found(&two, "Aline").await == [record]
    })
    .await;
    // What is recorded during the contact goes along too.
    let later = written(call(&one, person("Bosco")).await);
    assert!(matches!(call(&one, Command::Seal).await, Reply::Sealed { .. }));
    eventually("the later record is found", async || found(&two, "Bosco").await == [later]).await;
    dialling.stop().await;
    listening.stop().await;
    let remembered = std::fs::read_to_string(two.join("peers.json")).unwrap();
    assert!(remembered.contains("/ip4/127.0.0.1/"), "{remembered}");
    assert_eq!(found(&two, "Uwase").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_reaches_the_facility_and_the_receipt_comes_home() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let phone = authority.enrol(dir.path(), "phone", Role::Worker).await;
    let gateway = authority.enrol(dir.path(), "gateway", Role::Gateway).await;
    let facility = dir.path().join("facility");
    let reply = offline(&phone, bundle("p1", "61.50")).await;
    assert!(matches!(reply, Reply::Imported { resources: 2, .. }), "{reply:?}");
    let place = FacilitySetting::Directory(facility.clone());
    let options = RunOptions { facility: Some(place), ..options() };
    let hub = Daemon::start_with(&gateway, options).await;
    let daemon = Daemon::start(&phone, &hub.addresses[..1]).await;
    eventually("the facility's receipt is on the phone", async || {
        let records = records(&phone).await;
        records.len() == 1 && records.values().all(|record| record.accepted)
    })
    .await;
    daemon.stop().await;
    hub.stop().await;
    let text = std::fs::read_to_string(facility.join("resources.ndjson")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("\"value\":61.50"), "{text}");
    let receipts = records(&phone).await.into_values().flat_map(|record| record.receipts);
    assert!(receipts.into_iter().all(|receipt| receipt.verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_programme_is_shut_out_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let one = Authority::found().enrol(dir.path(), "one", Role::Worker).await;
    let foreign = Authority::with_seed(7).enrol(dir.path(), "foreign", Role::Worker).await;
    written(offline(&one, person("Aline")).await);
    let mut listening = Daemon::start(&one, &[]).await;
    let dialling = Daemon::start(&foreign, &listening.addresses[..1]).await;
    let fault = |event: &ShellEvent| match event {
        ShellEvent::Node(Event::ContactEnded { fault, peer, .. }) => {
            assert_eq!(*peer, None);
            fault.is_some()
        }
        ShellEvent::Node(Event::Met { .. }) => panic!("met a stranger"),
        _ => false,
    };
    listening.until(fault).await;
    dialling.stop().await;
    listening.stop().await;
    assert!(found(&foreign, "Uwase").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_home_begins_a_new_incarnation_and_the_original_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let home = Authority::found().enrol(dir.path(), "phone", Role::Worker).await;
    written(offline(&home, person("Aline")).await);
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["carrier.redb", "reader.redb", "vault"] {
        std::fs::copy(home.join(file), copy.join(file)).unwrap();
    }
    let rolled = |event: &ShellEvent| matches!(event, ShellEvent::Node(Event::Rolled { .. }));
    let original = Daemon::start(&home, &[]).await;
    assert!(!original.seen.iter().any(rolled));
    original.stop().await;
    let mut copied = Daemon::start(&copy, &[]).await;
    if !copied.seen.iter().any(rolled) {
        copied.until(rolled).await;
    }
    copied.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_an_error_that_leaves_the_home_free() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    init(&one, "one", true);
    init(&two, "two", true);
    let daemon = Daemon::start(&one, &[]).await;
    let quic = daemon.addresses.iter().find(|address| address.contains("/quic-v1")).unwrap();
    let taken = RunOptions { listen: vec![quic.clone()], ..options() };
    let (events, _events) = mpsc::channel(16);
    let opened = Home::open(&two).unwrap();
    let running = run(opened, taken, events, std::future::pending::<()>());
    let error = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap_err();
    assert!(matches!(error, RunError::Net(_)), "{error}");
    assert!(matches!(request_of(&two).await, Reply::Request { .. }));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_listen_to_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    init(&home, "phone", true);
    let (events, unheard) = mpsc::channel(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(run(Home::open(&home).unwrap(), options(), events, stopped));
    drop(unheard);
    // Before it has its socket, a client would take the home from it.
    eventually("the daemon answers", async || home.join("huza.sock").exists()).await;
    assert!(matches!(call(&home, Command::Request).await, Reply::Request { .. }));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[test]
fn a_home_whose_reader_is_gone_is_not_taken_for_a_relay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone");
    Home::init(&path, &InitOptions::unprotected("phone", true)).unwrap();
    std::fs::remove_file(path.join("reader.redb")).unwrap();
    assert!(matches!(Home::open(&path), Err(huza_daemon::HomeError::MissingReader(_))));
}
