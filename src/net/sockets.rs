//! What a handler can ask of the loop, and what the loop keeps between its turns.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::connect::{ConnectAttempt, RECONNECT_PAUSE, RETRY_PAUSE};
use super::connection::{CloseReason, ConnId, Connection, Link, Phase};
use super::reactor::FRAMER_BYTES;
use super::stdio::Printer;
use super::sys::{self, Output, Waker};
use super::{DRAIN_TIME, FLUSH_TIME, NetSettings, OUTPUT_TIME, Rewrite};
use crate::framing::Framer;
use crate::limits::{CONNECTIONS_MAX, LONG_FRAMES_BYTES_MAX};

/// How many connections the kernel holds for a listener until they are accepted: with std's 128, a thousand peers that
/// connect at once wait for seconds.
const BACKLOG_CONNECTIONS: i32 = 1024;

/// The sockets of a run, and its output. Made before signals are caught, given to each call of the
/// [`Handler`](super::Handler).
pub(crate) struct Net {
    pub(super) settings: NetSettings,
    pub(super) output: Printer,
    pub(super) recording: Printer,
    pub(super) listener: Option<TcpListener>,
    /// Until when the listener rests, because accepting failed.
    pub(super) resting: Option<Instant>,
    pub(super) has_reported_accept: bool,
    /// How many accepted connections there are at once.
    pub(super) connections_max: usize,
    /// In the order of their numbers; one that is over stays until `on_close` was called.
    pub(super) connections: Vec<Connection>,
    last_id: u64,
    /// How many bytes the frames over [`LONG_FRAME_BYTES`](crate::limits::LONG_FRAME_BYTES) of all peers may have at
    /// once.
    pub(super) long_bytes_max: usize,
    pub(super) waker: Waker,
    /// The time of what is being reported: when a frame was read, when the last message was written.
    pub(crate) now: Instant,
    /// When a connection has to be looked at again.
    pub(super) deadline: Option<Instant>,
    is_hurried: bool,
    /// Whether the loop goes on while there is no listener and no connection: input may still arrive for one. Until
    /// [`Net::leave`].
    pub(crate) stays: bool,
    /// Until when output and recording are waited for.
    pub(super) output_until: Option<Instant>,
    /// What connections read into.
    pub(super) scratch: Vec<u8>,
}

impl Net {
    /// Opens no socket yet.
    ///
    /// # Errors
    /// The system gives no waker.
    pub(crate) fn new(mut settings: NetSettings) -> io::Result<Net> {
        let waker = Waker::new()?;
        let recording = settings.recording.take().map(|writer| Output { writer, watched: None });
        let framing = &mut settings.framing;
        framing.read_bytes = FRAMER_BYTES;
        // With larger limits at least one message of the largest size must fit.
        let longest = framing.line_bytes_max.saturating_add(framing.payload_bytes_max);
        let long_bytes_max = LONG_FRAMES_BYTES_MAX.max(longest.saturating_mul(2));
        Ok(Net {
            output: Printer::new(settings.output.take(), settings.drops_output, &waker),
            recording: Printer::new(recording, settings.drops_output, &waker),
            listener: None,
            resting: None,
            has_reported_accept: false,
            connections_max: CONNECTIONS_MAX,
            connections: Vec::new(),
            last_id: 0,
            long_bytes_max,
            waker,
            settings,
            now: Instant::now(),
            deadline: None,
            is_hurried: false,
            stays: false,
            output_until: None,
            scratch: Vec::new(),
        })
    }

    /// From here on SIGINT and SIGTERM (Ctrl-C) are reported by [`Handler::on_stop`](super::Handler::on_stop), and a
    /// second one ends the process with 130 or 143. Call it last before [`Net::run`]: what blocks before it must be
    /// ended by signals.
    pub(crate) fn catch_signals(&mut self) -> io::Result<()> {
        self.waker.catch_signals()
    }

    /// Listens on the first address that allows it, with a backlog of 1,024, and accepts once the loop runs. Returns
    /// the real address (port 0 picks one).
    ///
    /// # Errors
    /// What the last address failed with.
    pub(crate) fn listen(&mut self, addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(addresses)?;
        rustix::net::listen(&listener, BACKLOG_CONNECTIONS)?;
        listener.set_nonblocking(true)?;
        self.listener.insert(listener).local_addr()
    }

