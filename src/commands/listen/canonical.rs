//! `listen --forward --canonical`: what a client sends, each line in the form that every known decoder reads alike.
//!
//! A line that does not parse, a comment, and a line that is too long are not changed; payloads never are.

use crate::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use crate::framing::{is_ignored, without_cr};

/// The longest line that MPF reads, in bytes without LF; others were written against it.
const SAFE_LINE_BYTES_MAX: usize = 65_536;

/// In place of the length of a payload that is not a number: what follows cannot be understood.
const UNKNOWN: usize = usize::MAX;

/// Rewrites a stream of BCP, given in any pieces.
pub(super) struct Canonical {
    /// The beginning of a line that is not whole.
    line: Vec<u8>,
    /// Whether the beginning of the line was too long to be kept.
    is_long: bool,
    /// How many bytes of a payload follow, or [`UNKNOWN`].
    payload: usize,
    message: Message,
    clean: Vec<u8>,
    /// The longest line that is rewritten, in bytes without LF.
    line_bytes_max: usize,
}

impl Canonical {
    /// At the start of a stream; a line over `line_bytes_max` is not changed.
    pub(super) fn new(line_bytes_max: usize) -> Canonical {
        let (line, clean) = (Vec::new(), Vec::new());
        Canonical { line, is_long: false, payload: 0, message: Message::new(), clean, line_bytes_max }
    }

    /// What [`Rewrite`](crate::net::Rewrite) asks for.
    pub(super) fn rewrite(&mut self, mut bytes: &[u8], is_last: bool, out: &mut Vec<u8>) -> bool {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let (payload, rest) = bytes.split_at(self.payload.min(bytes.len()));
                out.extend_from_slice(payload);
                self.payload -= if self.payload == UNKNOWN { 0 } else { payload.len() };
                bytes = rest;
                continue;
            }
            let end = memchr::memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            self.line.extend_from_slice(piece);
            bytes = rest;
            match end {
                Some(_) if !self.is_long => self.write_line(out),
                None if !self.is_long && self.line.len() <= self.line_bytes_max => {}
                _ => {
                    out.append(&mut self.line);
                    self.is_long = end.is_none();
                }
            }
        }
        if is_last {
            out.append(&mut self.line);
        }
        self.is_long || (1..UNKNOWN).contains(&self.payload)
    }

    /// Appends the line, which is whole, rewritten where possible.
    fn write_line(&mut self, out: &mut Vec<u8>) {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = without_cr(&mut self.clean, line);
        let marker = payload_marker(text).filter(|_| !is_ignored(text));
        let payload = marker.map(|marker| marker.length);
        let query = marker.map_or(text, |marker| &text[..marker.at]);
        let start = out.len();
        let limit = if text.len() <= SAFE_LINE_BYTES_MAX { SAFE_LINE_BYTES_MAX } else { self.line_bytes_max };
        let form = WriteOptions { line_bytes_max: limit, ..WriteOptions::default() };
        let is_rewritten = text.len() <= self.line_bytes_max
            && !is_ignored(text)
            && payload != Some(None)
            && self.message.parse_line(query, &ParseOptions::default()).is_ok()
            && write_line(&self.message, payload.flatten(), &form, out).is_ok();
        if !is_rewritten {
            out.truncate(start);
            out.extend_from_slice(line);
        }
        out.push(b'\n');
        self.payload = payload.map_or(0, |length| length.unwrap_or(UNKNOWN));
        self.line.clear();
        self.line.shrink_to(SAFE_LINE_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    #[track_caller]
    fn check(input: &[u8], expected: &[u8]) {
        for piece in [1, 2, 7, input.len().max(1)] {
            let (mut canonical, mut out) = (Canonical::new(LINE_BYTES_MAX), Vec::new());
            for bytes in input.chunks(piece) {
                canonical.rewrite(bytes, false, &mut out);
            }
            canonical.rewrite(b"", true, &mut out);
            assert!(out == expected, "{piece}: {}", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn lines_that_parse_are_rewritten_and_others_are_not() {
        for (line, expected) in [
            ("trigger?name=HIGH SCORE #2\n", "trigger?name=HIGH%20SCORE%20%232\n"),
            ("trigger?name=Brooks %26 Dunn\r\n", "trigger?json={\"name\": \"Brooks \\u0026 Dunn\"}\n"),
            ("Trigger?A=int:05&b=\n", "trigger?a=int:5&b=\n"),
            ("trigger?a=int:x\r\n", "trigger?a=int:x\r\n"),
            ("x y?a=b%26\n", "x y?a=b%26\n"),
            ("# a & b\n\n \n", "# a & b\n\n \n"),
            ("Reset\nrest", "reset\nrest"),
        ] {
            check(line.as_bytes(), expected.as_bytes());
        }
        check(b"trigger?a=\xff\n", b"trigger?a=\xff\n");
    }

    #[test]
    fn payloads_are_never_touched() {
        check(
            b"F?a=%26&bytes=4\nA=\n&B?x=%26\n",
            b"f?json={\"a\": \"\\u0026\"}&bytes=4\nA=\n&b?json={\"x\": \"\\u0026\"}\n",
        );
        check(b"F&bytes=0\nReset\n", b"f&bytes=0\nreset\n");
        check(b"F&bytes=99999999999999999999999\nReset\n", b"F&bytes=99999999999999999999999\nReset\n");
    }

    #[test]
    fn a_line_that_would_grow_too_long_or_is_stays_as_it_was() {
        let line = |filler: &str, count: usize| format!("T?a=%26{}\n", filler.repeat(count)).into_bytes();
        let grows = line("é", 20_000);
        check(&grows, &grows);
        let long = line("x", 70_000);
        check(&long, &[b"t?json={\"a\": \"\\u0026", "x".repeat(70_000).as_bytes(), b"\"}\n"].concat());
        let too_long = line("x", LINE_BYTES_MAX);
        check(&[&too_long[..], b"Reset\n"].concat(), &[&too_long[..], b"reset\n"].concat());
        let mut out = Vec::new();
        Canonical::new(5).rewrite(b"T?a=12\nT?a=1\n", false, &mut out);
        assert_eq!(out, b"T?a=12\nt?a=1\n");
    }
}
