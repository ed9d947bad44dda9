//! The script of `send`: what goes out when, and what becomes of what comes (design.md, section 9).

use std::io;
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::outgoing::{Outgoing, guard};
use super::pace::Pace;
use crate::bcp::conversation::{self, Conversation, ConversationConfig, ReceiveOutcome, Role};
use crate::bcp::line_command;
use crate::bcp::{Message, ParseOptions};
use crate::commands::ending::{Wanted, complain_of_frame};
use crate::commands::goals::Goals;
use crate::commands::recorder::Recorder;
use crate::commands::stream::{Item, Stream};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, FramingOptions, RawMessage};
use crate::net::address::Address;
use crate::net::dialogue::{Script, Step};
use crate::net::queue::Outbox;
use crate::output::Console;
use crate::output::show::Show;
use crate::session::{CONNECTION_MAX, RecordKind};
use crate::text::shown;

/// Where the messages come from.
#[derive(Debug)]
pub enum Source {
    /// Nowhere: the handshake is all.
    Nothing,
    /// The arguments.
    One {
        /// The message.
        message: Outgoing,
        /// How many times it is to be sent.
        times: u64,
        /// How many times it has been put on its way.
        gone: u64,
    },
    /// Standard input, each message sent when it arrives.
    Stream {
        /// What has arrived.
        stream: Box<Stream>,
        /// Whether nothing of it is left to be sent.
        dry: bool,
    },
}

impl Source {
    /// Standard input, of which nothing has arrived, with the limits of `framing`.
    pub fn stream(framing: &FramingOptions) -> Source {
        Source::Stream { stream: Box::new(Stream::new(framing)), dry: true }
    }

    /// What has not been put on its way, as far as it is known.
    fn left_out(&mut self) -> Option<String> {
        match self {
            Source::Nothing => None,
            Source::One { times, gone, .. } => {
                let left = times.saturating_sub(*gone);
                (left > 0).then(|| format!("{left} of {times} messages were not sent"))
            }
            Source::Stream { stream, .. } => {
                let is_empty = matches!(stream.next_item(), Item::Dry | Item::Over);
                (!is_empty).then(|| "the rest of standard input was not sent".to_owned())
            }
        }
    }
}

/// What a handshake of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    /// We have to begin it.
    Due,
    /// The peer has to answer.
    Running,
    /// It is done, or there is none.
    Done,
}

/// The script of `send`.
#[derive(Debug)]
pub struct Sender<'a> {
    conversation: Conversation,
    says_hello: bool,
    handshake: Handshake,
    /// The connection's number, from 1.
    connection: u32,
    ledger: Ledger,
    /// Whether the connection was lost and another one is to go on.
    again: bool,
    /// When the time began to count, over an earlier connection.
    began: Option<Instant>,
    source: Source,
    goals: Goals,
    show: Show,
    console: &'a mut Console,
    peer: &'a Address,
    /// Whether everything that was to be said has been.
    complete: bool,
    /// What ends the run before its goals are met.
    failure: Option<Failure>,
    parts: Message,
    said: Vec<u8>,
    /// `--every`.
    pub pace: Pace,
    /// How long the run may take.
    pub time: Option<Duration>,
    /// Whether it stays until the time is up though it waits for nothing.
    pub stays: bool,
    /// Whether it says goodbye.
    pub goodbye: bool,
    /// `--reconnect`.
    pub reconnects: bool,
    /// Whether what would stop MPF is refused.
    pub guarded: bool,
    /// `--all`.
    pub all: bool,
    /// What `-v` shows.
    pub traffic: Traffic,
    /// `--record`.
    pub recorder: Option<Recorder>,
}

