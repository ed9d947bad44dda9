//! One connection: its socket, what was read and not handled, what waits to be written, and how far it has closed.

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::dial::Attempt;
use super::handler::Rewrite;
use super::outbox::Outbox;
use super::sys;
use crate::framing::{Framer, FramingError, FramingOptions, Wire};

/// From how many bytes on a write takes its time, in which a second signal can end the process.
const LONG_WRITE_BYTES: usize = 16 << 10;

/// A connection of a [`Net`](super::Net), from [`connect`](super::Net::connect) or an accept until its `on_close`.
///
/// Numbers count from 1, in the order of `connect` calls and accepts, and are never used again. A number whose
/// connection is over is accepted everywhere and does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Closed {
    /// The end of a connection that was never made.
    pub(crate) fn never() -> Closed {
        Closed { reason: CloseReason::ByUs, unsent: 0, waiting: Vec::new(), noticed: true, unfinished: Vec::new() }
    }
}

/// How far a connection has come.
#[derive(Debug, Default)]
pub(super) enum Phase {
    Connecting(Attempt),
    Open,
    /// What waits is written, until then; then it drains for so long.
    Closing {
        until: Option<Instant>,
        drain: Duration,
    },
    /// It is half-closed. The peer's end is read for so long, counted while our own output does not keep us from it.
    Draining {
        since: Option<Instant>,
        left: Duration,
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
    pub accepted: bool,
    pub phase: Phase,
    /// `None` while its frames are reported, and when what is read is no longer framed.
    pub framer: Option<Framer>,
    pub outbox: Outbox,
    pub link: Option<Link>,
    /// What poll saw: an error. Some systems forget it by that, and then read it as an end.
    pub has_error: bool,
    /// The socket takes nothing more until poll sees room.
    pub is_blocked: bool,
    /// Nothing more is read: the peer has closed.
    pub at_end: bool,
    /// What is read is dropped: the framing is broken, or a linked connection ends.
    pub discards: bool,
    /// We have half-closed.
    pub is_write_shut: bool,
    /// No message was read, so it can still be HTTP.
    pub is_new: bool,
    pub noticed: bool,
    pub reason: Option<CloseReason>,
    /// How many messages were dropped by `cut`.
    pub cut: usize,
    /// How many bytes of a long frame it holds.
    pub long_bytes: usize,
    /// Whether even the end of this process would reset it.
    is_armed: bool,
}

impl Connection {
    pub(super) fn new(id: ConnId, phase: Phase, framer: Framer) -> Connection {
        Connection { id, phase, framer: Some(framer), is_new: true, ..Connection::default() }
    }

