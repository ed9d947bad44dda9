//! `--record`: both directions of a run as a session file, written message by message (design.md, sections 8 and 12).
//!
//! It opens the file, keeps the clock and survives a full disk. How a record is spelled is `session`'s business; who is
//! told that the recording has failed is the caller's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::result_file::to_write;
use crate::cli::{Complete, Flag};
use crate::exit::Failure;
use crate::framing::Frame;
use crate::session::{RecordKind, Writer};
use crate::text::{file_name, shown};
use crate::time::timestamp;

/// The port that a session file need not name: the usual one of a media controller.
const USUAL_PORT: u16 = 5050;

/// Where to record, and whether over an old file.
#[derive(Clone, Debug, Default)]
pub struct RecordOptions {
    /// `--record`.
    pub file: Option<PathBuf>,
    /// `--overwrite`.
    pub overwrite: bool,
}

impl<T: AsMut<RecordOptions> + 'static> Flag<T> {
    /// `--record`.
    pub const RECORD: Flag<T> =
        Flag::value("record", "FILE", "Record both directions as a session file", |o: &mut T, value| {
            o.as_mut().file = Some(to_write(value)?);
            Ok(())
        })
        .more(
            "Each message is written when it is seen, so what is there is valid at every moment. A *FILE* that is not \
             empty is refused before anything is sent. A full disk is said at once and is exit status 3 at the end; \
             the run goes on.",
        )
        .complete(Complete::File)
        .group("Recording")
        .common();
    /// `--overwrite`.
    pub const OVERWRITE: Flag<T> =
        Flag::switch("overwrite", "Record over a file that is not empty", |o: &mut T| o.as_mut().overwrite = true)
            .group("Recording");
}

impl RecordOptions {
    /// Opens and empties the file, if one is wished for. `opening` says who listens and dials, such as `dialling
    /// localhost:5051`; `port` is the accepting side's. Called before anything is dialled or bound.
    ///
    /// # Errors
    /// [`Failure::Usage`] for `--overwrite` alone, [`Failure::Io`] for a file that holds something or cannot be opened.
    pub fn open(&self, opening: &str, port: u16) -> Result<Option<Recorder>, Failure> {
        match &self.file {
            None if self.overwrite => {
                Err(Failure::Usage("--overwrite says how to --record, which is not given".into()))
            }
            None => Ok(None),
            Some(path) => {
                let name = file_name(path);
                let failure = |error| Failure::io(format_args!("cannot record to {name}"), &error);
                let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failure)?;
                let found = file.metadata().map_err(failure)?;
                if found.is_file() && found.len() > 0 && !self.overwrite {
                    return Err(Failure::Io(format!(
                        "cannot record to {name}: it holds something already; --overwrite empties it"
                    )));
                }
                // What is no regular file, such as /dev/null or a pipe, has nothing to empty.
                if found.is_file() {
                    file.set_len(0).map_err(failure)?;
                }
                let length = found.is_file().then_some(0);
                let opening = format!("{}, {opening}", clock_time(SystemTime::now()));
                let writer = Writer::new((port != USUAL_PORT).then_some(port));
                Ok(Some(Recorder::new(file, name, length, opening, writer)))
            }
        }
    }
}

/// A recording that is being written. After its first failure it takes everything and writes nothing.
#[derive(Debug)]
pub struct Recorder {
    /// `None` once writing has failed.
    file: Option<File>,
    name: String,
    /// How long a regular file is, in bytes, up to its last whole message.
    length: Option<u64>,
    writer: Writer,
    /// What stands at the top; it waits for the first message, since a run without one leaves an empty file.
    opening: Option<String>,
    /// When the first message was seen: from then on times count.
    start: Option<Instant>,
    bytes: Vec<u8>,
}

impl Recorder {
    fn new(file: File, name: String, length: Option<u64>, opening: String, writer: Writer) -> Recorder {
        Recorder { file: Some(file), name, length, writer, opening: Some(opening), start: None, bytes: Vec::new() }
    }

    /// Records one message, seen at `now`; `line` is without its LF.
    ///
    /// # Errors
    /// The first time that writing fails: the run is to go on, and to end with 3.
    pub fn message(
        &mut self,
        now: Instant,
        connection: u32,
        side: RecordKind,
        line: &[u8],
        payload: Option<&[u8]>,
    ) -> Result<(), Failure> {
        self.open();
        let start = *self.start.get_or_insert(now);
        let time = Some(now.checked_duration_since(start).unwrap_or_default());
        self.writer.message(time, connection, side, line, payload, &mut self.bytes);
        self.flush()
    }

    /// Records what a framer gave: a message, a line that is ignored, or that something was over a limit.
    ///
    /// # Errors
    /// As for [`Recorder::message`].
    pub fn frame(&mut self, now: Instant, connection: u32, side: RecordKind, frame: &Frame<'_>) -> Result<(), Failure> {
        match frame {
            Frame::Message(message) => self.message(now, connection, side, message.line, message.payload),
            Frame::Ignored { whole: false, .. } => self
                .comment(&format!("connection {connection}, {}: a comment over the limit of a line", side_name(side))),
            Frame::Ignored { line, .. } => self.message(now, connection, side, line, None),
            Frame::Bad { fault, .. } => self.comment(&format!("connection {connection}, {}: {fault}", side_name(side))),
        }
    }

