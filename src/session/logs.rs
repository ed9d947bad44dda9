//! Logs that hold BCP, as two tables: the forms of their lines ([`FORMS`]) and the programs that write BCP into them
//! ([`PROGRAMS`]), each with the versions whose sources or logs were seen.

use std::borrow::Cow;
use std::time::Duration;

use memchr::memmem;

use super::input::push_without_cr;
use super::literal;
use super::{Error, ErrorKind, Kind};
use crate::bcp::{Side, is_command, payload_marker};
use crate::framing::is_ignored;
use crate::text::{safe, trim};
use crate::time::day_number;

/// The form of a log's lines: these pieces, then the text.
struct Form {
    kind: Kind,
    /// The versions that write it.
    #[allow(dead_code)]
    seen: &'static str,
    pieces: &'static [Piece],
}

/// A piece of a line.
enum Piece {
    /// `2026-11-20`.
    Date,
    /// `21:02:29,935`: the character before the milliseconds, and how many digits they have at least.
    Time(u8, usize),
    /// Milliseconds since the line before: one to three digits.
    Step,
    /// This text.
    Text(&'static str),
    /// A level, such as `DEBUG` or `Level 11`, and the text after it.
    Level(&'static str),
    /// The name of the logger, and the text after it.
    Logger(&'static str),
}

use Piece::{Date, Level, Logger, Step, Text, Time};

/// Every form, the more particular before the more general: the first one that a line has is its own.
const FORMS: &[Form] = &[
    Form {
        kind: Kind::MpfFile,
        seen: "MPF 0.30-0.32 and 0.50-0.81, MPF-MC 0.30-0.32, mpf-monitor 0.33-0.57",
        pieces: &[Date, Text(" "), Time(b',', 3), Text(" : "), Level(" : "), Logger(" : ")],
    },
    Form {
        kind: Kind::MpfFile,
        seen: "MPF 0.33, MPF-MC 0.33-0.57",
        pieces: &[Date, Text(" "), Time(b',', 3), Text(" : "), Logger(" : ")],
    },
    Form {
        kind: Kind::MpfConsole,
        seen: "MPF 0.57-0.81, MPF-MC 0.57",
        pieces: &[Time(b'.', 3), Text(" : "), Level(" ["), Logger("] ")],
    },
    Form {
        kind: Kind::Gmc,
        seen: "GMC since May 2024, to 1.0",
        pieces: &[Time(b'.', 3), Text(" : "), Level(" : "), Logger(" : ")],
    },
    Form {
        kind: Kind::Gmc,
        seen: "GMC of March to May 2024",
        pieces: &[Text("["), Level("] "), Time(b'.', 3), Text(" ")],
    },
    Form {
        kind: Kind::MpfConsole,
        seen: "MPF 0.30-0.32 and 0.50-0.56, MPF-MC 0.30-0.32, mpf-monitor 0.33-0.57",
        pieces: &[Level(" : "), Logger(" : ")],
    },
    Form { kind: Kind::MpfConsole, seen: "MPF 0.33", pieces: &[Logger(" : ")] },
    Form { kind: Kind::MpfConsole, seen: "MPF-MC 0.33-0.56", pieces: &[Logger(": ")] },
    Form { kind: Kind::MonitorCache, seen: "mpf-monitor 0.54-0.57", pieces: &[Step, Text(",")] },
];

/// The time stamp of a line of [`Kind::MpfJson`] (MPF and MPF-MC since 0.51). Its milliseconds are a number, unpadded,
/// with six zeros after it.
const JSON_TIME: &[Piece] = &[Date, Text("T"), Time(b'.', 1)];

/// A program that logs the messages of a connection.
#[derive(Debug)]
pub(super) struct Program {
    /// The kinds of its logs.
    kinds: &'static [Kind],
    /// The names of its loggers, which may be followed by a point and the name of a connection.
    loggers: &'static [&'static str],
    phrases: &'static [Phrase],
    /// The port of the server, if it is not the usual one.
    pub(super) port: Option<u16>,
    /// What its log does not tell.
    pub(super) lost: &'static str,
    /// How it is made to log BCP.
    advice: &'static str,
}

/// How a message stands in the text of a line.
#[derive(Debug)]
struct Phrase {
    before: &'static str,
    after: &'static str,
    side: Side,
    /// Whether it is written as a bytes literal of Python.
    is_literal: bool,
}

const fn plain(before: &'static str, after: &'static str, side: Side) -> Phrase {
    Phrase { before, after, side, is_literal: false }
}

const PROGRAMS: &[Program] = &[
    // To 0.52, the name of the connection follows: BCPClientSocket.local_display.
    Program {
        kinds: &[Kind::MpfFile, Kind::MpfConsole, Kind::MpfJson],
        loggers: &["BCPClientSocket"],
        phrases: &[
            plain("Sending \"", "\"", Side::Client),
            Phrase { before: "Received \"", after: "\"", side: Side::Server, is_literal: true },
        ],
        port: None,
        lost: "a log of MPF does not tell which connection a line belongs to, and has lost the payloads that were \
               received: all lines are read as those of one connection",
        advice: ADVICE,
    },
    Program {
        kinds: &[Kind::MpfMc, Kind::MpfFile, Kind::MpfConsole, Kind::MpfJson],
        loggers: &["MPF-MC BCP Server"],
        phrases: &[plain("Received \"", "\"", Side::Client), plain("Sending \"", "\"", Side::Server)],
        port: None,
        lost: "a log of MPF-MC has lost payloads and most of what MPF-MC sent, and does not tell which connection a \
               line belongs to: all lines are read as those of one connection",
        advice: "MPF-MC logs BCP, as Received \"...\", with -v",
    },
    Program {
        kinds: &[Kind::MpfFile, Kind::MpfConsole],
        loggers: &["BCP Client"],
        phrases: &[plain("Received \"", "\"", Side::Server)],
        port: Some(5051),
        lost: "a log of mpf-monitor has only what MPF sent, which --serve plays, and no payloads",
        advice: "mpf-monitor logs BCP, as Received \"...\", with -v",
    },
    Program {
        kinds: &[Kind::Gmc],
        // The first versions had no name in their lines, later ones BCP.
        loggers: &["GMCServer", "BCP", ""],
        phrases: &[
            plain("Received: ", "", Side::Client),
            plain("Sending: ", "", Side::Server),
            plain("Received BCP command: ", "", Side::Client),
            plain("Sending BCP Message: ", "", Side::Server),
        ],
        port: None,
        lost: "a log of GMC has lost payloads, and does not tell which connection a line belongs to: all lines are \
               read as those of one connection",
        advice: "GMC logs BCP, as Received: ... and Sending: ... of GMCServer, at its log level VERBOSE",
    },
    Program {
        kinds: &[Kind::MonitorCache],
        loggers: &[""],
        phrases: &[plain("", "", Side::Server)],
        // The monitor connects to MPF.
        port: Some(5051),
        lost: "the cache of mpf-monitor has only what MPF sent, which --serve plays, no payloads, and of each wait \
               only what is left of whole seconds",
        advice: "a line of mpf-monitor's cache is MILLISECONDS,COMMAND",
    },
];

/// How MPF is made to log BCP.
pub(super) const ADVICE: &str = "MPF logs BCP, as Sending \"...\" and Received \"...\" of BCPClientSocket, with \
                                 'logging: file: bcp_client: full' (or 'console:') in the machine's config and -v";

/// How much of a line an error shows, in bytes.
const SHOWN_BYTES: usize = 200;

impl Form {
    /// Whether logs of this kind have it.
    fn is_of(&self, kind: Kind) -> bool {
        self.kind == kind || kind == Kind::MpfMc && matches!(self.kind, Kind::MpfFile | Kind::MpfConsole)
    }

    /// Whether a line in it is to be trusted to be one of a log although nothing is known of its logger.
    fn is_certain(&self) -> bool {
        !matches!(self.pieces, [Logger(_)])
    }
}

fn program(kind: Kind, logger: &[u8]) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.kinds.contains(&kind) && program.has_logger(logger))
}

