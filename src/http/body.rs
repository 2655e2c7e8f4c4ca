//! How the body of a response is framed, and what of the bytes behind the head belongs to it.
#![deny(clippy::arithmetic_side_effects)]

use super::ProtocolError;
use super::request::is_token_byte;
use crate::sizes::TooLarge;

/// What of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing: there is none, or all of it came.
    None,
    /// This many bytes.
    Length(u64),
    /// Whatever comes until the connection is closed.
    UntilClose,
    /// The number of bytes in a chunk, of which this much was read.
    ChunkSize { size: u64, digits: u8 },
    /// The rest of the line with a chunk's size.
    ChunkExtension {
        size: u64,
        place: Extension,
        skipped: usize,
    },
    /// This many bytes of a chunk.
    ChunkData(u64),
    /// The line break behind a chunk's bytes.
    ChunkEnd { seen_return: bool },
    /// Header lines behind the last chunk.
    Trailer { place: Trailer, skipped: usize },
}

/// A place behind the size of a chunk. Where others see the end of this line, it must end here, too: so it ends with a
/// whole line break, and neither half of one is in it (RFC 9112 2.2, 7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// White space that may be there.
    Space,
    /// The extension itself, whatever it says.
    Text,
    /// Between the halves of the line break.
    Return,
}

/// A place in the lines behind the last chunk, which are as strict as those of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailer {
    /// The first byte of the first line.
    Begin,
    /// The first byte of another line, which may go on with the one before.
    Line,
    Name,
    Value,
    /// Between the halves of a line break, after a value or in the empty line at the end.
    Return {
        is_last: bool,
    },
}

impl Body {
    /// A chunked body of which nothing came.
    pub const fn chunked() -> Self {
        Self::ChunkSize { size: 0, digits: 0 }
    }

    /// How many bytes of content are still to come, as far as the peer has said it.
    pub const fn announced(&self) -> u64 {
        match *self {
            Self::Length(left) | Self::ChunkData(left) => left,
            _ => 0,
        }
    }

    /// Take what belongs to the body from the front of `data`, append its content to `content`, give the rest.
    ///
    /// The trailer, and the extensions of a chunk, may have `most` bytes.
    pub fn feed<'d>(
        &mut self,
        mut data: &'d [u8],
        content: &mut Vec<u8>,
        most: usize,
    ) -> Result<&'d [u8], ProtocolError> {
        while *self != Self::None
            && let Some((&byte, rest)) = data.split_first()
        {
            data = match *self {
                Self::None => data,
                Self::UntilClose => {
                    content.extend_from_slice(data);
                    &[]
                }
                Self::Length(left) => {
                    let (taken, rest) = at_most(data, left);
                    content.extend_from_slice(taken);
                    *self = match left.saturating_sub(taken.len() as u64) {
                        0 => Self::None,
                        left => Self::Length(left),
                    };
                    rest
                }
                Self::ChunkData(left) => {
                    let (taken, rest) = at_most(data, left);
                    content.extend_from_slice(taken);
                    *self = match left.saturating_sub(taken.len() as u64) {
                        0 => Self::ChunkEnd { seen_return: false },
                        left => Self::ChunkData(left),
                    };
                    rest
                }
                Self::ChunkSize { size, digits } => self.feed_size(data, size, digits)?,
                Self::ChunkExtension { size, place, skipped } => {
                    *self = after_extension(byte, size, place, one_more(skipped, most)?)?;
                    rest
                }
                Self::ChunkEnd { seen_return } => self.feed_end(data, seen_return)?,
                Self::Trailer { place, skipped } => {
                    *self = after_trailer(byte, place, one_more(skipped, most)?)?;
                    rest
                }
            };
        }
        if *self == Self::Length(0) {
            *self = Self::None;
        }
        Ok(data)
    }

    fn feed_size<'d>(&mut self, data: &'d [u8], size: u64, digits: u8) -> Result<&'d [u8], ProtocolError> {
        let Some((&byte, rest)) = data.split_first() else {
            return Ok(data);
        };
        if let Some(digit) = (byte as char).to_digit(16) {
            if digits >= 16 {
                return Err(ProtocolError::Chunk("a chunk is larger than any can be"));
            }
            *self = Self::ChunkSize {
                size: size << 4 | u64::from(digit),
                digits: digits.saturating_add(1),
            };
            return Ok(rest);
        }
        if digits == 0 {
            return Err(ProtocolError::Chunk("the size of a chunk is not a number"));
        }
        *self = Self::ChunkExtension {
            size,
            place: Extension::Space,
            skipped: 0,
        };
        Ok(data)
    }

    fn feed_end<'d>(&mut self, data: &'d [u8], seen_return: bool) -> Result<&'d [u8], ProtocolError> {
        match (seen_return, data) {
            (false, [b'\r', rest @ ..]) => {
                *self = Self::ChunkEnd { seen_return: true };
                Ok(rest)
            }
            (true, [b'\n', rest @ ..]) => {
                *self = Self::chunked();
                Ok(rest)
            }
            _ => Err(ProtocolError::Chunk("there is no line break where a chunk should end")),
        }
    }
}

