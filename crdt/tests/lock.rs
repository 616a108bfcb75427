//! The reader is locked and unlocked while the carrier goes on.

mod common;

use common::{Host, World, complete};
use huza_crdt::node::{Command, Event, ReaderState, Reply};
use huza_crdt::store::{Range, Table};
use huza_crdt::trust::Role;

fn two() -> (World, Host, Host, Host) {
    let mut world = World::new();
    let a = world.device(1, Role::Worker, &["01"]);
    let b = world.device(2, Role::Worker, &["01"]);
    let hub = world.device(3, Role::Hub, &[]);
    (world, a, b, hub)
}

#[test]
fn locking_seals_what_is_pending_and_the_carrier_gives_it_on() {
    let (mut world, mut a, mut b, mut hub) = two();
    a.person("Uwase");
    assert_eq!(a.status().pending, 1);
    a.lock();
    assert_eq!(a.status().reader, ReaderState::Locked);
    let refused = a.call(Command::Find { query: String::new(), limit: 1 });
    assert!(matches!(refused, Reply::Error(error) if error.code == "locked"));
    b.person("Keza");
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&a, pipe) && complete(&b, pipe));
    assert_eq!(b.found("uwase"), 1, "numbered and given while locked");
    let pipe = world.meet(&mut a, &mut hub);
    assert!(complete(&hub, pipe));
    assert_eq!(hub.found("keza"), 1, "carried while locked");
    a.unlock("worker 2");
    assert_eq!((a.found("uwase"), a.found("keza")), (1, 1), "it catches up");
    assert_eq!(a.status().reader, ReaderState::Open { worker: "worker 2".to_owned() });
    assert!(!a.rolled(), "locking is no reason to begin anew");
    a.person("Mutesi");
    assert!(a.first_record("mutesi").contains("worker 2"), "who unlocked it, wrote it");
    assert!(a.first_record("uwase").contains("worker 1"));
}

#[test]
fn a_device_that_starts_locked_carries_and_its_reader_follows_later() {
    let (mut world, mut a, mut b, _) = two();
    a.person("Uwase");
    a.start_locked();
    b.person("Keza");
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&b, pipe));
    assert_eq!(b.found("uwase"), 0, "what was not sealed is still the reader's");
    a.start_locked();
    a.unlock("worker 1");
    assert_eq!((a.found("uwase"), a.found("keza")), (1, 1));
    world.meet(&mut a, &mut b);
    assert_eq!(b.found("uwase"), 1);
    assert!(!a.rolled());
}

#[test]
fn a_copy_that_starts_locked_numbers_nothing_before_it_knows() {
    let (mut world, mut a, mut b, _) = two();
    a.person("Uwase");
    a.lock();
    let copy = a.backup();
    world.meet(&mut a, &mut b);
    let mut copy = a.over(copy);
    copy.start_locked_as_copy();
    let outbox = copy.store.load(&Range::all(Table::Outbox)).len();
    let pipe = world.meet(&mut copy, &mut b);
    assert!(complete(&b, pipe), "it carries");
    assert_eq!(copy.store.load(&Range::all(Table::Outbox)).len(), outbox, "and numbers nothing");
    copy.unlock("worker 1");
    assert!(copy.rolled());
    world.meet(&mut copy, &mut b);
    assert_eq!(b.found("uwase"), 1);
    let forks = b.events.iter().filter(|event| matches!(event, Event::Forked { .. })).count();
    assert_eq!(forks, 0);
}

/// What an earlier incarnation wrote is sealed only when everything carried is filed, and a reader
/// that is being locked files nothing else.
#[test]
fn a_reader_is_locked_while_a_new_incarnation_begins() {
    let (mut world, mut a, mut b, _) = two();
    b.person("Keza");
    world.meet(&mut a, &mut b);
    a.person("Uwase");
    let welcome = world.welcome(&mut a, Role::Worker, &["01"]);
    let join = Command::Join { welcome };
    a.call_at_once(vec![join, Command::Lock]);
    assert!(a.rolled());
    assert_eq!(a.status().reader, ReaderState::Locked);
    world.meet(&mut a, &mut b);
    assert_eq!(b.found("uwase"), 1);
}

#[test]
fn the_trail_tells_who_read_and_an_edit_of_it_is_noticed() {
    let (_, mut a, ..) = two();
    let record = a.person("Uwase");
    a.show(record);
    a.lock();
    a.unlock("worker 2");
    a.found("uwase");
    let trail = |a: &mut Host| match a.call(Command::Audit { after: None }) {
        Reply::Audited { entries, whole, .. } => (entries, whole),
        other => panic!("{other:?}"),
    };
    let (entries, whole) = trail(&mut a);
    assert!(whole);
    let told: Vec<(&str, &str)> =
        entries.iter().map(|one| (one.worker.as_str(), one.action.name())).collect();
    assert!(told.contains(&("worker 1", "read")) && told.contains(&("worker 2", "searched")));
    assert!(entries.iter().all(|one| !one.subject.contains("Uwase")), "ids, no names");
    a.lock();
    // Somebody with the reader's file and its key writes a consistent, shorter trail.
    let mut batch = huza_crdt::store::Batch::default();
    for (key, _) in a.store.load(&Range::all(Table::Audit)) {
        batch.delete(Table::Audit, key);
    }
    let head = huza_crdt::audit::AuditHead::default();
    batch.put(Table::ReaderMeta, *b"audit", huza_crdt::codec::encode(&head));
    a.store.apply(&batch);
    a.unlock("worker 1");
    assert!(!trail(&mut a).1, "the carrier remembers where it ended");
    a.lock();
    a.unlock("worker 1");
    assert!(!trail(&mut a).1, "and does not forget");
}
