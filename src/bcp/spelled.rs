//! Values and parameters as they stand in JSON text of the one spelling: read where they are, copied nowhere.

use std::borrow::Cow;

use super::spell::push_meaning;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A string.
    Text,
    /// A number without `.` and exponent.
    Integer,
    /// A number with one of them, NaN or an infinity.
    Float,
    /// `true` or `false`.
    Bool,
    /// `null`, BCP's `NoneType:`.
    Null,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A value as its JSON text in the one spelling of section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonValue<'p>(pub &'p [u8]);

impl<'p> JsonValue<'p> {
    /// What the value is.
    pub fn kind(self) -> ValueKind {
        match self.0 {
            [b'"', ..] => ValueKind::Text,
            [b't' | b'f', ..] => ValueKind::Bool,
            [b'n', ..] => ValueKind::Null,
            [b'[', ..] => ValueKind::List,
            [b'{', ..] => ValueKind::Object,
            digits if digits.iter().all(|b| b.is_ascii_digit() || *b == b'-') => ValueKind::Integer,
            _ => ValueKind::Float,
        }
    }

    /// The text of the value (section 6): the string itself, else its JSON.
    pub fn text(self) -> Cow<'p, str> {
        match self.0 {
            [b'"', inside @ .., b'"'] => JsonValue::inside(inside),
            json => String::from_utf8_lossy(json),
        }
    }

    /// What the inside of a string means; borrowed where nothing is escaped.
    pub(super) fn inside(spelled: &[u8]) -> Cow<'_, str> {
        if memchr::memchr(b'\\', spelled).is_none() {
            return String::from_utf8_lossy(spelled);
        }
        let mut out = Vec::with_capacity(spelled.len());
        push_meaning(spelled, &mut out);
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }
}

/// One parameter of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'p> {
    name_json: &'p [u8],
    /// Its value.
    pub value: JsonValue<'p>,
}

impl<'p> Param<'p> {
    /// Its name, trimmed and folded as the message was read.
    pub fn name(self) -> Cow<'p, str> {
        JsonValue::inside(self.name_json)
    }

    /// Its name as the inside of a JSON string.
    pub fn name_json(self) -> &'p [u8] {
        self.name_json
    }
}

/// The parameters of a message in their order: the members of its object, found by walking along its spelling.
#[derive(Clone, Debug)]
pub struct Params<'p> {
    rest: &'p [u8],
}

impl<'p> Params<'p> {
    /// The members of an object in the one spelling.
    pub(super) fn of(object: &'p [u8]) -> Params<'p> {
        Params { rest: object.strip_prefix(b"{").unwrap_or_default() }
    }
}

impl<'p> Iterator for Params<'p> {
    type Item = Param<'p>;

    fn next(&mut self) -> Option<Param<'p>> {
        let name = self.rest.strip_prefix(b"\"")?;
        let (name_json, behind) = name.split_at_checked(string_length(name))?;
        let value = behind.strip_prefix(b"\":")?;
        let (value, behind) = value.split_at_checked(value_length(value))?;
        self.rest = behind.strip_prefix(b",").unwrap_or_default();
        Some(Param { name_json, value: JsonValue(value) })
    }
}

/// How long the inside of a string is whose opening quote was passed.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// How long the value is that begins here.
fn value_length(text: &[u8]) -> usize {
    let mut at = 0;
    let mut open = 0usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += 1 + string_length(text.get(at + 1..).unwrap_or_default()),
            b'[' | b'{' => open += 1,
            // The bracket of what is around ends a number or a word.
            b']' | b'}' if open == 0 => return at,
            b']' | b'}' => open -= 1,
            b',' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_walked_member_by_member() {
        let object = r#"{"a":[1,{"x":"]},\\\""}],"":"}","b\"":-1.5,"c":{},"d":null}"#;
        let members: Vec<_> = Params::of(object.as_bytes())
            .map(|p| (p.name().into_owned(), String::from_utf8_lossy(p.value.0).into_owned(), p.value.kind()))
            .collect();
        let expected = [
            ("a", r#"[1,{"x":"]},\\\""}]"#, ValueKind::List),
            ("", r#""}""#, ValueKind::Text),
            ("b\"", "-1.5", ValueKind::Float),
            ("c", "{}", ValueKind::Object),
            ("d", "null", ValueKind::Null),
        ];
        assert_eq!(members, expected.map(|(name, value, kind)| (name.to_string(), value.to_string(), kind)));
        assert_eq!(Params::of(b"{}").count(), 0);
        assert_eq!(Params::of(b"").count(), 0);
    }
}
