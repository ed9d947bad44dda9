//! The command line: tables of options, the parser that obeys them, and the help rendered from them.
//!
//! A subcommand declares one [`Command`]: its prose, its options ([`Flag`]), its positionals and its `run`. The parser,
//! `-h`, `--help`, the man pages and the completions all read that table, so that no option is written twice.
//!
//! ```ignore
//! #[derive(Default)]
//! pub struct Options {
//!     output: OutputOptions,
//!     file: Option<PathBuf>,
//!     bytes_max: Option<u64>,
//!     all: bool,
//!     words: Vec<String>,
//! }
//!
//! // The shared options QUIET and COLOR can stand in the table of every struct that has an OutputOptions.
//! flatten!(Options { output: OutputOptions });
//!
//! pub const COMMAND: Command<Options> = Command {
//!     help: Help { name: "count", summary: "count messages", ... },
//!     flags: &[
//!         // --input FILE, -i FILE: under "Input" in --help, also in -h.
//!         Flag::value("input", "FILE", "Read messages from *FILE*", |o: &mut Options, v| set(&mut o.file, path(v)))
//!             .short('i').default("standard input").complete(Complete::File).group("Input").common()
//!             .conflicts(&["WORD"], "the messages are read from FILE or from the arguments"),
//!         Flag::value("max", "BYTES", "Refuse longer messages", |o: &mut Options, v| set(&mut o.bytes_max, number(v)))
//!             .group("Input"),
//!         // Only `help` is a must. `more` is whole sentences for --help and the man page.
//!         Flag::switch("all", "Count empty messages too", |o: &mut Options| o.all = true)
//!             .needs(&["input", "max"], "arguments are never empty")
//!             .more("A message is empty when it has no parameters."),
//!         Flag::QUIET,
//!         Flag::COLOR,
//!     ],
//!     positionals: Some(Positionals {
//!         complete: Complete::Nothing,
//!         set: |o, word| push(&mut o.words, text(word)),
//!     }),
//!     run,
//! };
//! ```
//!
//! `needs` and `conflicts` are checked after the last argument. The message is made of what the user typed and the
//! reason: `--all needs --input or --max: arguments are never empty`, and `-i and WORD cannot be used together: the
//! messages are read from …`. Their spelling for options with certain values, arguments and standard input is described
//! at [`Flag::needs`].
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

pub use command::{Command, Example, Help, Positionals, Program, Section};
pub use flags::{Complete, Flag};
pub use help::{BOLD, PLAIN};
pub use parse::{Invocation, duration, number, path, push, set, text};
pub use suggest::suggest;
#[cfg(test)]
pub(crate) use {
    command::{Subcommand, groups},
    help::{Span, capitalized, exits, spans},
    parse::is_positional,
};
