//! Bytes into bounded frames: where one message ends and the next begins.
//!
//! A [`Framer`] cuts a stream into lines of BCP with their payloads, frames of OBE_Socket, or bare lines. Nothing here
//! does I/O or gives a line a meaning. However a stream is split into reads, the frames are the same.

mod bcp;
mod buffer;
mod obe;

use std::fmt;

use buffer::Buffer;

pub use bcp::{is_ignored, without_cr};
pub use obe::{body, push_frame};

use crate::bcp::Marker;
use crate::limits::{LINE_BYTES_MAX, OBE_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, READ_BYTES};
use crate::text::shown;

/// Which protocol is on a connection or in a stream (`--wire`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// The Backbox Control Protocol.
    #[default]
    Bcp,
    /// OBE_Socket: each message is a length and a JSON text, without payload.
    Obe,
}

impl Wire {
    /// The values of `--wire`.
    pub const NAMES: [&str; 2] = ["bcp", "obe"];

    /// The protocol with this name.
    pub fn named(name: &[u8]) -> Option<Wire> {
        [Wire::Bcp, Wire::Obe].into_iter().find(|wire| wire.name().as_bytes() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        Wire::NAMES[self as usize]
    }
}

/// How a stream is framed.
#[derive(Clone, Debug)]
pub struct FramingOptions {
    /// The protocol.
    pub wire: Wire,
    /// The longest line in bytes, without its LF (`--max-line`).
    pub line_bytes_max: usize,
    /// The largest payload in bytes (`--max-payload`), or the largest body of OBE_Socket.
    pub payload_bytes_max: usize,
    /// Whether a marker announces a payload. It does not in a log without payloads (`--no-payload`).
    pub payloads: bool,
    /// How many bytes are read at a time.
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
    /// The options for OBE_Socket, with the limit of 64 MiB a body.
    pub fn obe() -> FramingOptions {
        FramingOptions { wire: Wire::Obe, payload_bytes_max: OBE_BODY_BYTES_MAX, ..FramingOptions::default() }
    }
}

/// One frame of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line to parse, with its payload; or a message of OBE_Socket.
    Message(RawMessage<'a>),
    /// A blank line or a comment.
    Ignored {
        /// Its line number, from 1.
        number: u64,
        /// The line without its LF.
        line: &'a [u8],
        /// Whether that is all of it. Nothing is kept of a comment over the limit of a line.
        whole: bool,
    },
    /// An error in the framing. [`Framer::has_ended`] tells whether more frames can follow.
    Bad {
        /// The line number where it began, from 1; for OBE_Socket the offset in bytes.
        number: u64,
        /// What is wrong.
        fault: FramingError,
    },
}

impl<'a> Frame<'a> {
    /// The number and the text of a frame of [`Framer::bare_lines`].
    ///
    /// # Errors
    /// The number of a line over the limit.
    pub fn bare_line(self) -> Result<(u64, &'a [u8]), u64> {
        match self {
            Frame::Message(RawMessage { number, line, .. }) | Frame::Ignored { number, line, .. } => Ok((number, line)),
            Frame::Bad { number, .. } => Err(number),
        }
    }
}

/// A message as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMessage<'a> {
    /// The line number, from 1, as an editor counts: LFs in payloads included. For OBE_Socket the offset in bytes.
    pub number: u64,
    /// Line, LF and payload, byte for byte; without LF if the input ended before it.
    pub raw: &'a [u8],
    /// The line without LF and CR, with its payload marker; or the body without line breaks.
    pub line: &'a [u8],
    /// The payload marker of the line, also where it announces no payload.
    pub marker: Option<Marker>,
    /// The payload, if the line announces one and payloads are read.
    pub payload: Option<&'a [u8]>,
}

impl<'a> RawMessage<'a> {
    /// The line up to its payload marker, for [`Message::parse_line`](crate::bcp::Message::parse_line).
    pub fn text(&self) -> &'a [u8] {
        self.marker.map_or(self.line, |marker| &self.line[..marker.at])
    }

    /// The digits of a marker that announces no payload: with `--no-payload` they are the last parameter.
    pub fn marker_as_parameter(&self) -> Option<&'a [u8]> {
        let marker = self.marker.filter(|_| self.payload.is_none())?;
        Some(&self.line[marker.digits_at..])
    }
}

/// What can be wrong with the framing of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A line over this limit in bytes. It is skipped to its LF.
    LineTooLong(usize),
    /// A payload over this limit in bytes. Nothing after it can be read.
    PayloadTooLarge(usize),
    /// The input ended inside a payload.
    PayloadCut {
        /// How many bytes were there.
        got: usize,
        /// How many the line announced.
        announced: usize,
    },
    /// The length of a frame of OBE_Socket is not ten digits. Nothing after it can be read.
    InvalidLength {
        /// The first ten bytes, of which `count` are there.
        found: [u8; obe::LENGTH_DIGITS],
        /// How many bytes are there. Fewer than ten end the input.
        count: usize,
    },
    /// The body of a frame of OBE_Socket is over the limit. Nothing after it can be read.
    BodyTooLong {
        /// Its length, in bytes.
        announced: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ended inside a body of OBE_Socket.
    BodyCut {
        /// How many bytes were there.
        got: usize,
        /// How many the length announced.
        announced: u64,
    },
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FramingError::LineTooLong(limit) => write!(f, "line over {limit} bytes; --max-line allows more"),
            FramingError::PayloadTooLarge(limit) => {
                write!(f, "payload over {limit} bytes; --max-payload allows more")
            }
            FramingError::PayloadCut { got, announced } => {
                write!(f, "payload cut short: {got} of {announced} bytes before the end of the input")
            }
            FramingError::InvalidLength { found, count } => {
                let advice = match *count {
                    obe::LENGTH_DIGITS => "; write ten digits (the reference class accepts a sign or spaces too)",
                    _ => " at the end of the input; a length has ten digits",
                };
                write!(f, "invalid length: \"{}\"{advice}", shown(&found[..*count]))
            }
            FramingError::BodyTooLong { announced, limit } => {
                write!(f, "a body of {announced} bytes is announced, and {limit} are allowed")
            }
            FramingError::BodyCut { got, announced } => {
                write!(f, "body cut short: {got} of {announced} bytes before the end of the input")
            }
        }
    }
}

