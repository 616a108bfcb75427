//! Contacts: whatever is cut, copied or forged, nothing durable is lost and the next one ends.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use common::{Host, World, complete};
use huza_crdt::node::{
    Carry, Command, CommandId, Config, Event, Input, Node, Now, Output, PipeId, ReaderState, Reply,
};
use huza_crdt::session::Fault;
use huza_crdt::store::StoreKind;
use huza_crdt::trust::Role;

const CONVULSIONS: [(&str, &str); 2] = [("age-months", "14"), ("convulsions", "yes")];
const COUGH: [(&str, &str); 2] = [("age-months", "14"), ("cough", "yes")];

/// Two phones of one village with a little to tell each other, who have met before.
fn two_phones() -> (World, Host, Host) {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    world.meet(&mut a, &mut b);
    let record = a.person("Uwase");
    a.visit(record, &CONVULSIONS);
    b.person("Keza");
    (world, a, b)
}

fn assert_union(a: &mut Host, b: &mut Host) {
    for host in [&mut *a, &mut *b] {
        assert_eq!((host.found("uwase"), host.found("keza")), (1, 1));
        assert_eq!(host.status().pending, 0);
    }
    let (a, b) = (a.status(), b.status());
    assert_eq!((a.envelopes, a.statements), (b.envelopes, b.statements));
}

/// Everybody whom these tests record is found by everybody.
fn assert_all_found(hosts: &mut [&mut Host]) {
    for (n, host) in hosts.iter_mut().enumerate() {
        for name in ["uwase", "keza", "mutesi", "ingabire"] {
            assert_eq!(host.found(name), 1, "{name} on host {n}");
        }
    }
}

#[test]
fn after_a_contact_both_hold_the_union() {
    let (mut world, mut a, mut b) = two_phones();
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&a, pipe) && complete(&b, pipe));
    assert_union(&mut a, &mut b);
}

#[test]
fn nothing_new_takes_one_round_trip() {
    let (mut world, mut a, mut b) = two_phones();
    world.meet(&mut a, &mut b);
    let pipe = world.meet(&mut a, &mut b);
    let stats = a.events.iter().find_map(|event| match event {
        Event::ContactComplete { pipe: this, stats, .. } if *this == pipe => Some(*stats),
        _ => None,
    });
    let stats = stats.expect("complete");
    assert_eq!(stats.round_trips, 1);
    assert!(stats.bytes_sent <= 200, "{stats:?}");
}

#[test]
fn a_contact_cut_after_any_byte_loses_nothing_and_the_next_one_ends() {
    let (mut world, a, b) = two_phones();
    let (store_a, store_b) = (a.backup(), b.backup());
    let whole = {
        let (mut a, mut b) = (a.over(store_a.clone()), b.over(store_b.clone()));
        let pipe = world.open(&mut a, &mut b);
        let bytes = World::carry(&mut a, &mut b, usize::MAX);
        assert!(complete(&a, pipe));
        bytes
    };
    assert!(whole > 1_000, "{whole}");
    for cut in 0..whole {
        let mut world = World::new();
        let (mut a, mut b) = (a.over(store_a.clone()), b.over(store_b.clone()));
        world.open(&mut a, &mut b);
        World::carry(&mut a, &mut b, cut);
        // Both lose power: only what is durable remains.
        let (mut a, mut b) = (a.over(a.backup()), b.over(b.backup()));
        assert_eq!((a.found("uwase"), b.found("keza")), (1, 1), "cut at {cut}");
        let pipe = world.meet(&mut a, &mut b);
        assert!(complete(&a, pipe) && complete(&b, pipe), "cut at {cut}");
        assert_union(&mut a, &mut b);
    }
}

