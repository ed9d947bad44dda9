//! Between the one spelling of JSON and values as data.

use super::error::Malformed;
use super::parts::Message;
use super::spell::push_text;
use super::spelled::JsonValue;
use crate::bcp::Value;

impl JsonValue<'_> {
    /// The value as plain data.
    pub fn to_value(self) -> Value {
        let mut rest = self.0;
        read(&mut rest)
    }
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
        to_text(self, out);
    }

    /// The canonical JSON text of the value.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Appends a value in the one spelling of section 4.
fn to_text(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Text(text) => push_string(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (count, item) in items.iter().enumerate() {
                if count > 0 {
                    out.push(b',');
                }
                to_text(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (count, (name, value)) in members.iter().enumerate() {
                if count > 0 {
                    out.push(b',');
                }
                push_string(name, out);
                out.push(b':');
                to_text(value, out);
            }
            out.push(b'}');
        }
    }
}

fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_text(text.as_bytes(), out);
    out.push(b'"');
}

fn read(rest: &mut &[u8]) -> Value {
    match rest.first() {
        Some(b'"') => Value::Text(read_string(rest)),
        Some(b'[') => {
            let mut items = Vec::new();
            read_items(rest, b']', |rest| items.push(read(rest)));
            Value::List(items)
        }
        Some(b'{') => {
            let mut members = Vec::new();
            read_items(rest, b'}', |rest| {
                let name = read_string(rest);
                skip(rest, b':');
                members.push((name, read(rest)));
            });
            Value::Object(members)
        }
        _ => {
            let length = rest.iter().position(|b| matches!(b, b',' | b']' | b'}')).unwrap_or(rest.len());
            let word = String::from_utf8_lossy(advance(rest, length)).into_owned();
            match word.as_str() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::Number(word),
            }
        }
    }
}

fn read_items(rest: &mut &[u8], close: u8, mut item: impl FnMut(&mut &[u8])) {
    advance(rest, 1);
    while let Some(&byte) = rest.first() {
        if byte == close {
            advance(rest, 1);
            return;
        }
        item(rest);
        skip(rest, b',');
    }
}

fn read_string(rest: &mut &[u8]) -> String {
    let mut end = 1;
    loop {
        match rest.get(end) {
            Some(b'\\') => end += 2,
            Some(b'"') | None => break,
            Some(_) => end += 1,
        }
    }
    JsonValue(advance(rest, end + 1)).text().into_owned()
}

fn skip(rest: &mut &[u8], byte: u8) {
    if rest.first() == Some(&byte) {
        advance(rest, 1);
    }
}

fn advance<'t>(rest: &mut &'t [u8], count: usize) -> &'t [u8] {
    let (taken, left) = rest.split_at(count.min(rest.len()));
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_value_and_back() {
        let text = r#"{"a":[1,-2.50,NaN,"x\n\"],}",{}],"":null,"b":{"c":true,"c":false},"d":[]}"#;
        let value = JsonValue(text.as_bytes()).to_value();
        let mut out = Vec::new();
        to_text(&value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn sorting_goes_by_code_point_and_into_the_depth() {
        let mut value = JsonValue(r#"{"é":1,"b":[{"z":1,"Z":2}],"a":3,"😀":4,"b":5}"#.as_bytes()).to_value();
        value.sort_names();
        let mut out = Vec::new();
        to_text(&value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":3,"b":[{"Z":2,"z":1}],"b":5,"é":1,"😀":4}"#);
    }
}
