//! A recorded session of OBE_Socket as what was asked and replied, read as a stream (design.md, sections 11 and 12).
//!
//! JSON Lines without a session's first line are read as a session whose line 1 was left out, so `#<` lines are replies
//! there too.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use crate::bcp::is_command;
use crate::check::Recorded;
use crate::commands::source::Source;
use crate::exit::Failure;
use crate::framing::{FramingOptions, Wire};
use crate::limits::{OBE_BODY_BYTES_MAX, READ_BYTES};
use crate::session::{Error, HEADER, Kind, Note, Reader, Record, RecordKind, Settings};

/// A byte order mark, which may stand at the start of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// How many messages may wait for their replies at once: more connections than a server of ours takes unless told.
const WAITING_MAX: usize = 256;

/// A message and what was replied to it.
#[derive(Debug)]
pub struct Question {
    /// The number of its line in the file.
    pub number: u64,
    /// When it was sent, counted from the start of the recording, if it says so.
    pub time: Option<Duration>,
    /// The message, on one line.
    pub text: Vec<u8>,
    /// The reply, if one was recorded.
    pub reply: Option<Recorded>,
    /// When that was seen.
    pub replied: Option<Duration>,
    connection: u32,
    /// Whether no reply can follow any more.
    closed: bool,
}

/// A session, read as a stream.
pub struct Tape {
    source: Source,
    reader: Reader,
    /// The connection whose messages are read; without it, those of all.
    connection: Option<u32>,
    /// Whether the file's first line is not a session's: then its last counts without LF too.
    headless: bool,
    ended: bool,
    waiting: VecDeque<Question>,
}

/// Whether a file is a session of OBE_Socket by what it says of itself. What cannot be read is none.
pub fn is_tape(file: &Path) -> bool {
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    let open = || {
        let mut source = Source::open(file).ok()?;
        let mut reader = reader(None);
        let count = source.read(reader.space()).ok()?;
        reader.filled(count);
        let _ = reader.next_record();
        Some(reader.settings().wire == Some(Wire::Obe))
    };
    is_file && open() == Some(true)
}

/// How the lines of a session of OBE_Socket are read: each may be as long as a body, and none has a payload.
pub fn framing() -> FramingOptions {
    FramingOptions { line_bytes_max: OBE_BODY_BYTES_MAX, payloads: false, ..FramingOptions::default() }
}

fn reader(kind: Option<Kind>) -> Reader {
    Reader::new(kind, framing(), is_command)
}

