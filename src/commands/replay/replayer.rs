//! The handler of `replay` on the network loop: one file after another, each on its own connection, and with `--repeat`
//! one pass after another.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::playing::{Gate, Playing, Step, UnderWay, is_goodbye};
use super::report::{junit_report, result_line, total};
use super::source::count;
use crate::bcp::{Message, ParseOptions, Side, payload_marker};
use crate::commands::dial::Target;
use crate::commands::recorder::Recorder;
use crate::commands::result_file::ResultFile;
use crate::commands::run::{ClientRun, End, TimeLimits, closing, report_bad_frame};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, FramingError, RawMessage};
use crate::limits::READ_BYTES;
use crate::net::{CloseReason, Closed, ConnId, DRAIN_TIME, FLUSH_TIME, Handler, Net, Notice, Stop};
use crate::output::progress::ERASE;
use crate::output::show::Show;
use crate::output::table::{Emphasis, Seen, Table};
use crate::output::{Console, Progress, stdout_is_terminal};

/// How long a terminal may take to be drawn on: so near to a message the status line is not drawn.
const DRAWING_TIME: Duration = Duration::from_millis(3);

/// What prints the messages.
pub(super) enum MessagePrinter {
    /// A check, whose report is all that is printed.
    Silent,
    Raw(Box<Show>),
    Table(Box<Table>),
}

/// What holds for the whole run.
pub(super) struct ReplayPlan {
    /// The side that is played. The server's is played to the first client.
    pub side: Side,
    /// Whether replies are compared.
    pub compares: bool,
    pub retry: Duration,
    /// `-W`.
    pub limits: TimeLimits,
    pub traffic: Traffic,
    pub recorder: Recorder,
    pub printer: MessagePrinter,
    pub junit: Option<ResultFile>,
    pub is_colored: bool,
}

/// The handler of `replay`.
pub(super) struct Replayer<'a> {
    plan: ReplayPlan,
    console: &'a mut Console,
    progress: Progress,
    /// The file that is played, or was played last.
    playing: Playing,
    /// The files that follow, and those that were played before.
    waiting: VecDeque<Playing>,
    played: Vec<Playing>,
    files: usize,
    has_several: bool,
    /// Everything was played.
    is_over: bool,
    /// Standard output failed after that.
    output_error: Option<io::Error>,
    began: Instant,
    message: Message,
    whole: Vec<u8>,
    printed: Vec<u8>,
}

