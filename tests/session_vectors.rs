//! The session format with its data files: `tests/data/session.jsonl` (reading), `session-writer.jsonl` (writing), a
//! session recorded from a real game, and the example of the manual page.

mod common;

use std::io::{self, BufRead, Read};
use std::time::Duration;

use backbox::bcp::Side;
use backbox::framing::FramingOptions;
use backbox::session::{ErrorKind, Kind, Note, Reader, Record, Writer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::seed::for_each_case;
use serde_json::Value;

/// `[seconds or null, connection, side, line, base64 or null]`.
fn from_case(value: &Value) -> Record {
    let (side, is_pattern) = match value[2].as_str().unwrap() {
        ">" => (Side::Client, false),
        "<" => (Side::Server, false),
        "~" => (Side::Server, true),
        other => panic!("side {other}"),
    };
    Record {
        number: 0,
        span: 0..0,
        time: value[0].as_f64().map(|seconds| Duration::from_micros((seconds * 1e6).round() as u64)),
        connection: value[1].as_u64().unwrap().try_into().unwrap(),
        side,
        is_pattern,
        line: text(&value[3]),
        payload: (!value[4].is_null()).then(|| STANDARD.decode(text(&value[4])).unwrap()),
    }
}

/// The record without its place in a file.
fn placeless(record: &Record) -> Record {
    Record { number: 0, span: 0..0, ..record.clone() }
}

/// The input of a case: a string, `{"b64": …}`, or `{"parts": [[text, times]…]}`.
fn text(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(base64) = value["b64"].as_str() {
        return STANDARD.decode(base64).unwrap();
    }
    parts(&value["parts"])
}

fn parts(value: &Value) -> Vec<u8> {
    let repeat = |part: &Value| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap() as usize);
    value.as_array().unwrap().iter().flat_map(|part| repeat(part).into_bytes()).collect()
}

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that the reader returns for an input.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    records: Vec<Record>,
    /// The line number and the message.
    error: Option<(Option<u64>, String)>,
    note: Option<Note>,
    kind: Option<Kind>,
}

/// An input that is read in pieces of limited size, with interruptions.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
    is_interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(space)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(&self.rest[..self.rest.len().min(self.piece)])
    }

    fn consume(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }
}

fn read(kind: Option<Kind>, input: &[u8], piece: usize) -> Reading {
    let input = Pieces { rest: input, piece, is_interrupted: false };
    let mut reader = Reader::new(input, kind, &FramingOptions::default()).unwrap();
    let mut reading = Reading { kind: Some(reader.kind()), ..Reading::default() };
    for record in reader.by_ref() {
        match record {
            Ok(record) => reading.records.push(record),
            Err(error) => {
                let is_first = reading.error.is_none() || matches!(error.kind, ErrorKind::Empty);
                assert!(is_first, "one error ends a reading: {error}");
                reading.error = Some((error.number, error.to_string()));
            }
        }
    }
    assert!(reader.next().is_none());
    reading.note = reader.take_note();
    reading
}

fn write(port: Option<u16>, records: &[Record]) -> Vec<u8> {
    let mut writer = Writer::new(port);
    let mut out = Vec::new();
    for record in records {
        writer.record(record, &mut out);
    }
    out
}

fn input_of(case: &Value) -> Vec<u8> {
    match (&case["input"], &case["input_b64"]) {
        (Value::String(text), _) => text.as_bytes().to_vec(),
        (_, Value::String(base64)) => STANDARD.decode(base64).unwrap(),
        _ => parts(&case["input_parts"]),
    }
}

/// Asserts the records, the error and the note of a case.
fn check_case(case: &Value, reading: &Reading, how: &str) {
    let name = case["name"].as_str().unwrap();
    if let Some(records) = case["records"].as_array() {
        let records: Vec<Record> = records.iter().map(from_case).collect();
        let read: Vec<Record> = reading.records.iter().map(placeless).collect();
        assert!(read == records, "{name}, {how}: {:?}", reading.records);
    }
    let expected = case["error"].as_str().map(|error| match error.split_once(": ") {
        Some((number, words)) if number.parse::<u64>().is_ok() => (number.parse().ok(), words),
        _ => (None, error),
    });
    match (&reading.error, expected) {
        (None, None) => {}
        (Some((number, error)), Some((at, words))) => {
            assert!(*number == at && error.contains(words), "{name}, {how}: {number:?} {error}");
        }
        (error, _) => panic!("{name}, {how}: {error:?}"),
    }
    assert_eq!(case["exit"].as_u64(), Some(u64::from(reading.error.is_some())), "{name}, {how}");
    let note = reading.note.map(|note| (note.number, note.text));
    let expected = match reading.kind {
        Some(kind) if kind.is_log() && !reading.records.is_empty() => Some((None, "log")),
        // If an input ends in its first line, the error contains everything.
        Some(Kind::Session) if reading.records.is_empty() => note.map(|(number, _)| (number, "ends inside")),
        Some(Kind::Session) => line_of_note(case).map(|number| (Some(number), "ends inside")),
        // The case has no note, but its second line looks like a session's line.
        _ if name == "only-comments" => Some((Some(2), "looks like a session's line")),
        _ => line_of_note(case).map(|number| (Some(number), "looks like a session's line")),
    };
    let is_expected = match (note, expected) {
        (Some((number, text)), Some((at, words))) => {
            number == at && (text.contains(words) || words == "log" && text.contains("cache"))
        }
        (note, expected) => note.is_none() && expected.is_none(),
    };
    assert!(is_expected, "{name}, {how}: {note:?}");
}

