//! A recorded session in a file: looked through once before anything is dialled, then read as it is played.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use crate::codec::is_command;
use crate::failure::{Failure, plain_words};
use crate::framing::{Framing, Wire};
use crate::output::Console;
use crate::session::{Error, Kind, Reader, Record, Settings, Side};
use crate::text::shown;

/// How many connection numbers an error lists: enough to choose from, and no file makes it long.
const CONNECTIONS_LISTED_MAX: usize = 16;

/// A session file, read as a stream.
#[derive(Debug)]
pub struct Recording {
    file: File,
    name: String,
    reader: Reader,
    file_ended: bool,
}

/// One recorded message. Made once and filled anew for each.
#[derive(Debug)]
pub struct Line {
    /// When it was seen, counted from the start of the recording, if it says so.
    pub time: Option<Duration>,
    /// Who sent it, or that a pattern stands for what the accepting side should.
    pub side: Side,
    /// The line's number in the file, from 1.
    pub number: u64,
    /// The connection it was recorded on.
    pub connection: u32,
    /// The line, its LF and its payload.
    pub bytes: Vec<u8>,
    line_length: usize,
}

impl Default for Line {
    fn default() -> Line {
        Line { time: None, side: Side::Dialler, number: 0, connection: 1, bytes: Vec::new(), line_length: 0 }
    }
}

impl Line {
    /// The line without LF and payload.
    pub fn line(&self) -> &[u8] {
        self.bytes.get(..self.line_length).unwrap_or_default()
    }

    /// The payload behind it, if there is one.
    pub fn payload(&self) -> Option<&[u8]> {
        self.bytes.get(self.line_length + 1..).filter(|payload| !payload.is_empty())
    }

    /// The same as the reader gave it; an empty payload is none.
    pub fn record(&self) -> Record<'_> {
        let Line { time, side, number, connection, .. } = *self;
        Record { number, time, connection, side, line: self.line(), payload: self.payload() }
    }

    fn fill(&mut self, record: &Record<'_>) {
        self.time = record.time;
        self.side = record.side;
        self.number = record.number;
        self.connection = record.connection;
        self.bytes.clear();
        self.bytes.extend_from_slice(record.line);
        self.line_length = record.line.len();
        self.bytes.push(b'\n');
        self.bytes.extend_from_slice(record.payload.unwrap_or_default());
    }
}

/// What a look through a whole file has found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The file's name, without its directories.
    pub name: String,
    /// How many messages the side sent that is played.
    pub ours: u64,
    /// The time of the first message.
    pub first: Option<Duration>,
    /// The latest time of any message.
    pub last: Option<Duration>,
    /// What the session says of itself: its port, and what `--check` is told.
    pub settings: Settings,
    connections: Vec<u32>,
}

impl Survey {
    /// How much there is to play, in words.
    pub fn size(&self) -> String {
        let messages = count(self.ours, "message");
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                format!("{messages}, {:.1} s as recorded", last.saturating_sub(first).as_secs_f64())
            }
            _ => messages,
        }
    }

    fn add(&mut self, record: &Record<'_>, played: Side) {
        self.ours += u64::from(record.side == played);
        self.first = self.first.or(record.time);
        self.last = self.last.max(record.time);
        if !self.connections.contains(&record.connection) && self.connections.len() < CONNECTIONS_LISTED_MAX {
            self.connections.push(record.connection);
        }
    }

    /// What cannot be played, and why.
    fn check(&self, file: &str, played: Side) -> Result<(), Failure> {
        if self.connections.len() > 1 {
            let list: Vec<String> = self.connections.iter().map(u32::to_string).collect();
            let list = list.join(", ");
            return Err(Failure::Refused(format!(
                "{file}: it holds several connections ({list}), and one is played: keep the lines of one in a file \
                    of its own"
            )));
        }
        match (self.ours, played) {
            (1.., _) => Ok(()),
            (0, Side::Dialler) => {
                Err(Failure::Refused(format!("{file}: nothing to play: no line in it is the dialler's")))
            }
            (0, _) => {
                Err(Failure::Refused(format!("{file}: nothing for --serve to play: no line in it is the acceptor's")))
            }
        }
    }
}

