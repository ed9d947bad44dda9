//! A [`Message`] into its canonical line.

use super::error::{Malformed, MalformedReason};
use super::json::unit_escape;
use super::line::{escape, is_safe};
use super::message::Message;
use super::value::{JsonValue, ValueKind};
use crate::limits::LINE_BYTES_MAX;

/// How the JSON form of a line is written. With the default every known peer reads it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Separate with `,` and `:` instead of `, ` and `: ` (`--compact`).
    pub compact: bool,
    /// Write `\uXXXX` for everything beyond ASCII. `--no-ensure-ascii` leaves it as UTF-8.
    pub ensure_ascii: bool,
    /// The longest line in bytes without LF, payload marker included (`--max-line`).
    pub line_bytes_max: usize,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { compact: false, ensure_ascii: true, line_bytes_max: LINE_BYTES_MAX }
    }
}

/// Whether `encode` writes this command: ASCII letters, digits, `_`, `-` and `.` (other characters end MPF).
pub fn is_command(command: &[u8]) -> bool {
    !command.is_empty() && command.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Appends the canonical line of a message, without LF. `payload_bytes` is the length of the payload that will follow.
///
/// The plain form is used where every known decoder reads it alike; else `json=`, with every character escaped that
/// some decoder misreads. The line is printable ASCII unless the options say otherwise.
///
/// # Errors
/// A command that [`is_command`] refuses, or a line over the limit; then nothing is appended.
pub fn write_line(
    message: &Message,
    payload_bytes: Option<usize>,
    options: &WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if !is_command(&message.command) {
        return Err(Malformed::message(message.command().as_bytes(), MalformedReason::Command));
    }
    let start = out.len();
    out.extend_from_slice(&message.command);
    if !push_query(message, out) {
        out.truncate(start + message.command.len());
        push_json_form(message, options, out);
    }
    if let Some(bytes) = payload_bytes {
        out.extend_from_slice(format!("&bytes={bytes}").as_bytes());
    }
    if out.len() - start > options.line_bytes_max {
        out.truncate(start);
        return Err(Malformed::message(b"", MalformedReason::LineTooLong(options.line_bytes_max)));
    }
    Ok(())
}

/// Appends the parameters in the plain form. Returns false when some peer would misread it.
fn push_query(message: &Message, out: &mut Vec<u8>) -> bool {
    // Messages in the JSON form often end in a list or an object, which is seen without looking at the rest.
    let is_nested = |value: JsonValue<'_>| matches!(value.0[0], b'[' | b'{');
    if message.params().last().is_some_and(|param| is_nested(param.value)) {
        return false;
    }
    let mut separator = b'?';
    for param in message.params() {
        if !is_safe_name(param.name_json) {
            return false;
        }
        out.push(separator);
        out.extend_from_slice(param.name_json);
        out.push(b'=');
        if !push_plain_value(param.value, out) {
            return false;
        }
        separator = b'&';
    }
    true
}

/// Whether a name can be in a plain query. Some peers do not unescape names, and `json` and `bytes` mean something
/// else.
fn is_safe_name(name: &[u8]) -> bool {
    name.iter().all(|&byte| is_safe(byte))
        && !name.eq_ignore_ascii_case(b"json")
        && !name.eq_ignore_ascii_case(b"bytes")
}

fn begins_with_type(text: &[u8]) -> bool {
    const TYPES: [&[u8]; 4] = [b"int:", b"float:", b"bool:", b"nonetype:"];
    TYPES.iter().any(|prefix| text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)))
}

/// Appends a value in the plain form, after its prefix. Returns false when some peer would misread it.
fn push_plain_value(value: JsonValue<'_>, out: &mut Vec<u8>) -> bool {
    let word: &[u8] = match value.0 {
        [b'[' | b'{', ..] => return false,
        [b'"', inside @ .., b'"'] if inside.iter().all(|&byte| is_safe(byte)) => inside,
        // Some peers unescape before they split. JSON's own escapes hold nothing that splits.
        [b'"', inside @ .., b'"'] => {
            if inside.iter().any(|byte| matches!(byte, b'%' | b'&' | b'=' | b'?')) || begins_with_type(inside) {
                return false;
            }
            escape(value.text().as_bytes(), out);
            return true;
        }
        b"null" => b"NoneType:",
        b"true" => b"bool:True",
        b"false" => b"bool:False",
        b"NaN" => b"float:nan",
        b"Infinity" => b"float:inf",
        b"-Infinity" => b"float:-inf",
        digits => {
            out.extend_from_slice(if value.kind() == ValueKind::Integer { b"int:" } else { b"float:" });
            digits
        }
    };
    out.extend_from_slice(word);
    true
}

/// Appends the parameters as `?json={…}`.
fn push_json_form(message: &Message, options: &WriteOptions, out: &mut Vec<u8>) {
    out.extend_from_slice(b"?json={");
    for (count, member) in message.members.iter().enumerate() {
        if count > 0 {
            out.extend_from_slice(if options.compact { b"," } else { b", " });
        }
        push_restyled(&message.text[member.start..member.end], options, true, out);
    }
    out.push(b'}');
}

/// Appends canonical JSON text with `\uXXXX` (surrogate pairs) for everything beyond ASCII (`--ascii`).
pub fn push_ascii_json(json: &[u8], out: &mut Vec<u8>) {
    push_restyled(json, &WriteOptions { compact: true, ..WriteOptions::default() }, false, out);
}

/// Appends canonical JSON text as Python's `json.dumps` writes it: in ASCII, with `, ` and `: `.
pub fn push_spaced_json(json: &[u8], out: &mut Vec<u8>) {
    push_restyled(json, &WriteOptions::default(), false, out);
}

/// The bytes of canonical JSON text that some style changes, and those that begin or end a string or an escape. A table
/// is faster than comparisons.
const CHANGES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] =
            matches!(byte as u8, b'"' | b'\\' | b',' | b':' | b'%' | b'&' | b'=' | b'?' | b'+' | b'#' | b';' | 0x80..);
        byte += 1;
    }
    table
};

