//! A health centre with orders, locked readers, restarts and a lying member.
#![no_main]

use huza_crdt_fuzz::orders::Cast;

thread_local! {
    /// Made once: it costs more than most runs.
    static START: Cast = Cast::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| START.with(|it| it.fuzz(bytes)));
