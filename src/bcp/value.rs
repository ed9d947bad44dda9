//! Values as canonical JSON text: their types and texts, and how they are compared, sorted and filled in.

use std::borrow::Cow;
use std::collections::BTreeMap;

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

    /// The canonical JSON text of the value.
    pub fn json(self) -> &'m [u8] {
        self.0
    }

    /// Text that is the same for all values that mean the same: integers by their digits, floats as doubles, NaN equal
    /// to NaN, objects in any order, of a member given twice the last. It is for comparing, and not always JSON.
    ///
    /// ```
    /// use backbox::bcp::{Message, ParseOptions};
    /// let mut message = Message::new();
    /// message.parse_line(b"t?a=float:1.50&b=float:15e-1&c=int:1&d=float:1", &ParseOptions::default()).unwrap();
    /// let key = |name| message.find(name).unwrap().comparison_key();
    /// assert_eq!(key("a"), key("b"));
    /// assert_ne!(key("c"), key("d"));
    /// ```
    pub fn comparison_key(self) -> Cow<'m, [u8]> {
        self.rewritten(&JsonValue::number_key, keep_last)
    }

    /// The same where 1 equals 1.0, as in Python: messages of OBE_Socket have no types besides JSON's.
    pub fn untyped_comparison_key(self) -> Cow<'m, [u8]> {
        let key = |scalar: JsonValue<'m>| match scalar.float() {
            Some(whole) if whole.fract() == 0.0 => format!("{whole:.0}").into_bytes().into(),
            _ => scalar.number_key(),
        };
        self.rewritten(&key, keep_last)
    }

    /// A number so that equal numbers of one type are equal text; anything else as it is.
    fn number_key(self) -> Cow<'m, [u8]> {
        match self.float() {
            // Rust always writes a point or a word, so no float looks like an integer.
            Some(float) => format!("{float:?}").into_bytes().into(),
            None if self.0 == b"-0" => Cow::Borrowed(b"0"),
            None => Cow::Borrowed(self.0),
        }
    }

    /// The number, if it is a float. -0.0 is 0.0.
    fn float(self) -> Option<f64> {
        let digits = (self.kind() == ValueKind::Float).then(|| self.text())?;
        digits.parse::<f64>().ok().map(|float| float + 0.0)
    }

    /// The value with the members of all objects sorted by the code points of their names; members of one name keep
    /// their order.
    pub fn sorted(self) -> Cow<'m, [u8]> {
        // UTF-8 sorts as the code points do.
        self.rewritten(&|scalar| Cow::Borrowed(scalar.0), |members| members.sort_by(|(a, _), (b, _)| a.cmp(b)))
    }

    /// The value with `replace` of each string in it, which appends canonical JSON. Names stay.
    pub(crate) fn with_strings(self, replace: &dyn Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
        let replaced = |scalar: JsonValue<'m>| {
            if scalar.kind() != ValueKind::Text {
                return Cow::Borrowed(scalar.0);
            }
            let mut json = Vec::new();
            replace(&scalar.text(), &mut json);
            Cow::Owned(json)
        };
        self.rewritten(&replaced, |_| {}).into_owned()
    }

    /// The value with `replace` of each string, number and word in it, and the members of each object arranged.
    fn rewritten(self, replace: &dyn Fn(JsonValue<'m>) -> Cow<'m, [u8]>, arrange: Arrange) -> Cow<'m, [u8]> {
        match self.0 {
            [b'[', inside @ .., b']'] => {
                let items: Vec<_> = items(inside).map(|item| JsonValue(item).rewritten(replace, arrange)).collect();
                [b"[", items.join(&b',').as_slice(), b"]"].concat().into()
            }
            [b'{', inside @ .., b'}'] => {
                let member = |member: &'m [u8]| {
                    let (name, value) = member.split_at(string_bytes(member));
                    let value = JsonValue(&value[1..]).rewritten(replace, arrange);
                    (JsonValue(name).text().into_owned(), [name, b":", &value].concat())
                };
                let mut members = items(inside).map(member).collect();
                arrange(&mut members);
                let members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
                [b"{", members.join(&b',').as_slice(), b"}"].concat().into()
            }
            _ => replace(self),
        }
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

