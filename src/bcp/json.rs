//! JSON text to canonical JSON text, in one pass and without a tree.
//!
//! Canonical text has no white space, one spelling for each string, and the digits of each number as they were given.
//! The [`Canonicalizer`] reads RFC 8259 and `NaN`, `Infinity` and `-Infinity`; reading only moves forward, what must
//! change is replaced, and everything between two replacements is copied in one run.

use std::ops::Range;

use super::error::{JsonError, JsonFault};
use super::number::json_number;
use crate::limits::JSON_LEVELS_MAX;
use crate::text::shown;

/// Reads JSON text that is UTF-8 and appends it to `out` in its canonical spelling.
pub(super) struct Canonicalizer<'t, 'o> {
    text: &'t [u8],
    /// Everything before this offset of `text` has been read.
    at: usize,
    /// Everything before this offset of `text` is in `out`.
    copied: usize,
    out: &'o mut Vec<u8>,
    /// How many lists and objects are open, the parameters' object included.
    pub(super) depth: usize,
    allow_nan: bool,
    /// Whether a comma before a closing bracket is dropped. (A VPX script always writes one.)
    pub(super) allow_trailing_comma: bool,
}

impl<'t, 'o> Canonicalizer<'t, 'o> {
    pub(super) fn new(text: &'t [u8], out: &'o mut Vec<u8>, allow_nan: bool) -> Canonicalizer<'t, 'o> {
        Canonicalizer { text, at: 0, copied: 0, out, depth: 0, allow_nan, allow_trailing_comma: false }
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Copies the next byte.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Where in `out` the next byte that is read will be.
    pub(super) fn position(&self) -> usize {
        self.out.len() + self.at - self.copied
    }

    /// The canonical text of what `read` passes over.
    pub(super) fn span(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), JsonError>,
    ) -> Result<Range<usize>, JsonError> {
        let start = self.position();
        read(self)?;
        Ok(start..self.position())
    }

    /// The canonical text in this range, until more is read.
    pub(super) fn written(&mut self, range: Range<usize>) -> &[u8] {
        self.flush();
        &self.out[range]
    }

