//! How a run ends: the exit statuses, which of two is worse, and the errors that lead to them.
//!
//! Everything that can go wrong is turned into an exit status here and nowhere else.

use std::fmt;
use std::io;

/// The exit status of a run, from the best to the worst: of two, the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// The goal was met, or there was none.
    Success,
    /// Input was malformed, refused or differed, or the peer left before a goal was met.
    Failed,
    /// A reply failed, or the peer broke the protocol, refused its version or is an HTTP server.
    Peer,
    /// Input or output: cannot open, bind or connect, or the output cannot be written.
    Io,
    /// The command line is wrong; nothing was sent.
    Usage,
    /// The time of `-W` passed with a goal unmet.
    Timeout,
    /// Ended by this signal.
    Signal(u8),
}

impl Exit {
    /// Every status but the signals, with the meaning that help and man pages print.
    pub const MEANINGS: [(Exit, &'static str); 6] = [
        (Exit::Success, "the goal was met, or no goal was set and the stream ended"),
        (Exit::Failed, "input was malformed, refused or differed, or the peer closed before a goal was met"),
        (Exit::Usage, "the command line is wrong; nothing was sent"),
        (Exit::Io, "cannot open, bind, connect or write, or the connection was lost before the last message left"),
        (Exit::Peer, "a reply failed, or the peer broke the protocol, refused its version or is an HTTP server"),
        (Exit::Timeout, "the time of -W or --idle passed with a goal unmet"),
    ];

    /// The number that the process ends with; a signal is 128 and its number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Peer => 4,
            Exit::Timeout => 124,
            Exit::Signal(number) => 128u8.saturating_add(number),
        }
    }
}

/// An error that ends a run. Its text says what was being done, to what, why it failed, and what to do next.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something was refused before anything was sent: an input over a limit, an argument by the guard.
    Refused(String),
    /// An input cannot be read any further: its place, `FILE:LINE`, which begins the message, and the reason.
    Malformed(String, String),
    /// A file, stream or socket failed.
    Io(String),
    /// The reader of our standard output has closed it; nothing is printed about it.
    OutputClosed,
    /// The peer broke the protocol or refused us.
    Peer(String),
    /// A time limit passed.
    Timeout(String),
}

impl Failure {
    /// What `doing` (such as `cannot read game.bcp`) failed with, as an I/O failure.
    pub fn io(doing: impl fmt::Display, error: &io::Error) -> Failure {
        Failure::Io(format!("{doing}: {}", plain_words(error)))
    }

    /// A failure to write our standard output; a closed reader is no error.
    pub fn output(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::io("cannot write to standard output", error),
        }
    }

    /// The one place where errors become exit statuses.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Refused(_) | Failure::Malformed(..) => Exit::Failed,
            Failure::Io(_) => Exit::Io,
            Failure::OutputClosed => Exit::Success,
            Failure::Peer(_) => Exit::Peer,
            Failure::Timeout(_) => Exit::Timeout,
        }
    }

    /// What to print; nothing for [`Failure::OutputClosed`].
    pub fn message(&self) -> Option<&str> {
        match self {
            Failure::Usage(text)
            | Failure::Refused(text)
            | Failure::Malformed(_, text)
            | Failure::Io(text)
            | Failure::Peer(text)
            | Failure::Timeout(text) => Some(text),
            Failure::OutputClosed => None,
        }
    }

    /// What the message begins with: the place of the error, which editors recognize, else `name`.
    pub fn place<'a>(&'a self, name: &'a str) -> &'a str {
        match self {
            Failure::Malformed(place, _) => place,
            _ => name,
        }
    }
}

/// An I/O error in lower case, without `(os error 13)`. The most frequent ones read the same on every system.
pub fn plain_words(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => "no such file or directory".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        _ => error.to_string(),
    };
    let plain = text.split(" (os error").next().unwrap_or(&text).trim_end_matches('.');
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
    fn worse_status_wins_in_the_order_3_4_1() {
        assert_eq!(Exit::Failed.max(Exit::Peer), Exit::Peer);
        assert_eq!(Exit::Io.max(Exit::Peer), Exit::Io);
        assert_eq!(Exit::Success.max(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Io.max(Exit::Signal(2)).code(), 130);
    }

    #[test]
    fn closed_reader_is_no_failure_and_a_full_disk_is() {
        assert_eq!(Failure::output(&io::ErrorKind::BrokenPipe.into()).exit(), Exit::Success);
        let full = Failure::output(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Io);
        assert!(full.message().unwrap().starts_with("cannot write to standard output: "));
    }
}
