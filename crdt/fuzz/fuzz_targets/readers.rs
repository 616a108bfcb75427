//! Bytes into one reader of bytes; the first byte says which.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| huza_crdt_fuzz::readers::read(bytes));
