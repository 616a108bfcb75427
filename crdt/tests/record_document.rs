//! Laws of a record: merging, what depends on what, what is set aside, and what survives packing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

use std::collections::BTreeMap;

use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{ActorId, Automerge, Change, ObjType};
use huza_crdt::envelope::{Item, Payload};
use huza_crdt::id::{LogId, Origin, RecordId, VisitId};
use huza_crdt::record::{
    Document, Edit, EditError, Forms, PackError, SetAsideReason, WriteError, form, genesis,
    genesis_hash, pack, unpack, view_of,
};
use huza_crdt::time::Stamp;
use proptest::prelude::*;
use proptest::sample::Index;

const RECORD: RecordId = RecordId([9; 16]);

fn origin(log: u8, counter: u64) -> Origin {
    Origin { log: LogId([log; 32]), counter }
}

fn person(field: &str, value: &str) -> Edit {
    Edit::Person { field: field.into(), value: value.into() }
}

fn visit(id: u8, weight: &str) -> Edit {
    Edit::Visit {
        visit: VisitId([id; 16]),
        form: form("anc", 1).unwrap().name(),
        occurred: Stamp(1_795_421_700),
        worker: "Mukamana".into(),
        answers: BTreeMap::from([("weight".into(), weight.into())]),
    }
}

fn write(doc: &mut Document, origin: Origin, edits: &[Edit]) -> Vec<u8> {
    doc.write(origin, Stamp(1_000), "Uwase", edits).unwrap().expect("something to write")
}

fn deps(raw: &[u8]) -> Vec<[u8; 32]> {
    Change::try_from(raw).unwrap().deps().iter().map(|hash| hash.0).collect()
}

fn hash(raw: &[u8]) -> [u8; 32] {
    Change::try_from(raw).unwrap().hash().0
}

#[test]
fn additions_depend_on_genesis_alone() {
    let mut doc = Document::new(RECORD);
    let first = write(&mut doc, origin(1, 0), &[person("name/given", "Aline")]);
    let second = write(&mut doc, origin(1, 1), &[visit(1, "60.0")]);
    let third = write(&mut doc, origin(1, 2), &[visit(2, "61.0")]);
    for raw in [first, second, third] {
        assert_eq!(deps(&raw), [genesis_hash()]);
        let change = Change::try_from(raw.as_slice()).unwrap();
        assert_eq!((change.seq(), change.timestamp()), (1, 1_000));
        assert_eq!(change.message(), Some("Uwase"));
        assert_eq!(change.raw_bytes(), raw);
    }
}

#[test]
fn an_edit_depends_on_the_writers_of_what_it_edits_and_nothing_else() {
    let mut doc = Document::new(RECORD);
    let name = write(&mut doc, origin(1, 0), &[person("name/given", "Aline")]);
    let sex = write(&mut doc, origin(1, 1), &[person("sex", "female")]);
    write(&mut doc, origin(1, 2), &[visit(1, "60.0")]);
    let renamed = write(&mut doc, origin(1, 3), &[person("name/given", "Alice")]);
    assert_eq!(deps(&renamed), [hash(&name)]);
    // Of a writer and its ancestor only the writer; `sex` is a second branch.
    let both = [person("name/given", "Alina"), person("sex", "unknown"), person("phone", "078")];
    let edited = write(&mut doc, origin(1, 4), &both);
    let mut expected = vec![hash(&renamed), hash(&sex)];
    expected.sort_unstable();
    assert_eq!(deps(&edited), expected);
}

#[test]
fn a_change_that_edits_along_one_line_names_only_its_end() {
    let mut doc = Document::new(RECORD);
    write(&mut doc, origin(1, 0), &[person("a", "1"), person("b", "1")]);
    let later = write(&mut doc, origin(1, 1), &[person("a", "2")]);
    let edit = write(&mut doc, origin(1, 2), &[person("a", "3"), person("b", "3")]);
    assert_eq!(deps(&edit), [hash(&later)]);
}