impl<'a> Replayer<'a> {
    /// Begins with the first file; the others wait.
    pub(super) fn new(
        plan: ReplayPlan,
        playing: Playing,
        waiting: VecDeque<Playing>,
        console: &'a mut Console,
        net: &mut Net,
    ) -> Replayer<'a> {
        let mut replayer = Replayer {
            plan,
            progress: console.progress(),
            console,
            playing,
            files: waiting.len() + 1,
            has_several: !waiting.is_empty(),
            waiting,
            played: Vec::new(),
            is_over: false,
            output_error: None,
            began: Instant::now(),
            message: Message::new(),
            whole: Vec::new(),
            printed: Vec::new(),
        };
        replayer.begin(net);
        replayer
    }

    fn begin(&mut self, net: &mut Net) {
        self.console.note(&self.playing.title);
        self.connect(net);
    }

    /// Begins to connect, unless a client is waited for.
    fn connect(&mut self, net: &mut Net) {
        if self.plan.side == Side::Client {
            self.playing.pass.id = net.connect(self.playing.target.sockets(), self.plan.retry);
        }
    }

    /// Sends what is due and has room, and leaves at the end; when to look again.
    fn advance(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if !net.is_open(self.playing.pass.id) {
            return None;
        }
        self.playing.start.get_or_insert(now);
        loop {
            let playing = &mut self.playing;
            let needs_peer = self.plan.compares || !(playing.checking().is_none() || playing.pass.is_complete);
            if playing.pass.peer_left && !needs_peer {
                break;
            }
            match playing.next(now) {
                Step::Over => break,
                Step::WaitUntil(until) => {
                    playing.pass.waited = Some(until);
                    return playing.instant(until);
                }
                Step::Read => {
                    if let Err(failure) = playing.read(self.plan.side) {
                        self.stop(net, End::Failed(failure));
                        return None;
                    }
                }
                Step::Send(due) => {
                    let due = due.and_then(|due| playing.instant(due));
                    if !self.send_request(net, due, now) {
                        return None;
                    }
                }
            }
        }
        // What the peer sent in the recording after the last request belongs to it.
        let pass = &self.playing.pass;
        let is_left = pass.said_goodbye || pass.peer_left || self.plan.compares;
        let end = self.playing.instant(self.playing.clock.end()).filter(|&end| end > now);
        if pass.is_complete && !is_left && end.is_some() {
            return end;
        }
        self.leave(net);
        None
    }

    /// Sends the request, if there is room; whether there was.
    fn send_request(&mut self, net: &mut Net, due: Option<Instant>, now: Instant) -> bool {
        let pass = &mut self.playing.pass;
        let Some(record) = pass.request.take() else { return true };
        let payload = record.payload.as_deref().filter(|payload| !payload.is_empty());
        let bytes = record.line.len() + 1 + payload.map_or(0, <[u8]>::len);
        // What is sent is also printed or recorded: a slow reader or disk must not make memory grow.
        let is_shown = matches!(self.plan.printer, MessagePrinter::Table(_)) || self.plan.recorder.is_on();
        if !net.has_room(pass.id, bytes) || (is_shown && net.is_held()) {
            pass.request = Some(record);
            return false;
        }
        self.whole.clear();
        self.whole.extend_from_slice(&record.line);
        self.whole.push(b'\n');
        self.whole.extend_from_slice(payload.unwrap_or_default());
        net.send(pass.id, &self.whole);
        // One huge message must not keep its memory.
        self.whole.shrink_to(READ_BYTES);
        pass.said_goodbye |= is_goodbye(&record.line);
        pass.under_way.push_back(UnderWay { due, bytes: Some(bytes) });
        self.playing.stats.sent.0 += 1;
        self.playing.stats.sent.1 += bytes as u64;
        self.playing.sent(now);
        self.report_sent(net, &record.line, payload);
        true
    }

    fn send_goodbye(&mut self, net: &mut Net) {
        let pass = &mut self.playing.pass;
        if !std::mem::replace(&mut pass.said_goodbye, true) && net.send(pass.id, b"goodbye\n") {
            pass.under_way.push_back(UnderWay { due: None, bytes: None });
            self.report_sent(net, b"goodbye", None);
        }
    }

    /// Shows and records a message that was sent.
    fn report_sent(&mut self, net: &mut Net, line: &[u8], payload: Option<&[u8]>) {
        self.plan.traffic.sent(line, payload.map(<[u8]>::len));
        self.plan.recorder.message(net, self.playing.pass.id.0, self.plan.side, line, payload);
        let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
        self.print_row(net, self.plan.side, (line, text), payload);
    }

    /// Prints one row, if there is a table, of a line and its text without the payload marker.
    fn print_row(&mut self, net: &mut Net, from: Side, (line, text): (&[u8], &[u8]), payload: Option<&[u8]>) {
        let MessagePrinter::Table(table) = &mut self.plan.printer else { return };
        let time = Some(net.now().saturating_duration_since(self.began));
        let seen = Seen { time, connection: self.playing.stats.connections, from };
        let parsed = self.message.parse_line(text, &ParseOptions::default());
        let message = parsed.as_ref().map(|()| &self.message);
        let emphasis = if from == self.plan.side { Emphasis::Dimmed } else { Emphasis::Normal };
        table.message(seen, line, payload, message, emphasis, &mut self.printed);
        self.print(net);
    }

    /// Prints a row about the connection, if there is a table.
    fn print_event(&mut self, net: &mut Net, text: &str) {
        let MessagePrinter::Table(table) = &mut self.plan.printer else { return };
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
        self.printed.shrink_to(READ_BYTES);
    }

    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        let (playing, at) = (&mut self.playing, net.now());
        playing.stats.received.0 += 1;
        playing.stats.received.1 += raw.raw.len() as u64;
        playing.pass.peer_left |= is_goodbye(raw.line);
        let at = playing.at(at);
        if let Gate::Check(checking) = &mut playing.gate {
            checking.check.received(raw.line, raw.payload.unwrap_or_default(), at);
        }
        self.plan.traffic.came(raw);
        if let MessagePrinter::Raw(show) = &mut self.plan.printer {
            let is_parsed = self.message.parse_line(raw.text(), &ParseOptions::default()).is_ok();
            show.show(raw, is_parsed.then_some(&self.message), None, &mut self.printed);
            self.print(net);
        }
        self.print_row(net, self.plan.side.other(), (raw.line, raw.text()), raw.payload);
    }

    /// Ends the connection in order: everything sent goes out, `goodbye` in the same write where it fits.
    fn leave(&mut self, net: &mut Net) {
        self.playing.end = Some(End::Done);
        self.send_goodbye(net);
        net.finish(self.playing.pass.id, Duration::MAX, DRAIN_TIME);
    }

    /// Ends the run in bounded time: only a message that has begun goes out, and `goodbye`.
    fn stop(&mut self, net: &mut Net, end: End) {
        self.playing.end = Some(end);
        let id = self.playing.pass.id;
        if net.is_open(id) {
            self.playing.count_written(net.pending(id), net.now());
            let cut = net.cut(id);
            self.playing.take_back(cut);
            self.playing.pass.cut += cut;
            self.send_goodbye(net);
        }
        net.hurry();
    }

    fn draw(&mut self, now: Instant) {
        if self.plan.compares {
            let differences = self.playing.checking().map(|checking| checking.check.entries().len() as u64);
            self.playing.stats.differences = differences;
        }
        self.progress.draw(now, || self.playing.progress(now));
    }
}