fn line_of_note(case: &Value) -> Option<u64> {
    case["note"].as_str().map(|note| note.trim_end_matches(": ").parse().unwrap())
}

fn kind_of(case: &Value) -> Option<Kind> {
    case["from"].as_str().map(|name| Kind::named(name).expect("a kind"))
}

#[test]
fn each_case_is_read_as_expected_in_pieces_of_any_size() {
    let cases = cases("session.jsonl");
    assert_eq!(cases.len(), 168);
    for case in &cases {
        let kind = kind_of(case);
        let input = input_of(case);
        // A long line in single bytes would take seconds.
        let pieces = if input.len() < 100_000 { &[1, 2, 3, 7][..] } else { &[4096] };
        for &piece in [input.len().max(1)].iter().chain(pieces) {
            check_case(case, &read(kind, &input, piece), &format!("pieces of {piece}"));
        }
    }
}

#[test]
fn trailing_data_changes_no_earlier_record() {
    let mut followed = 0;
    for case in cases("session.jsonl") {
        let (case, kind) = (&case, kind_of(&case));
        let input = input_of(case);
        let alone = read(kind, &input, input.len().max(1));
        // Trailing data would change a truncated input and one that is invalid as a whole.
        let has_end = alone.note.is_none() && input.ends_with(b"\n") && alone.error.iter().all(|(at, _)| at.is_some());
        if !has_end {
            continue;
        }
        let longer = read(kind, &[&input[..], b"trailing\n"].concat(), input.len());
        let extra = usize::from(alone.error.is_none());
        assert_eq!(longer.records.len(), alone.records.len() + extra, "{}", case["name"]);
        assert_eq!(longer.records[..alone.records.len()], alone.records, "{}", case["name"]);
        assert_eq!(longer.error, alone.error, "{}", case["name"]);
        followed += 1;
    }
    assert_eq!(followed, 98);
}

#[test]
fn records_survive_writing_and_reading() {
    for case in cases("session.jsonl") {
        let (case, kind) = (&case, kind_of(&case));
        let input = input_of(case);
        let first = read(kind, &input, input.len().max(1));
        let written = write(None, &first.records);
        if first.records.is_empty() {
            assert_eq!(written, b"", "{}", case["name"]);
            continue;
        }
        let again = read(None, &written, written.len());
        let same = again.records.iter().map(placeless).eq(first.records.iter().map(placeless));
        assert!(same, "{}", case["name"]);
        assert_eq!((again.error, again.note, again.kind), (None, None, Some(Kind::Session)), "{}", case["name"]);
        let dry_run = match (&case["dry_run"], &case["dry_run_b64"]) {
            (Value::String(text), _) => text.as_bytes().to_vec(),
            (_, Value::String(base64)) => STANDARD.decode(base64).unwrap(),
            _ => continue,
        };
        // Plain lines are written as a recorder writes them; a session keeps its comments and time stamps.
        if first.kind == Some(Kind::Lines) {
            assert_eq!(written, dry_run, "{}", case["name"]);
        }
    }
}

#[test]
fn every_record_is_written_as_expected() {
    let cases = cases("session-writer.jsonl");
    assert_eq!(cases.len(), 10);
    for case in &cases {
        let records: Vec<Record> = case["records"].as_array().unwrap().iter().map(from_case).collect();
        let written = write(case["port"].as_u64().map(|port| port.try_into().unwrap()), &records);
        let name = &case["name"];
        assert_eq!(String::from_utf8_lossy(&written), case["written"].as_str().unwrap(), "{name}");
        let read: Vec<Record> = read(None, &written, written.len()).records.iter().map(placeless).collect();
        assert_eq!(read, records, "{name}");
    }
}

