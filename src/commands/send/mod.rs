//! `backbox send`: one message, or a stream of them, to a running machine. This file has the options, the plan that
//! they become, and the message of the arguments.

mod sender;

use std::path::Path;
use std::time::Duration;

use crate::bcp::template::Template;
use crate::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use crate::catalogue;
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, duration, number, path, text};
use crate::commands::addresses::{OBE_PORT, PIN_PORT, Target};
use crate::commands::arguments::{note_mistyped_patterns, read_message, read_value, unknown_choice};
use crate::commands::goals::{COUNT, EXPECT, GoalOptions, Goals, IDLE, TIMEOUT};
use crate::commands::input::Source;
use crate::commands::obe::ObeSender;
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions, Recorder, Traffic};
use crate::commands::run::{TimeLimits, drive, note_terminal_input, open_net};
use crate::commands::shared::{
    ADDR, EXCLUDE, FORMAT, Input, JSON, LIVE_GENERAL, MATCH, MAX_LINE, MAX_PAYLOAD, OBE, OutputOptions, RETRY,
    Selection, WIRE, patterns, retry_time, wire,
};
use crate::commands::stream::{Outgoing, Pace, Stream};
use crate::exit::{Exit, Failure};
use crate::framing::{FramingError, FramingOptions, Wire};
use crate::limits::READ_BYTES;
use crate::net::{NetSettings, StdinReader};
use crate::output::show::{Show, Style};
use crate::output::{Color, Console};
use crate::text::{is_white, shown};
use sender::Sender;

/// How long a reply is waited for unless `-W` says so: MPF replies at once, and a script should not hang.
const REPLY_TIME: Duration = Duration::from_secs(10);

/// The variable with the address to connect to when there is no `-a`.
const ADDRESS_VARIABLE: &str = "BACKBOX_ADDR";

/// The table of `backbox send`.
pub const COMMAND: Command = Command {
    help: Help {
        name: "send",
        summary: "send messages to MPF and print the replies",
        synopsis: &[
            "[*OPTION*]... *COMMAND* [*NAME*`=`*STRING* | *NAME*`:=`*JSON*]...",
            "[*OPTION*]... [*LINE* | `-`]",
        ],
        prose: concat!(include_str!("../help/send.md"), include_str!("../help/options.md")),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("bcp", 7), ("obe-socket", 7)],
    },
    groups: &[
        Group::new("Connection").flags(&[
            ADDR.default("`localhost:5051`"),
            WIRE,
            RETRY,
            Flag::value("ready", "DURATION", "Wait up to *DURATION* until MPF is ready").common(),
            Flag::switch("hello", "Open the connection as a pin controller"),
            Flag::switch("reconnect", "Connect again after the connection is lost"),
            Flag::switch("no-goodbye", "Leave without `goodbye`"),
        ]),
        Group::new("Messages").flags(&[
            Flag::value("bytes", "FILE", "Send the bytes of *FILE* as the payload").short('b').complete(Complete::File),
            Flag::switch("force", "Send also messages that would stop MPF"),
            Flag::value("repeat", "N", "Send the message *N* times"),
            Flag::value("every", "DURATION", "Send one message every *DURATION*"),
        ]),
        Group::new("Goals").flags(&[
            EXPECT,
            COUNT,
            Flag::switch("wait", "Wait for the reply to the message").short('w').common(),
            TIMEOUT.default("10 s with a goal"),
            IDLE,
            Flag::switch("no-reply", "Do not wait for replies"),
            Flag::value("fail-on", "PATTERN", "Treat a matching reply as a failure").repeats(),
        ]),
        Group::new("Output").flags(&[
            JSON,
            FORMAT,
            MATCH,
            EXCLUDE,
            Flag::switch("all", "Print every message that arrives"),
        ]),
        Group::new("Recording").flags(&[RECORD, OVERWRITE]),
        Group::new("Limits").flags(&[MAX_LINE, MAX_PAYLOAD]),
        LIVE_GENERAL,
    ],
    rules: &[
        Rule::conflicts(&["ready"], OBE, "it waits for MPF"),
        Rule::conflicts(&["hello"], OBE, "OBE_Socket has no handshake"),
        Rule::conflicts(&["reconnect"], OBE, "each message has its own connection"),
        Rule::conflicts(&["no-goodbye"], OBE, "OBE_Socket has no goodbye"),
        Rule::conflicts(&["bytes"], OBE, "OBE_Socket messages have no payload"),
        Rule::needs(&["bytes"], &["COMMAND"], "it is the payload of one message; in a stream each message has its own"),
        Rule::conflicts(&["force"], OBE, "no OBE_Socket message is refused"),
        Rule::needs(&["repeat"], &["COMMAND"], "it repeats the message of the arguments"),
        Rule::needs(&["every"], &["repeat", "-"], "one message has no pace"),
        Rule::conflicts(&["count"], OBE, "each message has one reply"),
        Rule::conflicts(&["wait"], OBE, "each reply is waited for"),
        Rule::needs(&["wait"], &["COMMAND"], "it waits for the reply to one message; -e PATTERN waits for any"),
        Rule::conflicts(&["wait"], &["repeat"], "it waits for one reply; -n N counts the messages that arrive"),
        Rule::conflicts(&["idle"], OBE, "-W limits the wait for each reply"),
        Rule::needs(&["no-reply"], OBE, "BCP messages need no reply"),
        Rule::needs(&["overwrite"], &["record"], "it replaces the old recording"),
        Rule::conflicts(&["no-reply"], &["expect", "timeout"], "there is no reply to wait for"),
        Rule::conflicts(&["json"], OBE, "OBE_Socket messages are JSON already"),
        Rule::conflicts(&["json"], &["format"], "each is a form of the same message"),
        Rule::conflicts(&["record"], OBE, "session files hold BCP messages only"),
        Rule::conflicts(&["max-line", "max-payload"], OBE, "an OBE_Socket message has up to 64 MiB"),
    ],
    words: Some(Complete::Keyed(catalogue::completions)),
    run,
};

