//! A daemon whose disk fails.

use huza_crdt::{
    node::{self, Carry, Command, Event, Node, Reply},
    store::StoreKind,
};

use super::*;
use crate::{
    Client, InitOptions,
    home::OpenStores,
    store::{
        Store,
        faulty::{Disk, Faults},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_daemon_with_a_clear_error_and_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    Home::init(&path, &InitOptions::unprotected("phone", false)).unwrap();
    let options = RunOptions { mdns: Some(false), ..RunOptions::default() };
    let options = RunOptions { listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()], ..options };
    let (events, mut told) = mpsc::channel(64);
    let mut driver = Driver::start(Home::open(&path).unwrap(), options, events).await.unwrap();
    // Another disk under the daemon, without keys yet.
    let disk = Disk::new(Faults::default());
    let carrier = Store::create_on(StoreKind::Carrier, disk.clone()).unwrap();
    (driver.stores, driver.answers) = Stores::start(OpenStores { carrier, reader: None }).unwrap();
    let config = node::Config {
        entropy: [1; 32],
        life: [1; 16],
        reader: node::ReaderState::Absent,
        erasure_delay_ms: 0,
        carry: Carry::default(),
    };
    driver.node = Node::new(config, driver.clock.now());
    let running = tokio::spawn(driver.run(core::future::pending::<()>()));
    loop {
        if matches!(told.recv().await.unwrap(), ShellEvent::Node(Event::Ready)) {
            break;
        }
    }
    disk.set_faults(Faults { written_bytes_max: Some(disk.written_bytes()), ..Faults::default() });
    let mut client = Client::open(&path).await.unwrap();
    let reply = client.call(Command::Init { label: "x".to_owned() }).await.unwrap();
    match reply {
        Reply::Error(error) => assert!(error.message.contains("disk is full"), "{error:?}"),
        other => panic!("{other:?}"),
    }
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, RunError::Store { source: StoreError::Full(_), .. }), "{error:?}");
    assert!(crate::error_chain(&error).contains("free some space"), "{error}");
}
