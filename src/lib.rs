//! backbox: a command-line toolkit for the Backbox Control Protocol.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod cli;
pub mod failure;
pub mod limits;
