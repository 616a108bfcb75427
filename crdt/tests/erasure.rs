//! Erasure: the person goes, everybody else's records stay, with proof of their authors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{Host, World, complete};
use huza_crdt::id::RecordId;
use huza_crdt::node::{AreaRef, Command, Event, Order, Reply};
use huza_crdt::store::{Batch, MemoryStore, Range, StoreKind, Table};
use huza_crdt::trust::Role;

/// What an order says, and whether a store's tables hold these bytes anywhere.
fn holds(store: &MemoryStore, needle: &[u8]) -> bool {
    Table::ALL.iter().flat_map(|table| store.load(&Range::all(*table))).any(|(key, value)| {
        [key, value].iter().any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
    })
}

struct Story {
    world: World,
    authority: Host,
    hub: Host,
    a: Host,
    relay: Host,
    /// Erased.
    gone: RecordId,
    /// In the same envelopes.
    stays: RecordId,
}

fn story() -> Story {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut relay = world.device(4, Role::Relay, &[]);
    let gone = a.person("Ingabire");
    let stays = a.person("Uwase");
    assert!(matches!(
        a.visit(gone, &[("age-months", "14"), ("cough", "yes")]),
        Reply::Written { .. }
    ));
    assert!(matches!(
        a.visit(stays, &[("age-months", "15"), ("cough", "yes")]),
        Reply::Written { .. }
    ));
    assert!(matches!(
        a.visit(gone, &[("age-months", "14"), ("convulsions", "yes")]),
        Reply::Written { .. }
    ));
    for _ in 0..2 {
        world.meet(&mut a, &mut relay);
        world.meet(&mut relay, &mut hub);
        world.meet(&mut hub, &mut authority);
    }
    Story { world, authority, hub, a, relay, gone, stays }
}

impl Story {
    fn order(&mut self) {
        let reply = self.authority.order(Order::Erase { record: self.gone });
        assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    }

    fn gather(&mut self) {
        for _ in 0..2 {
            self.world.meet(&mut self.authority, &mut self.hub);
            self.world.meet(&mut self.hub, &mut self.relay);
            let pipe = self.world.meet(&mut self.relay, &mut self.a);
            assert!(complete(&self.a, pipe));
        }
    }
}

#[test]
fn an_order_removes_a_person_everywhere_and_nobody_else() {
    let mut story = story();
    assert_eq!(story.authority.found("ingabire"), 1);
    story.order();
    story.gather();
    let Story { mut world, mut authority, mut hub, mut a, relay, gone, stays } = story;
    for host in [&mut authority, &mut hub, &mut a] {
        assert_eq!((host.found("ingabire"), host.found("uwase")), (0, 1));
        assert!(host.show(gone).is_none());
        let shown = host.show(stays).unwrap();
        assert!(shown.contains("cough"), "the other person's visit stays: {shown}");
        assert!(shown.contains("worker 1"), "with its author");
        assert!(!holds(&host.store, b"Ingabire"), "in no table");
    }
    let stubs = relay.store.load(&Range::all(Table::Envelopes));
    let whole = stubs.iter().filter(|(_, value)| value.len() > 300).count();
    assert_eq!(whole, 1, "of {} envelopes the relay keeps the re-issued one whole", stubs.len());
    let erased = |event: &Event| matches!(event, Event::Erased { records: 1, .. });
    assert!(a.events.iter().any(erased));
    // A newcomer gets the rest, with its proof, and nothing of the person.
    let mut late = world.device(6, Role::Worker, &["01"]);
    let pipe = world.meet(&mut late, &mut hub);
    assert!(complete(&late, pipe));
    assert_eq!((late.found("ingabire"), late.found("uwase")), (0, 1));
    let shown = late.show(stays).unwrap();
    assert!(shown.contains("cough") && shown.contains("worker 1"), "{shown}");
    // Who knew the name may not bring the record back.
    for host in [&mut a, &mut hub] {
        host.restart(false);
        assert_eq!((host.found("ingabire"), host.found("uwase")), (0, 1));
    }
}

/// Who writes in another village cannot read there, and so not which record an order names.
#[test]
fn an_outsider_forgets_what_it_wrote_about_the_person() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut outsider = world.device(5, Role::Worker, &["02"]);
    let (_, area) = a.status().areas.first().unwrap().clone();
    world.meet(&mut outsider, &mut authority);
    let fields = [("name".to_owned(), "Ingabire".to_owned())].into();
    let command = Command::AddPerson { area: AreaRef::Tag(area), fields };
    let Reply::Written { record, .. } = outsider.call(command) else { panic!() };
    outsider.person("Keza");
    world.meet(&mut outsider, &mut authority);
    assert!(holds(&outsider.store, b"Ingabire"));
    let reply = authority.order(Order::Erase { record });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut outsider, &mut authority);
    assert!(!holds(&outsider.store, b"Ingabire"), "in no table");
    assert_eq!((outsider.found("ingabire"), outsider.found("keza")), (0, 1));
}

/// A hub writes about the person before it has heard of the order, and the only authority device
/// that remains has never written in that village.
#[test]
fn what_is_written_before_the_order_is_heard_goes_too() {
    let mut story = story();
    let mut other = story.world.device(7, Role::Authority, &[]);
    story.world.meet(&mut story.authority, &mut other);
    story.order();
    story.world.meet(&mut story.authority, &mut other);
    assert!(matches!(
        story.hub.visit(story.gone, &[("age-months", "14"), ("convulsions", "yes")]),
        Reply::Written { .. }
    ));
    let before = story.hub.backup();
    for _ in 0..2 {
        story.world.meet(&mut story.hub, &mut other);
    }
    let envelopes = |store: &MemoryStore| store.load(&Range::all(Table::Envelopes));
    let whole = |store: &MemoryStore| {
        envelopes(store).iter().filter(|(_, value)| value.len() > 300).count()
    };
    assert!(envelopes(&story.hub.store).len() >= envelopes(&before).len());
    assert_eq!(whole(&story.hub.store), whole(&other.store));
    assert_eq!(whole(&other.store), 1, "only what stays is left, re-issued");
}

