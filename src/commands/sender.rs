//! The script of `send`: what goes out when, and what becomes of what comes (design.md, section 9).

use std::io;
use std::time::Instant;

use super::ending::complain_of_frame;
use super::recorder::Recorder;
use super::send::print;
use super::stream::{Item, Stream, command};
use super::traffic::Traffic;
use crate::codec::{Parts, Reading};
use crate::conversation::{Conversation, Effect};
use crate::failure::{Exit, Failure};
use crate::framing::Frame;
use crate::net::address::Address;
use crate::net::dialogue::{Script, Step};
use crate::net::queue::Outbox;
use crate::output::Console;
use crate::session::Side;

/// Where the messages come from.
pub enum Source {
    /// The arguments; `None` once it has gone.
    One(Option<Vec<u8>>),
    /// Standard input, each message sent when it arrives.
    Stream(Box<Stream>),
}

/// The script of `send`.
pub struct Sender<'a> {
    /// Where the conversation stands.
    pub conversation: Conversation,
    /// Where the messages come from.
    pub source: Source,
    /// Whether everything that was to be said has been.
    pub complete: bool,
    /// Whom to tell.
    pub console: &'a mut Console,
    /// What `-v` shows.
    pub traffic: Traffic,
    /// `--record`.
    pub recorder: Option<Recorder>,
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// The peer, for messages.
    pub peer: &'a Address,
    /// The message that is being looked at.
    pub parts: Parts,
    /// What the conversation has to say.
    pub said: Vec<u8>,
}

impl Script for Sender<'_> {
    fn next(&mut self, _now: Instant, outbox: &mut Outbox) -> Step {
        if self.complete || self.conversation.peer_has_left() {
            return Step::Done;
        }
        match &mut self.source {
            Source::One(message) => {
                if let Some(message) = message.take() {
                    let line = message.strip_suffix(b"\n").unwrap_or(&message);
                    // The only message may be a goodbye, which is then not said twice.
                    if self.conversation.say(&command(line)).is_ok() {
                        self.traffic.sent(line, None);
                        record(&mut self.recorder, self.console, |recorder| {
                            recorder.message(Instant::now(), 1, Side::Dialler, line, None)
                        });
                        outbox.push(&message);
                    }
                }
                self.complete = true;
                Step::Done
            }
            Source::Stream(_) => self.send_stream(outbox),
        }
    }

    fn heard(&mut self, frame: &Frame<'_>, outbox: &mut Outbox, printed: &mut Vec<u8>) {
        record(&mut self.recorder, self.console, |recorder| recorder.frame(Instant::now(), 1, Side::Acceptor, frame));
        let message = match frame {
            Frame::Message(message) => message,
            Frame::Ignored { .. } => return,
            Frame::Bad { number, fault } => return complain_of_frame(self.console, self.peer, *number, *fault),
        };
        self.traffic.came(message);
        self.said.clear();
        let effect = match self.parts.read_line(message.text(), &Reading::default()) {
            Ok(()) => self.conversation.hear(&self.parts, &mut self.said),
            Err(why) => {
                self.console.complain(Exit::No, format_args!("{}: line {}", self.peer, message.number), why);
                self.conversation.hear_malformed(message.line, &mut self.said)
            }
        };
        self.push_said(outbox);
        match effect {
            Effect::DealtWith | Effect::PeerLeft | Effect::Ready => {}
            Effect::Passed | Effect::Fault(_) => print(message, self.terminal, printed),
        }
    }

    fn farewell(&mut self, outbox: &mut Outbox) {
        self.said.clear();
        self.conversation.leave(&mut self.said);
        self.push_said(outbox);
    }

    fn wants_input(&self) -> bool {
        !self.complete && matches!(&self.source, Source::Stream(stream) if !stream.has_ended())
    }

    fn input(&mut self, bytes: io::Result<&[u8]>) {
        let Source::Stream(stream) = &mut self.source else { return };
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

impl Sender<'_> {
    /// Sends what the conversation had to say.
    fn push_said(&mut self, outbox: &mut Outbox) {
        self.traffic.sent_lines(&self.said);
        let said = &self.said;
        record(&mut self.recorder, self.console, |recorder| recorder.lines(Instant::now(), 1, Side::Dialler, said));
        outbox.push(said);
    }

    /// Sends what has arrived, as far as there is room.
    fn send_stream(&mut self, outbox: &mut Outbox) -> Step {
        let Sender { source, conversation, console, traffic, recorder, .. } = self;
        let Source::Stream(stream) = source else { return Step::Done };
        while outbox.has_room(1) {
            match stream.next_item() {
                Item::Dry => break,
                Item::Over => {
                    self.complete = true;
                    break;
                }
                Item::Wrong { number, why } => console.complain(Exit::No, format_args!("<stdin>:{number}"), why),
                Item::Message { number, line, whole } => {
                    if let Err(misuse) = conversation.say(&command(line)) {
                        console.complain(
                            Exit::No,
                            format_args!("<stdin>:{number}"),
                            format_args!("not sent: {misuse}"),
                        );
                        self.complete = true;
                        break;
                    }
                    let payload = whole.get(line.len() + 1..).filter(|payload| !payload.is_empty());
                    traffic.sent(line, payload.map(<[u8]>::len));
                    record(recorder, console, |recorder| {
                        recorder.message(Instant::now(), 1, Side::Dialler, line, payload)
                    });
                    outbox.push(whole);
                }
            }
        }
        match (self.complete, outbox.is_empty()) {
            (true, _) => Step::Done,
            (false, true) => Step::ReadOn,
            (false, false) => Step::Write,
        }
    }
}

/// Records something, if anything is recorded; a recording that fails is said, and the run goes on.
pub fn record(
    recorder: &mut Option<Recorder>,
    console: &mut Console,
    write: impl FnOnce(&mut Recorder) -> Result<(), Failure>,
) {
    if let Some(Err(failure)) = recorder.as_mut().map(write) {
        console.survive(&failure);
    }
}
