//! What the frames of a session file or of plain lines mean, one after the other: the state between two records.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{Error, Reason};
use super::mark::{Mark, Stamp, header};
use super::settings::Settings;
use super::{Kind, Note, Record, RecordKind};
use crate::bcp::payload_marker;
use crate::framing::{Frame, FramingError, FramingOptions, RawMessage, Wire, is_ignored, without_cr};
use crate::text::trim;

/// What a frame led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: a comment among plain lines, a line whose payload has to follow.
    More,
    /// A line of a session that is no message, which [`Script::aside`] shows until the next frame.
    Aside,
    /// A comment of a session that is over the limit of a line, of which nothing is kept.
    Lost { number: u64 },
    /// A record, which [`Script::record`] shows until the next frame.
    Record,
}

/// A line whose `#=` has to be the very next one; its text is [`Script::line`] already.
#[derive(Clone, Copy, Debug)]
struct Pending {
    number: u64,
    side: RecordKind,
    announced: usize,
}

/// The state of a reading. It holds one record and nothing of what came before but stamp and settings.
#[derive(Debug)]
pub(super) struct Script {
    kind: Option<Kind>,
    /// Whether the kind was told and not found out.
    forced: bool,
    is_command: fn(&[u8]) -> bool,
    payload_bytes_max: usize,
    settings: Settings,
    stamp: Option<Stamp>,
    pending: Option<Pending>,
    messages: u64,
    note: Option<Note>,
    noted: bool,
    number: u64,
    side: RecordKind,
    mark: &'static str,
    line: Vec<u8>,
    /// The payload's bytes, and whether there is one.
    payload: Vec<u8>,
    has_payload: bool,
    /// A marked line without CR, when it holds one.
    clean: Vec<u8>,
}

impl Script {
    pub(super) fn new(kind: Option<Kind>, framing: &FramingOptions, is_command: fn(&[u8]) -> bool) -> Script {
        Script {
            kind,
            forced: kind.is_some(),
            is_command,
            payload_bytes_max: framing.payload_bytes_max,
            settings: Settings::default(),
            stamp: None,
            pending: None,
            messages: 0,
            note: None,
            noted: false,
            number: 0,
            side: RecordKind::Client,
            mark: "",
            line: Vec::new(),
            payload: Vec::new(),
            has_payload: false,
            clean: Vec::new(),
        }
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn take_note(&mut self) -> Option<Note> {
        self.note.take()
    }

    /// Whether lines of this session can have payloads: OBE's cannot.
    pub(super) fn has_payloads(&self) -> bool {
        self.settings.wire != Some(Wire::Obe)
    }

    /// Sets the port that a log tells by its kind.
    pub(super) fn set_port(&mut self, port: Option<u16>) {
        self.settings.port = port;
    }

    /// The line that the last step ended with, when it was no message.
    pub(super) fn aside(&self) -> &[u8] {
        &self.line
    }

    /// What stands before the last record's line in the session.
    pub(super) fn mark(&self) -> &'static str {
        self.mark
    }

