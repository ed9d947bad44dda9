//! The handler of `replay` on the network loop: one file after another, each on its own connection, and with `--repeat`
//! one pass after another.

use std::time::{Duration, Instant, SystemTime};

use super::checking::Checking;
use super::playing::{Playing, UnderWay, is_goodbye};
use crate::bcp::template::Origin;
use crate::bcp::{Message, ParseOptions, Side, payload_marker};
use crate::check::{JunitSuite, NextStep, junit};
use crate::commands::addresses::Target;
use crate::commands::recorder::{Recorder, Traffic};
use crate::commands::result_file::ResultFile;
use crate::commands::run::{End, TimeLimits, closing, receive_bad_frame, report_notice};
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, RawMessage};
use crate::net::{CloseReason, Closed, ConnId, DRAIN_TIME, FLUSH_TIME, Handler, Net, Notice, Stop};
use crate::output::progress::ERASE;
use crate::output::show::Show;
use crate::output::{Console, Progress, stdout_is_terminal};
use crate::text::count;

/// How long a terminal may take to be drawn on: so near to a message the status line is not drawn.
const DRAWING_TIME: Duration = Duration::from_millis(3);

/// The handler of `replay`.
pub(super) struct Replayer<'a> {
    pub files: Vec<Playing>,
    /// The file that is played, or was played last.
    pub current: usize,
    /// Everything was played.
    pub is_over: bool,
    /// The side that is played. The server's is played to the first client.
    pub side: Side,
    /// Whether the report of a check is colored.
    pub is_colored: bool,
    /// `-W`.
    pub limits: TimeLimits,
    pub traffic: Traffic,
    pub recorder: Recorder,
    pub show: Show,
    pub console: &'a mut Console,
    pub progress: Progress,
}

