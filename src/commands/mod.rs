//! The subcommands, a file or a folder each: options, their table, and the run. Shared parts stand beside them.
//!
//! Here, what was typed becomes what is done. Lines are parsed in `bcp`, and bytes travel in the network's module.

mod addresses;
mod arguments;
mod decode;
mod encode;
mod goals;
mod input;
mod listen;
#[cfg(test)]
mod man_tests;
mod obe;
mod recorder;
mod replay;
mod result_file;
mod run;
mod send;
mod shared;
mod stream;
#[cfg(test)]
mod table_tests;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::catalogue;
use crate::cli::{BOLD, Help, Invocation, PLAIN, Program};
use crate::exit::{Exit, Failure};
use crate::output::{Color, Stdout, color_errors, print_error, stdout_is_terminal};

/// The program as its help, man pages and completions see it.
pub(crate) const PROGRAM: Program = Program {
    help: Help {
        name: "backbox",
        summary: "talk to pinball machines in the Backbox Control Protocol (BCP)",
        synopsis: &["*SUBCOMMAND* [*OPTION*]... [*ARGUMENT*]..."],
        prose: include_str!("help/backbox.md"),
        exits: &[Exit::Success, Exit::Failed, Exit::Usage, Exit::Io, Exit::Peer, Exit::Timeout],
        see_also: &[("backbox-session", 5), ("bcp", 7), ("obe-socket", 7)],
    },
    version: env!("CARGO_PKG_VERSION"),
    build,
    subcommands: &[&encode::COMMAND, &decode::COMMAND, &send::COMMAND, &listen::COMMAND, &replay::COMMAND],
    alias_hint,
};

/// What to type for a word that names the job of an option, or a command of BCP.
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
    // A wrong command line is reported before its --color is known.
    color_errors(Color::Auto);
    let (name, parsed) = PROGRAM.parse(arguments);
    let outcome = parsed.and_then(|parsed| match parsed {
        Invocation::Print(text) => print(&text),
        Invocation::Run(command, given) => (command.run)(&given),
    });
    ExitCode::from(report(&name, outcome).code())
}

/// The one place that reports how a run failed.
fn report(name: &str, outcome: Result<Exit, Failure>) -> Exit {
    outcome.unwrap_or_else(|failure| {
        if let Some(text) = failure.message() {
            print_error(failure.place(name), text);
        }
        failure.exit()
    })
}

/// Prints help and the like; headings are bold on a terminal.
fn print(text: &str) -> Result<Exit, Failure> {
    let mut output = Stdout::default();
    let text = match Color::Auto.is_on(stdout_is_terminal()) {
        true => text.to_owned(),
        false => text.replace(BOLD, "").replace(PLAIN, ""),
    };
    output.buffer().extend_from_slice(text.as_bytes());
    output.flush()?;
    Ok(Exit::Success)
}

/// The system that the program was built for, and the commit if the build sets `BACKBOX_COMMIT`.
fn build() -> String {
    let library = if cfg!(target_env = "musl") { "-musl" } else { "" };
    let target = format!("{}-{}{library}", std::env::consts::ARCH, std::env::consts::OS);
    match option_env!("BACKBOX_COMMIT") {
        Some(commit) => format!("{target}, commit {commit}"),
        None => target,
    }
}
