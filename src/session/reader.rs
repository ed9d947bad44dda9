//! The reader: bytes of a session file, of plain lines or of a log in, records out.

use memchr::memchr;

use super::error::Error;
use super::logs::{Form, Log, form_of_kind, form_of_line};
use super::mark::Mark;
use super::script::{Script, Step};
use super::settings::Settings;
use super::{HEADER, Kind, Note, Record};
use crate::bcp::payload_marker;
use crate::framing::{BcpFramer, FramingOptions, is_ignored};

/// How many lines that are neither blank nor comments are looked at for the form of a log (design.md, section 11).
const LINES_LOOKED_AT: usize = 10;

/// Reads a session file, plain BCP lines or a log, whichever the input is, in memory that does not grow with it.
///
/// Read into [`Reader::space`], say how much with [`Reader::filled`], take records from [`Reader::next_record`] until
/// it gives `None`, and at the end of the input from [`Reader::end`] until that gives `None`. An error ends the
/// reading, since a script with a hole must not be played on (design.md, section 12), unless it is a damaged line of a
/// log ([`Error::is_passed_over`]).
#[derive(Debug)]
pub struct Reader {
    framer: BcpFramer,
    framing: FramingOptions,
    script: Script,
    is_command: fn(&[u8]) -> bool,
    /// The beginning of the input waits in the framer while this looks for the form of a log in it.
    look: Option<Look>,
    /// What reads instead of framer and script once the input is known to be a log.
    log: Option<Log>,
    over: bool,
}

/// What stands in an input, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message.
    Message {
        /// The message.
        record: Record<'a>,
        /// What stands before its line in a session file.
        mark: &'static str,
    },
    /// A line of a session file that is no message: header, stamp, setting, comment, blank line. Without LF and CR.
    Aside(&'a [u8]),
    /// A comment of a session file that is over the limit of a line, of which nothing is kept.
    Lost {
        /// Its line number, from 1.
        number: u64,
    },
}

impl Reader {
    /// A reader at the start of an input of this kind, or of one that is still to be told; `framing` has the limits,
    /// and whether plain lines have payloads; a session says that itself.
    ///
    /// An input that is neither session nor log is plain lines only when `is_command` accepts the command of its first
    /// line, trimmed: give it the rule of `encode` (`bcp::is_command`), which no prose and no JSON meets.
    pub fn new(kind: Option<Kind>, framing: FramingOptions, is_command: fn(&[u8]) -> bool) -> Reader {
        let mut reader = Reader {
            script: Script::new(kind, &framing, is_command),
            framer: BcpFramer::new(framing.clone()),
            is_command,
            look: kind.is_none().then(Look::default),
            log: None,
            over: false,
            framing,
        };
        if let Some(form) = kind.and_then(form_of_kind) {
            reader.read_log(form);
        }
        reader.follow();
        reader
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.log {
            Some(log) => log.space(),
            None => self.framer.space(),
        }
    }

