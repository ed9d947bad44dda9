//! Logs that hold BCP, as two tables: the forms of their lines ([`FORMS`]) and the programs that write BCP into them
//! ([`PROGRAMS`]), each with the versions whose sources or logs were seen.

use std::borrow::Cow;
use std::time::Duration;

use memchr::memmem;

use super::input::push_without_cr;
use super::literal;
use super::{Error, Kind};
use crate::bcp::{Side, is_command, payload_marker};
use crate::framing::{FramingError, is_ignored};
use crate::text::{safe, trim};
use crate::time::day_number;

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

/// The forms of lines: pieces, then the text. The more particular stand before the more general.
const FORMS: &[(Kind, &[Piece])] = &[
    // MPF 0.30 to 0.32 and 0.50 to 0.81, MPF-MC 0.30 to 0.32, mpf-monitor 0.33 to 0.57
    (Kind::MpfFile, &[Date, Text(" "), Time(b',', 3), Text(" : "), Level(" : "), Logger(" : ")]),
    // MPF 0.33, MPF-MC 0.33 to 0.57
    (Kind::MpfFile, &[Date, Text(" "), Time(b',', 3), Text(" : "), Logger(" : ")]),
    // MPF 0.57 to 0.81, MPF-MC 0.57
    (Kind::MpfConsole, &[Time(b'.', 3), Text(" : "), Level(" ["), Logger("] ")]),
    // GMC since May 2024, to 1.0
    (Kind::Gmc, &[Time(b'.', 3), Text(" : "), Level(" : "), Logger(" : ")]),
    // GMC of March to May 2024
    (Kind::Gmc, &[Text("["), Level("] "), Time(b'.', 3), Text(" ")]),
    // MPF 0.30 to 0.32 and 0.50 to 0.56, MPF-MC 0.30 to 0.32, mpf-monitor 0.33 to 0.57
    (Kind::MpfConsole, &[Level(" : "), Logger(" : ")]),
    // MPF 0.33
    (Kind::MpfConsole, &[Logger(" : ")]),
    // MPF-MC 0.33 to 0.56
    (Kind::MpfConsole, &[Logger(": ")]),
    // mpf-monitor 0.54 to 0.57
    (Kind::MonitorCache, &[Step, Text(",")]),
];

/// The time stamp of a line of [`Kind::MpfJson`] (MPF and MPF-MC since 0.51). Its milliseconds are a number, unpadded,
/// with six zeros after it.
const JSON_TIME: &[Piece] = &[Date, Text("T"), Time(b'.', 1)];