    /// The record that the last step ended with.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            number: self.number,
            time: self.stamp.map(|stamp| stamp.time),
            connection: self.stamp.map_or(1, |stamp| stamp.connection),
            side: self.side,
            line: &self.line,
            payload: self.has_payload.then_some(&self.payload),
        }
    }

    /// Takes in the next frame of the input.
    pub(super) fn frame(&mut self, frame: Frame<'_>) -> Result<Step, Error> {
        let number = match frame {
            Frame::Message(message) => message.number,
            Frame::Ignored { number, .. } | Frame::Bad { number, .. } => number,
        };
        let step = match self.find_kind(&frame) {
            Ok(Kind::Session) => self.session_frame(frame),
            Ok(_) => self.plain_frame(frame),
            Err(reason) => Err(reason),
        };
        step.map_err(|reason| Error { number: Some(number), reason })
    }

    /// Only a whole first line makes a session; any other first line makes plain lines (design.md, section 12).
    fn find_kind(&mut self, frame: &Frame<'_>) -> Result<Kind, Reason> {
        if let (None | Some(Kind::Session), Frame::Ignored { number: 1, line, .. }) = (self.kind, frame) {
            if header(without_cr(&mut self.clean, line))? {
                self.kind = Some(Kind::Session);
            }
        }
        Ok(self.no_session())
    }

    /// The kind, which is plain lines when nothing has made it a session by now.
    pub(super) fn no_session(&mut self) -> Kind {
        *self.kind.get_or_insert(Kind::Lines)
    }

    fn plain_frame(&mut self, frame: Frame<'_>) -> Result<Step, Reason> {
        match frame {
            Frame::Message(message) => {
                if self.messages == 0 && !self.forced && !(self.is_command)(command(&message)) {
                    return Err(Reason::Unknown);
                }
                Ok(self.message(&message))
            }
            Frame::Ignored { number, line, .. } => {
                // Who asked for plain lines by name knows what the comments are.
                if !self.forced && !self.noted && Mark::of(without_cr(&mut self.clean, line)).is_some() {
                    self.noted = true;
                    self.note = Some(Note::Marks { number });
                }
                Ok(Step::More)
            }
            Frame::Bad { fault, .. } => Err(Reason::FramingOptions(fault)),
        }
    }

    fn session_frame(&mut self, frame: Frame<'_>) -> Result<Step, Reason> {
        match (frame, self.pending.take()) {
            (Frame::Bad { fault: fault @ FramingError::LineTooLong { .. }, .. }, _) => {
                Err(Reason::FramingOptions(fault))
            }
            (Frame::Bad { fault, .. }, None) => Err(Reason::FramingOptions(fault)),
            (Frame::Message(message), None) => Ok(self.message(&message)),
            (Frame::Ignored { number, whole: false, .. }, None) => Ok(Step::Lost { number }),
            (Frame::Ignored { number, line, .. }, pending) => {
                let mut clean = std::mem::take(&mut self.clean);
                let step = match (Mark::of(without_cr(&mut clean, line)), pending) {
                    (Some((Mark::Payload, base64)), Some(pending)) => self.payload(pending, base64),
                    (_, Some(pending)) => Err(no_payload(pending)),
                    (Some((mark, rest)), None) => self.marked(number, mark, rest),
                    (None, None) => Ok(Step::Aside),
                };
                if step == Ok(Step::Aside) {
                    replace(&mut self.line, without_cr(&mut clean, line));
                }
                self.clean = clean;
                step
            }
            (_, Some(pending)) => Err(no_payload(pending)),
        }
    }

    /// A line of the session with a mark, and nothing that has to come first.
    fn marked(&mut self, number: u64, mark: Mark, rest: &[u8]) -> Result<Step, Reason> {
        match mark {
            Mark::Stamp => self.stamp = Some(Stamp::read(rest)?),
            Mark::Setting if self.messages > 0 => return Err(Reason::LateSetting),
            Mark::Setting => self.settings.add(number, rest)?,
            Mark::Payload => return Err(Reason::StrayPayload),
            Mark::Pattern if trim(rest).is_empty() => return Err(Reason::NoPattern),
            Mark::Pattern => return Ok(self.keep(number, RecordKind::Pattern, "#~", rest, None)),
            Mark::Server => return self.hidden_line(number, RecordKind::Server, "#<", rest),
            Mark::Client => return self.hidden_line(number, RecordKind::Client, "#>", rest),
        }
        Ok(Step::Aside)
    }

    /// A line behind `#<` or `#>`: done, or waiting for its payload.
    fn hidden_line(&mut self, number: u64, side: RecordKind, mark: &'static str, line: &[u8]) -> Result<Step, Reason> {
        let marker = if is_ignored(line) || !self.has_payloads() { None } else { payload_marker(line) };
        let announced = match marker.map(|marker| marker.length) {
            None => return Ok(self.keep(number, side, mark, line, None)),
            Some(Some(0)) => return Ok(self.keep(number, side, mark, line, Some(b""))),
            Some(Some(announced)) if announced <= self.payload_bytes_max => announced,
            Some(_) => {
                return Err(Reason::FramingOptions(FramingError::PayloadTooLarge { limit: self.payload_bytes_max }));
            }
        };
        replace(&mut self.line, line);
        self.mark = mark;
        self.pending = Some(Pending { number, side, announced });
        Ok(Step::More)
    }

    /// The base64 behind `#=`, for the line that waits for it.
    fn payload(&mut self, pending: Pending, base64: &[u8]) -> Result<Step, Reason> {
        let Pending { number, side, announced } = pending;
        self.payload.clear();
        STANDARD.decode_vec(base64, &mut self.payload).map_err(|_| Reason::Base64)?;
        let got = self.payload.len();
        if got != announced {
            return Err(Reason::PayloadLength { got, announced_at: number, announced });
        }
        Ok(self.done(number, side, true))
    }

    fn message(&mut self, message: &RawMessage<'_>) -> Step {
        self.keep(message.number, RecordKind::Client, "", message.line, message.payload)
    }

    fn keep(&mut self, number: u64, side: RecordKind, mark: &'static str, line: &[u8], payload: Option<&[u8]>) -> Step {
        replace(&mut self.line, line);
        self.mark = mark;
        replace(&mut self.payload, payload.unwrap_or_default());
        self.done(number, side, payload.is_some())
    }

    fn done(&mut self, number: u64, side: RecordKind, has_payload: bool) -> Step {
        self.number = number;
        self.side = side;
        self.has_payload = has_payload;
        self.messages = self.messages.saturating_add(1);
        Step::Record
    }

    /// A session has ended, in the middle of the line `unfinished` or between two.
    pub(super) fn end_session(&mut self, unfinished: Option<u64>) {
        if let Some(number) = self.pending.map(|pending| pending.number).or(unfinished) {
            self.note = Some(Note::Cut { number });
        }
    }

    /// How many bytes of memory the texts take.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.line.capacity() + self.payload.capacity() + self.clean.capacity()
    }

    /// What is wrong with an input that has ended without an error.
    pub(super) fn verdict(&self) -> Option<Error> {
        (self.messages == 0).then_some(Error { number: None, reason: Reason::Nothing(None) })
    }
}

/// The command of a line, trimmed; section 1 says where it ends.
fn command<'a>(message: &RawMessage<'a>) -> &'a [u8] {
    trim(message.text().split(|&b| b == b'?').next().unwrap_or_default())
}

fn no_payload(pending: Pending) -> Reason {
    Reason::NoPayload { announced_at: pending.number, bytes: pending.announced }
}

fn replace(kept: &mut Vec<u8>, with: &[u8]) {
    kept.clear();
    kept.extend_from_slice(with);
}
