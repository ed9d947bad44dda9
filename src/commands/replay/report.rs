//! A check of one file: what must be known before it begins, and what is reported, updated and written at its end.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::options::Options;
use super::playing::Playing;
use super::source::{Recording, Summary};
use super::update::{SessionUpdate, no_session};
use crate::check::{Check, CheckConfig, EntryWriter, JunitSuite, junit, summary};
use crate::commands::run::End;
use crate::exit::{Exit, Failure};
use crate::net::CloseReason;
use crate::output::Console;
use crate::session::Kind;
use crate::text::shown;

/// The check of a file, while it is played and after it.
pub(super) struct Checking {
    pub check: Check,
    update: Option<SessionUpdate>,
    /// The number of the recording's last reply if it is a `goodbye`, which is not compared.
    last_goodbye: Option<u64>,
    began: (SystemTime, Instant),
    took: Duration,
    /// The replies that are compared, for JUnit: the number of each line, and the line.
    replies: Vec<(u64, String)>,
}

impl Checking {
    /// Reads the replies of the recording, which then stands at its start.
    ///
    /// # Errors
    /// An option, setting or reply that is not a pattern; a file that cannot be updated.
    pub(super) fn prepare(
        options: &Options,
        path: &Path,
        recording: &mut Recording,
        found: &Summary,
    ) -> Result<Checking, Failure> {
        let name = recording.name.clone();
        let rules = options.rules(&found.settings, &name)?;
        let mut last_goodbye = None;
        recording.each_reply(|record| {
            let wrong =
                |why: crate::bcp::Malformed| Failure::Malformed(format!("{name}:{}", record.number), why.to_string());
            last_goodbye = rules.last_goodbye(last_goodbye, record).map_err(wrong)?;
            Ok(())
        })?;
        if options.update && recording.kind() != Kind::Session {
            return Err(no_session(&name));
        }
        let update = options.update.then(|| SessionUpdate::new(path, &name, options.side().other())).transpose()?;
        let check = Check::new(CheckConfig {
            rules,
            exact: options.is_exact(&found.settings),
            reply_timeout: options.reply_timeout(),
            fail_fast: options.fail_fast,
            last_goodbye,
        });
        let began = (SystemTime::now(), Instant::now());
        Ok(Checking { check, update, last_goodbye, began, took: Duration::ZERO, replies: Vec::new() })
    }

    /// The check begins.
    pub(super) fn begin(&mut self) {
        self.began = (SystemTime::now(), Instant::now());
    }

    /// The report for standard output; without `has_total` its last line is left out. One that was interrupted without
    /// a difference has no result.
    pub(super) fn print(&self, name: &str, is_colored: bool, has_total: bool) -> String {
        let writer = EntryWriter { file: name, is_colored };
        let mut text = String::new();
        for entry in self.check.entries() {
            writer.write(entry, &mut text);
        }
        if has_total && (self.check.is_over() || !self.check.entries().is_empty()) {
            text.push_str(&self.result());
            text.push('\n');
        }
        text
    }

    /// `PASS: 14 replies as recorded` or `FAIL: 3 of 14 replies differ`.
    pub(super) fn result(&self) -> String {
        summary(self.check.entries(), self.check.compared())
    }

    /// Updates the file and collects the replies for JUnit; the exit status of the check. What was found is collected
    /// even if the update fails.
    ///
    /// # Errors
    /// The file cannot be updated, or cannot be read any more.
    pub(super) fn conclude(
        &mut self,
        recording: &mut Recording,
        has_junit: bool,
        console: &mut Console,
    ) -> Result<Exit, Failure> {
        self.took = self.began.1.elapsed();
        let (entries, is_over) = (self.check.entries(), self.check.is_over());
        if is_over && self.check.compared() == 0 {
            console.report(Exit::Failed, &recording.name, "no replies to compare");
        }
        let mut replies = Vec::new();
        if has_junit {
            let (check, last_goodbye) = (&self.check, self.last_goodbye);
            recording.each_reply(|record| {
                let is_compared = !matches!(check.rules().recorded(record, Duration::ZERO), Ok(None));
                if is_compared && Some(record.number) != last_goodbye {
                    replies.push((record.number, shown(&record.line)));
                }
                Ok(())
            })?;
        }
        let exit = match &self.update {
            Some(update) => update.update(entries, is_over, console),
            None if entries.is_empty() => Ok(Exit::Success),
            None => Ok(Exit::Failed),
        };
        self.replies = replies;
        exit
    }
}

/// The line of one of several files: `ok   game.bcp 14 replies as recorded`.
pub(super) fn result_line(playing: &Playing) -> String {
    let name = &playing.recording.name;
    let result = playing.checking().filter(|_| playing.stats.connections > 0).map(Checking::result);
    match result.as_deref().and_then(|result| result.split_once(": ")) {
        Some(("PASS", text)) if passes(playing) => format!("ok   {name} {text}\n"),
        Some(("FAIL", text)) => format!("FAIL {name} {text}\n"),
        _ => format!("FAIL {name} {}\n", playing.how()),
    }
}

/// The last line for several files, of which not all may have been played.
pub(super) fn total<'a>(played: impl Iterator<Item = &'a Playing>, files: usize) -> String {
    let (mut failed, mut compared) = (files, 0);
    for playing in played {
        failed -= usize::from(passes(playing));
        compared += playing.checking().map_or(0, |checking| checking.check.compared());
    }
    match failed {
        0 => format!("PASS: {compared} replies in {files} files as recorded\n"),
        _ => format!("FAIL: {failed} of {files} files differ\n"),
    }
}

/// Whether everything was sent, and all replies arrived as recorded.
fn passes(playing: &Playing) -> bool {
    let is_done = matches!(playing.end, Some(End::Done | End::Closed(CloseReason::ByPeer)));
    let is_same = |check: &Check| check.is_over() && check.entries().is_empty() && check.compared() > 0;
    is_done && playing.pass.is_complete && playing.checking().is_some_and(|checking| is_same(&checking.check))
}

/// The JUnit report: a suite for each file that was checked.
pub(super) fn junit_report<'a>(checks: &[(&'a str, &'a Checking)]) -> String {
    let suite = |&(file, checking): &(&'a str, &'a Checking)| JunitSuite {
        file,
        began: checking.began.0.duration_since(UNIX_EPOCH).unwrap_or_default(),
        took: checking.took,
        replies: checking.replies.clone(),
        entries: checking.check.entries(),
        reached: checking.check.reached(),
    };
    junit(&checks.iter().map(suite).collect::<Vec<_>>())
}
