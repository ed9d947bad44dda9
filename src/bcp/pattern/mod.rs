//! Patterns: one small language for what a message has to look like (design.md, section 7).
//!
//! A pattern is a BCP line whose command, names and plain values may hold `*`. It is read once and matched against
//! [`Message`]; it looks at the payload's length and at nothing else of the payload.

mod glob;

pub use glob::Glob;

use memchr::memchr;

use crate::bcp::Value;
use crate::bcp::payload_marker;
use crate::bcp::{JsonValue, Malformed, MalformedReason, Message, ParseOptions, ValueKind};
use crate::text::trim;

/// What a message has to look like.
///
/// ```
/// use backbox::bcp::{Message, ParseOptions};
/// use backbox::bcp::pattern::Pattern;
/// let pattern = Pattern::parse("switch?name=s_*&state=1", false).unwrap();
/// let mut parts = Message::new();
/// parts.parse_line(b"switch?state=int:1&name=s_left", &ParseOptions::default()).unwrap();
/// assert!(pattern.matches(&parts, None));
/// ```
#[derive(Clone, Debug)]
pub struct Pattern {
    command: Glob,
    params: Vec<(Glob, Wanted)>,
    /// What the whole of a message of OBE_Socket has to be: its command, and all that is left of it.
    whole: Option<(String, Value)>,
}

/// What one parameter has to hold.
#[derive(Clone, Debug)]
enum Wanted {
    /// Anything.
    Any,
    /// A value whose text matches.
    Text(Glob),
    /// A value of this type whose text matches (`int:*`).
    Typed(ValueKind, Glob),
    /// A value of this [meaning](Value::canonical).
    Value(Value),
}

impl Pattern {
    /// Reads a pattern. Names are folded; the command is too, unless `keep_case`.
    ///
    /// # Errors
    /// No command, or a value that no message could hold.
    pub fn parse(text: &str, keep_case: bool) -> Result<Pattern, Malformed> {
        let line = text.as_bytes();
        let (line, marker) = match payload_marker(line) {
            Some(marker) => (line.get(..marker.at).unwrap_or_default(), line.get(marker.digits_at..)),
            None => (line, None),
        };
        let (command, query) = match memchr(b'?', line) {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
            None => (line, &line[..0]),
        };
        let command = Glob::raw(trim(command));
        if command.literal() == Some(b"") {
            return Err(Malformed::message(text.as_bytes(), MalformedReason::NoCommand));
        }
        let command = if keep_case { command } else { command.folded() };
        let mut pattern = Pattern { command, params: Vec::new(), whole: None };
        match query.split_at_checked(5) {
            Some((name, _)) if name.eq_ignore_ascii_case(b"json=") => pattern.read_members(line)?,
            _ => pattern.read_query(query)?,
        }
        if let Some(length) = marker {
            pattern.params.push((Glob::raw(b"bytes"), Wanted::Text(Glob::raw(length))));
        }
        Ok(pattern)
    }

    /// Reads a pattern of OBE_Socket's messages: JSON is what the whole message has to be, numbers by value and members
    /// in any order; anything else is a pattern like BCP's, whose command keeps its case.
    ///
    /// # Errors
    /// As [`Pattern::parse`]; and what begins like JSON's objects, lists and strings, and is none.
    ///
    /// ```
    /// use backbox::bcp::Message;
    /// use backbox::bcp::pattern::Pattern;
    /// let mut parts = Message::new();
    /// parts.parse_value(br#"{"command": "goodset", "pickiness": 4}"#, true).unwrap();
    /// parts.take_command();
    /// for text in ["goodset", "*?pickiness=int:*", r#"{"pickiness":4.0, "command":"goodset"}"#] {
    ///     assert!(Pattern::parse_value(text).unwrap().matches(&parts, None));
    /// }
    /// assert!(!Pattern::parse_value(r#"{"command":"goodset"}"#).unwrap().matches(&parts, None));
    /// ```
    pub fn parse_value(text: &str) -> Result<Pattern, Malformed> {
        let mut parts = Message::new();
        match parts.parse_value(text.as_bytes(), true) {
            Ok(()) => {}
            // No command begins so, and JSON with a bracket too few must not be waited for.
            Err(why) if text.starts_with(['{', '[', '"']) => return Err(why),
            Err(_) => return Pattern::parse(text, true),
        }
        parts.take_command();
        let whole = Some((parts.command().into_owned(), parts.value().canonical_untyped()));
        Ok(Pattern { command: Glob::raw(b"*"), params: Vec::new(), whole })
    }

    /// Whether a message looks like this; `payload_bytes` is the length of its payload, if it has one.
    pub fn matches(&self, parts: &Message, payload_bytes: Option<usize>) -> bool {
        if let Some((command, rest)) = &self.whole {
            return *command == parts.command() && *rest == parts.value().canonical_untyped();
        }
        self.takes_command(&parts.command()) && self.lacking(parts, payload_bytes).next().is_none()
    }

    /// Whether a message with this command could look like this.
    pub fn takes_command(&self, command: &str) -> bool {
        self.command.matches(command.as_bytes())
    }