/// A program that logs the messages of a connection.
#[derive(Debug)]
pub(super) struct LoggedProgram {
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

/// How a message stands in the text of a line: what is before it, what is after it, who sent it, and whether it is
/// written as a bytes literal of Python.
#[derive(Debug)]
struct Phrase(&'static str, &'static str, Side, bool);

const PROGRAMS: &[LoggedProgram] = &[
    LoggedProgram {
        kinds: &[Kind::MpfFile, Kind::MpfConsole, Kind::MpfJson],
        // To 0.52, the name of the connection follows: BCPClientSocket.local_display.
        loggers: &["BCPClientSocket"],
        phrases: &[Phrase("Sending \"", "\"", Side::Client, false), Phrase("Received \"", "\"", Side::Server, true)],
        port: None,
        lost: "a log of MPF does not tell which connection a line belongs to, and has lost the payloads that were \
               received: all lines are read as those of one connection",
        advice: ADVICE,
    },
    LoggedProgram {
        kinds: &[Kind::MpfMc, Kind::MpfFile, Kind::MpfConsole, Kind::MpfJson],
        loggers: &["MPF-MC BCP Server"],
        phrases: &[Phrase("Received \"", "\"", Side::Client, false), Phrase("Sending \"", "\"", Side::Server, false)],
        port: None,
        lost: "a log of MPF-MC has lost payloads and most of what MPF-MC sent, and does not tell which connection a \
               line belongs to: all lines are read as those of one connection",
        advice: "MPF-MC logs BCP, as Received \"...\", with -v",
    },
    LoggedProgram {
        kinds: &[Kind::MpfFile, Kind::MpfConsole],
        loggers: &["BCP Client"],
        phrases: &[Phrase("Received \"", "\"", Side::Server, false)],
        port: Some(5051),
        lost: "a log of mpf-monitor has only what MPF sent, which --serve plays, and no payloads",
        advice: "mpf-monitor logs BCP, as Received \"...\", with -v",
    },
    LoggedProgram {
        kinds: &[Kind::Gmc],
        // The first lines named no logger, later ones BCP.
        loggers: &["GMCServer", "BCP", ""],
        phrases: &[
            Phrase("Received: ", "", Side::Client, false),
            Phrase("Sending: ", "", Side::Server, false),
            Phrase("Received BCP command: ", "", Side::Client, false),
            Phrase("Sending BCP Message: ", "", Side::Server, false),
        ],
        port: None,
        lost: "a log of GMC has lost payloads, and does not tell which connection a line belongs to: all lines are \
               read as those of one connection",
        advice: "GMC logs BCP, as Received: ... and Sending: ... of GMCServer, at its log level VERBOSE",
    },
    LoggedProgram {
        kinds: &[Kind::MonitorCache],
        loggers: &[""],
        phrases: &[Phrase("", "", Side::Server, false)],
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

/// The forms of a kind. MPF-MC's are those of MPF, to its file and its console.
fn forms(kind: Kind) -> impl Iterator<Item = &'static [Piece]> {
    let is_of = move |of: Kind| of == kind || kind == Kind::MpfMc && matches!(of, Kind::MpfFile | Kind::MpfConsole);
    FORMS.iter().filter(move |(of, _)| is_of(*of)).map(|(_, pieces)| *pieces)
}

fn program(kind: Kind, logger: &[u8]) -> Option<&'static LoggedProgram> {
    let is_logger =
        |name: &&str| logger.strip_prefix(name.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'.', ..]));
    PROGRAMS.iter().find(|program| program.kinds.contains(&kind) && program.loggers.iter().any(is_logger))
}

/// The port of the server in every log of this kind, if it is not the usual one.
pub(super) fn port(kind: Kind) -> Option<u16> {
    PROGRAMS.iter().find(|program| program.kinds == [kind]).and_then(|program| program.port)
}

/// The kind of the log that has such a line.
pub(super) fn kind_of_line(line: &[u8]) -> Option<Kind> {
    if line.starts_with(b"{") {
        let members = ["\"timestamp\": \"", "\"level\": \"", "\"message\": "];
        let has_all = members.iter().all(|member| memmem::find(line, member.as_bytes()).is_some());
        return has_all.then_some(Kind::MpfJson);
    }
    FORMS.iter().find_map(|&(kind, pieces)| {
        let parsed = take_apart(pieces, line)?;
        let is_certain = match (kind, pieces) {
            (Kind::MonitorCache, _) => is_command(trim(parsed.text.split(|&byte| byte == b'?').next()?)),
            // Any text with a colon has this form.
            (_, [Logger(_)]) => program(kind, &parsed.logger).is_some(),
            _ => true,
        };
        let kind = if parsed.logger.starts_with(b"MPF-MC") { Kind::MpfMc } else { kind };
        is_certain.then_some(kind)
    })
}

/// The report about a line that may contain BCP in an unknown form, so that no error claims that there is none.
fn ask(number: u64, line: &[u8]) -> Option<String> {
    let may_be = ["Received", "Sending"].iter().any(|word| memmem::find(line, word.as_bytes()).is_some());
    may_be.then(|| {
        let line = safe(&line[..line.len().min(SHOWN_BYTES)]);
        format!(
            "line {number} is of a form that backbox does not know: {line}; if that is BCP, please report it with the \
             program and its version"
        )
    })
}

