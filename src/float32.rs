//! Numbers of JSON to the float32 nearest to their text; knows nothing of Python.
#![deny(clippy::arithmetic_side_effects)]

/// The most bytes that a number may have: more than any float64 needs to be written down exactly.
pub const MAX_NUMBER: usize = 4096;

/// What is at the front of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token {
    /// A number, and how many bytes it has. What must not follow it is the caller's to refuse.
    Number(f32, usize),
    /// A number, or the beginning of one, that may go on where the text ends.
    Cut,
    /// No number as JSON writes them.
    Malformed,
    /// A number of so many bytes that nobody can mean it.
    TooLong,
    /// A number that float32 has no finite value for.
    TooLarge,
}

/// Powers of ten from the least on, each as near as float64 has it.
const POWERS: [f64; 45] = [
    1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6,
    1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const LEAST_POWER: i64 = -22;

/// The most digits that certainly fit into 64 bits.
const MOST_DIGITS: usize = 19;

/// Read the number at the front of `text`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a tenth of the time for vectors")]
#[must_use]
pub fn number(text: &[u8]) -> Token {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut mantissa = 0;
    let (mut rest, whole) = digits(unsigned, &mut mantissa);
    if whole == 0 {
        return missing(rest);
    }
    if whole > 1 && unsigned.first() == Some(&b'0') {
        return Token::Malformed;
    }
    let mut fraction = 0;
    if let [b'.', after @ ..] = rest {
        (rest, fraction) = many_digits(after, &mut mantissa);
        if fraction == 0 {
            return missing(rest);
        }
    }
    let mut usual = whole.wrapping_add(fraction) <= MOST_DIGITS;
    let mut power = 0_i64.wrapping_sub_unsigned(fraction as u64);
    if let [b'e' | b'E', after @ ..] = rest {
        let unsigned = after.strip_prefix(b"+").or(after.strip_prefix(b"-")).unwrap_or(after);
        let mut exponent = 0;
        let count;
        (rest, count) = digits(unsigned, &mut exponent);
        if count == 0 {
            return missing(rest);
        }
        usual &= count <= MOST_DIGITS;
        power = if after.first() == Some(&b'-') {
            power.saturating_sub_unsigned(exponent)
        } else {
            power.saturating_add_unsigned(exponent)
        };
    }
    if rest.is_empty() {
        return Token::Cut;
    }
    let length = text.len().wrapping_sub(rest.len());
    let quick = if usual { nearest(mantissa, power) } else { None };
    match quick {
        Some(value) => {
            let sign = u32::from(text.first() == Some(&b'-')) << 31; // as likely as not, so no branch
            Token::Number(f32::from_bits(value.to_bits() | sign), length)
        }
        None => by_library(text.get(..length).unwrap_or_default()),
    }
}

/// What it means that no digit is there, where one must be.
#[cold]
fn missing(rest: &[u8]) -> Token {
    if rest.is_empty() { Token::Cut } else { Token::Malformed }
}

/// Take digits from the front into `number`, which wraps if they are many; give what is left, and how many they were.
#[inline]
fn digits<'a>(text: &'a [u8], number: &mut u64) -> (&'a [u8], usize) {
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        *number = number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0').into());
        rest = after;
    }
    (rest, text.len().wrapping_sub(rest.len()))
}

/// The same where they are likely to be many: eight at a time.
///
/// How many are left then nobody can foresee, a processor neither, so these are taken without a branch for each.
#[inline]
fn many_digits<'a>(text: &'a [u8], number: &mut u64) -> (&'a [u8], usize) {
    const ALL: u64 = 0x0101_0101_0101_0101;
    const VALUES: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk() {
        let bytes = u64::from_le_bytes(*eight) ^ ALL.wrapping_mul(b'0'.into());
        // Of a digit the high four bits are empty, and still are with 6 more. What a carry spoils is behind another byte.
        let others = (bytes | bytes.wrapping_add(ALL.wrapping_mul(6))) & ALL.wrapping_mul(0xf0);
        if others == 0 {
            *number = number.wrapping_mul(100_000_000).wrapping_add(value_of_eight(bytes));
            rest = after;
            continue;
        }
        let count = others.trailing_zeros() >> 3;
        let value = value_of_eight(bytes.unbounded_shl(64_u32.wrapping_sub(count << 3))); // with zeros in front
        let place = VALUES.get(count as usize).copied().unwrap_or_default();
        *number = number.wrapping_mul(place).wrapping_add(value);
        rest = rest.get(count as usize..).unwrap_or_default();
        return (rest, text.len().wrapping_sub(rest.len()));
    }
    (rest, _) = digits(rest, number);
    (rest, text.len().wrapping_sub(rest.len()))
}

