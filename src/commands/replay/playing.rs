//! One file that is played: its recording, what decides when the next request leaves, and how far it has come.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::clock::{ReplayClock, Tempo, instant};
use super::report::Checking;
use super::source::{Recording, Summary};
use super::stats::Stats;
use crate::bcp::{Side, line_command};
use crate::check::{CloseKind, NextStep};
use crate::commands::dial::Target;
use crate::commands::run::End;
use crate::exit::{Exit, Failure};
use crate::net::{CloseReason, Closed, ConnId};
use crate::session::Record;
use crate::text::shown;

/// How late a reply is before the status line names it.
const LATE_TIME: Duration = Duration::from_secs(1);

/// What decides when the next request leaves.
pub(super) enum Gate {
    /// Its time alone: when it is due (`None` is at once), and whether it joins the write of the request before it.
    Clock { request: Option<(Option<Duration>, bool)>, is_over: bool },
    /// Its time, and the replies before it.
    Check(Box<Checking>),
}

/// What a [`Gate`] wants next.
pub(super) enum Step {
    Read,
    /// With the time when the request was due, if it was at a time.
    Send(Option<Duration>),
    WaitUntil(Duration),
    Over,
}

impl Gate {
    const CLOCK: Gate = Gate::Clock { request: None, is_over: false };

    /// What to do at this time; `waited` is until when a request was waited for last.
    fn next(&mut self, at: Duration, waited: Option<Duration>) -> Step {
        match self {
            Gate::Clock { request: Some((Some(due), false)), .. } if *due > at => Step::WaitUntil(*due),
            Gate::Clock { request: Some((due, _)), .. } => Step::Send(*due),
            Gate::Clock { is_over: true, .. } => Step::Over,
            Gate::Clock { .. } => Step::Read,
            Gate::Check(checking) => match checking.check.next(at) {
                NextStep::Read => Step::Read,
                // A request that waited for a reply was due at no time.
                NextStep::Send => Step::Send(waited.filter(|&waited| waited <= at)),
                NextStep::WaitUntil(until) => Step::WaitUntil(until),
                NextStep::Over => Step::Over,
            },
        }
    }
}

/// A message that was given to the connection and may not be written yet.
pub(super) struct UnderWay {
    pub due: Option<Instant>,
    /// How many bytes of the recording it is; `None` for a `goodbye` that is not in it.
    pub bytes: Option<usize>,
}

/// One file, and how far it has been played.
pub(super) struct Playing {
    pub recording: Recording,
    pub summary: Summary,
    pub gate: Gate,
    pub clock: ReplayClock,
    pub target: Target,
    /// The peer, for the summary.
    pub peer: &'static str,
    /// What is played to whom.
    pub title: String,
    pub stats: Stats,
    pub pass: Pass,
    /// When the clock's zero was.
    pub start: Option<Instant>,
    pub passes: u64,
    /// What ended the run, as soon as it leaves the connection.
    pub end: Option<End>,
    /// How the last connection ended.
    pub closed: Option<Closed>,
    /// Why connecting failed, while something else ended the run.
    pub unreached: Option<io::Error>,
    /// What the check came to.
    pub checked: Result<Exit, Failure>,
}

/// What begins again with each connection.
#[derive(Default)]
pub(super) struct Pass {
    pub id: ConnId,
    /// The request that was read last.
    pub request: Option<Record>,
    /// When the first request of the present write was recorded, and when that is due by the clock.
    first: Option<Option<Duration>>,
    due: Option<Duration>,
    /// Until when a request was waited for last.
    pub waited: Option<Duration>,
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
    pub(super) fn new(
        (recording, summary, checking): (Recording, Summary, Option<Checking>),
        tempo: Tempo,
        passes: u64,
        (target, peer, title): (Target, &'static str, String),
    ) -> Playing {
        let requests = summary.requests.saturating_mul(passes);
        let duration = summary.duration().and_then(|duration| tempo.duration(duration, requests, passes));
        Playing {
            stats: Stats::new(requests, duration, tempo.shown()),
            recording,
            summary,
            gate: checking.map_or(Gate::CLOCK, |checking| Gate::Check(Box::new(checking))),
            clock: ReplayClock::new(tempo),
            target,
            peer,
            title,
            pass: Pass::default(),
            start: None,
            passes,
            end: None,
            closed: None,
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
        (self.gate, self.pass, self.end) = (Gate::CLOCK, Pass::default(), None);
        Ok(())
    }

    pub(super) fn checking(&self) -> Option<&Checking> {
        match &self.gate {
            Gate::Clock { .. } => None,
            Gate::Check(checking) => Some(checking),
        }
    }

    /// The time of its clock.
    pub(super) fn at(&self, now: Instant) -> Duration {
        self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start))
    }

    /// A time of its clock in real time.
    pub(super) fn instant(&self, at: Duration) -> Option<Instant> {
        self.start.map(|start| instant(start, at))
    }

    pub(super) fn next(&mut self, now: Instant) -> Step {
        let at = self.at(now);
        self.gate.next(at, self.pass.waited)
    }

