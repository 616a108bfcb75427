//! A meeting, small: a hub and twenty phones, all real daemons with files and sockets, at once.
//! `huza bench meeting` measures one of a hundred.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod driver_support;

use driver_support::{
    Authority, Daemon, call, eventually, found, offline, options, person, written,
};
use huza_crdt::node::{Command, Event, Reply};
use huza_crdt::trust::Role;
use huza_daemon::{RunOptions, ShellEvent};

const PHONES: u64 = 20;

async fn envelopes(home: &std::path::Path) -> u64 {
    match call(home, Command::Status { records: false }).await {
        Reply::Status(status) => status.envelopes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_at_a_meeting_ends_with_everything_and_with_one_link() {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = Authority::found();
    let hub_home = authority.enrol(dir.path(), "hub", Role::Hub).await;
    let mut homes = Vec::new();
    for phone in 0..PHONES {
        let home = authority.enrol(dir.path(), &format!("phone-{phone}"), Role::Worker).await;
        written(offline(&home, person(&format!("Aline{phone}"))).await);
        homes.push(home);
    }
    let hub = Daemon::start(&hub_home, &[]).await;
    let dial = vec![hub.addresses.last().unwrap().clone()];
    let mut phones = Vec::new();
    for home in &homes {
        let one = RunOptions { dial: dial.clone(), ..options() };
        phones.push(Daemon::start_with(home, one).await);
    }
    eventually("the hub has everything", async || envelopes(&hub_home).await == PHONES).await;
    for phone in &phones {
        eventually("a phone has everything", async || {
            envelopes(&phone.home).await == PHONES
                && found(&phone.home, "Aline").await.len() as u64 == PHONES
        })
        .await;
    }
    // What one of them writes now reaches all.
    written(call(&phones[7].home, person("Claudine")).await);
    for phone in &phones {
        eventually("what is new", async || found(&phone.home, "Claudine").await.len() == 1).await;
    }
    for phone in &mut phones {
        let mut links = 0_u32;
        while let Ok(event) = phone.events.try_recv() {
            links += u32::from(matches!(event, ShellEvent::Node(Event::Met { .. })));
            assert!(!matches!(event, ShellEvent::Node(Event::ContactEnded { .. })), "{event:?}");
        }
        assert!(links <= 1, "only the hub's");
    }
    for phone in phones {
        phone.stop().await;
    }
    hub.stop().await;
}