/// What eight digits are together, the first of them in the lowest byte: pairs are added up, pairs of pairs, and these.
#[inline]
fn value_of_eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// The float32 nearest to `mantissa` times ten to the `power`, where float64 is enough to tell.
///
/// Three roundings make the float64: the mantissa's, the power's, the product's. Together they are off by at most three
/// units in its last place. Only if it is that near to the middle between two float32 can the true number lie on the
/// other side. A quotient would be off by less, but takes longer.
#[inline]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "as said above"
)]
fn nearest(mantissa: u64, power: i64) -> Option<f32> {
    /// The bits of a float64 that a float32 does not have, and these in the middle between two float32.
    const DROPPED: u64 = (1 << 29) - 1;
    const MIDDLE: u64 = 1 << 28;

    if mantissa == 0 {
        return Some(0.0);
    }
    let mantissa = i64::try_from(mantissa).ok()?; // which processors convert at once
    let scale = POWERS.get(usize::try_from(power.saturating_sub(LEAST_POWER)).ok()?)?;
    let wide = mantissa as f64 * scale;
    let is_normal = wide >= f64::from(f32::MIN_POSITIVE) && wide <= f64::from(f32::MAX);
    let is_clear = (wide.to_bits() & DROPPED).abs_diff(MIDDLE) > 3;
    (is_normal && is_clear).then_some(wide as f32)
}

