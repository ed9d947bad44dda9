//! What `listen` does with its connections in each of its roles: as a media controller, as a pin controller that others
//! connect to or that connects itself, as a client joined to MPF, as an OBE_Socket server, and between two programs.
//! `replay --loopback` runs the media controller too.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::canonical::Canonical;
use super::observer::Observer;
use super::peer::{Counts, Peer, PeerKind};
use super::reply::{FIRINGS_MAX, Firings, Reply};
use super::{CATEGORIES_OF_MEDIA, push_subscriptions};
use crate::bcp::conversation::{self, Conversation, ConversationConfig, ReceiveOutcome, Role};
use crate::bcp::line_command;
use crate::bcp::template::Side;
use crate::catalogue;
use crate::commands::addresses::{Place, Target};
use crate::commands::run::End;
use crate::commands::stream::{Item, Stream};
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::{Frame, RawMessage, Wire};
use crate::limits::READ_BYTES;
use crate::net::{
    CloseReason, Closed, ConnId, DRAIN_TIME, FLUSH_TIME, Handler, Net, Notice, OUTBOX_BYTES_MAX, Outcome, Rewrite,
    SocketAddr, Stop, is_of_this_machine,
};
use crate::output::show::{Show, Style};
use crate::output::table::EndNames;
use crate::output::{Console, say};
use crate::text::shown;

/// What `listen` sends, and when.
#[derive(Default)]
pub(crate) struct Behavior {
    pub role: Role,
    /// With the lines that it subscribes with, also as a client.
    pub config: ConversationConfig,
    /// The first reply that matches is sent.
    pub replies: Vec<Reply>,
    /// Whether the built-in replies are turned off.
    pub is_mute: bool,
    /// Whether what would end MPF is not sent.
    pub is_guarded: bool,
    /// Whether the first connection that closes ends the run.
    pub once: bool,
    /// Standard input, until its end: what is sent to every peer.
    pub input: Option<Stream>,
    /// The server that it connects to.
    pub server: Option<Target>,
    /// The server to which each client is forwarded.
    pub target: Option<Target>,
    /// Whether it connects again when the connection is lost.
    pub reconnects: bool,
    /// The longest line that `--canonical` rewrites, in bytes.
    pub canonical: Option<usize>,
}

impl Behavior {
    /// Checks what is to be sent.
    ///
    /// # Errors
    /// It would end MPF.
    fn check(&self, line: &[u8], payload: Option<&[u8]>) -> Result<(), String> {
        let checked = if self.is_guarded { catalogue::check_line(line, payload) } else { Ok(()) };
        checked.map_err(|refusal| refusal.to_string())
    }
}

/// Exchanges messages with every peer; the observer prints them.
pub(crate) struct Peers {
    behavior: Behavior,
    pub observer: Observer,
    peers: BTreeMap<ConnId, Peer>,
    /// What is sent to a peer in one write.
    outgoing: Vec<u8>,
}

impl Peers {
    pub(crate) fn new(behavior: Behavior, observer: Observer) -> Peers {
        Peers { behavior, observer, peers: BTreeMap::new(), outgoing: Vec::new() }
    }

    /// The media controller that `replay --loopback` plays to. Its loop has no output, so it prints nothing.
    pub(crate) fn built_in(console: Console) -> Peers {
        let mut behavior = Behavior::default();
        behavior.config.is_known = Some(catalogue::knows);
        push_subscriptions(&CATEGORIES_OF_MEDIA, &mut behavior.config.subscriptions);
        Peers::new(behavior, Observer::new(console, Show::new(Style::Raw, Vec::new(), Vec::new())))
    }

