//! The messages to send: the one of the arguments, so many times, or those of standard input as they arrive: BCP lines
//! verbatim, and JSON Lines; with `--wire obe` only the latter. And when: the pace of `--every`.

use std::io;
use std::time::{Duration, Instant};

use crate::bcp::{Message, ParseOptions, WriteOptions, check_json, write_line};
use crate::exit::Failure;
use crate::framing::{Frame, Framer, FramingError, FramingOptions, RawMessage, Wire};
use crate::limits::{OBE_BODY_BYTES_MAX, json_line_bytes_max};
use crate::text::trim;

/// Gives messages in the form in which they are sent.
#[derive(Debug)]
pub struct Stream {
    /// Whether they are read from input; if not, `out` is the only one.
    pub is_input: bool,
    framer: Framer,
    /// What the messages are sent as.
    wire: Wire,
    /// The limits of what is sent, in bytes.
    line_bytes_max: usize,
    payload_bytes_max: usize,
    has_ended: bool,
    /// Whether all whole frames have been read, so that only a last line can be left.
    is_at_last: bool,
    /// Whether nothing read so far is left to be sent.
    is_dry: bool,
    /// How many times `out` is still given before more is read.
    copies: u64,
    number: u64,
    message: Message,
    out: Outgoing,
}

/// A message as it is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Line, LF and payload.
    pub whole: Vec<u8>,
    pub line_length: usize,
}

impl Outgoing {
    /// The line without LF and payload.
    pub fn line(&self) -> &[u8] {
        &self.whole[..self.line_length]
    }

    /// The payload, if there is one.
    pub fn payload(&self) -> Option<&[u8]> {
        self.whole.get(self.line_length + 1..).filter(|payload| !payload.is_empty())
    }

    /// Adds LF and payload to the line that was written.
    pub fn end_line(&mut self, payload: Option<&[u8]>) {
        self.line_length = self.whole.len();
        self.whole.push(b'\n');
        self.whole.extend_from_slice(payload.unwrap_or_default());
    }
}

/// No message.
impl Default for Stream {
    fn default() -> Stream {
        Stream::of(Outgoing::default(), 0)
    }
}

/// What [`Stream::next_item`] returns.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message, and its line in the input, or how often it was given: from 1.
    Message(u64, &'a Outgoing),
    /// What is not a message; it is skipped.
    Malformed { number: u64, reason: String },
    /// More input is needed.
    Pending,
    /// The input has ended.
    End,
}

impl Stream {
    /// Input, whose messages are sent within the limits of `framing`.
    pub fn new(framing: &FramingOptions) -> Stream {
        let FramingOptions { wire, line_bytes_max, payload_bytes_max, .. } = *framing;
        // A line of JSON may be longer than the line that it becomes.
        let json_bytes_max = json_line_bytes_max(line_bytes_max, payload_bytes_max);
        let framer = match wire {
            Wire::Bcp => Framer::new(FramingOptions { line_bytes_max: json_bytes_max, ..framing.clone() }),
            Wire::Obe => Framer::bare_lines(b'\n', OBE_BODY_BYTES_MAX),
        };
        Stream {
            is_input: true,
            framer,
            wire,
            line_bytes_max,
            payload_bytes_max,
            has_ended: false,
            is_at_last: false,
            is_dry: true,
            copies: 0,
            number: 0,
            message: Message::new(),
            out: Outgoing::default(),
        }
    }

    /// One message, so many times.
    pub fn of(out: Outgoing, copies: u64) -> Stream {
        Stream { is_input: false, has_ended: true, out, copies, ..Stream::new(&FramingOptions::default()) }
    }

    /// Adds a block of input; an empty one is its end.
    ///
    /// # Errors
    /// The input cannot be read, and has ended with that.
    pub fn take_block(&mut self, block: io::Result<Vec<u8>>) -> Result<(), Failure> {
        let bytes = block.as_deref().unwrap_or_default();
        self.has_ended = bytes.is_empty();
        self.framer.feed(bytes);
        block.map(drop).map_err(|error| Failure::io("cannot read <stdin>", &error))
    }

