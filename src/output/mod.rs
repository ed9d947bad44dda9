//! What you see: results on standard output, everything else on standard error.
//!
//! The worst thing that was reported decides the exit status, so [`Console`] keeps it.

pub mod progress;
pub mod show;
pub(crate) mod table;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

pub use progress::Progress;

use crate::exit::{Exit, Failure};
use crate::limits::READ_BYTES;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// When to color (`--color`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always; messages are printed as on a terminal.
    Always,
    Never,
}

impl Color {
    /// Whether to color what goes to a stream that is or is not a terminal.
    pub fn is_on(self, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Whether what goes to a stream that is or is not a terminal is made for a person, with colors or not.
    pub fn is_for_a_person(self, terminal: bool) -> bool {
        terminal || self == Color::Always
    }
}

/// Whether standard error is colored, once a [`Console`] knows what `--color` says: there is one standard error.
static COLORED: AtomicBool = AtomicBool::new(false);

/// Standard error, and the worst status that it had to report.
#[derive(Debug)]
pub struct Console {
    subcommand: &'static str,
    quiet: bool,
    worst: Exit,
}

impl Console {
    /// The console of a subcommand; `quiet` silences notes and warnings, never errors.
    pub fn new(subcommand: &'static str, quiet: bool, color: Color) -> Console {
        color_errors(color);
        Console { subcommand, quiet, worst: Exit::Success }
    }

    /// Prints something that is no error.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(&format!("{text}\n"));
        }
    }

    /// Prints something that is no error and may be one; yellow on a terminal.
    pub fn warn(&self, text: impl Display) {
        if !self.quiet {
            say(&colored(YELLOW, &text.to_string()));
        }
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Reports an error with its place, `FILE:LINE`; the exit status is at least `exit`.
    pub fn report(&mut self, exit: Exit, place: impl Display, reason: impl Display) {
        self.worst = self.worst.max(exit);
        print_error(place, reason);
    }

    /// The exit status is at least `exit`, for a reason that has been reported.
    pub fn worsen(&mut self, exit: Exit) {
        self.worst = self.worst.max(exit);
    }

    /// Reports a failure that does not end the run; the exit status is at least that of the failure.
    pub fn report_failure(&mut self, failure: &Failure) {
        if let Some(text) = failure.message() {
            let name = format!("backbox {}", self.subcommand);
            self.report(failure.exit(), failure.place(&name), text);
        }
    }

    /// A status line that is redrawn; not if notes are silenced, or without a terminal.
    pub fn progress(&self) -> Progress {
        Progress::new(!self.quiet)
    }

    /// The worst status so far.
    pub fn worst(&self) -> Exit {
        self.worst
    }
}

/// Colors errors and warnings as `--color` says.
pub fn color_errors(color: Color) {
    COLORED.store(color.is_on(io::stderr().is_terminal()), Ordering::Relaxed);
}

/// Prints an error, red on a terminal. Every error is printed here.
pub fn print_error(place: impl Display, reason: impl Display) {
    say(&colored(RED, &format!("{place}: {reason}")));
}

/// The text as lines, the first of them colored.
fn colored(color: &str, text: &str) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = if COLORED.load(Ordering::Relaxed) { format!("{color}{first}{RESET}\n") } else { format!("{first}\n") };
    if rest.is_empty() { line } else { format!("{line}{}\n", rest.trim_end_matches('\n')) }
}

/// Writes to standard error in one piece, in the place of the status line. If that fails, there is no way to tell.
pub fn say(text: &str) {
    progress::erase();
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Standard output of a filter: what was appended since the last read is written at once, in one piece.
#[derive(Debug, Default)]
pub struct Stdout {
    bytes: Vec<u8>,
    failed: bool,
}

impl Stdout {
    /// Whether writing failed; then nothing more can be printed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Where results are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes everything appended so far. It is called after each read: one line in, one line out.
    ///
    /// # Errors
    /// [`Failure::OutputClosed`] if the reader has closed its end, [`Failure::Io`] for a full disk and the like.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.bytes).and_then(|()| stdout.flush());
        self.bytes.clear();
        // One huge message must not keep its memory.
        self.bytes.shrink_to(8 * READ_BYTES);
        self.failed = written.is_err();
        written.map_err(|error| Failure::output(&error))
    }
}

/// Whether standard output is a terminal: then text from elsewhere is shown with its control characters escaped.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How many columns the terminal at standard output has, if it is one.
pub(crate) fn stdout_columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
}

/// Appends foreign text for a terminal: control characters (C1 too) escaped, bytes that are not UTF-8 as `\xFF`.
pub fn push_for_terminal(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(crate::text::safe(text).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_reported_status_is_kept() {
        let mut console = Console::new("test", true, Color::Never);
        console.report(Exit::Io, "test", "expected by this test");
        console.report(Exit::Failed, "test", "expected by this test");
        assert_eq!(console.worst(), Exit::Io);
    }

    #[test]
    fn first_line_of_an_error_is_colored() {
        COLORED.store(true, Ordering::Relaxed);
        assert_eq!(colored(RED, "a: b\n\nusage\n"), "\x1b[31ma: b\x1b[0m\n\nusage\n");
        COLORED.store(false, Ordering::Relaxed);
        assert_eq!(colored(RED, "a: b\nc"), "a: b\nc\n");
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
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
