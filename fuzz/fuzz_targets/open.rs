//! The fuzz target `open`, see `membership_fuzz::open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| membership_fuzz::open::target(bytes));
