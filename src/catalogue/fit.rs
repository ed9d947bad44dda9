//! Whether the parameters of a command that MPF knows fit it (design.md, section 13): the table's half of the guard.

use std::borrow::Cow;

use super::expression::expression_fault;
use super::guard::{Refusal, Rule};
use super::python::{float, int};
use super::value::Value;
use super::{CommandEntry, Needs, Parameter, Taken};
use crate::text::{shown, trim};

/// The parameters of one message as MPF hands them to its own code.
pub(super) struct Params<'a> {
    list: Vec<(Cow<'a, str>, Value<'a>)>,
    last_wins: bool,
}

impl<'a> Params<'a> {
    /// Those of a plain query, where the first of two with one name counts.
    pub(super) fn first_wins(list: Vec<(Cow<'a, str>, Value<'a>)>) -> Params<'a> {
        Params { list, last_wins: false }
    }

    /// Those of `json=`, where the last one counts.
    pub(super) fn last_wins(list: Vec<(Cow<'a, str>, Value<'a>)>) -> Params<'a> {
        Params { list, last_wins: true }
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        let mut found = self.list.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        if self.last_wins { found.next_back() } else { found.next() }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_ref())
    }
}

/// Judges the parameters and the payload of a command that MPF acts on.
pub(super) fn judge_known(entry: &CommandEntry, params: &Params<'_>, payload_bytes: usize) -> Result<(), Refusal> {
    match entry.taken {
        Taken::No => return Ok(()),
        Taken::Open(reserved) => judge_reserved(entry, params, reserved)?,
        Taken::Closed => judge_closed(entry, params, payload_bytes)?,
    }
    let subcommand = params.get("subcommand");
    for parameter in entry.parameters {
        let value = match params.get(parameter.name) {
            Some(value) => value,
            None if parameter.required => return Err(missing(entry, params, parameter)),
            None => continue,
        };
        if let Some(fault) = fault(parameter, value, subcommand) {
            let reason = format!("{} needs {} {fault}", entry.name, parameter.name);
            return Err(Refusal::ends(Rule::Value, reason));
        }
    }
    Ok(())
}

fn judge_reserved(entry: &CommandEntry, params: &Params<'_>, reserved: &[&str]) -> Result<(), Refusal> {
    let name = entry.name;
    if let Some(word) = reserved.iter().find(|word| params.get(word).is_some()) {
        let reason = format!("{name} cannot carry {word}, which its own code passes along; give it another name");
        return Err(Refusal::ends(Rule::Reserved, reason));
    }
    // An empty one is passed over, whatever its type.
    if name == "trigger" && params.get("callback").is_some_and(Value::is_true) {
        let reason = "trigger cannot carry a callback; leave it out, or give it another name";
        return Err(Refusal::ends(Rule::Reserved, reason));
    }
    Ok(())
}

fn judge_closed(entry: &CommandEntry, params: &Params<'_>, payload_bytes: usize) -> Result<(), Refusal> {
    let name = entry.name;
    let listed = |other: &str| entry.parameters.iter().any(|parameter| parameter.name == other);
    if let Some(other) = params.names().find(|other| !listed(other)) {
        // What is there in the wrong case is missed under its right name, which says more.
        if let Some(parameter) = entry.parameters.iter().find(|p| p.required && params.get(p.name).is_none()) {
            return Err(missing(entry, params, parameter));
        }
        let list: Vec<&str> = entry.parameters.iter().map(|parameter| parameter.name).collect();
        let takes = if list.is_empty() { "no parameters".to_string() } else { format!("only {}", list.join(", ")) };
        let reason = format!("{name} takes {takes}, got \"{}\"; leave it out", shown(other.as_bytes()));
        return Err(Refusal::ends(Rule::Unlisted, reason));
    }
    if payload_bytes > 0 {
        return Err(Refusal::ends(Rule::Payload, format!("{name} takes no payload; leave it out")));
    }
    Ok(())
}

fn missing(entry: &CommandEntry, params: &Params<'_>, parameter: &Parameter) -> Refusal {
    let wanted = parameter.name;
    let near = params.names().find(|name| trim(name.as_bytes()).eq_ignore_ascii_case(wanted.as_bytes()));
    let instead = match near {
        Some(near) => format!("got \"{}\": case and blanks count", shown(near.as_bytes())),
        None => format!("write {} {wanted}={}", entry.name, wanted.to_ascii_uppercase()),
    };
    Refusal::ends(Rule::Missing, format!("{} needs {wanted}; {instead}", entry.name))
}

