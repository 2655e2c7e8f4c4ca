//! The head of a response: status, headers, and what they say about the body.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::ProtocolError;
use super::body::Body;

/// How many headers are looked for first; few responses have more, and room for all of them would be 24 KiB.
const USUAL_HEADERS: usize = 32;
const MAX_HEADERS: usize = 1024;

/// What is wrong with what begins like nothing that is a response.
pub(super) const NO_RESPONSE: &str = "its first line is not the one of a response";

/// The head of a response, as bytes and where in them everything is.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    reason: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    bytes: Vec<u8>,
}

/// A parsed head with what follows from it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) head: Head,
    pub(super) body: Body,
    pub(super) keep_alive: bool,
}

/// What the headers say about the body and the connection.
#[derive(Default)]
struct Framing {
    chunked: bool,
    length: Option<u64>,
    close: bool,
    keep_alive: bool,
}

/// Where the head ends in `bytes`: behind its empty line. `from` is how far it was looked for in vain.
pub fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memchr(b'\n', bytes.get(at..)?) {
        let next = at.saturating_add(found).saturating_add(1);
        match bytes.get(next..)? {
            [b'\n', ..] => return Some(next.saturating_add(1)),
            [b'\r', b'\n', ..] => return Some(next.saturating_add(2)),
            _ => at = next,
        }
    }
    None
}

/// Whether bytes may become a head, behind one line break at most. Who speaks another protocol may never say as much as a
/// line, and need not be waited for.
pub fn may_begin(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.";
    let blank = bytes.iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    bytes
        .iter()
        .skip(blank.count())
        .zip(BEGIN)
        .all(|(byte, wanted)| byte == wanted)
}

impl Head {
    /// Parse the bytes of one whole head; `no_body` says that the request was a HEAD.
    ///
    /// Gives `None` for an interim response, which the real head follows.
    pub(super) fn parse(bytes: Vec<u8>, no_body: bool) -> Result<Option<Parsed>, ProtocolError> {
        let mut room = [httparse::EMPTY_HEADER; USUAL_HEADERS];
        match Self::parse_into(&bytes, &mut room) {
            Err(httparse::Error::TooManyHeaders) => {
                let mut room = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
                let found = Self::parse_into(&bytes, &mut room).map_err(|error| ProtocolError::Head(words(error)))?;
                found.finish(bytes, no_body)
            }
            Err(error) => Err(ProtocolError::Head(words(error))),
            Ok(found) => found.finish(bytes, no_body),
        }
    }

    fn parse_into<'b>(bytes: &'b [u8], room: &mut [httparse::Header<'b>]) -> Result<Self, httparse::Error> {
        let mut response = httparse::Response::new(room);
        let mut config = httparse::ParserConfig::default();
        config.allow_obsolete_multiline_headers_in_responses(true);
        if config.parse_response(&mut response, bytes)?.is_partial() {
            return Err(httparse::Error::Status);
        }
        let place = |part: &[u8]| {
            let start = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            if part.is_empty() {
                0..0
            } else {
                start..start.saturating_add(part.len())
            }
        };
        Ok(Self {
            status: response.code.unwrap_or_default(),
            minor_version: response.version.unwrap_or_default(),
            reason: reason(bytes),
            headers: response
                .headers
                .iter()
                .map(|header| (place(header.name.as_bytes()), place(header.value)))
                .collect(),
            bytes: Vec::new(),
        })
    }

    fn finish(mut self, bytes: Vec<u8>, no_body: bool) -> Result<Option<Parsed>, ProtocolError> {
        self.bytes = bytes;
        match self.status {
            101 => return Err(ProtocolError::Head("it changes a protocol that nobody asked to change")),
            100..=199 => return Ok(None),
            200..=999 => {}
            _ => return Err(ProtocolError::Head("its status is not one that a response has")),
        }
        let framing = self.framing()?;
        let body = if no_body || matches!(self.status, 204 | 304) {
            Body::None
        } else if framing.chunked {
            Body::chunked()
        } else if let Some(length) = framing.length {
            Body::Length(length)
        } else {
            Body::UntilClose
        };
        let alive = if self.minor_version == 0 {
            framing.keep_alive
        } else {
            !framing.close
        };
        // Both framings at once are how responses are smuggled: this one is read, but nothing after it.
        let keep_alive = alive && body != Body::UntilClose && !(framing.chunked && framing.length.is_some());
        Ok(Some(Parsed {
            head: self,
            body,
            keep_alive,
        }))
    }

    fn framing(&self) -> Result<Framing, ProtocolError> {
        let mut found = Framing::default();
        for (name, value) in self.headers() {
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if found.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(ProtocolError::Head("its transfer-encoding is not \"chunked\""));
                }
                found.chunked = true;
            } else if name.eq_ignore_ascii_case(b"content-length") {
                // "5, 5" and two equal headers are allowed; numbers that differ are not.
                for text in value.split(|byte| *byte == b',') {
                    let length = number(text.trim_ascii())
                        .ok_or(ProtocolError::Head("its content-length is not a number of bytes"))?;
                    if found.length.is_some_and(|other| other != length) {
                        return Err(ProtocolError::Head("it has more than one content-length"));
                    }
                    found.length = Some(length);
                }
            } else if name.eq_ignore_ascii_case(b"connection") {
                for token in value.split(|byte| *byte == b',') {
                    found.close |= token.trim_ascii().eq_ignore_ascii_case(b"close");
                    found.keep_alive |= token.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        found.keep_alive &= !found.close;
        Ok(found)
    }

    /// The reason phrase, as it came.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.bytes.get(self.reason.clone()).unwrap_or_default()
    }

