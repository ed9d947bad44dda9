//! The status line: one line on a terminal's standard error that is redrawn in place during a long run.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a run has taken when its status line appears: a short run needs none.
const DELAY: Duration = Duration::from_secs(1);

/// How often the line is redrawn.
const INTERVAL: Duration = Duration::from_millis(200);

/// Moves to the beginning of the line and clears it.
pub const ERASE: &str = "\r\x1b[K";

/// Whether the line is on the terminal now. There is one standard error, so there is one flag.
static IS_DRAWN: AtomicBool = AtomicBool::new(false);

/// Draws the status line, if it is wanted and there is a terminal that can.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    /// When to draw it again; `None` before the first call of [`Progress::draw`].
    next: Option<Instant>,
}

impl Progress {
    pub(super) fn new(wanted: bool) -> Progress {
        let is_able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Progress { shown: wanted && is_able && io::stderr().is_terminal(), next: None }
    }

    /// Whether there is a status line; what is printed on the same terminal has to begin with [`ERASE`] then.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// When there is something to draw.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Draws the text if it is due.
    pub fn draw(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if !self.shown {
            return;
        }
        match self.next {
            None => self.next = Some(now + DELAY),
            Some(next) if now < next => {}
            Some(_) => {
                self.next = Some(now + INTERVAL);
                IS_DRAWN.store(true, Ordering::Relaxed);
                let _ = io::stderr().write_all(line(&text()).as_bytes());
            }
        }
    }
}

/// The line for a terminal: it is cut at the right margin instead of wrapped.
fn line(text: &str) -> String {
    format!("\r\x1b[?7l{text}\x1b[?7h\x1b[K")
}

/// Clears the status line, if there is one.
pub fn erase() {
    if IS_DRAWN.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().write_all(ERASE.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_stays_one_row_and_clears_the_rest_of_a_longer_one() {
        assert_eq!(line("played 1 of 2"), "\r\x1b[?7lplayed 1 of 2\x1b[?7h\x1b[K");
    }

    #[test]
    fn short_run_or_pipe_has_no_status_line() {
        let mut progress = Progress { shown: true, next: None };
        let start = Instant::now();
        progress.draw(start, || panic!("too early"));
        assert_eq!(progress.next(), Some(start + DELAY));
        progress.draw(start + DELAY / 2, || panic!("too early"));
        let mut progress = Progress { shown: false, next: None };
        progress.draw(start, String::new);
        progress.draw(start + DELAY, || panic!("there is no line"));
        assert_eq!(progress.next(), None);
    }
}
