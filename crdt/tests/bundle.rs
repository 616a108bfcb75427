//! Bundles: what devices would exchange, as a file that is carried, copied and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeSet;

use huza_crdt::bundle::{Found, Pages};
use huza_crdt::control::{Reason, Statement, kind};
use huza_crdt::id::{CertId, LogId};
use huza_crdt::node::{BundleScope, Command, Order, Reply, Taken, TakenPart};
use huza_crdt::store::{MemoryStore, Range, Table};
use huza_crdt::trust::Role;
use proptest::prelude::*;

mod common;
use common::{Host, World};

/// The pages of a bundle, in order.
fn export(host: &mut Host, scope: BundleScope) -> Vec<Vec<u8>> {
    host.call(Command::Seal);
    let begun = host.call(Command::BundleBegin { scope });
    let Reply::BundleBegun { bundle, envelopes, .. } = begun else { panic!("{begun:?}") };
    let mut pages = Vec::new();
    while let Reply::BundlePage { page: Some(page) } = host.call(Command::BundlePage { bundle }) {
        pages.push(page);
    }
    let Some(Ok(last)) = pages.last().map(|page| sealed_in(page)) else { panic!() };
    assert_eq!(last.len(), 1, "{envelopes}");
    pages
}

fn found(file: &[u8]) -> Vec<Found> {
    let mut pages = Pages::default();
    pages.push(file);
    pages.end();
    core::iter::from_fn(|| pages.find()).collect()
}

/// What is sealed in the whole pages of a file; as an error, if something in it is damaged too.
fn sealed_in(file: &[u8]) -> Result<Vec<Vec<u8>>, Vec<Vec<u8>>> {
    let found = found(file);
    let damaged = found.iter().any(|one| matches!(one, Found::Damaged { .. }));
    let page = |one| match one {
        Found::Page(page) => Some(page),
        Found::Damaged { .. } => None,
    };
    let pages: Vec<Vec<u8>> = found.into_iter().filter_map(page).collect();
    if damaged { Err(pages) } else { Ok(pages) }
}

fn take(host: &mut Host, page: Vec<u8>) -> Taken {
    match host.call(Command::PageTake { page }) {
        Reply::PageTaken(taken) => *taken,
        other => panic!("{other:?}"),
    }
}

/// Takes in a file; gives the sums of what became of statements and envelopes.
fn import(host: &mut Host, file: &[u8]) -> (TakenPart, TakenPart) {
    let (mut statements, mut envelopes) = (TakenPart::default(), TakenPart::default());
    for page in sealed_in(file).unwrap_or_else(|pages| pages) {
        let taken = take(host, page);
        for (sum, part) in [(&mut statements, taken.statements), (&mut envelopes, taken.envelopes)]
        {
            sum.new += part.new;
            sum.known += part.known;
            sum.refused += part.refused;
        }
    }
    (statements, envelopes)
}

/// Where each envelope is that is held.
fn places(store: &MemoryStore) -> BTreeSet<Vec<u8>> {
    let mut range = Range::all(Table::Envelopes);
    range.rows_max = usize::MAX;
    store.load(&range).into_iter().map(|(key, _)| key).collect()
}

/// Two villages' phones that have met, each with several persons and visits.
fn two_phones(world: &mut World) -> (Host, Host) {
    let mut one = world.device(1, Role::Worker, &["01"]);
    let mut other = world.device(2, Role::Worker, &["02"]);
    for host in [&mut one, &mut other] {
        for n in 0..6 {
            let record = host.person(&format!("Person {n}"));
            host.visit(record, &[("age", "14"), ("fever", "yes")]);
            host.call(Command::Seal);
        }
    }
    world.meet(&mut one, &mut other);
    (one, other)
}

#[test]
fn a_bundle_brings_everything_and_twice_changes_nothing() {
    let mut world = World::new();
    let (mut one, _) = two_phones(&mut world);
    let mut hub = world.device(3, Role::Hub, &[]);
    let file = export(&mut one, BundleScope::Everything).concat();
    assert!(sealed_in(&file).is_ok());
    let (statements, envelopes) = import(&mut hub, &file);
    let held = places(&one.store);
    assert_eq!(places(&hub.store), held);
    assert_eq!((envelopes.new, envelopes.known, envelopes.refused), (held.len() as u64, 0, 0));
    assert!(statements.new > 0 && statements.refused == 0, "{statements:?}");
    assert_eq!(hub.found("person"), 12, "the hub reads both villages");

    let before = hub.store.load(&Range::all(Table::Envelopes));
    let (statements, envelopes) = import(&mut hub, &file);
    assert_eq!((statements.new, statements.refused), (0, 0));
    assert_eq!((envelopes.new, envelopes.known, envelopes.refused), (0, held.len() as u64, 0));
    assert!(hub.store.load(&Range::all(Table::Envelopes)) == before);

    // A contact afterwards finds nothing of it to give.
    let pipe = world.meet(&mut one, &mut hub);
    assert!(common::complete(&one, pipe));
}

