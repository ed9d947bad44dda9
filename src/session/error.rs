//! What can be wrong with a session file or with plain lines, and how it is said.

use std::fmt;

use super::{HEADER, VERSION};
use crate::framing::Fault;

/// The error that ended a reading; the records before it stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line it is about, from 1; `None` when it is about the whole input.
    pub number: Option<u64>,
    /// What is wrong.
    pub reason: Reason,
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
    Framing(Fault),
    /// The input is of no known kind.
    Unknown,
    /// There is nothing to play in the input.
    Nothing,
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
            Reason::Framing(fault) => write!(f, "{fault}"),
            Reason::Unknown => write!(
                f,
                "neither a session nor BCP lines: a session begins with '#backbox-session 1', a BCP line with a command"
            ),
            Reason::Nothing => write!(f, "no BCP line in it"),
        }
    }
}
