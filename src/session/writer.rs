//! The writer of session files, for recordings and imports alike.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{HEADER, Record, RecordKind, VERSION};
use crate::framing::{Wire, is_ignored};

/// The latest time that a stamp can hold: ten digits of seconds.
const SECONDS_MAX: u64 = 9_999_999_999;

/// Appends records to a session file. It writes the header with the first thing that it is given, so that a run without
/// a message leaves no file that looks like one (design.md, section 12).
///
/// ```
/// use backbox::session::{Record, RecordKind, Writer};
/// let mut writer = Writer::new(None);
/// let mut file = Vec::new();
/// let time = Some(std::time::Duration::from_micros(1204));
/// let line = b"frame?name=dmd&bytes=2".as_slice();
/// writer.write(&Record { number: 0, time, connection: 1, side: RecordKind::Server, line, payload: Some(b"hi") }, &mut
/// file);
/// assert_eq!(file, b"#backbox-session 1\n#@0.001204\n#<frame?name=dmd&bytes=2\n#=aGk=\n");
/// ```
#[derive(Debug)]
pub struct Writer {
    port: Option<u16>,
    wire: Wire,
    has_header: bool,
    /// Time in microseconds and connection of the last stamp.
    stamp: Option<(u128, u32)>,
}

impl Writer {
    /// A writer at the start of a file. `port` is the accepting side's, when it is not the usual 5050.
    pub fn new(port: Option<u16>) -> Writer {
        Writer { port, wire: Wire::Bcp, has_header: false, stamp: None }
    }

    /// The same writer for messages of this wire.
    #[must_use]
    pub fn on(mut self, wire: Wire) -> Writer {
        self.wire = wire;
        self
    }

    /// Appends one record to `out`, whole, so that what was written before and `out` are a valid file at every moment.
    ///
    /// Its payload has to be as long as its line announces, and its connection within [`super::CONNECTION_MAX`]. A
    /// record without a time gets no stamp. CR and LF in a line are left out: a session file cannot hold them.
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.header(out);
        self.stamp(record, out);
        push_message(record.side, record.line, record.payload.unwrap_or_default(), out);
    }

    /// Appends a comment to `out`, on one line; the blank in front keeps any text from being read as a mark.
    pub fn comment(&mut self, text: &str, out: &mut Vec<u8>) {
        self.header(out);
        out.extend_from_slice(b"# ");
        push_line(text.as_bytes(), out);
    }

    fn header(&mut self, out: &mut Vec<u8>) {
        if self.has_header {
            return;
        }
        self.has_header = true;
        out.extend_from_slice(format!("{HEADER} {VERSION}\n").as_bytes());
        if let Some(port) = self.port {
            out.extend_from_slice(format!("#!port {port}\n").as_bytes());
        }
        if self.wire != Wire::Bcp {
            out.extend_from_slice(format!("#!wire {}\n", self.wire.name()).as_bytes());
        }
    }

    /// Writes a stamp when time, as it is written, or connection are not the last stamp's.
    fn stamp(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let Some(time) = record.time else { return };
        let time = time.min(Duration::new(SECONDS_MAX, 999_999_999));
        let stamp = Some((time.as_micros(), record.connection));
        if self.stamp == stamp {
            return;
        }
        self.stamp = stamp;
        out.extend_from_slice(format!("#@{}.{:06}", time.as_secs(), time.subsec_micros()).as_bytes());
        if record.connection != 1 {
            out.extend_from_slice(format!(" {}", record.connection).as_bytes());
        }
        out.push(b'\n');
    }
}

/// Appends one message as a session file has it: its line behind the mark of its side, and its payload.
pub fn push_message(side: RecordKind, line: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    let mark = match side {
        RecordKind::Server => "#<",
        RecordKind::Pattern => "#~",
        RecordKind::Client if is_ignored(line) => "#>",
        RecordKind::Client => "",
    };
    push_marked(mark, line, payload, out);
}

/// Appends one message with the mark that it has in the session where it was read.
pub fn push_marked(mark: &str, line: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(mark.as_bytes());
    push_line(line, out);
    if mark.is_empty() {
        out.extend_from_slice(payload);
    } else if !payload.is_empty() {
        out.extend_from_slice(b"#=");
        // In pieces of whole triples: the base64 of a large payload is not kept twice.
        for piece in payload.chunks(48 << 10) {
            out.extend_from_slice(STANDARD.encode(piece).as_bytes());
        }
        out.push(b'\n');
    }
}

fn push_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend(line.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(side: RecordKind, line: &[u8]) -> Record<'_> {
        Record { number: 0, time: None, connection: 1, side, line, payload: None }
    }

    #[test]
    fn nothing_given_nothing_written() {
        let mut out = Vec::new();
        let mut writer = Writer::new(Some(5051));
        assert!(out.is_empty());
        writer.comment("started\n#<not a line", &mut out);
        writer.write(&record(RecordKind::Client, b"reset"), &mut out);
        writer.write(&record(RecordKind::Pattern, b"reset_complete"), &mut out);
        let expected = "#backbox-session 1\n#!port 5051\n# started#<not a line\nreset\n#~reset_complete\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn times_that_are_written_alike_share_a_stamp() {
        let mut out = Vec::new();
        let mut writer = Writer::new(None);
        for nanos in [1_000, 1_999, 2_000] {
            let time = Some(Duration::from_nanos(nanos));
            writer.write(&Record { time, ..record(RecordKind::Server, b"a") }, &mut out);
        }
        assert_eq!(out, b"#backbox-session 1\n#@0.000001\n#<a\n#<a\n#@0.000002\n#<a\n");
    }

    #[test]
    fn a_time_beyond_every_stamp_is_the_last_one() {
        let mut out = Vec::new();
        Writer::new(None).write(&Record { time: Some(Duration::MAX), ..record(RecordKind::Client, b"a") }, &mut out);
        assert_eq!(out, b"#backbox-session 1\n#@9999999999.999999\na\n");
    }

    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        Writer::new(None).write(&record(RecordKind::Server, b"a\r\nb\r"), &mut out);
        assert_eq!(out, b"#backbox-session 1\n#<ab\n");
    }
}
