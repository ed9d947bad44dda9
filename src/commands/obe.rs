//! `send --wire obe`: messages to an OBE_Socket server, each over a connection of its own, and the replies.
//!
//! A connection is made only for a message that is at hand: the reference server ends when a client connects and closes
//! without one.

use std::io;
use std::time::{Duration, Instant};

use crate::bcp::Message;
use crate::bcp::template::{Origin, Side};
use crate::commands::run::{ClientRun, End, TimeLimits, failed_reply, report_notice, report_unprinted};
use crate::commands::send::SendPlan;
use crate::commands::stream::Item;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, RawMessage, body, push_frame};
use crate::net::{CloseReason, Closed, ConnId, FLUSH_TIME, Handler, Net, Notice, Stop};
use crate::output::Console;

/// What may be wrong with a server that read a message and does not reply.
const SILENCE: &str = "; the reference server never replies to a command that it does not know";

/// A message on its way.
struct Request {
    id: ConnId,
    limits: TimeLimits,
    /// Whether nothing more is waited for.
    is_settled: bool,
}

/// The handler of `send --wire obe`.
pub(crate) struct ObeSender<'a> {
    plan: SendPlan,
    console: &'a mut Console,
    request: Option<Request>,
    /// What ends the run when the connection is closed.
    end: Option<End>,
    result: Option<Result<Exit, Failure>>,
    message: Message,
}

impl<'a> ObeSender<'a> {
    pub(crate) fn new(plan: SendPlan, console: &'a mut Console) -> ObeSender<'a> {
        ObeSender { plan, console, request: None, end: None, result: None, message: Message::new() }
    }

    /// The exit status of the run.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(crate) fn finish(self, unprinted: u64) -> Result<Exit, Failure> {
        report_unprinted(self.console, unprinted);
        let (goals, address) = (&self.plan.goals, &self.plan.target.address);
        if self.result.is_none() && goals.are_set() && !goals.are_met() {
            let why = format!("the last reply has arrived; still waiting for {}", goals.missing());
            self.console.report(Exit::Failed, address, why);
        }
        self.result.unwrap_or(Ok(self.console.worst()))
    }

    /// Begins to connect for the next message, if there is one. What is not JSON is reported.
    fn begin(&mut self, net: &mut Net, now: Instant) {
        loop {
            match self.plan.messages.next_item() {
                Item::Pending | Item::End => return,
                Item::Malformed { number, reason: why } => {
                    self.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why);
                }
                Item::Message(_, message) => {
                    let id = self.plan.target.connect(net);
                    let mut frame = Vec::new();
                    push_frame(message.line(), &mut frame);
                    // It is written when there is a connection.
                    net.send(id, &frame);
                    self.plan.traffic.sent(message.line(), None);
                    self.request = Some(Request { id, limits: self.plan.limits, is_settled: false });
                    return self.plan.pace.sent(now);
                }
            }
        }
    }

    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        let plan = &mut self.plan;
        plan.traffic.received(raw);
        if let Err(why) = self.message.parse_value(body(raw.raw), true) {
            return self.report(raw.number, why);
        }
        self.message.take_command();
        let verdict = plan.goals.receive(&self.message, None, true);
        let (is_wanted, mut output) = (verdict.expected || !plan.goals.select() || plan.prints_all, Vec::new());
        if is_wanted && plan.show.show(raw, Ok(&self.message), &Origin::of(Side::Server), &mut output) {
            net.print(&output);
            plan.goals.printed += 1;
        }
        if verdict.failed {
            let failure = failed_reply(&plan.target, raw.line);
            match plan.goals.are_set() {
                true => self.end = Some(End::Failed(failure)),
                false => self.console.report_failure(&failure),
            }
        }
    }

    fn report(&mut self, offset: u64, why: impl std::fmt::Display) {
        self.console.report(Exit::Peer, format_args!("{}: offset {offset}", self.plan.target.address), why);
    }

    /// Ends the run with the connection, or at once if there is none.
    fn stop(&mut self, net: &mut Net, end: End) {
        net.hurry();
        match &self.request {
            Some(request) => net.finish(request.id, FLUSH_TIME, Duration::ZERO),
            None => return self.result = Some(self.settle(end, Closed::default())),
        }
        self.end = Some(end);
    }

    /// What the end of a connection means for the run.
    fn settle(&mut self, end: End, closed: Closed) -> Result<Exit, Failure> {
        let is_settled = self.request.take().is_none_or(|request| request.is_settled);
        let hint = if matches!(end, End::TimeUp { .. }) { SILENCE } else { "" };
        let run = ClientRun {
            target: &self.plan.target,
            end,
            // Half a reply was reported as a frame, and silence has its own hint.
            closed: Closed { is_silent: false, unfinished: Vec::new(), ..closed },
            is_complete: true,
            missing: Some(if is_settled { "" } else { "a reply" }.to_owned()),
            hint,
        };
        run.settle(self.console)
    }
}

impl Handler for ObeSender<'_> {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let Some(request) = &mut self.request else { return };
        self.plan.target.unreached = None;
        request.limits.begin(net.now);
        if !self.plan.waits {
            request.is_settled = true;
            net.finish(id, Duration::MAX, Duration::ZERO);
        }
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let Some(request) = self.request.as_mut().filter(|_| self.plan.waits) else { return };
        let has_reply = std::mem::replace(&mut request.is_settled, true);
        match frame {
            Frame::Message(message) if has_reply => self.report(message.number, "more than one reply"),
            Frame::Message(message) => self.receive(net, message),
            Frame::Bad { number, fault } => self.report(*number, fault),
            Frame::Ignored { .. } => {}
        }
        net.finish(id, FLUSH_TIME, Duration::ZERO);
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        net.finish(id, FLUSH_TIME, Duration::ZERO);
    }

    fn on_close(&mut self, net: &mut Net, _id: ConnId, mut closed: Closed) {
        let reason = std::mem::replace(&mut closed.reason, CloseReason::ByUs);
        let is_last = self.end.is_some();
        let end = End::of_connection(self.end.take(), reason);
        let result = self.settle(end, closed);
        if is_last || result.is_err() {
            self.result = Some(result);
            net.stays = false;
        }
    }

    fn wants_input(&mut self, _net: &Net) -> bool {
        self.plan.messages.wants_input() && self.request.is_none() && self.result.is_none()
    }

    fn on_input(&mut self, net: &mut Net, bytes: io::Result<Vec<u8>>) {
        self.plan.pace.idle(net.now);
        if let Err(failure) = self.plan.messages.take_block(bytes) {
            self.console.report_failure(&failure);
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if self.result.is_some() || self.end.is_some() {
            return None;
        }
        if let Some(request) = &self.request {
            if let Some(end) = request.limits.passed(now).filter(|_| !request.is_settled) {
                self.stop(net, end);
                return None;
            }
            return request.limits.deadline();
        }
        let due = self.plan.pace.wait(now);
        if due.is_none() {
            self.begin(net, now);
        }
        // Without a connection the loop goes on only for a message that is due or input that may arrive.
        net.stays = (due.is_some() && !self.plan.messages.is_over()) || self.plan.messages.wants_input();
        due
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match stop {
            Stop::Signal(signal) => self.stop(net, End::Signal(signal)),
            Stop::OutputGone(error) => self.stop(net, End::Output(error)),
        }
    }

    fn on_notice(&mut self, _net: &mut Net, notice: Notice<'_>) {
        report_notice(self.console, &mut self.plan.target, &self.plan.recorder, &notice);
    }
}
