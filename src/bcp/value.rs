//! Values: as canonical JSON text in a message, and as plain data where one is kept, changed or compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::Malformed;
use super::json::push_text;
use super::message::Message;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A string.
    Text,
    /// A number without `.` and exponent.
    Integer,
    /// A number with `.` or exponent, NaN or an infinity.
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

/// A value as canonical JSON text, borrowed from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonValue<'m>(pub(crate) &'m [u8]);

impl<'m> JsonValue<'m> {
    /// The type of the value.
    pub fn kind(self) -> ValueKind {
        match self.0 {
            [b'"', ..] => ValueKind::Text,
            [b't' | b'f', ..] => ValueKind::Bool,
            [b'n', ..] => ValueKind::Null,
            [b'[', ..] => ValueKind::List,
            [b'{', ..] => ValueKind::Object,
            digits if digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') => ValueKind::Integer,
            _ => ValueKind::Float,
        }
    }

    /// The text of the value: a string as it is, any other value as JSON.
    pub fn text(self) -> Cow<'m, str> {
        match self.0 {
            [b'"', inside @ .., b'"'] => meaning(inside),
            json => String::from_utf8_lossy(json),
        }
    }

    /// The text of the value, as bytes.
    pub(super) fn text_bytes(self) -> Cow<'m, [u8]> {
        match self.0 {
            [b'"', inside @ .., b'"'] => meaning_bytes(inside),
            json => Cow::Borrowed(json),
        }
    }

    /// The canonical JSON text of the value.
    pub fn json(self) -> &'m [u8] {
        self.0
    }

    /// The value as plain data.
    pub fn to_value(self) -> Value {
        let mut rest = self.0;
        read_value(&mut rest)
    }
}

/// One parameter of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'m> {
    pub(super) name_json: &'m [u8],
    /// Its value.
    pub value: JsonValue<'m>,
}

impl<'m> Param<'m> {
    /// Its name, as text.
    pub fn name(self) -> Cow<'m, str> {
        meaning(self.name_json)
    }
}

/// What the inside of a canonical string means, as bytes.
pub(super) fn meaning_bytes(canonical: &[u8]) -> Cow<'_, [u8]> {
    match canonical.contains(&b'\\') {
        true => Cow::Owned(meaning(canonical).into_owned().into_bytes()),
        false => Cow::Borrowed(canonical),
    }
}

/// What the inside of a canonical string means; borrowed where nothing is escaped.
pub(super) fn meaning(canonical: &[u8]) -> Cow<'_, str> {
    let canonical = String::from_utf8_lossy(canonical);
    if !canonical.contains('\\') {
        return canonical;
    }
    let mut text = String::with_capacity(canonical.len());
    let mut characters = canonical.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits = characters.by_ref().take(4);
                    let unit = digits.fold(0, |sum, digit| sum * 16 + digit.to_digit(16).unwrap_or(0));
                    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        });
    }
    Cow::Owned(text)
}

/// A value as plain data. Numbers are their digits, so none is rounded; objects keep their order and duplicates.
///
/// ```
/// use backbox::bcp::Value;
/// let value = Value::parse(br#"{"b": [1.50, null], "a": "x"}"#, true).unwrap();
/// assert_eq!(value.to_json(), r#"{"b":[1.50,null],"a":"x"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, BCP's `NoneType:`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object's members in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one JSON value.
    ///
    /// # Errors
    /// [`Malformed`] when the text is empty, not UTF-8, not JSON, or more than one value.
    pub fn parse(text: &[u8], allow_nan: bool) -> Result<Value, Malformed> {
        let mut message = Message::new();
        message.parse_value(text, allow_nan)?;
        Ok(message.value())
    }

    /// Appends the canonical JSON text of the value.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
            Value::Text(text) => write_string(text, out),
            Value::List(items) => {
                out.push(b'[');
                for (count, item) in items.iter().enumerate() {
                    out.extend_from_slice(if count > 0 { b"," } else { b"" });
                    item.write_json(out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (count, (name, value)) in members.iter().enumerate() {
                    out.extend_from_slice(if count > 0 { b"," } else { b"" });
                    write_string(name, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The canonical JSON text of the value.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Sorts the members of all objects by the code points of their names; members of one name keep their order.
    pub fn sort_names(&mut self) {
        match self {
            Value::List(items) => items.iter_mut().for_each(Value::sort_names),
            Value::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.sort_names());
                // UTF-8 sorts as the code points do.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            _ => {}
        }
    }

    /// The representative of all values that mean the same, for comparing with `==`: integers by their digits, floats
    /// as doubles, NaN equal to NaN, objects in any order, of a member given twice the last.
    ///
    /// ```
    /// use backbox::bcp::Value;
    /// let number = |digits: &str| Value::Number(digits.into()).canonical();
    /// assert_eq!(number("-0"), number("0"));
    /// assert_eq!(number("1.50"), number("15e-1"));
    /// assert_ne!(number("1"), number("1.0"));
    /// ```
    #[must_use]
    pub fn canonical(self) -> Value {
        self.with_numbers(canonical_number)
    }

    /// The same where 1 equals 1.0, as in Python: messages of OBE_Socket have no types besides JSON's.
    ///
    /// ```
    /// use backbox::bcp::Value;
    /// let number = |digits: &str| Value::Number(digits.into()).canonical_untyped();
    /// assert_eq!(number("1"), number("1.0"));
    /// assert_ne!(number("9007199254740993"), number("9007199254740992.0"));
    /// ```
    #[must_use]
    pub fn canonical_untyped(self) -> Value {
        self.with_numbers(|digits| {
            let digits = canonical_number(digits);
            let is_whole = |number: &f64| digits.contains(['.', 'e']) && number.fract() == 0.0;
            digits.parse().ok().filter(is_whole).map_or(digits, |number| format!("{number:.0}"))
        })
    }

    fn with_numbers(self, canonical: fn(String) -> String) -> Value {
        match self {
            Value::Number(digits) => Value::Number(canonical(digits)),
            Value::List(items) => Value::List(items.into_iter().map(|item| item.with_numbers(canonical)).collect()),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, value.with_numbers(canonical)));
                Value::Object(members.collect::<BTreeMap<_, _>>().into_iter().collect())
            }
            other => other,
        }
    }
}

