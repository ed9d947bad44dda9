//! One direction of a forwarded pair: what one side says is told to the taps and then passed on, byte for byte.
//!
//! Told first: otherwise an answer could be recorded before its question. It waits for the side that it writes to and
//! for nothing else. What it cannot parse it passes on all the same.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::budget::{Budget, Share};
use super::chunk::Chunk;
use super::connection::Left;
use super::tap::Tap;
use super::wait::{self, Armed, Poll, Stop, Want};
use crate::framing::{Framer, FramingOptions};

/// How much is read at a time, in bytes.
const PUMP_READ_BYTES: usize = 16 << 10;

/// How long the message in flight may take after a stop, before its connection is reset.
const FINISH_TIME: Duration = Duration::from_millis(300);

/// How soon a writer that waits for room looks whether the other direction has broken.
const LOOK_TIME: Duration = Duration::from_millis(250);

/// Writes what one side says in another form.
pub trait Rewrite: Send {
    /// Appends what is to be passed on of these further bytes.
    fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Appends what was kept back when the side has closed.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Whether a message has been passed on in part.
    fn is_inside_message(&self) -> bool;
}

/// Something that happened on a forwarded pair.
#[derive(Debug)]
pub struct Heard {
    /// The number of the pair, from 1.
    pub number: u64,
    /// The dialler's address.
    pub peer: Arc<str>,
    /// Whether the dialler did it, or the target.
    pub by_dialler: bool,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug)]
pub enum What {
    /// Something was said.
    Frames(Chunk),
    /// What this side says from here on is passed on and not told: its frame would need more than is left of so many
    /// bytes for all long ones.
    NoRoom(usize),
    /// This side has left; `None` when it was we who left.
    Left(Option<Left>),
}

/// The taps of all pairs.
#[derive(Clone, Debug)]
pub struct Taps(pub Vec<Tap<Arc<Heard>>>);

impl Taps {
    /// Tells all of them.
    pub fn tell(&self, heard: Heard) {
        let bytes = if let What::Frames(chunk) = &heard.what { chunk.bytes() } else { 0 };
        let heard = Arc::new(heard);
        self.0.iter().for_each(|tap| tap.push(bytes, Arc::clone(&heard)));
    }
}

/// What both directions of a pair share.
pub struct Pair {
    /// Its number, from 1.
    pub number: u64,
    /// The dialler's address.
    pub peer: Arc<str>,
    /// Whether it has broken: then both sides are reset.
    pub broken: AtomicBool,
    /// Whom to tell.
    pub taps: Taps,
    /// Ends all pairs.
    pub stop: Arc<Stop>,
    /// How what is said is framed, for the taps.
    pub framing: FramingOptions,
    /// What the long frames of all pairs share.
    pub budget: Arc<Budget>,
}

impl Pair {
    fn framer(&self) -> Framer {
        Framer::new(FramingOptions { read_bytes: PUMP_READ_BYTES, ..self.framing.clone() })
    }
}

/// One direction.
pub struct Pump<'a> {
    pair: &'a Pair,
    by_dialler: bool,
    from: &'a TcpStream,
    to: &'a TcpStream,
    framer: Framer,
    /// What it holds of the pairs' budget; nothing once there was not enough, and the taps hear no more.
    share: Option<Share>,
    rewrite: Option<Box<dyn Rewrite>>,
    rewritten: Vec<u8>,
    armed: Armed,
    /// Until when the message in flight may take, once the stop has come.
    leaving: Option<Instant>,
}

