//! backbox: a command-line toolkit for the Backbox Control Protocol.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod catalogue;
pub mod cli;
pub mod codec;
pub mod commands;
pub mod conversation;
pub mod duration;
pub mod failure;
pub mod framing;
pub mod goals;
pub mod limits;
pub mod message;
pub mod net;
pub mod output;
pub mod pattern;
pub mod session;
pub mod template;
pub mod text;
