//! What the guard thinks of the lines that are about to be played: said before anybody is dialled, once for each kind
//! (design.md, sections 11 and 13). A recording is played as it stands all the same.

use std::path::Path;

use crate::catalogue::{self, Refusal};
use crate::exit::Exit;
use crate::output::Console;
use crate::session::Record;
use crate::text::file_name;

/// The first line of each kind that MPF would not survive, or not see, and how many there are.
#[derive(Debug, Default)]
pub struct Warnings {
    kinds: Vec<(Refusal, u64, u64)>,
}

impl Warnings {
    /// Looks at one line that will be sent.
    pub fn judge(&mut self, record: &Record) {
        let Err(refusal) = catalogue::check_line(&record.line, record.payload.as_deref()) else { return };
        let kind = |(known, ..): &&mut (Refusal, u64, u64)| known.rule == refusal.rule && known.harm == refusal.harm;
        match self.kinds.iter_mut().find(kind) {
            Some((.., count)) => *count = count.saturating_add(1),
            None => self.kinds.push((refusal, record.number, 1)),
        }
    }

    /// Says what was found; it changes no exit status.
    pub fn tell(self, file: &Path, console: &mut Console) {
        let file = file_name(file);
        for (refusal, number, count) in self.kinds {
            let more = match count {
                1 => String::new(),
                count => format!(", and {} more of this kind", count - 1),
            };
            console.report(
                Exit::Success,
                format_args!("{file}:{number}"),
                format_args!("{refusal} (sent all the same{more})"),
            );
        }
    }
}
