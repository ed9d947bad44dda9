//! The guard: refuses what would end MPF 0.81, be lost on it, or be misread.
//!
//! A line is read here exactly as MPF reads it (core/bcp/bcp_socket_client.py), which is not how [`crate::bcp`] reads
//! it: case and spaces of names count, TAB and CR vanish, `json=` counts only raw, in lower case and first. Whether
//! MPF's state would make a line harmful cannot be known here.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr_iter, memchr2};

use super::find;
use super::params::{MpfParams, MpfValue, NumberFault, check_params, decode};
use super::table::{Acceptance, COMMANDS, CommandEntry};
use crate::bcp::{JsonError, JsonFault, check_json, object_members};
use crate::text::{shown, trim};

/// The longest line, in bytes without its LF, that MPF reads; its payload may be longer.
const MPF_LINE_BYTES_MAX: usize = 65_536;

/// How many digits Python's `int()` reads at most.
pub(super) const INTEGER_DIGITS_MAX: usize = 4300;

/// How MPF finds a payload, anywhere in a line.
const MARKER: &[u8] = b"&bytes=";

/// What a refused line would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    EndsMpf,
    /// MPF ignores it, and tells only its log.
    Lost,
    /// MPF does something else than the line says.
    Misread,
    /// MPF reads it, other peers reject it.
    Malformed,
}

/// The rule that a line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuardRule {
    LineLength,
    Utf8,
    /// `&bytes=` that does not announce exactly the payload that follows.
    Marker,
    /// `bytes=N` as the whole query, which is no payload to MPF.
    QueryMarker,
    /// A command with other characters than letters, digits, `_`, `-` and `.`.
    Command,
    /// A command that MPF knows in another spelling.
    Spelling,
    Number,
    Json,
    NotAnObject,
    Missing,
    /// A parameter that the command does not accept.
    Unlisted,
    /// A payload that the command does not accept, or requires.
    Payload,
    /// A parameter that MPF's own code passes as well.
    Reserved,
    Value,
}

/// Why a line is refused. The caller adds which option sends it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) harm: Harm,
    pub(crate) rule: GuardRule,
    reason: String,
}

impl Refusal {
    pub(super) fn ends_mpf(rule: GuardRule, reason: impl Into<String>) -> Refusal {
        Refusal { harm: Harm::EndsMpf, rule, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harm = match self.harm {
            Harm::EndsMpf => "would end MPF 0.81",
            Harm::Lost => "would be ignored by MPF 0.81 without a reply",
            Harm::Misread => "would be misread by MPF 0.81",
            Harm::Malformed => "would be rejected by other peers than MPF 0.81",
        };
        write!(f, "{harm}: {}", self.reason)
    }
}

/// Checks one message: the bytes of its line as they will be sent, without LF, and its payload.
///
/// A blank line passes: MPF reads it as an unknown command, and `send` never sends one.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check_line(line: &[u8], payload: Option<&[u8]>) -> Result<(), Refusal> {
    if line.len() > MPF_LINE_BYTES_MAX {
        let reason = format!("the line has {} bytes, MPF reads at most {MPF_LINE_BYTES_MAX}", line.len());
        return Err(Refusal::ends_mpf(GuardRule::LineLength, reason));
    }
    let payload_bytes = payload.map_or(0, <[u8]>::len);
    let line = cut_marker(line, payload_bytes)?;
    let text = std::str::from_utf8(line)
        .map_err(|_| Refusal::ends_mpf(GuardRule::Utf8, format!("{} is not UTF-8", shown(line))))?;
    let text = clean_url(text);
    let (command, query) = text.split_once('?').unwrap_or((&text, ""));
    let entry = accepted_command(command)?;
    check_query_marker(query)?;
    let params = match query.strip_prefix("json=") {
        // Of what MPF ignores, only that it can be read counts. Most lines of a recorded game are such.
        Some(json) if entry.is_none() && payload_bytes == 0 && json.len() <= INTEGER_DIGITS_MAX => {
            return check_json(json.as_bytes()).map_err(|error| unreadable(&error));
        }
        Some(json) => read_json(command, json, entry.is_some() || payload_bytes > 0)?,
        None => read_query(query)?,
    };
    entry.map_or(Ok(()), |entry| check_params(entry, &params, payload_bytes))
}

