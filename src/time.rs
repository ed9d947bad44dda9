//! Durations as you type them (`250ms`, `1.5s`, `2m`; a bare number is seconds), and the one calendar.

use std::time::Duration;

use crate::text::shown;

/// Parses a duration: digits, optionally a point and more digits, and a unit (`ms`, `s` or none, `m`).
///
/// # Errors
/// A phrase that quotes the text and lists the forms.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration \"{}\"; write 250ms, 1.5s, 2m, or seconds", shown(text.as_bytes()));
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err(invalid()),
    };
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return Err(invalid());
    }
    // Two points are not a number, and a number may be too large for a duration.
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(number * unit_seconds).map_err(|_| invalid())
}

/// The number of a day of the Gregorian calendar, 1970-01-01 being 0; `None` when there is no such day.
pub fn day_number(year: u32, month: u32, day: u32) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + u32::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = lengths.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    if day == 0 || day > *lengths.get(before.len())? {
        return None;
    }
    let leap_days = year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400);
    Some(i64::from(year) * 365 + i64::from(leap_days + before.iter().sum::<u32>() + day) - 719_529)
}

/// A time since 1970 in UTC, as `2026-11-21T13:34:30`. Nothing lies beyond the year 9999.
pub fn timestamp(since: Duration) -> String {
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = since.as_secs().min(LAST_SECOND);
    let is_at_most = |year, month, day| day_number(year, month, day) <= i64::try_from(seconds / 86_400).ok();
    // A year has at least 365 days and 366 at most.
    let year = 1970 + u32::try_from(seconds / (366 * 86_400)).unwrap_or_default();
    let year = (year..).take_while(|&year| is_at_most(year, 1, 1)).last().unwrap_or(1970);
    let month = (1..=12).rev().find(|&month| is_at_most(year, month, 1)).unwrap_or(1);
    let day = (1..=31).rev().find(|&day| day_number(year, month, day).is_some() && is_at_most(year, month, day));
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{:02}T{hours:02}:{minutes:02}:{:02}", day.unwrap_or(1), seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, milliseconds) in
            [("0", 0), ("10", 10_000), ("0.25", 250), ("250ms", 250), ("1.5s", 1500), ("2m", 120_000), ("0.5m", 30_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_invalid_and_shows_the_forms() {
        let long = "9".repeat(400);
        for text in ["", "s", "-1", "+1", "1h", "1 s", ".5", "1.", "1..2", "1.2.3s", "1e3", "inf", "é", "1é", &long] {
            let why = parse_duration(text).unwrap_err();
            assert!(why.contains("250ms, 1.5s, 2m"), "{text}: {why}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let day = |year, month, day| day_number(year, month, day);
        assert_eq!(day(1970, 1, 1), Some(0));
        assert_eq!(day(2028, 3, 1).unwrap() - day(2028, 2, 28).unwrap(), 2);
        assert_eq!(day(2000, 1, 1).unwrap() - day(1900, 1, 1).unwrap(), 36_524);
        assert_eq!(day(2026, 11, 20), Some(20_777));
        for (year, month, none) in
            [(2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (2026, 2, 29), (2100, 2, 29), (2026, 4, 31)]
        {
            assert_eq!(day(year, month, none), None, "{year}-{month}-{none}");
        }
    }

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_795_267_800, "2026-11-21T13:30:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (u64::MAX, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), expected);
        }
    }
}
