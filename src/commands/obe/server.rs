//! `listen --wire obe`: an OBE_Socket server, which prints each message and replies to it.

use std::collections::HashMap;
use std::time::Instant;

use crate::bcp::template::{Origin, Side};
use crate::commands::listen::observer::{Observer, finish, report_close};
use crate::commands::listen::reply::Reply;
use crate::commands::run::End;
use crate::exit::Exit;
use crate::framing::{Frame, RawMessage, body, push_frame};
use crate::limits::READ_BYTES;
use crate::net::{CloseReason, Closed, ConnId, Handler, Net, Notice, OUTBOX_BYTES_MAX, Stop};

/// The reply to what matches no `--reply`.
const DEFAULT_REPLY: &[u8] = b"\"OK\"";

/// A connection carries a message and its reply; the client closes it.
pub(crate) struct ObeServer {
    replies: Vec<Reply>,
    once: bool,
    pub observer: Observer,
    /// The addresses of the clients.
    clients: HashMap<ConnId, String>,
}

impl ObeServer {
    pub(crate) fn new(replies: Vec<Reply>, once: bool, observer: Observer) -> ObeServer {
        ObeServer { replies, once, observer, clients: HashMap::new() }
    }

    fn receive(&mut self, net: &mut Net, id: ConnId, client: &str, message: &RawMessage<'_>) {
        self.observer.traffic.came(message);
        if let Err(why) = self.observer.message.parse_value(body(message.raw), true) {
            let place = format!("{client}: offset {}", message.number);
            self.observer.console.report(Exit::Peer, place, why);
            return finish(net, id);
        }
        self.observer.message.take_command();
        let origin = Origin { time: None, connection: Some(id.0), peer: Some(client), from: Side::Client };
        self.observer.print(net.now(), message, Ok(()), origin);
        let (mut text, mut frame) = (Vec::new(), Vec::new());
        let received = &self.observer.message;
        match self.replies.iter().find(|reply| reply.matches(received, None)) {
            None => text.extend_from_slice(DEFAULT_REPLY),
            // JSON has no limit that a reply could exceed.
            Some(reply) => drop(reply.write(received, None, &mut text)),
        }
        if text.is_empty() || !net.is_open(id) {
            return;
        }
        push_frame(&text, &mut frame);
        if net.has_room(id, frame.len()) {
            net.send(id, &frame);
            self.observer.sent(net.now(), id.0, Side::Server, &text, None);
        } else {
            let why = format!("reset: it does not read, and {OUTBOX_BYTES_MAX} bytes wait for it");
            self.observer.console.report(Exit::Failed, client, why);
            net.reset(id);
        }
    }
}

impl Handler for ObeServer {
    fn on_connect(&mut self, net: &mut Net, id: ConnId) {
        let client = net.peer(id).map(|peer| peer.to_string()).unwrap_or_default();
        self.observer.connected(net.now(), id.0, &format!("connected from {client}"));
        self.clients.insert(id, client);
    }

    fn on_message(&mut self, net: &mut Net, id: ConnId, frame: &Frame<'_>) {
        let Some(client) = self.clients.get(&id).cloned() else { return };
        match frame {
            Frame::Message(message) => self.receive(net, id, &client, message),
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => {
                let place = format!("{client}: offset {number}");
                self.observer.receive_bad(id.0, Side::Client, place, *fault, net.is_open(id));
            }
        }
        self.observer.flush(net, READ_BYTES);
    }

    fn on_eof(&mut self, net: &mut Net, id: ConnId) {
        finish(net, id);
    }

    fn on_close(&mut self, _net: &mut Net, id: ConnId, closed: Closed) {
        let Some(client) = self.clients.remove(&id) else { return };
        report_close(&mut self.observer.console, &client, &closed, ("message", "OBE_Socket's protocol"));
        if self.once {
            self.observer.end(End::Closed(CloseReason::ByPeer));
        }
    }

    fn on_turn(&mut self, net: &mut Net, now: Instant) -> Option<Instant> {
        let (next, leaves) = self.observer.turn(net, now);
        match leaves {
            None => {}
            Some(true) => net.hurry(),
            Some(false) => {
                self.clients.keys().for_each(|&id| finish(net, id));
                net.leave();
            }
        }
        next
    }

    fn on_stop(&mut self, _net: &mut Net, stop: Stop) {
        self.observer.stop(stop);
    }

    fn on_notice(&mut self, net: &mut Net, notice: Notice<'_>) {
        self.observer.notice(net, notice);
    }
}
