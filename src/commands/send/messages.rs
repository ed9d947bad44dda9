//! What `send` sends and when: the message of the arguments, the guard, and the pace of `--every`.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use crate::catalogue;
use crate::commands::arguments::{read_message, unknown_choice};
use crate::commands::input::Source;
use crate::commands::stream::Outgoing;
use crate::exit::Failure;
use crate::framing::{FramingError, FramingOptions};
use crate::output::Console;
use crate::text::{is_white, shown};

impl Outgoing {
    /// Reads the arguments: a command and its parameters, or one BCP line with a `?`, sent verbatim.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a message, [`Failure::Io`] and [`Failure::Refused`] for a payload that cannot
    /// be read or is too large.
    pub(crate) fn read(
        words: &[String],
        payload: Option<&Path>,
        limits: &FramingOptions,
        console: &Console,
    ) -> Result<Outgoing, Failure> {
        let line_bytes_max = limits.line_bytes_max;
        let payload = payload.map(|path| Source::payload(path, limits.payload_bytes_max)).transpose()?;
        let mut outgoing = Outgoing::default();
        let line = &mut outgoing.whole;
        match words {
            [typed] if typed.contains('?') => {
                line.extend_from_slice(checked_line(typed, line_bytes_max)?.as_bytes());
                if let Some(payload) = &payload {
                    line.extend_from_slice(format!("&bytes={}", payload.len()).as_bytes());
                }
            }
            words => {
                let mut message = Message::new();
                let notes = read_message(words, &ParseOptions::default(), &mut message)?;
                notes.iter().for_each(|note| console.note(note));
                let form = WriteOptions { line_bytes_max, ..WriteOptions::default() };
                write_line(&message, payload.as_ref().map(Vec::len), &form, line)
                    .map_err(|why| Failure::Usage(why.to_string()))?;
            }
        }
        outgoing.end_line(payload.as_deref());
        Ok(outgoing)
    }

    /// The command that is the reply to this message.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is none.
    pub(crate) fn reply(&self) -> Result<&'static str, Failure> {
        let mut message = Message::new();
        let end = payload_marker(self.line()).map_or(self.line_length, |marker| marker.at);
        let parsed = message.parse_line(&self.whole[..end], &ParseOptions::default());
        parsed.map_err(|why| Failure::Usage(format!("-w: {why}")))?;
        catalogue::reply(&message).ok_or_else(|| {
            let command = message.command();
            let why = if catalogue::knows(&command) { "has no reply" } else { "is unknown, and so is its reply" };
            let advice = unknown_choice(&message);
            let advice = advice.unwrap_or_else(|| "-e PATTERN waits for a message of your choice".to_owned());
            Failure::Usage(format!("-w: {} {why}; {advice}", shown(command.as_bytes())))
        })
    }
}

/// Refuses what would stop MPF, be lost on it, or be misread by it.
///
/// # Errors
/// What would happen, what to write instead, and which option sends it all the same.
pub(crate) fn guard(message: &Outgoing) -> Result<(), String> {
    catalogue::check_line(message.line(), message.payload())
        .map_err(|refusal| format!("{refusal}; --force sends it all the same"))
}

/// A BCP line that was typed, which is sent verbatim.
fn checked_line(line: &str, line_bytes_max: usize) -> Result<&str, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{}: {why}", shown(line.as_bytes())));
    if line.contains(['\n', '\r']) {
        return Err(wrong("a line break ends a message; write several messages to standard input, one a line"));
    }
    if line.bytes().find(|&b| !is_white(b)).is_none_or(|first| first == b'#') {
        return Err(wrong("a comment is not sent: to some peers it is a command; write COMMAND?NAME=VALUE"));
    }
    if line.len() > line_bytes_max {
        return Err(wrong(&FramingError::LineTooLong(line_bytes_max).to_string()));
    }
    match payload_marker(line.as_bytes()).map(|marker| marker.length) {
        None | Some(Some(0)) => Ok(line),
        // The peer would read what follows, our goodbye first, as the payload.
        Some(_) => Err(wrong("it announces a payload; leave out &bytes and give the payload with -b FILE")),
    }
}

