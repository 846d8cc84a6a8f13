//! `raito_fuzz::code` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raito_fuzz::code(data));
