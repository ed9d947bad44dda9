//! The session file that `--update` changes: looked at before anybody is dialled, written anew at the end, whatever its
//! size, or left as it stands (design.md, section 11).

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::check::{Edits, Splice};
use crate::commands::result_file::{replace, try_beside};
use crate::failure::Failure;
use crate::framing::Framing;
use crate::session::Spans;

/// A session file that will be changed.
#[derive(Debug)]
pub struct Update {
    /// A link stays one: what it leads to is replaced.
    path: PathBuf,
    doing: String,
    state: State,
}

/// What a file that somebody writes to does not keep: its length, and when it was written, where the system knows.
type State = (u64, Option<SystemTime>);

fn state(found: &Metadata) -> State {
    (found.len(), found.modified().ok())
}

impl Update {
    /// Makes sure that the file can be replaced, and remembers how it stands; complaints call it `name`.
    ///
    /// # Errors
    /// [`Failure::Io`] for a folder in which no file can be made, and the like.
    pub fn new(path: &Path, name: &str) -> Result<Update, Failure> {
        let doing = format!("cannot update {name}");
        let found = || {
            let path = fs::canonicalize(path)?;
            try_beside(&path)?;
            let state = state(&fs::metadata(&path)?);
            Ok((path, state))
        };
        let (path, state) = found().map_err(|error| Failure::io(&doing, &error))?;
        Ok(Update { path, doing, state })
    }

    /// Writes the file anew with these changes.
    ///
    /// # Errors
    /// [`Failure::Io`] for a full disk and the like, and for a file that is not the one that was checked any more; it
    /// then stands as it was.
    pub fn write(&self, framing: Framing, edits: &mut Edits) -> Result<(), Failure> {
        let cannot = |error: io::Error| Failure::io(format_args!("{}, which is left as it is", self.doing), &error);
        let mut file = File::open(&self.path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        if state(&found) != self.state {
            let why = "somebody else has changed it since the check began";
            return Err(Failure::Io(format!("{}, which is left as it is: {why}", self.doing)));
        }
        let splices = splices(&mut file, framing, edits).map_err(cannot)?;
        let spliced = replace(&self.path, |new| {
            new.set_permissions(found.permissions())?;
            splice(&mut file, splices, new)?;
            // A machine that fails leaves the old recording or the new one.
            new.sync_all()
        });
        spliced.map_err(cannot)
    }
}

/// Where a file that stands at its start has to be changed.
fn splices(file: &mut File, framing: Framing, edits: &mut Edits) -> io::Result<Vec<Splice>> {
    let mut splices = Vec::new();
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
    Ok(splices)
}

/// Copies a file with these changes, which stand in its order.
fn splice(file: &mut File, splices: Vec<Splice>, new: &mut File) -> io::Result<()> {
    let mut at = file.seek(SeekFrom::Start(0))?;
    for (span, text) in splices {
        io::copy(&mut (&mut *file).take(span.start - at), new)?;
        new.write_all(&text)?;
        at = file.seek(SeekFrom::Start(span.end))?;
    }
    io::copy(file, new).map(drop)
}
