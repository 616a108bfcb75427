//! Erasure: the person goes, everybody else's records stay, with proof of their authors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{Host, World, complete};
use huza_crdt::codec;
use huza_crdt::control::Reason;
use huza_crdt::envelope::{Content, Stored};
use huza_crdt::id::RecordId;
use huza_crdt::limits::ERASURE_DELAY_MS;
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

    /// Everybody hears of everything, and every order has been held for long enough.
    fn settle(&mut self) {
        self.gather();
        for host in [&mut self.authority, &mut self.hub, &mut self.a, &mut self.relay] {
            host.wait_for_erasures();
        }
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
    story.settle();
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
    assert!(holds(&outsider.store, b"Ingabire"), "not before the delay has passed");
    outsider.wait_for_erasures();
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
    // The order is carried out, what it did not name is ordered gone, and that is carried out.
    for _ in 0..3 {
        story.world.meet(&mut story.hub, &mut other);
        other.wait_for_erasures();
        story.hub.wait_for_erasures();
    }
    let envelopes = |store: &MemoryStore| store.load(&Range::all(Table::Envelopes));
    let whole = |store: &MemoryStore| {
        envelopes(store).iter().filter(|(_, value)| value.len() > 300).count()
    };
    assert!(envelopes(&story.hub.store).len() >= envelopes(&before).len());
    assert_eq!(whole(&story.hub.store), whole(&other.store));
    assert_eq!(whole(&other.store), 1, "only what stays is left, re-issued");
}

/// Payloads that a device still holds whole.
fn whole(host: &Host) -> usize {
    let envelopes = host.store.load(&Range::all(Table::Envelopes)).into_iter();
    let stored = envelopes.map(|(_, value)| codec::decode::<Stored>(&value).unwrap());
    stored.filter(|one| matches!(one.wire.content, Content::Sealed(_))).count()
}

/// A second authority device shuts the first out, trusts nothing that it said, and tells the hub.
fn shut_out(story: &mut Story) -> Host {
    let mut other = story.world.device(5, Role::Authority, &[]);
    story.world.meet(&mut other, &mut story.hub);
    let certificate = story.authority.status().certificate.unwrap();
    let reply = other.order(Order::Revoke {
        certificate,
        reason: Reason::Stolen,
        trust: false,
        rotate: false,
    });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    story.world.meet(&mut other, &mut story.hub);
    other
}

#[test]
fn a_person_is_hidden_at_once_and_destroyed_only_after_the_delay() {
    let mut story = story();
    let before = [&story.authority, &story.hub, &story.a, &story.relay].map(whole);
    story.order();
    story.gather();
    let Story { world: _, mut authority, mut hub, mut a, mut relay, gone, stays } = story;
    for host in [&mut authority, &mut hub, &mut a] {
        // Of the delay all but a moment passes.
        host.pass(ERASURE_DELAY_MS - 1_000);
        assert_eq!((host.found("ingabire"), host.found("uwase")), (0, 1));
        assert!(host.show(gone).is_none() && host.show(stays).is_some());
        let refused = host.visit(gone, &[("age-months", "15"), ("cough", "no")]);
        assert!(matches!(refused, Reply::Error(error) if error.code == "unknown_record"));
        let Reply::Exported { resources, .. } = host.call(Command::Export { after: None }) else {
            panic!()
        };
        assert!(resources.iter().all(|one| !one.text.contains("Ingabire")));
        assert!(host.status().records.iter().all(|one| one.record != gone));
        assert_eq!(host.status().records_count, 1);
        assert!(holds(&host.store, b"Ingabire"), "nothing is destroyed yet");
        let Reply::Checked { findings } = host.call(Command::Check) else { panic!() };
        let waits = findings.iter().find(|one| one.code == "erasures").unwrap();
        assert!(waits.message.contains("in 1 hour"), "{}", waits.message);
    }
    relay.pass(ERASURE_DELAY_MS - 1_000);
    let held = [&authority, &hub, &a, &relay].map(whole);
    // Each has one more: the re-issue.
    assert_eq!(held, before.map(|count| count + 1), "not a payload went");
    for host in [&mut authority, &mut hub, &mut a, &mut relay] {
        host.pass(1_000);
        assert_eq!(whole(host), 1, "only the re-issue is left");
        assert!(!holds(&host.store, b"Ingabire"));
    }
    for (host, wanted) in [(&mut authority, vec!["ordered", "erased"]), (&mut a, vec!["erased"])] {
        let Reply::Audited { entries, .. } = host.call(Command::Audit { after: None }) else {
            panic!()
        };
        let entries = entries.iter().filter(|one| one.subject == gone.to_string());
        let names: Vec<&str> = entries.map(|one| one.action.name()).collect();
        let noted = names.into_iter().filter(|name| *name != "read").collect::<Vec<_>>();
        assert_eq!(noted, wanted);
    }
}

