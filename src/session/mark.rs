//! The marks at the beginning of a session's lines, and the small texts behind them: header and stamp.

use std::time::Duration;

use super::error::Reason;
use super::{HEADER, VERSION};
use crate::framing::{FramingOptions, MARK_BYTES};
use crate::text::{is_white, shown, trim};

/// What a line of a session file means by its first two bytes; blanks before them make it a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `#@`: when the following lines were seen.
    Stamp,
    /// `#<`: sent by the side that accepted.
    Server,
    /// `#>`: sent by the side that dialled.
    Client,
    /// `#=`: the payload of the line before.
    Payload,
    /// `#~`: a pattern.
    Pattern,
    /// `#!`: a setting.
    Setting,
}

impl Mark {
    /// The mark of a line and what stands behind it; `None` for a comment.
    pub(super) fn of(line: &[u8]) -> Option<(Mark, &[u8])> {
        let (mark, rest) = line.split_at_checked(MARK_BYTES)?;
        let mark = match mark {
            b"#@" => Mark::Stamp,
            b"#<" => Mark::Server,
            b"#>" => Mark::Client,
            b"#=" => Mark::Payload,
            b"#~" => Mark::Pattern,
            b"#!" => Mark::Setting,
            _ => return None,
        };
        Some((mark, rest))
    }

    /// How long a marked line may be behind its mark, for [`crate::framing::BcpFramer::keep_marked`].
    pub(super) fn limit(line: &[u8], framing: &FramingOptions) -> Option<usize> {
        match Mark::of(line)?.0 {
            Mark::Payload => {
                let base64 = base64::encoded_len(framing.payload_bytes_max, true).unwrap_or(usize::MAX);
                Some(base64.max(framing.line_bytes_max))
            }
            _ => Some(framing.line_bytes_max),
        }
    }
}

/// Reads line 1: whether it is a session's header, and one that we can read.
pub(super) fn header(line: &[u8]) -> Result<bool, Reason> {
    let Some(rest) = line.strip_prefix(HEADER.as_bytes()) else { return Ok(false) };
    if rest.first().is_some_and(|&b| !is_white(b)) {
        return Ok(false);
    }
    let digits = trim(rest);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Header);
    }
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    match digits.get(zeros..).unwrap_or_default() {
        b"" => Err(Reason::Header),
        significant if significant == VERSION.to_string().as_bytes() => Ok(true),
        significant => Err(Reason::Newer { version: shown(significant) }),
    }
}

/// What a `#@` line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When, in whole microseconds.
    pub(super) time: Duration,
    /// On which connection; 1 when the line names none.
    pub(super) connection: u32,
}

impl Stamp {
    /// Reads what stands behind `#@`.
    pub(super) fn read(text: &[u8]) -> Result<Stamp, Reason> {
        let mut words = text.split(|&b| is_white(b)).filter(|word| !word.is_empty());
        let seconds = words.next().and_then(seconds).ok_or(Reason::Time)?;
        let connection = words.next();
        if words.next().is_some() {
            return Err(Reason::Time);
        }
        let connection = match connection {
            None => 1,
            Some(word) => connection_number(word).ok_or_else(|| Reason::Connection { word: shown(word) })?,
        };
        Ok(Stamp { time: seconds, connection })
    }
}

/// `12` or `12.345678901`: what lies beyond microseconds is cut off, which is all that a recorder writes.
fn seconds(word: &[u8]) -> Option<Duration> {
    let (whole, nanos) = match word.iter().position(|&b| b == b'.') {
        None => (word, 0),
        Some(point) => (word.get(..point)?, nanoseconds(word.get(point + 1..)?)?),
    };
    Some(Duration::new(number(whole, 10)?, nanos / 1000 * 1000))
}

/// The nanoseconds of one to nine decimals.
fn nanoseconds(decimals: &[u8]) -> Option<u32> {
    let missing = u32::try_from(9usize.checked_sub(decimals.len())?).ok()?;
    u32::try_from(number(decimals, 9)?).ok()?.checked_mul(10u32.pow(missing))
}

fn connection_number(word: &[u8]) -> Option<u32> {
    if word.first() == Some(&b'0') {
        return None;
    }
    u32::try_from(number(word, 9)?).ok()
}

/// The number of one to `digits_max` ASCII digits, at most ten.
fn number(digits: &[u8], digits_max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > digits_max || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_word_and_one_number() {
        for line in ["#backbox-session 1", "#backbox-session\t 01 ", "#backbox-session 0000000000000000000000001"] {
            assert_eq!(header(line.as_bytes()), Ok(true), "{line}");
        }
        for line in ["", "reset", "#backbox-sessio", "#backbox-sessions 1", "#backbox-session1", " #backbox-session 1"]
        {
            assert_eq!(header(line.as_bytes()), Ok(false), "{line}");
        }
        for line in ["#backbox-session", "#backbox-session ", "#backbox-session 0", "#backbox-session 1.0"] {
            assert_eq!(header(line.as_bytes()), Err(Reason::Header), "{line}");
        }
        assert_eq!(header(b"#backbox-session 012"), Err(Reason::Newer { version: "12".to_owned() }));
    }

    #[track_caller]
    fn check_stamp(text: &str, micros: u64, connection: u32) {
        let expected = Stamp { time: Duration::from_micros(micros), connection };
        assert_eq!(Stamp::read(text.as_bytes()), Ok(expected), "{text}");
    }

    #[test]
    fn a_stamp_is_a_time_and_perhaps_a_connection() {
        check_stamp("0", 0, 1);
        check_stamp(" 7.25\t2 ", 7_250_000, 2);
        check_stamp("007.000001", 7_000_001, 1);
        check_stamp("0.123456789 999999999", 123_456, 999_999_999);
        check_stamp("9999999999.999999999", 9_999_999_999_999_999, 1);
        for text in ["", " ", "x", "-1", "+1", "1e3", ".5", "1.", "1..2", "1,5", "1 2 3", "12345678901", "0.1234567890"]
        {
            assert_eq!(Stamp::read(text.as_bytes()), Err(Reason::Time), "{text}");
        }
        for text in ["1 0", "1 01", "1 x", "1 -1", "1 1234567890", "1 1.0"] {
            assert!(matches!(Stamp::read(text.as_bytes()), Err(Reason::Connection { .. })), "{text}");
        }
    }

    #[test]
    fn a_mark_is_the_very_first_two_bytes() {
        assert_eq!(Mark::of(b"#< x"), Some((Mark::Server, &b" x"[..])));
        for comment in ["", "#", " #<x", "# <x", "##<", "#-", "reset"] {
            assert_eq!(Mark::of(comment.as_bytes()), None, "{comment}");
        }
        let framing = FramingOptions { line_bytes_max: 10, payload_bytes_max: 300, ..FramingOptions::default() };
        assert_eq!(Mark::limit(b"#=", &framing), Some(400));
        assert_eq!(Mark::limit(b"#<", &framing), Some(10));
        assert_eq!(Mark::limit(b"# ", &framing), None);
    }
}
