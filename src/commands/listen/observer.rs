//! What all forms of `listen` have in common: they print and record what is received, know when the run ends, and
//! what its exit status is.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::rows::Rows;
use crate::bcp::template::{Origin, Side};
use crate::bcp::{Malformed, Message, ParseOptions};
use crate::commands::goals::Goals;
use crate::commands::recorder::Recorder;
use crate::commands::run::{End, TimeLimits, seconds};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{FramingError, RawMessage};
use crate::limits::READ_BYTES;
use crate::net::{CloseReason, Closed, DRAIN_TIME, FLUSH_TIME, Net, Notice, Outcome, Stop};
use crate::output::show::Show;
use crate::output::table::Seen;
use crate::output::{Console, say};
use crate::text::shown;

/// What is reported of output that nobody read.
const UNREAD: &str = "no program reads the output; the last messages are lost";

/// Prints and records what is received until the run ends.
pub(crate) struct Observer {
    pub console: Console,
    pub recorder: Recorder,
    pub traffic: Traffic,
    /// The message received last.
    pub message: Message,
    /// The table view, instead of what `show` prints.
    pub(super) rows: Option<Rows>,
    /// `None` for a peer inside this process, which prints nothing.
    show: Option<Show>,
    goals: Goals,
    limits: TimeLimits,
    /// One moment on both clocks: messages are stamped with the one that never jumps.
    clock: (Instant, Duration),
    /// What is printed once the present read is handled.
    printed: Vec<u8>,
    end: Option<End>,
    /// Whether the connections are being closed, and if so, whether in a hurry.
    left: Option<bool>,
    /// Whether standard output is still written.
    prints: bool,
    connections: u64,
    received: u64,
    sent: u64,
}

impl Observer {
    pub(crate) fn new(console: Console, show: Option<Show>, goals: Goals, limits: TimeLimits) -> Observer {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Observer {
            console,
            recorder: Recorder::default(),
            traffic: Traffic::default(),
            message: Message::new(),
            rows: None,
            show,
            goals,
            limits,
            clock: (Instant::now(), unix),
            printed: Vec::new(),
            end: None,
            left: None,
            prints: true,
            connections: 0,
            received: 0,
            sent: 0,
        }
    }

    /// `-W` and `--idle` count from here.
    pub(crate) fn begin(&mut self) {
        let now = Instant::now();
        self.limits.begin(now);
        self.limits.be_active(now);
    }

    /// The time of day, from the clock that never jumps.
    fn time(&self, now: Instant) -> Duration {
        self.clock.1.saturating_add(now.saturating_duration_since(self.clock.0))
    }

    /// Counts a connection, or a forwarded pair; `how` is such as `connected from 127.0.0.1:34928`.
    pub(crate) fn connected(&mut self, now: Instant, connection: u64, how: &str) {
        self.connections += 1;
        self.limits.be_active(now);
        let time = self.time(now);
        if let Some(rows) = &mut self.rows {
            rows.opened(time, connection, how, &mut self.printed);
        }
    }

    /// Counts a message that was sent.
    pub(crate) fn sent(&mut self, now: Instant, connection: u64, from: Side, line: &[u8], payload: Option<&[u8]>) {
        self.sent += 1;
        self.limits.be_active(now);
        self.traffic.sent(line, payload.map(<[u8]>::len));
        let seen = Seen { time: Some(self.time(now)), connection, from };
        if let (Some(rows), Some(show)) = (&mut self.rows, &self.show) {
            rows.sent(seen, line, payload, show, &mut self.printed);
        }
    }

    /// Reports something that is no message. A peer that breaks the framing is to blame, unless we have ended the
    /// connection.
    pub(crate) fn receive_bad(&mut self, id: u64, from: Side, place: String, fault: FramingError, is_open: bool) {
        if let Some(rows) = &mut self.rows {
            rows.count(id, from, None);
        }
        let exit = match fault {
            _ if !is_open => Exit::Success,
            FramingError::LineTooLong { .. } | FramingError::PayloadCut { .. } => Exit::Failed,
            _ => Exit::Peer,
        };
        self.console.report(exit, place, fault);
    }

