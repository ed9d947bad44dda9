//! The network: one loop that polls all sockets, and the threads of what else can block.
//!
//! ```text
//! loop       poll [waker, stdout's reader, listeners, sockets]; nothing in it blocks. It runs the [`Handler`].
//! stdin      a thread, once the handler wants input: one block at a time, read when the one before was handled
//! stdout     written by the loop while it is at most 4 KiB and there is room; more starts a thread, for good
//! recording  a thread over a file, handed its bytes before standard output is
//! signals    wake the loop through its waker (Unix: no thread; Windows: the thread of the `ctrlc` crate)
//! ```
//!
//! `send` and `replay` are one connection, `listen` is a listener and n connections, `--forward` is pairs of linked
//! connections, and the built-in media controller of `replay --loopback` is the same loop in a second thread.
//! All that differs between systems is in `sys`.

mod address;
mod connect;
mod connection;
mod handler;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod loop_tests;
mod outbox;
#[cfg(test)]
mod output_tests;
mod reactor;
mod reading;
mod sockets;
mod stdio;
mod sys;

pub(crate) use std::net::SocketAddr;

pub(crate) use address::{Address, is_of_this_machine};

pub(crate) use connection::{CloseReason, Closed, ConnId};
pub(crate) use handler::{DRAIN_TIME, FLUSH_TIME, Handler, NetSettings, Notice, OUTPUT_TIME, Outcome, Rewrite, Stop};
pub(crate) use outbox::OUTBOX_BYTES_MAX;
pub(crate) use reactor::{Stopper, run_in_background};
pub(crate) use sockets::Net;
pub(crate) use stdio::StdinReader;
pub(crate) use sys::{Output, widen_pipes};
