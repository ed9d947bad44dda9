//! What all forms of `listen` have in common: they print and record what is received and sent, know when the run
//! ends, and what its exit status is.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::peer::Peer;
use crate::bcp::template::{Origin, Side};
use crate::bcp::{Malformed, Message, ParseOptions};
use crate::commands::goals::Goals;
use crate::commands::recorder::{Recorder, Traffic};
use crate::commands::run::{End, TimeLimits};
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, Framer, FramingError, FramingOptions, RawMessage, Wire, body};
use crate::limits::READ_BYTES;
use crate::net::{CloseReason, Closed, Net, Outcome};
use crate::output::Console;
use crate::output::show::Show;
use crate::output::table::EndNames;
use crate::text::{count, shown};

/// What is reported of output that nobody read.
const UNREAD: &str = "no program reads the output; the last messages are lost";

/// Prints and records what is received and sent until the run ends.
pub(crate) struct Observer {
    pub console: Console,
    pub recorder: Recorder,
    pub traffic: Traffic,
    pub goals: Goals,
    pub limits: TimeLimits,
    pub wire: Wire,
    /// Whether it stands between two programs, so that each connection is half of a pair.
    pub is_forwarding: bool,
    pub show: Show,
    /// What is printed once the present read is handled.
    printed: Vec<u8>,
    /// The message received last.
    pub message: Message,
    /// How many connections, or forwarded pairs, there have been.
    pub connections: u64,
    /// What ends the run.
    pub end: Option<End>,
    /// One moment on both clocks: messages are stamped with the one that never jumps.
    clock: (Instant, Duration),
    received: u64,
    sent: u64,
}

impl Observer {
    pub(crate) fn new(console: Console, show: Show) -> Observer {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Observer {
            console,
            recorder: Recorder::default(),
            traffic: Traffic::default(),
            goals: Goals::default(),
            limits: TimeLimits::default(),
            wire: Wire::Bcp,
            is_forwarding: false,
            show,
            printed: Vec::new(),
            message: Message::new(),
            connections: 0,
            end: None,
            clock: (Instant::now(), unix),
            received: 0,
            sent: 0,
        }
    }

    /// How reports name a peer.
    pub(super) fn name(&self, peer: &Peer) -> String {
        if self.is_forwarding { format!("{} {}", peer.address, peer.side.name()) } else { peer.address.clone() }
    }

    /// Reports what is wrong with the message of this number.
    pub(super) fn report(&mut self, exit: Exit, peer: &Peer, number: u64, why: impl Display) {
        let unit = if self.wire == Wire::Bcp { "line" } else { "offset" };
        self.console.report(exit, format_args!("{}: {unit} {number}", self.name(peer)), why);
    }

    /// Counts a connection, or a forwarded pair.
    pub(super) fn connected(&mut self, now: Instant, peer: &Peer) {
        self.connections += 1;
        self.limits.be_active(now);
        let preposition = if peer.side == Side::Client { "from" } else { "to" };
        let text = format!("connected {preposition} {}", peer.address);
        self.show.event(&self.origin(now, peer, peer.side), &text, &mut self.printed);
    }

    /// Records, prints and counts what a peer sent; whether it is a well-formed message, which then is
    /// [`Observer::message`].
    pub(super) fn receive(&mut self, net: &mut Net, peer: &mut Peer, frame: &Frame<'_>) -> bool {
        self.recorder.frame(net, peer.connection, peer.side, frame);
        match frame {
            Frame::Message(message) => self.receive_message(net.now, peer, message),
            Frame::Ignored { .. } => false,
            Frame::Bad { number, fault } => {
                peer.counts.malformed += 1;
                let exit = match fault {
                    // It was cut short because we have closed the connection.
                    _ if !self.is_forwarding && !net.is_open(peer.id) => Exit::Success,
                    FramingError::LineTooLong(_) | FramingError::PayloadCut { .. } => Exit::Failed,
                    _ => Exit::Peer,
                };
                self.report(exit, peer, *number, fault);
                false
            }
        }
    }

    /// A malformed line of BCP is printed too, as it is.
    fn receive_message(&mut self, now: Instant, peer: &mut Peer, message: &RawMessage<'_>) -> bool {
        if self.is_forwarding && peer.side == Side::Client {
            self.traffic.sent(message.line, message.payload);
        } else {
            self.traffic.received(message);
        }
        let read = match self.wire {
            Wire::Bcp => self.message.parse_line(message.text(), &ParseOptions::default()),
            Wire::Obe => self.message.parse_value(body(message.raw), true),
        };
        match (&read, self.wire) {
            (Ok(()), Wire::Bcp) => {}
            (Ok(()), Wire::Obe) => self.message.take_command(),
            (Err(why), Wire::Bcp) => self.report(Exit::Failed, peer, message.number, why),
            (Err(why), Wire::Obe) => {
                self.report(Exit::Peer, peer, message.number, why);
                return false;
            }
        }
        self.received += 1;
        self.limits.be_active(now);
        // What is received after the goals are met is not printed.
        if !matches!(self.end, Some(End::Done)) {
            self.print(now, peer, message, read.as_ref().copied());
        }
        read.is_ok()
    }

