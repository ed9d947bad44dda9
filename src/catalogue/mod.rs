//! What is known of the commands of BCP: the one table (design.md, section 13), and what is read from it.
//!
//! From here `send` and `replay` know what would stop MPF ([`judge`]), `send -w` knows what to wait for ([`answer`]),
//! `decode --lint` what some peer misreads ([`Linter`]), `listen` what is unknown ([`knows`]), and the completions and
//! `bcp`(7) what there is. BCP is open: a command that is not in the table may be understood all the same. Nothing here
//! sends, prints or remembers what was sent.

mod expression;
mod fit;
mod guard;
mod json;
mod lint;
mod python;
mod table;
mod value;

pub use guard::{Effect, MPF_LINE_BYTES_MAX, Refusal, Rule, judge};
pub use lint::{Finding, Linter, Severity};
pub use table::COMMANDS;

use crate::bcp::{Message, ValueKind};

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

/// What a parameter has to be for MPF to live; what it is called is what `bcp`(7) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anything at all; the word is what it usually is.
    Any(&'static str),
    /// A key to look something up by: neither a list nor an object.
    Key,
    /// Text: no number, boolean, null, list or object.
    Text,
    /// What Python's `int()` takes: 0, 1 or -1.
    State,
    /// The name of an event, as a handler for it is registered.
    Event,
    /// An expression of Python's.
    Placeholder,
    /// Names of fields with commas between them; which there are depends on the subcommand.
    Fields,
    /// A number of milliseconds.
    Milliseconds,
    /// A share between 0 and 1.
    Power,
    /// An object, or nothing.
    Tokens,
    /// The name of a color, six hexadecimal digits, or three numbers.
    Color,
}

impl Needs {
    /// What it is, in a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Needs::Any(usually) => usually,
            Needs::Key | Needs::Text | Needs::Event => "text",
            Needs::State => "1, 0, or -1 to toggle",
            Needs::Placeholder => "a Python expression",
            Needs::Fields => "field names, with commas",
            Needs::Milliseconds => "milliseconds",
            Needs::Power => "0 to 1",
            Needs::Tokens => "an object",
            Needs::Color => "a name or six hexadecimal digits",
        }
    }
}

/// One parameter of a command.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What it has to be.
    pub needs: Needs,
    /// Whether it has to be there: for MPF where MPF takes the command, else for the media controllers that do.
    pub required: bool,
}

/// What MPF 0.81 does with a command that a client of its sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is logged as unknown and otherwise ignored.
    No,
    /// It is acted on. These names end MPF, since its own code passes parameters of these names too.
    Open(&'static [&'static str]),
    /// It is acted on, and any parameter that is not in the table ends MPF, a payload included.
    Closed,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct CommandEntry {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Who sends it.
    pub from: Sender,
    /// Its parameters, required ones first; others are ignored, unless it is [`Taken::Closed`].
    pub parameters: &'static [Parameter],
    /// The commands of which one answers it; empty when none does, or none that is always the same.
    pub answers: &'static [&'static str],
    /// What MPF does with it.
    pub taken: Taken,
    /// Whether only old peers and pages know it.
    pub historical: bool,
}

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

/// The categories that `monitor_start` knows, each with the command that reports the present state at once, if one is
/// sure to. What a player's variables are is only reported within a game.
const MONITORED: [(&str, Option<&str>); 10] = [
    ("events", None),
    ("devices", Some("device")),
    ("drivers", None),
    ("switches", None),
    ("machine_vars", Some("machine_variable")),
    ("player_vars", None),
    ("modes", Some("mode_list")),
    ("core_events", None),
    ("service_events", None),
    ("status_request", None),
];

/// The categories that `monitor_start` knows.
pub const CATEGORIES: &[&str] = &names(&MONITORED);

/// The subcommands of `service`, each with the command that answers it.
const SERVICES: [(&str, Option<&str>); 12] = [
    ("start", None),
    ("stop", Some("service_stop")),
    ("list_switches", Some("list_switches")),
    ("list_coils", Some("list_coils")),
    ("list_lights", Some("list_lights")),
    ("list_shows", Some("list_shows")),
    ("coil_pulse", Some("coil_pulse")),
    ("coil_enable", Some("coil_enable")),
    ("coil_disable", Some("coil_disable")),
    ("show_play", Some("show_play")),
    ("show_stop", Some("show_stop")),
    ("light_color", Some("light_color")),
];