#[test]
fn a_carrier_takes_and_passes_on_what_it_cannot_read() {
    let mut world = World::new();
    let (mut one, _) = two_phones(&mut world);
    let mut relay = world.device(4, Role::Relay, &[]);
    let mut hub = world.device(3, Role::Hub, &[]);
    let first = export(&mut one, BundleScope::Everything).concat();
    import(&mut relay, &first);
    assert_eq!(places(&relay.store), places(&one.store));
    let second = export(&mut relay, BundleScope::Everything).concat();
    assert_ne!(first, second);
    import(&mut hub, &second);
    assert_eq!(hub.found("person"), 12);
    for needle in [b"Person".as_slice(), b"device", b"HC1", b"Test"] {
        assert!(!first.windows(needle.len()).any(|bytes| bytes == needle));
    }
}

#[test]
fn a_bundle_of_one_area_holds_envelopes_of_no_other() {
    let mut world = World::new();
    let (mut one, mut other) = two_phones(&mut world);
    let area = one.status().areas[0].1;
    let file = export(&mut other, BundleScope::Area(area)).concat();
    let mut fresh = world.device(5, Role::Worker, &["01"]);
    let (_, envelopes) = import(&mut fresh, &file);
    assert_eq!(envelopes.refused, 0);
    assert_eq!(fresh.found("person"), 6);
    assert_eq!(places(&fresh.store).len() as u64, envelopes.new);
    assert!(places(&fresh.store).is_subset(&places(&one.store)));
    assert!(places(&fresh.store).len() < places(&one.store).len());
}

/// Orders are everybody's, whichever area they speak of, and so are the openings that they lean on.
#[test]
fn a_bundle_of_one_area_brings_what_its_orders_need() {
    let mut world = World::new();
    let (mut one, mut other) = two_phones(&mut world);
    let mut authority = world.device(6, Role::Authority, &[]);
    let record = other.person("Gone");
    other.call(Command::Seal);
    world.meet(&mut other, &mut authority);
    assert!(matches!(authority.order(Order::Erase { record }), Reply::Issued { .. }));
    let certificate = other.status().certificate.unwrap();
    let revoke = Order::Revoke { certificate, reason: Reason::Lost, trust: true, rotate: false };
    assert!(matches!(authority.order(revoke), Reply::Issued { .. }));
    world.meet(&mut authority, &mut one);
    let area = one.status().areas[0].1;
    let file = export(&mut one, BundleScope::Area(area)).concat();
    // To a device that holds nothing but what it joined with.
    let mut empty = world.device(5, Role::Relay, &[]);
    let (statements, envelopes) = import(&mut empty, &file);
    assert_eq!((statements.refused, envelopes.refused), (0, 0));
    let orders = |host: &Host| {
        let rows =
            host.store.load(&Range { rows_max: usize::MAX, ..Range::all(Table::Statements) });
        let read = |bytes: &[u8]| Statement::from_bytes(bytes).unwrap();
        let all = rows.iter().map(|(_, bytes)| read(bytes));
        let orders = all.filter(|one| [kind::ERASURE, kind::REVOCATION].contains(&one.kind()));
        orders.map(|one| one.id()).collect::<BTreeSet<_>>()
    };
    assert_eq!(orders(&empty), orders(&authority));
    assert_eq!(orders(&empty).len(), 2);
    let logs: BTreeSet<Vec<u8>> =
        places(&empty.store).iter().map(|key| key[..32].to_vec()).collect();
    assert_eq!(logs.len(), 1, "of the other village no envelope is in it");
}

