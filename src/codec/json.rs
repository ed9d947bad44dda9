//! The scanner: JSON text in, the same text in the one spelling of section 4 out, in one pass and without a tree.
//!
//! It reads RFC 8259 and `NaN`, `Infinity`, `-Infinity`, keeps every digit of every number, and refuses what section 1
//! refuses: raw control characters, lone surrogates, trailing commas, more than 128 levels. What a member means is its
//! caller's business.

use std::fmt;

use super::error::too_deep;
use super::number::json_number;
use super::spell::{copy_plain, push_char, push_text, push_unit};
use crate::limits::JSON_LEVELS_MAX;
use crate::text::shown;

/// Where and why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The byte at which it went wrong, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: JsonFault,
    /// The text from there on, cut and made safe for a terminal.
    pub found: String,
}

/// The ways in which a text can fail to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Something else stands where a value has to begin.
    Value,
    /// A number that is none of JSON's.
    Number,
    /// NaN or an infinity under `--no-nan`.
    Nan,
    /// A control character that has to be escaped.
    RawControl,
    /// A backslash and no escape.
    Escape,
    /// Half a surrogate pair.
    Surrogate,
    /// A member's name has to begin with a double quote.
    Name,
    /// A colon has to stand between name and value.
    Colon,
    /// A comma or the closing bracket has to follow.
    Comma,
    /// A comma with nothing behind it.
    TrailingComma,
    /// The text ends too soon.
    CutShort,
    /// More than 128 levels.
    TooDeep,
    /// Text behind the value.
    Trailing,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON at byte {}: ", self.at + 1)?;
        let found = &self.found;
        match self.fault {
            JsonFault::Value => write!(f, "no value at {found}"),
            JsonFault::Number => write!(f, "no number of JSON's at {found}"),
            JsonFault::Nan => write!(f, "no finite number, which --no-nan asks for, at {found}"),
            JsonFault::RawControl => write!(f, "a control character that has to be escaped, at {found}"),
            JsonFault::Escape => write!(f, "no escape of JSON's at {found}"),
            JsonFault::Surrogate => write!(f, "half a surrogate pair at {found}"),
            JsonFault::Name => write!(f, "no name in double quotes at {found}"),
            JsonFault::Colon => write!(f, "no colon behind the name, at {found}"),
            JsonFault::Comma => write!(f, "no comma and no closing bracket at {found}"),
            JsonFault::TrailingComma => write!(f, "a comma with nothing behind it, at {found}"),
            JsonFault::CutShort => write!(f, "the text ends too soon"),
            JsonFault::TooDeep => too_deep(f),
            JsonFault::Trailing => write!(f, "text behind the value: {found}"),
        }
    }
}

/// What a scan gives. The fault alone is as small as a byte, which every value on the way pays for; where it happened
/// is known to the scanner, which has stopped there: [`Scanner::error`].
pub type Scan<T> = Result<T, JsonFault>;

/// Reads JSON from the front of a text that is UTF-8.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    nan: bool,
}

