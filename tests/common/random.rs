//! Random messages with characters and words that decoders often get wrong.

use super::seed::Random;

/// A JSON value. Numbers are their digits.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// A message in normal form: `encode` accepts its command, its names are lower case and trimmed, and its numbers have
/// no `+`.
#[derive(Debug)]
pub struct RandomMessage {
    pub command: String,
    pub params: Vec<(String, Value)>,
    pub payload: Option<Vec<u8>>,
}

impl RandomMessage {
    pub fn new(random: &mut Random) -> RandomMessage {
        let command = command(random);
        let count = if random.once_in(200) { 40 } else { random.below(6) };
        let mut params: Vec<(String, Value)> = Vec::new();
        for _ in 0..count {
            let name = name(random);
            if params.iter().all(|(known, _)| *known != name) {
                params.push((name, value(random, 1)));
            }
        }
        if random.once_in(50) {
            params.retain(|(known, _)| known != "deep");
            params.push(("deep".to_owned(), deep(random)));
        }
        RandomMessage { command, params, payload: random.once_in(6).then(|| payload(random)) }
    }

    /// The canonical JSON, written without the codec that is tested.
    pub fn json(&self) -> String {
        let mut out = format!("{{\"command\":\"{}\",\"params\":", self.command);
        write_json(&Value::Object(self.params.clone()), &mut out);
        if let Some(payload) = &self.payload {
            out += ",\"bytes\":\"";
            write_base64(payload, &mut out);
            out.push('"');
        }
        out + "}"
    }
}

fn write_json(value: &Value, out: &mut String) {
    let separated = |out: &mut String, count: usize| {
        if count > 0 {
            out.push(',');
        }
    };
    match value {
        Value::Null => *out += "null",
        Value::Bool(on) => *out += &on.to_string(),
        Value::Number(digits) => *out += digits,
        Value::Text(text) => write_string(text, out),
        Value::List(items) => {
            out.push('[');
            for (count, item) in items.iter().enumerate() {
                separated(out, count);
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (count, (name, value)) in members.iter().enumerate() {
                separated(out, count);
                write_string(name, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\t' => *out += "\\t",
            '\u{8}' => *out += "\\b",
            '\u{c}' => *out += "\\f",
            letter if letter.is_control() => *out += &format!("\\u{:04x}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

fn write_base64(bytes: &[u8], out: &mut String) {
    use base64::Engine as _;
    *out += &base64::engine::general_purpose::STANDARD.encode(bytes);
}

/// Characters and words that some decoders get wrong.
const DIFFICULT: &[&str] = &[
    "%",
    "&",
    "=",
    "?",
    "+",
    "#",
    ";",
    ":",
    "*",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "/",
    "`",
    "$",
    "|",
    "~",
    " ",
    "\t",
    "\n",
    "\r",
    "\u{b}",
    "\u{c}",
    "\0",
    "\u{1}",
    "\u{1b}",
    "\u{1f}",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "\u{9f}",
    "\u{a0}",
    "é",
    "ß",
    "\u{130}",
    "\u{212a}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{3000}",
    "😀",
    "\u{10ffff}",
    "٣",
    "int:",
    "INT:5",
    "int:5",
    "float:",
    "Float:1.5",
    "bool:True",
    "BOOL:maybe",
    "bool:",
    "NoneType:",
    "nonetype:",
    "json",
    "json=",
    "{\"a\": 1}",
    "%41",
    "%2541",
    "%zz",
    "%C3%A9",
    "%00",
    "&bytes=4",
    "bytes=4",
    "\\u0041",
    "\\ud83d",
    "\\n",
    "null",
    "true",
    "NaN",
    "-0",
    "1e+16",
    "0x10",
    "<tag>",
    "//[",
    "a",
    "b",
    "Z",
    "0",
    "9",
    "_",
    "-",
    ".",
    "multiball",
    "player",
    "abcdefgh",
    "ABCDEFGHIJKLMNOP",
];

/// A random string of up to 60 such pieces; it is often empty or a single piece.
pub fn text(random: &mut Random) -> String {
    let pieces = if random.once_in(100) { 60 } else { random.below(5) };
    (0..pieces).map(|_| *random.pick(DIFFICULT)).collect()
}

fn command(random: &mut Random) -> String {
    const COMMANDS: &[&str] = &["trigger", "hello", "t", "dmd_frame", "x-y.z", "json", "bytes", "5", "_"];
    random.pick(COMMANDS).to_string()
}

/// A name in normal form: trimmed and in ASCII lower case.
fn name(random: &mut Random) -> String {
    const NAMES: &[&str] =
        &["", "json", "bytes", "name", "value", "a", "b.c", "a b", "a*", "*", "x-y_z~", "é", "command"];
    if random.once_in(2) {
        return random.pick(NAMES).to_string();
    }
    let white = |letter: char| matches!(letter, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    text(random).to_ascii_lowercase().trim_matches(white).to_owned()
}

/// A random value inside `level` lists and objects.
fn value(random: &mut Random, level: usize) -> Value {
    match random.below(if level < 5 { 12 } else { 10 }) {
        0..=4 => Value::Text(text(random)),
        5..=7 => Value::Number(number(random)),
        8 => Value::Bool(random.once_in(2)),
        9 => Value::Null,
        10 => Value::List((0..random.below(4)).map(|_| value(random, level + 1)).collect()),
        // Nested objects may contain a name twice, in any case, with white space around it.
        _ => Value::Object((0..random.below(4)).map(|_| (text(random), value(random, level + 1))).collect()),
    }
}

/// Lists and objects nested up to the limit of 128 levels; the object of the parameters is the first level.
fn deep(random: &mut Random) -> Value {
    (0..127).fold(Value::Text(text(random)), |inside, _| match random.once_in(2) {
        true => Value::List(vec![inside]),
        false => Value::Object(vec![(text(random), inside)]),
    })
}

/// A JSON number, without the `+` of an exponent.
fn number(random: &mut Random) -> String {
    const NUMBERS: &[&str] = &[
        "0",
        "-0",
        "1",
        "-1",
        "5",
        "9007199254740993",
        "18446744073709551616",
        "0.0",
        "-0.0",
        "1.0",
        "1.50",
        "1e16",
        "1E16",
        "1e-7",
        "1E-07",
        "5e-324",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1e400",
        "-1e400",
        "0.1",
        "123456789.125",
        "1e5",
        "0e0",
        "0.000001",
        "NaN",
        "Infinity",
        "-Infinity",
    ];
    let digits = |random: &mut Random, count: usize| -> String {
        let first = char::from(b'1' + random.below(9) as u8);
        std::iter::once(first).chain((1..count).map(|_| char::from(b'0' + random.below(10) as u8))).collect()
    };
    let sign = if random.once_in(3) { "-" } else { "" };
    match random.below(5) {
        0 => sign.to_owned() + &digits(random, 40),
        1 => f64::from_bits(random.next() >> 1).to_string().replace("inf", "Infinity"),
        2 => format!("{sign}{}.{}e-{}", digits(random, 3), digits(random, 20), digits(random, 2)),
        _ => random.pick(NUMBERS).to_string(),
    }
}

/// Random payload bytes, including text that looks like messages.
fn payload(random: &mut Random) -> Vec<u8> {
    let pieces: &[&[u8]] =
        &[b"", b"\n", b"\r\n", b"trigger?name=x\n", b"&bytes=9\n", b"\0\xff\xfe", b"#", b"\xef\xbb\xbf"];
    (0..random.below(4)).flat_map(|_| random.pick(pieces).to_vec()).collect()
}
