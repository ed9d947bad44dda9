//! Values as canonical JSON text: their types and texts, and how they are compared, sorted and filled in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json::push_text;

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
        match self.kind() {
            ValueKind::Text | ValueKind::Bool | ValueKind::Null => Cow::Borrowed(self.0),
            ValueKind::Integer if self.0 != b"-0" => Cow::Borrowed(self.0),
            _ => Cow::Owned(self.rewritten(&push_number_key, keep_last)),
        }
    }

    /// The same where 1 equals 1.0, as in Python: messages of OBE_Socket have no types besides JSON's.
    pub fn untyped_comparison_key(self) -> Vec<u8> {
        let push_key = |scalar: &[u8], out: &mut Vec<u8>| match JsonValue(scalar).whole_float() {
            Some(whole) => out.extend_from_slice(format!("{whole:.0}").as_bytes()),
            None => push_number_key(scalar, out),
        };
        self.rewritten(&push_key, keep_last)
    }

    /// A float without fraction, which may equal an integer. Adding 0 turns -0.0 into 0.0.
    fn whole_float(self) -> Option<f64> {
        let is_whole = |number: &f64| self.kind() == ValueKind::Float && number.fract() == 0.0;
        Some(self.float() + 0.0).filter(is_whole)
    }

    fn float(self) -> f64 {
        std::str::from_utf8(self.0).ok().and_then(|digits| digits.parse().ok()).unwrap_or(f64::NAN)
    }

    /// The value with the members of all objects sorted by the code points of their names; members of one name keep
    /// their order.
    pub fn sorted(self) -> Vec<u8> {
        // UTF-8 sorts as the code points do.
        self.rewritten(&copy, |members| members.sort_by(|(a, _), (b, _)| a.cmp(b)))
    }

    /// The value with `replace` of each string in it, which appends canonical JSON. Names stay.
    pub(crate) fn with_strings(self, replace: &dyn Fn(&str, &mut Vec<u8>)) -> Vec<u8> {
        let push = |scalar: &[u8], out: &mut Vec<u8>| match scalar[0] {
            b'"' => replace(&JsonValue(scalar).text(), out),
            _ => out.extend_from_slice(scalar),
        };
        self.rewritten(&push, |_| {})
    }

    fn rewritten(self, push_scalar: PushScalar<'_>, arrange: Arrange) -> Vec<u8> {
        let (mut rest, mut out) = (self.0, Vec::with_capacity(self.0.len()));
        rewrite(&mut rest, push_scalar, arrange, &mut out);
        out
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

/// Appends text as a canonical JSON string.
pub(crate) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_text(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends what takes the place of a string, a number or a word.
type PushScalar<'f> = &'f dyn Fn(&[u8], &mut Vec<u8>);

/// Arranges the members of an object: the text of a name, and `"name":value`.
type Arrange = fn(&mut Vec<(String, Vec<u8>)>);

fn copy(scalar: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(scalar);
}

/// Of members with one name the last, in the order of the names.
fn keep_last(members: &mut Vec<(String, Vec<u8>)>) {
    *members = members.drain(..).collect::<BTreeMap<_, _>>().into_iter().collect();
}

/// Appends a number so that equal numbers of one type are equal text; anything else as it is.
fn push_number_key(scalar: &[u8], out: &mut Vec<u8>) {
    match JsonValue(scalar).kind() {
        ValueKind::Integer if scalar == b"-0" => out.push(b'0'),
        // Adding 0 turns -0.0 into 0.0. Rust always writes a point or a word, so no float looks like an integer.
        ValueKind::Float => out.extend_from_slice(format!("{:?}", JsonValue(scalar).float() + 0.0).as_bytes()),
        _ => copy(scalar, out),
    }
}

/// Takes the value at the front of canonical text and appends it rewritten.
fn rewrite(rest: &mut &[u8], push_scalar: PushScalar<'_>, arrange: Arrange, out: &mut Vec<u8>) {
    match rest[0] {
        b'[' => {
            out.push(b'[');
            take_items(rest, b']', |rest, count| {
                out.extend_from_slice(if count > 0 { b"," } else { b"" });
                rewrite(rest, push_scalar, arrange, out);
            });
            out.push(b']');
        }
        b'{' => {
            let mut members = Vec::new();
            take_items(rest, b'}', |rest, _| {
                let name = take(rest, string_bytes(rest));
                let mut member = [name, take(rest, 1)].concat();
                rewrite(rest, push_scalar, arrange, &mut member);
                members.push((JsonValue(name).text().into_owned(), member));
            });
            arrange(&mut members);
            out.push(b'{');
            for (count, (_, member)) in members.iter().enumerate() {
                out.extend_from_slice(if count > 0 { b"," } else { b"" });
                out.extend_from_slice(member);
            }
            out.push(b'}');
        }
        b'"' => push_scalar(take(rest, string_bytes(rest)), out),
        _ => {
            let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}')).unwrap_or(rest.len());
            push_scalar(take(rest, length), out);
        }
    }
}

/// Takes a list or an object from the front; `item` takes each item, of which so many are before it.
fn take_items(rest: &mut &[u8], close: u8, mut item: impl FnMut(&mut &[u8], usize)) {
    take(rest, 1);
    let mut count = 0;
    while rest[0] != close {
        take(rest, usize::from(rest[0] == b','));
        item(rest, count);
        count += 1;
    }
    take(rest, 1);
}

/// The length of the string at the front, with its quotes.
fn string_bytes(text: &[u8]) -> usize {
    let mut end = 1;
    while text[end] != b'"' {
        end += if text[end] == b'\\' { 2 } else { 1 };
    }
    end + 1
}

fn take<'t>(rest: &mut &'t [u8], count: usize) -> &'t [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::Message;

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
        assert_eq!(JsonValue(text.as_bytes()).with_strings(&push_string), text.as_bytes());
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
