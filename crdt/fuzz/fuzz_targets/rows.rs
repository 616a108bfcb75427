//! A node over a disk that was damaged or edited.
#![no_main]

use huza_crdt_fuzz::rows::Shelf;

thread_local! {
    /// Made once: it costs more than most runs.
    static START: Shelf = Shelf::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| START.with(|it| it.run(bytes)));