/// `1 message`, `2 messages`.
pub fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Recording {
    /// Opens a file, looks through it, and stands at its start again: what is wrong with it is known before anybody is
    /// dialled. `see` is shown each line of the side that is `played`.
    ///
    /// # Errors
    /// A file that cannot be read twice, or that cannot be played as it is.
    pub fn open(
        path: &Path,
        played: Side,
        console: &Console,
        mut see: impl FnMut(&Record<'_>),
    ) -> Result<(Recording, Survey), Failure> {
        let name = shown(path.as_os_str().as_encoded_bytes());
        if path.as_os_str() == "-" {
            let why = "a session is read twice, and standard input cannot be; write it to a file and name that";
            return Err(Failure::Usage(why.to_owned()));
        }
        let cannot_read = |error: io::Error| Failure::io(format_args!("cannot read {name}"), &error);
        // A pipe would block in its opening, where no stop reaches us.
        let found = std::fs::metadata(path).map_err(cannot_read)?;
        if !found.is_file() {
            let kind = if found.is_dir() { "it is a directory" } else { "it is no regular file, and it is read twice" };
            return Err(Failure::Io(format!("cannot read {name}: {kind}")));
        }
        let file = File::open(path).map_err(cannot_read)?;
        let base = path.file_name().map(|base| shown(base.as_encoded_bytes()));
        let mut survey = Survey { name: base.unwrap_or_else(|| name.clone()), ..Survey::default() };
        let mut recording = Recording { file, name, reader: reader(), file_ended: false };
        while recording.each(|record| {
            survey.add(record, played);
            if record.side == played {
                see(record);
            }
        })? {}
        if let Some(note) = recording.reader.take_note() {
            console.note(format_args!("{}:{}: {note}", recording.name, note.number()));
        }
        if recording.reader.settings().wire == Some(Wire::Obe) {
            return Err(Failure::Refused(format!("{}: a session of OBE messages, and BCP is played", recording.name)));
        }
        survey.settings = recording.reader.settings().clone();
        survey.check(&recording.name, played)?;
        recording.rewind()?;
        Ok((recording, survey))
    }

    /// Reads the next message into `line`; whether there was one.
    ///
    /// # Errors
    /// The file has changed since it was looked through, or cannot be read any more.
    pub fn read(&mut self, line: &mut Line) -> Result<bool, Failure> {
        self.each(|record| line.fill(record))
    }

    /// Shows the next record to `see`; whether there was one.
    fn each(&mut self, mut see: impl FnMut(&Record<'_>)) -> Result<bool, Failure> {
        loop {
            let found = if self.file_ended { self.reader.end() } else { self.reader.next_record() };
            match found {
                Some(Ok(record)) => {
                    see(&record);
                    return Ok(true);
                }
                Some(Err(error)) => return Err(complaint(&self.name, &error)),
                None if self.file_ended => return Ok(false),
                None => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        match self.file.read(self.reader.space()) {
            Ok(0) => self.file_ended = true,
            Ok(count) => self.reader.filled(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Io(format!("cannot read {}: {}", self.name, plain_words(&error)))),
        }
        Ok(())
    }

    /// What it is, once something of it has been read.
    pub fn kind(&self) -> Option<Kind> {
        self.reader.kind()
    }

    /// Stands at its start again.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn rewind(&mut self) -> Result<(), Failure> {
        self.file.rewind().map_err(|error| Failure::io(format_args!("cannot read {} again", self.name), &error))?;
        self.reader = reader();
        self.file_ended = false;
        Ok(())
    }
}

fn reader() -> Reader {
    Reader::new(None, Framing::default(), is_command)
}

fn complaint(name: &str, error: &Error) -> Failure {
    Failure::Refused(match error.number {
        Some(number) => format!("{name}:{number}: {error}"),
        None => format!("{name}: {error}"),
    })
}
