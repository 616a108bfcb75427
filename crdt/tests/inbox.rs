//! The way back: messages that go down to workers, and the receipts that say who was shown them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::collections::BTreeMap;

use common::{Host, TODAY, World};
use huza_crdt::id::{LogId, RecordId};
use huza_crdt::node::{AreaRef, Command, InboxMessage, Reply};
use huza_crdt::time::Stamp;
use huza_crdt::trust::{AreaName, Role};

fn answers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect()
}

fn tell(host: &mut Host, record: RecordId, form: &str, pairs: &[(&str, &str)]) {
    let (form, answers) = (form.to_owned(), answers(pairs));
    // Each a little later than the one before.
    let occurred = Stamp(TODAY.0 + i64::try_from(inbox(host).len()).unwrap());
    let reply = host.call(Command::AddVisit { record, form, occurred, answers });
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
}

fn instruct(host: &mut Host, record: RecordId, text: &str, more: &[(&str, &str)]) {
    let pairs = [&[("about", "instruction"), ("text", text)], more].concat();
    tell(host, record, "message", &pairs);
}

fn inbox(host: &mut Host) -> Vec<InboxMessage> {
    let Reply::Inbox { messages } = host.call(Command::Inbox) else { panic!("no inbox") };
    messages
}

/// Text of a message.
fn text(one: &InboxMessage) -> &str {
    one.message.says.last().map_or("", |(_, text)| text)
}

fn see(host: &mut Host, places: Vec<(LogId, u64)>) {
    assert_eq!(host.call(Command::Seen { places }), Reply::Noted);
}

fn village(code: &str) -> AreaRef {
    AreaRef::Name(AreaName { catchment: "HC1".to_owned(), village: code.to_owned() })
}

#[test]
fn an_instruction_goes_down_two_hops_and_what_was_shown_comes_up() {
    let mut world = World::new();
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut ferry = world.device(3, Role::Worker, &["02"]);
    let mut phone = world.device(4, Role::Worker, &["01"]);
    let record = phone.person("Uwase");
    world.meet(&mut phone, &mut ferry);
    world.meet(&mut ferry, &mut hub);
    instruct(&mut hub, record, "Bring her on Monday", &[]);
    tell(&mut hub, record, "referral-result", &[("arrived", "yes"), ("instruction", "Rest")]);
    world.meet(&mut hub, &mut ferry);
    assert!(inbox(&mut ferry).is_empty(), "who carries it cannot read it");
    world.meet(&mut ferry, &mut phone);

    let both = inbox(&mut phone);
    assert_eq!(both.iter().map(text).collect::<Vec<_>>(), ["Bring her on Monday", "Rest"]);
    let new = |one: &&InboxMessage| {
        one.for_worker && !one.written_here && !one.shown_here && one.shown_by.is_empty()
    };
    assert_eq!(both.iter().filter(new).count(), 2);
    assert_ne!(both[0].places, both[1].places, "each is alone in its envelope");
    see(&mut phone, both[0].places.clone());
    assert!(inbox(&mut phone)[0].shown_here && !inbox(&mut phone)[1].shown_here);
    phone.restart(false);
    assert!(inbox(&mut phone)[0].shown_here && !inbox(&mut phone)[1].shown_here);

    world.meet(&mut phone, &mut ferry);
    world.meet(&mut ferry, &mut hub);
    let shown: Vec<usize> = inbox(&mut hub).iter().map(|one| one.shown_by.len()).collect();
    assert_eq!(shown, [1, 0]);
    assert_eq!(inbox(&mut hub)[0].shown_by.first(), phone.status().certificate.as_ref());
    assert!(inbox(&mut hub).iter().all(|one| one.written_here));
}

#[test]
fn a_message_to_a_village_or_to_one_worker() {
    let mut world = World::new();
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut b = world.device(4, Role::Worker, &["02"]);
    let record = a.person("Uwase");
    world.meet(&mut a, &mut hub);
    let notice = Command::AddNotice {
        area: village("01"),
        occurred: TODAY,
        answers: answers(&[("about", "guidance"), ("text", "Nets come on Friday")]),
    };
    assert!(matches!(hub.call(notice), Reply::Written { .. }));
    instruct(&mut hub, record, "for you", &[("to", " Worker 1")]);
    instruct(&mut hub, record, "for another", &[("to", "Claudine")]);
    world.meet(&mut hub, &mut a);
    world.meet(&mut hub, &mut b);
    assert!(inbox(&mut b).is_empty());
    let all = inbox(&mut a);
    let mine: Vec<&str> = all.iter().filter(|one| one.for_worker).map(text).collect();
    assert_eq!((mine.len(), all.len()), (2, 3), "{mine:?}");
    assert!(mine.contains(&"Nets come on Friday") && mine.contains(&"for you"));
    assert!(all.iter().any(|one| one.name.starts_with("Ubutumwa: Nets come")));
    // A form must be right here, too; nothing is written else.
    let notice =
        Command::AddNotice { area: village("01"), occurred: TODAY, answers: BTreeMap::new() };
    assert!(matches!(hub.call(notice), Reply::Error(_)));
}

#[test]
fn nothing_is_signed_for_that_nobody_was_told_of() {
    let mut world = World::new();
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    let record = phone.person("Uwase");
    world.meet(&mut phone, &mut hub);
    instruct(&mut hub, record, "Bring her on Monday", &[]);
    world.meet(&mut hub, &mut phone);
    let places = inbox(&mut hub)[0].places.clone();
    see(&mut phone, places.clone());
    world.meet(&mut hub, &mut phone);
    assert!(inbox(&mut hub)[0].shown_by.is_empty());
    assert!(!inbox(&mut phone)[0].shown_here);
    see(&mut phone, places);
    world.meet(&mut hub, &mut phone);
    assert_eq!(inbox(&mut hub)[0].shown_by.len(), 1);
}

#[test]
fn receipts_add_up() {
    let mut world = World::new();
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    let record = phone.person("Uwase");
    world.meet(&mut phone, &mut hub);
    instruct(&mut hub, record, "first", &[]);
    instruct(&mut hub, record, "second", &[]);
    world.meet(&mut hub, &mut phone);
    let all = inbox(&mut phone);
    see(&mut phone, all.iter().flat_map(|one| one.places.clone()).collect());
    world.meet(&mut phone, &mut hub);
    let shown: Vec<usize> = inbox(&mut hub).iter().map(|one| one.shown_by.len()).collect();
    assert_eq!(shown, [1, 1]);
    // What comes later is signed for beside what was before.
    instruct(&mut hub, record, "third", &[]);
    world.meet(&mut hub, &mut phone);
    let third = inbox(&mut phone).into_iter().find(|one| text(one) == "third").unwrap();
    assert!(!third.shown_here);
    see(&mut phone, third.places);
    world.meet(&mut phone, &mut hub);
    assert!(inbox(&mut hub).iter().all(|one| one.shown_by.len() == 1));
}
