//! One file that is played: its recording, what decides when the next request leaves, and how far it has come.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::checking::{CheckOutcome, Checking};
use super::clock::{ReplayClock, Tempo};
use super::source::Recording;
use super::stats::Stats;
use crate::bcp::{Malformed, line_command};
use crate::check::{Check, CloseKind, JunitSuite, NextStep};
use crate::commands::dial::Target;
use crate::commands::run::{End, closing};
use crate::exit::{Exit, Failure};
use crate::net::{CloseReason, Closed, ConnId};
use crate::session::Record;
use crate::text::shown;

/// How late a reply is before the status line names it.
const LATE_TIME: Duration = Duration::from_secs(1);

/// A message that was given to the connection and may not be written yet.
pub(super) struct UnderWay {
    /// When it was due by the clock, if it was due at a time.
    pub due: Option<Duration>,
    /// How many bytes of the recording it is; `None` for a `goodbye` that is not in it.
    pub bytes: Option<usize>,
}

/// One file, and how far it has been played.
pub(super) struct Playing {
    pub recording: Recording,
    /// What holds requests back until the replies before them have arrived; `None` if only the clock does.
    pub checking: Option<Checking>,
    pub clock: ReplayClock,
    pub target: Target,
    /// The peer, for the summary.
    pub peer: String,
    /// What is played to whom.
    pub title: String,
    pub stats: Stats,
    pub pass: Pass,
    /// When the clock's zero was.
    pub start: Option<Instant>,
    /// What ended the run, as soon as it leaves the connection.
    pub end: Option<End>,
    /// How the last connection ended.
    pub closed: Closed,
    /// Why connecting failed, while something else ended the run.
    pub unreached: Option<io::Error>,
    /// What the check came to.
    pub checked: Result<Exit, Failure>,
}

/// What begins again with each connection.
#[derive(Default)]
pub(super) struct Pass {
    pub id: ConnId,
    pub opened: Option<Instant>,
    /// How many messages it has carried.
    pub sent: u64,
    pub received: u64,
    /// The request that was read last.
    pub request: Option<Record>,
    /// When the first request of the present write was recorded, and when that is due by the clock: `None` is at once.
    first: Option<Duration>,
    due: Option<Duration>,
    /// Until when a request was waited for last.
    waited: Option<Duration>,
    /// Whether every request was given to the connection.
    pub is_complete: bool,
    /// Whether our side has sent its `goodbye`.
    pub said_goodbye: bool,
    pub peer_left: bool,
    pub under_way: VecDeque<UnderWay>,
    /// How many messages were dropped.
    pub cut: usize,
}

impl Playing {
    /// A file that is played to `target` for so many passes.
    pub(super) fn new(
        (recording, checking): (Recording, Option<Checking>),
        (target, peer, title): (Target, String, String),
        tempo: Tempo,
        passes: u64,
    ) -> Playing {
        let requests = recording.requests.saturating_mul(passes);
        let duration = recording.duration.and_then(|duration| tempo.duration(duration, requests, passes));
        let speed = tempo.speed.unwrap_or(1.0);
        Playing {
            stats: Stats::new(requests, duration, Some(speed).filter(|_| tempo.rate.is_none() && speed.is_finite())),
            recording,
            checking,
            clock: ReplayClock::new(tempo),
            target,
            peer,
            title,
            pass: Pass::default(),
            start: None,
            end: None,
            closed: Closed::default(),
            unreached: None,
            checked: Ok(Exit::Success),
        }
    }

