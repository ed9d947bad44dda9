//! A recording in a file: read once before the connection is made, then again while it is played. Standard input is
//! read to its end first.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::bcp::Side;
use crate::catalogue::{self, Refusal};
use crate::commands::input::Source;
use crate::exit::{Exit, Failure};
use crate::framing::FramingOptions;
use crate::limits::READ_BYTES;
use crate::output::Console;
use crate::session::{Error, ErrorKind, Kind, Note, Reader, Record, Settings};
pub(super) use crate::text::count;
use crate::text::file_name;

/// How many connection numbers an error lists.
const CONNECTIONS_LISTED_MAX: usize = 16;

/// Which lines of a file are played, and how it is read.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// `--from`.
    pub from: Option<Kind>,
    /// `--conn`.
    pub connection: Option<u32>,
    /// The side that is played.
    pub side: Side,
    pub framing: FramingOptions,
}

/// Where the bytes of a recording are, which are read more than once.
#[derive(Clone)]
pub(super) enum RecordingBytes {
    File(PathBuf),
    /// What standard input, or a pipe, held.
    Memory(Rc<[u8]>),
}

impl RecordingBytes {
    /// Finds a file, and its name for messages; reads standard input, or what is no regular file, to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(path: &Path) -> Result<(RecordingBytes, String), Failure> {
        if path.as_os_str() != "-" && fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok((RecordingBytes::File(path.to_owned()), file_name(path)));
        }
        let Source { mut reader, name } = Source::open(path)?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| Failure::io(format_args!("cannot read {name}"), &error))?;
        Ok((RecordingBytes::Memory(bytes.into()), name))
    }

    /// The bytes from the start.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn bytes(&self) -> io::Result<Box<dyn BufRead>> {
        Ok(match self {
            RecordingBytes::File(path) => Box::new(BufReader::with_capacity(READ_BYTES, File::open(path)?)),
            RecordingBytes::Memory(bytes) => Box::new(Cursor::new(Rc::clone(bytes))),
        })
    }
}

/// The records of one connection of a file.
pub(super) struct Recording {
    content: RecordingBytes,
    /// What messages call it.
    pub(super) name: String,
    choice: Choice,
    reader: Reader<Box<dyn BufRead>>,
    /// The connection whose records are read, once it is known.
    connection: Option<u32>,
}

/// What a recording holds.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// The file's name without its folders.
    pub name: String,
    /// How many messages will be sent.
    pub requests: u64,
    /// The time of the first message.
    first: Option<Duration>,
    /// The latest time of any message.
    last: Option<Duration>,
    pub settings: Settings,
}

impl Summary {
    /// How long the recording took, if it has times.
    pub(super) fn duration(&self) -> Option<Duration> {
        Some(self.last?.saturating_sub(self.first?))
    }

    /// How much there is to play, in words.
    pub(super) fn size(&self) -> String {
        let messages = count(self.requests, "message");
        match self.duration() {
            Some(duration) => format!("{messages}, {:.1} s as recorded", duration.as_secs_f64()),
            None => messages,
        }
    }
}

impl Recording {
    /// Opens a file and reads it once: what is wrong with it is known before the connection is made. Damaged lines of
    /// a log are reported. The `guard`, if there is one, checks what will be sent.
    ///
    /// # Errors
    /// The file cannot be read or played.
    pub(super) fn open(
        path: &Path,
        choice: Choice,
        guard: Option<&mut GuardSummary>,
        console: &mut Console,
    ) -> Result<(Recording, Summary), Failure> {
        let (content, name) = RecordingBytes::open(path)?;
        let reader = start(&content, &name, &choice)?;
        let mut recording = Recording { content, name, reader, connection: choice.connection, choice };
        let mut summary = recording.survey(guard, console)?;
        let base = path.file_name().filter(|base| *base != "-").map(file_name);
        summary.name = base.unwrap_or_else(|| recording.name.clone());
        Ok((recording, summary))
    }

