//! One connection that we dialled: the loop of `send` and `replay`, each of them a [`Script`].
//!
//! One thread polls the stop, the socket, stdin and stdout; nothing in it blocks. The script says what goes to the peer
//! and when, and hears what comes; it touches no socket and no clock. Leaving is the loop's business: farewell,
//! half-close, reading what still comes, close (design.md, section 9). It never ends a connection in order inside a
//! message.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::queue::Outbox;
use super::wait::{Armed, Input, Output, Poll, Stop, Want, is_passing};
use crate::framing::{Frame, Framer, FramingError, FramingOptions};
use crate::limits::READ_BYTES;

/// How long the peer may take to close after we have half-closed (design.md, section 9).
pub const DRAIN_TIME: Duration = Duration::from_millis(500);

/// How long the message being written may take to go out after a stop, before the connection is reset.
pub const FINISH_TIME: Duration = Duration::from_millis(300);

/// How long a stdout that nobody reads is waited for after a stop.
pub const OUTPUT_TIME: Duration = Duration::from_millis(500);

/// How much may wait to be written, in bytes, in each direction, before its source is left unread.
pub const WAITING_BYTES_MAX: usize = 64 << 10;

/// How long before its time a wait goes over into looking at the clock: no system wakes a poll to the microsecond.
const SPIN_TIME: Duration = Duration::from_micros(50);

/// What a script wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has put messages into the outbox: ask again when they have gone.
    Write,
    /// Nothing to say before this time; what comes is read meanwhile.
    WaitUntil(Instant),
    /// Nothing to say until something comes.
    ReadOn,
    /// All is said: leave.
    Done,
    /// All is said and heard: close at once, without waiting for the peer to close.
    Close,
}

/// What is to be said, and who hears what comes. All methods but [`Script::next`] are calls that tell it something.
pub trait Script {
    /// What to do at `now`; messages go into the outbox, each pushed whole.
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step;

    /// Hears one frame; it may answer, and append to what is printed.
    fn heard(&mut self, frame: &Frame<'_>, outbox: &mut Outbox, printed: &mut Vec<u8>);

    /// Hears that so many of the messages it pushed last, the last words included, do not go out whole.
    fn dropped(&mut self, _messages: usize) {}

    /// The last words, if they are not said already.
    fn farewell(&mut self, outbox: &mut Outbox);

    /// Whether stdin is to be read now.
    fn wants_input(&self) -> bool {
        false
    }

    /// How long the dialogue may take from the first byte that is written, or from when nothing is left to be said; it
    /// then ends with [`Reason::TimeUp`]. `None` is for ever.
    fn time_limit(&self) -> Option<Duration> {
        None
    }

    /// When the [time limit](Script::time_limit) began to count, if it did so in an earlier dialogue.
    fn began(&self) -> Option<Instant> {
        None
    }

    /// Hears that the connection was lost before the script was done, and what has not gone; whether it will go on over
    /// another connection, so that there is nobody to say farewell to.
    fn goes_on(&mut self, _outbox: &Outbox) -> bool {
        false
    }

    /// What stdin brought; empty at its end.
    fn input(&mut self, _bytes: io::Result<&[u8]>) {}
}

/// Why a dialogue ended.
#[derive(Debug)]
pub enum Reason {
    /// The script was done.
    Done,
    /// The stop came, with this signal if it was one.
    Stopped(Option<u8>),
    /// The script's [time limit](Script::time_limit) passed before it was done.
    TimeUp,
    /// The peer closed before the script was done.
    Closed,
    /// The connection was lost.
    Lost(io::Error),
    /// The peer's framing cannot be followed any further.
    Broken(FramingError),
    /// Whoever reads our stdout has gone, or it cannot be written.
    Output(io::Error),
    /// The system's poll failed.
    Poll(io::Error),
}

/// How a dialogue ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// How many messages of ours did not go out.
    pub unsent: usize,
    /// When the time limit began to count.
    pub began: Option<Instant>,
    /// Whether the peer sent anything, or closed: a peer that did neither may not have listened at all.
    pub noticed: bool,
    /// The bytes of a line that the peer did not finish.
    pub unfinished: Vec<u8>,
}

/// What the connection is doing.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The script speaks.
    Talking,
    /// The last words are being written; until then, if there is a limit.
    Finishing(Option<Instant>),
    /// We have half-closed and read what still comes.
    Draining(Instant),
    /// The connection is closed; only stdout is left, until then, if there is a limit.
    Closed(Option<Instant>),
}

