//! `raito_sandbox::inspect` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = raito_sandbox::inspect(data.to_vec());
});
