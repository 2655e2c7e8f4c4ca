//! The reader of numbers: the standard library's float32, and the grammar of RFC 8259, state by state.

use ollama_fast::float32::{MAX_NUMBER, Token, number};

/// How far a number has come.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Begin,
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl State {
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Begin, b'-') => Self::Minus,
            (Self::Begin | Self::Minus, b'0') => Self::Zero,
            (Self::Begin | Self::Minus | Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Exponent)
    }
}

/// Read the text as it is, and with something behind it.
///
/// # Panics
///
/// The reader says what grammar or library do not.
pub fn check(text: &[u8]) {
    compare(text);
    compare(&[text, b","].concat());
}

fn compare(text: &[u8]) {
    let (found, expected) = (number(text), expected(text));
    let bits = |token: &Token| match token {
        Token::Number(value, _) => Some(value.to_bits()), // to tell the zeros apart
        _ => None,
    };
    assert_eq!(
        (found, bits(&found)),
        (expected, bits(&expected)),
        "{}",
        text.escape_ascii()
    );
}

fn expected(text: &[u8]) -> Token {
    let mut state = State::Begin;
    let mut length = 0;
    while let Some(next) = text.get(length).and_then(|byte| state.next(*byte)) {
        state = next;
        length += 1;
    }
    match text.get(length) {
        None => return Token::Cut,
        Some(b'0'..=b'9') => return Token::Malformed, // only a zero in front stops at a digit
        Some(_) if !state.is_whole() => return Token::Malformed,
        Some(_) if length > MAX_NUMBER => return Token::TooLong,
        Some(_) => {}
    }
    let value: f32 = str::from_utf8(&text[..length])
        .unwrap_or_default()
        .parse()
        .unwrap_or(f32::NAN);
    if value.is_finite() {
        Token::Number(value, length)
    } else {
        Token::TooLarge
    }
}
