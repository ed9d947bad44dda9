//! A line from the wire into its parts (design.md, section 1).

use std::borrow::Cow;

use memchr::memchr3;

use super::eight::position;
use super::error::{Malformed, MalformedReason};
use super::escape::unescape;
use super::json::{Room, Scanner};
use super::number::{Float, push_float, push_integer};
use super::parts::{DuplicatePolicy, Message, ParseOptions};
use super::spell::push_text;
use super::usual::is_usual;
use crate::text::trim;

impl Message {
    /// Reads a line without LF, CR and payload marker.
    ///
    /// # Errors
    /// [`Malformed`] names the parameter and shows the text; what the parts hold then is no message.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions};
    /// let mut parts = Message::new();
    /// parts.parse_line(b"switch?name=s_left&state=int:1", &ParseOptions::default()).unwrap();
    /// assert_eq!(parts.find("state").unwrap().text(), "1");
    /// let error = parts.parse_line(b"trigger?count=int:abc", &ParseOptions::default()).unwrap_err();
    /// assert_eq!(error.to_string(), "count: int:abc is no integer; digits follow int:, as in int:5");
    /// ```
    pub fn parse_line(&mut self, line: &[u8], reading: &ParseOptions) -> Result<(), Malformed> {
        // Nearly every line is, which is seen faster than that it is UTF-8.
        let usual = is_usual(line);
        if !usual && std::str::from_utf8(line).is_err() {
            return Err(Malformed::message(line, MalformedReason::NotUtf8));
        }
        let (command, query) = split_at(b'?', line);
        self.set_command(trim(command), reading.keep_case);
        if self.command_json().is_empty() {
            return Err(Malformed::message(line, MalformedReason::NoCommand));
        }
        match query.split_at_checked(5) {
            Some((name, json)) if name.eq_ignore_ascii_case(b"json=") => self.read_object(json, usual, reading),
            _ => self.read_query(query, usual, reading),
        }
    }

    /// The parameters of `json=`: taken raw when an object follows at once, else decoded first.
    fn read_object(&mut self, json: &[u8], usual: bool, reading: &ParseOptions) -> Result<(), Malformed> {
        let raw = json.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'{');
        if raw {
            return self.read_members(json, usual, reading);
        }
        let decoded = unescape(json);
        if std::str::from_utf8(&decoded).is_err() {
            return Err(Malformed::parameter(b"json", json, MalformedReason::NotUtf8));
        }
        let text = trim(&decoded);
        match text.first() {
            None => return Err(Malformed::parameter(b"json", b"", MalformedReason::NoJson)),
            Some(b'{') => {}
            Some(_) => {
                let reason = no_object(&mut Scanner::new(&decoded, true, Room::default()));
                return Err(Malformed::parameter(b"json", text, reason));
            }
        }
        self.read_members(&decoded, is_usual(&decoded), reading)
    }

    fn read_members(&mut self, json: &[u8], usual: bool, reading: &ParseOptions) -> Result<(), Malformed> {
        let mut scanner = self.scanner(json, reading.allow_nan);
        scanner.skip_space();
        self.scan_object(&mut scanner, usual, reading.keep_case)
            .and_then(|()| scanner.end())
            .map_err(|error| Malformed::parameter(b"json", json, MalformedReason::Json(error)))?;
        self.take_back(scanner);
        self.settle_repeats(DuplicatePolicy::LastWins)
    }

    /// The parameters of a plain query.
    fn read_query(&mut self, query: &[u8], usual: bool, reading: &ParseOptions) -> Result<(), Malformed> {
        self.open_object();
        // Most queries hold nothing that changes, which is seen faster once than for each name and value.
        let verbatim = usual && memchr3(b'%', b'+', b'"', query).is_none();
        let mut rest = query;
        while !rest.is_empty() {
            let (piece, behind) = split_at(b'&', rest);
            if !piece.is_empty() {
                let (name, value) = split_at(b'=', piece);
                if !(verbatim && self.push_usual_name(name, reading.keep_case)) {
                    self.read_escaped(name, value, reading)?;
                } else {
                    self.write_last_value(|out| push_typed(value, reading.allow_nan, out))
                        .map_err(|reason| Malformed::parameter(name, value, reason))?;
                }
            }
            rest = behind;
        }
        self.dedup(DuplicatePolicy::FirstWins)
    }

    fn read_escaped(&mut self, raw_name: &[u8], raw_value: &[u8], reading: &ParseOptions) -> Result<(), Malformed> {
        let name =
            decoded(raw_name).ok_or_else(|| Malformed::parameter(raw_name, raw_name, MalformedReason::NotUtf8))?;
        self.push_name(&name, reading.keep_case);
        let value =
            decoded(raw_value).ok_or_else(|| Malformed::parameter(&name, raw_value, MalformedReason::NotUtf8))?;
        self.write_last_value(|out| push_typed(&value, reading.allow_nan, out))
            .map_err(|reason| Malformed::parameter(&name, &value, reason))
    }
}