/// Sends, prints what arrives, and leaves.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a connection that is lost, and so on.
fn run(given: &Given) -> Result<Exit, Failure> {
    let output = OutputOptions::read(given);
    let mut console = output.console(COMMAND.help.name);
    let (plan, settings) = SendPlan::read(given, output.color, &console)?;
    let mut net = open_net(settings)?;
    if wire(given) == Wire::Obe {
        let mut sender = ObeSender::new(plan, &mut console);
        let unprinted = drive(&mut net, &mut sender)?;
        return sender.finish(unprinted);
    }
    let mut sender = Sender::new(plan, &mut net, &mut console);
    let unprinted = drive(&mut net, &mut sender)?;
    sender.finish(unprinted)
}

/// A run of `send`, everything resolved and checked.
pub(super) struct SendPlan {
    pub(super) target: Target,
    pub(super) messages: Stream,
    pub(super) pace: Pace,
    is_guarded: bool,
    says_hello: bool,
    says_goodbye: bool,
    /// Whether replies are waited for; always, except with `--no-reply`.
    pub(super) waits: bool,
    /// `--ready`.
    ready: Option<Duration>,
    reconnects: bool,
    pub(super) goals: Goals,
    pub(super) limits: TimeLimits,
    /// Whether it stays, though it waits for nothing, until a limit passes.
    stays: bool,
    pub(super) show: Show,
    pub(super) prints_all: bool,
    pub(super) traffic: Traffic,
    pub(super) recorder: Recorder,
}

impl SendPlan {
    fn read(given: &Given, color: Color, console: &Console) -> Result<(SendPlan, NetSettings), Failure> {
        let (wire, record) = (wire(given), RecordOptions::read(given)?);
        let (pace, ready) = (Pace::new(given.value("every", duration)?), given.value("ready", duration)?);
        let (goal_options, selection) = (GoalOptions::read(given)?, Selection::read(given, Template::parse)?);
        let mut goals = goal_options.goals(wire)?;
        goals.fail_on(patterns(wire, "--fail-on", &given.values("fail-on", text)?, false)?);
        if given.has("hello") {
            goals.handshake();
        }
        if wire == Wire::Bcp {
            note_mistyped_patterns(goal_options.expected.iter().chain(selection.typed()), console);
        }
        let style = if given.has("json") { Style::Json { meta: false } } else { Style::Raw };
        let show = selection.show(wire, false, style)?.for_stdout(color, false);
        let framing = Input::read(given)?.framing(wire);
        let messages = messages(given, &framing, &mut goals, console)?;
        let target = target(given, wire)?;
        let is_guarded = wire == Wire::Bcp && !given.has("force");
        if let (Some(message), true) = (messages.of_arguments(), is_guarded) {
            guard(message).map_err(Failure::Refused)?;
        }
        let mut recorder = record.open_file()?;
        recorder.begin(&format!("connecting to {}", target.address), target.address.port)?;
        if messages.is_input {
            note_terminal_input(console);
        }
        let waits = !given.has("no-reply");
        let has_reply_time = goals.are_set() || (wire == Wire::Obe && waits);
        let settings = NetSettings {
            input: messages.is_input.then(|| StdinReader::stdin(READ_BYTES)),
            recording: recorder.take_file(),
            framing,
            ..NetSettings::default()
        };
        let plan = SendPlan {
            target,
            messages,
            pace,
            is_guarded,
            says_hello: given.has("hello"),
            says_goodbye: !given.has("no-goodbye"),
            waits,
            ready,
            reconnects: given.has("reconnect"),
            goals,
            limits: TimeLimits::new(goal_options.time(has_reply_time.then_some(REPLY_TIME)), goal_options.idle),
            stays: goal_options.timeout.is_some() || goal_options.idle.is_some(),
            show,
            prints_all: given.has("all"),
            traffic: Traffic { is_shown: given.has("verbose") },
            recorder,
        };
        Ok((plan, settings))
    }
}

