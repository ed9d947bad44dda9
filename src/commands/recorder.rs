//! The traffic of a run: `-v` shows it, and `--record` writes it to a session file (`backbox-session`(5)).
//!
//! The [`Recorder`] formats records and hands them to the loop; a thread of the loop writes them through the
//! [`RecordFile`], message by message, so that the file is valid at every moment.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::bcp::template::Side;
use crate::cli::{Complete, Flag, Given};
use crate::commands::addresses::MEDIA_PORT;
use crate::commands::result_file::to_write;
use crate::exit::Failure;
use crate::framing::{Frame, Framer, FramingOptions, RawMessage};
use crate::net::Net;
use crate::output::{push_for_terminal, say};
use crate::session::{CONNECTION_MAX, Writer};
use crate::text::{file_name, shown};
use crate::time::timestamp;

/// Where to record, and whether to replace an old file.
#[derive(Clone, Debug, Default)]
pub struct RecordOptions {
    /// `--record`.
    pub file: Option<PathBuf>,
    /// `--overwrite`.
    pub overwrite: bool,
}

pub const RECORD: Flag =
    Flag::value("record", "FILE", "Record both directions as a session file").complete(Complete::File).common();
pub const OVERWRITE: Flag = Flag::switch("overwrite", "Record over a file that is not empty");

impl RecordOptions {
    /// # Errors
    /// [`Failure::Usage`] for standard output.
    pub fn read(given: &Given) -> Result<RecordOptions, Failure> {
        Ok(RecordOptions { file: given.value("record", to_write)?, overwrite: given.has("overwrite") })
    }

    /// Opens the file, if there is one, but leaves it as it is: what comes next, such as binding, may fail.
    ///
    /// # Errors
    /// [`Failure::Io`] for a file that is not empty or cannot be opened.
    pub(crate) fn open_file(&self) -> Result<Recorder, Failure> {
        let Some(path) = &self.file else { return Ok(Recorder::default()) };
        let name = file_name(path);
        let failure = |error| Failure::io(format_args!("cannot record to {name}"), &error);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failure)?;
        let found = file.metadata().map_err(failure)?;
        if found.is_file() && found.len() > 0 && !self.overwrite {
            let why = format!("cannot record to {name}: file is not empty; use --overwrite to replace it");
            return Err(Failure::Io(why));
        }
        let handle = Some(file.try_clone().map_err(failure)?);
        let file = Some(RecordFile { file, length: found.is_file().then_some(0) });
        Ok(Recorder { name, file, handle, ..Recorder::default() })
    }
}

/// Shows the traffic on standard error with `-v`: `> ` before a line that was sent, `< ` before one received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub is_shown: bool,
}

impl Traffic {
    /// A message was sent.
    pub fn sent(&self, line: &[u8], payload: Option<&[u8]>) {
        self.show('>', line, payload);
    }

    /// A message was received.
    pub fn received(&self, message: &RawMessage<'_>) {
        self.show('<', message.line, message.payload);
    }

    fn show(&self, direction: char, line: &[u8], payload: Option<&[u8]>) {
        if !self.is_shown {
            return;
        }
        let mut text = format!("{direction} ").into_bytes();
        push_for_terminal(line, &mut text);
        if let Some(payload) = payload {
            text.extend_from_slice(format!(" <{} bytes>", payload.len()).as_bytes());
        }
        text.push(b'\n');
        say(&String::from_utf8_lossy(&text));
    }
}

/// Formats what is recorded, and hands it to the loop. Without `--record` it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    name: String,
    /// Until the loop takes it.
    file: Option<RecordFile>,
    /// The same file, until it is emptied.
    handle: Option<File>,
    /// From [`Recorder::begin`] on.
    writer: Option<Writer>,
    /// The first comment. It waits for the first message, so that a run without one leaves an empty file.
    opening: Option<String>,
    /// When the first message was seen: times count from then.
    start: Option<Instant>,
    bytes: Vec<u8>,
}

