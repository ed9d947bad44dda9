//! The loop: what has happened is reported to the handler, what it asked for is done, then poll waits.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::connect::AttemptState;
use super::connection::{CloseReason, Connection, Phase};
use super::{Handler, Net, Notice, Outcome, Stop, sys};
use crate::framing::{Frame, Framer, Wire};
use crate::limits::{LONG_FRAME_BYTES, READ_BYTES};

/// How long accepting rests when no descriptor is free, unless one becomes so before: a listener stays readable, so
/// that trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// How many connections are accepted in one turn, so that a flood of them delays no peer long.
const ACCEPTS_A_TURN: usize = 64;

/// How much a framer gets at a time: a thousand connections have one each.
pub(super) const FRAMER_BYTES: usize = 8 << 10;

/// What poll watches.
#[derive(Clone, Copy)]
enum PollSource {
    Wakeup,
    Output,
    Listener,
    Connection(usize),
}

impl Net {
    /// Runs the loop until there is no listener and no connection (connecting ones included), and everything is printed
    /// and recorded, or the time for that is over.
    ///
    /// # Errors
    /// The system's poll failed.
    pub(crate) fn run<H: Handler>(&mut self, handler: &mut H) -> io::Result<Outcome> {
        sys::wake_precisely();
        loop {
            self.now = Instant::now();
            self.report_stops(handler);
            self.settle(handler);
            let due = handler.on_turn(self, self.now);
            // A handler that was refused room, or now accepts input, is called again before the loop sleeps.
            let has_moved = self.settle(handler);
            let is_busy = self.read_input(handler) || has_moved;
            self.hand_over(handler);
            if self.is_over() {
                break;
            }
            let wake = [due, self.deadline, self.resting, self.output_until].into_iter().flatten().min();
            let seen = self.wait(if is_busy { Some(self.now) } else { wake })?;
            self.now = Instant::now();
            for (source, flags) in seen {
                self.dispatch(source, flags, handler);
            }
        }
        Ok(Outcome { unprinted: self.output.lost(), unrecorded: self.recording.lost() })
    }

