//! OBE_Socket's frames: ten decimal digits that say how many bytes of JSON text follow (design.md, section 3).
//!
//! In: lengths, the limit of section 14, offsets, the one line that a body becomes. Out: whether a body is JSON.

use std::fmt;

use memchr::memchr2;

use super::bcp::{Frame, FramingError, RawMessage};
use super::buffer::Buffer;

/// How many digits a length has, leading zeros included.
pub const LENGTH_DIGITS: usize = 10;

/// What can be wrong with the framing of OBE_Socket's messages. Each ends the input: where the next frame begins is
/// told by the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObeFault {
    /// Where a length has to stand is something else; the first ten bytes of it, or fewer at the end of the input.
    NoLength {
        /// What stands there; behind the first `count` bytes nothing.
        found: [u8; LENGTH_DIGITS],
        /// How many bytes of it there are.
        count: usize,
    },
    /// A body over the limit.
    TooLong {
        /// What the length says, in bytes.
        announced: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ended inside a body.
    CutShort {
        /// How many bytes came.
        got: usize,
        /// How many the length announced.
        announced: usize,
    },
}

impl fmt::Display for ObeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObeFault::NoLength { found, count } => {
                let found = crate::text::shown(found.get(..*count).unwrap_or_default());
                write!(f, "a length of ten digits has to stand here, not \"{found}\"")?;
                match *count {
                    LENGTH_DIGITS => write!(f, "; the reference class would take a sign or spaces"),
                    _ => write!(f, ", with which the input ends"),
                }
            }
            ObeFault::TooLong { announced, limit } => {
                write!(f, "a body of {announced} bytes is announced, and {limit} are allowed")
            }
            ObeFault::CutShort { got, announced } => {
                write!(f, "body cut short: {got} of {announced} bytes came before the input ended")
            }
        }
    }
}

/// Cuts a stream of bytes into OBE_Socket's frames; used like [`super::BcpFramer`]. A message's number is the offset of
/// its first byte in the input, its line the body without line breaks.
///
/// ```
/// use backbox::framing::{Frame, ObeFramer};
/// let mut framer = ObeFramer::new(1 << 20, 1 << 16);
/// let input = b"0000000004\"OK\"";
/// framer.space()[..input.len()].copy_from_slice(input);
/// framer.filled(input.len());
/// let Some(Frame::Message(message)) = framer.next_frame() else { panic!() };
/// assert_eq!((message.number, message.line), (0, &b"\"OK\""[..]));
/// ```
#[derive(Debug)]
pub struct ObeFramer {
    body_bytes_max: usize,
    buffer: Buffer,
    /// The offset of what is at the front of the buffer.
    offset: u64,
    /// The body at the front in one line, when it holds line breaks.
    one_line: Vec<u8>,
    ended: bool,
}

