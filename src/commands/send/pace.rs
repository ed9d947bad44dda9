//! `--every`: one clock, anchored at the first message, so that lateness never adds up (design.md, section 9).

use std::time::{Duration, Instant};

/// When the next message may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    every: Option<Duration>,
    due: Option<Instant>,
}

impl Pace {
    /// One message in each `every`; as they come without it, or when it is no time at all.
    pub fn new(every: Option<Duration>) -> Pace {
        Pace { every: every.filter(|every| !every.is_zero()), due: None }
    }

    /// Whether there is a pace to keep.
    pub fn is_set(&self) -> bool {
        self.every.is_some()
    }

    /// When to come again, if it is too early for the next message.
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        self.due.filter(|&due| now < due)
    }

    /// A message has gone at `now`.
    pub fn gone(&mut self, now: Instant) {
        if let Some(every) = self.every {
            let due = self.due.unwrap_or(now);
            // A point in time that the clock does not know is a year away, and for whoever waits that is for ever.
            let year = Duration::from_secs(365 * 24 * 3600);
            self.due = Some(due.checked_add(every).unwrap_or(due + year));
        }
    }

    /// There is nothing to send at `now`: what was due before is not made up for in a burst.
    pub fn idle(&mut self, now: Instant) {
        let Some((every, due)) = self.every.zip(self.due) else { return };
        let late = now.saturating_duration_since(due).as_nanos();
        let passed = late - late.checked_rem(every.as_nanos()).unwrap_or_default();
        self.due = due.checked_add(Duration::from_nanos(u64::try_from(passed).unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn lateness_is_made_up_for_and_idleness_is_not() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(10 * MS));
        assert_eq!(pace.wait(start), None);
        pace.gone(start);
        assert_eq!(pace.wait(start), Some(start + 10 * MS));
        pace.gone(start + 13 * MS);
        assert_eq!(pace.wait(start + 13 * MS), Some(start + 20 * MS));
        pace.idle(start + 57 * MS);
        assert_eq!(pace.wait(start + 57 * MS), None);
        pace.gone(start + 58 * MS);
        assert_eq!(pace.wait(start + 58 * MS), Some(start + 60 * MS));
    }

    #[test]
    fn no_pace_never_waits() {
        for every in [None, Some(Duration::ZERO)] {
            let mut pace = Pace::new(every);
            pace.gone(Instant::now());
            pace.idle(Instant::now());
            assert!(!pace.is_set() && pace.wait(Instant::now()).is_none());
        }
    }
}
