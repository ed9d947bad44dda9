//! The reader of session files and plain lines, and how the kind of an input is found.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;

use super::input::{BYTE_ORDER_MARK, SessionInput, mark};
use super::logs::{self, Log};
use super::settings::Settings;
use super::{CONNECTION_MAX, Error, ErrorKind, HEADER, Kind, Note, Record, VERSION};
use crate::bcp::{Side, is_command, line_command, payload_marker};
use crate::framing::{FramingError, FramingOptions, is_ignored};
use crate::text::{is_white, shown, trim};

/// How many lines that are neither blank nor comments are looked at for the form of a log: a rotated log begins with
/// half a line, a terminal's with a prompt.
const LINES_LOOKED_AT: usize = 10;

/// How much of an input is read at first to find its kind; more if that does not tell.
const HEAD_BYTES: u64 = 16 << 10;

const CUT: &str = "the file ends inside this message or line, which is left out";
const MARKS: &str = "this looks like a session's line but is read as a comment: line 1 of a session is \
                     '#backbox-session 1'; --from session reads a file without it";

/// Reads the messages of a session file, of plain BCP lines or of a log, in memory that does not grow with the input.
///
/// It is an iterator. The first error ends it, unless [`Error::is_skipped`]: a damaged line of a log. An input without
/// a message ends with an error too.
#[derive(Debug)]
pub struct Reader<R> {
    input: SessionInput<R>,
    framing: FramingOptions,
    kind: Kind,
    /// Whether the caller named the kind.
    is_forced: bool,
    settings: Settings,
    note: Option<Note>,
    /// Whether plain lines have been found to hold a line that looks like a session's.
    has_marks: bool,
    log: Log,
    time: Option<Duration>,
    connection: u32,
    messages: u64,
    has_header: bool,
    position: u64,
    is_over: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the start of an input. Without a `kind`, the first lines are read to find it. `framing` has the
    /// limits of lines and payloads.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn new(mut input: R, kind: Option<Kind>, framing: &FramingOptions) -> io::Result<Reader<R>> {
        let (found, head) = match kind {
            Some(kind) => (kind, Vec::new()),
            None => read_head(&mut input, framing.line_bytes_max)?,
        };
        let input = SessionInput::new(head, input, found, framing)?;
        Ok(Reader {
            position: input.offset,
            input,
            framing: framing.clone(),
            kind: found,
            is_forced: kind.is_some(),
            settings: Settings { port: logs::port(found), ..Settings::default() },
            note: None,
            has_marks: false,
            log: Log::default(),
            time: None,
            connection: 1,
            messages: 0,
            has_header: false,
            is_over: false,
        })
    }

    /// What the input is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether line 1 is the header of a session, once there is a record. A session that is named as one needs none.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// The settings so far; all of them once there is a record.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The note that has come up since the last call. An input gives at most one; it may come with the end.
    pub fn take_note(&mut self) -> Option<Note> {
        self.note.take()
    }

    /// How far the input has been read and found to be whole and well-formed, in bytes.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn session_record(&mut self) -> Result<Option<Record>, Error> {
        while self.read_whole_line()? {
            let (number, text) = (self.input.number, std::mem::take(&mut self.input.text));
            match mark(&text) {
                None if number == 1 && is_header(&text)? => self.has_header = true,
                None if is_ignored(&text) => {}
                None => return self.plain_message(text),
                Some((b'<', line)) => return self.marked_message(Side::Server, line),
                Some((b'>', line)) => return self.marked_message(Side::Client, line),
                Some((b'~', pattern)) if trim(pattern).is_empty() => {
                    return Err("#~ wants a pattern, such as '#~mode_list?running_modes=*'".into());
                }
                Some((b'~', pattern)) => {
                    let is_pattern = true;
                    return Ok(Some(Record { is_pattern, ..self.record(Side::Server, pattern.to_vec(), None) }));
                }
                Some((b'@', stamp)) => (self.time, self.connection) = parse_stamp(stamp)?,
                Some((b'!', _)) if self.messages > 0 => {
                    return Err("a setting after the first message: settings stand before it".into());
                }
                Some((b'!', setting)) => self.settings.add(number, setting)?,
                Some(_) => {
                    return Err("a payload without a line: '#=' follows a '#<' or '#>' line that announces one".into());
                }
            }
            self.position = self.input.offset;
        }
        Ok(None)
    }

    /// Reads the next line of a session; whether there is one. A line without LF may be half a line.
    fn read_whole_line(&mut self) -> Result<bool, Error> {
        let is_found = self.input.read_line()?;
        if is_found && !self.input.has_lf {
            self.note(self.input.number, CUT);
        }
        Ok(self.input.has_lf)
    }

    /// A line and its raw payload, which were sent by the client.
    fn plain_message(&mut self, line: Vec<u8>) -> Result<Option<Record>, Error> {
        let has_payload = self.framing.payloads || self.kind == Kind::Session;
        let announced = if has_payload { self.announced(&line)? } else { None };
        let payload = announced.map(|announced| self.input.read_payload(announced)).transpose()?;
        let (got, announced) = (payload.as_ref().map_or(0, Vec::len), announced.unwrap_or(0));
        if got == announced {
            return Ok(Some(self.record(Side::Client, line, payload)));
        }
        if self.kind != Kind::Session {
            return Err(FramingError::PayloadCut { got, announced }.to_string().into());
        }
        self.note(self.input.number, CUT);
        Ok(None)
    }

    /// A line after `#<` or `#>`, whose payload is the `#=` line that follows directly.
    fn marked_message(&mut self, side: Side, line: &[u8]) -> Result<Option<Record>, Error> {
        let announced = if is_ignored(line) { None } else { self.announced(line)? };
        let record = self.record(side, line.to_vec(), announced.map(|_| Vec::new()));
        let Some(announced) = announced.filter(|&announced| announced > 0) else { return Ok(Some(record)) };
        let (number, start) = (record.number, record.span.start);
        if !self.read_whole_line()? {
            self.note(number, CUT);
            return Ok(None);
        }
        let Some(base64) = self.input.text.strip_prefix(b"#=") else {
            let why = format!("no payload: line {number} announces {announced} bytes, and '#=' follows directly");
            return Err(why.into());
        };
        let payload = STANDARD.decode(base64).map_err(|_| "bad base64 after '#='")?;
        if payload.len() != announced {
            let got = payload.len();
            return Err(format!("a payload of {got} bytes, where line {number} says {announced}").into());
        }
        Ok(Some(Record { span: start..self.input.offset, payload: Some(payload), ..record }))
    }

    /// The length of the payload that a line announces.
    fn announced(&self, line: &[u8]) -> Result<Option<usize>, Error> {
        let limit = self.framing.payload_bytes_max;
        match payload_marker(line).map(|marker| marker.length.filter(|&length| length <= limit)) {
            Some(None) => Err(FramingError::PayloadTooLarge(limit).to_string().into()),
            length => Ok(length.flatten()),
        }
    }

    fn note(&mut self, number: u64, text: &'static str) {
        self.note = Some(Note { number: Some(number), text });
    }

    fn record(&self, side: Side, line: Vec<u8>, payload: Option<Vec<u8>>) -> Record {
        let (time, connection, number) = (self.time, self.connection, self.input.number);
        let span = self.input.start..self.input.offset;
        Record { number, span, time, connection, side, is_pattern: false, line, payload }
    }

    fn plain_record(&mut self) -> Result<Option<Record>, Error> {
        while self.input.read_line()? {
            let text = std::mem::take(&mut self.input.text);
            if !is_ignored(&text) {
                let is_known = self.messages > 0 || self.is_forced || has_command(&text);
                return if is_known { self.plain_message(text) } else { Err(self.unknown(text)) };
            }
            // A user who asked for plain lines by name knows what the comments are.
            if !self.is_forced && !self.has_marks && mark(&text).is_some() {
                self.has_marks = true;
                self.note(self.input.number, MARKS);
            }
        }
        Ok(None)
    }

    fn log_record(&mut self) -> Result<Option<Record>, Error> {
        let damaged = |why: Error| Error { kind: ErrorKind::Damaged, text: format!("{}; left out", why.text), ..why };
        while self.input.read_line().map_err(|error| if error.is_io() { error } else { damaged(error) })? {
            let (number, limit) = (self.input.number, self.framing.line_bytes_max);
            let found = self.log.message(self.kind, number, &self.input.text, limit);
            let Some(message) = found.map_err(damaged)? else { continue };
            self.time = message.time;
            if self.messages == 0 {
                self.note = Some(Note { number: None, text: message.program.lost });
                self.settings.port = message.program.port;
            }
            // The only payload that a log can hold is none.
            let payload = (!is_ignored(&message.line) && payload_marker(&message.line).is_some()).then(Vec::new);
            return Ok(Some(self.record(message.side, message.line, payload)));
        }
        Ok(None)
    }

    /// Why the input is of no known kind. The rest of it is searched for a line that may be one of a log.
    fn unknown(&mut self, first: Vec<u8>) -> Error {
        let number = self.input.number;
        let mut hint = logs::hint(number, &first);
        while hint.is_none() && matches!(self.input.read_line(), Ok(true)) {
            hint = logs::hint(self.input.number, &self.input.text);
        }
        let hint = hint.unwrap_or_else(|| format!("{}; --from names the kind of a file", logs::ADVICE));
        let text = format!(
            "neither a session, nor a log of a known kind, nor BCP: a session begins with '{HEADER} {VERSION}', one of \
             the first ten lines of a log has the log's form, and BCP lines begin with a command; {hint}"
        );
        Error { number: Some(number), ..text.into() }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let found = match self.kind {
            Kind::Session => self.session_record(),
            Kind::Lines => self.plain_record(),
            _ => self.log_record(),
        };
        match found {
            Ok(Some(record)) => {
                self.messages += 1;
                self.position = self.input.offset;
                Some(Ok(record))
            }
            Ok(None) => {
                self.is_over = true;
                let text = self.log.nothing(self.kind);
                (self.messages == 0).then_some(Err(Error { number: None, kind: ErrorKind::Empty, text }))
            }
            Err(error) => {
                self.is_over = !error.is_skipped();
                let number = error.number.or(Some(self.input.number)).filter(|_| !error.is_io());
                Some(Err(Error { number, ..error }))
            }
        }
    }
}

