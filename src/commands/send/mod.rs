//! `backbox send`: one message, or a stream of them, to a running machine. This file has the options, and the plan that
//! they become.

mod messages;
mod sender;

use std::time::Duration;

use crate::bcp::template::Template;
use crate::catalogue;
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, duration, number, path, text};
use crate::commands::addresses::{OBE_PORT, PIN_PORT, Target};
use crate::commands::arguments::{note_mistyped_patterns, read_value};
use crate::commands::goals::{COUNT, EXPECT, GoalOptions, Goals, IDLE, TIMEOUT};
use crate::commands::obe::ObeSender;
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions, Recorder, Traffic};
use crate::commands::run::{TimeLimits, drive, note_terminal_input, open_net};
use crate::commands::shared::{
    ADDR, EXCLUDE, FORMAT, Input, JSON, LIVE_GENERAL, MATCH, MAX_LINE, MAX_PAYLOAD, OBE, OutputOptions, RETRY,
    Selection, WIRE, patterns, retry, wire,
};
use crate::commands::stream::{Outgoing, Stream};
use crate::exit::{Exit, Failure};
use crate::framing::{FramingOptions, Wire};
use crate::limits::READ_BYTES;
use crate::net::{NetSettings, StdinReader};
use crate::output::show::{Show, Style};
use crate::output::{Color, Console};
use messages::guard;
use sender::Sender;

pub(super) use messages::Pace;

/// How long a reply is waited for unless `-W` says so: MPF replies at once, and a script should not hang.
const REPLY_TIME: Duration = Duration::from_secs(10);

/// How much is read at a time when one message is sent: memory that is never used counts in a run of a millisecond.
const ONE_SHOT_READ_BYTES: usize = 8 << 10;

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
    pub(super) every: Option<Duration>,
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
        let wire = wire(given);
        let record = RecordOptions::read(given)?;
        let (every, ready) = (given.value("every", duration)?, given.value("ready", duration)?);
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
        let mut framing = Input::read(given)?.framing(wire);
        let messages = messages(given, &framing, &mut goals, console)?;
        let target = target(given, wire)?;
        let is_guarded = wire == Wire::Bcp && !given.has("force");
        if is_guarded {
            messages.given().map_or(Ok(()), guard).map_err(Failure::Refused)?;
        }
        let mut recorder = record.open_file()?;
        recorder.begin(&format!("connecting to {}", target.address), target.address.port)?;
        match messages.is_input {
            true => note_terminal_input(console),
            false => framing.read_bytes = ONE_SHOT_READ_BYTES,
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
            every,
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
    let times = given.value("repeat", |value| match number(value)? {
        0 => Err("0 sends nothing; write 1 or more".to_owned()),
        times => Ok(times),
    })?;
    let times = times.unwrap_or(1);
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
    let (typed, retry) = (given.value("addr", text)?, retry(given)?);
    let (host, port) = match wire {
        Wire::Bcp => (None, PIN_PORT),
        Wire::Obe => (Some("127.0.0.1"), OBE_PORT),
    };
    if typed.is_some() {
        return Target::resolve(typed.as_deref(), port, retry);
    }
    let Some(named) = std::env::var_os(ADDRESS_VARIABLE).filter(|named| !named.is_empty()) else {
        return Target::resolve(host, port, retry);
    };
    // It is named, because nobody typed it with this command.
    let wrong = |why| Failure::Usage(format!("{ADDRESS_VARIABLE}: {why}"));
    match Target::resolve(Some(&text(named).map_err(wrong)?), port, retry) {
        Err(Failure::Usage(why)) => Err(wrong(why)),
        other => other,
    }
}