    /// The request was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        let at = self.at(now);
        match &mut self.gate {
            Gate::Clock { request, .. } => *request = None,
            Gate::Check(checking) => checking.check.sent(at),
        }
    }

    /// Reads the next record and tells the gate; `side` is the one that is played.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(super) fn read(&mut self, side: Side) -> Result<(), Failure> {
        let pass = &mut self.pass;
        let Some(record) = self.recording.read()? else {
            pass.is_complete = true;
            match &mut self.gate {
                Gate::Clock { is_over, .. } => *is_over = true,
                Gate::Check(checking) => checking.check.end(),
            }
            return Ok(());
        };
        if record.side == side && !record.is_pattern {
            let joins = pass.first.is_some_and(|first| self.clock.joins(first, record.time));
            let due = self.clock.line(record.time);
            if !joins {
                (pass.first, pass.due, pass.waited) = (Some(record.time), due, None);
            }
            match &mut self.gate {
                Gate::Clock { request, .. } => *request = Some((pass.due, joins)),
                Gate::Check(checking) => checking.check.request(&record, due.unwrap_or_default(), joins),
            }
            pass.request = Some(record);
            return Ok(());
        }
        pass.first = None;
        self.clock.passes(record.time);
        match &mut self.gate {
            // A pattern in the place of a request is no reply.
            Gate::Check(checking) if record.side != side => checking.check.reply(&record).map_err(|why| {
                Failure::Malformed(format!("{}:{}", self.recording.name, record.number), why.to_string())
            }),
            _ => Ok(()),
        }
    }

    /// Counts what was written by `now`, which is when lateness is measured: all but so many messages.
    pub(super) fn count_written(&mut self, pending: usize, now: Instant) {
        while self.pass.under_way.len() > pending {
            if let Some(due) = self.pass.under_way.pop_front().and_then(|message| message.due) {
                self.stats.left(now.saturating_duration_since(due));
            }
        }
    }

    /// So many of the last messages are not sent.
    pub(super) fn take_back(&mut self, messages: usize) {
        let under_way = &mut self.pass.under_way;
        for message in under_way.drain(under_way.len().saturating_sub(messages)..) {
            if let Some(bytes) = message.bytes {
                self.stats.sent.0 -= 1;
                self.stats.sent.1 -= bytes as u64;
            }
        }
    }

    /// When the peer is gone, the replies that it left out are counted.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    pub(super) fn close_check(&mut self, side: Side, now: Instant) -> Result<(), Failure> {
        let kind = match &self.end {
            Some(End::Closed(CloseReason::ByPeer)) => CloseKind::Closed,
            Some(End::Closed(CloseReason::Lost(_))) => CloseKind::Reset,
            Some(End::Closed(CloseReason::Broken(_) | CloseReason::Http)) => CloseKind::Broken,
            _ => return Ok(()),
        };
        // A peer that has closed in order needs no goodbye.
        let lacks_goodbye = self.pass.request.as_ref().is_some_and(|request| is_goodbye(&request.line));
        self.pass.is_complete |= kind == CloseKind::Closed && lacks_goodbye;
        let (at, is_complete) = (self.at(now), self.pass.is_complete);
        if let Gate::Check(checking) = &mut self.gate {
            checking.check.closed(kind, at);
            while matches!(self.gate.next(at, None), Step::Read) {
                self.read(side)?;
            }
        }
        self.pass.is_complete = is_complete;
        Ok(())
    }

    /// The status line.
    pub(super) fn progress(&self, now: Instant) -> String {
        let awaited = self.checking().and_then(|checking| checking.check.awaited(self.at(now)));
        match awaited.filter(|(_, late, _)| *late > LATE_TIME) {
            Some((reply, late, limit)) => {
                let (late, limit) = (late.as_secs_f64(), limit.as_secs_f64());
                let command = shown(line_command(&reply.content.line).as_bytes());
                format!("waiting {late:.1}/{limit} s for {command} ({}:{})", self.summary.name, reply.number)
            }
            None => self.stats.progress(now),
        }
    }

    /// How it ended, in a few words.
    pub(super) fn how(&self) -> &'static str {
        match &self.end {
            _ if self.checked.is_err() => "an error ended it",
            None | Some(End::Done | End::Closed(CloseReason::ByPeer)) if self.pass.is_complete => "done",
            Some(End::Done) if self.checking().is_some() => "stopped at the first difference",
            None | Some(End::Done | End::Closed(CloseReason::ByPeer)) => "the peer closed before the end",
            Some(End::Signal(_)) => "stopped by a signal",
            Some(End::TimeUp { .. } | End::Idle(_)) => "timed out",
            Some(End::Closed(CloseReason::Broken(_) | CloseReason::Http)) => "the peer broke the framing",
            Some(End::Closed(CloseReason::Unreached(_))) => "the connection was refused",
            Some(End::Closed(_)) => "the connection was lost",
            Some(End::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => "nothing reads the output",
            Some(End::Output(_)) => "the output cannot be written",
            Some(End::Failed(_)) => "an error ended it",
        }
    }
}

/// Whether a line is the last one that its side sends.
pub(super) fn is_goodbye(line: &[u8]) -> bool {
    line_command(line).eq_ignore_ascii_case("goodbye")
}