/// The line up to its payload marker. MPF cuts there before it reads anything, and needs one marker with a number.
fn cut_marker(line: &[u8], payload_bytes: usize) -> Result<&[u8], Refusal> {
    let Some(at) = memchr_iter(b'&', line).find(|&at| line[at..].starts_with(MARKER)) else {
        if payload_bytes == 0 {
            return Ok(line);
        }
        let reason = format!("no &bytes={payload_bytes} announces the payload; its bytes would run as lines");
        return Err(Refusal { harm: Harm::Misread, rule: GuardRule::Marker, reason });
    };
    let (text, marker) = line.split_at(at);
    // A CR before the LF is white space to Python's `int()`.
    let digits = marker[MARKER.len()..].strip_suffix(b"\r").unwrap_or(&marker[MARKER.len()..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        let reason = "&bytes= must be the end of the line, once, with digits; in JSON write \\u0026 for &";
        return Err(Refusal::ends_mpf(GuardRule::Marker, format!("{reason}; got {}", shown(marker))));
    }
    let digits = String::from_utf8_lossy(digits);
    if digits.parse() != Ok(payload_bytes) {
        let reason = format!("&bytes={} announces a payload, {payload_bytes} bytes follow", shown(digits.as_bytes()));
        return Err(Refusal::ends_mpf(GuardRule::Marker, reason));
    }
    Ok(text)
}

/// What Python's `urlsplit` leaves of a line. What it does with schemes and hosts needs a colon or a slash in the
/// command, which is refused anyway.
fn clean_url(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches(|c: char| c <= ' ');
    match memchr2(b'\t', b'\r', text.as_bytes()) {
        Some(_) => Cow::Owned(text.replace(['\t', '\r'], "")),
        None => Cow::Borrowed(text),
    }
}

/// The entry of a command on which MPF acts; `None` if MPF would log it as unknown.
fn accepted_command(command: &str) -> Result<Option<&'static CommandEntry>, Refusal> {
    if let Some(entry) = COMMANDS.iter().find(|entry| entry.name == command) {
        return Ok(Some(entry).filter(|entry| entry.accepted != Acceptance::No));
    }
    let is_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let trimmed = String::from_utf8_lossy(trim(command.as_bytes()));
    if let Some(entry) = find(&trimmed).filter(|entry| entry.accepted != Acceptance::No) {
        let reason = format!("write {} for \"{}\": case and spaces count", entry.name, shown(command.as_bytes()));
        return Err(Refusal { harm: Harm::Lost, rule: GuardRule::Spelling, reason });
    }
    if command.bytes().all(is_safe) {
        return Ok(None);
    }
    // A malformed host ends it; most others are merely unknown.
    let is_bad_host = command.contains("//") && (command.contains(['[', ']']) || !command.is_ascii());
    let harm = if is_bad_host { Harm::EndsMpf } else { Harm::Misread };
    let command = shown(command.as_bytes());
    let reason = format!("the command \"{command}\" is read as a URL; use only letters, digits, _, - and .");
    Err(Refusal { harm, rule: GuardRule::Command, reason })
}

/// Other peers write `?bytes=N`; MPF finds no payload there and executes the bytes as lines.
fn check_query_marker(query: &str) -> Result<(), Refusal> {
    let digits = query.strip_prefix("bytes=").unwrap_or("");
    if digits.bytes().all(|b| b == b'0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let digits = shown(digits.as_bytes());
    let reason = format!("?bytes={digits} is no payload to MPF, its bytes would run as lines; write &bytes={digits}");
    Err(Refusal { harm: Harm::Misread, rule: GuardRule::QueryMarker, reason })
}

/// The parameters of `json=`, in reverse order: of equal names the last wins.
fn read_json(command: &str, json: &str, must_be_object: bool) -> Result<MpfParams<'static>, Refusal> {
    let members = object_members(json.as_bytes()).map_err(|error| unreadable(&error))?;
    let Some(members) = members else {
        if !must_be_object {
            return Ok(Vec::new());
        }
        let reason = format!(
            "{command} needs an object in json=, as in json={{\"name\": \"x\"}}, got {}",
            shown(json.as_bytes())
        );
        return Err(Refusal::ends_mpf(GuardRule::NotAnObject, reason));
    };
    if json.len() > INTEGER_DIGITS_MAX && has_long_integer(json) {
        let reason = format!("json= has an integer of over {INTEGER_DIGITS_MAX} digits; send it as a string");
        return Err(Refusal::ends_mpf(GuardRule::Number, reason));
    }
    Ok(members.into_iter().rev().map(|(name, value)| (Cow::Owned(name), MpfValue::from_json(&value))).collect())
}

fn unreadable(error: &JsonError) -> Refusal {
    let harm = if error.fault == JsonFault::Surrogate { Harm::Malformed } else { Harm::EndsMpf };
    Refusal { harm, rule: GuardRule::Json, reason: format!("json= is {error}") }
}

/// Whether JSON text has an integer that Python does not read.
fn has_long_integer(json: &str) -> bool {
    // Without escaped quotes, every second piece between quotes is outside of strings.
    let unescaped = json.replace("\\\\", "").replace("\\\"", "");
    let is_long = |word: &str| word.len() > INTEGER_DIGITS_MAX && word.bytes().all(|b| b.is_ascii_digit());
    let is_delimiter = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '+');
    unescaped.split('"').step_by(2).any(|outside| outside.split(is_delimiter).any(is_long))
}

/// The parameters of a plain query. Of equal names MPF looks at the first only.
fn read_query(query: &str) -> Result<MpfParams<'_>, Refusal> {
    let mut params: MpfParams<'_> = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, raw) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decode(name);
        match MpfValue::from_plain(raw) {
            Ok(value) => params.push((name, value)),
            Err(_) if params.iter().any(|(earlier, _)| *earlier == name) => {}
            Err(fault) => return Err(bad_number(&name, raw, fault)),
        }
    }
    Ok(params)
}

fn bad_number(name: &str, raw: &str, fault: NumberFault) -> Refusal {
    let (name, shown_raw) = (shown(name.as_bytes()), shown(raw.as_bytes()));
    let reason = match fault {
        NumberFault::Integer => format!("{name} needs digits after int:, as in int:5, got {shown_raw}"),
        NumberFault::TooLong => format!("{name} has over {INTEGER_DIGITS_MAX} digits; send it as a string"),
        NumberFault::Float => format!("{name} needs a number after float:, as in float:0.5, got {shown_raw}"),
    };
    // Python reads the digits and white space of other scripts too.
    let ascii = |c: char| match c {
        c if c.is_ascii() => c,
        c if c.is_whitespace() => ' ',
        c if c.is_numeric() => '5',
        _ => '?',
    };
    let ascii: String = decode(raw).chars().map(ascii).collect();
    let harm = if MpfValue::from_plain(&ascii).is_ok() { Harm::Malformed } else { Harm::EndsMpf };
    Refusal { harm, rule: GuardRule::Number, reason }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
