//! `backbox listen`: its flags, and which of them make no sense together (design.md, section 10).

pub(super) mod canonical;
pub(super) mod listener;
pub(super) mod media;
pub(super) mod parting;
pub(super) mod printing;
pub(super) mod reply;
pub(super) mod serving;
pub(super) mod tapping;

use std::path::PathBuf;

use crate::bcp::pattern::Pattern;
use crate::cli::{Command, Complete, Example, Flag, Help, Section, text};
use crate::commands::goal_flags::GoalOptions;
use crate::commands::obe;
use crate::commands::recorder::RecordOptions;
use crate::commands::result_file::{refuse_one_file_twice, to_write};
use crate::commands::shared::{ConnectOptions, Display, Input, OutputOptions, Selection, Verbose, address, flatten};
use crate::exit::{Exit, Failure};
use crate::framing::Wire;
use listener::Part;
use media::category_words;
use reply::Reply;

/// What `backbox listen` was told.
#[derive(Debug, Default)]
pub struct Options {
    /// `-q` and `--color`.
    pub output: OutputOptions,
    /// `-v`.
    pub verbose: Verbose,
    /// `--max-line` and `--max-payload`.
    pub input: Input,
    /// What is printed, and how.
    pub display: Display,
    /// `-e`, `-n` and `-W`.
    pub goals: GoalOptions,
    /// `--record`.
    pub record: RecordOptions,
    /// Where to bind; port 0 takes a free one.
    pub address: Option<String>,
    /// The file that gets the address once it accepts.
    pub announce: Option<PathBuf>,
    /// `-c`, and how patiently.
    pub connect: ConnectOptions,
    /// The categories to subscribe to, or `all`, or `none`; empty is the default list.
    pub monitor: Vec<String>,
    /// The events to register for.
    pub register: Vec<String>,
    /// `--reply`, as given.
    pub replies: Vec<String>,
    /// `--wire`.
    pub wire: Wire,
    /// `--no-auto`.
    pub silent: bool,
    /// `--accept-version`.
    pub accepts: Option<Pattern>,
    /// `--forward`.
    pub forward: Option<String>,
    /// `--canonical`.
    pub canonical: bool,
    /// `--stdin`.
    pub stdin: bool,
    /// Whether the first connection that closes ends it.
    pub once: bool,
    /// `--as pin`.
    pub as_pin: bool,
    /// `-c`.
    pub connects: bool,
    /// `--reconnect`.
    pub reconnects: bool,
}

impl Options {
    /// What `--reply` says.
    ///
    /// # Errors
    /// [`Failure::Usage`] that shows the reply and what to write.
    pub fn replies(&self) -> Result<Vec<Reply>, Failure> {
        let parse = |text: &String| match self.wire {
            Wire::Bcp => Reply::parse(text, self.input.line_bytes_max),
            Wire::Obe => Reply::parse_value(text),
        };
        let complaint = |why| Failure::Usage(format!("--reply: {why}"));
        self.replies.iter().map(|text| parse(text).map_err(complaint)).collect()
    }

    /// Which part is played.
    pub fn part(&self) -> Part {
        match (self.as_pin, self.connects) {
            (false, false) => Part::Media,
            (true, false) => Part::Pin,
            (true, true) => Part::DiallingPin,
            (false, true) => Part::Attached,
        }
    }
}

flatten!(Options {
    output: OutputOptions,
    verbose: Verbose,
    input: Input,
    display: Display,
    display.selection: Selection,
    goals: GoalOptions,
    record: RecordOptions,
    connect: ConnectOptions,
    wire: Wire,
});

