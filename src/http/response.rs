//! One response: bytes as they arrive to a head and the content of a body.

use std::mem;
use std::sync::Arc;

use super::ProtocolError;
use super::body::Body;
use super::head::{self, Head};
use crate::sizes::{MAX_HEAD, TooLarge};

/// How many bytes are taken at a time while the end of a head is looked for.
const HEAD_PIECE: usize = 4096;

/// An incremental parser of one response.
///
/// [`feed`](Response::feed) it what arrives and [`close`](Response::close) it when nothing more can; then look.
#[derive(Debug)]
pub struct Response {
    /// The bytes of a head that is not whole.
    unparsed: Vec<u8>,
    /// How many bytes the heads of interim responses had, and how many all heads may have.
    passed_over: usize,
    max_head: usize,
    head: Option<Arc<Head>>,
    body: Body,
    error: Option<ProtocolError>,
    no_body: bool,
    keep_alive: bool,
    began: bool,
}

impl Response {
    /// Expect a response; `no_body` says that the request is a HEAD.
    #[must_use]
    pub const fn new(no_body: bool) -> Self {
        Self {
            unparsed: Vec::new(),
            passed_over: 0,
            max_head: MAX_HEAD,
            head: None,
            body: Body::None,
            error: None,
            no_body,
            keep_alive: false,
            began: false,
        }
    }

    /// Let heads have `most` bytes, and the trailer and what is between chunks, too.
    #[must_use]
    pub fn with_max_head(self, most: usize) -> Self {
        Self { max_head: most, ..self }
    }

    /// Take bytes from the wire, and append what they hold of the body's content to `content`.
    pub fn feed(&mut self, data: &[u8], content: &mut Vec<u8>) {
        self.began |= !data.is_empty();
        if self.error.is_none()
            && let Err(error) = self.advance(data, content)
        {
            self.fail(error);
        }
    }

    /// Say that the connection ended.
    pub fn close(&mut self) {
        self.keep_alive = false;
        match self.body {
            _ if self.error.is_some() => {}
            _ if self.head.is_none() && self.began => self.fail(ProtocolError::Truncated),
            _ if self.head.is_none() => self.fail(ProtocolError::NoHead),
            Body::UntilClose | Body::None => self.body = Body::None,
            _ => self.fail(ProtocolError::Truncated),
        }
    }

    fn fail(&mut self, error: ProtocolError) {
        self.keep_alive = false;
        self.error = Some(error);
    }

    fn advance(&mut self, mut data: &[u8], content: &mut Vec<u8>) -> Result<(), ProtocolError> {
        while self.head.is_none() {
            // No more at a time, since of many interim responses each would copy all that is behind it.
            let (piece, rest) = data.split_at(data.len().min(HEAD_PIECE));
            let before = self.unparsed.len();
            self.unparsed.extend_from_slice(piece);
            if !head::may_begin(&self.unparsed) {
                return Err(ProtocolError::Head(head::NO_RESPONSE)); // first of all, so that no cut makes a difference
            }
            // The bytes before may be the beginning of the head's end.
            let found = head::end(&self.unparsed, before.saturating_sub(3));
            let length = found.unwrap_or(self.unparsed.len());
            if self.passed_over.saturating_add(length) > self.max_head {
                return Err(ProtocolError::TooLarge(TooLarge::Head(self.max_head)));
            }
            let Some(end) = found else {
                if rest.is_empty() {
                    return Ok(());
                }
                data = rest;
                continue;
            };
            data = data.get(end.saturating_sub(before)..).unwrap_or_default();
            self.unparsed.truncate(end);
            self.unparsed.shrink_to_fit(); // it stays as long as the response, without the beginning of the body
            if let Some(parsed) = Head::parse(mem::take(&mut self.unparsed), self.no_body)? {
                self.head = Some(Arc::new(parsed.head));
                self.body = parsed.body;
                self.keep_alive = parsed.keep_alive;
            } else {
                self.passed_over = self.passed_over.saturating_add(end);
                if data.is_empty() {
                    return Ok(());
                }
            }
        }
        let rest = self.body.feed(data, content, self.max_head)?;
        if !rest.is_empty() {
            self.keep_alive = false; // more than was asked for: nothing on this connection can be believed
        }
        Ok(())
    }

    /// The head, once it is whole.
    #[must_use]
    pub const fn head(&self) -> Option<&Arc<Head>> {
        self.head.as_ref()
    }

    /// What is wrong with the response.
    #[must_use]
    pub const fn error(&self) -> Option<ProtocolError> {
        self.error
    }

    /// How many bytes of the body are still to come, as far as the peer has said it.
    #[must_use]
    pub const fn announced(&self) -> u64 {
        self.body.announced()
    }

    /// Whether any byte of it came.
    #[must_use]
    pub const fn began(&self) -> bool {
        self.began
    }

