//! What can be wrong with a session file or with plain lines, and how it is said.

use std::fmt;

use super::{HEADER, Kind, VERSION, logs};
use crate::framing::FramingError;

/// What is wrong with an input. The first error ends the reading, and the records before it stand; but a damaged line
/// of a log is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line it is about, from 1; `None` when it is about the whole input.
    pub number: Option<u64>,
    /// What is wrong.
    pub reason: Reason,
}

impl Error {
    /// Whether it costs its line alone: the reading goes on behind it.
    pub fn is_passed_over(&self) -> bool {
        matches!(self.reason, Reason::Damaged(_))
    }
}

impl fmt::Display for Error {
    /// The reason alone: whoever knows the file's name puts it and [`Error::number`] before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// What is wrong with a line. Texts of the file are kept as [`crate::text::shown`] shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first line begins like a session's, but names no format number.
    Header,
    /// The file is of a format after ours.
    Newer {
        /// Its format number.
        version: String,
    },
    /// A `#@` line without a well-formed time, or with more than a time and a connection.
    Time,
    /// A `#@` line whose second word is no connection number.
    Connection {
        /// That word.
        word: String,
    },
    /// A `#!` line with a name that is none of ours.
    UnknownSetting {
        /// The name.
        name: String,
    },
    /// A `#!` line behind the first message, where it would change what has been read already.
    LateSetting,
    /// A `#!` line with a value that its setting does not take.
    Setting {
        /// The setting.
        name: &'static str,
        /// What it wants instead.
        wants: &'static str,
    },
    /// A `#=` line that no line before it asks for.
    StrayPayload,
    /// Another line where a `#=` line has to be.
    NoPayload {
        /// The line that announced the payload.
        announced_at: u64,
        /// Its length.
        bytes: usize,
    },
    /// A `#=` line that is no strict base64.
    Base64,
    /// A `#=` line with more or fewer bytes than were announced.
    PayloadLength {
        /// How many there are.
        got: usize,
        /// The line that announced the payload.
        announced_at: u64,
        /// How many it announced.
        announced: usize,
    },
    /// A `#~` line without a pattern.
    NoPattern,
    /// A line (its mark not counted) or payload over its limit, or plain lines that end inside a payload.
    FramingOptions(FramingError),
    /// The input is of no known kind.
    Unknown,
    /// There is nothing to play in the input, which is of this kind if it is a log.
    Nothing(Option<Kind>),
    /// A line of a log with a message that cannot be read any more.
    Damaged(Damage),
}

/// What has become of a message in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The quote behind the text is missing.
    Quote,
    /// The text is no bytes literal as Python writes it.
    Literal,
    /// The text holds a line break, which no line can.
    LineBreak,
    /// Its time is none: there is no such date.
    Date,
    /// A line of a JSON log is no JSON.
    Json,
    /// A line of mpf-monitor's cache does not begin with milliseconds and a comma.
    Milliseconds,
    /// The line announces a payload, of so many bytes, and logs hold none.
    Payload(Option<usize>),
    /// The line of the log, or the message in it, is over its limit in bytes.
    TooLong(usize),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Quote => "garbled: no closing quote; left out",
            Damage::Literal => "garbled: no bytes literal as Python writes it; left out",
            Damage::LineBreak => "garbled: a line break in the message; left out",
            Damage::Date => "garbled: not a date and time; left out",
            Damage::Json => "garbled: not JSON; left out",
            Damage::Milliseconds => "garbled: not MILLISECONDS,COMMAND; left out",
            Damage::Payload(Some(bytes)) => {
                return write!(f, "its payload of {bytes} bytes is not in the log; left out");
            }
            Damage::Payload(None) => "its payload is not in the log; left out",
            Damage::TooLong(limit) => return write!(f, "over {limit} bytes; left out"),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Header => write!(f, "the first line of a session wants '{HEADER} {VERSION}'"),
            Reason::Newer { version } => {
                write!(f, "format {version} is newer than this program's, which is {VERSION}: a newer backbox reads it")
            }
            Reason::Time => write!(
                f,
                "bad time: write '#@SECONDS' or '#@SECONDS CONNECTION', with SECONDS as 1 to 10 digits, then at \
                    most a point and 1 to 9 digits"
            ),
            Reason::Connection { word } => {
                write!(f, "bad connection number {word}: it is 1 to 9 digits and does not begin with 0")
            }
            Reason::UnknownSetting { name } => {
                write!(f, "unknown setting {name}: there are port, wire, ignore, exclude, any-order, exact")
            }
            Reason::LateSetting => write!(f, "a setting after the first message: move it to the top of the file"),
            Reason::Setting { name, wants } => write!(f, "setting {name} wants {wants}"),
            Reason::StrayPayload => {
                write!(
                    f,
                    "a payload without a line: '#=' follows a '#<' or '#>' line that ends in '&bytes=N', N over 0"
                )
            }
            Reason::NoPayload { announced_at, bytes } => {
                write!(f, "here has to be '#=' with the payload of {bytes} bytes that line {announced_at} announces")
            }
            Reason::Base64 => write!(f, "bad base64: it takes the standard alphabet, padding, and no blanks"),
            Reason::PayloadLength { got, announced_at, announced } => {
                write!(f, "a payload of {got} bytes, where line {announced_at} says {announced}")
            }
            Reason::NoPattern => write!(f, "#~ wants a pattern, such as '#~mode_list?running_modes=*'"),
            Reason::FramingOptions(fault) => write!(f, "{fault}"),
            Reason::Unknown => {
                write!(
                    f,
                    "neither a session, nor a log of a known kind, nor BCP: a session begins with \
                     '{HEADER} {VERSION}', one of the first ten lines of a log has the log's form, and BCP \
                     lines begin with a command; \
                     {}; --from names the kind of a file",
                    logs::advice(Kind::MpfFile)
                )
            }
            Reason::Nothing(None) => write!(f, "no BCP line in it"),
            Reason::Nothing(Some(kind)) => write!(f, "no BCP line in it: {}", logs::advice(*kind)),
            Reason::Damaged(damage) => write!(f, "{damage}"),
        }
    }
}
