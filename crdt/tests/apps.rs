//! What other programs of a device ask: which records changed, FHIR resources of one record, and to
//! change one thing in it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use common::{Host, World};
use huza_crdt::codec;
use huza_crdt::id::{RecordId, VisitId};
use huza_crdt::limits::FEED_ROWS_MAX;
use huza_crdt::node::{
    ChangeCursor, ChangedRecord, Command, CommandId, Event, Input, Now, Order, Output,
    PlacedResource, Reply, ResourceScope,
};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;
use serde_json::Value;

fn end(host: &mut Host) -> ChangeCursor {
    match host.call(Command::Changes { after: None, limit: 0 }) {
        Reply::Changes { changes, next, more: false } if changes.is_empty() => next,
        other => panic!("{other:?}"),
    }
}

fn changes(host: &mut Host, after: ChangeCursor) -> (Vec<ChangedRecord>, ChangeCursor) {
    match host.call(Command::Changes { after: Some(after), limit: 100 }) {
        Reply::Changes { changes, next, more: false } => (changes, next),
        other => panic!("{other:?}"),
    }
}

fn code(reply: Reply) -> String {
    match reply {
        Reply::Error(error) => error.code,
        other => panic!("{other:?}"),
    }
}

/// Record and whether it is gone, of each change.
fn told(changes: &[ChangedRecord]) -> Vec<(RecordId, bool)> {
    changes.iter().map(|one| (one.record, one.gone)).collect()
}

fn resources(host: &mut Host, of: ResourceScope) -> (RecordId, Vec<PlacedResource>) {
    match host.call(Command::Resources { of }) {
        Reply::Resources { record, resources } => (record, resources),
        other => panic!("{other:?}"),
    }
}

/// The only visit of a record.
fn only_visit(host: &mut Host, record: RecordId) -> VisitId {
    let shown: Value = serde_json::from_str(&host.show(record).unwrap()).unwrap();
    let visits = shown["visits"].as_object().unwrap();
    assert_eq!(visits.len(), 1);
    visits.keys().next().unwrap().parse().unwrap()
}

const UUID: &str = "3f1c9a52-6f0b-4a86-9d53-8d3f8a4b9c01";

fn observation(record: RecordId, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{UUID}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{record}"}},"valueQuantity":{{"value":{value}}}}}"#
    )
}

#[test]
fn what_changes_is_heard_in_order_and_goes_on_after_a_restart() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let (of_a, of_b) = (end(&mut a), end(&mut b));
    let (first, second) = (a.person("Ingabire"), a.person("Uwase"));
    a.visit(first, &[("age-months", "14"), ("cough", "yes")]);
    let (heard, next) = changes(&mut a, of_a);
    assert_eq!(told(&heard), [(second, false), (first, false)], "of a record its last change");
    assert_eq!(changes(&mut a, heard[0].cursor).0, heard[1..]);
    assert!(changes(&mut a, next).0.is_empty());
    let Reply::Changes { changes: one, next: behind, more } =
        a.call(Command::Changes { after: Some(of_a), limit: 1 })
    else {
        panic!()
    };
    assert_eq!((told(&one), more), (vec![(first, false)], true));
    assert_eq!(changes(&mut a, behind).0, heard);

    a.restart(false);
    let third = a.person("Mukamana");
    assert_eq!(told(&changes(&mut a, next).0), [(third, false)]);

    world.meet(&mut a, &mut b);
    let mut of_others = told(&changes(&mut b, of_b).0);
    of_others.sort_unstable();
    let mut all = vec![(first, false), (second, false), (third, false)];
    all.sort_unstable();
    assert_eq!(of_others, all);
    let woken = |event: &Event| matches!(event, Event::Changed { records } if *records > 0);
    assert!(b.events.iter().any(woken));
}

#[test]
fn an_app_hears_that_a_person_was_erased_as_soon_as_it_is_hidden() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut a = world.device(2, Role::Worker, &["01"]);
    let gone = a.person("Ingabire");
    world.meet(&mut a, &mut authority);
    world.meet(&mut a, &mut authority);
    let before = end(&mut a);
    let reply = authority.order(Order::Erase { record: gone });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut a, &mut authority);
    let (heard, next) = changes(&mut a, before);
    assert_eq!(told(&heard), [(gone, true)]);
    a.wait_for_erasures();
    assert!(told(&changes(&mut a, next).0).iter().all(|(record, gone_)| *record == gone && *gone_));
    let settled = end(&mut a);
    a.restart(false);
    assert!(changes(&mut a, settled).0.is_empty(), "nothing is told again at a start");
}

