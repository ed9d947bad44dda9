//! The numbers of typed values: what `int:` and `float:` take, and how each is spelled in JSON (design.md, section 1).
//!
//! JSON's own spellings keep their digits, of any length and never rounded; Python's other spellings, which MPF reads,
//! are written as Python would print them.

use crate::text::trim;

/// Appends the JSON spelling of what follows `int:`; whether it is an integer at all.
pub fn push_integer(text: &[u8], out: &mut Vec<u8>) -> bool {
    if is_json_integer(text) {
        out.extend_from_slice(text);
        return true;
    }
    let (negative, digits) = sign(trim(text));
    if !is_python_digits(digits) {
        return false;
    }
    let mut significant = digits.iter().filter(|&&b| b != b'_').skip_while(|&&b| b == b'0').peekable();
    if significant.peek().is_none() {
        out.push(b'0');
        return true;
    }
    if negative {
        out.push(b'-');
    }
    out.extend(significant);
    true
}

/// What follows `float:`, once read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// A finite number, or digits whose size is the reader's business.
    Number,
    /// NaN or an infinity.
    NotFinite,
}

/// Appends the JSON spelling of what follows `float:`; `None` when it is no number.
pub fn push_float(text: &[u8], out: &mut Vec<u8>) -> Option<Float> {
    if json_number(text) == Some(text.len()) && !is_json_integer(text) {
        // The + of an exponent is a space to peers that unescape twice (section 4).
        out.extend(text.iter().filter(|&&b| b != b'+'));
        return Some(Float::Number);
    }
    let text = trim(text);
    let (negative, unsigned) = sign(text);
    if unsigned.eq_ignore_ascii_case(b"nan") {
        out.extend_from_slice(b"NaN");
        return Some(Float::NotFinite);
    }
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        out.extend_from_slice(if negative { b"-Infinity" } else { b"Infinity" });
        return Some(Float::NotFinite);
    }
    if !is_python_decimal(unsigned) {
        return None;
    }
    let digits: String = text.iter().filter(|&&b| b != b'_').map(|&b| char::from(b)).collect();
    let value: f64 = digits.parse().ok()?;
    out.extend_from_slice(python_repr(value).as_bytes());
    Some(if value.is_finite() { Float::Number } else { Float::NotFinite })
}

/// How long the JSON number is with which `text` begins.
pub fn json_number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text.get(from..).map_or(0, |t| t.iter().take_while(|b| b.is_ascii_digit()).count());
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match (text.get(at)?, digits(at)) {
        (_, 0) => return None,
        (b'0', _) => 1,
        (_, count) => count,
    };
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return None,
            count => at += 1 + count,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match digits(at + 1 + signed) {
            0 => return None,
            count => at += 1 + signed + count,
        }
    }
    Some(at)
}

/// Whether text is an integer in JSON's own spelling.
pub fn is_json_integer(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [] => false,
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// Digits with single underscores between them, as Python allows.
fn is_python_digits(text: &[u8]) -> bool {
    text.split(|&b| b == b'_').all(|group| !group.is_empty() && group.iter().all(u8::is_ascii_digit))
}

/// `1`, `.5`, `5.`, `1_0.5e-3`: what Python's `float()` takes without a sign.
fn is_python_decimal(text: &[u8]) -> bool {
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let part = |digits: &[u8]| digits.is_empty() || is_python_digits(digits);
    let mantissa_is_right = match mantissa.iter().position(|&b| b == b'.') {
        Some(at) => {
            mantissa.len() > 1
                && part(mantissa.get(..at).unwrap_or_default())
                && part(mantissa.get(at + 1..).unwrap_or_default())
        }
        None => is_python_digits(mantissa),
    };
    mantissa_is_right && exponent.is_none_or(|digits| is_python_digits(sign(digits).1))
}

/// A float as Python's `repr` writes it, in JSON's words and without the `+` of an exponent.
///
/// Both languages choose the shortest digits that read back the same; they differ in where they put the point.
pub fn python_repr(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&power) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
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
