//! The pieces of JSON that a usual line is made of, found in bytes; knows nothing of Python.
//!
//! It is strict but not complete: `None` means "not by me", be it an error or only a rarer form.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// A position in a JSON text; every call takes what it names from the front, and gives `None` if that is not there.
#[derive(Debug)]
pub struct Scanner<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
}

/// A number, as Python tells them apart: one with a point or an exponent is no integer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Number {
    Int(i64),
    Float(f64),
}

impl<'a> Scanner<'a> {
    /// Begin at the front of `text`.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            whole: text,
            rest: text,
        }
    }

    /// The next byte that is not white space; `None` at the end.
    #[inline]
    pub fn token(&mut self) -> Option<u8> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
        }
    }

    /// Exactly these bytes: what is left of a literal.
    #[inline]
    pub fn literal(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    /// The rest of a number that begins with the digit or minus `first`; `None` if its integer part is beyond 64 bits.
    ///
    /// Behind a 0 no digit is taken; what must not follow a number is the caller's to refuse.
    #[inline]
    pub fn number(&mut self, first: u8) -> Option<Number> {
        let begin = self.taken().wrapping_sub(1);
        let is_negative = first == b'-';
        let first = if is_negative { self.digit()? } else { first };
        let mut number = i64::from(first.wrapping_sub(b'0'));
        if number != 0 {
            while let Some(digit) = self.digit() {
                number = number.checked_mul(10)?.checked_add(digit.wrapping_sub(b'0').into())?;
            }
        }
        if matches!(self.rest, [b'.' | b'e' | b'E', ..]) {
            return self.float(begin).map(Number::Float);
        }
        Some(Number::Int(if is_negative { number.wrapping_neg() } else { number }))
    }

    /// The fraction and exponent that follow, and with them the number that began at `begin`.
    fn float(&mut self, begin: usize) -> Option<f64> {
        if let Some(rest) = self.rest.strip_prefix(b".") {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        let number = self.whole.get(begin..self.taken())?;
        str::from_utf8(number).ok()?.parse().ok() // rounds correctly, as jiter and Python do
    }

    fn digits(&mut self) -> Option<()> {
        self.digit()?;
        while self.digit().is_some() {}
        Some(())
    }

    #[inline]
    fn digit(&mut self) -> Option<u8> {
        let (&digit, rest) = self.rest.split_first()?;
        digit.is_ascii_digit().then(|| {
            self.rest = rest;
            digit
        })
    }

    fn taken(&self) -> usize {
        self.whole.len().wrapping_sub(self.rest.len())
    }

    /// The rest of a string whose opening quote was taken: what it stands for, on loan where nothing in it is escaped.
    ///
    /// `None` for half a surrogate pair, and for a whole one. Whether the bytes are UTF-8 is not looked at.
    #[inline]
    pub fn text(&mut self) -> Option<Cow<'a, [u8]>> {
        let text = self.plain()?;
        match self.rest {
            [b'"', rest @ ..] => {
                self.rest = rest;
                Some(Cow::Borrowed(text))
            }
            _ => self.unescape(text.to_vec()).map(Cow::Owned),
        }
    }

    /// The same, from where the beginning of the `text` ends.
    #[cold]
    fn unescape(&mut self, mut text: Vec<u8>) -> Option<Vec<u8>> {
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Some(text);
                }
                [b'\\', b'u', a, b, c, d, rest @ ..] => {
                    let digits = [a, b, c, d].map(|digit| char::from(*digit).to_digit(16));
                    let code = digits.into_iter().try_fold(0, |code, digit| Some(code << 4 | digit?))?;
                    text.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                    self.rest = rest;
                }
                [b'\\', code, rest @ ..] => {
                    text.push(match code {
                        b'"' | b'\\' | b'/' => *code,
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return None,
                    });
                    self.rest = rest;
                }
                _ => return None,
            }
            text.extend_from_slice(self.plain()?);
        }
    }

    /// The bytes up to the next quote, backslash or control character.
    #[inline]
    fn plain(&mut self) -> Option<&'a [u8]> {
        let (plain, rest) = self.rest.split_at_checked(plain(self.rest))?;
        self.rest = rest;
        Some(plain)
    }
}

/// How many bytes from the front are neither a quote, a backslash nor a control character.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut length: usize = 0;
    while let Some((word, tail)) = rest.split_first_chunk() {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return length.wrapping_add((stops.trailing_zeros() >> 3) as usize);
        }
        rest = tail;
        length = length.wrapping_add(size_of::<u64>());
    }
    let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    length.wrapping_add(rest.iter().position(is_stop).unwrap_or(rest.len()))
}

