//! `send --wire obe`: messages to a server of OBE_Socket, each over a connection of its own, and the replies to them
//! (design.md, section 9).
//!
//! A connection is made only for a message that is at hand: the reference server ends when a client connects and closes
//! without one.

use std::time::{Duration, Instant};

use super::arguments::read_value;
use super::dial::{OBE_PORT, Target};
use super::ending::{Wanted, closing, verdict};
use super::pace::Pace;
use super::recorder::Recorder;
use super::send::{ANSWER_TIME, COMMAND, ONE_SHOT_READ_BYTES, Options, address};
use super::shared::{OBE_IS_JSON, OBE_LIMITS, patterns_on, refuse_with_obe};
use super::traffic::Traffic;
use crate::codec::Parts;
use crate::failure::{Exit, Failure};
use crate::framing::{Frame, Framing, Line, LineFramer, RawMessage, Wire, body, push_frame};
use crate::goals::Goals;
use crate::limits::OBE_BODY_BYTES_MAX;
use crate::net::address::Address;
use crate::net::dialogue::{self, Reason, Script, Step};
use crate::net::queue::Outbox;
use crate::net::wait::{Input, Output, Poll, Stop};
use crate::output::Console;
use crate::output::show::Show;
use crate::session::{CONNECTION_MAX, Side};
use crate::template::{End, Template};
use crate::text::{shown, trim};

/// What may be wrong with a server that took a message and says nothing.
const SILENCE: &str = "took the message and said nothing: the reference server never answers what it does not know";

/// Refuses what is BCP's alone.
///
/// # Errors
/// [`Failure::Usage`].
pub fn check(options: &Options) -> Result<(), Failure> {
    let shows_json = options.display.selection.template.as_ref().is_some_and(Template::shows_json);
    let waits = !options.goals.expected.is_empty() || options.goals.timeout.is_some();
    let only_without_reply = "--no-reply waits for no reply: leave out -e and -W";
    if options.no_reply && waits {
        return Err(Failure::Usage(only_without_reply.to_owned()));
    }
    refuse_with_obe(&[
        (options.goals.count.is_some(), "-n counts messages that come, and each of OBE_Socket's has one reply"),
        (options.wait, "-w waits for the answer that BCP has, and OBE_Socket's reply is waited for anyway"),
        (options.payload.is_some(), "-b is the payload of a message, and OBE_Socket has none"),
        (options.hello, "--hello is BCP's handshake, and OBE_Socket has none"),
        (options.no_goodbye, "--no-goodbye is about BCP's farewell, and OBE_Socket has none"),
        (options.reconnect, "--reconnect keeps one connection up, and OBE_Socket has one for each message"),
        (options.force, "--force passes the guard of MPF, and OBE_Socket's messages meet none"),
        (options.display.json, "--json is a form of BCP's messages"),
        (shows_json, OBE_IS_JSON),
        (options.limits.limits_lines(), OBE_LIMITS),
    ])
}

/// Sends each message over a connection of its own and prints the reply.
///
/// # Errors
/// A message that makes no sense, an address that cannot be reached, a reply that does not come in time, a stdout that
/// cannot be written.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let mut console = options.manners.console(COMMAND.about.name);
    let show = options.display.selection.show_obe()?.for_stdout(options.manners.color, false);
    let mut goals = options.goals.goals(Wire::Obe)?;
    patterns_on(Wire::Obe, "--fail-on", &options.fail_on)?.into_iter().for_each(|pattern| goals.fail_on(pattern));
    let mut messages = Messages::of(options)?;
    let target = match address(options) {
        Some(text) => Target::resolve(Some(&text), OBE_PORT)?,
        None => Target::resolve(Some("127.0.0.1"), OBE_PORT)?,
    };
    let opening = format!("dialling {}", target.address);
    let recorder = options.record.open_on(Wire::Obe, &opening, target.address.port)?;
    let stop = Stop::on_signals().map_err(|error| Failure::io("cannot watch for signals", &error))?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let mut framing = Framing::obe();
    framing.read_bytes = ONE_SHOT_READ_BYTES;
    let mut pace = Pace::new(options.every);
    let mut asking = Asking {
        text: Vec::new(),
        connection: 0,
        sent: false,
        settled: options.no_reply,
        failure: None,
        time: options.goals.time(Some(ANSWER_TIME)).filter(|_| !options.no_reply),
        all: options.all,
        goals,
        show,
        traffic: Traffic::new(options.verbose.0),
        recorder,
        console: &mut console,
        peer: &target.address,
        parts: Parts::new(),
    };
    loop {
        match messages.next(&mut asking, &mut pace, &stop, &output)? {
            Next::Message => {}
            Next::Over => return asking.end(),
            Next::Stopped => return Ok(stop.signal().map_or(asking.console.worst(), Exit::Signal)),
            Next::ReaderGone => return Ok(asking.console.worst()),
        }
        let Some(socket) = target.dial(options.dialling.retry, &stop, asking.console)? else {
            return Ok(stop.signal().map_or(Exit::Done, Exit::Signal));
        };
        (asking.sent, asking.settled) = (false, options.no_reply);
        asking.connection = asking.connection.saturating_add(1).min(CONNECTION_MAX);
        let ended = dialogue::converse(socket, framing.clone(), &mut asking, &stop, None, &output);
        let is_last = matches!(ended.reason, Reason::Stopped(_) | Reason::Output(_) | Reason::Poll(_));
        let connection = asking.connection;
        asking.record(|recorder| recorder.ended(connection, &closing(&ended, End::Dialler), Side::Acceptor, b""));
        let failed = asking.failure.is_some();
        let exit = verdict(ended, asking.wanted(), &target.address, asking.console)?;
        if is_last || failed {
            return Ok(exit);
        }
    }
}