    /// Listens, and reports the address.
    ///
    /// # Errors
    /// The address cannot be used, or is where it would forward to.
    pub(super) fn listen(&mut self, net: &mut Net, place: &Place<'_>) -> Result<(), Failure> {
        let own = place.listen(net)?;
        let mut opening = vec![format!("listening on {own}")];
        if let Some(target) = &self.behavior.target {
            refuse_own(target, own)?;
            // A forwarded game is known by its ports.
            let mut ends = [own.port(), target.address.port].into_iter().map(EndNames::of_port);
            let ends = ends.find(|&ends| ends != EndNames::UNKNOWN).unwrap_or(EndNames::UNKNOWN);
            if let Some(table) = self.observer.show.table() {
                table.restart(ends);
            }
            opening.push(format!("forwarding to {}", target.address));
        }
        self.begin(net, &opening.join(", "), own.port())?;
        place.announce(own)?;
        opening[0].push_str(" (Ctrl-C stops)");
        opening.iter().for_each(|text| self.observer.console.note(text));
        Ok(())
    }

    /// Begins to connect to the server.
    ///
    /// # Errors
    /// The recording cannot be emptied.
    pub(super) fn connect(&mut self, net: &mut Net) -> Result<(), Failure> {
        let Some(server) = &self.behavior.server else { return Ok(()) };
        let (opening, port) = (format!("connecting to {}", server.address), server.address.port);
        server.connect(net);
        self.begin(net, &opening, port)
    }

    /// Catches signals, which until here end what can block, such as opening a pipe to record into. `-W` and `--idle`
    /// count from here.
    fn begin(&mut self, net: &mut Net, opening: &str, port: u16) -> Result<(), Failure> {
        self.observer.recorder.begin(opening, port)?;
        net.catch_signals().map_err(|error| Failure::io("cannot catch signals", &error))?;
        let now = Instant::now();
        self.observer.limits.begin(now);
        self.observer.limits.be_active(now);
        Ok(())
    }