    /// Says how many bytes of [`Reader::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        match &mut self.log {
            Some(log) => log.filled(count),
            None => self.framer.filled(count),
        }
        self.look(false);
    }

    /// Takes bytes that were read elsewhere.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            if let Some(space) = space.get_mut(..now.len()) {
                space.copy_from_slice(now);
            }
            self.filled(now.len());
            bytes = later;
        }
    }

    /// The next record, or `None` when more bytes are needed or the reading has ended.
    ///
    /// # Errors
    /// What is wrong with the input, and where.
    pub fn next_record(&mut self) -> Option<Result<Record<'_>, Error>> {
        self.record(false)
    }

    /// What is left when the input has ended: a last plain line, whose LF may be missing, or what is wrong with the
    /// whole. A session's last line counts only with its LF, since half a line looks like a whole one.
    ///
    /// # Errors
    /// As [`Reader::next_record`], and [`super::Reason::Nothing`] for an input without a message.
    pub fn end(&mut self) -> Option<Result<Record<'_>, Error>> {
        self.record(true)
    }

    /// The next message or other line of a session, for who keeps these too: as [`Reader::next_record`], or
    /// [`Reader::end`] when the input has ended.
    ///
    /// # Errors
    /// As theirs.
    pub fn next_item(&mut self, ended: bool) -> Option<Result<Item<'_>, Error>> {
        Some(match self.advance(ended)? {
            Ok(Step::Aside) => Ok(Item::Aside(self.script.aside())),
            Ok(Step::Lost { number }) => Ok(Item::Lost { number }),
            Ok(_) => Ok(Item::Message { record: self.last(), mark: self.script.mark() }),
            Err(error) => Err(error),
        })
    }

    /// What the input is; `None` until that is known.
    pub fn kind(&self) -> Option<Kind> {
        self.log.as_ref().map_or(self.script.kind(), |log| Some(log.form().kind()))
    }

    /// The settings so far; all of them once there is a record.
    pub fn settings(&self) -> &Settings {
        self.script.settings()
    }

    /// The note that has come up since the last call; an input gives at most one.
    pub fn take_note(&mut self) -> Option<Note> {
        self.log.as_mut().map_or_else(|| self.script.take_note(), Log::take_note)
    }

    fn record(&mut self, ended: bool) -> Option<Result<Record<'_>, Error>> {
        loop {
            match self.advance(ended)? {
                Ok(Step::Record) => return Some(Ok(self.last())),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The record that the last step ended with.
    fn last(&self) -> Record<'_> {
        self.log.as_ref().map_or_else(|| self.script.record(), Log::record)
    }

    /// Goes on to whatever there is to show; `None` when more bytes are needed or the reading has ended.
    fn advance(&mut self, ended: bool) -> Option<Result<Step, Error>> {
        if ended {
            self.look(true);
        }
        while !self.over && self.look.is_none() {
            let step = match &mut self.log {
                Some(log) => log.advance(ended).map(|found| found.map(|()| Step::Record)),
                None => self.script_step(ended),
            };
            match step {
                Some(Ok(Step::More)) => {}
                Some(Err(error)) => {
                    self.over = !error.is_passed_over();
                    return Some(Err(error));
                }
                Some(step) => return Some(step),
                None if ended => {
                    self.over = true;
                    let verdict = self.log.as_ref().map_or_else(|| self.script.verdict(), Log::verdict);
                    return verdict.map(Err);
                }
                None => return None,
            }
        }
        None
    }

    /// What the next frame of a session or of plain lines leads to.
    fn script_step(&mut self, ended: bool) -> Option<Result<Step, Error>> {
        let step = match self.framer.next_frame() {
            Some(frame) => self.script.frame(frame),
            None if !ended => return None,
            None if self.script.kind() == Some(Kind::Session) => {
                self.script.end_session(self.framer.unfinished());
                return None;
            }
            None => {
                self.script.no_session();
                self.script.frame(self.framer.end()?)
            }
        };
        self.follow();
        Some(step)
    }

    /// Makes the framer follow what the lines so far have said of those to come.
    fn follow(&mut self) {
        if self.script.kind() == Some(Kind::Session) {
            self.framer.keep_marked(Mark::limit);
            self.framer.look_for_payloads(self.script.has_payloads());
        }
    }

    /// Looks on for the form of a log.
    fn look(&mut self, ended: bool) {
        let Some(look) = &mut self.look else { return };
        match look.on(self.framer.unread(), ended, self.framing.line_bytes_max, self.is_command) {
            Found::Nothing => {}
            Found::NoLog => self.look = None,
            Found::Log(form) => self.read_log(form),
        }
    }

    /// Hands the input over to the reader of logs.
    fn read_log(&mut self, form: &'static Form) {
        self.look = None;
        let begun = std::mem::replace(&mut self.framer, BcpFramer::new(self.framing.clone()));
        self.log = Some(Log::new(form, self.framing.clone()));
        self.feed(begun.unread());
        self.script.set_port(form.port);
    }
}

/// The search for the form of a log in the first lines of an input.
#[derive(Debug, Default)]
struct Look {
    /// How many bytes have been looked at: whole lines, and payloads behind plain ones.
    bytes: usize,
    /// How much behind them is known to hold no LF.
    searched: usize,
    /// How many lines of them were neither blank nor comments.
    lines: usize,
}

/// What a search has come to.
enum Found {
    /// Not enough yet.
    Nothing,
    NoLog,
    Log(&'static Form),
}

impl Look {
    /// Looks on, in the whole of what has come of the input. Once that is more than `bytes_max` it is no log.
    fn on(&mut self, input: &[u8], ended: bool, bytes_max: usize, is_command: fn(&[u8]) -> bool) -> Found {
        let mark = "\u{feff}".as_bytes();
        if input.strip_prefix(mark).unwrap_or(input).starts_with(HEADER.as_bytes()) {
            return Found::NoLog;
        }
        while let Some(rest) = input.get(self.bytes..).filter(|rest| !rest.is_empty()) {
            let found = rest.get(self.searched..).and_then(|rest| memchr(b'\n', rest));
            let length = found.map(|found| self.searched + found).or(ended.then_some(rest.len()));
            self.searched = if length.is_none() { rest.len() } else { 0 };
            let Some(line) = length.and_then(|length| rest.get(..length)) else { break };
            let text = if self.bytes == 0 { line.strip_prefix(mark).unwrap_or(line) } else { line };
            self.bytes += line.len() + 1;
            if is_ignored(text) {
                continue;
            }
            if let Some(form) = form_of_line(text, is_command) {
                return Found::Log(form);
            }
            self.lines += 1;
            if self.lines == LINES_LOOKED_AT {
                return Found::NoLog;
            }
            let payload = payload_marker(text).and_then(|marker| marker.length);
            self.bytes = self.bytes.saturating_add(payload.unwrap_or_default());
        }
        if ended || input.len() > bytes_max { Found::NoLog } else { Found::Nothing }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