impl Replayer<'_> {
    fn playing(&mut self) -> &mut Playing {
        &mut self.files[self.current]
    }

    /// Begins with a file.
    pub(super) fn begin(&mut self, net: &mut Net) {
        self.console.note(&self.files[self.current].title);
        self.connect(net);
    }

    /// Begins to connect, unless a client is waited for.
    fn connect(&mut self, net: &mut Net) {
        if self.side == Side::Client {
            let playing = &mut self.files[self.current];
            playing.pass.id = playing.target.connect(net);
        }
    }

    /// Sends what is due and has room, and leaves at the end; when to look again.
    fn advance(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if !net.is_open(self.playing().pass.id) {
            return None;
        }
        loop {
            let playing = self.playing();
            let needs_peer = playing.compared().is_some() || (playing.checking.is_some() && !playing.pass.is_complete);
            if playing.pass.peer_left && !needs_peer {
                break;
            }
            match playing.next(now) {
                NextStep::Over => break,
                NextStep::WaitUntil(until) => return playing.instant(until),
                NextStep::Read => {
                    if let Err(failure) = playing.read() {
                        self.stop(net, End::Failed(failure));
                        return None;
                    }
                }
                NextStep::Send => {
                    if !self.send_request(net, now) {
                        return None;
                    }
                }
            }
        }
        // What the peer sent in the recording after the last request belongs to it.
        let playing = self.playing();
        let (pass, end) = (&playing.pass, playing.clock.end());
        let is_left = pass.said_goodbye || pass.peer_left || playing.compared().is_some();
        if pass.is_complete && !is_left && end > playing.at(now) {
            return playing.instant(end);
        }
        self.leave(net);
        None
    }

    /// Sends the request, if there is room; whether there was.
    fn send_request(&mut self, net: &mut Net, now: Instant) -> bool {
        // What is sent is also printed or recorded: a slow reader or disk must not make memory grow.
        let is_shown = self.show.table().is_some() || self.recorder.is_on();
        let playing = self.playing();
        let Some(record) = &playing.pass.request else { return true };
        let payload = record.payload.as_deref().unwrap_or_default();
        let bytes = record.line.len() + 1 + payload.len();
        if !net.has_room(playing.pass.id, bytes) || (is_shown && net.is_held()) {
            return false;
        }
        net.send(playing.pass.id, &[&record.line[..], b"\n", payload].concat());
        playing.pass.said_goodbye |= is_goodbye(&record.line);
        playing.sent(bytes, now);
        if let Some(record) = playing.pass.request.take() {
            self.report_sent(net, &record.line, record.payload.as_deref().filter(|payload| !payload.is_empty()));
        }
        true
    }

    fn send_goodbye(&mut self, net: &mut Net) {
        let pass = &mut self.playing().pass;
        if !std::mem::replace(&mut pass.said_goodbye, true) && net.send(pass.id, b"goodbye\n") {
            pass.under_way.push_back(UnderWay { due: None, bytes: None });
            self.report_sent(net, b"goodbye", None);
        }
    }

    /// Shows and records a message that was sent.
    fn report_sent(&mut self, net: &mut Net, line: &[u8], payload: Option<&[u8]>) {
        self.traffic.sent(line, payload);
        let id = self.playing().pass.id.0;
        self.recorder.message(net, id, self.side, line, payload);
        let raw = RawMessage { number: 0, raw: line, line, marker: payload_marker(line), payload };
        self.print_message(net, self.side, &raw);
    }

    /// Prints a row of the table, or what the peer sent verbatim.
    fn print_message(&mut self, net: &mut Net, from: Side, raw: &RawMessage<'_>) {
        let is_ours = from == self.side;
        // With a check, the report is all that is printed.
        if self.playing().compared().is_some() || (is_ours && self.show.table().is_none()) {
            return;
        }
        let (mut message, mut printed) = (Message::new(), Vec::new());
        let parsed = message.parse_line(raw.text(), &ParseOptions::default());
        let parsed = parsed.as_ref().map(|()| &message);
        let origin = self.origin(net, from);
        self.show.show(raw, parsed, &origin, &mut printed);
        self.print(net, &printed);
    }

    fn origin(&self, net: &Net, from: Side) -> Origin<'static> {
        let playing = &self.files[self.current];
        Origin { time: Some(playing.at(net.now)), connection: Some(playing.connections), peer: None, from }
    }

    /// Prints a row about the connection, if there is a table.
    fn print_event(&mut self, net: &mut Net, text: &str) {
        let (origin, mut row) = (self.origin(net, self.side), Vec::new());
        self.show.event(&origin, text, &mut row);
        self.print(net, &row);
    }

    /// Prints in the place of the status line.
    fn print(&mut self, net: &mut Net, text: &[u8]) {
        if self.progress.is_shown() && stdout_is_terminal() && !text.is_empty() {
            net.print(ERASE.as_bytes());
        }
        net.print(text);
    }

    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        let now = net.now;
        let playing = self.playing();
        playing.pass.received += 1;
        playing.received.0 += 1;
        playing.received.1 += raw.raw.len() as u64;
        playing.pass.peer_left |= is_goodbye(raw.line);
        let at = playing.at(now);
        if let Some(checking) = &mut playing.checking {
            checking.check.received(raw.line, raw.payload.unwrap_or_default(), at);
        }
        self.traffic.received(raw);
        self.print_message(net, self.side.other(), raw);
    }

    /// Ends the connection in order: everything sent goes out, `goodbye` in the same write where it fits.
    fn leave(&mut self, net: &mut Net) {
        self.playing().end = Some(End::Done);
        self.send_goodbye(net);
        net.finish(self.playing().pass.id, Duration::MAX, DRAIN_TIME);
    }

    /// Ends the run in bounded time: only a message that has begun goes out, and `goodbye`.
    fn stop(&mut self, net: &mut Net, end: End) {
        let playing = self.playing();
        playing.end = Some(end);
        let id = playing.pass.id;
        if net.is_open(id) {
            playing.count_written(net.pending(id), net.now);
            let (cut, under_way) = (net.cut(id), &mut playing.pass.under_way);
            under_way.truncate(under_way.len().saturating_sub(cut));
            playing.pass.cut += cut;
            self.send_goodbye(net);
        }
        net.hurry();
    }
}

