//! A JSON text with gaps, and what it becomes when they are filled. Pure: knows nothing of Python.
//!
//! A gap is one raw NUL byte, which no JSON text has: inside a string it is written as an escape. So nothing that a
//! user wrote can be taken for one.

use memchr::{memchr, memchr_iter};

const GAP: u8 = 0;

/// How long `text` is with gaps of these sizes; `None` if it has another number of them.
#[must_use]
pub fn length(text: &[u8], sizes: &[usize]) -> Option<usize> {
    let gaps = memchr_iter(GAP, text).count();
    (gaps == sizes.len()).then(|| text.len() - gaps + sizes.iter().sum::<usize>())
}

/// Copy `text` into `out`, and give the gaps of these sizes that it leaves there.
///
/// `None` if `out` has not the right length, or `text` not the right number of gaps.
#[must_use]
pub fn carve<'out>(mut text: &[u8], sizes: &[usize], mut out: &'out mut [u8]) -> Option<Vec<&'out mut [u8]>> {
    let mut gaps = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let (before, after) = text.split_at_checked(memchr(GAP, text)?)?;
        let (here, rest) = out.split_at_mut_checked(before.len())?;
        here.copy_from_slice(before);
        let (gap, rest) = rest.split_at_mut_checked(size)?;
        gaps.push(gap);
        (text, out) = (after.get(1..)?, rest);
    }
    if out.len() != text.len() || memchr(GAP, text).is_some() {
        return None;
    }
    out.copy_from_slice(text);
    Some(gaps)
}

#[cfg(test)]
mod tests {
    use super::{carve, length};

    fn filled(text: &[u8], with: &[&[u8]]) -> Option<Vec<u8>> {
        let sizes: Vec<usize> = with.iter().map(|piece| piece.len()).collect();
        let mut out = vec![0; length(text, &sizes)?];
        let gaps = carve(text, &sizes, &mut out)?;
        for (gap, piece) in gaps.into_iter().zip(with) {
            gap.copy_from_slice(piece);
        }
        Some(out)
    }

    #[test]
    fn gaps_are_filled_in_their_order() {
        let check = |text: &[u8], with: &[&[u8]], expected: &[u8]| {
            assert_eq!(filled(text, with).as_deref(), Some(expected));
        };
        check(b"", &[], b"");
        check(b"[]", &[], b"[]");
        check(b"\0", &[b"AAAA"], b"AAAA");
        check(b"[\"\0\"]", &[b"AAAA"], b"[\"AAAA\"]");
        check(b"\0\0", &[b"a", b"bc"], b"abc");
        check(b"x\0y\0z", &[b"", b"1"], b"xy1z");
    }

    #[test]
    fn another_number_of_gaps_is_refused() {
        assert_eq!(length(b"a", &[1]), None);
        assert_eq!(length(b"\0\0", &[1]), None);
        assert!(carve(b"a", &[1], &mut [0; 2]).is_none());
        assert!(carve(b"\0\0", &[1], &mut [0; 2]).is_none());
    }

    #[test]
    fn another_length_is_refused() {
        for length in [0, 1, 2, 4, 5] {
            assert!(carve(b"a\0b", &[1], &mut vec![0; length]).is_none(), "{length}");
        }
        assert!(carve(b"a\0b", &[1], &mut [0; 3]).is_some());
    }
}