    /// The names of the parameters that it asks for, stars as they stand.
    pub fn asked(&self) -> impl Iterator<Item = String> {
        self.params.iter().map(|(name, _)| name.to_string())
    }

    /// The names of the parameters that it asks for and a message lacks, or has otherwise.
    pub fn lacks(&self, parts: &Message, payload_bytes: Option<usize>) -> Vec<String> {
        self.lacking(parts, payload_bytes).map(|(name, _)| name.to_string()).collect()
    }

    fn lacking<'a>(
        &'a self,
        parts: &'a Message,
        payload_bytes: Option<usize>,
    ) -> impl Iterator<Item = &'a (Glob, Wanted)> {
        let names = parts.lookup(self.params.len());
        let has = move |name: &Glob, wanted: &Wanted| match name.literal() {
            Some(literal) => {
                // A message may hold a parameter called bytes and a payload; either may be meant (section 7).
                names.find(&String::from_utf8_lossy(literal)).is_some_and(|value| wanted.admits(value))
                    || (literal == b"bytes" && payload_bytes.is_some_and(|bytes| wanted.admits_length(bytes)))
            }
            None => parts.params().any(|param| {
                let found = param.name().to_ascii_lowercase();
                name.matches(found.as_bytes()) && wanted.admits(param.value)
            }),
        };
        self.params.iter().filter(move |(name, wanted)| !has(name, wanted))
    }

    /// Whether its command is `word`, or it asks for a parameter of that name; a star names nothing.
    pub fn names(&self, word: &str) -> bool {
        let is_word = |glob: &Glob| glob.literal() == Some(word.as_bytes());
        is_word(&self.command) || self.params.iter().any(|(name, _)| is_word(name))
    }

    /// `json={…}`: no stars, each member by type and value.
    fn read_members(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let mut parts = Message::new();
        // The command's stars are text to the codec, which is right here: only the members are asked for.
        parts.parse_line(line, &ParseOptions::default())?;
        self.params.extend(parts.params().map(|param| {
            let name = Glob { pieces: vec![param.name().into_owned().into_bytes()] };
            (name, Wanted::Value(param.value.to_value().canonical()))
        }));
        Ok(())
    }

    fn read_query(&mut self, query: &[u8]) -> Result<(), Malformed> {
        for piece in query.split(|&b| b == b'&').filter(|piece| !piece.is_empty()) {
            let (name, wanted) = match memchr(b'=', piece) {
                None => (piece, Wanted::Any),
                Some(at) => {
                    let name = piece.get(..at).unwrap_or_default();
                    (name, Wanted::parse(name, piece.get(at + 1..).unwrap_or_default())?)
                }
            };
            let glob = Glob::decoded(name).trimmed().folded();
            if !glob.is_text() {
                return Err(Malformed::parameter(name, name, MalformedReason::NotUtf8));
            }
            self.params.push((glob, wanted));
        }
        Ok(())
    }
}

impl Wanted {
    fn parse(name: &[u8], text: &[u8]) -> Result<Wanted, Malformed> {
        let glob = Glob::decoded(text);
        let Some(literal) = glob.literal() else {
            return match glob.is_text() {
                true => Ok(Wanted::with_stars(glob)),
                false => Err(Malformed::parameter(name, text, MalformedReason::NotUtf8)),
            };
        };
        // Without a star the codec says what the value is, so that int:05 is 5 here too.
        let mut parts = Message::new();
        let mut line = b"x?".to_vec();
        crate::bcp::escape(name, &mut line);
        line.push(b'=');
        line.extend_from_slice(text);
        parts.parse_line(&line, &ParseOptions::default())?;
        let value = parts.params().next().map(|param| param.value);
        Ok(match value {
            Some(value) if value.kind() != ValueKind::Text => Wanted::Value(value.to_value().canonical()),
            _ => Wanted::Text(Glob { pieces: vec![literal.to_vec()] }),
        })
    }

