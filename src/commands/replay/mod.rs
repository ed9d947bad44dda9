//! `backbox replay`: plays one side of a recorded session to a peer over a real connection.
//!
//! This file has the options and begins the run, and `replayer` is the handler that plays on the network loop.
//! `playing` is one file on its way, `source` reads recordings, `clock` says when each message is due, `checking` is
//! about checks.

mod checking;
mod clock;
mod dry_run;
mod playing;
mod replayer;
mod source;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bcp::Side;
use crate::check::{CheckConfig, RULES, Rules};
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, duration, number, text};
use crate::commands::addresses::{Place, withdraw};
use crate::commands::listen::peers::Peers;
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions, Traffic};
use crate::commands::result_file::{ResultFile, place, refuse_one_file_twice, to_write};
use crate::commands::run::{TimeLimits, drive, open_net};
use crate::commands::shared::{
    ADDR, LIVE_GENERAL, MAX_LINE, MAX_PAYLOAD, OutputOptions, RETRY, VIEW, retry_time, wants_table,
};
use crate::exit::{Exit, Failure};
use crate::framing::{FramingOptions, Wire};
use crate::net::{Net, NetSettings, ShutdownHandle, SocketAddr, run_in_background};
use crate::output::show::{Show, Style};
use crate::output::table::{EndNames, Table};
use crate::output::{Console, stdout_is_terminal};
use crate::session::Kind;
use crate::text::{file_name, shown};
use checking::Checking;
use clock::Tempo;
use playing::Playing;
use replayer::Replayer;
use source::{Choice, Recording};

/// How long a reply is waited for after it was due, unless `--reply-timeout` says otherwise.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

const COMPARES: &[&str] = &["check", "update"];

