//! The fast path of the codec: JSON text in, the same text in the one spelling of section 4 out, in one pass.
//!
//! A [`Pen`] holds where reading and writing stand. Its methods are small and inlined into one loop that needs no
//! recursion, so that both stay in registers; whatever is rare takes a pen by value and gives it back, for the same
//! reason. The pen writes into room that is there already; when a text full of escapes needs more, it says so, and the
//! text is respelled from its start with more.

use super::eight::{Eight, STEP};
use super::json::JsonFault;
use super::number::json_number;
use super::parts::push_name;
use super::spell::{padded, plain_bytes, plain_in_step, push_char, special, special_in_names, spell_unit};
use super::spelled::JsonValue;
use crate::limits::JSON_LEVELS_MAX;
use crate::text::trim;

/// Why a pen stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The room is full.
    Full,
    /// The text is no JSON, and how much of it was left.
    Fault(JsonFault, usize),
}

/// What a step of the pen gives.
pub type Stroke<T> = Result<T, Stop>;

/// Where reading and writing stand.
pub struct Pen<'t, 'r> {
    /// What is left to read.
    pub rest: &'t [u8],
    /// Where is written.
    pub room: &'r mut [u8],
    /// How many bytes were written.
    pub written: usize,
    /// Whether NaN and the infinities are numbers.
    pub nan: bool,
}

/// The lists and objects that are open, one bit each: 128 levels fit in a word.
struct Levels {
    objects: u128,
    open: usize,
    /// The bracket that closes the innermost; NUL when none is open.
    close: u8,
    around: usize,
}

const _: () = assert!(JSON_LEVELS_MAX <= 128, "Levels has a bit for each level");

impl Levels {
    /// No level open, and so many around.
    const fn inside(around: usize) -> Levels {
        Levels { objects: 0, open: 0, close: 0, around }
    }

    #[inline(always)]
    fn push(&mut self, close: u8) {
        self.objects = self.objects << 1 | u128::from(close == b'}');
        self.open += 1;
        self.close = close;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.objects >>= 1;
        self.open -= 1;
        self.close = match (self.open, self.objects & 1) {
            (0, _) => 0,
            (_, 0) => b']',
            _ => b'}',
        };
    }
}

