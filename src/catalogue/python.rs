//! How Python reads numbers: what MPF's `int()` and `float()` take, other scripts' digits included (design.md,
//! section 13).

use std::borrow::Cow;

use crate::text::trim;

/// How many digits Python's `int()` reads at most; more would take it too long.
pub const INTEGER_DIGITS_MAX: usize = 4300;

/// Why text is no integer to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoInteger {
    /// It is something else.
    Other,
    /// It has more than [`INTEGER_DIGITS_MAX`] digits.
    TooLong,
}

/// What `int()` makes of text; what no `i64` holds is the nearest one, since only sign and rough size matter here.
///
/// # Errors
/// Text that `int()` refuses.
pub fn int(text: &str) -> Result<i64, NoInteger> {
    // Nearly every integer is a short one in plain digits.
    match text.parse() {
        Ok(number) if text.len() <= INTEGER_DIGITS_MAX => return Ok(number),
        _ => {}
    }
    let plain = with_ascii_digits(text);
    let (negative, digits) = match trim(plain.as_bytes()) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let grouped = digits.split(|&b| b == b'_').all(|group| !group.is_empty() && group.iter().all(u8::is_ascii_digit));
    if !grouped {
        return Err(NoInteger::Other);
    }
    let digits = digits.iter().filter(|&&b| b != b'_');
    if digits.clone().count() > INTEGER_DIGITS_MAX {
        return Err(NoInteger::TooLong);
    }
    let size = digits.fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Ok(if negative { -size } else { size })
}

/// What `float()` makes of text; `None` when it refuses it.
pub fn float(text: &str) -> Option<f64> {
    let plain = with_ascii_digits(text);
    let number = trim(plain.as_bytes());
    let between_digits = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| number.get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    if !number.iter().enumerate().all(|(at, &b)| b != b'_' || between_digits(at)) {
        return None;
    }
    // Both languages take nan, inf and infinity with a sign and in any case, `1.` and `.5`, and no hexadecimal digits.
    let digits: String = number.iter().filter(|&&b| b != b'_').map(|&b| char::from(b)).collect();
    if number.is_ascii() { digits.parse().ok() } else { None }
}

/// Text in which Python's digits and white space of other scripts are those of ASCII; all else that is not ASCII
/// becomes `?`, which no number holds.
fn with_ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |c: char| match c {
        c if c.is_ascii() => c,
        c if c.is_whitespace() => ' ',
        c => decimal(c).unwrap_or('?'),
    };
    Cow::Owned(text.chars().map(plain).collect())
}

/// The zeros beyond ASCII of Unicode 14, each followed by its nine other digits.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The ASCII digit of the same value.
fn decimal(c: char) -> Option<char> {
    let zero = ZEROS.iter().rev().find(|&&zero| zero <= u32::from(c))?;
    char::from_digit(u32::from(c) - zero, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_int_reads_them() {
        for (text, value) in [
            ("5", 5),
            (" +5\n", 5),
            ("-1_000", -1000),
            ("007", 7),
            ("\u{665}", 5),
            (" 5\u{85}", 5),
            ("\u{ff15}\u{2003}", 5),
            ("\u{1fbf9}", 9),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(int(text), Ok(value), "{text:?}");
        }
        let refused =
            ["", " ", "_5", "5_", "5__0", "- 5", "+-5", "0x5", "5.0", "\u{b2}", "\u{2212}5", "5\0", "5\x1c", "\x1c٥"];
        for text in refused {
            assert_eq!(int(text), Err(NoInteger::Other), "{text:?}");
        }
        assert_eq!(int(&"9".repeat(INTEGER_DIGITS_MAX)), Ok(i64::MAX));
        assert_eq!(int(&format!("-{}", "1_".repeat(INTEGER_DIGITS_MAX - 1) + "1")), Ok(-i64::MAX));
        assert_eq!(int(&format!("-{}", "0".repeat(INTEGER_DIGITS_MAX))), Ok(0));
        assert_eq!(int(&"0".repeat(INTEGER_DIGITS_MAX + 1)), Err(NoInteger::TooLong));
    }

    #[test]
    fn floats_are_read_as_float_reads_them() {
        for (text, value) in
            [("1_0.0", 10.0), ("1e1_0", 1e10), ("1.", 1.0), (" .5 ", 0.5), ("\u{665}1.5", 51.5), ("+2e-1", 0.2)]
        {
            assert_eq!(float(text), Some(value), "{text:?}");
        }
        assert!(float("-NaN").is_some_and(f64::is_nan));
        assert_eq!(float("iNfinity"), Some(f64::INFINITY));
        assert_eq!(float("1e999"), Some(f64::INFINITY));
        for text in ["", ".", "1_.0", "._1", "1e", "1e+", "1e 5", "infinit", "0x1p3", "1\0", "nan(1)", "1__0", "é"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }
}
