//! Lines of BCP, lines of JSON Lines and JSON values, into a [`Message`].

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{JsonError, Malformed, MalformedReason};
use super::json::{Canonicalizer, push_string};
use super::line::unescape;
use super::message::{DuplicatePolicy, Member, Message, ParseOptions, push_name};
use super::number::{push_float, push_integer};
use super::value::meaning;
use crate::text::trim;

/// The keys of a message in JSON Lines. `meta` is ignored.
const KEYS: [&str; 4] = ["command", "params", "bytes", "meta"];

impl Message {
    /// Reads a line without LF, CR and payload marker (bcp(7)).
    ///
    /// # Errors
    /// [`Malformed`] names the parameter and shows the text. The message is unusable until the next one is read.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions};
    /// let mut message = Message::new();
    /// message.parse_line(b"switch?name=s_left&state=int:1", &ParseOptions::default()).unwrap();
    /// assert_eq!(message.find("state").unwrap().text(), "1");
    /// let error = message.parse_line(b"trigger?count=int:abc", &ParseOptions::default()).unwrap_err();
    /// assert_eq!(error.to_string(), "count: invalid integer: int:abc; write digits after int:, as in int:5");
    /// ```
    pub fn parse_line(&mut self, line: &[u8], options: &ParseOptions) -> Result<(), Malformed> {
        std::str::from_utf8(line).map_err(|_| Malformed::message(line, MalformedReason::NotUtf8))?;
        self.clear();
        let (command, query) = split_at_byte(b'?', line);
        push_name(trim(command), options.keep_case, &mut self.command);
        if self.command.is_empty() {
            return Err(Malformed::message(line, MalformedReason::NoCommand));
        }
        match query.split_at_checked(5) {
            Some((name, json)) if name.eq_ignore_ascii_case(b"json=") => self.parse_json_parameters(json, options),
            _ => self.parse_query(query, options),
        }
    }

    /// Reads the parameters of `json=`: raw if an object follows at once, else decoded first.
    fn parse_json_parameters(&mut self, json: &[u8], options: &ParseOptions) -> Result<(), Malformed> {
        if first_json_byte(json) == Some(b'{') {
            return self.parse_object(json, options);
        }
        let wrong = |text: &[u8], reason| Err(Malformed::parameter(b"json", text, reason));
        let decoded = unescape(json);
        match first_json_byte(&decoded) {
            _ if std::str::from_utf8(&decoded).is_err() => wrong(json, MalformedReason::NotUtf8),
            Some(b'{') => self.parse_object(&decoded, options),
            Some(_) => wrong(&decoded, not_an_object(&decoded)),
            None => wrong(b"", MalformedReason::NoJson),
        }
    }

    fn parse_object(&mut self, text: &[u8], options: &ParseOptions) -> Result<(), Malformed> {
        let mut json = Canonicalizer::new(text, &mut self.text, !options.no_nan);
        json.allow_trailing_comma = true;
        json.skip_space();
        read_members(&mut json, &mut self.members)
            .and_then(|()| json.end())
            .map_err(|error| Malformed::parameter(b"json", text, MalformedReason::Json(error)))?;
        self.normalize_names(options.keep_case);
        self.dedup(DuplicatePolicy::LastWins)
    }

    /// Reads the parameters of a plain query.
    fn parse_query(&mut self, query: &[u8], options: &ParseOptions) -> Result<(), Malformed> {
        let mut rest = query;
        while !rest.is_empty() {
            let (piece, after) = split_at_byte(b'&', rest);
            if !piece.is_empty() {
                self.parse_piece(piece, options)?;
            }
            rest = after;
        }
        self.dedup(DuplicatePolicy::FirstWins)
    }

