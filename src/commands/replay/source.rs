//! A recording in a file: read once before the connection is made, then again while it is played. Standard input is
//! read to its end first.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::bcp::Side;
use crate::catalogue::{self, Refusal};
use crate::cli::{Given, number};
use crate::commands::addresses::MEDIA_PORT;
use crate::commands::input::Source;
use crate::commands::shared::Input;
use crate::exit::{Exit, Failure};
use crate::framing::{FramingOptions, Wire};
use crate::limits::READ_BYTES;
use crate::output::Console;
use crate::session::{CONNECTION_MAX, ErrorKind, Kind, Reader, Record, Settings};
use crate::text::{count, file_name};

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

impl Choice {
    /// # Errors
    /// [`Failure::Usage`] for what is no number.
    pub(super) fn read(given: &Given) -> Result<Choice, Failure> {
        let connection = |value| match number(value)? {
            number @ 1..=CONNECTION_MAX => Ok(number),
            _ => Err(format!("connections have numbers from 1 to {CONNECTION_MAX}")),
        };
        Ok(Choice {
            from: given.word("from").and_then(Kind::named),
            connection: given.value("conn", connection)?,
            side: if given.has("serve") { Side::Server } else { Side::Client },
            framing: Input::read(given)?.framing(Wire::Bcp),
        })
    }

    /// Whether `--conn` does not exclude a record.
    pub(super) fn includes(&self, record: &Record) -> bool {
        self.connection.is_none_or(|connection| connection == record.connection)
    }
}

/// A file whose bytes are read more than once.
pub(super) struct RecordedFile {
    /// What messages call it.
    pub name: String,
    path: PathBuf,
    /// What standard input, or a pipe, held.
    memory: Option<Rc<[u8]>>,
}

impl RecordedFile {
    /// Finds a file; reads standard input, or what is no regular file, to its end.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(path: &Path) -> Result<RecordedFile, Failure> {
        if path.as_os_str() != "-" && fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(RecordedFile { name: file_name(path), path: path.to_owned(), memory: None });
        }
        let mut source = Source::open(path)?;
        let mut bytes = Vec::new();
        source.reader.read_to_end(&mut bytes).map_err(|error| source.failure(&error))?;
        Ok(RecordedFile { name: source.name, path: path.to_owned(), memory: Some(bytes.into()) })
    }

    /// The bytes from the start.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn bytes(&self) -> io::Result<Box<dyn BufRead>> {
        Ok(match &self.memory {
            Some(bytes) => Box::new(Cursor::new(Rc::clone(bytes))),
            None => Box::new(BufReader::with_capacity(READ_BYTES, File::open(&self.path)?)),
        })
    }

    fn reader(&self, choice: &Choice) -> Result<Reader<Box<dyn BufRead>>, Failure> {
        let reader = self.bytes().and_then(|bytes| Reader::new(bytes, choice.from, &choice.framing));
        reader.map_err(|error| self.failure(&error))
    }

    /// Its name without folders, for what is not about a line.
    pub(super) fn base(&self) -> String {
        Path::new(&self.name).file_name().map_or(self.name.clone(), file_name)
    }

    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(format_args!("cannot read {}", self.name), error)
    }
}

/// The records of a file.
pub(super) struct Recording {
    pub file: RecordedFile,
    pub choice: Choice,
    pub reader: Reader<Box<dyn BufRead>>,
    /// What the first reading found: how many messages will be sent.
    pub requests: u64,
    /// How long the recording took, if it has times.
    pub duration: Option<Duration>,
    pub settings: Settings,
}

impl Recording {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(path: &Path, choice: Choice) -> Result<Recording, Failure> {
        let file = RecordedFile::open(path)?;
        let reader = file.reader(&choice)?;
        Ok(Recording { file, choice, reader, requests: 0, duration: None, settings: Settings::default() })
    }

