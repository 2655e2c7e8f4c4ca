//! `ollama_fast_fuzz::splitter` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ollama_fast_fuzz::splitter::check(input));
