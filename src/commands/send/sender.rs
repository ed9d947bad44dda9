//! The run of `send` over the loop: one connection, or with `--reconnect` one after another.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::{SendPlan, guard};

use crate::bcp::conversation::{Conversation, ConversationConfig, ReceiveOutcome, Role, write_message};
use crate::bcp::template::Origin;
use crate::bcp::{Malformed, Message, ParseOptions, Side, ValueKind, line_command};
use crate::commands::arguments::unknown_word;
use crate::commands::run::{
    ClientRun, End, TimeLimits, closing, failed_reply, receive_bad_frame, report_notice, report_unfinished,
    report_unprinted, subscription_hint,
};
use crate::commands::stream::{Item, Outgoing};
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, RawMessage};
use crate::net::{CloseReason, Closed, ConnId, DRAIN_TIME, FLUSH_TIME, Handler, Net, Notice, Stop};
use crate::output::Console;
use crate::text::{count, shown};

/// What must happen on a connection before the first message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// The connection, or after a loss the next one, is not made yet.
    Connect,
    /// The replies to `hello` and `reset` (`--hello`).
    Handshake,
    /// A `mode_list` that lists a mode (`--ready`).
    Ready,
    /// Nothing more.
    Done,
}

/// The handler of `send`.
pub(crate) struct Sender<'a> {
    plan: SendPlan,
    console: &'a mut Console,
    id: ConnId,
    opening: Opening,
    conversation: Conversation,
    /// Whether MPF is ready, with `--ready`. Until then, that is the limit.
    is_ready: bool,
    limits: TimeLimits,
    /// Whether a `mode_list` is the reply to our own subscription.
    hides_modes: bool,
    /// Whether all that is to be sent was given to the connection.
    is_complete: bool,
    /// How many messages of the user were given to a connection.
    sent: u64,
    /// The number of the last one, and of the one before it, which was written whole with `--reconnect`.
    last: u64,
    written: u64,
    /// What ended the run, as soon as it leaves the connection.
    end: Option<End>,
    closed: Option<Closed>,
    message: Message,
}

