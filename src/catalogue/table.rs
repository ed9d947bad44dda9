//! The table of commands: each one that the specification or a peer knows.
//!
//! What MPF acts on, needs and ends on was observed on a running MPF 0.81, or, for commands that only some machine
//! configurations have, read in its source (devices/dmd.py, devices/rgb_dmd.py, core/text_ui.py,
//! platforms/virtual_pinball). What other peers need is from the specification.

use ParamType::{Any, Color, Event, Fields, Key, Milliseconds, Placeholder, Power, State, Text, Tokens};
use SentBy::{Both, Media, Pin};

/// Who sends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentBy {
    /// The pin controller, such as MPF.
    Pin,
    /// The media controller, or any other client of the pin controller.
    Media,
    Both,
}

/// What the value of a parameter has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamType {
    /// Anything; the text is what it usually is.
    Any(&'static str),
    /// Anything that MPF can look up by: no list, no object.
    Key,
    Text,
    State,
    /// The name of an event, perhaps with a condition.
    Event,
    Placeholder,
    /// Names of fields; which there are depends on the subcommand.
    Fields,
    Milliseconds,
    Power,
    Tokens,
    Color,
}

impl ParamType {
    pub(crate) fn description(self) -> &'static str {
        match self {
            Any(usually) => usually,
            Key | Text => "a string",
            State => "0, 1 or -1",
            Event => "an event name without spaces, perhaps with one {CONDITION} at its end",
            Placeholder => "a Python expression",
            Fields => "field names, separated by commas",
            Milliseconds => "a whole number, 0 or more",
            Power => "a number from 0 to 1",
            Tokens => "an object",
            Color => "a color name or six hexadecimal digits",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) param_type: ParamType,
    /// Whether it has to be there: for MPF where MPF acts on the command, else for media controllers.
    pub(crate) required: bool,
    /// The subcommands of `service` that read it; empty when all commands do.
    pub(crate) used_by: &'static [&'static str],
}

/// What MPF 0.81 does with a command that a client sends to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// It logs it as unknown.
    No,
    /// It acts on it. Parameters of these names end MPF, because its own code passes arguments of the same names.
    Open(&'static [&'static str]),
    /// It acts on it, and any parameter that is not in the table ends MPF, and so does a payload.
    Closed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandEntry {
    pub(crate) name: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "bcp(7), Commands, is rendered from it by a test"))]
    pub(crate) from: SentBy,
    /// Required ones first.
    pub(crate) parameters: &'static [Parameter],
    /// The replies, of which one arrives; empty when there is none, or none that is always the same.
    pub(crate) replies: &'static [&'static str],
    pub(crate) accepted: Acceptance,
    pub(crate) needs_payload: bool,
}

impl CommandEntry {
    const fn replies(self, replies: &'static [&'static str]) -> CommandEntry {
        CommandEntry { replies, ..self }
    }

    const fn accepted(self, accepted: Acceptance) -> CommandEntry {
        CommandEntry { accepted, ..self }
    }

    const fn with_payload(self) -> CommandEntry {
        CommandEntry { needs_payload: true, ..self }
    }
}

const fn entry(name: &'static str, from: SentBy, parameters: &'static [Parameter]) -> CommandEntry {
    CommandEntry { name, from, parameters, replies: &[], accepted: Acceptance::No, needs_payload: false }
}

const fn required(name: &'static str, param_type: ParamType) -> Parameter {
    Parameter { name, param_type, required: true, used_by: &[] }
}

const fn optional(name: &'static str, param_type: ParamType) -> Parameter {
    Parameter { name, param_type, required: false, used_by: &[] }
}

/// A parameter of some of the subcommands of `service`.
const fn option_of(used_by: &'static [&'static str], name: &'static str, param_type: ParamType) -> Parameter {
    Parameter { name, param_type, required: false, used_by }
}

const STRING: ParamType = Any("a string");
const INTEGER: ParamType = Any("an integer");
const NUMBER: ParamType = Any("a number");
const ANYTHING: ParamType = Any("anything");
const OBJECT: ParamType = Any("an object");
const LIST: ParamType = Any("a list");
const NAME: Parameter = required("name", STRING);
const KEY_NAME: Parameter = required("name", Key);
const VALUE: Parameter = required("value", ANYTHING);
const PREVIOUS: Parameter = optional("prev_value", ANYTHING);
const CHANGE: Parameter = optional("change", ANYTHING);
const PLAYER: Parameter = required("player_num", INTEGER);
const CATEGORY: Parameter = required("category", Text);
const ERROR: Parameter = optional("error", STRING);

/// The arguments that MPF's own code passes to its handlers, except those of `hello` and `goodbye`.
const OPEN: Acceptance = Acceptance::Open(&["self", "client"]);

/// The values of `category`.
pub(crate) const CATEGORIES: &[&str] = MONITOR_WORDS.split_at(MONITOR_WORDS.len() - 2).0;

