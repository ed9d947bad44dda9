//! `backbox decode`: BCP streams, recorded sessions and logs into JSON Lines, lines of a template or a table.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::Path;

use crate::bcp::template::{Origin, Template};
use crate::bcp::{
    Malformed, MalformedReason, Message, ParseOptions, Side, canonical_name, payload_marker, push_ascii_json, unescape,
};
use crate::catalogue::lint;
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule};
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, Framer, FramingError, FramingOptions, RawMessage, Wire, body, is_ignored};
use crate::limits::{READ_BYTES, WRITE_BYTES};
use crate::output::show::{Show, Style};
use crate::output::table::{EndNames, Table};
use crate::output::{Console, push_for_terminal, stdout_is_terminal};
use crate::session::{ErrorKind, Kind, Reader, Record, detect};
use crate::text::trim;

use super::arguments::note_mistyped_patterns;
use super::input::{Filter, Source, Strings};
use super::shared::{
    EXCLUDE, FAIL_FAST, FORMAT, GENERAL, Input, KEEP_CASE, MATCH, MAX_LINE, MAX_PAYLOAD, NO_NAN, OBE, OutputOptions,
    Selection, WIRE, wire,
};

const NO_MESSAGES: &str = "--lint and -s print no messages";

pub const COMMAND: Command = Command {
    help: Help {
        name: "decode",
        summary: "turn BCP into JSON Lines",
        synopsis: &["[*OPTION*]... [*FILE*]...", "[*OPTION*]... `-s` [*STRING*]..."],
        prose: concat!(include_str!("help/decode.md"), include_str!("help/options.md")),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io],
        see_also: &[("backbox", 1), ("backbox-encode", 1), ("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    groups: &[
        Group::new("Output").flags(&[
            MATCH,
            EXCLUDE,
            FORMAT,
            Flag::value("view", "VIEW", "Print *VIEW* instead of JSON").one_of(&["table", "raw"]).common(),
            Flag::switch("meta", "Add time, connection and sender to the JSON").common(),
            Flag::switch("ascii", "Write everything beyond ASCII as `\\uXXXX`"),
            Flag::switch("lint", "Print what peers misread, not messages").common(),
        ]),
        Group::new("Strings").flags(&[
            Flag::switch("string", "Decode bare strings instead of messages").short('s').common(),
            Flag::switch("null", "End each string with NUL instead of LF").short('0'),
        ]),
        Group::new("Input").flags(&[
            WIRE,
            Flag::switch("no-payload", "Read a log without its payloads"),
            KEEP_CASE,
            NO_NAN,
            FAIL_FAST,
            MAX_LINE,
            MAX_PAYLOAD,
        ]),
        GENERAL,
    ],
    rules: &[
        Rule::conflicts(&["view"], &["format", "meta", "ascii"], "each is a form of the same message"),
        Rule::conflicts(&["ascii"], &["format"], "it is about JSON, and a template prints text"),
        Rule::conflicts(&["lint", "string"], &["format", "match", "exclude", "view", "meta", "ascii"], NO_MESSAGES),
        Rule::conflicts(&["lint"], &["null"], NO_MESSAGES),
        Rule::conflicts(&["lint"], &["keep-case"], "peers give the case of names no meaning"),
        Rule::conflicts(&["string"], &["lint", "no-payload", "max-payload", "keep-case", "no-nan"], NO_MESSAGES),
        Rule::needs(&["null"], &["string"], "it sets how bare strings end on output"),
        Rule::conflicts(&["no-payload"], &["max-payload"], "without payloads there is nothing to limit"),
        Rule::conflicts(&["view", "meta", "lint", "string", "no-payload", "keep-case"], OBE, "it is about BCP"),
        Rule::conflicts(&["max-line", "max-payload"], OBE, "an OBE_Socket message has up to 64 MiB"),
    ],
    words: Some(Complete::File),
    run,
};

/// Runs `backbox decode`.
///
/// # Errors
/// What ends the run at once; neither a malformed line nor a file that cannot be read does.
fn run(given: &Given) -> Result<Exit, Failure> {
    let input = Input::read(given)?;
    let mut filter = Filter::new(OutputOptions::read(given).console(COMMAND.help.name), input.fail_fast);
    let framing = FramingOptions { payloads: !given.has("no-payload"), ..input.framing(wire(given)) };
    let outcome = if given.has("string") {
        let ends_in_nul = given.has("null");
        let strings = Strings {
            convert: if stdout_is_terminal() && !ends_in_nul { decode_for_terminal } else { decode_string },
            end_in: b'\n',
            end_out: if ends_in_nul { 0 } else { b'\n' },
            bytes_max: input.line_bytes_max,
        };
        strings.run(&given.words, Path::new("-"), &mut filter)
    } else if given.has("lint") {
        print_findings(&given.words, &framing, &input.reading, &mut filter)
    } else {
        let mut decoder = Decoder::new(given, framing, input.reading, &filter.console)?;
        let outcome = filter.each_file(&given.words, |source, filter| decoder.source(source, filter));
        if outcome.is_ok() {
            decoder.note_unseen_names(&filter.console);
        }
        outcome
    };
    filter.finish(outcome)
}

fn decode_string(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let decoded = unescape(text);
    std::str::from_utf8(&decoded).map_err(|_| Malformed::message(text, MalformedReason::NotUtf8))?;
    out.extend_from_slice(&decoded);
    Ok(())
}

fn decode_for_terminal(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut decoded = Vec::new();
    decode_string(text, &mut decoded)?;
    push_for_terminal(&decoded, out);
    Ok(())
}

/// Prints what peers misread in one input after the other.
///
/// # Errors
/// What ends the run at once; a file that cannot be read does not.
fn print_findings(
    files: &[OsString],
    framing: &FramingOptions,
    reading: &ParseOptions,
    filter: &mut Filter,
) -> Result<(), Failure> {
    let mut total = 0_u64;
    let outcome = filter.each_file(files, |mut source, filter| {
        if !is_bcp(&mut source, filter)? {
            return Ok(!filter.fail_fast);
        }
        let (name, fail_fast) = (source.name.clone(), filter.fail_fast);
        filter.feed(source, &mut Framer::new(framing.clone()), |frame, out| {
            let (number, findings) = match frame {
                Frame::Ignored { .. } => return Ok(true),
                Frame::Bad { number, fault } => (number, vec![format!("stop: {fault}")]),
                // The payload is not known: any other stands for it.
                Frame::Message(message) if !framing.payloads && message.marker.is_some() => {
                    (message.number, lint(&[message.text(), b"&bytes=1"].concat(), Some(b"\0"), reading))
                }
                Frame::Message(message) => (message.number, lint(message.line, message.payload, reading)),
            };
            for finding in findings {
                total += 1;
                out.extend_from_slice(format!("{name}:{number}: {finding}\n").as_bytes());
                if fail_fast {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    });
    if total > 0 {
        filter.console.worsen(Exit::Failed);
    }
    outcome?;
    if total > 0 {
        filter.console.note(format_args!("findings: {total}"));
    }
    Ok(())
}

/// Whether an input is BCP by its first line, as far as that is known. If it is something else it is reported.
///
/// # Errors
/// The input cannot be read, or the output not written.
fn is_bcp(source: &mut Source, filter: &mut Filter) -> Result<bool, Failure> {
    let head = source.peek(1)?;
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&head);
    let mut lines = head.split(|&byte| byte == b'\n').zip(1..);
    let Some((line, number)) = lines.find(|(line, _)| !is_ignored(line)) else { return Ok(true) };
    let line: Vec<u8> = line.iter().copied().filter(|&byte| byte != b'\r').collect();
    let place = format!("{}:{number}", source.name);
    let file = if source.is_stdin() { String::new() } else { format!(" {}", source.name) };
    match (detect(&line), trim(&line)) {
        (Some(kind), _) if kind.is_log() => {
            let kind = kind.name();
            let advice = format!("decode --meta{file}, decode --view table{file} or replay --dry-run{file}");
            filter.report(&place, format_args!("this is a log ({kind}), not a BCP stream; read it with {advice}"))?;
            Ok(false)
        }
        (None, [b'{', ..]) => {
            filter.report(&place, "this is JSON, not BCP; read it with encode")?;
            Ok(false)
        }
        (None, text @ [first, ..]) if *first != b'?' => {
            let what = match text {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16, and BCP is UTF-8",
                _ if text.starts_with(b"HTTP/") => "it is an HTTP reply",
                _ if text.iter().take_while(|byte| byte.is_ascii_digit()).count() == 10 => {
                    "--wire obe reads frames of OBE_Socket"
                }
                _ => "a command has no spaces",
            };
            filter.console.note(format_args!("{place}: this does not look like a BCP command; {what}"));
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// The kind of a session or log.
fn recorded_kind(source: &mut Source) -> Result<Option<Kind>, Failure> {
    /// A rotated log begins with half a line.
    const LINES_LOOKED_AT: usize = 10;
    let found = match detect(&source.peek(1)?) {
        None => detect(&source.peek(LINES_LOOKED_AT)?),
        found => found,
    };
    Ok(found.filter(|kind| *kind != Kind::Lines))
}

/// Decodes one input after the other.
struct Decoder {
    framing: FramingOptions,
    reading: ParseOptions,
    /// Whether sessions and logs are read as such.
    reads_recordings: bool,
    ascii: bool,
    show: Show,
    /// The names in `-F` that no message has had.
    unseen: Vec<String>,
    printed: u64,
    has_empty_line: bool,
    message: Message,
    line: Vec<u8>,
}

impl Decoder {
    fn new(
        given: &Given,
        framing: FramingOptions,
        reading: ParseOptions,
        console: &Console,
    ) -> Result<Decoder, Failure> {
        let (has_meta, is_table, color) =
            (given.has("meta"), given.word("view") == Some("table"), OutputOptions::read(given).color);
        let selection = Selection::read(given, |text| read_template(text, has_meta))?;
        let unseen = selection.template.iter().flat_map(Template::params).map(str::to_owned).collect();
        if framing.wire == Wire::Bcp {
            note_mistyped_patterns(selection.typed(), console);
        }
        let style = match given.word("view") {
            None => Style::Json { meta: has_meta },
            Some(_) if is_table => Style::Table(Table::new(EndNames::UNKNOWN)),
            Some(_) => Style::Raw,
        };
        let show = selection.show(framing.wire, reading.keep_case, style)?.for_stdout(color, false);
        Ok(Decoder {
            framing,
            reading,
            reads_recordings: has_meta || is_table,
            ascii: given.has("ascii"),
            show,
            unseen,
            printed: 0,
            has_empty_line: false,
            message: Message::new(),
            line: Vec::new(),
        })
    }

    /// Decodes an input to its end. Whether the run goes on.
    fn source(&mut self, mut source: Source, filter: &mut Filter) -> Result<bool, Failure> {
        if self.reads_recordings {
            if let Some(kind) = recorded_kind(&mut source)? {
                return self.recording(source, kind, filter);
            }
        }
        if self.framing.wire == Wire::Bcp && !is_bcp(&mut source, filter)? {
            return Ok(!filter.fail_fast);
        }
        self.restart_table(EndNames::UNKNOWN);
        let mut framer = Framer::new(self.framing.clone());
        filter.feed(source, &mut framer, |frame, out| self.frame(&frame, out).map(|()| true))
    }

    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), (u64, String)> {
        const ORIGIN: Origin<'_> = Origin::of(Side::Client);
        match frame {
            Frame::Ignored { .. } => Ok(()),
            Frame::Message(raw) => match self.framing.wire {
                Wire::Bcp => self.message(raw, &ORIGIN, out),
                Wire::Obe => self.obe_message(raw, &ORIGIN, out),
            }
            .map_err(|error| (raw.number, error.to_string())),
            Frame::Bad {
                number,
                fault: fault @ (FramingError::PayloadCut { .. } | FramingError::PayloadTooLarge(_)),
            } => {
                // Most streams that end like this are logs without payloads.
                Err((*number, format!("{fault}; --no-payload reads a log without payloads")))
            }
            Frame::Bad { number, fault } => Err((*number, fault.to_string())),
        }
    }

    /// Decodes a session or a log.
    fn recording(&mut self, source: Source, kind: Kind, filter: &mut Filter) -> Result<bool, Failure> {
        // What can be read as it is written is printed at once.
        let keeps_up = source.is_stdin();
        let Source { reader, name } = source;
        let failure = |error: &std::io::Error| Failure::io(format_args!("cannot read {name}"), error);
        let place = |number: Option<u64>| number.map_or(name.clone(), |number| format!("{name}:{number}"));
        let input = BufReader::with_capacity(READ_BYTES, reader);
        let mut records = Reader::new(input, Some(kind), &self.framing).map_err(|error| failure(&error))?;
        let mut is_first = true;
        loop {
            let next = records.next();
            if let Some(note) = records.take_note() {
                filter.console.note(format_args!("{}: {}", place(note.number), note.text));
            }
            let (number, reason) = match next {
                None => {
                    filter.output.flush()?;
                    return Ok(true);
                }
                Some(Ok(record)) => {
                    if std::mem::take(&mut is_first) {
                        self.restart_table(end_names(records.settings().port));
                    }
                    let decoded = self.record(&record, filter.output.buffer());
                    if keeps_up || filter.output.buffer().len() >= WRITE_BYTES {
                        filter.output.flush()?;
                    }
                    let Err(error) = decoded else { continue };
                    (Some(record.number), error.to_string())
                }
                Some(Err(error)) => match &error.kind {
                    ErrorKind::Io(error) => return Err(failure(error)),
                    ErrorKind::Empty if !kind.is_log() => continue,
                    _ => (error.number, error.to_string()),
                },
            };
            if !filter.report(&place(number), reason)? {
                return Ok(false);
            }
        }
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if record.is_pattern || is_ignored(&record.line) {
            return Ok(());
        }
        let marker = payload_marker(&record.line);
        // Logs have lost their payloads.
        let is_whole = |payload: &&[u8]| marker.is_some_and(|marker| marker.length == Some(payload.len()));
        let payload = record.payload.as_deref().filter(is_whole);
        let raw = RawMessage { number: record.number, raw: &record.line, line: &record.line, marker, payload };
        let connection = Some(record.connection.into());
        self.message(&raw, &Origin { time: record.time, connection, peer: None, from: record.side }, out)
    }

    fn restart_table(&mut self, ends: EndNames) {
        if let Some(table) = self.show.table() {
            table.restart(ends);
        }
    }

    fn message(&mut self, raw: &RawMessage<'_>, origin: &Origin<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let parsed = self.message.parse_line(raw.text(), &self.reading);
        match raw.marker_as_parameter() {
            Some(digits) if parsed.is_ok() && self.message.find("bytes").is_none() => {
                self.message.push_text(b"bytes", digits, true);
            }
            _ => {}
        }
        if parsed.is_ok() || self.show.table().is_some() {
            self.print(raw, parsed.as_ref().copied(), origin, out);
        }
        parsed
    }

    /// Prints the message that has been parsed, if it is selected.
    fn print(&mut self, raw: &RawMessage<'_>, parsed: Result<(), &Malformed>, origin: &Origin<'_>, out: &mut Vec<u8>) {
        let (start, message) = (out.len(), parsed.map(|()| &self.message));
        let is_printed = if self.ascii {
            self.line.clear();
            let is_printed = self.show.show(raw, message, origin, &mut self.line);
            push_ascii_json(&self.line, out);
            is_printed
        } else {
            self.show.show(raw, message, origin, out)
        };
        self.printed += u64::from(is_printed);
        self.has_empty_line |= is_printed && out.len() == start + 1;
        if is_printed && !self.unseen.is_empty() {
            let find = self.message.finder(self.unseen.len());
            let is_seen =
                |name: &str| find(&canonical_name(name)).is_some() || (name == "bytes" && raw.payload.is_some());
            self.unseen.retain(|name| !is_seen(name));
        }
    }

    /// Notes the names in `-F` that no message had. A single line that is not empty shows it itself.
    fn note_unseen_names(&self, console: &Console) {
        if !self.unseen.is_empty() && (self.printed > 1 || self.has_empty_line) {
            let names = self.unseen.join(", ");
            console.note(format_args!("-F: no message had a parameter with this name: {names}"));
        }
    }

    fn obe_message(&mut self, raw: &RawMessage<'_>, origin: &Origin<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.message.parse_value(body(raw.raw), !self.reading.no_nan)?;
        match self.show.looks_inside() {
            true => self.message.take_command(),
            false => self.message.release_large_buffers(),
        }
        self.print(raw, Ok(()), origin, out);
        Ok(())
    }
}

/// The names of both ends of a recorded connection to this port; a session names only another port than 5050.
fn end_names(port: Option<u16>) -> EndNames {
    EndNames::of_port(port.unwrap_or(crate::commands::addresses::MEDIA_PORT))
}

fn read_template(text: &str, has_meta: bool) -> Result<Template, String> {
    let recorded = Template::parse_recorded(text);
    if has_meta {
        return recorded;
    }
    let advice = if recorded.is_ok() { "; --meta adds {@time}, {@conn} and {@from}" } else { "" };
    Template::parse(text).map_err(|error| format!("{error}{advice}"))
}