/// The end of a file, and of the run.
impl Replayer<'_> {
    /// Reports the check of the file, which is over, and begins with the next one.
    fn conclude(&mut self, net: &mut Net) {
        let playing = &mut self.playing;
        let counted = playing.close_check(self.plan.side, net.now());
        let was_connected = playing.stats.connections > 0;
        if let Gate::Check(checking) = &mut playing.gate {
            if self.plan.compares && was_connected && counted.is_ok() {
                playing.stats.differences = Some(checking.check.entries().len() as u64);
                playing.checked = checking.conclude(&mut playing.recording, self.plan.junit.is_some(), self.console);
                let report = checking.print(&playing.recording.name, self.plan.is_colored, !self.has_several);
                self.printed.extend_from_slice(report.as_bytes());
            }
        }
        if let Err(failure) = counted {
            playing.checked = Err(failure);
        }
        if self.has_several {
            self.printed.extend_from_slice(result_line(&self.playing).as_bytes());
        }
        let is_last = matches!(self.playing.end, Some(End::Signal(_) | End::TimeUp { .. } | End::Output(_)));
        match self.waiting.pop_front().filter(|_| !is_last) {
            Some(next) => {
                self.played.push(std::mem::replace(&mut self.playing, next));
                self.begin(net);
            }
            None => {
                self.is_over = true;
                if self.has_several {
                    let text = total(self.played.iter().chain([&self.playing]), self.files);
                    self.printed.extend_from_slice(text.as_bytes());
                }
            }
        }
        self.print(net);
    }

    /// Prints the summaries and writes the JUnit report; the exit status of the run. `reported` is what else counts.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(super) fn finish(self, reported: Exit) -> Result<Exit, Failure> {
        let Replayer { plan, console, mut played, playing, has_several, .. } = self;
        played.push(playing);
        if let Some(file) = &plan.junit {
            let connected = played.iter().filter(|playing| playing.stats.connections > 0);
            let checks: Vec<_> =
                connected.filter_map(|playing| Some((&*playing.recording.name, playing.checking()?))).collect();
            if !checks.is_empty() {
                file.write(junit_report(&checks).as_bytes())?;
            }
        }
        let mut worst = reported;
        for playing in played {
            if playing.stats.connections > 0 {
                let peer =
                    if playing.peer.is_empty() { playing.target.address.to_string() } else { playing.peer.into() };
                console.note(playing.stats.summary(&playing.summary.name, &peer, playing.how()));
            }
            match settle(playing, &plan, console) {
                Ok(exit) => worst = worst.worse(exit),
                Err(failure) if has_several => console.report_failure(&failure),
                Err(failure) => return Err(failure),
            }
        }
        match self.output_error.as_ref().map(Failure::output) {
            None | Some(Failure::OutputClosed) => Ok(worst.worse(console.worst())),
            Some(failure) => Err(failure),
        }
    }
}