/// Where the messages come from, and the goal that `-w` makes of it.
fn messages(given: &Given, framing: &FramingOptions, goals: &mut Goals, console: &Console) -> Result<Stream, Failure> {
    let (words, payload) = (given.text_words()?, given.value("bytes", path)?);
    let at_least_one = |value| match number(value)? {
        0 => Err("0 sends nothing; write 1 or more".to_owned()),
        times => Ok(times),
    };
    let times = given.value("repeat", at_least_one)?.unwrap_or(1);
    Ok(match (words.as_slice(), framing.wire) {
        ([], _) if given.has("hello") && given.has("every") => {
            return Err(Failure::Usage("--every needs messages: - reads them from standard input".to_owned()));
        }
        ([], _) if given.has("hello") => Stream::default(),
        (words, _) if words.is_empty() || words == ["-"] => Stream::new(framing),
        (words, Wire::Bcp) => {
            let message = Outgoing::read(words, payload.as_deref(), framing, console)?;
            if given.has("wait") {
                goals.expect_reply(message.reply()?);
            }
            Stream::of(message, times)
        }
        (words, Wire::Obe) => {
            let whole = read_value(words, true)?;
            Stream::of(Outgoing { line_length: whole.len(), whole }, times)
        }
    })
}

/// The server to connect to: that of `-a`, else of the variable, else the usual one of the wire.
fn target(given: &Given, wire: Wire) -> Result<Target, Failure> {
    let (host, port) = match wire {
        Wire::Bcp => (None, PIN_PORT),
        Wire::Obe => (Some("127.0.0.1"), OBE_PORT),
    };
    let typed = given.value("addr", text)?;
    let named = std::env::var_os(ADDRESS_VARIABLE).filter(|named| typed.is_none() && !named.is_empty());
    // It may have been set long ago, so an error names it.
    let (is_named, wrong) = (named.is_some(), |why| Failure::Usage(format!("{ADDRESS_VARIABLE}: {why}")));
    let address = named.map(text).transpose().map_err(wrong)?.or(typed);
    match Target::resolve(address.as_deref().or(host), port, retry_time(given)?) {
        Err(Failure::Usage(why)) if is_named => Err(wrong(why)),
        target => target,
    }
}

impl Outgoing {
    /// Reads the arguments: a command and its parameters, or one BCP line with a `?`, sent verbatim.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what is not a message, [`Failure::Io`] and [`Failure::Refused`] for a payload that cannot
    /// be read or is too large.
    pub(crate) fn read(
        words: &[String],
        payload: Option<&Path>,
        limits: &FramingOptions,
        console: &Console,
    ) -> Result<Outgoing, Failure> {
        let line_bytes_max = limits.line_bytes_max;
        let payload = payload.map(|path| Source::payload(path, limits.payload_bytes_max)).transpose()?;
        let mut outgoing = Outgoing::default();
        let line = &mut outgoing.whole;
        match words {
            [typed] if typed.contains('?') => {
                line.extend_from_slice(checked_line(typed, line_bytes_max)?.as_bytes());
                if let Some(payload) = &payload {
                    line.extend_from_slice(format!("&bytes={}", payload.len()).as_bytes());
                }
            }
            words => {
                let mut message = Message::new();
                let notes = read_message(words, &ParseOptions::default(), &mut message)?;
                notes.iter().for_each(|note| console.note(note));
                let form = WriteOptions { line_bytes_max, ..WriteOptions::default() };
                write_line(&message, payload.as_ref().map(Vec::len), &form, line)
                    .map_err(|why| Failure::Usage(why.to_string()))?;
            }
        }
        outgoing.end_line(payload.as_deref());
        Ok(outgoing)
    }