#[test]
fn what_a_hub_signed_for_does_not_go_into_a_bundle_for_it() {
    let mut world = World::new();
    let (mut one, _) = two_phones(&mut world);
    let mut hub = world.device(3, Role::Hub, &[]);
    let hub_certificate: CertId = hub.status().certificate.unwrap();
    let scope = BundleScope::MissingAt(hub_certificate);
    let unknown = one.call(Command::BundleBegin { scope: scope.clone() });
    assert!(matches!(unknown, Reply::Error(_)), "nobody has told of it yet");
    world.meet(&mut one, &mut hub);
    hub.pass(1_000);
    world.meet(&mut one, &mut hub);
    let count = |pages: &[Vec<u8>]| pages.concat().len();
    let nothing = export(&mut one, scope.clone());
    let record = one.person("Late");
    one.visit(record, &[("age", "14")]);
    let late = export(&mut one, scope);
    let everything = export(&mut one, BundleScope::Everything);
    assert!(count(&nothing) < count(&late) && count(&late) < count(&everything));
    let (_, envelopes) = import(&mut hub, &nothing.concat());
    assert_eq!(envelopes, TakenPart::default());
    let (_, envelopes) = import(&mut hub, &late.concat());
    assert_eq!((envelopes.new > 0, envelopes.known), (true, 0));
    assert_eq!(places(&hub.store), places(&one.store));
}

#[test]
fn what_was_erased_stays_erased() {
    let mut world = World::new();
    let mut phone = world.device(1, Role::Worker, &["01"]);
    let mut authority = world.device(6, Role::Authority, &[]);
    let record = phone.person("Gone");
    phone.visit(record, &[("age", "14")]);
    let before = export(&mut phone, BundleScope::Everything).concat();
    world.meet(&mut phone, &mut authority);
    let reply = authority.order(Order::Erase { record });
    assert!(matches!(reply, Reply::Issued { .. }), "{reply:?}");
    for host in [&mut phone, &mut authority] {
        host.wait_for_erasures();
    }
    world.meet(&mut phone, &mut authority);
    for host in [&mut phone, &mut authority] {
        host.wait_for_erasures();
    }
    assert!(authority.show(record).is_none());
    let kept = authority.store.load(&Range::all(Table::Envelopes));
    let (_, envelopes) = import(&mut authority, &before);
    assert_eq!((envelopes.new, envelopes.refused), (0, 0), "its places are held");
    assert!(authority.store.load(&Range::all(Table::Envelopes)) == kept);
    assert!(authority.show(record).is_none());

    // And a bundle brings the stub and the order to who knows neither.
    let after = export(&mut authority, BundleScope::Everything).concat();
    let mut fresh = world.device(7, Role::Worker, &["01"]);
    let (_, envelopes) = import(&mut fresh, &after);
    assert_eq!(envelopes.refused, 0);
    assert_eq!(places(&fresh.store), places(&authority.store));
    assert!(fresh.show(record).is_none());
    import(&mut fresh, &before);
    assert!(fresh.show(record).is_none());
}

#[test]
fn pages_of_another_programme_and_of_none_are_refused() {
    let mut world = World::new();
    let (mut one, mut other) = two_phones(&mut world);
    let mut stranger = Host::new(9, true);
    let page = sealed_in(&export(&mut one, BundleScope::Everything).concat()).unwrap().remove(0);
    let code = |reply: Reply| match reply {
        Reply::Error(error) => error.code,
        other => panic!("{other:?}"),
    };
    let reply = stranger.call(Command::PageTake { page: page.clone() });
    assert_eq!(code(reply), "not_joined");
    let begin = Command::BundleBegin { scope: BundleScope::Everything };
    assert_eq!(code(stranger.call(begin)), "not_joined");
    for at in [0, 24, page.len() - 1] {
        let mut changed = page.clone();
        changed[at] ^= 1;
        assert_eq!(code(other.call(Command::PageTake { page: changed })), "foreign_page");
    }
    assert_eq!(code(one.call(Command::BundlePage { bundle: 7 })), "unknown_bundle");
}

/// What is done to a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize),
    CutOut(usize, usize),
    PutIn(usize, Vec<u8>),
    End(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => any::<usize>().prop_map(Harm::Flip),
        2 => (any::<usize>(), 1..3_000_usize).prop_map(|(at, bytes)| Harm::CutOut(at, bytes)),
        2 => (any::<usize>(), prop::collection::vec(any::<u8>(), 1..200))
            .prop_map(|(at, bytes)| Harm::PutIn(at, bytes)),
        1 => any::<usize>().prop_map(Harm::End),
    ]
}