    /// Another pass begins where this one ended.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(super) fn repeat(&mut self) -> Result<(), Failure> {
        self.recording.rewind()?;
        self.clock.again();
        (self.pass, self.end) = (Pass::default(), None);
        Ok(())
    }

    /// The time of its clock.
    pub(super) fn at(&self, now: Instant) -> Duration {
        self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start))
    }

    /// A time of its clock in real time; `None` is never.
    pub(super) fn instant(&self, at: Duration) -> Option<Instant> {
        self.start?.checked_add(at)
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Instant) -> NextStep {
        let (at, pass) = (self.at(now), &self.pass);
        let step = match (&mut self.checking, &pass.request) {
            (Some(checking), _) => checking.check.next(at),
            (None, None) if pass.is_complete => NextStep::Over,
            (None, None) => NextStep::Read,
            (None, Some(_)) => match pass.due.filter(|&due| due > at) {
                Some(due) => NextStep::WaitUntil(due),
                None => NextStep::Send,
            },
        };
        if let NextStep::WaitUntil(until) = step {
            self.pass.waited = Some(until);
        }
        step
    }

    /// The request that was read last was sent, with so many bytes.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        let at = self.at(now);
        let due = match &mut self.checking {
            Some(checking) => {
                checking.check.sent(at);
                // A request that waited for a reply was due at no time.
                self.pass.waited.filter(|&waited| waited <= at)
            }
            None => self.pass.due,
        };
        self.pass.under_way.push_back(UnderWay { due, bytes: Some(bytes) });
    }

    /// Reads the next record and tells the check.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        let (pass, side) = (&mut self.pass, self.recording.choice.side);
        let check = self.checking.as_mut().map(|checking| &mut checking.check);
        let Some(record) = self.recording.read()? else {
            pass.is_complete = true;
            check.into_iter().for_each(Check::end);
            return Ok(());
        };
        if record.side == side && !record.is_pattern {
            let joins = self.clock.joins(pass.first, record.time);
            let due = self.clock.line(record.time);
            if !joins {
                (pass.first, pass.due, pass.waited) = (record.time, due, None);
            }
            check.into_iter().for_each(|check| check.request(&record, due.unwrap_or_default(), joins));
            pass.request = Some(record);
            return Ok(());
        }
        pass.first = None;
        self.clock.passes(record.time);
        // A pattern in the place of a request is no reply.
        let Some(check) = check.filter(|_| record.side != side) else { return Ok(()) };
        let wrong = |why: Malformed| {
            Failure::Malformed(format!("{}:{}", self.recording.file.name, record.number), why.to_string())
        };
        check.reply(&record).map_err(wrong)
    }

    /// Counts what was written by `now`, which is when lateness is measured: all but so many messages.
    pub(super) fn count_written(&mut self, pending: usize, now: Instant) {
        let at = self.at(now);
        let written = self.pass.under_way.len().saturating_sub(pending);
        for message in self.pass.under_way.drain(..written) {
            if let Some(due) = message.due {
                self.stats.lateness.add(at.saturating_sub(due));
            }
            if let Some(bytes) = message.bytes {
                self.pass.sent += 1;
                self.stats.sent.0 += 1;
                self.stats.sent.1 += bytes as u64;
            }
        }
    }

    /// When the peer is gone, the replies that it left out are counted.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(super) fn close_check(&mut self, now: Instant) -> Result<(), Failure> {
        let kind = match &self.end {
            Some(End::Closed(CloseReason::ByPeer)) => CloseKind::Closed,
            Some(End::Closed(CloseReason::Lost(_))) => CloseKind::Reset,
            Some(End::Closed(CloseReason::Broken(_) | CloseReason::Http)) => CloseKind::Broken,
            _ => return Ok(()),
        };
        // A peer that has closed in order needs no goodbye.
        let lacks_goodbye = self.pass.request.as_ref().is_some_and(|request| is_goodbye(&request.line));
        let is_complete = self.pass.is_complete || (kind == CloseKind::Closed && lacks_goodbye);
        let at = self.at(now);
        if let Some(checking) = &mut self.checking {
            checking.check.closed(kind, at);
            while self.next(now) == NextStep::Read {
                self.read()?;
            }
        }
        self.pass.is_complete = is_complete;
        Ok(())
    }

    /// How many differences a check has found so far.
    pub(super) fn differences(&self) -> Option<u64> {
        self.checking.as_ref().filter(|checking| checking.is_compared).map(Checking::differences)
    }

    /// The status line.
    pub(super) fn progress(&self, now: Instant) -> String {
        let awaited = self.checking.as_ref().and_then(|checking| checking.check.awaited(self.at(now)));
        match awaited.filter(|(_, late, _)| *late > LATE_TIME) {
            Some((reply, late, limit)) => {
                let (late, limit) = (late.as_secs_f64(), limit.as_secs_f64());
                let command = shown(line_command(&reply.content.line).as_bytes());
                format!("waiting {late:.1}/{limit} s for {command} ({}:{})", self.recording.file.base(), reply.number)
            }
            None => self.stats.progress(now, self.differences()),
        }
    }

    /// Whether everything was sent, and the connection closed in order.
    pub(super) fn is_done(&self) -> bool {
        self.pass.is_complete && matches!(self.end, Some(End::Done | End::Closed(CloseReason::ByPeer)))
    }

    pub(super) fn outcome(&self) -> CheckOutcome {
        match &self.checking {
            Some(checking) if self.is_done() && self.checked.is_ok() => checking.outcome(),
            _ => CheckOutcome::Failed,
        }
    }

    /// The line of one of several files: `ok   game.bcp 14 replies as recorded`.
    pub(super) fn result_line(&self) -> String {
        let checking = self.checking.as_ref().filter(|_| self.stats.connections > 0);
        let result = checking.and_then(Checking::result).unwrap_or_default();
        let text = match result.split_once(": ") {
            Some((word, text)) if word != "PASS" || self.is_done() => text.to_owned(),
            _ => self.how(),
        };
        let word = match self.outcome() {
            CheckOutcome::Passed => "ok  ",
            CheckOutcome::Updated => "UPDATED",
            CheckOutcome::Failed => "FAIL",
        };
        format!("{word} {} {text}\n", self.recording.file.name)
    }

    /// The suite of this file in the JUnit report.
    pub(super) fn suite(&self) -> Option<JunitSuite<'_>> {
        Some(self.checking.as_ref()?.suite(&self.recording.file.name))
    }

    /// The summary: what was played, what came back, and how it ended.
    pub(super) fn summary(&self) -> String {
        self.stats.summary(&self.recording.file.base(), &self.peer, self.differences(), &self.how())
    }

    /// How it ended, in a few words.
    fn how(&self) -> String {
        let how = match &self.end {
            _ if self.checked.is_err() => "an error ended it",
            _ if self.is_done() => "done",
            None | Some(End::Done) if self.checking.is_some() => "stopped at the first difference",
            None | Some(End::Done) => "stopped at the goodbye of the peer",
            Some(end) => return closing(end, 0, self.recording.choice.side),
        };
        how.to_owned()
    }
}

/// Whether a line is the last one that its side sends.
pub(super) fn is_goodbye(line: &[u8]) -> bool {
    line_command(line).eq_ignore_ascii_case("goodbye")
}