#[test]
fn resolving_a_conflict_depends_on_all_its_writers() {
    let mut one = Document::new(RECORD);
    let base = write(&mut one, origin(1, 0), &[person("sex", "unknown")]);
    let mut two = one.clone();
    let a = write(&mut one, origin(1, 1), &[person("sex", "female")]);
    let b = write(&mut two, origin(2, 0), &[person("sex", "male")]);
    one.apply([(origin(2, 0), &b)]);
    two.apply([(origin(1, 1), &a)]);
    assert_eq!(one.view(), two.view());
    let shown = &one.view().person["sex"];
    assert_eq!(shown.conflict.len(), 1);
    assert_eq!(shown.all().map(|value| value.origin).max(), Some(origin(2, 0)));
    assert!(one.summary(&Forms::built_in()).has_conflict);

    let solved = write(&mut one, origin(1, 2), &[person("sex", shown.text())]);
    let mut writers = vec![hash(&a), hash(&b)];
    writers.sort_unstable();
    assert_eq!(deps(&solved), writers);
    assert!(one.view().person["sex"].conflict.is_empty());
    // Without its writers the solution waits, and hides nothing meanwhile.
    let mut late = Document::from_changes(RECORD, [(origin(1, 0), &base), (origin(1, 2), &solved)]);
    assert_eq!((late.waiting(), late.view().person("sex")), (1, Some("unknown")));
    late.apply([(origin(1, 1), &a), (origin(2, 0), &b)]);
    assert_eq!((late.waiting(), late.view()), (0, one.view()));
}

#[test]
fn equal_values_written_apart_are_no_conflict_and_again_is_no_edit() {
    let mut one = Document::new(RECORD);
    let mut two = one.clone();
    write(&mut one, origin(1, 0), &[person("sex", "female")]);
    let b = write(&mut two, origin(2, 0), &[person("sex", "female")]);
    one.apply([(origin(2, 0), &b)]);
    assert!(one.view().person["sex"].conflict.is_empty());
    let again = one.write(origin(1, 1), Stamp(2), "Uwase", &[person("sex", "female")]);
    assert!(again.unwrap().is_none());
    // The origin is still free.
    write(&mut one, origin(1, 1), &[person("sex", "male")]);
}

#[test]
fn a_visit_applies_whatever_other_change_is_missing() {
    let mut doc = Document::new(RECORD);
    let mut all = vec![(origin(1, 0), write(&mut doc, origin(1, 0), &[person("name/given", "A")]))];
    all.push((origin(1, 1), write(&mut doc, origin(1, 1), &[person("name/given", "B")])));
    all.push((origin(1, 2), write(&mut doc, origin(1, 2), &[visit(1, "60.0")])));
    let urgent = write(&mut doc, origin(1, 3), &[visit(2, "61.0")]);
    for missing in 0..=all.len() {
        let some = all.iter().enumerate().filter(|(at, _)| *at < missing).map(|(_, c)| c.clone());
        let got = Document::from_changes(RECORD, some.chain([(origin(1, 3), urgent.clone())]));
        let id = VisitId([2; 16]).to_string();
        assert_eq!(got.view().visits[&id].answers["weight"].text(), "61.0");
    }
    let alone = Document::from_changes(RECORD, [(origin(1, 3), urgent)]);
    assert_eq!((alone.waiting(), alone.changes()), (0, 1));
}

#[test]
fn correcting_a_visit_writes_only_what_differs() {
    let mut doc = Document::new(RECORD);
    write(&mut doc, origin(1, 0), &[visit(1, "60.0")]);
    let raw = write(&mut doc, origin(1, 1), &[visit(1, "61.0")]);
    assert_eq!(Change::try_from(raw.as_slice()).unwrap().len(), 1);
    let void = Edit::Void { visit: VisitId([1; 16]), reason: "wrong person".into() };
    let raw = write(&mut doc, origin(1, 2), &[void]);
    assert_eq!(deps(&raw), [genesis_hash()]);
    assert_eq!(doc.summary(&Forms::built_in()).visits, 0);
    assert_eq!(doc.view().visits.len(), 1);
}

