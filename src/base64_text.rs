//! Whether text is base64, as Ollama's server reads it. Pure: knows nothing of Python.

/// What a byte can be in base64 text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Digit,
    Padding,
    LineBreak,
    Other,
}

const CLASSES: [Class; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    reason = "const, so the compiler sees that it is within bounds"
)]
const fn classes() -> [Class; 256] {
    let mut found = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        // The cast is exact: byte is below 256.
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let known = byte as u8;
        found[byte] = match known {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Class::Digit,
            b'=' => Class::Padding,
            b'\r' | b'\n' => Class::LineBreak,
            _ => Class::Other,
        };
        byte += 1;
    }
    found
}

/// Give the position of the first byte that cannot be there, or the length if more must follow; `None` if all is well.
///
/// The server takes the standard alphabet with padding, and line breaks anywhere (OLLAMA-API 5.4).
#[must_use]
pub fn fault(text: &[u8]) -> Option<usize> {
    let mut digits = 0_u8; // of the group of four, padding included
    let mut padded = false;
    for (position, &byte) in text.iter().enumerate() {
        match CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Other) {
            Class::Digit if !padded => digits = (digits + 1) & 3,
            Class::Padding if digits > 1 => {
                digits = (digits + 1) & 3;
                padded = true;
            }
            Class::LineBreak => {}
            _ => return Some(position),
        }
    }
    (digits != 0).then_some(text.len())
}

/// Count the line breaks of base64 text.
#[must_use]
pub fn line_breaks(text: &[u8]) -> usize {
    memchr::memchr2_iter(b'\r', b'\n', text).count()
}

/// Copy base64 text without its line breaks into `out`, which has exactly the room for it; false if it has not.
#[must_use]
pub fn copy_joined(text: &[u8], mut out: &mut [u8]) -> bool {
    let mut from = 0;
    let ends = memchr::memchr2_iter(b'\r', b'\n', text).chain([text.len()]);
    for end in ends {
        let Some(line) = text.get(from..end) else {
            return false;
        };
        let Some((here, rest)) = out.split_at_mut_checked(line.len()) else {
            return false;
        };
        here.copy_from_slice(line);
        out = rest;
        from = end + 1;
    }
    out.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{copy_joined, fault, line_breaks};

    #[test]
    fn base64_has_no_fault() {
        for text in [
            "",
            "AA==",
            "AAA=",
            "AAAA",
            "+/9z",
            "AAAAAA==",
            "AB==",
            "A\nA=\r\n=\n",
            "\nAAAA",
            "AAAA\r\n",
        ] {
            assert_eq!(fault(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_first_fault_is_named() {
        for (text, position) in [
            ("A", 1),
            ("AA", 2),
            ("AA=", 3),
            ("AAA", 3),
            ("AAA\n", 4),
            ("=", 0),
            ("A=", 1),
            ("A===", 1),
            ("AAAA=", 4),
            ("AA===", 4),
            ("AA=A", 3),
            ("AA==AAAA", 4),
            ("AA-_", 2),
            ("AAA_", 3),
            ("A AA", 1),
            ("cat.png", 3),
            ("AAA\u{e9}", 3),
            ("\0", 0),
        ] {
            assert_eq!(fault(text.as_bytes()), Some(position), "{text:?}");
        }
    }

    #[test]
    fn line_breaks_are_left_out() {
        for (text, joined) in [
            ("", ""),
            ("\r\n", ""),
            ("AA\r\nAA\n", "AAAA"),
            ("AAAA", "AAAA"),
            ("\nA\n\nB", "AB"),
        ] {
            let mut out = vec![0; text.len() - line_breaks(text.as_bytes())];
            assert!(copy_joined(text.as_bytes(), &mut out));
            assert_eq!(out, joined.as_bytes());
        }
        assert!(!copy_joined(b"AAAA", &mut [0; 3]));
        assert!(!copy_joined(b"AAAA", &mut [0; 5]));
        assert!(!copy_joined(b"AA\n", &mut [0; 3]));
    }
}
