//! `-e`, `-n`, `-W` and `--idle`: what a run of `send` or `listen` waits for, and how long.

use std::time::Duration;

use crate::cli::{Flag, number, text};
use crate::commands::goals::Goals;
use crate::exit::Failure;
use crate::framing::Wire;
use crate::time;

use super::shared::patterns_on;

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct GoalOptions {
    /// `-e`.
    pub expected: Vec<String>,
    /// `-n`.
    pub count: Option<u64>,
    /// `-W`; zero is no limit.
    pub timeout: Option<Duration>,
    /// `--idle`.
    pub idle: Option<Duration>,
}

impl GoalOptions {
    /// The goals of these options.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an invalid pattern, and for a count of 0.
    pub fn goals(&self, wire: Wire) -> Result<Goals, Failure> {
        let mut goals = Goals::default();
        for (text, pattern) in self.expected.iter().zip(patterns_on(wire, "-e", &self.expected)?) {
            goals.expect(text, pattern);
        }
        match self.count {
            None => {}
            Some(0) => return Err(Failure::Usage("-n 0 waits for nothing: leave it out, or write 1 or more".into())),
            Some(count) => goals.count(count),
        }
        Ok(goals)
    }

    /// How long the run may take: `otherwise` unless `-W` says so; `None` is no limit.
    pub fn time(&self, otherwise: Option<Duration>) -> Option<Duration> {
        self.timeout.or(otherwise).filter(|time| !time.is_zero())
    }
}

impl<T: AsMut<GoalOptions> + 'static> Flag<T> {
    /// `-e`.
    pub const EXPECT: Flag<T> = Flag::value(
        "expect",
        "PATTERN",
        "Wait for a message that matches *PATTERN*, print matches",
        |o: &mut T, value| {
            o.as_mut().expected.push(text(value)?);
            Ok(())
        },
    )
    .short('e')
    .more(
        "Only the messages that match are printed. With several patterns, each must be matched. A *PATTERN* is a \
             BCP line whose command, names and plain values may hold `*`; see `backbox-decode`(1).",
    )
    .repeats()
    .group("Goals")
    .common();
    /// `-n`.
    pub const COUNT: Flag<T> = Flag::value("count", "N", "Exit after printing *N* messages", |o: &mut T, value| {
        o.as_mut().count = Some(number(&value)?);
        Ok(())
    })
    .short('n')
    .group("Goals")
    .common();
    /// `-W`.
    pub const TIMEOUT: Flag<T> = Flag::value("timeout", "DURATION", "Exit after *DURATION*", |o: &mut T, value| {
        o.as_mut().timeout = Some(time::parse_duration(&text(value)?)?);
        Ok(())
    })
    .short('W')
    .more(
        "With a goal, the exit status is 124 if the goal is not met by then. Without one, this is how long to stay and \
         print. `0` is no limit.",
    )
    .group("Goals")
    .common();
    /// `--idle`.
    pub const IDLE: Flag<T> =
        Flag::value("idle", "DURATION", "Exit when nothing has arrived for *DURATION*", |o: &mut T, value| {
            o.as_mut().idle = Some(time::parse_duration(&text(value)?)?);
            Ok(())
        })
        .more("With a goal that is not met by then, the exit status is 124.")
        .group("Goals");
}