    /// Whether no more input is read.
    fn has_ended(&self) -> bool {
        self.has_ended || self.framer.has_ended()
    }

    /// Whether more input is needed.
    pub fn wants_input(&self) -> bool {
        self.is_dry && !self.has_ended()
    }

    /// The message of the arguments.
    pub fn of_arguments(&self) -> Option<&Outgoing> {
        Some(&self.out).filter(|_| !self.is_input && self.copies > 0)
    }

    /// Whether it is known that there are no more.
    pub fn is_over(&self) -> bool {
        !self.is_input && self.copies == 0
    }

    /// Makes the last message the next one again, if it is among these; whether it is.
    pub fn repeat(&mut self, unsent: &[Vec<u8>]) -> bool {
        let is_unsent = self.number > 0 && unsent.contains(&self.out.whole);
        self.copies += u64::from(is_unsent);
        self.number -= u64::from(is_unsent && !self.is_input);
        is_unsent
    }

    /// The next message. Blank lines and comments are skipped: to MPF they are commands.
    pub fn next_item(&mut self) -> Item<'_> {
        self.is_dry = false;
        if self.copies > 0 {
            self.copies -= 1;
            self.number += u64::from(!self.is_input);
        } else {
            self.number = match self.read_message() {
                Ok(number) => number,
                Err(item) => return item,
            };
        }
        Item::Message(self.number, &self.out)
    }

    /// Writes the next message to `out` and returns its number.
    ///
    /// # Errors
    /// What there is instead of a message.
    fn read_message(&mut self) -> Result<u64, Item<'static>> {
        loop {
            let has_ended = self.has_ended();
            let frame = if self.is_at_last { self.framer.end() } else { self.framer.next_frame() };
            let (number, written) = match frame {
                Some(Frame::Ignored { .. }) => continue,
                // No option changes the limit of OBE_Socket.
                Some(Frame::Bad { number, .. }) if self.wire == Wire::Obe => {
                    (number, Err(format!("line over {OBE_BODY_BYTES_MAX} bytes")))
                }
                Some(Frame::Bad { number, fault }) => (number, Err(fault.to_string())),
                Some(Frame::Message(raw)) if self.wire == Wire::Obe => match trim(raw.line) {
                    [] | [b'#', ..] => continue,
                    value => (raw.number, write_json(value, &mut self.out)),
                },
                Some(Frame::Message(raw)) => {
                    let limits = (self.line_bytes_max, self.payload_bytes_max);
                    (raw.number, write_message(&raw, limits, &mut self.message, &mut self.out))
                }
                None if self.is_at_last => return Err(Item::End),
                None if has_ended => {
                    self.is_at_last = true;
                    continue;
                }
                None => {
                    self.is_dry = true;
                    return Err(Item::Pending);
                }
            };
            return written.map(|()| number).map_err(|reason| Item::Malformed { number, reason });
        }
    }
}

/// Writes a message as it is sent.
fn write_message(
    raw: &RawMessage<'_>,
    (line_bytes_max, payload_bytes_max): (usize, usize),
    message: &mut Message,
    out: &mut Outgoing,
) -> Result<(), String> {
    out.whole.clear();
    let mut json_payload = None;
    if raw.line.first() == Some(&b'{') {
        json_payload = message
            .parse_json(raw.line, &ParseOptions::default(), payload_bytes_max)
            .map_err(|error| error.to_string())?;
        let writing = WriteOptions { line_bytes_max, ..WriteOptions::default() };
        let length = json_payload.as_ref().map(Vec::len);
        write_line(message, length, &writing, &mut out.whole).map_err(|error| error.to_string())?;
    } else if raw.line.len() > line_bytes_max {
        return Err(FramingError::LineTooLong(line_bytes_max).to_string());
    } else {
        out.whole.extend_from_slice(raw.line);
    }
    out.end_line(json_payload.as_deref().or(raw.payload));
    Ok(())
}

/// Writes a message of OBE_Socket, which is any JSON value.
fn write_json(line: &[u8], out: &mut Outgoing) -> Result<(), String> {
    check_json(line).map_err(|error| error.to_string())?;
    line.clone_into(&mut out.whole);
    out.line_length = line.len();
    Ok(())
}

