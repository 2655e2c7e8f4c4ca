//! Vectors in a JSON object to float32, as the object arrives; knows nothing of Python.
#![deny(clippy::arithmetic_side_effects)]

use std::{fmt, mem};

use crate::envelope::Envelope;
use crate::float32::{self, MAX_NUMBER, Token};

/// The most bytes that may be around the numbers.
pub const MAX_REST: usize = 16 * 1024 * 1024;

const CUT_OFF: &str = "the bytes end before it does";

/// An incremental decoder of an object that has, under one key, an array of vectors of one length.
///
/// Operations: append a chunk; read the next number; give the numbers away, once.
///
/// Goal: O(n) in the bytes, however they are cut, and no memory but for the numbers and what is around them. Only a number
/// that is cut between two chunks is kept as text.
#[derive(Debug)]
pub struct Vectors {
    key: String,
    envelope: Envelope,
    /// The numbers in the machine's order of bytes, as what they are for wants them.
    numbers: Vec<u8>,
    next: Next,
    /// How many vectors are whole, and how many numbers each has: known once the first is.
    whole: usize,
    length: Option<usize>,
    /// How many numbers of the vector that arrives are there.
    position: usize,
    /// The beginning of a number, if a chunk ended in it.
    cut: Vec<u8>,
    wrong: Option<Wrong>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Something around the vectors.
    Around,
    /// The first vector, or the end.
    FirstVector,
    Vector,
    /// A comma or the end.
    BehindVector,
    Number,
    /// A comma or the end.
    BehindNumber,
}

/// A whole object: what was around the numbers, as JSON with an empty array for them; the numbers; how many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Decoded<'a> {
    pub rest: &'a [u8],
    pub numbers: Vec<u8>,
    pub vectors: usize,
    pub length: usize,
}

/// What is wrong with an object, in words for people: which vector, which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    what: String,
    is_cut_off: bool,
}

impl Wrong {
    const fn new(what: String) -> Self {
        Self {
            what,
            is_cut_off: false,
        }
    }

    /// Whether nothing is wrong but that more bytes should have come.
    #[must_use]
    pub const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)
    }
}

