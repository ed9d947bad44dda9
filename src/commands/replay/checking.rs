//! A check of `replay` from both ends: what has to be known before it begins, and what becomes of its differences
//! (design.md, section 11).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::check_flags::CheckWish;
use super::recording::{Line, Recording, count};
use crate::check::{self, Check, Edits, Entry, Junit, Options, Outlook, Splice, Suite, Text, Verdict};
use crate::commands::result_file::{ResultFile, replace};
use crate::failure::{Exit, Failure};
use crate::framing::Framing;
use crate::output::{Color, Console, Output, stdout_is_terminal};
use crate::session::{Kind, Settings, Side, Spans};
use crate::text::safe;

/// What a check needs besides its script.
#[derive(Debug)]
pub struct Checking<'o> {
    wish: &'o CheckWish,
    path: &'o Path,
    /// The file's name as it stands before a difference.
    name: String,
    /// The side that we play.
    ours: Side,
    exact: bool,
    last_goodbye: Option<u64>,
    junit: Option<ResultFile>,
    began: (SystemTime, Instant),
}

/// Whether a line of the recording is something that the other side of `ours` has to say. A pattern stands for what an
/// acceptor should, in a file written by hand.
pub fn is_answer(side: Side, ours: Side) -> bool {
    match side {
        Side::Pattern => ours == Side::Dialler,
        side => side != ours,
    }
}

impl<'o> Checking<'o> {
    /// Looks through the recording once more, which then stands at its start again; `junit` is where the report goes.
    ///
    /// # Errors
    /// A flag, setting or answer of the recording that is no pattern, which is known before anybody is dialled.
    pub fn prepare(
        wish: &'o CheckWish,
        path: &'o Path,
        (recording, settings): (&mut Recording, &Settings),
        ours: Side,
        junit: Option<ResultFile>,
        console: &mut Console,
    ) -> Result<(Checking<'o>, Check), Failure> {
        let name = safe(path.as_os_str().as_encoded_bytes());
        let mut rules = wish.rules(settings, &name)?;
        let mut outlook = Outlook::default();
        each_answer(recording, ours, console, |line| {
            let wrong = |why| Failure::Refused(format!("{name}:{}: {why}", line.number));
            outlook.see(&line.record(), &mut rules).map_err(wrong)
        })?;
        if wish.update && recording.kind() != Some(Kind::Session) {
            return Err(no_session(&name));
        }
        recording.rewind()?;
        let (exact, last_goodbye) = (wish.is_exact(settings), outlook.last_goodbye());
        let (reply_timeout, fail_fast) = (wish.reply_timeout(), wish.fail_fast);
        let last_answer = outlook.last_answer();
        let check = Check::new(Options { rules, exact, reply_timeout, fail_fast, last_goodbye, last_answer });
        let began = (SystemTime::now(), Instant::now());
        Ok((Checking { wish, path, name, ours, exact, last_goodbye, junit, began }, check))
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
        let printed = self.print(check.entries(), color);
        if is_over && compared == 0 {
            console.complain(Exit::No, &self.name, "nothing to compare: it holds no answer that counts");
        }
        let differs = if check.entries().is_empty() { Exit::Done } else { Exit::No };
        let exit = match self.wish.update {
            true => self.outdated(recording.framing()).update(check.entries(), is_over, console)?,
            false => differs,
        };
        if let Some(file) = &self.junit {
            file.write(self.junit(check, recording, console)?.as_bytes())?;
        }
        match printed {
            // Whoever reads no further has seen enough; the status tells the rest.
            Err(Failure::ReaderGone) | Ok(()) => Ok(exit),
            Err(failure) => Err(failure),
        }
    }

    fn print(&self, entries: &[Entry], color: Color) -> Result<(), Failure> {
        let text = Text { file: &self.name, colored: color.is_on(stdout_is_terminal()) };
        let mut output = Output::new();
        for entry in entries {
            let mut shown = String::new();
            text.write(entry, &mut shown);
            output.buffer().extend_from_slice(shown.as_bytes());
            output.flush()?;
        }
        Ok(())
    }