impl<'a> Sender<'a> {
    /// Begins to connect.
    pub(crate) fn new(plan: SendPlan, net: &mut Net, console: &'a mut Console) -> Sender<'a> {
        let ready = plan.ready.map(|limit| TimeLimits::of("--ready", limit, Instant::now()));
        // It ends by its own limit, also while the connection is retried.
        let retry = if ready.is_some() { Duration::MAX } else { plan.target.retry };
        Sender {
            id: net.connect(&plan.target.sockets, retry),
            opening: Opening::Connect,
            conversation: Conversation::new(Role::Client, ConversationConfig::default()),
            hides_modes: ready.is_some(),
            is_ready: ready.is_none(),
            limits: ready.unwrap_or(plan.limits),
            is_complete: plan.messages.is_over(),
            sent: 0,
            last: 0,
            written: 0,
            end: None,
            closed: None,
            message: Message::new(),
            plan,
            console,
        }
    }

    /// The exit status of the run, after what it reports.
    ///
    /// # Errors
    /// What ended the run, when it is an error.
    pub(crate) fn finish(self, unprinted: u64) -> Result<Exit, Failure> {
        report_unprinted(self.console, unprinted);
        let Sender { mut plan, console, is_ready, .. } = self;
        let missing = match is_ready {
            false => Some("MPF to be ready".to_owned()),
            true => plan.goals.are_set().then(|| plan.goals.missing()),
        };
        let hint = match &missing {
            _ if !is_ready => "",
            _ if plan.goals.lacks_trigger() => {
                "; MPF reports no trigger that came over BCP (it marks it _from_bcp): wait for monitored_event, or for \
                 what the event causes"
            }
            Some(missing) if !missing.starts_with("the ") => subscription_hint(&plan.target),
            _ => "",
        };
        let end = self.end.unwrap_or(End::Done);
        let is_cut_short = matches!(end, End::TimeUp { .. }) && is_ready && !self.is_complete;
        if is_cut_short && !matches!(plan.messages.next_item(), Item::Pending | Item::End) {
            // To stop then was the wish, but nothing is lost without a report. (What `--ready` ends is an error.)
            console.report(Exit::Success, &plan.target.address, "timed out before the last message was sent");
        }
        let run = ClientRun {
            target: &plan.target,
            end,
            closed: self.closed.unwrap_or_default(),
            is_complete: self.is_complete && is_ready,
            missing,
            hint,
        };
        let exit = run.settle(console)?;
        // A person sees that something happened.
        if exit == Exit::Success && plan.goals.printed == 0 && io::stderr().is_terminal() {
            console.note(format_args!("sent {} to {}", count(self.sent, "message"), plan.target.address));
        }
        Ok(exit)
    }

    /// Whether the run goes on over another connection when it loses this one.
    fn goes_on_without(&self) -> bool {
        self.plan.reconnects && self.end.is_none() && !(self.is_complete && self.has_all())
    }

    /// Whether nothing more is waited for.
    fn has_all(&self) -> bool {
        if self.plan.goals.are_set() { self.plan.goals.are_met() } else { !self.plan.stays }
    }

    /// Ends the run in order: everything sent goes out, `goodbye` in the same write where it fits.
    fn leave(&mut self, net: &mut Net) {
        self.end = Some(End::Done);
        self.send_goodbye(net);
        net.finish(self.id, Duration::MAX, DRAIN_TIME);
    }

    /// Ends the run in bounded time: only a message that has begun goes out, and `goodbye`.
    fn stop(&mut self, net: &mut Net, end: End) {
        self.end = Some(end);
        if net.is_open(self.id) {
            net.cut(self.id);
            self.send_goodbye(net);
        }
        net.hurry();
    }

    fn send_goodbye(&mut self, net: &mut Net) {
        if self.plan.says_goodbye {
            let mut lines = Vec::new();
            self.conversation.leave(&mut lines);
            self.send_lines(net, &lines);
        }
    }

    /// Sends as much as is due and has room, and leaves when the run is done; when to look again.
    fn advance(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if self.opening != Opening::Done || !net.is_open(self.id) {
            return None;
        }
        if self.conversation.peer_has_left() {
            // With --reconnect it waits for the close that follows.
            if !self.goes_on_without() {
                self.leave(net);
            }
            return None;
        }
        let due = if self.is_complete { None } else { self.send_messages(net, now) };
        if self.is_complete {
            self.limits.begin(now);
            if self.has_all() {
                self.leave(net);
            } else if net.pending(self.id) == 0 {
                self.limits.begin_idle(now);
            }
        }
        due
    }
}

/// Sending.
impl Sender<'_> {
    fn send_messages(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        let mut messages = std::mem::take(&mut self.plan.messages);
        let is_input = messages.is_input;
        loop {
            // Repetition is how to ask until the goals are met: the rest is dropped.
            let is_answered = !is_input && self.sent > 0 && self.plan.goals.are_met();
            self.is_complete |= messages.is_over() || is_answered;
            if self.is_complete || self.plan.pace.wait(now).is_some() || !self.has_room(net) {
                break;
            }
            let (number, why) = match messages.next_item() {
                Item::Message(number, message) => match self.send(net, now, (number, is_input || number == 1), message)
                {
                    Ok(()) => continue,
                    Err(why) => (number, format!("not sent: {why}")),
                },
                Item::Malformed { number, reason } => (number, reason),
                Item::Pending => {
                    self.plan.pace.idle(now);
                    break;
                }
                Item::End => {
                    self.is_complete = true;
                    break;
                }
            };
            self.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why);
        }
        self.plan.messages = messages;
        self.plan.pace.wait(now).filter(|_| !self.is_complete)
    }

    /// Whether one more message may be given to the connection. With `--reconnect` it is one at a time, so that it is
    /// known which ones were written.
    fn has_room(&self, net: &Net) -> bool {
        net.has_room(self.id, 1) && (!self.plan.reconnects || net.pending(self.id) == 0)
    }

    /// Sends a message of the user, if it may be sent; its number is its line or repetition, of which the first is new.
    fn send(
        &mut self,
        net: &mut Net,
        now: Instant,
        (number, is_new): (u64, bool),
        message: &Outgoing,
    ) -> Result<(), String> {
        if self.plan.is_guarded {
            guard(message)?;
        }
        let (line, payload) = (message.line(), message.payload());
        let command = line_command(line);
        if let Err(why) = self.conversation.send(&command) {
            // After a goodbye nothing is sent.
            self.is_complete = true;
            return Err(why.to_string());
        }
        if let Some(warning) = unknown_word(line).filter(|_| is_new) {
            self.console.note(warning);
        }
        self.hides_modes &= command != "monitor_start";
        self.plan.traffic.sent(line, payload);
        self.plan.recorder.message(net, self.id.0, Side::Client, line, payload);
        self.limits.begin(now);
        (self.sent, self.written, self.last) = (self.sent + 1, self.last, number);
        net.send(self.id, &message.whole);
        self.plan.pace.sent(now);
        Ok(())
    }

    /// Sends lines of our own.
    fn send_lines(&mut self, net: &mut Net, lines: &[u8]) {
        for line in lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            self.plan.traffic.sent(line, None);
            self.plan.recorder.message(net, self.id.0, Side::Client, line, None);
        }
        if !lines.is_empty() {
            net.send(self.id, lines);
        }
    }

    /// After the handshake, if there is one: subscribes for `--ready`, or goes on to the messages.
    fn open(&mut self, net: &mut Net) {
        self.opening = Opening::Done;
        if !self.is_ready {
            self.opening = Opening::Ready;
            self.change_subscription(net, "monitor_start");
        }
    }

    fn change_subscription(&mut self, net: &mut Net, command: &str) {
        let mut lines = Vec::new();
        write_message(command, &[("category", "modes")], &mut lines);
        self.send_lines(net, &lines);
    }
}