#[test]
fn an_urgent_envelope_that_arrives_alone_shows_its_card() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    world.meet(&mut a, &mut hub);
    let record = a.person("Uwase");
    for _ in 0..20 {
        a.visit(record, &COUGH);
    }
    a.call(Command::Seal);
    a.visit(record, &CONVULSIONS);
    let (store_a, store_hub) = (a.backup(), hub.backup());
    let alone = (0..20_000).step_by(64).find_map(|cut| {
        let (mut a, mut hub) = (a.over(store_a.clone()), hub.over(store_hub.clone()));
        world.open(&mut a, &mut hub);
        World::carry(&mut a, &mut hub, cut);
        hub.show(record)
    });
    let shown = alone.expect("it arrives in the end");
    assert!(
        shown.contains(r#""cards":[{"visit":"#) && shown.contains(r#""name":"Uwase""#),
        "{shown}"
    );
    assert!(!shown.contains("cough"), "it came before the routine visits: {shown}");
}

#[test]
fn what_is_written_during_a_contact_joins_it() {
    let (mut world, mut a, mut b) = two_phones();
    let pipe = world.open(&mut a, &mut b);
    World::carry(&mut a, &mut b, usize::MAX);
    a.person("Mukamana");
    World::carry(&mut a, &mut b, usize::MAX);
    assert_eq!(b.found("mukamana"), 1);
    assert!(complete(&a, pipe));
}

#[test]
fn a_restored_copy_that_knows_it_begins_a_new_incarnation() {
    let (mut world, mut a, mut b) = two_phones();
    let backup = a.backup();
    a.person("Mutesi");
    world.meet(&mut a, &mut b);
    a.store = backup;
    a.restart(true);
    assert!(a.rolled());
    let record = a.person("Ingabire");
    a.visit(record, &CONVULSIONS);
    world.meet(&mut a, &mut b);
    assert_all_found(&mut [&mut a, &mut b]);
    assert!(!b.events.iter().any(|event| matches!(event, Event::Forked { .. })));
}

#[test]
fn a_restored_copy_that_does_not_know_it_learns_it_before_it_numbers() {
    let (mut world, mut a, mut b) = two_phones();
    let backup = a.backup();
    a.person("Mutesi");
    world.meet(&mut a, &mut b);
    a.store = backup;
    a.restart(false);
    assert!(!a.rolled());
    a.person("Ingabire");
    let pipe = world.meet(&mut a, &mut b);
    assert!(a.rolled());
    if !complete(&a, pipe) {
        world.meet(&mut a, &mut b);
    }
    assert_all_found(&mut [&mut a, &mut b]);
    assert!(!b.events.iter().any(|event| matches!(event, Event::Forked { .. })));
}

#[test]
fn either_store_restored_alone_loses_nothing_written() {
    for reader_restored in [false, true] {
        let (mut world, mut a, mut b) = two_phones();
        a.call(Command::Seal);
        let backup = a.backup();
        a.restart(false);
        a.person("Mutesi");
        a.call(Command::Seal);
        let now = a.backup();
        a.store = if reader_restored { mixed(&now, &backup) } else { mixed(&backup, &now) };
        a.restart(false);
        assert!(a.rolled());
        a.person("Ingabire");
        world.meet(&mut a, &mut b);
        world.meet(&mut a, &mut b);
        for name in ["uwase", "keza", "mutesi", "ingabire"] {
            assert_eq!(b.found(name), 1, "{name}, reader restored: {reader_restored}");
            assert_eq!(a.found(name), 1, "{name}, reader restored: {reader_restored}");
        }
    }
}

#[test]
fn a_carrier_put_back_to_before_its_logs_began_loses_nothing_written() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let backup = a.backup();
    a.person("Uwase");
    a.call(Command::Seal);
    a.store = mixed(&backup, &a.backup());
    a.restart(true);
    world.meet(&mut a, &mut b);
    assert_eq!(b.found("uwase"), 1, "no envelope carried it, and only the reader knew its log");
}

