//! The writer of session files, for recordings and imports alike.

use std::time::Duration;

use super::{HEADER, Record, VERSION};
use crate::bcp::{Side, push_base64};
use crate::framing::is_ignored;

/// The latest time that a stamp can hold: ten digits of seconds.
const SECONDS_MAX: u64 = 9_999_999_999;

/// Appends messages to a session file. The header is written with the first of them, so that a run without a message
/// leaves an empty file.
///
/// ```
/// use backbox::bcp::Side;
/// use backbox::session::Writer;
/// let mut writer = Writer::new(None);
/// let mut file = Vec::new();
/// let time = Some(std::time::Duration::from_micros(1204));
/// writer.message(time, 1, Side::Server, b"frame?name=dmd&bytes=2", Some(b"hi"), &mut file);
/// assert_eq!(file, b"#backbox-session 1\n#@0.001204\n#<frame?name=dmd&bytes=2\n#=aGk=\n");
/// ```
#[derive(Debug)]
pub struct Writer {
    port: Option<u16>,
    has_header: bool,
    /// Time in microseconds and connection of the last stamp.
    stamp: Option<(u128, u32)>,
}

impl Writer {
    /// A writer at the start of a file. `port` is the server's, if it is not the usual 5050.
    pub fn new(port: Option<u16>) -> Writer {
        Writer { port, has_header: false, stamp: None }
    }

    /// Appends a message, whole, so that what was written before and `out` are a valid file at every moment.
    ///
    /// Its payload has to be as long as its line announces, and its connection within [`super::CONNECTION_MAX`].
    /// Without a time there is no stamp. CR and LF in a line are left out: a session file cannot hold them.
    pub fn message(
        &mut self,
        time: Option<Duration>,
        connection: u32,
        side: Side,
        line: &[u8],
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        self.header(out);
        self.stamp(time, connection, out);
        push_message(side, line, payload.unwrap_or_default(), out);
    }

    /// Appends a record, which may be a pattern, as [`Writer::message`] does.
    pub fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let Record { time, connection, side, .. } = *record;
        if record.is_pattern {
            self.header(out);
            self.stamp(time, connection, out);
            out.extend_from_slice(b"#~");
            return push_line(&record.line, out);
        }
        self.message(time, connection, side, &record.line, record.payload.as_deref(), out);
    }

    /// Appends a comment, on one line.
    pub fn comment(&mut self, text: &str, out: &mut Vec<u8>) {
        self.header(out);
        // The blank keeps any text from being read as a mark.
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
    }

    /// Writes a stamp when time, as it is written, or connection are not the last stamp's.
    fn stamp(&mut self, time: Option<Duration>, connection: u32, out: &mut Vec<u8>) {
        let Some(time) = time else { return };
        let time = time.min(Duration::new(SECONDS_MAX, 999_999_999));
        let stamp = Some((time.as_micros(), connection));
        if self.stamp == stamp {
            return;
        }
        self.stamp = stamp;
        out.extend_from_slice(format!("#@{}.{:06}", time.as_secs(), time.subsec_micros()).as_bytes());
        if connection != 1 {
            out.extend_from_slice(format!(" {connection}").as_bytes());
        }
        out.push(b'\n');
    }
}

/// Appends a message as a session file has it: its line after the mark of its side, and its payload.
pub fn push_message(side: Side, line: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    let mark = match side {
        Side::Server => "#<",
        Side::Client if is_ignored(line) => "#>",
        Side::Client => "",
    };
    out.extend_from_slice(mark.as_bytes());
    push_line(line, out);
    if mark.is_empty() {
        out.extend_from_slice(payload);
    } else if !payload.is_empty() {
        out.extend_from_slice(b"#=");
        push_base64(payload, out);
        out.push(b'\n');
    }
}

fn push_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend(line.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_message_nothing_is_written() {
        let mut out = Vec::new();
        let mut writer = Writer::new(Some(5051));
        assert!(out.is_empty());
        writer.comment("started\n#<not a line", &mut out);
        writer.message(None, 1, Side::Client, b"reset", None, &mut out);
        let expected = "#backbox-session 1\n#!port 5051\n# started#<not a line\nreset\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn times_that_are_written_alike_share_a_stamp() {
        let mut out = Vec::new();
        let mut writer = Writer::new(None);
        for nanos in [1_000, 1_999, 2_000] {
            writer.message(Some(Duration::from_nanos(nanos)), 1, Side::Server, b"a", None, &mut out);
        }
        assert_eq!(out, b"#backbox-session 1\n#@0.000001\n#<a\n#<a\n#@0.000002\n#<a\n");
    }

    #[test]
    fn time_beyond_every_stamp_is_the_last_one() {
        let mut out = Vec::new();
        Writer::new(None).message(Some(Duration::MAX), 1, Side::Client, b"a", None, &mut out);
        assert_eq!(out, b"#backbox-session 1\n#@9999999999.999999\na\n");
    }

    #[test]
    fn line_stays_one_line() {
        let mut out = Vec::new();
        Writer::new(None).message(None, 1, Side::Server, b"a\r\nb\r", None, &mut out);
        assert_eq!(out, b"#backbox-session 1\n#<ab\n");
    }
}