/// Receiving.
impl Sender<'_> {
    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        self.plan.traffic.received(raw);
        let mut message = std::mem::take(&mut self.message);
        match message.parse_line(raw.text(), &ParseOptions::default()) {
            Ok(()) => self.receive_message(net, raw, &message),
            Err(why) => {
                let address = &self.plan.target.address;
                self.console.report(Exit::Failed, format_args!("{address}: line {}", raw.number), &why);
                self.print(net, raw, Err(&why), !self.plan.goals.select());
            }
        }
        self.message = message;
    }

    fn receive_message(&mut self, net: &mut Net, raw: &RawMessage<'_>, message: &Message) {
        if self.hides_modes && message.command() == "mode_list" {
            let modes = message.find("running_modes");
            let is_ready = modes.is_some_and(|modes| modes.kind() == ValueKind::List && modes.text() != "[]");
            if is_ready && self.opening == Opening::Ready {
                (self.opening, self.is_ready, self.limits) = (Opening::Done, true, self.plan.limits);
                self.change_subscription(net, "monitor_stop");
                self.limits.begin(net.now);
            }
            return;
        }
        let verdict = self.plan.goals.receive(message, raw.payload.map(<[u8]>::len), self.is_complete);
        let mut lines = Vec::new();
        let outcome = self.conversation.receive(message, &mut lines);
        self.send_lines(net, &lines);
        let is_ours = !matches!(outcome, ReceiveOutcome::Deliver | ReceiveOutcome::Refused(_));
        match outcome {
            ReceiveOutcome::Ready => {
                self.plan.goals.ready();
                self.open(net);
            }
            ReceiveOutcome::UnusualVersion(version) => {
                let version = shown(version.as_bytes());
                self.console.note(format_args!(
                    "{} speaks version {version}, which is not 1 or 1.*; MPF accepts it too",
                    self.plan.target.address
                ));
            }
            ReceiveOutcome::Refused(error) => {
                let failure = Failure::Peer(format!("{}: {error}", self.plan.target.address));
                self.stop(net, End::Failed(failure));
            }
            _ if verdict.failed => self.fail(net, raw.line),
            _ => {}
        }
        self.print(net, raw, Ok(message), if self.plan.goals.select() { verdict.expected } else { !is_ours });
    }

    fn print(&mut self, net: &mut Net, raw: &RawMessage<'_>, message: Result<&Message, &Malformed>, is_wanted: bool) {
        let mut output = Vec::new();
        if (is_wanted || self.plan.prints_all)
            && self.plan.goals.admit_more()
            && self.plan.show.show(raw, message, &Origin::of(Side::Server), &mut output)
        {
            net.print(&output);
            self.plan.goals.printed += 1;
        }
    }

    /// A failed reply ends the run at once when something is waited for; else it decides the exit status at the end.
    fn fail(&mut self, net: &mut Net, line: &[u8]) {
        let failure = failed_reply(&self.plan.target, line);
        match &self.end {
            None if self.plan.goals.are_set() || !self.is_ready => self.stop(net, End::Failed(failure)),
            // One that ended the run is reported once.
            Some(End::Failed(_)) => {}
            _ => self.console.report_failure(&failure),
        }
    }
}

