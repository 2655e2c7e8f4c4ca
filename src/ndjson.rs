//! Bytes to lines, as they arrive.
//!
//! A line ends at the byte 0x0A and nowhere else: U+0085 and U+2028 may stand raw inside a JSON string, and cutting there,
//! as `str.splitlines` does, would cut an object in two.
#![deny(clippy::arithmetic_side_effects)]

use std::mem;

use memchr::memchr;

use crate::sizes::TooLarge;

/// How large a buffer may stay that holds no more than that.
const KEPT: usize = 16 * 1024;

/// An incremental splitter: [`feed`](Lines::feed) it chunks and take lines until it wants more.
///
/// Operations: append a chunk at the end; take the next line from the front.
///
/// Goal: O(n) in the bytes, however they are cut. Two numbers see to it. `start` is where the first line not yet taken
/// begins, and taken bytes are only moved out once they are half of the buffer. `searched` is how far the newline of that
/// line was looked for in vain, so that a long line in many chunks is looked at once.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    taken: u64,
    closed: bool,
    unfinished: bool,
    most: usize,
}

impl Default for Lines {
    /// Lines of any length.
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Lines {
    /// Lines that shall have no more than `most` bytes; whoever takes them looks whether they have.
    #[must_use]
    pub const fn within(most: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            taken: 0,
            closed: false,
            unfinished: false,
            most,
        }
    }

    /// The most bytes that a line may have.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// What is too large if no line is there, and yet more bytes than one may have.
    #[must_use]
    pub fn without_end(&self) -> Option<TooLarge> {
        (self.len() > self.most).then_some(TooLarge::Line(self.most))
    }

