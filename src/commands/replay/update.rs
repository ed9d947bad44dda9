//! The session file that `--update` changes: checked before the connection is made, written at the end, whatever its
//! size, or left as it is.

use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::source::count;
use crate::bcp::Side;
use crate::check::{Entry, EntryKind, edits};
use crate::commands::result_file::{replace, try_beside};
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::session::apply;

/// The failure of `--update` with a file that is no session.
pub(super) fn no_session(name: &str) -> Failure {
    let why = "--update changes a session file, and this is none; replay --dry-run converts it";
    Failure::Refused(format!("{name}: {why}"))
}

/// What shows that another program has written to a file: its length, and when it was written, where the system knows.
type FileState = (u64, Option<SystemTime>);

fn file_state(found: &Metadata) -> FileState {
    (found.len(), found.modified().ok())
}

/// A session file whose recorded replies will be updated.
#[derive(Debug)]
pub(super) struct SessionUpdate {
    /// The file itself, so that a link to it stays one.
    path: PathBuf,
    name: String,
    their_side: Side,
    state: FileState,
}

impl SessionUpdate {
    /// Makes sure that the file can be replaced, and remembers its state. Messages call it `name`; `their_side` sent
    /// the replies.
    ///
    /// # Errors
    /// [`Failure::Io`] for a folder in which no file can be created, and the like.
    pub(super) fn new(path: &Path, name: &str, their_side: Side) -> Result<SessionUpdate, Failure> {
        let found = || {
            let path = fs::canonicalize(path)?;
            try_beside(&path)?;
            let state = file_state(&fs::metadata(&path)?);
            Ok((path, state))
        };
        let (path, state) = found().map_err(|error| Failure::io(format_args!("cannot update {name}"), &error))?;
        Ok(SessionUpdate { path, name: name.to_owned(), their_side, state })
    }

    /// Replaces the replies that differ, if the check is over. Patterns that were not met make the exit status 1.
    ///
    /// # Errors
    /// A file that cannot be read or written, or was changed since the check began; it is left as it is.
    pub(super) fn update(&self, entries: &[Entry], is_over: bool, console: &mut Console) -> Result<Exit, Failure> {
        let name = &self.name;
        if !is_over || entries.iter().any(|entry| matches!(entry.kind, EntryKind::Gone(..))) {
            console.report(Exit::Failed, name, "left as it is, because the check did not reach its end");
            return Ok(Exit::Failed);
        }
        let edits = edits(entries, self.their_side);
        let untouched = entries.iter().filter(|entry| entry.is_pattern()).count() as u64;
        if !edits.is_empty() {
            self.write(&edits)?;
        }
        let updated = count(entries.len() as u64 - untouched, "difference");
        console.note(format_args!("{name}: {updated} updated"));
        if untouched == 0 {
            return Ok(Exit::Success);
        }
        let patterns = count(untouched, "pattern");
        console.report(Exit::Failed, name, format_args!("{patterns} not met, which --update never changes"));
        Ok(Exit::Failed)
    }

    /// Writes the file again with these changes, whatever its size.
    fn write(&self, edits: &[(Range<u64>, Vec<u8>)]) -> Result<(), Failure> {
        let doing = format!("cannot update {}, which is left as it is", self.name);
        let cannot = |error: io::Error| Failure::io(&doing, &error);
        let file = File::open(&self.path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        if file_state(&found) != self.state {
            return Err(Failure::Io(format!("{doing}: another program has changed it since the check began")));
        }
        let spliced = replace(&self.path, |new| {
            new.set_permissions(found.permissions())?;
            apply(&file, edits, &mut *new)?;
            // A machine that fails leaves the old recording or the new one.
            new.sync_all()
        });
        spliced.map_err(cannot)
    }
}