    fn parse_piece(&mut self, piece: &[u8], options: &ParseOptions) -> Result<(), Malformed> {
        let (name, value) = split_at_byte(b'=', piece);
        let (name_text, text) = (unescape(name), unescape(value));
        // The line is UTF-8, so only what was decoded may not be.
        let is_text = |text: &Cow<'_, [u8]>| matches!(text, Cow::Borrowed(_)) || std::str::from_utf8(text).is_ok();
        if !is_text(&name_text) {
            return Err(Malformed::parameter(name, name, MalformedReason::NotUtf8));
        }
        if !is_text(&text) {
            return Err(Malformed::parameter(&name_text, value, MalformedReason::NotUtf8));
        }
        let member = self.start_member(trim(&name_text), options.keep_case);
        push_typed(&text, !options.no_nan, &mut self.text)
            .map_err(|reason| Malformed::parameter(&name_text, &text, reason))?;
        self.end_member(member);
        Ok(())
    }

    /// Reads one line of JSON Lines, `{"command":…,"params":{…},"bytes":…}`. Returns the payload, if it has one.
    ///
    /// # Errors
    /// [`Malformed`] when the text is not JSON or not a message: another key, a key or a parameter given twice, a
    /// payload that is not base64 or larger than `payload_bytes_max`.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions, WriteOptions, write_line};
    /// let mut message = Message::new();
    /// let line = br#"{"params": {"name": "HIGH SCORE #2"}, "command": "trigger"}"#;
    /// assert_eq!(message.parse_json(line, &ParseOptions::default(), 1 << 20), Ok(None));
    /// let mut out = Vec::new();
    /// write_line(&message, None, &WriteOptions::default(), &mut out).unwrap();
    /// assert_eq!(out, b"trigger?name=HIGH%20SCORE%20%232");
    /// ```
    pub fn parse_json(
        &mut self,
        line: &[u8],
        options: &ParseOptions,
        payload_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        std::str::from_utf8(line).map_err(|_| Malformed::message(line, MalformedReason::NotUtf8))?;
        self.clear();
        if first_json_byte(line) != Some(b'{') {
            return Err(Malformed::message(line, not_an_object(line)));
        }
        let Message { command, text, members, .. } = self;
        let mut json = Canonicalizer::new(line, text, !options.no_nan);
        json.skip_space();
        json.skip();
        let mut seen = [false; KEYS.len()];
        let mut payload = None;
        json.sequence(b'}', |json| {
            let quoted = json.span(Canonicalizer::quoted_name)?;
            json.colon()?;
            json.skip_space();
            let quoted = json.written(quoted);
            let Some(key) = KEYS.iter().position(|key| key.as_bytes() == &quoted[1..quoted.len() - 1]) else {
                return Err(Malformed::message(quoted, MalformedReason::UnknownKey));
            };
            if KEYS[key] == "params" && json.peek() == Some(b'{') {
                read_members(json, members)?;
            } else {
                let value = json.span(Canonicalizer::value)?;
                match (KEYS[key], json.written(value)) {
                    ("command", [b'"', inside @ .., b'"']) => {
                        push_name(trim(meaning(inside).as_bytes()), options.keep_case, command);
                    }
                    ("bytes", [b'"', inside @ .., b'"']) => payload = Some(decode_base64(inside, payload_bytes_max)?),
                    ("meta", _) => {}
                    ("params", value) => {
                        return Err(Malformed::parameter(b"params", value, MalformedReason::NotAnObject));
                    }
                    (key, value) => {
                        return Err(Malformed::parameter(key.as_bytes(), value, MalformedReason::NotAString));
                    }
                }
            }
            if std::mem::replace(&mut seen[key], true) {
                return Err(Malformed::parameter(KEYS[key].as_bytes(), b"", MalformedReason::Twice));
            }
            Ok(())
        })?;
        json.end()?;
        if self.command.is_empty() {
            return Err(Malformed::message(line, MalformedReason::MissingCommand));
        }
        self.normalize_names(options.keep_case);
        self.dedup(DuplicatePolicy::Reject)?;
        Ok(payload)
    }

