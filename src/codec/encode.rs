//! The parts of a message into its canonical line (design.md, section 5).

use super::error::{Malformed, Reason};
use super::escape::{escape, is_unreserved};
use super::parts::Parts;
use super::spell::{push_unit, push_units};
use super::spelled::{Kind, Spelled};

/// The seed's options for the JSON form; the default is the form that every decoder tried survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Separators `,` and `:` instead of `, ` and `: ` (`--compact`).
    pub compact: bool,
    /// `\uXXXX` for everything beyond ASCII; `--no-ensure-ascii` leaves it as UTF-8.
    pub ensure_ascii: bool,
    /// The longest line in bytes without LF, payload marker included (`--max-line`).
    pub line_bytes_max: usize,
}

impl Default for Form {
    fn default() -> Form {
        Form { compact: false, ensure_ascii: true, line_bytes_max: crate::limits::LINE_BYTES_MAX }
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
    parts: &Parts,
    payload_bytes: Option<usize>,
    form: &Form,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let command = parts.spelled_command();
    if !is_command(command) {
        return Err(Malformed::message(parts.command().as_bytes(), Reason::Command));
    }
    // In no form is a line shorter than a third of its JSON, so that what is far too long is never written out.
    if parts.object().len() / 3 > form.line_bytes_max {
        return Err(Malformed::message(b"", Reason::LineTooLong(form.line_bytes_max)));
    }
    let start = out.len();
    out.extend_from_slice(command);
    if parts.params().any(|p| !is_safe_name(p.spelled_name()) || !is_safe_plain(p.value)) {
        out.extend_from_slice(b"?json=");
        push_object(parts.object(), form, out);
    } else {
        let mut separator = b'?';
        for param in parts.params() {
            out.push(separator);
            out.extend_from_slice(param.spelled_name());
            out.push(b'=');
            push_plain(param.value, out);
            separator = b'&';
        }
    }
    if let Some(bytes) = payload_bytes {
        out.extend_from_slice(b"&bytes=");
        out.extend_from_slice(bytes.to_string().as_bytes());
    }
    if out.len() - start > form.line_bytes_max {
        out.truncate(start);
        return Err(Malformed::message(b"", Reason::LineTooLong(form.line_bytes_max)));
    }
    Ok(())
}

/// Whether a name can stand in a plain query: others do not unescape names, and `json` and `bytes` mean something else.
fn is_safe_name(name: &[u8]) -> bool {
    name.iter().all(|&b| is_unreserved(b))
        && !name.eq_ignore_ascii_case(b"json")
        && !name.eq_ignore_ascii_case(b"bytes")
}

/// Whether a value survives every peer's decoder in the plain form.
fn is_safe_plain(value: Spelled<'_>) -> bool {
    match value.0 {
        [b'[' | b'{', ..] => false,
        // JSON's own escapes hold none of these characters, so the spelling is looked at as it stands.
        [b'"', inside @ .., b'"'] => {
            !inside.iter().any(|b| matches!(b, b'%' | b'&' | b'=' | b'?')) && !begins_with_type(inside)
        }
        _ => true,
    }
}

fn begins_with_type(text: &[u8]) -> bool {
    const TYPES: [&[u8]; 4] = [b"int:", b"float:", b"bool:", b"nonetype:"];
    TYPES.iter().any(|t| text.get(..t.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(t)))
}

/// Appends a value of the plain form, behind its prefix.
fn push_plain(value: Spelled<'_>, out: &mut Vec<u8>) {
    match value.0 {
        [b'"', inside @ .., b'"'] if inside.iter().all(|&b| is_unreserved(b)) => out.extend_from_slice(inside),
        [b'"', ..] => escape(value.text().as_bytes(), out),
        b"null" => out.extend_from_slice(b"NoneType:"),
        b"true" => out.extend_from_slice(b"bool:True"),
        b"false" => out.extend_from_slice(b"bool:False"),
        b"NaN" => out.extend_from_slice(b"float:nan"),
        b"Infinity" => out.extend_from_slice(b"float:inf"),
        b"-Infinity" => out.extend_from_slice(b"float:-inf"),
        digits => {
            out.extend_from_slice(if value.kind() == Kind::Integer { b"int:" } else { b"float:" });
            out.extend_from_slice(digits);
        }
    }
}

/// Appends the parameters' object in the form that every decoder tried survives (section 2): the characters that some
/// decoder splits at or unescapes become `\uXXXX`.
fn push_object(spelled: &[u8], form: &Form, out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut rest = spelled;
    loop {
        let plain = rest.iter().take_while(|&&b| CARE[usize::from(b)] == 0).count();
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        rest = rest.get(plain..).unwrap_or_default();
        match rest {
            [] => return,
            [b'"', behind @ ..] => {
                in_string = !in_string;
                out.push(b'"');
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] => {
                out.extend_from_slice(&[b'\\', *escaped]);
                rest = behind;
            }
            [separator @ (b',' | b':'), behind @ ..] => {
                out.push(*separator);
                if !in_string && !form.compact {
                    out.push(b' ');
                }
                rest = behind;
            }
            [0x80..=0xff, ..] => {
                let length = rest.iter().take_while(|b| !b.is_ascii()).count();
                let (beyond_ascii, behind) = rest.split_at(length);
                push_beyond_ascii(beyond_ascii, form, out);
                rest = behind;
            }
            [separator, behind @ ..] => {
                push_unit(u16::from(*separator), out);
                rest = behind;
            }
        }
    }
}

/// Marks the bytes of a spelled object that [`push_object`] has to look at.
const CARE: [u8; 256] = {
    let mut table = [0; 256];
    let special = b"\"\\,:%&=?+#;";
    let mut at = 0;
    while at < special.len() {
        table[special[at] as usize] = 1;
        at += 1;
    }
    let mut byte = 0x80;
    while byte < 256 {
        table[byte] = 1;
        byte += 1;
    }
    table
};

fn push_beyond_ascii(text: &[u8], form: &Form, out: &mut Vec<u8>) {
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
    use crate::codec::Reading;

    #[track_caller]
    fn check(json: &str, form: Form, expected: &str) {
        let mut parts = Parts::new();
        parts.read_json(json.as_bytes(), &Reading::default(), 0).unwrap();
        let mut out = Vec::new();
        write_line(&parts, None, &form, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_some_decoder_trips_over_is_escaped_inside_strings_only() {
        check(
            r##"{"command":"t","params":{"a,:":"%&=?+#;\"\\,: é😀","b":[1e-7,{"c":null}]}}"##,
            Form::default(),
            concat!(
                r#"t?json={"a,:": "\u0025\u0026\u003d\u003f\u002b\u0023\u003b\"\\,: \u00e9\ud83d\ude00", "#,
                r#""b": [1e-7, {"c": null}]}"#
            ),
        );
        check(
            r#"{"command":"t","params":{"é":"é\u0085\n","b":[]}}"#,
            Form { compact: true, ensure_ascii: false, ..Form::default() },
            r#"t?json={"é":"é\u0085\n","b":[]}"#,
        );
    }

    #[test]
    fn a_command_that_ends_some_peer_is_refused_and_leaves_nothing() {
        let mut parts = Parts::new();
        for command in ["a b", "//[", "größe", "a\"b", "x:trigger"] {
            parts.begin(command.as_bytes());
            parts.finish(crate::codec::Repeats::Refused).unwrap();
            let mut out = b"kept".to_vec();
            let error = write_line(&parts, None, &Form::default(), &mut out).unwrap_err();
            assert_eq!((error.reason, out.as_slice()), (Reason::Command, &b"kept"[..]), "{command}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_with_its_marker_counted() {
        let mut parts = Parts::new();
        parts.read_line(b"abc", &Reading::default()).unwrap();
        let form = Form { line_bytes_max: 11, ..Form::default() };
        let mut out = Vec::new();
        write_line(&parts, Some(4), &form, &mut out).unwrap();
        assert_eq!(out, b"abc&bytes=4");
        assert_eq!(write_line(&parts, Some(10), &form, &mut out).map_err(|e| e.reason), Err(Reason::LineTooLong(11)));
    }

    #[test]
    fn no_line_that_fits_is_refused_for_the_length_of_its_json() {
        // What shrinks most: names and texts of no length, and control characters, `\u0001` as `%01`.
        for json in ["", r#""":"""#, r#""a":"","b":"","c":"""#, r#""":"\u0001\u0001\u0001\u0001\u0001""#] {
            let json = format!(r#"{{"command":"t","params":{{{json}}}}}"#);
            let mut parts = Parts::new();
            parts.read_json(json.as_bytes(), &Reading::default(), 0).unwrap();
            let mut out = Vec::new();
            write_line(&parts, None, &Form::default(), &mut out).unwrap();
            let mut form = Form { line_bytes_max: out.len(), ..Form::default() };
            assert_eq!(write_line(&parts, None, &form, &mut Vec::new()), Ok(()), "{json}");
            form.line_bytes_max -= 1;
            assert!(write_line(&parts, None, &form, &mut Vec::new()).is_err(), "{json}");
        }
    }
}