/// The carrier is put back to before its device was approved anew, so it does not know under which
/// certificate the log began. A neighbour does.
#[test]
fn what_a_forgotten_certificate_signed_for_is_published_when_it_is_known_again() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let backup = a.backup();
    world.join(&mut a, Role::Worker, &["01"]);
    world.meet(&mut a, &mut b);
    a.person("Uwase");
    a.call(Command::Seal);
    a.store = mixed(&backup, &a.backup());
    a.restart(true);
    world.meet(&mut a, &mut b);
    assert_eq!(b.found("uwase"), 0, "nobody could tell whose log it is");
    a.restart(false);
    world.meet(&mut a, &mut b);
    assert_eq!((a.found("uwase"), b.found("uwase")), (1, 1));
}

/// The carrier's tables of one, the reader's of the other.
fn mixed(
    carrier: &huza_crdt::store::MemoryStore,
    reader: &huza_crdt::store::MemoryStore,
) -> huza_crdt::store::MemoryStore {
    use huza_crdt::store::{Batch, MemoryStore, Range, StoreKind, Table};
    let mut store = MemoryStore::default();
    let mut batch = Batch::default();
    for table in Table::ALL {
        let from = if table.store() == StoreKind::Carrier { carrier } else { reader };
        for (key, value) in from.load(&Range::all(*table)) {
            batch.put(*table, key, value);
        }
    }
    store.apply(&batch);
    store
}

#[test]
fn a_copy_that_wrote_urgently_is_proven_a_fork_and_reported() {
    let (mut world, mut a, mut b) = two_phones();
    let backup = a.backup();
    let record = a.person("Mutesi");
    a.visit(record, &CONVULSIONS);
    world.meet(&mut a, &mut b);
    a.store = backup;
    a.restart(false);
    let record = a.person("Ingabire");
    a.visit(record, &CONVULSIONS);
    world.meet(&mut a, &mut b);
    let forked = |host: &Host| host.events.iter().any(|e| matches!(e, Event::Forked { .. }));
    assert!(forked(&a) || forked(&b));
    world.meet(&mut a, &mut b);
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&a, pipe), "a forked log does not keep contacts from ending");
}

#[test]
fn a_member_of_another_programme_is_told_nothing() {
    let (mut world, mut a, _) = two_phones();
    let mut elsewhere = World::new();
    elsewhere.entropy = huza_crdt::crypto::Entropy::new([7; 32]);
    let mut programme = huza_crdt::trust::paper::Programme::found("Other", &mut elsewhere.entropy);
    elsewhere.centre = programme
        .certify_centre("HC9", &["01".to_owned()], common::TODAY, &mut elsewhere.entropy)
        .unwrap();
    let mut stranger = elsewhere.device(9, Role::Worker, &["01"]);
    let pipe = world.open(&mut a, &mut stranger);
    let said: usize = a.sent.iter().map(|(_, bytes)| bytes.len()).sum();
    World::carry(&mut a, &mut stranger, usize::MAX);
    let ended = a.events.iter().find_map(|event| match event {
        Event::ContactEnded { pipe: this, stats, fault, .. } if *this == pipe => {
            Some((stats.bytes_sent, fault.clone()))
        }
        _ => None,
    });
    assert_eq!(ended, Some((said as u64, Some(Fault::NotAMember))));
    assert!(a.closed.contains(&pipe));
}

#[test]
fn garbage_closes_the_pipe_with_a_report() {
    let (_, mut a, _) = two_phones();
    let junk: [&[u8]; 4] =
        [&[0xff; 64], &[5, 0, 0, 0, 9, 9, 9, 9, 9], &[2, 0, 0, 0, 1, 0], &[2, 0, 0, 0, 7, 0]];
    for (n, bytes) in (100..).zip(junk) {
        let pipe = PipeId(n);
        a.handle(Input::PipeOpened { pipe, dialer: false, binding: [9; 32] });
        a.handle(Input::Received { pipe, bytes: bytes.to_vec() });
        if bytes == [2, 0, 0, 0, 1, 0] {
            // "I do not know your certificate", before any hello: answered under the member key.
            assert!(!a.closed.contains(&pipe));
            a.pass(huza_crdt::limits::HELLO_MS_MAX + 1);
        }
        assert!(a.closed.contains(&pipe), "{bytes:?}");
    }
}

