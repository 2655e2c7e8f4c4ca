//! A JSON object as it arrives, out of which the array under one key is taken; knows nothing of Python.
//!
//! It follows strings and brackets only. Whether what it keeps is JSON is for others to say: they see all of it, and `[]`
//! for the array.
#![deny(clippy::arithmetic_side_effects)]

use crate::scan::Scanner;

/// An incremental splitter: [`feed`](Envelope::feed) it chunks until the array begins, and again behind its end.
///
/// Operations: append bytes; tell the key's array from all else.
///
/// Goal: O(1) per byte, however they are cut.
#[derive(Debug)]
pub struct Envelope {
    key: Vec<u8>,
    kept: Vec<u8>,
    depth: usize,
    place: Place,
    text: Text,
    seen: bool,
}

/// What the next token is, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A key of the outermost object.
    Key,
    /// The end of such a key, whose text begins at this byte of what is kept.
    KeyEnd(usize),
    /// The colon behind the wanted key.
    Colon,
    /// The wanted value.
    Wanted,
    /// Anything else.
    Other,
}

/// Whether the next byte is in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

/// The key stands twice in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate;

impl Envelope {
    /// Look for the array under `key`.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self {
            key: key.as_bytes().to_vec(),
            kept: Vec::new(),
            depth: 0,
            place: Place::Other,
            text: Text::Outside,
            seen: false,
        }
    }

    /// Keep what is around the array. If the array begins in `chunk`, give what follows its opening bracket.
    ///
    /// # Errors
    ///
    /// The key stands twice in the object.
    pub fn feed<'c>(&mut self, mut chunk: &'c [u8]) -> Result<Option<&'c [u8]>, Duplicate> {
        while let Some((&byte, rest)) = chunk.split_first() {
            chunk = rest;
            self.kept.push(byte);
            if self.begins(byte)? {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Say that the array ended; its closing bracket was taken.
    pub fn end_array(&mut self) {
        self.kept.push(b']');
        self.place = Place::Other;
    }

    /// What was kept.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether the array begins with `byte`.
    fn begins(&mut self, byte: u8) -> Result<bool, Duplicate> {
        match (self.text, byte) {
            (Text::Escaped, _) => self.text = Text::Inside,
            (Text::Inside, b'\\') => self.text = Text::Escaped,
            (Text::Inside, b'"') => {
                self.text = Text::Outside;
                if let Place::KeyEnd(begin) = self.place {
                    self.place = self.named(begin)?;
                }
            }
            (Text::Inside, _) | (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (Text::Outside, _) => {
                let place = self.place;
                self.place = match byte {
                    b'"' => {
                        self.text = Text::Inside;
                        if place == Place::Key {
                            Place::KeyEnd(self.kept.len())
                        } else {
                            Place::Other
                        }
                    }
                    b'[' if place == Place::Wanted => return Ok(true),
                    b'{' | b'[' => {
                        self.depth = self.depth.saturating_add(1);
                        if byte == b'{' && self.depth == 1 {
                            Place::Key
                        } else {
                            Place::Other
                        }
                    }
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        Place::Other
                    }
                    b',' if self.depth == 1 => Place::Key,
                    b':' if place == Place::Colon => Place::Wanted,
                    _ => Place::Other,
                };
            }
        }
        Ok(false)
    }

    /// What follows the key whose text begins at `begin`. It may be written with escapes.
    fn named(&mut self, begin: usize) -> Result<Place, Duplicate> {
        let text = self.kept.get(begin..).unwrap_or_default();
        if Scanner::new(text).text().is_none_or(|text| *text != *self.key) {
            return Ok(Place::Other);
        }
        if self.seen {
            return Err(Duplicate);
        }
        self.seen = true;
        Ok(Place::Colon)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;

    /// What is kept, and where arrays began, if each byte is a chunk and an array ends at its first bracket.
    fn split(text: &str) -> (String, usize) {
        let mut envelope = Envelope::new("key");
        let mut found = 0;
        let mut inside = false;
        for byte in text.bytes() {
            if inside {
                inside = byte != b']';
                if !inside {
                    envelope.end_array();
                }
            } else if envelope.feed(&[byte]).unwrap().is_some() {
                found += 1;
                inside = true;
            }
        }
        (String::from_utf8(envelope.kept().to_vec()).unwrap(), found)
    }

    #[test]
    fn the_array_of_the_key_is_taken_out() {
        for (text, kept) in [
            (r#"{"key":[1,2]}"#, r#"{"key":[]}"#),
            (" {\n\"key\" :\t[1]\r, \"a\":1 } ", " {\n\"key\" :\t[]\r, \"a\":1 } "),
            (
                r#"{"a":{"b":[1]},"key":[1],"c":[2]}"#,
                r#"{"a":{"b":[1]},"key":[],"c":[2]}"#,
            ),
            (r#"{"a":"\\\"key\":[","key":[1]}"#, r#"{"a":"\\\"key\":[","key":[]}"#),
            (r#"{"k\u0065y":[1]}"#, r#"{"k\u0065y":[]}"#),
            (r#"{"a":null,"b":[],"key":[1]}"#, r#"{"a":null,"b":[],"key":[]}"#),
        ] {
            assert_eq!(split(text), (kept.to_owned(), 1), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_the_key_is_kept() {
        for text in [
            r#"{"a":{"key":[1]}}"#,
            r#"{"a":"key","b":[1]}"#,
            r#"{"a":["key",[1]]}"#,
            r#"[{"key":[1]}]"#,
            r#"["key",[1]]"#,
            r#"{"key\\":[1],"\"key":[2],"Key":[3],"keys":[4],"":[5]}"#,
            r#"{"key":null,"a":[1]}"#,
            r#"{"key":"x","a":[1]}"#,
            r#"{"key":{"a":[1]}}"#,
            r#"{"a":"{\"key\":[1]}"}"#,
            r#"{"key" [1]}"#,
            "",
            "<html>",
        ] {
            assert_eq!(split(text), (text.to_owned(), 0), "{text}");
        }
    }

    #[test]
    fn the_key_may_come_once() {
        for text in [&br#"{"key":null,"key":[1]}"#[..], br#"{"key":1,"ke\u0079":2}"#] {
            assert_eq!(Envelope::new("key").feed(text), Err(Duplicate));
        }
        assert_eq!(Envelope::new("key").feed(br#"{"key":[1],"#), Ok(Some(&b"1],"[..])));
    }
}
