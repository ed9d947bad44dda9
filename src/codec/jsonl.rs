//! A line of JSON Lines into the parts of a message (design.md, section 4).

use base64::Engine as _;

use super::error::{Malformed, Reason};
use super::json::{JsonFault, Scanner};
use super::line::no_object;
use super::parts::{Parts, Reading, Repeats, Spelled};
use crate::text::trim;

/// The members of a message seen so far; each may be there once.
#[derive(Default)]
struct Seen {
    command: Option<Vec<u8>>,
    params: bool,
    payload: Option<Vec<u8>>,
    meta: bool,
}

impl Parts {
    /// Reads one message in JSON, in any order and with any white space; gives its payload, if it has one.
    ///
    /// # Errors
    /// [`Malformed`] when the text is no JSON or no message: another key, one twice, a parameter twice, a payload that
    /// is no base64 or larger than `payload_bytes_max`.
    ///
    /// ```
    /// use backbox::codec::{Form, Parts, Reading, write_line};
    /// let mut parts = Parts::new();
    /// let line = br#"{"params": {"name": "HIGH SCORE #2"}, "command": "trigger"}"#;
    /// assert_eq!(parts.read_json(line, &Reading::default(), 1 << 20), Ok(None));
    /// let mut out = Vec::new();
    /// write_line(&parts, None, &Form::default(), &mut out).unwrap();
    /// assert_eq!(out, b"trigger?name=HIGH%20SCORE%20%232");
    /// ```
    pub fn read_json(
        &mut self,
        line: &[u8],
        reading: &Reading,
        payload_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        if std::str::from_utf8(line).is_err() {
            return Err(Malformed::message(line, Reason::NotUtf8));
        }
        let mut seen = Seen::default();
        let mut scanner = Scanner::new(line, reading.nan);
        scanner.skip_space();
        if !scanner.rest().starts_with(b"{") {
            return Err(Malformed::message(line, no_object(&mut scanner)));
        }
        // The command may come behind the parameters, so it is put in front of them at the end.
        self.begin(b"");
        let mut more = scanner.open_object(0).map_err(|fault| no_json(&scanner, fault))?;
        while more {
            self.read_key(&mut scanner, &mut seen, reading, payload_bytes_max)?;
            more = scanner.next_member().map_err(|fault| no_json(&scanner, fault))?;
        }
        scanner.end().map_err(|fault| no_json(&scanner, fault))?;
        let command = seen.command.ok_or_else(|| Malformed::message(b"", Reason::MissingCommand))?;
        let command = trim(&command);
        if command.is_empty() {
            return Err(Malformed::message(line, Reason::MissingCommand));
        }
        self.set_command(command, reading.keep_case);
        self.finish(Repeats::Refused)?;
        Ok(seen.payload)
    }

    fn read_key(
        &mut self,
        scanner: &mut Scanner<'_>,
        seen: &mut Seen,
        reading: &Reading,
        payload_bytes_max: usize,
    ) -> Result<(), Malformed> {
        let mut key = Vec::new();
        scanner.name(&mut key).map_err(|fault| no_json(scanner, fault))?;
        let first = match key.as_slice() {
            b"command" => {
                let command = Spelled(&read_string(scanner, b"command")?).text().into_owned();
                seen.command.replace(command.into_bytes()).is_none()
            }
            b"params" => {
                if !scanner.rest().starts_with(b"{") {
                    let rest = scanner.rest();
                    scanner.value(1, &mut Vec::new()).map_err(|fault| no_json(scanner, fault))?;
                    return Err(Malformed::parameter(b"params", rest, Reason::NotAnObject));
                }
                let first = !std::mem::replace(&mut seen.params, true);
                // The parameters' object is the first of the levels that may nest (section 1).
                self.scan_members(scanner, 0, reading.keep_case).map_err(|fault| no_json(scanner, fault))?;
                first
            }
            b"bytes" => {
                let text = read_string(scanner, b"bytes")?;
                let text = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
                seen.payload.replace(decode_base64(text, payload_bytes_max)?).is_none()
            }
            b"meta" => {
                scanner.value(0, &mut Vec::new()).map_err(|fault| no_json(scanner, fault))?;
                !std::mem::replace(&mut seen.meta, true)
            }
            _ => return Err(Malformed::message(&key, Reason::UnknownKey)),
        };
        if first { Ok(()) } else { Err(Malformed::parameter(&key, b"", Reason::Twice)) }
    }
}

/// A string's spelling, with its quotes.
fn read_string(scanner: &mut Scanner<'_>, key: &[u8]) -> Result<Vec<u8>, Malformed> {
    let rest = scanner.rest();
    let mut text = Vec::new();
    scanner.value(1, &mut text).map_err(|fault| no_json(scanner, fault))?;
    if text.starts_with(b"\"") { Ok(text) } else { Err(Malformed::parameter(key, rest, Reason::NotAString)) }
}

fn decode_base64(text: &[u8], payload_bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let payload = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Malformed::parameter(b"bytes", text, Reason::Base64))?;
    if payload.len() > payload_bytes_max {
        return Err(Malformed::parameter(b"bytes", b"", Reason::PayloadTooLarge(payload_bytes_max)));
    }
    Ok(payload)
}

/// The complaint about text that is no JSON, where the scanner stopped.
fn no_json(scanner: &Scanner<'_>, fault: JsonFault) -> Malformed {
    Malformed { parameter: None, text: String::new(), reason: Reason::Json(scanner.error(fault)) }
}
