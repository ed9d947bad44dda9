//! The options of `replay`, and its table for help, man page and completions.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::{Tempo, parse_rate, parse_speed};
use super::source::Choice;
use crate::bcp::Side;
use crate::check::Rules;
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, duration, number, text};
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions};
use crate::commands::result_file::{refuse_one_file_twice, to_write};
use crate::commands::shared::{
    ADDR, ConnectOptions, Input, LIVE_GENERAL, MAX_LINE, MAX_PAYLOAD, OutputOptions, RETRY, VIEW, wants_table,
};
use crate::exit::{Exit, Failure};
use crate::session::{CONNECTION_MAX, Kind, Listed, Settings};
use crate::text::{file_name, shown};

/// What was given.
pub(super) struct Options {
    pub(super) output: OutputOptions,
    pub(super) connect: ConnectOptions,
    pub(super) verbose: bool,
    pub(super) record: RecordOptions,
    pub(super) wants_table: bool,
    pub(super) tempo: Tempo,
    pub(super) repeat: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) loopback: bool,
    pub(super) serve: bool,
    pub(super) announce: Option<PathBuf>,
    check: bool,
    pub(super) update: bool,
    pub(super) fail_fast: bool,
    pub(super) exact: bool,
    ignore: Vec<String>,
    exclude: Vec<String>,
    any_order: Vec<String>,
    pub(super) reply_timeout: Option<Duration>,
    pub(super) junit: Option<PathBuf>,
    from: Option<Kind>,
    connection: Option<u32>,
    pub(super) dry_run: bool,
    pub(super) limits: Input,
    pub(super) files: Vec<OsString>,
}

impl Options {
    pub(super) fn read(given: &Given) -> Result<Options, Failure> {
        let connection = |value| match number(value)? {
            number @ 1..=CONNECTION_MAX => Ok(number),
            _ => Err(format!("connections have numbers from 1 to {CONNECTION_MAX}")),
        };
        let passes = |value| match number(value)? {
            0 => Err("0 plays nothing; write 1 or more".to_owned()),
            passes => Ok(passes),
        };
        Ok(Options {
            output: OutputOptions::read(given),
            connect: ConnectOptions::read(given, "addr")?,
            verbose: given.has("verbose"),
            record: RecordOptions::read(given)?,
            wants_table: wants_table(given),
            tempo: Tempo {
                speed: given.value("speed", |value| parse_speed(&text(value)?))?,
                rate: given.value("rate", |value| parse_rate(&text(value)?))?,
                max_gap: given.value("max-gap", duration)?,
            },
            repeat: given.value("repeat", passes)?,
            timeout: given.value("timeout", duration)?.unwrap_or_default(),
            loopback: given.has("loopback"),
            serve: given.has("serve"),
            announce: given.value("announce", to_write)?,
            check: given.has("check"),
            update: given.has("update"),
            fail_fast: given.has("fail-fast"),
            exact: given.has("exact"),
            ignore: given.values("ignore", text)?,
            exclude: given.values("exclude", text)?,
            any_order: given.values("any-order", text)?,
            reply_timeout: given.value("reply-timeout", duration)?,
            junit: given.value("junit", to_write)?,
            from: given.word("from").and_then(Kind::named),
            connection: given.value("conn", connection)?,
            dry_run: given.has("dry-run"),
            limits: Input::read(given)?,
            files: given.words.clone(),
        })
    }
}

const COMPARES: &[&str] = &["check", "update"];

