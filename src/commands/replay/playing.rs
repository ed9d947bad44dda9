//! One file that is played: its recording, what decides when the next request leaves, and how far it has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::ReplayOptions;
use super::checking::Checking;
use super::clock::{Lateness, ReplayClock};
use super::source::Recording;
use crate::bcp::{Malformed, Side, line_command};
use crate::check::{Check, CloseKind, JunitSuite, NextStep};
use crate::commands::addresses::Target;
use crate::commands::run::{ClientRun, End, closing};
use crate::exit::{Exit, Failure};
use crate::net::{CloseReason, Closed, ConnId, SocketAddr};
use crate::output::Console;
use crate::session::Record;
use crate::text::{count, shown};

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
    /// What is played to whom.
    pub title: String,
    /// How many times it is played, each on its own connection, and how many connections there were.
    pub passes: u64,
    pub connections: u64,
    /// Messages and bytes, LFs and payloads included.
    pub sent: (u64, u64),
    pub received: (u64, u64),
    lateness: Lateness,
    pub pass: Pass,
    /// When the first connection was made, which is the clock's zero.
    pub start: Option<Instant>,
    /// How long after it the last connection ended.
    pub took: Duration,
    /// What ended the run, as soon as it leaves the connection.
    pub end: Option<End>,
    /// How the last connection ended.
    pub closed: Closed,
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
    /// A file that is opened and checked. `own` is the address of our own server, if there is one.
    ///
    /// # Errors
    /// The address of the server cannot be resolved.
    pub(super) fn new(
        options: &ReplayOptions,
        (recording, checking): (Recording, Option<Checking>),
        own: Option<SocketAddr>,
    ) -> Result<Playing, Failure> {
        let target = match own {
            Some(own) => Target::known(own),
            None => Target::resolve(options.address.as_deref(), recording.port(), options.retry)?,
        };
        let (side, address) = (recording.choice.side, &target.address);
        let to = match side {
            Side::Server => format!("the first client of {address}"),
            Side::Client if own.is_some() => format!("the built-in media controller at {address}"),
            Side::Client => address.to_string(),
        };
        let (side, name, size) = (side.name(), recording.file.base(), recording.size());
        Ok(Playing {
            title: format!("playing the {side} of {name} ({size}) to {to}"),
            recording,
            checking,
            clock: ReplayClock::new(options.tempo),
            target,
            passes: options.passes,
            connections: 0,
            sent: (0, 0),
            received: (0, 0),
            lateness: Lateness::default(),
            pass: Pass::default(),
            start: None,
            took: Duration::ZERO,
            end: None,
            closed: Closed::default(),
            checked: Ok(Exit::Success),
        })
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
                self.lateness.add(at.saturating_sub(due));
            }
            if let Some(bytes) = message.bytes {
                self.pass.sent += 1;
                self.sent.0 += 1;
                self.sent.1 += bytes as u64;
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

    /// Its check, if replies are compared; if not, they only delay what is sent.
    pub(super) fn compared(&self) -> Option<&Checking> {
        self.checking.as_ref().filter(|checking| checking.is_compared)
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
            None => self.played(now),
        }
    }

    /// How much was played so far: `119/227 0:11/0:20 ×1.0`.
    fn played(&self, now: Instant) -> String {
        let clock = |time: Duration| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60);
        let requests = self.recording.requests.saturating_mul(self.passes);
        let mut text = format!("{}/{requests} {}", self.sent.0, clock(self.at(now)));
        if let Some(duration) = self.clock.duration(self.recording.duration, requests, self.passes) {
            text += &format!("/{}", clock(duration));
        }
        if let Some(speed) = self.clock.speed() {
            text += &format!(" ×{speed:.1}");
        }
        if let Some(differences @ 1..) = self.compared().map(Checking::differences) {
            text += &format!(", {}", count(differences, "difference"));
        }
        text
    }

    /// Whether everything was sent, and the connection closed in order.
    pub(super) fn is_done(&self) -> bool {
        self.pass.is_complete && matches!(self.end, Some(End::Done | End::Closed(CloseReason::ByPeer)))
    }

    /// What its check came to, as a line: `PASS: 14 replies as recorded`.
    pub(super) fn result(&self) -> String {
        match self.checking.as_ref().filter(|checking| checking.has_result()).map(Checking::result) {
            Some(result) if self.is_done() || !result.starts_with("PASS") => format!("{result}\n"),
            _ => format!("FAIL: {}\n", self.how()),
        }
    }

    /// The suite of this file in the JUnit report.
    pub(super) fn suite(&self) -> Option<JunitSuite<'_>> {
        let checking = self.checking.as_ref().filter(|_| self.connections > 0)?;
        Some(JunitSuite {
            file: &self.recording.file.name,
            began: checking.began.duration_since(UNIX_EPOCH).unwrap_or_default(),
            took: self.took,
            replies: checking.replies.clone(),
            entries: &checking.check.entries,
            reached: checking.check.reached,
        })
    }

    /// The summary: what was played, what came back, and how it ended.
    pub(super) fn summary(&self) -> String {
        let volume = |(messages, bytes)| format!("{} ({})", count(messages, "message"), count(bytes, "byte"));
        let (sent, file, time) = (volume(self.sent), self.recording.file.base(), self.took.as_secs_f64());
        let mut text = format!("replayed {sent} of {file} in {time:.3} s");
        if self.connections > 1 {
            text += &format!(", over {} connections", self.connections);
        }
        text += &format!("; received {} from {}", volume(self.received), self.target.address);
        if let Some(differences) = self.compared().map(Checking::differences) {
            text += &format!("; {}", count(differences, "difference"));
        }
        format!("{text}; {}{}", self.how(), self.lateness)
    }

    /// How the run would end with this file.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(super) fn settle(self, console: &mut Console) -> Result<Exit, Failure> {
        let is_check_over = self.compared().is_none_or(|checking| checking.check.is_over);
        let (checked, end) = (self.checked?, self.end.unwrap_or(End::Done));
        // That the peer is gone is one of the differences, and reported.
        let has_left = matches!(end, End::Done | End::Closed(CloseReason::ByPeer | CloseReason::Lost(_)));
        let is_reported = checked == Exit::Failed && has_left;
        let missing = match self.pass.is_complete {
            _ if is_reported => Some(""),
            false => Some("the last message to be sent"),
            true if !is_check_over => Some("all replies to be compared"),
            true => None,
        };
        let run = ClientRun {
            hint: "",
            target: &self.target,
            end,
            closed: self.closed,
            is_complete: self.pass.is_complete || is_reported,
            missing: missing.map(str::to_owned),
        };
        run.settle(console).map(|exit| exit.max(checked))
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

