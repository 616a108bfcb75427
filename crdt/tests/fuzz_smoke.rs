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