/// The kind of an input that begins like this: a session by its first line, a log by one of the first ten lines that
/// are neither blank nor comments, plain BCP lines by the command of the first of these. `None` is none of them.
///
/// ```
/// use backbox::session::{Kind, detect};
/// assert_eq!(detect(b"#backbox-session 1\n"), Some(Kind::Session));
/// assert_eq!(detect(b"21:02:29.935 : DEBUG [BCPClientSocket] Sending \"hello\"\n"), Some(Kind::MpfConsole));
/// assert_eq!(detect(b"# comment\nhello?version=1.1\n"), Some(Kind::Lines));
/// assert_eq!(detect(b"{\"command\":\"hello\"}\n"), None);
/// ```
pub fn detect(head: &[u8]) -> Option<Kind> {
    match look(head, true) {
        Some(Kind::Lines) | None => {
            let first = after_mark(head).split(|&byte| byte == b'\n').find(|line| !is_ignored(line))?;
            has_command(first).then_some(Kind::Lines)
        }
        kind => kind,
    }
}

/// Reads so much of an input that it tells its kind.
fn read_head<R: BufRead>(input: &mut R, bytes_max: usize) -> io::Result<(Kind, Vec<u8>)> {
    let (mut head, mut wanted) = (Vec::new(), HEAD_BYTES);
    loop {
        input.by_ref().take(wanted - head.len() as u64).read_to_end(&mut head)?;
        let has_ended = (head.len() as u64) < wanted;
        let found = look(&head, has_ended);
        match found.or((has_ended || head.len() > bytes_max).then_some(Kind::Lines)) {
            Some(kind) => return Ok((kind, head)),
            None => wanted *= 4,
        }
    }
}

