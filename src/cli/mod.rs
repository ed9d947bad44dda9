//! The command-line frame: flag tables, the parser that obeys them, and the pages rendered from them.
//!
//! A subcommand declares one [`Command`]: its flags, its positionals and its prose. [`parse()`] reads that table, and
//! so do the short and long help ([`help`]), the man page ([`man`]) and the completions ([`completions`]), so that no
//! flag is written twice (design.md, sections 8 and 15). [`Program`] decides which subcommand is meant.
//!
//! What it leaves to others: this module knows no subcommand and no protocol. It prints nothing and opens no file;
//! texts go back to the caller, errors as [`Failure::Usage`](crate::exit::Failure::Usage).

pub mod completions;
pub mod help;
pub mod man;

mod faults;
mod flags;
mod markup;
mod page;
mod parse;
mod program;
mod suggest;
#[cfg(test)]
mod toy;
mod values;

pub use faults::faults;
pub use flags::{Complete, Flag, FlagInfo, Group};
pub use page::{About, Command, Example, OperandInfo, Operands, Page, Section};
pub use parse::{Parsed, parse};
pub use program::{Program, Top};
pub use suggest::suggest;
pub use values::{number, shown, text};
