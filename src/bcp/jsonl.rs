//! A line of JSON Lines into the parts of a message (design.md, section 4).

use base64::Engine as _;

use super::error::{Malformed, MalformedReason};
use super::json::{JsonError, Scanner};
use super::line::no_object;
use super::parts::{DuplicatePolicy, Message, ParseOptions};
use super::spell::plain_bytes;
use super::spelled::{JsonValue, ValueKind};
use super::usual::is_usual;
use crate::text::trim;

/// What was seen of a message so far; each may be there once.
#[derive(Default)]
struct Seen {
    command: bool,
    params: bool,
    payload: Option<Vec<u8>>,
    meta: bool,
}

/// The members that a message has.
#[derive(Clone, Copy)]
enum Key {
    Command,
    Params,
    Bytes,
    Meta,
}

impl Key {
    const ALL: [Key; 4] = [Key::Command, Key::Params, Key::Bytes, Key::Meta];

    fn of(name: &[u8]) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.name() == name)
    }

    fn name(self) -> &'static [u8] {
        match self {
            Key::Command => b"command",
            Key::Params => b"params",
            Key::Bytes => b"bytes",
            Key::Meta => b"meta",
        }
    }
}

impl Message {
    /// Reads one message in JSON, in any order and with any white space; gives its payload, if it has one.
    ///
    /// # Errors
    /// [`Malformed`] when the text is no JSON or no message: another key, one twice, a parameter twice, a payload that
    /// is no base64 or larger than `payload_bytes_max`.
    ///
    /// ```
    /// use backbox::bcp::{WriteOptions, Message, ParseOptions, write_line};
    /// let mut parts = Message::new();
    /// let line = br#"{"params": {"name": "HIGH SCORE #2"}, "command": "trigger"}"#;
    /// assert_eq!(parts.parse_json(line, &ParseOptions::default(), 1 << 20), Ok(None));
    /// let mut out = Vec::new();
    /// write_line(&parts, None, &WriteOptions::default(), &mut out).unwrap();
    /// assert_eq!(out, b"trigger?name=HIGH%20SCORE%20%232");
    /// ```
    pub fn parse_json(
        &mut self,
        line: &[u8],
        reading: &ParseOptions,
        payload_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        // Nearly every line is, which is seen faster than that it is UTF-8.
        let usual = is_usual(line);
        if !usual && std::str::from_utf8(line).is_err() {
            return Err(Malformed::message(line, MalformedReason::NotUtf8));
        }
        if usual && self.read_usual(line, reading) {
            return self.settle_repeats(DuplicatePolicy::Refused).map(|()| None);
        }
        let mut seen = Seen::default();
        let mut scanner = self.scanner(line, reading.allow_nan);
        scanner.skip_space();
        if !scanner.rest().starts_with(b"{") {
            return Err(Malformed::message(line, no_object(&mut scanner)));
        }
        self.begin_empty();
        let mut more = scanner.open_object()?;
        while more {
            self.read_key(&mut scanner, &mut seen, reading, payload_bytes_max)?;
            more = scanner.next_member()?;
        }
        scanner.end()?;
        self.take_back(scanner);
        if self.command_json().is_empty() {
            return Err(Malformed::message(line, MalformedReason::MissingCommand));
        }
        self.settle_repeats(DuplicatePolicy::Refused)?;
        Ok(seen.payload)
    }

    /// Reads what nearly every line is: a command that needs no care, the parameters, and nothing else. Whether it was
    /// that; anything else, a fault too, is for the reader that knows all keys and says what is wrong.
    fn read_usual(&mut self, line: &[u8], reading: &ParseOptions) -> bool {
        let Some((command, params)) = split_usual(line) else { return false };
        self.set_command(command, reading.keep_case);
        let mut scanner = self.scanner(params, reading.allow_nan);
        scanner.skip_space();
        let read = scanner.rest().starts_with(b"{") && self.scan_object(&mut scanner, true, reading.keep_case).is_ok();
        let rest = scanner.rest();
        self.take_back(scanner);
        read && rest == b"}"
    }

    fn read_key(
        &mut self,
        scanner: &mut Scanner<'_>,
        seen: &mut Seen,
        reading: &ParseOptions,
        payload_bytes_max: usize,
    ) -> Result<(), Malformed> {
        let spelled = scanner.name()?;
        let quoted = spelled.strip_suffix(b":").unwrap_or(spelled);
        let name = quoted.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(quoted);
        let Some(key) = Key::of(name) else {
            return Err(Malformed::message(quoted, MalformedReason::UnknownKey));
        };
        scanner.skip_space();
        let before = scanner.rest();
        let again = match key {
            Key::Command => {
                let value = scanner.value(1)?;
                let command = read_string(value).ok_or_else(|| not_a_string(b"command", value))?;
                self.set_command(trim(command.as_bytes()), reading.keep_case);
                std::mem::replace(&mut seen.command, true)
            }
            Key::Params if before.starts_with(b"{") => {
                // The parameters' object is the first of the levels that may nest (section 1).
                self.scan_object(scanner, is_usual(scanner.rest()), reading.keep_case)?;
                self.keep_object(scanner);
                std::mem::replace(&mut seen.params, true)
            }
            Key::Params => {
                let value = scanner.value(1)?;
                return Err(Malformed::parameter(b"params", value, MalformedReason::NotAnObject));
            }
            Key::Bytes => {
                let value = scanner.value(1)?;
                let text = value.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
                let text = text.ok_or_else(|| not_a_string(b"bytes", value))?;
                seen.payload.replace(decode_base64(text, payload_bytes_max)?).is_some()
            }
            Key::Meta => {
                scanner.value(0)?;
                std::mem::replace(&mut seen.meta, true)
            }
        };
        if again { Err(Malformed::parameter(key.name(), b"", MalformedReason::Twice)) } else { Ok(()) }
    }
}