/// The table of `backbox replay`.
pub const COMMAND: Command = Command {
    help: Help {
        name: "replay",
        summary: "play a recorded session to a peer",
        synopsis: &["[*OPTION*]... *FILE*...", "`--check` [*OPTION*]... *FILE*..."],
        prose: concat!(include_str!("../help/replay.md"), include_str!("../help/options.md")),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        see_also: &[("backbox", 1), ("backbox-listen", 1), ("backbox-session", 5), ("bcp", 7)],
    },
    groups: &[
        Group::new("Input").flags(&[
            Flag::value("from", "KIND", "Read *FILE* as *KIND*, whatever its first lines are").one_of(&Kind::NAMES),
            Flag::value("conn", "N", "Play connection *N* of a session that has several"),
            Flag::switch("dry-run", "Print *FILE* as a session file and do not connect").common(),
        ]),
        Group::new("Connection").flags(&[
            ADDR.default("`localhost:5050`"),
            RETRY,
            Flag::switch("loopback", "Play to the built-in media controller").common(),
            Flag::switch("serve", "Wait for a client and play the server's side").common(),
            Flag::value("announce", "FILE", "Write the address to *FILE* when it listens").complete(Complete::File),
        ]),
        Group::new("Pace").flags(&[
            Flag::value("speed", "X", "Play *X* times as fast").common(),
            Flag::value("rate", "N", "Send *N* messages a second, whatever the recorded times"),
            Flag::value("max-gap", "DURATION", "Shorten longer waits to *DURATION*"),
            Flag::value("repeat", "N", "Play the recording *N* times, each on its own connection"),
            Flag::value("timeout", "DURATION", "Exit after *DURATION*").short('W').default("no limit"),
        ]),
        Group::new("Check").flags(&[
            Flag::switch("check", "Compare the replies with the recorded ones").common(),
            Flag::value("ignore", "NAME", "Do not compare the parameter *NAME*").repeats(),
            Flag::value("exclude", "PATTERN", "Do not compare messages that match *PATTERN*").repeats(),
            Flag::value("any-order", "PATTERN", "Accept matching replies anywhere in their block").repeats(),
            Flag::switch("exact", "Report messages that were not recorded as differences"),
            Flag::value("reply-timeout", "DURATION", "Wait up to *DURATION* for replies").default("5 s"),
            Flag::switch("fail-fast", "Stop at the first difference"),
            Flag::switch("update", "Check, and update the recorded replies in *FILE*").common(),
            Flag::value("junit", "FILE", "Write a JUnit report to *FILE*").complete(Complete::File).common(),
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
        Rule::conflicts(&["loopback"], &["serve"], "one plays to a media controller, the other to a client"),
        Rule::conflicts(&["serve"], &["retry", "repeat"], "--serve waits for one client and plays to it once"),
        Rule::needs(&["announce"], &["serve"], "nothing connects to it otherwise"),
        Rule::conflicts(&["rate"], &["speed", "max-gap"], "--rate does not use the recorded times"),
        Rule::conflicts(&["max-gap"], &["speed=max"], "--speed max never waits, so there is no gap to shorten"),
        Rule::conflicts(&["repeat"], COMPARES, "a check needs a fresh peer each time; leave out --repeat"),
        Rule::needs(&["ignore", "exclude", "any-order", "exact"], COMPARES, "it changes what is compared"),
        Rule::needs(&["fail-fast", "junit"], COMPARES, "it is about differences"),
        Rule::needs(&["reply-timeout"], &["check", "update", "serve"], "replies are waited for only with these"),
        Rule::conflicts(&["update"], &["fail-fast"], "--update needs all differences; leave out --fail-fast"),
        Rule::conflicts(&["update"], &["-"], "--update changes a file; write the session to one"),
        Rule::conflicts(&["view"], COMPARES, "standard output has the report; -v shows the traffic"),
        Rule::needs(&["overwrite"], &["record", "junit"], "it replaces the files of these"),
    ],
    words: Some(Complete::File),
    run,
};

/// Runs `backbox replay`.
///
/// # Errors
/// Options that make no sense together, and what ends the run.
fn run(given: &Given) -> Result<Exit, Failure> {
    let (options, output) = (ReplayOptions::read(given)?, OutputOptions::read(given));
    let mut console = output.console(COMMAND.help.name);
    if given.has("dry-run") {
        return dry_run::run(Path::new(&given.words[0]), options.choice, &mut console);
    }
    let mut limits = TimeLimits::new(options.timeout, None);
    limits.begin(Instant::now());
    let opened = given.words.iter().map(|file| open(given, &options, Path::new(file), &mut console));
    let opened: Vec<_> = opened.collect::<Result<_, Failure>>()?;
    let (port, overwrite) = (opened[0].0.port(), options.record.overwrite);
    let junit = options.junit.as_ref().map(|path| ResultFile::new(path, "the report", overwrite)).transpose()?;
    let mut recorder = options.record.open_file()?;
    let mut net = open_net(NetSettings {
        framing: options.choice.framing.clone(),
        recording: recorder.take_file(),
        ..NetSettings::default()
    })?;
    let start = || start_media_controller(options.choice.framing.clone(), &output);
    let media = given.has("loopback").then(start).transpose()?;
    let (address, announce) = (options.address.as_deref(), options.announce.as_deref());
    let place = Place { address, port: Some(port), announce, wire: Wire::Bcp };
    let bound = given.has("serve").then(|| place.listen(&mut net)).transpose()?;
    let own = media.as_ref().map(|(address, _)| *address).or(bound);
    let files = opened.into_iter().map(|opened| Playing::new(&options, opened, own));
    let files: Vec<Playing> = files.collect::<Result<_, Failure>>()?;
    let address = &files[0].target.address;
    let verb = if bound.is_some() { "listening on" } else { "connecting to" };
    recorder.begin(&format!("{verb} {address}"), address.port)?;
    let mut replayer = Replayer {
        files,
        current: 0,
        is_over: false,
        side: options.choice.side,
        is_colored: output.color.is_on(stdout_is_terminal()),
        limits,
        traffic: Traffic { is_shown: given.has("verbose") },
        recorder,
        show: show(given, port, options.choice.side).for_stdout(output.color, false),
        progress: console.progress(),
        console: &mut console,
    };
    replayer.begin(&mut net);
    if let Some(bound) = bound {
        place.announce(bound)?;
    }
    drive(&mut net, &mut replayer)?;
    // What the built-in media controller reports counts where it is not compared.
    let peers = media.and_then(|(_, stop)| stop()).filter(|_| !compares(given));
    replayer.finish(junit.as_ref(), peers.map_or(Exit::Success, |peers| peers.observer.console.worst()))
}

/// Prints a table, or what the peer sends. In a table, what is sent from the recording is dimmed.
fn show(given: &Given, port: u16, side: Side) -> Show {
    let mut table = Table::new(EndNames::of_port(port));
    table.dimmed = Some(side);
    let style = if wants_table(given) { Style::Table(table) } else { Style::Raw };
    Show::new(style, Vec::new(), Vec::new())
}

/// Opens a file, reports what the guard finds in it, and prepares its check.
///
/// # Errors
/// It cannot be read, played or checked.
fn open(
    given: &Given,
    options: &ReplayOptions,
    path: &Path,
    console: &mut Console,
) -> Result<(Recording, Option<Checking>), Failure> {
    let mut recording = Recording::open(path, options.choice.clone())?;
    // The built-in media controller is no MPF.
    recording.survey(!given.has("loopback"), console)?;
    let checks = compares(given) || given.has("serve");
    let checking = checks.then(|| Checking::prepare(given, options.check.clone(), path, &mut recording)).transpose()?;
    Ok((recording, checking))
}

/// Starts the media controller of `--loopback` in a thread of its own, on a free port.
///
/// # Errors
/// The system gives no socket or thread.
fn start_media_controller(
    framing: FramingOptions,
    output: &OutputOptions,
) -> Result<(SocketAddr, ShutdownHandle<Peers>), Failure> {
    let start = |error| Failure::io("cannot start the built-in media controller", &error);
    let mut net = Net::new(NetSettings { framing, ..NetSettings::default() }).map_err(start)?;
    let place = Place { address: None, port: Some(0), announce: None, wire: Wire::Bcp };
    let address = place.listen(&mut net)?;
    let peers = Peers::built_in(output.console(COMMAND.help.name));
    Ok((address, run_in_background(net, peers).map_err(start)?))
}

/// What the options mean, as far as a value may be wrong. Switches are read where they are used.
struct ReplayOptions {
    pub choice: Choice,
    pub tempo: Tempo,
    pub passes: u64,
    /// `-W`, if it is a limit.
    pub timeout: Option<Duration>,
    pub address: Option<String>,
    pub retry: Duration,
    /// What is compared, but for the settings of the files.
    pub check: CheckConfig,
    pub record: RecordOptions,
    pub announce: Option<PathBuf>,
    pub junit: Option<PathBuf>,
}

impl ReplayOptions {
    /// # Errors
    /// [`Failure::Usage`] for a value that is wrong, and for what makes no sense together.
    fn read(given: &Given) -> Result<ReplayOptions, Failure> {
        let passes = |value| match number(value)? {
            0 => Err("0 plays nothing; write 1 or more".to_owned()),
            passes => Ok(passes),
        };
        let timeout: Option<Duration> = given.value("timeout", duration)?;
        let options = ReplayOptions {
            choice: Choice::read(given)?,
            tempo: Tempo::read(given)?,
            passes: given.value("repeat", passes)?.unwrap_or(1),
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            address: given.value("addr", text)?,
            retry: retry_time(given)?,
            check: check_config(given)?,
            record: RecordOptions::read(given)?,
            announce: given.value("announce", to_write)?,
            junit: given.value("junit", to_write)?,
        };
        options.refuse_files(given)?;
        Ok(options)
    }

    /// Refuses a number of files that does not fit, and one that would be written over.
    fn refuse_files(&self, given: &Given) -> Result<(), Failure> {
        let why = match given.words.len() {
            0 => "FILE is missing: write backbox replay FILE",
            2.. if !compares(given) => "several FILEs need --check; without it, write one FILE",
            2.. if given.has("serve") => "--serve plays to one client; write one FILE",
            _ => "",
        };
        if !why.is_empty() {
            return Err(Failure::Usage(why.to_owned()));
        }
        let (record, junit, announce) = (self.record.file.as_deref(), self.junit.as_deref(), self.announce.as_deref());
        for (option, written) in [("--record", record), ("--junit", junit), ("--announce", announce)] {
            let Some(written) = written else { continue };
            let is_written =
                |file: &&OsString| *file != "-" && fs::canonicalize(file).is_ok_and(|file| file == place(written));
            if given.words.iter().any(|file| is_written(&file)) {
                let name = file_name(written);
                return Err(Failure::Usage(format!("{option} {name} would write over the session that is played")));
            }
        }
        refuse_one_file_twice(&[("--record", record), ("--junit", junit), ("--announce", announce)])?;
        withdraw(announce)
    }
}

/// Whether replies are compared.
fn compares(given: &Given) -> bool {
    given.has("check") || given.has("update")
}

fn check_config(given: &Given) -> Result<CheckConfig, Failure> {
    let mut rules = Rules::default();
    let texts = [given.values("ignore", text)?, given.values("exclude", text)?, given.values("any-order", text)?];
    for (name, texts) in RULES.into_iter().zip(texts) {
        for rule in texts {
            let wrong = |why| Failure::Usage(format!("--{name} {}: {why}", shown(rule.as_bytes())));
            rules.add(name, &rule).map_err(wrong)?;
        }
    }
    let reply_timeout = given.value("reply-timeout", duration)?.unwrap_or(REPLY_TIMEOUT);
    let (exact, fail_fast) = (given.has("exact"), given.has("fail-fast"));
    Ok(CheckConfig { rules, exact, reply_timeout, fail_fast, last_goodbye: None })
}
