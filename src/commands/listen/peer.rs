//! One peer of `listen`: the connection, what it is for, and what it has carried.

use std::time::Instant;

use super::reply::Firings;
use crate::bcp::conversation::{Conversation, ProtocolError};
use crate::bcp::template::Side;
use crate::bcp::{Message, line_command};
use crate::net::{ConnId, OUTBOX_BYTES_MAX};

/// What passes over a connection.
pub(super) enum PeerKind {
    /// Our side of a conversation.
    Bcp(Conversation),
    /// A reply to each message of OBE_Socket.
    Obe,
    /// What the other connection of a forwarded pair carries too, and whether it was noted that it is retried.
    Forwarded { other: ConnId, is_waiting: bool },
}

/// A connection, and the program at its other end.
pub(super) struct Peer {
    pub id: ConnId,
    /// The number of the connection, or of the forwarded pair.
    pub connection: u64,
    /// Its address; of a forwarded pair that of the client.
    pub address: String,
    /// Its end of the connection.
    pub side: Side,
    pub counts: Counts,
    pub kind: PeerKind,
    /// What standard input and replies had to send before the handshake was complete.
    pub backlog: Vec<u8>,
    /// Whether its last message is a goodbye.
    pub is_leaving: bool,
    /// How often each reply was sent.
    pub firings: Vec<Firings>,
}

impl Peer {
    /// Whether a message, of this line and maybe a payload, can be sent now. Before the handshake is complete it waits
    /// in the backlog. A media controller subscribes within the handshake, and gets its replies after it.
    ///
    /// # Errors
    /// It must not be sent.
    pub(super) fn admit(&mut self, line: &[u8], message: &[u8]) -> Result<bool, ProtocolError> {
        let has_room = self.backlog.len() + message.len() <= OUTBOX_BYTES_MAX;
        let PeerKind::Bcp(conversation) = &mut self.kind else { return Ok(true) };
        let command = line_command(line);
        // A goodbye is the last message, also of those that wait.
        let sent = match self.is_leaving {
            true => Err(ProtocolError::AfterGoodbye),
            false if self.backlog.is_empty() => conversation.send(&command),
            false => Err(ProtocolError::InHandshake),
        };
        match sent {
            Err(ProtocolError::InHandshake) if has_room => {
                self.backlog.extend_from_slice(message);
                self.is_leaving = command.eq_ignore_ascii_case("goodbye");
                Ok(false)
            }
            sent => sent.map(|()| true),
        }
    }
}

/// What a connection carried, for the last row in a table.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub opened: Instant,
    pub from_client: u64,
    pub from_server: u64,
    pub malformed: u64,
    pub said_goodbye: bool,
}

impl Counts {
    pub(super) fn new(opened: Instant) -> Counts {
        Counts { opened, from_client: 0, from_server: 0, malformed: 0, said_goodbye: false }
    }

    /// Counts a message, or something malformed.
    pub(super) fn count(&mut self, from: Side, message: Option<&Message>) {
        match (message, from) {
            (None, _) => self.malformed += 1,
            (Some(_), Side::Client) => self.from_client += 1,
            (Some(_), Side::Server) => self.from_server += 1,
        }
        self.said_goodbye |= message.is_some_and(|message| message.command() == "goodbye");
    }

    /// Adds those of the other half of a forwarded pair.
    pub(super) fn add(&mut self, half: &Counts) {
        self.from_client += half.from_client;
        self.from_server += half.from_server;
        self.malformed += half.malformed;
        self.said_goodbye |= half.said_goodbye;
    }
}