    /// Whether all of it came.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.head.is_some() && self.body == Body::None && self.error.is_none()
    }

    /// Whether nothing more will come: it is complete or broken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.error.is_some() || self.is_complete()
    }

    /// Whether its connection can be used for another request: it is complete, and nothing speaks against it.
    #[must_use]
    pub fn leaves_connection(&self) -> bool {
        self.keep_alive && self.is_complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n\
        4;x=1\r\none\n\r\n1\r\nt\r\n3\r\nwo\n\r\n0\r\nT: u\r\n\r\n";

    fn read(pieces: &[&[u8]]) -> (Response, String) {
        let (mut response, mut content) = (Response::new(false), Vec::new());
        for piece in pieces {
            response.feed(piece, &mut content);
        }
        (response, String::from_utf8(content).unwrap())
    }

    #[test]
    fn every_two_cuts_give_the_same_response() {
        for first in 0..=WIRE.len() {
            for second in first..=WIRE.len() {
                let (response, content) = read(&[&WIRE[..first], &WIRE[first..second], &WIRE[second..]]);
                assert_eq!(content, "one\ntwo\n");
                assert_eq!(response.head().unwrap().status, 200);
                assert!(response.is_complete() && response.leaves_connection());
            }
        }
        let bytes: Vec<&[u8]> = WIRE.chunks(1).collect();
        assert!(read(&bytes).0.leaves_connection());
    }

    #[test]
    fn every_truncation_is_an_error_after_what_came() {
        for end in 0..WIRE.len() {
            let (mut response, content) = read(&[&WIRE[..end]]);
            assert!(!response.is_over(), "{end}");
            response.close();
            let expected = if end == 0 {
                ProtocolError::NoHead
            } else {
                ProtocolError::Truncated
            };
            assert_eq!(response.error(), Some(expected), "{end}");
            assert!("one\ntwo\n".starts_with(&content) && !response.leaves_connection());
        }
    }

    #[test]
    fn what_can_be_no_response_is_not_waited_for() {
        for wire in [
            "\x15\x03\x01",
            "SSH-2.0-x\r\n",
            "\r\n HTTP/1.1",
            "\r\n\r",
            "http/1.1",
            "HTTP/2",
            "HTTPS",
        ] {
            assert_eq!(
                read(&[wire.as_bytes()]).0.error(),
                Some(ProtocolError::Head(head::NO_RESPONSE)),
                "{wire}"
            );
        }
        let (whole, cut) = (b"HTTP/2.0 200 OK\r\n\r\n", [&b"HTTP/2"[..], b".0 200 OK\r\n\r\n"]);
        assert_eq!(read(&[whole]).0.error(), read(&cut).0.error());
        for wire in ["", "\r\n", "\r\nHT", "HTTP/1.", "HTTP/1.1 2"] {
            assert_eq!(read(&[wire.as_bytes()]).0.error(), None, "{wire}");
        }
    }

    #[test]
    fn a_body_may_end_with_the_connection() {
        let (mut response, content) = read(&[b"HTTP/1.0 200 OK\r\n\r\nab", b"c"]);
        assert!(content == "abc" && !response.is_over());
        response.close();
        assert!(response.is_complete() && !response.leaves_connection());
    }

    #[test]
    fn a_second_response_spoils_the_connection() {
        let one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (response, content) = read(&[one, one]);
        assert!(content == "ok" && response.is_complete() && !response.leaves_connection());
    }

    #[test]
    fn no_body_is_complete_at_once() {
        for wire in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            assert!(read(&[wire.as_bytes()]).0.leaves_connection(), "{wire}");
        }
        let mut response = Response::new(true);
        response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &mut Vec::new());
        assert!(response.leaves_connection());
    }

    #[test]
    fn interim_responses_without_end_are_refused() {
        let (mut response, mut content) = (Response::new(false), Vec::new());
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 25 - 1);
        response.feed(&many, &mut content);
        assert_eq!(response.error(), None);
        response.feed(&many, &mut content);
        assert!(response.error().is_some() && content.is_empty());
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let (mut response, mut content) = (Response::new(false), Vec::new());
        response.feed(b"HTTP/1.1 200 OK\r\n", &mut content);
        let mut fed = 0;
        while response.error().is_none() {
            response.feed(&b"a: b\r\n".repeat(100), &mut content);
            fed += 600;
            assert!(fed < MAX_HEAD + 1000);
        }
        assert!(fed > MAX_HEAD - 1000);
        let too_large = ProtocolError::TooLarge(TooLarge::Head(MAX_HEAD));
        assert_eq!(response.error(), Some(too_large));
    }

    #[test]
    fn how_long_a_head_may_be_is_settable() {
        for (most, refused) in [(37, true), (38, false)] {
            let (mut response, mut content) = (Response::new(false).with_max_head(most), Vec::new());
            response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &mut content);
            assert_eq!(response.error().is_some(), refused, "{most}");
        }
    }
}
