//! `%XX` escapes in names and plain values.

use std::borrow::Cow;

use memchr::memchr2;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What `encode` escapes: everything but `A–Z a–z 0–9 _ . - ~`, so that no character is a separator to any peer.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// Whether `encode` writes this byte of a name or plain value without an escape.
pub(super) const fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~')
}

/// Appends text with `%XX`, in upper-case hex, for all but `A–Z a–z 0–9 _ . - ~`.
///
/// ```
/// let mut out = Vec::new();
/// backbox::bcp::escape("Foo Bär".as_bytes(), &mut out);
/// assert_eq!(out, b"Foo%20B%C3%A4r");
/// ```
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    for piece in percent_encode(text, ESCAPED) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Decodes `%XX`, and `+` as a space (MPF reads it so), once. A `%` that starts no valid escape stands for itself. The
/// result need not be UTF-8.
///
/// ```
/// assert_eq!(*backbox::bcp::unescape(b"100%2541+%zz"), *b"100%41 %zz");
/// ```
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    let is_escape = |&byte: &u8| byte == b'%' || byte == b'+';
    let Some(first) = text.iter().position(is_escape) else { return Cow::Borrowed(text) };
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let (mut rest, mut found) = (text, Some(first));
    while let Some(at) = found {
        decoded.extend_from_slice(&rest[..at]);
        let (byte, length) = match (rest[at], hex(rest.get(at + 1)), hex(rest.get(at + 2))) {
            (b'+', ..) => (b' ', 1),
            (_, Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            _ => (b'%', 1),
        };
        decoded.push(byte);
        rest = &rest[at + length..];
        found = memchr2(b'%', b'+', rest);
    }
    decoded.extend_from_slice(rest);
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_that_starts_no_escape_stands_for_itself() {
        for (text, expected) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("50%25%", "50%%"),
            ("%2+5", "%2 5"),
            ("a+%2B+", "a + "),
            ("%%41", "%A"),
        ] {
            assert_eq!(&*unescape(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn unescape_reverses_escape() {
        let all: Vec<u8> = (0..=255).collect();
        let mut escaped = Vec::new();
        escape(&all, &mut escaped);
        assert!(escaped.iter().all(|&b| b == b'%' || is_safe(b)));
        assert_eq!(&*unescape(&escaped), &all[..]);
    }
}
