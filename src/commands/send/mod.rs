//! `backbox send`: one message, or a stream of them, to a running game (design.md, section 9).

pub(super) mod ledger;
pub(super) mod outgoing;
pub(super) mod pace;
pub(super) mod sender;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::bcp::template::Side;
use crate::catalogue;
use crate::cli::{Command, Complete, Example, Flag, Help, Positionals, Section, number, text};
use crate::commands::arguments::note_mistyped_patterns;
use crate::commands::dial::{PIN_PORT, Target};
use crate::commands::ending::{catch_signals, closing, verdict};
use crate::commands::goal_flags::GoalOptions;
use crate::commands::goals::Goals;
use crate::commands::obe;
use crate::commands::recorder::RecordOptions;
use crate::commands::shared::{self, ConnectOptions, Display, OutputOptions, Selection, Verbose, flatten, patterns};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{RawMessage, Wire};
use crate::net::TcpStream;
use crate::net::dialogue::{self, Reason};
use crate::net::wait::{Input, Output, Stop};
use crate::output::{Console, push_for_terminal};
use crate::time;
use outgoing::{Outgoing, guard};
use pace::Pace;
use sender::{Sender, Source};

/// How long an answer is waited for unless `-W` says so: MPF answers at once, and a script should not hang.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How much of the answers is read at a time when one message is sent.
pub const ONE_SHOT_READ_BYTES: usize = 8 << 10;

/// How often a lost connection is dialled again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// The variable that says where to dial when no `-a` does.
pub const ADDRESS_VARIABLE: &str = "BACKBOX_ADDR";

/// What `backbox send` was told.
#[derive(Debug, Default)]
pub struct Options {
    pub(super) output: OutputOptions,
    pub(super) connect: ConnectOptions,
    pub(super) goals: GoalOptions,
    pub(super) display: Display,
    pub(super) record: RecordOptions,
    pub(super) verbose: Verbose,
    /// `--max-line` and `--max-payload`.
    pub(super) limits: shared::Input,
    pub(super) wait: bool,
    pub(super) fail_on: Vec<String>,
    pub(super) all: bool,
    pub(super) hello: bool,
    pub(super) force: bool,
    pub(super) no_goodbye: bool,
    pub(super) reconnect: bool,
    pub(super) payload: Option<PathBuf>,
    pub(super) repeat: Option<u64>,
    pub(super) every: Option<Duration>,
    /// `--wire`.
    pub(super) wire: Wire,
    pub(super) no_reply: bool,
    /// The message: a command and its parameters, or one BCP line with a `?`; nothing, or `-`, is stdin.
    pub(super) words: Vec<String>,
}

flatten!(Options {
    output: OutputOptions,
    connect: ConnectOptions,
    goals: GoalOptions,
    display: Display,
    display.selection: Selection,
    record: RecordOptions,
    verbose: Verbose,
    limits: shared::Input,
    wire: Wire,
});

