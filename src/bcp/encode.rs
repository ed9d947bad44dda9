//! The parts of a message into its canonical line (design.md, section 5).

use super::eight::STEP;
use super::error::{Malformed, MalformedReason};
use super::escape::{escape, is_unreserved};
use super::parts::Message;
use super::spell::{plain_in_step, push_unit, push_units};
use super::spelled::{JsonValue, ValueKind};

/// The seed's options for the JSON form; the default is the form that every decoder tried survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Separators `,` and `:` instead of `, ` and `: ` (`--compact`).
    pub compact: bool,
    /// `\uXXXX` for everything beyond ASCII; `--no-ensure-ascii` leaves it as UTF-8.
    pub ensure_ascii: bool,
    /// The longest line in bytes without LF, payload marker included (`--max-line`).
    pub line_bytes_max: usize,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { compact: false, ensure_ascii: true, line_bytes_max: crate::limits::LINE_BYTES_MAX }
    }
}

/// Whether `encode` writes this command: ASCII letters, digits, `_`, `-` and `.` (*departs*: others end MPF).
pub fn is_command(command: &[u8]) -> bool {
    !command.is_empty() && command.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Appends the canonical line of a message, without LF; `payload_bytes` is the length of the payload that will follow.
///
/// Plain where every known decoder reads the plain form alike, else `json=` with every character escaped that some
/// decoder trips over. The output is printable ASCII unless the form says otherwise.
///
/// # Errors
/// A command that is not safe with every peer, or a line over the limit; then nothing is appended.
pub fn write_line(
    parts: &Message,
    payload_bytes: Option<usize>,
    form: &WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let command = parts.command_json();
    if !is_command(command) {
        return Err(Malformed::message(parts.command().as_bytes(), MalformedReason::Command));
    }
    // In no form is a line shorter than a third of its JSON, so that what is far too long is never written out.
    if parts.object().len() / 3 > form.line_bytes_max {
        return Err(Malformed::message(b"", MalformedReason::LineTooLong(form.line_bytes_max)));
    }
    let start = out.len();
    out.extend_from_slice(command);
    if !push_query(parts, out) {
        out.truncate(start + command.len());
        out.extend_from_slice(b"?json=");
        push_object(parts.object(), form, out);
    }
    if let Some(bytes) = payload_bytes {
        out.extend_from_slice(b"&bytes=");
        out.extend_from_slice(bytes.to_string().as_bytes());
    }
    if out.len() - start > form.line_bytes_max {
        out.truncate(start);
        return Err(Malformed::message(b"", MalformedReason::LineTooLong(form.line_bytes_max)));
    }
    Ok(())
}

/// Appends the plain form of the parameters, as long as every peer's decoder reads it alike; whether all are written.
fn push_query(parts: &Message, out: &mut Vec<u8>) -> bool {
    // Most messages in the JSON form end in a list or an object, which is seen without going through what is before it.
    if matches!(parts.object(), [.., b']' | b'}', b'}']) {
        return false;
    }
    let mut separator = b'?';
    for param in parts.params() {
        let name = param.name_json();
        if !is_safe_name(name) {
            return false;
        }
        out.push(separator);
        out.extend_from_slice(name);
        out.push(b'=');
        if !push_plain(param.value, out) {
            return false;
        }
        separator = b'&';
    }
    true
}

/// Whether a name can stand in a plain query: others do not unescape names, and `json` and `bytes` mean something else.
fn is_safe_name(name: &[u8]) -> bool {
    dangers(name) == 0 && !name.eq_ignore_ascii_case(b"json") && !name.eq_ignore_ascii_case(b"bytes")
}

/// To be escaped in the plain form.
const RESERVED: u8 = 1;
/// Not safe in the plain form even when escaped: some peers unescape before they split.
const SPLITS: u8 = 2;

const DANGERS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        if !is_unreserved(byte as u8) {
            table[byte] = RESERVED;
        }
        byte += 1;
    }
    let mut at = 0;
    let splits = b"%&=?";
    while at < splits.len() {
        table[splits[at] as usize] |= SPLITS;
        at += 1;
    }
    table
};

/// What the plain form of a text risks, in one look at each byte.
fn dangers(text: &[u8]) -> u8 {
    text.iter().fold(0, |dangers, &byte| dangers | DANGERS[usize::from(byte)])
}

fn begins_with_type(text: &[u8]) -> bool {
    const TYPES: [&[u8]; 4] = [b"int:", b"float:", b"bool:", b"nonetype:"];
    TYPES.iter().any(|t| text.get(..t.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(t)))
}