/// How the run would end with this file.
fn settle(playing: Playing, plan: &ReplayPlan, console: &mut Console) -> Result<Exit, Failure> {
    let is_over = !plan.compares || playing.checking().is_none_or(|checking| checking.check.is_over());
    let Playing { pass, end, closed, checked, target, unreached, .. } = playing;
    let (checked, end) = (checked?, end.unwrap_or(End::Done));
    // That the peer is gone is one of the differences, and reported.
    let has_left = matches!(end, End::Done | End::Closed(CloseReason::ByPeer | CloseReason::Lost(_)));
    let is_reported = checked == Exit::Failed && has_left;
    let missing = match (pass.is_complete, is_over) {
        _ if is_reported => Some(""),
        (false, _) => Some("the last message to be sent"),
        (true, false) => Some("all replies to be compared"),
        (true, true) => None,
    };
    let reason = |error| format!("; cannot connect to {}: {}", target.address, plain_words(&error));
    let run = ClientRun {
        hint: unreached.map_or(String::new(), reason),
        target: &target,
        end,
        closed: closed.unwrap_or_default(),
        retry: plan.retry,
        is_complete: pass.is_complete || is_reported,
        complete_when: "the last message was sent",
        missing: missing.map(str::to_owned),
        left_out: None,
    };
    run.settle(console).map(|exit| exit.worse(checked))
}

impl Handler for Replayer<'_> {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let playing = &mut self.playing;
        if let (Side::Server, Some(peer)) = (self.plan.side, net.peer(id)) {
            // Only the first client is served.
            net.leave();
            playing.target = Target::known(peer);
        }
        (playing.pass.id, playing.unreached) = (id, None);
        playing.stats.connected();
        if let Gate::Check(checking) = &mut playing.gate {
            checking.begin();
        }
        let preposition = if self.plan.side == Side::Server { "from" } else { "to" };
        let text = format!("connected {preposition} {}", playing.target.address);
        self.print_event(net, &text);
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
        // A peer that has sent its goodbye may close while ours is on its way, which then meets a reset.
        let is_parted = playing.pass.peer_left && playing.pass.said_goodbye && closed.unsent <= 1;
        let end = match (playing.end.take(), reason) {
            (end, CloseReason::ByUs | CloseReason::Reset) => end.unwrap_or(End::Done),
            (None | Some(End::Done), CloseReason::Lost(_)) if is_parted => End::Closed(CloseReason::ByPeer),
            (None | Some(End::Done | End::Closed(CloseReason::ByPeer)), reason) => End::Closed(reason),
            (Some(end), CloseReason::Unreached(error)) => {
                playing.unreached = Some(error);
                end
            }
            (Some(end), _) => end,
        };
        playing.take_back(closed.unsent - playing.pass.cut);
        if is_parted {
            closed.unsent = 0;
        }
        playing.count_written(0, net.now());
        // A peer that was not connected had nothing to send.
        let was_connected = playing.start.is_some();
        closed.is_silent &= was_connected;
        let (us, them) = (self.plan.side, self.plan.side.other());
        let how = closing(&end, closed.unsent, us);
        let repeats = matches!(end, End::Done) && playing.pass.is_complete && closed.unsent == 0;
        let repeats = repeats && playing.stats.connections < playing.passes;
        let (sent, received) = (playing.stats.sent.0, playing.stats.received.0);
        playing.end = Some(end);
        self.plan.recorder.closed(net, id.0, &how, them, &closed.unfinished);
        playing.closed = Some(closed);
        if was_connected {
            self.print_event(net, &format!("{how}: {} sent, {received} received", count(sent, "message")));
        }
        match repeats.then(|| self.playing.repeat()) {
            Some(Ok(())) => return self.connect(net),
            Some(Err(failure)) => self.playing.end = Some(End::Failed(failure)),
            None => {}
        }
        self.conclude(net);
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        self.playing.count_written(net.pending(self.playing.pass.id), now);
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
        let is_leaving = matches!(self.playing.end, Some(End::Done)) && !self.is_over;
        let timeout = self.plan.limits.timeout_at().filter(|_| is_leaving)?;
        if now < timeout {
            return Some(timeout);
        }
        self.playing.end = self.plan.limits.passed(now);
        net.hurry();
        None
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match (stop, &self.playing.end) {
            (Stop::Signal(signal), _) => self.stop(net, End::Signal(signal)),
            (Stop::OutputGone(error), None | Some(End::Done)) if !self.is_over => self.stop(net, End::Output(error)),
            (Stop::OutputGone(error), _) => {
                self.output_error = Some(error);
                net.hurry();
            }
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