/// The high bit of each byte of `word` that is a quote, a backslash or a control character.
///
/// As a borrow runs upwards, bits above the lowest that is set may be wrong; the lowest is right, and is all that is used.
#[inline]
fn stops(word: u64) -> u64 {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // Flipping 0x02 makes the quote, 0x22, the neighbour of the control characters: below 0x21, and nothing else new is.
    let quote_or_control = (word ^ all(0x02)).wrapping_sub(all(0x21));
    let backslash = (word ^ all(b'\\')).wrapping_sub(all(0x01));
    (quote_or_control | backslash) & !word & all(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_stop(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[test]
    fn a_stop_is_found_among_any_neighbours() {
        for neighbour in 0..=255 {
            for byte in 0..=255 {
                for place in 0..8 {
                    let mut word = [neighbour; 8];
                    word[place] = byte;
                    let expected = word.iter().position(|&byte| is_stop(byte)).unwrap_or(8);
                    assert_eq!(
                        (stops(u64::from_le_bytes(word)).trailing_zeros() / 8) as usize,
                        expected,
                        "{word:?}"
                    );
                }
            }
        }
    }

    fn text(text: &str) -> Option<(Cow<'_, [u8]>, &str)> {
        let mut scanner = Scanner::new(text.as_bytes());
        let found = scanner.text()?;
        Some((found, &text[scanner.taken()..]))
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_is() {
        for length in 0..40 {
            for rest in ["", "x", "\"", " and more than a word"] {
                let plain = "é".repeat(length);
                assert_eq!(text(&plain), None);
                let quoted = format!("{plain}\"{rest}");
                let (found, left) = text(&quoted).unwrap();
                assert!(matches!(found, Cow::Borrowed(found) if found == plain.as_bytes()));
                assert_eq!(left, rest);
            }
        }
    }

    #[test]
    fn escapes_are_what_they_stand_for_wherever_they_are() {
        for (escape, expected) in [
            (r#"\""#, "\""),
            (r"\\", "\\"),
            (r#"\\\""#, "\\\""),
            (r"\/\b\f\n\r\t", "/\x08\x0c\n\r\t"),
            (r"\u0000\u00e9\u00E9\u2028\uffff", "\0éé\u{2028}\u{ffff}"),
            (r"é\né", "é\né"),
        ] {
            for length in 0..20 {
                let plain = "a".repeat(length);
                let quoted = format!("{plain}{escape}{plain}\",\"");
                let expected = format!("{plain}{expected}{plain}");
                assert_eq!(
                    text(&quoted),
                    Some((Cow::Borrowed(expected.as_bytes()), ",\"")),
                    "{quoted}"
                );
                assert_eq!(text(&quoted[..quoted.len() - 3]), None, "{quoted}");
            }
        }
    }

    #[test]
    fn what_is_no_escape_and_surrogates_are_refused() {
        let wrong = [
            r"\x",
            r"\U0041",
            r"\'",
            r"\u",
            r"\u004",
            r"\u00g0",
            r"\u+041",
            r"\ud83d\ude00",
            r"\udc00",
        ];
        for escape in wrong {
            assert_eq!(
                text(&format!("a{escape}\" and \"more\"")).map(|(found, _)| found),
                None,
                "{escape}"
            );
        }
    }

    #[test]
    fn a_control_character_is_in_no_string() {
        for byte in 0..0x20 {
            for before in ["", "a", "\\", "\\n", "0123456", "01234567", "012345678"] {
                let text = [before.as_bytes(), &[byte], b"12345678\""].concat();
                assert_eq!(Scanner::new(&text).text(), None, "{text:?}");
            }
        }
        assert!(Scanner::new(b"\x7f\"").text().is_some());
    }

    fn number(text: &str) -> Option<(Number, &str)> {
        let mut scanner = Scanner::new(text.as_bytes());
        let first = scanner.token().unwrap();
        let number = scanner.number(first)?;
        Some((number, &text[scanner.taken()..]))
    }

    #[test]
    fn integers_are_taken_to_64_bits() {
        for (text, expected, rest) in [
            ("0", 0, ""),
            ("-0", 0, ""),
            ("01", 0, "1"),
            (" 7,", 7, ","),
            ("-12]", -12, "]"),
            ("1a", 1, "a"),
            ("9223372036854775807", i64::MAX, ""),
            ("-9223372036854775807", -i64::MAX, ""),
        ] {
            assert_eq!(number(text), Some((Number::Int(expected), rest)), "{text}");
        }
        for text in [
            "-",
            "-a",
            "--1",
            "9223372036854775808",
            "-9223372036854775808",
            "92233720368547758070",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn floats_have_digits_in_all_their_parts() {
        for (text, expected, rest) in [
            ("1.5,", 1.5, ","),
            (" -0.1 ", -0.1, " "),
            ("0e0", 0.0, ""),
            ("12E+3", 12e3, ""),
            ("1.25e-2.", 1.25e-2, "."),
            ("1e400", f64::INFINITY, ""),
            ("-0.12345678955316544", -0.123_456_789_553_165_44, ""),
        ] {
            assert_eq!(number(text), Some((Number::Float(expected), rest)), "{text}");
        }
        let (minus_zero, _) = number("-0.0").unwrap();
        assert!(matches!(minus_zero, Number::Float(zero) if zero.is_sign_negative()));
        for text in [
            "1.",
            "1.e5",
            "-.5",
            "1e",
            "1e+",
            "1.5e-",
            "1.x",
            "92233720368547758070.5",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_have_white_space_before_them_and_literals_have_none() {
        let mut scanner = Scanner::new(b" \t\r\n{true \x0b");
        assert_eq!(scanner.token(), Some(b'{'));
        assert_eq!(scanner.literal(b"false"), None);
        assert_eq!(scanner.literal(b"true"), Some(()));
        assert_eq!(scanner.literal(b"\x0b"), None);
        assert_eq!(scanner.token(), Some(b'\x0b'));
        assert_eq!(scanner.token(), None);
    }
}