struct Dialogue<'a> {
    /// `None` once it is closed.
    socket: Option<TcpStream>,
    stop: &'a Stop,
    input: Option<&'a Input>,
    output: &'a Output,
    framer: Framer,
    outbox: Outbox,
    printed: Vec<u8>,
    /// How many of `printed` are written.
    written: usize,
    phase: Phase,
    /// Since when, if it does, our own reader has held up what the peer says while we leave.
    held_up: Option<Instant>,
    ended: Ended,
    /// When the time limit begins to count.
    began: Option<Instant>,
    stopped: bool,
    /// After a stop, or when the time is up: nothing is waited for without an end any more.
    hurried: bool,
    peer_closed: bool,
    output_failed: bool,
    armed: Armed,
}

/// Runs `script` over `socket`, which must not block, until it is done or something ends it, and closes the connection.
pub fn converse(
    socket: TcpStream,
    framing: FramingOptions,
    script: &mut dyn Script,
    stop: &Stop,
    input: Option<&Input>,
    output: &Output,
) -> Ended {
    let mut dialogue = Dialogue {
        socket: Some(socket),
        stop,
        input,
        output,
        framer: Framer::new(framing),
        outbox: Outbox::new(WAITING_BYTES_MAX),
        printed: Vec::new(),
        written: 0,
        phase: Phase::Talking,
        held_up: None,
        ended: Ended { reason: Reason::Done, unsent: 0, began: None, noticed: false, unfinished: Vec::new() },
        began: script.began(),
        stopped: false,
        hurried: false,
        peer_closed: false,
        output_failed: false,
        armed: Armed::default(),
    };
    // A one-shot send lasts a millisecond, in which memory that is never used counts.
    let mut scratch = vec![0; if input.is_some() { READ_BYTES } else { 0 }];
    while !dialogue.is_over() {
        dialogue.watch_the_time(script);
        let wake = dialogue.advance(script);
        let deadline = dialogue.deadline(script).filter(|_| !dialogue.hurried);
        let wake = wake.into_iter().chain(deadline).min();
        if let Err(error) = dialogue.wait(script, wake, &mut scratch) {
            dialogue.end(Reason::Poll(error));
            break;
        }
    }
    dialogue.ended.began = dialogue.began;
    dialogue.ended
}