    /// Polls everything that is wanted; what is ready.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<(PollSource, PollFlags)>> {
        self.resting = self.resting.filter(|&end| end > self.now);
        let is_held = self.is_held();
        let mut sources = vec![PollSource::Wakeup];
        let mut polled = vec![PollFd::new(&self.waker.ends.0, PollFlags::IN)];
        if let Some(watched) = &self.output.watched {
            sources.push(PollSource::Output);
            polled.push(PollFd::new(watched, PollFlags::HUP));
        }
        if let Some(listener) = self.listener.as_ref().filter(|_| self.resting.is_none()) {
            sources.push(PollSource::Listener);
            polled.push(PollFd::new(listener, PollFlags::IN));
        }
        for (at, connection) in self.connections.iter().enumerate() {
            let pending = match &connection.phase {
                Phase::Connecting(attempt) => attempt.pending.as_ref().map(|(socket, _)| socket),
                _ => None,
            };
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::OUT, pending.is_some() || connection.is_blocked);
            flags.set(PollFlags::IN, self.may_read(connection, is_held));
            // A socket that is watched for nothing would report its end again and again.
            if let Some(socket) = pending.or(connection.socket.as_ref()).filter(|_| !flags.is_empty()) {
                sources.push(PollSource::Connection(at));
                polled.push(PollFd::new(socket, flags));
            }
        }
        sys::poll(&mut polled, until)?;
        let seen = sources.into_iter().zip(&polled).map(|(source, polled)| (source, polled.revents()));
        Ok(seen.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn may_read(&self, connection: &Connection, is_held: bool) -> bool {
        if connection.at_end || connection.socket.is_none() {
            return false;
        }
        let to = connection.link.as_ref().and_then(|link| self.find(link.to));
        let has_room = to.is_none_or(|to| !to.is_connecting() && to.outbox.has_room(1));
        connection.discards || (has_room && !is_held)
    }

    fn dispatch<H: Handler>(&mut self, source: PollSource, flags: PollFlags, handler: &mut H) {
        let is_gone = flags.intersects(PollFlags::ERR | PollFlags::HUP);
        match source {
            PollSource::Wakeup => self.waker.clear(),
            PollSource::Output => self.output.stop_watching(is_gone),
            PollSource::Listener => self.accept(handler),
            PollSource::Connection(at) => {
                let reads = self.may_read(&self.connections[at], self.is_held());
                let connection = &mut self.connections[at];
                if is_gone || flags.intersects(PollFlags::OUT) {
                    connection.is_blocked = false;
                }
                if reads && (is_gone || flags.intersects(PollFlags::IN)) {
                    self.read(at, flags.contains(PollFlags::ERR), handler);
                }
            }
        }
    }

    fn report_stops<H: Handler>(&mut self, handler: &mut H) {
        if let Some(number) = self.waker.take_signal() {
            handler.on_stop(self, Stop::Signal(number));
        }
        if let Some(error) = self.output.take_error() {
            handler.on_stop(self, Stop::OutputGone(error));
        }
        if let Some(error) = self.recording.take_error() {
            handler.on_notice(self, Notice::RecordingFailed(&error));
        }
    }

    /// Whether a block was handled, so that there may be another one at once.
    fn read_input<H: Handler>(&mut self, handler: &mut H) -> bool {
        let input = if handler.wants_input(self) { &mut self.settings.input } else { &mut None };
        let Some(block) = input.as_mut().and_then(|input| input.take(&self.waker)) else { return false };
        handler.on_input(self, block);
        true
    }

    /// Writes what was recorded, then what was printed.
    fn hand_over<H: Handler>(&mut self, handler: &mut H) {
        if let Some(bytes) = self.output.take_dropped() {
            handler.on_notice(self, Notice::OutputDropped(bytes));
        }
        if let Some(bytes) = self.recording.take_dropped() {
            handler.on_notice(self, Notice::RecordingDropped(bytes));
        }
        self.recording.hand_over();
        self.output.hand_over();
    }

    fn accept<H: Handler>(&mut self, handler: &mut H) {
        for _ in 0..ACCEPTS_A_TURN {
            // The handler may have left.
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((socket, peer)) => self.add_accepted(socket, peer, handler),
                // An aborted connection was closed before it was accepted.
                Err(error) if sys::is_passing(&error) || error.kind() == io::ErrorKind::ConnectionAborted => return,
                Err(error) => {
                    self.resting = Some(self.now + ACCEPT_PAUSE);
                    if !std::mem::replace(&mut self.has_reported_accept, true) {
                        handler.on_notice(self, Notice::AcceptFailed(&error));
                    }
                    return;
                }
            }
        }
    }

    fn add_accepted<H: Handler>(&mut self, socket: TcpStream, peer: SocketAddr, handler: &mut H) {
        if socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).is_err() {
            // It is closed already.
            return;
        }
        if self.connections.iter().filter(|connection| connection.is_accepted).count() >= self.connections_max {
            // The refusal fits any socket's buffer; a peer that does not take it is closed all the same.
            let _ = (&socket).write(self.settings.full);
            return handler.on_notice(self, Notice::TurnedAway(peer));
        }
        let id = self.add(Phase::Open, Some((socket, peer)));
        handler.on_connect(self, id);
    }
}

/// Writing, connecting and closing.
impl Net {
    /// Writes, connects and closes as far as possible now; returns whether that made room, or opened or ended a
    /// connection.
    fn settle<H: Handler>(&mut self, handler: &mut H) -> bool {
        self.deadline = None;
        let is_held = self.is_held();
        let mut has_moved = false;
        for at in 0..self.connections.len() {
            has_moved |= match self.connections[at].is_connecting() {
                true => self.advance_attempt(at, handler),
                false => self.flush_and_advance(at, is_held, handler),
            };
        }
        self.remove_ended(handler) || has_moved
    }

    fn flush_and_advance<H: Handler>(&mut self, at: usize, is_held: bool, handler: &mut H) -> bool {
        let connection = &mut self.connections[at];
        let has_emptied = match connection.flush() {
            Ok(has_emptied) => has_emptied,
            Err(error) => {
                // What the peer sent before it went is here already.
                while self.read(at, true, handler) {}
                self.connections[at].lose(error);
                return true;
            }
        };
        if has_emptied {
            self.now = Instant::now();
            let id = connection.id;
            handler.on_sent(self, id);
        }
        let wake = self.connections[at].advance(self.now, is_held);
        self.deadline = self.deadline.into_iter().chain(wake).min();
        has_emptied
    }

    fn advance_attempt<H: Handler>(&mut self, at: usize, handler: &mut H) -> bool {
        let connection = &mut self.connections[at];
        let id = connection.id;
        let Phase::Connecting(attempt) = &mut connection.phase else { return false };
        match attempt.advance(self.now) {
            AttemptState::Wait(until, failure) => {
                self.deadline = self.deadline.into_iter().chain([until]).min();
                if let Some(error) = failure {
                    handler.on_notice(self, Notice::Retrying(id, &error));
                }
                return false;
            }
            AttemptState::Connected(socket, peer) => {
                (connection.socket, connection.peer, connection.phase) = (Some(socket), Some(peer), Phase::Open);
                handler.on_connect(self, id);
            }
            AttemptState::Failed(error) => connection.end(CloseReason::Unreached(error)),
        }
        true
    }