/// Longer than any run, and short enough to be added to a time.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// When the next message is due: one clock, anchored at the first message, so that lateness never adds up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    every: Option<Duration>,
    due: Option<Instant>,
}

impl Pace {
    /// One message in each `every`, at most a year; without it, or if it is zero, as they arrive.
    pub(crate) fn new(every: Option<Duration>) -> Pace {
        Pace { every: every.filter(|every| !every.is_zero()).map(|every| every.min(YEAR)), due: None }
    }

    /// When to ask again, if it is too early for the next message.
    pub(crate) fn wait(&self, now: Instant) -> Option<Instant> {
        self.due.filter(|&due| now < due)
    }

    /// A message was sent at `now`.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.due = self.every.map(|every| self.due.unwrap_or(now) + every);
    }

    /// There is nothing to send at `now`: the messages due before are not made up for in a burst.
    pub(crate) fn idle(&mut self, now: Instant) {
        if let Some((every, due)) = self.every.zip(self.due) {
            let late = now.saturating_duration_since(due).as_nanos();
            let passed = late - late % every.as_nanos();
            self.due = Some(due + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Color;

    const MS: Duration = Duration::from_millis(1);

    fn outgoing(words: &[&str]) -> Outgoing {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Outgoing::read(&words, None, &FramingOptions::default(), &Console::new("send", true, Color::Never)).unwrap()
    }

    #[test]
    fn message_knows_its_reply() {
        for (words, expected) in [
            (&["service", "subcommand=coil_pulse", "coil=c_knocker"][..], "coil_pulse"),
            (&["service?subcommand=list_switches"], "list_switches"),
            (&["RESET"], "reset_complete"),
            (&["monitor_start", "category=modes"], "mode_list"),
        ] {
            assert_eq!(outgoing(words).reply().unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn message_without_a_reply_says_what_to_do() {
        for (words, text) in [
            (&["trigger", "name=x"][..], "-w: trigger has no reply; -e PATTERN waits for a message of your choice"),
            (&["foo"], "-w: foo is unknown, and so is its reply; -e PATTERN"),
            (&["service", "subcomand=stop"], "-w: service has no reply; -e PATTERN"),
            (&["service", "subcommand=list"], "-w: service has no reply; unknown subcommand list: "),
            (&["service", "subcommand=start"], "-w: service has no reply; -e PATTERN"),
            (&["monitor_start", "category=events"], "-w: monitor_start has no reply; -e PATTERN"),
            (&["a?n=int:x"], "-w: n: "),
        ] {
            let failure = outgoing(words).reply().unwrap_err();
            assert!(failure.message().unwrap().starts_with(text), "{failure:?}");
        }
    }

    #[test]
    fn line_and_payload_are_separate() {
        let message = outgoing(&["dmd_frame?a=1&bytes=0"]);
        assert_eq!((message.line(), message.payload()), (&b"dmd_frame?a=1&bytes=0"[..], None));
        let message = Outgoing { whole: b"f&bytes=2\nhi".to_vec(), line_length: 9 };
        assert_eq!((message.line(), message.payload()), (&b"f&bytes=2"[..], Some(&b"hi"[..])));
    }

    #[test]
    fn lateness_is_made_up_for_and_idleness_is_not() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(10 * MS));
        assert_eq!(pace.wait(start), None);
        pace.sent(start);
        assert_eq!(pace.wait(start), Some(start + 10 * MS));
        pace.sent(start + 13 * MS);
        assert_eq!(pace.wait(start + 13 * MS), Some(start + 20 * MS));
        pace.idle(start + 57 * MS);
        assert_eq!(pace.wait(start + 57 * MS), None);
        pace.sent(start + 58 * MS);
        assert_eq!(pace.wait(start + 58 * MS), Some(start + 60 * MS));
    }

    #[test]
    fn no_pace_never_waits() {
        for every in [None, Some(Duration::ZERO)] {
            let mut pace = Pace::new(every);
            pace.sent(Instant::now());
            pace.idle(Instant::now());
            assert!(pace.wait(Instant::now()).is_none());
        }
    }
}