/// The command of a usual line, and its text from the parameters on.
fn split_usual(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = behind(behind(behind(line, b"{")?, b"\"command\":")?, b"\"")?;
    let (command, rest) = value.split_at_checked(plain_bytes(value))?;
    let params = behind(behind(rest.strip_prefix(b"\"")?, b",")?, b"\"params\":")?;
    let command = trim(command);
    (!command.is_empty()).then_some((command, params))
}

/// What stands behind a token, and behind the blanks before it, that a text begins with.
fn behind<'t>(text: &'t [u8], token: &[u8]) -> Option<&'t [u8]> {
    let blanks = text.iter().take_while(|&&b| b == b' ').count();
    text.get(blanks..)?.strip_prefix(token)
}

/// What a string means; `None` for another value.
fn read_string(value: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    (JsonValue(value).kind() == ValueKind::Text).then(|| JsonValue(value).text())
}

fn not_a_string(key: &[u8], text: &[u8]) -> Malformed {
    Malformed::parameter(key, text, MalformedReason::NotAString)
}

fn decode_base64(text: &[u8], payload_bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let payload = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Malformed::parameter(b"bytes", text, MalformedReason::Base64))?;
    if payload.len() > payload_bytes_max {
        return Err(Malformed::parameter(b"bytes", b"", MalformedReason::PayloadTooLarge(payload_bytes_max)));
    }
    Ok(payload)
}

impl From<JsonError> for Malformed {
    fn from(error: JsonError) -> Malformed {
        Malformed { parameter: None, text: String::new(), reason: MalformedReason::Json(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_line_and_the_same_with_care_are_one_message() {
        let usual = [
            (r#"{"command":"Trigger ","params":{"A":1}}"#, r#" {"params":{"A":1},"command":"Trigger "}"#),
            (r#"{"command": "t", "params": {}}"#, r#"{"command":"t"}"#),
            (r#"{"command":"t","params":{"b":[1]}}"#, r#"{"command":"\u0074","params":{"b":[1]},"meta":{}}"#),
        ];
        for (usual, other) in usual {
            let (mut one, mut two) = (Message::new(), Message::new());
            assert!(one.read_usual(usual.as_bytes(), &ParseOptions::default()), "{usual}");
            assert!(!two.read_usual(other.as_bytes(), &ParseOptions::default()), "{other}");
            assert_eq!(one.parse_json(usual.as_bytes(), &ParseOptions::default(), 0), Ok(None));
            assert_eq!(two.parse_json(other.as_bytes(), &ParseOptions::default(), 0), Ok(None));
            assert_eq!((one.command(), one.object()), (two.command(), two.object()), "{usual} {other}");
        }
    }

    #[test]
    fn what_only_begins_like_a_usual_line_is_read_with_care() {
        for (line, expected) in [
            (r#"{"command":" ","params":{}}"#, MalformedReason::MissingCommand),
            (r#"{"command":"t","params":[]}"#, MalformedReason::NotAnObject),
            (r#"{"command":"t","params":{},"params":{}}"#, MalformedReason::Twice),
            (r#"{"command":"t","params":{},"more":1}"#, MalformedReason::UnknownKey),
            (r#"{"command":"t","params":{"a":1,"A":2}}"#, MalformedReason::Twice),
        ] {
            let found =
                Message::new().parse_json(line.as_bytes(), &ParseOptions::default(), 0).map_err(|error| error.reason);
            assert_eq!(found, Err(expected), "{line}");
        }
    }

    #[test]
    fn a_complaint_shows_the_value_alone_and_how_a_message_is_written() {
        for (line, words) in [
            ("[1]", "[1] is no message; one is written {\"command\":\"NAME\",\"params\":{\"name\":value}}"),
            ("{\"command\":5,\"params\":{}}", "command: 5 is no string"),
            ("{\"command\":\"t\",\"command\":\"u\"}", "command: given twice"),
            ("{\"meta\":1,\"command\":\"t\",\"meta\":2}", "meta: given twice"),
            ("{\"params\":{}}", "no command in the message: write {\"command\":\"NAME\"}"),
            ("{\"command\":\"t\",\"Params\":{}}", "unknown key \"Params\"; a message has command, params and bytes"),
            ("{\"command\":\"t\",\"bytes\":\"AA\"}", "bytes: AA is no standard base64 with padding"),
            (
                "{\"command\":\"t\",\"bytes\":\"AAAA\"}",
                "bytes: the payload is larger than 1 bytes; --max-payload allows more",
            ),
            ("{\"command\":\"t\",\"bytes\":null}", "bytes: null is no string"),
            (
                "{\"params\":[1],\"command\":\"t\"}",
                "params: [1] is no JSON object; the parameters are written {\"name\": value}",
            ),
        ] {
            let read = Message::new().parse_json(line.as_bytes(), &ParseOptions::default(), 1);
            assert_eq!(read.map_err(|malformed| malformed.to_string()), Err(words.to_owned()), "{line}");
        }
    }
}
