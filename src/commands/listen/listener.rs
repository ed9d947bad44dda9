//! What `listen` is to those it talks with: media controller, stand-in pin controller, or attached to a running MPF.
//! `replay --loopback` plays to one too.
//!
//! It hears frames in the printer's thread, answers, records and prints. Sockets and the end of the run are `net`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parting;
use super::printing::{Printing, Speaker};
use super::reply::Reply;
use crate::bcp::conversation::{self, Conversation, ConversationConfig, ProtocolError, ReceiveOutcome, Role};
use crate::bcp::line_command;
use crate::bcp::pattern::Pattern;
use crate::bcp::template::Side;
use crate::bcp::{Malformed, Message, ParseOptions};
use crate::catalogue::{self, Refusal};
use crate::commands::recorder::Recorder;
use crate::commands::stream::{Item, Stream};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure};
use crate::framing::{Frame, FramingError, FramingOptions, RawMessage};
use crate::net::connection::{Connection, Left, QUEUE_BYTES_MAX, Said};
use crate::net::server::{Host, Next};
use crate::output::Console;
use crate::session::RecordKind;
use crate::text::shown;

/// How often a reply may be given in [`REPLY_TIME`] on one connection: two programs that answer each other do not stop.
pub const REPLIES_MAX: u32 = 1000;

/// The time in which [`REPLIES_MAX`] replies are too many.
const REPLY_TIME: Duration = Duration::from_secs(1);

/// Which part is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The media controller of whoever dials.
    #[default]
    Media,
    /// A pin controller that greets whoever dials, as MPF's port for its clients does.
    Pin,
    /// A pin controller that dials its media controller.
    DiallingPin,
    /// Somebody who joins a running MPF.
    Attached,
}

impl Part {
    /// Whether we dialled.
    pub fn dials(self) -> bool {
        matches!(self, Part::DiallingPin | Part::Attached)
    }

    fn role(self) -> Role {
        match self {
            Part::Media => Role::MediaController,
            Part::DiallingPin => Role::PinController,
            Part::Pin | Part::Attached => Role::Client,
        }
    }
}

/// What a listener is told at its start.
#[derive(Default)]
pub struct Setup {
    /// Which part it plays.
    pub part: Part,
    /// What it subscribes to, as lines.
    pub subscriptions: Vec<u8>,
    /// What a `hello` has to look like, instead of naming version 1, 1.x or none.
    pub accepts: Option<Pattern>,
    /// The limits of what goes out.
    pub framing: FramingOptions,
    /// Scripted answers; the first that matches counts.
    pub replies: Vec<Reply>,
    /// Whether nothing is answered by itself.
    pub silent: bool,
    /// Whether the first connection that closes is the last.
    pub once: bool,
    /// Shows the traffic.
    pub traffic: Traffic,
    /// Records it.
    pub recorder: Option<Recorder>,
}

/// One connection's conversation.
struct Talk {
    conversation: Conversation,
    connection: Arc<Connection>,
    peer: Arc<str>,
    /// What stdin and replies had to say before the handshake was done.
    backlog: Vec<u8>,
    /// For each reply, since when its gifts are counted, and how many; `None` once it is stopped.
    replied: Vec<Option<(Instant, u32)>>,
}

/// How the only connection ended, when it was not in order.
pub struct Lost {
    /// In the words of a recording.
    pub how: String,
    /// Whether the peer broke the framing.
    pub broken: bool,
}

/// Talks with every peer, and prints what comes.
pub struct Listener {
    setup: Setup,
    talks: BTreeMap<u64, Talk>,
    /// Where messages are printed; a peer inside this process needs no print.
    pub printing: Option<Printing>,
    /// What stdin brings, once it has brought something.
    stream: Option<Stream>,
    parts: Message,
    said: Vec<u8>,
    /// Its complaints, and the worst of them.
    pub console: Console,
    /// How the only connection ended, when that ends the run with a failure.
    pub lost: Option<Lost>,
    /// Whether the other side refused our version, which it would again.
    refused: bool,
    /// Whether stdin has ended.
    pub stdin_over: bool,
}

impl Listener {
    /// A listener for whom nobody has come yet.
    pub fn new(setup: Setup, printing: Option<Printing>, console: Console) -> Listener {
        Listener {
            setup,
            talks: BTreeMap::new(),
            printing,
            stream: None,
            parts: Message::new(),
            said: Vec::new(),
            console,
            lost: None,
            refused: false,
            stdin_over: false,
        }
    }

    /// Whether nothing but the loss of its connection has ended it. Gets ready for another one then, and says so.
    pub fn goes_on(&mut self) -> bool {
        if self.refused || self.printing.as_ref().is_none_or(Printing::is_done) {
            return false;
        }
        let how = self.lost.take().map_or_else(|| "ended".to_owned(), |lost| lost.how);
        self.console.note(format_args!("the connection was {how}; dialling again"));
        true
    }

