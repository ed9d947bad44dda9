//! The subcommands: a file or a folder each, with its options, its table of flags, its checks of what makes no sense,
//! and its run. What several of them share stands beside them; what the second wire does, in `obe`.
//!
//! This is where what was typed becomes what is done; how a line is read and how bytes travel is known below.

mod arguments;
mod binding;
mod decode;
mod dial;
mod encode;
mod ending;
mod goal_flags;
mod goals;
mod lint;
mod listen;
#[cfg(test)]
mod man_tests;
mod obe;
mod recorder;
#[allow(dead_code)] // Until the commands are ported.
mod recording;
pub mod replay;
mod result_file;
mod run;
mod send;
mod shared;
mod source;
mod stream;
mod strings;
#[cfg(test)]
mod table_tests;
mod traffic;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::catalogue;
use crate::cli::{BOLD, Example, Help, Invocation, PLAIN, Program};
use crate::exit::{Exit, Failure};
use crate::output::{Color, Output, say, stdout_is_terminal};

/// The program as its help, man pages and completions see it.
pub(crate) const PROGRAM: Program = Program {
    help: Help {
        name: "backbox",
        summary: "talk to pinball machines in the Backbox Control Protocol",
        synopsis: &["*SUBCOMMAND* [*OPTION*]... [*ARGUMENT*]..."],
        description: &[
            "BCP is the line protocol between a pinball machine's controller, such as the Mission Pinball Framework, \
             and its media controller. `backbox` turns strings and JSON into BCP and back, sends messages to a running \
             machine, stands in for a media controller, and replays captured sessions.",
            "`backbox` *SUBCOMMAND* `-h` is a short help, `--help` the whole page.",
        ],
        arguments: &[],
        sections: &[],
        exits: &[Exit::Done, Exit::No, Exit::Usage, Exit::Io, Exit::Peer, Exit::Time],
        examples: &[
            Example { line: "backbox encode trigger name='HIGH SCORE #2'", text: "Prints one line of BCP." },
            Example { line: "backbox decode game.bcp", text: "Prints each message of a capture as a line of JSON." },
        ],
        see_also: &[("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    version: env!("CARGO_PKG_VERSION"),
    subcommands: &[&encode::COMMAND, &decode::COMMAND, &send::COMMAND, &listen::COMMAND, &replay::COMMAND],
    alias_hint,
};

/// What somebody wants who takes a command of BCP, or what a flag does, for a subcommand.
fn alias_hint(word: &str) -> Option<String> {
    let subcommand = match word {
        "record" => "listen --record",
        "forward" | "proxy" | "tap" => "listen --forward",
        "monitor" | "watch" => "listen -c",
        "check" | "test" => "replay --check",
        "convert" => "replay --dry-run",
        "lint" => "decode --lint",
        "probe" => "send --hello",
        _ if catalogue::knows(word) => return Some(format!("backbox send {word}")),
        _ => return None,
    };
    Some(format!("backbox {subcommand}"))
}

/// Runs the program with the arguments after its name, and gives the status to leave with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (who, parsed) = PROGRAM.parse(arguments);
    let outcome = parsed.and_then(|parsed| match parsed {
        Invocation::Print(text) => print(&text),
        Invocation::Run(job) => job(),
    });
    ExitCode::from(settle(&who, outcome).code())
}

/// The one place that says a run's last words.
fn settle(who: &str, outcome: Result<Exit, Failure>) -> Exit {
    outcome.unwrap_or_else(|failure| {
        if let Some(text) = failure.message() {
            say(&format!("{}: {text}\n", failure.place(who)));
        }
        failure.exit()
    })
}

/// Prints help and the like; headings are bold on a terminal.
fn print(text: &str) -> Result<Exit, Failure> {
    let mut output = Output::new();
    let text = match Color::Auto.is_on(stdout_is_terminal()) {
        true => text.to_owned(),
        false => text.replace(BOLD, "").replace(PLAIN, ""),
    };
    output.buffer().extend_from_slice(text.as_bytes());
    output.flush()?;
    Ok(Exit::Done)
}