impl<'a> Sender<'a> {
    /// A script that sends what `source` gives and waits for the goals, without any of the public choices.
    pub fn new(source: Source, goals: Goals, show: Show, peer: &'a Address, console: &'a mut Console) -> Sender<'a> {
        Sender {
            conversation: Conversation::new(Role::Client, ConversationConfig::default()),
            says_hello: false,
            handshake: Handshake::Done,
            connection: 1,
            ledger: Ledger::default(),
            again: false,
            began: None,
            complete: matches!(source, Source::Nothing),
            source,
            goals,
            show,
            console,
            peer,
            failure: None,
            parts: Message::new(),
            said: Vec::new(),
            pace: Pace::default(),
            time: None,
            stays: false,
            goodbye: true,
            reconnects: false,
            guarded: true,
            all: false,
            traffic: Traffic::new(false),
            recorder: None,
        }
    }

    /// Opens as a pin controller (`--hello`), or does not.
    pub fn hello(&mut self, says_hello: bool) {
        let (role, handshake) = match says_hello {
            true => (Role::PinController, Handshake::Due),
            false => (Role::Client, Handshake::Done),
        };
        self.conversation = Conversation::new(role, ConversationConfig::default());
        self.says_hello = says_hello;
        self.handshake = handshake;
    }

    /// Whether the connection, which ended like this, was lost and another one is wanted: says so, and is ready for it.
    pub fn wants_another(&mut self, how: &str, unfinished: &[u8], began: Option<Instant>) -> bool {
        if !std::mem::take(&mut self.again) {
            return false;
        }
        let connection = self.connection;
        self.record(|recorder| recorder.ended(connection, how, RecordKind::Server, unfinished));
        self.began = began;
        self.connection = self.connection.saturating_add(1).min(CONNECTION_MAX);
        self.hello(self.says_hello);
        let what = if matches!(self.source, Source::Stream { .. }) { "line" } else { "message" };
        let text = match self.ledger.last() {
            None => "lost before anything was sent; dialling again".to_owned(),
            Some(last) => {
                format!("lost after {what} {last}, which may be lost too with some before it; dialling again")
            }
        };
        // Messages may be lost, so this is said even where notes are not; the run may still end well.
        self.console.complain(Exit::Done, self.peer, text);
        true
    }

    /// How long another connection may be waited for, if there is a limit.
    pub fn time_left(&self) -> Option<Duration> {
        let time = self.time?;
        Some(self.began.map_or(time, |began| time.saturating_sub(began.elapsed())))
    }

    /// Ends the recording, and says what became of the run.
    pub fn finish(mut self, how: &str, unfinished: &[u8]) -> Wanted {
        let connection = self.connection;
        self.record(|recorder| recorder.ended(connection, how, RecordKind::Server, unfinished));
        Wanted {
            complete: self.complete,
            missing: self.goals.are_set().then(|| self.goals.missing()),
            failure: self.failure,
            time: self.time,
            left_out: self.source.left_out(),
            silence: None,
        }
    }
}

impl Script for Sender<'_> {
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        if self.failure.is_some() {
            return Step::Done;
        }
        if self.conversation.peer_has_left() {
            // Who reconnects waits for the close that follows.
            return if self.goes_on_without() { Step::ReadOn } else { Step::Done };
        }
        if outbox.is_empty() {
            self.ledger.all_gone();
        }
        match self.handshake {
            Handshake::Due => {
                self.handshake = Handshake::Running;
                self.said.clear();
                // It cannot have begun before.
                let _ = self.conversation.open(&mut self.said);
                self.push_said(outbox);
                return Step::Write;
            }
            Handshake::Running => return Step::ReadOn,
            Handshake::Done => {}
        }
        if self.send_waiting(outbox) {
            return Step::Write;
        }
        if !self.complete {
            let step = match &self.source {
                Source::Nothing => Step::Done,
                Source::One { .. } => self.send_one(now, outbox),
                Source::Stream { .. } => self.send_stream(now, outbox),
            };
            if !self.complete {
                return step;
            }
        }
        let met = self.goals.are_met();
        match self.goals.are_set() || self.stays {
            // A goal may be met by now, but not before the last message has gone.
            true if !outbox.is_empty() => Step::Write,
            true if !met => Step::ReadOn,
            _ => Step::Done,
        }
    }

    fn heard(&mut self, frame: &Frame<'_>, outbox: &mut Outbox, printed: &mut Vec<u8>) {
        let connection = self.connection;
        self.record(|recorder| recorder.frame(Instant::now(), connection, RecordKind::Server, frame));
        match frame {
            Frame::Message(message) => self.message(message, outbox, printed),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => complain_of_frame(self.console, self.peer, *number, *fault),
        }
    }

    fn farewell(&mut self, outbox: &mut Outbox) {
        if self.goodbye {
            self.said.clear();
            self.conversation.leave(&mut self.said);
            self.push_said(outbox);
        }
    }

    fn wants_input(&self) -> bool {
        let is_open = matches!(&self.source, Source::Stream { stream, dry: true } if !stream.has_ended());
        is_open && !self.complete && self.handshake == Handshake::Done && !self.conversation.peer_has_left()
    }

    fn began(&self) -> Option<Instant> {
        self.began
    }

    fn goes_on(&mut self, outbox: &Outbox) -> bool {
        self.again = self.goes_on_without();
        if self.again {
            self.ledger.lost(outbox);
        }
        self.again
    }

    fn time_limit(&self) -> Option<Duration> {
        self.time
    }

    fn input(&mut self, bytes: io::Result<&[u8]>) {
        let Source::Stream { stream, .. } = &mut self.source else { return };
        match bytes {
            Ok([]) => stream.end(),
            Ok(bytes) => stream.feed(bytes),
            Err(error) => {
                stream.end();
                self.console.survive(&Failure::io("cannot read <stdin>", &error));
            }
        }
    }
}

