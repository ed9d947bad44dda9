//! Turning an argument into a value, and an argument into text that is safe to show.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// An argument as an error message may show it: safe for a terminal, and cut when it is long.
pub fn shown(word: impl AsRef<OsStr>) -> String {
    crate::text::shown(word.as_ref().as_encoded_bytes())
}

/// A value that has to be text, for a flag's setter.
///
/// # Errors
///
/// A phrase for the setter to return when the value is not UTF-8.
pub fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("\"{}\" is not UTF-8", shown(value)))
}

/// A value that has to be a whole number without a sign, for a flag's setter.
///
/// # Errors
///
/// A phrase for the setter to return when the value holds anything but ASCII digits, or is too large for `N`.
pub fn number<N: FromStr>(value: impl AsRef<OsStr>) -> Result<N, String> {
    let value = value.as_ref();
    let digits = value.to_str().unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("\"{}\" is no whole number", shown(value)));
    }
    digits.parse().map_err(|_| format!("\"{}\" is too large", shown(value)))
}

/// A value that is a duration: `250ms`, `1.5s`, `2m`; a bare number is seconds.
///
/// # Errors
/// A phrase for the setter to return.
pub fn duration(value: OsString) -> Result<Duration, String> {
    crate::time::parse_duration(&text(value)?)
}

/// A value that is the name of a file, or `-`; never refused.
pub fn path(value: OsString) -> Result<PathBuf, String> {
    Ok(value.into())
}

/// Stores what a setter has read.
///
/// # Errors
/// The complaint of the reading.
pub fn set<V>(place: &mut Option<V>, value: Result<V, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

/// Adds what the setter of an option that repeats has read.
///
/// # Errors
/// The complaint of the reading.
pub fn push<V>(list: &mut Vec<V>, value: Result<V, String>) -> Result<(), String> {
    list.push(value?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_word_is_one_short_safe_line() {
        assert_eq!(shown("a\u{1b}[31m\nb\u{9b}"), "a\\x1b[31m\\nb\\x9b");
        assert_eq!(shown("é".repeat(61)), format!("{}…", "é".repeat(60)));
        assert_eq!(shown("é".repeat(60)), "é".repeat(60));
    }

    #[test]
    fn a_number_is_digits_and_fits() {
        assert_eq!(number::<u8>(OsStr::new("007")), Ok(7));
        for bad in ["", "+1", "-1", "1.0", " 1", "lots", "٣"] {
            let complaint = number::<u8>(OsStr::new(bad)).unwrap_err();
            assert!(complaint.ends_with("is no whole number"), "{bad}");
        }
        assert_eq!(number::<u8>(OsStr::new("256")).unwrap_err(), "\"256\" is too large");
    }
}
