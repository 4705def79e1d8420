//! The fuzz target `cost`, see `membership_fuzz::cost`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| membership_fuzz::cost::target(bytes));
