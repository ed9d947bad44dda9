//! JSON as Python's `json.loads` reads it, which is what MPF does with `json=` (design.md, section 13).
//!
//! It takes more than our own reader: half of a surrogate pair, and any depth that Python's stack holds. Nothing is
//! kept but the members of an object, for the guard to judge; nested values are only checked.

use super::python::int;
use super::value::Value;
use crate::bcp::json_number;

/// How deep a value may nest for MPF: 900 lists were read and 1,100 ended it, since Python's stack is not its alone.
pub const LEVELS_MAX: usize = 900;

/// Why text is no JSON to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoJson {
    /// It breaks the grammar at this byte.
    Syntax(usize),
    /// It nests deeper than [`LEVELS_MAX`].
    TooDeep,
    /// It holds an integer of more than [`INTEGER_DIGITS_MAX`](super::python::INTEGER_DIGITS_MAX) digits.
    LongInteger,
}

/// What a JSON text is.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// An object, with its members in their order; of two with one name the last one counts.
    Object(Vec<(String, Value<'static>)>),
    /// Anything else.
    Other,
}

/// Reads one JSON text; an object's members are given only when they are to be `kept`.
///
/// # Errors
/// Text on which `json.loads` raises an exception.
pub fn read(text: &str, kept: bool) -> Result<Json, NoJson> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader.space();
    let json = if reader.peek() == Some(b'{') {
        Json::Object(reader.members(kept)?)
    } else {
        reader.value()?;
        Json::Other
    };
    reader.space();
    match reader.peek() {
        None => Ok(json),
        Some(_) => Err(NoJson::Syntax(reader.at)),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong<T>(&self) -> Result<T, NoJson> {
        Err(NoJson::Syntax(self.at))
    }

    fn expect(&mut self, byte: u8) -> Result<(), NoJson> {
        if self.peek() != Some(byte) {
            return self.wrong();
        }
        self.at += 1;
        Ok(())
    }

    /// The members of the outermost object.
    fn members(&mut self, kept: bool) -> Result<Vec<(String, Value<'static>)>, NoJson> {
        let mut members = Vec::new();
        self.expect(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            if kept {
                let name = self.name()?;
                members.push((name, self.value()?));
            } else {
                self.pieces(|_| ())?;
                self.colon()?;
                match self.peek() {
                    Some(b'"') => self.pieces(|_| ())?,
                    _ => drop(self.value()?),
                }
            }
            self.space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(members);
            }
            self.expect(b',')?;
            self.space();
        }
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<String, NoJson> {
        let name = self.string()?;
        self.colon()?;
        Ok(name)
    }

    fn colon(&mut self) -> Result<(), NoJson> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

    fn value(&mut self) -> Result<Value<'static>, NoJson> {
        match self.peek() {
            Some(b'{' | b'[') => self.nested(),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<Value<'static>, NoJson> {
        if self.peek() == Some(b'"') {
            return Ok(Value::Text(self.string()?.into()));
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !matches!(rest, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..]) {
            return self.word();
        }
        let Some(length) = json_number(rest) else { return self.wrong() };
        let digits = rest.get(..length).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        let value = if digits.contains(['.', 'e', 'E']) {
            Value::Float(digits.parse().unwrap_or(f64::NAN))
        } else {
            Value::Integer(int(digits).map_err(|_| NoJson::LongInteger)?)
        };
        self.at += length;
        Ok(value)
    }

    fn word(&mut self) -> Result<Value<'static>, NoJson> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ] {
            if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.wrong()
    }

    /// A list or an object: checked to its end without recursion, and counted.
    fn nested(&mut self) -> Result<Value<'static>, NoJson> {
        let is_list = self.peek() == Some(b'[');
        // Each open bracket, as the byte that closes it.
        let mut open: Vec<u8> = Vec::new();
        let mut count = 0usize;
        loop {
            match self.peek() {
                Some(bracket @ (b'[' | b'{')) => {
                    self.at += 1;
                    // `[` is followed by `]` two codes later, as is `{` by `}`.
                    open.push(bracket + 2);
                    if open.len() > LEVELS_MAX {
                        return Err(NoJson::TooDeep);
                    }
                    self.space();
                    if self.peek() != open.last().copied() {
                        count += usize::from(open.len() == 1);
                        self.name_in(&open)?;
                        continue;
                    }
                }
                // Inside of a value nothing is kept.
                Some(b'"') => self.pieces(|_| ())?,
                _ => drop(self.scalar()?),
            }
            if self.close(&mut open)? {
                return Ok(if is_list { Value::List(count) } else { Value::Object(count) });
            }
            count += usize::from(open.len() == 1);
            self.name_in(&open)?;
        }
    }

    /// Behind a value: closes what closes here and takes the comma; whether all is closed.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, NoJson> {
        loop {
            self.space();
            if self.peek() == open.last().copied() && open.pop().is_some() {
                self.at += 1;
                if open.is_empty() {
                    return Ok(true);
                }
                continue;
            }
            self.expect(b',')?;
            self.space();
            return Ok(false);
        }
    }

    fn name_in(&mut self, open: &[u8]) -> Result<(), NoJson> {
        if open.last() == Some(&b'}') {
            self.pieces(|_| ())?;
            self.colon()?;
        }
        Ok(())
    }

    /// A string as it is meant; half of a surrogate pair is U+FFFD here.
    fn string(&mut self) -> Result<String, NoJson> {
        let mut units: Vec<u8> = Vec::new();
        self.pieces(|piece| units.extend_from_slice(piece))?;
        Ok(String::from_utf8(units).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Takes a string's pieces: as long as they can be plain text, and what each escape means.
    fn pieces(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), NoJson> {
        self.expect(b'"')?;
        let mut meant = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|b| matches!(b, 0..=0x1f | b'"' | b'\\')).unwrap_or(rest.len());
            take(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    meant.clear();
                    self.escape(&mut meant)?;
                    take(&meant);
                }
                _ => return self.wrong(),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), NoJson> {
        let Some(byte) = self.peek() else { return self.wrong() };
        self.at += 1;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(out),
            _ => {
                self.at -= 1;
                return self.wrong();
            }
        };
        out.push(plain);
        Ok(())
    }

    fn unicode(&mut self, out: &mut Vec<u8>) -> Result<(), NoJson> {
        let first = self.hex()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.text.get(self.at..self.at + 2) == Some(b"\\u") {
            let before = self.at;
            self.at += 2;
            match self.hex()? {
                second @ 0xdc00..0xe000 => code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => self.at = before,
            }
        }
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, NoJson> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return self.wrong() };
        self.at += 4;
        Ok(digits.iter().fold(0, |sum, &digit| sum * 16 + char::from(digit).to_digit(16).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::python::INTEGER_DIGITS_MAX;
    use super::*;

    /// Reads it in both ways, which differ in what is kept and in nothing else.
    fn read(text: &str) -> Result<Json, NoJson> {
        let kept = super::read(text, true);
        assert_eq!(super::read(text, false).err(), kept.clone().err(), "{text}");
        kept
    }

    fn member(json: &str) -> Value<'static> {
        match read(&format!("{{\"a\": {json}}}")) {
            Ok(Json::Object(mut members)) => members.remove(0).1,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn values_are_read_as_python_reads_them() {
        assert_eq!(member("\"x\\u00e9\\ud83d\\ude00\\ud800\\/\""), Value::Text("xé😀\u{fffd}/".into()));
        assert_eq!(member("\"\\ud800\\u0041\""), Value::Text("\u{fffd}A".into()));
        assert_eq!(member("-5"), Value::Integer(-5));
        assert_eq!(member("1e999"), Value::Float(f64::INFINITY));
        assert_eq!(member("[1, {\"a\": [2, 3]}, []]"), Value::List(3));
        assert_eq!(member("[]"), Value::List(0));
        assert_eq!(member("{ }"), Value::Object(0));
        assert_eq!(member("{\"x\": [], \"y\": 1}"), Value::Object(2));
        assert_eq!(member("null"), Value::Null);
        assert!(matches!(member("NaN"), Value::Float(x) if x.is_nan()));
        assert_eq!(member("-Infinity"), Value::Float(f64::NEG_INFINITY));
        for text in ["[1]", "null", " 5 ", "\"a\"", "[[], {}]"] {
            assert_eq!(read(text), Ok(Json::Other), "{text}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{\"a\"",
            "{\"a\":1,}",
            "{'a':1}",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{\"a\":-NaN}",
            "[1,]",
            "[1}",
            "[",
            "[1 2]",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\\u12",
            "{\"a\":[{\"b\"}]}",
            "%7B%7D",
            "\u{feff}{}",
            "tru",
        ] {
            assert!(matches!(read(text), Err(NoJson::Syntax(_))), "{text}: {:?}", read(text));
        }
        let nested = |count: usize| "[".repeat(count) + &"]".repeat(count);
        assert_eq!(read(&nested(LEVELS_MAX)), Ok(Json::Other));
        assert_eq!(read(&nested(LEVELS_MAX + 1)), Err(NoJson::TooDeep));
        assert_eq!(member(&nested(LEVELS_MAX)), Value::List(1));
        assert_eq!(read(&format!("{{\"a\":{}}}", nested(LEVELS_MAX + 1))), Err(NoJson::TooDeep));
        let digits = "9".repeat(INTEGER_DIGITS_MAX);
        assert_eq!(read(&format!("[-{digits}, {digits}.0, 1{digits}e5]")), Ok(Json::Other));
        assert_eq!(read(&format!("[{digits}9]")), Err(NoJson::LongInteger));
    }
}