#[test]
fn what_a_stolen_authority_erased_is_all_there_if_it_is_revoked_within_the_delay() {
    let mut story = story();
    let shown = story.a.show(story.gone).unwrap();
    story.order();
    story.gather();
    // Somebody who has not heard of it goes on working; it is filed, and not shown.
    let mut b = story.world.device(7, Role::Worker, &["01"]);
    story.world.meet(&mut b, &mut story.hub);
    assert_eq!(b.found("ingabire"), 0, "it is hidden from a newcomer too");
    for host in [&mut story.hub, &mut story.a, &mut story.relay, &mut b] {
        host.days_pass(2);
        host.pass(2 * 86_400_000);
    }
    let mut other = shut_out(&mut story);
    for _ in 0..2 {
        for host in [&mut story.a, &mut story.relay, &mut b, &mut other] {
            story.world.meet(host, &mut story.hub);
        }
    }
    for host in [&mut story.hub, &mut story.a, &mut story.relay, &mut b, &mut other] {
        host.wait_for_erasures();
        assert!(!host.events.iter().any(|event| matches!(event, Event::Erased { .. })));
    }
    for host in [&mut story.hub, &mut story.a, &mut b, &mut other] {
        assert_eq!((host.found("ingabire"), host.found("uwase")), (1, 1));
        assert_eq!(host.show(story.gone).unwrap(), shown, "every visit is there");
    }
}

#[test]
fn what_one_device_destroyed_comes_back_from_who_still_holds_it() {
    let mut story = story();
    let shown = story.a.show(story.gone).unwrap();
    let before = whole(&story.hub);
    story.order();
    story.gather();
    // The hub alone has waited for long enough; it gave its stubs to a newcomer.
    story.hub.wait_for_erasures();
    let mut new = story.world.device(7, Role::Worker, &["01"]);
    story.world.meet(&mut new, &mut story.hub);
    assert_eq!((whole(&story.hub), whole(&new)), (1, 1));
    assert!(!holds(&story.hub.store, b"Ingabire"));
    let mut other = shut_out(&mut story);
    let Story { mut world, mut hub, mut a, mut relay, gone, .. } = story;
    for host in [&mut hub, &mut other] {
        assert!(host.show(gone).is_none(), "nothing of it is here");
    }
    // The newcomer has not heard of the revocation: its stubs are not taken, and that is no fault.
    let mut fresh = world.device(8, Role::Relay, &[]);
    world.meet(&mut fresh, &mut other);
    let pipe = world.meet(&mut fresh, &mut new);
    assert!(complete(&fresh, pipe) && complete(&new, pipe));
    // One contact with who has it all, who hears of the revocation only now.
    let pipe = world.meet(&mut a, &mut hub);
    assert!(complete(&a, pipe) && complete(&hub, pipe));
    assert_eq!(whole(&hub), before + 1, "with the re-issue");
    assert_eq!(hub.show(gone).unwrap(), shown);
    hub.restart(false);
    assert_eq!(hub.show(gone).unwrap(), shown);
    for host in [&mut new, &mut other, &mut fresh, &mut relay] {
        let pipe = world.meet(host, &mut hub);
        assert!(complete(host, pipe) && complete(&hub, pipe));
        assert_eq!(whole(host), before + 1);
    }
    for host in [&mut new, &mut other] {
        assert_eq!(host.show(gone).unwrap(), shown);
    }
    for host in [&mut a, &mut hub, &mut new, &mut other, &mut relay] {
        host.wait_for_erasures();
        assert_eq!(whole(host), before + 1, "and it stays");
    }
}

