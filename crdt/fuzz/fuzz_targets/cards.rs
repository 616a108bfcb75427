//! The file of a bundle, damaged or made by somebody hostile.
#![no_main]

use huza_crdt_fuzz::cards::Cards;

thread_local! {
    /// Made once: it costs more than most runs.
    static START: Cards = Cards::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| START.with(|it| it.run(bytes)));
