//! The parameters of one message as MPF has them, and whether they fit the command's entry.

use std::borrow::Cow;
use std::fmt;

use super::guard::{GuardRule, INTEGER_DIGITS_MAX, Refusal};
use super::table::{Acceptance, CommandEntry, ParamType, Parameter};
use crate::bcp::{JsonValue, ValueKind, push_float, push_integer, unescape};
use crate::text::{shown, trim};

/// How many brackets may be open at once in a Python expression.
const BRACKETS_MAX: usize = 200;

/// A value in Python's types.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MpfValue<'a> {
    kind: ValueKind,
    /// The string itself, any other value as JSON.
    text: Cow<'a, str>,
}

/// The parameters of one message. Of equal names the first counts.
pub(super) type MpfParams<'a> = Vec<(Cow<'a, str>, MpfValue<'a>)>;

impl<'a> MpfValue<'a> {
    /// Reads what follows the `=` of a plain parameter, still escaped. The error is what a number needs.
    pub(super) fn from_plain(raw: &'a str) -> Result<MpfValue<'a>, &'static str> {
        // Nearly all values are a string without escapes.
        if !raw.bytes().any(|b| matches!(b, b'%' | b'+' | b':')) {
            return Ok(MpfValue { kind: ValueKind::Text, text: Cow::Borrowed(raw) });
        }
        let text = decode(raw);
        if let Some(digits) = text.strip_prefix("int:") {
            return Ok(MpfValue { kind: ValueKind::Integer, text: Cow::Owned(read_integer(digits)?) });
        }
        if let Some(digits) = text.strip_prefix("float:") {
            let number = read_float(digits).ok_or("a number after float:, as in float:0.5")?;
            return Ok(MpfValue { kind: ValueKind::Float, text: Cow::Owned(number) });
        }
        let json = match &*text {
            "NoneType:" => Some((ValueKind::Null, "null")),
            other if other.eq_ignore_ascii_case("bool:true") => Some((ValueKind::Bool, "true")),
            other if other.eq_ignore_ascii_case("bool:false") => Some((ValueKind::Bool, "false")),
            _ => None,
        };
        Ok(match json {
            Some((kind, text)) => MpfValue { kind, text: Cow::Borrowed(text) },
            // MPF decodes the escapes of a string a second time, but then leaves a `+` as it is.
            None if text.contains('%') => {
                let text: Vec<Cow<'_, str>> = text.split('+').map(decode).collect();
                MpfValue { kind: ValueKind::Text, text: Cow::Owned(text.join("+")) }
            }
            None => MpfValue { kind: ValueKind::Text, text },
        })
    }

    pub(super) fn from_json(json: &[u8]) -> MpfValue<'static> {
        let value = JsonValue(json);
        MpfValue { kind: value.kind(), text: Cow::Owned(value.text().into_owned()) }
    }

    /// Whether Python's `if` takes it as true.
    fn is_true(&self) -> bool {
        match self.kind {
            ValueKind::Text => !self.text.is_empty(),
            ValueKind::Integer | ValueKind::Float => self.text.parse() != Ok(0.0),
            ValueKind::Bool => self.text == "true",
            ValueKind::Null => false,
            ValueKind::List | ValueKind::Object => self.text.len() > 2,
        }
    }

    /// What Python's `int()` makes of it.
    fn as_integer(&self) -> Option<f64> {
        let number = match self.kind {
            ValueKind::Text => read_integer(&self.text).ok()?.parse().ok()?,
            _ => self.as_float()?,
        };
        (self.kind == ValueKind::Text || number.is_finite()).then_some(number.trunc())
    }

    /// What Python's `float()` makes of it.
    fn as_float(&self) -> Option<f64> {
        match self.kind {
            ValueKind::Text => read_float(&self.text)?.parse().ok(),
            ValueKind::Integer | ValueKind::Float => self.text.parse().ok(),
            ValueKind::Bool => Some(f64::from(u8::from(self.is_true()))),
            ValueKind::Null | ValueKind::List | ValueKind::Object => None,
        }
    }
}

impl fmt::Display for MpfValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = shown(self.text.as_bytes());
        match self.kind {
            ValueKind::Text => write!(f, "\"{text}\""),
            ValueKind::Integer | ValueKind::Float => write!(f, "the number {text}"),
            ValueKind::Bool | ValueKind::Null => write!(f, "{text}"),
            ValueKind::List => write!(f, "a list"),
            ValueKind::Object => write!(f, "an object"),
        }
    }
}