#[test]
fn real_game_survives_reading_and_writing() {
    let path = format!("{}/tests/data/sessions/one-ball-game.bcp", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let reading = read(None, &file, 7);
    assert_eq!((reading.error, reading.note), (None, None));
    assert!(reading.records.iter().any(|record| record.side == Side::Server));
    let is_comment = |line: &[u8]| line.starts_with(b"# ");
    let lines: Vec<&[u8]> = file.split_inclusive(|&b| b == b'\n').filter(|line| !is_comment(line)).collect();
    assert_eq!(String::from_utf8_lossy(&write(None, &reading.records)), String::from_utf8_lossy(&lines.concat()));
}

/// The lines of `man/backbox-session.5` between the comments `name: begin` and `name: end`.
fn display(name: &str) -> String {
    let page = std::fs::read_to_string(format!("{}/man/backbox-session.5", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, from) = page.split_once(&format!(".\\\" {name}: begin\n.Bd -literal -offset indent\n")).unwrap();
    let (text, _) = from.split_once(&format!(".Ed\n.\\\" {name}: end\n")).unwrap();
    let text = text.replace("\\-", "-").replace("\\(ti", "~");
    assert!(!text.contains('\\') && !text.lines().any(|line| line.starts_with(['.', '\''])), "{text}");
    text
}

#[test]
fn example_of_the_manual_page_is_read_as_described() {
    let reading = read(None, display("example").as_bytes(), usize::MAX);
    assert_eq!((&reading.error, reading.note, reading.kind), (&None, None, Some(Kind::Session)));
    let shown = |record: &Record| {
        let side = match record.side {
            _ if record.is_pattern => "pattern",
            Side::Client => "client",
            Side::Server => "server",
        };
        let seconds = record.time.unwrap().as_secs_f64();
        format!("{seconds:.6} {} {side:<7} {}\n", record.connection, String::from_utf8_lossy(&record.line))
    };
    assert_eq!(reading.records.iter().map(shown).collect::<String>(), display("messages"));
    let payloads: Vec<&[u8]> = reading.records.iter().filter_map(|record| record.payload.as_deref()).collect();
    assert_eq!(payloads, [&[0, 1, 2, 3][..], b"ABC"]);
    // Writing the records again gives the example, except for lines that are not records.
    let untold = |line: &&str| !line.starts_with("#!ignore") && !line.starts_with("# ");
    let example: String = display("example").split_inclusive('\n').filter(untold).collect();
    assert_eq!(String::from_utf8(write(Some(5051), &reading.records)).unwrap(), example);
}

#[test]
fn logs_of_every_released_version_are_read() {
    let cases = cases("log-forms.jsonl");
    assert_eq!(cases.len(), 27);
    for case in &cases {
        let (name, input) = (case["name"].as_str().unwrap(), input_of(case));
        for piece in [input.len(), 1] {
            let pieces = Pieces { rest: &input, piece, is_interrupted: false };
            let mut reader = Reader::new(pieces, kind_of(case), &FramingOptions::default()).unwrap();
            assert_eq!(reader.kind().name(), case["kind"].as_str().unwrap(), "{name}");
            let (records, errors): (Vec<_>, Vec<_>) = reader.by_ref().partition(Result::is_ok);
            let records: Vec<Record> = records.into_iter().map(|record| placeless(&record.unwrap())).collect();
            let expected: Vec<Record> = case["records"].as_array().unwrap().iter().map(from_case).collect();
            assert_eq!(records, expected, "{name}");
            let errors: Vec<String> = errors
                .into_iter()
                .map(|error| error.unwrap_err())
                .map(|error| match error.number {
                    Some(number) => format!("{number}: {error}"),
                    None => error.to_string(),
                })
                .collect();
            let is_expected = case["error"].as_str().map_or(errors.is_empty(), |error| errors.concat().contains(error));
            assert!(is_expected && errors.len() < 3, "{name}: {errors:?}");
            assert_eq!(reader.settings().port.map(u64::from), case["port"].as_u64(), "{name}");
        }
    }
}

#[test]
fn damaged_inputs_end_without_a_panic() {
    let files = ["session.jsonl", "log-forms.jsonl"].map(cases).concat();
    let inputs: Vec<(Option<Kind>, Vec<u8>)> = files.iter().map(|case| (kind_of(case), input_of(case))).collect();
    for_each_case(4_000, |random| {
        let (kind, input) = random.pick(&inputs);
        let mut input = input[..input.len().min(4_000)].to_vec();
        for _ in 0..1 + random.below(4) {
            let length = input.len();
            let at = random.below(length.max(1)).min(length);
            match random.below(4) {
                0 => input.truncate(at),
                1 => input.insert(at, *random.pick(b"\n\r#<>=~!@0\"'&?{} :\xff")),
                2 => input.rotate_left(at),
                _ => input.drain(at..(at + random.below(20)).min(length)).for_each(drop),
            }
        }
        let kind = if random.once_in(3) { Kind::named(Kind::NAMES[random.below(Kind::NAMES.len())]) } else { *kind };
        let (whole, pieces) = (collect(kind, &input, input.len().max(1)), collect(kind, &input, 1 + random.below(9)));
        if whole == pieces { Ok(()) } else { Err(format!("{whole:?} is not {pieces:?}: {}", input.escape_ascii())) }
    });
}

/// Reads every record and error of an input.
fn collect(kind: Option<Kind>, input: &[u8], piece: usize) -> Vec<Result<Record, String>> {
    let pieces = Pieces { rest: input, piece, is_interrupted: false };
    let reader = Reader::new(pieces, kind, &FramingOptions::default()).unwrap();
    let records: Vec<_> = reader.map(|record| record.map_err(|error| format!("{:?} {error}", error.number))).collect();
    // Spans are in order and contain what was read.
    let spans = records.iter().flatten().map(|record| record.span.clone());
    let ends: Vec<u64> = spans.flat_map(|span| [span.start, span.end]).collect();
    assert!(ends.is_sorted() && ends.last().is_none_or(|end| *end <= input.len() as u64), "{ends:?}");
    records
}