    /// Records each of several lines without payloads.
    ///
    /// # Errors
    /// As for [`Recorder::message`].
    pub fn lines(&mut self, now: Instant, connection: u32, side: RecordKind, lines: &[u8]) -> Result<(), Failure> {
        let mut result = Ok(());
        for line in lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            result = result.and(self.message(now, connection, side, line, None));
        }
        result
    }

    /// Records how a connection ended, and the bytes of a line that `side` did not finish.
    ///
    /// # Errors
    /// As for [`Recorder::message`].
    pub fn ended(&mut self, connection: u32, how: &str, side: RecordKind, unfinished: &[u8]) -> Result<(), Failure> {
        if self.start.is_none() && unfinished.is_empty() {
            return Ok(());
        }
        if !unfinished.is_empty() {
            let half = shown(unfinished);
            self.open();
            let text = format!("connection {connection}, {}: half a line: {half}", side_name(side));
            self.writer.comment(&text, &mut self.bytes);
        }
        self.comment(&format!("connection {connection}: {how}"))
    }

    /// Writes a comment.
    ///
    /// # Errors
    /// As for [`Recorder::message`].
    pub fn comment(&mut self, text: &str) -> Result<(), Failure> {
        self.open();
        self.writer.comment(text, &mut self.bytes);
        self.flush()
    }

    fn open(&mut self) {
        if let Some(opening) = self.opening.take() {
            self.writer.comment(&opening, &mut self.bytes);
        }
    }

    /// Writes what was appended, in one piece.
    fn flush(&mut self) -> Result<(), Failure> {
        let Some(file) = &mut self.file else {
            self.bytes.clear();
            return Ok(());
        };
        let written = file.write_all(&self.bytes);
        let bytes = self.bytes.len() as u64;
        self.bytes.clear();
        match written {
            Ok(()) => {
                self.length = self.length.map(|length| length.saturating_add(bytes));
                Ok(())
            }
            Err(error) => Err(self.give_up(&error)),
        }
    }

    /// Closes the file, cut to its last whole message, since half of one might be read as a whole one.
    fn give_up(&mut self, error: &io::Error) -> Failure {
        if let Some((file, length)) = self.file.take().zip(self.length) {
            let _ = file.set_len(length);
        }
        Failure::io(format_args!("cannot go on recording to {}; the run does without", self.name), error)
    }
}

fn side_name(side: RecordKind) -> &'static str {
    match side {
        RecordKind::Client => "client",
        RecordKind::Server => "server",
    }
}

/// A clock time in UTC, as `2026-11-21T13:34:30Z`. A clock before 1970 counts as 1970.
pub fn clock_time(time: SystemTime) -> String {
    format!("{}Z", timestamp(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("backbox-recorder-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_recording_is_whole_after_each_message_and_an_old_one_is_safe() {
        let path = scratch("whole");
        let wish = RecordOptions { file: Some(path.clone()), overwrite: false };
        let mut recorder = wish.open("dialling localhost:5051", 5051).unwrap().unwrap();
        recorder.ended(1, "nothing happened", RecordKind::Server, b"").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        let now = Instant::now();
        recorder.message(now, 1, RecordKind::Client, b"a?x=1", None).unwrap();
        let later = now + Duration::from_micros(1500);
        recorder.message(later, 1, RecordKind::Server, b"f&bytes=2", Some(b"hi")).unwrap();
        recorder
            .frame(later, 1, RecordKind::Server, &Frame::Ignored { number: 1, line: b"# no", whole: true })
            .unwrap();
        recorder.frame(later, 1, RecordKind::Client, &Frame::Ignored { number: 2, line: b"", whole: false }).unwrap();
        recorder.lines(later, 1, RecordKind::Client, b"reset_complete\ngoodbye\n").unwrap();
        recorder.ended(1, "closed by the server", RecordKind::Server, b"half\x1b").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (top, rest) = text.split_once(", dialling localhost:5051\n").unwrap();
        assert!(top.starts_with("#backbox-session 1\n#!port 5051\n# 20"), "{top}");
        assert_eq!(
            rest,
            "#@0.000000\na?x=1\n#@0.001500\n#<f&bytes=2\n#=aGk=\n#<# no\n\
             # connection 1, client: a comment over the limit of a line\nreset_complete\ngoodbye\n\
             # connection 1, server: half a line: half\\x1b\n# connection 1: closed by the server\n"
        );
        let refused = wish.open("again", 5051).unwrap_err();
        assert!(refused.message().unwrap().ends_with("it holds something already; --overwrite empties it"));
        let again = RecordOptions { overwrite: true, ..wish }.open("again", 5051).unwrap();
        assert!(again.is_some() && std::fs::read(&path).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_is_said_once_and_the_run_goes_on() {
        let wish = RecordOptions { file: Some("/dev/full".into()), overwrite: false };
        let mut recorder = wish.open("dialling localhost:5051", 5051).unwrap().unwrap();
        let failure = recorder.message(Instant::now(), 1, RecordKind::Client, b"a", None).unwrap_err();
        assert_eq!(failure.exit().code(), 3);
        assert!(failure.message().unwrap().contains("/dev/full; the run does without"), "{failure:?}");
        assert!(recorder.message(Instant::now(), 1, RecordKind::Client, b"b", None).is_ok());
    }

    #[test]
    fn to_overwrite_nothing_makes_no_sense() {
        let wish = RecordOptions { file: None, overwrite: true };
        assert!(matches!(wish.open("", 1), Err(Failure::Usage(_))));
        assert!(RecordOptions::default().open("", 1).unwrap().is_none());
    }
}
