//! The head of a request, as bytes.

use memchr::memchr3;

use super::head::number;

/// Why a head cannot be sent. What it holds is not shown: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Illegal {
    /// The method is no token.
    Method,
    /// The target holds a blank or a control character.
    Target,
    /// The name of a header is no token.
    Name,
    /// The value of a header holds a line break or a NUL.
    Value,
    /// The headers do not say clearly how the body is framed.
    Framing,
    /// There is no Host, or more than one.
    Host,
    /// The body has more or fewer bytes than its content-length says.
    Length,
}

impl Illegal {
    /// Say why, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Method => "the method of the request is not a token",
            Self::Target => "the target of the request holds a blank or a control character",
            Self::Name => "the name of a header holds what no name may hold",
            Self::Value => "the value of a header holds a line break or a NUL",
            Self::Framing => "the headers do not say clearly how long the body is",
            Self::Host => "a request has one Host header",
            Self::Length => "the body is longer or shorter than its content-length",
        }
    }
}

/// How the body of a request is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By the number of bytes that are still to be sent; 0 is no body at all.
    Length(u64),
    /// Piece by piece.
    Chunked,
}

impl Framing {
    /// The bytes to send around a piece of the body that has this many bytes.
    ///
    /// # Errors
    ///
    /// If the body is longer than was said.
    pub fn around(&mut self, count: usize) -> Result<(Vec<u8>, &'static [u8]), Illegal> {
        match self {
            Self::Chunked => Ok((format!("{count:x}\r\n").into_bytes(), b"\r\n")),
            Self::Length(left) => {
                *left = left.checked_sub(count as u64).ok_or(Illegal::Length)?;
                Ok((Vec::new(), b""))
            }
        }
    }

    /// The bytes that end the body.
    ///
    /// # Errors
    ///
    /// If the body is shorter than was said.
    pub const fn end(self) -> Result<&'static [u8], Illegal> {
        match self {
            Self::Chunked => Ok(b"0\r\n\r\n"),
            Self::Length(0) => Ok(b""),
            Self::Length(_) => Err(Illegal::Length),
        }
    }
}

/// What the headers of a request say about its body and its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
}

/// Read what the headers say.
///
/// # Errors
///
/// If they can be understood in two ways, which is how requests are smuggled.
pub fn said<'h>(headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>) -> Result<Said, Illegal> {
    let (mut chunked, mut length, mut keep_alive, mut hosts) = (false, None, true, 0_u8);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Illegal::Framing);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            for text in value.split(|byte| *byte == b',') {
                let found = number(text.trim_ascii()).ok_or(Illegal::Framing)?;
                if length.replace(found).is_some_and(|other| other != found) {
                    return Err(Illegal::Framing);
                }
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            let mut tokens = value.split(|byte| *byte == b',');
            keep_alive &= !tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if name.eq_ignore_ascii_case(b"host") {
            hosts = hosts.saturating_add(1);
        }
    }
    if hosts != 1 {
        return Err(Illegal::Host);
    }
    let framing = if chunked {
        Framing::Chunked
    } else {
        Framing::Length(length.unwrap_or(0))
    };
    Ok(Said { framing, keep_alive })
}