    /// Sends what is in [`Peers::outgoing`], in one write.
    fn send_outgoing(&mut self, net: &mut Net, id: ConnId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            send(net, peer, &self.outgoing, &mut self.observer);
        }
        self.outgoing.clear();
    }

    fn receive(&mut self, net: &mut Net, id: ConnId, message: &RawMessage<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let outcome = match &mut peer.kind {
            PeerKind::Bcp(conversation) => conversation.receive(&self.observer.message, &mut self.outgoing),
            PeerKind::Obe => ReceiveOutcome::Deliver,
            PeerKind::Forwarded { .. } => return,
        };
        if self.behavior.is_mute {
            self.outgoing.clear();
        }
        let has_reply = outcome != ReceiveOutcome::PeerLeft && self.reply(net.now, id, message);
        self.send_outgoing(net, id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match outcome {
            ReceiveOutcome::Deliver | ReceiveOutcome::Consumed => {}
            ReceiveOutcome::PeerLeft => finish(net, id),
            ReceiveOutcome::Ready => {
                self.outgoing.append(&mut peer.backlog);
                let is_leaving = peer.is_leaving;
                if let (true, PeerKind::Bcp(conversation)) = (is_leaving, &mut peer.kind) {
                    // A goodbye can always be sent once.
                    let _ = conversation.send("goodbye");
                }
                self.send_outgoing(net, id);
                if is_leaving {
                    finish(net, id);
                }
            }
            ReceiveOutcome::UnusualVersion(version) => {
                let (address, version) = (&peer.address, shown(version.as_bytes()));
                self.observer.console.note(format_args!("{address}: accepted protocol version {version}"));
            }
            // It would refuse our version again.
            ReceiveOutcome::Refused(fault) => {
                self.observer.end(End::Failed(Failure::Peer(format!("{}: {fault}", peer.address))));
            }
            ReceiveOutcome::RejectedVersion(fault) if !has_reply => {
                self.observer.report(Exit::Peer, peer, message.number, fault);
            }
            ReceiveOutcome::RejectedVersion(_) | ReceiveOutcome::RejectedCommand => {}
        }
    }

    /// Replies to a malformed line, which is empty if it was not kept.
    fn receive_malformed(&mut self, net: &mut Net, id: ConnId, line: &[u8]) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match &mut peer.kind {
            PeerKind::Bcp(conversation) if !self.behavior.is_mute => {
                conversation.receive_malformed(line, &mut self.outgoing);
                self.send_outgoing(net, id);
            }
            PeerKind::Bcp(_) | PeerKind::Forwarded { .. } => {}
            PeerKind::Obe => finish(net, id),
        }
    }

    /// Replaces the built-in reply by the scripted one; whether there is one. An `error` of BCP never gets a reply.
    fn reply(&mut self, now: Instant, id: ConnId, message: &RawMessage<'_>) -> bool {
        let (received, bytes) = (&self.observer.message, message.payload.map(<[u8]>::len));
        let mut replies = self.behavior.replies.iter().enumerate();
        let matching = replies.find(|(_, reply)| reply.matches(received, bytes));
        let (Some((index, reply)), Some(peer)) = (matching, self.peers.get_mut(&id)) else { return false };
        let is_bcp = matches!(peer.kind, PeerKind::Bcp(_));
        if is_bcp && received.command() == "error" {
            return false;
        }
        self.outgoing.clear();
        let count = if is_bcp { peer.firings[index].count(now) } else { 0 };
        let problem = match count {
            ..=FIRINGS_MAX => {
                let written = reply.write(received, bytes, &mut self.outgoing).map_err(|why| why.to_string());
                let line = self.outgoing.strip_suffix(b"\n").unwrap_or(&self.outgoing);
                let checked = written.and_then(|()| self.behavior.check(line, None));
                if checked.is_err() || peer.admit(line, &self.outgoing) != Ok(true) {
                    self.outgoing.clear();
                }
                checked.err().map(|why| format!("not sent: {why}"))
            }
            // Reported once.
            _ => (count == FIRINGS_MAX + 1).then(|| {
                format!("stopped because it was sent {FIRINGS_MAX} times in a second: two programs reply to each other")
            }),
        };
        if let Some(problem) = problem {
            let why = format!("--reply {}: {problem}", reply.text);
            self.observer.report(Exit::Failed, peer, message.number, why);
        }
        true
    }

    /// Sends a message of standard input to every peer.
    fn send_to_all(&mut self, net: &mut Net, place: &str, line: &[u8], whole: &[u8]) {
        let payload = whole.get(line.len() + 1..).filter(|payload| !payload.is_empty());
        if let Err(why) = self.behavior.check(line, payload) {
            return self.observer.console.report(Exit::Failed, place, format_args!("not sent: {why}"));
        }
        if self.peers.is_empty() {
            self.observer.console.report(Exit::Failed, place, "not sent: no peer is connected");
        }
        for (&id, peer) in &mut self.peers {
            match peer.admit(line, whole) {
                Ok(true) => send(net, peer, whole, &mut self.observer),
                Ok(false) => continue,
                Err(why) => {
                    let why = format!("not sent to {}: {why}", peer.address);
                    self.observer.console.report(Exit::Failed, place, why);
                }
            }
            if line_command(line).eq_ignore_ascii_case("goodbye") {
                finish(net, id);
            }
        }
    }

    /// Sends `goodbye` and ends all connections that are still open: in a hurry after a signal, `-W` or `--idle`, else
    /// when everything is written and printed.
    fn leave(&mut self, net: &mut Net, in_hurry: bool) {
        for (&id, peer) in &mut self.peers {
            match &mut peer.kind {
                PeerKind::Bcp(conversation) if net.is_open(id) => {
                    if in_hurry {
                        net.cut(id);
                    }
                    let mut goodbye = Vec::new();
                    conversation.leave(&mut goodbye);
                    send(net, peer, &goodbye, &mut self.observer);
                }
                // What a client sent to a target that was not reached is lost, so it must not see an orderly end.
                PeerKind::Forwarded { other, .. } if net.peer(id).is_none() => {
                    net.reset(id);
                    net.reset(*other);
                }
                _ => {}
            }
        }
        if in_hurry {
            return net.hurry();
        }
        self.peers.keys().for_each(|&id| finish(net, id));
        net.leave();
    }

    /// Connects again, or ends the run, after the connection to the server has closed; `how` is described.
    fn lose_server(&mut self, net: &mut Net, reason: &CloseReason, how: &str, said_goodbye: bool) {
        let Some(server) = self.behavior.server.as_ref().filter(|_| self.observer.end.is_none()) else { return };
        let address = &server.address;
        let end = match reason {
            CloseReason::Unreached(error) => End::Failed(server.failure(error)),
            _ if self.behavior.reconnects => {
                self.observer.console.note(format_args!("{address}: {how}; connecting again"));
                net.reconnect(&server.sockets, server.retry);
                return;
            }
            // The fault was reported, with exit status 4.
            CloseReason::Broken(_) => End::Done,
            CloseReason::Http => {
                End::Failed(Failure::Peer(format!("{address} is an HTTP server; -c ADDRESS names another one")))
            }
            _ if said_goodbye || self.observer.is_unmet() => End::Closed(CloseReason::ByPeer),
            _ => End::Failed(Failure::Io(format!("{address}: {how}, without a goodbye"))),
        };
        self.observer.end(end);
    }

    /// Links an accepted client with the connection to the server that it is forwarded to.
    fn forward(&mut self, net: &mut Net, client: &Peer, other: ConnId) {
        let rewrite = self.behavior.canonical.map(|limit| -> Rewrite {
            let mut canonical = Canonical::new(limit);
            Box::new(move |bytes, is_last, out| canonical.rewrite(bytes, is_last, out))
        });
        net.link(client.id, other, rewrite);
        let kind = PeerKind::Forwarded { other: client.id, is_waiting: false };
        let (address, backlog, firings) = (client.address.clone(), Vec::new(), Vec::new());
        let server = Peer { id: other, side: Side::Server, address, kind, backlog, firings, ..*client };
        self.peers.insert(other, server);
    }

    /// Begins a conversation with the first lines of its role.
    fn open_conversation(&mut self) -> Conversation {
        let Behavior { role, config, server, .. } = &self.behavior;
        let mut conversation = Conversation::new(*role, config.clone());
        match (role, server) {
            (Role::MediaController, _) => {}
            // As MPF greets the clients of its own port.
            (Role::Client, None) => conversation::write_hello(&mut self.outgoing),
            (Role::Client, Some(_)) => self.outgoing.extend_from_slice(&config.subscriptions),
            // A conversation may always begin with its first message.
            (Role::PinController, _) => drop(conversation.open(&mut self.outgoing)),
        }
        conversation
    }

    /// The server was not reached, and is tried again.
    fn retry(&mut self, net: &mut Net, id: ConnId, error: &io::Error) {
        if let Some(server) = &mut self.behavior.server {
            return server.note_failure(error, &self.observer.console);
        }
        let (Some(target), Some(peer)) = (&self.behavior.target, self.peers.get_mut(&id)) else { return };
        let PeerKind::Forwarded { other, is_waiting } = &mut peer.kind else { return };
        if net.has_peer_closed(*other) {
            net.reset(id);
        } else if !std::mem::replace(is_waiting, true) {
            let (client, target, why) = (&peer.address, &target.address, plain_words(error));
            let note = format!("{client}: waits for {target}: {why}; retrying until it accepts");
            self.observer.console.note(note);
        }
    }

    /// The exit status of the run.
    ///
    /// # Errors
    /// What ended it, when that is an error.
    pub(super) fn settle(self, outcome: Outcome) -> Result<Exit, Failure> {
        let server = self.behavior.server.filter(|_| self.observer.connections == 0);
        let unreached = server.map(|mut server| {
            let error = server.unreached.take().unwrap_or_else(|| io::ErrorKind::TimedOut.into());
            server.failure_after(&error, self.observer.limits.timeout.unwrap_or_default())
        });
        self.observer.settle(outcome, unreached)
    }
}