/// What a value has to be instead, as the end of a sentence; `None` when it will do.
fn fault(parameter: &Parameter, value: &Value<'_>, subcommand: Option<&Value<'_>>) -> Option<String> {
    let subcommand = match subcommand {
        Some(Value::Text(text)) => text.as_ref(),
        _ => "",
    };
    let needs = match parameter.needs {
        Needs::Any(_) => None,
        Needs::Key => is_nested(value).then_some("as text"),
        Needs::Text => (!matches!(value, Value::Text(_))).then_some("as text"),
        Needs::State => (!is_state(value)).then_some("as 0, 1 or -1"),
        Needs::Event => (!is_event(value)).then_some("as text without blanks and braces, and no dot but before digits"),
        Needs::Placeholder => return placeholder_fault(value),
        Needs::Fields => return fields_fault(value, subcommand),
        Needs::Milliseconds => {
            let used = matches!(subcommand, "coil_pulse" | "coil_enable");
            (used && !is_milliseconds(value)).then_some("as a whole number, 0 or more")
        }
        Needs::Power => {
            let used = subcommand == "coil_enable" || (subcommand == "coil_pulse" && parameter.name == "pulse_power");
            (used && !is_power(value)).then_some("as a number from 0 to 1")
        }
        Needs::Tokens => {
            let used = subcommand == "show_play" && value.is_true();
            (used && !matches!(value, Value::Object(_))).then_some("as an object")
        }
        Needs::Color => {
            let used = subcommand == "light_color";
            (used && !is_color(value)).then_some("as the name of a color or six hexadecimal digits")
        }
    };
    needs.map(|needs| format!("{needs}, got {value}"))
}

fn is_nested(value: &Value<'_>) -> bool {
    matches!(value, Value::List(_) | Value::Object(_))
}

/// What `int()` takes, of any type.
fn is_state(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => int(text).is_ok(),
        Value::Integer(_) | Value::Bool(_) => true,
        Value::Float(number) => number.is_finite(),
        Value::Null | Value::List(_) | Value::Object(_) => false,
    }
}

/// A name under which MPF registers a handler: a dot in it stands before a priority. Braces may hold a condition, but
/// whether Python compiles one nobody can see from here.
fn is_event(value: &Value<'_>) -> bool {
    let Value::Text(text) = value else { return false };
    let priority = match text.split_once('.') {
        Some((name, digits)) => name.is_empty() || int(digits).is_ok(),
        None => true,
    };
    !text.contains([' ', '{', '}']) && priority
}

fn placeholder_fault(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => expression_fault(text).map(|fault| format!("as a Python expression, and {value} {fault}")),
        _ => Some(format!("as the text of a Python expression, got {value}")),
    }
}

/// The fields of the `service` lists; with none of those, `values` is not looked at.
fn fields_fault(value: &Value<'_>, subcommand: &str) -> Option<String> {
    let fields: &[&str] = match subcommand {
        "list_switches" => &["board", "label", "name", "number", "state"],
        "list_coils" => &["board", "label", "name", "number"],
        "list_lights" => &["board", "color", "label", "name", "number"],
        _ => return None,
    };
    if !value.is_true() {
        return None;
    }
    let right = match value {
        Value::Text(text) => text.split(',').all(|field| fields.contains(&field)),
        _ => false,
    };
    (!right).then(|| format!("as some of {}, with commas between them, got {value}", fields.join(", ")))
}

/// What becomes an integer of 0 or more; MPF converts only what is true to Python.
fn is_milliseconds(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => int(text).is_ok_and(|number| number >= 0),
        Value::Integer(number) => *number >= 0,
        Value::Float(number) => number.is_finite() && *number > -1.0 && *number != 0.0,
        Value::Bool(_) | Value::Null => true,
        Value::List(_) | Value::Object(_) => false,
    }
}

fn is_power(value: &Value<'_>) -> bool {
    let in_range = |number: f64| (0.0..=1.0).contains(&number);
    match value {
        Value::Text(text) => float(text).is_some_and(in_range),
        Value::Integer(number) => matches!(number, 0 | 1),
        Value::Float(number) => in_range(*number),
        Value::Bool(_) | Value::Null => true,
        Value::List(_) | Value::Object(_) => false,
    }
}

fn is_color(value: &Value<'_>) -> bool {
    match value {
        // Behind one % stands a brightness.
        Value::Text(text) => match text.split_once('%') {
            Some((_, brightness)) => brightness.is_empty() || int(brightness).is_ok(),
            None => true,
        },
        Value::List(count) => *count == 0 || *count >= 3,
        Value::Null | Value::Object(0) => true,
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Object(_) => false,
    }
}
