//! `backbox listen`: a server of many peers, the client of one, or a program between two others.
//!
//! This file has the options and what they mean together; the handler in `peers` then runs on the network loop.

mod canonical;
mod observer;
mod peer;
pub(super) mod peers;
mod reply;

use crate::bcp::conversation::{ConversationConfig, Role, write_message};
use crate::bcp::pattern::Pattern;
use crate::bcp::template::Template;
use crate::catalogue::{self, CATEGORIES, MONITOR_WORDS};
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, text};
use crate::commands::addresses::{MEDIA_PORT, PIN_PORT, Place, Target, withdraw};
use crate::commands::arguments::note_mistyped_patterns;
use crate::commands::goals::{COUNT, GoalOptions, IDLE, TIMEOUT};
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions, Traffic};
use crate::commands::result_file::{refuse_one_file_twice, to_write};
use crate::commands::run::{TimeLimits, open_net};
use crate::commands::shared::{
    EXCLUDE, FORMAT, Input, JSON, LIVE_GENERAL, MATCH, MAX_LINE, MAX_PAYLOAD, META, OBE, OutputOptions, RETRY,
    Selection, VIEW, WIRE, retry_time, wants_table, wire,
};
use crate::commands::stream::Stream;
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use crate::net::{NetSettings, StdinReader};
use crate::output::show::Style;
use crate::output::table::{EndNames, Table};
use observer::Observer;
use peers::{Behavior, Peers};
use reply::Reply;

/// What a media controller subscribes to by default: without subscriptions a whole game is two lines.
const CATEGORIES_OF_MEDIA: [&str; 5] = ["core_events", "service_events", "modes", "player_vars", "machine_vars"];

/// What a client subscribes to by default that joins a running MPF.
const CATEGORIES_OF_CLIENT: [&str; 5] = ["devices", "events", "modes", "machine_vars", "player_vars"];

/// How much standard input is read at a time: less than may wait for a peer.
const INPUT_BYTES: usize = 16 << 10;

/// What an OBE_Socket server replies to what matches no `--reply`.
const OBE_REPLY: &str = "\"OK\"";

const NO_ROLE: &str = "forwarding adds nothing of its own, and an OBE_Socket server only replies";