/// The kind of an input by its first lines; `None` while more of them have to be seen.
fn look(head: &[u8], has_ended: bool) -> Option<Kind> {
    let head = after_mark(head);
    let (mut rest, mut lines) = (head, 0);
    while !rest.is_empty() && lines < LINES_LOOKED_AT {
        let length = match memchr(b'\n', rest) {
            Some(length) => length,
            None if has_ended => rest.len(),
            None => return None,
        };
        let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
        if rest.len() == head.len() && !matches!(is_header(line), Ok(false)) {
            return Some(Kind::Session);
        }
        let mut payload = 0;
        if !is_ignored(line) {
            if let Some(kind) = logs::kind_of_line(line) {
                return Some(kind);
            }
            lines += 1;
            payload = payload_marker(line).and_then(|marker| marker.length).unwrap_or(0);
        }
        rest = &rest[rest.len().min((length + 1).saturating_add(payload))..];
    }
    (lines == LINES_LOOKED_AT).then_some(Kind::Lines)
}

fn after_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head)
}

/// Whether a line of BCP may begin like this.
fn has_command(line: &[u8]) -> bool {
    is_command(line_command(line).as_bytes())
}

/// Reads line 1: whether it is a session's header, and one of a format that is known.
fn is_header(line: &[u8]) -> Result<bool, Error> {
    let Some(rest) = line.strip_prefix(HEADER.as_bytes()) else { return Ok(false) };
    if rest.first().is_some_and(|&byte| !is_white(byte)) {
        return Ok(false);
    }
    let digits = trim(rest);
    let version = &digits[digits.iter().take_while(|&&byte| byte == b'0').count()..];
    match version.is_empty() || !version.iter().all(u8::is_ascii_digit) {
        true => Err(format!("the first line of a session wants '{HEADER} {VERSION}'").into()),
        false if version == VERSION.to_string().as_bytes() => Ok(true),
        false => Err(format!("format {} is newer than {VERSION}, the newest one known", shown(version)).into()),
    }
}