/// The same for any number, by the standard library, which rounds to nearest, too.
#[cold]
fn by_library(text: &[u8]) -> Token {
    if text.len() > MAX_NUMBER {
        return Token::TooLong;
    }
    match str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok()) {
        Some(value) if value.is_finite() => Token::Number(value, text.len()),
        Some(_) => Token::TooLarge,
        None => Token::Malformed,
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;

    /// Numbers that look random and are the same every time: `SplitMix64`.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }

        fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        fn digits(&mut self, count: u64) -> String {
            (0..count)
                .map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap()))
                .collect()
        }
    }

    /// Read `text`, and see that it is what the standard library says, to the bit.
    fn check(text: &str) {
        let expected: f32 = text.parse().unwrap();
        match number(format!("{text},").as_bytes()) {
            Token::Number(value, length) => {
                assert_eq!((value.to_bits(), length), (expected.to_bits(), text.len()), "{text}");
            }
            Token::TooLarge => assert!(expected.is_infinite(), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert_eq!(number(text.as_bytes()), Token::Cut, "{text}");
    }

    #[test]
    fn plain_numbers_are_what_they_say() {
        for (text, value) in [
            ("0", 0.0),
            ("1", 1.0),
            ("-1", -1.0),
            ("0.5", 0.5),
            ("1e3", 1000.0),
            ("25E-2", 0.25),
        ] {
            assert_eq!(number(format!("{text}]").as_bytes()), Token::Number(value, text.len()));
        }
        for text in [
            "-0",
            "-0.0",
            "-0e9",
            "0e-400",
            "0e99999999999999999999999",
            "1e-400",
            "-1e-400",
            "1E+5",
        ] {
            check(text);
        }
    }

    #[test]
    fn what_json_does_not_allow_is_malformed() {
        for text in [
            "01", "-01", "00", "+1", ".5", "-.5", "1.", "1.e5", "1e", "1e+", "1e-", "-", "--1", "NaN", "Infinity",
        ] {
            assert_eq!(number(format!("{text},").as_bytes()), Token::Malformed, "{text}");
        }
        for text in ["nan", "-inf", "x", "\"1\"", "null", "[", "]", ",", " 1", "e5"] {
            assert_eq!(number(text.as_bytes()), Token::Malformed, "{text}");
        }
        // How a number ends is seen; what follows it is the caller's.
        assert_eq!(number(b"0x10"), Token::Number(0.0, 1));
        assert_eq!(number(b"1.5.2"), Token::Number(1.5, 3));
    }

    #[test]
    fn every_beginning_of_a_number_is_cut() {
        let text = "-120.50e-07";
        for end in 0..text.len() {
            assert_eq!(number(&text.as_bytes()[..end]), Token::Cut, "{end}");
        }
    }

    #[test]
    fn what_float32_cannot_hold_is_too_large() {
        for text in [
            "1e39",
            "-1e39",
            "3.4028236e38",
            "1e400",
            "1e99999999999999999999",
            "340282356779733661637539395458142568448",
        ] {
            assert_eq!(number(format!("{text},").as_bytes()), Token::TooLarge, "{text}");
        }
        for text in [
            "3.4028235e38",
            "3.4028235677973366e38",
            "340282356779733661637539395458142568447",
        ] {
            assert_eq!(
                number(format!("{text},").as_bytes()),
                Token::Number(f32::MAX, text.len()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_may_be_long_but_not_endless() {
        let long = format!("0.{}1", "0".repeat(MAX_NUMBER - 3));
        check(&long);
        check(&"9".repeat(39));
        assert_eq!(number(format!("{long}1,").as_bytes()), Token::TooLong);
    }

    #[test]
    fn float32_are_read_from_their_shortest_texts() {
        for bits in (0..f32::INFINITY.to_bits()).step_by(3989) {
            let value = f32::from_bits(bits);
            check(&format!("{value}"));
            check(&format!("-{value:e}"));
        }
    }

    #[test]
    fn middles_between_two_float32_and_their_neighbours_go_the_right_way() {
        let mut random = Random(1);
        for round in 0..60_000 {
            let bits = if round % 2 == 0 {
                u32::try_from(random.below(u64::from(f32::MAX.to_bits()))).unwrap()
            } else {
                1e-4_f32.to_bits() + u32::try_from(random.below(0x0d00_0000)).unwrap()
            };
            let low = f64::from(f32::from_bits(bits));
            let middle = f64::midpoint(low, f64::from(f32::from_bits(bits + 1)));
            for wide in [
                middle.next_down().next_down().next_down(),
                middle.next_down(),
                middle,
                middle.next_up(),
                middle.next_up().next_up(),
            ] {
                check(&format!("{wide:e}"));
                check(&format!("{wide:.16e}"));
                check(&format!("{wide:.17e}"));
                check(&format!("{wide:.18e}"));
            }
            // Exactly in the middle, and just above and below it, in more digits than float64 has.
            let exact = format!("{middle:.120e}");
            let (digits, exponent) = exact.split_once('e').unwrap();
            check(&exact);
            check(&format!("{digits}1e{exponent}"));
            check(&format!("{}e{exponent}", &digits[..20]));
            check(&format!("{}9e{exponent}", &digits[..20]));
        }
    }

    #[test]
    fn random_digits_are_rounded_as_the_standard_library_does() {
        let mut random = Random(2);
        for _ in 0..1_500_000 {
            let length = 1 + random.below(25);
            let digits = random.digits(length);
            let point = usize::try_from(random.below(length + 1)).unwrap();
            let (whole, fraction) = digits.split_at(point);
            let whole = whole.trim_start_matches('0');
            let mut text = if random.below(2) == 0 {
                String::new()
            } else {
                "-".to_owned()
            };
            text += if whole.is_empty() { "0" } else { whole };
            if !fraction.is_empty() {
                text = text + "." + fraction;
            }
            match random.below(4) {
                0 => text = format!("{text}e{}", random.below(120)),
                1 => text = format!("{text}E-{}", random.below(70)),
                2 => text = format!("{text}e+0{}", random.below(25)),
                _ => {}
            }
            check(&text);
        }
    }
}
