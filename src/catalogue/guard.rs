//! The guard: what would stop MPF 0.81, judged on the exact bytes that will go out and as MPF reads them (design.md,
//! section 13).
//!
//! That is not how section 1 reads them: case and blanks of names count, TAB and CR vanish, `json=` counts only raw, in
//! lower case and first. Pure: nothing is sent or remembered here, and whether MPF's state would make a line harmful
//! nobody can know from outside (what may, `decode --lint` notes).

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr_iter, memchr2};

use super::fit::{Params, judge_known};
use super::json::{self, Json, NoJson};
use super::python::{INTEGER_DIGITS_MAX, NoInteger};
use super::value::{NoValue, Value, decode};
use super::{COMMANDS, CommandEntry, Taken};
use crate::text::{shown, trim};

/// The longest line in bytes, without its LF, that MPF reads; a payload behind it may be longer.
pub const MPF_LINE_BYTES_MAX: usize = 65_536;

/// How MPF finds a payload, wherever in the line it stands.
const MARKER: &[u8] = b"&bytes=";

/// What a refused line would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End MPF.
    Ends,
    /// Nothing, and nobody would be told.
    Lost,
    /// Something else than it says.
    Misread,
}

/// The rule that a line breaks: the same rule, the same mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Over [`MPF_LINE_BYTES_MAX`].
    LineLength,
    /// Not UTF-8.
    Utf8,
    /// `&bytes=` that does not announce exactly the payload that follows.
    Marker,
    /// `bytes=N` as the whole query, which is no payload to MPF.
    QueryMarker,
    /// A command with other characters than letters, digits, `_`, `-` and `.`.
    Command,
    /// A command that MPF knows, but not in this spelling.
    Spelling,
    /// `int:` or `float:` without a number that Python reads.
    Number,
    /// `json=` without JSON that Python reads.
    Json,
    /// `json=` with something else than an object.
    NotAnObject,
    /// A required parameter is not there.
    Missing,
    /// A parameter that the command does not take.
    Unlisted,
    /// A payload that the command does not take.
    Payload,
    /// A parameter that MPF's own code passes as well.
    Reserved,
    /// A value of the wrong kind.
    Value,
}

/// Why a line is not to be sent: what would happen, to whom, and what to write instead. The caller says which flag
/// sends it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the line would do.
    pub effect: Effect,
    /// Which rule it breaks.
    pub rule: Rule,
    reason: String,
}

impl Refusal {
    /// A line that would end MPF.
    pub(super) fn ends(rule: Rule, reason: impl Into<String>) -> Refusal {
        Refusal { effect: Effect::Ends, rule, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Ends => "would end MPF 0.81",
            Effect::Lost => "would be lost on MPF 0.81 without a word",
            Effect::Misread => "would be misread by MPF 0.81",
        };
        write!(f, "{effect}: {}", self.reason)
    }
}

/// Judges one message: the bytes of its line as they will go out, without LF, and the payload behind it.
///
/// A blank line passes: MPF takes it for a command that it does not know, and `send` never sends one.
///
/// # Errors
/// The first rule of section 13 that it breaks.
///
/// ```
/// use backbox::catalogue::judge;
/// assert_eq!(judge(b"switch?name=s_start&state=1", None), Ok(()));
/// let refusal = judge(b"switch?name=s_start&state=on", None).unwrap_err();
/// assert_eq!(refusal.to_string(), "would end MPF 0.81: switch needs state as 0, 1 or -1, got \"on\"");
/// ```
pub fn judge(line: &[u8], payload: Option<&[u8]>) -> Result<(), Refusal> {
    if line.len() > MPF_LINE_BYTES_MAX {
        let reason = format!("the line has {} bytes, and MPF reads at most {MPF_LINE_BYTES_MAX}", line.len());
        return Err(Refusal::ends(Rule::LineLength, reason));
    }
    let payload_bytes = payload.map_or(0, <[u8]>::len);
    let line = before_marker(line, payload_bytes)?;
    let text = match std::str::from_utf8(line) {
        Ok(text) => as_url(text),
        Err(_) => return Err(Refusal::ends(Rule::Utf8, format!("{} is not UTF-8", shown(line)))),
    };
    let (command, query) = text.split_once('?').unwrap_or((&text, ""));
    let known = taken(command);
    if known.is_none() {
        judge_command(command)?;
    }
    judge_query_marker(query)?;
    judge_query(command, query, known, payload_bytes)
}