impl Tape {
    /// Opens a file, whose messages are those of one connection if one is given.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(file: &Path, connection: Option<u32>) -> Result<Tape, Failure> {
        let (mut source, mut reader) = (Source::open(file)?, reader(Some(Kind::Session)));
        let (mut start, mut piece) = (Vec::new(), vec![0; READ_BYTES]);
        loop {
            let count = source.read(&mut piece)?;
            let come = piece.get(..count).unwrap_or_default();
            reader.feed(come);
            start.extend_from_slice(come);
            if start.len() >= HEADER.len() + MARK.len() || count == 0 {
                let headless = !start.strip_prefix(MARK).unwrap_or(&start).starts_with(HEADER.as_bytes());
                let mut tape = Tape { source, reader, connection, headless, ended: false, waiting: VecDeque::new() };
                if count == 0 {
                    tape.end();
                }
                return Ok(tape);
            }
        }
    }

    /// Whether it is a session file, and not JSON Lines.
    pub fn is_session(&self) -> bool {
        !self.headless
    }

    /// What the session says of itself, as far as it has been read.
    pub fn settings(&self) -> &Settings {
        self.reader.settings()
    }

    /// What its user should hear.
    pub fn take_note(&mut self) -> Option<Note> {
        self.reader.take_note()
    }

    /// The next message, once its reply is known, or that there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is no session.
    pub fn next(&mut self) -> Result<Option<Question>, Failure> {
        loop {
            let is_known = |question: &Question| question.reply.is_some() || question.closed;
            if self.waiting.front().is_some_and(is_known) || self.waiting.len() >= WAITING_MAX {
                return Ok(self.waiting.pop_front());
            }
            let Tape { reader, connection, waiting, ended, source, .. } = self;
            let wrong = |number: u64, why: &dyn std::fmt::Display| {
                Err(Failure::Refused(format!("{}:{number}: {why}", source.name)))
            };
            match if *ended { reader.end() } else { reader.next_record() } {
                Some(Ok(record)) if connection.is_some_and(|only| only != record.connection) => {}
                Some(Ok(record)) => {
                    if let Err(why) = take(waiting, &record) {
                        return wrong(record.number, &why);
                    }
                }
                Some(Err(Error { number: Some(number), reason })) => return wrong(number, &reason),
                Some(Err(Error { number: None, .. })) => return Err(nothing(&source.name)),
                None if *ended => return Ok(waiting.pop_front()),
                None => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let count = self.source.read(self.reader.space())?;
        self.reader.filled(count);
        if count == 0 {
            self.end();
        }
        Ok(())
    }

    /// The last line of JSON Lines counts without its LF too; that of a session file may be half a line.
    fn end(&mut self) {
        if self.headless {
            self.reader.feed(b"\n");
        }
        self.ended = true;
    }
}

/// What is said of a file without a message.
pub fn nothing(name: &str) -> Failure {
    Failure::Refused(format!("{name}: nothing to play: no message in it is the dialler's"))
}

/// Takes in a record: a message, or the reply to the last message of its connection.
fn take(waiting: &mut VecDeque<Question>, record: &Record<'_>) -> Result<(), &'static str> {
    let Record { number, time, connection, side, line, .. } = *record;
    let last = waiting.iter_mut().rev().find(|question| question.connection == connection);
    if side == RecordKind::Client {
        if let Some(last) = last {
            last.closed = true;
        }
        waiting.push_back(Question {
            number,
            time,
            text: line.to_vec(),
            reply: None,
            replied: None,
            connection,
            closed: false,
        });
        return Ok(());
    }
    match last {
        Some(Question { reply: reply @ None, replied, .. }) => {
            let is_pattern = side == RecordKind::Pattern;
            *reply = Some(Recorded { number, line: line.to_vec(), payload: Vec::new(), is_pattern });
            *replied = time;
            Ok(())
        }
        _ => Err("a reply to no message: OBE_Socket has one reply for each message of the dialler"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(text: &str) -> Result<Vec<String>, String> {
        questions_of(text, None)
    }

    fn questions_of(text: &str, connection: Option<u32>) -> Result<Vec<String>, String> {
        let name = format!("backbox-tape-{}-{:?}", std::process::id(), std::thread::current().id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        let mut tape = Tape::open(&file, connection).unwrap();
        let mut seen = Vec::new();
        let result = loop {
            match tape.next() {
                Ok(None) => break Ok(seen),
                Ok(Some(Question { time, text, reply, .. })) => {
                    let reply = reply.map(|reply| {
                        let mark = if reply.is_pattern { "~" } else { "<" };
                        format!(" {}{mark}{}", reply.number, String::from_utf8_lossy(&reply.line))
                    });
                    let time = time.map_or(String::new(), |time| format!("{} ", time.as_millis()));
                    seen.push(format!("{time}{}{}", String::from_utf8_lossy(&text), reply.unwrap_or_default()));
                }
                Err(failure) => break Err(failure.message().unwrap_or_default().replace(file.to_str().unwrap(), "f")),
            }
        };
        std::fs::remove_file(&file).unwrap();
        result
    }

    #[test]
    fn replies_find_their_messages_over_all_connections() {
        let session = "#backbox-session 1\n#!wire obe\n#@0\n\"a\"\n#@0.5 2\n\"b\"\n#@1 2\n#<1\n#@2 1\n#<{}\n#~*\n";
        let why = "f:11: a reply to no message: OBE_Socket has one reply for each message of the dialler";
        assert_eq!(questions(session), Err(why.to_owned()));
        let session = session.strip_suffix("#~*\n").unwrap();
        assert_eq!(questions(session).unwrap(), ["0 \"a\" 10<{}", "500 \"b\" 8<1"]);
        assert_eq!(questions_of(session, Some(2)).unwrap(), ["500 \"b\" 8<1"]);
        assert_eq!(questions_of(session, Some(3)).unwrap(), [""; 0]);
        assert_eq!(questions("#backbox-session 1\n#!wire obe\n1\n2\n#~*?x\n3").unwrap(), ["1", "2 5~*?x"]);
    }

    #[test]
    fn json_lines_need_no_header_and_their_last_no_end() {
        assert_eq!(questions("1\n# no\n\n#<\"OK\"\r\n[2]").unwrap(), ["1 4<\"OK\"", "[2]"]);
        assert!(questions("# nothing\n").unwrap_err().starts_with("f: nothing to play"));
        assert_eq!(questions("1\n#<2\n#@x\n").unwrap_err().split(": ").next(), Some("f:3"));
    }
}