#[test]
fn an_honest_authority_does_not_confirm_the_order_of_a_thief() {
    let mut story = story();
    let mut honest = story.world.device(5, Role::Authority, &[]);
    let mut b = story.world.device(7, Role::Worker, &["01"]);
    for host in [&mut honest, &mut b] {
        story.world.meet(host, &mut story.hub);
    }
    story.order();
    story.gather();
    story.world.meet(&mut honest, &mut story.hub);
    honest.wait_for_erasures();
    assert_eq!(whole(&honest), 1);
    // What comes afterwards, from somebody who had not heard, is ordered gone by an order that
    // counts only with the first.
    let written = b.visit(story.gone, &[("age-months", "16"), ("cough", "yes")]);
    assert!(matches!(written, Reply::Written { .. }));
    for _ in 0..2 {
        story.world.meet(&mut b, &mut story.hub);
        story.world.meet(&mut honest, &mut story.hub);
    }
    assert!(whole(&honest) > 1 && honest.show(story.gone).is_none());
    let certificate = story.authority.status().certificate.unwrap();
    let (reason, trust, rotate) = (Reason::Stolen, false, false);
    honest.order(Order::Revoke { certificate, reason, trust, rotate });
    for _ in 0..2 {
        story.world.meet(&mut honest, &mut story.hub);
        story.world.meet(&mut b, &mut story.hub);
    }
    let shown = b.show(story.gone).unwrap();
    assert!(shown.contains("16") && shown.contains("convulsions"), "{shown}");
    assert_eq!(honest.show(story.gone).unwrap(), shown);
}

#[test]
fn payloads_come_back_in_a_session_that_is_open_when_the_order_loses_force() {
    let mut story = story();
    let before = whole(&story.hub);
    story.order();
    story.gather();
    story.hub.wait_for_erasures();
    let pipe = story.world.open(&mut story.relay, &mut story.hub);
    World::carry(&mut story.relay, &mut story.hub, usize::MAX);
    assert!(complete(&story.relay, pipe), "stubs and payloads count the same so far");
    assert_eq!(whole(&story.hub), 1);
    shut_out(&mut story);
    World::carry(&mut story.relay, &mut story.hub, usize::MAX);
    assert_eq!(whole(&story.hub), before + 1);
    let ended = |event: &Event| matches!(event, Event::ContactEnded { pipe: p, .. } if *p == pipe);
    assert!(!story.hub.events.iter().any(ended));
    let Reply::Peers { sessions } = story.relay.call(Command::Peers) else { panic!() };
    assert!(sessions.iter().all(|one| one.complete), "{sessions:?}");
}

#[test]
fn the_delay_goes_on_over_restarts_and_whatever_the_clock_says() {
    const DAY_MS: u64 = 86_400_000;
    let mut story = story();
    story.order();
    story.gather();
    let Story { mut a, mut relay, mut hub, .. } = story;
    // Off for a day, three times: what the wall clock says counts then.
    for day in 1..=3 {
        assert_ne!(whole(&relay), 1, "day {day}");
        relay.days_pass(1);
        relay.restart(false);
    }
    assert_eq!(whole(&relay), 1);
    // Killed each day, with a clock that falls back to its first day: what was counted is kept.
    for day in 1..=3 {
        assert_ne!(whole(&a), 1, "day {day}");
        a.pass(DAY_MS);
        a.days_pass(-400);
        a.restart(false);
    }
    assert_eq!(whole(&a), 1);
    // A clock that is set right after years does not end the delay.
    hub.days_pass(20_000);
    hub.pass(3_600_000);
    hub.restart(false);
    assert_ne!(whole(&hub), 1);
    hub.pass(ERASURE_DELAY_MS);
    assert_eq!(whole(&hub), 1);
}

