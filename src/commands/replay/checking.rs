//! The check of one file: what must be known before it begins, what it came to, and the update of the file.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::compares;
use super::source::Recording;
use crate::bcp::Malformed;
use crate::check::{Check, CheckConfig, EntryKind, RULES, edits, summary};
use crate::cli::Given;
use crate::commands::result_file::UpdatedFile;
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::session::{Kind, Listed, Settings};
use crate::text::{count, shown};

/// The check of a file, while it is played and after it.
pub(super) struct Checking {
    pub check: Check,
    /// Whether replies are compared.
    pub is_compared: bool,
    /// The file of `--update`.
    update: Option<UpdatedFile>,
    is_updated: bool,
    pub began: SystemTime,
    /// The replies that are compared, for JUnit: the number of each line, and the line.
    pub replies: Vec<(u64, String)>,
}

impl Checking {
    /// Reads the replies of the recording, which then stands at its start.
    ///
    /// # Errors
    /// An option, setting or reply that is not a pattern; a file that cannot be updated.
    pub(super) fn prepare(
        given: &Given,
        mut config: CheckConfig,
        path: &Path,
        recording: &mut Recording,
    ) -> Result<Checking, Failure> {
        let (name, is_compared) = (recording.file.name.clone(), compares(given));
        let wrong = |number, why: String| Failure::Malformed(format!("{name}:{number}"), why);
        let Settings { ignore, exclude, any_order, exact, .. } = &recording.settings;
        for (rule, listed) in RULES.into_iter().zip([ignore, exclude, any_order]) {
            for Listed { number, text } in listed {
                let wrong = |why| wrong(*number, format!("setting {rule}: {why}"));
                let text = std::str::from_utf8(text).map_err(|_| wrong("not UTF-8".to_owned()))?;
                config.rules.add(rule, text).map_err(wrong)?;
            }
        }
        config.exact |= is_compared && *exact;
        let mut replies = Vec::new();
        while let Some(record) = recording.read()? {
            if record.side == recording.choice.side {
                continue;
            }
            let wrong = |why: Malformed| wrong(record.number, why.to_string());
            config.last_goodbye = config.rules.last_goodbye(config.last_goodbye, &record).map_err(wrong)?;
            if given.has("junit") && config.rules.recorded(&record, Duration::ZERO).map_err(wrong)?.is_some() {
                replies.push((record.number, shown(&record.line)));
            }
        }
        recording.rewind()?;
        replies.retain(|(number, _)| Some(*number) != config.last_goodbye);
        let updates = given.has("update");
        if updates && recording.reader.kind() != Kind::Session {
            let why = "--update changes a session file, and this is none; replay --dry-run converts it";
            return Err(Failure::Refused(format!("{name}: {why}")));
        }
        let update = updates.then(|| UpdatedFile::find(path)).transpose();
        let update = update.map_err(|error| Failure::io(format_args!("cannot update {name}"), &error))?;
        let (check, began) = (Check::new(config), SystemTime::now());
        Ok(Checking { check, is_compared, update, is_updated: false, began, replies })
    }

    pub(super) fn differences(&self) -> u64 {
        self.check.entries.len() as u64
    }

    /// The differences as text.
    pub(super) fn report(&self, name: &str, is_colored: bool) -> String {
        self.check.entries.iter().map(|entry| entry.report(name, is_colored)).collect()
    }

    /// Whether it is more than a check that was interrupted without a difference.
    pub(super) fn has_result(&self) -> bool {
        self.check.is_over || self.differences() > 0
    }

    /// `PASS: 14 replies as recorded`, `FAIL: 3 of 14 replies differ`, or the same with `UPDATED`.
    pub(super) fn result(&self) -> String {
        let result = summary(&self.check.entries, self.check.compared);
        if self.is_updated { result.replacen("FAIL", "UPDATED", 1) } else { result }
    }

    /// Updates the file; the exit status of the check.
    ///
    /// # Errors
    /// The file cannot be updated.
    pub(super) fn conclude(&mut self, recording: &Recording, console: &mut Console) -> Result<Exit, Failure> {
        let (entries, name) = (&self.check.entries, &recording.file.name);
        if self.check.is_over && self.check.compared == 0 {
            console.report(Exit::Failed, name, "no replies to compare");
        }
        let Some(file) = self.update.as_ref().filter(|_| !entries.is_empty() || !self.check.is_over) else {
            return Ok(if entries.is_empty() { Exit::Success } else { Exit::Failed });
        };
        if !self.check.is_over || entries.iter().any(|entry| matches!(entry.kind, EntryKind::Gone(..))) {
            console.report(Exit::Failed, name, "left as it is, because the check did not reach its end");
            return Ok(Exit::Failed);
        }
        let edits = edits(entries, recording.choice.side.other());
        if !edits.is_empty() {
            file.write(name, &edits)?;
        }
        let patterns = entries.iter().filter(|entry| entry.is_pattern()).count() as u64;
        if patterns > 0 {
            let updated = count(self.differences() - patterns, "other difference");
            let patterns = count(patterns, "pattern");
            let why = format!("{patterns} not met, which --update never changes; {updated} updated");
            console.report(Exit::Failed, name, why);
            return Ok(Exit::Failed);
        }
        self.is_updated = !edits.is_empty() && self.check.compared > 0;
        Ok(Exit::Success)
    }
}
