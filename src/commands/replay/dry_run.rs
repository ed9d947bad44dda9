//! `backbox replay --dry-run`: what would be played, as a session file, and no connection (design.md, section 11).
//!
//! A session comes out as it stands, line by line; what else there is, as a recorder writes it.

use std::path::Path;

use super::recording::{Choice, report, tell};
use crate::bcp::payload_marker;
use crate::bcp::{Message, ParseOptions, is_command};
use crate::catalogue::Linter;
use crate::commands::source::Source;
use crate::exit::{Exit, Failure};
use crate::framing::is_ignored;
use crate::output::{Console, Output};
use crate::session::{HEADER, Item, Kind, Reader, Record, RecordKind, VERSION, Writer, push_marked};

/// Prints `file`; what the lint finds in what is printed is said on standard error, and changes no exit status.
///
/// # Errors
/// A file that cannot be read or holds what cannot be played, behind what came before; a stdout that cannot be written.
pub fn run(file: &Path, choice: Choice, console: &mut Console) -> Result<Exit, Failure> {
    let mut source = Source::open(file)?;
    let line_bytes_max = choice.framing.line_bytes_max;
    let mut reader = Reader::new(choice.from, choice.framing, is_command);
    let mut run = Run {
        line_bytes_max,
        connection: choice.connection,
        writer: None,
        begun: false,
        stamp: Vec::new(),
        printed: false,
        linter: Linter::new(),
        parts: Message::new(),
    };
    let mut output = Output::new();
    loop {
        let count = source.read(reader.space())?;
        reader.filled(count);
        let read = run.read(&mut reader, count == 0, &source.name, output.buffer(), console);
        output.flush()?;
        read?;
        tell(&source.name, reader.take_note(), console);
        match (count, choice.connection) {
            (1.., _) => {}
            (0, Some(connection)) if !run.printed => {
                return Err(Failure::Refused(format!("{}: it holds no connection {connection}", source.name)));
            }
            (0, _) => return Ok(console.worst()),
        }
    }
}

/// The state of a dry run between two items.
struct Run {
    /// The limit of a line.
    line_bytes_max: usize,
    /// The connection whose messages are printed; without it, all are.
    connection: Option<u32>,
    /// Writes what is no session yet.
    writer: Option<Writer>,
    /// Whether something of a session has been printed.
    begun: bool,
    /// The last stamp, with its LF, while it is not known whether a message of the connection follows.
    stamp: Vec<u8>,
    /// Whether a message was printed.
    printed: bool,
    linter: Linter,
    parts: Message,
}

impl Run {
    /// Prints all that has come.
    fn read(
        &mut self,
        reader: &mut Reader,
        ended: bool,
        name: &str,
        out: &mut Vec<u8>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        loop {
            let (kind, port) = (reader.kind(), reader.settings().port);
            match reader.next_item(ended) {
                None => return Ok(()),
                Some(Err(error)) => report(name, &error, Some(&mut *console))?,
                Some(Ok(Item::Aside(line))) => self.aside(line, out),
                Some(Ok(Item::Lost { number })) => console.note(format_args!(
                    "{name}:{number}: left out, a comment over {} bytes; --max-line allows more",
                    self.line_bytes_max
                )),
                Some(Ok(Item::Message { record, .. })) if self.connection.is_some_and(|c| c != record.connection) => {}
                Some(Ok(Item::Message { record, mark })) => {
                    self.printed = true;
                    match kind {
                        Some(Kind::Session) => self.again(&record, mark, out),
                        _ => self.writer.get_or_insert_with(|| Writer::new(port)).write(&record, out),
                    }
                    self.lint(&record, name, console);
                }
            }
        }
    }

    /// Prints a line of a session that is no message.
    fn aside(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let is_stamp = line.starts_with(b"#@") && self.connection.is_some();
        if !is_stamp {
            self.begin(line.starts_with(HEADER.as_bytes()), out);
        }
        let out = if is_stamp { &mut self.stamp } else { out };
        if is_stamp {
            out.clear();
        }
        out.extend_from_slice(line);
        out.push(b'\n');
    }

    /// Prints a message of a session as it stands there.
    fn again(&mut self, record: &Record<'_>, mark: &str, out: &mut Vec<u8>) {
        self.begin(false, out);
        out.append(&mut self.stamp);
        push_marked(mark, record.line, record.payload.unwrap_or_default(), out);
    }

    /// A session that has lost its header gets one.
    fn begin(&mut self, has_header: bool, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) && !has_header {
            out.extend_from_slice(format!("{HEADER} {VERSION}\n").as_bytes());
        }
    }

    /// Says what the lint finds in a message.
    fn lint(&mut self, record: &Record<'_>, name: &str, console: &Console) {
        if console.is_quiet() || record.side == RecordKind::Pattern || is_ignored(record.line) {
            return;
        }
        let end = payload_marker(record.line).map_or(record.line.len(), |marker| marker.at);
        let text = record.line.get(..end).unwrap_or_default();
        let parsed = self.parts.parse_line(text, &ParseOptions::default());
        let parsed = parsed.as_ref().map(|()| &self.parts);
        for finding in self.linter.lint(record.line, text, record.payload, parsed) {
            console.note(format_args!("{name}:{}: {finding}", record.number));
        }
    }
}