    /// Names and values of the headers; a value that was folded over lines is unfolded.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
        self.headers.iter().map(|(name, value)| {
            let value = self.bytes.get(value.clone()).unwrap_or_default();
            (self.bytes.get(name.clone()).unwrap_or_default(), unfolded(value))
        })
    }
}

/// Where the reason phrase is: behind the status, whatever bytes it is made of.
fn reason(bytes: &[u8]) -> Range<usize> {
    const STATUS: usize = "HTTP/1.1 200 ".len();
    let start = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = bytes.get(start..).unwrap_or_default();
    let end = memchr(b'\n', line).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or_default().trim_ascii_end();
    let end = start.saturating_add(line.len());
    start.saturating_add(STATUS).min(end)..end
}

fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    Cow::Owned(lines.join(&b' '))
}

/// The number that a content-length gives: digits and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
}

fn words(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "the name of a header holds what no name may hold",
        httparse::Error::HeaderValue => "the value of a header holds what no value may hold",
        httparse::Error::NewLine => "a line does not end with a line break",
        httparse::Error::TooManyHeaders => "it has more than 1024 headers",
        httparse::Error::Version => "it is not HTTP/1.0 or HTTP/1.1",
        httparse::Error::Status | httparse::Error::Token => NO_RESPONSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, no_body: bool) -> Result<Option<Parsed>, ProtocolError> {
        assert_eq!(end(text.as_bytes(), 0), Some(text.len()));
        Head::parse(text.into(), no_body)
    }

    fn body(fields: &str) -> Result<(Body, bool), ProtocolError> {
        parse(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false)
            .map(|parsed| parsed.map(|it| (it.body, it.keep_alive)).unwrap())
    }

    #[test]
    fn everything_is_where_it_was() {
        let parsed = parse(
            "HTTP/1.1 404 Not Found\r\nA: b\r\nEmpty:\r\nFolded: one,\r\n  two\r\n\r\n",
            false,
        );
        let head = parsed.unwrap().unwrap().head;
        assert_eq!(
            (head.status, head.minor_version, head.reason()),
            (404, 1, &b"Not Found"[..])
        );
        let headers: Vec<_> = head
            .headers()
            .map(|(name, value)| (name.to_vec(), value.into_owned()))
            .collect();
        let expected = [("A", "b"), ("Empty", ""), ("Folded", "one, two")];
        assert_eq!(headers, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn a_reason_is_whatever_stands_behind_the_status() {
        for (line, reason) in [
            ("HTTP/1.1 200 OK", "OK"),
            ("HTTP/1.1 404 Nicht gefunden\u{e9}", "Nicht gefunden\u{e9}"),
            ("HTTP/1.1 200 ", ""),
            ("HTTP/1.1 200", ""),
        ] {
            let parsed = parse(&format!("{line}\r\n\r\n"), false).unwrap().unwrap();
            assert_eq!(parsed.head.reason(), reason.as_bytes(), "{line}");
        }
    }

    #[test]
    fn the_headers_say_how_the_body_ends() {
        assert_eq!(body("Content-Length: 5\r\n"), Ok((Body::Length(5), true)));
        assert_eq!(
            body("Content-Length: 5\r\nConnection: Keep-Alive, Close\r\n"),
            Ok((Body::Length(5), false))
        );
        assert_eq!(
            body("Content-Length: 5, 5\r\nContent-Length: 5\r\n"),
            Ok((Body::Length(5), true))
        );
        assert_eq!(body("Transfer-Encoding: Chunked\r\n"), Ok((Body::chunked(), true)));
        assert_eq!(
            body("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            Ok((Body::chunked(), false))
        );
        assert_eq!(body(""), Ok((Body::UntilClose, false)));
    }

    #[test]
    fn some_responses_have_no_body() {
        for (status, no_body) in [(200, true), (204, false), (304, false)] {
            let text = format!("HTTP/1.1 {status} OK\r\nContent-Length: 5\r\n\r\n");
            let parsed = parse(&text, no_body).unwrap().unwrap();
            assert_eq!((parsed.body, parsed.keep_alive), (Body::None, true));
        }
    }

    #[test]
    fn http_1_0_closes_unless_it_says_otherwise() {
        for (line, keep_alive) in [("", false), ("Connection: keep-alive\r\n", true)] {
            let parsed = parse(&format!("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n{line}\r\n"), false);
            assert_eq!(parsed.unwrap().unwrap().keep_alive, keep_alive);
        }
    }

    #[test]
    fn interim_responses_are_passed_over() {
        assert!(parse("HTTP/1.1 100 Continue\r\n\r\n", false).unwrap().is_none());
        assert!(
            parse("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", false)
                .unwrap()
                .is_none()
        );
        assert!(parse("HTTP/1.1 101 Switching Protocols\r\n\r\n", false).is_err());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for fields in [
            "Content-Length: -5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: five\r\n",
            "Content-Length:\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "no colon\r\n",
            "na me: x\r\n",
            "a: \u{0}\r\n",
        ] {
            assert!(body(fields).is_err(), "{fields}");
        }
        for text in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "hello\r\n\r\n",
            "\r\n\r\n\r\n",
        ] {
            assert!(Head::parse(text.into(), false).is_err(), "{text}");
        }
    }

    #[test]
    fn many_headers_are_read_and_too_many_refused() {
        let of = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert_eq!(parse(&of(1024), false).unwrap().unwrap().head.headers().count(), 1024);
        assert!(parse(&of(1025), false).is_err());
    }
}
