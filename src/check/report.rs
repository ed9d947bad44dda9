//! The differences that a check finds, as data and as text.

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::compare::{Content, Difference, Expected};
use super::engine::Received;
use crate::text::safe;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// One difference between a recording and what was received.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The reply that it is about; of several the first.
    pub recorded: Option<Recorded>,
    /// The message that was received.
    pub received: Option<Received>,
    /// Where in the file the message belongs, if that is not the place of the reply.
    pub place: Option<FilePlace>,
}

/// A place in a session file after a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    /// The number of the record's line; 0 is the start of the file.
    pub line: u64,
    /// Where the record ends, in bytes.
    pub offset: u64,
}

impl FilePlace {
    pub(super) fn after(line: u64, span: &Range<u64>) -> FilePlace {
        FilePlace { line, offset: span.end }
    }
}

/// What a difference is.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// The reply arrived, but elsewhere in its block.
    OutOfOrder,
    /// Another message arrived in its place.
    Differs(Vec<Difference>),
    /// It did not arrive.
    NoReply {
        /// How long it was waited for, since the request was sent.
        waited: Duration,
    },
    /// The message was not recorded.
    Extra,
    /// The peer was gone.
    Gone {
        /// How it went away.
        close: CloseKind,
        /// How many replies could not be compared.
        count: u64,
    },
}

/// How a peer went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseKind {
    /// It closed the connection.
    Closed,
    /// The connection was reset.
    Reset,
    /// It sent what cannot be read any further.
    Broken,
}

/// A recorded reply.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number of its line in the file.
    pub number: u64,
    /// Where it stands in the file, in bytes.
    pub span: Range<u64>,
    /// The message; its line is the text of the pattern, if it is one.
    pub content: Content,
    /// Whether it is a pattern (`#~`).
    pub is_pattern: bool,
}

impl From<&Expected> for Recorded {
    fn from(reply: &Expected) -> Recorded {
        let (number, span, content) = (reply.number, reply.span.clone(), reply.content.clone());
        Recorded { number, span, content, is_pattern: reply.is_pattern() }
    }
}

impl Entry {
    /// What the difference is, in a few words.
    pub fn headline(&self) -> String {
        let after = |what: &str| match self.place {
            Some(FilePlace { line: line @ 1.., .. }) => format!("{what} after line {line}"),
            _ => format!("{what} first"),
        };
        match &self.kind {
            EntryKind::Differs(differences) => {
                let is_error = |content: &Content| content.command() == "error";
                let is_expected = self.recorded.as_ref().is_some_and(|recorded| is_error(&recorded.content));
                if !is_expected && self.received.as_ref().is_some_and(|received| is_error(&received.content)) {
                    return "the peer replied with an error".to_owned();
                }
                let names: Vec<String> = differences.iter().map(|it| safe(it.name.as_bytes())).collect();
                format!("differs in {}", names.join(", "))
            }
            EntryKind::OutOfOrder => after("out of order: received"),
            EntryKind::NoReply { waited } => format!("no reply within {:.3} s", waited.as_secs_f64()),
            EntryKind::Extra => after("not recorded: received"),
            EntryKind::Gone { close, count } => {
                let how = match close {
                    CloseKind::Closed => "the peer closed the connection",
                    CloseKind::Reset => "the connection was lost",
                    CloseKind::Broken => "the peer broke the framing",
                };
                let more = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
                format!("{how} before this reply{more}")
            }
        }
    }

    /// Whether it is about a pattern, which `--update` never changes.
    pub fn is_pattern(&self) -> bool {
        self.recorded.as_ref().is_some_and(|recorded| recorded.is_pattern)
    }

    /// How many recorded replies it is about.
    fn replies(&self) -> u64 {
        match self.kind {
            EntryKind::Extra => 0,
            EntryKind::Gone { count, .. } => count,
            _ => 1,
        }
    }

    /// Its kind in one word.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            EntryKind::OutOfOrder => "out-of-order",
            EntryKind::Differs(_) => "differs",
            EntryKind::NoReply { .. } => "no-reply",
            EntryKind::Extra => "extra",
            EntryKind::Gone { .. } => "gone",
        }
    }
}

/// Writes differences as text.
#[derive(Clone, Copy, Debug)]
pub struct EntryWriter<'a> {
    /// The name of the recording.
    pub file: &'a str,
    /// Whether what was expected is red and what was received green.
    pub is_colored: bool,
}

impl EntryWriter<'_> {
    /// Appends a difference: its place and what it is in one line, then what was expected, what was received, and
    /// parameter by parameter what differs. Nothing is cut, and control characters are escaped.
    pub fn write(self, entry: &Entry, out: &mut String) {
        let number = entry.recorded.as_ref().map_or(String::new(), |recorded| format!(":{}", recorded.number));
        let place = self.colored(BOLD, &format!("{}{number}", self.file));
        let _ = writeln!(out, "{place}: {}", entry.headline());
        if let Some(Recorded { content, .. }) = &entry.recorded {
            self.line("- expected", content, RED, out);
        }
        if let Some(Received { content, .. }) = &entry.received {
            self.line("+ actual  ", content, GREEN, out);
        }
        let EntryKind::Differs(differences) = &entry.kind else { return };
        for Difference { name, expected, actual } in differences {
            let shown = |text: &Option<String>, what: &str, none: &str| {
                text.as_ref().map_or(none.to_owned(), |text| format!("{what} {}", safe(text.as_bytes())))
            };
            let actual = shown(actual, "actual", "not received");
            let parts = match name.as_str() {
                "@line" => "only one of the two lines is well-formed".to_owned(),
                _ if entry.is_pattern() => actual,
                _ => format!("{}, {actual}", shown(expected, "expected", "not recorded")),
            };
            let _ = writeln!(out, "    {}: {parts}", safe(name.as_bytes()));
        }
    }

    fn line(self, what: &str, content: &Content, color: &str, out: &mut String) {
        let mut text = format!("{what} {}", safe(&content.line));
        if !content.payload().is_empty() {
            let _ = write!(text, " (payload {})", STANDARD.encode(content.payload()));
        }
        let _ = writeln!(out, "  {}", self.colored(color, &text));
    }

    fn colored(self, color: &str, text: &str) -> String {
        if self.is_colored { format!("{color}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// The result of a check in one line: `PASS: 14 replies as recorded` or `FAIL: 3 of 14 replies differ`.
pub fn summary(entries: &[Entry], compared: u64) -> String {
    let extra = entries.iter().filter(|entry| entry.kind == EntryKind::Extra).count();
    let differing: u64 = entries.iter().map(Entry::replies).sum();
    let mut failures = Vec::new();
    if differing > 0 {
        failures.push(format!("{differing} of {compared} replies differ"));
    }
    if extra > 0 {
        failures.push(format!("{extra} message{} not recorded", if extra == 1 { "" } else { "s" }));
    }
    match compared {
        _ if !failures.is_empty() => format!("FAIL: {}", failures.join(", ")),
        0 => "FAIL: no replies to compare".to_owned(),
        1 => "PASS: 1 reply as recorded".to_owned(),
        _ => format!("PASS: {compared} replies as recorded"),
    }
}
