//! backbox: a command-line toolkit for the Backbox Control Protocol.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod duration;
pub mod failure;
pub mod framing;
pub mod limits;
pub mod net;
pub mod text;
