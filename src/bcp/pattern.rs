//! Patterns: what a message must look like, for `--match`, `--expect` and others.
//!
//! A pattern is a BCP line whose command, names and plain values may hold `*`. It is read once and matched against
//! messages; of a payload it sees only the length.

use super::parse::push_typed;
use super::{
    JsonValue, Malformed, MalformedReason, Message, ParseOptions, ValueKind, canonical_name, payload_marker, unescape,
};

fn is_white(character: char) -> bool {
    u8::try_from(character).is_ok_and(crate::text::is_white)
}

/// What a message must look like.
///
/// ```
/// use backbox::bcp::{Message, ParseOptions};
/// use backbox::bcp::pattern::Pattern;
/// let pattern = Pattern::parse("switch?name=s_*&state=1", false).unwrap();
/// let mut message = Message::new();
/// message.parse_line(b"switch?state=int:1&name=s_left", &ParseOptions::default()).unwrap();
/// assert!(pattern.matches(&message, None));
/// ```
#[derive(Clone, Debug)]
pub struct Pattern {
    command: Glob,
    params: Vec<ParamPattern>,
    /// Instead: the command, and the rest of a message of OBE_Socket as its comparison key.
    whole: Option<(String, Vec<u8>)>,
}

/// A parameter that a message must have.
#[derive(Clone, Debug)]
struct ParamPattern {
    name: Glob,
    /// The name as it is looked up, if there is no star in it.
    canonical: Option<Vec<u8>>,
    value: ValuePattern,
}

/// What one parameter must hold.
#[derive(Clone, Debug)]
enum ValuePattern {
    /// A value whose text matches, of this type if there is one (`int:*`).
    Text(Option<ValueKind>, Glob),
    /// A value with this [comparison key](JsonValue::comparison_key).
    Equal(Vec<u8>),
}