    /// Checks that only white space is left, and completes the output.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        self.flush();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error(JsonFault::Unexpected)) }
    }

    /// Reads the items of a list, the members of an object or the keys of a message, after the opening bracket and up
    /// to and including `close`.
    #[inline]
    pub(super) fn sequence<E: From<JsonError>>(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => break,
                _ => return Err(self.error(JsonFault::Unexpected).into()),
            }
            self.skip_space();
            if self.peek() == Some(close) && self.allow_trailing_comma {
                self.flush();
                self.out.pop();
                break;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a list or an object, one level deeper than what is around it.
    #[inline]
    pub(super) fn nested<E: From<JsonError>>(
        &mut self,
        close: u8,
        item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.depth == JSON_LEVELS_MAX {
            return Err(self.error(JsonFault::TooDeep).into());
        }
        self.depth += 1;
        self.at += 1;
        self.sequence(close, item)?;
        self.depth -= 1;
        Ok(())
    }

    /// Reads one value and the white space before it.
    pub(super) fn value(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(b'}', |json| {
                json.quoted_name()?;
                json.colon()?;
                json.value()
            }),
            Some(b'[') => self.nested(b']', Self::value),
            Some(b'"') => self.string(),
            Some(b'0'..=b'9') => self.number(),
            Some(b'-') if !self.text[self.at..].starts_with(b"-I") => self.number(),
            _ => self.word(),
        }
    }

    /// Reads a name with its quotes.
    #[inline]
    pub(super) fn quoted_name(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'"') { self.string() } else { Err(self.error(JsonFault::Unexpected)) }
    }

    /// Reads the colon after a name.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error(JsonFault::Unexpected));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string from its opening to its closing quote.
    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            self.at += plain_bytes(&self.text[self.at..]);
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            self.special()?;
        }
    }

    /// Reads a character of a string that may not stand for itself.
    #[inline(never)]
    fn special(&mut self) -> Result<(), JsonError> {
        match self.text[self.at..] {
            [b'\\', b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
            [b'\\', b'/', ..] => self.replace(2, b"/"),
            [b'\\', b'u', ..] => {
                let (character, length) = self.unicode_escape()?;
                self.flush();
                push_text(character.encode_utf8(&mut [0; 4]).as_bytes(), self.out);
                self.replace(length, b"");
            }
            [b'\\'] => return Err(self.error_at(self.at + 1, JsonFault::String)),
            [0xc2, second @ 0x80..=0x9f, ..] => self.replace(2, &unit_escape(u16::from(second))),
            [0xc2, ..] => self.at += 1,
            [0x7f, ..] => self.replace(1, &unit_escape(0x7f)),
            _ => return Err(self.error(JsonFault::String)),
        }
        Ok(())
    }

    /// The character of one `\uXXXX`, or of two that are a surrogate pair, and their length.
    fn unicode_escape(&self) -> Result<(char, usize), JsonError> {
        let first = self.unit(self.at)?;
        if let Some(character) = char::from_u32(u32::from(first)) {
            return Ok((character, 6));
        }
        if self.text[self.at + 6..].starts_with(b"\\u") {
            let pair = [first, self.unit(self.at + 6)?];
            if let Some(Ok(character)) = char::decode_utf16(pair).next() {
                return Ok((character, 12));
            }
        }
        Err(self.error(JsonFault::Surrogate))
    }

    /// The UTF-16 unit of the `\uXXXX` at this offset.
    fn unit(&self, at: usize) -> Result<u16, JsonError> {
        let end = (at + 6).min(self.text.len());
        let digits = &self.text[at + 2..end];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.error_at(at, JsonFault::String));
        }
        if digits.len() < 4 {
            return Err(self.error_at(end, JsonFault::String));
        }
        let value = digits.iter().fold(0, |sum, &digit| sum * 16 + (digit as char).to_digit(16).unwrap_or(0));
        Ok(value as u16)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let Some(length) = json_number(&self.text[self.at..]) else { return Err(self.error(JsonFault::Unexpected)) };
        let end = self.at + length;
        if let Some(plus) = memchr::memchr(b'+', &self.text[self.at..end]) {
            // Peers that unescape twice read the + of an exponent as a space.
            self.at += plus;
            self.replace(1, b"");
        }
        self.at = end;
        // A digit here follows a leading zero, as in 01.
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            Err(self.error(JsonFault::Unexpected))
        } else {
            Ok(())
        }
    }

    fn word(&mut self) -> Result<(), JsonError> {
        const WORDS: [&[u8]; 6] = [b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity"];
        let rest = &self.text[self.at..];
        match WORDS.iter().position(|word| rest.starts_with(word)) {
            Some(3..) if !self.allow_nan => Err(self.error(JsonFault::NotFinite)),
            Some(found) => {
                self.at += WORDS[found].len();
                Ok(())
            }
            None => Err(self.error(JsonFault::Unexpected)),
        }
    }

    /// Drops JSON's white space, which is fewer characters than BCP's.
    #[inline]
    pub(super) fn skip_space(&mut self) {
        if self.text.get(self.at).is_some_and(|&byte| byte <= b' ') {
            self.flush();
            while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
                self.at += 1;
            }
            self.copied = self.at;
        }
    }

    #[inline]
    fn replace(&mut self, length: usize, spelling: &[u8]) {
        self.flush();
        self.out.extend_from_slice(spelling);
        self.at += length;
        self.copied = self.at;
    }

    #[inline]
    fn flush(&mut self) {
        self.out.extend_from_slice(&self.text[self.copied..self.at]);
        self.copied = self.at;
    }

    #[cold]
    fn error(&self, fault: JsonFault) -> JsonError {
        self.error_at(self.at, fault)
    }

    fn error_at(&self, at: usize, fault: JsonFault) -> JsonError {
        let fault = if at == self.text.len() { JsonFault::CutShort } else { fault };
        JsonError { at, fault, found: shown(&self.text[at..]) }
    }
}

/// The bytes that do not always stand for themselves in a canonical string. 0xc2 may begin a C1 control character. A
/// table is faster than comparisons.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8, 0..0x20 | b'"' | b'\\' | 0x7f | 0xc2);
        byte += 1;
    }
    table
};

/// How many bytes at the start of a text stand for themselves in a canonical string.
#[inline]
fn plain_bytes(text: &[u8]) -> usize {
    text.iter().position(|&byte| SPECIAL[usize::from(byte)]).unwrap_or(text.len())
}

/// Appends text as a canonical JSON string.
pub(crate) fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    push_text(text, out);
    out.push(b'"');
}

/// Appends text as the inside of a canonical JSON string.
pub(super) fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        rest = match special {
            [] => return,
            [0xc2, second @ 0x80..=0x9f, rest @ ..] => {
                out.extend_from_slice(&unit_escape(u16::from(*second)));
                rest
            }
            [byte, rest @ ..] => {
                match byte {
                    0xc2 => out.push(0xc2),
                    b'"' => out.extend_from_slice(b"\\\""),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    0x08 => out.extend_from_slice(b"\\b"),
                    0x0c => out.extend_from_slice(b"\\f"),
                    control => out.extend_from_slice(&unit_escape(u16::from(*control))),
                }
                rest
            }
        };
    }
}

