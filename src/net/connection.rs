//! One connection of a server: its reader, and its queue of what is said to it.
//!
//! The reader blocks in `read` and does nothing else that waits but hand over chunks. Whoever speaks (the host, the
//! supervisor) appends whole messages to the queue and sends what the socket takes; the supervisor polls for the rest.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::chunk::Chunk;
use super::queue::Outbox;
use super::wait::{self, Armed, Poll, Wake, Want};
use crate::framing::{Frame, Framer, FramingError, FramingOptions, Wire};

/// How much may wait to be sent to one peer, in bytes; one that does not read is reset when it is reached.
pub const QUEUE_BYTES_MAX: usize = 64 << 10;

/// How long a connection that we end may take over it: sending what waits, then reading until the peer closes.
pub const FINISH_TIME: Duration = Duration::from_millis(500);

/// How a connection ended, as its reader saw it.
#[derive(Debug)]
pub enum Left {
    /// The peer closed; the bytes of a line or payload that it did not finish.
    Closed(Vec<u8>),
    /// The connection was lost.
    Lost(io::Error),
    /// The peer's framing cannot be followed any further.
    Broken(FramingError),
    /// So little was left of what all peers' long frames may have, in bytes, that it was reset.
    NoRoom(usize),
    /// The first bytes are a web browser's: executing such lines is how a web page would play pinball.
    Http,
}

/// What became of a message that was to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is on its way.
    Queued,
    /// So much waits for this peer that it was reset instead.
    Overrun,
    /// The connection is ending; it was dropped.
    Ending,
}

/// What a reader tells the printer.
#[derive(Debug)]
pub enum Report {
    /// Somebody has connected.
    Joined(Arc<Connection>),
    /// Frames have come.
    Heard(Arc<Connection>, Chunk),
    /// Stdin has brought something; nothing at its end.
    Input(Vec<u8>),
    /// Nothing more will come.
    Left(Arc<Connection>, Left),
}

/// One peer of a server.
#[derive(Debug)]
pub struct Connection {
    /// Counted from 1 in the order of arrival.
    pub number: u64,
    /// The peer's address.
    pub peer: SocketAddr,
    socket: TcpStream,
    sending: Mutex<Sending>,
    reading_ended: AtomicBool,
    told_farewell: AtomicBool,
    announced: AtomicBool,
    wake: Wake,
}

#[derive(Debug)]
struct Sending {
    outbox: Outbox,
    phase: Phase,
    armed: Armed,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Messages may be said.
    Open,
    /// What waits is sent, until then; then we half-close.
    Finishing(Instant),
    /// We have half-closed; the reader reads on until then.
    Draining(Instant),
    /// The peer takes nothing more; its last words are still being read.
    Deaf,
    /// Nothing is sent or read any more.
    Over,
}

/// What the supervisor has to do for a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Care {
    /// Poll until the socket takes more.
    pub write: bool,
    /// Look again at this time.
    pub until: Option<Instant>,
    /// Forget it.
    pub over: bool,
}

impl Connection {
    /// A connection that has just been accepted; `wake` wakes the supervisor.
    ///
    /// # Errors
    /// The socket's options cannot be set: it is gone.
    pub fn new(number: u64, peer: SocketAddr, socket: TcpStream, wake: Wake) -> io::Result<Connection> {
        // Some systems hand the listener's mode on.
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        let sending =
            Mutex::new(Sending { outbox: Outbox::new(QUEUE_BYTES_MAX), phase: Phase::Open, armed: Armed::default() });
        let [reading_ended, told_farewell, announced] = [false; 3].map(AtomicBool::new);
        Ok(Connection { number, peer, socket, sending, reading_ended, told_farewell, announced, wake })
    }