impl Pattern {
    /// Reads a pattern. Names are lower-cased; the command is too, unless `keep_case`.
    ///
    /// # Errors
    /// No command, a value that no message could hold, or JSON.
    pub fn parse(text: &str, keep_case: bool) -> Result<Pattern, Malformed> {
        if text.trim_start_matches(is_white).starts_with('{') {
            return Err(Malformed::message(text.as_bytes(), MalformedReason::JsonPattern));
        }
        let marker = payload_marker(text.as_bytes());
        let line = marker.map_or(text, |marker| &text[..marker.at]);
        let (command, query) = line.split_once('?').unwrap_or((line, ""));
        let command = command.trim_matches(is_white);
        if command.is_empty() {
            return Err(Malformed::message(text.as_bytes(), MalformedReason::NoCommand));
        }
        let command = if keep_case { Glob::raw(command) } else { Glob::raw(&command.to_ascii_lowercase()) };
        let mut pattern = Pattern { command, params: Vec::new(), whole: None };
        if query.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("json=")) {
            pattern.parse_members(line)?;
        } else {
            pattern.parse_query(query)?;
        }
        if let Some(marker) = marker {
            let digits = Glob::raw(&text[marker.digits_at..]);
            pattern.params.push(ParamPattern::new(Glob::raw("bytes"), ValuePattern::Text(None, digits)));
        }
        Ok(pattern)
    }

    /// Reads a pattern for messages of OBE_Socket. JSON is the whole message, with numbers compared by value and
    /// members in any order. Anything else is a pattern as for BCP, whose command keeps its case.
    ///
    /// # Errors
    /// As [`Pattern::parse`]; also text that begins like a JSON object, list or string and is not JSON.
    ///
    /// ```
    /// use backbox::bcp::Message;
    /// use backbox::bcp::pattern::Pattern;
    /// let mut message = Message::new();
    /// message.parse_value(br#"{"command": "goodset", "pickiness": 4}"#, true).unwrap();
    /// message.take_command();
    /// for text in ["goodset", "*?pickiness=int:*", r#"{"pickiness":4.0, "command":"goodset"}"#] {
    ///     assert!(Pattern::parse_value(text).unwrap().matches(&message, None));
    /// }
    /// assert!(!Pattern::parse_value(r#"{"command":"goodset"}"#).unwrap().matches(&message, None));
    /// ```
    pub fn parse_value(text: &str) -> Result<Pattern, Malformed> {
        let mut message = Message::new();
        match message.parse_value(text.as_bytes(), true) {
            Ok(()) => {}
            Err(error) if text.starts_with(['{', '[', '"']) => return Err(error),
            Err(_) => return Pattern::parse(text, true),
        }
        message.take_command();
        let whole = Some((message.command().into_owned(), untyped_key(&message)));
        Ok(Pattern { command: Glob::raw("*"), params: Vec::new(), whole })
    }

    /// Whether a message looks like this. `payload_bytes` is the length of its payload, if it has one.
    pub fn matches(&self, message: &Message, payload_bytes: Option<usize>) -> bool {
        if let Some((command, rest)) = &self.whole {
            return *command == message.command() && *rest == untyped_key(message);
        }
        self.command.matches(&message.command()) && self.lacking(message, payload_bytes).next().is_none()
    }

    /// Whether a message with this command could match.
    pub fn takes_command(&self, command: &str) -> bool {
        self.command.matches(command)
    }

    /// The name and text of a parameter that a message must have to match, if the pattern tells: those that have it can
    /// be looked up.
    pub fn literal(&self) -> Option<(&[u8], &[u8])> {
        self.params.iter().find_map(|param| {
            // It may mean the length of the payload instead.
            let name = param.name.literal().filter(|name| *name != "bytes")?.as_bytes();
            match &param.value {
                ValuePattern::Text(None, glob) => Some((name, glob.literal()?.as_bytes())),
                // The text of a float may be another, and that of 0 too.
                ValuePattern::Equal(key) if JsonValue(key).kind() == ValueKind::Integer && key != b"0" => {
                    Some((name, key))
                }
                _ => None,
            }
        })
    }

    /// How many parameters it asks for.
    pub fn param_count(&self) -> usize {
        self.params.len()
    }

    /// The names of the parameters that it asks for and a message does not have, or has with another value.
    pub fn lacks(&self, message: &Message, payload_bytes: Option<usize>) -> Vec<String> {
        self.lacking(message, payload_bytes).map(|param| param.name.pieces.join("*")).collect()
    }

    fn lacking<'a>(
        &'a self,
        message: &'a Message,
        payload_bytes: Option<usize>,
    ) -> impl Iterator<Item = &'a ParamPattern> {
        let find = message.finder(self.params.len());
        let is_in_message = move |param: &ParamPattern| match &param.canonical {
            Some(name) => {
                // A message may have a parameter called bytes, and a payload; either may be meant.
                find(name).is_some_and(|found| param.value.matches(found))
                    || (name == b"bytes" && payload_bytes.is_some_and(|bytes| param.value.matches_length(bytes)))
            }
            None => message.params().any(|found| {
                let mut name = found.name();
                if name.contains(|c: char| c.is_ascii_uppercase()) {
                    name.to_mut().make_ascii_lowercase();
                }
                param.name.matches(&name) && param.value.matches(found.value)
            }),
        };
        self.params.iter().filter(move |param| !is_in_message(param))
    }

    /// Whether its command is `word` or it asks for a parameter of that name, without stars.
    pub fn names(&self, word: &str) -> bool {
        let is_word = |glob: &Glob| glob.literal() == Some(word);
        is_word(&self.command) || self.params.iter().any(|param| is_word(&param.name))
    }

    /// Reads `json={…}`: each member by type and value, without stars.
    fn parse_members(&mut self, line: &str) -> Result<(), Malformed> {
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default())?;
        self.params.extend(message.params().map(|param| {
            let name = Glob { pieces: vec![param.name().into_owned()] };
            ParamPattern::new(name, ValuePattern::Equal(param.value.comparison_key().into_owned()))
        }));
        Ok(())
    }

    fn parse_query(&mut self, query: &str) -> Result<(), Malformed> {
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            // A name alone may have any value.
            let (name, value) = piece.split_once('=').unwrap_or((piece, "*"));
            let wrong = |text: &str, reason| Malformed::parameter(name.as_bytes(), text.as_bytes(), reason);
            let glob = Glob::decoded(name).map_err(|reason| wrong(name, reason))?.into_name();
            let value = ValuePattern::parse(value).map_err(|reason| wrong(value, reason))?;
            self.params.push(ParamPattern::new(glob, value));
        }
        Ok(())
    }
}

/// What a message of OBE_Socket is compared by.
fn untyped_key(message: &Message) -> Vec<u8> {
    let mut json = Vec::new();
    message.write_params(&mut json);
    JsonValue(&json).untyped_comparison_key().into_owned()
}

impl ParamPattern {
    fn new(name: Glob, value: ValuePattern) -> ParamPattern {
        let canonical = name.literal().map(canonical_name);
        ParamPattern { name, canonical, value }
    }
}

impl ValuePattern {
    fn parse(text: &str) -> Result<ValuePattern, MalformedReason> {
        let mut glob = Glob::decoded(text)?;
        if let Some(literal) = glob.literal() {
            let mut json = Vec::new();
            push_typed(literal.as_bytes(), true, &mut json)?;
            let value = JsonValue(&json);
            return Ok(match value.kind() {
                ValueKind::Text => ValuePattern::Text(None, glob),
                _ => ValuePattern::Equal(value.comparison_key().into_owned()),
            });
        }
        let Some((prefix, rest)) = glob.pieces[0].split_once(':') else { return Ok(ValuePattern::Text(None, glob)) };
        let kind = match prefix {
            "int" => ValueKind::Integer,
            "float" => ValueKind::Float,
            "NoneType" => ValueKind::Null,
            _ if prefix.eq_ignore_ascii_case("bool") => ValueKind::Bool,
            _ => return Ok(ValuePattern::Text(None, glob)),
        };
        glob.pieces[0] = rest.to_owned();
        Ok(ValuePattern::Text(Some(kind), if kind == ValueKind::Bool { glob.lower_case() } else { glob }))
    }

