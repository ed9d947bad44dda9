//! The handler of `replay` on the network loop: one file after another, each on its own connection, and with `--repeat`
//! one pass after another.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::clock::{Clock, Tempo, instant};
use super::report::{Checking, junit_report};
use super::source::{Recording, Summary, count};
use super::stats::Stats;
use crate::bcp::{Message, ParseOptions, Side, line_command};
use crate::check::{CloseKind, NextStep};
use crate::commands::dial::Target;
use crate::commands::recorder::Recorder;
use crate::commands::result_file::ResultFile;
use crate::commands::run::{ClientRun, End, TimeLimits, closing, report_bad_frame};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, FramingError, RawMessage};
use crate::net::{CloseReason, Closed, ConnId, DRAIN_TIME, FLUSH_TIME, Handler, Net, Notice, SocketAddr, Stop};
use crate::output::progress::ERASE;
use crate::output::show::Show;
use crate::output::table::{Emphasis, Seen, Table};
use crate::output::{Console, Progress, stdout_is_terminal};
use crate::session::Record;
use crate::text::shown;

/// How long a terminal may take to be drawn on: so near to a message the status line is not drawn.
const DRAWING_TIME: Duration = Duration::from_millis(3);

/// How long a reply is late before the status line names it.
const LATE_TIME: Duration = Duration::from_secs(1);

/// To whom a recording is played.
#[derive(Clone, Copy, Debug)]
pub(super) enum PeerKind {
    /// A server at the target's address.
    Server,
    /// The built-in media controller, at this address.
    BuiltIn(SocketAddr),
    /// The first client of this address.
    Client(SocketAddr),
}

/// What prints the messages.
pub(super) enum Printer {
    /// A check, whose report is all that is printed.
    Silent,
    Raw(Box<Show>),
    Table(Box<Table>),
}

/// What holds for the whole run.
pub(super) struct Plan {
    pub kind: PeerKind,
    /// The side that is played.
    pub side: Side,
    /// Whether replies are compared.
    pub compares: bool,
    pub retry: Duration,
    /// `--repeat`.
    pub passes: u64,
    /// `-W`.
    pub limits: TimeLimits,
    pub traffic: Traffic,
    pub recorder: Recorder,
    pub printer: Printer,
    pub junit: Option<ResultFile>,
    pub is_colored: bool,
}

/// What decides when the next request leaves.
pub(super) enum Gate {
    /// Its time alone.
    Clock { request: Option<Due>, is_over: bool },
    /// Its time, and the replies before it.
    Check(Box<Checking>),
}

/// When a request is due: with the first one of its write, if it joins that; `None` is at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    at: Option<Duration>,
    joins: bool,
}

/// What a [`Gate`] wants next.
enum Step {
    Read,
    /// The time is when the request was due, if it was at a time.
    Send(Option<Duration>),
    WaitUntil(Duration),
    Over,
}

impl Gate {
    pub(super) fn clock() -> Gate {
        Gate::Clock { request: None, is_over: false }
    }

