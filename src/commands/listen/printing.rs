//! Standard output of `listen`: which messages are printed and when that is enough.
//!
//! It may block in a stdout that nobody reads; whoever calls it sees to it that this harms nobody.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bcp::Message;
use crate::bcp::template::{Origin, Side};
use crate::commands::goals::Goals;
use crate::exit::Failure;
use crate::framing::RawMessage;
use crate::limits::READ_BYTES;
use crate::net::wait::Output;
use crate::output::show::Show;

/// Who said a message, over which connection.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The number of the connection.
    pub connection: u64,
    /// The address of the peer.
    pub peer: &'a str,
    /// Which end it was.
    pub from: Side,
}

/// Prints messages until the goals are met.
#[derive(Debug)]
pub struct Printing {
    output: Arc<Output>,
    show: Show,
    /// What is waited for.
    pub goals: Goals,
    printed: Vec<u8>,
    /// One moment on both clocks: messages are stamped with the one that never jumps.
    moment: (Instant, Duration),
    /// What ended the printing, if something did.
    pub failure: Option<Failure>,
}

impl Printing {
    /// Prints on `output` what `show` lets through.
    pub fn new(output: Arc<Output>, show: Show, goals: Goals) -> Printing {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Printing { output, show, goals, printed: Vec::new(), moment: (Instant::now(), now), failure: None }
    }

    /// Prints a message, seen at `seen`; `parts` is `None` for a line that is no message. Whether the goals are now
    /// met.
    pub fn message(
        &mut self,
        message: &RawMessage<'_>,
        parts: Option<&Message>,
        speaker: Speaker<'_>,
        seen: Instant,
    ) -> bool {
        if self.is_done() {
            return true;
        }
        let Speaker { connection, peer, from } = speaker;
        let time = self.moment.1.saturating_add(seen.saturating_duration_since(self.moment.0));
        let origin = Origin { time: Some(time), connection: Some(connection), peer: Some(peer), from };
        if self.show.show(message, parts, Some(&origin), &mut self.printed) {
            self.goals.printed();
        }
        if let Some(parts) = parts.filter(|_| self.goals.are_set()) {
            self.goals.hear(parts, message.payload.map(<[u8]>::len), false);
        }
        if self.printed.len() >= READ_BYTES {
            self.flush();
        }
        self.is_done()
    }

    /// Whether nothing more is printed: the goals are met, or nobody reads.
    pub fn is_done(&self) -> bool {
        self.failure.is_some() || self.goals.are_met()
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        if self.failure.is_none() && !self.printed.is_empty() {
            self.failure = self.output.write_all(&self.printed).err().map(|error| Failure::output(&error));
        }
        self.printed.clear();
        // One huge message must not keep its memory for ever.
        self.printed.shrink_to(8 * READ_BYTES);
    }
}
