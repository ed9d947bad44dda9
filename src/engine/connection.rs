//! One connection: its socket, what was read and not handled, what waits to be written, and how far it has closed.

use std::fmt;
use std::io;

use crate::framing::FramingError;

/// A connection of a [`Net`](super::Net), from [`connect`](super::Net::connect) or an accept until its `on_close`.
///
/// Numbers count from 1, in the order of `connect` calls and accepts, and are never used again. A number whose
/// connection is over is accepted everywhere and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What ended a connection first.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// [`Net::connect`](super::Net::connect) did not succeed; there was no `on_connect`. The error of the last try.
    Unreached(io::Error),
    /// The peer closed its side before the handler called `finish`.
    ByPeer,
    /// The handler called `finish` first.
    ByUs,
    /// The handler called `reset`, or `leave` or `hurry` while it was connecting.
    Reset,
    /// The connection was lost. A loss after `finish` is [`CloseReason::ByUs`] if all messages were written and the
    /// peer had sent something: some peers answer our last words with a reset.
    Lost(io::Error),
    /// The peer broke the framing; `on_message` has seen the fault, then `on_eof` came.
    Broken(FramingError),
    /// The first bytes were a web browser's or a web server's. It was dropped.
    Http,
    /// Its frame needed more than is left of so many bytes for the long frames of all peers. It was reset.
    NoRoom(usize),
    /// The connection that it was linked to was lost or reset, so this one was reset.
    LinkLost,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// How many messages accepted by [`Net::send`](super::Net::send) were not written whole, those that
    /// [`Net::cut`](super::Net::cut) dropped included.
    pub unsent: usize,
    /// The messages of which nothing was written, in order, whole (without those dropped by `cut`): what `--reconnect`
    /// can send again.
    pub waiting: Vec<Vec<u8>>,
    /// Whether the peer sent anything or closed: one that did neither may not have read at all.
    pub noticed: bool,
    /// The bytes of a line or payload that the peer did not finish.
    pub unfinished: Vec<u8>,
}
