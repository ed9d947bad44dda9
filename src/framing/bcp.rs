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
    searched: usize,
    /// Its length, if its payload is incomplete.
    awaited: Option<Awaited>,
    /// It is over the limit and is skipped.
    pub(super) skipped: Option<Skipped>,
}

/// A whole line whose payload is incomplete. Lengths are in bytes.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// The line without LF.
    line: usize,
    payload: usize,
    /// Line, LF and payload.
    whole: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// Only white space so far.
    Blank,
    /// A comment, or reported.
    Known,
}

impl Framer {
    pub(super) fn next_line(&mut self) -> Option<Frame<'_>> {
        self.skip_byte_order_mark(false)?;
        loop {
            if let Some(skipped) = self.lines.skipped {
                match self.skip(skipped) {
                    Some(frame) => return Some(frame),
                    None if self.lines.skipped.is_some() => return None,
                    None => continue,
                }
            }
            let unread = self.buffer.unread();
            let length = match self.lines.awaited {
                Some(awaited) if unread.len() < awaited.whole => return None,
                Some(awaited) => awaited.line,
                None => {
                    let searched = self.lines.searched;
                    let found = memchr(b'\n', &unread[searched..]);
                    let length = found.map_or(unread.len(), |found| searched + found);
                    if length > self.options.line_bytes_max {
                        self.lines.skipped = Some(Skipped::Blank);
                        continue;
                    }
                    self.lines.searched = length;
                    found?;
                    length
                }
            };
            return self.line(length, true);
        }
    }

    pub(super) fn last_line(&mut self) -> Option<Frame<'_>> {
        self.skip_byte_order_mark(true)?;
        let number = self.number;
        if let Some(skipped) = self.lines.skipped {
            self.has_ended = true;
            return (skipped == Skipped::Blank).then_some(Frame::Ignored { number, line: &[], whole: true });
        }
        let length = self.buffer.unread().len();
        if let Some(awaited) = self.lines.awaited {
            self.has_ended = true;
            let fault = FramingError::PayloadCut { got: length - awaited.line - 1, announced: awaited.payload };
            return Some(Frame::Bad { number, fault });
        }
        if length == 0 {
            self.has_ended = true;
            return None;
        }
        self.line(length, false)
    }

    /// The frame of the line that is the first `length` bytes of the buffer; `None` if its payload is incomplete.
    fn line(&mut self, length: usize, has_lf: bool) -> Option<Frame<'_>> {
        let number = self.number;
        let line_bytes = length + usize::from(has_lf);
        let line = &self.buffer.unread()[..length];
        if is_ignored(line) {
            let line = &self.take(line_bytes, 1)[..length];
            return Some(Frame::Ignored { number, line, whole: true });
        }
        let line = without_cr(&mut self.clean, line);
        let is_clean = line.len() < length;
        let marker = payload_marker(line);
        let limit = self.options.payload_bytes_max;
        let payload_bytes = match marker.filter(|_| self.options.payloads) {
            None => None,
            Some(marker) => match marker.length.filter(|&bytes| bytes <= limit) {
                Some(bytes) => Some(bytes),
                None => {
                    self.has_ended = true;
                    return Some(Frame::Bad { number, fault: FramingError::PayloadTooLarge { limit } });
                }
            },
        };
        let payload = payload_bytes.unwrap_or(0);
        let whole = line_bytes.saturating_add(payload);
        if self.buffer.unread().len() < whole {
            if has_lf {
                self.lines.awaited = Some(Awaited { line: length, payload, whole });
                return None;
            }
            self.has_ended = true;
            return Some(Frame::Bad { number, fault: FramingError::PayloadCut { got: 0, announced: payload } });
        }
        let lines = memchr_iter(b'\n', &self.buffer.unread()[line_bytes..whole]).count();
        let at = self.advance(whole, 1 + lines as u64);
        let raw = self.buffer.taken(at, whole);
        let line = if is_clean { &self.clean } else { &raw[..length] };
        let payload = payload_bytes.map(|_| &raw[line_bytes..]);
        Some(Frame::Message(RawMessage { number, raw, line, marker, payload }))
    }

    /// Drops what is there of a line over the limit. Returns its frame as soon as it is known not to be blank.
    fn skip(&mut self, skipped: Skipped) -> Option<Frame<'static>> {
        let unread = self.buffer.unread();
        let (number, limit) = (self.number, self.options.line_bytes_max);
        let lf = memchr(b'\n', unread);
        let length = lf.unwrap_or(unread.len());
        let first = first_visible(&unread[..length]);
        self.advance(length + usize::from(lf.is_some()), u64::from(lf.is_some()));
        let is_known = skipped == Skipped::Known || first.is_some();
        self.lines.skipped = match lf {
            Some(_) => None,
            None if is_known => Some(Skipped::Known),
            None => Some(Skipped::Blank),
        };
        match first {
            _ if skipped == Skipped::Known => None,
            None if lf.is_none() => None,
            None => Some(Frame::Ignored { number, line: &[], whole: true }),
            Some(b'#') => Some(Frame::Ignored { number, line: &[], whole: false }),
            Some(_) => Some(Frame::Bad { number, fault: FramingError::LineTooLong { limit } }),
        }
    }

    /// Takes bytes from the buffer, with so many LFs. Returns where they are.
    fn advance(&mut self, bytes: usize, lines: u64) -> usize {
        self.number += lines;
        self.lines.searched = 0;
        self.lines.awaited = None;
        self.buffer.take(bytes)
    }

    fn take(&mut self, bytes: usize, lines: u64) -> &[u8] {
        let at = self.advance(bytes, lines);
        self.buffer.taken(at, bytes)
    }

    /// Skips a byte order mark at the start of the input. Returns `None` while it may still turn out to be one.
    fn skip_byte_order_mark(&mut self, is_all: bool) -> Option<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if !self.lines.is_after_start {
            let unread = self.buffer.unread();
            if !is_all && unread.len() < MARK.len() && MARK.starts_with(unread) {
                return None;
            }
            self.lines.is_after_start = true;
            if unread.starts_with(MARK) {
                self.buffer.take(MARK.len());
            }
        }
        Some(())
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
