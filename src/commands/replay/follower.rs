//! The script that goes on when the peer has said what was recorded: one side of a recording, each line of it at its
//! time and not before what the other side said before it (design.md, section 11).
//!
//! When a line may leave is [`Check`]'s business; here it is told what stands in the recording and what comes.

use std::time::{Duration, Instant};

use super::checking::{is_answer, is_ours};
use super::clock::{Clock, instant};
use super::exchange::Exchange;
use super::recording::{Line, Recording};
use crate::check::{Check, CloseKind, NextStep};
use crate::exit::Failure;
use crate::framing::Frame;
use crate::net::dialogue::{Ended, Reason, Script, Step};
use crate::net::queue::Outbox;

/// Plays one side of a recording to a peer that plays the other, and prints what it says, unless that is compared.
pub struct Follower<'a> {
    /// What it has to do with its peer.
    pub exchange: Exchange<'a>,
    /// What is played.
    pub recording: Recording,
    clock: Clock,
    /// Whether it is a check that is done when all is compared, and differences are all that is printed.
    compares: bool,
    /// What was recorded, beside what comes.
    pub check: Check,
    /// When the clock's zero was.
    start: Option<Instant>,
    /// The record that was read last.
    next: Line,
    /// When the first line of ours was recorded behind which nothing of the peer's stands.
    first: Option<Option<Duration>>,
    /// Until when was waited last.
    waited: Duration,
    /// How long the run may take, and since when.
    time: Option<(Instant, Duration)>,
    /// Whether every line has been sent.
    pub complete: bool,
    /// What ended the reading of the recording too early, if something did.
    pub failure: Option<Failure>,
}

impl<'a> Follower<'a> {
    /// A follower at the start of a recording, which `compares` or goes on with what it can; `time` is since when and
    /// how long it may take, if there is a limit.
    pub fn new(
        exchange: Exchange<'a>,
        recording: Recording,
        clock: Clock,
        (check, compares): (Check, bool),
        time: Option<(Instant, Duration)>,
    ) -> Follower<'a> {
        Follower {
            exchange,
            recording,
            clock,
            compares,
            check,
            start: None,
            next: Line::default(),
            first: None,
            waited: Duration::ZERO,
            time,
            complete: false,
            failure: None,
        }
    }

    /// Reads the next record, and tells the check of it.
    fn read(&mut self) -> Result<(), Failure> {
        if !self.recording.read(&mut self.next)? {
            self.complete = true;
            self.check.end();
            return Ok(());
        }
        let time = self.next.time;
        if is_ours(&self.next, self.exchange.ours()) {
            let joins = self.first.is_some_and(|first| self.clock.joins(first, time));
            self.first = self.first.filter(|_| joins).or(Some(time));
            let due = self.clock.line(time);
            self.check.request(self.next.record(), due.unwrap_or_default(), joins);
            return Ok(());
        }
        self.first = None;
        self.clock.passes(time);
        // What the played side should have said in another recording is nothing that the other side says.
        if !is_answer(&self.next, self.exchange.ours()) {
            return Ok(());
        }
        let number = self.next.number;
        self.check.reply(self.next.record()).map_err(|why| Failure::Refused(format!("line {number}: {why}")))
    }

    /// The dialogue has ended like this: when the peer has gone, the answers that it left out are counted.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub fn conclude(&mut self, ended: &Ended) -> Result<(), Failure> {
        let way = match ended.reason {
            Reason::Closed => CloseKind::Closed,
            Reason::Lost(_) => CloseKind::Reset,
            Reason::Broken(_) => CloseKind::Broken,
            _ => return Ok(()),
        };
        let at = self.at(Instant::now());
        let complete = self.complete;
        self.check.closed(way, at);
        while self.check.next(at) == NextStep::Read {
            self.read()?;
        }
        self.complete = complete;
        Ok(())
    }

    fn at(&self, now: Instant) -> Duration {
        self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start))
    }
}

impl Script for Follower<'_> {
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        self.exchange.gone(now);
        let start = *self.start.get_or_insert(now);
        let at = self.at(now);
        self.exchange.tally.differences = self.compares.then(|| self.check.entries().len() as u64);
        while self.failure.is_none() {
            match self.check.next(at) {
                NextStep::Read => self.failure = self.read().err(),
                NextStep::Send if !outbox.has_room(self.next.bytes.len()) => return Step::Write,
                NextStep::Send => {
                    // A line that waited for the peer was due at no time.
                    let due = Some(self.waited).filter(|&waited| waited <= at && !waited.is_zero());
                    self.exchange.send(&self.next, due.map(|due| instant(start, due)), outbox);
                    self.check.sent(at);
                }
                // Nothing more will come of a peer that has taken its leave and everything.
                NextStep::WaitUntil(_) if !self.compares && self.complete && self.exchange.peer_left => break,
                NextStep::WaitUntil(until) => {
                    self.waited = until;
                    let wake = self.exchange.wake(instant(start, until));
                    return if outbox.is_empty() { Step::WaitUntil(wake) } else { Step::Write };
                }
                NextStep::Over => break,
            }
        }
        if self.compares {
            return if outbox.is_empty() { Step::Done } else { Step::Write };
        }
        // It stays as long as the recording went on: what the peer says meanwhile belongs to it.
        let end = instant(start, self.clock.end());
        let stays = !self.exchange.said_goodbye && !self.exchange.peer_left;
        match self.failure.is_none() && end > now && stays {
            _ if !outbox.is_empty() => Step::Write,
            true => Step::WaitUntil(self.exchange.wake(end)),
            false => Step::Done,
        }
    }

    fn heard(&mut self, frame: &Frame<'_>, _outbox: &mut Outbox, printed: &mut Vec<u8>) {
        self.exchange.heard(frame, Some(printed).filter(|_| !self.compares));
        if let Frame::Message(message) = frame {
            self.check.received(message.line, message.payload.unwrap_or_default(), self.at(Instant::now()));
        }
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