/// The end of a file, and of the run.
impl Replayer<'_> {
    /// Reports the check of the file, which is over, and begins with the next one.
    fn conclude(&mut self, net: &mut Net) {
        let has_several = self.files.len() > 1;
        let playing = &mut self.files[self.current];
        let counted = playing.close_check(net.now);
        let mut report = String::new();
        match playing.checking.as_mut().filter(|checking| checking.is_compared && playing.connections > 0) {
            _ if counted.is_err() => playing.checked = counted.map(|()| Exit::Success),
            Some(checking) => {
                playing.checked = checking.conclude(&playing.recording, self.console);
                report = checking.report(&playing.recording.file.name, self.is_colored);
            }
            None => {}
        }
        if has_several {
            let name = &playing.recording.file.name;
            report += &playing.result().replacen(": ", &format!(" {name} "), 1).replacen("PASS ", "ok   ", 1);
        } else if playing.checking.as_ref().is_some_and(Checking::has_result) {
            report += &playing.result();
        }
        let is_last = matches!(playing.end, Some(End::Signal(_) | End::TimeUp { .. } | End::Output(_)));
        if !is_last && self.current + 1 < self.files.len() {
            self.current += 1;
            self.begin(net);
        } else {
            self.is_over = true;
            if has_several {
                report += &self.total();
            }
        }
        self.print(net, report.as_bytes());
    }

    /// The last line for several files, of which not all may have been played.
    fn total(&self) -> String {
        let files = self.files.len();
        let number = |word| self.files.iter().filter(|playing| playing.result().starts_with(word)).count();
        let compared = self.files.iter().filter_map(|playing| Some(playing.checking.as_ref()?.check.compared));
        match (number("FAIL"), number("UPDATED")) {
            (0, 0) => format!("PASS: {} replies in {files} files as recorded\n", compared.sum::<u64>()),
            (0, updated) => format!("UPDATED: {updated} of {files} files\n"),
            (failed, _) => format!("FAIL: {failed} of {files} files differ\n"),
        }
    }

    /// Prints the summaries and writes the JUnit report; the exit status of the run. `reported` is what else counts.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(super) fn finish(mut self, report: Option<&ResultFile>, reported: Exit) -> Result<Exit, Failure> {
        let has_several = self.files.len() > 1;
        self.files.truncate(self.current + 1);
        let suites: Vec<JunitSuite<'_>> = self.files.iter().filter_map(Playing::suite).collect();
        if let Some(file) = report.filter(|_| !suites.is_empty()) {
            file.write(junit(&suites).as_bytes())?;
        }
        drop(suites);
        let mut worst = reported;
        for playing in self.files {
            if playing.connections > 0 {
                self.console.note(playing.summary());
            }
            match playing.settle(self.console) {
                Ok(exit) => worst = worst.max(exit),
                Err(failure) if has_several => self.console.report_failure(&failure),
                Err(failure) => return Err(failure),
            }
        }
        Ok(worst.max(self.console.worst()))
    }
}

