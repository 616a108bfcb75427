//! Bytes into every reader of bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| huza_crdt_fuzz::frames(bytes));