/// The subcommands that `service` knows.
pub const SUBCOMMANDS: &[&str] = &names(&SERVICES);

/// The first word of each row, for a table of words that completions and messages can borrow.
const fn names<const N: usize>(table: &[(&'static str, Option<&'static str>); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = table[at].0;
        at += 1;
    }
    names
}

/// The command that answers a message, where one is sure to (`send -w`); `None` when none is.
///
/// A category that MPF does not know is answered with `error`; a subcommand that it does not know, not at all.
///
/// ```
/// use backbox::catalogue::answer;
/// use backbox::bcp::{Message, ParseOptions};
/// let mut parts = Message::new();
/// parts.parse_line(b"service?subcommand=coil_pulse&coil=c_knocker", &ParseOptions::default()).unwrap();
/// assert_eq!(answer(&parts), Some("coil_pulse"));
/// parts.parse_line(b"trigger?name=multiball", &ParseOptions::default()).unwrap();
/// assert_eq!(answer(&parts), None);
/// ```
pub fn answer(message: &Message) -> Option<&'static str> {
    let entry = find(&message.command())?;
    let text =
        |name: &str| message.find(name).filter(|value| value.kind() == ValueKind::Text).map(|value| value.text());
    let named = |table: &'static [(&'static str, Option<&'static str>)], word: &str| {
        table.iter().find(|(name, _)| *name == word).map(|(_, answer)| *answer)
    };
    match entry.name {
        "service" => named(&SERVICES, &text("subcommand")?).flatten(),
        // MPF folds the category, and nothing else of a message.
        "monitor_start" => named(&MONITORED, &text("category")?.to_lowercase()).unwrap_or(Some("error")),
        _ => entry.answers.first().copied(),
    }
}

/// The words that a message on the command line is completed from: each command with its parameters as `name=`, for the
/// two that have a choice of values with those too. Historical commands are left out.
pub fn completions() -> Vec<(String, Vec<String>)> {
    let words = |entry: &CommandEntry| {
        let mut words: Vec<String> = entry.parameters.iter().map(|p| format!("{}=", p.name)).collect();
        match entry.name {
            "service" => words.extend(SUBCOMMANDS.iter().map(|name| format!("subcommand={name}"))),
            "monitor_start" | "monitor_stop" => words.extend(CATEGORIES.iter().map(|name| format!("category={name}"))),
            _ => {}
        }
        (entry.name.to_owned(), words)
    };
    COMMANDS.iter().filter(|entry| !entry.historical).map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bcp::ParseOptions;

    #[test]
    fn each_command_stands_once_in_lower_case_and_every_answer_is_a_command() {
        for (count, entry) in COMMANDS.iter().enumerate() {
            assert!(!COMMANDS[..count].iter().any(|earlier| earlier.name == entry.name), "{} twice", entry.name);
            assert_eq!(entry.name, entry.name.to_ascii_lowercase());
            assert!(entry.answers.iter().all(|answer| knows(answer)), "{}: unknown answer", entry.name);
            let required = entry.parameters.iter().map(|p| p.required);
            assert!(required.is_sorted_by(|a, b| a >= b), "{}: the required ones come first", entry.name);
        }
        let answers = SERVICES.iter().chain(&MONITORED).filter_map(|(_, answer)| *answer);
        assert!(answers.into_iter().all(knows));
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

    #[test]
    fn each_message_has_its_answer_or_none() {
        let mut parts = Message::new();
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
            parts.parse_line(line.as_bytes(), &ParseOptions::default()).unwrap();
            assert_eq!(answer(&parts), expected, "{line}");
        }
    }

    #[test]
    fn completions_know_commands_parameters_and_choices() {
        let words = completions();
        let of = |command: &str| words.iter().find(|(key, _)| key == command).map(|(_, words)| words.clone());
        assert_eq!(of("switch").unwrap(), ["name=", "state="]);
        assert!(of("monitor_start").unwrap().contains(&"category=machine_vars".to_owned()));
        assert!(of("service").unwrap().contains(&"subcommand=coil_pulse".to_owned()));
        assert_eq!(of("attract_start"), None);
    }
}
