//! `raito_worker::fuzz::messages` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raito_worker::fuzz::messages(data));
