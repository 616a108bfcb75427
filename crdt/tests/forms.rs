//! Forms that an authority publishes: they travel as statements, and are filled and read wherever they
//! have come.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::collections::BTreeMap;

use common::{Host, TODAY, World};
use huza_crdt::control::{Reason, Statement, form_body, kind};
use huza_crdt::id::RecordId;
use huza_crdt::limits::FORM_BODY_BYTES_MAX;
use huza_crdt::node::{Command, DueVisit, Order, PublishedForm, Reply};
use huza_crdt::record::{Form, FormName, Forms, form_text};
use huza_crdt::store::{Batch, Range, Table};
use huza_crdt::trust::Role;

/// A changed form: one question more, which may be a danger, with something due after it.
fn changed(version: u32, question: &str) -> String {
    let text = form_text("refusal").unwrap();
    let text = text.replacen("version = 1", &format!("version = {version}"), 1);
    format!(
        r#"{text}
[[field]]
id = "{question}"
label = {{ rw = "Ikibazo gishya", fr = "Question nouvelle", en = "New question", review = true }}
type = "yes-no"
resource = "Observation"
[[danger]]
sign = "new-sign"
label = {{ rw = "Ikimenyetso", fr = "Signe", en = "New sign", review = true }}
when = [{{ field = "{question}", op = "=", value = "yes" }}]
[[follow-up]]
id = "new-visit"
label = {{ rw = "Gusura", fr = "Visite", en = "Visit again", review = true }}
form = "postnatal"
when = [{{ field = "{question}", op = "=", value = "yes" }}]
due-hours = 24
late-hours = 48
source = "a test"
verified = false
"#
    )
}

fn publish(host: &mut Host, text: &str) -> Reply {
    host.order(Order::Publish { text: text.to_owned() })
}

fn fill(host: &mut Host, record: RecordId, answers: &[(&str, &str)]) -> Reply {
    let all = answers.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
    let mut answers: BTreeMap<String, String> = all.collect();
    answers.insert("what".to_owned(), "visit".to_owned());
    host.call(Command::AddVisit { record, form: "refusal".to_owned(), occurred: TODAY, answers })
}

fn published(host: &mut Host) -> Vec<PublishedForm> {
    let Reply::Forms { forms } = host.call(Command::Forms) else { panic!("no forms") };
    forms
}

fn due(host: &mut Host) -> Vec<DueVisit> {
    let Reply::Reminders { due } = host.call(Command::Reminders) else { panic!("no reminders") };
    due
}

fn code(reply: Reply) -> String {
    let Reply::Error(error) = reply else { panic!("{reply:?}") };
    error.code
}

/// The FHIR versions of the visits' forms, and how many resources say that a new sign was seen.
fn delivered(gateway: &Host) -> (Vec<String>, usize) {
    let texts = gateway.facility.values();
    let all: Vec<serde_json::Value> =
        texts.map(|text| serde_json::from_str(text).unwrap()).collect();
    let of = |kind: &'static str| all.iter().filter(move |one| one["resourceType"] == kind);
    let versions = of("Encounter").map(|one| one["type"][0]["coding"][0]["version"].to_string());
    let flags = of("Flag").filter(|one| one["code"].to_string().contains("new-sign"));
    (versions.collect(), flags.count())
}