#[test]
fn limits_hold_and_nothing_is_applied() {
    let mut doc = Document::new(RECORD);
    let before = doc.heads();
    let mut error = |worker: &str, edits: &[Edit]| {
        doc.write(origin(1, 0), Stamp(0), worker, edits).unwrap_err()
    };
    assert!(matches!(error("", &[person("a", "b")]), WriteError::Worker(0)));
    assert!(matches!(error("w", &[person("", "b")]), WriteError::Edit(EditError::Key { .. })));
    assert!(matches!(
        error("w", &[person(&"k".repeat(513), "b")]),
        WriteError::Edit(EditError::Key { bytes: 513, .. })
    ));
    let huge = "v".repeat(1_048_577);
    assert!(matches!(error("w", &[person("a", &huge)]), WriteError::Edit(EditError::Value { .. })));
    let large = "v".repeat(700_000);
    let two = [person("a", &large), person("b", &large)];
    assert!(matches!(error("w", &two), WriteError::TooLong(_)));
    assert_eq!(doc.heads(), before);
    write(&mut doc, origin(1, 0), &[person("a", &large)]);
    let used = doc.write(origin(1, 0), Stamp(0), "w", &[person("b", "c")]).unwrap_err();
    assert!(matches!(used, WriteError::OriginUsed));
}