/// Does it; gives the bytes of the original that are not in their places any more.
fn apply(file: &mut Vec<u8>, harm: &Harm) {
    if file.is_empty() {
        return;
    }
    let length = file.len();
    match harm {
        Harm::Flip(at) => file[at % length] ^= 0x10,
        Harm::CutOut(at, bytes) => {
            let at = at % length;
            file.drain(at..(at + bytes).min(length));
        }
        Harm::PutIn(at, bytes) => {
            let at = at % length;
            file.splice(at..at, bytes.iter().copied());
        }
        Harm::End(at) => file.truncate(at % length),
    }
}

/// Whether `whole` is in `file` unbroken.
fn is_in(file: &[u8], whole: &[u8]) -> bool {
    file.windows(whole.len()).any(|bytes| bytes == whole)
}

/// A bundle with many small pages: each batch that one exporter makes would hold all that the tests
/// can write in reasonable time, so several bundles stand one behind the other in one file.
fn many_pages() -> (World, Vec<Vec<u8>>) {
    let mut world = World::new();
    let mut pages = Vec::new();
    for seed in 1..=4 {
        let mut phone = world.device(seed, Role::Worker, &["01"]);
        for n in 0..3 {
            phone.person(&format!("Person {n}"));
            phone.call(Command::Seal);
        }
        pages.extend(export(&mut phone, BundleScope::Everything));
    }
    (world, pages)
}

#[test]
fn whatever_happens_to_a_file_its_whole_batches_come_in_and_damage_is_told() {
    let (mut world, pages) = many_pages();
    let file = pages.concat();
    let fresh = world.device(9, Role::Hub, &[]);
    let mut all = fresh.over(fresh.backup());
    import(&mut all, &file);
    // Per page, what it alone brings to a device that has nothing.
    let alone: Vec<(u64, BTreeSet<Vec<u8>>)> = pages
        .iter()
        .map(|page| {
            let mut host = fresh.over(fresh.backup());
            import(&mut host, page);
            (page.len() as u64, places(&host.store))
        })
        .collect();
    let union: BTreeSet<Vec<u8>> = alone.iter().flat_map(|(_, places)| places.clone()).collect();
    assert_eq!(union, places(&all.store), "every page of envelopes can be used alone");
    assert_eq!(union.len(), 12);

    let config = ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() };
    proptest!(config, |(harms in prop::collection::vec(harm(), 1..5))| {
        let mut broken = file.clone();
        harms.iter().for_each(|harm| apply(&mut broken, harm));
        let mut host = fresh.over(fresh.backup());
        import(&mut host, &broken);
        let whole = pages.iter().zip(&alone).filter(|(page, _)| is_in(&broken, page));
        let expected: BTreeSet<Vec<u8>> =
            whole.flat_map(|(_, (_, places))| places.clone()).collect();
        prop_assert_eq!(places(&host.store), expected);
        // All bytes are accounted for: in whole pages or in places that are told.
        let (mut at, mut damage) = (0, 0);
        for one in found(&broken) {
            match one {
                Found::Page(sealed) => at += sealed.len() as u64 + 26,
                Found::Damaged { from, to } => {
                    prop_assert!(from == at && to > from);
                    damage += to - from;
                    at = to;
                }
            }
        }
        prop_assert_eq!(at, broken.len() as u64);
        let lost = pages.iter().filter(|page| !is_in(&broken, page)).count();
        let at_a_seam = broken.len() == file.len()
            - pages.iter().filter(|page| !is_in(&broken, page)).map(Vec::len).sum::<usize>();
        prop_assert!(lost == 0 || damage > 0 || at_a_seam, "{lost} pages lost without a word");
    });
}

#[test]
fn a_log_whose_opening_is_lost_costs_only_itself() {
    let mut world = World::new();
    let (mut one, _) = two_phones(&mut world);
    let mut hub = world.device(3, Role::Hub, &[]);
    let pages = export(&mut one, BundleScope::Everything);
    // Without the pages of statements: openings and certificates travel with each batch again.
    let (statements, envelopes): (Vec<_>, Vec<_>) = {
        let mut probe = world.device(8, Role::Hub, &[]);
        pages.iter().cloned().partition(|page| import(&mut probe, page).1.new == 0)
    };
    assert!(!statements.is_empty() && !envelopes.is_empty());
    import(&mut hub, &envelopes.concat());
    assert_eq!(places(&hub.store), places(&one.store));
    let logs: BTreeSet<LogId> =
        places(&hub.store).iter().map(|key| LogId(key[..32].try_into().unwrap())).collect();
    assert_eq!(logs.len(), 2);
}