impl Handler for Sender<'_> {
    fn on_connect(&mut self, net: &mut Net, _id: ConnId) {
        self.plan.target.unreached = None;
        let role = if self.plan.says_hello { Role::PinController } else { Role::Client };
        self.conversation = Conversation::new(role, ConversationConfig::default());
        match self.plan.says_hello {
            true => {
                self.opening = Opening::Handshake;
                let mut lines = Vec::new();
                // A new conversation can always be opened.
                let _ = self.conversation.open(&mut lines);
                self.send_lines(net, &lines);
                self.limits.begin(net.now);
            }
            false => self.open(net),
        }
    }

    fn on_message(&mut self, net: &mut Net, _id: ConnId, frame: &Frame<'_>) {
        self.limits.stay_active(net.now);
        self.plan.recorder.frame(net, self.id.0, Side::Server, frame);
        match frame {
            Frame::Message(message) => self.receive(net, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                receive_bad_frame(self.console, &self.plan.target, &mut self.end, (*number, *fault));
            }
        }
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        if self.goes_on_without() {
            net.finish(id, Duration::ZERO, Duration::ZERO);
        } else {
            // What it was is known when the connection is closed.
            self.end.get_or_insert(End::Closed(CloseReason::ByPeer));
            self.send_goodbye(net);
            net.finish(id, FLUSH_TIME, DRAIN_TIME);
        }
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, mut closed: Closed) {
        let reason = std::mem::replace(&mut closed.reason, CloseReason::ByUs);
        let is_lost = matches!(reason, CloseReason::ByPeer | CloseReason::Lost(_));
        let reconnects = is_lost && self.goes_on_without();
        let end = End::of_connection(self.end.take(), reason);
        // A peer that was not connected had nothing to send.
        closed.is_silent &= std::mem::replace(&mut self.opening, Opening::Connect) != Opening::Connect;
        let how = closing(&end, closed.unsent, Side::Client);
        self.plan.recorder.closed(net, id.0, &how, Side::Server, &closed.unfinished);
        if reconnects {
            self.reconnect(net, &closed);
        } else {
            (self.end, self.closed) = (Some(end), Some(closed));
        }
    }

    fn wants_input(&mut self, net: &Net) -> bool {
        self.plan.messages.wants_input()
            && self.opening == Opening::Done
            && !self.is_complete
            && !self.conversation.peer_has_left()
            && net.is_open(self.id)
            && net.pending(self.id) == 0
    }

    fn on_input(&mut self, _net: &mut Net, bytes: io::Result<Vec<u8>>) {
        if let Err(failure) = self.plan.messages.take_block(bytes) {
            self.console.report_failure(&failure);
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        if self.end.is_none() {
            if let Some(end) = self.limits.passed(now) {
                self.stop(net, end);
                return None;
            }
            return self.advance(net, now).into_iter().chain(self.limits.deadline()).min();
        }
        // `-W` bounds leaving too, which else waits for a peer or a reader that does not read.
        let timeout = self.limits.timeout_at().filter(|_| matches!(self.end, Some(End::Done)))?;
        if now < timeout {
            return Some(timeout);
        }
        if let Some(limit) = self.limits.timeout.filter(|_| net.pending(self.id) > 0) {
            self.end = Some(End::TimeUp { limit, option: "--timeout" });
        }
        self.limits.timeout = None;
        net.hurry();
        None
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match (stop, &self.end) {
            (Stop::Signal(signal), _) => self.stop(net, End::Signal(signal)),
            (Stop::OutputGone(error), None | Some(End::Done)) => self.stop(net, End::Output(error)),
            // What ended the run before decides.
            (Stop::OutputGone(_), _) => net.hurry(),
        }
    }

    fn on_notice(&mut self, _net: &mut Net, notice: Notice<'_>) {
        report_notice(self.console, &mut self.plan.target, &self.plan.recorder, &notice);
    }
}

impl Sender<'_> {
    /// Connects again after a loss. Nothing is sent twice: what had begun to be sent may be lost.
    fn reconnect(&mut self, net: &mut Net, closed: &Closed) {
        if self.plan.messages.repeat(&closed.waiting) {
            (self.last, self.sent, self.is_complete) = (self.written, self.sent - 1, false);
        }
        let address = &self.plan.target.address;
        report_unfinished(self.console, address, &closed.unfinished);
        let unit = if self.plan.messages.is_input { "line" } else { "message" };
        let text = match self.last {
            0 => "connection lost before anything was sent; reconnecting".to_owned(),
            last => {
                format!("connection lost after {unit} {last}, which may be lost too with some before it; reconnecting")
            }
        };
        // Messages may be lost, so this is reported with -q too; the run may still succeed.
        self.console.report(Exit::Success, address, text);
        self.id = net.reconnect(&self.plan.target.sockets, self.plan.target.retry);
    }
}
