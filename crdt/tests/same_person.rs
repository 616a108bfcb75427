//! The same person twice: who is offered and who is not, what people say of it, and who learns that.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::collections::BTreeMap;

use common::{Host, World};
use huza_crdt::id::{AreaTag, LogId, Origin, RecordId};
use huza_crdt::node::{AreaRef, Command, Duplicate, Reply};
use huza_crdt::record::{Document, Edit, Forms, Likeness, Reason, Said, Standing, Traits, alike};
use huza_crdt::time::Stamp;
use huza_crdt::trust::Role;
use proptest::prelude::*;

const HERE: AreaTag = AreaTag([1; 16]);
const ELSEWHERE: AreaTag = AreaTag([2; 16]);

/// A person as `name, sex, birth date`, with an identifier if one is given; `-` for what is not known.
fn traits(text: &str, area: AreaTag) -> Traits {
    let mut parts = text.split(", ").filter(|part| *part != "-");
    let mut document = Document::new(RecordId([7; 16]));
    let mut edits = vec![edit("name/text", parts.next().unwrap())];
    for part in parts {
        edits.push(match part {
            "female" | "male" => edit("sex", part),
            part if part.contains('|') => edit(&format!("identifier/{part}"), "yes"),
            part => edit("birth-date", part),
        });
    }
    let origin = Origin { log: LogId([1; 32]), counter: 0 };
    document.write(origin, Stamp(0), "A", &edits).unwrap();
    Traits::of(&document.summary(&Forms::built_in()), area)
}

fn edit(field: &str, value: &str) -> Edit {
    Edit::Person { field: field.to_owned(), value: value.to_owned() }
}

fn compare(one: &str, two: &str, area: AreaTag) -> Option<Likeness> {
    let (a, b) = (traits(one, HERE), traits(two, area));
    let likeness = a.compare(&b);
    assert_eq!(likeness, b.compare(&a), "{one} and {two}: whichever comes first");
    likeness
}

fn reasons(one: &str, two: &str) -> Vec<Reason> {
    compare(one, two, HERE).map(|likeness| likeness.reasons).unwrap_or_default()
}

const NID: &str = "NID|1199070012345678";

#[test]
fn one_person_is_offered_with_the_reason() {
    use Reason::{BirthDay, BirthMonth, BirthYear, Names, NamesNearly, Village};
    let uwase = "Immaculee Uwase, female, 1998-04-12";
    for (other, why) in [
        ("Immaculee Uwase, female, 1998-04-12", [Names, BirthDay, Village]),
        ("UWASE Immaculée, female, 1998", [Names, BirthYear, Village]),
        ("Imaculee Uwaase, female, 1998-04", [Names, BirthMonth, Village]),
        ("Uwase, -, 1998-04-12", [Names, BirthDay, Village]),
        ("I. Uwase, female, 1998-04-12", [Names, BirthDay, Village]),
        ("Marie Immaculee Uwase, female, 1998", [Names, BirthYear, Village]),
        ("Immacule Uwase, female, 1998", [Names, BirthYear, Village]),
        ("Immacuele Uwase, female, 1998", [NamesNearly, BirthYear, Village]),
    ] {
        assert_eq!(reasons(uwase, other), why, "{other}");
    }
    let moved = compare(uwase, "Uwase Immaculee, female, 1998-04-12", ELSEWHERE).unwrap();
    assert_eq!(moved.reasons, [Names, BirthDay]);
    let three = reasons("Marie Claire Uwase, female, -", "Uwase Marie Klaire, female, 1998");
    assert_eq!(three, [Names, Village]);
}

