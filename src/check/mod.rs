//! `replay --check`: a recording compared with what a peer answers now (design.md, section 11).
//!
//! Pure: [`Check`] is told what the recording has, what came and when, and says when each line of ours leaves and when
//! it is over. It keeps one block and the differences, never the recording. The recorded answers between two lines of
//! ours are a *block*; a block that did not come as recorded is aligned with what did, and each answer left over is an
//! [`Entry`] of the report.

mod align;
mod block;
mod book;
mod compare;
mod engine;
mod fate;
mod junit;
mod report;
mod rules;
mod text;
mod update;

pub use compare::{Answer, Difference, Said};
pub use engine::Check;
pub use junit::{Failed, Junit, Suite, Verdict};
pub use report::{Came, Entry, Kind, Recorded, Way};
pub use rules::Rules;
pub use text::{Text, headline};
pub use update::{Edits, Splice};

use std::time::Duration;

use crate::bcp::Malformed;
use crate::session::Record;

/// How a recording is checked.
#[derive(Debug)]
pub struct Options {
    /// What is compared.
    pub rules: Rules,
    /// Whether a line that was not recorded is a difference.
    pub exact: bool,
    /// How long after it was due the last answer of a block is waited for.
    pub reply_timeout: Duration,
    /// Whether the first difference is the last thing that is looked for.
    pub fail_fast: bool,
    /// The place of the recording's last answer when it is a `goodbye`, see [`Outlook`].
    pub last_goodbye: Option<u64>,
    /// The place of its last answer, if that is known: what comes when nothing behind it is awaited is not kept.
    pub last_answer: Option<u64>,
}

/// What a check wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The next record of the recording: [`Check::ours`], [`Check::answer`] or [`Check::end`].
    Record,
    /// The line of ours that was read last leaves now; then [`Check::sent`].
    Send,
    /// Nothing before this time, unless something comes.
    Wait(Duration),
    /// It is over.
    Done,
}

/// What has to be known of a recording before it is checked: where its last answer stands, and whether that is a
/// `goodbye`, which is neither waited for nor compared. It is shown every answer of the recording.
#[derive(Debug, Default)]
pub struct Outlook {
    goodbye: Option<u64>,
    last: Option<u64>,
}

impl Outlook {
    /// The next answer of the recording.
    ///
    /// # Errors
    /// A `#~` line that is no pattern.
    pub fn see(&mut self, answer: &Record, rules: &mut Rules) -> Result<(), Malformed> {
        self.last = Some(answer.number);
        let is_pattern = answer.is_pattern;
        let is_goodbye = !is_pattern && compare::command(&answer.line) == "goodbye";
        // Nearly no answer has to be read here: only what stands behind a goodbye, and that.
        if !is_pattern && !is_goodbye && self.goodbye.is_none() {
            return Ok(());
        }
        if rules.recorded(answer, Duration::ZERO)?.is_some() {
            self.goodbye = is_goodbye.then_some(answer.number);
        }
        Ok(())
    }

    /// The place of the last answer, if it is a `goodbye`: for [`Options::last_goodbye`].
    pub fn last_goodbye(&self) -> Option<u64> {
        self.goodbye
    }

    /// The place of the last answer: for [`Options::last_answer`].
    pub fn last_answer(&self) -> Option<u64> {
        self.last
    }
}
