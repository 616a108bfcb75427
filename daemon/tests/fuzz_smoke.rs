//! Runs the body of the fuzz target on its seeds, as they are and mangled, with the stable compiler.
//! `docs/wire.md` says how to run the target itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

#[test]
fn a_pipe_stands_whatever_comes_over_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/noise");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        targets::noise(&seed);
        for at in 0..seed.len() {
            for with in [1, 16, 255] {
                let mut mangled = seed.clone();
                mangled[at] ^= with;
                targets::noise(&mangled);
            }
        }
        seeds += 1;
    }
    assert!(seeds > 4);
}
