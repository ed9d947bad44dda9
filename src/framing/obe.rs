//! Frames of OBE_Socket: ten digits give the length of the JSON text that follows, in bytes.

use std::fmt;

use super::{Frame, Framer, FramingError, RawMessage};

/// How many digits a length has, leading zeros included.
const LENGTH_DIGITS: usize = 10;

/// What can be wrong with the framing of OBE_Socket. Each error ends the input, because only a length tells where the
/// next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObeError {
    /// The length is not ten digits.
    InvalidLength {
        /// The first ten bytes, of which `count` are there.
        found: [u8; LENGTH_DIGITS],
        /// How many bytes are there. Fewer than ten end the input.
        count: usize,
    },
    /// The body is over the limit.
    TooLong {
        /// Its length, in bytes.
        announced: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ended inside a body.
    CutShort {
        /// How many bytes were there.
        got: usize,
        /// How many the length announced.
        announced: u64,
    },
}

impl fmt::Display for ObeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObeError::InvalidLength { found, count } => {
                write!(f, "invalid length: \"{}\"", crate::text::shown(&found[..*count]))?;
                match *count {
                    LENGTH_DIGITS => write!(f, "; write ten digits (the reference class accepts a sign or spaces too)"),
                    _ => write!(f, " at the end of the input; a length has ten digits"),
                }
            }
            ObeError::TooLong { announced, limit } => {
                write!(f, "a body of {announced} bytes is announced, and {limit} are allowed")
            }
            ObeError::CutShort { got, announced } => {
                write!(f, "body cut short: {got} of {announced} bytes came before the input ended")
            }
        }
    }
}

impl Framer {
    pub(super) fn next_obe(&mut self) -> Option<Frame<'_>> {
        let unread = self.buffer.unread();
        let limit = self.options.payload_bytes_max;
        let announced = match announced(unread)? {
            Ok(announced) if announced > limit as u64 => return self.fail(ObeError::TooLong { announced, limit }),
            Ok(announced) => announced,
            Err(error) => return self.fail(error),
        };
        let whole = LENGTH_DIGITS + announced as usize;
        if unread.len() < whole {
            return None;
        }
        let number = self.number;
        self.number += whole as u64;
        let at = self.buffer.take(whole);
        Some(Frame::Message(obe_message(number, self.buffer.taken(at, whole), &mut self.clean)))
    }

    pub(super) fn last_obe(&mut self) -> Option<Frame<'_>> {
        let unread = self.buffer.unread();
        if unread.is_empty() {
            self.has_ended = true;
            return None;
        }
        let error = match announced(unread) {
            Some(Ok(announced)) => ObeError::CutShort { got: unread.len() - LENGTH_DIGITS, announced },
            Some(Err(error)) => error,
            None => invalid_length(unread),
        };
        self.fail(error)
    }

    fn fail(&mut self, error: ObeError) -> Option<Frame<'static>> {
        self.has_ended = true;
        Some(Frame::Bad { number: self.number, fault: FramingError::Obe(error) })
    }
}

/// The length at the front, once all of it is there.
fn announced(unread: &[u8]) -> Option<Result<u64, ObeError>> {
    let digits = unread.get(..LENGTH_DIGITS)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Some(Err(invalid_length(unread)));
    }
    Some(Ok(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
}

fn invalid_length(unread: &[u8]) -> ObeError {
    let mut found = [0; LENGTH_DIGITS];
    let count = unread.len().min(LENGTH_DIGITS);
    found[..count].copy_from_slice(&unread[..count]);
    ObeError::InvalidLength { found, count }
}

/// The message of a whole frame. `one_line` is used if there are line breaks in its body.
fn obe_message<'a>(number: u64, raw: &'a [u8], one_line: &'a mut Vec<u8>) -> RawMessage<'a> {
    let mut line = body(raw);
    if memchr::memchr2(b'\n', b'\r', line).is_some() {
        one_line.clear();
        one_line.extend(line.iter().filter(|&&byte| byte != b'\n' && byte != b'\r'));
        line = one_line;
    }
    RawMessage { number, raw, line, marker: None, payload: None }
}

/// The body of a whole frame, with its line breaks.
pub fn body(raw: &[u8]) -> &[u8] {
    raw.get(LENGTH_DIGITS..).unwrap_or_default()
}

/// Appends the frame of a body.
///
/// ```
/// let mut out = Vec::new();
/// backbox::framing::push_frame(br#""OK""#, &mut out);
/// assert_eq!(out, br#"0000000004"OK""#);
/// ```
pub fn push_frame(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:010}", body.len()).as_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::FramingOptions;

    fn frames(limit: usize, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer =
            Framer::new(FramingOptions { payload_bytes_max: limit, read_bytes: 64, ..FramingOptions::obe() });
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
            let fault = format!("12 !invalid length: \"{shown}\"");
            let fault = fault + "; write ten digits (the reference class accepts a sign or spaces too)";
            check(&input, &["0 []", &fault]);
        }
        for (bad, shown) in [(&b"000000002"[..], "000000002"), (b"0", "0"), (b"\"OK\"", "\"OK\"")] {
            let input = [b"0000000002[]", bad].concat();
            let fault = format!("12 !invalid length: \"{shown}\" at the end of the input; a length has ten digits");
            check(&input, &["0 []", &fault]);
        }
    }

    #[test]
    fn a_length_over_the_limit_ends_the_input_and_takes_no_memory() {
        let fault = |announced| format!("0 !{}", ObeError::TooLong { announced, limit: 40 });
        check(b"0000000041xx", &[&fault(41)]);
        check(b"9999999999xx", &[&fault(9_999_999_999)]);
        let mut framer = Framer::new(FramingOptions { read_bytes: 64, ..FramingOptions::obe() });
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
