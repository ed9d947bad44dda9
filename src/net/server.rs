//! A server of many peers: the supervisor, which accepts and ends, and the printer, which runs the [`Host`].
//!
//! The supervisor never waits for the printer, and the printer never for a peer: a stdout that nobody reads stops the
//! peers (their readers wait for the channel), and still a stop ends everything in time.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::connection::{self, Connection, FINISH_TIME, Left, Report};
use super::forward::{self, Ear, Ears, Outcome};
use super::wait::{self, ACCEPT_PAUSE, Call, Input, Output, Poll, Stop, Stopper, Wake, Woken};
use crate::framing::{Frame, FramingOptions};

/// How many chunks may wait for the printer before readers wait too.
const CHUNKS_WAITING_MAX: usize = 64;

/// The stack of a reader, in bytes: its buffers are on the heap, and a thousand peers are a thousand stacks.
const READER_STACK_BYTES: usize = 64 << 10;

/// How much a reader reads at a time: with more a thousand peers cost more memory and are no faster.
const CONNECTION_READ_BYTES: usize = 8 << 10;

/// How much of stdin is read at a time, in bytes: much less than what may wait for one peer.
const INPUT_BYTES: usize = 8 << 10;

/// How long stdin waits for a peer that is behind, until that peer is given more than it may have and is reset.
const INPUT_PATIENCE: Duration = Duration::from_secs(1);

/// How soon stdin is tried again when the printer had no room for it.
const INPUT_PAUSE: Duration = Duration::from_millis(10);

/// How long the printer may take over its last writes once the connections have ended after a stop.
const PRINTER_TIME: Duration = Duration::from_millis(100);

/// Whether the server goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    GoOn,
    /// It says farewell to all peers and ends.
    Stop,
}

/// Who decides what happens with what comes. It runs in one thread, sees each connection's frames in order, and may
/// block in stdout.
pub trait Host: Send + 'static {
    /// Somebody has connected.
    fn joined(&mut self, connection: &Arc<Connection>) -> Next;
    /// A frame has come, read at `seen`.
    fn heard(&mut self, connection: &Connection, frame: &Frame<'_>, seen: Instant) -> Next;
    /// Stdin has brought this, nothing at its end; only when the settings have it read.
    fn input(&mut self, _bytes: &[u8]) -> Next {
        Next::GoOn
    }
    /// Nothing more will come from this connection.
    fn left(&mut self, connection: &Connection, left: &Left) -> Next;
    /// No further frame is at hand: what was kept back is to be written now.
    fn pause(&mut self) -> Next;
}

/// What the supervisor has to tell, which is not the host's thread.
#[derive(Debug)]
pub enum Notice<'a> {
    /// One peer more than allowed was turned away.
    TurnedAway(SocketAddr),
    /// No descriptor or memory is free for another connection; told once.
    OutOfDescriptors(&'a io::Error),
    /// A connection was given up: no thread could be started for it, or accepting failed.
    GivenUp(&'a io::Error),
}

/// How a server behaves.
pub struct Settings {
    /// The limits of what peers send.
    pub framing: FramingOptions,
    /// How many bytes the long frames of all peers may have at once; a peer whose frame needs more is reset.
    pub long_frames_bytes_max: usize,
    /// How many peers are served at once.
    pub connections_max: usize,
    /// What one peer too many is told.
    pub full: &'static [u8],
    /// What each peer is told when the server ends.
    pub farewell: &'static [u8],
    /// When to end at the latest.
    pub until: Option<Instant>,
    /// Whether stdin is read, once there is a peer.
    pub input: Option<Input>,
    /// Who hears the supervisor's notices.
    pub notice: Box<dyn FnMut(Notice<'_>) + Send>,
}

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The stop came, with this signal if it was one.
    Stopped(Option<u8>),
    /// The host said so.
    Host,
    /// The settings' time has come.
    Time,
    /// Whoever reads our stdout has gone.
    ReaderGone,
}

/// A bound server, or one that has dialled its only peer.
#[derive(Debug)]
pub struct Server {
    pub(super) listener: Option<TcpListener>,
    dialled: Option<TcpStream>,
    /// How many connections there were before, which numbers those that come.
    before: u64,
}

/// A server in a thread of its own.
#[derive(Debug)]
pub struct Background<H> {
    stopper: Stopper,
    thread: thread::JoinHandle<io::Result<(Ended, Option<H>)>>,
}

impl<H> Background<H> {
    /// Stops the server and waits until it has said farewell, which takes a second at most; the host comes back.
    pub fn stop(self) -> Option<H> {
        drop(self.stopper);
        self.thread.join().ok().and_then(Result::ok).and_then(|(_, host)| host)
    }
}

struct Supervisor<'a> {
    server: Server,
    settings: Settings,
    budget: Arc<Budget>,
    stop: &'a Stop,
    output: Option<&'a Output>,
    connections: Vec<Arc<Connection>>,
    accepted: u64,
    /// When to accept again after running out of descriptors.
    resting: Option<Instant>,
    said_out_of_descriptors: bool,
    wake: Wake,
    woken: Woken,
    host_ends: Arc<AtomicBool>,
    input: Feed,
}