    /// Says whole messages (one or more, LF and payload included), in one write where the socket takes it.
    /// A peer whose queue is full is reset: it does not read, and must not cost memory.
    pub fn say(&self, messages: &[u8]) -> Said {
        let mut sending = self.lock();
        if !matches!(sending.phase, Phase::Open) {
            return Said::Ending;
        }
        if !sending.outbox.has_room(messages.len()) {
            self.end(&mut sending, true);
            return Said::Overrun;
        }
        sending.outbox.push(messages);
        self.flush(&mut sending);
        if !sending.outbox.is_empty() {
            self.wake.wake();
        }
        Said::Queued
    }

    /// Says the last words, if more may be said, and ends the connection in order.
    pub fn part(&self, farewell: &[u8]) {
        if self.say(farewell) == Said::Queued {
            self.told_farewell.store(true, Ordering::SeqCst);
        }
        self.finish();
    }

    /// Whether [`Connection::part`] said the last words.
    pub fn was_told_farewell(&self) -> bool {
        self.told_farewell.load(Ordering::SeqCst)
    }

    /// Whether the printer has been told, or will be before anything that is told from now on.
    pub fn is_announced(&self) -> bool {
        self.announced.load(Ordering::SeqCst)
    }

    /// Whether more may be said.
    pub fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    /// Ends the connection in order: sends what waits, half-closes, and closes when the peer has or [`FINISH_TIME`] is
    /// over.
    pub fn finish(&self) {
        let mut sending = self.lock();
        if matches!(sending.phase, Phase::Open) {
            sending.phase = Phase::Finishing(Instant::now() + FINISH_TIME);
            self.wake.wake();
        }
    }

    /// Ends the connection at once, by a reset when a message is half out or something waits that will not go.
    pub fn abort(&self) {
        let mut sending = self.lock();
        let reset = sending.outbox.is_inside_message();
        self.end(&mut sending, reset);
    }

    /// Ends the connection at once, by a reset.
    pub fn reset(&self) {
        self.end(&mut self.lock(), true);
    }