/// Reads what follows `#@`: the time, cut to microseconds, and the connection, 1 if there is none.
fn parse_stamp(text: &[u8]) -> Result<(Option<Duration>, u32), Error> {
    let mut words = text.split(|&byte| is_white(byte)).filter(|word| !word.is_empty());
    let (time, connection, more) = (words.next().and_then(parse_seconds), words.next(), words.next());
    if time.is_none() || more.is_some() {
        let form = "'#@SECONDS' or '#@SECONDS CONN', SECONDS with up to ten digits, a point and up to nine more";
        return Err(format!("bad time: write {form}").into());
    }
    let Some(word) = connection else { return Ok((time, 1)) };
    match parse_digits(word, 9).filter(|_| word[0] != b'0').and_then(|number| u32::try_from(number).ok()) {
        Some(connection) => Ok((time, connection)),
        None => Err(format!("bad connection number {}: write 1 to {CONNECTION_MAX}", shown(word)).into()),
    }
}

fn parse_seconds(word: &[u8]) -> Option<Duration> {
    let mut parts = word.splitn(2, |&byte| byte == b'.');
    let seconds = parse_digits(parts.next()?, 10)?;
    let nanos = match parts.next() {
        Some(decimals) => parse_digits(decimals, 9)? * 10u64.pow(9 - decimals.len() as u32),
        None => 0,
    };
    Some(Duration::from_secs(seconds) + Duration::from_micros(nanos / 1000))
}