/// What becomes of stdin.
#[derive(Default)]
struct Feed {
    /// What the printer had no room for.
    waiting: Option<Vec<u8>>,
    /// Whether it has ended, which is told like anything else.
    ended: bool,
    /// When it was read last.
    last: Option<Instant>,
}

impl Server {
    /// Binds the first address that allows it.
    ///
    /// # Errors
    /// What the last one said.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Server> {
        Ok(Server { listener: Some(wait::listen(addresses)?), dialled: None, before: 0 })
    }

    /// A server whose only peer was dialled, after so many connections `before`.
    pub fn dialled(socket: TcpStream, before: u64) -> Server {
        Server { listener: None, dialled: Some(socket), before }
    }

    /// Where it listens; the port is the real one.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match (&self.listener, &self.dialled) {
            (Some(listener), _) => listener.local_addr(),
            (None, Some(socket)) => socket.local_addr(),
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Forwards whoever dials, instead of serving.
    ///
    /// # Errors
    /// As for [`forward::run`]; a server that has dialled forwards nobody.
    pub fn forward<P: Ear, R: Ear>(
        self,
        settings: forward::Settings,
        ears: Ears<P, R>,
        stop: &Stop,
        output: &Output,
    ) -> io::Result<Outcome<P, R>> {
        let listener = self.listener.ok_or(io::ErrorKind::NotConnected)?;
        forward::run(listener, settings, ears, stop, output)
    }

    /// Serves in a thread of its own until the handle that comes back is stopped.
    ///
    /// # Errors
    /// The system gives no pipe or thread.
    pub fn in_background<H: Host>(self, settings: Settings, host: H) -> io::Result<Background<H>> {
        let (stop, stopper) = wait::stop_pair()?;
        let serve = move || self.run(settings, host, &stop, None);
        let thread = thread::Builder::new().name("supervisor".to_owned()).spawn(serve)?;
        Ok(Background { stopper, thread })
    }

    /// Serves until the stop, until the host says so, until the time, or until `output`'s reader has gone; then says
    /// farewell. The host comes back unless it hangs in a stdout that nobody reads; then it was the stop or the time
    /// that ended the run.
    ///
    /// # Errors
    /// The system gives no pipe or thread, or its poll fails.
    pub fn run<H: Host>(
        self,
        settings: Settings,
        host: H,
        stop: &Stop,
        output: Option<&Output>,
    ) -> io::Result<(Ended, Option<H>)> {
        let (wake, woken) = wait::wake_pair()?;
        let host_ends = Arc::new(AtomicBool::new(false));
        let (reports, heard) = sync_channel(CHUNKS_WAITING_MAX);
        let (returned, host_back) = sync_channel(1);
        let printer = Printer { host, wake: wake.clone(), host_ends: Arc::clone(&host_ends) };
        thread::Builder::new().name("printer".to_owned()).spawn(move || printer.run(&heard, &returned))?;
        let mut supervisor = Supervisor {
            accepted: self.before,
            server: self,
            budget: Budget::new(settings.long_frames_bytes_max),
            settings,
            stop,
            output,
            connections: Vec::new(),
            resting: None,
            said_out_of_descriptors: false,
            wake,
            woken,
            host_ends,
            input: Feed::default(),
        };
        supervisor.welcome_dialled(&reports)?;
        let ended = supervisor.serve(&reports)?;
        supervisor.hand_in_rest(&reports);
        drop(reports);
        supervisor.leave(ended, &host_back)
    }
}