#[test]
fn who_is_somebody_else_is_not() {
    for (one, two, why) in [
        ("Aline Uwase, female, 1998-04-12", "Alice Uwase, female, 1998-04-12", "twins"),
        (
            "Gakuru Habimana, male, 2021-03-02",
            "Gato Habimana, male, 2021-03-02",
            "twins by their names",
        ),
        ("Aline Uwase, female, 1998-04-12", "Aline Uwase, male, 1998-04-12", "another sex"),
        ("Aline Uwase, female, 1998-04-12", "Aline Uwase, female, 1998-04-13", "another day"),
        ("Aline Uwase, female, 1998", "Aline Uwase, female, 1989", "another year"),
        ("Aline Uwase, female, 1998", "Uwase, female, 1998", "one name and a year are not enough"),
        ("Aline Uwase, female, 1998-01-01", "Uwase, female, 1998-01-01", "1 January is no date"),
        ("Aline Uwase, female, -", "Aline Uwase, female, -", "names alone are not enough"),
        ("A. Uwase, female, 1998", "B. Uwase, female, 1998", "other initials"),
        (
            "Aline Uwase, female, 1998, TEMPID|12",
            "Bea Keza, female, 1998, TEMPID|12",
            "a local number",
        ),
        ("Aline Uwase, female, 1998, |12", "Bea Keza, female, 1998, |12", "a number of nobody"),
    ] {
        assert_eq!(compare(one, two, HERE), None, "{why}");
    }
    let far = compare("Aline Uwase, female, 1998", "Aline Uwase, female, 1998", ELSEWHERE);
    assert_eq!(far, None, "a year and another village");
}

#[test]
fn a_shared_identifier_is_offered_whatever_else_is_said() {
    let uwase = format!("Aline Uwase, female, 1998-04-12, {NID}");
    let other = format!("Jean Keza, male, 1960, {NID}");
    let shared = Reason::Identifier(NID.to_owned());
    let likeness = compare(&uwase, &other, ELSEWHERE).unwrap();
    assert_eq!(likeness.reasons, [shared, Reason::OtherNames, Reason::Contradiction]);
    let another = "Aline Uwase, female, 1998-04-12, NID|1199070012345679";
    let likeness = compare(&uwase, another, HERE).unwrap();
    assert!(likeness.reasons.contains(&Reason::OtherIdentifier));
    assert!(
        likeness.score < compare(&uwase, "Aline Uwase, female, 1998-04-12", HERE).unwrap().score
    );
}