impl Handler for Peers {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        // The server of a forwarded pair is known already.
        if self.peers.contains_key(&id) {
            return;
        }
        let mut side = Side::Client;
        if let Some(server) = &mut self.behavior.server {
            (side, server.unreached) = (Side::Server, None);
        }
        let address = net.peer(id).map(|peer| peer.to_string()).unwrap_or_default();
        let kind = match (&self.behavior.target, self.observer.wire) {
            (Some(target), _) => PeerKind::Forwarded { other: target.connect(net), is_waiting: false },
            (None, Wire::Bcp) => PeerKind::Bcp(self.open_conversation()),
            (None, Wire::Obe) => PeerKind::Obe,
        };
        let (connection, counts) = (self.observer.connections + 1, Counts::new(net.now));
        let firings = vec![Firings::new(net.now); self.behavior.replies.len()];
        let peer =
            Peer { id, connection, address, side, counts, kind, backlog: Vec::new(), is_leaving: false, firings };
        self.observer.connected(net.now, &peer);
        if let PeerKind::Forwarded { other, .. } = peer.kind {
            self.forward(net, &peer, other);
        }
        self.peers.insert(id, peer);
        self.send_outgoing(net, id);
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let is_read = self.observer.receive(net, peer, frame);
        match frame {
            Frame::Message(message) if is_read => self.receive(net, id, message),
            Frame::Message(message) => self.receive_malformed(net, id, message.line),
            Frame::Bad { .. } => self.receive_malformed(net, id, b""),
            Frame::Ignored { .. } => {}
        }
        self.observer.flush(net, READ_BYTES);
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        // The loop passes on the end of a forwarded connection.
        if !self.observer.is_forwarding {
            finish(net, id);
        }
    }

    fn on_close(&mut self, net: &mut Net, id: ConnId, mut closed: Closed) {
        let Some(peer) = self.peers.remove(&id) else {
            return self.lose_server(net, &closed.reason, "", false);
        };
        if !peer.backlog.is_empty() {
            let why = "what was to be sent after the handshake was not sent: the connection has closed before";
            self.observer.console.report(Exit::Failed, &peer.address, why);
        }
        let said_goodbye = matches!(&peer.kind, PeerKind::Bcp(conversation) if conversation.peer_has_left());
        if said_goodbye && closed.unfinished.is_empty() && matches!(closed.reason, CloseReason::ByUs) {
            // It asked for the end.
            closed.reason = CloseReason::ByPeer;
        }
        if let (CloseReason::Unreached(error), Some(target)) = (&closed.reason, &self.behavior.target) {
            let failure = target.failure(error);
            // With --once there is no other client; without it, others may be forwarded.
            let exit = if self.behavior.once { Exit::Io } else { Exit::Success };
            let why = failure.message().unwrap_or_default();
            self.observer.console.report(exit, &peer.address, format_args!("reset: {why}"));
        }
        let how = self.observer.closed(net, &peer, &closed);
        if let PeerKind::Forwarded { other, .. } = peer.kind {
            if let Some(half) = self.peers.get_mut(&other) {
                return half.counts.add(&peer.counts);
            }
        }
        self.observer.ended(net, &peer, &how);
        if self.behavior.once {
            self.observer.end(End::Closed(CloseReason::ByPeer));
        }
        self.lose_server(net, &closed.reason, &how, said_goodbye);
    }

    fn wants_input(&mut self, _net: &Net) -> bool {
        // Until the first peer is there it would be sent to nobody.
        self.behavior.input.is_some() && !self.peers.is_empty()
    }

    fn on_input(&mut self, net: &mut Net, bytes: io::Result<Vec<u8>>) {
        let Some(mut input) = self.behavior.input.take() else { return };
        if let Err(failure) = input.take_block(bytes) {
            self.observer.console.report_failure(&failure);
        }
        loop {
            match input.next_item() {
                Item::Pending => break self.behavior.input = Some(input),
                Item::End => break,
                Item::Malformed { number, reason: why } => {
                    self.observer.console.report(Exit::Failed, format_args!("<stdin>:{number}"), why);
                }
                Item::Message(number, message) => {
                    self.send_to_all(net, &format!("<stdin>:{number}"), message.line(), &message.whole);
                }
            }
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        self.observer.flush(net, 1);
        let passed = self.observer.limits.passed(now);
        // A limit may also pass after a goal is met, while the output is not read.
        let in_hurry = passed.is_some() || matches!(self.observer.end, Some(End::Signal(_)));
        if let Some(end) = passed {
            self.observer.end(end);
        }
        if self.observer.end.is_some() {
            self.leave(net, in_hurry);
        }
        self.observer.limits.deadline().filter(|_| !in_hurry)
    }

    fn on_stop(&mut self, _net: &mut Net, stop: Stop) {
        match stop {
            Stop::Signal(signal) => self.observer.end(End::Signal(signal)),
            // Forwarding outlives its output, maybe for hours.
            Stop::OutputGone(error) if self.observer.is_forwarding => {
                self.observer.console.report_failure(&Failure::output(&error));
            }
            Stop::OutputGone(error) => self.observer.end(End::Output(error)),
        }
    }

    fn on_notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        let Observer { console, recorder, .. } = &mut self.observer;
        match notice {
            Notice::Retrying(id, error) => self.retry(net, id, error),
            Notice::TurnedAway(peer) => say(&format!("{peer}: rejected: too many connections\n")),
            Notice::AcceptFailed(error) => {
                let why = plain_words(error);
                say(&format!("cannot accept another connection: {why}; waiting until one closes\n"));
            }
            Notice::Unobserved(id, limit) => {
                let Some(peer) = self.peers.get(&id) else { return };
                let why = format!(
                    "a message of the {} needs more than is left of {limit} bytes for all long ones: what it sends is \
                     forwarded but no longer printed or recorded",
                    peer.side.name()
                );
                console.report(Exit::Failed, &peer.address, &why);
                recorder.comment(net, &format!("connection {}: {why}", peer.connection));
            }
            Notice::RecordingFailed(error) => console.report_failure(&recorder.failure(error)),
            Notice::RecordingDropped(bytes) => {
                let why = format!("{bytes} bytes were forwarded and not recorded: the disk is too slow");
                console.report(Exit::Failed, "--record", why);
                recorder.comment(net, &format!("{bytes} bytes are missing above"));
            }
            Notice::OutputDropped(bytes) => {
                let why = format!("{bytes} bytes were forwarded and not printed: the reader is too slow");
                console.report(Exit::Failed, "<stdout>", why);
            }
        }
    }
}

