//! A check of `replay` from both ends: what has to be known before it begins, and what becomes of its differences
//! (design.md, section 11).

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::check_flags::CheckOptions;
use super::recording::{Line, Recording};
use super::updating::{Outdated, no_session};
use crate::bcp::Side;
use crate::check::{Check, CheckConfig, EntryWriter, JunitSuite, junit, summary};
use crate::commands::result_file::ResultFile;
use crate::exit::{Exit, Failure};
use crate::output::{Color, Console, Stdout, stdout_is_terminal};
use crate::session::{Kind, Record, Settings};
use crate::text::{file_name, shown};

/// What a check needs besides its script.
#[derive(Debug)]
pub struct Checking {
    /// The file, if it is to say what came.
    outdated: Option<Outdated>,
    /// The file's name as it stands before a difference.
    name: String,
    /// The side that we play.
    ours: Side,
    last_goodbye: Option<u64>,
    junit: Option<ResultFile>,
    began: (SystemTime, Instant),
}

/// Whether a line of the recording is something that the other side of `ours` has to say. A pattern stands for what an
/// acceptor should, in a file written by hand.
pub fn is_answer(record: &Record, ours: Side) -> bool {
    record.side != ours
}

/// Whether a line of the recording is one that we send.
pub fn is_ours(record: &Record, ours: Side) -> bool {
    record.side == ours && !record.is_pattern
}

impl Checking {
    /// Looks through the recording once more, which then stands at its start again; `junit` is where the report goes.
    ///
    /// # Errors
    /// A flag, setting or answer of the recording that is no pattern, which is known before anybody is dialled.
    pub fn prepare(
        wish: &CheckOptions,
        path: &Path,
        (recording, settings): (&mut Recording, &Settings),
        ours: Side,
        junit: Option<ResultFile>,
    ) -> Result<(Checking, Check), Failure> {
        let name = file_name(path);
        let rules = wish.rules(settings, &name)?;
        let mut last_goodbye = None;
        each_answer(recording, ours, |line| {
            let wrong = |why| Failure::Refused(format!("{name}:{}: {why}", line.number));
            last_goodbye = rules.last_goodbye(last_goodbye, line.record()).map_err(wrong)?;
            Ok(())
        })?;
        if wish.update && recording.kind() != Kind::Session {
            return Err(no_session(&name));
        }
        recording.rewind()?;
        let (exact, last_goodbye) = (wish.is_exact(settings), last_goodbye);
        let answering = if ours == Side::Client { Side::Server } else { Side::Client };
        let outdated = || Outdated::new(path, &name, answering);
        let outdated = wish.update.then(outdated).transpose()?;
        let (reply_timeout, fail_fast) = (wish.reply_timeout(), wish.fail_fast);
        let check = Check::new(CheckConfig { rules, exact, reply_timeout, fail_fast, last_goodbye });
        let began = (SystemTime::now(), Instant::now());
        Ok((Checking { outdated, name, ours, last_goodbye, junit, began }, check))
    }

    /// Prints the differences, writes what was asked for, and says how the check ended.
    ///
    /// # Errors
    /// A standard output, a report or a session file that cannot be written; a recording that cannot be read any more.
    pub fn report(
        self,
        check: Check,
        recording: &mut Recording,
        color: Color,
        console: &mut Console,
    ) -> Result<Exit, Failure> {
        let (is_over, compared) = (check.is_over(), check.compared());
        let printed = self.print(&check, color);
        if is_over && compared == 0 {
            console.report(Exit::Failed, &self.name, "no replies to compare");
        }
        let differs = if check.entries().is_empty() { Exit::Success } else { Exit::Failed };
        let exit = match &self.outdated {
            Some(outdated) => outdated.update(check.entries(), is_over, console),
            None => Ok(differs),
        };
        // What was found is told, whatever became of the update.
        if let Some(file) = &self.junit {
            file.write(self.junit(&check, recording)?.as_bytes())?;
        }
        let exit = exit?;
        match printed {
            // Whoever reads no further has seen enough; the status tells the rest.
            Err(Failure::OutputClosed) | Ok(()) => Ok(exit),
            Err(failure) => Err(failure),
        }
    }

    fn print(&self, check: &Check, color: Color) -> Result<(), Failure> {
        let writer = EntryWriter { file: &self.name, is_colored: color.is_on(stdout_is_terminal()) };
        let mut output = Stdout::new();
        for entry in check.entries() {
            let mut shown = String::new();
            writer.write(entry, &mut shown);
            output.buffer().extend_from_slice(shown.as_bytes());
            output.flush()?;
        }
        // A check that was cut short has not passed.
        if check.is_over() || !check.entries().is_empty() {
            output.buffer().extend_from_slice(summary(check.entries(), check.compared()).as_bytes());
            output.buffer().push(b'\n');
        }
        output.flush()
    }

    /// The report for CI systems: the recording is gone through again, so that only differences had to be kept.
    fn junit(&self, check: &Check, recording: &mut Recording) -> Result<String, Failure> {
        let mut replies = Vec::new();
        recording.rewind()?;
        each_answer(recording, self.ours, |line| {
            let counts = Some(line.number) != self.last_goodbye;
            // A pattern that is none would have ended the check before it began.
            if counts && !matches!(check.rules().recorded(line.record(), Duration::ZERO), Ok(None)) {
                replies.push((line.number, shown(line.line())));
            }
            Ok(())
        })?;
        let (began, since) = self.began;
        let (began, took) = (began.duration_since(UNIX_EPOCH).unwrap_or_default(), since.elapsed());
        let (entries, reached) = (check.entries(), check.reached());
        Ok(junit(&[JunitSuite { file: &self.name, began, took, replies, entries, reached }]))
    }
}

/// Shows each answer of a recording that stands at its start.
fn each_answer(
    recording: &mut Recording,
    ours: Side,
    mut see: impl FnMut(&Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = Line::default();
    while recording.read(&mut line)? {
        if is_answer(&line, ours) {
            see(&line)?;
        }
    }
    Ok(())
}
