//! BCP's frames: lines ended by LF, some followed by a payload (design.md, section 1).
//!
//! In: line ends, CR, the byte order mark, blank lines and comments, payload markers, the limits of section 14,
//! line numbers. Out: what a line says, and whether it is UTF-8.

use std::fmt;

use memchr::{memchr, memchr_iter};

use super::buffer::Buffer;
use super::obe::ObeFault;
use super::wire::Wire;
use crate::bcp::{Marker, payload_marker};
use crate::limits::{LINE_BYTES_MAX, OBE_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, READ_BYTES};
use crate::text::is_white;

/// How an input is framed: its limits in bytes, and whether payloads follow their lines.
#[derive(Clone, Debug)]
pub struct FramingOptions {
    /// Which protocol's frames.
    pub wire: Wire,
    /// The longest line without its LF (`--max-line`).
    pub line_bytes_max: usize,
    /// The largest payload (`--max-payload`), or body of OBE_Socket.
    pub payload_bytes_max: usize,
    /// Whether a marker announces a payload; not in a log that lost them (`--no-payload`).
    pub payloads: bool,
    /// How much is read at a time.
    pub read_bytes: usize,
}

impl Default for FramingOptions {
    fn default() -> FramingOptions {
        FramingOptions {
            wire: Wire::Bcp,
            line_bytes_max: LINE_BYTES_MAX,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            payloads: true,
            read_bytes: READ_BYTES,
        }
    }
}

impl FramingOptions {
    /// The framing of OBE_Socket's messages, with the limit of section 14.
    pub fn obe() -> FramingOptions {
        FramingOptions { wire: Wire::Obe, payload_bytes_max: OBE_BODY_BYTES_MAX, ..FramingOptions::default() }
    }
}

/// One frame of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line that has to be parsed, with its payload.
    Message(RawMessage<'a>),
    /// A blank line or a comment, as it stands without LF: ignored by all but recorders and taps.
    Ignored {
        /// Its line number, from 1.
        number: u64,
        /// The line without its LF.
        line: &'a [u8],
        /// Whether that is all of it: of a comment over the limit of a line nothing is kept.
        whole: bool,
    },
    /// Something that is no frame; [`BcpFramer::has_ended`] tells whether more can follow.
    Bad {
        /// The line number where it began, from 1.
        number: u64,
        /// What is wrong.
        fault: FramingError,
    },
}

/// A line and the payload behind it, as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMessage<'a> {
    /// The line number, from 1, as an editor counts: LFs in payloads included.
    pub number: u64,
    /// Line, LF and payload byte for byte; without LF when the input ended before it.
    pub raw: &'a [u8],
    /// The line without LF and CR, its payload marker still there.
    pub line: &'a [u8],
    /// The payload marker of [`RawMessage::line`], also where payloads are not looked for.
    pub marker: Option<Marker>,
    /// The payload, when the line announces one and payloads are looked for.
    pub payload: Option<&'a [u8]>,
}

impl<'a> RawMessage<'a> {
    /// The line up to its payload marker: what is left to parse.
    pub fn text(&self) -> &'a [u8] {
        self.marker.and_then(|m| self.line.get(..m.at)).unwrap_or(self.line)
    }

    /// The digits of a marker that announces nothing here: under `--no-payload` they are the last parameter's text.
    pub fn marker_as_parameter(&self) -> Option<&'a [u8]> {
        match (self.marker, self.payload) {
            (Some(marker), None) => self.line.get(marker.digits_at..),
            _ => None,
        }
    }
}

/// What can be wrong with the framing of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A line over the limit in bytes; it is skipped to its LF.
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A payload over the limit; nothing behind it can be read.
    PayloadTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ended inside a payload.
    PayloadCut {
        /// How many bytes came.
        got: usize,
        /// How many the line announced.
        announced: usize,
    },
    /// Something that is no frame of OBE_Socket's; nothing behind it can be read.
    Obe(ObeFault),
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FramingError::LineTooLong { limit } => write!(f, "line over {limit} bytes; --max-line allows more"),
            FramingError::PayloadTooLarge { limit } => {
                write!(f, "payload over {limit} bytes; --max-payload allows more")
            }
            FramingError::PayloadCut { got, announced } => {
                write!(f, "payload cut short: {got} of {announced} bytes came before the input ended")
            }
            FramingError::Obe(fault) => write!(f, "{fault}"),
        }
    }
}

