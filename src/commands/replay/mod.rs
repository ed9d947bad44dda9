//! `backbox replay`: plays a recorded session to a peer over a real connection (design.md, section 11).

pub(super) mod check_flags;
pub(super) mod checking;
pub mod clock;
pub(super) mod dry_run;
pub(super) mod exchange;
pub(super) mod follower;
pub(super) mod lateness;
pub(super) mod partner;
pub(super) mod player;
pub(super) mod recording;
pub(super) mod replaying;
pub(super) mod tally;
pub(super) mod updating;
pub(super) mod warnings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bcp::Side;
use crate::cli::{Command, Complete, Example, Flag, Help, Positionals, Section, number, text};
use crate::commands::recorder::RecordOptions;
use crate::commands::result_file::{refuse_one_file_twice, to_write};
use crate::commands::shared::{ConnectOptions, Input, OutputOptions, Verbose, flatten};
use crate::exit::{Exit, Failure};
use crate::session::{CONNECTION_MAX, Kind};
use crate::time;
use check_flags::CheckOptions;
use clock::{Speed, Tempo, parse_max_gap, parse_rate};
use recording::Choice;

/// What `backbox replay` was told.
#[derive(Debug, Default)]
pub struct Options {
    /// `-q` and `--color`.
    pub output: OutputOptions,
    /// `-a` and `--retry`.
    pub connect: ConnectOptions,
    /// `-v`.
    pub verbose: Verbose,
    /// `--record` and `--overwrite`.
    pub record: RecordOptions,
    /// `--speed`, `--rate` and `--max-gap`.
    pub tempo: Tempo,
    /// `--repeat`.
    pub passes: Option<u64>,
    /// `-W`; zero is for ever.
    pub timeout: Duration,
    /// `--loopback`.
    pub loopback: bool,
    /// `--serve`.
    pub serve: bool,
    /// `--announce`.
    pub announce: Option<PathBuf>,
    /// `--check` and the flags about it.
    pub check: CheckOptions,
    /// `--from`.
    pub from: Option<Kind>,
    /// `--conn`.
    pub connection: Option<u32>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--max-line` and `--max-payload`.
    pub limits: Input,
    files: Vec<OsString>,
}

impl Options {
    /// What of the file is played by this side, and how it is read.
    pub fn choice(&self, side: Side) -> Choice {
        Choice { from: self.from, connection: self.connection, side, framing: self.limits.framing() }
    }
}

flatten!(Options {
    output: OutputOptions,
    connect: ConnectOptions,
    verbose: Verbose,
    record: RecordOptions,
    check: CheckOptions,
    limits: Input,
});

/// The table of `backbox replay`.
pub const COMMAND: Command<Options> = Command {
    help: Help {
        name: "replay",
        summary: "play a recorded session to a peer",
        synopsis: &["[*OPTION*]... *FILE*"],
        description: &[
            "Dials and plays what the dialler of a recorded session sent, at the recorded pace, and prints what \
                comes back. \
             What it is doing, and at the end what came of it, is said on standard error, with its lateness: how \
             long behind their times the lines left. The dialler is the side that opened the connection: MPF, when \
             its media controller recorded; whoever recorded, with `send` and `listen -c`.",
            "Its lines leave as they were recorded, and nothing else does but a `goodbye` at the end, unless the \
                recording has \
             one. Lines recorded within 2 ms of each other leave together. After the last it stays as long as the \
             recording went on.",
            "With `--serve` it is dialled, and plays what the other side of the recording said.",
            "*FILE* may also be plain lines of BCP, or a log of MPF or of one of its media controllers.",
        ],
        arguments: &[("*FILE*", "the session, lines or log; `-` is standard input")],
        sections: &[Section {
            title: "Input",
            paragraphs: &[
                "*FILE* is a session of `backbox-session`(5), plain lines of BCP, or a log that one of these programs \
                 has written. What it is tell its first ten lines that are neither blank nor comments; `--from` says \
                 so otherwise. Its kinds:",
                "`session`: a first line `#backbox-session 1`.",
                "`bcp`: plain lines, all of them the dialler's, without times; the first of them has to begin with a \
                 command.",
                "`mpf-file`, `mpf-console`, `mpf-json`: the log file of the Mission Pinball Framework, what it prints, \
                 and either with `--json-logging`. MPF logs BCP with `logging: file: bcp_client: full` (or \
                 `console:`) in the machine's config and `-v`. MPF is the dialler.",
                "`mpf-mc`, `gmc`: the logs of MPF's media controllers. MPF is the dialler.",
                "`monitor-cache`: `cache.txt` of mpf-monitor, which has only what MPF said, as the acceptor.",
                "Logs have no payloads and do not tell connections apart: all their lines are played as those of one, \
                 with times from the first of them. Without a date, a clock that goes back by more than twelve hours \
                 has passed midnight. A line of a log that is damaged, cut, or announces a payload, is reported and \
                 left out, and the exit status is 1.",
                "A file is looked through before anybody is dialled, so that a session with an error is not begun. \
                 Standard input (`-`) is played as it comes: an error in it ends the playing where it stands. What \
                 it is has to be known first, which a session's first line tells at once; of plain lines ten have to \
                 come, unless `--from bcp` says what they are.",
            ],
        }],
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        examples: &[
            Example {
                line: "backbox replay --loopback --speed max game.bcp",
                text: "Plays a game to a media controller of its own, as fast as it goes.",
            },
            Example {
                line: "backbox replay --dry-run mpf.log > game.bcp",
                text: "Turns a log of MPF into a session, which can be edited and played.",
            },
            Example {
                line: "backbox replay -a localhost:5051 --retry 30s service.bcp",
                text: "Plays to MPF what `send --record` sent to it, or `listen -c`.",
            },
            Example {
                line: "backbox replay --check --any-order machine_variable --junit report.xml -a :5051 service.bcp",
                text: "Checks that a fresh MPF answers as it did when this was recorded.",
            },
            Example {
                line: "backbox replay --serve game.bcp",
                text: "Plays the media controller of a game to the MPF that dials it.",
            },
        ],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("backbox-session", 5), ("bcp", 7)],
    },
    flags: &[
        Flag::choice("from", "KIND", &Kind::NAMES, "What *FILE* is", |o: &mut Options, word| {
            o.from = Kind::named(word)
        })
        .more("Its first lines tell otherwise; the kinds are described under INPUT.")
        .group("Input"),
        Flag::value("conn", "N", "Play the connection of this number", |o: &mut Options, value| {
            let number = number(&value)?;
            if !(1..=CONNECTION_MAX).contains(&number) {
                return Err(format!("connections have numbers from 1 to {CONNECTION_MAX}"));
            }
            o.connection = Some(number);
            Ok(())
        })
        .more(
            "Of a session with several connections one is played; without this flag that is an error which \
                       lists them.",
        )
        .group("Input"),
        Flag::switch("dry-run", "Print *FILE* as a session, and dial nobody", |o: &mut Options| o.dry_run = true)
            .more(
                "This turns logs into sessions. A session is printed as it stands, up to its last whole message, plain \
                 lines without their comments, of a log its messages. All connections are printed, or that of \
                 `--conn`. What `decode --lint` would say of the messages is said on standard error.",
            )
            .group("Dry run"),
        Flag::ADDR.more(
            "`HOST:PORT`, `HOST`, `:PORT`, `PORT` or `[::1]:PORT`; `localhost` and the port that the \
                        session names, else \
                     5050, unless given.",
        ),
        Flag::RETRY,
        Flag::switch("loopback", "Play to a media controller in this process", |o: &mut Options| o.loopback = true)
            .more("The one that `backbox listen` is, over a real connection on a free port.")
            .group("Connection"),
        Flag::switch("serve", "Wait to be dialled, and play the other side", |o: &mut Options| o.serve = true)
            .more(
                "Binds `-a`, `127.0.0.1` and the port that the session names, else 5050, unless given, and \
                         plays what the acceptor of the recording said to the first who dials: each line at its time, \
                         and when what the dialler said before it has come.",
            )
            .group("Connection"),
        Flag::value("announce", "FILE", "With --serve, write the address to *FILE*", |o: &mut Options, file| {
            o.announce = Some(to_write(file)?);
            Ok(())
        })
        .more("Once it accepts; an old file is removed at the start. With port 0 it is how to know the port.")
        .complete(Complete::File)
        .group("Connection"),
        Flag::value("speed", "X", "So many times the recorded pace", |o: &mut Options, value| {
            o.tempo.speed = Some(Speed::parse(&text(value)?)?);
            Ok(())
        })
        .more("A number above 0, such as `2` or `0.5`, or `max`: as fast as the peer takes it.")
        .group("Pace"),
        Flag::value("rate", "N", "So many lines a second", |o: &mut Options, value| {
            o.tempo.rate = Some(parse_rate(&text(value)?)?);
            Ok(())
        })
        .more("Whatever was recorded, and for lines without times too. It then leaves after the last.")
        .group("Pace"),
        Flag::value("max-gap", "DURATION", "Wait at most so long between two lines", |o: &mut Options, value| {
            o.tempo.max_gap = Some(parse_max_gap(&text(value)?)?);
            Ok(())
        })
        .more("What follows a wait that was shortened comes earlier by as much.")
        .group("Pace"),
        Flag::value("repeat", "N", "Play the recording *N* times", |o: &mut Options, value| {
            o.passes = Some(number(&value)?);
            Ok(())
        })
        .more(
            "Each pass has a connection of its own and begins when the recording of the one before is over, \
                     on one clock.",
        )
        .group("Pace"),
        Flag::value("timeout", "DURATION", "Take at most so long", |o: &mut Options, value| {
            o.timeout = time::parse_duration(&text(value)?)?;
            Ok(())
        })
        .short('W')
        .more(
            "From the start, dialling included. The exit status is 124 when the last line has not been sent by \
                     then, or with `--check` an answer not been compared. `0`, the default, is for ever.",
        )
        .group("Goals"),
        Flag::CHECK,
        Flag::IGNORE,
        Flag::NOT_COMPARED,
        Flag::ANY_ORDER,
        Flag::EXACT,
        Flag::REPLY_TIMEOUT,
        Flag::FAIL_FAST_CHECK,
        Flag::UPDATE,
        Flag::JUNIT,
        Flag::RECORD,
        Flag::OVERWRITE.more("Those of `--record` and `--junit`."),
        Flag::MAX_LINE,
        Flag::MAX_PAYLOAD,
        Flag::VERBOSE,
        Flag::QUIET,
        Flag::COLOR,
    ],
    positionals: Some(Positionals {
        complete: Complete::File,
        set: |o, word| {
            o.files.push(word);
            Ok(())
        },
    }),
    run,
};

