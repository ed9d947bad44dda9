//! A recording in a file: looked through once before the peer is connected, then read as it is played. Standard input
//! is read to its end first.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::bcp::Side;
use crate::commands::input::Source;
use crate::exit::{Exit, Failure};
use crate::framing::FramingOptions;
use crate::limits::READ_BYTES;
use crate::output::Console;
use crate::session::{Error, ErrorKind, Kind, Note, Reader, Record, Settings};
use crate::text::file_name;

/// How many connection numbers an error lists: enough to choose from, and no file makes it long.
const CONNECTIONS_LISTED_MAX: usize = 16;

/// What of a file is played, and how it is read.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `--from`: what it is, if that is not to be found out.
    pub from: Option<Kind>,
    /// `--conn`: the connection whose lines are read; without it there may be one only.
    pub connection: Option<u32>,
    /// The side whose lines are sent.
    pub side: Side,
    /// How long lines and payloads may be.
    pub framing: FramingOptions,
}

/// A session, plain lines or a log, read as a stream.
pub struct Recording {
    content: Content,
    /// What messages call it.
    name: String,
    choice: Choice,
    reader: Reader<Box<dyn BufRead>>,
    /// The connection whose lines are read, once it is known.
    connection: Option<u32>,
}

/// Where the bytes are, which are read more than once.
#[derive(Clone)]
pub enum Content {
    /// A file.
    File(PathBuf),
    /// What standard input, or a pipe, held.
    Memory(Rc<[u8]>),
}

impl Content {
    /// Finds a file; reads standard input, or what is no regular file, to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<(Content, String), Failure> {
        if path.as_os_str() != "-" && fs::metadata(path).is_ok_and(|found| found.is_file()) {
            // The name stands before messages, where an editor looks for the file: it is never cut.
            return Ok((Content::File(path.to_owned()), file_name(path)));
        }
        let Source { mut reader, name } = Source::open(path)?;
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| Failure::io(format_args!("cannot read {name}"), &error))?;
        Ok((Content::Memory(bytes.into()), name))
    }

    /// The bytes from the start.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn bytes(&self) -> io::Result<Box<dyn BufRead>> {
        Ok(match self {
            Content::File(path) => Box::new(BufReader::with_capacity(READ_BYTES, File::open(path)?)),
            Content::Memory(bytes) => Box::new(Cursor::new(Rc::clone(bytes))),
        })
    }
}

/// One recorded message, and what of it goes over the wire.
#[derive(Debug)]
pub struct Line {
    record: Record,
    /// The line, its LF and its payload.
    pub bytes: Vec<u8>,
}

impl Default for Line {
    fn default() -> Line {
        Line::new(Record {
            number: 0,
            span: 0..0,
            time: None,
            connection: 1,
            side: Side::Client,
            is_pattern: false,
            line: Vec::new(),
            payload: None,
        })
    }
}

impl Deref for Line {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Line {
    fn new(record: Record) -> Line {
        let bytes = [&record.line, &b"\n"[..], record.payload.as_deref().unwrap_or_default()].concat();
        Line { record, bytes }
    }

    /// The line without LF and payload.
    pub fn line(&self) -> &[u8] {
        &self.record.line
    }

    /// The payload, if it is not empty.
    pub fn payload(&self) -> Option<&[u8]> {
        self.record.payload.as_deref().filter(|payload| !payload.is_empty())
    }

    /// The record itself.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// What a look through a whole file has found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The file's name, without its directories.
    pub name: String,
    /// How many messages the side sent that is played; unknown before the end of standard input.
    pub ours: Option<u64>,
    /// The time of the first message.
    pub first: Option<Duration>,
    /// The latest time of any message.
    pub last: Option<Duration>,
    /// What the session says of itself: its port, and what `--check` is told.
    pub settings: Settings,
}

impl Survey {
    /// How much there is to play, in words.
    pub fn size(&self) -> String {
        let Some(ours) = self.ours else { return "as it comes".to_owned() };
        let messages = count(ours, "message");
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                format!("{messages}, {:.1} s as recorded", last.saturating_sub(first).as_secs_f64())
            }
            _ => messages,
        }
    }
}

/// `1 message`, `2 messages`.
pub fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The connections of a recording, as many as an error lists.
#[derive(Debug, Default)]
struct Connections(Vec<u32>);

impl Connections {
    fn add(&mut self, number: u32) {
        if !self.0.contains(&number) && self.0.len() < CONNECTIONS_LISTED_MAX {
            self.0.push(number);
        }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(u32::to_string).collect();
        let more = if list.len() < CONNECTIONS_LISTED_MAX { "" } else { ", ..." };
        write!(f, "{}{more}", list.join(", "))
    }
}

