//! The options of `replay`, and its table for help, man page and completions.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::Tempo;
use super::source::Choice;
use crate::check::{CheckConfig, RULES, Rules};
use crate::cli::{Command, Complete, Flag, Given, Group, Help, Rule, duration, number, text};
use crate::commands::addresses::withdraw;
use crate::commands::recorder::{OVERWRITE, RECORD, RecordOptions};
use crate::commands::result_file::{refuse_one_file_twice, to_write};
use crate::commands::shared::{ADDR, LIVE_GENERAL, MAX_LINE, MAX_PAYLOAD, RETRY, VIEW, retry};
use crate::exit::{Exit, Failure};
use crate::session::Kind;
use crate::text::{file_name, shown};

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
    run: super::run,
};

/// What the options mean, as far as a value may be wrong. Switches are read where they are used.
pub(super) struct ReplayOptions {
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
    pub(super) fn read(given: &Given) -> Result<ReplayOptions, Failure> {
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
            retry: retry(given)?,
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
        let (record, junit) = (self.record.file.as_deref(), self.junit.as_deref());
        for (option, written) in [("--record", record), ("--junit", junit)] {
            let Some((written, place)) = written.and_then(|path| Some((path, fs::canonicalize(path).ok()?))) else {
                continue;
            };
            if given.words.iter().any(|file| fs::canonicalize(file).is_ok_and(|file| file == place)) {
                let name = file_name(written);
                return Err(Failure::Usage(format!("{option} {name} would write over the session that is played")));
            }
        }
        let announce = self.announce.as_deref();
        refuse_one_file_twice(&[("--record", record), ("--junit", junit), ("--announce", announce)])?;
        withdraw(announce)
    }
}

/// Whether replies are compared.
pub(super) fn compares(given: &Given) -> bool {
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
