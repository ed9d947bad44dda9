//! One connection: its socket, what was read and not handled, what waits to be written, and how far it has closed.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::connect::ConnectAttempt;
use super::handler::Rewrite;
use super::outbox::Outbox;
use super::sys;
use crate::framing::{Framer, FramingError};

/// How many bytes take so long to write that a second signal can end the process meanwhile.
const LONG_WRITE_BYTES: usize = 16 << 10;

/// A connection of a [`Net`](super::Net), from [`connect`](super::Net::connect) or an accept until its `on_close`.
///
/// Numbers count from 1, in the order of `connect` calls and accepts, and are never used again. A number whose
/// connection is over is accepted everywhere and does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub u64);

/// What ended a connection first.
#[derive(Debug, Default)]
pub(crate) enum CloseReason {
    /// [`Net::connect`](super::Net::connect) did not succeed; there was no `on_connect`. The error of the last try.
    Unreached(io::Error),
    /// The peer closed its side before the handler called `finish`.
    ByPeer,
    /// The handler called `finish` first.
    #[default]
    ByUs,
    /// The handler called `reset`, or `leave` or `hurry` while it was connecting.
    Reset,
    /// The connection was lost. A loss after `finish` is [`CloseReason::ByUs`] if all messages were written and the
    /// peer had sent something: some peers answer our last words with a reset.
    Lost(io::Error),
    /// The peer broke the framing; `on_message` has seen the fault, then `on_eof` was called.
    Broken(FramingError),
    /// The first bytes were a web browser's or a web server's. It was dropped.
    Http,
    /// Its frame needed more than is left of so many bytes for the long frames of all peers. It was reset.
    NoRoom(usize),
    /// The connection that it was linked to was lost or reset, so this one was reset.
    LinkLost,
}

/// How a connection ended.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// How many messages accepted by [`Net::send`](super::Net::send) were not written whole, those that
    /// [`Net::cut`](super::Net::cut) dropped included.
    pub unsent: usize,
    /// The messages of which nothing was written, in order, whole (without those dropped by `cut`): what `--reconnect`
    /// can send again.
    pub waiting: Vec<Vec<u8>>,
    /// Whether the peer neither sent anything nor closed: it may not have read at all.
    pub is_silent: bool,
    /// The bytes of a line or payload that the peer did not finish.
    pub unfinished: Vec<u8>,
}

/// The state of a connection.
#[derive(Default)]
pub(super) enum Phase {
    Connecting(ConnectAttempt),
    Open,
    /// What waits is written, then we half-close and read up to the peer's end: at most for the time that is `left` of
    /// each, `since` it last began to count. The second is `drain`.
    Closing {
        since: Option<Instant>,
        left: Duration,
        drain: Duration,
    },
    #[default]
    Shut,
}

/// Where what a connection reads is forwarded.
pub(super) struct Link {
    pub to: ConnId,
    pub rewrite: Option<Box<dyn Rewrite>>,
}

#[derive(Default)]
pub(super) struct Connection {
    pub id: ConnId,
    /// `None` while connecting and when it is over.
    pub socket: Option<TcpStream>,
    pub peer: Option<SocketAddr>,
    pub is_accepted: bool,
    pub phase: Phase,
    /// `None` while its frames are reported, and when what is read is no longer framed.
    pub framer: Option<Framer>,
    pub outbox: Outbox,
    pub link: Option<Link>,
    /// The socket is full until poll sees room.
    pub is_blocked: bool,
    /// Nothing more is read: the peer has closed.
    pub at_end: bool,
    /// What is read is dropped: the framing is broken, or a linked connection ends.
    pub discards: bool,
    /// We have half-closed.
    pub is_write_shut: bool,
    /// A message was read, so it is not HTTP.
    pub has_received: bool,
    pub noticed: bool,
    pub reason: Option<CloseReason>,
    /// How many messages were dropped by `cut`.
    pub cut: usize,
    /// Whether even the end of this process would reset it.
    pub is_armed: bool,
}