/// The head of a request with these headers; a content-length beside a transfer-encoding is left out.
///
/// # Errors
///
/// If a part of it could be read as something else.
pub fn head<'h>(
    method: &[u8],
    target: &[u8],
    framing: Framing,
    headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
) -> Result<Vec<u8>, Illegal> {
    if !is_token(method) {
        return Err(Illegal::Method);
    }
    if target.is_empty() || target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(Illegal::Target);
    }
    let mut head = Vec::with_capacity(512);
    for piece in [method, b" ", target, b" HTTP/1.1\r\n"] {
        head.extend_from_slice(piece);
    }
    for (name, value) in headers {
        if !is_token(name) {
            return Err(Illegal::Name);
        }
        if memchr3(b'\r', b'\n', 0, value).is_some() {
            return Err(Illegal::Value);
        }
        if framing == Framing::Chunked && name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        for piece in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// Whether a name may hold this byte (RFC 9110 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Framing = Framing::Length(0);

    fn read(fields: &[(&str, &str)]) -> Result<Said, Illegal> {
        let host = [(&b"Host"[..], &b"x"[..])];
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        said(host.into_iter().chain(fields))
    }

    #[test]
    fn a_head_is_written() {
        let headers = [(&b"Host"[..], &b"x:1"[..]), (b"Empty", b"")];
        assert_eq!(
            head(b"POST", b"/a?b", NONE, headers).unwrap(),
            b"POST /a?b HTTP/1.1\r\nHost: x:1\r\nEmpty: \r\n\r\n"
        );
    }

    #[test]
    fn nothing_can_be_slipped_in() {
        for bad in ["\r", "\n", "\0", "a\r\nb: c"] {
            let bad = bad.as_bytes();
            assert_eq!(head(bad, b"/", NONE, []), Err(Illegal::Method));
            assert_eq!(head(b"GET", bad, NONE, []), Err(Illegal::Target));
            assert_eq!(head(b"GET", b"/", NONE, [(bad, &b"x"[..])]), Err(Illegal::Name));
            assert_eq!(head(b"GET", b"/", NONE, [(&b"x"[..], bad)]), Err(Illegal::Value));
        }
        assert_eq!(head(b"", b"/", NONE, []), Err(Illegal::Method));
        assert_eq!(head(b"GET", b"/a b", NONE, []), Err(Illegal::Target));
        assert_eq!(head(b"GET", b"/", NONE, [(&b"a:b"[..], &b""[..])]), Err(Illegal::Name));
    }

    #[test]
    fn one_framing_is_sent() {
        let headers = [(&b"Content-Length"[..], &b"5"[..]), (b"Transfer-Encoding", b"chunked")];
        let sent = head(b"POST", b"/", Framing::Chunked, headers).unwrap();
        assert_eq!(sent, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    }

    #[test]
    fn the_headers_say_how_the_body_is_framed() {
        let framing = |fields| read(fields).map(|said| said.framing);
        assert_eq!(framing(&[]), Ok(NONE));
        assert_eq!(framing(&[("content-length", "3, 3")]), Ok(Framing::Length(3)));
        assert_eq!(framing(&[("transfer-encoding", "Chunked")]), Ok(Framing::Chunked));
        let (chunked, length) = (("transfer-encoding", "chunked"), ("content-length", "5"));
        for order in [[chunked, length], [length, chunked]] {
            assert_eq!(read(&order).map(|said| said.framing), Ok(Framing::Chunked));
        }
    }

    #[test]
    fn what_can_be_understood_in_two_ways_is_refused() {
        for fields in [
            &[("transfer-encoding", "gzip, chunked")][..],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("content-length", "3"), ("content-length", "4")],
            &[("content-length", "3, 4")],
            &[("content-length", "+3")],
            &[("content-length", "")],
        ] {
            assert_eq!(read(fields), Err(Illegal::Framing), "{fields:?}");
        }
        assert_eq!(read(&[("host", "y")]), Err(Illegal::Host));
        assert_eq!(said([]), Err(Illegal::Host));
    }

    #[test]
    fn a_connection_is_kept_unless_it_says_close() {
        for (value, kept) in [("keep-alive", true), ("Close", false), ("x, close", false)] {
            assert_eq!(read(&[("connection", value)]).unwrap().keep_alive, kept, "{value}");
        }
    }

    #[test]
    fn a_body_is_as_long_as_was_said() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.around(2), Ok((vec![], &b""[..])));
        assert_eq!(framing.end(), Err(Illegal::Length));
        assert_eq!(framing.around(4), Err(Illegal::Length));
        assert_eq!(framing.around(3), Ok((vec![], &b""[..])));
        assert_eq!(framing.end(), Ok(&b""[..]));
        assert_eq!(Framing::Chunked.around(26), Ok((b"1a\r\n".to_vec(), &b"\r\n"[..])));
    }
}