/// The line up to its payload marker. MPF cuts there before it reads anything, and wants one marker and a number.
fn before_marker(line: &[u8], payload_bytes: usize) -> Result<&[u8], Refusal> {
    let refuse = |reason: String| Err(Refusal::ends(Rule::Marker, reason));
    let marked = |at: &usize| line.get(*at..).is_some_and(|rest| rest.starts_with(MARKER));
    let Some(at) = memchr_iter(b'&', line).find(marked) else {
        if payload_bytes == 0 {
            return Ok(line);
        }
        let reason = format!("no &bytes={payload_bytes} announces the payload, so its bytes would run as lines");
        return Err(Refusal { effect: Effect::Misread, rule: Rule::Marker, reason });
    };
    let (text, marker) = line.split_at_checked(at).unwrap_or((line, b""));
    let digits = marker.get(MARKER.len()..).unwrap_or_default();
    // A CR in front of the LF is white space to Python's `int()`.
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return refuse(format!(
            "&bytes= has to stand once, at the very end, with digits behind it, got {}; in JSON write \\u0026 for &",
            shown(marker)
        ));
    }
    let announced = digits.iter().try_fold(0usize, |sum, digit| {
        sum.checked_mul(10).and_then(|sum| sum.checked_add(usize::from(digit.wrapping_sub(b'0'))))
    });
    if announced != Some(payload_bytes) {
        return refuse(format!("&bytes={} announces a payload, and {payload_bytes} bytes follow", shown(digits)));
    }
    Ok(text)
}

/// What is left of a line once Python's `urlsplit` has cleaned it; what it does with schemes and hosts needs a colon or
/// a slash in the command, which is refused anyway.
fn as_url(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches(|c: char| c <= ' ');
    match memchr2(b'\t', b'\r', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace(['\t', '\r', '\n'], "")),
    }
}

/// The entry of a command that MPF acts on, spelled as it has to be.
fn taken(command: &str) -> Option<&'static CommandEntry> {
    COMMANDS.iter().filter(|entry| entry.taken != Taken::No).find(|entry| entry.name == command)
}

/// The command of a line that MPF does not know.
fn judge_command(command: &str) -> Result<(), Refusal> {
    // Nearly every command ends here, without a second look at the table.
    if command.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')) {
        return Ok(());
    }
    let near = std::str::from_utf8(trim(command.as_bytes())).unwrap_or_default().to_ascii_lowercase();
    if let Some(entry) = taken(&near) {
        let reason =
            format!("it knows {}, and not \"{}\"; case and blanks count", entry.name, shown(command.as_bytes()));
        return Err(Refusal { effect: Effect::Lost, rule: Rule::Spelling, reason });
    }
    if command.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Ok(());
    }
    let reason = format!(
        "it reads the command \"{}\" as part of a URL; only letters, digits, _, - and . are safe",
        shown(command.as_bytes())
    );
    // A host that is none ends it; most others it merely does not know.
    let is_bad_host = command.contains("//") && (command.contains(['[', ']']) || !command.is_ascii());
    let effect = if is_bad_host { Effect::Ends } else { Effect::Misread };
    Err(Refusal { effect, rule: Rule::Command, reason })
}