    /// What to do at this time; `waited` is until when a request was waited for last.
    fn next(&mut self, at: Duration, waited: Option<Duration>) -> Step {
        match self {
            Gate::Clock { request: Some(Due { at: Some(due), joins: false }), .. } if *due > at => {
                Step::WaitUntil(*due)
            }
            Gate::Clock { request: Some(due), .. } => Step::Send(due.at),
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

    /// The request was sent.
    fn sent(&mut self, at: Duration) {
        match self {
            Gate::Clock { request, .. } => *request = None,
            Gate::Check(checking) => checking.check.sent(at),
        }
    }

    fn checking(&self) -> Option<&Checking> {
        match self {
            Gate::Clock { .. } => None,
            Gate::Check(checking) => Some(checking),
        }
    }
}

/// A message that was given to the connection and may not be written yet.
struct UnderWay {
    due: Option<Instant>,
    /// How many bytes of the recording it is; `None` for a `goodbye` that is not in it.
    bytes: Option<usize>,
}

/// One file, and how far it has been played.
pub(super) struct Playing {
    recording: Recording,
    /// The name of the file, without folders.
    name: String,
    size: String,
    gate: Gate,
    clock: Clock,
    pub target: Target,
    stats: Stats,
    id: ConnId,
    pass: u64,
    /// When the clock's zero was.
    start: Option<Instant>,
    /// The request that was read last.
    request: Option<Record>,
    /// When the first request of the present write was recorded.
    first: Option<Option<Duration>>,
    /// When that is due, by the clock.
    due: Option<Duration>,
    waited: Option<Duration>,
    /// Whether every request was given to the connection.
    is_complete: bool,
    /// The recording or the peer sent a `goodbye`.
    said_goodbye: bool,
    peer_left: bool,
    under_way: VecDeque<UnderWay>,
    /// How many messages were dropped.
    cut: usize,
    unreached: Option<io::Error>,
    end: Option<End>,
}

impl Playing {
    pub(super) fn new(
        recording: Recording,
        summary: Summary,
        gate: Gate,
        tempo: Tempo,
        target: Target,
        stats: Stats,
    ) -> Playing {
        Playing {
            recording,
            size: summary.size(),
            name: summary.name,
            gate,
            clock: Clock::new(tempo),
            target,
            stats,
            id: ConnId::default(),
            pass: 1,
            start: None,
            request: None,
            first: None,
            due: None,
            waited: None,
            is_complete: false,
            said_goodbye: false,
            peer_left: false,
            under_way: VecDeque::new(),
            cut: 0,
            unreached: None,
            end: None,
        }
    }

    /// Another pass begins where this one ended.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    fn repeat(&mut self) -> Result<(), Failure> {
        self.recording.rewind()?;
        self.clock.again();
        (self.gate, self.first) = (Gate::clock(), None);
        (self.is_complete, self.said_goodbye, self.peer_left) = (false, false, false);
        self.under_way.clear();
        self.cut = 0;
        self.pass += 1;
        Ok(())
    }

    /// The time of its clock.
    fn at(&self, now: Instant) -> Duration {
        self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start))
    }

    /// Reads the next record and tells the gate.
    fn read(&mut self, side: Side) -> Result<(), Failure> {
        let Some(record) = self.recording.read()? else {
            self.is_complete = true;
            match &mut self.gate {
                Gate::Clock { is_over, .. } => *is_over = true,
                Gate::Check(checking) => checking.check.end(),
            }
            return Ok(());
        };
        if record.side == side && !record.is_pattern {
            let joins = self.first.is_some_and(|first| self.clock.joins(first, record.time));
            let due = self.clock.line(record.time);
            if !joins {
                (self.first, self.due, self.waited) = (Some(record.time), due, None);
            }
            match &mut self.gate {
                Gate::Clock { request, .. } => *request = Some(Due { at: self.due, joins }),
                Gate::Check(checking) => checking.check.request(&record, due.unwrap_or_default(), joins),
            }
            self.request = Some(record);
            return Ok(());
        }
        self.first = None;
        self.clock.passes(record.time);
        match &mut self.gate {
            // A pattern in the place of a request is nobody's reply.
            Gate::Check(checking) if record.side != side => {
                let place = || format!("{}:{}", self.recording.name, record.number);
                checking.check.reply(&record).map_err(|why| Failure::Malformed(place(), why.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Counts what was written by `now`, which is when lateness is measured: all but so many messages.
    fn count_written(&mut self, pending: usize, now: Instant) {
        while self.under_way.len() > pending {
            if let Some(due) = self.under_way.pop_front().and_then(|message| message.due) {
                self.stats.left(now.saturating_duration_since(due));
            }
        }
    }

    /// So many of the last messages are not sent.
    fn take_back(&mut self, messages: usize) {
        let kept = self.under_way.len().saturating_sub(messages);
        for bytes in self.under_way.drain(kept..).filter_map(|message| message.bytes) {
            self.stats.sent.0 -= 1;
            self.stats.sent.1 -= bytes as u64;
        }
    }

    /// The connection has ended: when the peer is gone, the replies that it left out are counted.
    ///
    /// # Errors
    /// The recording cannot be read any more.
    fn close_check(&mut self, reason: &CloseReason, side: Side, now: Instant) -> Result<(), Failure> {
        let kind = match reason {
            CloseReason::ByPeer => CloseKind::Closed,
            CloseReason::Lost(_) => CloseKind::Reset,
            CloseReason::Broken(_) | CloseReason::Http => CloseKind::Broken,
            _ => return Ok(()),
        };
        let (at, is_complete) = (self.at(now), self.is_complete);
        if let Gate::Check(checking) = &mut self.gate {
            checking.check.closed(kind, at);
            while matches!(self.gate.next(at, None), Step::Read) {
                self.read(side)?;
            }
        }
        self.is_complete = is_complete;
        Ok(())
    }

    /// The status line.
    fn progress(&self, now: Instant) -> String {
        let awaited = self.gate.checking().and_then(|checking| checking.check.awaited(self.at(now)));
        match awaited.filter(|(_, late, _)| *late > LATE_TIME) {
            Some((reply, late, limit)) => {
                let (late, limit) = (late.as_secs_f64(), limit.as_secs_f64());
                let command = shown(line_command(&reply.content.line).as_bytes());
                format!("waiting {late:.1}/{limit} s for {command} ({}:{})", self.name, reply.number)
            }
            None => self.stats.progress(now),
        }
    }
}

/// A file that was played.
struct FileResult {
    name: String,
    /// Its check, if it was connected.
    checking: Option<Box<Checking>>,
    outcome: Result<Exit, Failure>,
}

/// How the connection of a file ended, and its check.
struct Ended {
    end: End,
    closed: Closed,
    checked: Exit,
    failure: Option<Failure>,
}

/// The handler of `replay`.
pub(super) struct Replayer<'a> {
    plan: Plan,
    console: &'a mut Console,
    progress: Progress,
    playing: Playing,
    /// The files that follow.
    waiting: VecDeque<Playing>,
    files: usize,
    results: Vec<FileResult>,
    /// The end of the only file, which is reported after everything is printed.
    ended: Option<Ended>,
    /// Standard output failed after the last file was played.
    output_error: Option<io::Error>,
    began: Instant,
    message: Message,
    whole: Vec<u8>,
    printed: Vec<u8>,
}

impl<'a> Replayer<'a> {
    /// Plays the first file, then those that wait.
    pub(super) fn new(
        plan: Plan,
        playing: Playing,
        waiting: VecDeque<Playing>,
        console: &'a mut Console,
    ) -> Replayer<'a> {
        Replayer {
            plan,
            progress: console.progress(),
            console,
            playing,
            files: waiting.len() + 1,
            waiting,
            results: Vec::new(),
            ended: None,
            output_error: None,
            began: Instant::now(),
            message: Message::new(),
            whole: Vec::new(),
            printed: Vec::new(),
        }
    }

    /// Reports what is played to whom, and begins to connect.
    pub(super) fn begin(&mut self, net: &mut Net) {
        let Playing { name, size, target, .. } = &self.playing;
        let to = match self.plan.kind {
            PeerKind::Server => target.address.to_string(),
            PeerKind::BuiltIn(address) => format!("the built-in media controller at {address}"),
            PeerKind::Client(address) => format!("the first client of {address}"),
        };
        self.console.note(format_args!("playing the {} of {name} ({size}) to {to}", self.plan.side.name()));
        self.connect(net);
    }

    fn connect(&mut self, net: &mut Net) {
        if !matches!(self.plan.kind, PeerKind::Client(_)) {
            self.playing.id = net.connect(self.playing.target.dial_for(self.plan.retry));
        }
    }

    /// What is sent with the peer's side, for messages.
    fn peer(&self) -> String {
        match self.plan.kind {
            PeerKind::Server => self.playing.target.address.to_string(),
            PeerKind::BuiltIn(_) => "the built-in media controller".to_owned(),
            PeerKind::Client(_) => "the client".to_owned(),
        }
    }

    /// Sends what is due and has room, and leaves at the end; when to look again.
    fn advance(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if !net.is_open(self.playing.id) {
            return None;
        }
        let start = *self.playing.start.get_or_insert(now);
        loop {
            let playing = &mut self.playing;
            let is_check = matches!(playing.gate, Gate::Check(_));
            if playing.peer_left && (!is_check || (playing.is_complete && !self.plan.compares)) {
                break;
            }
            match playing.gate.next(playing.at(now), playing.waited) {
                Step::Read => {
                    if let Err(failure) = playing.read(self.plan.side) {
                        self.stop(net, End::Failed(failure));
                        return None;
                    }
                }
                Step::Send(due) => {
                    if !self.has_room(net) {
                        return None;
                    }
                    self.send_request(net, due.map(|due| instant(start, due)), now);
                }
                Step::WaitUntil(until) => {
                    playing.waited = Some(until);
                    return Some(instant(start, until));
                }
                Step::Over => break,
            }
        }
        // What the peer sent in the recording after the last request belongs to it.
        let Playing { is_complete, said_goodbye, peer_left, .. } = self.playing;
        let end = instant(start, self.playing.clock.end());
        if !self.plan.compares && is_complete && !said_goodbye && !peer_left && end > now {
            return Some(end);
        }
        self.leave(net);
        None
    }

    fn has_room(&self, net: &Net) -> bool {
        let Some(Record { line, payload, .. }) = &self.playing.request else { return true };
        // What is sent is also printed or recorded: a slow reader or disk must not make memory grow.
        let is_shown = matches!(self.plan.printer, Printer::Table(_)) || self.plan.recorder.is_on();
        let length = line.len() + 1 + payload.as_ref().map_or(0, Vec::len);
        net.has_room(self.playing.id, length) && !(is_shown && net.is_held())
    }

    fn send_request(&mut self, net: &mut Net, due: Option<Instant>, now: Instant) {
        let playing = &mut self.playing;
        let Some(record) = playing.request.take() else { return };
        let payload = record.payload.as_deref().filter(|payload| !payload.is_empty());
        self.whole.clear();
        self.whole.extend_from_slice(&record.line);
        self.whole.push(b'\n');
        self.whole.extend_from_slice(payload.unwrap_or_default());
        let bytes = self.whole.len();
        net.send(playing.id, &self.whole);
        // One huge message must not keep its memory.
        self.whole.shrink_to(crate::limits::READ_BYTES);
        playing.said_goodbye |= is_goodbye(&record.line);
        playing.under_way.push_back(UnderWay { due, bytes: Some(bytes) });
        playing.stats.sent.0 += 1;
        playing.stats.sent.1 += bytes as u64;
        let at = playing.at(now);
        playing.gate.sent(at);
        self.report_sent(net, &record.line, payload);
    }

    fn send_goodbye(&mut self, net: &mut Net) {
        if !std::mem::replace(&mut self.playing.said_goodbye, true) && net.send(self.playing.id, b"goodbye\n") {
            self.playing.under_way.push_back(UnderWay { due: None, bytes: None });
            self.report_sent(net, b"goodbye", None);
        }
    }

    /// Shows and records a message that was sent.
    fn report_sent(&mut self, net: &mut Net, line: &[u8], payload: Option<&[u8]>) {
        self.plan.traffic.sent(line, payload.map(<[u8]>::len));
        self.plan.recorder.message(net, self.playing.id.0, self.plan.side, line, payload);
        if matches!(self.plan.printer, Printer::Table(_)) {
            let text = crate::bcp::payload_marker(line).map_or(line, |marker| &line[..marker.at]);
            self.print_row(net, self.plan.side, line, text, payload);
        }
    }

    /// Prints one row of the table; `text` is the line without its payload marker.
    fn print_row(&mut self, net: &mut Net, from: Side, line: &[u8], text: &[u8], payload: Option<&[u8]>) {
        let Printer::Table(table) = &mut self.plan.printer else { return };
        let time = net.now().saturating_duration_since(self.began);
        let seen = Seen { time: Some(time), connection: self.playing.stats.connections, from };
        let parsed = self.message.parse_line(text, &ParseOptions::default());
        let message = parsed.as_ref().map(|()| &self.message);
        let emphasis = if from == self.plan.side { Emphasis::Dimmed } else { Emphasis::Normal };
        table.message(seen, line, payload, message, emphasis, &mut self.printed);
        self.print(net);
    }

    fn print_event(&mut self, net: &mut Net, text: &str) {
        let Printer::Table(table) = &mut self.plan.printer else { return };
        let time = net.now().saturating_duration_since(self.began);
        table.event(Some(time), self.playing.stats.connections, text, &mut self.printed);
        self.print(net);
    }

    /// Prints what was formatted, in the place of the status line.
    fn print(&mut self, net: &mut Net) {
        if self.progress.is_shown() && stdout_is_terminal() && !self.printed.is_empty() {
            net.print(ERASE.as_bytes());
        }
        net.print(&self.printed);
        self.printed.clear();
        self.printed.shrink_to(crate::limits::READ_BYTES);
    }

    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        let playing = &mut self.playing;
        playing.stats.received.0 += 1;
        playing.stats.received.1 += raw.raw.len() as u64;
        playing.peer_left |= is_goodbye(raw.line);
        self.plan.traffic.came(raw);
        match &mut self.plan.printer {
            Printer::Silent => {}
            Printer::Raw(show) => {
                let is_parsed = self.message.parse_line(raw.text(), &ParseOptions::default()).is_ok();
                show.show(raw, is_parsed.then_some(&self.message), None, &mut self.printed);
                self.print(net);
            }
            Printer::Table(_) => self.print_row(net, self.plan.side.other(), raw.line, raw.text(), raw.payload),
        }
        let playing = &mut self.playing;
        let at = playing.at(net.now());
        if let Gate::Check(checking) = &mut playing.gate {
            checking.check.received(raw.line, raw.payload.unwrap_or_default(), at);
        }
    }

    /// Ends the connection in order: everything sent goes out, `goodbye` in the same write where it fits.
    fn leave(&mut self, net: &mut Net) {
        self.playing.end = Some(End::Done);
        self.send_goodbye(net);
        net.finish(self.playing.id, Duration::MAX, DRAIN_TIME);
    }

    /// Ends the run in bounded time: only a message that has begun goes out, and `goodbye`.
    fn stop(&mut self, net: &mut Net, end: End) {
        self.playing.end = Some(end);
        let id = self.playing.id;
        if net.is_open(id) {
            self.playing.count_written(net.pending(id), net.now());
            let cut = net.cut(id);
            self.playing.take_back(cut);
            self.playing.cut += cut;
            self.send_goodbye(net);
        }
        net.hurry();
    }

    /// Draws the status line, if it is time.
    fn draw(&mut self, now: Instant) {
        let playing = &mut self.playing;
        if self.plan.compares {
            playing.stats.differences = playing.gate.checking().map(|checking| checking.check.entries().len() as u64);
        }
        self.progress.draw(now, || playing.progress(now));
    }
}

/// The end of a connection, of a file, and of the run.
impl Replayer<'_> {
    /// Reports on the file, which is over, and begins with the next one.
    fn conclude(&mut self, net: Option<&mut Net>, end: End, closed: Closed) {
        let playing = &mut self.playing;
        let was_connected = playing.stats.connections > 0;
        let mut failure = match &end {
            End::Closed(reason) => playing.close_check(reason, self.plan.side, Instant::now()).err(),
            _ => None,
        };
        let mut checked = Exit::Success;
        if let Gate::Check(checking) = &mut playing.gate {
            if self.plan.compares && was_connected && failure.is_none() {
                playing.stats.differences = Some(checking.check.entries().len() as u64);
                let concluded = checking.conclude(&mut playing.recording, self.plan.junit.is_some(), self.console);
                concluded.map_or_else(|why| failure = Some(why), |exit| checked = exit);
                let is_only = self.files == 1;
                let report = checking.print(&playing.recording.name, self.plan.is_colored, is_only);
                self.printed.extend_from_slice(report.as_bytes());
            }
        }
        let is_last = matches!(end, End::Signal(_) | End::TimeUp { .. } | End::Output(_));
        let ended = Ended { end, closed, checked, failure };
        match self.files {
            1 => self.ended = Some(ended),
            _ => self.push_result(ended),
        }
        if let Some(net) = net {
            match self.waiting.pop_front().filter(|_| !is_last) {
                Some(next) => {
                    self.print(net);
                    self.playing = next;
                    self.begin(net);
                }
                None => {
                    self.push_total();
                    self.print(net);
                }
            }
        }
    }

    /// How the run would end with this file.
    fn settle(&mut self, Ended { end, closed, checked, failure }: Ended) -> Result<Exit, Failure> {
        if let Some(failure) = failure {
            return Err(failure);
        }
        let Playing { gate, is_complete, target, unreached, .. } = &self.playing;
        let has_left = matches!(end, End::Done | End::Closed(CloseReason::ByPeer | CloseReason::Lost(_)));
        let is_over = gate.checking().is_none_or(|checking| !self.plan.compares || checking.check.is_over());
        // That the peer is gone is one of the differences, and reported.
        let is_reported = checked == Exit::Failed && has_left;
        let missing = match (is_complete, is_over) {
            _ if is_reported => Some(""),
            (false, _) => Some("the last message to be sent"),
            (true, false) => Some("all replies to be compared"),
            (true, true) => None,
        };
        let hint = match unreached {
            Some(error) => format!("; cannot connect to {}: {}", target.address, plain_words(error)),
            None => String::new(),
        };
        let run = ClientRun {
            target,
            end,
            closed,
            retry: self.plan.retry,
            is_complete: *is_complete || is_reported,
            complete_when: "the last message was sent",
            missing: missing.map(str::to_owned),
            hint,
            left_out: None,
        };
        run.settle(self.console).map(|exit| exit.worse(checked))
    }

    /// Prints the summary of the file and keeps its result; of several, each gets a line.
    fn push_result(&mut self, ended: Ended) {
        let was_connected = self.playing.stats.connections > 0;
        if was_connected {
            let how =
                if ended.failure.is_some() { "an error ended it" } else { how(&ended.end, self.playing.is_complete) };
            let summary = self.playing.stats.summary(&self.playing.name, &self.peer(), how);
            self.console.note(summary);
        }
        let outcome = self.settle(ended);
        let name = self.playing.recording.name.clone();
        let gate = std::mem::replace(&mut self.playing.gate, Gate::clock());
        let checking = match gate {
            Gate::Check(checking) if was_connected => Some(checking),
            _ => None,
        };
        if self.files > 1 {
            let result = checking.as_ref().map_or("FAIL: not connected".to_owned(), |checking| checking.result());
            let is_ok = matches!(outcome, Ok(Exit::Success | Exit::Failed)) && result.starts_with("PASS");
            let (word, result) = (if is_ok { "ok  " } else { "FAIL" }, result.split_at(6).1);
            let text = match &outcome {
                Err(failure) => failure.message().unwrap_or(result).to_owned(),
                Ok(_) => result.to_owned(),
            };
            self.printed.extend_from_slice(format!("{word} {name} {text}\n").as_bytes());
        }
        self.results.push(FileResult { name, checking, outcome });
    }

    /// After several files, the total.
    fn push_total(&mut self) {
        if self.files == 1 {
            return;
        }
        let (mut failed, mut differing, mut compared) = (self.files - self.results.len(), 0, 0);
        for FileResult { checking, outcome, .. } in &self.results {
            let (differs, all) = checking.as_ref().map_or((0, 0), |checking| checking.counts());
            (differing, compared) = (differing + differs, compared + all);
            failed += usize::from(differs > 0 || all == 0 || outcome.is_err());
        }
        let (files, replies) = (self.files as u64, count(compared, "reply").replace("replys", "replies"));
        let text = match failed {
            0 => format!("PASS: {}, {replies} as recorded\n", count(files, "file")),
            _ => format!("FAIL: {failed} of {files} files differ ({differing} of {replies})\n"),
        };
        self.printed.extend_from_slice(text.as_bytes());
    }

    /// Writes the JUnit report; the exit status of the run. `reported` is what else counts.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(super) fn finish(mut self, reported: Exit) -> Result<Exit, Failure> {
        if self.ended.is_none() && self.results.is_empty() {
            // No client connected.
            let end = self.playing.end.take().unwrap_or(End::Done);
            self.conclude(None, end, Closed::never());
        }
        if let Some(ended) = self.ended.take() {
            self.push_result(ended);
        }
        if let Some(file) = &self.plan.junit {
            let checks = self.results.iter().filter_map(|result| Some((&*result.name, &**result.checking.as_ref()?)));
            let checks: Vec<_> = checks.collect();
            if !checks.is_empty() {
                file.write(junit_report(checks.into_iter()).as_bytes())?;
            }
        }
        let mut worst = self.console.worst().worse(reported);
        for FileResult { outcome, .. } in self.results {
            match outcome {
                Ok(exit) => worst = worst.worse(exit),
                Err(failure) if self.files == 1 => return Err(failure),
                Err(failure) => {
                    self.console.report_failure(&failure);
                    worst = worst.worse(failure.exit());
                }
            }
        }
        match self.output_error.as_ref().map(Failure::output) {
            None | Some(Failure::OutputClosed) => Ok(worst),
            Some(failure) => Err(failure),
        }
    }
}