    /// A connection, or a forwarded pair, has closed; `them` is the peer's side, unless it was forwarded.
    pub(crate) fn closed(&mut self, net: &mut Net, connection: u64, how: &str, them: Option<Side>) {
        let time = self.time(net.now());
        if let Some(rows) = &mut self.rows {
            rows.closed(time, connection, how, them, &mut self.printed);
            self.flush(net, 1);
        }
    }

    /// Parses a BCP message into [`Observer::message`] and prints it. One that is malformed is printed too, as it is.
    /// `origin` needs no time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        message: &RawMessage<'_>,
        origin: Origin<'_>,
    ) -> Result<(), Malformed> {
        let read = self.message.parse_line(message.text(), &ParseOptions::default());
        self.print(now, message, read.as_ref().copied(), origin);
        read
    }

    /// Prints a message, which is in [`Observer::message`] unless it is malformed, and tells the goals.
    pub(crate) fn print(
        &mut self,
        now: Instant,
        message: &RawMessage<'_>,
        read: Result<(), &Malformed>,
        origin: Origin<'_>,
    ) {
        self.received += 1;
        self.limits.be_active(now);
        let time = self.time(now);
        if let Some(rows) = &mut self.rows {
            rows.count(origin.connection.unwrap_or(1), origin.from, read.ok().map(|()| &self.message));
        }
        // What comes after the goals are met is not printed.
        let Some(show) = self.show.as_mut().filter(|_| !matches!(self.end, Some(End::Done))) else { return };
        let origin = Origin { time: Some(time), ..origin };
        let parts = read.ok().map(|()| &self.message);
        let is_printed = match &mut self.rows {
            None => show.show(message, parts, Some(&origin), &mut self.printed),
            Some(rows) => {
                let is_selected = show.selects(parts, message.payload.map(<[u8]>::len));
                if is_selected {
                    let seen = Seen { time: Some(time), connection: origin.connection.unwrap_or(1), from: origin.from };
                    let message_or_why = read.map(|()| &self.message);
                    rows.received(seen, message.line, message.payload, message_or_why, &mut self.printed);
                }
                is_selected
            }
        };
        if is_printed {
            self.goals.printed();
        }
        if self.goals.are_set() && self.end.is_none() {
            if let Some(parts) = parts {
                self.goals.receive(parts, message.payload.map(<[u8]>::len), false);
            }
            if self.goals.are_met() {
                self.end(End::Done);
            }
        }
    }

    /// Hands over what was printed: at the end of a turn, and before it grows.
    pub(crate) fn flush(&mut self, net: &mut Net, at_least: usize) {
        if self.printed.len() < at_least.max(1) {
            return;
        }
        if self.prints {
            net.print(&self.printed);
        }
        self.printed.clear();
        // One huge message must not keep its memory.
        self.printed.shrink_to(2 * READ_BYTES);
    }

    /// What is done in each turn of the loop: when to come again, and whether the connections are to be closed: in a
    /// hurry, after a signal or `-W`, or in order, when output has all the time that it needs. That is told once.
    pub(crate) fn turn(&mut self, net: &mut Net, now: Instant) -> (Option<Instant>, Option<bool>) {
        self.flush(net, 1);
        let end = self.limits.passed(now).filter(|_| self.left != Some(true));
        if self.end.is_some() && end.is_some() {
            // It met its goal, and its output is not read.
            self.left = Some(true);
            net.hurry();
        } else if let Some(end) = end {
            self.end(end);
        }
        let next = self.limits.deadline().filter(|_| self.left != Some(true));
        let in_hurry = self.end.as_ref().map(|end| matches!(end, End::Signal(_) | End::TimeUp { .. }));
        let leaves = in_hurry.filter(|_| in_hurry > self.left);
        self.left = leaves.or(self.left);
        (next, leaves)
    }

    /// Ends the run, if nothing ended it before. A signal and a failure count more than what came before.
    pub(crate) fn end(&mut self, end: End) {
        let counts_more = match (&self.end, &end) {
            (None, _) | (_, End::Signal(_)) => true,
            (Some(End::Signal(_)), _) => false,
            (Some(_), end) => matches!(end, End::Output(error) if error.kind() != io::ErrorKind::BrokenPipe),
        };
        if counts_more {
            self.end = Some(end);
        }
    }

    /// Whether the run ends.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// What `on_stop` is told. Forwarding outlives its output, everything else ends with it.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.end(match stop {
            Stop::Signal(signal) => End::Signal(signal),
            Stop::Asked => End::Done,
            Stop::OutputGone(error) => End::Output(error),
        });
    }

    /// Standard output cannot be written, and the run goes on. That is reported at once, since it may do so for hours.
    pub(crate) fn stop_printing(&mut self, error: &io::Error) {
        self.prints = false;
        self.console.report_failure(&Failure::output(error));
    }

    /// Reports what `on_notice` is told, but for what only some forms have.
    pub(crate) fn notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        match notice {
            Notice::TurnedAway(peer) => say(&format!("{peer}: rejected: too many connections\n")),
            Notice::OutOfDescriptors(error) => say(&format!(
                "no descriptor is left for another connection ({}); waiting until one closes\n",
                plain_words(error)
            )),
            Notice::AcceptFailed(error) => say(&format!("cannot accept a connection: {}\n", plain_words(error))),
            Notice::RecordingFailed(error) => self.console.report_failure(&self.recorder.failure(error)),
            Notice::RecordingDropped(bytes) => {
                let why = format!("{bytes} bytes were forwarded and not recorded: the disk is too slow");
                self.console.report(Exit::Failed, "--record", why);
                self.recorder.comment(net, &format!("{bytes} bytes are missing above"));
            }
            Notice::OutputDropped(bytes) => {
                let why = format!("{bytes} bytes were forwarded and not printed: the reader is too slow");
                self.console.report(Exit::Failed, "<stdout>", why);
            }
            Notice::Retrying(..) | Notice::Unobserved(..) => {}
        }
    }

    /// Whether there is a goal that is not met.
    pub(crate) fn is_unmet(&self) -> bool {
        self.goals.are_set() && !self.goals.are_met()
    }

    /// If `-W` passed before the server was reached, that is why: `failure` says so, given how long it was tried.
    pub(crate) fn was_not_connected(&mut self, failure: impl FnOnce(Duration) -> Failure) {
        let Some(End::TimeUp { limit, .. }) = self.end else { return };
        let failure = failure(limit);
        self.end = Some(End::Failed(match failure.message().filter(|_| self.is_unmet()) {
            Some(why) => {
                let (limit, missing) = (seconds(limit), self.goals.missing());
                Failure::Timeout(format!("timed out after {limit} waiting for {missing} (see --timeout): {why}"))
            }
            None => failure,
        }));
    }

    /// The exit status of the run, after its totals. A signal decides, else what ended it, else the worst thing
    /// reported before.
    ///
    /// # Errors
    /// What ended it, when that is an error.
    pub(crate) fn settle(mut self, outcome: Outcome) -> Result<Exit, Failure> {
        self.report_totals();
        if outcome.unrecorded > 0 {
            let why = format!("{} bytes at the end are not recorded: the disk is too slow", outcome.unrecorded);
            self.console.report(Exit::Io, "--record", why);
        }
        let (unread, missing) = (outcome.unprinted > 0, self.goals.missing());
        let unmet = self.is_unmet();
        let end = self.end.take().unwrap_or(End::Done);
        match end {
            End::Signal(signal) => {
                if unread {
                    self.console.report(Exit::Success, "<stdout>", UNREAD);
                }
                Ok(Exit::Signal(signal))
            }
            End::Output(error) => match Failure::output(&error) {
                Failure::OutputClosed => Ok(self.console.worst()),
                failure => Err(failure),
            },
            End::Failed(failure) => Err(failure),
            _ if unread && self.goals.are_set() => Err(Failure::Timeout(format!("timed out: {UNREAD}"))),
            _ if unread => Err(Failure::Io(UNREAD.to_owned())),
            End::TimeUp { limit, option } if unmet => {
                let limit = seconds(limit);
                Err(Failure::Timeout(format!("timed out after {limit} waiting for {missing} (see {option})")))
            }
            End::Idle(limit) if unmet => {
                let limit = seconds(limit);
                Err(Failure::Timeout(format!("nothing arrived for {limit}, waiting for {missing} (see --idle)")))
            }
            End::Closed(_) if unmet => {
                Err(Failure::Refused(format!("the connection ended; still waiting for {missing}")))
            }
            _ => Ok(self.console.worst()),
        }
    }

    fn report_totals(&self) {
        let messages = |count: u64| format!("{count} message{}", if count == 1 { "" } else { "s" });
        let (received, connections) = (messages(self.received), self.connections);
        let plural = if connections == 1 { "" } else { "s" };
        let sent = if self.sent == 0 { String::new() } else { format!(", sent {}", self.sent) };
        self.console.note(format_args!("received {received} on {connections} connection{plural}{sent}"));
    }
}