/// The table of `backbox replay`.
pub const COMMAND: Command = Command {
    help: Help {
        name: "replay",
        summary: "play a recorded session to a peer",
        synopsis: &["[*OPTION*]... *FILE*...", "`--check` [*OPTION*]... *FILE*..."],
        prose: include_str!("../help/replay.md"),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("backbox-session", 5), ("bcp", 7)],
    },
    groups: &[
        Group::new("Input").flags(&[
            Flag::value("from", "KIND", "Read *FILE* as *KIND*")
                .one_of(&Kind::NAMES)
                .more("By default its first lines tell what it is."),
            Flag::value("conn", "N", "Play connection *N* of the recording")
                .more("Without it, a session with several connections is an error that lists them."),
            Flag::switch("dry-run", "Print *FILE* as a session file and do not connect")
                .more(
                    "This converts logs into sessions. A session is printed verbatim, plain lines without their \
                     comments, of a log its messages; `--conn` selects one connection. What `decode --lint` would \
                     report is printed on standard error.",
                )
                .common(),
        ]),
        Group::new("Connection").flags(&[
            ADDR.default("`localhost:5050`").more(
                "The default port is the one that the session names, else 5050. *ADDRESS* is `HOST:PORT`, `HOST`, \
                 `:PORT`, `PORT` or `[::1]:PORT`. With `--serve` it is where to listen.",
            ),
            RETRY,
            Flag::switch("loopback", "Play to the built-in media controller")
                .more("It is the one of `backbox listen`, in this process, over TCP on a free port.")
                .common(),
            Flag::switch("serve", "Wait for a client and play the server's side")
                .more(
                    "Listens on `-a` (default: 127.0.0.1 and the port of the session, else 5050) and plays to the \
                     first client. Each line leaves at its time and after what the client sent before it in the \
                     recording has arrived, or `--reply-timeout` has passed.",
                )
                .common(),
            Flag::value("announce", "FILE", "Write the address to *FILE* when it listens")
                .more("An old file is removed at the start, so a script can wait for the file and then connect.")
                .complete(Complete::File),
        ]),
        Group::new("Pace").flags(&[
            Flag::value("speed", "X", "Play *X* times as fast")
                .more("A number above 0, such as `2` or `0.5`, or `max`: without waiting.")
                .common(),
            Flag::value("rate", "N", "Send *N* messages a second").more("The recorded times do not count."),
            Flag::value("max-gap", "DURATION", "Shorten longer waits to *DURATION*")
                .more("What follows a wait that was shortened leaves earlier by as much."),
            Flag::value("repeat", "N", "Play the recording *N* times")
                .more("Each pass has its own connection. One clock paces them all."),
            Flag::value("timeout", "DURATION", "Exit after *DURATION*").short('W').default("no limit").more(
                "It limits the whole run, connecting included. The exit status is 124 if not all was sent by then, or \
                 with `--check` compared. `0` is no limit.",
            ),
        ]),
        Group::new("Check").flags(&[
            Flag::switch("check", "Compare the replies with the recorded ones")
                .more("Standard output has only the report. Several *FILE*s are played in order, with a line for each.")
                .common(),
            Flag::value("ignore", "NAME", "Do not compare the parameter *NAME*")
                .more("`COMMAND.NAME` is the parameter of this command only; it is split at the first dot.")
                .repeats(),
            Flag::value("exclude", "PATTERN", "Do not compare messages that match *PATTERN*")
                .more("Neither recorded ones nor those that arrive.")
                .repeats(),
            Flag::value("any-order", "PATTERN", "Accept matching replies in any order")
                .more("They may arrive anywhere in their block.")
                .repeats(),
            Flag::switch("exact", "Report messages that were not recorded"),
            Flag::value("reply-timeout", "DURATION", "Wait up to *DURATION* for replies")
                .default("5 s")
                .more("It counts from when the last reply of a block was due as recorded, at any speed."),
            Flag::switch("fail-fast", "Stop at the first difference").more("Nothing more is sent."),
            Flag::switch("update", "Check, and update the recorded replies in *FILE*")
                .more(
                    "Only the replies that differ are rewritten; all else stays, to the byte. A missing reply is \
                     removed; an extra one is added only with `--exact`. Patterns (`#~`) are never changed: when one \
                     fails, the exit status is 1. Nothing is changed if the check does not reach its end, or if \
                     another program changes the file meanwhile.",
                )
                .common(),
            Flag::value("junit", "FILE", "Write a JUnit report to *FILE*")
                .more(
                    "For CI systems: a suite for each session, a case for each recorded reply. It is written at the \
                     end.",
                )
                .complete(Complete::File)
                .common(),
        ]),
        Group::new("Output").flags(&[VIEW]),
        Group::new("Recording").flags(&[RECORD, OVERWRITE]),
        Group::new("Limits").flags(&[MAX_LINE, MAX_PAYLOAD]),
        LIVE_GENERAL,
    ],
    rules: &[
        Rule::conflicts(
            &[
                "addr", "retry", "loopback", "serve", "speed", "rate", "max-gap", "repeat", "timeout", "check",
                "update", "record", "verbose",
            ],
            &["dry-run"],
            "--dry-run does not connect",
        ),
        Rule::conflicts(&["view"], &["dry-run"], "--dry-run prints a session file"),
        Rule::conflicts(&["loopback"], &["addr", "retry"], "the media controller is in this process"),
        Rule::conflicts(
            &["loopback"],
            &["serve"],
            "one plays to a media controller, the other to a client; use one of them",
        ),
        Rule::conflicts(&["serve"], &["retry", "repeat"], "--serve waits for one client and plays to it once"),
        Rule::needs(&["announce"], &["serve"], "nothing connects to it otherwise"),
        Rule::conflicts(&["rate"], &["speed", "max-gap"], "--rate does not use the recorded times"),
        Rule::conflicts(&["max-gap"], &["speed=max"], "--speed max never waits, so there is no gap to shorten"),
        Rule::conflicts(&["repeat"], COMPARES, "a check needs a fresh peer each time; leave out --repeat"),
        Rule::needs(&["ignore", "exclude", "any-order", "exact"], COMPARES, "it changes what is compared"),
        Rule::needs(&["fail-fast"], COMPARES, "it is about differences"),
        Rule::needs(&["reply-timeout"], &["check", "update", "serve"], "replies are waited for only with these"),
        Rule::conflicts(&["update"], &["fail-fast"], "--update needs all differences; leave out --fail-fast"),
        Rule::conflicts(&["update"], &["-"], "--update changes a file; write the session to one"),
        Rule::needs(&["junit"], COMPARES, "it reports differences"),
        Rule::conflicts(&["view"], COMPARES, "standard output has the report; -v shows the traffic"),
        Rule::needs(&["overwrite"], &["record", "junit"], "it replaces the files of these"),
    ],
    words: Some(Complete::File),
    run: super::run,
};

