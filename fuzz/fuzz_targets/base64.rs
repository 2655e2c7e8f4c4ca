//! `ollama_fast_fuzz::base64` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ollama_fast_fuzz::base64::check(input));