/// What a line that does not belong to a log of any known form may be after all.
pub(super) fn hint(number: u64, line: &[u8]) -> Option<String> {
    let unknown = ask(number, line)?;
    let is_message = |kind: &Kind| !matches!(Log::default().message(*kind, number, line, usize::MAX), Ok(None));
    Some(match kind_of_line(line).filter(is_message) {
        Some(kind) => format!("line {number} is one of a log: --from {} reads it", kind.name()),
        None => unknown,
    })
}

/// A message of a log.
pub(super) struct LoggedMessage {
    /// Counted from the first one, if the log has times.
    pub(super) time: Option<Duration>,
    pub(super) side: Side,
    pub(super) line: Vec<u8>,
    pub(super) program: &'static LoggedProgram,
}

/// What has to be known of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    clock: Clock,
    /// The program whose messages are read: the first one found, since two logs of one conversation would double it.
    program: Option<&'static LoggedProgram>,
    /// The error if there is no message.
    evidence: Option<String>,
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
    ) -> Result<Option<LoggedMessage>, Error> {
        let parsed = if kind == Kind::MpfJson { parse_json(line)? } else { parse_text(kind, line)? };
        let seen = parsed.as_ref().map(|parsed| self.clock.see(&parsed.when));
        let found = parsed.as_ref().and_then(|Parsed { logger, text, .. }| {
            let is_read = |found: &&LoggedProgram| self.program.is_none_or(|known| std::ptr::eq(known, *found));
            let program = program(kind, logger).filter(is_read)?;
            let phrase = program.phrases.iter().find(|phrase| text.starts_with(phrase.0.as_bytes()))?;
            Some((program, phrase, &text[phrase.0.len()..]))
        });
        let Some((program, phrase, text)) = found else {
            if self.program.is_none() && self.evidence.is_none() {
                self.evidence = ask(number, line);
            }
            return Ok(None);
        };
        self.evidence.get_or_insert_with(|| "damaged ones, which were left out".to_owned());
        let line = phrase.undo(text, bytes_max)?;
        let seen = seen.flatten().ok_or("garbled: not a date and time")?;
        self.program = Some(program);
        Ok(Some(LoggedMessage { time: seen.map(|seen| self.clock.message(seen)), side: phrase.2, line, program }))
    }

    /// Why an input of this kind that has ended held no message.
    pub(super) fn nothing(&self, kind: Kind) -> String {
        let program = PROGRAMS.iter().find(|program| program.kinds.contains(&kind));
        match (&self.evidence, program) {
            (Some(evidence), _) => format!("no BCP line in it that can be read, but {evidence}"),
            (None, Some(program)) => format!("no BCP line in it: {}", program.advice),
            (None, None) => "no BCP line in it".to_owned(),
        }
    }
}