impl Program {
    fn has_logger(&self, logger: &[u8]) -> bool {
        self.loggers
            .iter()
            .any(|name| logger.strip_prefix(name.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'.', ..])))
    }
}

/// The port of the server in every log of this kind, if it is not the usual one.
pub(super) fn port(kind: Kind) -> Option<u16> {
    PROGRAMS.iter().find(|program| program.kinds == [kind]).and_then(|program| program.port)
}

/// The kind of the log that has such a line.
pub(super) fn kind_of_line(line: &[u8]) -> Option<Kind> {
    let members = ["\"timestamp\": \"", "\"level\": \"", "\"message\": "];
    if line.starts_with(b"{") {
        let has_all = members.iter().all(|member| memmem::find(line, member.as_bytes()).is_some());
        return has_all.then_some(Kind::MpfJson);
    }
    FORMS.iter().find_map(|form| {
        let parsed = take_apart(form.pieces, line)?;
        let is_known = match form.kind {
            Kind::MonitorCache => is_command(trim(parsed.text.split(|&byte| byte == b'?').next()?)),
            kind => form.is_certain() || program(kind, &parsed.logger).is_some(),
        };
        let kind = if parsed.logger.starts_with(b"MPF-MC") { Kind::MpfMc } else { form.kind };
        is_known.then_some(kind)
    })
}