/// Where the messages come from.
enum Messages {
    /// The arguments: one, so many times.
    One { text: Vec<u8>, left: u64 },
    /// JSON Lines on standard input.
    Lines { lines: LineFramer, input: Input, over: bool },
}

/// What comes next.
enum Next {
    /// The text of a message.
    Message,
    /// Nothing more.
    Over,
    /// The stop came.
    Stopped,
    /// Nobody reads stdout any more.
    ReaderGone,
}

impl Messages {
    fn of(options: &Options) -> Result<Messages, Failure> {
        Ok(match options.words.as_slice() {
            [] => Messages::lines()?,
            [dash] if dash == "-" => Messages::lines()?,
            words => Messages::One { text: read_value(words, true)?, left: options.repeat.unwrap_or(1) },
        })
    }

    fn lines() -> Result<Messages, Failure> {
        let input = Input::stdin().map_err(|error| Failure::io("cannot read <stdin>", &error))?;
        Ok(Messages::Lines { lines: LineFramer::new(b'\n', OBE_BODY_BYTES_MAX), input, over: false })
    }

    /// Puts the next message into `asking` when its time has come.
    fn next(
        &mut self,
        asking: &mut Asking<'_>,
        pace: &mut Pace,
        stop: &Stop,
        output: &Output,
    ) -> Result<Next, Failure> {
        let failure = |error| Failure::io("cannot wait for input", &error);
        while let Some(due) = pace.wait(Instant::now()) {
            if stop.wait_until(due).map_err(failure)? {
                return Ok(Next::Stopped);
            }
        }
        match self {
            Messages::One { left: 0, .. } => return Ok(Next::Over),
            Messages::One { text, left } => {
                *left -= 1;
                asking.text.clone_from(text);
            }
            Messages::Lines { lines, input, over } => loop {
                if asking.take_line(lines, *over) {
                    break;
                }
                if *over {
                    return Ok(Next::Over);
                }
                let mut poll = Poll::default();
                let (stopped, gone, brings) = (poll.stop(stop), poll.output(output, false), poll.input(input));
                poll.wait(None).map_err(failure)?;
                if poll.ready(stopped).read {
                    return Ok(Next::Stopped);
                }
                if poll.ready(gone).gone {
                    return Ok(Next::ReaderGone);
                }
                if poll.ready(brings).read {
                    pace.idle(Instant::now());
                    let count = read(input, lines)?;
                    *over = count == Some(0);
                }
            },
        }
        pace.gone(Instant::now());
        Ok(Next::Message)
    }
}

/// Reads what stdin has; `None` when it has to be tried again.
fn read(input: &Input, lines: &mut LineFramer) -> Result<Option<usize>, Failure> {
    match input.read_some(lines.space()) {
        Ok(count) => {
            lines.filled(count);
            Ok(Some(count))
        }
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(Failure::io("cannot read <stdin>", &error)),
    }
}

/// The script of one connection: a message, and its reply.
struct Asking<'a> {
    /// The message.
    text: Vec<u8>,
    /// The connection's number, from 1.
    connection: u32,
    sent: bool,
    /// Whether nothing is waited for any more.
    settled: bool,
    /// What ends the run: a failed answer, when something is waited for.
    failure: Option<Failure>,
    time: Option<Duration>,
    all: bool,
    goals: Goals,
    show: Show,
    traffic: Traffic,
    recorder: Option<Recorder>,
    console: &'a mut Console,
    peer: &'a Address,
    parts: Parts,
}

