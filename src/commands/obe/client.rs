//! A client of OBE_Socket: asks a server one thing after the other, each over a connection of its own (design.md,
//! section 3). `send` says what.
//!
//! A connection is made only for a message that is at hand: the reference server ends when a client connects and closes
//! without one.

use std::time::{Duration, Instant};

use crate::bcp::Message;
use crate::commands::dial::Target;
use crate::commands::goals::Goals;
use crate::commands::send::ONE_SHOT_READ_BYTES;
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, FramingOptions, RawMessage, body, push_frame};
use crate::net::dialogue::{self, Ended, Script, Step};
use crate::net::queue::Outbox;
use crate::net::wait::{Output, Stop};
use crate::output::Console;
use crate::output::show::Show;
use crate::text::shown;

/// A client, and all that lasts longer than one of its connections.
pub struct Client<'a> {
    /// What is waited for, over all replies.
    pub goals: Goals,
    /// What prints the replies; nothing does where they are compared.
    pub show: Option<Show>,
    /// Whether everything is printed, whatever the goals.
    pub all: bool,
    /// Whether replies are waited for.
    pub waits: bool,
    /// How long each is.
    pub time: Option<Duration>,
    /// What `-v` shows.
    pub traffic: Traffic,
    /// Its complaints.
    pub console: &'a mut Console,
    /// The server.
    pub target: &'a Target,
    /// How long it is dialled.
    pub retry: Duration,
    /// What ends it.
    pub stop: &'a Stop,
    /// Where replies are printed.
    pub output: &'a Output,
    /// When the message of this connection was put on its way.
    pub sent: Option<Instant>,
    /// Whether nothing is waited for any more on this connection.
    pub settled: bool,
    /// The reply that came, on one line; also one that is no JSON.
    pub reply: Option<Vec<u8>>,
    /// What ends the run: a failed answer, when something is waited for.
    pub failure: Option<Failure>,
    /// Where messages are read.
    pub parts: Message,
    text: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client that waits for each reply and prints it, without any of the public choices.
    pub fn new(
        target: &'a Target,
        retry: Duration,
        stop: &'a Stop,
        output: &'a Output,
        console: &'a mut Console,
    ) -> Client<'a> {
        Client {
            goals: Goals::default(),
            show: None,
            all: false,
            waits: true,
            time: None,
            traffic: Traffic::default(),
            console,
            target,
            retry,
            stop,
            output,
            sent: None,
            settled: false,
            reply: None,
            failure: None,
            parts: Message::new(),
            text: Vec::new(),
        }
    }

    /// Sends a message over a connection of its own, and waits for the reply; how that ended, or `None` when the stop
    /// came while nobody was there.
    ///
    /// # Errors
    /// Nobody can be reached.
    pub fn ask(&mut self, text: &[u8]) -> Result<Option<Ended>, Failure> {
        let Some(socket) = self.target.dial(self.retry, self.stop, self.console)? else { return Ok(None) };
        (self.sent, self.settled, self.reply) = (None, !self.waits, None);
        self.text.clear();
        self.text.extend_from_slice(text);
        let framing = FramingOptions { read_bytes: ONE_SHOT_READ_BYTES, ..FramingOptions::obe() };
        let (stop, output) = (self.stop, self.output);
        let mut ended = dialogue::converse(socket, framing, self, stop, None, output);
        // That a server closes once we have, without a reply, tells of no interest in the message.
        ended.noticed &= self.settled;
        Ok(Some(ended))
    }

    fn hear(&mut self, message: &RawMessage<'_>, printed: &mut Vec<u8>) {
        self.traffic.came(message);
        self.reply = Some(message.line.to_vec());
        if let Err(why) = self.parts.parse_value(body(message.raw), true) {
            return self.complain(message.number, why);
        }
        self.parts.take_command();
        let Some(show) = &mut self.show else { return };
        let verdict = self.goals.hear(&self.parts, None, true);
        if (verdict.expected || !self.goals.select() || self.all)
            && show.show(message, Some(&self.parts), None, printed)
        {
            self.goals.printed();
        }
        if verdict.failed {
            let (peer, text) = (&self.target.address, format!("the answer failed: {}", shown(message.line)));
            match self.goals.are_set() {
                true => self.failure = Some(Failure::Peer(format!("{peer}: {text}"))),
                false => self.console.complain(Exit::Peer, peer, text),
            }
        }
    }

    fn complain(&mut self, offset: u64, why: impl std::fmt::Display) {
        self.console.complain(Exit::Peer, format_args!("{}: offset {offset}", self.target.address), why);
    }
}

impl Script for Client<'_> {
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        if self.sent.is_some() {
            return if self.settled { Step::Close } else { Step::ReadOn };
        }
        self.sent = Some(now);
        let mut frame = Vec::new();
        push_frame(&self.text, &mut frame);
        outbox.push(&frame);
        self.traffic.sent(&self.text, None);
        Step::Write
    }

    fn heard(&mut self, frame: &Frame<'_>, _outbox: &mut Outbox, printed: &mut Vec<u8>) {
        if !self.waits {
            // Whether one comes before we have closed is chance, and must not show.
            return;
        }
        match frame {
            Frame::Message(message) if self.reply.is_some() => self.complain(message.number, "more than one reply"),
            Frame::Message(message) => self.hear(message, printed),
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