prop_compose! {
    /// Somebody with a birth date, of few names and years, so that many are alike.
    fn somebody()(
        names in prop::collection::vec(prop::sample::select(vec![
            "Uwase", "Uwaase", "Aline", "Alline", "Mukamana", "Mukamna", "Umukamana", "A.", "Keza", "Kalekezi",
        ]), 1..4),
        sex in prop::sample::select(vec!["-", "female", "male"]),
        born in prop::sample::select(vec!["1998", "1998-04", "1998-04-12", "1998-01-01", "1997-04-12"]),
        identifier in prop::sample::select(vec!["-", "-", "-", NID, "UPI|220919-7657-5617"]),
        here in any::<bool>(),
    ) -> Traits {
        let text = format!("{}, {sex}, {born}, {identifier}", names.join(" "));
        traits(&text, if here { HERE } else { ELSEWHERE })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn among_many_everybody_is_found_whom_a_comparison_finds(
        people in prop::collection::vec(somebody(), 2..40),
    ) {
        let mut all = BTreeMap::new();
        for (one, a) in people.iter().enumerate() {
            for (two, b) in people.iter().enumerate().skip(one + 1) {
                all.extend(a.compare(b).map(|likeness| ((one, two), likeness)));
            }
        }
        prop_assert_eq!(alike(&people), all);
    }

    /// Each worker says something of two records, knowing what some of those before said.
    #[test]
    fn what_is_said_apart_stands_alike_on_every_replica(
        said in prop::collection::vec((0..3_usize, prop::option::of(any::<bool>()), any::<u8>()), 1..6),
        order in any::<u64>(),
    ) {
        let kinds = [Said::SamePerson, Said::DifferentPeople, Said::Unlinked];
        let (one, other) = (RecordId([1; 16]), RecordId([2; 16]));
        let mut written: Vec<(Origin, Vec<u8>)> = Vec::new();
        let (mut all_know, mut last) = (true, None);
        for (worker, (kind, reason, knows)) in (1_u8..).zip(said) {
            let known = written.iter().enumerate().filter(|(at, _)| knows >> at & 1 == 1);
            let mut replica = Document::from_changes(one, known.map(|(_, (at, raw))| (*at, raw)));
            all_know = replica.changes() == written.len();
            let reason = reason.map(|first| if first { "cards" } else { "asked her" });
            let kind = kinds[kind];
            let edit = Edit::Link { to: other, kind: kind.because(reason) };
            let origin = Origin { log: LogId([worker; 32]), counter: 0 };
            if let Some(raw) = replica.write(origin, Stamp(i64::from(worker)), "A", &[edit]).unwrap() {
                written.push((origin, raw));
            }
            last = Some(kind);
        }
        let standing = |document: &Document| document.summary(&Forms::built_in()).links.first().map(|link| link.standing);
        let whole = Document::from_changes(one, written.clone());
        let mut shuffled = written.clone();
        let turn = usize::try_from(order % written.len() as u64).unwrap();
        shuffled.rotate_left(turn);
        if order & 1 == 0 { shuffled.reverse(); }
        let again = Document::from_changes(one, shuffled);
        prop_assert_eq!(standing(&whole), standing(&again));
        // Nothing is chosen: what stands is what all say, or a dispute.
        let view = whole.view();
        let link = &view.links[&other.to_string()];
        let mut texts: Vec<&str> = link.all().map(|value| value.value.split(": ").next().unwrap()).collect();
        texts.dedup();
        let agreed = texts.iter().all(|text| *text == texts[0]);
        prop_assert_eq!(standing(&whole) == Some(Standing::Disputed), !agreed);
        prop_assert_eq!(view.conflicts().is_empty(), agreed);
        if all_know {
            prop_assert_eq!(standing(&whole), last.map(Standing::Said));
        }
    }
}

fn add(
    host: &mut Host,
    area: &str,
    name: &str,
    more: &[(&str, &str)],
) -> (RecordId, Vec<Duplicate>) {
    let mut fields: BTreeMap<String, String> =
        more.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    fields.insert("name/text".to_owned(), name.to_owned());
    let area = AreaRef::Name(area.parse().unwrap());
    match host.call(Command::AddPerson { area, fields }) {
        Reply::Written { record, alike, .. } => (record, alike),
        other => panic!("{other:?}"),
    }
}

const BORN: [(&str, &str); 2] = [("sex", "female"), ("birth-date", "1998-04-12")];

fn duplicates(host: &mut Host, record: Option<RecordId>) -> Vec<Duplicate> {
    match host.call(Command::Duplicates { record, limit: 100 }) {
        Reply::Duplicates { pairs, more: 0 } => pairs,
        other => panic!("{other:?}"),
    }
}

fn say(
    host: &mut Host,
    pair: (RecordId, RecordId),
    said: Said,
    reason: Option<&str>,
) -> Result<(), String> {
    let reason = reason.map(str::to_owned);
    match host.call(Command::Link { one: pair.0, other: pair.1, said, reason }) {
        Reply::Written { .. } => Ok(()),
        Reply::Error(error) => Err(error.code),
        other => panic!("{other:?}"),
    }
}

fn ids(pair: &Duplicate) -> (RecordId, RecordId) {
    (pair.one.record.min(pair.other.record), pair.one.record.max(pair.other.record))
}

#[test]
fn on_entry_the_worker_is_told_and_the_person_is_written_all_the_same() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let (first, alike) = add(&mut phone, "HC1/01", "Aline Uwase", &BORN);
    assert!(alike.is_empty(), "nobody is there yet");
    let (second, alike) = add(&mut phone, "HC1/01", "Uwase Alline", &BORN);
    assert_eq!(alike.len(), 1);
    assert_eq!((alike[0].one.record, alike[0].other.record), (second, first));
    assert_eq!(alike[0].other.name, "Aline Uwase");
    let likeness = alike[0].likeness.as_ref().unwrap();
    assert_eq!(likeness.reasons, [Reason::Names, Reason::BirthDay, Reason::Village]);
    assert_eq!(phone.found("uwase"), 2, "both are there");
    let (_, alike) = add(&mut phone, "HC1/01", "Alice Uwase", &BORN);
    assert!(alike.is_empty(), "a twin");
    let Reply::Audited { entries, whole: true, .. } = phone.call(Command::Audit { after: None })
    else {
        panic!()
    };
    let told = entries.iter().filter(|entry| entry.subject.starts_with("who may be the person"));
    assert_eq!(told.count(), 1, "that somebody was shown is written down");
}

