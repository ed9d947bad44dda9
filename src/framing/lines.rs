//! Bare lines: JSON Lines and lists of strings, which know neither comments nor payloads.

use memchr::memchr;

use super::bcp::Skipped;
use super::{Frame, Framer, FramingError, RawMessage};

impl Framer {
    /// The next line that ends in `end`; `at_end`, what is left is the last one.
    pub(super) fn next_bare_line(&mut self, end: u8, at_end: bool) -> Option<Frame<'_>> {
        let (number, limit, searched) = (self.number, self.options.line_bytes_max, self.lines.searched);
        let unread = self.buffer.unread();
        let found = memchr(end, &unread[searched..]);
        let length = found.map_or(unread.len(), |found| searched + found);
        let end_bytes = usize::from(found.is_some());
        if self.lines.skipped.is_some() {
            self.take(length + end_bytes, end_bytes);
            found?;
            self.lines.skipped = None;
            return self.next_bare_line(end, at_end);
        }
        self.lines.searched = length;
        if length > limit {
            self.lines.skipped = Some(Skipped { is_reported: true });
            return Some(Frame::Bad { number, fault: FramingError::LineTooLong { limit } });
        }
        if found.is_none() && !(at_end && length > 0) {
            return None;
        }
        let raw = self.take(length + end_bytes, 1);
        let mut line = &raw[..length];
        if end == b'\n' && number == 1 {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if end == b'\n' && found.is_some() {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        Some(Frame::Message(RawMessage { number, raw, line, marker: None, payload: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(end: u8, limit: usize, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::bare_lines(end, limit);
        let mut seen = Vec::new();
        let show = |frame: Frame<'_>| match frame.bare_line() {
            Ok((number, text)) => format!("{number} {}", text.escape_ascii()),
            Err(number) => format!("{number} too long"),
        };
        for bytes in input.chunks(piece) {
            framer.space()[..bytes.len()].copy_from_slice(bytes);
            framer.filled(bytes.len());
            while let Some(line) = framer.next_frame() {
                seen.push(show(line));
            }
        }
        seen.extend(framer.end().map(show));
        seen
    }

    #[track_caller]
    fn check(end: u8, limit: usize, input: &[u8], expected: &[&str]) {
        for piece in [input.len().max(1), 1, 2, 3] {
            assert_eq!(lines(end, limit, input, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn whole_byte_by_byte_and_with_trailing_data() {
        check(b'\n', 9, b"", &[]);
        check(b'\n', 9, b"a\r\n\n#b\nc", &["1 a", "2 ", "3 #b", "4 c"]);
        check(b'\n', 9, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\r", &["1 a", "2 \\xef\\xbb\\xbfb\\r"]);
        check(0, 9, b"a\r\n\0\0b", &["1 a\\r\\n", "2 ", "3 b"]);
    }

    #[test]
    fn a_line_over_the_limit_costs_itself_alone() {
        check(b'\n', 3, b"abc\nabcd\nabcdefghi\nx\n", &["1 abc", "2 too long", "3 too long", "4 x"]);
        check(b'\n', 3, b"abcdefgh", &["1 too long"]);
    }
}