/// What a line that does not belong to a log of any known form may be after all.
pub(super) fn hint(number: u64, line: &[u8]) -> Option<String> {
    evidence(line)?;
    let kind = kind_of_line(line).filter(|&kind| Log::default().message(kind, number, line, usize::MAX) != Ok(None));
    Some(match kind {
        Some(kind) => format!("line {number} is one of a log: --from {} reads it", kind.name()),
        None => ask(number, &shorten(line)),
    })
}

/// Whether a line says that it may be of BCP: no error claims that there is none in the file then.
fn evidence(line: &[u8]) -> Option<usize> {
    memmem::find(line, b"Received").or_else(|| memmem::find(line, b"Sending"))
}

fn ask(number: u64, line: &str) -> String {
    format!(
        "line {number} is of a form that backbox does not know: {line}; if that is BCP, please report it with the \
         program and its version"
    )
}

fn shorten(line: &[u8]) -> String {
    let more = if line.len() > SHOWN_BYTES { "..." } else { "" };
    format!("{}{more}", safe(&line[..line.len().min(SHOWN_BYTES)]))
}

/// The error for a line of a log with a message that cannot be read.
pub(super) fn damaged(number: u64, why: String) -> Error {
    Error { number: Some(number), kind: ErrorKind::Damaged, text: format!("{why}; left out") }
}

pub(super) fn too_long(limit: usize) -> String {
    format!("over {limit} bytes")
}

/// A message of a log.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    /// Counted from the first one, if the log has times.
    pub(super) time: Option<Duration>,
    pub(super) side: Side,
    pub(super) line: Vec<u8>,
    pub(super) program: &'static Program,
}

impl PartialEq for Program {
    fn eq(&self, other: &Program) -> bool {
        std::ptr::eq(self, other)
    }
}

/// What has to be known of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    clock: Clock,
    /// The program whose messages are read: the first one found, since two logs of one conversation would double it.
    program: Option<&'static Program>,
    /// A line that may be of BCP, if there is no message yet.
    evidence: Option<(u64, String)>,
}

impl Log {
    /// Reads a line of a log; `None` when it holds no message. A message may have so many bytes.
    ///
    /// # Errors
    /// Why the message in it cannot be read.
    pub(super) fn message(
        &mut self,
        kind: Kind,
        number: u64,
        line: &[u8],
        bytes_max: usize,
    ) -> Result<Option<Message>, String> {
        let found = self.parse(kind, line, bytes_max);
        if found == Ok(None) && self.program.is_none() && self.evidence.is_none() && evidence(line).is_some() {
            self.evidence = Some((number, shorten(line)));
        }
        found
    }