/// The values of `--monitor`: each category, and words for all and none of them.
pub(crate) const MONITOR_WORDS: &[&str] = &[
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
    "all",
    "none",
];

/// The values of the `subcommand` of `service`. All but the first two are also the command of the reply.
pub(crate) const SUBCOMMANDS: &[&str] = &[
    "start",
    "stop",
    "list_switches",
    "list_coils",
    "list_lights",
    "list_shows",
    "coil_pulse",
    "coil_enable",
    "coil_disable",
    "show_play",
    "show_stop",
    "light_color",
];

const SERVICE: &[Parameter] = &[
    required("subcommand", STRING),
    option_of(&["list_switches", "list_coils", "list_lights"], "values", Fields),
    optional("sort", Any("a boolean")),
    optional("coil", Key),
    option_of(&["coil_pulse", "coil_enable"], "pulse_ms", Milliseconds),
    option_of(&["coil_pulse", "coil_enable"], "pulse_power", Power),
    option_of(&["coil_enable"], "hold_power", Power),
    optional("show", Key),
    option_of(&["show_play"], "token", Tokens),
    optional("light", Key),
    option_of(&["light_color"], "color", Color),
];

const HELLO: &[Parameter] = &[
    optional("version", STRING),
    optional("controller_name", STRING),
    optional("controller_version", STRING),
    optional("gmc_version", STRING),
];

const ERRORS: &[Parameter] = &[
    optional("message", STRING),
    optional("command", STRING),
    optional("cmd", STRING),
    ERROR,
    optional("kwargs", OBJECT),
];

const MONITORED_EVENT: &[Parameter] = &[
    required("event_name", STRING),
    optional("event_type", STRING),
    optional("event_callback", STRING),
    optional("event_kwargs", OBJECT),
    optional("registered_handlers", LIST),
];

/// Only with the text UI, where anything else ends MPF: `_bcp_status_report(client, cpu, rss, vms)`.
const STATUS: &[Parameter] = &[required("cpu", NUMBER), required("rss", NUMBER), required("vms", NUMBER)];

/// Only with `platform: virtual_pinball`.
const BRIDGE: &[Parameter] = &[
    required("subcommand", Text),
    optional("number", STRING),
    optional("value", ANYTHING),
    optional("switch", STRING),
];

pub(crate) const COMMANDS: &[CommandEntry] = &[
    entry("hello", Both, HELLO).replies(&["hello", "error"]).accepted(Acceptance::Open(&["self"])),
    entry("goodbye", Both, &[]).accepted(Acceptance::Closed),
    entry("reset", Pin, &[]).replies(&["reset_complete"]),
    entry("reset_complete", Media, &[]).accepted(OPEN),
    entry("error", Both, ERRORS).accepted(OPEN),
    entry("mode_start", Pin, &[NAME, optional("priority", INTEGER)]),
    entry("mode_stop", Pin, &[NAME]),
    entry("mode_list", Pin, &[required("running_modes", Any("a list of [name, priority]"))]),
    entry("ball_start", Pin, &[PLAYER, required("ball", INTEGER)]),
    entry("ball_end", Pin, &[]),
    entry("player_added", Pin, &[PLAYER]),
    entry("player_turn_start", Pin, &[PLAYER]),
    entry("player_variable", Pin, &[NAME, VALUE, PLAYER, PREVIOUS, CHANGE]),
    entry("machine_variable", Pin, &[NAME, VALUE, PREVIOUS, CHANGE]),
    entry("settings", Pin, &[required("settings", Any("a list of lists"))]),
    entry("switch", Both, &[KEY_NAME, required("state", State)]).accepted(OPEN),
    entry("trigger", Both, &[KEY_NAME]).accepted(Acceptance::Open(&["self", "client", "event"])),
    entry("register_trigger", Media, &[required("event", Event)]).accepted(OPEN),
    entry("remove_trigger", Media, &[required("event", Key)]).accepted(OPEN),
    entry("monitor_start", Media, &[CATEGORY]).accepted(Acceptance::Closed),
    entry("monitor_stop", Media, &[CATEGORY]).accepted(Acceptance::Closed),
    entry("device", Pin, &[required("type", STRING), NAME, optional("changes", ANYTHING), optional("state", OBJECT)]),
    entry("monitored_event", Pin, MONITORED_EVENT),
    entry(
        "driver_event",
        Pin,
        &[required("action", STRING), NAME, optional("number", STRING), optional("pulse_ms", INTEGER)],
    ),
    entry("status_request", Pin, &[]).replies(&["status_report"]),
    entry("status_report", Media, STATUS).accepted(Acceptance::Closed),
    entry("set_machine_var", Media, &[required("name", Text), VALUE, optional("persist", Any("a boolean"))])
        .accepted(Acceptance::Closed),
    entry("evaluate_placeholder", Media, &[required("placeholder", Placeholder), optional("parameters", LIST)])
        .replies(&["evaluate_placeholder"])
        .accepted(OPEN),
    entry("service", Media, SERVICE).accepted(OPEN),
    entry("service_stop", Pin, &[]),
    entry("list_switches", Pin, &[required("switches", LIST)]),
    entry("list_coils", Pin, &[required("coils", LIST)]),
    entry("list_lights", Pin, &[required("lights", LIST)]),
    entry("list_shows", Pin, &[required("shows", LIST)]),
    entry("coil_pulse", Pin, &[ERROR]),
    entry("coil_enable", Pin, &[ERROR]),
    entry("coil_disable", Pin, &[ERROR]),
    entry("show_play", Pin, &[ERROR]),
    entry("show_stop", Pin, &[ERROR]),
    entry("light_color", Pin, &[ERROR]),
    // Only with `dmds:` or `rgb_dmds:`.
    entry("dmd_frame", Media, &[KEY_NAME]).accepted(OPEN).with_payload(),
    entry("rgb_dmd_frame", Media, &[KEY_NAME]).accepted(OPEN).with_payload(),
    entry("vpcom_bridge", Media, BRIDGE).replies(&["vpcom_bridge_response"]).accepted(OPEN),
    entry("vpcom_bridge_response", Pin, &[optional("result", ANYTHING), ERROR]),
];

