//! The subcommands.

pub mod arguments;
pub mod source;