impl Handler for Replayer<'_> {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let playing = &mut self.files[self.current];
        if let (Side::Server, Some(peer)) = (self.side, net.peer(id)) {
            // Only the first client is served.
            net.leave();
            playing.target = Target::known(peer);
        }
        (playing.pass.id, playing.pass.opened, playing.target.unreached) = (id, Some(net.now), None);
        playing.start.get_or_insert(net.now);
        playing.connections += 1;
        if let Some(checking) = &mut playing.checking {
            checking.began = SystemTime::now();
        }
        let preposition = if self.side == Side::Server { "from" } else { "to" };
        let text = format!("connected {preposition} {}", playing.target.address);
        self.print_event(net, &text);
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        self.recorder.frame(net, id.0, self.side.other(), frame);
        match frame {
            Frame::Message(message) => self.receive(net, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                let playing = &mut self.files[self.current];
                receive_bad_frame(self.console, &playing.target, &mut playing.end, (*number, *fault));
            }
        }
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        // What it was is known when the connection is closed.
        self.playing().end.get_or_insert(End::Closed(CloseReason::ByPeer));
        self.send_goodbye(net);
        net.finish(id, FLUSH_TIME, DRAIN_TIME);
    }

    fn on_sent(&mut self, net: &mut Net, _id: ConnId) {
        self.playing().count_written(0, net.now);
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, mut closed: Closed) {
        let (us, them, now) = (self.side, self.side.other(), net.now);
        let playing = &mut self.files[self.current];
        let pass = &playing.pass;
        // A peer that has sent its goodbye may close while ours is on its way, which then meets a reset.
        let is_parted = pass.peer_left && pass.said_goodbye && closed.unsent <= 1;
        let mut reason = std::mem::replace(&mut closed.reason, CloseReason::ByUs);
        if is_parted && matches!(reason, CloseReason::Lost(_)) {
            reason = CloseReason::ByPeer;
        }
        let end = End::of_connection(playing.end.take(), reason);
        playing.count_written(closed.unsent - pass.cut, now);
        if is_parted {
            closed.unsent = 0;
        }
        playing.took = playing.at(now);
        let pass = &playing.pass;
        // A peer that was not connected had nothing to send.
        closed.is_silent &= pass.opened.is_some();
        let how = closing(&end, closed.unsent, us);
        let is_repeated = matches!(end, End::Done) && pass.is_complete && closed.unsent == 0;
        let is_repeated = is_repeated && playing.connections < playing.passes;
        let row = pass.opened.map(|opened| {
            let seconds = now.saturating_duration_since(opened).as_secs_f64();
            let (sent, received) = (count(pass.sent, "message"), pass.received);
            format!("{how} after {seconds:.1} s: {sent} sent, {received} received")
        });
        playing.end = Some(end);
        self.recorder.closed(net, id.0, &how, them, &closed.unfinished);
        playing.closed = closed;
        if let Some(row) = row {
            self.print_event(net, &row);
        }
        match is_repeated.then(|| self.playing().repeat()) {
            Some(Ok(())) => return self.connect(net),
            Some(Err(failure)) => self.playing().end = Some(End::Failed(failure)),
            None => {}
        }
        self.conclude(net);
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        let playing = &mut self.files[self.current];
        playing.count_written(net.pending(playing.pass.id), now);
        self.progress.draw(now, || playing.progress(now));
        if playing.end.is_none() {
            if let Some(end) = self.limits.passed(now) {
                self.stop(net, end);
                return None;
            }
            let due = self.advance(net, now);
            let drawing = self.progress.next().filter(|&next| due.is_none_or(|due| next + DRAWING_TIME < due));
            return due.into_iter().chain(drawing).chain(self.limits.deadline()).min();
        }
        // `-W` bounds leaving too, which else waits for a peer that does not read.
        let is_leaving = matches!(playing.end, Some(End::Done)) && !self.is_over;
        let timeout = self.limits.timeout_at().filter(|_| is_leaving)?;
        if now < timeout {
            return Some(timeout);
        }
        playing.end = self.limits.passed(now);
        net.hurry();
        None
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match (stop, &self.files[self.current].end) {
            (Stop::Signal(signal), _) => self.stop(net, End::Signal(signal)),
            (Stop::OutputGone(error), None | Some(End::Done)) if !self.is_over => self.stop(net, End::Output(error)),
            (Stop::OutputGone(error), _) => {
                self.console.report_failure(&Failure::output(&error));
                net.hurry();
            }
        }
    }

    fn on_notice(&mut self, _net: &mut Net, notice: Notice<'_>) {
        report_notice(self.console, &mut self.files[self.current].target, &self.recorder, &notice);
    }
}