/// What the inside of a canonical string means; borrowed where nothing is escaped.
pub(super) fn meaning(canonical: &[u8]) -> Cow<'_, str> {
    if !canonical.contains(&b'\\') {
        return String::from_utf8_lossy(canonical);
    }
    let string = [b"\"", canonical, b"\""].concat();
    serde_json::from_slice(&string).map_or_else(|_| String::from_utf8_lossy(canonical), Cow::Owned)
}

/// Arranges the members of an object: the text of a name, and `"name":value`.
type Arrange = fn(&mut Vec<(String, Vec<u8>)>);

/// Of members with one name the last, in the order of the names.
fn keep_last(members: &mut Vec<(String, Vec<u8>)>) {
    *members = members.drain(..).collect::<BTreeMap<_, _>>().into_iter().collect();
}

/// The items of a list or the members of an object, from the text between its brackets.
fn items(inside: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    let is_separator = move |&byte: &u8| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => return byte == b',' && depth == 0 && !in_string,
        }
        false
    };
    inside.split(is_separator).filter(|item| !item.is_empty())
}

/// The length of the string at the front, with its quotes.
fn string_bytes(text: &[u8]) -> usize {
    let mut end = 1;
    while text[end] != b'"' {
        end += if text[end] == b'\\' { 2 } else { 1 };
    }
    end + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::{Message, push_string};

    fn key(json: &str) -> Vec<u8> {
        JsonValue(json.as_bytes()).comparison_key().into_owned()
    }

    #[test]
    fn numbers_are_compared_by_value_and_type() {
        for (a, b, same, same_untyped) in [
            ("5", "5", true, true),
            ("0", "-0", true, true),
            ("5", "-5", false, false),
            ("NaN", "NaN", true, true),
            ("Infinity", "1e400", true, true),
            ("Infinity", "-Infinity", false, false),
            ("0.0", "-0.0", true, true),
            ("1.50", "15e-1", true, true),
            ("1e5", "100000.0", true, true),
            ("1e5", "100000", false, true),
            ("1", "1.0", false, true),
            ("\"1.0\"", "\"1\"", false, false),
            ("9007199254740993", "9007199254740992.0", false, false),
            ("123456789012345678901234567890", "123456789012345678901234567891", false, false),
        ] {
            assert_eq!(key(a) == key(b), same, "{a} {b}");
            let [a, b] = [a, b].map(|json| JsonValue(json.as_bytes()).untyped_comparison_key());
            assert_eq!(a == b, same_untyped, "{} {}", a.escape_ascii(), b.escape_ascii());
        }
    }

    #[test]
    fn objects_are_compared_by_name_and_the_last_of_two() {
        let (twice, once) = (key(r#"{"a":1,"b":3,"a":2}"#), key(r#"{"b":3,"a":2}"#));
        assert_eq!(twice, once);
        assert_ne!(twice, key(r#"{"a":2}"#));
        assert_ne!(once, key("[]"));
    }

    #[test]
    fn strings_are_replaced_and_all_else_stays() {
        let text = r#"{"a":[1,-2.50,NaN,"x\n\"],}",{}],"":null,"b":{"c":true,"c":false},"d":[]}"#;
        assert_eq!(
            JsonValue(text.as_bytes()).with_strings(&|text, out| push_string(text.as_bytes(), out)),
            text.as_bytes()
        );
        let filled = JsonValue(text.as_bytes())
            .with_strings(&|text, out| out.extend_from_slice(text.len().to_string().as_bytes()));
        assert_eq!(filled, text.replace(r#""x\n\"],}""#, "6").as_bytes());
    }

    #[test]
    fn names_are_sorted_by_code_point_at_all_levels() {
        let value = JsonValue(r#"{"é":1,"b":[{"z":1,"Z":2}],"a":3,"😀":4,"b":5}"#.as_bytes()).sorted();
        assert_eq!(value, r#"{"a":3,"b":[{"Z":2,"z":1}],"b":5,"é":1,"😀":4}"#.as_bytes());
        let mut message = Message::new();
        let line = br#"t?json={"b":[{"z":1,"Z":2}],"\u0001":1,"a":{}}"#;
        message.parse_line(line, &crate::bcp::ParseOptions::default()).unwrap();
        message.sort_names();
        let mut params = Vec::new();
        message.write_params(&mut params);
        assert_eq!(params, br#"{"\u0001":1,"a":{},"b":[{"Z":2,"z":1}]}"#);
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