/// Appends a value of the plain form, behind its prefix; whether every peer's decoder reads it alike.
fn push_plain(value: JsonValue<'_>, out: &mut Vec<u8>) -> bool {
    match value.0 {
        [b'[' | b'{', ..] => return false,
        // JSON's own escapes hold nothing that splits, so the spelling is looked at as it stands.
        [b'"', inside @ .., b'"'] => match dangers(inside) {
            0 => out.extend_from_slice(inside),
            RESERVED if !begins_with_type(inside) => escape(value.text().as_bytes(), out),
            _ => return false,
        },
        b"null" => out.extend_from_slice(b"NoneType:"),
        b"true" => out.extend_from_slice(b"bool:True"),
        b"false" => out.extend_from_slice(b"bool:False"),
        b"NaN" => out.extend_from_slice(b"float:nan"),
        b"Infinity" => out.extend_from_slice(b"float:inf"),
        b"-Infinity" => out.extend_from_slice(b"float:-inf"),
        digits => {
            out.extend_from_slice(if value.kind() == ValueKind::Integer { b"int:" } else { b"float:" });
            out.extend_from_slice(digits);
        }
    }
    true
}

/// Appends the parameters' object in the form that every decoder tried survives (section 2): blanks behind the
/// separators, and the characters that some decoder splits at or unescapes as `\uXXXX`. What stands as it is between
/// two of these is copied as one run.
fn push_object(spelled: &[u8], form: &WriteOptions, out: &mut Vec<u8>) {
    let mut run = spelled;
    let mut at = 0;
    loop {
        match run.get(at) {
            Some(b'"') => {
                at += 1;
                loop {
                    at += run.get(at..).map_or(0, harmless_bytes);
                    match run.get(at) {
                        Some(b'\\') => at += 2,
                        Some(b'"') | None => break,
                        Some(_) => {
                            run = push_escaped(push_run(run, at, out), form, out);
                            at = 0;
                        }
                    }
                }
                at += 1;
            }
            Some(b',' | b':') if !form.compact => {
                run = push_run(run, at + 1, out);
                out.push(b' ');
                at = 0;
            }
            Some(_) => at += 1,
            None => {
                push_run(run, at, out);
                return;
            }
        }
    }
}

/// Appends the first bytes of a text, and gives the rest.
#[inline(always)]
fn push_run<'s>(text: &'s [u8], length: usize, out: &mut Vec<u8>) -> &'s [u8] {
    match text.first_chunk::<STEP>() {
        // Most runs are short: a step is one instruction, and what was stored too much is cut off.
        Some(step) if length <= STEP => {
            out.extend_from_slice(step);
            out.truncate(out.len() - (STEP - length));
        }
        _ => push_long_run(text, length, out),
    }
    text.get(length..).unwrap_or_default()
}

#[inline(never)]
fn push_long_run(text: &[u8], length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(text.get(..length).unwrap_or(text));
}

/// Appends the character with which a text begins, which puts some decoder at risk, or all that are beyond ASCII; gives
/// the rest.
#[cold]
fn push_escaped<'s>(text: &'s [u8], form: &WriteOptions, out: &mut Vec<u8>) -> &'s [u8] {
    match text {
        [first @ ..0x80, rest @ ..] => {
            push_unit(u16::from(*first), out);
            rest
        }
        _ => {
            let length = text.iter().take_while(|b| !b.is_ascii()).count();
            let (beyond_ascii, rest) = text.split_at(length);
            push_beyond_ascii(beyond_ascii, form, out);
            rest
        }
    }
}

/// How many bytes of a string's inside stand for themselves with every peer, before its end or another one.
#[inline(always)]
fn harmless_bytes(inside: &[u8]) -> usize {
    let mut rest = inside;
    while let Some((step, behind)) = rest.split_first_chunk::<STEP>() {
        // Whether a step holds a risk is seen faster than where.
        let harmless = match step.iter().fold(false, |found, &b| found | is_risky(b)) {
            false => plain_in_step(step, 0, |eight| !eight.is_not(b'"')),
            true => step.iter().take_while(|&&b| b != b'"' && !is_risky(b)).count(),
        };
        if harmless < STEP {
            return inside.len() - rest.len() + harmless;
        }
        rest = behind;
    }
    inside.len() - rest.len() + rest.iter().take_while(|&&b| b != b'"' && !is_risky(b)).count()
}

/// Whether a byte of a spelled string begins an escape or puts some decoder at risk. All of it is looked at, whatever
/// the first comparison says, so that the compiler can judge a step at once.
#[inline(always)]
const fn is_risky(b: u8) -> bool {
    (b == b'\\')
        | (b == b'#')
        | (b == b'%')
        | (b == b'&')
        | (b == b'+')
        | (b == b';')
        | (b == b'=')
        | (b == b'?')
        | !b.is_ascii()
}