/// What is said.
impl Sender<'_> {
    /// Sends the message of the arguments as often as there is room, or once when its time has come.
    fn send_one(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        if let Some(due) = self.pace.wait(now) {
            return Step::WaitUntil(due);
        }
        let connection = self.connection;
        let Sender { source, conversation, console, traffic, recorder, pace, ledger, .. } = self;
        let Source::One { message, times, gone } = source else { return Step::Done };
        while *gone < *times && outbox.has_room(message.whole.len()) {
            *gone += 1;
            // The message may be a goodbye, behind which nothing goes.
            if conversation.send(&line_command(message.line())).is_err() {
                *gone = *times;
                break;
            }
            traffic.sent(message.line(), message.payload().map(<[u8]>::len));
            record(recorder, console, |recorder| {
                recorder.message(Instant::now(), connection, RecordKind::Client, message.line(), message.payload())
            });
            ledger.push(*gone);
            outbox.push(&message.whole);
            pace.gone(now);
            if pace.is_set() {
                break;
            }
        }
        self.complete = *gone == *times;
        Step::Write
    }

    /// Sends what has arrived, as far as there is room, or one message when its time has come.
    fn send_stream(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        if let Some(due) = self.pace.wait(now) {
            return Step::WaitUntil(due);
        }
        let connection = self.connection;
        let Sender { source, conversation, console, traffic, recorder, pace, guarded, ledger, .. } = self;
        let Source::Stream { stream, dry } = source else { return Step::Done };
        *dry = false;
        while outbox.has_room(1) {
            match stream.next_item() {
                Item::Dry => {
                    *dry = true;
                    pace.idle(now);
                    break;
                }
                Item::Over => {
                    self.complete = true;
                    break;
                }
                Item::Wrong { number, why } => console.complain(Exit::No, format_args!("<stdin>:{number}"), why),
                Item::Message { number, line, whole } => {
                    let payload = whole.get(line.len() + 1..).filter(|payload| !payload.is_empty());
                    if let Some(why) = guarded.then(|| guard(line, payload)).and_then(Result::err) {
                        console.complain(Exit::No, format_args!("<stdin>:{number}"), format_args!("not sent: {why}"));
                        continue;
                    }
                    if let Err(misuse) = conversation.send(&line_command(line)) {
                        let why = format!("not sent: {misuse}");
                        console.complain(Exit::No, format_args!("<stdin>:{number}"), why);
                        self.complete = true;
                        break;
                    }
                    traffic.sent(line, payload.map(<[u8]>::len));
                    record(recorder, console, |recorder| {
                        recorder.message(Instant::now(), connection, RecordKind::Client, line, payload)
                    });
                    ledger.push(number);
                    outbox.push(whole);
                    pace.gone(now);
                    if pace.is_set() {
                        break;
                    }
                }
            }
        }
        if outbox.is_empty() { Step::ReadOn } else { Step::Write }
    }

    /// Whether the run goes on over another connection when it loses this one.
    fn goes_on_without(&self) -> bool {
        let is_over = self.complete && (self.goals.are_met() || !(self.goals.are_set() || self.stays));
        self.reconnects && self.failure.is_none() && !is_over
    }

    /// Sends what the connection before did not take, in front of everything; whether there was any. It was shown and
    /// recorded when it was on its way for the first time.
    fn send_waiting(&mut self, outbox: &mut Outbox) -> bool {
        let was_empty = outbox.is_empty();
        while let Some((number, message)) = self.ledger.next_waiting() {
            // A goodbye is the last word over this connection too.
            let line = message.split(|&b| b == b'\n').next().unwrap_or_default();
            if self.conversation.send(&line_command(line)).is_ok() {
                self.ledger.push(number);
                outbox.push(&message);
            }
        }
        was_empty && !outbox.is_empty()
    }

    /// Sends what the conversation had to say.
    fn push_said(&mut self, outbox: &mut Outbox) {
        if self.said.is_empty() {
            return;
        }
        self.traffic.sent_lines(&self.said);
        self.ledger.push(0);
        let (said, connection) = (&self.said, self.connection);
        record(&mut self.recorder, self.console, |recorder| {
            recorder.lines(Instant::now(), connection, RecordKind::Client, said)
        });
        outbox.push(said);
    }

    fn record(&mut self, write: impl FnOnce(&mut Recorder) -> Result<(), Failure>) {
        record(&mut self.recorder, self.console, write);
    }
}

