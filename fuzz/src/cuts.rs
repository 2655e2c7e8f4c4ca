//! An input that says where it is to be cut.

/// Bytes, and the pieces in which they come.
#[derive(Debug)]
pub struct Cuts<'a> {
    /// All of them.
    pub whole: &'a [u8],
    /// The same in pieces, some of which may be empty.
    pub pieces: Vec<&'a [u8]>,
}

impl<'a> Cuts<'a> {
    /// The first byte says how many lengths of pieces follow, one byte each; behind these are the bytes to cut.
    #[must_use]
    pub fn of(input: &'a [u8]) -> Option<Self> {
        let (&count, rest) = input.split_first()?;
        let (lengths, whole) = rest.split_at_checked(count.into())?;
        let mut left = whole;
        let mut pieces = Vec::with_capacity(lengths.len() + 1);
        for &length in lengths {
            let (piece, behind) = left.split_at(left.len().min(length.into()));
            pieces.push(piece);
            left = behind;
        }
        pieces.push(left);
        Some(Self { whole, pieces })
    }
}