/// Refuses to forward to ourselves: each connection would lead to the next.
///
/// # Errors
/// [`Failure::Usage`] with the correct command.
fn refuse_own(target: &Target, own: SocketAddr) -> Result<(), Failure> {
    let is_own = |there: &SocketAddr| {
        let is_here = there.ip() == own.ip() || (own.ip().is_unspecified() && is_of_this_machine(there.ip()));
        // Connecting to no address in particular reaches this computer.
        there.port() == own.port() && (is_here || there.ip().is_unspecified())
    };
    if !target.sockets.iter().any(is_own) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--forward {} is the address on which this command listens; start the media controller on another port, such \
         as 5052, and write --forward :5052, or listen elsewhere with -a",
        target.address
    )))
}

/// Ends a connection in order.
fn finish(net: &mut Net, id: ConnId) {
    net.finish(id, FLUSH_TIME, DRAIN_TIME);
}

/// Sends whole messages. A peer that does not read is reset, which is reported.
fn send(net: &mut Net, peer: &mut Peer, messages: &[u8], observer: &mut Observer) {
    if messages.is_empty() || !net.is_open(peer.id) {
        return;
    }
    if net.has_room(peer.id, messages.len()) {
        net.send(peer.id, messages);
        observer.sent(net, peer, messages);
    } else {
        let why = format!("reset: it does not read, and {OUTBOX_BYTES_MAX} bytes wait for it");
        observer.console.report(Exit::Failed, &peer.address, why);
        net.reset(peer.id);
    }
}