/// Runs `backbox replay`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let file = check(&options)?;
    if options.dry_run {
        let mut console = options.output.console(COMMAND.help.name);
        return dry_run::run(file, options.choice(Side::Client), &mut console);
    }
    replaying::run(&options, file)
}

/// The one file to play; refuses what makes no sense together, with a sentence that says why (design.md, section 8).
fn check(options: &Options) -> Result<&Path, Failure> {
    let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
    let file = match options.files.as_slice() {
        [] => return wrong("a session is missing: write backbox replay FILE"),
        [file] => Path::new(file),
        [_, _, ..] => return wrong("one session is played at a time; write one FILE"),
    };
    let Tempo { speed, rate, max_gap } = options.tempo;
    let plays = options.connect.address.is_some()
        || !options.connect.retry.is_zero()
        || options.loopback
        || options.serve
        || options.announce.is_some()
        || [speed.is_some(), rate.is_some(), max_gap.is_some(), options.passes.is_some()].contains(&true)
        || !options.timeout.is_zero()
        || options.record.file.is_some()
        || options.check.is_on()
        || options.verbose.0;
    let rules = [
        (
            options.dry_run && plays,
            "--dry-run plays nothing: only --from, --conn, --max-line, --max-payload, \
             --quiet and --color go with it",
        ),
        (
            options.loopback && options.connect.address.is_some(),
            "--loopback plays to a media controller in this process, so there is nobody to dial: leave out -a",
        ),
        (
            options.loopback && !options.connect.retry.is_zero(),
            "--loopback plays to a media controller in this process, which is there at once: leave out --retry",
        ),
        (
            options.loopback && options.serve,
            "--loopback plays to a media controller in this process, and --serve to whoever dials: use one of them",
        ),
        (
            options.serve && !options.connect.retry.is_zero(),
            "--retry is about dialling, and --serve waits to be dialled: leave it out",
        ),
        (
            options.serve && options.passes.is_some(),
            "--serve plays to the first who dials, and nobody dials again for it: leave out --repeat",
        ),
        (
            options.announce.is_some() && !options.serve,
            "--announce tells where others may dial, and nobody does: it goes with --serve",
        ),
        (rate.is_some() && speed.is_some(), "--rate is a pace of its own, whatever was recorded: leave out --speed"),
        (
            rate.is_some() && max_gap.is_some(),
            "--rate is a pace of its own, whatever was recorded: leave out --max-gap",
        ),
        (
            options.tempo.is_max() && max_gap.is_some(),
            "--speed max waits for nothing, so there is no gap to shorten: leave out --max-gap",
        ),
        (options.passes == Some(0), "--repeat 0 plays nothing: write 1 or more"),
        (
            options.passes.is_some() && file.as_os_str() == "-",
            "--repeat plays a session again, and standard input can be read once: write it to a file and name that",
        ),
        (
            options.record.overwrite && options.record.file.is_none() && options.check.junit.is_none(),
            "--overwrite is about the files of --record and --junit, and none is given",
        ),
    ];
    let about_a_check = options.check.senseless(options.serve, options.passes.is_some(), file.as_os_str() == "-");
    match rules.iter().find(|(offends, _)| *offends).map(|(_, why)| *why).or(about_a_check) {
        Some(why) => wrong(why),
        None => refuse_one_file_twice(&[
            ("--record", options.record.file.as_deref()),
            ("--junit", options.check.junit.as_deref()),
            ("--announce", options.announce.as_deref()),
        ])
        .map(|()| file),
    }
}