    fn parse(&mut self, kind: Kind, line: &[u8], bytes_max: usize) -> Result<Option<Message>, String> {
        let parsed = if kind == Kind::MpfJson { parse_json(line)? } else { parse_text(kind, line)? };
        let Some(parsed) = parsed else { return Ok(None) };
        let seen = self.clock.see(&parsed.when);
        let program = program(kind, &parsed.logger).filter(|found| self.program.is_none_or(|known| known == *found));
        let Some(program) = program else { return Ok(None) };
        let phrase = program.phrases.iter().find(|phrase| parsed.text.starts_with(phrase.before.as_bytes()));
        let Some(phrase) = phrase else { return Ok(None) };
        let text = &parsed.text[phrase.before.len()..];
        let text = text.strip_suffix(phrase.after.as_bytes()).ok_or("garbled: no closing quote")?;
        let mut line = Vec::with_capacity(text.len());
        if phrase.is_literal {
            let bytes = literal::undo(text).ok_or("garbled: no bytes literal as Python writes it")?;
            // A session cannot hold CR, and BCP ignores it.
            push_without_cr(&bytes, &mut line);
        } else {
            push_without_cr(text, &mut line);
        }
        if line.contains(&b'\n') {
            return Err("garbled: a line break in the message".to_owned());
        }
        if line.len() > bytes_max {
            return Err(too_long(bytes_max));
        }
        // What follows would be swallowed as its payload.
        match payload_marker(&line).filter(|_| !is_ignored(&line)).map(|marker| marker.length) {
            None | Some(Some(0)) => {}
            Some(Some(bytes)) => return Err(format!("its payload of {bytes} bytes is not in the log")),
            Some(None) => return Err("its payload is not in the log".to_owned()),
        }
        let seen = seen.ok_or("garbled: not a date and time")?;
        self.program = Some(program);
        Ok(Some(Message { time: seen.map(|seen| self.clock.message(seen)), side: phrase.side, line, program }))
    }

    /// Why a log that has ended held no message.
    pub(super) fn nothing(&self, kind: Kind) -> String {
        let advice = PROGRAMS.iter().find(|program| program.kinds.contains(&kind)).map_or("", |found| found.advice);
        match &self.evidence {
            Some((number, line)) => format!("no BCP line of a known form in it, but {}", ask(*number, line)),
            None => format!("no BCP line in it: {advice}"),
        }
    }
}

/// A line of a log taken apart.
struct Parsed<'a> {
    when: When,
    logger: Cow<'a, [u8]>,
    text: Cow<'a, [u8]>,
}

/// A line in one of the forms of this kind, best in one with the logger of a known program.
fn parse_text(kind: Kind, line: &[u8]) -> Result<Option<Parsed<'_>>, String> {
    let mut first = None;
    for form in FORMS.iter().filter(|form| form.is_of(kind)) {
        let Some(parsed) = take_apart(form.pieces, line) else { continue };
        if program(kind, &parsed.logger).is_some() {
            return Ok(Some(parsed));
        }
        first = first.or(Some(parsed));
    }
    if first.is_none() && kind == Kind::MonitorCache && !trim(line).is_empty() {
        return Err("garbled: not MILLISECONDS,COMMAND".to_owned());
    }
    Ok(first)
}

/// A line of JSON of a logger of BCP.
fn parse_json(line: &[u8]) -> Result<Option<Parsed<'_>>, String> {
    let named = |name: &&str| memmem::find(line, format!("\"{name}").as_bytes()).is_some();
    let mut programs = PROGRAMS.iter().filter(|program| program.kinds.contains(&Kind::MpfJson));
    if !programs.any(|program| program.loggers.iter().any(named)) {
        return Ok(None);
    }
    let members: serde_json::Value = serde_json::from_slice(line).map_err(|_| "garbled: not JSON")?;
    let text = |name: &str| members.get(name).and_then(serde_json::Value::as_str);
    let (Some(logger), Some(message)) = (text("name"), text("message")) else { return Ok(None) };
    // A time that is none is reported when the line turns out to hold a message.
    let when = text("timestamp").and_then(|stamp| Some(take_apart(JSON_TIME, stamp.as_bytes())?.when));
    Ok(Some(Parsed {
        when: when.unwrap_or(When { time: Some([24, 0, 0, 0]), ..When::default() }),
        logger: Cow::Owned(logger.as_bytes().to_vec()),
        text: Cow::Owned(message.as_bytes().to_vec()),
    }))
}