/// A name or value with its escapes decoded once; what is not UTF-8 then is U+FFFD, as for MPF.
pub(super) fn decode(raw: &str) -> Cow<'_, str> {
    match unescape(raw.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(raw),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// An integer in Python's spelling as JSON.
fn read_integer(text: &str) -> Result<String, &'static str> {
    let mut json = Vec::new();
    if !push_integer(text.as_bytes(), &mut json) {
        return Err("digits after int:, as in int:5");
    }
    match text.bytes().filter(u8::is_ascii_digit).count() > INTEGER_DIGITS_MAX {
        true => Err("at most 4300 digits after int:, or to be a string"),
        false => Ok(String::from_utf8(json).unwrap_or_default()),
    }
}

fn read_float(text: &str) -> Option<String> {
    let mut json = Vec::new();
    push_float(text.as_bytes(), &mut json)?;
    String::from_utf8(json).ok()
}

fn find<'p, 'a>(params: &'p MpfParams<'a>, name: &str) -> Option<&'p MpfValue<'a>> {
    params.iter().find(|(other, _)| other == name).map(|(_, value)| value)
}

/// Checks the parameters and the payload of a command on which MPF acts.
pub(super) fn check_params(entry: &CommandEntry, params: &MpfParams<'_>, payload_bytes: usize) -> Result<(), Refusal> {
    match entry.accepted {
        Acceptance::No => return Ok(()),
        Acceptance::Open(reserved) => check_reserved(entry, params, reserved)?,
        Acceptance::Closed => check_closed(entry, params, payload_bytes)?,
    }
    let subcommand = find(params, "subcommand").map_or("", |value| &value.text);
    for parameter in entry.parameters {
        let value = match find(params, parameter.name) {
            Some(value) => value,
            None if parameter.required => return Err(missing(entry, params, parameter)),
            None => continue,
        };
        let is_used = parameter.used_by.is_empty() || parameter.used_by.contains(&subcommand);
        if let Some(fault) = fault(parameter.param_type, value, subcommand).filter(|_| is_used) {
            let reason = format!("{} needs {} as {fault}", entry.name, parameter.name);
            return Err(Refusal::ends_mpf(GuardRule::Value, reason));
        }
    }
    if entry.needs_payload && payload_bytes == 0 {
        let reason = format!("{} needs a payload, if the machine has such a display; add one with -b FILE", entry.name);
        return Err(Refusal::ends_mpf(GuardRule::Payload, reason));
    }
    Ok(())
}

fn check_reserved(entry: &CommandEntry, params: &MpfParams<'_>, reserved: &[&str]) -> Result<(), Refusal> {
    // An empty callback is ignored, whatever its type.
    let has_callback = || entry.name == "trigger" && find(params, "callback").is_some_and(MpfValue::is_true);
    let found = reserved.iter().find(|name| find(params, name).is_some()).copied();
    let Some(name) = found.or_else(|| has_callback().then_some("callback")) else { return Ok(()) };
    let reason = format!("{} cannot have a parameter {name}, which MPF uses itself; rename it", entry.name);
    Err(Refusal::ends_mpf(GuardRule::Reserved, reason))
}

fn check_closed(entry: &CommandEntry, params: &MpfParams<'_>, payload_bytes: usize) -> Result<(), Refusal> {
    let is_listed = |name: &str| entry.parameters.iter().any(|parameter| parameter.name == name);
    if let Some((other, _)) = params.iter().find(|(name, _)| !is_listed(name)) {
        // One in the wrong case is also missing, which says more.
        if let Some(parameter) = entry.parameters.iter().find(|p| p.required && find(params, p.name).is_none()) {
            return Err(missing(entry, params, parameter));
        }
        let names: Vec<&str> = entry.parameters.iter().map(|parameter| parameter.name).collect();
        let accepts = if names.is_empty() { "no parameters".to_string() } else { format!("only {}", names.join(", ")) };
        let reason = format!("{} accepts {accepts}, got \"{}\"; leave it out", entry.name, shown(other.as_bytes()));
        return Err(Refusal::ends_mpf(GuardRule::Unlisted, reason));
    }
    if payload_bytes > 0 {
        return Err(Refusal::ends_mpf(GuardRule::Payload, format!("{} accepts no payload; leave it out", entry.name)));
    }
    Ok(())
}

