//! The table of section 13: every command that the specification or a peer knows.
//!
//! What MPF takes, needs and stops on was seen by running MPF 0.81; what others cannot do without is from the
//! specification.

use super::Needs::{Any, Color, Event, Fields, Key, Milliseconds, Placeholder, Power, State, Text, Tokens};
use super::Sender::{Both, Media, Pin};
use super::{CommandEntry, Needs, Parameter, Sender, Taken};

/// A parameter that has to be there.
const fn must(name: &'static str, needs: Needs) -> Parameter {
    Parameter { name, needs, required: true }
}

/// A parameter that may be there.
const fn may(name: &'static str, needs: Needs) -> Parameter {
    Parameter { name, needs, required: false }
}

/// A command that MPF does not take from a client.
const fn entry(name: &'static str, from: Sender, parameters: &'static [Parameter]) -> CommandEntry {
    CommandEntry { name, from, parameters, answers: &[], taken: Taken::No, historical: false }
}

/// A command that no present peer sends; its side is not known of all of them.
const fn historical(name: &'static str) -> CommandEntry {
    CommandEntry { historical: true, ..entry(name, Both, &[]) }
}

impl CommandEntry {
    const fn answered(self, answers: &'static [&'static str]) -> CommandEntry {
        CommandEntry { answers, ..self }
    }

    const fn taken(self, taken: Taken) -> CommandEntry {
        CommandEntry { taken, ..self }
    }
}

const TEXT: Needs = Any("text");
const INTEGER: Needs = Any("an integer");
const VALUE: Needs = Any("anything");
const LIST: Needs = Any("a list");
const NUMBER: Parameter = must("player_num", INTEGER);

/// What MPF's own code passes along to the handler of every command but `hello` and `goodbye`.
const OWN: &[&str] = &["self", "client"];

/// Every command that the specification or a peer knows.
pub const COMMANDS: &[CommandEntry] = &[
    entry(
        "hello",
        Both,
        &[
            may("version", TEXT),
            may("controller_name", TEXT),
            may("controller_version", TEXT),
            may("gmc_version", TEXT),
        ],
    )
    .answered(&["hello", "error"])
    .taken(Taken::Open(&["self"])),
    entry("goodbye", Both, &[]).taken(Taken::Closed),
    entry("reset", Pin, &[]).answered(&["reset_complete"]),
    entry("reset_complete", Media, &[]).taken(Taken::Open(OWN)),
    entry(
        "error",
        Both,
        &[
            may("message", TEXT),
            may("command", TEXT),
            may("cmd", TEXT),
            may("error", TEXT),
            may("kwargs", Any("an object")),
        ],
    )
    .taken(Taken::Open(OWN)),
    entry("mode_start", Pin, &[must("name", TEXT), may("priority", INTEGER)]),
    entry("mode_stop", Pin, &[must("name", TEXT)]),
    entry("mode_list", Pin, &[must("running_modes", Any("a list of [name, priority]"))]),
    entry("ball_start", Pin, &[NUMBER, must("ball", INTEGER)]),
    entry("ball_end", Pin, &[]),
    entry("player_added", Pin, &[NUMBER]),
    entry("player_turn_start", Pin, &[NUMBER]),
    entry(
        "player_variable",
        Pin,
        &[must("name", TEXT), must("value", VALUE), NUMBER, may("prev_value", VALUE), may("change", VALUE)],
    ),
    entry(
        "machine_variable",
        Pin,
        &[must("name", TEXT), must("value", VALUE), may("prev_value", VALUE), may("change", VALUE)],
    ),
    entry("settings", Pin, &[must("settings", Any("a list of lists"))]),
    entry("switch", Both, &[must("name", Key), must("state", State)]).taken(Taken::Open(OWN)),
    entry("trigger", Both, &[must("name", Key)]).taken(Taken::Open(&["self", "client", "event"])),
    entry("register_trigger", Media, &[must("event", Event)]).taken(Taken::Open(OWN)),
    entry("remove_trigger", Media, &[must("event", Key)]).taken(Taken::Open(OWN)),
    entry("monitor_start", Media, &[must("category", Text)]).taken(Taken::Closed),
    entry("monitor_stop", Media, &[must("category", Text)]).taken(Taken::Closed),
    entry(
        "device",
        Pin,
        &[must("type", TEXT), must("name", TEXT), may("changes", VALUE), may("state", Any("an object"))],
    ),
    entry(
        "monitored_event",
        Pin,
        &[
            must("event_name", TEXT),
            may("event_type", TEXT),
            may("event_callback", TEXT),
            may("event_kwargs", Any("an object")),
            may("registered_handlers", LIST),
        ],
    ),
    entry(
        "driver_event",
        Pin,
        &[must("action", TEXT), must("name", TEXT), may("number", TEXT), may("pulse_ms", INTEGER)],
    ),
    entry("status_request", Pin, &[]).answered(&["status_report"]),
    entry(
        "status_report",
        Media,
        &[may("cpu", Any("a number")), may("rss", Any("a number")), may("vms", Any("a number"))],
    ),
    entry("set_machine_var", Media, &[must("name", Text), must("value", VALUE), may("persist", Any("a boolean"))])
        .taken(Taken::Closed),
    entry("evaluate_placeholder", Media, &[must("placeholder", Placeholder), may("parameters", LIST)])
        .answered(&["evaluate_placeholder"])
        .taken(Taken::Open(OWN)),
    entry(
        "service",
        Media,
        &[
            must("subcommand", TEXT),
            may("values", Fields),
            may("sort", Any("a boolean")),
            may("coil", Key),
            may("pulse_ms", Milliseconds),
            may("pulse_power", Power),
            may("hold_power", Power),
            may("show", Key),
            may("token", Tokens),
            may("light", Key),
            may("color", Color),
        ],
    )
    .taken(Taken::Open(OWN)),
    entry("service_stop", Pin, &[]),
    entry("list_switches", Pin, &[must("switches", LIST)]),
    entry("list_coils", Pin, &[must("coils", LIST)]),
    entry("list_lights", Pin, &[must("lights", LIST)]),
    entry("list_shows", Pin, &[must("shows", LIST)]),
    entry("coil_pulse", Pin, &[may("error", TEXT)]),
    entry("coil_enable", Pin, &[may("error", TEXT)]),
    entry("coil_disable", Pin, &[may("error", TEXT)]),
    entry("show_play", Pin, &[may("error", TEXT)]),
    entry("show_stop", Pin, &[may("error", TEXT)]),
    entry("light_color", Pin, &[may("error", TEXT)]),
    entry("dmd_frame", Media, &[may("name", TEXT)]),
    entry("rgb_dmd_frame", Media, &[may("name", TEXT)]),
    entry(
        "vpcom_bridge",
        Media,
        &[must("subcommand", TEXT), may("number", TEXT), may("value", VALUE), may("switch", TEXT)],
    )
    .answered(&["vpcom_bridge_response"]),
    entry("vpcom_bridge_response", Pin, &[may("result", VALUE), may("error", TEXT)]),
    historical("get").answered(&["set"]),
    historical("set"),
    historical("config"),
    historical("shot"),
    historical("timer"),
    historical("player_score"),
    historical("attract_start"),
    historical("attract_stop"),
    historical("game_start"),
    historical("game_end"),
    historical("dmd_start"),
    historical("rgb_dmd_start"),
    historical("external_show_start"),
    historical("external_show_stop"),
    historical("external_show_frame"),
    historical("player_add"),
    historical("terminate"),
];