/// Ends a connection in order.
pub(crate) fn finish(net: &mut Net, id: crate::net::ConnId) {
    net.finish(id, FLUSH_TIME, DRAIN_TIME);
}

/// Reports an end that was not in order; `frame` and `protocol` name what should have come.
pub(crate) fn report_close(console: &mut Console, peer: &str, closed: &Closed, (frame, protocol): (&str, &str)) {
    match &closed.reason {
        CloseReason::Lost(error) => console.note(format_args!("{peer}: {}", plain_words(error))),
        CloseReason::NoRoom(limit) => {
            let why = format!("reset: its {frame} needs more than is left of {limit} bytes for all long ones");
            console.report(Exit::Failed, peer, why);
        }
        CloseReason::Http => {
            console.report(Exit::Failed, peer, format_args!("closed: it sends HTTP, not {protocol}"));
        }
        // What broke it was reported as a frame.
        _ => {}
    }
    if closed.unfinished.is_empty() || matches!(closed.reason, CloseReason::Broken(_) | CloseReason::Http) {
        return;
    }
    // Half a message is nobody's fault where we ended the connection.
    if matches!(closed.reason, CloseReason::ByPeer) {
        let half = shown(&closed.unfinished);
        console.report(Exit::Failed, peer, format_args!("closed the connection inside a {frame}: {half}"));
    }
}

/// How a connection ended, for its recording; `them` is the peer's side.
pub(crate) fn describe_close(closed: &Closed, them: Side, said_goodbye: bool) -> String {
    let (theirs, ours) = (them.name(), them.other().name());
    match &closed.reason {
        CloseReason::ByPeer => format!("closed by the {theirs}"),
        CloseReason::ByUs if said_goodbye => format!("closed by the {theirs}"),
        CloseReason::ByUs => format!("closed by the {ours}"),
        CloseReason::Lost(error) | CloseReason::Unreached(error) => format!("lost: {}", plain_words(error)),
        CloseReason::Broken(_) => format!("closed by the {ours}, because the {theirs} broke the framing"),
        CloseReason::NoRoom(_) => format!("reset by the {ours}, because there was no room for a long message"),
        CloseReason::Http => format!("closed by the {ours}, because the {theirs} sent HTTP"),
        CloseReason::Reset | CloseReason::LinkLost => format!("reset by the {ours}"),
    }
}
