//! A value as MPF holds it once a line is read: as much of it as decides what becomes of MPF (design.md, section 13).

use std::borrow::Cow;
use std::fmt;

use super::python::{NoInteger, float, int};
use crate::bcp::unescape;
use crate::text::shown;

/// One value, in Python's types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// An integer; one that no `i64` holds is the nearest.
    Integer(i64),
    /// A float.
    Float(f64),
    /// `True` or `False`.
    Bool(bool),
    /// `None`.
    Null,
    /// A list of so many values.
    List(usize),
    /// A dictionary of so many members.
    Object(usize),
}

/// Why a plain value ends MPF whatever its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// Behind `int:` stands what `int()` refuses.
    Integer(NoInteger),
    /// Behind `float:` stands what `float()` refuses.
    Float,
}

impl<'a> Value<'a> {
    /// Reads what stands behind the `=` of a plain parameter, escapes and all.
    ///
    /// # Errors
    /// A number that Python does not read.
    pub fn read(raw: &'a str) -> Result<Value<'a>, NoValue> {
        let text = decode(raw);
        if let Some(digits) = text.strip_prefix("int:") {
            return int(digits).map(Value::Integer).map_err(NoValue::Integer);
        }
        if let Some(digits) = text.strip_prefix("float:") {
            return float(digits).map(Value::Float).ok_or(NoValue::Float);
        }
        if text.eq_ignore_ascii_case("bool:true") {
            return Ok(Value::Bool(true));
        }
        if text.eq_ignore_ascii_case("bool:false") {
            return Ok(Value::Bool(false));
        }
        if text == "NoneType:" {
            return Ok(Value::Null);
        }
        Ok(Value::Text(if text.contains('%') { Cow::Owned(decode_again(&text)) } else { text }))
    }

    /// Whether Python's `if` takes it as true.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Text(text) => !text.is_empty(),
            Value::Integer(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Bool(value) => *value,
            Value::Null => false,
            Value::List(count) | Value::Object(count) => *count > 0,
        }
    }
}

/// A name or value with its escapes decoded, once; what is not UTF-8 then is U+FFFD, as for MPF.
pub fn decode(raw: &str) -> Cow<'_, str> {
    match unescape(raw.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(raw),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// MPF decodes the escapes of text a second time, and a `+` stays one then.
fn decode_again(text: &str) -> String {
    let spaced: Vec<Cow<'_, str>> = text.split('+').map(decode).collect();
    spaced.join("+")
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "\"{}\"", shown(text.as_bytes())),
            Value::Integer(number) => write!(f, "the number {number}"),
            Value::Float(number) => write!(f, "the number {number:?}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Null => write!(f, "null"),
            Value::List(_) => write!(f, "a list"),
            Value::Object(_) => write!(f, "an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_twice_and_numbers_once() {
        for (raw, value) in [
            ("my%255Ftrigger", Value::Text("my_trigger".into())),
            ("a+b%2Bc%252B", Value::Text("a b+c+".into())),
            ("%FF", Value::Text("\u{fffd}".into())),
            ("int%3A5", Value::Integer(5)),
            ("int:+5", Value::Integer(5)),
            ("INT:5", Value::Text("INT:5".into())),
            ("bool:TRUE", Value::Bool(true)),
            ("bool:maybe", Value::Text("bool:maybe".into())),
            ("NoneType:", Value::Null),
            ("NoneType:x", Value::Text("NoneType:x".into())),
            ("float:1e5", Value::Float(1e5)),
        ] {
            assert_eq!(Value::read(raw), Ok(value), "{raw}");
        }
        assert_eq!(Value::read("%69nt:abc"), Err(NoValue::Integer(NoInteger::Other)));
        assert_eq!(Value::read("int:%2535"), Err(NoValue::Integer(NoInteger::Other)));
        // A plus is a space to MPF, and so this float has one inside.
        assert_eq!(Value::read("float:1e+5"), Err(NoValue::Float));
    }

    #[test]
    fn truth_is_pythons() {
        let falsy = [
            Value::Text("".into()),
            Value::Integer(0),
            Value::Float(0.0),
            Value::Null,
            Value::List(0),
            Value::Object(0),
        ];
        assert!(falsy.iter().all(|value| !value.is_true()));
        assert!([Value::Text("0".into()), Value::Float(f64::NAN), Value::List(1)].iter().all(Value::is_true));
    }
}
