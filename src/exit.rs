//! How a run ends: the exit statuses, their order of gravity, and the errors that lead to them.
//!
//! Everything that can go wrong is turned into an exit status here and nowhere else (design.md, section 8).

use std::fmt;
use std::io;

/// The exit status of a run (design.md, section 8). The man pages and the tests read this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done: the goal was met, or there was none and the stream ended.
    Done,
    /// No: a line was malformed or refused, or the peer left before a goal was met.
    No,
    /// Wrong flags or arguments; nothing was sent.
    Usage,
    /// Input or output: cannot open, bind or connect, or the output cannot be written.
    Io,
    /// The peer's answer failed, its framing broke, or it refused the protocol version.
    Peer,
    /// The time given with `-W` passed with a goal unmet.
    Time,
    /// Ended by this signal.
    Signal(u8),
}

impl Exit {
    /// Every status but the signals, with the meaning that the man pages print.
    pub const MEANINGS: [(Exit, &'static str); 6] = [
        (Exit::Done, "done: the goal was met, or no goal was set and the stream ended"),
        (Exit::No, "a line was malformed or refused, a check differed, or the peer left before a goal was met"),
        (Exit::Usage, "wrong flags or arguments; nothing was sent"),
        (
            Exit::Io,
            "cannot open, bind or connect; the peer left before our last message was written; output not writable",
        ),
        (Exit::Peer, "an answer failed, the peer broke the framing, or it refused the protocol version"),
        (Exit::Time, "the time given with -W passed with a goal unmet"),
    ];

    /// The number that the process ends with; a signal is 128 and its number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Peer => 4,
            Exit::Time => 124,
            Exit::Signal(number) => 128u8.saturating_add(number),
        }
    }

    /// The graver of two statuses: a signal, the time, usage, then 3, 4, 1, 0 (design.md, section 8: "one rule
    /// decides").
    #[must_use]
    pub fn worse(self, other: Exit) -> Exit {
        if self.gravity() >= other.gravity() { self } else { other }
    }

    fn gravity(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Peer => 2,
            Exit::Io => 3,
            Exit::Usage => 4,
            Exit::Time => 5,
            Exit::Signal(_) => 6,
        }
    }
}

/// An error that ends a run. Its text says what was being done, to what, and what to do next.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// Something was refused before anything went out: an input over a limit, a guard's refusal of an argument.
    Refused(String),
    /// An input cannot be read on: its place, `FILE:LINE`, which begins the message, and the reason.
    Malformed(String, String),
    /// A file, stream or socket failed; the text names it, what was done and why it failed.
    Io(String),
    /// Whoever reads our standard output has gone; nobody is left to tell.
    ReaderGone,
    /// The peer broke the protocol or refused us.
    Peer(String),
    /// A time limit passed.
    Time(String),
    /// A signal ended the run before there was anybody to take leave of.
    Stopped(u8),
}

impl Failure {
    /// What `doing` (such as `cannot read game.bcp`) met, as an I/O failure.
    pub fn io(doing: impl fmt::Display, error: &io::Error) -> Failure {
        Failure::Io(format!("{doing}: {}", plain_words(error)))
    }

    /// A failure to write our standard output; a closed reader is no error of ours (design.md, section 8).
    pub fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::io("cannot write to standard output", error),
        }
    }

    /// The one place where errors become exit statuses.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Refused(_) | Failure::Malformed(..) => Exit::No,
            Failure::Io(_) => Exit::Io,
            Failure::ReaderGone => Exit::Done,
            Failure::Peer(_) => Exit::Peer,
            Failure::Time(_) => Exit::Time,
            Failure::Stopped(signal) => Exit::Signal(*signal),
        }
    }

    /// What to tell the user; nothing for [`Failure::ReaderGone`] and [`Failure::Stopped`].
    pub fn message(&self) -> Option<&str> {
        match self {
            Failure::Usage(text)
            | Failure::Refused(text)
            | Failure::Malformed(_, text)
            | Failure::Io(text)
            | Failure::Peer(text)
            | Failure::Time(text) => Some(text),
            Failure::ReaderGone | Failure::Stopped(_) => None,
        }
    }

    /// What the message begins with: the place that is wrong, where an editor looks for it, else `who` says so.
    pub fn place<'a>(&'a self, who: &'a str) -> &'a str {
        match self {
            Failure::Malformed(place, _) => place,
            _ => who,
        }
    }
}

/// An I/O error as a person would say it, without `(os error 13)`.
pub fn plain_words(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => format!("{:?}", error.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_status_wins_in_the_order_3_4_1() {
        assert_eq!(Exit::No.worse(Exit::Peer), Exit::Peer);
        assert_eq!(Exit::Io.worse(Exit::Peer), Exit::Io);
        assert_eq!(Exit::Done.worse(Exit::No), Exit::No);
        assert_eq!(Exit::Io.worse(Exit::Signal(2)).code(), 130);
    }

    #[test]
    fn a_closed_reader_is_no_failure_and_a_full_disk_is() {
        assert_eq!(Failure::output(&io::ErrorKind::BrokenPipe.into()).exit(), Exit::Done);
        let full = Failure::output(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Io);
        assert!(full.message().unwrap().starts_with("cannot write to standard output: "));
    }
}