    fn message(&mut self, connection: &Connection, message: &RawMessage<'_>, seen: Instant) -> Next {
        self.setup.traffic.came(message);
        let read = self.parts.parse_line(message.text(), &ParseOptions::default());
        let Some(talk) = self.talks.get_mut(&connection.number) else { return Next::GoOn };
        let peer = Arc::clone(&talk.peer);
        let mut next = Next::GoOn;
        if let Some(printing) = &mut self.printing {
            let speaker = Speaker { connection: connection.number, peer: &peer, from: their_end(self.setup.part) };
            if printing.message(message, read.is_ok().then_some(&self.parts), speaker, seen) {
                next = Next::Stop;
            }
        }
        let effect = self.hear(connection.number, message, read, &peer);
        self.answer(connection.number);
        match effect {
            ReceiveOutcome::PeerLeft => connection.finish(),
            ReceiveOutcome::Ready => self.release(connection.number),
            ReceiveOutcome::PeerError(conversation::PeerError::VersionRefused(_)) => {
                self.refused = true;
                next = Next::Stop;
            }
            ReceiveOutcome::PeerError(_)
            | ReceiveOutcome::Deliver
            | ReceiveOutcome::Consumed
            | ReceiveOutcome::UnusualVersion(_) => {}
        }
        next
    }

    /// Has the conversation hear what was read, and puts into `said` what is to be answered.
    fn hear(
        &mut self,
        number: u64,
        message: &RawMessage<'_>,
        read: Result<(), Malformed>,
        peer: &str,
    ) -> ReceiveOutcome {
        let Listener { setup, talks, parts, said, console, .. } = self;
        let place = (peer, message.number);
        said.clear();
        let Some(talk) = talks.get_mut(&number) else { return ReceiveOutcome::Deliver };
        let effect = match read {
            Ok(()) => talk.conversation.receive(parts, said),
            Err(why) => {
                report(console, Exit::Failed, place, why);
                talk.conversation.receive_malformed(message.line, said);
                // What is no message matches no pattern, so that no reply is for it.
                if setup.silent {
                    said.clear();
                }
                return ReceiveOutcome::PeerError(conversation::PeerError::Malformed);
            }
        };
        if setup.silent {
            said.clear();
        }
        let bytes = message.payload.map(<[u8]>::len);
        let answered = effect != ReceiveOutcome::PeerLeft
            && parts.command() != "error"
            && reply(&setup.replies, talk, (parts, bytes), said, console);
        let line = said.strip_suffix(b"\n").unwrap_or_default();
        if answered && setup.part == Part::Attached && !said.is_empty() {
            if let Err(refusal) = catalogue::check_line(line, None) {
                report(console, Exit::Failed, place, format_args!("the --reply to it was not sent: {refusal}"));
                said.clear();
            }
        }
        match &effect {
            ReceiveOutcome::PeerError(
                conversation::PeerError::UnknownCommand(_) | conversation::PeerError::Malformed,
            ) => {}
            ReceiveOutcome::PeerError(fault) if !answered => report(console, Exit::Peer, place, fault),
            ReceiveOutcome::UnusualVersion(version) => {
                console.note(format_args!("{peer}: accepted protocol version {}", shown(version.as_bytes())));
            }
            _ => {}
        }
        effect
    }

    /// Says what waits in `said`, in one write.
    fn answer(&mut self, number: u64) {
        if self.said.is_empty() {
            return;
        }
        let Some(talk) = self.talks.get(&number) else { return };
        let ours = our_side(self.setup.part);
        if is_said(talk, &self.said, &mut self.console) {
            self.setup.traffic.sent_lines(&self.said);
            if let Some(recorder) = &mut self.setup.recorder {
                let recorded = recorder.lines(Instant::now(), narrow(number), ours, &self.said);
                survive(&mut self.console, recorded);
            }
        }
    }

    /// Says what had to wait until the handshake was done.
    fn release(&mut self, number: u64) {
        if let Some(talk) = self.talks.get_mut(&number) {
            self.said.clear();
            self.said.append(&mut talk.backlog);
        }
        self.answer(number);
    }

