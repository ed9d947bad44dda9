//! Logs that users already have, as one table of line forms (`FORMS`): MPF's three, MPF-MC's, GMC's, and the cache of
//! mpf-monitor. What they look like and what they have lost for good is in `bcp`(7).

use memchr::memmem;

use super::clock::{Clock, When};
use super::error::{Damage, Error, Reason};
use super::literal;
use super::{Kind, Note, Record, RecordKind};
use crate::bcp::payload_marker;
use crate::framing::{FramingOptions, LineFramer, TextLine, is_ignored, without_cr};
use crate::text::trim;

/// How a kind of log is written.
#[derive(Debug)]
pub(super) struct Form {
    kind: Kind,
    line: Shape,
    /// Who logs messages; lines of other loggers are passed over. `None`: whoever writes such lines.
    logger: Option<&'static str>,
    messages: &'static [Said],
    /// The port of the side that accepted, if it is not the usual one.
    pub(super) port: Option<u16>,
    /// What this kind of log does not tell.
    lost: &'static str,
    /// What was looked for, and how the program is made to write it.
    advice: &'static str,
}

/// What a line is made of.
#[derive(Debug)]
enum Shape {
    /// These pieces, then the text.
    Pieces(&'static [Piece]),
    /// A JSON object with a time stamp of these pieces.
    Json(&'static [Piece]),
}

/// A piece of a line.
#[derive(Debug)]
enum Piece {
    /// `2026-11-20`.
    Date,
    /// `21:02:29,935`: the character before the milliseconds, and how many digits they have at least.
    Time(u8, usize),
    /// Milliseconds since the line before: one to three digits.
    Step,
    /// This text.
    Text(&'static str),
    /// A level, such as `DEBUG` or `Level 11`, and the text behind it.
    Level(&'static str),
    /// A name without a colon, which may be empty, and the text behind it.
    Name(&'static str),
    /// The name of the logger, and the text behind it.
    Logger(&'static str),
    /// Nothing more, but what follows begins with a command.
    Command,
}

/// How a message stands in the text of a line.
#[derive(Debug)]
struct Said {
    before: &'static str,
    after: &'static str,
    side: RecordKind,
    /// Whether it is spelled as a bytes literal of Python.
    literal: bool,
}

impl Said {
    const fn plain(before: &'static str, after: &'static str, side: RecordKind) -> Said {
        Said { before, after, side, literal: false }
    }
}

/// What MPF logs. Its `Received` is the repr of what came, in bytes.
const MPF: &[Said] = &[
    Said::plain("Sending \"", "\"", RecordKind::Client),
    Said { before: "Received \"", after: "\"", side: RecordKind::Server, literal: true },
];
const MPF_LOGGER: Option<&str> = Some("BCPClientSocket");
const MPF_LOST: &str = "a log of MPF does not tell on which connection a line went, and has lost the payloads of what \
                        was received: all lines are played as those of one connection";
const MPF_ADVICE: &str = "MPF logs BCP, as Sending \"...\" and Received \"...\" of BCPClientSocket, with \
                          'logging: file: bcp_client: full' (or 'console:') in the machine's config and -v";

/// Every kind of log, the more particular before the more general: the first form that a line has is its kind.
const FORMS: &[Form] = &[
    Form {
        kind: Kind::MpfJson,
        // Its milliseconds are a number, unpadded, with six zeros behind.
        line: Shape::Json(&[Piece::Date, Piece::Text("T"), Piece::Time(b'.', 1)]),
        logger: MPF_LOGGER,
        messages: MPF,
        port: None,
        lost: MPF_LOST,
        advice: MPF_ADVICE,
    },
    Form {
        kind: Kind::MpfMc,
        line: Shape::Pieces(&[
            Piece::Date,
            Piece::Text(" "),
            Piece::Time(b',', 3),
            Piece::Text(" : MPF-MC"),
            Piece::Name(" : "),
        ]),
        logger: None,
        messages: &[
            Said::plain("Received \"", "\"", RecordKind::Client),
            Said::plain("Sending \"", "\"", RecordKind::Server),
        ],
        port: None,
        lost: "a log of MPF-MC has lost payloads and most of what MPF-MC said, and does not tell on which connection a \
               line went: all lines are played as those of one connection",
        advice: "MPF-MC logs BCP, as Received \"...\", with -v",
    },
    Form {
        kind: Kind::MpfFile,
        line: Shape::Pieces(&[
            Piece::Date,
            Piece::Text(" "),
            Piece::Time(b',', 3),
            Piece::Text(" : "),
            Piece::Level(" : "),
            Piece::Logger(" : "),
        ]),
        logger: MPF_LOGGER,
        messages: MPF,
        port: None,
        lost: MPF_LOST,
        advice: MPF_ADVICE,
    },
    Form {
        kind: Kind::MpfConsole,
        line: Shape::Pieces(&[Piece::Time(b'.', 3), Piece::Text(" : "), Piece::Level(" ["), Piece::Logger("] ")]),
        logger: MPF_LOGGER,
        messages: MPF,
        port: None,
        lost: MPF_LOST,
        advice: MPF_ADVICE,
    },
    Form {
        kind: Kind::Gmc,
        line: Shape::Pieces(&[Piece::Time(b'.', 3), Piece::Text(" : "), Piece::Level(" : "), Piece::Logger(" : ")]),
        logger: Some("GMCServer"),
        messages: &[
            Said::plain("Received: ", "", RecordKind::Client),
            Said::plain("Sending: ", "", RecordKind::Server),
        ],
        port: None,
        lost: "a log of GMC has lost payloads, and does not tell on which connection a line went: all lines are played \
               as those of one connection",
        advice: "GMC logs BCP, as Received: ... and Sending: ... of GMCServer, at its log level VERBOSE",
    },
    Form {
        kind: Kind::MonitorCache,
        line: Shape::Pieces(&[Piece::Step, Piece::Text(","), Piece::Command]),
        logger: None,
        messages: &[Said::plain("", "", RecordKind::Server)],
        // The monitor dials MPF.
        port: Some(5051),
        lost: "the cache of mpf-monitor has only what MPF said, which --serve plays, no payloads, and of each wait \
               only what is left of whole seconds",
        advice: "a line of mpf-monitor's cache is MILLISECONDS,COMMAND",
    },
];

/// The form of the log that has such a line.
pub(super) fn form_of_line(line: &[u8], is_command: fn(&[u8]) -> bool) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.fits(line, is_command))
}

/// The form of this kind, if it is a log's.
pub(super) fn form_of_kind(kind: Kind) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.kind == kind)
}

/// What a log of this kind does not tell.
pub(super) fn lost(kind: Kind) -> &'static str {
    form_of_kind(kind).map_or("", |form| form.lost)
}

/// What was looked for in a log of this kind, and how its program is made to write it.
pub(super) fn advice(kind: Kind) -> &'static str {
    form_of_kind(kind).map_or("", |form| form.advice)
}