/// Where the framer stands between two frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a line.
    Line,
    /// In a line over the limit that has been reported (or is a comment): everything up to its LF is dropped.
    Skipping,
    /// In a line over the limit that has been nothing but white space so far: what it is stands further on.
    Blank,
    /// Behind a payload that cannot be skipped, or behind the end of the input.
    Ended,
}

/// A line that is whole, before its payload is: so that a payload in single bytes does not have its line read again for
/// each of them.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// The line without LF, in bytes.
    line: usize,
    /// Line, LF and payload, in bytes.
    whole: usize,
    /// The payload, in bytes.
    payload: usize,
}

/// How many bytes of a marked line's beginning a [`MarkedLimit`] looks at; they do not count as its length.
pub const MARK_BYTES: usize = 2;

/// Tells a line with a meaning of its own from a comment, by its first [`MARK_BYTES`] bytes: how long it may be behind
/// them, or `None` for a comment, which may have any length and is skipped (design.md, section 12).
pub type MarkedLimit = fn(&[u8], &FramingOptions) -> Option<usize>;

/// Cuts a stream of bytes into BCP's frames.
///
/// Read into [`BcpFramer::space`], say how much with [`BcpFramer::filled`], take frames from [`BcpFramer::next_frame`]
/// until it gives `None`, and at the end of the input take one more from [`BcpFramer::end`].
///
/// ```
/// use backbox::framing::{BcpFramer, Frame, FramingOptions};
/// let mut framer = BcpFramer::new(FramingOptions::default());
/// let input = b"# a comment\nf&bytes=2\nhi";
/// framer.space()[..input.len()].copy_from_slice(input);
/// framer.filled(input.len());
/// assert!(matches!(framer.next_frame(), Some(Frame::Ignored { number: 1, .. })));
/// let Some(Frame::Message(message)) = framer.next_frame() else { panic!() };
/// assert_eq!((message.text(), message.payload), (&b"f"[..], Some(&b"hi"[..])));
/// assert_eq!(framer.next_frame(), None);
/// ```
#[derive(Debug)]
pub struct BcpFramer {
    framing: FramingOptions,
    buffer: Buffer,
    state: State,
    /// The number of the line that begins at the front of the buffer.
    number: u64,
    /// How much of the buffer is known to hold no LF, so that a line in single bytes is not searched again and again.
    searched: usize,
    /// The line at the front whose payload is not whole yet.
    awaiting: Option<Awaited>,
    /// The line at the front without CR, when it holds one.
    clean: Vec<u8>,
    /// Whether there may be a CR in the buffer.
    may_hold_cr: bool,
    /// Which comments are more than that, in a file format that hides lines behind `#`.
    marked: Option<MarkedLimit>,
    first: bool,
}

