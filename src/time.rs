//! Durations as they are typed: `250ms`, `1.5s`, `2m`; a bare number is seconds (design.md, section 8).

use std::time::Duration;

use crate::text::shown;

/// Reads a duration. Digits, optionally a point and more digits, and a unit: `ms`, `s` (or none) or `m`.
///
/// # Errors
/// A sentence that shows the forms.
///
/// ```
/// use backbox::time::parse_duration;
/// use std::time::Duration;
/// assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
/// assert_eq!(parse_duration("1.5").unwrap(), Duration::from_millis(1500));
/// assert!(parse_duration("soon").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{} is no duration; write 250ms, 1.5s, 2m, or a bare number of seconds", shown(text.as_bytes()));
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at).ok_or_else(wrong)?;
    let seconds_each = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return Err(wrong());
    }
    // Two points are no number, and a number too long for a duration is none of ours.
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds_each).map_err(|_| wrong())
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
    fn anything_else_shows_the_forms() {
        let long = "9".repeat(400);
        for text in ["", "s", "-1", "+1", "1h", "1 s", ".5", "1.", "1..2", "1.2.3s", "1e3", "inf", "é", "1é", &long] {
            let why = parse_duration(text).unwrap_err();
            assert!(why.contains("250ms, 1.5s, 2m"), "{text}: {why}");
        }
    }
}
