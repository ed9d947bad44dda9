//! Session files: a recorded conversation as text that is itself a stream of BCP; `backbox-session(5)` describes them.
//!
//! [`Reader`] is an iterator over the messages of a session file, of plain BCP lines or of a log that MPF, MPF-MC, GMC
//! or mpf-monitor wrote. [`Writer`] writes session files. [`apply`] replaces messages and leaves every other byte of a
//! file alone; [`Verbatim`] copies a session.
//!
//! The module opens no file, reads no clock and does not know what a message means.
//!
//! ```
//! use backbox::bcp::Side;
//! use backbox::session::{Kind, Reader};
//!
//! let file = b"#backbox-session 1\n#@0.000000\nreset\n#@0.001204\n#<reset_complete\n";
//! let mut reader = Reader::new(&file[..], None, &Default::default())?;
//! assert_eq!(reader.kind(), Kind::Session);
//!
//! let request = reader.next().unwrap()?;
//! assert_eq!((request.side, &request.line[..], request.number), (Side::Client, &b"reset"[..], 3));
//! let reply = reader.next().unwrap()?;
//! assert_eq!((reply.side, reply.time.unwrap().as_micros()), (Side::Server, 1204));
//! assert_eq!(&file[reply.span.start as usize..reply.span.end as usize], b"#<reset_complete\n");
//! assert!(reader.next().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod input;
mod literal;
mod logs;
mod reader;
mod settings;
mod update;
mod writer;

use std::ops::Range;
use std::time::Duration;
use std::{fmt, io};

use crate::bcp::Side;

pub use reader::{Reader, detect};
pub use settings::{Listed, Settings};
pub use update::{Verbatim, apply};
pub use writer::{Writer, push_message};

/// The format number that is written and read; a file with a higher one is refused.
pub const VERSION: u32 = 1;

/// The first word of a session file.
pub const HEADER: &str = "#backbox-session";

/// The highest connection number: nine digits, which fit any integer type of other programs that read the file.
pub const CONNECTION_MAX: u32 = 999_999_999;

/// One message of a recorded conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line number of its line in the file, from 1, LFs in raw payloads included.
    pub number: u64,
    /// Where it stands in the file, in bytes: its line with mark and LF, and its payload.
    pub span: Range<u64>,
    /// When it was seen, counted from the first message, in whole microseconds; `None` if the file does not tell.
    pub time: Option<Duration>,
    /// The connection it belongs to: 1 to [`CONNECTION_MAX`].
    pub connection: u32,
    /// Who sent it.
    pub side: Side,
    /// Whether it is a pattern, written by hand, that a reply of the server has to match (`#~`), and no message.
    pub is_pattern: bool,
    /// The line without LF and CR, with its payload marker. It need be neither UTF-8 nor well-formed.
    pub line: Vec<u8>,
    /// The payload that the line announces; empty for `bytes=0`.
    pub payload: Option<Vec<u8>>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session file.
    Session,
    /// Plain BCP lines, all sent by the client, without times.
    Lines,
    /// The log file of MPF (or of mpf-monitor).
    MpfFile,
    /// The console output of MPF.
    MpfConsole,
    /// The log file that MPF or MPF-MC writes with `--json-logging`.
    MpfJson,
    /// The log file or console output of MPF-MC.
    MpfMc,
    /// The log of GMC.
    Gmc,
    /// The file `cache.txt` of mpf-monitor.
    MonitorCache,
}

impl Kind {
    /// The names that `--from` knows the kinds by.
    pub const NAMES: [&str; 8] =
        ["session", "bcp", "mpf-file", "mpf-console", "mpf-json", "mpf-mc", "gmc", "monitor-cache"];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        use Kind::{Gmc, Lines, MonitorCache, MpfConsole, MpfFile, MpfJson, MpfMc, Session};
        let all = [Session, Lines, MpfFile, MpfConsole, MpfJson, MpfMc, Gmc, MonitorCache];
        all.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that `--from` knows it by.
    pub fn name(self) -> &'static str {
        Kind::NAMES[self as usize]
    }

    /// Whether it is neither a session nor plain lines.
    pub fn is_log(self) -> bool {
        !matches!(self, Kind::Session | Kind::Lines)
    }
}

/// Something that the user of an input should know, though it is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line that it is about, from 1; `None` for the whole input.
    pub number: Option<u64>,
    /// The sentence, without its place.
    pub text: &'static str,
}

/// What is wrong with an input. `Display` gives the reason; the file's name and [`Error::number`] belong before it.
#[derive(Debug)]
pub struct Error {
    /// The line that it is about, from 1; `None` for the whole input.
    pub number: Option<u64>,
    /// What the error means for the reading.
    pub kind: ErrorKind,
    text: String,
}

/// What an [`Error`] means for the reading.
#[derive(Debug)]
pub enum ErrorKind {
    /// The input could not be read; nothing follows.
    Io(io::Error),
    /// The line breaks a rule; nothing follows, since a session with a hole must not be played on.
    Malformed,
    /// A message in a log could not be read; it is skipped and the reading goes on.
    Damaged,
    /// The input has ended and held no message.
    Empty,
}

impl Error {
    /// Whether only this line is lost: the reading goes on.
    pub fn is_skipped(&self) -> bool {
        matches!(self.kind, ErrorKind::Damaged)
    }

    fn is_io(&self) -> bool {
        matches!(self.kind, ErrorKind::Io(_))
    }
}

/// A fault of the current line, whose number the reader adds.
impl From<String> for Error {
    fn from(text: String) -> Error {
        Error { number: None, kind: ErrorKind::Malformed, text }
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Error {
        text.to_owned().into()
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error { number: None, text: error.to_string(), kind: ErrorKind::Io(error) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