#[test]
fn on_sync_two_records_of_one_person_are_offered_linked_and_unlinked() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let (one, _) = add(&mut a, "HC1/01", "Aline Uwase", &BORN);
    let (two, _) = add(&mut b, "HC1/01", "Aline Uwaase", &BORN);
    assert!(duplicates(&mut a, None).is_empty() && duplicates(&mut b, None).is_empty());
    world.meet(&mut a, &mut b);
    let pair = (one.min(two), one.max(two));
    for host in [&mut a, &mut b] {
        let offered = duplicates(host, None);
        assert_eq!(offered.iter().map(ids).collect::<Vec<_>>(), [pair]);
        assert_eq!(offered[0].standing, Standing::Open);
    }
    assert_eq!(say(&mut a, pair, Said::Unlinked, None), Err("not_linked".to_owned()));
    say(&mut a, (two, one), Said::SamePerson, Some("both cards seen")).unwrap();
    world.meet(&mut a, &mut b);
    assert!(duplicates(&mut b, None).is_empty(), "it is decided");
    let of_one = duplicates(&mut b, Some(one));
    assert_eq!(of_one[0].standing, Standing::Said(Said::SamePerson));
    assert_eq!((of_one[0].one.record, of_one[0].other.record), (one, two));
    for (from, to) in [(one, two), (two, one)] {
        let shown = b.show(from).unwrap();
        assert!(
            shown.contains(&to.to_string()) && shown.contains("same person: both cards seen"),
            "{shown}"
        );
    }
    assert_eq!(b.found("aline"), 2, "nothing is merged");
    say(&mut b, pair, Said::Unlinked, None).unwrap();
    world.meet(&mut a, &mut b);
    assert_eq!(duplicates(&mut a, None)[0].standing, Standing::Said(Said::Unlinked));
    say(&mut a, pair, Said::DifferentPeople, None).unwrap();
    world.meet(&mut a, &mut b);
    for host in [&mut a, &mut b] {
        assert!(duplicates(host, None).is_empty(), "they are offered no more");
        assert_eq!(duplicates(host, Some(two))[0].standing, Standing::Said(Said::DifferentPeople));
    }
}

#[test]
fn who_links_and_who_unlinks_while_apart_disagree_until_somebody_says_again() {
    let mut world = World::new();
    let mut a = world.device(1, Role::Worker, &["01"]);
    let mut b = world.device(2, Role::Worker, &["01"]);
    let (one, _) = add(&mut a, "HC1/01", "Aline Uwase", &BORN);
    let (two, _) = add(&mut a, "HC1/01", "Aline Uwaase", &BORN);
    say(&mut a, (one, two), Said::SamePerson, None).unwrap();
    world.meet(&mut a, &mut b);
    say(&mut a, (one, two), Said::SamePerson, Some("asked her mother")).unwrap();
    say(&mut b, (one, two), Said::Unlinked, None).unwrap();
    world.meet(&mut a, &mut b);
    for host in [&mut a, &mut b] {
        assert_eq!(duplicates(host, None)[0].standing, Standing::Disputed);
        let shown = host.show(one).unwrap();
        assert!(
            shown.contains("asked her mother") && shown.contains("unlinked"),
            "both stay: {shown}"
        );
    }
    say(&mut b, (two, one), Said::SamePerson, None).unwrap();
    world.meet(&mut a, &mut b);
    for host in [&mut a, &mut b] {
        assert!(duplicates(host, None).is_empty());
        assert_eq!(duplicates(host, Some(one))[0].standing, Standing::Said(Said::SamePerson));
    }
}