    /// Reads one JSON value, whatever it is, as a message of OBE_Socket. [`Message::write_params`] then writes that
    /// value. The members of an object are parameters; the command is empty until [`Message::take_command`].
    ///
    /// # Errors
    /// [`Malformed`] when the text is empty, not UTF-8, not JSON, or more than one value.
    ///
    /// ```
    /// use backbox::bcp::Message;
    /// let mut message = Message::new();
    /// message.parse_value(br#"{"command": "goodset", "pickiness": 4}"#, true).unwrap();
    /// message.take_command();
    /// assert_eq!(message.command(), "goodset");
    /// assert_eq!(message.find("pickiness").unwrap().text(), "4");
    /// assert!(message.parse_value(b"1 2", true).is_err());
    /// ```
    pub fn parse_value(&mut self, text: &[u8], allow_nan: bool) -> Result<(), Malformed> {
        std::str::from_utf8(text).map_err(|_| Malformed::message(text, MalformedReason::NotUtf8))?;
        if trim(text).is_empty() {
            return Err(Malformed::message(text, MalformedReason::Empty));
        }
        Ok(self.parse_any(text, allow_nan)?)
    }

    fn parse_any(&mut self, text: &[u8], allow_nan: bool) -> Result<(), JsonError> {
        self.clear();
        let mut json = Canonicalizer::new(text, &mut self.text, allow_nan);
        json.skip_space();
        self.is_scalar = json.peek() != Some(b'{');
        if self.is_scalar {
            json.value()?;
        } else {
            read_members(&mut json, &mut self.members)?;
        }
        json.end()
    }

    /// Makes the member `command` of an object the command, if it is a string and not empty. The other members are the
    /// parameters. Of members with one name the last counts.
    pub fn take_command(&mut self) {
        // Only `Reject` can fail.
        let _ = self.dedup(DuplicatePolicy::LastWins);
        let text = &self.text;
        let is_command = |member: &Member| {
            &text[member.name()] == b"command" && matches!(&text[member.value()], [b'"', _, .., b'"'])
        };
        if let Some(at) = self.members.iter().position(is_command) {
            let value = self.members.remove(at).value();
            self.command.extend_from_slice(&self.text[value.start + 1..value.end - 1]);
        }
    }
}

/// Reads the object that begins here and notes where its members are.
fn read_members(json: &mut Canonicalizer<'_, '_>, members: &mut Vec<Member>) -> Result<(), JsonError> {
    json.nested(b'}', |json| {
        let start = json.position();
        json.quoted_name()?;
        let name_end = json.position() - 1;
        json.colon()?;
        json.value()?;
        members.push(Member { start, name_end, end: json.position() });
        Ok(())
    })
}

type Members = Vec<(String, Vec<u8>)>;

/// The names and values of a JSON object, each value as canonical JSON; `None` for any other JSON value. Names are
/// neither trimmed nor folded, and equal ones are all there: for the guard, which reads as MPF does.
pub(crate) fn object_members(text: &[u8]) -> Result<Option<Members>, JsonError> {
    let mut message = Message::new();
    message.parse_any(text, true)?;
    let members = message.params().map(|param| (param.name().into_owned(), param.value.0.to_vec())).collect();
    Ok((!message.is_scalar).then_some(members))
}

/// The canonical text of one JSON value.
pub(crate) fn canonical_json(text: &[u8], allow_nan: bool) -> Result<Vec<u8>, Malformed> {
    let (mut message, mut json) = (Message::new(), Vec::new());
    message.parse_value(text, allow_nan)?;
    message.write_params(&mut json);
    Ok(json)
}

/// Checks that a text is one JSON value, as [`object_members`] does.
pub(crate) fn check_json(text: &[u8]) -> Result<(), JsonError> {
    let mut canonical = Vec::with_capacity(text.len());
    let mut json = Canonicalizer::new(text, &mut canonical, true);
    json.value()?;
    json.end()
}

/// Why text that does not begin with `{` is not an object: it is another value, or not JSON.
fn not_an_object(text: &[u8]) -> MalformedReason {
    check_json(text).map_or_else(MalformedReason::Json, |()| MalformedReason::NotAnObject)
}