impl ObeFramer {
    /// A framer at the start of an input, for bodies up to so many bytes, which is given room for `read_bytes` at a
    /// time.
    pub fn new(body_bytes_max: usize, read_bytes: usize) -> ObeFramer {
        ObeFramer { body_bytes_max, buffer: Buffer::new(read_bytes), offset: 0, one_line: Vec::new(), ended: false }
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Says how many bytes of [`ObeFramer::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// Gives back the memory of long frames that have been taken.
    pub fn give_back(&mut self) {
        self.buffer.give_back();
        self.one_line = Vec::new();
    }

    /// Whether nothing more can be read: a length was none or over the limit, or the input has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The bytes that wait for the rest of their frame; none once [`ObeFramer::end`] has told of them.
    pub fn unread(&self) -> &[u8] {
        if self.ended { &[] } else { self.buffer.unread() }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.ended {
            return None;
        }
        let body_bytes = match announced(self.buffer.unread()) {
            Ok(None) => return None,
            Ok(Some(bytes)) => match usize::try_from(bytes).ok().filter(|&bytes| bytes <= self.body_bytes_max) {
                Some(bytes) => bytes,
                None => return self.bad(ObeFault::TooLong { announced: bytes, limit: self.body_bytes_max }),
            },
            Err(fault) => return self.bad(fault),
        };
        let whole = LENGTH_DIGITS + body_bytes;
        if self.buffer.unread().len() < whole {
            return None;
        }
        let number = self.offset;
        self.offset += whole as u64;
        let at = self.buffer.take(whole);
        Some(Frame::Message(obe_message(number, self.buffer.taken(at, whole), &mut self.one_line)))
    }

    /// What is wrong with the end of an input that has ended, if it ended inside a frame.
    pub fn end(&mut self) -> Option<Frame<'_>> {
        let unread = self.buffer.unread();
        let fault = match announced(unread) {
            _ if self.ended || unread.is_empty() => None,
            Ok(None) => Some(no_length(unread)),
            // One over the limit has been told of already.
            Ok(Some(bytes)) => Some(ObeFault::CutShort {
                got: unread.len() - LENGTH_DIGITS,
                announced: usize::try_from(bytes).unwrap_or(usize::MAX),
            }),
            Err(fault) => Some(fault),
        };
        self.ended = true;
        fault.and_then(|fault| self.bad(fault))
    }

    fn bad(&mut self, fault: ObeFault) -> Option<Frame<'static>> {
        self.ended = true;
        Some(Frame::Bad { number: self.offset, fault: FramingError::Obe(fault) })
    }
}

/// The length with which `unread` begins, once it is all there.
fn announced(unread: &[u8]) -> Result<Option<u64>, ObeFault> {
    let Some(digits) = unread.get(..LENGTH_DIGITS) else { return Ok(None) };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(no_length(unread));
    }
    // Ten digits fit in 64 bits.
    Ok(Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
}

fn no_length(unread: &[u8]) -> ObeFault {
    let mut found = [0; LENGTH_DIGITS];
    let count = found.iter_mut().zip(unread).map(|(to, from)| *to = *from).count();
    ObeFault::NoLength { found, count }
}

/// The message of a whole frame at this offset; `one_line` is used when its body holds line breaks.
pub fn obe_message<'a>(number: u64, raw: &'a [u8], one_line: &'a mut Vec<u8>) -> RawMessage<'a> {
    let body = body(raw);
    let mut line = body;
    if memchr2(b'\n', b'\r', body).is_some() {
        one_line.clear();
        one_line.extend(body.iter().filter(|&&b| b != b'\n' && b != b'\r'));
        line = one_line;
    }
    RawMessage { number, raw, line, marker: None, payload: None }
}

/// The body of a whole frame, as it came: what is JSON or not. (A line break in it may part two values.)
pub fn body(raw: &[u8]) -> &[u8] {
    raw.get(LENGTH_DIGITS..).unwrap_or_default()
}

/// Appends the frame of a body.
pub fn push_frame(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:010}", body.len()).as_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(limit: usize, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = ObeFramer::new(limit, 64);
        let mut seen = Vec::new();
        let show = |frame: Frame<'_>| match frame {
            Frame::Message(message) => format!("{} {}", message.number, String::from_utf8_lossy(message.line)),
            Frame::Bad { number, fault } => format!("{number} !{fault}"),
            Frame::Ignored { .. } => "ignored".to_owned(),
        };
        for bytes in input.chunks(piece) {
            framer.space()[..bytes.len()].copy_from_slice(bytes);
            framer.filled(bytes.len());
            while let Some(frame) = framer.next_frame() {
                seen.push(show(frame));
            }
        }
        seen.extend(framer.end().map(show));
        assert!(framer.has_ended() && framer.end().is_none() && framer.next_frame().is_none());
        seen
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&str]) {
        for piece in [64, 1, 2, 7, 11] {
            assert_eq!(frames(40, input, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn whole_byte_by_byte_and_with_trailing_data() {
        check(b"", &[]);
        check(b"0000000004\"OK\"", &["0 \"OK\""]);
        check(b"0000000004\"OK\"00000000000000000002[]", &["0 \"OK\"", "14 ", "24 []"]);
        check("0000000004\"é\"".as_bytes(), &["0 \"é\""]);
        check(b"0000000012{\n \"a\": 1\r\n}", &["0 { \"a\": 1}"]);
        check(
            b"0000000038{\"command\": \"goodset\", \"pickiness\": 4}",
            &["0 {\"command\": \"goodset\", \"pickiness\": 4}"],
        );
    }

    #[test]
    fn each_bad_length_ends_the_input_at_its_offset() {
        for (bad, shown) in [
            ("+000000004\"OK\"", "+000000004"),
            ("-000000004\"OK\"", "-000000004"),
            ("         4\"OK\"", "         4"),
            ("00000000a4\"OK\"", "00000000a4"),
            ("000000000\n\"OK\"", "000000000\\n"),
            ("00000000\u{664}\"OK\"", "00000000\u{664}"),
            ("0x00000004\"OK\"", "0x00000004"),
        ] {
            let input = [b"0000000002[]", bad.as_bytes(), b"0000000002[]"].concat();
            let fault = format!("12 !a length of ten digits has to stand here, not \"{shown}\"");
            let fault = fault + "; the reference class would take a sign or spaces";
            check(&input, &["0 []", &fault]);
        }
        for (bad, shown) in [(&b"000000002"[..], "000000002"), (b"0", "0"), (b"\"OK\"", "\"OK\"")] {
            let input = [b"0000000002[]", bad].concat();
            let fault = format!("12 !a length of ten digits has to stand here, not \"{shown}\"");
            check(&input, &["0 []", &(fault + ", with which the input ends")]);
        }
    }

    #[test]
    fn a_length_over_the_limit_ends_the_input_and_takes_no_memory() {
        let fault = |announced| format!("0 !{}", ObeFault::TooLong { announced, limit: 40 });
        check(b"0000000041xx", &[&fault(41)]);
        check(b"9999999999xx", &[&fault(9_999_999_999)]);
        let mut framer = ObeFramer::new(64 << 20, 64);
        framer.space()[..12].copy_from_slice(b"0067108864[1");
        framer.filled(12);
        assert!(framer.next_frame().is_none());
        assert!(framer.space().len() <= 128, "{}", framer.space().len());
    }

    #[test]
    fn a_body_cut_short_says_how_much_came() {
        check(b"0000000004\"O", &["0 !body cut short: 2 of 4 bytes came before the input ended"]);
        check(b"0000000002[]0000000001", &["0 []", "12 !body cut short: 0 of 1 bytes came before the input ended"]);
    }
}
