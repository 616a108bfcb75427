//! The whole path in memory: a visit on one phone reaches the facility by way of another phone
//! and a hub, and the receipts come back the same way.

mod common;

use std::collections::BTreeMap;

use common::{World, complete};
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
    assert_eq!(dangers, ["convulsions"]);
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
