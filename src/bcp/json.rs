//! The scanner: JSON text in, the same text in the one spelling of section 4 out, in one pass and without a tree.
//!
//! The work is done by a [`Pen`]; here are its beginning and its end, its room, and what is said when it stops.
//! It reads RFC 8259 and `NaN`, `Infinity`, `-Infinity`, keeps every digit of every number, and refuses what section 1
//! refuses: raw control characters, lone surrogates, trailing commas, more than 128 levels. What a member means is its
//! caller's business.

use std::fmt;

use super::error::too_deep;
use super::names::Names;
use super::pen::{Pen, Stop, Stroke};
use super::usual::Usual;
use crate::limits::READ_BYTES;
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
        write!(f, "not JSON at byte {}: ", self.at + 1)?;
        let found = &self.found;
        match self.fault {
            JsonFault::Value => write!(f, "no value begins like {found}"),
            JsonFault::Number => write!(f, "no number is written like {found}"),
            JsonFault::Nan => write!(f, "--no-nan asks for finite numbers, and here stands {found}"),
            JsonFault::RawControl => write!(f, "a control character that has to be escaped, at {found}"),
            JsonFault::Escape => write!(f, "no escape is written like {found}"),
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

/// What a scan gives: where it went wrong is known to the scanner, which has stopped there.
pub type Scan<T> = Result<T, JsonError>;

/// What is stored too much, and written over, has room behind a text.
const SLACK_BYTES: usize = 64;

/// Room to write into. It keeps its size from message to message, and what is written over again is never cleared.
#[derive(Clone, Debug, Default)]
pub struct Room(Vec<u8>);

impl Room {
    /// At least `bytes` of room. New room comes zeroed from the system and costs memory only where it is used.
    fn of(&mut self, bytes: usize) -> &mut [u8] {
        if self.0.len() < bytes {
            // The old room goes before the new one comes, so that they are never there together.
            self.0 = Vec::new();
            self.0 = vec![0; bytes];
        }
        &mut self.0
    }

    /// The same room, unless one huge message made it large: that must not keep its memory for ever.
    pub fn shrunk(self) -> Room {
        if self.0.len() > 8 * READ_BYTES { Room::default() } else { self }
    }

    /// What was written.
    pub fn written(&self, bytes: usize) -> &[u8] {
        self.0.get(..bytes).unwrap_or_default()
    }
}

/// Reads JSON from the front of a text that is UTF-8.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t [u8],
    rest: &'t [u8],
    nan: bool,
    room: Room,
}

impl<'t> Scanner<'t> {
    /// A scanner at the start of `text`; `nan` says whether NaN and the infinities are numbers. It writes into `room`.
    pub fn new(text: &'t [u8], nan: bool, room: Room) -> Scanner<'t> {
        Scanner { text, rest: text, nan, room }
    }

    /// The room, for the next scanner.
    pub fn into_room(self) -> Room {
        self.room
    }

    /// What was written last.
    pub fn written(&self, bytes: usize) -> &[u8] {
        self.room.written(bytes)
    }

    /// What is left to read.
    pub fn rest(&self) -> &'t [u8] {
        self.rest
    }

    /// Passes over JSON's white space.
    pub fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// The end of the text: nothing but white space may follow.
    pub fn end(&mut self) -> Scan<()> {
        self.skip_space();
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(JsonFault::Trailing)) }
    }

    /// Respells the value that begins here; `levels` is how many lists and objects are open around it.
    pub fn value(&mut self, levels: usize) -> Scan<&[u8]> {
        self.skip_space();
        self.draw(|pen| pen.value(levels))
    }

    /// Respells the name that begins here, with its quotes and the colon behind it.
    pub fn name(&mut self) -> Scan<&[u8]> {
        self.draw(|pen| pen.name(false).map(|_| ()))
    }

    /// Passes over the `{` that begins here; whether the object has a member.
    pub fn open_object(&mut self) -> Scan<bool> {
        let Some(inside) = self.rest.strip_prefix(b"{") else { return Err(self.error(JsonFault::Value)) };
        self.rest = inside;
        self.skip_space();
        let behind = self.rest.strip_prefix(b"}");
        self.rest = behind.unwrap_or(self.rest);
        Ok(behind.is_none())
    }

    /// Behind a member's value: whether another member follows. The closing bracket is passed over.
    pub fn next_member(&mut self) -> Scan<bool> {
        let mark = self.draw(|pen| pen.next(b'}').map(|_| ()))?;
        Ok(mark == b",")
    }

    /// Respells an object as peers write it in text that [`is_usual`](super::usual::is_usual), and gives its length;
    /// `None`, and nothing has been read, when something in it asks for care.
    pub(super) fn usual_object(&mut self, names: &mut Names, keep_case: bool) -> Option<usize> {
        let room = self.room.of(self.rest.len().saturating_add(SLACK_BYTES));
        let (read, written) = Usual::new(self.rest, room).object(names, keep_case)?;
        self.rest = self.rest.get(read..)?;
        Some(written)
    }

    /// Respells with a pen from here on, and gives what it wrote. Text whose spelling is longer than itself does not
    /// fit at first; it is respelled with twice the room, until that is enough even for `\uXXXX` for every byte.
    #[inline(always)]
    pub(super) fn draw(&mut self, mut draw: impl FnMut(&mut Pen<'t, '_>) -> Stroke<()>) -> Scan<&[u8]> {
        let mut wanted = self.rest.len().saturating_add(SLACK_BYTES);
        loop {
            let room = self.room.of(wanted);
            let enough = room.len() >= self.rest.len().saturating_mul(6).saturating_add(SLACK_BYTES);
            let mut pen = Pen { rest: self.rest, room, written: 0, nan: self.nan };
            match draw(&mut pen) {
                Ok(()) => {
                    let written = pen.written;
                    self.rest = pen.rest;
                    return Ok(self.room.written(written));
                }
                Err(Stop::Full) if !enough => wanted = wanted.saturating_mul(2),
                Err(Stop::Full) => return Err(self.error(JsonFault::CutShort)),
                Err(Stop::Fault(fault, left)) => {
                    self.rest = self.text.get(self.text.len().saturating_sub(left)..).unwrap_or_default();
                    return Err(self.error(fault));
                }
            }
        }
    }

    /// What is wrong, with its place: where the scanner stopped.
    #[cold]
    fn error(&self, fault: JsonFault) -> JsonError {
        JsonError { at: self.text.len() - self.rest.len(), fault, found: shown(self.rest) }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