impl<'t> Scanner<'t> {
    /// A scanner at the start of `text`; `nan` says whether NaN and the infinities are numbers.
    pub fn new(text: &'t [u8], nan: bool) -> Scanner<'t> {
        Scanner { text, at: 0, nan }
    }

    /// What is left to read.
    pub fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over JSON's white space, which is fewer characters than BCP's.
    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The end of the text: nothing but white space may follow.
    pub fn end(&mut self) -> Scan<()> {
        self.skip_space();
        if self.at < self.text.len() { self.fail(JsonFault::Trailing) } else { Ok(()) }
    }

    /// Respells the value that begins here; `levels` is how many lists and objects are open around it.
    pub fn value(&mut self, levels: usize, out: &mut Vec<u8>) -> Scan<()> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => self.string(out),
            Some(b'{') => self.object(levels, out),
            Some(b'[') => self.list(levels, out),
            Some(b'0'..=b'9' | b'-') => self.number(out),
            Some(b't') => self.word(b"true", out),
            Some(b'f') => self.word(b"false", out),
            Some(b'n') => self.word(b"null", out),
            Some(b'N') => self.not_finite(b"NaN", out),
            Some(b'I') => self.not_finite(b"Infinity", out),
            Some(_) => self.fail(JsonFault::Value),
            None => self.fail(JsonFault::CutShort),
        }
    }

    /// Respells a member's name, without its quotes, and passes over the colon behind it.
    pub fn name(&mut self, out: &mut Vec<u8>) -> Scan<()> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.inside(out)?;
            }
            Some(_) => return self.fail(JsonFault::Name),
            None => return self.fail(JsonFault::CutShort),
        }
        self.skip_space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return self.fail(JsonFault::Colon),
            None => return self.fail(JsonFault::CutShort),
        }
        self.skip_space();
        Ok(())
    }

    /// Passes over the `{` that begins here, if there is a level left for it; whether the object has a member.
    ///
    /// Members are gone through by hand, so that each caller does with them what it wants:
    /// `let mut more = scanner.open_object(levels)?; while more { …; more = scanner.next_member()? }`.
    pub fn open_object(&mut self, levels: usize) -> Scan<bool> {
        self.open(levels, b'}')
    }

    /// Behind a member's value: whether another member follows. The closing bracket is passed over.
    pub fn next_member(&mut self) -> Scan<bool> {
        self.next(b'}')
    }

    fn object(&mut self, levels: usize, out: &mut Vec<u8>) -> Scan<()> {
        let mut more = self.open_object(levels)?;
        if !more {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        out.push(b'{');
        while more {
            out.push(b'"');
            self.name(out)?;
            out.extend_from_slice(b"\":");
            self.value(levels + 1, out)?;
            more = self.next_member()?;
            out.push(if more { b',' } else { b'}' });
        }
        Ok(())
    }

    fn list(&mut self, levels: usize, out: &mut Vec<u8>) -> Scan<()> {
        let mut more = self.open(levels, b']')?;
        if !more {
            out.extend_from_slice(b"[]");
            return Ok(());
        }
        out.push(b'[');
        while more {
            self.value(levels + 1, out)?;
            more = self.next(b']')?;
            out.push(if more { b',' } else { b']' });
        }
        Ok(())
    }

    /// Passes over an opening bracket; whether anything but its closing one follows.
    fn open(&mut self, levels: usize, close: u8) -> Scan<bool> {
        if levels >= JSON_LEVELS_MAX {
            return self.fail(JsonFault::TooDeep);
        }
        self.at += 1;
        self.skip_space();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Passes over a comma and says `true`, or over the closing bracket and says `false`.
    fn next(&mut self, close: u8) -> Scan<bool> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                if self.peek() == Some(close) { self.fail(JsonFault::TrailingComma) } else { Ok(true) }
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) => self.fail(JsonFault::Comma),
            None => self.fail(JsonFault::CutShort),
        }
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Scan<()> {
        out.push(b'"');
        self.at += 1;
        self.inside(out)?;
        out.push(b'"');
        Ok(())
    }

    /// Respells a string behind its opening quote, and passes over the closing one.
    fn inside(&mut self, out: &mut Vec<u8>) -> Scan<()> {
        loop {
            self.at += copy_plain(self.rest(), out);
            match self.rest() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [b'\\', ..] => self.escape(out)?,
                [0..0x20, ..] => return self.fail(JsonFault::RawControl),
                [0x7f, ..] => {
                    push_unit(0x7f, out);
                    self.at += 1;
                }
                [_, ..] => {
                    let beyond_ascii = self.rest().iter().take_while(|b| !b.is_ascii()).count();
                    let end = self.at + beyond_ascii;
                    push_text(self.text.get(self.at..end).unwrap_or_default(), out);
                    self.at = end;
                }
                [] => return self.fail(JsonFault::CutShort),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Scan<()> {
        let meant = match self.rest().get(1) {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(*letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let c = self.unicode()?;
                push_char(c, out);
                return Ok(());
            }
            Some(_) => return self.fail(JsonFault::Escape),
            None => return self.fail(JsonFault::CutShort),
        };
        push_char(meant, out);
        self.at += 2;
        Ok(())
    }

    /// The character of one `\uXXXX`, or of two that are a surrogate pair.
    fn unicode(&mut self) -> Scan<char> {
        let first = self.unit(self.rest())?;
        if let Some(c) = char::from_u32(first) {
            self.at += 6;
            return Ok(c);
        }
        let behind = self.rest().get(6..).unwrap_or_default();
        if first < 0xdc00 && behind.starts_with(b"\\u") {
            let second = self.unit(behind)?;
            if let Some(Ok(c)) = char::decode_utf16([first as u16, second as u16]).next() {
                self.at += 12;
                return Ok(c);
            }
        }
        self.fail(JsonFault::Surrogate)
    }

    /// The number of the `\uXXXX` with which `text` begins.
    fn unit(&self, text: &[u8]) -> Scan<u32> {
        let digits = text.get(2..6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).map_or_else(|| self.fail(JsonFault::Escape), Ok)
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Scan<()> {
        if self.rest().starts_with(b"-I") {
            return self.not_finite(b"-Infinity", out);
        }
        let length = json_number(self.rest()).map_or_else(|| self.fail(JsonFault::Number), Ok)?;
        let digits = self.rest().get(..length).unwrap_or_default();
        match memchr::memchr(b'+', digits) {
            // The + of an exponent is dropped: it is a space to some peers (section 4).
            Some(plus) => {
                out.extend_from_slice(digits.get(..plus).unwrap_or_default());
                out.extend_from_slice(digits.get(plus + 1..).unwrap_or_default());
            }
            None => out.extend_from_slice(digits),
        }
        self.at += length;
        // A digit here means a leading zero, as in 01.
        if self.peek().is_some_and(|b| b.is_ascii_digit()) { self.fail(JsonFault::Number) } else { Ok(()) }
    }

    fn not_finite(&mut self, word: &[u8], out: &mut Vec<u8>) -> Scan<()> {
        let start = self.at;
        self.word(word, out)?;
        if self.nan {
            return Ok(());
        }
        self.at = start;
        self.fail(JsonFault::Nan)
    }

    fn word(&mut self, word: &[u8], out: &mut Vec<u8>) -> Scan<()> {
        if !self.rest().starts_with(word) {
            return self.fail(JsonFault::Value);
        }
        self.at += word.len();
        out.extend_from_slice(word);
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// What is wrong, with its place: where the scanner stopped.
    #[cold]
    pub fn error(&self, fault: JsonFault) -> JsonError {
        JsonError { at: self.at, fault, found: shown(self.rest()) }
    }

    #[cold]
    fn fail<T>(&self, fault: JsonFault) -> Scan<T> {
        Err(if self.at >= self.text.len() { JsonFault::CutShort } else { fault })
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
