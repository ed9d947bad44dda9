//! One connection: its socket, what was read and not handled, what waits to be written, and how far it has closed.
//!
//! What waits is whole messages in a buffer that knows where each one ends. Its size shows a slow peer, its ends show
//! half a message: a peer that gets half a line and then an orderly end executes what it got.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::connect::ConnectAttempt;
use super::{Rewrite, sys};
use crate::framing::{Framer, FramingError};

/// How much may wait for one peer, in bytes, before [`Net::has_room`](super::Net::has_room) refuses more.
pub(crate) const OUTBOX_BYTES_MAX: usize = 64 << 10;

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
    /// The handler called `reset`, or `leave` or `hurry` while it was connecting, or the connection that it was linked
    /// to was lost or reset.
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
    pub rewrite: Option<Rewrite>,
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
            unsent: self.cut + self.outbox.ends.len(),
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

/// Messages on their way to one peer, or forwarded bytes of which only some message ends are known.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` are written.
    start: usize,
    /// Where in `bytes` each message that is not written whole ends.
    pub ends: VecDeque<usize>,
    /// Whether a message is written in part.
    pub is_inside_message: bool,
}

impl Outbox {
    /// Whether a message of `length` bytes may be added: it fits beside what waits, or nothing waits.
    pub(super) fn has_room(&self, length: usize) -> bool {
        let waiting = self.unsent().len();
        waiting == 0 || waiting.saturating_add(length) <= OUTBOX_BYTES_MAX
    }

    /// Appends bytes of a stream, of which so many at their beginning end a message: all of them, if they are one.
    pub(super) fn push(&mut self, bytes: &[u8], end: Option<usize>) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.ends.iter_mut().for_each(|end| *end -= self.start);
            self.start = 0;
        }
        let end = end.map(|end| self.bytes.len() + end);
        self.bytes.extend_from_slice(bytes);
        match end {
            // What was written was a whole message.
            Some(end) if end == self.start => self.is_inside_message = false,
            Some(end) if self.ends.back().is_none_or(|&last| last < end) => self.ends.push_back(end),
            _ => {}
        }
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Notes that `count` bytes of [`Outbox::unsent`] were written, at least one.
    pub(super) fn sent(&mut self, count: usize) {
        self.start += count;
        let ended = self.ends.partition_point(|&end| end <= self.start);
        self.is_inside_message = self.ends.drain(..ended).next_back().is_none_or(|end| end < self.start);
        if self.is_empty() {
            self.start = 0;
            self.bytes.clear();
            // One huge message must not keep its memory for a thousand peers.
            self.bytes.shrink_to(OUTBOX_BYTES_MAX);
        }
    }

    /// The messages of which nothing is written, each whole.
    pub(super) fn waiting(&self) -> Vec<Vec<u8>> {
        let starts = std::iter::once(self.start).chain(self.ends.iter().copied());
        let messages = starts.zip(&self.ends).map(|(start, &end)| self.bytes[start..end].to_vec());
        // The first may be written in part.
        messages.skip(usize::from(self.is_inside_message)).collect()
    }

    /// Whether what was appended so far, written or not, ends inside a message.
    pub(super) fn ends_inside_message(&self) -> bool {
        match self.ends.back() {
            Some(&end) => end < self.bytes.len(),
            None => self.is_inside_message || !self.is_empty(),
        }
    }

    /// Forgets what follows the message that is written in part (all, if there is none); how many messages it forgot.
    pub(super) fn keep_only_started(&mut self) -> usize {
        let kept = usize::from(self.is_inside_message);
        if kept > self.ends.len() {
            // The end of a forwarded message has not been read yet.
            return 0;
        }
        let forgotten = self.ends.len() - kept;
        self.ends.truncate(kept);
        self.bytes.truncate(self.ends.back().map_or(self.start, |&end| end));
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &mut Outbox, message: &[u8]) {
        outbox.push(message, Some(message.len()));
    }

    #[test]
    fn messages_go_in_any_pieces_and_their_ends_are_known() {
        let mut outbox = Outbox::default();
        push(&mut outbox, b"abc\n");
        push(&mut outbox, b"de\n");
        assert_eq!((outbox.unsent(), outbox.ends.len(), outbox.is_inside_message), (&b"abc\nde\n"[..], 2, false));
        outbox.sent(1);
        assert!(outbox.is_inside_message);
        outbox.sent(3);
        assert_eq!((outbox.ends.len(), outbox.is_inside_message), (1, false));
        outbox.sent(3);
        assert!(outbox.is_empty() && !outbox.is_inside_message);
        push(&mut outbox, b"f\n");
        assert_eq!((outbox.unsent(), outbox.ends.len()), (&b"f\n"[..], 1));
    }

    #[test]
    fn a_message_that_has_begun_is_kept_and_the_others_are_not() {
        let mut outbox = Outbox::default();
        for message in [&b"abc\n"[..], b"de\n", b"f\n"] {
            push(&mut outbox, message);
        }
        assert_eq!(outbox.waiting(), [&b"abc\n"[..], b"de\n", b"f\n"]);
        outbox.sent(5);
        assert_eq!(outbox.waiting(), [b"f\n"]);
        assert_eq!(outbox.keep_only_started(), 1);
        assert_eq!(outbox.unsent(), b"e\n");
        push(&mut outbox, b"goodbye\n");
        outbox.sent(2);
        assert_eq!((outbox.keep_only_started(), outbox.is_empty()), (1, true));
        push(&mut outbox, b"x\n");
        assert_eq!((outbox.unsent(), outbox.ends.len()), (&b"x\n"[..], 1));
    }

    #[test]
    fn forwarded_bytes_are_cut_at_the_end_of_a_message_only() {
        let mut outbox = Outbox::default();
        outbox.push(b"one\ntwo\nthr", Some(8));
        assert!(outbox.ends_inside_message() && !outbox.is_inside_message);
        outbox.sent(2);
        assert_eq!((outbox.keep_only_started(), outbox.unsent()), (0, &b"e\ntwo\n"[..]));
        assert!(!outbox.ends_inside_message());
        outbox.sent(6);
        outbox.push(b"half", None);
        outbox.sent(1);
        outbox.keep_only_started();
        assert!(outbox.unsent() == b"alf" && outbox.ends_inside_message());
        outbox.push(b"\nx", Some(1));
        outbox.keep_only_started();
        assert!(outbox.unsent() == b"alf\n" && !outbox.ends_inside_message());
        outbox.sent(4);
        assert!(outbox.is_empty() && !outbox.is_inside_message);
        outbox.push(b"rest", None);
        outbox.sent(4);
        assert!(outbox.is_empty() && outbox.is_inside_message);
        outbox.push(b"", Some(0));
        assert!(!outbox.is_inside_message && outbox.ends.is_empty());
    }

    #[test]
    fn it_is_full_only_when_something_waits() {
        let mut outbox = Outbox::default();
        assert!(outbox.has_room(100 << 10));
        push(&mut outbox, &[b'x'; 1000]);
        assert!(outbox.has_room(1000) && !outbox.has_room(OUTBOX_BYTES_MAX));
    }

    #[test]
    fn it_does_not_grow_with_the_stream() {
        let mut outbox = Outbox::default();
        push(&mut outbox, b"0123456789\n");
        for _ in 0..10_000 {
            push(&mut outbox, b"0123456789\n");
            outbox.sent(11);
        }
        assert!(outbox.bytes.capacity() < 1024 && outbox.ends.len() == 1);
    }
}
