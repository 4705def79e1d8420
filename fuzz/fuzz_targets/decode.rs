//! The fuzz target `decode`, see `membership_fuzz::decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| membership_fuzz::decode::target(bytes));
