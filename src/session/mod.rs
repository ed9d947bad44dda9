//! The session format: a recorded conversation as text that is itself a stream of BCP (design.md, section 12).
//!
//! In: reading a session file, plain BCP lines or a log into [`Record`]s, telling them apart, and writing records. Out:
//! files, clocks and sockets; what a line says; what `#~` patterns match; how settings meet the flags that they stand
//! for.
//!
//! ```
//! use backbox::session::{Kind, Reader, RecordKind};
//! let file = b"#backbox-session 1\n#@0.000000\nreset\n#@0.001204\n#<reset_complete\n";
//! let mut reader = Reader::new(None, Default::default(), backbox::bcp::is_command);
//! reader.space()[..file.len()].copy_from_slice(file);
//! reader.filled(file.len());
//! let ours = reader.next_record().unwrap().unwrap();
//! assert_eq!((ours.side, ours.line, ours.number), (RecordKind::Client, &b"reset"[..], 3));
//! let answer = reader.next_record().unwrap().unwrap();
//! assert_eq!((answer.side, answer.time.unwrap().as_micros()), (RecordKind::Server, 1204));
//! assert!(reader.next_record().is_none() && reader.end().is_none());
//! assert_eq!(reader.kind(), Some(Kind::Session));
//! ```

mod clock;
mod error;
mod literal;
mod logs;
mod mark;
mod reader;
mod script;
mod settings;
mod spans;
mod writer;

use std::time::Duration;

pub use error::{Damage, Error, Reason};
pub use reader::{Item, Reader};
pub use settings::{Listed, Settings};
pub use spans::Spans;
pub use writer::{Writer, push_marked, push_message};

/// The format number that is written and read; a higher one is refused.
pub const VERSION: u32 = 1;

/// The first word of a session file.
pub const HEADER: &str = "#backbox-session";

/// The highest connection number: nine digits, so that it fits any integer of whoever else reads the file.
pub const CONNECTION_MAX: u32 = 999_999_999;

/// Who sent a recorded line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The side that dialled.
    Client,
    /// The side that accepted the connection.
    Server,
    /// Nobody: a pattern, written by hand, that an answer of the accepting side has to match (`#~`).
    Pattern,
}

/// One message of a recorded conversation, as the reader gives it and the writer takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The line number of its LINE in the file, from 1, LFs in raw payloads included; the writer does not look at it.
    pub number: u64,
    /// When it was seen, counted from the first message, in whole microseconds; `None` before the first stamp.
    pub time: Option<Duration>,
    /// The connection it belongs to: 1 to [`CONNECTION_MAX`].
    pub connection: u32,
    /// Who sent it.
    pub side: RecordKind,
    /// The line without LF and CR, with its payload marker; need be neither UTF-8 nor well-formed.
    pub line: &'a [u8],
    /// The payload that the line announces; empty for `bytes=0`.
    pub payload: Option<&'a [u8]>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session file.
    Session,
    /// Plain BCP lines: all of them the dialler's, without times.
    Lines,
    /// The log file that MPF writes.
    MpfFile,
    /// What MPF prints on its console.
    MpfConsole,
    /// What MPF writes with `--json-logging`.
    MpfJson,
    /// The log of MPF-MC.
    MpfMc,
    /// The log of GMC.
    Gmc,
    /// The file `cache.txt` of mpf-monitor.
    MonitorCache,
}

impl Kind {
    /// Every kind under the name that `--from` knows it by.
    pub const NAMES: [(&str, Kind); 8] = [
        ("session", Kind::Session),
        ("bcp", Kind::Lines),
        ("mpf-file", Kind::MpfFile),
        ("mpf-console", Kind::MpfConsole),
        ("mpf-json", Kind::MpfJson),
        ("mpf-mc", Kind::MpfMc),
        ("gmc", Kind::Gmc),
        ("monitor-cache", Kind::MonitorCache),
    ];

    /// The names alone.
    pub const WORDS: [&str; Kind::NAMES.len()] = {
        let mut words = [""; Kind::NAMES.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = Kind::NAMES[at].0;
            at += 1;
        }
        words
    };

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, kind)| kind)
    }
}

/// Something about an input that its user should hear, though it is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A session file ends in the middle of a message or line, which is left out.
    Cut {
        /// The line where that message begins.
        number: u64,
    },
    /// Plain lines hold one that looks like a session's and is taken for a comment.
    Marks {
        /// The first such line.
        number: u64,
    },
    /// A log, which has not everything that was said.
    Log {
        /// The kind of log.
        kind: Kind,
    },
}

impl Note {
    /// The line that the note is about, from 1; `None` when it is about the whole input.
    pub fn number(&self) -> Option<u64> {
        match *self {
            Note::Cut { number } | Note::Marks { number } => Some(number),
            Note::Log { .. } => None,
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self {
            Note::Cut { .. } => "the file ends inside this message or line, which is left out",
            Note::Marks { .. } => {
                "this looks like a session's line but is taken for a comment: a session's line 1 is \
                 '#backbox-session 1', and --from session reads one that has lost it"
            }
            Note::Log { kind } => logs::lost(kind),
        })
    }
}
