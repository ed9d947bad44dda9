//! Bare lines: JSON Lines and lists of strings, which know neither comments nor payloads.

use memchr::memchr;

use super::buffer::Buffer;
use crate::limits::READ_BYTES;

/// One line of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLine<'a> {
    /// A line without its end.
    Whole {
        /// Its number, from 1.
        number: u64,
        /// Its bytes.
        text: &'a [u8],
    },
    /// A line over the limit; it is skipped to its end.
    TooLong {
        /// Its number, from 1.
        number: u64,
    },
}

/// Cuts a stream of bytes into lines; used like [`super::BcpFramer`].
///
/// ```
/// use backbox::framing::{TextLine, LineFramer};
/// let mut lines = LineFramer::new(b'\n', 100);
/// lines.space()[..4].copy_from_slice(b"a\r\nb");
/// lines.filled(4);
/// assert_eq!(lines.next_line(), Some(TextLine::Whole { number: 1, text: b"a" }));
/// assert_eq!(lines.next_line(), None);
/// assert_eq!(lines.end(), Some(TextLine::Whole { number: 2, text: b"b" }));
/// ```
#[derive(Debug)]
pub struct LineFramer {
    buffer: Buffer,
    end: u8,
    line_bytes_max: usize,
    number: u64,
    searched: usize,
    skipping: bool,
}

impl LineFramer {
    /// A framer for lines that end in `end`: LF, where a CR before it belongs to the end and a byte order mark at the
    /// start of the input is skipped, or NUL, where every other byte counts.
    pub fn new(end: u8, line_bytes_max: usize) -> LineFramer {
        LineFramer { buffer: Buffer::new(READ_BYTES), end, line_bytes_max, number: 0, searched: 0, skipping: false }
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Says how many bytes of [`LineFramer::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Adds bytes that were read elsewhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.filled(now.len());
            bytes = later;
        }
    }

    /// The next whole line, or `None` when more bytes are needed.
    pub fn next_line(&mut self) -> Option<TextLine<'_>> {
        loop {
            let unread = self.buffer.unread();
            let Some(found) = memchr(self.end, unread.get(self.searched..)?) else {
                return self.unfinished();
            };
            let length = self.searched + found;
            self.searched = 0;
            if !std::mem::take(&mut self.skipping) {
                return Some(self.line(length, 1));
            }
            self.buffer.consume(length + 1);
        }
    }

    /// The last line of an input that has ended without a line end.
    pub fn end(&mut self) -> Option<TextLine<'_>> {
        let length = self.buffer.unread().len();
        if length == 0 || self.skipping {
            return None;
        }
        Some(self.line(length, 0))
    }

    fn line(&mut self, length: usize, end_bytes: usize) -> TextLine<'_> {
        self.number += 1;
        let number = self.number;
        let at = self.buffer.take(length + end_bytes);
        if length > self.line_bytes_max {
            return TextLine::TooLong { number };
        }
        let mut text = self.buffer.taken(at, length);
        if self.end == b'\n' {
            if number == 1 {
                text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            }
            if end_bytes > 0 {
                text = text.strip_suffix(b"\r").unwrap_or(text);
            }
        }
        TextLine::Whole { number, text }
    }

    fn unfinished(&mut self) -> Option<TextLine<'_>> {
        let unread = self.buffer.unread().len();
        if self.skipping {
            self.buffer.consume(unread);
            return None;
        }
        self.searched = unread;
        if unread <= self.line_bytes_max {
            return None;
        }
        self.skipping = true;
        self.searched = 0;
        self.buffer.consume(unread);
        self.number += 1;
        Some(TextLine::TooLong { number: self.number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(end: u8, limit: usize, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = LineFramer::new(end, limit);
        let mut seen = Vec::new();
        let show = |line: TextLine<'_>| match line {
            TextLine::Whole { number, text } => format!("{number} {}", text.escape_ascii()),
            TextLine::TooLong { number } => format!("{number} too long"),
        };
        for bytes in input.chunks(piece) {
            framer.space()[..bytes.len()].copy_from_slice(bytes);
            framer.filled(bytes.len());
            while let Some(line) = framer.next_line() {
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
