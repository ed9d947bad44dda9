//! One line on a terminal's standard error that says how far a long run has come, redrawn in its place and gone at the
//! end (design.md, section 8).

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a run takes before it is called long.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is redrawn.
const EVERY: Duration = Duration::from_millis(200);

/// To the line's begin, and empty it.
pub const ERASE: &str = "\r\x1b[K";

/// Whether a line stands on the terminal. There is one standard error, so there is one of this.
static STANDS: AtomicBool = AtomicBool::new(false);

/// Draws the line, or does not.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    /// When to draw it again, once it is known when the run began.
    next: Option<Instant>,
}

impl Progress {
    pub(super) fn new(wanted: bool) -> Progress {
        let knows_how = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Progress { shown: wanted && knows_how && io::stderr().is_terminal(), next: None }
    }

    /// Whether there is such a line, which what is printed on the same terminal has to erase with [`ERASE`].
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// When there is something to draw.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Draws the text when its time has come.
    pub fn draw(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if !self.shown {
            return;
        }
        match self.next {
            None => self.next = Some(now + PATIENCE),
            Some(next) if now < next => {}
            Some(_) => {
                self.next = Some(now + EVERY);
                STANDS.store(true, Ordering::Relaxed);
                let _ = io::stderr().write_all(line(&text()).as_bytes());
            }
        }
    }
}

/// The line as a terminal gets it: it ends at the right margin instead of going on in the next row.
fn line(text: &str) -> String {
    format!("\r\x1b[?7l{text}\x1b[?7h\x1b[K")
}

/// Empties the line, if one stands.
pub fn erase() {
    if STANDS.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().write_all(ERASE.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stays_one_row_and_nothing_of_a_longer_one_is_left() {
        assert_eq!(line("played 1 of 2"), "\r\x1b[?7lplayed 1 of 2\x1b[?7h\x1b[K");
    }

    #[test]
    fn a_short_run_has_none_and_a_pipe_never() {
        let mut progress = Progress { shown: true, next: None };
        let start = Instant::now();
        progress.draw(start, || panic!("too early"));
        assert_eq!(progress.next(), Some(start + PATIENCE));
        progress.draw(start + PATIENCE / 2, || panic!("too early"));
        let mut progress = Progress { shown: false, next: None };
        progress.draw(start, String::new);
        progress.draw(start + PATIENCE, || panic!("nobody sees it"));
        assert_eq!(progress.next(), None);
    }
}
