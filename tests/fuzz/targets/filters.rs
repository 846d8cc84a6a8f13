//! `raito_fuzz::filters` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raito_fuzz::filters(data));
