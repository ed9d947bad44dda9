//! What can be wrong with a message, in words that help to correct it.

use std::fmt;

use crate::limits::JSON_LEVELS_MAX;
use crate::text::shown;

/// A line, an argument or a line of JSON Lines that is not a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The parameter that is wrong, as a person would write it; `None` when it is the message itself.
    pub parameter: Option<String>,
    /// The offending text, shortened and safe to print on a terminal. May be empty.
    pub text: String,
    /// What is wrong.
    pub reason: MalformedReason,
}

/// The reasons for which a message is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MalformedReason {
    /// Not UTF-8, before or after its escapes are decoded.
    NotUtf8,
    /// Nothing before the `?`, or an empty `command`.
    NoCommand,
    /// A command that `encode` does not write, because it ends some peer.
    Command,
    /// `int:` without an integer.
    Integer,
    /// `float:` without a number.
    Float,
    /// NaN or an infinity where `--no-nan` forbids them.
    NotFinite,
    /// Empty text instead of a JSON value.
    Empty,
    /// Text that is not JSON.
    Json(JsonError),
    /// JSON that should be an object.
    NotAnObject,
    /// `json=` without a value.
    NoJson,
    /// A parameter, or a key of a message in JSON, is given twice where that is an error.
    Twice,
    /// A key of a message in JSON that has no meaning.
    UnknownKey,
    /// A message in JSON without `command`.
    MissingCommand,
    /// `command` or `bytes` is not a string.
    NotAString,
    /// `bytes` is not standard base64 with padding.
    Base64,
    /// A pattern that is JSON.
    JsonPattern,
    /// The canonical line is longer than this limit in bytes.
    LineTooLong(usize),
    /// The payload is larger than this limit in bytes.
    PayloadTooLarge(usize),
}

impl Malformed {
    /// An error in the message as a whole.
    pub fn message(text: &[u8], reason: MalformedReason) -> Malformed {
        Malformed { parameter: None, text: shown(text), reason }
    }

    /// An error in one parameter.
    pub fn parameter(name: &[u8], text: &[u8], reason: MalformedReason) -> Malformed {
        Malformed { parameter: Some(shown(name)), text: shown(text), reason }
    }
}

/// Where and why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The offset in bytes at which reading failed, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: JsonFault,
    /// The text from there on, shortened and safe to print on a terminal.
    pub found: String,
}

/// The ways in which a text can fail to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Something that cannot stand here: no value, name, colon, comma or bracket that JSON allows.
    Unexpected,
    /// Inside a string: a raw control character or an unknown escape.
    String,
    /// Half a surrogate pair.
    Surrogate,
    /// `NaN` or an infinity where [`ParseOptions::no_nan`](super::ParseOptions) is on.
    NotFinite,
    /// The text ends too soon.
    CutShort,
    /// More than 128 levels of lists and objects.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON at byte {}: ", self.at + 1)?;
        let found = &self.found;
        match self.fault {
            JsonFault::Unexpected => write!(f, "unexpected {found}"),
            JsonFault::String => write!(f, "invalid escape or control character in a string: {found}"),
            JsonFault::Surrogate => write!(f, "half a surrogate pair: {found}"),
            JsonFault::NotFinite => write!(f, "{found} is not a finite number, and --no-nan refuses it"),
            JsonFault::CutShort => write!(f, "the text ends too soon"),
            JsonFault::TooDeep => write!(f, "nested more than {JSON_LEVELS_MAX} levels deep"),
        }
    }
}

impl From<JsonError> for Malformed {
    fn from(error: JsonError) -> Malformed {
        Malformed::message(b"", MalformedReason::Json(error))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use MalformedReason as R;
        if let Some(name) = &self.parameter {
            write!(f, "{}: ", if name.is_empty() { "\"\"" } else { name })?;
        }
        let text = &self.text;
        match &self.reason {
            R::NotUtf8 => write!(f, "{text} is not UTF-8"),
            R::NoCommand if text.is_empty() => write!(f, "no command: the text is empty"),
            R::NoCommand => write!(f, "no command before the parameters: {text}"),
            R::Command => {
                write!(f, "invalid command: \"{text}\"; only letters, digits, _, - and . are safe with every peer")
            }
            R::Integer => write!(f, "invalid integer: {text}; write digits after int:, as in int:5"),
            R::Float => write!(f, "invalid number: {text}; write digits after float:, as in float:0.5"),
            R::NotFinite => write!(f, "{text} is not a finite number, and --no-nan refuses it"),
            R::Empty => write!(f, "the text is empty; write one JSON value"),
            R::Json(error) => write!(f, "{error}"),
            R::NotAnObject if self.parameter.is_none() => {
                write!(f, "not a message: {text}; write {{\"command\":\"NAME\",\"params\":{{\"name\":value}}}}")
            }
            R::NotAnObject => write!(f, "not a JSON object: {text}; write {{\"name\": value}}"),
            R::NoJson => write!(f, "nothing follows json=; write {{\"name\": value}}"),
            R::Twice => write!(f, "given twice"),
            R::UnknownKey => write!(f, "unknown key {text}; a message has command, params and bytes"),
            R::MissingCommand => write!(f, "no command in the message; write {{\"command\":\"NAME\"}}"),
            R::NotAString => write!(f, "not a string: {text}"),
            R::Base64 => write!(f, "invalid base64: {text}; use the standard alphabet with padding"),
            R::JsonPattern => {
                write!(f, "not a pattern: {text}; write COMMAND?NAME=VALUE, or COMMAND?json={{\"name\": value}}")
            }
            R::LineTooLong(limit) => {
                write!(f, "the line would be longer than {limit} bytes, which decode refuses; --max-line allows more")
            }
            R::PayloadTooLarge(limit) => {
                write!(f, "the payload is larger than {limit} bytes; --max-payload allows more")
            }
        }
    }
}