#[test]
fn a_device_without_a_programme_closes_every_pipe() {
    let mut host = Host::new(1, true);
    host.handle(Input::PipeOpened { pipe: PipeId(1), dialer: true, binding: [0; 32] });
    assert_eq!(host.closed, [PipeId(1)]);
    assert!(host.sent.is_empty());
}

#[test]
fn a_silent_peer_does_not_hold_a_session_open() {
    let (mut world, mut a, mut b) = two_phones();
    let pipe = world.open(&mut a, &mut b);
    World::carry(&mut a, &mut b, 400);
    a.pass(huza_crdt::limits::SILENCE_MS_MAX + huza_crdt::limits::HELLO_MS_MAX);
    assert!(a.closed.contains(&pipe));
    assert!(matches!(a.call(Command::Peers), Reply::Peers { sessions } if sessions.is_empty()));
}

#[test]
fn after_a_fork_both_branches_are_published_again() {
    let (mut world, mut a, mut b) = two_phones();
    let backup = a.backup();
    let record = a.person("Mutesi");
    a.visit(record, &CONVULSIONS);
    world.meet(&mut a, &mut b);
    // A copy writes urgently before it meets anybody, and so in the same place of the log.
    let mut copy = a.over(backup);
    let record = copy.person("Ingabire");
    copy.visit(record, &CONVULSIONS);
    for _ in 0..3 {
        world.meet(&mut copy, &mut b);
        world.meet(&mut a, &mut b);
    }
    assert_all_found(&mut [&mut a, &mut copy, &mut b]);
}

#[test]
fn a_proven_fork_does_not_keep_what_is_in_front_of_it_from_those_who_lack_it() {
    let (mut world, mut a, mut b) = two_phones();
    for name in ["Mutesi", "Byukusenge"] {
        let record = a.person(name);
        a.visit(record, &CONVULSIONS);
    }
    world.meet(&mut a, &mut b);
    let mut copy = a.over(a.backup());
    for (host, name) in [(&mut a, "Ingabire"), (&mut copy, "Uwera")] {
        let record = host.person(name);
        host.visit(record, &CONVULSIONS);
        world.meet(host, &mut b);
    }
    let forked = |host: &Host| host.events.iter().any(|e| matches!(e, Event::Forked { .. }));
    assert!(forked(&b));
    // Both phones of the author are lost, and who never met them hears of the proof first.
    let mut hub = world.device(3, Role::Hub, &[]);
    for _ in 0..2 {
        world.meet(&mut b, &mut hub);
    }
    for name in ["mutesi", "byukusenge"] {
        assert_eq!((b.found(name), hub.found(name)), (1, 1), "{name}");
    }
    let pipe = world.meet(&mut b, &mut hub);
    assert!(complete(&b, pipe) && complete(&hub, pipe));
}

#[test]
fn a_lie_about_our_own_log_does_not_make_us_begin_anew() {
    let (mut world, mut a, mut b) = two_phones();
    a.call(Command::Seal);
    let fresh = a.backup();
    world.meet(&mut a, &mut b);
    // B says it holds more than A has, and never shows it: to A it looks like a lie.
    a.store = fresh;
    a.restart(false);
    a.person("Mutesi");
    let pipe = world.open(&mut a, &mut b);
    World::carry(&mut a, &mut b, 700);
    a.handle(Input::PipeClosed { pipe });
    assert!(!a.rolled());
}

#[test]
fn one_side_may_know_the_other_already() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let forgotten = b.backup();
    world.meet(&mut a, &mut b);
    b.store = forgotten;
    b.restart(false);
    a.person("Uwase");
    let pipe = world.meet(&mut a, &mut b);
    assert!(complete(&a, pipe) && complete(&b, pipe));
    assert_eq!(b.found("uwase"), 1);
}