impl BcpFramer {
    /// A framer at the start of an input.
    pub fn new(framing: FramingOptions) -> BcpFramer {
        let buffer = Buffer::new(framing.read_bytes);
        BcpFramer {
            framing,
            buffer,
            state: State::Line,
            number: 1,
            searched: 0,
            awaiting: None,
            clean: Vec::new(),
            may_hold_cr: false,
            marked: None,
            first: true,
        }
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Says how many bytes of [`BcpFramer::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.may_hold_cr &= !self.buffer.unread().is_empty();
        // One look at everything that came costs less than one at each line.
        self.may_hold_cr |= memchr(b'\r', self.buffer.filled(count)).is_some();
    }

    /// Gives back the memory of long frames that have been taken, which is kept for the next one otherwise.
    pub fn give_back(&mut self) {
        self.buffer.give_back();
    }

    /// Whether nothing more can be read: a payload was over its limit, or the input has ended.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// From here on, lines that `limit` knows by their mark are given whole or reported, however long comments may be.
    pub fn keep_marked(&mut self, limit: MarkedLimit) {
        self.marked = Some(limit);
    }

    /// Whether from here on a marker announces a payload: [`FramingOptions::payloads`] as an input itself decides it.
    pub fn look_for_payloads(&mut self, payloads: bool) {
        self.framing.payloads = payloads;
    }

    /// The number of the line that has begun and is not whole: its LF or its payload has not come yet.
    pub fn unfinished(&self) -> Option<u64> {
        match self.state {
            State::Line if self.buffer.unread().is_empty() => None,
            State::Line | State::Skipping | State::Blank => Some(self.number),
            State::Ended => None,
        }
    }

    /// The bytes that wait for the rest of their frame.
    pub fn unread(&self) -> &[u8] {
        self.buffer.unread()
    }

    /// The next whole frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        match self.state {
            State::Ended => return None,
            State::Blank => return self.long_blank(),
            State::Skipping => {
                if !self.skip() {
                    return None;
                }
            }
            State::Line => {}
        }
        self.skip_byte_order_mark()?;
        let length = match self.awaiting {
            Some(awaited) if self.buffer.unread().len() < awaited.whole => return None,
            Some(awaited) => awaited.line,
            None => match memchr(b'\n', self.buffer.unread().get(self.searched..)?) {
                Some(found) => self.searched + found,
                None => return self.unfinished_line(),
            },
        };
        self.frame(length, true)
    }

    /// The last frame of an input that has ended: a line without LF, or what is wrong with its end.
    pub fn end(&mut self) -> Option<Frame<'_>> {
        let number = self.number;
        let length = match (self.state, self.awaiting) {
            (State::Ended | State::Skipping, _) => return None,
            (State::Blank, _) => {
                self.state = State::Ended;
                return Some(Frame::Ignored { number, line: &[], whole: true });
            }
            (State::Line, Some(awaited)) => {
                let got = self.buffer.unread().len().saturating_sub(awaited.line + 1);
                self.state = State::Ended;
                return Some(Frame::Bad {
                    number,
                    fault: FramingError::PayloadCut { got, announced: awaited.payload },
                });
            }
            (State::Line, None) => {
                self.skip_byte_order_mark();
                self.buffer.unread().len()
            }
        };
        if length == 0 {
            self.state = State::Ended;
            return None;
        }
        self.frame(length, false)
    }

    /// The frame whose line is the first `length` bytes of the buffer.
    fn frame(&mut self, length: usize, has_lf: bool) -> Option<Frame<'_>> {
        let number = self.number;
        let rest = length + usize::from(has_lf);
        if length > self.framing.line_bytes_max {
            let marked = self.marked_limit();
            if length > self.line_limit(marked) {
                let first = first_visible(self.buffer.unread().get(..length)?);
                self.take(rest, 1);
                return Some(self.too_long(number, marked, first));
            }
        }
        if is_ignored(self.buffer.unread().get(..length)?) {
            let at = self.take(rest, 1);
            return Some(Frame::Ignored { number, line: self.buffer.taken(at, length), whole: true });
        }
        let line = self.buffer.unread().get(..length)?;
        let line = if self.may_hold_cr { without_cr(&mut self.clean, line) } else { line };
        let marker = payload_marker(line);
        let payload_length = match marker {
            Some(marker) if self.framing.payloads => match marker.length {
                Some(bytes) if bytes <= self.framing.payload_bytes_max => Some(bytes),
                _ => {
                    self.state = State::Ended;
                    let limit = self.framing.payload_bytes_max;
                    return Some(Frame::Bad { number, fault: FramingError::PayloadTooLarge { limit } });
                }
            },
            _ => None,
        };
        let payload_bytes = payload_length.unwrap_or_default();
        let unread = self.buffer.unread();
        let whole = rest.saturating_add(payload_bytes);
        if unread.len() < whole || (payload_bytes > 0 && !has_lf) {
            self.awaiting = Some(Awaited { line: length, whole, payload: payload_bytes });
            return if has_lf { None } else { self.end() };
        }
        let lines = if whole > rest { memchr_iter(b'\n', unread.get(rest..whole)?).count() } else { 0 };
        let at = self.take(whole, 1 + lines as u64);
        let raw = self.buffer.taken(at, whole);
        let line = if self.may_hold_cr && !self.clean.is_empty() { &self.clean } else { raw.get(..length)? };
        let payload = payload_length.and_then(|_| raw.get(rest..));
        Some(Frame::Message(RawMessage { number, raw, line, marker, payload }))
    }

    /// What to do while a line has no LF yet: wait, or give up on one that is over the limit.
    fn unfinished_line(&mut self) -> Option<Frame<'_>> {
        let number = self.number;
        let unread = self.buffer.unread().len();
        self.searched = unread;
        if unread <= self.framing.line_bytes_max || unread < MARK_BYTES {
            return None;
        }
        let marked = self.marked_limit();
        if unread <= self.line_limit(marked) {
            return None;
        }
        let first = first_visible(self.buffer.unread());
        self.buffer.consume(unread);
        self.searched = 0;
        if first.is_none() {
            self.state = State::Blank;
            return None;
        }
        self.state = State::Skipping;
        Some(self.too_long(number, marked, first))
    }

    /// What [`MarkedLimit`] says of the line at the front.
    fn marked_limit(&self) -> Option<usize> {
        self.marked.and_then(|limit| limit(self.buffer.unread().get(..MARK_BYTES)?, &self.framing))
    }

    /// How many bytes the line at the front may have, its mark included.
    fn line_limit(&self, marked: Option<usize>) -> usize {
        marked.map_or(self.framing.line_bytes_max, |limit| limit.saturating_add(MARK_BYTES))
    }

    /// What a line over the limit is, by its first byte that is not blank.
    fn too_long(&self, number: u64, marked: Option<usize>, first: Option<u8>) -> Frame<'static> {
        match first {
            None => Frame::Ignored { number, line: &[], whole: true },
            Some(b'#') if marked.is_none() => Frame::Ignored { number, line: &[], whole: false },
            Some(_) => {
                let limit = marked.unwrap_or(self.framing.line_bytes_max);
                Frame::Bad { number, fault: FramingError::LineTooLong { limit } }
            }
        }
    }

    /// Looks on in a line that is over the limit and was blank so far.
    fn long_blank(&mut self) -> Option<Frame<'_>> {
        let number = self.number;
        let unread = self.buffer.unread();
        let lf = memchr(b'\n', unread);
        let end = lf.unwrap_or(unread.len());
        let first = first_visible(unread.get(..end).unwrap_or_default());
        match (first, lf) {
            (None, None) => {
                self.buffer.consume(end);
                None
            }
            (None, Some(lf)) => {
                self.state = State::Line;
                self.take(lf + 1, 1);
                Some(Frame::Ignored { number, line: &[], whole: true })
            }
            (Some(first), _) => {
                self.state = State::Skipping;
                Some(self.too_long(number, None, Some(first)))
            }
        }
    }

    /// Drops what belongs to a line over the limit; whether its LF was found.
    fn skip(&mut self) -> bool {
        let unread = self.buffer.unread();
        match memchr(b'\n', unread) {
            Some(found) => {
                self.state = State::Line;
                self.take(found + 1, 1);
                true
            }
            None => {
                self.buffer.consume(unread.len());
                false
            }
        }
    }

    fn take(&mut self, bytes: usize, lines: u64) -> usize {
        self.number += lines;
        self.searched = 0;
        self.awaiting = None;
        self.buffer.take(bytes)
    }

    /// Skips a byte order mark at the start of the input; `None` while it may still turn out to be one.
    fn skip_byte_order_mark(&mut self) -> Option<()> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.first {
            let unread = self.buffer.unread();
            if unread.starts_with(MARK) {
                self.buffer.consume(MARK.len());
            } else if MARK.starts_with(unread) {
                return None;
            }
            self.first = false;
        }
        Some(())
    }
}

/// Whether a line is blank or a comment: its first character that is no white space is `#`, or there is none.
/// Such a line is read past, never has a payload and is never sent (design.md, section 1).
pub fn is_ignored(line: &[u8]) -> bool {
    first_visible(line).is_none_or(|b| b == b'#')
}

fn first_visible(line: &[u8]) -> Option<u8> {
    line.iter().copied().find(|&b| !is_white(b))
}

/// The line without CR, which is ignored wherever it stands; `clean` stays empty when there was none.
pub fn without_cr<'a>(clean: &'a mut Vec<u8>, line: &'a [u8]) -> &'a [u8] {
    clean.clear();
    if memchr(b'\r', line).is_none() {
        return line;
    }
    clean.extend(line.iter().filter(|&&b| b != b'\r'));
    clean
}

#[cfg(test)]
#[path = "bcp_tests.rs"]
mod tests;