impl Supervisor<'_> {
    fn serve(&mut self, reports: &SyncSender<Report>) -> io::Result<Ended> {
        loop {
            let (until, writing) = self.tend();
            let now = Instant::now();
            self.resting = self.resting.filter(|&end| end > now);
            let mut poll = Poll::default();
            let stop = poll.stop(self.stop);
            let woken = poll.woken(&self.woken);
            let output = self.output.map(|output| poll.output(output, false));
            let listener = self.server.listener.as_ref().filter(|_| self.resting.is_none());
            let listener = listener.map(|listener| poll.listener(listener));
            let (wants_input, input_at) = self.wants_input(now, writing.is_empty());
            let input = self.settings.input.as_ref().filter(|_| wants_input).map(|input| poll.input(input));
            writing.iter().for_each(|connection| connection.watch(&mut poll));
            poll.wait(earlier(earlier(until, self.resting), earlier(self.settings.until, input_at)))?;
            let (stop, woken) = (poll.ready(stop).read, poll.ready(woken).read);
            let gone = output.is_some_and(|place| poll.ready(place).gone);
            let brings = input.is_some_and(|place| poll.ready(place).read);
            let calls = listener.is_some_and(|place| poll.ready(place).read);
            if woken {
                self.woken.clear();
            }
            if stop {
                return Ok(Ended::Stopped(self.stop.signal()));
            }
            if self.host_ends.load(Ordering::SeqCst) {
                return Ok(Ended::Host);
            }
            if gone {
                return Ok(Ended::ReaderGone);
            }
            if self.settings.until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Ended::Time);
            }
            if calls {
                self.accept(reports);
            }
            if brings || self.input.waiting.is_some() {
                self.read_input(brings, reports)?;
            }
        }
    }

    /// Whether stdin is to be read now: there is a peer, and none is behind; else when to look again.
    fn wants_input(&self, now: Instant, all_written: bool) -> (bool, Option<Instant>) {
        if self.settings.input.is_none() || !self.connections.iter().any(|connection| connection.is_announced()) {
            return (false, None);
        }
        if self.input.waiting.is_some() {
            return (false, Some(now + INPUT_PAUSE));
        }
        let patience = self.input.last.map(|last| last + INPUT_PATIENCE).filter(|&end| end > now && !all_written);
        (!self.input.ended && patience.is_none(), patience.filter(|_| !self.input.ended))
    }

    /// Reads what stdin has and hands it to the printer, as far as that has room.
    fn read_input(&mut self, brings: bool, reports: &SyncSender<Report>) -> io::Result<()> {
        if let Some(input) = self.settings.input.as_ref().filter(|_| brings && self.input.waiting.is_none()) {
            let mut bytes = vec![0; INPUT_BYTES];
            match input.read_some(&mut bytes) {
                Ok(count) => bytes.truncate(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            self.input.ended = bytes.is_empty();
            self.input.last = Some(Instant::now());
            self.input.waiting = Some(bytes);
        }
        if let Some(bytes) = self.input.waiting.take() {
            if let Err(TrySendError::Full(Report::Input(bytes))) = reports.try_send(Report::Input(bytes)) {
                self.input.waiting = Some(bytes);
            }
        }
        Ok(())
    }

    /// Hands the printer what was read for peers that have all gone, so that it can say that it was not sent.
    fn hand_in_rest(&mut self, reports: &SyncSender<Report>) {
        if let Some(bytes) = self.input.waiting.take() {
            if !self.connections.iter().any(|connection| connection.is_open()) {
                // Whoever has no room now is stuck in stdout, and says nothing any more.
                let _ = reports.try_send(Report::Input(bytes));
            }
        }
    }

    /// Serves the peer that was dialled.
    fn welcome_dialled(&mut self, reports: &SyncSender<Report>) -> io::Result<()> {
        if let Some(socket) = self.server.dialled.take() {
            let peer = socket.peer_addr()?;
            self.welcome(socket, peer, reports);
        }
        Ok(())
    }

    /// Moves every connection on; when to look again, and which ones wait for room.
    fn tend(&mut self) -> (Option<Instant>, Vec<Arc<Connection>>) {
        let now = Instant::now();
        let (mut until, mut writing) = (None, Vec::new());
        let before = self.connections.len();
        self.connections.retain(|connection| {
            let care = connection.tend(now);
            until = earlier(until, care.until.filter(|_| !care.over));
            if care.write && !care.over {
                writing.push(Arc::clone(connection));
            }
            !care.over
        });
        if self.connections.len() < before {
            // A descriptor is free, or will be in a moment.
            self.resting = None;
        }
        (until, writing)
    }

    fn accept(&mut self, reports: &SyncSender<Report>) {
        loop {
            let Some(listener) = &self.server.listener else { return };
            match wait::accept(listener) {
                Call::Taken(socket, peer) => self.welcome(socket, peer, reports),
                Call::None => return,
                Call::Failed(error) => {
                    self.resting = Some(Instant::now() + ACCEPT_PAUSE);
                    if !self.said_out_of_descriptors {
                        self.said_out_of_descriptors = true;
                        (self.settings.notice)(match wait::is_out_of_descriptors(&error) {
                            true => Notice::OutOfDescriptors(&error),
                            false => Notice::GivenUp(&error),
                        });
                    }
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, socket: TcpStream, peer: SocketAddr, reports: &SyncSender<Report>) {
        if self.connections.len() >= self.settings.connections_max {
            // The refusal fits any socket's buffer; a peer that does not take it is closed all the same.
            let _ = wait::send_now(&socket, self.settings.full);
            (self.settings.notice)(Notice::TurnedAway(peer));
            return;
        }
        let number = self.accepted + 1;
        let Ok(connection) = Connection::new(number, peer, socket, self.wake.clone()) else {
            // It has gone before it was served.
            return;
        };
        let connection = Arc::new(connection);
        let (reader, budget, reports) = (Arc::clone(&connection), Arc::clone(&self.budget), reports.clone());
        let framing = FramingOptions { read_bytes: CONNECTION_READ_BYTES, ..self.settings.framing.clone() };
        let thread = thread::Builder::new().stack_size(READER_STACK_BYTES);
        match thread.spawn(move || connection::read(&reader, framing, &budget, &reports)) {
            Ok(_) => {
                self.accepted = number;
                self.connections.push(connection);
            }
            Err(error) => (self.settings.notice)(Notice::GivenUp(&error)),
        }
    }

    /// Says farewell to all, waits for the peers and then for the printer, each only so long after a stop or the time.
    fn leave<H>(&mut self, ended: Ended, host_back: &Receiver<H>) -> io::Result<(Ended, Option<H>)> {
        let start = Instant::now();
        for connection in &self.connections {
            connection.part(self.settings.farewell);
        }
        let mut ended = ended;
        let mut ended_at = None;
        loop {
            let (until, writing) = self.tend();
            let now = Instant::now();
            if self.connections.is_empty() {
                ended_at.get_or_insert(now);
            } else if now >= start + FINISH_TIME {
                self.connections.iter().for_each(|connection| connection.abort());
                continue;
            }
            let over = match ended {
                Ended::Stopped(_) | Ended::Time => Some(start),
                Ended::Host | Ended::ReaderGone => self.settings.until.map(|until| until.max(start)),
            };
            let limit = ended_at.zip(over).map(|(at, over)| (over + FINISH_TIME).max(at + PRINTER_TIME));
            match host_back.try_recv() {
                Ok(host) => return Ok((ended, Some(host))),
                Err(TryRecvError::Disconnected) => return Ok((ended, None)),
                Err(TryRecvError::Empty) if limit.is_some_and(|limit| now >= limit) => {
                    let stopped = matches!(ended, Ended::Stopped(_));
                    return Ok((if stopped { ended } else { Ended::Time }, None));
                }
                Err(TryRecvError::Empty) => {}
            }
            let mut poll = Poll::default();
            let stop = (!matches!(ended, Ended::Stopped(_))).then(|| poll.stop(self.stop));
            poll.woken(&self.woken);
            writing.iter().for_each(|connection| connection.watch(&mut poll));
            let patience = (!self.connections.is_empty()).then(|| start + FINISH_TIME);
            poll.wait(earlier(earlier(until, limit), patience))?;
            if stop.is_some_and(|place| poll.ready(place).read) {
                ended = Ended::Stopped(self.stop.signal());
            }
            self.woken.clear();
        }
    }
}

/// The earlier of two points in time of which either may be missing.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The thread that owns the host.
struct Printer<H> {
    host: H,
    wake: Wake,
    host_ends: Arc<AtomicBool>,
}

impl<H: Host> Printer<H> {
    /// Hands every report to the host until no reader is left.
    fn run(mut self, reports: &Receiver<Report>, returned: &SyncSender<H>) {
        while let Ok(report) = reports.recv() {
            self.hand_over(&report);
            while let Ok(report) = reports.try_recv() {
                self.hand_over(&report);
            }
            let next = self.host.pause();
            self.note(next);
        }
        // There is room for it, and the supervisor may have stopped waiting.
        let _ = returned.try_send(self.host);
        self.wake.wake();
    }

    fn hand_over(&mut self, report: &Report) {
        match report {
            Report::Joined(connection) => {
                let next = self.host.joined(connection);
                self.note(next);
            }
            Report::Heard(connection, chunk) => chunk.each(|frame| {
                let next = self.host.heard(connection, frame, chunk.seen);
                self.note(next);
            }),
            Report::Input(bytes) => {
                let next = self.host.input(bytes);
                self.note(next);
            }
            Report::Left(connection, left) => {
                let next = self.host.left(connection, left);
                match left {
                    Left::Http => connection.abort(),
                    _ => connection.finish(),
                }
                self.note(next);
            }
        }
    }

    fn note(&self, next: Next) {
        if next == Next::Stop && !self.host_ends.swap(true, Ordering::SeqCst) {
            self.wake.wake();
        }
    }
}
