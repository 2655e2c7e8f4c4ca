//! The head of a request, as bytes.

use memchr::memchr3;

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
}

impl Illegal {
    /// Say it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Method => "the method of the request is none",
            Self::Target => "the target of the request holds a blank or a control character",
            Self::Name => "the name of a header holds what no name may hold",
            Self::Value => "the value of a header holds a line break or a NUL",
        }
    }
}

/// The head of a request with these headers.
///
/// # Errors
///
/// If a part of it could be read as something else.
pub fn head<'h>(
    method: &[u8],
    target: &[u8],
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
        for piece in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written() {
        let headers = [(&b"Host"[..], &b"x:1"[..]), (b"Empty", b"")];
        assert_eq!(
            head(b"POST", b"/a?b", headers).unwrap(),
            b"POST /a?b HTTP/1.1\r\nHost: x:1\r\nEmpty: \r\n\r\n"
        );
    }

    #[test]
    fn nothing_can_be_slipped_in() {
        for bad in ["\r", "\n", "\0", "a\r\nb: c"] {
            let bad = bad.as_bytes();
            assert_eq!(head(bad, b"/", []), Err(Illegal::Method));
            assert_eq!(head(b"GET", bad, []), Err(Illegal::Target));
            assert_eq!(head(b"GET", b"/", [(bad, &b"x"[..])]), Err(Illegal::Name));
            assert_eq!(head(b"GET", b"/", [(&b"x"[..], bad)]), Err(Illegal::Value));
        }
        assert_eq!(head(b"", b"/", []), Err(Illegal::Method));
        assert_eq!(head(b"GET", b"/a b", []), Err(Illegal::Target));
        assert_eq!(head(b"GET", b"/", [(&b"a:b"[..], &b""[..])]), Err(Illegal::Name));
    }
}