/// What is heard.
impl Sender<'_> {
    fn message(&mut self, message: &RawMessage<'_>, outbox: &mut Outbox, printed: &mut Vec<u8>) {
        self.traffic.came(message);
        self.said.clear();
        let payload_bytes = message.payload.map(<[u8]>::len);
        let mut matched = false;
        let (effect, readable) = match self.parts.parse_line(message.text(), &ParseOptions::default()) {
            Ok(()) => {
                let verdict = self.goals.hear(&self.parts, payload_bytes, self.complete);
                matched = verdict.expected;
                if verdict.failed {
                    self.answer_failed(message.line);
                }
                (self.conversation.receive(&self.parts, &mut self.said), true)
            }
            Err(why) => {
                self.console.complain(Exit::No, format_args!("{}: line {}", self.peer, message.number), why);
                (self.conversation.receive_malformed(message.line, &mut self.said), false)
            }
        };
        self.push_said(outbox);
        self.follow(&effect);
        let is_ours = !matches!(effect, ReceiveOutcome::Deliver | ReceiveOutcome::PeerError(_));
        let wanted = if self.goals.select() { matched } else { !is_ours };
        if (wanted || self.all)
            && self.goals.admit_more()
            && self.show.show(message, readable.then_some(&self.parts), None, printed)
        {
            self.goals.printed();
        }
    }

    /// Draws the conclusions of what the conversation has heard.
    fn follow(&mut self, effect: &ReceiveOutcome) {
        match effect {
            ReceiveOutcome::Ready => {
                self.handshake = Handshake::Done;
                self.goals.ready();
            }
            ReceiveOutcome::PeerError(
                fault @ (conversation::PeerError::VersionRefused(_) | conversation::PeerError::Version(_)),
            ) => {
                self.failure = Some(Failure::Peer(format!("{}: {fault}", self.peer)));
            }
            ReceiveOutcome::UnusualVersion(version) => {
                let version = shown(version.as_bytes());
                self.console.note(format_args!("{}: accepted protocol version {version}", self.peer));
            }
            _ => {}
        }
    }

    /// A failed answer ends the run when something is waited for, whatever comes behind it; else it is what the run
    /// ends with.
    fn answer_failed(&mut self, line: &[u8]) {
        let text = format!("the answer failed: {}", shown(line));
        match (self.goals.are_set(), &self.failure) {
            (true, None) => self.failure = Some(Failure::Peer(format!("{}: {text}", self.peer))),
            (true, Some(_)) => {}
            (false, _) => self.console.complain(Exit::Peer, self.peer, text),
        }
    }
}

/// Records something, if anything is recorded; a recording that fails is said, and the run goes on.
fn record(
    recorder: &mut Option<Recorder>,
    console: &mut Console,
    write: impl FnOnce(&mut Recorder) -> Result<(), Failure>,
) {
    if let Some(Err(failure)) = recorder.as_mut().map(write) {
        console.survive(&failure);
    }
}