impl Connection {
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_))
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) fn is_shut(&self) -> bool {
        matches!(self.phase, Phase::Shut)
    }

    /// Whether messages can be sent: on a connection that is being made they wait.
    pub(super) fn accepts(&self) -> bool {
        self.is_open() || self.is_connecting()
    }

    /// Writes until the socket is full; returns whether that emptied the outbox.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let Some(mut socket) = self.socket.as_ref().filter(|_| !self.is_blocked && !self.outbox.is_empty()) else {
            return Ok(false);
        };
        while !self.outbox.is_empty() && !self.is_blocked {
            if self.outbox.unsent().len() > LONG_WRITE_BYTES {
                arm(socket, &mut self.is_armed, true);
            }
            match socket.write(self.outbox.unsent()) {
                Ok(count) => self.outbox.sent(count),
                Err(error) if sys::is_passing(&error) => self.is_blocked = true,
                Err(error) => return Err(error),
            }
        }
        arm(socket, &mut self.is_armed, self.outbox.is_inside_message);
        Ok(self.outbox.is_empty())
    }

    /// Begins to end in order, or shortens the times of an end that has begun.
    pub(super) fn finish(&mut self, now: Instant, flush: Duration, drain: Duration) {
        let time = if self.is_write_shut { drain } else { flush };
        match &mut self.phase {
            Phase::Connecting(_) => self.end(CloseReason::Reset),
            Phase::Open => self.phase = Phase::Closing { since: Some(now), left: time, drain },
            Phase::Closing { since, left, drain: old_drain } => {
                let passed = since.map_or(Duration::ZERO, |since| now.duration_since(since));
                *left = time.saturating_add(passed).min(*left);
                *old_drain = drain.min(*old_drain);
            }
            Phase::Shut => {}
        }
    }

    /// Moves towards the end; when to look again. `is_held` is whether our own output keeps us from reading.
    pub(super) fn advance(&mut self, now: Instant, is_held: bool) -> Option<Instant> {
        let Phase::Closing { since, left, drain } = &mut self.phase else { return None };
        // The end of a forwarded message may not have been read yet.
        let is_written = self.outbox.is_empty() && !self.outbox.is_inside_message;
        if is_written && !self.is_write_shut {
            // The peer sees the end and can still reply. If it has closed too, the next read returns an error.
            let _ = self.socket.as_ref().map(|socket| socket.shutdown(std::net::Shutdown::Write));
            (self.is_write_shut, *since, *left) = (true, None, *drain);
        }
        if is_written && self.at_end {
            self.close(false);
        } else if is_written && is_held {
            // A peer that floods is held up again and again: what has passed stays counted.
            *left = left.saturating_sub(since.take().map_or(Duration::ZERO, |since| now.duration_since(since)));
        } else {
            let until = since.get_or_insert(now).checked_add(*left);
            if until.is_none_or(|until| now < until) {
                return until;
            }
            self.close(self.outbox.is_inside_message);
        }
        None
    }

    /// Ends at once, by a reset if it was open. The first reason counts, unless it is our own `finish`.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if matches!(self.reason, None | Some(CloseReason::ByUs)) {
            self.reason = Some(reason);
        }
        self.close(true);
    }

    /// The connection is of no more use.
    pub(super) fn lose(&mut self, error: io::Error) {
        let has_finished = matches!(self.reason, Some(CloseReason::ByUs));
        let all_sent = self.cut == 0 && self.outbox.is_empty() && self.noticed;
        self.noticed = true;
        self.end(if has_finished && all_sent { CloseReason::ByUs } else { CloseReason::Lost(error) });
    }

    fn close(&mut self, is_reset: bool) {
        if let Some(socket) = self.socket.take().filter(|_| is_reset) {
            sys::reset_when_closed(&socket, true);
        }
        self.phase = Phase::Shut;
    }

    pub(super) fn into_closed(self) -> Closed {
        Closed {
            reason: self.reason.unwrap_or(CloseReason::ByPeer),
            unsent: self.cut + self.outbox.messages(),
            waiting: self.outbox.waiting(),
            is_silent: !self.noticed,
            // A half that our own end cut short is not the peer's.
            unfinished: self.framer.filter(|_| self.at_end).map_or(Vec::new(), |framer| framer.unread().to_vec()),
        }
    }
}

/// Makes even the end of this process a reset, while half a message is written: a second signal leaves no time for
/// more. The option is set only when that changes, because a system call can be slow.
fn arm(socket: &TcpStream, is_armed: &mut bool, arms: bool) {
    if *is_armed != arms {
        sys::reset_when_closed(socket, arms);
        *is_armed = arms;
    }
}
