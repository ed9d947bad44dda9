//! The time of a log's lines, counted from its first message.

use std::time::Duration;

/// The milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// When a line was written, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    /// Year, month and day, if the log has them.
    pub(super) date: Option<[u32; 3]>,
    /// Hour, minute, second and millisecond.
    pub(super) time: [u32; 4],
    /// The milliseconds since the line before, in a log that has nothing else.
    pub(super) step: Option<u32>,
}

impl When {
    /// Days since some day, and milliseconds since midnight; `None` when there is no such date or time.
    fn point(&self) -> Option<(Option<i64>, i64)> {
        let day = match self.date {
            Some(date) => Some(day_number(date)?),
            None => None,
        };
        let [hour, minute, second, millisecond] = self.time;
        let exists = hour < 24 && minute < 60 && second < 60;
        exists.then_some((day, i64::from(((hour * 60 + minute) * 60 + second) * 1000 + millisecond)))
    }
}

/// The number of a day of the Gregorian calendar; `None` when it has no such day.
fn day_number([year, month, day]: [u32; 3]) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + u32::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if day == 0 || day > *lengths.get(month)? {
        return None;
    }
    let before: u32 = lengths.iter().take(month).sum();
    let leap_days = |years: u32| years.div_ceil(4) - years.div_ceil(100) + years.div_ceil(400);
    Some(i64::from(year * 365 + leap_days(year) + before + day))
}

/// Follows the times of a log, line by line.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The days that have begun, in a log that names none.
    midnights: i64,
    /// The last line's time of day.
    of_day: i64,
    /// The sum of all steps.
    steps: i64,
    /// When the first message was written.
    first: Option<i64>,
    /// The latest time of a message, counted from the first.
    latest: i64,
}

impl Clock {
    /// The time of a line on a scale of its own; `None` when it has none that exists. Every line is looked at, also one
    /// without a message: without a date, midnight can pass between any two. More than twelve hours back is midnight;
    /// any other step back is a clock that was set.
    pub(super) fn see(&mut self, when: &When) -> Option<i64> {
        if let Some(step) = when.step {
            self.steps += i64::from(step);
            return Some(self.steps);
        }
        let (day, of_day) = when.point()?;
        if day.is_none() {
            self.midnights += i64::from(self.of_day - of_day > DAY / 2);
            self.of_day = of_day;
        }
        Some(day.unwrap_or(self.midnights) * DAY + of_day)
    }

    /// The time of a message that was written then, counted from the first one and never going back.
    pub(super) fn message(&mut self, seen: i64) -> Duration {
        let elapsed = seen - *self.first.get_or_insert(seen);
        self.latest = self.latest.max(elapsed);
        Duration::from_millis(u64::try_from(self.latest).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: Option<[u32; 3]>, hour: u32, minute: u32) -> When {
        When { date, time: [hour, minute, 0, 5], step: None }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let day = |year, month, day| day_number([year, month, day]);
        assert_eq!(day(2028, 3, 1).unwrap() - day(2028, 2, 28).unwrap(), 2);
        assert_eq!(day(2027, 1, 1).unwrap() - day(2026, 12, 31).unwrap(), 1);
        assert_eq!(day(2001, 1, 1).unwrap() - day(2000, 1, 1).unwrap(), 366);
        assert_eq!(day(2000, 1, 1).unwrap() - day(1900, 1, 1).unwrap(), 36_524);
        assert_eq!(day(2026, 11, 20).unwrap() - day(1970, 1, 1).unwrap(), 20_777);
        for none in [[2026, 13, 1], [2026, 0, 1], [2026, 1, 0], [2026, 2, 29], [2100, 2, 29], [2026, 4, 31]] {
            assert_eq!(day_number(none), None, "{none:?}");
        }
        for time in [[24, 0, 0, 0], [0, 60, 0, 0], [0, 0, 60, 0]] {
            assert_eq!(Clock::default().see(&When { time, ..When::default() }), None);
        }
    }

    #[test]
    fn without_a_date_more_than_twelve_hours_back_is_midnight() {
        let mut clock = Clock::default();
        let mut minutes = |hour, minute| {
            let seen = clock.see(&at(None, hour, minute)).unwrap();
            clock.message(seen).as_secs() / 60
        };
        assert_eq!([minutes(23, 58), minutes(23, 59), minutes(0, 1), minutes(11, 0)], [0, 1, 3, 662]);
        // Eleven hours back: somebody has set the clock.
        assert_eq!([minutes(0, 0), minutes(11, 1), minutes(23, 0), minutes(1, 0)], [662, 663, 1382, 1502]);
    }

    #[test]
    fn with_a_date_nothing_is_guessed() {
        let mut clock = Clock::default();
        let mut minutes = |day, hour, minute| {
            let seen = clock.see(&at(Some([2026, 11, day]), hour, minute)).unwrap();
            clock.message(seen).as_secs() / 60
        };
        assert_eq!([minutes(20, 23, 58), minutes(20, 1, 0), minutes(21, 0, 1), minutes(23, 0, 1)], [0, 0, 3, 2883]);
    }

    #[test]
    fn steps_add_up_from_the_first_message() {
        let mut clock = Clock::default();
        let mut see = |step| clock.see(&When { step: Some(step), ..When::default() }).unwrap();
        let seen = [see(9), see(0), see(999)];
        assert_eq!(seen.map(|seen| clock.message(seen).as_millis()), [0, 0, 999]);
    }
}
