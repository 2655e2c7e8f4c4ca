//! The splitter of lines, beside one that is as plain as can be.

use ollama_fast::ndjson::Lines;

/// The same operations on all bytes that are left.
#[derive(Default)]
struct Plain {
    left: Vec<u8>,
    number: u64,
    closed: bool,
    unfinished: bool,
}

impl Plain {
    fn next_line(&mut self) -> Option<Vec<u8>> {
        while self.has_line() {
            let newline = self.left.iter().position(|byte| *byte == b'\n');
            let mut line: Vec<u8> = self
                .left
                .drain(..newline.map_or(self.left.len(), |at| at + 1))
                .collect();
            if newline.is_some() {
                line.pop();
            }
            self.number += 1;
            self.unfinished = newline.is_none();
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
        None
    }

    fn has_line(&self) -> bool {
        self.left.contains(&b'\n') || (self.closed && !self.left.is_empty())
    }
}

/// A program: a byte that says what to do, and for those that feed one more that says how many of the next bytes.
///
/// # Panics
///
/// The two differ.
pub fn check(mut input: &[u8]) {
    let (mut lines, mut plain) = (Lines::default(), Plain::default());
    while let Some((&operation, rest)) = input.split_first() {
        input = rest;
        match operation % 8 {
            0 => assert_eq!(lines.next_line().map(<[u8]>::to_vec), plain.next_line()),
            1 => assert_eq!(lines.has_line(), plain.has_line()),
            2 => assert_eq!(lines.take_bytes(), std::mem::take(&mut plain.left)),
            3 => lines.let_go(),
            way => {
                let Some((&length, rest)) = input.split_first() else {
                    break;
                };
                let chunk;
                (chunk, input) = rest.split_at(rest.len().min(length.into()));
                plain.left.extend_from_slice(chunk);
                match way {
                    4 => lines.room().extend_from_slice(chunk),
                    5 => {
                        let mut chunk = chunk.to_vec();
                        lines.feed_all(&mut chunk);
                        assert!(chunk.is_empty());
                    }
                    _ => lines.feed(chunk),
                }
            }
        }
        compare(&lines, &plain);
    }
    lines.close();
    plain.closed = true;
    loop {
        assert_eq!(lines.has_line(), plain.has_line());
        let line = lines.next_line().map(<[u8]>::to_vec);
        assert_eq!(line, plain.next_line());
        compare(&lines, &plain);
        if line.is_none() {
            return;
        }
    }
}

fn compare(lines: &Lines, plain: &Plain) {
    assert_eq!(
        (lines.len(), lines.is_empty()),
        (plain.left.len(), plain.left.is_empty())
    );
    assert_eq!(
        (lines.line_number(), lines.is_unfinished()),
        (plain.number, plain.unfinished)
    );
}