/// The number that one to `digits_max` ASCII digits say.
fn parse_digits(digits: &[u8], digits_max: usize) -> Option<u64> {
    let is_number = digits.len() <= digits_max && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    //! Tests of limits, places and memory of the reader. The accepted input is tested with `tests/data/session.jsonl`.

    use std::io::Read;

    use super::*;

    /// The results of a reader: `LINE SPAN text|payload`, `LINE !error`, `LINE note`.
    fn read(framing: &FramingOptions, input: impl Read) -> Vec<String> {
        let input = io::BufReader::with_capacity(7, input);
        let mut reader = Reader::new(input, None, framing).unwrap();
        let mut seen: Vec<String> = reader
            .by_ref()
            .map(|record| match record {
                Ok(Record { number, span, line, payload, .. }) => {
                    let payload = payload.map(|payload| format!("|{}", payload.escape_ascii())).unwrap_or_default();
                    format!("{number} {span:?} {}{payload}", line.escape_ascii())
                }
                Err(error) => format!("{} !{error}", error.number.unwrap_or_default()),
            })
            .collect();
        seen.extend(reader.take_note().map(|note| format!("{} {}", note.number.unwrap_or_default(), note.text)));
        seen
    }

    #[track_caller]
    fn check(input: &str, expected: &[&str]) {
        assert_eq!(read(&FramingOptions::default(), input.as_bytes()), expected);
    }

    #[test]
    fn spans_hold_line_mark_and_payload() {
        check(
            "\u{feff}#backbox-session 1\n#@0\r\nf&bytes=1\n\n\n#<a\r\n#<f?bytes=2\n#=QUI=\n#@2\n#>#x\n#~a?b=*\n# end\n",
            &["3 27..38 f&bytes=1|\\n", "6 39..44 a", "7 44..63 f?bytes=2|AB", "10 67..72 #x", "11 72..80 a?b=*"],
        );
        check("reset\n# x\nf&bytes=2\nAB", &["1 0..6 reset", "3 10..22 f&bytes=2|AB"]);
    }

    #[test]
    fn carriage_returns_are_removed_before_marks_are_searched() {
        let framing = FramingOptions { line_bytes_max: 1, ..FramingOptions::default() };
        let input = "#backbox-session 1\r\n\r#\r@1\r\n#\r<a\r\r\n";
        assert_eq!(read(&framing, input.as_bytes()), ["3 27..34 a"]);
    }

    #[test]
    fn limit_counts_the_line_without_its_mark() {
        let framing = FramingOptions { line_bytes_max: 20, payload_bytes_max: 30, ..FramingOptions::default() };
        let start = format!("#backbox-session 1\n#<{}\n#>#{}\n#{}\n", "a".repeat(20), "b".repeat(19), "-".repeat(90));
        for mark in ["#<", "#>", "#~", "#@", "#!", "", "  "] {
            let seen = read(&framing, format!("{start}{mark}{}\n#<x\n", "c".repeat(21)).as_bytes());
            assert_eq!(seen.len(), 3, "{mark}: {seen:?}");
            assert_eq!(seen[2], "5 !line over 20 bytes; --max-line allows more", "{mark}");
        }
        let payload = format!("#backbox-session 1\n#<f&bytes=30\n#={}\n", "QUFB".repeat(10));
        assert_eq!(read(&framing, payload.as_bytes()), [format!("2 19..75 f&bytes=30|{}", "A".repeat(30))]);
        let longer = format!("#backbox-session 1\n#<f&bytes=30\n#={}\n", "A".repeat(41));
        assert_eq!(read(&framing, longer.as_bytes())[0], "3 !line over 40 bytes; --max-line allows more");
    }

    #[test]
    fn missing_payload_before_a_long_comment_is_reported() {
        let framing = FramingOptions { line_bytes_max: 20, ..FramingOptions::default() };
        let hidden = format!("#backbox-session 1\n#<f&bytes=1\n# {}\n#=QQ==\n", "x".repeat(90));
        let expected = ["3 !no payload: line 2 announces 1 bytes, and '#=' follows directly"];
        assert_eq!(read(&framing, hidden.as_bytes()), expected);
    }

    #[test]
    fn line_of_a_log_over_the_limit_is_skipped() {
        let framing = FramingOptions { line_bytes_max: 20, ..FramingOptions::default() };
        let line = |text: &str| format!("21:02:29.935 : DEBUG [BCPClientSocket] Sending \"{text}\"\n");
        let input = [line("reset"), line(&"x".repeat(21)), line(&"y".repeat(300)), line("goodbye")].concat();
        let seen = read(&framing, input.as_bytes());
        assert!(seen[0].ends_with(" reset") && seen[3].ends_with(" goodbye"), "{seen:?}");
        assert_eq!(seen[1], "2 !line over 20 bytes; --max-line allows more; left out");
        assert_eq!(seen[2], "3 !line over 120 bytes; --max-line allows more; left out");
    }

    #[test]
    fn marks_among_plain_lines_get_one_note() {
        check("reset\n#x\n #<y\n#<a\n#@1\nb", &["1 0..6 reset", "6 22..23 b", &format!("4 {MARKS}")]);
        check("a\n#backbox-session 1\n#<b\n", &["1 0..2 a", &format!("3 {MARKS}")]);
    }

    #[test]
    fn input_that_cannot_be_read_is_an_error_without_a_place() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let start = "#backbox-session 1\na\n".repeat(1_000);
        let mut reader =
            Reader::new(io::BufReader::new(start.as_bytes().chain(Broken)), None, &FramingOptions::default()).unwrap();
        let error = reader.by_ref().find_map(Result::err).unwrap();
        assert!(matches!(error.kind, ErrorKind::Io(_)) && error.number.is_none() && reader.next().is_none());
    }

    /// A number of equal bytes.
    fn run_of(byte: u8, count: u64) -> impl Read {
        io::repeat(byte).take(count)
    }

    #[test]
    fn memory_does_not_grow_with_the_stream() {
        let stamps: String = (0..10_000).map(|count| format!("#@{count}.25 {}\n", count + 1)).collect();
        let head = format!("#backbox-session 1\n#{stamps}# ");
        let input = head.as_bytes().chain(run_of(b'-', 8 << 20)).chain(&b"\n"[..]);
        let input = input.chain(run_of(b' ', 8 << 20)).chain(run_of(b'\r', 8 << 20)).chain(&b"\nreset\n"[..]);
        let mut reader = Reader::new(io::BufReader::new(input), None, &FramingOptions::default()).unwrap();
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.number, &record.line[..], record.connection), (10_004, &b"reset"[..], 10_000));
        assert!(reader.input.text.capacity() < 4 << 20, "{}", reader.input.text.capacity());
    }

    #[test]
    fn endless_line_is_an_error_and_is_not_buffered() {
        for start in ["#backbox-session 1\n#<", "#backbox-session 1\n", "#backbox-session 1\n#@", "a\n", "a\n  "] {
            let input = start.as_bytes().chain(run_of(b'a', 8 << 20));
            let mut reader = Reader::new(io::BufReader::new(input), None, &FramingOptions::default()).unwrap();
            let error = reader.by_ref().find_map(Result::err).unwrap();
            assert_eq!(
                (error.number, error.to_string()),
                (Some(2), "line over 1048576 bytes; --max-line allows more".into())
            );
            assert!(reader.input.text.capacity() < 4 << 20, "{start}: {}", reader.input.text.capacity());
        }
    }
}
