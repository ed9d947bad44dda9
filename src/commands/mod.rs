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
mod traffic;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::catalogue;
use crate::cli::{About, Command, Example, Page, Parsed, Program, Top, parse};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};

/// The program as its help, man pages and completions see it.
pub const PROGRAM: Program = Program {
    about: About {
        name: "backbox",
        summary: "talk to pinball machines in the Backbox Control Protocol",
        synopsis: &["*SUBCOMMAND* [*FLAG*]... [*ARGUMENT*]..."],
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
    date: "November 21, 2026",
    pages,
    names: &["encode", "decode", "send", "listen", "replay"],
    other: meant,
};

/// What somebody wants who takes a command of BCP, or what a flag does, for a subcommand.
fn meant(word: &str) -> Option<String> {
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

/// The subcommands' pages; [`run_subcommand`] counts in the same order.
fn pages() -> Vec<Page> {
    vec![
        encode::COMMAND.page(),
        decode::COMMAND.page(),
        send::COMMAND.page(),
        listen::COMMAND.page(),
        replay::COMMAND.page(),
    ]
}

/// Runs the program with the arguments behind its name, and gives the status to leave with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let exit = match PROGRAM.top(arguments) {
        Ok(Top::Print(text)) => settle("backbox", print(&text)),
        Ok(Top::Subcommand(index, rest)) => run_subcommand(index, rest),
        Err(failure) => settle("backbox", Err(failure)),
    };
    ExitCode::from(exit.code())
}

fn run_subcommand(index: usize, arguments: Vec<OsString>) -> Exit {
    match index {
        0 => run(&encode::COMMAND, arguments, encode::run),
        1 => run(&decode::COMMAND, arguments, decode::run),
        2 => run(&send::COMMAND, arguments, send::run),
        3 => run(&listen::COMMAND, arguments, listen::run),
        _ => run(&replay::COMMAND, arguments, replay::run),
    }
}

fn run<T: Default>(
    command: &Command<T>,
    arguments: Vec<OsString>,
    run: impl FnOnce(T) -> Result<Exit, Failure>,
) -> Exit {
    let outcome = parse(&PROGRAM, command, arguments).and_then(|parsed| match parsed {
        Parsed::Print(text) => print(&text),
        Parsed::Run(options) => run(options),
    });
    settle(&format!("backbox {}", command.about.name), outcome)
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

fn print(text: &str) -> Result<Exit, Failure> {
    let mut output = Output::new();
    output.buffer().extend_from_slice(text.as_bytes());
    output.flush()?;
    Ok(Exit::Done)
}