/// A line of a log taken apart.
struct Parsed<'a> {
    when: When,
    logger: &'a [u8],
    text: &'a [u8],
}

impl Form {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a line of an unknown file has this form.
    fn fits(&self, line: &[u8], is_command: fn(&[u8]) -> bool) -> bool {
        match self.line {
            Shape::Json(_) => {
                let members = ["\"timestamp\": \"", "\"level\": \"", "\"message\": "];
                line.starts_with(b"{") && members.iter().all(|member| memmem::find(line, member.as_bytes()).is_some())
            }
            Shape::Pieces(pieces) => take_apart(pieces, line).is_some_and(|parsed| {
                !matches!(pieces, [.., Piece::Command]) || is_command(trim(first(parsed.text, b'?')))
            }),
        }
    }

    /// Takes a line apart; `None` when it is none of this log's. A JSON line's text is left in `json`.
    fn parse<'a>(&self, line: &'a [u8], json: &'a mut JsonLine) -> Result<Option<Parsed<'a>>, Damage> {
        let pieces = match self.line {
            Shape::Json(pieces) => pieces,
            Shape::Pieces(pieces) => {
                let parsed = take_apart(pieces, line);
                let damaged = parsed.is_none() && matches!(pieces, [Piece::Step, ..]) && !trim(line).is_empty();
                return if damaged { Err(Damage::Milliseconds) } else { Ok(parsed) };
            }
        };
        let logger = self.logger.unwrap_or_default();
        if memmem::find(line, format!("\"{logger}\"").as_bytes()).is_none() {
            return Ok(None);
        }
        let members: serde_json::Value = serde_json::from_slice(line).map_err(|_| Damage::Json)?;
        let text = |name: &str| members.get(name).and_then(serde_json::Value::as_str);
        let (Some(name), Some(message)) = (text("name"), text("message")) else { return Ok(None) };
        *json = JsonLine { logger: name.to_owned(), text: message.to_owned() };
        // A time that is none is told when the line turns out to hold a message.
        let when = text("timestamp").and_then(|stamp| take_apart(pieces, stamp.as_bytes()));
        let when = when.map_or(NO_TIME, |parsed| parsed.when);
        Ok(Some(Parsed { when, logger: json.logger.as_bytes(), text: json.text.as_bytes() }))
    }
}

