//! A list of operations between two nodes.
#![no_main]

use huza_crdt_fuzz::Phones;

thread_local! {
    /// Made once: joining costs more than most runs.
    static PHONES: Phones = Phones::new();
}

libfuzzer_sys::fuzz_target!(|operations: Vec<(u8, u16, u8)>| {
    PHONES.with(|phones| phones.run(&operations));
});
