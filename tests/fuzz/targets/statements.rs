//! `raito_fuzz::statements` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raito_fuzz::statements(data));
