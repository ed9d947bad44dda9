//! `replay --dry-run`: prints a recording as a session file, without a connection.
//!
//! A session is copied as far as it is well-formed, to the byte but for its CRs. Anything else is written as a recorder
//! writes it.

use std::io::BufRead;
use std::path::Path;
use std::rc::Rc;

use super::source::{Choice, RecordedFile, Recording};
use crate::bcp::ParseOptions;
use crate::catalogue::lint;
use crate::exit::{Exit, Failure};
use crate::framing::is_ignored;
use crate::limits::READ_BYTES;
use crate::output::{Console, Stdout};
use crate::session::{HEADER, Kind, Record, VERSION, Verbatim, Writer};

/// Prints `file`. What the lint finds is a note.
///
/// # Errors
/// The file cannot be read or played; what comes before is printed. Standard output cannot be written.
pub(super) fn run(file: &Path, choice: Choice, console: &mut Console) -> Result<Exit, Failure> {
    let mut recording = Recording::open(file, choice)?;
    let file = Rc::clone(&recording.file);
    let session = file.bytes().and_then(Verbatim::new).map_err(|error| file.failure(&error))?;
    let mut copy = SessionCopy { session, file: &file, at: 0, output: Stdout::new() };
    let is_session = recording.reader.kind() == Kind::Session;
    let (mut writer, mut is_begun, mut is_printed) = (None, false, false);
    let ended = loop {
        let record = match recording.next(Some(console)) {
            Ok(Some(record)) => record,
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        };
        let is_chosen = recording.choice.includes(&record);
        is_printed |= is_chosen;
        if is_session {
            // A session that has lost its header gets one.
            if !std::mem::replace(&mut is_begun, true) && !recording.reader.has_header() {
                copy.output.buffer().extend_from_slice(format!("{HEADER} {VERSION}\n").as_bytes());
            }
            copy.record(&record, is_chosen)?;
        } else if is_chosen {
            let writer = writer.get_or_insert_with(|| Writer::new(recording.reader.settings().port));
            writer.record(&record, copy.output.buffer());
        }
        copy.flush_block()?;
        if is_chosen && !console.is_quiet() && !record.is_pattern && !is_ignored(&record.line) {
            for finding in lint(&record.line, record.payload.as_deref(), &ParseOptions::default()) {
                console.note(format_args!("{}:{}: {finding}", file.name, record.number));
            }
        }
    };
    if is_session {
        copy.up_to(recording.reader.position())?;
    }
    copy.output.flush()?;
    ended?;
    match recording.choice.connection {
        Some(connection) if !is_printed => Err(Failure::Refused(format!("{}: no connection {connection}", file.name))),
        _ => Ok(console.worst()),
    }
}

/// A session that is being copied to standard output.
struct SessionCopy<'a, R> {
    session: Verbatim<R>,
    file: &'a RecordedFile,
    /// How far it has been copied, in bytes.
    at: u64,
    output: Stdout,
}

impl<R: BufRead> SessionCopy<'_, R> {
    fn record(&mut self, record: &Record, is_copied: bool) -> Result<(), Failure> {
        self.up_to(record.span.start)?;
        self.at = record.span.end;
        let copied = self.session.record(record, is_copied, self.output.buffer());
        copied.map_err(|error| self.file.failure(&error))
    }

    /// Copies what stands between two messages, however much that is.
    fn up_to(&mut self, end: u64) -> Result<(), Failure> {
        while self.at < end {
            self.at = end.min(self.at + READ_BYTES as u64);
            let copied = self.session.up_to(self.at, self.output.buffer());
            copied.map_err(|error| self.file.failure(&error))?;
            self.flush_block()?;
        }
        Ok(())
    }

    /// Writes what has been gathered once it is a block, so that not every message is a write of its own.
    fn flush_block(&mut self) -> Result<(), Failure> {
        if self.output.buffer().len() < READ_BYTES { Ok(()) } else { self.output.flush() }
    }
}
