//! `listen` in its roles: a media controller, a pin controller that others connect to or that connects itself, and a
//! client joined to MPF. `replay --loopback` runs the media controller too.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::observer::{Observer, describe_close, finish, report_close};
use super::options::{CATEGORIES_OF_MEDIA, subscriptions};
use super::reply::{Firings, Reply};
use crate::bcp::conversation::{
    self, Conversation, ConversationConfig, PeerError, ProtocolError, ReceiveOutcome, Role,
};
use crate::bcp::line_command;
use crate::bcp::pattern::Pattern;
use crate::bcp::template::{Origin, Side};
use crate::catalogue;
use crate::commands::dial::Target;
use crate::commands::goals::Goals;
use crate::commands::run::{End, TimeLimits};
use crate::commands::stream::{Item, Stream};
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, FramingOptions, RawMessage};
use crate::limits::READ_BYTES;
use crate::net::{CloseReason, Closed, ConnId, Dial, Handler, Net, Notice, OUTBOX_BYTES_MAX, Outcome, Stop};
use crate::output::Console;
use crate::text::shown;

/// What `listen` sends, and when.
#[derive(Default)]
pub(crate) struct Behavior {
    pub role: Role,
    /// The lines with which it subscribes.
    pub subscriptions: Vec<u8>,
    /// Which `hello` is accepted, instead of one with version 1, 1.x or none.
    pub accepts: Option<Pattern>,
    /// The first reply that matches is sent.
    pub replies: Vec<Reply>,
    /// Whether the built-in replies are turned off.
    pub is_mute: bool,
    /// Whether the run ends with the first connection.
    pub once: bool,
    /// Whether standard input is sent to every peer.
    pub reads_input: bool,
    /// The limits of what is sent.
    pub framing: FramingOptions,
    /// The server, unless clients connect to us.
    pub server: Option<Server>,
}

/// The server that `listen -c` connects to.
pub(crate) struct Server {
    pub target: Target,
    pub dial: Dial,
    pub reconnects: bool,
}

/// One connection.
struct PeerState {
    conversation: Conversation,
    address: String,
    /// What standard input and replies had to send before the handshake was complete.
    backlog: Vec<u8>,
    firings: Firings,
}

/// Talks with every peer, and has the observer print what they send.
pub(crate) struct Peers {
    behavior: Behavior,
    pub observer: Observer,
    peers: BTreeMap<ConnId, PeerState>,
    /// Standard input, until its end.
    input: Option<Stream>,
    /// What is sent to a peer in one write.
    outgoing: Vec<u8>,
    /// Whether the server was ever reached, and why it last was not.
    was_connected: bool,
    last_error: Option<io::Error>,
}

impl Peers {
    pub(crate) fn new(behavior: Behavior, observer: Observer) -> Peers {
        let input = behavior.reads_input.then(|| Stream::new(&behavior.framing));
        Peers {
            behavior,
            observer,
            peers: BTreeMap::new(),
            input,
            outgoing: Vec::new(),
            was_connected: false,
            last_error: None,
        }
    }

    /// The media controller that `replay --loopback` plays to: it prints nothing.
    ///
    /// # Errors
    /// None that can happen.
    pub(crate) fn built_in(framing: FramingOptions, console: Console) -> Result<Peers, Failure> {
        let behavior =
            Behavior { subscriptions: subscriptions(&[], &[], &CATEGORIES_OF_MEDIA)?, framing, ..Behavior::default() };
        let observer = Observer::new(console, None, Goals::default(), TimeLimits::default());
        Ok(Peers::new(behavior, observer))
    }

    /// Begins to connect, if that is what it does.
    ///
    /// # Errors
    /// The recording cannot be emptied.
    pub(crate) fn begin(&mut self, net: &mut Net) -> Result<(), Failure> {
        let Some(server) = &self.behavior.server else { return Ok(()) };
        let address = &server.target.address;
        self.observer.recorder.begin(&format!("connecting to {address}"), address.port)?;
        net.connect(server.dial.clone());
        Ok(())
    }

    /// The end of the connection at which the peers are.
    fn their_side(&self) -> Side {
        if self.behavior.server.is_some() { Side::Server } else { Side::Client }
    }

    /// Whether what is sent must pass the guard: it goes to a running MPF.
    fn is_joined(&self) -> bool {
        self.behavior.server.is_some() && self.behavior.role == Role::Client
    }