/// A time that does not exist.
const NO_TIME: When = When { date: None, time: [24, 0, 0, 0], step: None };

/// The members of a JSON line that matter.
#[derive(Debug, Default)]
struct JsonLine {
    logger: String,
    text: String,
}

/// Takes a line apart by its pieces.
fn take_apart<'a>(pieces: &[Piece], line: &'a [u8]) -> Option<Parsed<'a>> {
    let mut parsed = Parsed { when: When::default(), logger: b"", text: line };
    let rest = &mut parsed.text;
    for piece in pieces {
        match *piece {
            Piece::Date => parsed.when.date = Some([digits(rest, 4, 4)?, dash(rest)?, dash(rest)?]),
            Piece::Time(point, at_least) => {
                let hour = digits(rest, 2, 2)?;
                let minute = behind(rest, b':', 2, 2)?;
                parsed.when.time = [hour, minute, behind(rest, b':', 2, 2)?, behind(rest, point, at_least, 3)?];
            }
            Piece::Step => parsed.when.step = Some(digits(rest, 1, 3)?),
            Piece::Text(text) => *rest = rest.strip_prefix(text.as_bytes())?,
            Piece::Level(end) => {
                let level = until(rest, end)?;
                let is_level = |b: &u8| b.is_ascii_alphanumeric() || *b == b' ';
                if level.is_empty() || !level.iter().all(is_level) {
                    return None;
                }
            }
            Piece::Name(end) => {
                if until(rest, end)?.contains(&b':') {
                    return None;
                }
            }
            Piece::Logger(end) => parsed.logger = until(rest, end)?,
            Piece::Command => {}
        }
    }
    Some(parsed)
}

/// Takes a number of so many digits off the front.
fn digits(rest: &mut &[u8], at_least: usize, at_most: usize) -> Option<u32> {
    let count = rest.iter().take(at_most).take_while(|b| b.is_ascii_digit()).count();
    let (number, behind) = rest.split_at_checked(count).filter(|_| count >= at_least)?;
    *rest = behind;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Takes `mark` and a number behind it off the front.
fn behind(rest: &mut &[u8], mark: u8, at_least: usize, at_most: usize) -> Option<u32> {
    *rest = rest.strip_prefix(&[mark])?;
    digits(rest, at_least, at_most)
}

/// Takes a dash and two digits off the front.
fn dash(rest: &mut &[u8]) -> Option<u32> {
    behind(rest, b'-', 2, 2)
}

/// Takes everything up to `end`, and `end`, off the front.
fn until<'a>(rest: &mut &'a [u8], end: &str) -> Option<&'a [u8]> {
    let at = memmem::find(rest, end.as_bytes())?;
    let found = rest.get(..at)?;
    *rest = rest.get(at + end.len()..)?;
    Some(found)
}

/// The text before the first `mark`, or all of it.
fn first(text: &[u8], mark: u8) -> &[u8] {
    text.split(|&b| b == mark).next().unwrap_or_default()
}

/// How many times as long as its message a line of a log may be: an escape of JSON takes six bytes.
const LINE_FACTOR: usize = 6;

/// Reads a log of one form.
#[derive(Debug)]
pub(super) struct Log {
    form: &'static Form,
    lines: LineFramer,
    state: State,
}

/// What is known of a log so far, and its last message.
#[derive(Debug)]
struct State {
    framing: FramingOptions,
    clock: Clock,
    messages: u64,
    note: Option<Note>,
    number: u64,
    time: std::time::Duration,
    side: RecordKind,
    line: Vec<u8>,
    /// A line of the log without CR, when it holds one.
    clean: Vec<u8>,
    json: JsonLine,
}