    /// Begins to connect. Later `on_connect` is called, or `on_close` with [`CloseReason::Unreached`]. Until then the
    /// connection can be `reset` and linked, and messages can be sent, which wait.
    ///
    /// The addresses are tried in order, and again every 100 ms until `retry` has passed: zero is one round,
    /// [`Duration::MAX`] is for ever. Resolve them before signals are caught: it can block.
    pub(crate) fn connect(&mut self, addresses: &[SocketAddr], retry: Duration) -> ConnId {
        self.add(Phase::Connecting(ConnectAttempt::new(addresses, retry, Duration::ZERO, RETRY_PAUSE)), None)
    }

    /// Connects again after a loss: once a second, the first time after a second. A `retry` of zero is no limit.
    pub(crate) fn reconnect(&mut self, addresses: &[SocketAddr], retry: Duration) -> ConnId {
        let retry = if retry.is_zero() { Duration::MAX } else { retry };
        self.add(Phase::Connecting(ConnectAttempt::new(addresses, retry, RECONNECT_PAUSE, RECONNECT_PAUSE)), None)
    }

    /// Adds a connection under the next number, with its socket if it was accepted.
    pub(super) fn add(&mut self, phase: Phase, accepted: Option<(TcpStream, SocketAddr)>) -> ConnId {
        self.last_id += 1;
        let (id, is_accepted, (socket, peer)) = (ConnId(self.last_id), accepted.is_some(), accepted.unzip());
        let framer = Some(Framer::new(self.settings.framing.clone()));
        let connection = Connection { id, phase, is_accepted, socket, peer, framer, ..Connection::default() };
        self.connections.push(connection);
        id
    }

    /// Queues one whole message, its LF and payload included: it goes out whole or the connection is reset. Returns
    /// whether it was accepted: not after `finish`, a loss or the end. It is accepted even without
    /// [room](Net::has_room): ask first, and `reset` a peer that does not read, where memory must stay bounded.
    /// Several messages in one call count as one.
    pub(crate) fn send(&mut self, id: ConnId, message: &[u8]) -> bool {
        let Some(connection) = self.find_mut(id).filter(|connection| connection.accepts()) else { return false };
        connection.outbox.push(message, Some(message.len()));
        true
    }

    /// Whether a message of so many bytes fits beside what waits (64 KiB), or nothing waits. `false` when
    /// [`Net::send`] would refuse.
    pub(crate) fn has_room(&self, id: ConnId, bytes: usize) -> bool {
        self.find(id).is_some_and(|connection| connection.accepts() && connection.outbox.has_room(bytes))
    }

    /// How many messages of this connection have not been written whole.
    pub(crate) fn pending(&self, id: ConnId) -> usize {
        self.find(id).map_or(0, |connection| connection.outbox.ends.len())
    }

    /// Drops the messages of which nothing was written; how many.
    pub(crate) fn cut(&mut self, id: ConnId) -> usize {
        let Some(connection) = self.find_mut(id) else { return 0 };
        let dropped = connection.outbox.keep_only_started();
        connection.cut += dropped;
        dropped
    }

    /// Ends a connection in order: writes what waits for at most `flush`, half-closes, reads (and reports messages)
    /// until the peer closes for at most `drain`, closes. A message that cannot be finished in time makes it a reset.
    /// [`Duration::MAX`] is no limit; a `drain` of zero closes at once. Our own slow output does not count as the
    /// peer's time. Called again, it only shortens the times. One that is still connecting is given up.
    pub(crate) fn finish(&mut self, id: ConnId, flush: Duration, drain: Duration) {
        let now = self.now;
        if let Some(connection) = self.find_mut(id) {
            connection.reason.get_or_insert(CloseReason::ByUs);
            connection.finish(now, flush, drain);
        }
    }

    /// Ends a connection at once, with a reset if it is open.
    pub(crate) fn reset(&mut self, id: ConnId) {
        if let Some(connection) = self.find_mut(id) {
            connection.end(CloseReason::Reset);
        }
    }

