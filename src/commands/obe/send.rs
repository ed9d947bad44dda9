//! `send --wire obe`: messages to an OBE_Socket server, each over a connection of its own, and the replies.
//!
//! A connection is made only for a message that is at hand: the reference server ends when a client connects and closes
//! without one.

use std::io;
use std::time::{Duration, Instant};

use crate::bcp::Message;
use crate::bcp::template::Template;
use crate::commands::arguments::read_value;
use crate::commands::dial::{OBE_PORT, Target};
use crate::commands::goals::Goals;
use crate::commands::run::{ClientRun, End, TimeLimits, drive, note_terminal_input, open_net, stdin};
use crate::commands::send::{ONE_SHOT_READ_BYTES, Options, Pace, REPLY_TIME, target};
use crate::commands::shared::{OBE_IS_JSON, patterns_on};
use crate::commands::traffic::Traffic;
use crate::engine::{CloseReason, Closed, ConnId, FLUSH_TIME, Handler, Net, Notice, Settings, Stop};
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, FramingOptions, LineFramer, RawMessage, TextLine, Wire, body, push_frame};
use crate::limits::OBE_BODY_BYTES_MAX;
use crate::output::Console;
use crate::output::show::Show;
use crate::text::{shown, trim};

/// What may be wrong with a server that read a message and does not reply.
const SILENCE: &str = "; the reference server never replies to a command that it does not know";

/// Sends each message over a connection of its own and prints the reply.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a reply that does not arrive in time, and so on.
pub(crate) fn run(options: Options, console: Console) -> Result<Exit, Failure> {
    if options.display.selection.template.as_ref().is_some_and(Template::shows_json) {
        return Err(Failure::Usage(OBE_IS_JSON.to_owned()));
    }
    let mut goals = options.goals.goals(Wire::Obe)?;
    patterns_on(Wire::Obe, "--fail-on", &options.fail_on)?.into_iter().for_each(|pattern| goals.fail_on(pattern));
    let source = match options.words.as_slice() {
        words if words.is_empty() || words == ["-"] => {
            note_terminal_input(&console);
            Source::Lines(LineFramer::new(b'\n', OBE_BODY_BYTES_MAX), false)
        }
        words => Source::One(read_value(words, true)?, options.repeat.unwrap_or(1)),
    };
    let mut net = open_net(Settings {
        framing: FramingOptions { read_bytes: ONE_SHOT_READ_BYTES, ..FramingOptions::obe() },
        input: match source {
            Source::Lines(..) => Some(stdin()?),
            Source::One(..) => None,
        },
        precise: options.every.is_some(),
        ..Settings::default()
    })?;
    let mut client = Client {
        target: target(options.connect.address.as_deref(), Some("127.0.0.1"), OBE_PORT)?,
        retry: options.connect.retry,
        goals,
        show: options.display.selection.show_obe()?.for_stdout(options.output.color, false),
        prints_all: options.all,
        waits: !options.no_reply,
        timeout: options.goals.time(Some(REPLY_TIME)).filter(|_| !options.no_reply),
        traffic: Traffic::new(options.verbose.0),
        pace: Pace::new(options.every),
        console,
        source,
        request: None,
        end: None,
        result: None,
        message: Message::new(),
        output: Vec::new(),
    };
    drive(&mut net, &mut client)?;
    client.finish()
}

/// Where the messages come from.
enum Source {
    /// The arguments: one message, so many times.
    One(Vec<u8>, u64),
    /// JSON Lines from standard input, and whether it has ended.
    Lines(LineFramer, bool),
}

/// A message on its way.
struct Request {
    id: ConnId,
    text: Vec<u8>,
    limits: TimeLimits,
    is_retried: bool,
    is_sent: bool,
    /// Whether nothing more is waited for.
    is_settled: bool,
}

struct Client {
    target: Target,
    retry: Duration,
    goals: Goals,
    show: Show,
    prints_all: bool,
    waits: bool,
    timeout: Option<Duration>,
    traffic: Traffic,
    pace: Pace,
    console: Console,
    source: Source,
    request: Option<Request>,
    /// What ends the run when the connection is closed.
    end: Option<End>,
    result: Option<Result<Exit, Failure>>,
    message: Message,
    output: Vec<u8>,
}

impl Client {
    fn finish(mut self) -> Result<Exit, Failure> {
        if let Some(result) = self.result {
            return result;
        }
        if self.goals.are_set() && !self.goals.are_met() {
            let why = format!("the last reply has arrived; still waiting for {}", self.goals.missing());
            self.console.report(Exit::Failed, &self.target.address, why);
        }
        Ok(self.console.worst())
    }

