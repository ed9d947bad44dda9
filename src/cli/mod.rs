//! The command line: tables of options, the parser that obeys them, and the help rendered from them.
//!
//! A subcommand declares one [`Command`]: its prose, its options ([`Flag`]), its positionals and its `run`. The parser,
//! `-h`, `--help`, the man pages and the completions all read that table, so that no option is written twice.
//!
//! ```ignore
//! pub const COMMAND: Command = Command {
//!     // The prose has the description, and what there is to say about each option.
//!     help: Help { name: "count", summary: "count messages", prose: include_str!("count.md"), ... },
//!     groups: &[
//!         // --input FILE, -i FILE: under "Input" in --help, also in -h.
//!         Group::new("Input").flags(&[
//!             Flag::value("input", "FILE", "Read messages from *FILE*").short('i').default("standard input").common(),
//!             Flag::value("max", "BYTES", "Refuse longer messages"),
//!         ]),
//!         Group::new("General").flags(&[Flag::switch("all", "Count empty messages too"), HELP]),
//!     ],
//!     rules: &[
//!         Rule::conflicts(&["input"], &["WORD"], "the messages are read from FILE or from the arguments"),
//!         Rule::needs(&["all"], &["input", "max"], "arguments are never empty"),
//!     ],
//!     words: Some(Complete::Nothing),
//!     run,
//! };
//!
//! fn run(given: &Given) -> Result<Exit, Failure> {
//!     let (file, bytes_max) = (given.value("input", path)?, given.value("max", number)?);
//!     ...
//! }
//! ```
//!
//! Rules are checked after the last argument. The message is made of what the user typed and the reason: `--all needs
//! --input or --max: arguments are never empty`, and `-i and WORD cannot be used together: the messages are read from
//! …`. [`Rule`] describes how options with certain values, arguments and standard input are named.
//!
//! This module knows no subcommand and no protocol. It prints nothing and opens no file; texts go back to the caller,
//! errors as [`Failure::Usage`](crate::exit::Failure::Usage).

mod command;
mod complete;
mod flags;
mod help;
mod parse;
mod suggest;
#[cfg(test)]
mod toy_tests;

pub use command::{Command, HELP, Help, Program, VERSION};
pub use flags::{Complete, Flag, Group, Rule};
pub use help::{BOLD, PLAIN};
pub use parse::{Given, Invocation, duration, number, path, text};
pub use suggest::suggest;
#[cfg(test)]
pub(crate) use {
    command::PROGRAM_FLAGS,
    help::{Span, capitalized, exits, spans},
    parse::is_positional,
};