impl<'t> Pen<'t, '_> {
    /// Respells the value that begins right here; `levels` is how many lists and objects are open around it.
    #[inline(always)]
    pub fn value(&mut self, levels: usize) -> Stroke<()> {
        let mut open = Levels::inside(levels);
        loop {
            let opened = match self.rest.first() {
                Some(b'"') => self.string().map(|_| false)?,
                Some(b'{') => self.open(b'{', b'}', &mut open)?,
                Some(b'[') => self.open(b'[', b']', &mut open)?,
                Some(b'0'..=b'9') if self.short_integer()? => false,
                Some(b'n') => self.word(b"null").map(|()| false)?,
                _ => self.give(|pen| pen.rare_value()).map(|()| false)?,
            };
            if !opened && !self.close(&mut open)? {
                return Ok(());
            }
            // White space was skipped behind the bracket or comma, and is behind the colon.
            if open.close == b'}' {
                self.name(false)?;
            }
        }
    }

    /// Copies the bracket of the object that begins here; whether it has a member. An empty one is copied whole.
    #[inline(always)]
    pub fn open_object(&mut self) -> Stroke<bool> {
        self.open(b'{', b'}', &mut Levels::inside(0))
    }

    /// Behind a value: copies brackets that close, and a comma; whether another value follows.
    #[inline(always)]
    fn close(&mut self, open: &mut Levels) -> Stroke<bool> {
        while open.close != 0 {
            if self.next(open.close)? {
                return Ok(true);
            }
            open.pop();
        }
        Ok(false)
    }

    /// Copies an opening bracket; whether anything but its closing one follows, which is copied too.
    #[inline(always)]
    fn open(&mut self, bracket: u8, close: u8, open: &mut Levels) -> Stroke<bool> {
        if open.around + open.open >= JSON_LEVELS_MAX {
            return self.fail(JsonFault::TooDeep);
        }
        self.copy(bracket)?;
        self.skip_space();
        if self.rest.first() == Some(&close) {
            self.copy(close)?;
            return Ok(false);
        }
        open.push(close);
        Ok(true)
    }

    /// Behind a value: copies a comma and says that another follows, or copies the closing bracket.
    #[inline(always)]
    pub fn next(&mut self, close: u8) -> Stroke<bool> {
        loop {
            match self.rest.first() {
                Some(b',') => {
                    self.separator(b',')?;
                    let trailing = self.rest.first() == Some(&close);
                    return if trailing { self.fail(JsonFault::TrailingComma) } else { Ok(true) };
                }
                Some(byte) if *byte == close => {
                    self.copy(close)?;
                    return Ok(false);
                }
                // Hardly anybody writes white space here, so it is looked for last.
                _ if self.skip_space() => {}
                _ => return self.fail(JsonFault::Comma),
            }
        }
    }

    /// Copies the comma or colon that stands here, and skips what is white behind it: one blank, as peers write it.
    #[inline(always)]
    fn separator(&mut self, byte: u8) -> Stroke<()> {
        self.put(byte)?;
        match self.rest {
            [_, b' ', rest @ ..] if rest.first().is_some_and(|&next| next > b' ') => self.rest = rest,
            rest => {
                self.rest = rest.get(1..).unwrap_or_default();
                self.skip_space();
            }
        }
        Ok(())
    }

    /// Respells a name with its quotes and copies the colon behind it. Whether nothing in it needed care; to a `folded`
    /// name upper-case letters do.
    #[inline(always)]
    pub fn name(&mut self, folded: bool) -> Stroke<bool> {
        if self.rest.first() != Some(&b'"') {
            return self.fail(JsonFault::Name);
        }
        let plain = if folded { self.quoted(special_in_names)? } else { self.string()? };
        self.colon()?;
        Ok(plain)
    }

    /// Copies the colon behind a name, and skips to the value.
    #[inline(always)]
    pub fn colon(&mut self) -> Stroke<()> {
        if self.rest.first() != Some(&b':') && !(self.skip_space() && self.rest.first() == Some(&b':')) {
            return self.fail(JsonFault::Colon);
        }
        self.separator(b':')
    }

    /// Respells a string with its quotes; whether nothing in it needed care.
    #[inline(always)]
    pub fn string(&mut self) -> Stroke<bool> {
        self.quoted(special)
    }

    #[inline(always)]
    fn quoted(&mut self, special: impl Fn(Eight) -> u64) -> Stroke<bool> {
        // The opening quote is copied with what follows it.
        let mut passed = 0x80;
        loop {
            let end;
            let step = match self.rest.first_chunk::<STEP>() {
                Some(step) => step,
                None => {
                    end = padded(self.rest);
                    &end
                }
            };
            let room = self.room.get_mut(self.written..).and_then(|room| room.first_chunk_mut::<STEP>());
            let Some(room) = room else { return Err(Stop::Full) };
            // Stored first, judged afterwards: what was stored too much is written over.
            *room = *step;
            let plain = plain_in_step(step, passed, &special);
            if plain < STEP {
                let closed = step.get(plain) == Some(&b'"');
                self.go(plain + usize::from(closed));
                return if closed { Ok(true) } else { self.give(|pen| pen.inside()).map(|()| false) };
            }
            passed = 0;
            self.go(STEP);
        }
    }

    /// Lets something rare go on with the pen, and takes it back. The pen is lent by value: its address never leaves,
    /// so that its parts can stay in registers.
    #[inline(always)]
    pub fn give<'r>(&'r mut self, rare: impl FnOnce(Pen<'t, 'r>) -> Stroke<(&'t [u8], usize)>) -> Stroke<()> {
        let lent = Pen { rest: self.rest, room: &mut *self.room, written: self.written, nan: self.nan };
        let (rest, written) = rare(lent)?;
        (self.rest, self.written) = (rest, written);
        Ok(())
    }

    /// Copies an integer of a digit or two, which is what most numbers of a game are; whether it was one.
    #[inline(always)]
    fn short_integer(&mut self) -> Stroke<bool> {
        let digits = match self.rest {
            [b'0'..=b'9', b',' | b']' | b'}', ..] => 1,
            [b'1'..=b'9', b'0'..=b'9', b',' | b']' | b'}', ..] => 2,
            _ => return Ok(false),
        };
        for _ in 0..digits {
            self.copy(self.rest.first().copied().unwrap_or_default())?;
        }
        Ok(true)
    }

    /// Copies the byte that is known to come next.
    #[inline(always)]
    fn copy(&mut self, byte: u8) -> Stroke<()> {
        self.put(byte)?;
        self.rest = self.rest.get(1..).unwrap_or_default();
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, byte: u8) -> Stroke<()> {
        let Some(room) = self.room.get_mut(self.written) else { return Err(Stop::Full) };
        *room = byte;
        self.written += 1;
        Ok(())
    }

    /// Goes on behind bytes that were copied.
    #[inline(always)]
    fn go(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.written += count;
    }

    /// Passes over JSON's white space, which is fewer characters than BCP's; whether there was any.
    #[inline(always)]
    pub fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
            // One blank is what peers write; a comparison tells that it is over.
            if rest.first().is_some_and(|&byte| byte > b' ') {
                break;
            }
        }
        self.rest.len() < before
    }

    #[cold]
    fn fail<T>(&self, fault: JsonFault) -> Stroke<T> {
        let fault = if self.rest.is_empty() { JsonFault::CutShort } else { fault };
        Err(Stop::Fault(fault, self.rest.len()))
    }
}

