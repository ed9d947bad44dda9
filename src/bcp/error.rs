//! What can be wrong with one message, said so that its writer can mend it.

use std::fmt;

use super::json::JsonError;
use crate::limits::JSON_LEVELS_MAX;
use crate::text::shown;

/// A line, an argument or a line of JSON that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The parameter that is wrong, as a person would write it; `None` when it is the message itself.
    pub parameter: Option<String>,
    /// The offending text, cut and made safe for a terminal; may be empty.
    pub text: String,
    /// What is wrong with it.
    pub reason: MalformedReason,
}

/// The reasons for which a message is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MalformedReason {
    /// Bytes that are not UTF-8, as they stand or once their escapes are decoded.
    NotUtf8,
    /// Nothing before the `?`, or an empty `command`.
    NoCommand,
    /// A command that `encode` does not write (section 5): other characters end MPF.
    Command,
    /// `int:` without an integer behind it.
    Integer,
    /// `float:` without a number behind it.
    Float,
    /// NaN or an infinity where `--no-nan` forbids them.
    Nan,
    /// Nothing where one JSON value has to be.
    Empty,
    /// Text that is no JSON; where and why.
    Json(JsonError),
    /// JSON that has to be an object.
    NotAnObject,
    /// `json=` and nothing behind it.
    NoJson,
    /// A parameter, or a member of a message in JSON, given twice where that is an error.
    Twice,
    /// A member of a message in JSON that has no meaning (section 4).
    UnknownKey,
    /// A message in JSON without its `command`.
    MissingCommand,
    /// `command` or `bytes` that is no string.
    NotAString,
    /// `bytes` that is no standard base64 with padding.
    Base64,
    /// The canonical line is longer than the limit in bytes.
    LineTooLong(usize),
    /// The payload is larger than the limit in bytes.
    PayloadTooLarge(usize),
}

impl Malformed {
    /// A complaint about the message as a whole.
    pub fn message(text: &[u8], reason: MalformedReason) -> Malformed {
        Malformed { parameter: None, text: shown(text), reason }
    }

    /// A complaint about one parameter.
    pub fn parameter(name: &[u8], text: &[u8], reason: MalformedReason) -> Malformed {
        Malformed { parameter: Some(shown(name)), text: shown(text), reason }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.parameter {
            write!(f, "{}: ", if name.is_empty() { "\"\"" } else { name })?;
        }
        let text = &self.text;
        match &self.reason {
            MalformedReason::NotUtf8 => write!(f, "{text} is not UTF-8"),
            MalformedReason::NoCommand if text.is_empty() => write!(f, "no command in an empty text"),
            MalformedReason::NoCommand => write!(f, "no command before the parameters: {text}"),
            MalformedReason::Command => {
                write!(f, "\"{text}\" is no command: only letters, digits, _, - and . are safe with every peer")
            }
            MalformedReason::Integer => write!(f, "{text} is no integer; digits follow int:, as in int:5"),
            MalformedReason::Float => write!(f, "{text} is no number; digits follow float:, as in float:0.5"),
            MalformedReason::Nan => write!(f, "{text} is no finite number, which --no-nan asks for"),
            MalformedReason::Empty => write!(f, "nothing here, where one JSON value has to be"),
            MalformedReason::Json(error) => write!(f, "{error}"),
            MalformedReason::NotAnObject if self.parameter.is_none() => {
                write!(f, "{text} is no message; one is written {{\"command\":\"NAME\",\"params\":{{\"name\":value}}}}")
            }
            MalformedReason::NotAnObject => {
                write!(f, "{text} is no JSON object; the parameters are written {{\"name\": value}}")
            }
            MalformedReason::NoJson => {
                write!(f, "nothing follows json=; the parameters are written {{\"name\": value}}")
            }
            MalformedReason::Twice => write!(f, "given twice"),
            MalformedReason::UnknownKey => write!(f, "unknown key {text}; a message has command, params and bytes"),
            MalformedReason::MissingCommand => write!(f, "no command in the message: write {{\"command\":\"NAME\"}}"),
            MalformedReason::NotAString => write!(f, "{text} is no string"),
            MalformedReason::Base64 => write!(f, "{text} is no standard base64 with padding"),
            MalformedReason::LineTooLong(limit) => {
                write!(f, "the line would be longer than {limit} bytes, which decode refuses; --max-line allows more")
            }
            MalformedReason::PayloadTooLarge(limit) => {
                write!(f, "the payload is larger than {limit} bytes; --max-payload allows more")
            }
        }
    }
}

/// What the message about JSON that nests too deep says.
pub(super) fn too_deep(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "nested more than {JSON_LEVELS_MAX} levels deep")
}
