//! Runs the bodies of the fuzz targets on a few hundred seeded inputs, with the stable compiler.
//! `docs/wire.md` says how to run the targets themselves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail loudly"
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use huza_crdt::crypto::Entropy;
use huza_crdt::id::unhex;

/// Every golden file, as it is and mangled in a few places.
#[test]
fn readers_of_bytes_stand_mangled_golden_files() {
    let mut entropy = Entropy::new([7; 32]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 40);
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        let bytes = unhex(&text.split_whitespace().collect::<String>()).unwrap();
        targets::frames(&bytes);
        for _ in 0..40 {
            let mut mangled = bytes.clone();
            for _ in 0..entropy.draw::<1>()[0] % 4 + 1 {
                let [high, low, with, cut] = entropy.draw();
                let at = usize::from(u16::from_be_bytes([high, low])) % mangled.len();
                mangled[at] = with;
                if cut < 20 && mangled.len() > 1 {
                    mangled.truncate(at.max(1));
                }
            }
            targets::frames(&mangled);
        }
    }
    for length in 0..300 {
        let junk: Vec<u8> = (0..length).flat_map(|_| entropy.draw::<1>()).collect();
        targets::frames(&junk);
    }
}

/// Every seed of every target, as it is and mangled in a few places.
#[test]
fn every_target_stands_its_seeds() {
    let play = targets::lane::Play::new();
    let shelf = targets::rows::Shelf::new();
    let cast = targets::orders::Cast::new();
    let cards = targets::cards::Cards::new();
    let mut entropy = Entropy::new([9; 32]);
    let mut run = |target: &str, times: usize, body: &dyn Fn(&[u8])| {
        let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty());
        for path in paths {
            let seed = std::fs::read(path).unwrap();
            body(&seed);
            for _ in 0..times {
                let mut mangled = seed.clone();
                let [at, with] = entropy.draw();
                let at = usize::from(at) % mangled.len();
                mangled[at] = with;
                body(&mangled);
            }
        }
    };
    run("readers", 40, &targets::readers::read);
    run("sealed", 20, &targets::sealed::sealed);
    run("lane", 10, &|bytes| targets::lane::fuzz(&play, bytes));
    run("rows", 10, &|bytes| shelf.run(bytes));
    run("cards", 20, &|bytes| cards.run(bytes));
    run("orders", 4, &|bytes| cast.fuzz(bytes));
}

/// A damaged row of any table, in each of the ways of damage.
#[test]
fn a_node_starts_over_any_damaged_row() {
    let shelf = targets::rows::Shelf::new();
    for row in 0..shelf.rows() {
        for how in 0..4 {
            let [low, high] = (row as u16).to_le_bytes();
            shelf.run(&[low, high, how, 7, 7, 7, 7]);
        }
    }
}

/// Found by `readers`: spans that end at the last seq there is never compared as equal.
#[test]
fn spans_to_the_last_seq_are_equal_to_themselves() {
    use huza_crdt::holdings::{Span, Spans};
    let span = Span { from: 5, to: u64::MAX, end: huza_crdt::id::Hash([1; 32]) };
    let spans = Spans::from_received(vec![span]).unwrap();
    assert!(spans.without(&spans).is_empty());
}

/// Found by `rows`: a damaged row of what is held made a count run over.
#[test]
fn a_damaged_row_of_spans_does_not_overflow() {
    use huza_crdt::holdings::{Span, Spans};
    let span = |from, to| Span { from, to, end: huza_crdt::id::Hash([1; 32]) };
    let read = |spans: Vec<Span>| {
        huza_crdt::codec::decode::<Spans>(&huza_crdt::codec::encode(&spans)).unwrap()
    };
    assert!(!read(vec![span(5, 4)]).is_sound());
    assert_eq!(read(vec![span(0, u64::MAX), span(9, 3)]).count(), u64::MAX);
    let shelf = targets::rows::Shelf::new();
    shelf.run(&[183, 0, 1, 0, 1]);
}

#[test]
fn two_phones_stand_random_operations() {
    let mut entropy = Entropy::new([8; 32]);
    let phones = targets::Phones::new();
    for _ in 0..200 {
        let count = usize::from(entropy.draw::<1>()[0]) % 60;
        let operations: Vec<(u8, u16, u8)> = (0..count)
            .map(|_| {
                let [what, high, low, narrow] = entropy.draw();
                (what, u16::from_be_bytes([high, low]), narrow)
            })
            .collect();
        phones.run(&operations);
    }
}