    fn matches(&self, value: JsonValue<'_>) -> bool {
        match self {
            // Nothing follows the prefix of null.
            ValuePattern::Text(Some(ValueKind::Null), glob) => value.kind() == ValueKind::Null && glob.matches(""),
            ValuePattern::Text(kind, glob) => {
                kind.is_none_or(|kind| kind == value.kind()) && glob.matches(&value.text())
            }
            ValuePattern::Equal(key) => *value.comparison_key() == **key,
        }
    }

    /// Whether a payload's length is the number that is asked for, or its digits match.
    fn matches_length(&self, bytes: usize) -> bool {
        let is_number = |glob: &Glob| glob.literal().is_some_and(|text| text.parse() == Ok(bytes));
        matches!(self, ValuePattern::Text(None, glob) if is_number(glob))
            || self.matches(JsonValue(bytes.to_string().as_bytes()))
    }
}

/// A text in which each `*` stands for any run of characters, line breaks too.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob {
    /// The texts between the stars; one more than there are stars.
    pieces: Vec<String>,
}

impl Glob {
    /// Reads a glob. Escapes are decoded between the stars, so that `%2A` is a literal star. A star stands for whole
    /// characters, so each piece must be UTF-8.
    fn decoded(text: &str) -> Result<Glob, MalformedReason> {
        let decode = |piece: &str| String::from_utf8(unescape(piece.as_bytes()).into_owned());
        let pieces = text.split('*').map(decode).collect::<Result<_, _>>();
        Ok(Glob { pieces: pieces.map_err(|_| MalformedReason::NotUtf8)? })
    }

    /// Reads a glob without escapes.
    fn raw(text: &str) -> Glob {
        Glob { pieces: text.split('*').map(str::to_owned).collect() }
    }

    fn lower_case(mut self) -> Glob {
        self.pieces.iter_mut().for_each(|piece| piece.make_ascii_lowercase());
        self
    }

    /// The same in lower case and without white space at both ends.
    fn into_name(self) -> Glob {
        let mut name = self.lower_case();
        name.pieces[0] = name.pieces[0].trim_start_matches(is_white).to_owned();
        if let Some(last) = name.pieces.last_mut() {
            last.truncate(last.trim_end_matches(is_white).len());
        }
        name
    }

    /// The text, if there is no star in it.
    fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the whole of `text` matches.
    ///
    /// Each piece between two stars is taken where it is first found, which is never wrong. Nothing is tried again, so
    /// many stars cost no more than one.
    fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else { return self.literal() == Some(text) };
        let inner = text.strip_prefix(first.as_str()).and_then(|text| text.strip_suffix(last.as_str()));
        let Some(mut rest) = inner else { return false };
        for piece in middle {
            match rest.split_once(piece.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, line: &str, payload_bytes: Option<usize>, matches: bool) {
        let pattern_read = Pattern::parse(pattern, false).unwrap();
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        assert_eq!(pattern_read.matches(&message, payload_bytes), matches, "{pattern} on {line}");
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
            ("c?a=1&json=foo", "c?a=1&json=foo", true),
            ("c?a=1&json=foo", "c?a=1&json=bar", false),
            ("c?a=1&json=int:*", "c?a=1&json=int:3", true),
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
    fn a_pattern_tells_a_name_and_text_that_a_message_must_have() {
        for (pattern, expected) in [
            ("t", None),
            ("t?a=x*&b*=x&c=int:*&d", None),
            ("t?a=*&B=x%2A", Some(("b", "x*"))),
            ("t?a=int:05", Some(("a", "5"))),
            ("t?json={\"a\": [1], \"b\": 7}", Some(("b", "7"))),
            // Another text may be equal, and bytes may mean the length of the payload.
            ("t?a=float:1.50&b=int:0&bytes=4", None),
        ] {
            let literal = Pattern::parse(pattern, false).unwrap();
            let expected = expected.map(|(name, text): (&str, &str)| (name.as_bytes(), text.as_bytes()));
            assert_eq!(literal.literal(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_no_message_could_match_is_refused() {
        for (pattern, reason) in [
            ("", MalformedReason::NoCommand),
            ("{\"command\":\"t\"}", MalformedReason::JsonPattern),
            (" {", MalformedReason::JsonPattern),
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

    #[test]
    fn a_star_is_any_run_and_nothing_else_is_special() {
        for (glob, text, matches) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "x\ny", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxc", false),
            ("aa*aa", "aaa", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab", false),
            ("a%2Ab", "a*b", true),
            ("a%2Ab", "axb", false),
            ("a?c", "abc", false),
            ("x+y", "x y", true),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::decoded(glob).unwrap().matches(text), matches, "{glob} {text}");
        }
    }

    #[test]
    fn many_stars_over_a_long_text_take_no_time() {
        let glob = Glob::raw(&"*a".repeat(1_000));
        assert!(!glob.matches(&"a".repeat(999)));
        assert!(!Glob::raw("*aaaaaaaaab*c").matches(&"a".repeat(1 << 20)));
    }
}
