//! The session file that `--update` changes: looked at before anybody is dialled, written anew at the end, whatever its
//! size, or left as it stands.

use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::recording::count;
use crate::bcp::Side;
use crate::check::{Entry, EntryKind, edits};
use crate::commands::result_file::{replace, try_beside};
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::session::apply;

/// What `--update` says of a file that is no session.
pub fn no_session(name: &str) -> Failure {
    let why = "--update changes a session file, and this is none: replay --dry-run makes one of it";
    Failure::Refused(format!("{name}: {why}"))
}

/// What a file that somebody else writes to does not keep: its length, and when it was written, where the system knows.
type State = (u64, Option<SystemTime>);

fn state(found: &Metadata) -> State {
    (found.len(), found.modified().ok())
}

/// A session file that is to say what came.
#[derive(Debug)]
pub struct Outdated {
    /// The file itself: a link to it stays one.
    path: PathBuf,
    name: String,
    answering: Side,
    state: State,
}

impl Outdated {
    /// Makes sure that the file can be replaced, and remembers how it stands. Complaints call it `name`; those of
    /// the `answering` side are answers.
    ///
    /// # Errors
    /// [`Failure::Io`] for a folder in which no file can be made, and the like.
    pub fn new(path: &Path, name: &str, answering: Side) -> Result<Outdated, Failure> {
        let found = || {
            let path = fs::canonicalize(path)?;
            try_beside(&path)?;
            let state = state(&fs::metadata(&path)?);
            Ok((path, state))
        };
        let (path, state) = found().map_err(|error| Failure::io(format_args!("cannot update {name}"), &error))?;
        Ok(Outdated { path, name: name.to_owned(), answering, state })
    }

    /// Writes what came in the place of what differs, once the check is over; how `--update` ends.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is not the one that was checked any more; it is left as it is.
    pub fn update(&self, entries: &[Entry], is_over: bool, console: &mut Console) -> Result<Exit, Failure> {
        let name = &self.name;
        if !is_over || entries.iter().any(|entry| matches!(entry.kind, EntryKind::Gone(..))) {
            console.report(Exit::Failed, name, "left as it is, since the check did not come to its end");
            return Ok(Exit::Failed);
        }
        let edits = edits(entries, self.answering);
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

    /// Writes the file anew with these changes, whatever its size.
    fn write(&self, edits: &[(Range<u64>, Vec<u8>)]) -> Result<(), Failure> {
        let doing = format!("cannot update {}, which is left as it is", self.name);
        let cannot = |error: io::Error| Failure::io(&doing, &error);
        let file = File::open(&self.path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        if state(&found) != self.state {
            return Err(Failure::Io(format!("{doing}: somebody else has changed it since the check began")));
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