fn canonical_number(digits: String) -> String {
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return if digits == "-0" { "0".to_owned() } else { digits };
    }
    // Adding 0 turns -0.0 into 0.0. Rust always writes a point or a word, so no float looks like an integer.
    digits.parse::<f64>().map_or(digits, |number| format!("{:?}", number + 0.0))
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_text(text.as_bytes(), out);
    out.push(b'"');
}

/// Takes the value at the front of canonical text.
fn read_value(rest: &mut &[u8]) -> Value {
    match rest[0] {
        b'"' => Value::Text(read_string(rest)),
        b'[' => {
            let mut items = Vec::new();
            read_sequence(rest, b']', |rest| items.push(read_value(rest)));
            Value::List(items)
        }
        b'{' => {
            let mut members = Vec::new();
            read_sequence(rest, b'}', |rest| {
                let name = read_string(rest);
                take(rest, 1);
                members.push((name, read_value(rest)));
            });
            Value::Object(members)
        }
        _ => {
            let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}')).unwrap_or(rest.len());
            match take(rest, length) {
                b"null" => Value::Null,
                b"true" => Value::Bool(true),
                b"false" => Value::Bool(false),
                digits => Value::Number(String::from_utf8_lossy(digits).into_owned()),
            }
        }
    }
}

fn read_sequence(rest: &mut &[u8], close: u8, mut item: impl FnMut(&mut &[u8])) {
    take(rest, 1);
    while rest[0] != close {
        item(rest);
        if rest[0] == b',' {
            take(rest, 1);
        }
    }
    take(rest, 1);
}

fn read_string(rest: &mut &[u8]) -> String {
    let mut end = 1;
    while rest[end] != b'"' {
        end += if rest[end] == b'\\' { 2 } else { 1 };
    }
    JsonValue(take(rest, end + 1)).text().into_owned()
}

fn take<'t>(rest: &mut &'t [u8], count: usize) -> &'t [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> Value {
        Value::Number(digits.to_string())
    }

    #[test]
    fn numbers_are_compared_by_value_and_type() {
        for (a, b, same) in [
            ("5", "5", true),
            ("0", "-0", true),
            ("5", "-5", false),
            ("NaN", "NaN", true),
            ("Infinity", "1e400", true),
            ("Infinity", "-Infinity", false),
            ("0.0", "-0.0", true),
            ("1e5", "100000.0", true),
            ("1e5", "100000", false),
            ("123456789012345678901234567890", "123456789012345678901234567891", false),
        ] {
            assert_eq!(number(a).canonical() == number(b).canonical(), same, "{a} {b}");
        }
    }

    #[test]
    fn objects_are_compared_by_name_and_the_last_of_two() {
        let member = |name: &str, digits: &str| (name.to_string(), number(digits));
        let twice = Value::Object(vec![member("a", "1"), member("b", "3"), member("a", "2")]);
        let once = Value::Object(vec![member("b", "3"), member("a", "2")]);
        assert_eq!(twice.clone().canonical(), once.clone().canonical());
        assert_ne!(twice.canonical(), Value::Object(vec![member("a", "2")]));
        assert_ne!(once.canonical(), Value::List(vec![]));
    }

    #[test]
    fn text_becomes_a_value_and_the_same_text_again() {
        let text = r#"{"a":[1,-2.50,NaN,"x\n\"],}",{}],"":null,"b":{"c":true,"c":false},"d":[]}"#;
        assert_eq!(JsonValue(text.as_bytes()).to_value().to_json(), text);
    }

    #[test]
    fn names_are_sorted_by_code_point_at_all_levels() {
        let mut value = JsonValue(r#"{"é":1,"b":[{"z":1,"Z":2}],"a":3,"😀":4,"b":5}"#.as_bytes()).to_value();
        value.sort_names();
        assert_eq!(value.to_json(), r#"{"a":3,"b":[{"Z":2,"z":1}],"b":5,"é":1,"😀":4}"#);
        let mut message = Message::new();
        message
            .parse_line(br#"t?json={"b":[{"z":1,"Z":2}],"\u0001":1,"a":{}}"#, &crate::bcp::ParseOptions::default())
            .unwrap();
        message.sort_names();
        assert_eq!(message.value().to_json(), r#"{"\u0001":1,"a":{},"b":[{"Z":2,"z":1}]}"#);
    }

    #[test]
    fn the_kinds_and_texts_of_members() {
        let mut message = Message::new();
        message.parse_value(r#"{"a":[1,{"x":"]},\\\""}],"":"}","b\"":-1.5,"c":{},"d":null}"#.as_bytes(), true).unwrap();
        let members: Vec<_> = message
            .params()
            .map(|p| (p.name().into_owned(), String::from_utf8_lossy(p.value.json()).into_owned(), p.value.kind()))
            .collect();
        let expected = [
            ("a", r#"[1,{"x":"]},\\\""}]"#, ValueKind::List),
            ("", r#""}""#, ValueKind::Text),
            ("b\"", "-1.5", ValueKind::Float),
            ("c", "{}", ValueKind::Object),
            ("d", "null", ValueKind::Null),
        ];
        assert_eq!(members, expected.map(|(name, value, kind)| (name.to_string(), value.to_string(), kind)));
    }
}