    /// Take over the bytes of `chunk`.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.room().extend_from_slice(chunk);
    }

    /// The buffer, to append bytes to and for nothing else: what was taken from it is moved out first.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.searched = 0;
            self.start = 0;
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        &mut self.buffer
    }

    /// Free what a long line or body has taken, before a wait that may be long.
    pub fn let_go(&mut self) {
        if self.buffer.capacity() > KEPT && self.len() <= KEPT {
            self.buffer = self.buffer.get(self.start..).unwrap_or_default().to_vec();
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Take over all bytes of `chunk`, which is empty afterwards; without a copy if nothing is left here.
    pub fn feed_all(&mut self, chunk: &mut Vec<u8>) {
        let room = self.room();
        if room.is_empty() {
            mem::swap(room, chunk);
        } else {
            room.append(chunk);
        }
    }

    /// Take all bytes that are left, lines or not.
    pub fn take_bytes(&mut self) -> &[u8] {
        let start = mem::replace(&mut self.start, self.buffer.len());
        self.searched = self.buffer.len();
        self.buffer.get(start..).unwrap_or_default()
    }

    /// How many bytes are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// Whether no byte is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Say that no more bytes come: what is left counts as a line, newline or not.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The next line that is not blank, without its newline, or `None` until there is one.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            let (end, after, unfinished) = match memchr(b'\n', unseen) {
                Some(at) => {
                    let end = self.searched.saturating_add(at);
                    (end, end.saturating_add(1), false)
                }
                None if self.closed && self.start < self.buffer.len() => (self.buffer.len(), self.buffer.len(), true),
                None => {
                    self.searched = self.buffer.len();
                    self.let_go();
                    return None;
                }
            };
            self.searched = after;
            let start = mem::replace(&mut self.start, after);
            self.taken = self.taken.saturating_add(1);
            self.unfinished = unfinished;
            // Looked up twice, once to see whether it is blank: the borrow checker allows no conditional return.
            if !is_blank(self.buffer.get(start..end).unwrap_or_default()) {
                return self.buffer.get(start..end);
            }
        }
    }

    /// Whether there is a line to take, blank or not.
    pub fn has_line(&mut self) -> bool {
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        if let Some(at) = memchr(b'\n', unseen) {
            self.searched = self.searched.saturating_add(at);
            return true;
        }
        self.searched = self.buffer.len();
        self.closed && !self.is_empty()
    }

    /// Whether the line taken last had no newline, because the bytes ended inside it or just behind it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// How many lines were taken, blank ones included: the number of the line taken last.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.taken
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &[u8] = "{\"a\":1}\n\r\n \n{\"b\":\"\u{85}\u{2028}\"}\r\n\n[\n{\"last\":\"é\"}".as_bytes();
    const LINES: [&str; 4] = ["{\"a\":1}", "{\"b\":\"\u{85}\u{2028}\"}\r", "[", "{\"last\":\"é\"}"];

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.feed(chunk);
            while let Some(line) = lines.next_line() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        lines.close();
        while let Some(line) = lines.next_line() {
            found.push(String::from_utf8(line.to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn every_two_cuts_give_the_same_lines() {
        for first in 0..=WIRE.len() {
            for second in first..=WIRE.len() {
                assert_eq!(split([&WIRE[..first], &WIRE[first..second], &WIRE[second..]]), LINES);
            }
        }
    }

    #[test]
    fn byte_by_byte_gives_the_same_lines() {
        assert_eq!(split(WIRE.chunks(1)), LINES);
    }

    #[test]
    fn every_truncation_gives_a_prefix_and_a_rest() {
        for end in 0..WIRE.len() {
            let found = String::from_utf8_lossy(&WIRE[..end]).replace('\r', "");
            let expected: Vec<&str> = found.split('\n').filter(|line| !line.trim().is_empty()).collect();
            let mut lines = Lines::default();
            lines.feed(&WIRE[..end]);
            lines.close();
            let mut count = 0;
            while lines.next_line().is_some() {
                count += 1;
            }
            assert_eq!(count, expected.len());
        }
    }

    #[test]
    fn lines_not_taken_at_once_are_kept() {
        let mut lines = Lines::default();
        lines.feed(b"1\n2\n");
        assert_eq!(lines.next_line(), Some(&b"1"[..]));
        assert!(!lines.is_unfinished());
        lines.feed(b"3\n4");
        assert_eq!(lines.next_line(), Some(&b"2"[..]));
        lines.feed(b"5\n");
        assert_eq!(lines.next_line(), Some(&b"3"[..]));
        assert_eq!(lines.next_line(), Some(&b"45"[..]));
        assert_eq!(lines.next_line(), None);
        assert_eq!(lines.line_number(), 4);
    }

    #[test]
    fn a_last_line_without_newline_is_known() {
        let mut lines = Lines::default();
        lines.feed(b"1\n2");
        assert_eq!(lines.next_line(), Some(&b"1"[..]));
        assert!(!lines.is_unfinished() && !lines.has_line());
        lines.close();
        assert!(lines.has_line());
        assert_eq!(lines.next_line(), Some(&b"2"[..]));
        assert!(lines.is_unfinished());
        assert_eq!(lines.next_line(), None);
    }

    #[test]
    fn bytes_can_be_taken_between_lines() {
        let mut lines = Lines::default();
        let mut chunk = b"1\n2\n3".to_vec();
        lines.feed_all(&mut chunk);
        assert!(chunk.is_empty());
        assert_eq!(lines.next_line(), Some(&b"1"[..]));
        assert!(lines.has_line() && lines.has_line());
        assert_eq!(lines.len(), 3);
        chunk.extend_from_slice(b"4\n");
        lines.feed_all(&mut chunk);
        assert_eq!(lines.take_bytes(), b"2\n34\n");
        assert!(lines.is_empty() && lines.next_line().is_none());
        lines.feed(b"5\n");
        assert_eq!(lines.next_line(), Some(&b"5"[..]));
    }

    #[test]
    fn a_long_line_is_searched_once() {
        let mut lines = Lines::default();
        for _ in 0..10_000 {
            lines.feed(&[b'x'; 100]);
            assert_eq!(lines.next_line(), None);
            assert_eq!(lines.searched, lines.buffer.len());
        }
        lines.feed(b"\n");
        assert_eq!(lines.next_line().map(<[u8]>::len), Some(1_000_000));
    }

    #[test]
    fn a_long_line_leaves_no_room_behind() {
        let mut lines = Lines::default();
        lines.feed(&[&vec![b'x'; 1_000_000], &b"\nrest"[..]].concat());
        assert!(lines.next_line().is_some());
        assert_eq!(lines.next_line(), None);
        assert!(lines.buffer.capacity() <= KEPT, "{}", lines.buffer.capacity());
        lines.feed(b" of it\n");
        assert_eq!(lines.next_line(), Some(&b"rest of it"[..]));
    }

    #[test]
    fn taken_bytes_do_not_pile_up() {
        let mut lines = Lines::default();
        lines.feed(b"unfinished");
        for _ in 0..100_000 {
            lines.feed(b" 12345678901234567890\n12345678901234567890");
            assert!(lines.next_line().is_some());
        }
        assert!(lines.buffer.len() < 1000, "{} bytes kept", lines.buffer.len());
    }
}