/// Takes a line apart by its pieces.
fn take_apart<'a>(pieces: &[Piece], line: &'a [u8]) -> Option<Parsed<'a>> {
    let (mut when, mut logger, mut rest) = (When::default(), &b""[..], line);
    for piece in pieces {
        match *piece {
            Date => {
                let year = digits(&mut rest, 4, 4)?;
                when.date = Some([year, after(&mut rest, b'-', 2, 2)?, after(&mut rest, b'-', 2, 2)?]);
            }
            Time(point, at_least) => {
                let (hour, minute) = (digits(&mut rest, 2, 2)?, after(&mut rest, b':', 2, 2)?);
                let second = after(&mut rest, b':', 2, 2)?;
                when.time = Some([hour, minute, second, after(&mut rest, point, at_least, 3)?]);
            }
            Step => when.step = Some(digits(&mut rest, 1, 3)?),
            Text(text) => rest = rest.strip_prefix(text.as_bytes())?,
            Level(end) => {
                let level = until(&mut rest, end)?;
                let number = level.strip_prefix(b"Level ");
                let is_level = number
                    .map_or(level.iter().all(u8::is_ascii_uppercase), |number| number.iter().all(u8::is_ascii_digit));
                if level.is_empty() || !is_level {
                    return None;
                }
            }
            Logger(end) => logger = until(&mut rest, end)?,
        }
    }
    Some(Parsed { when, logger: Cow::Borrowed(logger), text: Cow::Borrowed(rest) })
}

/// Takes a number of so many digits off the front.
fn digits(rest: &mut &[u8], at_least: usize, at_most: usize) -> Option<u32> {
    let count = rest.iter().take(at_most).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, behind) = rest.split_at_checked(count).filter(|_| count >= at_least)?;
    *rest = behind;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Takes `mark` and a number after it off the front.
fn after(rest: &mut &[u8], mark: u8, at_least: usize, at_most: usize) -> Option<u32> {
    *rest = rest.strip_prefix(&[mark])?;
    digits(rest, at_least, at_most)
}

/// Takes everything up to `end`, and `end`, off the front.
fn until<'a>(rest: &mut &'a [u8], end: &str) -> Option<&'a [u8]> {
    let at = memmem::find(rest, end.as_bytes())?;
    let found = &rest[..at];
    *rest = &rest[at + end.len()..];
    Some(found)
}

/// The milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// When a line was written, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct When {
    /// Year, month and day.
    date: Option<[u32; 3]>,
    /// Hour, minute, second and millisecond.
    time: Option<[u32; 4]>,
    /// The milliseconds since the line before, in a log that has nothing else.
    step: Option<u32>,
}

/// Follows the times of a log, line by line.
#[derive(Debug, Default)]
struct Clock {
    /// The days that have begun, in a log without dates.
    midnights: i64,
    /// The last line's time of day.
    of_day: i64,
    /// The sum of all steps.
    steps: i64,
    /// When the first message was written.
    first: Option<i64>,
    /// The latest time of a message, counted from the first.
    latest: i64,
}

impl Clock {
    /// The time of a line in milliseconds on a scale of its own, if it has one; `None` when that does not exist.
    ///
    /// Every line counts, also one without a message: without a date, midnight can pass between any two. More than
    /// twelve hours back is midnight; any other step back is a clock that was set.
    fn see(&mut self, when: &When) -> Option<Option<i64>> {
        if let Some(step) = when.step {
            self.steps += i64::from(step);
            return Some(Some(self.steps));
        }
        let Some([hour, minute, second, millisecond]) = when.time else { return Some(None) };
        if hour >= 24 || minute >= 60 || second >= 60 {
            return None;
        }
        let of_day = i64::from(((hour * 60 + minute) * 60 + second) * 1000 + millisecond);
        let day = match when.date {
            Some([year, month, day]) => day_number(year, month, day)?,
            None => {
                self.midnights += i64::from(self.of_day - of_day > DAY / 2);
                self.of_day = of_day;
                self.midnights
            }
        };
        Some(Some(day * DAY + of_day))
    }

    /// The time of a message that was written then, counted from the first one and never going back.
    fn message(&mut self, seen: i64) -> Duration {
        let elapsed = seen - *self.first.get_or_insert(seen);
        self.latest = self.latest.max(elapsed);
        Duration::from_millis(u64::try_from(self.latest).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
