//! What is known of BCP's commands, in one table, and what is derived from it: what would end MPF ([`check_line`]),
//! what some peer misreads ([`lint`]), which reply to wait for ([`reply`]), and the completions.
//!
//! BCP is open: a command that is not in the table may be understood all the same. Nothing here sends, prints or
//! remembers anything.

mod guard;
mod lint;
mod params;
mod table;

pub(crate) use guard::{Refusal, check_line};
pub(crate) use lint::lint;
pub(crate) use table::{CATEGORIES, MONITOR_WORDS};

use crate::bcp::{Message, ValueKind};
use table::{COMMANDS, CommandEntry, HISTORICAL, SUBCOMMANDS};

/// The entry of a command, in any case.
fn find(command: &str) -> Option<&'static CommandEntry> {
    COMMANDS.iter().find(|entry| entry.name.eq_ignore_ascii_case(command))
}

/// Whether a command is in the table, in any case.
pub(crate) fn knows(command: &str) -> bool {
    command_names().any(|name| name.eq_ignore_ascii_case(command))
}

/// The name of every command in the table.
pub(crate) fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|entry| entry.name).chain(HISTORICAL.split(' '))
}

/// The command of the reply to a message (`send -w`); `None` if there is none, or none that is certain.
///
/// MPF replies `error` to a category that it does not know, and not at all to such a subcommand.
pub(crate) fn reply(message: &Message) -> Option<&'static str> {
    let command = message.command();
    match &*command {
        "get" => Some("set"),
        "service" => match &*string(message, "subcommand")? {
            "start" => None,
            "stop" => Some("service_stop"),
            word => SUBCOMMANDS.iter().find(|name| **name == word).copied(),
        },
        // The present state is reported at once; player variables during a game only.
        "monitor_start" => match &*string(message, "category")?.to_lowercase() {
            "devices" => Some("device"),
            "machine_vars" => Some("machine_variable"),
            "modes" => Some("mode_list"),
            category => (!CATEGORIES.contains(&category)).then_some("error"),
        },
        command => find(command)?.replies.first().copied(),
    }
}

/// The parameter of a command whose value is one of a list, and that list.
fn choices(command: &str) -> Option<(&'static str, &'static [&'static str])> {
    match command {
        "service" => Some(("subcommand", SUBCOMMANDS)),
        "monitor_start" | "monitor_stop" => Some(("category", CATEGORIES)),
        _ => None,
    }
}

/// A `category` or `subcommand` that MPF does not know: the parameter, its value, and the values that MPF knows.
pub(crate) fn unknown_choice(message: &Message) -> Option<(&'static str, String, &'static [&'static str])> {
    let (parameter, known) = choices(&message.command())?;
    let value = string(message, parameter)?;
    // MPF folds the case of a category only.
    let is_known = |name: &&str| **name == value || (parameter == "category" && name.eq_ignore_ascii_case(&value));
    (!known.iter().any(is_known)).then_some((parameter, value, known))
}

/// The string that a parameter is, if it is one.
fn string(message: &Message, name: &str) -> Option<String> {
    message.find(name).filter(|value| value.kind() == ValueKind::Text).map(|value| value.text().into_owned())
}

/// The words that complete a message on the command line: each command with its parameters as `name=`, and the choices
/// of those that have some as `name=value`. Historical commands are left out.
pub(crate) fn completions() -> Vec<(String, Vec<String>)> {
    let words = |entry: &CommandEntry| {
        let mut words: Vec<String> = entry.parameters.iter().map(|p| format!("{}=", p.name)).collect();
        if let Some((parameter, values)) = choices(entry.name) {
            words.extend(values.iter().map(|value| format!("{parameter}={value}")));
        }
        (entry.name.to_owned(), words)
    };
    COMMANDS.iter().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    fn message(line: &str) -> Message {
        let mut message = Message::new();
        message.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
        message
    }

    #[test]
    fn each_command_is_listed_once_in_lower_case_and_every_reply_is_a_command() {
        let names: Vec<&str> = command_names().collect();
        for (count, name) in names.iter().enumerate() {
            assert!(!names[..count].contains(name), "{name} twice");
            assert_eq!(*name, name.to_ascii_lowercase());
        }
        for entry in COMMANDS {
            let required = entry.parameters.iter().map(|p| p.required);
            assert!(required.is_sorted_by(|a, b| a >= b), "{}: the required ones come first", entry.name);
            assert!(entry.replies.iter().all(|reply| knows(reply)), "{}: unknown reply", entry.name);
        }
        assert!(SUBCOMMANDS[2..].iter().all(|reply| knows(reply)));
    }

    #[test]
    fn a_whole_game_has_no_unknown_command() {
        let game = include_str!("../../tests/data/sessions/one-ball-game.bcp");
        let messages =
            game.lines().filter_map(|line| line.strip_prefix("#<").or((!line.starts_with('#')).then_some(line)));
        for line in messages {
            let command = line.split('?').next().unwrap();
            assert!(knows(command), "{command}");
        }
    }

    #[test]
    fn each_message_has_its_reply_or_none() {
        for (line, expected) in [
            ("hello?version=1.1", Some("hello")),
            ("goodbye", None),
            ("reset", Some("reset_complete")),
            ("status_request", Some("status_report")),
            ("evaluate_placeholder?placeholder=1", Some("evaluate_placeholder")),
            ("vpcom_bridge?subcommand=init", Some("vpcom_bridge_response")),
            ("get?name=x", Some("set")),
            ("service?subcommand=stop", Some("service_stop")),
            ("service?subcommand=start", None),
            ("service?subcommand=list_shows", Some("list_shows")),
            ("service?subcommand=nope", None),
            ("service?subcommand=int:5", None),
            ("service", None),
            ("monitor_start?category=devices", Some("device")),
            ("monitor_start?category=MODES", Some("mode_list")),
            ("monitor_start?category=machine_vars", Some("machine_variable")),
            ("monitor_start?category=player_vars", None),
            ("monitor_start?category=events", None),
            ("monitor_start?category=nope", Some("error")),
            ("monitor_stop?category=modes", None),
            ("trigger?name=x", None),
            ("nosuch", None),
        ] {
            assert_eq!(reply(&message(line)), expected, "{line}");
        }
    }

    #[test]
    fn an_unknown_category_or_subcommand_comes_with_the_known_ones() {
        let (parameter, value, known) = unknown_choice(&message("monitor_stop?category=mode")).unwrap();
        assert_eq!((parameter, &*value, known.len()), ("category", "mode", 10));
        let (parameter, value, known) = unknown_choice(&message("service?subcommand=Start")).unwrap();
        assert_eq!((parameter, &*value, known.len()), ("subcommand", "Start", 12));
        for line in ["monitor_start?category=MODES", "service?subcommand=stop", "monitor_start", "trigger?category=x"] {
            assert_eq!(unknown_choice(&message(line)), None, "{line}");
        }
    }

    #[test]
    fn completions_have_commands_parameters_and_choices() {
        let words = completions();
        let of = |command: &str| words.iter().find(|(key, _)| key == command).map(|(_, words)| words.clone());
        assert_eq!(of("switch").unwrap(), ["name=", "state="]);
        assert!(of("monitor_start").unwrap().contains(&"category=machine_vars".to_owned()));
        assert!(of("service").unwrap().contains(&"subcommand=coil_pulse".to_owned()));
        assert_eq!(of("attract_start"), None);
    }
}