fn missing(entry: &CommandEntry, params: &MpfParams<'_>, parameter: &Parameter) -> Refusal {
    let wanted = parameter.name;
    let similar = params.iter().find(|(name, _)| trim(name.as_bytes()).eq_ignore_ascii_case(wanted.as_bytes()));
    let advice = match similar {
        Some((name, _)) => format!("got \"{}\": case and spaces count", shown(name.as_bytes())),
        None => format!("write {} {wanted}={}", entry.name, wanted.to_ascii_uppercase()),
    };
    Refusal::ends_mpf(GuardRule::Missing, format!("{} needs {wanted}; {advice}", entry.name))
}

/// What a value has to be, and what it is; `None` if it fits.
fn fault(param_type: ParamType, value: &MpfValue<'_>, subcommand: &str) -> Option<String> {
    use ValueKind::{Bool, Float, Integer, List, Null, Object, Text};
    let kind = value.kind;
    let why = match param_type {
        ParamType::Event if kind == Text => event_fault(&value.text),
        ParamType::Placeholder if kind == Text => expression_fault(&value.text),
        _ => None,
    };
    if let Some(why) = why {
        return Some(format!("{}, got {value}: {why}", param_type.description()));
    }
    let fits = match param_type {
        ParamType::Any(_) => true,
        ParamType::Key => !matches!(kind, List | Object),
        ParamType::Text | ParamType::Event | ParamType::Placeholder => kind == Text,
        ParamType::State => value.as_integer().is_some(),
        ParamType::Fields => {
            let fields = fields(subcommand);
            let is_known = kind == Text && value.text.split(',').all(|field| fields.contains(&field));
            if value.is_true() && !is_known {
                return Some(format!("{} ({}), got {value}", param_type.description(), fields.join(", ")));
            }
            true
        }
        // MPF converts what is not empty, and its drivers want an integer.
        ParamType::Milliseconds => {
            let is_number = value.as_integer().is_some_and(|number| number >= 0.0);
            matches!(kind, Bool | Null) || (is_number && (kind != Float || value.is_true()))
        }
        ParamType::Power => kind == Null || value.as_float().is_some_and(|number| (0.0..=1.0).contains(&number)),
        ParamType::Tokens => kind == Object || !value.is_true(),
        ParamType::Color => !matches!(kind, Integer | Float | Bool),
    };
    (!fits).then(|| format!("{}, got {value}", param_type.description()))
}

/// The fields of a list of `service`.
fn fields(subcommand: &str) -> &'static [&'static str] {
    match subcommand {
        "list_switches" => &["board", "label", "name", "number", "state"],
        "list_lights" => &["board", "color", "label", "name", "number"],
        _ => &["board", "label", "name", "number"],
    }
}

/// What keeps MPF from registering a handler for an event: its name may end in one condition, and a dot in it precedes
/// a priority (MPF 0.81, core/events.py).
fn event_fault(event: &str) -> Option<&'static str> {
    let (name, condition) = match event.strip_suffix('}').and_then(|event| event.split_once('{')) {
        Some((name, condition)) => (name, Some(condition)),
        None => (event, None),
    };
    let is_priority = |(name, digits): (&str, &str)| name.is_empty() || read_integer(digits).is_ok();
    if name.contains(['{', '}']) {
        return Some("only one {CONDITION} is allowed, as the very end");
    }
    if name.contains(' ') {
        return Some("a space is allowed in the condition only");
    }
    if !name.split_once('.').is_none_or(is_priority) {
        return Some("digits must follow a dot");
    }
    condition.and_then(expression_fault)
}

