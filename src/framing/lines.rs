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

/// Cuts a stream of bytes into lines; used like [`Framer`](super::Framer).
///
/// ```
/// use backbox::framing::{LineFramer, TextLine};
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
    /// How many bytes at the front of the buffer have been searched for the end.
    searched: usize,
    is_skipping: bool,
}

impl LineFramer {
    /// A framer for lines that end in `end`. Before LF a CR belongs to the end, and a byte order mark at the start of
    /// the input is skipped; before NUL every byte counts.
    pub fn new(end: u8, line_bytes_max: usize) -> LineFramer {
        LineFramer { buffer: Buffer::new(READ_BYTES), end, line_bytes_max, number: 0, searched: 0, is_skipping: false }
    }

    /// Where to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Adds the first `count` bytes of [`LineFramer::space`].
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

    /// The next whole line, or `None` if more bytes are needed.
    pub fn next_line(&mut self) -> Option<TextLine<'_>> {
        loop {
            let unread = self.buffer.unread();
            let found = memchr(self.end, &unread[self.searched..]);
            let length = found.map_or(unread.len(), |found| self.searched + found);
            if self.is_skipping {
                self.buffer.take(length + usize::from(found.is_some()));
                self.is_skipping = found.is_none();
                found?;
                continue;
            }
            self.searched = length;
            if length > self.line_bytes_max {
                self.searched = 0;
                self.number += 1;
                self.is_skipping = true;
                return Some(TextLine::TooLong { number: self.number });
            }
            found?;
            self.searched = 0;
            return Some(self.line(length, 1));
        }
    }

    /// The last line of an input that has ended without a line end.
    pub fn end(&mut self) -> Option<TextLine<'_>> {
        let length = self.buffer.unread().len();
        (length > 0 && !self.is_skipping).then(|| self.line(length, 0))
    }

    fn line(&mut self, length: usize, end_bytes: usize) -> TextLine<'_> {
        self.number += 1;
        let mut text = &self.buffer.take(length + end_bytes)[..length];
        if self.end == b'\n' {
            if self.number == 1 {
                text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            }
            if end_bytes > 0 {
                text = text.strip_suffix(b"\r").unwrap_or(text);
            }
        }
        TextLine::Whole { number: self.number, text }
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
