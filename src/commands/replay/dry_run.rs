//! `replay --dry-run`: prints a recording as a session file, without a connection.
//!
//! A session is copied as far as it is well-formed, to the byte but for its CRs. Anything else is written as a recorder
//! writes it.

use std::io::BufRead;
use std::path::Path;

use super::source::{Choice, RecordingBytes, report_error, report_note};
use crate::bcp::ParseOptions;
use crate::catalogue::lint;
use crate::exit::{Exit, Failure};
use crate::framing::is_ignored;
use crate::limits::READ_BYTES;
use crate::output::{Console, Stdout};
use crate::session::{HEADER, Kind, Reader, Record, VERSION, Verbatim, Writer};

/// Prints `file`. What the lint finds is a note.
///
/// # Errors
/// The file cannot be read or played; what comes before is printed. Standard output cannot be written.
pub(super) fn run(file: &Path, choice: Choice, console: &mut Console) -> Result<Exit, Failure> {
    let (content, name) = RecordingBytes::open(file)?;
    let cannot_read = |error| Failure::io(format_args!("cannot read {name}"), &error);
    let reader = content.bytes().and_then(|bytes| Reader::new(bytes, choice.from, &choice.framing));
    let mut reader = reader.map_err(cannot_read)?;
    let file = content.bytes().and_then(Verbatim::new).map_err(cannot_read)?;
    let mut session = Copy { file, name: &name, at: 0, output: Stdout::new() };
    let mut writer = None;
    let mut is_printed = false;
    let ended = loop {
        let record = reader.next().transpose();
        report_note(&name, reader.take_note(), console);
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => break Ok(()),
            Err(error) => match report_error(&name, error, Some(console)) {
                Ok(()) => continue,
                failed => break failed,
            },
        };
        let is_chosen = choice.connection.is_none_or(|connection| connection == record.connection);
        is_printed |= is_chosen;
        if reader.kind() == Kind::Session {
            session.record(&record, is_chosen, reader.has_header())?;
        } else if is_chosen {
            let writer = writer.get_or_insert_with(|| Writer::new(reader.settings().port));
            writer.record(&record, session.output.buffer());
            session.flush_much()?;
        }
        if is_chosen && !console.is_quiet() && !record.is_pattern && !is_ignored(&record.line) {
            for finding in lint(&record.line, record.payload.as_deref(), &ParseOptions::default()) {
                console.note(format_args!("{name}:{}: {finding}", record.number));
            }
        }
    };
    if reader.kind() == Kind::Session {
        session.up_to(reader.position(), reader.has_header())?;
    }
    session.output.flush()?;
    ended?;
    match choice.connection {
        Some(connection) if !is_printed => Err(Failure::Refused(format!("{name}: no connection {connection}"))),
        _ => Ok(console.worst()),
    }
}

/// A session that is being copied to standard output.
struct Copy<'a, R> {
    file: Verbatim<R>,
    name: &'a str,
    /// How far it has been copied, in bytes.
    at: u64,
    output: Stdout,
}

impl<R: BufRead> Copy<'_, R> {
    fn record(&mut self, record: &Record, is_copied: bool, has_header: bool) -> Result<(), Failure> {
        self.up_to(record.span.start, has_header)?;
        let copied = self.file.record(record, is_copied, self.output.buffer());
        self.at = record.span.end;
        copied.map_err(|error| Failure::io(format_args!("cannot read {}", self.name), &error))?;
        self.flush_much()
    }

    /// Writes what has been gathered once it is a block, so that not every message is a write of its own.
    fn flush_much(&mut self) -> Result<(), Failure> {
        if self.output.buffer().len() < READ_BYTES { Ok(()) } else { self.output.flush() }
    }

    /// Copies what stands between two messages, however much that is. A session that has lost its header gets one.
    fn up_to(&mut self, end: u64, has_header: bool) -> Result<(), Failure> {
        if self.at == 0 && end > 0 && !has_header {
            self.output.buffer().extend_from_slice(format!("{HEADER} {VERSION}\n").as_bytes());
        }
        while self.at < end {
            self.at = end.min(self.at + READ_BYTES as u64);
            let copied = self.file.up_to(self.at, self.output.buffer());
            copied.map_err(|error| Failure::io(format_args!("cannot read {}", self.name), &error))?;
            self.flush_much()?;
        }
        Ok(())
    }
}