/// The table of `backbox send`.
pub const COMMAND: Command<Options> = Command {
    help: Help {
        name: "send",
        summary: "send messages to a running machine",
        synopsis: &[
            "[*OPTION*]... *COMMAND* [*NAME*`=`*TEXT* | *NAME*`:=`*JSON*]...",
            "[*OPTION*]... *LINE*",
            "[*OPTION*]... [`-`]",
        ],
        description: &[
            "Dials, sends, says `goodbye`, and prints what comes back until the other side closes, but for the \
             `hello`, `reset` and `goodbye` that it deals with itself. With arguments it sends one message and leaves \
             standard input alone, so it is safe in a loop that reads lines.",
            "Without arguments, or with `-`, the messages come from standard input, each sent when it arrives: a line \
             that begins with `{` is a message in JSON, any other a line of BCP as it stands. Blank lines and lines \
             that begin with `#` are not sent: to MPF they would be commands.",
            "With `-e`, `-n`, `-w` or `--hello` it waits until all of them are met, for 10 s unless `-W` says \
             otherwise, counted from the first byte that it writes. An answer that is an `error`, or has a parameter \
             `error` that is not false, null or empty, is a failed one: it ends the waiting with status 4, unless a \
             pattern of `-e` asks for an error.",
            "It leaves as MPF needs it: `goodbye`, where it can be in one write with the last message, then the end of \
             its side, then at most 500 ms for the other side to close.",
        ],
        arguments: &[
            ("*COMMAND*", "the command, such as `trigger`"),
            ("*NAME*`=`*TEXT*", "a parameter that is a text"),
            ("*NAME*`:=`*JSON*", "a parameter that is a number, `true`, `false`, `null`, a list or an object"),
            ("*LINE*", "a whole line of BCP, known by its `?`, sent as it stands"),
        ],
        sections: &[
            Section {
                title: "OBE_Socket",
                paragraphs: &[
                    "With `--wire obe` each message goes over a connection of its own, which is closed when its reply \
                     has come; the replies are printed, one a line. A message is one argument that is JSON, or a \
                     *COMMAND* with its parameters, or a line of standard input, where lines that begin with `#` are \
                     passed over. A reply is waited for 10 s unless `-W` says otherwise. `-e` takes a *PATTERN*, or \
                     JSON that a whole reply has to be. Without `-a` and `BACKBOX_ADDR` it dials `127.0.0.1:61981`.",
                ],
            },
            Section { title: "Environment", paragraphs: &["`BACKBOX_ADDR` is where to dial when no `-a` says so."] },
        ],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer, Exit::Time],
        examples: &[
            Example {
                line: "backbox send trigger name=multiball",
                text: "Fires a trigger at the machine on this computer.",
            },
            Example {
                line: "backbox send -a pinball.local switch name=s_start state:=1",
                text: "Closes a switch of a machine elsewhere; its state is a number.",
            },
            Example {
                line: "backbox send -w service subcommand=coil_pulse coil=c_knocker",
                text: "Pulses a coil; the exit status says whether there is one of that name.",
            },
            Example {
                line: "backbox send --retry 60s -W 60s monitor_start category=modes -e 'mode_list?running_modes=[[*'",
                text: "Waits until MPF is ready: it greets seconds before it is, and lists its modes when it is.",
            },
            Example {
                line: "backbox send --wire obe goodset pickiness:=4",
                text: "Asks a measurement server of `optbayesexpt` on this computer for a good setting, and prints it.",
            },
            Example {
                line: "backbox send --retry 30s < game.bcp",
                text: "Sends what the dialler of a recorded session sent.",
            },
        ],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("bcp", 7), ("obe-socket", 7)],
    },
    flags: &[
        Flag::ADDR.more(
            "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`. Otherwise `BACKBOX_ADDR`, and without it \
                     `localhost:5051`, where MPF listens.",
        ),
        Flag::WIRE,
        Flag::RETRY,
        Flag::switch("hello", "Open as a pin controller does", |o: &mut Options| o.hello = true)
            .more(
                "Says `hello`, waits for the answer, says `reset` and waits for `reset_complete`. Alone, without \
                     arguments, it sends nothing else, which tells whether a media controller is there; with `-` the \
                     messages of standard input follow.",
            )
            .group("Connection"),
        Flag::switch("reconnect", "Dial again when the connection is lost", |o: &mut Options| o.reconnect = true)
            .more(
                "Once a second, for as long as `--retry` says, without it for ever. Nothing is sent twice; the \
                         last line that was written is named, since it and lines just before it may be lost. `-W` and \
                         what is waited for go on counting.",
            )
            .group("Connection"),
        Flag::switch("no-goodbye", "Leave without `goodbye`", |o: &mut Options| o.no_goodbye = true)
            .group("Connection"),
        Flag::value("bytes", "FILE", "Send the bytes of *FILE* as the payload", |o: &mut Options, file| {
            o.payload = Some(file.into());
            Ok(())
        })
        .short('b')
        .more("Of the one message of the arguments. `-` is standard input.")
        .complete(Complete::File)
        .group("Messages"),
        Flag::switch("force", "Send what would stop MPF, too", |o: &mut Options| o.force = true)
            .more(
                "Otherwise a line that would end MPF, or be lost on it or misread without a word, is refused: as \
                     an argument before anything is dialled, in a stream alone, with exit status 1 at the end.",
            )
            .group("Messages"),
        Flag::value("repeat", "N", "Send the message *N* times", |o: &mut Options, value| {
            o.repeat = Some(number(&value)?);
            Ok(())
        })
        .group("Messages"),
        Flag::value("every", "DURATION", "Send one message in each *DURATION*", |o: &mut Options, value| {
            o.every = Some(time::parse_duration(&text(value)?)?);
            Ok(())
        })
        .more("With `--repeat` or a stream. The clock starts with the first message, so lateness never adds up.")
        .group("Messages"),
        Flag::EXPECT,
        Flag::COUNT,
        Flag::switch("wait", "End when the answer has come", |o: &mut Options| o.wait = true)
            .short('w')
            .more("The one that the command of the arguments is known to have.")
            .group("Goals"),
        Flag::TIMEOUT,
        Flag::switch("no-reply", "With --wire obe, do not wait for replies", |o: &mut Options| o.no_reply = true)
            .group("Goals"),
        Flag::value("fail-on", "PATTERN", "Take what matches for a failed answer", |o: &mut Options, value| {
            o.fail_on.push(text(value)?);
            Ok(())
        })
        .repeats()
        .group("Goals"),
        Flag::JSON,
        Flag::FORMAT,
        Flag::MATCH,
        Flag::EXCLUDE,
        Flag::switch("all", "Print everything that comes", |o: &mut Options| o.all = true)
            .more("Also what `send` deals with itself, and with `-e` what does not match.")
            .group("Output"),
        Flag::RECORD,
        Flag::OVERWRITE,
        Flag::MAX_LINE,
        Flag::MAX_PAYLOAD,
        Flag::VERBOSE,
        Flag::QUIET,
        Flag::COLOR,
    ],
    positionals: Some(Positionals {
        complete: Complete::Keyed(catalogue::completions),
        set: |o, word| {
            o.words.push(text(word)?);
            Ok(())
        },
    }),
    run,
};