/// Longer than any run, and short enough to be added to a time.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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
    use crate::limits::LINE_BYTES_MAX;

    const MS: Duration = Duration::from_millis(1);

    /// What is sent of a stream that arrives in pieces, and what is reported.
    fn sent(input: &[u8], piece: usize) -> (Vec<u8>, Vec<String>) {
        let (mut stream, mut out, mut wrong) = (Stream::new(&FramingOptions::default()), Vec::new(), Vec::new());
        let mut take = |stream: &mut Stream| loop {
            match stream.next_item() {
                Item::Message(_, message) => out.extend_from_slice(&message.whole),
                Item::Malformed { number, reason } => wrong.push(format!("{number}: {reason}")),
                Item::Pending | Item::End => return,
            }
        };
        for bytes in input.chunks(piece) {
            stream.take_block(Ok(bytes.to_vec())).unwrap();
            take(&mut stream);
        }
        stream.take_block(Ok(Vec::new())).unwrap();
        take(&mut stream);
        assert_eq!(stream.next_item(), Item::End);
        (out, wrong)
    }

    #[test]
    fn lines_and_json_are_sent_and_comments_are_not() {
        let input = b"#backbox-session 1\r\n\na?x=1\r\n{\"command\":\"f\",\"bytes\":\"SGk=\"}\n  \
            \nd&bytes=3\n{\n}\n{oops}\nlast";
        for piece in [input.len(), 1, 2, 5] {
            let (out, wrong) = sent(input, piece);
            assert_eq!(out.escape_ascii().to_string(), "a?x=1\\nf&bytes=2\\nHid&bytes=3\\n{\\n}last\\n");
            assert_eq!(wrong.len(), 1);
            assert!(wrong[0].starts_with("9: "), "{wrong:?}");
        }
    }

    #[test]
    fn any_json_value_is_a_message_of_obe_socket() {
        let mut stream = Stream::new(&FramingOptions::obe());
        stream.take_block(Ok(b" # no\n\n \"OK\"\r\n{oops\n5".to_vec())).unwrap();
        stream.take_block(Ok(Vec::new())).unwrap();
        let message = |text: &str| Outgoing { whole: text.into(), line_length: text.len() };
        assert_eq!(stream.next_item(), Item::Message(3, &message("\"OK\"")));
        assert!(matches!(stream.next_item(), Item::Malformed { number: 4, .. }));
        assert_eq!(stream.next_item(), Item::Message(5, &message("5")));
        assert_eq!(stream.next_item(), Item::End);
    }

    #[test]
    fn payload_cut_short_is_not_sent() {
        let (out, wrong) = sent(b"a\nf&bytes=10\nabc", 4);
        assert_eq!(out, b"a\n");
        assert!(wrong[0].starts_with("2: payload cut short: 3 of 10 bytes"), "{wrong:?}");
    }

    #[test]
    fn line_over_its_limit_is_skipped_though_json_may_be_longer() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let (out, wrong) = sent(&[&long, &b"\nb\n"[..]].concat(), 1 << 20);
        assert_eq!(
            (out.as_slice(), wrong),
            (&b"b\n"[..], vec!["1: line over 1048576 bytes; --max-line allows more".into()])
        );
    }

    #[test]
    fn only_a_message_that_has_not_begun_is_sent_again() {
        let mut stream = Stream::new(&FramingOptions::default());
        stream.take_block(Ok(b"# no\na\nb\n".to_vec())).unwrap();
        let one = Stream::of(Outgoing { whole: b"a\n".to_vec(), line_length: 1 }, 1);
        for (mut messages, number) in [(one, 1), (stream, 2)] {
            for unsent in [&b"a\n"[..], b"reset_complete\n"] {
                assert!(matches!(messages.next_item(), Item::Message(next, a) if next == number && a.line() == b"a"));
                assert_eq!(messages.repeat(&[b"hello\n".to_vec(), unsent.to_vec()]), unsent == b"a\n");
            }
            assert!(!matches!(messages.next_item(), Item::Message(_, message) if message.line() == b"a"));
        }
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