/// Other peers write `?bytes=N`; MPF sees no payload there and runs the bytes as lines.
fn judge_query_marker(query: &str) -> Result<(), Refusal> {
    let digits = query.strip_prefix("bytes=").unwrap_or_default();
    if !digits.bytes().any(|b| b != b'0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let digits = shown(digits.as_bytes());
    let reason = format!("?bytes={digits} is no payload to it, so the bytes would run as lines; write &bytes={digits}");
    Err(Refusal { effect: Effect::Misread, rule: Rule::QueryMarker, reason })
}

fn judge_query(
    command: &str,
    query: &str,
    known: Option<&'static CommandEntry>,
    payload_bytes: usize,
) -> Result<(), Refusal> {
    let Some(json) = query.strip_prefix("json=") else {
        return match known {
            Some(entry) => judge_known(entry, &Params::first_wins(read_plain(query)?), payload_bytes),
            None => judge_numbers(query),
        };
    };
    match (json::read(json, known.is_some()).map_err(|fault| no_json(json, fault))?, known) {
        (Json::Object(members), Some(entry)) => {
            let members = members.into_iter().map(|(name, value)| (Cow::Owned(name), value));
            judge_known(entry, &Params::last_wins(members.collect()), payload_bytes)
        }
        (Json::Object(_), None) => Ok(()),
        // A payload is put into the object, known command or not.
        (Json::Other, None) if payload_bytes == 0 => Ok(()),
        (Json::Other, _) => {
            let reason = format!(
                "{} needs json= with an object, as in json={{\"name\": \"x\"}}, got {}",
                command,
                shown(json.as_bytes())
            );
            Err(Refusal::ends(Rule::NotAnObject, reason))
        }
    }
}

/// What Python's JSON reader says, said to whoever wrote it.
fn no_json(json: &str, fault: NoJson) -> Refusal {
    let reason = match fault {
        NoJson::Syntax(at) => {
            let found = shown(json.as_bytes().get(at..).unwrap_or_default());
            let found = if found.is_empty() { "the text ends".to_string() } else { format!("at {found}") };
            format!("json= holds no JSON, {found}; write it raw, with double quotes and nothing behind it")
        }
        NoJson::TooDeep => format!("JSON nested more than {} levels deep is too deep for it", json::LEVELS_MAX),
        NoJson::LongInteger => {
            format!("JSON with an integer of over {INTEGER_DIGITS_MAX} digits is refused by its Python")
        }
    };
    Refusal::ends(Rule::Json, reason)
}

/// The pieces of a plain query, as names and values with their escapes.
fn pieces(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(query);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let piece = match memchr(b'&', text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
                Some((piece, behind)) => {
                    rest = behind.get(1..);
                    piece
                }
                None => {
                    rest = None;
                    text
                }
            };
            if !piece.is_empty() {
                return Some(piece.split_once('=').unwrap_or((piece, "")));
            }
        }
    })
}

/// Whether a value may be a number that Python does not read: nearly all are told from one by their first letters.
fn may_be_wrong(raw: &str) -> bool {
    match raw.as_bytes() {
        [b'i', b'n', b't', b':', digits @ ..] => {
            let digits = digits.strip_prefix(b"-").unwrap_or(digits);
            digits.is_empty() || digits.len() > INTEGER_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit)
        }
        [b'i' | b'f' | b'%', ..] => true,
        _ => false,
    }
}

/// The numbers of a command that MPF does not know: it reads them before it looks at the command.
fn judge_numbers(query: &str) -> Result<(), Refusal> {
    for (count, (name, raw)) in pieces(query).enumerate() {
        if !may_be_wrong(raw) {
            continue;
        }
        if let Err(fault) = Value::read(raw) {
            let name = decode(name);
            // Of a name given twice MPF looks at the first value only.
            if !pieces(query).take(count).any(|(earlier, _)| decode(earlier) == name) {
                return Err(no_number(&name, raw, fault));
            }
        }
    }
    Ok(())
}

/// The parameters of a plain query.
fn read_plain(query: &str) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, Refusal> {
    let mut params: Vec<(Cow<'_, str>, Value<'_>)> = Vec::new();
    for (name, raw) in pieces(query) {
        let name = decode(name);
        match Value::read(raw) {
            Ok(value) => params.push((name, value)),
            Err(fault) => {
                if !params.iter().any(|(earlier, _)| *earlier == name) {
                    return Err(no_number(&name, raw, fault));
                }
            }
        }
    }
    Ok(params)
}

fn no_number(name: &str, raw: &str, fault: NoValue) -> Refusal {
    let (name, raw) = (shown(name.as_bytes()), shown(raw.as_bytes()));
    let reason = match fault {
        NoValue::Integer(NoInteger::Other) => format!("{name} needs digits behind int:, as in int:5, got {raw}"),
        NoValue::Integer(NoInteger::TooLong) => {
            format!("{name} has over {INTEGER_DIGITS_MAX} digits, which its Python does not read; send them as text")
        }
        NoValue::Float => format!("{name} needs a number behind float:, as in float:0.5, got {raw}"),
    };
    Refusal::ends(Rule::Number, reason)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