#[test]
fn a_link_between_two_villages_shows_who_reads_one_only_an_id() {
    let mut world = World::new();
    let mut both = world.device(1, Role::Worker, &["01", "02"]);
    let mut first = world.device(2, Role::Worker, &["01"]);
    let mut second = world.device(3, Role::Worker, &["02"]);
    let (one, _) = add(&mut both, "HC1/01", "Aline Uwase", &BORN);
    let (two, alike) = add(&mut both, "HC1/02", "Aline Uwaase", &BORN);
    assert_eq!(alike.len(), 1, "who reads both is asked");
    let reason = say(&mut both, (one, two), Said::SamePerson, Some("Uwaase of village 02"));
    assert_eq!(reason, Err("reason_across_areas".to_owned()));
    say(&mut both, (one, two), Said::SamePerson, None).unwrap();
    world.meet(&mut both, &mut first);
    world.meet(&mut first, &mut second);
    for (host, own, other, name) in
        [(&mut first, one, two, "Uwaase"), (&mut second, two, one, "Uwase")]
    {
        let shown = host.show(own).unwrap();
        assert!(shown.contains(&other.to_string()) && !shown.contains(name), "{shown}");
        let pairs = duplicates(host, Some(own));
        assert_eq!(pairs.len(), 1);
        assert_eq!((pairs[0].other.record, pairs[0].other.name.as_str()), (other, ""));
        assert_eq!(host.show(other), None);
        assert!(duplicates(host, None).is_empty());
        assert_eq!(
            say(host, (own, other), Said::SamePerson, None),
            Err("unknown_record".to_owned())
        );
    }
    // Who reads one of them may take it back there: then they disagree, until somebody who reads both says.
    say(&mut first, (one, two), Said::Unlinked, None).unwrap();
    world.meet(&mut first, &mut both);
    assert_eq!(duplicates(&mut both, None)[0].standing, Standing::Disputed);
}

#[test]
fn an_import_does_not_ask_again_what_somebody_has_answered() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let bundle = |sex: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"1","name":[{{"text":"Aline"}}],"gender":"{sex}","birthDate":"1990"}}"#
        )
    };
    let mut import = |sex: &str| {
        let (area, source) = (AreaRef::Own, Some("clinic".to_owned()));
        let reply = phone.call(Command::Import { area, text: bundle(sex), source });
        assert!(matches!(reply, Reply::Imported { .. }), "{reply:?}");
        duplicates(&mut phone, None)
    };
    assert!(import("female").is_empty());
    let offered = import("male");
    assert_eq!(offered[0].standing, Standing::Suggested, "kept apart, and offered");
    let pair = ids(&offered[0]);
    say(&mut phone, pair, Said::DifferentPeople, None).unwrap();
    let reply = phone.call(Command::Import {
        area: AreaRef::Own,
        text: bundle("male"),
        source: Some("clinic".to_owned()),
    });
    assert!(matches!(reply, Reply::Imported { unchanged: 1, .. }), "{reply:?}");
    assert!(duplicates(&mut phone, None).is_empty(), "the answer stands");
}

#[test]
fn what_cannot_be_said_is_refused_with_the_reason() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let (one, _) = add(&mut phone, "HC1/01", "Aline Uwase", &BORN);
    let (two, _) = add(&mut phone, "HC1/01", "Alice Uwase", &BORN);
    let nobody = RecordId([9; 16]);
    let mut refused = |pair, said, reason| say(&mut phone, pair, said, reason).unwrap_err();
    assert_eq!(refused((one, one), Said::SamePerson, None), "one_record");
    assert_eq!(refused((one, nobody), Said::SamePerson, None), "unknown_record");
    assert_eq!(refused((nobody, RecordId([8; 16])), Said::Unlinked, None), "unknown_record");
    assert_eq!(refused((one, two), Said::SamePerson, Some(" ")), "reason");
    assert_eq!(refused((one, two), Said::SamePerson, Some(&"a".repeat(2_001))), "reason");
    // Who are not alike can be linked too, and told apart before anybody asked.
    say(&mut phone, (one, two), Said::DifferentPeople, Some("twins")).unwrap();
    let unknown = phone.call(Command::Duplicates { record: Some(nobody), limit: 1 });
    assert!(matches!(unknown, Reply::Error(error) if error.code == "unknown_record"));
}