impl Handler for Replayer<'_> {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        if let (PeerKind::Client(_), Some(peer)) = (self.plan.kind, net.peer(id)) {
            // Only the first client is served.
            net.leave();
            self.playing.target = Target::known(peer);
        }
        self.playing.id = id;
        self.playing.unreached = None;
        self.playing.stats.connected();
        if let Gate::Check(checking) = &mut self.playing.gate {
            checking.begin();
        }
        let word = if matches!(self.plan.kind, PeerKind::Client(_)) { "connected from" } else { "connected to" };
        let address = self.playing.target.address.to_string();
        self.print_event(net, &format!("{word} {address}"));
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        self.plan.recorder.frame(net, id.0, self.plan.side.other(), frame);
        match frame {
            Frame::Message(message) => self.receive(net, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                report_bad_frame(self.console, &self.playing.target, *number, *fault);
                let goes_on = matches!(fault, FramingError::LineTooLong { .. });
                if !goes_on && matches!(self.playing.end, None | Some(End::Done)) {
                    self.playing.end = Some(End::Closed(CloseReason::Broken(*fault)));
                }
            }
        }
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        // What it was is known when the connection is closed.
        self.playing.end.get_or_insert(End::Closed(CloseReason::ByPeer));
        self.send_goodbye(net);
        net.finish(id, FLUSH_TIME, DRAIN_TIME);
    }

    fn on_sent(&mut self, net: &mut Net, _id: ConnId) {
        self.playing.count_written(0, net.now());
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, mut closed: Closed) {
        let reason = std::mem::replace(&mut closed.reason, CloseReason::ByUs);
        let playing = &mut self.playing;
        let end = match (playing.end.take(), reason) {
            (None, CloseReason::ByUs | CloseReason::Reset) => End::Done,
            (Some(end), CloseReason::ByUs | CloseReason::Reset) => end,
            (None | Some(End::Done | End::Closed(CloseReason::ByPeer)), reason) => End::Closed(reason),
            (Some(end), CloseReason::Unreached(error)) => {
                playing.unreached = Some(error);
                end
            }
            (Some(end), _) => end,
        };
        let unsent = closed.unsent - playing.cut;
        playing.take_back(unsent);
        playing.count_written(0, net.now());
        // A peer that was not connected had nothing to send.
        closed.noticed |= playing.start.is_none();
        let (us, them) = (self.plan.side, self.plan.side.other());
        let how = closing(&end, closed.unsent, us);
        self.plan.recorder.closed(net, id.0, &how, them, &closed.unfinished);
        if playing.start.is_some() {
            let Stats { sent, received, .. } = playing.stats;
            self.print_event(net, &format!("{how}: {} sent, {} received", count(sent.0, "message"), received.0));
        }
        let playing = &mut self.playing;
        let goes_on = matches!(end, End::Done) && playing.is_complete && closed.unsent == 0;
        if goes_on && playing.pass < self.plan.passes {
            match playing.repeat() {
                Ok(()) => self.connect(net),
                Err(failure) => self.conclude(Some(net), End::Failed(failure), closed),
            }
            return;
        }
        self.conclude(Some(net), end, closed);
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        self.playing.count_written(net.pending(self.playing.id), now);
        self.draw(now);
        if self.playing.end.is_none() {
            if let Some(end) = self.plan.limits.passed(now) {
                self.stop(net, end);
                return None;
            }
            let due = self.advance(net, now);
            let drawing = self.progress.next().filter(|&next| due.is_none_or(|due| next + DRAWING_TIME < due));
            return due.into_iter().chain(drawing).chain(self.plan.limits.deadline()).min();
        }
        // `-W` bounds leaving too, which else waits for a peer that does not read.
        let timeout = self.plan.limits.timeout_at().filter(|_| matches!(self.playing.end, Some(End::Done)))?;
        if now < timeout {
            return Some(timeout);
        }
        if let Some(limit) = self.plan.limits.timeout {
            self.playing.end = Some(End::TimeUp { limit, option: "--timeout" });
        }
        net.hurry();
        None
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match (stop, &self.playing.end) {
            (Stop::Signal(signal), _) => self.stop(net, End::Signal(signal)),
            (Stop::OutputGone(error), None | Some(End::Done))
                if self.ended.is_none() && self.results.len() < self.files =>
            {
                self.stop(net, End::Output(error));
            }
            (Stop::OutputGone(error), _) => {
                self.output_error = Some(error);
                net.hurry();
            }
            (Stop::Asked, _) => net.hurry(),
        }
    }

    fn on_notice(&mut self, _net: &mut Net, notice: Notice<'_>) {
        match notice {
            Notice::Retrying(_, error) => {
                if self.playing.unreached.is_none() {
                    let address = &self.playing.target.address;
                    self.console.note(format_args!("{address}: {}; retrying until it accepts", plain_words(error)));
                }
                self.playing.unreached = Some(io::Error::new(error.kind(), plain_words(error)));
            }
            Notice::RecordingFailed(error) => {
                let failure = self.plan.recorder.failure(error);
                self.console.report_failure(&failure);
            }
            _ => {}
        }
    }
}

/// Whether a line is the last one that its side sends.
fn is_goodbye(line: &[u8]) -> bool {
    line_command(line).eq_ignore_ascii_case("goodbye")
}

/// How a connection ended, in a few words.
fn how(end: &End, is_complete: bool) -> &'static str {
    match end {
        End::Done | End::Closed(CloseReason::ByPeer) if is_complete => "done",
        End::Done | End::Closed(CloseReason::ByPeer) => "the peer closed before the end",
        End::Signal(_) => "stopped by a signal",
        End::TimeUp { .. } | End::Idle(_) => "the time was up",
        End::Closed(CloseReason::Broken(_) | CloseReason::Http) => "the peer broke the framing",
        End::Closed(CloseReason::Unreached(_)) => "the connection was refused",
        End::Closed(_) => "the connection was lost",
        End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => "nothing reads the output",
        End::Output(_) => "the output cannot be written",
        End::Failed(_) => "an error ended it",
    }
}
