//! How Python reads numbers and expressions: what MPF's `int()`, `float()` and placeholder parser take (design.md,
//! section 13).
//!
//! Numbers are read exactly as Python reads them, its other scripts' digits included. Of an expression only brackets,
//! quotes and stray characters are looked at: whether the names in it mean anything is MPF's to answer.

use std::borrow::Cow;

use crate::text::trim;

/// How many digits Python's `int()` reads at most; more would take it too long.
pub const INTEGER_DIGITS_MAX: usize = 4300;

/// How many brackets may be open at once in an expression of Python's.
const BRACKETS_MAX: usize = 200;

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

/// What keeps Python from compiling text as an expression, as a phrase behind its name; `None` when nothing that can be
/// seen without a compiler.
pub fn expression_fault(text: &str) -> Option<&'static str> {
    let start = text.trim_start_matches(['\n', '\r']);
    if start.starts_with([' ', '\t']) {
        return Some("begins with a blank");
    }
    if text.contains('\0') {
        return Some("holds NUL");
    }
    let mut expression = Expression { rest: start, open: Vec::new(), is_empty: true };
    expression.run().err().or_else(|| {
        let unclosed = (!expression.open.is_empty()).then_some("has a bracket that does not close");
        unclosed.or(expression.is_empty.then_some("is empty"))
    })
}

/// The bracket that closes another.
fn closing(bracket: char) -> char {
    match bracket {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// A walk along an expression.
struct Expression<'t> {
    rest: &'t str,
    /// The brackets that have to close the open ones, innermost last.
    open: Vec<char>,
    is_empty: bool,
}

impl Expression<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(c) = self.take() {
            match c {
                ' ' | '\t' | '\x0c' => continue,
                '#' => self.rest = self.rest.find('\n').and_then(|at| self.rest.get(at..)).unwrap_or_default(),
                '\n' | '\r' => self.line_break()?,
                _ => {
                    self.is_empty = false;
                    self.token(c)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let c = letters.next()?;
        self.rest = letters.as_str();
        Some(c)
    }

    fn take_if(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A line break ends an expression unless a bracket is open.
    fn line_break(&mut self) -> Result<(), &'static str> {
        let rest = self.rest.trim_start();
        if self.is_empty || !self.open.is_empty() || rest.is_empty() || rest.starts_with('#') {
            return Ok(());
        }
        Err("goes on behind a line break")
    }

    fn token(&mut self, c: char) -> Result<(), &'static str> {
        match c {
            '"' | '\'' => self.quoted(c),
            '(' | '[' | '{' if self.open.len() >= BRACKETS_MAX => Err("has too many open brackets"),
            '(' | '[' | '{' => {
                self.open.push(closing(c));
                Ok(())
            }
            ')' | ']' | '}' if self.open.pop() != Some(c) => Err("has a bracket that closes nothing"),
            ':' if self.open.is_empty() && self.rest.starts_with('=') => Err("holds a lone ="),
            '<' | '>' | ':' => {
                self.take_if("=");
                Ok(())
            }
            '=' if !self.take_if("=") => Err("holds a lone ="),
            '!' if !self.take_if("=") => Err("holds a lone !"),
            '\\' if !self.take_if("\n") => Err("holds a backslash outside quotes"),
            ';' => Err("holds a ;"),
            '$' | '?' | '`' => Err("holds a character that Python does not know"),
            _ => Ok(()),
        }
    }

    /// A string, up to its closing quote or quotes.
    fn quoted(&mut self, quote: char) -> Result<(), &'static str> {
        let three: String = [quote; 3].iter().collect();
        let triple = self.take_if(&three[1..]);
        if !triple && self.take_if(&three[2..]) {
            return Ok(());
        }
        loop {
            match self.take() {
                None => break,
                Some('\\') => drop(self.take()),
                Some('\n' | '\r') if !triple => break,
                Some(c) if c == quote && (!triple || self.take_if(&three[1..])) => return Ok(()),
                Some(_) => {}
            }
        }
        Err("has a quote that does not close")
    }
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

    #[test]
    fn expressions_are_judged_by_what_can_be_seen() {
        for text in [
            "foo",
            "players[0].score",
            "\"a;b=c\"",
            "{1:2}",
            "1 if 1 else 2",
            "a==1 and b>=2 or c!=3 or d<=4",
            "(x:=1)",
            "f(\n1\n)",
            "'it\\'s'",
            "'''a\n'b'''",
            "\"\"",
            "1 # done; (",
            "1\n\n",
            "a \\\n+ b",
            "lambda:1",
        ] {
            assert_eq!(expression_fault(text), None, "{text:?}");
        }
        for (text, fault) in [
            ("", "is empty"),
            ("# nothing", "is empty"),
            ("\n", "is empty"),
            (" 1", "begins with a blank"),
            ("\n\t1", "begins with a blank"),
            ("a\0b", "holds NUL"),
            ("foo(", "has a bracket that does not close"),
            ("foo)", "has a bracket that closes nothing"),
            ("(]", "has a bracket that closes nothing"),
            ("'a", "has a quote that does not close"),
            ("'a\nb'", "has a quote that does not close"),
            ("x=1", "holds a lone ="),
            ("x===1", "holds a lone ="),
            ("x:=1", "holds a lone ="),
            ("1;2", "holds a ;"),
            ("!a", "holds a lone !"),
            ("$a", "holds a character that Python does not know"),
            ("a\\b", "holds a backslash outside quotes"),
            ("1\n2", "goes on behind a line break"),
        ] {
            assert_eq!(expression_fault(text), Some(fault), "{text:?}");
        }
        let nested = |count| "(".repeat(count) + "1" + &")".repeat(count);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX)), None);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX + 1)), Some("has too many open brackets"));
    }
}