/// A change made with Automerge's own hands, as a hostile member could.
fn forged(
    actor: [u8; 16],
    changes: &[&[u8]],
    act: impl FnOnce(&mut automerge::transaction::Transaction<'_>),
) -> Vec<u8> {
    let mut doc = Automerge::new().with_actor(ActorId::from(actor));
    let all: Vec<Change> = core::iter::once(genesis())
        .chain(changes.iter().copied())
        .map(|raw| Change::try_from(raw).unwrap())
        .collect();
    doc.apply_changes(all).unwrap();
    let mut transaction = doc.transaction();
    act(&mut transaction);
    transaction.commit_with(CommitOptions::default().with_time(1).with_message("w"));
    doc.get_last_local_change().unwrap().raw_bytes().to_vec()
}

fn map(number: u64) -> automerge::ObjId {
    automerge::ObjId::Id(number, ActorId::from([0_u8; 16]), 0)
}

#[test]
fn bad_changes_are_set_aside_and_the_rest_go_on() {
    let mut doc = Document::new(RECORD);
    let name = write(&mut doc, origin(1, 0), &[person("name/given", "Aline")]);
    let actor = origin(2, 0).actor();
    let good = |act: &dyn Fn(&mut automerge::transaction::Transaction<'_>)| {
        forged(actor, &[], |transaction| act(transaction))
    };
    use SetAsideReason as Why;
    let nested = good(&|t| {
        t.put_object(map(1), "name", ObjType::Map).unwrap();
    });
    let counter = good(&|t| t.put(map(1), "n", automerge::ScalarValue::counter(1)).unwrap());
    let number = good(&|t| t.put(map(1), "n", 5_i64).unwrap());
    let root = good(&|t| t.put(automerge::ROOT, "n", "text").unwrap());
    let long_key = good(&|t| t.put(map(1), "k".repeat(600), "text").unwrap());
    let delete = forged(actor, &[&name], |t| t.delete(map(1), "name/given").unwrap());
    let other_actor = forged(origin(3, 0).actor(), &[], |t| {
        t.put(map(1), "n", "text").unwrap();
    });
    let mut torn = other_actor.clone();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    let mut doc = doc.clone();
    for (raw, why) in [
        (&nested, Why::Content),
        (&counter, Why::Content),
        (&number, Why::Content),
        (&root, Why::Content),
        (&long_key, Why::Content),
        (&delete, Why::Content),
        (&other_actor, Why::NotOfOrigin),
    ] {
        let before = doc.view();
        let count = doc.set_aside().len();
        doc.apply([(origin(2, 0), raw)]);
        assert_eq!(doc.view(), before);
        let both = [(origin(1, 0), name.as_slice()), (origin(2, 0), raw.as_slice())];
        assert_eq!(view_of(RECORD, both.into_iter()), before, "{why:?}");
        let aside = doc.set_aside();
        assert_eq!(aside.len(), count + 1);
        assert!(aside.iter().any(|one| one.reason == why), "{why:?}");
    }
    doc.apply([(origin(3, 0), torn)]);
    doc.apply([(origin(4, 0), b"junk".to_vec())]);
    doc.apply([(origin(4, 0), genesis().to_vec())]);
    let mut deflated = Change::try_from(
        forged(origin(5, 0).actor(), &[], |t| {
            t.put(map(1), "n", "x".repeat(1_000)).unwrap();
        })
        .as_slice(),
    )
    .unwrap();
    doc.apply([(origin(5, 0), deflated.bytes().to_vec())]);
    assert_eq!(doc.set_aside().len(), 11);
    // The origin is not burnt by bad bytes.
    let mut other = Document::new(RECORD);
    let visit = write(&mut other, origin(2, 0), &[visit(1, "60.0")]);
    doc.apply([(origin(2, 0), visit)]);
    assert_eq!((doc.changes(), doc.view().visits.len()), (2, 1));
}

#[test]
fn nobody_wins_by_counting_high_or_hides_what_they_have_not_seen() {
    let mut doc = Document::new(RECORD);
    let a = write(&mut doc, origin(1, 0), &[person("sex", "female")]);
    let b = write(&mut doc, origin(1, 1), &[person("phone", "078")]);
    // A change that depends on `b` and yet numbers and replaces as if it knew `a`.
    let both = forged(origin(2, 0).actor(), &[&a, &b], |t| {
        t.put(map(1), "sex", "male").unwrap();
    });
    let mut expanded = Change::try_from(both.as_slice()).unwrap().decode();
    expanded.deps = vec![automerge::ChangeHash(hash(&b))];
    let lying = Change::from(expanded).raw_bytes().to_vec();
    doc.apply([(origin(2, 0), &lying)]);
    assert_eq!(doc.set_aside()[0].reason, SetAsideReason::Replaces);
    let mut high = Change::try_from(a.as_slice()).unwrap().decode();
    high.actor_id = ActorId::from(origin(3, 0).actor());
    high.start_op = core::num::NonZeroU64::new(1_000_000).unwrap();
    let high = Change::from(high).raw_bytes().to_vec();
    doc.apply([(origin(3, 0), &high)]);
    assert!(doc.set_aside().iter().any(|one| one.reason == SetAsideReason::Numbering));
    assert_eq!(doc.view().person["sex"].text(), "female");
    assert!(doc.view().person["sex"].conflict.is_empty());
}

#[test]
fn of_two_changes_of_one_origin_the_same_one_counts_everywhere() {
    let mut one = Document::new(RECORD);
    let mut two = Document::new(RECORD);
    let a = write(&mut one, origin(1, 0), &[person("sex", "female")]);
    let b = write(&mut two, origin(1, 0), &[person("sex", "male")]);
    let on_a = write(&mut one, origin(2, 0), &[person("sex", "other")]);
    let visit = write(&mut two, origin(3, 0), &[visit(1, "60.0")]);
    let all = [(origin(1, 0), a), (origin(1, 0), b), (origin(2, 0), on_a), (origin(3, 0), visit)];
    let whole = Document::from_changes(RECORD, all.clone());
    let mut backwards = Document::new(RECORD);
    for change in all.iter().rev().cloned() {
        backwards.apply([change]);
    }
    assert_eq!(whole.view(), backwards.view());
    assert_eq!(whole.heads(), backwards.heads());
    assert_eq!(whole.view().visits.len(), 1);
    let duplicate = |doc: &Document| {
        doc.set_aside().iter().filter(|one| one.reason == SetAsideReason::Duplicate).count()
    };
    assert_eq!((duplicate(&whole), duplicate(&backwards)), (1, 1));
}

/// One step of a history: who, what, and whose changes they heard before.
#[derive(Debug, Clone)]
struct Step {
    who: usize,
    hears: Vec<Index>,
    field: u8,
    value: u8,
    visit: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (
        0..4_usize,
        proptest::collection::vec(any::<Index>(), 0..3),
        // Few fields and values, so that conflicts and equal values are common.
        0..3_u8,
        0..4_u8,
        proptest::bool::weighted(0.3),
    )
        .prop_map(|(who, hears, field, value, visit)| Step { who, hears, field, value, visit })
}

/// Answers in normal form, and such as no form takes.
fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..300_u64).prop_map(|number| number.to_string()),
        (0..300_u64, 0..10_u8).prop_map(|(whole, digit)| format!("{whole}.{digit}")),
        (0..400_i64)
            .prop_map(|days| { Stamp(1_795_421_700 - 86_400 * days).to_string()[..10].to_owned() }),
        proptest::sample::select(vec![
            "yes",
            "no",
            "positive",
            "not-done",
            "given",
            "parent",
            "Yes",
            "007",
            "-3",
            "+4",
            "38.90",
            "1.",
            ".5",
            "2026-11-24",
            "2026-02-30",
            "18446744073709551615",
            "",
            "umwana arakorora",
        ])
        .prop_map(str::to_owned),
    ]
}