/// Commands that only old peers and documents know.
pub(crate) const HISTORICAL: &str = "get set config shot timer player_score attract_start attract_stop \
                                     game_start game_end dmd_start rgb_dmd_start external_show_start \
                                     external_show_stop external_show_frame player_add terminate";

#[cfg(test)]
mod tests {
    //! bcp(7), Commands, is rendered from the table. A stale page is rewritten and fails the test, so running it a
    //! second time and committing updates it; if `CI` is set, the test only fails.

    use std::path::Path;

    use super::*;

    fn rendered() -> String {
        let mut page = String::from(".Ss Commands\n");
        page += "P marks what the pin controller sends, M what the media controller or another\nclient sends.\n";
        page += "Of values the page says what MPF needs, where MPF acts on the command.\n.Bl -tag -width Ds\n";
        for entry in COMMANDS {
            let from = match entry.from {
                SentBy::Pin => "P",
                SentBy::Media => "M",
                SentBy::Both => "P, M",
            };
            page += &format!(".It Ic {} Pq {from}\n", entry.name);
            page += &parameters("Required:", entry.parameters.iter().filter(|parameter| parameter.required));
            page += &parameters("Optional:", entry.parameters.iter().filter(|parameter| !parameter.required));
            match entry.accepted {
                Acceptance::No => {}
                Acceptance::Closed if entry.parameters.is_empty() => page += "Any parameter or payload ends MPF.\n",
                Acceptance::Closed => page += "Any other parameter and any payload ends MPF.\n",
                Acceptance::Open(reserved) => {
                    page += &format!("A parameter named {} ends MPF.\n", reserved.join(" or "))
                }
            }
            if entry.needs_payload {
                page += "A payload is required.\n";
            }
            match entry.name {
                "monitor_start" => page += &format!("Categories:\n{}.\n", CATEGORIES.join(",\n")),
                "service" => {
                    page += &format!("Subcommands:\n{}.\n", SUBCOMMANDS.join(",\n"));
                    page += "The reply is a command named as the subcommand; to stop it is service_stop, to start\n";
                    page += "there is none.\n";
                }
                _ => {}
            }
            if !entry.replies.is_empty() {
                let replies: Vec<String> = entry.replies.iter().map(|name| format!(".Ic {name}")).collect();
                page += &format!("Reply:\n{} .\n", replies.join("\nor\n"));
            }
        }
        page += ".El\n.Pp\nOnly old peers and documents know\n";
        let historical: Vec<String> = HISTORICAL.split(' ').map(|name| format!(".Ic {name}")).collect();
        page + &historical.join(" ,\n") + " .\n"
    }

    /// Renders parameters of a command as roff.
    fn parameters<'p>(opening: &str, list: impl Iterator<Item = &'p Parameter>) -> String {
        let list: Vec<String> =
            list.map(|p| format!(".Va {}\n({})", p.name, p.param_type.description().replace('-', "\\-"))).collect();
        if list.is_empty() { String::new() } else { format!("{opening}\n{}.\n", list.join(",\n")) }
    }

    #[test]
    fn manual_page_lists_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/bcp.7");
        let page = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = (".\\\" BEGIN COMMANDS\n", ".\\\" END COMMANDS\n");
        let (before, rest) = page.split_once(begin).expect("the table has a place");
        let (_, after) = rest.split_once(end).expect("the table has an end");
        let expected = format!("{before}{begin}{}{end}{after}", rendered());
        if page != expected && std::env::var_os("CI").is_none() {
            std::fs::write(&path, &expected).unwrap();
        }
        assert!(page == expected, "bcp.7 is stale, and rewritten unless CI is set: run again and commit");
    }
}
