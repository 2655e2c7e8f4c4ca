//! The parser of responses: the same whatever the cutting, and no endless head, however it is made.

use ollama_fast::http::{ProtocolError, Response};

use crate::cuts::Cuts;

/// The most bytes that may come without any content: a head, and what is around a chunk.
const MOST_IN_VAIN: usize = 2 * 256 * 1024 + 64 * 1024;
const IS_HEAD: u8 = 1;
const IS_FLOOD: u8 = 0x42;

/// Status, minor version and reason of a head.
type Line = (u16, u8, Vec<u8>);

/// All that can be seen of a response.
#[derive(Debug, PartialEq)]
struct Seen {
    line: Option<Line>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    content: Vec<u8>,
    error: Option<ProtocolError>,
    began: bool,
    is_complete: bool,
    leaves_connection: bool,
}

impl Seen {
    fn of(response: &Response, content: &[u8]) -> Self {
        Self {
            line: response
                .head()
                .map(|head| (head.status, head.minor_version, head.reason().to_vec())),
            headers: response
                .head()
                .iter()
                .flat_map(|head| head.headers())
                .map(|(name, value)| (name.to_vec(), value.into_owned()))
                .collect(),
            content: content.to_vec(),
            error: response.error(),
            began: response.began(),
            is_complete: response.is_complete(),
            leaves_connection: response.leaves_connection(),
        }
    }
}

/// The first byte says whether the request was a HEAD, and whether the last piece comes again and again; the second how
/// large a head may be, in steps of four bytes, or 0 for as large as usual.
///
/// # Panics
///
/// What is promised does not hold for `input`.
pub fn check(input: &[u8]) {
    let Some(([flags, most], input)) = input.split_first_chunk() else {
        return;
    };
    let Some(cuts) = Cuts::of(input) else { return };
    let begin = || {
        let response = Response::new(flags & IS_HEAD != 0);
        match most {
            0 => response,
            most => response.with_max_head(usize::from(*most) * 4),
        }
    };
    let whole = read(begin(), [cuts.whole]);
    assert_eq!(read(begin(), cuts.pieces.iter().copied()), whole);
    assert_eq!(read(begin(), cuts.whole.chunks(1)), whole);
    if flags & !IS_HEAD == IS_FLOOD {
        flood(begin(), &cuts.pieces);
    }
}

/// Look at a response before and behind the end of its connection.
fn read<'a>(mut response: Response, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Seen, Seen) {
    let (mut content, mut fed) = (Vec::new(), 0);
    for piece in pieces {
        let was_over = response.is_over();
        let before = content.len();
        response.feed(piece, &mut content);
        fed += piece.len();
        assert!(content.len() <= fed, "more content than bytes");
        assert!(!was_over || content.len() == before, "content behind the end");
    }
    let open = Seen::of(&response, &content);
    response.close();
    assert!(
        response.is_over(),
        "neither complete nor broken, and nothing more can come"
    );
    assert!(
        !response.leaves_connection(),
        "a connection that was closed is given back"
    );
    let closed = Seen::of(&response, &content);
    assert!(!closed.is_complete || closed.error.is_none());
    assert!(
        !open.is_complete || closed.is_complete,
        "the end of the connection broke it"
    );
    assert!(open.error.is_none() || open.error == closed.error);
    (open, closed)
}

/// A server that repeats itself for ever sends content, or is cut off.
fn flood(mut response: Response, pieces: &[&[u8]]) {
    let Some((last, first)) = pieces.split_last() else {
        return;
    };
    if last.is_empty() {
        return;
    }
    let again = last.repeat(4096 / last.len() + 1);
    let mut content = Vec::new();
    for piece in first {
        response.feed(piece, &mut content);
    }
    let (mut all, mut in_vain) = (0, 0);
    while !response.is_over() && all < 4 * MOST_IN_VAIN {
        content.clear();
        response.feed(&again, &mut content);
        all += again.len();
        in_vain = if content.is_empty() { in_vain + again.len() } else { 0 };
        assert!(in_vain <= MOST_IN_VAIN, "{in_vain} bytes without content or an error");
    }
}
