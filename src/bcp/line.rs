//! The syntax of a line: its payload marker (bcp(7), Payloads), its command, and `%XX` escapes in names and values.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::text::trim;

/// The payload marker at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Where the marker begins in the line: the line is cut here before it is parsed.
    pub at: usize,
    /// Where the digits of its length begin.
    pub digits_at: usize,
    /// How many payload bytes follow the line's LF; `None` when the number is larger than any address.
    pub length: Option<usize>,
}

/// Finds the marker of a line (without LF and CR): `&bytes=N` at its very end, or `?bytes=N` as its whole query.
///
/// MPF cuts a line at `&bytes=` wherever it stands; other peers write `?bytes=N`. Upper case, a sign or anything behind
/// the digits make it an ordinary parameter.
///
/// ```
/// use backbox::bcp::payload_marker;
/// assert_eq!(payload_marker(b"dmd_frame?name=default&bytes=4").unwrap().length, Some(4));
/// assert_eq!(payload_marker(b"dmd_frame&bytes=4096").unwrap().at, 9);
/// assert!(payload_marker(b"t?a=x?bytes=4").is_none());
/// ```
pub fn payload_marker(line: &[u8]) -> Option<Marker> {
    const NAME: &[u8] = b"bytes=";
    // Nearly every line ends here: few end in a digit.
    if !line.last()?.is_ascii_digit() {
        return None;
    }
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    let before = before.strip_suffix(NAME)?;
    let at = before.len().checked_sub(1)?;
    let is_marker = before[at] == b'&' || (before[at] == b'?' && memchr(b'?', line) == Some(at));
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    is_marker.then(|| Marker { at, digits_at: line.len() - digits.len(), length })
}

/// The command of a line (without LF and CR), malformed or not: what stands before its `?` or payload marker, trimmed.
/// It is not lower-cased.
///
/// ```
/// use backbox::bcp::line_command;
/// assert_eq!(line_command(b" Trigger ?name=int:x"), "Trigger");
/// assert_eq!(line_command(b"dmd_frame&bytes=4096"), "dmd_frame");
/// ```
pub fn line_command(line: &[u8]) -> Cow<'_, str> {
    let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
    let end = memchr(b'?', text).unwrap_or(text.len());
    String::from_utf8_lossy(trim(&text[..end]))
}

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
    if !text.iter().any(|&byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(usize, Option<usize>)>) {
        assert_eq!(payload_marker(line.as_bytes()).map(|m| (m.at, m.length)), expected, "{line}");
    }

    #[test]
    fn only_the_very_end_marks_a_payload() {
        check("dmd_frame&bytes=4096", Some((9, Some(4096))));
        check("f?bytes=4", Some((1, Some(4))));
        check("f?a=1&bytes=004", Some((5, Some(4))));
        check("f?bytes=3&bytes=4", Some((9, Some(4))));
        check("&bytes=0", Some((0, Some(0))));
        check("f?json={\"a\": 1}&bytes=0", Some((15, Some(0))));
        for line in [
            "",
            "f",
            "f4",
            "bytes=4",
            "f?a=x?bytes=4",
            "f?bytes=",
            "f?a=1&bytes=+4",
            "f?a=1&bytes=4 ",
            "f?a=1&Bytes=4",
            "f?a=1&bytes=4&b=1",
            "f?a=1&xbytes=4",
            "f?a=1&bytes=int:4",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn the_command_ends_at_the_query_or_the_payload_marker() {
        for (line, expected) in [("a", "a"), (" Good Bye ?x", "Good Bye"), ("f&bytes=4", "f"), ("?x=1", ""), ("", "")] {
            assert_eq!(line_command(line.as_bytes()), expected);
        }
    }

    #[test]
    fn a_length_beyond_any_address_is_no_number() {
        check("f&bytes=99999999999999999999999999", Some((1, None)));
    }

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