/// The table of `backbox listen`.
pub const COMMAND: Command = Command {
    help: Help {
        name: "listen",
        summary: "act as a media controller and print the messages received",
        synopsis: &["[*OPTION*]..."],
        prose: concat!(include_str!("../help/listen.md"), include_str!("../help/options.md")),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        see_also: &[("backbox", 1), ("backbox-send", 1), ("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    groups: &[
        Group::new("Connection").flags(&[
            Flag::value("addr", "ADDRESS", "Listen on *ADDRESS*").short('a').default("127.0.0.1:5050").common(),
            Flag::value("announce", "FILE", "Write the address to *FILE* when it listens").complete(Complete::File),
            Flag::value("as", "ROLE", "Act as *ROLE*").one_of(&["media", "pin"]).default("media"),
            Flag::value("connect", "ADDRESS", "Connect to *ADDRESS* instead of listening").short('c').common(),
            Flag::value("forward", "ADDRESS", "Pass both directions on to *ADDRESS*").common(),
            Flag::switch("canonical", "Rewrite what the client sends"),
            WIRE,
            RETRY,
            Flag::switch("reconnect", "Connect again when the connection is lost"),
            Flag::switch("once", "End when the first connection closes"),
            Flag::value("accept-version", "PATTERN", "Accept versions that match *PATTERN*").default("1 and 1.*"),
        ]),
        Group::new("Subscriptions").flags(&[
            Flag::value("monitor", "CATEGORY", "Subscribe to *CATEGORY*").one_of(MONITOR_WORDS).repeats(),
            Flag::value("register", "EVENT", "Register a trigger for *EVENT*").repeats(),
        ]),
        Group::new("Replies").flags(&[
            Flag::value("reply", "RULE", "Reply to messages that match a pattern").repeats(),
            Flag::switch("stdin", "Send the lines of standard input to every peer"),
            Flag::switch("no-auto", "Turn the built-in replies off"),
        ]),
        Group::new("Output").flags(&[JSON, META, FORMAT, VIEW, MATCH, EXCLUDE]),
        Group::new("Goals").flags(&[
            COUNT,
            Flag::value("expect", "PATTERN", "End when a message matches *PATTERN*").short('e').repeats().common(),
            TIMEOUT,
            IDLE,
        ]),
        Group::new("Recording").flags(&[RECORD, OVERWRITE]),
        Group::new("Limits").flags(&[MAX_LINE, MAX_PAYLOAD]),
        LIVE_GENERAL,
    ],
    rules: &[
        Rule::conflicts(&["addr"], &["connect"], "-a is where to listen, and -c connects instead"),
        Rule::conflicts(&["announce"], &["connect"], "with -c nothing connects to this command"),
        Rule::conflicts(
            &["as", "accept-version", "monitor", "register", "stdin", "no-auto"],
            &["forward", "wire=obe"],
            NO_ROLE,
        ),
        Rule::conflicts(&["connect", "reply"], &["forward"], NO_ROLE),
        Rule::conflicts(&["connect"], OBE, "backbox send --wire obe is the client"),
        Rule::conflicts(&["forward"], OBE, "--forward passes BCP on"),
        Rule::needs(&["canonical"], &["forward"], "it changes what is passed on"),
        Rule::needs(&["retry"], &["connect", "forward"], "only these connect"),
        Rule::needs(&["reconnect"], &["connect"], "a client connects again"),
        Rule::conflicts(&["once"], &["connect"], "-c has one connection and ends with it"),
        Rule::conflicts(&["accept-version"], &["as=pin", "connect"], "only a media controller accepts a version"),
        Rule::conflicts(&["monitor", "register"], &["as=pin"], "clients subscribe to a pin controller"),
        Rule::conflicts(&["view"], &["json", "format"], "each is a form of the same message"),
        Rule::conflicts(&["json"], &["format"], "each is a form of the same message"),
        Rule::needs(&["meta"], &["json"], "it is a member of the JSON; -F has {@time}, {@conn}, {@peer} and {@from}"),
        Rule::conflicts(&["json", "meta", "view"], OBE, "they show BCP messages"),
        Rule::conflicts(&["record"], OBE, "session files hold BCP; write standard output to a file"),
        Rule::needs(&["overwrite"], &["record"], "it replaces the old recording"),
        Rule::conflicts(&["max-line", "max-payload"], OBE, "an OBE_Socket message has up to 64 MiB"),
    ],
    words: None,
    run,
};

/// Resolves and checks everything, then listens or connects, and runs to the end.
///
/// # Errors
/// Options that are wrong, a file that cannot be opened, an address that cannot be used, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let (wire, input, record) = (wire(given), Input::read(given)?, RecordOptions::read(given)?);
    let (address, announce) = (given.value("addr", text)?, given.value("announce", to_write)?);
    refuse_one_file_twice(&[("--announce", announce.as_deref()), ("--record", record.file.as_deref())])?;
    withdraw(announce.as_deref())?;
    let mut observer = observer(given, wire)?;
    let behavior = behavior(given, wire, &input)?;
    observer.recorder = record.open_file()?;
    let mut net = open_net(NetSettings {
        framing: input.framing(wire),
        full: if wire == Wire::Bcp { b"error?message=too%20many%20connections\n" } else { b"" },
        input: given.has("stdin").then(|| StdinReader::stdin(INPUT_BYTES)),
        recording: observer.recorder.take_file(),
        drops_output: given.has("forward"),
        ..NetSettings::default()
    })?;
    let mut peers = Peers::new(behavior, observer);
    if given.has("connect") {
        peers.connect(&mut net)?;
    } else {
        peers.listen(
            &mut net,
            &Place { address: address.as_deref(), port: None, announce: announce.as_deref(), wire },
        )?;
    }
    let outcome = net.run(&mut peers).map_err(|error| Failure::io("cannot wait for connections", &error))?;
    peers.settle(outcome)
}

fn observer(given: &Given, wire: Wire) -> Result<Observer, Failure> {
    let (output, is_forwarding) = (OutputOptions::read(given), given.has("forward"));
    let selection = Selection::read(given, Template::parse_live)?;
    let goals = GoalOptions::read(given)?;
    let style = if given.has("json") {
        Style::Json { meta: given.has("meta") }
    } else if wants_table(given) {
        let is_server_mpf = (given.word("as") == Some("pin")) != given.has("connect");
        Style::Table(Table::new(if is_server_mpf { EndNames::MPF_LISTENED } else { EndNames::MPF_CONNECTED }))
    } else {
        Style::Raw
    };
    let show = selection.show(wire, false, style)?.for_stdout(output.color, is_forwarding);
    let mut observer = Observer::new(output.console(COMMAND.help.name), show);
    if wire == Wire::Bcp {
        note_mistyped_patterns(goals.expected.iter().chain(selection.typed()), &observer.console);
    }
    observer.goals = goals.goals(wire)?;
    observer.limits = TimeLimits::new(goals.time(None), goals.idle);
    observer.traffic = Traffic { is_shown: given.has("verbose") };
    observer.wire = wire;
    observer.is_forwarding = is_forwarding;
    Ok(observer)
}

fn behavior(given: &Given, wire: Wire, input: &Input) -> Result<Behavior, Failure> {
    let (connect, retry) = (given.value("connect", text)?, retry_time(given)?);
    let (role, port, defaults) = match (given.word("as") == Some("pin"), connect.is_some()) {
        (false, false) => (Role::MediaController, MEDIA_PORT, &CATEGORIES_OF_MEDIA),
        (true, true) => (Role::PinController, MEDIA_PORT, &CATEGORIES_OF_MEDIA),
        (true, false) | (false, true) => (Role::Client, PIN_PORT, &CATEGORIES_OF_CLIENT),
    };
    let subscribes = given.has("monitor") || given.has("register");
    if given.has("no-auto") && subscribes && role == Role::MediaController {
        let why = "--no-auto and --monitor or --register cannot be used together: the reply to reset subscribes";
        return Err(Failure::Usage(why.to_owned()));
    }
    let event = |value| match text(value)? {
        event if event.is_empty() => Err("empty event name; write one, such as ball_started".to_owned()),
        event => Ok(event),
    };
    let version = |value| {
        let pattern = Pattern::parse(&format!("hello?version={}", text(value)?), false);
        pattern.map_err(|error| error.to_string())
    };
    let subscriptions = subscriptions(&given.values("monitor", text)?, &given.values("register", event)?, defaults)?;
    let replies = given.values("reply", text)?;
    let replies = replies.iter().map(String::as_str).chain((wire == Wire::Obe).then_some(OBE_REPLY));
    let server =
        |address: Option<String>| address.map(|address| Target::resolve(Some(&address), port, retry)).transpose();
    let config = ConversationConfig {
        subscriptions,
        is_known: Some(catalogue::knows),
        accept_version: given.value("accept-version", version)?,
    };
    Ok(Behavior {
        role,
        config,
        replies: replies.map(|text| Reply::parse(text, wire, input.line_bytes_max)).collect::<Result<_, _>>()?,
        is_mute: given.has("no-auto"),
        is_guarded: role == Role::Client && connect.is_some(),
        once: given.has("once"),
        input: given.has("stdin").then(|| Stream::new(&input.framing(wire))),
        server: server(connect)?,
        target: server(given.value("forward", text)?)?,
        reconnects: given.has("reconnect"),
        canonical: given.has("canonical").then_some(input.line_bytes_max),
    })
}

/// The lines that subscribe to these categories (by default to `defaults`) and these events.
///
/// # Errors
/// [`Failure::Usage`] for `none` and another category, and for an event whose registration would end MPF.
fn subscriptions(monitor: &[String], register: &[String], defaults: &[&str]) -> Result<Vec<u8>, Failure> {
    let words: Vec<&str> = monitor.iter().map(String::as_str).collect();
    let categories = match words.as_slice() {
        [] => defaults,
        ["none"] => &[],
        words if words.contains(&"none") => {
            return Err(Failure::Usage("--monitor none cannot be used with another category".to_owned()));
        }
        words if words.contains(&"all") => CATEGORIES,
        words => words,
    };
    let mut lines = Vec::new();
    push_subscriptions(categories, &mut lines);
    for event in register {
        let start = lines.len();
        write_message("register_trigger", &[("event", event)], &mut lines);
        catalogue::check_line(lines[start..].trim_ascii_end(), None)
            .map_err(|refusal| Failure::Usage(format!("--register: {refusal}")))?;
    }
    Ok(lines)
}

/// Appends the lines that subscribe to these categories.
fn push_subscriptions(categories: &[&str], lines: &mut Vec<u8>) {
    for category in categories {
        write_message("monitor_start", &[("category", category)], lines);
    }
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
    fn no_category_and_another_is_a_usage_error() {
        assert!(matches!(lines(&["none", "modes"], &[]), Err(Failure::Usage(_))));
    }

    #[test]
    fn event_that_would_end_mpf_is_a_usage_error() {
        let failure = lines(&["none"], &["ball_started", "a b"]).unwrap_err();
        let start = "--register: would end MPF 0.81: register_trigger needs event as an event name without spaces";
        assert!(failure.message().is_some_and(|text| text.starts_with(start)), "{failure:?}");
        assert!(matches!(failure, Failure::Usage(_)));
    }
}
