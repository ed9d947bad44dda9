//! `--canonical`: what a dialler says, each line in the form that every known decoder reads alike (design.md,
//! sections 5 and 10).
//!
//! A line that does not parse, a comment, and a line that is too long stay as they were; payloads are never touched.

use crate::bcp::payload_marker;
use crate::bcp::{Message, ParseOptions, WriteOptions, write_line};
use crate::framing::{is_ignored, without_cr};
use crate::net::pump::Rewrite;

/// The longest line that MPF reads, in bytes without LF; others were written against it.
const SAFE_LINE_BYTES_MAX: usize = 65_536;

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A line.
    Line,
    /// The rest of a line that is too long.
    LongLine,
    /// So many bytes of a payload.
    Payload(usize),
    /// Something that cannot be framed any more: a payload's length that is no number.
    Lost,
}

/// Rewrites a stream of BCP, given in any pieces.
#[derive(Debug)]
pub struct Canonical {
    state: State,
    /// The line that is not whole yet.
    line: Vec<u8>,
    parts: Message,
    clean: Vec<u8>,
    /// The longest line that is rewritten, in bytes without LF.
    line_bytes_max: usize,
}

impl Canonical {
    /// At the start of a stream; a line over `line_bytes_max` stays as it was.
    pub fn new(line_bytes_max: usize) -> Canonical {
        Canonical { state: State::Line, line: Vec::new(), parts: Message::new(), clean: Vec::new(), line_bytes_max }
    }
}

impl Rewrite for Canonical {
    fn rewrite(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Lost => {
                    out.extend_from_slice(bytes);
                    bytes.len()
                }
                State::Payload(left) => {
                    let taken = left.min(bytes.len());
                    out.extend_from_slice(bytes.get(..taken).unwrap_or_default());
                    self.state = if taken < left { State::Payload(left - taken) } else { State::Line };
                    taken
                }
                State::LongLine => {
                    let end = memchr::memchr(b'\n', bytes);
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    out.extend_from_slice(bytes.get(..taken).unwrap_or_default());
                    if end.is_some() {
                        self.state = State::Line;
                    }
                    taken
                }
                State::Line => self.take_line(bytes, out),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.line);
    }

    fn is_inside_message(&self) -> bool {
        matches!(self.state, State::LongLine | State::Payload(_))
    }
}

impl Canonical {
    /// Takes what belongs to the line that has begun; how many bytes that are.
    fn take_line(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.line.extend_from_slice(bytes);
            if self.line.len() > self.line_bytes_max {
                out.append(&mut self.line);
                self.state = State::LongLine;
            }
            return bytes.len();
        };
        self.line.extend_from_slice(bytes.get(..end).unwrap_or_default());
        let line = std::mem::take(&mut self.line);
        self.state = self.write(&line, out);
        self.line = line;
        self.line.clear();
        self.line.shrink_to(SAFE_LINE_BYTES_MAX);
        end + 1
    }

    /// Appends a whole line, rewritten where that can be; what follows it.
    fn write(&mut self, line: &[u8], out: &mut Vec<u8>) -> State {
        let mark = "\u{feff}".as_bytes();
        let (mark, text) = if line.starts_with(mark) { line.split_at(mark.len()) } else { line.split_at(0) };
        let text = without_cr(&mut self.clean, text);
        let marker = if is_ignored(text) { None } else { payload_marker(text) };
        let payload = marker.map(|marker| marker.length);
        let meant = marker.map_or(text, |marker| text.get(..marker.at).unwrap_or_default());
        let start = out.len();
        out.extend_from_slice(mark);
        let limit = if text.len() <= SAFE_LINE_BYTES_MAX { SAFE_LINE_BYTES_MAX } else { self.line_bytes_max };
        let form = WriteOptions { line_bytes_max: limit, ..WriteOptions::default() };
        let rewritten = text.len() <= self.line_bytes_max
            && !is_ignored(text)
            && payload != Some(None)
            && self.parts.parse_line(meant, &ParseOptions::default()).is_ok()
            && write_line(&self.parts, payload.flatten(), &form, out).is_ok();
        if !rewritten {
            out.truncate(start);
            out.extend_from_slice(line);
        }
        out.push(b'\n');
        match payload {
            None | Some(Some(0)) => State::Line,
            Some(Some(bytes)) => State::Payload(bytes),
            Some(None) => State::Lost,
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