fn push_beyond_ascii(text: &[u8], form: &WriteOptions, out: &mut Vec<u8>) {
    if !form.ensure_ascii {
        // C1 controls are spelled `\u0080` already, so nothing here reaches a terminal as a command.
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_units(c, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    #[track_caller]
    fn check(json: &str, form: WriteOptions, expected: &str) {
        let mut parts = Message::new();
        parts.parse_json(json.as_bytes(), &ParseOptions::default(), 0).unwrap();
        let mut out = Vec::new();
        write_line(&parts, None, &form, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_some_decoder_trips_over_is_escaped_inside_strings_only() {
        check(
            r##"{"command":"t","params":{"a,:":"%&=?+#;\"\\,: é😀","b":[1e-7,{"c":null}]}}"##,
            WriteOptions::default(),
            concat!(
                r#"t?json={"a,:": "\u0025\u0026\u003d\u003f\u002b\u0023\u003b\"\\,: \u00e9\ud83d\ude00", "#,
                r#""b": [1e-7, {"c": null}]}"#
            ),
        );
        check(
            r#"{"command":"t","params":{"é":"é\u0085\n","b":[]}}"#,
            WriteOptions { compact: true, ensure_ascii: false, ..WriteOptions::default() },
            r#"t?json={"é":"é\u0085\n","b":[]}"#,
        );
    }

    #[test]
    fn each_risky_character_is_found_wherever_it_stands_in_a_step() {
        for risky in ["\\\"", "\\\\", "#", "%", "&", "+", ";", "=", "?", "é", "😀"] {
            for before in 0..2 * STEP {
                let (before, behind) = ("x".repeat(before), "y".repeat(STEP));
                let escaped = match risky {
                    "\\\"" | "\\\\" => risky.to_string(),
                    _ => risky.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
                };
                for behind in [behind.as_str(), ""] {
                    check(
                        &format!(r#"{{"command":"t","params":{{"a":["{before}{risky}{behind}"],"b":1}}}}"#),
                        WriteOptions::default(),
                        &format!(r#"t?json={{"a": ["{before}{escaped}{behind}"], "b": 1}}"#),
                    );
                }
            }
        }
    }

    #[test]
    fn a_list_or_an_object_asks_for_the_json_form_wherever_it_stands() {
        for (params, expected) in [
            (r#"{"a":[],"b":1}"#, r#"t?json={"a": [], "b": 1}"#),
            (r#"{"a":"]","b":"}"}"#, "t?a=%5D&b=%7D"),
            (r#"{"a":1,"b":{}}"#, r#"t?json={"a": 1, "b": {}}"#),
            (r#"{"a":"x","Json":1}"#, r#"t?json={"a": "x", "json": 1}"#),
            (r#"{"a":"x","b":"Int:1"}"#, r#"t?json={"a": "x", "b": "Int:1"}"#),
            ("{}", "t"),
        ] {
            check(&format!(r#"{{"command":"t","params":{params}}}"#), WriteOptions::default(), expected);
        }
    }

    #[test]
    fn a_command_that_ends_some_peer_is_refused_and_leaves_nothing() {
        let mut parts = Message::new();
        for command in ["a b", "//[", "größe", "a\"b", "x:trigger"] {
            parts.begin(command.as_bytes());
            parts.dedup(crate::bcp::DuplicatePolicy::Refused).unwrap();
            let mut out = b"kept".to_vec();
            let error = write_line(&parts, None, &WriteOptions::default(), &mut out).unwrap_err();
            assert_eq!((error.reason, out.as_slice()), (MalformedReason::Command, &b"kept"[..]), "{command}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_with_its_marker_counted() {
        let mut parts = Message::new();
        parts.parse_line(b"abc", &ParseOptions::default()).unwrap();
        let form = WriteOptions { line_bytes_max: 11, ..WriteOptions::default() };
        let mut out = Vec::new();
        write_line(&parts, Some(4), &form, &mut out).unwrap();
        assert_eq!(out, b"abc&bytes=4");
        assert_eq!(
            write_line(&parts, Some(10), &form, &mut out).map_err(|e| e.reason),
            Err(MalformedReason::LineTooLong(11))
        );
    }

    #[test]
    fn no_line_that_fits_is_refused_for_the_length_of_its_json() {
        // What shrinks most: names and texts of no length, and control characters, `\u0001` as `%01`.
        for json in ["", r#""":"""#, r#""a":"","b":"","c":"""#, r#""":"\u0001\u0001\u0001\u0001\u0001""#] {
            let json = format!(r#"{{"command":"t","params":{{{json}}}}}"#);
            let mut parts = Message::new();
            parts.parse_json(json.as_bytes(), &ParseOptions::default(), 0).unwrap();
            let mut out = Vec::new();
            write_line(&parts, None, &WriteOptions::default(), &mut out).unwrap();
            let mut form = WriteOptions { line_bytes_max: out.len(), ..WriteOptions::default() };
            assert_eq!(write_line(&parts, None, &form, &mut Vec::new()), Ok(()), "{json}");
            form.line_bytes_max -= 1;
            assert!(write_line(&parts, None, &form, &mut Vec::new()).is_err(), "{json}");
        }
    }
}