impl Recorder {
    /// Whether there is a file.
    pub(crate) fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// What the loop writes with; `None` without `--record`.
    pub(crate) fn take_file(&mut self) -> Option<Box<dyn Write + Send>> {
        self.file.take().map(|file| Box::new(file) as Box<dyn Write + Send>)
    }

    /// Empties the file. `opening` says who listens and connects, such as `connecting to localhost:5051`; `port` is the
    /// server's.
    ///
    /// # Errors
    /// The file cannot be emptied.
    pub(crate) fn begin(&mut self, opening: &str, port: u16) -> Result<(), Failure> {
        let Some(handle) = self.handle.take() else { return Ok(()) };
        let failure = |error| Failure::io(format_args!("cannot record to {}", self.name), &error);
        // What is not a regular file, such as /dev/null or a pipe, has nothing to empty.
        if handle.metadata().map_err(failure)?.is_file() {
            handle.set_len(0).map_err(failure)?;
        }
        self.opening = Some(format!("{}, {opening}", clock_time(SystemTime::now())));
        // A session file need not name the usual port of a media controller.
        self.writer = Some(Writer::new((port != MEDIA_PORT).then_some(port)));
        Ok(())
    }

    /// Records one message; `line` is without its LF.
    pub(crate) fn message(&mut self, net: &mut Net, conn: u64, from: Side, line: &[u8], payload: Option<&[u8]>) {
        self.push_message(net.now, conn, from, line, payload);
        self.hand_over(net);
    }

    /// Records what a framer gave: a message, a line that is ignored, or that something was over a limit.
    pub(crate) fn frame(&mut self, net: &mut Net, conn: u64, from: Side, frame: &Frame<'_>) {
        let too_long = |what: &dyn std::fmt::Display| format!("connection {conn}, {}: {what}", from.name());
        match frame {
            Frame::Message(message) => self.message(net, conn, from, message.line, message.payload),
            Frame::Ignored { whole: true, line, .. } => self.message(net, conn, from, line, None),
            Frame::Ignored { .. } => self.comment(net, &too_long(&"a comment over the limit of a line")),
            Frame::Bad { fault, .. } => self.comment(net, &too_long(fault)),
        }
    }

    /// Records how a connection ended, and the bytes of a line that `from` did not finish.
    pub(crate) fn closed(&mut self, net: &mut Net, conn: u64, how: &str, from: Side, unfinished: &[u8]) {
        if !unfinished.is_empty() {
            let half = shown(unfinished);
            self.push_comment(&format!("connection {conn}, {}: unfinished line: {half}", from.name()));
        } else if self.start.is_none() {
            return;
        }
        self.comment(net, &format!("connection {conn}: {how}"));
    }

    /// Records a comment.
    pub(crate) fn comment(&mut self, net: &mut Net, text: &str) {
        self.push_comment(text);
        self.hand_over(net);
    }

    /// What is reported when the loop cannot write the recording; the run goes on and ends with 3.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(format_args!("cannot continue the recording {}; the run continues without it", self.name), error)
    }

    fn push_message(&mut self, now: Instant, conn: u64, from: Side, line: &[u8], payload: Option<&[u8]>) {
        let time = now.saturating_duration_since(*self.start.get_or_insert(now));
        let connection = u32::try_from(conn).unwrap_or(u32::MAX).min(CONNECTION_MAX);
        if let Some((writer, out)) = self.writer() {
            writer.message(Some(time), connection, from, line, payload, out);
        }
    }

    fn push_comment(&mut self, text: &str) {
        if let Some((writer, out)) = self.writer() {
            writer.comment(text, out);
        }
    }

    /// The writer and its output, after the first comment; `None` without `--record`.
    fn writer(&mut self) -> Option<(&mut Writer, &mut Vec<u8>)> {
        let writer = self.writer.as_mut()?;
        if let Some(opening) = self.opening.take() {
            writer.comment(&opening, &mut self.bytes);
        }
        Some((writer, &mut self.bytes))
    }

    fn hand_over(&mut self, net: &mut Net) {
        if !self.bytes.is_empty() {
            net.record(&self.bytes);
            self.bytes.clear();
            self.bytes.shrink_to(crate::limits::READ_BYTES);
        }
    }
}