    /// `int:*`, `float:1*`, `bool:*`: the type, and a text that matches behind it.
    fn with_stars(glob: Glob) -> Wanted {
        const TYPES: [(&[u8], ValueKind); 4] = [
            (b"int:", ValueKind::Integer),
            (b"float:", ValueKind::Float),
            (b"bool:", ValueKind::Bool),
            (b"NoneType:", ValueKind::Null),
        ];
        let (beginning, _) = glob.beginning();
        let typed = TYPES.iter().find(|(prefix, kind)| match kind {
            ValueKind::Bool => beginning.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix)),
            _ => beginning.starts_with(prefix),
        });
        match typed {
            Some((prefix, ValueKind::Bool)) => {
                Wanted::Typed(ValueKind::Bool, glob.without_beginning(prefix.len()).folded())
            }
            // null has no text of its own behind its prefix, so only stars can follow it.
            Some((prefix, ValueKind::Null)) => Wanted::Typed(ValueKind::Null, glob.without_beginning(prefix.len())),
            Some((prefix, kind)) => Wanted::Typed(*kind, glob.without_beginning(prefix.len())),
            None => Wanted::Text(glob),
        }
    }

    fn admits(&self, value: JsonValue<'_>) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Text(glob) => glob.matches(value.text().as_bytes()),
            Wanted::Typed(ValueKind::Null, glob) => value.kind() == ValueKind::Null && glob.matches(b""),
            Wanted::Typed(kind, glob) => value.kind() == *kind && glob.matches(value.text().as_bytes()),
            Wanted::Value(wanted) => *wanted == value.to_value().canonical(),
        }
    }

    /// Whether a payload's length is what was asked for: a number, written or matched as one.
    fn admits_length(&self, bytes: usize) -> bool {
        let digits = bytes.to_string();
        match self {
            Wanted::Text(glob) => {
                let number = glob.literal().and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
                number == Some(bytes) || glob.matches(digits.as_bytes())
            }
            other => other.admits(JsonValue(digits.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, line: &str, payload_bytes: Option<usize>, matches: bool) {
        let pattern_read = Pattern::parse(pattern, false).unwrap();
        let mut parts = Message::new();
        parts.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(pattern_read.matches(&parts, payload_bytes), matches, "{pattern} on {line}");
    }

    #[test]
    fn values_by_text_by_type_and_by_both() {
        for (pattern, line, matches) in [
            ("t", "t?a=1", true),
            ("t?a", "t?a=", true),
            ("t?a", "t?b=1", false),
            ("t?a=1", "t?a=int:1", true),
            ("t?a=null", "t?a=NoneType:", true),
            ("t?l=[1,*", "t?json={\"l\": [1, 2]}", true),
            ("t?a=int:05", "t?a=int:5", true),
            ("t?a=int:5", "t?a=5", false),
            ("t?a=int:*", "t?a=int:5", true),
            ("t?a=int:*", "t?a=float:5.0", false),
            ("t?a=int:5*", "t?a=int:51", true),
            ("t?a=float:nan", "t?a=float:nan", true),
            ("t?a=float:1.50", "t?a=float:1.5", true),
            ("t?a=Bool:*", "t?a=bool:true", true),
            ("t?a=bool:T*", "t?a=bool:true", true),
            ("t?a=bool:*", "t?a=bool:x", false),
            ("t?a=NoneType:", "t?a=NoneType:", true),
            ("t?a=NoneType:*", "t?a=NoneType:", true),
            ("t?a=NoneType:*", "t?a=NoneType:x", false),
            ("t?*=x", "t?a=1&b=x", true),
            ("t?*=x", "t?a=1", false),
            ("t?A%2A=x", "t?a*=x", true),
            ("t? A =x", "t?a=x", true),
            ("t?a=", "t?a=", true),
            ("t?a=", "t?a=x", false),
            ("*", "anything", true),
            ("t?json={\"a\": {\"y\": 1, \"x\": [1.0]}}", "t?json={\"b\": 1, \"a\": {\"x\": [1.00], \"y\": 1}}", true),
            ("t?json={\"a\": 1}", "t?a=1", false),
        ] {
            check(pattern, line, None, matches);
        }
    }

    #[test]
    fn bytes_is_the_parameter_or_the_payloads_length() {
        for (pattern, line, payload, matches) in [
            ("f&bytes=4", "f", Some(4), true),
            ("f?bytes=4", "f", Some(4), true),
            ("f?bytes=004", "f", Some(4), true),
            ("f&bytes=4", "f", Some(5), false),
            ("f&bytes=4", "f", None, false),
            ("f?a=1&bytes=4", "f?a=1", Some(4), true),
            ("f?bytes=4*", "f", Some(4096), true),
            ("f?bytes", "f", Some(0), true),
            ("f?bytes=3", "f?bytes=3&x", Some(4), true),
            ("f?bytes=int:4", "f", Some(4), true),
            ("f?bytes=4", "f?bytes=3&x", Some(4), true),
            ("f?bytes=5", "f?bytes=3&x", Some(4), false),
            ("f?json={\"bytes\": \"\"}&bytes=4", "f?bytes=&x", Some(4), true),
            ("f?json={\"bytes\": \"\"}&bytes=4", "f?bytes=&x", Some(5), false),
        ] {
            check(pattern, line, payload, matches);
        }
    }

    #[test]
    fn a_pattern_that_no_message_could_match_is_refused() {
        for (pattern, reason) in [
            ("", MalformedReason::NoCommand),
            ("?a=1", MalformedReason::NoCommand),
            ("t?a=int:x", MalformedReason::Integer),
            ("t?a=float:", MalformedReason::Float),
            ("t?a=%ff", MalformedReason::NotUtf8),
            ("t?a=%C3*", MalformedReason::NotUtf8),
            ("t?%ff", MalformedReason::NotUtf8),
            ("t?*%ff=1", MalformedReason::NotUtf8),
        ] {
            assert_eq!(Pattern::parse(pattern, false).map(|_| ()).map_err(|e| e.reason), Err(reason), "{pattern}");
        }
        assert!(matches!(Pattern::parse("t?json={", false).unwrap_err().reason, MalformedReason::Json(_)));
    }
}