    /// Says a message of stdin to everyone; to a running MPF only what it survives.
    fn say_to_all(&mut self, place: &str, line: &[u8], whole: &[u8]) {
        let payload = whole.get(line.len() + 1..).filter(|payload| !payload.is_empty());
        if let Some(refusal) = self.refusal(line, payload) {
            return self.console.report(Exit::Failed, place, format_args!("not sent: {refusal}"));
        }
        let command = line_command(line);
        let numbers: Vec<u64> = self.talks.keys().copied().collect();
        if numbers.is_empty() {
            self.console.report(Exit::Failed, place, "not sent: nobody is connected");
        }
        for number in numbers {
            let Some(talk) = self.talks.get_mut(&number) else { continue };
            match talk.conversation.send(&command) {
                Ok(()) => {}
                Err(ProtocolError::InHandshake) if talk.backlog.len() + whole.len() <= QUEUE_BYTES_MAX => {
                    talk.backlog.extend_from_slice(whole);
                    continue;
                }
                Err(misuse) => {
                    self.console.report(Exit::Failed, &talk.peer, format_args!("{command} was not sent: {misuse}"));
                    continue;
                }
            }
            if is_said(talk, whole, &mut self.console) {
                self.setup.traffic.sent(line, payload.map(<[u8]>::len));
                if let Some(recorder) = &mut self.setup.recorder {
                    let ours = our_side(self.setup.part);
                    let recorded = recorder.message(Instant::now(), narrow(number), ours, line, payload);
                    survive(&mut self.console, recorded);
                }
            }
            if command.eq_ignore_ascii_case("goodbye") {
                talk.connection.finish();
            }
        }
    }

    /// Why a line of ours must not reach the MPF that we are attached to (design.md, section 13).
    fn refusal(&self, line: &[u8], payload: Option<&[u8]>) -> Option<Refusal> {
        let attached = self.setup.part == Part::Attached;
        attached.then(|| catalogue::check_line(line, payload).err()).flatten()
    }

    /// Records and remembers how a connection ended.
    fn note_end(&mut self, talk: &Talk, left: &Left) {
        let number = narrow(talk.connection.number);
        let by_them = talk.connection.is_open() || talk.conversation.peer_has_left();
        let how = parting::how(left, by_them, their_end(self.setup.part));
        let unfinished = if let Left::Closed(unfinished) = left { unfinished.as_slice() } else { &[] };
        if let Some(recorder) = &mut self.setup.recorder {
            let ours = our_side(self.setup.part);
            let farewell = match talk.connection.was_told_farewell() {
                true => recorder.lines(Instant::now(), number, ours, b"goodbye\n"),
                false => Ok(()),
            };
            let ended = recorder.ended(number, &how, their_side(self.setup.part), unfinished);
            survive(&mut self.console, farewell.and(ended));
        }
        // Whoever was attached to a game wants to know that it is gone.
        if self.setup.part.dials() && talk.connection.is_open() && !talk.conversation.peer_has_left() {
            self.lost = Some(Lost { how, broken: matches!(left, Left::Broken(_)) });
        }
    }
}

/// Whether these messages are on their way; a peer that does not read is reset, and that is said.
fn is_said(talk: &Talk, messages: &[u8], console: &mut Console) -> bool {
    let said = talk.connection.say(messages);
    if said == Said::Overrun {
        let why = format!("it does not read: reset with {QUEUE_BYTES_MAX} bytes waiting for it");
        console.report(Exit::Failed, &talk.peer, why);
    }
    said == Said::Queued
}

fn their_end(part: Part) -> Side {
    if part.dials() { Side::Server } else { Side::Client }
}

/// The side of a recording that an end is.
pub fn side(end: Side) -> RecordKind {
    match end {
        Side::Client => RecordKind::Client,
        Side::Server => RecordKind::Server,
    }
}

fn their_side(part: Part) -> RecordKind {
    side(their_end(part))
}

fn our_side(part: Part) -> RecordKind {
    side(their_end(part).other())
}

/// What a frame that is none costs: where it breaks the framing, what the peer is to blame for.
pub fn exit_of(fault: FramingError) -> Exit {
    match fault {
        FramingError::LineTooLong { .. } | FramingError::PayloadCut { .. } => Exit::Failed,
        FramingError::PayloadTooLarge { .. } | FramingError::Obe(_) => Exit::Peer,
    }
}

/// A connection's number as a session file has it; nobody has a thousand million connections.
pub fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX).min(crate::session::CONNECTION_MAX)
}

/// Says that a recording has failed, which the run survives.
pub fn survive(console: &mut Console, recorded: Result<(), Failure>) {
    if let Err(failure) = recorded {
        console.report_failure(&failure);
    }
}