/// What is rare, or long enough to be worth a call.
impl<'t> Pen<'t, '_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Stroke<()> {
        let end = self.written + bytes.len();
        let Some(room) = self.room.get_mut(self.written..end) else { return Err(Stop::Full) };
        room.copy_from_slice(bytes);
        self.written = end;
        Ok(())
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// A number, a word, or nothing that begins a value.
    fn rare_value(mut self) -> Stroke<(&'t [u8], usize)> {
        match self.rest.first() {
            Some(b'-') if self.rest.starts_with(b"-I") => self.not_finite(b"-Infinity")?,
            Some(b'0'..=b'9' | b'-') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'N') => self.not_finite(b"NaN")?,
            Some(b'I') => self.not_finite(b"Infinity")?,
            _ => self.fail(JsonFault::Value)?,
        }
        Ok((self.rest, self.written))
    }

    fn number(&mut self) -> Stroke<()> {
        let Some(length) = json_number(self.rest) else { return self.fail(JsonFault::Number) };
        let (digits, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        // The + of an exponent is dropped: it is a space to some peers (section 4).
        let (before, behind) = match memchr::memchr(b'+', digits) {
            Some(plus) => (digits.get(..plus).unwrap_or_default(), digits.get(plus + 1..).unwrap_or_default()),
            None => (digits, &[][..]),
        };
        self.write(before)?;
        self.write(behind)?;
        self.rest = rest;
        // A digit here means a leading zero, as in 01.
        if rest.first().is_some_and(u8::is_ascii_digit) { self.fail(JsonFault::Number) } else { Ok(()) }
    }

    fn not_finite(&mut self, word: &[u8]) -> Stroke<()> {
        if !self.nan && self.rest.starts_with(word) {
            return self.fail(JsonFault::Nan);
        }
        self.word(word)
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Stroke<()> {
        let Some(rest) = self.rest.strip_prefix(word) else { return self.fail(JsonFault::Value) };
        self.rest = rest;
        self.write(word)
    }

    /// Trims a name that was written from `start` on, with its quotes and colon, and folds it unless `keep_case`.
    pub fn normalize_name(mut self, start: usize, keep_case: bool) -> Stroke<(&'t [u8], usize)> {
        let spelled = self.room.get(start + 1..self.written.saturating_sub(2)).unwrap_or_default();
        let meant = JsonValue::inside(spelled).into_owned();
        let mut name = Vec::with_capacity(meant.len());
        push_name(trim(meant.as_bytes()), keep_case, &mut name);
        self.written = start + 1;
        self.write(&name)?;
        self.write(b"\":")?;
        Ok((self.rest, self.written))
    }

    /// Respells what is left of a string, with its closing quote.
    fn inside(mut self) -> Stroke<(&'t [u8], usize)> {
        loop {
            let (text, rest) = self.rest.split_at_checked(plain_bytes(self.rest)).unwrap_or_default();
            self.write(text)?;
            self.rest = rest;
            match self.rest {
                [b'"', ..] => {
                    self.copy(b'"')?;
                    return Ok((self.rest, self.written));
                }
                [b'\\', ..] => self.escape()?,
                [0..0x20, ..] => return self.fail(JsonFault::RawControl),
                // A C1 control; in UTF-8 it is always these two bytes.
                [0xc2, second @ 0x80..=0x9f, rest @ ..] => {
                    self.write(&spell_unit(u16::from(*second)))?;
                    self.rest = rest;
                }
                [0x7f, rest @ ..] => {
                    self.write(&spell_unit(0x7f))?;
                    self.rest = rest;
                }
                [byte, ..] => self.copy(*byte)?,
                [] => return self.fail(JsonFault::CutShort),
            }
        }
    }

    fn escape(&mut self) -> Stroke<()> {
        let (spelled, length): (&[u8], usize) = match self.rest.get(1) {
            // The spelling of section 4 has the same short escapes.
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => (self.rest.get(..2).unwrap_or_default(), 2),
            Some(b'/') => (b"/", 2),
            Some(b'u') => {
                let (c, length) = self.unicode()?;
                let mut spelled = Vec::with_capacity(6);
                push_char(c, &mut spelled);
                self.write(&spelled)?;
                self.skip(length);
                return Ok(());
            }
            Some(_) => return self.fail(JsonFault::Escape),
            None => return Err(Stop::Fault(JsonFault::CutShort, 0)),
        };
        self.write(spelled)?;
        self.skip(length);
        Ok(())
    }

    /// The character of one `\uXXXX` or of two that are a surrogate pair, and how long they are.
    fn unicode(&self) -> Stroke<(char, usize)> {
        let first = self.unit(self.rest)?;
        if let Some(c) = char::from_u32(u32::from(first)) {
            return Ok((c, 6));
        }
        let behind = self.rest.get(6..).unwrap_or_default();
        if behind.starts_with(b"\\u") {
            let second = self.unit(behind)?;
            if let Some(Ok(c)) = char::decode_utf16([first, second]).next() {
                return Ok((c, 12));
            }
        }
        self.fail(JsonFault::Surrogate)
    }

    /// The number of the `\uXXXX` with which `text` begins.
    fn unit(&self, text: &[u8]) -> Stroke<u16> {
        let digits = text.get(2..6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|hex| u16::from_str_radix(hex, 16).ok()) {
            Some(unit) => Ok(unit),
            None => self.fail(JsonFault::Escape),
        }
    }
}