    /// Reads it once: what is wrong with it is known before the connection is made. Damaged lines of a log are
    /// reported; with `is_guarded` also what the guard finds in what will be sent, once for each kind.
    ///
    /// # Errors
    /// The file cannot be read or played.
    pub(super) fn survey(&mut self, is_guarded: bool, console: &mut Console) -> Result<(), Failure> {
        let (mut first, mut last, mut is_found) = (None, None, false);
        let (mut connections, mut refusals) = (Vec::new(), Vec::new());
        while let Some(record) = self.next(Some(console))? {
            if !connections.contains(&record.connection) && connections.len() <= CONNECTIONS_LISTED_MAX {
                connections.push(record.connection);
            }
            if !self.choice.includes(&record) {
                continue;
            }
            is_found = true;
            first = first.or(record.time);
            last = last.max(record.time);
            if record.side == self.choice.side && !record.is_pattern {
                self.requests += 1;
                if is_guarded {
                    warn_of(&record, &mut refusals, &self.file.name, console);
                }
            }
        }
        let mut listed: Vec<String> = connections.iter().map(u32::to_string).collect();
        if let Some(last) = listed.get_mut(CONNECTIONS_LISTED_MAX) {
            *last = "...".to_owned();
        }
        let listed = listed.join(", ");
        let why = match (self.choice.connection, self.choice.side) {
            (None, _) if connections.len() > 1 => {
                format!("several connections, and one is played: --conn picks one of {listed}")
            }
            (Some(only), _) if !is_found => format!("no connection {only}: --conn picks one of {listed}"),
            (_, Side::Client) if self.requests == 0 => {
                "nothing to play: the client sent no line; --serve plays the server".to_owned()
            }
            (_, Side::Server) if self.requests == 0 => {
                "nothing for --serve to play: the server sent no line".to_owned()
            }
            _ => {
                self.duration = first.zip(last).map(|(first, last)| last.saturating_sub(first));
                self.settings = self.reader.settings().clone();
                return self.rewind();
            }
        };
        Err(Failure::Refused(format!("{}: {why}", self.file.name)))
    }

    /// The next record of the connection that is played.
    ///
    /// # Errors
    /// The file has changed since it was opened, and cannot be read or played any more.
    pub(super) fn read(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            match self.next(None)? {
                Some(record) if !self.choice.includes(&record) => {}
                record => return Ok(record),
            }
        }
    }

    /// Goes back to the start.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub(super) fn rewind(&mut self) -> Result<(), Failure> {
        self.reader = self.file.reader(&self.choice)?;
        Ok(())
    }

    /// The next record of any connection. Given a console, it reports notes and damaged lines.
    ///
    /// # Errors
    /// The file cannot be read, or is malformed.
    pub(super) fn next(&mut self, mut console: Option<&mut Console>) -> Result<Option<Record>, Failure> {
        let name = &self.file.name;
        let place = |number: Option<u64>| number.map_or(name.clone(), |number| format!("{name}:{number}"));
        loop {
            let record = self.reader.next().transpose();
            if let (Some(console), Some(note)) = (&console, self.reader.take_note()) {
                console.note(format_args!("{}: {}", place(note.number), note.text));
            }
            let error = match record {
                Ok(record) => return Ok(record),
                Err(error) => error,
            };
            match &error.kind {
                ErrorKind::Io(error) => return Err(self.file.failure(error)),
                ErrorKind::Damaged => {
                    console.iter_mut().for_each(|console| console.report(Exit::Failed, place(error.number), &error));
                }
                ErrorKind::Malformed => return Err(Failure::Malformed(place(error.number), error.to_string())),
                ErrorKind::Empty => {
                    let advice =
                        self.choice.from.map_or("", |_| "; leave out --from, and its first lines tell what it is");
                    return Err(Failure::Refused(format!("{name}: {error}{advice}")));
                }
            }
        }
    }

    /// The port of the server.
    pub(super) fn port(&self) -> u16 {
        self.settings.port.unwrap_or(MEDIA_PORT)
    }

    /// How much there is to play, in words.
    pub(super) fn size(&self) -> String {
        let recorded = |duration: Duration| format!(", {:.1} s as recorded", duration.as_secs_f64());
        count(self.requests, "message") + &self.duration.map_or(String::new(), recorded)
    }
}

/// Warns of what the guard refuses, which is played all the same, unless it is of a kind that it has refused before.
fn warn_of(record: &Record, refused: &mut Vec<Refusal>, name: &str, console: &Console) {
    let Err(refusal) = catalogue::check_line(&record.line, record.payload.as_deref()) else { return };
    if !refused.iter().any(|known| known.rule == refusal.rule && known.harm == refusal.harm) {
        console.warn(format_args!("{name}:{}: {refusal} (sent all the same)", record.number));
        refused.push(refusal);
    }
}