impl Phrase {
    /// The line of BCP in a text whose beginning has been taken off.
    fn undo(&self, text: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
        let &Phrase(_, after, _, is_literal) = self;
        let text = text.strip_suffix(after.as_bytes()).ok_or("garbled: no closing quote")?;
        let undone = is_literal.then(|| literal::undo(text).ok_or("garbled: no bytes literal as Python writes it"));
        let undone = undone.transpose()?;
        let mut line = Vec::with_capacity(text.len());
        // A session cannot hold CR, and BCP ignores it.
        push_without_cr(undone.as_deref().unwrap_or(text), &mut line);
        if line.contains(&b'\n') {
            return Err("garbled: a line break in the message".into());
        }
        if line.len() > bytes_max {
            return Err(FramingError::LineTooLong(bytes_max).to_string().into());
        }
        // What follows would be swallowed as its payload.
        match payload_marker(&line).filter(|_| !is_ignored(&line)).map(|marker| marker.length) {
            None | Some(Some(0)) => Ok(line),
            Some(Some(bytes)) => Err(format!("its payload of {bytes} bytes is not in the log").into()),
            Some(None) => Err("its payload is not in the log".into()),
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
fn parse_text(kind: Kind, line: &[u8]) -> Result<Option<Parsed<'_>>, Error> {
    let mut found = None;
    for parsed in forms(kind).filter_map(|pieces| take_apart(pieces, line)) {
        if program(kind, &parsed.logger).is_some() {
            return Ok(Some(parsed));
        }
        found = found.or(Some(parsed));
    }
    match found {
        None if kind == Kind::MonitorCache && !trim(line).is_empty() => Err("garbled: not MILLISECONDS,COMMAND".into()),
        found => Ok(found),
    }
}

/// A line of JSON of a logger of BCP.
fn parse_json(line: &[u8]) -> Result<Option<Parsed<'_>>, Error> {
    let is_named = |name: &&str| memmem::find(line, format!("\"{name}").as_bytes()).is_some();
    let mut programs = PROGRAMS.iter().filter(|program| program.kinds.contains(&Kind::MpfJson));
    if !programs.any(|program| program.loggers.iter().any(is_named)) {
        return Ok(None);
    }
    let members: serde_json::Value = serde_json::from_slice(line).map_err(|_| "garbled: not JSON")?;
    let text = |name: &str| members.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let (Some(logger), Some(message)) = (text("name"), text("message")) else { return Ok(None) };
    // A time that does not exist is reported when the line turns out to hold a message.
    let when = text("timestamp").and_then(|stamp| Some(take_apart(JSON_TIME, stamp.as_bytes())?.when));
    let when = when.unwrap_or(When { time: Some([24, 0, 0, 0]), ..When::default() });
    Ok(Some(Parsed { when, logger: Cow::Owned(logger.into_bytes()), text: Cow::Owned(message.into_bytes()) }))
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
                let is_level = match level.strip_prefix(b"Level ") {
                    Some(number) => number.iter().all(u8::is_ascii_digit),
                    None => !level.is_empty() && level.iter().all(u8::is_ascii_uppercase),
                };
                if !is_level {
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

/// When a line was written, by its own time stamp.
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
mod tests {
    //! Tests of the clock of logs, and of one line for each log format.

    use super::*;

    fn at(date: Option<[u32; 3]>, hour: u32, minute: u32) -> When {
        When { date, time: Some([hour, minute, 0, 5]), step: None }
    }

    fn minutes(clock: &mut Clock, date: Option<[u32; 3]>, hour: u32, minute: u32) -> u64 {
        let seen = clock.see(&at(date, hour, minute)).unwrap().unwrap();
        clock.message(seen).as_secs() / 60
    }

    #[test]
    fn without_a_date_a_step_back_over_twelve_hours_is_midnight() {
        let mut clock = Clock::default();
        let mut minutes = |hour, minute| minutes(&mut clock, None, hour, minute);
        assert_eq!([minutes(23, 58), minutes(23, 59), minutes(0, 1), minutes(11, 0)], [0, 1, 3, 662]);
        // Eleven hours back: the clock was changed.
        assert_eq!([minutes(0, 0), minutes(11, 1), minutes(23, 0), minutes(1, 0)], [662, 663, 1382, 1502]);
    }

    #[test]
    fn with_a_date_nothing_is_guessed() {
        let mut clock = Clock::default();
        let mut minutes = |day, hour, minute| minutes(&mut clock, Some([2026, 11, day]), hour, minute);
        assert_eq!([minutes(20, 23, 58), minutes(20, 1, 0), minutes(21, 0, 1), minutes(23, 0, 1)], [0, 0, 3, 2883]);
    }

    #[test]
    fn invalid_times_are_distinguished_from_missing_times() {
        let mut clock = Clock::default();
        assert_eq!(clock.see(&When::default()), Some(None));
        for time in [[24, 0, 0, 0], [0, 60, 0, 0], [0, 0, 60, 0]] {
            assert_eq!(clock.see(&When { time: Some(time), ..When::default() }), None);
        }
        assert_eq!(clock.see(&at(Some([2026, 2, 29]), 0, 0)), None);
    }

    #[test]
    fn steps_add_up_from_the_first_message() {
        let mut clock = Clock::default();
        let mut see = |step| clock.see(&When { step: Some(step), ..When::default() }).unwrap().unwrap();
        let seen = [see(9), see(0), see(999)];
        assert_eq!(seen.map(|seen| clock.message(seen).as_millis()), [0, 0, 999]);
    }
}
