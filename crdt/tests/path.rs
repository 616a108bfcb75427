//! The whole path in memory: a visit on one phone reaches the facility by way of another phone
//! and a hub, and the receipts come back the same way.

mod common;

use std::collections::BTreeMap;

use common::{Host, World, complete};
use huza_crdt::node::{AreaRef, Command, Reply};
use huza_crdt::time::Stamp;
use huza_crdt::trust::Role;

fn answers(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn a_visit_reaches_the_facility_and_the_proof_comes_back() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["02"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    let record = a.person("Uwase");
    let reply = a.call(Command::AddVisit {
        record,
        form: "sick-child".to_owned(),
        occurred: Stamp(1_795_000_000),
        answers: answers(&[("age-months", "14"), ("convulsions", "yes")]),
    });
    let Reply::Written { dangers, visit: Some(visit), .. } = reply else { panic!("{reply:?}") };
    assert_eq!(dangers[0].sign, "convulsions");
    b.person("Keza");

    let met = world.meet(&mut a, &mut b);
    assert!(complete(&a, met) && complete(&b, met));
    assert_eq!(b.found("uwase"), 0, "B carries what it cannot read");
    let met = world.meet(&mut b, &mut hub);
    assert!(complete(&b, met));
    assert_eq!(hub.found("uwase"), 1);
    let met = world.meet(&mut hub, &mut gateway);
    assert!(complete(&hub, met));
    assert_eq!(gateway.found("uwase"), 1);
    assert!(!gateway.facility.is_empty());
    world.meet(&mut b, &mut hub);
    let met = world.meet(&mut a, &mut b);
    assert!(complete(&a, met));
    let status = a.status();
    assert!(status.records.iter().all(|one| one.stored && one.accepted && one.taken == 1));
    assert!(status.records.iter().flat_map(|one| &one.receipts).all(|one| one.verified));
    let Reply::Shown { record } = a.call(Command::Show { record }) else { panic!() };
    assert!(record.contains(&visit.to_string()), "{record}");
}

#[test]
fn an_outsider_writes_into_a_village_that_it_cannot_read() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["02"]);
    let (_, area) = a.status().areas.remove(0);
    let reply = b.call(Command::AddPerson {
        area: AreaRef::Tag(area),
        fields: answers(&[("name/given", "Ingabire")]),
    });
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    a.person("Uwase");
    world.meet(&mut a, &mut b);
    assert_eq!(a.found("ingabire"), 1, "members of the village read it");
    assert_eq!((b.found("ingabire"), b.found("uwase")), (1, 0), "its author keeps its own only");
    assert_eq!(b.status().pending, 0);
    let elsewhere = b.call(Command::AddPerson {
        area: AreaRef::Tag(huza_crdt::id::AreaTag([9; 16])),
        fields: answers(&[("name/given", "Nobody")]),
    });
    assert!(matches!(elsewhere, Reply::Error(error) if error.code == "unknown_area"));
}

#[test]
fn what_two_workers_set_while_apart_is_settled_by_setting_it() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let record = a.person("Uwase");
    world.meet(&mut a, &mut b);
    let set = |host: &mut Host, value: &str| {
        let fields = answers(&[("birth-date", value)]);
        let reply = host.call(Command::SetPerson { record, fields });
        assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    };
    set(&mut a, "1998");
    set(&mut b, "1989");
    world.meet(&mut a, &mut b);
    let shown = [a.show(record).unwrap(), b.show(record).unwrap()];
    assert_eq!(shown[0], shown[1]);
    assert!(["1998", "1989", "conflict"].iter().all(|part| shown[0].contains(part)), "{shown:?}");
    set(&mut b, "1998");
    world.meet(&mut a, &mut b);
    let shown = a.show(record).unwrap();
    assert!(shown.contains("1998") && !shown.contains("conflict"), "{shown}");
    let id = record.to_string();
    for query in [&id[..4], &id[..13], id.as_str(), "uwase"] {
        assert_eq!(a.found(query), 1, "{query}");
    }
    let other = if id.starts_with("0000") { "ffff" } else { "0000" };
    assert_eq!((a.found(&id[..3]), a.found(other)), (0, 0));
    let nobody = huza_crdt::id::RecordId([0; 16]);
    let reply = a.call(Command::SetPerson { record: nobody, fields: answers(&[("sex", "male")]) });
    assert!(matches!(reply, Reply::Error(error) if error.code == "unknown_record"));
}

/// A phone three weeks ahead, one three weeks behind, and both set right on the way: what was written
/// is exchanged, read and proven as ever, because nothing is admitted or refused by a wall clock.
#[test]
fn three_weeks_of_wrong_clock_either_way_change_nothing() {
    let mut world = World::new();
    let mut early = world.device(1, Role::Worker, &["01"]);
    let mut late = world.device(2, Role::Worker, &["01"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    early.days_pass(-21);
    late.days_pass(21);
    let known = early.person("Uwase");
    early.visit(known, &[("age-months", "14"), ("convulsions", "yes")]);
    late.person("Keza");
    let met = world.meet(&mut early, &mut late);
    assert!(complete(&early, met) && complete(&late, met));
    // The other corrects the same person, by a clock that is six weeks apart.
    late.visit(known, &[("age-months", "15"), ("cough", "yes")]);
    early.days_pass(21);
    late.days_pass(-42);
    early.person("Mutesi");
    late.person("Ingabire");
    for _ in 0..2 {
        let met = world.meet(&mut early, &mut late);
        assert!(complete(&early, met));
        let met = world.meet(&mut late, &mut hub);
        assert!(complete(&hub, met));
        let met = world.meet(&mut hub, &mut gateway);
        assert!(complete(&gateway, met));
    }
    world.meet(&mut late, &mut hub);
    world.meet(&mut early, &mut late);
    for host in [&mut early, &mut late, &mut hub, &mut gateway] {
        for name in ["uwase", "keza", "mutesi", "ingabire"] {
            assert_eq!(host.found(name), 1, "{name}");
        }
        let shown = host.show(known).unwrap();
        assert!(shown.contains("convulsions") && shown.contains("cough"), "{shown}");
    }
    for phone in [&mut early, &mut late] {
        let status = phone.status();
        assert!(status.records.iter().all(|one| one.stored && one.accepted), "{status:?}");
        assert!(status.records.iter().flat_map(|one| &one.receipts).all(|one| one.verified));
    }
}
