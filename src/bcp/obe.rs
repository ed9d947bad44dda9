//! A message of OBE_Socket, any JSON value, into the parts of a message and out of them (design.md, section 3).

use super::error::{Malformed, MalformedReason};
use super::parts::Message;
use super::spell::push_ascii_json;
use crate::text::trim;

impl Message {
    /// Reads one JSON value, whatever it is, as the whole of a message: [`Message::object`] is its spelling afterwards,
    /// with the members of an object as parameters, and there is no command until [`Message::take_command`].
    ///
    /// # Errors
    /// [`Malformed`] when the text is empty, not UTF-8, no JSON, or more than one value.
    ///
    /// ```
    /// use backbox::bcp::Message;
    /// let mut parts = Message::new();
    /// parts.parse_value(br#"{"command": "goodset", "pickiness": 4}"#, true).unwrap();
    /// parts.take_command();
    /// assert_eq!(parts.command(), "goodset");
    /// assert_eq!(parts.find("pickiness").unwrap().text(), "4");
    /// assert!(parts.parse_value(b"1 2", true).is_err());
    /// ```
    pub fn parse_value(&mut self, text: &[u8], nan: bool) -> Result<(), Malformed> {
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            return Err(Malformed::message(text, MalformedReason::NotUtf8));
        }
        if trim(text).is_empty() {
            return Err(Malformed::message(text, MalformedReason::Empty));
        }
        let mut scanner = self.scanner(text, nan);
        let length = scanner.value(0)?.len();
        scanner.end()?;
        self.keep_value(scanner, length);
        Ok(())
    }
}

/// Appends JSON of the one spelling as Python's `json.dumps` writes it: ASCII, `, ` and `: `.
pub fn push_spaced_json(spelled: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = spelled;
    let (mut inside, mut escaped) = (false, false);
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
        out.push(byte);
        if !inside && matches!(byte, b',' | b':') {
            out.push(b' ');
        }
        rest = behind;
    }
    if !out.get(start..).unwrap_or_default().is_ascii() {
        let text = out.split_off(start);
        push_ascii_json(&text, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let mut parts = Message::new();
        parts.parse_value(text.as_bytes(), true).unwrap();
        parts.take_command();
        (parts.command().into_owned(), String::from_utf8(parts.object().to_vec()).unwrap())
    }

    #[test]
    fn an_object_with_a_command_is_a_message_and_any_value_is_one_too() {
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
            assert_eq!(read(text), (command.to_owned(), rest.to_owned()), "{text}");
        }
        assert_eq!(Message::new().params().count(), 0);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for text in ["", " \n", "1 2", "a b", "\"O", "[1,]", "{\"a\":1}x", "\"\t\"", "nul"] {
            assert!(Message::new().parse_value(text.as_bytes(), true).is_err(), "{text:?}");
        }
        assert!(Message::new().parse_value(b"\"\xff\"", true).unwrap_err().to_string().contains("is not UTF-8"));
        assert!(Message::new().parse_value(b"NaN", false).is_err());
    }

    #[test]
    fn json_is_written_as_python_dumps_it() {
        let mut out = b"x".to_vec();
        push_spaced_json(r#"{"a,:\"":[1,{"b":"é😀:, "}],"c":{}}"#.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"x{"a,:\"": [1, {"b": "\u00e9\ud83d\ude00:, "}], "c": {}}"#);
    }
}
