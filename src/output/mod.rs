//! What a person or a pipe gets to see: results on standard output, everything else on standard error.
//!
//! The worst thing that was said decides the exit status (design.md, section 8), so the console keeps it.

pub mod progress;
pub mod show;
#[allow(dead_code)] // Until listen, replay and decode print it.
pub(crate) mod table;

use std::fmt;
use std::io::{self, IsTerminal, Write};

pub use progress::Progress;

use crate::exit::{Exit, Failure};

/// When to colour (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always, and written for a person, as on a terminal.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to colour what goes to a stream that is or is not a terminal.
    pub fn is_on(self, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Whether what goes to a stream that is or is not a terminal is written for a person, colours or not.
    pub fn is_for_a_person(self, terminal: bool) -> bool {
        terminal || self == Color::Always
    }
}

/// Standard error, and the worst status that it had to report.
#[derive(Debug)]
pub struct Console {
    subcommand: &'static str,
    quiet: bool,
    colored: bool,
    worst: Exit,
}

impl Console {
    /// The console of a subcommand; `quiet` silences notes and summaries, never complaints.
    pub fn new(subcommand: &'static str, quiet: bool, color: Color) -> Console {
        Console { subcommand, quiet, colored: color.is_on(io::stderr().is_terminal()), worst: Exit::Done }
    }

    /// Says something that is no fault.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            say(&format!("{text}\n"));
        }
    }

    /// Whether notes are heard at all.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Reports a fault with its place, `FILE:LINE`; the run ends with `exit` at best.
    pub fn complain(&mut self, exit: Exit, place: impl fmt::Display, reason: impl fmt::Display) {
        self.worst = self.worst.worse(exit);
        if self.colored {
            say(&format!("\x1b[1m{place}:\x1b[0m {reason}\n"));
        } else {
            say(&format!("{place}: {reason}\n"));
        }
    }

    /// Reports a failure that the run survives; it ends with the failure's status at best.
    pub fn survive(&mut self, failure: &Failure) {
        if let Some(text) = failure.message() {
            let who = format!("backbox {}", self.subcommand);
            self.complain(failure.exit(), failure.place(&who), text);
        }
    }

    /// A line about how far the run has come, which is redrawn; nobody sees it who is quiet or no terminal.
    pub fn progress(&self) -> Progress {
        Progress::new(!self.quiet)
    }

    /// The worst status so far.
    pub fn worst(&self) -> Exit {
        self.worst
    }
}

/// Writes to standard error in one piece, in the place of a line of progress. Where even that fails nobody is left to
/// tell.
pub fn say(text: &str) {
    progress::erase();
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Standard output for a filter: what was appended since the last read is written at once, in one piece.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    failed: bool,
}

impl Output {
    /// Nothing to write yet.
    pub fn new() -> Output {
        Output::default()
    }

    /// Whether writing failed; then nothing more can be shown.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Where results are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes everything appended so far; called after each read, so that a filter serves as a coprocess.
    ///
    /// # Errors
    /// [`Failure::ReaderGone`] when the reader has closed, [`Failure::Io`] for a full disk and the like.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.bytes).and_then(|()| stdout.flush());
        self.bytes.clear();
        // One huge message must not keep its memory for ever.
        self.bytes.shrink_to(8 * crate::limits::READ_BYTES);
        self.failed = written.is_err();
        written.map_err(|error| Failure::output(&error))
    }
}

/// Whether standard output is a terminal: then text from elsewhere is shown with its control characters escaped.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Appends foreign text for a terminal: control characters (C1 too) escaped, bytes that are not UTF-8 as `\xFF`.
pub fn push_for_terminal(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let mut safe = String::with_capacity(chunk.valid().len());
        chunk.valid().chars().for_each(|c| crate::text::push_safe(&mut safe, c));
        out.extend_from_slice(safe.as_bytes());
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_complaint_is_kept() {
        let mut console = Console::new("test", true, Color::Never);
        console.complain(Exit::Io, "test", "expected by this test");
        console.complain(Exit::No, "test", "expected by this test");
        assert_eq!(console.worst(), Exit::Io);
    }

    #[test]
    fn a_terminal_is_never_at_risk() {
        let mut out = Vec::new();
        push_for_terminal("a\x1b[2J\u{9b}é\n".as_bytes(), &mut out);
        push_for_terminal(b"\xff", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\x1b[2J\\x9bé\\n\\xFF");
    }

    #[test]
    fn never_and_always_need_no_terminal() {
        assert!(Color::Always.is_on(false));
        assert!(!Color::Never.is_on(true));
        assert!(!Color::Auto.is_on(false));
    }
}
