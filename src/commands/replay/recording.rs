//! A recording in a file: looked through once before anything is dialled, then read as it is played. Standard input
//! cannot be read twice: there the lines are played as they come, and an error among them ends the playing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use crate::bcp::is_command;
use crate::exit::{Exit, Failure};
use crate::framing::FramingOptions;
use crate::output::Console;
use crate::session::{Error, Kind, Note, Reader, Record, RecordKind, Settings};
use crate::text::{safe, shown};

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
    pub side: RecordKind,
    /// How long lines and payloads may be.
    pub framing: FramingOptions,
}

/// A session, plain lines or a log, read as a stream.
#[derive(Debug)]
pub struct Recording {
    source: Source,
    /// What complaints call it.
    name: String,
    choice: Choice,
    reader: Reader,
    ended: bool,
    /// The connection whose lines are read, once it is known.
    connection: Option<u32>,
    /// The first message of standard input, read when it was opened.
    first: Option<Line>,
    /// How many lines were read of the side that is played.
    ours: u64,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    File(File),
    /// Standard input, which whoever plays it reads.
    Fed,
}

/// One recorded message. Made once and filled anew for each.
#[derive(Debug)]
pub struct Line {
    /// When it was seen, counted from the start of the recording, if it says so.
    pub time: Option<Duration>,
    /// Who sent it, or that a pattern stands for what the accepting side should.
    pub side: RecordKind,
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
        Line { time: None, side: RecordKind::Client, number: 0, connection: 1, bytes: Vec::new(), line_length: 0 }
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

/// What a look through a whole file has found; of standard input, what its first message tells.
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
    /// Opens a file, looks through it, and stands at its start again: what is wrong with it is known before anybody is
    /// dialled, and damaged lines of a log are reported. `see` is shown each line that will be sent. Of standard input
    /// (`-`) only as much is read, by `wait`, as its first message takes, and nothing is shown.
    ///
    /// # Errors
    /// A file that cannot be read twice, or that cannot be played as it is; what `wait` fails with.
    pub fn open(
        path: &Path,
        choice: Choice,
        console: &mut Console,
        wait: impl FnMut(&mut [u8]) -> Result<usize, Failure>,
        see: impl FnMut(&Record<'_>),
    ) -> Result<(Recording, Survey), Failure> {
        let is_stdin = path.as_os_str() == "-";
        // The name stands before complaints, where an editor looks for the file: it is never cut.
        let name = if is_stdin { "<stdin>".to_owned() } else { safe(path.as_os_str().as_encoded_bytes()) };
        let source = if is_stdin { Source::Fed } else { Source::File(open_regular(path, &name)?) };
        let mut recording = Recording {
            source,
            reader: Reader::new(choice.from, choice.framing.clone(), is_command),
            ended: false,
            connection: choice.connection,
            choice,
            first: None,
            ours: 0,
            name,
        };
        let mut survey = if is_stdin { recording.begin(console, wait)? } else { recording.survey(console, see)? };
        let base = path.file_name().filter(|_| !is_stdin).map(|base| shown(base.as_encoded_bytes()));
        survey.name = base.unwrap_or_else(|| recording.name.clone());
        Ok((recording, survey))
    }

    /// Reads the next message into `line`; whether there was one. When there was none and [`Recording::wants_input`],
    /// one can still come. What standard input has to complain of is said.
    ///
    /// # Errors
    /// Standard input, or a file that has changed since it was looked through, holds what cannot be played; the file
    /// cannot be read any more.
    pub fn read(&mut self, line: &mut Line, console: &mut Console) -> Result<bool, Failure> {
        if let Some(first) = self.first.take() {
            *line = first;
            return Ok(true);
        }
        loop {
            // What is to be said of a file was said when it was looked through.
            let console = Some(&mut *console).filter(|_| !matches!(self.source, Source::File(_)));
            if !self.each(console, |record| line.fill(record))? {
                return if self.ended { self.check_ours(self.ours).map(|()| false) } else { Ok(false) };
            }
            if *self.connection.get_or_insert(line.connection) == line.connection {
                self.ours += u64::from(line.side == self.choice.side);
                return Ok(true);
            }
            if self.choice.connection.is_none() {
                let place = format!("{}:{}", self.name, line.number);
                let why = "a second connection, and one is played; --conn picks one".to_owned();
                return Err(Failure::Malformed(place, why));
            }
        }
    }

    /// Whether the next message waits for bytes of standard input, which [`Recording::feed`] takes.
    pub fn wants_input(&self) -> bool {
        matches!(self.source, Source::Fed) && self.first.is_none() && !self.ended
    }

    /// Takes bytes of standard input; none at its end.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.ended |= bytes.is_empty();
        self.reader.feed(bytes);
    }

    /// How long its lines and payloads may be.
    pub fn framing(&self) -> FramingOptions {
        self.choice.framing.clone()
    }

    /// What it is, once something of it has been read.
    pub fn kind(&self) -> Option<Kind> {
        self.reader.kind()
    }

