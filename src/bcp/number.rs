//! The numbers of typed values: what may follow `int:` and `float:`, and how each is written in JSON.
//!
//! JSON's own spellings keep their digits, at any length and never rounded. Python's other spellings, which MPF reads,
//! are written as Python prints them.

use crate::text::trim;

/// Appends the JSON spelling of what follows `int:`. Returns whether it is an integer.
pub(crate) fn push_integer(text: &[u8], out: &mut Vec<u8>) -> bool {
    if is_json_integer(text) {
        out.extend_from_slice(text);
        return true;
    }
    let (negative, digits) = match trim(text) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let is_digits = |group: &[u8]| !group.is_empty() && group.iter().all(u8::is_ascii_digit);
    if !digits.split(|&byte| byte == b'_').all(is_digits) {
        return false;
    }
    let mut significant = digits.iter().filter(|&&byte| byte != b'_').skip_while(|&&byte| byte == b'0').peekable();
    match significant.peek() {
        None => out.push(b'0'),
        Some(_) if negative => out.push(b'-'),
        Some(_) => {}
    }
    out.extend(significant);
    true
}

/// Appends the JSON spelling of what follows `float:`. Returns whether the number is finite; `None` if it is not one.
pub(crate) fn push_float(text: &[u8], out: &mut Vec<u8>) -> Option<bool> {
    if json_number(text) == Some(text.len()) && !is_json_integer(text) {
        // Peers that unescape twice read the + of an exponent as a space.
        out.extend(text.iter().filter(|&&byte| byte != b'+'));
        return Some(true);
    }
    let text = trim(text);
    let is_digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let is_separator = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    if !text.iter().enumerate().all(|(at, &byte)| byte.is_ascii() && (byte != b'_' || is_separator(at))) {
        return None;
    }
    let digits: String = text.iter().filter(|&&byte| byte != b'_').map(|&byte| char::from(byte)).collect();
    // Rust reads the same ASCII numbers, infinities and NaN as Python does.
    let value: f64 = digits.parse().ok()?;
    out.extend_from_slice(python_repr(value).as_bytes());
    Some(value.is_finite())
}

/// The length of the JSON number at the start of `text`.
pub(super) fn json_number(text: &[u8]) -> Option<usize> {
    let digits_end = |from: usize| {
        let count = text.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    let first = usize::from(text.first() == Some(&b'-'));
    let mut at = digits_end(first)?;
    if text[first] == b'0' {
        at = first + 1;
    }
    if text.get(at) == Some(&b'.') {
        at = digits_end(at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(at + 1 + signed)?;
    }
    Some(at)
}

fn is_json_integer(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [] | [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// A float as Python's `repr` writes it, in JSON's words and without the `+` of an exponent.
///
/// Both languages choose the shortest digits that read back the same; they differ in where they put the point.
fn python_repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&power) {
        return format!("{value:?}");
    }
    let sign = if power < 0 { "-" } else { "" };
    format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
}
#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str) -> Option<String> {
        let mut out = Vec::new();
        push_integer(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }

    fn float(text: &str) -> Option<String> {
        let mut out = Vec::new();
        push_float(text.as_bytes(), &mut out).map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn integers_keep_jsons_digits_and_lose_pythons_extras() {
        let long = "1234567890".repeat(10);
        for (text, expected) in [
            ("5", "5"),
            ("-0", "-0"),
            ("-00", "0"),
            ("+5", "5"),
            ("007", "7"),
            ("1_000", "1000"),
            (" -3 ", "-3"),
            ("\x0b7\x0c", "7"),
            ("-0_1", "-1"),
            (long.as_str(), long.as_str()),
        ] {
            assert_eq!(integer(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", "+", "abc", "1.5", "1e3", "0x10", "1__0", "1_", "_1", "--1", "+-1", "1 2", "٣", "- 1"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn floats_keep_jsons_digits_and_become_pythons_repr_otherwise() {
        for (text, expected) in [
            ("1.50", "1.50"),
            ("1e5", "1e5"),
            ("1E-7", "1E-7"),
            ("-0.0", "-0.0"),
            ("1e+16", "1e16"),
            ("1e400", "1e400"),
            ("2", "2.0"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1_0.5", "10.5"),
            ("+1.5", "1.5"),
            (" 1.5 ", "1.5"),
            ("00.5", "0.5"),
            ("-0", "-0.0"),
            ("10000000000000000", "1e16"),
            (".00001", "1e-05"),
            (".0001", "0.0001"),
            ("1000000000000000", "1000000000000000.0"),
            ("123456789012345680000", "1.2345678901234568e20"),
            ("5e-324", "5e-324"),
            ("+5e-324", "5e-324"),
            ("01e22", "1e22"),
            ("1_0e400", "Infinity"),
            ("NaN", "NaN"),
            ("-nan", "NaN"),
            ("+inf", "Infinity"),
            ("-Infinity", "-Infinity"),
        ] {
            assert_eq!(float(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "", ".", "fast", "1,5", "0x1p3", "1e", "1e+", "_1", "1_", "1__0", "nan0", "1 2", "e5", "1_.5", "1._5", "+",
            "1e1_",
        ] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn a_json_number_ends_where_its_grammar_does() {
        for (text, length) in [
            ("0", Some(1)),
            ("01", Some(1)),
            ("-12.50e+3x", Some(9)),
            ("1.", None),
            ("1e", None),
            ("-", None),
            ("", None),
            (".5", None),
            ("+1", None),
        ] {
            assert_eq!(json_number(text.as_bytes()), length, "{text}");
        }
    }
}