    /// Sends what is in [`Peers::outgoing`], in one write.
    fn send_outgoing(&mut self, net: &mut Net, id: ConnId) {
        let from = self.their_side().other();
        let Some(peer) = self.peers.get(&id) else { return };
        if !self.outgoing.is_empty() && send(net, id, &self.outgoing, &peer.address, &mut self.observer) {
            for line in self.outgoing.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
                self.observer.sent(net.now(), id.0, from, line, None);
            }
            self.observer.recorder.lines(net, id.0, from, &self.outgoing);
        }
        self.outgoing.clear();
        self.outgoing.shrink_to(OUTBOX_BYTES_MAX);
    }

    fn receive(&mut self, net: &mut Net, id: ConnId, message: &RawMessage<'_>) {
        let from = self.their_side();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let origin = Origin { time: None, connection: Some(id.0), peer: Some(&peer.address), from };
        self.observer.traffic.came(message);
        let outcome = match self.observer.receive(net.now(), message, origin) {
            Ok(()) => peer.conversation.receive(&self.observer.message, &mut self.outgoing),
            Err(why) => {
                let place = format!("{}: line {}", peer.address, message.number);
                self.observer.console.report(Exit::Failed, place, why);
                peer.conversation.receive_malformed(message.line, &mut self.outgoing)
            }
        };
        if self.behavior.is_mute {
            self.outgoing.clear();
        }
        let is_malformed = outcome == ReceiveOutcome::PeerError(PeerError::Malformed);
        let has_reply = !is_malformed && outcome != ReceiveOutcome::PeerLeft && self.reply(net.now(), id, message);
        self.send_outgoing(net, id);
        match outcome {
            ReceiveOutcome::PeerLeft => finish(net, id),
            ReceiveOutcome::Ready => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    self.outgoing.append(&mut peer.backlog);
                }
                self.send_outgoing(net, id);
            }
            ReceiveOutcome::PeerError(fault) => self.report_fault(id, message.number, &fault, has_reply),
            ReceiveOutcome::UnusualVersion(version) => {
                let Some(peer) = self.peers.get(&id) else { return };
                let version = shown(version.as_bytes());
                self.observer.console.note(format_args!("{}: accepted protocol version {version}", peer.address));
            }
            ReceiveOutcome::Deliver | ReceiveOutcome::Consumed => {}
        }
    }

    /// Reports what the peer did wrong, unless that was reported or a reply is prepared for it.
    fn report_fault(&mut self, id: ConnId, line: u64, fault: &PeerError, has_reply: bool) {
        let Some(peer) = self.peers.get(&id) else { return };
        match fault {
            PeerError::UnknownCommand(_) | PeerError::Malformed => {}
            // It would refuse our version again.
            PeerError::VersionRefused(_) => {
                self.observer.end(End::Failed(Failure::Peer(format!("{}: {fault}", peer.address))))
            }
            PeerError::Version(_) if has_reply => {}
            PeerError::Version(_) => {
                self.observer.console.report(Exit::Peer, format_args!("{}: line {line}", peer.address), fault);
            }
        }
    }

    /// Replaces the built-in reply by the scripted one; whether there is one. An error never gets a reply.
    fn reply(&mut self, now: Instant, id: ConnId, message: &RawMessage<'_>) -> bool {
        let is_joined = self.is_joined();
        let (received, bytes) = (&self.observer.message, message.payload.map(<[u8]>::len));
        let replies = &self.behavior.replies;
        let matching = replies.iter().enumerate().find(|(_, reply)| reply.matches(received, bytes));
        let (Some((index, reply)), Some(peer)) = (matching, self.peers.get_mut(&id)) else { return false };
        if received.command() == "error" {
            return false;
        }
        self.outgoing.clear();
        let problem = match peer.firings.fire(index, now) {
            Err(stopped) => stopped,
            Ok(()) => reply.write(received, bytes, &mut self.outgoing).err().map(|why| format!("not sent: {why}")),
        };
        let line = self.outgoing.strip_suffix(b"\n").unwrap_or_default();
        let refusal = if is_joined && !line.is_empty() { catalogue::check_line(line, None).err() } else { None };
        if let Some(problem) = problem.or_else(|| refusal.map(|refusal| format!("not sent: {refusal}"))) {
            let place = format!("{}: line {}", peer.address, message.number);
            self.observer.console.report(Exit::Failed, place, format_args!("--reply {}: {problem}", reply.shown()));
            self.outgoing.clear();
        }
        if self.outgoing.is_empty() {
            return true;
        }
        match reply.command().map(|command| peer.conversation.send(&command)) {
            // A media controller subscribes within the handshake, and gets its replies after it.
            Some(Err(ProtocolError::InHandshake)) if peer.backlog.len() < OUTBOX_BYTES_MAX => {
                peer.backlog.append(&mut self.outgoing);
            }
            // The connection is ending.
            Some(Err(_)) => self.outgoing.clear(),
            Some(Ok(())) | None => {}
        }
        true
    }

    /// Sends a message of standard input to every peer.
    fn send_to_all(&mut self, net: &mut Net, place: &str, line: &[u8], whole: &[u8]) {
        let payload = whole.get(line.len() + 1..).filter(|payload| !payload.is_empty());
        if let Some(refusal) = catalogue::check_line(line, payload).err().filter(|_| self.is_joined()) {
            return self.observer.console.report(Exit::Failed, place, format_args!("not sent: {refusal}"));
        }
        let (command, from) = (line_command(line), self.their_side().other());
        if self.peers.is_empty() {
            self.observer.console.report(Exit::Failed, place, "not sent: no peer is connected");
        }
        for (&id, peer) in &mut self.peers {
            match peer.conversation.send(&command) {
                Ok(()) => {}
                Err(ProtocolError::InHandshake) if peer.backlog.len() + whole.len() <= OUTBOX_BYTES_MAX => {
                    peer.backlog.extend_from_slice(whole);
                    continue;
                }
                Err(why) => {
                    let why = format!("not sent to {}: {why}", peer.address);
                    self.observer.console.report(Exit::Failed, place, why);
                    continue;
                }
            }
            if send(net, id, whole, &peer.address, &mut self.observer) {
                self.observer.sent(net.now(), id.0, from, line, payload);
                self.observer.recorder.message(net, id.0, from, line, payload);
            }
            if command.eq_ignore_ascii_case("goodbye") {
                finish(net, id);
            }
        }
    }

    /// Sends the last words and ends all connections.
    fn leave(&mut self, net: &mut Net, in_hurry: bool) {
        let ids: Vec<ConnId> = self.peers.keys().copied().collect();
        for id in ids {
            if in_hurry {
                net.cut(id);
            }
            if let Some(peer) = self.peers.get_mut(&id).filter(|_| net.is_open(id)) {
                peer.conversation.leave(&mut self.outgoing);
                self.send_outgoing(net, id);
            }
            finish(net, id);
        }
        if in_hurry { net.hurry() } else { net.leave() }
    }

    /// What follows from the end of the connection to our server.
    fn lose_server(&mut self, net: &mut Net, closed: &Closed, how: &str, said_goodbye: bool) {
        let Some(server) = self.behavior.server.as_ref().filter(|_| !self.observer.has_ended()) else { return };
        let address = &server.target.address;
        let end = match &closed.reason {
            CloseReason::Unreached(error) => End::Failed(server.target.failure(error, server.dial.retry)),
            _ if server.reconnects => {
                self.observer.console.note(format_args!("{address}: the connection was {how}; connecting again"));
                net.connect(server.dial.clone().again());
                return;
            }
            // The fault was reported, with exit status 4.
            CloseReason::Broken(_) => End::Done,
            CloseReason::Http => {
                End::Failed(Failure::Peer(format!("{address} is an HTTP server; -c ADDRESS names another one")))
            }
            _ if said_goodbye || self.observer.is_unmet() => End::Closed(CloseReason::ByPeer),
            _ => End::Failed(Failure::Io(format!("{address}: the connection was {how}, without a goodbye"))),
        };
        self.observer.end(end);
    }

    /// The exit status of the run.
    ///
    /// # Errors
    /// What ended it, when that is an error.
    pub(crate) fn settle(mut self, outcome: Outcome) -> Result<Exit, Failure> {
        if let Some(server) = self.behavior.server.filter(|_| !self.was_connected) {
            let error = self.last_error.unwrap_or_else(|| io::ErrorKind::TimedOut.into());
            self.observer.was_not_connected(|limit| server.target.failure(&error, limit));
        }
        self.observer.settle(outcome)
    }
}

