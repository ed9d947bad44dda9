//! Tests of canonical JSON: hand-made cases, and comparison with serde_json on random and invalid JSON.

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
        (" { \"a\" : [ 1 , 2.50 , -0 , 1E+5 ] ,\"b\":{}, \"c\" : [ ] }\r\n", r#"{"a":[1,2.50,-0,1E5],"b":{},"c":[]}"#),
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