impl Recording {
    /// Opens a file, looks through it, and stands at its start again: what is wrong with it is known before the peer is
    /// connected, and damaged lines of a log are reported. `see` is shown each line that will be sent. Standard input
    /// (`-`) is read to its end.
    ///
    /// # Errors
    /// A file that cannot be read, or that cannot be played as it is.
    pub fn open(
        path: &Path,
        choice: Choice,
        console: &mut Console,
        see: impl FnMut(&Record),
    ) -> Result<(Recording, Survey), Failure> {
        let (content, name) = Content::open(path)?;
        let reader = start(&content, &name, &choice)?;
        let mut recording = Recording { content, name, reader, connection: choice.connection, choice };
        let mut survey = recording.survey(console, see)?;
        let base = path.file_name().filter(|base| *base != "-").map(file_name);
        survey.name = base.unwrap_or_else(|| recording.name.clone());
        Ok((recording, survey))
    }

    /// Reads the next message into `line`; whether there was one.
    ///
    /// # Errors
    /// The file has changed since it was looked through, and holds what cannot be played, or cannot be read any more.
    pub fn read(&mut self, line: &mut Line) -> Result<bool, Failure> {
        while let Some(record) = self.next(None)? {
            if *self.connection.get_or_insert(record.connection) == record.connection {
                *line = Line::new(record);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.reader.kind()
    }

    /// Stands at its start again.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn rewind(&mut self) -> Result<(), Failure> {
        self.reader = start(&self.content, &self.name, &self.choice)?;
        Ok(())
    }

    /// Looks through the whole file.
    fn survey(&mut self, console: &mut Console, mut see: impl FnMut(&Record)) -> Result<Survey, Failure> {
        let mut survey = Survey::default();
        let Choice { connection: only, side, .. } = self.choice;
        let (mut ours, mut found, mut connections) = (0, false, Connections::default());
        while let Some(record) = self.next(Some(console))? {
            connections.add(record.connection);
            if only.is_some_and(|only| only != record.connection) {
                continue;
            }
            found = true;
            survey.first = survey.first.or(record.time);
            survey.last = survey.last.max(record.time);
            if record.side == side && !record.is_pattern {
                ours += 1;
                see(&record);
            }
        }
        let name = &self.name;
        match only {
            None if connections.0.len() > 1 => Err(Failure::Refused(format!(
                "{name}: it holds several connections, and one is played: --conn picks one of {connections}"
            ))),
            Some(only) if !found => Err(Failure::Refused(format!(
                "{name}: it holds no connection {only}: --conn picks one of {connections}"
            ))),
            _ => self.check_ours(ours),
        }?;
        survey.ours = Some(ours);
        survey.settings = self.reader.settings().clone();
        self.rewind()?;
        Ok(survey)
    }

    /// Whether there is something to play.
    fn check_ours(&self, ours: u64) -> Result<(), Failure> {
        let why = match (ours, self.choice.side) {
            (1.., _) => return Ok(()),
            (0, Side::Client) => "nothing to play: the client sent no line; --serve plays the server",
            (0, _) => "nothing for --serve to play: the server sent no line",
        };
        Err(Failure::Refused(format!("{}: {why}", self.name)))
    }

    /// The next record. Reports what does not end the reading, given a console.
    fn next(&mut self, mut console: Option<&mut Console>) -> Result<Option<Record>, Failure> {
        loop {
            let record = self.reader.next();
            if let Some(console) = console.as_deref() {
                tell(&self.name, self.reader.take_note(), console);
            }
            match record.transpose() {
                Ok(record) => return Ok(record),
                Err(error) => report(&self.name, error, console.as_deref_mut())?,
            }
        }
    }
}

/// A reader at the start.
fn start(content: &Content, name: &str, choice: &Choice) -> Result<Reader<Box<dyn BufRead>>, Failure> {
    let reader = content.bytes().and_then(|bytes| Reader::new(bytes, choice.from, &choice.framing));
    reader.map_err(|error| Failure::io(format_args!("cannot read {name}"), &error))
}

/// What is wrong with an input: said when it costs its line alone and somebody is to hear it, else what ends the run.
///
/// # Errors
/// What ends the run.
pub fn report(name: &str, error: Error, console: Option<&mut Console>) -> Result<(), Failure> {
    if let ErrorKind::Io(error) = &error.kind {
        return Err(Failure::io(format_args!("cannot read {name}"), error));
    }
    match (error.number.map(|number| format!("{name}:{number}")), error.is_skipped()) {
        (Some(place), true) => {
            console.into_iter().for_each(|console| console.report(Exit::Failed, &place, &error));
            Ok(())
        }
        (Some(place), false) => Err(Failure::Malformed(place, error.to_string())),
        (None, _) => Err(Failure::Refused(format!("{name}: {error}"))),
    }
}

/// Says a note about an input.
pub fn tell(name: &str, note: Option<Note>, console: &Console) {
    match note {
        Some(Note { number: Some(number), text }) => console.note(format_args!("{name}:{number}: {text}")),
        Some(Note { number: None, text }) => console.note(format_args!("{name}: {text}")),
        None => {}
    }
}