impl Asking<'_> {
    /// Takes the next line that is a message; whether there was one. What is none is told; blank lines, and those that
    /// begin with `#`, as in a session file, are passed over.
    fn take_line(&mut self, lines: &mut LineFramer, over: bool) -> bool {
        loop {
            // All whole lines are taken before more is read, so that at the end only the last can be left.
            let (number, text) = match if over { lines.end() } else { lines.next_line() } {
                None => return false,
                Some(Line::Whole { number, text }) => (number, trim(text)),
                Some(Line::TooLong { number }) => {
                    let why = format!("the line is longer than {OBE_BODY_BYTES_MAX} bytes");
                    self.console.complain(Exit::No, format_args!("<stdin>:{number}"), why);
                    continue;
                }
            };
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            match self.parts.read_value(text, true) {
                Ok(()) => {
                    self.text.clear();
                    self.text.extend_from_slice(text);
                    return true;
                }
                Err(why) => self.console.complain(Exit::No, format_args!("<stdin>:{number}"), why),
            }
        }
    }

    /// What this connection was for.
    fn wanted(&mut self) -> Wanted {
        let missing = if self.settled { "" } else { "it replied" };
        Wanted {
            complete: self.sent,
            missing: Some(missing.to_owned()),
            failure: self.failure.take(),
            time: self.time,
            silence: Some(SILENCE),
        }
    }

    /// The end of a run whose messages have all gone.
    fn end(self) -> Result<Exit, Failure> {
        if self.goals.are_set() && !self.goals.are_met() {
            self.console.complain(Exit::No, self.peer, format_args!("no reply more before {}", self.goals.missing()));
        }
        Ok(self.console.worst())
    }

    fn reply(&mut self, message: &RawMessage<'_>, printed: &mut Vec<u8>) {
        self.traffic.came(message);
        if let Err(why) = self.parts.read_value(body(message.raw), true) {
            return self.complain(message.number, why);
        }
        self.parts.take_command();
        let verdict = self.goals.hear(&self.parts, None, self.sent);
        if verdict.failed {
            let text = format!("{}: the answer failed: {}", self.peer, shown(message.line));
            match self.goals.are_set() {
                true => self.failure = Some(Failure::Peer(text)),
                false => self.console.complain(Exit::Peer, self.peer, text),
            }
        }
        if (verdict.expected || !self.goals.select() || self.all)
            && self.show.show(message, Some(&self.parts), None, printed)
        {
            self.goals.printed();
        }
    }

    fn complain(&mut self, offset: u64, why: impl std::fmt::Display) {
        self.console.complain(Exit::Peer, format_args!("{}: offset {offset}", self.peer), why);
    }

    fn record(&mut self, write: impl FnOnce(&mut Recorder) -> Result<(), Failure>) {
        if let Some(Err(failure)) = self.recorder.as_mut().map(write) {
            self.console.survive(&failure);
        }
    }
}

impl Script for Asking<'_> {
    fn next(&mut self, _now: Instant, outbox: &mut Outbox) -> Step {
        if self.sent {
            return if self.settled { Step::Close } else { Step::ReadOn };
        }
        self.sent = true;
        let mut frame = Vec::new();
        push_frame(&self.text, &mut frame);
        outbox.push(&frame);
        self.traffic.sent(&self.text, None);
        let (text, connection) = (std::mem::take(&mut self.text), self.connection);
        self.record(|recorder| recorder.message(Instant::now(), connection, Side::Dialler, &text, None));
        Step::Write
    }

    fn heard(&mut self, frame: &Frame<'_>, _outbox: &mut Outbox, printed: &mut Vec<u8>) {
        let connection = self.connection;
        self.record(|recorder| recorder.frame(Instant::now(), connection, Side::Acceptor, frame));
        match frame {
            Frame::Message(message) if self.settled => self.complain(message.number, "more than one reply"),
            Frame::Message(message) => self.reply(message, printed),
            Frame::Bad { number, fault } => self.complain(*number, fault),
            Frame::Ignored { .. } => return,
        }
        self.settled = true;
    }

    /// OBE_Socket has none.
    fn farewell(&mut self, _outbox: &mut Outbox) {}

    fn time_limit(&self) -> Option<Duration> {
        self.time
    }
}
