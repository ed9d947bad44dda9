//! The reader: bytes of a session file or of plain lines in, records out.

use super::error::Error;
use super::mark::Mark;
use super::script::{Script, Step};
use super::settings::Settings;
use super::{Kind, Note, Record};
use crate::framing::{BcpFramer, Framing};

/// Reads a session file or plain BCP lines, whichever the input is, in memory that does not grow with it.
///
/// Read into [`Reader::space`], say how much with [`Reader::filled`], take records from [`Reader::next_record`] until it
/// gives `None`, and at the end of the input from [`Reader::end`] until that gives `None`. The first error ends the
/// reading: a script with a hole must not be played on (design.md, section 12).
#[derive(Debug)]
pub struct Reader {
    framer: BcpFramer,
    script: Script,
    over: bool,
}

impl Reader {
    /// A reader at the start of an input of this kind, or of one that is still to be told; `framing` has the limits, and
    /// whether plain lines have payloads; a session says that itself.
    ///
    /// An input that is no session is plain lines only when `is_command` accepts the command of its first line, trimmed:
    /// give it the rule of `encode` (`codec::is_command`), which no prose, log or JSON meets.
    pub fn new(kind: Option<Kind>, framing: Framing, is_command: fn(&[u8]) -> bool) -> Reader {
        let mut reader =
            Reader { script: Script::new(kind, &framing, is_command), framer: BcpFramer::new(framing), over: false };
        reader.follow();
        reader
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.framer.space()
    }

    /// Says how many bytes of [`Reader::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.framer.filled(count);
    }

    /// The next record, or `None` when more bytes are needed or the reading has ended.
    ///
    /// # Errors
    /// What is wrong with the input, and where; nothing follows it.
    pub fn next_record(&mut self) -> Option<Result<Record<'_>, Error>> {
        while !self.over {
            let step = self.script.frame(self.framer.next_frame()?);
            match step {
                Ok(Step::More) => self.follow(),
                Ok(Step::Record) => return Some(Ok(self.script.record())),
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// What is left when the input has ended: a last plain line, whose LF may be missing, or what is wrong with the whole.
    /// A session's last line counts only with its LF, since half a line looks like a whole one.
    ///
    /// # Errors
    /// As [`Reader::next_record`], and [`super::Reason::Nothing`] for an input without a message.
    pub fn end(&mut self) -> Option<Result<Record<'_>, Error>> {
        if self.script.kind() == Some(Kind::Session) {
            if !self.over {
                self.script.end_session(self.framer.unfinished());
            }
        } else {
            self.script.no_session();
            while !self.over {
                let Some(frame) = self.framer.end() else { break };
                match self.script.frame(frame) {
                    Ok(Step::More) => {}
                    Ok(Step::Record) => return Some(Ok(self.script.record())),
                    Err(error) => {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
            }
        }
        let verdict = if self.over { None } else { self.script.verdict() };
        self.over = true;
        verdict.map(Err)
    }

    /// What the input is; `None` until its first line is known.
    pub fn kind(&self) -> Option<Kind> {
        self.script.kind()
    }

    /// The settings so far; all of them once there is a record.
    pub fn settings(&self) -> &Settings {
        self.script.settings()
    }

    /// The note that has come up since the last call; an input gives at most one.
    pub fn take_note(&mut self) -> Option<Note> {
        self.script.take_note()
    }

    /// Makes the framer follow what the lines so far have said of those to come.
    fn follow(&mut self) {
        if self.script.kind() == Some(Kind::Session) {
            self.framer.keep_marked(Mark::limit);
            self.framer.look_for_payloads(self.script.has_payloads());
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
