//! What a server is told, whatever part it plays: its limits and last words, and what it subscribes to.

use super::parting;
use crate::bcp::conversation;
use crate::catalogue::{self, CATEGORIES};
use crate::cli::suggest;
use crate::exit::Failure;
use crate::limits::{CONNECTIONS_MAX, LONG_FRAMES_BYTES_MAX};
use crate::net::server::{Notice, Settings};
use crate::output::say;
use crate::text::shown;

/// What a media controller subscribes to when nothing else is asked for: without subscriptions a whole game is two
/// lines.
pub const CATEGORIES_OF_MEDIA: [&str; 5] = ["core_events", "service_events", "modes", "player_vars", "machine_vars"];

/// What somebody who joins a running MPF subscribes to when nothing else is asked for.
pub const CATEGORIES_OF_CLIENT: [&str; 5] = ["devices", "events", "modes", "machine_vars", "player_vars"];

/// How a server of media controllers behaves.
pub fn settings() -> Settings {
    Settings {
        framing: crate::framing::FramingOptions::default(),
        long_frames_bytes_max: LONG_FRAMES_BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
        full: b"error?message=too%20many%20connections\n",
        farewell: b"goodbye\n",
        until: None,
        input: None,
        notice: Box::new(|notice| {
            say(&match notice {
                Notice::TurnedAway(peer) => {
                    format!("{peer}: turned away: too many connections\n")
                }
                Notice::OutOfDescriptors(error) => parting::no_descriptor(error),
                Notice::GivenUp(error) => parting::given_up(error),
            });
        }),
    }
}

/// The lines that subscribe to these categories (those of `otherwise` when none is named; `all` and `none` are words
/// too) and these events.
///
/// # Errors
/// [`Failure::Usage`] for an unknown category, and for an event whose registration would end MPF.
pub fn subscriptions(monitor: &[String], register: &[String], otherwise: &[&str]) -> Result<Vec<u8>, Failure> {
    let named: Vec<&str> = monitor.iter().map(String::as_str).collect();
    let categories = match named.as_slice() {
        [] => otherwise.to_vec(),
        ["none"] => Vec::new(),
        names if names.contains(&"none") => {
            return Err(Failure::Usage("--monitor none leaves no room for another category".to_owned()));
        }
        names if names.contains(&"all") => CATEGORIES.to_vec(),
        names => names.to_vec(),
    };
    if let Some(unknown) = categories.iter().find(|name| !CATEGORIES.contains(name)) {
        let words = category_words();
        let advice = match suggest(unknown, words.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", words.join(", ")),
        };
        return Err(Failure::Usage(format!("--monitor: {} is no category; {advice}", shown(unknown.as_bytes()))));
    }
    let mut lines = Vec::new();
    for category in categories {
        conversation::write_message("monitor_start", &[("category", category)], &mut lines);
    }
    for event in register {
        let start = lines.len();
        conversation::write_message("register_trigger", &[("event", event)], &mut lines);
        let line = lines.get(start..).unwrap_or_default();
        catalogue::check_line(line.strip_suffix(b"\n").unwrap_or(line), None)
            .map_err(|refusal| Failure::Usage(format!("--register: {refusal}")))?;
    }
    Ok(lines)
}

/// Every word that `--monitor` takes.
pub fn category_words() -> Vec<String> {
    CATEGORIES.iter().chain(&["all", "none"]).map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(monitor: &[&str], register: &[&str]) -> Result<String, Failure> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        subscriptions(&owned(monitor), &owned(register), &CATEGORIES_OF_MEDIA)
            .map(|lines| String::from_utf8(lines).unwrap())
    }

    #[test]
    fn subscriptions_are_lines_in_order() {
        assert_eq!(lines(&[], &[]).unwrap().matches("monitor_start?category=").count(), 5);
        assert!(lines(&[], &[]).unwrap().starts_with("monitor_start?category=core_events\n"));
        assert_eq!(lines(&["none"], &["a&b"]).unwrap(), "register_trigger?json={\"event\": \"a\\u0026b\"}\n");
        assert_eq!(lines(&["modes", "devices"], &[]).unwrap().lines().last(), Some("monitor_start?category=devices"));
        assert_eq!(lines(&["all"], &[]).unwrap().lines().count(), CATEGORIES.len());
    }

    #[test]
    fn an_unknown_category_is_usage_that_names_the_near_one_or_all() {
        let why = |word| lines(&[word], &[]).unwrap_err().message().unwrap_or_default().to_owned();
        assert_eq!(why("mode"), "--monitor: mode is no category; did you mean modes?");
        assert!(why("xyz").starts_with("--monitor: xyz is no category; there are events, devices"));
        assert!(matches!(lines(&["none", "modes"], &[]), Err(Failure::Usage(_))));
    }

    #[test]
    fn an_event_that_would_end_mpf_is_usage() {
        let failure = lines(&["none"], &["ball_started", "a b"]).unwrap_err();
        let start = "--register: would end MPF 0.81: register_trigger needs event as text without blanks";
        assert!(failure.message().is_some_and(|text| text.starts_with(start)), "{failure:?}");
        assert!(matches!(failure, Failure::Usage(_)));
    }
}