/// What keeps Python from compiling an expression, as far as brackets, quotes and operators tell without a parser.
fn expression_fault(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("it is empty");
    }
    if text.starts_with([' ', '\t']) {
        return Some("it begins with a space");
    }
    let mut open = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\0' => return Some("it contains NUL"),
            ';' => return Some("it contains a ;"),
            '"' | '\'' => loop {
                match chars.next() {
                    None => return Some("a quote is not closed"),
                    Some('\0') => return Some("it contains NUL"),
                    Some('\\') => drop(chars.next()),
                    Some(other) if other == c => break,
                    Some(_) => {}
                }
            },
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => return Some("a bracket closes nothing"),
            '=' | '!' | '<' | '>' if chars.peek() == Some(&'=') => drop(chars.next()),
            '=' if open.is_empty() => return Some("it contains a lone =; write == to compare"),
            _ => {}
        }
        if open.len() > BRACKETS_MAX {
            return Some("too many brackets are open");
        }
    }
    if !open.is_empty() {
        return Some("a bracket is not closed");
    }
    let is_operator = |c: char| "+-*/%<>=!&|^~,.".contains(c);
    text.trim_end().ends_with(is_operator).then_some("it ends with an operator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_decoded_twice_and_numbers_once() {
        for (raw, kind, text) in [
            ("my%255Ftrigger", ValueKind::Text, "my_trigger"),
            ("a+b%2Bc%252B", ValueKind::Text, "a b+c+"),
            ("%FF", ValueKind::Text, "\u{fffd}"),
            ("int%3A5", ValueKind::Integer, "5"),
            ("int:+5", ValueKind::Integer, "5"),
            ("INT:5", ValueKind::Text, "INT:5"),
            ("bool:TRUE", ValueKind::Bool, "true"),
            ("bool:maybe", ValueKind::Text, "bool:maybe"),
            ("NoneType:", ValueKind::Null, "null"),
            ("NoneType:x", ValueKind::Text, "NoneType:x"),
            ("float:1e5", ValueKind::Float, "1e5"),
        ] {
            let value = MpfValue::from_plain(raw).unwrap();
            assert_eq!((value.kind, &*value.text), (kind, text), "{raw}");
        }
        assert_eq!(MpfValue::from_plain("%69nt:abc"), Err("digits after int:, as in int:5"));
        assert_eq!(MpfValue::from_plain("int:%2535"), Err("digits after int:, as in int:5"));
        // A plus is a space to MPF, so this float has one inside.
        assert_eq!(MpfValue::from_plain("float:1e+5"), Err("a number after float:, as in float:0.5"));
    }

    #[test]
    fn values_are_true_as_in_python() {
        for (json, is_true) in [
            ("\"\"", false),
            ("\"0\"", true),
            ("0", false),
            ("-0", false),
            ("0.0", false),
            ("NaN", true),
            ("1", true),
            ("null", false),
            ("false", false),
            ("true", true),
            ("[]", false),
            ("[0]", true),
            ("{}", false),
        ] {
            assert_eq!(MpfValue::from_json(json.as_bytes()).is_true(), is_true, "{json}");
        }
    }

    #[test]
    fn expressions_are_checked_by_brackets_quotes_and_operators() {
        for text in [
            "foo",
            "players[0].score",
            "\"a;b=c\"",
            "{1:2}",
            "1 if 1 else 2",
            "a==1 and b>=2 or c!=3 or d<=4",
            "(x:=1)",
            "f(a=1)",
            "'it\\'s'",
            "\"\"",
            "lambda:1",
            "-1 + ~2 ** -3",
            "'+' ",
            "1+\n2",
        ] {
            assert_eq!(expression_fault(text), None, "{text:?}");
        }
        for (text, fault) in [
            ("", "empty"),
            ("\n", "empty"),
            (" 1", "space"),
            ("\t1", "space"),
            ("a\0b", "NUL"),
            ("'a\0'", "NUL"),
            ("foo(", "not closed"),
            ("foo)", "closes nothing"),
            ("(]", "closes nothing"),
            ("'a", "quote"),
            ("'a\\'", "quote"),
            ("x=1", "lone ="),
            ("x===1", "lone ="),
            ("x:=1", "lone ="),
            ("x+=1", "lone ="),
            ("1;2", ";"),
            ("(;)", ";"),
            ("1+", "operator"),
            ("a.", "operator"),
            ("1, ", "operator"),
            ("x==", "operator"),
            ("a !", "operator"),
        ] {
            assert!(expression_fault(text).is_some_and(|found| found.contains(fault)), "{text:?}");
        }
        let nested = |count| "(".repeat(count) + "1" + &")".repeat(count);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX)), None);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX + 1)), Some("too many brackets are open"));
    }
}
