//! The commands of BCP: who sends each, and what answers it (design.md, section 13).
//!
//! One table. BCP is open: a command that is not in it may be understood all the same, and unknown parameters are
//! ignored.

/// Who sends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The pin controller, such as MPF.
    Pin,
    /// The media controller, or any other client of the pin controller.
    Media,
    /// Either side.
    Both,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct CommandEntry {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Who sends it.
    pub from: Sender,
    /// The commands of which one answers it; empty when none does, or none that is always the same.
    pub answers: &'static [&'static str],
    /// Whether only old peers and pages know it.
    pub historical: bool,
}

const fn entry(name: &'static str, from: Sender, answers: &'static [&'static str]) -> CommandEntry {
    CommandEntry { name, from, answers, historical: false }
}

/// A command that no present peer sends; its side is not known of all of them.
const fn historical(name: &'static str, answers: &'static [&'static str]) -> CommandEntry {
    CommandEntry { name, from: Sender::Both, answers, historical: true }
}

use Sender::{Both, Media, Pin};

/// Every command that the specification or a peer knows.
pub const COMMANDS: &[CommandEntry] = &[
    entry("hello", Both, &["hello", "error"]),
    entry("goodbye", Both, &[]),
    entry("reset", Pin, &["reset_complete"]),
    entry("reset_complete", Media, &[]),
    entry("error", Both, &[]),
    entry("mode_start", Pin, &[]),
    entry("mode_stop", Pin, &[]),
    entry("mode_list", Pin, &[]),
    entry("ball_start", Pin, &[]),
    entry("ball_end", Pin, &[]),
    entry("player_added", Pin, &[]),
    entry("player_turn_start", Pin, &[]),
    entry("player_variable", Pin, &[]),
    entry("machine_variable", Pin, &[]),
    entry("settings", Pin, &[]),
    entry("switch", Both, &[]),
    entry("trigger", Both, &[]),
    entry("register_trigger", Media, &[]),
    entry("remove_trigger", Media, &[]),
    entry("monitor_start", Media, &[]),
    entry("monitor_stop", Media, &[]),
    entry("device", Pin, &[]),
    entry("monitored_event", Pin, &[]),
    entry("driver_event", Pin, &[]),
    entry("status_request", Pin, &["status_report"]),
    entry("status_report", Media, &[]),
    entry("set_machine_var", Media, &[]),
    entry("evaluate_placeholder", Media, &["evaluate_placeholder"]),
    entry("service", Media, &[]),
    entry("service_stop", Pin, &[]),
    entry("list_switches", Pin, &[]),
    entry("list_coils", Pin, &[]),
    entry("list_lights", Pin, &[]),
    entry("list_shows", Pin, &[]),
    entry("coil_pulse", Pin, &[]),
    entry("coil_enable", Pin, &[]),
    entry("coil_disable", Pin, &[]),
    entry("show_play", Pin, &[]),
    entry("show_stop", Pin, &[]),
    entry("light_color", Pin, &[]),
    entry("dmd_frame", Media, &[]),
    entry("rgb_dmd_frame", Media, &[]),
    entry("vpcom_bridge", Media, &["vpcom_bridge_response"]),
    entry("vpcom_bridge_response", Pin, &[]),
    historical("get", &["set"]),
    historical("set", &[]),
    historical("config", &[]),
    historical("shot", &[]),
    historical("timer", &[]),
    historical("player_score", &[]),
    historical("attract_start", &[]),
    historical("attract_stop", &[]),
    historical("game_start", &[]),
    historical("game_end", &[]),
    historical("dmd_start", &[]),
    historical("rgb_dmd_start", &[]),
    historical("external_show_start", &[]),
    historical("external_show_stop", &[]),
    historical("external_show_frame", &[]),
    historical("player_add", &[]),
    historical("terminate", &[]),
];

/// The entry of a command, whatever its case.
pub fn find(command: &str) -> Option<&'static CommandEntry> {
    COMMANDS.iter().find(|entry| entry.name.eq_ignore_ascii_case(command))
}

/// Whether a command is in the table.
///
/// ```
/// assert!(backbox::catalogue::knows("trigger"));
/// assert!(!backbox::catalogue::knows("triger"));
/// ```
pub fn knows(command: &str) -> bool {
    find(command).is_some()
}

/// The commands of which one answers a command; `subcommand` is that of `service`, whose answer is named after it.
/// Empty when none does, or none that is always the same.
///
/// ```
/// assert_eq!(backbox::catalogue::answers("service", Some("list_coils")), ["list_coils"]);
/// assert!(backbox::catalogue::answers("trigger", None).is_empty());
/// ```
pub fn answers(command: &str, subcommand: Option<&str>) -> Vec<&'static str> {
    const NAMED_ALIKE: [&str; 4] = ["list_", "coil_", "show_", "light_"];
    match (command, subcommand) {
        ("service", Some("stop")) => vec!["service_stop"],
        ("service", Some(subcommand)) if NAMED_ALIKE.iter().any(|start| subcommand.starts_with(start)) => {
            COMMANDS.iter().map(|entry| entry.name).filter(|name| *name == subcommand).collect()
        }
        ("service", _) => Vec::new(),
        (command, _) => find(command).map(|entry| entry.answers.to_vec()).unwrap_or_default(),
    }
}

/// The categories that `monitor_start` knows.
pub const CATEGORIES: &[&str] = &[
    "events",
    "devices",
    "drivers",
    "switches",
    "machine_vars",
    "player_vars",
    "modes",
    "core_events",
    "service_events",
    "status_request",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_stands_once_in_lower_case_and_every_answer_is_a_command() {
        for (count, entry) in COMMANDS.iter().enumerate() {
            assert!(!COMMANDS[..count].iter().any(|earlier| earlier.name == entry.name), "{} twice", entry.name);
            assert_eq!(entry.name, entry.name.to_ascii_lowercase());
            assert!(entry.answers.iter().all(|answer| knows(answer)), "{}: unknown answer", entry.name);
        }
    }

    #[test]
    fn a_whole_game_holds_no_unknown_command() {
        let game = include_str!("../../tests/data/sessions/one-ball-game.bcp");
        for line in game.lines().filter_map(|line| line.strip_prefix("#<").or((!line.starts_with('#')).then_some(line)))
        {
            let command = line.split('?').next().unwrap();
            assert!(knows(command), "{command}");
        }
    }
}