/// Splits a text at the first such byte, which is dropped.
fn split_at_byte(byte: u8, text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&found| found == byte) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// The first byte that is not JSON's white space.
fn first_json_byte(text: &[u8]) -> Option<u8> {
    text.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Appends the JSON of a decoded plain value, typed by its prefix.
pub(super) fn push_typed(value: &[u8], allow_nan: bool, out: &mut Vec<u8>) -> Result<(), MalformedReason> {
    if let Some(digits) = value.strip_prefix(b"int:") {
        return if push_integer(digits, out) { Ok(()) } else { Err(MalformedReason::Integer) };
    }
    if let Some(digits) = value.strip_prefix(b"float:") {
        return match push_float(digits, out) {
            Some(is_finite) if is_finite || allow_nan => Ok(()),
            Some(_) => Err(MalformedReason::NotFinite),
            None => Err(MalformedReason::Float),
        };
    }
    match value {
        b"NoneType:" => out.extend_from_slice(b"null"),
        _ if value.eq_ignore_ascii_case(b"bool:true") => out.extend_from_slice(b"true"),
        _ if value.eq_ignore_ascii_case(b"bool:false") => out.extend_from_slice(b"false"),
        _ => push_string(value, out),
    }
    Ok(())
}

/// The JSON of a string that BCP would read as a number, a boolean or null; `None` if it stays a string.
///
/// People who write `state=int:1` mean the number. The string is sent, with a note.
pub fn typed_text(text: &str) -> Option<String> {
    let mut out = Vec::new();
    push_typed(text.as_bytes(), true, &mut out).ok()?;
    let json = String::from_utf8(out).ok()?;
    (!json.starts_with('"')).then_some(json)
}

fn decode_base64(text: &[u8], payload_bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let payload = STANDARD.decode(text).map_err(|_| Malformed::parameter(b"bytes", text, MalformedReason::Base64))?;
    if payload.len() > payload_bytes_max {
        return Err(Malformed::parameter(b"bytes", b"", MalformedReason::PayloadTooLarge(payload_bytes_max)));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::canonical_name;

    fn params(message: &Message) -> String {
        let mut out = Vec::new();
        message.write_params(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(line: &str, options: &ParseOptions) -> Result<String, String> {
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), options).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        message.write_json(None, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn check(line: &str, params: &str) {
        assert_eq!(
            read(line, &ParseOptions::default()),
            Ok(format!("{{\"command\":\"t\",\"params\":{params}}}")),
            "{line}"
        );
    }

    #[test]
    fn plain_values_are_typed_once_decoded() {
        check("t?a=int%3A5&b=i%6et:5&c=bOOl:TRUE&d=NoneType:", r#"{"a":5,"b":5,"c":true,"d":null}"#);
        check(
            "t?a=INT:5&b=bool:maybe&c=NoneType:x&d=float&e=b&f=N",
            r#"{"a":"INT:5","b":"bool:maybe","c":"NoneType:x","d":"float","e":"b","f":"N"}"#,
        );
    }

    #[test]
    fn first_duplicate_wins_in_a_line_and_the_last_in_json() {
        check("t?a=1&b=2&A=3", r#"{"a":"1","b":"2"}"#);
        check("t?json={\"a\":1,\"b\":[2],\"A\":{\"x\":1}}", r#"{"a":{"x":1},"b":[2]}"#);
        check("t?json={\" A\\t\":1}", r#"{"a":1}"#);
        check("t?json={\"\\u0041\":1, \"b \":2, \" c\":3, \"\u{85}D\":4}", r#"{"a":1,"b":2,"c":3,"\u0085d":4}"#);
    }

    #[test]
    fn duplicates_are_found_among_few_and_many_names() {
        let names: Vec<String> = (0..40).map(|n| format!("n{}=int:{n}", n % 20)).collect();
        let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{n}")).collect();
        check(&format!("t?{}", names.join("&")), &format!("{{{}}}", expected.join(",")));
        let members: Vec<String> = (0..40).map(|n| format!("\"n{}\":{n}", n % 20)).collect();
        let expected: Vec<String> = (0..20).map(|n| format!("\"n{n}\":{}", n + 20)).collect();
        check(&format!("t?json={{{}}}", members.join(",")), &format!("{{{}}}", expected.join(",")));
    }

    #[test]
    fn message_is_reused_for_each_line() {
        let mut message = Message::new();
        for line in ["a?x=1&y=2", "a?x=int:q", "b?json={\"x\":", "c"] {
            let _ = message.parse_line(line.as_bytes(), &ParseOptions::default());
        }
        assert_eq!((&*message.command(), params(&message).as_str()), ("c", "{}"));
        assert_eq!(message.params().count(), 0);
    }

    #[test]
    fn error_names_the_parameter_and_shows_the_text() {
        let strict = ParseOptions { no_nan: true, ..ParseOptions::default() };
        for (line, words) in [
            ("t?Count=int:abc", "Count: invalid integer: int:abc; write digits after int:, as in int:5"),
            ("t?x=float:fast", "x: invalid number: float:fast; write digits after float:, as in float:0.5"),
            ("t?=int:", "\"\": invalid integer: int:; write digits after int:, as in int:5"),
            ("t?x=float:nan", "x: float:nan is not a finite number, and --no-nan refuses it"),
            ("t?name=%FF", "name: %FF is not UTF-8"),
            ("t?%FF=1", "%FF: %FF is not UTF-8"),
            ("?a=1", "no command before the parameters: ?a=1"),
            ("", "no command: the text is empty"),
            ("t?json=", "json: nothing follows json=; write {\"name\": value}"),
            ("t?json=[1]", "json: not a JSON object: [1]; write {\"name\": value}"),
            ("t?json={\"a\":1}&b=2", "json: not JSON at byte 8: unexpected &b=2"),
            ("t?json={\"a\": 1,,}", "json: not JSON at byte 9: unexpected ,}"),
        ] {
            assert_eq!(read(line, &strict), Err(words.to_string()), "{line}");
        }
    }

    #[test]
    fn string_that_would_decode_as_another_type_is_recognised() {
        for (text, json) in [
            ("int: 007", Some("7")),
            ("float:.5", Some("0.5")),
            ("NoneType:", Some("null")),
            ("bool:TRUE", Some("true")),
            ("int:x", None),
            ("x", None),
        ] {
            assert_eq!(typed_text(text).as_deref(), json, "{text}");
        }
    }

    #[test]
    fn line_of_json_that_is_not_a_message_is_refused() {
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
    fn error_in_json_shows_the_value_alone_and_how_a_message_is_written() {
        for (line, words) in [
            ("[1]", "not a message: [1]; write {\"command\":\"NAME\",\"params\":{\"name\":value}}"),
            ("{\"command\":5,\"params\":{}}", "command: not a string: 5"),
            ("{\"command\":\"t\",\"command\":\"u\"}", "command: given twice"),
            ("{\"meta\":1,\"command\":\"t\",\"meta\":2}", "meta: given twice"),
            ("{\"params\":{}}", "no command in the message; write {\"command\":\"NAME\"}"),
            ("{\"command\":\"t\",\"Params\":{}}", "unknown key \"Params\"; a message has command, params and bytes"),
            (
                "{\"command\":\"t\",\"bytes\":\"AA\"}",
                "bytes: invalid base64: AA; use the standard alphabet with padding",
            ),
            (
                "{\"command\":\"t\",\"bytes\":\"AAAA\"}",
                "bytes: the payload is larger than 1 bytes; --max-payload allows more",
            ),
            ("{\"command\":\"t\",\"bytes\":null}", "bytes: not a string: null"),
            ("{\"params\":[1],\"command\":\"t\"}", "params: not a JSON object: [1]; write {\"name\": value}"),
        ] {
            let read = Message::new().parse_json(line.as_bytes(), &ParseOptions::default(), 1);
            assert_eq!(read.map_err(|malformed| malformed.to_string()), Err(words.to_owned()), "{line}");
        }
    }

    fn read_value(text: &str) -> (String, String) {
        let mut message = Message::new();
        message.parse_value(text.as_bytes(), true).unwrap();
        message.take_command();
        (message.command().into_owned(), params(&message))
    }

    #[test]
    fn command_of_an_object_is_read_and_other_values_are_kept() {
        for (text, command, rest) in [
            (r#"{"command": "goodset", "pickiness": 4}"#, "goodset", r#"{"pickiness":4}"#),
            (r#" {"a": 1, "command": " Done\n"} "#, " Done\n", r#"{"a":1}"#),
            (r#"{"command": "x", "command": "y", "A": 1, "A": 2}"#, "y", r#"{"A":2}"#),
            (r#"{"command": 5}"#, "", r#"{"command":5}"#),
            (r#"{"a": {"command": "x"}}"#, "", r#"{"a":{"command":"x"}}"#),
            (r#""OK""#, "", r#""OK""#),
            ("[1, 2]", "", "[1,2]"),
            ("NaN", "", "NaN"),
        ] {
            assert_eq!(read_value(text), (command.to_owned(), rest.to_owned()), "{text}");
        }
        assert_eq!(Message::new().params().count(), 0);
    }

    #[test]
    fn text_that_is_not_one_json_value_is_refused() {
        for text in ["", " \n", "1 2", "a b", "\"O", "[1,]", "{\"a\":1}x", "\"\t\"", "nul"] {
            assert!(Message::new().parse_value(text.as_bytes(), true).is_err(), "{text:?}");
        }
        assert!(Message::new().parse_value(b"\"\xff\"", true).unwrap_err().to_string().contains("is not UTF-8"));
        assert!(Message::new().parse_value(b"NaN", false).is_err());
    }

    #[test]
    fn names_are_found_among_few_and_many() {
        let mut message = Message::new();
        let keep_case = ParseOptions { keep_case: true, ..ParseOptions::default() };
        message.parse_line("t?Ab=1&ab=2&%0A\"N=3&=4&\u{c9}=5".as_bytes(), &keep_case).unwrap();
        for name in ["ab", "AB", "\n\"n", "", "\u{c9}", "\u{e9}", "b"] {
            let few = message.finder(crate::limits::NAMES_COMPARED_MAX)(&canonical_name(name));
            assert_eq!(message.finder(crate::limits::NAMES_COMPARED_MAX + 1)(&canonical_name(name)), few, "{name}");
        }
        assert_eq!(message.finder(100)(&canonical_name("AB")).unwrap().text(), "1");
    }

    #[test]
    fn message_is_read_from_json_with_its_keys_in_any_order() {
        for line in [
            r#"{"command":"Trigger ","params":{"A":1}}"#,
            r#" {"params": {"A": 1}, "command": "\u0054rigger", "meta": {"x": [1]}} "#,
        ] {
            let mut message = Message::new();
            assert_eq!(message.parse_json(line.as_bytes(), &ParseOptions::default(), 0), Ok(None));
            assert_eq!((&*message.command(), params(&message).as_str()), ("trigger", r#"{"a":1}"#), "{line}");
        }
        let mut message = Message::new();
        let line = br#"{"bytes":"QUI=","command":"t","params":{"b":2}}"#;
        assert_eq!(message.parse_json(line, &ParseOptions::default(), 2), Ok(Some(b"AB".to_vec())));
        let mut out = Vec::new();
        message.write_json(Some(b"AB"), &mut out);
        assert_eq!(out, br#"{"command":"t","params":{"b":2},"bytes":"QUI="}"#);
        let trailing = message.parse_json(br#"{"command":"t","params":{"b":[2,]}}"#, &ParseOptions::default(), 2);
        assert!(matches!(trailing.unwrap_err().reason, MalformedReason::Json(_)));
    }

    #[test]
    fn memory_of_a_huge_line_is_released() {
        let mut message = Message::new();
        let names: Vec<String> = (0..60_000).map(|n| format!("n{n}=%20")).collect();
        message.parse_line(format!("t?{}", names.join("&")).as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(message.params().count(), 60_000);
        message.parse_line(b"t?a=1", &ParseOptions::default()).unwrap();
        assert!(message.text.capacity() < 1 << 10);
        assert!(message.members.capacity() < 100);
    }
}