impl Log {
    /// A reader at the start of a log; `framing` has the limit of its messages.
    pub(super) fn new(form: &'static Form, framing: FramingOptions) -> Log {
        let state = State {
            clock: Clock::default(),
            messages: 0,
            note: None,
            number: 0,
            time: std::time::Duration::ZERO,
            side: RecordKind::Client,
            line: Vec::new(),
            clean: Vec::new(),
            json: JsonLine::default(),
            framing,
        };
        let lines = LineFramer::new(b'\n', state.framing.line_bytes_max.saturating_mul(LINE_FACTOR));
        Log { form, lines, state }
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        self.lines.space()
    }

    pub(super) fn filled(&mut self, count: usize) {
        self.lines.filled(count);
    }

    pub(super) fn form(&self) -> &'static Form {
        self.form
    }

    pub(super) fn take_note(&mut self) -> Option<Note> {
        self.state.note.take()
    }

    /// Reads up to the next message, which [`Log::record`] then shows; `None` when more bytes are needed, or there are
    /// none. The last line counts without its LF.
    pub(super) fn advance(&mut self, ended: bool) -> Option<Result<(), Error>> {
        loop {
            let line = match self.lines.next_line() {
                None if ended => self.lines.end()?,
                line => line?,
            };
            let (number, found) = match line {
                TextLine::Whole { number, text } => (number, self.state.line(self.form, number, text)),
                TextLine::TooLong { number } => {
                    let limit = self.state.framing.line_bytes_max.saturating_mul(LINE_FACTOR);
                    (number, Err(Damage::TooLong(limit)))
                }
            };
            match found {
                Ok(false) => {}
                Ok(true) => return Some(Ok(())),
                Err(damage) => {
                    return Some(Err(Error { number: Some(number), reason: Reason::Damaged(damage) }));
                }
            }
        }
    }

    /// The last message.
    pub(super) fn record(&self) -> Record<'_> {
        let State { number, time, side, ref line, .. } = self.state;
        let payload = payload_of(line).map(|_| &b""[..]);
        Record { number, time: Some(time), connection: 1, side, line, payload }
    }

    /// What is wrong with a log that has ended.
    pub(super) fn verdict(&self) -> Option<Error> {
        (self.state.messages == 0).then_some(Error { number: None, reason: Reason::Nothing(Some(self.form.kind)) })
    }
}

impl State {
    /// Takes in a line of the log; whether it held a message.
    fn line(&mut self, form: &Form, number: u64, line: &[u8]) -> Result<bool, Damage> {
        let line = without_cr(&mut self.clean, line);
        let Some(Parsed { when, logger, text }) = form.parse(line, &mut self.json)? else { return Ok(false) };
        let seen = self.clock.see(&when);
        if form.logger.is_some_and(|name| name.as_bytes() != logger) {
            return Ok(false);
        }
        let said = form.messages.iter().find_map(|said| Some((said, text.strip_prefix(said.before.as_bytes())?)));
        let Some((said, text)) = said else { return Ok(false) };
        let text = text.strip_suffix(said.after.as_bytes()).ok_or(Damage::Quote)?;
        if said.literal {
            literal::undo(text, &mut self.line)?;
        } else {
            self.line.clear();
            self.line.extend_from_slice(text);
        }
        // A session holds no CR, and BCP ignores it.
        self.line.retain(|&b| b != b'\r');
        if self.line.contains(&b'\n') {
            return Err(Damage::LineBreak);
        }
        if self.line.len() > self.framing.line_bytes_max {
            return Err(Damage::TooLong(self.framing.line_bytes_max));
        }
        // What follows would be swallowed as its payload.
        if let Some(payload) = payload_of(&self.line).filter(|&payload| payload != Some(0)) {
            return Err(Damage::Payload(payload));
        }
        self.time = self.clock.message(seen.ok_or(Damage::Date)?);
        (self.number, self.side) = (number, said.side);
        if self.messages == 0 {
            self.note = Some(Note::Log { kind: form.kind });
        }
        self.messages += 1;
        Ok(true)
    }
}

/// The length of the payload that a line announces; `Some(None)` when it is no number that counts.
fn payload_of(line: &[u8]) -> Option<Option<usize>> {
    payload_marker(line).filter(|_| !is_ignored(line)).map(|marker| marker.length)
}