/// Appends canonical JSON text as the options say, with `% & = ? + # ;` as `\uXXXX` if `escape_risky`. What does not
/// change is copied in the longest run.
fn push_restyled(json: &[u8], options: &WriteOptions, escape_risky: bool, out: &mut Vec<u8>) {
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(found) = json[at..].iter().position(|&byte| CHANGES[usize::from(byte)]) {
        at += found;
        match json[at] {
            b'"' => in_string = !in_string,
            b'\\' => at += 1,
            b',' | b':' if !options.compact && !in_string => {
                out.extend_from_slice(&json[copied..=at]);
                out.push(b' ');
                copied = at + 1;
            }
            b',' | b':' => {}
            byte @ ..0x80 if escape_risky && in_string => {
                out.extend_from_slice(&json[copied..at]);
                out.extend_from_slice(&unit_escape(u16::from(byte)));
                copied = at + 1;
            }
            0x80.. if options.ensure_ascii => {
                out.extend_from_slice(&json[copied..at]);
                copied = at + json[at..].iter().position(u8::is_ascii).unwrap_or(json.len() - at);
                for unit in String::from_utf8_lossy(&json[at..copied]).encode_utf16() {
                    out.extend_from_slice(&unit_escape(unit));
                }
                at = copied - 1;
            }
            _ => {}
        }
        at = json.len().min(at + 1);
    }
    out.extend_from_slice(&json[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    const STEP: usize = 16;

    #[track_caller]
    fn check(json: &str, options: WriteOptions, expected: &str) {
        let mut message = Message::new();
        message.parse_json(json.as_bytes(), &ParseOptions::default(), 0).unwrap();
        let mut out = Vec::new();
        write_line(&message, None, &options, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_some_decoder_misreads_is_escaped_inside_strings_only() {
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
    fn each_risky_character_is_found_wherever_it_stands() {
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
        let mut message = Message::new();
        for command in ["a b", "//[", "größe", "a\"b", "x:trigger"] {
            message.begin(command.as_bytes());
            message.dedup(crate::bcp::DuplicatePolicy::Reject).unwrap();
            let mut out = b"kept".to_vec();
            let error = write_line(&message, None, &WriteOptions::default(), &mut out).unwrap_err();
            assert_eq!((error.reason, out.as_slice()), (MalformedReason::Command, &b"kept"[..]), "{command}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_with_its_marker_counted() {
        let mut message = Message::new();
        message.parse_line(b"abc", &ParseOptions::default()).unwrap();
        let options = WriteOptions { line_bytes_max: 11, ..WriteOptions::default() };
        let mut out = Vec::new();
        write_line(&message, Some(4), &options, &mut out).unwrap();
        assert_eq!(out, b"abc&bytes=4");
        assert_eq!(
            write_line(&message, Some(10), &options, &mut out).map_err(|e| e.reason),
            Err(MalformedReason::LineTooLong(11))
        );
    }

    #[test]
    fn no_line_that_fits_is_refused_for_the_length_of_its_json() {
        // What shrinks most: names and texts of no length, and control characters, `\u0001` as `%01`.
        for json in ["", r#""":"""#, r#""a":"","b":"","c":"""#, r#""":"\u0001\u0001\u0001\u0001\u0001""#] {
            let json = format!(r#"{{"command":"t","params":{{{json}}}}}"#);
            let mut message = Message::new();
            message.parse_json(json.as_bytes(), &ParseOptions::default(), 0).unwrap();
            let mut out = Vec::new();
            write_line(&message, None, &WriteOptions::default(), &mut out).unwrap();
            let mut options = WriteOptions { line_bytes_max: out.len(), ..WriteOptions::default() };
            assert_eq!(write_line(&message, None, &options, &mut Vec::new()), Ok(()), "{json}");
            options.line_bytes_max -= 1;
            assert!(write_line(&message, None, &options, &mut Vec::new()).is_err(), "{json}");
        }
    }

    #[test]
    fn json_is_written_as_python_dumps_it() {
        let mut out = b"x".to_vec();
        push_spaced_json(r#"{"a,:\"":[1,{"b":"é😀:, "}],"c":{}}"#.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"x{"a,:\"": [1, {"b": "\u00e9\ud83d\ude00:, "}], "c": {}}"#);
    }

    #[test]
    fn ascii_json_has_escapes_for_everything_else() {
        let mut out = Vec::new();
        push_ascii_json("a\u{a0}é\u{2028}b😀/'".as_bytes(), &mut out);
        assert_eq!(out, br"a\u00a0\u00e9\u2028b\ud83d\ude00/'");
    }
}
