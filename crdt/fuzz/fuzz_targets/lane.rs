//! Statements of a small programme, in several orders.
#![no_main]

use huza_crdt_fuzz::lane::Play;

thread_local! {
    /// Made once: it costs more than most runs.
    static START: Play = Play::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| START.with(|it| huza_crdt_fuzz::lane::fuzz(it, bytes)));