impl<'a> Pump<'a> {
    /// A pump of what the dialler says, or of what the target says.
    pub fn new(
        pair: &'a Pair,
        by_dialler: bool,
        (from, to): (&'a TcpStream, &'a TcpStream),
        rewrite: Option<Box<dyn Rewrite>>,
    ) -> Pump<'a> {
        Pump {
            pair,
            by_dialler,
            from,
            to,
            framer: pair.framer(),
            share: Some(pair.budget.share()),
            rewrite,
            rewritten: Vec::new(),
            armed: Armed::default(),
            leaving: None,
        }
    }

    /// Passes on until this side closes, something breaks, or the stop comes.
    pub fn run(mut self) {
        let mut scratch = vec![0; PUMP_READ_BYTES];
        let left = loop {
            match self.step(&mut scratch) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(left) => break Some(left),
            }
        };
        let broken = matches!(left, Some(Left::Lost(_))) || self.pair.broken.load(Ordering::SeqCst);
        self.tell(What::Left(left));
        match broken {
            true => self.break_off(),
            // This side has said all: the other one learns it, and may go on speaking.
            false => drop(self.to.shutdown(Shutdown::Write)),
        }
    }

    /// Passes on one read; whether more may come.
    fn step(&mut self, scratch: &mut [u8]) -> Result<bool, Left> {
        if !self.wait_for_input().map_err(Left::Lost)? {
            return Ok(false);
        }
        // While leaving, nothing behind the message in flight may be taken.
        let room = if self.leaving.is_some() { 1 } else { scratch.len() };
        let space = scratch.get_mut(..room).unwrap_or_default();
        let count = match self.from.read(space) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(Left::Lost(error)),
        };
        if count == 0 {
            if self.pair.broken.load(Ordering::SeqCst) {
                return Ok(false);
            }
            self.rewritten.clear();
            if let Some(rewrite) = &mut self.rewrite {
                rewrite.finish(&mut self.rewritten);
            }
            let rest = std::mem::take(&mut self.rewritten);
            self.pass_on(&rest).map_err(Left::Lost)?;
            return Err(Left::Closed(self.framer.unread().to_vec()));
        }
        let bytes = scratch.get(..count).unwrap_or_default();
        self.hear(bytes);
        if self.rewrite.is_none() {
            self.pass_on(bytes).map_err(Left::Lost)?;
            return Ok(true);
        }
        let mut rewritten = std::mem::take(&mut self.rewritten);
        rewritten.clear();
        if let Some(rewrite) = &mut self.rewrite {
            rewrite.rewrite(bytes, &mut rewritten);
        }
        let passed = self.pass_on(&rewritten);
        self.rewritten = rewritten;
        passed.map_err(Left::Lost).map(|()| true)
    }

    /// Waits until this side says something or closes; `false` when the stop came and no message is in flight.
    fn wait_for_input(&mut self) -> io::Result<bool> {
        loop {
            if let Some(until) = self.leaving {
                if !self.is_inside_message() {
                    return Ok(false);
                }
                if Instant::now() >= until {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let mut poll = Poll::default();
            let stop = self.leaving.is_none().then(|| poll.stop(&self.pair.stop));
            let from = poll.socket(self.from, Want { read: true, write: false });
            poll.wait(self.leaving)?;
            let (stopped, ready) = (stop.is_some_and(|place| poll.ready(place).read), poll.ready(from).read);
            if stopped {
                self.leaving = Some(Instant::now() + FINISH_TIME);
            } else if ready {
                return Ok(true);
            }
        }
    }

    /// Whether a message has been passed on in part, once all that was said has been.
    fn is_inside_message(&self) -> bool {
        match &self.rewrite {
            Some(rewrite) => rewrite.is_inside_message(),
            None => self.share.is_none() || self.framer.is_inside_frame(),
        }
    }

    /// Tells the taps what was said, as far as it can be framed and there is room to gather it (design.md, section 14).
    fn hear(&mut self, mut bytes: &[u8]) {
        let mut chunk = Chunk::new(Instant::now());
        let mut kept = true;
        while kept && self.share.is_some() && !bytes.is_empty() && !self.framer.has_ended() {
            let space = self.framer.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            if let Some(space) = space.get_mut(..now.len()) {
                space.copy_from_slice(now);
            }
            self.framer.filled(now.len());
            while let Some(frame) = self.framer.next_frame() {
                chunk.push(&frame);
            }
            kept = self.keep();
            bytes = later;
        }
        if !chunk.is_empty() {
            self.tell(What::Frames(chunk));
        }
        if !kept {
            self.share = None;
            self.framer = self.pair.framer();
            self.tell(What::NoRoom(self.pair.budget.bytes));
        }
    }

    /// Whether there is room for what waits for the rest of its frame.
    fn keep(&mut self) -> bool {
        let Some(share) = &mut self.share else { return true };
        let was_long = !share.is_empty();
        let kept = share.cover(self.framer.unread().len());
        if was_long && share.is_empty() {
            self.framer.give_back();
        }
        kept
    }

    fn tell(&self, what: What) {
        let (number, peer) = (self.pair.number, Arc::clone(&self.pair.peer));
        self.pair.taps.tell(Heard { number, peer, by_dialler: self.by_dialler, what });
    }

    /// Writes to the other side, waiting for it as long as it takes, after a stop only so long.
    fn pass_on(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.armed.before_write(self.to, bytes);
            match wait::send_now(self.to, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Perhaps between two messages, but nobody is harmed by a reset there.
                    self.armed.set(self.to, true);
                    self.wait_for_room()?;
                }
                Err(error) => return Err(error),
            }
        }
        self.armed.set(self.to, self.is_inside_message());
        Ok(())
    }

    fn wait_for_room(&mut self) -> io::Result<()> {
        if self.pair.broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if self.leaving.is_some_and(|until| Instant::now() >= until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut poll = Poll::default();
        let stop = self.leaving.is_none().then(|| poll.stop(&self.pair.stop));
        poll.socket(self.to, Want { read: false, write: true });
        poll.wait(Some(self.leaving.unwrap_or_else(|| Instant::now() + LOOK_TIME)))?;
        if stop.is_some_and(|place| poll.ready(place).read) {
            self.leaving = Some(Instant::now() + FINISH_TIME);
        }
        Ok(())
    }

    /// Has both sides reset when the pair is dropped, and wakes the other direction. Only reading is shut down: to shut
    /// down writing would be an orderly end.
    fn break_off(&self) {
        self.pair.broken.store(true, Ordering::SeqCst);
        for socket in [self.from, self.to] {
            wait::reset_when_closed(socket);
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}