/// Count a byte of what may have `most`.
fn one_more(skipped: usize, most: usize) -> Result<usize, ProtocolError> {
    if skipped >= most {
        return Err(ProtocolError::TooLarge(TooLarge::Head(most)));
    }
    Ok(skipped.saturating_add(1))
}

/// What comes behind this byte of an extension, or of the line break that ends it.
const fn after_extension(byte: u8, size: u64, place: Extension, skipped: usize) -> Result<Body, ProtocolError> {
    let place = match (place, byte) {
        (Extension::Return, b'\n') if size == 0 => {
            return Ok(Body::Trailer {
                place: Trailer::Begin,
                skipped: 0,
            });
        }
        (Extension::Return, b'\n') => return Ok(Body::ChunkData(size)),
        (Extension::Space | Extension::Text, b'\r') => Extension::Return,
        (Extension::Space, b' ' | b'\t') => Extension::Space,
        (Extension::Space, b';') => Extension::Text,
        (Extension::Text, byte) if is_text(byte) => Extension::Text,
        (Extension::Space, _) => return Err(ProtocolError::Chunk("the size of a chunk is not a number")),
        _ => {
            return Err(ProtocolError::Chunk(
                "the extensions of a chunk hold what none may hold",
            ));
        }
    };
    Ok(Body::ChunkExtension { size, place, skipped })
}

/// What comes behind this byte of a trailer; nothing if it is the last.
fn after_trailer(byte: u8, place: Trailer, skipped: usize) -> Result<Body, ProtocolError> {
    let place = match (place, byte) {
        (Trailer::Begin | Trailer::Line | Trailer::Return { is_last: true }, b'\n') => return Ok(Body::None),
        (Trailer::Begin | Trailer::Line, b'\r') => Trailer::Return { is_last: true },
        (Trailer::Line, b' ' | b'\t') | (Trailer::Name, b':') => Trailer::Value,
        (Trailer::Begin | Trailer::Line | Trailer::Name, byte) if is_token_byte(byte) => Trailer::Name,
        (Trailer::Value, b'\r') => Trailer::Return { is_last: false },
        (Trailer::Value | Trailer::Return { is_last: false }, b'\n') => Trailer::Line,
        (Trailer::Value, byte) if is_text(byte) => Trailer::Value,
        _ => return Err(ProtocolError::Chunk("its trailer holds what no header may hold")),
    };
    Ok(Body::Trailer { place, skipped })
}