    /// Watches the socket for room; for the supervisor.
    pub fn watch<'a>(&'a self, poll: &mut Poll<'a>) {
        poll.socket(&self.socket, Want { read: false, write: true });
    }

    /// Sends what the socket takes and moves the connection towards its end; for the supervisor.
    pub fn tend(&self, now: Instant) -> Care {
        let mut sending = self.lock();
        self.flush(&mut sending);
        let read_out = self.reading_ended.load(Ordering::SeqCst);
        match sending.phase {
            Phase::Open => Care { write: !sending.outbox.is_empty(), ..Care::default() },
            Phase::Deaf => Care { over: read_out, ..Care::default() },
            Phase::Over => Care { over: true, ..Care::default() },
            Phase::Finishing(_) if sending.outbox.is_empty() => {
                // The peer may be gone already, which the reader sees.
                let _ = self.socket.shutdown(Shutdown::Write);
                let until = now + FINISH_TIME;
                sending.phase = Phase::Draining(until);
                Care { until: Some(until), over: read_out, ..Care::default() }
            }
            Phase::Draining(_) if read_out => Care { over: true, ..Care::default() },
            Phase::Finishing(until) | Phase::Draining(until) if now < until => {
                Care { write: !sending.outbox.is_empty(), until: Some(until), over: false }
            }
            Phase::Finishing(_) | Phase::Draining(_) => {
                let reset = sending.outbox.is_inside_message();
                self.end(&mut sending, reset);
                Care { over: true, ..Care::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sending> {
        // What a panicking thread left behind is still a queue of whole messages.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, sending: &mut Sending) {
        self.write(sending);
        sending.armed.set(&self.socket, sending.outbox.is_inside_message());
    }

    fn write(&self, sending: &mut Sending) {
        while !sending.outbox.is_empty() {
            sending.armed.before_write(&self.socket, sending.outbox.unsent());
            match wait::send_now(&self.socket, sending.outbox.unsent()) {
                Ok(count) => sending.outbox.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    sending.outbox.clear();
                    sending.phase = Phase::Deaf;
                }
            }
        }
    }

    /// Nothing more goes in either direction. Only the reading side is shut down: shutting down the writing side would
    /// send an orderly end, and a reset is sent when the last holder drops the socket.
    fn end(&self, sending: &mut Sending, reset: bool) {
        if reset {
            sending.armed.reset(&self.socket);
        }
        sending.outbox.clear();
        sending.phase = Phase::Over;
        let _ = self.socket.shutdown(Shutdown::Read);
        self.wake.wake();
    }
}

/// Reads a connection until it ends: the body of its reader thread.
pub fn read(connection: &Arc<Connection>, framing: FramingOptions, budget: &Arc<Budget>, reports: &SyncSender<Report>) {
    if reports.send(Report::Joined(Arc::clone(connection))).is_ok() {
        connection.announced.store(true, Ordering::SeqCst);
        connection.wake.wake();
        // A receiver that is gone is a printer that has ended; there is nobody to report to.
        let wire = framing.wire;
        if let Some(left) = read_frames(connection, wire, Framer::new(framing), budget, reports) {
            if matches!(left, Left::NoRoom(_)) {
                // At once, whenever the printer comes to say so.
                connection.reset();
            }
            let broken = matches!(left, Left::Broken(_));
            let heard = reports.send(Report::Left(Arc::clone(connection), left)).is_ok();
            if broken && heard {
                discard(connection);
            }
        }
    }
    connection.reading_ended.store(true, Ordering::SeqCst);
    connection.wake.wake();
}

/// How the connection ended; `None` when nobody hears the reports any more.
fn read_frames(
    connection: &Arc<Connection>,
    wire: Wire,
    mut framer: Framer,
    budget: &Arc<Budget>,
    reports: &SyncSender<Report>,
) -> Option<Left> {
    let mut share = budget.share();
    // A web browser's first words are no length of OBE_Socket's.
    let mut is_new = wire == Wire::Bcp;
    loop {
        match (&connection.socket).read(framer.space()) {
            Ok(0) => {
                let mut chunk = Chunk::on(wire, Instant::now());
                framer.end_of_connection().iter().for_each(|frame| chunk.push(frame));
                if !chunk.is_empty() {
                    reports.send(Report::Heard(Arc::clone(connection), chunk)).ok()?;
                }
                return Some(Left::Closed(framer.unread().to_vec()));
            }
            Ok(count) => framer.filled(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Some(Left::Lost(error)),
        }
        if !share.cover(framer.unread().len()) {
            return Some(Left::NoRoom(budget.bytes));
        }
        let mut chunk = Chunk::on(wire, Instant::now());
        let end = gather(&mut framer, &mut is_new, &mut chunk);
        if !chunk.is_empty() {
            if !share.is_empty() {
                chunk.keep(share.split_beyond(framer.unread().len()));
                framer.give_back();
            }
            chunk.fit();
            reports.send(Report::Heard(Arc::clone(connection), chunk)).ok()?;
        }
        if end.is_some() {
            return end;
        }
    }
}

/// Puts the whole frames into the chunk; how the connection ends, if they end it. It is new until the first message:
/// what is ignored before that must not open the way for a web browser.
fn gather(framer: &mut Framer, is_new: &mut bool, chunk: &mut Chunk) -> Option<Left> {
    let mut fault = None;
    while let Some(frame) = framer.next_frame() {
        match &frame {
            Frame::Message(message) if *is_new && is_http(message.line) => return Some(Left::Http),
            Frame::Message(_) => *is_new = false,
            Frame::Bad { fault: found, .. } => fault = Some(*found),
            Frame::Ignored { .. } => {}
        }
        chunk.push(&frame);
    }
    if *is_new && is_http(framer.unread()) {
        return Some(Left::Http);
    }
    fault.filter(|_| framer.has_ended()).map(Left::Broken)
}

/// Reads on without looking, so that our last words are not lost in a reset. The supervisor ends it in time.
fn discard(connection: &Connection) {
    let mut bytes = [0; 4096];
    while matches!((&connection.socket).read(&mut bytes), Ok(count) if count > 0) {}
}

/// Whether a connection begins with an HTTP method and a space (design.md, section 2).
fn is_http(start: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];
    METHODS.iter().any(|method| start.starts_with(method))
}