/// The file of a recording. When writing fails it is cut to its last whole message, since half of one could be read
/// as a whole one.
#[derive(Debug)]
struct RecordFile {
    file: File,
    /// How long a regular file is, in bytes.
    length: Option<u64>,
}

impl Write for RecordFile {
    /// Writes a block of whole messages.
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < block.len() {
            match self.file.write(&block[done..]) {
                Ok(count) if count > 0 => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    if let Some(length) = self.length {
                        let _ = self.file.set_len(length + whole_messages(&block[..done]));
                    }
                    return Err(failed.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
            }
        }
        self.length = self.length.map(|length| length + block.len() as u64);
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How many of these bytes of a recording are whole messages and comments.
fn whole_messages(bytes: &[u8]) -> u64 {
    let framing = FramingOptions { line_bytes_max: usize::MAX, payload_bytes_max: usize::MAX, ..Default::default() };
    let mut framer = Framer::new(framing);
    framer.feed(bytes);
    while framer.next_frame().is_some() {}
    (bytes.len() - framer.unread().len()) as u64
}

/// A clock time in UTC, as `2026-11-21T13:34:30Z`. A clock before 1970 counts as 1970.
fn clock_time(time: SystemTime) -> String {
    format!("{}Z", timestamp(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("backbox-recording-{}-{name}", std::process::id()))
    }

    fn recorded(path: &Path, overwrite: bool, record: impl FnOnce(&mut Recorder)) -> Result<String, Failure> {
        let mut recorder = RecordOptions { file: Some(path.into()), overwrite }.open_file()?;
        let mut file = recorder.take_file().unwrap();
        recorder.begin("connecting to localhost:5051", 5051)?;
        record(&mut recorder);
        file.write_all(&recorder.bytes).unwrap();
        Ok(std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn recording_has_both_sides_their_times_and_comments() {
        let path = scratch("whole");
        let start = Instant::now();
        let text = recorded(&path, false, |recorder| {
            recorder.push_message(start, 1, Side::Client, b"a?x=1", None);
            let later = start + Duration::from_micros(1500);
            recorder.push_message(later, 1, Side::Server, b"f&bytes=2", Some(b"hi"));
            recorder.push_message(later, 2, Side::Server, b"# no", None);
            recorder.push_comment("connection 2: closed by the server");
        });
        let text = text.unwrap();
        let (top, rest) = text.split_once(", connecting to localhost:5051\n").unwrap();
        assert!(top.starts_with("#backbox-session 1\n#!port 5051\n# 20"), "{top}");
        assert_eq!(
            rest,
            "#@0.000000\na?x=1\n#@0.001500\n#<f&bytes=2\n#=aGk=\n#@0.001500 2\n#<# no\n\
             # connection 2: closed by the server\n"
        );
        let refused = recorded(&path, false, |_| ()).unwrap_err();
        assert!(refused.message().unwrap().ends_with("file is not empty; use --overwrite to replace it"));
        assert_eq!(recorded(&path, true, |_| ()).unwrap(), "", "a run without a message leaves an empty file");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn messages_cut_short_are_not_counted_as_whole() {
        for (bytes, whole) in [
            (&b""[..], 0),
            (b"#@0.000000\na?x=1\nb?na", 17),
            (b"a\nf&bytes=4\nx\ny", 2),
            (b"a\nf&bytes=4\nx\nyzb", 16),
            (b"#<f&bytes=2\n#=aG", 12),
        ] {
            assert_eq!(whole_messages(bytes), whole, "{}", bytes.escape_ascii());
        }
    }
}