/// Puts the scripted answer in the place of the built-in one; whether there is one.
fn reply(
    replies: &[Reply],
    talk: &mut Talk,
    (message, bytes): (&Message, Option<usize>),
    said: &mut Vec<u8>,
    console: &mut Console,
) -> bool {
    let Some((index, reply)) = replies.iter().enumerate().find(|(_, reply)| reply.matches(message, bytes)) else {
        return false;
    };
    said.clear();
    let Some(Some((since, count))) = talk.replied.get_mut(index) else { return true };
    let now = Instant::now();
    if now.saturating_duration_since(*since) >= REPLY_TIME {
        (*since, *count) = (now, 0);
    }
    *count = count.saturating_add(1);
    if *count > REPLIES_MAX {
        let text = reply.shown();
        let why = format!(
            "--reply {text}: given {REPLIES_MAX} times in a second and stopped: two programs answer each other"
        );
        console.report(Exit::Failed, &talk.peer, why);
        if let Some(stopped) = talk.replied.get_mut(index) {
            *stopped = None;
        }
        return true;
    }
    let answered: Result<(), Malformed> = reply.write(message, bytes, said);
    if let Err(why) = answered {
        let text = reply.shown();
        console.report(Exit::Failed, &talk.peer, format_args!("--reply {text}: not sent: {why}"));
    }
    match reply.command().map(|command| talk.conversation.send(command)) {
        // The handshake goes before: a media controller subscribes within it, and is answered behind it.
        Some(Err(ProtocolError::InHandshake)) if talk.backlog.len() + said.len() <= QUEUE_BYTES_MAX => {
            talk.backlog.append(said);
        }
        // The connection is ending.
        Some(Err(_)) => said.clear(),
        Some(Ok(())) | None => {}
    }
    true
}

impl Host for Listener {
    fn joined(&mut self, connection: &Arc<Connection>) -> Next {
        let Setup { part, subscriptions, accepts, replies, .. } = &self.setup;
        let repertoire = ConversationConfig {
            subscriptions: if *part == Part::Media { subscriptions.clone() } else { Vec::new() },
            is_known: catalogue::knows,
            accept_version: accepts.clone(),
        };
        let mut talk = Talk {
            conversation: Conversation::new(part.role(), repertoire),
            connection: Arc::clone(connection),
            peer: connection.peer.to_string().into(),
            backlog: Vec::new(),
            replied: vec![Some((Instant::now(), 0)); replies.len()],
        };
        self.said.clear();
        match part {
            Part::Media => {}
            Part::Pin => conversation::write_hello(&mut self.said),
            Part::Attached => self.said.extend_from_slice(subscriptions),
            // A conversation that has just been made may begin.
            Part::DiallingPin => talk.conversation.open(&mut self.said).unwrap_or_default(),
        }
        self.talks.insert(connection.number, talk);
        self.answer(connection.number);
        Next::GoOn
    }

    fn heard(&mut self, connection: &Connection, frame: &Frame<'_>, seen: Instant) -> Next {
        if let Some(recorder) = &mut self.setup.recorder {
            let recorded = recorder.frame(seen, narrow(connection.number), their_side(self.setup.part), frame);
            survive(&mut self.console, recorded);
        }
        match frame {
            Frame::Message(message) => self.message(connection, message, seen),
            Frame::Ignored { .. } => Next::GoOn,
            Frame::Bad { number, fault } => {
                let place = (connection.peer.to_string(), *number);
                let exit = parting::cost(connection, exit_of(*fault));
                report(&mut self.console, exit, (&place.0, place.1), fault);
                self.said.clear();
                if let Some(talk) = self.talks.get_mut(&connection.number).filter(|_| !self.setup.silent) {
                    talk.conversation.receive_malformed(b"", &mut self.said);
                }
                self.answer(connection.number);
                Next::GoOn
            }
        }
    }

    fn left(&mut self, connection: &Connection, left: &Left) -> Next {
        parting::tell(&mut self.console, connection, left, ("line", "BCP"));
        if let Some(talk) = self.talks.remove(&connection.number) {
            self.note_end(&talk, left);
        }
        if self.setup.once || self.setup.part.dials() { Next::Stop } else { Next::GoOn }
    }

    fn input(&mut self, bytes: &[u8]) -> Next {
        let mut stream = self.stream.take().unwrap_or_else(|| Stream::new(&self.setup.framing));
        match bytes {
            [] => {
                self.stdin_over = true;
                stream.end();
            }
            bytes => stream.feed(bytes),
        }
        loop {
            match stream.next_item() {
                Item::Pending | Item::End => break,
                Item::Malformed { number, reason: why } => {
                    self.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why)
                }
                Item::Message { number, line, whole } => {
                    self.say_to_all(&format!("<stdin>:{number}"), line, whole);
                }
            }
        }
        self.stream = Some(stream);
        Next::GoOn
    }

    fn pause(&mut self) -> Next {
        let Some(printing) = &mut self.printing else { return Next::GoOn };
        printing.flush();
        if printing.is_done() { Next::Stop } else { Next::GoOn }
    }
}

fn report(console: &mut Console, exit: Exit, place: (&str, u64), why: impl std::fmt::Display) {
    console.report(exit, format_args!("{}: line {}", place.0, place.1), why);
}
