//! Canaries: names, numbers, answers, villages and keys are planted, the whole path is gone, and
//! everything that a program could write into a log is searched for them.
//!
//! Searched is what `Debug` prints of every input and output of every node, and of everything in
//! between; and what `Display` prints where that is for operators. The `Display` of an error about
//! what a user typed is for that user's screen and is not searched.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;
mod needles;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use common::{Host, World, complete};
use huza_crdt::crypto::{Entropy, SealingKey, SigningKey, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Urgency};
use huza_crdt::id::{LogId, Origin, RecordId, VisitId};
use huza_crdt::node::{AreaRef, Carry, Command, Config, Input, PipeId, ReaderState, Reply};
use huza_crdt::record::{self, Card, Document, Edit, Forms, ImportRun, SUGGESTED_SAME_PERSON};
use huza_crdt::store::{MemoryStore, Range, Table};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_crdt::trust::{
    AreaKey, AreaName, CatchmentSecret, GrantContent, Keyring, Role, paper::Centre,
};
use needles::Needles;

const GIVEN: &str = "Kanariyaimwe";
const FAMILY: &str = "Kanariyakabiri";
const NATIONAL: &str = "1198870246813579";
const PHONE: &str = "0788424242";
const BORN: &str = "1988-07-13";
const CELL: &str = "Akagari kihishe";
const NOTE: &str = "yavuze ibanga rikomeye";
const WORKER: &str = "Umujyanama Kanariya";
const VILLAGE: &str = "57010499";
const CATCHMENT: &str = "FOSA-0917";
const CONDITION: &str = "indwara-itavugwa";
/// A weight that is unusual, which a warning quotes, and one that is not allowed.
const UNUSUAL: &str = "29.8751253";
const REFUSED: &str = "987654.257";

fn texts() -> Needles {
    let mut needles = Needles::default();
    for (what, text) in [
        ("given name", GIVEN),
        ("family name", FAMILY),
        ("national id", NATIONAL),
        ("phone", PHONE),
        ("birth date", BORN),
        ("field", CELL),
        ("note", NOTE),
        ("worker", WORKER),
        ("village", VILLAGE),
        ("catchment", CATCHMENT),
        ("diagnosis", CONDITION),
        ("unusual answer", UNUSUAL),
        ("refused answer", REFUSED),
    ] {
        needles.text(what, text);
    }
    needles
}

/// Every secret in what an authority keeps: arrays of 32 numbers, but for signed statements.
fn secrets_of(kept: &serde_json::Value, path: &str, needles: &mut Needles) -> usize {
    match kept {
        serde_json::Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !["statements", "chain"].contains(&name.as_str()))
            .map(|(name, value)| secrets_of(value, &format!("{path}/{name}"), needles))
            .sum(),
        serde_json::Value::Array(items) if items.len() == 32 => {
            let bytes: Option<Vec<u8>> =
                items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect();
            bytes.map_or(0, |bytes| {
                needles.secret(path, &bytes);
                1
            })
        }
        _ => 0,
    }
}

fn row(store: &MemoryStore, table: Table, key: &[u8]) -> Vec<u8> {
    let rows = store.load(&Range::all(table));
    rows.into_iter().find(|(at, _)| at == key).expect("a row").1
}

/// The secrets of a device, out of its stores.
fn secrets_of_device(host: &mut Host, needles: &mut Needles) {
    let seed: [u8; 32] =
        row(&host.store, Table::CarrierMeta, b"identity")[..32].try_into().unwrap();
    let device = host.status().device.unwrap();
    assert_eq!(SigningKey::from_seed(seed).public(), device, "the store begins with the seed");
    needles.secret("a device's seed", &seed);
    let sealing = row(&host.store, Table::ReaderMeta, b"sealing");
    needles.secret("a device's sealing key", &sealing[..32]);
}