    /// Forwards what one connection sends to the other, also what cannot be parsed, byte for byte or, towards `server`,
    /// as `rewrite` changes it. A half-close is passed on once everything was written. Each is read while the other is
    /// open and has room. If one is lost, reset or not reached, the other one is reset. Link them in `on_connect` of
    /// `client`; `server` may still be connecting.
    pub(crate) fn link(&mut self, client: ConnId, server: ConnId, rewrite: Option<Rewrite>) {
        for (from, to, rewrite) in [(client, server, rewrite), (server, client, None)] {
            if let Some(connection) = self.find_mut(from) {
                connection.link = Some(Link { to, rewrite });
            }
        }
    }

    /// No new peers: closes the listener and gives up what is still connecting. [`Net::run`] returns when there is no
    /// listener and no connection any more and everything is printed and recorded.
    pub(crate) fn leave(&mut self) {
        self.stays = false;
        self.listener = None;
        for connection in self.connections.iter_mut().filter(|connection| connection.is_connecting()) {
            connection.end(CloseReason::Reset);
        }
    }

    /// The end in bounded time, for signals and deadlines: [`Net::leave`], then finishes every connection within
    /// [`FLUSH_TIME`] and [`DRAIN_TIME`] (linked ones after their message in flight), and gives output and
    /// recording [`OUTPUT_TIME`] after that. Send last words before it.
    pub(crate) fn hurry(&mut self) {
        self.leave();
        self.is_hurried = true;
        let now = self.now;
        for connection in &mut self.connections {
            if connection.link.is_some() {
                connection.outbox.keep_only_started();
            }
            // The rest of a message often fits though poll saw no room.
            connection.is_blocked = false;
            connection.reason.get_or_insert(CloseReason::ByUs);
            connection.finish(now, FLUSH_TIME, DRAIN_TIME);
        }
        // Not reading peers now would leave bytes unread, which makes a close a reset.
        (self.output.drops, self.recording.drops) = (true, true);
    }

    /// Prints on standard output, after what was printed before. Never blocks.
    pub(crate) fn print(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
    }

    /// Appends to the recording; handed over before what is printed in the same turn.
    pub(crate) fn record(&mut self, bytes: &[u8]) {
        self.recording.push(bytes);
    }

    /// The peer's address; `None` while connecting and after the end.
    pub(crate) fn peer(&self, id: ConnId) -> Option<SocketAddr> {
        self.find(id)?.peer
    }

    /// Whether messages can be sent now: connected, and not finishing.
    pub(crate) fn is_open(&self, id: ConnId) -> bool {
        self.find(id).is_some_and(Connection::is_open)
    }

    /// Whether the peer has closed with nothing left to read; for one that is not read since its link's other end is
    /// still connecting.
    pub(crate) fn has_peer_closed(&self, id: ConnId) -> bool {
        let socket = self.find(id).and_then(|connection| connection.socket.as_ref());
        let is_over = |socket: &TcpStream| {
            socket.peek(&mut [0]).map_or_else(|error| !sys::is_passing(&error), |count| count == 0)
        };
        socket.is_none_or(is_over)
    }

    /// Where a connection stands; places stay the same until ended ones are removed.
    pub(super) fn place(&self, id: ConnId) -> Option<usize> {
        self.connections.binary_search_by_key(&id, |connection| connection.id).ok()
    }

    pub(super) fn find(&self, id: ConnId) -> Option<&Connection> {
        self.place(id).map(|at| &self.connections[at])
    }

    pub(super) fn find_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.place(id).map(|at| &mut self.connections[at])
    }

    /// Whether peers are not read since our own output is too slow. A handler that prints what it sends asks it too.
    pub(crate) fn is_held(&self) -> bool {
        self.output.is_behind() || self.recording.is_behind()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_over(&mut self) -> bool {
        if self.stays || self.listener.is_some() || !self.connections.is_empty() {
            return false;
        }
        let is_written = self.output.is_idle() && self.recording.is_idle();
        is_written || (self.is_hurried && self.now >= *self.output_until.get_or_insert(self.now + OUTPUT_TIME))
    }
}