/// Whether the value of a header may hold this byte.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn at_most(data: &[u8], count: u64) -> (&[u8], &[u8]) {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    data.split_at_checked(count).unwrap_or((data, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1000;
    const CHUNKED: &[u8] = b"5;x=1\r\nhello\r\n1 \r\n,\r\n06\r\n world\r\n0\r\nT: u\r\n v\n\r\nREST";

    fn fed(mut body: Body, pieces: &[&[u8]]) -> Result<(String, Body, Vec<u8>), ProtocolError> {
        let (mut content, mut rest) = (Vec::new(), Vec::new());
        for piece in pieces {
            rest.extend_from_slice(body.feed(piece, &mut content, MOST)?);
        }
        Ok((String::from_utf8(content).unwrap(), body, rest))
    }

    #[test]
    fn every_two_cuts_give_the_same_content() {
        let expected = ("hello, world".to_owned(), Body::None, b"REST".to_vec());
        for first in 0..=CHUNKED.len() {
            for second in first..=CHUNKED.len() {
                let pieces = [&CHUNKED[..first], &CHUNKED[first..second], &CHUNKED[second..]];
                assert_eq!(fed(Body::chunked(), &pieces).unwrap(), expected);
            }
        }
        let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(fed(Body::chunked(), &bytes).unwrap(), expected);
    }

    #[test]
    fn every_truncation_is_unfinished() {
        for end in 0..CHUNKED.len() - 4 {
            let (content, body, _) = fed(Body::chunked(), &[&CHUNKED[..end]]).unwrap();
            assert!("hello, world".starts_with(&content));
            assert_ne!(body, Body::None, "{end}");
        }
    }

    #[test]
    fn a_length_counts() {
        assert_eq!(
            fed(Body::Length(3), &[b"ab", b"cd"]).unwrap(),
            ("abc".into(), Body::None, b"d".to_vec())
        );
        assert_eq!(fed(Body::Length(0), &[b""]).unwrap().1, Body::None);
        assert_eq!(
            fed(Body::UntilClose, &[b"ab", b"cd"]).unwrap(),
            ("abcd".into(), Body::UntilClose, vec![])
        );
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for wire in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            ";\r\n",
            "1\r\nab",
            "1\r\na\r\r\n",
            "1\r\na\rb",
            "1x\r\n",
            "1 x\r\na\r\n",
            "1\na\r\n",
            "1;x\na\r\n",
            "1;x\ry\r\na\r\n",
            "1;\0\r\na\r\n",
            "1\r\r\na\r\n",
            "1\r\na\n",
            "2\r\na\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nT : u\r\n\r\n",
            "0\r\n T: u\r\n\r\n",
            "0\r\nT: \0\r\n\r\n",
            "0\r\nT: u\rv\r\n\r\n",
            "0\r\n\r\r\n",
        ] {
            assert!(fed(Body::chunked(), &[wire.as_bytes()]).is_err(), "{wire}");
        }
        assert!(fed(Body::chunked(), &[b"ffffffffffffffff\r\n"]).is_ok());
        assert!(fed(Body::chunked(), &[b"0ffffffffffffffff\r\n"]).is_err());
    }

    #[test]
    fn what_does_not_end_is_refused() {
        let too_large = Err(ProtocolError::TooLarge(TooLarge::Head(MOST)));
        let extension = [&b"1;"[..], &vec![b'x'; MOST]].concat();
        assert_eq!(fed(Body::chunked(), &[&extension]), too_large);
        assert!(fed(Body::chunked(), &[&extension[..MOST]]).is_ok());
        let lines = [&b"0\r\n"[..], &b"a: b\r\n".repeat(MOST / 6 + 1)].concat();
        assert_eq!(fed(Body::chunked(), &[&lines]), too_large);
        assert!(fed(Body::chunked(), &[&lines[..MOST]]).is_ok());
    }

    #[test]
    fn what_is_announced_is_known() {
        for (body, announced) in [
            (Body::Length(7), 7),
            (Body::ChunkData(5), 5),
            (Body::UntilClose, 0),
            (Body::chunked(), 0),
        ] {
            assert_eq!(body.announced(), announced);
        }
    }
}