/// The keys of the village and its catchment, and whatever else the authority holds.
fn secrets_of_centre(centre: &Centre, needles: &mut Needles) -> CatchmentSecret {
    let kept = serde_json::to_value(centre).unwrap();
    let secret: CatchmentSecret = serde_json::from_value(kept["secret"].clone()).unwrap();
    assert_eq!(secrets_of(&kept, "centre", needles), 4, "member, seed, epoch, tags");
    needles.secret("village key", secret.key(secret.area(VILLAGE), 0).expose());
    secret
}

/// 32 bytes that are found nowhere by chance.
fn some_key(step: u8) -> [u8; 32] {
    let mut byte = 0_u8;
    core::array::from_fn(|_| {
        byte = byte.wrapping_add(step);
        byte
    })
}

fn map(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn fields() -> BTreeMap<String, String> {
    let identifier = format!("identifier/NID|{NATIONAL}");
    let mut fields = map(&[("name/given", GIVEN), ("name/family", FAMILY), ("sex", "female")]);
    fields.extend(map(&[(&identifier, ""), ("birth-date", BORN), ("phone", PHONE)]));
    fields.extend(map(&[("cell", CELL), ("village", VILLAGE)]));
    fields
}

fn add_person(fields: BTreeMap<String, String>) -> Command {
    Command::AddPerson { area: AreaRef::Own, fields }
}

fn add_visit(record: RecordId, form: &str, answers: &[(&str, &str)]) -> Command {
    Command::AddVisit {
        record,
        form: form.to_owned(),
        occurred: Stamp(1_795_000_000),
        answers: map(answers),
    }
}

fn bundle() -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[
        {{"resource":{{"resourceType":"Patient","id":"p1","birthDate":"{BORN}",
          "identifier":[{{"system":"NID","value":"{NATIONAL}"}}],
          "name":[{{"family":"{FAMILY}","given":["{GIVEN}"]}}]}}}},
        {{"resource":{{"resourceType":"Condition","id":"c1",
          "subject":{{"reference":"Patient/p1"}},"code":{{"text":"{CONDITION}"}}}}}},
        {{"resource":{{"resourceType":"{CONDITION}"}}}},
        {{"resource":{{"resourceType":"Patient","id":"{GIVEN} {FAMILY}"}}}}]}}"#
    )
}

fn import(text: String) -> Command {
    let source = Some(format!("https://{FAMILY}.example"));
    Command::Import { area: AreaRef::Own, text, source }
}

/// What a worker does, right and wrong. Gives the record of the person.
fn work(host: &mut Host) -> RecordId {
    host.unlock(WORKER);
    let Reply::Written { record, .. } = host.call(add_person(fields())) else { panic!() };
    let danger =
        [("age-months", "14"), ("convulsions", "yes"), ("weight", UNUSUAL), ("note", NOTE)];
    let reply = host.call(add_visit(record, "sick-child", &danger));
    let Reply::Written { warnings, dangers, .. } = &reply else { panic!("{reply:?}") };
    assert!(warnings.concat().contains(UNUSUAL), "a warning quotes the answer: {warnings:?}");
    assert_eq!(dangers[0].sign, "convulsions");
    let Reply::Imported { problems, .. } = host.call(import(bundle())) else { panic!() };
    assert!(problems.concat().contains(CONDITION) && problems.concat().contains(FAMILY));
    for words in [GIVEN, FAMILY, NATIONAL, NOTE] {
        host.call(Command::Find { query: words.to_owned(), limit: 10 });
    }
    assert_eq!(host.found(GIVEN), 2, "by hand and imported");
    host.call(Command::Show { record });
    host.call(Command::Status { records: true });
    host.call(Command::Export { after: None });
    host.call(Command::Seal);
    mistakes(host, record);
    record
}