    /// Reports connections that are over and removes them; returns whether there were any.
    fn remove_ended<H: Handler>(&mut self, handler: &mut H) -> bool {
        let mut were_any = false;
        while let Some(at) = self.connections.iter().position(Connection::is_shut) {
            let closed = self.connections.remove(at);
            let id = closed.id;
            // A descriptor is free.
            self.resting = None;
            let in_order = matches!(closed.reason, None | Some(CloseReason::ByPeer | CloseReason::ByUs));
            let now = self.now;
            if let Some(other) = closed.link.as_ref().and_then(|link| self.find_mut(link.to)) {
                match in_order {
                    true => other.finish(now, Duration::MAX, Duration::MAX),
                    false => other.end(CloseReason::Reset),
                }
            }
            handler.on_close(self, id, closed.into_closed());
            were_any = true;
        }
        were_any
    }
}

/// Reading: from the socket to the handler, and to the connection that it is linked to.
impl Net {
    /// Reads at most 64 KiB, so that a flood delays no other peer long; whether there may be more. `has_error` is what
    /// poll saw: some systems forget an error by that, and then read it as an end.
    pub(super) fn read<H: Handler>(&mut self, at: usize, has_error: bool, handler: &mut H) -> bool {
        self.scratch.resize(READ_BYTES, 0);
        let connection = &mut self.connections[at];
        let Some(mut socket) = connection.socket.as_ref().filter(|_| !connection.at_end) else { return false };
        match socket.read(&mut self.scratch) {
            Ok(0) if has_error => connection.lose(io::ErrorKind::ConnectionReset.into()),
            Ok(0) => self.report_end(at, handler),
            Ok(count) => {
                connection.noticed = true;
                self.now = Instant::now();
                let scratch = std::mem::take(&mut self.scratch);
                self.receive(at, &scratch[..count], handler);
                self.scratch = scratch;
                return true;
            }
            Err(error) if sys::is_passing(&error) => {}
            Err(error) => connection.lose(error),
        }
        false
    }

    /// Reports what a connection has read, and passes it on if it is linked.
    fn receive<H: Handler>(&mut self, at: usize, bytes: &[u8], handler: &mut H) {
        let connection = &self.connections[at];
        if connection.discards {
            return;
        }
        let Some(link) = &connection.link else {
            self.observe(at, bytes, false, handler);
            return;
        };
        let to = self.place(link.to);
        let is_last = to.is_none_or(|to| matches!(self.connections[to].phase, Phase::Closing { .. }));
        let Some(to) = to.filter(|&to| !is_last || self.connections[to].outbox.ends_inside_message()) else {
            self.connections[at].discards = true;
            return;
        };
        let end = self.observe(at, bytes, is_last, handler);
        // At the end, nothing beyond the message in flight is passed on.
        let passed = end.filter(|_| self.connections[at].discards).map_or(bytes, |end| &bytes[..end]);
        let link = self.connections[at].link.as_mut();
        let Some(rewrite) = link.and_then(|link| link.rewrite.as_mut()) else {
            return self.connections[to].outbox.push(passed, end);
        };
        let mut rewritten = Vec::new();
        let is_inside_message = rewrite(passed, false, &mut rewritten);
        let end = (!is_inside_message).then_some(rewritten.len());
        self.connections[to].outbox.push(&rewritten, end);
    }

    /// Reports the frames of what was read, or only the first one if it `is_last`. Returns where the last frame ends in
    /// it, if that is known.
    fn observe<H: Handler>(&mut self, at: usize, bytes: &[u8], is_last: bool, handler: &mut H) -> Option<usize> {
        let mut framer = self.connections[at].framer.take()?;
        let was_long = framer.unread().len() > LONG_FRAME_BYTES;
        let mut fed = 0;
        for piece in bytes.chunks(FRAMER_BYTES) {
            framer.feed(piece);
            fed += piece.len();
            while self.report_frame(at, &mut framer, false, handler) {
                self.connections[at].discards |= is_last;
            }
            if self.connections[at].discards || framer.has_ended() {
                break;
            }
        }
        let (unread, has_ended) = (framer.unread().len(), framer.has_ended());
        let is_kept = unread <= LONG_FRAME_BYTES || unread + self.long_bytes() <= self.long_bytes_max;
        if was_long && unread <= LONG_FRAME_BYTES {
            framer.give_back();
        }
        let connection = &mut self.connections[at];
        let (id, is_linked) = (connection.id, connection.link.is_some());
        if !is_kept && !is_linked {
            connection.end(CloseReason::NoRoom(self.long_bytes_max));
        } else if !is_kept {
            handler.on_notice(self, Notice::Unobserved(id, self.long_bytes_max));
        }
        if is_linked && (has_ended || !is_kept) {
            // What follows is passed on all the same.
            return None;
        }
        let is_inside = framer.is_inside_frame();
        self.connections[at].framer = Some(framer);
        // Nothing is kept of a line over the limit.
        if is_inside { fed.checked_sub(unread).filter(|_| unread > 0) } else { Some(fed) }
    }

