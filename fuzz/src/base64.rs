//! What is base64, and where not, beside the crate `base64`; and texts with gaps, beside a plain split.

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ollama_fast::base64_text::{copy_joined, fault, line_breaks};
use ollama_fast::template;

/// As Go's `base64.StdEncoding`, which the server has: bits behind the end may be set.
const PLAIN: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
/// What can be missing of base64.
const ENDS: [&[u8]; 9] = [b"", b"A", b"AA", b"AAA", b"=", b"==", b"A=", b"AA=", b"A=="];

/// One text, to be looked at, to be joined, and to be a template.
///
/// # Panics
///
/// The two differ.
pub fn check(text: &[u8]) {
    match fault(text) {
        None => assert!(is_base64(text)),
        Some(at) if at == text.len() => assert!(!is_base64(text) && can_go_on(text)),
        Some(at) => assert!(can_go_on(&text[..at]) && !can_go_on(&text[..=at])),
    }
    let plain = joined(text);
    let mut out = vec![0; text.len() - line_breaks(text)];
    assert!(copy_joined(text, &mut out));
    assert_eq!(out, plain);
    fill(text);
}

/// The text without line breaks.
fn joined(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect()
}

fn is_base64(text: &[u8]) -> bool {
    PLAIN.decode(joined(text)).is_ok()
}

fn can_go_on(beginning: &[u8]) -> bool {
    ENDS.iter().any(|end| is_base64(&[beginning, end].concat()))
}

/// Fill the gaps of `text` with 0, 1, 2, 3, 0, ... letters.
fn fill(text: &[u8]) {
    let parts: Vec<&[u8]> = text.split(|byte| *byte == 0).collect();
    let sizes: Vec<usize> = (0..parts.len() - 1).map(|number| number % 4).collect();
    let mut expected = parts[0].to_vec();
    for (size, part) in sizes.iter().zip(&parts[1..]) {
        expected.extend(vec![b'A'; *size]);
        expected.extend_from_slice(part);
    }
    assert_eq!(template::length(text, &sizes), Some(expected.len()));
    let mut out = vec![0; expected.len()];
    for gap in template::carve(text, &sizes, &mut out).unwrap_or_default() {
        gap.fill(b'A');
    }
    assert_eq!(out, expected);
    let one_more = [&sizes[..], &[0]].concat();
    assert_eq!(template::length(text, &one_more), None);
    assert!(template::carve(text, &one_more, &mut out).is_none());
}