#[test]
fn who_hears_late_waits_as_long_and_may_take_the_stub_of_who_has_waited() {
    let mut story = story();
    // It carries the payloads, and is away while all others wait.
    let mut late = story.world.device(8, Role::Relay, &[]);
    story.world.meet(&mut late, &mut story.hub);
    let before = whole(&late);
    story.order();
    story.settle();
    assert_eq!(whole(&story.hub), 1);
    story.world.meet(&mut late, &mut story.hub);
    assert_eq!(whole(&late), before + 1, "it keeps what it has");
    // A newcomer is given what the hub holds, and that is stubs.
    let mut new = story.world.device(9, Role::Relay, &[]);
    let pipe = story.world.meet(&mut new, &mut story.hub);
    assert!(complete(&new, pipe));
    assert_eq!(whole(&new), 1);
    late.pass(ERASURE_DELAY_MS - 1);
    assert_eq!(whole(&late), before + 1);
    late.pass(1);
    assert_eq!(whole(&late), 1);
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
    story.settle();
    let Story { mut world, mut authority, mut hub, a, relay, gone, .. } = story;
    let mut relay = relay.over(early_relay);
    relay.restart(true);
    let mut a = a.over(early_a);
    a.restart(true);
    // First they hear of the order, then of the one for what came afterwards.
    for _ in 0..2 {
        for _ in 0..3 {
            for host in [&mut relay, &mut a, &mut b, &mut authority] {
                world.meet(host, &mut hub);
            }
        }
        for host in [&mut relay, &mut a, &mut b, &mut authority, &mut hub] {
            host.wait_for_erasures();
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
    a.wait_for_erasures();
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
    a.wait_for_erasures();
    assert!(!holds(&a.store, b"Ingabire"), "without waiting for a restart");
}

#[test]
fn two_persons_of_one_envelope_go_one_after_the_other() {
    let mut story = story();
    story.order();
    story.settle();
    let reply = story.authority.order(Order::Erase { record: story.stays });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    story.settle();
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

/// A second authority device shuts out the first, and is itself shut out from above: the order is in
/// force again, and nobody has been warned meanwhile.
#[test]
fn an_order_that_comes_back_into_force_waits_anew() {
    let mut story = story();
    let before = whole(&story.hub);
    story.order();
    story.gather();
    let mut other = shut_out(&mut story);
    for host in [&mut story.a, &mut story.relay] {
        story.world.meet(host, &mut story.hub);
    }
    for host in [&mut story.hub, &mut story.a, &mut story.relay] {
        host.wait_for_erasures();
    }
    assert_eq!(story.hub.found("ingabire"), 1);
    let certificate = other.status().certificate.unwrap();
    let statement = story.world.centre.revoke(certificate, Reason::Stolen);
    for host in [&mut story.hub, &mut story.a, &mut story.relay] {
        let reply = host.call(Command::Take { statements: vec![statement.clone()] });
        assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
        assert_eq!(whole(host), before + 1, "nothing is destroyed");
        host.restart(false);
        assert_eq!(whole(host), before + 1, "nor at the next start");
    }
    assert_eq!(story.hub.found("ingabire"), 0);
    story.hub.wait_for_erasures();
    assert_ne!(whole(&story.hub), before + 1);
}

/// The log is frozen, since a thief has its author's key too; and the author's share is full.
#[test]
fn payloads_come_back_into_a_frozen_log() {
    let mut story = story();
    let mut thief = story.a.over(story.a.backup());
    story.order();
    story.gather();
    story.hub.wait_for_erasures();
    story.a.person("Mutesi");
    story.world.meet(&mut story.a, &mut story.hub);
    story.world.meet(&mut story.hub, &mut story.relay);
    let mut other = story.world.device(5, Role::Authority, &[]);
    story.world.meet(&mut other, &mut story.hub);
    thief.person("Forged");
    story.world.meet(&mut thief, &mut story.hub);
    for _ in 0..2 {
        story.world.meet(&mut other, &mut story.hub);
    }
    let a = story.a.status().certificate.unwrap();
    let authority = story.authority.status().certificate.unwrap();
    let (reason, rotate) = (Reason::Stolen, false);
    let out = [(a, true), (authority, false)];
    for (certificate, trust) in out {
        let reply = other.order(Order::Revoke { certificate, reason, trust, rotate });
        assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    }
    // Those who have the payloads and those who have none hear of it apart.
    story.world.meet(&mut other, &mut story.hub);
    let statements = other.store.load(&Range::all(Table::Statements));
    let mut batch = Batch::default();
    for (key, value) in statements {
        batch.put(Table::Statements, key, value);
    }
    story.relay.store.apply(&batch);
    story.relay.restart(false);
    let row_key = [b"bytes/".as_slice(), &a.0].concat();
    let mut full = Batch::default();
    let most = huza_crdt::limits::BYTES_PER_AUTHOR_MAX;
    full.put(Table::CarrierMeta, row_key, codec::encode(&most));
    story.hub.store.apply(&full);
    story.hub.restart(false);
    assert!(story.hub.show(story.gone).is_none());
    for _ in 0..2 {
        story.world.meet(&mut story.relay, &mut story.hub);
    }
    let shown = story.hub.show(story.gone).unwrap();
    assert!(shown.contains("convulsions"), "{shown}");
    assert_eq!(whole(&story.hub), whole(&story.relay));
    assert_eq!(story.hub.found("mutesi"), 1);
}

/// What is revoked by default keeps in force what the device had said; not its orders that wait.
#[test]
fn an_order_that_waits_is_not_trusted_of_a_stolen_device() {
    for (reason, found) in [(Reason::Stolen, 1), (Reason::Left, 0)] {
        let mut story = story();
        story.order();
        story.gather();
        let mut other = story.world.device(5, Role::Authority, &[]);
        story.world.meet(&mut other, &mut story.hub);
        let certificate = story.authority.status().certificate.unwrap();
        let (trust, rotate) = (true, false);
        let reply = other.order(Order::Revoke { certificate, reason, trust, rotate });
        assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
        story.world.meet(&mut other, &mut story.hub);
        assert_eq!(story.hub.found("ingabire"), found);
        assert_eq!(story.hub.found("uwase"), 1);
    }
}

#[test]
fn what_is_shut_out_while_its_envelope_goes_is_taken_out_of_a_reader_that_was_locked() {
    let mut story = story();
    story.order();
    let Story { mut world, mut authority, mut hub, mut a, stays, .. } = story;
    let certificate = a.status().certificate.unwrap();
    let reason = Reason::Stolen;
    let revoke = Order::Revoke { certificate, reason, trust: false, rotate: false };
    assert!(matches!(authority.order(revoke), Reply::Issued { .. }));
    assert_eq!((authority.found("uwase"), hub.found("uwase")), (0, 1));
    hub.lock();
    for _ in 0..2 {
        world.meet(&mut authority, &mut hub);
    }
    hub.wait_for_erasures();
    assert_eq!(whole(&hub), 1, "of what the phone wrote only the re-issue is left");
    hub.unlock("nurse");
    assert_eq!(hub.found("uwase"), 0, "it was filed from an envelope of which a stub is left");
    assert!(hub.show(stays).is_none());
}

/// A thief has written another history in the same place, and it comes after the order was followed.
#[test]
fn what_is_kept_beside_an_erased_envelope_goes_too() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let gone = a.person("Ingabire");
    world.meet(&mut a, &mut hub);
    let mut thief = a.over(a.backup());
    let answers = |host: &mut Host, age| host.visit(gone, &[("age-months", age), ("cough", "yes")]);
    let mut victim = world.device(4, Role::Worker, &["01"]);
    assert!(matches!(answers(&mut thief, "15"), Reply::Written { .. }));
    world.meet(&mut thief, &mut victim);
    assert!(matches!(answers(&mut a, "14"), Reply::Written { .. }));
    world.meet(&mut a, &mut hub);
    for _ in 0..2 {
        world.meet(&mut hub, &mut authority);
    }
    let reply = authority.order(Order::Erase { record: gone });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut hub, &mut authority);
    hub.wait_for_erasures();
    assert_eq!(whole(&hub), 0);
    world.meet(&mut victim, &mut hub);
    let beside = hub.store.load(&Range::all(Table::Forked)).into_iter();
    let beside: Vec<Stored> = beside.map(|(_, value)| codec::decode(&value).unwrap()).collect();
    let is_stub = |one: &Stored| matches!(one.wire.content, Content::Erased { .. });
    assert!(!beside.is_empty() && beside.iter().all(is_stub), "{} kept", beside.len());
}
