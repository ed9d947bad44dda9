//! `%XX` escapes in names and plain values (design.md, sections 1 and 5).

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What `encode` escapes: everything but `A–Z a–z 0–9 _ . - ~`, so that no peer's idea of a separator meets one.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// Whether a byte stands for itself in a name or plain value that `encode` writes.
pub const fn is_unreserved(byte: u8) -> bool {
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

/// Text with its escapes decoded, once: `%XX`, and `+` for a space as MPF reads it.
/// A `%` that starts no valid escape stands for itself. The result need not be UTF-8.
///
/// ```
/// assert_eq!(*backbox::bcp::unescape(b"100%2541+%zz"), *b"100%41 %zz");
/// ```
pub fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut from = 0;
    // No escape reaches over a plus, so the pieces between them are decoded one by one.
    for plus in memchr_iter(b'+', text) {
        decoded.extend(percent_decode(text.get(from..plus).unwrap_or_default()));
        decoded.push(b' ');
        from = plus + 1;
    }
    decoded.extend(percent_decode(text.get(from..).unwrap_or_default()));
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_that_starts_no_escape_stands_for_itself() {
        for (text, expected) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("50%25%", "50%%"), ("%2+5", "%2 5"), ("a+%2B+", "a + ")]
        {
            assert_eq!(&*unescape(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut escaped = Vec::new();
        escape(&all, &mut escaped);
        assert!(escaped.iter().all(|&b| b == b'%' || is_unreserved(b)));
        assert_eq!(&*unescape(&escaped), &all[..]);
    }
}