    /// The command that is the reply to this message.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is none.
    pub(crate) fn reply(&self) -> Result<&'static str, Failure> {
        let mut message = Message::new();
        let end = payload_marker(self.line()).map_or(self.line_length, |marker| marker.at);
        let parsed = message.parse_line(&self.whole[..end], &ParseOptions::default());
        parsed.map_err(|why| Failure::Usage(format!("-w: {why}")))?;
        catalogue::reply(&message).ok_or_else(|| {
            let command = message.command();
            let why = if catalogue::knows(&command) { "has no reply" } else { "is unknown, and so is its reply" };
            let advice = unknown_choice(&message);
            let advice = advice.unwrap_or_else(|| "-e PATTERN waits for a message of your choice".to_owned());
            Failure::Usage(format!("-w: {} {why}; {advice}", shown(command.as_bytes())))
        })
    }
}

/// Refuses what would stop MPF, be lost on it, or be misread by it.
///
/// # Errors
/// What would happen, what to write instead, and which option sends it all the same.
pub(crate) fn guard(message: &Outgoing) -> Result<(), String> {
    catalogue::check_line(message.line(), message.payload())
        .map_err(|refusal| format!("{refusal}; --force sends it all the same"))
}

/// A BCP line that was typed, which is sent verbatim.
fn checked_line(line: &str, line_bytes_max: usize) -> Result<&str, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{}: {why}", shown(line.as_bytes())));
    if line.contains(['\n', '\r']) {
        return Err(wrong("a line break ends a message; write several messages to standard input, one a line"));
    }
    if line.bytes().find(|&b| !is_white(b)).is_none_or(|first| first == b'#') {
        return Err(wrong("a comment is not sent: to some peers it is a command; write COMMAND?NAME=VALUE"));
    }
    if line.len() > line_bytes_max {
        return Err(wrong(&FramingError::LineTooLong(line_bytes_max).to_string()));
    }
    match payload_marker(line.as_bytes()).map(|marker| marker.length) {
        None | Some(Some(0)) => Ok(line),
        // The peer would read what follows, our goodbye first, as the payload.
        Some(_) => Err(wrong("it announces a payload; leave out &bytes and give the payload with -b FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Color;

    fn outgoing(words: &[&str]) -> Outgoing {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Outgoing::read(&words, None, &FramingOptions::default(), &Console::new("send", true, Color::Never)).unwrap()
    }

    #[test]
    fn message_knows_its_reply() {
        for (words, expected) in [
            (&["service", "subcommand=coil_pulse", "coil=c_knocker"][..], "coil_pulse"),
            (&["service?subcommand=list_switches"], "list_switches"),
            (&["RESET"], "reset_complete"),
            (&["monitor_start", "category=modes"], "mode_list"),
        ] {
            assert_eq!(outgoing(words).reply().unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn message_without_a_reply_says_what_to_do() {
        for (words, text) in [
            (&["trigger", "name=x"][..], "-w: trigger has no reply; -e PATTERN waits for a message of your choice"),
            (&["foo"], "-w: foo is unknown, and so is its reply; -e PATTERN"),
            (&["service", "subcomand=stop"], "-w: service has no reply; -e PATTERN"),
            (&["service", "subcommand=list"], "-w: service has no reply; unknown subcommand list: "),
            (&["service", "subcommand=start"], "-w: service has no reply; -e PATTERN"),
            (&["monitor_start", "category=events"], "-w: monitor_start has no reply; -e PATTERN"),
            (&["a?n=int:x"], "-w: n: "),
        ] {
            let failure = outgoing(words).reply().unwrap_err();
            assert!(failure.message().unwrap().starts_with(text), "{failure:?}");
        }
    }

    #[test]
    fn line_and_payload_are_separate() {
        let message = outgoing(&["dmd_frame?a=1&bytes=0"]);
        assert_eq!((message.line(), message.payload()), (&b"dmd_frame?a=1&bytes=0"[..], None));
        let message = Outgoing { whole: b"f&bytes=2\nhi".to_vec(), line_length: 9 };
        assert_eq!((message.line(), message.payload()), (&b"f&bytes=2"[..], Some(&b"hi"[..])));
    }
}
