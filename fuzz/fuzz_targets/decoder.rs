//! `ollama_fast_fuzz::decoder` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ollama_fast_fuzz::decoder::check(input));