    /// Reports the next frame, if there is a whole one; whether more may follow.
    fn report_frame<H: Handler>(&mut self, at: usize, framer: &mut Framer, at_end: bool, handler: &mut H) -> bool {
        let connection = &mut self.connections[at];
        if connection.is_shut() || connection.discards {
            return false;
        }
        let may_be_http = !connection.has_received && connection.link.is_none() && framer.wire() == Wire::Bcp;
        if may_be_http && is_http(framer.unread()) {
            connection.end(CloseReason::Http);
            return false;
        }
        let frame = if at_end { framer.end_of_connection() } else { framer.next_frame() };
        let Some(frame) = frame else { return false };
        connection.has_received |= matches!(frame, Frame::Message(_));
        let (id, is_linked) = (connection.id, connection.link.is_some());
        handler.on_message(self, id, &frame);
        if let Frame::Bad { fault, .. } = frame {
            if framer.has_ended() && !is_linked {
                self.connections[at].discards = true;
                self.report_eof(at, CloseReason::Broken(fault), handler);
            }
        }
        true
    }

    /// How many bytes the long frames of all connections hold.
    pub(super) fn long_bytes(&self) -> usize {
        let framers = self.connections.iter().filter_map(|connection| connection.framer.as_ref());
        framers.map(|framer| framer.unread().len()).filter(|&unread| unread > LONG_FRAME_BYTES).sum()
    }

    /// The peer has closed its side.
    fn report_end<H: Handler>(&mut self, at: usize, handler: &mut H) {
        let connection = &mut self.connections[at];
        (connection.at_end, connection.noticed) = (true, true);
        if connection.discards {
            return;
        }
        if let Some(mut framer) = connection.framer.take() {
            self.report_frame(at, &mut framer, true, handler);
            self.connections[at].framer = Some(framer);
        }
        self.report_eof(at, CloseReason::ByPeer, handler);
        let Some(link) = &mut self.connections[at].link else { return };
        let mut rest = Vec::new();
        if let Some(rewrite) = &mut link.rewrite {
            rewrite(b"", true, &mut rest);
        }
        let (to, now) = (link.to, self.now);
        if let Some(to) = self.find_mut(to) {
            to.outbox.push(&rest, Some(rest.len()));
            to.finish(now, Duration::MAX, Duration::MAX);
        }
    }

    /// Nothing more will be reported.
    fn report_eof<H: Handler>(&mut self, at: usize, reason: CloseReason, handler: &mut H) {
        let connection = &mut self.connections[at];
        // Else it was ended before, as the handler knows.
        if connection.reason.is_none() {
            connection.reason = Some(reason);
            let id = connection.id;
            handler.on_eof(self, id);
        }
    }
}

/// Whether a connection begins as HTTP: a web page must not play pinball, and a web server is no peer. Some web servers
/// reply to an invalid request with a page and no status line.
fn is_http(start: &[u8]) -> bool {
    [&b"GET "[..], b"POST", b"HEAD", b"PUT ", b"OPTIONS", b"HTTP/", b"<!DOC"].iter().any(|word| start.starts_with(word))
}

/// Stops a run in a thread of its own as SIGTERM does, waits for its end, and returns the handler.
pub(crate) type ShutdownHandle<H> = Box<dyn FnOnce() -> Option<H>>;

/// Runs `handler` in a thread of its own, until it ends or is stopped.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn run_in_background<H>(mut net: Net, mut handler: H) -> io::Result<ShutdownHandle<H>>
where
    H: Handler + Send + 'static,
{
    let waker = net.waker.clone();
    let thread = thread::Builder::new().name("loopback".to_owned()).spawn(move || {
        // A poll that fails ends its connections, which the other loop reports.
        let _ = net.run(&mut handler);
        handler
    })?;
    Ok(Box::new(move || {
        waker.signal(15);
        thread.join().ok()
    }))
}