#[test]
fn a_changed_form_is_filled_two_hops_away_and_read_everywhere() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut hub = world.device(2, Role::Hub, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut b = world.device(4, Role::Worker, &["02"]);
    let mut gateway = world.device(5, Role::Gateway, &[]);
    let record = b.person("Uwase");
    assert!(matches!(fill(&mut b, record, &[]), Reply::Written { .. }));
    assert_eq!(code(fill(&mut b, record, &[("asked", "yes")])), "invalid_answers");

    let text = changed(2, "asked");
    let reply = publish(&mut authority, &text);
    assert!(matches!(reply, Reply::Issued { statements: 1, .. }), "{reply:?}");
    world.meet(&mut authority, &mut a);
    world.meet(&mut a, &mut b);
    let [known] = published(&mut b).try_into().unwrap();
    assert_eq!(Form::read(&known.text).unwrap(), Form::read(&text).unwrap());
    let Reply::Written { dangers, .. } = fill(&mut b, record, &[("asked", "yes")]) else {
        panic!("the changed form is not filled")
    };
    assert_eq!(dangers[0].label.en, "New sign");
    let asked = due(&mut b);
    assert_eq!(asked.iter().map(|one| one.rule.id.as_str()).collect::<Vec<_>>(), ["new-visit"]);

    // Who gets the visit gets the form before it.
    world.meet(&mut b, &mut hub);
    assert_eq!(due(&mut hub).len(), 1);
    world.meet(&mut hub, &mut gateway);
    let name = Form::read(&text).unwrap().name();
    let (mut versions, flags) = delivered(&gateway);
    versions.sort();
    assert_eq!(versions, ["\"1\"".to_owned(), format!("\"{}\"", name.version())]);
    assert_eq!(flags, 1);
    // It is known after a start, too.
    b.restart(false);
    assert_eq!((published(&mut b).len(), due(&mut b).len()), (1, 1));
}

#[test]
fn a_form_that_comes_after_its_visits_makes_them_readable() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    let mut hub = world.device(2, Role::Gateway, &[]);
    let record = phone.person("Uwase");
    publish(&mut authority, &changed(2, "asked"));
    world.meet(&mut authority, &mut phone);
    fill(&mut phone, record, &[("asked", "yes")]);
    // A gateway whose control lane was lost in part, and that lists the record anew.
    world.meet(&mut phone, &mut hub);
    let mut store = hub.backup();
    let mut batch = Batch::default();
    for (key, value) in store.load(&Range::all(Table::Statements)) {
        if Statement::from_bytes(&value).unwrap().kind() == kind::FORM {
            batch.delete(Table::Statements, key);
        }
    }
    assert_eq!(batch.0.len(), 1);
    store.apply(&batch);
    let mut hub = hub.over(store);
    let fields = BTreeMap::from([("phone".to_owned(), "+250780000000".to_owned())]);
    assert!(matches!(hub.call(Command::SetPerson { record, fields }), Reply::Written { .. }));
    hub.call(Command::Seal);
    assert_eq!((due(&mut hub).len(), delivered(&hub).1), (0, 0));
    assert_eq!(published(&mut hub).len(), 0);

    world.meet(&mut phone, &mut hub);
    assert_eq!(published(&mut hub).len(), 1);
    assert_eq!((due(&mut hub).len(), delivered(&hub).1), (1, 1));
    hub.restart(false);
    assert_eq!(due(&mut hub).len(), 1);
}

#[test]
fn what_is_no_form_or_takes_a_version_again_is_not_published() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    assert_eq!(code(publish(&mut phone, &changed(2, "asked"))), "not_entitled");
    assert_eq!(code(publish(&mut authority, "nothing")), "bad_form");
    assert_eq!(code(publish(&mut authority, &changed(1, "asked"))), "version_taken");
    let stranger = changed(2, "asked").replace("form = \"postnatal\"", "form = \"nowhere\"");
    assert_eq!(code(publish(&mut authority, &stranger)), "bad_form");
    assert!(published(&mut authority).is_empty());
    assert!(matches!(publish(&mut authority, &changed(2, "asked")), Reply::Issued { .. }));
    assert_eq!(code(publish(&mut authority, &changed(2, "other"))), "version_taken");
    assert!(matches!(publish(&mut authority, &changed(3, "other")), Reply::Issued { .. }));
}

/// Two authority devices that have not met give one version to two forms: visits keep the one by which
/// each was filled.
#[test]
fn a_version_given_twice_changes_no_visit() {
    let mut world = World::new();
    let mut one = world.device(1, Role::Authority, &[]);
    let mut other = world.device(2, Role::Authority, &[]);
    let mut a = world.device(3, Role::Worker, &["01"]);
    let mut b = world.device(4, Role::Worker, &["01"]);
    let (first, second) = (a.person("Uwase"), b.person("Keza"));
    publish(&mut one, &changed(2, "asked"));
    publish(&mut other, &changed(2, "other"));
    world.meet(&mut one, &mut a);
    world.meet(&mut other, &mut b);
    let reply = fill(&mut a, first, &[("asked", "yes")]);
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    let reply = fill(&mut b, second, &[("other", "yes")]);
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    world.meet(&mut a, &mut b);
    for host in [&mut a, &mut b] {
        assert_eq!(due(host).len(), 2, "each by its own form");
    }
    // From now on both fill the same one.
    let asked =
        |host: &mut Host| matches!(fill(host, first, &[("asked", "no")]), Reply::Written { .. });
    assert_eq!(asked(&mut a), asked(&mut b));
}

