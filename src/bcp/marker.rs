//! The payload marker: how a line says that raw bytes follow it (bcp(7), Payloads).

use std::borrow::Cow;

use memchr::memchr;

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
    is_marker.then(|| Marker { at, digits_at: line.len() - digits.len(), length: parse_length(digits) })
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

/// The number in digits of any count; `None` if it is too large.
fn parse_length(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
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
}