#[test]
fn a_copy_made_before_the_first_write_makes_other_ids() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let image = a.backup();
    a.restart(false);
    let first = a.person("Mutesi");
    world.meet(&mut a, &mut hub);
    a.store = image;
    a.restart(false);
    let second = a.person("Ingabire");
    assert_ne!(first, second);
    for _ in 0..4 {
        world.meet(&mut a, &mut hub);
    }
    for name in ["mutesi", "ingabire"] {
        assert_eq!((a.found(name), hub.found(name)), (1, 1), "{name}");
    }
}

#[test]
fn a_copy_that_is_shown_many_of_its_envelopes_begins_anew_once() {
    let (mut world, mut a, mut b) = two_phones();
    let backup = a.backup();
    let record = a.person("Mutesi");
    for _ in 0..10 {
        a.visit(record, &CONVULSIONS);
    }
    world.meet(&mut a, &mut b);
    a.store = backup;
    a.restart(false);
    world.meet(&mut a, &mut b);
    let rolls = a.events.iter().filter(|event| matches!(event, Event::Rolled { .. })).count();
    assert_eq!(rolls, 1);
    assert_eq!(a.found("mutesi"), 1);
}

#[test]
fn an_urgent_visit_does_not_wait_behind_the_directory() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let record = a.person("Uwase");
    a.call(Command::Seal);
    let text = r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":
        {"resourceType":"Organization","id":"o1","name":"Clinic"}}]}"#;
    let text = text.to_owned();
    let area = huza_crdt::node::AreaRef::Own;
    let reply = a.call(Command::Import { area, text, source: None });
    assert!(matches!(reply, Reply::Imported { resources: 1, .. }), "{reply:?}");
    let before = a.status();
    a.visit(record, &CONVULSIONS);
    let after = a.status();
    assert_eq!((after.envelopes, after.pending), (before.envelopes + 1, before.pending));
}

#[test]
fn a_gateway_with_a_backlog_comes_to_rest_after_a_new_incarnation() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    gateway.facility_away = true;
    let record = a.person("Uwase");
    for _ in 0..30 {
        a.visit(record, &CONVULSIONS);
    }
    world.meet(&mut a, &mut gateway);
    assert!(gateway.facility.is_empty());
    assert_eq!(gateway.found("uwase"), 1, "it reads on while the facility is away");
    gateway.facility_away = false;
    gateway.restart(true);
    assert!(!gateway.facility.is_empty());
    world.meet(&mut a, &mut gateway);
    assert!(a.status().records.iter().all(|record| record.accepted));
}

#[test]
fn a_receipt_whose_end_is_not_held_proves_nothing() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    // The gateway accepts an urgent and a routine visit; then the phone is put back, unnoticed,
    // and writes another urgent visit in the same place of its log.
    let record = a.person("Mutesi");
    a.visit(record, &CONVULSIONS);
    let backup = a.backup();
    a.visit(record, &CONVULSIONS);
    a.visit(record, &COUGH);
    a.call(Command::Seal);
    world.meet(&mut a, &mut gateway);
    a.store = backup;
    a.restart(false);
    let record = a.person("Ingabire");
    a.visit(record, &CONVULSIONS);
    let (store_a, store_gateway) = (a.backup(), gateway.backup());
    let mut whole = 0;
    for cut in (0..40_000).step_by(16) {
        let (mut a, mut gateway) = (a.over(store_a.clone()), gateway.over(store_gateway.clone()));
        world.open(&mut a, &mut gateway);
        let carried = World::carry(&mut a, &mut gateway, cut);
        let told = a.status().records.iter().any(|one| one.name == "Ingabire" && one.accepted);
        let has = gateway.facility.values().any(|text| text.contains("Ingabire"));
        assert!(!told || has, "told accepted, and the facility has it not; cut at {cut}");
        if carried < cut {
            whole = carried;
            break;
        }
    }
    assert!(whole > 1_000, "the contact was played to its end");
}

