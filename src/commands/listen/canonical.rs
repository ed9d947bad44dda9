//! `listen --forward --canonical`: what a client sends, each line in the form that every known decoder reads alike.
//!
//! A line that does not parse, a comment, and a line that is too long are not changed; payloads never are.

use crate::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use crate::framing::{is_ignored, without_cr};
use crate::net::Rewrite;

/// The longest line that MPF reads, in bytes without LF; others were written against it.
const SAFE_LINE_BYTES_MAX: usize = 65_536;

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Inside {
    Line,
    /// The rest of a line that is too long.
    LongLine,
    /// So many bytes of a payload.
    Payload(usize),
    /// Nothing that can be understood: the length of a payload was not a number.
    Unknown,
}

/// Rewrites a stream of BCP, given in any pieces.
#[derive(Debug)]
pub(super) struct Canonical {
    inside: Inside,
    /// The beginning of a line that is not whole.
    line: Vec<u8>,
    message: Message,
    clean: Vec<u8>,
    /// The longest line that is rewritten, in bytes without LF.
    line_bytes_max: usize,
}

impl Rewrite for Canonical {
    fn rewrite(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let (taken, next) = match self.inside {
                Inside::Line => {
                    bytes = self.read_line(bytes, out);
                    continue;
                }
                Inside::Unknown => (bytes.len(), Inside::Unknown),
                Inside::Payload(left) if left > bytes.len() => (bytes.len(), Inside::Payload(left - bytes.len())),
                Inside::Payload(left) => (left, Inside::Line),
                Inside::LongLine => match memchr::memchr(b'\n', bytes) {
                    None => (bytes.len(), Inside::LongLine),
                    Some(end) => (end + 1, Inside::Line),
                },
            };
            out.extend_from_slice(&bytes[..taken]);
            (bytes, self.inside) = (&bytes[taken..], next);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.line);
    }

    fn is_inside_message(&self) -> bool {
        matches!(self.inside, Inside::LongLine | Inside::Payload(_))
    }
}

impl Canonical {
    /// At the start of a stream; a line over `line_bytes_max` is not changed.
    pub(super) fn new(line_bytes_max: usize) -> Canonical {
        let (line, clean) = (Vec::new(), Vec::new());
        Canonical { inside: Inside::Line, line, message: Message::new(), clean, line_bytes_max }
    }

    /// Reads up to the end of the line that has begun; returns what comes after it.
    fn read_line<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.line.extend_from_slice(bytes);
            if self.line.len() > self.line_bytes_max {
                out.append(&mut self.line);
                self.inside = Inside::LongLine;
            }
            return &[];
        };
        self.line.extend_from_slice(&bytes[..end]);
        let line = std::mem::take(&mut self.line);
        self.inside = self.write(&line, out);
        self.line = line;
        self.line.clear();
        self.line.shrink_to(SAFE_LINE_BYTES_MAX);
        &bytes[end + 1..]
    }

    /// Appends a whole line, rewritten where possible; returns what follows it.
    fn write(&mut self, line: &[u8], out: &mut Vec<u8>) -> Inside {
        let mark = "\u{feff}".as_bytes();
        let (mark, text) = line.split_at(if line.starts_with(mark) { mark.len() } else { 0 });
        let text = without_cr(&mut self.clean, text);
        let marker = payload_marker(text).filter(|_| !is_ignored(text));
        let payload = marker.map(|marker| marker.length);
        let query = marker.map_or(text, |marker| &text[..marker.at]);
        let start = out.len();
        out.extend_from_slice(mark);
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
        match payload {
            None | Some(Some(0)) => Inside::Line,
            Some(Some(bytes)) => Inside::Payload(bytes),
            Some(None) => Inside::Unknown,
        }
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
                canonical.rewrite(bytes, &mut out);
            }
            canonical.finish(&mut out);
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
            ("\u{feff}Reset\nrest", "\u{feff}reset\nrest"),
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
        Canonical::new(5).rewrite(b"T?a=12\nT?a=1\n", &mut out);
        assert_eq!(out, b"T?a=12\nt?a=1\n");
    }
}