/// `\uXXXX` in lower-case hex.
pub(super) fn unit_escape(unit: u16) -> [u8; 6] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS[usize::from((unit >> shift) & 15)];
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::value::meaning;
    use crate::limits::JSON_LEVELS_MAX;

    fn read(text: &str, allow_trailing_comma: bool) -> Result<String, JsonError> {
        let mut out = Vec::new();
        let mut json = Canonicalizer { allow_trailing_comma, ..Canonicalizer::new(text.as_bytes(), &mut out, true) };
        json.value()?;
        json.end()?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn canonical(text: &str) -> Result<String, JsonFault> {
        read(text, false).map_err(|error| error.fault)
    }

    #[test]
    fn each_value_has_one_canonical_form() {
        for (text, expected) in [
            (
                " { \"a\" : [ 1 , 2.50 , -0 , 1E+5 ] ,\"b\":{}, \"c\" : [ ] }\r\n",
                r#"{"a":[1,2.50,-0,1E5],"b":{},"c":[]}"#,
            ),
            (r#""\u0041\u00e9\u20ac\ud83d\ude00\/\b\f\n\r\t\"\\""#, r#""Aé€😀/\b\f\n\r\t\"\\""#),
            ("\"\\u007f\u{7f}\\u0085\u{85}\\u0000\"", r#""\u007f\u007f\u0085\u0085\u0000""#),
            ("[NaN,Infinity,-Infinity,true,false,null]", "[NaN,Infinity,-Infinity,true,false,null]"),
            ("123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012345"),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn each_json_error_is_reported_with_its_offset() {
        use JsonFault as F;
        for (text, fault, at) in [
            ("[nan]", F::Unexpected, 1),
            ("[True]", F::Unexpected, 1),
            ("['a']", F::Unexpected, 1),
            ("[.5]", F::Unexpected, 1),
            ("[+1]", F::Unexpected, 1),
            ("[01]", F::Unexpected, 2),
            ("[1.]", F::Unexpected, 1),
            ("[-]", F::Unexpected, 1),
            ("[1e]", F::Unexpected, 1),
            ("[-01]", F::Unexpected, 3),
            ("\"\t\"", F::String, 1),
            ("\"\u{1}\"", F::String, 1),
            (r#""\x41""#, F::String, 1),
            (r#""\u12""#, F::String, 1),
            (r#""\u12g4""#, F::String, 1),
            (r#""\ud800""#, F::Surrogate, 1),
            (r#""\udc00\ud800""#, F::Surrogate, 1),
            (r#""\ud800\u0041""#, F::Surrogate, 1),
            (r#""\ud800x""#, F::Surrogate, 1),
            ("{a:1}", F::Unexpected, 1),
            ("{1:1}", F::Unexpected, 1),
            (r#"{"a" 1}"#, F::Unexpected, 5),
            (r#"{"a"}"#, F::Unexpected, 4),
            (r#"{"a":}"#, F::Unexpected, 5),
            (r#"["a""b"]"#, F::Unexpected, 4),
            ("[1 2]", F::Unexpected, 3),
            ("[1}", F::Unexpected, 2),
            ("[1,]", F::Unexpected, 3),
            (r#"{"a":1,}"#, F::Unexpected, 7),
            ("[,1]", F::Unexpected, 1),
            ("", F::CutShort, 0),
            ("[", F::CutShort, 1),
            ("[1,", F::CutShort, 3),
            (r#"{"a"#, F::CutShort, 3),
            (r#"{"a""#, F::CutShort, 4),
            (r#"{"a":"#, F::CutShort, 5),
            (r#""\"#, F::CutShort, 2),
            (r#""\u12"#, F::CutShort, 5),
            ("{} x", F::Unexpected, 3),
            ("1 2", F::Unexpected, 2),
            ("{}{}", F::Unexpected, 2),
            ("tru", F::Unexpected, 0),
        ] {
            assert_eq!(read(text, false).map_err(|error| (error.fault, error.at)), Err((fault, at)), "{text}");
        }
        let mut out = Vec::new();
        let error = Canonicalizer::new(b"[1, -Infinity]", &mut out, false).value().unwrap_err();
        assert_eq!((error.fault, error.at), (F::NotFinite, 4));
    }

    #[test]
    fn one_comma_before_a_closing_bracket_is_dropped_where_it_is_allowed() {
        for (text, expected) in [
            (r#"{"a": [1, 2, ], }"#, Some(r#"{"a":[1,2]}"#)),
            ("[[],]", Some("[[]]")),
            ("[1 ,\n]", Some("[1]")),
            ("[1,,]", None),
            ("[,]", None),
            ("{,}", None),
            ("1,", None),
        ] {
            assert_eq!(read(text, true).ok().as_deref(), expected, "{text}");
            assert!(read(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn each_character_has_one_canonical_escape() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{80}\u{85}\u{9f}\u{a0}é\u{2028}😀/'";
        let mut spelled = Vec::new();
        push_text(text.as_bytes(), &mut spelled);
        let expected = concat!(r#"a\"\\\n\r\t\b\f\u0000\u001f\u007f\u0080\u0085\u009f"#, "\u{a0}é\u{2028}😀/'");
        assert_eq!(std::str::from_utf8(&spelled).unwrap(), expected);
        assert_eq!(meaning(&spelled), text);
    }

    #[test]
    fn text_of_100_000_levels_is_refused_at_the_129th() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(canonical(&nested(JSON_LEVELS_MAX)).is_ok());
        assert_eq!(canonical(&nested(JSON_LEVELS_MAX + 1)), Err(JsonFault::TooDeep));
        assert_eq!(canonical(&"{\"a\":".repeat(100_000)), Err(JsonFault::TooDeep));
    }

    /// A random number generator (xorshift) with a fixed seed, so that failures are reproducible.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % limit
        }

        fn json(&mut self, levels: usize, out: &mut String) {
            const TEXTS: [&str; 12] = [
                "a",
                "",
                "\\n",
                "\\u0041",
                "é",
                "😀",
                "\\ud83d\\ude00",
                "\u{7f}",
                "\u{85}",
                "%&=?",
                "\\\\",
                "a long plain text, longer than a word",
            ];
            const NUMBERS: [&str; 9] =
                ["0", "-0", "12", "1.50", "-1e-7", "1E+5", "5e-324", "1234567890123456789012345678901234567890", "0.1"];
            let spaces = ["", " ", "\n\t", "\r "][self.below(4)];
            out.push_str(spaces);
            match self.below(if levels == 0 { 4 } else { 6 }) {
                0 => out.push_str(["true", "false", "null"][self.below(3)]),
                1 => out.push_str(NUMBERS[self.below(NUMBERS.len())]),
                2 | 3 => *out += &format!("\"{}{}\"", TEXTS[self.below(12)], TEXTS[self.below(12)]),
                kind => {
                    let (open, close) = if kind == 4 { ('[', ']') } else { ('{', '}') };
                    out.push(open);
                    for item in 0..self.below(4) {
                        out.push_str(if item > 0 { "," } else { "" });
                        if kind == 5 {
                            *out += &format!("{spaces}\"{item}{}\"{spaces}:", TEXTS[self.below(12)]);
                        }
                        self.json(levels - 1, out);
                    }
                    out.push_str(spaces);
                    out.push(close);
                }
            }
        }
    }

    #[test]
    fn serde_json_agrees_on_random_json() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..5_000 {
            let mut text = String::new();
            random.json(5, &mut text);
            let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
            let canonical_text = canonical(&text).unwrap_or_else(|fault| panic!("{fault:?}: {text}"));
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&canonical_text).unwrap(),
                without_plus(expected),
                "{text}"
            );
            assert_eq!(canonical(&canonical_text).as_ref(), Ok(&canonical_text));
        }
    }

    /// Removes the `+` of exponents, which serde_json keeps and canonical JSON omits.
    fn without_plus(value: serde_json::Value) -> serde_json::Value {
        serde_json::from_str(&value.to_string().replace("E+", "E").replace("e+", "e")).unwrap()
    }

    #[test]
    fn serde_json_agrees_on_broken_json() {
        const BREAKING: &[u8] = b"{}[],:\"\\0129eE+-.u \ntfn\x01";
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut text = String::new();
            random.json(3, &mut text);
            let mut bytes = text.into_bytes();
            for _ in 0..=random.below(2) {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, BREAKING[random.below(BREAKING.len())]),
                    _ => bytes[at] = BREAKING[random.below(BREAKING.len())],
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let judge = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            refused += usize::from(!judge);
            assert_eq!(canonical(&text).is_ok(), judge, "{text}");
        }
        assert!(refused > 5_000, "the generator breaks too little: {refused}");
    }

    #[test]
    fn truncated_json_is_an_error_and_never_a_panic() {
        let text = r#"{"a\u00e9\ud83d\ude00":[1,-2.5e-3,{"b":null}],"c":"x😀"}"#;
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            assert!(canonical(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }
}
