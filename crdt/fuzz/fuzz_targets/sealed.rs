//! Bytes behind a seal, as a member who holds the keys can put them there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| huza_crdt_fuzz::sealed::sealed(bytes));
