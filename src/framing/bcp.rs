//! Lines of BCP: LF, CR, the byte order mark, comments, payloads and their limits.

use memchr::{memchr, memchr_iter};

use super::{Frame, Framer, FramingError, RawMessage};
use crate::bcp::payload_marker;
use crate::text::is_white;

/// What is known of the line at the front of the buffer.
#[derive(Debug, Default)]
pub(super) struct LineState {
    is_after_start: bool,
    /// How many bytes have been searched for its LF, so that a line in single bytes is searched once.
    pub(super) searched: usize,
    /// It is whole, but its payload is not. So it is not read again for each piece of the payload.
    awaited: Option<Awaited>,
    /// It is over the limit and is skipped.
    pub(super) skipped: Option<Skipped>,
}

/// Lengths in bytes.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    line: usize,
    payload: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Skipped {
    /// Whether its frame has been returned. Until then only white space was seen.
    pub(super) is_reported: bool,
}

impl Framer {
    /// The next frame of BCP; `at_end`, what is left is the last one.
    pub(super) fn next_line(&mut self, at_end: bool) -> Option<Frame<'_>> {
        if !self.has_passed_byte_order_mark(at_end) {
            return None;
        }
        while let Some(skipped) = self.lines.skipped {
            if let Some(frame) = self.skip(skipped, at_end) {
                return Some(frame);
            }
            if self.lines.skipped.is_some() {
                return None;
            }
        }
        let (unread, searched) = (self.buffer.unread().len(), self.lines.searched);
        if let Some(Awaited { line, payload }) = self.lines.awaited {
            let got = unread - line - 1;
            return match got < payload {
                false => self.line(line, true),
                true if at_end => self.fail(FramingError::PayloadCut { got, announced: payload }),
                true => None,
            };
        }
        let found = memchr(b'\n', &self.buffer.unread()[searched..]);
        let length = found.map_or(unread, |found| searched + found);
        self.lines.searched = length;
        match found {
            _ if length > self.options.line_bytes_max => {
                self.lines.skipped = Some(Skipped { is_reported: false });
                self.next_line(at_end)
            }
            None if at_end && length == 0 => {
                self.has_ended = true;
                None
            }
            None if !at_end => None,
            _ => self.line(length, found.is_some()),
        }
    }

    /// The frame of the line that is the first `length` bytes of the buffer; `None` if its payload is incomplete.
    fn line(&mut self, length: usize, has_lf: bool) -> Option<Frame<'_>> {
        let (number, limit) = (self.number, self.options.payload_bytes_max);
        let line_bytes = length + usize::from(has_lf);
        let line = &self.buffer.unread()[..length];
        if is_ignored(line) {
            let line = &self.take(line_bytes, 1)[..length];
            return Some(Frame::Ignored { number, line, whole: true });
        }
        let line = without_cr(&mut self.clean, line);
        let is_clean = line.len() < length;
        let marker = payload_marker(line);
        let announced = match marker.filter(|_| self.options.payloads).map(|marker| marker.length) {
            None => None,
            Some(Some(bytes)) if bytes <= limit => Some(bytes),
            Some(_) => return self.fail(FramingError::PayloadTooLarge { limit }),
        };
        let payload = announced.unwrap_or(0);
        let after = &self.buffer.unread()[line_bytes..];
        if after.len() < payload {
            if !has_lf {
                return self.fail(FramingError::PayloadCut { got: 0, announced: payload });
            }
            self.lines.awaited = Some(Awaited { line: length, payload });
            return None;
        }
        self.start_line(1 + memchr_iter(b'\n', &after[..payload]).count());
        let raw = self.buffer.take(line_bytes + payload);
        let line = if is_clean { &self.clean } else { &raw[..length] };
        Some(Frame::Message(RawMessage { number, raw, line, marker, payload: announced.map(|_| &raw[line_bytes..]) }))
    }

    /// Drops what is there of a line over the limit. Returns its frame as soon as it is known not to be blank.
    fn skip(&mut self, skipped: Skipped, at_end: bool) -> Option<Frame<'static>> {
        let (number, limit) = (self.number, self.options.line_bytes_max);
        let unread = self.buffer.unread();
        let lf = memchr(b'\n', unread);
        let length = lf.unwrap_or(unread.len());
        let first = first_visible(&unread[..length]).filter(|_| !skipped.is_reported);
        self.take(length + usize::from(lf.is_some()), usize::from(lf.is_some()));
        let is_reported = skipped.is_reported || first.is_some();
        self.lines.skipped = if lf.is_some() { None } else { Some(Skipped { is_reported }) };
        self.has_ended = at_end && lf.is_none();
        match first {
            Some(b'#') => Some(Frame::Ignored { number, line: &[], whole: false }),
            Some(_) => Some(Frame::Bad { number, fault: FramingError::LineTooLong { limit } }),
            None if is_reported || (lf.is_none() && !at_end) => None,
            None => Some(Frame::Ignored { number, line: &[], whole: true }),
        }
    }

    /// Takes bytes with so many LFs, or other ends of lines.
    pub(super) fn take(&mut self, bytes: usize, lfs: usize) -> &[u8] {
        self.start_line(lfs);
        self.buffer.take(bytes)
    }

    /// Forgets the line at the front, so many lines before the next one.
    fn start_line(&mut self, lfs: usize) {
        self.number += lfs as u64;
        self.lines.searched = 0;
        self.lines.awaited = None;
    }

    /// Skips a byte order mark at the start of the input. Returns false while there may still be one.
    fn has_passed_byte_order_mark(&mut self, at_end: bool) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let unread = self.buffer.unread();
        if !self.lines.is_after_start && (at_end || unread.len() >= MARK.len() || !MARK.starts_with(unread)) {
            self.lines.is_after_start = true;
            if unread.starts_with(MARK) {
                self.buffer.take(MARK.len());
            }
        }
        self.lines.is_after_start
    }
}

/// Whether a line is blank or a comment: its first character that is not white space is `#`, or there is none. Such a
/// line is ignored unread, never has a payload and is never sent.
pub fn is_ignored(line: &[u8]) -> bool {
    first_visible(line).is_none_or(|byte| byte == b'#')
}

fn first_visible(line: &[u8]) -> Option<u8> {
    line.iter().copied().find(|&byte| !is_white(byte))
}

/// The line without CR, which is ignored wherever it is. `clean` is used only if there is one.
pub fn without_cr<'a>(clean: &'a mut Vec<u8>, line: &'a [u8]) -> &'a [u8] {
    if memchr(b'\r', line).is_none() {
        return line;
    }
    clean.clear();
    clean.extend(line.iter().filter(|&&byte| byte != b'\r'));
    clean
}

#[cfg(test)]
#[path = "bcp_tests.rs"]
mod tests;
