//! What comes over a pipe from a hostile other end, or from somebody on the line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| huza_daemon_fuzz::noise(bytes));
