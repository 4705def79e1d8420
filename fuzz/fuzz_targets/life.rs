//! The fuzz target `life`, see `membership_fuzz::life`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| membership_fuzz::life::target(bytes));
