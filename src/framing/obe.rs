//! Frames of OBE_Socket: ten digits give the length of the JSON text that follows, in bytes.

use super::{Frame, Framer, FramingError, RawMessage};

/// How many digits a length has, leading zeros included.
pub(super) const LENGTH_DIGITS: usize = 10;

impl Framer {
    /// The next frame of OBE_Socket; `at_end`, what is left must be one. Each error ends the input, because only a
    /// length tells where the next frame begins.
    pub(super) fn next_obe(&mut self, at_end: bool) -> Option<Frame<'_>> {
        let unread = self.buffer.unread();
        let (number, limit) = (self.number, self.options.payload_bytes_max);
        let digits = &unread[..unread.len().min(LENGTH_DIGITS)];
        if digits.is_empty() || (digits.len() < LENGTH_DIGITS && !at_end) {
            self.has_ended = at_end;
            return None;
        }
        if digits.len() < LENGTH_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
            let (mut found, count) = ([0; LENGTH_DIGITS], digits.len());
            found[..count].copy_from_slice(digits);
            return self.fail(FramingError::InvalidLength { found, count });
        }
        let announced = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if announced > limit as u64 {
            return self.fail(FramingError::BodyTooLong { announced, limit });
        }
        let (got, whole) = (unread.len() - LENGTH_DIGITS, LENGTH_DIGITS + announced as usize);
        match unread.len() < whole {
            true if at_end => self.fail(FramingError::BodyCut { got, announced }),
            true => None,
            false => {
                self.number += whole as u64;
                Some(Frame::Message(obe_message(number, self.buffer.take(whole), &mut self.clean)))
            }
        }
    }
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

/// The body of a whole frame ([`RawMessage::raw`]), with its line breaks.
pub fn body(raw: &[u8]) -> &[u8] {
    &raw[LENGTH_DIGITS..]
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
        let fault = |announced| format!("0 !{}", FramingError::BodyTooLong { announced, limit: 40 });
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
        check(b"0000000004\"O", &["0 !body cut short: 2 of 4 bytes before the end of the input"]);
        check(b"0000000002[]0000000001", &["0 []", "12 !body cut short: 0 of 1 bytes before the end of the input"]);
    }
}