/// Commands that cannot be done, whose errors quote what was typed.
fn mistakes(host: &mut Host, record: RecordId) {
    let elsewhere = AreaName { catchment: CATCHMENT.to_owned(), village: NATIONAL.to_owned() };
    let wrong = [
        (add_person(map(&[("birth-date", NOTE)])), NOTE),
        (add_person(map(&[("sex", FAMILY)])), FAMILY),
        (add_visit(record, GIVEN, &[]), GIVEN),
        (add_visit(record, "sick-child", &[("age-months", NOTE)]), NOTE),
        (add_visit(record, "sick-child", &[("age-months", "3"), (NATIONAL, "yes")]), NATIONAL),
        (add_visit(record, "sick-child", &[("age-months", "3"), ("weight", REFUSED)]), REFUSED),
        (import(format!(r#"{{"resourceType":"{CONDITION}"}}"#)), CONDITION),
        (Command::AddPerson { area: AreaRef::Name(elsewhere), fields: fields() }, NATIONAL),
    ];
    for (command, quoted) in wrong {
        let name = format!("{command:?}");
        let Reply::Error(error) = host.call(command) else { panic!("{name} was done") };
        assert!(error.message.contains(quoted), "{name}: the user is told what was wrong");
    }
    let broken = format!(r#"{{"resourceType":["{NOTE}"]}}"#);
    assert!(matches!(host.call(import(broken)), Reply::Error(_)));
}

/// Everything that four devices print while records and receipts travel.
fn journey() -> (String, Needles, Vec<u8>) {
    let mut world = World::of(CATCHMENT, &[VILLAGE, "57010500"]);
    let mut a = world.device(1, Role::Worker, &[VILLAGE]);
    let mut b = world.device(2, Role::Worker, &["57010500"]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let mut gateway = world.device(4, Role::Gateway, &[]);
    for host in [&mut a, &mut b, &mut hub, &mut gateway] {
        host.printed = Some(String::new());
    }
    work(&mut a);
    let met = world.meet(&mut a, &mut b);
    assert!(complete(&a, met));
    world.meet(&mut b, &mut hub);
    world.meet(&mut hub, &mut gateway);
    assert!(gateway.facility.values().any(|text| text.contains(CONDITION)), "it has arrived");
    world.meet(&mut b, &mut hub);
    world.meet(&mut a, &mut b);
    hub.found(GIVEN);
    a.restart(true);
    world.meet(&mut a, &mut hub);
    // A stranger who says a name instead of a hello.
    let pipe = PipeId(900);
    a.handle(Input::PipeOpened { pipe, dialer: false, binding: [7; 32] });
    a.handle(Input::Received { pipe, bytes: GIVEN.repeat(9).into_bytes() });
    a.handle(Input::PipeClosed { pipe });
    let mut needles = texts();
    secrets_of_centre(&world.centre, &mut needles);
    let root = serde_json::to_value(&world.programme).unwrap();
    assert_eq!(secrets_of(&root, "programme", &mut needles), 2);
    let mut printed = String::new();
    let mut told = Vec::new();
    for host in [&mut a, &mut b, &mut hub, &mut gateway] {
        secrets_of_device(host, &mut needles);
        write!(printed, "{:?} {:?} {:?}", host.node, host.store, host.replies).unwrap();
        // As `huza run` tells its operator.
        host.events.iter().for_each(|event| told.extend(serde_json::to_vec(event).unwrap()));
        printed += &host.printed.take().unwrap();
    }
    (printed, needles, told)
}

#[test]
fn nothing_personal_and_no_key_prints_on_the_whole_path() {
    let (printed, needles, told) = journey();
    assert_eq!(needles.found(&printed), Vec::<String>::new());
    assert_eq!(needles.found_in_bytes(&told), Vec::<String>::new(), "in events");
    for kind in ["Persist {", "Load {", "AddPerson", "Written", "Deliver {", "Met {", "Receipts {"]
    {
        assert!(printed.contains(kind), "{kind} was not printed, so nothing is shown");
    }
    println!("{} bytes of inputs and outputs, {} of events", printed.len(), told.len());
}

fn show(out: &mut String, it: &dyn Debug) {
    writeln!(out, "{it:?}").unwrap();
}

/// The values in between: of records, forms and imports.
fn print_records(out: &mut String) {
    let record = RecordId([0x4b; 16]);
    let origin = Origin { log: LogId([3; 32]), counter: 1 };
    let mut edits: Vec<Edit> =
        fields().into_iter().map(|(field, value)| Edit::Person { field, value }).collect();
    let checked = record::check(
        record::form("sick-child", 1).unwrap(),
        &map(&[("age-months", "9"), ("convulsions", "yes"), ("weight", UNUSUAL), ("note", NOTE)]),
    );
    let checked = checked.unwrap();
    let form = record::form("sick-child", 1).unwrap();
    let card =
        record::card(&form.name(), Some(GIVEN), &checked, (record, VisitId([5; 16])), Stamp(1));
    show(out, &(&checked, &checked.warnings, &checked.dangers, Card::decode(&card).unwrap()));
    edits.push(Edit::Visit {
        visit: VisitId([5; 16]),
        form: form.name(),
        occurred: Stamp(1),
        worker: WORKER.to_owned(),
        answers: checked.answers,
    });
    edits.push(Edit::Void { visit: VisitId([5; 16]), reason: NOTE.to_owned() });
    let key = "Condition/0a0b0c0d-0000-4000-8000-000000000001".to_owned();
    edits.push(Edit::Resource { key, text: format!("{{\"note\":\"{NOTE}\"}}") });
    edits.push(Edit::Link { to: record, kind: SUGGESTED_SAME_PERSON.to_owned() });
    show(out, &edits);
    let mut document = Document::new(record);
    let raw = document.write(origin, Stamp(1), WORKER, &edits).unwrap().unwrap();
    let view = document.view();
    let visit = view.visits.values().collect::<Vec<_>>();
    show(out, &(&document, &view, view.person.values().collect::<Vec<_>>(), visit));
    show(out, &(document.summary(&Forms::built_in()), record::project(&view, &Forms::built_in())));
    let items = vec![Item { record, change: raw, card }];
    let payload = Payload { origin: None, first: 1, items };
    let key = SymmetricKey::from_bytes(some_key(3));
    let sealed = payload.seal(LogId([3; 32]), &Seal::Member(key.clone()), Urgency::Urgent, [1; 32]);
    show(out, &(payload, sealed.unwrap(), Seal::Member(key)));
}

fn print_mistakes(out: &mut String) {
    let form = record::form("sick-child", 1).unwrap();
    let wrong = map(&[("age-months", NOTE), ("weight", REFUSED), ("malaria-rdt", GIVEN)]);
    let errors = record::check(form, &wrong).unwrap_err();
    assert_eq!(errors.len(), 3, "type, range, choice");
    show(out, &errors);
    show(out, &record::check(form, &map(&[(NATIONAL, "1")])).unwrap_err());
    let mut document = Document::new(RecordId([1; 16]));
    let origin = Origin { log: LogId([3; 32]), counter: 1 };
    let field = format!("identifier/NID|{NATIONAL}");
    let long = Edit::Person { field, value: GIVEN.repeat(1_000_000) };
    show(out, &document.write(origin, Stamp(1), WORKER, &[long]).unwrap_err());
    for text in [
        format!(r#"{{"resourceType":["{NOTE}"]}}"#),
        format!(r#"{{"resourceType":"{CONDITION}"}}"#),
        format!(r#"{{"resourceType":"Bundle","type":"{FAMILY}","entry":[]}}"#),
        format!(r#"{{"resourceType":"Bundle","type":"batch","entry":"{FAMILY}"}}"#),
        GIVEN.to_owned(),
    ] {
        let error = record::read_bundle(&text, None).unwrap_err();
        show(out, &error);
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(one) = cause {
            show(out, &one);
            cause = one.source();
        }
    }
    let import = record::read_bundle(&bundle(), Some(FAMILY)).unwrap();
    show(out, &import);
    let mut run = ImportRun::new();
    show(out, &run.settle(import, |_| None));
    show(out, &run);
}

fn print_trust(out: &mut String, needles: &mut Needles) {
    let mut world = World::of(CATCHMENT, &[VILLAGE]);
    let secret = secrets_of_centre(&world.centre, needles);
    let area = secret.area(VILLAGE);
    let name = AreaName { catchment: CATCHMENT.to_owned(), village: VILLAGE.to_owned() };
    let granted = AreaKey { area, name: name.clone(), key: secret.key(area, 0) };
    let mut keyring = Keyring::new(&secret.epoch);
    keyring.add(GrantContent::Area(granted.clone()));
    keyring.add(GrantContent::Catchment(secret.clone()));
    show(out, &(name, &granted, GrantContent::Area(granted.clone()), &keyring, &secret));
    show(out, &(&world.programme, &world.centre));
    let seed: [u8; 32] = some_key(5);
    needles.secret("a seed", &seed);
    let (key, sealing) = (SigningKey::from_seed(seed), SealingKey::from_seed(seed));
    show(out, &(&key, &sealing, Entropy::new(seed)));
    let reader = ReaderState::Open { worker: WORKER.to_owned() };
    show(
        out,
        &Config {
            entropy: seed,
            life: [9; 16],
            reader,
            erasure_delay_ms: 0,
            carry: Carry::default(),
        },
    );
    let public = sealing.public();
    let request = JoinRequest::new(&key, public, (WORKER, false), common::TODAY, [7; 8]);
    let mut approval = Approval::of(Role::Worker, &[VILLAGE.to_owned()]);
    approval.workers.push(WORKER.to_owned());
    show(out, &approval);
    let welcome = world.centre.approve(&request, &approval, common::TODAY, &mut world.entropy);
    let welcome = welcome.unwrap();
    show(out, &(&request, &welcome, welcome.open(&sealing).unwrap(), &welcome.statements));
}

#[test]
fn nothing_personal_and_no_key_prints_of_the_values_in_between() {
    let mut needles = texts();
    let mut out = String::new();
    print_records(&mut out);
    print_mistakes(&mut out);
    print_trust(&mut out, &mut needles);
    assert_eq!(needles.found(&out), Vec::<String>::new(), "{out}");
}

/// The search finds what it searches for, in every spelling, and in what is stored.
#[test]
fn the_search_finds_what_is_planted() {
    let mut needles = texts();
    needles.secret("key", &some_key(7));
    for spelled in needles.spellings() {
        assert!(!needles.found(&format!("..{spelled}..")).is_empty(), "{spelled}");
    }
    let mut world = World::of(CATCHMENT, &[VILLAGE]);
    let mut a = world.device(1, Role::Worker, &[VILLAGE]);
    work(&mut a);
    let rows: Vec<u8> =
        a.store.load(&Range::all(Table::Summaries)).into_iter().flat_map(|row| row.1).collect();
    let mut found = needles.found_in_bytes(&rows).join("\n");
    let reply = a.call(Command::Find { query: GIVEN.to_owned(), limit: 10 });
    found += &needles.found(&serde_json::to_string(&reply).unwrap()).join("\n");
    for what in ["given name", "family name", "national id", "birth date", "village"] {
        assert!(found.contains(what), "{what} is not among {found}");
    }
    let key = SymmetricKey::from_bytes([0x5e; 32]);
    let mut one = Needles::default();
    one.secret("it", &SigningKey::from_seed([0x5e; 32]).public().0);
    let public = SigningKey::from_seed(*key.expose()).public();
    assert!(!one.found(&format!("{:?}", public.0)).is_empty(), "as a list");
    assert!(!one.found(&public.to_string()).is_empty(), "in hexadecimal");
    assert!(!one.found_in_bytes(&public.0).is_empty(), "as it is");
}