    fn outdated(&self, framing: Framing) -> Outdated<'_> {
        let answering = if self.ours == Side::Dialler { Side::Acceptor } else { Side::Dialler };
        Outdated { path: self.path, name: &self.name, framing, answering, exact: self.exact }
    }

    /// The report for CI systems: the recording is gone through again, so that only differences had to be kept.
    fn junit(&self, check: Check, recording: &mut Recording, console: &mut Console) -> Result<String, Failure> {
        let reached = check.reached();
        let (entries, mut rules) = check.into_report();
        let place = |entry: &Entry| entry.recorded.as_ref().map(|recorded| recorded.number);
        let failed: HashMap<u64, &Entry> = entries.iter().filter_map(|entry| Some((place(entry)?, entry))).collect();
        let mut junit = Junit::new(&self.name);
        recording.rewind()?;
        each_answer(recording, self.ours, console, |line| {
            let counts = Some(line.number) != self.last_goodbye;
            // A pattern that is none would have ended the check before it began.
            if counts && !matches!(rules.recorded(&line.record(), Duration::ZERO), Ok(None)) {
                let verdict = match failed.get(&line.number) {
                    Some(entry) => Verdict::Failed(entry),
                    None if line.number <= reached => Verdict::Passed,
                    None => Verdict::Skipped,
                };
                junit.case(Some(line.number), line.line(), verdict);
            }
            Ok(())
        })?;
        for entry in entries.iter().filter(|entry| entry.recorded.is_none()) {
            let line = entry.came.as_ref().map_or(&[][..], |came| &came.said.line);
            junit.case(None, line, Verdict::Failed(entry));
        }
        let (began, since) = self.began;
        let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(junit.finish(&Suite { began, took: since.elapsed() }))
    }
}

/// What `--update` says of a file that is no session.
pub fn no_session(name: &str) -> Failure {
    let why = "--update changes a session file, and this is none: replay --dry-run makes one of it";
    Failure::Refused(format!("{name}: {why}"))
}

/// A session file that is to say what came.
#[derive(Debug)]
pub struct Outdated<'a> {
    /// The file.
    pub path: &'a Path,
    /// What complaints call it.
    pub name: &'a str,
    /// How its lines are read.
    pub framing: Framing,
    /// The side whose lines are answers.
    pub answering: Side,
    /// Whether what was not recorded is added.
    pub exact: bool,
}

impl Outdated<'_> {
    /// Writes what came in the place of what differs, once the check is over; how `--update` ends.
    ///
    /// # Errors
    /// A file that cannot be read or written any more.
    pub fn update(self, entries: &[Entry], is_over: bool, console: &mut Console) -> Result<Exit, Failure> {
        let Outdated { path, name, framing, answering, exact } = self;
        if !is_over || entries.iter().any(|entry| matches!(entry.kind, check::Kind::Gone { .. })) {
            console.complain(Exit::No, name, "left as it is, since the check did not come to its end");
            return Ok(Exit::No);
        }
        let mut edits = Edits::of(entries, answering, exact);
        let untouched = edits.untouched;
        if !edits.is_empty() {
            let doing = format!("cannot update {name}");
            rewrite(path, framing, &mut edits).map_err(|error| Failure::io(doing, &error))?;
        }
        let updated = count(entries.len() as u64 - untouched, "difference");
        console.note(format_args!("{name}: {updated} updated"));
        if untouched == 0 {
            return Ok(Exit::Done);
        }
        let patterns = count(untouched, "pattern");
        console.complain(Exit::No, name, format_args!("{patterns} not met, which --update never changes"));
        Ok(Exit::No)
    }
}

/// Shows each answer of a recording that stands at its start.
fn each_answer(
    recording: &mut Recording,
    ours: Side,
    console: &mut Console,
    mut see: impl FnMut(&Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = Line::default();
    while recording.read(&mut line, console)? {
        if is_answer(line.side, ours) {
            see(&line)?;
        }
    }
    Ok(())
}

/// Writes the file anew with these changes, whatever its size.
fn rewrite(path: &Path, framing: Framing, edits: &mut Edits) -> io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let path: PathBuf = fs::canonicalize(path)?;
    let mut file = File::open(&path)?;
    let mut splices: Vec<Splice> = Vec::new();
    let mut spans = Spans::new(framing);
    loop {
        let read = file.read(spans.space())?;
        spans.filled(read);
        while let Some((number, span)) = spans.next_span() {
            edits.record(number, span, &mut splices);
        }
        if read == 0 {
            break;
        }
    }
    if let Some((number, span)) = spans.end() {
        edits.record(number, span, &mut splices);
    }
    file.seek(SeekFrom::Start(0))?;
    let permissions = file.metadata()?.permissions();
    replace(&path, |new| {
        let mut at = 0;
        for (span, text) in splices {
            io::copy(&mut (&mut file).take(span.start - at), new)?;
            new.write_all(&text)?;
            at = file.seek(SeekFrom::Start(span.end))?;
        }
        io::copy(&mut file, new)?;
        new.set_permissions(permissions)
    })
}