    /// The next record of the connection.
    ///
    /// # Errors
    /// The file has changed since it was opened, and cannot be read or played any more.
    pub(super) fn read(&mut self) -> Result<Option<Record>, Failure> {
        while let Some(record) = self.next(None)? {
            if *self.connection.get_or_insert(record.connection) == record.connection {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Calls `see` for each reply, from the start; then it stands at the start again.
    ///
    /// # Errors
    /// As for [`Recording::read`], and what `see` returns.
    pub(super) fn each_reply(&mut self, mut see: impl FnMut(&Record) -> Result<(), Failure>) -> Result<(), Failure> {
        self.rewind()?;
        while let Some(record) = self.read()? {
            if record.side != self.choice.side {
                see(&record)?;
            }
        }
        self.rewind()
    }

    pub(super) fn kind(&self) -> Kind {
        self.reader.kind()
    }

    /// Goes back to the start.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub(super) fn rewind(&mut self) -> Result<(), Failure> {
        self.reader = start(&self.content, &self.name, &self.choice)?;
        Ok(())
    }

    fn survey(&mut self, mut guard: Option<&mut GuardSummary>, console: &mut Console) -> Result<Summary, Failure> {
        let mut summary = Summary::default();
        let (only, mut is_found, mut connections) = (self.choice.connection, false, Vec::new());
        while let Some(record) = self.next(Some(console))? {
            if !connections.contains(&record.connection) && connections.len() <= CONNECTIONS_LISTED_MAX {
                connections.push(record.connection);
            }
            if only.is_some_and(|only| only != record.connection) {
                continue;
            }
            is_found = true;
            summary.first = summary.first.or(record.time);
            summary.last = summary.last.max(record.time);
            if record.side == self.choice.side && !record.is_pattern {
                summary.requests += 1;
                guard.iter_mut().for_each(|guard| guard.check(&record));
            }
        }
        let refused = |why: String| Err(Failure::Refused(format!("{}: {why}", self.name)));
        let list = || {
            let listed: Vec<String> =
                connections.iter().take(CONNECTIONS_LISTED_MAX).map(|number| number.to_string()).collect();
            let more = if connections.len() > CONNECTIONS_LISTED_MAX { ", ..." } else { "" };
            format!("{}{more}", listed.join(", "))
        };
        match (only, summary.requests, self.choice.side) {
            (None, ..) if connections.len() > 1 => {
                return refused(format!("several connections, and one is played: --conn picks one of {}", list()));
            }
            (Some(only), ..) if !is_found => {
                return refused(format!("no connection {only}: --conn picks one of {}", list()));
            }
            (_, 0, Side::Client) => {
                return refused("nothing to play: the client sent no line; --serve plays the server".to_owned());
            }
            (_, 0, Side::Server) => {
                return refused("nothing for --serve to play: the server sent no line".to_owned());
            }
            _ => {}
        }
        summary.settings = self.reader.settings().clone();
        self.rewind()?;
        Ok(summary)
    }

    /// The next record of any connection. What does not end the reading is reported, given a console.
    fn next(&mut self, mut console: Option<&mut Console>) -> Result<Option<Record>, Failure> {
        loop {
            let record = self.reader.next();
            if let Some(console) = console.as_deref() {
                report_note(&self.name, self.reader.take_note(), console);
            }
            match record.transpose() {
                Ok(record) => return Ok(record),
                Err(error) => report_error(&self.name, error, console.as_deref_mut())?,
            }
        }
    }
}

/// A reader at the start.
fn start(content: &RecordingBytes, name: &str, choice: &Choice) -> Result<Reader<Box<dyn BufRead>>, Failure> {
    let reader = content.bytes().and_then(|bytes| Reader::new(bytes, choice.from, &choice.framing));
    reader.map_err(|error| Failure::io(format_args!("cannot read {name}"), &error))
}

/// Reports an error that costs only its line, given a console.
///
/// # Errors
/// The error, if it ends the reading.
pub(super) fn report_error(name: &str, error: Error, console: Option<&mut Console>) -> Result<(), Failure> {
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

pub(super) fn report_note(name: &str, note: Option<Note>, console: &Console) {
    match note {
        Some(Note { number: Some(number), text }) => console.note(format_args!("{name}:{number}: {text}")),
        Some(Note { number: None, text }) => console.note(format_args!("{name}: {text}")),
        None => {}
    }
}

/// What the guard finds in a recording, which is played all the same: the first line of each kind, and how many there
/// are.
#[derive(Debug, Default)]
pub(super) struct GuardSummary(Vec<(Refusal, u64, u64)>);

impl GuardSummary {
    fn check(&mut self, record: &Record) {
        let Err(refusal) = catalogue::check_line(&record.line, record.payload.as_deref()) else { return };
        let is_same = |known: &Refusal| known.rule == refusal.rule && known.harm == refusal.harm;
        match self.0.iter_mut().find(|(known, ..)| is_same(known)) {
            Some((.., count)) => *count += 1,
            None => self.0.push((refusal, record.number, 1)),
        }
    }

    /// Warns of it.
    pub(super) fn report(self, file: &str, console: &Console) {
        for (refusal, number, count) in self.0 {
            let more = match count {
                1 => String::new(),
                count => format!(", and {} more of this kind", count - 1),
            };
            console.warn(format_args!("{file}:{number}: {refusal} (sent all the same{more})"));
        }
    }
}