#[test]
fn envelopes_that_are_held_back_hide_nothing_from_the_facility() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    world.meet(&mut a, &mut gateway);
    hold_back(&mut gateway, 300);
    gateway.restart(false);
    a.person("Keza");
    world.meet(&mut a, &mut gateway);
    assert!(gateway.facility.values().any(|text| text.contains("Keza")));
    assert!(!gateway.facility.values().any(|text| text.contains("Later")));
}

/// Puts envelopes in front of the gateway's queue whose change waits for one that never comes:
/// more than it delivers at once.
fn hold_back(gateway: &mut Host, count: u64) {
    use huza_crdt::codec::encode;
    use huza_crdt::id::{Hash, LogId, Origin, RecordId};
    use huza_crdt::record::{Document, Edit};
    use huza_crdt::store::{Batch, Table};
    let log = LogId([9; 32]);
    let mut batch = Batch::default();
    for number in 0..count {
        let record =
            RecordId(core::array::from_fn(|i| if i < 8 { number.to_be_bytes()[i] } else { 0xee }));
        let mut document = Document::new(record);
        let mut write = |counter, name: &str| {
            let edit = Edit::Person { field: "name/text".to_owned(), value: name.to_owned() };
            let at = huza_crdt::time::Stamp(1_795_000_000);
            document.write(Origin { log, counter }, at, "worker", &[edit]).unwrap().unwrap()
        };
        write(2 * number, "First");
        let raw = write(2 * number + 1, "Later");
        let key = [record.0.as_slice(), &log.0, &(2 * number + 1).to_be_bytes()].concat();
        batch.put(Table::Changes, key, encode(&(Some((log, number)), raw)));
        let due = (log, number, Hash([1; 32]), vec![record]);
        batch.put(Table::Deliver, number.to_be_bytes(), encode(&due));
    }
    // What comes from now on is behind them.
    batch.put(Table::CarrierMeta, b"next-ingest".as_slice(), encode(&(2 * count)));
    gateway.store.apply(&batch);
}

/// Otherwise its peer waits for one that does nothing more, and a user for an answer.
#[test]
fn a_node_whose_store_fails_begins_nothing_and_answers_what_waited() {
    let (_, a, _) = two_phones();
    let full = |node: &mut Node, now| {
        let why = "the disk is full".to_owned();
        node.handle(now, Input::StoreFailed { store: StoreKind::Carrier, why });
    };
    let now = Now::default();
    let (pipe, dialer, binding) = (PipeId(7), true, [7; 32]);
    let opened = || Input::PipeOpened { pipe, dialer, binding };
    let config = Config {
        entropy: [9; 32],
        life: [9; 16],
        reader: ReaderState::Absent,
        erasure_delay_ms: 0,
        carry: Carry::default(),
    };
    let drained = |node: &mut Node| core::iter::from_fn(|| node.poll()).collect::<Vec<_>>();
    let closes = |outputs: &[Output]| {
        let says = outputs.iter().any(|one| matches!(one, Output::Send { .. }));
        !says && outputs.iter().any(|one| matches!(one, Output::Close { pipe: PipeId(7) }))
    };
    let mut starting = Node::new(config, now);
    starting.handle(now, opened());
    let command = Box::new(Command::Peers);
    starting.handle(now, Input::Command { id: CommandId(1), command });
    drained(&mut starting);
    full(&mut starting, now);
    let outputs = drained(&mut starting);
    assert!(closes(&outputs));
    assert!(outputs.iter().any(|one| matches!(one, Output::Reply { reply, .. }
        if matches!(&**reply, Reply::Error(error) if error.code == "store_failed"))));
    let mut member = a.node;
    full(&mut member, now);
    drained(&mut member);
    member.handle(now, opened());
    assert!(closes(&drained(&mut member)));
}