impl Options {
    /// Refuses what makes no sense together and depends on the number of files.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub(super) fn validate(&self) -> Result<(), Failure> {
        let several = self.files.len() > 1;
        let why = match self.files.as_slice() {
            [] => "FILE is missing: write backbox replay FILE",
            _ if several && !self.compares() => "several FILEs need --check; without it, write one FILE",
            _ if several && self.serve => "--serve plays to one client; write one FILE",
            _ => "",
        };
        if !why.is_empty() {
            return Err(Failure::Usage(why.to_owned()));
        }
        for (option, written) in [("--record", &self.record.file), ("--junit", &self.junit)] {
            let place = written.as_ref().and_then(|path| fs::canonicalize(path).ok());
            if place.is_some() && self.files.iter().any(|file| fs::canonicalize(file).ok() == place) {
                let name = written.as_deref().map_or(String::new(), file_name);
                return Err(Failure::Usage(format!("{option} {name} would write over the session that is played")));
            }
        }
        refuse_one_file_twice(&[
            ("--record", self.record.file.as_deref()),
            ("--junit", self.junit.as_deref()),
            ("--announce", self.announce.as_deref()),
        ])
    }

    /// Whether replies are compared.
    pub(super) fn compares(&self) -> bool {
        self.check || self.update
    }

    /// The side that is played.
    pub(super) fn side(&self) -> Side {
        if self.serve { Side::Server } else { Side::Client }
    }

    /// Which lines of the files are played, and how they are read.
    pub(super) fn choice(&self) -> Choice {
        let framing = self.limits.framing();
        Choice { from: self.from, connection: self.connection, side: self.side(), framing }
    }

    /// What is compared: what the options say, and the settings of the file of this name.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an option, [`Failure::Malformed`] for a setting of the file.
    pub(super) fn rules(&self, settings: &Settings, file: &str) -> Result<Rules, Failure> {
        type Add = fn(&mut Rules, &str) -> Result<(), String>;
        let exclude: Add = |rules, text| rules.exclude(text).map_err(|why| why.to_string());
        let any_order: Add = |rules, text| rules.any_order(text).map_err(|why| why.to_string());
        let mut rules = Rules::default();
        for (name, add, given, listed) in [
            ("ignore", Rules::ignore as Add, &self.ignore, &settings.ignore),
            ("exclude", exclude, &self.exclude, &settings.exclude),
            ("any-order", any_order, &self.any_order, &settings.any_order),
        ] {
            for text in given {
                let wrong = |why| Failure::Usage(format!("--{name} {}: {why}", shown(text.as_bytes())));
                add(&mut rules, text).map_err(wrong)?;
            }
            for Listed { number, text } in listed {
                let wrong = |why| Failure::Malformed(format!("{file}:{number}"), format!("setting {name}: {why}"));
                let text = std::str::from_utf8(text).map_err(|_| wrong("not UTF-8".to_owned()))?;
                add(&mut rules, text).map_err(wrong)?;
            }
        }
        Ok(rules)
    }
}
