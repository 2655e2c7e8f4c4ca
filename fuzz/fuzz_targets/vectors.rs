//! `ollama_fast_fuzz::vectors` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ollama_fast_fuzz::vectors::check(input));