/// Sends, prints what comes back, and leaves.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a connection that is lost, a stdout that cannot be
/// written.
pub fn run(options: Options) -> Result<Exit, Failure> {
    check(&options)?;
    if options.wire == Wire::Obe {
        return obe::send::run(&options);
    }
    let mut console = options.output.console(COMMAND.help.name);
    let show = options.display.show(options.output.color, false)?;
    let mut goals = options.goals.goals(Wire::Bcp)?;
    patterns("--fail-on", &options.fail_on, false)?.into_iter().for_each(|pattern| goals.fail_on(pattern));
    note_mistyped_patterns(options.goals.expected.iter().chain(options.display.selection.typed()), &console);
    let source = source(&options, &mut goals, &console)?;
    let time = options.goals.time(goals.are_set().then_some(ANSWER_TIME));
    let target = where_to_dial(&options, None, PIN_PORT)?;
    if let Source::One { message, .. } = &source {
        if !options.force {
            guard(message.line(), message.payload()).map_err(Failure::Refused)?;
        }
    }
    let recorder = options.record.open(&format!("dialling {}", target.address), target.address.port)?;
    let stop = catch_signals()?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let input = match &source {
        Source::Stream { .. } => Some(Input::stdin().map_err(|error| Failure::io("cannot read <stdin>", &error))?),
        Source::Nothing | Source::One { .. } => None,
    };
    let Some(socket) = target.dial(options.connect.retry, &stop, &console)? else {
        return Ok(stop.signal().map_or(Exit::Done, Exit::Signal));
    };
    let mut framing = options.limits.framing();
    if input.is_none() {
        // Memory that is never used counts in what lasts a millisecond.
        framing.read_bytes = ONE_SHOT_READ_BYTES;
    }
    let mut sender = Sender::new(source, goals, show, &target.address, &mut console);
    sender.hello(options.hello);
    sender.pace = Pace::new(options.every);
    sender.time = time;
    sender.stays = options.goals.timeout.is_some();
    sender.goodbye = !options.no_goodbye;
    sender.all = options.all;
    sender.guarded = !options.force;
    sender.traffic = Traffic::new(options.verbose.0);
    sender.recorder = recorder;
    sender.reconnects = options.reconnect;
    let mut ended = dialogue::converse(socket, framing.clone(), &mut sender, &stop, input.as_ref(), &output);
    while sender.wants_another(&closing(&ended, Side::Client), &ended.unfinished, ended.began) {
        match redial(&target, options.connect.retry, &stop, &sender)? {
            Redialled::Reached(socket) => {
                ended = dialogue::converse(socket, framing.clone(), &mut sender, &stop, input.as_ref(), &output);
            }
            Redialled::Ended(reason) => ended.reason = reason,
        }
    }
    let wanted = sender.finish(&closing(&ended, Side::Client), &ended.unfinished);
    verdict(ended, wanted, &target.address, &mut console)
}