    /// The next message, if there is one. What is not JSON is reported; blank lines and those that begin with `#` are
    /// ignored.
    fn next(&mut self) -> Option<Vec<u8>> {
        let (lines, has_ended) = match &mut self.source {
            Source::One(_, 0) => return None,
            Source::One(text, left) => {
                *left -= 1;
                return Some(text.clone());
            }
            Source::Lines(lines, has_ended) => (lines, *has_ended),
        };
        loop {
            // All whole lines are read before more input is, so that at the end only the last can be left.
            let (number, why) = match if has_ended { lines.end() } else { lines.next_line() }? {
                TextLine::TooLong { number } => (number, format!("line over {OBE_BODY_BYTES_MAX} bytes")),
                TextLine::Whole { text, .. } if matches!(trim(text).first(), None | Some(b'#')) => continue,
                TextLine::Whole { number, text } => match self.message.parse_value(trim(text), true) {
                    Ok(()) => return Some(trim(text).to_vec()),
                    Err(why) => (number, why.to_string()),
                },
            };
            self.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why);
        }
    }

    fn receive(&mut self, net: &mut Net, raw: &RawMessage<'_>) {
        self.traffic.came(raw);
        if let Err(why) = self.message.parse_value(body(raw.raw), true) {
            return self.report(raw.number, why);
        }
        self.message.take_command();
        let verdict = self.goals.hear(&self.message, None, true);
        self.output.clear();
        if (verdict.expected || !self.goals.select() || self.prints_all)
            && self.show.show(raw, Some(&self.message), None, &mut self.output)
        {
            net.print(&self.output);
            self.goals.printed();
        }
        if verdict.failed {
            let text = format!("the reply failed: {}", shown(raw.line));
            match self.goals.are_set() {
                true => self.end = Some(End::Failed(Failure::Peer(format!("{}: {text}", self.target.address)))),
                false => self.console.report(Exit::Peer, &self.target.address, text),
            }
        }
    }

    fn report(&mut self, offset: u64, why: impl std::fmt::Display) {
        self.console.report(Exit::Peer, format_args!("{}: offset {offset}", self.target.address), why);
    }

    /// Ends the run with the connection, or at once if there is none.
    fn stop(&mut self, net: &mut Net, end: End) {
        net.hurry();
        match &self.request {
            Some(request) => {
                net.finish(request.id, FLUSH_TIME, Duration::ZERO);
                self.end = Some(end);
            }
            None => self.result = Some(self.settle(end, None)),
        }
    }

    /// What the end of a connection means for the run.
    fn settle(&mut self, end: End, closed: Option<Closed>) -> Result<Exit, Failure> {
        let request = self.request.take();
        let is_settled = request.as_ref().is_none_or(|request| request.is_settled);
        let mut closed = closed.unwrap_or_else(Closed::never);
        // Half a reply was reported as a frame, and silence has its own hint.
        (closed.noticed, closed.unfinished) = (true, Vec::new());
        let run = ClientRun {
            target: &self.target,
            hint: if is_settled || !matches!(end, End::TimeUp { .. }) { String::new() } else { SILENCE.to_owned() },
            end,
            closed,
            retry: self.retry,
            is_complete: request.is_none_or(|request| request.is_sent),
            complete_when: "the message was sent",
            missing: Some(if is_settled { String::new() } else { "a reply".to_owned() }),
            left_out: None,
        };
        run.settle(&mut self.console)
    }
}

impl Handler for Client {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let Some(request) = &mut self.request else { return };
        let mut frame = Vec::new();
        push_frame(&request.text, &mut frame);
        net.send(id, &frame);
        self.traffic.sent(&request.text, None);
        request.is_sent = true;
        request.limits.begin(net.now());
        if !self.waits {
            request.is_settled = true;
            net.finish(id, Duration::MAX, Duration::ZERO);
        }
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let Some(request) = self.request.as_mut().filter(|_| self.waits) else { return };
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
        let (end, is_last) = match (self.end.take(), reason) {
            (Some(end), _) => (end, true),
            (None, CloseReason::ByUs | CloseReason::Reset) => (End::Done, false),
            (None, reason) => (End::Closed(reason), false),
        };
        let result = self.settle(end, Some(closed));
        if is_last || result.is_err() {
            self.result = Some(result);
            net.stay(false);
        }
    }

    fn wants_input(&mut self, _net: &Net) -> bool {
        matches!(self.source, Source::Lines(_, false)) && self.request.is_none() && self.result.is_none()
    }

    fn on_input(&mut self, net: &mut Net, bytes: io::Result<&[u8]>) {
        let Source::Lines(lines, has_ended) = &mut self.source else { return };
        match bytes {
            Ok([]) => *has_ended = true,
            Ok(mut bytes) => {
                while !bytes.is_empty() {
                    let space = lines.space();
                    let (now, later) = bytes.split_at(bytes.len().min(space.len()));
                    space[..now.len()].copy_from_slice(now);
                    lines.filled(now.len());
                    bytes = later;
                }
                self.pace.idle(net.now());
            }
            Err(error) => {
                *has_ended = true;
                self.console.report_failure(&Failure::io("cannot read <stdin>", &error));
            }
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
        if let Some(due) = self.pace.wait(now) {
            net.stay(true);
            return Some(due);
        }
        if let Some(text) = self.next() {
            let id = net.connect(self.target.dial_for(self.retry));
            let limits = TimeLimits::new(self.timeout, None);
            self.request = Some(Request { id, text, limits, is_retried: false, is_sent: false, is_settled: false });
            self.pace.sent(now);
        }
        // Without a connection the loop goes on only for input that may arrive.
        net.stay(matches!(self.source, Source::Lines(_, false)));
        None
    }

    fn on_stop(&mut self, net: &mut Net, stop: Stop) {
        match stop {
            Stop::Signal(signal) => self.stop(net, End::Signal(signal)),
            Stop::OutputGone(error) => self.stop(net, End::Output(error)),
            Stop::Asked => net.hurry(),
        }
    }

    fn on_notice(&mut self, _net: &mut Net, notice: Notice<'_>) {
        let Some(request) = &mut self.request else { return };
        if let Notice::Retrying(_, error) = notice {
            if !std::mem::replace(&mut request.is_retried, true) {
                let address = &self.target.address;
                self.console.note(format_args!("{address}: {}; retrying until it accepts", plain_words(error)));
            }
        }
    }
}
