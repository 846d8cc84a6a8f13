//! `raito_worker::fuzz::orders` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raito_worker::fuzz::orders(data));