impl Vectors {
    /// Look for the vectors under `key`. How many bytes the object may have is for others to say.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            envelope: Envelope::new(key),
            numbers: Vec::new(),
            next: Next::Around,
            whole: 0,
            length: None,
            position: 0,
            cut: Vec::new(),
            wrong: None,
        }
    }

    /// Take `chunk`.
    ///
    /// # Errors
    ///
    /// What is wrong with it. What is wrong once stays wrong.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Wrong> {
        let done = match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => self.take(chunk),
        };
        self.wrong = done.clone().err();
        done
    }

    /// Say that no more bytes come, and give what they were. The numbers are not kept, so it does so once.
    ///
    /// # Errors
    ///
    /// They ended among the vectors, or were given before. Whether what is around them is whole, and has any, is for
    /// others to say.
    pub fn close(&mut self) -> Result<Decoded<'_>, Wrong> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        if !self.cut.is_empty() {
            let done = self.settle(self.cut.len());
            self.wrong = done.clone().err();
            done?;
        }
        if self.next != Next::Around {
            return Err(self.cut_off());
        }
        self.wrong = Some(Wrong::new(
            "the decoder is closed, and its numbers were given".to_owned(),
        ));
        Ok(Decoded {
            rest: self.envelope.kept(),
            numbers: mem::take(&mut self.numbers),
            vectors: self.whole,
            length: self.length.unwrap_or(0),
        })
    }

    fn take(&mut self, mut chunk: &[u8]) -> Result<(), Wrong> {
        loop {
            if self.next == Next::Around {
                let Ok(inside) = self.envelope.feed(chunk) else {
                    return Err(Wrong::new(format!("the key {:?} is there twice", self.key)));
                };
                if self.envelope.kept().len() > MAX_REST {
                    return Err(Wrong::new(format!(
                        "the body has more than {MAX_REST} bytes beside {:?}",
                        self.key
                    )));
                }
                let Some(inside) = inside else {
                    return Ok(());
                };
                chunk = inside;
                self.next = Next::FirstVector;
            }
            if !self.cut.is_empty() {
                chunk = self.join(chunk)?;
            }
            chunk = self.read(chunk)?;
            if chunk.is_empty() {
                return Ok(());
            }
        }
    }

    /// Read vectors, to their end or that of `chunk`; give what is left of it.
    fn read<'c>(&mut self, mut chunk: &'c [u8]) -> Result<&'c [u8], Wrong> {
        while let Some((&byte, rest)) = chunk.split_first() {
            match (self.next, byte) {
                (Next::BehindNumber, b',') | (Next::FirstVector | Next::Vector, b'[') => self.next = Next::Number,
                (_, b' ' | b'\t' | b'\r' | b'\n') => {}
                (Next::Number, b'-' | b'0'..=b'9') => match float32::number(chunk) {
                    Token::Number(value, length) => {
                        self.put(value)?;
                        chunk = chunk.get(length..).unwrap_or_default();
                        continue;
                    }
                    Token::Cut => {
                        self.keep(chunk)?;
                        return Ok(&[]);
                    }
                    other => return Err(self.refuse(other)),
                },
                (Next::BehindNumber, b']') => self.end_vector()?,
                (Next::BehindVector, b',') => self.next = Next::Vector,
                (Next::FirstVector | Next::BehindVector, b']') => {
                    self.next = Next::Around;
                    self.envelope.end_array();
                    return Ok(rest);
                }
                _ => return Err(self.unexpected(byte)),
            }
            chunk = rest;
        }
        Ok(chunk)
    }

    #[inline]
    fn put(&mut self, value: f32) -> Result<(), Wrong> {
        if self.length == Some(self.position) {
            return Err(self.ragged("more"));
        }
        self.numbers.extend_from_slice(&value.to_ne_bytes());
        self.position = self.position.wrapping_add(1);
        self.next = Next::BehindNumber;
        Ok(())
    }

    fn end_vector(&mut self) -> Result<(), Wrong> {
        if *self.length.get_or_insert(self.position) != self.position {
            return Err(self.ragged("fewer"));
        }
        self.whole = self.whole.wrapping_add(1);
        self.position = 0;
        self.next = Next::BehindVector;
        Ok(())
    }

    /// Keep the beginning of a number.
    #[cold]
    fn keep(&mut self, text: &[u8]) -> Result<(), Wrong> {
        if self.cut.len().saturating_add(text.len()) > MAX_NUMBER {
            return Err(self.refuse(Token::TooLong));
        }
        self.cut.extend_from_slice(text);
        Ok(())
    }

    /// Read the number whose beginning was kept and that goes on with `chunk`; give what is left of it.
    #[cold]
    fn join<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], Wrong> {
        let end = chunk
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        let (more, rest) = chunk.split_at_checked(end.unwrap_or(chunk.len())).unwrap_or_default();
        self.keep(more)?;
        let Some(end) = rest.first() else {
            return Ok(rest);
        };
        let length = self.cut.len();
        self.cut.push(*end);
        self.settle(length)?;
        Ok(rest)
    }

    /// Read the number that was kept, which has `length` bytes, and maybe one more behind it.
    #[cold]
    fn settle(&mut self, length: usize) -> Result<(), Wrong> {
        let (value, found) = match float32::number(&self.cut) {
            Token::Number(value, found) => (value, found),
            Token::Cut => return Err(self.cut_off()),
            other => return Err(self.refuse(other)),
        };
        self.put(value)?;
        if let Some(behind) = self.cut.get(found..length).and_then(<[u8]>::first) {
            return Err(self.unexpected(*behind)); // such as the second point of 1.5.2
        }
        self.cut.clear();
        Ok(())
    }

    #[cold]
    fn ragged(&self, how: &str) -> Wrong {
        let (key, vector, length) = (&self.key, self.whole, self.length.unwrap_or(0));
        Wrong::new(format!(
            "{key}[{vector}]: it has {how} numbers than {key}[0], which has {length}"
        ))
    }

    #[cold]
    fn refuse(&self, token: Token) -> Wrong {
        self.wrong(match token {
            Token::TooLarge => "it is beyond float32",
            Token::TooLong => "it has too many digits",
            _ => "it is no number as JSON writes them",
        })
    }

    #[cold]
    fn unexpected(&self, byte: u8) -> Wrong {
        if (self.next, byte, self.position) == (Next::Number, b']', 0) {
            return Wrong::new(format!("{}[{}]: it is empty", self.key, self.whole));
        }
        let found = match byte {
            b'n' => "null".to_owned(),
            b't' => "true".to_owned(),
            b'f' => "false".to_owned(),
            b'"' => "a string".to_owned(),
            b'{' => "an object".to_owned(),
            b'[' => "an array".to_owned(),
            _ => format!("'{}'", byte.escape_ascii()),
        };
        self.wrong(&match (self.next, byte) {
            (Next::BehindNumber | Next::BehindVector, _) => format!("{found} follows where ',' or ']' must"),
            (Next::Number, _) => format!("it is {found}, not a number"),
            _ => format!("it is {found}, not a vector"),
        })
    }

    #[cold]
    fn cut_off(&self) -> Wrong {
        Wrong {
            is_cut_off: true,
            ..self.wrong(CUT_OFF)
        }
    }

    /// Say what is wrong with the number or vector that was read last, or comes next.
    #[cold]
    fn wrong(&self, what: &str) -> Wrong {
        let (key, vector) = (&self.key, self.whole);
        Wrong::new(match self.next {
            Next::Number => format!("{key}[{vector}][{}]: {what}", self.position),
            Next::BehindNumber => format!("{key}[{vector}][{}]: {what}", self.position.saturating_sub(1)),
            Next::BehindVector => format!("{key}[{}]: {what}", vector.saturating_sub(1)),
            _ => format!("{key}[{vector}]: {what}"),
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;

    type Found = Result<(String, Vec<f32>, usize, usize), String>;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Found {
        let mut vectors = Vectors::new("v");
        for chunk in chunks {
            vectors.feed(chunk).map_err(|wrong| wrong.to_string())?;
        }
        let found = vectors.close().map_err(|wrong| wrong.to_string())?;
        let numbers = found
            .numbers
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_ne_bytes(*bytes))
            .collect();
        let rest = String::from_utf8(found.rest.to_vec()).unwrap();
        Ok((rest, numbers, found.vectors, found.length))
    }

    const WIRE: &[u8] =
        b"{\"a\":[1,{\"v\":[2]}],\r\n\"v\" : [ [1,-0.25e1 ,3e-3], [\t4,5 , 6.0]\n] ,\"b\":\"\\\"v\\\":[[7]]\"} ";

    #[allow(clippy::unnecessary_wraps, reason = "to be compared")]
    fn expected() -> Found {
        let rest = "{\"a\":[1,{\"v\":[2]}],\r\n\"v\" : [] ,\"b\":\"\\\"v\\\":[[7]]\"} ";
        Ok((rest.to_owned(), vec![1.0, -2.5, 0.003, 4.0, 5.0, 6.0], 2, 3))
    }

    #[test]
    fn every_two_cuts_give_the_same_vectors() {
        for first in 0..=WIRE.len() {
            for second in first..=WIRE.len() {
                assert_eq!(
                    decode([&WIRE[..first], &WIRE[first..second], &WIRE[second..]]),
                    expected()
                );
            }
        }
    }

    #[test]
    fn byte_by_byte_gives_the_same_vectors() {
        assert_eq!(decode(WIRE.chunks(1)), expected());
    }

    #[test]
    fn every_truncation_ends_in_the_vectors_or_is_left_to_others() {
        let begin = WIRE.windows(2).position(|two| two == b"[ ").unwrap();
        let end = WIRE.windows(3).position(|three| three == b"]\n]").unwrap() + 2;
        for cut in 0..WIRE.len() {
            let found = decode([&WIRE[..cut]]);
            assert_eq!(found.is_err(), (begin + 1..=end).contains(&cut), "{cut}: {found:?}");
        }
    }

    #[test]
    fn no_vectors_are_no_vectors() {
        for rest in [
            "{\"v\":[]}",
            "{}",
            "",
            "[[1]]",
            "{\"v\":null}",
            "{\"v\":\"[[1]]\"}",
            "not JSON",
        ] {
            assert_eq!(decode([rest.as_bytes()]), Ok((rest.to_owned(), vec![], 0, 0)));
        }
        assert_eq!(
            decode([&b"{\"v\": [ \n ]}"[..]]),
            Ok(("{\"v\": []}".to_owned(), vec![], 0, 0))
        );
    }

    #[test]
    fn what_is_wrong_is_said_wherever_it_is_cut() {
        for (text, wrong) in [
            ("[[1,2],[3]]", "v[1]: it has fewer numbers than v[0], which has 2"),
            ("[[1],[2],[3,4]]", "v[2]: it has more numbers than v[0], which has 1"),
            ("[[1,2],[]]", "v[1]: it is empty"),
            ("[[]]", "v[0]: it is empty"),
            ("[1]", "v[0]: it is '1', not a vector"),
            ("[[1],null]", "v[1]: it is null, not a vector"),
            ("[{}]", "v[0]: it is an object, not a vector"),
            ("[[1],]", "v[1]: it is ']', not a vector"),
            ("[[1,null]]", "v[0][1]: it is null, not a number"),
            ("[[true]]", "v[0][0]: it is true, not a number"),
            ("[[false]]", "v[0][0]: it is false, not a number"),
            ("[[1],[\"2\"]]", "v[1][0]: it is a string, not a number"),
            ("[[[1]]]", "v[0][0]: it is an array, not a number"),
            ("[[{}]]", "v[0][0]: it is an object, not a number"),
            ("[[1,]]", "v[0][1]: it is ']', not a number"),
            ("[[,1]]", "v[0][0]: it is ',', not a number"),
            ("[[NaN]]", "v[0][0]: it is 'N', not a number"),
            ("[[+1]]", "v[0][0]: it is '+', not a number"),
            ("[[.5]]", "v[0][0]: it is '.', not a number"),
            ("[[01]]", "v[0][0]: it is no number as JSON writes them"),
            ("[[1,-]]", "v[0][1]: it is no number as JSON writes them"),
            ("[[1.]]", "v[0][0]: it is no number as JSON writes them"),
            ("[[1e]]", "v[0][0]: it is no number as JSON writes them"),
            ("[[-Infinity]]", "v[0][0]: it is no number as JSON writes them"),
            ("[[1,1e39]]", "v[0][1]: it is beyond float32"),
            ("[[1 2]]", "v[0][0]: '2' follows where ',' or ']' must"),
            ("[[1x]]", "v[0][0]: 'x' follows where ',' or ']' must"),
            ("[[1.5.2]]", "v[0][0]: '.' follows where ',' or ']' must"),
            ("[[1-2]]", "v[0][0]: '-' follows where ',' or ']' must"),
            ("[[1-", "v[0][0]: '-' follows where ',' or ']' must"),
            ("[[00", "v[0][0]: it is no number as JSON writes them"),
            ("[[1}]", "v[0][0]: '}' follows where ',' or ']' must"),
            ("[[1][2]]", "v[0]: an array follows where ',' or ']' must"),
            ("[[1]}", "v[0]: '}' follows where ',' or ']' must"),
            ("[[1],[2]]", "the key \"v\" is there twice"),
            ("[[1],[2", "v[1][0]: the bytes end before it does"),
            ("[[1],[2,", "v[1][1]: the bytes end before it does"),
            ("[[1],", "v[1]: the bytes end before it does"),
        ] {
            let whole = format!("{{\"v\":{text}{}", if text == "[[1],[2]]" { ",\"v\":0}" } else { "" });
            assert_eq!(decode([whole.as_bytes()]), Err(wrong.to_owned()), "{text}");
            assert_eq!(decode(whole.as_bytes().chunks(1)), Err(wrong.to_owned()), "{text}");
            let mut vectors = Vectors::new("v");
            if vectors.feed(whole.as_bytes()).is_err() {
                assert_eq!(vectors.feed(b" ").unwrap_err().to_string(), wrong);
                assert_eq!(vectors.close().unwrap_err().to_string(), wrong);
            }
            assert_eq!(
                vectors.close().unwrap_err().is_cut_off(),
                wrong.ends_with(CUT_OFF),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_is_endless() {
        let wrong = |text: &[u8]| {
            let mut vectors = Vectors::new("v");
            text.chunks(1000)
                .find_map(|chunk| vectors.feed(chunk).err())
                .unwrap()
                .to_string()
        };
        let digits = [&b"{\"v\":[[1"[..], &vec![b'0'; MAX_NUMBER]].concat();
        assert_eq!(wrong(&digits), "v[0][0]: it has too many digits");
        let around = [&b"{\"a\":\""[..], &vec![b'x'; MAX_REST]].concat();
        assert_eq!(wrong(&around), "the body has more than 16777216 bytes beside \"v\"");
    }

    #[test]
    fn numbers_are_given_once_and_not_kept() {
        let mut vectors = Vectors::new("v");
        vectors.feed(b"{\"v\":[[1,2]]}").unwrap();
        assert_eq!(vectors.close().unwrap().numbers.len(), 8);
        assert_eq!(vectors.numbers.capacity(), 0);
        let closed = "the decoder is closed, and its numbers were given";
        assert_eq!(vectors.close().unwrap_err().to_string(), closed);
        assert_eq!(vectors.feed(b" ").unwrap_err().to_string(), closed);
    }

    #[test]
    fn white_space_between_numbers_is_not_kept() {
        let mut vectors = Vectors::new("v");
        vectors.feed(b"{\"v\":[[1,").unwrap();
        for _ in 0..1000 {
            vectors.feed(&[b' '; 1000]).unwrap();
        }
        vectors.feed(b"2]]}").unwrap();
        assert_eq!(vectors.close().unwrap().rest, b"{\"v\":[]}");
        assert!(vectors.cut.capacity() + vectors.envelope.kept().len() + vectors.numbers.capacity() < 100);
    }
}
