//! The script of `replay` without a check: one side of a recording at its pace, and what comes back (design.md,
//! section 11).

use std::time::{Duration, Instant};

use super::checking::is_ours;
use super::clock::{Clock, instant};
use super::exchange::Exchange;
use super::recording::{Line, Recording};
use crate::exit::Failure;
use crate::framing::Frame;
use crate::net::dialogue::{Script, Step};
use crate::net::queue::Outbox;

/// Plays one side of a recording, and prints what comes back.
pub struct Player<'a> {
    /// What it has to do with its peer.
    pub exchange: Exchange<'a>,
    recording: Recording,
    clock: Clock,
    /// When the clock's zero was.
    start: Option<Instant>,
    /// The next line of ours, when it has been read.
    next: Line,
    ahead: Option<Ahead>,
    /// How long the run may take, and since when.
    time: Option<(Instant, Duration)>,
    /// Whether every line has been sent.
    pub complete: bool,
    /// What ended the reading of the recording too early, if something did.
    pub failure: Option<Failure>,
}

/// What is known of the next line of ours.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// When it is due on the clock; `None` is at once.
    due: Option<Duration>,
    /// Whether the peer said something between it and the line before.
    after_theirs: bool,
}

impl<'a> Player<'a> {
    /// A player at the start of a recording; `time` is since when and how long it may take, if there is a limit.
    pub fn new(
        exchange: Exchange<'a>,
        recording: Recording,
        clock: Clock,
        time: Option<(Instant, Duration)>,
    ) -> Player<'a> {
        Player {
            exchange,
            recording,
            clock,
            start: None,
            next: Line::default(),
            ahead: None,
            time,
            complete: false,
            failure: None,
        }
    }

    /// Begins another pass.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub fn again(&mut self) -> Result<(), Failure> {
        self.clock.again();
        self.ahead = None;
        self.complete = false;
        self.recording.rewind()
    }

    /// Reads as far as the next line of ours, if there is one.
    fn look_ahead(&mut self) -> Option<Ahead> {
        let mut after_theirs = false;
        while self.ahead.is_none() {
            match self.recording.read(&mut self.next) {
                Ok(true) if is_ours(&self.next, self.exchange.ours()) => {
                    self.ahead = Some(Ahead { due: self.clock.line(self.next.time), after_theirs });
                }
                Ok(true) => {
                    self.clock.passes(self.next.time);
                    after_theirs = true;
                }
                Ok(false) => break,
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        self.ahead
    }
}

impl Script for Player<'_> {
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        self.exchange.gone(now);
        if self.exchange.peer_left || self.failure.is_some() {
            return Step::Done;
        }
        let start = *self.start.get_or_insert(now);
        // When the first line of this write was recorded, and when it was due.
        let mut first: Option<(Option<Duration>, Option<Instant>)> = None;
        while let Some(ahead) = self.look_ahead() {
            let joins = first.filter(|(time, _)| !ahead.after_theirs && self.clock.joins(*time, self.next.time));
            let due = joins.map_or_else(|| ahead.due.map(|due| instant(start, due)), |(_, due)| due);
            if let Some(due) = due.filter(|&due| due > now) {
                return if outbox.is_empty() { Step::WaitUntil(self.exchange.wake(due)) } else { Step::Write };
            }
            if !outbox.has_room(self.next.bytes.len()) {
                return Step::Write;
            }
            if joins.is_none() {
                first = Some((self.next.time, due));
            }
            self.exchange.send(&self.next, due, outbox);
            self.ahead = None;
        }
        // The peer may close on hearing the last line, before anybody asks again.
        self.complete = self.failure.is_none();
        if !outbox.is_empty() {
            return Step::Write;
        }
        // It stays as long as the recording went on: what the peer says meanwhile belongs to it.
        let end = instant(start, self.clock.end());
        match self.complete && end > now && !self.exchange.said_goodbye {
            true => Step::WaitUntil(self.exchange.wake(end)),
            false => Step::Done,
        }
    }

    fn heard(&mut self, frame: &Frame<'_>, _outbox: &mut Outbox, printed: &mut Vec<u8>) {
        self.exchange.heard(frame, Some(printed));
    }

    fn dropped(&mut self, messages: usize) {
        self.exchange.dropped(messages);
    }

    fn farewell(&mut self, outbox: &mut Outbox) {
        self.exchange.farewell(outbox);
    }

    fn time_limit(&self) -> Option<Duration> {
        self.time.map(|(_, limit)| limit)
    }

    fn began(&self) -> Option<Instant> {
        self.time.map(|(began, _)| began)
    }
}