    pub(super) fn open(&mut self, socket: TcpStream, peer: SocketAddr) {
        (self.socket, self.peer, self.phase) = (Some(socket), Some(peer), Phase::Open);
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_))
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) fn is_shut(&self) -> bool {
        matches!(self.phase, Phase::Shut)
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Draining { .. })
    }

    /// Whether messages can be sent: on a connection that is being made they wait.
    pub(super) fn accepts(&self) -> bool {
        (self.is_open() || self.is_connecting()) && !self.is_write_shut
    }

    /// Writes what the socket takes; whether that emptied the outbox.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.is_blocked && !self.outbox.is_empty()) else {
            return Ok(false);
        };
        while !self.outbox.is_empty() {
            if self.outbox.unsent().len() > LONG_WRITE_BYTES {
                arm(socket, &mut self.is_armed, true);
            }
            match (&*socket).write(self.outbox.unsent()) {
                Ok(count) => self.outbox.sent(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        arm(socket, &mut self.is_armed, self.outbox.is_inside_message());
        Ok(self.outbox.is_empty())
    }

    /// Begins to end in order, or shortens the times of an end that has begun.
    pub(super) fn finish(&mut self, now: Instant, flush: Duration, drain: Duration) {
        let until = now.checked_add(flush);
        match &mut self.phase {
            Phase::Connecting(_) => self.end(CloseReason::Reset),
            Phase::Open => {
                self.reason.get_or_insert(CloseReason::ByUs);
                self.phase = Phase::Closing { until, drain };
            }
            Phase::Closing { until: old, drain: old_drain } => {
                *old = earlier(*old, until);
                *old_drain = drain.min(*old_drain);
            }
            Phase::Draining { since, left } => {
                let passed = since.map_or(Duration::ZERO, |since| now.duration_since(since));
                *left = drain.saturating_add(passed).min(*left);
            }
            Phase::Shut => {}
        }
    }

    /// Moves towards the end; when to look again. `is_held` is whether our own output keeps us from reading.
    pub(super) fn advance(&mut self, now: Instant, is_held: bool) -> Option<Instant> {
        if let Phase::Closing { until, drain } = self.phase {
            // A forwarded message in flight may have its end still to come.
            if !self.outbox.is_empty() || self.outbox.is_inside_message() {
                if until.is_some_and(|until| now >= until) {
                    self.close(self.outbox.is_inside_message());
                }
                return until;
            }
            self.shut_writing();
            self.phase = Phase::Draining { since: None, left: drain };
        }
        let Phase::Draining { since, left } = &mut self.phase else { return None };
        if self.at_end {
            self.close(false);
        } else if is_held {
            // A peer that floods is held up again and again: what has passed stays counted.
            *left = left.saturating_sub(since.take().map_or(Duration::ZERO, |since| now.duration_since(since)));
        } else {
            let until = since.get_or_insert(now).checked_add(*left);
            if until.is_none_or(|until| now < until) {
                return until;
            }
            self.close(false);
        }
        None
    }

    /// The peer learns that nothing more comes, and can still reply.
    pub(super) fn shut_writing(&mut self) {
        if !std::mem::replace(&mut self.is_write_shut, true) {
            // It may be gone, which reading tells.
            let _ = self.socket.as_ref().map(|socket| socket.shutdown(std::net::Shutdown::Write));
        }
    }

    /// Ends at once for this reason, if there is none yet: by a reset if it was open.
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.close(true);
    }

    /// The connection is of no more use.
    pub(super) fn lose(&mut self, error: io::Error) {
        let all_said = self.cut == 0 && self.outbox.is_empty() && self.noticed;
        if !(self.is_leaving() && all_said) && matches!(self.reason, None | Some(CloseReason::ByUs)) {
            self.reason = Some(CloseReason::Lost(error));
        }
        self.noticed = true;
        self.close(self.outbox.is_inside_message());
    }

    /// Its framing cannot be followed any further.
    pub(super) fn break_off(&mut self, fault: FramingError) {
        self.reason.get_or_insert(CloseReason::Broken(fault));
        self.discards = true;
    }

    pub(super) fn can_be_http(&self, framing: &FramingOptions) -> bool {
        self.is_new && self.link.is_none() && framing.wire == Wire::Bcp
    }

    pub(super) fn drop_http(&mut self) {
        if matches!(self.reason, None | Some(CloseReason::ByUs)) {
            self.reason = Some(CloseReason::Http);
        }
        self.close(self.outbox.is_inside_message());
    }

    /// Whether it ended otherwise than in order.
    pub(super) fn has_broken(&self) -> bool {
        !matches!(self.reason, None | Some(CloseReason::ByPeer | CloseReason::ByUs))
    }

    pub(super) fn close(&mut self, is_reset: bool) {
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
            noticed: self.noticed,
            // A half that our own end cut short is not the peer's.
            unfinished: self.framer.filter(|_| self.at_end).map_or(Vec::new(), |framer| framer.unread().to_vec()),
        }
    }
}

/// Makes even the end of this process a reset, while half a message is written: a second signal ends it without a
/// chance to do anything.
fn arm(socket: &TcpStream, is_armed: &mut bool, arms: bool) {
    if *is_armed != arms {
        sys::reset_when_closed(socket, arms);
        *is_armed = arms;
    }
}

/// The earlier of two points in time of which either may be missing.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