/// The table of `backbox listen`.
pub const COMMAND: Command<Options> = Command {
    help: Help {
        name: "listen",
        summary: "be the media controller of whoever dials, and print what comes",
        synopsis: &["[*OPTION*]..."],
        description: &[
            "Binds, serves everyone who dials, many at once, and prints the messages that come as they stand, payloads \
             too. It answers `hello`, and commands that nobody knows with an `error`. To the first `reset` of a \
             connection it subscribes and says `reset_complete`, in one write: without subscriptions a whole game is \
             two lines.",
            "With `--as pin` it is a stand-in for MPF, and greets with `hello`; with `-c` it joins a running MPF and \
             subscribes, or as pin controller dials a media controller.",
            "With `--forward` it is a tap in between two programs, which prints what both say.",
            "With `--wire obe` it is a server of OBE_Socket at `127.0.0.1:61981`: each message is printed and answered \
             with `\"OK\"`, or with what `--reply` says, and a bad frame costs its own connection. A *PATTERN* may be \
             JSON there, which a whole message has to be.",
            "It ends with a signal, when nobody reads its output any more, with `--once`, and with `-n`, `-e` or `-W`. \
             Leaving it says `goodbye`, which ends an MPF whose `exit_on_close` is true (its default).",
            "A malformed line is printed all the same, reported on standard error, and answered with an `error`. A \
             peer that does not read is reset; one that speaks HTTP is dropped.",
        ],
        arguments: &[],
        sections: &[Section {
            title: "Replies",
            paragraphs: &[
                "`--reply '`*PATTERN*` => `*LINE*`'` answers each message that matches, in the place of the built-in \
                 answer; the first that matches counts. A *PATTERN* is one of `backbox decode`.",
                "*LINE* is a message. A value that is exactly `{`*NAME*`}` becomes that parameter of the message that \
                 is answered, with its type; inside other text it is the parameter's text, and nothing when there is \
                 none. The answer is encoded like any other, so no value can end its line. Other braces stand for \
                 themselves. An empty *LINE* says that the command is known and not answered.",
                "An `error` is never answered. A reply that was given 1000 times in a second on one connection is \
                 stopped, which is said: two programs that answer each other would not stop.",
            ],
        }],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer, Exit::Time],
        examples: &[
            Example {
                line: "backbox listen --record game.bcp -q > /dev/null",
                text: "Records both directions of a game, with times.",
            },
            Example {
                line: "backbox listen -c localhost:5051 -m device -F '{name} {state}'",
                text: "Joins a running MPF and watches its devices.",
            },
            Example {
                line: "backbox listen --as pin --reply 'trigger?name=* => switch?name={name}&state=int:1'",
                text: "Is a stand-in for MPF that answers each trigger with a switch.",
            },
            Example {
                line: "backbox listen --forward :5052 --canonical --json",
                text: "Stands between MPF and a media controller on port 5052, shows what both say, and cures what MPF \
                       sends.",
            },
            Example { line: "backbox listen > game.bcp", text: "Captures what MPF says to its media controller." },
            Example {
                line: "backbox listen --monitor switches | backbox decode",
                text: "Watches the switches, as JSON.",
            },
            Example {
                line: "backbox listen -a 127.0.0.1:0 --announce addr --once",
                text: "Takes a free port, writes it to a file, and ends when the first peer closes.",
            },
        ],
        see_also: &[("backbox", 1), ("backbox-send", 1), ("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    flags: &[
        Flag::value("addr", "ADDRESS", "Where to bind", |o: &mut Options, value| {
            o.address = Some(address(value)?);
            Ok(())
        })
        .short('a')
        .more(
            "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; `127.0.0.1:5050`, where MPF dials, \
                     unless given. Port 0 takes a free one. BCP has no authentication, so it says when others than \
                     this machine can dial.",
        )
        .group("Connection"),
        Flag::value("announce", "FILE", "Write the address to *FILE* once it accepts", |o: &mut Options, value| {
            o.announce = Some(to_write(value)?);
            Ok(())
        })
        .more("An old file is removed at the start, so whoever waits for it may dial when it is there.")
        .complete(Complete::File)
        .group("Connection"),
        Flag::choice("as", "ROLE", &["media", "pin"], "Which part to play", |o: &mut Options, role| {
            o.as_pin = role == "pin";
        })
        .more(
            "`media`, the default, is a media controller. `pin` is a pin controller: it greets whoever dials, \
                     or with `-c` dials, says `hello` and `reset`, and stays; what more it says comes from `--stdin` \
                     and `--reply`.",
        )
        .group("Connection"),
        Flag::value("connect", "ADDRESS", "Dial instead of waiting to be dialled", |o: &mut Options, value| {
            o.connects = true;
            o.connect.address = Some(address(value)?);
            Ok(())
        })
        .short('c')
        .more(
            "`localhost` and 5051, where MPF listens, for what is left out; with `--as pin` 5050. Joining, it \
                     subscribes at once, to `devices`, `events`, `modes`, `machine_vars` and `player_vars` unless told \
                     otherwise. `-W` counts from the first dial. The other side's end without a `goodbye` is exit \
                     status 3.",
        )
        .group("Connection"),
        Flag::value("forward", "ADDRESS", "Pass both directions through to *ADDRESS*", |o: &mut Options, value| {
            o.forward = Some(address(value)?);
            Ok(())
        })
        .more(
            "In between two programs, it prints what both say and adds nothing of its own. \
                     Nothing that happens to its output slows or ends them: what standard output or a recording \
                     cannot take is left out and counted. A dialler is reset when the target does not take the call; \
                     `--retry` has it wait.",
        )
        .group("Connection"),
        Flag::switch("canonical", "With --forward, cure what the dialler sends", |o: &mut Options| o.canonical = true)
            .more(
                "Each line that parses is passed on in the form that `encode` writes, which every known decoder \
                     reads alike: for media controllers that break on `&`, `?`, `#` or `%`. A line that would pass \
                     65536 bytes stays as it was; payloads are never touched.",
            )
            .group("Connection"),
        Flag::WIRE,
        Flag::RETRY,
        Flag::switch("reconnect", "With -c, dial again when the connection is lost", |o: &mut Options| {
            o.reconnects = true
        })
        .more(
            "And subscribe again, also when the other side said `goodbye`: an MPF that is started again is \
                     watched again. Once a second, for as long as `--retry` says, without it for ever. `-W` and what \
                     is waited for go on counting, and standard input waits.",
        )
        .group("Connection"),
        Flag::switch("once", "End when the first connection closes", |o: &mut Options| o.once = true)
            .group("Connection"),
        Flag::value("accept-version", "V", "Versions to accept", |o: &mut Options, value| {
            let pattern = text(value)?;
            let accepted = Pattern::parse(&format!("hello?version={pattern}"), false);
            o.accepts = Some(accepted.map_err(|error| error.to_string())?);
            Ok(())
        })
        .more("`1` and `1.*` unless given; `*` is any text. The answer names `1.1` all the same.")
        .group("Connection"),
        Flag::value("monitor", "CATEGORY", "Subscribe to this category", |o: &mut Options, value| {
            o.monitor.push(text(value)?);
            Ok(())
        })
        .more(
            "Replaces the default list, which for a media controller is `core_events`, `service_events`, \
                     `modes`, `player_vars`, `machine_vars`. `all` and `none` are words too.",
        )
        .repeats()
        .complete(Complete::List(category_words))
        .group("Subscriptions"),
        Flag::value("register", "EVENT", "Ask for a trigger when this event happens", |o: &mut Options, value| {
            o.register.push(event(text(value)?)?);
            Ok(())
        })
        .repeats()
        .group("Subscriptions"),
        Flag::value("reply", "RULE", "Answer what matches with a line", |o: &mut Options, value| {
            o.replies.push(text(value)?);
            Ok(())
        })
        .more("With `--wire obe` it is *PATTERN*` => `*JSON*, or one JSON value that answers everything.")
        .repeats()
        .group("Replies"),
        Flag::switch("stdin", "Send the lines on standard input to every peer", |o: &mut Options| o.stdin = true)
            .more("BCP or JSON, as `send` reads them, from when the first peer is there. Their end ends nothing.")
            .group("Replies"),
        Flag::switch("no-auto", "Answer nothing by itself", |o: &mut Options| o.silent = true)
            .more("Not `hello`, not `reset`, not what is unknown. `--reply` answers all the same.")
            .group("Replies"),
        Flag::JSON,
        Flag::META,
        Flag::LIVE_FORMAT,
        Flag::MATCH,
        Flag::EXCLUDE,
        Flag::COUNT,
        Flag::value("expect", "PATTERN", "End when a message matches", |o: &mut Options, value| {
            o.goals.expected.push(text(value)?);
            Ok(())
        })
        .short('e')
        .more("Each of several has to be met by some message. What is printed is the business of `-m`.")
        .repeats()
        .group("Goals"),
        Flag::TIMEOUT,
        Flag::RECORD,
        Flag::OVERWRITE,
        Flag::MAX_LINE,
        Flag::MAX_PAYLOAD,
        Flag::VERBOSE,
        Flag::QUIET,
        Flag::COLOR,
    ],
    positionals: None,
    run,
};

/// An event's name, which no event has when it is empty.
fn event(name: String) -> Result<String, String> {
    match name.as_str() {
        "" => Err("an event has a name: write one, such as ball_started".to_owned()),
        _ => Ok(name),
    }
}

/// Runs `backbox listen`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
pub fn run(options: Options) -> Result<Exit, Failure> {
    check(&options)?;
    match &options.forward {
        _ if options.wire == Wire::Obe => obe::listen::run(&options),
        Some(target) => tapping::run(&options, target),
        None => serving::run(&options),
    }
}

/// Refuses what makes no sense together, with a sentence that says why (design.md, section 8).
fn check(options: &Options) -> Result<(), Failure> {
    if options.wire == Wire::Obe {
        obe::listen::check(options)?;
    }
    let part = options.part();
    let forwards = options.forward.is_some();
    let subscribes = !options.monitor.is_empty() || !options.register.is_empty();
    let rules = [
        (part.dials() && options.address.is_some(), "-a says where to listen, and -c dials instead: use one of them"),
        (
            part.dials() && options.announce.is_some(),
            "--announce tells where others may dial, and with -c nobody does: leave it out",
        ),
        (options.reconnects && !part.dials(), "--reconnect dials again: it goes with -c"),
        (part.dials() && options.once, "-c has one connection and ends with it: leave out --once"),
        (
            !part.dials() && !forwards && !options.connect.retry.is_zero(),
            "--retry is about dialling: it goes with -c or --forward",
        ),
        (forwards && (options.as_pin || options.connects), "--forward plays no part of its own: leave out --as and -c"),
        (forwards && subscribes, "--forward says nothing of its own: leave out --monitor and --register"),
        (
            forwards && (!options.replies.is_empty() || options.stdin || options.silent || options.accepts.is_some()),
            "--forward says nothing of its own: leave out --reply, --stdin, --no-auto and --accept-version",
        ),
        (options.canonical && !forwards, "--canonical rewrites what is passed on: it goes with --forward"),
        (options.as_pin && subscribes, "--as pin is who others subscribe to: leave out --monitor and --register"),
        (
            matches!(part, Part::Pin | Part::Attached) && options.accepts.is_some(),
            "--accept-version judges a hello that is answered, and here none is: leave it out",
        ),
        (
            options.silent && part == Part::Media && subscribes,
            "--no-auto does not answer the reset, and that answer subscribes: leave out --monitor and --register",
        ),
    ];
    match rules.iter().find(|(offends, _)| *offends) {
        Some((_, why)) => Err(Failure::Usage((*why).to_owned())),
        None => refuse_one_file_twice(&[
            ("--announce", options.announce.as_deref()),
            ("--record", options.record.file.as_deref()),
        ]),
    }
}
