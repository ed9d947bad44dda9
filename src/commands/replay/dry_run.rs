//! `replay --dry-run`: prints a recording as a session file, without a connection.
//!
//! A session is copied as far as it is well-formed, to the byte but for its CRs. Anything else is written as a recorder
//! writes it.

use std::path::Path;

use super::source::{Choice, Recording};
use crate::bcp::ParseOptions;
use crate::catalogue::lint;
use crate::exit::{Exit, Failure};
use crate::framing::is_ignored;
use crate::limits::READ_BYTES;
use crate::output::{Console, Stdout};
use crate::session::{HEADER, Kind, VERSION, Verbatim, Writer};

/// Prints `file`. What the lint finds is a note.
///
/// # Errors
/// The file cannot be read or played; what comes before is printed. Standard output cannot be written.
pub(super) fn run(file: &Path, choice: Choice, console: &mut Console) -> Result<Exit, Failure> {
    let mut recording = Recording::open(file, choice)?;
    let session = recording.file.bytes().and_then(Verbatim::new);
    let mut session = session.map_err(|error| recording.file.failure(&error))?;
    let is_session = recording.reader.kind() == Kind::Session;
    let (mut writer, mut output, mut is_begun, mut is_found) = (None, Stdout::default(), false, false);
    let ended = loop {
        let record = match recording.next(Some(console)) {
            Ok(Some(record)) => record,
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        };
        let is_chosen = recording.choice.includes(&record);
        is_found |= is_chosen;
        if is_session {
            // A session that has lost its header gets one.
            if !std::mem::replace(&mut is_begun, true) && !recording.reader.has_header() {
                output.buffer().extend_from_slice(format!("{HEADER} {VERSION}\n").as_bytes());
            }
            let copied = session.record(&record, is_chosen, output.buffer());
            copied.map_err(|error| recording.file.failure(&error))?;
        } else if is_chosen {
            let writer = writer.get_or_insert_with(|| Writer::new(recording.reader.settings().port));
            writer.record(&record, output.buffer());
        }
        // Not every message is a write of its own.
        if output.buffer().len() >= READ_BYTES {
            output.flush()?;
        }
        if is_chosen && !console.is_quiet() && !record.is_pattern && !is_ignored(&record.line) {
            for finding in lint(&record.line, record.payload.as_deref(), &ParseOptions::default()) {
                console.note(format_args!("{}:{}: {finding}", recording.file.name, record.number));
            }
        }
    };
    if is_session {
        let copied = session.up_to(recording.reader.position(), output.buffer());
        copied.map_err(|error| recording.file.failure(&error))?;
    }
    output.flush()?;
    ended?;
    match recording.choice.connection {
        Some(connection) if !is_found => {
            Err(Failure::Refused(format!("{}: no connection {connection}", recording.file.name)))
        }
        _ => Ok(console.worst()),
    }
}
