//! `ollama_fast_fuzz::float32` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ollama_fast_fuzz::float32::check(input));