    /// Prints a message, which is in [`Observer::message`] unless it is malformed, and checks the goals.
    fn print(&mut self, now: Instant, peer: &mut Peer, message: &RawMessage<'_>, read: Result<(), &Malformed>) {
        let read = read.map(|()| &self.message);
        if self.show.table().is_some() {
            peer.counts.count(peer.side, read.ok());
        }
        let origin = self.origin(now, peer, peer.side);
        let is_printed = print(&mut self.show, &mut self.printed, message, read, &origin);
        self.goals.printed += u64::from(is_printed);
        if self.goals.are_set() && self.end.is_none() {
            if let Ok(read) = read {
                self.goals.receive(read, message.payload.map(<[u8]>::len), false);
            }
            if self.goals.are_met() {
                self.end(End::Done);
            }
        }
    }

    /// Where and when `from` sent a message. The time of day is from the clock that never jumps.
    fn origin<'p>(&self, now: Instant, peer: &'p Peer, from: Side) -> Origin<'p> {
        let time = Some(self.clock.1.saturating_add(now.saturating_duration_since(self.clock.0)));
        Origin { time, connection: Some(peer.connection), peer: Some(&peer.address), from }
    }

    /// Records, prints and counts whole messages that were sent to a peer.
    pub(super) fn sent(&mut self, net: &mut Net, peer: &mut Peer, messages: &[u8]) {
        let (now, from) = (net.now, peer.side.other());
        self.limits.be_active(now);
        let (line_bytes_max, payload_bytes_max) = (usize::MAX, usize::MAX);
        let framing =
            FramingOptions { wire: self.wire, line_bytes_max, payload_bytes_max, ..FramingOptions::default() };
        let mut framer = Framer::new(FramingOptions { read_bytes: messages.len(), ..framing });
        framer.feed(messages);
        while let Some(frame) = framer.next_frame() {
            self.recorder.frame(net, peer.connection, from, &frame);
            let Frame::Message(message) = frame else { continue };
            self.sent += 1;
            self.traffic.sent(message.line, message.payload);
            // A table has both directions.
            if self.show.table().is_some() {
                let mut sent = Message::new();
                let read = sent.parse_line(message.text(), &ParseOptions::default());
                let read = read.as_ref().map(|()| &sent);
                peer.counts.count(from, read.ok());
                let origin = self.origin(now, peer, from);
                print(&mut self.show, &mut self.printed, &message, read, &origin);
            }
        }
    }

    /// Reports and records how a connection closed, which is returned in words.
    pub(super) fn closed(&mut self, net: &mut Net, peer: &Peer, closed: &Closed) -> String {
        let name = self.name(peer);
        match &closed.reason {
            CloseReason::Lost(error) => self.console.note(format_args!("{name}: {}", plain_words(error))),
            CloseReason::NoRoom(limit) => {
                let why = format!("reset: its message needs more than is left of {limit} bytes for all long ones");
                self.console.report(Exit::Failed, &name, why);
            }
            CloseReason::Http => self.console.report(Exit::Failed, &name, "closed: it sends HTTP, not BCP"),
            // What broke the framing was reported as a frame.
            _ => {}
        }
        // Where we have closed the connection, the peer is not to blame for half a message.
        if matches!(closed.reason, CloseReason::ByPeer | CloseReason::Lost(_)) && !closed.unfinished.is_empty() {
            let half = shown(&closed.unfinished);
            self.console.report(Exit::Failed, &name, format_args!("closed the connection inside a message: {half}"));
        }
        let how = self.describe_close(peer.side, &closed.reason);
        self.recorder.closed(net, peer.connection, &how, peer.side, &closed.unfinished);
        how
    }

    fn describe_close(&self, side: Side, reason: &CloseReason) -> String {
        let (them, us) = (side.name(), side.other().name());
        let us = if self.is_forwarding { format!("backbox towards the {them}") } else { format!("the {us}") };
        match reason {
            CloseReason::ByPeer => format!("closed by the {them}"),
            CloseReason::Lost(error) => format!("lost the {them}: {}", plain_words(error)),
            CloseReason::Unreached(error) => format!("did not reach the {them}: {}", plain_words(error)),
            CloseReason::ByUs | CloseReason::Broken(_) | CloseReason::Http => format!("closed by {us}"),
            CloseReason::Reset | CloseReason::NoRoom(_) => format!("reset by {us}"),
        }
    }

    /// A connection, or both of a forwarded pair, has closed; `how` is what [`Observer::closed`] returned. Prints its
    /// last row: how it closed, how long it lasted, and what it carried.
    pub(super) fn ended(&mut self, net: &mut Net, peer: &Peer, how: &str) {
        let (origin, counts) = (self.origin(net.now, peer, peer.side), &peer.counts);
        if let Some(table) = self.show.table() {
            let EndNames { client, server } = table.ends;
            let how = match table.ends {
                EndNames::UNKNOWN => how.to_owned(),
                _ => how.replace("the client", client).replace("the server", server),
            };
            let goodbye = if counts.said_goodbye { " (goodbye)" } else { "" };
            let seconds = net.now.saturating_duration_since(counts.opened).as_secs_f64();
            let (messages, from_server) = (count(counts.from_client, "message"), counts.from_server);
            let mut text = format!("{how}{goodbye} after {seconds:.1} s: ");
            text += &format!("{messages} from {client}, {from_server} from {server}");
            if counts.malformed > 0 {
                text += &format!(", {} malformed", counts.malformed);
            }
            table.event(&origin, &text, &mut self.printed);
        }
        self.flush(net, 1);
    }

    /// Passes what was printed to the loop: at the end of a turn, and before it grows.
    pub(super) fn flush(&mut self, net: &mut Net, at_least: usize) {
        let printed = &mut self.printed;
        if printed.len() < at_least {
            return;
        }
        net.print(printed);
        printed.clear();
        // One huge message must not keep its memory.
        printed.shrink_to(2 * READ_BYTES);
    }

    /// Ends the run, if nothing ended it before. A signal and a failure count more than what ended it before.
    pub(super) fn end(&mut self, end: End) {
        let counts_more = match (&self.end, &end) {
            (None, _) | (_, End::Signal(_)) => true,
            (Some(End::Signal(_)), _) => false,
            (Some(_), end) => matches!(end, End::Output(error) if error.kind() != io::ErrorKind::BrokenPipe),
        };
        if counts_more {
            self.end = Some(end);
        }
    }

    /// Whether there is a goal that is not met.
    pub(super) fn is_unmet(&self) -> bool {
        self.goals.are_set() && !self.goals.are_met()
    }

    /// The exit status of the run, after its totals. A signal decides, else what ended it, else the worst thing
    /// reported before. `unreached` is why the server was never reached.
    ///
    /// # Errors
    /// What ended it, when that is an error.
    pub(super) fn settle(mut self, outcome: Outcome, unreached: Option<Failure>) -> Result<Exit, Failure> {
        if unreached.is_none() {
            self.report_totals();
        }
        if outcome.unrecorded > 0 {
            let why = format!("{} bytes at the end are not recorded: the disk is too slow", outcome.unrecorded);
            self.console.report(Exit::Io, "--record", why);
        }
        if outcome.unprinted > 0 {
            let failure = if self.goals.are_set() { Failure::Timeout } else { Failure::Io };
            self.console.report_failure(&failure(UNREAD.to_owned()));
        }
        let (end, missing) = (self.end.take().unwrap_or(End::Done), self.goals.missing());
        if self.is_unmet() {
            if let Some(timed_out) = end.timed_out(&missing) {
                let why = unreached.as_ref().and_then(Failure::message).map(|why| format!(": {why}"));
                return Err(Failure::Timeout(timed_out + &why.unwrap_or_default()));
            }
            if let End::Closed(_) = end {
                return Err(Failure::Refused(format!("the connection ended; still waiting for {missing}")));
            }
        }
        match (end, unreached) {
            (End::TimeUp { .. }, Some(failure)) => Err(failure),
            (end, _) => end.settle(self.console.worst()),
        }
    }

    fn report_totals(&self) {
        let (received, connections) = (count(self.received, "message"), count(self.connections, "connection"));
        let sent = if self.sent == 0 { String::new() } else { format!(", sent {}", self.sent) };
        self.console.note(format_args!("received {received} on {connections}{sent}"));
    }
}

/// Prints a message, or a malformed line, if it is selected; whether it is. In a table, the `hello` of a program with a
/// name is followed by a row with that name.
fn print(
    show: &mut Show,
    out: &mut Vec<u8>,
    raw: &RawMessage<'_>,
    message: Result<&Message, &Malformed>,
    origin: &Origin<'_>,
) -> bool {
    let is_printed = show.show(raw, message, origin, out);
    let hello = message.ok().filter(|message| is_printed && show.table().is_some() && message.command() == "hello");
    let text = |name| hello?.find(name).map(|value| value.text());
    if let Some(name) = text("controller_name") {
        let version = text("controller_version").unwrap_or_default();
        show.event(origin, format!("the {} is {name} {version}", origin.from.name()).trim_end(), out);
    }
    is_printed
}