#[cfg(test)]
mod tests {
    use super::super::clock::Tempo;
    use super::*;
    use crate::check::CheckConfig;
    use crate::cli::Given;
    use crate::output::Color;
    use std::path::Path;

    /// Twenty messages in 80 s, of which two left at once, two 3 ms late and the others 1 ms.
    fn twenty() -> Playing {
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(format!("backbox-playing-{process}-{thread:?}.bcp"));
        std::fs::write(&path, format!("#backbox-session 1\n#@0\n{}#@80\n#<b\n", "a?b=cdefg\n".repeat(20))).unwrap();
        let mut given = Given::default();
        given.words.push(path.clone().into());
        let options = ReplayOptions::read(&given).unwrap();
        let mut recording = Recording::open(&path, options.choice.clone()).unwrap();
        recording.survey(false, &mut Console::new("test", true, Color::Never)).unwrap();
        let own = Some("127.0.0.1:7".parse().unwrap());
        let mut playing = Playing::new(&options, (recording, None), own).unwrap();
        let now = Instant::now();
        (playing.start, playing.connections) = (Some(now), 1);
        for message in 0..20 {
            let late = Duration::from_millis(if message < 2 { 0 } else { 1 + message / 18 * 2 });
            playing.pass.under_way.push_back(UnderWay { due: Some(Duration::ZERO), bytes: Some(10) });
            playing.count_written(0, now + late);
        }
        playing
    }

    #[test]
    fn summary_has_all_numbers() {
        let mut playing = twenty();
        playing.received = (1, 1);
        playing.took = Duration::from_millis(80_001);
        let text = playing.summary();
        assert!(text.starts_with("replayed 20 messages (200 bytes) of backbox-playing-"), "{text}");
        assert!(text.contains(".bcp in 80.001 s; received 1 message (1 byte) from 127.0.0.1:7; "), "{text}");
        assert!(text.contains("\nlateness: p50 1.0") && text.ends_with(" ms, max 3.000 ms"), "{text}");
        (playing.connections, playing.lateness) = (2, Lateness::default());
        let text = playing.summary();
        assert!(text.contains(", over 2 connections; ") && !text.contains("lateness"), "{text}");
    }

    #[test]
    fn status_line_has_messages_time_and_speed() {
        let mut playing = twenty();
        let start = playing.start.unwrap();
        assert_eq!(playing.progress(start + Duration::from_secs(71)), "20/20 1:11/1:20 ×1.0");
        playing.clock = ReplayClock::new(Tempo { rate: Some(0.5), ..Tempo::default() });
        assert_eq!(playing.progress(start), "20/20 0:00/0:40");
        playing.clock = ReplayClock::new(Tempo { speed: Some(f64::INFINITY), ..Tempo::default() });
        assert_eq!(playing.progress(start), "20/20 0:00");
    }

    #[test]
    fn status_line_has_the_number_of_differences() {
        let mut playing = twenty();
        let (given, config, file) = (Given::default(), CheckConfig::default(), Path::new(""));
        let mut checking = Checking::prepare(&given, config, file, &mut playing.recording).unwrap();
        while let Some(record) = playing.recording.read().unwrap() {
            if record.side == Side::Server {
                checking.check.reply(&record).unwrap();
            }
        }
        checking.check.end();
        assert_eq!(checking.check.next(Duration::MAX), NextStep::Over);
        checking.is_compared = true;
        playing.checking = Some(checking);
        let start = playing.start.unwrap();
        assert_eq!(playing.progress(start), "20/20 0:00/1:20 ×1.0, 1 difference");
    }
}