    /// Stands at its start again.
    ///
    /// # Errors
    /// The file cannot be read any more, or it is standard input.
    pub fn rewind(&mut self) -> Result<(), Failure> {
        let doing = format!("cannot read {} again", self.name);
        let Source::File(file) = &mut self.source else { return Err(Failure::Io(doing)) };
        file.rewind().map_err(|error| Failure::io(doing, &error))?;
        self.reader = Reader::new(self.choice.from, self.choice.framing.clone(), is_command);
        self.ended = false;
        self.ours = 0;
        Ok(())
    }

    /// Looks through the whole file.
    fn survey(&mut self, console: &mut Console, mut see: impl FnMut(&Record<'_>)) -> Result<Survey, Failure> {
        let mut survey = Survey::default();
        let Choice { connection: only, side, .. } = self.choice;
        let (mut ours, mut found, mut connections) = (0, false, Connections::default());
        while self.each(Some(console), |record| {
            connections.add(record.connection);
            if only.is_some_and(|only| only != record.connection) {
                return;
            }
            found = true;
            survey.first = survey.first.or(record.time);
            survey.last = survey.last.max(record.time);
            if record.side == side {
                ours += 1;
                see(record);
            }
        })? {}
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

    /// Reads standard input up to its first message, so that the settings are known.
    fn begin(
        &mut self,
        console: &mut Console,
        mut wait: impl FnMut(&mut [u8]) -> Result<usize, Failure>,
    ) -> Result<Survey, Failure> {
        let mut line = Line::default();
        while !self.read(&mut line, console)? {
            let count = wait(self.reader.space())?;
            self.reader.filled(count);
            self.ended = count == 0;
        }
        self.first = Some(line);
        Ok(Survey { settings: self.reader.settings().clone(), ..Survey::default() })
    }

    /// Whether there is something to play.
    fn check_ours(&self, ours: u64) -> Result<(), Failure> {
        let why = match (ours, self.choice.side) {
            (1.., _) => return Ok(()),
            (0, RecordKind::Client) => "nothing to play: no line in it is the dialler's; --serve plays the acceptor",
            (0, _) => "nothing for --serve to play: no line in it is the acceptor's",
        };
        Err(Failure::Refused(format!("{}: {why}", self.name)))
    }

    /// Shows the next record to `see`; whether there was one. Says what does not end the reading, given a console.
    fn each(&mut self, mut console: Option<&mut Console>, mut see: impl FnMut(&Record<'_>)) -> Result<bool, Failure> {
        loop {
            let found = if self.ended { self.reader.end() } else { self.reader.next_record() };
            let read = match found {
                Some(Ok(record)) => {
                    see(&record);
                    true
                }
                Some(Err(error)) => {
                    report(&self.name, &error, console.as_deref_mut())?;
                    continue;
                }
                None => false,
            };
            if let Some(console) = console.as_deref() {
                tell(&self.name, self.reader.take_note(), console);
            }
            if read || self.ended || matches!(self.source, Source::Fed) {
                return Ok(read);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let space = self.reader.space();
        let read = match &mut self.source {
            Source::File(file) => file.read(space),
            Source::Fed => return Ok(()),
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(count) => self.reader.filled(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io(format_args!("cannot read {}", self.name), &error)),
        }
        Ok(())
    }
}

/// Opens a file that can be read twice.
fn open_regular(path: &Path, name: &str) -> Result<File, Failure> {
    let cannot_read = |error: io::Error| Failure::io(format_args!("cannot read {name}"), &error);
    // A pipe would block in its opening, where no stop reaches us.
    let found = std::fs::metadata(path).map_err(cannot_read)?;
    if !found.is_file() {
        let why = match found.is_dir() {
            true => "it is a directory",
            false => "it is no regular file, and it is read twice; - plays standard input",
        };
        return Err(Failure::Io(format!("cannot read {name}: {why}")));
    }
    File::open(path).map_err(cannot_read)
}

/// What is wrong with an input: said when it costs its line alone and somebody is to hear it, else what ends the run.
///
/// # Errors
/// What ends the run.
pub fn report(name: &str, error: &Error, console: Option<&mut Console>) -> Result<(), Failure> {
    let place = error.number.map(|number| format!("{name}:{number}"));
    match (place, error.is_passed_over()) {
        (Some(place), true) => {
            console.into_iter().for_each(|console| console.complain(Exit::No, &place, error));
            Ok(())
        }
        (Some(place), false) => Err(Failure::Malformed(place, error.to_string())),
        (None, _) => Err(Failure::Refused(format!("{name}: {error}"))),
    }
}

/// Says a note about an input.
pub fn tell(name: &str, note: Option<Note>, console: &Console) {
    match note.map(|note| (note, note.number())) {
        Some((note, Some(number))) => console.note(format_args!("{name}:{number}: {note}")),
        Some((note, None)) => console.note(format_args!("{name}: {note}")),
        None => {}
    }
}