/// Cuts a stream of bytes into frames.
///
/// Read into [`Framer::space`], pass the number of bytes to [`Framer::filled`], and take frames from
/// [`Framer::next_frame`] until it returns `None`. At the end of the input take what is left from [`Framer::end`].
///
/// ```
/// use backbox::framing::{Frame, Framer, FramingOptions};
/// let mut framer = Framer::new(FramingOptions::default());
/// let input = b"# a comment\nf&bytes=2\nhi";
/// framer.space()[..input.len()].copy_from_slice(input);
/// framer.filled(input.len());
/// assert!(matches!(framer.next_frame(), Some(Frame::Ignored { number: 1, .. })));
/// let Some(Frame::Message(message)) = framer.next_frame() else { panic!() };
/// assert_eq!((message.text(), message.payload), (&b"f"[..], Some(&b"hi"[..])));
/// assert_eq!(framer.next_frame(), None);
/// ```
#[derive(Debug)]
pub struct Framer {
    options: FramingOptions,
    buffer: Buffer,
    /// The line number or the offset of what is at the front of the buffer.
    number: u64,
    /// The line at the front of the buffer without CR, if it has one.
    clean: Vec<u8>,
    lines: bcp::LineState,
    /// What ends a bare line, in a framer for those.
    bare_end: Option<u8>,
    has_ended: bool,
}

impl Framer {
    /// A framer at the start of an input.
    pub fn new(options: FramingOptions) -> Framer {
        let buffer = Buffer::new(options.read_bytes);
        let number = u64::from(options.wire == Wire::Bcp);
        let lines = bcp::LineState::default();
        Framer { options, buffer, number, clean: Vec::new(), lines, bare_end: None, has_ended: false }
    }

    /// A framer for bare lines that end in `end`: JSON Lines and lists of strings, which know neither comments nor
    /// payloads. Before LF a CR belongs to the end, and a byte order mark at the start of the input is skipped; before
    /// NUL every byte counts.
    ///
    /// ```
    /// use backbox::framing::Framer;
    /// let mut framer = Framer::bare_lines(b'\n', 100);
    /// framer.space()[..4].copy_from_slice(b"a\r\nb");
    /// framer.filled(4);
    /// assert_eq!(framer.next_frame().unwrap().bare_line(), Ok((1, &b"a"[..])));
    /// assert_eq!(framer.next_frame(), None);
    /// assert_eq!(framer.end().unwrap().bare_line(), Ok((2, &b"b"[..])));
    /// ```
    pub fn bare_lines(end: u8, line_bytes_max: usize) -> Framer {
        let mut framer = Framer::new(FramingOptions { line_bytes_max, ..FramingOptions::default() });
        framer.bare_end = Some(end);
        framer.lines.is_after_start = end != b'\n';
        framer
    }

    /// The protocol.
    pub fn wire(&self) -> Wire {
        self.options.wire
    }

    /// Where to read into: at least [`FramingOptions::read_bytes`].
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Adds the first `count` bytes of [`Framer::space`].
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Adds bytes that were read elsewhere.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.options.read_bytes.max(1)) {
            self.space()[..piece.len()].copy_from_slice(piece);
            self.filled(piece.len());
        }
    }

    /// The next whole frame, or `None` if more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.frame(false)
    }

    /// The last frame of an input that has ended: a line without LF, or what is wrong with the end. Then `None`.
    pub fn end(&mut self) -> Option<Frame<'_>> {
        self.frame(true)
    }

    fn frame(&mut self, at_end: bool) -> Option<Frame<'_>> {
        match self.options.wire {
            _ if self.has_ended => None,
            Wire::Bcp => self.next_line(at_end),
            Wire::Obe => self.next_obe(at_end),
        }
    }

    /// An error after which nothing can be read.
    fn fail(&mut self, fault: FramingError) -> Option<Frame<'static>> {
        self.has_ended = true;
        Some(Frame::Bad { number: self.number, fault })
    }

    /// What is wrong with the end of a connection, if the protocol can tell: a message of OBE_Socket that is not whole.
    /// Half a line of BCP is what [`Framer::unread`] returns.
    pub fn end_of_connection(&mut self) -> Option<Frame<'_>> {
        if self.options.wire == Wire::Obe { self.end() } else { None }
    }

    /// Whether nothing more can be read: after a fatal error, or after the end of the input.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The bytes that wait for the rest of their frame.
    pub fn unread(&self) -> &[u8] {
        if self.has_ended && self.options.wire == Wire::Obe { &[] } else { self.buffer.unread() }
    }

    /// Whether a frame has begun and is incomplete.
    pub fn is_inside_frame(&self) -> bool {
        !self.has_ended && (self.lines.skipped.is_some() || !self.buffer.unread().is_empty())
    }

    /// Frees the memory of long frames that have been taken, which is otherwise kept for the next one.
    pub fn give_back(&mut self) {
        self.buffer.give_back();
        self.clean = Vec::new();
    }
}