#[test]
fn the_programme_publishes_for_all_and_its_form_is_filled_before_a_centres() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    let record = phone.person("Uwase");
    publish(&mut authority, &changed(2, "asked"));
    let statements = world.programme.publish(&changed(2, "other")).unwrap();
    let reply = phone.call(Command::Take { statements });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    world.meet(&mut authority, &mut phone);
    assert_eq!(published(&mut phone).len(), 2);
    assert!(matches!(fill(&mut phone, record, &[("other", "no")]), Reply::Written { .. }));
    assert_eq!(code(fill(&mut phone, record, &[("asked", "no")])), "invalid_answers");

    // Another centre's authority has no say here, and does not fill what this centre published.
    let centre = world.other_centre("HC2", &["07"]);
    let mut stranger = world.device(7, Role::Authority, &[]);
    world.meet(&mut stranger, &mut phone);
    publish(&mut stranger, &changed(3, "third"));
    world.meet(&mut stranger, &mut phone);
    assert_eq!(published(&mut phone).len(), 3, "it is carried");
    assert_eq!(code(fill(&mut phone, record, &[("third", "no")])), "invalid_answers");
    drop(centre);
}

#[test]
fn what_a_thief_published_counts_no_more_once_he_is_shut_out() {
    let mut world = World::new();
    let mut authority = world.device(1, Role::Authority, &[]);
    let mut phone = world.device(3, Role::Worker, &["01"]);
    let record = phone.person("Uwase");
    publish(&mut authority, &changed(2, "asked"));
    world.meet(&mut authority, &mut phone);
    assert!(matches!(fill(&mut phone, record, &[("asked", "yes")]), Reply::Written { .. }));
    assert_eq!(due(&mut phone).len(), 1);
    let thief = authority.status().certificate.unwrap();
    let mut other = world.device(2, Role::Authority, &[]);
    world.meet(&mut phone, &mut other);
    // What was held is trusted, except what tells workers what to do.
    let order =
        Order::Revoke { certificate: thief, reason: Reason::Stolen, trust: true, rotate: false };
    assert!(matches!(other.order(order), Reply::Issued { .. }));
    world.meet(&mut other, &mut phone);
    let [void] = published(&mut phone).try_into().unwrap();
    assert!(!void.counts);
    assert!(due(&mut phone).is_empty());
    assert_eq!(code(fill(&mut phone, record, &[("asked", "yes")])), "invalid_answers");
    // The visit is shown all the same, as it was written; and as it was meant, if another authority
    // says that the form was right.
    assert!(phone.show(record).unwrap().contains("\"asked\":"));
    assert!(matches!(publish(&mut other, &void.text), Reply::Issued { .. }));
    world.meet(&mut other, &mut phone);
    assert_eq!(due(&mut phone).len(), 1);
}

/// What stands in docs/forms.md.
#[test]
fn the_form_that_is_explained_is_one() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/forms.md");
    let page = std::fs::read_to_string(page).unwrap();
    let text = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let form = Form::read(text).unwrap();
    assert_eq!(form.strangers(&Forms::built_in()), Vec::<String>::new());
    assert_eq!((form.dangers.len(), form.advice.len(), form.follow_ups.len()), (1, 1, 1));
}

#[test]
fn every_form_of_ours_fits_a_statement() {
    let forms = Forms::built_in();
    let packed = forms.filled().map(|form| form_body(form_text(&form.id).unwrap()).unwrap().len());
    let most = packed.max().unwrap();
    assert!(most * 2 < FORM_BODY_BYTES_MAX, "{most} bytes");
    let name = FormName::read("anc", "1").unwrap();
    assert_eq!(forms.get(&name).unwrap().name(), name);
}