/// Where to dial: as `-a` says, else as the variable does, else `otherwise`. What an address leaves out is `localhost`
/// and `port`.
///
/// # Errors
/// As for [`Target::resolve`]; a variable that holds no address is named, for nobody typed it with this command.
pub fn where_to_dial(options: &Options, otherwise: Option<&str>, port: u16) -> Result<Target, Failure> {
    if let Some(flag) = &options.connect.address {
        return Target::resolve(Some(flag), port);
    }
    let Some(named) = std::env::var_os(ADDRESS_VARIABLE).filter(|named| !named.is_empty()) else {
        return Target::resolve(otherwise, port);
    };
    let wrong = |why| Failure::Usage(format!("{ADDRESS_VARIABLE}: {why}"));
    match Target::resolve(Some(&text(named).map_err(wrong)?), port) {
        Err(Failure::Usage(why)) => Err(wrong(why)),
        other => other,
    }
}

/// What became of dialling again.
enum Redialled {
    Reached(TcpStream),
    /// A signal came, or the time was up.
    Ended(Reason),
}

/// Dials again once a second, until the time of `--retry` or of `-W` is up.
fn redial(target: &Target, retry: Duration, stop: &Stop, sender: &Sender<'_>) -> Result<Redialled, Failure> {
    let failure = |error| Failure::io("cannot wait to dial again", &error);
    let pause = sender.time_left().map_or(RECONNECT_PAUSE, |left| left.min(RECONNECT_PAUSE));
    if stop.wait_until(Instant::now() + pause).map_err(failure)? {
        return Ok(Redialled::Ended(Reason::Stopped(stop.signal())));
    }
    let retry = if retry.is_zero() { Duration::MAX } else { retry };
    let left = sender.time_left();
    match target.dial_again(RECONNECT_PAUSE, left.map_or(retry, |left| left.min(retry)), stop) {
        Ok(Some(socket)) => Ok(Redialled::Reached(socket)),
        Ok(None) => Ok(Redialled::Ended(Reason::Stopped(stop.signal()))),
        Err(_) if left.is_some_and(|left| left < retry) => Ok(Redialled::Ended(Reason::TimeUp)),
        Err(failure) => Err(failure),
    }
}

/// Refuses what makes no sense together.
fn check(options: &Options) -> Result<(), Failure> {
    if options.wire == Wire::Obe {
        obe::send::check(options)?;
    }
    let is_stream = is_stream(&options.words);
    let has_one = !is_stream && !options.words.is_empty();
    let complaint = if options.no_reply && options.wire == Wire::Bcp {
        "--no-reply leaves the reply of OBE_Socket's servers alone: it goes with --wire obe"
    } else if options.repeat.is_some() && !has_one {
        "--repeat sends the message of the arguments again, and there is none: write COMMAND NAME=TEXT"
    } else if options.repeat == Some(0) {
        "--repeat 0 sends nothing: write 1 or more"
    } else if options.payload.is_some() && !has_one {
        "-b is the payload of the message of the arguments: write a COMMAND; a stream carries its payloads itself"
    } else if options.wait && !has_one {
        "-w waits for the answer to the message of the arguments, and there is none; -e PATTERN waits for a message \
         of your choice"
    } else if options.wait && options.repeat.is_some() {
        "-w waits for one answer, and --repeat asks many times; -n N counts the messages that come"
    } else if options.every.is_some() && has_one && options.repeat.is_none() {
        "--every paces a stream or --repeat; one message has no pace"
    } else if options.every.is_some() && options.hello && options.words.is_empty() {
        "--every paces a stream or --repeat, and --hello alone sends neither; - is the stream of standard input"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(complaint.to_owned()))
}

fn is_stream(words: &[String]) -> bool {
    matches!(words, [dash] if dash == "-")
}

/// Where the messages come from, and the goals that come of it.
fn source(options: &Options, goals: &mut Goals, console: &Console) -> Result<Source, Failure> {
    if options.hello {
        goals.handshake();
    }
    match options.words.as_slice() {
        [] if options.hello => Ok(Source::Nothing),
        [] => Ok(Source::stream(&options.limits.framing())),
        words if is_stream(words) => Ok(Source::stream(&options.limits.framing())),
        words => {
            let message = Outgoing::read(words, options.payload.as_deref(), &options.limits.framing(), console)?;
            if options.wait {
                goals.answer(message.answer()?);
            }
            Ok(Source::One { message, times: options.repeat.unwrap_or(1), gone: 0 })
        }
    }
}

/// Appends a message as it stands, or so that it cannot move a terminal's cursor.
pub fn print(message: &RawMessage<'_>, terminal: bool, printed: &mut Vec<u8>) {
    if !terminal {
        return printed.extend_from_slice(message.raw);
    }
    push_for_terminal(message.line, printed);
    if let Some(payload) = message.payload {
        printed.extend_from_slice(format!(" <{} bytes>", payload.len()).as_bytes());
    }
    printed.push(b'\n');
}
