//! The subcommands.

pub mod arguments;
pub mod dial;
pub mod ending;
pub mod listen;
pub mod media;
pub mod send;
pub mod source;
pub mod stream;
pub mod traffic;
