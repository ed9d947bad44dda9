//! The guard: refuses what would end MPF 0.81, be lost on it, or be misread.
//!
//! A line is read here exactly as MPF reads it (core/bcp/bcp_socket_client.py), which is not how [`crate::bcp`] reads
//! it: case and spaces of names count, TAB and CR vanish, `json=` counts only raw, in lower case and first. Whether
//! MPF's state would make a line harmful cannot be known here.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr_iter, memchr2};

use super::find;
use super::params::{MpfParams, MpfValue, check_params, decode};
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
            Err(needed) => return Err(bad_number(&name, raw, needed)),
        }
    }
    Ok(params)
}

fn bad_number(name: &str, raw: &str, needed: &str) -> Refusal {
    let reason = format!("{} needs {needed}, got {}", shown(name.as_bytes()), shown(raw.as_bytes()));
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
mod tests {
    //! Tests of the guard: each rule, and the recorded behaviour of MPF 0.81.

    use base64::Engine as _;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn passes(line: &str) {
        assert_eq!(check_line(line.as_bytes(), None), Ok(()), "{line}");
    }

    #[track_caller]
    fn refused(line: &[u8], payload: Option<&[u8]>, rule: GuardRule, expected: &str) {
        let refusal = check_line(line, payload).expect_err(&shown(line));
        assert_eq!(refusal.rule, rule, "{}: {refusal}", shown(line));
        assert!(refusal.to_string().contains(expected), "{}: {refusal}", shown(line));
    }

    #[test]
    fn line_has_a_maximum_length_and_an_encoding() {
        let line = |count: usize| format!("nosuch?x={}", "a".repeat(count - 9));
        passes(&line(MPF_LINE_BYTES_MAX));
        refused(line(MPF_LINE_BYTES_MAX + 1).as_bytes(), None, GuardRule::LineLength, "65537 bytes");
        refused(b"trigger?name=caf\xe9", None, GuardRule::Utf8, "caf\\xE9 is not UTF-8");
        passes("trigger?name=%FF");
    }

    #[test]
    fn payload_is_announced_once_and_exactly() {
        let four = Some(&b"ABCD"[..]);
        assert_eq!(check_line(b"nosuch&bytes=4", four), Ok(()));
        assert_eq!(check_line(b"dmd_frame?name=a&bytes=4", four), Ok(()));
        assert_eq!(check_line(b"trigger?name=a&bytes=004", four), Ok(()));
        assert_eq!(check_line(b"nosuch&bytes=4\r", four), Ok(()));
        assert_eq!(check_line(b"goodbye&bytes=0", Some(b"")), Ok(()));
        assert_eq!(check_line(b"goodbye&bytes=0", None), Ok(()));
        for line in ["f&bytes=", "f&bytes=abc", "f&bytes=-1", "f&bytes=4&x=1", "f&bytes=4&bytes=4", "f&bytes=1_0"] {
            refused(line.as_bytes(), None, GuardRule::Marker, "would end MPF 0.81: &bytes= must be the end");
        }
        refused(br#"trigger?json={"name":"a&bytes=4"}"#, None, GuardRule::Marker, "\\u0026");
        refused(b"f&bytes=4", None, GuardRule::Marker, "0 bytes follow");
        refused(b"f&bytes=5", four, GuardRule::Marker, "4 bytes follow");
        refused(b"f&bytes=99999999999999999999", four, GuardRule::Marker, "4 bytes follow");
        refused(b"f?a=1", four, GuardRule::Marker, "would be misread by MPF 0.81: no &bytes=4");
        refused(b"nosuch?bytes=22", None, GuardRule::QueryMarker, "write &bytes=22");
        passes("nosuch?bytes=0");
        passes("nosuch?bytes=x");
    }

    #[test]
    fn command_has_letters_digits_and_three_marks() {
        for line in ["//[", "//x", "x:trigger?name=a", "tri/gger", "a b", "#", "#x?n=1", "%74rigger?name=a", "é", "a+b"]
        {
            refused(line.as_bytes(), None, GuardRule::Command, "letters, digits");
        }
        refused("\u{feff}trigger?name=a".as_bytes(), None, GuardRule::Command, "URL");
        for line in ["TRIGGER?name=a", "goodbye ", "Switch?name=a&state=1", "trigger ?name=a"] {
            refused(line.as_bytes(), None, GuardRule::Spelling, "would be ignored by MPF 0.81 without a reply: write");
        }
        for line in ["", "  \t\r", "?x=1", "my-own_command.2?x", "RESET", " trigger?name=a", "\0trigger?name=a"] {
            passes(line);
        }
        passes("tri\tgger?na\rme=a");
    }

    #[test]
    fn numbers_are_checked_under_every_command() {
        for command in ["trigger?name=a&", "nosuch?"] {
            for value in ["int:", "int:abc", "int%3Aabc", "%69nt:abc", "int:5.0", "int:--5"] {
                refused(
                    format!("{command}x={value}").as_bytes(),
                    None,
                    GuardRule::Number,
                    "MPF 0.81: x needs digits after int:",
                );
            }
            for value in ["float:", "float:abc", "float:1e+5"] {
                refused(
                    format!("{command}x={value}").as_bytes(),
                    None,
                    GuardRule::Number,
                    "x needs a number after float:",
                );
            }
            refused(format!("{command}x=int:\u{665}").as_bytes(), None, GuardRule::Number, "rejected by other peers");
            let long = format!("{command}x=int:{}", "9".repeat(4301));
            refused(long.as_bytes(), None, GuardRule::Number, "at most 4300 digits");
            for value in ["int:5", "int:1_0", "int: 5 ", "INT:abc", "float:nan", "float:1e999", "i", "%"] {
                passes(&format!("{command}x={value}"));
            }
            passes(&format!("{command}x=int:{}", "9".repeat(4300)));
            passes(&format!("{command}x=1&%78=int:abc"));
            refused(format!("{command}y=1&x=int:abc&x=1").as_bytes(), None, GuardRule::Number, "x needs");
        }
    }

    #[test]
    fn json_is_checked_under_every_command() {
        for json in ["", "{", "{\"a\":1}x", "{'a':1}", "%7B%7D", "{\"a\":1,}", "{\"a\":[1,]}"] {
            refused(
                format!("nosuch?json={json}").as_bytes(),
                None,
                GuardRule::Json,
                "would end MPF 0.81: json= is not JSON",
            );
        }
        let nested = |count| format!("nosuch?json={{\"a\":{}{}}}", "[".repeat(count), "]".repeat(count));
        passes(&nested(127));
        refused(nested(128).as_bytes(), None, GuardRule::Json, "128 levels");
        refused(nested(1100).as_bytes(), None, GuardRule::Json, "128 levels");
        refused(br#"trigger?json={"name":"\ud800"}"#, None, GuardRule::Json, "rejected by other peers");
        passes("nosuch?json=[1]");
        refused(b"nosuch?json=[1]&bytes=4", Some(b"ABCD"), GuardRule::NotAnObject, "object");
        refused(b"trigger?json=[1]", None, GuardRule::NotAnObject, "trigger needs an object in json=");
        refused(b"hello?json=null", None, GuardRule::NotAnObject, "hello");
        passes("trigger?json={\"name\":\"a\",\"x\":NaN}\t ");
        passes("trigger?name=a&json={");
        let digits = "9".repeat(4301);
        refused(
            format!("nosuch?json={{\"a\":[\"\\\"\", -{digits}]}}").as_bytes(),
            None,
            GuardRule::Number,
            "over 4300 digits",
        );
        passes(&format!("nosuch?json={{\"{digits}\":\"\\\\\\\"{digits}\", \"b\":{digits}.0}}"));
        // In upper case, it is a parameter named json, and the name is missing.
        refused(
            b"trigger?JSON={\"name\":\"a\"}",
            None,
            GuardRule::Missing,
            "trigger needs name; write trigger name=NAME",
        );
    }

    #[test]
    fn parameters_of_known_commands_are_checked() {
        refused(b"trigger", None, GuardRule::Missing, "trigger needs name; write trigger name=NAME");
        refused(b"trigger?Name=x", None, GuardRule::Missing, "got \"Name\": case and spaces count");
        refused(b"trigger? name=x", None, GuardRule::Missing, "got \" name\"");
        refused(br#"trigger?json={" name":"x"}"#, None, GuardRule::Missing, "got \" name\"");
        refused(b"monitor_start?Category=modes", None, GuardRule::Missing, "got \"Category\"");
        refused(b"switch?name=x", None, GuardRule::Missing, "switch needs state");
        refused(b"goodbye?x", None, GuardRule::Unlisted, "goodbye accepts no parameters, got \"x\"");
        refused(b"monitor_start?category=modes&=", None, GuardRule::Unlisted, "only category, got \"\"");
        refused(b"set_machine_var?name=a&value=b&x=1", None, GuardRule::Unlisted, "only name, value, persist");
        refused(b"goodbye&bytes=4", Some(b"ABCD"), GuardRule::Payload, "goodbye accepts no payload");
        for line in ["hello?self=1", "error?client=1", "trigger?name=a&event=x", "service?subcommand=start&self=1"] {
            refused(line.as_bytes(), None, GuardRule::Reserved, "cannot have");
        }
        refused(b"trigger?json={\"name\":\"a\",\"callback\":[0]}", None, GuardRule::Reserved, "callback");
        for line in ["goodbye?&", "hello?client=1", "hello", "trigger?name=a&callback=int:0", "nosuch?self=1&client=2"]
        {
            passes(line);
        }
    }

    #[test]
    fn commands_of_optional_configurations_are_checked() {
        refused(b"dmd_frame?name=default", None, GuardRule::Payload, "dmd_frame needs a payload");
        refused(b"rgb_dmd_frame?name=default&bytes=0", Some(b""), GuardRule::Payload, "rgb_dmd_frame needs a payload");
        refused(b"dmd_frame&bytes=4", Some(b"ABCD"), GuardRule::Missing, "dmd_frame needs name");
        refused(b"status_report", None, GuardRule::Missing, "status_report needs cpu");
        refused(b"status_report?cpu=int:1&rss=int:2&vms=int:3&more=1", None, GuardRule::Unlisted, "only cpu, rss, vms");
        refused(b"vpcom_bridge?number=5", None, GuardRule::Missing, "vpcom_bridge needs subcommand");
        refused(b"vpcom_bridge?subcommand=int:5", None, GuardRule::Value, "subcommand as a string");
        passes("status_report?cpu=float:1.5&rss=int:2&vms=int:3");
        passes("vpcom_bridge?subcommand=get_switch&number=5");
    }

    #[test]
    fn first_duplicate_is_checked_in_a_line_and_the_last_in_json() {
        passes("switch?name=s&state=1&state=on");
        refused(b"switch?name=s&state=on&state=1", None, GuardRule::Value, "state");
        passes("switch?json={\"name\":\"s\",\"state\":\"on\",\"state\":1}");
        refused(b"switch?json={\"name\":\"s\",\"state\":1,\"state\":\"on\"}", None, GuardRule::Value, "state");
    }

    #[test]
    fn refusal_names_the_peer_the_parameter_and_the_expected_type() {
        let refusal = check_line(b"switch?name=s_start&state=on", None).unwrap_err();
        assert_eq!(refusal.to_string(), "would end MPF 0.81: switch needs state as 0, 1 or -1, got \"on\"");
    }

    #[test]
    fn types_of_values_are_checked() {
        for (line, expected) in [
            ("switch?name=s&state=1.0", "state as 0, 1 or -1, got \"1.0\""),
            ("switch?name=s&state=NoneType:", "got null"),
            ("switch?name=s&state=float:inf", "got the number Infinity"),
            ("trigger?json={\"name\":[\"a\"]}", "name as a string, got a list"),
            ("monitor_start?category=int:5", "category as a string, got the number 5"),
            ("set_machine_var?name=bool:true&value=1", "name as a string, got true"),
            ("register_trigger?event=a b", "space"),
            ("register_trigger?event=a{x==1}{y==2}", "a bracket closes nothing"),
            ("register_trigger?event=a{x==1}|500ms", "only one {CONDITION}"),
            ("register_trigger?event=a{x=1}", "write == to compare"),
            ("register_trigger?event=a.int", "dot"),
            ("evaluate_placeholder?placeholder=", "got \"\": it is empty"),
            ("evaluate_placeholder?placeholder=int:5", "got the number 5"),
            ("evaluate_placeholder?placeholder=foo(", "got \"foo(\": a bracket is not closed"),
            ("service?subcommand=list_coils&values=name,", "board, label, name, number"),
            ("service?subcommand=list_lights&values=int:1", "color"),
            ("service?subcommand=coil_pulse&coil=c&pulse_ms=", "pulse_ms as a whole number, 0 or more, got \"\""),
            ("service?subcommand=coil_pulse&coil=c&pulse_ms=float:0.0", "pulse_ms"),
            ("service?subcommand=coil_enable&coil=c&hold_power=2", "hold_power as a number from 0 to 1"),
            ("service?subcommand=coil_enable&coil=c&pulse_power=float:nan", "pulse_power"),
            ("service?subcommand=show_play&show=on&token=x", "token as an object, got \"x\""),
            ("service?subcommand=light_color&light=l&color=int:0", "color as a color name"),
            ("service?json={\"subcommand\":\"x\",\"coil\":{}}", "coil as a string"),
        ] {
            refused(line.as_bytes(), None, GuardRule::Value, expected);
        }
        for line in [
            "trigger?name=int:5",
            "switch?name=s&state=int:1",
            "register_trigger?event=.x",
            "register_trigger?event=a.5{x}",
            "service?subcommand=list_shows&values=nope",
            "service?subcommand=coil_pulse&coil=c&hold_power=9",
            "service?subcommand=coil_pulse&coil=c&pulse_power=1",
        ] {
            passes(line);
        }
    }

    /// Lines that MPF survives and the guard refuses, by rule, because MPF loses or misreads them.
    const REFUSED_ALL_THE_SAME: &[(GuardRule, &[&str])] = &[
        (
            GuardRule::Command,
            &[
                // Never sent, because backbox reads them as comments.
                "# comment\n",
                "#@0.000000\n",
                "#\n",
                "#<trigger?name=my_trigger\n",
                "# see //[1] for\n",
                "# foo?json=[1]\n",
                "//\n",
                "//x\n",
                "//[::1]\n",
                "//host/trigger?name=my_trigger\n",
                "x:trigger?name=my_trigger\n",
                "http://h/trigger?name=my_trigger\n",
                "=\n",
                "&&\n",
                ":\n",
                ";\n",
                "%74rigger?name=my_trigger\n",
                "GET / HTTP/1.1\r\nHost: 127.0.0.1:5051\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n\n",
                "x//[\n",
                "trigger:[\n",
            ],
        ),
        // Other peers reject lone surrogates and more than 128 levels.
        (GuardRule::Json, &["trigger?json={\"name\":\"\\ud800\"}\n", "trigger?json={\"name\":\"a\",\"x\":[[[["]),
        // They stop an MPF with such a display, which this one did not have.
        (GuardRule::Payload, &["dmd_frame?name=x\n", "rgb_dmd_frame?name=x\n"]),
        (GuardRule::Missing, &["dmd_frame&bytes=4\nABCD"]),
        (GuardRule::Spelling, &["TRIGGER?name=my_trigger\n", "GOODBYE\n", "goodbye \n"]),
        // MPF reads the bytes after the first as its payload, and reads 1_0 in the second as 10.
        (GuardRule::Marker, &["#&bytes=4\n", "trigger?name=my_trigger&bytes=1_0\n0123456789"]),
    ];

    /// A truncated line without a number. `send` never sends it, because it ends each line with LF.
    const HALF_A_LINE: &str = "trigger?name=a&n=int:5";

    /// The cases of a data file: what was sent, and whether it stopped MPF.
    fn cases(file: &str) -> Vec<(Vec<u8>, bool)> {
        let read = |line: &str| {
            let case: Value = serde_json::from_str(line).unwrap();
            let input = match case["line_b64"].as_str() {
                Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
                None => case["line"].as_str().unwrap().as_bytes().to_vec(),
            };
            (input, case["ends_mpf"].as_bool().unwrap())
        };
        file.lines().map(read).collect()
    }

    /// The first rule that an input breaks, split into lines and payloads as in MPF.
    fn first_refusal(mut input: &[u8]) -> Option<GuardRule> {
        while !input.is_empty() {
            let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
            let line = &input[..end];
            input = input.get(end + 1..).unwrap_or_default();
            let text = String::from_utf8_lossy(line);
            let announced: usize =
                text.rsplit_once("&bytes=").map_or(0, |(_, digits)| digits.replace('_', "").parse().unwrap_or(0));
            let payload = &input[..announced.min(input.len())];
            input = &input[payload.len()..];
            if let Err(refusal) = check_line(line, Some(payload)) {
                return Some(refusal.rule);
            }
        }
        None
    }

    #[test]
    fn only_lines_that_stop_mpf_and_listed_exceptions_are_refused() {
        let mut cases = cases(include_str!("../../tests/data/guard.jsonl"));
        assert_eq!(cases.len(), 332);
        cases.extend(self::cases(include_str!("../../tests/data/guard-more.jsonl")));
        let mut wrong = Vec::new();
        let mut listed = 0;
        for (input, ends_mpf) in &cases {
            let text = String::from_utf8_lossy(input);
            let rule = first_refusal(input);
            let is_listed = |line: &&str| text == *line || (!line.ends_with('\n') && text.starts_with(*line));
            let named = REFUSED_ALL_THE_SAME.iter().find(|(_, lines)| lines.iter().any(is_listed));
            let named = named.map(|(rule, _)| *rule);
            listed += usize::from(named.is_some());
            let right = match ends_mpf {
                true if text == HALF_A_LINE => rule.is_none(),
                true => rule.is_some() && named.is_none(),
                false => rule == named,
            };
            if !right {
                wrong.push(format!("{text:.80?} (ends MPF: {ends_mpf}): {rule:?}, listed under {named:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(listed, REFUSED_ALL_THE_SAME.iter().map(|(_, lines)| lines.len()).sum::<usize>(), "each occurs");
    }
}