#[test]
fn a_cursor_of_another_life_or_one_too_old_is_refused() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    a.person("Ingabire");
    let now = end(&mut a);
    let ahead = ChangeCursor { number: now.number + 1, ..now };
    let ask = |after| Command::Changes { after: Some(after), limit: 10 };
    assert_eq!(code(a.call(ask(ahead))), "cursor_expired");
    a.restart(true);
    assert_eq!(code(a.call(ask(now))), "cursor_expired", "a copy has a list of its own");

    // As if so many changes had been.
    let (old, number) = (end(&mut a), FEED_ROWS_MAX + 4_000);
    let mut batch = Batch::default();
    batch.put(Table::ReaderMeta, *b"fed", codec::encode(&number));
    batch.put(Table::Feed, 4_000_u64.to_be_bytes(), [7; 16]);
    a.store.apply(&batch);
    a.restart(false);
    assert_eq!(code(a.call(ask(old))), "cursor_expired");
    a.person("Uwase");
    let first = a.store.load(&Range { rows_max: 1, ..Range::all(Table::Feed) });
    assert!(first[0].0 != 4_000_u64.to_be_bytes(), "the oldest entry makes room");
}

#[test]
fn a_visit_entered_in_error_is_marked_and_keeps_its_answers() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let record = a.person("Ingabire");
    a.visit(record, &[("age-months", "14"), ("cough", "yes")]);
    let visit = only_visit(&mut a, record);
    let void =
        |visit, reason: &str| Command::VoidVisit { record, visit, reason: reason.to_owned() };
    assert_eq!(code(a.call(void(visit, "  "))), "invalid_reason");
    assert_eq!(code(a.call(void(VisitId([9; 16]), "wrong person"))), "unknown_visit");
    let reply = a.call(void(visit, "wrong person"));
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    let shown = a.show(record).unwrap();
    assert!(shown.contains("wrong person") && shown.contains("cough"), "{shown}");
    let (_, all) = resources(&mut a, ResourceScope::Record(record));
    let encounter = all.iter().find(|one| one.place.starts_with("Encounter/")).unwrap();
    assert!(encounter.text.contains("entered-in-error"), "{}", encounter.text);
}

#[test]
fn a_resource_is_kept_in_a_record_and_found_by_its_place() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    for name in 0..70 {
        a.person(&format!("Person {name}"));
    }
    let record = a.person("Ingabire");
    let put = |text: String| Command::PutResource { record, text };
    let reply = a.call(put(observation(record, "62.50")));
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    let place = format!("Observation/{UUID}");
    let (found, all) = resources(&mut a, ResourceScope::Place(place.clone()));
    assert_eq!(found, record);
    let kept = all.iter().find(|one| one.place == place).unwrap();
    assert!(kept.imported && kept.text.contains("62.50"), "{}", kept.text);
    assert!(kept.text.contains(&format!(r#""reference":"Patient/{record}""#)), "{}", kept.text);
    assert!(!all.iter().find(|one| one.place.starts_with("Patient/")).unwrap().imported);
    assert_eq!(resources(&mut a, ResourceScope::Place(format!("Patient/{record}"))).0, record);

    a.call(put(observation(record, "63.00")));
    let (_, all) = resources(&mut a, ResourceScope::Record(record));
    let kept = all.iter().find(|one| one.place == place).unwrap();
    assert!(kept.text.contains("63.00") && !kept.text.contains("62.50"), "{}", kept.text);

    let wrong = [
        observation(record, "1").replace(UUID, "1"),
        observation(record, "1").replace("Observation", "Observations"),
        "{".to_owned(),
        r#"{"resourceType":"Bundle","type":"collection","entry":[]}"#.to_owned(),
    ];
    for text in wrong {
        assert_eq!(code(a.call(put(text))), "bad_resource");
    }
    let nowhere = ResourceScope::Place(format!("Observation/{}", UUID.replace('3', "4")));
    assert_eq!(code(a.call(Command::Resources { of: nowhere })), "unknown_resource");
    let nobody = RecordId([9; 16]);
    let text = observation(nobody, "1");
    assert_eq!(code(a.call(Command::PutResource { record: nobody, text })), "unknown_record");
}

#[test]
fn what_was_computed_while_the_device_was_locked_is_given_to_nobody() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let record = a.person("Ingabire");
    let now = Now::default();
    let scopes = [ResourceScope::Record(record), ResourceScope::Place(format!("Patient/{record}"))];
    for (id, of) in scopes.into_iter().enumerate() {
        let id = CommandId(900 + id as u64);
        let command = Box::new(Command::Resources { of });
        a.node.handle(now, Input::Command { id, command });
        let mut computed = None;
        while let Some(output) = a.node.poll() {
            let input = match output {
                Output::Persist { token, batch, .. } => {
                    a.store.apply(&batch);
                    Input::Persisted { token }
                }
                Output::Load { token, range } => {
                    Input::Loaded { token, rows: a.store.load(&range) }
                }
                Output::Work { token, job } => {
                    computed = Some((token, job.run()));
                    continue;
                }
                _ => continue,
            };
            a.node.handle(now, input);
        }
        a.lock();
        let (token, product) = computed.expect("work for another thread");
        a.handle(Input::Done { token, product });
        assert_eq!(code(a.replies.remove(&id).expect("an answer")), "locked");
        a.unlock("worker 1");
    }
}
