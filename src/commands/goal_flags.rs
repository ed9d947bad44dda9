//! `-e`, `-n` and `-W`: what a run waits for and how long, as `send` and `listen` are told (design.md, section 9).

use std::time::Duration;

use crate::cli::{Flag, number, text};
use crate::commands::goals::Goals;
use crate::exit::Failure;
use crate::framing::Wire;
use crate::time;

use super::shared::patterns_on;

/// What a run waits for, as given.
#[derive(Clone, Debug, Default)]
pub struct GoalOptions {
    /// `-e`.
    pub expected: Vec<String>,
    /// `-n`.
    pub count: Option<u64>,
    /// `-W`; zero is for ever.
    pub timeout: Option<Duration>,
    /// `--idle`.
    pub idle: Option<Duration>,
}

impl GoalOptions {
    /// The goals, as far as these flags set them.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a pattern that is none, and for a count of 0.
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

    /// Whether these flags set any goal.
    pub fn are_any(&self) -> bool {
        !self.expected.is_empty() || self.count.is_some()
    }

    /// How long the run may take: `otherwise` unless `-W` says so; `None` for ever.
    pub fn time(&self, otherwise: Option<Duration>) -> Option<Duration> {
        self.timeout.or(otherwise).filter(|time| !time.is_zero())
    }
}

impl<T: AsMut<GoalOptions> + 'static> Flag<T> {
    /// `-e`.
    pub const EXPECT: Flag<T> =
        Flag::value("expect", "PATTERN", "End when a message matches, print those that do", |o: &mut T, value| {
            o.as_mut().expected.push(text(value)?);
            Ok(())
        })
        .short('e')
        .more(
            "Each of several has to be met by some message. A *PATTERN* is a line of BCP whose command, names and \
             plain values may hold `*`; the page of `backbox decode` has all of it.",
        )
        .repeats()
        .group("Goals")
        .common();
    /// `-n`.
    pub const COUNT: Flag<T> = Flag::value("count", "N", "End when *N* messages are printed", |o: &mut T, value| {
        o.as_mut().count = Some(number(&value)?);
        Ok(())
    })
    .short('n')
    .group("Goals")
    .common();
    /// `-W`.
    pub const TIMEOUT: Flag<T> = Flag::value("timeout", "DURATION", "Stay at most so long", |o: &mut T, value| {
        o.as_mut().timeout = Some(time::parse_duration(&text(value)?)?);
        Ok(())
    })
    .short('W')
    .more(
        "With something to wait for, the exit status is 124 when it has not come by then; without, this is how \
             long to stay and print. `0` is for ever.",
    )
    .group("Goals")
    .common();
    /// `--idle`.
    pub const IDLE: Flag<T> =
        Flag::value("idle", "DURATION", "End when nothing has arrived for DURATION", |o: &mut T, value| {
            o.as_mut().idle = Some(time::parse_duration(&text(value)?)?);
            Ok(())
        })
        .more("The exit status is 0, or 124 with a goal unmet.")
        .group("Goals");
}
