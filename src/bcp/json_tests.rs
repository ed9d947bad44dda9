//! The scanner against hand-made cases, and against serde_json on random and on broken JSON.

use super::*;
use crate::limits::JSON_LEVELS_MAX;

fn respell(text: &str) -> Result<String, JsonFault> {
    let mut scanner = Scanner::new(text.as_bytes(), true, Room::default());
    let out = scanner.value(0).map(<[u8]>::to_vec).map_err(|e| e.fault)?;
    scanner.end().map_err(|e| e.fault)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn one_spelling_whatever_the_input() {
    for (text, expected) in [
        (" { \"a\" : [ 1 , 2.50 , -0 , 1E+5 ] ,\"b\":{}, \"c\" : [ ] }\r\n", r#"{"a":[1,2.50,-0,1E5],"b":{},"c":[]}"#),
        (r#""\u0041\u00e9\u20ac\ud83d\ude00\/\b\f\n\r\t\"\\""#, r#""Aé€😀/\b\f\n\r\t\"\\""#),
        ("\"\\u007f\u{7f}\\u0085\u{85}\\u0000\"", r#""\u007f\u007f\u0085\u0085\u0000""#),
        ("[NaN,Infinity,-Infinity,true,false,null]", "[NaN,Infinity,-Infinity,true,false,null]"),
        ("123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012345"),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
    ] {
        assert_eq!(respell(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn each_fault_has_a_text_that_shows_it() {
    use JsonFault::*;
    for (text, fault) in [
        ("[nan]", Value),
        ("[True]", Value),
        ("['a']", Value),
        ("[.5]", Value),
        ("[+1]", Value),
        ("[01]", Number),
        ("[1.]", Number),
        ("[-]", Number),
        ("[1e]", Number),
        ("[-01]", Number),
        ("\"\t\"", RawControl),
        ("\"\u{1}\"", RawControl),
        (r#""\x41""#, Escape),
        (r#""\u12""#, Escape),
        (r#""\u12g4""#, Escape),
        (r#""\ud800""#, Surrogate),
        (r#""\udc00\ud800""#, Surrogate),
        (r#""\ud800\u0041""#, Surrogate),
        (r#""\ud800x""#, Surrogate),
        ("{a:1}", Name),
        ("{1:1}", Name),
        (r#"{"a" 1}"#, Colon),
        (r#"{"a"}"#, Colon),
        (r#"{"a":}"#, Value),
        (r#"["a""b"]"#, Comma),
        ("[1 2]", Comma),
        ("[1}", Comma),
        ("[1,]", TrailingComma),
        (r#"{"a":1,}"#, TrailingComma),
        ("[,1]", Value),
        ("", CutShort),
        ("[", CutShort),
        ("[1,", CutShort),
        (r#"{"a"#, CutShort),
        (r#"{"a""#, CutShort),
        (r#"{"a":"#, CutShort),
        (r#""\"#, CutShort),
        ("{} x", Trailing),
        ("1 2", Trailing),
        ("{}{}", Trailing),
        ("tru", Value),
    ] {
        assert_eq!(respell(text), Err(fault), "{text}");
    }
    let mut strict = Scanner::new(b"[1, -Infinity]", false, Room::default());
    assert_eq!(strict.value(0).map_err(|e| (e.fault, e.at)), Err((Nan, 4)));
}

#[test]
fn a_hundred_thousand_levels_are_refused_at_the_129th() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(respell(&nested(JSON_LEVELS_MAX)).is_ok());
    assert_eq!(respell(&nested(JSON_LEVELS_MAX + 1)), Err(JsonFault::TooDeep));
    assert_eq!(respell(&"{\"a\":".repeat(100_000)), Err(JsonFault::TooDeep));
}

/// A small generator with a fixed seed (an xorshift), so that a failure comes back.
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
        let respelled = respell(&text).unwrap_or_else(|fault| panic!("{fault:?}: {text}"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&respelled).unwrap(), without_plus(expected), "{text}");
        assert_eq!(respell(&respelled).as_ref(), Ok(&respelled));
    }
}

/// serde_json keeps the `+` of an exponent, which section 4 drops.
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
        assert_eq!(respell(&text).is_ok(), judge, "{text}");
    }
    assert!(refused > 5_000, "the generator breaks too little: {refused}");
}

#[test]
fn every_cut_of_a_text_is_an_error_and_never_a_panic() {
    let text = r#"{"a\u00e9\ud83d\ude00":[1,-2.5e-3,{"b":null}],"c":"x😀"}"#;
    for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
        assert!(respell(&text[..end]).is_err(), "{}", &text[..end]);
    }
}