type Written = Vec<(Origin, Vec<u8>)>;

fn play(steps: &[Step]) -> (Written, Vec<Document>) {
    let mut replicas: Vec<Document> = (0..4).map(|_| Document::new(RECORD)).collect();
    let mut counters = [0_u64; 4];
    let mut all: Written = Vec::new();
    for step in steps {
        let replica = &mut replicas[step.who];
        if !all.is_empty() {
            replica.apply(step.hears.iter().map(|at| at.get(&all).clone()));
        }
        let value = format!("value {}", step.value);
        let edit = match step.visit {
            true => visit(step.field, &value),
            false => person(&format!("field {}", step.field), &value),
        };
        let origin = origin(u8::try_from(step.who).unwrap(), counters[step.who]);
        let at = Stamp(i64::from(step.value));
        if let Some(raw) = replica.write(origin, at, "Uwase", &[edit]).unwrap() {
            counters[step.who] += 1;
            all.push((origin, raw));
        }
    }
    (all, replicas)
}

/// So many cases, and no file left behind by a failure: the seed is printed.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn merging_commutes_associates_and_repeats_harmlessly(
        steps in proptest::collection::vec(step(), 1..24),
        shuffle in any::<u64>(),
    ) {
        let (all, replicas) = play(&steps);
        let whole = Document::from_changes(RECORD, all.clone());
        prop_assert_eq!(whole.waiting(), 0);
        prop_assert!(whole.set_aside().is_empty());
        let view = whole.view();
        // Any order, one at a time, each twice.
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| blake3_of(shuffle, *at));
        let mut slow = Document::new(RECORD);
        for at in order.iter().chain(order.iter().rev()) {
            slow.apply([all[*at].clone()]);
        }
        prop_assert_eq!(&slow.view(), &view);
        prop_assert_eq!(slow.heads(), whole.heads());
        // Every replica that hears the rest agrees, in whatever grouping.
        for mut replica in replicas {
            replica.apply(order.iter().map(|at| all[*at].clone()));
            prop_assert_eq!(&replica.view(), &view);
        }
        // Nothing is lost: every value is shown, in conflict, or replaced by one who knew it.
        let json = serde_json::to_string(&view).unwrap();
        prop_assert_eq!(json, serde_json::to_string(&slow.view()).unwrap());
    }

    #[test]
    fn what_was_only_added_is_read_as_automerge_reads_it(
        steps in proptest::collection::vec(step(), 1..24),
        only_added in any::<bool>(),
        twice in any::<Index>(),
    ) {
        let mut all = play(&steps).0;
        if only_added {
            all.retain(|(_, raw)| deps(raw) == [genesis_hash()]);
        }
        let same = |all: &Written| {
            let raw = all.iter().map(|(origin, raw)| (*origin, raw.as_slice()));
            view_of(RECORD, raw.clone()) == Document::from_changes(RECORD, raw).view()
        };
        prop_assert!(same(&all));
        all.reverse();
        prop_assert!(same(&all));
        let again = twice.get(&all).clone();
        all.push(again);
        prop_assert!(same(&all));
    }

    #[test]
    fn packing_restores_every_change(steps in proptest::collection::vec(step(), 1..24)) {
        for (origin, raw) in play(&steps).0 {
            let packed = pack(origin, &raw).unwrap();
            prop_assert!(packed.len() + 40 < raw.len(), "{} of {}", packed.len(), raw.len());
            prop_assert_eq!(unpack(origin, &packed).unwrap(), raw.clone());
            let other = Origin { counter: origin.counter + 1, ..origin };
            prop_assert_eq!(pack(other, &raw), Err(PackError::NotOfOrigin));
        }
    }

    #[test]
    fn payloads_restore_every_change(
        steps in proptest::collection::vec(step(), 1..24),
        answers in proptest::collection::vec((0..3_usize, any::<Index>(), answer()), 1..12),
        flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..3),
    ) {
        let mut all = play(&steps).0;
        all.extend((100..).zip(answers).map(|(n, (form, field, answer))| {
            let (origin, forms) = (origin(3, n), Forms::built_in());
            let form = forms.filled().nth(form).unwrap();
            let field = form.fields[field.index(form.fields.len())].id.clone();
            let visit = Edit::Visit {
                visit: origin.visit(),
                form: form.name(),
                occurred: Stamp(1_795_421_700),
                worker: "Uwase".into(),
                answers: BTreeMap::from([(field, answer)]),
            };
            (origin, write(&mut Document::new(RECORD), origin, &[visit]))
        }));
        for some in all.chunk_by(|a, b| a.0.log == b.0.log && a.0.counter + 1 == b.0.counter) {
            let item = |(origin, raw): &(Origin, Vec<u8>)| Item {
                record: RECORD, change: pack(*origin, raw).unwrap(), card: Vec::new(),
            };
            let Origin { log, counter: first } = some[0].0;
            let items: Vec<Item> = some.iter().map(item).collect();
            let bytes: usize = items.iter().map(|item| item.change.len()).sum();
            let payload = Payload { origin: None, first, items };
            let short = payload.to_short(log);
            // Every change a writer makes has a short spelling.
            prop_assert!(short.len() < 24 + bytes - 8 * some.len(), "{} of {bytes}", short.len());
            prop_assert_eq!(Payload::from_short(log, &short), Ok(payload));
            let mut mangled = short;
            for (at, byte) in &flips {
                let at = at.index(mangled.len());
                mangled[at] = *byte;
            }
            // What is read is what a writer would spell, but for how far back he looks.
            if let Ok(read) = Payload::from_short(log, &mangled) {
                let again = read.to_short(log);
                prop_assert!(again.len() <= mangled.len());
                prop_assert_eq!(Payload::from_short(log, &again), Ok(read));
            }
        }
    }

    #[test]
    fn junk_never_panics(
        bytes: Vec<u8>,
        steps in proptest::collection::vec(step(), 1..6),
        flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut doc = Document::new(RECORD);
        let _junk = unpack(origin(0, 0), &bytes).map(|raw| doc.apply([(origin(0, 0), raw)]));
        doc.apply([(origin(0, 0), &bytes)]);
        for (origin, raw) in play(&steps).0 {
            // Damage behind the checksum: the packed form has none.
            let mut packed = pack(origin, &raw).unwrap();
            for (at, byte) in &flips {
                let at = at.index(packed.len());
                packed[at] = *byte;
            }
            if let Ok(raw) = unpack(origin, &packed) {
                doc.apply([(origin, raw)]);
                let _still_shows = doc.view();
            }
        }
    }
}

fn blake3_of(seed: u64, at: usize) -> u64 {
    // A few rounds of a linear congruential generator: order without randomness of its own.
    (0..3).fold(seed ^ at as u64, |x, _| {
        x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
    })
}

#[test]
fn a_visit_packs_small() {
    let mut doc = Document::new(RECORD);
    let raw = write(&mut doc, origin(1, 0), &[visit(1, "60.0")]);
    let packed = pack(origin(1, 0), &raw).unwrap();
    assert!(packed.len() + 78 < raw.len());
    // Two uuids fewer, and no key: the visit of this test is not the one that the change begins.
    let item = Item { record: RECORD, change: packed, card: Vec::new() };
    let payload = |items| Payload { origin: None, first: 0, items };
    let one = payload(vec![item.clone()]).to_short(LogId([1; 32])).len();
    let two = payload(vec![item.clone(), item]).to_short(LogId([1; 32])).len();
    println!("visit: raw {} bytes, short {one}, a second one {}", raw.len(), two - one);
}