/// A text up to the first such ASCII character, and what is behind it.
#[inline]
fn split_at(character: u8, text: &[u8]) -> (&[u8], &[u8]) {
    let (before, behind) = text.split_at_checked(position(character, text)).unwrap_or((text, &[]));
    (before, behind.get(1..).unwrap_or_default())
}

/// A piece of a line with its escapes decoded; `None` when that is no UTF-8. What held no escape is part of a line that
/// has been looked at.
fn decoded(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = unescape(raw);
    let sound = matches!(text, Cow::Borrowed(_)) || std::str::from_utf8(&text).is_ok();
    sound.then_some(text)
}

/// Why what stands at the scanner is no object: it is no JSON, or another value.
pub(super) fn no_object(scanner: &mut Scanner<'_>) -> MalformedReason {
    match scanner.value(0).map(|_| ()).and_then(|()| scanner.end()) {
        Ok(()) => MalformedReason::NotAnObject,
        Err(error) => MalformedReason::Json(error),
    }
}

/// Appends the JSON of a decoded plain value, typed by its prefix.
fn push_typed(value: &[u8], nan: bool, out: &mut Vec<u8>) -> Result<(), MalformedReason> {
    match value.first() {
        Some(b'i') => {
            if let Some(digits) = value.strip_prefix(b"int:") {
                return if push_integer(digits, out) { Ok(()) } else { Err(MalformedReason::Integer) };
            }
        }
        Some(b'f') => {
            if let Some(digits) = value.strip_prefix(b"float:") {
                return match push_float(digits, out) {
                    Some(Float::NotFinite) if !nan => Err(MalformedReason::Nan),
                    Some(_) => Ok(()),
                    None => Err(MalformedReason::Float),
                };
            }
        }
        Some(b'b' | b'B') => {
            if let Some(word) = boolean(value) {
                out.extend_from_slice(word);
                return Ok(());
            }
        }
        Some(b'N') if value == b"NoneType:" => {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        _ => {}
    }
    out.push(b'"');
    push_text(value, out);
    out.push(b'"');
    Ok(())
}

fn boolean(value: &[u8]) -> Option<&'static [u8]> {
    if value.eq_ignore_ascii_case(b"bool:true") {
        Some(b"true")
    } else if value.eq_ignore_ascii_case(b"bool:false") {
        Some(b"false")
    } else {
        None
    }
}

/// The JSON of a text that BCP would read as a number, a boolean or null; `None` when it stays text.
///
/// People who write `state=int:1` mean the number; the text is sent, and they are told (section 5).
pub fn typed_text(text: &str) -> Option<String> {
    let mut out = Vec::new();
    push_typed(text.as_bytes(), true, &mut out).ok()?;
    let json = String::from_utf8(out).ok()?;
    (!json.starts_with('"')).then_some(json)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
