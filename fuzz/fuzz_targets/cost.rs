#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| membership_fuzz::cost::target(bytes));