impl Dialogue<'_> {
    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed(_)) && self.unwritten().is_empty()
    }

    /// What waits for stdout.
    fn unwritten(&self) -> &[u8] {
        self.printed.get(self.written..).unwrap_or_default()
    }

    fn deadline(&self, script: &dyn Script) -> Option<Instant> {
        // A time beyond the clock's end is for ever.
        self.began.zip(script.time_limit()).and_then(|(began, limit)| began.checked_add(limit))
    }

    /// Leaves, or stops waiting for whatever leaving waits for, when the time is up.
    fn watch_the_time(&mut self, script: &mut dyn Script) {
        let now = Instant::now();
        if self.hurried || self.deadline(script).is_none_or(|deadline| now < deadline) {
            return;
        }
        self.hurried = true;
        match self.phase {
            Phase::Talking => {
                self.drop_waiting(script);
                self.leave(Reason::TimeUp, script);
                self.phase = Phase::Finishing(Some(now + FINISH_TIME));
            }
            Phase::Finishing(_) => self.phase = Phase::Finishing(Some(now + FINISH_TIME)),
            Phase::Draining(_) => {}
            Phase::Closed(_) => self.phase = Phase::Closed(Some(now + OUTPUT_TIME)),
        }
    }

    /// Lets the script speak, writes what it said and moves through the phases of leaving; when to look again.
    fn advance(&mut self, script: &mut dyn Script) -> Option<Instant> {
        loop {
            self.write_to_peer(script);
            let now = Instant::now();
            match self.phase {
                Phase::Talking if !self.outbox.is_empty() => return None,
                Phase::Talking => match script.next(now, &mut self.outbox) {
                    // However much it has to say: a stop and what the peer says are looked at between its writes.
                    Step::Write => {
                        self.write_to_peer(script);
                        return self.outbox.is_empty().then_some(now);
                    }
                    Step::WaitUntil(time) => {
                        if time.saturating_duration_since(now) > SPIN_TIME {
                            return Some(time - SPIN_TIME);
                        }
                        while Instant::now() < time {
                            std::hint::spin_loop();
                        }
                    }
                    Step::ReadOn => {
                        if !script.wants_input() {
                            self.began.get_or_insert(now);
                        }
                        return None;
                    }
                    Step::Done => self.leave(Reason::Done, script),
                    Step::Close => self.close(script),
                },
                Phase::Finishing(until) if !self.outbox.is_empty() => {
                    if until.is_none_or(|until| now < until) {
                        return until;
                    }
                    self.close(script);
                }
                Phase::Finishing(_) => {
                    // The peer learns that nothing more comes and can still answer; it may be gone, which reading
                    // tells.
                    let _ = self.socket.as_ref().map(|socket| socket.shutdown(Shutdown::Write));
                    self.phase = Phase::Draining(now + DRAIN_TIME);
                }
                Phase::Draining(_) if self.peer_closed => self.close(script),
                // While our own reader is what holds us up, the peer's time does not pass.
                Phase::Draining(_) if self.is_held_up() && !self.hurried => {
                    self.held_up.get_or_insert(now);
                    return None;
                }
                Phase::Draining(until) if self.held_up.is_some() => {
                    let held_up = self.held_up.take().map(|since| now.saturating_duration_since(since));
                    self.phase = Phase::Draining(until + held_up.unwrap_or_default());
                }
                Phase::Draining(until) if now < until => return Some(until),
                Phase::Draining(_) => self.close(script),
                Phase::Closed(until) => {
                    if until.is_some_and(|until| now >= until) {
                        self.drop_output();
                    }
                    return until;
                }
            }
        }
    }

    /// Whether so much waits for stdout that the peer is not read.
    fn is_held_up(&self) -> bool {
        self.unwritten().len() >= WAITING_BYTES_MAX
    }

    fn drop_output(&mut self) {
        self.printed.clear();
        self.written = 0;
    }

    /// Polls everything that can move, until `wake`, and moves it.
    fn wait(&mut self, script: &mut dyn Script, wake: Option<Instant>, scratch: &mut [u8]) -> io::Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let want = Want { read: !self.peer_closed && !self.is_held_up(), write: !self.outbox.is_empty() };
        let talking = matches!(self.phase, Phase::Talking);
        let mut poll = Poll::default();
        let stop = (!self.stopped).then(|| poll.stop(self.stop));
        // A socket that is watched for nothing would report its end again and again.
        let socket = self.socket.as_ref().filter(|_| want != Want::default()).map(|socket| poll.socket(socket, want));
        let input = self.input.filter(|_| talking && self.outbox.is_empty() && script.wants_input());
        let input = input.map(|input| (input, poll.input(input)));
        let output = (!self.output_failed).then(|| poll.output(self.output, !self.unwritten().is_empty()));
        poll.wait(wake)?;
        let ready = |place: Option<_>| place.map(|place| poll.ready(place)).unwrap_or_default();
        let (stop, socket, output) = (ready(stop), ready(socket), ready(output));
        let input = input.filter(|(_, place)| poll.ready(*place).read).map(|(input, _)| input);
        if stop.read {
            self.stop(script);
        }
        if socket.read {
            self.read_from_peer(script);
        }
        if let Some(input) = input {
            match input.read_some(scratch) {
                Ok(count) => script.input(Ok(scratch.get(..count).unwrap_or_default())),
                Err(error) if is_passing(&error) => {}
                Err(error) => script.input(Err(error)),
            }
        }
        if output.gone || (output.write && !self.unwritten().is_empty()) {
            self.write_to_output(script);
        }
        Ok(())
    }

    fn write_to_peer(&mut self, script: &mut dyn Script) {
        while let Some(mut socket) = self.socket.as_ref().filter(|_| !self.outbox.is_empty()) {
            self.armed.before_write(socket, self.outbox.unsent());
            match socket.write(self.outbox.unsent()) {
                Ok(count) => {
                    self.began.get_or_insert_with(Instant::now);
                    self.outbox.sent(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.hear_the_rest(script);
                    self.lost(error, script);
                }
            }
        }
        if let Some(socket) = &self.socket {
            self.armed.set(socket, self.outbox.is_inside_message());
        }
    }

    fn read_from_peer(&mut self, script: &mut dyn Script) {
        let Some(mut socket) = self.socket.as_ref() else { return };
        match socket.read(self.framer.space()) {
            Ok(0) => self.peer_has_closed(script),
            Ok(count) => {
                self.ended.noticed = true;
                self.framer.filled(count);
                self.hear(script);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => self.lost(error, script),
        }
    }

    /// What the peer said before it went is here already; whatever the script answers goes nowhere.
    fn hear_the_rest(&mut self, script: &mut dyn Script) {
        while let Some(mut socket) = self.socket.as_ref().filter(|_| !self.framer.has_ended()) {
            match socket.read(self.framer.space()) {
                Ok(0) => return,
                Ok(count) => {
                    self.ended.noticed = true;
                    self.framer.filled(count);
                    self.hear(script);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, script: &mut dyn Script) {
        let mut broken = None;
        while let Some(frame) = self.framer.next_frame() {
            if let Frame::Bad { fault, .. } = frame {
                broken = Some(fault);
            }
            script.heard(&frame, &mut self.outbox, &mut self.printed);
        }
        if self.output_failed {
            self.drop_output();
        }
        if self.framer.has_ended() {
            self.peer_closed = true;
            if let Some(fault) = broken {
                self.leave(Reason::Broken(fault), script);
            }
        }
    }

    fn peer_has_closed(&mut self, script: &mut dyn Script) {
        self.peer_closed = true;
        self.ended.noticed = true;
        let broken = self.framer.end_of_connection();
        if let Some(frame) = &broken {
            script.heard(frame, &mut self.outbox, &mut self.printed);
        }
        if let Some(Frame::Bad { fault, .. }) = broken {
            return self.leave(Reason::Broken(fault), script);
        }
        self.ended.unfinished = self.framer.unread().to_vec();
        if matches!(self.phase, Phase::Talking) && script.goes_on(&self.outbox) {
            self.end(Reason::Closed);
            self.close(script);
        } else if matches!(self.phase, Phase::Talking) {
            // It may have closed its writing side only, so it is told goodbye like any other.
            self.leave(Reason::Closed, script);
            self.phase = Phase::Finishing(Some(Instant::now() + FINISH_TIME));
        }
    }

    /// The connection is of no more use. It counts as lost unless everything was said and the peer has said something:
    /// some peers close on reading a message and answer the goodbye behind it with a reset, but one that only resets
    /// has thrown away what it was sent.
    fn lost(&mut self, error: io::Error, script: &mut dyn Script) {
        self.peer_closed = true;
        if matches!(self.phase, Phase::Talking) {
            script.goes_on(&self.outbox);
        }
        self.ended.unfinished = self.framer.unread().to_vec();
        let all_said = self.ended.unsent == 0 && self.outbox.is_empty() && self.ended.noticed;
        if !all_said || matches!(self.phase, Phase::Talking) {
            self.end(Reason::Lost(error));
        }
        self.ended.noticed = true;
        self.close(script);
    }

    fn stop(&mut self, script: &mut dyn Script) {
        self.stopped = true;
        self.hurried = true;
        self.drop_waiting(script);
        let now = Instant::now();
        match self.phase {
            Phase::Talking | Phase::Finishing(_) => {
                self.leave(Reason::Stopped(self.stop.signal()), script);
                self.phase = Phase::Finishing(Some(now + FINISH_TIME));
            }
            Phase::Draining(_) => self.end(Reason::Stopped(self.stop.signal())),
            Phase::Closed(_) => {
                self.end(Reason::Stopped(self.stop.signal()));
                self.phase = Phase::Closed(Some(now + OUTPUT_TIME));
            }
        }
    }

    /// Leaves out what has not begun to go out.
    fn drop_waiting(&mut self, script: &mut dyn Script) {
        let dropped = self.outbox.keep_only_started();
        self.ended.unsent += dropped;
        script.dropped(dropped);
    }

    /// Says the last words and begins to leave.
    fn leave(&mut self, reason: Reason, script: &mut dyn Script) {
        self.end(reason);
        script.farewell(&mut self.outbox);
        self.phase = Phase::Finishing(None);
    }

    /// Remembers why the dialogue ends: a stop goes before everything, and anything before being done.
    fn end(&mut self, reason: Reason) {
        match (&self.ended.reason, &reason) {
            (Reason::Stopped(_), _) => {}
            (Reason::Done, _) | (_, Reason::Stopped(_)) => self.ended.reason = reason,
            _ => {}
        }
    }

    /// Closes the connection: by a reset when a message is half out, since its half would be taken for a message.
    fn close(&mut self, script: &mut dyn Script) {
        let dropped = self.outbox.messages();
        self.ended.unsent += dropped;
        script.dropped(dropped);
        if let Some(socket) = self.socket.take().filter(|_| self.outbox.is_inside_message()) {
            self.armed.reset(&socket);
        }
        self.outbox.clear();
        self.peer_closed = true;
        self.phase = Phase::Closed(self.hurried.then(|| Instant::now() + OUTPUT_TIME));
    }

    fn write_to_output(&mut self, script: &mut dyn Script) {
        let result = match self.unwritten() {
            [] => Err(io::ErrorKind::BrokenPipe.into()),
            waiting => self.output.write_some(waiting),
        };
        match result {
            Ok(count) => {
                self.written = self.written.saturating_add(count);
                if self.unwritten().is_empty() {
                    self.drop_output();
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                self.output_failed = true;
                self.drop_output();
                match self.phase {
                    Phase::Talking => self.leave(Reason::Output(error), script),
                    _ => self.end(Reason::Output(error)),
                }
            }
        }
    }
}
