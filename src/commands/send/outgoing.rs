//! The one message of the arguments of `send`: what goes out, and what answers it (design.md, section 9).

use std::path::Path;

use crate::bcp::payload_marker;
use crate::bcp::{Message, ParseOptions, WriteOptions, write_line};
use crate::catalogue;
use crate::commands::arguments::{mistyped, read_message, unknown_choice};
use crate::commands::source::Source;
use crate::exit::Failure;
use crate::framing::{FramingError, FramingOptions};
use crate::output::Console;
use crate::text::{is_white, shown};

/// A message as it goes out.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Line, LF and payload.
    pub whole: Vec<u8>,
    line_length: usize,
}

impl Outgoing {
    /// The line without LF and payload.
    pub fn line(&self) -> &[u8] {
        self.whole.get(..self.line_length).unwrap_or_default()
    }

    /// The payload, if there is one.
    pub fn payload(&self) -> Option<&[u8]> {
        self.whole.get(self.line_length.saturating_add(1)..).filter(|payload| !payload.is_empty())
    }

    /// Reads the arguments: a command and its parameters, or one line of BCP with a `?`, sent as it stands.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is no message, [`Failure::Io`] and [`Failure::Refused`] for a payload that cannot be
    /// read or is too large.
    pub fn read(
        words: &[String],
        payload: Option<&Path>,
        limits: &FramingOptions,
        console: &Console,
    ) -> Result<Outgoing, Failure> {
        let line_bytes_max = limits.line_bytes_max;
        let payload = payload.map(|path| Source::payload(path, limits.payload_bytes_max)).transpose()?;
        let mut whole = match words {
            [line] if line.contains('?') => {
                let mut whole = checked_line(line, line_bytes_max)?.as_bytes().to_vec();
                if let Some(payload) = &payload {
                    whole.extend_from_slice(format!("&bytes={}", payload.len()).as_bytes());
                }
                whole
            }
            words => {
                let mut parts = Message::new();
                for note in read_message(words, &ParseOptions::default(), &mut parts)? {
                    console.note(note);
                }
                for note in mistyped(&parts.command()).into_iter().chain(unknown_choice(&parts)) {
                    console.note(note);
                }
                let mut whole = Vec::new();
                let bytes = payload.as_ref().map(Vec::len);
                write_line(&parts, bytes, &WriteOptions { line_bytes_max, ..WriteOptions::default() }, &mut whole)
                    .map_err(|why| Failure::Usage(why.to_string()))?;
                whole
            }
        };
        let line_length = whole.len();
        whole.push(b'\n');
        whole.extend_from_slice(&payload.unwrap_or_default());
        Ok(Outgoing { whole, line_length })
    }

    /// The command that answers this message.
    ///
    /// # Errors
    /// [`Failure::Usage`] when none does.
    pub fn answer(&self) -> Result<&'static str, Failure> {
        let mut parts = Message::new();
        let end = payload_marker(self.line()).map_or(self.line_length, |marker| marker.at);
        let readable = parts.parse_line(self.line().get(..end).unwrap_or_default(), &ParseOptions::default());
        readable.map_err(|why| Failure::Usage(format!("-w: {why}")))?;
        catalogue::reply(&parts).ok_or_else(|| {
            let command = shown(parts.command().as_bytes());
            let advice =
                unknown_choice(&parts).unwrap_or_else(|| "-e PATTERN waits for a message of your choice".into());
            Failure::Usage(format!("-w: {command} has no answer; {advice}"))
        })
    }
}

/// Refuses what would stop MPF, be lost on it, or be misread by it (design.md, section 13).
///
/// # Errors
/// What would happen, what to write instead, and which flag sends it all the same.
pub fn guard(line: &[u8], payload: Option<&[u8]>) -> Result<(), String> {
    catalogue::check_line(line, payload).map_err(|refusal| format!("{refusal}; --force sends it all the same"))
}

/// A BCP line that was typed, which goes out as it stands.
fn checked_line(line: &str, line_bytes_max: usize) -> Result<&str, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{}: {why}", shown(line.as_bytes())));
    if line.contains(['\n', '\r']) {
        return Err(wrong("a line break ends a message; write several messages to stdin, a line each"));
    }
    if line.bytes().find(|&b| !is_white(b)).is_none_or(|first| first == b'#') {
        return Err(wrong("a comment is not sent: to some peers it is a command; write COMMAND?NAME=VALUE"));
    }
    if line.len() > line_bytes_max {
        return Err(wrong(&FramingError::LineTooLong { limit: line_bytes_max }.to_string()));
    }
    match payload_marker(line.as_bytes()).map(|marker| marker.length) {
        None | Some(Some(0)) => Ok(line),
        // The peer would take whatever comes next, our goodbye first, for the payload.
        Some(_) => Err(wrong("it announces a payload: leave out &bytes and give the payload with -b FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Color;

    fn outgoing(words: &[&str]) -> Outgoing {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Outgoing::read(&words, None, &FramingOptions::default(), &Console::new("send", true, Color::Never)).unwrap()
    }

    #[test]
    fn a_message_knows_its_answer() {
        for (words, expected) in [
            (&["service", "subcommand=coil_pulse", "coil=c_knocker"][..], "coil_pulse"),
            (&["service?subcommand=list_switches"], "list_switches"),
            (&["RESET"], "reset_complete"),
            (&["monitor_start", "category=modes"], "mode_list"),
        ] {
            assert_eq!(outgoing(words).answer().unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn what_has_no_answer_says_what_to_do() {
        for (words, text) in [
            (&["trigger", "name=x"][..], "-w: trigger has no answer; -e PATTERN waits for a message of your choice"),
            (&["service", "subcomand=stop"], "-w: service has no answer; its subcommand is one of start, stop, list_"),
            (&["service", "subcommand=list"], "-w: service list has no answer; its subcommand is one of start, "),
            (&["service", "subcommand=start"], "-w: service start has no answer; -e PATTERN"),
            (&["monitor_start", "category=events"], "-w: monitor_start events has no answer; -e PATTERN"),
            (&["a?n=int:x"], "-w: n: invalid integer: int:x"),
        ] {
            let failure = outgoing(words).answer().unwrap_err();
            assert!(failure.message().unwrap().starts_with(text), "{failure:?}");
        }
    }

    #[test]
    fn line_and_payload_are_told_apart() {
        let message = outgoing(&["dmd_frame?a=1&bytes=0"]);
        assert_eq!((message.line(), message.payload()), (&b"dmd_frame?a=1&bytes=0"[..], None));
        let message = Outgoing { whole: b"f&bytes=2\nhi".to_vec(), line_length: 9 };
        assert_eq!((message.line(), message.payload()), (&b"f&bytes=2"[..], Some(&b"hi"[..])));
    }
}