impl Handler for Peers {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let Behavior { role, subscriptions, accepts, replies, server, .. } = &self.behavior;
        let config = ConversationConfig {
            subscriptions: if *role == Role::MediaController { subscriptions.clone() } else { Vec::new() },
            is_known: catalogue::knows,
            accept_version: accepts.clone(),
        };
        let mut conversation = Conversation::new(*role, config);
        match (role, server) {
            (Role::MediaController, _) => {}
            // As MPF greets the clients of its own port.
            (Role::Client, None) => conversation::write_hello(&mut self.outgoing),
            (Role::Client, Some(_)) => self.outgoing.extend_from_slice(subscriptions),
            // A conversation may always begin with its first message.
            (Role::PinController, _) => drop(conversation.open(&mut self.outgoing)),
        }
        let address = net.peer(id).map(|peer| peer.to_string()).unwrap_or_default();
        let firings = Firings::new(replies.len(), net.now());
        let how = if self.behavior.server.is_some() { "to" } else { "from" };
        self.observer.connected(net.now(), id.0, &format!("connected {how} {address}"));
        self.peers.insert(id, PeerState { conversation, address, backlog: Vec::new(), firings });
        self.was_connected = true;
        self.send_outgoing(net, id);
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let from = self.their_side();
        self.observer.recorder.frame(net, id.0, from, frame);
        match frame {
            Frame::Message(message) => self.receive(net, id, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                let place = format!("{}: line {number}", peer.address);
                self.observer.receive_bad(id.0, from, place, *fault, net.is_open(id));
                if !self.behavior.is_mute {
                    peer.conversation.receive_malformed(b"", &mut self.outgoing);
                }
                self.send_outgoing(net, id);
            }
        }
        self.observer.flush(net, READ_BYTES);
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        finish(net, id);
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, closed: Closed) {
        let them = self.their_side();
        let peer = self.peers.remove(&id);
        let said_goodbye = peer.as_ref().is_some_and(|peer| peer.conversation.peer_has_left());
        let how = describe_close(&closed, them, said_goodbye);
        if let Some(peer) = peer {
            report_close(&mut self.observer.console, &peer.address, &closed, ("message", "BCP"));
            self.observer.recorder.closed(net, id.0, &how, them, &closed.unfinished);
            self.observer.closed(net, id.0, &how, Some(them));
            if self.behavior.once {
                self.observer.end(End::Closed(CloseReason::ByPeer));
            }
        }
        self.lose_server(net, &closed, &how, said_goodbye);
    }

    fn wants_input(&mut self, _net: &Net) -> bool {
        // Until the first peer is there it would be sent to nobody.
        self.input.is_some() && !self.peers.is_empty()
    }

    fn on_input(&mut self, net: &mut Net, bytes: io::Result<&[u8]>) {
        let Some(mut input) = self.input.take() else { return };
        match bytes {
            Ok([]) => input.end(),
            Ok(bytes) => input.feed(bytes),
            Err(error) => {
                self.observer.console.report_failure(&Failure::io("cannot read <stdin>", &error));
                input.end();
            }
        }
        loop {
            match input.next_item() {
                Item::Pending => break self.input = Some(input),
                Item::End => break,
                Item::Malformed { number, reason: why } => {
                    self.observer.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why);
                }
                Item::Message { number, line, whole } => {
                    self.send_to_all(net, &format!("<stdin>:{number}"), line, whole);
                }
            }
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        let (next, leaves) = self.observer.turn(net, now);
        if let Some(in_hurry) = leaves {
            self.leave(net, in_hurry);
        }
        next
    }

    fn on_stop(&mut self, _net: &mut Net, stop: Stop) {
        self.observer.stop(stop);
    }

    fn on_notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        let Notice::Retrying(_, error) = notice else { return self.observer.notice(net, notice) };
        let Some(server) = &self.behavior.server else { return };
        if self.last_error.is_none() && !self.was_connected {
            let address = &server.target.address;
            self.observer.console.note(format_args!("{address}: {}; retrying until it accepts", plain_words(error)));
        }
        self.last_error = Some(error.kind().into());
    }
}

/// Sends whole messages; whether they are on their way. A peer that does not read is reset, which is reported.
fn send(net: &mut Net, id: ConnId, messages: &[u8], address: &str, observer: &mut Observer) -> bool {
    if !net.is_open(id) {
        return false;
    }
    if !net.has_room(id, messages.len()) {
        let why = format!("reset: it does not read, and {OUTBOX_BYTES_MAX} bytes wait for it");
        observer.console.report(Exit::Failed, address, why);
        net.reset(id);
        return false;
    }
    net.send(id, messages)
}