#[test]
fn late_carriers_and_restored_backups_give_nothing_back() {
    let mut story = story();
    let (early_relay, early_a) = (story.relay.backup(), story.a.backup());
    // A visit that nobody but B has seen when the order is given.
    let mut b = story.world.device(7, Role::Worker, &["01"]);
    story.world.meet(&mut story.relay, &mut b);
    assert!(matches!(
        b.visit(story.gone, &[("age-months", "16"), ("cough", "yes")]),
        Reply::Written { .. }
    ));
    let other = b.person("Mutesi");
    assert!(matches!(
        b.visit(other, &[("age-months", "17"), ("cough", "yes")]),
        Reply::Written { .. }
    ));
    story.order();
    story.gather();
    let Story { mut world, mut authority, mut hub, a, relay, gone, .. } = story;
    let mut relay = relay.over(early_relay);
    relay.restart(true);
    let mut a = a.over(early_a);
    a.restart(true);
    for _ in 0..3 {
        for host in [&mut relay, &mut a, &mut b, &mut authority] {
            world.meet(host, &mut hub);
        }
    }
    for host in [&mut authority, &mut hub, &mut a, &mut b] {
        let found = (host.found("ingabire"), host.found("uwase"), host.found("mutesi"));
        assert_eq!(found, (0, 1, 1));
        assert!(host.show(gone).is_none());
        assert!(!holds(&host.store, b"Ingabire"));
        let shown = host.show(other).unwrap();
        assert!(shown.contains("cough"), "{shown}");
    }
    for host in [&mut relay, &mut a, &mut b, &mut authority] {
        let pipe = world.meet(host, &mut hub);
        assert!(complete(host, pipe));
    }
    let Reply::Audited { entries, whole, .. } = authority.call(Command::Audit { after: None })
    else {
        panic!()
    };
    assert!(whole && entries.iter().any(|entry| entry.action.name() == "erased"));
}

#[test]
fn a_device_that_crashed_before_it_filed_its_own_envelope_is_left_with_nothing_pending() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let gone = a.person("Ingabire");
    a.person("Uwase");
    // The carrier goes on to the end; of the reader only what it held here survives.
    let early = a.backup();
    for _ in 0..2 {
        world.meet(&mut a, &mut authority);
    }
    let reply = authority.order(Order::Erase { record: gone });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut a, &mut authority);
    let late = a.backup();
    let mut mixed = MemoryStore::default();
    for table in Table::ALL {
        let from = if table.store() == StoreKind::Carrier { &late } else { &early };
        let mut batch = Batch::default();
        for (key, value) in from.load(&Range::all(*table)) {
            batch.put(*table, key, value);
        }
        mixed.apply(&batch);
    }
    let mut a = a.over(mixed);
    assert!(!a.rolled());
    let pipe = world.meet(&mut a, &mut authority);
    assert!(complete(&a, pipe));
    assert_eq!(a.status().pending, 0, "what stays has its place");
    assert_eq!((a.found("ingabire"), a.found("uwase")), (0, 1));
    assert!(!holds(&a.store, b"Ingabire"));
}

#[test]
fn a_name_that_only_a_later_key_opens_is_forgotten_when_the_key_comes() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut hub = world.device(2, Role::Hub, &[]);
    let gone = a.person("Ingabire");
    world.meet(&mut a, &mut hub);
    // It has never heard of A when it makes the key anew, so A is not granted it.
    let mut other = world.device(5, Role::Authority, &[]);
    let rotate = || Order::Rotate { village: Some("01".to_owned()) };
    assert!(matches!(other.order(rotate()), Reply::Issued { .. }));
    for _ in 0..2 {
        world.meet(&mut hub, &mut other);
    }
    let reply = other.order(Order::Erase { record: gone });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut hub, &mut other);
    world.meet(&mut a, &mut hub);
    world.meet(&mut authority, &mut hub);
    // Once all know all, the keys are made anew again.
    assert!(matches!(other.order(rotate()), Reply::Issued { .. }));
    world.meet(&mut hub, &mut other);
    world.meet(&mut a, &mut hub);
    assert_eq!(a.found("ingabire"), 0);
    assert!(!holds(&a.store, b"Ingabire"), "without waiting for a restart");
}

#[test]
fn two_persons_of_one_envelope_go_one_after_the_other() {
    let mut story = story();
    story.order();
    story.gather();
    let reply = story.authority.order(Order::Erase { record: story.stays });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    story.gather();
    let Story { mut authority, mut hub, mut a, relay, .. } = story;
    for host in [&mut authority, &mut hub, &mut a] {
        assert_eq!((host.found("ingabire"), host.found("uwase")), (0, 0));
        assert!(!holds(&host.store, b"Uwase"));
    }
    let stubs = relay.store.load(&Range::all(Table::Envelopes));
    assert!(stubs.iter().all(|(_, value)| value.len() < 300), "nothing is left to carry");
}

#[test]
fn only_an_authority_that_opened_it_erases() {
    let Story { mut hub, mut a, gone, .. } = story();
    for host in [&mut hub, &mut a] {
        let reply = host.order(Order::Erase { record: gone });
        assert!(matches!(reply, Reply::Error(error) if error.code == "not_entitled"));
    }
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let reply = authority.order(Order::Erase { record: gone });
    assert!(matches!(reply, Reply::Error(error) if error.code == "unknown_record"));
}
